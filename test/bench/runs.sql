-- What a run costs that has nothing new, and one after a busy minute, with all rules live over :rows rows: beside the same
-- checks as prepared SQL, and beside the update of one row as the floor. Never a test. In a database of its own.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION raxx_detect CASCADE;
SET timezone = 'UTC';
\o /dev/null
SELECT raxx_detect.create_source_table(k.source, CASE k.source WHEN 'statement_samples' THEN 'samples' ELSE k.source END)
FROM raxx_detect.source_kinds k;

-- Nine days that ended an hour ago; the two great tables hold 45 % of the rows each.
SELECT now() - interval '1 hour' AS ended \gset
CREATE FUNCTION pg_temp.times(number bigint) RETURNS TABLE (n bigint, t timestamptz) LANGUAGE sql AS $$
    SELECT i, now() - interval '1 hour' - (number - i) * (interval '9 days' / number) FROM generate_series(1, number) i $$;
INSERT INTO session_events (event_time, ip, account) SELECT t, ('10.' || n % 200 || '.' || n % 7 || '.1')::inet, 'user ' || n % 5000 FROM pg_temp.times((:rows * 0.45)::bigint);
INSERT INTO error_events (event_time, route) SELECT t, '/route/' || n % 50 FROM pg_temp.times((:rows * 0.45)::bigint);
INSERT INTO passkey_begin_events (event_time, ip, email) SELECT t, ('10.' || n % 200 || '.1.1')::inet, n % 5000 || '@x.example' FROM pg_temp.times(:rows / 100);
INSERT INTO waitlist_signups (event_time, email, origin, country) SELECT t, 'u' || n || '@c' || n % 3000 || '.example', 'https://o' || n % 300, 'C' || n % 90 FROM pg_temp.times(:rows / 100);
INSERT INTO customer_audit_events (event_time, operator) SELECT t, 'op' FROM pg_temp.times(:rows / 100);
INSERT INTO console_audit_events (event_time, operator) SELECT t, 'op' FROM pg_temp.times(:rows / 100);
INSERT INTO stripe_webhook_events (event_time, signature_valid) SELECT t, n % 1000 <> 0 FROM pg_temp.times(:rows / 100);
INSERT INTO outbound_mail_events (event_time, outcome) SELECT t, CASE n % 50 WHEN 0 THEN 'hard_bounce' ELSE 'sent' END FROM pg_temp.times(greatest(:rows / 100, 20000));
INSERT INTO login_failures (event_time, ip, account) SELECT t, '10.1.1.1', 'user ' || n % 5000 FROM pg_temp.times(:rows / 100);
INSERT INTO rbac_denials (event_time, operator, permission) SELECT t, 'op' || n % 50, 'reports:read' FROM pg_temp.times(2000);
INSERT INTO operator_activity (event_time, operator) SELECT t, 'op' FROM pg_temp.times(2000);
INSERT INTO dyno_samples (event_time, app, dyno_hours) SELECT t, 'app' || n % 5, 2 + n % 7 / 10.0 FROM pg_temp.times(20000);
INSERT INTO backtest_results (event_time, return_value) SELECT t, exp(n % 10000 / 1000.0) FROM pg_temp.times(50000);
INSERT INTO samples (sample_time, queryid, calls, total_ms) SELECT t, n % 50, n, n * (2 + n % 11) FROM pg_temp.times(50000);
INSERT INTO dyno_restarts (event_time, app, dyno) SELECT t, 'app' || n % 5, 'web.1' FROM pg_temp.times(50);
INSERT INTO deploy_events (event_time, app) SELECT t, 'app' || n % 5 FROM pg_temp.times(50);
INSERT INTO addon_changes (event_time, app, item, actor) SELECT t, 'app', 'item ' || n, 'me' FROM pg_temp.times(20);
INSERT INTO change_records (event_time, app, item) SELECT event_time, app, item FROM addon_changes;
VACUUM ANALYZE;
-- An hour of silence is nothing here.
SELECT raxx_detect.set_params('data_audit_log_gap_window', '{"business_gap": "1 day", "off_hours_gap": "1 day", "baseline_gap": "1 day"}');
SET raxx_detect.history_limit = 0;
SELECT raxx_detect.approve(rule_id, 'all of them are timed', now() + interval '1 day') FROM raxx_detect.rules;  -- they are more than the ceiling allows
SELECT count(*) FROM raxx_detect.run_all();
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign';
SELECT count(*) FROM raxx_detect.run_all();
VACUUM ANALYZE;
\o

-- ---- nothing new ----------------------------------------------------------------------------------------------------
CREATE TABLE timings (what text, ms float8);
CREATE TABLE floor_row AS SELECT 1 AS id, now() AS at;
CREATE PROCEDURE time_runs(rounds int) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
    from_time timestamptz;
    found boolean;
