-- What is learnt of counts, and what is made of it, against the definitions in plain SQL on random rows: over the day
-- that New York's clocks skip an hour of, and over the one on which they repeat one.
BEGIN;
SELECT plan(69);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.about_equal(x float8, y float8) RETURNS boolean
LANGUAGE sql IMMUTABLE AS 'SELECT abs(x - y) <= 1e-9 * greatest(abs(x), abs(y), 1e-9)';
CREATE FUNCTION pg_temp.rule(number int) RETURNS raxx_detect.rules
LANGUAGE sql STABLE AS 'SELECT r FROM raxx_detect.rules r WHERE r.number = rule.number';
CREATE FUNCTION pg_temp.binding(source text) RETURNS raxx_detect.source_bindings
LANGUAGE sql STABLE AS 'SELECT b FROM raxx_detect.source_bindings b WHERE b.source = binding.source';

-- ---- rows ---------------------------------------------------------------------------------------------------------
-- Two stretches of nine days: about 2024-03-10, and about 2024-11-03. Some times are on the edges of cells and days.
CREATE TABLE signups (id bigint PRIMARY KEY, event_time timestamptz, email text, origin text, country text);
INSERT INTO signups
SELECT n, CASE n % 2 WHEN 0 THEN timestamptz '2024-03-06 05:00+00' ELSE timestamptz '2024-10-30 04:00+00' END
          + CASE WHEN n % 5 = 0 THEN pg_temp.pseudo_random(n, 1, 9 * 288) * interval '5 minutes' - pg_temp.pseudo_random(n, 2, 2) * interval '1 microsecond'
                 WHEN n % 5 < 3 THEN pg_temp.pseudo_random(n, 3, 9) * interval '1 day' + interval '14 hours' + pg_temp.pseudo_random(n, 4, 7200) * interval '1 second'
                 ELSE pg_temp.pseudo_random(n, 5, 9 * 86400) * interval '1 second' END,
       'visitor' || n || '@example.com',
       CASE WHEN e < 4 THEN '' WHEN e < 8 THEN repeat('x', 250) || 'a' WHEN e < 12 THEN repeat('x', 250) || 'b'
            WHEN e < 14 THEN NULL ELSE 'https://origin' || sqrt(e)::int || '.example' END,
       CASE WHEN e < 10 THEN 'DE' ELSE 'FR' END
FROM generate_series(1, 4000) n CROSS JOIN LATERAL (SELECT pg_temp.pseudo_random(n, 6, 60) AS e) e;
CREATE INDEX ON signups (event_time);
-- Two sign-ups in each cell of nine days: a series that does not vary.
INSERT INTO signups
SELECT 10000 + n, timestamptz '2024-03-06 05:00+00' + n * interval '150 seconds', 'c' || n || '@example.com', 'constant', 'DE'
FROM generate_series(0, 9 * 576 - 1) n;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"time_zone": "America/New_York"}');

CREATE VIEW days AS
SELECT d::date AS day FROM generate_series(date '2024-03-06', '2024-03-14', '1 day') d
UNION ALL SELECT d::date FROM generate_series(date '2024-10-30', '2024-11-07', '1 day') d;
-- The definition: cells of five minutes from the midnight of a day on, each of the hour in which it begins.
CREATE TABLE naive_cells AS
SELECT d.day, s.origin AS entity, extract(hour FROM (m.midnight + c.n * interval '5 minutes') AT TIME ZONE 'America/New_York')::int AS hour,
       c.n AS cell, count(*) AS x
FROM days d
CROSS JOIN LATERAL (SELECT d.day::timestamp AT TIME ZONE 'America/New_York' AS midnight, (d.day + 1)::timestamp AT TIME ZONE 'America/New_York' AS next) m
JOIN signups s ON s.event_time >= m.midnight AND s.event_time < m.next
CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM s.event_time - m.midnight) / 300)::int AS n) c
WHERE s.origin IS NOT NULL
GROUP BY 1, 2, 3, 4;

DO $$
BEGIN
    PERFORM raxx_detect.know_baseline_start(pg_temp.rule(4), pg_temp.binding('waitlist_signups'));
    PERFORM raxx_detect.keep_baseline_day(pg_temp.rule(4), pg_temp.binding('waitlist_signups'), d.day) FROM days d;
