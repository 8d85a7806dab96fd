// The aggregate chain_audit, which verifies the rows of a chain in whatever order they come, in several processes
// if the server likes; and what its tally says.
#include "pg/bytes.h"
#include "pg/chain_progress.h"
#include "pg/chain_rows.h"
#include "pg/owned.h"
#include "pg/results.h"

namespace raxx {
namespace {

constexpr unsigned char kNoMac[kMacSize] = {};
constexpr int kFirstColumn = 8;  // after the state, reading, range, seed, seq, prev and mac

struct AuditState {
    ChainAudit* audit;
    ChainRows* rows;  // nullptr: it is merged only
    int64 since_progress;
};

void free_audit(void* audit) { chain_audit_free(static_cast<ChainAudit*>(audit)); }

ChainAudit* audit_from(Bytes serialized) {
    MemoryContextCallback* callback = prepare_owned(free_audit);
    Error error;
    ChainAudit* audit = chain_audit_from(serialized, &error);
    return owned(callback, audit, error);
}

ChainAudit* new_audit(const ChainReading* reading, SeqRange range, int64 seed) {
    MemoryContextCallback* callback = prepare_owned(free_audit);
    Error error;
    ChainAudit* audit = chain_audit_create(reading, range, static_cast<uint64_t>(seed), &error);
    return owned(callback, audit, error);
}

MemoryContext aggregate_context(FunctionCallInfo fcinfo) {
    MemoryContext context = nullptr;
    if (AggCheckCallContext(fcinfo, &context) == 0) elog(ERROR, "a part of an aggregate was called by itself");
    return context;
}

AuditState* begin_audit(FunctionCallInfo fcinfo) {
    for (int i = 1; i <= 4; ++i) require_argument(fcinfo, i, "an argument of chain_audit");
    MemoryContext caller = MemoryContextSwitchTo(aggregate_context(fcinfo));
    auto* state = static_cast<AuditState*>(palloc0(sizeof(AuditState)));
    state->rows = open_chain_rows(fcinfo, PG_GETARG_TEXT_PP(1), kFirstColumn);
    state->audit = new_audit(state->rows->reading, {PG_GETARG_INT64(2), PG_GETARG_INT64(3)}, PG_GETARG_INT64(4));
    MemoryContextSwitchTo(caller);
    return state;
}

void add_row(AuditState* state, FunctionCallInfo fcinfo) {
    ChainLink link = {PG_GETARG_INT64(5), kNoMac, kNoMac};
    Error error;
    const bool has_prev = get_mac(fcinfo, 6, &link.prev);
    if (get_mac(fcinfo, 7, &link.mac) && has_prev) {
        check(chain_audit_verify(state->audit, link, chain_row_body(state->rows, fcinfo, link.seq), &error), error);
        return;
    }
    link.prev = kNoMac;
    link.mac = kNoMac;
    check(chain_audit_take(state->audit, link, EntryState::invalid, &error), error);
}

bytea* serialized(ChainAudit* audit) {
    Bytes bytes = {nullptr, 0};
    Error error;
    check(chain_audit_serialize(audit, &bytes, &error), error);
    auto* result = static_cast<bytea*>(palloc(VARHDRSZ + bytes.size));
    SET_VARSIZE(result, VARHDRSZ + bytes.size);
    memcpy(VARDATA(result), bytes.data, bytes.size);
    return result;
}

struct Elements {
    Datum* values;
    int count;
};

Elements elements_of(FunctionCallInfo fcinfo, int argument, Oid type) {
    require_argument(fcinfo, argument, "an array of records");
    Elements result = {nullptr, 0};
    bool* nulls = nullptr;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, type == INT8OID ? 8 : -1, type == INT8OID,
                      type == INT8OID ? TYPALIGN_DOUBLE : TYPALIGN_INT, &result.values, &nulls, &result.count);
    for (int i = 0; i < result.count; ++i) {
        if (nulls[i]) elog(ERROR, "a record of a chain has a NULL");
    }
    return result;
}

// The records, whose MACs others have verified.
void take_records(ChainAudit* audit, FunctionCallInfo fcinfo, SeqRange range) {
    const Elements seqs = elements_of(fcinfo, 6, INT8OID);
    const Elements prevs = elements_of(fcinfo, 7, BYTEAOID);
    const Elements macs = elements_of(fcinfo, 8, BYTEAOID);
    if (prevs.count != seqs.count || macs.count != seqs.count)
        elog(ERROR, "the arrays of records differ in length");
    for (int i = 0; i < seqs.count; ++i) {
        const Bytes prev = bytes_of_datum(prevs.values[i]);
        const Bytes mac = bytes_of_datum(macs.values[i]);
        const bool sound = prev.size == kMacSize && mac.size == kMacSize;
        const ChainLink link = {DatumGetInt64(seqs.values[i]), sound ? prev.data : kNoMac,
                                sound ? mac.data : kNoMac};
        if (link.seq < range.from || link.seq > range.to) continue;
        Error error;
        check(chain_audit_take(audit, link, sound ? EntryState::valid : EntryState::invalid, &error), error);
    }
}

// One end of each range.
Datum ends_of(const ChainJudgement& judgement, bool upper) {
    auto* ends = static_cast<Datum*>(palloc(sizeof(Datum) * Max(judgement.range_count, 1)));
    for (size_t i = 0; i < judgement.range_count; ++i) {
        ends[i] = Int64GetDatum(upper ? judgement.ranges[i].to : judgement.ranges[i].from);
    }
    return PointerGetDatum(
        construct_array(ends, static_cast<int>(judgement.range_count), INT8OID, 8, true, TYPALIGN_DOUBLE));
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_chain_audit_add) {
    auto* state = PG_ARGISNULL(0) ? begin_audit(fcinfo) : reinterpret_cast<AuditState*>(PG_GETARG_POINTER(0));
    if (PG_ARGISNULL(5)) {
        chain_audit_add_unsealed(state->audit);
    } else {
        add_row(state, fcinfo);
    }
    if (++state->since_progress == kRowsPerProgress) {
        note_progress(kRowsPerProgress);
        state->since_progress = 0;
    }
    PG_RETURN_POINTER(state);
}

RAXX_FUNCTION(raxx_chain_audit_combine) {
    MemoryContext context = aggregate_context(fcinfo);
    if (PG_ARGISNULL(1)) {
        if (PG_ARGISNULL(0)) PG_RETURN_NULL();
        PG_RETURN_DATUM(PG_GETARG_DATUM(0));
    }
    const auto* other = reinterpret_cast<AuditState*>(PG_GETARG_POINTER(1));
    if (!PG_ARGISNULL(0)) {
        auto* state = reinterpret_cast<AuditState*>(PG_GETARG_POINTER(0));
        Error error;
        check(chain_audit_merge(state->audit, other->audit, &error), error);
        PG_RETURN_POINTER(state);
    }
    bytea* copy = serialized(other->audit);
    MemoryContext caller = MemoryContextSwitchTo(context);
    auto* state = static_cast<AuditState*>(palloc0(sizeof(AuditState)));
    state->audit = audit_from(bytes_of_datum(PointerGetDatum(copy)));
    MemoryContextSwitchTo(caller);
    PG_RETURN_POINTER(state);
}

RAXX_FUNCTION(raxx_chain_audit_serialize) {
    PG_RETURN_BYTEA_P(serialized(reinterpret_cast<AuditState*>(PG_GETARG_POINTER(0))->audit));
}

RAXX_FUNCTION(raxx_chain_audit_deserialize) {
    aggregate_context(fcinfo);
    auto* state = static_cast<AuditState*>(palloc0(sizeof(AuditState)));
    state->audit = audit_from(bytes_of_datum(PG_GETARG_DATUM(0)));
    PG_RETURN_POINTER(state);
}

RAXX_FUNCTION(raxx_judge_tally) {
    for (int i = 1; i <= 3; ++i) require_argument(fcinfo, i, "the range or seed of a tally");
    const SeqRange range = {PG_GETARG_INT64(1), PG_GETARG_INT64(2)};
    ChainAudit* audit = PG_ARGISNULL(0) ? new_audit(nullptr, range, PG_GETARG_INT64(3))
                                        : audit_from(bytes_of_datum(PG_GETARG_DATUM(0)));
    take_records(audit, fcinfo, range);
    const unsigned char* before = nullptr;
    const unsigned char* last = nullptr;
    // A MAC that cannot be one is followed by nothing.
    if (!PG_ARGISNULL(4) && !get_mac(fcinfo, 4, &before)) before = kNoMac;
    if (!PG_ARGISNULL(5) && !get_mac(fcinfo, 5, &last)) last = kNoMac;
    ChainJudgement judgement;
    Error error;
    check(chain_audit_judge(audit, before, last, &judgement, &error), error);
    const ChainCounts& counts = judgement.counts;
    Datum values[] = {Int64GetDatum(counts.entries),    Int64GetDatum(counts.invalid),
                      Int64GetDatum(counts.unverified), Int64GetDatum(counts.unsealed),
                      Int64GetDatum(counts.outside),    Int64GetDatum(counts.highest_outside),
                      ends_of(judgement, false),        ends_of(judgement, true)};
    bool nulls[lengthof(values)] = {};
    return return_row(fcinfo, values, nulls);
}
