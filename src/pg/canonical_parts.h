// What the files that make canonical forms share. Everything here appends bytes without their length before them.
#pragma once

#include "pg/canonical.h"

namespace raxx {

struct ArrayElements {
    Canonical canonical;
    int16 length;
    bool by_value;
    char alignment;
};

inline void append_raw(CanonicalBuffer* buffer, const void* bytes, size_t size) {
    memcpy(canonical_reserve(buffer, size), bytes, size);
    buffer->size += size;
}

inline void append_int32(CanonicalBuffer* buffer, uint32 value) {
    put_int32(canonical_reserve(buffer, sizeof value), value);
    buffer->size += sizeof value;
}

// For a length that is known only afterwards: begin_length gives the place that end_length fills.
inline size_t begin_length(CanonicalBuffer* buffer) {
    append_int32(buffer, 0);
    return buffer->size;
}

inline void end_length(CanonicalBuffer* buffer, size_t begin) {
    put_int32(buffer->data + begin - kCanonicalLength, static_cast<uint32>(buffer->size - begin));
}

// canonical_text.cpp. Whether text of this database has to be converted; and text as UTF-8, which converts if so.
bool converts_text();
void append_utf8(CanonicalBuffer* buffer, const unsigned char* text, size_t size);

// canonical_numeric.cpp: from what a numeric holds after its header.
void append_numeric(CanonicalBuffer* buffer, const unsigned char* numeric, size_t size);

// canonical_jsonb.cpp: from what a jsonb holds after its header; it need not be aligned.
void append_jsonb(CanonicalBuffer* buffer, const unsigned char* jsonb, size_t size);

// canonical_enum.cpp
EnumLabels* make_enum_labels(MemoryContext memory);
void append_enum_label(CanonicalBuffer* buffer, EnumLabels* labels, Oid value);

// canonical_array.cpp
const ArrayElements* make_array_elements(Oid type, MemoryContext memory);  // nullptr: its values have no form
const char* array_kind(const ArrayElements& elements, MemoryContext memory);
void append_array(CanonicalBuffer* buffer, const ArrayElements& elements, ArrayType* array);

}  // namespace raxx
