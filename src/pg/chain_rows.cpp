#include "pg/chain_rows.h"

#include "pg/bytes.h"
#include "pg/chain_keys.h"
#include "pg/owned.h"

namespace raxx {
namespace {

constexpr size_t kUsualBody = 1024;
constexpr size_t kMostBody = size_t{64} << 20;
// In place of a body that would be longer, so that no row can keep others from being sealed. No body begins like
// it.
constexpr unsigned char kTooLong[] = {0xFF, 0xFF, 0xFF, 0xFE};

void free_reading(void* reading) { chain_reading_free(static_cast<ChainReading*>(reading)); }

bool is_called(const char* kind, Bytes name) {
    return strlen(kind) == name.size && memcmp(kind, name.data, name.size) == 0;
}

// How each argument from `first` on becomes bytes, where it can.
Canonical* argument_forms(FunctionCallInfo fcinfo, int first) {
    const int count = PG_NARGS() - first;
    auto* forms = static_cast<Canonical*>(palloc0(sizeof(Canonical) * static_cast<size_t>(Max(count, 1))));
    for (int i = 0; i < count; ++i) {
        const Oid type = get_fn_expr_argtype(fcinfo->flinfo, first + i);
        // Without a sealed column the one value is a NULL without a type.
        if (type != UNKNOWNOID && !canonical_of_type(type, CurrentMemoryContext, &forms[i]))
            raise_no_canonical(type);
    }
    return forms;
}

void check_columns(const ChainRows* rows, int count) {
    for (uint32_t epoch = 0; epoch < chain_reading_epochs(rows->reading); ++epoch) {
        const EpochColumns columns = chain_reading_columns(rows->reading, epoch);
        for (uint32_t i = 0; i < columns.count; ++i) {
            const uint32_t at = columns.at[i];
            if (at < static_cast<uint32_t>(count) && rows->columns[at].kind != nullptr &&
                is_called(rows->columns[at].kind, columns.kinds[i])) {
                continue;
            }
            ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                            errmsg("the columns of a chain's relation changed while it was read"),
                            errdetail("Column %u is no longer of kind %.*s.", at + 1,
                                      static_cast<int>(columns.kinds[i].size),
                                      reinterpret_cast<const char*>(columns.kinds[i].data)),
                            errhint("Try again.")));
        }
    }
}

}  // namespace

ChainReading* open_chain_reading(const text* reading) {
    MemoryContextCallback* callback = prepare_owned(free_reading);
    Error error;
    ChainReading* result = chain_reading_create(load_key_ring(), bytes_of_datum(PointerGetDatum(reading)), &error);
    return owned(callback, result, error);
}

ChainRows* open_chain_rows(FunctionCallInfo fcinfo, const text* reading, int first) {
    auto* rows = static_cast<ChainRows*>(palloc0(sizeof(ChainRows)));
    rows->first = first;
    rows->columns = argument_forms(fcinfo, first);
    rows->body = canonical_buffer(kUsualBody);
    rows->body.most = kMostBody;
    rows->reading = open_chain_reading(reading);
    check_columns(rows, PG_NARGS() - first);
    return rows;
}

Bytes chain_row_body(ChainRows* rows, FunctionCallInfo fcinfo, int64 seq) {
    const EpochColumns columns = chain_reading_columns(rows->reading, chain_reading_epoch_of(rows->reading, seq));
    rows->body.size = 0;
    rows->body.overflown = false;
    for (uint32_t i = 0; i < columns.count && !rows->body.overflown; ++i) {
        const NullableDatum& value = fcinfo->args[rows->first + static_cast<int>(columns.at[i])];
        append_canonical(&rows->body, rows->columns[columns.at[i]], value.value, value.isnull);
    }
    if (rows->body.overflown) return {kTooLong, sizeof kTooLong};
    return {rows->body.data, static_cast<uint32_t>(rows->body.size)};
}

bool get_mac(FunctionCallInfo fcinfo, int argument, const unsigned char** mac) {
    if (PG_ARGISNULL(argument)) return false;
    const bytea* value = PG_GETARG_BYTEA_PP(argument);
    *mac = reinterpret_cast<const unsigned char*>(VARDATA_ANY(value));
    return VARSIZE_ANY_EXHDR(value) == kMacSize;
}

Datum mac_datum(const unsigned char* mac) {
    auto* result = static_cast<bytea*>(palloc(VARHDRSZ + kMacSize));
    SET_VARSIZE(result, VARHDRSZ + kMacSize);
    memcpy(VARDATA(result), mac, kMacSize);
    return PointerGetDatum(result);
}

}  // namespace raxx
