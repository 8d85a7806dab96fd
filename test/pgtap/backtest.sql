-- backtest: finds what a live run finds that was set to the same parameters, touches nothing, needs no more rights than it says,
-- and can be refused and cancelled. (That it finds what runs find, whatever the rows, is tested by make property.)
BEGIN;
SELECT plan(42);
SET LOCAL timezone = 'UTC';

CREATE TEMP TABLE shipped_rules AS SELECT rule_id, params, false_alarms_per_month FROM raxx_detect.rules;
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE TABLE sessions (id bigint PRIMARY KEY, event_time timestamptz, ip inet);
INSERT INTO sessions
SELECT n, timestamptz '2024-03-01' + pg_temp.pseudo_random(n, 1, 20 * 86400) * interval '1 second', ('203.0.113.' || pg_temp.pseudo_random(n, 2, 4))::inet
FROM generate_series(1, 6000) n;
-- Incidents, two of them within what the last ones are judged by.
INSERT INTO sessions SELECT 10000 + n, timestamptz '2024-03-10 12:00' + n * interval '2 seconds', '203.0.113.1' FROM generate_series(1, 400) n;
INSERT INTO sessions SELECT 20000 + n, timestamptz '2024-03-13 23:59' + n * interval '1 second', '198.51.100.7' FROM generate_series(1, 100) n;
INSERT INTO sessions SELECT 30000 + n, timestamptz '2024-03-18 08:00' + n * interval '3 seconds', '203.0.113.1' FROM generate_series(1, 60) n;
INSERT INTO sessions SELECT 40000 + n, timestamptz '2024-03-19 08:00' + n * interval '6 seconds', '203.0.113.2' FROM generate_series(1, 60) n;
CREATE INDEX ON sessions (event_time);
CREATE TABLE failures AS SELECT id, event_time, 'a' || host(ip) AS account, ip FROM sessions;
CREATE TABLE audit AS SELECT id, event_time FROM sessions WHERE event_time NOT BETWEEN '2024-03-17 10:00' AND '2024-03-17 18:00';
SELECT raxx_detect.bind_source('session_events', 'sessions');
SELECT raxx_detect.bind_source('login_failures', 'failures');
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');
UPDATE raxx_detect.rules SET prerequisites = '{}', false_alarms_per_month = 20;

CREATE FUNCTION pg_temp.columns() RETURNS text LANGUAGE sql AS $$
    SELECT 'rule_id, source, severity, entity, episode, observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, verdict, condition, occurrences, escalation_owner' $$;

-- ---- beside live runs -------------------------------------------------------------------------------------------------
CREATE TEMP TABLE tried (rule text, params jsonb);
INSERT INTO tried VALUES
    ('auth_session_creation_velocity', '{}'), ('auth_session_creation_velocity', '{"window": "5 minutes", "baseline_floor": 8, "season": "none"}'),
    ('auth_login_failure_burst', '{}'), ('auth_login_failure_burst', '{"threshold": 4, "window": "3 minutes"}'),
    ('data_audit_log_gap_window', '{}'), ('data_audit_log_gap_window', '{"baseline_gap": "20 minutes", "off_hours_gap": "1 hour"}');
CREATE TEMP TABLE replayed AS
SELECT t.params, b.* FROM tried t CROSS JOIN LATERAL raxx_detect.backtest(t.rule, '2024-03-13 23:59:30', '2024-03-19 08:03', t.params) b;
CREATE TEMP TABLE live AS SELECT t.params, f.* FROM tried t JOIN raxx_detect.detection_findings f ON false;
-- Each with its parameters set, from nothing.
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM tried LOOP
        DELETE FROM raxx_detect.detection_findings;
        DELETE FROM raxx_detect.coverage;
        DELETE FROM raxx_detect.baseline_days;
        DELETE FROM raxx_detect.baseline_starts;
        PERFORM raxx_detect.set_params(t.rule, t.params);
        PERFORM raxx_detect.run(t.rule, '2024-03-19 08:03');
        INSERT INTO live SELECT t.params, f.* FROM raxx_detect.detection_findings f
        WHERE f.episode && tstzrange('2024-03-13 23:59:30', '2024-03-19 08:03', '(]');
    END LOOP;
