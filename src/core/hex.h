// Bytes as hexadecimal digits, and a UUID as 8-4-4-4-12 of them.
#pragma once

#include <string>
#include <string_view>

#include "core/failure.h"

namespace raxx {

// The value of a hexadecimal digit; -1 for any other character.
[[nodiscard]] constexpr int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

// False unless the text is twice as long as the bytes and all digits.
[[nodiscard]] bool parse_hex(std::string_view text, unsigned char* bytes, size_t size);
[[nodiscard]] std::string hex(const unsigned char* bytes, size_t size);

[[nodiscard]] bool parse_uuid(std::string_view text, unsigned char uuid[16]);
[[nodiscard]] std::string uuid_text(const unsigned char uuid[16]);

}  // namespace raxx
