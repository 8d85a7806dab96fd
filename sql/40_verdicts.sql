-- Verdicts on a grid: rules that judge an instant (the end of an hour, of a day) by what lies before it.
--
-- The verdict of a grid instant is in force until the next one, so it is an episode of one step. Steps that fire one
-- after the other are one episode, also when they were judged by different runs.

CREATE FUNCTION raxx_detect.join_verdicts(rule raxx_detect.rules, source text, verdicts raxx_detect.candidate[],
    exact_from timestamptz, next_instant timestamptz, condition text DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH fired AS MATERIALIZED (
        SELECT v.* FROM unnest(verdicts) v
        UNION ALL  -- what was in force at exact_from was judged for good, so its finding knows it
        SELECT f.entity, tstzrange(lower(f.episode), next_instant), f.severity, f.observed, f.threshold, f.unit, f.p_value, f.fired_by,
               f.sample_size, ARRAY(SELECT jsonb_array_elements_text(f.evidence -> 'conditions')), f.summary, f.evidence, f.verdict,
               NULL, f.escalation_owner
        FROM raxx_detect.detection_findings f
        WHERE f.rule_id = rule.rule_id AND f.source = join_verdicts.source AND f.episode @> exact_from
          AND NOT f.evidence ? 'refuted_at' AND (join_verdicts.condition IS NULL OR f.evidence -> 'conditions' ? join_verdicts.condition)
    ), joined AS (
        SELECT f.entity, unnest(range_agg(f.episode)) AS episode FROM fired f GROUP BY f.entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, told.threshold, worst.unit, told.p_value, worst.fired_by,
           worst.sample_size, told.conditions, worst.summary, told.evidence, worst.verdict, NULL::text, worst.escalation_owner
    FROM joined j
    CROSS JOIN LATERAL (
        SELECT f.* FROM fired f WHERE f.entity = j.entity AND f.episode && j.episode
        ORDER BY f.severity DESC, f.observed DESC, f.sample_size DESC, lower(f.episode) LIMIT 1) worst
    CROSS JOIN LATERAL (
        SELECT min(f.p_value) AS p_value, (array_agg(f.threshold ORDER BY lower(f.episode)))[1] AS threshold, (array_agg(f.evidence ORDER BY lower(f.episode)))[1] AS evidence,
               ARRAY(SELECT DISTINCT c FROM fired o CROSS JOIN unnest(o.conditions) c
                     WHERE o.entity = j.entity AND o.episode && j.episode ORDER BY c) AS conditions
        FROM fired f WHERE f.entity = j.entity AND f.episode && j.episode) told
$$;
COMMENT ON FUNCTION raxx_detect.join_verdicts(raxx_detect.rules, text, raxx_detect.candidate[], timestamptz, timestamptz, text) IS
'The candidates that verdicts after exact_from make, each given as a candidate whose episode is [instant, next instant): those of an entity that touch are one, told by the worst, with the threshold and the evidence of the first and the least p_value. The verdict in force at exact_from, until next_instant, is taken from its finding (where the rule judges in other ways, too: one of this condition).';
