-- Silences: who is not told of what, and until when; that what is held back is kept, counted and told when it still matters; and that nothing
-- is invisible. All is one transaction, in which now() stands still: time goes by in that silences are moved (pg_temp.shift).
BEGIN;
SELECT plan(84);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text, rule_id text DEFAULT 'signup_waitlist_velocity_per_origin') RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES (rule_id, 'D', 'signup', 'waitlist_signups', severity, raxx_detect.bounded_entity(entity), tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
        raxx_detect.printable(entity) || ': 60 sign-ups', '{}', 'firing', 1, 'sre-agent') RETURNING finding_id $$;
CREATE FUNCTION pg_temp.change(finding bigint, change text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE raxx_detect.detection_findings SET updated_at = now(), %s WHERE finding_id = %s', change, finding);
END $$;
-- What was written so far counts as another transaction's.
CREATE FUNCTION pg_temp.later() RETURNS void LANGUAGE sql AS
    $$ UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second', next_attempt_at = '-infinity' $$;
CREATE FUNCTION pg_temp.shift(silence bigint, new_until timestamptz, new_start timestamptz DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE raxx_detect.silences DISABLE TRIGGER guard_silences;
    UPDATE raxx_detect.silences SET until = new_until, starts_at = coalesce(new_start, starts_at) WHERE silence_id = silence;
    ALTER TABLE raxx_detect.silences ENABLE TRIGGER guard_silences;
END $$;
CREATE FUNCTION pg_temp.fresh() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.deliveries; DELETE FROM raxx_detect.channel_states;
    ALTER TABLE raxx_detect.silences DISABLE TRIGGER USER;
    DELETE FROM raxx_detect.silences;
    ALTER TABLE raxx_detect.silences ENABLE TRIGGER USER;
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
CREATE VIEW pg_temp.told AS
    SELECT finding_id, concat_ws(' ', channel, event, state || CASE WHEN state = 'silenced' AND ended_at IS NOT NULL THEN ' (over)' ELSE '' END) AS what
    FROM raxx_detect.deliveries WHERE event <> 'digest' ORDER BY delivery_id;
INSERT INTO raxx_detect.channels (channel, kind, address, fallback, min_interval, storm_at) VALUES
    ('fast', 'webhook', 'x', 'ops-mail', '0', NULL), ('slow', 'slack', 'C1', 'fast', '0', NULL);
DELETE FROM raxx_detect.routes WHERE severity >= 'high';
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES
    ('h', 'high', 'fast', 'event', false), ('c1', 'critical', 'slow', 'event', true);
CREATE ROLE carol SUPERUSER;

-- ---- what is refused -------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', NULL)'), '22023 with detail and hint', 'no reason');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', '''')'), '22023 with detail and hint', 'an empty one');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', E'' \t\n\x01'')'), '22023 with detail and hint', 'one that nobody can read');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''1 hour'', repeat(''x'', 1000000))'), '22023 with detail and hint', 'a megabyte');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, NULL, ''r'')'), '22023 with detail and hint', 'no end');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, ''infinity'', ''r'')'), '22023 with detail and hint', 'none ever');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, ''-infinity'', ''r'')'), '22023 with detail and hint', 'one before all time');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now(), ''r'')'), '22023 with detail and hint', 'one that is now');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''31 days 1 microsecond'', ''r'')'), '22023 with detail and hint', 'one too far ahead');
SELECT lives_ok('SELECT raxx_detect.silence(NULL, ''none'', now() + interval ''31 days'', ''r'')', 'the furthest there may be');
UPDATE raxx_detect.notification_settings SET max_silence = '2 hours';
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(NULL, NULL, now() + interval ''3 hours'', ''r'')'), '22023 with detail and hint', 'how far that is, is a setting');
UPDATE raxx_detect.notification_settings SET max_silence = '31 days';
SELECT is(pg_temp.error_parts('SELECT raxx_detect.silence(''signup_waitlist_velocity'', NULL, now() + interval ''1 hour'', ''r'')'), '42704 with detail and hint', 'a rule that is unknown');
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.silence(%L, ''x'', now() + interval ''1 hour'', ''r'')', rule_id)), '42501 with detail and hint', rule_id || ' allows none')
FROM raxx_detect.rules WHERE rule_id = 'auth_rbac_denied_burst' OR method IN ('gap', 'chain') ORDER BY rule_id;
SELECT is(pg_temp.error_parts('INSERT INTO raxx_detect.silences (rule_id, until, reason) VALUES (''auth_rbac_denied_burst'', now() + interval ''1 hour'', ''r'')'), '42501 with detail and hint', 'not by hand, either');
SELECT is(pg_temp.error_parts('INSERT INTO raxx_detect.silences (until, reason) VALUES (now() + interval ''1 year'', ''r'')'), '22023 with detail and hint', 'nor longer');
SELECT is(pg_temp.error_parts('SELECT raxx_detect.end_silence(-1, ''r'')'), '42704 with detail and hint', 'what is not there does not end');

-- ---- what is held back, and told at the end -------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SET SESSION AUTHORIZATION carol;
CREATE TEMP TABLE s AS SELECT raxx_detect.silence('signup_waitlist_velocity_per_origin', 'https://a.example', now() + interval '1 hour', 'moving') AS id;
RESET SESSION AUTHORIZATION;
SELECT is((rule_id, entity, until - created_at, starts_at, reason, created_by::text COLLATE "default"),
    ('signup_waitlist_velocity_per_origin'::text, 'https://a.example'::text, interval '1 hour', now(), 'moving'::text, 'carol'::text), 'a silence is on record') FROM raxx_detect.silences;
CREATE TEMP TABLE f AS SELECT pg_temp.find('high', 'https://a.example') AS id;
SELECT is(count(*), 1::bigint, 'what it fits is found') FROM raxx_detect.detection_findings;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired silenced')$$, 'and its message is kept, and not sent');
SELECT pg_temp.change(id, 'occurrences = 2') FROM f;
SELECT is((event, payload ->> 'occurrences', (SELECT count(*) FROM raxx_detect.deliveries)), ('fired'::text, '2'::text, 1::bigint), 'a transaction that writes twice is one message') FROM raxx_detect.deliveries;
SELECT pg_temp.later();
SELECT pg_temp.change(id, 'occurrences = 3') FROM f;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired silenced'), ('fast changed silenced')$$, 'what becomes of it is held back, too');
SELECT pg_temp.find('high', 'https://b.example');
SELECT results_eq('SELECT what FROM pg_temp.told OFFSET 2', $$VALUES ('fast fired pending')$$, 'others are told');
SELECT is((SELECT count(*) FROM raxx_detect.claim_deliveries('w', '{fast,slow}')), 1::bigint, 'whoever sends gets theirs alone');
SELECT is((silences, exceptions, open_findings), (1::bigint, 0::bigint, 2::bigint), 'the status counts it, and it is open') FROM raxx_detect.status WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is((holds, messages, findings, critical_findings), (true, 2::bigint, 1::bigint, 0::bigint), 'and so does the log of silences') FROM raxx_detect.silence_log;
SELECT is(raxx_detect.tell_after_silences(), 0::bigint, 'nothing is told before the end');
SELECT pg_temp.shift(id, now() + interval '1 microsecond') FROM s;
SELECT is(raxx_detect.tell_after_silences(), 0::bigint, 'not a microsecond before');
SELECT pg_temp.shift(id, now()) FROM s;
SELECT is(raxx_detect.silence_of('signup_waitlist_velocity_per_origin', 'https://a.example'), NULL, 'exactly then it does not hold any more');
SELECT is((SELECT count(*) FROM raxx_detect.claim_deliveries('w', '{fast,slow}')), 1::bigint, 'what still fires is told, also if nothing runs but raxx-notify');
SELECT is((event, payload ->> 'occurrences', payload ->> 'because' LIKE '%; silence % has ended'), ('fired'::text, '3'::text, true), 'as it is by now, and why') FROM raxx_detect.deliveries, f WHERE finding_id = f.id AND state = 'sending';
SELECT is(raxx_detect.tell_after_silences(), 0::bigint, 'once');
SELECT is((SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'), 0::bigint, 'a run');
SELECT set_eq('SELECT what FROM pg_temp.told, f WHERE finding_id = f.id', $$VALUES ('fast fired silenced (over)'), ('fast changed silenced (over)'), ('fast fired sending')$$, 'tells it no more');
SELECT is((holds, messages, findings), (false, 2::bigint, 1::bigint), 'what was held back stays counted') FROM raxx_detect.silence_log;

-- ---- what is not told at the end ---------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE s2 AS SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'all of it') AS id;
CREATE TEMP TABLE over AS SELECT pg_temp.find('high', 'cleared') AS cleared, pg_temp.find('high', 'closed') AS closed, pg_temp.find('high', 'gone') AS gone,
    pg_temp.find('high', 'lasting') AS lasting, pg_temp.find('high', 'no data') AS no_data, pg_temp.find('high', 'acknowledged') AS acknowledged,
    pg_temp.find('high', 'closed, then worse') AS worse, pg_temp.find('high', 'worse, then closed') AS better, pg_temp.find('medium', 'digest') AS digest;
SELECT pg_temp.later();
SELECT pg_temp.change(cleared, 'condition = ''cleared'''), pg_temp.change(no_data, 'condition = ''no_data'''), raxx_detect.triage(closed, 'benign'), raxx_detect.acknowledge(acknowledged),
    raxx_detect.triage(worse, 'benign') FROM over;
