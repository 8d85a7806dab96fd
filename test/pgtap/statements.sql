-- The series of statement_samples: intervals between snapshots against a naive twin; resets, evictions, ties and hostile
-- numbers; retention; the statements that moved a percentile; pg_stat_monitor's histogram from an extension that
-- imitates its interface. What needs a server that preloads pg_stat_statements is in test/tap/statements.pl.
BEGIN;
SELECT plan(72);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.binding() RETURNS raxx_detect.source_bindings LANGUAGE sql AS
    $$ SELECT b FROM raxx_detect.source_bindings b WHERE b.source = 'statement_samples' $$;
CREATE FUNCTION pg_temp.intervals(from_time text DEFAULT '-infinity', to_time text DEFAULT 'infinity')
RETURNS TABLE (at text, queryid bigint, calls bigint, mean_ms float8) LANGUAGE sql AS
    $$ SELECT to_char(i.at, 'DD HH24:MI'), i.queryid, i.calls, i.mean_ms
       FROM raxx_detect.statement_intervals(pg_temp.binding(), from_time::timestamptz, to_time::timestamptz) i ORDER BY i.queryid, i.at $$;

-- ---- intervals, on a relation of somebody else's, with other names and types ---------------------------------------
CREATE TABLE "My Samples" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "at ""noon""" timestamptz, query numeric, n numeric, spent numeric);
CREATE FUNCTION pg_temp.sample(at text, query numeric, n numeric, spent numeric) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO public."My Samples" ("at ""noon""", query, n, spent) VALUES (at::timestamptz, query, n, spent) $$;
SELECT lives_ok($$SELECT raxx_detect.bind_source('statement_samples', 'public."My Samples"',
    '{"sample_time": "at \"noon\"", "queryid": "query", "calls": "n", "total_ms": "spent"}')$$, 'any relation can be bound');
SELECT is_empty('SELECT * FROM pg_temp.intervals()', 'no samples, no intervals');

-- Statement 1: a first sample, 10 calls of 2 ms, a sample without a call, 5 calls of 4 ms.
SELECT pg_temp.sample('2026-06-01 12:00', 1, 100, 1000);
SELECT is_empty('SELECT * FROM pg_temp.intervals()', 'a first sample has no known beginning');
SELECT pg_temp.sample('2026-06-01 12:01', 1, 110, 1020), pg_temp.sample('2026-06-01 12:02', 1, 110, 1020), pg_temp.sample('2026-06-01 12:05', 1, 115, 1040);
SELECT results_eq('SELECT * FROM pg_temp.intervals()',
    $$VALUES ('01 12:01', 1::bigint, 10::bigint, 2::float8), ('01 12:05', 1, 5, 4)$$, 'the mean of the calls between two samples; without a call there is none');
SELECT results_eq($$SELECT at FROM pg_temp.intervals('2026-06-01 12:01', '2026-06-01 12:05')$$, $$VALUES ('01 12:05')$$, 'the period is (from, to]');
SELECT results_eq($$SELECT at FROM pg_temp.intervals('2026-06-01 12:00:59.999999', '2026-06-01 12:04:59.999999')$$, $$VALUES ('01 12:01')$$, 'to the microsecond');
SELECT results_eq($$SELECT at, mean_ms FROM pg_temp.intervals('2026-06-01 12:04')$$, $$VALUES ('01 12:05', 4::float8)$$, 'the sample before the period is read, too');

-- Statement 2 was reset: calls fell. 3 was evicted and came back with as many calls, but less time. 4 was reset to nothing.
SELECT pg_temp.sample('2026-06-01 12:00', 2, 50, 500), pg_temp.sample('2026-06-01 12:01', 2, 4, 12), pg_temp.sample('2026-06-01 12:02', 2, 6, 22);
SELECT results_eq('SELECT * FROM pg_temp.intervals() WHERE queryid = 2',
    $$VALUES ('01 12:01', 2::bigint, 4::bigint, 3::float8), ('01 12:02', 2, 2, 5)$$, 'after a reset counting begins at zero');
