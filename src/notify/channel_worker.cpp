#include "notify/channel_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "notify/kill_points.h"
#include "notify/log.h"

namespace raxx::notify {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Once the process is to end, a mark that cannot be written is tried no longer than this.
constexpr seconds kLastMarks(10);
// What `once` still takes for due: the pause that a channel wants between two messages.
constexpr milliseconds kSoon(3'000);
constexpr int kMostIdleTurns = 8;

}  // namespace

ChannelWorker::ChannelWorker(Channel channel, Shared* shared)
    : channel_(std::move(channel)),
      shared_(shared),
      sink_(make_sink(shared->configuration, channel_.kind)),
      promise_(shared->watchdog.new_promise()) {
    thread_ = std::thread([this] { loop(); });
}

ChannelWorker::~ChannelWorker() {
    stop();
    thread_.join();
}

void ChannelWorker::wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

void ChannelWorker::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
}

void ChannelWorker::wait(milliseconds pause) {
    promise_->back_within(pause + seconds(60));
    std::unique_lock lock(mutex_);
    (void)changed_.wait_for(lock, pause, [this] { return woken_ || stopping_; });
    woken_ = false;
}

void ChannelWorker::loop() {
    while (!stopping()) {
        const auto pause = turn();
        if (!pause) break;
        if (pause->count() > 0) wait(*pause);
    }
    promise_->release();
    done_ = true;
}

// The process was stopped for so long that somebody else may have sent it, and what followed it.
Outcome ChannelWorker::too_late() {
    Outcome outcome = Outcome::retry("its lease was over before it was sent");
    outcome.channel_at_fault = false;
    return outcome;
}

// How long to wait before the next turn; nothing: there is none.
std::optional<milliseconds> ChannelWorker::turn() {
    const Configuration& configuration = shared_->configuration;
    promise_->back_within(configuration.service.lease + 4 * configuration.database.statement_timeout + seconds(60));
    try {
        const Time lease_end = steady_clock::now() + configuration.service.lease;
        const auto delivery = shared_->database.claim(channel_.name, configuration.service.lease);
        if (!delivery) return pause_of_idle();
        idle_turns_ = 0;
        kill_point("after_claim");
        deliver(*delivery, lease_end);
        backoff_.reset();
        return milliseconds(0);
    } catch (const DatabaseError& error) {
        // What cannot be reached is logged where that is noticed.
        if (!error.sqlstate().empty()) {
            log(Level::error, "claim_failed",
                {{"channel", channel_.name}, {"sqlstate", error.sqlstate()}, {"error", error.what()}});
        }
        if (shared_->once) {
            shared_->failed = true;
            return std::nullopt;
        }
        return backoff_.next();
    }
}

std::optional<milliseconds> ChannelWorker::pause_of_idle() {
    const auto next = shared_->database.next_delivery_in({channel_.name});
    backoff_.reset();
    // Something may be due and yet not to be had, since somebody else has it: not again at once.
    idle_turns_ = next && next->count() <= 0 ? idle_turns_ + 1 : 0;
    // What has failed is not tried again by `once`.
    if (shared_->once && (!next || *next > kSoon || retried_ || idle_turns_ > kMostIdleTurns)) return std::nullopt;
    const milliseconds poll = shared_->configuration.service.poll;
    if (!next) return poll;
    const milliseconds pause = idle_turns_ == 0 ? *next : milliseconds(20 << std::min(idle_turns_, kMostIdleTurns));
    return std::min(pause, poll);
}

void ChannelWorker::deliver(const Delivery& delivery, Time lease_end) {
    kill_point("before_send");
    const Time begin = steady_clock::now();
    Outcome outcome = begin < lease_end ? attempt(delivery) : too_late();
    kill_point("after_send");
    shared_->metrics.observe(channel_.name, steady_clock::now() - begin);
    if (delivery.possible_repeat && !outcome.found) {
        shared_->metrics.count_repeat(channel_.name);
        // A doubt does not go away by an attempt that fails.
        if (!outcome.delivered) outcome.maybe_sent = true;
    }
    if (!outcome.delivered) shared_->failed = true;
    settle(delivery, outcome, lease_end);
}

