-- Evidence that cannot rot: what becomes of the rows that a finding names, and what is no change of them.
BEGIN;
SELECT plan(59);
SET LOCAL timezone = 'UTC';

CREATE TABLE signups (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text, status text, score float8, span int4range);
CREATE INDEX ON signups (event_time);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
UPDATE raxx_detect.rules SET state = 'disabled' WHERE rule_id NOT LIKE 'signup_waitlist%';
CREATE FUNCTION pg_temp.sign_up(at text, origin text, number int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO signups (event_time, email, origin, status, score)
    SELECT ('2024-03-05 ' || at || '+00')::timestamptz + n * interval '1 second', n || '@site.example', origin, 'new', n / 7.0 FROM generate_series(1, number) n
$$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('signup_waitlist_velocity_per_origin', ('2024-03-05 ' || at || '+00')::timestamptz) $$;
CREATE FUNCTION pg_temp.found(of text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT finding_id FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin' AND entity = of ORDER BY finding_id DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.check(of text) RETURNS text LANGUAGE sql AS $$ SELECT raxx_detect.check_evidence(pg_temp.found(of)) $$;
CREATE FUNCTION pg_temp.states(of text) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT jsonb_object_agg(s.state, s.n) FROM (SELECT e.state, count(*) AS n FROM raxx_detect.evidence_now(pg_temp.found(of)) e GROUP BY 1) s $$;
CREATE FUNCTION pg_temp.row_of(of text, n int) RETURNS int LANGUAGE sql STABLE AS $$ SELECT id FROM signups WHERE origin = of ORDER BY event_time, id OFFSET n - 1 LIMIT 1 $$;

-- ---- what is taken ------------------------------------------------------------------------------------------------------
SELECT pg_temp.sign_up('12:00', 'https://a.example', 25);
SELECT pg_temp.sign_up('12:00', 'https://b.example', 25);
SELECT is(r.findings_new, 2::bigint, 'two findings') FROM pg_temp.look('13:00') r;
SELECT is((h.columns, h.kinds, h.read_columns), ('{event_time,email,origin,id,status,score}'::name[], '{timestamptz,text,text,integer,text,float}'::text[], 3),
    'the columns that roles name first, then the others that have a canonical form') FROM raxx_detect.finding_rows h WHERE h.finding_id = pg_temp.found('https://a.example');
SELECT is(h.positions, ARRAY(SELECT generate_series(1, 20)), 'of each row that the evidence names') FROM raxx_detect.finding_rows h WHERE h.finding_id = pg_temp.found('https://a.example');
SELECT is((h.read_hashes[1], h.other_hashes[1]),
    (SELECT (sha256(h.salt || raxx_detect.canonical_row(s.event_time, s.email, s.origin)), sha256(h.salt || raxx_detect.canonical_row(s.id, s.status, s.score)))::record FROM signups s
     WHERE s.id = pg_temp.row_of('https://a.example', 1)), 'SHA-256 of the salt and the canonical form') FROM raxx_detect.finding_rows h WHERE h.finding_id = pg_temp.found('https://a.example');
SELECT is(count(DISTINCT h.salt), 2::bigint, 'each finding has a salt of its own') FROM raxx_detect.finding_rows h;
SELECT is(count(*), 0::bigint, 'no hash is in the finding itself') FROM raxx_detect.detection_findings f JOIN raxx_detect.finding_rows h USING (finding_id)
WHERE to_jsonb(f)::text LIKE '%' || encode(h.read_hashes[1], 'hex') || '%';

-- ---- what is no change ------------------------------------------------------------------------------------------------
SELECT is(pg_temp.check('https://a.example'), 'Of the 20 rows of public.signups that are evidence, all 20 are as they were.', 'nothing has changed');
ALTER TABLE signups ADD COLUMN extra int DEFAULT 7;
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 20}', 'a column more');
ALTER TABLE signups DROP COLUMN span;
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 20}', 'a column less that was not covered');
CLUSTER signups USING signups_pkey;
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 20}', 'the table written anew');
SET LOCAL timezone = 'Asia/Kathmandu'; SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL extra_float_digits = -10; SET LOCAL bytea_output = 'escape'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL client_encoding = 'LATIN1';
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 20}', 'another session''s settings');
SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL client_encoding = 'UTF8';
ALTER TABLE signups ALTER COLUMN id TYPE bigint;
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 20}', 'a wider type of the same values');
ALTER TABLE signups RENAME TO registrations;
SELECT is(pg_temp.check('https://a.example'), 'Of the 20 rows of public.registrations that are evidence, all 20 are as they were.', 'another name of the table');
ALTER TABLE registrations RENAME TO signups;
SELECT is((f.evidence_changed_at, f.evidence_note), (NULL::timestamptz, NULL::text), 'none of it marks the finding') FROM raxx_detect.detection_findings f WHERE f.finding_id = pg_temp.found('https://a.example');

