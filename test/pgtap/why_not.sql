-- why_not: why there is no finding: there is one, the time was not judged, the rule could not see, or it came only so near.
BEGIN;
SELECT plan(63);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = warning;

CREATE FUNCTION pg_temp.flat(page text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(page, E'\\s+', ' ', 'g') $$;
CREATE FUNCTION pg_temp.why(rule text, entity text, at text) RETURNS text LANGUAGE sql AS
    $$ SELECT pg_temp.flat(raxx_detect.why_not(rule, entity, CASE WHEN at ~ '^[0-9]{2}:' THEN '2024-03-05 ' || at || '+00' ELSE at END::timestamptz)) $$;

-- ---- errors ---------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.why_not('auth_rbac_denied_brust', 'a', now())$$, '42704', 'unknown rule ''auth_rbac_denied_brust''', 'a rule that there is not');
SELECT throws_ok($$SELECT raxx_detect.why_not(NULL, 'a', now())$$, '42704', NULL, 'no rule');
SELECT throws_ok($$SELECT raxx_detect.why_not('auth_rbac_denied_burst', 'a', NULL)$$, '22023', 'at must be a finite time', 'no time');
SELECT throws_ok($$SELECT raxx_detect.why_not('auth_rbac_denied_burst', 'a', 'infinity')$$, '22023', 'at must be a finite time', 'no finite one');
CREATE FUNCTION pg_temp.error_of(statement text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SELECT ok(e.detail = 'It is -infinity.' AND e.hint LIKE 'Give the time%', 'with DETAIL and HINT') FROM pg_temp.error_of($$SELECT raxx_detect.why_not('auth_rbac_denied_burst', 'a', '-infinity')$$) e;
SELECT is(e.hint, 'The nearest are auth_rbac_denied_burst, auth_login_failure_burst, data_backtest_benford.', 'and what may have been meant') FROM pg_temp.error_of($$SELECT raxx_detect.why_not('auth_rbac_denied_brust', 'a', now())$$) e;

-- ---- what kept it from judging ---------------------------------------------------------------------------------------------
SELECT ok(pg_temp.why('auth_passkey_enumeration', '203.0.113.7', '12:00') ~ 'Nothing is bound to its source, so nothing is judged: the rule is dormant since .* UTC: Waits until passkey-begin requests are kept as rows', 'nothing is bound, dormant since, and why');
CREATE TABLE signups (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text, country text);
CREATE INDEX ON signups (event_time);
CREATE TABLE denials (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, operator text, permission text);
CREATE TABLE tries (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, ip inet, email text);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT raxx_detect.bind_source('rbac_denials', 'denials');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '12:00') LIKE '%That time has not been judged: no run has judged rbac_denials yet.%', 'no run yet');
CREATE FUNCTION pg_temp.sign_up(at text, origin text, number int, email text DEFAULT '@site.example') RETURNS void LANGUAGE sql AS $$
    INSERT INTO signups (event_time, email, origin)
    SELECT ('2024-03-05 ' || at || '+00')::timestamptz + n * interval '1 second', n || email, origin FROM generate_series(1, number) n
