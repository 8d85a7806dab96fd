-- The sources of most rules with the traffic of nine days, so that baselines are there, and the runner's rights.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SELECT raxx_detect.create_source_table(s) FROM unnest('{waitlist_signups,rbac_denials,customer_audit_events,console_audit_events,
    session_events,passkey_begin_events,error_events,stripe_webhook_events,dyno_samples}'::text[]) s;
SELECT raxx_detect.scrape_statements();

INSERT INTO waitlist_signups (event_time, email, origin, ip, country)
SELECT t, format('user%s@company%s.example', n, n % 700), 'https://site' || n % 40 || '.example', '10.1.0.0'::inet + n % 5000,
       (ARRAY['DE', 'FR', 'US', 'IN', 'BR'])[1 + n % 5]
FROM (SELECT now() - interval '9 days' + n * interval '40 seconds' AS t, n FROM generate_series(1, 9 * 2160 - 10) n) x;
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT now() - interval '9 days' + n * interval '5 minutes', 'operator ' || n % 30, 'reports:read' FROM generate_series(1, 9 * 288 - 2) n;
INSERT INTO customer_audit_events (event_time, operator)
SELECT now() - interval '9 days' + n * interval '20 seconds', 'operator ' || n % 30 FROM generate_series(1, 9 * 4320 - 10) n;
INSERT INTO console_audit_events (event_time, operator)
SELECT now() - interval '9 days' + n * interval '2 minutes', 'operator ' || n % 5 FROM generate_series(1, 9 * 720 - 2) n;
INSERT INTO session_events (event_time, ip, account)
SELECT now() - interval '9 days' + n * interval '5 seconds', '10.2.0.0'::inet + (n * 7919 % 20000), 'account ' || n % 3000
FROM generate_series(1, 9 * 17280 - 20) n;
INSERT INTO passkey_begin_events (event_time, ip, email)
SELECT now() - interval '9 days' + n * interval '15 seconds', '10.3.0.0'::inet + (n * 7919 % 20000), format('user%s@company.example', n % 4000)
FROM generate_series(1, 9 * 5760 - 20) n;
INSERT INTO error_events (event_time, route)
SELECT now() - interval '9 days' + n * interval '30 seconds', '/route/' || n % 60 FROM generate_series(1, 9 * 2880 - 10) n;
INSERT INTO stripe_webhook_events (event_time, signature_valid)
SELECT now() - interval '9 days' + n * interval '60 seconds', n % 700 <> 0 FROM generate_series(1, 9 * 1440 - 5) n;
INSERT INTO dyno_samples (event_time, app, dyno_hours)
SELECT date_trunc('hour', now()) - interval '9 days' + n * interval '1 hour', 'app ' || a, 2 + a
FROM generate_series(1, 9 * 24) n, generate_series(1, 4) a;
ANALYZE;

CREATE ROLE soak LOGIN;
GRANT pg_read_all_stats TO soak;
GRANT USAGE ON SCHEMA raxx_detect TO soak;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO soak;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO soak;
