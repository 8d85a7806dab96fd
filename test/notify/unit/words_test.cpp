// Numbers, times and probabilities in words.
#include "notify/render/words.h"

#include <gtest/gtest.h>

#include <cmath>

namespace raxx::notify {
namespace {

std::string again(const char* text) {
    const std::optional<Instant> time = parse_time(text);
    return time ? time_text(*time) : "none";
}

TEST(Words, Numbers) {
    EXPECT_EQ(number_text(0), "0");
    EXPECT_EQ(number_text(-3), "-3");
    EXPECT_EQ(number_text(9871), "9871");
    EXPECT_EQ(number_text(10000), "10,000");
    EXPECT_EQ(number_text(1234567), "1,234,567");
    EXPECT_EQ(number_text(-123456), "-123,456");
    EXPECT_EQ(number_text(47.3333), "47.33");
    EXPECT_EQ(number_text(12345.6), "12,346");
    EXPECT_EQ(number_text(0.25), "0.25");
    EXPECT_EQ(number_text(1e300), "1e+300");
    EXPECT_EQ(number_text(NAN), "unknown");
    EXPECT_EQ(counted(1, "row", "rows"), "1 row");
    EXPECT_EQ(counted(0, "row", "rows"), "0 rows");
}

TEST(Words, Times) {
    EXPECT_EQ(again("2026-11-27T16:00:00Z"), "Fri 27 Nov 2026, 16:00 UTC");
    EXPECT_EQ(again("2026-11-27T16:02:11.250731+00:00"), "Fri 27 Nov 2026, 16:02:11 UTC");
    EXPECT_EQ(again("2026-11-27T23:30:00-05:00"), "Sat 28 Nov 2026, 04:30 UTC");
    EXPECT_EQ(again("2026-11-27 16:00:00+0530"), "Fri 27 Nov 2026, 10:30 UTC");
    EXPECT_EQ(again("2026-11-27T16:00:00+01"), "Fri 27 Nov 2026, 15:00 UTC");
    EXPECT_EQ(again("1969-12-31T23:59:59.5Z"), "Wed 31 Dec 1969, 23:59:59 UTC");
    for (const char* bad :
         {"", "infinity", "2026-11-27", "2026-11-27T16:00:00", "2026-02-30T00:00:00Z", "2026-11-27T24:00:00Z",
          "2026-11-27T16:60:00Z", "2026-11-27T16:00:00ZZ", "2026-11-27T16:00:00+99", "20x6-11-27T16:00:00Z",
          "12026-11-27T16:00:00Z", "2026-11-27T16:00:00 BC"})
        EXPECT_EQ(again(bad), "none") << bad;
}

TEST(Words, SpansAndLengths) {
    const Instant from = *parse_time("2026-11-27T16:00:00Z");
    EXPECT_EQ(span_text(from, from + std::chrono::minutes{37}), "Fri 27 Nov 2026, 16:00 to 16:37 UTC");
    EXPECT_EQ(span_text(from, from + std::chrono::hours{9}),
              "Fri 27 Nov 2026, 16:00 UTC to Sat 28 Nov 2026, 01:00 UTC");
    EXPECT_EQ(short_time_text(from), "27 Nov 16:00");
    EXPECT_EQ(duration_text(std::chrono::seconds{0}), "0 s");
    EXPECT_EQ(duration_text(std::chrono::seconds{5820}), "1 h 37 min");
    EXPECT_EQ(duration_text(std::chrono::seconds{90061}), "1 d 1 h");
    EXPECT_EQ(duration_text(std::chrono::seconds{-5}), "0 s");
    EXPECT_EQ(day_text("2026-11-30"), "Mon 30 Nov 2026");
    EXPECT_EQ(day_text("someday"), "someday");
}

TEST(Words, Chances) {
    EXPECT_EQ(chance_text(0.0003), "chance alone gives so much once in 3300 times (p = 0.0003)");
    EXPECT_EQ(chance_text(4.1e-7), "chance alone gives so much once in 2.4 million times (p = 4.1e-07)");
    EXPECT_EQ(chance_text(2e-10), "chance alone gives so much once in 5 billion times (p = 2e-10)");
    EXPECT_EQ(chance_text(0), "chance alone gives so much less than once in a trillion times");
    EXPECT_EQ(chance_text(0.5), "chance alone gives so much once in 2 times (p = 0.5)");
    EXPECT_EQ(chance_text(0.9), "chance alone gives so much more often than not (p = 0.9)");
    EXPECT_EQ(chance_text(-3), "");
    EXPECT_EQ(chance_text(NAN), "");
}

TEST(Words, Lists) {
    EXPECT_EQ(listed({}), "");
    EXPECT_EQ(listed({"a"}), "a");
    EXPECT_EQ(listed({"a", "b", "c"}), "a, b and c");
}

}  // namespace
}  // namespace raxx::notify
