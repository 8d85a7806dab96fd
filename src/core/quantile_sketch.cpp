#include "core/quantile_sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "core/ks_test.h"

namespace raxx {
namespace {

constexpr uint64_t kSign = uint64_t{1} << 63;
constexpr int kDroppedBits = 44;  // of the mantissa's 52

[[noreturn]] void refuse_count() {
    throw Failure{sqlstate::kOutOfRange, "too many values for a quantile sketch",
                  "The number of values exceeds 9223372036854775807.",
                  "Is a sketch or a weight made up? No table has that many rows."};
}

// The slot of the key, or the free one where it belongs.
SketchSlot& slot_of(const SketchTable& table, int32_t key) {
    const uint64_t mask = (uint64_t{1} << table.bits) - 1;
    uint64_t place = (static_cast<uint64_t>(static_cast<uint32_t>(key)) * table.multiplier) >> (64 - table.bits);
    while (table.slots[place].count != 0 && table.slots[place].key != key) place = (place + 1) & mask;
    return table.slots[place];
}

void add(SketchTable* table, int32_t key, int64_t count) {
    SketchSlot& slot = slot_of(*table, key);
    if (slot.count == 0) {
        slot.key = key;
        ++table->buckets;
    }
    slot.count += count;
}

void widen(SketchTable* table, double min, double max) {
    table->min = table->count == 0 ? min : std::min(table->min, min);
    table->max = table->count == 0 ? max : std::max(table->max, max);
}

// The rank of percentile_disc, in its arithmetic.
int64_t rank_of(double q, int64_t count) {
    const double rank = std::ceil(q * static_cast<double>(count));
    if (rank >= static_cast<double>(count)) return count;
    return std::max<int64_t>(1, static_cast<int64_t>(rank));
}

// The edge is never farther from zero than the value, but may be beyond the smallest or largest value.
double value_at(const Sketch& sketch, int64_t rank) {
    if (rank == 1) return sketch.min;
    if (rank == sketch.count) return sketch.max;
    uint32_t bucket = 0;
    for (int64_t seen = sketch.counts[0]; seen < rank; seen += sketch.counts[bucket]) ++bucket;
    return std::clamp(sketch_edge(sketch.keys[bucket]), sketch.min, sketch.max);
}

double share_above(const Sketch& sketch, double x) {
    if (x < sketch.min) return 1;
    const int32_t key = sketch_key(x);
    int64_t above = 0;
    for (uint32_t i = sketch.buckets; i > 0 && sketch.keys[i - 1] > key; --i) above += sketch.counts[i - 1];
    return static_cast<double>(above) / static_cast<double>(sketch.count);
}

// The largest difference of the two distribution functions at the ends of buckets: exact, but for the division.
double largest_difference(const Sketch& x, const Sketch& y) {
    using Wide = __int128;
    Wide x_seen = 0;
    Wide y_seen = 0;
    Wide largest = 0;
    for (uint32_t i = 0, j = 0; i < x.buckets || j < y.buckets;) {
        const int32_t key = j == y.buckets || (i < x.buckets && x.keys[i] < y.keys[j]) ? x.keys[i] : y.keys[j];
        if (i < x.buckets && x.keys[i] == key) x_seen += x.counts[i++];
        if (j < y.buckets && y.keys[j] == key) y_seen += y.counts[j++];
        const Wide difference = x_seen * y.count - y_seen * x.count;
        largest = std::max(largest, difference < 0 ? -difference : difference);
    }
    return static_cast<double>(largest) / static_cast<double>(Wide{x.count} * y.count);
}

void check_not_empty(const Sketch& sketch, const char* which) {
    if (sketch.count > 0) return;
    throw Failure{sqlstate::kInvalidParameter, "not enough values for a Kolmogorov-Smirnov test",
                  std::string{"The "} + which + " sketch is of no value.", "Each sketch needs at least one value."};
}

}  // namespace

int32_t sketch_key(double value) {
    const auto bits = std::bit_cast<uint64_t>(value);
    const auto magnitude = static_cast<int32_t>((bits & ~kSign) >> kDroppedBits);
    return (bits & kSign) != 0 ? -magnitude : magnitude;
}

double sketch_edge(int32_t key) {
    const auto magnitude = std::bit_cast<double>(static_cast<uint64_t>(std::abs(key)) << kDroppedBits);
    return key < 0 ? -magnitude : magnitude;
}

// ---- the boundary --------------------------------------------------------------------------------------------

uint32_t sketch_table_bits(uint64_t buckets) noexcept {
    uint32_t bits = 3;
    while (sketch_table_room(bits) < buckets) ++bits;
    return bits;
}

void sketch_table_move(SketchTable* table, SketchSlot* slots, uint32_t bits) noexcept {
    const SketchTable old = *table;
    table->slots = slots;
    table->bits = bits;
    const uint64_t size = old.slots == nullptr ? 0 : uint64_t{1} << old.bits;
    for (uint64_t i = 0; i < size; ++i) {
        if (old.slots[i].count != 0) slot_of(*table, old.slots[i].key) = old.slots[i];
    }
}

Status sketch_table_add(SketchTable* table, double value, int64_t times, Error* error) noexcept {
    return guarded(error, [&] {
        if (times < 0)
            throw Failure{sqlstate::kInvalidParameter, "weight is out of range",
                          "The weight is " + std::to_string(times) + ".", "Give how often the value occurred."};
        if (std::isnan(value) || times == 0) return Status::ok;
        if (times > std::numeric_limits<int64_t>::max() - table->count) refuse_count();
        const double plain = value + 0.0;  // of the two zeros the positive one
        widen(table, plain, plain);
        table->count += times;
        add(table, sketch_key(plain), times);
        return Status::ok;
    });
}

Status sketch_table_merge(SketchTable* table, const Sketch& other, Error* error) noexcept {
    if (other.count == 0) return Status::ok;
    return guarded(error, [&] {
        if (other.count > std::numeric_limits<int64_t>::max() - table->count) refuse_count();
        widen(table, other.min, other.max);
        table->count += other.count;
        for (uint32_t i = 0; i < other.buckets; ++i) add(table, other.keys[i], other.counts[i]);
        return Status::ok;
    });
}

void sketch_from_table(const SketchTable& table, Sketch* sketch) noexcept {
    sketch->count = table.count;
    sketch->min = table.min;
    sketch->max = table.max;
    sketch->buckets = 0;
    const uint64_t size = uint64_t{1} << table.bits;
    for (uint64_t i = 0; i < size; ++i) {
        if (table.slots[i].count != 0) sketch->keys[sketch->buckets++] = table.slots[i].key;
    }
    std::sort(sketch->keys, sketch->keys + sketch->buckets);
    for (uint32_t i = 0; i < sketch->buckets; ++i) sketch->counts[i] = slot_of(table, sketch->keys[i]).count;
}

Status sketch_quantile(const Sketch& sketch, double q, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        if (!(q >= 0 && q <= 1))
            throw Failure{sqlstate::kInvalidParameter, "quantile is out of range",
                          std::isnan(q) ? "The quantile is NaN." : "The quantile is not between 0 and 1.",
                          "Give a share, such as 0.999 for the 99.9th percentile."};
        *result = value_at(sketch, rank_of(q, sketch.count));
        return Status::ok;
    });
}

Status sketch_share_above(const Sketch& sketch, double x, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        if (std::isnan(x))
            throw Failure{sqlstate::kInvalidParameter, "x is out of range", "The x is NaN.",
                          "Give a number; the infinities are numbers, too."};
        *result = share_above(sketch, x);
        return Status::ok;
    });
}

Status sketch_ks_test(const Sketch& x, const Sketch& y, KsResult* result, Error* error) noexcept {
    return guarded(error, [&] {
        check_not_empty(x, "first");
        check_not_empty(y, "second");
        const auto n = static_cast<double>(x.count);
        const auto m = static_cast<double>(y.count);
        const double d = largest_difference(x, y);
        *result = {d, kolmogorov_tail(std::sqrt(n * m / (n + m)) * d)};
        return Status::ok;
    });
}

}  // namespace raxx
