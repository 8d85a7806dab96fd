// The message of a row, whose MAC an application has computed, as its format says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/declared_format.h"

namespace raxx {

class DeclaredMessage {
  public:
    // Throws a Failure for a column whose kind has no text. The format has to outlive it.
    explicit DeclaredMessage(const DeclaredFormat& format);

    // body: the canonical form of each column after its length, as docs/chain-format.md has it; prev: the MAC that
    // the row follows, as it stands in the table. Valid until the next call.
    Bytes of(Bytes body, Bytes prev);

  private:
    struct Part {
        size_t column;  // kPrev: the MAC before
        PlainKind kind;
        std::string label;  // in JSON: the name, a colon, and what comes before
    };
    static constexpr size_t kPrev = SIZE_MAX;

    void add_parts();
    void sort_labels();
    void read(Bytes body);
    void append(const Part& part, bool first);
    void append_escaped(const std::string& text);
    void append_counted(const std::optional<Bytes>& form, const Part& part);

    const DeclaredFormat& format_;
    std::vector<Part> parts_;
    std::vector<std::optional<Bytes>> forms_;
    Bytes prev_ = {};
    std::string message_;
    std::string text_;
};

}  // namespace raxx
