-- Quantile sketches: the type, its aggregates, and what is asked of it. test/unit compares many more of them with the
-- values themselves.

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

-- 20,000 values of all magnitudes, without randomness, in no order; some are not counted.
CREATE TABLE measured AS
SELECT n, n % 7 AS part,
       CASE WHEN n % 97 = 0 THEN NULL WHEN n % 101 = 0 THEN 'NaN' WHEN n % 2500 = 1 THEN 'Infinity' WHEN n % 2500 = 2 THEN '-Infinity'
            WHEN n % 3 = 0 THEN (n * 7919 % 400)::float8
            ELSE (1 + n * 7919 % 1000 / 1000.0) * 2.0 ^ (n * 31 % 40 - 20) * (CASE WHEN n % 5 = 0 THEN -1 ELSE 1 END) END::float8 AS x
FROM generate_series(1, 20000) n;
ANALYZE measured;
CREATE TABLE sketches AS SELECT raxx_detect.quantile_sketch(x) AS sketch FROM measured;

-- ---- text ------------------------------------------------------------------------------------------------------------
SELECT raxx_detect.quantile_sketch(x) FROM (VALUES (1), (2), (2), (3.5), (-0.1), (-0.1), (0), (1e300), (513)) v(x);
SELECT raxx_detect.quantile_sketch(x) FROM (VALUES (float8 '-Infinity'), ('Infinity'), ('NaN'), (NULL), ('-0'), ('5e-324')) v(x);
-- As text and as bytes it comes back the same; no setting changes it.
SELECT sketch::text::raxx_detect.quantile_sketch::text = sketch::text AS text, octet_length(raxx_detect.quantile_sketch_send(sketch)) AS bytes,
       raxx_detect.quantile_sketch_send(sketch::text::raxx_detect.quantile_sketch) = raxx_detect.quantile_sketch_send(sketch) AS same_bytes
FROM sketches;
SET extra_float_digits = -10;
SELECT raxx_detect.quantile_sketch(0.1 + n / 3.0) FROM generate_series(1, 2) n;
RESET extra_float_digits;
-- Through a stored and compressed column, an array, a row and a variable.
CREATE TABLE stored (id int, sketch raxx_detect.quantile_sketch, many raxx_detect.quantile_sketch[]);
INSERT INTO stored SELECT 1, sketch, ARRAY[sketch, '1;0;;;', NULL] FROM sketches;
INSERT INTO stored SELECT 2, raxx_detect.quantile_sketch(x), ARRAY[raxx_detect.quantile_sketch(x)] FROM (VALUES (1), (7)) v(x);
SELECT id, s.sketch::text = k.sketch::text AS same, s.many[1]::text = s.sketch::text AS in_array, s.many[2], raxx_detect.sketch_count(s.sketch)
FROM stored s LEFT JOIN sketches k ON s.id = 1 ORDER BY id;
DO $$
DECLARE
    one raxx_detect.quantile_sketch := '1;0;;;';
    other raxx_detect.quantile_sketch;
BEGIN
    FOR n IN 1..3 LOOP
        other := one;
        one := raxx_detect.quantile_sketch_accumulate(one, n);
        RAISE NOTICE '%, before %', one, other;
    END LOOP;
    RAISE NOTICE '%', raxx_detect.quantile_sketch_combine(one, one);
    RAISE NOTICE '%', one;
END $$;
-- As pg_dump writes it and psql reads it.
CREATE TABLE restored (id int, sketch raxx_detect.quantile_sketch);
COPY restored FROM stdin;
1	1;3;-0.1;513;-261017:1,261888:1,264192:1
2	1;0;;;
3	\N
\.
COPY restored TO stdout;

-- ---- aggregates ------------------------------------------------------------------------------------------------------
SELECT raxx_detect.quantile_sketch(x) AS of_no_row FROM measured WHERE false;
SELECT raxx_detect.quantile_sketch(x) AS of_nothing FROM (VALUES (NULL::float8), ('NaN')) v(x);
SELECT raxx_detect.merge(sketch) AS of_no_sketch FROM sketches WHERE false;
SELECT raxx_detect.merge(s) AS of_nothing FROM (VALUES (NULL::raxx_detect.quantile_sketch), ('1;0;;;')) v(s);
-- Other types of numbers are cast.
SELECT raxx_detect.quantile_sketch(n) AS of_int, raxx_detect.quantile_sketch(n::numeric) AS of_numeric, raxx_detect.quantile_sketch(n::real) AS of_real
FROM generate_series(3, 4) n;
SELECT g % 3 AS third, raxx_detect.quantile_sketch(g), raxx_detect.quantile_sketch(DISTINCT g / 4) AS distinct_values,
       raxx_detect.quantile_sketch(g) FILTER (WHERE g > 9) AS filtered