END $$;
CREATE VIEW learnt AS
SELECT b.day, b.entity, (u.h - 1)::int AS hour, u.cells, u.rows, u.squares
FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.exposure, b.rows, b.squares) WITH ORDINALITY u(cells, rows, squares, h)
WHERE b.rule_id = 'signup_waitlist_velocity_per_origin';

-- ---- learning -----------------------------------------------------------------------------------------------------
SELECT cmp_ok(count(*), '>', 3000::bigint, 'there are many cells') FROM naive_cells;
SELECT set_eq('SELECT day, entity, hour, rows, squares FROM learnt WHERE entity IS NOT NULL AND rows > 0',
    'SELECT day, raxx_detect.bounded_entity(entity), hour, sum(x)::bigint AS rows, sum(x * x)::float8 AS squares FROM naive_cells GROUP BY 1, 2, 3',
    'of each entity, the rows and squares of each hour');
SELECT set_eq('SELECT day, hour, cells, rows, squares FROM learnt WHERE entity IS NULL AND rows > 0',
    'SELECT day, hour, count(*)::float8 AS cells, sum(x)::bigint AS rows, sum(x * x)::float8 AS squares FROM naive_cells GROUP BY 1, 2',
    'of all together, the cells that held a row, too');
SELECT is_empty('SELECT * FROM learnt WHERE entity IS NULL AND rows = 0 AND (cells <> 0 OR squares <> 0)', 'and only those');
SELECT is_empty('SELECT * FROM learnt WHERE entity IS NOT NULL AND rows = 0 AND squares <> 0', 'no rows, no squares');
SELECT set_eq('SELECT DISTINCT cells FROM learnt WHERE entity IS NOT NULL AND day NOT IN (''2024-03-10'', ''2024-11-03'')', '{12}'::float8[],
    'an hour of an entity has twelve cells, whether they held a row or not');
SELECT set_eq('SELECT DISTINCT hour, cells FROM learnt WHERE entity IS NOT NULL AND day = ''2024-03-10'' AND cells <> 12', 'VALUES (2, 0::float8)',
    'none in the hour that daylight saving skips');
SELECT set_eq('SELECT DISTINCT hour, cells FROM learnt WHERE entity IS NOT NULL AND day = ''2024-11-03'' AND cells <> 12', 'VALUES (1, 24::float8)',
    'twice as many in the one that it repeats');
SELECT results_eq('SELECT day, sum(cells) FROM learnt WHERE entity = ''constant'' AND day IN (''2024-03-09'', ''2024-03-10'') GROUP BY day ORDER BY day',
    $$VALUES (date '2024-03-09', 288::float8), ('2024-03-10', 276)$$, 'the day has 23 hours');
SELECT results_eq('SELECT max(rows), max(squares) FROM learnt WHERE entity = ''constant''', 'VALUES (24::bigint, 48::float8)', 'a constant series: two in each cell');
SELECT results_eq('SELECT day, raxx_detect.sketch_count(sketch) FROM raxx_detect.baselines WHERE entity IS NULL AND rule_id = ''signup_waitlist_velocity_per_origin'' ORDER BY 1',
    'SELECT day, count(*) FROM naive_cells GROUP BY 1 ORDER BY 1', 'the sketch holds the cells');
SELECT is_empty($$
    SELECT b.day, q FROM raxx_detect.baselines b CROSS JOIN unnest('{0,0.5,0.9,0.99,0.999,1}'::float8[]) q
    CROSS JOIN LATERAL (SELECT percentile_disc(q) WITHIN GROUP (ORDER BY c.x) AS exact FROM naive_cells c WHERE c.day = b.day) n
    WHERE b.entity IS NULL AND b.rule_id = 'signup_waitlist_velocity_per_origin' AND abs(raxx_detect.quantile(b.sketch, q) - n.exact) > 0.004 * n.exact$$,
    'and tells their quantiles');
SELECT results_eq($$SELECT day, rows, left_out FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin' ORDER BY day$$,
    'SELECT day, sum(x)::bigint, 0::bigint FROM naive_cells GROUP BY 1 ORDER BY 1', 'a day counts its rows, but not those without an entity');
