-- Drift by pg_stat_monitor's histograms: nine days of snapshots and of the single calls behind them, written by hand. What
-- the snapshots alone say is in the rule's fixtures, and how histograms come to be kept in statements.sql.
BEGIN;
SELECT plan(25);
SET LOCAL timezone = 'UTC';

ALTER FUNCTION raxx_detect.statements_available() RENAME TO statements_really_available;
CREATE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text) LANGUAGE sql AS $$ SELECT true, 'for the test' $$;

-- Three statements, each 200 times in ten minutes: 194 calls of 10 ms, 5 of 18, 1 of 30. On the ninth day (or never) statement
-- 3 has 180, 4 and 16: its 99th percentile goes from 18 to 30 ms, as that of all does, but its mean only from 10.3 to 11.76.
CREATE TEMP TABLE buckets AS
SELECT timestamptz '2024-03-01' + n * interval '10 minutes' AS at, q AS queryid, ms AS mean_ms,
       CASE WHEN q = 3 AND n > 8 * 144 THEN late ELSE early END AS calls
FROM generate_series(0, 9 * 144) n, generate_series(1, 3) q, (VALUES (10::float8, 194, 180), (18, 5, 4), (30, 1, 16)) v(ms, early, late);
INSERT INTO raxx_detect.statement_samples (sample_time, queryid, calls, total_ms)
SELECT at, queryid, sum(sum(calls)) OVER w, sum(sum(calls * mean_ms)) OVER w FROM buckets GROUP BY at, queryid WINDOW w AS (PARTITION BY queryid ORDER BY at);
INSERT INTO raxx_detect.statement_histograms (at, queryid, mean_ms, calls) SELECT * FROM buckets;
DELETE FROM raxx_detect.source_bindings WHERE source = 'statement_samples';
ANALYZE raxx_detect.statement_samples, raxx_detect.statement_histograms;
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');

CREATE FUNCTION pg_temp.rule() RETURNS raxx_detect.rules LANGUAGE sql AS $$ SELECT raxx_detect.find_rule('ops_postgres_p99_drift') $$;
CREATE FUNCTION pg_temp.binding() RETURNS raxx_detect.source_bindings LANGUAGE sql AS
    $$ SELECT b FROM raxx_detect.source_bindings b WHERE b.source = 'statement_samples' $$;
-- What the rule finds up to a time after a change, which is undone with all that came of it.
CREATE FUNCTION pg_temp.found(as_of text DEFAULT '2024-03-10', change text DEFAULT 'SELECT') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
    found jsonb;
BEGIN
    EXECUTE change;
    SELECT r.outcome INTO outcome FROM raxx_detect.run('ops_postgres_p99_drift', as_of::timestamptz) r;
    SELECT jsonb_agg(f.evidence || jsonb_build_object('from', to_char(lower(f.episode), 'DD HH24:MI'))) INTO found
    FROM raxx_detect.detection_findings f WHERE f.rule_id = 'ops_postgres_p99_drift';
    RAISE EXCEPTION 'undone' USING ERRCODE = 'RX000';
EXCEPTION WHEN SQLSTATE 'RX000' THEN
    RETURN CASE WHEN outcome = 'ok' THEN coalesce(found, '[]') ELSE to_jsonb(outcome) END;
END $$;

