#include "core/episode_counts.h"

#include <cstring>
#include <string_view>

#include "core/clock.h"
#include "core/lookahead.h"

namespace raxx {

EpisodeCounter::EpisodeCounter(const Spec& spec)
    : distinct_(spec.method == Method::distinct_counts),
      window_(spec.window),
      count_from_(spec.count_from),
      stop_(spec.stop),
      keys_(spec.seed),
      pairs_(spec.seed) {
    for (uint32_t i = 0; spec.watched != nullptr && i < spec.watched->count; ++i) {
        const Bytes key = spec.watched->keys[i];
        watched_.emplace(reinterpret_cast<const char*>(key.data), key.size);
    }
}

Status EpisodeCounter::add(const Rows& rows) {
    if (next_ == 0) {
        tags_.resize(rows.count);
        for (uint32_t i = 0; i < rows.count; ++i) tags_[i] = keys_.tag(rows.keys[i]);
    }
    for (uint32_t i = next_; i < rows.count; ++i) {
        look_ahead(keys_, tags_, i);
        if (!expire(rows.times[i])) {
            next_ = i;
            return Status::more;
        }
        if (now_ != rows.times[i]) end_instant();
        arrive(rows.times[i], keys_.find_or_insert(rows.keys[i], tags_[i]), distinct_ ? rows.values[i] : Bytes{});
    }
    next_ = 0;
    return Status::ok;
}

void EpisodeCounter::arrive(Time now, uint32_t key_id, Bytes value) {
    Level& state = touch(key_id, now);
    ++state.rows;
    if (!distinct_) {
        ++state.level;
        fifo_.push(now, key_id);
        return;
    }
    const Bytes bytes = pair_of(key_id, value);
    const uint32_t pair_id = pairs_.find_or_insert(bytes, pairs_.tag(bytes));
    Pair& pair = pairs_[pair_id];
    pair.key = key_id;
    if (++pair.rows == 1) ++state.level;
    fifo_.push(now, pair_id);
}

Status EpisodeCounter::finish() {
    for (size_t left = 0; left < kRowsPerStep && !fifo_.empty(); ++left) leave_front();
    if (!fifo_.empty()) return Status::more;
    end_instant();
    for (size_t i = 1; i < counts_.size(); ++i) counts_[i] += counts_[i - 1];
    while (!counts_.empty() && counts_.back() == 0) counts_.pop_back();
    log_.sort(stop_);
    return Status::ok;
}

bool EpisodeCounter::expire(Time now) {
    const Time cutoff = earlier(now, window_);
    for (size_t left = 0; !fifo_.empty() && fifo_.front().time <= cutoff; ++left) {
        if (left == kRowsPerStep) return false;
        if (!distinct_) keys_.prefetch_id(fifo_.id_ahead(kEntryAhead));
        leave_front();
    }
    return true;
}

void EpisodeCounter::leave_front() {
    const Fifo::Row row = fifo_.front();
    fifo_.pop();
    const Time time = later(row.time, window_);
    if (now_ != time) end_instant();
    if (!distinct_) {
        Level& state = touch(row.id, time);
        --state.rows;
        --state.level;
        return;
    }
    Pair& pair = pairs_[row.id];
    Level& state = touch(pair.key, time);
    --state.rows;
    if (--pair.rows == 0) {
        --state.level;
        pairs_.release(row.id);
    }
}

EpisodeCounter::Level& EpisodeCounter::touch(uint32_t key_id, Time now) {
    now_ = now;
    Level& state = keys_[key_id];
    if (!state.changed) {
        state.changed = true;
        changed_.push_back(key_id);
    }
    return state;
}

void EpisodeCounter::end_instant() {
    for (const uint32_t id : changed_) {
        Level& state = keys_[id];
        state.changed = false;
        if (state.level > state.before && now_ > count_from_) note_rise(state.before, state.level);
        if (!watched_.empty() && state.level != state.before) {
            const Bytes key = keys_.key(id);
            if (!state.known) {
                state.watched =
                    watched_.contains(std::string_view(reinterpret_cast<const char*>(key.data), key.size));
                state.known = true;
            }
            if (state.watched) log_.append(now_, now_, state.level, state.rows, key);
        }
        state.before = state.level;
        if (state.rows == 0) keys_.release(id);
    }
    changed_.clear();
}

void EpisodeCounter::note_rise(uint32_t from, uint32_t to) {
    if (counts_.size() <= to) counts_.resize(size_t{to} + 1);
    ++counts_[from];
    --counts_[to];
}

Bytes EpisodeCounter::pair_of(uint32_t key_id, Bytes value) {
    pair_.resize(sizeof key_id + value.size);
    std::memcpy(pair_.data(), &key_id, sizeof key_id);
    if (value.size != 0) std::memcpy(pair_.data() + sizeof key_id, value.data, value.size);
    return {pair_.data(), static_cast<uint32_t>(pair_.size())};
}

size_t EpisodeCounter::memory() const {
    return keys_.memory() + pairs_.memory() + fifo_.memory() + changed_.capacity() * sizeof(uint32_t) +
           counts_.capacity() * sizeof(int64_t) + log_.memory() + pair_.capacity();
}

}  // namespace raxx
