// A line is looked at where it lies, in its caller's memory, and its digits go straight into the ring's own.
#include "core/key_ring.h"

#include <algorithm>
#include <memory>

#include "core/hex.h"

namespace raxx {
namespace {

constexpr size_t kMostText = size_t{1} << 20;
constexpr size_t kMostKeys = 1000;
constexpr std::string_view kBlanks = " \t";

[[noreturn]] void refuse(size_t line, const std::string& what) {
    throw Failure{sqlstate::kConfigFileError, "the key ring cannot be read",
                  "Line " + std::to_string(line) + ": " + what + ".",
                  "A line is KIND ID HEX: chain with 32 to 64 bytes, checkpoint or checkpoint-public with 32, in "
                  "hexadecimal."};
}

// Takes the next word off the line; empty at its end.
std::string_view next_word(std::string_view* line) {
    const size_t begin = std::min(line->find_first_not_of(kBlanks), line->size());
    const size_t end = std::min(line->find_first_of(kBlanks, begin), line->size());
    const std::string_view word = line->substr(begin, end - begin);
    line->remove_prefix(end);
    return word;
}

KeyKind kind_of(std::string_view word, size_t line) {
    if (word == "chain") return KeyKind::chain;
    if (word == "checkpoint") return KeyKind::checkpoint;
    if (word == "checkpoint-public") return KeyKind::checkpoint_public;
    refuse(line, "it does not begin with chain, checkpoint or checkpoint-public");
}

}  // namespace

bool is_key_id(std::string_view text) {
    constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-";
    return !text.empty() && text.size() <= kLongestKeyId &&
           text.find_first_not_of(kAllowed) == std::string_view::npos;
}

KeyRing::KeyRing(std::string_view text) : secrets_(std::min(text.size(), kMostText) / 2) {
    if (text.size() > kMostText)
        throw Failure{sqlstate::kConfigFileError, "the key ring is too long", "It is longer than 1 MB.",
                      "Leave out what is no key."};
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        add_line(line, number);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (keys_.empty())
        throw Failure{sqlstate::kConfigFileError, "the key ring holds no key",
                      "It is empty, or has nothing but comments.", "Give it a line: chain ID HEX."};
}

void KeyRing::add_line(std::string_view line, size_t number) {
    const std::string_view kind = next_word(&line);
    if (kind.empty() || kind.front() == '#') return;
    Key key = {kind_of(kind, number), {}, used_, 0};
    const std::string_view id = next_word(&line);
    const std::string_view hex = next_word(&line);
    if (id.empty() || hex.empty()) refuse(number, "it has less than three words");
    if (!next_word(&line).empty()) refuse(number, "it has more than three words");
    if (!is_key_id(id)) refuse(number, "the id is not 1 to 64 letters, digits and any of . _ : / -");
    if (find(id) != nullptr) refuse(number, "an earlier line has the same id");
    if (keys_.size() == kMostKeys) refuse(number, "there are more than 1000 keys");
    add_bytes(&key, hex, number);
    key.id = id;  // only now: where words are exchanged, the id is a key
    keys_.push_back(std::move(key));
}

void KeyRing::add_bytes(Key* key, std::string_view hex, size_t number) {
    const bool is_chain = key->kind == KeyKind::chain;
    const size_t shortest = is_chain ? kShortestChainKey : kCheckpointKeySize;
    const size_t longest = is_chain ? kLongestChainKey : kCheckpointKeySize;
    if (!std::ranges::all_of(hex, [](char c) { return digit_value(c) >= 0; }))
        refuse(number, "the third word is not hexadecimal");
    if (hex.size() % 2 != 0) refuse(number, "the number of hexadecimal digits is odd");
    if (hex.size() / 2 < shortest) refuse(number, "the key is too short");
    if (hex.size() / 2 > longest) refuse(number, "the key is too long");
    key->size = static_cast<uint32_t>(hex.size() / 2);
    (void)parse_hex(hex, secrets_.data() + used_, key->size);
    used_ += key->size;
}

const KeyRing::Key* KeyRing::find(std::string_view id) const {
    const auto found = std::ranges::find(keys_, id, &Key::id);
    return found == keys_.end() ? nullptr : &*found;
}

const KeyRing::Key* KeyRing::last(KeyKind kind) const {
    const auto found = std::find_if(keys_.rbegin(), keys_.rend(), [&](const Key& key) { return key.kind == kind; });
    return found == keys_.rend() ? nullptr : &*found;
}

KeyRing* key_ring_create(Bytes text, Error* error) noexcept {
    KeyRing* ring = nullptr;
    guarded(error, [&] {
        ring = std::make_unique<KeyRing>(std::string_view(reinterpret_cast<const char*>(text.data), text.size))
                   .release();
        return Status::ok;
    });
    return ring;
}

void key_ring_free(KeyRing* ring) noexcept { delete ring; }

uint32_t key_ring_size(const KeyRing* ring) noexcept { return static_cast<uint32_t>(ring->keys().size()); }

KeyName key_ring_name(const KeyRing* ring, uint32_t at) noexcept {
    const KeyRing::Key& key = ring->keys()[at];
    return {key.id.c_str(), key.kind};
}

}  // namespace raxx