FROM generate_series(1, 10) g GROUP BY ROLLUP (g % 3) ORDER BY third;
SELECT n, raxx_detect.quantile_sketch(n) OVER (ORDER BY n) AS so_far, raxx_detect.quantile_sketch(n) OVER (ORDER BY n ROWS 1 PRECEDING) AS last_two,
       raxx_detect.merge(s) OVER (ORDER BY n) AS merged, raxx_detect.quantile(raxx_detect.quantile_sketch(n) OVER (ORDER BY n), 0.5) AS median
FROM (SELECT n, raxx_detect.quantile_sketch(n) AS s FROM generate_series(0, 4) n GROUP BY n) g ORDER BY n;
-- However they are grouped, ordered and merged.
SELECT (SELECT raxx_detect.merge(s)::text FROM (SELECT raxx_detect.quantile_sketch(x) AS s FROM measured GROUP BY part) g) = sketch::text AS grouped,
       (SELECT raxx_detect.merge(s)::text FROM (SELECT raxx_detect.quantile_sketch(x) AS s FROM measured GROUP BY n) g) = sketch::text AS one_by_one,
       (SELECT raxx_detect.merge(s ORDER BY s::text)::text FROM (SELECT raxx_detect.quantile_sketch(x ORDER BY x) AS s FROM measured GROUP BY n % 500) g)
           = sketch::text AS ordered,
       (SELECT raxx_detect.quantile_sketch_combine(min(s::text) FILTER (WHERE half = 0)::raxx_detect.quantile_sketch,
                                                   min(s::text) FILTER (WHERE half = 1)::raxx_detect.quantile_sketch)::text
        FROM (SELECT n % 2 AS half, raxx_detect.quantile_sketch(x) AS s FROM measured GROUP BY 1) h) = sketch::text AS combined
FROM sketches;

-- A weight is so many values: as repeated rows, in groups, merged, and where nothing is left.
SELECT raxx_detect.quantile_sketch(x, w) AS weighted
FROM (VALUES (float8 '1', 2::bigint), (3.5, 1), (NULL, 3), ('NaN', 4), (-9, 0), (7, NULL), ('-0', 1), ('Infinity', 5)) v(x, w);
SELECT raxx_detect.quantile_sketch(x, 0) AS of_nothing, raxx_detect.quantile_sketch(n, 2) AS of_int FROM (VALUES (1.5, 3)) v(x, n);
CREATE TABLE weighed AS SELECT n % 11 AS part, x, (n % 4)::bigint AS w FROM measured;
SELECT one.s = many.s AS same, one.s = merged.s AS merged, one.n
FROM (SELECT raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch(x, w)) AS s, raxx_detect.sketch_count(raxx_detect.quantile_sketch(x, w)) AS n FROM weighed) one,
     (SELECT raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch(x)) AS s FROM weighed CROSS JOIN LATERAL generate_series(1, w)) many,
     (SELECT raxx_detect.quantile_sketch_send(raxx_detect.merge(s)) AS s FROM (SELECT raxx_detect.quantile_sketch(x, w) AS s FROM weighed GROUP BY part) g) merged;
DROP TABLE weighed;
SELECT refusal(format('SELECT raxx_detect.quantile_sketch(x, w) FROM (VALUES %s) v(x, w)', rows)) FROM (VALUES
    ('(1::float8, -1::bigint)'), ('(float8 ''NaN'', -1)'), ('(1, 9223372036854775807), (2, 1)'), ('(1, 9223372036854775807), (2, 0)')) v(rows);

