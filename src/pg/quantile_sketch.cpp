// The type quantile_sketch: its input and output, its aggregates and what is asked of it.
//
// An aggregate's state is of the type itself, so that partial states travel between processes and machines as
// ordinary values, and nothing is kept in fn_extra. While it is filled it is a hash table with room to spare,
// changed in place; every function takes that form, too, but only the aggregates' states have it. (An expanded
// object of the server's would do without a second form, but each has a memory context of its own, and a hash
// aggregate looks at all of them for each new group.)
#include "pg/quantile_sketch.h"

#include "pg/errors.h"
#include "pg/pg.h"
#include "pg/results.h"
#include "pg/seed.h"

extern "C" {
#include "libpq/pqformat.h"
}

namespace raxx {
namespace {

// ---- the flat form -------------------------------------------------------------------------------------------

// Counts stand before keys, so that they are aligned. The type is aligned like a double, and a value with a short
// header is copied by PG_DETOAST_DATUM.
struct FlatSketch {
    int32 header;  // the server's; use SET_VARSIZE
    uint8 version;
    uint8 zeros[3];
    int64 count;
    float8 min;
    float8 max;
};
constexpr Size kBucketSize = sizeof(int64) + sizeof(int32);
static_assert(sizeof(FlatSketch) == 32);

constexpr Size flat_size(uint32 buckets) { return sizeof(FlatSketch) + buckets * kBucketSize; }

// The arrays behind a flat sketch of so many buckets; the rest of the result is for the caller to fill.
Sketch arrays_of(FlatSketch* flat, uint32 buckets) {
    auto* counts = reinterpret_cast<int64*>(flat + 1);
    return {0, 0, 0, buckets, reinterpret_cast<int32*>(counts + buckets), counts};
}

void write_header(FlatSketch* flat, const Sketch& sketch) {
    *flat = {0, kSketchVersion, {0, 0, 0}, sketch.count, sketch.min, sketch.max};
    SET_VARSIZE(flat, flat_size(sketch.buckets));
}

// Reads a sketch from bytes with these two functions of the core.
Datum read_sketch(Bytes bytes, uint32 (*buckets_of)(Bytes), Status (*read)(Bytes, Sketch*, Error*)) {
    const uint32 room = buckets_of(bytes);
    auto* flat = static_cast<FlatSketch*>(palloc(flat_size(room)));
    Sketch sketch = arrays_of(flat, room);
    Error error;
    check(read(bytes, &sketch, &error), error);
    // Every bucket that there is room for was read, since anything else is refused.
    if (sketch.buckets != room)
        elog(ERROR, "%u buckets of a quantile sketch were read, not %u", sketch.buckets, room);
    write_header(flat, sketch);
    return PointerGetDatum(flat);
}

// ---- the form that is filled ---------------------------------------------------------------------------------

constexpr uint8 kFilled = 0;

// The slots stand behind it. The pointer to them holds only until the value is copied: every use sets it first.
struct FilledSketch {
    int32 header;
    uint8 version;  // kFilled
    uint8 zeros[3];
    SketchTable table;
};
static_assert(sizeof(FilledSketch) % alignof(SketchSlot) == 0);

constexpr Size filled_size(uint32 bits) { return sizeof(FilledSketch) + (sizeof(SketchSlot) << bits); }

FilledSketch* as_filled(void* value) {
    auto* filled = static_cast<FilledSketch*>(value);
    filled->table.slots = reinterpret_cast<SketchSlot*>(filled + 1);
    return filled;
}

FilledSketch* make_filled(uint64 buckets) {
    const uint32 bits = sketch_table_bits(buckets);
    FilledSketch* filled = as_filled(palloc0(filled_size(bits)));
    SET_VARSIZE(filled, filled_size(bits));
    filled->version = kFilled;
    filled->table.bits = bits;
    filled->table.multiplier = hash_seed() | 1;  // odd
    return filled;
}

FilledSketch* with_more_room(const FilledSketch* old, uint64 buckets) {
    FilledSketch* filled = make_filled(buckets);
    SketchSlot* slots = filled->table.slots;
    const uint32 bits = filled->table.bits;
    filled->table = old->table;
    sketch_table_move(&filled->table, slots, bits);
    return filled;
}

FlatSketch* flatten(const FilledSketch* filled) {
    const SketchTable& table = filled->table;
    auto* flat = static_cast<FlatSketch*>(palloc(flat_size(table.buckets)));
    Sketch sketch = arrays_of(flat, table.buckets);
    sketch_from_table(table, &sketch);
    write_header(flat, sketch);
    return flat;
}

// ---- arguments -----------------------------------------------------------------------------------------------

Sketch sketch_of(Datum value) {
    auto* flat = reinterpret_cast<FlatSketch*>(PG_DETOAST_DATUM(value));
    if (flat->version == kFilled) flat = flatten(as_filled(flat));
    const Size size = VARSIZE(flat);
    if (size < sizeof(FlatSketch) || flat->version != kSketchVersion ||
        (size - sizeof(FlatSketch)) % kBucketSize != 0) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("unknown version of a quantile sketch"),
                        errdetail("A stored sketch of %zu bytes is not of raxx_detect's version %d.", size,
                                  static_cast<int>(kSketchVersion)),
                        errhint("Read it with the release of raxx_detect that wrote it, or with a later one.")));
    }
    Sketch sketch = arrays_of(flat, static_cast<uint32>((size - sizeof(FlatSketch)) / kBucketSize));
    sketch.count = flat->count;
    sketch.min = flat->min;
    sketch.max = flat->max;
    return sketch;
}

