// The canonical form of a jsonb: each value is a tag and what belongs to it, read from the stored tree as it lies.
//
// A container (utils/jsonb.h) is a header, an entry for each child, and the children's bytes; an entry tells the
// length of its child or, now and then, where it ends. An object has the entries of its keys before those of its
// values. Everything is read by memcpy, so that a jsonb with a short header need not be copied to be aligned.
#include "pg/canonical_parts.h"

extern "C" {
#include "utils/jsonb.h"
}

namespace raxx {
namespace {

uint32 read_uint32(const unsigned char* at) {
    uint32 value = 0;
    memcpy(&value, at, sizeof value);
    return value;
}

struct Child {
    uint32 type;
    const unsigned char* data;
    uint32 size;
};

// A way through the children of a container.
struct Children {
    const unsigned char* entry;
    const unsigned char* data;  // of the first child
    uint32 offset;
};

Child next_child(Children* children) {
    const JEntry entry = read_uint32(children->entry);
    const uint32 begin = children->offset;
    children->offset = JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : begin + JBE_OFFLENFLD(entry);
    children->entry += sizeof entry;
    // Numbers and containers begin at a multiple of four.
    const bool aligned =
        (entry & JENTRY_TYPEMASK) == JENTRY_ISNUMERIC || (entry & JENTRY_TYPEMASK) == JENTRY_ISCONTAINER;
    const auto at = static_cast<uint32>(aligned ? INTALIGN(begin) : begin);
    return {entry & JENTRY_TYPEMASK, children->data + at, children->offset - at};
}

void append_tag(CanonicalBuffer* buffer, char tag) { append_raw(buffer, &tag, 1); }

void append_string(CanonicalBuffer* buffer, const Child& string) {
    const size_t begin = begin_length(buffer);
    append_utf8(buffer, string.data, string.size);
    end_length(buffer, begin);
}

void append_number(CanonicalBuffer* buffer, const Child& number) {
    const size_t begin = begin_length(buffer);
    const size_t header = VARATT_IS_1B(number.data) ? VARHDRSZ_SHORT : VARHDRSZ;
    append_numeric(buffer, number.data + header, number.size - header);
    end_length(buffer, begin);
}

void append_child(CanonicalBuffer* buffer, const Child& child) {
    switch (child.type) {
        case JENTRY_ISNULL:
            return append_tag(buffer, 'n');
        case JENTRY_ISBOOL_TRUE:
            return append_tag(buffer, 't');
        case JENTRY_ISBOOL_FALSE:
            return append_tag(buffer, 'f');
        case JENTRY_ISSTRING:
            append_tag(buffer, 's');
            return append_string(buffer, child);
        case JENTRY_ISNUMERIC:
            append_tag(buffer, '#');
            return append_number(buffer, child);
        default:
            return append_jsonb(buffer, child.data, child.size);
    }
}

// ---- objects
// ---------------------------------------------------------------------------------------------------------

// The values' children come after all the keys.
Children values_of(Children keys, uint32 count) {
    for (uint32 i = 0; i < count; ++i) next_child(&keys);
    return keys;
}

void append_members(CanonicalBuffer* buffer, Children keys, uint32 count) {
    Children values = values_of(keys, count);
    for (uint32 i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        append_string(buffer, next_child(&keys));
        append_child(buffer, next_child(&values));
    }
}

struct Member {
    size_t key_begin;
    const unsigned char* key;
    size_t key_size;
    Child value;
};

int compare_members(const void* one, const void* other) {
    const auto* a = static_cast<const Member*>(one);
    const auto* b = static_cast<const Member*>(other);
    if (a->key_size != b->key_size) return a->key_size < b->key_size ? -1 : 1;
    const int order = memcmp(a->key, b->key, a->key_size);
    if (order != 0) return order;
    return a->key_begin < b->key_begin ? -1 : 1;
}

// Keys are stored by length, then by their bytes: in the database's encoding. In UTF-8 their order may be another.
void append_sorted_members(CanonicalBuffer* buffer, Children keys, uint32 count) {
    Children values = values_of(keys, count);
    auto* members = static_cast<Member*>(palloc_extended(count * sizeof(Member), MCXT_ALLOC_HUGE));
    CanonicalBuffer text = canonical_buffer(1024);
    for (uint32 i = 0; i < count; ++i) {
        const Child key = next_child(&keys);
        members[i].key_begin = text.size;
        append_utf8(&text, key.data, key.size);
        members[i].key_size = text.size - members[i].key_begin;
        members[i].value = next_child(&values);
    }
    for (uint32 i = 0; i < count; ++i) members[i].key = text.data + members[i].key_begin;
    qsort(members, count, sizeof(Member), compare_members);
    for (uint32 i = 0; i < count && !buffer->overflown; ++i) {
        CHECK_FOR_INTERRUPTS();
        append_bytes(buffer, members[i].key, members[i].key_size);
        append_child(buffer, members[i].value);
    }
    pfree(text.data);
    pfree(members);
}

void append_object(CanonicalBuffer* buffer, const Children& children, uint32 count) {
    append_tag(buffer, '{');
    append_int32(buffer, count);
    if (converts_text() && count > 0) {
        append_sorted_members(buffer, children, count);
    } else {
        append_members(buffer, children, count);
    }
}

void append_elements(CanonicalBuffer* buffer, Children children, uint32 count) {
    append_tag(buffer, '[');
    append_int32(buffer, count);
    for (uint32 i = 0; i < count && !buffer->overflown; ++i) {
        CHECK_FOR_INTERRUPTS();
        append_child(buffer, next_child(&children));
    }
}

}  // namespace

void append_jsonb(CanonicalBuffer* buffer, const unsigned char* jsonb, [[maybe_unused]] size_t size) {
    check_stack_depth();
    const uint32 header = read_uint32(jsonb);
    const uint32 count = header & JB_CMASK;
    const unsigned char* entries = jsonb + sizeof header;
    const bool object = (header & JB_FOBJECT) != 0;
    Children children = {entries, entries + size_t{object ? 2U : 1U} * count * sizeof(JEntry), 0};
    if (object) return append_object(buffer, children, count);
    // A scalar is stored as the only element of an array that is none.
    if ((header & JB_FSCALAR) != 0) return append_child(buffer, next_child(&children));
    append_elements(buffer, children, count);
}

}  // namespace raxx
