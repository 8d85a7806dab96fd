-- Promise 1 where baselines judge: eleven days of generated rows, judged at once and in steps of random length (each step
-- twice), with rows on time and with rows that come late, but within the lateness of their source. The findings, and the
-- baselines they name, have to be the same.
BEGIN;
SELECT plan(31);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
-- Over the Sunday on which New York puts its clocks forward; busier by day than by night.
CREATE FUNCTION pg_temp.some_time(n bigint, seed bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz '2024-03-04 05:00+00' + pg_temp.pseudo_random(n, seed, 11) * interval '1 day'
        + CASE WHEN n % 3 = 0 THEN pg_temp.pseudo_random(n, seed + 100, 24 * 3600) ELSE 36000 + pg_temp.pseudo_random(n, seed + 100, 9 * 3600) END * interval '1 second' $$;
-- Waves: some rows come within five minutes of one of a few instants, two of them at the turns of days.
CREATE FUNCTION pg_temp.wave(n bigint, seed bigint, wide int) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['2024-03-12 15:00+00', '2024-03-13 04:01:30+00', '2024-03-13 23:59+00', '2024-03-14 03:57+00']::timestamptz[])[1 + n % 4]
        + pg_temp.pseudo_random(n, seed, wide) * interval '1 second' $$;

CREATE TABLE signups (id bigint PRIMARY KEY, event_time timestamptz, email text, origin text, delay interval);
INSERT INTO signups
SELECT n, CASE WHEN n > 2000 THEN pg_temp.wave(n, 1, 240) ELSE pg_temp.some_time(n, 1) END, 'x' || n || '@site' || n || '.example',
       CASE WHEN n > 2000 THEN 'https://wave' || n % 8 || '.example' ELSE 'https://origin' || least(pg_temp.pseudo_random(n, 2, 6), 2) || '.example' END,
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 2110) n;
CREATE TABLE sessions (id bigint PRIMARY KEY, event_time timestamptz, ip inet, delay interval);
INSERT INTO sessions
SELECT n, CASE WHEN n > 1800 THEN pg_temp.wave(n, 1, 50) ELSE pg_temp.some_time(n, 3) END,
       CASE WHEN n > 1900 THEN '2001:db8::' || n % 7 ELSE '203.0.113.' || least(pg_temp.pseudo_random(n, 4, 30), 3) END::inet,
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 1960) n;
CREATE TABLE passkeys AS SELECT id, event_time, ip, 'u' || id % 400 || '@example.com' AS email, delay FROM sessions;
CREATE TABLE errors (id bigint PRIMARY KEY, event_time timestamptz, route text, delay interval);
INSERT INTO errors
SELECT n, CASE WHEN n > 1500 THEN pg_temp.wave(n, 7, 50) ELSE pg_temp.some_time(n, 6) END, '/r' || least(pg_temp.pseudo_random(n, 8, 9), 2 + n / 1500),
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 1560) n;
CREATE TABLE denials (id bigint PRIMARY KEY, event_time timestamptz, operator text, permission text, delay interval);
INSERT INTO denials
SELECT n, CASE WHEN n > 300 THEN pg_temp.wave(n, 9, 400) ELSE pg_temp.some_time(n, 8) END, 'ops ' || pg_temp.pseudo_random(n, 2, 3), 'p' || n % 3 || ':read',
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 345) n;
CREATE TABLE audit (id bigint PRIMARY KEY, event_time timestamptz, delay interval);
INSERT INTO audit
SELECT n, at, pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM (SELECT n, pg_temp.some_time(n, 10) AS at FROM generate_series(1, 4000) n) e
WHERE at NOT BETWEEN '2024-03-12 15:10+00' AND '2024-03-12 16:00+00' AND at NOT BETWEEN '2024-03-13 23:40+00' AND '2024-03-14 02:30+00';

-- What has arrived: the views that the sources are bound to.
CREATE TABLE clock (moment timestamptz, late boolean);
INSERT INTO clock VALUES ('2024-03-16', false);
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY '{signups,sessions,passkeys,errors,denials,audit}'::text[] LOOP
        EXECUTE format('CREATE INDEX ON %I (event_time)', t);
        EXECUTE format('CREATE VIEW %I AS SELECT s.* FROM %I s, clock c WHERE event_time + CASE WHEN late THEN delay ELSE ''0'' END <= moment', t || '_so_far', t);
    END LOOP;
