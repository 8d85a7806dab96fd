// Upper tails P(X >= k) of the distributions that a threshold or a test is judged by: how unlikely is what was
// seen?
//
// Relative error at most 1e-11 wherever the result is at least 1e-300 (below, results fade to 0), for counts and
// degrees of freedom up to 1e9, and no call takes longer for a large argument than for a middling one. All throw a
// Failure when an argument is outside its range. The methods and their sources are at the top of tails.cpp.
#pragma once

#include "core/failure.h"

namespace raxx {

double poisson_tail(int64_t k, double mean);
double binomial_tail(int64_t k, int64_t n, double p);

// Given by mean and variance: the number of failures before r = mean^2 / (variance - mean) successes of probability
// mean / variance, which is a Poisson number whose mean varies like a gamma. Its limit, variance = mean, is
// Poisson's.
double negative_binomial_tail(int64_t k, double mean, double variance);

// The smallest k >= 0 with P(X >= k) <= tail, of the negative binomial distribution or, where the variance is at
// most the mean, of Poisson's: what a count must reach to be that unlikely. Means up to 1e9; the answer stops at
// 2^53.
int64_t count_at_tail(double mean, double variance, double tail);

// Of the mean of a Poisson number of which k were seen: the exact interval of F. Garwood (Biometrika 28, 1936).
// Ends are as exact as the tails.
struct Interval {
    double low, high;
};
Interval poisson_mean_interval(int64_t k, double confidence);

double normal_tail(double z);
double chi_squared_tail(double x, double df);

}  // namespace raxx
