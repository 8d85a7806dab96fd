-- How close it was: what it would have taken for a finding not to be one. Worked out from the rows as they are now, by the evaluators that
-- the rules go by, from a bounded number of rows.

CREATE TYPE raxx_detect.rows_in_time AS (times timestamptz[], entities text[], keys text[], is_cut boolean);
COMMENT ON TYPE raxx_detect.rows_in_time IS 'Rows as raxx_detect.episodes_of takes them: times, entities (all the same) and what is counted; is_cut: whether there are more, later ones, that were not read.';

CREATE FUNCTION raxx_detect.rows_measured(binding raxx_detect.source_bindings, m raxx_detect.series_measure, from_time timestamptz, to_time timestamptz)
RETURNS raxx_detect.rows_in_time LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    most CONSTANT int := 20000;
    result raxx_detect.rows_in_time;
BEGIN
    EXECUTE format('SELECT array_agg(r.at ORDER BY r.at), array_agg(r.value ORDER BY r.at)
                    FROM (SELECT v.at, v.value FROM (SELECT t.%1$I AS at, (%3$s)::text AS value FROM %2$s t WHERE t.%1$I > $1 AND t.%1$I <= $2) v
                          WHERE v.value IS NOT NULL ORDER BY v.at LIMIT $5) r', raxx_detect.time_column(binding), binding.relation, m.value)
    INTO result.times, result.keys USING from_time, to_time, m.compared, m.patterns, most + 1;
    result.is_cut := coalesce(cardinality(result.times) > most, false);
    result.times := result.times[:most];
    result.keys := result.keys[:most];
    result.entities := array_fill(''::text, ARRAY[coalesce(cardinality(result.times), 0)]);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.rows_measured(raxx_detect.source_bindings, raxx_detect.series_measure, timestamptz, timestamptz) IS
'The rows with from_time < time <= to_time that a measure counts, the first 20000 of them.';

CREATE FUNCTION raxx_detect.steps_measured(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, from_time timestamptz, to_time timestamptz)
RETURNS raxx_detect.rows_in_time LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 20000;
    result raxx_detect.rows_in_time;
BEGIN
    EXECUTE format('SELECT array_agg(r.at ORDER BY r.at, r.step), array_agg(r.step ORDER BY r.at, r.step)
                    FROM (SELECT t.%1$I AS at, s.step::text FROM %2$s t
                          CROSS JOIN LATERAL (SELECT DISTINCT p.step FROM raxx_detect.step_patterns($4) p WHERE t.%3$I::text COLLATE "C" LIKE p.pattern) s
                          WHERE t.%1$I > $1 AND t.%1$I <= $2 AND %4$s ORDER BY t.%1$I, s.step LIMIT $5) r',
        raxx_detect.time_column(binding), binding.relation, raxx_detect.role_column(binding, rule.params ->> 'value'),
        raxx_detect.is_entity(raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity'), entity))
    INTO result.times, result.keys USING from_time, to_time, entity, rule.params -> 'steps', most + 1;
    result.is_cut := coalesce(cardinality(result.times) > most, false);
    result.times := result.times[:most];
    result.keys := result.keys[:most];
    result.entities := array_fill(''::text, ARRAY[coalesce(cardinality(result.times), 0)]);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.steps_measured(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz, timestamptz) IS
'As raxx_detect.rows_measured, for methods temporal and temporal_ordered: the steps that an entity''s rows are, the first 20000 of them.';

CREATE FUNCTION raxx_detect.counting_of(rule raxx_detect.rules, m raxx_detect.series_measure) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN rule.method = 'temporal_ordered' THEN 'ordered' WHEN rule.method = 'temporal' OR m.summed_up LIKE 'count(DISTINCT%' THEN 'distinct' ELSE 'velocity' END
$$;
COMMENT ON FUNCTION raxx_detect.counting_of(raxx_detect.rules, raxx_detect.series_measure) IS 'The method by which what a measure counts is counted in a window.';

CREATE FUNCTION raxx_detect.fullest_window(counting text, rows raxx_detect.rows_in_time, window_length interval, not_before timestamptz,
    OUT peak bigint, OUT at timestamptz)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enough bigint := 0;
    middle bigint;
BEGIN
    IF rows.times IS NULL THEN
        peak := 0;
        RETURN;
    END IF;
    IF counting = 'ordered' THEN  -- the first so many steps, one after the other
        SELECT k, s.at INTO peak, at
        FROM generate_series((SELECT max(x::bigint) FROM unnest(rows.keys) x), 1, -1) k
        CROSS JOIN LATERAL (SELECT coalesce(array_agg(r.t), '{}') AS times, coalesce(array_agg(''::text), '{}') AS entities, coalesce(array_agg(r.x), '{}') AS keys FROM unnest(rows.times, rows.keys) r(t, x) WHERE r.x::bigint <= k) first_ones
        CROSS JOIN LATERAL (SELECT min(greatest(lower(e.episode), not_before)) AS at FROM raxx_detect.episodes_of(counting, first_ones.times, first_ones.entities, first_ones.keys, window_length, k) e
                            WHERE coalesce(upper(e.episode), 'infinity') > not_before) s
        WHERE s.at IS NOT NULL ORDER BY k DESC LIMIT 1;
        peak := coalesce(peak, 0);
        RETURN;
    END IF;
    peak := coalesce((SELECT max(e.peak) FROM raxx_detect.episodes_of(counting, rows.times, rows.entities, rows.keys, window_length, 1) e), 0);
    WHILE peak > enough AND not_before > '-infinity' LOOP
        middle := enough + (peak - enough + 1) / 2;
        IF EXISTS (SELECT FROM raxx_detect.episodes_of(counting, rows.times, rows.entities, rows.keys, window_length, middle) e WHERE coalesce(upper(e.episode), 'infinity') > not_before) THEN
            enough := middle;
        ELSE
            peak := middle - 1;
        END IF;
    END LOOP;
    IF peak > 0 THEN
        at := (SELECT min(greatest(lower(e.episode), not_before)) FROM raxx_detect.episodes_of(counting, rows.times, rows.entities, rows.keys, window_length, peak) e
               WHERE coalesce(upper(e.episode), 'infinity') > not_before);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.fullest_window(text, raxx_detect.rows_in_time, interval, timestamptz) IS
'The most that one window holds that ends at not_before or later, and the end of the first window that holds so many; 0 and NULL if none holds a row.';

CREATE FUNCTION raxx_detect.shortest_window(counting text, rows raxx_detect.rows_in_time, longest interval, threshold bigint) RETURNS interval
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enough bigint := (extract(epoch FROM longest) * 1000000)::bigint;
    short bigint := 0;
    middle bigint;
BEGIN
    IF rows.times IS NULL OR NOT EXISTS (SELECT FROM raxx_detect.episodes_of(counting, rows.times, rows.entities, rows.keys, longest, threshold)) THEN
        RETURN NULL;
    END IF;
    -- What a window holds, a longer one does.
    WHILE enough - short > 1 LOOP
        middle := short + (enough - short) / 2;
        IF EXISTS (SELECT FROM raxx_detect.episodes_of(counting, rows.times, rows.entities, rows.keys, middle * interval '1 microsecond', threshold)) THEN
            enough := middle;
        ELSE
            short := middle;
        END IF;
    END LOOP;
    RETURN enough * interval '1 microsecond';
END $$;
COMMENT ON FUNCTION raxx_detect.shortest_window(text, raxx_detect.rows_in_time, interval, bigint) IS 'The shortest window, in whole microseconds and up to the longest, in which threshold is reached somewhere; NULL: not even in that one.';

CREATE FUNCTION raxx_detect.margin_of_burst(rule raxx_detect.rules, binding raxx_detect.source_bindings, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    window_length interval := make_interval(secs => extract(epoch FROM coalesce(finding.evidence ->> 'window', rule.params ->> 'window')::interval)::float8);
    m raxx_detect.series_measure := raxx_detect.measure_of(rule, binding, finding);
    threshold bigint := finding.threshold::bigint;
    rows raxx_detect.rows_in_time;
    fullest record;
    shortest interval;
    bound_anew text := CASE WHEN binding.bound_at > finding.detected_at THEN ' (Its source has been bound anew since; these are the rows of what is bound now.)' ELSE '' END;
    from_time timestamptz := raxx_detect.before(lower(finding.episode), window_length);
    ends timestamptz := coalesce(upper(finding.episode), raxx_detect.known_to(rule, finding));
BEGIN
    IF rule.method LIKE 'temporal%' THEN
        rows := raxx_detect.steps_measured(rule, binding, finding.entity, from_time, ends);
    ELSIF m.value IS NULL THEN
        RETURN NULL;
    ELSE
        rows := raxx_detect.rows_measured(binding, m, from_time, ends);
    END IF;
    fullest := raxx_detect.fullest_window(raxx_detect.counting_of(rule, m), rows, window_length, '-infinity');
    IF fullest.peak = 0 THEN
        RETURN format('How close it was: %s, so only the finding tells: it would not have fired at a %s of %s.',
            CASE WHEN row_security_active(binding.relation) THEN format('there are no rows of it that role "%s" may see', current_user) ELSE 'the rows are no longer there' END || bound_anew,
            CASE finding.fired_by WHEN 'baseline' THEN 'limit' ELSE 'threshold' END, raxx_detect.in_figures(finding.observed + 1));
    ELSIF fullest.peak < threshold THEN
        RETURN format('How close it was: the rows that are there now would not show it any more: at most %s in %s, where the finding counted %s.%s', fullest.peak, raxx_detect.in_words(window_length), raxx_detect.in_figures(finding.observed), bound_anew);
    END IF;
    shortest := raxx_detect.shortest_window(raxx_detect.counting_of(rule, m), rows, window_length, threshold);
    RETURN format('How close it was: %sit did fire %s%s.', CASE WHEN rule.method <> 'temporal_ordered' THEN format('%sit would not have fired at a %s of %s; ',
                CASE WHEN jsonb_array_length(finding.evidence -> 'conditions') > 1 THEN 'by this condition alone ' ELSE '' END,
                CASE finding.fired_by WHEN 'baseline' THEN 'limit' ELSE 'threshold' END, greatest(fullest.peak, finding.observed::bigint) + 1) ELSE '' END,
            CASE WHEN shortest <= interval '1 microsecond' THEN format('however short the window, since %s of them bear the same time', threshold)
                 ELSE format('from a window of just over %s on', raxx_detect.exactly(shortest - interval '1 microsecond')) END,
            CASE WHEN rows.is_cut THEN ', by the first 20000 of its rows' ELSE '' END
            || CASE WHEN finding.evidence ? 'share' OR finding.evidence -> 'baseline' ? 'share' THEN ', by the count alone' ELSE '' END)
        || format(' The fullest window ended at %s.', raxx_detect.time_in_words(fullest.at))
        || CASE WHEN fullest.peak <> finding.observed AND NOT rows.is_cut THEN format(' By the rows that are there now the most is %s, and not %s.', fullest.peak, raxx_detect.in_figures(finding.observed)) ELSE '' END
        || bound_anew;
END $$;
COMMENT ON FUNCTION raxx_detect.margin_of_burst(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.detection_findings) IS
'From which threshold on a burst would have been none, and from which window on it is one: longer than the interval that is told, in which the threshold was reached.';

CREATE FUNCTION raxx_detect.margin_of_gap(binding raxx_detect.source_bindings, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next_event timestamptz := raxx_detect.next_event(binding, lower(finding.episode));
BEGIN
    RETURN format('How close it was: it would not have fired with a limit of %s; it was longer than its limit by %s.', raxx_detect.exactly(finding.observed * interval '1 minute'),
            raxx_detect.exactly((finding.observed - finding.threshold) * interval '1 minute'))
        || CASE WHEN next_event IS NULL OR next_event >= coalesce(upper(finding.episode), 'infinity') THEN ' There is still no event in it.'
                WHEN upper(finding.episode) IS NULL THEN format(' The next event came at %s.', raxx_detect.time_in_words(next_event))
                ELSE format(' There is an event in it by now, at %s.', raxx_detect.time_in_words(next_event)) END;
END $$;
COMMENT ON FUNCTION raxx_detect.margin_of_gap(raxx_detect.source_bindings, raxx_detect.detection_findings) IS 'By how much a silence was too long, and whether it is still one.';

CREATE FUNCTION raxx_detect.nearest_record(rule raxx_detect.rules, entity text, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    records raxx_detect.source_bindings := raxx_detect.records_of_changes(rule);
    found record := raxx_detect.matched_parts(rule, records, 'r');
    result timestamptz;
BEGIN
    IF records.source IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT r.%2$I FROM %1$s r WHERE r.%2$I >= raxx_detect.before($1, $3) AND r.%2$I <= $1 + $3 AND %3$s AND raxx_detect.bounded_entity(%4$s) = $2
                    ORDER BY greatest(r.%2$I - $1, $1 - r.%2$I), r.%2$I LIMIT 1', records.relation, records.columns ->> 'event_time', found.complete, found.entity)
    INTO result USING at, entity, interval '7 days';
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.nearest_record(raxx_detect.rules, text, timestamptz) IS 'When the record nearest in time to a change was made that agrees with it, within seven days before or after; NULL: there is none.';

CREATE FUNCTION raxx_detect.margin_of_change(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := lower(finding.episode);
    nearest timestamptz := raxx_detect.nearest_record(rule, finding.entity, at);
BEGIN
    RETURN 'How close it was: ' || CASE WHEN nearest IS NULL THEN 'there is no record that agrees with it within 7 days of it.'
        ELSE format('the nearest record that agrees with it is of %s, %s %s it; with a tolerance of that much it would not have fired.', raxx_detect.time_in_words(nearest),
                    raxx_detect.exactly(greatest(nearest - at, at - nearest)), CASE WHEN nearest < at THEN 'before' ELSE 'after' END) END;
END $$;
COMMENT ON FUNCTION raxx_detect.margin_of_change(raxx_detect.rules, raxx_detect.detection_findings) IS 'How far from a change without a record the nearest one is.';

CREATE FUNCTION raxx_detect.margin_without_rows(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'How close it was: ' || CASE
        WHEN finding.evidence -> 'conditions' ? 'rows_gone' OR rule.method = 'chain' THEN 'there is no margin: one such row is a finding.'
        WHEN finding.threshold IS NULL THEN format('its chance of %s is %s of what is allowed.', raxx_detect.in_figures(finding.p_value),
            coalesce(raxx_detect.in_figures(finding.p_value / nullif((finding.evidence #>> '{baseline,tail}')::float8, 0)), 'none'))
        ELSE format('it would not have fired at a %s of %s; what was seen is %s times the one in force (%s).', CASE finding.fired_by WHEN 'baseline' THEN 'limit' ELSE 'threshold' END,
            CASE WHEN rule.method NOT IN ('gap', 'quantile', 'drift', 'benford') THEN raxx_detect.in_figures(finding.observed + 1) ELSE 'anything above ' || raxx_detect.in_figures(finding.observed) END,
            coalesce(raxx_detect.in_figures(finding.observed / nullif(finding.threshold, 0)), 'many'), raxx_detect.in_figures(finding.threshold)) END
$$;
COMMENT ON FUNCTION raxx_detect.margin_without_rows(raxx_detect.rules, raxx_detect.detection_findings) IS 'What the finding itself says of how close it was.';

CREATE FUNCTION raxx_detect.explain_margin(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings := (SELECT b FROM raxx_detect.source_bindings b WHERE b.source = finding.source);
    conditions jsonb := finding.evidence -> 'conditions';
    said text;
BEGIN
    IF binding.source IS NOT NULL AND NOT conditions ?| '{rows_gone,mix,hour,day}' THEN
        BEGIN
            PERFORM raxx_detect.require_sound(rule, binding);
            said := CASE WHEN rule.method IN ('velocity', 'spike', 'distinct', 'distinct + velocity', 'pattern', 'ratio', 'temporal', 'temporal_ordered') THEN raxx_detect.margin_of_burst(rule, binding, finding)
                         WHEN rule.method = 'gap' THEN raxx_detect.margin_of_gap(binding, finding)
                         WHEN rule.method = 'unmatched' THEN raxx_detect.margin_of_change(rule, finding) END;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            said := format('%s The rows cannot be asked: %s', raxx_detect.margin_without_rows(rule, finding),
                CASE WHEN sqlstate = '42501' THEN format('role "%s" may not read them.', current_user) ELSE raxx_detect.plain(raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL), 300) END);
        END;
    END IF;
    RETURN coalesce(said, raxx_detect.margin_without_rows(rule, finding));
END $$;
COMMENT ON FUNCTION raxx_detect.explain_margin(raxx_detect.rules, raxx_detect.detection_findings) IS 'How close it was: from which threshold on it would not have fired, and from which window on it did, worked out from the rows; or from the finding alone where they cannot be asked.';
