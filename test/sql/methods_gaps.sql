-- gaps against its definition: every [row, next row) that is longer than the limit, among the rows of the range.
-- And gap_quantiles, the lengths of all gaps by the hour in which they begin, against percentile_disc.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';

-- ---- the rows ------------------------------------------------------------------------------------------------------
CREATE FUNCTION pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

-- Four days of rows, dense and sparse by the hour, in no order, with ties; then silences of exact lengths.
CREATE TABLE events (at timestamptz);
INSERT INTO events
SELECT timestamptz '2024-03-05 00:00' + h * interval '1 hour' + pseudo_random(n, h, 3600 * 1000) * interval '1 millisecond'
FROM generate_series(0, 95) h CROSS JOIN LATERAL generate_series(1, (1 + pseudo_random(h, 1, 80))::int) n
ORDER BY hashint8extended(n, h);
INSERT INTO events SELECT at FROM events WHERE extract(milliseconds FROM at)::int % 10 = 0;
INSERT INTO events VALUES
    ('2024-03-10 00:00:00'), ('2024-03-10 00:30:00'), ('2024-03-10 01:00:00.000001'), ('2024-03-10 01:30:00'), ('2024-03-10 01:30:00'),
    ('2024-03-10 02:00:00'), ('2024-03-12 02:00:00'),
    ('1969-12-31 23:59:59.5'), ('1900-01-01 00:00'), ('4714-11-24 00:00:00 BC'), ('294276-12-31 23:59:59.999999'),
    (NULL), (NULL), ('infinity'), ('infinity'), ('-infinity');

