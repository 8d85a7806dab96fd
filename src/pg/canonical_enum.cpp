// The canonical form of an enum's value: its label. The OID that is stored does not survive a restore.
//
// Looking a label up in the catalog cache costs more than all else of a row's form, so the last ones met are kept
// until one changes, each in the one place that its OID may have.
#include "pg/canonical_parts.h"

extern "C" {
#include "catalog/pg_enum.h"
}

namespace raxx {
namespace {

constexpr uint32 kPlaces = 32;

uint64 changes = 0;  // of labels, in any type, that this backend has heard of

void count_change(Datum /*unused*/, int /*cache*/, uint32 /*hash*/) { ++changes; }

void listen_for_changes() {
    static bool listening = false;
    if (listening) return;
    CacheRegisterSyscacheCallback(ENUMOID, count_change, static_cast<Datum>(0));
    listening = true;
}

struct Label {
    Oid value;  // InvalidOid: none is here
    uint32 size;
    unsigned char text[NAMEDATALEN];
};

void look_up(Label* label, Oid value) {
    HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
    if (!HeapTupleIsValid(tuple)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                        errmsg("invalid internal value for enum: %u", value),
                        errdetail("No label of an enum has this OID."),
                        errhint("The type's labels were changed by hand, or the row is damaged.")));
    }
    const char* text = NameStr((reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple)))->enumlabel);
    label->size = static_cast<uint32>(strlen(text));
    memcpy(label->text, text, label->size);
    label->value = value;
    ReleaseSysCache(tuple);
}

}  // namespace

struct EnumLabels {
    uint64 changes;  // when they were looked up
    Label places[kPlaces];
};

EnumLabels* make_enum_labels(MemoryContext memory) {
    listen_for_changes();
    return static_cast<EnumLabels*>(MemoryContextAllocZero(memory, sizeof(EnumLabels)));
}

void append_enum_label(CanonicalBuffer* buffer, EnumLabels* labels, Oid value) {
    if (labels->changes != changes) {
        memset(labels, 0, sizeof *labels);
        labels->changes = changes;
    }
    Label* label = &labels->places[(value / 2) % kPlaces];  // labels made with their type have even OIDs
    if (label->value != value) look_up(label, value);
    append_utf8(buffer, label->text, label->size);
}

}  // namespace raxx
