// What the tests of keys and MACs share: HMAC-SHA256 by OpenSSL's one-shot function, which takes the place of a
// naive twin, and bytes that look random and are the same each time.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/hex.h"
#include "core/hmac.h"

namespace raxx {

using Octets = std::vector<unsigned char>;

inline Bytes bytes_of(const Octets& octets) { return {octets.data(), static_cast<uint32_t>(octets.size())}; }
inline Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

inline Octets octets(std::string_view text) { return {text.begin(), text.end()}; }

inline Octets from_hex(std::string_view text) {
    Octets result(text.size() / 2);
    if (!parse_hex(text, result.data(), result.size())) throw std::invalid_argument("not hexadecimal");
    return result;
}

inline std::string to_hex(const Octets& octets) { return hex(octets.data(), octets.size()); }

inline Octets random_octets(std::mt19937_64& random, size_t size) {
    Octets result(size);
    for (unsigned char& octet : result) octet = static_cast<unsigned char>(random());
    return result;
}

inline Octets plain_hmac(const Octets& key, const Octets& message) {
    Octets mac(kMacSize);
    unsigned int size = 0;
    // An empty vector may have no address, and OpenSSL takes a key without one for "as before".
    HMAC(EVP_sha256(), key.empty() ? "" : static_cast<const void*>(key.data()), static_cast<int>(key.size()),
         message.data(), message.size(), mac.data(), &size);
    return mac;
}

}  // namespace raxx
