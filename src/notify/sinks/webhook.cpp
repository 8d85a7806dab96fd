// A webhook: the finding as an OCSF Detection Finding in a POST with an Idempotency-Key, signed if the
// configuration has a secret for it. A channel's address is the name of an endpoint in the configuration: a row
// cannot name a URL.
#include "notify/sinks/webhook.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "core/hmac.h"
#include "notify/log.h"
#include "notify/render/render.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

Bytes bytes(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), static_cast<uint32_t>(text.size())};
}

// Only what can stand in a header.
std::string header_value(const std::string& text) {
    std::string result;
    for (const char character : text) {
        if (character > ' ' && character <= '~') result += character;
    }
    return result;
}

class Webhook : public Sink {
  public:
    Webhook(std::map<std::string, WebhookSettings> endpoints, const NetworkSettings& network)
        : endpoints_(std::move(endpoints)), http_(network) {}

    Outcome send(const Delivery& delivery) override {
        const auto found = endpoints_.find(delivery.address);
        if (found == endpoints_.end()) return Outcome::refused("there is no such webhook in the configuration");
        const WebhookSettings& endpoint = found->second;
        HttpRequest request;
        request.url = endpoint.url;
        request.body = ocsf(delivery.payload, delivery.possible_repeat, delivery.key)
                           .dump(-1, ' ', false, json::error_handler_t::replace);
        request.headers = {"Content-Type: application/json; charset=utf-8",
                           "Idempotency-Key: " + header_value(delivery.key)};
        if (!endpoint.bearer_token.empty())
            request.headers.push_back(fmt::format("Authorization: Bearer {}", endpoint.bearer_token.reveal()));
        if (!endpoint.signing_secret.empty()) {
            const auto time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
            request.headers.push_back("X-Raxx-Signature: " +
                                      signature(endpoint.signing_secret, time, *request.body));
        }
        return judge_webhook(http_.send(request));
    }

    // Any answer will do: what it says to a request that is no message tells nothing.
    [[nodiscard]] std::string check(const std::string& address) override {
        HttpRequest request;
        request.url = endpoints_.at(address).url;
        const HttpAnswer answer = http_.send(request);
        return answer.status != 0 ? "" : answer.error;
    }

  private:
    std::map<std::string, WebhookSettings> endpoints_;
    Http http_;
};

}  // namespace

std::string signature(const Secret& secret, int64_t time, const std::string& body) {
    HmacKey key;
    set_hmac_key(&key, bytes(secret.reveal()));
    unsigned char mac[kMacSize];
    const std::string stamp = fmt::format("{}.", time);
    hmac(key, {bytes(stamp), bytes(body)}, mac);
    wipe(&key, sizeof key);
    std::string result = fmt::format("t={},v1=", time);
    for (const unsigned char byte : mac) result += fmt::format("{:02x}", byte);
    return result;
}

Outcome judge_webhook(const HttpAnswer& answer) {
    if (answer.complete() && answer.status >= 200 && answer.status < 300) return Outcome::success();
    if (!answer.complete()) {
        Outcome outcome = Outcome::retry(answer.error);
        outcome.maybe_sent = answer.sent;
        return outcome;
    }
    const std::string error = fmt::format("HTTP status {}", answer.status);
    const bool later = answer.status == 408 || answer.status == 425 || answer.status == 429 || answer.status >= 500;
    // Redirects are not followed: whoever answers may not send the message elsewhere.
    Outcome outcome = later ? Outcome::retry(error) : Outcome::refused(error);
    outcome.retry_after = answer.retry_after;
    // A gateway that gave up does not know what became of the request.
    outcome.maybe_sent = answer.status == 408 || answer.status == 502 || answer.status == 504;
    outcome.channel_at_fault = answer.status >= 500 || answer.status == 401 || answer.status == 403 ||
                               answer.status == 404 || answer.status == 408 ||
                               (answer.status >= 300 && answer.status < 400);
    return outcome;
}

std::unique_ptr<Sink> make_webhook(const std::map<std::string, WebhookSettings>& endpoints,
                                   const NetworkSettings& network) {
    return std::make_unique<Webhook>(endpoints, network);
}

}  // namespace raxx::notify
