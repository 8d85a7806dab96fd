// raxx_detect.worker_state(): what the worker does in each database, for people and monitoring.
#include "pg/results.h"
#include "pg/worker/shared.h"

extern "C" {
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
}

namespace raxx::worker {
namespace {

const char* state_word(State state) {
    switch (state) {
        case State::starting:
        case State::running:
            return "running";
        case State::no_extension:
            return "no_extension";
        case State::refused:
            return "refused";
        case State::backing_off:
            return "backing_off";
        case State::waiting:
        case State::ended:
            break;
    }
    return "waiting";
}

const char* result_words(Outcome outcome) {
    switch (outcome.result) {
        case Result::none:
            break;
        case Result::ok:
            return "ok";
        case Result::rule_errors:
            return psprintf("error in %d rule%s", outcome.detail, outcome.detail == 1 ? "" : "s");
        case Result::failed:
            return psprintf("failed with SQLSTATE %s", unpack_sql_state(outcome.detail));
        case Result::died:
            return "ended before it was done";
        case Result::gave_way:
            return "gave way to a command that needs the database for itself";
        case Result::no_extension:
            return "the extension is not created";
        case Result::disabled:
            return "disabled";
        case Result::no_role:
            return "raxx_detect.role is not set";
        case Result::unknown_role:
            return "raxx_detect.role does not exist";
        case Result::no_login:
            return "raxx_detect.role may not log in";
        case Result::superuser:
            return "raxx_detect.role is a superuser";
    }
    return nullptr;
}

void put(ReturnSetInfo* result, const Database& database) {
    Datum values[6] = {};
    bool nulls[6] = {};
    const char* words = result_words(database.outcome);
    values[0] = NameGetDatum(&database.name);
    values[1] = CStringGetTextDatum(state_word(database.state));
    values[2] = TimestampTzGetDatum(database.started_at);
    nulls[2] = database.started_at == 0;
    if (words != nullptr) values[3] = CStringGetTextDatum(words);
    nulls[3] = words == nullptr;
    values[4] = Int32GetDatum(database.failures);
    values[5] = TimestampTzGetDatum(database.next_run);
    nulls[5] =
        database.state == State::starting || database.state == State::running || database.state == State::refused;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace
}  // namespace raxx::worker

RAXX_FUNCTION(raxx_worker_state) {
    using namespace raxx::worker;
    ReturnSetInfo* result = raxx::start_result(fcinfo);
    if (shared() == nullptr) return Datum{0};
    LWLockAcquire(shared_lock(), LW_SHARED);
    const int count = shared()->database_count;
    auto* copy = static_cast<Database*>(palloc(sizeof(Database) * static_cast<size_t>(Max(count, 1))));
    memcpy(copy, shared()->databases, sizeof(Database) * static_cast<size_t>(count));
    LWLockRelease(shared_lock());
    for (int i = 0; i < count; ++i) {
        if (OidIsValid(copy[i].database)) put(result, copy[i]);
    }
    return Datum{0};
}
