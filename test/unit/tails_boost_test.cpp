// The tails against Boost.Math, an implementation that shares nothing with ours, over random arguments.
// Boost 1.74's own errors reach some 1e-11 at large arguments, so this is coarser than the golden values in
// tails_test.cpp, and wider.
#include <gtest/gtest.h>

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <random>

#include "core/tails.h"

namespace raxx {
namespace {

constexpr double kTolerance = 5e-11;
constexpr int kRounds = 3000;

class TailsAgainstBoost : public testing::Test {
  protected:
    double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
    double magnitude(double low, double high) { return std::exp(uniform(std::log(low), std::log(high))); }

    // Around a mean, as many deviations off as leave a result worth comparing.
    int64_t count_near(double mean, double deviation) {
        return std::max<int64_t>(1, std::llround(mean + uniform(-8, 25) * deviation));
    }

    static void expect_close(double ours, long double boosts, const char* of, double a, double b) {
        if (boosts < 1e-290L) return;
        EXPECT_NEAR(ours / static_cast<double>(boosts), 1.0, kTolerance) << of << " of " << a << ", " << b;
    }

    std::mt19937_64 random_{20260604};
};

TEST_F(TailsAgainstBoost, Poisson) {
    for (int i = 0; i < kRounds; ++i) {
        const double mean = magnitude(1e-6, 1e7);
        const int64_t k = count_near(mean, std::sqrt(mean) + 1);
        expect_close(poisson_tail(k, mean),
                     boost::math::gamma_p(static_cast<long double>(k), static_cast<long double>(mean)), "poisson",
                     static_cast<double>(k), mean);
    }
}

TEST_F(TailsAgainstBoost, Binomial) {
    for (int i = 0; i < kRounds; ++i) {
        const auto n = static_cast<int64_t>(magnitude(1, 1e6));
        const double p = uniform(0, 1);
        const double mean = static_cast<double>(n) * p;
        const int64_t k = std::min(n, count_near(mean, std::sqrt(mean * (1 - p)) + 1));
        expect_close(binomial_tail(k, n, p),
                     boost::math::ibeta(static_cast<long double>(k), static_cast<long double>(n - k + 1),
                                        static_cast<long double>(p)),
                     "binomial", static_cast<double>(k), p);
    }
}

TEST_F(TailsAgainstBoost, NegativeBinomial) {
    for (int i = 0; i < kRounds; ++i) {
        const double mean = magnitude(0.01, 1e5);
        const double variance = mean * uniform(1.2, 50);  // nearer to the mean, Boost loses its digits
        const int64_t k = count_near(mean, std::sqrt(variance) + 1);
        const long double excess = static_cast<long double>(variance) - mean;
        expect_close(negative_binomial_tail(k, mean, variance),
                     boost::math::ibeta(static_cast<long double>(k), mean * static_cast<long double>(mean) / excess,
                                        excess / variance),
                     "negative binomial", static_cast<double>(k), mean);
    }
}

TEST_F(TailsAgainstBoost, PoissonInterval) {
    for (int i = 0; i < kRounds; ++i) {
        const int64_t k = i < 100 ? i : std::llround(magnitude(1, 1e6));
        const double confidence = uniform(0.5, 0.9999);
        const auto tail = static_cast<long double>((1 - confidence) / 2);
        const Interval interval = poisson_mean_interval(k, confidence);
        const auto count = static_cast<double>(k);
        if (k == 0) {
            EXPECT_EQ(interval.low, 0);
        } else {
            expect_close(interval.low, boost::math::gamma_p_inv(static_cast<long double>(k), tail), "low end",
                         count, confidence);
        }
        expect_close(interval.high, boost::math::gamma_q_inv(static_cast<long double>(k + 1), tail), "high end",
                     count, confidence);
    }
}

TEST_F(TailsAgainstBoost, NormalAndChiSquared) {
    for (int i = 0; i < kRounds; ++i) {
        const double z = uniform(-8, 36);
        expect_close(normal_tail(z), boost::math::erfc(static_cast<long double>(z) / std::sqrt(2.0L)) / 2, "normal",
                     z, 0);
        const double df = magnitude(0.1, 1e5);
        const double x = std::max(1e-9, df + uniform(-8, 25) * std::sqrt(2 * df));
        expect_close(chi_squared_tail(x, df),
                     boost::math::gamma_q(static_cast<long double>(df) / 2, static_cast<long double>(x) / 2),
                     "chi-squared", x, df);
    }
}

}  // namespace
}  // namespace raxx
