-- The statistics: tail probabilities, the two-sample Kolmogorov-Smirnov test and Benford's law. The values are those of
-- R 4.2 and of mpmath at 60 digits; test/unit checks many more of them.
SET extra_float_digits = -5;  -- ten significant digits

-- Calls a statement that should be refused, and says how it was.
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN format('%s %s | %s | %s', sqlstate, sqlerrm, detail, hint);
END $$;

-- ---- upper tails: P(X >= k) ----------------------------------------------------------------------------------------
CREATE TABLE known (call text, value float8);
INSERT INTO known VALUES
    ('poisson_upper_tail(1, 1)', 0.63212055882855768),
    ('poisson_upper_tail(3, 3.7)', 0.71456688689993176),
    ('poisson_upper_tail(10, 0.5)', 1.7096700293489034e-10),
    ('poisson_upper_tail(20, 4.25)', 2.7095427454996104e-8),
    ('poisson_upper_tail(50, 100)', 0.99999998821549928),
    ('poisson_upper_tail(100, 50)', 3.2000653245851253e-10),
    ('poisson_upper_tail(1000, 500)', 3.2982727970670996e-86),
    ('binomial_upper_tail(1, 10, 0.5)', 0.9990234375),
    ('binomial_upper_tail(8, 10, 0.5)', 0.0546875),
    ('binomial_upper_tail(5, 1000, 0.001)', 0.0036368780295217905),
    ('binomial_upper_tail(30, 40, 0.25)', 4.6308808977392892e-11),
    ('binomial_upper_tail(60, 100, 0.5)', 0.028443966820490396),
    ('binomial_upper_tail(500, 10000, 0.01)', 1.0712117448913546e-181),
    ('binomial_upper_tail(100, 100, 0.001)', 1.0000000000000021e-300),
    ('negative_binomial_upper_tail(1, 2, 3)', 0.80246913580246914),
    ('negative_binomial_upper_tail(10, 4.25, 9)', 0.05971969718194897),
    ('negative_binomial_upper_tail(100, 10, 50)', 1.4809063967342147e-8),
    ('negative_binomial_upper_tail(5, 0.5, 0.6)', 0.001205780648699537),
    ('normal_upper_tail(0)', 0.5),
    ('normal_upper_tail(1)', 0.15865525393145705),
    ('normal_upper_tail(1.959963984540054)', 0.025000000000000011),
    ('normal_upper_tail(-3)', 0.99865010196836991),
    ('normal_upper_tail(6)', 9.8658764503769814e-10),
    ('normal_upper_tail(37)', 5.7255712225245768e-300),
    ('chi_squared_upper_tail(3.841458820694124, 1)', 0.050000000000000057),
    ('chi_squared_upper_tail(15.507, 8)', 0.050005219283280794),
    ('chi_squared_upper_tail(2, 2)', 0.36787944117144232),
    ('chi_squared_upper_tail(0.5, 3)', 0.91889141165467586),
    ('chi_squared_upper_tail(100, 8)', 4.2691592051449344e-18),
    ('chi_squared_upper_tail(1000, 8)', 1.4932281660406589e-210);
