// Many messages at once, to see whether their MACs are the stored ones. The results come when there are enough for
// the engine, and not in order.
#pragma once

#include <vector>

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

class MessageBatch {
  public:
    explicit MessageBatch(std::unique_ptr<MacEngine> engine);

    // The message is the header and the body. What the pointers point to is needed during the call only, but for
    // the key, which has to outlive the batch.
    void submit(const HmacKey& key, Bytes header, Bytes body, const unsigned char stored[kMacSize],
                MacResult result);
    // What needs no MAC to be known.
    void note(const MacResult& result) { results_.push_back(result); }
    // After it, all that was submitted has its result.
    void finish();

    // Those that nobody has cleared.
    [[nodiscard]] const std::vector<MacResult>& results() const { return results_; }
    void clear_results() { results_.clear(); }

  private:
    struct Pending {
        MacResult result;
        unsigned char stored[kMacSize];
    };

    void judge_alone(const HmacKey& key, Bytes header, Bytes body, const unsigned char* stored, MacResult result);

    std::unique_ptr<MacEngine> engine_;
    std::vector<unsigned char> messages_;
    SecretMemory macs_;  // right ones, also of contents that somebody made up: whoever has them can forge an entry
    std::vector<Pending> pending_;
    std::vector<MacJob> jobs_;
    std::vector<MacResult> results_;
    size_t used_ = kJobSlack;  // of messages_
};

}  // namespace raxx
