-- Bursts: velocity, distinct, both, and spike. Many rows, or distinct values, of one entity in a sliding window.

CREATE FUNCTION raxx_detect.entity_beside_mix(rule raxx_detect.rules, entity text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rule.params ? 'mix_window' AND left(entity, 1) = '(' THEN '(' || entity ELSE entity END;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_beside_mix(raxx_detect.rules, text) IS
'The entity as a finding names it: where a rule also has findings of (mix), an entity that begins with a parenthesis gets one more, so that none can pass for it.';

CREATE FUNCTION raxx_detect.filter_condition(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rule.params ? 'filter' THEN format(' AND t.%I::text COLLATE "C" LIKE ANY (%L::text[])',
        raxx_detect.role_column(binding, rule.params ->> 'filter'), raxx_detect.like_patterns(rule.params -> 'only')) ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.filter_condition(raxx_detect.rules, raxx_detect.source_bindings) IS
'The condition, over the row t, that the row is one of those that the rule counts, as AND ...; empty: it counts all.';

CREATE FUNCTION raxx_detect.burst_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, number int,
    e record, severity raxx_detect.severity, unit text, l raxx_detect.count_limit, condition text)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
BEGIN
    IF l.baseline ? 'needed' THEN  -- as it was when the episode began
        l.baseline := raxx_detect.no_baseline(rule, binding.source, raxx_detect.judging_day(rule, binding, lower(e.episode)));
    END IF;
    RETURN (raxx_detect.entity_beside_mix(rule, e.entity), e.episode, severity, e.peak::float8, l.threshold::float8, unit,
        CASE l.fired_by WHEN 'baseline' THEN raxx_detect.count_p_value(l.baseline, e.peak) END, l.fired_by,
        e.sample_size, ARRAY[condition],
        format('%s: %s %s within %s (%s %s%s)', raxx_detect.printable(e.entity), e.peak, unit, raxx_detect.in_words(window_length),
            CASE l.fired_by WHEN 'baseline' THEN 'limit' ELSE 'threshold' END, l.threshold, raxx_detect.baseline_in_words(l)),
        jsonb_build_object('window', window_length,
            'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity') || ' = $3' || raxx_detect.filter_condition(rule, binding), e.entity))
        || CASE WHEN l.baseline IS NULL THEN '{}' ELSE jsonb_build_object('baseline', l.baseline) END,
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidate(raxx_detect.rules, raxx_detect.source_bindings, int, record, raxx_detect.severity, text, raxx_detect.count_limit, text) IS
'The candidate of an episode (entity, episode, peak, sample_size) and the limit that it reached when it began.';

CREATE FUNCTION raxx_detect.baseline_in_words(l raxx_detect.count_limit) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN l.fired_by = 'baseline' THEN format(' by the %s days before: %s %s on average, deviation %s', l.baseline ->> 'days',
                    CASE l.baseline ->> 'of' WHEN 'own' THEN 'its own' ELSE 'all entities''' END,
                    round((l.baseline ->> 'mean')::numeric, 3), round((l.baseline ->> 'deviation')::numeric, 3))
                WHEN l.baseline ? 'needed' THEN format('; baseline: %s of %s days', l.baseline ->> 'days', l.baseline ->> 'needed')
                WHEN l.baseline ? 'needed_rows' THEN '; too little history for a baseline'
                ELSE '' END
$$;
COMMENT ON FUNCTION raxx_detect.baseline_in_words(raxx_detect.count_limit) IS 'What a summary says of the baseline behind a limit, or of its absence.';

CREATE FUNCTION raxx_detect.burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold bigint, severity raxx_detect.severity, unit text,
    condition text, globs jsonb DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    filter_column name := CASE WHEN globs IS NOT NULL THEN raxx_detect.role_column(binding, coalesce(rule.params ->> 'filter', rule.params ->> 'value')) END;
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT * FROM raxx_detect.episodes(method, binding.relation, binding.columns ->> 'event_time',
            raxx_detect.role_column(binding, rule.params ->> 'entity'), value_column, filter_column, raxx_detect.like_patterns(globs),
            raxx_detect.network_prefixes(rule), window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        RETURN NEXT raxx_detect.burst_candidate(rule, binding, number, e, severity, unit,
            (e.entity, '-infinity', threshold, 'threshold', NULL)::raxx_detect.count_limit, condition);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, bigint, raxx_detect.severity, text, text, jsonb) IS
'Candidates of one burst condition without a baseline: method velocity or distinct, on rows whose filter role (without one, whose value) matches the globs, if any.';

