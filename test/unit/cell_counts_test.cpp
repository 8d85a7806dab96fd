// Cell counts against a naive twin: the cells of every key counted one by one, rows ordered and shuffled, in
// batches of any size.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "stream.h"

namespace raxx::test {
namespace {

struct Hours {
    std::vector<int64_t> cells = std::vector<int64_t>(24);
    std::vector<int64_t> sums = std::vector<int64_t>(24);
    std::vector<double> squares = std::vector<double>(24);
    bool operator==(const Hours&) const = default;
    void add(int hour, int64_t x) {
        const auto h = static_cast<size_t>(hour);
        ++cells[h];
        sums[h] += x;
        squares[h] += static_cast<double>(x * x);
    }
};

struct Counted {
    int64_t rows = 0;
    Hours all;
    std::vector<int64_t> held;  // what the cells held, sorted; of a core's sketch, what it tells of that
    std::map<std::string, Hours> certain;
    std::map<std::string, Hours> tied;
};

int hour_at(const Cells& cells, Time t) {
    int result = -1;
    for (uint32_t i = 0; i < cells.hour_count; ++i) {
        if (cells.hour_starts[i] <= t) result = cells.hours[i];
    }
    return result;
}

Counted naive(const Stream& stream, Time length, const Cells& cells) {
    std::map<std::pair<std::string, Time>, std::vector<std::string>> held;
    for (const Row& row : stream) {
        Time begin = cells.begin;
        while (begin + length <= row.time) begin += length;
        held[{row.key, begin}].push_back(row.value);
    }
    Counted result;
    result.rows = static_cast<int64_t>(stream.size());
    std::map<std::string, Hours> keys;
    std::map<std::string, int64_t> sums;
    for (const auto& [where, values] : held) {
        const std::set<std::string> distinct(values.begin(), values.end());
        const auto x = static_cast<int64_t>(cells.distinct ? distinct.size() : values.size());
        result.all.add(hour_at(cells, where.second), x);
        keys[where.first].add(hour_at(cells, where.second), x);
        sums[where.first] += x;
        result.held.push_back(x);
    }
    std::sort(result.held.begin(), result.held.end());
    for (const auto& [key, hours] : keys) {
        uint64_t more = 0, as_many = 0;
        for (const auto& [other, sum] : sums) {
            more += sum > sums[key];
            as_many += sum == sums[key];
        }
        if (more >= cells.keep) continue;
        // The last one wanted has this sum, be there more of the kind than are wanted or not.
        (more + as_many >= cells.keep || more + as_many == keys.size() ? result.tied : result.certain)[key] = hours;
    }
    return result;
}

Hours hours_of(const HourlyCounts& counts) {
    Hours result;
    std::copy(counts.cells, counts.cells + 24, result.cells.begin());
    std::copy(counts.sums, counts.sums + 24, result.sums.begin());
    std::copy(counts.squares, counts.squares + 24, result.squares.begin());
    return result;
}

Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

Status feed(Evaluation* evaluation, const Stream& stream, size_t batch, Error* error) {
    for (size_t from = 0; from < stream.size(); from += batch) {
        std::vector<Time> times;
        std::vector<Bytes> keys, values;
        for (size_t i = from; i < std::min(from + batch, stream.size()); ++i) {
            times.push_back(stream[i].time);
            keys.push_back(bytes_of(stream[i].key));
            values.push_back(bytes_of(stream[i].value));
        }
        const Rows rows = {static_cast<uint32_t>(times.size()), times.data(), keys.data(), values.data()};
        Status status = Status::more;
        while (status == Status::more) status = evaluation_add(evaluation, rows, error);
        if (status != Status::ok) return status;
    }
    Status status = Status::more;
    while (status == Status::more) status = evaluation_finish(evaluation, error);
    return status;
}

void expect_sketch(const Sketch& sketch, const std::vector<int64_t>& held) {
    ASSERT_EQ(sketch.count, static_cast<int64_t>(held.size()));
    std::vector<SketchSlot> slots(size_t{1} << sketch_table_bits(held.size()));
    SketchTable table = {};
    sketch_table_move(&table, slots.data(), sketch_table_bits(held.size()));
    table.multiplier = 0x9E3779B97F4A7C15;
    Error error{};
    for (const int64_t x : held) ASSERT_EQ(sketch_table_add(&table, static_cast<double>(x), 1, &error), Status::ok);
    std::vector<int32_t> keys(table.buckets);
    std::vector<int64_t> counts(table.buckets);
    Sketch expected = {0, 0, 0, 0, keys.data(), counts.data()};
    sketch_from_table(table, &expected);
    EXPECT_EQ(sketch.min, expected.min);
    EXPECT_EQ(sketch.max, expected.max);
    ASSERT_EQ(sketch.buckets, expected.buckets);
    EXPECT_TRUE(std::equal(keys.begin(), keys.end(), sketch.keys));
    EXPECT_TRUE(std::equal(counts.begin(), counts.end(), sketch.counts));
}

void expect_same(const Spec& spec, const Stream& stream, size_t batch, const Counted& expected) {
    Error error{};
    Evaluation* evaluation = evaluation_create(spec, &error);
    ASSERT_NE(evaluation, nullptr) << error.message;
    ASSERT_EQ(feed(evaluation, stream, batch, &error), Status::ok) << error.message;
    const CellCounts counts = evaluation_cell_counts(evaluation);
    EXPECT_EQ(counts.rows, expected.rows);
    EXPECT_EQ(hours_of(counts.all), expected.all);
    expect_sketch(counts.sketch, expected.held);
    std::map<std::string, Hours> certain, tied;
    for (size_t i = 0; i < counts.certain + counts.tied; ++i) {
        const std::string key(reinterpret_cast<const char*>(counts.keys[i].data), counts.keys[i].size);
        auto& keys = i < counts.certain ? certain : tied;
        EXPECT_TRUE(keys.emplace(key, hours_of(evaluation_key_counts(evaluation, i))).second);
    }
    EXPECT_EQ(certain, expected.certain);
    EXPECT_EQ(tied, expected.tied);
    evaluation_free(evaluation);
}

Spec spec_of(const Cells& cells, Order order, Time length) {
    Spec spec = {};
    spec.method = Method::cell_counts;
    spec.order = order;
    spec.window = length;
    spec.cells = &cells;
    spec.memory_limit = size_t{1} << 30;
    spec.seed = 42;
    return spec;
}

TEST(CellCounts, AgreeWithTheDefinitionOrderedAndNot) {
    std::mt19937_64 random(20261122);
    size_t with_ties = 0;
    for (int round = 0; round < 1200; ++round) {
        const Shape shape = {round % 90, 1 + round % 11, 1 + round % 7, 1 + (round * 13) % 400};
        Stream stream = random_stream(random, shape);
        const Time begin = -static_cast<Time>(random() % 50);
        std::vector<Time> starts = {begin - static_cast<Time>(random() % 3)};
        std::vector<int32_t> hours = {static_cast<int32_t>(random() % 24)};
        for (uint64_t i = random() % 30; i > 0; --i) {
            starts.push_back(starts.back() + 1 + static_cast<Time>(random() % 40));
            hours.push_back(random() % 4 == 0 ? static_cast<int32_t>(random() % 24) : (hours.back() + 1) % 24);
        }
        const Cells cells = {begin,          static_cast<uint32_t>(starts.size()),
                             starts.data(),  hours.data(),
                             round % 2 == 0, random() % 12};
        const Time length = 1 + static_cast<Time>(random() % 60);
        const Counted expected = naive(stream, length, cells);
        with_ties += expected.tied.size() > 1;
        SCOPED_TRACE("round " + std::to_string(round));
        expect_same(spec_of(cells, Order::by_time, length), stream, 1 + static_cast<size_t>(round) % 9, expected);
        std::shuffle(stream.begin(), stream.end(), random);
        expect_same(spec_of(cells, Order::none, length), stream, 7, expected);
        if (HasFailure()) return;
    }
    EXPECT_GT(with_ties, 200U);
}

TEST(CellCounts, ForgetsTheValuesOfACellInSteps) {
    Stream stream;
    for (int i = 0; i < 250000; ++i) stream.push_back({0, "k", std::to_string(i)});
    stream.push_back({1, "k", "7"});
    const Time start = 0;
    const int32_t hour = 5;
    const Cells cells = {0, 1, &start, &hour, true, 1};
    Error error{};
    Evaluation* evaluation = evaluation_create(spec_of(cells, Order::by_time, 1), &error);
    ASSERT_EQ(feed(evaluation, stream, stream.size(), &error), Status::ok) << error.message;
    const CellCounts counts = evaluation_cell_counts(evaluation);
    EXPECT_EQ(counts.rows, 250001);
    EXPECT_EQ(counts.all.cells[5], 2);
    EXPECT_EQ(counts.all.sums[5], 250001);
    EXPECT_EQ(counts.all.squares[5], 250000.0 * 250000.0 + 1);
    EXPECT_EQ(counts.sketch.max, 250000);
    evaluation_free(evaluation);
}

TEST(CellCounts, AtTheEndsOfTime) {
    const Time last = INT64_C(9223371331199999999);
    const Time first = INT64_C(-211813488000000000);
    const Time starts[] = {first, last};
    const int32_t hours[] = {0, 23};
    const Cells cells = {first, 2, starts, hours, false, 1};
    Error error{};
    Evaluation* evaluation = evaluation_create(spec_of(cells, Order::by_time, INT64_MAX), &error);
    ASSERT_EQ(feed(evaluation, {{first, "k", ""}, {last, "k", ""}}, 2, &error), Status::ok) << error.message;
    const CellCounts counts = evaluation_cell_counts(evaluation);
    EXPECT_EQ(counts.all.cells[0], 2);
    EXPECT_EQ(counts.all.sums[0], 2);
    evaluation_free(evaluation);
}

TEST(CellCounts, ManyKeysAreAnError) {
    Stream stream;
    for (int i = 0; i < 100000; ++i) stream.push_back({0, std::to_string(i), ""});
    const Time start = 0;
    const int32_t hour = 0;
    const Cells cells = {0, 1, &start, &hour, false, 1};
    Spec spec = spec_of(cells, Order::by_time, 1);
    spec.memory_limit = size_t{4} << 20;
    Error error{};
    Evaluation* evaluation = evaluation_create(spec, &error);
    EXPECT_EQ(feed(evaluation, stream, 1024, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "54000");
    evaluation_free(evaluation);
}

}  // namespace
}  // namespace raxx::test
