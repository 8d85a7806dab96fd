-- A fortnight of a small application, from Monday, 2024-03-04, to Monday, 2024-03-18: quiet traffic, and incidents in it
-- for most rules, on days that thresholds judge and on days that baselines judge. Rows arrive when they happen, or some
-- minutes later; the sources are views of what has arrived by the moment that the table clock says. One row of one view
-- can be made a gate: who reads it waits for advisory lock 1.

CREATE FUNCTION pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
-- Busier by day than by night.
CREATE FUNCTION some_time(n bigint, seed bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz '2024-03-04' + pseudo_random(n, seed, 14) * interval '1 day'
        + CASE WHEN n % 3 = 0 THEN pseudo_random(n, seed + 100, 86400) ELSE 36000 + pseudo_random(n, seed + 100, 9 * 3600) END * interval '1 second' $$;
-- When the incidents begin: two are under way at 2024-03-15 14:33 and at 2024-03-16 00:20, as of which runs are made.
CREATE TABLE incidents AS
SELECT row_number() OVER () AS number, at
FROM unnest('{2024-03-05 11:00,2024-03-13 09:30,2024-03-15 14:31,2024-03-15 20:00,2024-03-16 00:18:30,2024-03-17 16:00}'::timestamptz[]) at;
-- rows n of m within so many seconds of each incident
CREATE FUNCTION wave(m int, seconds int, OUT number bigint, OUT n int, OUT at timestamptz) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
    SELECT i.number, n, i.at + n * seconds * interval '1 second' / m FROM incidents i, generate_series(1, m) n $$;

CREATE TABLE all_waitlist_signups (event_time timestamptz, email text, origin text, country text);
INSERT INTO all_waitlist_signups
SELECT some_time(n, 1), format('user%s@site%s.example', n, n), 'https://origin' || pseudo_random(n, 2, 3) || '.example', substr('DEFRIT', 1 + 2 * (n % 3), 2)
FROM generate_series(1, 2500) n;
INSERT INTO all_waitlist_signups
SELECT at, format('guest%s@crowd%s.example', n, n % 2), 'https://shop' || number || '.example', 'BR' FROM wave(40, 360);

CREATE TABLE all_rbac_denials (event_time timestamptz, operator text, permission text);
INSERT INTO all_rbac_denials SELECT some_time(n, 3), 'operator ' || pseudo_random(n, 4, 5), 'reports:read' FROM generate_series(1, 600) n;
INSERT INTO all_rbac_denials SELECT at, 'operator ' || number % 3, format('permission %s:admin', n) FROM wave(6, 240);

CREATE TABLE all_customer_audit_events (event_time timestamptz, operator text, action text);
INSERT INTO all_customer_audit_events
SELECT at + pseudo_random(extract(epoch FROM at)::bigint, 5, 200) * interval '1 second', 'operator 1', 'read'
FROM generate_series(timestamptz '2024-03-04', '2024-03-18 08:00', '5 minutes') at
WHERE at::time NOT BETWEEN '13:56' AND '14:40' AND at NOT BETWEEN '2024-03-15 22:00' AND '2024-03-16 06:00';
CREATE TABLE all_console_audit_events (event_time timestamptz, operator text, action text);
INSERT INTO all_console_audit_events
SELECT at, 'operator 2', 'deploy' FROM generate_series(timestamptz '2024-03-04 00:01', '2024-03-17 04:00', '3 minutes') at;

CREATE TABLE all_session_events (event_time timestamptz, ip inet, account text);
INSERT INTO all_session_events SELECT some_time(n, 6), ('203.0.113.' || pseudo_random(n, 7, 4))::inet, 'account ' || n % 40 FROM generate_series(1, 1500) n;
INSERT INTO all_session_events SELECT at, ('198.51.100.' || number)::inet, 'account ' || n FROM wave(60, 130);

CREATE TABLE all_error_events (event_time timestamptz, route text);
INSERT INTO all_error_events SELECT some_time(n, 8), '/r' || pseudo_random(n, 9, 4) FROM generate_series(1, 1500) n;
INSERT INTO all_error_events SELECT at, '/r' || number % 3 FROM wave(70, 150);

CREATE TABLE all_login_failures (event_time timestamptz, ip inet, account text);
INSERT INTO all_login_failures SELECT some_time(n, 10), '192.0.2.1', 'account ' || n % 60 FROM generate_series(1, 400) n;
INSERT INTO all_login_failures SELECT at, '192.0.2.66', 'account ' || number FROM wave(30, 300);

CREATE TABLE all_stripe_webhook_events (event_time timestamptz, signature_valid boolean);
INSERT INTO all_stripe_webhook_events SELECT some_time(n, 11), n % 97 <> 0 FROM generate_series(1, 1000) n;
INSERT INTO all_stripe_webhook_events SELECT at, false FROM wave(12, 300);

CREATE TABLE all_outbound_mail_events (event_time timestamptz, outcome text);
INSERT INTO all_outbound_mail_events SELECT some_time(n, 12), CASE WHEN n % 50 = 0 THEN 'hard_bounce' ELSE 'sent' END FROM generate_series(1, 4000) n;
INSERT INTO all_outbound_mail_events SELECT at, 'hard_bounce' FROM wave(40, 600);

CREATE TABLE all_dyno_samples (event_time timestamptz, app text, dyno_hours float8);
INSERT INTO all_dyno_samples
SELECT at, 'shop', 2 + pseudo_random(extract(epoch FROM at)::bigint, 13, 100) / 1000.0 + CASE WHEN EXISTS (SELECT FROM incidents i WHERE at BETWEEN i.at AND i.at + interval '2 hours') THEN 6 ELSE 0 END
FROM generate_series(timestamptz '2024-03-04', '2024-03-18 09:00', '30 minutes') at;

CREATE TABLE all_dyno_restarts (event_time timestamptz, app text, dyno text, cause text);
INSERT INTO all_dyno_restarts SELECT at, 'shop', 'web.' || n, 'crashed' FROM wave(4, 60);
CREATE TABLE all_deploy_events (event_time timestamptz, app text);
INSERT INTO all_deploy_events SELECT some_time(n, 14), 'blog' FROM generate_series(1, 30) n;

CREATE TABLE all_addon_changes (event_time timestamptz, app text, item text, actor text);
INSERT INTO all_addon_changes SELECT at, 'shop', 'PLAN_' || number, 'operator 3' FROM wave(1, 1);
CREATE TABLE all_change_records (event_time timestamptz, app text, item text);
INSERT INTO all_change_records SELECT timestamptz '2024-03-15 23:00' + number * interval '11 hours', 'shop', 'PLAN_' || number FROM wave(1, 1) WHERE number < 5;

CREATE TABLE clock (moment timestamptz NOT NULL, gated text NOT NULL, gate bigint NOT NULL);
INSERT INTO clock VALUES ('-infinity', '', 0);
SELECT format($$
ALTER TABLE all_%1$s ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ADD arrives timestamptz;
UPDATE all_%1$s SET arrives = event_time + CASE WHEN id %% 3 = 0 THEN pseudo_random(id, 15, 290) * interval '1 second' ELSE '0' END;
CREATE INDEX ON all_%1$s (event_time);
CREATE VIEW %1$s AS SELECT t.* FROM all_%1$s t CROSS JOIN clock c
WHERE t.arrives <= c.moment AND (c.gated <> %1$L OR t.id <> c.gate OR pg_advisory_xact_lock_shared(1) IS NOT NULL);
SELECT raxx_detect.bind_source(%1$L, %1$L) $$, substr(c.relname, 5))
FROM pg_class c WHERE c.relname LIKE 'all\_%' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY c.oid
\gexec
-- Rows of the audit log that come late, and end a silence that was found already.
UPDATE all_console_audit_events SET arrives = '2024-03-15 14:34' WHERE event_time BETWEEN '2024-03-15 13:56' AND '2024-03-15 14:33';
SELECT raxx_detect.bind_source('console_audit_events', 'console_audit_events', lateness => '40 minutes');
SELECT raxx_detect.set_params('webhook_postmark_bounce_spike', '{"activate_above": 100}');
VACUUM ANALYZE;
