-- Calibration: how many alarms a month each of a grid of thresholds gives, how sure that is, and what it would miss.
--
-- Bursts that nothing but a threshold decides are counted for all thresholds in one pass over the rows (raxx_detect.threshold_curve).
-- Of all other rules a threshold decides what is left out of baselines, or is one of several conditions, so that nothing but a
-- backtest for each point of the grid tells the truth. What was confirmed as true_positive is no false alarm.

CREATE TYPE raxx_detect.calibration AS (
    params jsonb,
    alarms_per_month float8,
    low float8,
    high float8,
    would_lose bigint[],
    declared float8,
    verdict text,
    remark text,
    is_current boolean,
    findings bigint,
    confirmed bigint
);
COMMENT ON TYPE raxx_detect.calibration IS
'A point of a grid. params: what it changes; alarms_per_month: of findings that begin in the stretch, without those confirmed, by months of 30.4375 days; low and high: the exact 95 % interval of their rate, if they come independently; would_lose: the findings closed as true_positive that it would not make; declared: what the rule may cost; verdict: calibrated or miscalibrated (the interval excludes what is declared); remark: what to know about it; is_current: as the rule is now; findings, and how many of them lie in findings closed as true_positive (confirmed).';

CREATE FUNCTION raxx_detect.calibrated_parameters(rule raxx_detect.rules) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(p.name ORDER BY p.number), '{}') FROM unnest(CASE rule.method
        WHEN 'distinct + velocity' THEN '{distinct_threshold,elevated_threshold,baseline_floor}'
        WHEN 'pattern' THEN '{threshold}'
        WHEN 'gap' THEN '{baseline_gap,business_gap,off_hours_gap}'
        WHEN 'drift' THEN '{rise}'
        WHEN 'quantile' THEN '{rise}'
        WHEN 'benford' THEN '{mad_threshold}'
        WHEN 'ratio' THEN '{threshold,baseline_floor,floor}'
        WHEN 'unmatched' THEN '{tolerance}'
        ELSE '{threshold,baseline_floor}' END::text[]) WITH ORDINALITY p(name, number)
    WHERE rule.params ? p.name AND (p.name <> 'baseline_floor' OR rule.baseline_window IS NOT NULL)
$$;
COMMENT ON FUNCTION raxx_detect.calibrated_parameters(raxx_detect.rules) IS 'The parameters of a rule of which more means fewer alarms, one of which a grid changes at a time.';

