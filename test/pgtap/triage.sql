-- Triage: what people make of findings, who and when; and that a closed finding goes on counting, and speaks up when its severity rises.
BEGIN;
SELECT plan(45);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES ('signup_waitlist_velocity_per_origin', 'D', 'signup', 'waitlist_signups', severity, entity, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
        raxx_detect.printable(entity) || ': 60 sign-ups', '{}', 'firing', 1, 'sre-agent') RETURNING finding_id $$;
CREATE FUNCTION pg_temp.later() RETURNS void LANGUAGE sql AS
    $$ UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second' $$;
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
CREATE VIEW pg_temp.history AS SELECT finding_id, action, disposition, note, acted_by::text COLLATE "default" AS acted_by, acted_at, row_number() OVER (PARTITION BY finding_id ORDER BY action_id) AS n
    FROM raxx_detect.finding_actions;
CREATE ROLE "Alice ""A"" O'Neil" SUPERUSER;
CREATE ROLE bob SUPERUSER;

-- ---- a finding's way ---------------------------------------------------------------------------------------------------
CREATE TEMP TABLE f AS SELECT pg_temp.find('high', 'https://evil.example') AS id;
GRANT SELECT ON f TO PUBLIC;
SELECT pg_temp.later();
SELECT is((SELECT count(*) FROM raxx_detect.finding_actions), 0::bigint, 'what the engine does is no action of people');
SET SESSION AUTHORIZATION "Alice ""A"" O'Neil";
SELECT raxx_detect.acknowledge(id, 'looking at it') FROM f;
RESET SESSION AUTHORIZATION;
SELECT is((triage, disposition, note), ('acknowledged'::text, NULL::text, 'looking at it'::text), 'acknowledged') FROM raxx_detect.detection_findings, f WHERE finding_id = id;
SELECT is((action, disposition, note, acted_by, acted_at), ('acknowledged'::text, NULL::text, 'looking at it'::text, 'Alice "A" O''Neil'::text, now()), 'who, when and why') FROM pg_temp.history WHERE n = 1;
SET SESSION AUTHORIZATION "Alice ""A"" O'Neil";
SET ROLE bob;
SELECT raxx_detect.acknowledge(id) FROM f;
RESET ROLE;
RESET SESSION AUTHORIZATION;
SELECT is((action, note, acted_by), ('acknowledged'::text, NULL::text, 'Alice "A" O''Neil'::text), 'a second time is on record, too, of who had logged in, whatever role that is done as') FROM pg_temp.history WHERE n = 2;
SET SESSION AUTHORIZATION bob;
SELECT raxx_detect.triage(id, 'confirmed_operational', 'our load test; it''s "ours"') FROM f;
RESET SESSION AUTHORIZATION;
SELECT is((triage, disposition), ('closed'::text, 'confirmed_operational'::text), 'closed') FROM raxx_detect.detection_findings, f WHERE finding_id = id;
SELECT is((action, disposition, note, acted_by), ('closed'::text, 'confirmed_operational'::text, 'our load test; it''s "ours"'::text, 'bob'::text), 'by whom') FROM pg_temp.history WHERE n = 3;
SELECT raxx_detect.triage(id, 'benign') FROM f;
SELECT is((action, disposition), ('closed'::text, 'benign'::text), 'otherwise than before') FROM pg_temp.history WHERE n = 4;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.acknowledge(%s)', id)), '55000 with detail and hint', 'what is closed is not acknowledged') FROM f;
SELECT raxx_detect.reopen(id, 'it was not') FROM f;
SELECT is((triage, disposition, note), ('new'::text, NULL::text, 'it was not'::text), 'open again') FROM raxx_detect.detection_findings, f WHERE finding_id = id;
SELECT is((action, note), ('reopened'::text, 'it was not'::text), 'which is on record') FROM pg_temp.history WHERE n = 5;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.reopen(%s)', id)), '55000 with detail and hint', 'what is not closed is not reopened') FROM f;
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive' FROM f WHERE finding_id = id;
SELECT is((action, disposition, note), ('closed'::text, 'true_positive'::text, 'it was not'::text), 'an UPDATE by hand is on record') FROM pg_temp.history WHERE n = 6;
UPDATE raxx_detect.detection_findings SET observed = 61, updated_at = now() FROM f WHERE finding_id = id;
UPDATE raxx_detect.detection_findings SET note = 'x' FROM f WHERE finding_id = id;
SELECT is(count(*), 7::bigint, 'a note is, too, and the engine''s updates are not') FROM pg_temp.history;
SELECT is((SELECT count(*) FROM raxx_detect.deliveries), 1::bigint, 'none of that is told anybody');
CREATE TEMP TABLE g AS SELECT pg_temp.find('high', 'twice') AS id;
UPDATE raxx_detect.detection_findings SET triage = 'new' FROM g WHERE finding_id = id;
SELECT is(count(*), 0::bigint, 'nothing done is nothing to record') FROM pg_temp.history h, g WHERE finding_id = id;
SELECT raxx_detect.acknowledge(id, 'a'), raxx_detect.triage(id, 'benign', 'b') FROM g;
SELECT results_eq('SELECT action, note FROM pg_temp.history h, g WHERE finding_id = id ORDER BY n', $$VALUES ('acknowledged', 'a'), ('closed', 'b')$$, 'twice in a transaction is twice');