$$;
SELECT pg_temp.sign_up('12:00', 'https://a.example', 25), pg_temp.sign_up('12:00', 'https://b.example', 17);
SELECT pg_temp.sign_up('12:06', 'https://b.example', 12);
SELECT pg_temp.sign_up('12:00', NULL, 3);
INSERT INTO denials (event_time, operator, permission) SELECT '2024-03-05 12:00+00'::timestamptz + n * interval '1 minute', 'ops-1', CASE WHEN n <= 2 THEN n || ':admin' ELSE 'p' || n % 3 || ':read' END FROM generate_series(1, 9) n;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-05 13:00+00');
SELECT raxx_detect.run('auth_rbac_denied_burst', '2024-03-05 13:00+00');
DELETE FROM raxx_detect.detection_findings WHERE rule_id = 'auth_rbac_denied_burst';
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '14:00') LIKE '%That time has not been judged yet: the rule has looked at rbac_denials up to 2024-03-05 13:00:00 UTC.%', 'not looked at yet');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '12:58') LIKE '%up to 2024-03-05 13:00:00 UTC, and will look at it again, since rows may still come late.%', 'looked at, but not for good');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '12:05') LIKE '%That time has been judged: the rule has looked at rbac_denials up to 2024-03-05 13:00:00 UTC.%', 'judged');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', (now() + interval '1 day')::text) LIKE '%That time is yet to come.', 'yet to come');
UPDATE raxx_detect.source_bindings SET judge_from = '2024-03-05 11:00+00' WHERE source = 'rbac_denials';
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '10:00') LIKE '%Rows of rbac_denials up to 2024-03-05 11:00:00 UTC are history: they are read as context, and never judged.%', 'history');
UPDATE raxx_detect.source_bindings SET judge_from = '-infinity' WHERE source = 'rbac_denials';
SELECT raxx_detect.disable('auth_rbac_denied_burst', 'a migration is under way');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '14:00') ~ 'That time has not been judged: the rule is disabled since .* UTC: a migration is under way\.', 'disabled since, and why');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '12:05') ~ 'That time has been judged: .* By now the rule is disabled since .*: a migration is under way\.', 'disabled only after it');
SELECT raxx_detect.enable('auth_rbac_denied_burst');
-- Dormant then, and judged since: as the history of states has it.
INSERT INTO raxx_detect.rule_state_changes (rule_id, changed_at, from_state, to_state, reason) OVERRIDING SYSTEM VALUE VALUES ('auth_passkey_enumeration', '2024-03-01 00:00+00', 'live', 'dormant', 'its log drain was gone');
INSERT INTO raxx_detect.rule_state_changes (rule_id, changed_at, from_state, to_state, reason) VALUES ('auth_passkey_enumeration', '2024-03-06 00:00+00', 'dormant', 'live', 'it is back');
INSERT INTO tries (event_time, ip, email) SELECT '2024-03-05 12:00+00'::timestamptz + n * interval '1 second', '203.0.113.7', n || '@x.example' FROM generate_series(1, 6) n;
INSERT INTO tries (event_time, ip, email) SELECT '2024-03-05 12:00+00'::timestamptz + n * interval '1 second', ('2001:db8:0:1::' || n)::inet, n || '@x.example' FROM generate_series(1, 7) n;
SELECT raxx_detect.bind_source('passkey_begin_events', 'tries');
UPDATE raxx_detect.rules SET state = 'live' WHERE rule_id = 'auth_passkey_enumeration';
INSERT INTO raxx_detect.coverage (rule_id, source, settled, looked_to) VALUES ('auth_passkey_enumeration', 'passkey_begin_events', '2024-03-06 12:00+00', '2024-03-06 12:00+00');
SELECT ok(pg_temp.why('auth_passkey_enumeration', '203.0.113.7', '12:00') LIKE '%It was dormant then (since 2024-03-01 00:00:00 UTC: its log drain was gone), and has judged it since.%', 'dormant then, judged since');

-- ---- what kept it from seeing ----------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.rule_state_changes (rule_id, changed_at, from_state, to_state, reason) VALUES ('signup_waitlist_velocity_per_origin', '2024-01-01 00:00+00', 'dormant', 'live', 'x');
INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read, elapsed, detail) VALUES
    ('2024-03-03 10:00+00', '2024-03-03 10:00+00', 'signup_waitlist_velocity_per_origin', 'live', 'ok', 0, 0, 0, '1 ms', NULL),
    ('2024-03-04 10:00+00', '2024-03-04 10:00+00', 'signup_waitlist_velocity_per_origin', 'live', 'error', 0, 0, 0, '1 ms', '42501: permission denied for table signups.'),
    ('2024-03-04 11:00+00', '2024-03-04 11:00+00', 'signup_waitlist_velocity_per_origin', 'live', 'ok', 0, 0, 0, '1 ms', NULL);
