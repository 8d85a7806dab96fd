// The worker: one run of all rules in one database, as raxx_detect.role, in one transaction. It connects, runs,
// says in shared memory how it went, and is gone.
#include "pg/worker/entry.h"
#include "pg/worker/settings.h"
#include "pg/worker/shared.h"

extern "C" {
#include "access/xact.h"
#include "commands/extension.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
}

namespace raxx::worker {
namespace {

// No operator and no name in it that a search path could turn into something else.
constexpr char kRun[] = "SELECT r.outcome FROM raxx_detect.run_all() r";

Start start = {};
NameData name = {};
// How it went, for whoever looks after the end, be that a proc_exit in the middle of things.
Outcome outcome = {Result::died, 0};

// The slot of this worker, unless a newer start has it; under the lock.
Database* own_slot() {
    Database* slot = &shared()->databases[start.slot];
    return slot->database == start.database && slot->start == start.number ? slot : nullptr;
}

bool claim_slot() {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    Database* slot = own_slot();
    const bool mine = slot != nullptr && slot->state == State::starting;
    if (mine) {
        slot->state = State::running;
        slot->pid = MyProcPid;
        name = slot->name;
    }
    LWLockRelease(shared_lock());
    return mine;
}

void leave_slot([[maybe_unused]] int code, [[maybe_unused]] Datum argument) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    Database* slot = own_slot();
    if (slot != nullptr) {
        slot->state = State::ended;
        slot->pid = 0;
        slot->outcome = outcome;
    }
    wake_launcher();
    LWLockRelease(shared_lock());
}

// Whether the last run failed in the same way, so that its error is in the log already.
bool failed_before(int sqlstate) {
    LWLockAcquire(shared_lock(), LW_SHARED);
    const Database* slot = own_slot();
    const bool same = slot != nullptr && slot->failures > 0 && slot->outcome.result == Result::failed &&
                      slot->outcome.detail == sqlstate;
    LWLockRelease(shared_lock());
    return same;
}

int count_errors() {
    int errors = 0;
    for (uint64 i = 0; i < SPI_processed; ++i) {
        const char* said = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
        if (said != nullptr && strcmp(said, "error") == 0) ++errors;
    }
    return errors;
}

Outcome run_rules() {
    SPI_connect();
    PushActiveSnapshot(GetTransactionSnapshot());
    const int result = SPI_execute(kRun, false, 0);
    if (result != SPI_OK_SELECT) elog(ERROR, "could not run the rules: %s", SPI_result_code_string(result));
    const int errors = count_errors();
    SPI_finish();
    PopActiveSnapshot();
    return errors == 0 ? Outcome{Result::ok, 0} : Outcome{Result::rule_errors, errors};
}

void say_where([[maybe_unused]] void* argument) {
    errcontext("raxx_detect worker in database \"%s\"", NameStr(name));
}

Outcome transaction() {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    Outcome said = {Result::no_extension, 0};
    // The server arms statement_timeout for what clients send, and nothing else.
    if (StatementTimeout > 0) enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
    if (!settings().enabled) {
        said = {Result::disabled, 0};
    } else if (superuser() && !settings().allow_superuser) {
        said = {Result::superuser, 0};
    } else if (OidIsValid(get_extension_oid("raxx_detect", true))) {
        pgstat_report_activity(STATE_RUNNING, kRun);
        said = run_rules();
    }
    CommitTransactionCommand();
    disable_timeout(STATEMENT_TIMEOUT, false);
    pgstat_report_activity(STATE_IDLE, nullptr);
    return said;
}

// The error of a run ends the run, not the worker: it is logged when it is news, and the launcher decides what
// next.
[[gnu::noinline]] Outcome guarded_transaction() {
    MemoryContext memory = CurrentMemoryContext;
    Outcome said = {Result::died, 0};
    ErrorContextCallback context = {error_context_stack, say_where, nullptr};
    error_context_stack = &context;
    PG_TRY();
    { said = transaction(); }
    PG_CATCH();
    {
        HOLD_INTERRUPTS();
        disable_timeout(STATEMENT_TIMEOUT, false);
        MemoryContextSwitchTo(memory);
        const ErrorData* error = CopyErrorData();
        said = {Result::failed, error->sqlerrcode};
        if (!failed_before(error->sqlerrcode)) EmitErrorReport();
        FlushErrorState();
        AbortCurrentTransaction();
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
    error_context_stack = context.previous;
    return said;
}

}  // namespace
}  // namespace raxx::worker

void raxx_detect_worker_main([[maybe_unused]] Datum argument) {
    using namespace raxx::worker;
    pqsignal(SIGTERM, die);
    memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof start);
    if (!claim_slot()) proc_exit(0);
    before_shmem_exit(leave_slot, 0);
    BackgroundWorkerUnblockSignals();
    // For good: nothing that a rule reads can RESET or SET its way back to somebody else.
    BackgroundWorkerInitializeConnectionByOid(start.database, start.role, 0);
    SetConfigOption("application_name", "raxx_detect worker", PGC_USERSET, PGC_S_OVERRIDE);
    // In any other isolation a run could settle nothing.
    SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_OVERRIDE);
    outcome = guarded_transaction();
    proc_exit(0);
}
