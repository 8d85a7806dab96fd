// Runs an evaluation over a source: the executor pushes rows through a DestReceiver straight into the core.
#pragma once

#include "pg/pg.h"
#include "pg/source_query.h"

namespace raxx {

// What the evaluations of this session have seen, all together.
struct Reading {
    int64 rows;            // read
    int64 null_rows;       // ignored for a NULL key or value
    int64 infinite_times;  // ignored for a time of infinity
};
const Reading& session_reading();
void add_reading(const Reading& more);

// The evaluation, finished; it lives in the current memory context and is freed with it. patterns: for the filter
// column, or NULL. spec.order and the limits are filled in here.
Evaluation* evaluate(SourceColumns& columns, Spec spec, TimeRange range, ArrayType* patterns);

// An evaluation that the caller feeds and finishes; otherwise the same.
Evaluation* new_evaluation(Spec spec);
void finish(Evaluation* evaluation);

void define_evaluate_settings();

}  // namespace raxx
