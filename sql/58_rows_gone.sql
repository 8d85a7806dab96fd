-- Rows that go from an audit log. Nobody has a reason to delete there, or to date a row anew, so that an hour with fewer
-- rows than it had is a finding of the rule that watches the log's cadence.
--
-- The hours that have lost rows, with no other hour that had rows between them, are one finding. It fires until the rows
-- are back, or people close it; what goes after that is another. No evaluation of the rule changes it: its condition is rows_gone.

CREATE FUNCTION raxx_detect.counts_are_evidence(source text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.rules r WHERE r.rule_id = 'data_audit_log_gap_window' AND source = ANY (r.sources)
                   AND r.state IN ('live', 'placeholder'))
$$;
COMMENT ON FUNCTION raxx_detect.counts_are_evidence(text) IS 'Whether a source is an audit log that is watched: rows that go from it are a finding.';

CREATE FUNCTION raxx_detect.has_open_rows_gone(source text, instant timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.detection_findings f
                   WHERE f.rule_id = 'data_audit_log_gap_window' AND f.source = has_open_rows_gone.source AND f.triage <> 'closed'
                     AND f.evidence @> '{"conditions": ["rows_gone"]}' AND f.episode @> instant)
$$;
COMMENT ON FUNCTION raxx_detect.has_open_rows_gone(text, timestamptz) IS 'Whether there is a finding about rows that went from this hour of a source which nobody has closed.';

CREATE FUNCTION raxx_detect.rows_gone_candidate(source text, hours tstzrange) RETURNS raxx_detect.candidate
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
DECLARE
    missing bigint; had bigint; has bigint; number bigint; hourly jsonb;
    closed bigint := (SELECT max(f.finding_id) FROM raxx_detect.detection_findings f
                      WHERE f.rule_id = 'data_audit_log_gap_window' AND f.source = source AND f.triage = 'closed'
                        AND f.evidence @> '{"conditions": ["rows_gone"]}' AND f.episode && hours);
    called text := (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = source);
    result raxx_detect.candidate;
BEGIN
    SELECT coalesce(sum(h.gone), 0), coalesce(sum(h.rows + h.gone), 0), coalesce(sum(h.rows), 0), count(*) FILTER (WHERE h.gone > 0)
    INTO missing, had, has, number FROM raxx_detect.hourly_counts h WHERE h.source = source AND h.hour <@ hours;
    SELECT jsonb_agg(jsonb_build_object('hour', h.hour, 'before', h.rows + h.gone, 'now', h.rows) ORDER BY h.hour)
    INTO hourly FROM (SELECT k.* FROM raxx_detect.hourly_counts k WHERE k.source = source AND k.hour <@ hours AND k.gone > 0
                      ORDER BY k.hour LIMIT 48) h;
    -- People have closed what was found before: this is another matter, of the same hours perhaps.
    result.entity := source || CASE WHEN closed IS NULL THEN ' (rows gone)' ELSE format(' (rows gone, after finding %s)', closed) END;
    result.episode := hours;
    result.observed := missing;
    result.threshold := 0;
    result.unit := 'rows missing';
    result.fired_by := 'threshold';
    result.sample_size := missing;
    result.conditions := '{rows_gone}';
    result.verdict := coalesce((SELECT raxx_detect.chain_verdict(b, tstzrange(lower(hours), upper(hours), '[]')) FROM raxx_detect.source_bindings b WHERE b.source = source), 'undetermined');
    result.condition := CASE WHEN missing > 0 THEN 'firing' ELSE 'cleared' END;
    result.escalation_owner := 'security-agent';
    result.summary := format('%s: %s of %s %s between %s and %s are gone; somebody deleted them or dated them anew, or a retention job did',
        source, missing, had, called, to_char(lower(hours), 'YYYY-MM-DD HH24:MI "UTC"'), to_char(upper(hours), 'YYYY-MM-DD HH24:MI "UTC"'));
    result.evidence := jsonb_build_object('conditions', '["rows_gone"]'::jsonb, 'missing', missing, 'before', had, 'now', has,
        'hours_concerned', number, 'hours', coalesce(hourly, '[]'));
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.rows_gone_candidate(text, tstzrange) IS
'What the counts say about rows that went from a stretch of hours: the finding as it is due, with the counts of the first 48 hours concerned as evidence.';

