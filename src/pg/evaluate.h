// Runs an evaluation over a source: the executor pushes rows through a DestReceiver straight into the core.
#pragma once

#include "pg/left_out.h"
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
void take_back_reading(const Reading& before);  // what has been read since does not count

// The evaluation, finished; it lives in the current memory context and is freed with it. patterns: for the filter
// column, or NULL. left_out: rows that the evaluation does not get, or nullptr. spec.order and the limits are
// filled in here.
Evaluation* evaluate(SourceColumns& columns, Spec spec, TimeRange range, ArrayType* patterns,
                     LeftOut* left_out = nullptr);

// An evaluation that the caller feeds and finishes; otherwise the same.
Evaluation* new_evaluation(Spec spec);
void finish(Evaluation* evaluation);

void define_evaluate_settings();

}  // namespace raxx
