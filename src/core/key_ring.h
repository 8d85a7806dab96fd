// The keys of a chain, by their ids, as a key file or a key command gives them: a line for each, `KIND ID HEX`.
// Nothing of a line is ever in an error, since a line that is wrong may hold a key all the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"

namespace raxx {

constexpr size_t kLongestKeyId = 64;
constexpr size_t kShortestChainKey = 32;
constexpr size_t kLongestChainKey = 64;
constexpr size_t kCheckpointKeySize = 32;  // an Ed25519 seed, or a public key

// 1 to 64 letters, digits and any of ._:/-
[[nodiscard]] bool is_key_id(std::string_view text);

class KeyRing {
  public:
    struct Key {
        KeyKind kind;
        std::string id;
        uint32_t offset;
        uint32_t size;
    };

    explicit KeyRing(std::string_view text);

    [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
    [[nodiscard]] Bytes bytes(const Key& key) const { return {secrets_.data() + key.offset, key.size}; }
    [[nodiscard]] const Key* find(std::string_view id) const;  // nullptr: there is none
    [[nodiscard]] const Key* last(KeyKind kind) const;

  private:
    void add_line(std::string_view line, size_t number);
    void add_bytes(Key* key, std::string_view hex, size_t number);

    std::vector<Key> keys_;
    SecretMemory secrets_;  // the bytes of all keys
    uint32_t used_ = 0;
};

}  // namespace raxx
