#include "core/episodes.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace raxx {

void EpisodeLog::append(Time start, Time end, int64_t peak, int64_t rows, Bytes key) {
    starts_.push_back(start);
    ends_.push_back(end);
    peaks_.push_back(peak);
    rows_.push_back(rows);
    key_bytes_.insert(key_bytes_.end(), key.data, key.data + key.size);
    key_offsets_.push_back(key_bytes_.size());
}

void EpisodeLog::sort() {
    const size_t count = starts_.size();
    std::vector<Bytes> keys(count);
    for (size_t i = 0, begin = 0; i < count; begin = key_offsets_[i++]) {
        keys[i] = {key_bytes_.data() + begin, static_cast<uint32_t>(key_offsets_[i] - begin)};
    }
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        if (starts_[a] != starts_[b]) return starts_[a] < starts_[b];
        const int compared = std::memcmp(keys[a].data, keys[b].data, std::min(keys[a].size, keys[b].size));
        return compared != 0 ? compared < 0 : keys[a].size < keys[b].size;
    });
    const auto reorder = [&](auto& column) {
        auto sorted = column;
        for (size_t i = 0; i < count; ++i) sorted[i] = column[order[i]];
        column.swap(sorted);
    };
    reorder(starts_);
    reorder(ends_);
    reorder(peaks_);
    reorder(rows_);
    reorder(keys);
    keys_.swap(keys);
}

Episodes EpisodeLog::view() const {
    return {keys_.size(), starts_.data(), ends_.data(), peaks_.data(), rows_.data(), keys_.data()};
}

size_t EpisodeLog::memory() const {
    return starts_.capacity() * (2 * sizeof(Time) + 2 * sizeof(int64_t) + sizeof(size_t) + sizeof(Bytes)) +
           key_bytes_.capacity();
}

EpisodeTracker::EpisodeTracker(int64_t threshold)
    : threshold_(static_cast<uint32_t>(std::min<int64_t>(threshold, UINT32_MAX))), open_(1) {}

void EpisodeTracker::open(Level& state, Time time) {
    if (free_.empty()) {
        open_.emplace_back();
        free_.push_back(static_cast<uint32_t>(open_.size() - 1));
    }
    state.episode = free_.back();
    free_.pop_back();
    open_[state.episode] = {time, kStillOpen, state.level, 0, state.rows};
}

void EpisodeTracker::arrive_in_episode(Level& state, Time time, Bytes key) {
    Open& episode = open_[state.episode];
    if (episode.end != kStillOpen && episode.end < time) {
        finish(state, key);
        if (state.level >= threshold_) open(state, time);
        return;
    }
    if (episode.end == kStillOpen) {
        ++episode.rows;
    } else {
        ++episode.rows_at_end;
        if (state.level < threshold_) return;
        episode.rows += episode.rows_at_end;
        episode.end = kStillOpen;
    }
    episode.peak = std::max(episode.peak, state.level);
}

void EpisodeTracker::fall(Level& state, Time time) {
    Open& episode = open_[state.episode];
    if (episode.end != kStillOpen) return;
    episode.end = time;
    episode.rows_at_end = 0;
}

void EpisodeTracker::finish(Level& state, Bytes key) {
    const Open& episode = open_[state.episode];
    log_.append(episode.start, episode.end, episode.peak, episode.rows, key);
    free_.push_back(state.episode);
    state.episode = 0;
}

}  // namespace raxx