END $$;
SELECT set_eq(format('SELECT params, %s FROM replayed WHERE rule_id = %L AND params = %L', pg_temp.columns(), rule, params),
    format('SELECT params, %s FROM live WHERE rule_id = %L AND params = %L', pg_temp.columns(), rule, params), format('%s with %s finds what a run does', rule, params)) FROM tried;
SELECT cmp_ok(count(*), '>', 0::bigint, format('%s with %s finds something', rule, t.params)) FROM tried t LEFT JOIN live l ON l.rule_id = t.rule AND l.params = t.params GROUP BY t.rule, t.params;
SELECT set_has('SELECT fired_by FROM replayed WHERE rule_id = ''auth_session_creation_velocity''', $$VALUES ('baseline')$$, 'some of it by baselines');
SELECT cmp_ok(max((evidence -> 'baseline' ->> 'left_out')::int), '>', 0, 'which leave out the rows of findings from before the stretch') FROM replayed;
SELECT cmp_ok(count(*), '>', 0::bigint, 'what began before the stretch, or goes on after it, is there whole') FROM replayed
WHERE lower(episode) < '2024-03-13 23:59:30' AND condition = 'cleared' OR upper_inf(episode);
SELECT bag_eq($$SELECT entity, episode FROM raxx_detect.backtest('auth_session_creation_velocity', '2024-03-18', '2024-03-19 08:03', '{}', '8 days')$$,
    $$SELECT entity, episode FROM replayed WHERE rule_id = 'auth_session_creation_velocity' AND params <> '{}' AND episode && tstzrange('2024-03-18', NULL, '()')$$, 'a lead-in of eight days is enough here');

-- ---- nothing is touched -----------------------------------------------------------------------------------------------
SELECT raxx_detect.run('auth_session_creation_velocity', '2024-03-19 08:03');
CREATE TEMP VIEW state AS
SELECT (SELECT count(*) FROM raxx_detect.detection_findings) AS findings, (SELECT count(*) FROM raxx_detect.coverage) AS coverage,
       (SELECT count(*) FROM raxx_detect.rule_runs) AS runs, (SELECT md5(string_agg(r::text || r.xmin::text || r.xmax::text, '' ORDER BY rule_id)) FROM raxx_detect.rules r) AS rules,
       (SELECT count(*) FROM raxx_detect.deliveries) AS deliveries, (SELECT count(*) FROM raxx_detect.baseline_days) AS days,
       (SELECT count(*) FROM raxx_detect.baselines) AS baselines, (SELECT count(*) FROM raxx_detect.rule_state_changes) AS changes;
CREATE TEMP TABLE before AS SELECT * FROM state;
SELECT cmp_ok(count(*), '>', 0::bigint, 'a backtest of a rule with findings of its own') FROM raxx_detect.backtest('auth_session_creation_velocity', '2024-03-01', '2024-03-19 08:03');
SELECT results_eq('SELECT * FROM state', 'SELECT * FROM before', 'leaves everything as it was, and locks no rule');
SELECT ok(bool_and(b.finding_id IS NOT NULL AND f.entity = b.entity AND f.episode && b.episode), 'and names those findings')
FROM raxx_detect.backtest('auth_session_creation_velocity', '2024-03-01', '2024-03-19 08:03') b LEFT JOIN raxx_detect.detection_findings f USING (finding_id);
SELECT raxx_detect.disable('auth_session_creation_velocity', 'for the test');
SELECT cmp_ok(count(*), '>', 0::bigint, 'a rule that is not active is replayed all the same') FROM raxx_detect.backtest('auth_session_creation_velocity', '2024-03-01', '2024-03-19 08:03');
SELECT is((SELECT count(*) FROM raxx_detect.backtest_progress), 0::bigint, 'nothing is in progress any more');

