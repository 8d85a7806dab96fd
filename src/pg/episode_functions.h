// What the functions that return episodes share.
#pragma once

#include "pg/column.h"
#include "pg/pg.h"

namespace raxx {

// Raises invalid_parameter_value unless it is at least 1.
int64 threshold_argument(FunctionCallInfo fcinfo, int number);

// The function's result: a row (entity, episode, peak, sample_size) for each episode. key says what entities are.
void return_episodes(FunctionCallInfo fcinfo, const Evaluation* evaluation, Column* key);

}  // namespace raxx
