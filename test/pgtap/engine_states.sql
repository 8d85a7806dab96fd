-- What the engine keeps about rules and runs: states that follow from what is there, records of runs, prerequisites as
-- their sources fill. (engine.sql has the outcomes and the isolation of errors.)
BEGIN;
SELECT plan(43);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.look(rule text, at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run(rule, ('2024-03-05 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.rule AS SELECT rule_id, state, state_reason FROM raxx_detect.rules;

-- ---- a state and its reason follow from what is bound, even if the rule then fails -----------------------------------------
CREATE TABLE broken_table (event_time timestamptz, operator text, permission text, divisor int);
INSERT INTO broken_table VALUES ('2024-03-05 12:00+00', 'ops', 'users:admin', 0);
CREATE VIEW broken AS SELECT event_time, operator || 1 / divisor AS operator, permission FROM broken_table;
SELECT raxx_detect.bind_source('rbac_denials', 'broken');
SELECT is((r.state, r.outcome), ('live'::text, 'error'::text), 'the first run of a rule fails')
FROM pg_temp.look('auth_rbac_denied_burst', '12:10') r;
SELECT is(state, 'live', 'it is live all the same: it has what it needs') FROM pg_temp.rule WHERE rule_id = 'auth_rbac_denied_burst';
SELECT unalike(state_reason, '%not bound%', 'and its reason is not that of yesterday')
FROM pg_temp.rule WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(state, 'live', 'as the record of the run says') FROM raxx_detect.rule_runs WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is((s.state, s.last_outcome, s.last_detail), ('live'::text, 'error'::text, '22012: division by zero.'::text), 'and the status')
FROM raxx_detect.status s WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is_empty('SELECT * FROM raxx_detect.coverage', 'nothing is covered');
UPDATE broken_table SET divisor = 1;
SELECT is((r.state, r.outcome), ('live'::text, 'ok'::text), 'mended') FROM pg_temp.look('auth_rbac_denied_burst', '12:11') r;
SELECT results_eq($$SELECT from_state, to_state FROM raxx_detect.rule_state_changes WHERE rule_id = 'auth_rbac_denied_burst'$$, $$VALUES ('dormant', 'live')$$, 'it went live once');

-- A parameter that names a role which no column plays puts that rule to sleep, in words that lead to it.
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"entity": "route"}');
SELECT is(r.outcome, 'dormant', 'an entity without a column') FROM pg_temp.look('auth_rbac_denied_burst', '12:12') r;
SELECT is(detail, 'no column plays the role route of source rbac_denials: SELECT raxx_detect.bind_source(''rbac_denials'', ''public.broken'', '
    '''{"route": "your_column", "operator": "operator", "event_time": "event_time", "permission": "permission"}'')', 'is named')
FROM raxx_detect.rule_runs WHERE rule_id = 'auth_rbac_denied_burst' ORDER BY run_id DESC LIMIT 1;
UPDATE raxx_detect.rules SET params = params || '{"entity": "operater"}' WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(r.detail, 'source rbac_denials has no role operater, which the parameters of auth_rbac_denied_burst name: '
    'see raxx_detect.source_contracts and raxx_detect.set_params', 'as is a role that there is not') FROM pg_temp.look('auth_rbac_denied_burst', '12:12') r;
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"entity": "operator"}');
SELECT is(r.state, 'live', 'a role that is bound wakes it') FROM pg_temp.look('auth_rbac_denied_burst', '12:12:30') r;

-- ---- disabled and enabled ----------------------------------------------------------------------------------------------------
SELECT raxx_detect.disable('auth_rbac_denied_burst', 'while we move');
SELECT raxx_detect.disable('auth_rbac_denied_burst', 'still moving');
SELECT is((r.state, r.outcome, r.detail), ('disabled'::text, 'skipped'::text, 'still moving'::text), 'the last reason counts')
FROM pg_temp.look('auth_rbac_denied_burst', '12:13') r;
SELECT raxx_detect.unbind_source('rbac_denials');
SELECT is(r.state, 'disabled', 'disabled stays disabled, whatever is bound') FROM pg_temp.look('auth_rbac_denied_burst', '12:14') r;
SELECT is(raxx_detect.enable('auth_rbac_denied_burst'), 'dormant', 'enabled, it is what is due');
SELECT is(raxx_detect.enable('auth_rbac_denied_burst'), 'dormant', 'and again');
SELECT results_eq($$SELECT from_state, to_state, reason FROM raxx_detect.rule_state_changes WHERE rule_id = 'auth_rbac_denied_burst' AND (from_state = 'disabled' OR to_state = 'disabled') ORDER BY change_id$$,
    $$VALUES ('live', 'disabled', 'while we move'), ('disabled', 'dormant', 'enabled again')$$, 'each change is on record, with its cause');
SELECT is(raxx_detect.enable('auth_login_failure_burst'), 'subsumed', 'what is subsumed stays so');
SELECT raxx_detect.disable('auth_login_failure_burst', 'not needed');
SELECT is(raxx_detect.enable('auth_login_failure_burst'), 'subsumed', 'also after it was disabled');

-- ---- one source of two is enough for the gap rule -------------------------------------------------------------------------------
CREATE TABLE audit (event_time timestamptz);
INSERT INTO audit VALUES ('2024-03-05 12:00+00');
SELECT raxx_detect.bind_source('console_audit_events', 'audit');
SELECT is((r.state, r.outcome), ('placeholder'::text, 'ok'::text), 'placeholder thresholds, on what is bound')
FROM pg_temp.look('data_audit_log_gap_window', '12:10') r;
SELECT matches(state_reason, 'not bound: customer_audit_events$', 'what is not is said')
FROM pg_temp.rule WHERE rule_id = 'data_audit_log_gap_window';

-- ---- records of runs: one when something was found, read or said --------------------------------------------------------------
DELETE FROM raxx_detect.rule_runs;
CREATE TABLE signups (event_time timestamptz, email text, origin text);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
CREATE FUNCTION pg_temp.recorded(at text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT count(*) FROM raxx_detect.rule_runs);
BEGIN
    PERFORM pg_temp.look('signup_waitlist_velocity_per_origin', at);
    RETURN (SELECT count(*) FROM raxx_detect.rule_runs) - before;
END $$;
SELECT is(pg_temp.recorded('12:00'), 1::bigint, 'the first run is on record');
SELECT is(pg_temp.recorded('12:01'), 0::bigint, 'one like it is not');
INSERT INTO signups VALUES ('2024-03-05 12:01+00', 'x', 'y');
SELECT is(pg_temp.recorded('12:02'), 1::bigint, 'one that ends otherwise is');
SELECT is(pg_temp.recorded('12:30'), 0::bigint, 'one that only reads is not');
SELECT is(pg_temp.recorded('12:50'), 0::bigint, 'one that reads nothing, after it, is not');
SELECT results_eq($$SELECT outcome, rows_read, findings_new, covered FROM raxx_detect.rule_runs ORDER BY run_id$$, $$VALUES
    ('no_data', 0::bigint, 0::bigint, NULL),
    ('ok', 1::bigint, 0::bigint, '(-infinity,"2024-03-05 12:02:00+00"]'::tstzrange)$$, 'what each read, and what it covered');
SELECT is((c.settled, c.looked_to), ('2024-03-05 12:45+00'::timestamptz, '2024-03-05 12:50+00'::timestamptz), 'the coverage moves on regardless')
FROM raxx_detect.coverage c WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(pg_temp.recorded('12:29'), 1::bigint, 'one that is skipped says why');
SELECT is(pg_temp.recorded('12:28'), 0::bigint, 'once');
SELECT is(runs, 0::bigint, 'single runs are no heartbeat') FROM raxx_detect.heartbeat;
SELECT is((SELECT count(*) FROM raxx_detect.run_all('2024-03-05 13:00+00')), 17::bigint, 'run_all returns a row for each rule');
SELECT is((runs, as_of, last_run_at), (1::bigint, '2024-03-05 13:00+00'::timestamptz, now()), 'and is one') FROM raxx_detect.heartbeat;
SELECT is(count(*), 17::bigint, 'status has a line for each') FROM raxx_detect.status WHERE last_run >= now();
SELECT is(covered_to, '2024-03-05 13:00+00'::timestamptz, 'up to where it has looked')
FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(r.outcome, 'no_data', 'a source that should have had an event since has no data')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-09 13:00+00') r;
SELECT is(detail, 'waitlist_signups has been silent since 2024-03-05 12:01:00+00; it should have an event every 3 days', 'and says since when')
FROM raxx_detect.rule_runs ORDER BY run_id DESC LIMIT 1;

-- A finding that nobody has closed is open, also when its condition is over.
INSERT INTO signups SELECT '2024-03-09 14:00+00', 'x', 'y' FROM generate_series(1, 20);
SELECT is(r.findings_new, 1::bigint, 'a finding') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-09 15:00+00') r;
SELECT is((open_findings, last_finding), (1::bigint, now()), 'is open')
FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign';
SELECT is(open_findings, 0::bigint, 'until it is closed') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
DELETE FROM raxx_detect.detection_findings;
SELECT is_empty($$SELECT * FROM raxx_detect.deliveries WHERE state IN ('pending', 'held')$$, 'of a finding that is gone there is nothing to tell');

-- ---- judge_from ahead of as_of: nothing to judge yet ---------------------------------------------------------------------------
INSERT INTO signups VALUES ('2024-03-19 12:00+00', 'x', 'y');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', judge_from => '2024-04-01');
SELECT is(r.outcome, 'skipped', 'before judge_from nothing is judged')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-20') r;
SELECT is(r.findings_new, 0::bigint, 'nor later') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-04-02') r;

SELECT * FROM finish();
ROLLBACK;
