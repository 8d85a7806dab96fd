-- Rule 11, first digits of backtest returns: a naive twin that tests each full hour by itself, limits met exactly and just
-- missed, the edges of windows, schedules, late rows, numbers of all types, and the volume that makes the rule active.
BEGIN;
SELECT plan(44);
SET LOCAL timezone = 'UTC';
SELECT raxx_detect.create_source_table('backtest_results', 'results');
CREATE VIEW found AS
SELECT entity, episode, condition, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence
FROM raxx_detect.detection_findings WHERE rule_id = 'data_backtest_benford';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM results $$;
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.put(at text, number int, return_value numeric) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO results (event_time, return_value) SELECT (at || '+00')::timestamptz, return_value FROM generate_series(1, number) $$;

-- ---- active from 201 digits in 7 days ---------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.is_active() RETURNS boolean LANGUAGE sql AS
    $$ SELECT (raxx_detect.check_digits(r, now())).holds FROM raxx_detect.rules r WHERE rule_id = 'data_backtest_benford' $$;
SELECT is(pg_temp.is_active(), false, 'an empty source is no volume');
INSERT INTO results (event_time, return_value) SELECT now() - interval '7 days', 1 FROM generate_series(1, 50);
INSERT INTO results (event_time, return_value) SELECT now() + interval '1 microsecond', 1 FROM generate_series(1, 50);
INSERT INTO results (event_time, return_value) SELECT now() - interval '1 day', v FROM unnest('{0,NaN,Infinity,-Infinity,NULL,0.00}'::numeric[]) v, generate_series(1, 50);
INSERT INTO results (event_time, return_value) SELECT now(), 1 FROM generate_series(1, 100);
INSERT INTO results (event_time, return_value) SELECT now() - interval '7 days' + interval '1 microsecond', -2.5 FROM generate_series(1, 100);
SELECT is(pg_temp.is_active(), false, 'two hundred are not enough: what has no digit, lies ahead, or is 7 days old does not count');
INSERT INTO results (event_time, return_value) VALUES (now(), 1e-30);
SELECT is(pg_temp.is_active(), true, 'one more is');

-- The rows that follow are of 2024: whether the rule is active now is not what they test.
CREATE FUNCTION pg_temp.live() RETURNS raxx_detect.rules LANGUAGE sql AS
    $$ SELECT r.* FROM raxx_detect.rules r WHERE rule_id = 'data_backtest_benford' $$;
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT raxx_detect.evaluate_rule(pg_temp.live(), at, ('data_backtest_benford', 'live', 'ok', 0, 0, 0, NULL, NULL, NULL)::raxx_detect.rule_run) $$;

-- ---- limits -----------------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.put('2024-03-05 11:20', 100, 5);
SELECT is(r.findings_new, 0::bigint, 'a hundred fives are too few') FROM pg_temp.look('2024-03-05 12:00+00') r;
SELECT pg_temp.put('2024-03-05 12:20', 1, -0.0005);
SELECT is(r.findings_new, 0::bigint, 'with one more, there is no verdict before the hour is full') FROM pg_temp.look('2024-03-05 12:59:59.999999+00') r;
SELECT is(r.findings_new, 1::bigint, 'then there is') FROM pg_temp.look('2024-03-05 13:00+00') r;
SELECT results_eq('SELECT entity, episode, condition, threshold, fired_by, sample_size, occurrences FROM found',
    $$VALUES ('backtest_results', '["2024-03-05 13:00+00",)'::tstzrange, 'firing', 0.015::float8, 'threshold', 101::bigint, 1)$$, 'a finding');
SELECT is((b.mad, b.p_value), (f.observed, f.p_value), 'told by the mean absolute deviation')
FROM found f, (SELECT (raxx_detect.benford(return_value)).* FROM results) b;
SELECT matches(summary, '^backtest_results: the first digits of 101 values within 7 d do not follow Benford''s law: 100.0 % begin with 5, and 7.9 % should \(mean absolute deviation 0.2046, p = [0-9.]+e-[0-9]+\)$', 'the sentence') FROM found;
SELECT is(evidence - '{rows,chi_squared,mad,baseline}'::text[], '{"window": "7 days", "verdict_at": "2024-03-05T13:00:00+00:00", "n": 101, "df": 8, "skipped": 0,
    "digits": [0, 0, 0, 0, 101, 0, 0, 0, 0], "conditions": ["benford"]}', 'the evidence') FROM found;
