// The tails against golden values (test/golden/tails.py), against naive sums, and at the edges of their arguments.
#include "core/tails.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace raxx {
namespace {

constexpr double kInfiniteDouble = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kPromised = 1e-11;
constexpr int64_t kMostCount = std::numeric_limits<int64_t>::max();

double relative_error(double value, double expected) {
    return value == expected ? 0 : std::fabs(value - expected) / expected;
}

double evaluate(const std::vector<std::string>& row) {
    const auto count = [&](size_t i) { return static_cast<int64_t>(std::stoll(row[i])); };
    const auto number = [&](size_t i) { return std::strtod(row[i].c_str(), nullptr); };
    if (row[0] == "poisson") return poisson_tail(count(1), number(2));
    if (row[0] == "binomial") return binomial_tail(count(1), count(2), number(3));
    if (row[0] == "negative_binomial") return negative_binomial_tail(count(1), number(2), number(3));
    if (row[0] == "normal") return normal_tail(number(1));
    if (row[0] == "chi_squared") return chi_squared_tail(number(1), number(2));
    ADD_FAILURE() << "unknown function " << row[0];
    return kNaN;
}

TEST(Tails, AreAsGolden) {
    std::ifstream file(RAXX_TEST_DIR "/golden/tails.csv");
    std::map<std::string, int> rows;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with('#') || line.starts_with("function,")) continue;
        std::vector<std::string> row;
        std::stringstream stream(line);
        for (std::string field; std::getline(stream, field, ',');) row.push_back(field);
        ASSERT_EQ(row.size(), 5U) << line;
        const double value = evaluate(row);
        EXPECT_LE(relative_error(value, std::strtod(row[4].c_str(), nullptr)), kPromised)
            << line << " is " << value;
        ++rows[row[0]];
    }
    EXPECT_EQ(rows.size(), 5U);
    for (const auto& [function, count] : rows) EXPECT_GE(count, 50) << function;
}

// ---- naive evaluators, each another way than the golden values -----------------------------------------------

using Probabilities = std::vector<long double>;

long double sum_from(const Probabilities& pmf, size_t k) {
    long double sum = 0;
    for (size_t i = pmf.size(); i > k; --i) sum += pmf[i - 1];
    return sum;
}

// One trial after the other.
Probabilities naive_binomial(size_t n, double p) {
    Probabilities pmf(n + 1);
    pmf[0] = 1;
    for (size_t trial = 1; trial <= n; ++trial) {
        for (size_t k = trial; k > 0; --k) pmf[k] = pmf[k] * (1 - static_cast<long double>(p)) + pmf[k - 1] * p;
        pmf[0] *= 1 - static_cast<long double>(p);
    }
    return pmf;
}

Probabilities naive_poisson(double mean, size_t most) {
    Probabilities pmf(most + 1);
    pmf[0] = std::exp(-static_cast<long double>(mean));
    for (size_t k = 1; k <= most; ++k) pmf[k] = pmf[k - 1] * mean / static_cast<long double>(k);
    return pmf;
}

Probabilities naive_negative_binomial(double mean, double variance, size_t most) {
    const long double success = static_cast<long double>(mean) / variance;
    const long double r = mean * success / (1 - success);
    Probabilities pmf(most + 1);
    pmf[0] = std::pow(success, r);
    for (size_t k = 1; k <= most; ++k) {
        const auto i = static_cast<long double>(k);
        pmf[k] = pmf[k - 1] * (i - 1 + r) / i * (1 - success);
    }
    return pmf;
}

TEST(Tails, BinomialIsTheNaiveSum) {
    for (const double p : {0.001, 0.03, 0.2, 0.5, 0.77, 0.999}) {
        for (size_t n = 1; n <= 70; ++n) {
            const Probabilities pmf = naive_binomial(n, p);
            for (size_t k = 1; k <= n; ++k) {
                const auto expected = static_cast<double>(sum_from(pmf, k));
                const double value = binomial_tail(static_cast<int64_t>(k), static_cast<int64_t>(n), p);
                ASSERT_LE(relative_error(value, expected), 1e-14) << k << " of " << n << " at " << p;
            }
        }
    }
}

