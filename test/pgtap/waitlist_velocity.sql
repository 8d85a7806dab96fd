-- Rule 4, waitlist velocity per Origin: long episodes, lateness, windows of days, texts that are large or strange, and
-- sessions with other settings. (bursts.sql has its life, schedule.sql its independence of the schedule.)
BEGIN;
SELECT plan(31);
SET LOCAL timezone = 'UTC';

CREATE TABLE signups (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text);
CREATE INDEX ON signups (event_time);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
CREATE FUNCTION pg_temp.sign_up(at text, origin text DEFAULT 'https://a.example', number int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO signups (event_time, email, origin)
    SELECT ('2024-03-05 ' || at || '+00')::timestamptz, n || '@site.example', origin FROM generate_series(1, number) n
$$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('signup_waitlist_velocity_per_origin', ('2024-03-05 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM signups; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage $$;

-- ---- an episode much longer than the window and the lateness: one finding, told by its peak ---------------------------
SELECT pg_temp.sign_up('12:' || to_char(n, 'FM00'), number => CASE n WHEN 7 THEN 30 ELSE 5 END) FROM generate_series(0, 50) n;
SELECT count(pg_temp.look(to_char(at, 'HH24:MI'))) FROM generate_series(timestamp '2024-03-05 12:00', '2024-03-05 13:00', '1 minute') at;
SELECT results_eq('SELECT episode, observed, sample_size, condition, occurrences FROM pg_temp.found',
    $$VALUES ('["2024-03-05 12:03:00+00","2024-03-05 12:52:00+00")'::tstzrange, 50::float8, 50::bigint, 'cleared', 1)$$,
    'looked at every minute: all of it, with its peak');
SELECT is(summary, 'https://a.example: 50 sign-ups within 5 min (threshold 20; baseline: 0 of 7 days)', 'the sentence tells the peak that observed tells')
FROM pg_temp.found;
SELECT is(evidence #> '{rows,first_rows}', (SELECT jsonb_agg(jsonb_build_array(id) ORDER BY id) FROM (SELECT id FROM signups ORDER BY event_time, id LIMIT 20) s),
    'the first rows as evidence are those it began with') FROM pg_temp.found;
CREATE TEMP TABLE in_steps AS SELECT episode, observed, sample_size, occurrences, summary, evidence FROM pg_temp.found;
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
SELECT pg_temp.look('13:00');
SELECT results_eq('SELECT episode, observed, sample_size, occurrences, summary, evidence FROM pg_temp.found', 'SELECT * FROM in_steps', 'looked at once: the same');
SELECT is(r.rows_read, 0::bigint, 'a run with nothing new reads nothing') FROM pg_temp.look('13:30') r;

-- ---- lateness: as long as the source says ------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', lateness => '1 hour');
SELECT pg_temp.sign_up('12:00', number => 19);
SELECT is(r.findings_new, 0::bigint, 'nineteen are none') FROM pg_temp.look('12:30') r;
SELECT pg_temp.sign_up('12:00');
SELECT is(r.findings_new, 1::bigint, 'the twentieth comes 50 minutes late, and counts') FROM pg_temp.look('12:50') r;
SELECT results_eq('SELECT condition, episode FROM pg_temp.found', $$VALUES ('cleared', '["2024-03-05 12:00:00+00","2024-03-05 12:05:00+00")'::tstzrange)$$, 'an episode that is over when it is found');
SELECT pg_temp.sign_up('12:10', 'https://late.example', 20);
SELECT is(r.findings_new, 1::bigint, 'later than the lateness, but not before what is settled') FROM pg_temp.look('13:05') r;
SELECT pg_temp.sign_up('11:50', 'https://too-late.example', 20);
SELECT is(r.findings_new, 0::bigint, 'what is settled is not judged again') FROM pg_temp.look('13:06') r;
SELECT pg_temp.start_over();
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', lateness => '0');
SELECT pg_temp.sign_up('12:00', number => 20);
SELECT is(r.findings_new, 1::bigint, 'without lateness a row counts when it happens') FROM pg_temp.look('12:00') r;
SELECT is((r.outcome, r.findings_updated), ('skipped'::text, 0::bigint), 'and an instant is judged once') FROM pg_temp.look('12:00') r;
SELECT is(r.findings_updated, 1::bigint, 'it still ends') FROM pg_temp.look('12:05') r;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');

-- ---- a window of days is so many hours, whatever the session's time zone ----------------------------------------------
-- In New York 2024-03-10 had 23 hours. Ten sign-ups at 10:00 UTC on the 9th and ten 23 h 59 min later are within a day.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "1 day"}');
CREATE FUNCTION pg_temp.across_the_change(zone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('timezone', zone, true);
    PERFORM pg_temp.start_over();
    INSERT INTO signups (event_time, email, origin)
    SELECT t, 'x', 'https://a.example' FROM unnest('{2024-03-09 10:00+00,2024-03-10 09:59+00}'::timestamptz[]) t, generate_series(1, 10);
    PERFORM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-10 09:58+00');
    PERFORM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-10 10:10+00');
    PERFORM set_config('timezone', 'UTC', true);
    RETURN (SELECT string_agg(format('%s %s of %s rows', episode, observed, sample_size), ', ') FROM raxx_detect.detection_findings);
END $$;
SELECT is(pg_temp.across_the_change(zone), '["2024-03-10 09:59:00+00","2024-03-10 10:00:00+00") 20 of 20 rows', format('a day in %s', zone))
FROM unnest('{UTC,America/New_York,Asia/Kolkata}'::text[]) zone;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "5 minutes"}');

-- ---- settings of a session do not reach a finding ---------------------------------------------------------------------
CREATE FUNCTION pg_temp.found_with(zone text, dates text, intervals text, digits text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM pg_temp.start_over();
    ALTER SEQUENCE signups_id_seq RESTART;
    PERFORM pg_temp.sign_up('12:00', number => 20);
    PERFORM set_config('timezone', zone, true), set_config('datestyle', dates, true), set_config('intervalstyle', intervals, true), set_config('extra_float_digits', digits, true);
    PERFORM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-05 12:10+00');
    PERFORM set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, MDY', true), set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true);
    SELECT to_jsonb(f) - '{finding_id,detected_at,updated_at}'::text[] INTO result FROM raxx_detect.detection_findings f;
    RETURN result;
END $$;
SELECT is(pg_temp.found_with('America/New_York', 'German, DMY', 'iso_8601', '-15'), pg_temp.found_with('UTC', 'ISO, MDY', 'postgres', '1'), 'one finding, in any style');

-- ---- texts -----------------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.sign_up('12:00', origin, 20)
FROM unnest(ARRAY['', ' ', repeat('x', 200), repeat('x', 201), repeat('x', 202), repeat('\x', 200), E'a\nb\tc\x7f', E'\x1b[2J\x1b]0;owned\x07', $$'; DROP TABLE signups; --$$, '%s %I $1', repeat('abcdefgh', 131072)]) origin;
SELECT is(r.findings_new, 11::bigint, 'eleven strange origins are eleven findings') FROM pg_temp.look('12:01') r;
SELECT set_eq('SELECT split_part(summary, '': 20 sign-ups'', 1) FROM pg_temp.found WHERE length(entity) <= 30',
    ARRAY['(empty)', ' ', 'a?b?c?', '?[2J?]0;owned?', $$'; DROP TABLE signups; --$$, '%s %I $1'], 'a sentence has no control characters');
SELECT is(max(length(split_part(summary, ': 20 sign-ups', 1))), 80, 'and at most 80 characters of an entity') FROM pg_temp.found;
SELECT is(entity, repeat('x', 200), 'an entity of 200 characters is as it is')
FROM pg_temp.found WHERE entity LIKE 'xxx%' AND length(entity) = 200;
SELECT set_eq($$SELECT entity FROM pg_temp.found WHERE entity LIKE 'xxx%' AND length(entity) > 200$$,
    $$SELECT repeat('x', 200) || '... sha256:' || encode(sha256(convert_to(repeat('x', n), 'UTF8')), 'hex') FROM generate_series(201, 202) n$$, 'longer ones are cut and told apart by their hash');
SELECT is(count(*), 1::bigint, 'so is one full of backslashes')
FROM pg_temp.found WHERE entity = repeat('\x', 100) || '... sha256:' || encode(sha256(convert_to(repeat('\x', 200), 'UTF8')), 'hex');
SELECT is((max(length(entity)), max(length(summary)) < 200, max(length(evidence::text)) < 2000), (275, true, true), 'nothing in a finding is long')
FROM pg_temp.found;
SELECT is(max(jsonb_array_length(evidence #> '{rows,first_rows}')), 20, 'each has its rows as evidence, however long its entity')
FROM pg_temp.found;
SELECT is(min(jsonb_array_length(evidence #> '{rows,first_rows}')), 20, 'all of them') FROM pg_temp.found;
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'judged again, they are the same findings')
FROM pg_temp.look('12:02') r;

-- ---- evidence: keys of rows, bounded whatever the keys are ------------------------------------------------------------
CREATE TABLE keyed (part text, number int, "the time" timestamptz, email text, "the origin" text, PRIMARY KEY (number, part));
INSERT INTO keyed SELECT 'p', n, '2024-03-05 12:00+00', 'x', 'https://k.example' FROM generate_series(1, 25) n;
SELECT raxx_detect.bind_source('waitlist_signups', 'keyed', '{"event_time": "the time", "origin": "the origin"}');
SELECT pg_temp.start_over();
SELECT pg_temp.look('12:01');
SELECT is(evidence #> '{rows,key}', '["number", "part"]', 'a key of two columns, in its order') FROM pg_temp.found;
SELECT matches(evidence #>> '{rows,first_rows,0}', '^\[[0-9]+, "p"\]$', 'and its values') FROM pg_temp.found;
UPDATE keyed SET part = repeat('x', 100000);
SELECT pg_temp.start_over();
SELECT pg_temp.look('12:01');
SELECT cmp_ok(length(evidence::text), '<', 20000, 'keys of 100 kB do not make evidence of megabytes') FROM pg_temp.found;
CREATE VIEW keyless AS SELECT "the time" AS event_time, email, "the origin" AS origin FROM keyed;
SELECT raxx_detect.bind_source('waitlist_signups', 'keyless');
SELECT pg_temp.start_over();
SELECT pg_temp.look('12:01');
SELECT is(evidence #> '{rows,first_rows,0}', '["2024-03-05T12:00:00+00:00"]', 'a view has no key: the times stand for the rows')
FROM pg_temp.found;

SELECT * FROM finish();
ROLLBACK;
