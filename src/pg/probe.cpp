// Whether a source has a row in a range at all, what a run asks first, and mostly the only thing it asks; and
// whether a range can be read by itself.
#include "pg/arguments.h"
#include "pg/errors.h"
#include "pg/pg.h"
#include "pg/source_query.h"

using namespace raxx;

// has_rows(relation regclass, event_time name, from_time timestamptz, to_time timestamptz)
RAXX_FUNCTION(raxx_has_rows) {
    require_argument(fcinfo, 0, "relation");
    const char* event_time = name_argument(fcinfo, 1, "event_time");
    const TimeRange range = range_arguments(fcinfo, 2, 3);
    const SourceColumns columns = find_source_columns(PG_GETARG_OID(0), event_time, nullptr, nullptr, nullptr);
    bool volatile result = false;
    SPI_connect();
    enter_source_query();
    PG_TRY();
    {
        const SourceQuery query = source_query(columns, range, false, Effort::index);
        result = run_source_query(query, range, nullptr, nullptr, 1) > 0;
    }
    PG_FINALLY();
    { leave_source_query(); }
    PG_END_TRY();
    SPI_finish();
    PG_RETURN_BOOL(result);
}

// has_time_order(relation regclass, event_time name)
RAXX_FUNCTION(raxx_has_time_order) {
    require_argument(fcinfo, 0, "relation");
    const char* event_time = name_argument(fcinfo, 1, "event_time");
    const SourceColumns columns = find_source_columns(PG_GETARG_OID(0), event_time, nullptr, nullptr, nullptr);
    const TimeRange any_range = {0, 1};  // with two ends, as what is asked for later
    bool volatile result = false;
    SPI_connect();
    enter_source_query();
    PG_TRY();
    { result = source_query(columns, any_range, false, Effort::index).order == Order::by_time; }
    PG_FINALLY();
    { leave_source_query(); }
    PG_END_TRY();
    SPI_finish();
    PG_RETURN_BOOL(result);
}
