-- A database with a history: sources of every kind, two runs over nine days with incidents, findings that people have
-- triaged, parameters that they have changed, a rule and a source of their own. Works in every version since 0.1.0.
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA "Odd ""schema""";

SELECT raxx_detect.create_source_table('rbac_denials');                                 -- a table
SELECT raxx_detect.create_source_table('waitlist_signups', '"Odd ""schema"""."sign Ups"');  -- one with a name to quote
CREATE TABLE sessions (event_time timestamptz NOT NULL, ip inet) PARTITION BY RANGE (event_time);  -- a partitioned one
CREATE TABLE sessions_early PARTITION OF sessions FOR VALUES FROM (MINVALUE) TO ('2024-03-05');
CREATE TABLE sessions_late PARTITION OF sessions FOR VALUES FROM ('2024-03-05') TO (MAXVALUE);
SELECT raxx_detect.bind_source('session_events', 'sessions');
CREATE TABLE audit (id bigint PRIMARY KEY, at timestamp NOT NULL, who text);
CREATE VIEW audited AS SELECT id, at AT TIME ZONE 'UTC' AS created_at, who FROM audit;     -- a view
SELECT raxx_detect.bind_source('customer_audit_events', 'audited', '{"operator": "who"}', lateness => '1 hour');
CREATE MATERIALIZED VIEW errors AS                                                         -- a materialized view
SELECT t AS event_time, '/cart'::text AS route FROM generate_series(timestamptz '2024-03-06 12:00', '2024-03-06 12:00:40', '1 second') t;
SELECT raxx_detect.bind_source('error_events', 'errors');
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');      -- the extension's own
CREATE TABLE gone (event_time timestamptz, ip inet, email text);
SELECT raxx_detect.bind_source('passkey_begin_events', 'gone');
DROP TABLE gone;                                                                           -- and one that is no more

INSERT INTO rbac_denials (event_time, operator, permission)
SELECT incident + n * interval '80 seconds', 'operator ' || extract(day FROM incident), 'permission ' || n || ':admin'
FROM generate_series(timestamptz '2024-03-01 16:00', '2024-03-09 16:00', '6 hours') incident, generate_series(1, 6) n;
INSERT INTO "Odd ""schema"""."sign Ups" (event_time, email, origin)
SELECT timestamptz '2024-02-28 12:00' + n * interval '3 minutes', format('user%s@company%s.example', n, n), 'https://site' || n % 20
FROM generate_series(1, 4900) n;
INSERT INTO "Odd ""schema"""."sign Ups" (event_time, email, origin)
SELECT incident + n * interval '8 seconds', format('guest%s@crowd%s.example', n, n % 2), 'https://shop.example'
FROM generate_series(timestamptz '2024-03-04 10:00', '2024-03-09 10:00', '1 day') incident, generate_series(1, 30) n;
INSERT INTO sessions
SELECT timestamptz '2024-02-28 12:00' + n * interval '1 minute', '192.0.2.0'::inet + n % 7 FROM generate_series(1, 14700) n;
INSERT INTO sessions
SELECT incident + n * interval '1 second', '198.51.100.7' FROM generate_series(timestamptz '2024-03-04 10:00', '2024-03-09 10:00', '1 day') incident, generate_series(1, 30) n;
INSERT INTO audit
SELECT extract(epoch FROM t)::bigint, t, 'operator 1' FROM generate_series(timestamp '2024-02-28', '2024-03-09 18:00', '5 minutes') t
WHERE t::time NOT BETWEEN '14:00' AND '14:40';
INSERT INTO raxx_detect.statement_samples SELECT t, q, extract(epoch FROM t) / 60, extract(epoch FROM t) / 30
FROM generate_series(timestamptz '2024-03-06 10:00', '2024-03-06 12:00', '1 minute') t, generate_series(1, 3) q;
INSERT INTO raxx_detect.statement_resets VALUES ('2024-03-06 10:30', '2024-03-06 10:29:30');
INSERT INTO raxx_detect.statement_histograms VALUES ('2024-03-06 10:30', -7, 0.25, 12);
UPDATE raxx_detect.statement_scraper SET taken_at = '2024-03-06 12:00', stats_reset = '2024-03-06 10:29:30';
ANALYZE;

-- What people change.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 25, "baseline_rows": 21}');
UPDATE raxx_detect.rules SET false_alarms_per_month = 0.25, runbook = E'Call Ann.\n2. Stay calm.' WHERE rule_id = 'auth_session_creation_velocity';
SELECT raxx_detect.disable('data_backtest_benford', 'no backtests here');
INSERT INTO raxx_detect.free_mail_domains VALUES ('mail.example');
INSERT INTO raxx_detect.source_kinds (source, position, rows_called, meaning) VALUES ('door_events', 1000, 'doors', 'Doors opened.');
INSERT INTO raxx_detect.source_roles (source, role, position, type, required, meaning) VALUES
    ('door_events', 'event_time', 1, 'timestamptz', true, 'When.'), ('door_events', 'door', 2, 'text', true, 'Which.');
INSERT INTO raxx_detect.rules (rule_id, det_id, title, category, method, severity, sources, params, per_event, false_alarms_per_month,
    escalation_owner, ships, telemetry, how, thresholds, routes, runbook, do_not)
VALUES ('own_doors', 'OWN-1', 'Doors', 'own', 'velocity', 'low', '{door_events}', '{"entity": "door", "window": "1 minute", "threshold": 3}',
    true, 1, 'porter', 'live', 'Doors.', 'Counts.', 'Three.', 'None.', 'Look.', 'Nothing.');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('own_doors', 'silent', '{"start": "2024-03-06", "as_of": "1 h", "sources": {}, "expect": []}');
SELECT raxx_detect.create_source_table('door_events');
INSERT INTO door_events (event_time, door) SELECT timestamptz '2024-03-09 08:00' + n * interval '10 seconds', 'front' FROM generate_series(1, 5) n;

SELECT count(*) FROM raxx_detect.run_all('2024-03-06 12:05');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign' WHERE finding_id = 2;
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive' WHERE finding_id = 3;
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged' WHERE finding_id = 4;
-- Version 0.1.0 had nothing to deliver.
DO $$
BEGIN
    IF to_regclass('raxx_detect.channels') IS NOT NULL THEN
        EXECUTE $sql$
            INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, payload) VALUES (3, 'own', 'fired', 'event', 'high', '{"text": "three"}');
            INSERT INTO raxx_detect.channels (channel, kind, address) VALUES ('own', 'webhook', 'pager');
            UPDATE raxx_detect.channels SET address = 'C0', fallback = 'own' WHERE channel = 'raxx-ops-alert-sev1';
            INSERT INTO raxx_detect.routes (route, severity, channel, mode) VALUES ('own', 'critical', 'own', 'event');
            UPDATE raxx_detect.routes SET channel = 'own', enabled = false WHERE route = 'medium';
            SELECT raxx_detect.set_posture('pre_launch');
        $sql$;
    END IF;
END $$;
SELECT count(*) FROM raxx_detect.run_all('2024-03-08 20:00');
SELECT count(*) FROM raxx_detect.self_test('webhook_stripe_signature_fail');
