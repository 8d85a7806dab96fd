// Cleaning goes character by character, so UTF-8 is decoded here: strictly, since what is malformed is malformed on
// purpose.
#include "notify/render/escape.h"

#include <algorithm>
#include <array>
#include <utility>

namespace raxx::notify {
namespace {

struct Decoded {
    char32_t character;
    size_t size;
    bool valid;
};

Decoded decode(std::string_view text) {
    const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const size_t size = lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : 2U;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {0, 1, false};
    char32_t character = lead & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return {0, 1, false};
        character = character << 6U | (byte(i) & 0x3fU);
    }
    constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < kLeast[size] || character > 0x10ffff || surrogate) return {0, 1, false};
    return {character, size, true};
}

bool is_break(char32_t c) {
    return c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// Control characters, and formatting ones: they turn the direction of writing, or hide.
bool is_invisible(char32_t c) {
    constexpr std::array<std::pair<char32_t, char32_t>, 15> kRanges = {{{0, 0x1f},
                                                                        {0x7f, 0x9f},
                                                                        {0xad, 0xad},
                                                                        {0x61c, 0x61c},
                                                                        {0x115f, 0x1160},
                                                                        {0x180b, 0x180f},
                                                                        {0x200b, 0x200f},
                                                                        {0x202a, 0x202e},
                                                                        {0x2060, 0x206f},
                                                                        {0x3164, 0x3164},
                                                                        {0xfdd0, 0xfdef},
                                                                        {0xfeff, 0xfeff},
                                                                        {0xfff9, 0xfffb},
                                                                        {0xfffe, 0xffff},
                                                                        {0xe0000, 0xe0fff}}};
    return std::ranges::any_of(kRanges, [c](const auto& r) { return c >= r.first && c <= r.second; });
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

// The first so many characters of a clean text.
std::string_view head(std::string_view text, size_t count) {
    size_t at = 0;
    for (; at < text.size(); ++at)
        if (!is_continuation(text[at]) && count-- == 0) break;
    return text.substr(0, at);
}

template <typename Replacement>
std::string replaced(std::string_view text, Replacement replacement) {
    std::string result;
    result.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
        const std::string_view other = replacement(c);
        if (other.empty()) {
            result += c;
        } else {
            result += other;
        }
    }
    return result;
}

}  // namespace

std::string one_line(std::string_view text, size_t limit) {
    std::string result;
    size_t count = 0;
    while (!text.empty()) {
        const Decoded next = decode(text);
        if (count++ > limit) break;
        if (!next.valid || (is_invisible(next.character) && !is_break(next.character))) {
            result += '?';
        } else if (is_break(next.character)) {
            result += ' ';
        } else {
            result += text.substr(0, next.size);
        }
        text.remove_prefix(next.size);
    }
    const size_t first = std::min(result.find_first_not_of(' '), result.size());
    result.erase(0, first);
    result.erase(result.find_last_not_of(' ') + 1);
    return clip(result, limit);
}

std::vector<std::string> lines_of(std::string_view text, size_t limit, size_t at_most) {
    std::vector<std::string> result;
    while (!text.empty() && result.size() < at_most) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string line = one_line(text.substr(0, end), limit);
        if (!line.empty()) result.push_back(std::move(line));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

size_t characters(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

std::string clip(std::string_view text, size_t limit) {
    if (characters(text) <= limit) return std::string(text);
    return std::string(head(text, limit < 3 ? 0 : limit - 3)) + "...";
}

std::vector<std::string> wrap(std::string_view text, size_t columns) {
    std::vector<std::string> result(1);
    size_t used = 0;
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        const size_t size = characters(word);
        if (used != 0 && used + 1 + size > columns) {
            result.emplace_back();
            used = 0;
        }
        if (used != 0) result.back() += ' ';
        result.back() += word;
        used += size + (used == 0 ? 0 : 1);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

std::string html_text(std::string_view text) {
    return replaced(text, [](char c) -> std::string_view {
        switch (c) {
            case '&':
                return "&amp;";
            case '<':
                return "&lt;";
            case '>':
                return "&gt;";
            case '"':
                return "&quot;";
            case '\'':
                return "&#39;";
            default:
                return {};
        }
    });
}

std::string markdown_text(std::string_view text) {
    std::string result;
    const auto inside_word = [text](size_t i) {
        const auto letter = [text](size_t at) {
            const char c = text[at];
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        };
        return i > 0 && i + 1 < text.size() && letter(i - 1) && letter(i + 1);
    };
    // Digits and a full stop at the start of a line make a list; a hyphen, a plus and others make something too.
    const size_t number = std::min(text.find_first_not_of("0123456789"), text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '&' || c == '<' || c == '>') {
            result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : "&gt;";
        } else if (c == '@') {
            result += "&#64;";
        } else if (text.substr(i).starts_with("://")) {
            result += "&#58;";
        } else if (c == '.' && i >= 3 && (text[i - 1] == 'w' || text[i - 1] == 'W')) {
            result += "&#46;";
        } else {
            const bool markup = std::string_view("\\`*[]|~$").find(c) != std::string_view::npos;
            if (markup || (c == '_' && !inside_word(i)) ||
                (i == 0 && std::string_view("-+#=").find(c) != std::string_view::npos) ||
                ((c == '.' || c == ')') && i == number))
                result += '\\';
            result += c;
        }
    }
    return result;
}

std::string slack_text(std::string_view text) {
    return replaced(text, [](char c) -> std::string_view {
        return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string_view();
    });
}

bool is_web_address(std::string_view text) {
    if (!text.starts_with("https://") && !text.starts_with("http://")) return false;
    return text.size() <= 2000 && std::ranges::all_of(text, [](char c) {
               return c > ' ' && c < 0x7f && std::string_view("\"'<>\\^`{|}").find(c) == std::string_view::npos;
           });
}

}  // namespace raxx::notify
