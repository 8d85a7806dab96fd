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

CREATE FUNCTION raxx_detect.operators_active(binding raxx_detect.source_bindings, silence tstzrange) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    EXECUTE format('SELECT count(DISTINCT raxx_detect.text_of(t.%2$I)) FROM %3$s t WHERE t.%1$I > $1 AND t.%1$I < $2',
        binding.columns ->> 'event_time', binding.columns ->> 'operator', binding.relation)
    INTO number USING lower(silence), upper(silence);
    RETURN number;
END $$;
COMMENT ON FUNCTION raxx_detect.operators_active(raxx_detect.source_bindings, tstzrange) IS 'How many operators showed signs of activity during a silence.';

CREATE FUNCTION raxx_detect.gap_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, gap tstzrange, as_of timestamptz,
    c raxx_detect.cadence)
RETURNS raxx_detect.candidate LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    measured tstzrange := tstzrange(lower(gap), coalesce(upper(gap), as_of));
    length interval := make_interval(secs => extract(epoch FROM upper(measured) - lower(measured))::float8);
    inside interval;
    outside interval;
    business_gap interval := rule.params ->> 'business_gap';
    off_hours_gap interval := rule.params ->> 'off_hours_gap';
    hour int := extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), lower(gap)));
    allowed interval := CASE WHEN c IS NULL THEN least(business_gap, off_hours_gap)
        ELSE greatest(make_interval(secs => c.quantiles[hour + 1]), (rule.params ->> 'baseline_gap')::interval) END;
    observed interval;
    unit text;
    expected float8;
    activity raxx_detect.source_bindings;
    active bigint;
    result raxx_detect.candidate;
