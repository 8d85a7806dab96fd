-- Rule 12, failures among calls in a sliding window: the threshold until the baseline is ready, then the tail, held
-- against its definition over random rows; what a baseline learns; clusters; any schedule.
BEGIN;
SELECT plan(50);
SET LOCAL timezone = 'UTC';
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE rule_id = 'webhook_stripe_signature_fail';
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.rule() RETURNS raxx_detect.rules LANGUAGE sql STABLE AS
    $$ SELECT r FROM raxx_detect.rules r WHERE r.rule_id = 'webhook_stripe_signature_fail' $$;

-- ---- the tail ------------------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.failure_tail(4, 30, 0.02, 1), raxx_detect.binomial_upper_tail(4, 30, 0.02), 'no dispersion: binomial');
SELECT is(raxx_detect.failure_tail(4, 30, 0.02, 2.5), raxx_detect.negative_binomial_upper_tail(4, 0.6, 0.6 * 0.98 * 2.5), 'dispersion: negative binomial of its variance');
SELECT is(raxx_detect.failure_tail(20, 30, 0.5, 1.5), raxx_detect.negative_binomial_upper_tail(20, 15, 15), 'never narrower than Poisson');
SELECT is(raxx_detect.failure_tail(0, 0, 0.5, 3), 1::float8, 'none of none is certain');
SELECT is(raxx_detect.failure_tail(0, 5, 0.5, 1), 1::float8, 'none of some, too');
SELECT is_empty($$SELECT n, floor, share, dispersion, tail, given
    FROM unnest('{3,4,10,40,300}'::bigint[]) n, unnest('{1,3}'::bigint[]) floor, unnest('{1e-5,0.01,0.3,0.9}'::float8[]) share,
         unnest('{1,2,50}'::float8[]) dispersion, unnest('{1,0.2,1e-3,1e-9}'::float8[]) tail, generate_series(0, 1) given
    WHERE raxx_detect.fewest_failures(n, given, floor, share, dispersion, tail) IS DISTINCT FROM
        (SELECT coalesce(min(k), n + 1) FROM generate_series(floor, n) k WHERE raxx_detect.failure_tail(k - given, n - given, share, dispersion) <= tail)$$,
    'the fewest failures are the first that are improbable');

