-- Promise 1: findings are a function of the rows, never of the schedule. The same four hours of generated rows are judged
-- at once and in steps of random length, each step twice, with rows that come on time, and with rows that come late, but
-- within the lateness of their source. Every column of the findings but ids and times of writing has to be the same.
BEGIN;
SELECT plan(39);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE FUNCTION pg_temp.some_time(n bigint, seed bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '2024-03-05 12:00+00' + pg_temp.pseudo_random(n, seed, 4 * 3600) * interval '1 second' $$;

-- Bursts short and long, of several entities at a time; a delay of up to five minutes for each row.
CREATE TABLE denials (id bigint PRIMARY KEY, event_time timestamptz, operator text, permission text, delay interval);
INSERT INTO denials
SELECT n, pg_temp.some_time(n, 1), 'ops ' || pg_temp.pseudo_random(n, 2, 3),
       'p' || pg_temp.pseudo_random(n, 3, 9) || CASE pg_temp.pseudo_random(n, 4, 4) WHEN 0 THEN ':admin' ELSE ':read' END,
       pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 500) n;
CREATE TABLE signups (id bigint PRIMARY KEY, event_time timestamptz, email text, origin text, delay interval);
INSERT INTO signups
SELECT n, pg_temp.some_time(n, 1), CASE pg_temp.pseudo_random(n, 6, 3) WHEN 0 THEN 'user' || n || '@acme' || pg_temp.pseudo_random(n, 7, 2) || '.com'
           WHEN (extract(epoch FROM pg_temp.some_time(n, 1))::bigint / 1500) % 3 THEN 'x' || n || '@gmail.com' ELSE 'info@site' || n || '.example' END,
       'https://origin' || pg_temp.pseudo_random(n, 8, 2) || '.example', pg_temp.pseudo_random(n, 5, 300) * interval '1 second'
FROM generate_series(1, 2400) n;
-- And a quiet week before, in which few sign-ups have the shape of the waves that follow.
INSERT INTO signups
SELECT 10000 + n, timestamptz '2024-02-27 00:00+00' + n * interval '15 minutes', CASE WHEN n % 12 = 0 THEN 'y' || n || '@gmail.com' ELSE 'info@place' || n || '.example' END,
       'https://quiet.example', '0'
FROM generate_series(1, 660) n;
CREATE TABLE audit (id bigint PRIMARY KEY, event_time timestamptz, delay interval);
INSERT INTO audit
SELECT n, pg_temp.some_time(n, 10), pg_temp.pseudo_random(n, 5, 300) * interval '1 second' FROM generate_series(1, 9) n;

-- What has arrived: the views that the sources are bound to.
CREATE TABLE clock (moment timestamptz, late boolean);
INSERT INTO clock VALUES ('2024-03-06', false);
CREATE VIEW denials_so_far AS SELECT d.* FROM denials d, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
CREATE VIEW signups_so_far AS SELECT s.* FROM signups s, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
CREATE VIEW audit_so_far AS SELECT a.* FROM audit a, clock c WHERE event_time + CASE WHEN late THEN delay ELSE '0' END <= moment;
SELECT raxx_detect.bind_source('rbac_denials', 'denials_so_far');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_so_far');
SELECT raxx_detect.bind_source('customer_audit_events', 'audit_so_far');

CREATE VIEW judged AS
SELECT rule_id FROM raxx_detect.rules
WHERE rule_id IN ('auth_rbac_denied_burst', 'signup_waitlist_velocity_per_origin', 'signup_email_pattern_anomaly', 'data_audit_log_gap_window');
CREATE VIEW found AS
SELECT rule_id, source, entity, severity, condition, episode, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence, verdict
FROM raxx_detect.detection_findings;

-- ---- at once --------------------------------------------------------------------------------------------------------
SELECT is(array_agg(DISTINCT r.outcome), '{ok}', 'one run over everything')
FROM judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, '2024-03-05 17:00') r;
CREATE TABLE at_once AS SELECT * FROM found;
SELECT set_eq('SELECT rule_id FROM at_once', 'SELECT rule_id FROM judged', 'finds something of each rule');
SELECT cmp_ok(count(*), '>', 1::bigint, 'waves of a shape among it') FROM at_once WHERE entity = 'a9@gmail.com';

-- ---- in steps -------------------------------------------------------------------------------------------------------
-- How many of the runs, each repeated at once, changed something the second time.
CREATE FUNCTION pg_temp.judge_in_steps(late_rows boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-03-05 11:50';
    step bigint := 0;
    restless bigint := 0;
    judge CONSTANT text := 'SELECT count(*) FROM judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, $1) r
                            WHERE r.outcome NOT IN (''ok'', ''no_data'') OR r.findings_new + r.findings_updated > 0 OR r.detail LIKE ''%withdrew%''';
    changed bigint;
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    UPDATE clock SET late = late_rows;
    WHILE at < '2024-03-05 17:00' LOOP
        step := step + 1;
        at := least(at + (60 + pg_temp.pseudo_random(step, 9, 500)) * interval '1 second', '2024-03-05 17:00');
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
        -- How bad an unfinished gap looks while rows are still missing stays with its finding, since severity never falls.
        'entity, episode, condition' || CASE how WHEN 'on time' THEN ', severity' ELSE '' END,
        'entity, episode, observed, threshold, unit, p_value, fired_by, verdict',
        'entity, episode, sample_size, occurrences',
        'entity, episode, summary, evidence - ''rows'''];
BEGIN
    FOR rule IN SELECT rule_id FROM judged ORDER BY rule_id LOOP
        FOREACH columns IN ARRAY parts LOOP
            RETURN NEXT bag_eq(format('SELECT %s FROM found WHERE rule_id = %L', columns, rule),
                format('SELECT %s FROM at_once WHERE rule_id = %L', columns, rule), format('%s, rows %s: %s', rule, how, columns));
        END LOOP;
    END LOOP;
    RETURN NEXT is((SELECT count(*) FROM found f JOIN at_once o USING (rule_id, entity, episode) WHERE f.evidence -> 'rows' <> o.evidence -> 'rows'), 0::bigint,
        format('all rules, rows %s: the rows named as evidence differ in so many findings', how));
END $$;

SELECT is(pg_temp.judge_in_steps(false), 0::bigint, 'a run repeated changes nothing (rows on time)');
SELECT pg_temp.compare('on time');
SELECT is(pg_temp.judge_in_steps(true), 0::bigint, 'a run repeated changes nothing (rows late)');
SELECT pg_temp.compare('late');

SELECT * FROM finish();
ROLLBACK;
