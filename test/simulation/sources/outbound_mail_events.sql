SELECT sim.begin_source('outbound_mail_events', $$
Some 900 mails a day that people's actions cause, and on four working days of five a campaign of 1,000 to 1,900 mails within an hour.
1.5 % bounce hard; the share varies from day to day by 12 %, and from campaign to campaign by 20 %.
$$, '8 days');
INSERT INTO sim.watched VALUES ('webhook_postmark_bounce_spike');

INSERT INTO sim.year (event_time, outcome)
WITH mails AS (
    SELECT b.block * 512 + k AS e, b.at, b.day, false AS campaign
    FROM (SELECT *, sim.poisson(block, 1101, 7.5 * (0.2 + human) * growth * sim.gamma3(block, 1102)) AS n FROM sim.blocks) b, generate_series(1, n) k
    UNION ALL
    SELECT b.block * 512 + 200 + k, b.at, b.day, true
    FROM sim.blocks b, generate_series(1, 160 + floor(150 * sim.u(b.day, 1103))::int) k
    WHERE NOT b.quiet AND sim.u(b.day, 1104) < 0.8 AND extract(hour FROM b.at AT TIME ZONE 'America/New_York') = 10 + floor(5 * sim.u(b.day, 1105))
)
SELECT at + sim.u(e, 1110) * interval '10 minutes',
       CASE WHEN sim.u(e, 1111) < 0.015 * sim.lognormal(day, 1112, 0.12) * CASE WHEN campaign THEN sim.lognormal(day, 1114, 0.2) ELSE 1 END
            THEN 'hard_bounce' ELSE 'sent' END
FROM mails ORDER BY 1, e;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- For a time, size times as many mails bounce.
CREATE FUNCTION sim.plant_bounces(size float8, at timestamptz, lasts interval) RETURNS void LANGUAGE sql AS $$
    UPDATE public.outbound_mail_events m SET outcome = 'hard_bounce'
    WHERE m.event_time >= at AND m.event_time < at + lasts AND sim.u(m.id, 1120) < (size - 1) * 0.015
$$;
CREATE FUNCTION sim.bouncing_hour(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_bounces(size, at, '1 hour') $$;
CREATE FUNCTION sim.bouncing_day(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_bounces(size, at, '1 day') $$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('bounces hour', 'webhook_postmark_bounce_spike', 'SIZE times the usual share of bounces for an hour, at work', '{0,2,3,4,6,8,12,20}', 'busy', 'sim.bouncing_hour', NULL, '1 hour'),
    ('bounces night', 'webhook_postmark_bounce_spike', 'the same at night', '{0,4,8,12,20,40}', 'night', 'sim.bouncing_hour', NULL, '1 hour'),
    ('bounces day', 'webhook_postmark_bounce_spike', 'SIZE times the usual share of bounces for a day', '{0,1.25,1.5,2,3,4}', 'day', 'sim.bouncing_day', NULL, '1 day');
