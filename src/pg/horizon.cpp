// The oldest transaction that could still write: whose rows will be dated back to before they can be seen.
//
// From shared memory and not from pg_stat_activity, which hides the transactions of others from most roles. What is
// told of them is who and since when, never what they do.
#include "pg/pg.h"
#include "pg/results.h"

extern "C" {
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/backend_status.h"
}

namespace raxx {
namespace {

// No rows come from these.
constexpr int kWithoutRows = PROC_IS_AUTOVACUUM | PROC_IN_VACUUM | PROC_IN_SAFE_IC | PROC_IN_LOGICAL_DECODING;

struct Holder {
    TimestampTz since;
    Oid role;
    int pid;  // 0: there is none
};

#if PG_VERSION_NUM >= 170000
PGPROC* process_of(VirtualTransactionId transaction) { return ProcNumberGetProc(transaction.procNumber); }
LocalTransactionId running_in(const PGPROC* process) { return process->vxid.lxid; }
#else
PGPROC* process_of(VirtualTransactionId transaction) { return BackendIdGetProc(transaction.backendId); }
LocalTransactionId running_in(const PGPROC* process) { return process->lxid; }
#endif

const PgBackendStatus* status_of(int pid) {
    for (int i = 1; i <= pgstat_fetch_stat_numbackends(); ++i) {
#if PG_VERSION_NUM >= 160000
        const LocalPgBackendStatus* local = pgstat_get_local_beentry_by_index(i);
#else
        const LocalPgBackendStatus* local = pgstat_fetch_stat_local_beentry(i);
#endif
        if (local != nullptr && local->backendStatus.st_procpid == pid) return &local->backendStatus;
    }
    return nullptr;
}

// Pid 0 if it has ended meanwhile; its rows can be seen then.
Holder holder_of(VirtualTransactionId transaction) {
    const PGPROC* process = process_of(transaction);
    if (process == nullptr) return {};
    const int pid = process->pid;
    const PgBackendStatus* status = status_of(pid);
    if (status == nullptr || running_in(process) != transaction.localTransactionId) return {};
    // With track_activities off nobody knows when the transaction began, but not before its process did.
    const TimestampTz since =
        status->st_xact_start_timestamp != 0 ? status->st_xact_start_timestamp : status->st_proc_start_timestamp;
    return {since, status->st_userid, pid};
}

Holder oldest_holder() {
    int count = 0;
    const VirtualTransactionId* running =
        GetCurrentVirtualXIDs(InvalidTransactionId, false, false, kWithoutRows, &count);
    Holder oldest = {};
    if (count == 0) return oldest;
    pgstat_clear_backend_activity_snapshot();  // it may be as old as this transaction
    for (int i = 0; i < count; ++i) {
        const Holder holder = holder_of(running[i]);
        if (holder.pid != 0 && (oldest.pid == 0 || holder.since < oldest.since)) oldest = holder;
    }
    return oldest;
}

}  // namespace
}  // namespace raxx

using namespace raxx;

// oldest_transaction(OUT pid int, OUT role name, OUT since timestamptz)
RAXX_FUNCTION(raxx_oldest_transaction) {
    const Holder oldest = oldest_holder();
    NameData role;
    memset(&role, 0, sizeof role);
    bool nulls[] = {oldest.pid == 0, oldest.pid == 0, oldest.pid == 0};
    if (oldest.pid != 0) {
        const char* name = GetUserNameFromId(oldest.role, true);
        if (name != nullptr) namestrcpy(&role, name);
        nulls[1] = name == nullptr;
    }
    Datum values[] = {Int32GetDatum(oldest.pid), NameGetDatum(&role), TimestampTzGetDatum(oldest.since)};
    return return_row(fcinfo, values, nulls);
}
