-- From dormant to placeholder to live and back: every prerequisite, from missing to met and gone again, on a clock that
-- runs through the last 15 days. Each step is a run; what it led to is kept in the table walk.
BEGIN;
SELECT plan(158);
SET LOCAL timezone = 'UTC';

-- A method that has no evaluator here finds nothing; all the rest is real.
CREATE FUNCTION nothing_found(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate LANGUAGE sql AS 'SELECT NULL::raxx_detect.candidate WHERE false';
UPDATE raxx_detect.methods SET evaluator = 'public.nothing_found' WHERE evaluator IS NULL AND method <> 'chain';

CREATE TABLE walk (step int GENERATED ALWAYS AS IDENTITY, rule text, what text, before text, after text, outcome text, reason text);
CREATE FUNCTION pg_temp.day(days float8) RETURNS timestamptz LANGUAGE sql AS
$$ SELECT date_trunc('day', now()) - interval '15 days' + interval '10 hours' + days * interval '1 day' $$;
CREATE FUNCTION pg_temp.step(rule text, what text, days float8, state text, outcome text, reason text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before text := (SELECT r.state FROM raxx_detect.rules r WHERE r.rule_id = rule);
    run raxx_detect.rule_run := raxx_detect.run(rule, pg_temp.day(days));
    found raxx_detect.rules := raxx_detect.find_rule(rule);
BEGIN
    INSERT INTO walk (rule, what, before, after, outcome, reason) VALUES (rule, what, before, found.state, run.outcome, found.state_reason);
    RETURN NEXT is((run.state, found.state, run.outcome), (state, state, outcome), rule || ': ' || what);
    RETURN NEXT alike(found.state_reason, reason, '  and says so');
END $$;
CREATE FUNCTION pg_temp.changes(rule text) RETURNS text[] LANGUAGE sql AS
$$ SELECT array_agg(from_state || ' > ' || to_state ORDER BY change_id) FROM raxx_detect.rule_state_changes WHERE rule_id = rule AND to_state <> 'subsumed' OR rule_id = rule AND from_state = 'live' $$;
CREATE FUNCTION pg_temp.says(id text) RETURNS text LANGUAGE sql AS $$ SELECT holds || ': ' || detail FROM raxx_detect.prerequisites WHERE prerequisite = id $$;

-- ---- P1: for a rule only its own source counts -------------------------------------------------------------------------------
SELECT is(pg_temp.says('P1'), 'false: source passkey_begin_events is not bound: SELECT raxx_detect.bind_source(''passkey_begin_events'', ''your_table''); '
    'source session_events is not bound: SELECT raxx_detect.bind_source(''session_events'', ''your_table'')', 'P1 says what to bind');
SELECT pg_temp.step('auth_passkey_enumeration', 'not bound', 0, 'dormant', 'dormant', 'Waits until passkey-begin requests are kept as rows (P1): %');
SELECT raxx_detect.create_source_table('passkey_begin_events', 'passkeys');
SELECT pg_temp.step('auth_passkey_enumeration', 'bound, empty', 0, 'dormant', 'dormant', 'P1: source passkey_begin_events (public.passkeys) has no rows');
INSERT INTO passkeys (event_time, ip, email) VALUES (pg_temp.day(0), '192.0.2.1', 'a@b.example');
SELECT pg_temp.step('auth_passkey_enumeration', 'stale before it was ever judged', 1.1, 'dormant', 'dormant',
    'P1: source passkey_begin_events had no event in the last day (the last was at %)');
INSERT INTO passkeys (event_time, ip, email) SELECT t, '192.0.2.1', 'a@b.example' FROM generate_series(pg_temp.day(1.2), pg_temp.day(9), '6 hours') t;
SELECT pg_temp.step('auth_passkey_enumeration', 'fresh', 1.2, 'placeholder', 'ok', 'judged by its thresholds; baseline: 0 of 7 days');
SELECT is(reason, 'what it needs is there: passkey_begin_events (public.passkeys), P1; judged by its thresholds; baseline: 0 of 7 days', 'the cause is on record')
FROM raxx_detect.rule_state_changes WHERE rule_id = 'auth_passkey_enumeration' AND to_state = 'placeholder';
SELECT pg_temp.step('auth_session_creation_velocity', 'not bound', 1.2, 'dormant', 'dormant', 'Waits until created sessions are kept as rows (P1): %');
SELECT alike(pg_temp.says('P1'), 'false: source passkey_begin_events had no event in the last day %; source session_events is not bound: %', 'the view shows both sources, as of now');
SELECT pg_temp.step('auth_passkey_enumeration', 'three days later', 4.2, 'placeholder', 'ok', 'judged by its thresholds; baseline: 3 of 7 days');
SELECT pg_temp.step('auth_passkey_enumeration', 'a week of whole days', 8.2, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT pg_temp.step('auth_passkey_enumeration', 'gone silent', 12, 'live', 'no_data', 'judged by its baseline: 7 days');
SELECT pg_temp.step('auth_passkey_enumeration', 'looked at as of a time before', 3, 'live', 'skipped', 'judged by its baseline: 7 days');
SELECT raxx_detect.disable('auth_passkey_enumeration', 'planned drill');
SELECT pg_temp.step('auth_passkey_enumeration', 'disabled', 12, 'disabled', 'skipped', 'planned drill');
SELECT is(raxx_detect.enable('auth_passkey_enumeration'), 'dormant', 'enabled, a source that is stale has to be fresh again');
SELECT raxx_detect.create_source_table('session_events', 'sessions');
INSERT INTO sessions (event_time, ip) VALUES (pg_temp.day(0), '192.0.2.1'), (pg_temp.day(11.5), '192.0.2.1');
SELECT pg_temp.step('auth_session_creation_velocity', 'fresh, and long there', 12, 'live', 'ok', 'judged by its baseline: 7 days');
INSERT INTO passkeys (event_time, ip, email) VALUES (now(), '192.0.2.1', 'a@b.example');
INSERT INTO sessions (event_time, ip) VALUES (now(), '192.0.2.1');
SELECT is(pg_temp.says('P1'), 'true: source passkey_begin_events has what it takes; source session_events has what it takes', 'P1 holds with both');
SELECT raxx_detect.unbind_source('passkey_begin_events');
SELECT pg_temp.step('auth_passkey_enumeration', 'unbound', 13, 'dormant', 'dormant', 'Waits until %');
SELECT is(pg_temp.changes('auth_passkey_enumeration'), '{dormant > placeholder,placeholder > live,live > disabled,disabled > dormant}'::text[], 'each change is on record, once');

-- ---- P2 -----------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.step('ops_sentry_error_rate_spike', 'not bound', 0, 'dormant', 'dormant', 'Waits for 7 days of production errors (P2): %');
SELECT raxx_detect.create_source_table('error_events', 'errors');
INSERT INTO errors (event_time, route) SELECT t, '/' FROM generate_series(pg_temp.day(0), pg_temp.day(10), '6 hours') t;
SELECT pg_temp.step('ops_sentry_error_rate_spike', 'not quite seven days', 6.9, 'dormant', 'dormant', 'P2: source error_events spans less than 7 days (since %)');
SELECT pg_temp.step('ops_sentry_error_rate_spike', 'seven days', 7, 'placeholder', 'ok', 'judged by its thresholds; baseline: 6 of 7 days');
SELECT pg_temp.step('ops_sentry_error_rate_spike', 'seven whole days', 8, 'live', 'ok', 'judged by its baseline: 7 days');
DELETE FROM errors WHERE event_time < pg_temp.day(6);
SELECT pg_temp.step('ops_sentry_error_rate_spike', 'old rows deleted', 9, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT is(pg_temp.changes('ops_sentry_error_rate_spike'), '{dormant > placeholder,placeholder > live}'::text[], 'each change is on record');

-- ---- P4: the gap rule is judged in whichever table is bound -----------------------------------------------------------------
SELECT pg_temp.step('data_audit_log_gap_window', 'not bound', 0, 'dormant', 'dormant',
    'source customer_audit_events is not bound: %; source console_audit_events is not bound: %');
SELECT raxx_detect.create_source_table('console_audit_events', 'console');
INSERT INTO console (event_time) SELECT t FROM generate_series(pg_temp.day(0), pg_temp.day(14), '10 minutes') t;
SELECT pg_temp.step('data_audit_log_gap_window', 'one of two tables', 3, 'placeholder', 'ok',
    'judged by its thresholds; baseline: 2 of 7 days of console_audit_events; not bound: customer_audit_events');
SELECT is(holds, true, 'P4 holds now') FROM raxx_detect.prerequisites WHERE prerequisite = 'P4';
SELECT is(detail, 'source customer_audit_events is not bound: SELECT raxx_detect.bind_source(''customer_audit_events'', ''your_table''); '
    'source console_audit_events has 7 of the 7 whole days of cadence that its baseline needs', 'and says of which table')
FROM raxx_detect.prerequisites WHERE prerequisite = 'P4';
SELECT is(holds, false, 'but did not then') FROM raxx_detect.check_prerequisite('P4', pg_temp.day(3));
SELECT pg_temp.step('data_audit_log_gap_window', 'seven whole days', 8, 'live', 'ok',
    'judged by its baseline: 7 days of console_audit_events; not bound: customer_audit_events');
CREATE VIEW console_archive AS SELECT event_time FROM console WHERE event_time > pg_temp.day(6);
SELECT raxx_detect.bind_source('console_audit_events', 'console_archive');
SELECT pg_temp.step('data_audit_log_gap_window', 'bound to another relation', 9, 'placeholder', 'ok',
    'judged by its thresholds; baseline: 2 of 7 days of console_audit_events; %');
SELECT is(pg_temp.changes('data_audit_log_gap_window'), '{dormant > placeholder,placeholder > live,live > placeholder}'::text[], 'each change is on record');

-- ---- P3 and P5: no source of the user's --------------------------------------------------------------------------------------
SELECT pg_temp.step('data_audit_log_hash_chain_break', 'audit tables bound', 9, 'dormant', 'dormant', 'P3: source customer_audit_events is not bound: %; source console_audit_events (%console_archive) has no hash chain: SELECT raxx_detect.chain_attach(%');
ALTER FUNCTION raxx_detect.statements_available() RENAME TO statements_really_available;
CREATE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text) LANGUAGE sql AS $$ SELECT false, 'pg_stat_statements is not created' $$;
DELETE FROM raxx_detect.source_bindings WHERE source = 'statement_samples';
SELECT pg_temp.step('ops_postgres_p99_drift', 'no pg_stat_statements', 0, 'dormant', 'dormant', 'P5: pg_stat_statements is not created');
CREATE OR REPLACE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text) LANGUAGE sql AS $$ SELECT true, 'pg_stat_statements is there' $$;
SELECT pg_temp.step('ops_postgres_p99_drift', 'there, and no snapshot yet', 0, 'placeholder', 'no_data', 'judges nothing yet: no snapshot has been taken (%');
SELECT is(pg_temp.says('P5'), 'true: pg_stat_statements is there', 'P5 holds');
CREATE OR REPLACE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text) LANGUAGE sql AS $$ SELECT false, 'pg_stat_statements is not preloaded' $$;
SELECT pg_temp.step('ops_postgres_p99_drift', 'gone again', 1, 'dormant', 'dormant', 'P5: pg_stat_statements is not preloaded');
SELECT is(pg_temp.changes('ops_postgres_p99_drift'), '{dormant > placeholder,placeholder > dormant}'::text[], 'each change is on record');

-- ---- P6: samples for one rule, restarts for another ---------------------------------------------------------------------------
SELECT pg_temp.step('cost_dyno_hour_spike', 'not bound', 0, 'dormant', 'dormant', 'Waits for dyno metrics (P6): %');
SELECT raxx_detect.create_source_table('dyno_samples', 'samples');
INSERT INTO samples (event_time, app, dyno_hours) SELECT t, 'web', 2 FROM generate_series(pg_temp.day(0), pg_temp.day(9), '1 hour') t;
SELECT pg_temp.step('cost_dyno_hour_spike', 'sampled', 0.5, 'placeholder', 'ok', 'judges nothing yet; baseline: 0 of 7 days');
SELECT pg_temp.step('cost_dyno_hour_spike', 'seven whole days', 8, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT pg_temp.step('cost_dyno_hour_spike', 'the scraper stopped', 11, 'live', 'no_data', 'judged by its baseline: 7 days');
SELECT pg_temp.step('ops_dyno_restart_cluster', 'not bound', 11, 'dormant', 'dormant', 'Waits for dyno metrics (P6): %');
SELECT raxx_detect.create_source_table('dyno_restarts', 'restarts');
INSERT INTO restarts (event_time, app, dyno) VALUES (pg_temp.day(9), 'web', 'web.1');
SELECT pg_temp.step('ops_dyno_restart_cluster', 'stale', 11, 'dormant', 'dormant', 'P6: source dyno_restarts had no event in the last day (the last was at %)');
SELECT pg_temp.step('ops_dyno_restart_cluster', 'fresh', 9.5, 'live', 'ok', 'judged by its thresholds; it has no baseline');
SELECT pg_temp.step('ops_dyno_restart_cluster', 'silent, which is normal', 12, 'live', 'ok', 'judged by its thresholds; it has no baseline');
SELECT is(pg_temp.changes('ops_dyno_restart_cluster'), '{dormant > live}'::text[], 'each change is on record');

-- ---- P7 -----------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.step('webhook_stripe_signature_fail', 'not bound', 0, 'dormant', 'dormant', 'Waits for the Stripe webhook endpoint (P7): %');
SELECT raxx_detect.create_source_table('stripe_webhook_events', 'calls');
SELECT pg_temp.step('webhook_stripe_signature_fail', 'bound, no call yet', 0, 'placeholder', 'no_data', 'judged by its thresholds; baseline: 0 of 7 days');
INSERT INTO calls (event_time, signature_valid) SELECT t, true FROM generate_series(pg_temp.day(0), pg_temp.day(9), '6 hours') t;
SELECT pg_temp.step('webhook_stripe_signature_fail', 'called for a week', 8, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT is(pg_temp.says('P7'), 'true: source stripe_webhook_events has what it takes', 'P7 holds');
SELECT raxx_detect.unbind_source('stripe_webhook_events');
SELECT pg_temp.step('webhook_stripe_signature_fail', 'unbound', 9, 'dormant', 'dormant', 'Waits for %');

-- ---- P8: on whole days, by the rule's parameters ------------------------------------------------------------------------------
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'not bound', 0, 'dormant', 'dormant', 'Waits for customer mail %');
SELECT raxx_detect.create_source_table('outbound_mail_events', 'mails');
INSERT INTO mails (event_time, outcome) SELECT t, 'sent' FROM generate_series(pg_temp.day(0), pg_temp.day(9.5), '2 minutes') t;
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'volume for three days', 3, 'dormant', 'dormant',
    'P8: the quietest of the last 7 whole days had 0 mails; more than 500 are needed');
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'volume for seven whole days', 8, 'live', 'ok', 'judged by its baseline: 7 days');
DELETE FROM mails WHERE event_time >= pg_temp.day(8) AND id % 3 <> 0;
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'most of it gone since', 9, 'dormant', 'dormant',
    'P8: the quietest of the last 7 whole days had 440 mails; more than 500 are needed');
