-- distinct_episodes against its definition: an episode of an entity is a maximal interval of instants t for which
-- the rows of the entity in (t - W, t] have at least N distinct values. As for velocity_episodes, with values.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';

-- ---- the rows ------------------------------------------------------------------------------------------------------
CREATE FUNCTION pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

CREATE TABLE events (at timestamptz, who text, what text);
-- Values that come back within the window and after it, several at one instant.
INSERT INTO events
SELECT timestamptz '2024-03-05 00:00' + pseudo_random(n / 60, 1, 86400) * interval '1 second'
           + pseudo_random(n, 2, 1 + pseudo_random(n / 60, 3, 1800)) * interval '1 second',
       'who ' || pseudo_random(n, 4, 5), 'what ' || pseudo_random(n, 5, 2 + pseudo_random(n / 60, 6, 12))
FROM generate_series(1, 2400) n ORDER BY hashint8extended(n, 7);
-- Three values in turn, each exactly a window of a minute after its own last row, or a microsecond before or after.
INSERT INTO events
SELECT timestamptz '2024-03-06 12:00' + n * interval '20 seconds' + d.offset_by, 'edge ' || d.name, 'what ' || n % 3
FROM generate_series(0, 30) n
CROSS JOIN LATERAL (VALUES ('exact', interval '0'), ('early', n / 3 * interval '-1 microsecond'),
                           ('late', n / 3 * interval '1 microsecond')) d(name, offset_by);
-- The same value over and over is one value. The empty string is a value and an entity.
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '1 second', 'monotone', 'what' FROM generate_series(1, 40) n;
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', '', CASE WHEN n % 2 = 0 THEN '' ELSE n::text END
FROM generate_series(1, 40) n;
-- Two entities whose names and values give the same text when put together.
INSERT INTO events
SELECT timestamptz '2024-03-06 07:00' + n * interval '1 second', CASE n % 2 WHEN 0 THEN 'ab' ELSE 'a' END, CASE n % 2 WHEN 0 THEN 'c' ELSE 'bc' END
FROM generate_series(1, 10) n;
-- What is not judged.
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', NULL, n::text FROM generate_series(1, 25) n;
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', 'who 1', NULL FROM generate_series(1, 25) n;
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', NULL, NULL FROM generate_series(1, 10) n;
INSERT INTO events VALUES (NULL, 'who 1', 'never'), ('infinity', 'who 1', 'late'), ('-infinity', 'who 1', 'early');

