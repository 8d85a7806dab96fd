-- Views for people: a line for each finding with a picture of what was counted, what is open, and how things stand today.
BEGIN;
SELECT plan(52);
SET LOCAL timezone = 'UTC';
SET LOCAL client_encoding = 'UTF8';
SET LOCAL track_functions = 'all';

-- ---- texts and bars ----------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.one_line(E' a\tb\nc\r\n ', 80), 'a b c', 'tabs and line breaks are blanks, those at the ends go');
SELECT is(raxx_detect.one_line(E'a\u0001\u001b[31mb\u007f\u0085c\u202egpj.exe\u200b\ufeff\ufffe\U000e0041', 80), 'a??[31mb? c?gpj.exe????', 'what controls, turns or hides is a question mark');
SELECT is(raxx_detect.one_line(U&'\00e9\4e2d\+01f600', 80), U&'\00e9\4e2d\+01f600', 'other letters stay');
SELECT is(raxx_detect.one_line('0123456789x', 10), '0123456...', 'what is too long is cut');
SELECT is(raxx_detect.one_line('0123456789', 10), '0123456789', 'what fits is not');
SELECT is(raxx_detect.one_line(NULL, 10), NULL, 'NULL for NULL');

CREATE FUNCTION pg_temp.heights(bars text) RETURNS int[] LANGUAGE sql AS $$
    SELECT array_agg(CASE WHEN c = ' ' THEN NULL ELSE ascii(c) - 9600 END) FROM regexp_split_to_table(bars, '') c $$;
SELECT is(pg_temp.heights(raxx_detect.bars('{0,1,2,3,4,5,6,7}')), '{1,2,3,4,5,6,7,8}', 'eight heights');
SELECT is(pg_temp.heights(raxx_detect.bars('{0,0.001,1000}')), '{1,2,8}', 'what is something is seen');
SELECT is(pg_temp.heights(raxx_detect.bars('{5,5,5}')), '{8,8,8}', 'heights are from zero');
SELECT is(pg_temp.heights(raxx_detect.bars('{0,0}')), '{1,1}', 'nothing at all is low');
SELECT is(pg_temp.heights(raxx_detect.bars('{-2,0,2}')), '{1,5,8}', 'from the least, if it is below zero');
SELECT is(pg_temp.heights(raxx_detect.bars('{1,NULL,NaN,2}')), '{5,NULL,NULL,8}', 'what is unknown is blank');
SELECT is(pg_temp.heights(raxx_detect.bars('{-Infinity,0,Infinity,1e308}')), '{1,5,8,8}', 'the largest numbers that there are');
SELECT is(pg_temp.heights(raxx_detect.bars('{1,9,0,0,3}', 3)), '{8,1,4}', 'more than fit are merged: the highest of each two');
SELECT is(length(raxx_detect.bars(array_fill(1::float8, ARRAY[10000]))), 24, 'at most as wide as asked for');
SELECT is(raxx_detect.bars('{}'), NULL, 'no numbers, no bars');
SELECT is(raxx_detect.bars(NULL), NULL, 'nothing, no bars');
SELECT throws_ok('SELECT raxx_detect.bars(''{1}'', 0)', '22023', 'a picture is from 1 to 1000 characters wide', 'a width of nothing is refused');
SELECT throws_ok('SELECT raxx_detect.bars(''{1}'', NULL)', '22023', NULL, 'so is none');
SET LOCAL client_encoding = 'LATIN1';
SELECT is(raxx_detect.bars('{0,1,2,3,4,5,6,7,NULL}'), '_.:-=+*# ', 'a client that has no blocks gets plain letters');
SET LOCAL client_encoding = 'UTF8';
SELECT is(raxx_detect.series_numbers('[1, null, "NaN", 2.5]'), '{1,NULL,NULL,2.5}', 'numbers of a series');
SELECT is(raxx_detect.series_numbers('{"a": 1}'), NULL, 'of what is no list: none');

