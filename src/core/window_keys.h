// The keys of the current window with their levels and episodes: what velocity and distinct share.
//
// A key goes when its last row has left the window. If it has an episode then, it lingers until time has moved on,
// since a row of the same instant could still continue the episode.
#pragma once

#include <vector>

#include "core/episodes.h"
#include "core/key_table.h"
#include "core/limits.h"

namespace raxx {

class WindowKeys {
  public:
    explicit WindowKeys(const Spec& spec) : limits_(spec), table_(spec.seed) {}

    KeyTable<Level>& table() { return table_; }
    Level& operator[](uint32_t id) { return table_[id]; }

    void arrive(uint32_t id, Time time, Bytes key) {
        follow_limits(time);
        Level& state = table_[id];
        if (state.limit == 0) state.limit = limits_.of(key);
        tracker_.arrive(state, time, key);
    }
    void leave(uint32_t id, Time time) {
        follow_limits(time);
        Level& state = table_[id];
        tracker_.leave(state, time);
        if (state.rows != 0) return;
        if (state.idle()) {
            table_.release(id);
        } else {
            lingering_.push_back(id);
        }
    }

    // All rows before `time` have come.
    void advance(Time time) {
        size_t kept = 0;
        for (const uint32_t id : lingering_) {
            if (tracker_.is_over(table_[id], time)) {
                tracker_.close(table_[id], table_.key(id));
                table_.release(id);
            } else if (table_[id].rows == 0 && table_[id].episode != 0) {
                lingering_[kept++] = id;
            }
        }
        lingering_.resize(kept);
    }

    // No row will come any more, and all have left.
    void finish(bool (*stop)()) {
        table_.for_each([this](uint32_t id) { tracker_.close(table_[id], table_.key(id)); });
        tracker_.log().sort(stop);
    }

    Episodes episodes() const { return tracker_.log().view(); }
    size_t memory() const {
        return limits_.memory() + table_.memory() + tracker_.memory() + lingering_.capacity() * sizeof(uint32_t);
    }

  private:
    void follow_limits(Time time) {
        if (!limits_.advance(time)) return;
        table_.for_each([this](uint32_t id) { table_[id].limit = limits_.of(table_.key(id)); });
    }

    Limits limits_;
    KeyTable<Level> table_;
    EpisodeTracker tracker_;
    std::vector<uint32_t> lingering_;
};

}  // namespace raxx