-- ---- a closed finding goes on --------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
CREATE TEMP TABLE c AS SELECT pg_temp.find('high', 'closed.example') AS id;
SELECT pg_temp.later();
SELECT raxx_detect.triage(id, 'benign') FROM c;
UPDATE raxx_detect.detection_findings SET occurrences = 2, observed = 100, updated_at = now() FROM c WHERE finding_id = id;
SELECT is((observed, occurrences, triage), (100::float8, 2, 'closed'::text), 'its episode goes on counting') FROM raxx_detect.detection_findings, c WHERE finding_id = id;
SELECT is(count(*), 1::bigint, 'silently') FROM raxx_detect.deliveries;
UPDATE raxx_detect.detection_findings SET severity = 'critical', updated_at = now() FROM c WHERE finding_id = id;
SELECT is((event, payload ->> 'was_severity', severity::text, finding_id), ('escalated'::text, 'high'::text, 'critical'::text, (SELECT id FROM c)), 'and speaks up when its severity rises') FROM raxx_detect.deliveries
WHERE channel = 'raxx-ops-alert-sev1';
SELECT is((triage, disposition), ('closed'::text, 'benign'::text), 'without a word on what people said') FROM raxx_detect.detection_findings, c WHERE finding_id = id;
-- The engine itself: a wave that grows after it was closed.
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.deliveries;
CREATE TABLE public.people_signups (signed_up_at timestamptz, origin text, email text, ip inet);
SELECT raxx_detect.bind_source('waitlist_signups', 'public.people_signups', '{"event_time": "signed_up_at"}');
SELECT raxx_detect.enable(rule_id) FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin' AND state = 'disabled';
INSERT INTO public.people_signups SELECT now() - interval '8 minutes' + n * interval '1 second', 'https://wave.example', n || '@w.example', '203.0.113.1' FROM generate_series(1, 30) n;
SELECT ok(bool_and(outcome = 'ok') AND sum(findings_new) = 1, 'a wave is found') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', now() - interval '7 minutes');
SELECT raxx_detect.triage(finding_id, 'benign', 'a crowd') FROM raxx_detect.detection_findings;
SELECT pg_temp.later();
INSERT INTO public.people_signups SELECT now() - interval '6 minutes' + n * interval '1 second', 'https://wave.example', n || '@v.example', '203.0.113.1' FROM generate_series(1, 30) n;
SELECT ok(bool_and(outcome = 'ok') AND sum(findings_new) = 0 AND sum(findings_updated) = 1, 'closed, it goes on') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', now() - interval '5 minutes');
SELECT is((observed, triage, note), (60::float8, 'closed'::text, 'a crowd'::text), 'and counts all of it') FROM raxx_detect.detection_findings;
SELECT is_empty('SELECT FROM raxx_detect.deliveries WHERE created_at = now()', 'and is silent');
SELECT is(open_findings, 0::bigint, 'nothing is open') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';

