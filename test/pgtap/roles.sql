-- The roles that docs/roles.sql makes: what each may do, and what it may not.
BEGIN;
SELECT plan(71);
SET LOCAL client_min_messages = error;
\ir ../../docs/roles.sql
\ir ../../docs/roles.sql

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES ('signup_waitlist_velocity_per_origin', 'D', 'signup', 'waitlist_signups', severity, entity, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
        entity || ': 60 sign-ups', '{}', 'firing', 1, 'sre-agent') RETURNING finding_id $$;
-- What comes of a statement of a role, which leaves nothing behind: may, or the SQLSTATE.
CREATE FUNCTION pg_temp.may(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE sqlstate WHEN 'ZZZZZ' THEN 'may' ELSE sqlstate END;
END $$;
CREATE VIEW pg_temp.relations AS
SELECT c.oid, c.relname, c.relkind FROM pg_class c WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm');
-- What a role may write, of its own and of roles that it is a member of: table, or table.column.
CREATE FUNCTION pg_temp.writes(role text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT p.privilege || ' ' || r.relname FROM pg_temp.relations r, unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) p(privilege)
    WHERE has_table_privilege(role, r.oid, p.privilege)
    UNION ALL
    SELECT p.privilege || ' ' || r.relname || '.' || a.attname FROM pg_temp.relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped,
           unnest('{INSERT,UPDATE}'::text[]) p(privilege)
    WHERE NOT has_table_privilege(role, r.oid, p.privilege) AND has_column_privilege(role, r.oid, a.attname, p.privilege) $$;
CREATE TABLE public.people_signups (signed_up_at timestamptz, origin text, email text, ip inet);
CREATE INDEX ON public.people_signups (signed_up_at);
GRANT SELECT ON public.people_signups TO raxx_runner, raxx_admin;
SELECT raxx_detect.bind_source('waitlist_signups', 'public.people_signups', '{"event_time": "signed_up_at"}');
CREATE TEMP TABLE f AS SELECT pg_temp.find('high', 'found before') AS id;
GRANT SELECT ON f TO PUBLIC;
CREATE ROLE people_alice LOGIN;
CREATE ROLE people_nobody LOGIN;
GRANT raxx_operator TO people_alice;

-- ---- nobody ----------------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.may('people_nobody', 'SELECT * FROM raxx_detect.detection_findings'), '42501', 'who has no role sees nothing');
SELECT is(pg_temp.may('people_nobody', format('SELECT raxx_detect.acknowledge(%s)', id)), '42501', 'and does nothing') FROM f;
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'raxx_detect'::regnamespace AND p.prosecdef$$, 'no function lends rights');

-- ---- readers ---------------------------------------------------------------------------------------------------------------
SELECT is_empty($$SELECT relname FROM pg_temp.relations WHERE has_table_privilege('raxx_reader', oid, 'SELECT') = (relname = 'finding_rows')$$, 'a reader sees every table and view, but hashes of rows');
SELECT is_empty($$SELECT relname, pg_temp.may('raxx_reader', format('SELECT * FROM raxx_detect.%I', relname)) FROM pg_temp.relations
    WHERE pg_temp.may('raxx_reader', format('SELECT * FROM raxx_detect.%I', relname)) <> 'may' AND relname <> 'finding_rows'$$, 'and can look at each');
SELECT is_empty($$SELECT pg_temp.writes('raxx_reader')$$, 'and writes nothing');
SELECT is(pg_temp.may('raxx_reader', format(s, id)), '42501', 'a reader may not: ' || s) FROM f, unnest(ARRAY['SELECT raxx_detect.acknowledge(%s)', 'SELECT raxx_detect.triage(%s, ''benign'')',
    'SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', ''r %s'')', 'SELECT raxx_detect.add_exception(''signup_waitlist_velocity_per_origin'', ''x'', ''r %s'', now() + interval ''1 hour'')',
    'UPDATE raxx_detect.detection_findings SET triage = ''closed'' WHERE finding_id = %s', 'SELECT raxx_detect.set_params(''signup_waitlist_velocity_per_origin'', ''{"threshold": %s}'')']) s;

