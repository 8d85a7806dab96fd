// A jsonb as json.dumps(value, sort_keys=True, separators=(',', ':'), ensure_ascii=False) writes it. Numbers are as
// the server stores them, 1.50 and not 1.5: two that differ never look alike.
#include <algorithm>
#include <vector>

#include "core/failure.h"
#include "core/plain_form.h"

namespace raxx {
namespace {

constexpr int kDeepest = 1000;

// The canonical form of a jsonb (docs/chain-format.md), as it is read.
class Reader {
  public:
    explicit Reader(Bytes form) : at_(form.data), end_(form.data + form.size) {}

    void append_value(std::string* to, int depth) {
        if (depth > kDeepest)
            throw Failure{sqlstate::kLimitExceeded, "a jsonb is nested too deep",
                          "It is nested more than 1000 deep.", "Declare the chain without the column."};
        switch (*take(1)) {
            case 'n':
                to->append("null");
                return;
            case 't':
                to->append("true");
                return;
            case 'f':
                to->append("false");
                return;
            case '#':
                to->append(take_counted());
                return;
            case 's':
                append_json_string(to, take_counted());
                return;
            case '[':
                append_array(to, depth);
                return;
            case '{':
                append_object(to, depth);
                return;
            default:
                damaged();
        }
    }

  private:
    [[noreturn]] static void damaged() {
        throw Failure{sqlstate::kInternal, "not the canonical form of a jsonb", "", ""};
    }

    const unsigned char* take(size_t size) {
        if (size > static_cast<size_t>(end_ - at_)) damaged();
        const unsigned char* taken = at_;
        at_ += size;
        return taken;
    }

    uint32_t take_count() {
        const unsigned char* bytes = take(4);
        uint32_t count = 0;
        for (int i = 0; i < 4; ++i) count = count << 8 | bytes[i];
        return count;
    }

    std::string_view take_counted() {
        const uint32_t size = take_count();
        return {reinterpret_cast<const char*>(take(size)), size};
    }

    void append_array(std::string* to, int depth) {
        const uint32_t count = take_count();
        to->push_back('[');
        for (uint32_t i = 0; i < count; ++i) {
            if (i > 0) to->push_back(',');
            append_value(to, depth + 1);
        }
        to->push_back(']');
    }

    // The canonical form has shorter keys first; Python orders them by their characters alone.
    void append_object(std::string* to, int depth) {
        struct Member {
            std::string_view key;
            std::string value;
        };
        std::vector<Member> members(take_count());
        for (Member& member : members) {
            member.key = take_counted();
            append_value(&member.value, depth + 1);
        }
        std::ranges::sort(members, {}, &Member::key);
        to->push_back('{');
        for (const Member& member : members) {
            if (&member != members.data()) to->push_back(',');
            append_json_string(to, member.key);
            to->push_back(':');
            to->append(member.value);
        }
        to->push_back('}');
    }

    const unsigned char* at_;
    const unsigned char* end_;
};

}  // namespace

void append_json_string(std::string* to, std::string_view text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    to->push_back('"');
    size_t written = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        to->append(text.substr(written, i - written));
        written = i + 1;
        to->push_back('\\');
        switch (c) {
            case '\b':
                to->push_back('b');
                break;
            case '\f':
                to->push_back('f');
                break;
            case '\n':
                to->push_back('n');
                break;
            case '\r':
                to->push_back('r');
                break;
            case '\t':
                to->push_back('t');
                break;
            case '"':
            case '\\':
                to->push_back(static_cast<char>(c));
                break;
            default:
                to->append("u00").append({kDigits[c >> 4], kDigits[c & 15U]});
        }
    }
    to->append(text.substr(written)).push_back('"');
}

void append_plain_json(std::string* to, Bytes form) { Reader(form).append_value(to, 0); }

}  // namespace raxx
