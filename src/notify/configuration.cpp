#include "notify/configuration.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "notify/log.h"

namespace raxx::notify {
namespace {

// A table of the file, which knows what has been asked for, so that the rest can be called unknown.
class Section {
  public:
    Section(const toml::table& table, std::string name, const std::string& file)
        : table_(table), name_(std::move(name)), file_(file) {}

    [[noreturn]] void fail(const std::string& key, const std::string& message) const {
        const toml::node* node = table_.get(key);
        const auto line = (node != nullptr ? node->source() : table_.source()).begin.line;
        throw ConfigurationError(fmt::format("{}:{}: {}: {}", file_, line, full(key), message));
    }

    [[nodiscard]] bool has(const std::string& key) const { return table_.contains(key); }

    std::optional<std::string> text(const std::string& key) {
        const toml::node* node = get(key);
        if (node == nullptr) return std::nullopt;
        if (!node->is_string()) fail(key, "has to be a text");
        std::string value = node->as_string()->get();
        if (value.empty()) fail(key, "is empty");
        // Nothing of this file may put lines into a header, a log or a protocol.
        if (std::any_of(value.begin(), value.end(), [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
            })) {
            fail(key, "has a control character in it");
        }
        return value;
    }

    std::string required_text(const std::string& key) {
        auto value = text(key);
        if (!value) fail(key, "is missing");
        return *value;
    }

    void flag(const std::string& key, bool* value) {
        const toml::node* node = get(key);
        if (node == nullptr) return;
        if (!node->is_boolean()) fail(key, "has to be true or false");
        *value = node->as_boolean()->get();
    }

    void duration(const std::string& key, milliseconds* value, milliseconds least, milliseconds most) {
        const auto given = text(key);
        if (!given) return;
        const auto parsed = parse_duration(*given);
        if (!parsed) fail(key, R"(is not a duration like "250ms", "30s", "2m" or "1h")");
        if (*parsed < least || *parsed > most) {
            fail(key, fmt::format("has to be between {} and {} ms", least.count(), most.count()));
        }
        *value = *parsed;
    }

    std::vector<std::string> texts(const std::string& key) {
        std::vector<std::string> result;
        const toml::node* node = get(key);
        if (node == nullptr) return result;
        if (!node->is_array()) fail(key, "has to be a list of texts");
        for (const toml::node& item : *node->as_array()) {
            if (!item.is_string()) fail(key, "has to be a list of texts");
            result.push_back(item.as_string()->get());
        }
        if (result.empty()) fail(key, "is empty");
        return result;
    }

    // From KEY_env or KEY_file.
    Secret secret(const std::string& key) {
        if (has(key)) {
            fail(key, fmt::format("secrets are not written here: use {0}_env, the name of an environment variable, "
                                  "or {0}_file, the name of a file",
                                  key));
        }
        const auto variable = text(key + "_env");
        const auto file = text(key + "_file");
        if (variable && file) fail(key + "_file", fmt::format("{}_env is given, too", key));
        try {
            if (variable) return secret_from_environment(*variable);
            if (file) return secret_from_file(*file);
        } catch (const SecretError& error) {
            fail(key + (variable ? "_env" : "_file"), error.what());
        }
        return {};
    }

    std::optional<Section> section(const std::string& key) {
        const toml::node* node = get(key);
        if (node == nullptr) return std::nullopt;
        if (!node->is_table()) fail(key, "has to be a table");
        return Section(*node->as_table(), full(key), file_);
    }

    [[nodiscard]] std::vector<std::string> keys() const {
        std::vector<std::string> result;
        for (const auto& [key, node] : table_) result.emplace_back(key.str());
        return result;
    }

    // Everything must have been asked for.
    void finish() const {
        for (const auto& [key, node] : table_) {
            if (!asked_.contains(std::string(key.str()))) fail(std::string(key.str()), "there is no such setting");
        }
    }

  private:
    const toml::node* get(const std::string& key) {
        asked_.insert(key);
        return table_.get(key);
    }
    [[nodiscard]] std::string full(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }

    const toml::table& table_;
    std::string name_;
    const std::string& file_;
    std::set<std::string> asked_;
};

struct Url {
    std::string scheme;
    std::string host;
    bool has_user = false;
};

std::optional<Url> parse_url(const std::string& text) {
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), &curl_url_cleanup);
    if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return std::nullopt;
    const auto part = [&url](CURLUPart which) {
        char* value = nullptr;
        if (curl_url_get(url.get(), which, &value, 0) != CURLUE_OK) return std::string();
        std::string result = value;
        curl_free(value);
        return result;
    };
    return Url{part(CURLUPART_SCHEME), part(CURLUPART_HOST), !part(CURLUPART_USER).empty()};
}

