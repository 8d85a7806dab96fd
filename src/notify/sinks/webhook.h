// What is signed, and what the answers of a webhook mean, apart from the sending.
#pragma once

#include <cstdint>
#include <string>

#include "notify/delivery.h"
#include "notify/http.h"

namespace raxx::notify {

// "t=TIME,v1=HEX": HMAC-SHA256, by the secret, of the time in seconds, a full stop, and the body.
std::string signature(const Secret& secret, int64_t time, const std::string& body);

Outcome judge_webhook(const HttpAnswer& answer);

}  // namespace raxx::notify
