// Numbers, times and probabilities as sentences say them. No locale, no time zone but UTC.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace raxx::notify {

using Instant = std::chrono::sys_time<std::chrono::microseconds>;

enum class Severity { unknown, low, medium, high, critical };

[[nodiscard]] Severity severity_of(std::string_view text);
// In capitals; "" for unknown.
[[nodiscard]] std::string severity_word(Severity severity);

// From 10,000 on with commas; at most four significant digits behind the point.
[[nodiscard]] std::string number_text(double number);
// "1 finding", "2 findings".
[[nodiscard]] std::string counted(double count, std::string_view singular, std::string_view plural);
// ISO 8601 with a zone, as jsonb writes timestamps.
[[nodiscard]] std::optional<Instant> parse_time(std::string_view text);
// "Fri 27 Nov 2026, 16:00 UTC", with seconds where there are some.
[[nodiscard]] std::string time_text(Instant time);
// "27 Nov 16:00"
[[nodiscard]] std::string short_time_text(Instant time);
// Of two times, without the date if it is the same: "Fri 27 Nov 2026, 16:00 to 16:37 UTC".
[[nodiscard]] std::string span_text(Instant from, Instant to);
// "1 h 37 min": the two largest units that are not zero.
[[nodiscard]] std::string duration_text(std::chrono::seconds length);
// "Mon 30 Nov 2026" of "2026-11-30"; what is no day as it is.
[[nodiscard]] std::string day_text(const std::string& day);
// How often so much comes by chance.
[[nodiscard]] std::string chance_text(double p_value);
// "a", "a and b", "a, b and c".
[[nodiscard]] std::string listed(const std::vector<std::string>& words);

}  // namespace raxx::notify
