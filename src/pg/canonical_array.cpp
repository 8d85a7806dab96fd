// The canonical form of an array: its dimensions, then its elements as columns of a row are.
#include "pg/canonical_parts.h"

extern "C" {
#include "access/tupmacs.h"
}

namespace raxx {
namespace {

// An array without elements has no dimensions, though it may have been stored with some.
void append_dimensions(CanonicalBuffer* buffer, const ArrayType* array, int count) {
    const int dimensions = count == 0 ? 0 : ARR_NDIM(array);
    append_int32(buffer, static_cast<uint32>(dimensions));
    for (int i = 0; i < dimensions; ++i) {
        append_int32(buffer, static_cast<uint32>(ARR_DIMS(array)[i]));
        append_int32(buffer, static_cast<uint32>(ARR_LBOUND(array)[i]));
    }
}

const char* next_element(const ArrayElements& elements, const char* at) {
    const char* end = att_addlength_pointer(at, elements.length, at);
    const auto address = reinterpret_cast<uintptr_t>(end);
    return end + (att_align_nominal(address, elements.alignment) - address);
}

}  // namespace

const ArrayElements* make_array_elements(Oid type, MemoryContext memory) {
    auto* elements = static_cast<ArrayElements*>(MemoryContextAllocZero(memory, sizeof(ArrayElements)));
    if (!canonical_of_type(type, memory, &elements->canonical)) return nullptr;
    get_typlenbyvalalign(type, &elements->length, &elements->by_value, &elements->alignment);
    return elements;
}

const char* array_kind(const ArrayElements& elements, MemoryContext memory) {
    MemoryContext before = MemoryContextSwitchTo(memory);
    const char* kind = psprintf("array of %s", elements.canonical.kind);
    MemoryContextSwitchTo(before);
    return kind;
}

void append_array(CanonicalBuffer* buffer, const ArrayElements& elements, ArrayType* array) {
    const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    append_dimensions(buffer, array, count);
    const bits8* present = ARR_NULLBITMAP(array);
    const char* at = ARR_DATA_PTR(array);
    for (int i = 0; i < count && !buffer->overflown; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (present != nullptr && att_isnull(i, present)) {
            append_canonical(buffer, elements.canonical, static_cast<Datum>(0), true);
        } else {
            append_canonical(buffer, elements.canonical, fetch_att(at, elements.by_value, elements.length), false);
            at = next_element(elements, at);
        }
    }
}

}  // namespace raxx
