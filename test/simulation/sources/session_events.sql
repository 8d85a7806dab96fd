SELECT sim.begin_source('session_events', $$
Some 600 sessions a day of people at home, of whom one in eight is behind one of 64 addresses of mobile carriers; one in eight makes
one to three more sessions within 20 seconds (other devices, retries). Five offices of 8 to 60 people behind one address each, busy at
work. A client that makes one session every two minutes, day and night, and a job that makes five at each full hour. New people come all the
time.
$$);
SELECT sim.bind_heartbeat('passkey_begin_events');
INSERT INTO sim.watched VALUES ('auth_session_creation_velocity');

CREATE TABLE sim.offices AS
SELECT number, staff, inet '10.250.0.0' + number AS ip FROM unnest('{8,15,25,40,60}'::int[]) WITH ORDINALITY AS o (staff, number);

INSERT INTO sim.year (event_time, ip, account)
WITH counts AS (
    SELECT block, at, growth, 0::bigint AS office, 0 AS staff,
           sim.poisson(block, 300, 5 * human * growth * sim.lognormal(day, 301, 0.1) * sim.gamma3(block, 303)) AS n
    FROM sim.blocks
    UNION ALL
    SELECT b.block, b.at, 1, o.number, o.staff, sim.poisson(o.number * 60000 + b.block, 300, 0.04 * o.staff * b.office * sim.gamma3(o.number * 60000 + b.block, 303))
    FROM sim.blocks b, sim.offices o
), arrivals AS (
    SELECT row_number() OVER (ORDER BY c.block, c.office, k) AS e, c.* FROM counts c, generate_series(1, c.n) k WHERE c.n > 0
), signins AS (
    SELECT e, at + sim.u(e, 310) * interval '10 minutes' AS began,
           CASE WHEN office > 0 THEN 900000 + office * 1000 + floor(staff * sim.u(e, 311))::bigint
                ELSE floor(3000 * growth * sim.u(e, 311) ^ 2)::bigint END AS person,
           CASE WHEN office > 0 THEN inet '10.250.0.0' + office WHEN sim.u(e, 312) < 0.125 THEN inet '10.251.0.0' + floor(64 * sim.u(e, 313))::bigint END AS shared
    FROM arrivals
)
SELECT began + k * sim.u(e, 314 + k) * interval '20 seconds' AS at, coalesce(shared, sim.home(person)), 'acct_' || person
FROM signins, generate_series(0, CASE WHEN sim.u(e, 321) < 0.125 THEN 1 + floor(3 * sim.u(e, 322))::int ELSE 0 END) k
UNION ALL
SELECT at + (2 * m + sim.u(block * 5 + m, 330) / 10) * interval '1 minute', '10.249.0.1', 'client' FROM sim.blocks, generate_series(0, 4) m
UNION ALL
SELECT at + (k + sim.u(block * 10 + k, 331)) * interval '2 seconds', '10.249.0.2', 'job' FROM sim.blocks, generate_series(0, 4) k WHERE block % 6 = 0
ORDER BY 1, 3, 2;

-- ---- incidents ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sim.plant_sessions(size float8, at timestamptz, network inet) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.session_events (event_time, ip, account)
    SELECT at + (i - 1) * interval '59 seconds' / greatest(size - 1, 1), network, 'acct_' || 3000000 + i FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.new_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_sessions(size, at, '10.252.1.1') $$;
CREATE FUNCTION sim.home_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_sessions(size, at, '10.251.0.7') $$;
CREATE FUNCTION sim.office_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_sessions(size, at, '10.250.0.5') $$;
CREATE FUNCTION sim.constant_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_sessions(size, at, '10.249.0.1') $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('sessions new network', 'auth_session_creation_velocity', 'SIZE sessions in a minute from a new address', '{0,3,4,5,6,8,10,15,20}', 'busy', 'sim.new_network', NULL, '1 minute'),
    ('sessions new network, night', 'auth_session_creation_velocity', 'the same at night', '{0,3,4,5,6,8,10,15,20}', 'night', 'sim.new_network', NULL, '1 minute'),
    ('sessions carrier', 'auth_session_creation_velocity', 'SIZE sessions in a minute from a mobile carrier''s address', '{0,3,4,5,6,8,10,15,20}', 'busy', 'sim.home_network', NULL, '1 minute'),
    ('sessions office', 'auth_session_creation_velocity', 'SIZE sessions in a minute on top of the largest office', '{0,3,4,5,6,8,10,15,20}', 'busy', 'sim.office_network', NULL, '1 minute'),
    ('sessions client', 'auth_session_creation_velocity', 'SIZE sessions in a minute on top of the client that makes one every two minutes', '{0,3,4,5,6,8,10,15,20}', 'busy', 'sim.constant_network', NULL, '1 minute');
