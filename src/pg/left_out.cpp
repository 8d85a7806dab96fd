#include "pg/left_out.h"

#include "pg/arguments.h"
#include "pg/bytes.h"

extern "C" {
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
}

namespace raxx {
namespace {

constexpr int kLongestName = 200;  // characters

// [from, to)
struct Stretch {
    Bytes name;
    Time from;
    Time to;
};

// By name and time, none of the same name meeting another.
struct Stretches {
    Stretch* items;
    int count;
};

}  // namespace

struct LeftOut {
    Stretches of_entities;
    Stretches of_any;  // without names
    bool has_long_names;
    int64 rows;
};

namespace {

bool is_long(Bytes name) {
    return name.size > kLongestName && pg_mbstrlen_with_len(reinterpret_cast<const char*>(name.data),
                                                            static_cast<int>(name.size)) > kLongestName;
}

int compare_starts(Bytes a_name, Time a_from, Bytes b_name, Time b_from) {
    const int order = compare_bytes(a_name, b_name);
    if (order != 0) return order;
    return (a_from > b_from ? 1 : 0) - (a_from < b_from ? 1 : 0);
}

int compare_stretches(const void* a, const void* b) {
    const auto* left = static_cast<const Stretch*>(a);
    const auto* right = static_cast<const Stretch*>(b);
    return compare_starts(left->name, left->from, right->name, right->from);
}

void sort_and_join(Stretches* stretches) {
    qsort(stretches->items, static_cast<Size>(stretches->count), sizeof(Stretch), compare_stretches);
    int joined = 0;
    for (int i = 0; i < stretches->count; ++i) {
        const Stretch& next = stretches->items[i];
        Stretch* last = joined == 0 ? nullptr : &stretches->items[joined - 1];
        if (last != nullptr && compare_bytes(last->name, next.name) == 0 && next.from <= last->to) {
            last->to = Max(last->to, next.to);
        } else {
            stretches->items[joined++] = next;
        }
    }
    stretches->count = joined;
}

bool holds(const Stretches& stretches, Bytes name, Time time) {
    int low = 0;
    for (int high = stretches.count; low < high;) {
        const int middle = low + (high - low) / 2;
        const Stretch& stretch = stretches.items[middle];
        if (compare_starts(stretch.name, stretch.from, name, time) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return false;
    const Stretch& last = stretches.items[low - 1];
    return compare_bytes(last.name, name) == 0 && time < last.to;
}

// False for an empty range. Times are whole microseconds.
bool bounds_of(Datum range, Stretch* stretch) {
    RangeBound lower;
    RangeBound upper;
    bool empty = false;
    TypeCacheEntry* type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
    range_deserialize(type, DatumGetRangeTypeP(range), &lower, &upper, &empty);
    if (empty) return false;
    stretch->from = lower.infinite ? kMinusInfinity : DatumGetTimestampTz(lower.val);
    stretch->to = upper.infinite ? kInfinity : DatumGetTimestampTz(upper.val);
    if (!lower.inclusive && !TIMESTAMP_NOT_FINITE(stretch->from)) ++stretch->from;
    if (upper.inclusive && !TIMESTAMP_NOT_FINITE(stretch->to)) ++stretch->to;
    return true;
}

// As raxx_detect.bounded_entity.
Bytes bounded(Bytes name) {
    const auto* characters = reinterpret_cast<const char*>(name.data);
    const int size = static_cast<int>(name.size);
    const Datum whole = PointerGetDatum(cstring_to_text_with_len(characters, size));
    const Bytes hash = bytes_of_datum(DirectFunctionCall1(sha256_bytea, whole));
    StringInfoData result;
    initStringInfo(&result);
    appendBinaryStringInfo(&result, characters, pg_mbcharcliplen(characters, size, kLongestName));
    appendStringInfoString(&result, "... sha256:");
    for (uint32_t i = 0; i < hash.size; ++i) appendStringInfo(&result, "%02x", hash.data[i]);
    return {reinterpret_cast<const unsigned char*>(result.data), static_cast<uint32_t>(result.len)};
}

Stretches copy_without_names(Stretches stretches) {
    const Stretches copy = {static_cast<Stretch*>(palloc(static_cast<Size>(stretches.count) * sizeof(Stretch))),
                            stretches.count};
    for (int i = 0; i < copy.count; ++i) {
        copy.items[i] = stretches.items[i];
        copy.items[i].name = {nullptr, 0};
    }
    return copy;
}

}  // namespace

LeftOut* left_out_arguments(FunctionCallInfo fcinfo, int entities, int periods) {
    if (PG_ARGISNULL(entities) || PG_ARGISNULL(periods)) return nullptr;
    const Elements names = elements_argument(fcinfo, entities, "left_out_entities", TEXTOID);
    const Elements ranges = elements_argument(fcinfo, periods, "left_out_periods", TSTZRANGEOID);
    if (names.count != ranges.count) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("what is left out must be arrays of the same length"),
                        errdetail("There are %d entities and %d periods.", names.count, ranges.count),
                        errhint("Give a period for each entity; an entity may be there more than once.")));
    }
    if (names.count == 0) return nullptr;
    auto* result = static_cast<LeftOut*>(palloc0(sizeof(LeftOut)));
    Stretches& stretches = result->of_entities;
    stretches.items = static_cast<Stretch*>(palloc(static_cast<Size>(names.count) * sizeof(Stretch)));
    for (int i = 0; i < names.count; ++i) {
        Stretch& stretch = stretches.items[stretches.count];
        if (!bounds_of(ranges.values[i], &stretch)) continue;
        stretch.name = bytes_of_datum(names.values[i]);
        result->has_long_names = result->has_long_names || is_long(stretch.name);
        ++stretches.count;
    }
    result->of_any = copy_without_names(stretches);
    sort_and_join(&result->of_entities);
    sort_and_join(&result->of_any);
    return result;
}

bool anything_left_out(const LeftOut* left_out, Time time) { return holds(left_out->of_any, {nullptr, 0}, time); }

bool leaves_out(LeftOut* left_out, Time time, Column& column, Bytes entity) {
    const bool is_text = column.image == Image::text || column.image == Image::by_output;
    Bytes name = is_text ? entity : bytes_of_datum(text_of(column, entity));
    if (left_out->has_long_names && is_long(name)) name = bounded(name);
    if (!holds(left_out->of_entities, name, time)) return false;
    ++left_out->rows;
    return true;
}

void forget_rows(LeftOut* left_out) { left_out->rows = 0; }
int64 rows_left_out(const LeftOut* left_out) { return left_out->rows; }

}  // namespace raxx
