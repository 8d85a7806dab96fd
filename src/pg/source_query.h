// The query that reads a source, planned once and kept: select time[, key[, value]] from the relation where time is
// in (from, to], in the order that suits the evaluation best.
//
// The plan is generic, because a plan made for each range would cost more than a quiet run; it is kept per relation
// and columns for the session, and made anew after the relation (or an index on it) changed. No text of a user gets
// into it but names, which the server quotes; the patterns of a filter are a parameter.
#pragma once

#include "pg/column.h"
#include "pg/pg.h"

namespace raxx {

struct SourceColumns {
    Oid relation;
    Column time;
    Column key;     // number 0: none
    Column value;   // number 0: none
    Column filter;  // number 0: none; only rows in which it is LIKE ANY of the patterns
};

// Names to columns; nullptr: none. Raises clear errors for what is not there, of a wrong kind, or not permitted.
SourceColumns find_source_columns(Oid relation, const char* time, const char* key, const char* value,
                                  const char* filter);

struct SourceQuery {
    Order order;
    SPIPlanPtr plan;
};

// How to read the rows of a range. whole: everything up to the end is wanted, so that an index on (key, time) may
// be read through. by_key: the evaluation can take rows key by key. sorted: let the executor sort if it must.
SourceQuery source_query(const SourceColumns& columns, bool whole, bool by_key, bool sorted);

// While a kept plan runs it must not be dropped: bracket its execution with these (the second in PG_FINALLY).
void enter_source_query();
void leave_source_query();

// Registers for the news that relations change. Once, when the module is loaded.
void watch_source_relations();

}  // namespace raxx
