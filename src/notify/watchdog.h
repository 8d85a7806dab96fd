// The tie to systemd: readiness, a line of status, and a watchdog that beats only while every thread keeps its
// promises. A thread that begins something promises to be back within a time; one that does not come back stops the
// beat.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace raxx::notify {

class Promise {
  public:
    void back_within(std::chrono::milliseconds time);
    // Nobody waits for this one any more.
    void release() { until_ = kNever; }
    [[nodiscard]] bool broken() const;

  private:
    static constexpr int64_t kNever = INT64_MAX;
    std::atomic<int64_t> until_ = kNever;  // milliseconds of the steady clock
};

class Watchdog {
  public:
    Watchdog();
    std::shared_ptr<Promise> new_promise();
    // How often to beat; 0: there is no watchdog.
    [[nodiscard]] std::chrono::milliseconds interval() const { return interval_; }
    // Tells systemd that all is well, if it is; whether it is.
    bool beat();

    static void ready();
    static void reloading();
    static void stopping();
    static void status(const std::string& text);

  private:
    std::chrono::milliseconds interval_{0};
    std::mutex mutex_;
    std::vector<std::weak_ptr<Promise>> promises_;
    bool well_ = true;
};

}  // namespace raxx::notify
