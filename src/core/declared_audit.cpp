#include "core/declared_audit.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "core/hex.h"

namespace raxx {
namespace {

constexpr size_t kMostNoted = 10'000;
constexpr size_t kMostBreaks = 100;
constexpr size_t kRecent = 256;
constexpr size_t kResultsAtOnce = 4096;
constexpr size_t kBase64Size = 44;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data), bytes.size}; }
Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

bool parse_base64_mac(std::string_view text, unsigned char* mac) {
    unsigned char bytes[kBase64Size / 4 * 3];
    unsigned char again[kBase64Size + 1];
    if (text.size() != kBase64Size ||
        EVP_DecodeBlock(bytes, reinterpret_cast<const unsigned char*>(text.data()), kBase64Size) < 0)
        return false;
    EVP_EncodeBlock(again, bytes, kMacSize);
    std::copy_n(bytes, kMacSize, mac);
    return text == std::string_view(reinterpret_cast<const char*>(again), kBase64Size);
}

bool is_upper(char c) { return c >= 'A' && c <= 'F'; }

}  // namespace

DeclaredAudit::DeclaredAudit(const KeyRing* ring, DeclaredFormat format, const DeclaredStart& start)
    : format_(std::move(format)),
      message_(format_),
      key_(sizeof(HmacKey)),
      batch_(make_mac_engine()),
      start_(start) {
    const KeyRing::Key* key = ring == nullptr ? nullptr : ring->find(format_.key);
    has_key_ = key != nullptr && key->kind == KeyKind::chain;
    if (has_key_) set_hmac_key(reinterpret_cast<HmacKey*>(key_.data()), ring->bytes(*key));
    before_.seq = start.seq_before;
    if (start.genesis) {
        before_.mac = format_.genesis;
    } else if (start.mac.data != nullptr) {
        before_.mac = text_of(start.mac);
    }
    start_.mac = {};
    recent_.reserve(kRecent);
    if (before_.mac) recent_.push_back(*before_.mac);
}

// One way only to write each MAC: the next row follows its text.
bool DeclaredAudit::parse_mac(std::string_view text, unsigned char mac[kMacSize]) const {
    switch (format_.digest) {
        case DeclaredDigest::hex:
            return parse_hex(text, mac, kMacSize) && std::ranges::none_of(text, is_upper);
        case DeclaredDigest::base64:
            return parse_base64_mac(text, mac);
        case DeclaredDigest::bytes:
            if (text.size() == kMacSize) std::copy_n(bytes_of(text).data, kMacSize, mac);
            return text.size() == kMacSize;
    }
    return false;
}

void DeclaredAudit::suspect(DeclaredFault fault, int64_t seq_from, int64_t seq_to, int64_t rows, bool of_link) {
    if (suspicions_.size() < kMostNoted) {
        suspicions_.push_back({{fault, seq_from, seq_to, rows}, rows_, of_link});
    } else {
        more_ = true;
    }
}

void DeclaredAudit::judge_number(const DeclaredRow& row) {
    const bool first_of_all = rows_ == 0 && start_.genesis;
    hole_ = before_.seq != kNoSeq && row.seq > before_.seq + 1 && (first_of_all || !format_.gaps);
    if (hole_) {
        suspect(first_of_all ? DeclaredFault::genesis_replaced : DeclaredFault::seq_gap, before_.seq + 1,
                row.seq - 1, 0, false);
    }
}

bool DeclaredAudit::follows_a_recent_row(std::string_view prev) const {
    return std::ranges::find(recent_, prev) != recent_.end();
}

