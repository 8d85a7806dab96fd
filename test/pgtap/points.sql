-- Rule 10, dyno-hours: points of an hour against their own past. A naive twin that follows the definition, limits met
-- exactly and just missed, the edges of hours and days, schedules, late rows, and values that are no measurements.
BEGIN;
SELECT plan(54);
SET LOCAL timezone = 'UTC';
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE rule_id = 'cost_dyno_hour_spike';  -- fresh rows, which those of 2024 are not

CREATE TABLE samples (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, app text, dyno_hours float8, delay interval DEFAULT '0');
CREATE INDEX ON samples (event_time);
CREATE TABLE clock (moment timestamptz, late boolean);
INSERT INTO clock VALUES ('infinity', false);
CREATE VIEW samples_so_far AS SELECT s.* FROM samples s, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
SELECT raxx_detect.bind_source('dyno_samples', 'samples_so_far');

CREATE VIEW found AS
SELECT entity, episode, condition, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence
FROM raxx_detect.detection_findings WHERE rule_id = 'cost_dyno_hour_spike';
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('cost_dyno_hour_spike', at) $$;
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM raxx_detect.baseline_days; DELETE FROM raxx_detect.baseline_starts $$;
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS $$ SELECT pg_temp.forget(); DELETE FROM samples $$;
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

-- A week and a day of one sample an hour: medians and maxima to count with. 1 and 3 in turn: median 1 (168 points), maximum 3.
CREATE FUNCTION pg_temp.a_week(app text, low float8 DEFAULT 1, high float8 DEFAULT 3) RETURNS void LANGUAGE sql AS $$
    INSERT INTO samples (event_time, app, dyno_hours)
    SELECT timestamptz '2024-03-01 00:30+00' + n * interval '1 hour', app, CASE n % 2 WHEN 0 THEN low ELSE high END FROM generate_series(0, 8 * 24 - 1) n
$$;
CREATE FUNCTION pg_temp.sample(at timestamptz, app text, dyno_hours float8) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO samples (event_time, app, dyno_hours) VALUES (at, app, dyno_hours) $$;

-- ---- limits ----------------------------------------------------------------------------------------------------------
-- It fires above 3 + a quarter of (3 - 1) = 3.5.
SELECT pg_temp.a_week('at'), pg_temp.a_week('above'), pg_temp.a_week('short', 3, 3), pg_temp.a_week('noise', 3, 3), pg_temp.a_week('still', 0, 0), pg_temp.a_week('stirs', 0, 0);
SELECT pg_temp.sample('2024-03-09 12:30+00', 'at', 3.5), pg_temp.sample('2024-03-09 12:30+00', 'above', 3.5 + 4.5e-16),
       pg_temp.sample('2024-03-09 12:30+00', 'short', 3.3), pg_temp.sample('2024-03-09 12:30+00', 'noise', 3.29),
       pg_temp.sample('2024-03-09 12:30+00', 'still', 0.0999), pg_temp.sample('2024-03-09 12:30+00', 'stirs', 0.1);
SELECT is((r.outcome, r.findings_new), ('ok'::text, 0::bigint), 'before the hour is over there is no verdict') FROM pg_temp.look('2024-03-09 12:59:59.999999+00') r;
SELECT is(r.findings_new, 2::bigint, 'with its end there is') FROM pg_temp.look('2024-03-09 13:00+00') r;
SELECT results_eq('SELECT entity, episode, observed, threshold, fired_by, sample_size, condition FROM found ORDER BY entity',
    $$VALUES ('above', '["2024-03-09 13:00+00",)'::tstzrange, 3.5::float8 + 4.5e-16, 3.5::float8, 'baseline', 1::bigint, 'firing'),
             ('stirs', '["2024-03-09 13:00+00",)', 0.1, 0, 'baseline', 1, 'firing')$$,
    'above the limit by the last bit; not at it, not within 10 % of a constant, and from a tenth of a dyno where nothing ran');
SELECT is(summary, 'above: average dyno_hours 3.5 in the 1 h up to 2024-03-09 13:00 UTC; it fires above 3.5 (99.9 % of the 168 points in the 7 days before were at most 3)',
    'the sentence') FROM found WHERE entity = 'above';