TEST(Tails, PoissonIsTheNaiveSum) {
    for (const double mean : {1e-3, 0.4, 1.0, 2.5, 17.0, 63.2, 170.0}) {
        const Probabilities pmf = naive_poisson(mean, 700);
        for (size_t k = 1; k <= 400; ++k) {
            const auto expected = static_cast<double>(sum_from(pmf, k));
            if (expected < 1e-300) break;
            ASSERT_LE(relative_error(poisson_tail(static_cast<int64_t>(k), mean), expected), 1e-14)
                << k << " at " << mean;
        }
    }
}

TEST(Tails, NegativeBinomialIsTheNaiveSum) {
    for (const double mean : {0.01, 0.7, 3.0, 40.0}) {
        for (const double ratio : {1.001, 1.5, 2.0, 7.0, 30.0}) {
            const Probabilities pmf = naive_negative_binomial(mean, mean * ratio, 4000);
            for (size_t k = 1; k <= 700; k += 1 + k / 8) {
                const auto expected = static_cast<double>(sum_from(pmf, k));
                if (expected < 1e-300) break;
                const double value = negative_binomial_tail(static_cast<int64_t>(k), mean, mean * ratio);
                ASSERT_LE(relative_error(value, expected), 1e-12) << k << " at " << mean << " and ratio " << ratio;
            }
        }
    }
}

// ---- identities ----------------------------------------------------------------------------------------------

