#include "pg/worker/schedule.h"

#include "pg/worker/settings.h"

extern "C" {
#include "common/pg_prng.h"
}

namespace raxx::worker {
namespace {

Database* slots() { return shared()->databases; }

bool is_waiting(State state) {
    return state != State::starting && state != State::running && state != State::ended;
}

bool is_fault(State state) {
    return state == State::refused || state == State::no_extension || state == State::backing_off;
}

TimestampTz interval_of(const Database& slot) { return slot.interval_s * USECS_PER_SEC; }

// Twice as long after each failure, up to a bound, less up to a half by chance, so that what failed together does
// not come back together.
TimestampTz back_off(const Database& slot) {
    const TimestampTz bound = Max(kLongestBackOff, interval_of(slot));
    TimestampTz delay = interval_of(slot);
    for (int i = 0; i < slot.failures && delay < bound; ++i) delay *= 2;
    delay = Min(delay, bound);
    return delay / 2 +
           static_cast<TimestampTz>(pg_prng_double(&pg_global_prng_state) * static_cast<double>(delay) / 2);
}

// ---- what is written to the log: one line when something changes
// ---------------------------------------------------

void tell_failing(const Database& slot) {
    const int code = slot.outcome.result == Result::failed ? slot.outcome.detail : ERRCODE_INTERNAL_ERROR;
    ereport(LOG,
            (errcode(code), errmsg("raxx_detect cannot run the rules of database \"%s\"", NameStr(slot.name)),
             slot.outcome.result == Result::failed
                 ? errdetail("The run failed with SQLSTATE %s; the worker has logged the error.",
                             unpack_sql_state(slot.outcome.detail))
                 : errdetail("The worker ended before it was done."),
             errhint("It is tried again, after ever longer pauses of up to 5 minutes; at once after a reload.")));
}

void tell_recovered(const Database& slot, int failures) {
    ereport(LOG, (errmsg("raxx_detect runs the rules of database \"%s\" again", NameStr(slot.name)),
                  errdetail("%d runs in a row had failed.", failures)));
}

void tell_no_extension(const Database& slot) {
    ereport(LOG, (errcode(ERRCODE_UNDEFINED_OBJECT),
                  errmsg("raxx_detect is enabled in database \"%s\", but not created", NameStr(slot.name)),
                  errhint("Run CREATE EXTENSION raxx_detect CASCADE there, or ALTER DATABASE ... SET "
                          "raxx_detect.enabled = off. It is looked for each minute, and at a reload.")));
}

// Why, what it means and what to do, for each reason to refuse.
struct Refusal {
    Result reason;
    int sqlstate;
    const char* detail;  // with the role's name
    const char* hint;
};

constexpr Refusal kRefusals[] = {
    {Result::no_role, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "raxx_detect.role is not set.",
     "Set it, to a role that is not a superuser, and reload."},
    {Result::unknown_role, ERRCODE_UNDEFINED_OBJECT, "raxx_detect.role is \"%s\", and there is no such role.",
     "Create the role, or set another."},
    {Result::no_login, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
     "raxx_detect.role is \"%s\", which may not log in.", "Run ALTER ROLE ... LOGIN, or set another."},
    {Result::superuser, ERRCODE_INSUFFICIENT_PRIVILEGE, "raxx_detect.role is \"%s\", which is a superuser.",
     "Set a role that is not, or turn on raxx_detect.allow_superuser."},
};

void tell_refused(const Database& slot) {
    for (const Refusal& refusal : kRefusals) {
        if (refusal.reason != slot.outcome.result) continue;
        ereport(LOG, (errcode(refusal.sqlstate),
                      errmsg("raxx_detect refuses to run in database \"%s\"", NameStr(slot.name)),
                      errdetail(refusal.detail, NameStr(slot.role)), errhint("%s", refusal.hint)));
    }
}

void tell(const Database& before, const Database& after) {
    const bool same = before.outcome.result == after.outcome.result;
    if (after.state == State::refused) {
        if (!same || strcmp(NameStr(after.role), NameStr(before.role)) != 0) tell_refused(after);
    } else if (after.state == State::no_extension) {
        if (!same) tell_no_extension(after);
    } else if (after.failures == 1 && before.failures == 0) {
        tell_failing(after);
    } else if (after.failures == 0 && before.failures > 0 && after.state == State::waiting) {
        tell_recovered(after, before.failures);
    }
}

// ---- slots
// ---------------------------------------------------------------------------------------------------------

const DatabaseSettings* said_of(Oid database) {
    for (int i = 0; i < shared()->settings_count; ++i) {
        if (shared()->settings[i].database == database) return &shared()->settings[i];
    }
    return nullptr;
}

bool is_enabled(const DatabaseSettings* said) {
    return said != nullptr && said->has_enabled ? said->enabled : settings().enabled;
}

// The slot of a database, or a free one; nullptr when there is none.
Database* slot_for(Oid database) {
    Database* free_slot = nullptr;
    for (int i = 0; i < shared()->database_count; ++i) {
        Database* slot = &slots()[i];
        if (slot->database == database) return slot;
        if (slot->database == InvalidOid && free_slot == nullptr) free_slot = slot;
    }
    if (free_slot == nullptr && shared()->database_count < kMostDatabases) {
        free_slot = &slots()[shared()->database_count++];
    }
    return free_slot;
}

void configure(Database* slot, const Candidate& candidate, const DatabaseSettings* said, TimestampTz now) {
    const bool is_new = slot->database != candidate.database;
    const int interval_s = said != nullptr && said->interval_s != 0 ? said->interval_s : settings().interval_s;
    if (is_new) {
        *slot = {};
        slot->database = candidate.database;
        slot->next_run = now;
    } else if (slot->state == State::waiting && interval_s != slot->interval_s) {
        slot->next_run = Max(now, slot->started_at + interval_s * USECS_PER_SEC);
    }
    slot->name = candidate.name;
    slot->interval_s = interval_s;
    NameData role = {};
    if (said != nullptr && said->has_role) {
        role = said->role;
    } else {
        namestrcpy(&role, settings().role);
    }
    if (slot->state == State::refused && strcmp(NameStr(role), NameStr(slot->role)) != 0) slot->next_run = now;
    slot->role = role;
}

bool is_wanted(Oid database, const Candidate* candidates, int count) {
    for (int i = 0; i < count; ++i) {
        if (candidates[i].database == database) return is_enabled(said_of(database));
    }
    return false;
}

void free_unwanted(const Candidate* candidates, int count) {
    for (int i = 0; i < shared()->database_count; ++i) {
        Database* slot = &slots()[i];
        if (OidIsValid(slot->database) && is_waiting(slot->state) &&
            !is_wanted(slot->database, candidates, count)) {
            *slot = {};
        }
    }
}

// What comes of an outcome; under the lock.
void draw_conclusion(Database* slot, TimestampTz now) {
    const TimestampTz interval = interval_of(*slot);
    const bool gave_way =
        slot->told && (slot->outcome.result == Result::died || slot->outcome.result == Result::failed);
    if (gave_way) slot->outcome = {Result::gave_way, 0};
    slot->told = false;
    switch (slot->outcome.result) {
        case Result::failed:
        case Result::died:
            ++slot->failures;
            slot->state = State::backing_off;
            slot->next_run = now + back_off(*slot);
            break;
        case Result::gave_way:
            slot->state = State::waiting;
            slot->next_run = now + Max(interval, kPatience);
            break;
        case Result::no_extension:
            slot->failures = 0;
            slot->state = State::no_extension;
            slot->next_run = now + Max(interval, kLookAgain);
            break;
        case Result::disabled:
            slot->state = State::waiting;
            slot->next_run = now + Max(interval, kSurveyEvery);
            break;
        case Result::superuser:
            slot->state = State::refused;
            slot->next_run = now + kSurveyEvery;
            break;
        default:
            slot->failures = 0;
            slot->state = State::waiting;
            slot->next_run = Max(now, slot->started_at + interval);
            break;
    }
}

// The outcome that was before the start: the slot keeps it until the worker leaves its own.
Outcome previous[kMostDatabases];

}  // namespace

void synchronise(const Candidate* candidates, int count, TimestampTz now) {
    static bool told_full = false;
    bool full = false;
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    free_unwanted(candidates, count);
    for (int i = 0; i < count; ++i) {
        const DatabaseSettings* said = said_of(candidates[i].database);
        if (!is_enabled(said)) continue;
        Database* slot = slot_for(candidates[i].database);
        if (slot == nullptr) {
            full = true;
        } else {
            configure(slot, candidates[i], said, now);
        }
    }
    LWLockRelease(shared_lock());
    if (full && !told_full) {
        ereport(LOG, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                      errmsg("raxx_detect runs in no more than %d databases of a server", kMostDatabases),
                      errdetail("It is enabled in more."), errhint("Run the others with pg_cron.")));
    }
    told_full = full;
}

