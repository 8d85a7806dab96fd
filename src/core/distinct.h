// Distinct: for each key, when did (t - window, t] hold at least `threshold` distinct values?
//
// Exact: a second hash table counts each (key, value) pair in the window, and a pair that comes to one or falls to
// none moves its key's level.
#pragma once

#include <vector>

#include "core/evaluation.h"
#include "core/fifo.h"
#include "core/window_keys.h"

namespace raxx {

class Distinct : public Evaluation {
  public:
    explicit Distinct(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return keys_.episodes(); }
    size_t memory() const override;

  private:
    struct Pair {
        uint32_t rows = 0;
        uint32_t key = 0;
    };

    void arrive(Time now, Bytes key, uint32_t key_tag, Bytes value);
    bool expire(Time now);  // false: not done, since too many rows leave at once
    void leave_front();
    Bytes pair_of(uint32_t key_id, Bytes value);

    Time window_;
    bool (*stop_)();
    Time last_left_ = kMinusInfinity;
    uint32_t next_ = 0;  // the row of the batch at which add() goes on
    WindowKeys keys_;
    KeyTable<Pair> pairs_;
    Fifo fifo_;
    std::vector<KeyTable<Level>::Tag> tags_;
    std::vector<unsigned char> pair_;
};

}  // namespace raxx
