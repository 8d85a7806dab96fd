// The counts of all thresholds against the episodes of each, over streams with many ties; and the levels of watched
// keys against the definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/clock.h"
#include "stream.h"

namespace raxx::test {
namespace {

struct Counted {
    std::vector<int64_t> counts;
    std::vector<Found> levels;
};

Counted count(const Spec& spec, const Stream& stream, size_t batch) {
    Error error;
    Evaluation* evaluation = evaluation_create(spec, &error);
    EXPECT_NE(evaluation, nullptr);
    for (size_t at = 0; at < stream.size(); at += batch) {
        std::vector<Time> times;
        std::vector<Bytes> keys, values;
        for (size_t i = at; i < std::min(at + batch, stream.size()); ++i) {
            const auto bytes = [](const std::string& text) {
                return Bytes{reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<uint32_t>(text.size())};
            };
            times.push_back(stream[i].time);
            keys.push_back(bytes(stream[i].key));
            values.push_back(bytes(stream[i].value));
        }
        const Rows rows = {static_cast<uint32_t>(times.size()), times.data(), keys.data(), values.data()};
        EXPECT_EQ(evaluation_add(evaluation, rows, &error), Status::ok);
    }
    while (evaluation_finish(evaluation, &error) == Status::more) {
    }
    Counted result;
    const EpisodeCounts counts = evaluation_episode_counts(evaluation);
    result.counts.assign(counts.counts, counts.counts + counts.count);
    const Episodes levels = evaluation_episodes(evaluation);
    for (size_t i = 0; i < levels.count; ++i) {
        const Episode& change = levels.items[i];
        result.levels.push_back({change.start, change.end, change.peak, change.rows,
                                 std::string(reinterpret_cast<const char*>(change.key.data), change.key.size)});
    }
    evaluation_free(evaluation);
    return result;
}

// What a key's level becomes, at each instant at which it becomes another.
std::vector<Found> levels_of(const std::string& key, const Stream& stream, const Spec& spec) {
    std::set<Time> instants;
    for (const Row& row : stream) {
        if (row.key == key) instants.insert({row.time, later(row.time, spec.window)});
    }
    std::vector<Found> result;
    int64_t before = 0;
    for (const Time t : instants) {
        std::set<std::string> values;
        int64_t rows = 0;
        for (const Row& row : stream) {
            if (row.key != key || row.time > t || row.time <= earlier(t, spec.window)) continue;
            ++rows;
            values.insert(row.value);
        }
        const int64_t level = spec.method == Method::distinct_counts ? static_cast<int64_t>(values.size()) : rows;
        if (level != before) result.push_back({t, t, level, rows, key});
        before = level;
    }
    return result;
}

class Counts : public testing::TestWithParam<std::pair<Method, Method>> {};

TEST_P(Counts, AreThoseOfEachThreshold) {
    std::mt19937_64 random(20261130);
    const auto [counts_method, method] = GetParam();
    const std::string watched_name = name_of(3);
    const Bytes watched_key = {reinterpret_cast<const unsigned char*>(watched_name.data()),
                               static_cast<uint32_t>(watched_name.size())};
    const KeyList watched = {1, &watched_key};
    int64_t all = 0;
    size_t changes = 0;
    for (int round = 0; round < 1500; ++round) {
        const Shape shape = {round % 60, 1 + round % 5, 1 + round % 7, 1 + (round * 7) % 150};
        Stream stream = random_stream(random, shape);
        Spec spec = {counts_method,   Order::by_time, false,  1 + round % 20, 0, nullptr, 0,
                     size_t{1} << 30, 0x5eed,         nullptr};
        spec.count_from = round % 3 == 0 ? kMinusInfinity : round % 40;
        spec.watched = &watched;
        std::vector<Found> levels = levels_of(watched_name, stream, spec);
        changes += levels.size();
        std::vector<int64_t> expected;
        for (int64_t threshold = 1; threshold <= 70; ++threshold) {
            Spec one = spec;
            one.method = method;
            one.threshold = threshold;
            const auto episodes = evaluate(one, stream, 7);
            expected.push_back(std::count_if(episodes.begin(), episodes.end(),
                                             [&](const Found& e) { return e.start > spec.count_from; }));
            all += expected.back();
        }
        while (!expected.empty() && expected.back() == 0) expected.pop_back();
        Counted counted = count(spec, stream, 1 + static_cast<size_t>(round) % 9);
        ASSERT_EQ(counted.counts, expected) << "round " << round;
        ASSERT_EQ(counted.levels, levels) << "round " << round;
        spec.order = Order::none;
        std::shuffle(stream.begin(), stream.end(), random);
        counted = count(spec, stream, 7);
        ASSERT_EQ(counted.counts, expected) << "shuffled, round " << round;
        ASSERT_EQ(counted.levels, levels) << "shuffled, round " << round;
    }
    EXPECT_GT(all, 10000);
    EXPECT_GT(changes, 1000U);
}

INSTANTIATE_TEST_SUITE_P(All, Counts,
                         testing::Values(std::pair{Method::velocity_counts, Method::velocity},
                                         std::pair{Method::distinct_counts, Method::distinct}));

TEST(EpisodeCounts, AHundredThousandRowsThatLeaveAtOnceAreNoHurdle) {
    Stream stream(250'000, Row{0, "k", ""});
    stream.push_back({100, "k", ""});
    const Spec spec = {Method::velocity_counts, Order::none, false, 10, 0, nullptr, 0, size_t{1} << 30, 1, nullptr};
    const Counted counted = count(spec, stream, 5000);
    ASSERT_EQ(counted.counts.size(), 250'000U);
    EXPECT_EQ(counted.counts.front(), 2);
    EXPECT_EQ(counted.counts[1], 1);
    EXPECT_EQ(counted.counts.back(), 1);
}

}  // namespace
}  // namespace raxx::test
