// Errors: the one place where a core error becomes an ereport, and the checks of arguments that functions share.
#pragma once

#include "pg/pg.h"

namespace raxx {

// Raises the core's error with its SQLSTATE, DETAIL and HINT.
[[noreturn]] void raise(const Error& error);
inline void check(Status status, const Error& error) {
    if (status == Status::failed) raise(error);
}

// Whether this backend is to end what it does; a stop function for the core. (Other interrupts, which would only
// make the core begin again, wait.)
inline bool interrupted() { return QueryCancelPending != 0 || ProcDiePending != 0; }

// Raises null_value_not_allowed, naming the argument, if it is NULL.
void require_argument(FunctionCallInfo fcinfo, int number, const char* name);

// A window or length in microseconds; raises invalid_parameter_value unless it is positive and has no months.
Time positive_interval(FunctionCallInfo fcinfo, int number, const char* name);

}  // namespace raxx
