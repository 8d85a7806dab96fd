-- Ratios by the clock: the hours and the days of a rule's time zone, each judged once it is over.

CREATE FUNCTION raxx_detect.points_of_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, since timestamptz, as_of timestamptz,
    OUT condition text, OUT judged_at timestamptz, OUT until timestamptz, OUT starts timestamptz, OUT failures bigint, OUT rows bigint,
    OUT p_value float8, OUT history raxx_detect.failure_history)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    zone text := raxx_detect.rule_time_zone(rule);
    window_length interval := (rule.params ->> 'window')::interval;
    day date := timezone(zone, since)::date;
    midnight timestamptz := raxx_detect.day_starts(rule, day);
    tests float8 := raxx_detect.points_a_month(rule);
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH hours AS MATERIALIZED (
             SELECT timezone($3, h.midnight)::date AS day, h.starts, least(h.starts + $4, raxx_detect.day_starts($1, timezone($3, h.midnight)::date + 1)) AS ends,
                    h.n, h.k
             FROM (SELECT m.midnight, date_bin($4, t.%1$I, m.midnight) AS starts, count(*) AS n,
                          count(*) FILTER (WHERE t.%3$I::text COLLATE "C" = $5) AS k
                   FROM %2$s t CROSS JOIN LATERAL (SELECT timezone($3, date_trunc(''day'', timezone($3, t.%1$I))) AS midnight) m
                   WHERE t.%1$I >= $6 AND t.%1$I <= $7 AND t.%3$I IS NOT NULL GROUP BY 1, 2) h
         ), dated AS MATERIALIZED (
             SELECT h.*, raxx_detect.judging_day($1, $2, h.ends - interval ''1 microsecond'') AS judging_day FROM hours h WHERE h.ends <= $7
         ), midnights AS (
             SELECT d.day, raxx_detect.day_starts($1, d.day) AS starts, raxx_detect.day_starts($1, d.day + 1) AS ends
             FROM (SELECT DISTINCT day FROM hours) d
         ), histories AS MATERIALIZED (
             SELECT d.judging_day, raxx_detect.outcome_baseline($1, ($2).source, d.judging_day) AS history
             FROM (SELECT judging_day FROM dated UNION SELECT raxx_detect.judging_day($1, $2, m.ends - interval ''1 microsecond'') FROM midnights m WHERE m.ends <= $7) d
         ), judged AS MATERIALIZED (
             SELECT d.*, h.history, raxx_detect.failure_tail(d.k, d.n, (h.history).share, (h.history).dispersion) AS p_value,
                    coalesce((h.history).usable AND d.n >= $8
                        AND raxx_detect.failure_tail(d.k, d.n, (h.history).share, (h.history).dispersion) <= ($1).false_alarms_per_month / $10, false) AS fires
             FROM dated d JOIN histories h ON h.judging_day = d.judging_day
         ), days AS (
             SELECT m.*, s.n, s.k, h.history, raxx_detect.failure_tail(s.k, s.n, (h.history).share, (h.history).dispersion) AS p_value
             FROM midnights m JOIN histories h ON h.judging_day = raxx_detect.judging_day($1, $2, m.ends - interval ''1 microsecond'')
             -- without the hours that were reported by themselves
             CROSS JOIN LATERAL (SELECT sum(j.n)::bigint AS n, sum(j.k)::bigint AS k FROM judged j WHERE j.day = m.day AND NOT j.fires) s
             WHERE m.ends <= $7 AND m.starts >= $6 AND (h.history).usable AND s.n >= $9
         )
         SELECT ''hour'', j.ends, least(j.ends + $4, raxx_detect.day_starts($1, timezone($3, j.ends)::date + 1)), j.starts, j.k, j.n, j.p_value, j.history
         FROM judged j WHERE j.fires AND j.ends > $11
         UNION ALL
         SELECT ''day'', d.ends, raxx_detect.day_starts($1, d.day + 2), d.starts, d.k, d.n, d.p_value, d.history
         FROM days d WHERE d.p_value <= ($1).false_alarms_per_month / $10 AND d.ends > $11',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.role_column(binding, rule.params ->> 'value'))
    USING rule, binding, zone, window_length, rule.params ->> 'failure',
        -- The whole day if it is over by as_of, else its hour alone.
        CASE WHEN raxx_detect.day_starts(rule, day + 1) <= as_of THEN midnight ELSE date_bin(window_length, since, midnight) END,
        as_of, (rule.params ->> 'floor')::bigint, (rule.params ->> 'long_floor')::bigint, tests, since;
