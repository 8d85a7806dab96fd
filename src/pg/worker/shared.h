// What the launcher, its workers and worker_state() tell each other, in shared memory. One lock guards it, held for
// moments. After a crash the server makes it anew, so that no state outlives the processes it is about.
#pragma once

#include "pg/pg.h"

extern "C" {
#include "storage/lwlock.h"
#include "storage/proc.h"
}

namespace raxx::worker {

constexpr int kMostDatabases = 1024;  // that are enabled, or have settings of their own
constexpr int kMostWorkers = 64;

enum class State : int {
    waiting,       // for next_run
    starting,      // a worker was asked for
    running,       // a worker is there
    ended,         // and is gone; the launcher has not looked yet
    no_extension,  // waiting, for longer
    refused,       // waiting for the configuration to change
    backing_off,   // waiting, for longer after each failure
};

enum class Result : int {
    none,
    ok,
    rule_errors,  // `detail`: how many rules ended in an error
    failed,       // `detail`: the SQLSTATE of the error that ended run_all
    died,         // the worker ended without saying how
    gave_way,     // to a command that needs the database for itself
    no_extension,
    disabled,
    no_role,
    unknown_role,
    no_login,
    superuser,
};

struct Outcome {
    Result result;
    int detail;
};

struct Database {
    Oid database;  // InvalidOid: a free slot
    NameData name;
    State state;
    int interval_s;
    NameData role;           // "": none
    int pid;                 // of the worker that is there
    uint64 start;            // the number of the last start, by which a worker that comes too late knows itself
    TimestampTz started_at;  // 0: never
    TimestampTz next_run;
    Outcome outcome;
    int failures;  // in a row
    bool told;     // the worker was asked to give way
};

// What ALTER DATABASE says.
struct DatabaseSettings {
    Oid database;
    bool has_enabled, enabled;
    int interval_s;  // 0: not said
    bool has_role;
    NameData role;
};

struct Shared {
    PGPROC* launcher;
    uint64 starts;
    TimestampTz surveyed_at;  // 0: not yet
    int settings_count;
    int database_count;  // slots that have been used
    DatabaseSettings settings[kMostDatabases];
    Database databases[kMostDatabases];
};

// Asks for the shared memory; only while the server starts.
void request_shared();
// nullptr where the module was not preloaded.
Shared* shared();
LWLock* shared_lock();
// Wakes the launcher, if there is one; under the lock.
void wake_launcher();

}  // namespace raxx::worker
