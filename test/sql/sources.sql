-- Sources: which relation stands for what the rules read, and which column plays which role.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;

CREATE VIEW bindings AS
SELECT source, relation, columns, lateness, judge_from FROM raxx_detect.source_bindings ORDER BY source;
CREATE FUNCTION state_of(rule text) RETURNS text LANGUAGE sql AS $$
    SELECT (raxx_detect.refresh_state(rule)).state
$$;

-- ---- the contract: what each source has to offer -------------------------------------------------------------------
SELECT * FROM raxx_detect.source_contracts WHERE source IN ('waitlist_signups', 'rbac_denials', 'statement_samples');
SELECT source, bound, relation, columns, fresh, last_event, missing FROM raxx_detect.sources WHERE source IN ('waitlist_signups', 'rbac_denials');

-- ---- bind_source: by the names of the columns, created_at in place of event_time, or as told ------------------------
CREATE TABLE signups (id bigint PRIMARY KEY, created_at timestamptz, email varchar(320), origin text, ip cidr, note text);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT * FROM bindings;
SELECT source, bound, relation, fresh, last_event, missing FROM raxx_detect.sources WHERE source = 'waitlist_signups';
SELECT state_of('signup_waitlist_velocity_per_origin'), state_of('signup_email_pattern_anomaly'), state_of('signup_geographic_burst');
-- event_time comes before created_at, and a name given before both.
ALTER TABLE signups ADD COLUMN event_time timestamptz, ADD COLUMN "it's at" timestamptz;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "it''s at", "country": "note", "ip": null}');
-- Binding again replaces: there is one relation for a source.
CREATE SCHEMA "X y";
CREATE VIEW "X y"."select" AS SELECT created_at AS "to", email AS "from", origin AS "order" FROM signups;
SELECT raxx_detect.bind_source('waitlist_signups', '"X y"."select"', '{"event_time": "to", "email": "from", "origin": "order"}',
    judge_from => '2024-03-05', lateness => '1 hour');
SELECT * FROM bindings;
-- What is refused leaves the binding that was there.
\set SHOW_CONTEXT never
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"email": "mail"}');
SELECT source, relation, lateness FROM bindings;

-- ---- every kind of relation that has rows --------------------------------------------------------------------------
CREATE TABLE parted (event_time timestamptz, operator text, permission text) PARTITION BY RANGE (event_time);
CREATE MATERIALIZED VIEW kept AS SELECT * FROM parted;
CREATE TEMPORARY TABLE temporary AS SELECT * FROM parted;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE abroad (event_time timestamptz, operator text, permission text) SERVER nowhere;
SELECT r.relation, raxx_detect.bind_source('rbac_denials', r.relation) FROM (VALUES ('parted'::regclass), ('kept'), ('temporary'), ('abroad')) r(relation);
SELECT source, bound, relation, missing FROM raxx_detect.sources WHERE source = 'rbac_denials';

-- ---- the types that can play a role --------------------------------------------------------------------------------
CREATE TYPE colour AS ENUM ('red');
CREATE DOMAIN instant AS timestamptz;
CREATE DOMAIN short_text AS text;
CREATE DOMAIN shorter_text AS short_text;
CREATE DOMAIN small_number AS numeric(4, 2);
CREATE TABLE anything (a_timestamptz timestamptz, an_instant instant, a_timestamp timestamp, a_date date, a_text text, a_varchar varchar, a_bpchar char(3),
    a_name name, an_enum colour, a_uuid uuid, an_int int, a_bigint bigint, a_smallint smallint, a_numeric numeric, a_real real, a_float8 float8, an_inet inet, a_cidr cidr,
    a_boolean boolean, a_jsonb jsonb, a_bytea bytea, an_array text[], a_domain short_text, a_domain_of_domain shorter_text, a_number_domain small_number, an_oid oid,
    an_interval interval);
