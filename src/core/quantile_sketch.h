// Quantile sketches: sparse log-linear histograms of doubles. A bucket is a sign, an exponent and the top 8 bits of
// the mantissa, so that it is 1/256 of its values wide; what a value's bucket is depends on nothing else, and
// sketches of the same values are the same, however they were grouped, ordered and merged.
//
// The idea is DDSketch's (C. Masson, J. Rim, H. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
// Relative-Error Guarantees", PVLDB 12, 2019), with the bits of the double in place of a logarithm.
#pragma once

#include "core/failure.h"

namespace raxx {

// The key of a bucket orders like its values. 0 is the bucket of what is nearer to zero than 2^-1030; the
// infinities have their own. Not of NaN.
int32_t sketch_key(double value);
constexpr int32_t kMostSketchKey = 0x7FF00;
constexpr uint32_t kMostSketchBuckets = 2 * uint32_t{kMostSketchKey} + 1;

// The edge of a bucket that is nearer to zero; it belongs to the bucket.
double sketch_edge(int32_t key);

}  // namespace raxx
