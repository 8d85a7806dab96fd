-- Exceptions: an entity that is known is found as ever, and set aside: counted, listed, left out of baselines, but not told and not open; until the
-- exception ends. All is one transaction, in which now() stands still: time goes by in that exceptions are moved (pg_temp.shift).
BEGIN;
SELECT plan(69);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text, episode tstzrange DEFAULT tstzrange(now() - interval '5 minutes', NULL),
    rule_id text DEFAULT 'signup_waitlist_velocity_per_origin') RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES (rule_id, 'D', 'signup', 'waitlist_signups', severity, raxx_detect.bounded_entity(entity), episode, 60, 20, 'sign-ups', 'threshold', 60,
        raxx_detect.printable(entity) || ': 60 sign-ups', '{}', CASE WHEN upper_inf(episode) THEN 'firing' ELSE 'cleared' END, 1, 'sre-agent') RETURNING finding_id $$;
CREATE FUNCTION pg_temp.change(finding bigint, change text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE raxx_detect.detection_findings SET updated_at = now(), %s WHERE finding_id = %s', change, finding);
END $$;
CREATE FUNCTION pg_temp.later() RETURNS void LANGUAGE sql AS
    $$ UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second', next_attempt_at = '-infinity' $$;
CREATE FUNCTION pg_temp.shift(exception bigint, new_end timestamptz, new_start timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE raxx_detect.exceptions DISABLE TRIGGER guard_exceptions;
    UPDATE raxx_detect.exceptions SET expires_at = new_end, created_at = coalesce(new_start, created_at) WHERE exception_id = exception;
    ALTER TABLE raxx_detect.exceptions ENABLE TRIGGER guard_exceptions;
END $$;
CREATE FUNCTION pg_temp.fresh() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.deliveries;
    ALTER TABLE raxx_detect.exceptions DISABLE TRIGGER USER;
    DELETE FROM raxx_detect.exceptions;
    ALTER TABLE raxx_detect.exceptions ENABLE TRIGGER USER;
END $$;
CREATE FUNCTION pg_temp.error_parts(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN state || CASE WHEN detail <> '' AND hint <> '' THEN ' with detail and hint' ELSE '' END;
END $$;
CREATE FUNCTION pg_temp.digest(at timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    id bigint := (SELECT min(m) FROM raxx_detect.make_digest(at, true) m);
BEGIN
    RETURN (SELECT d.payload FROM raxx_detect.deliveries d WHERE d.delivery_id = id);
END $$;
CREATE VIEW pg_temp.told AS SELECT finding_id, concat_ws(' ', channel, event, state) AS what FROM raxx_detect.deliveries WHERE event <> 'digest' ORDER BY delivery_id;
INSERT INTO raxx_detect.channels (channel, kind, address, fallback, min_interval, storm_at) VALUES ('fast', 'webhook', 'x', 'ops-mail', '0', NULL), ('slow', 'slack', 'C1', 'fast', '0', NULL);
DELETE FROM raxx_detect.routes WHERE severity >= 'high';
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES ('h', 'high', 'fast', 'event', false), ('c1', 'critical', 'slow', 'event', true);
CREATE ROLE carol SUPERUSER;

-- ---- what is refused -------------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.refused(arguments text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.error_parts('SELECT raxx_detect.add_exception(' || arguments || ')') $$;
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', NULL, now() + interval ''1 hour'''), '22023 with detail and hint', 'no reason');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', E'' \n\t'', now() + interval ''1 hour'''), '22023 with detail and hint', 'an empty one');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', repeat(''x'', 1001), now() + interval ''1 hour'''), '22023 with detail and hint', 'one that nobody reads');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', NULL, ''r'', now() + interval ''1 hour'''), '22023 with detail and hint', 'no entity');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', ''r'', NULL'), '22023 with detail and hint', 'no end');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', ''r'', ''infinity'''), '22023 with detail and hint', 'none ever');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', ''r'', now()'), '22023 with detail and hint', 'one that is now');
SELECT is(pg_temp.refused('''signup_waitlist_velocity_per_origin'', ''x'', ''r'', now() + interval ''400 days 1 microsecond'''), '22023 with detail and hint', 'one too far ahead');
SELECT is(pg_temp.refused('NULL, ''x'', ''r'', now() + interval ''1 hour'''), '42704 with detail and hint', 'no rule');
SELECT is(pg_temp.refused('''auth_rbac'', ''x'', ''r'', now() + interval ''1 hour'''), '42704 with detail and hint', 'a rule that is unknown');
SELECT is(pg_temp.refused(format('%L, ''x'', ''r'', now() + interval ''1 hour''', rule_id)), '42501 with detail and hint', rule_id || ' allows none') FROM raxx_detect.rules
WHERE rule_id = 'auth_rbac_denied_burst' OR method IN ('gap', 'chain') ORDER BY rule_id;
SELECT throws_like($$SELECT raxx_detect.add_exception('auth_rbac_denied_burst', 'me', 'r', now() + interval '1 hour')$$, '%auth_rbac_denied_burst allows no exceptions%', 'in plain words');
SELECT is(pg_temp.error_parts('INSERT INTO raxx_detect.exceptions (rule_id, entity, expires_at, reason) VALUES (''auth_rbac_denied_burst'', ''me'', now() + interval ''1 hour'', ''r'')'), '42501 with detail and hint', 'not by hand, either');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.end_exception(-1, ''r'')'), '42704 with detail and hint', 'what is not there does not end');