-- ---- the threshold, while there is no baseline -----------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('stripe_webhook_events', 'calls');
CREATE FUNCTION pg_temp.call(at text, valid boolean, number int DEFAULT 1) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO calls (event_time, signature_valid) SELECT ('2026-06-04 ' || at || '+00')::timestamptz, valid FROM generate_series(1, number) $$;
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('webhook_stripe_signature_fail', at) $$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS $$ SELECT pg_temp.look(('2026-06-04 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'webhook_stripe_signature_fail';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM calls; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM raxx_detect.baseline_days; DELETE FROM raxx_detect.baseline_starts $$;

SELECT pg_temp.call('12:00', true, 100), pg_temp.call('12:00', false, 4), pg_temp.call('12:01', NULL, 4);
SELECT is(r.findings_new, 0::bigint, 'four failures') FROM pg_temp.look('12:02') r;
SELECT ok(r.detail LIKE '%NULL entity%', 'and calls of which nobody knows') FROM raxx_detect.rule_runs r WHERE r.rule_id = 'webhook_stripe_signature_fail' ORDER BY run_id DESC LIMIT 1;
SELECT pg_temp.call('12:09:59.999999', false);
SELECT is(r.findings_new, 1::bigint, 'a fifth, a microsecond before the others leave') FROM pg_temp.look('12:09:59.999999') r;
SELECT results_eq('SELECT entity, severity::text, observed, threshold, fired_by, sample_size, p_value, condition, episode, unit FROM pg_temp.found',
    $$VALUES ('stripe_webhook_events', 'high', 5::float8, 5::float8, 'threshold', 105::bigint, NULL::float8, 'firing', '["2026-06-04 12:09:59.999999+00",)'::tstzrange, 'webhook calls with signature_valid false')$$, 'fires');
SELECT is(evidence -> 'baseline', '{"ready": false, "days": 0, "needed": 7}'::jsonb, 'by the threshold') FROM pg_temp.found;
SELECT is(r.findings_updated, 1::bigint, 'and ends with the window') FROM pg_temp.look('12:10') r;
SELECT results_eq('SELECT condition, episode FROM pg_temp.found', $$VALUES ('cleared', '["2026-06-04 12:09:59.999999+00","2026-06-04 12:10:00+00")'::tstzrange)$$, 'when fewer than three are left');
SELECT pg_temp.start_over();
SELECT pg_temp.call('12:00', false, 4), pg_temp.call('12:10', false);
SELECT is(r.findings_new, 0::bigint, 'the fifth when the others have just left') FROM pg_temp.look('12:11') r;
SELECT pg_temp.start_over();
SELECT pg_temp.call('12:00', false, 5), pg_temp.call('12:08', false, 3), pg_temp.call('12:15', false, 4);
SELECT is(r.findings_new, 1::bigint, 'an episode goes on while three are in the window') FROM pg_temp.look('13:00') r;
SELECT results_eq('SELECT observed, episode FROM pg_temp.found', $$VALUES (8::float8, '["2026-06-04 12:00:00+00","2026-06-04 12:25:00+00")'::tstzrange)$$, 'and tells its peak');
SELECT raxx_detect.set_params('webhook_stripe_signature_fail', '{"threshold": 2}');
SELECT pg_temp.start_over();
SELECT pg_temp.call('12:00', false, 2);
SELECT is(r.findings_new, 1::bigint, 'a threshold below the floor counts, too') FROM pg_temp.look('12:01') r;
SELECT raxx_detect.set_params('webhook_stripe_signature_fail', '{"threshold": 5}');
-- Times that somebody forged.
SELECT pg_temp.start_over();
INSERT INTO calls (event_time, signature_valid) SELECT t, false FROM unnest('{4714-11-24 00:00+00 BC,-infinity,infinity,294276-12-31 23:59+00}'::timestamptz[]) t, generate_series(1, 6);
SELECT is((r.outcome, r.findings_new), ('no_data'::text, 1::bigint), 'the beginning of time is judged') FROM pg_temp.look('12:01') r;

-- ---- what is learnt --------------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT raxx_detect.set_params('webhook_stripe_signature_fail', '{"time_zone": "America/New_York"}');
INSERT INTO calls (event_time, signature_valid)
SELECT at + g.n * interval '1 minute', false FROM (VALUES ('2026-06-04 03:59:59.999999+00'::timestamptz, 0), ('2026-06-04 04:00+00', 0), ('2026-06-05 03:59:59.999999+00', 0), ('2026-06-05 04:00+00', 0), ('2026-06-04 16:30+00', 4)) v(at, upto)
CROSS JOIN LATERAL generate_series(0, v.upto) g(n);
INSERT INTO calls (event_time, signature_valid) SELECT '2026-06-04 16:40+00'::timestamptz + n * interval '1 minute', CASE WHEN n < 30 THEN true END FROM generate_series(1, 40) n;
SELECT raxx_detect.bind_source('stripe_webhook_events', 'calls');
-- A finding somebody confirmed: what lies in its windows is left out.
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size, summary, evidence, condition, occurrences, escalation_owner)
VALUES ('webhook_stripe_signature_fail', 'x', 'x', 'stripe_webhook_events', 'high', 'stripe_webhook_events', '["2026-06-04 16:42+00","2026-06-04 16:50+00")', 5, 'x', 'threshold', 5, 'x', '{"conditions": ["ratio"]}', 'cleared', 1, 'x');
INSERT INTO raxx_detect.baseline_starts VALUES ('webhook_stripe_signature_fail', 'stripe_webhook_events', '2026-05-01');
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(), b, '2026-06-04') FROM raxx_detect.source_bindings b WHERE b.source = 'stripe_webhook_events';
SELECT results_eq($$SELECT entity, rows[1], rows[13], rows[24], (SELECT sum(r) FROM unnest(rows) r) FROM raxx_detect.baselines ORDER BY entity NULLS FIRST$$,
    $$VALUES (NULL::text, 1::bigint, 12::bigint, 1::bigint, 24::numeric), ('false', 1, 2, 1, 4), ('true', 0, 10, 0, 20)$$,
    'rows by outcome and hour of the day in New York, without those of the finding');
SELECT results_eq('SELECT day, rows, left_out FROM raxx_detect.baseline_days', $$VALUES ('2026-06-04'::date, 24::bigint, 12::bigint)$$, 'which are counted');
SELECT is_empty('SELECT FROM raxx_detect.baselines WHERE cardinality(rows) <> 24 OR cardinality(exposure) <> 24 OR cardinality(squares) <> 24', 'each array has 24 elements');
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(), b, '2026-06-03') FROM raxx_detect.source_bindings b WHERE b.source = 'stripe_webhook_events';
SELECT is(rows, 1::bigint, 'the microsecond before midnight is of the day before') FROM raxx_detect.baseline_days WHERE day = '2026-06-03';
SELECT raxx_detect.set_params('webhook_stripe_signature_fail', '{"time_zone": "UTC"}');

