-- Gaps: silences, closed or still going on.

CREATE FUNCTION raxx_detect.business_time(period tstzrange, params jsonb) RETURNS interval
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opens time := params ->> 'business_from';
    closes time := params ->> 'business_to';
    days int[] := ARRAY(SELECT d::int FROM jsonb_array_elements_text(params -> 'business_days') d);
    starts timestamp := timezone(params ->> 'time_zone', lower(period));
    ends timestamp := timezone(params ->> 'time_zone', upper(period));
    whole_weeks bigint := floor(extract(epoch FROM ends - starts) / 604800);
BEGIN
    -- Whole weeks are alike, whatever the length of a forged gap; what is left is looked at day by day.
    starts := starts + whole_weeks * interval '7 days';
    RETURN whole_weeks * greatest(closes - opens, '0') * (SELECT count(DISTINCT d) FROM unnest(days) d)
        + coalesce((SELECT sum(least(ends, day + closes) - greatest(starts, day + opens))
                    FROM generate_series(date_trunc('day', starts), ends, '1 day') day
                    WHERE extract(isodow FROM day)::int = ANY (days)
                      AND least(ends, day + closes) > greatest(starts, day + opens)), '0');
END $$;
COMMENT ON FUNCTION raxx_detect.business_time(tstzrange, jsonb) IS
'How much of a bounded period lies in business hours: business_from to business_to on the ISO weekdays business_days, by the clock of time_zone.';

CREATE FUNCTION raxx_detect.gap_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, gap tstzrange, as_of timestamptz)
RETURNS raxx_detect.candidate LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    measured tstzrange := tstzrange(lower(gap), coalesce(upper(gap), as_of));
    inside interval := raxx_detect.business_time(measured, rule.params);
    outside interval := make_interval(secs => extract(epoch FROM upper(measured) - lower(measured))::float8) - inside;
    business_gap interval := rule.params ->> 'business_gap';
    off_hours_gap interval := rule.params ->> 'off_hours_gap';
    in_business boolean := inside > business_gap;
    observed interval := CASE WHEN in_business THEN inside ELSE outside END;
    allowed interval := CASE WHEN in_business THEN business_gap ELSE off_hours_gap END;
BEGIN
    IF NOT in_business AND outside <= off_hours_gap THEN
        RETURN NULL;
    END IF;
    RETURN (binding.source, gap,
        CASE WHEN inside > (rule.params ->> 'critical_gap')::interval THEN 'critical' ELSE 'high' END::raxx_detect.severity,
        extract(epoch FROM observed)::float8 / 60, extract(epoch FROM allowed)::float8 / 60,
        CASE WHEN in_business THEN 'minutes in business hours' ELSE 'minutes outside business hours' END,
        NULL::float8, 'threshold', CASE WHEN upper_inf(gap) THEN 1 ELSE 2 END, '{gap}',
        format('%s: no event for %s%s from %s on (more than %s %s business hours)', binding.source,
            raxx_detect.in_words(upper(measured) - lower(measured)), CASE WHEN upper_inf(gap) THEN ' and counting,' ELSE '' END,
            to_char(lower(gap) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.in_words(allowed),
            CASE WHEN in_business THEN 'in' ELSE 'outside' END),
        jsonb_build_object('inside_business_hours', inside, 'outside_business_hours', outside,
            'rows', raxx_detect.row_keys(1, binding, tstzrange(lower(gap), coalesce(upper(gap), as_of) + interval '1 microsecond'), 'true', NULL)),
        -- Whether the hash chain holds across the gap would tell a pause from a deletion; no chain is wired.
        'undetermined', NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.gap_candidate(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz) IS
'The candidate of one gap, or NULL where it is not too long. A gap across the edge of business hours is measured by its parts inside and outside.';

CREATE FUNCTION raxx_detect.evaluate_gap(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shortest interval := least((rule.params ->> 'business_gap')::interval, (rule.params ->> 'off_hours_gap')::interval);
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    candidate raxx_detect.candidate;
    g record;
BEGIN
    -- exact_from is the last settled row, the start of the first gap that is judged: read it, too.
    FOR g IN SELECT x.gap FROM raxx_detect.gaps(binding.relation, binding.columns ->> 'event_time', shortest,
                raxx_detect.before(exact_from, interval '1 microsecond'), as_of) x
             UNION ALL
             SELECT tstzrange(last_event, NULL) WHERE last_event >= exact_from AND as_of - last_event > shortest LOOP
        candidate := raxx_detect.gap_candidate(rule, binding, g.gap, as_of);
        IF candidate.entity IS NOT NULL THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_gap(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method gap: silences, closed or still going on, of more than business_gap within business hours or more than off_hours_gap outside.';
