// Digits are written in lower case and read in either.
#include "core/hex.h"

namespace raxx {
namespace {

constexpr size_t kUuidText = 36;

// Before these bytes of a UUID stands a hyphen.
constexpr bool hyphen_before(size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

}  // namespace

bool parse_hex(std::string_view text, unsigned char* bytes, size_t size) {
    if (text.size() != 2 * size) return false;
    for (size_t i = 0; i < size; ++i) {
        const int high = digit_value(text[2 * i]);
        const int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return true;
}

std::string hex(const unsigned char* bytes, size_t size) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (size_t i = 0; i < size; ++i) {
        text.push_back(kDigits[bytes[i] >> 4]);
        text.push_back(kDigits[bytes[i] & 15]);
    }
    return text;
}

bool parse_uuid(std::string_view text, unsigned char uuid[16]) {
    if (text.size() != kUuidText) return false;
    for (size_t byte = 0; byte < 16; ++byte) {
        if (hyphen_before(byte)) {
            if (text.front() != '-') return false;
            text.remove_prefix(1);
        }
        if (!parse_hex(text.substr(0, 2), uuid + byte, 1)) return false;
        text.remove_prefix(2);
    }
    return true;
}

std::string uuid_text(const unsigned char uuid[16]) {
    std::string text;
    for (size_t byte = 0; byte < 16; ++byte) {
        if (hyphen_before(byte)) text.push_back('-');
        text += hex(uuid + byte, 1);
    }
    return text;
}

}  // namespace raxx