-- ---- findings --------------------------------------------------------------------------------------------------------------
DO $$ BEGIN PERFORM raxx_detect.create_source_table('waitlist_signups', 'public.waitlist_signups'); END $$;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '3 hours' + n * interval '5 seconds', 'person' || n || '@company' || n || '.example', o
FROM generate_series(1, 30) n, unnest(ARRAY['https://shop.example', E'evil\n<b>\u202e']) o;
DO $$ BEGIN PERFORM raxx_detect.run('signup_waitlist_velocity_per_origin'); END $$;
SELECT results_eq('SELECT entity FROM raxx_detect.finding_summary', ARRAY['https://shop.example', 'evil <b>?'], 'a line for each finding, the newest first, harmless');
SELECT results_eq('SELECT severity::text, observed, lasted, state, length(sparkline) > 4 FROM raxx_detect.finding_summary LIMIT 1',
    $$ VALUES ('high', '30 sign-ups (limit 20)', '4 min 15 s', 'over, new', true) $$, 'what, how much, how long, and how it stands');
SELECT is_empty($$ SELECT s.sparkline FROM raxx_detect.finding_summary s JOIN raxx_detect.detection_findings f USING (finding_id)
    WHERE s.sparkline IS DISTINCT FROM raxx_detect.bars(raxx_detect.series_numbers(raxx_detect.finding_series(f) -> 'values')) $$, 'the picture is that of its series');
SELECT matches(sparkline, format('^%s+[^%1$s]*%s', chr(9601), chr(9608)), 'which is low, and then the burst') FROM raxx_detect.finding_summary LIMIT 1;

-- Findings of times and numbers that nobody can have meant, and many of them.
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary, evidence, condition, occurrences, escalation_owner, detected_at)
SELECT 'auth_passkey_enumeration', 'x', 'auth', 'passkey_begin_events', CASE n WHEN 7 THEN 'critical' ELSE 'low' END::raxx_detect.severity, 'entity ' || n,
       CASE n WHEN 1 THEN tstzrange('-infinity', 'infinity') WHEN 2 THEN tstzrange('4713-01-01 BC', '294276-01-01') WHEN 3 THEN tstzrange(now() + interval '1 day', NULL)
              ELSE tstzrange(now() - n * interval '1 minute', NULL) END,
       CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE n::float8 END, CASE n WHEN 1 THEN 'Infinity' WHEN 2 THEN 'NaN' ELSE 1e-300::float8 END,
       'addresses', 'threshold', n, 'summary ' || n, '{"conditions": []}', 'firing', 1, 'security-agent', now() - interval '2 days'
FROM generate_series(1, 50) n;
SELECT is((SELECT count(*) FROM raxx_detect.finding_summary), 52::bigint, 'no time and no number makes it fail');
SELECT results_eq('SELECT entity, lasted, observed FROM raxx_detect.finding_summary WHERE entity IN (''entity 1'', ''entity 2'', ''entity 3'') ORDER BY 1',
    $$ VALUES ('entity 1', NULL, 'NaN addresses'), ('entity 2', NULL, 'Infinity addresses'), ('entity 3', '0 s so far', '3 addresses (limit 1.00e-300)') $$, 'what cannot be meant is left out');
