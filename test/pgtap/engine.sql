-- The engine around the rules: outcomes, isolation, states, records, the constraint.
BEGIN;
SELECT plan(45);
SET LOCAL timezone = 'UTC';

SELECT is(count(*), 17::bigint, 'seventeen rules') FROM raxx_detect.run_all('2026-06-04 12:00+00');
SELECT is(array_agg(DISTINCT outcome ORDER BY outcome), '{dormant,skipped}'::text[], 'that have nothing to read')
FROM raxx_detect.run_all('2026-06-04 12:00+00');
SELECT is(count(*), 17::bigint, 'are on record once, not twice: the second run was like the first') FROM raxx_detect.rule_runs;
SELECT is(runs, 2::bigint, 'the heartbeat counts both') FROM raxx_detect.heartbeat;
SELECT is(count(*), 0::bigint, 'every rule says why') FROM raxx_detect.status WHERE coalesce(reason, '') = '';
SELECT is(count(*), 8::bigint, 'P1 to P8') FROM raxx_detect.prerequisites WHERE detail <> '';
SELECT is(count(*), 0::bigint, 'none of which holds on an empty database') FROM raxx_detect.prerequisites WHERE holds AND prerequisite <> 'P5';

-- Binding is all it takes.
SELECT raxx_detect.create_source_table('waitlist_signups', 'signups');
SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
SELECT is((r.state, r.outcome), ('live'::text, 'no_data'::text), 'a bound, empty source: live, no data')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:00+00') r;
SELECT results_eq($$SELECT from_state, to_state, reason FROM raxx_detect.rule_state_changes WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$,
    $$VALUES ('dormant', 'live', 'what it needs is there: waitlist_signups (public.signups); judged by its thresholds; baseline: 0 of 7 days')$$, 'the change is on record');

INSERT INTO signups (event_time, email, origin)
SELECT '2026-06-04 12:30+00', 'a' || n || '@corp.example', 'https://o.example' FROM generate_series(1, 25) n;
INSERT INTO denials (event_time, operator, permission) SELECT '2026-06-04 12:30+00', 'ops', 'users:admin' FROM generate_series(1, 3);

-- A source that fails on one row is its rules' error, not the others'.
CREATE TABLE raw (event_time timestamptz, email text, origin text, divisor int);
INSERT INTO raw SELECT event_time, email, origin, 1 FROM signups;
CREATE VIEW fragile AS SELECT event_time, email, origin, 1 / divisor AS one FROM raw WHERE 1 / divisor > 0;
SELECT raxx_detect.bind_source('waitlist_signups', 'fragile');
SELECT is(r.outcome, 'ok', 'a view is a source') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:31+00') r;
CREATE TEMP TABLE covered AS SELECT * FROM raxx_detect.coverage;
INSERT INTO raw VALUES ('2026-06-04 12:31+00', 'x@y.example', 'o', 0);
CREATE TEMP TABLE outcomes AS SELECT * FROM raxx_detect.run_all('2026-06-04 12:32+00');
SELECT is(outcome, 'error', 'a division by zero in the source') FROM outcomes WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT ok(detail LIKE '22012:%', 'named by its SQLSTATE') FROM outcomes WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(outcome, 'ok', 'does not stop another rule') FROM outcomes WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(c.looked_to, k.looked_to, 'nor advance the failing one''s coverage')
FROM raxx_detect.coverage c JOIN covered k USING (rule_id, source) WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(condition, 'firing', 'nor close its finding') FROM raxx_detect.detection_findings
WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(last_outcome, 'error', 'status shows it') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
DELETE FROM raw WHERE divisor = 0;
SELECT is((r.outcome, r.findings_updated), ('ok'::text, 1::bigint), 'mended, it goes on where it was')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:40+00') r;

-- Dropped, renamed, retyped.
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT is(r.outcome, 'ok', 'rebound: from the beginning') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:41+00') r;
SELECT is(count(*), 1::bigint, 'the same rows are the same finding') FROM raxx_detect.detection_findings
WHERE rule_id = 'signup_waitlist_velocity_per_origin';
ALTER TABLE signups RENAME COLUMN origin TO referrer;
SELECT is((r.outcome, r.detail LIKE '42703:%"origin"%'), ('error'::text, true), 'a renamed column is an error that names it')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:42+00') r;
ALTER TABLE signups RENAME COLUMN referrer TO origin;
ALTER TABLE signups ALTER event_time TYPE timestamp USING event_time;
SELECT is((r.outcome, r.detail LIKE '42804:%"event_time"%'), ('error'::text, true), 'so is one of another type')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:42+00') r;
DROP TABLE signups;
SELECT is((r.outcome, r.detail LIKE '42P01:%waitlist_signups%'), ('error'::text, true), 'so is a table that is gone')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:42+00') r;
SELECT ok(missing LIKE '%no longer exists%', 'which sources shows') FROM raxx_detect.sources WHERE source = 'waitlist_signups';
SELECT is(count(*), 17::bigint, 'and status lives on') FROM raxx_detect.status;
SELECT raxx_detect.unbind_source('waitlist_signups');
SELECT is((r.state, r.outcome), ('dormant'::text, 'dormant'::text), 'unbound, it is dormant again')
FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 12:42+00') r;