-- ---- what is refused -------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.error_parts('SELECT raxx_detect.acknowledge(-1)'), '42704 with detail and hint', 'no such finding');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.acknowledge(NULL)'), '42704 with detail and hint', 'nor NULL');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.triage(-1, ''benign'')'), '42704 with detail and hint', 'no such finding to close');
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.triage(%s, ''fine'')', finding_id)), '22023 with detail and hint', 'no such disposition') FROM raxx_detect.detection_findings;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.triage(%s, NULL)', finding_id)), '22023 with detail and hint', 'nor none') FROM raxx_detect.detection_findings;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.triage(%s, repeat(''x'', 1000000))', finding_id)), '22023 with detail and hint', 'nor a megabyte of one') FROM raxx_detect.detection_findings;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.acknowledge(%s, repeat(''x'', 4001))', finding_id)), '22023 with detail and hint', 'a note has a length') FROM raxx_detect.detection_findings;
SELECT lives_ok(format('SELECT raxx_detect.triage(%s, ''benign'', repeat(''x'', 4000))', finding_id), 'which it may have') FROM raxx_detect.detection_findings;
SELECT lives_ok(format('SELECT raxx_detect.triage(%s, ''benign'', E''it''''s \x1b[31m"red"\n\\'')', finding_id), 'and any characters') FROM raxx_detect.detection_findings;
SELECT is(note, E'it''s \x1b[31m"red"\n\\', 'which are kept') FROM raxx_detect.finding_actions ORDER BY action_id DESC LIMIT 1;

-- ---- nobody rewrites it, not even a superuser ---------------------------------------------------------------------------------
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.finding_actions SET note = ''was never said'''), '42501 with detail and hint', 'the history is not changed');
SELECT is(pg_temp.error_parts('DELETE FROM raxx_detect.finding_actions'), '42501 with detail and hint', 'nor deleted');
SELECT is(pg_temp.error_parts('TRUNCATE raxx_detect.finding_actions'), '42501 with detail and hint', 'nor emptied');
SELECT is(pg_temp.error_parts('INSERT INTO raxx_detect.finding_actions (finding_id, action, acted_by) VALUES (1, ''closed'', ''bob'')'), '42501 with detail and hint', 'nor invented');
DELETE FROM raxx_detect.detection_findings;
SELECT is(count(*) > 0, true, 'and it outlives findings that go') FROM pg_temp.history;
-- A dump, which says by check_function_bodies that it is one, is taken as it is.
SET LOCAL check_function_bodies = off;
INSERT INTO raxx_detect.finding_actions (finding_id, action, acted_by, acted_at) VALUES (77, 'closed', 'carol', '2026-01-01 00:00+00');
SET LOCAL check_function_bodies = on;
SELECT is((acted_by, acted_at), ('carol'::text, '2026-01-01 00:00+00'::timestamptz), 'a dump brings who acted, and when') FROM pg_temp.history WHERE finding_id = 77;

-- ---- what messages say of it -----------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
CREATE TEMP TABLE m AS SELECT pg_temp.find('high', 'told.example') AS id;
SELECT is(payload ->> 'triage_psql', format('SELECT raxx_detect.acknowledge(%s, ''a note'');', id), 'a message has the line for psql') FROM raxx_detect.deliveries, m;
SELECT lives_ok((SELECT payload ->> 'triage_psql' FROM raxx_detect.deliveries), 'which works');
SELECT is(triage, 'acknowledged', 'and does it') FROM raxx_detect.detection_findings, m WHERE finding_id = id;
SELECT is_empty($$SELECT rule_id FROM raxx_detect.rules WHERE runbook ~* 'update[^.]*triage'$$, 'no runbook says it otherwise');

SELECT * FROM finish();
ROLLBACK;
