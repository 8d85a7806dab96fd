-- Rule 13, hard bounces by the hour and by the day: held against its definition across both changes of the clock; an hour
-- and a day are one finding, and counted once; any schedule.
BEGIN;
SELECT plan(34);
SET LOCAL timezone = 'UTC';
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE rule_id = 'webhook_postmark_bounce_spike';
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.rule() RETURNS raxx_detect.rules LANGUAGE sql STABLE AS
    $$ SELECT r FROM raxx_detect.rules r WHERE r.rule_id = 'webhook_postmark_bounce_spike' $$;
SELECT raxx_detect.create_source_table('outbound_mail_events', 'mails');
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('webhook_postmark_bounce_spike', at) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'webhook_postmark_bounce_spike';
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM raxx_detect.baseline_days; DELETE FROM raxx_detect.baseline_starts $$;
CREATE FUNCTION pg_temp.mail(at text, outcome text, number int DEFAULT 1, every interval DEFAULT '1 second') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO mails (event_time, outcome) SELECT at::timestamptz + n * every, outcome FROM generate_series(0, number - 1) n $$;

-- ---- parameters ------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.set_params('webhook_postmark_bounce_spike', '{"long_window": "2 days"}')$$, '22023', 'parameter long_window is out of range', 'the long window is a day');
SELECT is(round(raxx_detect.points_a_month(pg_temp.rule())::numeric, 4), 760.9375, 'hours and days are the tests of a month');

-- ---- an hour, a day, and both --------------------------------------------------------------------------------------------------
-- Nine days with 60 mails an hour of which one bounces, then a tenth.
CREATE FUNCTION pg_temp.usual(days int DEFAULT 9) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.forget();
    DELETE FROM mails;
    INSERT INTO mails (event_time, outcome)
    SELECT timestamptz '2026-05-01 00:00+00' + n * interval '1 minute', CASE WHEN n % 60 = 30 THEN 'hard_bounce' ELSE 'sent' END
    FROM generate_series(0, days * 1440 - 1) n;
END $$;
SELECT pg_temp.usual(7);
SELECT pg_temp.mail('2026-05-07 12:00+00', 'hard_bounce', 600);
SELECT is(r.findings_new, 0::bigint, 'before the baseline is ready nothing is judged') FROM pg_temp.look('2026-05-08 00:00+00') r;
SELECT pg_temp.usual(10);
SELECT is(r.findings_new, 0::bigint, 'what is usual is none') FROM pg_temp.look('2026-05-10 02:00+00') r;
SELECT pg_temp.mail('2026-05-10 02:10+00', 'hard_bounce', 40), pg_temp.mail('2026-05-10 02:10+00', NULL, 3);
SELECT is(r.findings_new, 0::bigint, 'an hour is judged when it is over') FROM pg_temp.look('2026-05-10 02:59:59.999999+00') r;
SELECT ok(r.detail LIKE '%ignored 3 rows%' AND r.rows_read >= 100, 'mails without an outcome are counted') FROM raxx_detect.rule_runs r WHERE r.rule_id = 'webhook_postmark_bounce_spike' ORDER BY r.run_id DESC LIMIT 1;
SELECT is(r.findings_new, 1::bigint, 'which is now') FROM pg_temp.look('2026-05-10 03:00+00') r;
SELECT results_eq('SELECT entity, severity::text, observed, sample_size, fired_by, condition, episode, evidence -> ''conditions'', occurrences FROM pg_temp.found',
    $$VALUES ('outbound_mail_events', 'medium', 41::float8, 100::bigint, 'baseline', 'firing', '["2026-05-10 03:00:00+00",)'::tstzrange, '["hour"]'::jsonb, 1)$$, 'it is in force until the next');
SELECT is((evidence -> 'baseline') - 'dispersion'::text, jsonb_build_object('of', 'all entities', 'days', 7, 'n', 10080, 'failures', 168, 'share', 168.5::float8 / 10081, 'left_out', 0,
    'tests_a_month', 760.9375::float8, 'tail', 1 / 760.9375::float8), 'and says by what it was judged') FROM pg_temp.found;
