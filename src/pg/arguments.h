// Arguments that functions over a relation share. number: where the argument stands, or -1 if the function has
// none.
#pragma once

#include "pg/column.h"
#include "pg/pg.h"
#include "pg/source_query.h"

namespace raxx {

// Not NULL.
const char* name_argument(FunctionCallInfo fcinfo, int number, const char* name);

// nullptr for NULL.
const char* optional_name(FunctionCallInfo fcinfo, int number);

// Raises invalid_parameter_value if from is after to.
TimeRange range_arguments(FunctionCallInfo fcinfo, int from, int to);

// The prefix lengths by which addresses of the column are client networks; NULL: they are not.
void network_argument(FunctionCallInfo fcinfo, int number, Column* key);

// An array's elements; neither it nor one of them may be NULL.
struct Elements {
    Datum* values;
    int count;
};
Elements elements_argument(FunctionCallInfo fcinfo, int number, const char* name, Oid type);

}  // namespace raxx
