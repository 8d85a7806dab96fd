// cell_counts: how many rows, or distinct values, of each entity and of all together the cells of a stretch of time
// held. What raxx_detect.learn_counts keeps of a day.
#include "pg/arguments.h"
#include "pg/bytes.h"
#include "pg/errors.h"
#include "pg/evaluate.h"
#include "pg/left_out.h"
#include "pg/pg.h"
#include "pg/quantile_sketch.h"
#include "pg/results.h"

extern "C" {
#include "lib/binaryheap.h"
}

namespace raxx {
namespace {

constexpr int64 kMostKept = 10000000;
constexpr int kHours = 24;

// ---- arguments -----------------------------------------------------------------------------------------------

TimeRange finite_range(FunctionCallInfo fcinfo, int from, int to) {
    const TimeRange range = range_arguments(fcinfo, from, to);
    if (!TIMESTAMP_NOT_FINITE(range.from) && !TIMESTAMP_NOT_FINITE(range.to)) return range;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("from_time and to_time must be finite"),
                    errdetail("Cells begin at from_time, and each has an hour of the clock."),
                    errhint("Give the two midnights of a day.")));
    pg_unreachable();
}

[[noreturn]] void refuse_hours(const char* detail) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("hour_starts and hours must be the hours of the clock"), errdetail("%s", detail),
                    errhint("Take them from raxx_detect.hours_of_cells.")));
    pg_unreachable();
}

void hours_arguments(FunctionCallInfo fcinfo, int first, Cells* cells) {
    const Elements starts = elements_argument(fcinfo, first, "hour_starts", TIMESTAMPTZOID);
    const Elements hours = elements_argument(fcinfo, first + 1, "hours", INT4OID);
    if (starts.count != hours.count) refuse_hours("The two arrays are not of the same length.");
    if (starts.count == 0) refuse_hours("There is none.");
    auto* times = static_cast<Time*>(palloc(static_cast<Size>(starts.count) * sizeof(Time)));
    auto* numbers = static_cast<int32_t*>(palloc(static_cast<Size>(hours.count) * sizeof(int32_t)));
    for (int i = 0; i < starts.count; ++i) {
        times[i] = DatumGetTimestampTz(starts.values[i]);
        numbers[i] = DatumGetInt32(hours.values[i]);
        if (numbers[i] < 0 || numbers[i] >= kHours) refuse_hours("An hour is not from 0 to 23.");
        if (i > 0 && times[i] <= times[i - 1]) refuse_hours("The starts do not ascend.");
    }
    if (times[0] > cells->begin) refuse_hours("The first begins after from_time.");
    cells->hour_count = static_cast<uint32_t>(starts.count);
    cells->hour_starts = times;
    cells->hours = numbers;
}

uint64_t keep_argument(FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "keep");
    const int64 keep = PG_GETARG_INT64(number);
    if (keep < 0 || keep > kMostKept) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("keep must be from 0 to " INT64_FORMAT, kMostKept),
                        errdetail("It is " INT64_FORMAT ".", keep),
                        errhint("It is the number of entities that are wanted one by one.")));
    }
    return static_cast<uint64_t>(keep);
}

// ---- the keys among those with the same sum --------------------------------------------------------------------

// Those that are wanted are the first by their texts, of which a heap holds the best so far, the last on top.
struct Named {
    Bytes name;
    size_t at;  // in CellCounts::keys
};

int compare_names(Datum a, Datum b, [[maybe_unused]] void* argument) {
    return compare_bytes(static_cast<const Named*>(static_cast<void*>(DatumGetPointer(a)))->name,
                         static_cast<const Named*>(static_cast<void*>(DatumGetPointer(b)))->name);
}

// The text of an entity; lives as long as the key or the current memory context.
Bytes name_of(Column& column, Bytes key) {
    if (column.image == Image::text || column.image == Image::by_output) return key;
    return bytes_of_datum(text_of(column, key));
}

// Keeps a name of another memory context, unless it lies in the core.
void assign(Named* named, Column& column, Bytes name, size_t at) {
    if (column.image != Image::text && column.image != Image::by_output) {
        auto* copy = static_cast<unsigned char*>(palloc(name.size + 1));
        memcpy(copy, name.data, name.size);
        if (named->name.data != nullptr) pfree(const_cast<unsigned char*>(named->name.data));
        name.data = copy;
    }
    *named = {name, at};
}

// Which of the tied keys are wanted, so many that some are not.
Named* choose_tied(const CellCounts& counts, Column& column, size_t wanted) {
    auto* chosen = static_cast<Named*>(palloc0(wanted * sizeof(Named)));
    binaryheap* heap = binaryheap_allocate(static_cast<int>(wanted), compare_names, nullptr);
    MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "raxx_detect name", ALLOCSET_DEFAULT_SIZES);
    for (size_t i = 0; i < counts.tied; ++i) {
        CHECK_FOR_INTERRUPTS();
        const size_t at = counts.certain + i;
        MemoryContextReset(scratch);
        MemoryContext caller = MemoryContextSwitchTo(scratch);
        const Bytes name = name_of(column, counts.keys[at]);
        MemoryContextSwitchTo(caller);
        if (i < wanted) {
            assign(&chosen[i], column, name, at);
            binaryheap_add(heap, PointerGetDatum(&chosen[i]));
            continue;
        }
        auto* last = static_cast<Named*>(static_cast<void*>(DatumGetPointer(binaryheap_first(heap))));
        if (compare_bytes(name, last->name) >= 0) continue;
        assign(last, column, name, at);
        binaryheap_replace_first(heap, PointerGetDatum(last));
    }
    return chosen;
}