CREATE FUNCTION value_of(call text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    value float8;
BEGIN
    EXECUTE 'SELECT raxx_detect.' || call INTO value;
    RETURN value;
END $$;
SELECT call, value_of(call) AS value, abs(value_of(call) / value - 1) < 1e-11 AS as_known FROM known ORDER BY call COLLATE "C";

-- The ends of the ranges.
SELECT call, value_of(call) FROM (VALUES
    ('poisson_upper_tail(0, 5)'), ('poisson_upper_tail(-7, 5)'), ('poisson_upper_tail(1, 0)'), ('poisson_upper_tail(0, 0)'),
    ('poisson_upper_tail(9223372036854775807, 1e9)'), ('poisson_upper_tail(1000000000, 1000000000)'),
    ('binomial_upper_tail(0, 0, 0.5)'), ('binomial_upper_tail(1, 0, 0.5)'), ('binomial_upper_tail(11, 10, 0.5)'),
    ('binomial_upper_tail(10, 10, 1)'), ('binomial_upper_tail(1, 10, 0)'), ('binomial_upper_tail(0, 10, 0)'),
    ('binomial_upper_tail(-1, 10, 0)'), ('binomial_upper_tail(500000000, 1000000000, 0.5)'),
    ('negative_binomial_upper_tail(0, 3, 4)'), ('negative_binomial_upper_tail(1, 0, 0)'), ('negative_binomial_upper_tail(1, 0, 4)'),
    ('normal_upper_tail(''infinity'')'), ('normal_upper_tail(''-infinity'')'), ('normal_upper_tail(40)'),
    ('chi_squared_upper_tail(0, 3)'), ('chi_squared_upper_tail(-1, 3)'), ('chi_squared_upper_tail(''infinity'', 3)')) c(call);
-- Some of them are others' limits or sums.
SELECT raxx_detect.negative_binomial_upper_tail(7, 3.5, 3.5) = raxx_detect.poisson_upper_tail(7, 3.5) AS poisson,
       abs(raxx_detect.chi_squared_upper_tail(2 * 3.5, 2 * 7) / (1 - raxx_detect.poisson_upper_tail(7, 3.5)) - 1) < 1e-11 AS chi_squared,
       abs(raxx_detect.normal_upper_tail(2) * 2 / raxx_detect.chi_squared_upper_tail(4, 1) - 1) < 1e-11 AS normal,
       (SELECT bool_and(abs(raxx_detect.binomial_upper_tail(k, 20, 0.3) + raxx_detect.binomial_upper_tail(21 - k, 20, 0.7) - 1) < 1e-14)
        FROM generate_series(0, 21) k) AS mirrored,
       (SELECT bool_and(raxx_detect.poisson_upper_tail(k, 30) > raxx_detect.poisson_upper_tail(k + 1, 30))
        FROM generate_series(1, 200) k) AS falling;

SELECT raxx_detect.poisson_upper_tail(NULL, 1) AS p1, raxx_detect.poisson_upper_tail(1, NULL) AS p2, raxx_detect.binomial_upper_tail(1, 2, NULL) AS b,
       raxx_detect.negative_binomial_upper_tail(1, 2, NULL) AS n, raxx_detect.normal_upper_tail(NULL) AS z,
       raxx_detect.chi_squared_upper_tail(NULL, 1) AS c;

\pset format unaligned
\pset tuples_only on
SELECT refusal('SELECT raxx_detect.' || call) FROM (VALUES
    ('poisson_upper_tail(1, -0.5)'), ('poisson_upper_tail(1, ''NaN'')'), ('poisson_upper_tail(1, ''infinity'')'),
    ('binomial_upper_tail(1, -1, 0.5)'), ('binomial_upper_tail(1, 1, 1.5)'), ('binomial_upper_tail(1, 1, -0.5)'), ('binomial_upper_tail(1, 1, ''NaN'')'),
    ('negative_binomial_upper_tail(1, 2, 1.5)'), ('negative_binomial_upper_tail(1, -2, 1)'), ('negative_binomial_upper_tail(1, 2, ''infinity'')'),
    ('normal_upper_tail(''NaN'')'), ('chi_squared_upper_tail(''NaN'', 1)'), ('chi_squared_upper_tail(1, 0)'), ('chi_squared_upper_tail(1, ''infinity'')')) c(call);
\pset format aligned
\pset tuples_only off

-- ---- ks_test -------------------------------------------------------------------------------------------------------
-- Schroeer and Trenkler (1995), with ties: 3/7 and 8/33.
SELECT *, abs(d - 3.0 / 7) < 1e-15 AS d_known, abs(p_value - 8.0 / 33) < 1e-15 AS p_known
FROM raxx_detect.ks_test('{1,2,2,3,3}', '{1,2,3,3,4,5,6}');
-- ?ks.test: airquality, Ozone in May and in August, with ties and missing values.
SELECT *, abs(p_value / 0.00069188504870532075 - 1) < 1e-9 AS p_known FROM raxx_detect.ks_test(
    '{41,36,12,18,NULL,28,23,19,8,NULL,7,16,11,14,18,14,34,6,30,11,1,11,4,32,NULL,NULL,NULL,23,45,115,37}',
    '{39,9,16,78,35,66,122,89,110,NULL,NULL,44,28,65,NULL,22,59,23,31,44,21,9,NULL,45,168,73,NULL,76,118,84,85}');
-- warpbreaks, by wool.
SELECT *, abs(p_value / 0.68156321725001945 - 1) < 1e-9 AS p_known FROM raxx_detect.ks_test(
    '{26,30,54,25,70,52,51,26,67,18,21,29,17,12,18,35,30,36,36,21,24,18,10,43,28,15,26}',
    '{27,14,29,19,29,31,41,20,44,42,26,19,16,39,28,21,39,29,20,21,24,17,13,15,15,16,28}');
-- Exact without ties: 1:30 and 16:45.
SELECT *, abs(p_value / 0.000899577684065012 - 1) < 1e-9 AS p_known
FROM raxx_detect.ks_test(ARRAY(SELECT generate_series(1, 30)), ARRAY(SELECT generate_series(16, 45)));
-- From n m = 10000 on asymptotic: squares mod 997 against multiples of 7.13.
SELECT *, abs(p_value / 0.0019915285481881817 - 1) < 1e-6 AS p_known
FROM raxx_detect.ks_test(ARRAY(SELECT n * n % 997 FROM generate_series(1, 150) n), ARRAY(SELECT n * 7.13 FROM generate_series(1, 100) n));
-- The same sample, disjoint samples, one value each; the order of values and of samples does not matter.
SELECT (raxx_detect.ks_test(s, s)).* FROM (SELECT ARRAY(SELECT generate_series(1, 40)::float8) AS s) x;
SELECT (raxx_detect.ks_test(ARRAY(SELECT generate_series(1, 100)), ARRAY(SELECT generate_series(101, 220)))).*;
SELECT (raxx_detect.ks_test('{1}', '{2}')).*;
SELECT a.d = b.d AND a.p_value = b.p_value AS symmetric
FROM raxx_detect.ks_test('{3,1,2,2,7}', '{5,1,9}') a, raxx_detect.ks_test('{9,5,1}', '{7,2,2,1,3}') b;
-- NULL and NaN are left out, infinities are values, the two zeros are one.
SELECT * FROM raxx_detect.ks_test('{NULL,1,NaN,2,3,NULL}', '{2.5,NaN,4,5}');
SELECT * FROM raxx_detect.ks_test('{-Infinity,1,2,3}', '{0,3,Infinity,5,6}');
SELECT * FROM raxx_detect.ks_test('{-0,0,1}', '{0,-0,-1}');
SELECT * FROM raxx_detect.ks_test('{{1,2},{3,4}}', '[5:7]={1,2,9}');
SELECT raxx_detect.ks_test(NULL, '{1}') IS NULL AS null_sample;
\pset format unaligned
\pset tuples_only on
SELECT refusal('SELECT raxx_detect.' || call) FROM (VALUES
    ('ks_test(''{}'', ''{1}'')'), ('ks_test(''{1}'', ''{}'')'), ('ks_test(''{NULL,NaN}'', ''{1}'')')) c(call);
\pset format aligned
\pset tuples_only off

-- ---- benford -------------------------------------------------------------------------------------------------------
-- The powers of two follow the law; numbers with all first digits alike do not (chi-squared as chisq.test of R).
WITH RECURSIVE powers AS (SELECT 0 AS n, 1::numeric AS value UNION ALL SELECT n + 1, value * 2 FROM powers WHERE n < 199)
SELECT (raxx_detect.benford(value)).* FROM powers;
SELECT (raxx_detect.benford((d || 'e' || e)::numeric)).* FROM generate_series(1, 9) d, generate_series(-50, 49) e;
SELECT (raxx_detect.benford(repeated.d)).* FROM unnest('{301,176,125,97,79,67,58,51,46}'::int[]) WITH ORDINALITY t(times, d)
CROSS JOIN LATERAL (SELECT t.d FROM generate_series(1, t.times)) repeated(d);
-- The first digit of whatever a numeric can be; the sign does not matter.
SELECT count(*) AS checked, count(*) FILTER (WHERE
    raxx_detect.benford_accumulate('{0,0,0,0,0,0,0,0,0,0}', sign * (d || rest || 'e' || e)::numeric)
    <> (SELECT array_agg((place = d)::int::bigint ORDER BY place) FROM generate_series(1, 10) place)) AS wrong
FROM generate_series(1, 9) d, unnest('{"",.0,.99999999999999999999,.000000000000001}'::text[]) rest,
     generate_series(-60, 60) e, unnest('{1,-1}'::int[]) sign;
SELECT name, (t).n, (t).skipped, (t).chi_squared IS NULL AS no_statistics
FROM (SELECT name, raxx_detect.benford(value) AS t
      FROM (VALUES ('1e-300', 1e-300), ('1e300', 1e300), ('-1e-300', -1e-300), ('largest', 9.9e131071), ('smallest', 1e-16383),
                   ('0', 0), ('0.000', 0.000), ('NaN', 'NaN'), ('infinity', 'Infinity'), ('-infinity', '-Infinity'), ('null', NULL)) v(name, value)
      GROUP BY name) b
ORDER BY name COLLATE "C";
SELECT (raxx_detect.benford(NULL::numeric)).*;
SELECT (raxx_detect.benford(1::numeric) FILTER (WHERE false)).*;
-- As other aggregates: by groups, filtered, distinct, over a window.
SELECT n % 3 AS third, (raxx_detect.benford(n)).* FROM generate_series(1, 1000) n GROUP BY ROLLUP (n % 3) ORDER BY third;
SELECT (raxx_detect.benford(DISTINCT n % 100)).n AS distinct_values, (raxx_detect.benford(n) FILTER (WHERE n > 900)).n AS filtered
FROM generate_series(1, 1000) n;
SELECT n, (raxx_detect.benford(n) OVER (ORDER BY n)).n AS so_far, (raxx_detect.benford(n) OVER (ORDER BY n ROWS 2 PRECEDING)).n AS last_three
FROM generate_series(0, 4) n;
\pset format unaligned
\pset tuples_only on
SELECT refusal('SELECT raxx_detect.' || call) FROM (VALUES
    ('benford_accumulate(''{0,0}'', 1)'), ('benford_combine(''{0,0,0,0,0,0,0,0,0,0}'', ''{1}'')'), ('benford_result(''{1,NULL,0,0,0,0,0,0,0,0}'')'),
    ('benford_result(''{{0,0,0,0,0},{0,0,0,0,0}}'')'), ('benford_result(''{-1,0,0,0,0,0,0,0,0,0}'')')) c(call);
\pset format aligned
\pset tuples_only off

-- ---- in parallel as in one process ---------------------------------------------------------------------------------
CREATE TABLE numbers AS
SELECT n, CASE WHEN n % 97 = 0 THEN 0 WHEN n % 101 = 0 THEN 'NaN' WHEN n % 103 = 0 THEN NULL ELSE (hashint8extended(n, 1) % 100000)::numeric / 7 END AS value
FROM generate_series(1, 20000) n;
ANALYZE numbers;
CREATE FUNCTION uses(statement text, node text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        found := found OR strpos(line, node) > 0;
    END LOOP;
    RETURN found;
END $$;
\set benford 'SELECT raxx_detect.benford(value) AS result FROM numbers'
\set tails 'SELECT sum(round(raxx_detect.poisson_upper_tail(n % 50, n % 37)::numeric, 9)) AS tails, sum((raxx_detect.email_pattern(n || chr(64) || n || ''.example.org'')).shape::bigint) AS shapes FROM numbers'
SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS :benford;
SELECT (result).n, (result).skipped, (result).mad FROM serial;
:tails;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT uses(:'benford', 'Partial Aggregate') AS benford, uses(:'tails', 'Partial Aggregate') AS tails;
SELECT serial.result = parallel.result AS same FROM serial, (:benford) parallel;
:tails;
SET enable_partitionwise_aggregate = on;
SELECT count(*) AS groups, sum((result).n) AS digits, sum((result).skipped) AS skipped
FROM (SELECT raxx_detect.benford(value) AS result FROM numbers GROUP BY n % 10) g;
RESET ALL;

DROP TABLE known, numbers, serial;
DROP FUNCTION refusal, value_of, uses;
