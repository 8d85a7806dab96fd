// Benford's law by hand: counts that fit, that do not, and that cannot be.
#include "core/benford.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace raxx {
namespace {

using Counts = std::array<int64_t, 9>;

BenfordResult statistics(const Counts& counts) { return benford_statistics(counts.data()); }

struct Case {
    Counts counts;
    double chi_squared;
    double p_value;
    double mad;
};

// chi-squared and its tail from R: sum((o - e)^2 / e), pchisq(x, 8, lower.tail = FALSE).
TEST(Benford, IsAsByHand) {
    for (const Case& expected : {
             Case{{301, 176, 125, 97, 79, 67, 58, 51, 46},
                  0.0023622171891271543,
                  0.99999999999991906,
                  0.00010111626992634888},
             Case{{100, 100, 100, 100, 100, 100, 100, 100, 100},
                  361.5284636209621,
                  3.1297179686785423e-73,
                  0.059717035109917563},
             Case{{0, 0, 0, 0, 0, 0, 0, 0, 50}, 1042.7172663391414, 8.9656624270446679e-220, 0.21205389098651664},
             // One value: 1 / log10(2) - 1, and twice the probability that is elsewhere.
             Case{{1, 0, 0, 0, 0, 0, 0, 0, 0},
                  1 / std::log10(2.0) - 1,
                  0.96951819287947638,
                  2 * (1 - std::log10(2.0)) / 9},
         }) {
        const BenfordResult result = statistics(expected.counts);
        EXPECT_NEAR(result.chi_squared / expected.chi_squared, 1, 1e-11);
        EXPECT_NEAR(result.p_value / expected.p_value, 1, 1e-11);
        EXPECT_NEAR(result.mad, expected.mad, 1e-15);
    }
}

TEST(Benford, CountsTheValues) { EXPECT_EQ(statistics({1, 2, 3, 4, 5, 6, 7, 8, 9}).n, 45); }

TEST(Benford, MadDoesNotGrowWithTheCounts) {
    const BenfordResult few = statistics({301, 176, 125, 97, 79, 67, 58, 51, 46});
    const BenfordResult many = statistics({301'000'000, 176'000'000, 125'000'000, 97'000'000, 79'000'000,
                                           67'000'000, 58'000'000, 51'000'000, 46'000'000});
    EXPECT_NEAR(many.mad, few.mad, 1e-16);
    EXPECT_NEAR(many.chi_squared / few.chi_squared, 1e6, 1e-3);
    EXPECT_EQ(many.p_value, 0);
}

TEST(Benford, WithoutValuesThereIsNoStatistic) {
    const BenfordResult result = statistics({});
    EXPECT_EQ(result.n, 0);
    EXPECT_TRUE(std::isnan(result.chi_squared));
    EXPECT_TRUE(std::isnan(result.p_value));
    EXPECT_TRUE(std::isnan(result.mad));
}

TEST(Benford, RefusesNegativeCounts) {
    const Counts counts{1, 2, -3, 4, 0, 0, 0, 0, 0};
    BenfordResult result{};
    Error error{};
    EXPECT_EQ(benford(counts.data(), &result, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "22023");
    EXPECT_STREQ(error.message, "count of first digits is out of range");
    EXPECT_STREQ(error.detail, "The count of the digit 3 is -3.");
    EXPECT_STREQ(error.hint, "A count is at least 0.");
}

TEST(Benford, CountsMayBeAsLargeAsTheirType) {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    Counts counts{kMost - 1, 1};
    BenfordResult result{};
    Error error{};
    EXPECT_EQ(benford(counts.data(), &result, &error), Status::ok);
    EXPECT_EQ(result.n, kMost);
    EXPECT_EQ(result.p_value, 0);
    counts[8] = 1;
    EXPECT_EQ(benford(counts.data(), &result, &error), Status::failed);
    EXPECT_STREQ(error.sqlstate, "54000");
}

}  // namespace
}  // namespace raxx