-- ---- the definition ------------------------------------------------------------------------------------------------
CREATE FUNCTION by_definition(longer_than interval, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (gap tstzrange, length interval) LANGUAGE sql STABLE AS $$
    SELECT tstzrange(at, next), next - at
    FROM (SELECT at, lead(at) OVER (ORDER BY at) AS next FROM events WHERE at > from_time AND at <= to_time AND isfinite(at)) e
    WHERE next - at > longer_than
$$;

CREATE TABLE questions (question int PRIMARY KEY, longer_than interval, from_time timestamptz, to_time timestamptz);
INSERT INTO questions VALUES
    ( 1, '1 microsecond', '-infinity', 'infinity'),
    ( 2, '1 second', '-infinity', 'infinity'),
    ( 3, '29 minutes 59.999999 seconds', '-infinity', 'infinity'),
    ( 4, '30 minutes', '-infinity', 'infinity'),
    ( 5, '30 minutes 0.000001 seconds', '-infinity', 'infinity'),
    ( 6, '48 hours', '-infinity', 'infinity'),
    ( 7, '47 hours 59 minutes 59.999999 seconds', '-infinity', 'infinity'),
    ( 8, '1000000 days', '-infinity', 'infinity'),
    -- The bounds: exclusive from, inclusive to; what lies outside bounds no gap.
    ( 9, '29 minutes', '2024-03-10 00:00', '2024-03-10 01:30'),
    (10, '29 minutes', '2024-03-09 23:59:59.999999', '2024-03-10 01:29:59.999999'),
    (11, '10 minutes', '2024-03-05 12:00', '2024-03-06 12:00'),
    (12, '10 minutes', '-infinity', '2024-03-06 12:00'),
    (13, '10 minutes', '2024-03-06 12:00', 'infinity'),
    (14, '1 minute', '2024-03-10 00:00', '2024-03-10 00:00'),
    (15, '1 minute', '2024-03-10 00:00', '2024-03-10 00:30'),
    (16, '1 minute', '2024-03-11', '2024-03-11 12:00'),
    (17, '1 minute', 'infinity', 'infinity'),
    (18, '1 minute', '-infinity', '-infinity');

CREATE TABLE expected AS
SELECT q.question, d.gap, d.length FROM questions q CROSS JOIN LATERAL by_definition(q.longer_than, q.from_time, q.to_time) d;
SELECT q.question, q.longer_than, count(e.gap) AS gaps, max(e.length) AS longest
FROM questions q LEFT JOIN expected e USING (question) GROUP BY q.question ORDER BY q.question;

-- How many gaps are missing, wrong, or out of order.
CREATE FUNCTION check_relation(relation regclass, event_time name DEFAULT 'at')
RETURNS TABLE (questions bigint, gaps bigint, missing bigint, wrong bigint, out_of_order bigint) LANGUAGE sql AS $$
    WITH observed AS MATERIALIZED (
        SELECT q.question, o.gap, o.length, o.position
        FROM questions q
        CROSS JOIN LATERAL raxx_detect.gaps(relation, event_time, q.longer_than, q.from_time, q.to_time)
            WITH ORDINALITY o(gap, length, position)
    )
    SELECT (SELECT count(*) FROM questions), (SELECT count(*) FROM observed),
           (SELECT count(*) FROM (SELECT * FROM expected EXCEPT ALL SELECT question, gap, length FROM observed) m),
           (SELECT count(*) FROM (SELECT question, gap, length FROM observed EXCEPT ALL SELECT * FROM expected) w),
           (SELECT count(*) FROM (SELECT position, row_number() OVER (PARTITION BY question ORDER BY lower(gap)) AS due
                                  FROM observed o) p WHERE position <> due)
$$;

-- ---- a gap of exactly the limit is none; ties and silence at the ends are none --------------------------------------
SELECT * FROM raxx_detect.gaps('events', 'at', '30 minutes', '2024-03-09 12:00', '2024-03-13');
SELECT * FROM raxx_detect.gaps('events', 'at', '29 minutes 59.999999 seconds', '2024-03-09 12:00', '2024-03-11');
SELECT * FROM raxx_detect.gaps('events', 'at', '10 minutes', '2024-03-09 12:00', '2024-03-09 23:00');

-- ---- tables, whatever index they have ------------------------------------------------------------------------------
SELECT * FROM check_relation('events');
CREATE INDEX events_time ON events (at);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM check_relation('events');
VACUUM events;
SELECT * FROM check_relation('events');
DROP INDEX events_time;
CREATE INDEX events_backwards ON events (at DESC NULLS LAST);
SELECT * FROM check_relation('events');
DROP INDEX events_backwards;
CREATE INDEX events_hash ON events USING hash (at);
CREATE INDEX events_partial ON events (at) WHERE at > '2024-03-06';
SELECT * FROM check_relation('events');
DROP INDEX events_hash, events_partial;
CREATE INDEX events_brin ON events USING brin (at);
SELECT * FROM check_relation('events');
DROP INDEX events_brin;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- ---- partitions, views, other kinds of tables ----------------------------------------------------------------------
CREATE TABLE parted (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2024-03-06');
CREATE TABLE parted_new PARTITION OF parted FOR VALUES FROM ('2024-03-06') TO (MAXVALUE);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT * FROM events;
SELECT * FROM check_relation('parted');
CREATE INDEX ON parted (at);
ANALYZE parted;
SELECT * FROM check_relation('parted');
CREATE VIEW seen AS SELECT at, at::text AS text FROM parted;
SELECT * FROM check_relation('seen');
CREATE MATERIALIZED VIEW kept AS SELECT * FROM events ORDER BY at DESC;
SELECT * FROM check_relation('kept');
CREATE TEMPORARY TABLE temporary_events AS SELECT * FROM events;
SELECT * FROM check_relation('temporary_events');
CREATE DOMAIN instant AS timestamptz;
CREATE SCHEMA "X y";
CREATE TABLE "X y"."a ""table""" AS SELECT at::instant AS "it's at" FROM events;
SELECT * FROM check_relation('"X y"."a ""table"""', 'it''s at');

-- Nothing, one row, one instant: no gap.
CREATE TABLE few (at timestamptz);
SELECT count(*) FROM raxx_detect.gaps('few', 'at', '1 minute', '-infinity', 'infinity');
INSERT INTO few VALUES ('2024-03-05');
SELECT count(*) FROM raxx_detect.gaps('few', 'at', '1 minute', '-infinity', 'infinity');
INSERT INTO few VALUES ('2024-03-05'), ('infinity'), (NULL);
SELECT count(*) FROM raxx_detect.gaps('few', 'at', '1 minute', '-infinity', 'infinity');
INSERT INTO few VALUES ('2024-03-05 00:01:00.000001');
SELECT * FROM raxx_detect.gaps('few', 'at', '1 minute', '-infinity', 'infinity');

-- ---- the session's time zone changes how a gap is shown, not what it is ---------------------------------------------
SET timezone = 'America/New_York';
SELECT *, extract(epoch FROM length) AS seconds
FROM raxx_detect.gaps('events', 'at', '30 minutes', '2024-03-09 12:00+00', '2024-03-13 00:00+00');
SET timezone = 'UTC';

-- ---- gap_quantiles: the nearest rank, as percentile_disc, at most 0.1 % off ----------------------------------------
CREATE FUNCTION check_quantile(relation regclass, q float8, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (hours bigint, gaps numeric, wrong_count bigint, too_far_off bigint) LANGUAGE sql AS $$
    WITH lengths AS (
        SELECT at, lead(at) OVER (ORDER BY at) AS next FROM events WHERE at > from_time AND at <= to_time AND isfinite(at)
    ), due AS (
        SELECT extract(hour FROM at)::int AS hour, count(*) AS gaps,
               percentile_disc(q) WITHIN GROUP (ORDER BY next - at) AS quantile
        FROM lengths WHERE next IS NOT NULL GROUP BY 1
    )
    SELECT count(*), sum(o.gaps), count(*) FILTER (WHERE o.gaps IS DISTINCT FROM d.gaps),
           count(*) FILTER (WHERE (abs(extract(epoch FROM o.quantile - d.quantile)) <= 0.001 * extract(epoch FROM d.quantile)) IS NOT TRUE)
    FROM due d FULL JOIN raxx_detect.gap_quantiles(relation, 'at', q, from_time, to_time) o ON o.hour = d.hour
$$;
SELECT q.quantile, c.* FROM (VALUES (0::float8), (0.1), (0.5), (0.9), (0.999), (1)) q(quantile)
CROSS JOIN LATERAL check_quantile('events', q.quantile, '2024-03-01', '2024-03-09') c;
SELECT q.quantile, c.* FROM (VALUES (0.5::float8), (0.999)) q(quantile)
CROSS JOIN LATERAL check_quantile('parted', q.quantile, '2024-03-06 12:00', '2024-03-08') c;
SELECT c.* FROM check_quantile('events', 0.5, '1800-01-01', '2024-03-13') c;
SELECT * FROM raxx_detect.gap_quantiles('few', 'at', 0.5, '-infinity', 'infinity');
SELECT * FROM raxx_detect.gap_quantiles('few', 'at', 0.5, 'infinity', 'infinity');

SET client_min_messages = warning;
DROP SCHEMA "X y" CASCADE;
DROP TABLE few, parted, questions, expected CASCADE;
DROP TABLE events CASCADE;
DROP DOMAIN instant;
DROP FUNCTION check_quantile, check_relation, by_definition, pseudo_random;
