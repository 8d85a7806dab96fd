-- What ends a quiet stretch but a new row: rows that go, relations that are altered, findings that end, a clock that is set back.
BEGIN;
SELECT plan(16);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = error;

SELECT raxx_detect.create_source_table(s) FROM unnest('{login_failures,dyno_samples,customer_audit_events}'::text[]) s;
INSERT INTO login_failures (event_time, ip, account) SELECT timestamptz '2024-03-08 12:00' + n * interval '1 minute', '10.0.0.1', 'a' || n FROM generate_series(1, 30) n;
INSERT INTO dyno_samples (event_time, app, dyno_hours) SELECT t, 'web', 2 FROM generate_series(timestamptz '2024-02-27', '2024-03-08 13:20', '10 minutes') t;
INSERT INTO customer_audit_events (event_time) SELECT t FROM generate_series(timestamptz '2024-02-27', '2024-03-08 13:31', '2 minutes') t;

CREATE FUNCTION pg_temp.look(rule text, at timestamptz) RETURNS text LANGUAGE sql AS
$$ SELECT outcome || coalesce(' ' || substring(detail FROM '\m[0-9A-Z]{5}(?=: )'), '') FROM raxx_detect.run_all(at) WHERE rule_id = rule $$;
CREATE FUNCTION pg_temp.is_quiet(rule text) RETURNS boolean LANGUAGE sql AS $$ SELECT rule = ANY (quiet_rules) FROM raxx_detect.heartbeat $$;
SELECT count(*) FROM raxx_detect.run_all('2024-03-08 13:38');
SELECT count(*) FROM raxx_detect.run_all('2024-03-08 13:38:01');
SELECT count(*) FROM raxx_detect.run_all('2024-03-08 13:38:02');
SELECT ok(pg_temp.is_quiet('auth_login_failure_burst'), 'sign-ins are quiet');
SELECT ok(pg_temp.is_quiet('cost_dyno_hour_spike'), 'dynos are quiet');
SELECT ok(pg_temp.is_quiet('data_audit_log_gap_window'), 'the audit log is quiet');

-- What a run says of a rule after something was done, which is undone then; and what an answer is besides.
CREATE FUNCTION pg_temp.after(done text, rule text, answer text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    besides text;
BEGIN
    EXECUTE done;
    said := pg_temp.look(rule, '2024-03-08 13:39');
    said := said || CASE WHEN pg_temp.look(rule, '2024-03-08 13:40') <> said THEN ', then something else' ELSE '' END;
    IF answer IS NOT NULL THEN
        EXECUTE 'SELECT (' || answer || ')::text' INTO besides;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception', MESSAGE = concat_ws(', ', said, besides);
EXCEPTION WHEN triggered_action_exception THEN
    RETURN sqlerrm;
END $$;
SELECT is(pg_temp.after('TRUNCATE login_failures', 'auth_login_failure_burst'), 'no_data', 'a source that is emptied');
SELECT is(pg_temp.after('TRUNCATE dyno_samples', 'cost_dyno_hour_spike'), 'no_data', 'one that is judged by the clock');
SELECT is(pg_temp.after('DROP TABLE dyno_samples', 'cost_dyno_hour_spike',
    'pg_temp.look(''cost_dyno_hour_spike'', ''2024-03-08 13:41'') || '', '' || pg_temp.is_quiet(''auth_login_failure_burst'')'), 'error 42P01, error 42P01, true',
    'a table that is dropped; once that is known, other rules are quiet');
SELECT is(pg_temp.after('ALTER TABLE login_failures DROP COLUMN account', 'auth_login_failure_burst'), 'error 42703', 'a column that is dropped');
SELECT is(pg_temp.after('ALTER TABLE login_failures ALTER COLUMN account TYPE bytea USING account::bytea', 'auth_login_failure_burst'),
    'error 42804', 'one of another type');
SELECT is(pg_temp.after('DELETE FROM customer_audit_events WHERE event_time > ''2024-03-08 08:00''', 'data_audit_log_gap_window',
    $$SELECT count(*) FROM raxx_detect.detection_findings WHERE condition = 'firing' AND episode @> timestamptz '2024-03-08 12:00'$$),
    'ok, 1', 'the newest rows of an audit log are deleted: the silence is found at once');
SELECT is(pg_temp.after('SELECT raxx_detect.create_source_table(''waitlist_signups'')', 'signup_waitlist_velocity_per_origin',
    'pg_temp.is_quiet(''auth_login_failure_burst'')'), 'no_data, true', 'a source that is bound and empty is looked at by each run; other rules are quiet');
SELECT is(pg_temp.after($$INSERT INTO login_failures (event_time, ip, account)
        SELECT timestamptz '2024-03-08 13:38:30' + n * interval '1 second', '10.0.0.1', 'bob' FROM generate_series(1, 20) n;
    SELECT count(*) FROM raxx_detect.run_all('2024-03-08 13:38:55');
    UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive'$$, 'auth_login_failure_burst',
    $$SELECT condition FROM raxx_detect.detection_findings WHERE entity = 'bob' AND pg_temp.look(rule_id, '2024-03-08 15:46') = 'ok'$$),
    'ok, firing', 'a finding that people close while it fires');

-- The clock was a year ahead for a while.
UPDATE raxx_detect.coverage SET settled = now() + interval '1 year', looked_to = now() + interval '1 year';
UPDATE raxx_detect.sweeps SET tried_to = now() + interval '1 year', whole_at = now() + interval '1 year' WHERE source = 'login_failures';
SELECT is(healthy, false, 'what was looked at in times to come is not healthy') FROM raxx_detect.health WHERE rule_id = 'auth_login_failure_burst';
INSERT INTO login_failures (event_time, ip, account) SELECT now() - n * interval '1 second', '10.0.0.1', 'carl' FROM generate_series(1, 20) n;
SELECT matches(detail, '^the clock was set back: ', 'a run says that the clock was set back') FROM raxx_detect.run_all() WHERE rule_id = 'auth_login_failure_burst';
SELECT is(count(*), 1::bigint, 'and judges what there is') FROM raxx_detect.detection_findings WHERE entity = 'carl';
SELECT ok(tried_to < now(), 'it sweeps, too') FROM raxx_detect.sweeps WHERE source = 'login_failures';
SELECT ok(looked_to <= now(), 'and nothing lies ahead any more') FROM raxx_detect.coverage WHERE source = 'login_failures';

SELECT * FROM finish();
ROLLBACK;
