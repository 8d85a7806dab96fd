// What there is to deliver, as claim_deliveries returns it, and what became of it, as mark_delivered and
// mark_failed want to know it.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace raxx::notify {

using json = nlohmann::json;
using std::chrono::milliseconds;

// Moving JSON checks the JSON, but does not throw.
// NOLINTBEGIN(bugprone-exception-escape)
struct Delivery {
    int64_t id = 0;
    std::string lease;
    std::optional<int64_t> finding_id;
    std::string channel;
    std::string kind;
    std::string address;
    std::string event;
    std::string severity;
    bool push = false;
    json payload;
    std::string key;  // the idempotency key
    json thread;      // what the first message of the finding got as `provider`; null if there was none
    int attempt = 0;
    bool possible_repeat = false;
};

struct Outcome {
    bool delivered = false;
    json provider;                            // what later messages of the finding need, to follow this one
    bool found = false;                       // an earlier attempt had got there: nothing was sent
    std::string error;                        // what went wrong, for people
    bool permanent = false;                   // never to be tried again
    bool maybe_sent = false;                  // the counterpart may have taken it
    std::optional<milliseconds> retry_after;  // not before
    bool channel_at_fault = true;             // and not this message

    static Outcome success(json provider_of_it = nullptr) {
        Outcome outcome;
        outcome.delivered = true;
        outcome.provider = std::move(provider_of_it);
        return outcome;
    }
    static Outcome retry(std::string why) {
        Outcome outcome;
        outcome.error = std::move(why);
        return outcome;
    }
    // After this the next attempt is a possible repeat.
    static Outcome uncertain(std::string why) {
        Outcome outcome = retry(std::move(why));
        outcome.maybe_sent = true;
        return outcome;
    }
    // It is the message that is refused, not the channel that fails.
    static Outcome refused(std::string why) {
        Outcome outcome = retry(std::move(why));
        outcome.permanent = true;
        outcome.channel_at_fault = false;
        return outcome;
    }
};

// NOLINTEND(bugprone-exception-escape)

}  // namespace raxx::notify