-- In parallel as in one process.
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
CREATE TABLE parts AS SELECT raxx_detect.quantile_sketch(x) AS sketch FROM measured GROUP BY n % 1000;
ANALYZE parts;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
\set sketch 'SELECT raxx_detect.quantile_sketch(x) AS sketch FROM measured'
\set merge 'SELECT raxx_detect.merge(sketch) AS sketch FROM parts'
\set groups 'SELECT part, raxx_detect.quantile_sketch(x) AS sketch FROM measured GROUP BY part'
SELECT uses(:'sketch', 'Partial Aggregate') AS sketch, uses(:'merge', 'Partial Aggregate') AS merge, uses(:'groups', 'Partial') AS groups;
SELECT one.sketch::text = many.sketch::text AS same FROM sketches one, (:sketch) many;
SELECT one.sketch::text = many.sketch::text AS same FROM sketches one, (:merge) many;
CREATE TABLE by_part AS :groups;
SET max_parallel_workers_per_gather = 0;
SELECT count(*), count(*) FILTER (WHERE one.sketch::text = many.sketch::text) AS same FROM by_part one JOIN (:groups) many USING (part);
RESET ALL;

-- ---- quantiles -------------------------------------------------------------------------------------------------------
-- percentile_disc's value or less than 1/256 nearer to zero.
SELECT q, answer BETWEEN least(exact, exact * (1 - 1 / 256.0)) AND greatest(exact, exact * (1 - 1 / 256.0)) AS close,
       answer = exact AS equal
FROM (SELECT q, raxx_detect.quantile(sketch, q) AS answer,
             (SELECT percentile_disc(q) WITHIN GROUP (ORDER BY x) FROM measured WHERE x <> 'NaN') AS exact
      FROM sketches, unnest('{0,0.001,0.01,0.1,0.25,0.5,0.75,0.9,0.99,0.999,1}'::float8[]) q) a ORDER BY q;
SELECT count(*) AS whole, count(*) FILTER (WHERE raxx_detect.quantile(s, q / 1000.0) = p) AS same
FROM (SELECT q, raxx_detect.quantile_sketch(n % 513) AS s, percentile_disc(q / 1000.0) WITHIN GROUP (ORDER BY n % 513) AS p
      FROM generate_series(1, 3000) n, generate_series(0, 1000, 10) q GROUP BY q) w;
SELECT raxx_detect.quantile('1;0;;;', 0.5) AS of_none, raxx_detect.sketch_share_above('1;0;;;', 0.5) AS share, raxx_detect.sketch_count('1;0;;;'),
       raxx_detect.quantile(NULL, 0.5) AS n1, raxx_detect.quantile('1;0;;;', NULL) AS n2, raxx_detect.sketch_count(NULL) AS n3,
       raxx_detect.sketch_share_above(NULL, 1) AS n4;
SELECT x, raxx_detect.sketch_share_above(s, x)
FROM (SELECT raxx_detect.quantile_sketch(n) AS s FROM generate_series(1, 10) n) k, unnest('{-Infinity,0,1,1.5,5,9,10,Infinity}'::float8[]) x;

-- ---- sketch_ks_test --------------------------------------------------------------------------------------------------
-- On whole numbers up to 512 the d of ks_test, and its limit.
SELECT (s).d = (k).d AS same_d, abs((s).p_value / (k).p_value - 1) < 1e-9 AS same_p
FROM (SELECT raxx_detect.sketch_ks_test(raxx_detect.quantile_sketch(n * n % 499), raxx_detect.quantile_sketch(n % 400)) AS s,
             raxx_detect.ks_test(array_agg(n * n % 499), array_agg(n % 400)) AS k FROM generate_series(1, 1000) n) t;
SELECT raxx_detect.sketch_ks_test(sketch, sketch) FROM sketches;
SELECT raxx_detect.sketch_ks_test(NULL, '1;0;;;') IS NULL AS null_sketch;

-- ---- critical_count --------------------------------------------------------------------------------------------------
SELECT mean, variance, tail, raxx_detect.critical_count(mean, variance, tail)
FROM (VALUES (float8 '0', float8 '0', float8 '0.5'), (0, 0, 1), (3.5, 3.5, 1e-6), (3.5, 0, 1e-6), (3.5, 10, 1e-6), (100, 250, 0.001), (1e9, 1e9, 1e-9), (1e300, 1, 0.5)) v(mean, variance, tail);
SELECT count(*) AS checked, count(*) FILTER (WHERE raxx_detect.negative_binomial_upper_tail(k, mean, mean * 3) <= 1e-4
                                             AND raxx_detect.negative_binomial_upper_tail(k - 1, mean, mean * 3) > 1e-4) AS right_ones