SELECT pg_temp.sample('2026-06-01 12:00', 3, 7, 70), pg_temp.sample('2026-06-01 12:09', 3, 7, 35);
SELECT results_eq('SELECT calls, mean_ms FROM pg_temp.intervals() WHERE queryid = 3', 'VALUES (7::bigint, 5::float8)', 'less time is a reset, too');
SELECT pg_temp.sample('2026-06-01 12:00', 4, 7, 70), pg_temp.sample('2026-06-01 12:01', 4, 0, 0), pg_temp.sample('2026-06-01 12:02', 4, 2, 8);
SELECT results_eq('SELECT * FROM pg_temp.intervals() WHERE queryid = 4', $$VALUES ('01 12:02', 4::bigint, 2::bigint, 4::float8)$$, 'zero calls are no interval, but a sample');
-- 5 vanishes, and comes back after 24 hours: that is too long. A microsecond less is not.
SELECT pg_temp.sample('2026-06-01 12:00', 5, 10, 10), pg_temp.sample('2026-06-02 12:00', 5, 20, 30), pg_temp.sample('2026-06-03 11:59:59.999999', 5, 21, 33);
SELECT results_eq('SELECT at, calls, mean_ms FROM pg_temp.intervals() WHERE queryid = 5', $$VALUES ('03 11:59', 1::bigint, 3::float8)$$, 'samples 24 hours apart are not successive');
SELECT pg_temp.sample('2026-06-01 12:00', 6, 90, 10), pg_temp.sample('2026-06-05 12:00', 6, 3, 30);
SELECT is_empty('SELECT * FROM pg_temp.intervals() WHERE queryid = 6', 'nor are they when the counters fell in between, since nobody knows when');
-- 7 has several samples at one time: the one with the most calls, then the longest time, counts, in whatever order they lie.
SELECT pg_temp.sample('2026-06-01 12:01', 7, 14, 100), pg_temp.sample('2026-06-01 12:00', 7, 10, 70), pg_temp.sample('2026-06-01 12:01', 7, 14, 110),
       pg_temp.sample('2026-06-01 12:00', 7, 2, 5), pg_temp.sample('2026-06-01 12:01', 7, 14, 110), pg_temp.sample('2026-06-01 12:02', 7, 15, 120);
SELECT results_eq('SELECT at, calls, mean_ms FROM pg_temp.intervals() WHERE queryid = 7',
    $$VALUES ('01 12:01', 4::bigint, 10::float8), ('01 12:02', 1, 10)$$, 'one sample of those at one time counts');
-- What is no number of calls or no time is as if it were not there; nor does any of it raise an error.
SELECT pg_temp.sample('2026-06-01 12:00', 8, 10, 10), pg_temp.sample('2026-06-01 12:01', 8, 'NaN', 10), pg_temp.sample('2026-06-01 12:02', 8, 'Infinity', 10),
       pg_temp.sample('2026-06-01 12:03', 8, -5, 10), pg_temp.sample('2026-06-01 12:04', 8, 11, 'NaN'), pg_temp.sample('2026-06-01 12:05', 8, 12, 'Infinity'),
       pg_temp.sample('2026-06-01 12:06', 8, 13, -1), pg_temp.sample('2026-06-01 12:07', 8, 1e30, 10), pg_temp.sample('2026-06-01 12:08', 8, 14, 1e400),
       pg_temp.sample('2026-06-01 12:09', 8, NULL, 10), pg_temp.sample('2026-06-01 12:10', 8, 15, NULL), pg_temp.sample(NULL, 8, 16, 20),
       pg_temp.sample('infinity', 8, 17, 20), pg_temp.sample('-infinity', 8, 1, 1), pg_temp.sample('4700-01-01 BC', 8, 2, 2),
       pg_temp.sample('290000-01-01', 8, 18, 20), pg_temp.sample('2026-06-01 12:11', 8, 20, 60),
       pg_temp.sample('2026-06-01 12:00', NULL, 1, 1), pg_temp.sample('2026-06-01 12:01', 1e40, 2, 2), pg_temp.sample('2026-06-01 12:01', 'NaN', 2, 2);
SELECT results_eq('SELECT at, calls, mean_ms FROM pg_temp.intervals() WHERE queryid = 8', $$VALUES ('01 12:11', 10::bigint, 5::float8)$$, 'hostile numbers and times are ignored');
SELECT results_eq('SELECT array_agg(DISTINCT queryid ORDER BY queryid) FROM pg_temp.intervals()', $$VALUES ('{1,2,3,4,5,7,8}'::bigint[])$$, 'and make no statement');
SELECT pg_temp.sample('2026-06-01 12:00', '-9223372036854775808', 1, 1), pg_temp.sample('2026-06-01 12:01', '-9223372036854775808', 2, 1);
SELECT results_eq('SELECT queryid, mean_ms FROM pg_temp.intervals() WHERE queryid < 0', $$VALUES ('-9223372036854775808'::bigint, 0::float8)$$, 'a mean of zero is one');

