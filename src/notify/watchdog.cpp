#include "notify/watchdog.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <ctime>

#include "notify/log.h"

namespace raxx::notify {
namespace {

int64_t now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Without systemd there is nobody to tell, which is fine.
void tell(const std::string& state) { (void)sd_notify(0, state.c_str()); }

}  // namespace

void Promise::back_within(std::chrono::milliseconds time) { until_ = now() + time.count(); }

bool Promise::broken() const { return now() > until_; }

Watchdog::Watchdog() {
    uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) interval_ = std::chrono::milliseconds(microseconds / 3000);
}

std::shared_ptr<Promise> Watchdog::new_promise() {
    auto promise = std::make_shared<Promise>();
    const std::lock_guard lock(mutex_);
    promises_.push_back(promise);
    return promise;
}

bool Watchdog::beat() {
    const std::lock_guard lock(mutex_);
    std::erase_if(promises_, [](const auto& promise) { return promise.expired(); });
    bool well = true;
    for (const auto& weak : promises_) {
        const auto promise = weak.lock();
        if (promise != nullptr && promise->broken()) well = false;
    }
    if (well_ && !well) log(Level::error, "stuck", {{"watchdog", interval_.count() > 0}});
    well_ = well;
    if (well) tell("WATCHDOG=1");
    return well;
}

void Watchdog::ready() { tell("READY=1"); }

void Watchdog::reloading() {
    timespec time = {};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                     static_cast<int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000));
}

void Watchdog::stopping() { tell("STOPPING=1"); }

void Watchdog::status(const std::string& text) { tell("STATUS=" + text); }

}  // namespace raxx::notify
