SELECT sim.begin_source('passkey_begin_events', $$
Some 550 people a day begin a passkey ceremony, more in the day than at night. Seven in eight come from a network of their own (a
fifth of these IPv6), the others through 64 addresses of mobile carriers. In five offices behind one address each, 8 to 60 people
sign in at work, so that three to six in ten minutes are ordinary at the largest. One ceremony in twelve is begun again, up to three times,
and one in fifty with another address of the same person. New people come all the time.
$$);
SELECT sim.bind_heartbeat('session_events');
INSERT INTO sim.watched VALUES ('auth_passkey_enumeration');

CREATE TABLE sim.offices AS
SELECT number, staff, inet '10.250.0.0' + number AS ip FROM unnest('{8,15,25,40,60}'::int[]) WITH ORDINALITY AS o (staff, number);

INSERT INTO sim.year (event_time, ip, email)
WITH counts AS (
    SELECT block, at, growth, 0::bigint AS office, 0 AS staff,
           sim.poisson(block, 200, 5 * human * growth * sim.lognormal(day, 201, 0.1) * sim.gamma3(block, 203)) AS n
    FROM sim.blocks
    UNION ALL
    SELECT b.block, b.at, 1, o.number, o.staff, sim.poisson(o.number * 60000 + b.block, 200, 0.015 * o.staff * b.office * sim.gamma3(o.number * 60000 + b.block, 203))
    FROM sim.blocks b, sim.offices o
), arrivals AS (
    SELECT row_number() OVER (ORDER BY c.block, c.office, k) AS e, c.* FROM counts c, generate_series(1, c.n) k WHERE c.n > 0
), ceremonies AS (
    SELECT e, at + sim.u(e, 210) * interval '10 minutes' AS began,
           CASE WHEN office > 0 THEN 900000 + office * 1000 + floor(staff * sim.u(e, 211))::bigint
                ELSE floor(3000 * growth * sim.u(e, 211) ^ 2)::bigint END AS person,
           CASE WHEN office > 0 THEN inet '10.250.0.0' + office WHEN sim.u(e, 212) < 0.125 THEN inet '10.251.0.0' + floor(64 * sim.u(e, 213))::bigint END AS shared
    FROM arrivals
)
SELECT began + k * sim.u(e, 214 + k) * interval '30 seconds', coalesce(shared, sim.home(person)),
       CASE WHEN k > 0 AND sim.u(e, 220) < 0.24 THEN sim.email(person + 1000000) ELSE sim.email(person) END
FROM ceremonies, generate_series(0, CASE WHEN sim.u(e, 221) < 0.083 THEN 1 + floor(3 * sim.u(e, 222))::int ELSE 0 END) k
ORDER BY 1, e, k;

-- ---- incidents ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sim.plant_emails(size float8, at timestamptz, network inet, spread boolean) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.passkey_begin_events (event_time, ip, email)
    SELECT at + (i - 1) * interval '590 seconds' / greatest(size - 1, 1), CASE WHEN spread THEN network + i * 977 ELSE network END, sim.email(3000000 + i)
    FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.new_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_emails(size, at, '10.252.1.1', false) $$;
CREATE FUNCTION sim.new_network6(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_emails(size, at, '2001:db8:ffff:1::1', true) $$;
CREATE FUNCTION sim.office_network(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_emails(size, at, '10.250.0.5', false) $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('e-mails new network', 'auth_passkey_enumeration', 'SIZE distinct e-mails in 10 min from a new address', '{0,3,4,5,6,7,8,10,15}', 'busy', 'sim.new_network', NULL, '10 minutes'),
    ('e-mails new /64', 'auth_passkey_enumeration', 'SIZE distinct e-mails in 10 min from as many addresses of a new IPv6 /64', '{0,3,4,5,6,7,8,10,15}', 'night', 'sim.new_network6', NULL, '10 minutes'),
    ('e-mails office', 'auth_passkey_enumeration', 'SIZE distinct e-mails in 10 min on top of the largest office', '{0,3,5,6,8,10,15}', 'busy', 'sim.office_network', NULL, '10 minutes');
