-- What is learnt of silences, and how probable one is, against the definitions in plain SQL on random events: over the
-- day that New York's clocks skip an hour of, and over the one on which they repeat one.
BEGIN;
SELECT plan(35);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.about_equal(x float8, y float8) RETURNS boolean
LANGUAGE sql IMMUTABLE AS 'SELECT abs(x - y) <= 1e-9 * greatest(abs(x), abs(y))';
CREATE FUNCTION pg_temp.rule() RETURNS raxx_detect.rules
LANGUAGE sql STABLE AS 'SELECT r FROM raxx_detect.rules r WHERE r.number = 6';
CREATE FUNCTION pg_temp.binding() RETURNS raxx_detect.source_bindings
LANGUAGE sql STABLE AS $$ SELECT b FROM raxx_detect.source_bindings b WHERE b.source = 'customer_audit_events' $$;
CREATE FUNCTION pg_temp.local(t timestamptz) RETURNS timestamp
LANGUAGE sql STABLE AS $$ SELECT t AT TIME ZONE 'America/New_York' $$;

-- Two stretches of nine days. Some events share their instant; those of 2024-03-12 are missing.
CREATE TABLE audit (id bigint PRIMARY KEY, event_time timestamptz);
INSERT INTO audit
SELECT n, e.at
FROM generate_series(1, 5000) n
CROSS JOIN LATERAL (SELECT CASE n % 2 WHEN 0 THEN timestamptz '2024-03-06 05:00+00' ELSE timestamptz '2024-10-30 04:00+00' END
    + CASE WHEN n % 7 = 0 THEN pg_temp.pseudo_random(n, 1, 9 * 288) * interval '5 minutes'
           WHEN n % 7 < 4 THEN pg_temp.pseudo_random(n, 2, 9) * interval '1 day' + interval '13 hours' + pg_temp.pseudo_random(n, 3, 10000) * interval '1 second'
           ELSE pg_temp.pseudo_random(n, 4, 9 * 86400) * interval '1 second' END AS at) e
WHERE pg_temp.local(e.at)::date <> '2024-03-12';
CREATE INDEX ON audit (event_time);
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');
SELECT raxx_detect.set_params('data_audit_log_gap_window', '{"time_zone": "America/New_York"}');

CREATE TABLE days AS
SELECT d::date AS day, d::timestamp AT TIME ZONE 'America/New_York' AS midnight, (d + interval '1 day')::timestamp AT TIME ZONE 'America/New_York' AS next
FROM (SELECT generate_series(timestamp '2024-03-06', '2024-03-14', '1 day') UNION ALL SELECT generate_series(timestamp '2024-10-30', '2024-11-07', '1 day')) g(d);
DO $$
BEGIN
    PERFORM raxx_detect.know_baseline_start(pg_temp.rule(), pg_temp.binding());
    PERFORM raxx_detect.keep_baseline_day(pg_temp.rule(), pg_temp.binding(), d.day) FROM days d;
END $$;
-- The definitions: a gap is what lies between an event and the next; it is of the day in which it ends and of the hour
-- in which it begins. Cells are of five minutes, from midnight on.
CREATE TABLE naive_gaps AS
SELECT d.day, g.since, g.at, extract(hour FROM pg_temp.local(g.since))::int AS hour, extract(epoch FROM g.at - g.since)::float8 AS seconds
FROM (SELECT a.event_time AS at, (SELECT b.event_time FROM audit b WHERE (b.event_time, b.id) < (a.event_time, a.id) ORDER BY b.event_time DESC, b.id DESC LIMIT 1) AS since
      FROM audit a) g
