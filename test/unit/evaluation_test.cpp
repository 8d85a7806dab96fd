// The evaluators against naive twins that follow the definition: look at every instant at which something can
// change.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/clock.h"
#include "core/gaps.h"
#include "stream.h"

namespace raxx::test {
namespace {

Spec spec_of(Method method, Order order, Time window, int64_t threshold) {
    return {method, order, false, window, threshold, nullptr, 0.999, size_t{1} << 30, 0x5eed, nullptr};
}

struct Window {
    int64_t rows = 0;
    int64_t level = 0;  // what counts: the rows in (t - window, t], or their distinct values
};

Window window_at(const Stream& rows, const Spec& spec, Time t) {
    std::set<std::string> distinct;
    Window window;
    for (const Row& row : rows) {
        if (row.time > t || row.time <= earlier(t, spec.window)) continue;
        ++window.rows;
        distinct.insert(row.value);
    }
    window.level = spec.method == Method::distinct ? static_cast<int64_t>(distinct.size()) : window.rows;
    return window;
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
            const Window window = t == kInfinity ? Window{} : window_at(rows, spec, t);
            if (window.level >= spec.threshold) {
                if (!inside) result.push_back({t, kInfinity, 0, 0, key});
                Found& episode = result.back();
                if (std::tie(window.level, window.rows) > std::tie(episode.peak, episode.rows)) {
                    episode.peak = window.level;
                    episode.rows = window.rows;
                }
            } else if (inside) {
                result.back().end = t;
            }
            inside = window.level >= spec.threshold;
        }
    }
    std::sort(result.begin(), result.end(),
              [](const Found& a, const Found& b) { return std::tie(a.start, a.key) < std::tie(b.start, b.key); });
    return result;
}

class Evaluators : public testing::TestWithParam<Method> {};

TEST_P(Evaluators, AgreeWithTheDefinitionInEveryOrder) {
    std::mt19937_64 random(20260604);
    size_t episodes = 0;
    for (int round = 0; round < 3000; ++round) {
        const Shape shape = {round % 60, 1 + round % 5, 1 + round % 7, 1 + (round * 7) % 150};
        Stream stream = random_stream(random, shape);
        const Spec spec = spec_of(GetParam(), Order::by_time, 1 + round % 20, 1 + round % 4);
        const auto expected = naive(stream, spec);
        episodes += expected.size();
        ASSERT_EQ(evaluate(spec, stream, 1 + static_cast<size_t>(round) % 9), expected) << "round " << round;

        Spec unordered = spec;
        unordered.order = Order::none;
        std::shuffle(stream.begin(), stream.end(), random);
        ASSERT_EQ(evaluate(unordered, stream, 7), expected) << "shuffled, round " << round;

        Spec by_key = spec;
        by_key.order = Order::by_key;
        std::stable_sort(stream.begin(), stream.end(), [](const Row& a, const Row& b) {
            return std::tie(a.key, a.time) < std::tie(b.key, b.time);
        });
        if (GetParam() == Method::velocity) {
            ASSERT_EQ(evaluate(by_key, stream, 5), expected) << "by key, round " << round;
        }
    }
    EXPECT_GT(episodes, 5000U);  // the streams do have episodes in them
}

INSTANTIATE_TEST_SUITE_P(All, Evaluators, testing::Values(Method::velocity, Method::distinct));

TEST(Velocity, AnEpisodeGoesOnThroughAnInstantAtWhichOneRowLeavesAndAnotherComes) {
    const Stream stream = {{0, "k", ""}, {5, "k", ""}, {10, "k", ""}};
    EXPECT_EQ(evaluate(spec_of(Method::velocity, Order::by_time, 10, 2), stream, 1),
              (std::vector<Found>{{5, 15, 2, 2, "k"}}));
}

TEST(Velocity, AMicrosecondMoreThanTheWindowEndsIt) {
    const Stream stream = {{0, "k", ""}, {5, "k", ""}, {11, "k", ""}};
    EXPECT_EQ(evaluate(spec_of(Method::velocity, Order::by_time, 10, 2), stream, 1),
              (std::vector<Found>{{5, 10, 2, 2, "k"}, {11, 15, 2, 2, "k"}}));
}

TEST(Velocity, TheEndOfTimeDoesNotWrap) {
    const Stream stream = {{kLastTime - 1, "k", ""}, {kLastTime, "k", ""}};
    EXPECT_EQ(evaluate(spec_of(Method::velocity, Order::by_time, 10, 2), stream, 1),
              (std::vector<Found>{{kLastTime, kInfinity, 2, 2, "k"}}));
    EXPECT_EQ(evaluate(spec_of(Method::velocity, Order::by_time, INT64_MAX, 2), stream, 1),
              (std::vector<Found>{{kLastTime, kInfinity, 2, 2, "k"}}));
}