SELECT set_eq($$SELECT DISTINCT cardinality(exposure) AS e, cardinality(rows) AS r, cardinality(squares) AS s FROM raxx_detect.baselines$$, 'VALUES (24, 24, 24)', 'an element for each hour');
SELECT set_has('SELECT DISTINCT entity FROM learnt',
    $$VALUES (''), (NULL), ('constant'), (raxx_detect.bounded_entity(repeat('x', 250) || 'a')), (raxx_detect.bounded_entity(repeat('x', 250) || 'b'))$$,
    'the empty text is an entity, and long ones are told apart');

-- The cap: the busiest, of equals the first.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_entities": 3}');
CREATE TABLE all_before AS SELECT * FROM learnt WHERE entity IS NULL AND day = '2024-03-07';
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(4), pg_temp.binding('waitlist_signups'), '2024-03-07');
SELECT set_eq($$SELECT DISTINCT entity FROM learnt WHERE entity IS NOT NULL AND day = '2024-03-07'$$,
    $$SELECT raxx_detect.bounded_entity(entity) FROM naive_cells WHERE day = '2024-03-07' GROUP BY entity ORDER BY sum(x) DESC, entity LIMIT 3$$, 'a day keeps the busiest');
SELECT set_eq($$SELECT * FROM learnt WHERE entity IS NULL AND day = '2024-03-07'$$, 'SELECT * FROM all_before', 'and all of them together are as they were');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_entities": 10000}');
SELECT raxx_detect.keep_baseline_day(pg_temp.rule(4), pg_temp.binding('waitlist_signups'), '2024-03-07');

-- ---- asking -------------------------------------------------------------------------------------------------------
-- The baseline of 2024-03-15 is made of the seven days 03-08 to 03-14: the constant series, and the others, over the
-- day of 23 hours. baseline_starts says since when there are rows.
CREATE VIEW week AS SELECT c.* FROM naive_cells c WHERE c.day >= '2024-03-08' AND c.day < '2024-03-15';
CREATE TABLE whole_cells AS  -- of each entity every cell there was, the empty ones too
SELECT e.entity, k.day, k.n AS cell, k.hour, coalesce(w.x, 0) AS x
FROM (SELECT DISTINCT entity FROM week) e
CROSS JOIN (SELECT d.day, n, extract(hour FROM (d.day::timestamp AT TIME ZONE 'America/New_York' + n * interval '5 minutes') AT TIME ZONE 'America/New_York')::int AS hour
            FROM days d CROSS JOIN generate_series(0, 287) n
            WHERE d.day >= '2024-03-08' AND d.day < '2024-03-15' AND NOT (d.day = '2024-03-10' AND n >= 276)) k
LEFT JOIN week w ON w.entity = e.entity AND w.day = k.day AND w.cell = k.n;

SELECT is(raxx_detect.baseline_first_day(pg_temp.rule(4), 'waitlist_signups', '2024-03-15'), '2024-03-08', 'seven days before');
SELECT ok(raxx_detect.baseline_is_ready(pg_temp.rule(4), 'waitlist_signups', '2024-03-15'), 'which is enough');
SELECT is(raxx_detect.baseline_first_day(pg_temp.rule(4), 'waitlist_signups', '2024-03-11'), '2024-03-07', 'fewer near the first row, whose own day is not whole');
SELECT ok(NOT raxx_detect.baseline_is_ready(pg_temp.rule(4), 'waitlist_signups', '2024-03-13'), 'six days are not enough');

SELECT ok(b.of = 'all entities' AND b.days = 7 AND b.cells = n.cells AND b.rows = n.rows AND pg_temp.about_equal(b.mean, n.mean)
          AND pg_temp.about_equal(b.deviation, n.deviation) AND pg_temp.about_equal(b.others_mean, n.mean - 1 + 0.5 / n.cells)
          AND pg_temp.about_equal(b.others_variance, greatest(n.deviation ^ 2, b.others_mean)) AND b.quantile IS NULL AND b.left_out = 0,
    'all entities: the mean, the deviation and the others of a cell that holds a row')
FROM raxx_detect.all_entities_baseline(pg_temp.rule(4), 'waitlist_signups', '2024-03-15') b,
     (SELECT count(*)::float8 AS cells, sum(x)::float8 AS rows, avg(x)::float8 AS mean, stddev_samp(x)::float8 AS deviation FROM week) n;
SELECT results_eq($$SELECT cells, rows, mean FROM raxx_detect.all_entities_baseline(pg_temp.rule(8), 'error_events', '2024-03-15')$$,
    'VALUES (0::float8, 0::float8, NULL::float8)', 'of a source without days it has no mean');

