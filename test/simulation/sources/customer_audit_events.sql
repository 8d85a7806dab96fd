SELECT sim.begin_source('customer_audit_events', $$
What customers and jobs do, some 1,000 rows a day: at the busiest hour about one action in two minutes, at night one in ten,
at weekends and on holidays half as much as else; one action in three writes one to four more rows within two seconds. Never silent by
design.
$$);
SELECT sim.bind_heartbeat('console_audit_events');
INSERT INTO sim.watched VALUES ('data_audit_log_gap_window');

INSERT INTO sim.year (event_time, operator, action)
WITH actions AS (
    SELECT row_number() OVER (ORDER BY b.block, k) AS e, b.at + sim.u(b.block * 64 + k, 500) * interval '10 minutes' AS at
    FROM (SELECT *, sim.poisson(block, 501, (0.6 + 4.5 * human) * growth * sim.gamma3(block, 502)) AS n FROM sim.blocks) b, generate_series(1, n) k
)
SELECT at + k * sim.u(e * 5 + k, 503) * interval '0.5 seconds', 'system', sim.pick('{login,update,export,view,order}', sim.u(e, 504))
FROM actions, generate_series(0, CASE WHEN sim.u(e, 505) < 0.33 THEN 1 + floor(4 * sim.u(e, 506))::int ELSE 0 END) k
ORDER BY 1, e, k;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- From one event to the next, exactly.
CREATE FUNCTION sim.silence(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    DELETE FROM public.customer_audit_events WHERE event_time > at AND event_time < at + size * interval '1 minute';
    INSERT INTO public.customer_audit_events (event_time, operator) VALUES (at, 'system'), (at + size * interval '1 minute', 'system');
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('customer silence', 'data_audit_log_gap_window', 'no customer audit event for SIZE min, weekday 16:00 UTC', '{0,5,10,15,20,30,40,60,120}', 'busy', 'sim.silence', 'customer_audit_events', '4 hours'),
    ('customer silence, night', 'data_audit_log_gap_window', 'no customer audit event for SIZE min, weekday 07:00 UTC', '{0,10,20,40,60,90,120,180,240}', 'night', 'sim.silence', 'customer_audit_events', '4 hours'),
    ('customer silence, weekend', 'data_audit_log_gap_window', 'no customer audit event for SIZE min, Saturday 16:00 UTC', '{0,5,10,20,40,60,120,240}', 'weekend', 'sim.silence', 'customer_audit_events', '4 hours');
