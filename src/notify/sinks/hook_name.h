// Addresses of Slack channels: a channel's id, or "hook:NAME" for an incoming webhook that the configuration names.
#pragma once

#include <optional>
#include <string>

namespace raxx::notify {

inline std::optional<std::string> hook_name(const std::string& address) {
    constexpr const char* kPrefix = "hook:";
    if (!address.starts_with(kPrefix)) return std::nullopt;
    return address.substr(5);
}

}  // namespace raxx::notify
