-- Rule 14, restart clusters: what counts, at every edge, with and without causes and deploys; a deploy that comes later;
-- and raxx_detect.episodes_of, which counts.
BEGIN;
SELECT plan(46);
SET LOCAL timezone = 'UTC';
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE rule_id = 'ops_dyno_restart_cluster';

-- ---- episodes_of against episodes over a table --------------------------------------------------------------------------
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE TABLE events (at timestamptz, who text, what text);
INSERT INTO events
SELECT timestamptz '2024-03-05' + pg_temp.pseudo_random(n, 1, 3000) * interval '1 second', 'who ' || pg_temp.pseudo_random(n, 2, 4),
       'what ' || pg_temp.pseudo_random(n, 3, 9)
FROM generate_series(1, 3000) n ORDER BY hashint8extended(n, 4);
INSERT INTO events VALUES (NULL, 'who 1', 'x'), ('2024-03-05', NULL, 'x'), ('2024-03-05', 'who 1', NULL), ('infinity', 'who 1', 'x'), ('-infinity', 'who 1', 'x');
CREATE FUNCTION pg_temp.of_arrays(method text, number bigint) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT e.entity, e.episode, e.peak, e.sample_size
    FROM (SELECT array_agg(at) AS times, array_agg(who) AS entities, array_agg(what) AS keys FROM events) a
    CROSS JOIN LATERAL raxx_detect.episodes_of(method, a.times, a.entities, a.keys, '1 minute', number) e
$$;
SELECT results_eq(format('SELECT * FROM pg_temp.of_arrays(%L, %s) e(entity text, episode tstzrange, peak bigint, sample_size bigint)', method, number),
    format('SELECT * FROM raxx_detect.episodes(%L, ''events'', ''at'', ''who'', %L, NULL, NULL, NULL, ''1 minute'', %s, ''-infinity'', ''infinity'')',
        method, CASE method WHEN 'distinct' THEN 'what' END, number), format('%s, at least %s: as over a table', method, number))
FROM (VALUES ('velocity', 15), ('velocity', 20), ('distinct', 8), ('distinct', 9)) v(method, number);
SELECT cmp_ok(count(*), '>', 20::bigint, 'there is something to compare')
FROM pg_temp.of_arrays('distinct', 9) e(entity text, episode tstzrange, peak bigint, sample_size bigint);
SELECT is_empty($$SELECT * FROM raxx_detect.episodes_of('velocity', '{}', '{}', NULL, '1 minute', 1)$$, 'of nothing there is none');
SELECT results_eq($$SELECT entity, peak FROM raxx_detect.episodes_of('velocity', '{2024-03-05,2024-03-05}', ARRAY['', ''], NULL, '1 minute', 2)$$,
    $$VALUES ('', 2::bigint)$$, 'the empty text is an entity');
