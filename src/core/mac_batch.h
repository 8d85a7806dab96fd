// Many entries of a chain at once, to see whether their MACs are right: each covers the previous one as it is
// stored, so that they can be looked at in any order.
#pragma once

#include <vector>

#include "core/chain_reading.h"
#include "core/message_batch.h"

namespace raxx {

class MacBatch {
  public:
    // The reading has to outlive the batch.
    explicit MacBatch(const ChainReading& reading, std::unique_ptr<MacEngine> engine = make_mac_engine())
        : reading_(reading), batch_(std::move(engine)) {}

    // What the pointers point to is needed during the call only. A negative seq is wrong.
    void submit(EntryKind kind, int64_t seq, const unsigned char prev[kMacSize], Bytes body,
                const unsigned char stored[kMacSize], uint64_t cookie);
    // After it, all that was submitted has its result.
    void finish() { batch_.finish(); }

    // Those that nobody has cleared.
    [[nodiscard]] const std::vector<MacResult>& results() const { return batch_.results(); }
    void clear_results() { batch_.clear_results(); }

  private:
    const ChainReading& reading_;
    MessageBatch batch_;
};

}  // namespace raxx
