#include "core/velocity.h"

#include <cstring>

#include "core/clock.h"
#include "core/lookahead.h"

namespace raxx {

VelocityByTime::VelocityByTime(const Spec& spec) : window_(spec.window), stop_(spec.stop), keys_(spec) {}

Status VelocityByTime::add(const Rows& rows) {
    KeyTable<Level>& table = keys_.table();
    if (next_ == 0) {
        tags_.resize(rows.count);
        for (uint32_t i = 0; i < rows.count; ++i) tags_[i] = table.tag(rows.keys[i]);
    }
    for (uint32_t i = next_; i < rows.count; ++i) {
        look_ahead(table, tags_, i);
        const Time now = rows.times[i];
        if (!expire(now)) {
            next_ = i;
            return Status::more;
        }
        const uint32_t id = table.find_or_insert(rows.keys[i], tags_[i]);
        fifo_.push(now, id);
        Level& state = keys_[id];
        ++state.level;
        ++state.rows;
        keys_.arrive(id, now, rows.keys[i]);
    }
    next_ = 0;
    if (rows.count != 0) keys_.advance(rows.times[rows.count - 1]);
    return Status::ok;
}

Status VelocityByTime::finish() {
    for (size_t left = 0; left < kRowsPerStep && !fifo_.empty(); ++left) {
        last_left_ = fifo_.front().time;
        leave_front();
    }
    keys_.advance(later(last_left_, window_));
    if (!fifo_.empty()) return Status::more;
    keys_.finish(stop_);
    return Status::ok;
}

bool VelocityByTime::expire(Time now) {
    const Time cutoff = earlier(now, window_);
    for (size_t left = 0; !fifo_.empty() && fifo_.front().time <= cutoff; ++left) {
        if (left == kRowsPerStep) return false;
        keys_.table().prefetch_id(fifo_.id_ahead(kEntryAhead));
        leave_front();
    }
    return true;
}

void VelocityByTime::leave_front() {
    const Fifo::Row row = fifo_.front();
    fifo_.pop();
    Level& state = keys_[row.id];
    --state.level;
    --state.rows;
    keys_.leave(row.id, later(row.time, window_));
}

VelocityByKey::VelocityByKey(const Spec& spec) : window_(spec.window), stop_(spec.stop) {
    state_.limit = Limits(spec).of({nullptr, 0});
}

Status VelocityByKey::add(const Rows& rows) {
    for (uint32_t i = 0; i < rows.count; ++i) {
        const Bytes key = rows.keys[i];
        if (!is_current(key)) {
            end_key();
            key_.assign(key.data, key.data + key.size);
        }
        const Time now = rows.times[i];
        const Time cutoff = earlier(now, window_);
        while (!fifo_.empty() && fifo_.front().time <= cutoff) leave_front();
        fifo_.push(now, 0);
        ++state_.level;
        ++state_.rows;
        tracker_.arrive(state_, now, key);
    }
    return Status::ok;
}

Status VelocityByKey::finish() {
    end_key();
    tracker_.log().sort(stop_);
    return Status::ok;
}

bool VelocityByKey::is_current(Bytes key) const {
    return key.size == key_.size() && (key.size == 0 || std::memcmp(key.data, key_.data(), key.size) == 0);
}

void VelocityByKey::leave_front() {
    const Time time = fifo_.front().time;
    fifo_.pop();
    --state_.level;
    --state_.rows;
    tracker_.leave(state_, later(time, window_));
}

void VelocityByKey::end_key() {
    while (!fifo_.empty()) leave_front();
    tracker_.close(state_, {key_.data(), static_cast<uint32_t>(key_.size())});
}

size_t VelocityByKey::memory() const { return key_.capacity() + fifo_.memory() + tracker_.memory(); }

}  // namespace raxx