SELECT is(evidence - 'rows', '{"window": "01:00:00", "verdict_at": "2024-03-09T13:00:00+00:00", "conditions": ["quantile"],
    "baseline": {"of": "own", "n": 168, "days": 7, "median": 1, "quantile": 3, "left_out": 0, "tests_a_month": 730.5}}'::jsonb, 'the evidence')
FROM found WHERE entity = 'above';
SELECT is(evidence #> '{rows,first_rows}', '[["2024-03-09T12:30:00+00:00"]]', 'and its row') FROM found WHERE entity = 'above';
SELECT is(p_value, 1::float8 / 169, 'p is that of the rank') FROM found WHERE entity = 'above';
UPDATE samples SET dyno_hours = 3.3000000000000003 WHERE app = 'short' AND event_time >= '2024-03-09';
SELECT pg_temp.forget();
SELECT is(r.findings_new, 3::bigint, 'ten percent above a constant and a bit more fires') FROM pg_temp.look('2024-03-09 13:00+00') r;
SELECT is(r.findings_updated, 3::bigint, 'the next hour, without samples, ends all') FROM pg_temp.look('2024-03-09 14:00+00') r;
SELECT is(count(*), 3::bigint, 'after an hour') FROM found WHERE episode = '[2024-03-09 13:00+00,2024-03-09 14:00+00)' AND condition = 'cleared';

-- ---- the average, and the edges of an hour ----------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.a_week(a) FROM unnest('{average,edge,before}'::text[]) a;
INSERT INTO samples (event_time, app, dyno_hours) SELECT timestamptz '2024-03-09 12:00+00' + n * interval '10 minutes', 'average', v
FROM unnest('{1,1,1,1,1,17}'::float8[]) WITH ORDINALITY x(v, n1) CROSS JOIN LATERAL (SELECT n1 - 1 AS n) i;  -- 22/6 > 3.5
SELECT pg_temp.sample('2024-03-09 13:00+00', 'edge', 4), pg_temp.sample('2024-03-09 12:59:59.999999+00', 'before', 4);
SELECT pg_temp.look('2024-03-09 14:00+00');
SELECT results_eq('SELECT entity, episode, observed, sample_size FROM found ORDER BY entity',
    $$VALUES ('average', '[2024-03-09 13:00+00,2024-03-09 14:00+00)'::tstzrange, (22::numeric / 6)::float8, 6::bigint),
             ('before', '[2024-03-09 13:00+00,2024-03-09 14:00+00)', 4, 1), ('edge', '["2024-03-09 14:00+00",)', 4, 1)$$,
    'a row at a full hour belongs to the hour that begins; samples are averaged');

-- ---- too few points, and what is no measurement ----------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.a_week(a) FROM unnest('{all,ninety-nine,hundred}'::text[]) a;
DELETE FROM samples WHERE app = 'ninety-nine' AND event_time < '2024-03-09 00:30+00' AND event_time >= '2024-03-02' AND event_time < timestamptz '2024-03-02' + interval '69 hours';
DELETE FROM samples WHERE app = 'hundred' AND event_time >= '2024-03-02' AND event_time < timestamptz '2024-03-02' + interval '68 hours';
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-09 12:30+00', app, 9 FROM unnest('{all,ninety-nine,hundred,new}'::text[]) app;
INSERT INTO samples (event_time, app, dyno_hours) SELECT t, a, v FROM unnest('{NaN,Infinity,-Infinity,1.1e300,-1.7e308}'::float8[] || ARRAY[NULL::float8]) v
CROSS JOIN unnest('{2024-03-05 12:40+00,2024-03-09 12:40+00,-infinity,infinity}'::timestamptz[]) t CROSS JOIN unnest(ARRAY['all', NULL]) a;
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-05 12:40+00', NULL, 5;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 2::bigint), 'NaN, infinities, what is beyond 1e300, and NULLs are as if they were not there') FROM pg_temp.look('2024-03-09 13:00+00') r;
SELECT results_eq('SELECT entity, observed, sample_size, evidence #> ''{baseline,n}'' FROM found ORDER BY entity',
    $$VALUES ('all', 9::float8, 1::bigint, '168'::jsonb), ('hundred', 9, 1, '100')$$, 'a hundred points give a verdict, ninety-nine none, and none none');
SELECT is((SELECT sum(rows) FROM raxx_detect.baseline_days), 168::numeric + 99 + 100, 'nor are they counted');
SELECT pg_temp.start_over();
SELECT pg_temp.a_week('huge', 1e300, 1e300), pg_temp.a_week('deep', -5, -3), pg_temp.a_week('tiny', 4.9e-324, 1e-310), pg_temp.a_week(repeat('x', 5000)), pg_temp.a_week(E'a\n%s''; --');
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-09 12:30+00', a, 1e300 FROM unnest(ARRAY['huge', 'deep', 'tiny', repeat('x', 5000), E'a\n%s''; --']) a;
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-09 12:40+00', a, 1e300 FROM unnest(ARRAY['huge', 'deep']) a;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 4::bigint), 'the greatest values and the strangest names overflow nothing') FROM pg_temp.look('2024-03-09 13:00+00') r;
SELECT is((max(length(entity)), max(length(summary)) < 400), (275, true), 'and are bounded') FROM found;
ALTER TABLE samples RENAME TO float_samples;
CREATE TABLE samples (event_time timestamptz, app int, dyno_hours numeric);
INSERT INTO samples SELECT event_time, 7, CASE dyno_hours WHEN 1 THEN 1e-1000 ELSE '-1e-1000' END FROM float_samples WHERE app LIKE 'xxx%' AND event_time < '2024-03-09';
INSERT INTO samples VALUES ('2024-03-09 12:30+00', 7, '1e5000'), ('2024-03-09 12:40+00', 7, 'NaN'), ('2024-03-09 12:40+00', 7, 0.25);
SELECT raxx_detect.bind_source('dyno_samples', 'samples');
DELETE FROM raxx_detect.detection_findings;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 1::bigint), 'numerics and numbers as names, too') FROM pg_temp.look('2024-03-09 13:00+00') r;
SELECT results_eq('SELECT entity, observed, threshold FROM found', $$VALUES ('7', 0.25::float8, 0::float8)$$, 'what no float can hold is no measurement or 0');
DROP TABLE samples;
ALTER TABLE float_samples RENAME TO samples;
SELECT raxx_detect.bind_source('dyno_samples', 'samples_so_far');