-- ---- what would have been suppressed ------------------------------------------------------------------------------------
SET LOCAL session_replication_role = replica;  -- they are of the past, when their guards would have let them in
INSERT INTO raxx_detect.silences (rule_id, entity, starts_at, until, reason) VALUES (NULL, NULL, '2024-03-18', '2024-03-18 12:00', 'a load test');
INSERT INTO raxx_detect.exceptions (rule_id, entity, reason, created_at, expires_at) VALUES ('auth_session_creation_velocity', '198.51.100.7', 'the monitor', '2024-03-12', '2024-03-20');
SET LOCAL session_replication_role = origin;
SELECT results_eq($$SELECT DISTINCT entity, regexp_replace(suppressed_by, '[0-9]+', 'N') FROM raxx_detect.backtest('auth_session_creation_velocity', '2024-03-13', '2024-03-19 08:03')
    WHERE suppressed_by IS NOT NULL ORDER BY entity$$, $$VALUES ('198.51.100.7', 'exception N: the monitor'), ('203.0.113.1', 'silence N: a load test')$$, 'exceptions and silences are told');

-- Of what is set aside baselines learn, in a run and in a backtest.
SELECT raxx_detect.add_exception('auth_session_creation_velocity', '203.0.113.1', 'a crawler of ours', now() + interval '1 day');
SELECT raxx_detect.enable('auth_session_creation_velocity');
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
DELETE FROM raxx_detect.baseline_days;
SELECT raxx_detect.run('auth_session_creation_velocity', '2024-03-19 08:03');
SELECT set_eq(format('SELECT %s, suppressed_by LIKE ''exception%%'' FROM raxx_detect.backtest(''auth_session_creation_velocity'', ''2024-03-01'', ''2024-03-19 08:03'')', pg_temp.columns()),
    format('SELECT %s, CASE WHEN exception_id IS NOT NULL THEN true END FROM raxx_detect.detection_findings', pg_temp.columns()), 'with an exception it finds what a run finds');
SELECT bag_eq($$SELECT DISTINCT entity FROM raxx_detect.detection_findings WHERE exception_id IS NOT NULL$$, $$VALUES ('203.0.113.1'), ('198.51.100.7')$$, 'and something was set aside');
CREATE TEMP TABLE before_errors AS SELECT * FROM state;

-- ---- rights -------------------------------------------------------------------------------------------------------------
CREATE ROLE raxx_test_reader;
GRANT USAGE ON SCHEMA raxx_detect, public TO raxx_test_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO raxx_test_reader;
GRANT SELECT ON sessions, failures TO raxx_test_reader;
SET LOCAL ROLE raxx_test_reader;
SELECT cmp_ok(count(*), '>', 0::bigint, 'who may only read may replay what needs no history') FROM raxx_detect.backtest('auth_login_failure_burst', '2024-03-13', '2024-03-19');
SELECT cmp_ok(count(*), '>', 0::bigint, 'and calibrate it') FROM raxx_detect.calibrate('auth_login_failure_burst', '2024-03-13', '2024-03-19');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_session_creation_velocity', '2024-03-13', '2024-03-19')$$, '42501', NULL, 'what has a baseline needs the rights of a run');
SELECT throws_ok($$SELECT raxx_detect.backtest('data_audit_log_gap_window', '2024-03-13', '2024-03-19')$$, '42501', NULL, 'nobody reads by it what he may not read');
RESET ROLE;
SELECT is(calibration, NULL, 'the reader''s verdict is not kept') FROM raxx_detect.rules WHERE rule_id = 'auth_login_failure_burst';

