// The Kolmogorov-Smirnov test against R (test/golden/ks_test.R), against every order of small samples, and at its
// edges.
#include "core/ks_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace raxx {
namespace {

using Sample = std::vector<double>;

constexpr double kInfiniteDouble = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

KsResult test_of(const Sample& x, const Sample& y) { return two_sample_ks(x, y, nullptr); }

Sample numbers(const std::string& text) {
    Sample sample;
    std::stringstream stream(text);
    for (std::string word; stream >> word;) sample.push_back(std::strtod(word.c_str(), nullptr));
    return sample;
}

Sample counted(int first, int last) {
    Sample sample(static_cast<size_t>(last - first + 1));
    std::iota(sample.begin(), sample.end(), first);
    return sample;
}

TEST(KsTest, IsAsInR) {
    std::ifstream file(RAXX_TEST_DIR "/golden/ks_test.csv");
    int exact = 0;
    int asymptotic = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with('#') || line.starts_with("case,")) continue;
        std::vector<std::string> row;
        std::stringstream stream(line);
        for (std::string field; std::getline(stream, field, ',');) row.push_back(field);
        ASSERT_EQ(row.size(), 6U) << line;
        const bool is_exact = row[1] == "exact";
        ++(is_exact ? exact : asymptotic);
        const KsResult result = test_of(numbers(row[4]), numbers(row[5]));
        EXPECT_NEAR(result.d, std::strtod(row[2].c_str(), nullptr), 1e-14) << row[0];
        EXPECT_NEAR(result.p_value, std::strtod(row[3].c_str(), nullptr), is_exact ? 1e-11 : 1e-6) << row[0];
    }
    EXPECT_GE(exact, 50);
    EXPECT_GE(asymptotic, 10);
}

// ---- every order of the pooled values ------------------------------------------------------------------------

// The largest difference of the two empirical distributions, in units of 1 / (n m).
int64_t naive_distance(const Sample& x, const Sample& y) {
    int64_t largest = 0;
    for (const Sample* sample : {&x, &y}) {
        for (const double value : *sample) {
            const auto not_above = [=](double other) { return other <= value; };
            const int64_t below_x = std::count_if(x.begin(), x.end(), not_above);
            const int64_t below_y = std::count_if(y.begin(), y.end(), not_above);
            largest = std::max(largest, std::abs(below_x * static_cast<int64_t>(y.size()) -
                                                 below_y * static_cast<int64_t>(x.size())));
        }
    }
    return largest;
}

KsResult naive_test(const Sample& x, const Sample& y) {
    Sample pooled = x;
    pooled.insert(pooled.end(), y.begin(), y.end());
    const int64_t observed = naive_distance(x, y);
    int64_t as_far = 0;
    int64_t all = 0;
    for (unsigned choice = 0; choice < 1U << pooled.size(); ++choice) {
        if (static_cast<size_t>(std::popcount(choice)) != x.size()) continue;
        Sample first;
        Sample second;
        for (size_t i = 0; i < pooled.size(); ++i) ((choice >> i & 1U) != 0 ? first : second).push_back(pooled[i]);
        ++all;
        if (naive_distance(first, second) >= observed) ++as_far;
    }
    return {static_cast<double>(observed) / static_cast<double>(x.size() * y.size()),
            static_cast<double>(as_far) / static_cast<double>(all)};
}

TEST(KsTest, CountsEveryOrderOfSmallSamples) {
    std::mt19937 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    for (int round = 0; round < 400; ++round) {
        const size_t n = 1 + random() % 5;
        const size_t m = 1 + random() % 6;
        const size_t values = 1 + random() % 12;
        Sample x(n);
        Sample y(m);
        for (double& value : x) value = static_cast<double>(random() % values);
        for (double& value : y) value = static_cast<double>(random() % values);
        const KsResult expected = naive_test(x, y);
        const KsResult result = test_of(x, y);
        ASSERT_EQ(result.d, expected.d) << "round " << round;
        ASSERT_NEAR(result.p_value, expected.p_value, 1e-14) << "round " << round;
    }
}

TEST(KsTest, KeepsPrecisionInTheTail) {
    // Two of the 2n choose n orders are as far apart.
    double orders = 1;
    for (int i = 1; i <= 90; ++i) orders = orders * (90 + i) / i;
    EXPECT_NEAR(test_of(counted(1, 90), counted(91, 180)).p_value * orders, 2, 1e-10);
    // Tied, only one order is like this and one its mirror image, of which the sizes allow just one.
    EXPECT_NEAR(test_of(Sample(12, 1.0), Sample(9, 2.0)).p_value * 293930, 1, 1e-13);
}

// ---- the limit -----------------------------------------------------------------------------------------------

