// Whether single entries of a chain hold.
#include "pg/bytes.h"
#include "pg/chain_rows.h"
#include "pg/errors.h"

namespace raxx {
namespace {

constexpr int kFirstColumn = 4;  // after the reading, seq, prev and mac

// As long as the function's expression lives: the same reading comes with every row.
struct Kept {
    text* reading;
    ChainRows* rows;
};

ChainRows* kept_rows(FunctionCallInfo fcinfo) {
    const Bytes reading = bytes_of_datum(PG_GETARG_DATUM(0));
    auto* kept = static_cast<Kept*>(fcinfo->flinfo->fn_extra);
    if (kept != nullptr && compare_bytes(reading, bytes_of_datum(PointerGetDatum(kept->reading))) == 0)
        return kept->rows;
    MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    kept = static_cast<Kept*>(palloc(sizeof(Kept)));
    kept->reading =
        cstring_to_text_with_len(reinterpret_cast<const char*>(reading.data), static_cast<int>(reading.size));
    kept->rows = open_chain_rows(fcinfo, kept->reading, kFirstColumn);
    fcinfo->flinfo->fn_extra = kept;
    MemoryContextSwitchTo(caller);
    return kept->rows;
}

// True, false, or NULL without a key. What has no MAC does not hold.
Datum entry_holds(FunctionCallInfo fcinfo, const ChainReading* reading, EntryKind kind, Bytes body) {
    const int64 seq = PG_GETARG_INT64(1);
    const unsigned char* prev = nullptr;
    const unsigned char* mac = nullptr;
    if (!chain_reading_has_key(reading, chain_reading_epoch_of(reading, seq))) PG_RETURN_NULL();
    if (seq < 0 || !get_mac(fcinfo, 2, &prev) || !get_mac(fcinfo, 3, &mac)) PG_RETURN_BOOL(false);
    bool holds = false;
    Error error;
    check(chain_mac_holds(reading, kind, seq, prev, body, mac, &holds, &error), error);
    PG_RETURN_BOOL(holds);
}

// What an argument holds, behind its length; nothing for NULL.
void append_argument(StringInfo to, FunctionCallInfo fcinfo, int argument) {
    const bool missing = PG_ARGISNULL(argument);
    const Bytes bytes = missing ? Bytes{nullptr, 0} : bytes_of_datum(PG_GETARG_DATUM(argument));
    const auto size = missing ? -1 : static_cast<int32>(bytes.size);
    appendBinaryStringInfo(to, reinterpret_cast<const char*>(&size), sizeof size);
    if (!missing)
        appendBinaryStringInfo(to, reinterpret_cast<const char*>(bytes.data), static_cast<int>(bytes.size));
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_chain_entry_holds) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_NULL();
    ChainRows* rows = kept_rows(fcinfo);
    return entry_holds(fcinfo, rows->reading, EntryKind::row, chain_row_body(rows, fcinfo, PG_GETARG_INT64(1)));
}

RAXX_FUNCTION(raxx_chain_record_holds) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(4)) PG_RETURN_NULL();
    return entry_holds(fcinfo, open_chain_reading(PG_GETARG_TEXT_PP(0)), EntryKind::record,
                       bytes_of_datum(PG_GETARG_DATUM(4)));
}

RAXX_FUNCTION(raxx_chain_entry_bytes) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_NULL();
    StringInfoData result;
    initStringInfo(&result);
    append_argument(&result, fcinfo, 2);
    append_argument(&result, fcinfo, 3);
    const Bytes body = chain_row_body(kept_rows(fcinfo), fcinfo, PG_GETARG_INT64(1));
    appendBinaryStringInfo(&result, reinterpret_cast<const char*>(body.data), static_cast<int>(body.size));
    PG_RETURN_BYTEA_P(cstring_to_text_with_len(result.data, result.len));
}
