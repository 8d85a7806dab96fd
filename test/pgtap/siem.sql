-- Findings for a SIEM: what OCSF and ECS require is there, enumerations are theirs, hostile rows make no view fail. That the mapping is
-- the one that raxx-notify has is tested by test/tap/siem.pl.
BEGIN;
SELECT plan(34);
SET LOCAL timezone = 'UTC';
SET LOCAL client_encoding = 'UTF8';

INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, verdict,
    condition, triage, disposition, occurrences, escalation_owner, detected_at, updated_at)
SELECT r.rule_id, r.det_id, r.category, r.sources[1], (enum_range(NULL::raxx_detect.severity))[1 + n % 4],
       CASE n WHEN 1 THEN '203.0.113.7' WHEN 2 THEN '203.0.113.0/24' WHEN 3 THEN '999.1.1.1' WHEN 4 THEN E'\u202e"<x>\n' WHEN 5 THEN '' WHEN 6 THEN '203.0.113.8/32' ELSE 'entity ' || n END,
       CASE n WHEN 1 THEN tstzrange('2026-11-27 16:00:00.9+00', '2026-11-27 16:47+00') WHEN 2 THEN tstzrange('-infinity', 'infinity') WHEN 3 THEN tstzrange('4713-01-01 BC', '294276-01-01')
              ELSE tstzrange('2026-11-27 16:00+00', NULL) END,
       CASE n WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' ELSE n + 0.5::float8 END, CASE n WHEN 2 THEN 'NaN' WHEN 3 THEN NULL ELSE 1e-300::float8 END, 'rows', CASE WHEN n % 2 = 0 THEN 1e-10::float8 END,
       (ARRAY['threshold', 'baseline'])[1 + n % 2], n, 'summary ' || n, '{"conditions": []}', CASE n WHEN 1 THEN 'adversarial' END,
       (ARRAY['firing', 'cleared', 'no_data'])[1 + n / 3 % 3], (ARRAY['new', 'acknowledged', 'closed'])[1 + n % 3], CASE WHEN n % 3 = 2 THEN 'benign' END, 1, r.escalation_owner,
       '2026-11-27 16:31:05.7+00', '2026-11-27 16:31:05.7+00'::timestamptz + n % 2 * interval '1 hour'
FROM raxx_detect.rules r CROSS JOIN generate_series(1, 18) n;
CREATE TEMP TABLE o AS SELECT f AS finding, v.event AS e FROM raxx_detect.findings_ocsf v JOIN raxx_detect.detection_findings f USING (finding_id);
CREATE TEMP TABLE c AS SELECT f AS finding, v.event AS e FROM raxx_detect.findings_ecs v JOIN raxx_detect.detection_findings f USING (finding_id);

