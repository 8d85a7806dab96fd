// What a relation looks like to whoever reads it, as a number: tells whether it has been altered since.
#include "pg/pg.h"

extern "C" {
#include "common/hashfn.h"
}

namespace raxx {
namespace {

uint64 mixed(uint64 hash, const void* bytes, size_t size) {
    return hash_combine64(hash,
                          hash_bytes_extended(static_cast<const unsigned char*>(bytes), static_cast<int>(size), 0));
}

uint64 shape_of(Relation relation) {
    const Oid oid = RelationGetRelid(relation);
    TupleDesc descriptor = RelationGetDescr(relation);
    const bool whole = pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
    uint64 hash = whole ? 1 : 0;
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute* attribute = TupleDescAttr(descriptor, i);
        const bool readable =
            whole || (!attribute->attisdropped &&
                      pg_attribute_aclcheck(oid, attribute->attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK);
        const Oid parts[] = {attribute->atttypid, static_cast<Oid>(attribute->attisdropped),
                             static_cast<Oid>(readable)};
        hash = mixed(hash, parts, sizeof parts);
        hash = mixed(hash, NameStr(attribute->attname), strlen(NameStr(attribute->attname)));
    }
    return hash;
}

}  // namespace
}  // namespace raxx

using namespace raxx;

// relation_shape(relation regclass) -> bigint, strict
RAXX_FUNCTION(raxx_relation_shape) {
    Relation relation = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
    if (relation == nullptr) PG_RETURN_NULL();
    const auto shape = static_cast<int64>(shape_of(relation));
    relation_close(relation, NoLock);  // the lock stays until the run ends, as for reading
    PG_RETURN_INT64(shape);
}