-- ---- what is one ---------------------------------------------------------------------------------------------------------
CREATE TEMP TABLE before AS SELECT finding_id, to_jsonb(f) - '{evidence_changed_at,evidence_note}'::text[] AS row FROM raxx_detect.detection_findings f;
CREATE TEMP TABLE told AS SELECT count(*) AS n FROM raxx_detect.deliveries;
UPDATE signups SET status = 'invited' WHERE id = pg_temp.row_of('https://a.example', 2);
UPDATE signups SET event_time = event_time + interval '1 microsecond' WHERE id = pg_temp.row_of('https://a.example', 3);
DELETE FROM signups WHERE id = pg_temp.row_of('https://a.example', 4);
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 17, "changed elsewhere": 1, "changed": 1, "vanished": 1}', 'in another column, in what the rule reads, gone');
SELECT is((SELECT array_agg(e.state ORDER BY (e.row_key ->> 0)::int) FROM (SELECT * FROM raxx_detect.evidence_now(pg_temp.found('https://a.example')) LIMIT 5) e),
    '{as it was,changed elsewhere,changed,vanished,as it was}', 'row by row');
SELECT is(evidence_changed_at, NULL, 'looking changes nothing') FROM raxx_detect.detection_findings WHERE finding_id = pg_temp.found('https://a.example');
SELECT is(pg_temp.check('https://a.example'), 'Of the 20 rows of public.signups that are evidence, 17 are as they were, 1 has changed in what the rule reads, 1 has changed in other columns only, 1 has vanished (as happens to old rows on purpose, too).',
    'in a sentence');
SELECT is((f.evidence_changed_at, f.evidence_note LIKE '%17 are as they were, 1 has changed%'), (now(), true), 'the finding says so') FROM raxx_detect.detection_findings f WHERE f.finding_id = pg_temp.found('https://a.example');
SELECT is(to_jsonb(f) - '{evidence_changed_at,evidence_note}'::text[], b.row, 'and nothing else of it changes') FROM raxx_detect.detection_findings f JOIN before b USING (finding_id) WHERE f.finding_id = pg_temp.found('https://a.example');
SELECT is((SELECT count(*) FROM raxx_detect.deliveries), (SELECT n FROM told), 'nobody is told');
SELECT is(pg_temp.check('https://b.example'), 'Of the 20 rows of public.signups that are evidence, all 20 are as they were.', 'the other finding''s rows are as they were');
UPDATE signups SET status = 'new' WHERE status = 'invited';
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 18, "changed": 1, "vanished": 1}', 'what is put back is as it was');
SELECT ok(raxx_detect.explain(pg_temp.found('https://a.example')) ~ 'Evidence now: Of the 20 rows.*18\s+are\s+as\s+they\s+were.*first\s+noticed\s+at', 'explain says so, too');
DELETE FROM signups WHERE origin = 'https://b.example';
SELECT is(pg_temp.check('https://b.example'), 'Of the 20 rows of public.signups that are evidence, all 20 have vanished (as happens to old rows on purpose, too).', 'retention: calmly');
SELECT pg_temp.look('13:10');
SELECT ok(f.evidence_note IS NOT NULL, 'a run does not take it back') FROM raxx_detect.detection_findings f WHERE f.finding_id = pg_temp.found('https://a.example');

-- ---- what cannot be compared --------------------------------------------------------------------------------------------
ALTER TABLE signups RENAME COLUMN status TO stage;
SELECT is(pg_temp.check('https://a.example'), 'Of the 20 rows of public.signups that are evidence, 18 are as they were, 1 has changed in what the rule reads, 1 has vanished (as happens to old rows on purpose, too). Not all is compared: column "status" is gone.',
    'without a column that no role names, what the rule reads is compared');
ALTER TABLE signups ALTER COLUMN origin TYPE bytea USING convert_to(origin, 'UTF8');
SELECT is(pg_temp.states('https://a.example'), '{"not known": 19, "vanished": 1}', 'of another type: only whether they are there');
ALTER TABLE signups ALTER COLUMN origin TYPE text USING convert_from(origin, 'UTF8');
ALTER TABLE signups RENAME COLUMN stage TO status;
SELECT is(pg_temp.states('https://a.example'), '{"as it was": 18, "changed": 1, "vanished": 1}', 'back again');

