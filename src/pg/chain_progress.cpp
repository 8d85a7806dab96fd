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
constexpr int kReplay = 3;  // 1: a backtest, 0: a verification
constexpr int kFrom = 4;
constexpr int kTo = 5;
constexpr int kJudgedTo = 6;
constexpr int kSlices = 7;
constexpr int kFindings = 8;

bool begun = false;
bool replaying = false;
int64 rows_done = 0;
int64 slices_done = 0;

void begin(Oid relation, int64 total) {
    pgstat_progress_start_command(kCommand, relation);
    rows_done = 0;
    pgstat_progress_update_param(kTotal, total);
    pgstat_progress_update_param(kStarted, GetCurrentTimestamp());
    begun = true;
    replaying = false;
}

// An error ends the server's part of it, but not ours.
bool is_current() { return MyBEEntry != nullptr && MyBEEntry->st_progress_command == kCommand; }

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

void note_read(int64 rows) {
    if (replaying && is_current()) note_progress(rows);
}

}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_begin_progress) {
    require_argument(fcinfo, 0, "relation");
    begin(PG_GETARG_OID(0), PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1));
    PG_RETURN_VOID();
}

// begin_replay(relation, from_time, to_time)
RAXX_FUNCTION(raxx_begin_replay) {
    for (int i = 0; i < 3; ++i) require_argument(fcinfo, i, "relation, from_time or to_time");
    begin(PG_GETARG_OID(0), 0);
    pgstat_progress_update_param(kReplay, 1);
    pgstat_progress_update_param(kFrom, PG_GETARG_TIMESTAMPTZ(1));
    pgstat_progress_update_param(kTo, PG_GETARG_TIMESTAMPTZ(2));
    pgstat_progress_update_param(kJudgedTo, kMinusInfinity);
    slices_done = 0;
    replaying = true;
    PG_RETURN_VOID();
}

// note_replay(judged_to, findings)
RAXX_FUNCTION(raxx_note_replay) {
    if (replaying && is_current()) {
        pgstat_progress_update_param(kJudgedTo, PG_GETARG_TIMESTAMPTZ(0));
        pgstat_progress_update_param(kSlices, ++slices_done);
        pgstat_progress_update_param(kFindings, PG_GETARG_INT64(1));
    }
    PG_RETURN_VOID();
}

RAXX_FUNCTION(raxx_end_progress) {
    begun = false;
    replaying = false;
    pgstat_progress_end_command();
    PG_RETURN_VOID();
}

RAXX_FUNCTION(raxx_progress) {
    ReturnSetInfo* result = start_result(fcinfo);
    const int count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i) {
        const LocalPgBackendStatus* local = backend(i);
        if (local == nullptr || local->backendStatus.st_progress_command != kCommand ||
            local->backendStatus.st_databaseid != MyDatabaseId ||
            local->backendStatus.st_progress_param[kReplay] != 0) {
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

// replay_progress(OUT pid, relation, from_time, to_time, judged_to, rows_read, slices, findings, started_at)
RAXX_FUNCTION(raxx_replay_progress) {
    ReturnSetInfo* result = start_result(fcinfo);
    const int count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i) {
        const LocalPgBackendStatus* local = backend(i);
        if (local == nullptr) continue;
        const PgBackendStatus& status = local->backendStatus;
        const int64* params = status.st_progress_param;
        if (status.st_progress_command != kCommand || status.st_databaseid != MyDatabaseId ||
            params[kReplay] != 1) {
            continue;
        }
        Datum values[] = {
            Int32GetDatum(status.st_procpid),       ObjectIdGetDatum(status.st_progress_command_target),
            TimestampTzGetDatum(params[kFrom]),     TimestampTzGetDatum(params[kTo]),
            TimestampTzGetDatum(params[kJudgedTo]), Int64GetDatum(params[kRows]),
            Int64GetDatum(params[kSlices]),         Int64GetDatum(params[kFindings]),
            TimestampTzGetDatum(params[kStarted])};
        bool nulls[lengthof(values)] = {};
        nulls[4] = params[kJudgedTo] == kMinusInfinity;
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