-- ---- a definition to hold it against ---------------------------------------------------------------------------------------
-- Twelve days of calls, 52 seconds apart on average; two in a hundred fail, but many on the first day and
-- the last three, now and then.
SELECT pg_temp.start_over();
INSERT INTO calls (event_time, signature_valid)
SELECT timestamptz '2026-05-20 00:00+00' + s * interval '1 second',
       pg_temp.pseudo_random(n, 2, 1000) >= CASE WHEN s / 1800 % 12 = 3 AND s < 86400 OR s >= 9 * 86400 AND pg_temp.pseudo_random(s / 1800, 9, 10) = 0 THEN 500 ELSE 20 END
FROM generate_series(1, 20000) n CROSS JOIN LATERAL (SELECT pg_temp.pseudo_random(n, 1, 12 * 86400) AS s) x;
SELECT raxx_detect.bind_source('stripe_webhook_events', 'calls');
-- Findings that are no true ones are not left out of baselines.
CREATE FUNCTION pg_temp.close() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.triage := 'closed'; NEW.disposition := 'benign'; RETURN NEW; END $$;
CREATE TRIGGER close BEFORE INSERT ON raxx_detect.detection_findings FOR EACH ROW EXECUTE FUNCTION pg_temp.close();
SELECT is(r.outcome, 'ok', 'one run over everything') FROM pg_temp.look('2026-06-01 12:00+00'::timestamptz) r;
CREATE TABLE at_once AS SELECT entity, episode, observed, threshold, fired_by, sample_size, p_value, condition, summary, evidence FROM pg_temp.found;
SELECT cmp_ok(count(*), '>', 5::bigint, 'finds something') FROM at_once;
SELECT cmp_ok(count(*), '>', 1::bigint, 'by the threshold') FROM at_once WHERE fired_by = 'threshold';
SELECT cmp_ok(count(*), '>', 3::bigint, 'and by the baseline') FROM at_once WHERE fired_by = 'baseline';

CREATE TABLE history AS
WITH hours AS (
    SELECT d.day::date, h.hour, count(*)::float8 AS n, count(*) FILTER (WHERE NOT c.signature_valid)::float8 AS k
    FROM generate_series(timestamp '2026-05-28', '2026-06-01', '1 day') d(day)
    JOIN calls c ON c.event_time >= d.day::timestamptz - interval '7 days' AND c.event_time < d.day::timestamptz
    CROSS JOIN LATERAL (SELECT date_trunc('hour', c.event_time)) h(hour) GROUP BY 1, 2
), share AS (
    SELECT day, sum(n) AS n0, sum(k) AS k0, (sum(k) + 0.5) / (sum(n) + 1) AS p, count(*) AS hours FROM hours GROUP BY day
)
SELECT s.*, greatest(1, (SELECT sum((h.k - h.n * s.p) ^ 2 / (h.n * s.p * (1 - s.p))) FROM hours h WHERE h.day = s.day) / (s.hours - 1)) AS phi FROM share s;
SELECT set_eq('SELECT day, round(phi::numeric, 8) AS phi, round(p::numeric, 12) AS p FROM history WHERE day >= ''2026-05-31''', $$
    SELECT d::date, round(h.dispersion::numeric, 8) AS phi, round(h.share::numeric, 12) AS p FROM generate_series(timestamp '2026-05-31', '2026-06-01', '1 day') d
    CROSS JOIN LATERAL raxx_detect.outcome_baseline(pg_temp.rule(), 'stripe_webhook_events', d::date) h$$, 'share and dispersion of the days that are kept are those of their seven days');
SELECT is(array_agg(DISTINCT phi > 1), '{f,t}', 'before and after there were clusters') FROM history;
SELECT is(count(*), 0::bigint, 'a day too early has none') FROM raxx_detect.outcome_baseline(pg_temp.rule(), 'stripe_webhook_events', '2026-05-27') h WHERE (h).usable;

CREATE TABLE failures AS SELECT event_time, 'x'::text AS who FROM calls WHERE NOT signature_valid;
CREATE TABLE tests AS
SELECT f.event_time AS at, w.n, w.k, h.day IS NOT NULL AS ready,
       CASE WHEN h.phi > 1 THEN raxx_detect.negative_binomial_upper_tail(w.k - 1, (w.n - 1) * h.p, greatest((w.n - 1) * h.p, (w.n - 1) * h.p * (1 - h.p) * h.phi))
            ELSE raxx_detect.binomial_upper_tail(w.k - 1, w.n - 1, h.p) END AS p_value,
       0.5 / (h.p * h.n0 / 7 * 30.4375) AS tail
