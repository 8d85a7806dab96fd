// The parts of a mail that hostile texts must not break out of (headers, addresses, identifiers), and what a
// server's replies mean; apart from the sending.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "notify/configuration.h"
#include "notify/delivery.h"

namespace raxx::notify {

// Who gets it: the address, with the configured domain if it ends in "@"; empty if that is no mailbox.
std::string recipient(const MailSettings& settings, const std::string& address);

// A text of a header as one logical line of ASCII: control characters are spaces, anything beyond ASCII is encoded
// (RFC 2047), and lines are folded.
std::string header_text(std::string_view text);

// "<key@domain>", the same for every attempt, so that servers and readers recognize a repeat.
std::string message_id(const std::string& key, const std::string& domain);
// One that stands in a header as it is.
bool is_message_id(const std::string& text);

std::string base64(std::string_view text);

// RFC 5322, in UTC.
std::string header_date(int64_t time);

// Lines end in CR LF, and no CR stands alone.
std::string with_crlf(std::string_view text);

struct MailTransfer {
    bool ok = false;
    bool tls_failed = false;
    bool login_denied = false;
    std::string error;
    std::string reply;          // the server's last line
    bool data_started = false;  // it has asked for the message
};
Outcome judge_mail(const MailTransfer& transfer);

}  // namespace raxx::notify