JOIN days d ON g.at >= d.midnight AND g.at < d.next;
CREATE TABLE naive_cells AS  -- all there are
SELECT d.day, extract(hour FROM pg_temp.local(c))::int AS hour, c AS cell, (SELECT count(*) FROM audit a WHERE a.event_time >= c AND a.event_time < c + interval '5 minutes') AS x
FROM days d CROSS JOIN LATERAL generate_series(d.midnight, d.next - interval '1 second', '5 minutes') c;
CREATE VIEW learnt AS
SELECT b.day, (u.h - 1)::int AS hour, u.cells, u.rows, u.squares, b.hour_sketches[u.h] AS sketch
FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.exposure, b.rows, b.squares) WITH ORDINALITY u(cells, rows, squares, h)
WHERE b.rule_id = 'data_audit_log_gap_window';

-- ---- learning -----------------------------------------------------------------------------------------------------
SELECT cmp_ok(count(*), '>', 4000::bigint, 'there are many gaps') FROM naive_gaps;
SELECT cmp_ok(count(*), '>', 5::bigint, 'some of which have no length') FROM naive_gaps WHERE seconds = 0;
SELECT cmp_ok(count(*), '>', 10::bigint, 'and some begin on the day before') FROM naive_gaps WHERE pg_temp.local(since)::date < day;
SELECT results_eq('SELECT day, count(*) FROM learnt GROUP BY day ORDER BY day', 'SELECT day, 24::bigint FROM days ORDER BY day', 'each day is kept, also the one without events');
SELECT results_eq('SELECT day, hour, raxx_detect.sketch_count(sketch) FROM learnt WHERE raxx_detect.sketch_count(sketch) > 0 ORDER BY 1, 2',
    'SELECT day, hour, count(*) FROM naive_gaps WHERE since IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2', 'gaps are of the hour in which they begin, those across midnight too');
SELECT is_empty($$SELECT l.day, l.hour, q FROM learnt l CROSS JOIN unnest('{0,0.3,0.5,0.9,0.999,1}'::float8[]) q
    CROSS JOIN LATERAL (SELECT percentile_disc(q) WITHIN GROUP (ORDER BY g.seconds) AS exact FROM naive_gaps g WHERE g.day = l.day AND g.hour = l.hour) n
    WHERE abs(raxx_detect.quantile(l.sketch, q) - n.exact) > 0.004 * n.exact$$, 'the sketches tell the quantiles of their lengths, in seconds');
SELECT set_eq('SELECT day, hour, cells, rows, squares FROM learnt',
    $$SELECT d.day, h AS hour, count(c.x)::float8 AS cells, coalesce(sum(c.x), 0)::bigint AS rows, coalesce(sum(c.x * c.x), 0)::float8 AS squares
      FROM days d CROSS JOIN generate_series(0, 23) h LEFT JOIN naive_cells c ON c.day = d.day AND c.hour = h GROUP BY 1, 2$$, 'the events in cells, and how many cells there were');
SELECT results_eq($$SELECT day, hour, cells FROM learnt WHERE cells <> 12 ORDER BY day$$, $$VALUES (date '2024-03-10', 2, 0::float8), ('2024-11-03', 1, 24)$$,
    'none in the hour that is skipped, twice as many in the one that is repeated');
SELECT results_eq($$SELECT sum(cells), sum(rows) FROM learnt WHERE day = '2024-03-12'$$, 'VALUES (288::float8, 0::numeric)', 'a day without events was observed all the same');
SELECT results_eq($$SELECT day, rows, left_out FROM raxx_detect.baseline_days WHERE rule_id = 'data_audit_log_gap_window' ORDER BY day$$,
    'SELECT d.day, count(g.at), 0::bigint FROM days d LEFT JOIN naive_gaps g ON g.day = d.day GROUP BY d.day ORDER BY d.day', 'a day counts its gaps');

