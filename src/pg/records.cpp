#include "pg/records.h"

#include "pg/pg.h"

namespace raxx {
namespace {

constexpr int kMinutesOfADay = 24 * 60;

int history_limit_ms = 60000;
int blind_after_s = 300;
int keep_runs_minutes = 400 * kMinutesOfADay;

Interval* interval_of(int64 microseconds, int days) {
    auto* result = static_cast<Interval*>(palloc0(sizeof(Interval)));
    result->time = microseconds;
    result->day = days;
    return result;
}

}  // namespace

void define_record_settings() {
    DefineCustomIntVariable(
        "raxx_detect.history_limit", "Time after which a run of a rule leaves the rest of the history to the next.",
        "The newest minute is judged all the same. 0 judges everything at once.", &history_limit_ms, 60000, 0,
        INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("raxx_detect.blind_after",
                            "How long nobody may run the rules, or a transaction may stay open, before the "
                            "rules count as blind.",
                            "Longer than the time between two calls of run_all(). See raxx_detect.health.",
                            &blind_after_s, 300, 1, 30 * 24 * 3600, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("raxx_detect.keep_runs", "How long the records of runs are kept.",
                            "Records of a rule's changes of state are kept ten times as long; findings are kept.",
                            &keep_runs_minutes, 400 * kMinutesOfADay, 7 * kMinutesOfADay, 36500 * kMinutesOfADay,
                            PGC_USERSET, GUC_UNIT_MIN, nullptr, nullptr, nullptr);
}

}  // namespace raxx

using namespace raxx;

// history_limit() -> interval, NULL for none
RAXX_FUNCTION(raxx_history_limit) {
    if (history_limit_ms == 0) PG_RETURN_NULL();
    PG_RETURN_INTERVAL_P(interval_of(history_limit_ms * INT64CONST(1000), 0));
}

// blind_after() -> interval
RAXX_FUNCTION(raxx_blind_after) { PG_RETURN_INTERVAL_P(interval_of(blind_after_s * USECS_PER_SEC, 0)); }

// keep_runs() -> interval
RAXX_FUNCTION(raxx_keep_runs) {
    PG_RETURN_INTERVAL_P(
        interval_of(keep_runs_minutes % kMinutesOfADay * USECS_PER_MINUTE, keep_runs_minutes / kMinutesOfADay));
}
