-- Rule 16, the mix of countries: a naive twin that follows the definition with loops, limits met exactly and just missed,
-- midnights, days of other lengths, what is no part of what is usual, schedules, late rows, and hostile countries.
BEGIN;
SELECT plan(46);
SET LOCAL timezone = 'UTC';
CREATE TABLE signups (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text, country text, delay interval DEFAULT '0');
CREATE INDEX ON signups (event_time);
CREATE TABLE clock (moment timestamptz, late boolean);
INSERT INTO clock VALUES ('infinity', false);
CREATE VIEW signups_so_far AS SELECT s.* FROM signups s, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far');
-- The bursts of a country are not what is tested here.
SELECT raxx_detect.set_params('signup_geographic_burst', '{"threshold": 100000, "baseline_floor": 100000}');
CREATE VIEW found AS
SELECT entity, episode, condition, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence
FROM raxx_detect.detection_findings WHERE rule_id = 'signup_geographic_burst';
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('signup_geographic_burst', at) $$;
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM raxx_detect.baseline_days; DELETE FROM raxx_detect.baseline_starts $$;
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS $$ SELECT pg_temp.forget(); DELETE FROM signups $$;
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.sign_up(country text, number int, from_time timestamptz, length interval DEFAULT '23 hours') RETURNS void LANGUAGE sql AS $$
    INSERT INTO signups (event_time, email, origin, country)
    SELECT from_time + n * length / number, 'x', 'y', country FROM generate_series(0, number - 1) n
$$;
CREATE FUNCTION pg_temp.test_of(day date) RETURNS record LANGUAGE sql AS $$
    SELECT raxx_detect.mix_test(r, b, day, day) FROM raxx_detect.rules r, raxx_detect.source_bindings b
    WHERE rule_id = 'signup_geographic_burst' AND source = 'waitlist_signups'
$$;

-- ---- the table of a test ----------------------------------------------------------------------------------------------
-- By hand: 60 against 140, in all 200; shares of 120, 70 and 10 of them, so 36, 21 and 3 are expected.
SELECT results_eq($$SELECT entity, observed, expected, before, round(chi_squared::numeric, 9) FROM raxx_detect.mix_cells('{US,DE}', '{24,36}', '{96,44}', 5) ORDER BY 1$$,
    $$VALUES ('DE', 36::float8, 24::float8, 44::float8, round(144 / 24.0 + 144 / 56.0, 9)), ('US', 24, 36, 96, round(144 / 36.0 + 144 / 84.0, 9))$$, 'two countries');
SELECT results_eq($$SELECT entity, observed, expected, before FROM raxx_detect.mix_cells('{US,DE,FR,BR}', '{30,21,5,4}', '{90,49,1,0}', 5) ORDER BY 1$$,
    $$VALUES ('US', 30::float8, 36::float8, 90::float8), (NULL, 30, 24, 50)$$, 'the rare ones together, and while that is under 5 with the next');
SELECT results_eq($$SELECT entity, expected FROM raxx_detect.mix_cells('{US,DE,FR,BR}', '{30,20,6,4}', '{90,40,4,6}', 3) ORDER BY 1$$,
    $$VALUES ('BR', 3::float8), ('DE', 18), ('FR', 3), ('US', 36)$$, 'exactly as many as are to be expected is not too few');
SELECT results_eq($$SELECT entity, expected FROM raxx_detect.mix_cells('{US,DE,FR,BR}', '{30,20,6,4}', '{90,40,4,6}', 3.1) ORDER BY 1$$,
    $$VALUES ('DE', 18::float8), ('US', 36), (NULL, 6)$$, 'two that are each too few are enough together');
SELECT is_empty($$SELECT * FROM raxx_detect.mix_cells('{US,DE}', '{0,0}', '{90,40}', 5)$$, 'no rows, no test');
SELECT is_empty($$SELECT * FROM raxx_detect.mix_cells('{US,DE}', '{9,9}', '{0,0}', 5)$$, 'no history, no test');
SELECT is_empty($$SELECT * FROM raxx_detect.mix_cells(NULL, NULL, NULL, 5)$$, 'nothing, no test');

-- ---- limits -----------------------------------------------------------------------------------------------------------
-- Eight days (the first is not whole) of 60 US and 40 DE; then a day with more DE.
CREATE FUNCTION pg_temp.usual_days() RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.start_over();
    SELECT pg_temp.sign_up('US', 60, d), pg_temp.sign_up('DE', 40, d) FROM generate_series(timestamptz '2024-03-01', '2024-03-08', '1 day') d
