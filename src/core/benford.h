// Benford's law: in amounts that grew by themselves the first significant digit is d with probability log10(1 +
// 1/d).
//
// Measures how far counted digits are from it, by the chi-squared statistic and by the mean absolute deviation,
// which unlike chi-squared does not grow with the number of values (M. Nigrini, "Benford's Law", 2012).
#pragma once

#include "core/failure.h"

namespace raxx {

// counts[0] belongs to the digit 1. Fails on a negative count; without any value the statistics are NaN.
BenfordResult benford_statistics(const int64_t counts[9]);

}  // namespace raxx