END $$;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far');
SELECT raxx_detect.bind_source('session_events', 'sessions_so_far');
SELECT raxx_detect.bind_source('passkey_begin_events', 'passkeys_so_far');
SELECT raxx_detect.bind_source('error_events', 'errors_so_far');
SELECT raxx_detect.bind_source('rbac_denials', 'denials_so_far');
SELECT raxx_detect.bind_source('customer_audit_events', 'audit_so_far');
-- Smaller waves than real ones, so that the test is quick: the budgets are wide.
UPDATE raxx_detect.rules SET false_alarms_per_month = 20;
SELECT raxx_detect.set_params('ops_sentry_error_rate_spike', '{"baseline_floor": 4, "threshold": 9}');
UPDATE raxx_detect.rules SET state = 'live', prerequisites = '{}';

CREATE VIEW judged AS
SELECT rule_id FROM raxx_detect.rules WHERE number IN (1, 2, 3, 4, 6, 8);
CREATE VIEW found AS
SELECT rule_id, source, entity, severity, condition, episode, observed, threshold, unit, p_value, fired_by, sample_size, occurrences,
       evidence -> 'baseline' AS baseline, verdict
FROM raxx_detect.detection_findings;

-- ---- at once --------------------------------------------------------------------------------------------------------
SELECT is(array_agg(r.detail), NULL, 'one run over everything')
FROM judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, '2024-03-15 12:00') r WHERE r.outcome NOT IN ('ok', 'no_data');
CREATE TABLE at_once AS SELECT * FROM found;
SELECT set_eq('SELECT rule_id FROM at_once WHERE fired_by = ''baseline''', 'SELECT rule_id FROM judged', 'finds something of each rule by its baseline');
SELECT set_has('SELECT fired_by FROM at_once', $$ VALUES ('threshold'), ('baseline') $$, 'and something by thresholds');
SELECT set_eq('SELECT baseline ->> ''of'' FROM at_once WHERE rule_id LIKE ''auth_session%'' AND fired_by = ''baseline''', $$ VALUES ('own'), ('all entities') $$, 'known entities by their own, others by that of all');
SELECT cmp_ok(max((baseline ->> 'left_out')::int), '>', 0, 'rows of earlier findings are left out') FROM at_once;

-- ---- in steps -------------------------------------------------------------------------------------------------------
-- How many of the runs, each repeated at once, changed something the second time.
CREATE FUNCTION pg_temp.judge_in_steps(late_rows boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-03-04 04:00';
    step bigint := 0;
    restless bigint := 0;
    judge CONSTANT text := 'SELECT count(*) FROM judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, $1) r
                            WHERE r.outcome NOT IN (''ok'', ''no_data'') OR r.findings_new + r.findings_updated > 0 OR r.detail LIKE ''%withdrew%''';
    changed bigint;
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    DELETE FROM raxx_detect.baseline_days;
    DELETE FROM raxx_detect.baseline_starts;
    UPDATE clock SET late = late_rows;
    WHILE at < '2024-03-15 12:00' LOOP
        step := step + 1;
        -- Now and then small ones, and at the end, where the waves are, many.
        at := least(at + CASE WHEN step % 5 = 0 OR at > '2024-03-12 12:00' AND step % 8 > 0 THEN 60 + pg_temp.pseudo_random(step, 9, 1500)
                              ELSE 3600 + pg_temp.pseudo_random(step, 9, 90000) END * interval '1 second', '2024-03-15 12:00');
        UPDATE clock SET moment = at;
        EXECUTE judge INTO changed USING at;
        EXECUTE judge INTO changed USING at;
        restless := restless + changed;
    END LOOP;
    RETURN restless;
END $$;

CREATE FUNCTION pg_temp.compare(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    rule text;
    columns text;
    parts text[] := ARRAY[
        'entity, episode, condition, observed, threshold, unit, fired_by, verdict, sample_size, occurrences' || CASE how WHEN 'on time' THEN ', severity' ELSE '' END,
        'entity, episode, p_value, baseline'];
BEGIN
    FOR rule IN SELECT rule_id FROM judged ORDER BY rule_id LOOP
        FOREACH columns IN ARRAY parts LOOP
            RETURN NEXT bag_eq(format('SELECT %s FROM found WHERE rule_id = %L', columns, rule),
                format('SELECT %s FROM at_once WHERE rule_id = %L', columns, rule), format('%s, rows %s: %s', rule, how, columns));
        END LOOP;
    END LOOP;
END $$;

SELECT is(pg_temp.judge_in_steps(false), 0::bigint, 'a run repeated changes nothing (rows on time)');
SELECT pg_temp.compare('on time');
SELECT is(pg_temp.judge_in_steps(true), 0::bigint, 'a run repeated changes nothing (rows late)');
SELECT pg_temp.compare('late');

SELECT * FROM finish();
ROLLBACK;