-- Other types of columns.
CREATE DOMAIN tally AS int CHECK (VALUE >= 0);
CREATE TABLE typed AS SELECT "at ""noon""" AS sample_time, query::bigint AS queryid, n::int::tally AS calls, spent::float8::real AS total_ms
FROM "My Samples" WHERE query = 1;
SELECT raxx_detect.bind_source('statement_samples', 'typed');
SELECT results_eq('SELECT at, calls, mean_ms FROM pg_temp.intervals()', $$VALUES ('01 12:01', 10::bigint, 2::float8), ('01 12:05', 5, 4)$$, 'a domain and a real');
CREATE VIEW doubled AS SELECT sample_time, queryid::smallint, calls::int::float8 AS calls, total_ms::text::numeric::money AS total_ms FROM typed;
SELECT raxx_detect.bind_source('statement_samples', 'doubled');
SELECT results_eq('SELECT at, calls, mean_ms FROM pg_temp.intervals()', $$VALUES ('01 12:01', 10::bigint, 2::float8), ('01 12:05', 5, 4)$$, 'even money');

-- ---- the twin --------------------------------------------------------------------------------------------------------
-- Row by row, from the definition. One sample in ten lies too early or is a reset, some are doubled.
CREATE FUNCTION pg_temp.twin(from_time timestamptz, to_time timestamptz, resets timestamptz[])
RETURNS TABLE (at timestamptz, queryid bigint, calls bigint, mean_ms float8) LANGUAGE plpgsql AS $$
DECLARE
    s record; p record; zero boolean; d bigint; ms float8;
BEGIN
    FOR s IN SELECT DISTINCT t.sample_time, t.queryid FROM twin_samples t WHERE t.sample_time > from_time AND t.sample_time <= to_time LOOP
        SELECT max(t.calls) AS calls, NULL::float8 AS total_ms, s.sample_time, s.queryid INTO s FROM twin_samples t WHERE t.queryid = s.queryid AND t.sample_time = s.sample_time;
        SELECT s.calls AS calls, max(t.total_ms) AS total_ms, s.sample_time AS sample_time, s.queryid AS queryid INTO s FROM twin_samples t
        WHERE t.queryid = s.queryid AND t.sample_time = s.sample_time AND t.calls = s.calls;
        SELECT t.* INTO p FROM twin_samples t WHERE t.queryid = s.queryid AND t.sample_time < s.sample_time AND t.sample_time > s.sample_time - interval '1 day'
        ORDER BY t.sample_time DESC, t.calls DESC, t.total_ms DESC LIMIT 1;
        zero := EXISTS (SELECT FROM unnest(resets) r WHERE r <= s.sample_time AND r > coalesce(p.sample_time, s.sample_time - interval '1 day'));
        CONTINUE WHEN p.queryid IS NULL AND NOT zero;
        zero := zero OR s.calls < p.calls OR s.total_ms < p.total_ms;
        d := s.calls - CASE WHEN zero THEN 0 ELSE p.calls END;
        ms := s.total_ms - CASE WHEN zero THEN 0 ELSE p.total_ms END;
        CONTINUE WHEN d <= 0;
        at := s.sample_time; queryid := s.queryid; calls := d; mean_ms := ms / d;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE TEMP TABLE twin_samples (sample_time timestamptz, queryid bigint, calls bigint, total_ms float8);
CREATE FUNCTION pg_temp.noise(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
INSERT INTO twin_samples
SELECT timestamptz '2026-06-01' + (n * 97 + pg_temp.noise(n, 1, 40)) * interval '1 minute', pg_temp.noise(n, 2, 12),
       CASE pg_temp.noise(n, 3, 10) WHEN 0 THEN pg_temp.noise(n, 4, 20) ELSE n / 4 END,
       CASE pg_temp.noise(n, 5, 10) WHEN 0 THEN pg_temp.noise(n, 6, 20) ELSE n * 3.5 END
FROM generate_series(1, 600) n;
INSERT INTO twin_samples SELECT t.sample_time, t.queryid, t.calls + pg_temp.noise(t.calls, 7, 3), t.total_ms FROM twin_samples t WHERE pg_temp.noise(t.calls, 8, 7) = 0;
CREATE TEMP VIEW shuffled AS SELECT * FROM twin_samples ORDER BY md5(sample_time::text || calls);
SELECT raxx_detect.bind_source('statement_samples', 'shuffled');
SELECT set_eq($$SELECT * FROM raxx_detect.statement_intervals(pg_temp.binding(), '-infinity', 'infinity')$$, $$SELECT * FROM pg_temp.twin('-infinity', 'infinity', '{}')$$,
    'as the twin finds them');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.twin('-infinity', 'infinity', '{}')), '>', 300::bigint, 'which are many');
SELECT bag_eq($$SELECT i.* FROM generate_series(0, 60) n CROSS JOIN LATERAL raxx_detect.statement_intervals(pg_temp.binding(),
        timestamptz '2026-06-01' + n * interval '17 hours 13 minutes', timestamptz '2026-06-01' + (n + 1) * interval '17 hours 13 minutes') i$$,
    $$SELECT * FROM pg_temp.twin('2026-06-01', timestamptz '2026-06-01' + 61 * interval '17 hours 13 minutes', '{}')$$, 'wherever the period is cut');

