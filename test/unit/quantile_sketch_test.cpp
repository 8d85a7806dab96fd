// Quantile sketches against the sorted values themselves, against a bucket found by arithmetic in place of bits,
// and against whatever may stand in text or on the wire.
#include "core/quantile_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/ks_test.h"

namespace raxx {
namespace {

using Values = std::vector<double>;

constexpr double kInfiniteDouble = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMostCount = std::numeric_limits<int64_t>::max();
constexpr double kWidth = 1.0 / 256;

// A sketch that owns its arrays.
class Stored {
  public:
    explicit Stored(uint32_t room) : keys_(room), counts_(room) {
        sketch_ = {0, 0, 0, room, keys_.data(), counts_.data()};
    }
    Sketch& sketch() { return sketch_; }
    std::string text() {
        std::string text(sketch_text_limit(sketch_) + 1, '#');
        sketch_to_text(sketch_, text.data());
        const size_t size = text.find('\0');
        EXPECT_NE(size, std::string::npos);
        text.resize(size);
        return text;
    }
    std::string wire() {
        std::string wire(sketch_wire_size(sketch_), '#');
        sketch_to_wire(sketch_, reinterpret_cast<unsigned char*>(wire.data()));
        return wire;
    }

  private:
    std::vector<int32_t> keys_;
    std::vector<int64_t> counts_;
    Sketch sketch_;
};

// A table that grows as its owner in the server makes it grow.
class Filled {
  public:
    explicit Filled(uint64_t multiplier = 0x9E3779B97F4A7C15) {
        table_.multiplier = multiplier;
        make_room(0);
    }
    explicit Filled(const Values& values) : Filled() {
        for (const double value : values) add(value);
    }
    Status try_add(double value, int64_t times, Error* error) {
        make_room(table_.buckets + 1);
        return sketch_table_add(&table_, value, times, error);
    }
    void add(double value, int64_t times = 1) {
        Error error{};
        ASSERT_EQ(try_add(value, times, &error), Status::ok) << error.message;
    }
    Status try_merge(Stored& other, Error* error) {
        make_room(table_.buckets + other.sketch().buckets);
        return sketch_table_merge(&table_, other.sketch(), error);
    }
    void merge(Stored& other) {
        Error error{};
        ASSERT_EQ(try_merge(other, &error), Status::ok) << error.message;
    }
    Stored stored() const {
        Stored stored(table_.buckets);
        sketch_from_table(table_, &stored.sketch());
        return stored;
    }
    SketchTable& table() { return table_; }