SELECT raxx_detect.set_params('webhook_postmark_bounce_spike', '{"activate_above": 439}');
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'enough by its parameter', 9, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT raxx_detect.set_params('webhook_postmark_bounce_spike', '{"activation_span": "9 days"}');
SELECT pg_temp.step('webhook_postmark_bounce_spike', 'not for as long as its parameter says', 9, 'dormant', 'dormant',
    'P8: the quietest of the last 9 whole days had 420 mails; more than 439 are needed');
SELECT is(pg_temp.changes('webhook_postmark_bounce_spike'), '{dormant > live,live > dormant,dormant > live,live > dormant}'::text[], 'each change is on record');

-- ---- volume of Benford's law ---------------------------------------------------------------------------------------------------
SELECT pg_temp.step('data_backtest_benford', 'not bound', 0, 'dormant', 'dormant', 'Waits for more than 200 backtest results %');
SELECT raxx_detect.create_source_table('backtest_results', 'results');
INSERT INTO results (event_time, return_value) SELECT pg_temp.day(n / 100.0), 1.1 ^ n FROM generate_series(1, 300) n;
INSERT INTO results (event_time, return_value) SELECT pg_temp.day(1), v FROM unnest('{0,0.000,NaN,Infinity,-Infinity}'::numeric[]) v;
SELECT pg_temp.step('data_backtest_benford', 'two hundred digits, and what has none', 2.005, 'dormant', 'dormant',
    'source backtest_results has 200 first digits in 7 d; more than 200 are needed');