DELETE FROM raxx_detect.detection_findings WHERE entity = 'gone';
SELECT pg_temp.change(better, 'severity = ''critical''') FROM over;
SELECT pg_temp.later();
SELECT raxx_detect.triage(better, 'benign') FROM over;
ALTER TABLE raxx_detect.finding_actions DISABLE TRIGGER USER;
UPDATE raxx_detect.finding_actions a SET acted_at = now() - interval '1 minute' FROM over WHERE a.finding_id = worse;
ALTER TABLE raxx_detect.finding_actions ENABLE TRIGGER USER;
SELECT pg_temp.change(worse, 'severity = ''critical''') FROM over;
SELECT pg_temp.later();
SELECT is(count(*), 0::bigint, 'nobody is told of anything') FROM raxx_detect.deliveries WHERE state <> 'silenced';
SELECT raxx_detect.end_silence(id, 'we are done') FROM s2;
SELECT is((ended_at, ended_by::text COLLATE "default", ended_because), (now(), session_user::text COLLATE "default", 'we are done'::text), 'a silence can be ended early: who, and why') FROM raxx_detect.silences;
SELECT is(pg_temp.error_parts(format('SELECT raxx_detect.end_silence(%s, ''again'')', id)), '42704 with detail and hint', 'once') FROM s2;
SELECT is(raxx_detect.tell_after_silences(), 5::bigint, 'five findings still matter');
SELECT set_eq('SELECT f.entity || '': '' || t.what FROM pg_temp.told t JOIN raxx_detect.detection_findings f USING (finding_id) WHERE t.what !~ ''silenced''',
    $$VALUES ('lasting: fast fired pending'), ('no data: fast fired pending'), ('acknowledged: fast fired pending'), ('digest: ops-mail fired held'), ('closed, then worse: slow fired pending')$$,
    'those that fire and are open, and what got worse after it was closed');
