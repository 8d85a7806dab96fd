// The launcher: connected to no database, it sleeps until a run is due, starts workers, and looks at how they
// ended. What it decides is in schedule.cpp.
#include "pg/worker/entry.h"
#include "pg/worker/schedule.h"
#include "pg/worker/settings.h"

extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/wait_event.h"
}

#include <signal.h>

namespace raxx::worker {
namespace {

constexpr int kRestartAfter_s = 5;
constexpr TimestampTz kRoomEvery = 5 * USECS_PER_SEC;  // how often a full server is asked

BackgroundWorkerHandle* handles[kMostDatabases] = {};
BackgroundWorkerHandle* survey = nullptr;
TimestampTz survey_due = 0;
TimestampTz survey_started_at = 0;
TimestampTz surveyed_at = 0;  // the survey whose news is known
TimestampTz server_full_until = 0;
TimestampTz server_last_full = 0;  // the last time that it was; 0: it is not

uint32 wait_event() {
#if PG_VERSION_NUM >= 170000
    static uint32 event = 0;
    if (event == 0) event = WaitEventExtensionNew("RaxxDetectLauncherMain");
    return event;
#else
    return PG_WAIT_EXTENSION;
#endif
}

BackgroundWorker description(const char* type, const char* function) {
    BackgroundWorker worker = {};
    strlcpy(worker.bgw_name, type, BGW_MAXLEN);
    strlcpy(worker.bgw_type, type, BGW_MAXLEN);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;  // on a standby: once it is promoted
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "raxx_detect", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
    return worker;
}

// ---- starting
// ------------------------------------------------------------------------------------------------------

// A server that is full by turns is full: it is over when nothing was refused for a while.
void note_server_full(bool full, TimestampTz now) {
    if (full) {
        if (server_last_full == 0) {
            ereport(LOG,
                    (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                     errmsg("raxx_detect cannot start a worker: the server's background workers are all in use"),
                     errdetail("It is tried again every 5 seconds, and whenever a worker of its own has ended."),
                     errhint("Raise max_worker_processes.")));
        }
        server_last_full = now;
        server_full_until = now + kRoomEvery;
    } else if (server_last_full != 0 && now > server_last_full + 2 * kRoomEvery) {
        ereport(LOG, (errmsg("raxx_detect can start workers again")));
        server_last_full = 0;
    }
}

BackgroundWorkerHandle* register_worker(BackgroundWorker* worker, const Start& start, TimestampTz now) {
    static_assert(sizeof start <= BGW_EXTRALEN);
    memcpy(worker->bgw_extra, &start, sizeof start);
    worker->bgw_notify_pid = MyProcPid;
    // The handle has to outlive the transaction.
    MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
    BackgroundWorkerHandle* handle = nullptr;
    const bool registered = RegisterDynamicBackgroundWorker(worker, &handle);
    MemoryContextSwitchTo(caller);
    note_server_full(!registered, now);
    return registered ? handle : nullptr;
}

// In the first database that is free; in the next one if the last survey brought nothing, so that no single
// database can be in the way of all.
void start_survey(const Candidate* candidates, int count, TimestampTz now) {
    static int first = 0;
    survey_due = now + kSurveyEvery;
    if (surveyed_at < survey_started_at) ++first;
    survey_started_at = now;
    for (int i = 0; i < count; ++i) {
        const Oid database = candidates[(first + i) % count].database;
        if (!is_free(database)) continue;
        BackgroundWorker worker = description("raxx_detect survey", "raxx_detect_survey_main");
        survey = register_worker(&worker, {database, InvalidOid, 0, -1}, now);
        return;
    }
}

void forget_handle(int slot) {
    if (handles[slot] != nullptr) pfree(handles[slot]);
    handles[slot] = nullptr;
}

// Takes the slot's word back if the server has no room.
void start_worker(int slot, Oid role, TimestampTz now) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    Database* it = &shared()->databases[slot];
    const Database before = *it;
    it->state = State::starting;
    it->start = ++shared()->starts;
    it->started_at = now;
    const Start start = {it->database, role, it->start, slot};
    LWLockRelease(shared_lock());
    BackgroundWorker worker = description("raxx_detect worker", "raxx_detect_worker_main");
    forget_handle(slot);  // of one that is not quite gone, after it said how it went
    handles[slot] = register_worker(&worker, start, now);
    if (handles[slot] != nullptr) return;
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    *it = before;
    LWLockRelease(shared_lock());
}

// How many workers there are.
int busy_workers() {
    int busy = 0;
    LWLockAcquire(shared_lock(), LW_SHARED);
    for (int i = 0; i < shared()->database_count; ++i) {
        const State state = shared()->databases[i].state;
        if (state == State::starting || state == State::running) ++busy;
    }
    LWLockRelease(shared_lock());
    return busy;
}

void start_due(TimestampTz now) {
    while (busy_workers() < settings().max_workers && now >= server_full_until) {
        const int slot = due_slot(now);
        if (slot < 0) return;
        const Database& database = shared()->databases[slot];  // nobody else writes what is read here
        Oid role = InvalidOid;
        const Result reason = find_role(NameStr(database.role), &role);
        if (reason != Result::ok) {
            refuse(slot, reason, now);
        } else if (!is_free(database.database)) {
            postpone(slot, now + kPatience);
        } else {
            start_worker(slot, role, now);
        }
    }
}

// ---- looking after them
// --------------------------------------------------------------------------------------------

bool has_stopped(BackgroundWorkerHandle* handle) {
    pid_t pid = 0;
    return GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
}

void reap(TimestampTz now) {
    for (int i = 0; i < shared()->database_count; ++i) {
        const bool stopped = handles[i] != nullptr && has_stopped(handles[i]);
        conclude(i, stopped, now);
        if (!stopped) continue;
        forget_handle(i);
        server_full_until = 0;
    }
    if (survey != nullptr && has_stopped(survey)) {
        pfree(survey);
        survey = nullptr;
    }
}

// A command that needs a database for itself waits five seconds until it is alone: long runs end for it.
void give_way(TimestampTz now) {
    for (int i = 0; i < shared()->database_count; ++i) {
        Database* slot = &shared()->databases[i];
        LWLockAcquire(shared_lock(), LW_SHARED);
        const bool ask = slot->state == State::running && !slot->told && slot->started_at + kPatience <= now;
        LWLockRelease(shared_lock());
        if (!ask || is_free(slot->database)) continue;
        LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
        if (slot->state == State::running) {  // and cannot leave while the lock is held: the pid is its own
            slot->told = true;
            kill(slot->pid, SIGTERM);
        }
        LWLockRelease(shared_lock());
    }
}

// ---- the loop
// ------------------------------------------------------------------------------------------------------

bool survey_has_news() {
    LWLockAcquire(shared_lock(), LW_SHARED);
    const TimestampTz at = shared()->surveyed_at;
    LWLockRelease(shared_lock());
    const bool news = at != surveyed_at;
    surveyed_at = at;
    return news;
}

// Whether a worker has been there for so long that it may stand in somebody's way.
bool any_long_run(TimestampTz now) {
    bool found = false;
    LWLockAcquire(shared_lock(), LW_SHARED);
    for (int i = 0; i < shared()->database_count && !found; ++i) {
        const Database& slot = shared()->databases[i];
        found = slot.state == State::running && slot.started_at + kPatience <= now;
    }
    LWLockRelease(shared_lock());
    return found;
}

void act(TimestampTz now) {
    reap(now);
    const bool start_a_survey = survey == nullptr && survey_due <= now && server_full_until <= now;
    const bool news = survey_has_news();
    const bool runs_are_due = surveyed_at != 0 && (news || (server_full_until <= now && due_slot(now) >= 0));
    const bool long_runs = any_long_run(now);
    if (!start_a_survey && !runs_are_due && !long_runs) return;
    StartTransactionCommand();
    Candidate* candidates = nullptr;
    const int count = read_databases(&candidates);
    if (start_a_survey) start_survey(candidates, count, now);
    if (runs_are_due) {
        synchronise(candidates, count, now);
        start_due(now);
    }
    if (long_runs) give_way(now);
    CommitTransactionCommand();
}

// Milliseconds until there is something to do that nobody wakes us for.
long time_to_sleep(TimestampTz now) {
    int busy = 0;
    TimestampTz due = now + kSurveyEvery;
    LWLockAcquire(shared_lock(), LW_SHARED);
    for (int i = 0; i < shared()->database_count; ++i) {
        const Database& slot = shared()->databases[i];
        if (!OidIsValid(slot.database)) continue;
        if (slot.state == State::starting || slot.state == State::running) {
            ++busy;
        } else {
            due = Min(due, slot.next_run);
        }
    }
    LWLockRelease(shared_lock());
    TimestampTz until = now + kSurveyEvery;
    if (survey == nullptr) until = Min(until, Max(survey_due, server_full_until));
    if (busy > 0) until = Min(until, now + kPatience);
    if (surveyed_at != 0 && busy < settings().max_workers) until = Min(until, Max(due, server_full_until));
    return TimestampDifferenceMilliseconds(now, until);
}

void reload(TimestampTz now) {
    ConfigReloadPending = 0;
    ProcessConfigFile(PGC_SIGHUP);
    survey_due = now;
    surveyed_at = 0;  // no run before the survey
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    shared()->surveyed_at = 0;
    LWLockRelease(shared_lock());
    try_again(now);
}

void leave_office([[maybe_unused]] int code, [[maybe_unused]] Datum argument) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    shared()->launcher = nullptr;
    LWLockRelease(shared_lock());
}

void take_office() {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    shared()->launcher = MyProc;
    LWLockRelease(shared_lock());
    before_shmem_exit(leave_office, 0);
    forget_starts();
}

}  // namespace

void register_launcher() {
    BackgroundWorker worker = description("raxx_detect launcher", "raxx_detect_launcher_main");
    worker.bgw_restart_time = kRestartAfter_s;
    RegisterBackgroundWorker(&worker);
}

}  // namespace raxx::worker

void raxx_detect_launcher_main([[maybe_unused]] Datum argument) {
    using namespace raxx::worker;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    SetConfigOption("application_name", "raxx_detect launcher", PGC_USERSET, PGC_S_OVERRIDE);
    take_office();
    for (;;) {
        // An exit with 0 would be for good.
        if (ProcDiePending != 0) proc_exit(1);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending != 0) reload(GetCurrentTimestamp());
        act(GetCurrentTimestamp());
        const long pause = time_to_sleep(GetCurrentTimestamp());
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause, wait_event());
        ResetLatch(MyLatch);
    }
}