  private:
    void make_room(uint64_t buckets) {
        if (!slots_.empty() && buckets <= sketch_table_room(table_.bits)) return;
        const uint32_t bits = sketch_table_bits(buckets);
        ASSERT_GE(sketch_table_room(bits), buckets);
        std::vector<SketchSlot> slots(size_t{1} << bits);
        sketch_table_move(&table_, slots.data(), bits);
        slots_.swap(slots);
    }
    SketchTable table_{};
    std::vector<SketchSlot> slots_;
};

double quantile(Stored& stored, double q) {
    double result = kNaN;
    Error error{};
    EXPECT_EQ(sketch_quantile(stored.sketch(), q, &result, &error), Status::ok) << error.message;
    return result;
}

double share_above(Stored& stored, double x) {
    double result = kNaN;
    Error error{};
    EXPECT_EQ(sketch_share_above(stored.sketch(), x, &result, &error), Status::ok) << error.message;
    return result;
}

// ---- samples -------------------------------------------------------------------------------------------------

struct Named {
    std::string name;
    Values values;
};

std::vector<Named> samples() {
    std::mt19937_64 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    std::uniform_real_distribution<double> uniform(0, 1);
    std::normal_distribution<double> normal;
    const auto made = [](size_t size, auto&& make) {
        Values values(size);
        for (double& value : values) value = make();
        return values;
    };
    std::vector<Named> result{
        {"pareto", made(20000, [&] { return std::pow(1 - uniform(random), -1 / 0.7); })},
        {"lognormal", made(20000, [&] { return std::exp(4 * normal(random)); })},
        {"discrete", made(5000, [&] { return std::floor(7 * uniform(random)); })},
        {"whole", made(20000, [&] { return std::floor(513 * uniform(random)); })},
        {"constant", Values(1000, 0.1)},
        {"one", {1234.5}},
        {"two", {-1234.5, 513}},
        {"negative", made(5000, [&] { return -std::exp(3 * normal(random)); })},
        {"mixed", made(20000, [&] { return std::sinh(5 * normal(random)); })},
        {"zeros", made(1000, [&] { return random() % 2 == 0 ? 0.0 : -0.0; })},
        {"any", made(20000, [&] { return std::bit_cast<double>(random()); })},
        {"with infinities", made(2000, [&] { return random() % 10 == 0 ? -kInfiniteDouble : 1 / normal(random); })},
    };
    std::erase_if(result[10].values, [](double value) { return std::isnan(value); });
    Values sorted = result[1].values;
    std::sort(sorted.begin(), sorted.end());
    result.push_back({"sorted", sorted});
    result.push_back({"reversed", {sorted.rbegin(), sorted.rend()}});
    Values interleaved;
    for (size_t i = 0; i < sorted.size() / 2; ++i) {
        interleaved.push_back(sorted[i]);
        interleaved.push_back(sorted[sorted.size() - 1 - i]);
    }
    result.push_back({"interleaved", interleaved});
    return result;
}

// ---- buckets -------------------------------------------------------------------------------------------------

// The edge by arithmetic: the largest multiple of 2^-9 at most the mantissa in [1/2, 1).
double naive_edge(double value) {
    int exponent = 0;
    const double mantissa = std::frexp(std::fabs(value), &exponent);
    return std::copysign(std::ldexp(std::floor(mantissa * 512) / 512, exponent), value);
}

TEST(QuantileSketch, BucketsAreAsNarrowAsTheyAreSaidToBe) {
    for (const auto& [name, values] : samples()) {
        for (const double value : values) {
            const double edge = sketch_edge(sketch_key(value));
            if (std::isinf(value)) {
                ASSERT_EQ(edge, value);
            } else if (std::fabs(value) >= std::numeric_limits<double>::min()) {
                ASSERT_EQ(edge, naive_edge(value)) << name;
            } else {
                ASSERT_LE(std::fabs(edge), std::fabs(value)) << name;
                ASSERT_LT(std::fabs(edge - value), 0x1p-1030) << name;
            }
        }
    }
    for (int value = -512; value <= 512; ++value) EXPECT_EQ(sketch_edge(sketch_key(value)), value);
    EXPECT_EQ(sketch_key(kInfiniteDouble), kMostSketchKey);
    EXPECT_EQ(sketch_key(-kInfiniteDouble), -kMostSketchKey);
    EXPECT_LT(sketch_key(std::numeric_limits<double>::max()), kMostSketchKey);
    EXPECT_EQ(sketch_key(0x1p-1030), 1);
    EXPECT_EQ(sketch_key(std::nextafter(-0x1p-1030, 0)), 0);
}

TEST(QuantileSketch, KeysOrderLikeValues) {
    Values values = samples()[10].values;
    std::sort(values.begin(), values.end());
    for (size_t i = 1; i < values.size(); ++i) ASSERT_LE(sketch_key(values[i - 1]), sketch_key(values[i]));
    for (int32_t key = -kMostSketchKey; key <= kMostSketchKey; ++key) ASSERT_EQ(sketch_key(sketch_edge(key)), key);
}

// ---- quantiles -----------------------------------------------------------------------------------------------

TEST(QuantileSketch, QuantilesAreThoseOfTheValues) {
    for (const auto& [name, values] : samples()) {
        Stored stored = Filled(values).stored();
        Values sorted = values;
        std::sort(sorted.begin(), sorted.end());
        const auto n = static_cast<double>(sorted.size());
        double last = -kInfiniteDouble;
        for (const double q : {0.0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
            const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * n)));
            const double exact = sorted[rank - 1];
            const double answer = quantile(stored, q);
            ASSERT_GE(answer, last) << name << " " << q;
            last = answer;
            if (q == 0 || q == 1 || std::isinf(exact) ||
                (name != "any" && exact == std::floor(exact) && std::fabs(exact) <= 512)) {
                ASSERT_EQ(answer, exact) << name << " " << q;
            } else {
                ASSERT_LE(std::fabs(answer), std::fabs(exact)) << name << " " << q;
                const double error = std::fabs(answer - exact);
                ASSERT_TRUE(error < kWidth * std::fabs(exact) || error < 0x1p-1030) << name << " " << q;
            }
        }
        EXPECT_EQ(stored.sketch().count, static_cast<int64_t>(values.size())) << name;
        EXPECT_EQ(stored.sketch().min, sorted.front()) << name;
        EXPECT_EQ(stored.sketch().max, sorted.back()) << name;
    }
}

