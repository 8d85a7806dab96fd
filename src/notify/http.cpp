#include "notify/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "notify/curl_handle.h"
#include "notify/log.h"

namespace raxx::notify {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

constexpr seconds kLongestWait(3600);

struct Receiving {
    HttpAnswer* answer;
    size_t most;
};

size_t on_body(char* data, size_t size, size_t count, void* context) {
    auto* receiving = static_cast<Receiving*>(context);
    std::string& body = receiving->answer->body;
    const size_t bytes = size * count;
    const size_t wanted = std::min(bytes, receiving->most - body.size());
    body.append(data, wanted);
    if (wanted < bytes) receiving->answer->cut = true;
    return wanted;  // less than what came ends the transfer
}

std::string_view trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

size_t on_header(char* data, size_t size, size_t count, void* context) {
    constexpr std::string_view kName = "retry-after:";
    auto* answer = static_cast<HttpAnswer*>(context);
    const std::string_view line(data, size * count);
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; };
    if (line.size() > kName.size() &&
        std::equal(kName.begin(), kName.end(), line.begin(), [&](char b, char a) { return same(a, b); })) {
        answer->retry_after = parse_retry_after(trimmed(line.substr(kName.size())), system_clock::now());
    }
    return line.size();
}

}  // namespace

std::optional<milliseconds> parse_retry_after(std::string_view text, system_clock::time_point now) {
    text = trimmed(text);
    if (text.empty()) return std::nullopt;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end == text.data() + text.size()) {
        if (error == std::errc::result_out_of_range && text.front() != '-') return kLongestWait;
        if (error != std::errc() || number < 0) return std::nullopt;
        return std::min<seconds>(seconds(number), kLongestWait);
    }
    const time_t date = curl_getdate(std::string(text).c_str(), nullptr);
    if (date < 0) return std::nullopt;
    const auto wait = std::chrono::ceil<seconds>(system_clock::from_time_t(date) - now);
    return std::clamp<seconds>(wait, seconds(0), kLongestWait);
}

HttpAnswer Http::send(const HttpRequest& request) const {
    HttpAnswer answer;
    Receiving receiving{&answer, request.longest_answer};
    const CurlHandle handle = new_curl(settings_, "http,https");
    CURL* curl = handle.get();
    CurlList headers;
    for (const std::string& header : request.headers) append(&headers, header);
    append(&headers, "Expect:");
    char error[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "raxx-notify");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiving);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    if (request.timeout)
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                         static_cast<long>(std::max<int64_t>(1, request.timeout->count())));
    if (request.body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body->data());
    }
    const CURLcode code = curl_easy_perform(curl);
    long sent = 0;
    curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    answer.sent = sent > 0;
    if (code != CURLE_OK && !answer.cut) {
        answer.error = printable(*error != '\0' ? error : curl_easy_strerror(code));
    }
    return answer;
}

}  // namespace raxx::notify