-- The extension's own table, where the way to the sample before is another one, and resets are known.
INSERT INTO raxx_detect.statement_samples (sample_time, queryid, calls, total_ms)
SELECT DISTINCT ON (queryid, sample_time) sample_time, queryid, calls, total_ms FROM twin_samples ORDER BY queryid, sample_time, calls DESC, total_ms DESC;
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
SELECT set_eq($$SELECT * FROM raxx_detect.statement_intervals(pg_temp.binding(), '-infinity', 'infinity')$$, $$SELECT * FROM pg_temp.twin('-infinity', 'infinity', '{}')$$,
    'the own table as the twin');
SELECT bag_eq($$SELECT i.* FROM generate_series(0, 60) n CROSS JOIN LATERAL raxx_detect.statement_intervals(pg_temp.binding(),
        timestamptz '2026-06-01' + n * interval '17 hours 13 minutes', timestamptz '2026-06-01' + (n + 1) * interval '17 hours 13 minutes') i$$,
    $$SELECT * FROM pg_temp.twin('2026-06-01', timestamptz '2026-06-01' + 61 * interval '17 hours 13 minutes', '{}')$$, 'wherever the period is cut, too');
INSERT INTO raxx_detect.statement_resets (seen_at, reset_at)
SELECT t, t - interval '20 seconds' FROM (SELECT DISTINCT sample_time AS t FROM twin_samples) x WHERE pg_temp.noise(extract(epoch FROM t)::bigint, 9, 20) = 0;
SELECT bag_eq($$SELECT i.* FROM generate_series(0, 60) n CROSS JOIN LATERAL raxx_detect.statement_intervals(pg_temp.binding(),
        timestamptz '2026-06-01' + n * interval '17 hours 13 minutes', timestamptz '2026-06-01' + (n + 1) * interval '17 hours 13 minutes') i$$,
    $$SELECT * FROM pg_temp.twin('2026-06-01', timestamptz '2026-06-01' + 61 * interval '17 hours 13 minutes', ARRAY(SELECT seen_at FROM raxx_detect.statement_resets))$$,
    'and with resets');
SELECT cmp_ok((SELECT count(*) FROM raxx_detect.statement_resets), '>', 10::bigint, 'of which there are some');
SELECT raxx_detect.bind_source('statement_samples', 'shuffled');
SELECT set_eq($$SELECT * FROM raxx_detect.statement_intervals(pg_temp.binding(), '-infinity', 'infinity')$$, $$SELECT * FROM pg_temp.twin('-infinity', 'infinity', '{}')$$,
    'which say nothing of another relation');

-- A reset by hand: 3 calls before, 3 after; only the record of the reset tells. A statement that is new after it has a beginning.
DELETE FROM raxx_detect.statement_samples;
DELETE FROM raxx_detect.statement_resets;
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
INSERT INTO raxx_detect.statement_samples VALUES ('2026-06-01 12:00', 1, 3, 30), ('2026-06-01 12:01', 1, 3, 60), ('2026-06-01 12:01', 2, 4, 4), ('2026-06-01 12:02', 3, 5, 5);
SELECT is_empty('SELECT * FROM pg_temp.intervals()', 'without a reset: no calls, and no beginnings');
INSERT INTO raxx_detect.statement_resets VALUES ('2026-06-01 12:01', '2026-06-01 12:00:30');
SELECT results_eq('SELECT * FROM pg_temp.intervals()',
    $$VALUES ('01 12:01', 1::bigint, 3::bigint, 20::float8), ('01 12:01', 2, 4, 1), ('01 12:02', 3, 5, 1)$$, 'a known reset is a beginning');
SELECT throws_ok($$INSERT INTO raxx_detect.statement_samples VALUES ('2026-06-01 12:03', 1, 3, 'NaN')$$, '23514', NULL, 'the own table takes no time that is none');
SELECT throws_ok($$INSERT INTO raxx_detect.statement_histograms VALUES ('2026-06-01 12:03', 1, 'NaN', 3)$$, '23514', NULL, 'nor does that of histograms');

-- ---- the scraper, as far as it goes without pg_stat_statements -----------------------------------------------------------
SELECT raxx_detect.unbind_source('statement_samples');
SELECT results_eq('SELECT available, detail LIKE ''pg_stat_statements is not created: %'' FROM raxx_detect.statements_available()', 'VALUES (false, true)', 'not created');
SELECT results_eq('SELECT taken, detail LIKE ''pg_stat_statements is not created: add it to shared_preload_libraries, %'' FROM raxx_detect.scrape_statements()',
    'VALUES (0, true)', 'takes nothing and says what to do');
