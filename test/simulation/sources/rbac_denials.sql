SELECT sim.begin_source('rbac_denials', $$
Six operators at work, each denied something about once in four working days; one in seven of these is an elevated permission. After
a denial people try again: once or twice in one case of four, three times or more in one of 25. One in six looks at two or three
things that are denied. One operator, whose role is narrow, opens the same denied report every Monday, twice.
$$);
INSERT INTO sim.watched VALUES ('auth_rbac_denied_burst');

INSERT INTO sim.year (event_time, operator, permission, route)
WITH clusters AS (
    SELECT o.number * 60000 + b.block AS e, o.operator, b.at + sim.u(o.number * 60000 + b.block, 400) * interval '10 minutes' AS at
    FROM sim.blocks b, unnest('{amara,benoit,chiyo,diego,elin,farid}'::text[]) WITH ORDINALITY AS o (operator, number)
    WHERE sim.u(o.number * 60000 + b.block, 401) < 0.25 / 52 * b.office
), pages AS (  -- one to three things
    SELECT e, operator, at + p * (20 + 100 * sim.u(e * 4 + p, 402)) * interval '1 second' AS at, e * 4 + p AS page, sim.u(e * 4 + p, 403) AS which
    FROM clusters, generate_series(0, CASE WHEN sim.u(e, 404) < 0.03 THEN 2 WHEN sim.u(e, 404) < 0.16 THEN 1 ELSE 0 END) p
)
SELECT at + k * (5 + 40 * sim.u(page, 405)) * interval '1 second', operator,
       CASE WHEN which < 0.14 THEN sim.pick('{users:admin,billing:write,roles:admin,flags:write,orders:write}', which / 0.14)
            ELSE sim.pick('{reports:read,audit:read,billing:read,payouts:read,customers:export,keys:read,logs:read,backtests:read}', (which - 0.14) / 0.86) END,
       '/console/' || floor(10 * which)::int
FROM pages, generate_series(0, CASE WHEN sim.u(page, 406) < 0.01 THEN 3 WHEN sim.u(page, 406) < 0.04 THEN 2 WHEN sim.u(page, 406) < 0.25 THEN 1 ELSE 0 END) k
UNION ALL
SELECT at + (sim.u(block, 407) * 30 + k) * interval '1 minute', 'elin', 'reports:read', '/console/weekly'
FROM sim.blocks, generate_series(0, 1) k
WHERE extract(isodow FROM at AT TIME ZONE 'America/New_York') = 1 AND (at AT TIME ZONE 'America/New_York')::time = '10:00'
ORDER BY 1, 2, 3;

-- ---- incidents ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sim.plant_denials(size float8, at timestamptz, operator text, permissions text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.rbac_denials (event_time, operator, permission, route)
    SELECT at + (i - 1) * interval '480 seconds' / greatest(size - 1, 1), operator, permissions[1 + (i - 1) % cardinality(permissions)], '/console/x'
    FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.elevated(size float8, at timestamptz) RETURNS void LANGUAGE sql AS
$$ SELECT sim.plant_denials(size, at, 'chiyo', '{keys:admin,users:admin,roles:admin,orders:write,flags:write,payouts:admin,a:admin,b:admin}') $$;
CREATE FUNCTION sim.doors(size float8, at timestamptz) RETURNS void LANGUAGE sql AS
$$ SELECT sim.plant_denials(size, at, 'chiyo', '{a:read,b:read,c:read,d:read,e:read,f:read,g:read,h:read,i:read,j:read,k:read,l:read}') $$;
CREATE FUNCTION sim.one_door(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_denials(size, at, 'chiyo', '{reports:read}') $$;
CREATE FUNCTION sim.habit(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_denials(size, at, 'elin', '{reports:read}') $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts, history) VALUES
    ('denials elevated', 'auth_rbac_denied_burst', 'SIZE denials of different elevated permissions in 8 min', '{0,1,2,3,4,6}', 'busy', 'sim.elevated', 'chiyo', '10 minutes', '33 days'),
    ('denials distinct', 'auth_rbac_denied_burst', 'SIZE denials of different permissions, none elevated, in 8 min', '{0,2,3,4,5,6,8}', 'busy', 'sim.doors', 'chiyo', '10 minutes', '33 days'),
    ('denials same', 'auth_rbac_denied_burst', 'SIZE denials of one permission, not elevated, in 8 min', '{0,3,4,5,6,8,12,20}', 'busy', 'sim.one_door', 'chiyo', '10 minutes', '33 days'),
    ('denials habit', 'auth_rbac_denied_burst', 'the same, of the operator with a weekly denial', '{0,3,4,5,6,8,12,20}', 'busy', 'sim.habit', 'elin', '10 minutes', '33 days');
