-- The nearest miss, by method: what the rule counted around a moment, and what it would have taken.

CREATE FUNCTION raxx_detect.limit_at(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz, threshold bigint)
RETURNS raxx_detect.count_limit LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.count_limit;
BEGIN
    SELECT l.* INTO result
    FROM raxx_detect.count_limits(rule, binding, ARRAY[entity], raxx_detect.before(at, interval '1 microsecond'), at, threshold) l
    WHERE l.from_time <= at ORDER BY l.from_time DESC LIMIT 1;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.limit_at(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz, bigint) IS 'The limit by which an entity was judged at a moment, by the baselines that are kept; NULLs: none was.';

CREATE FUNCTION raxx_detect.limit_in_words(rule raxx_detect.rules, binding raxx_detect.source_bindings, l raxx_detect.count_limit, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    judging date := raxx_detect.judging_day(rule, binding, at);
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, judging);
BEGIN
    RETURN CASE WHEN l.fired_by = 'baseline' THEN format('the limit of %s, by the %s days before: %s %s on average, deviation %s', l.threshold, l.baseline ->> 'days',
                    CASE l.baseline ->> 'of' WHEN 'own' THEN 'its own' ELSE 'all entities''' END, raxx_detect.in_figures((l.baseline ->> 'mean')::float8), raxx_detect.in_figures((l.baseline ->> 'deviation')::float8))
                ELSE format('the threshold of %s', l.threshold)
                    || CASE WHEN l.baseline ? 'needed' THEN format(' (the baseline had %s of %s days)', l.baseline ->> 'days', l.baseline ->> 'needed') WHEN l.baseline ? 'needed_rows' THEN ' (there was too little history for a baseline)' ELSE '' END END
        || CASE WHEN l.baseline ? 'mean' AND judging - first_day > (SELECT count(*) FROM raxx_detect.baseline_days b WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day >= first_day AND b.day < judging)
                THEN '; not all days of that baseline are kept any more, so that it may have been another' ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.limit_in_words(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.count_limit, timestamptz) IS 'A limit, and the baseline behind it, in words.';

