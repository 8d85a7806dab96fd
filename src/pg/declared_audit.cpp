// The aggregate declared_audit, which verifies the rows of a chain that an application has written, in the order of
// their numbers.
#include "pg/bytes.h"
#include "pg/canonical.h"
#include "pg/chain_keys.h"
#include "pg/chain_progress.h"
#include "pg/chain_rows.h"
#include "pg/owned.h"
#include "pg/results.h"

namespace raxx {
namespace {

constexpr size_t kUsualBody = 1024;
constexpr int kSeq = 5;  // after the state, the format, and what the first row follows
constexpr int kPrev = 6;
constexpr int kMac = 7;
constexpr int kFirstColumn = 8;

struct AuditState {
    DeclaredAudit* audit;
    Canonical* columns;
    uint32_t count;
    CanonicalBuffer body;
    int64 since_progress;
};

void free_audit(void* audit) { declared_audit_free(static_cast<DeclaredAudit*>(audit)); }

// Four bytes of a float have a shorter text than the same number in eight.
const char* kind_in_words(const Canonical& canonical) {
    return canonical.form == Form::float32 ? "real" : canonical.kind;
}

Bytes bytes_or_null(FunctionCallInfo fcinfo, int argument) {
    return PG_ARGISNULL(argument) ? Bytes{nullptr, 0} : bytes_of_datum(PG_GETARG_DATUM(argument));
}

DeclaredAudit* new_audit(FunctionCallInfo fcinfo) {
    const DeclaredStart start = {!PG_ARGISNULL(2) && PG_GETARG_BOOL(2),
                                 PG_ARGISNULL(3) ? kNoSeq : PG_GETARG_INT64(3), bytes_or_null(fcinfo, 4)};
    MemoryContextCallback* callback = prepare_owned(free_audit);
    Error error;
    DeclaredAudit* audit =
        declared_audit_create(load_key_ring(), bytes_of_datum(PG_GETARG_DATUM(1)), start, &error);
    return owned(callback, audit, error);
}

void set_columns(AuditState* state, FunctionCallInfo fcinfo) {
    state->count = declared_audit_columns(state->audit);
    state->columns = static_cast<Canonical*>(palloc0(sizeof(Canonical) * Max(state->count, 1)));
    for (uint32_t i = 0; i < state->count; ++i) {
        const int argument = kFirstColumn + static_cast<int>(i);
        if (argument < PG_NARGS() &&
            canonical_of_type(get_fn_expr_argtype(fcinfo->flinfo, argument), CurrentMemoryContext,
                              &state->columns[i]) &&
            strcmp(kind_in_words(state->columns[i]), declared_audit_kind(state->audit, i)) == 0) {
            continue;
        }
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("the columns of a chain's relation changed while it was read"),
                 errdetail("Column %u is no longer of kind %s.", i + 1, declared_audit_kind(state->audit, i)),
                 errhint("Try again.")));
    }
}

AuditState* begin_audit(FunctionCallInfo fcinfo) {
    MemoryContext context = nullptr;
    if (AggCheckCallContext(fcinfo, &context) == 0) elog(ERROR, "a part of an aggregate was called by itself");
    require_argument(fcinfo, 1, "the format of a chain");
    MemoryContext caller = MemoryContextSwitchTo(context);
    auto* state = static_cast<AuditState*>(palloc0(sizeof(AuditState)));
    state->audit = new_audit(fcinfo);
    state->body = canonical_buffer(kUsualBody);
    set_columns(state, fcinfo);
    MemoryContextSwitchTo(caller);
    return state;
}

void add_row(AuditState* state, FunctionCallInfo fcinfo) {
    state->body.size = 0;
    for (uint32_t i = 0; i < state->count; ++i) {
        const NullableDatum& value = fcinfo->args[kFirstColumn + i];
        append_canonical(&state->body, state->columns[i], value.value, value.isnull);
    }
    const DeclaredRow row = {PG_GETARG_INT64(kSeq), bytes_or_null(fcinfo, kPrev), bytes_or_null(fcinfo, kMac)};
    Error error;
    check(
        declared_audit_add(state->audit, row, {state->body.data, static_cast<uint32_t>(state->body.size)}, &error),
        error);
}

