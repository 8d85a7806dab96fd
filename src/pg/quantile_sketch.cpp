// The type quantile_sketch: its input and output, its aggregates and what is asked of it.
//
// An aggregate's state is of the type itself, so that partial states travel between processes and machines as
// ordinary values. While it is filled it is an expanded object (see the server's utils/expandeddatum.h) in a memory
// context below the aggregate's, which holds a hash table and is changed in place; wherever the value leaves the
// aggregate, the server asks for its flat form. Nothing is kept in fn_extra.
#include "pg/errors.h"
#include "pg/pg.h"
#include "pg/results.h"
#include "pg/seed.h"

extern "C" {
#include "libpq/pqformat.h"
#include "utils/expandeddatum.h"
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

Sketch sketch_of(Datum value) {
    auto* flat = reinterpret_cast<FlatSketch*>(PG_DETOAST_DATUM(value));
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

// ---- the expanded form ---------------------------------------------------------------------------------------

struct SketchObject {
    ExpandedObjectHeader header;
    SketchTable table;
};

SketchObject* object_of(ExpandedObjectHeader* header) { return reinterpret_cast<SketchObject*>(header); }

Size object_flat_size(ExpandedObjectHeader* header) { return flat_size(object_of(header)->table.buckets); }

void flatten_object(ExpandedObjectHeader* header, void* result, [[maybe_unused]] Size size) {
    const SketchTable& table = object_of(header)->table;
    Assert(size == flat_size(table.buckets));
    auto* flat = static_cast<FlatSketch*>(result);
    Sketch sketch = arrays_of(flat, table.buckets);
    sketch_from_table(table, &sketch);
    write_header(flat, sketch);
}

const ExpandedObjectMethods kMethods = {object_flat_size, flatten_object};

void make_room(SketchObject* object, uint64 buckets) {
    SketchTable* table = &object->table;
    if (table->slots != nullptr && buckets <= sketch_table_room(table->bits)) return;
    const uint32 bits = sketch_table_bits(buckets);
    auto* slots =
        static_cast<SketchSlot*>(MemoryContextAllocZero(object->header.eoh_context, sizeof(SketchSlot) << bits));
    SketchSlot* old = table->slots;
    sketch_table_move(table, slots, bits);
    if (old != nullptr) pfree(old);
}

void merge_into(SketchObject* object, const Sketch& other) {
    make_room(object, uint64{object->table.buckets} + other.buckets);
    Error error;
    check(sketch_table_merge(&object->table, other, &error), error);
}

SketchObject* expand(Datum value, MemoryContext parent) {
    MemoryContext context =
        AllocSetContextCreate(parent, "raxx_detect quantile sketch", ALLOCSET_START_SMALL_SIZES);
    auto* object = static_cast<SketchObject*>(MemoryContextAllocZero(context, sizeof(SketchObject)));
    EOH_init_header(&object->header, &kMethods, context);
    object->table.multiplier = hash_seed() | 1;
    merge_into(object, sketch_of(value));
    return object;
}

// The first argument, to be changed: itself where the server says that it may be, else a copy.
SketchObject* writable_argument(FunctionCallInfo fcinfo) {
    const Datum value = PG_GETARG_DATUM(0);
    if (VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(value))) return object_of(DatumGetEOHP(value));
    MemoryContext parent = nullptr;
    if (AggCheckCallContext(fcinfo, &parent) == 0) parent = CurrentMemoryContext;
    return expand(value, parent);
}

}  // namespace
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

RAXX_FUNCTION(raxx_quantile_sketch_accumulate) {
    SketchObject* object = writable_argument(fcinfo);
    make_room(object, uint64{object->table.buckets} + 1);
    Error error;
    check(sketch_table_add(&object->table, PG_GETARG_FLOAT8(1), &error), error);
    return EOHPGetRWDatum(&object->header);
}

RAXX_FUNCTION(raxx_quantile_sketch_combine) {
    SketchObject* object = writable_argument(fcinfo);
    merge_into(object, sketch_of(PG_GETARG_DATUM(1)));
    return EOHPGetRWDatum(&object->header);
}

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
