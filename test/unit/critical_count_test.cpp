// Critical counts against a search from 0 on, and at the edges of their arguments.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/tails.h"

namespace raxx {
namespace {

constexpr int64_t kMostCriticalCount = int64_t{1} << 53;

double tail_of(int64_t k, double mean, double variance) {
    return variance > mean ? negative_binomial_tail(k, mean, variance) : poisson_tail(k, mean);
}

TEST(CriticalCount, IsTheFirstThatIsRare) {
    for (const double mean : {0.0, 1e-9, 0.01, 0.5, 1.0, 3.7, 20.0, 144.0}) {
        for (const double ratio : {0.0, 0.5, 1.0, 1.001, 1.5, 4.0, 40.0}) {
            for (const double tail : {1e-12, 1e-6, 0.001, 0.05, 0.3, 0.5, 0.8, 0.999, 1.0}) {
                int64_t expected = 0;
                while (tail_of(expected, mean, ratio * mean) > tail) ++expected;
                ASSERT_EQ(count_at_tail(mean, ratio * mean, tail), expected) << mean << " " << ratio << " " << tail;
            }
        }
    }
}

TEST(CriticalCount, IsTheEdgeOfTheTail) {
    for (const double mean : {1e3, 1234567.8, 1e9}) {
        for (const double ratio : {1.0, 1.5, 1000.0}) {
            for (const double tail : {1e-300, 1e-9, 0.001, 0.5, 0.999999}) {
                const int64_t k = count_at_tail(mean, ratio * mean, tail);
                EXPECT_LE(tail_of(k, mean, ratio * mean), tail) << mean << " " << ratio << " " << tail;
                EXPECT_GT(tail_of(k - 1, mean, ratio * mean), tail) << mean << " " << ratio << " " << tail;
            }
        }
    }
}

TEST(CriticalCount, HasEnds) {
    EXPECT_EQ(count_at_tail(0, 0, 1), 0);
    EXPECT_EQ(count_at_tail(1e9, 1e12, 1), 0);
    EXPECT_EQ(count_at_tail(0, 0, std::nextafter(1, 0)), 1);
    EXPECT_EQ(count_at_tail(0, 0, 1e-300), 1);
    EXPECT_EQ(count_at_tail(0, 5, 1e-300), 1);
    EXPECT_EQ(count_at_tail(5, -1, 1e-3), count_at_tail(5, 5, 1e-3));
    // Found nowhere below.
    EXPECT_EQ(count_at_tail(1e300, 0, 0.5), kMostCriticalCount);
    EXPECT_EQ(count_at_tail(1e15, 1e32, 1e-9), kMostCriticalCount);
    EXPECT_LT(count_at_tail(1e9, 1e18, 1e-9), kMostCriticalCount);
}

TEST(CriticalCount, RefusesWhatIsOutOfRange) {
    constexpr double kInfiniteDouble = std::numeric_limits<double>::infinity();
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    struct Arguments {
        double mean, variance, tail;
        const char* detail;
    };
    for (const Arguments& given : std::vector<Arguments>{
             {-1, 1, 0.5, "The mean is -1."},
             {kNaN, 1, 0.5, "The mean is NaN."},
             {kInfiniteDouble, 1, 1, "The mean is Infinity."},
             {1, kNaN, 0.5, "The variance is NaN."},
             {1, kInfiniteDouble, 0.5, "The variance is Infinity."},
             {1, -kInfiniteDouble, 0.5, "The variance is -Infinity."},
             {1, 1, 0, "The tail is 0."},
             {1, 1, -0.1, "The tail is -0.1."},
             {1, 1, 1.5, "The tail is 1.5."},
             {1, 1, kNaN, "The tail is NaN."},
         }) {
        int64_t result = 7;
        Error error{};
        EXPECT_EQ(critical_count(given.mean, given.variance, given.tail, &result, &error), Status::failed);
        EXPECT_STREQ(error.sqlstate, "22023");
        EXPECT_STREQ(error.detail, given.detail);
        EXPECT_STRNE(error.hint, "");
        EXPECT_EQ(result, 7);
    }
    int64_t result = 0;
    Error error{};
    EXPECT_EQ(critical_count(1, 1, 0.5, &result, &error), Status::ok);
    EXPECT_EQ(result, 2);
}

}  // namespace
}  // namespace raxx
