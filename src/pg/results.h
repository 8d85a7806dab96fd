// Results that functions share.
#pragma once

#include "pg/pg.h"

namespace raxx {

// A row of the type that the function is declared to return.
Datum return_row(FunctionCallInfo fcinfo, Datum* values, bool* nulls);

}  // namespace raxx
