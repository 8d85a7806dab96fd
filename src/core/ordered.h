// Ordered: for each key, when did (t - window, t] hold one row of each of `threshold` steps, in the order of the
// steps?
//
// A row's value is its step: a number from 1 to threshold, in decimal. The level of a key is how many of the steps,
// from the first on, its window holds in order; rows of one instant are in any order. For each number of steps it
// is enough to know the latest time at which such a run began: the others leave the window before it.
#pragma once

#include <vector>

#include "core/evaluation.h"
#include "core/fifo.h"
#include "core/window_keys.h"

namespace raxx {

class Ordered : public Evaluation {
  public:
    static constexpr uint32_t kMaxSteps = 32;

    explicit Ordered(const Spec& spec);
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return keys_.episodes(); }
    size_t memory() const override;

  private:
    struct Instant {
        Time time;
        uint64_t steps;  // a bit for each step that came then
    };

    void arrive(Time now, Bytes key, uint32_t step);
    bool expire(Time now);  // false: not done, since too many rows leave at once
    void leave_front();
    uint32_t step_of(Bytes value) const;
    uint32_t level_after(uint32_t id, Time cutoff) const;  // of runs that began after the cutoff

    Time window_;
    bool (*stop_)();
    uint32_t steps_;
    Time last_left_ = kMinusInfinity;
    uint32_t next_ = 0;  // the row of the batch at which add() goes on
    WindowKeys keys_;
    Fifo fifo_;
    std::vector<Time> begun_;  // for each key, steps_ of them: when the latest run of so many steps began
    std::vector<Instant> last_;
};

}  // namespace raxx
