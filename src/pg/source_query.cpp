#include "pg/source_query.h"

extern "C" {
#include "catalog/pg_statistic.h"
#include "lib/stringinfo.h"
#include "nodes/params.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
}

namespace raxx {
namespace {

struct Key {
    Oid relation;
    AttrNumber time, key, value, filter;
    bool has_from, has_to;
};

// Plans are made when they are first wanted.
struct Entry {
    Key key;
    bool stale;  // the relation changed
    bool chosen;
    bool has_time_order;  // an index gives it, so that nobody sorts
    bool has_key_order;
    bool lies_in_order;  // the table itself, by its statistics
    SPIPlanPtr by_time, by_key, unordered;
};

// A session that reads ever new relations must not grow for ever: past so many entries, all are made anew.
constexpr long kMostEntries = 128;

HTAB* kept = nullptr;
int running = 0;

void mark_stale([[maybe_unused]] Datum argument, Oid relation) {
    if (kept == nullptr) return;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, kept);
    while (auto* entry = static_cast<Entry*>(hash_seq_search(&scan))) {
        if (relation == InvalidOid || relation == entry->key.relation) entry->stale = true;
    }
}

void drop_plan(SPIPlanPtr* plan) {
    if (*plan != nullptr) SPI_freeplan(*plan);
    *plan = nullptr;
}

void drop_stale_entries() {
    if (running > 1) return;  // an evaluation around this one may hold any of them
    const bool too_many = hash_get_num_entries(kept) >= kMostEntries;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, kept);
    while (auto* entry = static_cast<Entry*>(hash_seq_search(&scan))) {
        if (!entry->stale && !too_many) continue;
        drop_plan(&entry->by_time);
        drop_plan(&entry->by_key);
        drop_plan(&entry->unordered);
        hash_search(kept, &entry->key, HASH_REMOVE, nullptr);
    }
}

Entry* entry_of(const SourceColumns& columns, TimeRange range) {
    if (kept == nullptr) {
        HASHCTL control = {};
        control.keysize = sizeof(Key);
        control.entrysize = sizeof(Entry);
        kept = hash_create("raxx_detect source queries", 32, &control, HASH_ELEM | HASH_BLOBS);
    }
    Key key;
    memset(&key, 0, sizeof key);
    key.relation = columns.relation;
    key.time = columns.time.number;
    key.key = columns.key.number;
    key.value = columns.value.number;
    key.filter = columns.filter.number;
    key.has_from = range.from != kMinusInfinity;
    key.has_to = range.to != kInfinity;
    bool found = false;
    auto* entry = static_cast<Entry*>(hash_search(kept, &key, HASH_FIND, &found));
    // No news of the relation itself tells of a renamed schema, or of an index beneath a view; the plan knows.
    if (found && entry->chosen && !SPI_plan_is_valid(entry->by_time)) entry->stale = true;
    drop_stale_entries();
    entry = static_cast<Entry*>(hash_search(kept, &key, HASH_ENTER, &found));
    if (!found) {
        *entry = Entry{};
        entry->key = key;
    }
    return entry;
}

const char* column_name(Oid relation, AttrNumber number) {
    return quote_identifier(get_attname(relation, number, false));
}

SPIPlanPtr prepare(const Key& key, const char* order_by) {
    const char* time = column_name(key.relation, key.time);
    StringInfoData query;
    initStringInfo(&query);
    appendStringInfo(&query, "SELECT t.%s", time);
    if (key.key != 0) appendStringInfo(&query, ", t.%s", column_name(key.relation, key.key));
    if (key.value != 0) appendStringInfo(&query, ", t.%s", column_name(key.relation, key.value));
    appendStringInfo(&query, " FROM %s t WHERE true",
                     quote_qualified_identifier(get_namespace_name(get_rel_namespace(key.relation)),
                                                get_rel_name(key.relation)));
    if (key.has_from) appendStringInfo(&query, " AND t.%s OPERATOR(pg_catalog.>) $1", time);
    if (key.has_to) appendStringInfo(&query, " AND t.%s OPERATOR(pg_catalog.<=) $2", time);
    Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID};
    if (key.filter != 0) {
        appendStringInfo(&query, " AND t.%s::pg_catalog.text OPERATOR(pg_catalog.~~) ANY ($3)",
                         column_name(key.relation, key.filter));
    }
    appendStringInfoString(&query, order_by);
    SPIPlanPtr plan = SPI_prepare_cursor(query.data, key.filter != 0 ? 3 : 2, types, CURSOR_OPT_GENERIC_PLAN);
    if (plan == nullptr || SPI_keepplan(plan) != 0) {
        elog(ERROR, "could not prepare the query on a source: %s", SPI_result_code_string(SPI_result));
    }
    return plan;
}

