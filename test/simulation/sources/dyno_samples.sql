SELECT sim.begin_source('dyno_samples', $$
Six apps, sampled every ten minutes: two that scale themselves with the load (2 to 12 dynos and more over the year), a worker that does
so with half-hour bursts, a constant app, a staging app that is on at work, and a scheduler with a nightly job of an hour.
$$);
SELECT raxx_detect.create_source_table('dyno_restarts');
INSERT INTO dyno_restarts (event_time, app, dyno) VALUES (now(), 'web', 'web.1');
INSERT INTO sim.watched VALUES ('cost_dyno_hour_spike');

INSERT INTO sim.year (event_time, app, dyno_hours)
SELECT at, a.app, CASE a.app
    WHEN 'web' THEN 1 + ceil(8 * human * growth * sim.lognormal(block / 6 + a.number * 10000, 800, 0.12))
    WHEN 'api' THEN 1 + ceil(4 * human * growth * sim.lognormal(block / 6 + a.number * 10000, 800, 0.12))
    WHEN 'worker' THEN 1 + floor(1.5 * human * growth + CASE WHEN sim.u(block / 3, 802) < 0.06 THEN 1 + 3 * sim.u(block / 3, 803) ELSE 0 END)
    WHEN 'console' THEN 1
    WHEN 'staging' THEN CASE WHEN office > 0.3 THEN 2 ELSE 0 END
    ELSE CASE WHEN extract(hour FROM at AT TIME ZONE 'America/New_York') = 2 THEN 3 ELSE 1 END END
FROM sim.blocks, unnest('{web,api,worker,console,staging,scheduler}'::text[]) WITH ORDINALITY AS a (app, number)
ORDER BY at, app;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- Size percent more dynos, rounded up, for three hours.
CREATE FUNCTION sim.plant_dynos(size float8, at timestamptz, app text) RETURNS void LANGUAGE sql AS $$
    UPDATE public.dyno_samples d SET dyno_hours = ceil(d.dyno_hours * (1 + size / 100))
    WHERE d.app = plant_dynos.app AND d.event_time >= date_trunc('hour', at) AND d.event_time < date_trunc('hour', at) + interval '3 hours'
$$;
CREATE FUNCTION sim.web_dynos(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_dynos(size, at, 'web') $$;
CREATE FUNCTION sim.constant_dynos(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_dynos(size, at, 'console') $$;
CREATE FUNCTION sim.worker_dynos(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_dynos(size, at, 'worker') $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('dynos busy', 'cost_dyno_hour_spike', 'SIZE % more dynos for three hours, a scaling app, at work', '{0,10,25,50,75,100,200}', 'busy', 'sim.web_dynos', 'web', '4 hours'),
    ('dynos night', 'cost_dyno_hour_spike', 'the same at night', '{0,50,100,200,400,600}', 'night', 'sim.web_dynos', 'web', '4 hours'),
    ('dynos bursty', 'cost_dyno_hour_spike', 'SIZE % more dynos for three hours, the worker, at work', '{0,50,100,200,400}', 'busy', 'sim.worker_dynos', 'worker', '4 hours'),
    ('dynos constant', 'cost_dyno_hour_spike', 'SIZE % more dynos for three hours, the constant app', '{0,100,200}', 'busy', 'sim.constant_dynos', 'console', '4 hours');
