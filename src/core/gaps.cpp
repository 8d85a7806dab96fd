#include "core/gaps.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/clock.h"

namespace raxx {

Status Gaps::add(const Rows& rows) {
    Time last = last_;
    for (uint32_t i = 0; i < rows.count; ++i) {
        const Time now = rows.times[i];
        if (last != kMinusInfinity && earlier(now, last) > longer_than_) log_.append(last, now, 0, 0, {nullptr, 0});
        last = now;
    }
    last_ = last;
    return Status::ok;
}

Status Gaps::finish() {
    log_.sort(stop_);
    return Status::ok;
}

int64_t LogHistogram::count() const {
    int64_t total = 0;
    for (const int64_t count : counts_) total += count;
    return total;
}

int64_t LogHistogram::quantile(double q) const {
    const int64_t total = count();
    if (total == 0) return -1;
    const auto rank = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(q * static_cast<double>(total))));
    int64_t seen = 0;
    size_t bucket = 0;
    while ((seen += counts_[bucket]) < rank) ++bucket;
    return middle_of(bucket);
}

size_t LogHistogram::bucket_of(uint64_t value) {
    if (value < kExact) return value;
    const int shift = 63 - std::countl_zero(value) - kBits;
    return static_cast<size_t>(shift) * (kExact / 2) + (value >> shift);
}

int64_t LogHistogram::middle_of(size_t bucket) {
    if (bucket < kExact) return static_cast<int64_t>(bucket);
    const size_t shift = bucket / (kExact / 2) - 1;
    const uint64_t low = (kExact / 2 + bucket % (kExact / 2)) << shift;
    return static_cast<int64_t>(low + ((uint64_t{1} << shift) - 1) / 2);
}

Status GapQuantiles::add(const Rows& rows) {
    for (uint32_t i = 0; i < rows.count; ++i) {
        const Time now = rows.times[i];
        if (last_ != kMinusInfinity) histogram_->add(earlier(now, last_));
        last_ = now;
        if (histogram_ == nullptr || earlier(now, hour_starts_) >= kHour) {
            hour_starts_ = now - ((now % kHour) + kHour) % kHour;
            histogram_ = &hours_[static_cast<size_t>(hour_of_day(now))];
        }
    }
    return Status::ok;
}

HourlyGaps GapQuantiles::hourly_gaps() const {
    HourlyGaps result{};
    for (size_t hour = 0; hour < hours_.size(); ++hour) {
        result.count[hour] = hours_[hour].count();
        result.quantile[hour] = hours_[hour].quantile(quantile_);
    }
    return result;
}

size_t GapQuantiles::memory() const {
    size_t total = 0;
    for (const LogHistogram& hour : hours_) total += hour.memory();
    return total;
}

}  // namespace raxx