$$;
SELECT pg_temp.usual_days();
SELECT pg_temp.sign_up('US', 24, '2024-03-09 00:00+00'), pg_temp.sign_up('DE', 25, '2024-03-09 00:00+00');
SELECT pg_temp.sign_up(NULL, 1000, d) FROM unnest('{2024-03-09 00:30+00,2024-03-04 00:00+00,2024-02-01 00:00+00}'::timestamptz[]) d;
UPDATE raxx_detect.rules SET false_alarms_per_month = 10000 WHERE rule_id = 'signup_geographic_burst';
SELECT is(r.findings_new, 0::bigint, 'with 49 of a known country there is no verdict') FROM pg_temp.look('2024-03-10 00:10+00') r;
SELECT pg_temp.sign_up('DE', 1, '2024-03-09 23:59:59.999999+00');
SELECT pg_temp.sign_up('US', 1000, '2024-03-10 00:00+00', '5 minutes');
SELECT pg_temp.forget();
SELECT is(r.findings_new, 0::bigint, 'before midnight there is none either') FROM pg_temp.look('2024-03-09 23:59:59.999999+00') r;
SELECT is(r.findings_new, 1::bigint, 'with the 50th, and with midnight, there is') FROM pg_temp.look('2024-03-10 00:00+00') r;
SELECT results_eq('SELECT entity, episode, condition, fired_by, sample_size, round(observed::numeric, 9) FROM found',
    $$VALUES ('(mix)', '["2024-03-10 00:00+00",)'::tstzrange, 'firing', 'baseline', 50::bigint, (SELECT round(sum((o - e) ^ 2 / e), 9)
        FROM (VALUES (24, 50 * 444 / 750.0), (26, 50 * 306 / 750.0), (420, 700 * 444 / 750.0), (280, 700 * 306 / 750.0)) x(o, e)))$$,
    'of the 50 of the day, the row at midnight not among them, and of Pearson''s statistic');
SELECT is(p_value, raxx_detect.chi_squared_upper_tail(observed, 1), 'the usual days do not scatter at all: p is that of chance') FROM found;
SELECT is(evidence - '{rows,moved,chi_squared,conditions}'::text[], jsonb_build_object('verdict_at', '2024-03-10T00:00:00+00:00', 'day', '2024-03-09', 'df', 1, 'phi', 1,
    'baseline', jsonb_build_object('of', 'all entities', 'days', 7, 'days_left_out', 0, 'n', 700, 'left_out', 0, 'tests_a_month', 30.4375, 'tail', 5000 / 30.4375::float8)), 'the evidence') FROM found;
