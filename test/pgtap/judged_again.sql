-- A source that is judged again from its beginning, because its coverage went or it was bound to something else, while
-- the findings of the first time are there: nothing changes, and what people have said about findings stays.
BEGIN;
SELECT plan(8);
SET LOCAL timezone = 'UTC';

-- Bursts of an operator at New York's midnight, where a baseline takes over and a run is cut, and hours later; and an
-- audit log that is silent at UTC's midnight and again later.
SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
INSERT INTO denials (event_time, operator, permission)
SELECT timestamptz '2024-03-04 05:00+00' + day * interval '1 day' + part * interval '7 hours' + n * interval '1 minute', 'ops', 'p' || n || ':admin'
FROM generate_series(0, 2) day, generate_series(0, 1) part, generate_series(1, 8) n;
SELECT raxx_detect.create_source_table('console_audit_events', 'console');
INSERT INTO console (event_time)
SELECT t FROM generate_series(timestamptz '2024-03-04 12:00+00', '2024-03-07 23:00+00', '5 minutes') t
WHERE NOT (t::time >= '20:00' OR t::time < '05:00' OR t::time BETWEEN '14:00' AND '15:00');

CREATE FUNCTION pg_temp.findings() RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_agg(to_jsonb(f) - '{updated_at}'::text[] ORDER BY f.rule_id, f.episode) FROM raxx_detect.detection_findings f $$;
SELECT is(array_agg(outcome ORDER BY rule_id), '{ok,ok}', 'judged once') FROM raxx_detect.run_all('2024-03-07 22:00+00') WHERE state IN ('live', 'placeholder');
SELECT is(array_agg(n ORDER BY rule_id), '{6,8}'::bigint[], 'six bursts, eight gaps')
FROM (SELECT rule_id, count(*) AS n FROM raxx_detect.detection_findings GROUP BY rule_id) f;
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged' WHERE finding_id % 2 = 0;
CREATE TEMP TABLE once AS SELECT pg_temp.findings() AS findings;

DELETE FROM raxx_detect.coverage;
SELECT is(array_agg(outcome ORDER BY rule_id), '{ok,ok}', 'judged again') FROM raxx_detect.run_all('2024-03-07 22:00+00') WHERE state IN ('live', 'placeholder');
SELECT is(pg_temp.findings(), findings, 'the findings are the same ones, triage and all') FROM once;

-- Bound to other relations that hold the same rows.
CREATE VIEW other_denials AS SELECT * FROM denials;
CREATE VIEW other_console AS SELECT * FROM console;
SELECT raxx_detect.bind_source('rbac_denials', 'other_denials');
SELECT raxx_detect.bind_source('console_audit_events', 'other_console');
SELECT is(array_agg(outcome ORDER BY rule_id), '{ok,ok}', 'bound anew') FROM raxx_detect.run_all('2024-03-07 22:00+00') WHERE state IN ('live', 'placeholder');
SELECT is((SELECT jsonb_agg(f - 'evidence') FROM jsonb_array_elements(pg_temp.findings()) f),
          (SELECT jsonb_agg(f - 'evidence') FROM once, jsonb_array_elements(once.findings) f), 'the findings are the same ones');

-- Step by step, as a worker would.
DELETE FROM raxx_detect.coverage;
SELECT is(count(*) FILTER (WHERE outcome <> 'ok'), 0::bigint, 'judged again step by step')
FROM generate_series(timestamptz '2024-03-04 06:00+00', '2024-03-07 22:00+00', '4 hours') t,
     LATERAL raxx_detect.run('auth_rbac_denied_burst', t) r;
SELECT is((SELECT jsonb_agg(f - 'evidence') FROM jsonb_array_elements(pg_temp.findings()) f),
          (SELECT jsonb_agg(f - 'evidence') FROM once, jsonb_array_elements(once.findings) f), 'and the same ones again');

SELECT * FROM finish();
ROLLBACK;
