#include "core/chain_tally.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/failure.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace raxx {
namespace {

constexpr uint64_t kMostBuckets = 65536;

void check_range(SeqRange range) {
    if (range.from >= 0 && range.to >= range.from - 1 && range.to < INT64_MAX) return;
    throw Failure{sqlstate::kInvalidParameter, "not a range of sequence numbers",
                  "It is from " + std::to_string(range.from) + " to " + std::to_string(range.to) + ".",
                  "The first entry of a chain has the number 0."};
}

template <class Value>
void put(std::vector<unsigned char>* bytes, const Value& value) {
    const auto* begin = reinterpret_cast<const unsigned char*>(&value);
    bytes->insert(bytes->end(), begin, begin + sizeof value);
}

// Takes a value from the front of the bytes.
template <class Value>
Value take(Bytes* bytes) {
    Value value;
    if (bytes->size < sizeof value) {
        throw Failure{sqlstate::kInvalidBinary, "not a tally of a chain", "It ends too early.", ""};
    }
    std::memcpy(&value, bytes->data, sizeof value);
    *bytes = {bytes->data + sizeof value, static_cast<uint32_t>(bytes->size - sizeof value)};
    return value;
}

}  // namespace

ChainTally::Sum& ChainTally::Sum::operator+=(const Sum& other) {
    low += other.low;
    high += other.high;
    return *this;
}

ChainTally::Sum& ChainTally::Sum::operator-=(const Sum& other) {
    low -= other.low;
    high -= other.high;
    return *this;
}

ChainTally::ChainTally(int64_t from, int64_t to, uint64_t seed) : range_{from, to}, seed_(seed) {
    check_range(range_);
    const auto numbers = static_cast<uint64_t>(to - from + 1);
    while ((numbers >> shift_) >= kMostBuckets) ++shift_;
    buckets_.resize((numbers + (uint64_t{1} << shift_) - 1) >> shift_);
}

ChainTally::ChainTally(Bytes bytes) : range_(take<SeqRange>(&bytes)), seed_(take<uint64_t>(&bytes)) {
    *this = ChainTally(range_.from, range_.to, seed_);
    counts_ = take<ChainCounts>(&bytes);
    before_ = take<Sum>(&bytes);
    last_ = take<Sum>(&bytes);
    for (Bucket& bucket : buckets_) bucket = take<Bucket>(&bytes);
}

std::vector<unsigned char> ChainTally::serialized() const {
    std::vector<unsigned char> bytes;
    put(&bytes, range_);
    put(&bytes, seed_);
    put(&bytes, counts_);
    put(&bytes, before_);
    put(&bytes, last_);
    for (const Bucket& bucket : buckets_) put(&bytes, bucket);
    return bytes;
}

ChainTally::Sum ChainTally::hash(int64_t seq, const unsigned char* mac) const {
    unsigned char bytes[sizeof seq + kMacSize];
    std::memcpy(bytes, &seq, sizeof seq);
    std::memcpy(bytes + sizeof seq, mac, kMacSize);
    const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, sizeof bytes, seed_);
    return {hash.low64, hash.high64};
}

void ChainTally::add(const ChainLink& link) {
    if (!covers(link.seq)) {
        ++counts_.outside;
        counts_.highest_outside = std::max(counts_.highest_outside, link.seq);
        return;
    }
    Bucket& own = bucket_of(link.seq);
    (link.seq == range_.to ? last_ : own.sum) += hash(link.seq, link.mac);
    (link.seq == range_.from ? before_ : bucket_of(link.seq - 1).sum) -= hash(link.seq - 1, link.prev);
    ++own.entries;
    ++counts_.entries;
}

void ChainTally::note(int64_t seq, EntryState state) {
    if (!covers(seq)) return;
    const int64_t invalid = state == EntryState::invalid ? 1 : 0;
    bucket_of(seq).invalid += invalid;
    counts_.invalid += invalid;
    counts_.unverified += state == EntryState::unverified ? 1 : 0;
}

void ChainTally::merge(const ChainTally& other) {
    if (other.range_.from != range_.from || other.range_.to != range_.to || other.seed_ != seed_) {
        throw Failure{sqlstate::kInvalidParameter, "tallies of different chains cannot be merged",
                      "They are of other sequence numbers, or have another seed.", ""};
    }
    counts_.entries += other.counts_.entries;
    counts_.invalid += other.counts_.invalid;
    counts_.unverified += other.counts_.unverified;
    counts_.unsealed += other.counts_.unsealed;
    counts_.outside += other.counts_.outside;
    counts_.highest_outside = std::max(counts_.highest_outside, other.counts_.highest_outside);
    before_ += other.before_;
    last_ += other.last_;
    for (size_t i = 0; i < buckets_.size(); ++i) {
        buckets_[i].sum += other.buckets_[i].sum;
        buckets_[i].entries += other.buckets_[i].entries;
        buckets_[i].invalid += other.buckets_[i].invalid;
    }
}

SeqRange ChainTally::range_of(size_t bucket) const {
    const int64_t first = range_.from + static_cast<int64_t>(bucket << shift_);
    return {first, std::min(range_.to, first + static_cast<int64_t>((uint64_t{1} << shift_) - 1))};
}

bool ChainTally::is_suspicious(size_t bucket) const {
    const Bucket& b = buckets_[bucket];
    const SeqRange range = range_of(bucket);
    return b.invalid > 0 || b.entries != range.to - range.from + 1 || b.sum != Sum{};
}

std::vector<SeqRange> ChainTally::suspicious(const unsigned char* before, const unsigned char* last) const {
    std::vector<SeqRange> ranges;
    if (buckets_.empty()) return ranges;
    const auto suspect = [&ranges](SeqRange range) {
        if (!ranges.empty() && range.from <= ranges.back().to + 1) {
            ranges.back().to = std::max(ranges.back().to, range.to);
        } else {
            ranges.push_back(range);
        }
    };
    Sum follows;
    if (before != nullptr) follows -= hash(range_.from - 1, before);
    if (before != nullptr && before_ != follows) suspect({range_.from, range_.from});
    for (size_t i = 0; i < buckets_.size(); ++i) {
        // A link that does not hold is noticed at its beginning.
        if (is_suspicious(i)) suspect({range_of(i).from, std::min(range_.to, range_of(i).to + 1)});
    }
    if (last != nullptr && last_ != hash(range_.to, last)) suspect({range_.to, range_.to});
    return ranges;
}

}  // namespace raxx
