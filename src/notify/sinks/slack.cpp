// Slack: chat.postMessage with metadata, and incoming webhooks. Slack takes no idempotency key, so the key is in
// the message's metadata: before a possible repeat is sent, the channel's history is searched for it. An incoming
// webhook can neither be searched nor followed up in a thread.
#include <fmt/format.h>

#include <chrono>

#include "notify/http.h"
#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/sinks/hook_name.h"
#include "notify/sinks/sink.h"
#include "notify/sinks/slack_answer.h"

namespace raxx::notify {
namespace {

constexpr size_t kMostBlocks = 50;
constexpr size_t kMostText = 3000;
constexpr int kMostPages = 10;
constexpr size_t kLongestHistory = 8'000'000;
// A message is never older than this when it is tried again.
constexpr std::chrono::hours kHistory(24);

// For those who must not miss it, also where they muted the channel.
void push_to_everybody(json* message) {
    constexpr const char* kEverybody = "<!channel>";
    (*message)["text"] = std::string(kEverybody) + " " + message->value("text", "");
    auto blocks = message->find("blocks");
    if (blocks == message->end() || !blocks->is_array() || blocks->empty()) return;
    json& first = blocks->front();
    if (first.value("type", "") == "section" && first.contains("text") &&
        first["text"].value("type", "") == "mrkdwn" && first["text"].value("text", "").size() + 11 <= kMostText) {
        first["text"]["text"] = std::string(kEverybody) + " " + first["text"].value("text", "");
        return;
    }
    const json everybody = {{"type", "section"}, {"text", {{"type", "mrkdwn"}, {"text", kEverybody}}}};
    blocks->insert(blocks->begin(), everybody);
    if (blocks->size() > kMostBlocks) blocks->erase(blocks->size() - 1);
}

class Slack : public Sink {
  public:
    Slack(const SlackSettings& settings, const NetworkSettings& network)
        : settings_(settings), network_(network), http_(network) {}

    Outcome send(const Delivery& delivery) override {
        if (const auto hook = hook_name(delivery.address)) return send_to_hook(delivery, *hook);
        bool repeat = delivery.possible_repeat;
        if (repeat) {
            Search search = look_for(delivery);
            if (search.outcome) return *search.outcome;
            repeat = !search.whole;  // it is not there, so this is none
        }
        return judge_post(call("chat.postMessage", message_for(delivery, repeat)));
    }

    [[nodiscard]] std::string check(const std::string& address) override {
        if (hook_name(address)) return "";  // it cannot be asked without posting
        const HttpAnswer answer = call("auth.test", json::object());
        const Outcome outcome = judge_post(answer);
        return outcome.delivered ? "" : outcome.error;
    }

  private:
    struct Search {
        std::optional<Outcome> outcome;  // if nothing is to be sent now
        bool whole = false;              // all of it was searched, in vain
    };

    HttpAnswer call(const std::string& method, const json& arguments) const {
        HttpRequest request;
        request.url = settings_.api + "/" + method;
        request.headers = {fmt::format("Authorization: Bearer {}", settings_.token.reveal()),
                           "Content-Type: application/json; charset=utf-8"};
        request.body = arguments.dump(-1, ' ', false, json::error_handler_t::replace);
        return http_.send(request);
    }

    // Methods that read take no JSON, but a query.
    HttpAnswer history_page(const Delivery& delivery, const std::string& cursor, milliseconds timeout) const {
        const std::string thread = thread_of(delivery);
        const auto oldest = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - kHistory);
        HttpRequest request;
        request.url = fmt::format("{}/{}?channel={}&include_all_metadata=true&limit=100&oldest={}", settings_.api,
                                  thread.empty() ? "conversations.history" : "conversations.replies",
                                  escaped(delivery.address), oldest);
        if (!thread.empty()) request.url += "&ts=" + escaped(thread);
        if (!cursor.empty()) request.url += "&cursor=" + escaped(cursor);
        request.headers = {fmt::format("Authorization: Bearer {}", settings_.token.reveal())};
        request.longest_answer = kLongestHistory;
        request.timeout = timeout;
        return http_.send(request);
    }

    static std::string escaped(const std::string& text) {
        std::string result;
        for (const char character : text) {
            const bool plain = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
                               (character >= '0' && character <= '9') || character == '.' || character == '-' ||
                               character == '_';
            if (plain) {
                result += character;
            } else {
                result += fmt::format("%{:02X}", static_cast<unsigned char>(character));
            }
        }
        return result;
    }

    // The message that this one follows; only in the same channel.
    static std::string thread_of(const Delivery& delivery) {
        if (!delivery.thread.is_object() || delivery.thread.value("channel", "") != delivery.address) return "";
        return delivery.thread.value("ts", "");
    }

    // All pages together take no longer than one request may.
    Search look_for(const Delivery& delivery) const {
        using std::chrono::steady_clock;
        const auto end = steady_clock::now() + network_.timeout;
        std::string cursor;
        for (int page_number = 0; page_number < kMostPages; ++page_number) {
            const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
            const HistoryPage page = judge_history(history_page(delivery, cursor, left));
            if (page.no_scope) {
                log(Level::warning, "history_unreadable",
                    {{"channel", delivery.channel}, {"delivery_id", delivery.id}, {"error", page.outcome.error}});
                return {};
            }
            if (!page.usable) {
                // What the earlier attempt did is as open as before.
                Outcome outcome = page.outcome;
                outcome.maybe_sent = true;
                return {outcome, false};
            }
            const json found = find_message(page.messages, delivery.key);
            if (!found.is_null()) {
                Outcome outcome = Outcome::success(
                    {{"channel", delivery.address}, {"ts", printable(found["ts"].get<std::string>(), 40)}});
                outcome.found = true;
                return {outcome, false};
            }
            if (page.next.empty()) return {std::nullopt, true};
            cursor = page.next;
        }
        return {};
    }

    static json message_for(const Delivery& delivery, bool repeat) {
        json message = slack(delivery.payload, repeat);
        if (delivery.push) push_to_everybody(&message);
        message["channel"] = delivery.address;
        message["unfurl_links"] = false;
        message["unfurl_media"] = false;
        json key = {{"idempotency_key", delivery.key}, {"delivery_id", delivery.id}};
        if (delivery.finding_id) key["finding_id"] = *delivery.finding_id;
        message["metadata"] = {{"event_type", "raxx_detect_finding"}, {"event_payload", key}};
        const std::string thread = thread_of(delivery);
        if (!thread.empty()) {
            message["thread_ts"] = thread;
            // What has become worse is not left to those who follow the thread.
            if (delivery.event == "escalated") message["reply_broadcast"] = true;
        }
        return message;
    }

    Outcome send_to_hook(const Delivery& delivery, const std::string& name) const {
        const auto hook = settings_.hooks.find(name);
        if (hook == settings_.hooks.end()) return Outcome::refused("there is no such webhook in the configuration");
        json message = slack(delivery.payload, delivery.possible_repeat);
        if (delivery.push) push_to_everybody(&message);
        HttpRequest request;
        request.url = std::string(hook->second.reveal());
        request.headers = {"Content-Type: application/json; charset=utf-8"};
        request.body = message.dump(-1, ' ', false, json::error_handler_t::replace);
        return judge_hook(http_.send(request));
    }

    SlackSettings settings_;
    NetworkSettings network_;
    Http http_;
};

}  // namespace

std::unique_ptr<Sink> make_slack(const SlackSettings& settings, const NetworkSettings& network) {
    return std::make_unique<Slack>(settings, network);
}

}  // namespace raxx::notify
