-- A backlog that is more than one run may judge: the oldest goes first, in slices, while the newest minute is judged at
-- once; and what is found in the end is what one run over everything finds.
BEGIN;
SELECT plan(14);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
SELECT raxx_detect.create_source_table('waitlist_signups', 'signups');
SELECT raxx_detect.create_source_table('console_audit_events', 'console');
SELECT raxx_detect.create_source_table('login_failures', 'failures');
-- 70 days. Every few days an operator probes, an Origin is pumped, the console is silent; and again at the very end.
INSERT INTO denials (event_time, operator, permission)
SELECT t + n * interval '10 seconds', 'operator ' || extract(day FROM t), 'p' || n || ':admin'
FROM generate_series(timestamptz '2024-01-02 15:00', '2024-03-11 15:00', '69 hours') t, generate_series(1, 6) n
UNION ALL SELECT timestamptz '2024-03-12 11:59' + n * interval '5 seconds', 'operator now', 'p' || n || ':admin' FROM generate_series(1, 6) n;
INSERT INTO signups (event_time, email, origin)
SELECT t, format('u%s@c%s.example', extract(epoch FROM t), extract(epoch FROM t)), 'https://site' || extract(minute FROM t)
FROM generate_series(timestamptz '2024-01-02', '2024-03-12 12:00', '17 minutes') t
UNION ALL
SELECT t + n * interval '3 seconds', format('g%s@d%s.example', n, n), 'https://pumped' FROM generate_series(timestamptz '2024-01-05 03:00', '2024-03-11', '5 days') t, generate_series(1, 40) n;
INSERT INTO console (event_time)
SELECT t FROM generate_series(timestamptz '2024-01-02', '2024-03-12 09:00', '5 minutes') t WHERE NOT (extract(isodow FROM t) = 3 AND t::time BETWEEN '15:00' AND '16:10');
INSERT INTO failures (event_time, ip, account)
SELECT t + n * interval '1 second', '10.0.0.1', 'a' || n % 5 FROM generate_series(timestamptz '2024-01-02', '2024-03-12 11:00', '45 days') t, generate_series(1, 60) n;
CREATE TABLE judged AS
SELECT unnest('{auth_rbac_denied_burst,signup_waitlist_velocity_per_origin,data_audit_log_gap_window,auth_login_failure_burst}'::text[]) AS rule_id;
CREATE VIEW found AS
SELECT rule_id, source, entity, severity, condition, episode, observed, threshold, unit, p_value, fired_by, sample_size, occurrences, summary, evidence - 'rows' AS evidence, verdict
FROM raxx_detect.detection_findings;
CREATE VIEW learnt AS SELECT rule_id, source, day, rows, left_out, left_out_digest FROM raxx_detect.baseline_days WHERE day >= '2024-02-12';

-- ---- at once --------------------------------------------------------------------------------------------------------
SET LOCAL raxx_detect.history_limit = 0;
SELECT is(array_agg(DISTINCT r.outcome), '{ok}', 'everything at once') FROM judged j, LATERAL raxx_detect.run(j.rule_id, '2024-03-12 12:00') r;
CREATE TABLE at_once AS SELECT * FROM found;
CREATE TABLE learnt_at_once AS SELECT * FROM learnt;
CREATE TABLE covered_at_once AS SELECT rule_id, source, settled, looked_to FROM raxx_detect.coverage;
SELECT set_eq('SELECT rule_id FROM at_once', 'SELECT rule_id FROM judged', 'finds something of each rule');

-- ---- slice by slice ---------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
DELETE FROM raxx_detect.baseline_days;
DELETE FROM raxx_detect.baseline_starts;
SET LOCAL raxx_detect.history_limit = '1ms';
CREATE TABLE runs AS SELECT 0 AS number, r.* FROM judged j, LATERAL raxx_detect.run(j.rule_id, '2024-03-12 12:00') r;
SELECT is(array_agg(DISTINCT outcome), '{ok}', 'a run that may not judge everything') FROM runs;
SELECT is(array_agg(rule_id ORDER BY rule_id) FILTER (WHERE detail LIKE '% is judged up to 2024-0%, and its newest minute; the next runs judge the rest'),
    (SELECT array_agg(rule_id ORDER BY rule_id) FROM judged), 'says how far it is') FROM runs;
SELECT is(count(*), 4::bigint, 'and its coverage is no further') FROM raxx_detect.coverage WHERE looked_to < '2024-03-12';
SELECT ok(bool_or(condition = 'firing' AND entity = 'operator now'), 'what fires now is found by the first run, before its history') FROM found;
SELECT ok(bool_or(condition = 'firing' AND entity = 'console_audit_events' AND episode @> timestamptz '2024-03-12 09:00'), 'so is a silence that lasts') FROM found;
SELECT ok(bool_or(upper(covered) = '2024-03-12 12:00') IS NOT TRUE, 'and what was covered is said to be') FROM runs;
DO $$
BEGIN
    FOR n IN 1 .. 200 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM runs WHERE number = n - 1 AND detail LIKE '%the next runs%');
        INSERT INTO runs SELECT n, r.* FROM judged j, LATERAL raxx_detect.run(j.rule_id, '2024-03-12 12:00') r;
    END LOOP;
END $$;
SELECT cmp_ok(max(number), '>', 50, 'it takes many runs') FROM runs;
SELECT is(count(*), 0::bigint, 'without an error') FROM runs WHERE outcome NOT IN ('ok', 'skipped');
SELECT bag_eq('SELECT * FROM found', 'SELECT * FROM at_once', 'which find what one run finds');
SELECT bag_eq('SELECT * FROM learnt', 'SELECT * FROM learnt_at_once', 'by the same baselines');
SELECT bag_eq('SELECT rule_id, source, settled, looked_to FROM raxx_detect.coverage', 'SELECT * FROM covered_at_once', 'and come as far');
SELECT is(count(*), 0::bigint, 'nothing is quiet while there is history to judge') FROM raxx_detect.coverage
WHERE NOT isempty(quiet) AND looked_to < '2024-03-12 12:00';

SELECT * FROM finish();
ROLLBACK;
