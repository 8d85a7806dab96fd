// Text in the chain is UTF-8, whatever the encoding of the database: so it survives a move to a database of
// another.
//
// The conversions are pg_catalog's own, not those that a search_path may put before them. No text is refused, or
// whoever can write a byte that means nothing could stop the sealing: what has no UTF-8 form is its bytes after an
// FF, which no UTF-8 text begins with. SQL_ASCII does not say what its bytes mean, so they are taken as they are.
#include "pg/canonical_parts.h"

extern "C" {
#include "catalog/pg_conversion.h"
#include "catalog/pg_namespace.h"
#include "mb/pg_wchar.h"
}

namespace raxx {
namespace {

constexpr size_t kChunk = 65536;
constexpr unsigned char kNoUtf8 = 0xFF;

bool is_ascii(const unsigned char* text, size_t size) {
    unsigned char all = 0;
    for (size_t i = 0; i < size; ++i) all |= text[i];
    return all < 0x80;
}

Oid conversion_to_utf8() {
    static Oid conversion = InvalidOid;
    if (!OidIsValid(conversion)) {
        conversion = FindDefaultConversion(PG_CATALOG_NAMESPACE, GetDatabaseEncoding(), PG_UTF8);
    }
    return conversion;
}

// As much of the text as is converted at a time; 0 if its first character has no UTF-8 form.
size_t append_chunk(CanonicalBuffer* buffer, Oid conversion, const unsigned char* text, size_t size) {
    const size_t chunk = Min(size, kChunk);
    const size_t room = (chunk + 1) * MAX_CONVERSION_GROWTH + 1;
    unsigned char* at = canonical_reserve(buffer, room);
    const int taken =
        pg_do_encoding_conversion_buf(conversion, GetDatabaseEncoding(), PG_UTF8, const_cast<unsigned char*>(text),
                                      static_cast<int>(chunk), at, static_cast<int>(room), true);
    buffer->size += strlen(reinterpret_cast<const char*>(at));
    return static_cast<size_t>(taken);
}

bool append_converted(CanonicalBuffer* buffer, const unsigned char* text, size_t size) {
    const Oid conversion = conversion_to_utf8();
    if (!OidIsValid(conversion)) return false;
    size_t done = 0;
    while (done < size) {
        CHECK_FOR_INTERRUPTS();
        const size_t taken = append_chunk(buffer, conversion, text + done, size - done);
        if (taken == 0) return false;
        done += taken;
    }
    return true;
}

}  // namespace

bool converts_text() { return GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII; }

void append_utf8(CanonicalBuffer* buffer, const unsigned char* text, size_t size) {
    const size_t begin = buffer->size;
    if (!converts_text() || is_ascii(text, size)) return append_raw(buffer, text, size);
    if (append_converted(buffer, text, size)) return;
    buffer->size = begin;
    append_raw(buffer, &kNoUtf8, 1);
    append_raw(buffer, text, size);
}

}  // namespace raxx
