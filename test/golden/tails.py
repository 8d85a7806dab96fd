#!/usr/bin/env python3
"""Makes tails.csv, the golden values of test/unit/tails_test.cpp: /usr/bin/python3 test/golden/tails.py (needs mpmath).

Every value is computed by one of two methods that share nothing with src/core/tails.cpp, the edges and every third
of the others by both where both end soon; they must agree to 1e-25, or nothing is written:
  sum       the probabilities added one by one as exact ratios of integers, the first one from loggamma
  fraction  the continued fractions and series of the incomplete gamma and beta functions (DLMF 8.7.1, 8.9.2, 8.17.22)

With arguments it makes another sweep: tails.py ROWS_PER_FUNCTION SEED FILE.
"""
import os
import random
import sys
from fractions import Fraction
from multiprocessing import Pool

from mpmath import erfc, exp, gammainc, log, loggamma, mp, mpf, sqrt

AGREE = mpf(10) ** -25
MOST_TERMS = 1_500_000
BITS = 256


def real(x):
    """A double, or a fraction of doubles, as an mpf."""
    return mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else mpf(x)


def precise(compute):
    """Computes with enough digits for 30 to be left of the result, whatever was subtracted on the way."""
    mp.dps = 70
    value = compute()
    if value is not None and value < mpf(10) ** -10:
        mp.dps = 400
        value = compute()
    return value


# ---- sum ------------------------------------------------------------------------------------------------------------

def add_up(ratio):
    """1 + r(0) + r(0) r(1) + ..., r(i) given as (numerator, denominator); None when it takes too long."""
    total = term = 1 << BITS
    for i in range(MOST_TERMS):
        numerator, denominator = ratio(i)
        before = term
        term = term * numerator // denominator
        total += term
        if term == 0 or (term < before and term * 2 ** 140 < total):
            rest = mpf(term) / mpf(before - term) * term if term else 0
            return (mpf(total) + rest) / 2 ** BITS
    return None


def poisson_sum(k, mean):
    m = Fraction(mean)
    if k > mean:
        first, sign = k, 1
        ratio = lambda i: (m.numerator, (k + 1 + i) * m.denominator)
    else:
        first, sign = k - 1, -1
        ratio = lambda i: (max(k - 1 - i, 0) * m.denominator, m.numerator)
    total = add_up(ratio)
    if total is None:
        return None
    pmf = exp(first * log(real(m)) - real(m) - loggamma(first + 1))
    return pmf * total if sign > 0 else 1 - pmf * total


def binomial_sum(k, n, p):
    p = Fraction(p)
    odds = p / (1 - p)
    if k > n * p:
        first, sign = k, 1
        ratio = lambda i: (max(n - k - i, 0) * odds.numerator, (k + 1 + i) * odds.denominator)
    else:
        first, sign = k - 1, -1
        ratio = lambda i: (max(k - 1 - i, 0) * odds.denominator, (n - k + 2 + i) * odds.numerator)
    total = add_up(ratio)
    if total is None:
        return None
    pmf = exp(loggamma(n + 1) - loggamma(first + 1) - loggamma(n - first + 1) + first * log(real(p)) +
              (n - first) * log(real(1 - p)))
    return pmf * total if sign > 0 else 1 - pmf * total


def negative_binomial_parts(mean, variance):
    mean, variance = Fraction(mean), Fraction(variance)
    return mean * mean / (variance - mean), (variance - mean) / variance