const char* fault_in_words(DeclaredFault fault) {
    switch (fault) {
        case DeclaredFault::content_modified:
            return "content modified";
        case DeclaredFault::link_broken:
            return "link broken";
        case DeclaredFault::seq_gap:
            return "seq gap";
        case DeclaredFault::duplicate:
            return "duplicate";
        case DeclaredFault::fork:
            return "fork";
        case DeclaredFault::genesis_replaced:
            return "genesis replaced";
        case DeclaredFault::unsealed:
            return "unsealed";
    }
    return "";
}

Datum numbers(const DeclaredReport& report, int64_t DeclaredBreak::*member) {
    auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * Max(report.break_count, 1)));
    for (size_t i = 0; i < report.break_count; ++i) values[i] = Int64GetDatum(report.breaks[i].*member);
    return PointerGetDatum(
        construct_array(values, static_cast<int>(report.break_count), INT8OID, 8, true, TYPALIGN_DOUBLE));
}

Datum kinds(const DeclaredReport& report) {
    auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * Max(report.break_count, 1)));
    for (size_t i = 0; i < report.break_count; ++i)
        values[i] = PointerGetDatum(cstring_to_text(fault_in_words(report.breaks[i].fault)));
    return PointerGetDatum(
        construct_array(values, static_cast<int>(report.break_count), TEXTOID, -1, false, TYPALIGN_INT));
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

// declared_kind(type regtype, as_text boolean)
RAXX_FUNCTION(raxx_declared_kind) {
    Canonical canonical;
    if (!canonical_of_type(PG_GETARG_OID(0), CurrentMemoryContext, &canonical)) PG_RETURN_NULL();
    if (PG_GETARG_BOOL(1) && !has_plain_form(kind_in_words(canonical))) PG_RETURN_NULL();
    return PointerGetDatum(cstring_to_text(kind_in_words(canonical)));
}

RAXX_FUNCTION(raxx_declared_audit_add) {
    auto* state = PG_ARGISNULL(0) ? begin_audit(fcinfo) : reinterpret_cast<AuditState*>(PG_GETARG_POINTER(0));
    if (!PG_ARGISNULL(kSeq)) add_row(state, fcinfo);  // without a number it has no place in an order
    if (++state->since_progress == kRowsPerProgress) {
        note_progress(kRowsPerProgress);
        state->since_progress = 0;
    }
    PG_RETURN_POINTER(state);
}

RAXX_FUNCTION(raxx_declared_audit_result) {
    if (PG_ARGISNULL(0)) PG_RETURN_NULL();
    const auto* state = reinterpret_cast<AuditState*>(PG_GETARG_POINTER(0));
    DeclaredReport report;
    Error error;
    check(declared_audit_finish(state->audit, &report, &error), error);
    const bool has_last = report.last_seq != kNoSeq;
    Datum values[] = {Int64GetDatum(report.rows),
                      Int64GetDatum(report.unverified),
                      BoolGetDatum(report.more),
                      kinds(report),
                      numbers(report, &DeclaredBreak::seq_from),
                      numbers(report, &DeclaredBreak::seq_to),
                      numbers(report, &DeclaredBreak::rows),
                      Int64GetDatum(report.last_seq),
                      has_last ? mac_datum(report.last_mac) : static_cast<Datum>(0)};
    bool nulls[lengthof(values)] = {};
    nulls[7] = nulls[8] = !has_last;
    return return_row(fcinfo, values, nulls);
}

// The bytes of a MAC as it stands in a table, by its digest.
RAXX_FUNCTION(raxx_declared_mac) {
    require_argument(fcinfo, 0, "the format of a chain");
    if (PG_ARGISNULL(1)) PG_RETURN_NULL();
    MemoryContextCallback* callback = prepare_owned(free_audit);
    Error error;
    DeclaredAudit* audit = owned(
        callback, declared_audit_create(nullptr, bytes_of_datum(PG_GETARG_DATUM(0)), {false, kNoSeq, {}}, &error),
        error);
    unsigned char mac[kMacSize];
    if (!declared_audit_mac(audit, bytes_of_datum(PG_GETARG_DATUM(1)), mac)) PG_RETURN_NULL();
    PG_RETURN_DATUM(mac_datum(mac));
}
