// Gaps: the silences between successive rows, in time order.
//
// Gaps lists those longer than `window`. GapQuantiles keeps, for each UTC hour of the day, a histogram of all of
// them, and tells the quantile: at most 0.1 % from the gap at the nearest rank, in 5 MB whatever the table's size.
#pragma once

#include <vector>

#include "core/evaluation.h"

namespace raxx {

class Gaps : public Evaluation {
  public:
    explicit Gaps(const Spec& spec) : longer_than_(spec.window), stop_(spec.stop) {}
    Status add(const Rows& rows) override;
    Status finish() override;
    Episodes episodes() const override { return log_.view(); }
    size_t memory() const override { return log_.memory(); }

  private:
    Time longer_than_;
    bool (*stop_)();
    Time last_ = kMinusInfinity;
    EpisodeLog log_;
};

// A histogram of non-negative 64-bit numbers in buckets of one 1/512 of their size: exact below 1,024, then at most
// 0.1 % off. Two of them merge by addition.
class LogHistogram {
  public:
    LogHistogram() : counts_(kBuckets) {}
    void add(int64_t value) { ++counts_[bucket_of(static_cast<uint64_t>(value))]; }
    int64_t count() const;
    // The value at rank ceil(q * count), the middle of its bucket; -1 of an empty histogram.
    int64_t quantile(double q) const;
    size_t memory() const { return counts_.capacity() * sizeof(int64_t); }

  private:
    static constexpr int kBits = 9;
    static constexpr uint64_t kExact = uint64_t{1} << (kBits + 1);
    static constexpr size_t kBuckets = kExact + (63 - kBits) * (kExact / 2);

    static size_t bucket_of(uint64_t value);
    static int64_t middle_of(size_t bucket);

    std::vector<int64_t> counts_;
};

class GapQuantiles : public Evaluation {
  public:
    explicit GapQuantiles(const Spec& spec) : quantile_(spec.quantile), hours_(24) {}
    Status add(const Rows& rows) override;
    Status finish() override { return Status::ok; }
    HourlyGaps hourly_gaps() const override;
    size_t memory() const override;

  private:
    double quantile_;
    Time last_ = kMinusInfinity;
    Time hour_starts_ = 0;  // the hour that `histogram_` is of
    LogHistogram* histogram_ = nullptr;
    std::vector<LogHistogram> hours_;
};

}  // namespace raxx
