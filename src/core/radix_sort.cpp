#include "core/radix_sort.h"

#include <algorithm>
#include <utility>

namespace raxx {

RadixSort::RadixSort(std::vector<TimedRow>& rows) : rows_(rows) {
    if (rows.size() < 2) shift_ = 64;
}

void RadixSort::step() {
    const size_t end = std::min(at_ + kRowsPerStep, rows_.size());
    switch (phase_) {
        case Phase::survey:
            for (; at_ < end; ++at_) differing_ |= bits(rows_[at_].time) ^ bits(rows_[0].time);
            if (at_ == rows_.size()) {
                scratch_.resize(rows_.size());
                next_pass();
            }
            break;
        case Phase::count:
            for (; at_ < end; ++at_) ++offsets_[digit(rows_[at_])];
            if (at_ == rows_.size()) {
                size_t offset = 0;
                for (size_t& count : offsets_) offset += std::exchange(count, offset);
                phase_ = Phase::move;
                at_ = 0;
            }
            break;
        case Phase::move:
            for (; at_ < end; ++at_) scratch_[offsets_[digit(rows_[at_])]++] = rows_[at_];
            if (at_ == rows_.size()) {
                rows_.swap(scratch_);
                next_pass();
            }
            break;
    }
}

void RadixSort::next_pass() {
    do shift_ += kBits;
    while (shift_ < 64 && ((differing_ >> shift_) & (kDigits - 1)) == 0);
    offsets_.fill(0);
    phase_ = Phase::count;
    at_ = 0;
}

}  // namespace raxx