def negative_binomial_sum(k, mean, variance):
    r, fail = negative_binomial_parts(mean, variance)
    # Numerator and denominator of fail (k + r + i) / (k + 1 + i), with r = top / bottom.
    top, bottom = r.numerator, r.denominator
    a, b = fail.numerator, fail.denominator * bottom
    if k > mean or r < 1:
        if float(1 - fail) * MOST_TERMS < 100 and k < 1e9 * float(1 - fail):
            return None
        first, sign = k, 1
        ratio = lambda i: (a * ((k + i) * bottom + top), (k + 1 + i) * b)
    else:
        first, sign = k - 1, -1
        ratio = lambda i: ((k - 1 - i) * b, a * ((k - 2 - i) * bottom + top)) if i < k - 1 else (0, 1)
    total = add_up(ratio)
    if total is None:
        return None
    pmf = exp(loggamma(first + real(r)) - loggamma(real(r)) - loggamma(first + 1) + first * log(real(fail)) +
              real(r) * log(real(1 - fail)))
    return pmf * total if sign > 0 else 1 - pmf * total


# ---- fraction -------------------------------------------------------------------------------------------------------

def lentz(first, terms):
    """first + a1 / (b1 + a2 / (b2 + ...)), by the modified Lentz method; terms(i) is (a_i, b_i), from 1 on."""
    tiny = mpf(10) ** -1000
    f = first or tiny
    c, d = f, mpf(0)
    small = mpf(10) ** (5 - mp.dps)
    for i in range(1, 10_000_000):
        a, b = terms(i)
        d = 1 / ((b + a * d) or tiny)
        c = (b + a / c) or tiny
        f *= c * d
        if abs(c * d - 1) < small:
            return f
    raise ArithmeticError("the continued fraction does not converge")


def gamma_parts(a, x):
    """P(a, x) and Q(a, x), one of them as a complement."""
    front = exp(a * log(x) - x - loggamma(a))
    if x > a + 1:
        upper = front * lentz(mpf(0), lambda i: (1 if i == 1 else -(i - 1) * (i - 1 - a), x + 2 * i - 1 - a))
        return 1 - upper, upper
    term = total = 1 / a
    n = a
    while term > total * mpf(10) ** -mp.dps:
        n += 1
        term *= x / n
        total += term
    return front * total, 1 - front * total


def beta_fraction(a, b, x, y):
    """I_x(a, b) for x below its mean."""
    front = exp(loggamma(a + b) - loggamma(a + 1) - loggamma(b) + a * log(x) + b * log(y))

    def coefficient(i):
        m = i // 2
        if i % 2 == 0:
            return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))

    return front / lentz(mpf(1), lambda i: (coefficient(i), mpf(1)))


def beta_lower(a, b, x, y):
    if x * (a + b + 2) < a + 1:
        return beta_fraction(a, b, x, y)
    return 1 - beta_fraction(b, a, y, x)


def poisson_fraction(k, mean):
    return gamma_parts(mpf(k), mpf(mean))[0]


def chi_squared_fraction(x, df):
    return gamma_parts(mpf(df) / 2, mpf(x) / 2)[1]


def binomial_fraction(k, n, p):
    return beta_lower(mpf(k), mpf(n - k + 1), mpf(p), 1 - mpf(p))


def negative_binomial_fraction(k, mean, variance):
    r, fail = negative_binomial_parts(mean, variance)
    return beta_lower(mpf(k), real(r), real(fail), real(1 - fail))


def chi_squared_other(x, df):
    """For an even df the Poisson sum, for others mpmath's own function."""
    if df % 2 == 0:
        m, a = Fraction(x) / 2, int(df) // 2
        if x / 2 < a:
            return 1 - poisson_sum(a, x / 2)
        total = add_up(lambda i: (max(a - 1 - i, 0) * m.denominator, m.numerator))
        return None if total is None else exp((a - 1) * log(real(m)) - real(m) - loggamma(a)) * total
    return gammainc(mpf(df) / 2, mpf(x) / 2, regularized=True) if df < 2000 and x < 4000 else None


def normal(z):
    return erfc(mpf(z) / sqrt(mpf(2))) / 2


def normal_other(z):
    q = gamma_parts(mpf(1) / 2, mpf(z) * mpf(z) / 2)[1] / 2 if z else mpf(1) / 2
    return q if z >= 0 else 1 - q


