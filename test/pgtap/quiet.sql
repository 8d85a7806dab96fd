-- Quiet runs: run_all asks a rule only whether there is a row to judge, as long as nothing else can change what it found.
-- What runs find is what runs find that never are quiet.
BEGIN;
SELECT plan(25);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,waitlist_signups,customer_audit_events,login_failures,dyno_samples,dyno_restarts,deploy_events,addon_changes,change_records,error_events,stripe_webhook_events}'::text[]) s;
-- Nine days of little traffic, and something for each rule to find in the last two.
CREATE FUNCTION pg_temp.pseudo_random(n bigint, below int) RETURNS int LANGUAGE sql AS $$ SELECT abs(hashint8(n) % below) $$;
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT timestamptz '2024-02-28' + n * interval '97 minutes', 'op' || n % 5, 'reports:read' FROM generate_series(1, 160) n
UNION ALL SELECT timestamptz '2024-03-08 13:00' + n * interval '90 seconds', 'anna', 'p' || n || ':admin' FROM generate_series(1, 8) n;
INSERT INTO waitlist_signups (event_time, email, origin, country)
SELECT timestamptz '2024-02-28' + n * interval '31 minutes', 'u' || n || '@c' || n || '.example', 'https://o' || n % 40, 'C' || n % 3 FROM generate_series(1, 490) n
UNION ALL SELECT timestamptz '2024-03-08 09:59' + n * interval '5 seconds', 'g' || n || '@d' || n || '.example', 'https://pumped', 'XX' FROM generate_series(1, 50) n;
INSERT INTO customer_audit_events (event_time)
SELECT t FROM generate_series(timestamptz '2024-02-28', '2024-03-10', '10 minutes') t
WHERE t NOT BETWEEN '2024-03-08 14:00' AND '2024-03-08 15:30' AND t NOT BETWEEN '2024-03-09 01:00' AND '2024-03-09 09:00';
INSERT INTO login_failures (event_time, ip, account) SELECT timestamptz '2024-03-08 11:00' + n * interval '20 seconds', '10.0.0.1', 'bob' FROM generate_series(1, 20) n;
INSERT INTO dyno_samples (event_time, app, dyno_hours)
SELECT timestamptz '2024-02-28' + n * interval '20 minutes', 'web', 2 + pg_temp.pseudo_random(n, 3) / 10.0
    + CASE WHEN n BETWEEN 684 AND 694 THEN 9 ELSE 0 END FROM generate_series(1, 780) n;
INSERT INTO dyno_restarts (event_time, app, dyno) SELECT timestamptz '2024-03-08 16:00' + n * interval '1 minute', 'web', 'web.' || n FROM generate_series(1, 5) n;
INSERT INTO deploy_events (event_time, app) VALUES ('2024-03-02', 'web');
INSERT INTO addon_changes (event_time, app, item, actor) VALUES ('2024-03-08 10:00', 'web', 'redis', 'carl'), ('2024-03-08 20:00', 'web', 'kafka', 'carl');
INSERT INTO change_records (event_time, app, item) VALUES ('2024-03-02', 'web', 'nothing');
INSERT INTO error_events (event_time, route) SELECT timestamptz '2024-02-28' + n * interval '21 minutes', '/r' || n % 4 FROM generate_series(1, 740) n
UNION ALL SELECT timestamptz '2024-03-08 18:00' + n * interval '1 second', '/r1' FROM generate_series(1, 60) n;
INSERT INTO stripe_webhook_events (event_time, signature_valid) SELECT timestamptz '2024-02-28' + n * interval '7 minutes', n % 200 <> 0 FROM generate_series(1, 2200) n
UNION ALL SELECT timestamptz '2024-03-08 19:00' + n * interval '11 seconds', false FROM generate_series(1, 9) n;

-- What has arrived: rows come up to four minutes late.
CREATE TABLE clock AS SELECT timestamptz '2024-03-07' AS moment;
DO $$
DECLARE
    b raxx_detect.source_bindings;
BEGIN
    FOR b IN SELECT * FROM raxx_detect.source_bindings LOOP
        EXECUTE format('CREATE VIEW %I AS SELECT t.* FROM %s t, clock WHERE t.event_time + pg_temp.pseudo_random(t.id, 240) * interval ''1 second'' <= moment', b.source || '_so_far', b.relation);
        PERFORM raxx_detect.bind_source(b.source, format('%I', b.source || '_so_far')::regclass);
    END LOOP;
END $$;
CREATE VIEW found AS
SELECT rule_id, source, entity, severity, condition, episode, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence, verdict
FROM raxx_detect.detection_findings;