-- ---- refused, and cancelled -----------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.backtest('nosuch', '2024-03-13', '2024-03-19')$$, '42704', NULL, 'an unknown rule');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_login_failure_burst', '2024-03-19', '2024-03-13')$$, '22023', NULL, 'no stretch');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_login_failure_burst', '2024-03-19', now() + interval '1 day')$$, '22023', NULL, 'not the past');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_login_failure_burst', '2024-03-13', '2024-03-19', '{"nosuch": 1}')$$, '22023', NULL, 'an unknown parameter');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_login_failure_burst', '2024-03-13', '2024-03-19', '{"threshold": 0}')$$, '22023', NULL, 'a value that does not fit');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_login_failure_burst', '2024-03-01', '2024-03-19', '{"threshold": 1}', at_most => 5)$$, '54000', NULL, 'more findings than wanted, in one look');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_session_creation_velocity', '2024-03-01', '2024-03-19', at_most => 1)$$, '54000', NULL, 'more findings than wanted, with history');
SELECT throws_ok($$SELECT raxx_detect.backtest('data_audit_log_hash_chain_break', '2024-03-13', '2024-03-19')$$, '0A000', NULL, 'a chain is of no stretch');
SELECT throws_ok($$SELECT raxx_detect.backtest('auth_rbac_denied_burst', '2024-03-13', '2024-03-19')$$, '55000', NULL, 'what is not bound');
SELECT results_eq('SELECT findings, coverage, runs, deliveries, days, baselines FROM state', 'SELECT findings, coverage, runs, deliveries, days, baselines FROM before_errors', 'what failed has left nothing, either');

-- ---- every method: a fixture replayed is a fixture tested ------------------------------------------------------------------
CREATE FUNCTION pg_temp.replay_fixtures(OUT rule text, OUT fixture text, OUT expected bigint, OUT replayed bigint, OUT points bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    f raxx_detect.fixtures;
    ends timestamptz;
BEGIN
    FOR f IN SELECT x.* FROM raxx_detect.fixtures x JOIN raxx_detect.rules r USING (rule_id)
             WHERE r.method <> 'chain' AND (x.name LIKE 'positive%' OR x.name LIKE 'near_miss%') AND NOT x.fixture ? 'chain'
               -- Who is not active for want of rows is replayed all the same.
               AND (x.rule_id, x.name) NOT IN (('data_backtest_benford', 'near_miss_active'), ('webhook_postmark_bounce_spike', 'near_miss_volume')) ORDER BY x.rule_id, x.name LOOP
        rule := f.rule_id;
        fixture := f.name;
        expected := jsonb_array_length(f.fixture -> 'expect');
        ends := (f.fixture ->> 'start')::timestamptz + (f.fixture ->> 'as_of')::interval;
        BEGIN
            PERFORM raxx_detect.load_fixture(f.fixture);
            UPDATE raxx_detect.rules r SET (params, false_alarms_per_month) = (SELECT k.params || coalesce(f.fixture -> 'params', '{}'), k.false_alarms_per_month
                FROM pg_temp.shipped_rules k WHERE k.rule_id = r.rule_id) WHERE r.rule_id = f.rule_id;
            SELECT count(*) INTO replayed FROM raxx_detect.backtest(f.rule_id, '-infinity', ends);
            points := NULL;
            SELECT count(*) INTO points FROM raxx_detect.calibrate(f.rule_id, ends - interval '40 days', ends,
                (raxx_detect.calibrated_parameters(raxx_detect.find_rule(f.rule_id)))[1:1]) WHERE f.name = 'positive';
            RAISE EXCEPTION USING ERRCODE = 'RX001';
        EXCEPTION WHEN SQLSTATE 'RX001' THEN
            NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE TEMP TABLE fixtures_replayed AS SELECT * FROM pg_temp.replay_fixtures();
SELECT is_empty('SELECT * FROM fixtures_replayed WHERE replayed IS DISTINCT FROM expected', 'a backtest of a fixture finds what the fixture expects');
SELECT cmp_ok(count(DISTINCT rule), '>=', 16::bigint, 'of every rule') FROM fixtures_replayed WHERE expected > 0;
SELECT is_empty('SELECT * FROM fixtures_replayed WHERE fixture = ''positive'' AND points < 3', 'and calibrate has a grid for each');

SELECT * FROM finish();
ROLLBACK;
