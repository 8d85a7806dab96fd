#include "notify/metrics.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace raxx::notify {
namespace {

std::string label(std::string_view text) {
    std::string result;
    for (const char character : text) {
        if (character == '\n') {
            result += R"(\n)";
            continue;
        }
        if (character == '"' || character == '\\') result += '\\';
        result += character;
    }
    return result;
}

std::string head(const char* name, const char* type, const char* help) {
    return fmt::format("# HELP raxx_notify_{0} {2}\n# TYPE raxx_notify_{0} {1}\n", name, type, help);
}

int state_of(const std::string& breaker) {
    if (breaker == "open") return 2;
    return breaker == "half-open" ? 1 : 0;
}

template <class Value>
std::string gauges(const char* name, const char* help, const std::vector<ChannelHealth>& health, Value&& value_of) {
    std::string text = head(name, "gauge", help);
    for (const ChannelHealth& channel : health) {
        text +=
            fmt::format("raxx_notify_{}{{channel=\"{}\"}} {}\n", name, label(channel.channel), value_of(channel));
    }
    return text;
}

}  // namespace

void Metrics::count(const std::string& channel, const std::string& outcome) {
    const std::lock_guard lock(mutex_);
    ++deliveries_[{channel, outcome}];
}

void Metrics::count_repeat(const std::string& channel) {
    const std::lock_guard lock(mutex_);
    ++repeats_[channel];
}

void Metrics::observe(const std::string& channel, std::chrono::duration<double> took) {
    const std::lock_guard lock(mutex_);
    Histogram& histogram = seconds_[channel];
    ++histogram.all;
    histogram.sum += took.count();
    const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), took.count());
    if (bound != kBounds.end()) ++histogram.counts[static_cast<size_t>(bound - kBounds.begin())];
}

void Metrics::set_health(std::vector<ChannelHealth> health, size_t unserved) {
    const std::lock_guard lock(mutex_);
    health_ = std::move(health);
    unserved_ = unserved;
}

std::string Metrics::text() const {
    const std::lock_guard lock(mutex_);
    std::string text = head("build_info", "gauge", "The version.");
    text += fmt::format("raxx_notify_build_info{{version=\"{}\"}} 1\n", RAXX_VERSION);
    text += head("database_connected", "gauge", "Whether there is a connection to the database.");
    text += fmt::format("raxx_notify_database_connected {}\n", connected_ ? 1 : 0);
    text += head("deliveries_total", "counter", "Attempts by what became of them.");
    for (const auto& [key, count] : deliveries_) {
        text += fmt::format("raxx_notify_deliveries_total{{channel=\"{}\",outcome=\"{}\"}} {}\n", label(key.first),
                            key.second, count);
    }
    text += head("possible_repeats_total", "counter",
                 "Messages that were sent though an earlier attempt may have arrived.");
    for (const auto& [channel, count] : repeats_) {
        text += fmt::format("raxx_notify_possible_repeats_total{{channel=\"{}\"}} {}\n", label(channel), count);
    }
    text += head("send_seconds", "histogram", "How long attempts took.");
    for (const auto& [channel, histogram] : seconds_) {
        int64_t below = 0;
        for (size_t i = 0; i < kBounds.size(); ++i) {
            below += histogram.counts[i];
            text += fmt::format("raxx_notify_send_seconds_bucket{{channel=\"{}\",le=\"{}\"}} {}\n", label(channel),
                                kBounds[i], below);
        }
        text += fmt::format("raxx_notify_send_seconds_bucket{{channel=\"{}\",le=\"+Inf\"}} {}\n", label(channel),
                            histogram.all);
        text += fmt::format("raxx_notify_send_seconds_sum{{channel=\"{}\"}} {}\n", label(channel), histogram.sum);
        text += fmt::format("raxx_notify_send_seconds_count{{channel=\"{}\"}} {}\n", label(channel), histogram.all);
    }
    text +=
        gauges("queue_pending", "Deliveries that wait.", health_, [](const ChannelHealth& c) { return c.pending; });
    text += gauges("queue_sending", "Deliveries that somebody has claimed.", health_,
                   [](const ChannelHealth& c) { return c.sending; });
    text += gauges("queue_oldest_seconds", "How long the oldest one waits.", health_,
                   [](const ChannelHealth& c) { return c.oldest_pending_seconds; });
    text += gauges("breaker", "The circuit breaker: 0 closed, 1 half-open, 2 open.", health_,
                   [](const ChannelHealth& c) { return state_of(c.breaker); });
    text += head("channels_unserved", "gauge", "Enabled channels that this process cannot serve.");
    text += fmt::format("raxx_notify_channels_unserved {}\n", unserved_);
    text += head("last_digest_timestamp_seconds", "gauge", "When this process made a digest; 0: not yet.");
    text += fmt::format("raxx_notify_last_digest_timestamp_seconds {}\n", digest_.load());
    return text;
}

struct MetricsServer::Server {
    httplib::Server http;
    std::atomic<bool> ended = false;
};

MetricsServer::MetricsServer(const Metrics& metrics, const std::string& host, int port)
    : server_(std::make_unique<Server>()) {
    httplib::Server& http = server_->http;
    http.new_task_queue = [] { return new httplib::ThreadPool(2); };
    http.set_payload_max_length(1024);
    http.set_read_timeout(5, 0);
    http.set_write_timeout(5, 0);
    http.set_keep_alive_max_count(1);
    // Not SO_REUSEPORT, by which two processes would share an address without knowing.
    http.set_socket_options([](socket_t socket) {
        const int yes = 1;
        (void)setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    http.Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& response) {
        response.set_content(metrics.text(), "text/plain; version=0.0.4; charset=utf-8");
    });
    port_ = port == 0 ? http.bind_to_any_port(host) : port;
    if (port == 0 ? port_ <= 0 : !http.bind_to_port(host, port)) {
        throw std::runtime_error(fmt::format("cannot serve metrics on {}:{}", host, port));
    }
    thread_ = std::thread([this] {
        (void)server_->http.listen_after_bind();
        server_->ended = true;
    });
    // A server that is stopped before it listens would never stop.
    while (!http.is_running() && !server_->ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

MetricsServer::~MetricsServer() {
    server_->http.stop();
    thread_.join();
}

}  // namespace raxx::notify
