#include "pg/chain_progress.h"

#include "pg/arguments.h"
#include "pg/errors.h"
#include "pg/results.h"

extern "C" {
#include "access/parallel.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
}

namespace raxx {
namespace {

// The number after those of the server's own commands, so that its views do not show it.
constexpr auto kCommand = static_cast<ProgressCommandType>(PROGRESS_COMMAND_COPY + 1);
constexpr int kRows = 0;
constexpr int kTotal = 1;
constexpr int kStarted = 2;

bool begun = false;
int64 rows_done = 0;

void begin(Oid relation, int64 total) {
    pgstat_progress_start_command(kCommand, relation);
    rows_done = 0;
    pgstat_progress_update_param(kTotal, total);
    pgstat_progress_update_param(kStarted, GetCurrentTimestamp());
    begun = true;
}

const LocalPgBackendStatus* backend(int at) {
#if PG_VERSION_NUM >= 160000
    return pgstat_get_local_beentry_by_index(at);
#else
    return pgstat_fetch_stat_local_beentry(at);
#endif
}

// The process that a parallel worker works for, or the process itself.
int leader_of(int pid) {
    PGPROC* process = BackendPidGetProc(pid);
    // Read without a lock, as pg_stat_activity does: a process that has just ended says nothing worse than
    // something old.
    const PGPROC* leader = process == nullptr ? nullptr : process->lockGroupLeader;
    return leader == nullptr ? pid : leader->pid;
}

}  // namespace

void note_progress(int64 rows) {
    // A parallel worker begins by itself, and ends with its process.
    if (!begun && IsParallelWorker()) begin(InvalidOid, 0);
    if (!begun) return;
    rows_done += rows;
    pgstat_progress_update_param(kRows, rows_done);
}

}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_begin_progress) {
    require_argument(fcinfo, 0, "relation");
    begin(PG_GETARG_OID(0), PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1));
    PG_RETURN_VOID();
}

RAXX_FUNCTION(raxx_end_progress) {
    begun = false;
    pgstat_progress_end_command();
    PG_RETURN_VOID();
}

RAXX_FUNCTION(raxx_progress) {
    ReturnSetInfo* result = start_result(fcinfo);
    const int count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i) {
        const LocalPgBackendStatus* local = backend(i);
        if (local == nullptr || local->backendStatus.st_progress_command != kCommand ||
            local->backendStatus.st_databaseid != MyDatabaseId) {
            continue;
        }
        const PgBackendStatus& status = local->backendStatus;
        Datum values[] = {Int32GetDatum(status.st_procpid),
                          Int32GetDatum(leader_of(status.st_procpid)),
                          ObjectIdGetDatum(status.st_progress_command_target),
                          Int64GetDatum(status.st_progress_param[kRows]),
                          Int64GetDatum(status.st_progress_param[kTotal]),
                          TimestampTzGetDatum(status.st_progress_param[kStarted])};
        bool nulls[lengthof(values)] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