-- Of one entity: the definition, from every cell.
CREATE FUNCTION pg_temp.naive_own(entity text, OUT cells float8, OUT rows float8, OUT mean float8, OUT deviation float8, OUT others_mean float8, OUT others_variance float8)
LANGUAGE sql AS $$
    SELECT cells, rows, mean, deviation, mean * (1 + excess), mean * (1 + excess) + excess * mean * mean * (1 + excess)
    FROM (SELECT w.*, greatest((w.deviation ^ 2 - w.mean) / w.mean ^ 2, 0) + 1 / (w.rows + 0.5) AS excess
          FROM (SELECT count(*)::float8 AS cells, sum(x)::float8 AS rows, ((sum(x) + 0.5) / count(*))::float8 AS mean, stddev_samp(x)::float8 AS deviation
                FROM whole_cells c WHERE c.entity = naive_own.entity) w) v
$$;
CREATE TABLE asked AS
SELECT e.entity, b.*, n.cells AS n_cells, n.rows AS n_rows, n.mean AS n_mean, n.deviation AS n_deviation, n.others_mean AS n_others_mean, n.others_variance AS n_others_variance
FROM (SELECT DISTINCT entity FROM week) e
CROSS JOIN LATERAL raxx_detect.entity_baseline(pg_temp.rule(4), 'waitlist_signups', e.entity, '2024-03-15', NULL) b
CROSS JOIN LATERAL pg_temp.naive_own(e.entity) n;
SELECT cmp_ok(count(*), '>=', 8::bigint, 'there are some entities') FROM asked;
SELECT is_empty('SELECT * FROM asked WHERE of <> ''own'' OR days <> 7 OR cells <> n_cells OR rows <> n_rows OR cells <> 7 * 288 - 12',
    'empty cells count, also on days without a row, and there were 23 hours on one');
SELECT is_empty('SELECT * FROM asked WHERE NOT pg_temp.about_equal(mean, n_mean) OR NOT pg_temp.about_equal(deviation, n_deviation)', 'the mean and the deviation');
SELECT is_empty('SELECT * FROM asked WHERE NOT pg_temp.about_equal(others_mean, n_others_mean) OR NOT pg_temp.about_equal(others_variance, n_others_variance)',
    'and what else a window holds that holds a row');
SELECT ok(deviation = 0 AND pg_temp.about_equal(mean, (4008 + 0.5) / 2004), 'a constant series has no deviation') FROM asked WHERE entity = 'constant';
SELECT ok(rows = 0 AND mean < 0.001, 'an entity never seen has no rows') FROM raxx_detect.entity_baseline(pg_temp.rule(4), 'waitlist_signups', 'never seen', '2024-03-15', NULL);

-- By the hour of the week: 2024-03-15 is a Friday, of which there is one, 2024-03-08.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"season": "hour_of_week"}');
CREATE TABLE seasons AS
SELECT e.entity, h AS hour, b.mean, n.mean AS n_mean, b.others_mean, n.mean * (1 + n.excess) AS n_others_mean,
       b.others_variance, n.mean * (1 + n.excess) + n.excess * n.mean * n.mean * (1 + n.excess) AS n_others_variance
FROM (SELECT DISTINCT entity FROM week) e CROSS JOIN generate_series(0, 23) h
CROSS JOIN LATERAL raxx_detect.entity_baseline(pg_temp.rule(4), 'waitlist_signups', e.entity, '2024-03-15', h) b
CROSS JOIN LATERAL (
    SELECT m.mean, greatest(s.excess, 0) + 1 / (m.rows + 0.5) AS excess
    FROM (SELECT greatest(w.alone, w.together, d.daily, 0.5 / 2004)::float8 AS mean, CASE WHEN d.daily > w.together THEN d.rows ELSE w.rows END::float8 AS rows
          FROM (SELECT avg(x) FILTER (WHERE c.day = '2024-03-08' AND c.hour = h) AS alone, avg(x) AS together, sum(x) AS rows
                FROM whole_cells c WHERE c.entity = e.entity AND 24 * (c.day - date '2024-03-08') + c.hour BETWEEN h - 1 AND h + 1) w
          CROSS JOIN (SELECT avg(x) AS daily, sum(x) AS rows FROM whole_cells c WHERE c.entity = e.entity AND c.hour = h) d) m
    -- What the cells of an hour scatter more than chance does, by moments: the sum of squares about the hour's mean,
    -- less what a Poisson distribution of that mean leaves.
    CROSS JOIN (SELECT sum(v.about_mean - (v.n - 1) * v.mean) / nullif(sum((v.n - 1) * v.mean ^ 2), 0) AS excess
                FROM (SELECT count(*)::float8 AS n, avg(x)::float8 AS mean, var_samp(x)::float8 * (count(*) - 1) AS about_mean
                      FROM whole_cells c WHERE c.entity = e.entity GROUP BY c.day, c.hour) v) s) n;
