-- Rule 15, unmatched changes: records before, after and long after; hostile names; rows without them; any schedule.
BEGIN;
SELECT plan(43);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table('addon_changes', 'changes');
SELECT raxx_detect.create_source_table('change_records', 'records');
SELECT raxx_detect.unbind_source('change_records');
CREATE FUNCTION pg_temp.change(at text, item text DEFAULT 'DATABASE_URL', app text DEFAULT 'shop', actor text DEFAULT 'ana') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO changes (event_time, app, item, actor) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, app, item, actor) $$;
CREATE FUNCTION pg_temp.record(at text, item text DEFAULT 'DATABASE_URL', app text DEFAULT 'shop') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO records (event_time, app, item) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, app, item) $$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('cost_heroku_addon_drift', ('2026-06-04 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'cost_heroku_addon_drift';

-- ---- states and empty sources -------------------------------------------------------------------------------------------
SELECT ok(r.outcome = 'dormant' AND r.detail LIKE '%change_records%', 'without change_records the rule waits for them') FROM pg_temp.look('11:00') r;
SELECT raxx_detect.bind_source('change_records', 'records');
SELECT ok(r.outcome = 'no_data' AND r.detail LIKE '%addon_changes has no rows%', 'without a single change there is no verdict') FROM pg_temp.look('11:01') r;
SELECT pg_temp.change('12:00');
SELECT is((r.outcome, r.detail), ('ok'::text, NULL::text), 'no record at all is no trouble of the source') FROM pg_temp.look('12:29:59.999999') r;
SELECT is(count(*), 0::bigint, 'nothing before the half hour is over') FROM pg_temp.found;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 1::bigint), 'then the change is unmatched') FROM pg_temp.look('12:30') r;
SELECT results_eq('SELECT entity, source, severity::text, observed, fired_by, sample_size, condition, episode FROM pg_temp.found',
    $$VALUES ('shop/DATABASE_URL', 'addon_changes', 'medium', 1::float8, 'threshold', 1::bigint, 'firing', '["2026-06-04 12:00:00+00","2026-06-04 12:00:00+00"]'::tstzrange)$$,
    'a finding of the instant of the change');
SELECT is(summary, 'shop/DATABASE_URL: changed by ana at 2026-06-04 12:00:00 UTC, and no change record lies within 30 min of it', 'that says who and when') FROM pg_temp.found;
SELECT is((evidence -> 'actors', evidence #> '{rows,first_rows}'), ('["ana"]'::jsonb, '[[1]]'::jsonb), 'so does its evidence') FROM pg_temp.found;
SELECT is(count(*), 1::bigint, 'the rule has coverage of what it judges') FROM raxx_detect.coverage WHERE rule_id = 'cost_heroku_addon_drift' AND source = 'addon_changes';
SELECT is(count(*), 0::bigint, 'and none of the records') FROM raxx_detect.coverage WHERE rule_id = 'cost_heroku_addon_drift' AND source = 'change_records';

-- ---- a record that is written later --------------------------------------------------------------------------------------
SELECT is(r.findings_updated, 0::bigint, 'it goes on firing') FROM pg_temp.look('12:31') r;
SELECT pg_temp.record('12:00', 'REDIS_URL'), pg_temp.record('12:00', app => 'api'), pg_temp.record('11:29:59.999999'), pg_temp.record('12:30:00.000001');
SELECT is(r.findings_updated, 0::bigint, 'records of other items or of other times do not clear it') FROM pg_temp.look('12:32') r;
SELECT is(r.findings_updated, 0::bigint, 'hours later it still fires') FROM pg_temp.look('20:00') r;
SELECT pg_temp.record('11:30');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 1::bigint), 'until a record is written') FROM raxx_detect.run('cost_heroku_addon_drift', '2026-07-15 12:00+00') r;
SELECT results_eq('SELECT condition, summary, evidence ->> ''record_at'', evidence -> ''actors'' FROM pg_temp.found',
    $$VALUES ('cleared', 'shop/DATABASE_URL: changed by ana at 2026-06-04 12:00:00 UTC, and no change record lies within 30 min of it; a change record of 2026-06-04 11:30:00 UTC, seen since, explains it',
        '2026-06-04T11:30:00+00:00', '["ana"]'::jsonb)$$, 'weeks later, and it says which');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'once') FROM raxx_detect.run('cost_heroku_addon_drift', '2026-07-15 12:01+00') r;
SELECT isnt(count(*), 0::bigint, 'the run that cleared it is on record') FROM raxx_detect.rule_runs WHERE rule_id = 'cost_heroku_addon_drift' AND findings_updated = 1;

