// Ordered against a naive twin that follows the definition: at every instant at which something can change, tries
// every row of the first step in the window as the beginning.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/clock.h"
#include "stream.h"

namespace raxx::test {
namespace {

Spec spec_of(Order order, Time window, int64_t steps) {
    return {Method::ordered, order, false, window, steps, nullptr, 0, size_t{1} << 30, 0x5eed, nullptr};
}

// How many steps, from the first on, the rows of (t - window, t] hold in order: each at the time of the one before,
// or later.
int64_t level_at(const Stream& rows, const Spec& spec, Time t) {
    int64_t best = 0;
    for (const Row& first : rows) {
        if (first.value != "1" || first.time > t || first.time <= earlier(t, spec.window)) continue;
        Time at = first.time;
        int64_t level = 1;
        for (; level < spec.threshold; ++level) {
            Time next = kInfinity;
            for (const Row& row : rows) {
                if (row.value == std::to_string(level + 1) && row.time >= at && row.time <= t)
                    next = std::min(next, row.time);
            }
            if (next == kInfinity) break;
            at = next;
        }
        best = std::max(best, level);
    }
    return best;
}

std::vector<Found> naive(const Stream& stream, const Spec& spec) {
    std::map<std::string, Stream> by_key;
    for (const Row& row : stream) by_key[row.key].push_back(row);
    std::vector<Found> result;
    for (const auto& [key, rows] : by_key) {
        std::set<Time> instants;
        for (const Row& row : rows) instants.insert({row.time, later(row.time, spec.window)});
        bool inside = false;
        for (const Time t : instants) {
            const bool holds = level_at(rows, spec, t) >= spec.threshold;
            const auto in_window = std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
                return row.time <= t && row.time > earlier(t, spec.window);
            });
            if (holds && !inside) result.push_back({t, kInfinity, spec.threshold, 0, key});
            if (holds) result.back().rows = std::max<int64_t>(result.back().rows, in_window);
            if (!holds && inside) result.back().end = t;
            inside = holds;
        }
    }
    std::sort(result.begin(), result.end(),
              [](const Found& a, const Found& b) { return std::tie(a.start, a.key) < std::tie(b.start, b.key); });
    return result;
}

TEST(Ordered, AgreesWithTheDefinitionInEveryOrder) {
    std::mt19937_64 random(20260604);
    size_t episodes = 0;
    for (int round = 0; round < 3000; ++round) {
        const int steps = 1 + round % 4;
        Stream stream = random_stream(random, {round % 60, 1 + round % 5, 1, 1 + (round * 7) % 150});
        for (Row& row : stream) row.value = std::to_string(1 + random() % static_cast<uint64_t>(steps));
        const Spec spec = spec_of(Order::by_time, 1 + round % 20, steps);
        const auto expected = naive(stream, spec);
        episodes += expected.size();
        ASSERT_EQ(evaluate(spec, stream, 1 + static_cast<size_t>(round) % 9), expected) << "round " << round;
        Spec unordered = spec;
        unordered.order = Order::none;
        std::shuffle(stream.begin(), stream.end(), random);
        ASSERT_EQ(evaluate(unordered, stream, 7), expected) << "shuffled, round " << round;
    }
    EXPECT_GT(episodes, 2000U);
}

TEST(Ordered, TheOrderCounts) {
    const Spec spec = spec_of(Order::by_time, 10, 2);
    EXPECT_EQ(evaluate(spec, {{0, "k", "2"}, {5, "k", "1"}}, 1), std::vector<Found>{});
    EXPECT_EQ(evaluate(spec, {{0, "k", "1"}, {5, "k", "2"}}, 1), (std::vector<Found>{{5, 10, 2, 2, "k"}}));
    EXPECT_EQ(evaluate(spec, {{5, "k", "2"}, {5, "k", "1"}}, 1), (std::vector<Found>{{5, 15, 2, 2, "k"}}));
    EXPECT_EQ(evaluate(spec, {{0, "k", "1"}, {5, "j", "2"}}, 1), std::vector<Found>{});
}

TEST(Ordered, AMicrosecondMoreThanTheWindowIsTooMuch) {
    const Spec spec = spec_of(Order::by_time, 10, 2);
    EXPECT_EQ(evaluate(spec, {{0, "k", "1"}, {9, "k", "2"}}, 1), (std::vector<Found>{{9, 10, 2, 2, "k"}}));
    EXPECT_EQ(evaluate(spec, {{0, "k", "1"}, {10, "k", "2"}}, 1), std::vector<Found>{});
}

TEST(Ordered, TheLatestBeginningDecides) {
    const Spec spec = spec_of(Order::by_time, 10, 2);
    EXPECT_EQ(evaluate(spec, {{0, "k", "1"}, {8, "k", "1"}, {9, "k", "2"}}, 1),
              (std::vector<Found>{{9, 18, 2, 3, "k"}}));
}

TEST(Ordered, WhatIsNoStepIsAnError) {
    for (const char* step : {"", "0", "3", "x", "1x", "111"}) {
        Error error{};
        Evaluation* evaluation = evaluation_create(spec_of(Order::by_time, 10, 2), &error);
        const Time time = 0;
        const Bytes key = {nullptr, 0};
        const Bytes value = {reinterpret_cast<const unsigned char*>(step),
                             static_cast<uint32_t>(std::string(step).size())};
        EXPECT_EQ(evaluation_add(evaluation, {1, &time, &key, &value}, &error), Status::failed) << step;
        EXPECT_STREQ(error.sqlstate, "22023");
        evaluation_free(evaluation);
    }
    for (const int64_t steps : {int64_t{0}, int64_t{33}}) {
        Error error{};
        EXPECT_EQ(evaluation_create(spec_of(Order::by_time, 10, steps), &error), nullptr);
        EXPECT_STREQ(error.sqlstate, "22023");
    }
}

}  // namespace
}  // namespace raxx::test
