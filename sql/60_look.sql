-- Views to look at.

CREATE FUNCTION raxx_detect.sources_now(OUT source text, OUT bound boolean, OUT relation regclass, OUT columns jsonb,
    OUT fresh boolean, OUT last_event timestamptz, OUT missing text, OUT meaning text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.source, s.bound, b.relation, b.columns,
           CASE WHEN s.bound AND k.expected_every IS NOT NULL THEN coalesce(s.last_event >= now() - k.expected_every, false) END,
           s.last_event,
           coalesce(s.problem, CASE WHEN s.last_event < now() - k.expected_every
                                    THEN format('source %s has been silent since %s', k.source, s.last_event) END),
           k.meaning
    FROM raxx_detect.source_kinds k
    CROSS JOIN LATERAL raxx_detect.source_span(k.source) s
    LEFT JOIN raxx_detect.source_bindings b ON b.source = k.source
    ORDER BY k.position
$$;
COMMENT ON FUNCTION raxx_detect.sources_now() IS 'What raxx_detect.sources shows.';

CREATE VIEW raxx_detect.sources AS SELECT * FROM raxx_detect.sources_now();
COMMENT ON VIEW raxx_detect.sources IS
'The sources: whether each is bound and to what, whether it is fresh (NULL where silence is normal), its last event, and what is missing, in a sentence.';

CREATE VIEW raxx_detect.status AS
SELECT r.number, r.rule_id, r.det_id, r.severity, r.state, r.state_reason AS reason, r.state_since,
       greatest(h.last_run_at, l.started_at) AS last_run, coalesce(l.outcome, 'never run') AS last_outcome, l.detail AS last_detail,
       c.covered_to, coalesce(f.open_findings, 0) AS open_findings, f.last_finding, r.last_validated
FROM raxx_detect.rules r
CROSS JOIN raxx_detect.heartbeat h
LEFT JOIN LATERAL (SELECT u.started_at, u.outcome, u.detail FROM raxx_detect.rule_runs u
                   WHERE u.rule_id = r.rule_id ORDER BY u.run_id DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT min(v.looked_to) AS covered_to FROM raxx_detect.judged v WHERE v.rule_id = r.rule_id) c ON true
LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE d.triage <> 'closed') AS open_findings, max(d.detected_at) AS last_finding
                   FROM raxx_detect.detection_findings d WHERE d.rule_id = r.rule_id) f ON true
ORDER BY r.number NULLS LAST, r.rule_id;
COMMENT ON VIEW raxx_detect.status IS
'A line for each rule: its state and the reason, when it last ran and how that ended, up to where it has looked, how many findings nobody has closed, and when its fixtures last passed.';

-- A rule says from the first day why it is dormant.
SELECT count(*) FROM (SELECT raxx_detect.refresh_state(rule_id) FROM raxx_detect.rules) refreshed;