// A hundred thousand rows with keys that come and go: the hash tables grow and give ids to other keys.
TEST(Evaluation, MemoryFollowsTheWindowAndNotTheStream) {
    std::mt19937_64 random(7);
    for (const Method method : {Method::velocity, Method::distinct}) {
        Error error{};
        Evaluation* evaluation = evaluation_create(
            {method, Order::by_time, false, 1000, 3, nullptr, 0, size_t{4} << 20, 1, nullptr}, &error);
        for (int batch = 0; batch < 250; ++batch) {
            std::vector<Time> times;
            std::vector<std::string> names;
            for (int i = 0; i < 4000; ++i) {
                times.push_back(batch * 4000 + i);
                names.push_back(name_of(random() % 100'000'000));
            }
            std::vector<Bytes> keys;
            for (const auto& name : names) {
                keys.push_back(
                    {reinterpret_cast<const unsigned char*>(name.data()), static_cast<uint32_t>(name.size())});
            }
            ASSERT_EQ(evaluation_add(evaluation, {4000, times.data(), keys.data(), keys.data()}, &error),
                      Status::ok)
                << error.detail;
        }
        EXPECT_EQ(evaluation_finish(evaluation, &error), Status::ok);
        evaluation_free(evaluation);
    }
}

TEST(Evaluation, BatchesMakeNoDifference) {
    std::mt19937_64 random(11);
    const Stream stream = random_stream(random, {60000, 20000, 20, 3'000'000});
    for (const Method method : {Method::velocity, Method::distinct}) {
        // Keys leave the window and come back all the time.
        const Spec spec = spec_of(method, Order::by_time, 60000, 2);
        EXPECT_EQ(evaluate(spec, stream, 100), evaluate(spec, stream, stream.size()));
    }
}

bool stopping = false;

