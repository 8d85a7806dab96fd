-- Limits: how many rows, or distinct values, of an entity in a window are too many, by its baseline or by the threshold.
--
-- Every row is a test: it finds its window holding so many others. The limit is the least number whose tail
-- probability, times the tests that a month brings, is within the false alarms that the rule may raise in a month.

CREATE TYPE raxx_detect.count_limit AS (
    entity text,
    from_time timestamptz,
    threshold bigint,
    fired_by text,
    baseline jsonb
);
COMMENT ON TYPE raxx_detect.count_limit IS 'From when on how many are too many, whether threshold or baseline says so, and the baseline, or why there is none.';

CREATE FUNCTION raxx_detect.alarm_budget(rule raxx_detect.rules) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.false_alarms_per_month * CASE WHEN rule.params ? 'mix_window' THEN 0.5 ELSE 1 END / cardinality(rule.sources);
END $$;
COMMENT ON FUNCTION raxx_detect.alarm_budget(raxx_detect.rules) IS
'How many false alarms a month one test of one source of a rule may raise: what the rule declares, shared out among its sources, and halved where it makes two kinds of test.';

CREATE FUNCTION raxx_detect.tests_a_month(rows float8, days int) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(rows / days, 1) * 30.4375;
END $$;
COMMENT ON FUNCTION raxx_detect.tests_a_month(float8, int) IS 'How many rows a month of 30.4375 days brings, going by those of so many days; one a day at least.';

CREATE FUNCTION raxx_detect.count_limit_of(rule raxx_detect.rules, b raxx_detect.count_baseline, tail float8) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest((rule.params ->> 'baseline_floor')::bigint,
                    1 + raxx_detect.critical_count(b.others_mean, b.others_variance, tail),
                    1 + floor(b.mean + (rule.params ->> 'sigmas')::float8 * b.deviation)::bigint,
                    1 + floor(b.quantile)::bigint);
END $$;
COMMENT ON FUNCTION raxx_detect.count_limit_of(raxx_detect.rules, raxx_detect.count_baseline, float8) IS
'The limit by a baseline: one row and so many others that more have at most the tail probability; also above the mean by more than sigmas deviations and above the baseline_quantile, where the rule has them; never below its baseline_floor.';

CREATE FUNCTION raxx_detect.count_p_value(baseline jsonb, observed float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.negative_binomial_upper_tail(observed::bigint - 1, (baseline ->> 'others_mean')::float8,
        greatest((baseline ->> 'others_mean')::float8, (baseline ->> 'others_variance')::float8));
END $$;
COMMENT ON FUNCTION raxx_detect.count_p_value(jsonb, float8) IS 'The probability that a row finds that many or more in its window, itself included, by the baseline that a finding names; NULL without one.';

CREATE FUNCTION raxx_detect.no_baseline(rule raxx_detect.rules, source text, day date) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_build_object('ready', false, 'days', CASE WHEN isfinite(day) THEN coalesce(greatest(day - raxx_detect.baseline_first_day(rule, source, day), 0), 0) ELSE 0 END,
        'needed', extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int);
END $$;
COMMENT ON FUNCTION raxx_detect.no_baseline(raxx_detect.rules, text, date) IS 'What a finding says of a baseline that is not ready: how many whole days it has, and how many it needs.';

CREATE FUNCTION raxx_detect.count_limits(rule raxx_detect.rules, binding raxx_detect.source_bindings, entities text[],
    exact_from timestamptz, as_of timestamptz, threshold bigint)
RETURNS SETOF raxx_detect.count_limit LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    piece record;
    everybody raxx_detect.count_baseline;
    own raxx_detect.count_baseline;
    used raxx_detect.count_baseline;
    tests float8;
    tail float8;
    entity text;
    segment record;
    told jsonb;
    begun raxx_detect.count_limit;
BEGIN
    FOR piece IN SELECT * FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) LOOP
        IF NOT piece.ready THEN
            told := raxx_detect.no_baseline(rule, binding.source, piece.day);
            RETURN QUERY SELECT e, piece.from_time, threshold, 'threshold', told FROM unnest(entities) e WHERE threshold IS NOT NULL;
            CONTINUE;
        END IF;
        everybody := raxx_detect.all_entities_baseline(rule, binding.source, piece.day);
        tests := raxx_detect.tests_a_month(everybody.rows, everybody.days);
        tail := least(raxx_detect.alarm_budget(rule) / tests, 1);
        FOR segment IN SELECT * FROM raxx_detect.season_segments(rule, binding, piece.day, piece.from_time, exact_from, as_of) LOOP
            FOREACH entity IN ARRAY entities LOOP
                own := NULL;
                IF rule.method <> 'distinct' THEN
                    own := raxx_detect.entity_baseline(rule, binding.source, entity, piece.day, segment.hour);
                END IF;
                used := CASE WHEN own.rows >= (rule.params ->> 'baseline_rows')::bigint THEN own
                             WHEN rule.method <> 'spike' AND everybody.cells >= (rule.params ->> 'baseline_rows')::bigint THEN everybody END;
                -- What lies in an open finding is left out, so that one that lasts wears its baseline down: it is
                -- judged on by the limit at which it began.
                begun := NULL;
                IF used.of IS DISTINCT FROM 'own' THEN
                    begun := raxx_detect.begun_limit(rule, binding.source, entity, raxx_detect.takes_over(rule, binding, piece.day));
                END IF;
                IF begun.threshold IS NOT NULL AND (used.mean IS NULL OR begun.baseline ->> 'of' = 'own') THEN
                    begun.from_time := segment.from_time;
                    RETURN NEXT begun;
                ELSIF used.mean IS NOT NULL THEN
                    RETURN NEXT (entity, segment.from_time, raxx_detect.count_limit_of(rule, used, tail), 'baseline',
                        jsonb_strip_nulls(to_jsonb(used)) || jsonb_build_object('tests_a_month', tests, 'tail', tail)
                        || CASE WHEN used.of = 'own' OR own.rows IS NULL THEN '{}' ELSE jsonb_build_object('own_rows', own.rows) END)::raxx_detect.count_limit;
                ELSIF threshold IS NOT NULL THEN
                    RETURN NEXT (entity, segment.from_time, threshold, 'threshold',
                        jsonb_build_object('ready', false, 'days', everybody.days, 'own_rows', own.rows, 'rows', everybody.rows,
                            'needed_rows', (rule.params ->> 'baseline_rows')::bigint))::raxx_detect.count_limit;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.count_limits(raxx_detect.rules, raxx_detect.source_bindings, text[], timestamptz, timestamptz, bigint) IS