-- What was found stays found at another look.
SELECT is((r.outcome, r.findings_new, r.findings_updated), ('ok'::text, 0::bigint, 1::bigint), 'the denials'' burst clears')
FROM raxx_detect.run('auth_rbac_denied_burst', '2026-06-04 13:00+00') r;
SELECT is((r.outcome, r.findings_new, r.findings_updated), ('ok'::text, 0::bigint, 0::bigint), 'and nothing changes after')
FROM raxx_detect.run('auth_rbac_denied_burst', '2026-06-04 14:00+00') r;
SELECT is(r.outcome, 'skipped', 'the past is not judged twice') FROM raxx_detect.run('auth_rbac_denied_burst', '2026-06-04 13:30+00') r;

-- The future: judged as far as it is there, never settled beyond the present.
SELECT is(r.outcome, 'ok', 'as_of may lie ahead') FROM raxx_detect.run('auth_rbac_denied_burst', now() + interval '1 day') r;
SELECT ok(settled <= now(), 'but only the present settles') FROM raxx_detect.coverage WHERE rule_id = 'auth_rbac_denied_burst';

-- Disabled by somebody, for a reason.
SELECT raxx_detect.disable('auth_rbac_denied_burst', 'planned drill');
SELECT is((r.state, r.outcome, r.detail), ('disabled'::text, 'skipped'::text, 'planned drill'::text), 'a disabled rule is skipped')
FROM raxx_detect.run('auth_rbac_denied_burst') r;
SELECT is(raxx_detect.enable('auth_rbac_denied_burst'), 'live', 'enabled, it is live at once');

-- Parameters hold from the next run.
SELECT is(raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated_threshold": 50}') ->> 'elevated_threshold', '50', 'a parameter is set');
SELECT throws_ok($$SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"treshold": 5}')$$, '22023', NULL, 'a misspelt one is refused');
SELECT throws_ok($$SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"window": "-1 minute"}')$$, '22023', NULL, 'as is a negative window');

-- One finding for each rule, entity and overlapping episode.
SELECT throws_ok($$INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed,
        unit, fired_by, sample_size, summary, evidence, condition, occurrences, escalation_owner)
    SELECT rule_id, det_id, category, source, severity, entity, tstzrange(lower(episode) - interval '1 hour', NULL), observed, unit,
        fired_by, sample_size, summary, evidence, condition, occurrences, escalation_owner
    FROM raxx_detect.detection_findings WHERE rule_id = 'auth_rbac_denied_burst'$$, '23P01', NULL, 'the constraint holds it');

-- Rows that vanish leave the finding that they made.
SELECT raxx_detect.create_source_table('login_failures', 'failures');
INSERT INTO raxx_detect.rules (rule_id, det_id, title, category, method, severity, sources, params, per_event, false_alarms_per_month,
    escalation_owner, ships, telemetry, how, thresholds, routes, runbook, do_not)
VALUES ('own_rule', 'OWN-1', 'Failed sign-ins', 'auth', 'velocity', 'low', '{login_failures}',
    '{"entity": "ip", "window": "10 minutes", "threshold": 5}', false, 1, 'operator', 'live', '-', '-', '-', '-', '-', '-');
INSERT INTO failures (event_time, ip, account) SELECT '2026-06-04 12:00+00', '2001:db8::1', 'a' FROM generate_series(1, 5);
SELECT is((r.state, r.outcome, r.findings_new), ('live'::text, 'ok'::text, 1::bigint), 'a rule is an INSERT') FROM raxx_detect.run('own_rule', '2026-06-04 12:01+00') r;
SELECT is(entity, '2001:db8::1', 'an address is its own text') FROM raxx_detect.detection_findings WHERE rule_id = 'own_rule';
SELECT is(summary, '2001:db8::1: 5 failed sign-ins within 10 min (threshold 5)', 'one sentence') FROM raxx_detect.detection_findings WHERE rule_id = 'own_rule';
DELETE FROM failures;
SELECT is(r.outcome, 'no_data', 'the rows are gone') FROM raxx_detect.run('own_rule', '2026-06-04 12:02+00') r;
SELECT is(condition, 'no_data', 'which closes nothing') FROM raxx_detect.detection_findings WHERE rule_id = 'own_rule';
INSERT INTO failures (event_time, ip, account) VALUES ('2026-06-04 12:02+00', '2001:db8::2', 'a');
SELECT is(r.findings_updated, 1::bigint, 'others come') FROM raxx_detect.run('own_rule', '2026-06-04 12:03+00') r;
SELECT is((condition, summary LIKE '%have changed since'), ('cleared'::text, true), 'the finding stays, and says that its rows changed')
FROM raxx_detect.detection_findings WHERE rule_id = 'own_rule';

SELECT throws_ok($$SELECT raxx_detect.run('auth_rbac_denied_burts')$$, '42704', 'unknown rule ''auth_rbac_denied_burts''', 'an unknown rule');
SELECT throws_ok($$SELECT raxx_detect.run_all('infinity')$$, '22023', 'as_of must be a finite time', 'an infinite as_of');

SELECT * FROM finish();
ROLLBACK;