TEST(QuantileSketch, EveryRankIsFound) {
    Values values{-700, -3, -3, 0, 0.5, 0.5, 0.5, 9, 513, 10000};
    Stored stored = Filled(values).stored();
    for (size_t rank = 1; rank <= values.size(); ++rank) {
        const double q = static_cast<double>(rank) / 10;
        EXPECT_EQ(quantile(stored, q), rank == 9 ? 512 : values[rank - 1]) << q;
        EXPECT_EQ(quantile(stored, std::nextafter(q, 0)), rank == 9 ? 512 : values[rank - 1]) << q;
    }
}

TEST(QuantileSketch, RefusesOtherQuantiles) {
    Stored stored = Filled(Values{1, 2}).stored();
    for (const double q : {-0.001, 1.001, kNaN, kInfiniteDouble}) {
        double result = 7;
        Error error{};
        EXPECT_EQ(sketch_quantile(stored.sketch(), q, &result, &error), Status::failed);
        EXPECT_STREQ(error.sqlstate, "22023");
        EXPECT_EQ(result, 7);
    }
}

TEST(QuantileSketch, IgnoresNaNAndHasOneZero) {
    Stored stored = Filled(Values{kNaN, -0.0, -kNaN, 0.0}).stored();
    EXPECT_EQ(stored.text(), "1;2;0;0;0:2");
    EXPECT_EQ(Filled(Values{kNaN}).stored().text(), "1;0;;;");
}

// ---- shares --------------------------------------------------------------------------------------------------