BEGIN
    FOR i IN 1 .. rounds LOOP
        started := clock_timestamp();
        PERFORM FROM raxx_detect.run_all();
        INSERT INTO timings VALUES ('run_all', 1000 * extract(epoch FROM clock_timestamp() - started));
        COMMIT;
        started := clock_timestamp();
        from_time := now() - interval '5 minutes';
        found := EXISTS (SELECT FROM passkey_begin_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM session_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM rbac_denials WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM waitlist_signups WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM waitlist_signups WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM customer_audit_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM console_audit_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM error_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM samples WHERE sample_time > from_time AND sample_time <= now());
        found := EXISTS (SELECT FROM dyno_samples WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM backtest_results WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM stripe_webhook_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM outbound_mail_events WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM dyno_restarts WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM addon_changes WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM waitlist_signups WHERE event_time > from_time AND event_time <= now());
        found := EXISTS (SELECT FROM login_failures WHERE event_time > from_time AND event_time <= now());
        UPDATE floor_row SET at = now() WHERE id = 1;
        INSERT INTO timings VALUES ('SQL', 1000 * extract(epoch FROM clock_timestamp() - started));
        COMMIT;
        started := clock_timestamp();
        UPDATE floor_row SET at = now() WHERE id = 1;
        INSERT INTO timings VALUES ('floor', 1000 * extract(epoch FROM clock_timestamp() - started));
        COMMIT;
    END LOOP;
END $$;
-- The same in a row, each run a transaction of its own with its commit: in processor time, too (Linux: /proc/self/schedstat).
CREATE PROCEDURE runs_in_a_row(rounds int) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    worked bigint := split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);
BEGIN
    FOR i IN 1 .. rounds LOOP
        PERFORM FROM raxx_detect.run_all();
        COMMIT;
    END LOOP;
    INSERT INTO timings VALUES ('in a row', 1000 * extract(epoch FROM clock_timestamp() - started) / rounds),
        ('processor', (split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint - worked) / 1e6 / rounds);
END $$;
CALL time_runs(20);  -- plans are made
TRUNCATE timings;
CALL time_runs(400);
CALL runs_in_a_row(1000);
SELECT to_char(:rows, 'FM999,999,999') || ' rows stored, nothing new, medians of 400' AS title \gset
\pset title :title
SELECT (SELECT count(*) FROM raxx_detect.rules WHERE state = 'live') AS "rules live",
       (SELECT cardinality(quiet_rules) FROM raxx_detect.heartbeat) AS quiet,
       round(o.ms::numeric, 3) AS "run_all, ms", round(s.ms::numeric, 3) AS "17 prepared checks and a row, ms", round(f.ms::numeric, 3) AS "one row, ms",
       round((o.ms / s.ms)::numeric, 1) || ' x' AS "run_all / SQL",
       (SELECT round(ms::numeric, 3) FROM timings WHERE what = 'in a row') AS "with its commit, ms",
       (SELECT round(ms::numeric, 3) FROM timings WHERE what = 'processor') AS "of which processor, ms"
FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms FROM timings WHERE what = 'run_all') o,
     (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms FROM timings WHERE what = 'SQL') s,
     (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms FROM timings WHERE what = 'floor') f;

-- ---- a busy minute --------------------------------------------------------------------------------------------------
INSERT INTO passkey_begin_events (event_time, ip, email) SELECT now() - n * interval '25 ms', ('10.' || n % 200 || '.' || n % 250 || '.1')::inet, n || '@x.example' FROM generate_series(1, 2400) n;
INSERT INTO session_events (event_time, ip, account) SELECT event_time, ip, email FROM passkey_begin_events WHERE event_time > now() - interval '2 minutes';
INSERT INTO error_events (event_time, route) SELECT now() - n * interval '25 ms', '/route/' || n FROM generate_series(1, 2400) n;
INSERT INTO waitlist_signups (event_time, email, origin, country) SELECT now() - n * interval '25 ms', 'v' || n || '@c' || n || '.example', 'https://p' || n, 'D' || n FROM generate_series(1, 2400) n;
INSERT INTO rbac_denials (event_time, operator, permission) SELECT now() - n * interval '25 ms', 'new op ' || n, 'reports:read' FROM generate_series(1, 2400) n;
INSERT INTO login_failures (event_time, ip, account) SELECT now() - n * interval '25 ms', '10.1.1.1', 'new user ' || n FROM generate_series(1, 2400) n;
INSERT INTO customer_audit_events (event_time, operator) SELECT now() - n * interval '25 ms', 'op' FROM generate_series(1, 2400) n;
INSERT INTO stripe_webhook_events (event_time, signature_valid) SELECT now() - n * interval '25 ms', true FROM generate_series(1, 2400) n;
CREATE TABLE busy (rule_id text, ms float8, rows_read bigint);
CREATE PROCEDURE time_busy_runs(rounds int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. rounds LOOP
        INSERT INTO busy SELECT r.rule_id, 1000 * extract(epoch FROM r.elapsed), r.rows_read FROM raxx_detect.run_all() r WHERE r.rows_read > 0;
        COMMIT;
    END LOOP;
END $$;
CALL time_busy_runs(2);
TRUNCATE busy;
CALL time_busy_runs(31);
SELECT to_char(:rows, 'FM999,999,999') || ' rows stored, and a minute of 2,400 in each of eight sources, medians of 31' AS title \gset
\pset title :title
SELECT rule_id, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::numeric, 2) AS "run, ms", max(rows_read) AS "rows read"
FROM busy JOIN raxx_detect.rules USING (rule_id) GROUP BY rule_id, number ORDER BY number;
