// velocity_episodes, distinct_episodes, gaps, gap_quantiles, and episodes, which the rules are evaluated with: the
// evaluators as SQL functions over any relation.
#include "pg/episode_functions.h"

#include "pg/arguments.h"
#include "pg/errors.h"
#include "pg/evaluate.h"
#include "pg/pg.h"
#include "pg/results.h"

extern "C" {
#include "common/int.h"
}

namespace raxx {
namespace {

// Where the shared arguments stand; -1: the function has no such argument.
struct Arguments {
    int relation, time, key, value, filter, patterns, network, window, threshold, limits, from, to;
};

// Limits as three arrays: entities, from when on, how many.
KeyLimits* limits_argument(FunctionCallInfo fcinfo, int first, Column* key) {
    const Elements entities = elements_argument(fcinfo, first, "limit_entities", TEXTOID);
    const Elements from = elements_argument(fcinfo, first + 1, "limit_from", TIMESTAMPTZOID);
    const Elements limits = elements_argument(fcinfo, first + 2, "limits", INT8OID);
    if (entities.count != from.count || entities.count != limits.count) {
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("limits must be arrays of the same length"),
                 errdetail("They have %d, %d and %d elements.", entities.count, from.count, limits.count),
                 errhint("Give an entity, a time and a number for each limit.")));
    }
    const auto count = static_cast<Size>(Max(entities.count, 1));
    auto* keys = static_cast<Bytes*>(palloc(count * sizeof(Bytes)));
    auto* times = static_cast<Time*>(palloc(count * sizeof(Time)));
    auto* numbers = static_cast<int64_t*>(palloc(count * sizeof(int64_t)));
    for (int i = 0; i < entities.count; ++i) {
        keys[i] = bytes_of_text(*key, DatumGetTextPP(entities.values[i]));
        times[i] = DatumGetTimestampTz(from.values[i]);
        numbers[i] = DatumGetInt64(limits.values[i]);
    }
    auto* result = static_cast<KeyLimits*>(palloc(sizeof(KeyLimits)));
    *result = {static_cast<uint32_t>(entities.count), keys, times, numbers};
    return result;
}

ArrayType* patterns_argument(FunctionCallInfo fcinfo, int filter, int patterns) {
    if (filter < 0 || PG_ARGISNULL(filter)) return nullptr;
    require_argument(fcinfo, patterns, "patterns");
    return PG_GETARG_ARRAYTYPE_P(patterns);
}

void say_what_was_ignored(const Reading& before) {
    const int64 null_rows = session_reading().null_rows - before.null_rows;
    const int64 infinite_times = session_reading().infinite_times - before.infinite_times;
    if (null_rows == 0 && infinite_times == 0) return;
    ereport(NOTICE, (errmsg("ignored " INT64_FORMAT " rows with a NULL entity or value and " INT64_FORMAT
                            " with an infinite time",
                            null_rows, infinite_times)));
}

Datum range_of(Time from, Time to) {
    TypeCacheEntry* type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
    RangeBound lower = {TimestampTzGetDatum(from), from == kMinusInfinity, true, true};
    RangeBound upper = {TimestampTzGetDatum(to), to == kInfinity, false, false};
#if PG_VERSION_NUM >= 160000
    return RangeTypePGetDatum(make_range(type, &lower, &upper, false, nullptr));
#else
    return RangeTypePGetDatum(make_range(type, &lower, &upper, false));
#endif
}

Datum run_episodes(FunctionCallInfo fcinfo, Method method, const Arguments& at, bool notice) {
    require_argument(fcinfo, at.relation, "relation");
    Spec spec = {};
    spec.method = method;
    spec.window = positive_interval(fcinfo, at.window, "time_window");
    if (at.threshold >= 0) spec.threshold = threshold_argument(fcinfo, at.threshold);
    const TimeRange range = range_arguments(fcinfo, at.from, at.to);
    ArrayType* patterns = patterns_argument(fcinfo, at.filter, at.patterns);
    SourceColumns columns =
        find_source_columns(PG_GETARG_OID(at.relation), name_argument(fcinfo, at.time, "event_time"),
                            name_argument(fcinfo, at.key, "entity"),
                            method == Method::distinct ? name_argument(fcinfo, at.value, "value") : nullptr,
                            optional_name(fcinfo, at.filter));
    network_argument(fcinfo, at.network, &columns.key);
    if (at.limits >= 0) spec.limits = limits_argument(fcinfo, at.limits, &columns.key);
    const Reading before = session_reading();
    // Patterns are found in the text of an address and are texts themselves, whatever type the column has.
    if (method == Method::email_pattern && columns.key.image != Image::text) columns.key.image = Image::by_output;
    Evaluation* evaluation = evaluate(columns, spec, range, patterns);
    if (notice) say_what_was_ignored(before);
    return_episodes(fcinfo, evaluation, &columns.key);
    return static_cast<Datum>(0);
}