SELECT cmp_ok(count(*), '>=', 192::bigint, 'there are some hours') FROM seasons;
SELECT is_empty('SELECT * FROM seasons WHERE NOT pg_temp.about_equal(mean, n_mean)', 'by the hour of the week: the greatest of the mean of the hour, that with its neighbours, and that of the hour of all days');
SELECT is_empty('SELECT * FROM seasons WHERE NOT pg_temp.about_equal(others_mean, n_others_mean) OR NOT pg_temp.about_equal(others_variance, n_others_variance)',
    'and the scatter within the hours');

-- ---- limits -------------------------------------------------------------------------------------------------------
CREATE TABLE limits AS
SELECT s.season, l.*, (l.baseline ->> 'others_mean')::float8 AS m, (l.baseline ->> 'others_variance')::float8 AS v, (l.baseline ->> 'tail')::float8 AS tail
FROM (VALUES ('none'), ('hour_of_week')) s(season)
CROSS JOIN LATERAL (SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', jsonb_build_object('season', s.season))) p
CROSS JOIN LATERAL (SELECT jsonb_populate_record(pg_temp.rule(4), jsonb_build_object('params', (pg_temp.rule(4)).params || jsonb_build_object('season', s.season))) AS r) r
CROSS JOIN LATERAL raxx_detect.count_limits(r.r, pg_temp.binding('waitlist_signups'),
    ARRAY(SELECT DISTINCT entity FROM week UNION SELECT 'never seen'), '2024-03-15 12:00+00', '2024-03-15 20:00+00', 20) l;
SELECT results_eq('SELECT season, count(DISTINCT entity), count(DISTINCT from_time) FROM limits GROUP BY season ORDER BY season DESC',
    $$SELECT s.season, count(DISTINCT w.entity) + 1 AS entities, s.n FROM week w, (VALUES ('none', 1::bigint), ('hour_of_week', 10)) s(season, n) GROUP BY s.season, s.n ORDER BY s.season DESC$$,
    'a limit for each entity; by the hour of the week for each hour from the window before the first instant to the last one');
SELECT set_eq('SELECT DISTINCT fired_by FROM limits', '{baseline}'::text[], 'all by the baseline');
SELECT set_eq($$SELECT DISTINCT entity FROM limits WHERE baseline ->> 'of' <> 'own'$$,
    $$SELECT entity FROM week GROUP BY entity HAVING sum(x) < 20 UNION SELECT 'never seen'$$, 'an entity with few rows by that of all');
SELECT is_empty('SELECT * FROM limits WHERE raxx_detect.negative_binomial_upper_tail(threshold - 1, m, v) > tail', 'so many others are improbable enough');
SELECT is_empty('SELECT * FROM limits WHERE threshold > 5 AND raxx_detect.negative_binomial_upper_tail(threshold - 2, m, v) <= tail', 'one less are not, but where the floor decides');
SELECT is_empty('SELECT * FROM limits WHERE threshold < 5', 'and no limit is below it');
SELECT cmp_ok(count(*), '>', 0::bigint, 'some are at the floor') FROM limits WHERE threshold = 5;
SELECT cmp_ok(count(*), '>', 0::bigint, 'some are above it') FROM limits WHERE threshold > 5;
SELECT is_empty($$SELECT * FROM limits CROSS JOIN (SELECT sum(x) / 7.0 * 30.4375 AS tests FROM week) n
    WHERE NOT pg_temp.about_equal((baseline ->> 'tests_a_month')::float8, n.tests::float8) OR NOT pg_temp.about_equal(tail, 0.5 / n.tests::float8)$$,
    'the tail: the alarms of a month among its rows');

-- ---- what is left out ---------------------------------------------------------------------------------------------
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"season": "none"}');
CREATE FUNCTION pg_temp.find(entity text, episode tstzrange, triage text DEFAULT 'new', disposition text DEFAULT NULL) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size,
        summary, evidence, condition, triage, disposition, occurrences, escalation_owner)
    SELECT r.rule_id, r.det_id, r.category, 'waitlist_signups', r.severity, find.entity, find.episode, 1, 'sign-ups', 'threshold', 1, 's', '{}', 'cleared',
           find.triage, find.disposition, 1, 'operator' FROM raxx_detect.rules r WHERE r.number = 4 RETURNING finding_id