// The first argument as a table with room for so many buckets more: in an aggregate the state itself if it can be.
FilledSketch* state_to_fill(FunctionCallInfo fcinfo, uint32 more) {
    const Datum value = PG_GETARG_DATUM(0);
    void* pointer = DatumGetPointer(value);
    if (AggCheckCallContext(fcinfo, nullptr) != 0 && !VARATT_IS_EXTENDED(pointer) &&
        static_cast<FlatSketch*>(pointer)->version == kFilled) {
        FilledSketch* state = as_filled(pointer);
        const uint64 buckets = uint64{state->table.buckets} + more;
        return buckets <= sketch_table_room(state->table.bits) ? state : with_more_room(state, buckets);
    }
    const Sketch sketch = sketch_of(value);
    FilledSketch* state = make_filled(uint64{sketch.buckets} + more);
    Error error;
    check(sketch_table_merge(&state->table, sketch, &error), error);
    return state;
}

// Out of an aggregate nobody sees the form that is filled.
Datum return_filled(FunctionCallInfo fcinfo, FilledSketch* filled) {
    if (AggCheckCallContext(fcinfo, nullptr) != 0) return PointerGetDatum(filled);
    return PointerGetDatum(flatten(filled));
}

}  // namespace

Datum sketch_datum(const Sketch& sketch) {
    auto* flat = static_cast<FlatSketch*>(palloc(flat_size(sketch.buckets)));
    const Sketch copy = arrays_of(flat, sketch.buckets);
    memcpy(copy.counts, sketch.counts, sketch.buckets * sizeof *copy.counts);
    memcpy(copy.keys, sketch.keys, sketch.buckets * sizeof *copy.keys);
    write_header(flat, sketch);
    return PointerGetDatum(flat);
}

}  // namespace raxx

using namespace raxx;

// ---- input and output ----------------------------------------------------------------------------------------

RAXX_FUNCTION(raxx_quantile_sketch_in) {
    const char* input = PG_GETARG_CSTRING(0);
    return read_sketch({reinterpret_cast<const unsigned char*>(input), static_cast<uint32_t>(strlen(input))},
                       sketch_text_buckets, sketch_from_text);
}

RAXX_FUNCTION(raxx_quantile_sketch_out) {
    const Sketch sketch = sketch_of(PG_GETARG_DATUM(0));
    auto* output = static_cast<char*>(palloc(sketch_text_limit(sketch) + 1));
    sketch_to_text(sketch, output);
    PG_RETURN_CSTRING(output);
}

RAXX_FUNCTION(raxx_quantile_sketch_recv) {
    auto* message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    const int size = message->len - message->cursor;
    const char* wire = pq_getmsgbytes(message, size);
    return read_sketch({reinterpret_cast<const unsigned char*>(wire), static_cast<uint32_t>(size)},
                       sketch_wire_buckets, sketch_from_wire);
}

RAXX_FUNCTION(raxx_quantile_sketch_send) {
    const Sketch sketch = sketch_of(PG_GETARG_DATUM(0));
    const Size size = sketch_wire_size(sketch);
    auto* wire = static_cast<bytea*>(palloc(VARHDRSZ + size));
    SET_VARSIZE(wire, VARHDRSZ + size);
    sketch_to_wire(sketch, reinterpret_cast<unsigned char*>(VARDATA(wire)));
    PG_RETURN_BYTEA_P(wire);
}

// ---- the aggregates ------------------------------------------------------------------------------------------

// A value, and, where there is a third argument, how often it occurred.
RAXX_FUNCTION(raxx_quantile_sketch_accumulate) {
    const int64 times = PG_NARGS() > 2 ? PG_GETARG_INT64(2) : 1;
    FilledSketch* state = state_to_fill(fcinfo, 1);
    Error error;
    check(sketch_table_add(&state->table, PG_GETARG_FLOAT8(1), times, &error), error);
    return return_filled(fcinfo, state);
}

RAXX_FUNCTION(raxx_quantile_sketch_combine) {
    const Sketch other = sketch_of(PG_GETARG_DATUM(1));
    FilledSketch* state = state_to_fill(fcinfo, other.buckets);
    Error error;
    check(sketch_table_merge(&state->table, other, &error), error);
    return return_filled(fcinfo, state);
}

RAXX_FUNCTION(raxx_quantile_sketch_final) { return sketch_datum(sketch_of(PG_GETARG_DATUM(0))); }

// ---- what is asked of a sketch -------------------------------------------------------------------------------

RAXX_FUNCTION(raxx_quantile) {
    const Sketch sketch = sketch_of(PG_GETARG_DATUM(0));
    double result = 0;
    Error error;
    check(sketch_quantile(sketch, PG_GETARG_FLOAT8(1), &result, &error), error);
    if (sketch.count == 0) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(result);
}

RAXX_FUNCTION(raxx_sketch_count) { PG_RETURN_INT64(sketch_of(PG_GETARG_DATUM(0)).count); }

RAXX_FUNCTION(raxx_sketch_share_above) {
    const Sketch sketch = sketch_of(PG_GETARG_DATUM(0));
    double result = 0;
    Error error;
    check(sketch_share_above(sketch, PG_GETARG_FLOAT8(1), &result, &error), error);
    if (sketch.count == 0) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(result);
}

// sketch_ks_test(quantile_sketch, quantile_sketch, OUT d, OUT p_value)
RAXX_FUNCTION(raxx_sketch_ks_test) {
    KsResult result = {};
    Error error;
    check(sketch_ks_test(sketch_of(PG_GETARG_DATUM(0)), sketch_of(PG_GETARG_DATUM(1)), &result, &error), error);
    Datum values[] = {Float8GetDatum(result.d), Float8GetDatum(result.p_value)};
    bool nulls[] = {false, false};
    return return_row(fcinfo, values, nulls);
}