TEST(KsTest, LimitIsFullyPrecise) {
    struct Point {
        double x;
        double tail;
    };
    // Both series of the theta function at 40 digits.
    for (const auto [x, tail] : {Point{0.05, 1.0}, Point{0.2, 0.99999999999949495927},
                                 Point{0.3, 0.99999069419866543338}, Point{0.5, 0.96394524366487509439},
                                 Point{0.75, 0.62716704177626164149}, Point{0.99999999, 0.26999968239684031299},
                                 Point{1.0, 0.2699996716773545212}, Point{1.3581, 0.049999630431667412691},
                                 Point{2.0, 0.00067092525577969534654}, Point{5.0, 3.857499695927835566e-22},
                                 Point{10.0, 2.7677930534734750613e-87}, Point{18.5, 1.062813672890907894e-297}}) {
        EXPECT_NEAR(kolmogorov_tail(x) / tail, 1, 1e-14) << x;
    }
    EXPECT_EQ(kolmogorov_tail(0), 1);
    EXPECT_EQ(kolmogorov_tail(1e-300), 1);
    EXPECT_EQ(kolmogorov_tail(30), 0);
}

// ---- edges ---------------------------------------------------------------------------------------------------

TEST(KsTest, TakesInfinitiesForValues) {
    const KsResult infinite = test_of({-kInfiniteDouble, -kInfiniteDouble, 0, kInfiniteDouble},
                                      {-kInfiniteDouble, kInfiniteDouble, kInfiniteDouble});
    const KsResult finite = test_of({-9, -9, 0, 9}, {-9, 9, 9});
    EXPECT_EQ(infinite.d, finite.d);
    EXPECT_EQ(infinite.p_value, finite.p_value);
    const KsResult same = test_of({kInfiniteDouble, kInfiniteDouble}, {kInfiniteDouble});
    EXPECT_EQ(same.d, 0);
    EXPECT_EQ(same.p_value, 1);
}

TEST(KsTest, LeavesNaNOut) {
    const KsResult with = test_of({kNaN, 1, 2, -kNaN}, {kNaN, 2, 3, 4});
    const KsResult without = test_of({1, 2}, {2, 3, 4});
    EXPECT_EQ(with.d, without.d);
    EXPECT_EQ(with.p_value, without.p_value);
}

TEST(KsTest, HasOneZero) { EXPECT_EQ(test_of({0.0, -0.0}, {-0.0, 0.0, 0.0}).d, 0); }

TEST(KsTest, SwapsItsSamples) {
    const Sample x = numbers("1 4 4 7 9 9 12");
    const Sample y = numbers("2 4 8 9 15");
    EXPECT_EQ(test_of(x, y).d, test_of(y, x).d);
    EXPECT_NEAR(test_of(x, y).p_value, test_of(y, x).p_value, 1e-15);
}

// Large enough for the radix sort, with signs, magnitudes and ties of all kinds.
TEST(KsTest, SortsLargeSamples) {
    std::mt19937_64 random(20000101);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
    std::normal_distribution<double> normal;
    for (const size_t size : {size_t{1023}, size_t{1024}, size_t{5000}}) {
        Sample x(size);
        Sample y(size + 500);
        for (double& value : x) value = random() % 2 == 0 ? std::bit_cast<double>(random()) : normal(random);
        for (double& value : y)
            value = random() % 3 == 0 ? std::bit_cast<double>(random()) : std::round(normal(random));
        std::erase_if(x, [](double value) { return std::isnan(value); });
        std::erase_if(y, [](double value) { return std::isnan(value); });
        const auto product = static_cast<double>(x.size() * y.size());
        EXPECT_EQ(test_of(x, y).d, static_cast<double>(naive_distance(x, y)) / product) << size;
    }
}

TEST(KsTest, NeedsAValueOnEachSide) {
    for (const bool first : {true, false}) {
        const Sample none{kNaN, kNaN};
        const Sample some{1, 2};
        const Sample& x = first ? none : some;
        const Sample& y = first ? some : none;
        KsResult result{};
        Error error{};
        EXPECT_EQ(ks_test(x.data(), x.size(), y.data(), y.size(), nullptr, &result, &error), Status::failed);
        EXPECT_STREQ(error.sqlstate, "22023");
        EXPECT_STREQ(error.message, "not enough values for a Kolmogorov-Smirnov test");
        EXPECT_EQ(std::string(error.detail),
                  std::string("The ") + (first ? "first" : "second") + " sample has no value that is not NaN.");
        EXPECT_STREQ(error.hint, "Each sample needs at least one value that is not NaN.");
    }
    KsResult result{};
    Error error{};
    EXPECT_EQ(ks_test(nullptr, 0, nullptr, 0, nullptr, &result, &error), Status::failed);
}

int calls_before_stop = 0;
bool stop_later() { return --calls_before_stop < 0; }

TEST(KsTest, StopsWhenAsked) {
    const Sample x = counted(1, 3000);
    for (calls_before_stop = 0; calls_before_stop < 8;) {
        const int calls = calls_before_stop;
        KsResult result{-1, -1};
        Error error{};
        EXPECT_EQ(ks_test(x.data(), x.size(), x.data(), x.size(), stop_later, &result, &error), Status::stopped);
        EXPECT_EQ(result.d, -1);
        calls_before_stop = calls + 1;
    }
    calls_before_stop = 1'000'000;
    KsResult result{};
    Error error{};
    EXPECT_EQ(ks_test(x.data(), x.size(), x.data(), x.size(), stop_later, &result, &error), Status::ok);
    EXPECT_EQ(result.p_value, 1);
}

}  // namespace
}  // namespace raxx