SELECT r.role, string_agg(a.attname, ', ' ORDER BY a.attnum) AS accepted
FROM (VALUES ('timestamptz'::regtype), ('text'), ('inet'), ('numeric'), ('float8'), ('bigint'), ('boolean')) r(role)
JOIN pg_attribute a ON a.attrelid = 'anything'::regclass AND a.attnum > 0 AND raxx_detect.role_accepts(r.role, a.atttypid)
GROUP BY r.role ORDER BY r.role::text COLLATE "C";

-- ---- unbind_source -------------------------------------------------------------------------------------------------
SELECT raxx_detect.unbind_source('waitlist_signups') AS was_bound, raxx_detect.unbind_source('waitlist_signups') AS still_bound;
SELECT state_of('signup_waitlist_velocity_per_origin');
SELECT state_reason FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.unbind_source('rbac_denials');

-- ---- a relation that is gone is missed, not forgotten ---------------------------------------------------------------
CREATE TABLE denials (event_time timestamptz, operator text, permission text);
INSERT INTO denials VALUES ('2024-03-05 12:00', 'ops', 'users:admin'), ('infinity', 'ops', 'users:admin'), ('-infinity', 'ops', 'users:admin');
SELECT raxx_detect.bind_source('rbac_denials', 'denials');
SELECT bound, relation, fresh, last_event, missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
ALTER TABLE denials RENAME TO renamed;
SELECT bound, relation, last_event, missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
ALTER TABLE renamed RENAME COLUMN event_time TO happened_at;
SELECT bound, relation, last_event, missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
DROP TABLE renamed;
SELECT bound, last_event, regexp_replace(missing, '[0-9]+', 'N') AS missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
SELECT source, bound FROM raxx_detect.sources WHERE bound;
-- One that cannot be read says why, and the others are still shown.
CREATE VIEW broken AS SELECT now() - (1 / (random() * 0)::int) * interval '1 s' AS event_time, ''::text AS operator, ''::text AS permission;
SELECT raxx_detect.bind_source('rbac_denials', 'broken');
SELECT bound, relation, missing FROM raxx_detect.sources WHERE source = 'rbac_denials';
SELECT count(*) FROM raxx_detect.sources;
SELECT raxx_detect.unbind_source('rbac_denials');

-- ---- fresh: whether the last event is as recent as it should be ------------------------------------------------------
CREATE TABLE recent AS SELECT now() - interval '1 hour' AS event_time, '1.2.3.4'::inet AS ip, 'x'::text AS email, 'y'::text AS origin;
SELECT raxx_detect.bind_source('passkey_begin_events', 'recent'), raxx_detect.bind_source('rbac_denials', 'recent', '{"operator": "email", "permission": "origin"}');
SELECT source, bound, fresh, last_event = (SELECT event_time FROM recent) AS last, missing FROM raxx_detect.sources WHERE bound;
UPDATE recent SET event_time = '2024-03-05 12:00';
SELECT source, bound, fresh, last_event, missing FROM raxx_detect.sources WHERE bound;
-- Tomorrow's row is no sign of life.
UPDATE recent SET event_time = now() + interval '1 day';
SELECT source, bound, fresh, last_event, missing FROM raxx_detect.sources WHERE bound;
SELECT raxx_detect.unbind_source('passkey_begin_events'), raxx_detect.unbind_source('rbac_denials');

-- ---- create_source_table: a table with the roles of a source, bound if nothing is ------------------------------------
SELECT raxx_detect.create_source_table('waitlist_signups');
SELECT a.attname, a.atttypid::regtype, a.attnotnull FROM pg_attribute a
WHERE a.attrelid = 'waitlist_signups'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT indexdef FROM pg_indexes WHERE tablename = 'waitlist_signups' ORDER BY indexname COLLATE "C";
SELECT source, relation, columns FROM bindings;
-- A second one does not take over.
SELECT raxx_detect.create_source_table('waitlist_signups', '"X y"."another ""table"""');
SELECT raxx_detect.create_source_table('waitlist_signups', 'Folded');
SELECT source, relation FROM bindings;
SELECT raxx_detect.create_source_table('statement_samples');
SELECT source, relation, columns FROM bindings;
-- There is one for every source, and each fits its own contract.
CREATE SCHEMA every_source;
SELECT count(raxx_detect.create_source_table(source, 'every_source.' || source)) FROM raxx_detect.source_kinds;
SELECT source FROM raxx_detect.source_kinds
WHERE raxx_detect.match_columns(source, ('every_source.' || source)::regclass, '{}') IS NULL
   OR NOT EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = source_kinds.source);
