// Limits by key and time against a naive twin: at every instant at which a row of the key comes or leaves, the
// level is compared with the limit then in force, and an episode begins only with a row.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/clock.h"
#include "stream.h"

namespace raxx::test {
namespace {

struct Limit {
    std::string key;
    Time from;
    int64_t limit;
};

int64_t limit_at(const std::vector<Limit>& limits, const std::string& key, Time t) {
    int64_t result = INT64_MAX;
    Time since = kMinusInfinity;
    for (const Limit& limit : limits) {
        if (limit.key == key && limit.from <= t && limit.from >= since) {
            since = limit.from;
            result = limit.limit;
        }
    }
    return result;
}

std::pair<int64_t, int64_t> level_at(const Stream& rows, Method method, Time window, Time t) {
    std::set<std::string> distinct;
    int64_t count = 0;
    for (const Row& row : rows) {
        if (row.time > t || row.time <= t - window) continue;
        ++count;
        distinct.insert(row.value);
    }
    return {method == Method::distinct ? static_cast<int64_t>(distinct.size()) : count, count};
}

std::vector<Found> naive(const Stream& stream, Method method, Time window, const std::vector<Limit>& limits) {
    std::map<std::string, Stream> by_key;
    for (const Row& row : stream) by_key[row.key].push_back(row);
    std::vector<Found> result;
    for (const auto& [key, rows] : by_key) {
        std::map<Time, bool> instants;  // whether a row comes
        for (const Row& row : rows) {
            instants[row.time] = true;
            instants.try_emplace(row.time + window, false);
        }
        bool inside = false;
        for (const auto& [t, comes] : instants) {
            const auto [level, count] = level_at(rows, method, window, t);
            const bool reached = level >= limit_at(limits, key, t);
            if (inside && !reached) result.back().end = t;
            inside = reached && (inside || comes);
            if (!inside) continue;
            if (result.empty() || result.back().end != kInfinity || result.back().key != key)
                result.push_back({t, kInfinity, 0, 0, key});
            Found& episode = result.back();
            if (comes && std::pair(level, count) > std::pair(episode.peak, episode.rows)) {
                episode.peak = level;
                episode.rows = count;
            }
        }
    }
    std::sort(result.begin(), result.end(),
              [](const Found& a, const Found& b) { return std::tie(a.start, a.key) < std::tie(b.start, b.key); });
    return result;
}

TEST(Limits, AgreeWithTheDefinitionOrderedAndNot) {
    std::mt19937_64 random(20261122);
    size_t episodes = 0;
    for (int round = 0; round < 4000; ++round) {
        const Shape shape = {round % 60, 1 + round % 5, 1 + round % 7, 1 + (round * 7) % 150};
        Stream stream = random_stream(random, shape);
        std::vector<Limit> limits;
        for (uint64_t i = random() % 9; i > 0; --i) {
            const Time from = random() % 4 == 0 ? kMinusInfinity : static_cast<Time>(random() % 160);
            limits.push_back({name_of(random() % 6), from, static_cast<int64_t>(1 + random() % 5)});
        }
        // One limit for each key and time: of two, the naive twin and the core need not take the same.
        std::stable_sort(limits.begin(), limits.end(), [](const Limit& a, const Limit& b) {
            return std::tie(a.key, a.from) < std::tie(b.key, b.from);
        });
        limits.erase(std::unique(limits.begin(), limits.end(),
                                 [](const Limit& a, const Limit& b) { return a.key == b.key && a.from == b.from; }),
                     limits.end());
        std::shuffle(limits.begin(), limits.end(), random);
        std::vector<Bytes> keys;
        std::vector<Time> from;
        std::vector<int64_t> numbers;
        for (const Limit& limit : limits) {
            keys.push_back({reinterpret_cast<const unsigned char*>(limit.key.data()),
                            static_cast<uint32_t>(limit.key.size())});
            from.push_back(limit.from);
            numbers.push_back(limit.limit);
        }
        const KeyLimits given = {static_cast<uint32_t>(limits.size()), keys.data(), from.data(), numbers.data()};
        for (const Method method : {Method::velocity, Method::distinct}) {
            Spec spec = {};
            spec.method = method;
            spec.order = Order::by_time;
            spec.window = 1 + round % 20;
            spec.limits = &given;
            spec.memory_limit = size_t{1} << 30;
            const auto expected = naive(stream, method, spec.window, limits);
            episodes += expected.size();
            ASSERT_EQ(evaluate(spec, stream, 1 + static_cast<size_t>(round) % 9), expected) << "round " << round;
            spec.order = round % 2 == 0 ? Order::none : Order::by_key;  // by_key is not for limits: taken as none
            Stream shuffled = stream;
            std::shuffle(shuffled.begin(), shuffled.end(), random);
            ASSERT_EQ(evaluate(spec, shuffled, 7), expected) << "shuffled, round " << round;
        }
    }
    EXPECT_GT(episodes, 5000U);
}

}  // namespace
}  // namespace raxx::test
