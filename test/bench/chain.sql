-- One size of the hash chain's benchmark: full verification on one core and on two, beside reading and deforming the same
-- columns as the floor, and beside what an expert would write with pgcrypto; and the verification of what is new.
\set QUIET on
\pset footer off
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS raxx_detect CASCADE;

-- Rows of some 340 bytes. No vacuum runs beside the benchmark, so the rows are copied once sealed: a table as vacuum leaves it.
CREATE TABLE audit (id bigint PRIMARY KEY, event_time timestamptz NOT NULL, operator text NOT NULL, action text NOT NULL, ip inet NOT NULL,
    session uuid NOT NULL, route text NOT NULL, detail text NOT NULL);
INSERT INTO audit
SELECT n, '2026-01-01'::timestamptz + n * interval '1 second', 'operator' || n % 500, 'action' || n % 37, ('10.0.' || n % 256 || '.1')::inet, md5(n::text)::uuid,
       '/api/v1/resource/' || n % 1000, repeat(md5((n * 7)::text), 5)
FROM generate_series(1, :rows) n;
SELECT raxx_detect.chain_attach('audit') AS chain \gset
\set sealing `date +%s.%N`
CALL raxx_detect.chain_seal_backlog('audit');
\set sealed `date +%s.%N`
VACUUM FULL audit;
VACUUM (ANALYZE, FREEZE) audit;
-- The expert's chain: over the text of the same columns.
CREATE TABLE by_hand AS SELECT a.*, NULL::bytea AS mac FROM audit a WITH NO DATA;
INSERT INTO by_hand SELECT a.*, hmac(convert_to(concat_ws('|', a.id, a.event_time, a.operator, a.action, a.ip, a.session, a.route, a.detail), 'UTF8'), 'a key of 32 bytes, or nearly so...', 'sha256') FROM audit a ORDER BY a.id;
VACUUM (ANALYZE, FREEZE) by_hand;

CREATE TABLE timings (contender text, milliseconds float8, result text);
CREATE FUNCTION pg_temp.round() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    started timestamptz;
    answer text;
BEGIN
    FOR c IN SELECT * FROM (VALUES
        ('floor', 0, $q$SELECT count(id) + count(event_time) + count(operator) + count(action) + count(ip) + count(session) + count(route) + count(detail)
            + count(raxx_seq) + count(raxx_prev) + count(raxx_mac) FROM audit$q$),
        ('ours, one core', 0, $q$SELECT string_agg(kind, ',') FROM raxx_detect.verify_chain('audit', 'full')$q$),
        ('ours, two cores', 1, $q$SELECT string_agg(kind, ',') FROM raxx_detect.verify_chain('audit', 'full')$q$),
        ('pgcrypto and lag(), two cores', 1, $q$SELECT count(*) FILTER (WHERE mac IS DISTINCT FROM expected) + count(*) FILTER (WHERE length(before) <> 32) FROM (
            SELECT mac, lag(mac) OVER (ORDER BY id) AS before,
                   hmac(convert_to(concat_ws('|', id, event_time, operator, action, ip, session, route, detail), 'UTF8'), 'a key of 32 bytes, or nearly so...', 'sha256') AS expected
            FROM by_hand) w$q$)) x(contender, workers, query) LOOP
        PERFORM set_config('max_parallel_workers_per_gather', c.workers::text, true);
        started := clock_timestamp();
        EXECUTE c.query INTO answer;
        INSERT INTO timings VALUES (c.contender, extract(epoch FROM clock_timestamp() - started) * 1000, answer);
    END LOOP;
END $$;
SELECT count(*) FROM (SELECT pg_temp.round() FROM generate_series(1, :rounds)) r \gset

-- What is new: 2,400 rows since the last verification.
UPDATE raxx_detect.chain_heads SET verified_seq = seq;
INSERT INTO audit SELECT :rows + n, now(), 'op', 'new', '10.0.0.1', md5(n::text)::uuid, '/r', repeat('x', 160) FROM generate_series(1, 2400) n;
SELECT raxx_detect.chain_seal('audit') AS sealed_now \gset
INSERT INTO timings SELECT 'incremental', NULL, NULL WHERE false;
DO $$
DECLARE
    started timestamptz;
    answer text;
BEGIN
    FOR i IN 1 .. 7 LOOP
        started := clock_timestamp();
        SELECT string_agg(v.kind, ',') INTO answer FROM raxx_detect.verify_chain('audit', 'incremental') v;
        INSERT INTO timings VALUES ('ours, 2,400 new rows', extract(epoch FROM clock_timestamp() - started) * 1000, answer);
    END LOOP;
END $$;

\echo
\echo hash chain, :rows rows, engine:
SELECT raxx_detect.mac_engine();
WITH medians AS (SELECT contender, percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS ms, min(result) AS result FROM timings GROUP BY 1)
SELECT m.contender, round(m.ms::numeric, 1) AS ms, round((:rows / m.ms / 1000)::numeric, 2) AS "M rows/s", round((m.ms / f.ms)::numeric, 2) AS "x floor",
       round((p.ms / m.ms)::numeric, 1) AS "pgcrypto / this", m.result
FROM medians m CROSS JOIN (SELECT ms FROM medians WHERE contender = 'floor') f CROSS JOIN (SELECT ms FROM medians WHERE contender LIKE 'pgcrypto%') p ORDER BY m.ms;
SELECT round(:rows / (:sealed - :sealing)::numeric) AS "rows sealed per second (backlog)";