TEST(QuantileSketch, SharesAboveFallShortByABucketAtMost) {
    for (const auto& [name, values] : samples()) {
        Stored stored = Filled(values).stored();
        const auto n = static_cast<double>(values.size());
        Values points{-kInfiniteDouble, -600, -512, -5, -0.5, 0, 1e-320, 0.5, 3, 300, 511, 512, 1e10,
                      kInfiniteDouble};
        for (size_t i = 0; i < values.size(); i += 97) points.push_back(values[i]);
        for (const double x : points) {
            int64_t above = 0;
            int64_t beside = 0;
            for (const double value : values) {
                if (value > x) ++(sketch_key(value) == sketch_key(x) ? beside : above);
            }
            const double exact = static_cast<double>(above + beside) / n;
            const double share = share_above(stored, x);
            ASSERT_LE(share, exact) << name << " " << x;
            ASSERT_GE(share, static_cast<double>(above) / n) << name << " " << x;
            const auto& [least, most] = std::minmax_element(values.begin(), values.end());
            const bool whole =
                (name == "whole" || name == "discrete") && x == std::floor(x) && x >= -512 && x <= 511;
            if (whole || x < *least || x >= *most) {
                ASSERT_EQ(share, exact) << name << " " << x;
            }
        }
    }
    Stored stored = Filled(Values{1}).stored();
    double result = 7;
    Error error{};
    EXPECT_EQ(sketch_share_above(stored.sketch(), kNaN, &result, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22023");
}

// ---- merging -------------------------------------------------------------------------------------------------

TEST(QuantileSketch, GroupingAndOrderLeaveNoTrace) {
    std::mt19937_64 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    for (auto& [name, values] : samples()) {
        const std::string expected = Filled(values).stored().wire();
        for (int round = 0; round < 5; ++round) {
            std::shuffle(values.begin(), values.end(), random);
            const size_t groups = 1 + random() % 40;
            std::vector<Stored> parts;
            std::vector<Filled> filled;
            for (size_t i = 0; i < groups; ++i) filled.emplace_back(random() | 1);
            for (const double value : values) filled[random() % groups].add(value);
            for (const Filled& part : filled) parts.push_back(part.stored());
            while (parts.size() > 1) {
                const size_t one = random() % parts.size();
                std::swap(parts[one], parts.back());
                Stored last = std::move(parts.back());
                parts.pop_back();
                Filled merged(random() | 1);
                merged.merge(last);
                Stored& other = parts[random() % parts.size()];
                merged.merge(other);
                other = merged.stored();
            }
            ASSERT_EQ(parts[0].wire(), expected) << name;
        }
    }
}

TEST(QuantileSketch, CountsDoNotOverflow) {
    const auto of_count = [](int64_t count) {
        Stored stored(1);
        stored.sketch() = {count, 1, 1, 1, stored.sketch().keys, stored.sketch().counts};
        stored.sketch().keys[0] = sketch_key(1);
        stored.sketch().counts[0] = count;
        return stored;
    };
    Filled filled;
    Stored most = of_count(kMostCount - 1);
    Stored one = of_count(1);
    filled.merge(most);
    filled.merge(one);
    EXPECT_EQ(filled.stored().text(), "1;9223372036854775807;1;1;261888:9223372036854775807");
    Error error{};
    EXPECT_EQ(filled.try_merge(one, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22003");
    error = {};
    EXPECT_EQ(sketch_table_add(&filled.table(), 1, 1, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22003");
    EXPECT_EQ(sketch_table_add(&filled.table(), kNaN, 1, &error), Status::ok);
    Stored stored = filled.stored();
    EXPECT_EQ(stored.text(), "1;9223372036854775807;1;1;261888:9223372036854775807");
    EXPECT_EQ(quantile(stored, 0.5), 1);
    EXPECT_EQ(quantile(stored, 1), 1);
}

// ---- weights -------------------------------------------------------------------------------------------------

TEST(QuantileSketch, AWeightIsSoManyValues) {
    for (const auto& [name, values] : samples()) {
        Filled weighted;
        Filled repeated;
        for (size_t i = 0; i < values.size(); ++i) {
            const auto times = static_cast<int64_t>(i * 7 % 5);
            weighted.add(values[i], times);
            for (int64_t n = 0; n < times; ++n) repeated.add(values[i]);
        }
        EXPECT_EQ(weighted.stored().wire(), repeated.stored().wire()) << name;
    }
}

TEST(QuantileSketch, WeightsThatAreIgnoredOrRefusedChangeNothing) {
    Filled filled;
    filled.add(3, 5);
    filled.add(-7, 0);  // neither the minimum nor a bucket
    filled.add(kNaN, 4);
    Error error{};
    EXPECT_EQ(filled.try_add(9, -1, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22023");
    error = {};
    EXPECT_EQ(filled.try_add(kNaN, std::numeric_limits<int64_t>::min(), &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22023");
    error = {};
    EXPECT_EQ(filled.try_add(9, kMostCount - 4, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22003");
    EXPECT_EQ(filled.stored().wire(), Filled({3, 3, 3, 3, 3}).stored().wire());
    filled.add(3, kMostCount - 5);
    Stored stored = filled.stored();
    EXPECT_EQ(stored.sketch().count, kMostCount);
    EXPECT_EQ(stored.sketch().buckets, 1U);
}

TEST(QuantileSketch, HoldsEveryBucket) {
    Filled filled;
    for (int32_t key = kMostSketchKey; key >= -kMostSketchKey; --key) filled.add(sketch_edge(key));
    Stored stored = filled.stored();
    EXPECT_EQ(stored.sketch().buckets, kMostSketchBuckets);
    EXPECT_EQ(stored.sketch().count, kMostSketchBuckets);
    EXPECT_TRUE(std::is_sorted(stored.sketch().keys, stored.sketch().keys + kMostSketchBuckets));
    EXPECT_EQ(quantile(stored, 0.5), 0);
}

// ---- text and wire -------------------------------------------------------------------------------------------

struct Read {
    Status status;
    Error error;
    Stored stored;
};

Bytes bytes_of(const std::string& from) {
    return {reinterpret_cast<const unsigned char*>(from.data()), static_cast<uint32_t>(from.size())};
}

Read read_text(const std::string& text) {
    Read read{Status::ok, {}, Stored(sketch_text_buckets(bytes_of(text)))};
    read.status = sketch_from_text(bytes_of(text), &read.stored.sketch(), &read.error);
    return read;
}

Read read_wire(const std::string& wire) {
    Read read{Status::ok, {}, Stored(sketch_wire_buckets(bytes_of(wire)))};
    read.status = sketch_from_wire(bytes_of(wire), &read.stored.sketch(), &read.error);
    return read;
}

TEST(SketchFormat, ReadsWhatItWrote) {
    for (const auto& [name, values] : samples()) {
        Stored stored = Filled(values).stored();
        Read text = read_text(stored.text());
        ASSERT_EQ(text.status, Status::ok) << name << ": " << text.error.detail;
        EXPECT_EQ(text.stored.wire(), stored.wire()) << name;
        Read wire = read_wire(stored.wire());
        ASSERT_EQ(wire.status, Status::ok) << name << ": " << wire.error.detail;
        EXPECT_EQ(wire.stored.text(), stored.text()) << name;
    }
    Filled all;
    for (int32_t key = -kMostSketchKey; key <= kMostSketchKey; ++key) all.add(sketch_edge(key));
    Stored largest = all.stored();
    EXPECT_EQ(read_text(largest.text()).stored.wire(), largest.wire());
}

TEST(SketchFormat, IsTheSameForEver) {
    Stored stored = Filled(Values{-2.5, 0.1, 0.1, kInfiniteDouble}).stored();
    EXPECT_EQ(stored.text(), "1;4;-2.5;Infinity;-262208:1,261017:2,524032:1");
    const std::string wire{
        "\x01"
        "\x00\x00\x00\x00\x00\x00\x00\x04"
        "\xC0\x04\x00\x00\x00\x00\x00\x00"
        "\x7F\xF0\x00\x00\x00\x00\x00\x00"
        "\xFF\xFB\xFF\xC0\x00\x00\x00\x00\x00\x00\x00\x01"
        "\x00\x03\xFB\x99\x00\x00\x00\x00\x00\x00\x00\x02"
        "\x00\x07\xFF\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        61};
    EXPECT_EQ(stored.wire(), wire);
}

TEST(SketchFormat, EveryPartOfASketchIsNeeded) {
    for (const Values& values : {Values{}, Values{-2.5, 0.1, 0.1, 700, kInfiniteDouble}, Values{3}}) {
        Stored stored = Filled(values).stored();
        const std::string text = stored.text();
        for (size_t size = 0; size < text.size(); ++size)
            EXPECT_EQ(read_text(text.substr(0, size)).status, Status::failed) << text.substr(0, size);
        const std::string wire = stored.wire();
        for (size_t size = 0; size < wire.size(); ++size)
            EXPECT_EQ(read_wire(wire.substr(0, size)).status, Status::failed) << size;
    }
}

TEST(SketchFormat, RefusesWhatNoValuesCouldMake) {
    for (const auto& [text, detail] : std::vector<std::pair<std::string, std::string>>{
             {"", "There is no \";\" where one must be."},
             {"1", "There is no \";\" where one must be."},
             {";0;;;", "The version is not a number."},
             {" 1;0;;;", "The version is not a number."},
             {"2;0;;;", "The version is 2; this is raxx_detect's version 1."},
             {"1;;;;", "The count is not a number."},
             {"1;-1;;;", "The minimum is not a number."},
             {"1;-1;1;1;", "The count is -1, which is negative."},
             {"1;9223372036854775808;1;1;261888:1", "The count is out of range."},
             {"1;0;0;0;", "The count is 0, and yet there is a minimum or a maximum."},
             {"1;0;;0;", "The minimum is not a number."},
             {"1;0;;;0:0", "Bucket 1 has the count 0, which is not positive."},
             {"1;0;;;0:1", "The counts of the buckets add up to more than the count."},
             {"1;1;NaN;1;261888:1", "The minimum or the maximum is NaN."},
             {"1;1;1e999;1;261888:1", "The minimum is out of range."},
             {"1;1;0x1;1;261888:1", "The minimum is not a number."},
             {"1;1;1;;261888:1", "The maximum is not a number."},
             {"1;1;1;1;", "The counts of the buckets add up to less than the count."},
             {"1;1;1;1", "There is no \";\" where one must be."},
             {"1;1;1;1;261888", "There is no \":\" where one must be."},
             {"1;1;1;1;261888:", "The count of a bucket is not a number."},
             {"1;1;1;1;261888:1,", "The text ends in a comma."},
             {"1;1;1;1;,261888:1", "The key of a bucket is not a number."},
             {"1;1;1;1;261888:1 ", "The count of a bucket is not a number."},
             {"1;1;1;1;261888:1:1", "The count of a bucket is not a number."},
             {"1;1;1;1;2618880000000:1", "The key of a bucket is out of range."},
             {"1;1;1;1;261888:-1", "Bucket 1 has the count -1, which is not positive."},
             {"1;1;1;1;261888:2", "The counts of the buckets add up to more than the count."},
             {"1;2;1;1;261888:1", "The counts of the buckets add up to less than the count."},
             {"1;2;1;1;261888:1,261888:1", "Bucket 2 has the key 261888, which is not above the one before it."},
             {"1;2;1;1;261888:1,261887:1", "Bucket 2 has the key 261887, which is not above the one before it."},
             {"1;2;1;2;261888:9223372036854775807,262144:9223372036854775807",
              "The counts of the buckets add up to more than the count."},
             {"1;1;1;1;524033:1", "Bucket 1 has the key 524033, which no number has."},
             {"1;1;1;1;-524033:1", "Bucket 1 has the key -524033, which no number has."},
             {"1;2;1.5;2;261888:1,262144:1", "The minimum is not in the first bucket."},
             {"1;2;1;3;261888:1,262144:1", "The maximum is not in the last bucket."},
             {"1;2;1.003;1.001;261888:2", "The minimum is above the maximum."},
             {"1;1;1.001;1.003;261888:1", "The minimum and the maximum of one value are not the same."},
         }) {
        const Read read = read_text(text);
        EXPECT_EQ(read.status, Status::failed) << text;
        EXPECT_STREQ(read.error.sqlstate, "22P02") << text;
        EXPECT_EQ(read.error.detail, detail) << text;
        EXPECT_STRNE(read.error.hint, "") << text;
    }
    EXPECT_EQ(read_text("1;1;-0;-0;0:1").stored.text(), "1;1;0;0;0:1");
    EXPECT_EQ(read_text("1;1;1.00;1e0;261888:1").stored.text(), "1;1;1;1;261888:1");
}

TEST(SketchFormat, RefusesOtherVersionsOnTheWire) {
    std::string wire = Filled(Values{3}).stored().wire();
    wire[0] = 2;
    const Read read = read_wire(wire);
    EXPECT_EQ(read.status, Status::failed);
    EXPECT_STREQ(read.error.sqlstate, "22P03");
    EXPECT_STREQ(read.error.message, "unknown version of a quantile sketch");
}

// Whatever is not refused is a sketch like any other.
void check_mutation(Read read, int* taken) {
    if (read.status == Status::failed) {
        ASSERT_STRNE(read.error.detail, "");
        return;
    }
    ++*taken;
    Read again = read_text(read.stored.text());
    ASSERT_EQ(again.status, Status::ok) << read.stored.text() << again.error.detail;
    ASSERT_EQ(again.stored.wire(), read.stored.wire());
    Read carried = read_wire(read.stored.wire());
    ASSERT_EQ(carried.status, Status::ok) << read.stored.text() << carried.error.detail;
    ASSERT_EQ(carried.stored.wire(), read.stored.wire());
    Filled filled;
    filled.merge(read.stored);
    ASSERT_EQ(filled.stored().wire(), read.stored.wire());
    if (read.stored.sketch().count > 0) {
        const double median = quantile(read.stored, 0.5);
        ASSERT_GE(median, read.stored.sketch().min);
        ASSERT_LE(median, read.stored.sketch().max);
    }
}

TEST(SketchFormat, MutationsAreRefusedOrWhole) {
    std::mt19937_64 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    Stored stored = Filled(Values{-2.5, 0.1, 0.1, 3, 700, 701, kInfiniteDouble}).stored();
    const std::string alphabet = "0123456789-+.;:,einfNa \n";
    int taken = 0;
    for (int round = 0; round < 60000; ++round) {
        const bool is_text = round % 2 == 0;
        std::string form = is_text ? stored.text() : stored.wire();
        for (uint64_t change = 0; change <= random() % 3; ++change) {
            const size_t at = random() % form.size();
            const char with = is_text ? alphabet[random() % alphabet.size()] : static_cast<char>(random());
            switch (random() % 4) {
                case 0:
                    form.erase(at, 1 + random() % 12);
                    break;
                case 1:
                    form.insert(at, 1 + random() % 12, with);
                    break;
                default:
                    form[at] = with;
                    break;
            }
            if (form.empty()) break;
        }
        check_mutation(is_text ? read_text(form) : read_wire(form), &taken);
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(taken, 100);
}

// ---- Kolmogorov-Smirnov --------------------------------------------------------------------------------------

KsResult ks(Stored& x, Stored& y) {
    KsResult result{kNaN, kNaN};
    Error error{};
    EXPECT_EQ(sketch_ks_test(x.sketch(), y.sketch(), &result, &error), Status::ok) << error.message;
    return result;
}

TEST(SketchKsTest, IsThatOfTheEdges) {
    const std::vector<Named> all = samples();
    for (const auto& [x_name, x] : all) {
        for (const auto& [y_name, y] : all) {
            const auto edges = [](Values values) {
                for (double& value : values) value = sketch_edge(sketch_key(value));
                return values;
            };
            const Values x_edges = edges(x);
            const Values y_edges = edges(y);
            const KsResult of_edges = two_sample_ks(x_edges, y_edges, nullptr);
            const KsResult of_values = two_sample_ks(x, y, nullptr);
            Stored x_stored = Filled(x).stored();
            Stored y_stored = Filled(y).stored();
            const KsResult result = ks(x_stored, y_stored);
            EXPECT_EQ(result.d, of_edges.d) << x_name << ", " << y_name;
            EXPECT_LE(result.d, of_values.d) << x_name << ", " << y_name;
            if (x.size() * y.size() >= 10000) {
                EXPECT_EQ(result.p_value, of_edges.p_value) << x_name << ", " << y_name;
            }
            const KsResult swapped = ks(y_stored, x_stored);
            EXPECT_EQ(swapped.d, result.d);
            EXPECT_NEAR(swapped.p_value, result.p_value, 1e-14);
        }
    }
}

TEST(SketchKsTest, NeedsAValueOnEachSide) {
    Stored none = Filled(Values{}).stored();
    Stored some = Filled(Values{1, 2}).stored();
    for (const bool first : {true, false}) {
        KsResult result{};
        Error error{};
        EXPECT_EQ(sketch_ks_test((first ? none : some).sketch(), (first ? some : none).sketch(), &result, &error),
                  Status::failed);
        EXPECT_STREQ(error.sqlstate, "22023");
        EXPECT_EQ(std::string(error.detail),
                  std::string("The ") + (first ? "first" : "second") + " sketch is of no value.");
    }
    EXPECT_EQ(ks(some, some).d, 0);
    EXPECT_EQ(ks(some, some).p_value, 1);
}

}  // namespace
}  // namespace raxx