INSERT INTO raxx_detect.interruptions (kind, began, ended, detail) VALUES ('pause', '2024-03-04 15:00+00', '2024-03-04 16:00+00', 'nobody called raxx_detect.run_all()');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '2024-03-04 10:30+00')
    LIKE '%Around that time the rule could not see: from 2024-03-04 10:00:00 UTC to 2024-03-04 11:00:00 UTC, its runs ended in an error (42501: permission denied for table signups.).%', 'errors, since when, and which');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '2024-03-04 15:30+00') LIKE '%from 2024-03-04 15:00:00 UTC to 2024-03-04 16:00:00 UTC, nobody ran the rules%', 'a pause');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '2024-03-04 13:00+00') NOT LIKE '%could not see%', 'between them it could');

-- ---- there is one ---------------------------------------------------------------------------------------------------------
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '12:00:22') ~ 'There is one: finding [0-9]+ \(HIGH, cleared, triage new\), from 2024-03-05 12:00:20 UTC to .*SELECT raxx_detect\.explain\([0-9]+\) tells more\.', 'within its episode');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '11:58') LIKE '%There is one: finding%', 'or a window before it');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', (upper(f.episode) + interval '1 minute')::text) LIKE '%There is one: finding%', 'or one after it')
FROM raxx_detect.detection_findings f WHERE f.entity = 'https://a.example';
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '11:50') NOT LIKE '%There is one%', 'not long before');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://a.example', '12:00:22') LIKE '%Who was told: ops-mail%', 'and who was told');

-- ---- bursts: how near -------------------------------------------------------------------------------------------------------
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://b.example', '12:00') LIKE '%The nearest miss: at most 17 sign-ups in 5 min (the window up to 2024-03-05 12:00:17 UTC), against the threshold of 20 (the baseline had 0 of 7 days): 3 short of it.%', 'velocity: so many short');
-- Every minute: the most that a window holds which ends within a window of it, naively.
SELECT is(ARRAY(SELECT m.at FROM generate_series(timestamptz '2024-03-05 11:50+00', '2024-03-05 12:16+00', '1 minute') m(at)
    CROSS JOIN LATERAL (SELECT coalesce(max(c.n), 0) AS peak FROM (
        SELECT (SELECT count(*) FROM signups e WHERE e.origin = 'https://b.example' AND e.event_time > l.event_time - interval '5 minutes' AND e.event_time <= l.event_time AND e.event_time > m.at - interval '10 minutes') AS n
        FROM signups l WHERE l.origin = 'https://b.example' AND l.event_time > m.at - interval '10 minutes' AND l.event_time <= m.at + interval '5 minutes') c) naive
    WHERE pg_temp.flat(raxx_detect.why_not('signup_waitlist_velocity_per_origin', 'https://b.example', m.at)) !~ CASE naive.peak WHEN 0 THEN 'no sign-ups at all around' ELSE format('at most %s sign-ups in 5 min', naive.peak) END ORDER BY 1),
    '{}', 'at every minute what a naive count has');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://nobody.example', '12:00') LIKE '%no sign-ups at all around that time, against the threshold of 20%; waitlist_signups has no row of that origin within a day of it.%', 'nothing of it at all');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://b.example', '10:00') LIKE '%its nearest row is of 2024-03-05 12:00:01 UTC.%', 'or elsewhere');
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', NULL, '12:00') LIKE '%Rows without origin belong to nobody: they are ignored, and counted in the detail of a run%Within 5 min of that time waitlist_signups has 3 such rows.%', 'NULL is nobody');
SELECT ok(pg_temp.why('auth_rbac_denied_burst', 'ops-1', '12:05') LIKE '%at most 2 denials of elevated permissions%: 1 short of it; at most 5 distinct permissions denied%that would have been enough by the rows as they are now; at most 9 denials in 10 min%against no limit, since the baseline is not ready%', 'each condition, with its own count');
DELETE FROM raxx_detect.rule_state_changes WHERE rule_id = 'auth_passkey_enumeration';
SELECT ok(pg_temp.why('auth_passkey_enumeration', '203.0.113.7', '12:00') LIKE '%at most 6 distinct values of email in 10 min%: 4 short of it.%', 'distinct');
SELECT ok(pg_temp.why('auth_passkey_enumeration', '2001:db8:0:1::5', '12:00') LIKE '%2001:db8:0:1::5 lies in the client network 2001:db8:0:1::/64, which is what the rule counts by.%at most 7 distinct values of email%: 3 short of it.%', 'an address is its network');
SELECT ok(pg_temp.why('auth_passkey_enumeration', '::ffff:203.0.113.7', '12:00') LIKE '%lies in the client network 203.0.113.7,%at most 6 distinct%', 'an IPv4 address in IPv6');
SELECT ok(pg_temp.why('auth_passkey_enumeration', '2001:db8:0:1::/64', '12:00') LIKE '%at most 7 distinct%' AND pg_temp.why('auth_passkey_enumeration', '2001:db8:0:1::/64', '12:00') NOT LIKE '%lies in%', 'a network itself');
SELECT ok(pg_temp.why('auth_passkey_enumeration', 'not an address', '12:00') LIKE '%not an address is no address, and the rule counts by client networks%no row of that ip%', 'something else');

