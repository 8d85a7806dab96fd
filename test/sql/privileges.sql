-- Nothing runs with more rights than who asked for it: relations are read as the caller may read them.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE ROLE regress_raxx_owner;
CREATE ROLE regress_raxx_reader;
CREATE SCHEMA app AUTHORIZATION regress_raxx_owner;
GRANT USAGE ON SCHEMA raxx_detect, app TO regress_raxx_owner, regress_raxx_reader;
SET ROLE regress_raxx_owner;
CREATE TABLE app.events (at timestamptz, who text, what text, secret text);
INSERT INTO app.events SELECT timestamptz '2024-03-05 12:00' + n * interval '1 second', 'who ' || n % 2, 'what ' || n, 'hidden' FROM generate_series(1, 20) n;
CREATE VIEW app.seen AS SELECT at, who FROM app.events;
RESET ROLE;
\set velocity 'raxx_detect.velocity_episodes(''app.events'', ''at'', ''who'', ''1 minute'', 5, ''-infinity'', ''infinity'')'

-- ---- columns: those that are read, and no others -------------------------------------------------------------------
SET ROLE regress_raxx_reader;
SELECT count(*) FROM :velocity;
RESET ROLE;
GRANT SELECT (at, who) ON app.events TO regress_raxx_reader;
SET ROLE regress_raxx_reader;
SELECT entity, peak FROM :velocity;
SELECT entity, peak FROM raxx_detect.distinct_episodes('app.events', 'at', 'who', 'what', '1 minute', 5, '-infinity', 'infinity');
SELECT count(*) FROM raxx_detect.gaps('app.events', 'at', '1 minute', '-infinity', 'infinity');
-- What a session was allowed once it is not allowed for good: the plan it keeps is no key.
RESET ROLE;
REVOKE SELECT (who) ON app.events FROM regress_raxx_reader;
SET ROLE regress_raxx_reader;
SELECT count(*) FROM :velocity;
SELECT count(*) FROM raxx_detect.gaps('app.events', 'at', '1 minute', '-infinity', 'infinity');
RESET ROLE;
SELECT entity, peak FROM :velocity;

-- ---- views show what their owner may see -----------------------------------------------------------------------------
GRANT SELECT ON app.seen TO regress_raxx_reader;
SET ROLE regress_raxx_reader;
SELECT entity, peak FROM raxx_detect.velocity_episodes('app.seen', 'at', 'who', '1 minute', 5, '-infinity', 'infinity');
RESET ROLE;

-- ---- row security: each caller has the rows that are theirs, in one session ------------------------------------------
GRANT SELECT ON app.events TO regress_raxx_reader;
SET ROLE regress_raxx_owner;
ALTER TABLE app.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_one ON app.events FOR SELECT TO regress_raxx_reader USING (who = 'who 1');
RESET ROLE;
SET ROLE regress_raxx_reader;
SELECT entity, peak FROM :velocity;
RESET ROLE;
SELECT entity, peak FROM :velocity;
SET ROLE regress_raxx_reader;
SELECT entity, peak FROM :velocity;
SET row_security = off;
SELECT entity, peak FROM :velocity;
RESET row_security;
RESET ROLE;
DROP POLICY only_one ON app.events;
SET ROLE regress_raxx_reader;
SELECT entity, peak FROM :velocity;
RESET ROLE;

-- ---- what a caller puts on the search_path is not called -------------------------------------------------------------
CREATE SCHEMA trap;
CREATE FUNCTION trap.trapped(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.trapped);
CREATE OPERATOR trap.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.trapped);
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE TABLE trap.rules (rule_id text);
SET search_path = trap, pg_catalog, public;
SELECT entity, peak FROM raxx_detect.velocity_episodes('app.events', 'at', 'who', '1 minute', 5, '2024-03-05', '2024-03-06');
SELECT raxx_detect.create_source_table('rbac_denials', 'app.rbac_denials');
SELECT rule_id, outcome FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-05');
SELECT count(*) FROM raxx_detect.sources;
RESET search_path;

-- ---- a role that has been given the tables of the extension can run it on what it may read ------------------------------
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO regress_raxx_owner;
SET ROLE regress_raxx_owner;
SELECT raxx_detect.bind_source('rbac_denials', 'app.events', '{"event_time": "at", "operator": "who", "permission": "what"}');
SELECT rule_id, outcome, findings_new FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-06');
SELECT entity, severity, observed FROM raxx_detect.detection_findings ORDER BY entity;
RESET ROLE;
-- One that may not read the source gets an error of that rule, which says so, and a source that is missing.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO regress_raxx_reader;
REVOKE SELECT ON app.events FROM regress_raxx_reader;
SET ROLE regress_raxx_reader;
SELECT rule_id, outcome, findings_new, detail FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-07');
SELECT missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
RESET ROLE;
SELECT entity, condition FROM raxx_detect.detection_findings ORDER BY entity;

DROP SCHEMA app, trap CASCADE;
DROP OWNED BY regress_raxx_owner, regress_raxx_reader;
DROP ROLE regress_raxx_owner, regress_raxx_reader;
DROP EXTENSION raxx_detect;
CREATE EXTENSION raxx_detect;
