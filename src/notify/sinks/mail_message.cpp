#include "notify/sinks/mail_message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/hmac.h"
#include "notify/log.h"

namespace raxx::notify {
namespace {

constexpr size_t kEncodedBytes = 42;  // of text in one encoded word: with its frame less than 75 characters
constexpr size_t kMostHeader = 600;
constexpr size_t kFoldAt = 70;

bool is_plain(char character) { return character >= ' ' && character <= '~'; }

// Where a piece of at most that many bytes ends, not within a character.
size_t piece_end(std::string_view text, size_t begin, size_t most) {
    size_t end = std::min(begin + most, text.size());
    if (end == text.size()) return end;
    size_t whole = end;
    while (whole > begin && (static_cast<unsigned char>(text[whole]) & 0xc0U) == 0x80) --whole;
    return whole > begin ? whole : end;
}

std::string encoded(std::string_view text) {
    std::string result;
    for (size_t at = 0; at < text.size();) {
        const size_t end = piece_end(text, at, kEncodedBytes);
        if (!result.empty()) result += "\r\n ";
        result += fmt::format("=?utf-8?B?{}?=", base64(text.substr(at, end - at)));
        at = end;
    }
    return result;
}

std::string folded(const std::string& text) {
    std::string result;
    size_t column = 0;
    for (const char character : text) {
        if (character == ' ' && column >= kFoldAt) {
            result += "\r\n";
            column = 0;
        }
        result += character;
        ++column;
    }
    return result;
}

}  // namespace

std::string base64(std::string_view text) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (size_t at = 0; at < text.size(); at += 3) {
        uint32_t group = 0;
        for (size_t i = 0; i < 3; ++i) {
            group = (group << 8U) | (at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U);
        }
        for (size_t i = 0; i < 4; ++i) {
            result += at + i <= text.size() ? kDigits[(group >> (18U - 6U * i)) & 0x3fU] : '=';
        }
    }
    return result;
}

std::string recipient(const MailSettings& settings, const std::string& address) {
    const std::string whole = address.ends_with("@") ? address + settings.domain : address;
    return is_mail_address(whole) ? whole : "";
}

std::string header_text(std::string_view text) {
    std::string line;
    for (const char character : text.substr(0, piece_end(text, 0, kMostHeader))) {
        const auto byte = static_cast<unsigned char>(character);
        const bool control = byte < 0x20 || byte == 0x7f;
        if (control && line.ends_with(' ')) continue;
        line += control ? ' ' : character;
    }
    while (line.ends_with(' ')) line.pop_back();
    while (line.starts_with(' ')) line.erase(0, 1);
    const bool long_word = [&line] {
        size_t length = 0;
        for (const char character : line) {
            length = character == ' ' ? 0 : length + 1;
            if (length > 200) return true;
        }
        return false;
    }();
    if (std::all_of(line.begin(), line.end(), is_plain) && line.find("=?") == std::string::npos && !long_word)
        return folded(line);
    return encoded(line);
}

std::string message_id(const std::string& key, const std::string& domain) {
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    if (!key.empty() && key.size() <= 128 && std::all_of(key.begin(), key.end(), fits))
        return fmt::format("<{}@{}>", key, domain);
    std::array<unsigned char, kMacSize> digest = {};
    sha256({reinterpret_cast<const unsigned char*>(key.data()), static_cast<uint32_t>(key.size())}, digest.data());
    std::string hex;
    for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
    return fmt::format("<{}@{}>", hex, domain);
}

bool is_message_id(const std::string& text) {
    return text.size() > 4 && text.size() < 400 && text.front() == '<' && text.back() == '>' &&
           std::count(text.begin(), text.end(), '@') == 1 && std::count(text.begin(), text.end(), '<') == 1 &&
           std::count(text.begin(), text.end(), '>') == 1 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::string header_date(int64_t time) {
    return fmt::format("{:%a, %d %b %Y %H:%M:%S} +0000", fmt::gmtime(static_cast<std::time_t>(time)));
}

std::string with_crlf(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 40);
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\r') {
            if (at + 1 < text.size() && text[at + 1] == '\n') continue;
            result += "\r\n";
        } else if (text[at] == '\n') {
            result += "\r\n";
        } else {
            result += text[at];
        }
    }
    return result;
}

Outcome judge_mail(const MailTransfer& transfer) {
    if (transfer.ok) return Outcome::success();
    const char first = transfer.reply.empty() ? '\0' : transfer.reply.front();
    std::string error = transfer.error;
    if (first == '4' || first == '5') error += fmt::format(" ({})", printable(transfer.reply, 200));
    if (transfer.tls_failed) return Outcome::retry(error);
    if (first == '4') return Outcome::retry(error);
    if (first == '5') {
        Outcome outcome = Outcome::refused(error);
        outcome.channel_at_fault = transfer.login_denied;
        return outcome;
    }
    if (transfer.login_denied) {
        Outcome outcome = Outcome::refused(error);
        outcome.channel_at_fault = true;
        return outcome;
    }
    return transfer.data_started ? Outcome::uncertain(error) : Outcome::retry(error);
}

}  // namespace raxx::notify