-- A baseline: the limit that was in force.
INSERT INTO signups (event_time, email, origin) SELECT d + h * interval '1 hour' + n * interval '10 seconds', n || '@w.example', 'https://base.example'
FROM generate_series(timestamptz '2024-03-10 00:00+00', '2024-03-19 00:00+00', '1 day') d CROSS JOIN generate_series(8, 20, 2) h CROSS JOIN generate_series(1, 4) n;
INSERT INTO signups (event_time, email, origin) SELECT '2024-03-18 12:30+00'::timestamptz + n * interval '1 second', n || '@w.example', 'https://base.example' FROM generate_series(1, 6) n;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-19 13:00+00');
SELECT is(count(*), 0::bigint, 'six are not enough') FROM raxx_detect.detection_findings WHERE entity = 'https://base.example';
SELECT ok(w ~ 'at most 6 sign-ups in 5 min .*, against the limit of [0-9]+, by the 7 days before: its own [0-9.]+ on average, deviation [0-9.]+: [0-9]+ short of it', 'the limit of the baseline')
FROM pg_temp.why('signup_waitlist_velocity_per_origin', 'https://base.example', '2024-03-18 12:30+00') w;
-- As many more as are said to be missing fire, and one less does not.
CREATE FUNCTION pg_temp.more(number int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    BEGIN
        INSERT INTO signups (event_time, email, origin) SELECT '2024-03-18 12:30+00'::timestamptz + n * interval '1 millisecond', n || '@w.example', 'https://base.example' FROM generate_series(1, number) n;
        DELETE FROM raxx_detect.coverage WHERE rule_id = 'signup_waitlist_velocity_per_origin';
        PERFORM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-19 13:00+00');
        found := (SELECT count(*) FROM raxx_detect.detection_findings WHERE entity = 'https://base.example');
        RAISE EXCEPTION USING ERRCODE = 'RX000';
    EXCEPTION WHEN SQLSTATE 'RX000' THEN
        RETURN found;
    END;
END $$;
SELECT is((pg_temp.more(missing), pg_temp.more(missing - 1)), (1::bigint, 0::bigint), 'so many more would have fired, and one less would not')
FROM (SELECT substring(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://base.example', '2024-03-18 12:30+00') FROM ': ([0-9]+) short of it')::int AS missing) m;
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://base.example', '2024-03-18 12:30+00') NOT LIKE '%kept any more%', 'its days are kept');
DELETE FROM raxx_detect.baseline_days WHERE day = '2024-03-12';
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://base.example', '2024-03-18 12:30+00') LIKE '%not all days of that baseline are kept any more%', 'or it says that they are not');

-- ---- the other methods --------------------------------------------------------------------------------------------------------
SELECT pg_temp.sign_up('15:00', 'x', 10, '@gmail.com'), pg_temp.sign_up('15:00', 'y', 5, '@acme.example');
SELECT raxx_detect.run('signup_email_pattern_anomaly', '2024-03-05 16:00+00');
DELETE FROM raxx_detect.detection_findings WHERE rule_id = 'signup_email_pattern_anomaly';
SELECT ok(pg_temp.why('signup_email_pattern_anomaly', 'gmail.com', '15:00') LIKE '%But gmail.com is a known free-mail provider (raxx_detect.free_mail_domains), where sharing the domain says nothing: the shapes of addresses are judged there%', 'pattern: a free-mail provider');
SELECT ok(pg_temp.why('signup_email_pattern_anomaly', 'someone@mail.acme.example', '15:00') LIKE '%The rule knows someone@mail.acme.example as acme.example.%at most 5 sign-ups in 5 min%against the threshold of 8: 3 short of it.%', 'an address is its domain');
SELECT ok(pg_temp.why('signup_email_pattern_anomaly', '4@gmail.com', '15:00') ~ 'They are enough, but [0-9.]+ % of the [0-9]+ sign-ups in the .* before had that shape, so that 10 of 15 is a chance of .*; the rule fires at .* or less\.', 'a shape that is common');
SELECT ok(pg_temp.why('signup_geographic_burst', '(mix)', '15:00') LIKE '%no verdict on a mix before the baseline is ready%' OR pg_temp.why('signup_geographic_burst', '(mix)', '15:00') LIKE '%cannot be said%' , 'a mix');

CREATE TABLE audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz);
INSERT INTO audit (event_time) VALUES ('2024-03-05 14:00+00'), ('2024-03-05 14:25+00');
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');
SELECT raxx_detect.run('data_audit_log_gap_window', '2024-03-05 14:30+00');
SELECT ok(w LIKE '%the silence of customer_audit_events from 2024-03-05 14:00:00 UTC to 2024-03-05 14:25:00 UTC lasted 25 min, 25 min of it in business hours and 0 s outside; it takes more than 30 min in business hours or 4 h outside.%', 'gap')
FROM pg_temp.why('data_audit_log_gap_window', 'customer_audit_events', '14:10') w;
SELECT ok(pg_temp.why('data_audit_log_gap_window', 'whatever', '14:10') LIKE '%The rule judges its sources customer_audit_events, console_audit_events as a whole.%lasted 25 min%', 'gap: any name');
SELECT ok(pg_temp.why('data_audit_log_gap_window', 'customer_audit_events', '13:00') LIKE '%has no event before that time, so no silence can have begun.%', 'gap: before the first event');
SELECT ok(pg_temp.why('data_audit_log_hash_chain_break', 'customer_audit_events', '14:10') LIKE '%No hash chain is attached to customer_audit_events: SELECT raxx_detect.chain_attach(''public.audit'').%', 'chain');

CREATE TABLE restarts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, app text, dyno text, cause text);
INSERT INTO restarts (event_time, app, dyno, cause) SELECT '2024-03-05 14:00+00'::timestamptz + n * interval '1 minute', 'shop', 'web.' || n, CASE WHEN n > 2 THEN 'deploy' END FROM generate_series(1, 5) n;
SELECT raxx_detect.bind_source('dyno_restarts', 'restarts');
SELECT ok(pg_temp.why('ops_dyno_restart_cluster', 'shop', '14:02') LIKE '%at most 2 distinct dynos restarted in 10 min%against the threshold of 3: 1 short of it; 3 restarts are not counted, since their cause (deploy, manual_scale) or a deploy within 10 min explains them.%', 'restarts: what is not counted');

CREATE TABLE changes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, app text, item text, actor text);
CREATE TABLE records (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, app text, item text);
INSERT INTO changes (event_time, app, item, actor) VALUES ('2024-03-05 14:00+00', 'shop', 'redis', 'ana'), ('2024-03-05 14:00+00', 'shop', 'pg', 'ana');
INSERT INTO records (event_time, app, item) VALUES ('2024-03-05 14:12+00', 'shop', 'redis');
SELECT raxx_detect.bind_source('addon_changes', 'changes'), raxx_detect.bind_source('change_records', 'records');
SELECT ok(pg_temp.why('cost_heroku_addon_drift', 'shop/redis', '14:02') LIKE '%it changed at 2024-03-05 14:00:00 UTC, and a change record of 2024-03-05 14:12:00 UTC explains it: 12 min from it, where 30 min are allowed.%', 'unmatched: the record');
SELECT ok(pg_temp.why('cost_heroku_addon_drift', 'shop/pg', '14:02') LIKE '%it changed at 2024-03-05 14:00:00 UTC; the nearest record is more than 7 days off, and 30 min are allowed.%', 'unmatched: none');
SELECT ok(pg_temp.why('cost_heroku_addon_drift', 'shop/mysql', '14:02') LIKE '%addon_changes has no change of it within a day of that time.%', 'unmatched: no change');

