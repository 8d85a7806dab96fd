// Columns of a source: found by name, checked, and their values turned into bytes and back into text.
//
// Two values are the same entity when their text forms are the same, byte for byte. For types whose binary image is
// equal exactly when the text is, the image itself is used, which saves an output function per row.
#pragma once

#include "pg/network.h"
#include "pg/pg.h"

namespace raxx {

enum class Image { none, by_value, fixed, varlena, text, network, by_output };

struct Column {
    AttrNumber number;
    Oid type;  // of a domain: its base type
    Oid collation;
    Image image;
    int16 length;
    Prefixes prefixes;  // of Image::network
    FmgrInfo output;
};

// Raises undefined_column, listing the columns there are, if the relation has no such column.
Column find_column(Relation relation, const char* name);

// The same, and raises datatype_mismatch unless it is a timestamptz.
Column find_time_column(Relation relation, const char* name);

// The bytes of a value. They live as long as the value, or in the current memory context.
Bytes bytes_of(Column& column, Datum value);

// The bytes of a value of which the text is given.
Bytes bytes_of_text(Column& column, text* value);

// From now on, addresses of the column count as the client networks they are in; other types stay as they are.
void see_networks(Column& column, Prefixes prefixes);

// The text of such bytes, as a text datum.
Datum text_of(Column& column, Bytes bytes);

// Whether an index on the column puts rows of one entity next to each other.
bool groups_entities(const Column& column);

}  // namespace raxx
