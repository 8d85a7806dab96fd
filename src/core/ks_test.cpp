// Samples become order-preserving integers and are radix-sorted (two million values in a tenth of a second); a
// merge then finds d as an exact integer. The exact p-value is the conditional one given the ties, by the recursion
// of G. Schröer and D. Trenkler, "Exact and Randomization Distributions of Kolmogorov-Smirnov Tests for Two or
// Three Samples", Computational Statistics & Data Analysis 20, 1995; it adds up only positive numbers.
#include "core/ks_test.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace raxx {
namespace {

using Keys = std::vector<uint64_t>;

constexpr size_t kPollEvery = size_t{1} << 20;

void poll(bool (*stop)()) {
    if (stop != nullptr && stop()) throw Stopped{};
}

// Calls work(i) for i in [0, count), asking stop now and then.
template <class Work>
void for_each_index(size_t count, bool (*stop)(), Work&& work) {
    for (size_t begin = 0; begin < count; begin += kPollEvery) {
        poll(stop);
        const size_t end = std::min(count, begin + kPollEvery);
        for (size_t i = begin; i < end; ++i) work(i);
    }
}

// Orders like the values; the two zeros are one value.
uint64_t key_of(double value) {
    constexpr uint64_t kSign = uint64_t{1} << 63;
    const auto bits = std::bit_cast<uint64_t>(value + 0.0);
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

// Least significant digit first; a digit that all keys share is skipped.
void sort_keys(Keys& keys, bool (*stop)()) {
    constexpr size_t kTooFew = 1024;
    if (keys.size() < kTooFew) {
        std::sort(keys.begin(), keys.end());
        return;
    }
    constexpr unsigned kBits = 11;
    constexpr unsigned kDigits = (64 + kBits - 1) / kBits;
    constexpr size_t kBuckets = size_t{1} << kBits;
    const auto digit = [](uint64_t key, unsigned index) { return (key >> (index * kBits)) & (kBuckets - 1); };

    std::array<std::array<size_t, kBuckets>, kDigits> counts{};
    for_each_index(keys.size(), stop, [&](size_t i) {
        for (unsigned index = 0; index < kDigits; ++index) ++counts[index][digit(keys[i], index)];
    });
    Keys other(keys.size());
    for (unsigned index = 0; index < kDigits; ++index) {
        std::array<size_t, kBuckets>& starts = counts[index];
        if (starts[digit(keys[0], index)] == keys.size()) continue;
        size_t start = 0;
        for (size_t& bucket : starts) {
            const size_t count = bucket;
            bucket = start;
            start += count;
        }
        for_each_index(keys.size(), stop, [&](size_t i) { other[starts[digit(keys[i], index)]++] = keys[i]; });
        keys.swap(other);
    }
}

Keys sorted_keys(std::span<const double> values, const char* which, bool (*stop)()) {
    Keys keys;
    keys.reserve(values.size());
    for_each_index(values.size(), stop, [&](size_t i) {
        if (!std::isnan(values[i])) keys.push_back(key_of(values[i]));
    });
    const std::string sample = std::string{"The "} + which + " sample has ";
    if (keys.empty())
        throw Failure{sqlstate::kInvalidParameter, "not enough values for a Kolmogorov-Smirnov test",
                      sample + "no value that is not NaN.",
                      "Each sample needs at least one value that is not NaN."};
    if (keys.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
        throw Failure{sqlstate::kLimitExceeded, "too many values for a Kolmogorov-Smirnov test",
                      sample + std::to_string(keys.size()) + " values.", "A sample has at most 2147483647 values."};
    sort_keys(keys, stop);
    return keys;
}

// d = distance / (n m).
struct Comparison {
    int64_t distance = 0;
    std::vector<bool> last_of_tie;  // by the number of values that are not above
};

Comparison compare(const Keys& x, const Keys& y, bool with_ties, bool (*stop)()) {
    const size_t n = x.size();
    const size_t m = y.size();
    Comparison result;
    if (with_ties) result.last_of_tie.resize(n + m + 1);
    size_t next_poll = 0;
    for (size_t i = 0, j = 0; i < n || j < m;) {
        if (i + j >= next_poll) {
            poll(stop);
            next_poll += kPollEvery;
        }
        const uint64_t value = j == m || (i < n && x[i] < y[j]) ? x[i] : y[j];
        while (i < n && x[i] == value) ++i;
        while (j < m && y[j] == value) ++j;
        const int64_t distance = static_cast<int64_t>(i * m) - static_cast<int64_t>(j * n);
        result.distance = std::max(result.distance, std::abs(distance));
        if (with_ties) result.last_of_tie[i + j] = true;
    }
    return result;
}

// P(D >= d) when every order of the pooled values is equally likely. reached[j]: the probability that a path from
// (0, 0) to (i, j) has been at least that far from the diagonal, looking only where a tie is complete.
double exact_p_value(int64_t n, int64_t m, const Comparison& observed) {
    std::vector<double> reached(static_cast<size_t>(m) + 1);
    for (int64_t i = 0; i <= n; ++i) {
        for (int64_t j = 0; j <= m; ++j) {
            double& here = reached[static_cast<size_t>(j)];
            if (observed.last_of_tie[static_cast<size_t>(i + j)] && std::abs(i * m - j * n) >= observed.distance) {
                here = 1;
            } else if (i + j > 0) {
                const double left = j > 0 ? reached[static_cast<size_t>(j - 1)] : 0;
                here = (static_cast<double>(i) * here + static_cast<double>(j) * left) / static_cast<double>(i + j);
            }
        }
    }
    return std::min(reached.back(), 1.0);
}

}  // namespace

// The two forms of the theta function; neither needs more terms on its side of 1.
double kolmogorov_tail(double x) {
    if (x < 0.04) return 1;
    double sum = 0;
    if (x < 1) {
        for (const double odd : {1, 3, 5})
            sum += std::exp(-odd * odd * std::numbers::pi * std::numbers::pi / (8 * x * x));
        return 1 - std::sqrt(2 * std::numbers::pi) / x * sum;
    }
    double sign = 2;
    for (const double k : {1, 2, 3, 4}) {
        sum += sign * std::exp(-2 * k * k * x * x);
        sign = -sign;
    }
    return sum;
}

KsResult two_sample_ks(std::span<const double> x, std::span<const double> y, bool (*stop)()) {
    constexpr int64_t kExactBelow = 10000;
    const Keys x_keys = sorted_keys(x, "first", stop);
    const Keys y_keys = sorted_keys(y, "second", stop);
    const auto n = static_cast<int64_t>(x_keys.size());
    const auto m = static_cast<int64_t>(y_keys.size());
    const bool exact = n * m < kExactBelow;
    const Comparison observed = compare(x_keys, y_keys, exact, stop);
    const double product = static_cast<double>(n) * static_cast<double>(m);
    const double d = static_cast<double>(observed.distance) / product;
    if (exact) return {d, exact_p_value(n, m, observed)};
    return {d, kolmogorov_tail(std::sqrt(product / static_cast<double>(n + m)) * d)};
}

Status ks_test(const double* x, size_t n, const double* y, size_t m, bool (*stop)(), KsResult* result,
               Error* error) noexcept {
    return guarded(error, [&] {
        *result = two_sample_ks({x, n}, {y, m}, stop);
        return Status::ok;
    });
}

}  // namespace raxx