bool is_this_machine(const std::string& host) {
    return host == "localhost" || host == "[::1]" || host == "::1" || host.starts_with("127.");
}

// Why a URL is not to be used; empty if it is.
std::string wrong_url(const std::string& text) {
    const auto url = parse_url(text);
    if (!url || (url->scheme != "https" && url->scheme != "http")) return "is not a URL that begins with https://";
    if (url->has_user) return "has a user's name in it";
    if (url->scheme == "http" && !is_this_machine(url->host)) {
        return "has to begin with https://, since the way to it leaves this machine";
    }
    return "";
}

void read_database(Section section, DatabaseSettings* settings) {
    settings->connection = section.required_text("connection");
    if (settings->connection.find("password") != std::string::npos) {
        section.fail("connection", "has a password in it: use password_env or password_file");
    }
    settings->password = section.secret("password");
    section.duration("connect_timeout", &settings->connect_timeout, milliseconds(2'000), milliseconds(60'000));
    section.duration("statement_timeout", &settings->statement_timeout, milliseconds(1'000), milliseconds(300'000));
    section.finish();
}

void read_metrics(const Section& section, const std::string& text, ServiceSettings* settings) {
    const size_t colon = text.rfind(':');
    const std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
    const char* port = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
    const auto [end, error] = std::from_chars(port, text.data() + text.size(), settings->metrics_port);
    if (error != std::errc() || end != text.data() + text.size() || settings->metrics_port < 0 ||
        settings->metrics_port > 65535) {
        section.fail("metrics", R"(is not an address like "127.0.0.1:9187")");
    }
    if (!is_this_machine(host))
        section.fail("metrics", "has to be an address of this machine, like 127.0.0.1 or [::1]");
    settings->metrics_host = host == "[::1]" ? "::1" : host;
}

