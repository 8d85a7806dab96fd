// Verifies entries of a chain as they come: their MACs many at once, numbers and links in a tally.
#pragma once

#include <optional>
#include <vector>

#include "core/chain_tally.h"
#include "core/mac_batch.h"

namespace raxx {

class ChainAudit {
  public:
    // Without a reading it only takes what others have verified.
    ChainAudit(const ChainReading* reading, SeqRange range, uint64_t seed);
    explicit ChainAudit(Bytes serialized) : tally_(serialized) {}

    void verify(const ChainLink& link, Bytes body);
    void take(const ChainLink& link, EntryState state);
    void add_unsealed() { tally_.add_unsealed(); }
    void merge(const ChainAudit& other) { tally_.merge(other.tally_); }

    // Both with all results there.
    Bytes serialized();
    ChainJudgement judge(const unsigned char* before, const unsigned char* last);

  private:
    void note_results();
    void finish();

    ChainTally tally_;
    std::optional<MacBatch> batch_;
    std::vector<unsigned char> bytes_;
    std::vector<SeqRange> ranges_;
};

}  // namespace raxx
