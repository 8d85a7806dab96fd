// Verifies a chain that an application has written, row by row in the order of their numbers: MACs many at once,
// numbers and links as they come.
//
// What a row follows may only be told from the row before it, so that the order matters here; in exchange a break
// can be named at once. A link says nothing where the row, or the one before, is not what was written: those are
// told when all MACs are known.
#pragma once

#include <optional>
#include <vector>

#include "core/declared_message.h"
#include "core/key_ring.h"
#include "core/message_batch.h"

namespace raxx {

class DeclaredAudit {
  public:
    DeclaredAudit(const KeyRing* ring, DeclaredFormat format, const DeclaredStart& start);
    DeclaredAudit(const DeclaredAudit&) = delete;  // the message refers to the format
    DeclaredAudit& operator=(const DeclaredAudit&) = delete;

    [[nodiscard]] const DeclaredFormat& format() const { return format_; }
    void add(const DeclaredRow& row, Bytes body);
    [[nodiscard]] DeclaredReport finish();
    bool parse_mac(std::string_view text, unsigned char mac[kMacSize]) const;

  private:
    using Text = std::optional<std::string>;

    // A break, if MACs do not tell something else.
    struct Suspicion {
        DeclaredBreak what;
        int64_t row;
        bool of_link;
    };
    struct Run {
        int64_t first;
        int64_t last;
        int64_t seq_from;
        int64_t seq_to;
    };
    struct Before {
        int64_t seq = kNoSeq;
        Text prev;
        Text mac;  // of a row without one: nothing is known
    };

    void suspect(DeclaredFault fault, int64_t seq_from, int64_t seq_to, int64_t rows, bool of_link);
    void judge_number(const DeclaredRow& row);
    void judge_link(const DeclaredRow& row, std::string_view prev);
    [[nodiscard]] bool follows_a_recent_row(std::string_view prev) const;
    [[nodiscard]] bool is_twin(const DeclaredRow& row) const {
        return before_.seq != kNoSeq && row.seq == before_.seq;
    }
    [[nodiscard]] Text prev_of(const DeclaredRow& row) const;
    void verify(const DeclaredRow& row, const Text& prev, Bytes body);
    void step(const DeclaredRow& row, Text prev);
    void take_results();
    void note_wrong(int64_t row, int64_t seq);
    [[nodiscard]] bool is_wrong(int64_t row) const;
    void add_break(const DeclaredBreak& what);

    DeclaredFormat format_;
    DeclaredMessage message_;
    SecretMemory key_;
    bool has_key_ = false;
    MessageBatch batch_;
    DeclaredStart start_;
    Before before_;
    std::vector<std::string> recent_;  // MACs, the oldest is overwritten
    size_t next_recent_ = 0;
    Text resume_;  // the MAC before rows that do not belong where they are: what comes after them may follow it
    bool hole_ = false;  // in the numbers, before the row that is being added
    int64_t rows_ = 0;
    int64_t unverified_ = 0;
    std::vector<Suspicion> suspicions_;
    std::vector<Run> wrong_;
    bool more_ = false;
    std::vector<DeclaredBreak> breaks_;
    int64_t last_seq_ = kNoSeq;
    std::string last_text_;
    unsigned char last_mac_[kMacSize] = {};
};

}  // namespace raxx
