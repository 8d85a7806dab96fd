-- The ceiling: no more rules are active than may be, unless somebody approves it; who comes first, who stays, who is never held back, and what
-- becomes of a rule when its approval ends.
BEGIN;
SELECT plan(46);
SET LOCAL client_min_messages = error;
-- What people did, for a test of this part alone.
CREATE TABLE IF NOT EXISTS raxx_detect.finding_actions (action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, finding_id bigint, action text, disposition text, note text,
    acted_by name DEFAULT session_user, acted_at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS raxx_detect.silences (rule_id text, entity text, until timestamptz, reason text, created_by name DEFAULT session_user, created_at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS raxx_detect.exceptions (rule_id text, entity text, expires_at timestamptz, reason text, created_by name DEFAULT session_user, created_at timestamptz DEFAULT now());
ALTER TABLE raxx_detect.finding_actions DISABLE TRIGGER USER;  -- the test says who did what when
ALTER TABLE raxx_detect.silences DISABLE TRIGGER USER;
ALTER TABLE raxx_detect.exceptions DISABLE TRIGGER USER;

CREATE FUNCTION pg_temp.active() RETURNS int[] LANGUAGE sql AS
    $$ SELECT array_agg(r.number ORDER BY r.number) FROM raxx_detect.rules r WHERE r.state IN ('live', 'placeholder') $$;
CREATE FUNCTION pg_temp.states() RETURNS int[] LANGUAGE sql AS
    $$ SELECT count(raxx_detect.refresh_state(r.rule_id)) FROM (SELECT x.rule_id FROM raxx_detect.rules x ORDER BY x.number) r; SELECT pg_temp.active() $$;
CREATE FUNCTION pg_temp.state(number int) RETURNS text LANGUAGE sql AS $$ SELECT r.state FROM raxx_detect.rules r WHERE r.number = state.number $$;
CREATE FUNCTION pg_temp.reason(number int) RETURNS text LANGUAGE sql AS $$ SELECT r.state_reason FROM raxx_detect.rules r WHERE r.number = reason.number $$;
CREATE FUNCTION pg_temp.fresh() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.approvals; UPDATE raxx_detect.rules SET state = 'dormant', state_reason = 'not looked at yet' WHERE state IN ('live', 'placeholder') $$;

-- ---- the shipped catalog with everything that there can be -------------------------------------------------------------------------
CREATE SCHEMA everything;
SELECT count(raxx_detect.create_source_table(k.source, 'everything.' || k.source)) FROM raxx_detect.source_kinds k WHERE k.source NOT IN ('statement_samples');
INSERT INTO everything.passkey_begin_events (event_time, ip, email) VALUES (now(), '192.0.2.1', 'a@example.com');
INSERT INTO everything.session_events (event_time, ip) VALUES (now(), '192.0.2.1');
INSERT INTO everything.error_events (event_time, route) VALUES (now() - interval '8 days', '/'), (now(), '/');
INSERT INTO everything.dyno_samples (event_time, app, dyno_hours) VALUES (now(), 'web', 1);
INSERT INTO everything.dyno_restarts (event_time, app, dyno) VALUES (now(), 'web', 'web.1');
INSERT INTO everything.backtest_results (event_time, return_value) SELECT now() - i * interval '1 minute', i + 1 FROM generate_series(1, 201) i;
INSERT INTO everything.outbound_mail_events (event_time, outcome) SELECT now() - i * interval '1 minute', 'sent' FROM generate_series(1, 60 * 24 * 9) i;
SELECT is(count(*), 15::bigint, 'what run_all returns: fifteen are active')
FROM raxx_detect.run_all() WHERE state IN ('live', 'placeholder');
SELECT is(pg_temp.active(), '{1,2,3,4,5,6,8,10,11,12,13,14,15,16,17}'::int[], 'fifteen rules are active (9 waits for pg_stat_statements, 7 for a chain)');
CREATE TABLE everything.statement_samples (sample_time timestamptz, queryid bigint, calls bigint, total_ms float8);  -- that somebody else takes
INSERT INTO everything.statement_samples VALUES (now(), 1, 1, 1);
SELECT raxx_detect.bind_source('statement_samples', 'everything.statement_samples');
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(pg_temp.state(9), 'dormant', 'the sixteenth is held back');
SELECT is(pg_temp.reason(9), 'has what it needs, but 15 other rules are active, and 15 may be; approve it (SELECT raxx_detect.approve(''ops_postgres_p99_drift'', reason, until)) or disable another',
    'and says how to go on');
SELECT is(count(*), 15::bigint, 'run_all again changes nothing') FROM raxx_detect.run_all() WHERE state IN ('live', 'placeholder');
-- The chain is never held back.
UPDATE raxx_detect.tuning_settings SET ceiling = 14;
SELECT is(cardinality(pg_temp.states()), 15, 'who is active stays when the ceiling is lowered');
SELECT count(raxx_detect.chain_attach('everything.customer_audit_events'));
SELECT is(pg_temp.states(), '{1,2,3,4,5,6,7,8,10,11,12,13,14,15,16,17}'::int[], 'a rule of integrity is active, whatever the ceiling');
SELECT is(detail, '16 rules are active, and 14 may be; approved are none', 'which the refresh says') FROM raxx_detect.refresh() WHERE action = 'over_ceiling' AND rule_id IS NULL;
UPDATE raxx_detect.tuning_settings SET ceiling = 15;

-- ---- who comes first, who stays ------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.source_bindings WHERE source <> ALL ('{rbac_denials,waitlist_signups,stripe_webhook_events,login_failures,customer_audit_events}'::text[]);
SELECT pg_temp.fresh();
UPDATE raxx_detect.methods SET integrity = false;  -- until further notice
UPDATE raxx_detect.rules SET state = 'disabled' WHERE number IN (7, 16);
UPDATE raxx_detect.tuning_settings SET ceiling = 3;
SELECT is(pg_temp.states(), '{3,4,5}'::int[], 'those first that have the lowest numbers');
SELECT is((pg_temp.state(6), pg_temp.state(12), pg_temp.state(17)), ('dormant'::text, 'dormant'::text, 'dormant'::text), 'the others are held back');
SELECT alike(pg_temp.reason(6), '%SELECT raxx_detect.approve(''data_audit_log_gap_window'', reason, until)%', 'and say how to go on');
UPDATE raxx_detect.methods SET integrity = true WHERE method = 'gap';
SELECT is(pg_temp.states(), '{3,4,5,6}'::int[], 'but for one of integrity: it is the method that says so');
SELECT raxx_detect.disable('signup_email_pattern_anomaly', 'a test');
SELECT is(pg_temp.states(), '{3,4,6}'::int[], 'which counts all the same: three are active, and a fourth may not be');
UPDATE raxx_detect.tuning_settings SET ceiling = 4;
SELECT is(pg_temp.states(), '{3,4,6,12}'::int[], 'a place that is free is taken');
SELECT is(raxx_detect.enable('signup_email_pattern_anomaly'), 'dormant', 'whoever comes back finds it taken');
SELECT is(pg_temp.states(), '{3,4,6,12}'::int[], 'whatever the numbers');
SELECT is(reason, 'what it needs is there: stripe_webhook_events (everything.stripe_webhook_events), P7; judged by its thresholds; baseline: 0 of 7 days', 'the change is on record')
FROM raxx_detect.rule_state_changes WHERE rule_id = 'webhook_stripe_signature_fail' ORDER BY change_id DESC LIMIT 1;

-- ---- approvals ---------------------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.approve('signup_email_pattern', 'x', now() + interval '1 day')$$, '42704', NULL, 'of a rule that is not there');
SELECT throws_ok(format('SELECT raxx_detect.approve(%L, %s)', 'signup_email_pattern_anomaly', arguments), '22023', NULL, arguments)
FROM unnest(ARRAY[$$'', now() + interval '1 day'$$, $$NULL, now() + interval '1 day'$$, $$E' \n', now() + interval '1 day'$$, $$'x', NULL$$, $$'x', now()$$, $$'x', 'infinity'$$, $$'x', now() - interval '1 day'$$]) arguments;
SELECT isnt(raxx_detect.approve('signup_email_pattern_anomaly', '  the launch  ', now() + interval '1 day'), NULL, 'approved');
SELECT is((approved_by, reason, until), (session_user::name, 'the launch'::text, now() + interval '1 day'), 'who, why, and until when is on record') FROM raxx_detect.approvals;
SELECT is(pg_temp.states(), '{3,4,5,6,12}'::int[], 'it is active beyond the ceiling');
SELECT is(pg_temp.states(), '{3,4,5,6,12}'::int[], 'and stays');
SELECT is_empty($$SELECT r FROM raxx_detect.refresh() r WHERE r.action = 'deactivate'$$, 'the refresh has nothing against it');
SELECT is((rule_id, detail LIKE 'it may be active beyond the ceiling until % only%'), ('signup_email_pattern_anomaly'::text, true), 'but says that the approval ends soon') FROM raxx_detect.refresh() WHERE action = 'approval_ends';
SELECT alike(detail, '5 rules are active, and 4 may be; approved are signup_email_pattern_anomaly by % (the launch)', 'and who approved what') FROM raxx_detect.refresh() WHERE action = 'over_ceiling' AND rule_id IS NULL;
SELECT is(count(*), 1::bigint, 'and so does the digest') FROM jsonb_array_elements_text(raxx_detect.digest_proposals(now() - interval '1 day', now())) p WHERE p LIKE 'signup_email_pattern_anomaly: that it may be active beyond the ceiling ends%';
SELECT is((due.state, due.reason LIKE 'has what it needs, but 4 other rules are active, and 4 may be; its approval ended %'), (expected, expected = 'dormant'), why)
FROM raxx_detect.rules r CROSS JOIN (VALUES ('1 day'::interval - '1 microsecond'::interval, 'live', 'until the end'), ('1 day', 'dormant', 'and not at it')) t(later, expected, why)
CROSS JOIN LATERAL raxx_detect.due_state(r, now() + later) due WHERE r.number = 5;
UPDATE raxx_detect.approvals SET approved_at = now() - interval '2 days', until = now();
SELECT is(detail LIKE 'live to dormant: has what it needs, but 4 other rules are active%', true, 'when it is over the refresh says so') FROM raxx_detect.refresh() WHERE action = 'deactivate' AND rule_id = 'signup_email_pattern_anomaly';
SELECT is(pg_temp.states(), '{3,4,6,12}'::int[], 'and the rule is dormant again');
UPDATE raxx_detect.tuning_settings SET ceiling = 5;
SELECT is(pg_temp.states(), '{3,4,5,6,12}'::int[], 'unless there is room for it');
UPDATE raxx_detect.approvals SET until = now() - interval '1 second';
SELECT is(pg_temp.states(), '{3,4,5,6,12}'::int[], 'which it needs no approval for');

-- ---- self-tests are no rules -----------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.tuning_settings SET ceiling = 1;
SELECT is_empty($$SELECT fixture FROM raxx_detect.self_test('signup_waitlist_velocity_per_origin') WHERE NOT ok$$, 'a self-test is not held back');
SELECT is(pg_temp.active(), '{3,4,5,6,12}'::int[], 'and takes nobody''s place');

-- ---- what the refresh would do, one after the other ---------------------------------------------------------------------------------
SELECT pg_temp.fresh();
UPDATE raxx_detect.tuning_settings SET ceiling = 3;
SELECT is(array_agg(concat_ws(' ', action, rule_id) ORDER BY ordinality), ARRAY['activate auth_rbac_denied_burst', 'activate signup_waitlist_velocity_per_origin', 'activate signup_email_pattern_anomaly',
    'activate data_audit_log_gap_window', 'over_ceiling webhook_stripe_signature_fail', 'over_ceiling auth_login_failure_burst', 'over_ceiling'], 'what it lists')
FROM raxx_detect.refresh() WITH ORDINALITY WHERE action IN ('activate', 'over_ceiling');
SELECT is(pg_temp.active(), NULL, 'it has not done');
SELECT count(*) FROM raxx_detect.refresh(true);
SELECT is(pg_temp.active(), '{3,4,5,6}'::int[], 'until it is applied');
SELECT is_empty($$SELECT r FROM raxx_detect.refresh() r WHERE r.action = 'activate'$$, 'and then there is nothing left to do');
SELECT throws_ok($$UPDATE raxx_detect.tuning_settings SET ceiling = 0$$, '23514', NULL, 'no rule at all is no ceiling');
SELECT * FROM finish();
ROLLBACK;