SELECT is((evidence #> '{moved,0}') - 'chi_squared'::text, '{"entity": "DE", "observed": 26, "expected": 20.4, "before": 280}'::jsonb, 'the country that moved most') FROM found;
SELECT is((SELECT array_agg(DISTINCT s.country) FROM found f CROSS JOIN jsonb_array_elements(f.evidence #> '{rows,first_rows}') k
           JOIN signups s ON s.event_time = (k ->> 0)::timestamptz AND s.event_time < '2024-03-10' AND s.country = 'DE'), '{DE}', 'and rows of it');
SELECT matches(summary, '^the 50 sign-ups of 2024-03-09 are shared out otherwise among the 2 values of country than those of the days before \(p = 0\.[0-9]+\): DE 26 \(20\.4 expected\), US 24 \(29\.6 expected\)$', 'the sentence') FROM found;
UPDATE raxx_detect.rules r SET false_alarms_per_month = f.p_value * 2 * 30.4375 * (1 + 1e-15) FROM found f WHERE r.rule_id = 'signup_geographic_burst';
CREATE TABLE exact AS SELECT p_value FROM found;
SELECT pg_temp.forget();
SELECT is(r.findings_new, 1::bigint, 'at the limit it fires') FROM pg_temp.look('2024-03-10 00:00+00') r;
UPDATE raxx_detect.rules r SET false_alarms_per_month = e.p_value * 2 * 30.4375 * (1 - 1e-12) FROM exact e WHERE r.rule_id = 'signup_geographic_burst';
SELECT pg_temp.forget();
SELECT is(r.findings_new, 0::bigint, 'a bit more probable: no') FROM pg_temp.look('2024-03-10 00:00+00') r;
UPDATE raxx_detect.rules SET false_alarms_per_month = 1 WHERE rule_id = 'signup_geographic_burst';
DELETE FROM signups WHERE event_time < '2024-03-02' AND country IS NOT NULL;
SELECT pg_temp.sign_up('FR', 500, '2024-03-09 01:00+00');
SELECT pg_temp.forget();
SELECT is(r.findings_new, 0::bigint, 'six whole days of a known country are no baseline, whatever there was without one') FROM pg_temp.look('2024-03-10 00:00+00') r;

-- ---- few days, and days that are findings ------------------------------------------------------------------------------
SELECT pg_temp.usual_days();
DELETE FROM signups WHERE event_time >= '2024-03-04' AND event_time < '2024-03-08';
SELECT pg_temp.sign_up('FR', 80, '2024-03-09 00:00+00');
SELECT is(r.findings_new, 1::bigint, 'three days of the seven with rows are enough') FROM pg_temp.look('2024-03-10 00:10+00') r;
DELETE FROM signups WHERE event_time >= '2024-03-03' AND event_time < '2024-03-08';
SELECT pg_temp.forget();
SELECT is(r.findings_new, 0::bigint, 'two are not') FROM pg_temp.look('2024-03-10 00:10+00') r;
SELECT pg_temp.usual_days();
SELECT pg_temp.sign_up('FR', 80, d) FROM generate_series(timestamptz '2024-03-09', '2024-03-11', '1 day') d;
SELECT pg_temp.look('2024-03-12 00:30+00');
SELECT results_eq('SELECT episode, condition, occurrences FROM found', $$VALUES ('["2024-03-10 00:00+00",)'::tstzrange, 'firing', 1)$$, 'three days of nothing but FR are one finding');
SELECT pg_temp.sign_up('US', 60, '2024-03-12'), pg_temp.sign_up('DE', 40, '2024-03-12');
SELECT pg_temp.look('2024-03-13 00:00+00');
SELECT results_eq('SELECT episode, condition FROM found', $$VALUES ('["2024-03-10 00:00+00","2024-03-13 00:00+00")'::tstzrange, 'cleared')$$, 'which ends when a day is as usual');
SELECT pg_temp.sign_up('FR', 80, '2024-03-13');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign';
SELECT is(r.findings_new, 0::bigint, 'closed as benign, its days are usual, and so is FR') FROM pg_temp.look('2024-03-14 00:00+00') r;
UPDATE raxx_detect.detection_findings SET disposition = 'true_positive';
DELETE FROM raxx_detect.coverage;
SELECT is(r.findings_new, 1::bigint, 'closed as a true positive, they are not') FROM pg_temp.look('2024-03-14 00:00+00') r;
SELECT is(evidence #> '{baseline,days_left_out}', '3', 'and are counted') FROM found WHERE lower(episode) = '2024-03-14 00:00+00';

-- ---- hostile countries ------------------------------------------------------------------------------------------------
SELECT pg_temp.usual_days();
SELECT pg_temp.sign_up('c' || n, 1, '2024-03-09 00:00+00'::timestamptz + n * interval '10 seconds') FROM generate_series(1, 3000) n;
SELECT pg_temp.sign_up(c, 70, '2024-03-09 10:00+00', '1 hour') FROM unnest(ARRAY['', '(mix)', repeat('x', 100000), E'a\nb\x1b[2J%s''; --']) c;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 1::bigint), 'thousands of countries, and strange ones, are one finding') FROM pg_temp.look('2024-03-10 00:10+00') r;
SELECT is((SELECT m -> 'observed' FROM jsonb_array_elements(evidence -> 'moved') m WHERE m -> 'entity' = 'null'), '3000', 'the thousands are taken together') FROM found;
SELECT cmp_ok(length(evidence::text) + length(summary), '<', 5000, 'told in few words') FROM found;
SELECT is(raxx_detect.mix_left_out(r, 'waitlist_signups', '2024-03-09'), true, 'and left out of what is usual') FROM raxx_detect.rules r WHERE rule_id = 'signup_geographic_burst';
-- A burst of a country that calls itself (mix) is no verdict on the mix.
SELECT pg_temp.usual_days();
SELECT raxx_detect.set_params('signup_geographic_burst', '{"threshold": 20}');
SELECT pg_temp.sign_up('(mix)', 30, '2024-03-03 12:00+00', '1 minute');
SELECT pg_temp.look('2024-03-05 00:00+00');
SELECT is(count(*), 1::bigint, 'a burst of (mix), which cannot pass for the mix') FROM found WHERE entity = '((mix)' AND evidence -> 'conditions' = '["velocity"]';
SELECT is(raxx_detect.mix_left_out(r, 'waitlist_signups', d), false, 'leaves no day out: ' || d) FROM raxx_detect.rules r, unnest('{2024-03-02,2024-03-03}'::date[]) d WHERE rule_id = 'signup_geographic_burst';
SELECT raxx_detect.set_params('signup_geographic_burst', '{"threshold": 100000}');

-- ---- the twin ---------------------------------------------------------------------------------------------------------
-- Thirty-two days, weekends other than weekdays, eight countries of very different size, some days swamped by one of them.
SELECT pg_temp.start_over();
INSERT INTO signups (event_time, email, origin, country, delay)
SELECT day + pg_temp.pseudo_random(n, 1, 86400) * interval '1 second', 'x', 'y',
       CASE WHEN pg_temp.pseudo_random(d, 2, 5) = 0 AND pg_temp.pseudo_random(n, 3, 5) < 3 THEN 'C' || pg_temp.pseudo_random(d, 4, 8)
            WHEN pg_temp.pseudo_random(n, 5, 40) = 0 THEN NULL
            ELSE 'C' || floor(sqrt(pg_temp.pseudo_random(n, 6, CASE WHEN d % 7 > 4 THEN 50 ELSE 64 END))) END, pg_temp.pseudo_random(n, 7, 300) * interval '1 second'
FROM generate_series(0, 31) d CROSS JOIN LATERAL (SELECT timestamptz '2024-02-20 00:00+00' + d * interval '1 day' AS day) t
CROSS JOIN LATERAL generate_series(1, 40 + pg_temp.pseudo_random(d, 8, 60)::int) i CROSS JOIN LATERAL (SELECT d * 1000 + i AS n) k;

CREATE FUNCTION pg_temp.naive_statistic(day date, others date[], zone text, OUT chi_squared float8, OUT df int) LANGUAGE plpgsql AS $$
DECLARE
    n float8; m float8; c record; o float8 := 0; b float8 := 0; e float8; total_e float8 := 0; rare boolean := true;
BEGIN
    SELECT count(*) FILTER (WHERE (event_time AT TIME ZONE zone)::date = day), count(*) FILTER (WHERE (event_time AT TIME ZONE zone)::date = ANY (others))
    INTO n, m FROM signups WHERE country IS NOT NULL;
    chi_squared := 0; df := -1;
    IF n = 0 OR m = 0 THEN
        RETURN;
    END IF;
    -- From the rarest on; the first cell is filled until no country that remains is too rare, nor the cell too small.
    FOR c IN SELECT count(*) FILTER (WHERE (event_time AT TIME ZONE zone)::date = day)::float8 AS o,
                    count(*) FILTER (WHERE (event_time AT TIME ZONE zone)::date = ANY (others))::float8 AS b
             FROM signups WHERE country IS NOT NULL AND (event_time AT TIME ZONE zone)::date = ANY (others || day) GROUP BY country ORDER BY count(*), country COLLATE "C" LOOP
        e := (c.o + c.b) * n / (n + m);
        IF o + b > 0 AND NOT (rare AND (e < 5 OR total_e < 5)) THEN
            chi_squared := chi_squared + (o - total_e) ^ 2 / total_e + (b - (o + b - total_e)) ^ 2 / (o + b - total_e);
            df := df + 1;
            o := 0; b := 0; total_e := 0; rare := false;
        END IF;
        rare := rare AND (e < 5 OR (total_e > 0 AND total_e < 5));
        o := o + c.o; b := b + c.b; total_e := total_e + e;
    END LOOP;
    chi_squared := chi_squared + (o - total_e) ^ 2 / total_e + (b - (o + b - total_e)) ^ 2 / (o + b - total_e);
    df := df + 1;
END $$;
CREATE FUNCTION pg_temp.twin(zone text, first_day date, last_day date, lag int) RETURNS TABLE (episode tstzrange, p_value float8) LANGUAGE plpgsql AS $$
DECLARE
    day date; usual date[]; d date; s record; phi float8; used int; fired date[] := '{}'; ps float8[] := '{}'; p float8;
BEGIN
    FOR day IN SELECT first_day + i FROM generate_series(8 + lag, last_day - first_day - 1) i LOOP
        usual := ARRAY(SELECT day - i FROM generate_series(1 + lag, 7 + lag) i WHERE day - i <> ALL (fired));
        phi := 0; used := 0;
        FOREACH d IN ARRAY usual LOOP
            s := pg_temp.naive_statistic(d, array_remove(usual, d), zone);
            IF s.df > 0 THEN
                phi := phi + s.chi_squared / s.df; used := used + 1;
            END IF;
        END LOOP;
        s := pg_temp.naive_statistic(day, usual, zone);
        CONTINUE WHEN s.df < 1 OR used < 3 OR (SELECT count(*) FROM signups x WHERE country IS NOT NULL AND (x.event_time AT TIME ZONE zone)::date = day) < 50;
        p := raxx_detect.chi_squared_upper_tail(s.chi_squared / greatest(1, phi / used), s.df);
        IF p <= 0.5 / 30.4375 THEN
            fired := fired || day; ps := ps || p;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT e.span, (SELECT min(f.p) FROM unnest(fired, ps) f(day, p) WHERE e.span @> ((f.day + 1)::timestamp AT TIME ZONE zone))
    FROM (SELECT unnest(range_agg(tstzrange((f + 1)::timestamp AT TIME ZONE zone, (f + 2)::timestamp AT TIME ZONE zone))) AS span FROM unnest(fired) f) e;
END $$;
CREATE TABLE twin AS SELECT episode, round(log(p_value::numeric), 6) AS log_p FROM pg_temp.twin('UTC', '2024-02-20', '2024-03-23', 0);
SELECT is(r.outcome, 'ok', 'a month at once') FROM pg_temp.look('2024-03-23 00:30+00') r;
CREATE TABLE at_once AS SELECT * FROM found;
SELECT cmp_ok(count(*), '>', 2::bigint, 'finds some days') FROM at_once;
SELECT cmp_ok(max((evidence ->> 'phi')::float8), '>', 1.2::float8, 'of days that scatter more than by chance') FROM at_once;
SELECT bag_eq('SELECT CASE WHEN upper_inf(episode) THEN tstzrange(lower(episode), ''2024-03-24 00:00+00'') ELSE episode END, round(log(p_value::numeric), 6) FROM at_once', 'SELECT * FROM twin', 'the same as the twin');

CREATE FUNCTION pg_temp.judge_in_steps(late_rows boolean, seed bigint, longest bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-02-27 20:00+00';
    step bigint := 0;
    restless bigint := 0;
    r raxx_detect.rule_run;
BEGIN
    PERFORM pg_temp.forget();
    UPDATE clock SET late = late_rows;
    WHILE at < '2024-03-23 00:30+00' LOOP
        step := step + 1;
        at := least(at + (60 + pg_temp.pseudo_random(step, seed, longest)) * interval '1 second', '2024-03-23 00:30+00');
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
SELECT is(pg_temp.judge_in_steps(false, 9, 60000), 0::bigint, 'steps of up to 17 hours, each repeated: a run repeated changes nothing');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'and all findings are the same, in every column');
SELECT is(pg_temp.judge_in_steps(false, 10, 400000), 0::bigint, 'steps of up to five days');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'the same');
SELECT pg_temp.judge_in_steps(true, 11, 60000);
SELECT bag_eq('SELECT entity, episode, condition FROM found', 'SELECT entity, episode, condition FROM at_once', 'rows up to 5 minutes late: the same episodes');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far', lateness => '0');
SELECT pg_temp.forget();
SELECT pg_temp.look('2024-03-23 00:30+00');
SELECT bag_eq('SELECT entity, episode, p_value FROM found', 'SELECT entity, episode, p_value FROM at_once', 'without lateness: the same');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far', lateness => '30 hours');
CREATE TABLE slow AS SELECT episode, round(log(p_value::numeric), 6) AS log_p FROM pg_temp.twin('UTC', '2024-02-20', '2024-03-23', 1);
SELECT pg_temp.forget();
SELECT pg_temp.look('2024-03-23 00:30+00');
SELECT set_eq('SELECT lower(episode), round(log(p_value::numeric), 6) FROM found', 'SELECT lower(episode), log_p FROM slow', 'a lateness of 30 hours: the baseline is a day older, as the twin''s');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far');
SELECT raxx_detect.set_params('signup_geographic_burst', '{"time_zone": "America/New_York"}');
CREATE TABLE new_york AS SELECT episode, round(log(p_value::numeric), 6) AS log_p FROM pg_temp.twin('America/New_York', '2024-02-19', '2024-03-22', 0);
SELECT pg_temp.forget();
SELECT pg_temp.look('2024-03-22 12:00+00');
SELECT bag_eq('SELECT CASE WHEN upper_inf(episode) THEN tstzrange(lower(episode), ''2024-03-23 04:00+00'') ELSE episode END, round(log(p_value::numeric), 6) FROM found', 'SELECT * FROM new_york',
    'days of New York, one of them of 23 hours: the same as the twin');
SELECT cmp_ok(count(*), '>', 1::bigint, 'which finds some') FROM new_york;

SELECT * FROM finish();
ROLLBACK;
