#include "core/episodes.h"

#include <algorithm>
#include <cstring>

#include "core/failure.h"

namespace raxx {

void EpisodeLog::append(Time start, Time end, int64_t peak, int64_t rows, Bytes key) {
    episodes_.push_back({start, end, peak, rows, keep(key)});
}

Bytes EpisodeLog::keep(Bytes key) {
    if (key.size == 0) return {reinterpret_cast<const unsigned char*>(""), 0};
    if (key.size > block_left_) {
        block_left_ = std::max<size_t>(kBlockBytes, key.size);
        blocks_.push_back(std::make_unique_for_overwrite<unsigned char[]>(block_left_));
        block_bytes_ += block_left_;
        next_ = blocks_.back().get();
    }
    const Bytes kept = {next_, key.size};
    std::memcpy(next_, key.data, key.size);
    next_ += key.size;
    block_left_ -= key.size;
    return kept;
}

void EpisodeLog::sort(bool (*stop)()) {
    uint32_t compared = 0;
    std::sort(episodes_.begin(), episodes_.end(), [&](const Episode& a, const Episode& b) {
        if (++compared % 65536 == 0 && stop != nullptr && stop()) throw Stopped{};
        if (a.start != b.start) return a.start < b.start;
        const int order = std::memcmp(a.key.data, b.key.data, std::min(a.key.size, b.key.size));
        return order != 0 ? order < 0 : a.key.size < b.key.size;
    });
}

void EpisodeTracker::open(Level& state, Time time) {
    if (free_.empty()) {
        open_.emplace_back();
        free_.push_back(static_cast<uint32_t>(open_.size() - 1));
    }
    state.episode = free_.back();
    free_.pop_back();
    open_[state.episode] = {time, kStillOpen, state.level, state.rows};
}

void EpisodeTracker::arrive_in_episode(Level& state, Time time, Bytes key) {
    Open& episode = open_[state.episode];
    if (episode.end != kStillOpen && episode.end < time) {
        finish(state, key);
        if (state.level >= state.limit) open(state, time);
        return;
    }
    if (state.level < state.limit) {  // before this instant's other rows, or by a limit that has risen
        fall(state, time);
        return;
    }
    episode.end = kStillOpen;
    if (state.level > episode.peak || (state.level == episode.peak && state.rows > episode.rows)) {
        episode.peak = state.level;
        episode.rows = state.rows;
    }
}

void EpisodeTracker::fall(Level& state, Time time) {
    Open& episode = open_[state.episode];
    if (episode.end == kStillOpen) episode.end = time;
}

void EpisodeTracker::finish(Level& state, Bytes key) {
    const Open& episode = open_[state.episode];
    log_.append(episode.start, episode.end, episode.peak, episode.rows, key);
    free_.push_back(state.episode);
    state.episode = 0;
}

}  // namespace raxx
