// Every tail is P(X >= k) = pmf(k) * (1 + pmf(k + 1) / pmf(k) + ...), an incomplete gamma or beta function.
//
// pmf(k) in Loader's saddle-point form (C. Loader, "Fast and accurate computation of binomial probabilities",
// 2000): Stirling's formula with its error term, times exp(-deviance), where nothing large cancels. The sum is
// added up where it ends soon, and otherwise it is one of the integrals behind the incomplete functions
// (DLMF 8.2, 8.17), by the double exponential formula (H. Takahasi, M. Mori, "Double exponential formulas for
// numerical integration", Publ. RIMS 9, 1974): some 130 evaluations whatever the size of the arguments. What is
// summed or integrated is positive everywhere. Of the two tails the one without the mean is computed and the other
// is its complement, so that the subtraction never loses more than a digit; only where the pmf falls from the start
// (r or df / 2 below 1), the upper tail can be small below the mean, and is always computed itself.
#include "core/tails.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string>

namespace raxx {
namespace {

// With a mantissa of 64 bits the results are off by some 1e-15; where a long double is only a double, by some
// 1e-12.
using Real = long double;

// ---- Loader's saddle-point form ------------------------------------------------------------------------------

// log(1 + t) - t, which is about -t^2 / 2: with r = t / (2 + t), log(1 + t) = 2 (r + r^3 / 3 + r^5 / 5 + ...).
Real log1p_minus(Real t) {
    if (std::fabs(t) > 0.25L) return std::log1p(t) - t;
    constexpr int kTerms = 12;
    const Real r = t / (2 + t);
    const Real square = r * r;
    Real sum = 0;
    for (int i = kTerms; i > 0; --i) sum = square * (sum + 1 / static_cast<Real>(2 * i + 1));
    return r * (2 * sum - t);
}

// exp(-t) - 1 + t, which is about t^2 / 2, for t >= 0.
Real exp_minus(Real t) {
    if (t > 0.25L) return std::expm1(-t) + t;
    constexpr int kTerms = 16;
    Real sum = 0;
    for (int i = kTerms; i > 1; --i) sum = (1 - sum) * t / static_cast<Real>(i);
    return sum * t;
}

// x log(x / expected) + expected - x >= 0. The difference x - expected comes from the caller, who knows it exactly.
Real deviance(Real x, Real expected, Real difference) {
    if (std::fabs(difference) <= 0.2L * x) return -x * log1p_minus(-difference / x);
    return x * std::log(x / expected) - difference;
}

// log(Gamma(x + 1)) minus Stirling's formula, for x > 0.
Real stirling_error(Real x) {
    Real sum = 0;
    while (x < 16) {
        sum += (x + 0.5L) * std::log1p(1 / x) - 1;
        x += 1;
    }
    constexpr Real kCoefficients[] = {1 / 12.0L,   -1 / 360.0L,      1 / 1260.0L, -1 / 1680.0L,
                                      1 / 1188.0L, -691 / 360360.0L, 1 / 156.0L,  -3617 / 122400.0L};
    const Real step = 1 / (x * x);
    Real power = 1 / x;
    for (const Real coefficient : kCoefficients) {
        sum += coefficient * power;
        power *= step;
    }
    return sum;
}

// x^a e^-x / Gamma(a + 1): for an integer a the probability that a Poisson number of mean x is a.
Real gamma_prefix(Real a, Real x) {
    const Real exponent = -stirling_error(a) - deviance(a, x, a - x);
    return std::exp(exponent) / std::sqrt(2 * std::numbers::pi_v<Real> * a);
}

// Gamma(a + b + 1) / (Gamma(a + 1) Gamma(b + 1)) x^a y^b with x + y = 1 and difference = a - (a + b) x: for an
// integer a and b the probability of a successes in a + b trials. a, b, x, y > 0.
Real beta_prefix(Real a, Real b, Real x, Real y, Real difference) {
    const Real n = a + b;
    const Real exponent = stirling_error(n) - stirling_error(a) - stirling_error(b) -
                          deviance(a, n * x, difference) - deviance(b, n * y, -difference);
    return std::exp(exponent) * std::sqrt(n / (2 * std::numbers::pi_v<Real> * a) / b);
}

// ---- the sum: term by term, or as an integral ----------------------------------------------------------------

// 1 + r(0) + r(0) r(1) + ... False when that takes long, or when a ratio is negative (there the sum is no longer
// the tail). What is left out is at most term * r / (1 - r) where the ratios fall, and a few times that where they
// rise.
template <class Ratio>
bool sum_of_products(Real* result, Ratio&& ratio) {
    constexpr int kMostTerms = 512;
    Real sum = 1;
    Real term = 1;
    for (int i = 0; i < kMostTerms; ++i) {
        const Real next = ratio(static_cast<Real>(i));
        if (next < 0) return false;
        term *= next;
        sum += term;
        if (next < 1 && term * next < 1e-20L * sum * (1 - next)) {
            *result = sum;
            return true;
        }
    }
    return false;
}

// The double exponential formula for integrals from 0 to infinity of functions that decay like exp(-u):
// u = exp(t - exp(-t)), and the trapezoidal rule in t.
struct Node {
    Real u;
    Real weight;
};
constexpr int kNodes = 130;

const std::array<Node, kNodes>& nodes() {
    static const std::array<Node, kNodes> table = [] {
        constexpr Real kStep = 1 / 16.0L;
        constexpr Real kFirst = -3.9375L;
        std::array<Node, kNodes> made{};
        for (int i = 0; i < kNodes; ++i) {
            const Real t = kFirst + kStep * static_cast<Real>(i);
            const Real inner = std::exp(-t);
            const Real u = std::exp(t - inner);
            made[static_cast<size_t>(i)] = {u, kStep * u * (1 + inner)};
        }
        return made;
    }();
    return table;
}

// The integral of f over [0, infinity), where f decays like exp(-u) and is analytic but for the point 0.
template <class Function>
Real integrate(Function&& f) {
    Real sum = 0;
    for (const Node& node : nodes()) sum += node.weight * f(node.u);
    return sum;
}

// The integral of exp(-slope w - rest(w)) over [0, infinity): rest is convex and at most curvature w^2 / 2, and
// nearly that where it matters. So the exponent is about 1 where w is 1 / (slope + sqrt(curvature)).
template <class Rest>
Real integrate_decay(Real slope, Real curvature, Rest&& rest) {
    const Real scale = 1 / (slope + std::sqrt(curvature));
    return scale * integrate([&](Real u) { return std::exp(-slope * (scale * u) - rest(scale * u)); });
}

// ---- incomplete gamma functions ------------------------------------------------------------------------------

// P(a, x) for a >= 1 and 0 < x <= a; the integrand is exp(-a w) exp(x (1 - exp(-w))).
Real gamma_lower(Real a, Real x) {
    Real sum;
    if (!sum_of_products(&sum, [=](Real i) { return x / (a + 1 + i); }))
        sum = a * integrate_decay(a - x, x, [=](Real w) { return x * exp_minus(w); });
    return gamma_prefix(a, x) * sum;
}

// Q(a, x) for a >= 1 and x > a; the integrand is exp(-x w) (1 + w)^(a - 1).
Real gamma_upper(Real a, Real x) {
    Real sum;
    if (!sum_of_products(&sum, [=](Real i) { return (a - 1 - i) / x; }))
        sum = x * integrate_decay(x - a + 1, a - 1, [=](Real w) { return (1 - a) * log1p_minus(w); });
    return gamma_prefix(a, x) * (a / x) * sum;
}

// Q(a, x) for 0 < a < 1, integrated by parts so that the scale of the integrand is 1.
Real gamma_upper_small(Real a, Real x) {
    return gamma_prefix(a, x) * integrate([=](Real v) { return std::exp(-v) * std::expm1(a * std::log1p(v / x)); });
}

// ---- incomplete beta functions -------------------------------------------------------------------------------

// The integral of exp(-a w) (1 + odds (1 - exp(-w)))^c over [0, infinity), with slope = a - c odds >= 0 and c >= 0.
Real beta_integral(Real c, Real odds, Real slope) {
    return integrate_decay(slope, c * odds * (1 + odds), [=](Real w) {
        return c * odds * exp_minus(w) - c * log1p_minus(-odds * std::expm1(-w));
    });
}

// P(X >= k) for X of n trials with success p and failure q, 0 < k <= n, and k above the mean; difference = k - n p.
Real binomial_above(Real k, Real n, Real p, Real q, Real difference) {
    if (k == n) return std::exp(n * (p < 0.5L ? std::log(p) : std::log1p(-q)));
    Real sum;
    if (!sum_of_products(&sum, [=](Real i) { return (n - k - i) / (k + 1 + i) * (p / q); }))
        sum = k * beta_integral(n - k, p / q, difference / q);
    return beta_prefix(k, n - k, p, q, difference) * sum;
}

// Failures, each with probability fail, before r successes.
struct NegativeBinomial {
    Real mean;
    Real odds;  // fail / success
    Real r;
    Real success;
    Real fail;
};

Real negative_binomial_pmf(const NegativeBinomial& x, Real k) {
    return x.r / (x.r + k) * beta_prefix(k, x.r, x.fail, x.success, x.success * (k - x.mean));
}

// P(X >= k) for k >= 1, and k above the mean or r < 1.
Real negative_binomial_above(const NegativeBinomial& x, Real k) {
    if (k == 1) return -std::expm1(-x.r * std::log1p(x.odds));
    const Real pmf = negative_binomial_pmf(x, k);
    Real sum;
    if (sum_of_products(&sum, [&](Real i) { return (k + x.r + i) / (k + 1 + i) * x.fail; })) return pmf * sum;
    if (x.r >= 1) return pmf * (k / x.success) * beta_integral(x.r - 1, x.odds, k - x.mean + x.odds);
    // Integrated by parts, as in gamma_upper_small.
    const auto power = [&](Real v) { return std::expm1(x.r * std::log1p(-x.odds * std::expm1(-v / (k - 1)))); };
    return pmf * (k / x.success / x.mean) * integrate([&](Real v) { return std::exp(-v) * power(v); });
}

// P(X <= k) for 0 <= k <= the mean and r >= 1.
Real negative_binomial_below(const NegativeBinomial& x, Real k) {
    if (k == 0) return std::exp(-x.r * std::log1p(x.odds));
    const Real pmf = negative_binomial_pmf(x, k);
    Real sum;
    if (!sum_of_products(&sum, [&](Real i) { return (k - i) / (k - 1 - i + x.r) / x.fail; }))
        sum = (x.r + k) * beta_integral(k, 1 / x.odds, (x.mean - k) / x.odds);
    return pmf * sum;
}

// ---- arguments -----------------------------------------------------------------------------------------------

double probability(Real value) { return static_cast<double>(std::clamp(value, Real{0}, Real{1})); }

std::string text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    char buffer[32];
    char* const end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
}

// message: "mean is out of range"; detail: "The mean is -1."
[[noreturn]] void refuse(const std::string& what, const std::string& value, const char* hint) {
    throw Failure{sqlstate::kInvalidParameter, what + " is out of range", "The " + what + " is " + value + ".",
                  hint};
}

void check_mean(double mean) {
    if (!(mean >= 0) || std::isinf(mean)) refuse("mean", text(mean), "A mean is finite and at least 0.");
}

// ---- critical counts -----------------------------------------------------------------------------------------

constexpr int64_t kMostCriticalCount = int64_t{1} << 53;

// A count, whether P(X >= k) is at most the tail, and how far sqrt(-log P(X >= k)), which is nearly a line in k, is
// above that of the tail.
struct Point {
    int64_t k;
    bool rare;
    double excess;
};
struct Bracket {
    Point common;
    Point rare;
};

// From the mean on up in doubling steps.
template <class At>
Bracket bracket(double mean, double first_step, const Point& zero, At&& at) {
    Bracket found{zero, at(static_cast<int64_t>(std::min(mean, 0x1p53 - 1)) + 1)};
    auto step = static_cast<int64_t>(std::clamp(first_step, 1.0, 0x1p52));
    while (!found.rare.rare && found.rare.k < kMostCriticalCount) {
        found.common = found.rare;
        found.rare = at(step < kMostCriticalCount - found.common.k ? found.common.k + step : kMostCriticalCount);
        step = std::min(2 * step, kMostCriticalCount);
    }
    return found;
}

// By false position, Illinois variant; by halves where that cannot be computed or takes long.
template <class At>
int64_t first_rare(Bracket in, At&& at) {
    constexpr int kFewRounds = 30;
    int stayed = 0;  // below 0: how often in turn the common end did; above 0: the rare end
    for (int round = 0; in.rare.k - in.common.k > 1; ++round) {
        const int64_t width = in.rare.k - in.common.k;
        double share = in.common.excess / (in.common.excess - in.rare.excess);
        if (!(share > 0 && share < 1) || round >= kFewRounds) share = 0.5;
        const auto inside = static_cast<int64_t>(share * static_cast<double>(width));
        const Point middle = at(in.common.k + std::clamp<int64_t>(inside, 1, width - 1));
        // An end that stays for a second time counts half, so that a point beyond the root comes.
        if (middle.rare) {
            in.rare = middle;
            stayed = std::min(stayed, 0) - 1;
            if (stayed < -1) in.common.excess /= 2;
        } else {
            in.common = middle;
            stayed = std::max(stayed, 0) + 1;
            if (stayed > 1) in.rare.excess /= 2;
        }
    }
    return in.rare.k;
}

}  // namespace

