// The processes' entry points, by which the postmaster finds them, and what a start hands to a worker.
#pragma once

#include "pg/pg.h"

extern "C" {
__attribute__((visibility("default"))) void raxx_detect_launcher_main(Datum argument);
__attribute__((visibility("default"))) void raxx_detect_worker_main(Datum argument);
__attribute__((visibility("default"))) void raxx_detect_survey_main(Datum argument);
}

namespace raxx::worker {

struct Start {
    Oid database;
    Oid role;       // InvalidOid for the survey
    uint64 number;  // see Database::start
    int slot;
};

// Registers the launcher; only while the server starts.
void register_launcher();

}  // namespace raxx::worker
