// Rows that an evaluation does not get: those of named entities within periods.
//
// Entities are named as findings name them (raxx_detect.bounded_entity): by their text, or where that is longer
// than 200 characters by its beginning and a SHA-256. So it is the row's text that is compared, which is made only
// within the periods, and the hash only where a name that long is there.
#pragma once

#include "pg/column.h"
#include "pg/pg.h"

namespace raxx {

struct LeftOut;

// Two arrays of one length, entities and their periods; nullptr: either is NULL or nothing is left out.
LeftOut* left_out_arguments(FunctionCallInfo fcinfo, int entities, int periods);

// Whether the time lies within a period of any entity.
bool anything_left_out(const LeftOut* left_out, Time time);

// Whether it lies within one of this entity; if so, the row is counted. Leaves memory in the current context.
bool leaves_out(LeftOut* left_out, Time time, Column& column, Bytes entity);

void forget_rows(LeftOut* left_out);
int64 rows_left_out(const LeftOut* left_out);

}  // namespace raxx