TEST(Tails, BinomialIsSymmetric) {
    for (const int64_t n : {10, 1000, 1'000'000'000}) {
        for (const double p : {0.0625, 0.25, 0.5, 0.75}) {
            const auto mean = static_cast<int64_t>(static_cast<double>(n) * p);
            for (const int64_t k : {mean - 1, mean, mean + 1}) {
                EXPECT_NEAR(binomial_tail(k, n, p) + binomial_tail(n - k + 1, n, 1 - p), 1, 1e-15)
                    << k << " of " << n;
            }
        }
    }
}

TEST(Tails, NegativeBinomialBecomesPoisson) {
    for (const double mean : {0.5, 30.0, 1e6}) {
        const double more = std::nextafter(mean, kInfiniteDouble);
        const auto k = static_cast<int64_t>(mean + 3 * std::sqrt(mean) + 1);
        EXPECT_LE(relative_error(negative_binomial_tail(k, mean, more), poisson_tail(k, mean)), 1e-13) << mean;
        EXPECT_EQ(negative_binomial_tail(k, mean, mean), poisson_tail(k, mean)) << mean;
    }
}

TEST(Tails, NegativeBinomialWithOneSuccessIsGeometric) {
    // mean 1 and variance 2: each failure has probability 1/2.
    for (const int k : {1, 2, 10, 500, 990})
        EXPECT_LE(relative_error(negative_binomial_tail(k, 1, 2), std::ldexp(1, -k)), 1e-15);
}

TEST(Tails, ChiSquaredWithTwoDegreesIsExponential) {
    for (const double x : {1e-12, 0.5, 2.0, 40.0, 1300.0})
        EXPECT_LE(relative_error(chi_squared_tail(x, 2), std::exp(-x / 2)), 1e-14) << x;
}

TEST(Tails, ChiSquaredWithOneDegreeIsNormalSquared) {
    for (const double z : {0.5, 1.0, 3.0, 6.0, 20.0, 36.0})
        EXPECT_LE(relative_error(chi_squared_tail(z * z, 1), 2 * normal_tail(z)), 1e-14) << z;
}

TEST(Tails, AreCalmBeyondThePromise) {
    EXPECT_NEAR(chi_squared_tail(1e238, 1e238), 0.5, 1e-12);
    EXPECT_NEAR(poisson_tail(4'000'000'000'000'000'000, 4e18), 0.5, 1e-9);
    EXPECT_EQ(poisson_tail(kMostCount, 1e300), 1);
    EXPECT_EQ(poisson_tail(kMostCount, 1e-300), 0);
    EXPECT_NEAR(binomial_tail(kMostCount / 2 + 1, kMostCount, 0.5), 0.5, 1e-9);
    EXPECT_EQ(negative_binomial_tail(1, 5e-324, 1e308), 0);
    EXPECT_EQ(negative_binomial_tail(kMostCount, 1e308, 1.1e308), 1);
    EXPECT_EQ(chi_squared_tail(1.7e308, 5e-324), 0);
    EXPECT_EQ(chi_squared_tail(5e-324, 1.7e308), 1);
}

// ---- edges ---------------------------------------------------------------------------------------------------

TEST(Tails, AtLeastNothingIsCertain) {
    for (const int64_t k : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
        EXPECT_EQ(poisson_tail(k, 3), 1);
        EXPECT_EQ(poisson_tail(k, 0), 1);
        EXPECT_EQ(binomial_tail(k, 10, 0.5), 1);
        EXPECT_EQ(binomial_tail(k, 0, 0), 1);
        EXPECT_EQ(negative_binomial_tail(k, 3, 4), 1);
        EXPECT_EQ(negative_binomial_tail(k, 0, 0), 1);
    }
}

TEST(Tails, WhatCannotHappenIsZero) {
    EXPECT_EQ(poisson_tail(1, 0), 0);
    EXPECT_EQ(poisson_tail(kMostCount, 1), 0);
    EXPECT_EQ(binomial_tail(11, 10, 0.5), 0);
    EXPECT_EQ(binomial_tail(1, 0, 1), 0);
    EXPECT_EQ(binomial_tail(1, 10, 0), 0);
    EXPECT_EQ(binomial_tail(11, 10, 1), 0);
    EXPECT_EQ(binomial_tail(10, 10, 1), 1);
    EXPECT_EQ(negative_binomial_tail(1, 0, 0), 0);
    EXPECT_EQ(negative_binomial_tail(1, 0, 5), 0);
}

TEST(Tails, InfinitiesAreLimits) {
    EXPECT_EQ(normal_tail(kInfiniteDouble), 0);
    EXPECT_EQ(normal_tail(-kInfiniteDouble), 1);
    EXPECT_EQ(normal_tail(0), 0.5);
    EXPECT_EQ(normal_tail(-0.0), 0.5);
    EXPECT_EQ(chi_squared_tail(kInfiniteDouble, 3), 0);
    EXPECT_EQ(chi_squared_tail(-kInfiniteDouble, 3), 1);
    EXPECT_EQ(chi_squared_tail(0, 3), 1);
    EXPECT_EQ(chi_squared_tail(-1, 3), 1);
}

TEST(Tails, FadeToZero) {
    EXPECT_GT(poisson_tail(1, 5e-324), 0);
    EXPECT_GT(normal_tail(38), 0);
    EXPECT_EQ(normal_tail(40), 0);
    EXPECT_EQ(poisson_tail(1'000'000'000, 1), 0);
    EXPECT_EQ(binomial_tail(1'000'000'000, 1'000'000'000, 0.5), 0);
}

// ---- errors --------------------------------------------------------------------------------------------------

struct Refusal {
    const char* what;
    Status status;
    Error error;
};

template <class Call>
Refusal call(const char* what, Call&& function) {
    Refusal refusal{what, Status::ok, {}};
    double result = 0;
    refusal.status = function(&result, &refusal.error);
    return refusal;
}

Refusal poisson(const char* what, double mean) {
    return call(what, [&](double* r, Error* e) { return poisson_upper_tail(1, mean, r, e); });
}
Refusal binomial(const char* what, int64_t n, double p) {
    return call(what, [&](double* r, Error* e) { return binomial_upper_tail(1, n, p, r, e); });
}
Refusal negative_binomial(const char* what, double mean, double variance) {
    return call(what, [&](double* r, Error* e) { return negative_binomial_upper_tail(1, mean, variance, r, e); });
}
Refusal chi_squared(const char* what, double x, double df) {
    return call(what, [&](double* r, Error* e) { return chi_squared_upper_tail(x, df, r, e); });
}

TEST(Tails, RefuseWhatIsOutOfRange) {
    const std::vector<Refusal> refusals{
        poisson("The mean is -0.5.", -0.5),
        poisson("The mean is NaN.", kNaN),
        poisson("The mean is Infinity.", kInfiniteDouble),
        binomial("The number of trials is -1.", -1, 0.5),
        binomial("The probability is NaN.", 1, kNaN),
        binomial("The probability is -1e-300.", 1, -1e-300),
        binomial("The probability is 1.0000000000000002.", 1, std::nextafter(1, 2)),
        negative_binomial("The mean is -1.", -1, 1),
        negative_binomial("The mean is NaN.", kNaN, 1),
        negative_binomial("The mean is Infinity.", kInfiniteDouble, kInfiniteDouble),
        negative_binomial("The variance is 2.", 3, 2),
        negative_binomial("The variance is NaN.", 3, kNaN),
        negative_binomial("The variance is Infinity.", 3, kInfiniteDouble),
        call("The z is NaN.", [](double* r, Error* e) { return normal_upper_tail(kNaN, r, e); }),
        chi_squared("The x is NaN.", kNaN, 1),
        chi_squared("The number of degrees of freedom is 0.", 1, 0),
        chi_squared("The number of degrees of freedom is -Infinity.", 1, -kInfiniteDouble),
        chi_squared("The number of degrees of freedom is Infinity.", 1, kInfiniteDouble),
        chi_squared("The number of degrees of freedom is NaN.", 1, kNaN),
    };
    for (const Refusal& refusal : refusals) {
        SCOPED_TRACE(refusal.what);
        EXPECT_EQ(refusal.status, Status::failed);
        EXPECT_STREQ(refusal.error.sqlstate, "22023");
        EXPECT_STREQ(refusal.error.detail, refusal.what);
        const std::string message = refusal.error.message;
        const std::string hint = refusal.error.hint;
        EXPECT_TRUE(message.ends_with(" is out of range")) << message;
        EXPECT_TRUE(std::islower(static_cast<unsigned char>(message[0]))) << message;
        EXPECT_TRUE(hint.starts_with("A ") && hint.ends_with('.')) << hint;
    }
}

// Even where the answer would not depend on it.
TEST(Tails, RefuseAlsoWhereTheAnswerIsKnown) {
    EXPECT_THROW(poisson_tail(0, -1), Failure);
    EXPECT_THROW(binomial_tail(0, 5, 2), Failure);
    EXPECT_THROW(negative_binomial_tail(0, 3, 2), Failure);
    EXPECT_THROW(chi_squared_tail(-1, 0), Failure);
}

TEST(Tails, CrossTheBoundary) {
    double result = 0;
    Error error{};
    EXPECT_EQ(poisson_upper_tail(2, 1, &result, &error), Status::ok);
    EXPECT_EQ(result, poisson_tail(2, 1));
    EXPECT_EQ(binomial_upper_tail(2, 3, 0.5, &result, &error), Status::ok);
    EXPECT_EQ(result, 0.5);
    EXPECT_EQ(negative_binomial_upper_tail(3, 1, 2, &result, &error), Status::ok);
    EXPECT_EQ(result, 0.125);
    EXPECT_EQ(normal_upper_tail(0, &result, &error), Status::ok);
    EXPECT_EQ(result, 0.5);
    EXPECT_EQ(chi_squared_upper_tail(0, 1, &result, &error), Status::ok);
    EXPECT_EQ(result, 1);
}

}  // namespace
}  // namespace raxx
