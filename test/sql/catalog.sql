-- The catalog: seventeen rules, as rows, and what there is to read and to set for them.
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
DROP EXTENSION raxx_detect;
CREATE EXTENSION raxx_detect;

-- ---- the rules ------------------------------------------------------------------------------------------------------
SELECT number, rule_id, det_id, severity, method, category, state, ships FROM raxx_detect.rules ORDER BY number;
SELECT number, sources, optional_sources, prerequisites, per_event, false_alarms_per_month AS alarms, escalation_owner, baseline_window
FROM raxx_detect.rules ORDER BY number;
SELECT number, params FROM raxx_detect.rules ORDER BY number;

-- From the first day each says why it is dormant.
\pset format unaligned
SELECT number, state_reason FROM raxx_detect.rules ORDER BY number;
\pset format aligned

-- Nothing has happened yet.
SELECT count(*) AS findings FROM raxx_detect.detection_findings;
SELECT count(*) AS runs FROM raxx_detect.rule_runs;
SELECT count(*) AS deliveries FROM raxx_detect.deliveries;
SELECT rule_id, from_state, to_state FROM raxx_detect.rule_state_changes ORDER BY rule_id;

-- ---- the prose ------------------------------------------------------------------------------------------------------
-- Every part of it is there, is ASCII and ends as a sentence.
SELECT rule_id, part FROM raxx_detect.rules r
CROSS JOIN LATERAL (VALUES ('title', title), ('telemetry', telemetry), ('how', how), ('thresholds', thresholds), ('routes', routes),
                           ('runbook', runbook), ('do_not', do_not), ('waits_for', coalesce(waits_for, 'It waits for nothing.'))) p(part, prose)
WHERE prose ~ '[^\x01-\x7e]' OR (part <> 'title' AND prose !~ '[.?!]$') OR length(prose) < 10 OR prose ~ '  '
ORDER BY 1, 2;
-- A runbook is numbered steps, the do-nots a list.
SELECT rule_id FROM raxx_detect.rules WHERE runbook !~ '^1\. ' OR runbook !~ '\n4\. ' OR do_not !~ '^- ';
-- A rule that is deferred or subsumed says until when; one that is evaluated has an evaluator.
SELECT r.rule_id FROM raxx_detect.rules r JOIN raxx_detect.methods m USING (method)
WHERE m.evaluator IS NULL AND r.method <> 'chain';
-- Evaluators are functions of a rule, a binding and two times.
SELECT method, evaluator, pg_get_function_arguments(evaluator::regproc) AS arguments FROM raxx_detect.methods WHERE evaluator IS NOT NULL ORDER BY method COLLATE "C";
SELECT method, meaning FROM raxx_detect.methods ORDER BY method COLLATE "C";

-- ---- the sources ----------------------------------------------------------------------------------------------------
-- What the rules read exists, and what exists is read by a rule.
SELECT r.rule_id, s.source FROM raxx_detect.rules r CROSS JOIN LATERAL unnest(r.sources || r.optional_sources) s(source)
WHERE NOT EXISTS (SELECT FROM raxx_detect.source_kinds k WHERE k.source = s.source);
SELECT k.source FROM raxx_detect.source_kinds k
WHERE NOT EXISTS (SELECT FROM raxx_detect.rules r WHERE k.source = ANY (r.sources || r.optional_sources));
SELECT source, role, type, required FROM raxx_detect.source_contracts;
-- Each has exactly one time, which is required and comes first.
SELECT source FROM raxx_detect.source_roles GROUP BY source
HAVING count(*) FILTER (WHERE type = 'timestamptz'::regtype) <> 1
    OR bool_or(position = 1 AND (type <> 'timestamptz'::regtype OR NOT required)) OR min(position) <> 1 OR max(position) <> count(*);
SELECT source, expected_every FROM raxx_detect.source_kinds ORDER BY position;

-- ---- the parameters -------------------------------------------------------------------------------------------------
-- Every parameter of every rule is documented for its method, and every documented one is used by a rule.
SELECT r.rule_id, k AS undocumented FROM raxx_detect.rules r CROSS JOIN LATERAL jsonb_object_keys(r.params) k
WHERE NOT EXISTS (SELECT FROM raxx_detect.method_parameters p WHERE p.method = r.method AND p.name = k);
-- (But for what is there for rules of one's own.)
SELECT p.method, p.name AS unused FROM raxx_detect.method_parameters p
WHERE NOT EXISTS (SELECT FROM raxx_detect.rules r WHERE r.method = p.method AND r.params ? p.name)
      AND p.method NOT IN ('temporal', 'temporal_ordered') AND p.name NOT IN ('filter', 'only');
-- Every shipped value is one that set_params accepts, and setting it changes nothing.
SELECT count(*) AS checked FROM raxx_detect.rules r CROSS JOIN LATERAL jsonb_each(r.params) v(name, value)
JOIN raxx_detect.method_parameters p ON p.method = r.method AND p.name = v.name
WHERE raxx_detect.check_parameter(p, v.value) IS NOT NULL;
SELECT rule_id FROM raxx_detect.rules WHERE raxx_detect.set_params(rule_id, params) <> params;
-- What names a role names one of the rule's sources.
SELECT r.rule_id, v.name, v.value FROM raxx_detect.rules r CROSS JOIN LATERAL jsonb_each(r.params) v(name, value)
WHERE v.name IN ('entity', 'value', 'email')
  AND NOT EXISTS (SELECT FROM raxx_detect.source_roles s WHERE s.source = ANY (r.sources) AND to_jsonb(s.role) = v.value);
SELECT method, name, type, minimum, maximum FROM raxx_detect.method_parameters ORDER BY method COLLATE "C", name COLLATE "C";
-- set_params returns all of them, keeps the others, and takes the last word.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{}');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 25}');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "90 s", "threshold": 9223372036854775807}');
SELECT params FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin';

-- ---- the views ------------------------------------------------------------------------------------------------------
SELECT prerequisite, holds, gates FROM raxx_detect.prerequisites;
SELECT count(*) AS rules, count(*) FILTER (WHERE last_outcome = 'never run') AS never_run, count(last_run) AS last_run, count(covered_to) AS covered_to,
       sum(open_findings) AS open_findings, count(last_finding) AS last_finding, count(last_validated) AS validated, count(reason) AS with_reason
FROM raxx_detect.status;
SELECT array_agg(number ORDER BY row_number) = array_agg(number ORDER BY number) AS in_order
FROM (SELECT number, row_number() OVER () FROM raxx_detect.status) s;
-- The fixtures: at least a positive, a near miss, a wrong group and a benign look-alike of each rule that is evaluated.
SELECT r.rule_id, count(f.name) AS fixtures, bool_or(f.name LIKE 'positive%') AS positive, bool_or(f.name LIKE 'near_miss%') AS near_miss,
       bool_or(f.name LIKE 'wrong_group%') AS wrong_group, bool_or(f.name LIKE 'benign%') AS benign
FROM raxx_detect.rules r LEFT JOIN raxx_detect.fixtures f USING (rule_id) WHERE r.method <> 'chain'
GROUP BY r.rule_id, r.number ORDER BY r.number;
SELECT f.rule_id, f.name FROM raxx_detect.fixtures f
WHERE coalesce(f.fixture ->> 'description', '') = '' OR jsonb_typeof(f.fixture -> 'expect') <> 'array' OR f.fixture ->> 'as_of' IS NULL OR f.fixture ->> 'start' IS NULL;

DROP EXTENSION raxx_detect;
CREATE EXTENSION raxx_detect;
