// The two-sample, two-sided Kolmogorov-Smirnov test: do two samples come from the same distribution?
//
// d and the exact p-value are those of ks.test in R 4.2, ties included. The asymptotic p-value is the same limit,
// but to full precision where R stops at an error of 1e-6.
#pragma once

#include <span>

#include "core/failure.h"

namespace raxx {

// NaN values are left out. Fails when a sample has no other value, throws Stopped when stop (which may be null)
// says so.
KsResult two_sample_ks(std::span<const double> x, std::span<const double> y, bool (*stop)());

// P(K >= x) for Kolmogorov's limit K of sqrt(n m / (n + m)) d.
double kolmogorov_tail(double x);

}  // namespace raxx
