// The query that reads a source, planned once and kept: select time[, key[, value]] from the relation where time is
// in (from, to], in the order that suits the evaluation best. A bound that is infinite is no condition at all,
// since a condition costs a comparison a row.
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
SourceColumns find_source_columns(Oid oid, const char* time, const char* key, const char* value,
                                  const char* filter);

struct TimeRange {
    Time from;  // exclusive
    Time to;    // inclusive
};

// How much is done for the order of the rows, from the least on.
enum class Effort {
    presume,  // none: read the table as it lies, if it is said to lie in the order of time; the core checks that
    index,    // what an index gives, else none: the core sorts
    sort,     // the executor sorts
};

struct SourceQuery {
    Effort effort;
    Order order;
    SPIPlanPtr plan;
};

// How to read the rows of a range with that effort, or with the next that applies. by_key: the evaluation can take
// rows key by key, and does where an index gives that order and the range has no beginning, so that reading the
// whole index is no waste, or where none gives the order of time.
SourceQuery source_query(const SourceColumns& columns, TimeRange range, bool by_key, Effort effort);

// Runs it, under the planner's settings under which it was planned: no JIT, since compiling a plan that is kept for
// years, for runs that read a minute, is never worth it; and for an ordered query no sort where an index can give
// the order, since the generic plan's guess of half a percent of the rows makes sorting look cheap. A table that is
// read as it lies is read from its beginning. patterns: for the filter column, or nullptr; destination: nullptr for
// nobody; most_rows: 0 for all. Returns how many rows there were.
uint64 run_source_query(const SourceQuery& query, TimeRange range, ArrayType* patterns, DestReceiver* destination,
                        uint64 most_rows);

// Planning and running a source query can run functions that evaluate, too: a query must not be dropped while it is
// in use. Bracket everything from source_query() to the end of its execution with these (the second in PG_FINALLY).
void enter_source_query();
void leave_source_query();

// Registers for the news that relations change. Once, when the module is loaded.
void watch_source_relations();

}  // namespace raxx
