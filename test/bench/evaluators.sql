-- One size of the evaluators' benchmark: the table, the contenders, the rounds, the report.
--
-- The expert's SQL gets what it likes best: no parallel workers on either side (both use one core), work_mem enough to
-- sort in memory, and for velocity only the instants at which the threshold holds, not the episodes.
\set QUIET on
\pset footer off
SET client_min_messages = warning;


-- Two tables with the same rows: one with an index on time, one with an index on (key, time). 200,000 accounts of even
-- traffic, and in every 10,000 rows a burst of one account over forty permissions.
DROP TABLE IF EXISTS by_time, by_key, timings;
CREATE TABLE by_time AS
SELECT '2026-01-01'::timestamptz + (g * 0.25 + (hashint8extended(g, 7) & 1023) / 4096.0) * interval '1 second' AS event_time,
       (CASE WHEN g % 10000 < 40 THEN 'burst-' || g / 10000
             ELSE 'acct-' || (hashint8extended(g, 1) & 131071) + g % 68929 END) COLLATE "C" AS account,
       ('perm-' || CASE WHEN g % 10000 < 40 THEN g % 40 ELSE hashint8extended(g, 2) & 255 END) COLLATE "C" AS permission
FROM generate_series(1, :rows) g;
CREATE TABLE by_key AS SELECT * FROM by_time;
CREATE INDEX ON by_time (event_time);
CREATE INDEX ON by_key (account, event_time);
VACUUM (ANALYZE, FREEZE) by_time;
VACUUM (ANALYZE, FREEZE) by_key;

CREATE TABLE timings (contender text, milliseconds float8, result text);

-- Runs each contender once, in turn. The floor of each comparison stands among them.
CREATE OR REPLACE FUNCTION pg_temp.round() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    started timestamptz;
    answer text;
