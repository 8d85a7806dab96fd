// The survey: a worker of a moment that reads what ALTER DATABASE says. The launcher cannot: without a database, a
// process has no catalogs but those few that the server opens for authentication, and pg_db_role_setting is not
// one.
#include "pg/worker/entry.h"
#include "pg/worker/settings.h"
#include "pg/worker/shared.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_db_role_setting.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
}

namespace raxx::worker {
namespace {

constexpr char kPrefix[] = "raxx_detect.";

// The value of "raxx_detect.NAME=value", or nullptr.
const char* value_of(const char* setting, const char* name) {
    const size_t length = strlen(name);
    if (pg_strncasecmp(setting, kPrefix, sizeof kPrefix - 1) != 0) return nullptr;
    setting += sizeof kPrefix - 1;
    return pg_strncasecmp(setting, name, length) == 0 && setting[length] == '=' ? setting + length + 1 : nullptr;
}

// What cannot be understood is as if it were not there; a session that starts there warns of it.
void read_setting(const char* setting, DatabaseSettings* into) {
    bool enabled = false;
    int interval_s = 0;
    if (const char* value = value_of(setting, "enabled"); value != nullptr && parse_bool(value, &enabled)) {
        into->has_enabled = true;
        into->enabled = enabled;
    } else if (value = value_of(setting, "interval");
               value != nullptr && parse_int(value, &interval_s, GUC_UNIT_S, nullptr) &&
               interval_s >= kShortestInterval && interval_s <= kLongestInterval) {
        into->interval_s = interval_s;
    } else if (value = value_of(setting, "role"); value != nullptr && strlen(value) < NAMEDATALEN) {
        into->has_role = true;
        namestrcpy(&into->role, value);
    }
}

DatabaseSettings read_row(Oid database, Datum array) {
    DatabaseSettings found = {};
    found.database = database;
    Datum* items = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &count);
    for (int i = 0; i < count; ++i) read_setting(TextDatumGetCString(items[i]), &found);
    return found;
}

// The databases that have settings of ours; at most kMostDatabases.
int read_all(DatabaseSettings* found) {
    int count = 0;
    Relation relation = table_open(DbRoleSettingRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple) && count < kMostDatabases;
         tuple = systable_getnext(scan)) {
        const auto* row = reinterpret_cast<Form_pg_db_role_setting>(GETSTRUCT(tuple));
        bool is_null = false;
        const Datum array =
            heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, RelationGetDescr(relation), &is_null);
        if (row->setrole != InvalidOid || row->setdatabase == InvalidOid || is_null) continue;
        const DatabaseSettings settings = read_row(row->setdatabase, array);
        if (settings.has_enabled || settings.has_role || settings.interval_s != 0) found[count++] = settings;
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    return count;
}

}  // namespace
}  // namespace raxx::worker

void raxx_detect_survey_main([[maybe_unused]] Datum argument) {
    using namespace raxx::worker;
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    Start start = {};
    memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof start);
    BackgroundWorkerInitializeConnectionByOid(start.database, InvalidOid, 0);
    StartTransactionCommand();
    auto* found = static_cast<DatabaseSettings*>(palloc0(sizeof(DatabaseSettings) * kMostDatabases));
    const int count = read_all(found);
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    shared()->settings_count = count;
    memcpy(shared()->settings, found, sizeof(DatabaseSettings) * static_cast<size_t>(count));
    shared()->surveyed_at = GetCurrentTimestamp();
    wake_launcher();
    LWLockRelease(shared_lock());
    CommitTransactionCommand();
    proc_exit(0);
}
