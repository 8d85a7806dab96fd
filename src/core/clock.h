// Arithmetic on times. Attackers choose timestamps, so every sum saturates at the infinities instead of wrapping.
#pragma once

#include "core/fence.h"

namespace raxx {

// The last microsecond that a timestamptz can hold, one less than 294277-01-01 00:00 UTC.
constexpr Time kLastTime = INT64_C(9223371331199999999);

constexpr Time later(Time time, Time by) {
    Time sum = 0;
    if (__builtin_add_overflow(time, by, &sum) || sum > kLastTime) return kInfinity;
    return sum;
}

constexpr Time earlier(Time time, Time by) {
    Time difference = 0;
    if (__builtin_sub_overflow(time, by, &difference)) return by > 0 ? kMinusInfinity : kInfinity;
    return difference;
}

constexpr Time kHour = INT64_C(3600000000);

// The UTC hour of the day, 0 to 23.
constexpr int hour_of_day(Time time) {
    const Time hours = time / kHour - (time % kHour < 0 ? 1 : 0);
    return static_cast<int>(((hours % 24) + 24) % 24);
}

}  // namespace raxx
