-- Rule 5, e-mail pattern: a domain counts as such, a shape at a free-mail provider only if its history does not explain
-- it. (bursts.sql has its life, schedule.sql its independence of the schedule; test/sql/email_pattern.sql the patterns.)
BEGIN;
SELECT plan(31);
SET LOCAL timezone = 'UTC';

CREATE TABLE signups (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
CREATE FUNCTION pg_temp.sign_up(at timestamptz, VARIADIC emails text[]) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO signups (event_time, email) SELECT at, e FROM unnest(emails) e $$;
CREATE FUNCTION pg_temp.look(at timestamptz) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('signup_email_pattern_anomaly', at) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'signup_email_pattern_anomaly';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM signups; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage $$;
-- A quiet week before: every 20 minutes somebody from anywhere, every two hours letters and digits at gmail.
CREATE FUNCTION pg_temp.quiet_week() RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.start_over();
    INSERT INTO signups (event_time, email)
    SELECT t, 'info@site' || extract(epoch FROM t)::bigint || '.example' FROM generate_series(timestamptz '2024-02-27 12:05+00', '2024-03-05 11:55+00', '20 minutes') t;
    INSERT INTO signups (event_time, email)
    SELECT t, 'anna' || extract(epoch FROM t)::bigint || '@gmail.com' FROM generate_series(timestamptz '2024-02-27 12:10+00', '2024-03-05 11:50+00', '2 hours') t;
$$;

-- ---- what a finding tells: a domain -----------------------------------------------------------------------------------
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', 'u' || n || '@mail' || n || '.leads.co.uk') FROM generate_series(1, 7) n;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 0::bigint), 'seven of a domain are none') FROM pg_temp.look('2024-03-05 12:01+00') r;
SELECT pg_temp.sign_up('2024-03-05 12:01+00', 'X@LEADS.co.uk');
SELECT is(r.findings_new, 1::bigint, 'the eighth fires') FROM pg_temp.look('2024-03-05 12:01+00') r;
CREATE TEMP TABLE first AS SELECT * FROM pg_temp.found;
SELECT is((entity, severity::text, condition), ('leads.co.uk'::text, 'medium'::text, 'firing'::text), 'the registrable domain') FROM first;
SELECT is((observed, threshold, unit, sample_size), (8::float8, 8::float8, 'sign-ups of one domain'::text, 8::bigint), 'eight of it')
FROM first;
SELECT is(summary, '8 sign-ups from leads.co.uk within 5 min (threshold 8)', 'in a sentence') FROM first;
SELECT is(p_value, NULL, 'a domain needs no chance') FROM first;
SELECT is(jsonb_array_length(evidence #> '{rows,first_rows}'), 8, 'its rows') FROM first;
SELECT is(r.findings_updated, 1::bigint, 'it ends') FROM pg_temp.look('2024-03-05 12:10+00') r;
SELECT results_eq('SELECT finding_id, condition, episode FROM pg_temp.found',
    $$SELECT finding_id, 'cleared', '["2024-03-05 12:01:00+00","2024-03-05 12:05:00+00")'::tstzrange FROM first$$, 'when the first have left the window');

-- ---- and a shape ------------------------------------------------------------------------------------------------------
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', chr(96 + n) || '.x' || n || '+tag@gmail.com') FROM generate_series(1, 8) n;
SELECT is(r.findings_new, 1::bigint, 'eight of a shape that is rare') FROM pg_temp.look('2024-03-05 12:01+00') r;
DELETE FROM first;
INSERT INTO first SELECT * FROM pg_temp.found;
SELECT is((entity, unit), ('a9@gmail.com'::text, 'sign-ups of one shape'::text), 'are the shape at its provider') FROM first;
-- 468 and 78 sign-ups in the whole days of the week before, and 78 of them have the shape.
SELECT is((evidence ->> 'history_size')::int, 546, 'its history') FROM first;
SELECT is(round((evidence ->> 'share')::numeric, 12), round(79 / 548.0, 12), 'its share, by the rule of succession') FROM first;
SELECT is(round((p_value * 1e9)::numeric, 6), round(((79 / 548.0) ^ 8 * 1e9)::numeric, 6), 'so that eight of eight are improbable')
FROM first;
SELECT cmp_ok(p_value, '<=', 1e-6::float8, 'enough') FROM first;
SELECT is(summary, '8 sign-ups of the shape a9@gmail.com within 5 min; it was the shape of 14.42 % of them in the 7 days before', 'in a sentence')
FROM first;
SELECT is(jsonb_array_length(evidence #> '{rows,first_rows}'), 8, 'its rows') FROM first;

-- A common shape is none, nor is one among many.
SELECT pg_temp.quiet_week();
INSERT INTO signups (event_time, email)
SELECT t, 'anna.' || extract(epoch FROM t)::bigint || '@gmail.com' FROM generate_series(timestamptz '2024-02-27 12:10+00', '2024-03-05 11:50+00', '10 minutes') t;
SELECT pg_temp.sign_up('2024-03-05 12:00+00', 'x' || n || '@gmail.com') FROM generate_series(1, 8) n;
SELECT is(r.findings_new, 0::bigint, 'eight of a shape that is common') FROM pg_temp.look('2024-03-05 12:01+00') r;
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', 'x' || n || '@gmail.com') FROM generate_series(1, 8) n;
SELECT pg_temp.sign_up('2024-03-05 12:00+00', 'info@one' || n || '.example') FROM generate_series(1, 60) n;
SELECT is(r.findings_new, 0::bigint, 'eight of a shape among sixty others') FROM pg_temp.look('2024-03-05 12:01+00') r;

-- ---- a long wave of one shape: the wave does not become its own history -------------------------------------------------
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up(t, 'eva' || extract(epoch FROM t)::bigint || '@gmail.com')
FROM generate_series(timestamptz '2024-03-05 12:00+00', '2024-03-05 12:40+00', '20 seconds') t;
SELECT pg_temp.sign_up(t, 'info@at' || extract(epoch FROM t)::bigint || '.example')
FROM generate_series(timestamptz '2024-03-05 12:00+00', '2024-03-05 12:40+00', '60 seconds') t;
SELECT pg_temp.look('2024-03-05 13:00+00');
CREATE TEMP TABLE at_once AS SELECT entity, episode, condition, observed, sample_size, p_value, summary, evidence FROM pg_temp.found;
SELECT results_eq('SELECT entity, condition, episode FROM at_once',
    $$VALUES ('a9@gmail.com', 'cleared', '["2024-03-05 12:03:20+00","2024-03-05 12:42:40+00")'::tstzrange)$$,
    'looked at once: one episode, from the sign-up on at which 11 of 15 are no chance');
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
SELECT count(pg_temp.look(at)) FROM generate_series(timestamptz '2024-03-05 11:59+00', '2024-03-05 13:00+00', '1 minute') at;
SELECT results_eq('SELECT entity, episode, condition FROM pg_temp.found', 'SELECT entity, episode, condition FROM at_once', 'looked at every minute: the same episode');
SELECT results_eq('SELECT observed, sample_size, summary, evidence FROM pg_temp.found', 'SELECT observed, sample_size, summary, evidence FROM at_once', 'and the same told of it');

-- ---- a wave of one shape in which a crowd of others joins later: found at any schedule, or at none ----------------------
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up(t, 'y' || extract(epoch FROM t)::bigint || '@gmail.com')
FROM generate_series(timestamptz '2024-03-05 12:00+00', '2024-03-05 14:00+00', '30 seconds') t;
SELECT pg_temp.sign_up(t, 'info@at' || extract(epoch FROM t)::bigint || '.example')
FROM generate_series(timestamptz '2024-03-05 12:20+00', '2024-03-05 14:00+00', '2 seconds') t;
SELECT pg_temp.look('2024-03-05 14:30+00');
DELETE FROM at_once;
INSERT INTO at_once SELECT entity, episode, condition, observed, sample_size, p_value, summary, evidence FROM pg_temp.found;
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
SELECT count(pg_temp.look(at)) FROM generate_series(timestamptz '2024-03-05 11:59+00', '2024-03-05 14:30+00', '10 minutes') at;
SELECT pg_temp.look('2024-03-05 14:30+00');
SELECT set_eq('SELECT entity, episode FROM pg_temp.found', 'SELECT entity, episode FROM at_once', 'the same, looked at once or every ten minutes');

-- ---- providers are rows ------------------------------------------------------------------------------------------------
SELECT pg_temp.quiet_week();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', repeat('a1', n) || '@mail.newprovider.example') FROM generate_series(1, 9) n;
SELECT pg_temp.look('2024-03-05 12:01+00');
SELECT results_eq('SELECT entity FROM pg_temp.found', $$VALUES ('newprovider.example')$$, 'a domain that nobody knows is a domain');
INSERT INTO raxx_detect.free_mail_domains VALUES ('newprovider.example');
SELECT pg_temp.look('2024-03-05 12:02+00');
SELECT is_empty($$SELECT entity FROM pg_temp.found WHERE condition = 'firing'$$, 'named a provider, it is none: the shapes differ');
SELECT is(count(*), 0::bigint, 'each provider is a registrable domain') FROM raxx_detect.free_mail_domains d
WHERE (raxx_detect.email_pattern('x@' || d.domain)).registrable_domain IS DISTINCT FROM d.domain;

-- ---- what is not judged --------------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', NULL, '', 'nobody', 'x@', '@x.example', 'a@192.0.2.1', 'a@localhost', 'a@com')
FROM generate_series(1, 9);
SELECT is((r.outcome, r.findings_new, r.detail), ('ok'::text, 0::bigint, 'ignored 9 rows of waitlist_signups with a NULL entity or value'::text),
    'what is not an address is of no pattern; a NULL is counted') FROM pg_temp.look('2024-03-05 12:01+00') r;
SELECT pg_temp.start_over();
SELECT pg_temp.sign_up('2024-03-05 12:00+00', repeat('x', 100000) || n || '@gmail.com', n || '@' || repeat('long.', 40) || 'example')
FROM generate_series(1, 12) n;
SELECT pg_temp.look('2024-03-05 12:01+00');
SELECT is((max(length(entity)) <= 280, max(length(summary)) <= 300, max(length(evidence::text)) < 2000), (true, true, true), 'long addresses make short findings')
FROM pg_temp.found;

-- ---- addresses of any type ------------------------------------------------------------------------------------------------
CREATE DOMAIN address AS varchar(100);
CREATE TABLE typed (event_time timestamptz, as_domain address, as_bpchar char(40), as_name name, origin text);
INSERT INTO typed SELECT '2024-03-05 12:00+00', e, e, e, '' FROM (SELECT 'x' || n || '@acme.com' AS e FROM generate_series(1, 8) n) a;
CREATE FUNCTION pg_temp.look_by(type text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM raxx_detect.bind_source('waitlist_signups', 'typed', jsonb_build_object('email', type));
    PERFORM pg_temp.start_over();
    PERFORM pg_temp.look('2024-03-05 12:01+00');
    RETURN (SELECT format('%s: %s rows', entity, jsonb_array_length(evidence #> '{rows,first_rows}')) FROM pg_temp.found);
END $$;
SELECT is(pg_temp.look_by(type), 'acme.com: 8 rows', format('addresses %s', type)) FROM unnest('{as_domain,as_bpchar,as_name}'::text[]) type;

SELECT * FROM finish();
ROLLBACK;
