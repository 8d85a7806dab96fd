// Messages are copied one behind the other until the memory or the jobs are used up. Those that are longer than the
// engine takes are hashed by themselves, where they lie: for them one lane is fast enough.
#include "core/message_batch.h"

#include <algorithm>

namespace raxx {
namespace {

constexpr size_t kMessageMemory = size_t{64} << 10;
static_assert(kMessageMemory >= kLongestJob + 2 * kJobSlack);

MacVerdict compare(const unsigned char* mac, const unsigned char* stored) {
    return equal_secrets(mac, stored, kMacSize) ? MacVerdict::valid : MacVerdict::wrong;
}

}  // namespace

MessageBatch::MessageBatch(std::unique_ptr<MacEngine> engine)
    : engine_(std::move(engine)), messages_(kMessageMemory), macs_(kMostJobs * kMacSize) {
    pending_.reserve(kMostJobs);
    jobs_.reserve(kMostJobs);
    results_.reserve(kMostJobs);
}

void MessageBatch::submit(const HmacKey& key, Bytes header, Bytes body, const unsigned char stored[kMacSize],
                          MacResult result) {
    const size_t size = size_t{header.size} + body.size;
    if (size > kLongestJob || size == 0) {
        judge_alone(key, header, body, stored, result);
        return;
    }
    if (jobs_.size() == kMostJobs || used_ + size + kJobSlack > messages_.size()) finish();
    unsigned char* message = messages_.data() + used_;
    std::copy_n(body.data, body.size, std::copy_n(header.data, header.size, message));
    used_ += size;
    Pending& pending = pending_.emplace_back();
    pending.result = result;
    std::copy_n(stored, kMacSize, pending.stored);
    unsigned char* mac = macs_.data() + jobs_.size() * kMacSize;
    jobs_.push_back({&key, message, static_cast<uint32_t>(size), mac});
}

void MessageBatch::finish() {
    if (!jobs_.empty()) engine_->run(jobs_);
    for (size_t i = 0; i < jobs_.size(); ++i) {
        pending_[i].result.verdict = compare(jobs_[i].mac, pending_[i].stored);
        results_.push_back(pending_[i].result);
    }
    jobs_.clear();
    pending_.clear();
    used_ = kJobSlack;
}

void MessageBatch::judge_alone(const HmacKey& key, Bytes header, Bytes body, const unsigned char* stored,
                               MacResult result) {
    unsigned char mac[kMacSize];
    hmac(key, {header, body}, mac);
    result.verdict = compare(mac, stored);
    results_.push_back(result);
    wipe(mac, sizeof mac);
}

}  // namespace raxx
