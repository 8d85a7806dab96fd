// A tally of a chain's entries, in whatever order they come: whether each number occurs once, and each entry's
// `prev` is the MAC of the one before.
//
// The numbers are divided into buckets. A bucket adds f(seq, mac) for each of its entries and takes away f(seq - 1,
// prev) for each of their successors, f being a hash with a secret seed: where all is well that is zero, and where
// an entry is missing, there twice, or follows another one than it says, it is not (a multiset hash). So the memory
// does not depend on the number of rows, tallies of parts merge by addition, and what is left to be read in order
// are the few numbers of a bucket that is not zero.
#pragma once

#include <vector>

#include "core/fence.h"

namespace raxx {

class ChainTally {
  public:
    // Of the entries numbered from `from` to `to`.
    ChainTally(int64_t from, int64_t to, uint64_t seed);
    // One that was serialized by the same build.
    explicit ChainTally(Bytes bytes);

    void add(const ChainLink& link);
    // What has come out about an entry that was added.
    void note(int64_t seq, EntryState state);
    void add_unsealed() { ++counts_.unsealed; }
    // Of the same numbers and seed.
    void merge(const ChainTally& other);
    std::vector<unsigned char> serialized() const;

    const ChainCounts& counts() const { return counts_; }
    // Stretches of numbers, ascending, outside which all is well. The MAC that the first entry has to follow, and
    // the one that the last has to have, may be nullptr where they are not known.
    std::vector<SeqRange> suspicious(const unsigned char* before, const unsigned char* last) const;

  private:
    struct Sum {
        uint64_t low = 0;
        uint64_t high = 0;

        Sum& operator+=(const Sum& other);
        Sum& operator-=(const Sum& other);
        bool operator==(const Sum&) const = default;
    };
    struct Bucket {
        Sum sum;
        int64_t entries = 0;
        int64_t invalid = 0;
    };

    bool covers(int64_t seq) const { return seq >= range_.from && seq <= range_.to; }
    Sum hash(int64_t seq, const unsigned char* mac) const;
    Bucket& bucket_of(int64_t seq) { return buckets_[static_cast<size_t>(seq - range_.from) >> shift_]; }
    SeqRange range_of(size_t bucket) const;
    bool is_suspicious(size_t bucket) const;

    SeqRange range_;
    uint64_t seed_;
    unsigned shift_ = 0;
    ChainCounts counts_ = {};
    Sum before_;  // what the first entry follows, and
    Sum last_;    // the last one, which nothing in the range follows
    std::vector<Bucket> buckets_;
};

}  // namespace raxx
