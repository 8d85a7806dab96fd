// What Slack's answers mean, apart from the sending, so that it can be tested without a server.
#pragma once

#include "notify/delivery.h"
#include "notify/http.h"

namespace raxx::notify {

// Of chat.postMessage.
Outcome judge_post(const HttpAnswer& answer);
// Of an incoming webhook.
Outcome judge_hook(const HttpAnswer& answer);

// A page of conversations.history or conversations.replies.
struct HistoryPage {
    bool usable = false;    // false: nothing can be told from it, and the outcome says why
    bool no_scope = false;  // it may not be read with this token
    Outcome outcome;
    json messages = json::array();
    std::string next;  // the cursor of the next page; empty: there is none
};
HistoryPage judge_history(const HttpAnswer& answer);

// The message that carries the key, or null.
json find_message(const json& messages, const std::string& key);

}  // namespace raxx::notify