Outcome ChannelWorker::attempt(const Delivery& delivery) {
    if (delivery.kind != channel_.kind && !shared_->configuration.all_to_standard_output) {
        Outcome outcome = Outcome::retry("the channel has become another kind");
        outcome.channel_at_fault = false;
        return outcome;
    }
    try {
        return sink_->send(delivery);
    } catch (const std::bad_alloc&) {
        Outcome outcome = Outcome::retry("out of memory");
        outcome.channel_at_fault = false;
        return outcome;
    } catch (const std::exception& error) {
        // Nothing was sent yet: sinks throw while they make the message, and it would be the same the next time.
        return Outcome::refused(printable(fmt::format("the message cannot be made: {}", error.what())));
    }
}

// Until it is marked, or the lease is over and somebody else may have it.
void ChannelWorker::settle(const Delivery& delivery, const Outcome& outcome, Time lease_end) {
    Backoff backoff;
    std::optional<Time> stopping_since;
    for (;;) {
        try {
            mark(delivery, outcome);
            return;
        } catch (const DatabaseError& error) {
            const Time now = steady_clock::now();
            if (stopping() && !stopping_since) stopping_since = now;
            const Time end = stopping_since ? std::min(lease_end, *stopping_since + kLastMarks) : lease_end;
            shared_->failed = true;
            log(now < end ? Level::warning : Level::error, now < end ? "mark_waits" : "mark_given_up",
                {{"channel", channel_.name},
                 {"delivery_id", delivery.id},
                 {"delivered", outcome.delivered},
                 {"sqlstate", error.sqlstate()},
                 {"error", error.what()}});
            if (now >= end) {
                shared_->metrics.count(channel_.name, "unmarked");
                return;
            }
            const auto pause =
                std::min<milliseconds>(backoff.next(), duration_cast<milliseconds>(end - now) + milliseconds(1));
            std::unique_lock lock(mutex_);
            const bool was_stopping = stopping_;
            (void)changed_.wait_for(lock, std::min<milliseconds>(pause, seconds(5)),
                                    [&] { return stopping_ && !was_stopping; });
        }
    }
}

void ChannelWorker::mark(const Delivery& delivery, const Outcome& outcome) {
    kill_point("before_mark");
    std::string became;
    if (outcome.delivered) {
        const bool held = shared_->database.mark_delivered(delivery, outcome.provider);
        if (!held) {
            became = "lease_lost";
        } else {
            became = outcome.found ? "found" : "delivered";
        }
    } else {
        const auto state = shared_->database.mark_failed(delivery, outcome);
        if (!state) {
            became = "lease_lost";
        } else {
            became = *state == "dead" ? "dead" : "retried";
            retried_ = true;
        }
    }
    kill_point("after_mark");
    report(delivery, outcome, became);
}

void ChannelWorker::report(const Delivery& delivery, const Outcome& outcome, const std::string& became) {
    shared_->metrics.count(channel_.name, became);
    const bool well = became == "delivered" || became == "found";
    Level level = well ? Level::info : Level::warning;
    if (became == "dead") level = Level::error;
    const json finding = delivery.finding_id ? json(*delivery.finding_id) : json(nullptr);
    const json error = outcome.delivered ? json(nullptr) : json(outcome.error);
    log(level, became,
        {{"channel", channel_.name},
         {"delivery_id", delivery.id},
         {"finding_id", finding},
         {"message", delivery.event},
         {"severity", delivery.severity},
         {"attempt", delivery.attempt},
         {"possible_repeat", delivery.possible_repeat},
         {"maybe_sent", outcome.maybe_sent},
         {"error", error}});
}

}  // namespace raxx::notify
