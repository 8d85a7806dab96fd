-- Drift: whether the statements of this database have become slower than in the days before.
--
-- At each full hour, the mean times of all statements between snapshots of the window before it are one distribution,
-- those of the baseline another. Snapshots count at their own time, so a step of the grid never looks ahead. Where
-- pg_stat_monitor has measured the window and each day of the baseline, the times of the single calls take the place of
-- the means; the one is never compared with the other.

CREATE FUNCTION raxx_detect.has_histograms(binding raxx_detect.source_bindings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT binding.relation = 'raxx_detect.statement_samples'::regclass
$$;
COMMENT ON FUNCTION raxx_detect.has_histograms(raxx_detect.source_bindings) IS
'Whether raxx_detect.statement_histograms is of the statements of a bound relation: only of those of the extension''s own table.';

CREATE FUNCTION raxx_detect.learn_histograms(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH bins AS MATERIALIZED (
        SELECT h.mean_ms, h.calls, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), h.at))::int AS hour,
               EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source, $4) l WHERE h.at <@ l.period) AS is_out
        FROM raxx_detect.statement_histograms h WHERE h.at >= lower($4) AND h.at < upper($4)
    ), hours AS (
        SELECT h, coalesce(sum(b.calls), 0)::bigint AS n FROM generate_series(0, 23) h LEFT JOIN bins b ON b.hour = h AND NOT b.is_out GROUP BY h
    )
    INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
    SELECT rule.rule_id, binding.source, $3, 'pg_stat_monitor', array_agg(n::float8 ORDER BY h), array_agg(n ORDER BY h), array_agg(n::float8 ORDER BY h),
           (SELECT raxx_detect.quantile_sketch(b.mean_ms, b.calls) FROM bins b WHERE NOT b.is_out)
    FROM hours HAVING EXISTS (SELECT FROM bins)
