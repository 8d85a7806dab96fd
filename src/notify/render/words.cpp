#include "notify/render/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace raxx::notify {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

std::string with_commas(std::string digits) {
    const size_t first = digits.starts_with('-') ? 1 : 0;
    if (digits.size() - first < 5) return digits;
    for (size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
    return digits;
}

// The digits at that place as a number; -1 if they are not all digits.
int digits(std::string_view text, size_t at, size_t size) {
    int value = 0;
    if (text.size() < at + size) return -1;
    for (const char c : text.substr(at, size)) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

// Cuts ".123" off and returns it.
microseconds take_fraction(std::string_view* text) {
    microseconds result{0};
    if (!text->starts_with('.')) return result;
    text->remove_prefix(1);
    for (int unit = 100'000; !text->empty() && text->front() >= '0' && text->front() <= '9'; unit /= 10) {
        result += microseconds{(text->front() - '0') * unit};
        text->remove_prefix(1);
    }
    return result;
}

std::optional<seconds> zone_offset(std::string_view text) {
    if (text == "Z") return seconds{0};
    if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return {};
    const int hour = digits(text, 1, 2);
    const int minute = text.size() == 3 ? 0 : digits(text, text[3] == ':' ? 4 : 3, 2);
    if (hour < 0 || hour > 15 || minute < 0 || minute > 59 || text.size() > 6) return {};
    return (text[0] == '-' ? -1 : 1) * (hours{hour} + minutes{minute});
}

std::string date_text(std::chrono::sys_days day) {
    const std::chrono::year_month_day date(day);
    return fmt::format("{} {} {} {}", kDays.at(std::chrono::weekday(day).c_encoding()),
                       static_cast<unsigned>(date.day()), kMonths.at(static_cast<unsigned>(date.month()) - 1),
                       static_cast<int>(date.year()));
}

std::string clock_text(Instant time) {
    const auto rest = floor<seconds>(time - floor<days>(time));
    const std::chrono::hh_mm_ss clock(rest);
    if (clock.seconds().count() == 0)
        return fmt::format("{:02}:{:02}", clock.hours().count(), clock.minutes().count());
    return fmt::format("{:02}:{:02}:{:02}", clock.hours().count(), clock.minutes().count(),
                       clock.seconds().count());
}

}  // namespace

Severity severity_of(std::string_view text) {
    if (text == "critical") return Severity::critical;
    if (text == "high") return Severity::high;
    if (text == "medium") return Severity::medium;
    return text == "low" ? Severity::low : Severity::unknown;
}

std::string severity_word(Severity severity) {
    constexpr std::array<const char*, 5> kWords = {"", "LOW", "MEDIUM", "HIGH", "CRITICAL"};
    return kWords.at(static_cast<size_t>(severity));
}

std::string number_text(double number) {
    if (!std::isfinite(number)) return number > 0 ? "infinity" : "unknown";
    const double size = std::fabs(number);
    if (size >= 1e15 || (size != 0 && size < 1e-4)) return fmt::format("{:.3g}", number);
    if (number == std::floor(number)) return with_commas(fmt::format("{:.0f}", number));
    if (size >= 1000) return with_commas(fmt::format("{:.0f}", number));
    return fmt::format("{:.4g}", number);
}

std::string counted(double count, std::string_view singular, std::string_view plural) {
    return fmt::format("{} {}", number_text(count), count == 1 ? singular : plural);
}

std::optional<Instant> parse_time(std::string_view text) {
    const std::string_view whole = text;
    constexpr size_t kSize = 19;  // of 2026-11-27T16:00:00
    if (text.size() <= kSize || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') ||
        text[13] != ':' || text[16] != ':')
        return {};
    const int year = digits(whole, 0, 4);
    const int month = digits(whole, 5, 2);
    const int day = digits(whole, 8, 2);
    const int hour = digits(whole, 11, 2);
    const int minute = digits(whole, 14, 2);
    const int second = digits(whole, 17, 2);
    if (std::min({year, month, day, hour, minute, second}) < 0 || hour > 23 || minute > 59 || second > 59)
        return {};
    const std::chrono::year_month_day date(std::chrono::year{year},
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day)));
    if (!date.ok()) return {};
    text.remove_prefix(kSize);
    const microseconds fraction = take_fraction(&text);
    const std::optional<seconds> offset = zone_offset(text);
    if (!offset) return {};
    return std::chrono::sys_days(date) + hours{hour} + minutes{minute} + seconds{second} + fraction - *offset;
}

std::string time_text(Instant time) {
    return fmt::format("{}, {} UTC", date_text(floor<days>(time)), clock_text(time));
}

std::string short_time_text(Instant time) {
    const std::chrono::year_month_day date(floor<days>(time));
    const std::chrono::hh_mm_ss clock(floor<seconds>(time - floor<days>(time)));
    return fmt::format("{} {} {:02}:{:02}", static_cast<unsigned>(date.day()),
                       kMonths.at(static_cast<unsigned>(date.month()) - 1), clock.hours().count(),
                       clock.minutes().count());
}

std::string span_text(Instant from, Instant to) {
    if (floor<days>(from) != floor<days>(to)) return fmt::format("{} to {}", time_text(from), time_text(to));
    return fmt::format("{}, {} to {} UTC", date_text(floor<days>(from)), clock_text(from), clock_text(to));
}

std::string duration_text(seconds length) {
    struct Unit {
        int64_t seconds;
        const char* name;
    };
    constexpr std::array<Unit, 4> kUnits = {{{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}};
    int64_t rest = std::max<int64_t>(length.count(), 0);
    std::string result;
    int shown = 0;
    for (const Unit& unit : kUnits) {
        const int64_t count = rest / unit.seconds;
        rest %= unit.seconds;
        if (count == 0) continue;
        result +=
            fmt::format("{}{} {}", result.empty() ? "" : " ", number_text(static_cast<double>(count)), unit.name);
        if (++shown == 2) break;
    }
    return result.empty() ? "0 s" : result;
}

std::string day_text(const std::string& day) {
    const std::optional<Instant> time = day.size() == 10 ? parse_time(day + "T00:00:00Z") : std::nullopt;
    return time ? date_text(floor<days>(*time)) : day;
}

std::string chance_text(double p_value) {
    if (p_value < 0 || p_value > 1 || std::isnan(p_value)) return {};
    if (p_value < 1e-12) return "chance alone gives so much less than once in a trillion times";
    const std::string p = fmt::format("(p = {:.2g})", p_value);
    if (p_value > 0.5) return "chance alone gives so much more often than not " + p;
    const double times = 1 / p_value;
    const double unit = std::pow(10, std::max(std::floor(std::log10(times)) - 1, 0.0));
    const double rounded = std::round(times / unit) * unit;
    if (rounded >= 1e9)
        return fmt::format("chance alone gives so much once in {} billion times {}", number_text(rounded / 1e9), p);
    if (rounded >= 1e6)
        return fmt::format("chance alone gives so much once in {} million times {}", number_text(rounded / 1e6), p);
    return fmt::format("chance alone gives so much once in {} times {}", number_text(rounded), p);
}

std::string listed(const std::vector<std::string>& words) {
    std::string result;
    for (size_t i = 0; i < words.size(); ++i) {
        if (i != 0) result += i + 1 == words.size() ? " and " : ", ";
        result += words[i];
    }
    return result;
}

}  // namespace raxx::notify