-- ---- findings, closed ones and the baseline ---------------------------------------------------------------------------
-- An app that stays at 9: one finding, and no part of what is usual until somebody closes it as wanted.
SELECT pg_temp.start_over();
SELECT pg_temp.a_week('grown');
INSERT INTO samples (event_time, app, dyno_hours) SELECT t, 'grown', 9 FROM generate_series(timestamptz '2024-03-09 00:30+00', '2024-03-11 00:30+00', '1 hour') t;
SELECT pg_temp.look('2024-03-11 01:30+00');
SELECT results_eq('SELECT episode, observed, threshold, condition FROM found', $$VALUES ('["2024-03-09 01:00+00",)'::tstzrange, 9::float8, 3.5::float8, 'firing')$$, 'two days at 9 are one finding');
SELECT is(array_agg(b.left_out ORDER BY b.day), '{0,0,0,0,0,0,24,24}', 'whose hours are left out')
FROM raxx_detect.baseline_days b;
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'confirmed_operational';
SELECT pg_temp.look('2024-03-11 02:30+00');
INSERT INTO samples (event_time, app, dyno_hours) SELECT t, 'grown', 9 FROM generate_series(timestamptz '2024-03-11 01:30+00', '2024-03-11 09:30+00', '1 hour') t;
SELECT pg_temp.look('2024-03-11 10:00+00');
SELECT is(count(*), 1::bigint, 'once it is closed as wanted, 9 is usual') FROM found;
SELECT is(sum(b.left_out), 0::numeric, 'its days are read again') FROM raxx_detect.baseline_days b;

