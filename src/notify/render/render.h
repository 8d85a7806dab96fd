// What people and machines read: a payload, frozen when its delivery was made, as text, mail, Slack message, log
// entry and OCSF event. Pure: no clock, no locale, no file but the fonts that charts are written with. Every text
// in a payload may be hostile; what comes out is escaped for its place and bounded. Fields that are missing or of a
// wrong type are left out; std::runtime_error names "version" or "event" if they are.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace raxx::notify {

using json = nlohmann::json;

struct Picture {
    std::string content_id;  // without the angle brackets
    std::string png;
};

struct Mail {
    std::string subject;  // UTF-8, without line breaks; not encoded for a header
    std::string text;
    std::string html;
    std::vector<Picture> pictures;  // at most 20
};

// One line, plain.
[[nodiscard]] std::string headline(const json& payload);
[[nodiscard]] std::string plain_text(const json& payload, bool possible_repeat);
[[nodiscard]] Mail mail(const json& payload, bool possible_repeat);
// {"text": ..., "blocks": [...]}, within Slack's limits.
[[nodiscard]] json slack(const json& payload, bool possible_repeat);
// An entry of a log file. Its first line is an HTML comment with the key.
[[nodiscard]] std::string markdown(const json& payload, bool possible_repeat, const std::string& key);
// A Detection Finding of OCSF 1.3.
[[nodiscard]] json ocsf(const json& payload, bool possible_repeat, const std::string& key);

}  // namespace raxx::notify
