#include "pg/worker/catalogs.h"

#include "pg/worker/settings.h"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "storage/lock.h"
}

namespace raxx::worker {
namespace {

bool connectable(const FormData_pg_database& row) {
#ifdef DATCONNLIMIT_INVALID_DB
    if (row.datconnlimit == DATCONNLIMIT_INVALID_DB) return false;
#endif
    return row.datallowconn && !row.datistemplate;
}

int by_oid(const void* a, const void* b) {
    const Oid x = static_cast<const Candidate*>(a)->database;
    const Oid y = static_cast<const Candidate*>(b)->database;
    if (x == y) return 0;
    return x < y ? -1 : 1;
}

}  // namespace

int read_databases(Candidate** found) {
    int count = 0;
    int room = 64;
    auto* list = static_cast<Candidate*>(palloc(sizeof(Candidate) * static_cast<size_t>(room)));
    Relation relation = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
    for (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection); HeapTupleIsValid(tuple);
         tuple = heap_getnext(scan, ForwardScanDirection)) {
        const auto* row = reinterpret_cast<const FormData_pg_database*>(GETSTRUCT(tuple));
        if (!connectable(*row)) continue;
        if (count == room) {
            room *= 2;
            list = static_cast<Candidate*>(repalloc(list, sizeof(Candidate) * static_cast<size_t>(room)));
        }
        list[count++] = {row->oid, row->datname};
    }
    table_endscan(scan);
    table_close(relation, AccessShareLock);
    qsort(list, static_cast<size_t>(count), sizeof(Candidate), by_oid);
    *found = list;
    return count;
}

bool is_free(Oid database) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
    if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL) return false;
    LockRelease(&tag, RowExclusiveLock, false);
    return true;
}

Result find_role(const char* name, Oid* role) {
    if (*name == '\0') return Result::no_role;
    HeapTuple tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(name));
    if (!HeapTupleIsValid(tuple)) return Result::unknown_role;
    const auto* row = reinterpret_cast<const FormData_pg_authid*>(GETSTRUCT(tuple));
    *role = row->oid;
    Result result = Result::ok;
    if (!row->rolcanlogin) result = Result::no_login;
    if (row->rolsuper && !settings().allow_superuser) result = Result::superuser;
    ReleaseSysCache(tuple);
    return result;
}

}  // namespace raxx::worker