-- ---- the daily look -------------------------------------------------------------------------------------------------------
SELECT pg_temp.sign_up('14:00', 'https://c.example', 25);
SELECT pg_temp.look('15:00');
SELECT raxx_detect.check_evidence_daily();
SELECT is(raxx_detect.check_evidence_daily(), 0, 'what was looked at today is not looked at again');
UPDATE raxx_detect.finding_rows SET checked_at = now() - interval '1 day';
DELETE FROM signups WHERE id = pg_temp.row_of('https://c.example', 1);
SELECT is(raxx_detect.check_evidence_daily(1), 1, 'as many as are asked for');
SELECT is(raxx_detect.check_evidence_daily(), 1, 'the rest; not those of which nothing is left');
SELECT ok(f.evidence_note LIKE '%1 has vanished%', 'the finding says so') FROM raxx_detect.detection_findings f WHERE f.finding_id = pg_temp.found('https://c.example');
UPDATE raxx_detect.finding_rows SET checked_at = now() - interval '1 day';
UPDATE raxx_detect.heartbeat SET last_run_at = now() - interval '1 hour', as_of = now() - interval '1 hour' WHERE date_trunc('day', now() - interval '1 hour', 'UTC') = date_trunc('day', now(), 'UTC');
UPDATE raxx_detect.heartbeat SET last_run_at = now(), as_of = now() WHERE date_trunc('day', now() - interval '1 hour', 'UTC') <> date_trunc('day', now(), 'UTC');
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(count(*), 0::bigint, 'a run like the one before does not look') FROM raxx_detect.finding_rows WHERE checked_at = now();
UPDATE raxx_detect.heartbeat SET last_run_at = now() - interval '1 day';
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(count(*), 2::bigint, 'the first of a day does') FROM raxx_detect.finding_rows WHERE checked_at = now();
DROP INDEX signups_event_time_idx;
ALTER TABLE signups DROP CONSTRAINT signups_pkey;
UPDATE raxx_detect.finding_rows SET checked_at = now() - interval '1 day';
SELECT is(raxx_detect.check_evidence_daily(), 0, 'a relation that would have to be read whole is left');
SELECT is(count(*), 2::bigint, 'and that is on record') FROM raxx_detect.finding_rows WHERE problem LIKE 'no index finds its rows%';
DROP TABLE signups;
SELECT is(pg_temp.states('https://a.example'), '{"not known": 20}', 'the table is gone');
SELECT ok(pg_temp.check('https://a.example') LIKE '%Not all is compared: the relation is not there any more.', 'and it says so');

-- ---- without a primary key: times ------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.detection_findings;
SELECT is(count(*), 0::bigint, 'hashes go with their finding') FROM raxx_detect.finding_rows;
CREATE TABLE loose (event_time timestamptz, email text, origin text, raw text);
CREATE INDEX ON loose (event_time);
CREATE VIEW signups_view AS SELECT event_time, email, origin FROM loose;
SELECT raxx_detect.bind_source('waitlist_signups', 'loose');
INSERT INTO loose SELECT '2024-03-05 12:00+00'::timestamptz + n * interval '1 second', n || '@site.example', 'https://l.example', 'r' FROM generate_series(1, 25) n;
INSERT INTO loose SELECT * FROM loose WHERE event_time = '2024-03-05 12:00:02+00';   -- the same twice
INSERT INTO loose VALUES ('2024-03-05 12:00:03+00', 'x@other.example', 'https://other.example', 'r');
SELECT pg_temp.look('13:00');
SELECT is(pg_temp.states('https://l.example'), '{"as it was": 20}', 'a time that two rows share counts twice, and another''s row of that time not at all');
INSERT INTO loose VALUES ('2024-03-05 12:00:05+00', 'new@site.example', 'https://l.example', 'r');
UPDATE loose SET email = 'y@other.example' WHERE origin = 'https://other.example';
SELECT is(pg_temp.states('https://l.example'), '{"as it was": 20}', 'another row of the same time is no change, nor is what becomes of it');
DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE event_time = '2024-03-05 12:00:02+00');
SELECT is(pg_temp.states('https://l.example'), '{"as it was": 19, "changed": 1}', 'of two equal rows one is gone');
DELETE FROM loose WHERE event_time = '2024-03-05 12:00:07+00';
UPDATE loose SET raw = 's' WHERE event_time = '2024-03-05 12:00:08+00';
UPDATE loose SET event_time = event_time + interval '1 hour' WHERE event_time = '2024-03-05 12:00:09+00';
SELECT is(pg_temp.states('https://l.example'), '{"as it was": 16, "changed": 1, "changed elsewhere": 1, "vanished": 2}', 'gone, changed elsewhere, moved');
INSERT INTO loose SELECT '2024-03-05 12:00:10+00', n || '@flood.example', 'https://f.example', 'r' FROM generate_series(1, 200) n;
SELECT is(coalesce((pg_temp.states('https://l.example') ->> 'not known')::int, 0) + (pg_temp.states('https://l.example') ->> 'as it was')::int, 16, 'who floods an instant makes it unknown at most, and not changed');
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM loose WHERE origin <> 'https://l.example';
SELECT raxx_detect.bind_source('waitlist_signups', 'signups_view');
SELECT pg_temp.look('13:00');
SELECT ok((pg_temp.states('https://l.example') ->> 'as it was')::int >= 18, 'a view, of its columns');
UPDATE loose SET raw = 't';
SELECT is(pg_temp.states('https://l.example') ? 'changed elsewhere', false, 'what a view does not show is not covered');