CREATE FUNCTION raxx_detect.nearest_row(binding raxx_detect.source_bindings, m raxx_detect.series_measure, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result timestamptz;
BEGIN
    EXECUTE format('SELECT v.at FROM (SELECT t.%1$I AS at, (%3$s)::text AS value FROM %2$s t WHERE t.%1$I >= raxx_detect.before($1, $2) AND t.%1$I <= $1 + $2) v
                    WHERE v.value IS NOT NULL ORDER BY greatest(v.at - $1, $1 - v.at), v.at LIMIT 1', raxx_detect.time_column(binding), binding.relation, m.value)
    INTO result USING at, interval '1 day', m.compared, m.patterns;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.nearest_row(raxx_detect.source_bindings, raxx_detect.series_measure, timestamptz) IS 'The time of the row nearest to a moment that a measure counts, within a day before or after; NULL: there is none.';

CREATE FUNCTION raxx_detect.as_if_found(rule raxx_detect.rules, source text, entity text, unit text) RETURNS raxx_detect.detection_findings
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.detection_findings;
BEGIN
    result.rule_id := rule.rule_id;
    result.source := source;
    result.entity := raxx_detect.bounded_entity(raxx_detect.entity_beside_mix(rule, entity));
    result.unit := unit;
    result.evidence := '{"conditions": []}';
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.as_if_found(raxx_detect.rules, text, text, text) IS 'A finding that there is not, as far as raxx_detect.measure_of looks at it.';

CREATE FUNCTION raxx_detect.near_in_words(counting text, unit text, rows raxx_detect.rows_in_time, window_length interval, not_before timestamptz, limit_of bigint, limit_told text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fullest record := raxx_detect.fullest_window(counting, rows, window_length, not_before);
BEGIN
    RETURN CASE WHEN fullest.peak = 0 THEN format('no %s at all around that time, against %s', unit, limit_told)
        ELSE format('at most %s %s in %s (the window up to %s), against %s', fullest.peak, unit, raxx_detect.in_words(window_length), raxx_detect.time_in_words(fullest.at), limit_told)
            || CASE WHEN limit_of IS NULL THEN '' WHEN fullest.peak >= limit_of THEN ': that would have been enough by the rows as they are now' ELSE format(': %s short of it', limit_of - fullest.peak) END
            || CASE WHEN rows.is_cut THEN '; of the first 20000 rows' ELSE '' END END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_in_words(text, text, raxx_detect.rows_in_time, interval, timestamptz, bigint, text) IS 'The fullest window of some rows against a limit, in words.';

CREATE FUNCTION raxx_detect.burst_conditions(rule raxx_detect.rules, rows_called text, OUT unit text, OUT threshold bigint, OUT learns boolean)
RETURNS SETOF record LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.* FROM (VALUES
        ('denials of elevated permissions', (rule.params ->> 'elevated_threshold')::bigint, false),
        ('distinct permissions denied', (rule.params ->> 'distinct_threshold')::bigint, false),
        ('denials', NULL, true)) c(unit, threshold, learns) WHERE rule.method = 'distinct + velocity'
    UNION ALL
    SELECT CASE rule.method WHEN 'temporal' THEN 'different steps' ELSE 'steps in order' END, coalesce((rule.params ->> 'threshold')::bigint, jsonb_array_length(rule.params -> 'steps')), false WHERE rule.method LIKE 'temporal%'
    UNION ALL
    SELECT CASE WHEN rule.params ?| '{excluded_causes,deploy_margin}' THEN 'distinct dynos restarted' WHEN rule.method = 'distinct' THEN 'distinct values of ' || (rule.params ->> 'value') ELSE rows_called END,
           (rule.params ->> 'threshold')::bigint, rule.baseline_window IS NOT NULL AND NOT rule.params ?| '{excluded_causes,deploy_margin}' WHERE rule.method <> 'distinct + velocity' AND rule.method NOT LIKE 'temporal%'
$$;
COMMENT ON FUNCTION raxx_detect.burst_conditions(raxx_detect.rules, text) IS 'The conditions of a rule about bursts: the unit that each counts, its threshold, and whether a baseline may take its place.';

CREATE FUNCTION raxx_detect.near_burst(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    window_length interval := raxx_detect.reach_of(rule);
    plain_rule raxx_detect.rules := rule;
    from_time timestamptz := raxx_detect.before(at, 2 * window_length);
    m raxx_detect.series_measure;
    c record;
    l raxx_detect.count_limit;
    said text[] := '{}';
    any_rows boolean := false;
    rows raxx_detect.rows_in_time;
    nearest timestamptz;
    number_explained bigint;
BEGIN
    FOR c IN SELECT * FROM raxx_detect.burst_conditions(rule, (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source)) LOOP
        m := raxx_detect.measure_of(rule, binding, raxx_detect.as_if_found(rule, binding.source, entity, c.unit));
        rows := CASE WHEN rule.method LIKE 'temporal%' THEN raxx_detect.steps_measured(rule, binding, raxx_detect.bounded_entity(entity), from_time, at + window_length)
                     ELSE raxx_detect.rows_measured(binding, m, from_time, at + window_length) END;
        any_rows := any_rows OR rows.times IS NOT NULL;
        l := CASE WHEN c.learns THEN raxx_detect.limit_at(rule, binding, entity, at, c.threshold) ELSE (entity, '-infinity', c.threshold, 'threshold', NULL)::raxx_detect.count_limit END;
        said := said || raxx_detect.near_in_words(raxx_detect.counting_of(rule, m), c.unit, rows, window_length, raxx_detect.before(at, window_length), l.threshold,
            CASE WHEN l.threshold IS NULL THEN 'no limit, since the baseline is not ready' ELSE raxx_detect.limit_in_words(rule, binding, l, at) END);
    END LOOP;
    IF rule.params ?| '{excluded_causes,deploy_margin}' THEN
        plain_rule.params := rule.params - '{excluded_causes,deploy_margin}'::text[];
        m := raxx_detect.measure_of(plain_rule, binding, raxx_detect.as_if_found(rule, binding.source, entity, c.unit));
        number_explained := coalesce(cardinality((raxx_detect.rows_measured(binding, m, from_time, at + window_length)).times), 0) - coalesce(cardinality(rows.times), 0);
        IF number_explained > 0 THEN
            said := said || format('%s not counted, since their cause (%s) or a deploy within %s explains them', raxx_detect.number_of(number_explained, 'restart is', 'restarts are'),
                (SELECT string_agg(e, ', ') FROM jsonb_array_elements_text(rule.params -> 'excluded_causes') e), raxx_detect.in_words((rule.params ->> 'deploy_margin')::interval));
        END IF;
    END IF;
    IF NOT any_rows AND m.value IS NOT NULL THEN
        nearest := raxx_detect.nearest_row(binding, m, at);
        said := said || coalesce('its nearest row is of ' || raxx_detect.time_in_words(nearest), format('%s has no row of that %s within a day of it', binding.source, rule.params ->> 'entity'));
    END IF;
    RETURN format('The nearest miss: %s.', array_to_string(said, '; '));
END $$;
COMMENT ON FUNCTION raxx_detect.near_burst(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'The nearest miss of a rule about bursts: for each of its conditions the fullest window that ends within a window of the moment.';

CREATE FUNCTION raxx_detect.near_pattern(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    window_length interval := raxx_detect.reach_of(rule);
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    email_column name := raxx_detect.role_column(binding, rule.params ->> 'email');
    is_shape boolean := strpos(entity, '@') > 0;
    m raxx_detect.series_measure := raxx_detect.measure_of(rule, binding, raxx_detect.as_if_found(rule, binding.source, entity, 'sign-ups'));
    rows raxx_detect.rows_in_time := raxx_detect.rows_measured(binding, m, raxx_detect.before(at, 2 * window_length), at + window_length);
    fullest record := raxx_detect.fullest_window('velocity', rows, window_length, raxx_detect.before(at, window_length));
    history record;
    number bigint;
    said text := 'The nearest miss: ' || raxx_detect.near_in_words('velocity', 'sign-ups', rows, window_length, raxx_detect.before(at, window_length), CASE WHEN NOT is_shape THEN threshold END, format('the threshold of %s', threshold));
BEGIN
    IF NOT is_shape AND EXISTS (SELECT FROM raxx_detect.free_mail_domains d WHERE d.domain = entity) THEN
        RETURN said || format('. But %s is a known free-mail provider (raxx_detect.free_mail_domains), where sharing the domain says nothing: the shapes of addresses are judged there, such as a9@%s.', raxx_detect.plain(entity), raxx_detect.plain(entity));
    ELSIF is_shape AND fullest.peak >= threshold THEN
        history := raxx_detect.shape_share(binding, email_column, entity, date_trunc('day', fullest.at, 'UTC'), (rule.params ->> 'shape_history')::interval);
        EXECUTE format('SELECT count(*) FROM %2$s t WHERE t.%1$I > raxx_detect.before($1, $2) AND t.%1$I <= $1 AND t.%3$I IS NOT NULL', raxx_detect.time_column(binding), binding.relation, email_column)
        INTO number USING fullest.at, window_length;
        RETURN said || format('. They are enough, but %s %% of the %s sign-ups in the %s before had that shape, so that %s of %s is a chance of %s; the rule fires at %s or less.', raxx_detect.in_figures(100 * history.share), history.history_size,
            rule.params ->> 'shape_history', fullest.peak, number, raxx_detect.in_figures(raxx_detect.binomial_upper_tail(fullest.peak, number, history.share)), rule.params ->> 'shape_tail');
    END IF;
    RETURN said || CASE WHEN is_shape AND fullest.peak < threshold THEN format(': %s short of it', threshold - fullest.peak) ELSE '' END || '.';
END $$;
COMMENT ON FUNCTION raxx_detect.near_pattern(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'The nearest miss of method pattern: the count against the threshold, the chance of it for a shape, and that a free-mail domain is none.';

CREATE FUNCTION raxx_detect.near_gap(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    began timestamptz := raxx_detect.last_event(binding, at);
    next_event timestamptz := raxx_detect.next_event(binding, at);
    ended timestamptz := coalesce(next_event, now());
    c raxx_detect.cadence;
    inside interval;
    probability record;
    length interval;
BEGIN
    IF began IS NULL THEN
        RETURN format('The nearest miss: %s has no event before that time, so no silence can have begun.', binding.source);
    END IF;
    length := make_interval(secs => extract(epoch FROM ended - began)::float8);
    inside := raxx_detect.business_time(tstzrange(began, ended), rule.params);
    c := raxx_detect.cadence_at(rule, binding, began, ended);
    RETURN format('The nearest miss: the silence of %s from %s %s %s, %s of it in business hours and %s outside; ', binding.source, raxx_detect.time_in_words(began), CASE WHEN next_event IS NULL THEN 'on has lasted' ELSE 'to ' || raxx_detect.time_in_words(next_event) || ' lasted' END,
            raxx_detect.exactly(length), raxx_detect.in_words(inside), raxx_detect.in_words(length - inside))
        || CASE WHEN c IS NULL THEN format('it takes more than %s in business hours or %s outside.', raxx_detect.in_words((rule.params ->> 'business_gap')::interval), raxx_detect.in_words((rule.params ->> 'off_hours_gap')::interval))
           ELSE (SELECT format('it takes more than %s (the longer of the quantile %s of that hour in %s days and %s), and a chance of at most %s; it has one of %s.',
                    raxx_detect.exactly(greatest(make_interval(secs => c.quantiles[extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), began))::int + 1]), (rule.params ->> 'baseline_gap')::interval)),
                    rule.params ->> 'baseline_quantile', c.days, rule.params ->> 'baseline_gap', raxx_detect.in_figures(c.tail), raxx_detect.in_figures(s.p_value))
                 FROM raxx_detect.silence_probability(rule, binding.source, tstzrange(began, ended), c) s) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_gap(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'The silence that a moment lies in, against what it takes.';

CREATE FUNCTION raxx_detect.near_point(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := raxx_detect.rule_time_zone(rule);
    -- The verdict in force is on the point before.
    judged tstzrange := raxx_detect.point_at(rule, lower(raxx_detect.point_at(rule, at)) - interval '1 microsecond');
    day date := raxx_detect.judging_day(rule, binding, upper(judged));
    p record;
    u record;
BEGIN
    SELECT x.* INTO p FROM raxx_detect.points(rule, binding, timezone(zone, lower(judged))::date, judged) x WHERE raxx_detect.bounded_entity(x.entity) = raxx_detect.bounded_entity($3);
    SELECT x.* INTO u FROM raxx_detect.usual_points(rule, binding.source, day) x WHERE x.entity = raxx_detect.bounded_entity($3);
    RETURN format('The nearest miss: the verdict in force then is on %s to %s. ', raxx_detect.time_in_words(lower(judged)), raxx_detect.time_in_words(upper(judged)))
        || CASE WHEN p.value IS NULL THEN format('It has no sample of %s then, so there is no verdict.', raxx_detect.plain(entity))
                WHEN u.fires_above IS NULL THEN format('The average %s was %s, and there is no verdict: fewer than %s points of it are known from the days before.', rule.params ->> 'value', raxx_detect.in_figures(p.value), rule.params ->> 'baseline_points')
                ELSE format('The average %s was %s; it fires above %s (median %s, quantile %s of %s points) and from %s on.', rule.params ->> 'value', raxx_detect.in_figures(p.value), raxx_detect.in_figures(u.fires_above), raxx_detect.in_figures(u.median),
                            raxx_detect.in_figures(u.quantile), u.n, rule.params ->> 'value_floor') END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_point(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'The point that the verdict in force at a moment is on, against what is usual.';

CREATE FUNCTION raxx_detect.near_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    window_length interval := raxx_detect.reach_of(rule);
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    m raxx_detect.series_measure := raxx_detect.measure_of(rule, binding, raxx_detect.as_if_found(rule, binding.source, binding.source, ''));
    history raxx_detect.failure_history := raxx_detect.outcome_baseline(rule, binding.source, raxx_detect.judging_day(rule, binding, at));
    by_clock boolean := rule.params ? 'long_window';
    fullest record;
    ends timestamptz;
    failures bigint;
    total bigint;
    enough bigint;
BEGIN
    IF by_clock THEN
        ends := lower(raxx_detect.point_at(rule, at));
    ELSE
        fullest := raxx_detect.fullest_window('velocity', raxx_detect.rows_measured(binding, m, raxx_detect.before(at, 2 * window_length), at + window_length), window_length, raxx_detect.before(at, window_length));
        ends := coalesce(fullest.at, at) + interval '1 microsecond';
    END IF;
    EXECUTE format('SELECT count(*) FILTER (WHERE t.%3$I::text COLLATE "C" = $3), count(*) FROM %2$s t WHERE t.%1$I >= raxx_detect.before($1, $2) AND t.%1$I < $1 AND t.%3$I IS NOT NULL',
        raxx_detect.time_column(binding), binding.relation, value_column)
    INTO failures, total USING ends, window_length, rule.params ->> 'failure';
    enough := CASE WHEN NOT history.usable THEN (rule.params ->> 'threshold')::bigint
                   WHEN by_clock THEN raxx_detect.fewest_failures(total, 0, 1, history.share, history.dispersion, rule.false_alarms_per_month / raxx_detect.points_a_month(rule))
                   ELSE raxx_detect.fewest_failures(total, 1, (rule.params ->> 'baseline_floor')::bigint, history.share, history.dispersion, rule.false_alarms_per_month / raxx_detect.failures_expected(history)) END;
    RETURN format('The nearest miss: %s %s, of %s in the %s up to %s', failures, raxx_detect.failures_called(rule, binding), total, raxx_detect.in_words(window_length), raxx_detect.time_in_words(ends - CASE WHEN by_clock THEN interval '0' ELSE interval '1 microsecond' END))
        || CASE WHEN enough IS NULL THEN '; nothing is judged before the baseline is ready.'
                WHEN by_clock AND total < (rule.params ->> 'floor')::bigint THEN format('; there is no verdict on fewer than %s.', rule.params ->> 'floor')
                WHEN history.usable THEN format('; at the usual share of %s %% (%s of %s in the %s days before) it takes %s.', raxx_detect.in_figures(100 * history.share), history.failures, history.rows, history.days, enough)
                ELSE format('; it takes %s.', enough) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'The window with the most failures around a moment, or the hour that is judged by the clock, against what it takes.';

CREATE FUNCTION raxx_detect.near_benford(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'step')::interval)::float8);
    instant timestamptz := date_bin(step, at, timestamptz '2000-01-01 00:00:00+00');
    tail float8 := raxx_detect.alarm_budget(rule) / (30.4375 * 86400 / extract(epoch FROM step));
    s record;
BEGIN
    SELECT r.* INTO s FROM raxx_detect.benford_states(rule, binding, instant, instant) c CROSS JOIN LATERAL raxx_detect.benford_result(c.counts) r WHERE c.instant <= $3 ORDER BY c.instant DESC LIMIT 1;
    RETURN format('The nearest miss: the verdict in force then is of %s: %s in %s', raxx_detect.time_in_words(instant), raxx_detect.number_of(coalesce(s.n, 0), 'first digit', 'first digits'), raxx_detect.in_words((rule.params ->> 'window')::interval))
        || CASE WHEN coalesce(s.n, 0) <= (rule.params ->> 'run_above')::bigint THEN format('; more than %s are needed.', rule.params ->> 'run_above')
                ELSE format(', off Benford''s law by %s (it takes %s) with a chance of %s (it takes %s or less).', raxx_detect.in_figures(s.mad), rule.params ->> 'mad_threshold', raxx_detect.in_figures(s.p_value), raxx_detect.in_figures(tail)) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_benford(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'The first digits of the verdict in force at a moment, against what it takes.';

CREATE FUNCTION raxx_detect.near_drift(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    instant timestamptz := date_bin((rule.params ->> 'step')::interval, at, timestamptz '2000-01-01 00:00:00+00');
    judging date := raxx_detect.judging_day(rule, binding, instant);
    q float8 := (rule.params ->> 'quantile')::float8;
    recent raxx_detect.quantile_sketch := (SELECT raxx_detect.quantile_sketch(i.mean_ms) FROM raxx_detect.statement_intervals(binding, raxx_detect.before(instant, (rule.params ->> 'window')::interval), instant) i);
    usual raxx_detect.quantile_sketch;
    floor bigint := (rule.params ->> 'baseline_intervals')::bigint;
BEGIN
    IF NOT raxx_detect.baseline_is_ready(rule, binding.source, judging) THEN
        RETURN 'The nearest miss: there is no verdict before the baseline is ready.';
    END IF;
    usual := (SELECT raxx_detect.merge(b.sketch) FROM raxx_detect.baselines b WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity IS NULL
              AND b.day >= raxx_detect.baseline_first_day(rule, binding.source, judging) AND b.day < judging);
    RETURN format('The nearest miss: by the means between snapshots, at %s', raxx_detect.time_in_words(instant))
        || CASE WHEN coalesce(raxx_detect.sketch_count(recent), 0) < floor OR coalesce(raxx_detect.sketch_count(usual), 0) < floor
                THEN format(', there were %s times in the window and %s in the baseline; %s are needed of each.', coalesce(raxx_detect.sketch_count(recent), 0), coalesce(raxx_detect.sketch_count(usual), 0), floor)
                ELSE format(', the quantile %s was %s ms; it takes %s ms (%s ms in the days before), and a Kolmogorov-Smirnov test beyond chance.', q, raxx_detect.in_figures(raxx_detect.quantile(recent, q)),
                            raxx_detect.in_figures(raxx_detect.quantile(usual, q) * (1 + (rule.params ->> 'rise')::float8)), raxx_detect.in_figures(raxx_detect.quantile(usual, q))) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_drift(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'The statement times of the verdict in force at a moment, against those of the days before.';

CREATE FUNCTION raxx_detect.near_change(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tolerance interval := (rule.params ->> 'tolerance')::interval;
    change record := raxx_detect.matched_parts(rule, binding, 'c');
    changed_at timestamptz;
    record_at timestamptz;
BEGIN
    EXECUTE format('SELECT c.%2$I FROM %1$s c WHERE c.%2$I >= raxx_detect.before($1, $3) AND c.%2$I <= $1 + $3 AND raxx_detect.bounded_entity(%3$s) = raxx_detect.bounded_entity($2)
                    ORDER BY greatest(c.%2$I - $1, $1 - c.%2$I), c.%2$I LIMIT 1', binding.relation, binding.columns ->> 'event_time', change.entity)
    INTO changed_at USING at, entity, interval '1 day';
    IF changed_at IS NULL THEN
        RETURN format('The nearest miss: %s has no change of it within a day of that time.', binding.source);
    END IF;
    record_at := raxx_detect.nearest_record(rule, raxx_detect.bounded_entity(entity), changed_at);
    RETURN format('The nearest miss: it changed at %s', raxx_detect.time_in_words(changed_at))
        || CASE WHEN record_at BETWEEN raxx_detect.before(changed_at, tolerance) AND changed_at + tolerance
                THEN format(', and a change record of %s explains it: %s from it, where %s are allowed.', raxx_detect.time_in_words(record_at), raxx_detect.exactly(greatest(record_at - changed_at, changed_at - record_at)), raxx_detect.in_words(tolerance))
                WHEN changed_at + tolerance > now() THEN format('; a record may still come until %s.', raxx_detect.time_in_words(changed_at + tolerance))
                ELSE format('; the nearest record is %s, and %s are allowed.', coalesce('of ' || raxx_detect.time_in_words(record_at), 'more than 7 days off'), raxx_detect.in_words(tolerance)) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_change(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'The change of an entity nearest to a moment, and the record that explains it.';

CREATE FUNCTION raxx_detect.near_break(binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains := raxx_detect.attached_chain(binding.relation);
    passed_at timestamptz := (SELECT h.passed_at FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id);
BEGIN
    RETURN CASE WHEN chain.chain_id IS NULL THEN format('No hash chain is attached to %s: SELECT raxx_detect.chain_attach(%L).', binding.source, binding.relation::text)
                ELSE format('A chain is judged as it is now, and not as of a time. That of %s was last verified as a whole %s; SELECT * FROM raxx_detect.verify_chain(%L, ''full'') does it now.', binding.source,
                            coalesce('at ' || raxx_detect.time_in_words(date_trunc('second', passed_at)), 'never'), binding.relation::text) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_break(raxx_detect.source_bindings) IS 'What is known of the hash chain of a source.';

CREATE FUNCTION raxx_detect.near_mix(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := timezone(raxx_detect.rule_time_zone(rule), at)::date - 1;  -- the verdict in force
    baseline_day date := least(raxx_detect.judging_day(rule, binding, raxx_detect.day_starts(rule, day + 1)), day);
    test record;
BEGIN
    IF NOT raxx_detect.baseline_is_ready(rule, binding.source, baseline_day) THEN
        RETURN 'The nearest miss: there is no verdict on a mix before the baseline is ready.';
    END IF;
    test := raxx_detect.mix_test(rule, binding, day, baseline_day);
    RETURN format('The nearest miss: the mix of %s (%s rows) ', day, test.observed_rows) || CASE WHEN test.p_value IS NULL THEN format('has no verdict: %s rows are needed, and days before.', rule.params ->> 'mix_floor')
        ELSE format('is a chance of %s; it takes %s or less.', raxx_detect.in_figures(test.p_value), raxx_detect.in_figures(raxx_detect.alarm_budget(rule) / 30.4375)) END;
END $$;
COMMENT ON FUNCTION raxx_detect.near_mix(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'The mix of the day whose verdict is in force at a moment, against what it takes.';

CREATE FUNCTION raxx_detect.rows_of_nobody(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role text := coalesce(rule.params ->> 'entity', rule.params ->> 'email');
    window_length interval := raxx_detect.reach_of(rule);
    number bigint;
BEGIN
    IF role IS NULL THEN
        RETURN 'No entity was named.';
    END IF;
    EXECUTE format('SELECT count(*) FROM %2$s t WHERE t.%1$I > raxx_detect.before($1, $2) AND t.%1$I <= $1 + $2 AND t.%3$I IS NULL', raxx_detect.time_column(binding), binding.relation, raxx_detect.role_column(binding, role))
    INTO number USING at, window_length;
    RETURN format('Rows without %s belong to nobody: they are ignored, and counted in the detail of a run (raxx_detect.rule_runs). Within %s of that time %s has %s.', role, raxx_detect.in_words(window_length),
                  binding.source, raxx_detect.number_of(number, 'such row', 'such rows'));
END $$;
COMMENT ON FUNCTION raxx_detect.rows_of_nobody(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'What becomes of rows with a NULL entity, and how many there are around a moment.';

CREATE FUNCTION raxx_detect.nearest_miss(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.require_sound(rule, binding);
    IF entity IS NULL AND rule.method NOT IN ('gap', 'chain', 'ratio', 'benford', 'drift') THEN
        RETURN raxx_detect.rows_of_nobody(rule, binding, at);
    ELSIF rule.params ? 'mix_window' AND entity = '(mix)' THEN
        RETURN raxx_detect.near_mix(rule, binding, at);
    END IF;
    RETURN CASE rule.method
        WHEN 'pattern' THEN raxx_detect.near_pattern(rule, binding, entity, at)
        WHEN 'gap' THEN raxx_detect.near_gap(rule, binding, at)
        WHEN 'quantile' THEN raxx_detect.near_point(rule, binding, entity, at)
        WHEN 'ratio' THEN raxx_detect.near_ratio(rule, binding, at)
        WHEN 'benford' THEN raxx_detect.near_benford(rule, binding, at)
        WHEN 'drift' THEN raxx_detect.near_drift(rule, binding, at)
        WHEN 'unmatched' THEN raxx_detect.near_change(rule, binding, entity, at)
        WHEN 'chain' THEN raxx_detect.near_break(binding)
        ELSE raxx_detect.near_burst(rule, binding, entity, at) END;
END $$;
COMMENT ON FUNCTION raxx_detect.nearest_miss(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'How near a rule came to a finding of an entity around a moment, by its method. Raises 42P01, 42703, 42804 or 42501 where the source cannot be read.';
