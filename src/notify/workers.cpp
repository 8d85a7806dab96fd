#include "notify/workers.h"

#include <fmt/format.h>

#include <algorithm>

#include "notify/log.h"

namespace raxx::notify {
namespace {

using std::chrono::seconds;

bool is_wanted(const Configuration& configuration, const std::string& channel) {
    const auto& only = configuration.service.channels;
    return only.empty() || std::find(only.begin(), only.end(), channel) != only.end();
}

}  // namespace

Workers::~Workers() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
        // All of them at once, and then one after the other is waited for.
        for (const auto& [name, worker] : workers_) worker->stop();
    }
    if (thread_.joinable()) thread_.join();
    workers_.clear();
}

void Workers::start() {
    thread_ = std::thread([this] { loop(); });
}

void Workers::loop() {
    const auto promise = shared_->watchdog.new_promise();
    const Configuration& configuration = shared_->configuration;
    Backoff backoff;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        promise->back_within(8 * configuration.database.statement_timeout + configuration.service.lease +
                             seconds(60));
        milliseconds pause = configuration.service.poll;
        try {
            look();
            backoff.reset();
        } catch (const DatabaseError& error) {
            if (!error.sqlstate().empty())
                log(Level::error, "look_failed", {{"sqlstate", error.sqlstate()}, {"error", error.what()}});
            pause = backoff.next();
        }
        shared_->metrics.set_connected(shared_->database.connected());
        Watchdog::status(status());
        promise->back_within(pause + seconds(60));
        lock.lock();
        (void)changed_.wait_for(lock, pause, [this] { return stopping_; });
    }
}

void Workers::look() {
    adjust(shared_->database.channels());
    if (shared_->configuration.service.digest) digest();
    auto health = shared_->database.health();
    const std::lock_guard lock(mutex_);
    shared_->metrics.set_health(std::move(health), unserved_.size());
}

void Workers::digest() {
    try {
        const auto ids = shared_->database.make_digest(false);
        if (ids.empty()) return;
        shared_->metrics.set_digest(std::chrono::system_clock::now());
        log(Level::info, "digest", {{"delivery_ids", ids}});
        wake();
    } catch (const DatabaseError& error) {
        // Messages do not wait for it.
        if (error.sqlstate().empty()) throw;
        shared_->failed = true;
        log(Level::error, "digest_failed", {{"sqlstate", error.sqlstate()}, {"error", error.what()}});
    }
}

void Workers::adjust(const std::vector<Channel>& channels) {
    std::map<std::string, Channel> served;
    std::map<std::string, std::string> unserved;
    for (const Channel& channel : channels) {
        if (!channel.enabled || !is_wanted(shared_->configuration, channel.name)) continue;
        const std::string why = not_served(shared_->configuration, channel.kind, channel.address);
        if (why.empty()) {
            served.emplace(channel.name, channel);
        } else {
            unserved.emplace(channel.name, why);
        }
    }
    std::vector<std::unique_ptr<ChannelWorker>> ending;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, why] : unserved) {
            if (!unserved_.contains(name))
                log(Level::warning, "channel_unserved", {{"channel", name}, {"reason", why}});
        }
        unserved_ = unserved;
        for (auto worker = workers_.begin(); worker != workers_.end();) {
            const auto wanted = served.find(worker->first);
            const bool same = wanted != served.end() && wanted->second == worker->second->channel();
            if (same) {
                served.erase(wanted);
                ++worker;
            } else {
                worker->second->stop();
                ending.push_back(std::move(worker->second));
                worker = workers_.erase(worker);
            }
        }
    }
    ending.clear();  // waits for what they are sending
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const auto& [name, channel] : served) {
        log(Level::info, "channel_served", {{"channel", name}, {"kind", channel.kind}});
        workers_.emplace(name, std::make_unique<ChannelWorker>(channel, shared_));
    }
}

void Workers::wake() {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, worker] : workers_) worker->wake();
}

bool Workers::all_done() {
    const std::lock_guard lock(mutex_);
    return std::all_of(workers_.begin(), workers_.end(), [](const auto& item) { return item.second->done(); });
}

std::string Workers::status() {
    const std::lock_guard lock(mutex_);
    return fmt::format("{} channels served, {} not; database {}", workers_.size(), unserved_.size(),
                       shared_->database.connected() ? "connected" : "not connected");
}

}  // namespace raxx::notify