CREATE TABLE calls (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, signature_valid boolean);
INSERT INTO calls (event_time, signature_valid) SELECT '2024-03-05 14:00+00'::timestamptz + n * interval '1 minute', n > 3 FROM generate_series(1, 8) n;
SELECT raxx_detect.bind_source('stripe_webhook_events', 'calls');
SELECT ok(pg_temp.why('webhook_stripe_signature_fail', NULL, '14:05') LIKE '%3 webhook calls with signature_valid false, of 3 in the 10 min up to 2024-03-05 14:03:00 UTC; it takes 5.%', 'ratio');
CREATE TABLE results (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, return_value numeric);
INSERT INTO results (event_time, return_value) SELECT '2024-03-05 12:00+00'::timestamptz + n * interval '1 second', n FROM generate_series(1, 90) n;
SELECT raxx_detect.bind_source('backtest_results', 'results');
SELECT ok(pg_temp.why('data_backtest_benford', 'backtest_results', '14:05') LIKE '%the verdict in force then is of 2024-03-05 14:00:00 UTC: 90 first digits in 7 d; more than 100 are needed.%', 'benford: too few');
INSERT INTO results (event_time, return_value) SELECT '2024-03-05 12:30+00'::timestamptz + n * interval '1 second', 10 ^ (n / 100.0) FROM generate_series(1, 400) n;
SELECT ok(pg_temp.why('data_backtest_benford', 'backtest_results', '14:05') ~ '490 first digits in 7 d, off Benford''s law by [0-9.]+ \(it takes 0\.015\) with a chance of [0-9.e-]+ \(it takes 0\.001369 or less\)', 'benford: how near');
CREATE TABLE dynos (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, app text, dyno_hours float8);
INSERT INTO dynos (event_time, app, dyno_hours) SELECT '2024-03-05 00:00+00'::timestamptz + n * interval '30 minutes', 'api', 2 + n % 3 FROM generate_series(0, 40) n;
SELECT raxx_detect.bind_source('dyno_samples', 'dynos');
SELECT ok(pg_temp.why('cost_dyno_hour_spike', 'api', '14:05') ~ 'the verdict in force then is on 2024-03-05 13:00:00 UTC to 2024-03-05 14:00:00 UTC\. The average dyno_hours was [0-9.]+, and there is no verdict: fewer than [0-9]+ points', 'quantile: too few points');
SELECT ok(pg_temp.why('cost_dyno_hour_spike', 'web', '14:05') LIKE '%It has no sample of web then, so there is no verdict.%', 'quantile: no sample');

