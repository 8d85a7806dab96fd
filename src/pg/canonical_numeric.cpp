// The canonical form of a numeric: its text, made from its digits of base 10,000.
//
// How a numeric is stored is private to the server's numeric.c, but cannot change: it is on disk. A header of two
// bytes says which of three layouts it is. Short: sign, scale and weight in the header itself; long: the weight in
// two bytes more; special: NaN or an infinity, and no digits. The weight is the power of 10,000 of the first digit.
#include "pg/canonical_parts.h"

namespace raxx {
namespace {

constexpr unsigned kLayout = 0xC000;
constexpr unsigned kNegative = 0x4000;  // of the long layout, which is all that has neither of the others' marks
constexpr unsigned kShort = 0x8000;
constexpr unsigned kSpecial = 0xC000;
constexpr unsigned kSpecialKind = 0xF000;
constexpr unsigned kInfinityKind = 0xD000;
constexpr unsigned kMinusInfinityKind = 0xF000;
constexpr unsigned kShortNegative = 0x2000;
constexpr int kGroup = 4;  // decimal digits in a digit

struct Number {
    bool negative;
    int weight;
    int scale;  // decimal digits after the point
    int count;
    const unsigned char* digits;
};

int read_int16(const unsigned char* at) {
    int16 value = 0;
    memcpy(&value, at, sizeof value);
    return value;
}

Number read_short(unsigned header, const unsigned char* numeric, size_t size) {
    const int weight = static_cast<int>(header & 0x3FU) - ((header & 0x40U) != 0 ? 0x40 : 0);
    return {(header & kShortNegative) != 0, weight, static_cast<int>((header >> 7) & 0x3FU),
            static_cast<int>((size - 2) / 2), numeric + 2};
}

Number read_long(unsigned header, const unsigned char* numeric, size_t size) {
    return {(header & kLayout) == kNegative, read_int16(numeric + 2), static_cast<int>(header & ~kLayout),
            static_cast<int>((size - 4) / 2), numeric + 4};
}

unsigned digit_at(const Number& number, int place) {
    return place >= 0 && place < number.count
               ? static_cast<unsigned>(read_int16(number.digits + ptrdiff_t{2} * place))
               : 0;
}

unsigned char* write_group(unsigned char* to, unsigned digit) {
    to[0] = static_cast<unsigned char>('0' + digit / 1000);
    to[1] = static_cast<unsigned char>('0' + digit / 100 % 10);
    to[2] = static_cast<unsigned char>('0' + digit / 10 % 10);
    to[3] = static_cast<unsigned char>('0' + digit % 10);
    return to + kGroup;
}

// The first group has no leading zeros.
unsigned char* write_first_group(unsigned char* to, unsigned digit) {
    unsigned char group[kGroup];
    write_group(group, digit);
    int skipped = 0;
    while (skipped < kGroup - 1 && group[skipped] == '0') ++skipped;
    memcpy(to, group + skipped, static_cast<size_t>(kGroup - skipped));
    return to + kGroup - skipped;
}

unsigned char* write_whole_part(unsigned char* to, const Number& number) {
    to = write_first_group(to, digit_at(number, 0));
    for (int place = 1; place <= number.weight; ++place) to = write_group(to, digit_at(number, place));
    return to;
}

unsigned char* write_fraction(unsigned char* to, const Number& number) {
    *to++ = '.';
    unsigned char* end = to + number.scale;
    for (int place = number.weight + 1; to < end; ++place) to = write_group(to, digit_at(number, place));
    return end;
}

void append_special(CanonicalBuffer* buffer, unsigned header) {
    const char* text = "NaN";
    if ((header & kSpecialKind) == kInfinityKind) text = "Infinity";
    if ((header & kSpecialKind) == kMinusInfinityKind) text = "-Infinity";
    append_raw(buffer, text, strlen(text));
}

}  // namespace

void append_numeric(CanonicalBuffer* buffer, const unsigned char* numeric, size_t size) {
    const auto header = static_cast<unsigned>(static_cast<uint16>(read_int16(numeric)));
    if ((header & kLayout) == kSpecial) return append_special(buffer, header);
    const Number number =
        (header & kLayout) == kShort ? read_short(header, numeric, size) : read_long(header, numeric, size);
    // A sign, a point, the groups of both parts, and the rest of the last group that write_fraction cuts off.
    const int most = 2 + kGroup * (Max(number.weight, 0) + 1) + number.scale + kGroup;
    unsigned char* begin = canonical_reserve(buffer, static_cast<size_t>(most));
    unsigned char* to = begin;
    if (number.negative) *to++ = '-';
    if (number.weight < 0) {
        *to++ = '0';
    } else {
        to = write_whole_part(to, number);
    }
    if (number.scale > 0) to = write_fraction(to, number);
    buffer->size += static_cast<size_t>(to - begin);
}

}  // namespace raxx
