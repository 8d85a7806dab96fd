// SHA-256 and HMAC-SHA256 (FIPS 180-4, RFC 2104) of one message, by OpenSSL. A key is kept as the two states that
// the hash is in after the key's block, so that each message costs its own blocks and one more.
#pragma once

#include <initializer_list>

#include "core/failure.h"

namespace raxx {

// What a key becomes; as secret as the key itself, so it belongs in SecretMemory.
struct HmacKey {
    uint32_t inner[8];
    uint32_t outer[8];
};

void sha256(Bytes data, unsigned char digest[kMacSize]) noexcept;

// Of a key of any length.
void set_hmac_key(HmacKey* result, Bytes key) noexcept;

// Of the parts, one after the other.
void hmac(const HmacKey& key, std::initializer_list<Bytes> parts, unsigned char mac[kMacSize]) noexcept;

}  // namespace raxx
