SELECT sim.begin_source('statement_samples', $$
Twelve statements, of 0.3 to 500 ms, sampled every ten minutes. The mean time of an interval is log-normal (standard deviation 0.15), a
tenth longer under the load of the day, different by 3 % from day to day, and in one interval of a hundred tripled by something else
(vacuum, a checkpoint). From one call an hour to 2,000. At night some intervals are without a call. The counters are reset three
times in the year.
$$);
INSERT INTO sim.watched VALUES ('ops_postgres_p99_drift');
SELECT raxx_detect.set_params('ops_postgres_p99_drift', '{"sample_every": "10 minutes"}');

CREATE TABLE sim.statements AS
SELECT number, number * 1000003 AS queryid, 0.3 * 2 ^ (number - 1) AS ms, 2000 * 0.35 ^ (number - 1) AS calls FROM generate_series(1, 12) number;

INSERT INTO sim.year (sample_time, queryid, calls, total_ms)
SELECT at + interval '10 minutes', queryid, sum(calls) OVER w, sum(calls * ms) OVER w
FROM (SELECT b.block, b.at, s.queryid, CASE WHEN s.calls > 300 THEN round(s.calls * b.human * b.growth)::int
                 ELSE sim.poisson(s.number * 60000 + b.block, 700, s.calls * b.human * b.growth) END AS calls,
             s.ms * (0.95 + 0.1 * b.human) * sim.lognormal(s.number * 60000 + b.block, 701, 0.15) * sim.lognormal(b.day, 703, 0.03)
                 * CASE WHEN sim.u(s.number * 60000 + b.block, 705) < 0.01 THEN 3 ELSE 1 END AS ms
      FROM sim.blocks b, sim.statements s) i
WINDOW w AS (PARTITION BY queryid, block / 14000 ORDER BY block)
ORDER BY block, queryid;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- Statements become slower by size percent, for a time.
CREATE FUNCTION sim.plant_slowness(size float8, at timestamptz, lasts interval, which bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE public.statement_samples s
    SET total_ms = s.total_ms + size / 100 * greatest(least(s.total_ms, o.last) - o.first, 0)
    FROM (SELECT queryid, min(total_ms) AS first, max(total_ms) FILTER (WHERE sample_time <= at + lasts) AS last
          FROM public.statement_samples WHERE sample_time >= at AND sample_time < now() - interval '1 day' GROUP BY queryid) o
    WHERE s.queryid = o.queryid AND s.sample_time > at AND s.sample_time < now() - interval '1 day' AND (which IS NULL OR s.queryid = which)
$$;
CREATE FUNCTION sim.all_slow(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_slowness(size, at, '1 day', NULL) $$;
CREATE FUNCTION sim.one_slow(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_slowness(size, at, '1 day', 4 * 1000003) $$;
CREATE FUNCTION sim.slowest_slow(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_slowness(size, at, '1 day', 12 * 1000003) $$;
CREATE FUNCTION sim.slow_hours(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_slowness(size, at, '3 hours', NULL) $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('all slower', 'ops_postgres_p99_drift', 'every statement slower by SIZE % for a day', '{0,10,25,30,50,100,200}', 'day', 'sim.all_slow', NULL, '1 day'),
    ('one slower', 'ops_postgres_p99_drift', 'one statement of twelve slower by SIZE % for a day', '{0,10,25,50,100,200,400}', 'day', 'sim.one_slow', NULL, '1 day'),
    ('slowest slower', 'ops_postgres_p99_drift', 'the slowest statement, which runs a few times a day, slower by SIZE % for a day', '{0,25,50,100,200,400}', 'day', 'sim.slowest_slow', NULL, '1 day'),
    ('all slower, hours', 'ops_postgres_p99_drift', 'every statement slower by SIZE % for three hours', '{0,25,50,100,200,400}', 'busy', 'sim.slow_hours', NULL, '12 hours');
