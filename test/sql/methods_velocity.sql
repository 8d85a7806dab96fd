-- velocity_episodes against its definition: an episode of an entity is a maximal interval of instants t for which
-- (t - W, t] holds at least N of its rows. The definition is written down once in plain SQL, then every kind of
-- relation, of index, of entity type and of name has to give the same episodes.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';

-- ---- the rows: few entities, ragged times, many ties ---------------------------------------------------------------
CREATE FUNCTION pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

CREATE TABLE events (at timestamptz, who text);
-- Bursts of up to an hour, on the second: many rows of one entity share an instant.
INSERT INTO events
SELECT timestamptz '2024-03-05 00:00' + pseudo_random(n / 50, 1, 86400) * interval '1 second'
           + pseudo_random(n, 2, 1 + pseudo_random(n / 50, 3, 3600)) * interval '1 second',
       'who ' || pseudo_random(n, 4, 7)
FROM generate_series(1, 3000) n ORDER BY hashint8extended(n, 5);
-- Rows at the edge of windows of 10 seconds, 1 minute and 1 hour: exactly on it, a microsecond before and after.
INSERT INTO events
SELECT timestamptz '2024-03-06 12:00' + w.window_length * k + d.offset_by, 'edge ' || w.window_length
FROM (VALUES (interval '10 seconds'), ('1 minute'), ('1 hour')) w(window_length)
CROSS JOIN generate_series(0, 9) k
CROSS JOIN (VALUES (interval '0'), ('-1 microsecond'), ('1 microsecond')) d(offset_by)
WHERE (k + extract(microseconds FROM d.offset_by)::int) % 3 <> 1;
-- An empty entity is one; NULL entities, NULL times and infinite times are not judged.
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', '' FROM generate_series(1, 60) n;
INSERT INTO events SELECT timestamptz '2024-03-06 06:00' + n * interval '7 seconds', NULL FROM generate_series(1, 60) n;
INSERT INTO events VALUES (NULL, 'who 1'), ('infinity', 'who 1'), ('infinity', 'who 1'), ('-infinity', 'who 1'),
    ('4714-11-24 00:00:00 BC', 'first'), ('294276-12-31 23:59:59.999999', 'last'), ('294276-12-31 23:59:59.999998', 'last');

