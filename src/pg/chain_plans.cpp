// How rows of a chain are sealed, as it was worked out last in this session: what it follows from is compared, and
// not worked out anew with each transaction that seals, while others wait for it.
#include "pg/pg.h"

extern "C" {
#include "utils/uuid.h"
}

namespace raxx {
namespace {

// Under the id of a chain: one each.
struct KeptPlan {
    pg_uuid_t chain;
    char* basis;  // in the cache's own memory, as is the plan
    char* plan;
};

HTAB* kept = nullptr;
MemoryContext memory = nullptr;

void begin_keeping() {
    if (kept != nullptr) return;
    memory = AllocSetContextCreate(TopMemoryContext, "raxx_detect plans of chains", ALLOCSET_SMALL_SIZES);
    HASHCTL control = {};
    control.keysize = sizeof(pg_uuid_t);
    control.entrysize = sizeof(KeptPlan);
    control.hcxt = memory;
    kept = hash_create("raxx_detect plans of chains", 8, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

char* kept_text(FunctionCallInfo fcinfo, int argument) {
    MemoryContext caller = MemoryContextSwitchTo(memory);
    char* result = text_to_cstring(PG_GETARG_TEXT_PP(argument));
    MemoryContextSwitchTo(caller);
    return result;
}

}  // namespace
}  // namespace raxx

using namespace raxx;  // NOLINT(google-build-using-namespace): the entry points must not be in a namespace

// keep_chain_plan(chain_id uuid, basis text, plan text) -> void, strict
RAXX_FUNCTION(raxx_keep_chain_plan) {
    begin_keeping();
    // Both at once, before an old one is let go: memory may run out in between.
    char* basis = kept_text(fcinfo, 1);
    char* plan = kept_text(fcinfo, 2);
    bool found = false;
    auto* entry = static_cast<KeptPlan*>(hash_search(kept, PG_GETARG_UUID_P(0), HASH_ENTER, &found));
    if (found) {
        pfree(entry->basis);
        pfree(entry->plan);
    }
    entry->basis = basis;
    entry->plan = plan;
    PG_RETURN_VOID();
}

// kept_chain_plan(chain_id uuid, basis text) -> text, strict
RAXX_FUNCTION(raxx_kept_chain_plan) {
    if (kept == nullptr) PG_RETURN_NULL();
    const auto* entry = static_cast<KeptPlan*>(hash_search(kept, PG_GETARG_UUID_P(0), HASH_FIND, nullptr));
    if (entry == nullptr || strcmp(entry->basis, text_to_cstring(PG_GETARG_TEXT_PP(1))) != 0) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(entry->plan));
}
