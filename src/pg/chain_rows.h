// Rows of a chain as they come into an SQL function: as VARIADIC values, which become the bodies of entries.
#pragma once

#include "pg/canonical.h"
#include "pg/pg.h"

namespace raxx {

// Lives in the memory context in which it was opened, and with it the chain's derived keys.
struct ChainRows {
    ChainReading* reading;
    int first;           // the number of the first argument of a row
    Canonical* columns;  // how the arguments from there on become bytes
    CanonicalBuffer body;
};

// In the current memory context, with what the reading needs of the keys. Raises what is wrong with the keys or the
// reading, and datatype_mismatch if an argument is of another kind than the reading says.
ChainRows* open_chain_rows(FunctionCallInfo fcinfo, const text* reading, int first);

// The same without values: for records.
ChainReading* open_chain_reading(const text* reading);

// The canonical form of the columns that the epoch of this entry seals; valid until the next call.
Bytes chain_row_body(ChainRows* rows, FunctionCallInfo fcinfo, int64 seq);

// The bytes of a MAC; false if it is NULL or has not as many as a MAC.
bool get_mac(FunctionCallInfo fcinfo, int argument, const unsigned char** mac);

// A MAC as a bytea.
Datum mac_datum(const unsigned char* mac);

}  // namespace raxx