-- ---- by the single calls ------------------------------------------------------------------------------------------------
-- After k hours the distributions differ by 0.025 k / 24, and sqrt(n m / (n + m)) is 274.95 for 86,400 and 604,800 calls. For
-- p <= 1 / 730.5 Kolmogorov's limit wants 1.908 of the product, which is 1.72 at 6 hours and 2.00 at 7. The percentile is 30
-- from 5 hours on.
SELECT is(pg_temp.found('2024-03-09 06:59'), '[]', 'not before the distributions differ beyond the budget');
CREATE TEMP TABLE finding AS SELECT pg_temp.found('2024-03-09 07:00') AS f;
SELECT is(jsonb_array_length(f), 1, 'a slow-down that the means hide is found') FROM finding;
SELECT is(f -> 0 ->> 'from', '09 07:00', 'at the hour') FROM finding;
SELECT is(f -> 0 ->> 'measured_by', 'pg_stat_monitor', 'and the evidence says what measured it') FROM finding;
SELECT is((f #>> '{0,baseline,n}')::bigint, 604800::bigint, 'the baseline is of calls') FROM finding;
SELECT is((f #>> '{0,baseline,quantile}')::float8, 18::float8, 'whose percentile was the middle of a bin') FROM finding;
SELECT cmp_ok(abs((f #>> '{0,d}')::float8 - 0.025 * 7 / 24), '<', 1e-12::float8, 'the difference is of calls, too') FROM finding;
SELECT is((f #> '{0,moved,0}') - 'share'::text, '{"queryid": 3, "before_p99_ms": 18, "p99_ms": 30, "calls_before": 201600, "calls": 28800}', 'the statement that moved it') FROM finding;
SELECT cmp_ok(abs((f #>> '{0,moved,0,share}')::float8 - 1), '<', 1e-9::float8, 'alone') FROM finding;

-- ---- by the means --------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.found(change => 'DELETE FROM raxx_detect.statement_histograms'), '[]', 'without histograms the means hide it');
SELECT is(pg_temp.found(change => $$DELETE FROM raxx_detect.statement_histograms WHERE at >= '2024-03-05' AND at < '2024-03-06'$$), '[]',
    'nor is it found if one day of the baseline has none');
SELECT is(pg_temp.found(change => $$DELETE FROM raxx_detect.statement_histograms WHERE at >= '2024-03-05' AND at < '2024-03-06'
        AND (at, queryid, mean_ms) <> ('2024-03-05 12:00', 1, 10)$$) #>> '{0,measured_by}', 'pg_stat_monitor', 'one row is enough for a day');
SELECT is(pg_temp.found(change => $$DELETE FROM raxx_detect.statement_histograms WHERE at < '2024-03-02'$$) #>> '{0,measured_by}', 'pg_stat_monitor',
    'the day of the first sample is not of the baseline');
-- Another relation with the same rows has no histograms.
SELECT is(pg_temp.found(change => $$CREATE VIEW public.others AS SELECT * FROM raxx_detect.statement_samples;
    SELECT raxx_detect.bind_source('statement_samples', 'public.others')$$), '[]', 'nor of another relation');

-- What only the means show is found by them alone, and only where the calls cannot speak.
CREATE FUNCTION pg_temp.slow_means() RETURNS text LANGUAGE sql AS $$
    SELECT $x$UPDATE raxx_detect.statement_samples s SET total_ms = s.total_ms + 6 * (s.calls - (SELECT b.calls FROM raxx_detect.statement_samples b
        WHERE b.queryid = s.queryid AND b.sample_time = '2024-03-09')) WHERE s.sample_time > '2024-03-09' $x$ $$;
SELECT is(pg_temp.found(change => pg_temp.slow_means() || $$; UPDATE raxx_detect.statement_histograms h SET calls = e.calls
        FROM buckets e WHERE e.at = '2024-03-01' AND (e.queryid, e.mean_ms) = (h.queryid, h.mean_ms)$$), '[]',
    'the means are not asked where the calls speak');
-- By the means from 3 hours on; but until 05:00 the window still has histograms, of the day before.
CREATE TEMP TABLE by_turns AS SELECT pg_temp.found(change => pg_temp.slow_means() || $$; DELETE FROM raxx_detect.statement_histograms WHERE at > '2024-03-08 06:00'$$) AS f;
SELECT is(f #>> '{0,measured_by}', 'pg_stat_statements', 'but where the window has no calls') FROM by_turns;
SELECT is(f #>> '{0,from}', '09 06:00', 'from when on it has none') FROM by_turns;
CREATE TEMP TABLE by_means AS SELECT pg_temp.found(change => pg_temp.slow_means() ||
    $$; DELETE FROM raxx_detect.statement_histograms WHERE at >= '2024-03-05' AND at < '2024-03-06'$$) AS f;
SELECT is(f #>> '{0,measured_by}', 'pg_stat_statements', 'nor where a day of the baseline has none') FROM by_means;
SELECT is(f #>> '{0,from}', '09 03:00', 'whatever the window has') FROM by_means;
SELECT is((f #>> '{0,baseline,n}')::bigint, 7 * 144 * 3::bigint, 'with the means of the days before') FROM by_means;

-- ---- what is kept ----------------------------------------------------------------------------------------------------------
SELECT raxx_detect.run('ops_postgres_p99_drift', '2024-03-10');
SELECT results_eq($$SELECT b.day, b.sketch::text, b.rows FROM raxx_detect.baselines b WHERE b.rule_id = 'ops_postgres_p99_drift' AND b.entity IS NOT NULL ORDER BY b.day$$,
    $$SELECT d.day, raxx_detect.quantile_sketch(e.mean_ms)::text, array_fill(3600::bigint, '{24}')
      FROM (SELECT date '2024-03-02' + i AS day FROM generate_series(0, 6) i) d
      JOIN buckets e ON e.at >= d.day::timestamptz AND e.at < (d.day + 1)::timestamptz CROSS JOIN LATERAL generate_series(1, e.calls)
      GROUP BY d.day ORDER BY d.day$$, 'a sketch of each call of each day');
SELECT is((SELECT count(*) FROM raxx_detect.baselines b WHERE b.rule_id = 'ops_postgres_p99_drift' AND b.entity = 'pg_stat_monitor'), 7::bigint, 'as an entity of its own');
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(), pg_temp.binding(), '2024-03-09');
SELECT results_eq($$SELECT raxx_detect.sketch_count(b.sketch), raxx_detect.array_sum(b.rows)::bigint FROM raxx_detect.baselines b
        WHERE b.rule_id = 'ops_postgres_p99_drift' AND b.entity = 'pg_stat_monitor' AND b.day = '2024-03-09'$$, 'VALUES (0::bigint, 0::bigint)',
    'a day inside a finding is a row without calls');
DELETE FROM raxx_detect.statement_histograms WHERE at >= '2024-03-04' AND at < '2024-03-05';
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(), pg_temp.binding(), '2024-03-04');
SELECT is_empty($$SELECT FROM raxx_detect.baselines b WHERE b.rule_id = 'ops_postgres_p99_drift' AND b.entity = 'pg_stat_monitor' AND b.day = '2024-03-04'$$,
    'a day without histograms has no row');
SELECT ok(NOT raxx_detect.baseline_has_histograms(pg_temp.rule(), pg_temp.binding(), '2024-03-09')
          AND NOT raxx_detect.baseline_has_histograms(pg_temp.rule(), pg_temp.binding(), '2024-03-01'), 'nor does a baseline without days have them');

SELECT * FROM finish();
ROLLBACK;