SELECT is(jsonb_array_length(evidence #> '{rows,first_rows}'), 20, 'with its first rows') FROM found;
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'a later hour changes nothing') FROM pg_temp.look('2024-03-08 13:00+00') r;
SELECT pg_temp.look('2024-03-20 13:00+00');
SELECT results_eq('SELECT episode, condition, sample_size FROM found', $$VALUES ('["2024-03-05 13:00+00","2024-03-12 12:00+00")'::tstzrange, 'cleared', 101::bigint)$$,
    'it ends with the first hour whose window has lost the hundred');

-- A window is (g - 7 days, g]: a row at g counts, and one at g - 7 days no longer.
SELECT pg_temp.start_over();
SELECT pg_temp.put('2024-03-05 12:00', 101, 5);
SELECT pg_temp.look('2024-03-20 12:00+00');
SELECT is(episode, '["2024-03-05 12:00+00","2024-03-12 12:00+00")'::tstzrange, 'rows at a full hour') FROM found;
SELECT pg_temp.start_over();
SELECT pg_temp.put('2024-03-05 12:00:00.000001', 101, 5);
SELECT pg_temp.look('2024-03-20 12:00+00');
SELECT is(episode, '["2024-03-05 13:00+00","2024-03-12 13:00+00")'::tstzrange, 'rows a microsecond later') FROM found;

-- The thresholds, met exactly: the p-value is at most the budget's share of an hour, the deviation at least mad_threshold.
SELECT pg_temp.start_over();
SELECT pg_temp.put('2024-03-05 11:30', n, d) FROM unnest('{40,22,15,13,10,9,8,7,20}'::int[]) WITH ORDINALITY x(n, d);
CREATE TABLE exact AS SELECT (raxx_detect.benford(return_value)).* FROM results;
SELECT raxx_detect.set_params('data_backtest_benford', jsonb_build_object('mad_threshold', mad)) FROM exact;
UPDATE raxx_detect.rules SET false_alarms_per_month = (SELECT p_value FROM exact) * 730.5 * (1 + 1e-15) WHERE rule_id = 'data_backtest_benford';
SELECT is(r.findings_new, 1::bigint, 'at both limits it fires') FROM pg_temp.look('2024-03-05 12:00+00') r;
SELECT raxx_detect.set_params('data_backtest_benford', jsonb_build_object('mad_threshold', mad * (1 + 3e-16))) FROM exact;
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
SELECT is(r.findings_new, 0::bigint, 'a bit less deviation than asked for: no') FROM pg_temp.look('2024-03-05 12:00+00') r;
SELECT raxx_detect.set_params('data_backtest_benford', '{"mad_threshold": 0.015}');
UPDATE raxx_detect.rules SET false_alarms_per_month = (SELECT p_value FROM exact) * 730.5 * (1 - 1e-12) WHERE rule_id = 'data_backtest_benford';
DELETE FROM raxx_detect.coverage;
SELECT is(r.findings_new, 0::bigint, 'a bit more probable than the budget allows: no') FROM pg_temp.look('2024-03-05 12:00+00') r;
UPDATE raxx_detect.rules SET false_alarms_per_month = 1 WHERE rule_id = 'data_backtest_benford';

-- ---- numbers ----------------------------------------------------------------------------------------------------------
-- The greatest double below 1 begins with 9; rounded to 15 digits, as a cast would, with 1.
CREATE TABLE numbers (event_time timestamptz, n numeric, f8 float8, f4 float4, i int, s text);
INSERT INTO numbers SELECT '2024-03-05 11:30+00', 0.9, 0.99999999999999989, 0.9, 9, 'x' FROM generate_series(1, 101);
INSERT INTO numbers VALUES ('2024-03-05 11:30+00', 'NaN', 'NaN', 'NaN', 0), ('2024-03-05 11:30+00', '-Infinity', 'Infinity', '-Infinity', 0),
    ('2024-03-05 11:30+00', 0, -0.0, 0, 0), ('2024-03-05 11:30+00', NULL, NULL, NULL, NULL), ('infinity', 1, 1, 1, 1), ('-infinity', 1, 1, 1, 1), (NULL, 1, 1, 1, 1), ('4713-11-24 00:00+00 BC', 1, 1, 1, 1);
CREATE DOMAIN return_float AS float8;
ALTER TABLE numbers ADD d return_float, ADD h numeric;
UPDATE numbers SET d = f8, h = CASE WHEN n BETWEEN 0.1 AND 1 THEN 9.9e100000 ELSE n END;
CREATE FUNCTION pg_temp.digits_of(c text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    PERFORM raxx_detect.bind_source('backtest_results', 'numbers', jsonb_build_object('return_value', c));
    PERFORM pg_temp.look('2024-03-05 12:00+00');
    RETURN (SELECT format('%s, %s skipped', evidence -> 'digits', evidence -> 'skipped') FROM found);
END $$;
SET LOCAL extra_float_digits = 0;
SELECT is(pg_temp.digits_of(c), '[0, 0, 0, 0, 0, 0, 0, 0, 101], 3 skipped', c || ': digits are those of the shortest number that is the same')
FROM unnest('{n,f8,f4,i,d,h}'::text[]) c;
RESET extra_float_digits;
SELECT throws_ok($$SELECT raxx_detect.bind_source('backtest_results', 'numbers', '{"return_value": "s"}')$$, '42804', NULL, 'texts are no numbers');
SELECT raxx_detect.bind_source('backtest_results', 'results');

-- ---- the twin ---------------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
ALTER TABLE results ADD delay interval DEFAULT '0';
INSERT INTO results (event_time, return_value, delay)
SELECT timestamptz '2024-02-01 00:00+00' + pg_temp.pseudo_random(n, 1, 60 * 1440) * interval '1 minute',
       CASE pg_temp.pseudo_random(n, 2, 40) WHEN 0 THEN 0 WHEN 1 THEN 'NaN'
            ELSE round((10 ^ (pg_temp.pseudo_random(n, 3, 5000000)::float8 / 1000000) - 1)::numeric, 6) END, pg_temp.pseudo_random(n, 4, 300) * interval '1 second'
FROM generate_series(1, 1100) n;
-- Now and then returns are capped.
INSERT INTO results (event_time, return_value, delay)
SELECT t + pg_temp.pseudo_random(n, 5, 86400) * interval '1 second', 5, pg_temp.pseudo_random(n, 6, 300) * interval '1 second'
FROM unnest('{2024-02-10 03:00+00,2024-02-12 00:00+00,2024-03-01 12:00+00,2024-03-20 00:00+00}'::timestamptz[]) t CROSS JOIN generate_series(1, 22) n;
CREATE TABLE twin AS
WITH verdicts AS (
    SELECT g, b.* FROM generate_series(timestamptz '2024-02-01 00:00+00', '2024-04-05 00:00+00', '1 hour') g
    CROSS JOIN LATERAL (SELECT (raxx_detect.benford(return_value)).* FROM results WHERE event_time > g - interval '7 days' AND event_time <= g OFFSET 0) b
    WHERE b.n > 100 AND b.p_value <= 1 / 730.5 AND b.mad >= 0.015
)
SELECT e.episode, max(v.mad) AS observed, min(v.p_value) AS p_value
FROM (SELECT unnest(range_agg(tstzrange(g, g + interval '1 hour'))) AS episode FROM verdicts) e JOIN verdicts v ON e.episode @> v.g GROUP BY e.episode;
CREATE VIEW results_so_far AS SELECT * FROM results;
SELECT raxx_detect.bind_source('backtest_results', 'results_so_far');
SELECT pg_temp.look('2024-04-05 00:30+00');
CREATE TABLE at_once AS SELECT * FROM found;
SELECT cmp_ok(count(*), '>', 3::bigint, 'two months have several findings') FROM at_once;
SELECT bag_eq('SELECT episode, observed, p_value FROM at_once', 'SELECT * FROM twin', 'the same as the twin');

CREATE TABLE clock (moment timestamptz, late boolean);
INSERT INTO clock VALUES ('infinity', false);
CREATE OR REPLACE VIEW results_so_far AS
SELECT r.* FROM results r, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
CREATE FUNCTION pg_temp.judge_in_steps(late_rows boolean, seed bigint, longest bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-01-31 22:00+00';
    step bigint := 0;
    restless bigint := 0;
    r raxx_detect.rule_run;
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    UPDATE clock SET late = late_rows;
    WHILE at < '2024-04-05 00:30+00' LOOP
        step := step + 1;
        at := least(at + (60 + pg_temp.pseudo_random(step, seed, longest)) * interval '1 second', '2024-04-05 00:30+00');
        UPDATE clock SET moment = at;
        r := pg_temp.look(at);
        r := pg_temp.look(at);
        IF r.outcome NOT IN ('ok', 'no_data') OR r.findings_new + r.findings_updated > 0 OR r.detail LIKE '%withdrew%' THEN
            restless := restless + 1;
        END IF;
    END LOOP;
    RETURN restless;
END $$;
SELECT is(pg_temp.judge_in_steps(false, 7, 25000), 0::bigint, 'steps of up to 7 hours, each repeated: a run repeated changes nothing');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'and all findings are the same, in every column');
SELECT is(pg_temp.judge_in_steps(false, 8, 1500000), 0::bigint, 'steps of up to 17 days');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'the same');
SELECT is(pg_temp.judge_in_steps(true, 9, 25000), 0::bigint, 'rows up to 5 minutes late');
SELECT bag_eq('SELECT entity, episode, condition FROM found', 'SELECT entity, episode, condition FROM at_once', 'the same episodes');
UPDATE clock SET moment = 'infinity', late = false;

-- Other windows and steps, also such that the one is no multiple of the other.
CREATE FUNCTION pg_temp.states(step interval, window_length interval) RETURNS TABLE (g timestamptz, counts bigint[]) LANGUAGE sql AS $$
    SELECT g, s.counts FROM raxx_detect.benford_states(
        jsonb_populate_record(pg_temp.live(), jsonb_build_object('params', jsonb_build_object('value', 'return_value', 'step', step, 'window', window_length))),
        (SELECT b FROM raxx_detect.source_bindings b WHERE source = 'backtest_results'), date_bin(step, '2024-02-01 00:00+00', '2000-01-01 00:00+00'),
        date_bin(step, '2024-02-25 00:00+00', '2000-01-01 00:00+00')) s
    CROSS JOIN LATERAL generate_series(s.instant, s.next_instant - step, step) g
$$;
CREATE FUNCTION pg_temp.naive_states(step interval, window_length interval) RETURNS TABLE (g timestamptz, counts bigint[]) LANGUAGE sql AS $$
    SELECT g, c.counts FROM generate_series(date_bin(step, '2024-02-01 00:00+00', '2000-01-01 00:00+00'), date_bin(step, '2024-02-25 00:00+00', '2000-01-01 00:00+00'), step) g
    CROSS JOIN LATERAL (SELECT raxx_detect.benford_counts(return_value) AS counts FROM results WHERE event_time > g - window_length AND event_time <= g) c
    WHERE g >= (SELECT min(event_time) FROM results)
$$;
SELECT bag_eq(format('SELECT * FROM pg_temp.states(%L, %L)', step, window_length), format('SELECT * FROM pg_temp.naive_states(%L, %L)', step, window_length),
    format('windows of %s, every %s', window_length, step))
FROM (VALUES ('1 hour', '7 days'), ('7 hours', '1 day'), ('1 day', '5 hours'), ('50 minutes', '1 day 1 second'), ('3 days', '2 days 23:59:59.999999')) x(step, window_length);

-- ---- late rows that undo a verdict, and rows that are gone -------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.put('2024-03-05 11:30', 101, 5);
SELECT is(r.findings_new, 1::bigint, 'a hundred and one fives') FROM pg_temp.look('2024-03-05 12:00+00') r;
INSERT INTO results (event_time, return_value) SELECT '2024-03-05 11:58+00', 10 ^ (n / 4000.0) FROM generate_series(0, 3999) n;
SELECT is(r.detail, 'withdrew 1 findings that the rows of backtest_results no longer show', 'four thousand that follow the law come late: withdrawn') FROM pg_temp.look('2024-03-05 12:02+00') r;
DELETE FROM results WHERE return_value <> 5;
SELECT is(r.findings_new, 1::bigint, 'without them it is found again') FROM pg_temp.look('2024-03-05 12:04+00') r;
SELECT pg_temp.look('2024-03-05 12:30+00');
DELETE FROM results WHERE id IN (SELECT id FROM results LIMIT 50);
SELECT pg_temp.look('2024-03-05 13:30+00');
SELECT results_eq('SELECT episode, condition FROM found', $$VALUES ('["2024-03-05 12:00+00","2024-03-05 13:00+00")'::tstzrange, 'cleared')$$,
    'what was settled stays when rows go, and the next hour ends it');

-- ---- a year at once ---------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
INSERT INTO results (event_time, return_value) SELECT timestamptz '2023-01-01 00:00+00' + n * interval '50 minutes', 10 ^ (pg_temp.pseudo_random(n, 10, 6000)::float8 / 1000) FROM generate_series(1, 10000) n;
CREATE TABLE timing AS SELECT clock_timestamp() AS began, r.* FROM pg_temp.look('2024-01-01 00:00+00') r;
SELECT cmp_ok(findings_new, '<=', 12::bigint, 'ten thousand results that follow the law make no more false alarms in a year than the budget allows') FROM timing;
SELECT cmp_ok(clock_timestamp() - began, '<', '20 seconds'::interval, 'judged in no time') FROM timing;

SELECT * FROM finish();
ROLLBACK;