CREATE FUNCTION raxx_detect.baseline_burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold bigint, severity raxx_detect.severity, unit text, condition text)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    read_from timestamptz := raxx_detect.before(exact_from, window_length);
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    value_column name := CASE method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END;
    event_time name := binding.columns ->> 'event_time';
    ready boolean := (SELECT bool_or(p.ready) FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p);
    least_limit bigint := CASE WHEN ready THEN least((rule.params ->> 'baseline_floor')::bigint, threshold) ELSE threshold END;
    limits raxx_detect.count_limit[];
    number int := 0;
    e record;
BEGIN
    IF least_limit IS NULL THEN
        RETURN;
    END IF;
    -- Who reaches the least of all limits? Seldom anybody; only they need limits of their own.
    SELECT array_agg(l ORDER BY l.entity, l.from_time) INTO limits
    FROM (SELECT array_agg(DISTINCT x.entity) AS entities
          FROM raxx_detect.episodes(method, binding.relation, event_time, entity_column, value_column, NULL, NULL,
              raxx_detect.network_prefixes(rule), window_length, least_limit, read_from, as_of) x
          WHERE upper(x.episode) > exact_from) busy
    CROSS JOIN LATERAL raxx_detect.count_limits(rule, binding, busy.entities, exact_from, as_of, threshold) l
    WHERE busy.entities IS NOT NULL;
    IF limits IS NULL THEN
        RETURN;
    END IF;
    FOR e IN
        SELECT x.*, (SELECT l FROM unnest(limits) l WHERE l.entity = x.entity AND l.from_time <= lower(x.episode)
                     ORDER BY l.from_time DESC LIMIT 1) AS reached
        FROM raxx_detect.limited_episodes(method, binding.relation, event_time, entity_column, value_column, NULL, NULL,
            raxx_detect.network_prefixes(rule), window_length, ARRAY(SELECT l.entity FROM unnest(limits) l),
            ARRAY(SELECT l.from_time FROM unnest(limits) l), ARRAY(SELECT l.threshold FROM unnest(limits) l), read_from, as_of) x
        WHERE upper(x.episode) > exact_from LOOP
        number := number + 1;
        RETURN NEXT raxx_detect.burst_candidate(rule, binding, number, e, severity, unit, e.reached, condition);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, bigint, raxx_detect.severity, text, text) IS
'Candidates of one burst condition by baselines, and where there is none by the threshold (NULL: not at all). Reads what is new once to see who is busy at all, and again, if anybody is, with the limits of those.';

CREATE FUNCTION raxx_detect.learnt_burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, unit text)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, method, (rule.params ->> 'threshold')::bigint,
        rule.severity, unit, method, rule.params -> 'only') WHERE rule.baseline_window IS NULL
    UNION ALL
    SELECT * FROM raxx_detect.baseline_burst_candidates(rule, binding, exact_from, as_of, method, (rule.params ->> 'threshold')::bigint,
        rule.severity, unit, method) WHERE rule.baseline_window IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.learnt_burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, text) IS
'Candidates of a rule''s only burst condition, by its baseline if it has one.';

CREATE FUNCTION raxx_detect.evaluate_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM raxx_detect.learnt_burst_candidates(rule, binding, exact_from, as_of, 'velocity',
        (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source));
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Methods velocity and spike: many rows of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT * FROM raxx_detect.learnt_burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'distinct values of ' || (rule.params ->> 'value'));
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method distinct: many distinct values of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH conditions AS MATERIALIZED (
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', (rule.params ->> 'elevated_threshold')::bigint,
            rule.severity, 'denials of elevated permissions', 'elevated', rule.params -> 'elevated')
        UNION ALL
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', (rule.params ->> 'distinct_threshold')::bigint,
            'medium', 'distinct permissions denied', 'distinct')
        UNION ALL
        SELECT * FROM raxx_detect.baseline_burst_candidates(rule, binding, exact_from, as_of, 'velocity', NULL, 'medium', 'denials', 'baseline')
    ), joined AS (  -- what overlaps is one episode
        SELECT entity, unnest(range_agg(episode)) AS episode FROM conditions GROUP BY entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, worst.threshold, worst.unit, worst.p_value, worst.fired_by,
           worst.sample_size, ARRAY(SELECT DISTINCT unnest(c.conditions) FROM conditions c
               WHERE c.entity = j.entity AND c.episode && j.episode ORDER BY 1), worst.summary,
           (SELECT c.evidence FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
            ORDER BY lower(c.episode), c.severity DESC, c.conditions LIMIT 1), worst.verdict, NULL::text, NULL::text
    FROM joined j CROSS JOIN LATERAL (
        SELECT c.* FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
        ORDER BY c.severity DESC, c.fired_by DESC, c.observed DESC, c.sample_size DESC, lower(c.episode) LIMIT 1) worst
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct + velocity: elevated_threshold rows whose value matches elevated, at the rule''s severity; distinct_threshold distinct values, at medium; or a number of rows that the entity''s baseline does not explain, at medium. Overlapping episodes of an entity are one, told by its worst condition, by a threshold rather than a baseline.';