-- ---- operators -------------------------------------------------------------------------------------------------------------
SELECT set_eq($$SELECT pg_temp.writes('raxx_operator')$$, $$VALUES ('UPDATE detection_findings.triage'), ('UPDATE detection_findings.disposition'), ('UPDATE detection_findings.note'),
    ('INSERT finding_actions.finding_id'), ('INSERT finding_actions.action'), ('INSERT finding_actions.disposition'), ('INSERT finding_actions.note'),
    ('INSERT silences.rule_id'), ('INSERT silences.entity'), ('INSERT silences.until'), ('INSERT silences.reason'), ('UPDATE silences.ended_because'),
    ('INSERT exceptions.rule_id'), ('INSERT exceptions.entity'), ('INSERT exceptions.expires_at'), ('INSERT exceptions.reason'), ('UPDATE exceptions.ended_because'),
    ('INSERT approvals.rule_id'), ('INSERT approvals.reason'), ('INSERT approvals.until'), ('UPDATE downgrades.ended_at'), ('UPDATE downgrades.ended_by'), ('UPDATE downgrades.end_reason')$$,
    'an operator writes people''s columns, and nothing else');
SELECT is_empty($$SELECT a.attname, pg_temp.may('people_alice', format('UPDATE raxx_detect.detection_findings SET %1$I = %1$I', a.attname)) FROM pg_attribute a
    WHERE a.attrelid = 'raxx_detect.detection_findings'::regclass AND a.attnum > 0 AND a.attname <> ALL ('{triage,disposition,note}')
      AND pg_temp.may('people_alice', format('UPDATE raxx_detect.detection_findings SET %1$I = %1$I', a.attname)) NOT IN ('42501', '428C9')$$, 'no column of the engine''s is theirs, tried one by one');
SELECT is(pg_temp.may('people_alice', s), '42501', 'an operator may not: ' || left(s, 70)) FROM unnest(ARRAY['DELETE FROM raxx_detect.detection_findings',
    'INSERT INTO raxx_detect.finding_actions (finding_id, action) VALUES (1, ''closed'')', 'INSERT INTO raxx_detect.finding_actions (finding_id, action, acted_by) VALUES (1, ''closed'', ''bob'')',
    'UPDATE raxx_detect.finding_actions SET note = ''x''', 'DELETE FROM raxx_detect.finding_actions', 'TRUNCATE raxx_detect.finding_actions', 'DELETE FROM raxx_detect.silences', 'DELETE FROM raxx_detect.exceptions',
    'UPDATE raxx_detect.silences SET until = now()', 'INSERT INTO raxx_detect.silences (until, reason, created_by) VALUES (now() + interval ''1 hour'', ''r'', ''bob'')',
    'SELECT raxx_detect.add_exception(''auth_rbac_denied_burst'', ''people_alice'', ''r'', now() + interval ''1 hour'')', 'SELECT raxx_detect.silence(''auth_rbac_denied_burst'', NULL, now() + interval ''1 hour'', ''r'')',
    'UPDATE raxx_detect.rules SET allows_exceptions = true', 'UPDATE raxx_detect.notification_settings SET max_silence = ''300 days''',
    'SELECT raxx_detect.set_params(''signup_waitlist_velocity_per_origin'', ''{"threshold": 1000}'')', 'SELECT raxx_detect.disable(''signup_waitlist_velocity_per_origin'', ''r'')',
    'UPDATE raxx_detect.deliveries SET state = ''cancelled''', 'UPDATE raxx_detect.channels SET enabled = false']) s;
-- In vain, too: to pretend that a dump is restored, or that a trigger of one's own is the triage.
SELECT is(pg_temp.may('people_alice', 'SET LOCAL check_function_bodies = off; INSERT INTO raxx_detect.finding_actions (finding_id, action) VALUES (1, ''closed'')'), '42501', 'only who owns the history restores it');
SELECT is(pg_temp.may('people_alice', 'SET LOCAL check_function_bodies = off; INSERT INTO raxx_detect.exceptions (rule_id, entity, reason, expires_at) VALUES (''auth_rbac_denied_burst'', ''me'', ''r'', now() + interval ''1 hour'')'), '42501', 'and exceptions');
SET SESSION AUTHORIZATION people_alice;
SELECT raxx_detect.acknowledge(id, 'mine') FROM f;
SELECT raxx_detect.triage(id, 'benign', 'a crowd') FROM f;
SELECT raxx_detect.reopen(id, 'no') FROM f;
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged', note = 'by hand' WHERE finding_id IN (SELECT id FROM f);
CREATE TEMP TABLE acts AS SELECT raxx_detect.silence(NULL, 'quiet', now() + interval '1 hour', 'r') AS silence, raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'known', 'r', now() + interval '1 hour') AS exception,
    raxx_detect.silence(NULL, 'q2', now() + interval '1 hour', 'r') AS silence2, raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'k2', 'r', now() + interval '1 hour') AS exception2;
