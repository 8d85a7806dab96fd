-- Points: what is measured, averaged by the hour, against the highest quantile of its own past.
--
-- A point is a piece of a day, window long, the first from midnight on, by the clock of the rule's time zone; the last
-- ends with the day. Its value is the average of the samples in it. Without samples there is no point. The verdict is
-- made at the end of the point and in force until the end of the next.

CREATE FUNCTION raxx_detect.exact_number(binding raxx_detect.source_bindings, role text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN raxx_detect.column_type(binding.relation, c.name) IN ('numeric', 'int2', 'int4', 'int8', 'money')
                THEN format('t.%I::numeric', c.name) ELSE format('t.%I::text::numeric', c.name) END
    FROM (SELECT raxx_detect.role_column(binding, role) AS name) c
$$;
COMMENT ON FUNCTION raxx_detect.exact_number(raxx_detect.source_bindings, text) IS
'The expression, over the row t, of the number in the column that plays a role, as a numeric: of a float the shortest that reads back as the same (a cast would round to 15 digits), given extra_float_digits of 1.';

CREATE FUNCTION raxx_detect.point_at(rule raxx_detect.rules, instant timestamptz) RETURNS tstzrange
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
    day date := timezone(raxx_detect.rule_time_zone(rule), instant)::date;
    starts timestamptz;
BEGIN
    -- Where the clock goes back at midnight, an hour is the day's by its date but lies before its (second) midnight.
    IF instant < raxx_detect.day_starts(rule, day) THEN
        day := day - 1;
    END IF;
    starts := date_bin(length, instant, raxx_detect.day_starts(rule, day));
    RETURN tstzrange(starts, least(starts + length, raxx_detect.day_starts(rule, day + 1)));
END $$;
COMMENT ON FUNCTION raxx_detect.point_at(raxx_detect.rules, timestamptz) IS 'The point, [start, end), in which a finite instant lies.';

CREATE FUNCTION raxx_detect.points(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, stretch tstzrange,
    OUT entity text, OUT point tstzrange, OUT value float8, OUT samples bigint)
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    whole tstzrange := tstzrange(raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1));
    length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
BEGIN
    IF NOT whole && stretch THEN
        RETURN;
    END IF;
    -- Averaged as numerics: exactly, in whatever order the rows come. Beyond 1e300 nothing is a measurement.
    RETURN QUERY EXECUTE format(
        'SELECT a.entity, tstzrange(a.starts, least(a.starts + $1, $3)),
                CASE WHEN abs(a.average) < 1e-300 THEN 0 ELSE a.average::float8 END, a.samples
         FROM (SELECT raxx_detect.text_of(t.%3$I) AS entity, date_bin($1, t.%2$I, $2) AS starts, avg(%4$s) AS average, count(*) AS samples
               FROM %1$s t
               WHERE t.%2$I >= $4 AND t.%2$I < $5 AND t.%3$I IS NOT NULL AND abs(%4$s) <= 1e300
               GROUP BY 1, 2) a',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'entity'),
        raxx_detect.exact_number(binding, rule.params ->> 'value'))
    USING length, lower(whole), upper(whole), lower(whole * stretch), upper(whole * stretch);
