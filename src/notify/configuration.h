// The configuration: a TOML file, in which every key that is unknown, of the wrong type or out of range is an error
// that names file, line and key. Secrets are not in it, but the names of the variables or files that hold them.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "notify/secrets.h"

namespace raxx::notify {

using std::chrono::milliseconds;

struct ConfigurationError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct DatabaseSettings {
    std::string connection;  // a connection string of libpq
    Secret password;
    milliseconds connect_timeout{5'000};
    milliseconds statement_timeout{30'000};
};

struct ServiceSettings {
    std::string name;  // who claims; empty: the host's name
    milliseconds poll{15'000};
    milliseconds lease{120'000};
    bool digest = true;
    std::string metrics_host;  // empty: no metrics
    int metrics_port = 0;
    std::vector<std::string> channels;  // the only ones served; empty: all that can be
};

// How counterparts are talked to.
struct NetworkSettings {
    milliseconds connect_timeout{5'000};
    milliseconds timeout{20'000};  // of the whole
    std::string ca_file;           // empty: the system's
};

struct SlackSettings {
    std::string api = "https://slack.com/api";
    Secret token;
    std::map<std::string, Secret> hooks;  // incoming webhooks: their URLs are secrets
};

struct WebhookSettings {
    std::string url;
    Secret signing_secret;
    Secret bearer_token;
};

enum class MailTls { starttls, tls, none };

struct MailSettings {
    std::string host;
    int port = 587;
    MailTls tls = MailTls::starttls;
    std::string user;
    Secret password;
    std::string from_name;
    std::string from;    // an address
    std::string domain;  // of addresses that end in "@"; empty: that of `from`
};

struct MarkdownSettings {
    std::string root;
};

struct Configuration {
    DatabaseSettings database;
    ServiceSettings service;
    NetworkSettings network;
    std::optional<SlackSettings> slack;
    std::map<std::string, WebhookSettings> webhooks;
    std::optional<MailSettings> mail;
    std::optional<MarkdownSettings> markdown;
    bool standard_output = false;         // channels of kind stdout are served
    bool all_to_standard_output = false;  // --stdout
};

// Throws a ConfigurationError.
Configuration read_configuration(const std::string& path);
// For tests: the text of a file of that name.
Configuration parse_configuration(const std::string& text, const std::string& path);

// "250ms", "30s", "2m", "1h"; nothing if it is none of these.
std::optional<milliseconds> parse_duration(const std::string& text);
// One mailbox without a name, in plain ASCII, fit for a header and for SMTP.
bool is_mail_address(const std::string& text);

}  // namespace raxx::notify