// ---- the result ------------------------------------------------------------------------------------------------

Datum int8_array(const int64_t* numbers) {
    Datum elements[kHours];
    for (int i = 0; i < kHours; ++i) elements[i] = Int64GetDatum(numbers[i]);
    return PointerGetDatum(
        construct_array(elements, kHours, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum float8_array(const double* numbers) {
    Datum elements[kHours];
    for (int i = 0; i < kHours; ++i) elements[i] = Float8GetDatum(numbers[i]);
    return PointerGetDatum(
        construct_array(elements, kHours, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

struct Output {
    ReturnSetInfo* result;
    MemoryContext memory;  // of one row
    const Evaluation* evaluation;
    CellCounts counts;
    Column* column;
};

void put_all(const Output& output, int64 left_out) {
    const CellCounts& counts = output.counts;
    MemoryContext caller = MemoryContextSwitchTo(output.memory);
    Datum values[] = {0,
                      int8_array(counts.all.cells),
                      int8_array(counts.all.sums),
                      float8_array(counts.all.squares),
                      sketch_datum(counts.sketch),
                      Int64GetDatum(counts.rows),
                      Int64GetDatum(left_out)};
    bool nulls[] = {true, false, false, false, counts.sketch.count == 0, false, false};
    tuplestore_putvalues(output.result->setResult, output.result->setDesc, values, nulls);
    MemoryContextSwitchTo(caller);
}

void put_key(const Output& output, size_t at) {
    CHECK_FOR_INTERRUPTS();
    MemoryContextReset(output.memory);
    MemoryContext caller = MemoryContextSwitchTo(output.memory);
    const HourlyCounts hours = evaluation_key_counts(output.evaluation, at);
    Datum values[] = {text_of(*output.column, output.counts.keys[at]),
                      int8_array(hours.cells),
                      int8_array(hours.sums),
                      float8_array(hours.squares),
                      0,
                      0,
                      0};
    bool nulls[] = {false, false, false, false, true, true, true};
    tuplestore_putvalues(output.result->setResult, output.result->setDesc, values, nulls);
    MemoryContextSwitchTo(caller);
}

void put_keys(const Output& output, uint64_t keep) {
    const CellCounts& counts = output.counts;
    for (size_t i = 0; i < counts.certain; ++i) put_key(output, i);
    const size_t wanted = keep - counts.certain;
    if (wanted >= counts.tied) {
        for (size_t i = 0; i < counts.tied; ++i) put_key(output, counts.certain + i);
        return;
    }
    const Named* chosen = choose_tied(counts, *output.column, wanted);
    for (size_t i = 0; i < wanted; ++i) put_key(output, chosen[i].at);
}

}  // namespace
}  // namespace raxx

using namespace raxx;

// cell_counts(relation, event_time, entity, value, network, cell, from_time, to_time, hour_starts, hours,
// left_out_entities, left_out_periods, keep)
RAXX_FUNCTION(raxx_cell_counts) {
    require_argument(fcinfo, 0, "relation");
    Spec spec = {};
    spec.method = Method::cell_counts;
    spec.window = positive_interval(fcinfo, 5, "cell");
    const TimeRange range = finite_range(fcinfo, 6, 7);
    Cells cells = {};
    cells.begin = range.from;
    cells.distinct = !PG_ARGISNULL(3);
    cells.keep = keep_argument(fcinfo, 12);
    hours_arguments(fcinfo, 8, &cells);
    spec.cells = &cells;
    LeftOut* left_out = left_out_arguments(fcinfo, 10, 11);
    SourceColumns columns =
        find_source_columns(PG_GETARG_OID(0), name_argument(fcinfo, 1, "event_time"),
                            name_argument(fcinfo, 2, "entity"), optional_name(fcinfo, 3), nullptr);
    network_argument(fcinfo, 4, &columns.key);

    // A source is read after from and up to to, here it is from and before to: times are whole microseconds.
    const Reading before = session_reading();
    Evaluation* evaluation = evaluate(columns, spec, {range.from - 1, range.to - 1}, nullptr, left_out);
    take_back_reading(before);
    const Output output = {start_result(fcinfo),
                           AllocSetContextCreate(CurrentMemoryContext, "raxx_detect row", ALLOCSET_DEFAULT_SIZES),
                           evaluation, evaluation_cell_counts(evaluation), &columns.key};
    put_all(output, left_out == nullptr ? 0 : rows_left_out(left_out));
    put_keys(output, cells.keep);
    return static_cast<Datum>(0);
}
