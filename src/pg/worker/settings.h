// The worker's settings. Everything but the limit of workers and the permission for superusers can be set for one
// database with ALTER DATABASE; the launcher gets that from the survey, and what is here is the default.
#pragma once

#include "pg/pg.h"

namespace raxx::worker {

struct Settings {
    bool enabled;
    int interval_s;
    char* role;  // "": none
    int max_workers;
    bool allow_superuser;
};

const Settings& settings();
void define_settings();

constexpr int kShortestInterval = 1;
constexpr int kLongestInterval = 24 * 3600;

}  // namespace raxx::worker
