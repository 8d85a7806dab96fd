// Episodes: the maximal intervals [start, end) in which a level (a count, or a count of distinct values) is at
// least the threshold.
//
// The level of an instant is what it is once all rows of that instant have come and all that leave at it have gone.
// Rows of one instant are seen one after another, so an episode whose level fell is only marked as ending there; it
// ends when a later row, or the end of the input, shows that no row of the same instant lifted it again.
#pragma once

#include <memory>
#include <vector>

#include "core/fence.h"

namespace raxx {

// One key's state, kept in a KeyTable.
struct Level {
    uint32_t level = 0;    // what is compared with the threshold
    uint32_t rows = 0;     // rows in the window
    uint32_t episode = 0;  // which open episode, 0 for none
    uint32_t limit = 0;    // what the level is compared with; 0: not known yet
    bool idle() const { return rows == 0 && episode == 0; }
};

// The finished episodes. Their keys' bytes lie in blocks that never move.
class EpisodeLog {
  public:
    void append(Time start, Time end, int64_t peak, int64_t rows, Bytes key);
    void sort(bool (*stop)());  // by (start, key bytes); throws Stopped, and can be called again then
    Episodes view() const { return {episodes_.size(), episodes_.data()}; }
    size_t memory() const { return episodes_.capacity() * sizeof(Episode) + block_bytes_; }

  private:
    static constexpr size_t kBlockBytes = size_t{64} * 1024;

    Bytes keep(Bytes key);

    std::vector<Episode> episodes_;
    std::vector<std::unique_ptr<unsigned char[]>> blocks_;
    unsigned char* next_ = nullptr;  // in the last block
    size_t block_left_ = 0;
    size_t block_bytes_ = 0;
};

class EpisodeTracker {
  public:
    EpisodeTracker() : open_(1) {}

    // A row of `key` came at `time`; `state` counts it already.
    void arrive(Level& state, Time time, Bytes key) {
        if (state.episode == 0) {
            if (state.level >= state.limit) open(state, time);
        } else {
            arrive_in_episode(state, time, key);
        }
    }

    // Rows left the window at `time`; `state` has lost them already.
    void leave(Level& state, Time time) {
        if (state.episode != 0 && state.level < state.limit) fall(state, time);
    }

    // Whether the key is out of the window and its episode certainly over at `time`.
    bool is_over(const Level& state, Time time) const {
        return state.rows == 0 && state.episode != 0 && open_[state.episode].end < time;
    }

    // The key has no more rows: writes its episode, if it has one.
    void close(Level& state, Bytes key) {
        if (state.episode != 0) finish(state, key);
    }

    EpisodeLog& log() { return log_; }
    const EpisodeLog& log() const { return log_; }
    size_t memory() const { return log_.memory() + open_.capacity() * sizeof(Open); }

  private:
    static constexpr Time kStillOpen = kMinusInfinity;  // no episode ends then

    struct Open {
        Time start;
        Time end;  // kStillOpen while the level is high enough
        uint32_t peak;
        uint32_t rows;  // in the window of the peak
    };

    void open(Level& state, Time time);
    void arrive_in_episode(Level& state, Time time, Bytes key);
    void fall(Level& state, Time time);
    void finish(Level& state, Bytes key);

    std::vector<Open> open_;  // [0] is not used
    std::vector<uint32_t> free_;
    EpisodeLog log_;
};

}  // namespace raxx