CREATE FUNCTION pg_temp.judge_in_steps(never_quiet boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-03-08 08:00';
    step int := 0;
    quiet bigint := 0;
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    DELETE FROM raxx_detect.baseline_days;
    WHILE at < '2024-03-09 11:00' LOOP
        step := step + 1;
        at := at + (60 + pg_temp.pseudo_random(step, 1500)) * interval '1 second';
        UPDATE clock SET moment = at;
        IF never_quiet THEN  -- whoever runs a single rule wants it to be judged
            PERFORM FROM raxx_detect.rules r, LATERAL raxx_detect.run(r.rule_id, at);
            CONTINUE;
        END IF;
        PERFORM FROM raxx_detect.run_all(at);
        quiet := quiet + (SELECT count(*) FROM raxx_detect.heartbeat h, raxx_detect.rules r WHERE r.rule_id = ANY (h.quiet_rules) AND r.state IN ('live', 'placeholder'));
    END LOOP;
    RETURN quiet;
END $$;
CREATE TABLE how AS SELECT pg_temp.judge_in_steps(true) AS quiet;
CREATE TABLE never_quiet AS SELECT * FROM found;
SELECT is(quiet, 0::bigint, 'runs that never are quiet') FROM how;
SELECT bag_eq('SELECT DISTINCT rule_id FROM never_quiet', 'SELECT rule_id FROM raxx_detect.rules WHERE number IN (3, 4, 6, 8, 10, 12, 14, 15, 16, 17)', 'find something of ten rules');
UPDATE how SET quiet = pg_temp.judge_in_steps(false);
SELECT cmp_ok(quiet, '>', 300::bigint, 'runs that may be quiet mostly are') FROM how;
SELECT bag_eq('SELECT rule_id, source, entity, severity, condition, episode, observed, unit FROM found', 'SELECT rule_id, source, entity, severity, condition, episode, observed, unit FROM never_quiet', 'and find the same');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM never_quiet', 'to the letter');
SELECT bag_eq('SELECT rule_id, source, episode, count(*) FROM found GROUP BY 1, 2, 3', 'SELECT rule_id, source, episode, count(*) FROM never_quiet GROUP BY 1, 2, 3', 'as many');

-- ---- what ends it ---------------------------------------------------------------------------------------------------
-- Some time later nothing is new any more.
UPDATE clock SET moment = '2024-03-09 12:30';
CREATE FUNCTION pg_temp.runs_in_full(at timestamptz) RETURNS int[] LANGUAGE sql AS $$
    SELECT count(*) FROM raxx_detect.run_all(at);
    SELECT coalesce(array_agg(r.number ORDER BY r.number), '{}') FROM raxx_detect.rules r CROSS JOIN raxx_detect.heartbeat h
    WHERE r.rule_id <> ALL (h.quiet_rules) AND r.state IN ('live', 'placeholder')
$$;
SELECT pg_temp.runs_in_full('2024-03-09 12:20');
SELECT pg_temp.runs_in_full('2024-03-09 12:28');
DELETE FROM raxx_detect.detection_findings WHERE condition <> 'cleared';  -- somebody has been told
SELECT pg_temp.runs_in_full('2024-03-09 12:29');
SELECT ok(NOT pg_temp.runs_in_full('2024-03-09 12:29:01') && '{3,4,8,10,17}', 'no rows, nothing to look at');
INSERT INTO rbac_denials (event_time, operator, permission) VALUES ( '2024-03-09 12:25', 'op1', 'reports:read');
UPDATE clock SET moment = '2024-03-09 13:00';
DELETE FROM customer_audit_events WHERE event_time > '2024-03-09 12:29';
DELETE FROM stripe_webhook_events WHERE event_time > '2024-03-09 12:29';
DELETE FROM error_events WHERE event_time > '2024-03-09 12:29';
DELETE FROM waitlist_signups WHERE event_time > '2024-03-09 12:29';
SELECT ok(pg_temp.runs_in_full('2024-03-09 12:29:02') @> '{3}', 'a row that comes late');
SELECT ok(pg_temp.runs_in_full('2024-03-09 12:30') @> '{3}', 'as long as it is not settled');
SELECT is(count(*), 0::bigint, 'nothing fires') FROM raxx_detect.detection_findings WHERE condition = 'firing';
SELECT pg_temp.runs_in_full('2024-03-09 12:40');
SELECT is(pg_temp.runs_in_full('2024-03-09 12:40:01'), '{}', 'and nothing when all is settled');
SELECT is(max(looked_to), '2024-03-09 12:30', 'coverage stays where it was') FROM raxx_detect.coverage WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(looked_to, '2024-03-09 12:40:01', 'but what was judged goes on') FROM raxx_detect.judged WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(covered_to, '2024-03-09 12:40:01', 'and status says so') FROM raxx_detect.status WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is((r.outcome, r.covered)::text, '(ok,"(""2024-03-09 12:25:00+00"",""2024-03-09 12:41:00+00""]")', 'as does the run') FROM raxx_detect.run_all('2024-03-09 12:41') r WHERE r.rule_id = 'auth_rbac_denied_burst';
SELECT ok(pg_temp.runs_in_full('2024-03-09 13:00:30') @> '{10}', 'the end of an hour');
SELECT pg_temp.runs_in_full('2024-03-09 13:05:31');
SELECT is(pg_temp.runs_in_full('2024-03-09 13:05:32'), '{}', 'once');
SELECT ok(pg_temp.runs_in_full('2024-03-09 19:00') @> '{6}', 'a silence that grows too long');
SELECT is(count(*), 1::bigint, 'is found') FROM raxx_detect.detection_findings WHERE condition = 'firing' AND rule_id = 'data_audit_log_gap_window';
SELECT ok(pg_temp.runs_in_full('2024-03-10 00:10') @> '{4,8,12}', 'a baseline that takes over');
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated_threshold": 2}');
SELECT ok(pg_temp.runs_in_full('2024-03-10 00:10:01') @> '{3,4,8}', 'a parameter that changes: all rules, once');
SELECT ok(NOT pg_temp.runs_in_full('2024-03-10 00:10:02') @> '{3}', 'and no more');
SELECT ok(NOT pg_temp.runs_in_full('2024-03-10 00:10:03') @> '{4}', 'for none of them');
DROP VIEW rbac_denials_so_far;
SELECT is(outcome, 'error', 'a relation that is gone') FROM raxx_detect.run_all('2024-03-10 00:10:05') WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(outcome, 'ok', 'is nothing to other rules') FROM raxx_detect.run_all('2024-03-10 00:10:06') WHERE rule_id = 'signup_waitlist_velocity_per_origin';

SELECT * FROM finish();
ROLLBACK;