FROM (SELECT DISTINCT event_time FROM failures) f
CROSS JOIN LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE NOT signature_valid) AS k FROM calls c
                    WHERE c.event_time > f.event_time - interval '10 min' AND c.event_time <= f.event_time) w
LEFT JOIN history h ON h.day = (f.event_time - interval '5 min')::date;
SELECT set_eq('SELECT episode, observed, sample_size, fired_by FROM at_once', $$
    SELECT tstzrange(min(t.at), upper(e.episode)), max(t.k)::float8 AS k, (array_agg(t.n ORDER BY t.k DESC, t.n DESC))[1] AS n,
           (array_agg(CASE WHEN t.ready THEN 'baseline' ELSE 'threshold' END ORDER BY t.k DESC, t.n DESC, t.at))[1] AS fired_by
    FROM raxx_detect.velocity_episodes('failures', 'event_time', 'who', '10 min', 3, '-infinity', 'infinity') e
    JOIN tests t ON e.episode @> t.at AND CASE WHEN t.ready THEN t.k >= 3 AND t.p_value <= t.tail ELSE t.k >= 5 END
    GROUP BY e.episode$$, 'exactly the episodes of the definition');
SELECT set_eq($$SELECT lower(episode), round(p_value::numeric, 12) FROM at_once WHERE p_value IS NOT NULL$$, $$
    SELECT min(t.at), round(min(t.p_value)::numeric, 12)
    FROM raxx_detect.velocity_episodes('failures', 'event_time', 'who', '10 min', 3, '-infinity', 'infinity') e
    JOIN tests t ON e.episode @> t.at AND CASE WHEN t.ready THEN t.k >= 3 AND t.p_value <= t.tail ELSE t.k >= 5 END
    GROUP BY e.episode HAVING min(t.p_value) FILTER (WHERE t.ready) IS NOT NULL$$, 'with their least probability');
SELECT is_empty($$SELECT * FROM at_once WHERE fired_by = 'baseline' AND threshold > observed$$, 'nowhere would fewer have sufficed that did not');

