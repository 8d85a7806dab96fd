SELECT sim.begin_source('backtest_results', $$
Some 50 backtests a day, fewer at weekends, in sessions of one to twelve of a person. The sizes of the returns are log-normal (standard
deviation of the logarithm 2.5), six in ten are gains, one in 200 is zero.
$$);
INSERT INTO sim.watched VALUES ('data_backtest_benford');

INSERT INTO sim.year (event_time, return_value)
WITH sessions AS (SELECT block, at FROM sim.blocks WHERE sim.u(block, 900) < 0.085 * human * growth),
results AS (SELECT block * 16 + k AS e, at + (sim.u(block, 901) + k * sim.u(block, 902)) * interval '10 minutes' AS at
            FROM sessions, generate_series(0, floor(12 * sim.u(block, 903))::int) k)
SELECT at, CASE WHEN sim.u(e, 904) < 0.005 THEN 0 ELSE CASE WHEN sim.u(e, 905) < 0.6 THEN 1 ELSE -1 END
               * round((1000 * exp(2.5 * sim.normal(e, 906)))::numeric, 4) END
FROM results ORDER BY 1, e;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- For a week, size percent of the results are made up, with first digits that are equally frequent.
CREATE FUNCTION sim.invented(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    UPDATE public.backtest_results b SET return_value = (1 + floor(9 * sim.u(b.id, 910)))::numeric * 100 + floor(100 * sim.u(b.id, 911))::numeric
    WHERE b.event_time >= at AND b.event_time < at + interval '7 days' AND sim.u(b.id, 912) < size / 100
$$;
-- For a week, size percent of the results are one and the same.
CREATE FUNCTION sim.copied(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    UPDATE public.backtest_results b SET return_value = 512.25
    WHERE b.event_time >= at AND b.event_time < at + interval '7 days' AND sim.u(b.id, 912) < size / 100
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('digits invented', 'data_backtest_benford', 'SIZE % of a week''s results invented, with equally frequent digits', '{0,5,10,20,30,40,50,75,100}', 'day', 'sim.invented', NULL, '7 days'),
    ('digits copied', 'data_backtest_benford', 'SIZE % of a week''s results one and the same', '{0,2,5,10,15,20,30}', 'day', 'sim.copied', NULL, '7 days');
