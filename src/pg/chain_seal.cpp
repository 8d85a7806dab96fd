// Sealing: the MACs of records, and those of rows, which follow one another.
#include "pg/bytes.h"
#include "pg/chain_rows.h"
#include "pg/errors.h"

namespace raxx {
namespace {

constexpr int kFirstColumn = 6;  // after the state, reading, seq, MAC, relation and place

struct Seal {
    Oid relation;
    ItemPointerData row_id;
    unsigned char prev[kMacSize];
    unsigned char mac[kMacSize];
};

struct SealState {
    ChainRows* rows;
    int64 seq_before;
    unsigned char mac_before[kMacSize];
    Seal* seals;
    int64 count;
    int64 room;
};

void copy_mac(unsigned char* to, FunctionCallInfo fcinfo, int argument) {
    const unsigned char* mac = nullptr;
    if (get_mac(fcinfo, argument, &mac)) {
        memcpy(to, mac, kMacSize);
        return;
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not the MAC of a chain's entry"),
                    errdetail("Argument %d is NULL or has not %u bytes.", argument + 1, kMacSize),
                    errhint("Give what stands in raxx_mac, or in the head of the chain.")));
}

SealState* begin_seals(FunctionCallInfo fcinfo, MemoryContext context) {
    require_argument(fcinfo, 1, "reading");
    require_argument(fcinfo, 2, "seq");
    MemoryContext caller = MemoryContextSwitchTo(context);
    auto* state = static_cast<SealState*>(palloc0(sizeof(SealState)));
    state->rows = open_chain_rows(fcinfo, PG_GETARG_TEXT_PP(1), kFirstColumn);
    state->seq_before = PG_GETARG_INT64(2);
    copy_mac(state->mac_before, fcinfo, 3);
    state->room = 64;
    state->seals = static_cast<Seal*>(palloc(sizeof(Seal) * static_cast<size_t>(state->room)));
    MemoryContextSwitchTo(caller);
    return state;
}

Seal* next_seal(SealState* state) {
    if (state->count == state->room) {
        state->room *= 2;
        state->seals =
            static_cast<Seal*>(repalloc_huge(state->seals, sizeof(Seal) * static_cast<size_t>(state->room)));
    }
    return &state->seals[state->count++];
}

// As the type raxx_detect.chain_seal, whose columns these are.
Datum seal_datum(const SealState* state, int64 at, TupleDesc descriptor) {
    const Seal* seal = &state->seals[at];
    auto* row_id = static_cast<ItemPointer>(palloc(sizeof(ItemPointerData)));
    *row_id = seal->row_id;
    Datum values[] = {ObjectIdGetDatum(seal->relation), PointerGetDatum(row_id),
                      Int64GetDatum(state->seq_before + 1 + at), mac_datum(seal->prev), mac_datum(seal->mac)};
    bool nulls[lengthof(values)] = {};
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_chain_seal_record) {
    const ChainReading* reading = open_chain_reading(PG_GETARG_TEXT_PP(0));
    unsigned char prev[kMacSize];
    unsigned char mac[kMacSize];
    copy_mac(prev, fcinfo, 2);
    Error error;
    check(chain_mac(reading, EntryKind::record, PG_GETARG_INT64(1), prev, bytes_of_datum(PG_GETARG_DATUM(3)), mac,
                    &error),
          error);
    PG_RETURN_DATUM(mac_datum(mac));
}

RAXX_FUNCTION(raxx_chain_seal_rows_add) {
    MemoryContext context = nullptr;
    if (AggCheckCallContext(fcinfo, &context) == 0) elog(ERROR, "a part of an aggregate was called by itself");
    auto* state =
        PG_ARGISNULL(0) ? begin_seals(fcinfo, context) : reinterpret_cast<SealState*>(PG_GETARG_POINTER(0));
    Seal* seal = next_seal(state);
    const int64 seq = state->seq_before + state->count;
    seal->relation = PG_GETARG_OID(4);
    seal->row_id = *reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(5));
    memcpy(seal->prev, state->count == 1 ? state->mac_before : state->seals[state->count - 2].mac, kMacSize);
    Error error;
    check(chain_mac(state->rows->reading, EntryKind::row, seq, seal->prev, chain_row_body(state->rows, fcinfo, seq),
                    seal->mac, &error),
          error);
    PG_RETURN_POINTER(state);
}

RAXX_FUNCTION(raxx_chain_seal_rows_result) {
    if (PG_ARGISNULL(0)) PG_RETURN_NULL();
    const auto* state = reinterpret_cast<SealState*>(PG_GETARG_POINTER(0));
    const Oid type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
    TupleDesc descriptor = lookup_rowtype_tupdesc_copy(type, -1);
    BlessTupleDesc(descriptor);
    auto* seals = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<size_t>(state->count)));
    for (int64 i = 0; i < state->count; ++i) seals[i] = seal_datum(state, i, descriptor);
    PG_RETURN_ARRAYTYPE_P(construct_array(seals, static_cast<int>(state->count), type, -1, false, TYPALIGN_DOUBLE));
}
