// Series that can be drawn, and that they are drawn; how it looks is for eyes (notify_look).
#include "notify/render/chart.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "payloads.h"

namespace raxx::notify {
namespace {

json series(json values) {
    return {{"unit", "rows"},
            {"bucket_seconds", 3600},
            {"from", "2026-11-27T00:00:00Z"},
            {"values", std::move(values)}};
}

uint32_t big_endian(const std::string& bytes, size_t at) {
    uint32_t result = 0;
    for (size_t i = 0; i < 4; ++i) result = result << 8U | static_cast<unsigned char>(bytes.at(at + i));
    return result;
}

void expect_png(const json& input) {
    const std::optional<Series> drawn = series_of(input);
    ASSERT_TRUE(drawn) << input;
    const std::string png = png_of(*drawn);
    ASSERT_TRUE(png.starts_with("\x89PNG\r\n")) << input;
    EXPECT_EQ(big_endian(png, 16), 2U * kChartWidth);
    EXPECT_EQ(big_endian(png, 20), 2U * kChartHeight);
    EXPECT_LT(png.size(), 40'000U);
}

TEST(Chart, IsAPngOfTwiceThePixels) { expect_png(payload("fired")["series"]); }

TEST(Chart, OfTheSameSeriesIsTheSame) {
    const Series drawn = *series_of(payload("email_pattern")["series"]);
    EXPECT_EQ(png_of(drawn), png_of(drawn));
}

TEST(Chart, ShowsWhatIsMarkedAndLimited) {
    json plain = payload("fired")["series"];
    const std::string whole = png_of(*series_of(plain));
    for (const char* name : {"limit", "usual", "mark_from"}) {
        json less = plain;
        less.erase(name);
        EXPECT_NE(png_of(*series_of(less)), whole) << name;
    }
}

TEST(Chart, OfOddSeriesIsDrawn) {
    expect_png(series({0}));
    expect_png(series({0, 0, 0}));
    expect_png(series({-5, 3, nullptr}));
    expect_png(series({1e300, -1e300, 1e-300}));
    expect_png(series({1e15, 1e15 + 1}));
    expect_png(series(json::array_t(1, 0.0001)));
    json odd = series({1, 2, 3});
    odd["limit"] = 1e300;
    odd["usual"] = {1, nullptr, "x"};
    odd["mark_from"] = "0001-01-01T00:00:00Z";
    odd["mark_to"] = "9999-12-31T00:00:00Z";
    expect_png(odd);
    odd["mark_to"] = "0001-01-01T00:00:00Z";
    expect_png(odd);
    odd["bucket_seconds"] = 1e8;
    expect_png(odd);
}

TEST(Chart, OfManyBucketsKeepsTheHighest) {
    json::array_t values(100'000, 1);
    values[77'777] = 9;
    const std::optional<Series> merged = series_of(series(values));
    ASSERT_TRUE(merged);
    EXPECT_EQ(merged->merged, 400);
    ASSERT_EQ(merged->values.size(), 250U);
    EXPECT_EQ(merged->values[77'777 / 400], 9);
    expect_png(series(values));
}

TEST(Chart, NothingToDrawIsNone) {
    EXPECT_FALSE(series_of(json()));
    EXPECT_FALSE(series_of(series(json::array())));
    EXPECT_FALSE(series_of(series({nullptr, "x"})));
    EXPECT_FALSE(series_of(series("x")));
    for (const auto& [name, bad] : {std::pair<const char*, json>{"from", "x"},
                                    {"from", nullptr},
                                    {"bucket_seconds", 0},
                                    {"bucket_seconds", -1},
                                    {"bucket_seconds", "1"},
                                    {"bucket_seconds", 1e300}}) {
        json changed = series({1, 2});
        changed[name] = bad;
        EXPECT_FALSE(series_of(changed)) << changed;
    }
}

TEST(Chart, CaptionSaysWhatIsDrawn) {
    EXPECT_EQ(caption_of(*series_of(payload("fired")["series"])),
              "Bars: rows of waitlist_signups with this origin, per 5 min; line: what is usual; dashed: the limit, "
              "20; shaded: "
              "the finding. 27 Nov 13:00 to 16:15 UTC.");
    EXPECT_EQ(caption_of(*series_of(series({1, nullptr}))),
              "Bars: rows, per hour; grey: not known. 27 Nov 00:00 to 02:00 UTC.");
}

}  // namespace
}  // namespace raxx::notify