BEGIN
    FOR c IN SELECT * FROM (VALUES
        ('count(*), index only', 'enable_seqscan', $q$SELECT count(*) FROM by_time$q$),
        ('count(*), index only (key, time)', 'enable_seqscan', $q$SELECT count(*) FROM by_key$q$),
        ('gaps: ours', '', $q$SELECT string_agg(round(extract(epoch FROM quantile), 2)::text, ',' ORDER BY hour)
            FROM raxx_detect.gap_quantiles('by_time', 'event_time', 0.999, '-infinity', 'infinity')$q$),
        ('gaps: SQL', '', $q$SELECT string_agg(round(p::numeric, 2)::text, ',' ORDER BY hour) FROM (
            SELECT extract(hour FROM before AT TIME ZONE 'UTC') AS hour,
                   percentile_cont(0.999) WITHIN GROUP (ORDER BY extract(epoch FROM event_time - before)::float8) AS p
            FROM (SELECT event_time, lag(event_time) OVER (ORDER BY event_time) AS before FROM by_time) g
            WHERE before IS NOT NULL GROUP BY 1) h$q$),
        ('velocity, (key, time) index: ours', '', $q$SELECT count(*) FROM raxx_detect.velocity_episodes('by_key', 'event_time', 'account',
            '10 minutes', 5, '-infinity', 'infinity')$q$),
        ('velocity, (key, time) index: SQL', '', $q$SELECT count(DISTINCT account) FROM (SELECT account, event_time,
            lag(event_time, 4) OVER (PARTITION BY account ORDER BY event_time) AS fifth FROM by_key) w
            WHERE event_time - fifth < '10 minutes'$q$),
        ('velocity, index on time: ours', '', $q$SELECT count(*) FROM raxx_detect.velocity_episodes('by_time', 'event_time', 'account',
            '10 minutes', 5, '-infinity', 'infinity')$q$),
        ('velocity, index on time: SQL', '', $q$SELECT count(DISTINCT account) FROM (SELECT account, event_time,
            lag(event_time, 4) OVER (PARTITION BY account ORDER BY event_time) AS fifth FROM by_time) w
            WHERE event_time - fifth < '10 minutes'$q$),
        ('distinct, index on time: ours', '', $q$SELECT count(*) FROM raxx_detect.distinct_episodes('by_time', 'event_time', 'account',
            'permission', '10 minutes', 5, '-infinity', 'infinity')$q$),
        ('distinct, index on time: SQL', '', $q$
            WITH runs AS (  -- of one value: rows whose windows overlap
                SELECT account, permission, event_time, sum(starts) OVER (PARTITION BY account, permission ORDER BY event_time) AS run
                FROM (SELECT *, CASE WHEN event_time - lag(event_time) OVER (PARTITION BY account, permission ORDER BY event_time)
                                 < '10 minutes' THEN 0 ELSE 1 END AS starts FROM by_time) s),
            spans AS (
                SELECT account, min(event_time) AS starts, max(event_time) + '10 minutes' AS ends FROM runs GROUP BY account, permission, run),
            steps AS (
                SELECT account, at, sum(step) AS step FROM spans CROSS JOIN LATERAL (VALUES (starts, 1), (ends, -1)) v(at, step)
                GROUP BY account, at),
            levels AS (
                SELECT step, sum(step) OVER (PARTITION BY account ORDER BY at) AS level FROM steps)
            SELECT count(*) FROM levels WHERE level >= 5 AND level - step < 5$q$),
        ('cell counts: ours', '', $q$
            WITH hours AS (SELECT array_agg(h ORDER BY h) AS starts, array_agg(extract(hour FROM h)::int ORDER BY h) AS hours
                FROM generate_series('2026-01-01'::timestamptz, '2026-12-31 23:00', '1 hour') h),
            counts AS MATERIALIZED (SELECT c.* FROM hours CROSS JOIN LATERAL raxx_detect.cell_counts('by_time', 'event_time', 'account', NULL, NULL,
                '1 minute', '2026-01-01', '2027-01-01', starts, hours, NULL, NULL, 1000) c)
            SELECT concat_ws(',', (SELECT raxx_detect.quantile(sketch, 0.999) FROM counts WHERE entity IS NULL),
                (SELECT concat_ws(',', sum(u.cells), sum(u.sums), sum(u.squares)) FROM counts c CROSS JOIN unnest(c.cells, c.sums, c.squares) u(cells, sums, squares)
                 WHERE c.entity IS NULL), (SELECT md5(string_agg(entity, ',' ORDER BY entity COLLATE "C")) FROM counts))$q$),
        ('cell counts: SQL', '', $q$
            WITH cells AS MATERIALIZED (SELECT account, date_bin('1 minute', event_time, '2026-01-01') AS cell, count(*) AS x FROM by_time GROUP BY 1, 2),
            hours AS MATERIALIZED (SELECT account, extract(hour FROM cell) AS hour, count(*) AS cells, sum(x) AS sums, sum(x::float8 * x) AS squares
                FROM cells GROUP BY 1, 2),
            kept AS (SELECT account FROM hours GROUP BY 1 ORDER BY sum(sums) DESC, account COLLATE "C" LIMIT 1000)
            SELECT concat_ws(',', (SELECT raxx_detect.quantile(raxx_detect.quantile_sketch(x), 0.999) FROM cells),
                (SELECT concat_ws(',', sum(cells), sum(sums), sum(squares)) FROM hours),
                (SELECT md5(string_agg(account, ',' ORDER BY account COLLATE "C")) FROM kept))$q$),
        ('avg of a float8', '', $q$SELECT avg(date_part('second', event_time)) FROM by_time$q$),
        ('p99.9 of a float8: ours', '', $q$SELECT round(raxx_detect.quantile(raxx_detect.quantile_sketch(
            date_part('second', event_time)), 0.999)::numeric, 1) FROM by_time$q$),
        ('p99.9 of a float8: SQL', '', $q$SELECT round((percentile_disc(0.999) WITHIN GROUP (ORDER BY
            date_part('second', event_time)))::numeric, 1) FROM by_time$q$)
        ) v(contender, off, query) LOOP
        IF c.off <> '' THEN PERFORM set_config(c.off, 'off', true); END IF;
        started := clock_timestamp();
        EXECUTE c.query INTO answer;
        INSERT INTO timings VALUES (c.contender, 1000 * extract(epoch FROM clock_timestamp() - started), answer);
        IF c.off <> '' THEN PERFORM set_config(c.off, 'on', true); END IF;
    END LOOP;
END $$;

\o /dev/null
SELECT 'SELECT pg_temp.round()' FROM generate_series(1, :rounds) \gexec
\o

CREATE TEMP VIEW medians AS
SELECT contender, percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS ms, min(result) AS result, :rows AS rows
FROM timings GROUP BY contender;

SELECT to_char(:rows, 'FM999,999,999') || ' rows, medians of ' || :rounds AS "evaluators" \gset
\pset title :evaluators
SELECT c.name AS comparison, round(ours.ms) AS "ours, ms", round(expert.ms) AS "SQL, ms",
       round((expert.ms / ours.ms)::numeric, 1) || ' x' AS "SQL / ours",
       round((ours.ms / floor.ms)::numeric, 2) || ' x' AS "ours / floor", c.floor,
       round((ours.rows / ours.ms / 1000)::numeric, 1) AS "M rows/s",
       CASE WHEN ours.result = expert.result THEN 'same' ELSE 'compare: ' || left(ours.result, 40) || ' / ' || left(expert.result, 40) END AS result
FROM (VALUES (1, 'gaps', 'count(*), index only'),
             (2, 'velocity, (key, time) index', 'count(*), index only (key, time)'),
             (3, 'velocity, index on time', 'count(*), index only'),
             (4, 'distinct, index on time', 'count(*), index only'),
             (5, 'cell counts', 'count(*), index only'),
             (6, 'p99.9 of a float8', 'avg of a float8')) c(position, name, floor)
JOIN medians ours ON ours.contender = c.name || ': ours'
JOIN medians expert ON expert.contender = c.name || ': SQL'
JOIN medians floor ON floor.contender = c.floor
ORDER BY c.position;