SELECT is_empty($$SELECT FROM raxx_detect.source_bindings WHERE source = 'statement_samples'$$, 'and binds nothing');
SELECT throws_ok($$SELECT raxx_detect.scrape_statements('infinity')$$, '22023', NULL, 'at infinity there is no snapshot');
SELECT throws_ok($$SELECT raxx_detect.scrape_statements(NULL)$$, '22023', NULL, 'nor at no time');

DELETE FROM raxx_detect.statement_samples;
INSERT INTO raxx_detect.statement_samples SELECT timestamptz '2026-06-10 12:00' - d * interval '1 day', q, 1, 1 FROM generate_series(0, 12) d, generate_series(1, 3) q;
INSERT INTO raxx_detect.statement_resets VALUES ('2026-05-30', '2026-05-30'), ('2026-06-09', '2026-06-09');
INSERT INTO raxx_detect.statement_histograms VALUES ('2026-06-01 11:59:59.999999', 1, 1, 1), ('2026-06-01 12:00', 1, 1, 1);
SELECT is(raxx_detect.prune_statement_samples('2026-06-10 12:00', '9 days'), 9::bigint, 'samples of more than nine days ago are deleted');
SELECT results_eq('SELECT array_agg(at ORDER BY at) FROM raxx_detect.statement_histograms', $$VALUES ('{2026-06-01 12:00+00}'::timestamptz[])$$, 'so are histograms');
DELETE FROM raxx_detect.statement_histograms;
SELECT results_eq('SELECT min(sample_time), count(*) FROM raxx_detect.statement_samples', $$VALUES ('2026-06-01 12:00'::timestamptz, 30::bigint)$$, 'others are not');
SELECT results_eq('SELECT seen_at FROM raxx_detect.statement_resets ORDER BY 1', $$VALUES ('2026-06-01 12:01'::timestamptz), ('2026-06-09')$$, 'nor are the resets between them');

-- ---- what moved -------------------------------------------------------------------------------------------------------------
-- 100 minutes before and 50 after 13:40. Statement 1 stays at 1 ms and 2 at 5 ms, for good. 3 goes from 2 to 40 ms, 4 from 3 to
-- 20 ms in every fifth minute, 5 is new at 9 ms in every tenth; 6 was slow (30 ms, one minute of 20) and is gone.
DELETE FROM raxx_detect.statement_samples;
DELETE FROM raxx_detect.statement_resets;
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
CREATE TEMP TABLE minute AS
SELECT m, q, CASE q WHEN 1 THEN 1 WHEN 2 THEN 5 WHEN 3 THEN CASE WHEN m > 100 THEN 40 ELSE 2 END
                    WHEN 4 THEN CASE WHEN m > 100 AND m % 5 = 0 THEN 20 ELSE 3 END WHEN 5 THEN 9 ELSE 30 END AS ms
FROM generate_series(0, 150) m, generate_series(1, 6) q
WHERE q < 5 OR q = 5 AND m >= 100 AND m % 10 = 0 OR q = 6 AND m <= 100 AND m % 20 = 0;
INSERT INTO raxx_detect.statement_samples
SELECT timestamptz '2026-06-01 12:00' + m * interval '1 minute', q, 2 * row_number() OVER w, 2 * sum(ms) OVER w FROM minute WINDOW w AS (PARTITION BY q ORDER BY m);
CREATE FUNCTION pg_temp.movers(how_many int DEFAULT 5) RETURNS jsonb LANGUAGE sql AS $$
    SELECT raxx_detect.statements_that_moved(pg_temp.binding(), '2026-06-01 12:00', '2026-06-01 13:40', '2026-06-01 14:30', how_many) $$;
-- The old p99: of 405 intervals before, 5 are of 30 ms (6's at 12:20 to 13:40); rank ceil(400.95) = 401 is the first of them.
SELECT is((SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY mean_ms) FROM raxx_detect.statement_intervals(pg_temp.binding(), '2026-06-01 12:00', '2026-06-01 13:40')),
    30::float8, 'the old percentile');
SELECT results_eq('SELECT x.* FROM jsonb_to_recordset(pg_temp.movers()) x(queryid bigint, before_p99_ms float8, p99_ms float8, calls_before bigint, calls bigint, share float8)',
    'VALUES (3::bigint, 2::float8, 40::float8, 200::bigint, 100::bigint, 1::float8)', 'only one statement is above the old percentile');