SELECT raxx_detect.end_silence(silence2, 'r'), raxx_detect.end_exception(exception2, 'r') FROM acts;
RESET SESSION AUTHORIZATION;
SELECT results_eq('SELECT action, note, acted_by FROM raxx_detect.finding_actions, f WHERE finding_id = id ORDER BY action_id',
    $$VALUES ('acknowledged', 'mine', 'people_alice'::name), ('closed', 'a crowd', 'people_alice'), ('reopened', 'no', 'people_alice'), ('acknowledged', 'by hand', 'people_alice')$$, 'what an operator does is on record, under the operator''s name');
SELECT is(array_agg(DISTINCT created_by) || array_agg(DISTINCT ended_by ORDER BY ended_by) , '{people_alice,people_alice,NULL}'::name[], 'silences, too') FROM raxx_detect.silences;
SELECT is(array_agg(DISTINCT created_by) || array_agg(DISTINCT ended_by ORDER BY ended_by), '{people_alice,people_alice,NULL}'::name[], 'and exceptions') FROM raxx_detect.exceptions;

-- ---- the runner --------------------------------------------------------------------------------------------------------------
SELECT is_empty($$SELECT w FROM pg_temp.writes('raxx_runner') w WHERE w ~ 'detection_findings[.](triage|disposition|note)$' OR w ~ 'finding_actions|silences|exceptions($|[.])|TRUNCATE'
    OR w ~ ' (rules|routes|channels|notification_settings|source_bindings)$'$$, 'the runner writes no column of people''s, and sets nothing');
SELECT is_empty($$SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'raxx_detect.detection_findings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attname <> ALL ('{triage,disposition,note}') AND NOT has_column_privilege('raxx_runner', a.attrelid, a.attname, 'UPDATE')$$, 'but every one of the engine''s');
SELECT is(pg_temp.may('raxx_runner', format(s, id)), '42501', 'the runner may not: ' || left(s, 70)) FROM f, unnest(ARRAY['SELECT raxx_detect.acknowledge(%s)', 'SELECT raxx_detect.triage(%s, ''benign'')',
    'UPDATE raxx_detect.detection_findings SET note = ''x'' WHERE finding_id = %s', 'SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', ''r %s'')',
    'SELECT raxx_detect.add_exception(''signup_waitlist_velocity_per_origin'', ''x'', ''r %s'', now() + interval ''1 hour'')', 'INSERT INTO raxx_detect.finding_actions (finding_id, action) VALUES (%s, ''closed'')',
    'SELECT raxx_detect.set_params(''signup_waitlist_velocity_per_origin'', ''{"threshold": %s}'')', 'UPDATE raxx_detect.rules SET allows_exceptions = true WHERE %s > 0']) s;
INSERT INTO public.people_signups SELECT now() - interval '20 minutes' + s * interval '1 second', o, s || '@x' || o || '.example', '203.0.113.1' FROM unnest('{known,quiet,other}'::text[]) o, generate_series(1, 30) s;
SET SESSION AUTHORIZATION raxx_runner;
CREATE TEMP TABLE run AS SELECT * FROM raxx_detect.run_all();
RESET SESSION AUTHORIZATION;
SELECT is_empty($$SELECT rule_id, detail FROM run WHERE outcome = 'error'$$, 'the runner runs all rules');
SELECT set_eq($$SELECT entity, exception_id IS NOT NULL, (SELECT count(*) FROM raxx_detect.deliveries d WHERE d.finding_id = f.finding_id AND d.state = 'silenced') AS held,
    (SELECT count(*) FROM raxx_detect.deliveries d WHERE d.finding_id = f.finding_id AND d.state <> 'silenced') FROM raxx_detect.detection_findings f WHERE entity <> 'found before' AND rule_id = 'signup_waitlist_velocity_per_origin'$$,
    $$VALUES ('known', true, 0::bigint, 0::bigint), ('quiet', false, 1, 0), ('other', false, 0, 1)$$, 'finds, sets aside and holds back');
-- Time goes by; what still lasts is told.
ALTER TABLE raxx_detect.silences DISABLE TRIGGER USER; ALTER TABLE raxx_detect.exceptions DISABLE TRIGGER USER;
UPDATE raxx_detect.silences SET until = now(); UPDATE raxx_detect.exceptions SET expires_at = now(), created_at = now() - interval '1 hour';
UPDATE raxx_detect.detection_findings SET condition = 'firing', episode = tstzrange(lower(episode), NULL) WHERE entity IN ('known', 'quiet');
SET SESSION AUTHORIZATION raxx_runner;
SELECT raxx_detect.tell_what_lasts();
RESET SESSION AUTHORIZATION;
SELECT set_eq($$SELECT f.entity FROM raxx_detect.deliveries d JOIN raxx_detect.detection_findings f USING (finding_id) WHERE d.state <> 'silenced' AND f.entity <> 'found before' AND rule_id = 'signup_waitlist_velocity_per_origin'$$, '{known,quiet,other}'::text[], 'and tells what lasts');

