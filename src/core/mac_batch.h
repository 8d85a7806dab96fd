// Many entries of a chain at once, to see whether their MACs are right: each covers the previous one as it is
// stored, so that they can be looked at in any order. The results come when there are enough for the engine, and
// not in order.
#pragma once

#include <vector>

#include "core/chain_reading.h"
#include "core/mac_engine.h"
#include "core/secret.h"

namespace raxx {

enum class MacVerdict : uint8_t {
    valid,
    wrong,
    no_key,  // the ring lacks the key of the entry's epoch: nothing is known
};

struct MacResult {
    uint64_t cookie;
    int64_t seq;
    MacVerdict verdict;
};

class MacBatch {
  public:
    // The reading has to outlive the batch.
    explicit MacBatch(const ChainReading& reading, std::unique_ptr<MacEngine> engine = make_mac_engine());

    // What the pointers point to is needed during the call only. A negative seq is wrong.
    void submit(EntryKind kind, int64_t seq, const unsigned char prev[kMacSize], Bytes body,
                const unsigned char stored[kMacSize], uint64_t cookie);
    // After it, all that was submitted has its result.
    void finish();

    // Those that nobody has cleared.
    [[nodiscard]] const std::vector<MacResult>& results() const { return results_; }
    void clear_results() { results_.clear(); }

  private:
    struct Pending {
        uint64_t cookie;
        int64_t seq;
        unsigned char stored[kMacSize];
    };

    void judge_alone(const HmacKey& key, EntryKind kind, int64_t seq, const unsigned char* prev, Bytes body,
                     const unsigned char* stored, uint64_t cookie);

    const ChainReading& reading_;
    std::unique_ptr<MacEngine> engine_;
    std::vector<unsigned char> messages_;
    SecretMemory macs_;  // right ones, also of contents that somebody made up: whoever has them can forge an entry
    std::vector<Pending> pending_;
    std::vector<MacJob> jobs_;
    std::vector<MacResult> results_;
    size_t used_ = kJobSlack;  // of messages_
};

}  // namespace raxx