CREATE FUNCTION raxx_detect.record_rows_gone(rule raxx_detect.rules, source text, hours tstzrange, OUT added bigint, OUT changed bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c raxx_detect.candidate := raxx_detect.rows_gone_candidate(source, hours);
    kept raxx_detect.detection_findings;
    merged bigint;
BEGIN
    added := 0; changed := 0;
    SELECT f.* INTO kept FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = source AND f.evidence @> '{"conditions": ["rows_gone"]}' AND f.triage <> 'closed' AND f.episode <@ hours
    ORDER BY lower(f.episode), f.finding_id LIMIT 1;
    IF kept.finding_id IS NULL THEN
        INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit,
            fired_by, sample_size, summary, evidence, verdict, condition, occurrences, escalation_owner)
        SELECT rule.rule_id, rule.det_id, rule.category, source, rule.severity, c.entity, c.episode, c.observed, c.threshold, c.unit,
            c.fired_by, c.sample_size, c.summary, c.evidence, c.verdict, c.condition, 1, c.escalation_owner
        WHERE c.observed > 0;
        GET DIAGNOSTICS added = ROW_COUNT;
        RETURN;
    END IF;
    DELETE FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = source AND f.evidence @> '{"conditions": ["rows_gone"]}' AND f.triage <> 'closed' AND f.episode <@ hours
      AND f.finding_id <> kept.finding_id;
    GET DIAGNOSTICS merged = ROW_COUNT;
    IF merged = 0 AND (kept.episode, kept.entity, kept.evidence) IS NOT DISTINCT FROM (c.episode, c.entity, c.evidence) THEN
        RETURN;
    END IF;
    -- The most that were missing is what was found; how many are missing now, evidence and summary say.
    UPDATE raxx_detect.detection_findings f
    SET episode = c.episode, entity = c.entity, condition = c.condition, observed = greatest(f.observed, c.observed),
        sample_size = greatest(f.sample_size, c.sample_size), evidence = c.evidence, updated_at = now(),
        summary = CASE WHEN c.observed >= f.observed THEN c.summary
                       WHEN c.observed > 0 THEN format('%s; at most %s were missing, and some are back, or others in their place', c.summary, f.observed)
                       ELSE format('%s: %s %s between %s and %s were missing; there are as many as before again, or others in their place', source, f.observed,
                           (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = source),
                           to_char(timezone('UTC', lower(hours)), 'YYYY-MM-DD HH24:MI "UTC"'), to_char(timezone('UTC', upper(hours)), 'YYYY-MM-DD HH24:MI "UTC"')) END
    WHERE f.finding_id = kept.finding_id;
    changed := 1;
END $$;
COMMENT ON FUNCTION raxx_detect.record_rows_gone(raxx_detect.rules, text, tstzrange) IS
'Writes the finding about rows that went from a stretch of hours: a new one, or the earliest of those in it that nobody has closed, which takes the others in.';

CREATE FUNCTION raxx_detect.note_rows_gone(binding raxx_detect.source_bindings, changes raxx_detect.hour_change[],
    OUT added bigint, OUT changed bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule('data_audit_log_gap_window');
    hours tstzrange;
    recorded record;
BEGIN
    added := 0; changed := 0;
    FOR hours IN
        WITH losses AS (  -- hours that had rows, numbered; and those of them that have lost some
            SELECT h.hour, h.gone, row_number() OVER (ORDER BY h.hour) - row_number() OVER (PARTITION BY h.gone > 0 ORDER BY h.hour) AS stretch
            FROM raxx_detect.hourly_counts h WHERE h.source = binding.source AND h.rows + h.gone > 0
        ), stretches AS (
            SELECT tstzrange(min(l.hour), max(l.hour) + interval '1 hour') AS hours FROM losses l WHERE l.gone > 0 GROUP BY l.stretch
            UNION ALL
            SELECT f.episode FROM raxx_detect.detection_findings f
            WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.evidence @> '{"conditions": ["rows_gone"]}' AND f.triage <> 'closed'
        )
        SELECT u.hours FROM (SELECT range_agg(s.hours) AS together FROM stretches s) t CROSS JOIN LATERAL unnest(t.together) u(hours)
        WHERE EXISTS (SELECT FROM unnest(changes) c WHERE c.hour <@ u.hours) ORDER BY u.hours
    LOOP
        recorded := raxx_detect.record_rows_gone(rule, binding.source, hours);
        added := added + recorded.added;
        changed := changed + recorded.changed;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.note_rows_gone(raxx_detect.source_bindings, raxx_detect.hour_change[]) IS
'Writes what hours whose counts have changed, and are written, mean for the findings about rows that went from an audit log.';
