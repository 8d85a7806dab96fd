-- The mix: how a day's rows are shared out among the entities (countries), against the days before.
--
-- At each midnight by the clock of the rule's time zone the day that ends is judged: its counts against those of the
-- baseline days together, as two samples of one distribution (chi-squared test of homogeneity). Days differ by more than
-- chance anyway; by how much, the baseline days say themselves, each tested against the others in the same way.

CREATE FUNCTION raxx_detect.mix_cells(entities text[], day_rows float8[], other_rows float8[], least_expected float8,
    OUT entity text, OUT observed float8, OUT expected float8, OUT before float8, OUT chi_squared float8)
RETURNS SETOF record LANGUAGE sql IMMUTABLE ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS (
        SELECT e.entity, e.o, e.b, sum(e.o) OVER () AS n, sum(e.b) OVER () AS m, (e.o + e.b) * sum(e.o) OVER () / (sum(e.o) OVER () + sum(e.b) OVER ()) AS expected
        FROM unnest(entities, day_rows, other_rows) e(entity, o, b) WHERE e.o + e.b > 0
    ), pooled AS (  -- the rarest together; if they are too few even so, with the next
        SELECT c.*, c.expected < least_expected OR (r.rarer > 0 AND r.rarer < least_expected) AS is_rare
        FROM (SELECT k.*, sum(k.expected) OVER w - k.expected AS rarer FROM counted k
              WINDOW w AS (ORDER BY k.expected, k.entity COLLATE "C" ROWS UNBOUNDED PRECEDING)) r
        CROSS JOIN LATERAL (SELECT r.entity, r.o, r.b, r.n, r.m, r.expected) c
    )
    SELECT CASE WHEN p.is_rare THEN NULL ELSE p.entity END, sum(p.o), sum(p.expected), sum(p.b),
           (sum(p.o) - sum(p.expected)) ^ 2 * (1 / sum(p.expected) + max(p.n) / max(p.m) / sum(p.expected))
    FROM pooled p WHERE p.n > 0 AND p.m > 0 GROUP BY 1
$$;
COMMENT ON FUNCTION raxx_detect.mix_cells(text[], float8[], float8[], float8) IS
'Rows of a day and of other days, by entity, as the columns of a table with two rows: how many of the day there are (observed), are to be expected if the shares are those of all days together, and were on the other days (before), and what the column adds to chi-squared (Pearson). Entities of which fewer than least_expected are to be expected are one column (entity NULL), with the next rarest if they are fewer than that even together. No row where either has no rows.';

CREATE FUNCTION raxx_detect.mix_left_out(rule raxx_detect.rules, source text, day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.detection_findings f
                   WHERE f.rule_id = rule.rule_id AND f.source = mix_left_out.source AND f.evidence -> 'conditions' ? 'mix'
                     AND (f.triage <> 'closed' OR f.disposition = 'true_positive')
                     AND f.episode @> raxx_detect.day_starts(rule, mix_left_out.day + 1))
$$;
COMMENT ON FUNCTION raxx_detect.mix_left_out(raxx_detect.rules, text, date) IS
'Whether the mix of a day is a finding that nobody has closed, or that was closed as true_positive: then it is no part of what is usual.';

CREATE FUNCTION raxx_detect.mix_test(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, baseline_day date,
    OUT observed_rows bigint, OUT history_rows bigint, OUT days_used int, OUT days_left_out int, OUT df int, OUT chi_squared float8,
    OUT phi float8, OUT p_value float8, OUT cells jsonb)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, baseline_day);
    least_expected float8 := (rule.params ->> 'mix_expected')::float8;
    entities text[];
    day_rows float8[];
