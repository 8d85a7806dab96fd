#include "core/plain_form.h"

namespace raxx {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kUnixEpoch = 946'684'800 * kSecond;  // before 2000-01-01
constexpr int64_t kDaysFromMarch0 = 730'425;           // from 0000-03-01 to 2000-01-01
constexpr int64_t kDaysOfEra = 146'097;                // 400 years

// At least so many digits. By hand, since snprintf would be half of a row's time.
void append_digits(std::string* to, uint64_t value, int width) {
    char text[20];
    char* const end = text + sizeof text;
    char* begin = end;
    while (value > 0 || end - begin < width) {
        *--begin = static_cast<char>('0' + value % 10);
        value /= 10;
    }
    to->append(begin, end);
}

void append_number(std::string* to, int64_t value, int width) {
    if (value < 0) to->push_back('-');
    append_digits(to, value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), width);
}

void append_after(std::string* to, char mark, int64_t value, int width) {
    to->push_back(mark);
    append_number(to, value, width);
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
    append_number(to, year + era * 400 + (month >= 10 ? 1 : 0), 4);
    append_after(to, '-', month < 10 ? month + 3 : month - 9, 2);
    append_after(to, '-', day_of_year - (153 * month + 2) / 5 + 1, 2);
}

void append_time_of_day(std::string* to, int64_t time, TimeForm form) {
    const int64_t seconds = time / kSecond;
    append_number(to, seconds / 3600, 2);
    append_after(to, ':', seconds / 60 % 60, 2);
    append_after(to, ':', seconds % 60, 2);
    // Python leaves the fraction out where it is 0.
    if (form == TimeForm::iso_microseconds || time % kSecond != 0) append_after(to, '.', time % kSecond, 6);
}

void append_timestamp(std::string* to, int64_t time, TimeForm form, bool utc) {
    if (append_infinity(to, time)) return;
    if (form == TimeForm::unix_microseconds) {
        // The last ones that the server knows do not fit into 63 bits.
        if (time >= 0) {
            append_digits(to, static_cast<uint64_t>(time) + static_cast<uint64_t>(kUnixEpoch), 1);
        } else {
            append_number(to, time + kUnixEpoch, 1);
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