double poisson_tail(int64_t k, double mean) {
    check_mean(mean);
    if (k <= 0) return 1;
    if (mean == 0) return 0;
    const auto a = static_cast<Real>(k);
    if (mean <= a) return probability(gamma_lower(a, mean));
    return probability(1 - gamma_upper(a, mean));
}

double binomial_tail(int64_t k, int64_t n, double p) {
    if (n < 0) refuse("number of trials", std::to_string(n), "A number of trials is at least 0.");
    if (!(p >= 0 && p <= 1)) refuse("probability", text(p), "A probability is between 0 and 1.");
    if (k <= 0) return 1;
    if (k > n || p == 0) return 0;
    if (p == 1) return 1;
    const auto trials = static_cast<Real>(n);
    const auto least = static_cast<Real>(k);
    const Real success = p;
    const Real failure = 1 - success;
    const Real difference = -std::fma(trials, success, -least);
    if (difference >= 0) return probability(binomial_above(least, trials, success, failure, difference));
    return probability(1 - binomial_above(trials - least + 1, trials, failure, success, 1 - difference));
}

double negative_binomial_tail(int64_t k, double mean, double variance) {
    check_mean(mean);
    if (!(variance >= mean) || std::isinf(variance))
        refuse("variance", text(variance),
               "A variance is finite and, in the negative binomial distribution, at least the mean.");
    if (variance == mean) return poisson_tail(k, mean);
    if (k <= 0) return 1;
    if (mean == 0) return 0;
    const Real excess = static_cast<Real>(variance) - static_cast<Real>(mean);
    const Real odds = excess / mean;
    const NegativeBinomial x{mean, odds, mean / odds, mean / static_cast<Real>(variance), excess / variance};
    const auto least = static_cast<Real>(k);
    if (x.r < 1 || least >= x.mean) return probability(negative_binomial_above(x, least));
    return probability(1 - negative_binomial_below(x, least - 1));
}