-- ---- asking -------------------------------------------------------------------------------------------------------
-- The cadence of 2024-03-15 is that of the days 03-08 to 03-14; the events of a cell of an hour scatter more than by chance.
CREATE TABLE cadence AS SELECT c.* FROM raxx_detect.cadence_of(pg_temp.rule(), 'customer_audit_events', '2024-03-15') c;
SELECT results_eq('SELECT u.gaps FROM cadence CROSS JOIN unnest(gaps) WITH ORDINALITY u(gaps, h) ORDER BY h',
    $$SELECT count(*) FROM generate_series(0, 23) h JOIN naive_gaps g ON g.hour = h AND g.day BETWEEN '2024-03-08' AND '2024-03-14' GROUP BY h ORDER BY h$$, 'the gaps of each hour of the day');
SELECT is_empty($$SELECT h, u.q, n.exact FROM cadence CROSS JOIN unnest(quantiles) WITH ORDINALITY u(q, h)
    CROSS JOIN LATERAL (SELECT percentile_disc(0.999) WITHIN GROUP (ORDER BY seconds) AS exact FROM naive_gaps g
                        WHERE g.hour = u.h - 1 AND g.day BETWEEN '2024-03-08' AND '2024-03-14') n
    WHERE u.q IS NULL OR abs(u.q - n.exact) > 0.004 * n.exact$$, 'and their quantile');
SELECT ok(c.days = 7 AND c.left_out = 0 AND pg_temp.about_equal(c.tests_a_month, n.events / 7 * 30.4375) AND pg_temp.about_equal(c.tail, 0.25 / c.tests_a_month),
    'each event is a test; half of the alarms are for each of the two tables')
FROM cadence c, (SELECT sum(x)::float8 AS events FROM naive_cells WHERE day BETWEEN '2024-03-08' AND '2024-03-14') n;
SELECT is_empty($$
    WITH days AS (SELECT day, hour, var_samp(x)::float8 AS v, avg(x)::float8 AS m, count(*)::float8 AS n FROM naive_cells
                  WHERE day BETWEEN '2024-03-08' AND '2024-03-14' GROUP BY day, hour)
    SELECT h, u.dispersion FROM cadence CROSS JOIN unnest(dispersions) WITH ORDINALITY u(dispersion, h)
    CROSS JOIN LATERAL (SELECT sum(v * (n - 1)) / sum((n - 1) * m) AS own FROM days d WHERE d.hour = u.h - 1) o
    CROSS JOIN (SELECT sum(v * (n - 1)) / sum((n - 1) * m) AS whole FROM days) w
    WHERE NOT pg_temp.about_equal(u.dispersion, greatest(o.own, w.whole, 1)) OR u.dispersion IS NULL$$, 'the dispersion of each hour, or of all where that is greater');
SELECT ok(c.dispersions = array_fill(1::float8, '{24}') AND c.tail = least(0.25 / c.tests_a_month, 1), 'without events, none') FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-03-15') c;

-- Of a silence, hour by hour of the clock: the same hour on the days of its kind (business days or not) in those seven days,
-- at their rate or at that of the same weekday, whichever is quieter; in clusters of (1 + d) / 2.
CREATE TABLE usual AS SELECT day, hour, sum(x)::float8 AS events, count(*)::float8 AS cells FROM naive_cells WHERE day BETWEEN '2024-03-08' AND '2024-03-14' GROUP BY day, hour;
CREATE FUNCTION pg_temp.naive_probability(silence tstzrange, dispersions float8[]) RETURNS float8
LANGUAGE sql STABLE AS $$
    SELECT exp(sum((least(n.alike, n.same / n.same_cells * n.cells) + 0.5) / ((1 + naive_probability.dispersions[extract(hour FROM pg_temp.local(h))::int + 1]) / 2)
                   * ln(n.cells / (n.cells + p.g))))
    FROM generate_series(date_trunc('hour', lower(silence)), upper(silence), '1 hour') h
    CROSS JOIN LATERAL (SELECT extract(epoch FROM least(h + interval '1 hour', upper(silence)) - greatest(h, lower(silence)))::float8 / 300 AS g) p
    CROSS JOIN LATERAL (
        SELECT sum(u.events) AS alike, sum(u.cells) AS cells, sum(u.events) FILTER (WHERE u.day_of_week = w.day_of_week) AS same,
               sum(u.cells) FILTER (WHERE u.day_of_week = w.day_of_week) AS same_cells
        FROM (SELECT extract(isodow FROM pg_temp.local(h)) AS day_of_week) w
        JOIN (SELECT x.*, extract(isodow FROM x.day) AS day_of_week FROM usual x) u
            ON (u.day_of_week <= 5) = (w.day_of_week <= 5) AND u.hour = extract(hour FROM pg_temp.local(h))) n
    WHERE p.g > 0
