// The trigger that lets pg_restore load tables in any order: see sql/90_dump.sql. It is in C since runs insert into
// the same tables, and pay for the trigger with each statement.
#include "pg/pg.h"

extern "C" {
#include "commands/trigger.h"
}

namespace {

constexpr const char* kSetting = "session_replication_role";

// Whether this statement has set the role; one that fails takes it back with its transaction.
bool role_is_ours = false;

bool may_set_role() { return superuser() || pg_parameter_aclcheck(kSetting, GetUserId(), ACL_SET) == ACLCHECK_OK; }

void set_role(const char* role) {
    (void)set_config_option(kSetting, role, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                            true, 0, false);
}

}  // namespace

// Before an INSERT of a session that restores, foreign keys are turned off, and after it on again.
RAXX_FUNCTION(raxx_load_unchecked) {
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("raxx_detect.load_unchecked is a trigger function"), errdetail("It was called directly."),
                errhint("pg_restore has it called; there is no other use for it."));
    }
    const auto* data = reinterpret_cast<const TriggerData*>(fcinfo->context);
    if (TRIGGER_FIRED_BEFORE(data->tg_event)) {
        // Every script of pg_dump and every session of pg_restore has check_function_bodies off.
        role_is_ours =
            !check_function_bodies && SessionReplicationRole == SESSION_REPLICATION_ROLE_ORIGIN && may_set_role();
        if (role_is_ours) {
            set_role("replica");
        }
    } else if (role_is_ours) {
        role_is_ours = false;
        set_role("origin");
    }
    return PointerGetDatum(nullptr);
}