int64_t count_at_tail(double mean, double variance, double tail) {
    check_mean(mean);
    if (!std::isfinite(variance)) refuse("variance", text(variance), "A variance is finite.");
    if (!(tail > 0 && tail <= 1)) refuse("tail", text(tail), "A tail is a probability above 0 and at most 1.");
    if (tail == 1) return 0;
    const double scattered = std::max(mean, variance);
    const double wanted = std::sqrt(-std::log(tail));
    const auto at = [=](int64_t k) {
        const double p = negative_binomial_tail(k, mean, scattered);
        return Point{k, p <= tail, std::sqrt(-std::log(p)) - wanted};
    };
    // The first step is what a normal distribution would need at most.
    return first_rare(bracket(mean, std::sqrt(2 * scattered) * wanted, Point{0, false, -wanted}, at), at);
}

Interval poisson_mean_interval(int64_t k, double confidence) {
    if (k < 0 || k > 1'000'000'000) refuse("k", text(static_cast<double>(k)), "A count is from 0 to 1e9.");
    if (!(confidence > 0 && confidence < 1))
        refuse("confidence", text(confidence), "A confidence is between 0 and 1, without them.");
    const double tail = (1 - confidence) / 2;
    // The least mean, to the last bit, under which `least` or more are not rarer than p.
    const auto mean_of = [](int64_t least, double p) {
        double low = 0;
        double high = 2 * static_cast<double>(least) + 8;
        while (poisson_tail(least, high) < p) high *= 2;
        for (double middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2) {
            (poisson_tail(least, middle) < p ? low : high) = middle;
        }
        return high;
    };
    return {k == 0 ? 0 : mean_of(k, tail), mean_of(k + 1, 1 - tail)};
}

double normal_tail(double z) {
    if (std::isnan(z)) refuse("z", text(z), "A z is a number of standard deviations.");
    return probability(std::erfc(static_cast<Real>(z) / std::numbers::sqrt2_v<Real>) / 2);
}

double chi_squared_tail(double x, double df) {
    if (std::isnan(x)) refuse("x", text(x), "A value of chi-squared is a number.");
    if (!(df > 0) || std::isinf(df))
        refuse("number of degrees of freedom", text(df), "A number of degrees of freedom is finite and above 0.");
    if (x <= 0) return 1;
    if (std::isinf(x)) return 0;
    const Real a = static_cast<Real>(df) / 2;
    const Real half = static_cast<Real>(x) / 2;
    if (a < 1) return probability(gamma_upper_small(a, half));
    if (half > a) return probability(gamma_upper(a, half));
    return probability(1 - gamma_lower(a, half));
}

// ---- the boundary --------------------------------------------------------------------------------------------

Status poisson_upper_tail(int64_t k, double mean, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = poisson_tail(k, mean);
        return Status::ok;
    });
}

Status binomial_upper_tail(int64_t k, int64_t n, double p, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = binomial_tail(k, n, p);
        return Status::ok;
    });
}

Status negative_binomial_upper_tail(int64_t k, double mean, double variance, double* result,
                                    Error* error) noexcept {
    return guarded(error, [&] {
        *result = negative_binomial_tail(k, mean, variance);
        return Status::ok;
    });
}

Status critical_count(double mean, double variance, double tail, int64_t* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = count_at_tail(mean, variance, tail);
        return Status::ok;
    });
}

Status poisson_interval(int64_t k, double confidence, double* low, double* high, Error* error) noexcept {
    return guarded(error, [&] {
        const Interval interval = poisson_mean_interval(k, confidence);
        *low = interval.low;
        *high = interval.high;
        return Status::ok;
    });
}

Status normal_upper_tail(double z, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = normal_tail(z);
        return Status::ok;
    });
}

Status chi_squared_upper_tail(double x, double df, double* result, Error* error) noexcept {
    return guarded(error, [&] {
        *result = chi_squared_tail(x, df);
        return Status::ok;
    });
}

}  // namespace raxx
