-- First digits against Benford's law, at each step of a grid, for the values of the window before it.

CREATE AGGREGATE raxx_detect.benford_counts(numeric) (
    SFUNC = raxx_detect.benford_accumulate, STYPE = bigint[], INITCOND = '{0,0,0,0,0,0,0,0,0,0}',
    COMBINEFUNC = raxx_detect.benford_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.benford_counts(numeric) IS
'How often each first significant digit occurs, 1 to 9, and in the tenth place how many values have none (zero, NaN, infinities): what raxx_detect.benford_result tests. NULLs are ignored.';

CREATE FUNCTION raxx_detect.benford_states(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_instant timestamptz,
    to_instant timestamptz, OUT instant timestamptz, OUT next_instant timestamptz, OUT counts bigint[])
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    window_length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
    step interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'step')::interval)::float8);
BEGIN
    -- A value counts at the instants g with g - window < its time <= g: it comes with the first instant that is not
    -- before its time, and goes with the first that is not before its time + window. Between changes all instants are
    -- alike. What is dated before 4000 BC is forged, and too near to the end of time to count with.
    RETURN QUERY EXECUTE format(
        'WITH read AS MATERIALIZED (
             SELECT greatest(date_bin($1, t.%2$I - interval ''1 microsecond'', $3) + $1, $4) AS comes,
                    date_bin($1, t.%2$I + $2 - interval ''1 microsecond'', $3) + $1 AS goes, raxx_detect.benford_counts(%3$s) AS counts
             FROM %1$s t WHERE t.%2$I > $6 AND t.%2$I <= $5 GROUP BY 1, 2
         ), changes AS (
             SELECT r.comes AS instant, 1 AS direction, r.counts FROM read r
             UNION ALL SELECT r.goes, -1, r.counts FROM read r WHERE r.goes <= $5
         )
         SELECT c.instant, coalesce(lead(c.instant) OVER (ORDER BY c.instant), $5 + $1), ARRAY[%4$s]::bigint[]
         FROM changes c GROUP BY c.instant ORDER BY c.instant',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.exact_number(binding, rule.params ->> 'value'),
        (SELECT string_agg(format('sum(sum(c.direction * c.counts[%s])) OVER (ORDER BY c.instant)', i), ', ') FROM generate_series(1, 10) i))
    USING step, window_length, timestamptz '2000-01-01 00:00:00+00', from_instant, to_instant,
        greatest(raxx_detect.before(from_instant, window_length), timestamptz '4000-01-01 00:00:00+00 BC');
END $$;
COMMENT ON FUNCTION raxx_detect.benford_states(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The counts of first digits (as raxx_detect.benford_counts has them) in the window up to each instant of the grid, from from_instant to to_instant, both of the grid; a row for each change, which holds from instant until before next_instant. Reads each row once, however many windows it is in.';

CREATE FUNCTION raxx_detect.benford_verdicts(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_instant timestamptz, to_instant timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    mad_threshold float8 := (rule.params ->> 'mad_threshold')::float8;
    tests_a_month float8 := 30.4375 * 86400 / extract(epoch FROM (rule.params ->> 'step')::interval);
    tail float8 := raxx_detect.alarm_budget(rule) / tests_a_month;
    number int := 0;
    digit record;
    s record;
BEGIN
    FOR s IN
        SELECT f.*, lag(f.next_instant) OVER (ORDER BY f.instant) = f.instant AS goes_on
        FROM (SELECT * FROM raxx_detect.benford_states(rule, binding, from_instant, to_instant) c
              CROSS JOIN LATERAL raxx_detect.benford_result(c.counts) OFFSET 0) f
        WHERE f.n > (rule.params ->> 'run_above')::bigint AND f.p_value <= tail AND f.mad >= mad_threshold
        ORDER BY f.instant
    LOOP
        IF s.goes_on IS NOT TRUE THEN
            number := number + 1;
        END IF;
        SELECT d AS value, s.counts[d]::float8 / s.n AS share, log(1 + 1 / d::float8) AS law INTO digit
        FROM generate_series(1, 9) d ORDER BY abs(s.counts[d]::float8 / s.n - log(1 + 1 / d::float8)) DESC, d LIMIT 1;
        RETURN NEXT (binding.source, tstzrange(s.instant, s.next_instant), rule.severity, s.mad, mad_threshold,
            'mean absolute deviation from Benford''s law', s.p_value, 'threshold', s.n, '{benford}',
            format('%s: the first digits of %s values within %s do not follow Benford''s law: %s %% begin with %s, and %s %% should (mean absolute deviation %s, p = %s)',
                binding.source, s.n, raxx_detect.in_words(window_length), round((100 * digit.share)::numeric, 1), digit.value,
                round((100 * digit.law)::numeric, 1), round(s.mad::numeric, 4), raxx_detect.in_figures(s.p_value)),
            jsonb_build_object('window', window_length, 'verdict_at', s.instant, 'n', s.n, 'digits', to_jsonb(s.counts[1:9]),
                'skipped', s.skipped, 'chi_squared', s.chi_squared, 'df', 8, 'mad', s.mad,
                'baseline', jsonb_build_object('of', 'Benford''s law', 'tests_a_month', tests_a_month, 'tail', tail))
                || CASE WHEN s.goes_on THEN '{}' ELSE jsonb_build_object('rows', raxx_detect.row_keys(number, binding,
                       raxx_detect.window_up_to(s.instant, window_length), 'true', NULL)) END,
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.benford_verdicts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The instants of the grid from from_instant to to_instant that fire, those with the same values in their windows together. The tail probability allowed is that of independent tests; the windows overlap, so there are fewer false alarms than that.';

CREATE FUNCTION raxx_detect.evaluate_benford(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    step interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'step')::interval)::float8);
    origin CONSTANT timestamptz := '2000-01-01 00:00:00+00';
    last_instant timestamptz := date_bin(step, as_of, origin);
    next_instant timestamptz := CASE WHEN exact_from < timestamptz '4000-01-01 00:00:00+00 BC' THEN '-infinity'
                                     ELSE date_bin(step, exact_from, origin) + step END;
    verdicts raxx_detect.candidate[] := '{}';
BEGIN
    IF next_instant <= last_instant THEN
        verdicts := ARRAY(SELECT v FROM raxx_detect.benford_verdicts(rule, binding, next_instant, last_instant) v);
    END IF;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from, next_instant);
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_benford(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method benford: at each multiple of step since 2000-01-01 00:00 UTC, the first significant digits of the values in (instant - window, instant]. Fires where there are more than run_above, the chi-squared test (8 degrees of freedom) is within the allowance for false alarms, and the mean absolute deviation is at least mad_threshold. Reads nothing between two instants.';
