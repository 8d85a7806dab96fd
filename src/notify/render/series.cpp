// From a payload's series to one that can be drawn and said: bounded, finite, in place.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "notify/render/chart.h"
#include "notify/render/payload.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostBars = 250;
constexpr size_t kMostValues = 100'000;

using Values = std::vector<std::optional<double>>;

Values numbers_of(const json& list) {
    Values result;
    for (const json& value : list) {
        if (result.size() == kMostValues) break;
        const double number = value.is_number() ? value.get<double>() : NAN;
        result.push_back(std::isfinite(number) ? std::optional(number) : std::nullopt);
    }
    return result;
}

// The highest of each so many; none where there is none.
Values merged(const Values& values, size_t count) {
    Values result((values.size() + count - 1) / count);
    for (size_t i = 0; i < values.size(); ++i) {
        std::optional<double>& into = result[i / count];
        if (values[i] && (!into || *values[i] > *into)) into = values[i];
    }
    return result;
}

std::string bucket_text(double seconds) {
    const std::string text = duration_text(std::chrono::seconds(std::llround(seconds)));
    if (text == "1 d") return "day";
    if (text == "1 h") return "hour";
    return text == "1 min" ? "minute" : text;
}

}  // namespace

std::optional<Series> series_of(const json& series) {
    const Fields f(series);
    const std::optional<Instant> from = f.time("from");
    const std::optional<double> seconds = f.number("bucket_seconds");
    Series result;
    result.values = numbers_of(f.list("values"));
    const bool known = std::ranges::any_of(result.values, [](const auto& value) { return value.has_value(); });
    if (!from || !seconds || *seconds < 1 || *seconds > 1e8 || !known) return {};
    result.from = *from;
    const size_t count = (result.values.size() + kMostBars - 1) / kMostBars;
    result.usual = numbers_of(f.list("usual"));
    if (result.usual.size() != result.values.size()) result.usual.clear();
    result.merged = static_cast<int>(count);
    result.bucket_seconds = *seconds * static_cast<double>(count);
    result.values = merged(result.values, count);
    result.usual = merged(result.usual, count);
    result.limit = f.number("limit");
    result.mark_from = f.time("mark_from");
    result.mark_to = f.time("mark_to");
    result.unit = f.text("unit");
    result.of = f.text("of", kEntity);
    return result;
}

std::string caption_of(const Series& series) {
    const double length = series.bucket_seconds * static_cast<double>(series.values.size());
    const Instant to = series.from + std::chrono::seconds(std::llround(length));
    std::string what = series.of.empty() ? series.unit : series.of;
    if (what.empty()) what = "counts";
    std::string result = fmt::format("Bars: {}, per {}", what, bucket_text(series.bucket_seconds / series.merged));
    if (series.merged > 1) result += fmt::format(" (each bar the highest of {})", series.merged);
    if (!series.usual.empty()) result += "; line: what is usual";
    if (series.limit) result += fmt::format("; dashed: the limit, {}", number_text(*series.limit));
    if (series.mark_from) result += "; shaded: the finding";
    if (std::ranges::any_of(series.values, [](const auto& value) { return !value; })) result += "; grey: not known";
    const std::string first = short_time_text(series.from);
    const std::string last = short_time_text(to);
    const size_t clock = last.rfind(' ') + 1;
    return result + fmt::format(". {} to {} UTC.", first,
                                first.starts_with(last.substr(0, clock)) ? last.substr(clock) : last);
}

}  // namespace raxx::notify