-- ---- many runs, each as one: with findings left out of the baselines as they come -----------------------------------------
DROP TRIGGER close ON raxx_detect.detection_findings;
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM raxx_detect.baseline_days; DELETE FROM raxx_detect.baseline_starts $$;
CREATE FUNCTION pg_temp.in_steps(seed bigint, longest int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2026-05-20 00:00+00';
    n int := 0;
BEGIN
    PERFORM pg_temp.forget();
    WHILE at < '2026-06-01 12:00+00' LOOP
        n := n + 1;
        at := least('2026-06-01 12:00+00', at + (1 + pg_temp.pseudo_random(n, seed, longest)) * interval '1 second');
        PERFORM raxx_detect.run('webhook_stripe_signature_fail', at);
    END LOOP;
END $$;
SELECT pg_temp.forget();
SELECT pg_temp.look('2026-06-01 12:00+00'::timestamptz);
CREATE TABLE left_out AS SELECT entity, episode, observed, threshold, fired_by, sample_size, p_value, condition, summary, evidence FROM pg_temp.found;
SELECT cmp_ok(count(*), '>=', (SELECT count(*) FROM at_once), 'what is left out of the baselines makes them keener') FROM left_out;
SELECT cmp_ok((evidence #>> '{baseline,left_out}')::int, '>', 0, 'and says so') FROM left_out WHERE fired_by = 'baseline' ORDER BY lower(episode) DESC LIMIT 1;
SELECT pg_temp.in_steps(21, 20000);
SELECT set_eq('SELECT entity, episode, observed, threshold, fired_by, sample_size, p_value, condition, summary, evidence FROM pg_temp.found',
    'SELECT * FROM left_out', 'in steps of up to 20000 seconds');
SELECT pg_temp.in_steps(22, 7000);
SELECT set_eq('SELECT entity, episode, observed, threshold, fired_by, sample_size, p_value, condition, summary, evidence FROM pg_temp.found',
    'SELECT * FROM left_out', 'in steps of up to 7000 seconds');
-- Steps of exactly the lateness: what is settled ends at the instant of a failure.
UPDATE calls SET event_time = date_trunc('hour', event_time) + floor(extract(minute FROM event_time) / 5) * interval '5 min';
SELECT pg_temp.forget();
SELECT pg_temp.look('2026-05-21 06:00+00'::timestamptz);
CREATE TABLE on_the_edge AS SELECT entity, episode, observed, fired_by, sample_size, condition, summary, evidence FROM pg_temp.found;
SELECT pg_temp.forget();
SELECT count(pg_temp.look(at)) FROM generate_series(timestamptz '2026-05-20 00:00+00', '2026-05-21 06:00+00', '5 min') at;
SELECT set_eq('SELECT entity, episode, observed, fired_by, sample_size, condition, summary, evidence FROM pg_temp.found', 'SELECT * FROM on_the_edge', 'on the edge of what is settled, too');
SELECT cmp_ok(count(*), '>', 2::bigint, 'which there is') FROM on_the_edge;

-- ---- clusters ----------------------------------------------------------------------------------------------------------------
-- The same 70 failures in 10000 calls of a week: one now and then, or twelve within one hour of each day.
CREATE FUNCTION pg_temp.burst_after(clustered boolean, failed int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.start_over();
    INSERT INTO calls (event_time, signature_valid)
    SELECT timestamptz '2026-05-01 00:00+00' + n * interval '1 minute',
           CASE WHEN clustered THEN NOT (n % 1440 BETWEEN 601 AND 650 AND n % 5 = 0) ELSE n % 144 <> 0 END
    FROM generate_series(1, 8 * 1440 + 600) n;
    INSERT INTO calls (event_time, signature_valid)
    SELECT timestamptz '2026-05-09 10:00:30+00' + n * interval '20 seconds', n > failed FROM generate_series(1, 20) n;
    PERFORM pg_temp.look('2026-05-09 09:00+00'::timestamptz);
    DELETE FROM raxx_detect.detection_findings WHERE upper(episode) < '2026-05-09';
    PERFORM pg_temp.look('2026-05-09 10:30+00'::timestamptz);
    RETURN (SELECT coalesce(max(format('%s, dispersion %s', observed, CASE WHEN (evidence #>> '{baseline,dispersion}')::float8 > 1 THEN 'above 1' ELSE '1' END)), 'none')
            FROM pg_temp.found WHERE lower(episode) > '2026-05-09');
END $$;
SELECT is(pg_temp.burst_after(false, 4), '4, dispersion 1', 'where failures are spread evenly, four of them are no chance');
SELECT is(pg_temp.burst_after(true, 4), 'none', 'where they come in clusters, they are');
SELECT is(pg_temp.burst_after(true, 20), '20, dispersion above 1', 'but not twenty');

-- ---- the exact number ----------------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.fires(failed int, good int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
    DELETE FROM calls WHERE event_time > '2026-05-09 12:00+00';
    INSERT INTO calls (event_time, signature_valid) SELECT '2026-05-09 13:00+00', n > failed FROM generate_series(1, failed + good) n;
    PERFORM pg_temp.look('2026-05-09 13:01+00'::timestamptz);
    RETURN EXISTS (SELECT FROM pg_temp.found WHERE timestamptz '2026-05-09 13:00+00' <@ episode);
END $$;
SELECT pg_temp.start_over();
INSERT INTO calls (event_time, signature_valid)
SELECT timestamptz '2026-05-01 00:00+00' + n * interval '1 minute', n % 30 <> 0 FROM generate_series(1, 8 * 1440 + 720) n;
SELECT raxx_detect.bind_source('stripe_webhook_events', 'calls', judge_from => '2026-05-09 12:00+00');
CREATE TABLE fewest AS
SELECT n, (SELECT min(k) FROM generate_series(3, n) k WHERE raxx_detect.binomial_upper_tail(k - 1, n - 1, (336 + 0.5) / (10080 + 1)) <= 0.5 / ((336 + 0.5) / (10080 + 1) * 1440 * 30.4375)) AS k
FROM unnest('{6,50,200,1000}'::int[]) n;
SELECT ok(pg_temp.fires(k::int, n - k::int), format('%s failures of %s calls fire', k, n)) FROM fewest;
SELECT is(threshold, (SELECT k::float8 FROM fewest WHERE n = 1000), 'which the finding names as its threshold') FROM pg_temp.found;
SELECT ok(NOT pg_temp.fires(k::int - 1, n - k::int + 1), format('%s of %s do not', k - 1, n)) FROM fewest;
SELECT is((evidence #>> '{baseline,n}')::int, 10080, 'by the seven days before') FROM (SELECT pg_temp.fires(50, 0)) f, pg_temp.found;

SELECT * FROM finish();
ROLLBACK;