'The limits of entities for judging (exact_from, as_of]: by the entity''s own baseline where that has baseline_rows rows; else, but for method spike, by that of all entities, where that has as many cells; else by the threshold, and not at all where that is NULL. In a finding that began by a baseline which its own rows, being left out, have worn down, its limit goes on. Method distinct goes by all entities only.';

CREATE FUNCTION raxx_detect.begun_limit(rule raxx_detect.rules, source text, entity text, instant timestamptz) RETURNS raxx_detect.count_limit
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    result raxx_detect.count_limit;
BEGIN
    SELECT entity, instant, f.threshold::bigint, f.fired_by, f.evidence -> 'baseline'
    INTO result.entity, result.from_time, result.threshold, result.fired_by, result.baseline
    FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = source AND f.entity = raxx_detect.bounded_entity(raxx_detect.entity_beside_mix(rule, entity)) AND f.episode @> instant
      AND f.triage <> 'closed' AND f.fired_by = 'baseline' AND f.evidence -> 'baseline' ? 'others_mean';
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.begun_limit(raxx_detect.rules, text, text, timestamptz) IS
'The limit, and the baseline, by which the finding that nobody has closed began that an entity is in at an instant; NULLs if there is none.';

CREATE FUNCTION raxx_detect.season_segments(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, piece_from timestamptz,
    exact_from timestamptz, as_of timestamptz, OUT from_time timestamptz, OUT hour int)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 24 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT piece_from, NULL::int WHERE rule.params ->> 'season' IS DISTINCT FROM 'hour_of_week'
    UNION ALL
    SELECT CASE WHEN lag(h) OVER (ORDER BY h) IS NULL THEN piece_from ELSE h END,
           extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), h))::int
    FROM generate_series(raxx_detect.day_starts(rule, day), raxx_detect.takes_over(rule, binding, day + 1), '1 hour') h
    WHERE rule.params ->> 'season' = 'hour_of_week' AND h + interval '1 hour' > raxx_detect.takes_over(rule, binding, day)
      AND h < raxx_detect.takes_over(rule, binding, day + 1) AND h <= as_of
      AND h + interval '1 hour' > raxx_detect.before(exact_from, (rule.params ->> 'window')::interval);
END $$;
COMMENT ON FUNCTION raxx_detect.season_segments(raxx_detect.rules, raxx_detect.source_bindings, date, timestamptz, timestamptz, timestamptz) IS
'The stretches of the time that a day''s baseline judges in which an entity''s limit is one, for judging (exact_from, as_of] and the window before it: the hours of the clock, with season hour_of_week, or all of it (hour NULL).';