-- ---- hostile entities, rights ----------------------------------------------------------------------------------------------------
SELECT is(ARRAY(SELECT r.rule_id || ': ' || left(e, 10) FROM raxx_detect.rules r CROSS JOIN unnest(ARRAY['', '%s %1$s %', $q$'; DROP TABLE signups; --$q$, E'\x1b[2J\n\r', repeat('x', 100000), E'\\', '@', 'a@', '@b', '((', '{}', '1.2.3.4/99', E'\u202Ex']) e
                WHERE raxx_detect.why_not(r.rule_id, e, '2024-03-05 12:00+00') IS NULL OR pg_temp.flat(raxx_detect.why_not(r.rule_id, e, '2024-03-05 12:00+00')) ~ '\m(22|P0|XX|54)[0-9A-Z]{3}: |\. \.|\(\)'
                   OR regexp_replace(raxx_detect.why_not(r.rule_id, e, '2024-03-05 12:00+00'), E'\n', '', 'g') ~ '[[:cntrl:]\u202e]' OR length(raxx_detect.why_not(r.rule_id, e, '2024-03-05 12:00+00')) > 4000 ORDER BY 1), '{}',
    'whatever the entity, every rule has an answer, and a short one');
SELECT is((SELECT count(*) FROM signups) > 0, true, 'and nothing comes of it');
SELECT ok(raxx_detect.why_not(r.rule_id, 'x', '0044-03-15 12:00+00 BC') IS NOT NULL AND raxx_detect.why_not(r.rule_id, 'x', '4713-01-02 00:00+00 BC') IS NOT NULL, r.rule_id || ' long ago') FROM raxx_detect.rules r WHERE r.rule_id = 'auth_rbac_denied_burst';
CREATE ROLE why_reader;
GRANT USAGE ON SCHEMA raxx_detect TO why_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO why_reader;
SET LOCAL ROLE why_reader;
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://b.example', '12:00') LIKE '%That time has been judged%How near it came cannot be said: role "why_reader" may not read the rows.%', 'who may not read the rows is told what can be told');
RESET ROLE;
ALTER TABLE signups RENAME COLUMN origin TO referer;
SELECT ok(pg_temp.why('signup_waitlist_velocity_per_origin', 'https://b.example', '12:00') LIKE '%How near it came cannot be said: 42703: relation public.signups no longer has the column "origin"%', 'a migration');

-- ---- the fullest window near a moment, against its definition: windows that end earlier do not count -------------------------------
CREATE TEMP TABLE worlds AS
SELECT s, counting, nb, ARRAY(SELECT '2024-03-05 12:00+00'::timestamptz + (hashint8extended(n, s) & 63) * interval '10 seconds' FROM generate_series(1, 20) n ORDER BY 1) AS times,
       ARRAY(SELECT (hashint8extended(n, s + 1000) & 3)::text FROM generate_series(1, 20) n) AS keys
FROM generate_series(1, 40) s CROSS JOIN unnest('{velocity,distinct}'::text[]) counting CROSS JOIN unnest('{-infinity,2024-03-05 12:05+00,2024-03-05 12:09:30+00,2024-03-05 12:20+00}'::timestamptz[]) nb;
SELECT is(count(*), 0::bigint, 'fullest_window is the most of any window that ends at the moment or later')
FROM worlds w CROSS JOIN LATERAL raxx_detect.fullest_window(w.counting, ROW(w.times, array_fill(''::text, '{20}'), w.keys, false)::raxx_detect.rows_in_time, '2 minutes', w.nb) f
CROSS JOIN LATERAL (SELECT coalesce(max(c.n), 0) AS peak FROM (SELECT t FROM unnest(w.times) t WHERE t >= w.nb UNION SELECT w.nb WHERE isfinite(w.nb)) e(t)
    CROSS JOIN LATERAL (SELECT CASE w.counting WHEN 'velocity' THEN count(*) ELSE count(DISTINCT r.k) END AS n FROM unnest(w.times, w.keys) r(at, k) WHERE r.at > e.t - interval '2 minutes' AND r.at <= e.t) c) naive
WHERE f.peak <> naive.peak OR f.peak > 0 AND f.at < w.nb;
SELECT * FROM finish();
ROLLBACK;
