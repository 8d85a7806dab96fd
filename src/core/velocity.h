// Velocity: for each key, when were there at least `threshold` rows in (t - window, t]?
//
// VelocityByTime takes rows of all keys in time order: one FIFO over all of them beats a ring per key, because it
// walks memory forward. VelocityByKey takes them key by key, as an index on (key, time) gives them, and needs no
// hash table at all.
#pragma once

#include <vector>

#include "core/evaluation.h"
#include "core/fifo.h"
#include "core/window_keys.h"

namespace raxx {

class VelocityByTime : public Evaluation {
  public:
    explicit VelocityByTime(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return keys_.episodes(); }
    size_t memory() const override { return keys_.memory() + fifo_.memory(); }

  private:
    bool expire(Time now);  // false: not done, since too many rows leave at once
    void leave_front();

    Time window_;
    bool (*stop_)();
    Time last_left_ = kMinusInfinity;
    uint32_t next_ = 0;  // the row of the batch at which add() goes on
    WindowKeys keys_;
    Fifo fifo_;
    std::vector<KeyTable<Level>::Tag> tags_;
};

class VelocityByKey : public Evaluation {
  public:
    explicit VelocityByKey(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return tracker_.log().view(); }
    size_t memory() const override;

  private:
    bool is_current(Bytes key) const;
    void leave_front();
    void end_key();

    Time window_;
    bool (*stop_)();
    std::vector<unsigned char> key_;
    Level state_;
    Fifo fifo_;
    EpisodeTracker tracker_;
};

}  // namespace raxx