-- Without the slow one the old p99 is 5 ms: now 3 (50 of 50), 4 (10) and 5 (5) are above it, which they never were before.
DELETE FROM raxx_detect.statement_samples WHERE queryid = 6;
SELECT results_eq('SELECT x.queryid, x.before_p99_ms, x.p99_ms, x.calls_before, x.calls, round(x.share::numeric, 6)
        FROM jsonb_to_recordset(pg_temp.movers()) x(queryid bigint, before_p99_ms float8, p99_ms float8, calls_before bigint, calls bigint, share float8)',
    'VALUES (3::bigint, 2::float8, 40::float8, 200::bigint, 100::bigint, round(50 / 65.0, 6)), (4, 3, 20, 200, 100, round(10 / 65.0, 6)), (5, NULL, 9, 0, 10, round(5 / 65.0, 6))',
    'in the order of what they add, one that is new included');
SELECT is(jsonb_array_length(pg_temp.movers(2)), 2, 'at most so many');
SELECT is(pg_temp.movers(2) -> 1, pg_temp.movers(NULL) -> 1, 'with shares of all');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(pg_temp.movers() -> 0) k), '{before_p99_ms,calls,calls_before,p99_ms,queryid,share}', 'no query texts');
SELECT is(raxx_detect.statements_that_moved(pg_temp.binding(), '2026-06-01 12:00', '2026-06-01 12:00', '2026-06-01 14:30'), '[]', 'nothing to compare with');
SELECT is(raxx_detect.statements_that_moved(pg_temp.binding(), '2026-06-01 12:00', '2026-06-01 14:30', '2026-06-01 14:31'), '[]', 'nothing to compare');
SELECT is(raxx_detect.statements_that_moved(pg_temp.binding(), '2026-06-01 12:00', '2026-06-01 12:30', '2026-06-01 13:39'), '[]', 'nothing rose');
-- What was above the old percentile before is expected now, too, in proportion: of 800 intervals before, the 8 longest, all of
-- statement 1, are above it; of 200 now, 10 of 1, where 2 were to be expected, and 4 of 2.
DELETE FROM raxx_detect.statement_samples;
INSERT INTO raxx_detect.statement_samples
SELECT timestamptz '2026-06-01 12:00' + m * interval '1 minute', q, m + 1,
       sum(CASE WHEN m > 400 AND (q = 1 AND m % 10 = 0 OR q = 2 AND m % 25 = 0) THEN 512 WHEN m <= 400 AND q = 1 AND m % 40 = 0 THEN 50 + m ELSE 1 END) OVER (PARTITION BY q ORDER BY m)
FROM generate_series(0, 500) m, generate_series(1, 2) q;
SELECT results_eq($$SELECT x.queryid, round(x.share::numeric, 6) FROM jsonb_to_recordset(raxx_detect.statements_that_moved(pg_temp.binding(),
        '2026-06-01 12:00', '2026-06-01 18:40', '2026-06-01 20:20')) x(queryid bigint, share float8)$$,
    'VALUES (1::bigint, round(8 / 12.0, 6)), (2, round(4 / 12.0, 6))', 'what was slow before is no mover');
-- On the twin's samples.
SELECT raxx_detect.bind_source('statement_samples', 'shuffled');
WITH i AS (SELECT *, at > '2026-06-20' AS later FROM raxx_detect.statement_intervals(pg_temp.binding(), '2026-06-01', '2026-07-12')),
q AS (SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY mean_ms) FILTER (WHERE NOT later) AS q, count(*) FILTER (WHERE later)::float8 AS n, count(*) FILTER (WHERE NOT later) AS m FROM i),
e AS (SELECT queryid, count(*) FILTER (WHERE later AND mean_ms > q) - n / m * count(*) FILTER (WHERE NOT later AND mean_ms > q) AS excess FROM i, q GROUP BY queryid, n, m)
SELECT results_eq(
    $$SELECT x.queryid, round(x.share::numeric, 9) FROM jsonb_to_recordset(raxx_detect.statements_that_moved(pg_temp.binding(), '2026-06-01', '2026-06-20', '2026-07-12', NULL)) x(queryid bigint, share float8)$$,
    format('SELECT * FROM unnest(%L::bigint[], %L::numeric[])', array_agg(queryid ORDER BY excess DESC, queryid), array_agg(round((excess / total)::numeric, 9) ORDER BY excess DESC, queryid)),
    'the shares of the twin''s intervals')
FROM (SELECT e.*, sum(excess) OVER () AS total FROM e WHERE excess > 0) x;

