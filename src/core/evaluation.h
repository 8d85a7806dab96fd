// What every evaluation is: rows go in as batches, then finish() is called until it is ok, then the result is read.
#pragma once

#include "core/episodes.h"
#include "core/fence.h"

namespace raxx {

// What is done at most in one call: some milliseconds' work.
constexpr size_t kRowsPerStep = 100000;

class Evaluation {
  public:
    virtual ~Evaluation() = default;
    Evaluation(const Evaluation&) = delete;
    Evaluation& operator=(const Evaluation&) = delete;

    virtual Status add(const Rows& rows) = 0;  // Status::more: again with the same rows, it goes on where it was
    virtual Status finish() = 0;               // Status::more until it is Status::ok
    virtual Episodes episodes() const { return {}; }
    virtual EpisodeCounts episode_counts() const { return {}; }
    virtual HourlyGaps hourly_gaps() const { return {}; }
    virtual CellCounts cell_counts() const { return {}; }
    virtual HourlyCounts key_counts([[maybe_unused]] size_t at) const { return {}; }
    virtual size_t memory() const = 0;

  protected:
    Evaluation() = default;
};

}  // namespace raxx