CREATE FUNCTION pg_temp.read_by(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before record := raxx_detect.reading();
    after record;
BEGIN
    EXECUTE query;
    after := raxx_detect.reading();
    RETURN format('%s %s %s', after.rows_read - before.rows_read, after.null_rows - before.null_rows, after.infinite_times - before.infinite_times);
END $$;
SELECT is(pg_temp.read_by($$SELECT * FROM pg_temp.of_arrays('distinct', 9) e(entity text, episode tstzrange, peak bigint, sample_size bigint)$$),
    '3005 3 2', 'what is ignored is counted');
SELECT is(pg_temp.read_by($$SELECT * FROM pg_temp.of_arrays('velocity', 9) e(entity text, episode tstzrange, peak bigint, sample_size bigint)$$),
    '3005 2 2', 'velocity looks at no keys');
SELECT is(pg_temp.read_by('SELECT raxx_detect.add_reading(5, 2)'), '5 2 0', 'an evaluator in SQL adds what it read');
SELECT throws_ok(format('SELECT * FROM raxx_detect.episodes_of(%s)', arguments), state, message, 'refused: ' || message)
FROM (VALUES
    ($$'velocity', '{2024-03-05}', '{}', NULL, '1 minute', 1$$, '22023', 'times and entities must be of the same length'),
    ($$'distinct', '{2024-03-05}', '{a}', '{a,b}', '1 minute', 1$$, '22023', 'times and keys must be of the same length'),
    ($$'distinct', '{2024-03-05}', '{a}', NULL, '1 minute', 1$$, '22004', 'keys must not be NULL'),
    ($$'velocity', NULL, '{a}', NULL, '1 minute', 1$$, '22004', 'times must not be NULL'),
    ($$'velocity', '{2024-03-05}', NULL, NULL, '1 minute', 1$$, '22004', 'entities must not be NULL'),
    ($$'gap', '{2024-03-05}', '{a}', NULL, '1 minute', 1$$, '22023', 'unknown method "gap"'),
    ($$NULL, '{2024-03-05}', '{a}', NULL, '1 minute', 1$$, '22004', 'method must not be NULL'),
    ($$'velocity', '{2024-03-05}', '{a}', NULL, '0', 1$$, '22023', 'time_window must be positive'),
    ($$'velocity', '{2024-03-05}', '{a}', NULL, '1 minute', 0$$, '22023', 'threshold must be at least 1')) v(arguments, state, message);

-- ---- the rule -----------------------------------------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('dyno_restarts', 'restarts');
CREATE FUNCTION pg_temp.restart(at text, dyno text, cause text DEFAULT NULL, app text DEFAULT 'shop') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO restarts (event_time, app, dyno, cause) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, app, dyno, cause) $$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('ops_dyno_restart_cluster', ('2026-06-04 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'ops_dyno_restart_cluster';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM restarts; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage $$;

SELECT pg_temp.restart('12:00', 'web.1', 'crash'), pg_temp.restart('12:01', 'web.2'), pg_temp.restart('12:02', 'web.1'), pg_temp.restart('12:03', 'web.3', 'deploy');
SELECT is(r.findings_new, 0::bigint, 'two dynos, and one by a deploy') FROM pg_temp.look('12:04') r;
SELECT pg_temp.restart('12:05', 'web.4', 'Deploy');
SELECT is(r.findings_new, 1::bigint, 'a third, of a cause that only looks like one') FROM pg_temp.look('12:06') r;
SELECT results_eq('SELECT entity, severity::text, observed, sample_size, condition, episode FROM pg_temp.found',
    $$VALUES ('shop', 'medium', 3::float8, 4::bigint, 'firing', '["2026-06-04 12:05:00+00",)'::tstzrange)$$, 'is a cluster');
SELECT is(evidence -> 'dynos', '["web.1", "web.2", "web.4"]'::jsonb, 'that names its dynos') FROM pg_temp.found;
SELECT is(evidence #> '{rows,first_rows}', '[[1], [2], [3], [5]]'::jsonb, 'and the rows that counted') FROM pg_temp.found;
SELECT is((evidence -> 'causes_known', evidence -> 'deploys_known'), ('true'::jsonb, 'false'::jsonb), 'and what could be known') FROM pg_temp.found;

-- A deploy that comes after them clears it.
SELECT raxx_detect.create_source_table('deploy_events', 'deploys');
SELECT is(r.findings_updated, 1::bigint, 'no deploy, but from now on one would be known') FROM pg_temp.look('12:06:30') r;
INSERT INTO deploys (event_time, app) VALUES ('2026-06-04 12:10+00', 'shop'), ('2026-06-04 12:01+00', 'api'), ('2026-06-04 12:01+00', NULL);
SELECT is(r.findings_updated, 1::bigint, 'a deploy ten minutes after the first') FROM pg_temp.look('12:11') r;
SELECT results_eq('SELECT condition, upper(episode) <= ''2026-06-04 12:11+00'' FROM pg_temp.found', $$VALUES ('cleared', true)$$, 'clears the finding');
SELECT ok(summary LIKE '%; a deploy of the app has come close to the restarts since, or their rows have changed', 'which says so') FROM pg_temp.found;
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'once') FROM pg_temp.look('12:12') r;
SELECT is(r.findings_new + r.findings_updated, 0::bigint, 'also when it is long past') FROM pg_temp.look('13:00') r;

-- Both edges of the margin, to the microsecond; the deploy's and the window's.
CREATE FUNCTION pg_temp.with_deploy(at text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.start_over();
    DELETE FROM deploys;
    PERFORM pg_temp.restart('14:00', 'web.1'), pg_temp.restart('14:00', 'web.2'), pg_temp.restart('14:00', 'web.3');
    INSERT INTO deploys (event_time, app) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, 'shop');
    PERFORM pg_temp.look('14:30');
    RETURN (SELECT coalesce(string_agg(observed::text, ','), 'none') FROM pg_temp.found);
END $$;
SELECT is(pg_temp.with_deploy(at), expected, 'a deploy at ' || at)
FROM (VALUES ('13:50:00', 'none'), ('13:49:59.999999', '3'), ('14:10:00', 'none'), ('14:10:00.000001', '3')) v(at, expected);
SELECT pg_temp.start_over();
DELETE FROM deploys;
INSERT INTO deploys (event_time, app) VALUES ('2026-06-04 13:50+00', 'shop');
SELECT pg_temp.restart('14:00', 'web.1'), pg_temp.restart('14:00:00.000001', 'web.2'), pg_temp.restart('14:00:00.000001', 'web.3');
SELECT is(r.findings_new, 0::bigint, 'of three, the one that it explains is missing') FROM pg_temp.look('14:05') r;

-- A relation that is gone is an error; a source that is given up is none.
SELECT pg_temp.start_over();
SELECT pg_temp.restart('14:00', 'web.1'), pg_temp.restart('14:00', 'web.2'), pg_temp.restart('14:00', 'web.3');
DROP TABLE deploys;
SELECT ok(r.outcome = 'error' AND r.detail LIKE '42P01: the relation bound to source deploy_events no longer exists%', 'the deploys are gone') FROM pg_temp.look('14:05') r;
SELECT raxx_detect.unbind_source('deploy_events');
SELECT is(r.findings_new, 1::bigint, 'without them, what they would explain fires') FROM pg_temp.look('14:06') r;

-- Without a cause column; app and dyno of other types; NULLs.
CREATE TABLE plain (id int PRIMARY KEY, event_time timestamptz, app int, dyno uuid);
INSERT INTO plain SELECT n, '2026-06-04 15:00+00', CASE WHEN n < 4 THEN 7 END, CASE WHEN n <> 3 THEN md5(n::text)::uuid END FROM generate_series(1, 9) n;
INSERT INTO plain VALUES (10, '-infinity', 7, md5('x')::uuid), (11, '4714-11-24 00:00+00 BC', 7, md5('y')::uuid);
SELECT raxx_detect.bind_source('dyno_restarts', 'plain');
DELETE FROM raxx_detect.detection_findings;
SELECT ok(r.findings_new = 0 AND r.detail LIKE '%ignored 7 rows%', 'rows without an app or a dyno are counted, not judged') FROM pg_temp.look('15:01') r;
INSERT INTO plain VALUES (12, '2026-06-04 15:02+00', 7, md5('z')::uuid);
SELECT is(r.findings_new, 1::bigint, 'three dynos of app 7') FROM pg_temp.look('15:02') r;
SELECT is((entity, evidence -> 'causes_known'), ('7'::text, 'false'::jsonb), 'by its text') FROM pg_temp.found;

-- ---- many runs or one ---------------------------------------------------------------------------------------------------
CREATE TABLE many (id int PRIMARY KEY, event_time timestamptz, app text, dyno text, cause text);
INSERT INTO many
SELECT n, timestamptz '2026-06-05 00:00+00' + pg_temp.pseudo_random(n, 1, 12 * 3600) * interval '1 second', 'app ' || pg_temp.pseudo_random(n, 2, 2),
       'web.' || pg_temp.pseudo_random(n, 3, 5), (ARRAY['crash', 'deploy', NULL])[1 + pg_temp.pseudo_random(n, 4, 3)]
FROM generate_series(1, 400) n;
CREATE TABLE deployed (id int PRIMARY KEY, event_time timestamptz, app text);
INSERT INTO deployed
SELECT n, timestamptz '2026-06-05 00:00+00' + pg_temp.pseudo_random(n, 5, 12 * 3600) * interval '1 second', 'app ' || pg_temp.pseudo_random(n, 6, 2)
FROM generate_series(1, 20) n;
SELECT raxx_detect.bind_source('dyno_restarts', 'many');
SELECT raxx_detect.bind_source('deploy_events', 'deployed');
DELETE FROM raxx_detect.detection_findings;
SELECT raxx_detect.run('ops_dyno_restart_cluster', '2026-06-05 13:00+00');
CREATE TABLE at_once AS SELECT entity, episode, observed, sample_size, condition, summary, evidence FROM pg_temp.found;
SELECT cmp_ok(count(*), '>', 10::bigint, 'there are clusters to compare') FROM at_once;
-- The definition: at each restart that counts, the distinct dynos of the window up to it.
SELECT set_eq('SELECT entity, lower(episode), observed FROM at_once', $$
    WITH counted AS (
        SELECT m.* FROM many m WHERE m.cause IS DISTINCT FROM 'deploy' AND NOT EXISTS (
            SELECT FROM deployed d WHERE d.app = m.app AND d.event_time BETWEEN m.event_time - interval '10 min' AND m.event_time + interval '10 min')
    ), instants AS (  -- the count changes when a restart comes or leaves
        SELECT DISTINCT c.app, x.at FROM counted c CROSS JOIN LATERAL (VALUES (c.event_time), (c.event_time + interval '10 min')) x(at)
    ), dynos AS (
        SELECT i.app, i.at, (SELECT count(DISTINCT c.dyno) FROM counted c WHERE c.app = i.app AND c.event_time > i.at - interval '10 min' AND c.event_time <= i.at) AS n
        FROM instants i
    ), runs AS (
        SELECT d.*, count(*) FILTER (WHERE n < 3) OVER (PARTITION BY app ORDER BY at) AS run FROM dynos d
    )
    SELECT app, min(at), max(n)::float8 FROM runs WHERE n >= 3 GROUP BY app, run$$, 'they are those of the definition');
CREATE FUNCTION pg_temp.in_steps(seed bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2026-06-05 00:00+00';
    n int := 0;
BEGIN
    DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
    WHILE at < '2026-06-05 13:00+00' LOOP
        n := n + 1;
        at := at + (1 + pg_temp.pseudo_random(n, seed, 1500)) * interval '1 second';
        PERFORM raxx_detect.run('ops_dyno_restart_cluster', least(at, '2026-06-05 13:00+00'));
    END LOOP;
END $$;
-- What a deploy has explained afterwards was found by those who looked in between, and cleared.
SELECT pg_temp.in_steps(11);
SELECT set_eq($$SELECT entity, episode, observed, sample_size, condition, summary, evidence FROM pg_temp.found WHERE NOT evidence ? 'refuted_at'$$,
    'SELECT * FROM at_once', 'many runs find what one does');
SELECT pg_temp.in_steps(12);
SELECT set_eq($$SELECT entity, episode, observed, sample_size, condition, summary, evidence FROM pg_temp.found WHERE NOT evidence ? 'refuted_at'$$,
    'SELECT * FROM at_once', 'however they are cut');
SELECT cmp_ok(count(*), '>', 0::bigint, 'some were cleared by a deploy') FROM pg_temp.found WHERE evidence ? 'refuted_at';

SELECT * FROM finish();
ROLLBACK;