-- ---- the twin ---------------------------------------------------------------------------------------------------------
-- Twenty days of three apps, two samples an hour, some hours missing, some high for a while; each row up to 5 minutes late.
SELECT pg_temp.start_over();
INSERT INTO samples (event_time, app, dyno_hours, delay)
SELECT timestamptz '2024-02-20 00:00+00' + h * interval '1 hour' + half * interval '30 minutes' + pg_temp.pseudo_random(n, 1, 1800) * interval '1 second',
       'app ' || a, 10 + pg_temp.pseudo_random(n, 2, 10) + CASE WHEN pg_temp.pseudo_random(h / 3 * 4 + a, 3, 25) = 0 THEN pg_temp.pseudo_random(h * 4 + a, 4, 24) ELSE 0 END,
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(0, 20 * 24 - 1) h CROSS JOIN generate_series(1, 3) a CROSS JOIN generate_series(0, 1) half CROSS JOIN LATERAL (SELECT h * 8 + a * 2 + half AS n) i
WHERE pg_temp.pseudo_random(h * 4 + a, 6, 15) > 0;
CREATE FUNCTION pg_temp.twin(zone text, lateness interval) RETURNS TABLE (entity text, episode tstzrange, observed float8) LANGUAGE plpgsql AS $$
DECLARE
    p record;
    judging date;
    u record;
BEGIN
    CREATE TEMP TABLE twin_points ON COMMIT DROP AS
    SELECT app, date_bin('1 hour', event_time, '2000-01-01') AS starts, avg(dyno_hours) AS value, false AS fires, false AS omitted FROM samples GROUP BY 1, 2;
    FOR p IN SELECT * FROM twin_points ORDER BY starts, app LOOP
        judging := ((p.starts + interval '1 hour' - lateness) AT TIME ZONE zone)::date;
        CONTINUE WHEN judging - 7 < (SELECT (min(event_time) AT TIME ZONE zone)::date + 1 FROM samples);
        SELECT percentile_disc(0.999) WITHIN GROUP (ORDER BY t.value) AS q, percentile_disc(0.5) WITHIN GROUP (ORDER BY t.value) AS m, count(*) AS n INTO u
        FROM twin_points t WHERE t.app = p.app AND NOT t.omitted AND t.starts >= (judging - 7)::timestamp AT TIME ZONE zone AND t.starts < judging::timestamp AT TIME ZONE zone;
        IF u.n >= 100 AND p.value >= 0.1 AND p.value > greatest(u.q + 0.25::float8 * (u.q - u.m), u.q + 0.1::float8 * u.q) THEN
            UPDATE twin_points t SET omitted = true, fires = t.fires OR t.starts = p.starts
            WHERE t.app = p.app AND t.starts IN (p.starts, p.starts + interval '1 hour');
        END IF;
    END LOOP;
    RETURN QUERY SELECT r.app, r.episode, (SELECT max(t.value) FROM twin_points t WHERE t.app = r.app AND r.episode @> t.starts + interval '1 hour')
        FROM (SELECT t.app, unnest(range_agg(tstzrange(t.starts + interval '1 hour', t.starts + interval '2 hours'))) AS episode
              FROM twin_points t WHERE t.fires GROUP BY t.app) r;
    DROP TABLE twin_points;
END $$;
CREATE TABLE twin AS SELECT * FROM pg_temp.twin('UTC', '5 minutes');
SELECT is(array_agg(DISTINCT r.outcome), '{ok}', 'one run over twenty days') FROM pg_temp.look('2024-03-11 02:00+00') r;
CREATE TABLE at_once AS SELECT * FROM found;
SELECT cmp_ok(count(*), '>', 5::bigint, 'finds some') FROM at_once;
SELECT cmp_ok(count(*) FILTER (WHERE upper(episode) - lower(episode) > '1 hour'), '>', 2::bigint, 'some of it longer than an hour') FROM at_once;
SELECT cmp_ok(count(*) FILTER (WHERE episode @> date_trunc('day', lower(episode)) + interval '1 day' OR lower(episode) = date_trunc('day', lower(episode))), '>', 0::bigint,
    'some of it at midnight') FROM at_once;
SELECT bag_eq('SELECT entity, episode, observed FROM at_once', 'SELECT * FROM twin', 'and the same as the twin');

