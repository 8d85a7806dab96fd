#include "pg/errors.h"

namespace raxx {

void raise(const Error& error) {
    const char* state = error.sqlstate;
    ereport(ERROR, (errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
                    errmsg("%s", error.message), error.detail[0] != '\0' ? errdetail("%s", error.detail) : 0,
                    error.hint[0] != '\0' ? errhint("%s", error.hint) : 0));
    pg_unreachable();
}

void require_argument(FunctionCallInfo fcinfo, int number, const char* name) {
    if (!PG_ARGISNULL(number)) return;
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", name),
                    errdetail("Argument %d, %s, is NULL.", number + 1, name),
                    errhint("Give a value; an open range of time is '-infinity' to 'infinity'.")));
}

Time positive_interval(FunctionCallInfo fcinfo, int number, const char* name) {
    require_argument(fcinfo, number, name);
    const Interval* interval = PG_GETARG_INTERVAL_P(number);
    const char* text = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
    if (interval->month != 0) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must have a fixed length", name),
                        errdetail("\"%s\" has months or years, whose length varies.", text),
                        errhint("Give it in days, hours, minutes or seconds.")));
    }
    Time length = 0;
    if (__builtin_mul_overflow(static_cast<Time>(interval->day), USECS_PER_DAY, &length) ||
        __builtin_add_overflow(length, interval->time, &length) || length <= 0) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be positive", name),
                        errdetail("It is \"%s\".", text), errhint("Give an interval such as '10 minutes'.")));
    }
    return length;
}

}  // namespace raxx
