-- Backtests and calibration over a whole table, beside the SQL that an expert would write for the same answer, and beside
-- count(*) of the same table. The SQL gets what it likes best: memory to sort in, and for the backtest only the accounts, not the episodes.
\set QUIET on
\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION raxx_detect CASCADE;

-- A month for every ten million rows: 200,000 accounts of even traffic, and in every 10,000 rows a burst of one account.
CREATE TABLE logins AS
SELECT '2026-01-01'::timestamptz + (g * 0.25 + (hashint8extended(g, 7) & 1023) / 4096.0) * interval '1 second' AS event_time,
       (CASE WHEN g % 10000 < 40 THEN 'burst-' || g / 10000
             ELSE 'acct-' || (hashint8extended(g, 1) & 131071) + g % 68929 END) COLLATE "C" AS account,
       NULL::inet AS ip, 'x'::text AS email
FROM generate_series(1, :rows) g;
CREATE INDEX ON logins (event_time);
VACUUM (ANALYZE, FREEZE) logins;
SELECT raxx_detect.bind_source('login_failures', 'logins'), raxx_detect.bind_source('waitlist_signups', 'logins', '{"origin": "account"}') \g /dev/null
CREATE TEMP TABLE thresholds AS
SELECT (c.params ->> 'threshold')::int AS n FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-12-31 23:00', '2026-01-02') c;
CREATE TABLE timings (contender text, milliseconds float8, result text);

CREATE FUNCTION pg_temp.round(with_sql boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    started timestamptz;
    answer text;
BEGIN
    FOR c IN SELECT * FROM (VALUES
        ('count(*), index only', false, $q$SELECT count(*) FROM logins$q$),
        ('backtest by a threshold: ours', false, $q$SELECT count(DISTINCT entity) FROM raxx_detect.backtest('auth_login_failure_burst', '2025-12-31', (SELECT max(event_time) FROM logins))$q$),
        ('backtest by a threshold: SQL', true, $q$SELECT count(DISTINCT account) FROM (SELECT account, event_time,
            lag(event_time, 9) OVER (PARTITION BY account ORDER BY event_time) AS tenth FROM logins) w WHERE event_time - tenth < '10 minutes'$q$),
        ('calibrate, 17 thresholds: ours', false, $q$SELECT string_agg(findings::text, ',' ORDER BY (params ->> 'threshold')::int)
            FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-12-31', (SELECT max(event_time) FROM logins))$q$),
        ('calibrate, 17 thresholds: SQL', true, $q$
            WITH steps AS (
                SELECT account, at, sum(step) AS step FROM logins CROSS JOIN LATERAL (VALUES (event_time, 1), (event_time + '10 minutes', -1)) v(at, step)
                GROUP BY account, at),
            levels AS (
                SELECT step, sum(step) OVER (PARTITION BY account ORDER BY at) AS level FROM steps),
            rises AS (
                SELECT level - step AS below, level, count(*) AS number FROM levels WHERE step > 0 GROUP BY 1, 2)
            SELECT string_agg(e::text, ',' ORDER BY n) FROM (
                SELECT n, coalesce(sum(number), 0) AS e FROM thresholds LEFT JOIN rises ON level >= n AND below < n GROUP BY n) g$q$),
        ('backtest by baselines: ours', false, $q$SELECT count(*) FROM raxx_detect.backtest('signup_waitlist_velocity_per_origin', '2025-12-31', (SELECT max(event_time) FROM logins))$q$)
        ) v(contender, expert, query) LOOP
        CONTINUE WHEN c.expert AND NOT with_sql;
        PERFORM set_config('enable_seqscan', CASE WHEN c.contender LIKE 'count%' THEN 'off' ELSE 'on' END, true);
        started := clock_timestamp();
        EXECUTE c.query INTO answer;
        INSERT INTO timings VALUES (c.contender, 1000 * extract(epoch FROM clock_timestamp() - started), answer);
    END LOOP;
END $$;

SELECT pg_temp.round(false) \g /dev/null
TRUNCATE timings;
\o /dev/null
SELECT 'SELECT pg_temp.round(true)' FROM generate_series(1, :rounds) \gexec
\o
CREATE TEMP VIEW medians AS
SELECT contender, percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS ms, min(result) AS result FROM timings GROUP BY contender;
SELECT 'backtests, ' || to_char(:rows, 'FM999,999,999') || ' rows, medians of ' || :rounds AS title \gset
\pset title :title
SELECT c.name AS comparison, round(ours.ms) AS "ours, ms", round(expert.ms) AS "SQL, ms", round((expert.ms / ours.ms)::numeric, 1) || ' x' AS "SQL / ours",
       round((ours.ms / floor.ms)::numeric, 2) || ' x' AS "ours / floor", round((:rows / ours.ms / 1000)::numeric, 1) AS "M rows/s",
       CASE WHEN expert.result IS NULL THEN ours.result || ' findings' WHEN ours.result = expert.result THEN 'same'
            ELSE 'compare: ' || left(ours.result, 60) || ' / ' || left(expert.result, 60) END AS result
FROM (VALUES (1, 'backtest by a threshold'), (2, 'calibrate, 17 thresholds'), (3, 'backtest by baselines')) c(position, name)
JOIN medians ours ON ours.contender = c.name || ': ours'
LEFT JOIN medians expert ON expert.contender = c.name || ': SQL'
CROSS JOIN (SELECT ms FROM medians WHERE contender LIKE 'count%') floor
ORDER BY c.position;