CREATE FUNCTION pg_temp.judge_in_steps(late_rows boolean, seed bigint, longest bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-02-28 20:00+00';
    step bigint := 0;
    restless bigint := 0;
    r raxx_detect.rule_run;
BEGIN
    PERFORM pg_temp.forget();
    UPDATE clock SET late = late_rows;
    WHILE at < '2024-03-11 02:00+00' LOOP
        step := step + 1;
        at := least(at + (60 + pg_temp.pseudo_random(step, seed, longest)) * interval '1 second', '2024-03-11 02:00+00');
        UPDATE clock SET moment = at;
        r := pg_temp.look(at);
        r := pg_temp.look(at);
        IF r.outcome NOT IN ('ok', 'no_data', 'skipped') OR r.findings_new + r.findings_updated > 0 OR r.detail LIKE '%withdrew%' THEN
            restless := restless + 1;
        END IF;
    END LOOP;
    UPDATE clock SET moment = 'infinity', late = false;
    RETURN restless;
END $$;
SELECT is(pg_temp.judge_in_steps(false, 7, 40000), 0::bigint, 'steps of up to 11 hours, each repeated: a run repeated changes nothing');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'and all findings are the same, in every column');
SELECT is(pg_temp.judge_in_steps(false, 8, 180000), 0::bigint, 'steps of up to 50 hours');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'all the same');
SELECT is(pg_temp.judge_in_steps(true, 9, 20000), 0::bigint, 'rows up to 5 minutes late');
SELECT bag_eq('SELECT entity, episode, condition FROM found', 'SELECT entity, episode, condition FROM at_once', 'the same episodes');
SELECT raxx_detect.bind_source('dyno_samples', 'samples_so_far', lateness => '0');
SELECT pg_temp.forget();
CREATE TABLE punctual AS SELECT * FROM pg_temp.twin('UTC', '0');
SELECT pg_temp.look('2024-03-11 02:00+00');
SELECT bag_eq('SELECT entity, episode, observed FROM found', 'SELECT * FROM punctual', 'without lateness: the same as the twin');
CREATE TABLE punctual_at_once AS SELECT * FROM found;
SELECT is(pg_temp.judge_in_steps(false, 10, 60000), 0::bigint, 'in steps: a run repeated changes nothing');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM punctual_at_once', 'and the findings are the same');
SELECT raxx_detect.bind_source('dyno_samples', 'samples_so_far', lateness => '3 hours');
SELECT pg_temp.forget();
CREATE TABLE slow AS SELECT * FROM pg_temp.twin('UTC', '3 hours');
SELECT pg_temp.look('2024-03-11 02:00+00');
SELECT bag_eq('SELECT entity, episode, observed FROM found', 'SELECT * FROM slow', 'with a lateness of three hours: the same as the twin');
SELECT pg_temp.judge_in_steps(false, 11, 60000);
SELECT bag_eq('SELECT entity, episode, observed FROM found', 'SELECT * FROM slow', 'in steps, too');
SELECT raxx_detect.bind_source('dyno_samples', 'samples_so_far');

-- ---- a late row that undoes a verdict ---------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.a_week('late');
SELECT pg_temp.sample('2024-03-09 12:30+00', 'late', 9);
SELECT is(r.findings_new, 1::bigint, 'one sample of 9') FROM pg_temp.look('2024-03-09 13:01+00') r;
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-09 12:50+00', 'late', 1 FROM generate_series(1, 9);
SELECT is(r.detail, 'withdrew 1 findings that the rows of dyno_samples no longer show', 'nine of 1 come late: no finding') FROM pg_temp.look('2024-03-09 13:03+00') r;
SELECT pg_temp.sample('2024-03-09 13:30+00', 'late', 9);
SELECT pg_temp.look('2024-03-09 14:10+00');
DELETE FROM samples WHERE event_time = '2024-03-09 13:30+00';
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'what is settled stays') FROM pg_temp.look('2024-03-09 14:30+00') r;

