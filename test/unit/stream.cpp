#include "stream.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace raxx::test {

Stream random_stream(std::mt19937_64& random, const Shape& shape) {
    const auto below = [&](uint64_t limit) {
        return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random);
    };
    Stream stream;
    for (int i = 0; i < shape.rows; ++i) {
        stream.push_back({static_cast<Time>(below(static_cast<uint64_t>(shape.span) + 1)),
                          name_of(below(static_cast<uint64_t>(shape.keys))),
                          name_of(below(static_cast<uint64_t>(shape.values)))});
    }
    std::stable_sort(stream.begin(), stream.end(), [](const Row& a, const Row& b) { return a.time < b.time; });
    return stream;
}

namespace {

Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

}  // namespace

std::vector<Found> evaluate(const Spec& spec, const Stream& stream, size_t batch) {
    Error error{};
    Evaluation* evaluation = evaluation_create(spec, &error);
    if (evaluation == nullptr) {
        ADD_FAILURE() << error.message;
        return {};
    }
    for (size_t from = 0; from < stream.size(); from += batch) {
        std::vector<Time> times;
        std::vector<Bytes> keys, values;
        for (size_t i = from; i < std::min(from + batch, stream.size()); ++i) {
            times.push_back(stream[i].time);
            keys.push_back(bytes_of(stream[i].key));
            values.push_back(bytes_of(stream[i].value));
        }
        const Rows rows = {static_cast<uint32_t>(times.size()), times.data(), keys.data(), values.data()};
        Status added;
        while ((added = evaluation_add(evaluation, rows, &error)) == Status::more) {
        }
        EXPECT_EQ(added, Status::ok) << error.message;
    }
    Status status;
    while ((status = evaluation_finish(evaluation, &error)) == Status::more) {
    }
    EXPECT_EQ(status, Status::ok) << error.message;
    const Episodes found = evaluation_episodes(evaluation);
    std::vector<Found> result;
    for (size_t i = 0; i < found.count; ++i) {
        const Episode& episode = found.items[i];
        result.push_back({episode.start, episode.end, episode.peak, episode.rows,
                          std::string(reinterpret_cast<const char*>(episode.key.data), episode.key.size)});
    }
    evaluation_free(evaluation);
    return result;
}

}  // namespace raxx::test