-- ---- set aside -----------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SET SESSION AUTHORIZATION carol;
CREATE TEMP TABLE x AS SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'our load test', now() + interval '1 day') AS id;
RESET SESSION AUTHORIZATION;
SELECT is((rule_id, entity, reason, expires_at, created_by::text COLLATE "default"), ('signup_waitlist_velocity_per_origin'::text, 'a'::text, 'our load test'::text, now() + interval '1 day', 'carol'::text), 'an exception is on record')
FROM raxx_detect.exceptions;
CREATE TEMP TABLE f AS SELECT pg_temp.find('high', 'a') AS id, pg_temp.find('high', 'a', rule_id => 'auth_session_creation_velocity') AS other_rule, pg_temp.find('high', 'b') AS other_entity;
SELECT is(exception_id, x.id, 'what is found of the entity is written, and set aside') FROM raxx_detect.detection_findings, f, x WHERE finding_id = f.id;
SELECT is_empty('SELECT FROM raxx_detect.detection_findings, f WHERE finding_id IN (other_rule, other_entity) AND exception_id IS NOT NULL', 'no other rule''s, and no other entity');
SELECT set_eq('SELECT finding_id FROM pg_temp.told', 'SELECT unnest(ARRAY[other_rule, other_entity]) FROM f', 'nobody is told of it');
SELECT pg_temp.change(id, 'occurrences = 2'), pg_temp.change(id, 'severity = ''critical''') FROM f;
SELECT pg_temp.change(id, 'condition = ''no_data'''), pg_temp.change(id, 'condition = ''firing''') FROM f;
SELECT is_empty('SELECT FROM pg_temp.told, f WHERE finding_id = f.id', 'nor of what becomes of it');
SELECT is((open_findings, exceptions, excepted_findings), (1::bigint, 1::bigint, 1::bigint), 'it is not open, but counted') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is((holds, findings, firing, critical_findings, outlasted), (true, 1::bigint, 1::bigint, 1::bigint, 0::bigint), 'in the log, too') FROM raxx_detect.exception_log;
SELECT is((SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'), 0::bigint, 'a run');
SELECT is_empty('SELECT FROM pg_temp.told, f WHERE finding_id = f.id', 'does not tell it');
CREATE TEMP TABLE digest AS SELECT pg_temp.digest(now()) AS p;
SELECT is(p ->> 'attention', format('["CRITICAL finding %s of signup_waitlist_velocity_per_origin (a, still going on) was kept from being told by exception %s of carol."]', f.id, x.id), 'the digest says that it hides a critical one')
FROM digest, f, x;
SELECT is((p #>> '{set_aside,0,kind}', p #>> '{set_aside,0,findings}', p #>> '{set_aside,0,reason}'), ('exception'::text, '1'::text, 'our load test'::text), 'and lists it with its count and reason') FROM digest;
CREATE TEMP TABLE digest2 AS SELECT pg_temp.digest(now() + interval '1 day') AS p;
SELECT is_empty('SELECT FROM digest2, f WHERE p -> ''open'' @> jsonb_build_array(jsonb_build_object(''finding_id'', f.id))', 'and has it not among what is open');
SELECT is((p ->> 'open_total'), '2', 'where the others are') FROM digest2;

-- ---- the end ----------------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
SELECT pg_temp.shift(id, now() + interval '1 microsecond') FROM x;
SELECT raxx_detect.tell_what_lasts();
SELECT is_empty('SELECT FROM pg_temp.told', 'not a microsecond before');
SELECT pg_temp.shift(id, now(), now() - interval '1 hour') FROM x;
SELECT is((SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'), 0::bigint, 'the run at the end');
SELECT results_eq('SELECT what FROM pg_temp.told, f WHERE finding_id = f.id', $$VALUES ('slow fired pending')$$, 'tells what still lasts');
SELECT is(payload ->> 'because' LIKE '%; exception % has ended', true, 'and why now') FROM raxx_detect.deliveries;
SELECT is((exception_id, outlasted_exception), (NULL::bigint, x.id), 'it is a finding like others by then') FROM raxx_detect.detection_findings, f, x WHERE finding_id = f.id;
SELECT is((SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'), 0::bigint, 'the run after that');
SELECT is((SELECT count(*) FROM pg_temp.told), 1::bigint, 'tells it no more');
SELECT is((holds, findings, firing, outlasted), (false, 1::bigint, 0::bigint, 1::bigint), 'which the log of exceptions has') FROM raxx_detect.exception_log;
SELECT pg_temp.change(id, 'condition = ''cleared'', episode = tstzrange(lower(episode), now())') FROM f;
CREATE TEMP TABLE after AS SELECT pg_temp.find('high', 'a', tstzrange(now(), NULL)) AS id;
SELECT is((exception_id, (SELECT what FROM pg_temp.told WHERE finding_id = after.id)), (NULL::bigint, 'fast fired pending'::text), 'what begins then is found as ever') FROM raxx_detect.detection_findings, after WHERE finding_id = after.id;
-- Ended by somebody.
SELECT pg_temp.fresh();
CREATE TEMP TABLE x2 AS SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'r', now() + interval '1 day') AS id;
SELECT pg_temp.find('high', 'a', tstzrange(now() - interval '2 days', now() - interval '1 day')), pg_temp.find('high', 'a');
SELECT pg_temp.shift(id, now() + interval '1 day', now() - interval '3 days') FROM x2;
SELECT raxx_detect.end_exception(id, 'it is no test') FROM x2;
SELECT is((ended_at, ended_by::text COLLATE "default", ended_because), (now(), session_user::text COLLATE "default", 'it is no test'::text), 'an exception can be ended early: who, and why') FROM raxx_detect.exceptions;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.end_exception(%s, ''again'')', id)), '42704 with detail and hint', 'once') FROM x2;
SELECT raxx_detect.tell_what_lasts();
SELECT is((SELECT count(*) FROM pg_temp.told), 1::bigint, 'what lasts is told, and what ended before it is not');
SELECT is(array_agg(exception_id IS NOT NULL ORDER BY lower(episode)), '{t,f}', 'that stays set aside') FROM raxx_detect.detection_findings;
-- Closed, and grown worse, while it held: the rise speaks up when it ends.
SELECT pg_temp.fresh();
CREATE TEMP TABLE worse_x AS SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'r', now() + interval '1 day') AS id;
CREATE TEMP TABLE worse_f AS SELECT pg_temp.find('high', 'a') AS id;
SELECT raxx_detect.triage(id, 'benign') FROM worse_f;
SELECT pg_temp.change(id, 'severity = ''critical''') FROM worse_f;
SELECT is_empty('SELECT FROM pg_temp.told', 'what is closed, excepted, and worse by now is not told while the exception holds');
SELECT pg_temp.shift(id, now(), now() - interval '1 hour') FROM worse_x;
SELECT raxx_detect.tell_what_lasts();
SELECT isnt_empty('SELECT FROM pg_temp.told, worse_f WHERE finding_id = worse_f.id', 'but when it ends');
-- Closed meanwhile, cleared meanwhile, and another exception that goes on.
SELECT pg_temp.fresh();
CREATE TEMP TABLE x3 AS SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'r', now() + interval '1 day') AS a, raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'b', 'r', now() + interval '1 day') AS b,
    raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'c', 'r', now() + interval '2 days') AS c, raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'c', 'r', now() + interval '1 day') AS c2,
    raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'd', 'r', now() + interval '1 day') AS d;
CREATE TEMP TABLE f3 AS SELECT pg_temp.find('high', 'a') AS a, pg_temp.find('high', 'b') AS b, pg_temp.find('high', 'c') AS c, pg_temp.find('high', 'd') AS d;
SELECT is(exception_id, x3.c, 'of several that which lasts longest counts it') FROM raxx_detect.detection_findings, f3, x3 WHERE finding_id = f3.c;
SELECT raxx_detect.triage(a, 'benign') FROM f3;
SELECT pg_temp.shift(a, now(), now() - interval '1 hour'), pg_temp.shift(b, now(), now() - interval '1 hour'), pg_temp.shift(c, now(), now() - interval '1 hour'), pg_temp.shift(d, now(), now() - interval '1 hour') FROM x3;
SELECT pg_temp.change(b, 'condition = ''cleared'', episode = tstzrange(lower(episode), now())') FROM f3;  -- exactly with its exception
SELECT pg_temp.change(d, 'condition = ''cleared'', episode = tstzrange(lower(episode), now() + interval ''1 second'')') FROM f3;
SELECT raxx_detect.tell_what_lasts();
SELECT results_eq('SELECT finding_id FROM pg_temp.told', 'SELECT d FROM f3', 'what was closed, or ended in time, or has another exception is not told; what ended too late is');
SELECT is(exception_id, x3.c2, 'the other one counts it') FROM raxx_detect.detection_findings, f3, x3 WHERE finding_id = f3.c;

-- ---- what is found late ----------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE x4 AS SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'r', now() + interval '1 day') AS id;
SELECT pg_temp.shift(id, now() - interval '1 hour', now() - interval '2 hours') FROM x4;
CREATE FUNCTION pg_temp.set_aside(from_age interval, to_age interval) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    DELETE FROM raxx_detect.detection_findings;
    found := pg_temp.find('high', 'a', tstzrange(now() - from_age, now() - to_age));
    RETURN (SELECT f.exception_id IS NOT NULL FROM raxx_detect.detection_findings f WHERE f.finding_id = found);
