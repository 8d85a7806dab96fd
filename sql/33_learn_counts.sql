-- Learning counts: how many rows, or distinct values, of each entity are usual in a window of the rule's length.
--
-- A day is divided into cells as long as the window, from midnight on. Of an entity all cells of the day are observed, the
-- empty ones too; of all entities together those that held a row, since entities that did not come cannot be counted.

CREATE FUNCTION raxx_detect.network_prefixes(rule raxx_detect.rules) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rule.params ? 'ipv4_prefix' THEN ARRAY[(rule.params ->> 'ipv4_prefix')::int, (rule.params ->> 'ipv6_prefix')::int] END;
END $$;
COMMENT ON FUNCTION raxx_detect.network_prefixes(raxx_detect.rules) IS 'The prefix lengths of a rule''s client networks, NULL if it has none.';

CREATE FUNCTION raxx_detect.entity_expression(rule raxx_detect.rules, binding raxx_detect.source_bindings, role text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    column_name name := raxx_detect.role_column(binding, role);
    prefixes int[] := raxx_detect.network_prefixes(rule);
BEGIN
    IF prefixes IS NOT NULL AND raxx_detect.role_accepts('inet', raxx_detect.column_type(binding.relation, column_name)) THEN
        RETURN format('raxx_detect.client_network(t.%I, %s, %s)', column_name, prefixes[1], prefixes[2]);
    END IF;
    RETURN format('raxx_detect.text_of(t.%I)', column_name);
END $$;
COMMENT ON FUNCTION raxx_detect.entity_expression(raxx_detect.rules, raxx_detect.source_bindings, text) IS
'The SQL expression, over the row t of the relation, of the entity that a rule sees in a column: its text, or for addresses the client network.';

CREATE FUNCTION raxx_detect.hour_sums(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'ARRAY[' || string_agg(format('coalesce(sum(%s) FILTER (WHERE hour = %s), 0)', value, h), ', ' ORDER BY h) || ']'
    FROM generate_series(0, 23) h
$$;
COMMENT ON FUNCTION raxx_detect.hour_sums(text) IS 'The SQL expression of the sums of a value for each hour, as an array. The value is one that a learner names, never a user''s.';

CREATE FUNCTION raxx_detect.cells_by_hour(rule raxx_detect.rules, period tstzrange, cell interval) RETURNS float8[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH zone AS MATERIALIZED (  -- asked once, not for every cell
        SELECT raxx_detect.rule_time_zone(rule) AS name
    )
    SELECT array_agg(coalesce(n.cells, 0) ORDER BY h)
    FROM generate_series(0, 23) h
    LEFT JOIN (SELECT extract(hour FROM timezone(z.name, c))::int AS hour, count(*)::float8 AS cells
               FROM zone z CROSS JOIN generate_series(lower(period), upper(period) - interval '1 microsecond', cell) c GROUP BY 1) n ON n.hour = h
$$;
COMMENT ON FUNCTION raxx_detect.cells_by_hour(raxx_detect.rules, tstzrange, interval) IS
'How many cells of a length begin in each hour of the clock, 0 to 23, within a period of a day: in the hour that daylight saving skips none, in the one that it repeats twice as many.';

CREATE FUNCTION raxx_detect.learn_counts(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    cell interval := rule.params ->> 'window';
    value_column name := CASE rule.method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END;
    day_cells float8[] := raxx_detect.cells_by_hour(rule, period, cell);
    out_entities text[];
    out_periods tstzrange[];
BEGIN
    SELECT array_agg(l.entity), array_agg(l.period) INTO out_entities, out_periods
    FROM raxx_detect.left_out(rule, binding.source, period) l;
    WITH counts AS MATERIALIZED (
        SELECT c.* FROM raxx_detect.hours_of_cells(rule, period, cell) h
        CROSS JOIN LATERAL raxx_detect.cell_counts(binding.relation, binding.columns ->> 'event_time',
            raxx_detect.role_column(binding, rule.params ->> 'entity'), value_column, raxx_detect.network_prefixes(rule), cell, lower(period), upper(period),
            h.hour_starts, h.hours, out_entities, out_periods, coalesce((rule.params ->> 'baseline_entities')::bigint, 0)) c
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, raxx_detect.bounded_entity(c.entity),
               CASE WHEN c.entity IS NULL THEN c.cells::float8[] ELSE day_cells END, c.sums, c.squares, c.sketch
        FROM counts c WHERE c.entity IS NOT NULL OR c.sketch IS NOT NULL
    )
    UPDATE raxx_detect.baseline_days b SET rows = c.counted, left_out = c.left_out
    FROM counts c
    WHERE c.entity IS NULL AND b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;

    -- Of an entity whose rows were left out, the time that they were left out of was not observed.
    INSERT INTO raxx_detect.baselines AS b (rule_id, source, day, entity, exposure, rows, squares)
    SELECT rule.rule_id, binding.source, day, o.entity,
           ARRAY(SELECT greatest(a.cells - o.cells[a.hour], 0)
                 FROM unnest(day_cells) WITH ORDINALITY a(cells, hour) ORDER BY a.hour),
           array_fill(0, '{24}'), array_fill(0, '{24}')
    FROM (SELECT l.entity, ARRAY(SELECT sum(u.cells) FROM unnest(out_entities, out_periods) p(entity, period)
                  CROSS JOIN LATERAL unnest(raxx_detect.cells_by_hour(rule, p.period, cell)) WITH ORDINALITY u(cells, hour)
                  WHERE p.entity = l.entity GROUP BY u.hour ORDER BY u.hour) AS cells
          FROM (SELECT DISTINCT u.entity FROM unnest(out_entities) u(entity)) l) o
    ON CONFLICT ON CONSTRAINT one_baseline_per_entity_and_day DO UPDATE SET exposure = EXCLUDED.exposure;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_counts(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of counts: for the baseline_entities busiest entities, and for all together, with a sketch of what the cells held.';

-- Asking.

CREATE FUNCTION raxx_detect.array_sum(numbers anyarray) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(n::float8), 0) FROM unnest(numbers) n
$$;
COMMENT ON FUNCTION raxx_detect.array_sum(anyarray) IS 'The sum of the elements.';

CREATE TYPE raxx_detect.count_baseline AS (
    of text,
    days int,
    cells float8,
    rows float8,
    mean float8,
    deviation float8,
    quantile float8,
    others_mean float8,
    others_variance float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.count_baseline IS 'What is usual for an entity in a window: how many in a cell (mean, deviation, and where asked for a quantile), and given one row, the mean and variance of how many others the window holds.';

CREATE FUNCTION raxx_detect.baseline_left_out(rule raxx_detect.rules, source text, first_day date, day date) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(d.left_out), 0)::bigint FROM raxx_detect.baseline_days d
    WHERE d.rule_id = rule.rule_id AND d.source = baseline_left_out.source AND d.day >= first_day AND d.day < baseline_left_out.day
$$;
COMMENT ON FUNCTION raxx_detect.baseline_left_out(raxx_detect.rules, text, date, date) IS 'How many rows the days [first_day, day) of a baseline leave out.';

CREATE FUNCTION raxx_detect.all_entities_baseline(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.count_baseline
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b raxx_detect.count_baseline;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    squares float8;
BEGIN
    b.of := 'all entities';
    b.days := day - first_day;
    b.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    SELECT coalesce(sum(raxx_detect.array_sum(x.exposure)), 0), coalesce(sum(raxx_detect.array_sum(x.rows)), 0),
           coalesce(sum(raxx_detect.array_sum(x.squares)), 0),
           raxx_detect.quantile(raxx_detect.merge(x.sketch), (rule.params ->> 'baseline_quantile')::float8)
    INTO b.cells, b.rows, squares, b.quantile
    FROM raxx_detect.baselines x
    WHERE x.rule_id = rule.rule_id AND x.source = source AND x.entity IS NULL AND x.day >= first_day AND x.day < day;
    b.mean := b.rows / nullif(b.cells, 0);
    b.deviation := sqrt(greatest((squares - b.rows * b.mean) / nullif(b.cells - 1, 0), 0));
    -- A cell holds one row at least; how many others it holds is what varies.
    b.others_mean := b.mean - 1 + 0.5 / nullif(b.cells, 0);
    b.others_variance := greatest(b.deviation ^ 2, b.others_mean);
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.all_entities_baseline(raxx_detect.rules, text, date) IS
'What is usual on a day for an entity of which nothing is known: the cells of all entities that held a row. Its mean is NULL if there were none.';

CREATE FUNCTION raxx_detect.entity_baseline(rule raxx_detect.rules, source text, entity text, day date, hour int) RETURNS raxx_detect.count_baseline
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b raxx_detect.count_baseline;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    cells_an_hour float8 := 3600 / extract(epoch FROM (rule.params ->> 'window')::interval);
    entity_key text := raxx_detect.bounded_entity(entity);
    variance float8;
    excess float8;
    learnt_from float8;
BEGIN
    b.of := 'own';
    b.days := day - first_day;
    b.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    WITH hours AS (  -- every hour of every day; a day without a row of the entity has cells all the same
        SELECT 24 * (d - day) + h AS at, (extract(isodow FROM d)::int - extract(isodow FROM day)::int) % 7 = 0 AS same_weekday,
               coalesce(x.exposure[h + 1], cells_an_hour) AS cells, coalesce(x.rows[h + 1], 0)::float8 AS rows, coalesce(x.squares[h + 1], 0) AS squares
        FROM generate_series(0, day - first_day - 1) i
        CROSS JOIN LATERAL (SELECT first_day + i AS d) days
        CROSS JOIN generate_series(0, 23) h
        LEFT JOIN raxx_detect.baselines x ON x.rule_id = rule.rule_id AND x.source = source AND x.entity = entity_key AND x.day = d
    ), whole AS (
        SELECT sum(cells) AS cells, sum(rows) AS rows, sum(squares) AS squares FROM hours
    ), within AS (  -- how much more the counts of one hour scatter than chance alone makes them
        SELECT sum(squares - rows ^ 2 / cells - (cells - 1) * rows / cells) / nullif(sum((cells - 1) * (rows / cells) ^ 2), 0) AS excess
        FROM hours WHERE cells > 1
    ), season AS (  -- the same hour of the same weekday, the same with its neighbours, and the same hour of any day
        SELECT greatest(s.alone, s.together, d.daily) AS mean, CASE WHEN d.daily > s.together THEN d.rows ELSE s.rows END AS rows
        FROM (SELECT sum(n.rows) FILTER (WHERE n.at = t.at) / nullif(sum(n.cells) FILTER (WHERE n.at = t.at), 0) AS alone,
                     sum(n.rows) / nullif(sum(n.cells), 0) AS together, sum(n.rows) AS rows
              FROM hours t JOIN hours n ON n.at BETWEEN t.at - 1 AND t.at + 1
              WHERE hour IS NOT NULL AND t.same_weekday AND (t.at % 24 + 24) % 24 = hour) s
        CROSS JOIN (SELECT sum(t.rows) / nullif(sum(t.cells), 0) AS daily, sum(t.rows) AS rows
                    FROM hours t WHERE hour IS NOT NULL AND (t.at % 24 + 24) % 24 = hour) d
    )
    SELECT w.cells, w.rows, CASE WHEN hour IS NULL THEN (w.rows + 0.5) / w.cells ELSE greatest(s.mean, 0.5 / w.cells) END,
           greatest((w.squares - w.rows ^ 2 / w.cells) / nullif(w.cells - 1, 0), 0), i.excess, CASE WHEN hour IS NULL THEN w.rows ELSE s.rows END
    INTO b.cells, b.rows, b.mean, variance, excess, learnt_from
    FROM whole w CROSS JOIN within i CROSS JOIN season s WHERE w.cells > 0;
    IF b.mean IS NULL THEN
        RETURN b;
    END IF;
    IF hour IS NULL THEN
        excess := (variance - b.mean) / b.mean ^ 2;
    END IF;
    -- That the mean is known from so many rows only adds to the scatter (a gamma distribution of its shape).
    excess := greatest(excess, 0) + 1 / (learnt_from + 0.5);
    b.deviation := sqrt(CASE WHEN hour IS NULL THEN variance ELSE b.mean + excess * b.mean ^ 2 END);
    -- Given one row, the others of its window: for a Poisson process whose rate varies like a gamma, the same with a
    -- shape greater by one (size bias).
    b.others_mean := b.mean * (1 + excess);
    b.others_variance := b.others_mean + excess * b.mean * b.others_mean;
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_baseline(raxx_detect.rules, text, text, date, int) IS
'What is usual for an entity on a day, by its own cells of the days before, empty ones included; hour, 0 to 23: in that hour of that weekday (the greatest of the hour''s mean, its mean with the hours beside it, and the mean of that hour of all days, since one week tells little of an hour and may have had a holiday), NULL: at any time. Counts are taken for negative binomial, with what they scatter more than Poisson''s estimated by moments. Its rows are 0 for an entity never seen.';
