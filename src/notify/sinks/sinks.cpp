// Which channels a configuration serves, and by which sink.
#include <fmt/format.h>

#include <stdexcept>

#include "notify/log.h"
#include "notify/sinks/hook_name.h"
#include "notify/sinks/log_file.h"
#include "notify/sinks/mail_message.h"
#include "notify/sinks/sink.h"

namespace raxx::notify {
namespace {

std::string slack_not_served(const Configuration& configuration, const std::string& address) {
    if (!configuration.slack) return "[slack] is not configured";
    if (const auto hook = hook_name(address)) {
        if (configuration.slack->hooks.contains(*hook)) return "";
        return fmt::format("there is no [slack.hooks.{}]", printable(*hook, 60));
    }
    return configuration.slack->token.empty() ? "[slack] has no token" : "";
}

std::string mail_not_served(const Configuration& configuration, const std::string& address) {
    if (!configuration.mail) return "[mail] is not configured";
    return recipient(*configuration.mail, address).empty() ? "its address is not that of a mailbox" : "";
}

}  // namespace

std::string not_served(const Configuration& configuration, const std::string& kind, const std::string& address) {
    if (configuration.all_to_standard_output) return "";
    if (kind == "slack") return slack_not_served(configuration, address);
    if (kind == "mail") return mail_not_served(configuration, address);
    if (kind == "webhook") {
        return configuration.webhooks.contains(address)
                   ? ""
                   : fmt::format("there is no [webhook.{}]", printable(address, 60));
    }
    if (kind == "markdown") {
        if (!configuration.markdown) return "[markdown] is not configured";
        return folders_of(address) ? "" : "its address is not that of a folder below [markdown] root";
    }
    if (kind == "stdout") return configuration.standard_output ? "" : "[stdout] is not configured";
    return fmt::format("there is no such kind of channel: {}", printable(kind, 60));
}

std::unique_ptr<Sink> make_sink(const Configuration& configuration, const std::string& kind) {
    if (configuration.all_to_standard_output || kind == "stdout") return make_standard_output();
    if (kind == "slack") return make_slack(*configuration.slack, configuration.network);
    if (kind == "webhook") return make_webhook(configuration.webhooks, configuration.network);
    if (kind == "mail") return make_mail(*configuration.mail, configuration.network);
    if (kind == "markdown") return make_markdown_log(*configuration.markdown);
    throw std::logic_error("no sink for " + kind);
}

}  // namespace raxx::notify
