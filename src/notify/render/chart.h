// The picture of a series: what was counted as bars, what is usual as a line, the limit dashed, the moment marked,
// and the time in UTC below. Drawn by cairo.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "notify/render/render.h"
#include "notify/render/words.h"

namespace raxx::notify {

struct Series {
    Instant from;
    double bucket_seconds = 0;
    int merged = 1;  // so many buckets of the payload are one here, the highest of them
    std::vector<std::optional<double>> values;
    std::vector<std::optional<double>> usual;  // empty or as many
    std::optional<double> limit;
    std::optional<Instant> mark_from;
    std::optional<Instant> mark_to;
    std::string unit;
    std::string of;
};

constexpr int kChartWidth = 560;  // as it is shown; drawn with twice as many pixels
constexpr int kChartHeight = 140;

// None if there is nothing to draw.
[[nodiscard]] std::optional<Series> series_of(const json& series);
// What is drawn, in words; clean.
[[nodiscard]] std::string caption_of(const Series& series);
// Throws std::runtime_error if cairo cannot draw it.
[[nodiscard]] std::string png_of(const Series& series);

}  // namespace raxx::notify
