#include "pg/worker/settings.h"

#include "pg/worker/shared.h"

namespace raxx::worker {
namespace {

Settings current = {};

}  // namespace

const Settings& settings() { return current; }

// PGC_SUSET is what ALTER DATABASE needs; it keeps ordinary users out, and a reload takes effect at once.
void define_settings() {
    DefineCustomBoolVariable(
        "raxx_detect.enabled", "Whether the background worker runs the rules of a database.",
        "Needs raxx_detect in shared_preload_libraries. Set it for one database with ALTER DATABASE.",
        &current.enabled, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("raxx_detect.interval", "Time between the starts of two runs in a database.", nullptr,
                            &current.interval_s, 60, kShortestInterval, kLongestInterval, PGC_SUSET, GUC_UNIT_S,
                            nullptr, nullptr, nullptr);
    DefineCustomStringVariable("raxx_detect.role", "The role that the background worker's runs connect as.",
                               "It must be able to log in, and should not be a superuser.", &current.role, "",
                               PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("raxx_detect.max_workers", "Databases that are run at the same time.",
                            "Each takes one of max_worker_processes.", &current.max_workers, 2, 1, kMostWorkers,
                            PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("raxx_detect.allow_superuser", "Whether raxx_detect.role may be a superuser.",
                             "Whoever owns a bound relation can run code as the role.", &current.allow_superuser,
                             false, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
}

}  // namespace raxx::worker