$$;
CREATE TABLE silences AS
SELECT n, s.silence, p.p_value, p.expected, pg_temp.naive_probability(s.silence, c.dispersions) AS naive
FROM generate_series(1, 300) n
CROSS JOIN LATERAL (SELECT timestamptz '2024-03-15 04:05+00' + pg_temp.pseudo_random(n, 20, 86400) * interval '1 second' AS begins) b
CROSS JOIN LATERAL (SELECT tstzrange(b.begins, b.begins + (1 + pg_temp.pseudo_random(n, 21, CASE n % 3 WHEN 0 THEN 100000 ELSE 4000 END)) * interval '1 second') AS silence) s
CROSS JOIN raxx_detect.cadence_of(pg_temp.rule(), 'customer_audit_events', '2024-03-15') c CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'customer_audit_events', s.silence, c) p;
SELECT is_empty('SELECT * FROM silences WHERE NOT pg_temp.about_equal(p_value, naive) AND greatest(p_value, naive) > 1e-300', 'the probability of a silence');
SELECT is_empty('SELECT * FROM silences WHERE p_value IS NULL OR p_value <= 0 OR p_value > 1 OR expected < 0', 'which is a probability');
SELECT cmp_ok(count(*), '>', 100::bigint, 'of some it is small') FROM silences WHERE p_value < 1e-6;
SELECT cmp_ok(count(*), '>', 50::bigint, 'of some it is not') FROM silences WHERE p_value > 0.01;
CREATE TABLE growing AS
SELECT b AS begins, l, p.p_value, p.expected
FROM (VALUES (timestamptz '2024-03-15 05:17:03+00'), ('2024-03-15 17:59:59+00'), ('2024-03-16 03:30+00')) v(b)
CROSS JOIN generate_series(0, 60) n CROSS JOIN LATERAL (SELECT n * n * interval '8 minutes 7 seconds' AS l) length
CROSS JOIN raxx_detect.cadence_of(pg_temp.rule(), 'customer_audit_events', '2024-03-15') c
CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'customer_audit_events', tstzrange(b, b + l), c) p;
SELECT is_empty($$SELECT * FROM (SELECT *, lag(p_value) OVER w AS shorter, lag(expected) OVER w AS fewer FROM growing WINDOW w AS (PARTITION BY begins ORDER BY l)) g
    WHERE p_value > shorter OR expected < fewer$$, 'a longer silence is never more probable');
SELECT results_eq($$SELECT DISTINCT p_value FROM growing WHERE l = '0'$$, 'VALUES (1::float8)', 'none at all is certain');
SELECT cmp_ok(min(p_value), '>', 0::float8, 'and no silence impossible') FROM growing;
SELECT results_eq($$SELECT s.p_value FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-03-15') c
    CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'console_audit_events', '[2024-03-15 05:00+00, 2024-03-18 05:00+00)', c) s$$,
    'VALUES (1::float8)', 'where nothing is known no silence is improbable');

