// A chain as it is to be read: its epochs, the sealed columns of each, and the key that each derives from the
// ring's. The derived keys are kept as hash states, in memory for secrets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/hmac.h"
#include "core/key_ring.h"
#include "core/secret.h"

namespace raxx {

// kind, seq and prev: what a message has before its body.
constexpr size_t kEntryHeader = 1 + 8 + kMacSize;
void write_entry_header(EntryKind kind, int64_t seq, const unsigned char* prev, unsigned char* header) noexcept;

struct SealedColumn {
    std::string name;
    std::string kind;
    uint32_t at;
};

struct Epoch {
    int64_t from;
    std::string key_id;
    std::vector<SealedColumn> columns;
};

// What the JSON says; throws a Failure if it is not as boundary.h has it.
struct ChainDescription {
    unsigned char chain[kChainIdSize];
    std::vector<Epoch> epochs;
};
[[nodiscard]] ChainDescription parse_chain_description(std::string_view text);

void manifest_digest(const std::vector<SealedColumn>& columns, unsigned char digest[kMacSize]);

class ChainReading {
  public:
    ChainReading(const KeyRing* ring, ChainDescription description);

    [[nodiscard]] const std::vector<Epoch>& epochs() const { return description_.epochs; }
    [[nodiscard]] uint32_t epoch_of(int64_t seq) const;
    [[nodiscard]] const HmacKey* key(uint32_t epoch) const { return keys_[epoch]; }  // nullptr: not in the ring
    [[nodiscard]] EpochColumns columns(uint32_t epoch) const;

  private:
    struct Flat {
        std::vector<uint32_t> at;
        std::vector<Bytes> kinds;
    };

    ChainDescription description_;
    std::vector<Flat> flat_;
    std::vector<const HmacKey*> keys_;
    SecretMemory derived_;
};

}  // namespace raxx