$$;
CREATE TABLE before_finding AS SELECT * FROM learnt WHERE day = '2024-03-12';
CREATE TABLE versions AS SELECT day, xmin::text AS version, left_out FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin';
-- From 15:00 on, so with the window from 14:55 on, for 65 minutes: 13 cells, 26 rows of the constant series, of which that at 16:00 is not one.
SELECT pg_temp.find('constant', '[2024-03-12 15:00+00, 2024-03-12 16:00+00)');
CREATE FUNCTION pg_temp.keep() RETURNS SETOF date LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM versions;
    INSERT INTO versions SELECT d.day, d.ctid::text, d.left_out FROM raxx_detect.baseline_days d WHERE d.rule_id = 'signup_waitlist_velocity_per_origin';
    PERFORM raxx_detect.keep_baseline(pg_temp.rule(4), pg_temp.binding('waitlist_signups'), '2024-03-15');
    RETURN QUERY SELECT d.day FROM raxx_detect.baseline_days d JOIN versions v ON v.day = d.day
                 WHERE d.rule_id = 'signup_waitlist_velocity_per_origin' AND d.ctid::text <> v.version ORDER BY 1;
END $$;
SELECT results_eq('SELECT * FROM pg_temp.keep()', $$VALUES (date '2024-03-12')$$, 'a finding has its day read again, and no other');
SELECT is_empty('SELECT * FROM pg_temp.keep()', 'once');
SELECT results_eq($$SELECT left_out FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin' AND day = '2024-03-12'$$,
    'VALUES (26::bigint)', 'the rows in the windows of the finding are left out');
SELECT set_eq($$SELECT hour, cells, rows FROM learnt WHERE day = '2024-03-12' AND entity = 'constant' AND (cells <> 12 OR rows <> 24)$$,
    'VALUES (10, 11::float8, 22::bigint), (11, 0::float8, 0::bigint)', 'and the time they were left out of was not observed, by New York''s clock');
SELECT set_eq($$SELECT * FROM learnt WHERE day = '2024-03-12' AND entity IS NOT NULL AND entity <> 'constant'$$,
    $$SELECT * FROM before_finding WHERE entity IS NOT NULL AND entity <> 'constant'$$, 'other entities are as they were');
SELECT set_eq($$SELECT hour, cells, rows FROM learnt WHERE day = '2024-03-12' AND entity IS NULL$$,
    $$SELECT hour, cells - CASE hour WHEN 10 THEN 1 WHEN 11 THEN 12 ELSE 0 END AS cells, rows - CASE hour WHEN 10 THEN 2 WHEN 11 THEN 24 ELSE 0 END AS rows
      FROM before_finding WHERE entity IS NULL$$, 'all together are without them');
SELECT ok(b.left_out = 26 AND b.cells = 2004 - 13 AND deviation < 1e-6, 'a series that was constant still is')
FROM raxx_detect.entity_baseline(pg_temp.rule(4), 'waitlist_signups', 'constant', '2024-03-15', NULL) b;
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive';
SELECT is_empty('SELECT * FROM pg_temp.keep()', 'closed as true_positive, they stay out');
UPDATE raxx_detect.detection_findings SET disposition = 'benign';
SELECT results_eq('SELECT * FROM pg_temp.keep()', $$VALUES (date '2024-03-12')$$, 'closed as benign, the day is read again');
SELECT set_eq($$SELECT * FROM learnt WHERE day = '2024-03-12'$$, 'SELECT * FROM before_finding', 'and is as it was');
-- Of an entity all of whose rows of a day are left out only the time is left.
SELECT pg_temp.find('constant', '[2024-03-13 04:00+00, 2024-03-14 04:00+00)');
SELECT set_eq('SELECT * FROM pg_temp.keep()', $$VALUES (date '2024-03-12'), ('2024-03-13')$$, 'a finding of a whole day reaches into the day before by its window');
SELECT results_eq($$SELECT sum(cells), sum(rows), count(*) FROM learnt WHERE entity = 'constant' AND day = '2024-03-13'$$,
    'VALUES (0::float8, 0::numeric, 24::bigint)', 'of a day that lies in a finding nothing was observed');
