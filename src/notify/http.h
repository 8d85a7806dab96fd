// Requests over HTTP by libcurl, with what a program that tells strangers' texts to configured counterparts has to
// insist on: certificates are verified, redirects not followed, no other protocols, no proxy from the environment,
// a limit for the time and for the size of an answer. It says whether the counterpart may have got the request.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "notify/configuration.h"

namespace raxx::notify {

struct HttpRequest {
    std::string url;
    std::vector<std::string> headers;  // "Name: value"
    std::optional<std::string> body;   // with one it is a POST
    size_t longest_answer = 65'536;
    std::optional<milliseconds> timeout;  // other than the configured one
};

struct HttpAnswer {
    long status = 0;    // 0: there was none
    std::string body;   // as much of it as is wanted
    bool cut = false;   // there was more of it
    std::string error;  // why there is no (whole) answer
    bool sent = false;  // some of the request has gone out
    std::optional<milliseconds> retry_after;

    [[nodiscard]] bool complete() const { return error.empty(); }
};

class Http {
  public:
    explicit Http(NetworkSettings settings) : settings_(std::move(settings)) {}
    [[nodiscard]] HttpAnswer send(const HttpRequest& request) const;

  private:
    NetworkSettings settings_;
};

// Seconds, or an HTTP date (of which what has passed is 0); never more than an hour.
std::optional<milliseconds> parse_retry_after(std::string_view text, std::chrono::system_clock::time_point now);

}  // namespace raxx::notify