-- ---- the notifier ----------------------------------------------------------------------------------------------------------------
SELECT is_empty($$SELECT w FROM pg_temp.writes('raxx_notifier') w WHERE w !~ '^(INSERT|UPDATE) (deliveries|channel_states|notifiers|digests)$'$$, 'the notifier writes the outbox alone');
UPDATE raxx_detect.deliveries SET state = 'silenced', silence_id = silence, deadline = NULL FROM acts WHERE finding_id IN (SELECT id FROM f);
SELECT is(pg_temp.may('raxx_notifier', $$SELECT raxx_detect.claim_deliveries('w', ARRAY(SELECT channel FROM raxx_detect.channels)); SELECT raxx_detect.make_digest(now(), true)$$), 'may', 'it claims, tells after silences, and makes digests');
SELECT is(pg_temp.may('raxx_notifier', format('SELECT raxx_detect.acknowledge(%s)', id)), '42501', 'and acts on nothing') FROM f;

-- ---- admins ------------------------------------------------------------------------------------------------------------------------
SELECT is_empty($$SELECT w FROM pg_temp.writes('raxx_admin') w WHERE w ~ 'detection_findings' AND w !~ '[.](triage|disposition|note)$' OR w ~ '(UPDATE|DELETE|TRUNCATE) (finding_actions|rule_runs|rule_state_changes|silences|exceptions)$'
    OR w ~ 'chain'$$, 'an admin writes no column of the engine''s, and no record');
SELECT is(pg_temp.may('raxx_admin', s), 'may', 'an admin may: ' || left(s, 70)) FROM f, unnest(ARRAY[format('SELECT raxx_detect.triage(%s, ''benign'')', id), 'SELECT raxx_detect.set_params(''signup_waitlist_velocity_per_origin'', ''{"threshold": 30, "window": "10 minutes"}'')',
    'SELECT raxx_detect.disable(''signup_waitlist_velocity_per_origin'', ''r''); SELECT raxx_detect.enable(''signup_waitlist_velocity_per_origin'')',
    'SELECT raxx_detect.unbind_source(''waitlist_signups''); SELECT raxx_detect.bind_source(''waitlist_signups'', ''public.people_signups'', ''{"event_time": "signed_up_at"}'')',
    'SELECT raxx_detect.set_posture(''pre_launch''); UPDATE raxx_detect.notification_settings SET max_silence = ''1 day''',
    'INSERT INTO raxx_detect.channels (channel, kind) VALUES (''c'', ''stdout''); UPDATE raxx_detect.channels SET channel = ''d'' WHERE channel = ''c''; DELETE FROM raxx_detect.channels WHERE channel = ''d''',
    'UPDATE raxx_detect.routes SET enabled = false WHERE severity = ''low''', 'SELECT raxx_detect.refresh(true)', 'SELECT raxx_detect.retire(''data_backtest_benford'', ''r'')']) s;
SELECT is(pg_temp.may('people_alice', 'SELECT raxx_detect.approve(''data_backtest_benford'', ''r'', now() + interval ''1 day'')'), 'may', 'an operator may approve a rule beyond the ceiling');
SELECT is(pg_temp.may('raxx_admin', s), '42501', 'an admin may not: ' || s) FROM unnest(ARRAY['UPDATE raxx_detect.detection_findings SET severity = ''low''', 'DELETE FROM raxx_detect.detection_findings',
    'UPDATE raxx_detect.finding_actions SET note = ''x''', 'DELETE FROM raxx_detect.finding_actions', 'DELETE FROM raxx_detect.rule_runs', 'DELETE FROM raxx_detect.exceptions']) s;

-- A broader grant of before is taken back.
GRANT ALL ON raxx_detect.detection_findings TO raxx_runner;
GRANT INSERT ON raxx_detect.finding_actions TO raxx_operator;
\ir ../../docs/roles.sql
SELECT is((has_column_privilege('raxx_runner', 'raxx_detect.detection_findings', 'triage', 'UPDATE'), has_column_privilege('raxx_operator', 'raxx_detect.finding_actions', 'acted_by', 'INSERT')), (false, false),
    'running the script again takes back what was granted too much');

SELECT * FROM finish();
ROLLBACK;