Method method_argument(FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "method");
    const char* name = text_to_cstring(PG_GETARG_TEXT_PP(number));
    if (strcmp(name, "velocity") == 0) return Method::velocity;
    if (strcmp(name, "distinct") == 0) return Method::distinct;
    if (strcmp(name, "email_pattern") == 0) return Method::email_pattern;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown method \"%s\"", name),
                    errdetail("Episodes are found by counting rows, values or patterns."),
                    errhint("The methods are velocity, distinct and email_pattern.")));
    pg_unreachable();
}

// For all entities a row where the number of episodes changes; then the levels of those that are watched.
void return_curve(FunctionCallInfo fcinfo, const Evaluation* evaluation, Column* key) {
    ReturnSetInfo* result = start_result(fcinfo);
    const EpisodeCounts counts = evaluation_episode_counts(evaluation);
    for (size_t i = 0; i <= counts.count; ++i) {
        CHECK_FOR_INTERRUPTS();
        const int64 episodes = i < counts.count ? counts.counts[i] : 0;
        if (i > 0 && episodes == counts.counts[i - 1]) continue;
        Datum values[] = {0, 0, Int64GetDatum(static_cast<int64>(i) + 1), Int64GetDatum(episodes)};
        bool nulls[] = {true, true, false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    MemoryContext row_memory =
        AllocSetContextCreate(CurrentMemoryContext, "raxx_detect row", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(row_memory);
    const Episodes levels = evaluation_episodes(evaluation);
    for (size_t i = 0; i < levels.count; ++i) {
        CHECK_FOR_INTERRUPTS();
        const Episode& change = levels.items[i];
        Datum values[] = {text_of(*key, change.key), TimestampTzGetDatum(change.start), Int64GetDatum(change.peak),
                          0};
        bool nulls[] = {false, false, false, true};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        MemoryContextReset(row_memory);
    }
    MemoryContextSwitchTo(caller);
}

struct GapArguments {
    SourceColumns columns;
    TimeRange range;
};

GapArguments gap_arguments(FunctionCallInfo fcinfo) {
    require_argument(fcinfo, 0, "relation");
    const TimeRange range = range_arguments(fcinfo, 3, 4);
    return {
        find_source_columns(PG_GETARG_OID(0), name_argument(fcinfo, 1, "event_time"), nullptr, nullptr, nullptr),
        range};
}

}  // namespace

int64 threshold_argument(FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "threshold");
    const int64 threshold = PG_GETARG_INT64(number);
    if (threshold < 1) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("threshold must be at least 1"),
                        errdetail("It is " INT64_FORMAT ".", threshold),
                        errhint("A threshold of 1 finds every time at which there was anything at all.")));
    }
    return threshold;
}

void return_episodes(FunctionCallInfo fcinfo, const Evaluation* evaluation, Column* key) {
    ReturnSetInfo* result = start_result(fcinfo);
    MemoryContext row_memory =
        AllocSetContextCreate(CurrentMemoryContext, "raxx_detect row", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(row_memory);
    const Episodes episodes = evaluation_episodes(evaluation);
    for (size_t i = 0; i < episodes.count; ++i) {
        CHECK_FOR_INTERRUPTS();
        const Episode& episode = episodes.items[i];
        Datum values[] = {text_of(*key, episode.key), range_of(episode.start, episode.end),
                          Int64GetDatum(episode.peak), Int64GetDatum(episode.rows)};
        const bool nulls[] = {false, false, false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, const_cast<bool*>(nulls));
        MemoryContextReset(row_memory);
    }
    MemoryContextSwitchTo(caller);
}

}  // namespace raxx

using namespace raxx;

// velocity_episodes(relation, event_time, entity, time_window, threshold, from_time, to_time)
RAXX_FUNCTION(raxx_velocity_episodes) {
    return run_episodes(fcinfo, Method::velocity, {0, 1, 2, -1, -1, -1, -1, 3, 4, -1, 5, 6}, true);
}

// distinct_episodes(relation, event_time, entity, value, time_window, threshold, from_time, to_time)
RAXX_FUNCTION(raxx_distinct_episodes) {
    return run_episodes(fcinfo, Method::distinct, {0, 1, 2, 3, -1, -1, -1, 4, 5, -1, 6, 7}, true);
}

// episodes(method, relation, event_time, entity, value, filter, patterns, network, time_window, threshold,
// from_time, to_time)
RAXX_FUNCTION(raxx_episodes) {
    return run_episodes(fcinfo, method_argument(fcinfo, 0), {1, 2, 3, 4, 5, 6, 7, 8, 9, -1, 10, 11}, false);
}

