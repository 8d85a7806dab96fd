-- What a hostile neighbour may try: nested evaluations that change the relation being read, and planted views.
SET timezone = 'UTC';

-- A view whose planning evaluates another relation, after it has changed the view itself.
CREATE TABLE outer_rows AS SELECT 1 AS id, timestamptz '2026-01-01' AS at, repeat('a', 30) AS who FROM generate_series(1, 5);
CREATE TABLE inner_rows AS SELECT timestamptz '2026-01-01' AS at, 12345678::bigint AS who FROM generate_series(1, 5);
CREATE FUNCTION change_view() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER VIEW watched ALTER COLUMN id SET DEFAULT 1; END $$;
CREATE FUNCTION meddle() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('hostile.fire', true) = '1' THEN
        PERFORM set_config('hostile.fire', '0', false);
        PERFORM change_view();
        PERFORM raxx_detect.velocity_episodes('inner_rows', 'at', 'who', '5 minutes', 3, '-infinity', 'infinity');
    END IF;
    RETURN 0;
END $$;
CREATE VIEW watched AS SELECT at, who, id + 0 AS id FROM outer_rows WHERE id >= meddle();
SET hostile.fire = '1';
SELECT * FROM raxx_detect.velocity_episodes('watched', 'at', 'who', '5 minutes', 3, '-infinity', 'infinity');
SELECT * FROM raxx_detect.velocity_episodes('inner_rows', 'at', 'who', '5 minutes', 3, '-infinity', 'infinity');
SELECT * FROM raxx_detect.velocity_episodes('watched', 'at', 'who', '5 minutes', 3, '-infinity', 'infinity');
DROP VIEW watched;
DROP TABLE outer_rows, inner_rows;
DROP FUNCTION meddle, change_view;

-- A view under a source's name, planted by somebody: autobind leaves it alone, so that nothing of it is ever run.
CREATE ROLE regress_raxx_mallory;
CREATE SCHEMA mallory AUTHORIZATION regress_raxx_mallory;
SET ROLE regress_raxx_mallory;
CREATE FUNCTION mallory.pounce() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'pounced as %', current_user; END $$;
CREATE VIEW mallory.login_failures AS SELECT now() AS event_time, '192.0.2.1'::inet AS ip, 'x'::text AS account WHERE mallory.pounce();
RESET ROLE;
SELECT * FROM raxx_detect.autobind();
SELECT count(*) FROM raxx_detect.source_bindings WHERE source = 'login_failures';
-- And it does not stand in the way of the real one.
CREATE TABLE login_failures (event_time timestamptz, ip inet, account text);
SELECT source, relation FROM raxx_detect.autobind();
SELECT raxx_detect.unbind_source('login_failures');
DROP TABLE login_failures;
SET client_min_messages = warning;
DROP SCHEMA mallory CASCADE;
RESET client_min_messages;
DROP ROLE regress_raxx_mallory;

-- Rows at the beginning of time.
SELECT raxx_detect.create_source_table('waitlist_signups', 'hostile_signups');
INSERT INTO hostile_signups (event_time, email, origin) SELECT '4714-11-24 00:00:00+00 BC', 'a@corp.example', 'https://o.example' FROM generate_series(1, 30);
SELECT outcome, findings_new FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-01-01');
SELECT outcome, findings_new FROM raxx_detect.run('signup_email_pattern_anomaly', '2026-01-01');
SELECT raxx_detect.unbind_source('waitlist_signups');
DROP TABLE hostile_signups;
DELETE FROM raxx_detect.detection_findings;
