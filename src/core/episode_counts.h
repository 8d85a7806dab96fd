// How many episodes every threshold would have, in one pass.
//
// An instant that lifts a key's level from a to b begins one episode of each threshold above a and up to b, and of
// no other. So it is enough to note that from a + 1 on there is one more, and from b + 1 on one fewer. Rows of one
// instant count together, as episodes do. Of a few keys that are watched each change of the level is kept.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/episodes.h"
#include "core/evaluation.h"
#include "core/fifo.h"
#include "core/key_table.h"

namespace raxx {

class EpisodeCounter : public Evaluation {
  public:
    explicit EpisodeCounter(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    // Of watched keys: at `start` the level became `peak`.
    Episodes episodes() const override { return log_.view(); }
    EpisodeCounts episode_counts() const override { return {counts_.size(), counts_.data()}; }
    size_t memory() const override;

  private:
    struct Level {
        uint32_t level = 0;
        uint32_t rows = 0;
        uint32_t before = 0;  // the level until the instant at hand
        bool changed = false;
        bool known = false;  // whether it is watched
        bool watched = false;
    };
    struct Pair {
        uint32_t rows = 0;
        uint32_t key = 0;
    };

    void arrive(Time now, uint32_t key_id, Bytes value);
    bool expire(Time now);  // false: not done, since too many rows leave at once
    void leave_front();
    Level& touch(uint32_t key_id, Time now);
    void end_instant();
    void note_rise(uint32_t from, uint32_t to);
    Bytes pair_of(uint32_t key_id, Bytes value);

    bool distinct_;
    Time window_;
    Time count_from_;
    bool (*stop_)();
    Time now_ = kMinusInfinity;
    uint32_t next_ = 0;  // the row of the batch at which add() goes on
    KeyTable<Level> keys_;
    KeyTable<Pair> pairs_;
    Fifo fifo_;
    std::vector<uint32_t> changed_;  // at the instant at hand
    std::vector<int64_t> counts_;    // until finish() of a threshold less those of the one before it
    std::set<std::string, std::less<>> watched_;
    EpisodeLog log_;
    std::vector<KeyTable<Level>::Tag> tags_;
    std::vector<unsigned char> pair_;
};

}  // namespace raxx