BEGIN
    IF length <= allowed THEN  -- most are
        RETURN NULL;
    END IF;
    inside := raxx_detect.business_time(measured, rule.params);
    outside := length - inside;
    IF c IS NULL THEN
        IF inside > business_gap THEN
            observed := inside; allowed := business_gap; unit := 'minutes in business hours';
        ELSIF outside > off_hours_gap THEN
            observed := outside; allowed := off_hours_gap; unit := 'minutes outside business hours';
        ELSE
            RETURN NULL;
        END IF;
    ELSE
        observed := length; unit := 'minutes';
        SELECT s.p_value, s.expected INTO result.p_value, expected
        FROM raxx_detect.silence_probability(rule, binding.source, measured, c) s;
        IF result.p_value > c.tail THEN
            RETURN NULL;
        END IF;
    END IF;
    result.entity := binding.source;
    result.episode := gap;
    result.severity := CASE WHEN inside > (rule.params ->> 'critical_gap')::interval THEN 'critical'
                            WHEN inside > business_gap OR (inside = '0' AND outside > off_hours_gap) OR c IS NULL THEN 'high' ELSE 'medium' END;
    result.observed := extract(epoch FROM observed)::float8 / 60;
    result.threshold := extract(epoch FROM allowed)::float8 / 60;
    result.unit := unit;
    result.fired_by := CASE WHEN c IS NULL THEN 'threshold' ELSE 'baseline' END;
    result.sample_size := CASE WHEN upper_inf(gap) THEN 1 ELSE 2 END;
    result.conditions := '{gap}';
    result.summary := format('%s: no event for %s%s from %s on (%s)', binding.source, raxx_detect.in_words(length),
        CASE WHEN upper_inf(gap) THEN ' and counting,' ELSE '' END, to_char(lower(gap) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        CASE WHEN c IS NULL THEN format('more than %s %s business hours', raxx_detect.in_words(allowed),
                                        CASE unit WHEN 'minutes in business hours' THEN 'in' ELSE 'outside' END)
             ELSE format('in the %s days before, hour %s had hardly a gap longer than %s; %s events were to be expected', c.days, hour,
                         raxx_detect.in_words(allowed), round(expected::numeric, 1)) END);
    result.evidence := jsonb_build_object('inside_business_hours', inside, 'outside_business_hours', outside,
        'rows', raxx_detect.row_keys(1, binding, tstzrange(lower(gap), coalesce(upper(gap), as_of) + interval '1 microsecond'), 'true', NULL),
        'baseline', CASE WHEN c IS NULL THEN raxx_detect.no_baseline(rule, binding.source, raxx_detect.judging_day(rule, binding, lower(gap)))
            ELSE jsonb_build_object('of', format('hour %s of the day', hour), 'days', c.days, 'n', c.gaps[hour + 1],
                'quantile', c.quantiles[hour + 1], 'expected_events', expected, 'dispersion', c.dispersions[hour + 1],
                'tests_a_month', c.tests_a_month, 'tail', c.tail, 'left_out', c.left_out) END);
    -- Operators at work and nothing in the audit log: that is no pause.
    SELECT b.* INTO activity FROM raxx_detect.source_bindings b WHERE b.source = 'operator_activity' AND b.source = ANY (rule.optional_sources);
    IF FOUND THEN
        active := raxx_detect.operators_active(activity, measured);
        result.evidence := result.evidence || jsonb_build_object('operators_active', active);
        IF active > 0 THEN
            result.escalation_owner := 'security-agent';
            result.summary := result.summary || format('; %s %s active meanwhile', active, CASE active WHEN 1 THEN 'operator was' ELSE 'operators were' END);
        END IF;
    END IF;
    -- Checkpoints are made also while nothing is written: whether the sealer was there, and what it saw was quiet.
    result.evidence := result.evidence || jsonb_build_object('checkpoints', (
        SELECT count(*) FROM raxx_detect.chain_checkpoints k WHERE k.chain_id = (raxx_detect.attached_chain(binding.relation)).chain_id AND k.made_at <@ measured));
    -- Whether the hash chain holds across the gap tells a pause from a deletion.
    result.verdict := raxx_detect.chain_verdict(binding, gap);
    IF result.verdict = 'adversarial' THEN
        result.escalation_owner := 'security-agent';
        result.summary := result.summary || '; the hash chain is broken there';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.gap_candidate(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz, raxx_detect.cadence) IS
'The candidate of one gap, or NULL where it is not too long: by the cadence of the days before, or by the thresholds where that is NULL; then a gap across the edge of business hours is measured by its parts inside and outside.';

CREATE FUNCTION raxx_detect.cadence_at(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz, as_of timestamptz)
RETURNS raxx_detect.cadence LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := raxx_detect.judging_day(rule, binding, instant);
BEGIN
    RETURN CASE WHEN raxx_detect.baseline_is_ready(rule, binding.source, day) AND instant >= raxx_detect.before(as_of, interval '400 days')
                THEN raxx_detect.cadence_of(rule, binding.source, day) END;
END $$;
COMMENT ON FUNCTION raxx_detect.cadence_at(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The cadence by which a silence that begins at an instant is judged; NULL: by the thresholds.';

CREATE FUNCTION raxx_detect.evaluate_gap(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shortest interval := least((rule.params ->> 'business_gap')::interval, (rule.params ->> 'off_hours_gap')::interval,
                               (rule.params ->> 'baseline_gap')::interval);
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    day date;
    cadence raxx_detect.cadence;
    candidate raxx_detect.candidate;
    g record;
BEGIN
    -- exact_from is the last settled row, the start of the first gap that is judged: read it, too.
    FOR g IN SELECT x.gap FROM raxx_detect.gaps(binding.relation, binding.columns ->> 'event_time', shortest,
                raxx_detect.before(exact_from, interval '1 microsecond'), as_of) x
             UNION ALL
             SELECT tstzrange(last_event, NULL) WHERE last_event >= exact_from AND as_of - last_event > shortest LOOP
        IF day IS DISTINCT FROM raxx_detect.judging_day(rule, binding, lower(g.gap)) THEN
            day := raxx_detect.judging_day(rule, binding, lower(g.gap));
            cadence := raxx_detect.cadence_at(rule, binding, lower(g.gap), as_of);
        END IF;
        candidate := raxx_detect.gap_candidate(rule, binding, g.gap, as_of, cadence);
        IF candidate.entity IS NOT NULL THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_gap(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method gap: silences, closed or still going on, that the cadence of the days before does not explain; while there is none, of more than business_gap within business hours or more than off_hours_gap outside.';