-- ---- pg_stat_monitor: an extension that has its interface --------------------------------------------------------------------
SELECT is(raxx_detect.monitor_view(), NULL, 'no pg_stat_monitor');
SELECT is_empty($$SELECT * FROM raxx_detect.monitor_intervals('-infinity', 'infinity')$$, 'no intervals of it');
CREATE SCHEMA "the monitor";
CREATE TABLE "the monitor".entries (bucket_start_time timestamptz, datname text, queryid bigint, userid oid, query text, resp_calls text[], total_exec_time float8, bucket_done boolean);
CREATE VIEW "the monitor".pg_stat_monitor AS SELECT * FROM "the monitor".entries;
-- As 2.x writes them, with a minimum of 1, a maximum of 1000 and 3 bins of the user's.
CREATE FUNCTION "the monitor".get_histogram_timings() RETURNS text LANGUAGE sql AS
    $$SELECT '{{0.000 - 1.000}, (1.000 - 10.993}, (10.993 - 100.870}, (100.870 - 1000.000}, (1000.000 - ...}}'$$;
SELECT is_empty($$SELECT * FROM raxx_detect.monitor_intervals('-infinity', 'infinity')$$, 'a view of the name is not enough: the extension must have it');
SET LOCAL allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT 99999, 'pg_stat_monitor', d.datdba, '"the monitor"'::regnamespace, true, '2.1' FROM pg_database d WHERE d.datname = current_database();
ALTER EXTENSION pg_stat_monitor ADD VIEW "the monitor".pg_stat_monitor;
ALTER EXTENSION pg_stat_monitor ADD FUNCTION "the monitor".get_histogram_timings();
SELECT is(raxx_detect.monitor_view()::text, '"the monitor".pg_stat_monitor', 'found as a member of the extension');
SELECT results_eq('SELECT bin, lower_ms, upper_ms, round(middle_ms::numeric, 3) FROM raxx_detect.monitor_bins() ORDER BY bin',
    'VALUES (1, 0::float8, 1::float8, 0.5), (2, 1, 10.993, 3.316), (3, 10.993, 100.87, 33.300), (4, 100.87, 1000, 317.600), (5, 1000, NULL, 1000.000)', 'its bins');
INSERT INTO "the monitor".entries VALUES
    ('2026-06-01 12:00', current_database(), 7, 10, 'secret', '{3,0,2,0,1}', 20, true),
    ('2026-06-01 12:00', current_database(), 7, 11, '<insufficient privilege>', '{1,0,0,0,0}', 0.2, true),
    ('2026-06-01 12:01', current_database(), 7, 10, 'secret', '{0,4,0,0,0}', 20, true),
    ('2026-06-01 12:02', current_database(), 7, 10, 'secret', '{0,5,0,0,0}', 20, false),
    ('2026-06-01 12:01', 'another', 8, 10, 'secret', '{6,0,0,0,0}', 1, true),
    ('2026-06-01 12:01', current_database(), 9, 10, 'fails', '{1,0,0,0,0}', 0, true);
CREATE FUNCTION pg_temp.monitored(from_time text, to_time text) RETURNS TABLE (at text, queryid bigint, calls bigint, mean_ms numeric) LANGUAGE sql AS
    $$ SELECT to_char(m.at, 'HH24:MI'), m.queryid, m.calls, round(m.mean_ms::numeric, 3)
       FROM raxx_detect.monitor_intervals(from_time::timestamptz, to_time::timestamptz) m ORDER BY m.at, m.queryid, m.mean_ms $$;
SELECT results_eq($$SELECT * FROM pg_temp.monitored('-infinity', 'infinity')$$,
    $$VALUES ('12:01', 7::bigint, 4::bigint, 0.500), ('12:01', 7, 2, 33.300), ('12:01', 7, 1, 1000.000), ('12:02', 7, 4, 3.316)$$,
    'the bins of closed buckets, of this database, at the end of the bucket');
SELECT results_eq($$SELECT at FROM pg_temp.monitored('2026-06-01 12:01', '2026-06-01 12:02')$$, $$VALUES ('12:02')$$, 'of (from, to]');

-- Kept: what is closed and new, up to the time of the snapshot.
CREATE FUNCTION pg_temp.kept() RETURNS TABLE (at text, queryid bigint, mean_ms numeric, calls bigint) LANGUAGE sql AS
    $$ SELECT to_char(h.at, 'HH24:MI'), h.queryid, round(h.mean_ms::numeric, 3), h.calls FROM raxx_detect.statement_histograms h ORDER BY h.at, h.mean_ms $$;