SELECT pg_temp.step('data_backtest_benford', 'one more', 2.015, 'live', 'ok', 'judged by its thresholds; it has no baseline');
SELECT pg_temp.step('data_backtest_benford', 'fewer in 7 days', 9, 'dormant', 'dormant', 'source backtest_results has 100 first digits in 7 d; more than 200 are needed');
SELECT is(pg_temp.changes('data_backtest_benford'), '{dormant > live,live > dormant}'::text[], 'each change is on record');

-- ---- two sources, and roles ----------------------------------------------------------------------------------------------------
SELECT pg_temp.step('cost_heroku_addon_drift', 'not bound', 0, 'dormant', 'dormant', 'Waits for an authoritative record of changes: %');
SELECT raxx_detect.create_source_table('addon_changes', 'changes');
SELECT pg_temp.step('cost_heroku_addon_drift', 'one of two', 0, 'dormant', 'dormant',
    'source change_records is not bound: SELECT raxx_detect.bind_source(''change_records'', ''your_table'')');
SELECT raxx_detect.create_source_table('change_records', 'records');
SELECT pg_temp.step('cost_heroku_addon_drift', 'both', 0, 'live', 'no_data', 'judged by its thresholds; it has no baseline');

CREATE TABLE signups (created_at timestamptz, email text, origin text, land text);
INSERT INTO signups SELECT t, 'a@b.example', 'https://o.example', 'SE' FROM generate_series(pg_temp.day(0), pg_temp.day(12), '6 hours') t;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT pg_temp.step('signup_geographic_burst', 'no country', 3, 'dormant', 'dormant', 'no column plays the role country of source waitlist_signups: '
    'SELECT raxx_detect.bind_source(''waitlist_signups'', ''public.signups'', %"country": "your\_column"%)');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"country": "land"}');
