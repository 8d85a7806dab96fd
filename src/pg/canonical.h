// The canonical form of values: the bytes that stand for them in the hash chain. docs/chain-format.md defines them.
//
// They are made by hand from the stored values, never by output or send functions, and do not depend on a setting,
// on how a value is stored (toasted, with a short header), or on the encoding of the database. Rows are many and
// their values small, so what is usual is done here, in line.
#pragma once

#include "pg/pg.h"

extern "C" {
#include "port/pg_bswap.h"
}

namespace raxx {

// How the values of a type become bytes.
enum class Form : uint8_t {
    boolean,
    int16,
    int32,
    int64,
    date,
    float32,
    float64,
    uuid,
    as_it_is,  // a varlena's bytes
    text,      // the same, converted to UTF-8
    name,
    character,
    numeric,
    timetz,
    interval,
    network,
    macaddr,
    macaddr8,
    jsonb,
    enumeration,
    bits,
    array,
};

struct ArrayElements;
struct EnumLabels;

struct Canonical {
    Form form;
    const char* kind;               // as a manifest names it: "integer", "array of text"
    const ArrayElements* elements;  // of Form::array
    EnumLabels* labels;             // of Form::enumeration
};

// False if the chain has no form for values of the type. What belongs to the form is made in `memory`.
bool canonical_of_type(Oid type, MemoryContext memory, Canonical* result);

// Raises feature_not_supported, naming the type.
[[noreturn]] void raise_no_canonical(Oid type);

// Where the forms are appended, one after another; it grows by repalloc. Several rows may be in it: whoever keeps
// their places may go on until it holds a megabyte or so, take them, and set the size back to 0.
struct CanonicalBuffer {
    unsigned char* data;
    size_t size;
    size_t room;
    size_t most;     // what would be more is let go, and overflown says so; 0: it is an error, at 1 GB
    bool overflown;  // what is there means nothing
};

// An empty one, in the current memory context.
CanonicalBuffer canonical_buffer(size_t room);

// Makes room; raises program_limit_exceeded where that would be more than a palloc gives (1 GB), and begins again
// from the front where it would be more than the buffer is to hold.
void canonical_grow(CanonicalBuffer* buffer, size_t more);

// The end of what is there, with room for so many bytes.
inline unsigned char* canonical_reserve(CanonicalBuffer* buffer, size_t more) {
    if (unlikely(more > buffer->room - buffer->size)) canonical_grow(buffer, more);
    return buffer->data + buffer->size;
}

inline void put_int32(unsigned char* at, uint32 value) {
    const uint32 image = pg_hton32(value);
    memcpy(at, &image, sizeof image);
}

inline void put_int64(unsigned char* at, uint64 value) {
    const uint64 image = pg_hton64(value);
    memcpy(at, &image, sizeof image);
}

constexpr size_t kCanonicalLength = sizeof(uint32);

// So many bytes, after their length.
inline void append_bytes(CanonicalBuffer* buffer, const void* bytes, size_t size) {
    unsigned char* at = canonical_reserve(buffer, kCanonicalLength + size);
    put_int32(at, static_cast<uint32>(size));
    memcpy(at + kCanonicalLength, bytes, size);
    buffer->size += kCanonicalLength + size;
}

inline void append_integer(CanonicalBuffer* buffer, int64 value) {
    unsigned char* at = canonical_reserve(buffer, kCanonicalLength + sizeof value);
    put_int32(at, sizeof value);
    put_int64(at + kCanonicalLength, static_cast<uint64>(value));
    buffer->size += kCanonicalLength + sizeof value;
}

// What append_canonical does not do itself.
void append_other(CanonicalBuffer* buffer, const Canonical& canonical, Datum value);

// Length and bytes of a value, or the mark of a NULL. Memory needed on the way is taken from the current context
// and given back, so that only an error leaves something there.
inline void append_canonical(CanonicalBuffer* buffer, const Canonical& canonical, Datum value, bool isnull) {
    if (isnull) {
        put_int32(canonical_reserve(buffer, kCanonicalLength), PG_UINT32_MAX);
        buffer->size += kCanonicalLength;
        return;
    }
    switch (canonical.form) {
        case Form::int16:
            return append_integer(buffer, DatumGetInt16(value));
        case Form::int32:
            return append_integer(buffer, DatumGetInt32(value));
        case Form::int64:
            return append_integer(buffer, DatumGetInt64(value));
        case Form::uuid:
            return append_bytes(buffer, DatumGetPointer(value), 16);
        case Form::as_it_is: {
            const auto* bytes = reinterpret_cast<const struct varlena*>(DatumGetPointer(value));
            if (VARATT_IS_EXTERNAL(bytes) || VARATT_IS_COMPRESSED(bytes)) break;
            return append_bytes(buffer, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
        }
        default:
            break;
    }
    append_other(buffer, canonical, value);
}

}  // namespace raxx
