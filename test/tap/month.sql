-- The application of operators_month.pl: its tables, and what happens in them between two instants. The rows of an instant depend on it alone, so that
-- it does not matter how the month is cut. Incidents are in a table of their own.
CREATE SCHEMA app;
SET search_path = app, public;

CREATE TABLE customer_audit_events (event_time timestamptz NOT NULL, operator text, action text);
CREATE TABLE console_audit_events (event_time timestamptz NOT NULL, operator text, action text);
CREATE TABLE rbac_denials (event_time timestamptz NOT NULL, operator text, permission text);
CREATE TABLE waitlist_signups (event_time timestamptz NOT NULL, email text, origin text);
CREATE TABLE session_events (event_time timestamptz NOT NULL, ip inet, account text);
CREATE TABLE error_events (event_time timestamptz NOT NULL, route text);
CREATE TABLE passkey_begin_events (event_time timestamptz NOT NULL, ip inet, email text);
CREATE TABLE stripe_webhook_events (event_time timestamptz NOT NULL, signature_valid boolean);
CREATE INDEX ON customer_audit_events (event_time);
CREATE INDEX ON console_audit_events (event_time);
CREATE INDEX ON rbac_denials (event_time);
CREATE INDEX ON waitlist_signups (event_time);
CREATE INDEX ON session_events (event_time);
CREATE INDEX ON error_events (event_time);
CREATE INDEX ON passkey_begin_events (event_time);
CREATE INDEX ON stripe_webhook_events (event_time);

-- Ten incidents, and what is noise.
CREATE TABLE incidents (incident text PRIMARY KEY, begins timestamptz NOT NULL, kind text NOT NULL, who text NOT NULL, rows int NOT NULL, lasts interval NOT NULL);

-- Every so often, at a moment within that depends on its number only.
CREATE FUNCTION moments(from_time timestamptz, to_time timestamptz, every interval, seed int, OUT n bigint, OUT at timestamptz) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
    SELECT n, timestamptz 'epoch' + n * every + (hashint8extended(n, seed) & 1048575) / 1048576.0 * every
    FROM generate_series(floor(extract(epoch FROM from_time) / extract(epoch FROM every))::bigint - 1, ceil(extract(epoch FROM to_time) / extract(epoch FROM every))::bigint) n
    WHERE timestamptz 'epoch' + n * every + (hashint8extended(n, seed) & 1048575) / 1048576.0 * every > from_time
      AND timestamptz 'epoch' + n * every + (hashint8extended(n, seed) & 1048575) / 1048576.0 * every <= to_time $$;
CREATE FUNCTION incident_rows(kinds text, from_time timestamptz, to_time timestamptz, OUT at timestamptz, OUT who text, OUT n int) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
    SELECT r.at, i.who, r.n FROM app.incidents i, generate_series(1, i.rows) n, LATERAL (SELECT i.begins + n * i.lasts / i.rows AS at, n) r
    WHERE i.kind = kinds AND r.at > from_time AND r.at <= to_time $$;

CREATE FUNCTION happen(from_time timestamptz, to_time timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.customer_audit_events SELECT m.at, 'operator ' || m.n % 4, 'read' FROM app.moments(from_time, to_time, '100 seconds', 1) m
    WHERE NOT EXISTS (SELECT FROM app.incidents i WHERE i.kind = 'silence' AND m.at BETWEEN i.begins AND i.begins + i.lasts);
    INSERT INTO app.console_audit_events SELECT m.at, 'operator ' || m.n % 4, 'deploy' FROM app.moments(from_time, to_time, '120 seconds', 2) m;
    INSERT INTO app.rbac_denials SELECT m.at, 'operator ' || m.n % 9, 'reports:read' FROM app.moments(from_time, to_time, '40 minutes', 3) m
    UNION ALL SELECT i.at, i.who, format('permission %s:admin', i.n) FROM app.incident_rows('probing', from_time, to_time) i;
    INSERT INTO app.waitlist_signups SELECT m.at, format('user%s@company%s.example', m.n, m.n), 'https://site' || m.n % 5 || '.example' FROM app.moments(from_time, to_time, '5 minutes', 4) m
    UNION ALL SELECT i.at, format('guest%s@crowd%s.example', i.n, (i.n + extract(epoch FROM i.at)::bigint) % 89), i.who FROM app.incident_rows('pumping', from_time, to_time) i;
    INSERT INTO app.session_events SELECT m.at, '203.0.113.0'::inet + m.n % 7, 'account ' || m.n % 40 FROM app.moments(from_time, to_time, '2 minutes', 5) m
    UNION ALL SELECT i.at, i.who::inet, 'account ' || i.n FROM app.incident_rows('sessions', from_time, to_time) i;
    INSERT INTO app.error_events SELECT m.at, '/r' || m.n % 4 FROM app.moments(from_time, to_time, '10 minutes', 6) m
    UNION ALL SELECT i.at, i.who FROM app.incident_rows('errors', from_time, to_time) i;
    INSERT INTO app.passkey_begin_events SELECT m.at, '192.0.2.0'::inet + m.n % 20, format('user%s@company.example', m.n) FROM app.moments(from_time, to_time, '5 minutes', 7) m
    UNION ALL SELECT i.at, i.who::inet, format('guest%s@crowd.example', i.n) FROM app.incident_rows('enumeration', from_time, to_time) i;
    INSERT INTO app.stripe_webhook_events SELECT m.at, true FROM app.moments(from_time, to_time, '15 minutes', 8) m
    UNION ALL SELECT i.at, false FROM app.incident_rows('forged', from_time, to_time) i;
END $$;
