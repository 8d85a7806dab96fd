#include <cinttypes>
#include <cstdio>

#include "core/plain_form.h"

namespace raxx {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kUnixEpoch = 946'684'800 * kSecond;  // before 2000-01-01
constexpr int64_t kDaysFromMarch0 = 730'425;           // from 0000-03-01 to 2000-01-01
constexpr int64_t kDaysOfEra = 146'097;                // 400 years

template <class... Values>
void append_format(std::string* to, const char* format, Values... values) {
    char text[64];
    const int size = std::snprintf(text, sizeof text, format, values...);
    to->append(text, static_cast<size_t>(size));
}

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

bool append_infinity(std::string* to, int64_t value) {
    if (value != INT64_MAX && value != INT64_MIN) return false;
    to->append(value == INT64_MAX ? "infinity" : "-infinity");
    return true;
}

}  // namespace

// Years begin in March here, so that the leap day is the last (H. Hinnant's algorithm). A year before 1 is
// astronomical: 0 is 1 BC.
void append_date(std::string* to, int64_t days) {
    if (append_infinity(to, days)) return;
    const int64_t since = days + kDaysFromMarch0;
    const int64_t era = floor_div(since, kDaysOfEra);
    const int64_t day = since - era * kDaysOfEra;
    const int64_t year = (day - day / 1460 + day / 36'524 - day / 146'096) / 365;
    const int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * day_of_year + 2) / 153;
    append_format(to, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year + era * 400 + (month >= 10 ? 1 : 0),
                  month < 10 ? month + 3 : month - 9, day_of_year - (153 * month + 2) / 5 + 1);
}

void append_time_of_day(std::string* to, int64_t time, TimeForm form) {
    const int64_t seconds = time / kSecond;
    append_format(to, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Python leaves the fraction out where it is 0.
    if (form == TimeForm::iso_microseconds || time % kSecond != 0) append_format(to, ".%06" PRId64, time % kSecond);
}

void append_timestamp(std::string* to, int64_t time, TimeForm form, bool utc) {
    if (append_infinity(to, time)) return;
    if (form == TimeForm::unix_microseconds) {
        // The last ones that the server knows do not fit into 63 bits.
        if (time >= 0) {
            append_format(to, "%" PRIu64, static_cast<uint64_t>(time) + static_cast<uint64_t>(kUnixEpoch));
        } else {
            append_format(to, "%" PRId64, time + kUnixEpoch);
        }
        return;
    }
    const int64_t days = floor_div(time, kDay);
    append_date(to, days);
    to->push_back('T');
    append_time_of_day(to, time - days * kDay, form);
    if (utc) to->append("+00:00");
}

}  // namespace raxx