-- By hand: an event a minute, which is 60 in the 12 cells of every hour, and no scatter. Ten minutes have 2 cells.
CREATE TABLE steady AS SELECT t AS event_time FROM generate_series(timestamptz '2024-05-01 00:00:30+00', '2024-05-10 00:00+00', '1 minute') t;
CREATE INDEX ON steady (event_time);
SELECT raxx_detect.bind_source('console_audit_events', 'steady');
SELECT raxx_detect.set_params('data_audit_log_gap_window', '{"time_zone": "UTC"}');
CREATE FUNCTION pg_temp.console() RETURNS raxx_detect.source_bindings
LANGUAGE sql STABLE AS $$ SELECT b FROM raxx_detect.source_bindings b WHERE b.source = 'console_audit_events' $$;
SELECT raxx_detect.know_baseline_start(pg_temp.rule(), pg_temp.console());
SELECT raxx_detect.keep_baseline(pg_temp.rule(), pg_temp.console(), '2024-05-09');
SELECT ok(c.dispersions = array_fill(1::float8, '{24}') AND c.days = 7 AND c.quantiles = array_fill(60::float8, '{24}') AND c.gaps = array_fill(420::bigint, '{24}')
          AND pg_temp.about_equal(c.tests_a_month, 1440 * 30.4375), 'a steady table: seven days of gaps of a minute')
FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c;
SELECT ok(pg_temp.about_equal(s.p_value, (60::float8 / 62) ^ 300.5) AND pg_temp.about_equal(s.expected, 10), 'ten minutes of an hour with sixty events')
FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c
CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'console_audit_events', '[2024-05-09 10:10+00, 2024-05-09 10:20+00)', c) s;
SELECT ok(pg_temp.about_equal(s.p_value, (60::float8 / 61) ^ 601) AND pg_temp.about_equal(s.expected, 10), 'ten minutes of two hours')
FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c
CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'console_audit_events', '[2024-05-09 10:55+00, 2024-05-09 11:05+00)', c) s;

-- ---- what is left out ---------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.find(episode tstzrange) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size,
        summary, evidence, condition, occurrences, escalation_owner)
    SELECT r.rule_id, r.det_id, r.category, 'console_audit_events', r.severity, 'console_audit_events', find.episode, 1, 'minutes', 'threshold', 1, 's', '{}', 'cleared', 1, 'operator'
    FROM raxx_detect.rules r WHERE r.number = 6 RETURNING finding_id
$$;
CREATE FUNCTION pg_temp.hours(wanted date) RETURNS TABLE (hour int, cells float8, rows bigint, gaps bigint) LANGUAGE sql STABLE AS $$
    SELECT (u.h - 1)::int, u.cells, u.rows, coalesce(raxx_detect.sketch_count(b.hour_sketches[u.h]), 0)
    FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.exposure, b.rows) WITH ORDINALITY u(cells, rows, h)
    WHERE b.rule_id = 'data_audit_log_gap_window' AND b.source = 'console_audit_events' AND b.day = wanted
$$;
-- From 10:00:30 to 10:45:30 nothing on one day, and from 23:30:30 to 00:30:30 nothing about the midnight after it.
DELETE FROM steady WHERE event_time > '2024-05-06 10:00:30+00' AND event_time < '2024-05-06 10:45:30+00'
                      OR event_time > '2024-05-06 23:30:30+00' AND event_time < '2024-05-07 00:30:30+00';
SELECT count(raxx_detect.keep_baseline_day(pg_temp.rule(), pg_temp.console(), d)::text) FROM unnest('{2024-05-06,2024-05-07}'::date[]) d;
SELECT results_eq($$SELECT * FROM pg_temp.hours('2024-05-06') WHERE (cells, rows, gaps) <> (12, 60, 60) ORDER BY hour$$,
    'VALUES (10, 12::float8, 16::bigint, 16::bigint), (23, 12, 31, 31)', 'silences that nobody reported are learnt, but for one that goes on at midnight');
SELECT results_eq($$SELECT hour, cells, rows, gaps FROM pg_temp.hours('2024-05-07') WHERE hour IN (0, 23) ORDER BY hour$$,
    'VALUES (0, 12::float8, 30::bigint, 30::bigint), (23, 12, 60, 60)', 'that belongs to the day of its end, and there to the hour in which it began');