END $$;
COMMENT ON FUNCTION raxx_detect.points(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'The points of a day, of the samples in the stretch: whose, when, their average and their number. Samples without an entity or a value, NaN, the infinities, and what is beyond 1e300 are left out; an average nearer to 0 than 1e-300 is 0.';

CREATE FUNCTION raxx_detect.learn_points(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    WITH omitted AS MATERIALIZED (
        SELECT l.entity, l.period AS span FROM raxx_detect.left_out(rule, binding.source, period) l
    ), points AS MATERIALIZED (
        SELECT b.entity, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), lower(p.point)))::int AS hour, p.value, p.samples,
               EXISTS (SELECT FROM omitted o WHERE o.entity = b.entity AND o.span && p.point) AS is_omitted
        FROM raxx_detect.points(rule, binding, day, period) p
        CROSS JOIN LATERAL (SELECT raxx_detect.bounded_entity(p.entity) AS entity) b
    ), hours AS MATERIALIZED (
        SELECT p.entity, p.hour, count(*) AS points, sum(p.samples) AS samples, sum(p.samples::float8 ^ 2) AS squares,
               raxx_detect.quantile_sketch(p.value) AS sketch
        FROM points p WHERE NOT p.is_omitted GROUP BY p.entity, p.hour
    ), kept AS (
        SELECT h.entity FROM hours h GROUP BY h.entity
        ORDER BY sum(h.samples) DESC, h.entity COLLATE "C" LIMIT (rule.params ->> 'baseline_entities')::bigint
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, k.entity, array_agg(coalesce(h.points, 0)::float8 ORDER BY clock.hour),
               array_agg(coalesce(h.samples, 0)::bigint ORDER BY clock.hour), array_agg(coalesce(h.squares, 0) ORDER BY clock.hour),
               raxx_detect.merge(h.sketch)
        FROM kept k CROSS JOIN generate_series(0, 23) clock(hour)
        LEFT JOIN hours h ON h.entity = k.entity AND h.hour = clock.hour
        GROUP BY k.entity
    )
    UPDATE raxx_detect.baseline_days b SET rows = s.kept, left_out = s.omitted
    FROM (SELECT coalesce(sum(p.samples) FILTER (WHERE NOT p.is_omitted), 0) AS kept,
                 coalesce(sum(p.samples) FILTER (WHERE p.is_omitted), 0) AS omitted FROM points p) s
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_points(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of points: for each entity the sketch of their values; exposure counts the points that began in an hour, rows and squares their samples. Points that a finding overlaps are left out.';

CREATE FUNCTION raxx_detect.usual_points(rule raxx_detect.rules, source text, day date,
    OUT entity text, OUT n bigint, OUT median float8, OUT quantile float8, OUT fires_above float8, OUT sketch raxx_detect.quantile_sketch)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.entity, raxx_detect.sketch_count(q.sketch), q.median, q.quantile,
           greatest(q.quantile + (rule.params ->> 'median_margin')::float8 * (q.quantile - q.median),
                    q.quantile + (rule.params ->> 'rise')::float8 * abs(q.quantile)), q.sketch
    FROM (SELECT m.entity, m.sketch, raxx_detect.quantile(m.sketch, 0.5) AS median,
                 raxx_detect.quantile(m.sketch, (rule.params ->> 'baseline_quantile')::float8) AS quantile
          FROM (SELECT b.entity, raxx_detect.merge(b.sketch) AS sketch FROM raxx_detect.baselines b
                WHERE b.rule_id = rule.rule_id AND b.source = usual_points.source AND b.day < usual_points.day
                  AND b.day >= raxx_detect.baseline_first_day(rule, usual_points.source, usual_points.day)
                GROUP BY b.entity OFFSET 0) m OFFSET 0) q
    WHERE raxx_detect.sketch_count(q.sketch) >= (rule.params ->> 'baseline_points')::bigint
    UNION ALL  -- a finding that lasts wears its baseline down, since its points are left out: it goes by the one it began with
    SELECT f.entity, (f.evidence -> 'baseline' ->> 'n')::bigint, (f.evidence -> 'baseline' ->> 'median')::float8,
           (f.evidence -> 'baseline' ->> 'quantile')::float8, f.threshold, NULL
    FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = usual_points.source AND f.triage <> 'closed' AND f.fired_by = 'baseline'
      AND f.episode @> raxx_detect.day_starts(rule, usual_points.day)
      AND (SELECT coalesce(sum(raxx_detect.sketch_count(b.sketch)), 0) FROM raxx_detect.baselines b
           WHERE b.rule_id = rule.rule_id AND b.source = usual_points.source AND b.entity = f.entity AND b.day < usual_points.day
             AND b.day >= raxx_detect.baseline_first_day(rule, usual_points.source, usual_points.day)) < (rule.params ->> 'baseline_points')::bigint
$$;
COMMENT ON FUNCTION raxx_detect.usual_points(raxx_detect.rules, text, date) IS
'What is usual for each entity in the baseline of a day: its n points, their median and baseline_quantile, and the value above which a point fires: the quantile and the larger of median_margin of its distance from the median, and rise of the quantile itself. Entities with fewer than baseline_points points are left out, but for those in a finding that nobody has closed, which go by the values with which it began (and without a sketch).';

CREATE FUNCTION raxx_detect.point_verdicts(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, stretch tstzrange)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    left_out bigint := raxx_detect.baseline_left_out(rule, binding.source, first_day, day);
    window_length interval := (rule.params ->> 'window')::interval;
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    zone text := raxx_detect.rule_time_zone(rule);
    number int := 0;
    p record;
BEGIN
    FOR p IN
        WITH measured AS (
            SELECT m.*, raxx_detect.bounded_entity(m.entity) AS bounded
            FROM generate_series(0, timezone(zone, upper(stretch))::date - timezone(zone, lower(stretch))::date + 1) i
            CROSS JOIN LATERAL raxx_detect.points(rule, binding, timezone(zone, lower(stretch))::date - 1 + i, stretch) m
        )
        SELECT m.*, u.n, u.median, u.quantile, u.fires_above,
               (coalesce(round(raxx_detect.sketch_share_above(u.sketch, m.value) * u.n), 0) + 1) / (u.n + 1) AS p_value,
               lag(upper(m.point)) OVER (PARTITION BY m.bounded ORDER BY m.point) = lower(m.point) AS goes_on
        FROM measured m JOIN raxx_detect.usual_points(rule, binding.source, day) u ON u.entity = m.bounded
        WHERE m.value > u.fires_above AND m.value >= (rule.params ->> 'value_floor')::float8
        ORDER BY m.point, m.bounded
    LOOP
        -- The evidence of an episode is that of its first point: the others need none.
        IF p.goes_on IS NOT TRUE THEN
            number := number + 1;
        END IF;
        RETURN NEXT (p.bounded, tstzrange(upper(p.point), upper(raxx_detect.point_at(rule, upper(p.point)))), rule.severity,
            p.value, p.fires_above, 'average ' || (rule.params ->> 'value'), p.p_value, 'baseline', p.samples, '{quantile}',
            format('%s: average %s %s in the %s up to %s; it fires above %s (%s of the %s points in the %s days before were at most %s)',
                raxx_detect.printable(p.entity), rule.params ->> 'value', raxx_detect.in_figures(p.value), raxx_detect.in_words(window_length),
                to_char(upper(p.point) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.in_figures(p.fires_above),
                (100 * (rule.params ->> 'baseline_quantile')::numeric)::float8 || ' %', p.n, day - first_day, raxx_detect.in_figures(p.quantile)),
            jsonb_build_object('window', window_length, 'verdict_at', upper(p.point),
                'baseline', jsonb_build_object('of', 'own', 'days', day - first_day, 'n', p.n, 'median', p.median, 'quantile', p.quantile,
                    'left_out', left_out, 'tests_a_month', 30.4375 * 86400 / extract(epoch FROM window_length)))
                || CASE WHEN p.goes_on THEN '{}' ELSE jsonb_build_object('rows', raxx_detect.row_keys(number, binding, p.point,
                       format('raxx_detect.text_of(t.%I) = $3', entity_column), p.entity)) END,
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.point_verdicts(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'The points in a stretch that fire, judged by the baseline of one day. p_value is that of the rank: how likely a point is to be among the highest as far as it is, were it like the n before it; (k + 1) / (n + 1), with k of them above it.';

CREATE FUNCTION raxx_detect.in_figures(value float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN value <> 0 AND (abs(value) < 1e-4 OR abs(value) >= 1e9) THEN btrim(to_char(value, '9.99EEEE'))
                ELSE trim_scale(round(value::numeric, greatest(0, 3 - floor(log(greatest(abs(value), 1e-4)))::int)))::text END
$$;
COMMENT ON FUNCTION raxx_detect.in_figures(float8) IS 'A finite number as a sentence says it, to four significant figures, without cutting what stands before the point: 12.34, 12345, 1.23e+12.';

CREATE FUNCTION raxx_detect.evaluate_quantile(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    verdicts raxx_detect.candidate[] := '{}';
    stretch tstzrange;
    piece record;
BEGIN
    FOR piece IN
        SELECT p.day, greatest(exact_from, raxx_detect.takes_over(rule, binding, p.day) - interval '1 microsecond') AS after,
               least(as_of, raxx_detect.takes_over(rule, binding, p.day + 1) - interval '1 microsecond') AS upto
        FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p WHERE p.ready
    LOOP
        CONTINUE WHEN piece.after >= piece.upto;
        -- The points that end in (after, upto].
        stretch := tstzrange(lower(raxx_detect.point_at(rule, piece.after)), lower(raxx_detect.point_at(rule, piece.upto)));
        CONTINUE WHEN isempty(stretch);
        verdicts := verdicts || ARRAY(SELECT v FROM raxx_detect.point_verdicts(rule, binding, piece.day, stretch) v);
    END LOOP;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from,
        CASE WHEN isfinite(exact_from) THEN upper(raxx_detect.point_at(rule, exact_from)) END);
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_quantile(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method quantile: points of an entity above the baseline_quantile of its own points of the days before, by a margin. A point of an entity with too few points before it has no verdict, since no threshold could be right for every one.';
