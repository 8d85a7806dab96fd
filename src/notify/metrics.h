// What this process has done, and what waits in the database, in Prometheus's text format; served over HTTP on an
// address of this machine. A scrape never asks the database: what it says of queues is as old as the last look.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "notify/database.h"

namespace raxx::notify {

class Metrics {
  public:
    // What became of an attempt: delivered, found, retried, dead or lease_lost.
    void count(const std::string& channel, const std::string& outcome);
    void count_repeat(const std::string& channel);
    void observe(const std::string& channel, std::chrono::duration<double> took);
    void set_health(std::vector<ChannelHealth> health, size_t unserved);
    void set_digest(std::chrono::system_clock::time_point at) {
        digest_ = std::chrono::system_clock::to_time_t(at);
    }
    void set_connected(bool connected) { connected_ = connected; }

    [[nodiscard]] std::string text() const;

  private:
    static constexpr std::array<double, 9> kBounds = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 20};
    struct Histogram {
        std::array<int64_t, kBounds.size()> counts = {};  // not added up yet
        int64_t all = 0;
        double sum = 0;
    };

    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, int64_t> deliveries_;
    std::map<std::string, int64_t> repeats_;
    std::map<std::string, Histogram> seconds_;
    std::vector<ChannelHealth> health_;
    size_t unserved_ = 0;
    std::atomic<int64_t> digest_ = 0;
    std::atomic<bool> connected_ = false;
};

class MetricsServer {
  public:
    // Throws std::runtime_error if the address cannot be had. With port 0, the system chooses one.
    MetricsServer(const Metrics& metrics, const std::string& host, int port);
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;
    ~MetricsServer();
    [[nodiscard]] int port() const { return port_; }

  private:
    struct Server;
    std::unique_ptr<Server> server_;
    std::thread thread_;
    int port_ = 0;
};

}  // namespace raxx::notify
