-- Findings for a SIEM: as Detection Findings of OCSF, with the mapping that raxx-notify's webhooks have (src/notify/render/ocsf.cpp;
-- test/tap/siem.pl compares the two), and as alerts of the Elastic Common Schema. Views, so that whoever collects them polls rows.

CREATE FUNCTION raxx_detect.event_now(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN finding.condition <> 'firing' THEN finding.condition WHEN finding.updated_at > finding.detected_at THEN 'changed' ELSE 'fired' END;
END $$;
COMMENT ON FUNCTION raxx_detect.event_now(raxx_detect.detection_findings) IS 'What a message about a finding as it is now would be: fired, changed, no_data, cleared.';

CREATE FUNCTION raxx_detect.epoch_ms(at timestamptz) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN at >= '0001-01-01 00:00:00+00' AND at < '10000-01-01 00:00:00+00' THEN floor(extract(epoch FROM at))::bigint * 1000 END;
END $$;
COMMENT ON FUNCTION raxx_detect.epoch_ms(timestamptz) IS 'A time as OCSF has it: milliseconds since 1970, of a whole second, as messages tell it. NULL for NULL, infinity, and what has no year of four digits.';

CREATE FUNCTION raxx_detect.finite(number float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN abs(number) < 'Infinity' THEN number END;
END $$;
COMMENT ON FUNCTION raxx_detect.finite(float8) IS 'The number; NULL for infinity and NaN, which JSON does not have.';

CREATE FUNCTION raxx_detect.some_line(hostile text, most int) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN nullif(raxx_detect.one_line(hostile, most), '');
END $$;
COMMENT ON FUNCTION raxx_detect.some_line(text, int) IS 'As raxx_detect.one_line; NULL for a text in which nothing is left.';

CREATE FUNCTION raxx_detect.web_address(address text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN address ~ '^https?://[][!#$%&()*+,./0-9:;=?@A-Z_a-z~-]*$' AND length(address) <= 2000 THEN address END;
END $$;
COMMENT ON FUNCTION raxx_detect.web_address(text) IS 'The address, if it is one that a message may make a link; NULL otherwise.';

-- ---- OCSF 1.3 ------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.ocsf_headline(finding raxx_detect.detection_findings, title text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT format('%s: %s', CASE raxx_detect.event_now(finding) WHEN 'cleared' THEN format('Cleared (%s)', s.word) WHEN 'no_data' THEN format('No data (%s)', s.word)
                                     WHEN 'changed' THEN s.word || ', changed' ELSE s.word END, CASE WHEN length(s.title) <= 110 THEN s.title ELSE left(s.title, 107) || '...' END)
               || coalesce(', ' || raxx_detect.some_line(finding.entity, 60), '')
        FROM (SELECT upper(finding.severity::text) AS word, raxx_detect.one_line(title, 160) AS title) s
    );
END $$;
COMMENT ON FUNCTION raxx_detect.ocsf_headline(raxx_detect.detection_findings, text) IS 'The headline of a message about a finding, in a line.';

CREATE FUNCTION raxx_detect.ocsf_finding_info(finding raxx_detect.detection_findings, payload jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_build_object('uid', finding.finding_id::text, 'uid_alt', raxx_detect.some_line(finding.det_id, 80), 'title', raxx_detect.one_line(payload ->> 'title', 160),
        'desc', raxx_detect.some_line(payload ->> 'summary', 600), 'src_url', raxx_detect.web_address(payload ->> 'link'),
        'created_time', raxx_detect.epoch_ms(finding.detected_at), 'modified_time', raxx_detect.epoch_ms(finding.updated_at),
        'first_seen_time', raxx_detect.epoch_ms(lower(finding.episode)), 'last_seen_time', raxx_detect.epoch_ms(upper(finding.episode)),
        'types', jsonb_build_array(raxx_detect.one_line(finding.category, 80)), 'data_sources', jsonb_build_array(raxx_detect.one_line(finding.source, 80)),
        'analytic', jsonb_build_object('type_id', CASE finding.fired_by WHEN 'baseline' THEN 3 ELSE 1 END, 'type', CASE finding.fired_by WHEN 'baseline' THEN 'Statistical' ELSE 'Rule' END,
            'uid', raxx_detect.some_line(finding.rule_id, 80), 'name', raxx_detect.some_line(payload ->> 'title', 160), 'category', raxx_detect.some_line(finding.category, 80)));
END $$;
COMMENT ON FUNCTION raxx_detect.ocsf_finding_info(raxx_detect.detection_findings, jsonb) IS 'OCSF''s finding_info of a finding; payload is what a message about it says.';

CREATE FUNCTION raxx_detect.ocsf(finding raxx_detect.detection_findings) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event text := raxx_detect.event_now(finding);
    payload jsonb := raxx_detect.finding_payload(finding, event, 'full', NULL, NULL);
    entity text := raxx_detect.some_line(finding.entity, 280);
    activity int := CASE WHEN event = 'cleared' OR finding.triage = 'closed' THEN 3 WHEN event IN ('changed', 'no_data') THEN 2 ELSE 1 END;
    activity_name text := (ARRAY['Create', 'Update', 'Close'])[activity];
    status int := CASE WHEN event = 'cleared' OR finding.triage = 'closed' THEN 4 WHEN finding.triage = 'acknowledged' THEN 2 ELSE 1 END;
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'category_uid', 2, 'category_name', 'Findings', 'class_uid', 2004, 'class_name', 'Detection Finding',
        'activity_id', activity, 'activity_name', activity_name, 'type_uid', 200400 + activity, 'type_name', 'Detection Finding: ' || activity_name,
        'severity_id', 1 + array_position(enum_range(finding.severity), finding.severity), 'severity', initcap(finding.severity::text),
        'status_id', status, 'status', (ARRAY['New', 'In Progress', NULL, 'Resolved'])[status], 'message', raxx_detect.ocsf_headline(finding, payload ->> 'title'),
        'time', coalesce(raxx_detect.epoch_ms(finding.detected_at), 0), 'start_time', raxx_detect.epoch_ms(lower(finding.episode)), 'end_time', raxx_detect.epoch_ms(upper(finding.episode)),
        'finding_info', raxx_detect.ocsf_finding_info(finding, payload),
        'metadata', jsonb_build_object('version', '1.3.0', 'uid', format('finding-%s', finding.finding_id), 'event_code', event,
            'product', jsonb_build_object('name', 'raxx_detect', 'vendor_name', 'raxx', 'feature', jsonb_build_object('name', 'findings_ocsf'))))
      || jsonb_build_object(
        'observables', CASE WHEN entity IS NOT NULL THEN jsonb_build_array(jsonb_build_object('name', 'unmapped.entity', 'type_id', 99, 'type', 'Entity', 'value', entity)) END,
        'evidences', jsonb_build_array(jsonb_build_object('data', jsonb_build_object('entity', entity, 'source', raxx_detect.some_line(finding.source, 280),
            'unit', raxx_detect.some_line(finding.unit, 280), 'fired_by', finding.fired_by, 'observed', raxx_detect.finite(finding.observed), 'threshold', raxx_detect.finite(finding.threshold),
            'p_value', raxx_detect.finite(finding.p_value), 'sample_size', finding.sample_size, 'occurrences', finding.occurrences))),
        'unmapped', jsonb_build_object('event', event, 'entity', entity, 'condition', finding.condition, 'verdict', finding.verdict,
            'escalation_owner', raxx_detect.some_line(finding.escalation_owner, 280), 'late', finding.late, 'triage', finding.triage, 'disposition', finding.disposition,
            'psql', raxx_detect.some_line(payload ->> 'psql', 2000), 'triage_psql', raxx_detect.some_line(payload ->> 'triage_psql', 2000))));
END $$;
COMMENT ON FUNCTION raxx_detect.ocsf(raxx_detect.detection_findings) IS
'A finding as a Detection Finding of OCSF 1.3 (class 2004), as raxx-notify would send it now, with what people have made of it: acknowledged is In Progress while it lasts; closed is Resolved, and so is what is over. What OCSF has no place for is under unmapped.';

CREATE VIEW raxx_detect.findings_ocsf AS
SELECT f.finding_id, raxx_detect.ocsf(f) AS event, f.updated_at FROM raxx_detect.detection_findings f WHERE NOT raxx_detect.is_trial(f.rule_id);
COMMENT ON VIEW raxx_detect.findings_ocsf IS
'The findings as Detection Findings of OCSF 1.3, for a SIEM that polls: by updated_at, which the engine moves with each change of its own. A finding keeps its finding_info.uid.';

-- ---- ECS 8.11 ------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.ecs_categories(category text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE category WHEN 'auth' THEN '["authentication", "intrusion_detection"]' WHEN 'signup' THEN '["web", "intrusion_detection"]' WHEN 'data' THEN '["database", "intrusion_detection"]'
                         WHEN 'ops' THEN '["host"]' WHEN 'cost' THEN '["configuration"]' WHEN 'webhook' THEN '["web"]' ELSE '["intrusion_detection"]' END::jsonb;
END $$;
COMMENT ON FUNCTION raxx_detect.ecs_categories(text) IS 'ECS''s event.category for a category of rules: allowed values, all of which go with the event.type info.';

CREATE FUNCTION raxx_detect.ecs_related(rule raxx_detect.rules, entity text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN entity ~ '^(([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])([.]|(/32)?$)){4}$' THEN jsonb_build_object('ip', jsonb_build_array(split_part(entity, '/', 1)))
                WHEN rule.params ->> 'entity' IN ('operator', 'account') THEN jsonb_build_object('user', jsonb_build_array(raxx_detect.one_line(entity, 280))) END;
END $$;
COMMENT ON FUNCTION raxx_detect.ecs_related(raxx_detect.rules, text) IS 'ECS''s related fields of an entity: an IPv4 address, or a user where the rule is about operators or accounts; NULL for anything else. (What ECS calls an address is no network.)';

CREATE FUNCTION raxx_detect.ecs(finding raxx_detect.detection_findings) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := (SELECT r FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id);
    address text := raxx_detect.web_address((SELECT replace(s.console_link, '{finding_id}', finding.finding_id::text) FROM raxx_detect.notification_settings s));
    severity int := (ARRAY[21, 47, 73, 99])[array_position(enum_range(finding.severity), finding.severity)];
    summary text := raxx_detect.one_line(finding.summary, 600);
    starts bigint := raxx_detect.epoch_ms(lower(finding.episode));
    ends bigint := raxx_detect.epoch_ms(upper(finding.episode));
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object(
        '@timestamp', raxx_detect.in_utc(finding.detected_at), 'ecs', '{"version": "8.11.0"}'::jsonb, 'message', summary,
        'event', jsonb_build_object('kind', 'alert', 'category', raxx_detect.ecs_categories(finding.category), 'type', '["info"]'::jsonb,
            'module', 'raxx_detect', 'dataset', 'raxx_detect.findings', 'provider', 'raxx_detect', 'id', finding.finding_id::text, 'code', raxx_detect.some_line(finding.det_id, 80),
            'action', raxx_detect.event_now(finding), 'reason', summary, 'severity', severity, 'risk_score', severity, 'created', raxx_detect.in_utc(finding.detected_at), 'url', address,
            'start', CASE WHEN starts IS NOT NULL THEN raxx_detect.in_utc(lower(finding.episode)) END, 'end', CASE WHEN ends IS NOT NULL THEN raxx_detect.in_utc(upper(finding.episode)) END,
            'duration', CASE WHEN ends - starts < 9e12 THEN (ends - starts) * 1000000 END),  -- nanoseconds
        'rule', jsonb_build_object('id', raxx_detect.some_line(finding.rule_id, 80), 'name', raxx_detect.some_line(rule.title, 160),
            'category', raxx_detect.some_line(finding.category, 80), 'ruleset', 'raxx_detect'),
        'observer', '{"vendor": "raxx", "product": "raxx_detect", "type": "detector"}'::jsonb,
        'related', raxx_detect.ecs_related(rule, finding.entity),
        'labels', jsonb_build_object('condition', finding.condition, 'triage', finding.triage, 'disposition', finding.disposition, 'verdict', finding.verdict,
            'fired_by', finding.fired_by, 'source', raxx_detect.some_line(finding.source, 80), 'escalation_owner', raxx_detect.some_line(finding.escalation_owner, 80)),
        'raxx_detect', jsonb_build_object('entity', raxx_detect.some_line(finding.entity, 280), 'severity', finding.severity, 'observed', raxx_detect.finite(finding.observed),
            'threshold', raxx_detect.finite(finding.threshold), 'unit', raxx_detect.some_line(finding.unit, 80), 'p_value', raxx_detect.finite(finding.p_value),
            'sample_size', finding.sample_size, 'occurrences', finding.occurrences, 'late', finding.late)));
END $$;
COMMENT ON FUNCTION raxx_detect.ecs(raxx_detect.detection_findings) IS
'A finding as an alert of the Elastic Common Schema 8.11. What ECS has no field for is under raxx_detect; severities low to critical are 21, 47, 73, 99, as Elastic''s own rules have them.';

CREATE VIEW raxx_detect.findings_ecs AS
SELECT f.finding_id, raxx_detect.ecs(f) AS event, f.updated_at FROM raxx_detect.detection_findings f WHERE NOT raxx_detect.is_trial(f.rule_id);
COMMENT ON VIEW raxx_detect.findings_ecs IS
'The findings as alerts of the Elastic Common Schema 8.11, for a SIEM that polls: by updated_at, which the engine moves with each change of its own. A finding keeps its event.id.';