-- ---- the definition ------------------------------------------------------------------------------------------------
CREATE INDEX events_by_entity ON events (who, at);
CREATE FUNCTION by_definition(time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (entity text, episode tstzrange, peak bigint) LANGUAGE sql STABLE AS $$
    WITH judged AS MATERIALIZED (
        SELECT who, at FROM events
        WHERE at > from_time AND at <= to_time AND isfinite(at) AND who IS NOT NULL AND what IS NOT NULL
    ), levels AS (  -- can change only when a row comes or goes
        SELECT i.who, i.at,
               (SELECT count(DISTINCT e.what) FROM events e
                WHERE e.who = i.who AND e.at <= i.at AND e.at > i.at - time_window
                  AND e.at > from_time AND e.at <= to_time AND isfinite(e.at)) AS level,
               lead(i.at) OVER (PARTITION BY i.who ORDER BY i.at) AS until
        FROM (SELECT * FROM judged UNION SELECT who, at + time_window FROM judged) i
    ), islands AS (
        SELECT *, count(*) FILTER (WHERE level < threshold) OVER (PARTITION BY who ORDER BY at) AS island FROM levels
    )
    SELECT who, tstzrange(min(at), max(until)), max(level)
    FROM islands WHERE level >= threshold GROUP BY who, island
$$;

CREATE TABLE questions (question int PRIMARY KEY, time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz);
INSERT INTO questions VALUES
    ( 1, '1 microsecond', 1, '-infinity', 'infinity'),
    ( 2, '1 microsecond', 2, '-infinity', 'infinity'),
    ( 3, '1 minute', 1, '-infinity', 'infinity'),
    ( 4, '1 minute', 2, '-infinity', 'infinity'),
    ( 5, '1 minute', 3, '-infinity', 'infinity'),
    ( 6, '59.999999 seconds', 3, '-infinity', 'infinity'),
    ( 7, '60.000001 seconds', 3, '-infinity', 'infinity'),
    ( 8, '10 minutes', 5, '-infinity', 'infinity'),
    ( 9, '10 minutes', 9, '-infinity', 'infinity'),
    (10, '3 days', 13, '-infinity', 'infinity'),
    (11, '1 hour', 1000000, '-infinity', 'infinity'),
    (12, '1 minute', 2, '2024-03-06 12:00:20', '2024-03-06 12:05:00'),
    (13, '1 minute', 2, '2024-03-06 12:00:19.999999', '2024-03-06 12:04:59.999999'),
    (14, '10 minutes', 3, '2024-03-05 06:00', '2024-03-05 18:00'),
    (15, '10 minutes', 3, '-infinity', '2024-03-05 12:00'),
    (16, '10 minutes', 3, '2024-03-05 12:00', 'infinity'),
    (17, '10 minutes', 1, '2024-03-06 12:00', '2024-03-06 12:00');

CREATE TABLE expected AS
SELECT q.question, d.entity, d.episode, d.peak
FROM questions q CROSS JOIN LATERAL by_definition(q.time_window, q.threshold, q.from_time, q.to_time) d;
DROP INDEX events_by_entity;

SELECT q.question, q.time_window, q.threshold, count(e.entity) AS episodes, count(DISTINCT e.entity) AS entities,
       coalesce(sum(e.peak), 0) AS peaks
FROM questions q LEFT JOIN expected e USING (question) GROUP BY q.question ORDER BY q.question;

-- How many episodes are missing, wrong, or out of order: start first, then the bytes of the entity.
CREATE FUNCTION check_relation(relation regclass, event_time name DEFAULT 'at', entity name DEFAULT 'who', value name DEFAULT 'what')
RETURNS TABLE (questions bigint, episodes bigint, missing bigint, wrong bigint, out_of_order bigint) LANGUAGE sql AS $$
    WITH observed AS MATERIALIZED (
        SELECT q.question, o.entity, o.episode, o.peak, o.position
        FROM questions q
        CROSS JOIN LATERAL raxx_detect.distinct_episodes(relation, event_time, entity, value, q.time_window, q.threshold,
            q.from_time, q.to_time) WITH ORDINALITY o(entity, episode, peak, position)
    )
    SELECT (SELECT count(*) FROM questions), (SELECT count(*) FROM observed),
           (SELECT count(*) FROM (SELECT * FROM expected EXCEPT ALL SELECT question, entity, episode, peak FROM observed) m),
           (SELECT count(*) FROM (SELECT question, entity, episode, peak FROM observed EXCEPT ALL SELECT * FROM expected) w),
           (SELECT count(*) FROM (
                SELECT position, row_number() OVER (PARTITION BY question ORDER BY lower(episode), o.entity COLLATE "C") AS due
                FROM observed o) p
            WHERE position <> due)
$$;

-- ---- what is ignored is counted: without entity, without value, without either -------------------------------------
SELECT * FROM raxx_detect.distinct_episodes('events', 'at', 'who', 'what', '1 minute', 4, '2024-03-06', 'infinity');
-- A value that leaves the window at the instant it comes back never left; a microsecond later it did.
SELECT * FROM raxx_detect.distinct_episodes('events', 'at', 'who', 'what', '1 minute', 3, '2024-03-06 12:00', '2024-03-06 12:02');
SET client_min_messages = warning;

-- ---- tables, whatever index they have ------------------------------------------------------------------------------
SELECT * FROM check_relation('events');
CREATE INDEX events_time ON events (at);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM check_relation('events');
CREATE INDEX events_key ON events (who, at);
SELECT * FROM check_relation('events');
DROP INDEX events_time;
SELECT * FROM check_relation('events');
CREATE INDEX events_all ON events (at, who, what);
SELECT * FROM check_relation('events');
RESET enable_seqscan;
RESET enable_bitmapscan;

-- ---- partitions and views ------------------------------------------------------------------------------------------
CREATE TABLE parted (what text, at timestamptz, who text) PARTITION BY RANGE (at);
CREATE TABLE parted_early PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2024-03-05 12:00');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT what, at, who FROM events;
SELECT * FROM check_relation('parted');
CREATE INDEX ON parted (at);
SELECT * FROM check_relation('parted');
CREATE INDEX ON parted (who, at);
SELECT * FROM check_relation('parted');
CREATE VIEW seen AS SELECT what, who, at FROM parted ORDER BY what;
SELECT * FROM check_relation('seen');
CREATE MATERIALIZED VIEW kept AS SELECT * FROM events;
SELECT * FROM check_relation('kept');

-- Too much for the memory to sort in: the executor sorts instead.
SET raxx_detect.memory_limit = '16MB';
CREATE VIEW wide AS SELECT at, who, what || repeat('.', 20000) AS what FROM events;
SELECT count(*) AS episodes, sum(peak) AS peaks
FROM raxx_detect.distinct_episodes('wide', 'at', 'who', 'what', '10 minutes', 5, '-infinity', 'infinity');
SELECT count(*) AS episodes, sum(peak) AS peaks FROM expected WHERE question = 8;
RESET raxx_detect.memory_limit;

-- ---- names that need quoting; the entity may be the value ----------------------------------------------------------
CREATE SCHEMA "X y";
CREATE TABLE "X y"."from" AS SELECT at AS "to", who AS "a b", what AS "it's" FROM events;
SELECT * FROM check_relation('"X y"."from"', 'to', 'a b', 'it''s');
SELECT * FROM raxx_detect.distinct_episodes('events', 'at', 'who', 'who', '1 minute', 2, '-infinity', 'infinity');

-- ---- values of any type: the same when their texts are -------------------------------------------------------------
CREATE TYPE colour AS ENUM ('k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9', 'k10', 'k11', 'k12', 'k13');
CREATE DOMAIN short_text AS text CHECK (length(value) < 20);
CREATE TABLE typed AS
SELECT e.at, e.who, k AS as_int, k::smallint AS as_smallint, k::bigint - 5 AS as_bigint, k::oid AS as_oid, k::text AS as_text,
       k::varchar AS as_varchar, k::char(4) AS as_bpchar, ('k' || k)::name AS as_name, ('10.0.0.' || k)::inet AS as_inet,
       md5(k::text)::uuid AS as_uuid, ('k' || k)::colour AS as_enum, k / 100.0 AS as_numeric, k::float8 / 3 AS as_float8,
       ('k' || k)::short_text AS as_domain, timestamptz '2024-01-01' + k * interval '1 hour' AS as_timestamptz,
       to_jsonb(k) AS as_jsonb, repeat(md5(k::text), 5000) AS as_long_text
FROM events e CROSS JOIN LATERAL (SELECT right(e.what, 2)::int AS k) k
WHERE e.what LIKE 'what _%' AND e.who LIKE 'who %';
SELECT a.attname AS value, a.atttypid::regtype AS type, count(*) AS episodes, sum(d.peak) AS peaks,
       count(*) FILTER (WHERE EXISTS (SELECT FROM expected e WHERE e.question = 8
                                      AND (e.entity, e.episode, e.peak) = (d.entity, d.episode, d.peak))) AS as_expected
FROM pg_attribute a
CROSS JOIN LATERAL raxx_detect.distinct_episodes('typed', 'at', 'who', a.attname, '10 minutes', 5, '-infinity', 'infinity') d
WHERE a.attrelid = 'typed'::regclass AND a.attname LIKE 'as\_%'
GROUP BY a.attnum, a.attname, a.atttypid ORDER BY a.attnum;
-- true and false are two values, and so are 1.0 and 1.00: equal numbers, but not equal texts.
CREATE TABLE equals AS
SELECT timestamptz '2024-03-05' + n * interval '1 second' AS at, n % 2 = 0 AS flag, CASE n % 2 WHEN 0 THEN 1.0 ELSE 1.00 END AS number, 1 AS one
FROM generate_series(1, 4) n;
SELECT * FROM raxx_detect.distinct_episodes('equals', 'at', 'one', 'flag', '1 minute', 2, '-infinity', 'infinity');
SELECT * FROM raxx_detect.distinct_episodes('equals', 'at', 'one', 'number', '1 minute', 2, '-infinity', 'infinity');

-- Values of a megabyte that differ in their last byte only, compressed and out of line.
CREATE TABLE large (at timestamptz, who int, what text);
ALTER TABLE large ALTER COLUMN what SET STORAGE EXTERNAL;
INSERT INTO large
SELECT timestamptz '2024-03-05' + n * interval '10 seconds', 1, repeat('0123456789abcdef', 65536) || n % 3
FROM generate_series(1, 12) n;
ALTER TABLE large ALTER COLUMN what SET STORAGE EXTENDED;
INSERT INTO large
SELECT timestamptz '2024-03-05' + n * interval '10 seconds', 2, repeat('0123456789abcdef', 65536) || n % 3
FROM generate_series(1, 12) n;
SELECT * FROM raxx_detect.distinct_episodes('large', 'at', 'who', 'what', '30 seconds', 3, '-infinity', 'infinity');

DROP SCHEMA "X y" CASCADE;
DROP TABLE large, equals, typed, questions, expected, parted CASCADE;
DROP TABLE events CASCADE;
DROP DOMAIN short_text;
DROP TYPE colour;
DROP FUNCTION check_relation, by_definition, pseudo_random;
