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

CREATE FUNCTION raxx_detect.index_advice(binding raxx_detect.source_bindings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE family AS (  -- the relation with its partitions or heirs
        SELECT binding.relation::oid AS relation
        UNION
        SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.relation WHERE NOT i.inhdetachpending
    ), unindexed AS (
        SELECT c.oid, a.attname FROM family f
        JOIN pg_class c ON c.oid = f.relation AND c.relkind IN ('r', 'm')
        JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
                           AND a.attname = coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time')::name
        WHERE NOT EXISTS (SELECT FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid JOIN pg_am m ON m.oid = n.relam
                          WHERE x.indrelid = c.oid AND x.indkey[0] = a.attnum AND x.indpred IS NULL AND x.indisvalid AND m.amname IN ('btree', 'brin'))
        ORDER BY c.oid = binding.relation DESC, c.oid::regclass::text LIMIT 1
    )
    SELECT CASE WHEN r.relkind = 'p' THEN format('no index on %I: each run reads all partitions, or those without one: CREATE INDEX ON %s (%I)', u.attname, binding.relation, u.attname)
                ELSE format('no index on %I: each run reads the whole table: CREATE INDEX CONCURRENTLY ON %s (%I)', u.attname, u.oid::regclass, u.attname) END
    FROM unindexed u JOIN pg_class r ON r.oid = binding.relation
$$;
COMMENT ON FUNCTION raxx_detect.index_advice(raxx_detect.source_bindings) IS
'What would make it cheaper to read a source, as a sentence with the command; NULL: nothing. Of a table, each of its heirs and partitions needs an index (B-tree or BRIN) that begins with the time; a partitioned table gets them from one on itself. Of views and foreign tables it knows nothing.';

CREATE VIEW raxx_detect.status AS
SELECT r.number, r.rule_id, r.det_id, r.severity, r.state, r.state_reason AS reason, r.state_since,
       greatest(h.last_run_at, l.started_at) AS last_run, coalesce(l.outcome, 'never run') AS last_outcome, l.detail AS last_detail,
       c.covered_to, coalesce(f.open_findings, 0) AS open_findings, f.last_finding, r.last_validated, a.advice,
       s.silences, x.exceptions, coalesce(f.excepted_findings, 0) AS excepted_findings,
       r.calibration, r.calibrated_at
FROM raxx_detect.rules r
CROSS JOIN raxx_detect.heartbeat h
LEFT JOIN LATERAL (SELECT u.started_at, u.outcome, u.detail FROM raxx_detect.rule_runs u
                   WHERE u.rule_id = r.rule_id ORDER BY u.run_id DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT min(v.looked_to) AS covered_to FROM raxx_detect.judged v WHERE v.rule_id = r.rule_id) c ON true
LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE d.triage <> 'closed' AND d.exception_id IS NULL AND r.shadow_of IS NULL) AS open_findings, max(d.detected_at) AS last_finding,
                          count(d.exception_id) AS excepted_findings
                   FROM raxx_detect.detection_findings d WHERE d.rule_id = r.rule_id) f ON true
LEFT JOIN LATERAL (SELECT string_agg(raxx_detect.index_advice(b), '; ' ORDER BY array_position(r.sources, b.source)) AS advice
                   FROM raxx_detect.source_bindings b WHERE b.source = ANY (r.sources)) a ON true
CROSS JOIN LATERAL (SELECT count(*) AS silences FROM raxx_detect.silences s
                    WHERE r.allows_exceptions AND coalesce(s.rule_id = r.rule_id, true) AND s.starts_at <= now() AND s.until > now() AND s.ended_at IS NULL) s
CROSS JOIN LATERAL (SELECT count(*) AS exceptions FROM raxx_detect.exceptions x
                    WHERE x.rule_id = r.rule_id AND x.expires_at > now() AND x.ended_at IS NULL) x
ORDER BY r.number NULLS LAST, r.rule_id;
COMMENT ON VIEW raxx_detect.status IS
'A line for each rule: its state and the reason, when it last ran and how that ended, up to where it has looked, how many findings nobody has closed (without those that an exception sets aside, and those of shadows: raxx_detect.shadow_findings), when its fixtures last passed, what would make it cheaper (advice; NULL: nothing is known to), how many silences and exceptions hold for it, how many findings exceptions have set aside so far, and whether its rate of alarms was found to be as declared (calibration; raxx_detect.calibrate).';

-- A rule says from the first day why it is dormant.
SELECT count(*) FROM (SELECT raxx_detect.refresh_state(rule_id) FROM raxx_detect.rules) refreshed;
