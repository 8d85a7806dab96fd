// Streams of rows for the evaluators' tests: small enough to check by the definition, ragged enough to matter.
#pragma once

#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "boundary.h"

namespace raxx::test {

struct Row {
    Time time;
    std::string key;
    std::string value;
};
using Stream = std::vector<Row>;

struct Found {
    Time start;
    Time end;
    int64_t peak;
    int64_t rows;
    std::string key;
    bool operator==(const Found&) const = default;
};

inline void PrintTo(const Found& episode, std::ostream* out) {
    *out << "[" << episode.start << "," << episode.end << ") peak " << episode.peak << " rows " << episode.rows
         << " of '" << episode.key << "'";
}

struct Shape {
    int rows;
    int keys;
    int values;
    Time span;  // times lie in [0, span]: a short span makes many ties
};

inline std::string name_of(uint64_t number) {
    // Every third name is too long to stand inside a hash table's entry; one is empty.
    if (number == 0) return "";
    return (number % 3 == 0 ? "a-name-longer-than-an-entry-holds-" : "k") + std::to_string(number);
}

// In time order.
Stream random_stream(std::mt19937_64& random, const Shape& shape);

// Runs an evaluation through the boundary, in batches of the given size.
std::vector<Found> evaluate(const Spec& spec, const Stream& stream, size_t batch);

}  // namespace raxx::test