SELECT is_empty($$SELECT FROM raxx_detect.deliveries WHERE state = 'silenced' AND ended_at IS NULL$$, 'nothing waits any more');

-- ---- what was told before ------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE b AS SELECT pg_temp.find('high', 'x') AS id;
SELECT pg_temp.later();
CREATE TEMP TABLE s3 AS SELECT raxx_detect.silence(NULL, 'x', now() + interval '1 hour', 'r') AS id;
SELECT is(count(*), 1::bigint, 'what is on its way already is told') FROM raxx_detect.claim_deliveries('w', '{fast,slow}');
SELECT pg_temp.change(id, 'severity = ''critical''') FROM b;
SELECT pg_temp.later();
SELECT results_eq('SELECT what FROM pg_temp.told OFFSET 1', $$VALUES ('slow escalated silenced'), ('fast escalated silenced')$$, 'a severity that rises under a silence is held back');
SELECT is((findings, critical_findings), (1::bigint, 1::bigint), 'and counted as critical') FROM raxx_detect.silence_log;
SELECT raxx_detect.end_silence(id, 'r') FROM s3;
SELECT is((SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'), 0::bigint, 'the run after the end');
SELECT results_eq('SELECT what FROM pg_temp.told OFFSET 3', $$VALUES ('slow escalated pending'), ('fast escalated pending')$$, 'tells that it has risen');
SELECT is((payload ->> 'was_severity', payload ->> 'severity', push), ('high'::text, 'critical'::text, true), 'from what to what') FROM raxx_detect.deliveries WHERE channel = 'slow' AND state = 'pending';

SELECT pg_temp.fresh();
CREATE TEMP TABLE heard AS SELECT pg_temp.find('high', 'x') AS id;
SELECT pg_temp.later();
CREATE TEMP TABLE s5 AS SELECT raxx_detect.silence(NULL, 'x', now() + interval '1 hour', 'r') AS id;
SELECT pg_temp.change(id, 'condition = ''cleared''') FROM heard;
SELECT pg_temp.later();
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired pending'), ('fast cleared silenced')$$, 'that it is over is held back, too');
SELECT raxx_detect.end_silence(id, 'r') FROM s5;
SELECT is(raxx_detect.tell_after_silences(), 0::bigint, 'nothing fires any more');
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired pending'), ('fast cleared silenced (over)'), ('fast cleared pending')$$, 'and who heard that it did hears that it is over');

-- ---- several at once -----------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE many AS SELECT raxx_detect.silence(NULL, 'x', now() + interval '1 hour', 'short') AS short, raxx_detect.silence('signup_waitlist_velocity_per_origin', NULL, now() + interval '2 hours', 'long') AS long;
SELECT pg_temp.find('high', 'x');
SELECT is(silence_id, long, 'of several that which lasts longest counts it') FROM raxx_detect.deliveries, many;
SELECT raxx_detect.end_silence(long, 'r') FROM many;
SELECT is(raxx_detect.tell_after_silences(), 0::bigint, 'while another holds, nothing is told');
SELECT is((holds, findings), (false, 1::bigint), 'nor counted anew') FROM raxx_detect.silence_log, many WHERE silence_id = long;
SELECT pg_temp.shift(short, now()) FROM many;
SELECT is(raxx_detect.tell_after_silences(), 1::bigint, 'when none does, it is');
SELECT pg_temp.later();
SELECT raxx_detect.silence(NULL, 'x', now() + interval '1 hour', 'once more');
SELECT pg_temp.change(finding_id, 'severity = ''critical''') FROM raxx_detect.detection_findings;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired silenced (over)'), ('fast fired pending'), ('slow escalated silenced'), ('fast escalated silenced')$$, 'and a new silence holds back what is new');

-- ---- rules that forbid it ----------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'maintenance');
SELECT pg_temp.find('high', 'me', 'auth_rbac_denied_burst'), pg_temp.find('high', 'log', 'data_audit_log_gap_window'), pg_temp.find('critical', 'chain', 'data_audit_log_hash_chain_break'), pg_temp.find('high', 'x');
SELECT set_eq('SELECT f.entity || '': '' || t.what FROM pg_temp.told t JOIN raxx_detect.detection_findings f USING (finding_id)',
    $$VALUES ('me: fast fired pending'), ('log: fast fired pending'), ('chain: slow fired pending'), ('x: fast fired silenced')$$, 'are told under a silence of all rules');
SELECT is(string_agg(rule_id, ', ' ORDER BY rule_id), 'auth_rbac_denied_burst, data_audit_log_gap_window, data_audit_log_hash_chain_break', 'and have none in the status') FROM raxx_detect.status WHERE silences = 0;

-- ---- entities of all kinds -------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE hostile (n int, entity text);
INSERT INTO hostile VALUES (1, $$Robert'); DROP TABLE rules;--$$), (2, E'a\x01\x1b[31m\nb'), (3, ''), (4, repeat('x', 1000000)), (5, repeat('x', 999999) || 'y'), (6, '%'), (7, 'NULL'), (8, 'r'), (9, repeat('x', 200));
SELECT raxx_detect.silence(NULL, entity, now() + interval '1 hour', 'r') FROM hostile WHERE n NOT IN (5, 8, 9);
SELECT pg_temp.find('high', entity) FROM hostile ORDER BY n;
SELECT set_eq('SELECT h.n FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.entity) JOIN raxx_detect.deliveries d USING (finding_id) WHERE d.state = ''pending''',
    'VALUES (5), (8), (9)', 'a silence fits its entity, to the letter, and no other');
SELECT ok(max(length(entity)) < 300, 'and keeps no megabytes') FROM raxx_detect.silences;

-- ---- a naive twin ---------------------------------------------------------------------------------------------------------------------------------
-- Silences and findings in all combinations of a few rules, entities, beginnings and ends; whether one is told is said in the words of the documentation.
SELECT pg_temp.fresh();
SELECT setseed(0.7);
CREATE TEMP TABLE wanted AS
    SELECT (ARRAY[NULL, 'signup_waitlist_velocity_per_origin', 'auth_session_creation_velocity', 'auth_rbac_denied_burst'])[1 + (n * 7 + n / 3) % 4] AS rule_id,
           (ARRAY[NULL, 'a', 'b', ''])[1 + (n * 5 + n / 11) % 4] AS entity, now() + (ARRAY['-1 hour', '-1 microsecond', '0', '1 microsecond', '1 hour'])[1 + (random() * 4)::int]::interval AS until,
           random() < 0.2 AS ended, n % 50 AS world
    FROM generate_series(1, 300) n;
CREATE FUNCTION pg_temp.world(w int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
BEGIN
    PERFORM pg_temp.fresh();
    ALTER TABLE raxx_detect.silences DISABLE TRIGGER USER;
    INSERT INTO raxx_detect.silences (rule_id, entity, starts_at, until, reason, ended_at, ended_by, ended_because)
    SELECT rule_id, entity, now() - interval '2 hours', until, 'r', CASE WHEN ended THEN now() - interval '1 hour' END, CASE WHEN ended THEN 'x' END, CASE WHEN ended THEN 'x' END FROM wanted WHERE world = w;
    ALTER TABLE raxx_detect.silences ENABLE TRIGGER USER;
    PERFORM pg_temp.find('high', e, r) FROM unnest('{a,b,"",c}'::text[]) e, unnest('{signup_waitlist_velocity_per_origin,auth_session_creation_velocity,auth_rbac_denied_burst}'::text[]) r;
    SELECT count(*) INTO differences FROM raxx_detect.detection_findings f JOIN raxx_detect.deliveries d USING (finding_id)
    WHERE (d.state = 'silenced') <> (f.rule_id <> 'auth_rbac_denied_burst' AND (SELECT count(*) > 0 FROM wanted v WHERE v.world = w AND NOT v.ended AND v.until > now()
        AND (v.rule_id IS NULL OR v.rule_id = f.rule_id) AND (v.entity IS NULL OR v.entity = f.entity)));
    INSERT INTO states SELECT state FROM raxx_detect.deliveries;
    RETURN differences;
END $$;
CREATE TEMP TABLE states (state text);
SELECT is(sum(pg_temp.world(w)), 0::numeric, 'fifty worlds of six silences and twelve findings each, as their twin says') FROM generate_series(0, 49) w;
SELECT ok(count(*) FILTER (WHERE state = 'silenced') > 100 AND count(*) FILTER (WHERE state = 'pending') > 200, 'some of them are told, and some are not') FROM states;

-- ---- the digest ------------------------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SET SESSION AUTHORIZATION carol;
CREATE TEMP TABLE s4 AS SELECT raxx_detect.silence(NULL, 'https://crit.example', now() + interval '1 hour', 'we know') AS id;
RESET SESSION AUTHORIZATION;
CREATE TEMP TABLE crit AS SELECT pg_temp.find('critical', 'https://crit.example') AS id;
CREATE TEMP TABLE digest AS SELECT pg_temp.digest(now()) AS p;
SELECT is(p -> 'attention', jsonb_build_array(format('CRITICAL finding %s of signup_waitlist_velocity_per_origin (https://crit.example, still going on) was kept from being told by silence %s of carol.', crit.id, s4.id)),
    'a silence that hides a critical finding says so first of all') FROM digest, crit, s4;
SELECT is((p #>> '{set_aside,0,findings}', p #>> '{set_aside,0,critical}', p #>> '{set_aside,0,reason}', p #>> '{set_aside,0,by}', p #>> '{set_aside,0,kind}'), ('1'::text, '1'::text, 'we know'::text, 'carol'::text, 'silence'::text),
    'and is listed with its reason and count') FROM digest;
SELECT is((p -> 'told', p ->> 'findings_total'), ('[]'::jsonb, '0'::text), 'it is not among what was told') FROM digest;
SELECT is(p #>> '{open_total}', '0', 'nor among what is open from before') FROM digest;
DELETE FROM raxx_detect.deliveries WHERE event = 'digest';
SELECT pg_temp.later();
UPDATE raxx_detect.deliveries SET created_at = now() - interval '3 days';
CREATE TEMP TABLE digest2 AS SELECT pg_temp.digest(now()) AS p;
SELECT is(jsonb_array_length(p -> 'attention'), 1, 'each digest says it while it goes on') FROM digest2;
DELETE FROM raxx_detect.deliveries WHERE event = 'digest';
SELECT raxx_detect.end_silence(id, 'r') FROM s4;
SELECT raxx_detect.tell_after_silences();
CREATE TEMP TABLE digest3 AS SELECT pg_temp.digest(now()) AS p;
SELECT is((p -> 'attention', p ->> 'told_total'), ('[]'::jsonb, '1'::text), 'and not when it has been told since') FROM digest3;
SELECT is((p #>> '{set_aside,0,ended}'), 'true', 'a silence that was ended is in the digest after that') FROM digest3;
UPDATE raxx_detect.channels SET entities = 'masked' WHERE channel = 'ops-mail';
SELECT pg_temp.fresh();
SELECT raxx_detect.silence(NULL, 'secret@crit.example', now() + interval '1 hour', 'that is secret@crit.example');
SELECT pg_temp.find('critical', 'secret@crit.example');
SELECT ok(d.payload::text !~ 'secret' AND d.payload ->> 'attention' LIKE '%(s***@crit.example,%', 'a channel that masks entities has them masked there, too')
FROM pg_temp.digest(now()) d(payload);
SELECT pg_temp.fresh();
SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'r');
SELECT pg_temp.find('critical', 'e' || n) FROM generate_series(1, 30) n;
SELECT is((jsonb_array_length(d.payload -> 'attention'), d.payload #>> '{attention,20}'), (21, '10 more critical findings were kept from being told.'::text), 'of many, twenty by name, and all are counted')
FROM pg_temp.digest(now()) d(payload);

-- ---- who may still see, and what stays --------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT raxx_detect.silence('auth_session_creation_velocity', NULL, now() + interval '1 hour', 'r');
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.silences SET until = until + interval ''1 day'''), '42501 with detail and hint', 'a silence is not made longer');
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.silences SET ended_because = ''r'', entity = ''x'''), '42501 with detail and hint', 'nor changed while it is ended');
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.silences SET ended_because = '''''), '22023 with detail and hint', 'nor ended without a reason');
SELECT is(pg_temp.error_parts('DELETE FROM raxx_detect.silences'), '42501 with detail and hint', 'nor deleted');
SELECT is(pg_temp.error_parts('TRUNCATE raxx_detect.silences'), '42501 with detail and hint', 'nor emptied');
INSERT INTO raxx_detect.silences (until, reason, created_by, created_at, starts_at) VALUES (now() + interval '1 hour', 'r', 'nobody', '2020-01-01', '2020-01-01');
SELECT is((created_by::text COLLATE "default", created_at, starts_at), (session_user::text COLLATE "default", now(), now()), 'who made it, and when, is what the server knows') FROM raxx_detect.silences ORDER BY silence_id DESC LIMIT 1;
SET LOCAL check_function_bodies = off;
INSERT INTO raxx_detect.silences (rule_id, until, reason, created_by, created_at, starts_at) VALUES ('gone', '2020-01-02', '', 'nobody', '2020-01-01', '2020-01-01');
SET LOCAL check_function_bodies = on;
SELECT is((created_by::text COLLATE "default", created_at), ('nobody'::text, '2020-01-01'::timestamptz), 'but in a dump') FROM raxx_detect.silences ORDER BY silence_id DESC LIMIT 1;
-- Whoever may restore a dump may not change a silence either.
SET LOCAL check_function_bodies = off;
SELECT is(pg_temp.error_parts('UPDATE raxx_detect.silences SET created_by = ''bob'''), '42501 with detail and hint', 'not even as a dump is restored');
SET LOCAL check_function_bodies = on;
-- Withdrawn under a silence: whoever had heard of it hears that, whatever other silences hold.
SELECT pg_temp.fresh();
CREATE TEMP TABLE w AS SELECT pg_temp.find('high', 'heard') AS heard, pg_temp.find('high', 'unheard') AS unheard;
DELETE FROM raxx_detect.deliveries d USING w WHERE d.finding_id = w.unheard;
UPDATE raxx_detect.deliveries SET state = 'delivered', ended_at = now();
CREATE TEMP TABLE ws AS SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'r') AS id, raxx_detect.silence(NULL, 'somebody else', now() + interval '1 hour', 'r') AS other;
DELETE FROM raxx_detect.detection_findings f USING w WHERE f.finding_id IN (w.heard, w.unheard);
SELECT is((SELECT count(*) FROM raxx_detect.deliveries WHERE event = 'withdrawn' AND state <> 'silenced'), 0::bigint, 'a withdrawal is held back, too');
SELECT pg_temp.shift(id, now()) FROM ws;
SELECT raxx_detect.tell_what_lasts();
SELECT is(array_agg(DISTINCT d.state), '{pending}', 'and told when the silence is over') FROM raxx_detect.deliveries d, w WHERE d.finding_id = w.heard AND d.event = 'withdrawn';
SELECT is((SELECT count(*) FROM raxx_detect.deliveries WHERE state = 'silenced' AND ended_at IS NULL), 0::bigint, 'nothing is held back for ever');
SELECT pg_temp.fresh();
SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'r');
SELECT pg_temp.find('low', 'l');
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('detection-log fired silenced')$$, 'the log is told nothing either');
UPDATE raxx_detect.deliveries SET ended_at = now() - 2 * raxx_detect.keep_runs();
UPDATE raxx_detect.detection_findings SET condition = 'cleared';
SELECT is(raxx_detect.prune_deliveries(), 1::bigint, 'what was held back is kept as long as other messages');

SELECT * FROM finish();
ROLLBACK;
