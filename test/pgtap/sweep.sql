-- Rows that come later than their source's lateness: after the sweep, the findings of the rules with thresholds are those
-- that one evaluation of all rows gives; late ones say that they are; and a sweep that finds nothing writes nothing.
BEGIN;
SELECT plan(78);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

-- Three hours of a Tuesday. A row in five comes up to twenty hours late, the others within four minutes.
CREATE TABLE clock (moment timestamptz);
INSERT INTO clock VALUES ('2024-03-07');
CREATE FUNCTION pg_temp.arrives(at timestamptz, n bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT at + CASE WHEN pg_temp.pseudo_random(n, 21, 5) = 0 THEN (600 + pg_temp.pseudo_random(n, 22, 20 * 3600)) * interval '1 second'
                     ELSE pg_temp.pseudo_random(n, 23, 240) * interval '1 second' END
$$;
CREATE FUNCTION pg_temp.some_time(n bigint, seed bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '2024-03-05 12:00+00' + pg_temp.pseudo_random(n, seed, 3 * 3600) * interval '1 second' $$;
-- Waves: half of the rows of a source in four minutes of each half hour, so that bursts begin, end and merge.
CREATE FUNCTION pg_temp.wave_time(n bigint, seed bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN n % 2 = 0 THEN pg_temp.some_time(n, seed)
                ELSE timestamptz '2024-03-05 12:00+00' + pg_temp.pseudo_random(n, seed, 6) * interval '30 minutes'
                     + pg_temp.pseudo_random(n, seed + 100, 240) * interval '1 second' END
$$;

CREATE TABLE sessions AS
SELECT n AS id, pg_temp.wave_time(n, 1) AS event_time, format('10.0.0.%s', pg_temp.pseudo_random(n, 2, 2))::inet AS ip FROM generate_series(1, 2200) n;
CREATE TABLE denials AS
SELECT n AS id, pg_temp.wave_time(n, 3) AS event_time, 'ops ' || pg_temp.pseudo_random(n, 4, 3) AS operator,
       'p' || pg_temp.pseudo_random(n, 5, 9) || CASE pg_temp.pseudo_random(n, 6, 4) WHEN 0 THEN ':admin' ELSE ':read' END AS permission FROM generate_series(1, 250) n;
CREATE TABLE signups AS
SELECT n AS id, pg_temp.wave_time(n, 7) AS event_time, 'a@site.example' AS email, 'o' || pg_temp.pseudo_random(n, 8, 3) AS origin,
       (ARRAY['DE', 'FR', 'PL', 'US'])[1 + pg_temp.pseudo_random(n, 9, 4)] AS country FROM generate_series(1, 1000) n;
CREATE TABLE errors AS
SELECT n AS id, pg_temp.wave_time(n, 10) AS event_time, '/r' || pg_temp.pseudo_random(n, 11, 2) AS route FROM generate_series(1, 2200) n;
CREATE TABLE customer AS SELECT n AS id, pg_temp.some_time(n, 12) AS event_time FROM generate_series(1, 9) n;
CREATE TABLE console AS SELECT n AS id, pg_temp.some_time(n, 13) AS event_time FROM generate_series(1, 11) n;
CREATE FUNCTION pg_temp.bind(kind text, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %1$I ADD PRIMARY KEY (id), ADD arrived timestamptz; UPDATE %1$I SET arrived = pg_temp.arrives(event_time, id);
        CREATE VIEW %2$I AS SELECT t.* FROM %1$I t, clock c WHERE t.arrived <= c.moment', name, name || '_so_far');
    PERFORM raxx_detect.bind_source(kind, (name || '_so_far')::regclass);
END $$;
SELECT pg_temp.bind(k, n) FROM (VALUES ('session_events', 'sessions'), ('rbac_denials', 'denials'), ('waitlist_signups', 'signups'), ('error_events', 'errors'),
    ('customer_audit_events', 'customer'), ('console_audit_events', 'console')) v(k, n);

CREATE VIEW judged AS SELECT rule_id, number FROM raxx_detect.rules WHERE number IN (2, 3, 4, 6, 8, 16);
SELECT raxx_detect.disable(r.rule_id, 'not judged here') FROM raxx_detect.rules r WHERE r.rule_id NOT IN (SELECT j.rule_id FROM judged j);
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE rule_id IN (SELECT j.rule_id FROM judged j);
-- What the rows once showed and do not any more stays on record, and says so; it is no finding of a single evaluation.
CREATE VIEW found AS
SELECT f.* FROM raxx_detect.detection_findings f WHERE NOT f.evidence ? 'refuted_at' AND NOT f.evidence @> '{"conditions": ["rows_gone"]}';
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS $$
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    DELETE FROM raxx_detect.rule_runs;
    SELECT raxx_detect.forget_counts(b.source) FROM raxx_detect.source_bindings b;
$$;

-- ---- at once -----------------------------------------------------------------------------------------------------
SELECT is(array_agg(DISTINCT r.outcome), '{ok}', 'one run over everything') FROM raxx_detect.run_all('2024-03-06 14:00') r
WHERE r.rule_id IN (SELECT j.rule_id FROM judged j);
CREATE TABLE at_once AS SELECT * FROM found;
SELECT is((SELECT count(*) FROM at_once WHERE late), 0::bigint, 'nothing that a first run finds is late');
SELECT cmp_ok((SELECT min(n) FROM (SELECT count(*) AS n FROM at_once GROUP BY rule_id, source) x), '>=', 2::bigint, 'there is much to be found');
SELECT set_eq('SELECT rule_id FROM at_once', 'SELECT rule_id FROM judged', 'by each rule');

-- ---- as the rows arrive ----------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.judge_in_steps(sweeping boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := '2024-03-05 12:10';
BEGIN
    PERFORM pg_temp.forget();
    WHILE at < '2024-03-06 14:00' LOOP
        at := least(at + CASE WHEN at < '2024-03-05 15:30' THEN interval '23 minutes' ELSE interval '170 minutes' END, '2024-03-06 14:00');
        UPDATE clock SET moment = at;
        IF sweeping THEN
            PERFORM raxx_detect.run_all(at);
        ELSE
            PERFORM raxx_detect.run(j.rule_id, at) FROM judged j;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.compare(how text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    rule record;
    columns text;
BEGIN
    FOR rule IN SELECT rule_id, number FROM judged ORDER BY number LOOP
        FOREACH columns IN ARRAY ARRAY['source, entity, episode, condition', 'entity, episode, observed, threshold, unit, p_value, fired_by, verdict',
                'entity, episode, sample_size, occurrences', 'entity, episode, summary, evidence - ''rows'''] LOOP
            RETURN NEXT bag_eq(format('SELECT %s FROM found WHERE rule_id = %L', columns, rule.rule_id),
                format('SELECT %s FROM at_once WHERE rule_id = %L', columns, rule.rule_id), format('rule %s, %s: %s', rule.number, how, columns));
        END LOOP;
        -- Severity never falls by itself: how bad a silence looked while rows were missing stays.
        RETURN NEXT is_empty(format('SELECT f.finding_id FROM found f JOIN at_once o USING (rule_id, entity, episode) WHERE rule_id = %L AND f.severity %s o.severity',
            rule.rule_id, CASE rule.number WHEN 6 THEN '<' ELSE '<>' END), format('rule %s, %s: severity', rule.number, how));
    END LOOP;
END $$;

DO 'BEGIN PERFORM pg_temp.judge_in_steps(false); END';
SELECT isnt_empty(format('SELECT 1 FROM at_once o WHERE rule_id = %L AND NOT EXISTS (SELECT FROM found f WHERE f.rule_id = o.rule_id AND f.episode = o.episode)', rule_id),
    format('rule %s without a sweep misses something', number)) FROM judged ORDER BY number;
DO 'BEGIN PERFORM pg_temp.judge_in_steps(true); END';
SELECT is_empty('SELECT source, error FROM raxx_detect.sweeps WHERE error IS NOT NULL', 'no sweep failed');
SELECT pg_temp.compare('after the runs'' own sweeps');
SELECT is(array_agg(DISTINCT late ORDER BY late), '{f,t}', 'some findings are late, others are not') FROM found;
CREATE TABLE in_steps AS SELECT * FROM found;

-- A sweep of its own finds no more, and writes nothing.
CREATE TEMP TABLE before AS
SELECT 'f' AS what, ctid::text AS place, finding_id::text AS id FROM raxx_detect.detection_findings UNION ALL SELECT 'c', ctid::text, rule_id || source FROM raxx_detect.coverage
UNION ALL SELECT 'h', ctid::text, source || hour FROM raxx_detect.hourly_counts UNION ALL SELECT 'r', ctid::text, run_id::text FROM raxx_detect.rule_runs;
SELECT results_eq($$SELECT source, outcome, hours, findings_new + findings_updated FROM raxx_detect.sweep('2024-03-06 14:00')$$,
    $$SELECT source, 'ok', '{}'::tstzmultirange, 0::bigint FROM raxx_detect.source_bindings b JOIN raxx_detect.source_kinds k USING (source) ORDER BY k.position$$,
    'nothing has changed since');
SELECT set_eq('SELECT * FROM before', $$
SELECT 'f' AS what, ctid::text AS place, finding_id::text AS id FROM raxx_detect.detection_findings UNION ALL SELECT 'c', ctid::text, rule_id || source FROM raxx_detect.coverage
UNION ALL SELECT 'h', ctid::text, source || hour FROM raxx_detect.hourly_counts UNION ALL SELECT 'r', ctid::text, run_id::text FROM raxx_detect.rule_runs$$,
    'and nothing is written, but when it was');

-- All late rows at the end, and one sweep.
DO 'BEGIN PERFORM pg_temp.forget(); END';
UPDATE clock SET moment = '2024-03-05 15:04';
SELECT isnt_empty($$SELECT FROM raxx_detect.run_all('2024-03-05 15:04')$$, 'run');
CREATE TEMP TABLE coverage_before AS SELECT * FROM raxx_detect.coverage;
UPDATE clock SET moment = '2024-03-07';
SELECT is(array_agg(DISTINCT outcome), '{ok}', 'swept at once') FROM raxx_detect.sweep('2024-03-05 16:00');
SELECT set_eq('SELECT rule_id, source, settled, looked_to FROM raxx_detect.coverage', 'SELECT rule_id, source, settled, looked_to FROM coverage_before',
    'the coverage is what it was');
SELECT isnt_empty($$SELECT FROM raxx_detect.run_all('2024-03-06 14:00')$$, 'run');
SELECT pg_temp.compare('after one sweep');

SELECT * FROM finish();
ROLLBACK;