-- ---- OCSF -------------------------------------------------------------------------------------------------------------------
SELECT is(count(*), (SELECT count(*) FROM raxx_detect.detection_findings), 'each finding is an event') FROM o;
SELECT is_empty($$ SELECT e FROM o WHERE NOT e ?& '{activity_id,category_uid,class_uid,finding_info,metadata,severity_id,time,type_uid}' $$, 'what is required is there');
SELECT is_empty($$ SELECT e FROM o WHERE NOT e -> 'finding_info' ?& '{uid,title}' OR NOT e -> 'metadata' ?& '{version,product}' OR NOT e #> '{metadata,product}' ?& '{name,vendor_name}' $$, 'and in its objects');
SELECT is_empty($$ SELECT e FROM o WHERE (e ->> 'type_uid')::int <> 100 * (e ->> 'class_uid')::int + (e ->> 'activity_id')::int OR e ->> 'class_uid' <> '2004' OR e ->> 'category_uid' <> '2' $$, 'of the class 2004');
SELECT set_eq($$ SELECT e ->> 'severity_id' AS a, e ->> 'severity' AS b, (finding).severity::text AS c FROM o $$, $$ VALUES ('2', 'Low', 'low'), ('3', 'Medium', 'medium'), ('4', 'High', 'high'), ('5', 'Critical', 'critical') $$, 'severities');
SELECT set_eq($$ SELECT e ->> 'activity_id' AS a, e ->> 'activity_name' AS b FROM o $$, $$ VALUES ('1', 'Create'), ('2', 'Update'), ('3', 'Close') $$, 'activities');
SELECT set_eq($$ SELECT e ->> 'status_id' AS a, e ->> 'status' AS b, (finding).triage AS c FROM o WHERE (finding).condition <> 'cleared' $$,
    $$ VALUES ('1', 'New', 'new'), ('2', 'In Progress', 'acknowledged'), ('4', 'Resolved', 'closed') $$, 'what people made of it is the status');
SELECT set_eq($$ SELECT e ->> 'status_id' AS a, e ->> 'activity_id' AS b FROM o WHERE (finding).condition = 'cleared' $$, $$ VALUES ('4', '3') $$, 'what is over is resolved');
SELECT set_eq($$ SELECT e #>> '{finding_info,analytic,type_id}' AS a, e #>> '{finding_info,analytic,type}' AS b, (finding).fired_by AS c FROM o $$, $$ VALUES ('1', 'Rule', 'threshold'), ('3', 'Statistical', 'baseline') $$, 'how it was found');
SELECT is_empty($$ SELECT e FROM o WHERE jsonb_typeof(e -> 'time') <> 'number' OR (e ->> 'time')::numeric <> 1795797065000 $$, 'times are milliseconds');
SELECT is(e ->> 'start_time', '1795795200000', 'of whole seconds') FROM o WHERE (finding).entity = '203.0.113.7' LIMIT 1;
SELECT is_empty($$ SELECT e FROM o WHERE (finding).entity IN ('203.0.113.0/24', '999.1.1.1') AND (e ? 'start_time' OR e ? 'end_time') $$, 'none where none can be told');
SELECT is_empty($$ SELECT e FROM o WHERE jsonb_path_exists(e, '$.** ? (@ == null)') $$, 'nothing is null');
SELECT is_empty($$ SELECT e FROM o WHERE jsonb_path_exists(e, '$.evidences[*].data.* ? (@ == "NaN" || @ == "Infinity")') $$, 'and no number a text');
SELECT is((SELECT e #>> '{observables,0,value}' FROM o WHERE (finding).entity = E'\u202e"<x>\n' LIMIT 1), '?"<x>', 'an entity is one harmless line');
SELECT is_empty($$ SELECT e FROM o WHERE (finding).entity = '' AND e ? 'observables' $$, 'an empty one is none');
SELECT is_empty($$ SELECT e FROM o WHERE jsonb_path_exists(e, '$.observables[*] ? (!exists(@.name) || !exists(@.type_id))') $$, 'observables have what they need');
UPDATE raxx_detect.notification_settings SET console_link = 'https://console.example/f/{finding_id}';
SELECT is(raxx_detect.ocsf(f) #>> '{finding_info,src_url}', 'https://console.example/f/' || f.finding_id, 'with the link to the console') FROM raxx_detect.detection_findings f LIMIT 1;
UPDATE raxx_detect.notification_settings SET console_link = U&'https://console.example/\00fc{finding_id}';
SELECT is(raxx_detect.ocsf(f) #> '{finding_info,src_url}', NULL, 'if it is one') FROM raxx_detect.detection_findings f LIMIT 1;

-- ---- ECS --------------------------------------------------------------------------------------------------------------------
SELECT is(count(*), (SELECT count(*) FROM raxx_detect.detection_findings), 'each finding is an alert') FROM c;
SELECT is_empty($$ SELECT e FROM c WHERE NOT e ?& '{@timestamp,ecs,message,event,rule}' OR e #>> '{ecs,version}' IS NULL $$, 'what ECS asks of each document');
SELECT is_empty($$ SELECT e FROM c WHERE NOT e -> 'event' ?& '{kind,category,type,id,severity,created}' $$, 'and of an event');
SELECT is_empty($$ SELECT e FROM c WHERE e #>> '{event,kind}' <> 'alert' OR e #> '{event,type}' <> '["info"]' OR NOT e #> '{event,category}' <@
    '["api","authentication","configuration","database","driver","email","file","host","iam","intrusion_detection","library","malware","network","package","process","registry","session","threat","vulnerability","web"]' $$, 'enumerations are ECS''s');
SELECT set_eq($$ SELECT e #>> '{event,severity}' AS a, (finding).severity::text AS b FROM c $$, $$ VALUES ('21', 'low'), ('47', 'medium'), ('73', 'high'), ('99', 'critical') $$, 'severities are Elastic''s');
SELECT is_empty($$ SELECT e FROM c WHERE e ->> '@timestamp' !~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' $$, 'times are ISO 8601');
SELECT results_eq($$ SELECT e #>> '{event,start}', e #>> '{event,end}', e #>> '{event,duration}' FROM c WHERE (finding).entity = '203.0.113.7' LIMIT 1 $$,
    $$ VALUES ('2026-11-27T16:00:00Z', '2026-11-27T16:47:00Z', '2820000000000') $$, 'a duration is in nanoseconds');
SELECT is_empty($$ SELECT e FROM c WHERE (finding).entity IN ('203.0.113.0/24', '999.1.1.1') AND e -> 'event' ?| '{start,end,duration}' $$, 'no time that nobody can have meant');
SELECT set_eq($$ SELECT e #>> '{related,ip,0}' FROM c WHERE e #> '{related,ip}' IS NOT NULL $$, ARRAY['203.0.113.7', '203.0.113.8'], 'an address is an address, a network is none');
SELECT set_eq($$ SELECT DISTINCT (finding).rule_id FROM c WHERE e #> '{related,user}' IS NOT NULL $$, ARRAY['auth_rbac_denied_burst', 'auth_login_failure_burst'], 'operators and accounts are users');
SELECT is_empty($$ SELECT e FROM c WHERE jsonb_path_exists(e, '$.** ? (@ == null)') $$, 'nothing is null');
SELECT is_empty($$ SELECT e FROM c WHERE jsonb_path_exists(e, '$.labels.* ? (@.type() != "string")') $$, 'labels are keywords');

-- ---- who may look ----------------------------------------------------------------------------------------------------------
CREATE ROLE siem_reader;
GRANT USAGE ON SCHEMA raxx_detect TO siem_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO siem_reader;
SET LOCAL ROLE siem_reader;
SET LOCAL timezone = 'Asia/Kathmandu';
SET LOCAL datestyle = 'German';
CREATE TEMP TABLE seen AS SELECT a.finding_id, a.event AS o, b.event AS c FROM raxx_detect.findings_ocsf a JOIN raxx_detect.findings_ecs b USING (finding_id);
RESET ROLE;
UPDATE raxx_detect.notification_settings SET console_link = NULL;
SELECT is((SELECT count(*) FROM seen), (SELECT count(*) FROM o), 'a reader sees them');
SELECT is_empty($$ SELECT 1 FROM seen s JOIN o ON (o.finding).finding_id = s.finding_id WHERE s.o #- '{finding_info,src_url}' <> o.e $$, 'the same, whatever the settings');
SELECT is_empty($$ SELECT 1 FROM seen s JOIN c ON (c.finding).finding_id = s.finding_id WHERE s.c <> c.e $$, 'of ECS, too');
SELECT * FROM finish();
ROLLBACK;
