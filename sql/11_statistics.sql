-- Statistics: immutable, parallel safe, exact to 1e-11 relative. NULL arguments give NULL.

CREATE FUNCTION raxx_detect.poisson_upper_tail(k bigint, mean float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_poisson_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.poisson_upper_tail(bigint, float8) IS
'P(X >= k) of a Poisson distribution: the regularised lower incomplete gamma function P(k, mean). Error 22023 unless mean is finite and not negative.';

CREATE FUNCTION raxx_detect.binomial_upper_tail(k bigint, n bigint, p float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_binomial_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.binomial_upper_tail(bigint, bigint, float8) IS
'P(X >= k) of n trials that each succeed with probability p: the regularised incomplete beta function I_p(k, n - k + 1). Error 22023 for a negative n or a p outside 0 to 1.';

CREATE FUNCTION raxx_detect.negative_binomial_upper_tail(k bigint, mean float8, variance float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_negative_binomial_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.negative_binomial_upper_tail(bigint, float8, float8) IS
'P(X >= k) of a negative binomial distribution with this mean and variance, for counts more scattered than Poisson''s: I_x(k, r) with r = mean^2 / (variance - mean), x = 1 - mean / variance. A variance equal to the mean is Poisson. Error 22023 for a variance below the mean.';

CREATE FUNCTION raxx_detect.critical_count(mean float8, variance float8, tail float8) RETURNS bigint
AS 'MODULE_PATHNAME', 'raxx_critical_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.critical_count(float8, float8, float8) IS
'What a count must reach to be this unlikely: the smallest k >= 0 with P(X >= k) <= tail, where X is negative binomial of this mean and variance, or Poisson where the variance is at most the mean. Means up to 1e9; the answer stops at 2^53, which stands for a count that is never reached. Error 22023 unless mean and variance are finite, mean is not negative and tail is above 0 and at most 1.';

CREATE FUNCTION raxx_detect.poisson_interval(k bigint, confidence float8 DEFAULT 0.95, OUT low float8, OUT high float8) RETURNS record
AS 'MODULE_PATHNAME', 'raxx_poisson_interval' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.poisson_interval(bigint, float8) IS
'Of the mean of a Poisson number of which k were seen (0 to 1e9): the exact two-sided interval, Garwood''s. Under the low end k or more, and under the high end k or fewer, have the probability (1 - confidence) / 2. Error 22023 for a k out of range, or a confidence that is not between 0 and 1.';

CREATE FUNCTION raxx_detect.normal_upper_tail(z float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_normal_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.normal_upper_tail(float8) IS
'P(X >= z) of the standard normal distribution: erfc(z / sqrt(2)) / 2. Error 22023 for NaN.';

CREATE FUNCTION raxx_detect.chi_squared_upper_tail(x float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_chi_squared_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chi_squared_upper_tail(float8, float8) IS
'P(X >= x) of a chi-squared distribution with df degrees of freedom: the regularised upper incomplete gamma function Q(df / 2, x / 2). Error 22023 for NaN or a df that is not positive.';

CREATE FUNCTION raxx_detect.ks_test(x float8[], y float8[], OUT d float8, OUT p_value float8) RETURNS record
AS 'MODULE_PATHNAME', 'raxx_ks_test' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.ks_test(float8[], float8[]) IS
'Two-sample, two-sided Kolmogorov-Smirnov test, as ks.test of R 4.2: exact, ties included (Schroeer and Trenkler 1995), while the product of the sample sizes is below 10000, else the limiting distribution without a correction for small samples. NULL and NaN elements are left out. Error 22023 if a sample has no element left.';

CREATE FUNCTION raxx_detect.benford_accumulate(state bigint[], value numeric) RETURNS bigint[]
AS 'MODULE_PATHNAME', 'raxx_benford_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_accumulate(bigint[], numeric) IS 'Transition function of raxx_detect.benford.';

CREATE FUNCTION raxx_detect.benford_combine(state bigint[], other bigint[]) RETURNS bigint[]
AS 'MODULE_PATHNAME', 'raxx_benford_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_combine(bigint[], bigint[]) IS 'Combine function of raxx_detect.benford.';

CREATE TYPE raxx_detect.benford_test AS (n bigint, chi_squared float8, p_value float8, mad float8, skipped bigint);
COMMENT ON TYPE raxx_detect.benford_test IS 'What raxx_detect.benford returns.';

CREATE FUNCTION raxx_detect.benford_result(state bigint[]) RETURNS raxx_detect.benford_test
AS 'MODULE_PATHNAME', 'raxx_benford_result' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_result(bigint[]) IS 'Final function of raxx_detect.benford.';

CREATE AGGREGATE raxx_detect.benford(numeric) (
    SFUNC = raxx_detect.benford_accumulate, STYPE = bigint[], INITCOND = '{0,0,0,0,0,0,0,0,0,0}',
    COMBINEFUNC = raxx_detect.benford_combine, FINALFUNC = raxx_detect.benford_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.benford(numeric) IS
'How far the first significant digits are from Benford''s law, log10(1 + 1/d): their number n, chi-squared (8 degrees of freedom) and its p_value, the mean absolute deviation of the nine shares (Nigrini), and how many values were skipped because they have no first digit (zero, NaN, infinities). Signs do not matter; NULLs are ignored. Without any digit the statistics are NULL.';

CREATE FUNCTION raxx_detect.email_pattern(email text, OUT domain text, OUT registrable_domain text, OUT shape text)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_email_pattern' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.email_pattern(text) IS
'What an address has in common with others: its domain in lower case, the registrable domain by the public suffix list (libpsl''s built-in one), and the shape of its local part: without +tag and dots, each run of letters an a, each run of digits a 9. NULL where there is none; what is not an address has none at all.';