$$;
COMMENT ON FUNCTION raxx_detect.learn_histograms(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of pg_stat_monitor''s histograms as the entity pg_stat_monitor: a sketch, in milliseconds, of the times of the single calls, each at the middle of its bin. A cell is one call. A day that has histograms has a row, even if all of them are left out; one that has none has no row.';

CREATE FUNCTION raxx_detect.learn_statements(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    WITH intervals AS MATERIALIZED (
        SELECT i.mean_ms, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), i.at))::int AS hour,
               EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source, period) l WHERE i.at <@ l.period) AS is_out
        FROM raxx_detect.statement_intervals(binding, lower(period) - interval '1 microsecond', upper(period) - interval '1 microsecond') i
    ), hours AS (
        SELECT h, count(i.hour) AS n FROM generate_series(0, 23) h LEFT JOIN intervals i ON i.hour = h AND NOT i.is_out GROUP BY h
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, NULL, array_agg(n::float8 ORDER BY h), array_agg(n ORDER BY h), array_agg(n::float8 ORDER BY h),
               (SELECT raxx_detect.quantile_sketch(i.mean_ms) FROM intervals i WHERE NOT i.is_out)
        FROM hours HAVING sum(n) > 0
    )
    UPDATE raxx_detect.baseline_days b SET rows = s.rows, left_out = s.rows_out
    FROM (SELECT count(*) FILTER (WHERE NOT is_out) AS rows, count(*) FILTER (WHERE is_out) AS rows_out FROM intervals) s
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    IF raxx_detect.has_histograms(binding) THEN
        PERFORM raxx_detect.learn_histograms(rule, binding, day, period);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_statements(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of statement times: a sketch, in milliseconds, of the mean times of all statements between two snapshots; a cell is one such mean. Of the extension''s own samples also what raxx_detect.learn_histograms keeps.';

CREATE FUNCTION raxx_detect.baseline_has_histograms(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.has_histograms(binding) AND count(b.day) > 0 AND count(b.day) = $3 - f.first_day
    FROM (SELECT raxx_detect.baseline_first_day(rule, binding.source, $3) AS first_day) f
    LEFT JOIN raxx_detect.baselines b ON b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity = 'pg_stat_monitor'
        AND b.day >= f.first_day AND b.day < $3
    GROUP BY f.first_day
$$;
COMMENT ON FUNCTION raxx_detect.baseline_has_histograms(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Whether the baseline of a day has a row of pg_stat_monitor for each of its whole days.';

CREATE FUNCTION raxx_detect.drift_verdict(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz,
    recent raxx_detect.quantile_sketch, measured_by text)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day date := raxx_detect.judging_day(rule, binding, instant);
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    step interval := rule.params ->> 'step';
    window_length interval := rule.params ->> 'window';
    q float8 := (rule.params ->> 'quantile')::float8;
    tests float8 := 30.4375 * 86400 / extract(epoch FROM step);
    usual raxx_detect.quantile_sketch := (SELECT raxx_detect.merge(b.sketch) FROM raxx_detect.baselines b
        WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day >= first_day AND b.day < day
          AND b.entity IS NOT DISTINCT FROM CASE measured_by WHEN 'pg_stat_monitor' THEN measured_by END);
    floor bigint := (rule.params ->> 'baseline_intervals')::bigint;
    before_ms float8 := raxx_detect.quantile(usual, q);
    now_ms float8 := raxx_detect.quantile(recent, q);
    test record;
BEGIN
    IF raxx_detect.sketch_count(recent) < floor OR raxx_detect.sketch_count(usual) < floor
       OR NOT now_ms >= before_ms * (1 + (rule.params ->> 'rise')::float8) THEN
        RETURN NULL;
    END IF;
    test := raxx_detect.sketch_ks_test(recent, usual);
    IF test.p_value > raxx_detect.alarm_budget(rule) / tests THEN
        RETURN NULL;
    END IF;
    RETURN ('statements', tstzrange(instant, instant + step), rule.severity, now_ms, before_ms * (1 + (rule.params ->> 'rise')::float8),
        'milliseconds', test.p_value, 'baseline', raxx_detect.sketch_count(recent), '{drift}',
        format('the %s %% slowest statement times of the last %s begin at %s ms, %s ms in the %s days before', round(100 * (1 - q)::numeric, 2)::float8,
            raxx_detect.in_words(window_length), round(now_ms::numeric, 2), round(before_ms::numeric, 2), day - first_day),
        jsonb_build_object('window', window_length, 'verdict_at', instant, 'd', test.d, 'measured_by', measured_by,
            'baseline', jsonb_build_object('of', 'all statements', 'days', day - first_day, 'n', raxx_detect.sketch_count(usual), 'quantile', before_ms,
                'median', raxx_detect.quantile(usual, 0.5), 'tests_a_month', tests, 'tail', raxx_detect.alarm_budget(rule) / tests,
                'left_out', raxx_detect.baseline_left_out(rule, binding.source, first_day, day))),
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.drift_verdict(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.quantile_sketch, text) IS
'The verdict of an instant on the statement times of the window before it, measured by pg_stat_statements (interval means) or pg_stat_monitor (single calls), against a baseline of the same: a candidate where their quantile is higher than in the baseline by the share rise, and a two-sample Kolmogorov-Smirnov test finds the two distributions different beyond the false-alarm budget; else NULL, and where either has fewer than baseline_intervals values.';

CREATE FUNCTION raxx_detect.evaluate_drift(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    step interval := rule.params ->> 'step';
    window_length interval := rule.params ->> 'window';
    origin timestamptz := timestamptz '2000-01-01 00:00:00+00';
    begins timestamptz := greatest(exact_from, raxx_detect.before(as_of, interval '400 days'),
        (SELECT s.first_event FROM raxx_detect.baseline_starts s WHERE s.rule_id = rule.rule_id AND s.source = binding.source));
    first_instant timestamptz := date_bin(step, begins, origin) + step;
    last_instant timestamptz := date_bin(step, as_of, origin);
    verdicts raxx_detect.candidate[];
    c raxx_detect.candidate;
    verdict_at timestamptz;
    before_from timestamptz;
    before_to timestamptz;
BEGIN
    IF first_instant <= last_instant THEN
        WITH times AS (
            SELECT i.at, i.mean_ms, 1::bigint AS weight, 'pg_stat_statements' AS measured_by
            FROM raxx_detect.statement_intervals(binding, first_instant - window_length, last_instant) i
            UNION ALL
            SELECT h.at, h.mean_ms, h.calls, 'pg_stat_monitor' FROM raxx_detect.statement_histograms h
            WHERE raxx_detect.has_histograms(binding) AND h.at > first_instant - window_length AND h.at <= last_instant
        ), hourly AS MATERIALIZED (  -- (instant - step, instant]
            SELECT date_bin(step, t.at - interval '1 microsecond', origin) + step AS upto, t.measured_by,
                   raxx_detect.quantile_sketch(t.mean_ms, t.weight) AS sketch
            FROM times t GROUP BY 1, 2
        ), measured AS (
            SELECT g AS instant, h.measured_by, raxx_detect.merge(h.sketch) AS sketch
            FROM generate_series(first_instant, last_instant, step) g JOIN hourly h ON h.upto > g - window_length AND h.upto <= g
            WHERE raxx_detect.baseline_is_ready(rule, binding.source, raxx_detect.judging_day(rule, binding, g)) GROUP BY g, h.measured_by
        ), recent AS (  -- the single calls, if the baseline has them, too
            SELECT DISTINCT ON (m.instant) m.* FROM measured m
            WHERE m.measured_by = 'pg_stat_statements' OR raxx_detect.baseline_has_histograms(rule, binding, raxx_detect.judging_day(rule, binding, m.instant))
            ORDER BY m.instant, m.measured_by = 'pg_stat_monitor' DESC
        )
        SELECT array_agg(v) INTO verdicts FROM recent r CROSS JOIN LATERAL raxx_detect.drift_verdict(rule, binding, r.instant, r.sketch, r.measured_by) v
        WHERE v.entity IS NOT NULL;
    END IF;
    FOR c IN SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, coalesce(verdicts, '{}'), exact_from,
            CASE WHEN isfinite(exact_from) THEN date_bin(step, exact_from, origin) + step END) LOOP
        IF NOT c.evidence ? 'moved' THEN  -- asked once for an episode, since it reads the baseline's rows again
            verdict_at := c.evidence ->> 'verdict_at';
            before_from := raxx_detect.before(verdict_at, rule.baseline_window + window_length);
            before_to := raxx_detect.before(verdict_at, window_length);
            c.evidence := c.evidence || jsonb_build_object('moved', raxx_detect.statements_that_moved(
                binding, before_from, before_to, verdict_at, by_call => c.evidence ->> 'measured_by' = 'pg_stat_monitor'));
        END IF;
        RETURN NEXT c;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_drift(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method drift: at each step of the clock (UTC), the distribution of the statement times of the window before it, against that of the days before. By pg_stat_monitor''s histograms if the window has some and each whole day of its baseline has, else by the means between snapshots.';
