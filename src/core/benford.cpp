// The nine shares against the nine probabilities; the p-value is the tail of chi-squared with 8 degrees of freedom.
#include "core/benford.h"

#include <cmath>
#include <limits>
#include <string>

#include "core/tails.h"

namespace raxx {

BenfordResult benford_statistics(const int64_t counts[9]) {
    constexpr int kDigits = 9;
    int64_t n = 0;
    for (int i = 0; i < kDigits; ++i) {
        if (counts[i] < 0)
            throw Failure{
                sqlstate::kInvalidParameter, "count of first digits is out of range",
                "The count of the digit " + std::to_string(i + 1) + " is " + std::to_string(counts[i]) + ".",
                "A count is at least 0."};
        if (counts[i] > std::numeric_limits<int64_t>::max() - n)
            throw Failure{
                sqlstate::kLimitExceeded, "too many values for Benford's law",
                "The count of the digit " + std::to_string(i + 1) + " is " + std::to_string(counts[i]) + ".",
                "The counts add up to at most 9223372036854775807."};
        n += counts[i];
    }
    if (n == 0) {
        constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
        return {0, kNaN, kNaN, kNaN};
    }
    const auto total = static_cast<double>(n);
    double chi_squared = 0;
    double deviation = 0;
    for (int i = 0; i < kDigits; ++i) {
        const double expected = std::log10(1 + 1.0 / (i + 1));
        const double difference = static_cast<double>(counts[i]) / total - expected;
        chi_squared += total * difference * difference / expected;
        deviation += std::fabs(difference);
    }
    return {n, chi_squared, chi_squared_tail(chi_squared, kDigits - 1), deviation / kDigits};
}

Status benford(const int64_t counts[9], BenfordResult* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = benford_statistics(counts);
        return Status::ok;
    });
}

}  // namespace raxx
