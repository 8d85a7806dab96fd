// Results that functions share.
#pragma once

#include "pg/pg.h"

namespace raxx {

// A row of the type that the function is declared to return.
Datum return_row(FunctionCallInfo fcinfo, Datum* values, bool* nulls);

// Begins a result of rows, which go into its setResult; the function must return a set.
ReturnSetInfo* start_result(FunctionCallInfo fcinfo);

// The same where the rows are single values.
ReturnSetInfo* start_values(FunctionCallInfo fcinfo);

}  // namespace raxx