SELECT pg_temp.find('[2024-05-06 10:00:30+00, 2024-05-06 10:45:30+00)');
SELECT pg_temp.find('[2024-05-06 23:30:30+00, 2024-05-07 00:30:30+00)');
SELECT raxx_detect.keep_baseline(pg_temp.rule(), pg_temp.console(), '2024-05-09');
SELECT results_eq($$SELECT day, left_out FROM raxx_detect.baseline_days WHERE source = 'console_audit_events' AND left_out > 0 ORDER BY day$$,
    $$VALUES (date '2024-05-06', 1::bigint), ('2024-05-07', 1)$$, 'those of findings are left out');
SELECT results_eq($$SELECT hour, cells, gaps FROM pg_temp.hours('2024-05-06') WHERE hour IN (10, 23) ORDER BY hour$$,
    'VALUES (10, 3::float8, 15::bigint), (23, 6, 31)', 'and the time of them was not observed: nine cells of forty-five minutes, six of half an hour');
SELECT results_eq($$SELECT hour, cells, gaps FROM pg_temp.hours('2024-05-07') WHERE hour IN (0, 23) ORDER BY hour$$,
    'VALUES (0, 5::float8, 30::bigint), (23, 12, 59)', 'on both days');
SELECT ok(c.left_out = 2 AND c.quantiles = array_fill(60::float8, '{24}'), 'so the cadence is as it was') FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c;
-- Hours in which nothing was observed say nothing: on each working day they lay in a finding.
SELECT count(pg_temp.find(tstzrange(d + interval '10 hours 59 minutes', d + interval '13 hours')))
FROM unnest('{2024-05-02 00:00+00, 2024-05-03 00:00+00, 2024-05-06 00:00+00, 2024-05-07 00:00+00, 2024-05-08 00:00+00}'::timestamptz[]) d;
SELECT raxx_detect.keep_baseline(pg_temp.rule(), pg_temp.console(), '2024-05-09');
SELECT ok(s.p_value = 1 AND s.expected = 0, 'a silence in hours that were not observed is not improbable')
FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c
CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'console_audit_events', '[2024-05-09 11:00+00, 2024-05-09 12:00+00)', c) s;
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign';
SELECT raxx_detect.keep_baseline(pg_temp.rule(), pg_temp.console(), '2024-05-09');
SELECT ok(c.left_out = 0 AND c.quantiles[11] = 2700 AND c.quantiles[24] = 3600, 'closed as benign, they are learnt') FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-05-09') c;

-- The hour that New York's clocks repeat on 2024-11-03 is two hours of silence.
SELECT raxx_detect.set_params('data_audit_log_gap_window', '{"time_zone": "America/New_York"}');
CREATE TABLE autumn AS SELECT t AS event_time FROM generate_series(timestamptz '2024-10-25 00:00:30+00', '2024-11-04 00:00+00', '1 minute') t;
CREATE INDEX ON autumn (event_time);
SELECT raxx_detect.bind_source('console_audit_events', 'autumn');
SELECT raxx_detect.know_baseline_start(pg_temp.rule(), pg_temp.console());
SELECT raxx_detect.keep_baseline(pg_temp.rule(), pg_temp.console(), '2024-11-03');
SELECT ok(pg_temp.about_equal(s.p_value, (2::float8 / 3) ^ 241) AND pg_temp.about_equal(s.expected, 120), 'two hours that the clock calls the same are two')
FROM raxx_detect.cadence_of(pg_temp.rule(), 'console_audit_events', '2024-11-03') c
CROSS JOIN LATERAL raxx_detect.silence_probability(pg_temp.rule(), 'console_audit_events', '[2024-11-03 05:00+00, 2024-11-03 07:00+00)', c) s;

SELECT * FROM finish();
ROLLBACK;