void DeclaredAudit::judge_link(const DeclaredRow& row, std::string_view prev) {
    const bool goes_on = !before_.mac || prev == *before_.mac || (resume_ && prev == *resume_);
    if (hole_ || goes_on) {
        resume_.reset();
        return;
    }
    if (!resume_) resume_ = before_.mac;
    if (rows_ == 0 && start_.genesis) {
        suspect(DeclaredFault::genesis_replaced, row.seq, row.seq, 1, true);
    } else if (follows_a_recent_row(prev)) {
        suspect(DeclaredFault::fork, row.seq, row.seq, 1, true);
    } else if (before_.seq != kNoSeq && row.seq > before_.seq + 1) {
        // A hole alone says nothing where numbers may be missing; that nobody is there whom the row follows does.
        suspect(DeclaredFault::seq_gap, before_.seq + 1, row.seq - 1, 0, true);
    } else {
        suspect(DeclaredFault::link_broken, row.seq, row.seq, 1, true);
    }
}

// What the MAC of the row covers; nothing: it cannot be known.
DeclaredAudit::Text DeclaredAudit::prev_of(const DeclaredRow& row) const {
    if (format_.has_prev) return row.prev.data == nullptr ? format_.genesis : std::string(text_of(row.prev));
    if (is_twin(row)) return before_.prev;
    return hole_ ? Text() : before_.mac;
}

void DeclaredAudit::add(const DeclaredRow& row, Bytes body) {
    if (before_.seq != kNoSeq && row.seq < before_.seq)
        throw Failure{sqlstate::kInvalidParameter, "the rows of the chain are not in order",
                      "Row " + std::to_string(row.seq) + " comes after row " + std::to_string(before_.seq) + ".",
                      ""};
    hole_ = false;
    if (!is_twin(row)) judge_number(row);
    Text prev = prev_of(row);
    if (row.mac.data == nullptr || row.mac.size == 0) {
        suspect(DeclaredFault::unsealed, row.seq, row.seq, 1, false);
        prev.reset();
    } else if (is_twin(row)) {
        const bool same = before_.mac && text_of(row.mac) == *before_.mac && prev == before_.prev;
        suspect(same ? DeclaredFault::duplicate : DeclaredFault::fork, row.seq, row.seq, 1, false);
        verify(row, prev, body);
        if (!resume_) resume_ = before_.mac;
    } else {
        if (format_.has_prev) judge_link(row, *prev);
        verify(row, prev, body);
    }
    step(row, std::move(prev));
}

void DeclaredAudit::verify(const DeclaredRow& row, const Text& prev, Bytes body) {
    unsigned char stored[kMacSize];
    if (!prev && format_.prev_position != PrevPosition::none) return;  // what is wrong before it is a break
    if (!parse_mac(text_of(row.mac), stored)) return note_wrong(rows_, row.seq);
    const Bytes message = message_.of(body, bytes_of(prev ? *prev : std::string_view()));
    if (format_.algorithm == DeclaredAlgorithm::sha256) {
        unsigned char digest[kMacSize];
        sha256(message, digest);
        if (!std::equal(digest, digest + kMacSize, stored)) note_wrong(rows_, row.seq);
        return;
    }
    if (!has_key_) {
        ++unverified_;
        return;
    }
    batch_.submit(*reinterpret_cast<const HmacKey*>(key_.data()), {}, message, stored,
                  {static_cast<uint64_t>(rows_), row.seq, MacVerdict::wrong});
    if (batch_.results().size() >= kResultsAtOnce) take_results();
}

void DeclaredAudit::step(const DeclaredRow& row, Text prev) {
    ++rows_;
    before_.seq = row.seq;
    before_.prev = std::move(prev);
    if (row.mac.data == nullptr || row.mac.size == 0) {
        before_.mac.reset();
        return;
    }
    if (!before_.mac) before_.mac.emplace();
    before_.mac->assign(text_of(row.mac));
    last_seq_ = row.seq;
    last_text_ = *before_.mac;
    if (recent_.size() < kRecent) {
        recent_.push_back(last_text_);
    } else {
        recent_[next_recent_] = last_text_;
        next_recent_ = (next_recent_ + 1) % kRecent;
    }
}

void DeclaredAudit::take_results() {
    for (const MacResult& result : batch_.results()) {
        if (result.verdict == MacVerdict::wrong) note_wrong(static_cast<int64_t>(result.cookie), result.seq);
    }
    batch_.clear_results();
}

