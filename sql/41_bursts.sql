-- Bursts: velocity, distinct, and both.

CREATE FUNCTION raxx_detect.burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold_name text, severity raxx_detect.severity, unit text,
    globs jsonb DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> threshold_name)::bigint;
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT * FROM raxx_detect.episodes(method, binding.relation, binding.columns ->> 'event_time', entity_column,
            value_column, CASE WHEN globs IS NULL THEN NULL ELSE value_column END, raxx_detect.like_patterns(globs),
            NULL, window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        RETURN NEXT (e.entity, e.episode, severity, e.peak::float8, threshold::float8, unit, NULL::float8, 'threshold',
            e.sample_size, ARRAY[method],
            format('%s: %s %s within %s (threshold %s)', raxx_detect.printable(e.entity), e.peak, unit,
                raxx_detect.in_words(window_length), threshold),
            jsonb_build_object('window', window_length,
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                    format('raxx_detect.text_of(t.%I) = $3', entity_column), e.entity)),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, text, raxx_detect.severity, text, jsonb) IS
'Candidates of one burst condition: method velocity or distinct, its threshold in the named parameter, on rows whose value matches the globs, if any.';

CREATE FUNCTION raxx_detect.evaluate_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', 'threshold', rule.severity,
        (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source))
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method velocity: many rows of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'threshold', rule.severity,
        'distinct values of ' || (rule.params ->> 'value'))
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method distinct: many distinct values of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH conditions AS MATERIALIZED (
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', 'elevated_threshold',
            rule.severity, 'denials of elevated permissions', rule.params -> 'elevated')
        UNION ALL
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'distinct_threshold',
            'medium', 'distinct permissions denied')
    ), joined AS (  -- what overlaps is one episode
        SELECT entity, unnest(range_agg(episode)) AS episode FROM conditions GROUP BY entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, worst.threshold, worst.unit, worst.p_value, worst.fired_by,
           worst.sample_size, ARRAY(SELECT DISTINCT unnest(c.conditions) FROM conditions c
               WHERE c.entity = j.entity AND c.episode && j.episode ORDER BY 1), worst.summary,
           (SELECT c.evidence FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
            ORDER BY lower(c.episode), c.severity DESC LIMIT 1), worst.verdict, NULL::text, NULL::text
    FROM joined j CROSS JOIN LATERAL (
        SELECT c.* FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
        ORDER BY c.severity DESC, c.observed DESC, c.sample_size DESC, lower(c.episode) LIMIT 1) worst
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct + velocity: elevated_threshold rows whose value matches elevated, at the rule''s severity, or distinct_threshold distinct values, at medium. Overlapping episodes of an entity are one, told by its worst condition.';