DELETE FROM raxx_detect.source_bindings;
DROP SCHEMA every_source CASCADE;
DROP TABLE waitlist_signups, statement_samples, folded CASCADE;

-- ---- autobind: by name, where there is exactly one relation and its columns fit ---------------------------------------
CREATE TABLE rbac_denials (happened_at timestamptz, operator text, permission text);        -- lacks event_time
CREATE TABLE waitlist_signups (event_time timestamptz, email text, origin boolean);          -- a wrong type
CREATE VIEW login_failures AS SELECT now() AS created_at, '::1'::inet AS ip, ''::text AS account;
CREATE TABLE "X y".deploy_events (event_time timestamptz, app text);
CREATE TABLE customer_audit_events (created_at timestamptz);
CREATE TABLE "X y".customer_audit_events (created_at timestamptz);                           -- ambiguous
CREATE TYPE error_events AS (event_time timestamptz, route text);                            -- not a relation to read
CREATE TABLE "Session_Events" (event_time timestamptz, ip inet);                             -- not of that name
SELECT * FROM raxx_detect.autobind();
SELECT source, relation, columns FROM bindings;
-- Again, after mending: what is bound is left alone, even where there are more by now.
ALTER TABLE rbac_denials RENAME COLUMN happened_at TO event_time;
DROP TABLE "X y".customer_audit_events;
CREATE TABLE deploy_events (event_time timestamptz, app text);
SELECT * FROM raxx_detect.autobind();
SELECT source, relation FROM bindings;
-- What the caller may not read stays unbound.
CREATE ROLE regress_raxx_operator;
GRANT USAGE ON SCHEMA raxx_detect TO regress_raxx_operator;
GRANT ALL ON ALL TABLES IN SCHEMA raxx_detect TO regress_raxx_operator;
CREATE TABLE console_audit_events (event_time timestamptz, operator text);
GRANT SELECT (event_time) ON console_audit_events TO regress_raxx_operator;
SET ROLE regress_raxx_operator;
SELECT * FROM raxx_detect.autobind() WHERE source = 'console_audit_events';
RESET ROLE;
GRANT SELECT ON console_audit_events TO regress_raxx_operator;
SET ROLE regress_raxx_operator;
SELECT * FROM raxx_detect.autobind() WHERE source = 'console_audit_events';
SELECT bound_by FROM raxx_detect.source_bindings WHERE source = 'console_audit_events';
RESET ROLE;
-- The temporary tables of a session are nobody's source.
CREATE TEMPORARY TABLE addon_changes (event_time timestamptz, app text, item text, actor text);
SELECT * FROM raxx_detect.autobind() WHERE source = 'addon_changes';

DROP OWNED BY regress_raxx_operator;
DROP ROLE regress_raxx_operator;
DROP SCHEMA "X y" CASCADE;
DROP TABLE rbac_denials, waitlist_signups, customer_audit_events, deploy_events, console_audit_events, "Session_Events", anything, recent, addon_changes;
DROP TABLE signups, parted CASCADE;
DROP VIEW login_failures, broken, bindings;
DROP TABLE temporary;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
DROP TYPE error_events, colour;
DROP DOMAIN instant, shorter_text, short_text, small_number;
DROP FUNCTION state_of;
DROP EXTENSION raxx_detect;
CREATE EXTENSION raxx_detect;
