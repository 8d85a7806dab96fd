// A thread for each channel, so that one that is slow or dead delays no other: it claims one delivery, sends it,
// says what became of it, and looks for the next. Nothing is claimed before it can be sent, so that a process that
// dies leaves one message per channel in doubt, and memory holds one, however many wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "notify/database.h"
#include "notify/metrics.h"
#include "notify/sinks/sink.h"
#include "notify/watchdog.h"

namespace raxx::notify {

// What all threads of a session share; all of it outlives them.
struct Shared {
    const Configuration& configuration;
    Database& database;
    Metrics& metrics;
    Watchdog& watchdog;
    bool once = false;                 // end when nothing is due any more
    std::atomic<bool> failed = false;  // something was not delivered
};

class ChannelWorker {
  public:
    ChannelWorker(Channel channel, Shared* shared);
    ChannelWorker(const ChannelWorker&) = delete;
    ChannelWorker& operator=(const ChannelWorker&) = delete;
    ~ChannelWorker();

    [[nodiscard]] const Channel& channel() const { return channel_; }
    [[nodiscard]] bool done() const { return done_; }
    // There may be something to claim.
    void wake();
    // To end when what is being sent is sent and marked; the destructor waits for it.
    void stop();

  private:
    using Time = std::chrono::steady_clock::time_point;

    void loop();
    std::optional<milliseconds> turn();
    std::optional<milliseconds> pause_of_idle();
    void deliver(const Delivery& delivery, Time lease_end);
    Outcome attempt(const Delivery& delivery);
    static Outcome too_late();
    void settle(const Delivery& delivery, const Outcome& outcome, Time lease_end);
    void mark(const Delivery& delivery, const Outcome& outcome);
    void report(const Delivery& delivery, const Outcome& outcome, const std::string& became);
    void wait(milliseconds pause);
    [[nodiscard]] bool stopping() const { return stopping_; }

    Channel channel_;
    Shared* shared_;
    std::unique_ptr<Sink> sink_;
    std::shared_ptr<Promise> promise_;
    Backoff backoff_;
    int idle_turns_ = 0;
    bool retried_ = false;  // something is left for another attempt

    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> done_ = false;
    std::thread thread_;
};

}  // namespace raxx::notify