DELETE FROM raxx_detect.detection_findings;
SELECT * FROM pg_temp.keep();

-- ---- keeping ------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.baseline_days SET version = 0 WHERE day = '2024-03-09';
SELECT results_eq('SELECT * FROM pg_temp.keep()', $$VALUES (date '2024-03-09')$$, 'a day of another layout is read again');
SELECT raxx_detect.drop_old_baselines(pg_temp.rule(4), 'waitlist_signups', '2024-03-18');
SELECT results_eq($$SELECT min(day) FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, $$VALUES (date '2024-03-11')$$,
    'days that no baseline needs any more are dropped');
SELECT is_empty($$SELECT FROM learnt WHERE day < '2024-03-11'$$, 'with what they held');

-- Distinct values, and client networks.
CREATE TABLE passkeys (id bigint PRIMARY KEY, event_time timestamptz, ip inet, email text);
INSERT INTO passkeys
SELECT n, timestamptz '2024-03-06 05:00+00' + pg_temp.pseudo_random(n, 11, 9 * 86400 / 1200) * interval '20 minutes' + pg_temp.pseudo_random(n, 12, 900) * interval '1 second',
       (ARRAY['203.0.113.7', '::ffff:203.0.113.7', '203.0.113.8', '2001:db8:0:1::7', '2001:db8:0:1:ffff::8', '2001:db8:0:2::7', NULL])[1 + pg_temp.pseudo_random(n, 13, 7)]::inet,
       CASE WHEN n % 17 > 0 THEN 'user' || pg_temp.pseudo_random(n, 14, 4) || '@example.com' END
FROM generate_series(1, 3000) n;
CREATE INDEX ON passkeys (event_time);
SELECT raxx_detect.bind_source('passkey_begin_events', 'passkeys');
SELECT raxx_detect.know_baseline_start(pg_temp.rule(1), pg_temp.binding('passkey_begin_events'));
SELECT count(raxx_detect.keep_baseline_day(pg_temp.rule(1), pg_temp.binding('passkey_begin_events'), d)::text) FROM unnest('{2024-03-09,2024-03-10}'::date[]) d;
CREATE VIEW naive_networks AS
SELECT m.day, e.entity, extract(hour FROM (m.midnight + c.n * interval '10 minutes') AT TIME ZONE 'America/New_York')::int AS hour, count(DISTINCT p.email) AS x, count(*) AS n
FROM (VALUES (date '2024-03-09', timestamptz '2024-03-09 05:00+00', timestamptz '2024-03-10 05:00+00'), ('2024-03-10', '2024-03-10 05:00+00', '2024-03-11 04:00+00')) m(day, midnight, next)
JOIN passkeys p ON p.event_time >= m.midnight AND p.event_time < m.next AND p.email IS NOT NULL
CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM p.event_time - m.midnight) / 600)::int AS n) c
JOIN (VALUES ('203.0.113.7'::inet, '203.0.113.7'), ('::ffff:203.0.113.7', '203.0.113.7'), ('203.0.113.8', '203.0.113.8'), ('2001:db8:0:1::7', '2001:db8:0:1::/64'),
             ('2001:db8:0:1:ffff::8', '2001:db8:0:1::/64'), ('2001:db8:0:2::7', '2001:db8:0:2::/64')) e(ip, entity) ON e.ip = p.ip
GROUP BY m.day, e.entity, m.midnight, c.n;
CREATE VIEW learnt_networks AS
SELECT b.day, b.entity, (u.h - 1)::int AS hour, u.cells, u.rows, u.squares
FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.exposure, b.rows, b.squares) WITH ORDINALITY u(cells, rows, squares, h)
WHERE b.rule_id = 'auth_passkey_enumeration' AND u.rows > 0;
SELECT set_eq('SELECT day, entity, hour, rows, squares FROM learnt_networks WHERE entity IS NOT NULL',
    'SELECT day, entity, hour, sum(x)::bigint AS rows, sum(x * x)::float8 AS squares FROM naive_networks GROUP BY 1, 2, 3', 'of each client network the distinct values of its cells');