void DeclaredAudit::note_wrong(int64_t row, int64_t seq) {
    if (!wrong_.empty() && wrong_.back().last + 1 == row) {
        wrong_.back().last = row;
        wrong_.back().seq_to = seq;
    } else if (wrong_.size() < kMostNoted) {
        wrong_.push_back({row, row, seq, seq});
    } else {
        more_ = true;
    }
}

bool DeclaredAudit::is_wrong(int64_t row) const {
    const auto after = std::ranges::upper_bound(wrong_, row, {}, &Run::first);
    return after != wrong_.begin() && std::prev(after)->last >= row;
}

void DeclaredAudit::add_break(const DeclaredBreak& what) {
    DeclaredBreak* last = breaks_.empty() ? nullptr : &breaks_.back();
    const bool goes_on = last != nullptr && last->fault == what.fault && what.rows > 0 && last->rows > 0 &&
                         what.seq_from >= last->seq_from && what.seq_from - 1 <= last->seq_to;
    if (goes_on) {
        last->seq_to = std::max(last->seq_to, what.seq_to);
        last->rows += what.rows;
    } else if (breaks_.size() < kMostBreaks) {
        breaks_.push_back(what);
    } else {
        more_ = true;
    }
}

DeclaredReport DeclaredAudit::finish() {
    batch_.finish();
    take_results();
    std::ranges::sort(wrong_, {}, &Run::first);
    std::vector<DeclaredBreak> found;
    for (const Run& run : wrong_)
        found.push_back({DeclaredFault::content_modified, run.seq_from, run.seq_to, run.last - run.first + 1});
    for (const Suspicion& suspicion : suspicions_) {
        const bool is_row = suspicion.what.rows > 0 && suspicion.what.fault != DeclaredFault::unsealed;
        if ((is_row || suspicion.of_link) && is_wrong(suspicion.row)) continue;
        if (suspicion.of_link && suspicion.row > 0 && is_wrong(suspicion.row - 1)) continue;
        found.push_back(suspicion.what);
    }
    std::ranges::stable_sort(found, {}, &DeclaredBreak::seq_from);
    breaks_.clear();
    for (const DeclaredBreak& what : found) add_break(what);
    if (!parse_mac(last_text_, last_mac_)) last_seq_ = kNoSeq;
    return {rows_, unverified_, more_, breaks_.size(), breaks_.data(), last_seq_, last_mac_};
}

// ---- the boundary
// ------------------------------------------------------------------------------------------------

DeclaredAudit* declared_audit_create(const KeyRing* ring, Bytes format, const DeclaredStart& start,
                                     Error* error) noexcept {
    DeclaredAudit* audit = nullptr;
    guarded(error, [&] {
        audit = std::make_unique<DeclaredAudit>(ring, parse_declared_format(text_of(format)), start).release();
        return Status::ok;
    });
    return audit;
}

void declared_audit_free(DeclaredAudit* audit) noexcept { delete audit; }

uint32_t declared_audit_columns(const DeclaredAudit* audit) noexcept {
    return static_cast<uint32_t>(audit->format().columns.size());
}

const char* declared_audit_kind(const DeclaredAudit* audit, uint32_t column) noexcept {
    return audit->format().columns[column].kind.c_str();
}

Status declared_audit_add(DeclaredAudit* audit, const DeclaredRow& row, Bytes body, Error* error) noexcept {
    return guarded(error, [&] {
        audit->add(row, body);
        return Status::ok;
    });
}

Status declared_audit_finish(DeclaredAudit* audit, DeclaredReport* report, Error* error) noexcept {
    return guarded(error, [&] {
        *report = audit->finish();
        return Status::ok;
    });
}

bool declared_audit_mac(const DeclaredAudit* audit, Bytes text, unsigned char mac[kMacSize]) noexcept {
    return audit->parse_mac(text_of(text), mac);
}

}  // namespace raxx
