SELECT sim.begin_source('error_events', $$
Twelve routes, from one error in one or two minutes at the busiest hour to one in a week; one in fifty makes its user try again, two or three
times within a minute. A job fails every five minutes, day and night. One new route appears each month.
$$);
INSERT INTO sim.watched VALUES ('ops_sentry_error_rate_spike');

CREATE TABLE sim.routes AS
SELECT number, '/api/route' || number AS route, 6 * 0.45 ^ (number - 1) AS rate, 0 AS since FROM generate_series(1, 12) number
UNION ALL
SELECT 20 + i, '/api/new' || i, 2.5 * 0.3 ^ (i % 4), 144 * 30 * i + 600 FROM generate_series(1, 11) i;

INSERT INTO sim.year (event_time, route)
WITH counts AS (
    SELECT b.block, b.at, r.number, r.route, sim.poisson(r.number::bigint * 60000 + b.block, 600,
               r.rate * b.human * b.growth * sim.lognormal(b.day * 64 + r.number, 601, 0.15) * sim.gamma3(r.number::bigint * 60000 + b.block, 603)) AS n
    FROM sim.blocks b, sim.routes r WHERE b.block >= r.since
), errors AS (
    SELECT row_number() OVER (ORDER BY c.block, c.number, k) AS e, c.at, c.route FROM counts c, generate_series(1, c.n) k WHERE c.n > 0
)
SELECT at + sim.u(e, 610) * interval '10 minutes' + k * (3 + 12 * sim.u(e * 5 + k, 611)) * interval '1 second', route
FROM errors, generate_series(0, CASE WHEN sim.u(e, 612) < 0.02 THEN 2 + floor(2 * sim.u(e, 613))::int ELSE 0 END) k
UNION ALL
SELECT at + (5 * k + sim.u(block * 2 + k, 614)) * interval '1 minute', '/jobs/sync' FROM sim.blocks, generate_series(0, 1) k
ORDER BY 1, 2;

-- ---- incidents ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sim.plant_errors(size float8, at timestamptz, route text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.error_events (event_time, route)
    SELECT at + (i - 1) * interval '59 seconds' / greatest(size - 1, 1), route FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.new_route(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_errors(size, at, '/api/never') $$;
CREATE FUNCTION sim.sparse_route(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_errors(size, at, '/api/route9') $$;
CREATE FUNCTION sim.busy_route(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_errors(size, at, '/api/route1') $$;
CREATE FUNCTION sim.job_route(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_errors(size, at, '/jobs/sync') $$;
CREATE FUNCTION sim.more_errors(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.error_events (event_time, route)
    SELECT e.event_time + sim.u(e.id * 64 + k, 620) * interval '60 seconds', e.route FROM public.error_events e, generate_series(1, size::int - 1) k
    WHERE e.route = '/api/route1' AND e.event_time >= at AND e.event_time < at + interval '1 hour'
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('errors new route', 'ops_sentry_error_rate_spike', 'SIZE errors in a minute on a new route', '{0,5,8,10,15,20}', 'busy', 'sim.new_route', '/api/never', '1 minute'),
    ('errors sparse route', 'ops_sentry_error_rate_spike', 'SIZE errors in a minute on a route with about one a day', '{0,4,5,6,8,10,15,20}', 'busy', 'sim.sparse_route', '/api/route9', '1 minute'),
    ('errors busy route', 'ops_sentry_error_rate_spike', 'SIZE errors in a minute on top of the busiest route', '{0,5,8,10,15,20,30}', 'busy', 'sim.busy_route', '/api/route1', '1 minute'),
    ('errors busy route, night', 'ops_sentry_error_rate_spike', 'the same at night', '{0,5,8,10,15,20,30}', 'night', 'sim.busy_route', '/api/route1', '1 minute'),
    ('errors job', 'ops_sentry_error_rate_spike', 'SIZE errors in a minute of the job that fails every five', '{0,4,5,6,8,10,15,20}', 'busy', 'sim.job_route', '/jobs/sync', '1 minute'),
    ('errors factor', 'ops_sentry_error_rate_spike', 'SIZE times the usual errors for an hour on the busiest route', '{0,2,3,4,5,8}', 'busy', 'sim.more_errors', '/api/route1', '1 hour');