TEST(Evaluation, FinishesInStepsAndCanBeStoppedWhileItSorts) {
    Error error{};
    Spec spec = spec_of(Method::velocity, Order::by_time, 1'000'000, 1);
    spec.stop = [] { return stopping; };
    Evaluation* evaluation = evaluation_create(spec, &error);
    std::vector<Time> times(150'000);
    std::vector<std::string> names(times.size());
    std::vector<Bytes> keys(times.size());
    for (size_t i = 0; i < times.size(); ++i) {
        times[i] = static_cast<Time>(i);
        names[i] = "key-" + std::to_string(i * 7919 % times.size());
        keys[i] = {reinterpret_cast<const unsigned char*>(names[i].data()), static_cast<uint32_t>(names[i].size())};
    }
    const Rows rows = {static_cast<uint32_t>(times.size()), times.data(), keys.data(), nullptr};
    ASSERT_EQ(evaluation_add(evaluation, rows, &error), Status::ok);
    EXPECT_EQ(evaluation_finish(evaluation, &error), Status::more);
    stopping = true;
    EXPECT_EQ(evaluation_finish(evaluation, &error), Status::stopped);
    stopping = false;
    EXPECT_EQ(evaluation_finish(evaluation, &error), Status::ok);
    const Episodes episodes = evaluation_episodes(evaluation);
    ASSERT_EQ(episodes.count, times.size());
    for (size_t i = 0; i < episodes.count; ++i) ASSERT_EQ(episodes.items[i].start, static_cast<Time>(i));
    evaluation_free(evaluation);
}

// A window of 250,000 rows that one row ends: letting go of them takes several calls, in any order of arrival.
TEST(Evaluation, LetsGoOfManyRowsInSteps) {
    Stream stream;
    for (int i = 0; i < 250'000; ++i) stream.push_back({i, "k" + std::to_string(i % 1000), std::to_string(i % 7)});
    stream.push_back({10'000'000, "k1", "1"});
    stream.push_back({10'000'001, "k1", "2"});
    for (const Method method : {Method::velocity, Method::distinct}) {
        const Spec spec = spec_of(method, Order::by_time, 1'000'000, 2);
        Spec checked = spec;
        checked.check_order = true;
        Spec unordered = spec;
        unordered.order = Order::none;
        const auto found = evaluate(spec, stream, 1000);
        EXPECT_EQ(found.size(), 1001U);
        EXPECT_EQ(found.back(), (Found{10'000'001, 11'000'000, 2, 2, "k1"}));
        EXPECT_EQ(evaluate(checked, stream, 999), found);
        EXPECT_EQ(evaluate(unordered, stream, 5000), found);
    }
}

TEST(Evaluation, SaysSoWhenTheWindowDoesNotFitTheMemoryLimit) {
    Error error{};
    Evaluation* evaluation = evaluation_create(
        {Method::velocity, Order::by_time, false, kInfinity, 3, nullptr, 0, 100'000, 1, nullptr}, &error);
    const std::vector<Time> times(10000, 5);
    const std::vector<Bytes> keys(10000, Bytes{reinterpret_cast<const unsigned char*>("k"), 1});
    EXPECT_EQ(evaluation_add(evaluation, {10000, times.data(), keys.data(), nullptr}, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "54000");
    EXPECT_STRNE(error.hint, "");
    evaluation_free(evaluation);
}

TEST(Evaluation, AsksForOrderedRowsWhenThePresumedOrderDoesNotHold) {
    Spec spec = spec_of(Method::velocity, Order::by_time, 10, 2);
    spec.check_order = true;
    const Stream ordered = {{0, "k", ""}, {5, "k", ""}, {5, "k", ""}};
    EXPECT_EQ(evaluate(spec, ordered, 1), (std::vector<Found>{{5, 15, 3, 3, "k"}}));

    const std::vector<Bytes> keys(3, Bytes{reinterpret_cast<const unsigned char*>("k"), 1});
    for (const std::vector<Time>& times : {std::vector<Time>{0, 5, 4}, std::vector<Time>{5, 4, 6}}) {
        for (const uint32_t batch : {1U, 3U}) {
            Error error{};
            Evaluation* evaluation = evaluation_create(spec, &error);
            Status status = Status::ok;
            for (uint32_t from = 0; from < 3 && status == Status::ok; from += batch) {
                status = evaluation_add(evaluation, {batch, times.data() + from, keys.data(), nullptr}, &error);
            }
            EXPECT_EQ(status, Status::reread);
            evaluation_free(evaluation);
        }
    }
}

TEST(Evaluation, AsksForOrderedRowsWhenUnorderedOnesDoNotFit) {
    Error error{};
    Evaluation* evaluation =
        evaluation_create({Method::velocity, Order::none, false, 10, 3, nullptr, 0, 100'000, 1, nullptr}, &error);
    const std::vector<Time> times(10000, 5);
    const std::vector<Bytes> keys(10000, Bytes{reinterpret_cast<const unsigned char*>("k"), 1});
    EXPECT_EQ(evaluation_add(evaluation, {10000, times.data(), keys.data(), nullptr}, &error), Status::reread);
    evaluation_free(evaluation);
}

TEST(Gaps, AreThoseLongerThanAskedFor) {
    const Stream stream = {{0, "", ""}, {10, "", ""}, {21, "", ""}, {21, "", ""}, {40, "", ""}};
    EXPECT_EQ(evaluate(spec_of(Method::gaps, Order::by_time, 10, 1), stream, 2),
              (std::vector<Found>{{10, 21, 0, 0, ""}, {21, 40, 0, 0, ""}}));
    EXPECT_TRUE(evaluate(spec_of(Method::gaps, Order::by_time, 10, 1), {}, 2).empty());
}

TEST(Gaps, FromOneEndOfTimeToTheOtherDoNotWrap) {
    const Stream stream = {{INT64_C(-211813488000000000), "", ""}, {kLastTime, "", ""}};
    EXPECT_EQ(evaluate(spec_of(Method::gaps, Order::by_time, 10, 1), stream, 2).size(), 1U);
}

TEST(LogHistogram, IsWithinATenthOfAPercentOfTheNearestRank) {
    std::mt19937_64 random(3);
    for (const double q : {0.0, 0.5, 0.99, 0.999, 1.0}) {
        LogHistogram histogram;
        std::vector<int64_t> values;
        for (int i = 0; i < 20000; ++i) {
            values.push_back(static_cast<int64_t>(random() >> (1 + random() % 62)));
            histogram.add(values.back());
        }
        std::sort(values.begin(), values.end());
        const double exact =
            static_cast<double>(values[std::max<size_t>(1, static_cast<size_t>(q * 20000 + 0.999999)) - 1]);
        EXPECT_NEAR(static_cast<double>(histogram.quantile(q)), exact, exact * 0.001) << q;
    }
    EXPECT_EQ(LogHistogram().quantile(0.5), -1);
    LogHistogram largest;
    largest.add(INT64_MAX);
    EXPECT_NEAR(static_cast<double>(largest.quantile(0.5)), 9.2233720368547758e18, 1e16);
}

TEST(HourOfDay, IsUtcAlsoBefore2000) {
    EXPECT_EQ(hour_of_day(0), 0);
    EXPECT_EQ(hour_of_day(kHour - 1), 0);
    EXPECT_EQ(hour_of_day(kHour), 1);
    EXPECT_EQ(hour_of_day(-1), 23);
    EXPECT_EQ(hour_of_day(-24 * kHour), 0);
}

}  // namespace
}  // namespace raxx::test