void forget_starts() {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    for (int i = 0; i < shared()->database_count; ++i) {
        Database* slot = &slots()[i];
        previous[i] = slot->outcome;
        if (slot->state != State::starting) continue;
        slot->state = State::waiting;
        slot->start = 0;
    }
    LWLockRelease(shared_lock());
}

void try_again(TimestampTz now) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    for (int i = 0; i < shared()->database_count; ++i) {
        if (is_fault(slots()[i].state)) slots()[i].next_run = now;
    }
    LWLockRelease(shared_lock());
}

void conclude(int slot, bool never_came, TimestampTz now) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    Database* it = &slots()[slot];
    const bool over = it->state == State::ended || (never_came && it->state == State::starting);
    if (!over) {
        LWLockRelease(shared_lock());
        return;
    }
    if (it->state == State::starting) it->outcome = {Result::died, 0};
    Database before = *it;
    before.outcome = previous[slot];
    draw_conclusion(it, now);
    const Database after = *it;
    previous[slot] = after.outcome;
    LWLockRelease(shared_lock());
    if (ProcDiePending == 0) tell(before, after);  // where everything ends, nothing fails
}

int due_slot(TimestampTz now) {
    int found = -1;
    LWLockAcquire(shared_lock(), LW_SHARED);
    for (int i = 0; i < shared()->database_count; ++i) {
        const Database& slot = slots()[i];
        if (!OidIsValid(slot.database) || !is_waiting(slot.state) || slot.next_run > now) continue;
        if (found < 0 || slot.next_run < slots()[found].next_run) found = i;
    }
    LWLockRelease(shared_lock());
    return found;
}

void postpone(int slot, TimestampTz until) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    slots()[slot].next_run = until;
    LWLockRelease(shared_lock());
}

void refuse(int slot, Result reason, TimestampTz now) {
    LWLockAcquire(shared_lock(), LW_EXCLUSIVE);
    Database* it = &slots()[slot];
    const Database before = *it;
    it->state = State::refused;
    it->outcome = {reason, 0};
    it->next_run = now + kSurveyEvery;
    previous[slot] = it->outcome;
    const Database after = *it;
    LWLockRelease(shared_lock());
    tell(before, after);
}

}  // namespace raxx::worker
