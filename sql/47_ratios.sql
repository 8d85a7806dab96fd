-- Ratios: failures among all rows, held against the share that they had in the days before.
--
-- The tail probability is binomial. Where the hours of the baseline scatter more than a binomial distribution does, by a
-- dispersion above 1 (Pearson's chi-squared per degree of freedom; McCullagh and Nelder 1989, 4.5), it is negative
-- binomial of the same mean and the larger variance.

CREATE FUNCTION raxx_detect.learn_outcomes(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    number_kept bigint;
    number_left_out bigint;
BEGIN
    EXECUTE format(
        'WITH gone AS MATERIALIZED (
             SELECT l.period FROM raxx_detect.left_out($1, $2, $3) l
         ), seen AS MATERIALIZED (
             SELECT raxx_detect.bounded_entity(t.%2$I::text) COLLATE "C" AS outcome, extract(hour FROM timezone($4, t.%1$I))::int AS hour,
                    EXISTS (SELECT FROM gone WHERE gone.period @> t.%1$I) AS left_out, count(*) AS n
             FROM %3$s t WHERE t.%1$I >= lower($3) AND t.%1$I < upper($3) AND t.%2$I IS NOT NULL GROUP BY 1, 2, 3
         ), outcomes AS (
             SELECT s.outcome FROM seen s WHERE NOT s.left_out
             GROUP BY s.outcome ORDER BY s.outcome <> raxx_detect.bounded_entity($5), sum(s.n) DESC, s.outcome LIMIT 100
         ), kept AS (
             INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares)
             SELECT ($1).rule_id, $2, $6, o.outcome, array_fill(1::float8, ''{24}''), h.rows, h.squares
             FROM (SELECT NULL::text AS outcome WHERE EXISTS (SELECT FROM outcomes) UNION ALL SELECT outcome FROM outcomes) o
             CROSS JOIN LATERAL (
                 SELECT array_agg(coalesce(c.n, 0) ORDER BY h.hour) AS rows, array_agg(coalesce(c.n, 0)::float8 ^ 2 ORDER BY h.hour) AS squares
                 FROM generate_series(0, 23) h(hour)
                 LEFT JOIN (SELECT s.hour, sum(s.n)::bigint AS n FROM seen s
                            WHERE NOT s.left_out AND (o.outcome IS NULL OR s.outcome = o.outcome) GROUP BY s.hour) c ON c.hour = h.hour) h
         )
         SELECT coalesce(sum(s.n) FILTER (WHERE NOT s.left_out), 0), coalesce(sum(s.n) FILTER (WHERE s.left_out), 0) FROM seen s',
        binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'value'), binding.relation)
    INTO number_kept, number_left_out
    USING rule, binding.source, period, raxx_detect.rule_time_zone(rule), rule.params ->> 'failure', day;
    UPDATE raxx_detect.baseline_days b SET rows = number_kept, left_out = number_left_out
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    PERFORM raxx_detect.add_reading(number_kept + number_left_out, 0);
END $$;
COMMENT ON FUNCTION raxx_detect.learn_outcomes(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of method ratio: rows by hour, of all outcomes together and of each, at most 100 of them, the failure first and then the most frequent. A cell is an hour. Rows with a NULL outcome are not counted.';

CREATE TYPE raxx_detect.failure_history AS (
    usable boolean,
    days int,
    failures bigint,
    rows bigint,
    share float8,
    dispersion float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.failure_history IS 'What raxx_detect.outcome_baseline returns.';

CREATE FUNCTION raxx_detect.outcome_baseline(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.failure_history
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    kept bigint;
    result raxx_detect.failure_history := (false, 0, NULL, NULL, NULL, NULL, NULL);
BEGIN
    IF first_day IS NULL OR NOT isfinite(day) OR first_day >= day THEN
        RETURN result;
    END IF;
    result.days := day - first_day;
    SELECT count(*), coalesce(sum(b.left_out), 0) INTO kept, result.left_out FROM raxx_detect.baseline_days b
    WHERE b.rule_id = rule.rule_id AND b.source = source AND b.day >= first_day AND b.day < day;
    -- The days of what is long past are not kept.
    IF kept < result.days OR NOT raxx_detect.baseline_is_ready(rule, source, day) THEN
        RETURN result;
    END IF;
    WITH hours AS (
        SELECT b.day, h.hour, coalesce(sum(h.rows) FILTER (WHERE b.entity IS NULL), 0)::float8 AS n,
               coalesce(sum(h.rows) FILTER (WHERE b.entity IS NOT NULL), 0)::float8 AS k
        FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.rows) WITH ORDINALITY h(rows, hour)
        WHERE b.rule_id = rule.rule_id AND b.source = source AND b.day >= first_day AND b.day < day
          AND (b.entity IS NULL OR b.entity COLLATE "C" = raxx_detect.bounded_entity(rule.params ->> 'failure') COLLATE "C")
        GROUP BY b.day, h.hour
    ), total AS (
        SELECT coalesce(sum(h.n), 0) AS n, coalesce(sum(h.k), 0) AS k, count(*) AS busy_hours,
               (coalesce(sum(h.k), 0) + 0.5) / (coalesce(sum(h.n), 0) + 1) AS share
        FROM hours h WHERE h.n > 0
    )
    SELECT t.n > 0, t.k, t.n, t.share,
           greatest(1, (SELECT sum((h.k - h.n * t.share) ^ 2 / (h.n * t.share * (1 - t.share))) FROM hours h WHERE h.n > 0)
                       / greatest(t.busy_hours - 1, 1))
    INTO result.usable, result.failures, result.rows, result.share, result.dispersion FROM total t;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.outcome_baseline(raxx_detect.rules, text, date) IS
'What the baseline of a day says of method ratio: failures k0 and rows n0 of its days, the share (k0 + 1/2) / (n0 + 1), and the dispersion, at least 1: Pearson''s chi-squared of the hours that had rows, per degree of freedom. Not usable before it is ready, without a row in it, or where its days are not kept.';

CREATE FUNCTION raxx_detect.failure_tail(k bigint, n bigint, share float8, dispersion float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN k <= 0 THEN 1
                WHEN dispersion <= 1 THEN raxx_detect.binomial_upper_tail(k, n, share)
                -- A negative binomial distribution cannot scatter less than Poisson's, which is the wider one here.
                ELSE raxx_detect.negative_binomial_upper_tail(k, n * share, n * share * greatest(1, (1 - share) * dispersion)) END
$$;
COMMENT ON FUNCTION raxx_detect.failure_tail(bigint, bigint, float8, float8) IS
'P(X >= k) for the failures among n rows: binomial, or for a dispersion above 1 negative binomial of mean n share and variance n share (1 - share) dispersion, at least the mean. NULL arguments give NULL.';

CREATE FUNCTION raxx_detect.fewest_failures(n bigint, given bigint, floor bigint, share float8, dispersion float8, tail float8) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enough bigint := n + 1;
    short bigint := floor - 1;
    middle bigint;
BEGIN
    WHILE enough - short > 1 LOOP
        middle := short + (enough - short) / 2;
        IF raxx_detect.failure_tail(middle - given, n - given, share, dispersion) <= tail THEN
            enough := middle;
        ELSE
            short := middle;
        END IF;
    END LOOP;
    RETURN enough;
END $$;
COMMENT ON FUNCTION raxx_detect.fewest_failures(bigint, bigint, bigint, float8, float8, float8) IS
'The fewest failures among n rows, at least floor, of which those beyond the given ones have a tail probability of at most tail among the rows beyond them; n + 1 if there are none. NULL arguments give NULL.';

CREATE FUNCTION raxx_detect.month_in_days() RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'SELECT 30.4375::float8';
COMMENT ON FUNCTION raxx_detect.month_in_days() IS 'A month of a false-alarm budget: a twelfth of 365.25 days.';

CREATE FUNCTION raxx_detect.history_evidence(rule raxx_detect.rules, history raxx_detect.failure_history, tests float8) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN history.usable THEN
        jsonb_build_object('of', 'all entities', 'days', history.days, 'n', history.rows, 'failures', history.failures, 'share', history.share,
            'dispersion', history.dispersion, 'left_out', history.left_out, 'tests_a_month', tests, 'tail', rule.false_alarms_per_month / tests)
    ELSE jsonb_build_object('ready', false, 'days', history.days, 'needed', extract(day FROM (rule.params ->> 'baseline_ready')::interval)) END
$$;
COMMENT ON FUNCTION raxx_detect.history_evidence(raxx_detect.rules, raxx_detect.failure_history, float8) IS
'What a finding says of the baseline that it was judged by; tests: how many tests a month share the rule''s allowance for false alarms.';

CREATE FUNCTION raxx_detect.usual_share(history raxx_detect.failure_history, p_value float8) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s %% in the %s days before, which makes it a chance of %s', round((100 * history.share)::numeric, 3), history.days,
                  btrim(to_char(p_value, '9.9EEEE')))
$$;
COMMENT ON FUNCTION raxx_detect.usual_share(raxx_detect.failure_history, float8) IS 'The share of failures in a baseline, and a tail probability, as a summary says them.';

CREATE FUNCTION raxx_detect.failures_called(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s with %s %s', k.rows_called, rule.params ->> 'value', rule.params ->> 'failure')
    FROM raxx_detect.source_kinds k WHERE k.source = binding.source
$$;
COMMENT ON FUNCTION raxx_detect.failures_called(raxx_detect.rules, raxx_detect.source_bindings) IS 'The unit of a rule of method ratio: what it counts as failures.';

CREATE FUNCTION raxx_detect.read_outcomes(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz,
    OUT rows_read bigint, OUT null_rows bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE t.%2$I IS NULL) FROM %3$s t WHERE t.%1$I > $1 AND t.%1$I <= $2',
        binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'value'), binding.relation)
    INTO rows_read, null_rows USING exact_from, as_of;
END $$;
COMMENT ON FUNCTION raxx_detect.read_outcomes(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'How many rows of a source lie in (exact_from, as_of], and how many of them have no outcome.';

-- A sliding window: each failure is a test.

CREATE FUNCTION raxx_detect.failures_expected(history raxx_detect.failure_history) RETURNS float8
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(1, history.share * (history.rows + history.left_out) / nullif(history.days, 0) * raxx_detect.month_in_days())
$$;
COMMENT ON FUNCTION raxx_detect.failures_expected(raxx_detect.failure_history) IS
'How many failures a month has at the share and the volume of a baseline, at least 1: so many tests are made.';

CREATE TYPE raxx_detect.improbable_failures AS (
    onset timestamptz,
    failures bigint,
    rows bigint,
    p_value float8,
    least_p_value float8,
    history raxx_detect.failure_history
);
COMMENT ON TYPE raxx_detect.improbable_failures IS 'What raxx_detect.judge_failures returns: from when on they are improbable, the failures and rows of the window with the most of those that are, its tail probability and the least of any, and the baseline that judged it.';

CREATE FUNCTION raxx_detect.judge_failures(rule raxx_detect.rules, binding raxx_detect.source_bindings, episode tstzrange,
    exact_from timestamptz, as_of timestamptz, resumes timestamptz) RETURNS raxx_detect.improbable_failures
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    result raxx_detect.improbable_failures;
BEGIN
    EXECUTE format(
        'WITH instants AS (
             SELECT t.%1$I AS at, count(*) AS n, count(*) FILTER (WHERE t.%3$I::text COLLATE "C" = $3) AS k
             FROM %2$s t
             WHERE t.%1$I > raxx_detect.before(lower($4), $5) AND t.%1$I < upper($4) AND t.%1$I <= $7 AND t.%3$I IS NOT NULL GROUP BY t.%1$I
         ), windows AS (  -- in whole microseconds, since no arithmetic on forged times may fail
             SELECT i.at, i.k > 0 AS failed, (sum(i.n) OVER w)::bigint AS n, (sum(i.k) OVER w)::bigint AS k
             FROM (SELECT at, n, k, (extract(epoch FROM at) * 1000000)::bigint AS microsecond FROM instants) i
             WINDOW w AS (ORDER BY i.microsecond RANGE BETWEEN (extract(epoch FROM $5) * 1000000)::bigint - 1 PRECEDING AND CURRENT ROW)
         ), tests AS MATERIALIZED (
             SELECT w.at, w.n, w.k, raxx_detect.judging_day($1, $2, w.at) AS day FROM windows w
             WHERE w.failed AND (w.at > $6 OR w.at = $6 AND $8 = $6)
         ), days AS MATERIALIZED (
             SELECT d.day, raxx_detect.outcome_baseline($1, ($2).source, d.day) AS history FROM (SELECT DISTINCT t.day FROM tests t) d
         ), judged AS (
             SELECT t.*, d.history, CASE WHEN (d.history).usable THEN raxx_detect.failure_tail(t.k - 1, t.n - 1, (d.history).share, (d.history).dispersion) END AS p_value
             FROM tests t JOIN days d ON d.day = t.day
         ), improbable AS MATERIALIZED (
             SELECT j.* FROM judged j
             WHERE CASE WHEN (j.history).usable THEN j.k >= $9 AND j.p_value <= ($1).false_alarms_per_month / raxx_detect.failures_expected(j.history)
                        ELSE j.k >= $10 END
         )
         SELECT CASE WHEN $8 < $6 THEN $6 ELSE (SELECT min(i.at) FROM improbable i) END, worst.k, worst.n, worst.p_value,
                (SELECT min(i.p_value) FROM improbable i), worst.history
         FROM (SELECT) one_row LEFT JOIN (SELECT * FROM improbable i ORDER BY i.k DESC, i.n DESC, i.at LIMIT 1) worst ON true',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.role_column(binding, rule.params ->> 'value'))
    INTO result
    USING rule, binding, rule.params ->> 'failure', episode, (rule.params ->> 'window')::interval, exact_from, as_of, resumes,
        (rule.params ->> 'baseline_floor')::bigint, (rule.params ->> 'threshold')::bigint;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_failures(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz, timestamptz, timestamptz) IS
'From when in an episode its failures are no chance any more: the first failure after exact_from at which, given that one, P(X >= k - 1 | n - 1) for the k of the n rows in the window is within the allowance and k at least baseline_floor; or where no baseline is usable, k at least threshold. NULL if there is none. resumes: when a finding that is in force at exact_from began; NULL if none is.';

CREATE FUNCTION raxx_detect.evaluate_sliding_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    floor bigint := (rule.params ->> 'baseline_floor')::bigint;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unit text := raxx_detect.failures_called(rule, binding);
    judged raxx_detect.improbable_failures;
    tests float8;
    number int := 0;
    e record;
BEGIN
    -- What has no outcome never reaches the evaluation, which counts the failures that it reads.
    PERFORM raxx_detect.add_reading(r.null_rows, r.null_rows) FROM raxx_detect.read_outcomes(rule, binding, exact_from, as_of) r;
    FOR e IN SELECT x.*, (SELECT min(lower(f.episode)) FROM raxx_detect.detection_findings f
                          WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.entity = binding.source
                            AND f.episode @> exact_from AND lower(x.episode) <= exact_from AND NOT f.evidence ? 'refuted_at') AS resumes
             FROM raxx_detect.episodes('velocity', binding.relation, binding.columns ->> 'event_time', value_column, NULL, value_column,
                ARRAY[regexp_replace(rule.params ->> 'failure', E'([\\\\%_])', E'\\\\\\1', 'g')], NULL, window_length, least(floor, threshold),
                raxx_detect.before(exact_from, window_length), as_of) x LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        judged := raxx_detect.judge_failures(rule, binding, e.episode, exact_from, as_of, e.resumes);
        CONTINUE WHEN judged.onset IS NULL;
        number := number + 1;
        tests := raxx_detect.failures_expected(judged.history);
        RETURN NEXT (binding.source, tstzrange(judged.onset, upper(e.episode)), rule.severity, coalesce(judged.failures, 0)::float8,
            CASE WHEN (judged.history).usable THEN raxx_detect.fewest_failures(judged.rows, 1, floor, (judged.history).share,
                (judged.history).dispersion, rule.false_alarms_per_month / tests) ELSE threshold END::float8,
            unit, judged.least_p_value, CASE WHEN (judged.history).usable THEN 'baseline' ELSE 'threshold' END,
            coalesce(judged.rows, 0), '{ratio}'::text[],
            format('%s %s, of %s within %s (%s)', judged.failures, unit, judged.rows, raxx_detect.in_words(window_length),
                CASE WHEN (judged.history).usable THEN raxx_detect.usual_share(judged.history, judged.p_value)
                     ELSE format('threshold %s', threshold) END),
            jsonb_build_object('window', window_length, 'baseline', raxx_detect.history_evidence(rule, judged.history, tests),
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(judged.onset, window_length),
                    format('t.%I::text COLLATE "C" = $3', value_column), rule.params ->> 'failure')),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_sliding_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio in a sliding window: an episode begins with the first failure that raxx_detect.judge_failures finds improbable, and goes on while the window holds at least the smaller of baseline_floor and threshold failures. A baseline that is usable takes the place of the threshold.';

CREATE FUNCTION raxx_detect.evaluate_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rule.params ? 'long_window' THEN
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_ratio_by_clock(rule, binding, exact_from, as_of);
    ELSE
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_sliding_ratio(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio: failures in a sliding window, or, for rules with a long_window, by the clock.';