END $$;
COMMENT ON FUNCTION raxx_detect.points_of_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The hours (of the length window, counted from midnight) and days that end in (since, as_of] and whose failures the baseline of their last instant does not explain, on at least floor and long_floor rows; a day is judged without the hours that fired by themselves. Each verdict is in force from judged_at until the next of its kind is due.';

CREATE FUNCTION raxx_detect.points_a_month(rule raxx_detect.rules) RETURNS float8
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.month_in_days() * (86400 / extract(epoch FROM (rule.params ->> 'window')::interval)::float8 + 1)
$$;
COMMENT ON FUNCTION raxx_detect.points_a_month(raxx_detect.rules) IS 'How many hours (of the length window) and days a month has: so many tests are made.';

CREATE FUNCTION raxx_detect.evaluate_ratio_by_clock(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tests float8 := raxx_detect.points_a_month(rule);
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unit text := raxx_detect.failures_called(rule, binding);
    since timestamptz;
    number int := 0;
    e record;
BEGIN
    PERFORM raxx_detect.add_reading(r.rows_read, r.null_rows) FROM raxx_detect.read_outcomes(rule, binding, exact_from, as_of) r;
    -- What is in force at exact_from was judged up to a day before. Nothing is judged that is more than 400 days old, since
    -- no baseline is kept for it.
    since := greatest(raxx_detect.before(as_of, interval '400 days'), CASE WHEN EXISTS (
            SELECT FROM raxx_detect.detection_findings f
            WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.entity = binding.source
              AND tstzrange(lower(f.episode), upper(f.episode), '[]') @> exact_from AND NOT f.evidence ? 'refuted_at')
        THEN raxx_detect.before(exact_from, interval '2 days') ELSE exact_from END);
    IF NOT isfinite(since) OR since >= as_of
       OR NOT raxx_detect.baseline_is_ready(rule, binding.source, raxx_detect.judging_day(rule, binding, as_of)) THEN
        RETURN;
    END IF;
    FOR e IN WITH points AS MATERIALIZED (
                 SELECT * FROM raxx_detect.points_of_ratio(rule, binding, since, as_of)
             ), joined AS (
                 SELECT unnest(range_agg(tstzrange(p.judged_at, p.until))) AS episode FROM points p
             )
             SELECT j.episode, worst.*, (SELECT array_agg(DISTINCT p.condition ORDER BY p.condition) FROM points p WHERE p.judged_at <@ j.episode) AS conditions,
                    (SELECT min(p.p_value) FROM points p WHERE p.judged_at <@ j.episode) AS least_p_value,
                    begins.starts AS first_starts, begins.judged_at AS first_judged_at
             FROM joined j
             CROSS JOIN LATERAL (SELECT * FROM points p WHERE p.judged_at <@ j.episode
                                 ORDER BY p.failures DESC, p.rows DESC, p.judged_at LIMIT 1) worst
             CROSS JOIN LATERAL (SELECT * FROM points p WHERE p.judged_at <@ j.episode
                                 ORDER BY p.judged_at, p.starts DESC LIMIT 1) begins
             WHERE upper(j.episode) > exact_from ORDER BY j.episode LOOP
        number := number + 1;
        RETURN NEXT (binding.source, e.episode, rule.severity, e.failures::float8,
            raxx_detect.fewest_failures(e.rows, 0, 1, (e.history).share, (e.history).dispersion, rule.false_alarms_per_month / tests)::float8,
            unit, e.least_p_value, 'baseline', e.rows, e.conditions,
            format('%s %s, of %s in the %s from %s on (%s)', e.failures, unit, e.rows, e.condition,
                to_char(timezone('UTC', e.starts), 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.usual_share(e.history, e.p_value)),
            jsonb_build_object('from', e.first_starts, 'to', e.first_judged_at, 'baseline', raxx_detect.history_evidence(rule, e.history, tests),
                'rows', raxx_detect.row_keys(number, binding, tstzrange(e.first_starts, e.first_judged_at),
                    format('t.%I::text COLLATE "C" = $3', value_column), rule.params ->> 'failure')),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_ratio_by_clock(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio by the clock: verdicts of hours and days that overlap or touch are one finding, with both conditions. Nothing is judged before the baseline is usable.';