void read_service(Section section, ServiceSettings* settings) {
    settings->name = section.text("name").value_or("");
    section.duration("poll", &settings->poll, milliseconds(200), milliseconds(300'000));
    section.duration("lease", &settings->lease, milliseconds(2'000), milliseconds(1'800'000));
    section.flag("digest", &settings->digest);
    if (const auto metrics = section.text("metrics")) read_metrics(section, *metrics, settings);
    settings->channels = section.texts("channels");
    section.finish();
}

void read_network(Section section, NetworkSettings* settings) {
    section.duration("connect_timeout", &settings->connect_timeout, milliseconds(100), milliseconds(60'000));
    section.duration("timeout", &settings->timeout, milliseconds(500), milliseconds(300'000));
    settings->ca_file = section.text("ca_file").value_or("");
    section.finish();
}

SlackSettings read_slack(Section section) {
    SlackSettings settings;
    settings.api = section.text("api").value_or(settings.api);
    if (const std::string wrong = wrong_url(settings.api); !wrong.empty()) section.fail("api", wrong);
    while (settings.api.ends_with("/")) settings.api.pop_back();
    settings.token = section.secret("token");
    if (auto hooks = section.section("hooks")) {
        for (const std::string& name : hooks->keys()) {
            auto hook = hooks->section(name);
            const Secret url = hook->secret("url");
            if (url.empty()) hook->fail("url_file", "is missing (or url_env)");
            const std::string wrong = wrong_url(std::string(url.reveal()));
            if (!wrong.empty()) hook->fail(hook->has("url_env") ? "url_env" : "url_file", "what is there " + wrong);
            hook->finish();
            settings.hooks[name] = url;
        }
    }
    if (settings.token.empty() && settings.hooks.empty())
        section.fail("token_file", "is missing (or token_env, or hooks)");
    section.finish();
    return settings;
}

WebhookSettings read_webhook(Section section) {
    WebhookSettings settings;
    settings.url = section.required_text("url");
    if (const std::string wrong = wrong_url(settings.url); !wrong.empty()) section.fail("url", wrong);
    settings.signing_secret = section.secret("signing_secret");
    settings.bearer_token = section.secret("bearer_token");
    section.finish();
    return settings;
}

// "host" or "host:port".
void read_server(const Section& section, const std::string& text, MailSettings* settings) {
    settings->port = settings->tls == MailTls::tls ? 465 : 587;
    const size_t colon = text.rfind(':');
    settings->host = text.substr(0, colon);
    const auto url = parse_url("smtp://" + text);
    if (!url || url->has_user || url->host != settings->host)
        section.fail("server", R"(is not a server like "smtp.example.com:587")");
    if (colon == std::string::npos) return;
    const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), settings->port);
    if (error != std::errc() || end != text.data() + text.size() || settings->port < 1 || settings->port > 65535) {
        section.fail("server", "has a port that is none");
    }
}

MailSettings read_mail(Section section) {
    MailSettings settings;
    const std::string tls = section.text("tls").value_or("starttls");
    if (tls == "tls") {
        settings.tls = MailTls::tls;
    } else if (tls == "none") {
        settings.tls = MailTls::none;
    } else if (tls != "starttls") {
        section.fail("tls", R"(has to be "starttls", "tls" or "none")");
    }
    read_server(section, section.required_text("server"), &settings);
    settings.user = section.text("user").value_or("");
    settings.password = section.secret("password");
    if (settings.user.empty() != settings.password.empty()) {
        section.fail(settings.user.empty() ? "user" : "password_file",
                     "is missing: user and password belong together");
    }
    if (settings.tls == MailTls::none && !settings.user.empty() && !is_this_machine(settings.host)) {
        section.fail("tls", R"(is "none", and the password would leave this machine in the clear)");
    }
    settings.from = section.required_text("from");
    if (!is_mail_address(settings.from)) section.fail("from", R"(is not an address like "alerts@example.com")");
    settings.from_name = section.text("from_name").value_or("raxx_detect");
    settings.domain = section.text("domain").value_or(settings.from.substr(settings.from.find('@') + 1));
    if (!is_mail_address("x@" + settings.domain)) section.fail("domain", "is not a domain");
    section.finish();
    return settings;
}

MarkdownSettings read_markdown(Section section) {
    MarkdownSettings settings{section.required_text("root")};
    if (!settings.root.starts_with("/")) section.fail("root", "has to begin with a slash");
    section.finish();
    return settings;
}

void read_counterparts(Section* top, Configuration* configuration) {
    if (auto section = top->section("slack")) configuration->slack = read_slack(*section);
    if (auto section = top->section("webhook")) {
        for (const std::string& name : section->keys()) {
            const auto endpoint = section->section(name);
            if (endpoint) configuration->webhooks[name] = read_webhook(*endpoint);
        }
    }
    if (auto section = top->section("mail")) configuration->mail = read_mail(*section);
    if (auto section = top->section("markdown")) configuration->markdown = read_markdown(*section);
    if (auto section = top->section("stdout")) {
        configuration->standard_output = true;
        section->flag("enabled", &configuration->standard_output);
        section->finish();
    }
}

// A message must be able to fail and to be marked before its lease is over. Slack may be asked before it is told.
void check_lease(const Section& service, const Configuration& configuration) {
    const milliseconds needed = 2 * configuration.network.timeout + configuration.database.statement_timeout;
    if (configuration.service.lease < needed) {
        service.fail("lease",
                     fmt::format("has to be at least {} ms: twice network.timeout, and database.statement_timeout",
                                 needed.count()));
    }
}

}  // namespace

std::optional<milliseconds> parse_duration(const std::string& text) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || number < 0 || number > 1'000'000) return std::nullopt;
    const std::string_view unit(rest, static_cast<size_t>(end - rest));
    if (unit == "ms") return milliseconds(number);
    if (unit == "s") return std::chrono::seconds(number);
    if (unit == "m") return std::chrono::minutes(number);
    if (unit == "h") return std::chrono::hours(number);
    return std::nullopt;
}

bool is_mail_address(const std::string& text) {
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(".!#$%&'*+-/=?^_`{|}~@").find(c) != std::string_view::npos;
    };
    const size_t at = text.find('@');
    if (text.size() > 254 || at == std::string::npos || at == 0 || at != text.rfind('@')) return false;
    if (!std::all_of(text.begin(), text.end(), fits)) return false;
    const std::string_view domain = std::string_view(text).substr(at + 1);
    const auto in_domain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    };
    return !domain.empty() && domain.front() != '.' && domain.front() != '-' && domain.back() != '.' &&
           std::all_of(domain.begin(), domain.end(), in_domain);
}

Configuration parse_configuration(const std::string& text, const std::string& path) {
    toml::table table;
    try {
        table = toml::parse(text, path);
    } catch (const toml::parse_error& error) {
        throw ConfigurationError(fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
    }
    Configuration configuration;
    Section top(table, "", path);
    auto database = top.section("database");
    if (!database) top.fail("database", "is missing");
    read_database(*database, &configuration.database);
    const toml::table none;
    const Section service = top.section("service").value_or(Section(none, "service", path));
    read_service(service, &configuration.service);
    if (auto section = top.section("network")) read_network(*section, &configuration.network);
    read_counterparts(&top, &configuration);
    top.finish();
    check_lease(service, configuration);
    return configuration;
}

Configuration read_configuration(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) throw ConfigurationError(fmt::format("{}: cannot be read", path));
    return parse_configuration(text.str(), path);
}

}  // namespace raxx::notify