-- While nothing is settled yet, too: cleared once, with the same words.
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM changes; DELETE FROM records;
SELECT pg_temp.change('12:00');
SELECT is(r.findings_new, 1::bigint, 'a finding') FROM pg_temp.look('12:30') r;
SELECT pg_temp.record('12:20');
SELECT is(r.findings_updated, 1::bigint, 'cleared within the lateness') FROM pg_temp.look('12:31') r;
SELECT ok(condition = 'cleared' AND summary LIKE '%; a change record of 2026-06-04 12:20:00 UTC, seen since, explains it', 'in the same words') FROM pg_temp.found;
SELECT is(r.findings_updated, 0::bigint, 'once') FROM pg_temp.look('12:32') r;
-- A record that is taken away again.
DELETE FROM records;
SELECT is(r.findings_updated, 1::bigint, 'the record goes while nothing is settled') FROM pg_temp.look('12:33') r;
SELECT is(condition, 'firing', 'it fires again') FROM pg_temp.found;
SELECT pg_temp.look('14:00');
-- A change that is taken away does not clear what is settled.
DELETE FROM changes;
SELECT pg_temp.change('13:59');
SELECT is(r.findings_updated, 0::bigint, 'the change goes') FROM pg_temp.look('14:01') r;
SELECT is(condition, 'firing', 'its finding stays') FROM pg_temp.found;
-- Triage does not keep it from being cleared.
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged';
SELECT pg_temp.record('12:01');
SELECT is(r.findings_updated, 1::bigint, 'somebody has seen it, and a record comes') FROM pg_temp.look('14:02') r;

-- ---- several changes -----------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM changes; DELETE FROM records;
SELECT pg_temp.change('12:00'), pg_temp.change('12:00', actor => 'ben'), pg_temp.change('12:00:00.000001'), pg_temp.change('12:00', 'REDIS_URL');
SELECT pg_temp.record('12:30');
SELECT is(r.findings_new, 1::bigint, 'one record covers all changes of its item within half an hour') FROM pg_temp.look('13:00') r;
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM records;
SELECT is(r.findings_new, 3::bigint, 'without it') FROM pg_temp.look('13:01') r;
SELECT results_eq('SELECT entity, lower(episode), observed, evidence -> ''actors'' FROM pg_temp.found ORDER BY 1, 2',
    $$VALUES ('shop/DATABASE_URL', '2026-06-04 12:00:00+00'::timestamptz, 2::float8, '["ana", "ben"]'::jsonb),
             ('shop/DATABASE_URL', '2026-06-04 12:00:00.000001+00', 1, '["ana"]'), ('shop/REDIS_URL', '2026-06-04 12:00:00+00', 1, '["ana"]')$$,
    'those of one instant are one finding');

-- ---- names ---------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage; DELETE FROM changes; DELETE FROM records;
SELECT pg_temp.change('12:00', 'c', 'a/b'), pg_temp.change('12:00', 'b/c', 'a'), pg_temp.change('12:00', '', ''), pg_temp.change('12:00', '\N', 'a'),
       pg_temp.change('12:00', NULL, 'a'), pg_temp.change('12:00', 'x', NULL), pg_temp.change('12:00', repeat('x', 100000), 'long'),
       pg_temp.change('12:00', E'\x1b''; DROP TABLE changes; --', 'odd', NULL);
SELECT pg_temp.record('12:00', 'c', 'a/b'), pg_temp.record('12:00', NULL, 'a'), pg_temp.record('12:00', 'x', NULL);
SELECT is(r.findings_new, 7::bigint, 'a slash in a name makes no match') FROM pg_temp.look('13:00') r;
SELECT bag_eq($$SELECT entity FROM pg_temp.found WHERE length(entity) < 40 AND entity NOT LIKE 'odd%'$$, $$VALUES ('a/b\/c'), ('/'), ('a/\\N'), ('a/\N'), ('\N/x')$$, 'entities that differ');
SELECT ok(bool_and(length(entity) <= 300 AND length(summary) <= 300 AND summary !~ '[[:cntrl:]]'), 'all of them bounded and printable') FROM pg_temp.found;
SELECT ok(summary LIKE '%it does not say what was changed, so none can be matched', 'what names no item says so') FROM pg_temp.found WHERE entity = 'a/\N';
SELECT ok(summary LIKE '%changed by nobody named%', 'and what names no actor') FROM pg_temp.found WHERE entity LIKE 'odd%';
SELECT pg_temp.record('12:00', repeat('x', 100000), 'long'), pg_temp.record('12:00', '\N', 'a'), pg_temp.record('12:00', '', '');
SELECT pg_temp.look('20:00');
SELECT is((SELECT count(*) FROM pg_temp.found WHERE condition = 'cleared'), 3::bigint, 'records written later find theirs by the whole name');
SELECT is(condition, 'firing', 'and never what has none') FROM pg_temp.found WHERE entity = 'a/\N';