-- ---- strange rows ------------------------------------------------------------------------------------------------------------
CREATE TABLE strange (id text PRIMARY KEY, event_time timestamptz, email text, origin text, body text, raxx_seq bigint);
SELECT raxx_detect.bind_source('waitlist_signups', 'strange');
INSERT INTO strange SELECT CASE n WHEN 1 THEN repeat('k', 300) WHEN 2 THEN E'a"\\\n\'' ELSE 'id ' || n END, '2024-03-05 12:00+00'::timestamptz + n * interval '1 second', 'e', 'https://s.example',
    CASE n WHEN 3 THEN (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 5000) i) ELSE 'b' END FROM generate_series(1, 20) n;
SELECT pg_temp.look('13:00');
SELECT is(pg_temp.states('https://s.example'), '{"as it was": 19, "not covered": 1}', 'a key too long to be kept is not covered; a row too large by what the rule reads');
SELECT is((h.read_hashes[2] IS NOT NULL, h.other_hashes[2]), (true, NULL::bytea), 'no hash of what is too large') FROM raxx_detect.finding_rows h WHERE h.finding_id = pg_temp.found('https://s.example');
UPDATE strange SET raxx_seq = 5;
SELECT is(pg_temp.states('https://s.example') ->> 'as it was', '19', 'a chain that seals a row does not change it');
UPDATE strange SET email = repeat('long ', 1000000) WHERE id = 'id 5';
SELECT is(pg_temp.states('https://s.example') ->> 'changed', '1', 'a row that has become huge has changed');

-- ---- rows that come late: what had become of those named before stays on record ---------------------------------------------------
UPDATE strange SET email = 'tampered' WHERE id = 'id 6';
INSERT INTO strange VALUES ('late', '2024-03-05 12:00:00.5+00', 'e', 'https://s.example', 'b', NULL);
DELETE FROM raxx_detect.coverage WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT pg_temp.look('13:10');
SELECT is((f.evidence #> '{rows,first_rows,0}', f.evidence_note LIKE '%2 have changed in what the rule reads%'), ('["late"]'::jsonb, true), 'the evidence names others, and it is known that rows had changed before')
FROM raxx_detect.detection_findings f WHERE f.finding_id = pg_temp.found('https://s.example');
SELECT is(pg_temp.states('https://s.example') ->> 'changed', NULL, 'new hashes are of the rows as they are');

-- ---- rights, and errors -----------------------------------------------------------------------------------------------------
CREATE ROLE evidence_runner;
GRANT USAGE ON SCHEMA raxx_detect TO evidence_runner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO evidence_runner;
GRANT SELECT ON strange TO evidence_runner;
REVOKE ALL ON raxx_detect.finding_rows FROM evidence_runner;
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
SET LOCAL client_min_messages = error;
SET LOCAL ROLE evidence_runner;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 1::bigint), 'who may not keep hashes finds all the same') FROM pg_temp.look('13:00') r;
SELECT is(raxx_detect.check_evidence_daily(), 0, 'and looks at none');
SELECT ok(raxx_detect.explain(pg_temp.found('https://s.example')) LIKE '%Evidence now: role "evidence_runner" may not look whether its rows are as they were.%', 'explain says what it may not');
RESET ROLE;
SELECT is(raxx_detect.check_evidence(pg_temp.found('https://s.example')), 'No hashes of its rows were kept.', 'there are none');
SELECT throws_ok('SELECT raxx_detect.check_evidence(-1)', '42704', 'there is no finding -1', 'no such finding');
SELECT throws_ok('SELECT raxx_detect.evidence_now(NULL)', '42704', 'there is no finding NULL', 'NULL is none');
SELECT * FROM finish();
ROLLBACK;