# ---- the rows -------------------------------------------------------------------------------------------------------

METHODS = {
    "poisson": (poisson_sum, poisson_fraction),
    "binomial": (binomial_sum, binomial_fraction),
    "negative_binomial": (negative_binomial_sum, negative_binomial_fraction),
    "normal": (normal, normal_other),
    "chi_squared": (chi_squared_other, chi_squared_fraction),
}


def golden(row):
    """The row with its value and whether both methods were used; None for what is too small to be promised."""
    name, arguments, check = row
    first, second = METHODS[name]
    value = precise(lambda: first(*arguments))
    other = precise(lambda: second(*arguments)) if value is None or check else None
    mp.dps = 60
    if value is not None and other is not None and abs(value - other) > AGREE * other and other > mpf(10) ** -320:
        raise ArithmeticError(f"{name}{arguments}: {mp.nstr(value, 30)} is not {mp.nstr(other, 30)}")
    agreed = value is not None and other is not None
    value = other if value is None else value
    return (name, arguments, mp.nstr(value, 22), agreed) if value > mpf(10) ** -300 else None


def random_rows(count, seed):
    """Arguments over the whole range, most of them where the result is between 1e-300 and 1."""
    rng = random.Random(seed)
    exponential = lambda low, high: 10 ** rng.uniform(low, high)

    def near(mean, deviation):
        return max(1, min(10 ** 9, round(mean + rng.choice([rng.uniform(-6, 6), rng.uniform(-12, 38)]) * deviation)))

    for _ in range(count):
        mean = exponential(rng.choice([-12, -1, 3]), 9)
        k = rng.choice([near(mean, mean ** 0.5), rng.randint(1, 40), round(exponential(0, 3))])
        yield "poisson", (k, mean)
    for _ in range(count):
        n = rng.choice([rng.randint(1, 60), round(exponential(0, 9)), round(exponential(7, 9))])
        p = rng.choice([rng.random(), exponential(-9, 0), exponential(-300, 0), 1 - exponential(-12, 0),
                        min(0.99, exponential(-3, 3) / n)])
        k = rng.choice([near(n * p, (n * p * (1 - p)) ** 0.5), rng.randint(1, min(n, 40)), rng.randint(1, n), n])
        if 0 < p < 1:
            yield "binomial", (min(k, n), n, p)
    for _ in range(count):
        mean = exponential(rng.choice([-12, -1, 3]), rng.choice([3, 9]))
        variance = mean * (1 + exponential(rng.choice([-16, -6, 0]), rng.choice([0, 6, 12])))
        spread = rng.choice([variance ** 0.5, variance / mean, mean])
        k = rng.choice([near(mean, spread), near(mean, variance ** 0.5), rng.randint(1, 40), round(exponential(0, 6))])
        if variance > mean:
            yield "negative_binomial", (k, mean, variance)
    for _ in range(count // 4):
        yield "normal", (rng.choice([rng.uniform(-9, 37), rng.gauss(0, 1), exponential(-300, 1)]),)
    for _ in range(count):
        df = rng.choice([rng.randint(1, 60), exponential(-9, 9), exponential(7, 9), round(exponential(0, 9))])
        x = rng.choice([df + rng.uniform(-8, 45) * (2 * df) ** 0.5, df * exponential(-1, 1), exponential(-300, 3),
                        exponential(-3, 3)])
        if x > 0:
            yield "chi_squared", (x, float(df))


EDGES = [
    *[("poisson", (k, m)) for k in (1, 2, 170, 171, 10 ** 6, 10 ** 9)
      for m in (k * (1 - 1e-9), float(k), k * (1 + 1e-9), k - 0.5, k + 30 * k ** 0.5)],
    *[("poisson", arguments) for arguments in
      [(1, 1e-300), (1, 5e-290), (2, 1e-149), (10, 1e-29), (1, 1e300), (150, 1.0), (200, 1000.0), (10 ** 9, 999e6)]],
    *[("binomial", arguments) for arguments in
      [(1, 1, 1e-300), (1, 10 ** 9, 1e-300), (1, 10 ** 9, 1e-9), (2, 10 ** 9, 1e-12), (10 ** 9, 10 ** 9, 1 - 1e-9),
       (10 ** 9, 10 ** 9, 1 - 6e-7), (10 ** 9 - 5, 10 ** 9, 1 - 1e-9), (5 * 10 ** 8, 10 ** 9, 0.5),
       (5 * 10 ** 8 + 580_000, 10 ** 9, 0.5), (5 * 10 ** 8 - 580_000, 10 ** 9, 0.5), (1, 2, 0.5), (900, 1000, 0.5),
       (7, 10, 1 - 2 ** -53), (10 ** 6, 10 ** 9, 0.001), (1_035_000, 10 ** 9, 0.001), (999_000_000, 10 ** 9, 0.999),
       (1000, 1000, 0.5), (40, 10 ** 9, 1e-8), (3, 3, 2 ** -200)]],
    *[("negative_binomial", arguments) for arguments in
      [(1, 1.0, 1e300), (10, 1.0, 1e300), (10 ** 9, 1.0, 1e200), (5, 3.0, 3.0000000000000004), (30, 3.0, 3.0000000001),
       (10 ** 9, 1e9, 1.0000000000001e9), (1_001_000_000, 1e9, 1.0000001e9), (1_030_000_000, 1e9, 1e12),
       (10 ** 9, 1e9, 1e18), (10 ** 9, 1e9, 2e18), (10 ** 9, 1e8, 1e16), (10 ** 9, 1e7, 1e15), (2, 1.0, 2.0),
       (700, 1.0, 2.0), (1, 1e-290, 1e-280), (2, 1e-8, 1.0), (100, 50.0, 2550.0), (20, 50.0, 2551.0), (3, 1e6, 1e13),
       (1, 1e9, 1e18 + 1e9), (600_000_000, 1e6, 1e12), (10 ** 9, 1000.0, 1e9), (2, 1e3, 1e24), (500, 1e3, 1e30),
       (10 ** 6, 1e8, 1e40)]],
    *[("normal", (z,)) for z in (0.0, 1e-20, -1e-20, 1.0, -1.0, 1.959963984540054, 6.0, 30.0, 37.0, 37.04, -37.0)],
    *[("chi_squared", arguments) for arguments in
      [(15.507313055865453, 8.0), (1e-300, 1e-300), (1e-300, 1e-3), (1e-300, 1.0), (1e-9, 1e-9), (1370.0, 1.0),
       (1e-3, 2.0), (1380.0, 2.0), (1e9, 1e9), (1e9 + 1.6e6, 1e9), (1e9 - 3e5, 1e9), (999999999.5, 1e9 - 0.25),
       (1.0, 1.0), (2.0, 1.9999999), (0.5, 1e-12), (700.0, 1e-12), (3.0, 3.5)]],
]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20000101
    tasks = [(name, arguments, True) for name, arguments in EDGES]
    tasks += [(name, arguments, index % 3 == 0) for index, (name, arguments) in enumerate(random_rows(count, seed))]
    with Pool() as pool:
        rows = [row for row in pool.imap(golden, tasks, chunksize=1) if row]
    path = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "tails.csv")
    twice = sum(row[3] for row in rows)
    with open(path, "w") as file:
        file.write(f"# Made by test/golden/tails.py: {len(rows)} rows, {twice} computed two ways.\n")
        file.write("function,argument1,argument2,argument3,upper_tail\n")
        for name, arguments, value, _ in rows:
            padded = [repr(argument) for argument in arguments] + [""] * (3 - len(arguments))
            file.write(",".join([name, *padded, value]) + "\n")


if __name__ == "__main__":
    main()