SELECT set_eq('SELECT day, hour, cells, rows, squares FROM learnt_networks WHERE entity IS NULL',
    'SELECT day, hour, count(*)::float8 AS cells, sum(x)::bigint AS rows, sum(x * x)::float8 AS squares FROM naive_networks GROUP BY 1, 2', 'and of all together');
SELECT results_eq($$SELECT day, rows FROM raxx_detect.baseline_days WHERE rule_id = 'auth_passkey_enumeration' ORDER BY day$$,
    'SELECT day, sum(n)::bigint FROM naive_networks GROUP BY day ORDER BY day', 'a day counts its rows, whatever their values, but those that lack one');

-- What a run does with days.
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"country": "country"}', '2024-03-01');
ANALYZE signups;
DELETE FROM raxx_detect.baseline_days;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-15 02:00+00');
CREATE TABLE kept AS SELECT day, ctid::text AS version FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT results_eq('SELECT min(day), max(day) FROM kept', $$VALUES (date '2024-03-07', date '2024-03-13')$$, 'a run keeps the days that judge, which are over');
INSERT INTO signups VALUES (20001, '2024-03-15 02:00:30+00', 'x@example.com', 'https://origin1.example');
CREATE FUNCTION pg_temp.rows_touched() RETURNS bigint LANGUAGE sql AS $$
    SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'signups' $$;
CREATE TABLE touched AS SELECT pg_temp.rows_touched() AS rows;
CREATE TABLE next_run AS SELECT * FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-15 02:01+00');
UPDATE touched SET rows = pg_temp.rows_touched() - rows;
SELECT ok(outcome IN ('ok', 'no_data') AND rows_read BETWEEN 1 AND 50, format('judging one more minute reads what is new: %s of %s rows', rows_read, (SELECT count(*) FROM signups)))
FROM next_run;
SELECT cmp_ok(rows, '<', 200::bigint, 'and touches little else') FROM touched;
SELECT set_eq($$SELECT day, ctid::text AS version FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, 'SELECT * FROM kept', 'no day is read again');
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-16 05:00+00');
SELECT is_empty($$SELECT day, version FROM kept k WHERE day >= '2024-03-09' AND NOT EXISTS (SELECT FROM raxx_detect.baseline_days d
    WHERE d.rule_id = 'signup_waitlist_velocity_per_origin' AND d.day = k.day AND d.ctid::text = k.version)$$, 'nor when the next days are kept');
SELECT results_eq($$SELECT max(day) FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, $$VALUES (date '2024-03-15')$$, 'which they are once each is over');

SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"country": "country"}', '2024-03-01');
SELECT cmp_ok(count(*), '>', 0::bigint, 'binding the same again forgets nothing') FROM raxx_detect.baseline_days WHERE source = 'waitlist_signups';
CREATE TABLE recent (event_time timestamptz, email text, origin text);
INSERT INTO recent SELECT t, 'x@example.com', 'https://getraxx.com' FROM generate_series(now() - interval '12 days', now(), '20 minutes') t;
CREATE INDEX ON recent (event_time);
SELECT raxx_detect.bind_source('waitlist_signups', 'recent');
SELECT is_empty($$SELECT day FROM raxx_detect.baseline_days WHERE source = 'waitlist_signups' UNION ALL
    SELECT NULL FROM raxx_detect.baselines WHERE source = 'waitlist_signups' UNION ALL
    SELECT NULL FROM raxx_detect.baseline_starts WHERE source = 'waitlist_signups'$$, 'binding another relation forgets all that was learnt of the old one');
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', now() + interval '3 days');
SELECT results_eq($$SELECT max(day) FROM raxx_detect.baseline_days WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$,
    $$SELECT ((now() - interval '5 minutes') AT TIME ZONE 'America/New_York')::date - 1$$, 'a day that is not over is not learnt, even by a look at the days to come');
SELECT raxx_detect.unbind_source('waitlist_signups');
SELECT is_empty($$SELECT FROM raxx_detect.baseline_days WHERE source = 'waitlist_signups' UNION ALL SELECT FROM raxx_detect.baseline_starts WHERE source = 'waitlist_signups'$$,
    'unbinding forgets, too');

SELECT * FROM finish();
ROLLBACK;
