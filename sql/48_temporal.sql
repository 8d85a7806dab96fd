-- Temporal: several different things that one entity does within a window, in any order or in a given one.

CREATE FUNCTION raxx_detect.step_patterns(steps jsonb, OUT step int, OUT pattern text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.n::int, (raxx_detect.like_patterns(jsonb_build_array(g)))[1]
    FROM jsonb_array_elements_text(steps) WITH ORDINALITY s(globs, n) CROSS JOIN LATERAL regexp_split_to_table(s.globs, E'\\|') g
$$;
COMMENT ON FUNCTION raxx_detect.step_patterns(jsonb) IS 'The patterns for LIKE by which a row is one of a step, of each step of the parameter steps.';

CREATE FUNCTION raxx_detect.evaluate_temporal(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    in_order boolean := rule.method = 'temporal_ordered';
    window_length interval := (rule.params ->> 'window')::interval;
    number_of_steps int := jsonb_array_length(rule.params -> 'steps');
    threshold bigint := CASE WHEN in_order THEN number_of_steps ELSE (rule.params ->> 'threshold')::bigint END;
    event_time name := binding.columns ->> 'event_time';
    entity text := raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity');
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    steps int[];
    patterns text[];
    happened record;
    number int := 0;
    e record;
BEGIN
    SELECT array_agg(p.step), array_agg(p.pattern) INTO steps, patterns FROM raxx_detect.step_patterns(rule.params -> 'steps') p;
    EXECUTE format(
        'SELECT array_agg(r.at) AS times, array_agg(r.entity) AS entities, array_agg(r.step) AS steps
         FROM (SELECT t.%1$I AS at, %2$s AS entity, s.step::text
               FROM %3$s t CROSS JOIN LATERAL (SELECT DISTINCT p.step FROM unnest($3, $4) p(step, pattern) WHERE t.%4$I::text COLLATE "C" LIKE p.pattern) s
               WHERE t.%1$I > $1 AND t.%1$I <= $2 AND t.%4$I::text COLLATE "C" LIKE ANY ($4)) r', event_time, entity, binding.relation, value_column)
    INTO happened USING raxx_detect.before(exact_from, window_length), as_of, steps, patterns;
    IF happened.times IS NULL THEN
        RETURN;
    END IF;
    FOR e IN SELECT * FROM raxx_detect.episodes_of(CASE WHEN in_order THEN 'ordered' ELSE 'distinct' END, happened.times, happened.entities, happened.steps,
                                                   window_length, threshold) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, CASE WHEN in_order THEN 'steps in order' ELSE 'different steps' END, NULL::float8,
            'threshold', e.sample_size, ARRAY[rule.method],
            format('%s: %s of %s steps%s within %s (threshold %s)', raxx_detect.printable(e.entity), e.peak, number_of_steps, CASE WHEN in_order THEN ' in order' ELSE '' END,
                raxx_detect.in_words(window_length), threshold),
            jsonb_build_object('window', window_length,
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                    format('%s = $3 AND t.%I::text COLLATE "C" LIKE ANY (%L::text[])', entity, value_column, patterns), e.entity)),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_temporal(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Methods temporal and temporal_ordered: rows of threshold different steps of one entity in a window; or of all steps, each at the time of the one before it or later. Holds the rows of a slice that are of some step in memory.';