CREATE FUNCTION raxx_detect.calibration_grid(rule raxx_detect.rules, parameters text[], factors numeric[]) RETURNS SETOF jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
    SELECT g.params FROM (
        SELECT DISTINCT ON (p.number, c.given) p.number, c.place, jsonb_build_object(m.name, c.given) AS params
        FROM unnest(parameters) WITH ORDINALITY p(name, number)
        JOIN raxx_detect.method_parameters m ON m.method = rule.method AND m.name = p.name
        CROSS JOIN unnest(factors) f
        CROSS JOIN LATERAL (SELECT rule.params ->> m.name AS now) n
        CROSS JOIN LATERAL (SELECT CASE m.type
            WHEN 'bigint' THEN to_jsonb(greatest(round(n.now::numeric * f), m.minimum::numeric, 1))
            WHEN 'interval' THEN to_jsonb((n.now::interval * f::float8)::text)
            ELSE to_jsonb(n.now::numeric * f) END AS given, f AS place) c
        WHERE c.given <> CASE m.type WHEN 'interval' THEN to_jsonb((n.now::interval)::text) ELSE to_jsonb(n.now::numeric) END
          AND (m.type = 'interval' OR (c.given #>> '{}')::float8 <= coalesce(m.maximum, 'infinity'))
          AND (NOT rule.params ? 'steps' OR m.name <> 'threshold' OR (c.given #>> '{}')::float8 <= jsonb_array_length(rule.params -> 'steps'))
        ORDER BY p.number, c.given, c.place) g
    ORDER BY g.number, g.place
$$;
COMMENT ON FUNCTION raxx_detect.calibration_grid(raxx_detect.rules, text[], numeric[]) IS
'The points of a grid around a rule''s parameters: each of them times each of the factors, by itself, where that makes another valid value.';

CREATE TYPE raxx_detect.calibration_count AS (findings bigint, confirmed bigint, would_lose bigint[]);
COMMENT ON TYPE raxx_detect.calibration_count IS 'What a point of a grid finds, how much of it lies in confirmed findings, and which of these it does not find.';

CREATE FUNCTION raxx_detect.confirmed_findings(rule raxx_detect.rules, from_time timestamptz, to_time timestamptz) RETURNS raxx_detect.detection_findings[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT f FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.disposition = 'true_positive'
                 AND f.episode && tstzrange(from_time, to_time, '(]') ORDER BY f.finding_id)
$$;
COMMENT ON FUNCTION raxx_detect.confirmed_findings(raxx_detect.rules, timestamptz, timestamptz) IS 'The rule''s findings in a stretch that were confirmed as true_positive.';

CREATE FUNCTION raxx_detect.count_by_replay(rule raxx_detect.rules, from_time timestamptz, to_time timestamptz, lead_in interval,
    truth raxx_detect.detection_findings[]) RETURNS raxx_detect.calibration_count
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH found AS MATERIALIZED (
        SELECT f.source, f.entity, f.episode FROM unnest(raxx_detect.replay(rule, from_time, to_time, lead_in, 20000)) f
    ), confirmed AS (
        SELECT count(*) AS number FROM found f WHERE lower(f.episode) > from_time
            AND EXISTS (SELECT FROM unnest(truth) t WHERE (t.source, t.entity) = (f.source, f.entity) AND t.episode && f.episode)
    )
    SELECT ((SELECT count(*) FROM found f WHERE lower(f.episode) > from_time), (SELECT c.number FROM confirmed c),
            ARRAY(SELECT t.finding_id FROM unnest(truth) t WHERE NOT EXISTS (
                      SELECT FROM found f WHERE (t.source, t.entity) = (f.source, f.entity) AND t.episode && f.episode)
                  ORDER BY t.finding_id))::raxx_detect.calibration_count
$$;
COMMENT ON FUNCTION raxx_detect.count_by_replay(raxx_detect.rules, timestamptz, timestamptz, interval, raxx_detect.detection_findings[]) IS
'Counts by a backtest what a rule with these parameters finds that begins in (from_time, to_time], beside what is confirmed (truth).';

CREATE FUNCTION raxx_detect.count_by_curve(rule raxx_detect.rules, binding raxx_detect.source_bindings, thresholds bigint[],
    from_time timestamptz, to_time timestamptz, truth raxx_detect.detection_findings[], OUT threshold bigint, OUT counted raxx_detect.calibration_count)
RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH curve AS MATERIALIZED (
        SELECT c.* FROM raxx_detect.threshold_curve(rule.method, binding.relation, binding.columns ->> 'event_time',
            raxx_detect.role_column(binding, rule.params ->> 'entity'),
            CASE rule.method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END,
            raxx_detect.role_column(binding, rule.params ->> 'filter'), raxx_detect.like_patterns(rule.params -> 'only'),
            raxx_detect.network_prefixes(rule), (rule.params ->> 'window')::interval,
            ARRAY(SELECT DISTINCT t.entity FROM unnest(truth) t WHERE t.source = binding.source), from_time, to_time) c
    ), inside AS (
        SELECT n.threshold, c.entity, c.at, c.level >= n.threshold AS is_in,
               lag(c.level >= n.threshold, 1, false) OVER (PARTITION BY n.threshold, c.entity ORDER BY c.at) AS was_in
        FROM curve c CROSS JOIN unnest(thresholds) n(threshold) WHERE c.entity IS NOT NULL
    ), edges AS (
        SELECT i.threshold, i.entity, i.at, i.is_in, lead(i.at, 1, 'infinity') OVER (PARTITION BY i.threshold, i.entity ORDER BY i.at) AS ends
        FROM inside i WHERE i.is_in <> i.was_in
    ), known AS (
        SELECT e.threshold, e.entity, e.at, t.finding_id
        FROM edges e JOIN unnest(truth) t ON t.source = binding.source AND t.entity = e.entity AND t.episode && tstzrange(e.at, e.ends)
        WHERE e.is_in AND e.ends > from_time
    )
    SELECT n.threshold,
           (coalesce((SELECT c.episodes FROM curve c WHERE c.entity IS NULL AND c.level <= n.threshold ORDER BY c.level DESC LIMIT 1), 0),
            (SELECT count(DISTINCT (k.entity, k.at)) FROM known k WHERE k.threshold = n.threshold AND k.at > from_time),
            ARRAY(SELECT t.finding_id FROM unnest(truth) t WHERE t.source = binding.source AND NOT EXISTS (
                      SELECT FROM known k WHERE k.threshold = n.threshold AND k.finding_id = t.finding_id)
                  ORDER BY t.finding_id))::raxx_detect.calibration_count
    FROM unnest(thresholds) n(threshold)
$$;
COMMENT ON FUNCTION raxx_detect.count_by_curve(raxx_detect.rules, raxx_detect.source_bindings, bigint[], timestamptz, timestamptz, raxx_detect.detection_findings[]) IS
'What raxx_detect.count_by_replay counts, of one source of a rule that needs no history and has one condition, for many thresholds in one pass.';

CREATE FUNCTION raxx_detect.has_a_curve(rule raxx_detect.rules, truth raxx_detect.detection_findings[]) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A confirmed finding names its entity whole, unless that is longer than 200 characters.
    SELECT raxx_detect.needs_no_history(rule) AND rule.method IN ('velocity', 'distinct')
           AND NOT EXISTS (SELECT FROM unnest(truth) t WHERE length(t.entity) > 200)
$$;
COMMENT ON FUNCTION raxx_detect.has_a_curve(raxx_detect.rules, raxx_detect.detection_findings[]) IS 'Whether one pass counts for all thresholds.';

CREATE FUNCTION raxx_detect.calibration_counts(rule raxx_detect.rules, grid jsonb[], from_time timestamptz, to_time timestamptz, lead_in interval,
    truth raxx_detect.detection_findings[], OUT params jsonb, OUT counted raxx_detect.calibration_count, OUT failed text)
RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    bindings raxx_detect.source_bindings[];
    tried raxx_detect.rules := rule;
BEGIN
    IF raxx_detect.has_a_curve(rule, truth) THEN
        bindings := raxx_detect.replayed_bindings(rule);
        PERFORM raxx_detect.begin_replay(bindings[1].relation, from_time, to_time);
        RETURN QUERY
        SELECT jsonb_build_object('threshold', c.threshold),
               (sum((c.counted).findings), sum((c.counted).confirmed),
                ARRAY(SELECT l FROM unnest(array_agg(to_jsonb((c.counted).would_lose))) a CROSS JOIN jsonb_array_elements_text(a) e
                      CROSS JOIN LATERAL (SELECT e::bigint) x(l) ORDER BY l))::raxx_detect.calibration_count, NULL::text
        FROM unnest(bindings) b
        CROSS JOIN LATERAL raxx_detect.count_by_curve(rule, b, ARRAY(SELECT (g ->> 'threshold')::bigint FROM unnest(grid) g),
            from_time, to_time, truth) c
        GROUP BY c.threshold ORDER BY c.threshold;
        PERFORM raxx_detect.end_progress();
        RETURN;
    END IF;
    FOREACH params IN ARRAY grid LOOP
        tried.params := rule.params || params;
        failed := NULL;
        BEGIN
            counted := raxx_detect.count_by_replay(tried, from_time, to_time, lead_in, truth);
        EXCEPTION WHEN program_limit_exceeded THEN  -- finds too much to be of use, which is an answer, too
            counted := NULL;
            failed := sqlerrm;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.calibration_counts(raxx_detect.rules, jsonb[], timestamptz, timestamptz, interval, raxx_detect.detection_findings[]) IS
'Counts what a rule finds at each point of a grid: in one pass where that can be, else by a backtest for each. failed: why one found too much to be counted.';

CREATE FUNCTION raxx_detect.calibration_remark(c raxx_detect.calibration, days float8, failed text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(concat_ws('; ', failed,
        CASE WHEN c.high < c.declared THEN 'gives fewer alarms than declared' WHEN c.low > c.declared THEN 'gives more alarms than declared' END,
        CASE WHEN cardinality(c.would_lose) > 0 THEN format('would lose %s confirmed %s', cardinality(c.would_lose),
            CASE cardinality(c.would_lose) WHEN 1 THEN 'finding' ELSE 'findings' END) END,
        CASE WHEN days < 30 THEN format('only %s days: the interval is wide', round(days::numeric, 1)) END), '')
$$;
COMMENT ON FUNCTION raxx_detect.calibration_remark(raxx_detect.calibration, float8, text) IS 'What to know about a point of a grid, in words; NULL: nothing.';

CREATE FUNCTION raxx_detect.note_calibration(rule_id text, verdict text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF verdict IS NULL OR current_setting('transaction_read_only') = 'on'
       OR NOT has_column_privilege('raxx_detect.rules', 'calibration', 'UPDATE') OR NOT has_column_privilege('raxx_detect.rules', 'calibrated_at', 'UPDATE') THEN
        RAISE NOTICE USING MESSAGE = format('the verdict on rule %s is not kept', rule_id),
            DETAIL = CASE WHEN verdict IS NULL THEN 'There is none.' ELSE format('Role "%s" may not write it here.', current_user) END;
        RETURN;
    END IF;
    UPDATE raxx_detect.rules r SET calibration = verdict, calibrated_at = now() WHERE r.rule_id = note_calibration.rule_id;
END $$;
COMMENT ON FUNCTION raxx_detect.note_calibration(text, text) IS 'Keeps a verdict in rules.calibration, or says in a NOTICE why it cannot.';

CREATE FUNCTION raxx_detect.check_calibration(rule raxx_detect.rules, from_time timestamptz, to_time timestamptz, parameters text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    all_parameters text[] := raxx_detect.calibrated_parameters(rule);
BEGIN
    PERFORM raxx_detect.check_stretch(from_time, to_time);
    IF NOT parameters <@ all_parameters OR cardinality(parameters) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('rule %s has no such parameter to calibrate', rule.rule_id),
            DETAIL = format('Given are %s.', left(parameters::text, 200)), HINT = format('Those are %s.', array_to_string(all_parameters, ', '));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_calibration(raxx_detect.rules, timestamptz, timestamptz, text[]) IS 'Raises 22023 for a stretch that is none, and for parameters that are not among raxx_detect.calibrated_parameters.';

CREATE FUNCTION raxx_detect.rows_begin(rule raxx_detect.rules) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(raxx_detect.first_usable_event(rule, b)) FROM unnest(raxx_detect.replayed_bindings(rule)) b
$$;
COMMENT ON FUNCTION raxx_detect.rows_begin(raxx_detect.rules) IS 'When the first row came that a rule can judge; NULL: none has.';

CREATE FUNCTION raxx_detect.calibrate(rule_id text, from_time timestamptz, to_time timestamptz, parameters text[] DEFAULT NULL, lead_in interval DEFAULT NULL)
RETURNS SETOF raxx_detect.calibration LANGUAGE plpgsql ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    current jsonb := (SELECT coalesce(jsonb_object_agg(p, rule.params -> p), '{}') FROM unnest(raxx_detect.calibrated_parameters(rule)) p);
    counts_from timestamptz := greatest(from_time, raxx_detect.rows_begin(rule) - interval '1 microsecond');
    days float8;
    truth raxx_detect.detection_findings[];
    grid jsonb[];
    point record;
    c raxx_detect.calibration;
    verdict text;
BEGIN
    PERFORM raxx_detect.check_calibration(rule, from_time, to_time, parameters);
    IF raxx_detect.rows_begin(rule) IS NULL OR counts_from >= to_time THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('there is no row by which rule %s could be calibrated', rule_id),
            DETAIL = format('None came up to %s.', to_time), HINT = 'Give a stretch in which its sources have rows.';
    END IF;
    days := extract(epoch FROM to_time - counts_from) / 86400;
    truth := raxx_detect.confirmed_findings(rule, counts_from, to_time);
    grid := current || ARRAY(SELECT g FROM raxx_detect.calibration_grid(rule, coalesce(parameters, raxx_detect.calibrated_parameters(rule)),
        CASE WHEN raxx_detect.has_a_curve(rule, truth) THEN '{0.25,0.4,0.5,0.6,0.7,0.8,0.9,1.1,1.2,1.35,1.5,1.75,2,2.5,3,4}'
             ELSE '{0.5,0.75,1.5,2,3}' END::numeric[]) g);
    FOR point IN SELECT * FROM raxx_detect.calibration_counts(rule, grid, counts_from, to_time, lead_in, truth) LOOP
        c := (point.params, NULL, NULL, NULL, (point.counted).would_lose, rule.false_alarms_per_month, NULL, NULL, point.params = current,
              (point.counted).findings, (point.counted).confirmed)::raxx_detect.calibration;
        IF c.findings IS NOT NULL THEN
            c.alarms_per_month := (c.findings - c.confirmed) * 30.4375 / days;
            SELECT i.low * 30.4375 / days, i.high * 30.4375 / days INTO c.low, c.high FROM raxx_detect.poisson_interval(c.findings - c.confirmed) i;
            c.verdict := CASE WHEN c.declared BETWEEN c.low AND c.high THEN 'calibrated' ELSE 'miscalibrated' END;
        END IF;
        c.remark := raxx_detect.calibration_remark(c, days, point.failed);
        verdict := CASE WHEN c.is_current THEN c.verdict ELSE verdict END;
        RETURN NEXT c;
    END LOOP;
    PERFORM raxx_detect.note_calibration(rule_id, verdict);
END $$;
COMMENT ON FUNCTION raxx_detect.calibrate(text, timestamptz, timestamptz, text[], interval) IS
'For the parameters of a rule as they are (is_current), and for a grid around each of them (parameters; NULL: all of raxx_detect.calibrated_parameters), how many alarms a month it gives that nobody has confirmed as true_positive, in (from_time, to_time] or from the source''s first row on, with the exact 95 % interval; which confirmed findings it would lose; and whether that agrees with what the rule declares, false_alarms_per_month. Keeps the verdict on the current parameters in rules.calibration, if the caller may write it. One pass over the rows for rules of method velocity or distinct that need no history, else a backtest for each point: lead_in is as there. Errors: as raxx_detect.backtest, 22023 a parameter that is none to calibrate, 55000 no rows.';