-- ---- the definition ------------------------------------------------------------------------------------------------
CREATE INDEX events_by_entity ON events (who, at);
CREATE FUNCTION by_definition(time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (entity text, episode tstzrange, peak bigint) LANGUAGE sql STABLE AS $$
    WITH judged AS MATERIALIZED (
        SELECT who, at FROM events WHERE at > from_time AND at <= to_time AND isfinite(at) AND who IS NOT NULL
    ), leaves AS (  -- the end of a window after the end of time is no instant
        SELECT who, CASE WHEN at > timestamptz '294276-12-31' THEN timestamptz 'infinity' ELSE at + time_window END AS at FROM judged
    ), levels AS (  -- can change only when a row comes or goes
        SELECT i.who, i.at,
               (SELECT count(*) FROM events e
                WHERE e.who = i.who AND e.at <= i.at AND e.at > CASE WHEN isfinite(i.at) AND i.at > '0001-01-01' THEN i.at - time_window ELSE '-infinity' END
                  AND e.at > from_time AND e.at <= to_time AND isfinite(e.at) AND isfinite(i.at)) AS level,
               lead(i.at) OVER (PARTITION BY i.who ORDER BY i.at) AS until
        FROM (SELECT * FROM judged UNION SELECT * FROM leaves) i
    ), islands AS (
        SELECT *, count(*) FILTER (WHERE level < threshold) OVER (PARTITION BY who ORDER BY at) AS island FROM levels
    )
    SELECT who, tstzrange(min(at), nullif(max(until), 'infinity')), max(level)
    FROM islands WHERE level >= threshold GROUP BY who, island
$$;

CREATE TABLE questions (question int PRIMARY KEY, time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz);
INSERT INTO questions VALUES
    ( 1, '1 microsecond', 1, '-infinity', 'infinity'),
    ( 2, '1 microsecond', 2, '-infinity', 'infinity'),
    ( 3, '2 microseconds', 2, '-infinity', 'infinity'),
    ( 4, '10 seconds', 2, '-infinity', 'infinity'),
    ( 5, '10 seconds', 3, '-infinity', 'infinity'),
    ( 6, '1 minute', 1, '-infinity', 'infinity'),
    ( 7, '1 minute', 4, '-infinity', 'infinity'),
    ( 8, '10 minutes', 8, '-infinity', 'infinity'),
    ( 9, '1 hour', 3, '-infinity', 'infinity'),
    (10, '1 hour', 25, '-infinity', 'infinity'),
    (11, '3 days', 100, '-infinity', 'infinity'),
    (12, '1 hour', 1000000, '-infinity', 'infinity'),
    (13, '1 hour', 9223372036854775807, '-infinity', 'infinity'),
    -- The bounds: exclusive from, inclusive to, half open, empty.
    (14, '1 minute', 2, '2024-03-06 12:00:00', '2024-03-06 13:00:00'),
    (15, '1 minute', 2, '2024-03-06 11:59:59.999999', '2024-03-06 12:59:59.999999'),
    (16, '10 minutes', 5, '2024-03-05 06:00', '2024-03-05 18:00'),
    (17, '10 minutes', 5, '-infinity', '2024-03-05 12:00'),
    (18, '10 minutes', 5, '2024-03-05 12:00', 'infinity'),
    (19, '10 minutes', 1, '2024-03-06 12:00', '2024-03-06 12:00'),
    (20, '10 minutes', 1, '2024-03-06 11:59:59.999999', '2024-03-06 12:00'),
    (21, '10 minutes', 1, 'infinity', 'infinity'),
    (22, '10 minutes', 1, '-infinity', '-infinity'),
    (23, '10 minutes', 1, '1990-01-01', '1991-01-01');

CREATE TABLE expected AS
SELECT q.question, d.entity, d.episode, d.peak
FROM questions q CROSS JOIN LATERAL by_definition(q.time_window, q.threshold, q.from_time, q.to_time) d;
DROP INDEX events_by_entity;

SELECT q.question, q.time_window, q.threshold, count(e.entity) AS episodes, count(DISTINCT e.entity) AS entities,
       coalesce(sum(e.peak), 0) AS peaks
FROM questions q LEFT JOIN expected e USING (question) GROUP BY q.question ORDER BY q.question;

-- How many episodes are missing, wrong, or out of order: start first, then the bytes of the entity.
CREATE FUNCTION check_relation(relation regclass, event_time name DEFAULT 'at', entity name DEFAULT 'who')
RETURNS TABLE (questions bigint, episodes bigint, missing bigint, wrong bigint, out_of_order bigint) LANGUAGE sql AS $$
    WITH observed AS MATERIALIZED (
        SELECT q.question, o.entity, o.episode, o.peak, o.position
        FROM questions q
        CROSS JOIN LATERAL raxx_detect.velocity_episodes(relation, event_time, entity, q.time_window, q.threshold,
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

-- ---- what is ignored is counted ------------------------------------------------------------------------------------
SELECT * FROM raxx_detect.velocity_episodes('events', 'at', 'who', '1 minute', 8, '-infinity', 'infinity');
SELECT * FROM raxx_detect.velocity_episodes('events', 'at', 'who', '1 minute', 8, '2024-03-06', '2024-03-07');
SELECT * FROM raxx_detect.velocity_episodes('events', 'at', 'who', '1 minute', 8, '2024-03-07', '2024-03-08');
SET client_min_messages = warning;

-- ---- tables, whatever index they have ------------------------------------------------------------------------------
SELECT * FROM check_relation('events');

CREATE INDEX events_time ON events (at);
SELECT * FROM check_relation('events');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM check_relation('events');

CREATE INDEX events_key ON events (who, at);
SELECT * FROM check_relation('events');
DROP INDEX events_time;
SELECT * FROM check_relation('events');
DROP INDEX events_key;
CREATE INDEX events_key ON events (who DESC, at);
SELECT * FROM check_relation('events');
DROP INDEX events_key;
CREATE INDEX events_backwards ON events (at DESC) INCLUDE (who);
SELECT * FROM check_relation('events');
RESET enable_seqscan;
RESET enable_bitmapscan;

-- A table that lies in the order of time, as its statistics say, and is read as it lies; then one row does not.
CREATE TABLE appended AS SELECT * FROM events ORDER BY at;
ANALYZE appended;
SELECT * FROM check_relation('appended');
WITH moved AS (DELETE FROM appended WHERE at = (SELECT min(at) FROM appended WHERE at > '2024-03-05 12:00') RETURNING *)
INSERT INTO appended SELECT * FROM moved;
SELECT * FROM check_relation('appended');
RESET client_min_messages;
SELECT count(*) FROM raxx_detect.velocity_episodes('appended', 'at', 'who', '1 minute', 8, '-infinity', 'infinity');
SET client_min_messages = warning;
SET enable_seqscan = off;
CREATE INDEX ON appended (who, at);
SELECT * FROM check_relation('appended');
RESET enable_seqscan;

-- The same question again once the table has changed under the plan that the session keeps.
ALTER TABLE events RENAME COLUMN who TO somebody;
ALTER TABLE events RENAME TO renamed_events;
SELECT * FROM check_relation('renamed_events', 'at', 'somebody');
ALTER TABLE renamed_events ADD COLUMN note text DEFAULT 'new';
ALTER TABLE renamed_events DROP COLUMN note;
SELECT * FROM check_relation('renamed_events', 'at', 'somebody');
ALTER TABLE renamed_events RENAME COLUMN somebody TO who;
ALTER TABLE renamed_events RENAME TO events;

-- A schema that changes its name takes its tables with it, and what then stands under the old name is another table.
CREATE SCHEMA before;
CREATE TABLE before.events AS SELECT * FROM events;
SELECT * FROM check_relation('before.events');
ALTER SCHEMA before RENAME TO after;
CREATE SCHEMA before;
CREATE TABLE before.events (at timestamptz, who text);
SELECT * FROM check_relation('after.events');
DROP TABLE before.events, after.events;
DROP SCHEMA before, after;

-- ---- partitions, views, other kinds of tables ----------------------------------------------------------------------
CREATE TABLE parted (at timestamptz, who text) PARTITION BY RANGE (at);
CREATE TABLE parted_early PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2024-03-05 12:00');
CREATE TABLE parted_late (junk int, who text, at timestamptz);  -- other columns in another order
ALTER TABLE parted_late DROP COLUMN junk;
ALTER TABLE parted ATTACH PARTITION parted_late FOR VALUES FROM ('2024-03-05 12:00') TO ('2024-03-06 06:03');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY LIST (who);
CREATE TABLE parted_rest_all PARTITION OF parted_rest DEFAULT;
INSERT INTO parted SELECT * FROM events;
SELECT * FROM check_relation('parted');
CREATE INDEX ON parted (at);
SELECT * FROM check_relation('parted');
CREATE INDEX ON parted (who, at);
ANALYZE parted;
SELECT * FROM check_relation('parted');

CREATE VIEW seen AS SELECT who || '' AS who, 1 AS one, at FROM parted UNION ALL SELECT who, 2, at FROM events WHERE false;
SELECT * FROM check_relation('seen');
CREATE VIEW sorted AS SELECT * FROM events ORDER BY who DESC;
SELECT * FROM check_relation('sorted');
CREATE MATERIALIZED VIEW kept AS SELECT * FROM events;
SELECT * FROM check_relation('kept');
CREATE UNLOGGED TABLE unlogged_events AS SELECT * FROM events ORDER BY at DESC;
SELECT * FROM check_relation('unlogged_events');
CREATE TEMPORARY TABLE temporary_events AS SELECT * FROM events;
SELECT * FROM check_relation('temporary_events');
CREATE TABLE inherited () INHERITS (events);
WITH moved AS (DELETE FROM ONLY events WHERE who IN ('who 3', '') RETURNING *) INSERT INTO inherited SELECT * FROM moved;
SELECT * FROM check_relation('events');

-- Too much for the memory to sort in: the executor sorts instead, and nothing else changes.
SET raxx_detect.memory_limit = '16MB';
CREATE VIEW wide AS SELECT at, who || repeat('.', 20000) AS who FROM events;
SELECT count(*) AS episodes, sum(peak) AS peaks, count(DISTINCT rtrim(entity, '.')) AS entities, max(length(entity)) AS longest
FROM raxx_detect.velocity_episodes('wide', 'at', 'who', '10 minutes', 8, '-infinity', 'infinity');
CREATE VIEW wider AS
SELECT at, who FROM events WHERE who IS NULL UNION ALL SELECT at, who || at || repeat('.', 20000) FROM events WHERE who IS NOT NULL;
-- Rows that are read twice for it are counted once.
RESET client_min_messages;
SELECT count(*) AS episodes FROM raxx_detect.velocity_episodes('wider', 'at', 'who', '10 minutes', 8, '-infinity', 'infinity');
SET client_min_messages = warning;
RESET raxx_detect.memory_limit;

-- ---- names that need quoting ---------------------------------------------------------------------------------------
CREATE SCHEMA "X y";
CREATE TABLE "X y"."select" AS SELECT at AS "select", who AS "a b", who AS "it's", who AS "say ""who""", at AS "order by" FROM events;
SELECT * FROM check_relation('"X y"."select"', 'select', 'a b');
SELECT * FROM check_relation('"X y"."select"', 'order by', 'it''s');
SELECT * FROM check_relation('"X y"."select"', 'select', 'say "who"');
CREATE INDEX ON "X y"."select" ("it's", "order by");
SELECT * FROM check_relation('"X y"."select"', 'order by', 'it''s');

-- ---- entities of any type: the same when their texts are -----------------------------------------------------------
CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'cyan', 'pink', 'grey', 'teal');
CREATE DOMAIN short_text AS text CHECK (length(value) < 20);
CREATE DOMAIN shorter_text AS short_text;
CREATE DOMAIN instant AS timestamptz;
CREATE TABLE typed AS
SELECT e.at, k AS as_int, k::smallint AS as_smallint, k - 4 AS as_signed, k::bigint * 1000000007 AS as_bigint, k::oid AS as_oid,
       (k % 2 = 0) AS as_boolean, k::text AS as_text, k::varchar(10) AS as_varchar, k::char(5) AS as_bpchar, k::"char" AS as_char,
       ('name ' || k)::name AS as_name, ('10.0.0.' || k)::inet AS as_inet, ('10.0.' || k || '.0/24')::cidr AS as_cidr,
       ('2001:db8::' || k || '/64')::inet AS as_inet6, md5(k::text)::uuid AS as_uuid, ('08:00:2b:01:02:0' || k)::macaddr AS as_macaddr,
       (enum_range(NULL::colour))[k + 1] AS as_enum, (k + 0.50)::numeric AS as_numeric, (k / 7.0)::float8 AS as_float8,
       ('text ' || k)::short_text AS as_domain, ('text ' || k)::shorter_text AS as_domain_of_domain,
       date '2024-01-01' + k AS as_date, k * interval '1 hour' AS as_interval, jsonb_build_object('k', k) AS as_jsonb,
       ARRAY[k, NULL] AS as_array, e.at::instant AS domain_at
FROM events e CROSS JOIN LATERAL (SELECT right(e.who, 1)::int AS k) k
WHERE e.who LIKE 'who %';
CREATE TABLE columns_to_try AS
SELECT attname AS entity, attnum FROM pg_attribute
WHERE attrelid = 'typed'::regclass AND attname LIKE 'as\_%' AND attname <> 'as_boolean' AND attnum > 0;

-- Each column names the same seven entities by other texts; those of as_int are checked against the definition first.
CREATE FUNCTION episodes_of(entity name) RETURNS TABLE (entity text, episode tstzrange, peak bigint) LANGUAGE sql AS $$
    SELECT * FROM raxx_detect.velocity_episodes('typed', 'at', entity, '10 minutes', 8, '-infinity', 'infinity')
$$;
SELECT count(*) AS differences FROM (
    (SELECT 'who ' || entity, episode, peak FROM episodes_of('as_int')
     EXCEPT ALL SELECT entity, episode, peak FROM expected WHERE question = 8)
    UNION ALL
    (SELECT entity, episode, peak FROM expected WHERE question = 8 AND entity LIKE 'who %'
     EXCEPT ALL SELECT 'who ' || entity, episode, peak FROM episodes_of('as_int'))) d;
CREATE FUNCTION check_types() RETURNS TABLE (entity name, type regtype, example text, episodes bigint, differences bigint)
LANGUAGE plpgsql AS $$
BEGIN
    FOR entity IN SELECT c.entity FROM columns_to_try c ORDER BY c.attnum LOOP
        SELECT a.atttypid::regtype INTO type FROM pg_attribute a WHERE a.attrelid = 'typed'::regclass AND a.attname = check_types.entity;
        EXECUTE format($query$
            WITH names AS (SELECT DISTINCT as_int::text AS k, raxx_detect.text_of(%1$I) AS name FROM typed),
                 expected AS (SELECT n.name, e.episode, e.peak FROM episodes_of('as_int') e JOIN names n ON n.k = e.entity),
                 observed AS (SELECT * FROM episodes_of(%1$L))
            SELECT (SELECT count(*) FROM observed), (SELECT name FROM names WHERE k = '3'),
                   (SELECT count(*) FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM observed) m)
                   + (SELECT count(*) FROM (SELECT * FROM observed EXCEPT ALL SELECT * FROM expected) w)$query$, entity)
        INTO episodes, example, differences;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM check_types();
-- The same, read in the order of an index on each of them.
DO $$
DECLARE entity name;
BEGIN
    FOR entity IN SELECT c.entity FROM columns_to_try c WHERE c.entity <> 'as_char' LOOP
        EXECUTE format('CREATE INDEX ON typed (%I, at)', entity);
    END LOOP;
END $$;
SELECT count(*) AS types, sum(episodes) AS episodes, sum(differences) AS differences FROM check_types();
SELECT entity, count(*) AS episodes FROM raxx_detect.velocity_episodes('typed', 'domain_at', 'as_boolean', '10 minutes', 30, '-infinity', 'infinity')
GROUP BY entity ORDER BY entity;
-- 1.0 and 1.00 are equal numbers, but not equal texts; 'a' and 'A' may be equal under a collation, but not as texts.
CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE equals (at timestamptz, number numeric, word text COLLATE ignoring_case, padded char(4));
INSERT INTO equals SELECT timestamptz '2024-03-05' + n * interval '1 second', CASE n % 2 WHEN 0 THEN 1.0 ELSE 1.00 END,
    CASE n % 2 WHEN 0 THEN 'a' ELSE 'A' END, CASE n % 2 WHEN 0 THEN 'a' ELSE 'a  ' END
FROM generate_series(1, 10) n;
SELECT * FROM raxx_detect.velocity_episodes('equals', 'at', 'number', '1 minute', 5, '-infinity', 'infinity');
SELECT * FROM raxx_detect.velocity_episodes('equals', 'at', 'word', '1 minute', 5, '-infinity', 'infinity');
SELECT *, length(entity) FROM raxx_detect.velocity_episodes('equals', 'at', 'padded', '1 minute', 5, '-infinity', 'infinity');
CREATE INDEX ON equals (number, at);
CREATE INDEX ON equals (word, at);
SET enable_seqscan = off;
SELECT * FROM raxx_detect.velocity_episodes('equals', 'at', 'number', '1 minute', 5, '-infinity', 'infinity');
SELECT * FROM raxx_detect.velocity_episodes('equals', 'at', 'word', '1 minute', 5, '-infinity', 'infinity');
RESET enable_seqscan;

-- Entities of a megabyte, in line, compressed and out of line, that differ in their last byte only.
CREATE TABLE large (at timestamptz, who text);
INSERT INTO large
SELECT timestamptz '2024-03-05' + n * interval '10 seconds', repeat('0123456789abcdef', 65536) || n % 3
FROM generate_series(1, 12) n;
ALTER TABLE large ALTER COLUMN who SET STORAGE EXTERNAL;
INSERT INTO large
SELECT timestamptz '2024-03-05 01:00' + n * interval '10 seconds', repeat('0123456789abcdef', 65536) || n % 3
FROM generate_series(1, 12) n;
SELECT length(entity), right(entity, 3), md5(entity) = md5(repeat('0123456789abcdef', 65536) || right(entity, 1)) AS whole, episode, peak
FROM raxx_detect.velocity_episodes('large', 'at', 'who', '1 minute', 2, '-infinity', 'infinity');

-- ---- it is a function like any other: joined, limited, called for each row, within a cursor ------------------------
SELECT * FROM raxx_detect.velocity_episodes('events', 'at', 'who', '1 minute', 8, '-infinity', 'infinity') LIMIT 1;
SELECT w.entity, count(*) AS relations, count(DISTINCT w.episode) AS episodes
FROM (VALUES ('events'::regclass), ('kept'), ('parted')) r(relation)
CROSS JOIN LATERAL raxx_detect.velocity_episodes(r.relation, 'at', 'who', '1 minute', 8, '-infinity', 'infinity') w
GROUP BY w.entity ORDER BY w.entity COLLATE "C";
BEGIN;
DECLARE found CURSOR FOR SELECT * FROM raxx_detect.velocity_episodes('events', 'at', 'who', '1 minute', 8, '-infinity', 'infinity');
DELETE FROM events;
FETCH 1 FROM found;
ROLLBACK;
-- What it reads is counted, per session: 10 rows more, 4 of them without entity, 1 at an infinite time.
CREATE TABLE counted AS SELECT timestamptz '2024-03-05' + n * interval '1 second' AS at, CASE WHEN n > 4 THEN 'x' END AS who
FROM generate_series(1, 9) n UNION ALL SELECT 'infinity', 'x';
SELECT rows_read, null_rows, infinite_times FROM raxx_detect.reading() \gset before_
SELECT count(*) FROM raxx_detect.velocity_episodes('counted', 'at', 'who', '1 minute', 1, '-infinity', 'infinity');
SELECT rows_read - :before_rows_read AS rows_read, null_rows - :before_null_rows AS null_rows,
       infinite_times - :before_infinite_times AS infinite_times
FROM raxx_detect.reading();

DROP SCHEMA "X y" CASCADE;
DROP TABLE appended, counted, large, equals, columns_to_try, typed, inherited, unlogged_events, questions, expected CASCADE;
DROP TABLE parted, events CASCADE;
DROP DOMAIN shorter_text, short_text, instant CASCADE;
DROP TYPE colour CASCADE;
DROP COLLATION ignoring_case;
DROP FUNCTION check_types, episodes_of, check_relation, by_definition, pseudo_random;
