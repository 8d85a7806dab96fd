// Values as an application writes them: what Python 3.11 makes of them, and what it has no value for.
#include "core/plain_form.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "core/declared_audit.h"
#include "core/hex.h"

namespace raxx {
namespace {

Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

std::string big_endian(uint64_t value) {
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
    return bytes;
}

std::string plain(PlainKind kind, const std::string& form, TimeForm times = TimeForm::iso) {
    std::string text;
    append_plain(&text, kind, bytes_of(form), times);
    return text;
}

std::string json(PlainKind kind, const std::string& form, TimeForm times = TimeForm::iso) {
    std::string text;
    append_json_value(&text, kind, bytes_of(form), times);
    return text;
}

std::string number(double value) { return plain(PlainKind::floating, big_endian(std::bit_cast<uint64_t>(value))); }
std::string real(float value) { return plain(PlainKind::real, big_endian(std::bit_cast<uint64_t>(double{value}))); }
std::string moment(int64_t time, TimeForm form) {
    return plain(PlainKind::timestamptz, big_endian(static_cast<uint64_t>(time)), form);
}

TEST(PlainForm, FloatsAsRepr) {
    EXPECT_EQ(number(0.0), "0.0");
    EXPECT_EQ(number(-0.0), "-0.0");
    EXPECT_EQ(number(1.0), "1.0");
    EXPECT_EQ(number(0.1 + 0.2), "0.30000000000000004");
    EXPECT_EQ(number(123456789012345680.0), "1.2345678901234568e+17");
    EXPECT_EQ(number(9999999999999998.0), "9999999999999998.0");
    EXPECT_EQ(number(1e16), "1e+16");
    EXPECT_EQ(number(0.0001), "0.0001");
    EXPECT_EQ(number(0.00001), "1e-05");
    EXPECT_EQ(number(-5e-324), "-5e-324");
    EXPECT_EQ(number(1.7976931348623157e308), "1.7976931348623157e+308");
    EXPECT_EQ(number(std::numeric_limits<double>::quiet_NaN()), "nan");
    EXPECT_EQ(number(-std::numeric_limits<double>::infinity()), "-inf");
    EXPECT_EQ(real(0.1F), "0.1");
    EXPECT_EQ(real(16777216.0F), "16777216.0");
    EXPECT_EQ(
        json(PlainKind::floating, big_endian(std::bit_cast<uint64_t>(-std::numeric_limits<double>::infinity()))),
        "-Infinity");
}

TEST(PlainForm, Times) {
    const int64_t noon = 762'523'200'000'000;  // 2024-02-29 12:00
    EXPECT_EQ(moment(noon, TimeForm::iso), "2024-02-29T12:00:00+00:00");
    EXPECT_EQ(moment(noon + 1, TimeForm::iso), "2024-02-29T12:00:00.000001+00:00");
    EXPECT_EQ(moment(noon, TimeForm::iso_microseconds), "2024-02-29T12:00:00.000000+00:00");
    EXPECT_EQ(moment(noon, TimeForm::unix_microseconds), "1709208000000000");
    EXPECT_EQ(moment(-1, TimeForm::iso), "1999-12-31T23:59:59.999999+00:00");
    EXPECT_EQ(moment(-946'684'800'000'001, TimeForm::unix_microseconds), "-1");
    EXPECT_EQ(moment(9'223'371'331'199'999'999, TimeForm::iso), "294276-12-31T23:59:59.999999+00:00");
    EXPECT_EQ(moment(9'223'371'331'199'999'999, TimeForm::unix_microseconds), "9224318015999999999");
    EXPECT_EQ(moment(-211'813'488'000'000'000, TimeForm::iso), "-4713-11-24T00:00:00+00:00");
    EXPECT_EQ(moment(INT64_MAX, TimeForm::unix_microseconds), "infinity");
    EXPECT_EQ(
        json(PlainKind::timestamptz, big_endian(static_cast<uint64_t>(INT64_MIN)), TimeForm::unix_microseconds),
        "\"-infinity\"");
    EXPECT_EQ(json(PlainKind::timestamptz, big_endian(0), TimeForm::unix_microseconds), "946684800000000");
    EXPECT_EQ(plain(PlainKind::time, big_endian(86'400'000'000)), "24:00:00");
}

TEST(PlainForm, EveryDayOfFourHundredYears) {
    int year = 1999;
    int month = 12;
    int day = 31;
    for (int64_t days = -1; days < 146'097; ++days) {
        char expected[40];
        std::snprintf(expected, sizeof expected, "%04d-%02d-%02d", year, month, day);
        ASSERT_EQ(plain(PlainKind::date, big_endian(static_cast<uint64_t>(days))), expected);
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        const int last = month == 2                                                ? (leap ? 29 : 28)
                         : (month == 4 || month == 6 || month == 9 || month == 11) ? 30
                                                                                   : 31;
        if (++day > last) {
            day = 1;
            if (++month > 12) {
                month = 1;
                ++year;
            }
        }
    }
}

TEST(PlainForm, JsonEscapes) {
    std::string text = "\x7f\"\\/é\xe2\x80\xa8";
    for (char c = 1; c < 0x20; ++c) text.push_back(c);
    EXPECT_EQ(
        json(PlainKind::text, text),
        "\"\x7f\\\"\\\\/é\xe2\x80\xa8\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e"
        "\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d"
        "\\u001e\\u001f\"");
}

TEST(PlainForm, JsonbIsSortedByCharacters) {
    // {"b": [1.0, null], "aa": "x", "é": {}}: shorter keys come first in the canonical form.
    const std::string form = std::string("{\0\0\0\3", 5) + std::string("\0\0\0\1b[\0\0\0\2#\0\0\0\3", 15) + "1.0n" +
                             std::string("\0\0\0\2aas\0\0\0\1x", 12) + std::string("\0\0\0\2\xc3\xa9{\0\0\0\0", 11);
    EXPECT_EQ(plain(PlainKind::jsonb, form), "{\"aa\":\"x\",\"b\":[1.0,null],\"é\":{}}");
    for (size_t size = 0; size < form.size(); ++size)
        EXPECT_THROW(plain(PlainKind::jsonb, form.substr(0, size)), Failure) << size;
}

TEST(DeclaredAudit, HasOneFormOfAMac) {
    const auto format = [](const char* digest) {
        return parse_declared_format(std::string(R"({"columns": [{"name": "a", "kind": "text"}], "encoding": "json",
            "prev_position": "first", "algorithm": "sha256", "digest": ")") +
                                     digest + R"(", "timestamps": "iso"})");
    };
    unsigned char mac[kMacSize];
    const DeclaredAudit hexadecimal(nullptr, format("hex"), {true, kNoSeq, {}});
    EXPECT_TRUE(hexadecimal.parse_mac(std::string(64, 'a'), mac));
    EXPECT_FALSE(hexadecimal.parse_mac(std::string(64, 'A'), mac));
    EXPECT_FALSE(hexadecimal.parse_mac(std::string(63, 'a'), mac));
    const DeclaredAudit base64(nullptr, format("base64"), {true, kNoSeq, {}});
    EXPECT_TRUE(base64.parse_mac(std::string(43, 'A') + "=", mac));
    EXPECT_FALSE(base64.parse_mac(std::string(42, 'A') + "B=", mac));  // bits beyond the last byte
    EXPECT_FALSE(base64.parse_mac(std::string(44, 'A'), mac));
}

}  // namespace
}  // namespace raxx
