// The canonical form as SQL functions: what kind a type's is, and the body of a row.
#include "pg/canonical.h"

namespace raxx {
namespace {

// What a call site of canonical_row keeps between its rows.
struct RowForm {
    size_t room;  // what the last row needed
    int count;
    Canonical columns[FLEXIBLE_ARRAY_MEMBER];
};

RowForm* row_form(FunctionCallInfo fcinfo) {
    FmgrInfo* function = fcinfo->flinfo;
    if (function->fn_extra != nullptr) return static_cast<RowForm*>(function->fn_extra);
    if (get_fn_expr_variadic(function)) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("VARIADIC is not supported here"),
                        errdetail("The values of a row are of different types; an array is one of them."),
                        errhint("Give the values one by one, without VARIADIC.")));
    }
    const int count = PG_NARGS();
    auto* form = static_cast<RowForm*>(MemoryContextAllocZero(
        function->fn_mcxt, offsetof(RowForm, columns) + static_cast<size_t>(count) * sizeof(Canonical)));
    for (int i = 0; i < count; ++i) {
        const Oid type = get_fn_expr_argtype(function, i);
        if (!canonical_of_type(type, function->fn_mcxt, &form->columns[i])) raise_no_canonical(type);
    }
    form->count = count;
    form->room = 512;
    function->fn_extra = form;
    return form;
}

}  // namespace
}  // namespace raxx

using namespace raxx;

// canonical_kind(type regtype)
RAXX_FUNCTION(raxx_canonical_kind) {
    Canonical canonical;
    if (!canonical_of_type(PG_GETARG_OID(0), CurrentMemoryContext, &canonical)) PG_RETURN_NULL();
    return PointerGetDatum(cstring_to_text(canonical.kind));
}

// canonical_row(VARIADIC "any")
RAXX_FUNCTION(raxx_canonical_row) {
    RowForm* form = row_form(fcinfo);
    CanonicalBuffer buffer = canonical_buffer(form->room);
    buffer.size = VARHDRSZ;  // the bytea's own header
    for (int i = 0; i < form->count; ++i) {
        append_canonical(&buffer, form->columns[i], PG_GETARG_DATUM(i), PG_ARGISNULL(i));
    }
    form->room = Max(form->room, Min(buffer.size, size_t{8192}));
    SET_VARSIZE(buffer.data, static_cast<uint32>(buffer.size));
    return PointerGetDatum(buffer.data);
}
