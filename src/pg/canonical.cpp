// Which types have a canonical form, and the forms that take a few lines each; the others are in canonical_*.cpp.
#include "pg/canonical.h"

#include "pg/canonical_parts.h"

extern "C" {
#include <sys/socket.h>

#include "parser/parse_coerce.h"
#include "utils/date.h"
#include "utils/inet.h"
#include "utils/varbit.h"
}

namespace raxx {
namespace {

struct KnownType {
    Oid type;
    Form form;
    const char* kind;
};

constexpr KnownType kKnownTypes[] = {
    {BOOLOID, Form::boolean, "boolean"},
    {INT2OID, Form::int16, "integer"},
    {INT4OID, Form::int32, "integer"},
    {INT8OID, Form::int64, "integer"},
    {FLOAT4OID, Form::float32, "float"},
    {FLOAT8OID, Form::float64, "float"},
    {NUMERICOID, Form::numeric, "numeric"},
    {TEXTOID, Form::text, "text"},
    {VARCHAROID, Form::text, "text"},
    {NAMEOID, Form::name, "text"},
    {BPCHAROID, Form::character, "character"},
    {BYTEAOID, Form::as_it_is, "bytea"},
    {TIMESTAMPTZOID, Form::int64, "timestamptz"},
    {TIMESTAMPOID, Form::int64, "timestamp"},
    {DATEOID, Form::date, "date"},
    {TIMEOID, Form::int64, "time"},
    {TIMETZOID, Form::timetz, "timetz"},
    {INTERVALOID, Form::interval, "interval"},
    {UUIDOID, Form::uuid, "uuid"},
    {INETOID, Form::network, "inet"},
    {CIDROID, Form::network, "cidr"},
    {MACADDROID, Form::macaddr, "macaddr"},
    {MACADDR8OID, Form::macaddr8, "macaddr8"},
    {JSONBOID, Form::jsonb, "jsonb"},
    {JSONOID, Form::text, "json"},
    {BITOID, Form::bits, "bit"},
    {VARBITOID, Form::bits, "bit"},
};

// Text by another name, such as citext: a string type that the server takes for text without a conversion.
bool is_text(Oid type) {
    char category = 0;
    bool preferred = false;
    get_type_category_preferred(type, &category, &preferred);
    return category == TYPCATEGORY_STRING && IsBinaryCoercible(type, TEXTOID);
}

bool set_form(Canonical* result, Form form, const char* kind) {
    result->form = form == Form::text && !converts_text() ? Form::as_it_is : form;
    result->kind = kind;
    return true;
}

bool form_of_base_type(Oid type, MemoryContext memory, Canonical* result) {
    for (const KnownType& known : kKnownTypes) {
        if (known.type == type) return set_form(result, known.form, known.kind);
    }
    const Oid element = get_element_type(type);
    if (OidIsValid(element)) {
        result->elements = make_array_elements(element, memory);
        return result->elements != nullptr && set_form(result, Form::array, array_kind(*result->elements, memory));
    }
    if (get_typtype(type) == TYPTYPE_ENUM) {
        result->labels = make_enum_labels(memory);
        return set_form(result, Form::enumeration, "enum");
    }
    return is_text(type) && set_form(result, Form::text, "text");
}

void append_boolean(CanonicalBuffer* buffer, bool value) {
    const unsigned char image = value ? 1 : 0;
    append_bytes(buffer, &image, sizeof image);
}

void append_float(CanonicalBuffer* buffer, float8 value) {
    constexpr uint64 kNaN = UINT64_C(0x7FF8000000000000);
    uint64 image = 0;
    memcpy(&image, &value, sizeof image);
    append_integer(buffer, static_cast<int64>(value != value ? kNaN : image));
}

void append_date(CanonicalBuffer* buffer, DateADT days) {
    append_integer(buffer, DATE_IS_NOBEGIN(days) ? kMinusInfinity : DATE_IS_NOEND(days) ? kInfinity : days);
}

void append_timetz(CanonicalBuffer* buffer, const TimeTzADT* time) {
    unsigned char image[12];
    put_int64(image, static_cast<uint64>(time->time));
    put_int32(image + 8, static_cast<uint32>(time->zone));
    append_bytes(buffer, image, sizeof image);
}

void append_interval(CanonicalBuffer* buffer, const Interval* interval) {
    unsigned char image[16];
    put_int32(image, static_cast<uint32>(interval->month));
    put_int32(image + 4, static_cast<uint32>(interval->day));
    put_int64(image + 8, static_cast<uint64>(interval->time));
    append_bytes(buffer, image, sizeof image);
}

// An inet holds its family, the length of its prefix, and its address.
void append_network(CanonicalBuffer* buffer, const unsigned char* address) {
    const bool ipv4 = address[0] == PGSQL_AF_INET;
    const size_t size = ipv4 ? 4 : 16;
    unsigned char image[18] = {ipv4 ? static_cast<unsigned char>(4) : static_cast<unsigned char>(6), address[1]};
    memcpy(image + 2, address + 2, size);
    append_bytes(buffer, image, 2 + size);
}

// A bit string holds the number of its bits, and the bits.
void append_bits(CanonicalBuffer* buffer, const unsigned char* bits, size_t size) {
    int32 count = 0;
    memcpy(&count, bits, sizeof count);
    append_int32(buffer, static_cast<uint32>(count));
    append_raw(buffer, bits + sizeof count, size - sizeof count);
}

size_t without_blanks(const unsigned char* text, size_t size) {
    while (size > 0 && text[size - 1] == ' ') --size;
    return size;
}

// Forms that are made of a varlena's bytes, whatever its header.
void append_varlena(CanonicalBuffer* buffer, Form form, const unsigned char* bytes, size_t size) {
    const size_t begin = begin_length(buffer);
    switch (form) {
        case Form::as_it_is:
            append_raw(buffer, bytes, size);
            break;
        case Form::text:
            append_utf8(buffer, bytes, size);
            break;
        case Form::character:
            append_utf8(buffer, bytes, without_blanks(bytes, size));
            break;
        case Form::numeric:
            append_numeric(buffer, bytes, size);
            break;
        case Form::jsonb:
            append_jsonb(buffer, bytes, size);
            break;
        case Form::bits:
            append_bits(buffer, bytes, size);
            break;
        default:
            elog(ERROR, "form %d is not one of a varlena", static_cast<int>(form));
    }
    end_length(buffer, begin);
}

void append_name(CanonicalBuffer* buffer, const NameData& name) {
    const size_t begin = begin_length(buffer);
    append_utf8(buffer, reinterpret_cast<const unsigned char*>(name.data), strnlen(name.data, NAMEDATALEN));
    end_length(buffer, begin);
}

void append_enum(CanonicalBuffer* buffer, EnumLabels* labels, Oid value) {
    const size_t begin = begin_length(buffer);
    append_enum_label(buffer, labels, value);
    end_length(buffer, begin);
}

void append_array_value(CanonicalBuffer* buffer, const ArrayElements& elements, Datum value) {
    ArrayType* array = DatumGetArrayTypeP(value);
    const size_t begin = begin_length(buffer);
    append_array(buffer, elements, array);
    end_length(buffer, begin);
    if (static_cast<void*>(array) != DatumGetPointer(value)) pfree(array);
}

}  // namespace

bool canonical_of_type(Oid type, MemoryContext memory, Canonical* result) {
    check_stack_depth();
    *result = {};
    return SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)) &&
           form_of_base_type(getBaseType(type), memory, result);
}

