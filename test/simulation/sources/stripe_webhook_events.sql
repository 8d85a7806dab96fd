SELECT sim.begin_source('stripe_webhook_events', $$
Some 800 calls a day and more, of which one in a thousand fails its signature check without malice; in one of five such cases the caller
tries again within two minutes, in one of fifty once more.
$$);
INSERT INTO sim.watched VALUES ('webhook_stripe_signature_fail');

INSERT INTO sim.year (event_time, signature_valid, ip)
WITH calls AS (
    SELECT b.block * 128 + k AS e, b.at + sim.u(b.block * 128 + k, 1000) * interval '10 minutes' AS at
    FROM (SELECT *, sim.poisson(block, 1001, 6 * (0.2 + human) * growth * sim.gamma3(block, 1002)) AS n FROM sim.blocks) b, generate_series(1, n) k
)
SELECT at + k * (60 + 60 * sim.u(e, 1005)) * interval '1 second', sim.u(e, 1006) >= 0.0009, inet '10.248.0.0' + floor(12 * sim.u(e, 1007))::bigint
FROM calls, generate_series(0, CASE WHEN sim.u(e, 1006) < 0.0009 * 0.02 THEN 2 WHEN sim.u(e, 1006) < 0.0009 * 0.2 THEN 1 ELSE 0 END) k
ORDER BY 1, e;

-- ---- incidents ---------------------------------------------------------------------------------------------------

CREATE FUNCTION sim.forged(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.stripe_webhook_events (event_time, signature_valid, ip)
    SELECT at + (i - 1) * interval '590 seconds' / greatest(size - 1, 1), false, '10.252.3.3' FROM generate_series(1, size::int) i
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('forged calls', 'webhook_stripe_signature_fail', 'SIZE forged calls in 10 min, at work', '{0,1,2,3,4,5,8}', 'busy', 'sim.forged', NULL, '10 minutes'),
    ('forged calls, night', 'webhook_stripe_signature_fail', 'the same at night', '{0,1,2,3,4,5,8}', 'night', 'sim.forged', NULL, '10 minutes');