// limited_episodes(method, relation, event_time, entity, value, filter, patterns, network, time_window,
// limit_entities, limit_from, limits, from_time, to_time)
RAXX_FUNCTION(raxx_limited_episodes) {
    return run_episodes(fcinfo, method_argument(fcinfo, 0), {1, 2, 3, 4, 5, 6, 7, 8, -1, 9, 12, 13}, false);
}

// threshold_curve(method, relation, event_time, entity, value, network, time_window, watched, from_time, to_time)
RAXX_FUNCTION(raxx_threshold_curve) {
    require_argument(fcinfo, 1, "relation");
    const Method method = method_argument(fcinfo, 0);
    if (method != Method::velocity && method != Method::distinct) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("only counts have a curve"),
                        errdetail("Each threshold's episodes are counted by rows or by values."),
                        errhint("The methods are velocity and distinct.")));
    }
    Spec spec = {};
    spec.method = method == Method::distinct ? Method::distinct_counts : Method::velocity_counts;
    spec.window = positive_interval(fcinfo, 6, "time_window");
    TimeRange range = range_arguments(fcinfo, 8, 9);
    spec.count_from = range.from;
    if (range.from != kMinusInfinity && pg_sub_s64_overflow(range.from, spec.window, &range.from)) {
        range.from = kMinusInfinity;
    }
    SourceColumns columns = find_source_columns(
        PG_GETARG_OID(1), name_argument(fcinfo, 2, "event_time"), name_argument(fcinfo, 3, "entity"),
        method == Method::distinct ? name_argument(fcinfo, 4, "value") : nullptr, nullptr);
    network_argument(fcinfo, 5, &columns.key);
    const Elements watched = elements_argument(fcinfo, 7, "watched", TEXTOID);
    auto* keys = static_cast<Bytes*>(palloc(static_cast<Size>(Max(watched.count, 1)) * sizeof(Bytes)));
    for (int i = 0; i < watched.count; ++i) keys[i] = bytes_of_text(columns.key, DatumGetTextPP(watched.values[i]));
    const KeyList list = {static_cast<uint32_t>(watched.count), keys};
    spec.watched = &list;
    return_curve(fcinfo, evaluate(columns, spec, range, nullptr), &columns.key);
    return static_cast<Datum>(0);
}

// gaps(relation, event_time, longer_than, from_time, to_time)
RAXX_FUNCTION(raxx_gaps) {
    Spec spec = {};
    spec.method = Method::gaps;
    spec.window = positive_interval(fcinfo, 2, "longer_than");
    GapArguments arguments = gap_arguments(fcinfo);
    Evaluation* evaluation = evaluate(arguments.columns, spec, arguments.range, nullptr);
    ReturnSetInfo* result = start_result(fcinfo);
    const Episodes gaps = evaluation_episodes(evaluation);
    for (size_t i = 0; i < gaps.count; ++i) {
        CHECK_FOR_INTERRUPTS();
        const Episode& gap = gaps.items[i];
        Datum values[] = {
            range_of(gap.start, gap.end),
            DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(gap.end), TimestampTzGetDatum(gap.start))};
        bool nulls[] = {false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}

// gap_quantiles(relation, event_time, quantile, from_time, to_time)
RAXX_FUNCTION(raxx_gap_quantiles) {
    require_argument(fcinfo, 2, "quantile");
    Spec spec = {};
    spec.method = Method::gap_quantiles;
    spec.quantile = PG_GETARG_FLOAT8(2);
    if (!(spec.quantile >= 0 && spec.quantile <= 1)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("quantile must be from 0 to 1"),
                        errdetail("It is %g.", spec.quantile), errhint("The 99.9th percentile is 0.999.")));
    }
    GapArguments arguments = gap_arguments(fcinfo);
    Evaluation* evaluation = evaluate(arguments.columns, spec, arguments.range, nullptr);
    ReturnSetInfo* result = start_result(fcinfo);
    const HourlyGaps hours = evaluation_hourly_gaps(evaluation);
    for (int hour = 0; hour < 24; ++hour) {
        if (hours.count[hour] == 0) continue;
        Datum values[] = {
            Int32GetDatum(hour), Int64GetDatum(hours.count[hour]),
            DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(hours.quantile[hour]), TimestampTzGetDatum(0))};
        bool nulls[] = {false, false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}

// reading(OUT rows_read, OUT null_rows, OUT infinite_times)
RAXX_FUNCTION(raxx_reading) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "reading must return a row");
    }
    const Reading& reading = session_reading();
    Datum values[] = {Int64GetDatum(reading.rows), Int64GetDatum(reading.null_rows),
                      Int64GetDatum(reading.infinite_times)};
    bool nulls[] = {false, false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

// text_of(anyelement)
RAXX_FUNCTION(raxx_text_of) {
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, 0), &output, &is_varlena);
    return PointerGetDatum(cstring_to_text(OidOutputFunctionCall(output, PG_GETARG_DATUM(0))));
}
