#include "pg/evaluate.h"

#include "pg/errors.h"
#include "pg/owned.h"
#include "pg/receiver.h"
#include "pg/seed.h"

extern "C" {
#include "storage/proc.h"
}

namespace raxx {
namespace {

int memory_limit_mb = 1024;
Reading reading;

void free_evaluation(void* evaluation) { evaluation_free(static_cast<Evaluation*>(evaluation)); }

Evaluation* create(const Spec& spec) {
    MemoryContextCallback* callback = prepare_owned(free_evaluation);
    Error error;
    Evaluation* evaluation = evaluation_create(spec, &error);
    return owned(callback, evaluation, error);
}

Spec limited(Spec spec) {
    spec.memory_limit = static_cast<size_t>(memory_limit_mb) << 20;
    spec.seed = hash_seed();
    spec.stop = interrupted;
    return spec;
}

// Reads everything into one evaluation, which lives in `memory`; nullptr, with a greater effort to try, if the rows
// could not be used in the order they came. SPI leaves its own memory context behind, hence the switch.
Evaluation* attempt(MemoryContext memory, SourceColumns& columns, Spec spec, TimeRange range, ArrayType* patterns,
                    LeftOut* left_out, Effort* effort) {
    const SourceQuery query =
        source_query(columns, range, spec.method == Method::velocity && spec.limits == nullptr, *effort);
    *effort = query.effort == Effort::presume ? Effort::index : Effort::sort;
    spec.order = query.order;
    spec.check_order = query.effort == Effort::presume;
    MemoryContextSwitchTo(memory);
    Evaluation* evaluation = create(spec);
    Receiver* receiver = make_receiver(columns, evaluation, &reading, left_out);
    run_source_query(query, range, patterns, as_destination(receiver), 0);
    if (!flush(receiver)) return nullptr;
    finish(evaluation);
    return evaluation;
}

// With ever more effort for the order of the rows, until they could be used.
[[gnu::noinline]] Evaluation* attempt_until_usable(MemoryContext memory, SourceColumns& columns, const Spec& spec,
                                                   const TimeRange* range, ArrayType* patterns, LeftOut* left_out) {
    const Reading before = reading;
    Evaluation* evaluation = nullptr;
    for (Effort effort = Effort::presume; evaluation == nullptr;) {
        MemoryContextReset(memory);
        reading = before;  // rows that are read again count once
        evaluation = attempt(memory, columns, spec, *range, patterns, left_out, &effort);
    }
    return evaluation;
}

}  // namespace

const Reading& session_reading() { return reading; }

void add_reading(const Reading& more) {
    reading.rows += more.rows;
    reading.null_rows += more.null_rows;
    reading.infinite_times += more.infinite_times;
}

void take_back_reading(const Reading& before) { reading = before; }

Evaluation* new_evaluation(Spec spec) { return create(limited(spec)); }

void finish(Evaluation* evaluation) {
    Error error;
    Status status = Status::more;
    while (status == Status::more || status == Status::stopped) {
        CHECK_FOR_INTERRUPTS();  // an interrupt that is no cancel only delays
        status = evaluation_finish(evaluation, &error);
        check(status, error);
    }
}

Evaluation* evaluate(SourceColumns& columns, Spec spec, TimeRange range, ArrayType* patterns, LeftOut* left_out) {
    spec = limited(spec);
    MemoryContext caller = CurrentMemoryContext;
    MemoryContext memory = AllocSetContextCreate(caller, "raxx_detect evaluation", ALLOCSET_DEFAULT_SIZES);
    SPI_connect();

    Evaluation* volatile evaluation = nullptr;
    enter_source_query();
    PG_TRY();
    { evaluation = attempt_until_usable(memory, columns, spec, &range, patterns, left_out); }
    PG_FINALLY();
    { leave_source_query(); }
    PG_END_TRY();

    SPI_finish();
    MemoryContextSwitchTo(caller);
    return evaluation;
}

void define_evaluate_settings() {
    DefineCustomIntVariable(
        "raxx_detect.memory_limit", "Memory that one evaluation may use.",
        "Rows that come unordered are sorted in memory up to half of it, and by the executor beyond; "
        "a window whose rows need more than all of it is an error.",
        &memory_limit_mb, 1024, 16, MAX_KILOBYTES / 1024, PGC_USERSET, GUC_UNIT_MB, nullptr, nullptr, nullptr);
}

}  // namespace raxx
