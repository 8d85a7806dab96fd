#include "notify/sinks/slack_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "notify/log.h"

namespace raxx::notify {
namespace {

using namespace std::string_view_literals;

// Errors after which Slack says that part of the work may have been done.
constexpr std::array kUncertain = {"fatal_error"sv, "internal_error"sv, "request_timeout"sv};
// Errors that pass by themselves.
constexpr std::array kTransient = {"ratelimited"sv,         "rate_limited"sv,      "message_limit_exceeded"sv,
                                   "service_unavailable"sv, "team_added_to_org"sv, "accesslimited"sv};
// Errors of the message, not of the channel or of the token.
constexpr std::array kOfTheMessage = {"msg_too_long"sv,
                                      "no_text"sv,
                                      "invalid_blocks"sv,
                                      "invalid_blocks_format"sv,
                                      "too_many_attachments"sv,
                                      "metadata_too_large"sv,
                                      "invalid_metadata_format"sv,
                                      "markdown_text_conflict"sv,
                                      "invalid_arguments"sv,
                                      "msg_blocks_too_long"sv};

template <size_t Size>
bool contains(const std::array<std::string_view, Size>& list, std::string_view item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

// What is the same whatever the request was: no answer, and HTTP's own errors. Nothing: the answer has to be read.
std::optional<Outcome> judge_transport(const HttpAnswer& answer) {
    if (!answer.complete()) {
        Outcome outcome = Outcome::retry(answer.error);
        outcome.maybe_sent = answer.sent;
        outcome.retry_after = answer.retry_after;
        return outcome;
    }
    if (answer.status == 429 || answer.status == 503) {
        Outcome outcome = Outcome::retry(fmt::format("HTTP status {}", answer.status));
        outcome.retry_after = answer.retry_after;
        outcome.channel_at_fault = answer.status != 429;
        return outcome;
    }
    if (answer.status >= 500) {
        Outcome outcome = Outcome::uncertain(fmt::format("HTTP status {}", answer.status));
        outcome.retry_after = answer.retry_after;
        return outcome;
    }
    return std::nullopt;
}

Outcome judge_error(const std::string& error, const HttpAnswer& answer) {
    const std::string text = "Slack says: " + printable(error, 100);
    if (contains(kUncertain, error)) return Outcome::uncertain(text);
    if (contains(kTransient, error)) {
        Outcome outcome = Outcome::retry(text);
        outcome.retry_after = answer.retry_after;
        outcome.channel_at_fault = !error.ends_with("limited");
        return outcome;
    }
    Outcome outcome = Outcome::refused(text);
    outcome.channel_at_fault = !contains(kOfTheMessage, error);
    return outcome;
}

json parsed(const HttpAnswer& answer) {
    if (answer.cut) return json::value_t::discarded;
    return json::parse(answer.body, nullptr, false);
}

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool says_ok(const json& body) {
    const auto ok = body.find("ok");
    return ok != body.end() && ok->is_boolean() && ok->get<bool>();
}

}  // namespace

Outcome judge_post(const HttpAnswer& answer) {
    if (auto outcome = judge_transport(answer)) return *outcome;
    const json body = parsed(answer);
    if (!body.is_object()) {
        if (answer.status >= 300) return Outcome::refused(fmt::format("HTTP status {}", answer.status));
        return Outcome::uncertain("Slack's answer is not JSON");
    }
    if (!says_ok(body)) {
        const std::string error = text_of(body, "error");
        if (error.empty()) return Outcome::uncertain("Slack's answer says neither ok nor an error");
        return judge_error(error, answer);
    }
    const std::string ts = text_of(body, "ts");
    const std::string channel = text_of(body, "channel");
    if (ts.empty() || channel.empty()) return Outcome::success();
    return Outcome::success({{"channel", printable(channel, 40)}, {"ts", printable(ts, 40)}});
}

Outcome judge_hook(const HttpAnswer& answer) {
    if (auto outcome = judge_transport(answer)) return *outcome;
    if (answer.status >= 200 && answer.status < 300) return Outcome::success();
    Outcome outcome =
        Outcome::refused(fmt::format("HTTP status {}: {}", answer.status, printable(answer.body, 100)));
    // 400 is about what was sent; 403, 404 and 410 are about the webhook or its channel.
    outcome.channel_at_fault = answer.status != 400 && answer.status != 413;
    return outcome;
}

HistoryPage judge_history(const HttpAnswer& answer) {
    HistoryPage page;
    if (auto outcome = judge_transport(answer)) {
        page.outcome = *outcome;
        return page;
    }
    const json body = parsed(answer);
    if (!body.is_object()) {
        page.outcome = Outcome::retry("Slack's history is not JSON");
        return page;
    }
    if (!says_ok(body)) {
        const std::string error = text_of(body, "error");
        page.no_scope = error == "missing_scope" || error == "not_allowed_token_type" ||
                        error == "thread_not_found" || error == "no_permission";
        page.outcome = error.empty() ? Outcome::retry("Slack's history says neither ok nor an error")
                                     : judge_error(error, answer);
        return page;
    }
    page.usable = true;
    if (const auto messages = body.find("messages"); messages != body.end() && messages->is_array())
        page.messages = *messages;
    if (const auto metadata = body.find("response_metadata"); metadata != body.end() && metadata->is_object()) {
        page.next = text_of(*metadata, "next_cursor");
    }
    return page;
}

json find_message(const json& messages, const std::string& key) {
    for (const json& message : messages) {
        if (!message.is_object()) continue;
        const auto metadata = message.find("metadata");
        if (metadata == message.end() || !metadata->is_object()) continue;
        const auto payload = metadata->find("event_payload");
        if (payload == metadata->end() || !payload->is_object()) continue;
        if (text_of(*payload, "idempotency_key") == key && !text_of(message, "ts").empty()) return message;
    }
    return nullptr;
}

}  // namespace raxx::notify
