#include "core/ordered.h"

#include <algorithm>

#include "core/clock.h"
#include "core/failure.h"

namespace raxx {

Ordered::Ordered(const Spec& spec)
    : window_(spec.window), stop_(spec.stop), steps_(static_cast<uint32_t>(spec.threshold)), keys_(spec) {
    if (spec.threshold < 1 || spec.threshold > kMaxSteps || spec.limits != nullptr) {
        throw Failure{sqlstate::kInvalidParameter, "there can be 1 to 32 steps",
                      "There are " + std::to_string(spec.threshold) + ".", "Leave some out."};
    }
}

Status Ordered::add(const Rows& rows) {
    for (uint32_t i = next_; i < rows.count; ++i) {
        if (!expire(rows.times[i])) {
            next_ = i;
            return Status::more;
        }
        arrive(rows.times[i], rows.keys[i], step_of(rows.values[i]));
    }
    next_ = 0;
    if (rows.count != 0) keys_.advance(rows.times[rows.count - 1]);
    return Status::ok;
}

void Ordered::arrive(Time now, Bytes key, uint32_t step) {
    KeyTable<Level>& table = keys_.table();
    const uint32_t id = table.find_or_insert(key, table.tag(key));
    fifo_.push(now, id);
    Level& state = keys_[id];
    if (id >= last_.size()) {
        last_.resize(id + 1);
        begun_.resize((size_t{id} + 1) * steps_);
    }
    Time* begun = &begun_[size_t{id} * steps_];
    if (++state.rows == 1) {  // new, or nothing of it is in the window any more
        std::fill_n(begun, steps_, kMinusInfinity);
        last_[id] = {now, 0};
    }
    if (last_[id].time != now) last_[id] = {now, 0};
    last_[id].steps |= uint64_t{1} << (step - 1);
    for (uint32_t k = 0; k < steps_; ++k) {
        if ((last_[id].steps >> k & 1) != 0) begun[k] = std::max(begun[k], k == 0 ? now : begun[k - 1]);
    }
    state.level = level_after(id, earlier(now, window_));
    keys_.arrive(id, now, key);
}

Status Ordered::finish() {
    for (size_t left = 0; left < kRowsPerStep && !fifo_.empty(); ++left) {
        last_left_ = fifo_.front().time;
        leave_front();
    }
    keys_.advance(later(last_left_, window_));
    if (!fifo_.empty()) return Status::more;
    keys_.finish(stop_);
    return Status::ok;
}

bool Ordered::expire(Time now) {
    const Time cutoff = earlier(now, window_);
    for (size_t left = 0; !fifo_.empty() && fifo_.front().time <= cutoff; ++left) {
        if (left == kRowsPerStep) return false;
        leave_front();
    }
    return true;
}

void Ordered::leave_front() {
    const Fifo::Row row = fifo_.front();
    fifo_.pop();
    Level& state = keys_[row.id];
    --state.rows;
    state.level = level_after(row.id, row.time);
    keys_.leave(row.id, later(row.time, window_));
}

uint32_t Ordered::step_of(Bytes value) const {
    uint32_t step = 0;
    for (uint32_t i = 0; i < value.size && i < 3; ++i) {
        const auto digit = static_cast<uint32_t>(value.data[i]) - '0';
        step = digit <= 9 ? step * 10 + digit : kMaxSteps + 1;
    }
    if (value.size == 0 || value.size > 2 || step < 1 || step > steps_) {
        throw Failure{sqlstate::kInvalidParameter, "a row's step is none",
                      "There are steps 1 to " + std::to_string(steps_) + ".",
                      "Give the number of a step for each row."};
    }
    return step;
}

uint32_t Ordered::level_after(uint32_t id, Time cutoff) const {
    const Time* begun = &begun_[size_t{id} * steps_];
    uint32_t level = steps_;
    while (level > 0 && begun[level - 1] <= cutoff) --level;
    return level;
}

size_t Ordered::memory() const {
    return keys_.memory() + fifo_.memory() + begun_.capacity() * sizeof(Time) + last_.capacity() * sizeof(Instant);
}

}  // namespace raxx
