SELECT sim.begin_source('console_audit_events', $$
What operators do in the console, some 350 rows a day: at work about one action in three minutes, else only what two jobs write, every
30 minutes and every hour; one action in three writes one to four more rows within two seconds. On holidays a tenth of the usual.
$$);
SELECT sim.bind_heartbeat('customer_audit_events');
INSERT INTO sim.watched VALUES ('data_audit_log_gap_window');

INSERT INTO sim.year (event_time, operator, action)
WITH actions AS (
    SELECT row_number() OVER (ORDER BY b.block, k) AS e, b.at + sim.u(b.block * 64 + k, 550) * interval '10 minutes' AS at
    FROM (SELECT *, sim.poisson(block, 551, 3.5 * office * sqrt(growth) * sim.gamma3(block, 552)) AS n FROM sim.blocks) b, generate_series(1, n) k
)
SELECT at + k * sim.u(e * 5 + k, 553) * interval '0.5 seconds', sim.pick('{amara,benoit,chiyo,diego,elin,farid}', sim.u(e, 554)), 'view'
FROM actions, generate_series(0, CASE WHEN sim.u(e, 555) < 0.33 THEN 1 + floor(4 * sim.u(e, 556))::int ELSE 0 END) k
UNION ALL
SELECT at + sim.u(block, 557) * interval '20 seconds', 'job', 'sync' FROM sim.blocks WHERE block % 3 = 0
UNION ALL
SELECT at + interval '5 minutes' + sim.u(block, 558) * interval '20 seconds', 'job', 'report' FROM sim.blocks WHERE block % 6 = 0
ORDER BY 1, 2, 3;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- From one event to the next, exactly.
CREATE FUNCTION sim.silence(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    DELETE FROM public.console_audit_events WHERE event_time > at AND event_time < at + size * interval '1 minute';
    INSERT INTO public.console_audit_events (event_time, operator) VALUES (at, 'system'), (at + size * interval '1 minute', 'system');
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('console silence', 'data_audit_log_gap_window', 'no console audit event for SIZE min, weekday 16:00 UTC', '{0,10,20,30,40,60,120}', 'busy', 'sim.silence', 'console_audit_events', '4 hours'),
    ('console silence, night', 'data_audit_log_gap_window', 'no console audit event for SIZE min, weekday 07:00 UTC', '{0,20,40,60,90,120,180,240}', 'night', 'sim.silence', 'console_audit_events', '4 hours');
