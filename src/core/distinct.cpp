#include "core/distinct.h"

#include <cstring>

#include "core/clock.h"
#include "core/lookahead.h"

namespace raxx {

Distinct::Distinct(const Spec& spec) : window_(spec.window), stop_(spec.stop), keys_(spec), pairs_(spec.seed) {}

Status Distinct::add(const Rows& rows) {
    KeyTable<Level>& table = keys_.table();
    if (next_ == 0) {
        tags_.resize(rows.count);
        for (uint32_t i = 0; i < rows.count; ++i) tags_[i] = table.tag(rows.keys[i]);
    }
    for (uint32_t i = next_; i < rows.count; ++i) {
        look_ahead(table, tags_, i);
        if (!expire(rows.times[i])) {
            next_ = i;
            return Status::more;
        }
        arrive(rows.times[i], rows.keys[i], tags_[i], rows.values[i]);
    }
    next_ = 0;
    if (rows.count != 0) keys_.advance(rows.times[rows.count - 1]);
    return Status::ok;
}

void Distinct::arrive(Time now, Bytes key, uint32_t key_tag, Bytes value) {
    const uint32_t key_id = keys_.table().find_or_insert(key, key_tag);
    const Bytes pair_bytes = pair_of(key_id, value);
    const uint32_t pair_id = pairs_.find_or_insert(pair_bytes, pairs_.tag(pair_bytes));
    fifo_.push(now, pair_id);

    Level& state = keys_[key_id];
    Pair& pair = pairs_[pair_id];
    pair.key = key_id;
    ++state.rows;
    if (++pair.rows == 1) ++state.level;
    keys_.arrive(key_id, now, key);
}

Status Distinct::finish() {
    for (size_t left = 0; left < kRowsPerStep && !fifo_.empty(); ++left) {
        last_left_ = fifo_.front().time;
        leave_front();
    }
    keys_.advance(later(last_left_, window_));
    if (!fifo_.empty()) return Status::more;
    keys_.finish(stop_);
    return Status::ok;
}

bool Distinct::expire(Time now) {
    const Time cutoff = earlier(now, window_);
    for (size_t left = 0; !fifo_.empty() && fifo_.front().time <= cutoff; ++left) {
        if (left == kRowsPerStep) return false;
        pairs_.prefetch_id(fifo_.id_ahead(kEntryAhead));
        leave_front();
    }
    return true;
}

void Distinct::leave_front() {
    const Fifo::Row row = fifo_.front();
    fifo_.pop();
    Pair& pair = pairs_[row.id];
    const uint32_t key_id = pair.key;
    Level& state = keys_[key_id];
    --state.rows;
    if (--pair.rows == 0) {
        --state.level;
        pairs_.release(row.id);
    }
    keys_.leave(key_id, later(row.time, window_));
}

Bytes Distinct::pair_of(uint32_t key_id, Bytes value) {
    pair_.resize(sizeof key_id + value.size);
    std::memcpy(pair_.data(), &key_id, sizeof key_id);
    if (value.size != 0) std::memcpy(pair_.data() + sizeof key_id, value.data, value.size);
    return {pair_.data(), static_cast<uint32_t>(pair_.size())};
}

size_t Distinct::memory() const { return keys_.memory() + pairs_.memory() + fifo_.memory() + pair_.capacity(); }

}  // namespace raxx