// Whether somewhere in a plan the executor sorts. A sort inside a view counts too: that costs speed, never truth.
bool sorts(const Plan* plan) {
    if (plan == nullptr) return false;
    const List* children = NIL;
    switch (nodeTag(plan)) {
        case T_Sort:
        case T_IncrementalSort:
            return true;
        case T_Append:
            children = reinterpret_cast<const Append*>(plan)->appendplans;
            break;
        case T_MergeAppend:
            children = reinterpret_cast<const MergeAppend*>(plan)->mergeplans;
            break;
        case T_SubqueryScan:
            if (sorts(reinterpret_cast<const SubqueryScan*>(plan)->subplan)) return true;
            break;
        default:
            break;
    }
    ListCell* cell = nullptr;
    foreach (cell, children) {
        if (sorts(static_cast<const Plan*>(lfirst(cell)))) return true;
    }
    return sorts(plan->lefttree) || sorts(plan->righttree);
}

bool plan_sorts(SPIPlanPtr plan) {
    CachedPlan* cached = SPI_plan_get_cached_plan(plan);
    if (cached == nullptr) return true;
    const bool result = sorts(linitial_node(PlannedStmt, cached->stmt_list)->planTree);
    ReleaseCachedPlan(cached, CurrentResourceOwner);
    return result;
}

// Whether the statistics say that a plain table lies in the order of time, as one does that is only appended to.
bool lies_in_order(const Key& key) {
    if (get_rel_relkind(key.relation) != RELKIND_RELATION) return false;
    HeapTuple statistics = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(key.relation), Int16GetDatum(key.time),
                                           BoolGetDatum(false));
    if (!HeapTupleIsValid(statistics)) return false;
    AttStatsSlot slot;
    bool result = false;
    if (get_attstatsslot(&slot, statistics, STATISTIC_KIND_CORRELATION, InvalidOid, ATTSTATSSLOT_NUMBERS)) {
        result = slot.nnumbers > 0 && slot.numbers[0] > 0.9999F;
        free_attstatsslot(&slot);
    }
    ReleaseSysCache(statistics);
    return result;
}

// Returns the level for AtEOXact_GUC.
int set_planner(bool ordered) {
    const int level = NewGUCNestLevel();
    set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    const char* unwanted = ordered ? "enable_sort" : "synchronize_seqscans";
    set_config_option(unwanted, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return level;
}

ParamListInfo parameters(TimeRange range, ArrayType* patterns) {
    const int count = patterns == nullptr ? 2 : 3;
    ParamListInfo list = makeParamList(count);
    const Datum values[] = {TimestampTzGetDatum(range.from), TimestampTzGetDatum(range.to),
                            PointerGetDatum(patterns)};
    const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID};
    for (int i = 0; i < count; ++i) {
        list->params[i].value = values[i];
        list->params[i].isnull = false;
        list->params[i].pflags = PARAM_FLAG_CONST;
        list->params[i].ptype = types[i];
    }
    return list;
}

void choose(Entry* entry, const SourceColumns& columns) {
    if (entry->chosen) return;
    const int level = set_planner(true);
    if (entry->by_time == nullptr) entry->by_time = prepare(entry->key, " ORDER BY 1");
    entry->has_time_order = !plan_sorts(entry->by_time);
    if (entry->key.key != 0 && groups_entities(columns.key)) {
        if (entry->by_key == nullptr) entry->by_key = prepare(entry->key, " ORDER BY 2, 1");
        entry->has_key_order = !plan_sorts(entry->by_key);
        if (!entry->has_key_order) drop_plan(&entry->by_key);
    }
    AtEOXact_GUC(true, level);
    // Worth it only where everything is read, and more than times, which an index alone gives as fast.
    entry->lies_in_order = !entry->key.has_from && entry->key.key != 0 && lies_in_order(entry->key);
    entry->chosen = true;
}