SELECT pg_temp.step('signup_geographic_burst', 'a country', 3, 'placeholder', 'ok', 'judged by its thresholds; baseline: 2 of 7 days');
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'ships live', 3, 'live', 'ok', 'judged by its thresholds; baseline: 2 of 7 days');
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'and is still', 8, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT is(pg_temp.changes('signup_waitlist_velocity_per_origin'), '{dormant > live}'::text[], 'once');

SELECT pg_temp.step('auth_login_failure_burst', 'not bound', 0, 'subsumed', 'skipped', 'Subsumed by auth_passkey_enumeration %');
SELECT raxx_detect.create_source_table('login_failures', 'failures');
SELECT pg_temp.step('auth_login_failure_burst', 'bound', 0, 'live', 'no_data', 'judged by its thresholds; it has no baseline');
SELECT raxx_detect.unbind_source('login_failures');
SELECT pg_temp.step('auth_login_failure_burst', 'unbound', 0, 'subsumed', 'skipped', 'Subsumed by auth_passkey_enumeration %');

-- ---- migrations ----------------------------------------------------------------------------------------------------------------
ALTER TABLE signups DROP COLUMN origin;
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'its column dropped', 9, 'live', 'error',
    'relation public.signups no longer has the column "origin", which plays the role origin of source waitlist\_signups. Bring the column back, or bind the source again: %');
