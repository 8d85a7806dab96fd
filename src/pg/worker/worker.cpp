#include "pg/worker/worker.h"

#include "pg/worker/entry.h"
#include "pg/worker/settings.h"
#include "pg/worker/shared.h"

namespace raxx::worker {

void prepare() {
    define_settings();
    // A server that pg_upgrade has started belongs to pg_upgrade.
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
    request_shared();
    register_launcher();
}

}  // namespace raxx::worker