SELECT pg_temp.mail('2026-05-10 02:30+00', 'hard_bounce', 5);
SELECT is(r.findings_updated, 1::bigint, 'late mails count') FROM pg_temp.look('2026-05-10 03:04+00') r;
SELECT pg_temp.mail('2026-05-10 03:10+00', 'hard_bounce', 30);
SELECT is(r.findings_updated, 0::bigint, 'the next hour is not over') FROM pg_temp.look('2026-05-10 03:30+00') r;
SELECT is(r.findings_new, 0::bigint, 'then it prolongs the finding') FROM pg_temp.look('2026-05-10 04:10+00') r;
SELECT is(r.findings_updated, 1::bigint, 'until an hour is as usual') FROM pg_temp.look('2026-05-10 05:00+00') r;
SELECT results_eq('SELECT observed, condition, episode FROM pg_temp.found', $$VALUES (46::float8, 'cleared', '["2026-05-10 03:00:00+00","2026-05-10 05:00:00+00")'::tstzrange)$$, 'told by its worst hour');
SELECT is(r.findings_new + r.findings_updated, 0::bigint, 'the day without these hours is as usual') FROM pg_temp.look('2026-05-11 01:00+00') r;
-- Were the day counted with them, it would have fired.
SELECT cmp_ok(raxx_detect.failure_tail(count(*) FILTER (WHERE outcome = 'hard_bounce'), count(*), 168.5 / 10081, 1), '<', 1e-6::float8, 'with them it is not')
FROM mails WHERE event_time >= '2026-05-10' AND event_time < '2026-05-11';
-- Two bounces an hour are none, but over a day they are; with an hour at its end that is by itself.
SELECT pg_temp.usual(10);
SELECT pg_temp.mail('2026-05-10 00:15+00', 'hard_bounce', 48, '30 minutes'), pg_temp.mail('2026-05-10 23:10+00', 'hard_bounce', 60);
SELECT pg_temp.mail('2026-05-11 00:00+00', 'sent', 1440, '1 minute');
SELECT is(r.findings_new, 1::bigint, 'an hour and a day that end together are one finding') FROM pg_temp.look('2026-05-11 00:00+00') r;
SELECT results_eq('SELECT observed, sample_size, evidence -> ''conditions'', condition FROM pg_temp.found', $$VALUES (69::float8, 1426::bigint, '["day", "hour"]'::jsonb, 'firing')$$,
    'with both conditions, and the hour''s mails counted once');
SELECT is(r.findings_updated, 0::bigint, 'an hour later the day''s verdict is in force') FROM pg_temp.look('2026-05-11 02:00+00') r;
SELECT is(r.findings_updated, 0::bigint, 'a day less a microsecond later, too') FROM pg_temp.look('2026-05-11 23:59:59.999999+00') r;
SELECT is(r.findings_updated, 1::bigint, 'then it ends') FROM pg_temp.look('2026-05-12 00:00+00') r;
SELECT results_eq('SELECT condition, episode FROM pg_temp.found', $$VALUES ('cleared', '["2026-05-11 00:00:00+00","2026-05-12 00:00:00+00")'::tstzrange)$$, 'with the day');
SELECT is((h).left_out, 1548::bigint, 'the day that was judged is left out of the baselines after it')
FROM (SELECT raxx_detect.keep_baseline_day(pg_temp.rule(), b, '2026-05-10') FROM raxx_detect.source_bindings b) k, raxx_detect.baseline_days h WHERE h.day = '2026-05-10';

