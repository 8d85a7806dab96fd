// The deferred trigger of chains in mode commit: seals, at the commit, what the transaction has inserted.
//
// It fires for each row, but the first time seals all rows of the transaction, so that the others find nothing to
// do. Like the triggers of foreign keys it acts as the owner of the table: whoever inserts needs no right to seal.
#include "pg/pg.h"

extern "C" {
#include "access/xact.h"
#include "commands/trigger.h"
#include "storage/proc.h"
}

namespace raxx {
namespace {

struct Sealed {
    LocalTransactionId transaction;
    Oid relation;
    CommandId command;  // what was inserted before it is sealed
};
Sealed sealed = {InvalidLocalTransactionId, InvalidOid, 0};

LocalTransactionId this_transaction() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

bool is_sealed(Oid relation, HeapTuple row) {
    return sealed.transaction == this_transaction() && sealed.relation == relation &&
           TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->t_data)) &&
           HeapTupleHeaderGetCmin(row->t_data) < sealed.command;
}

// Of a partition, the relation with the chain is the table above it.
void seal(Oid relation) {
    Oid types[] = {REGCLASSOID};
    Datum values[] = {ObjectIdGetDatum(relation)};
    SPI_connect();
    const int result =
        SPI_execute_with_args("SELECT raxx_detect.seal_in_transaction($1)", 1, types, values, nullptr, false, 0);
    if (result != SPI_OK_SELECT) elog(ERROR, "could not seal: %s", SPI_result_code_string(result));
    SPI_finish();
}

[[noreturn]] void refuse() {
    ereport(ERROR,
            (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
             errmsg("seal_at_commit must be a trigger after INSERT, for each row"),
             errdetail("It was called in another way."), errhint("raxx_detect.chain_attach makes the trigger.")));
    pg_unreachable();
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

RAXX_FUNCTION(raxx_seal_at_commit) {
    if (!CALLED_AS_TRIGGER(fcinfo)) refuse();
    const auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    if (!TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
        !TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
        refuse();
    }
    Relation relation = trigger->tg_relation;
    if (is_sealed(RelationGetRelid(relation), trigger->tg_trigtuple)) return PointerGetDatum(nullptr);

    Oid user = InvalidOid;
    int context = 0;
    GetUserIdAndSecContext(&user, &context);
    // An error ends the transaction, or subtransaction, which restores both.
    SetUserIdAndSecContext(relation->rd_rel->relowner,
                           context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    seal(RelationGetRelid(relation));
    SetUserIdAndSecContext(user, context);
    sealed = {this_transaction(), RelationGetRelid(relation), GetCurrentCommandId(false)};
    return PointerGetDatum(nullptr);
}