SELECT results_eq($$SELECT * FROM raxx_detect.keep_statement_histograms('2026-06-01 12:01')$$, 'VALUES (3::bigint, NULL::text)', 'three bins had ended');
SELECT results_eq('SELECT * FROM pg_temp.kept()', $$VALUES ('12:01', 7::bigint, 0.500, 4::bigint), ('12:01', 7, 33.300, 2), ('12:01', 7, 1000.000, 1)$$, 'which are those of the view');
SELECT results_eq($$SELECT * FROM raxx_detect.keep_statement_histograms('2026-06-01 13:00')$$, 'VALUES (1::bigint, NULL::text)', 'one is new, and one not closed');
SELECT results_eq($$SELECT * FROM raxx_detect.keep_statement_histograms('2026-06-01 13:00')$$, 'VALUES (0::bigint, NULL::text)', 'none twice');
UPDATE "the monitor".entries SET bucket_done = true;
SELECT results_eq($$SELECT * FROM raxx_detect.keep_statement_histograms('2026-06-01 13:00')$$, 'VALUES (1::bigint, NULL::text)', 'until it is closed');
SELECT results_eq('SELECT at, calls FROM pg_temp.kept() OFFSET 3', $$VALUES ('12:02', 4::bigint), ('12:03', 5)$$, 'each at its end');

-- With the snapshots of a pg_stat_statements that is imitated, too.
CREATE SCHEMA "the stats";
CREATE FUNCTION "the stats".pg_stat_statements(showtext boolean, OUT userid oid, OUT dbid oid, OUT queryid bigint, OUT calls bigint, OUT total_exec_time float8)
RETURNS SETOF record LANGUAGE sql AS $$
    SELECT 10::oid, d.oid, 7::bigint, extract(epoch FROM clock_timestamp())::bigint, extract(epoch FROM clock_timestamp())::float8
    FROM pg_catalog.pg_database d WHERE d.datname = current_database() $$;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT 99998, 'pg_stat_statements', d.datdba, '"the stats"'::regnamespace, true, '1.8' FROM pg_database d WHERE d.datname = current_database();
ALTER EXTENSION pg_stat_statements ADD FUNCTION "the stats".pg_stat_statements(boolean);
DELETE FROM raxx_detect.statement_samples;
DELETE FROM raxx_detect.statement_histograms;
UPDATE "the monitor".entries SET bucket_start_time = bucket_start_time - interval '2 years';
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
SELECT results_eq($$SELECT taken, detail IS NULL FROM raxx_detect.scrape_statements('2024-06-01 12:02')$$, 'VALUES (1, true)', 'a snapshot');
SELECT is((SELECT count(*) FROM pg_temp.kept()), 4::bigint, 'with the buckets up to its time');

INSERT INTO "the monitor".entries VALUES ('2024-06-01 12:03', current_database(), 7, 10, 'secret', '{1,0,0,0,0,0}', 1, true);
SELECT throws_ok($$SELECT * FROM raxx_detect.monitor_intervals('-infinity', 'infinity')$$, '55000', 'the histogram of pg_stat_monitor cannot be read', 'limits that were cut off');
SELECT results_eq($$SELECT taken, detail LIKE 'no histograms of pg_stat_monitor were kept: 55000: the histogram of pg_stat_monitor cannot be read%'
        FROM raxx_detect.scrape_statements('2024-06-01 12:10')$$, 'VALUES (1, true)', 'which are said, and keep no snapshot from being taken');
SELECT is((SELECT count(*) FROM pg_temp.kept()), 4::bigint, 'no histogram is kept');
DELETE FROM "the monitor".entries WHERE cardinality(resp_calls) > 5;
SELECT results_eq($$SELECT taken, detail FROM raxx_detect.scrape_statements('2024-06-01 12:20')$$, 'VALUES (1, NULL::text)', 'nothing to say any more');
SELECT is((SELECT count(*) FROM pg_temp.kept()), 5::bigint, 'and what was missed is made up for');
SELECT results_eq($$SELECT taken, (SELECT count(*) FROM pg_temp.kept()) FROM raxx_detect.scrape_statements('2024-06-12 12:00')$$, 'VALUES (1, 0::bigint)', 'until it is old');
-- 2.0 wrote the queryid in hexadecimal digits.
UPDATE "the monitor".entries SET bucket_start_time = bucket_start_time + interval '2 years';
ALTER EXTENSION pg_stat_monitor DROP VIEW "the monitor".pg_stat_monitor;
DROP VIEW "the monitor".pg_stat_monitor;
DELETE FROM "the monitor".entries WHERE cardinality(resp_calls) > 5;
CREATE VIEW "the monitor".pg_stat_monitor AS SELECT bucket_start_time, datname::name, CASE queryid WHEN 7 THEN 'F1AC132034D5B366' ELSE '0000002A' END AS queryid, resp_calls, total_exec_time, bucket_done FROM "the monitor".entries;
ALTER EXTENSION pg_stat_monitor ADD VIEW "the monitor".pg_stat_monitor;
SELECT results_eq($$SELECT queryid FROM pg_temp.monitored('2026-06-01 12:01', '2026-06-01 12:02')$$, $$VALUES ((x'F1AC132034D5B366')::bigint)$$, 'a queryid as text');

SELECT * FROM finish();
ROLLBACK;
