// Sorts rows by time, stable, least significant digit first, 11 bits at a pass, and only over the digits in which
// the times differ. In steps of a few milliseconds, so that the caller can look for a cancel between two of them.
#pragma once

#include <array>
#include <vector>

#include "core/fence.h"

namespace raxx {

struct TimedRow {
    Time time;
    uint32_t key;
    uint32_t value;
};

class RadixSort {
  public:
    explicit RadixSort(std::vector<TimedRow>& rows);  // the rows must outlive the sort and stay as they are
    bool done() const { return shift_ >= 64; }
    void step();
    size_t memory() const { return scratch_.capacity() * sizeof(TimedRow); }

  private:
    static constexpr int kBits = 11;
    static constexpr size_t kDigits = size_t{1} << kBits;
    static constexpr size_t kRowsPerStep = 250000;

    static uint64_t bits(Time time) { return static_cast<uint64_t>(time) ^ (uint64_t{1} << 63); }
    size_t digit(const TimedRow& row) const { return (bits(row.time) >> shift_) & (kDigits - 1); }
    void next_pass();

    std::vector<TimedRow>& rows_;
    std::vector<TimedRow> scratch_;
    uint64_t differing_ = 0;  // bits in which the times differ
    int shift_ = -kBits;
    enum class Phase { survey, count, move } phase_ = Phase::survey;
    size_t at_ = 0;
    std::array<size_t, kDigits> offsets_{};
};

}  // namespace raxx