void check_relation(Relation relation) {
    switch (relation->rd_rel->relkind) {
        case RELKIND_RELATION:
        case RELKIND_PARTITIONED_TABLE:
        case RELKIND_VIEW:
        case RELKIND_MATVIEW:
        case RELKIND_FOREIGN_TABLE:
            return;
        default:
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                            errmsg("\"%s\" cannot be read as a source", RelationGetRelationName(relation)),
                            errdetail("It is neither a table nor a view nor a foreign table."),
                            errhint("Name a table, partitioned table, view, materialized view or foreign table.")));
    }
}

void check_privilege(Relation relation, AttrNumber number) {
    const Oid oid = RelationGetRelid(relation);
    if (number == 0 || pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
        pg_attribute_aclcheck(oid, number, GetUserId(), ACL_SELECT) == ACLCHECK_OK) {
        return;
    }
    const char* name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                                  RelationGetRelationName(relation));
    const char* user = GetUserNameFromId(GetUserId(), false);
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for relation %s", name),
                    errdetail("Role \"%s\" may not read column \"%s\".", user, get_attname(oid, number, false)),
                    errhint("GRANT SELECT ON %s TO %s;", name, quote_identifier(user))));
}

}  // namespace

SourceColumns find_source_columns(Oid oid, const char* time, const char* key, const char* value,
                                  const char* filter) {
    Relation relation = try_relation_open(oid, AccessShareLock);
    if (relation == nullptr) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", oid),
                        errdetail("It may have been dropped."),
                        errhint("Bind the source again with raxx_detect.bind_source.")));
    }
    check_relation(relation);
    SourceColumns columns = {};
    columns.relation = oid;
    columns.time = find_time_column(relation, time);
    if (key != nullptr) columns.key = find_column(relation, key);
    if (value != nullptr) columns.value = find_column(relation, value);
    if (filter != nullptr) columns.filter = find_column(relation, filter);
    check_privilege(relation, columns.time.number);
    check_privilege(relation, columns.key.number);
    check_privilege(relation, columns.value.number);
    check_privilege(relation, columns.filter.number);
    relation_close(relation, NoLock);  // the lock stays: nobody may alter it until the rows are read
    return columns;
}

SourceQuery source_query(const SourceColumns& columns, TimeRange range, bool by_key, Effort effort) {
    Entry* entry = entry_of(columns, range);
    choose(entry, columns);
    const bool key_order = by_key && entry->has_key_order;
    if (key_order && (!entry->key.has_from || !entry->has_time_order))
        return {Effort::index, Order::by_key, entry->by_key};
    const bool presume = effort == Effort::presume && entry->lies_in_order;
    if (!presume && (effort == Effort::sort || entry->has_time_order)) {
        return {effort == Effort::sort ? effort : Effort::index, Order::by_time, entry->by_time};
    }
    if (entry->unordered == nullptr) entry->unordered = prepare(entry->key, "");
    if (presume) return {Effort::presume, Order::by_time, entry->unordered};
    return {Effort::index, Order::none, entry->unordered};
}

uint64 run_source_query(const SourceQuery& query, TimeRange range, ArrayType* patterns, DestReceiver* destination,
                        uint64 most_rows) {
    SPIExecuteOptions options = {};
    options.params = parameters(range, patterns);
    options.read_only = true;
    options.dest = destination;
    options.tcount = most_rows;
    const int level = set_planner(query.order != Order::none);
    const int result = SPI_execute_plan_extended(query.plan, &options);
    if (result < 0) elog(ERROR, "could not read a source: %s", SPI_result_code_string(result));
    AtEOXact_GUC(true, level);
    return SPI_processed;
}

void enter_source_query() { ++running; }
void leave_source_query() { --running; }

void watch_source_relations() { CacheRegisterRelcacheCallback(mark_stale, static_cast<Datum>(0)); }

}  // namespace raxx