SELECT alike(last_detail, '42703: relation public.signups no longer has the column "origin", which plays the role origin of source waitlist\_signups.%', 'the run names column, relation and source')
FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT pg_temp.step('signup_geographic_burst', 'which another rule does not need', 9, 'live', 'ok', 'judged by its baseline: 7 days');
ALTER TABLE signups ADD COLUMN origin text DEFAULT 'https://o.example';
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'it is back', 9, 'live', 'ok', 'judged by its baseline: 7 days');
ALTER TABLE signups ALTER COLUMN origin DROP DEFAULT, ALTER COLUMN origin TYPE jsonb USING to_jsonb(origin);
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'its column of another type', 9, 'live', 'error',
    'column "origin" of relation public.signups can no longer play the role origin of source waitlist\_signups. %');
SELECT alike(last_detail, '42804: column "origin" of %Its type is jsonb; the role needs text.%', 'the run names both types')
FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
CREATE VIEW good_signups AS SELECT created_at, email, origin ->> 0 AS origin FROM signups;
SELECT raxx_detect.bind_source('waitlist_signups', 'good_signups');
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'bound anew', 9, 'live', 'ok', 'judged by its baseline: 7 days');
ALTER VIEW good_signups RENAME COLUMN origin TO referrer;
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'a view''s column renamed', 10, 'live', 'error', 'relation public.good\_signups no longer has the column "origin"%');
DROP VIEW good_signups;
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'the view dropped', 10, 'live', 'error', 'the relation bound to source waitlist\_signups no longer exists. %');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"origin": "email"}');
SELECT pg_temp.step('signup_waitlist_velocity_per_origin', 'bound anew', 10, 'live', 'ok', 'judged by its baseline: 7 days');
SELECT is(pg_temp.changes('signup_waitlist_velocity_per_origin'), '{dormant > live}'::text[], 'it was live all the time');
-- A rule that was never judged does not begin on what is broken.
SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
ALTER TABLE denials DROP COLUMN permission;
SELECT pg_temp.step('auth_rbac_denied_burst', 'broken from the first', 10, 'dormant', 'dormant', 'relation public.denials no longer has the column "permission"%');
-- Nor does a broken source take the other one of the gap rule with it.
SELECT raxx_detect.create_source_table('customer_audit_events', 'customers');
INSERT INTO customers (event_time) SELECT t FROM generate_series(pg_temp.day(0), pg_temp.day(14), '10 minutes') t;
DROP VIEW console_archive;
SELECT pg_temp.step('data_audit_log_gap_window', 'one of two tables gone', 10, 'placeholder', 'error', 'the relation bound to source console\_audit\_events no longer exists. %');
SELECT isnt(looked_to, NULL, 'the other is judged') FROM raxx_detect.coverage WHERE rule_id = 'data_audit_log_gap_window' AND source = 'customer_audit_events';

-- As of the future, prerequisites are those of now.
INSERT INTO restarts (event_time, app, dyno) VALUES (now(), 'web', 'web.1');
SELECT raxx_detect.bind_source('dyno_restarts', 'restarts', judge_from => now() - interval '1 day');
UPDATE raxx_detect.rules SET state = 'dormant' WHERE rule_id = 'ops_dyno_restart_cluster';
SELECT pg_temp.step('ops_dyno_restart_cluster', 'as of next week', 22, 'live', 'ok', 'judged by %');

SELECT * FROM finish();
ROLLBACK;