BEGIN
    EXECUTE format(
        'SELECT coalesce(sum(c.rows), 0), array_agg(c.entity), array_agg(c.rows::float8)
         FROM (SELECT raxx_detect.bounded_entity(e.entity) AS entity, e.rows
               FROM (SELECT %3$s AS entity, count(*) AS rows FROM %1$s t WHERE t.%2$I >= $1 AND t.%2$I < $2 AND t.%4$I IS NOT NULL GROUP BY 1) e) c',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity'),
        raxx_detect.role_column(binding, rule.params ->> 'entity'))
    INTO observed_rows, entities, day_rows USING raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1);
    SELECT count(*) INTO days_left_out FROM generate_series(0, baseline_day - first_day - 1) i
    WHERE raxx_detect.mix_left_out(rule, binding.source, first_day + i);
    IF observed_rows < (rule.params ->> 'mix_floor')::bigint THEN
        RETURN;
    END IF;

    WITH history AS MATERIALIZED (
        SELECT b.day, b.entity, raxx_detect.array_sum(b.rows) AS rows FROM raxx_detect.baselines b
        WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity IS NOT NULL AND b.day >= first_day AND b.day < baseline_day
          AND raxx_detect.array_sum(b.rows) > 0
    ), learnt AS MATERIALIZED (
        SELECT h.* FROM history h JOIN (SELECT DISTINCT k.day FROM history k) d ON d.day = h.day
        WHERE NOT raxx_detect.mix_left_out(rule, binding.source, d.day)
    ), usual AS MATERIALIZED (
        SELECT l.entity, sum(l.rows) AS rows FROM learnt l GROUP BY l.entity
    ), scatter AS (  -- of each day against the others, per degree of freedom
        SELECT d.day, sum(c.chi_squared) / (count(*) - 1) AS per_df
        FROM (SELECT DISTINCT l.day FROM learnt l) d
        CROSS JOIN LATERAL (SELECT array_agg(u.entity) AS entities, array_agg(coalesce(l.rows, 0)) AS rows, array_agg(u.rows - coalesce(l.rows, 0)) AS others
                            FROM usual u LEFT JOIN learnt l ON l.entity = u.entity AND l.day = d.day) a
        CROSS JOIN LATERAL raxx_detect.mix_cells(a.entities, a.rows, a.others, least_expected) c
        GROUP BY d.day HAVING count(*) > 1
    ), tested AS MATERIALIZED (
        SELECT c.* FROM (SELECT array_agg(coalesce(u.entity, t.entity)) AS entities, array_agg(coalesce(t.rows, 0)) AS rows, array_agg(coalesce(u.rows, 0)) AS before
                         FROM usual u FULL JOIN unnest(entities, day_rows) t(entity, rows) ON t.entity = u.entity) a
        CROSS JOIN LATERAL raxx_detect.mix_cells(a.entities, a.rows, a.before, least_expected) c
    )
    SELECT s.days, coalesce(s.phi, 1), u.rows, t.df, t.chi_squared, t.cells INTO days_used, phi, history_rows, df, chi_squared, cells
    FROM (SELECT count(*) AS days, greatest(1, avg(x.per_df)) AS phi FROM scatter x) s
    CROSS JOIN (SELECT coalesce(sum(x.rows), 0) AS rows FROM usual x) u
    CROSS JOIN (SELECT count(*) - 1 AS df, sum(x.chi_squared) AS chi_squared,
                       jsonb_agg(jsonb_build_object('entity', x.entity, 'observed', x.observed, 'expected', x.expected, 'before', x.before, 'chi_squared', x.chi_squared)
                                 ORDER BY x.chi_squared DESC, x.entity COLLATE "C") AS cells FROM tested x) t;
    IF df >= 1 AND days_used >= (rule.params ->> 'mix_days')::int AND history_rows >= (rule.params ->> 'mix_floor')::bigint THEN
        p_value := raxx_detect.chi_squared_upper_tail(chi_squared / phi, df);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.mix_test(raxx_detect.rules, raxx_detect.source_bindings, date, date) IS
'The mix of a day against the baseline of baseline_day: chi_squared of two samples, with df degrees of freedom, and the p_value of chi_squared / phi. phi, at least 1, is the over-dispersion (quasi-likelihood, McCullagh and Nelder 1989): chi-squared per degree of freedom of each of the days_used against the others, on average. p_value is NULL, which is no verdict, below mix_floor rows of the day or of the baseline, with fewer than mix_days days to estimate phi from, or if there is nothing to compare. cells: as raxx_detect.mix_cells, those that add most first.';