-- ---- days of other lengths --------------------------------------------------------------------------------------------
-- In New York 2024-03-10 had 23 hours; half an hour shifts Lord Howe. Points and days go by the rule's time zone.
SELECT is(raxx_detect.point_at(r, instant), point::tstzrange, format('%s %s', zone, instant))
FROM (VALUES ('UTC', '1 hour', timestamptz '2024-03-10 06:59:59.999999+00', '[2024-03-10 06:00+00,2024-03-10 07:00+00)'),
             ('America/New_York', '5 hours', '2024-03-10 04:59+00', '[2024-03-10 01:00+00,2024-03-10 05:00+00)'),
             ('America/New_York', '5 hours', '2024-03-11 03:59+00', '[2024-03-11 01:00+00,2024-03-11 04:00+00)'),
             ('America/New_York', '1 day', '2024-11-03 04:00+00', '[2024-11-03 04:00+00,2024-11-04 04:00+00)'),
             ('America/New_York', '1 day', '2024-11-04 04:00+00', '[2024-11-04 04:00+00,2024-11-04 05:00+00)'),
             ('Australia/Lord_Howe', '1 hour', '2024-10-05 13:10+00', '[2024-10-05 12:30+00,2024-10-05 13:30+00)'),
             ('Australia/Lord_Howe', '1 hour', '2024-10-06 12:40+00', '[2024-10-06 12:30+00,2024-10-06 13:00+00)'),
             ('America/Havana', '1 hour', '2024-11-03 04:30+00', '[2024-11-03 04:00+00,2024-11-03 05:00+00)')) x(zone, length, instant, point)
CROSS JOIN LATERAL (SELECT r.* FROM raxx_detect.rules r WHERE rule_id = 'cost_dyno_hour_spike') s
CROSS JOIN LATERAL jsonb_populate_record(NULL::raxx_detect.rules, jsonb_build_object('params', jsonb_build_object('window', length, 'time_zone', zone))) r;
SELECT pg_temp.start_over();
SELECT raxx_detect.set_params('cost_dyno_hour_spike', '{"time_zone": "America/New_York"}');
INSERT INTO samples (event_time, app, dyno_hours, delay)
SELECT t, 'app', 10 + pg_temp.pseudo_random(n, 12, 10) + CASE WHEN pg_temp.pseudo_random(n, 13, 20) = 0 THEN n / 8 ELSE 0 END, '0'
FROM generate_series(timestamptz '2024-02-28 05:10+00', '2024-03-13 00:10+00', '1 hour') WITH ORDINALITY s(t, n);
CREATE TABLE new_york AS SELECT * FROM pg_temp.twin('America/New_York', '5 minutes');
SELECT cmp_ok(count(*), '>', 2::bigint, 'a change of the clock within the days judged and learnt') FROM new_york;
SELECT pg_temp.look('2024-03-13 02:00+00');
SELECT bag_eq('SELECT entity, episode, observed FROM found', 'SELECT * FROM new_york', 'the same as the twin');
CREATE TABLE new_york_at_once AS SELECT * FROM found;
SELECT pg_temp.judge_in_steps(false, 14, 60000);
SELECT bag_eq('SELECT * FROM found WHERE upper(episode) < ''2024-03-11''', 'SELECT * FROM new_york_at_once WHERE upper(episode) < ''2024-03-11''', 'in steps, too');

-- ---- many apps --------------------------------------------------------------------------------------------------------
SELECT raxx_detect.set_params('cost_dyno_hour_spike', '{"time_zone": "UTC", "baseline_entities": 2}');
SELECT pg_temp.start_over();
SELECT pg_temp.a_week(a) FROM unnest('{a,b,c}'::text[]) a;
INSERT INTO samples (event_time, app, dyno_hours) SELECT event_time, app, dyno_hours FROM samples WHERE app IN ('b', 'c');
INSERT INTO samples (event_time, app, dyno_hours) SELECT '2024-03-09 12:30+00', a, 9 FROM unnest('{a,b,c}'::text[]) a;
SELECT pg_temp.look('2024-03-09 13:00+00');
SELECT set_eq('SELECT entity FROM found', '{b,c}'::text[], 'a day keeps the apps with the most samples');
SELECT is(r.findings_new + r.findings_updated, 0::bigint, 'as_of far ahead of all rows ends what was there and finds nothing') FROM pg_temp.look('2024-03-09 13:20+00') r;

SELECT * FROM finish();
ROLLBACK;
