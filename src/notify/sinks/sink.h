// Where deliveries go. A sink sends one message and says what became of it; it throws nothing that happens outside
// this process. It is used by one thread only.
#pragma once

#include <memory>
#include <string>

#include "notify/configuration.h"
#include "notify/delivery.h"

namespace raxx::notify {

class Sink {
  public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;

    virtual Outcome send(const Delivery& delivery) = 0;
    // Whether the counterpart would take a message to this address, as far as can be told without sending one;
    // empty: it would.
    [[nodiscard]] virtual std::string check(const std::string& address) = 0;
};

std::unique_ptr<Sink> make_slack(const SlackSettings& settings, const NetworkSettings& network);
std::unique_ptr<Sink> make_webhook(const std::map<std::string, WebhookSettings>& endpoints,
                                   const NetworkSettings& network);
std::unique_ptr<Sink> make_mail(const MailSettings& settings, const NetworkSettings& network);
std::unique_ptr<Sink> make_markdown_log(const MarkdownSettings& settings);
std::unique_ptr<Sink> make_standard_output();

// Why this configuration does not serve a channel of that kind and address; empty: it does.
std::string not_served(const Configuration& configuration, const std::string& kind, const std::string& address);
// For a channel that is served.
std::unique_ptr<Sink> make_sink(const Configuration& configuration, const std::string& kind);

}  // namespace raxx::notify
