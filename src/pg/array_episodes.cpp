// episodes_of: the evaluators over arrays, for rows that SQL has chosen; and add_reading, for rows that SQL has
// judged.
#include "pg/episode_functions.h"
#include "pg/errors.h"
#include "pg/evaluate.h"
#include "pg/pg.h"

namespace raxx {
namespace {

constexpr uint32_t kBatchRows = 1024;

struct Elements {
    Datum* values;
    bool* nulls;
    int count;
};

Elements times_argument(FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "times");
    Elements elements = {};
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL,
                      TYPALIGN_DOUBLE, &elements.values, &elements.nulls, &elements.count);
    return elements;
}

Elements texts_argument(FunctionCallInfo fcinfo, int number, const char* name) {
    require_argument(fcinfo, number, name);
    Elements elements = {};
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &elements.values,
                      &elements.nulls, &elements.count);
    return elements;
}

Method counting_method(FunctionCallInfo fcinfo, int number) {
    require_argument(fcinfo, number, "method");
    const char* name = text_to_cstring(PG_GETARG_TEXT_PP(number));
    if (strcmp(name, "velocity") == 0) return Method::velocity;
    if (strcmp(name, "distinct") == 0) return Method::distinct;
    if (strcmp(name, "ordered") == 0) return Method::ordered;
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown method \"%s\"", name),
             errdetail("Episodes of arrays are found by counting elements or distinct keys, or by steps in order."),
             errhint("The methods are velocity, distinct and ordered.")));
    pg_unreachable();
}

Bytes bytes_of_element(Datum element) {
    const auto* varlena = reinterpret_cast<const struct varlena*>(DatumGetPointer(element));
    return {reinterpret_cast<const unsigned char*>(VARDATA_ANY(varlena)),
            static_cast<uint32_t>(VARSIZE_ANY_EXHDR(varlena))};
}

void require_same_length(int times, const char* name, int count) {
    if (times == count) return;
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("times and %s must be of the same length", name),
             errdetail("They have %d and %d elements.", times, count),
             errhint("Give an element for each row, NULL where there is no value.")));
}

struct Batch {
    Time times[kBatchRows];
    Bytes entities[kBatchRows];
    Bytes keys[kBatchRows];
    uint32_t rows;
};

void hand_on(Batch* batch, Evaluation* evaluation, bool with_keys) {
    const Rows rows = {batch->rows, batch->times, batch->entities, with_keys ? batch->keys : nullptr};
    Error error;
    Status status = Status::more;
    while (status == Status::more) {
        CHECK_FOR_INTERRUPTS();
        status = evaluation_add(evaluation, rows, &error);
        check(status, error);
    }
    if (status == Status::reread) {
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the arrays need more memory than they may have"),
                 errdetail("Sorting them takes more than half of raxx_detect.memory_limit."),
                 errhint("Give fewer rows, or raise raxx_detect.memory_limit.")));
    }
    batch->rows = 0;
}

void feed(Evaluation* evaluation, const Elements& times, const Elements& entities, const Elements* keys) {
    auto* batch = static_cast<Batch*>(palloc(sizeof(Batch)));
    batch->rows = 0;
    Reading reading = {times.count, 0, 0};
    for (int i = 0; i < times.count; ++i) {
        if (times.nulls[i] || entities.nulls[i] || (keys != nullptr && keys->nulls[i])) {
            ++reading.null_rows;
            continue;
        }
        const Time time = DatumGetTimestampTz(times.values[i]);
        if (TIMESTAMP_NOT_FINITE(time)) {
            ++reading.infinite_times;
            continue;
        }
        batch->times[batch->rows] = time;
        batch->entities[batch->rows] = bytes_of_element(entities.values[i]);
        if (keys != nullptr) batch->keys[batch->rows] = bytes_of_element(keys->values[i]);
        if (++batch->rows == kBatchRows) hand_on(batch, evaluation, keys != nullptr);
    }
    hand_on(batch, evaluation, keys != nullptr);
    add_reading(reading);
}

}  // namespace
}  // namespace raxx

using namespace raxx;

// episodes_of(method, times, entities, keys, time_window, threshold)
RAXX_FUNCTION(raxx_episodes_of) {
    Spec spec = {};
    spec.method = counting_method(fcinfo, 0);
    spec.order = Order::none;
    spec.window = positive_interval(fcinfo, 4, "time_window");
    spec.threshold = threshold_argument(fcinfo, 5);
    const bool with_keys = spec.method != Method::velocity;
    const Elements times = times_argument(fcinfo, 1);
    const Elements entities = texts_argument(fcinfo, 2, "entities");
    require_same_length(times.count, "entities", entities.count);
    const Elements keys = with_keys ? texts_argument(fcinfo, 3, "keys") : Elements{};
    if (with_keys) require_same_length(times.count, "keys", keys.count);
    Evaluation* evaluation = new_evaluation(spec);
    feed(evaluation, times, entities, with_keys ? &keys : nullptr);
    finish(evaluation);
    Column column = {};
    column.image = Image::text;
    return_episodes(fcinfo, evaluation, &column);
    return static_cast<Datum>(0);
}

// add_reading(rows_read, null_rows)
RAXX_FUNCTION(raxx_add_reading) {
    add_reading({PG_GETARG_INT64(0), PG_GETARG_INT64(1), 0});
    PG_RETURN_VOID();
}