CREATE FUNCTION raxx_detect.mix_verdict(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, baseline_day date, number int)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ends timestamptz := raxx_detect.day_starts(rule, day + 1);
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, baseline_day);
    tests_a_month CONSTANT float8 := 30.4375;
    tail float8 := raxx_detect.alarm_budget(rule) / tests_a_month;
    test record := raxx_detect.mix_test(rule, binding, day, baseline_day);
    rows_called text := (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
    risen text;
    moved jsonb;
    in_words text;
BEGIN
    IF test.p_value IS NULL OR test.p_value > tail THEN
        RETURN NULL;
    END IF;
    SELECT c ->> 'entity' INTO risen FROM jsonb_array_elements(test.cells) c ORDER BY (c ->> 'observed')::float8 - (c ->> 'expected')::float8 DESC LIMIT 1;
    SELECT jsonb_agg(c), string_agg(format('%s %s (%s expected)', coalesce(raxx_detect.printable(c ->> 'entity'), 'all others'), c ->> 'observed',
               raxx_detect.in_figures((c ->> 'expected')::float8)), ', ') FILTER (WHERE position <= 3)
    INTO moved, in_words FROM jsonb_array_elements(test.cells) WITH ORDINALITY x(c, position) WHERE position <= 10;
    RETURN ('(mix)', tstzrange(ends, raxx_detect.day_starts(rule, day + 2)), rule.severity, test.chi_squared / test.phi, NULL::float8,
        'chi-squared of the mix, over its usual scatter', test.p_value, 'baseline', test.observed_rows, '{mix}',
        format('the %s %s of %s are shared out otherwise among the %s values of %s than those of the days before (p = %s): %s', test.observed_rows, rows_called, day,
            test.df + 1, rule.params ->> 'entity', raxx_detect.in_figures(test.p_value), in_words),
        jsonb_build_object('verdict_at', ends, 'day', day, 'moved', moved, 'chi_squared', test.chi_squared, 'df', test.df, 'phi', test.phi,
            'baseline', jsonb_build_object('of', 'all entities', 'days', baseline_day - first_day, 'days_left_out', test.days_left_out, 'n', test.history_rows,
                'left_out', raxx_detect.baseline_left_out(rule, binding.source, first_day, baseline_day), 'tests_a_month', tests_a_month, 'tail', tail),
            'rows', raxx_detect.row_keys(number, binding, tstzrange(raxx_detect.day_starts(rule, day), ends),
                format('t.%I IS NOT NULL AND coalesce(raxx_detect.bounded_entity(%s) = $3, $3 IS NULL)', raxx_detect.role_column(binding, rule.params ->> 'entity'),
                    raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity')), risen)),
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.mix_verdict(raxx_detect.rules, raxx_detect.source_bindings, date, date, int) IS
'The candidate of a day whose mix is too unusual for half of the rule''s allowance for false alarms, at a test a day; else NULL. Its entity is (mix), which is no country of two letters. Its evidence names the ten entities that add most to chi-squared, and rows of the one that rose most.';

CREATE FUNCTION raxx_detect.mix_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 1 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    verdicts raxx_detect.candidate[] := '{}';
    verdict raxx_detect.candidate;
    next_midnight timestamptz;
    judged record;
BEGIN
    -- A midnight is judged by the baseline of its judging day, which never contains the day that is judged.
    FOR judged IN
        SELECT d.day, p.day AS baseline_day, row_number() OVER (ORDER BY d.day)::int AS number
        FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p
        CROSS JOIN generate_series(0, extract(epoch FROM binding.lateness)::int / 86400 + 1) i
        CROSS JOIN LATERAL (SELECT p.day + i AS day) d
        CROSS JOIN LATERAL (SELECT raxx_detect.day_starts(rule, d.day + 1) AS midnight) m
        WHERE p.ready AND m.midnight > exact_from AND m.midnight <= as_of
          AND p.day = least(raxx_detect.judging_day(rule, binding, m.midnight), d.day)
        ORDER BY d.day
    LOOP
        verdict := raxx_detect.mix_verdict(rule, binding, judged.day, judged.baseline_day, judged.number);
        IF verdict.entity IS NOT NULL THEN
            verdicts := verdicts || verdict;
        END IF;
    END LOOP;
    IF exact_from >= timestamptz '4000-01-01 00:00:00+00 BC' THEN
        SELECT min(m) INTO next_midnight FROM generate_series(0, 2) i
        CROSS JOIN LATERAL (SELECT raxx_detect.day_starts(rule, timezone(raxx_detect.rule_time_zone(rule), exact_from)::date + i) AS m) d
        WHERE m > exact_from;
    END IF;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from, next_midnight, 'mix');
END $$;
COMMENT ON FUNCTION raxx_detect.mix_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The mix of each day that ends in (exact_from, as_of], for a rule with mix_window; successive days that fire are one candidate. Reads what the learner of counts has kept, and the day itself. A rule whose baseline is not ready has no verdict on a mix.';

CREATE FUNCTION raxx_detect.evaluate_velocity_and_mix(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM raxx_detect.evaluate_velocity(rule, binding, exact_from, as_of);
    IF rule.params ? 'mix_window' THEN
        RETURN QUERY SELECT * FROM raxx_detect.mix_candidates(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity_and_mix(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method velocity: many rows of one entity in a window; and for a rule with mix_window, a day whose rows are shared out otherwise among the entities than before.';
