-- Learning the cadence of a table: how long its silences are by the hour in which they begin, and how many events each
-- hour of the week brings.

CREATE FUNCTION raxx_detect.learn_gaps(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    cell interval := rule.params ->> 'baseline_gap';
    out_periods tstzrange[] := ARRAY(SELECT l.period FROM raxx_detect.left_out(rule, binding.source, period) l);
BEGIN
    EXECUTE format(
        'WITH events AS (
             SELECT t.%1$I AS at FROM %2$s t WHERE t.%1$I >= lower($4) AND t.%1$I < upper($4)
         ), gaps AS (
             SELECT e.since, e.at, EXISTS (SELECT FROM unnest($7) l(period) WHERE tstzrange(e.since, e.at) && l.period) AS is_out
             FROM (SELECT lag(at, 1, $8) OVER (ORDER BY at) AS since, at FROM events) e
         ), cells AS (
             SELECT extract(hour FROM timezone($6, date_bin($5, at, lower($4))))::int AS hour, count(*) AS x
             FROM events WHERE at <> ALL (ARRAY(SELECT upper(l.period) FROM unnest($7) l(period) WHERE NOT upper_inf(l.period)))
             GROUP BY date_bin($5, at, lower($4))
         ), sketches AS (
             SELECT extract(hour FROM timezone($6, since))::int AS hour, raxx_detect.quantile_sketch(extract(epoch FROM at - since)::float8) AS sketch
             FROM gaps WHERE since IS NOT NULL AND NOT is_out GROUP BY 1
         ), written AS (
             INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, hour_sketches)
             SELECT $1, $2, $3, NULL,
                    ARRAY(SELECT greatest(a.cells - coalesce((SELECT sum(u.cells) FROM unnest($7) l(period)
                              CROSS JOIN LATERAL unnest(raxx_detect.cells_by_hour($9, l.period, $5)) WITH ORDINALITY u(cells, hour)
                              WHERE u.hour = a.hour), 0), 0)
                          FROM unnest(raxx_detect.cells_by_hour($9, $4, $5)) WITH ORDINALITY a(cells, hour) ORDER BY a.hour),
                    %3$s, %4$s, (SELECT array_agg(s.sketch ORDER BY h) FROM generate_series(0, 23) h LEFT JOIN sketches s ON s.hour = h)
             FROM cells
         )
         UPDATE raxx_detect.baseline_days b SET rows = g.rows, left_out = g.rows_out
         FROM (SELECT count(*) FILTER (WHERE NOT is_out) AS rows, count(*) FILTER (WHERE is_out) AS rows_out FROM gaps) g
         WHERE b.rule_id = $1 AND b.source = $2 AND b.day = $3',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.hour_sums('x') || '::bigint[]', raxx_detect.hour_sums('x::float8 * x'))
    USING rule.rule_id, binding.source, day, period, cell, raxx_detect.rule_time_zone(rule), out_periods,
        raxx_detect.last_event(binding, lower(period) - interval '1 microsecond'), rule;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_gaps(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of a cadence: the gaps that end in it, in seconds, by the hour in which they began, and the events in cells of baseline_gap. Gaps of findings are left out, and their time counts as not observed.';

-- Asking.

CREATE TYPE raxx_detect.cadence AS (
    day date,
    days int,
    quantiles float8[],
    gaps bigint[],
    dispersions float8[],
    tests_a_month float8,
    tail float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.cadence IS 'The cadence that judges a day: for each hour, 0 to 23, the baseline_quantile of the lengths of the gaps that begin in it (seconds), their number, and how many times more than by chance the events of that hour cluster.';

CREATE FUNCTION raxx_detect.cadence_of(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.cadence
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c raxx_detect.cadence;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    events float8;
BEGIN
    c.day := day;
    c.days := day - first_day;
    c.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    SELECT array_agg(raxx_detect.quantile(s.sketch, (rule.params ->> 'baseline_quantile')::float8) ORDER BY s.hour),
           array_agg(raxx_detect.sketch_count(s.sketch) ORDER BY s.hour)
    INTO c.quantiles, c.gaps
    FROM (SELECT h AS hour, raxx_detect.merge(b.hour_sketches[h + 1]) AS sketch
          FROM generate_series(0, 23) h LEFT JOIN raxx_detect.baselines b
              ON b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day >= first_day AND b.day < day
          GROUP BY h) s;
    -- Pearson's statistic of the cells of an hour of a day against that hour's mean, by its degrees of freedom: of all
    -- hours, and of each by itself, in which events may cluster more, or stop halfway.
    WITH hours AS (
        SELECT u.hour, sum(u.squares - u.rows::float8 ^ 2 / u.cells) AS squares, sum((u.cells - 1) * u.rows / u.cells) AS freedom, sum(u.rows) AS rows
        FROM raxx_detect.baselines b
        CROSS JOIN LATERAL unnest(b.exposure, b.rows, b.squares) WITH ORDINALITY u(cells, rows, squares, hour)
        WHERE b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day >= first_day AND b.day < day AND u.cells > 1
        GROUP BY u.hour
    )
    SELECT array_agg(greatest(x.squares / nullif(x.freedom, 0), sum_squares / nullif(sum_freedom, 0), 1) ORDER BY h), max(events_seen)
    INTO c.dispersions, events
    FROM generate_series(1, 24) h LEFT JOIN hours x ON x.hour = h
    CROSS JOIN (SELECT sum(squares) AS sum_squares, sum(freedom) AS sum_freedom, sum(rows) AS events_seen FROM hours) whole;
    c.tests_a_month := raxx_detect.tests_a_month(coalesce(events, 0), c.days);
    c.tail := least(raxx_detect.alarm_budget(rule) / c.tests_a_month, 1);
    RETURN c;
END $$;
COMMENT ON FUNCTION raxx_detect.cadence_of(raxx_detect.rules, text, date) IS 'The cadence of the days before a day.';

CREATE FUNCTION raxx_detect.silence_probability(rule raxx_detect.rules, source text, silence tstzrange, c raxx_detect.cadence,
    OUT p_value float8, OUT expected float8)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    zone text := raxx_detect.rule_time_zone(rule);
    cell float8 := extract(epoch FROM (rule.params ->> 'baseline_gap')::interval);
    business_days int[] := ARRAY(SELECT d::int FROM jsonb_array_elements_text(rule.params -> 'business_days') d);
BEGIN
    WITH hours AS (  -- the hours that the silence lies in, and how many cells of it
        SELECT h AS begins, timezone(zone, h) AS local, extract(epoch FROM least(upper(silence), h + interval '1 hour') - greatest(lower(silence), h))::float8 / cell AS cells
        FROM generate_series(date_trunc('hour', lower(silence), zone), least(upper(silence), lower(silence) + interval '14 days'), interval '1 hour') h
        WHERE least(upper(silence), h + interval '1 hour') > greatest(lower(silence), h)
    ), days AS (  -- that hour on the days of its kind, business days or others
        SELECT t.begins, t.local, t.cells, extract(isodow FROM d.day)::int = extract(isodow FROM t.local)::int AS same_weekday,
               coalesce(b.rows[extract(hour FROM t.local)::int + 1], 0)::float8 AS rows,
               coalesce(b.exposure[extract(hour FROM t.local)::int + 1], 3600 / cell) AS over
        FROM hours t
        CROSS JOIN LATERAL (SELECT c.day - i AS day FROM generate_series(1, c.days) i
                            WHERE (extract(isodow FROM c.day - i)::int = ANY (business_days)) = (extract(isodow FROM t.local)::int = ANY (business_days))) d
        LEFT JOIN raxx_detect.baselines b ON b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day = d.day
    ), usual AS (  -- its rate is that of all of them, or of the same weekday, whichever is quieter
        SELECT x.begins, x.local, x.cells, sum(x.over) AS over,
               least(sum(x.rows), sum(x.over) * sum(x.rows) FILTER (WHERE x.same_weekday) / nullif(sum(x.over) FILTER (WHERE x.same_weekday), 0)) AS rows
        FROM days x GROUP BY x.begins, x.local, x.cells  -- the hour that a change of the clock repeats is two
    )
    -- No event in so many cells when there were rows in `over` cells: the rate varies like a gamma that has seen them. Events
    -- come in clusters, and it is clusters that stay away: of (1 + d) / 2 events on average, if their sizes are geometric and d is
    -- the index of dispersion that they give. (A rate that varies like a gamma gives less.)
    SELECT exp(greatest(coalesce(sum((q.rows + 0.5) / ((1 + c.dispersions[extract(hour FROM q.local)::int + 1]) / 2) * ln(q.over / (q.over + q.cells)) ORDER BY q.begins), 0), -700)),
           coalesce(sum(q.cells * q.rows / q.over ORDER BY q.begins), 0)
    INTO p_value, expected FROM usual q WHERE q.over > 0;
END $$;
COMMENT ON FUNCTION raxx_detect.silence_probability(raxx_detect.rules, text, tstzrange, raxx_detect.cadence) IS
'The probability of a silence, by the hours that it lies in (its first 14 days), each as it was on the days of its kind, business days or others, in the baseline: the product of (T / (T + g)) ^ ((n + 1/2) / ((1 + d) / 2)), where d is the index of dispersion of that hour''s cells, n events are usual in the time T of that hour (at the rate of those days, or of the same weekday alone, whichever is quieter) and the silence lies in it for g; and how many events were to be expected. 1 where nothing is known.';
