#include "core/chain_audit.h"

#include <memory>

#include "core/failure.h"

namespace raxx {
namespace {

constexpr size_t kResultsAtOnce = 4096;

EntryState state_of(MacVerdict verdict) {
    switch (verdict) {
        case MacVerdict::valid:
            return EntryState::valid;
        case MacVerdict::wrong:
            return EntryState::invalid;
        case MacVerdict::no_key:
            break;
    }
    return EntryState::unverified;
}

}  // namespace

ChainAudit::ChainAudit(const ChainReading* reading, SeqRange range, uint64_t seed)
    : tally_(range.from, range.to, seed) {
    if (reading != nullptr) batch_.emplace(*reading);
}

void ChainAudit::verify(const ChainLink& link, Bytes body) {
    tally_.add(link);
    batch_->submit(EntryKind::row, link.seq, link.prev, body, link.mac, 0);
    if (batch_->results().size() >= kResultsAtOnce) note_results();
}

void ChainAudit::take(const ChainLink& link, EntryState state) {
    tally_.add(link);
    tally_.note(link.seq, state);
}

void ChainAudit::note_results() {
    for (const MacResult& result : batch_->results()) tally_.note(result.seq, state_of(result.verdict));
    batch_->clear_results();
}

void ChainAudit::finish() {
    if (!batch_) return;
    batch_->finish();
    note_results();
}

Bytes ChainAudit::serialized() {
    finish();
    bytes_ = tally_.serialized();
    return {bytes_.data(), static_cast<uint32_t>(bytes_.size())};
}

ChainJudgement ChainAudit::judge(const unsigned char* before, const unsigned char* last) {
    finish();
    ranges_ = tally_.suspicious(before, last);
    return {tally_.counts(), ranges_.size(), ranges_.data()};
}

// ---- the boundary
// ------------------------------------------------------------------------------------------------

Status chain_mac_holds(const ChainReading* reading, EntryKind kind, int64_t seq, const unsigned char prev[kMacSize],
                       Bytes body, const unsigned char mac[kMacSize], bool* holds, Error* error) noexcept {
    unsigned char right[kMacSize];
    const Status status = chain_mac(reading, kind, seq, prev, body, right, error);
    *holds = status == Status::ok && equal_secrets(right, mac, kMacSize);
    wipe(right, sizeof right);
    return status;
}

ChainAudit* chain_audit_create(const ChainReading* reading, SeqRange range, uint64_t seed, Error* error) noexcept {
    ChainAudit* audit = nullptr;
    guarded(error, [&] {
        audit = std::make_unique<ChainAudit>(reading, range, seed).release();
        return Status::ok;
    });
    return audit;
}

ChainAudit* chain_audit_from(Bytes serialized, Error* error) noexcept {
    ChainAudit* audit = nullptr;
    guarded(error, [&] {
        audit = std::make_unique<ChainAudit>(serialized).release();
        return Status::ok;
    });
    return audit;
}

void chain_audit_free(ChainAudit* audit) noexcept { delete audit; }

Status chain_audit_verify(ChainAudit* audit, const ChainLink& link, Bytes body, Error* error) noexcept {
    return guarded(error, [&] {
        audit->verify(link, body);
        return Status::ok;
    });
}

Status chain_audit_take(ChainAudit* audit, const ChainLink& link, EntryState state, Error* error) noexcept {
    return guarded(error, [&] {
        audit->take(link, state);
        return Status::ok;
    });
}

void chain_audit_add_unsealed(ChainAudit* audit) noexcept { audit->add_unsealed(); }

Status chain_audit_merge(ChainAudit* audit, const ChainAudit* other, Error* error) noexcept {
    return guarded(error, [&] {
        audit->merge(*other);
        return Status::ok;
    });
}

Status chain_audit_serialize(ChainAudit* audit, Bytes* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = audit->serialized();
        return Status::ok;
    });
}

Status chain_audit_judge(ChainAudit* audit, const unsigned char* before, const unsigned char* last,
                         ChainJudgement* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = audit->judge(before, last);
        return Status::ok;
    });
}

}  // namespace raxx
