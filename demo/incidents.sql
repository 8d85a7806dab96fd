-- What went wrong in those fourteen days: seven incidents, planted into the traffic of traffic.sql, in its session.
-- Each says what should be found. Times are relative to now, so that every run of the demo is fresh.
SELECT date_trunc('hour', :now) AS hour \gset

-- 1. Two days ago: somebody with the session of the operator farid tries six doors that only administrators have the
--    keys of, in eight minutes, from an address never seen before.  -> auth_rbac_denied_burst, HIGH
DELETE FROM rbac_denials
WHERE operator = 'farid'
    AND event_time BETWEEN timestamptz :'hour' - interval '52 hours' AND timestamptz :'hour' - interval '50 hours';
INSERT INTO rbac_denials (event_time, operator, permission, route, method, session_id, ip, user_agent)
SELECT timestamptz :'hour' - interval '51 hours' + n * interval '96 seconds', 'farid', permission,
       '/console/' || split_part(permission, ':', 1), 'POST', pg_temp.id(1, 1), '203.0.113.77', 'curl/8.14.1'
FROM unnest('{roles:admin,keys:admin,customers:admin,audit:admin,billing:admin,flags:admin}'::text[])
    WITH ORDINALITY AS p (permission, ordinality), LATERAL (SELECT ordinality - 1) AS o (n);

-- 2. Five days ago: the operator chiyo is refused five different things in nine minutes, none of them elevated; a role
--    was narrowed by mistake.  -> auth_rbac_denied_burst, MEDIUM
DELETE FROM rbac_denials
WHERE operator = 'chiyo'
    AND event_time BETWEEN timestamptz :'hour' - interval '122 hours' AND timestamptz :'hour' - interval '120 hours';
INSERT INTO rbac_denials (event_time, operator, permission, route, session_id, ip, user_agent)
SELECT timestamptz :'hour' - interval '121 hours' + n * interval '135 seconds', 'chiyo', permission,
       '/console/' || split_part(permission, ':', 1), pg_temp.id(2, 1), pg_temp.ip(3), pg_temp.user_agent(3)
FROM unnest('{customers:read,tickets:read,reports:read,reports:export,billing:read}'::text[])
    WITH ORDINALITY AS p (permission, ordinality), LATERAL (SELECT ordinality - 1) AS o (n);

-- 3. Yesterday: one page sends sixty sign-ups in four minutes; the addresses look like anybody's.
--    -> signup_waitlist_velocity_per_origin, HIGH
INSERT INTO waitlist_signups (created_at, email, origin, ip, country, user_agent)
SELECT timestamptz :'hour' - interval '29 hours 48 minutes' + n * interval '4 seconds', pg_temp.email(-n),
       'https://free-trading-bonus.example', pg_temp.ip(-n), 'US', pg_temp.user_agent(1)
FROM generate_series(1, 60) AS n;

-- 4. Three days ago: twelve sign-ups in five minutes at one throwaway domain, and at host names below it, spread over
--    the pages so that none of them stands out.  -> signup_email_pattern_anomaly, MEDIUM
INSERT INTO waitlist_signups (created_at, email, origin, ip, country, user_agent)
SELECT timestamptz :'hour' - interval '76 hours' + n * interval '23 seconds',
       pg_temp.pick('{lena,hugo,mila,jan,rosa,finn}', pg_temp.u(n, 30)) || n || '@'
           || pg_temp.pick('{"",mx1.,mx2.}', pg_temp.u(n, 31)) || 'tempbox-relay.example',
       pg_temp.pick('{https://getraxx.com,https://www.getraxx.com,https://blog.getraxx.com,https://docs.getraxx.com}',
           (n % 4) / 4.0),
       pg_temp.ip(-1000 - n), 'NL', pg_temp.user_agent(2)
FROM generate_series(1, 12) AS n;

-- 5. Six days ago: fourteen generated names at gmail.com in four minutes, all of one rare shape (x_99a).
--    -> signup_email_pattern_anomaly, MEDIUM
INSERT INTO waitlist_signups (created_at, email, origin, ip, country, user_agent)
SELECT timestamptz :'hour' - interval '146 hours' + n * interval '17 seconds',
       chr(96 + n) || '_' || 10 + (n * 37) % 90 || chr(97 + (n * 11) % 26) || '@gmail.com',
       pg_temp.pick('{https://getraxx.com,https://www.getraxx.com,https://blog.getraxx.com,https://docs.getraxx.com}',
           (n % 4) / 4.0),
       pg_temp.ip(-2000 - n), 'US', pg_temp.user_agent(3)
FROM generate_series(1, 14) AS n;

-- 6. The last complete weekday, 16:00 to 16:47 UTC: the writer of the customers' audit log was down while operators
--    and customers were at work.  -> data_audit_log_gap_window, customer_audit_events, HIGH
SELECT max(day) + interval '16 hours' AS gap
FROM generate_series(:now::date - 5, :now::date - 1, '1 day') AS day
WHERE extract(isodow FROM day) <= 5 \gset
DELETE FROM customer_audit_events
WHERE created_at BETWEEN timestamptz :'gap' AND timestamptz :'gap' + interval '47 minutes';
INSERT INTO customer_audit_events (created_at, customer_id, operator, action, target_type, request_id, payload)
VALUES (:'gap', 1001, 'scheduler', 'statement.generated', 'account', pg_temp.id(3, 1), '{"version": 3}'),
       (timestamptz :'gap' + interval '47 minutes', 1001, 'scheduler', 'statement.generated', 'account', pg_temp.id(4, 1),
        '{"version": 3}');

-- 7. Now: the console's audit log has been silent for five hours, and still is. By the part of that in business hours
--    it is HIGH or CRITICAL.  -> data_audit_log_gap_window, console_audit_events
DELETE FROM console_audit_events WHERE created_at >= :now - interval '5 hours';
INSERT INTO console_audit_events (created_at, operator, action, resource, payload)
VALUES (:now - interval '5 hours', 'scheduler', 'job.finished', 'reports', '{"duration_ms": 212}');
