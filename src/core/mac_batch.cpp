// Messages are copied one behind the other until the memory or the jobs are used up. Those that are longer than the
// engine takes are hashed by themselves, where they lie: for them one lane is fast enough.
#include "core/mac_batch.h"

#include <algorithm>

namespace raxx {
namespace {

constexpr size_t kMessageMemory = size_t{64} << 10;
static_assert(kMessageMemory >= kLongestJob + 2 * kJobSlack);

MacVerdict compare(const unsigned char* mac, const unsigned char* stored) {
    return equal_secrets(mac, stored, kMacSize) ? MacVerdict::valid : MacVerdict::wrong;
}

}  // namespace

MacBatch::MacBatch(const ChainReading& reading, std::unique_ptr<MacEngine> engine)
    : reading_(reading), engine_(std::move(engine)), messages_(kMessageMemory), macs_(kMostJobs * kMacSize) {
    pending_.reserve(kMostJobs);
    jobs_.reserve(kMostJobs);
    results_.reserve(kMostJobs);
}

void MacBatch::submit(EntryKind kind, int64_t seq, const unsigned char prev[kMacSize], Bytes body,
                      const unsigned char stored[kMacSize], uint64_t cookie) {
    if (seq < 0) {
        results_.push_back({cookie, seq, MacVerdict::wrong});
        return;
    }
    const HmacKey* key = reading_.key(reading_.epoch_of(seq));
    if (key == nullptr) {
        results_.push_back({cookie, seq, MacVerdict::no_key});
        return;
    }
    const size_t size = kEntryHeader + body.size;
    if (size > kLongestJob) {
        judge_alone(*key, kind, seq, prev, body, stored, cookie);
        return;
    }
    if (jobs_.size() == kMostJobs || used_ + size + kJobSlack > messages_.size()) finish();
    unsigned char* message = messages_.data() + used_;
    write_entry_header(kind, seq, prev, message);
    std::copy_n(body.data, body.size, message + kEntryHeader);
    used_ += size;
    Pending& pending = pending_.emplace_back();
    pending.cookie = cookie;
    pending.seq = seq;
    std::copy_n(stored, kMacSize, pending.stored);
    unsigned char* mac = macs_.data() + jobs_.size() * kMacSize;
    jobs_.push_back({key, message, static_cast<uint32_t>(size), mac});
}

void MacBatch::finish() {
    if (!jobs_.empty()) engine_->run(jobs_);
    for (size_t i = 0; i < jobs_.size(); ++i) {
        results_.push_back({pending_[i].cookie, pending_[i].seq, compare(jobs_[i].mac, pending_[i].stored)});
    }
    jobs_.clear();
    pending_.clear();
    used_ = kJobSlack;
}

void MacBatch::judge_alone(const HmacKey& key, EntryKind kind, int64_t seq, const unsigned char* prev, Bytes body,
                           const unsigned char* stored, uint64_t cookie) {
    unsigned char header[kEntryHeader];
    unsigned char mac[kMacSize];
    write_entry_header(kind, seq, prev, header);
    hmac(key, {{header, sizeof header}, body}, mac);
    results_.push_back({cookie, seq, compare(mac, stored)});
    wipe(mac, sizeof mac);
}

}  // namespace raxx