-- ---- columns of other types, and a relation that is gone ------------------------------------------------------------------
CREATE TABLE typed (at timestamptz, app uuid, item int, actor varchar(10));
INSERT INTO typed VALUES ('2026-06-04 12:00+00', md5('a')::uuid, 7, 'ana'), ('2026-06-04 12:00+00', md5('b')::uuid, 7, 'ana'), ('-infinity', md5('b')::uuid, 7, 'ana'), ('4714-11-24 00:00+00 BC', md5('c')::uuid, 8, 'ana');
CREATE TABLE noted (at timestamptz, app text, item text);
INSERT INTO noted VALUES ('2026-06-04 12:10+00', md5('a')::uuid::text, '7'), ('-infinity', 'x', 'y'), ('infinity', 'x', 'y');
SELECT raxx_detect.bind_source('addon_changes', 'typed', '{"event_time": "at"}');
SELECT raxx_detect.bind_source('change_records', 'noted', '{"event_time": "at"}');
DELETE FROM raxx_detect.detection_findings;
SELECT is((r.outcome, r.findings_new), ('ok'::text, 2::bigint), 'they are matched by their texts, at any time there is') FROM pg_temp.look('21:00') r;
DROP TABLE noted;
SELECT ok(r.outcome = 'error' OR r.outcome = 'dormant', 'without the records there is no verdict') FROM pg_temp.look('21:01') r;

-- ---- many runs or one ---------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE TABLE many_changes (id int PRIMARY KEY, event_time timestamptz, app text, item text, actor text);
INSERT INTO many_changes
SELECT n, timestamptz '2026-06-05 00:00+00' + pg_temp.pseudo_random(n, 1, 24 * 60) * interval '1 minute', 'app ' || pg_temp.pseudo_random(n, 2, 2), 'item ' || pg_temp.pseudo_random(n, 3, 3), 'ana'
FROM generate_series(1, 200) n;
CREATE TABLE many_records (id int PRIMARY KEY, event_time timestamptz, app text, item text);
INSERT INTO many_records
SELECT n, timestamptz '2026-06-05 00:00+00' + pg_temp.pseudo_random(n, 4, 24 * 60) * interval '1 minute', 'app ' || pg_temp.pseudo_random(n, 5, 2), 'item ' || pg_temp.pseudo_random(n, 6, 3)
FROM generate_series(1, 100) n;
SELECT raxx_detect.bind_source('addon_changes', 'many_changes');
SELECT raxx_detect.bind_source('change_records', 'many_records');
DELETE FROM raxx_detect.detection_findings;
SELECT raxx_detect.run('cost_heroku_addon_drift', '2026-06-06 02:00+00');
CREATE TABLE at_once AS SELECT entity, episode, observed, sample_size, condition, summary, evidence FROM pg_temp.found;
SELECT set_eq('SELECT entity, lower(episode), observed FROM at_once', $$
    SELECT c.app || '/' || c.item, c.event_time, count(*)::float8 FROM many_changes c
    WHERE NOT EXISTS (SELECT FROM many_records r WHERE r.app = c.app AND r.item = c.item AND abs(extract(epoch FROM r.event_time - c.event_time)) <= 1800)
    GROUP BY c.app, c.item, c.event_time$$, 'exactly the changes without a record');
SELECT cmp_ok(count(*), '>', 20::bigint, 'which are many') FROM at_once;
DO $$
DECLARE
    at timestamptz := '2026-06-05 00:00+00';
    n int := 0;
BEGIN
    DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
    WHILE at < '2026-06-06 02:00+00' LOOP
        n := n + 1;
        at := least('2026-06-06 02:00+00', at + (1 + pg_temp.pseudo_random(n, 7, 3000)) * interval '1 second');
        PERFORM raxx_detect.run('cost_heroku_addon_drift', at);
    END LOOP;
END $$;
SELECT set_eq('SELECT entity, episode, observed, sample_size, condition, summary, evidence FROM pg_temp.found', 'SELECT * FROM at_once', 'many runs find what one does');

-- The records come only when everything is over.
CREATE TABLE late_records (LIKE many_records);
SELECT raxx_detect.bind_source('change_records', 'late_records');
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
SELECT raxx_detect.run('cost_heroku_addon_drift', '2026-06-06 02:00+00');
INSERT INTO late_records SELECT * FROM many_records;
SELECT raxx_detect.run('cost_heroku_addon_drift', '2026-06-06 03:00+00');
SELECT set_eq($$SELECT entity, episode, observed FROM pg_temp.found WHERE condition = 'firing'$$, 'SELECT entity, episode, observed FROM at_once', 'late records leave the same open');
SELECT cmp_ok(count(*), '>', 20::bigint, 'and clear the others') FROM pg_temp.found WHERE condition = 'cleared';

SELECT * FROM finish();
ROLLBACK;