void raise_no_canonical(Oid type) {
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("type %s has no canonical form", format_type_be(type)),
             errdetail("The hash chain cannot seal values of type %s.", format_type_be(type)),
             errhint("Cast the value to another type, or leave the column out of the chain.")));
    pg_unreachable();
}

CanonicalBuffer canonical_buffer(size_t room) {
    return {static_cast<unsigned char*>(palloc(room)), 0, room, 0, false};
}

void canonical_grow(CanonicalBuffer* buffer, size_t more) {
    if (buffer->most != 0 && buffer->size + more > buffer->most) {
        buffer->overflown = true;
        buffer->size = 0;
        if (more <= buffer->room) return;
    }
    if (more > MaxAllocSize - buffer->size) {
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("canonical form of a row is too large"),
                        errdetail("It has %zu bytes and needs %zu more; the limit is 1 GB.", buffer->size, more),
                        errhint("Leave the column with the large value out of the chain.")));
    }
    const size_t room = Min(Max(2 * buffer->room, buffer->size + more), MaxAllocSize);
    buffer->data = static_cast<unsigned char*>(repalloc(buffer->data, room));
    buffer->room = room;
}

void append_other(CanonicalBuffer* buffer, const Canonical& canonical, Datum value) {
    switch (canonical.form) {
        case Form::boolean:
            return append_boolean(buffer, DatumGetBool(value));
        case Form::float32:
            return append_float(buffer, DatumGetFloat4(value));
        case Form::float64:
            return append_float(buffer, DatumGetFloat8(value));
        case Form::date:
            return append_date(buffer, DatumGetDateADT(value));
        case Form::timetz:
            return append_timetz(buffer, DatumGetTimeTzADTP(value));
        case Form::interval:
            return append_interval(buffer, DatumGetIntervalP(value));
        case Form::macaddr:
            return append_bytes(buffer, DatumGetPointer(value), sizeof(macaddr));
        case Form::macaddr8:
            return append_bytes(buffer, DatumGetPointer(value), sizeof(macaddr8));
        case Form::name:
            return append_name(buffer, *DatumGetName(value));
        case Form::enumeration:
            return append_enum(buffer, canonical.labels, DatumGetObjectId(value));
        case Form::array:
            return append_array_value(buffer, *canonical.elements, value);
        default:
            break;
    }
    const struct varlena* flat = PG_DETOAST_DATUM_PACKED(value);
    const auto* bytes = reinterpret_cast<const unsigned char*>(VARDATA_ANY(flat));
    const size_t size = VARSIZE_ANY_EXHDR(flat);
    if (canonical.form == Form::network) {
        append_network(buffer, bytes);
    } else {
        append_varlena(buffer, canonical.form, bytes, size);
    }
    if (static_cast<const void*>(flat) != DatumGetPointer(value)) pfree(const_cast<struct varlena*>(flat));
}

}  // namespace raxx
