#include "pg/column.h"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/datum.h"
}

namespace raxx {
namespace {

// Types whose equal values have equal images, and different values different texts.
Image image_of(Oid type, int16 length, bool by_value) {
    switch (type) {
        case TEXTOID:
        case VARCHAROID:
            return Image::text;
        case INETOID:
        case CIDROID:
            return Image::varlena;
        case UUIDOID:
        case MACADDROID:
            return Image::fixed;
        case BOOLOID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
            return by_value && length <= static_cast<int16>(sizeof(Datum)) ? Image::by_value : Image::by_output;
        default:
            return get_typtype(type) == TYPTYPE_ENUM ? Image::by_value : Image::by_output;
    }
}

const char* list_columns(TupleDesc descriptor) {
    StringInfoData list;
    initStringInfo(&list);
    for (int i = 0; i < descriptor->natts; ++i) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped) {
            appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", NameStr(attribute->attname));
        }
    }
    return list.data;
}

}  // namespace

Column find_column(Relation relation, const char* name) {
    TupleDesc descriptor = RelationGetDescr(relation);
    const AttrNumber number = get_attnum(RelationGetRelid(relation), name);
    if (number <= 0) {
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of relation \"%s\" does not exist", name, RelationGetRelationName(relation)),
                 errdetail("Its columns are %s.", list_columns(descriptor)),
                 errhint("Name one of them; raxx_detect.bind_source maps a role to a column.")));
    }
    Form_pg_attribute attribute = TupleDescAttr(descriptor, number - 1);
    Column column = {};
    column.number = number;
    column.type = getBaseType(attribute->atttypid);
    column.collation = attribute->attcollation;
    column.length = attribute->attlen;
    column.image = image_of(column.type, attribute->attlen, attribute->attbyval);
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(column.type, &output, &is_varlena);
    fmgr_info(output, &column.output);
    return column;
}

Column find_time_column(Relation relation, const char* name) {
    const Column column = find_column(relation, name);
    if (column.type != TIMESTAMPTZOID) {
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("column \"%s\" of relation \"%s\" is not a timestamp with time zone", name,
                        RelationGetRelationName(relation)),
                 errdetail("Its type is %s.", format_type_be(column.type)),
                 errhint("Use a timestamptz column, or a view in which this one is converted with AT TIME ZONE.")));
    }
    return column;
}

Bytes bytes_of(Column& column, Datum value) {
    switch (column.image) {
        case Image::by_value: {
            auto* image = static_cast<unsigned char*>(palloc(sizeof value));
            memcpy(image, &value, sizeof value);
            return {image, sizeof value};
        }
        case Image::fixed:
            return {static_cast<const unsigned char*>(static_cast<void*>(DatumGetPointer(value))),
                    static_cast<uint32_t>(column.length)};
        case Image::text:
        case Image::varlena: {
            const auto* varlena = reinterpret_cast<struct varlena*>(PG_DETOAST_DATUM_PACKED(value));
            return {reinterpret_cast<const unsigned char*>(VARDATA_ANY(varlena)),
                    static_cast<uint32_t>(VARSIZE_ANY_EXHDR(varlena))};
        }
        case Image::network: {
            auto* image = static_cast<NetworkImage*>(palloc(sizeof(NetworkImage)));
            *image = network_of(value, column.prefixes);
            return {image->bytes, image->size};
        }
        case Image::by_output:
        case Image::none:
            break;
    }
    const char* text = OutputFunctionCall(&column.output, value);
    return {reinterpret_cast<const unsigned char*>(text), static_cast<uint32_t>(strlen(text))};
}

Bytes bytes_of_text(Column& column, text* value) {
    const Bytes as_it_is = {reinterpret_cast<const unsigned char*>(VARDATA_ANY(value)),
                            static_cast<uint32_t>(VARSIZE_ANY_EXHDR(value))};
    if (column.image == Image::text || column.image == Image::by_output || column.image == Image::none)
        return as_it_is;
    Oid input = InvalidOid;
    Oid argument = InvalidOid;
    getTypeInputInfo(column.type, &input, &argument);
    return bytes_of(column, OidInputFunctionCall(input, text_to_cstring(value), argument, -1));
}

void see_networks(Column& column, Prefixes prefixes) {
    if (column.type != INETOID && column.type != CIDROID) return;
    column.image = Image::network;
    column.prefixes = prefixes;
}

Datum text_of(Column& column, Bytes bytes) {
    const char* data = reinterpret_cast<const char*>(bytes.data);
    if (column.image == Image::network)
        return PointerGetDatum(cstring_to_text(network_text(bytes.data, bytes.size)));
    if (column.image == Image::text || column.image == Image::by_output || column.image == Image::none) {
        return PointerGetDatum(cstring_to_text_with_len(data, static_cast<int>(bytes.size)));
    }
    Datum value = 0;
    if (column.image == Image::by_value) {
        memcpy(&value, data, sizeof value);
    } else if (column.image == Image::fixed) {
        void* copy = palloc(bytes.size);
        memcpy(copy, data, bytes.size);
        value = PointerGetDatum(copy);
    } else {
        value = PointerGetDatum(cstring_to_text_with_len(data, static_cast<int>(bytes.size)));
    }
    return PointerGetDatum(cstring_to_text(OutputFunctionCall(&column.output, value)));
}

bool groups_entities(const Column& column) {
    return column.image != Image::by_output && column.image != Image::network &&
           (!OidIsValid(column.collation) || get_collation_isdeterministic(column.collation));
}

}  // namespace raxx
