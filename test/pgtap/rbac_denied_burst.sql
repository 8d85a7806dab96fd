-- Rule 3, RBAC denied burst: its two conditions, what they make together, and what a finding tells. (bursts.sql has its
-- life, schedule.sql its independence of the schedule.)
BEGIN;
SELECT plan(43);
SET LOCAL timezone = 'UTC';

CREATE TABLE denials (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, who text, what text);
SELECT raxx_detect.bind_source('rbac_denials', 'denials', '{"event_time": "at", "operator": "who", "permission": "what"}');
CREATE FUNCTION pg_temp.deny(at text, what text, who text DEFAULT 'ops') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO denials (at, who, what) VALUES (('2024-03-05 ' || at || '+00')::timestamptz, who, what) $$;
CREATE FUNCTION pg_temp.look(at text) RETURNS raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('auth_rbac_denied_burst', ('2024-03-05 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS SELECT * FROM raxx_detect.detection_findings WHERE rule_id = 'auth_rbac_denied_burst';
CREATE FUNCTION pg_temp.start_over() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM denials; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage $$;

-- ---- what a finding tells --------------------------------------------------------------------------------------------
SELECT pg_temp.deny('12:00:00', 'users:admin'), pg_temp.deny('12:01:00', 'flags:write'), pg_temp.deny('12:02:00', 'users:admin');
SELECT is((r.outcome, r.findings_new, r.findings_updated), ('ok'::text, 1::bigint, 0::bigint), 'three elevated denials')
FROM pg_temp.look('12:03') r;
CREATE TEMP TABLE first AS SELECT * FROM pg_temp.found;
SELECT is(det_id, 'DET-AUTH-003', 'det_id') FROM first;
SELECT is(category, 'auth', 'category') FROM first;
SELECT is(source, 'rbac_denials', 'source') FROM first;
SELECT is(severity::text, 'high', 'severity') FROM first;
SELECT is(entity, 'ops', 'entity') FROM first;
SELECT is(episode, '["2024-03-05 12:02:00+00",)'::tstzrange, 'from the third denial, without an end') FROM first;
SELECT is((observed, threshold, unit), (3::float8, 3::float8, 'denials of elevated permissions'::text), 'observed') FROM first;
SELECT is((fired_by, p_value, verdict), ('threshold'::text, NULL::float8, NULL::text), 'fired_by') FROM first;
SELECT is(sample_size, 3::bigint, 'sample_size') FROM first;
SELECT is(summary, 'ops: 3 denials of elevated permissions within 10 min (threshold 3)', 'summary') FROM first;
SELECT is(evidence -> 'rows' -> 'key', '["id"]', 'evidence: the key of the rows') FROM first;
SELECT is(evidence -> 'rows' -> 'first_rows', (SELECT jsonb_agg(jsonb_build_array(id) ORDER BY at) FROM denials), 'evidence: the rows')
FROM first;
SELECT is((condition, triage, disposition), ('firing'::text, 'new'::text, NULL::text), 'condition and triage') FROM first;
SELECT is(escalation_owner, 'security-agent', 'escalation_owner') FROM first;
SELECT is((occurrences, late), (1, false), 'occurrences') FROM first;

-- What people write stays while the finding grows.
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged', disposition = 'true_positive';
SELECT pg_temp.deny('12:04', 'roles:admin');
SELECT is(r.findings_updated, 1::bigint, 'a fourth denial') FROM pg_temp.look('12:04') r;
SELECT results_eq('SELECT finding_id, observed, sample_size, triage, disposition FROM pg_temp.found',
    $$SELECT finding_id, 4::float8, 4::bigint, 'acknowledged', 'true_positive' FROM first$$, 'the same finding, larger, as people left it');
SELECT is((r.findings_new, r.findings_updated, r.detail), (0::bigint, 0::bigint, NULL::text), 'judged again at the same instant: nothing')
FROM pg_temp.look('12:04') r;
SELECT is(r.findings_updated, 1::bigint, 'it ends when fewer than three are left in the window') FROM pg_temp.look('12:20') r;
SELECT results_eq('SELECT finding_id, condition, episode, triage FROM pg_temp.found',
    $$SELECT finding_id, 'cleared', '["2024-03-05 12:02:00+00","2024-03-05 12:11:00+00")'::tstzrange, 'acknowledged' FROM first$$, 'at that instant');

-- ---- both conditions in one episode: one finding, told by the worse, whenever it is looked at ------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00:0' || n, 'users:admin') FROM generate_series(1, 3) n;
SELECT pg_temp.deny('12:0' || n, 'p' || n || ':read') FROM generate_series(1, 9) n;
SELECT pg_temp.deny('12:1' || n, 'p' || n || ':read') FROM generate_series(0, 9) n;
SELECT pg_temp.look('12:40');
CREATE TEMP TABLE at_once AS SELECT severity, episode, observed, threshold, unit, sample_size, occurrences, summary, evidence - 'rows' AS evidence FROM pg_temp.found;
SELECT results_eq('SELECT severity::text, episode, observed, threshold, unit, occurrences FROM at_once',
    $$VALUES ('high', '["2024-03-05 12:00:03+00","2024-03-05 12:25:00+00")'::tstzrange, 3::float8, 3::float8, 'denials of elevated permissions', 2)$$,
    'looked at once: told by the elevated denials');
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
SELECT count(pg_temp.look(to_char(at, 'HH24:MI'))) FROM generate_series(timestamp '2024-03-05 12:00', '2024-03-05 12:40', '1 minute') at;
SELECT results_eq('SELECT severity, episode, observed, threshold, unit, sample_size, occurrences, summary, evidence - ''rows'' FROM pg_temp.found',
    'SELECT * FROM at_once', 'looked at every minute: the same');

-- ---- severity escalates and never falls ------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00:0' || n, 'p' || n || ':read') FROM generate_series(1, 5) n;
SELECT pg_temp.look('12:01');
SELECT results_eq('SELECT severity::text, unit FROM pg_temp.found', $$VALUES ('medium', 'distinct permissions denied')$$, 'five distinct permissions: MEDIUM');
SELECT pg_temp.deny('12:01:0' || n, 'users:admin') FROM generate_series(1, 3) n;
SELECT pg_temp.look('12:02');
SELECT results_eq('SELECT severity::text, unit FROM pg_temp.found', $$VALUES ('high', 'denials of elevated permissions')$$, 'and three elevated ones: HIGH');
DELETE FROM denials WHERE what = 'users:admin';
SELECT pg_temp.look('12:03');
SELECT results_eq('SELECT severity::text, condition FROM pg_temp.found', $$VALUES ('high', 'firing')$$, 'their rows gone, it stays HIGH');

-- ---- rows that go --------------------------------------------------------------------------------------------------
DELETE FROM denials;
SELECT is((r.outcome, r.findings_new), ('no_data'::text, 0::bigint), 'all rows gone: no data') FROM pg_temp.look('12:04') r;
SELECT results_eq('SELECT condition FROM pg_temp.found', $$VALUES ('no_data')$$, 'which closes no finding');
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00', 'users:admin') FROM generate_series(1, 3);
SELECT pg_temp.look('12:06');
DELETE FROM denials;
SELECT pg_temp.deny('12:06', 'users:read');
SELECT pg_temp.look('12:07');
SELECT results_eq('SELECT condition, severity::text FROM pg_temp.found', $$VALUES ('cleared', 'high')$$, 'one of settled rows stays, cleared');

-- ---- what is counted -----------------------------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00', what, who) FROM (VALUES ('a', 'users:admin'), ('b', 'flags:write'), (NULL, 'users:admin'), (NULL, 'x:read'), ('a', NULL), ('', 'users:admin')) v(who, what),
    generate_series(1, 2);
SELECT is((r.findings_new, r.outcome), (0::bigint, 'ok'::text), 'two each are none, whoever they are of') FROM pg_temp.look('12:01') r;
SELECT matches(detail, 'ignored [0-9]+ rows of rbac_denials with a NULL entity or value', 'rows without operator or permission are counted')
FROM raxx_detect.rule_runs ORDER BY run_id DESC LIMIT 1;
SELECT pg_temp.deny('12:01', 'users:admin', '');
SELECT pg_temp.look('12:02');
SELECT results_eq('SELECT entity, summary FROM pg_temp.found',
    $$VALUES ('', '(empty): 3 denials of elevated permissions within 10 min (threshold 3)')$$, 'the empty operator is one, and visible');

-- The patterns: * is any text, everything else itself; the whole permission has to match, in its case.
SELECT is(raxx_detect.like_patterns('["*:admin", "50%", "a_b", "c\\d", "*"]'), '{%:admin,"50\\%","a\\_b","c\\\\d",%}', 'patterns for LIKE');
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00', what) FROM unnest('{users:Admin,users:admins,admin,":adminx",users-admin,"users:admin "}'::text[]) what, generate_series(1, 3);
SELECT pg_temp.look('12:01');
SELECT is_empty('SELECT * FROM pg_temp.found WHERE severity = ''high''', 'look-alikes of elevated permissions are not elevated');
SELECT is(raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated": ["50%", "a_b"], "distinct_threshold": 100}') -> 'elevated', '["50%", "a_b"]', 'other patterns');
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00', what, what) FROM unnest('{50%,a_b,50x,axb}'::text[]) what, generate_series(1, 3);
SELECT pg_temp.look('12:01');
SELECT set_eq('SELECT entity FROM pg_temp.found', '{50%,a_b}'::text[], 'match themselves only');
SELECT throws_ok($$SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated": []}')$$, '22023', 'parameter elevated is empty',
    'that nothing is elevated is refused');

-- Parameters hold from the next run on.
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated": ["*:admin"], "elevated_threshold": 2, "distinct_threshold": 5, "window": "1 minute"}');
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00:00', 'users:admin', 'slow'), pg_temp.deny('12:01:00', 'users:admin', 'slow'),
       pg_temp.deny('12:00:00', 'users:admin', 'fast'), pg_temp.deny('12:00:59.999999', 'users:admin', 'fast');
SELECT pg_temp.look('12:02');
SELECT results_eq('SELECT entity, threshold FROM pg_temp.found', $$VALUES ('fast', 2::float8)$$, 'two within a minute, exclusive of its edge');

-- ---- operators of any type, permissions of any type, any kind of relation --------------------------------------------
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated_threshold": 3, "window": "10 minutes"}');
SELECT pg_temp.start_over();
CREATE TYPE permission AS ENUM ('users:admin', 'users:read');
CREATE TABLE typed (at timestamptz, as_int int, as_uuid uuid, as_inet inet, as_bpchar char(8), what permission);
INSERT INTO typed SELECT '2024-03-05 12:00+00', 7, '00000000-0000-0000-0000-000000000007', '10.0.0.7', 'ops', 'users:admin' FROM generate_series(1, 3);
CREATE FUNCTION pg_temp.look_by(operator text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    run raxx_detect.rule_run;
BEGIN
    PERFORM raxx_detect.bind_source('rbac_denials', 'typed', jsonb_build_object('event_time', 'at', 'operator', operator, 'permission', 'what'));
    PERFORM pg_temp.start_over();
    run := pg_temp.look('12:01');
    RETURN format('%s: %s of %s, %s rows as evidence', run.outcome, run.findings_new,
        (SELECT entity FROM pg_temp.found), (SELECT jsonb_array_length(evidence -> 'rows' -> 'first_rows') FROM pg_temp.found));
END $$;
SELECT is(pg_temp.look_by(operator), format('ok: 1 of %s, 3 rows as evidence', entity), format('operators %s', operator))
FROM (VALUES ('as_int', '7'), ('as_uuid', '00000000-0000-0000-0000-000000000007'), ('as_inet', '10.0.0.7'), ('as_bpchar', 'ops     ')) v(operator, entity);

-- ---- judge_from: what is history is not judged ------------------------------------------------------------------------
SELECT pg_temp.start_over();
SELECT pg_temp.deny('12:00', 'users:admin', 'before') FROM generate_series(1, 3);
SELECT pg_temp.deny('13:00', 'users:admin', 'after') FROM generate_series(1, 3);
SELECT raxx_detect.bind_source('rbac_denials', 'denials', '{"event_time": "at", "operator": "who", "permission": "what"}', judge_from => '2024-03-05 12:30+00');
SELECT pg_temp.look('13:01');
SELECT results_eq('SELECT entity FROM pg_temp.found', $$VALUES ('after')$$, 'only what came after judge_from');

SELECT * FROM finish();
ROLLBACK;
