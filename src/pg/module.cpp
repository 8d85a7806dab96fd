// What happens when the server loads the module.
#include "pg/chain_keys.h"
#include "pg/checkpoints.h"
#include "pg/evaluate.h"
#include "pg/pg.h"
#include "pg/records.h"
#include "pg/source_query.h"
#include "pg/worker/worker.h"

extern "C" {
PG_MODULE_MAGIC;
__attribute__((visibility("default"))) void _PG_init(void);
}

void _PG_init(void) {
    raxx::define_evaluate_settings();
    raxx::define_record_settings();
    raxx::define_chain_key_settings();
    raxx::define_checkpoint_settings();
    raxx::watch_source_relations();
    raxx::worker::prepare();
    MarkGUCPrefixReserved("raxx_detect");
}