END $$;
SELECT is(pg_temp.set_aside('2 hours', '1 hour'), true, 'what began and ended while it held is set aside, however late it is found');
SELECT is(pg_temp.set_aside('2 hours 1 microsecond', '1 hour 30 minutes'), false, 'what began before it is not');
SELECT is(pg_temp.set_aside('2 hours', '59 minutes 59.999999 seconds'), false, 'nor what ended after it');
SELECT is(pg_temp.set_aside('2 hours', NULL), false, 'nor what lasts');
SELECT is(pg_temp.set_aside('30 minutes', '20 minutes'), false, 'nor what came after it');

-- ---- what was found before -------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE before AS SELECT pg_temp.find('high', 'a') AS id;
SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'a', 'r', now() + interval '1 day');
SELECT pg_temp.later();
SELECT pg_temp.change(id, 'severity = ''critical''') FROM before;
SELECT is((SELECT count(*) FROM pg_temp.told WHERE what LIKE '%escalated%'), 2::bigint, 'an exception does not reach back: what was found before it goes on as it was');

-- ---- the engine --------------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TABLE public.people_signups (signed_up_at timestamptz, origin text, email text, ip inet);
SELECT raxx_detect.bind_source('waitlist_signups', 'public.people_signups', '{"event_time": "signed_up_at"}');
CREATE TEMP TABLE hostile AS SELECT n, o FROM (VALUES (1, $$https://x'); DROP TABLE rules;--$$), (2, repeat('x', 1000000)), (3, E'a\x1b[31m\nb'), (4, 'plain'), (5, repeat('x', 999999) || 'y')) v(n, o);
SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', o, 'r', now() + interval '1 day') FROM hostile WHERE n < 4;
INSERT INTO public.people_signups SELECT now() - interval '20 minutes' + s * interval '1 second', o, s || '@x' || n || '.example', '203.0.113.1' FROM hostile, generate_series(1, 30) s;
SELECT ok(bool_and(outcome = 'ok') AND sum(findings_new) = 5, 'a run finds all of them') FROM raxx_detect.run('signup_waitlist_velocity_per_origin');
SELECT set_eq('SELECT h.n FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.o) WHERE f.exception_id IS NULL', 'VALUES (4), (5)', 'and sets aside the excepted ones, to the letter');
SELECT is((SELECT count(DISTINCT finding_id) FROM pg_temp.told), 2::bigint, 'tells the others');
SELECT is((open_findings, exceptions, excepted_findings), (2::bigint, 3::bigint, 3::bigint), 'and the status counts both') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT matches(reason, 'exceptions set aside what it finds: 3, 3 findings so far', 'and so does its health') FROM raxx_detect.health WHERE rule_id = 'signup_waitlist_velocity_per_origin';
-- The same rows are the same findings without exceptions.
CREATE TEMP TABLE with_exceptions AS SELECT entity, episode, severity, observed, condition, summary FROM raxx_detect.detection_findings;
SELECT pg_temp.fresh();
DELETE FROM raxx_detect.coverage;
SELECT ok(bool_and(outcome = 'ok'), 'without exceptions') FROM raxx_detect.run('signup_waitlist_velocity_per_origin');
SELECT set_eq('SELECT entity, episode, severity, observed, condition, summary FROM raxx_detect.detection_findings', 'SELECT * FROM with_exceptions', 'findings are what the rows say, excepted or not');
-- Baselines leave out what is set aside, too: one origin's known bursts would raise the limit for those never seen before.
SELECT is(count(*), 5::bigint, 'rows of open findings are left out of baselines') FROM raxx_detect.rules r
CROSS JOIN LATERAL raxx_detect.left_out(r, 'waitlist_signups', tstzrange(now() - interval '1 day', now())) WHERE r.rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'plain', 'r', now() + interval '1 day');
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
SELECT ok(bool_and(outcome = 'ok'), 'found anew, one of them set aside') FROM raxx_detect.run('signup_waitlist_velocity_per_origin');
SELECT is(count(*), 5::bigint, 'and its rows are left out, too') FROM raxx_detect.rules r
CROSS JOIN LATERAL raxx_detect.left_out(r, 'waitlist_signups', tstzrange(now() - interval '1 day', now())) WHERE r.rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.triage(finding_id, 'benign') FROM raxx_detect.detection_findings WHERE exception_id IS NOT NULL;
SELECT is(count(*), 4::bigint, 'unless somebody says that it was harmless') FROM raxx_detect.rules r
CROSS JOIN LATERAL raxx_detect.left_out(r, 'waitlist_signups', tstzrange(now() - interval '1 day', now())) WHERE r.rule_id = 'signup_waitlist_velocity_per_origin';

-- ---- the record ------------------------------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.exceptions SET expires_at = expires_at + interval ''1 day'''), '42501 with detail and hint', 'an exception is not made longer');
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.exceptions SET ended_because = '''''), '22023 with detail and hint', 'nor ended without a reason');
SELECT is(pg_temp.error_parts('DELETE FROM raxx_detect.exceptions'), '42501 with detail and hint', 'nor deleted');
SELECT is(pg_temp.error_parts('TRUNCATE raxx_detect.exceptions'), '42501 with detail and hint', 'nor emptied');
INSERT INTO raxx_detect.exceptions (rule_id, entity, expires_at, reason, created_by, created_at) VALUES ('signup_waitlist_velocity_per_origin', 'z', now() + interval '1 hour', 'r', 'nobody', '2020-01-01');
SELECT is((created_by::text COLLATE "default", created_at), (session_user::text COLLATE "default", now()), 'who made it, and when, is what the server knows') FROM raxx_detect.exceptions WHERE entity = 'z';

SELECT * FROM finish();
ROLLBACK;