SELECT is((SELECT finding_id FROM raxx_detect.finding_summary LIMIT 1), (SELECT max(finding_id) FROM raxx_detect.detection_findings), 'the newest first');
SELECT is((SELECT entity FROM raxx_detect.open_findings LIMIT 1), 'entity 7', 'of what is open, the worst first');
SELECT results_eq('SELECT severity FROM raxx_detect.open_findings', 'SELECT severity FROM raxx_detect.open_findings ORDER BY severity DESC', 'down to the least');
SELECT is((SELECT first_step FROM raxx_detect.open_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin' LIMIT 1),
    '1. Read raxx_detect.explain(finding_id): the Origin, the number of sign-ups and the times.', 'with what to do first');
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged' WHERE entity = 'entity 8';
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'confirmed_fp' WHERE entity = 'entity 9';
SELECT is((SELECT state FROM raxx_detect.open_findings WHERE entity = 'entity 8'), 'going on, acknowledged', 'what is acknowledged is open');
SELECT is_empty('SELECT 1 FROM raxx_detect.open_findings WHERE entity = ''entity 9''', 'what is closed is not');
SELECT is((SELECT state FROM raxx_detect.finding_summary WHERE entity = 'entity 9'), 'going on, closed, confirmed fp', 'and says how it was closed');

-- ---- what a look costs -------------------------------------------------------------------------------------------------
-- How many pictures a query makes.
CREATE FUNCTION pg_temp.pictures(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := coalesce(pg_stat_get_xact_function_calls('raxx_detect.sparkline(raxx_detect.detection_findings)'::regprocedure), 0);
    line record;
BEGIN
    FOR line IN EXECUTE query LOOP NULL; END LOOP;
    RETURN coalesce(pg_stat_get_xact_function_calls('raxx_detect.sparkline(raxx_detect.detection_findings)'::regprocedure), 0) - before;
END $$;
SELECT is(pg_temp.pictures('SELECT * FROM raxx_detect.finding_summary'), 52::bigint, 'each line has its picture');
SELECT is(pg_temp.pictures('SELECT * FROM raxx_detect.finding_summary LIMIT 3'), 3::bigint, 'of three lines that are looked at, three are made');
SELECT is(pg_temp.pictures('SELECT * FROM raxx_detect.open_findings LIMIT 3'), 3::bigint, 'of the worst three, too');
SELECT is(pg_temp.pictures('SELECT * FROM raxx_detect.finding_summary WHERE finding_id = (SELECT max(finding_id) FROM raxx_detect.detection_findings)'), 1::bigint, 'of one, one');
SELECT is(pg_temp.pictures('SELECT finding_id, severity FROM raxx_detect.open_findings'), 0::bigint, 'of none that is asked for, none');

-- ---- today -----------------------------------------------------------------------------------------------------------------
SELECT results_eq('SELECT topic FROM raxx_detect.today', ARRAY['open findings', 'going on', 'found today', 'not told', 'rules that see', 'blind for', 'last run', 'sources', 'messages', 'dormant rules'], 'what today says');
SELECT results_eq($$ SELECT fine, says FROM raxx_detect.today WHERE topic = 'open findings' $$, $$ VALUES (false, '1 critical, 2 high, 48 low') $$, 'what is open');
SELECT matches((SELECT says FROM raxx_detect.today WHERE topic = 'going on'), '^auth_passkey_enumeration entity 7; .*; and 44 more$', 'what goes on, the worst of it');
SELECT is((SELECT says FROM raxx_detect.today WHERE topic = 'found today'), '2 high', 'what was found today: since midnight there');
SELECT matches((SELECT says FROM raxx_detect.today WHERE topic = 'rules that see'), '^[0-9]+ of [0-9]+', 'how many rules see');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign' WHERE triage <> 'closed';
SELECT results_eq($$ SELECT topic, says FROM raxx_detect.today WHERE fine AND topic IN ('open findings', 'going on') $$, $$ VALUES ('open findings', 'none'), ('going on', 'nothing') $$, 'nothing is fine');
UPDATE raxx_detect.detection_findings SET triage = 'new', disposition = NULL;

SELECT results_eq($$ SELECT fine, says FROM raxx_detect.today WHERE topic = 'not told' $$, $$ VALUES (true, 'nothing is silenced') $$, 'nothing is silenced');
INSERT INTO raxx_detect.silences (rule_id, entity, until, reason) VALUES (NULL, 'somebody', now() + interval '1 hour', 'a load test'), (NULL, 'somebody else', now() + interval '1 hour', 'a load test');
SELECT results_eq($$ SELECT fine, says FROM raxx_detect.today WHERE topic = 'not told' $$, $$ VALUES (NULL::boolean, '2 silences in force') $$, 'two silences are');

-- ---- who may look ----------------------------------------------------------------------------------------------------------
CREATE ROLE look_reader;
GRANT USAGE ON SCHEMA raxx_detect TO look_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO look_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO look_reader;
SET LOCAL ROLE look_reader;
CREATE TEMP TABLE seen AS SELECT * FROM raxx_detect.finding_summary;
CREATE TEMP TABLE seen_today AS SELECT * FROM raxx_detect.today;
RESET ROLE;
SELECT is((SELECT count(*) FROM seen), 52::bigint, 'who may read no source sees the findings');
SELECT is((SELECT count(sparkline) FROM seen), 0::bigint, 'without pictures');
SELECT is((SELECT count(*) FROM seen_today), 10::bigint, 'and today');
SELECT matches((SELECT says FROM seen_today WHERE topic = 'sources'), 'waitlist_signups', 'which says what it could not read');
SELECT * FROM finish();
ROLLBACK;