FROM (SELECT mean, raxx_detect.critical_count(mean, mean * 3, 1e-4) AS k FROM generate_series(1, 500) mean) c;
SELECT raxx_detect.critical_count(NULL, 1, 0.5) AS n1, raxx_detect.critical_count(1, NULL, 0.5) AS n2, raxx_detect.critical_count(1, 1, NULL) AS n3;

-- ---- what is refused -------------------------------------------------------------------------------------------------
\pset format unaligned
\pset tuples_only on
SELECT refusal(format('SELECT %L::raxx_detect.quantile_sketch', input)) FROM (VALUES
    (''), ('{}'), ('1'), ('2;0;;;'), ('1;1;1;1;'), ('1;0;;;0:1'), ('1;2;1;1;261888:1'), ('1;1;1;1;261888:2'), ('1;1;1;1;261888:1,'), ('1;1;1;1;261888:-1'),
    ('1;2;1;2;262144:1,261888:1'), ('1;1;1;1;999999:1'), ('1;1;1;2;261888:1'), ('1;1;NaN;NaN;261888:1'), ('1;1;1e400;1;261888:1'),
    ('1;9223372036854775807;1;2;261888:9223372036854775807,262144:9223372036854775807'), ('1;1;1;1;261888:1;DROP'), ('1;1;' || repeat('x', 5000)),
    ('1;1;1;1;' || repeat('261888:1,', 2000))) v(input);
SELECT refusal('SELECT raxx_detect.' || call) FROM (VALUES
    ('quantile(''1;0;;;'', -0.1)'), ('quantile(''1;1;1;1;261888:1'', 1.1)'), ('quantile(''1;1;1;1;261888:1'', ''NaN'')'),
    ('sketch_share_above(''1;1;1;1;261888:1'', ''NaN'')'), ('sketch_ks_test(''1;0;;;'', ''1;1;1;1;261888:1'')'),
    ('sketch_ks_test(''1;1;1;1;261888:1'', ''1;0;;;'')'),
    ('quantile_sketch_accumulate(''1;9223372036854775807;1;1;261888:9223372036854775807'', 1)'),
    ('quantile_sketch_combine(''1;9223372036854775807;1;1;261888:9223372036854775807'', ''1;1;1;1;261888:1'')'),
    ('critical_count(-1, 1, 0.5)'), ('critical_count(''infinity'', 1, 0.5)'), ('critical_count(1, ''NaN'', 0.5)'),
    ('critical_count(1, 1, 0)'), ('critical_count(1, 1, 1.5)'), ('critical_count(1, 1, ''NaN'')')) c(call);

-- Bytes from a client are checked like text. (What COPY writes of a bytea it reads as the bytes of a sketch.)
SELECT current_setting('data_directory') || '/raxx_detect_sketch' AS file \gset
COPY stored (sketch) TO :'file' (FORMAT binary);
CREATE TABLE received (sketch raxx_detect.quantile_sketch);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) AS received, count(*) FILTER (WHERE r.sketch::text = s.sketch::text) AS same FROM received r FULL JOIN stored s ON r.sketch::text = s.sketch::text;
CREATE FUNCTION received(file text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('COPY (SELECT %L::bytea) TO %L (FORMAT binary)', bytes, file);
    RETURN refusal(format('COPY received FROM %L (FORMAT binary)', file));
END $$;
SELECT received(:'file', bytes) FROM (VALUES
    ('\x'::bytea), ('\x01'), ('\x02' || decode(repeat('00', 24), 'hex')), ('\x01' || decode(repeat('00', 23), 'hex')),
    ('\x01' || decode(repeat('00', 25), 'hex')), ('\x01' || decode(repeat('ff', 24), 'hex')), ('\x01' || decode(repeat('00', 36), 'hex')),
    ('\x01' || decode(repeat('00', 24), 'hex')), (raxx_detect.quantile_sketch_send('1;2;1;2;261888:1,262144:1')),
    (set_byte(raxx_detect.quantile_sketch_send('1;2;1;2;261888:1,262144:1'), 36, 2))) v(bytes);
SELECT refusal(format('COPY (SELECT) TO PROGRAM %L', format('rm -f "%s"', :'file'))) AS removed;
\pset format aligned
\pset tuples_only off

DROP FUNCTION received;
DROP TABLE received, measured, sketches, stored, restored, parts, by_part;
DROP FUNCTION refusal, uses;
