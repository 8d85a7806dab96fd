#include "pg/arguments.h"

#include "pg/errors.h"

namespace raxx {

const char* name_argument(FunctionCallInfo fcinfo, int number, const char* name) {
    if (number < 0) return nullptr;
    require_argument(fcinfo, number, name);
    return NameStr(*PG_GETARG_NAME(number));
}

const char* optional_name(FunctionCallInfo fcinfo, int number) {
    return number < 0 || PG_ARGISNULL(number) ? nullptr : NameStr(*PG_GETARG_NAME(number));
}

TimeRange range_arguments(FunctionCallInfo fcinfo, int from, int to) {
    require_argument(fcinfo, from, "from_time");
    require_argument(fcinfo, to, "to_time");
    const TimeRange range = {PG_GETARG_TIMESTAMPTZ(from), PG_GETARG_TIMESTAMPTZ(to)};
    if (range.from > range.to) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("from_time must not be after to_time"),
                        errdetail("The range is from %s to %s.", pstrdup(timestamptz_to_str(range.from)),
                                  pstrdup(timestamptz_to_str(range.to))),
                        errhint("Exchange the two.")));
    }
    return range;
}

void network_argument(FunctionCallInfo fcinfo, int number, Column* key) {
    if (number < 0 || PG_ARGISNULL(number)) return;
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(number);
    const auto* lengths = reinterpret_cast<const int32*>(ARR_DATA_PTR(array));
    if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != 2 || ARR_HASNULL(array) || lengths[0] < 0 ||
        lengths[0] > 32 || lengths[1] < 0 || lengths[1] > 128) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("network must be two prefix lengths"),
                        errdetail("The first is of IPv4, 0 to 32; the second of IPv6, 0 to 128."),
                        errhint("Single addresses and networks of 64 bits are '{32,64}'.")));
    }
    see_networks(*key, {lengths[0], lengths[1]});
}

Elements elements_argument(FunctionCallInfo fcinfo, int number, const char* name, Oid type) {
    int16 length = 0;
    bool by_value = false;
    char align = 0;
    get_typlenbyvalalign(type, &length, &by_value, &align);
    require_argument(fcinfo, number, name);
    ArrayType* array = PG_GETARG_ARRAYTYPE_P(number);
    Elements elements = {};
    if (array_contains_nulls(array)) {
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not hold NULL", name),
                        errdetail("One of the elements is NULL."), errhint("Leave it out.")));
    }
    deconstruct_array(array, type, length, by_value, align, &elements.values, nullptr, &elements.count);
    return elements;
}

}  // namespace raxx