-- ---- a definition to hold it against, in New York, across both changes of the clock -------------------------------------------
SELECT raxx_detect.set_params('webhook_postmark_bounce_spike', '{"time_zone": "America/New_York"}');
CREATE FUNCTION pg_temp.fortnight(first_day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.forget();
    DELETE FROM mails;
    -- Some hours have many bounces, some days more than others, and some hours hardly a mail.
    INSERT INTO mails (event_time, outcome)
    SELECT x.at, CASE WHEN pg_temp.pseudo_random(n, 2, 1000) < CASE WHEN x.hour >= 216 AND pg_temp.pseudo_random(x.hour, 3, 12) = 0 THEN 150
                                                                    WHEN x.hour / 24 = 11 THEN 60 ELSE 25 END
                      THEN 'hard_bounce' WHEN pg_temp.pseudo_random(n, 5, 50) = 0 THEN NULL ELSE 'sent' END
    FROM generate_series(1, 20000) n
    CROSS JOIN LATERAL (SELECT s, s / 3600 AS hour, timezone('America/New_York', first_day::timestamp) + s * interval '1 second' AS at
                        FROM pg_temp.pseudo_random(n, 1, 14 * 86400) s) x
    WHERE pg_temp.pseudo_random(x.hour, 4, 6) > 0 OR n % 4 = 0;
END $$;
CREATE FUNCTION pg_temp.local_day(at timestamptz) RETURNS date LANGUAGE sql STABLE AS $$ SELECT timezone('America/New_York', at)::date $$;
CREATE FUNCTION pg_temp.midnight(day date) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timezone('America/New_York', day::timestamp) $$;
CREATE VIEW pg_temp.history_of_mails AS
WITH hours AS (
    SELECT d.day, pg_temp.local_day(m.event_time), extract(hour FROM timezone('America/New_York', m.event_time)) AS hour,
           count(*)::float8 AS n, count(*) FILTER (WHERE m.outcome = 'hard_bounce')::float8 AS k
    FROM (SELECT DISTINCT pg_temp.local_day(event_time) AS day, (SELECT pg_temp.local_day(min(event_time)) FROM mails) AS first FROM mails) d
    JOIN mails m ON m.event_time >= pg_temp.midnight(d.day - 7) AND m.event_time < pg_temp.midnight(d.day) AND m.outcome IS NOT NULL
    WHERE d.day - 7 > d.first GROUP BY 1, 2, 3
), share AS (SELECT day, (sum(k) + 0.5) / (sum(n) + 1) AS p, count(*) AS hours FROM hours GROUP BY day)
SELECT s.day, s.p, greatest(1, (SELECT sum((h.k - h.n * s.p) ^ 2 / (h.n * s.p * (1 - s.p))) FROM hours h WHERE h.day = s.day) / (s.hours - 1)) AS phi FROM share s;
CREATE TABLE history (day date PRIMARY KEY, p float8, phi float8);
CREATE VIEW pg_temp.points AS
WITH hours AS (
    SELECT date_trunc('hour', event_time, 'America/New_York') AS starts, count(*) AS n, count(*) FILTER (WHERE outcome = 'hard_bounce') AS k
    FROM mails WHERE outcome IS NOT NULL GROUP BY 1
), judged AS (
    SELECT h.*, h.starts + interval '1 hour' AS at,
           coalesce(h.n >= 20 AND raxx_detect.failure_tail(h.k, h.n, s.p, s.phi) <= 1 / (30.4375 * 25), false) AS fires
    FROM hours h LEFT JOIN history s ON s.day = pg_temp.local_day(h.starts + interval '55 min')
), days AS (
    SELECT pg_temp.local_day(j.starts) AS day, sum(j.n) FILTER (WHERE NOT fires)::bigint AS n, sum(j.k) FILTER (WHERE NOT fires)::bigint AS k FROM judged j GROUP BY 1
)
SELECT 'hour' AS condition, j.at, j.at + interval '1 hour' AS until, j.n, j.k FROM judged j WHERE j.fires
UNION ALL
SELECT 'day', pg_temp.midnight(d.day + 1), pg_temp.midnight(d.day + 2), d.n, d.k
FROM days d JOIN history s ON s.day = pg_temp.local_day(pg_temp.midnight(d.day + 1) - interval '5 min')
WHERE d.n >= 500 AND raxx_detect.failure_tail(d.k, d.n, s.p, s.phi) <= 1 / (30.4375 * 25);
CREATE VIEW pg_temp.by_definition AS
SELECT e.episode, max(p.k)::float8 AS observed, (array_agg(p.n ORDER BY p.k DESC, p.n DESC))[1] AS sample_size, to_jsonb(array_agg(DISTINCT p.condition ORDER BY p.condition)) AS conditions
FROM (SELECT unnest(range_agg(tstzrange(at, until))) AS episode FROM pg_temp.points) e JOIN pg_temp.points p ON p.at <@ e.episode GROUP BY e.episode;
CREATE TABLE clock_changes (first_day date, hours int);
INSERT INTO clock_changes VALUES ('2025-10-24', 25), ('2026-02-27', 23), ('2026-05-01', 24);
CREATE FUNCTION pg_temp.close() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.triage := 'closed'; NEW.disposition := 'benign'; RETURN NEW; END $$;
CREATE TRIGGER close BEFORE INSERT ON raxx_detect.detection_findings FOR EACH ROW EXECUTE FUNCTION pg_temp.close();
CREATE FUNCTION pg_temp.differences(first_day date) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.fortnight(first_day);
    DELETE FROM history;
    INSERT INTO history SELECT * FROM pg_temp.history_of_mails;
    PERFORM pg_temp.look(pg_temp.midnight(first_day + 17));
    RETURN format('%s found, %s of a day, %s of both, %s amiss', (SELECT count(*) > 2 FROM pg_temp.found),
        (SELECT count(*) > 0 FROM pg_temp.found WHERE evidence -> 'conditions' ? 'day'), (SELECT count(*) > 0 FROM pg_temp.found WHERE occurrences = 2),
        (SELECT count(*) FROM (SELECT episode, observed, sample_size, evidence -> 'conditions' AS conditions FROM pg_temp.found) f FULL JOIN pg_temp.by_definition d USING (episode, observed, sample_size, conditions)
         WHERE f IS NULL OR d IS NULL));
END $$;
SELECT is(pg_temp.differences(first_day), 't found, t of a day, t of both, 0 amiss', format('a fortnight with a day of %s hours', hours)) FROM clock_changes;
DROP TRIGGER close ON raxx_detect.detection_findings;

-- ---- many runs, each as one ------------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.in_steps(from_time timestamptz, to_time timestamptz, seed bigint, longest int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := from_time;
    n int := 0;
BEGIN
    PERFORM pg_temp.forget();
    WHILE at < to_time LOOP
        n := n + 1;
        at := least(to_time, at + (1 + pg_temp.pseudo_random(n, seed, longest)) * interval '1 second');
        PERFORM pg_temp.look(at);
    END LOOP;
END $$;
CREATE TABLE at_once AS SELECT entity, episode, observed, threshold, sample_size, p_value, condition, summary, evidence, occurrences FROM pg_temp.found WHERE false;
CREATE FUNCTION pg_temp.all_at_once(first_day date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.fortnight(first_day);
    PERFORM pg_temp.look(pg_temp.midnight(first_day + 14));
    DELETE FROM at_once;
    INSERT INTO at_once SELECT entity, episode, observed, threshold, sample_size, p_value, condition, summary, evidence, occurrences FROM pg_temp.found;
END $$;
CREATE FUNCTION pg_temp.same(label text) RETURNS text LANGUAGE sql AS $$
    SELECT set_eq('SELECT entity, episode, observed, threshold, sample_size, p_value, condition, summary, evidence, occurrences FROM pg_temp.found', 'SELECT * FROM at_once', label)
$$;
SELECT pg_temp.all_at_once('2025-10-24');
SELECT cmp_ok(count(*), '>', 2::bigint, 'with findings left out of baselines, there is something to compare') FROM at_once;
SELECT pg_temp.in_steps(pg_temp.midnight('2025-10-24'), pg_temp.midnight('2025-11-07'), 31, 30000);
SELECT pg_temp.same('in steps of hours');
SELECT pg_temp.in_steps(pg_temp.midnight('2025-10-24'), pg_temp.midnight('2025-11-07'), 32, 200000);
SELECT pg_temp.same('in steps of days');
SELECT pg_temp.in_steps(pg_temp.midnight('2025-11-04'), pg_temp.midnight('2025-11-06'), 33, 3000);
SELECT pg_temp.look(pg_temp.midnight('2025-11-07'));
SELECT pg_temp.same('in steps of minutes');
-- Every five minutes: what is settled ends with an hour each time.
SELECT pg_temp.forget();
SELECT count(pg_temp.look(at)) FROM generate_series(pg_temp.midnight('2025-11-05') - interval '2 hours', pg_temp.midnight('2025-11-05') + interval '6 hours', '5 min') at;
SELECT pg_temp.look(pg_temp.midnight('2025-11-07'));
SELECT pg_temp.same('on the edge of what is settled');
-- With a lateness of hours, so that an hour is judged by the baseline of the day before.
SELECT raxx_detect.bind_source('outbound_mail_events', 'mails', lateness => '3 hours');
SELECT pg_temp.all_at_once('2026-02-27');
SELECT pg_temp.in_steps(pg_temp.midnight('2026-02-27'), pg_temp.midnight('2026-03-13'), 34, 30000);
SELECT pg_temp.same('with a lateness of three hours');
SELECT pg_temp.in_steps(pg_temp.midnight('2026-03-10'), pg_temp.midnight('2026-03-12'), 35, 6000);
SELECT pg_temp.look(pg_temp.midnight('2026-03-13'));
SELECT pg_temp.same('and in shorter steps');

-- ---- forged times ------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.forget();
INSERT INTO mails (event_time, outcome) SELECT t, 'hard_bounce' FROM unnest('{4714-11-24 00:00+00 BC,-infinity,infinity,294276-12-31 23:59+00}'::timestamptz[]) t, generate_series(1, 30);
SELECT is((r.outcome, r.detail LIKE '%ERROR%'), ('no_data'::text, false), 'forged times are no error') FROM pg_temp.look('2026-03-20 00:00+00') r;

SELECT * FROM finish();
ROLLBACK;
