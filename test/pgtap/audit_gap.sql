-- Rule 6 over its life: a silence that starts, grows, escalates and ends; late rows; the same findings at any schedule.
BEGIN;
SELECT plan(24);
SET LOCAL timezone = 'UTC';

-- Thursday 2026-06-04: an event every 5 minutes from 13:00, the last at 16:00.
CREATE TABLE audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz, operator text);
CREATE INDEX ON audit (created_at);
INSERT INTO audit (created_at, operator)
SELECT t, 'ops' FROM generate_series('2026-06-04 13:00+00'::timestamptz, '2026-06-04 16:00+00', '5 minutes') t;
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');

CREATE FUNCTION pg_temp.look(at text) RETURNS SETOF raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run('data_audit_log_gap_window', ('2026-06-04 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS
    SELECT finding_id, severity::text, condition, episode::text, observed, occurrences
    FROM raxx_detect.detection_findings WHERE rule_id = 'data_audit_log_gap_window' ORDER BY lower(episode);

SELECT is(r.outcome, 'ok', 'the first run is ok') FROM pg_temp.look('16:20') r;
SELECT is_empty('SELECT * FROM pg_temp.found', 'twenty minutes of silence are none');

SELECT is(r.findings_new, 1::bigint, 'thirty-five minutes are a finding') FROM pg_temp.look('16:35') r;
SELECT results_eq('SELECT severity, condition, episode, observed FROM pg_temp.found',
    $$VALUES ('high', 'firing', '["2026-06-04 16:00:00+00",)', 35::float8)$$, 'HIGH, firing, without an end');
CREATE TEMP TABLE first AS SELECT finding_id FROM pg_temp.found;

SELECT is((r.findings_new, r.findings_updated), (0::bigint, 1::bigint), 'it grows: the same finding') FROM pg_temp.look('17:05') r;
SELECT results_eq('SELECT finding_id, severity, condition, observed FROM pg_temp.found',
    $$SELECT finding_id, 'critical', 'firing', 65::float8 FROM first$$, 'after an hour it is CRITICAL');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'looking again at the same time changes nothing')
FROM pg_temp.look('17:05') r;

INSERT INTO audit (created_at) VALUES ('2026-06-04 17:10+00');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 1::bigint), 'the next event ends it') FROM pg_temp.look('17:12') r;
SELECT results_eq('SELECT finding_id, severity, condition, episode, observed FROM pg_temp.found',
    $$SELECT finding_id, 'critical', 'cleared', '["2026-06-04 16:00:00+00","2026-06-04 17:10:00+00")', 70::float8 FROM first$$,
    'with its final length');
SELECT is(verdict, 'undetermined', 'without a chain, nobody knows whether rows were deleted')
FROM raxx_detect.detection_findings WHERE finding_id = (SELECT finding_id FROM first);
SELECT is(evidence #>> '{rows,key}', '["id"]', 'its evidence names rows by their key')
FROM raxx_detect.detection_findings WHERE finding_id = (SELECT finding_id FROM first);

-- A row that comes late, but within the lateness of five minutes, is judged.
SELECT is(r.findings_new, 1::bigint, 'silent again since 17:10') FROM pg_temp.look('17:41') r;
INSERT INTO audit (created_at) VALUES ('2026-06-04 17:38+00');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 0::bigint), 'a late row filled it') FROM pg_temp.look('17:42') r;
SELECT results_eq('SELECT finding_id FROM pg_temp.found', 'SELECT finding_id FROM first', 'and the finding is withdrawn');
SELECT ok(r.detail LIKE '%withdrew%', 'which the record of the run says')
FROM raxx_detect.rule_runs r WHERE r.as_of = '2026-06-04 17:42+00';

-- One that people have touched is not withdrawn, but cleared.
SELECT is(r.findings_new, 1::bigint, 'silent since 17:38') FROM pg_temp.look('18:10') r;
UPDATE raxx_detect.detection_findings SET triage = 'acknowledged' WHERE condition = 'firing';
INSERT INTO audit (created_at) VALUES ('2026-06-04 18:06+00'), ('2026-06-04 17:50+00');
SELECT is(r.outcome, 'ok', 'rows fill it') FROM pg_temp.look('18:11') r;
SELECT results_eq($$SELECT condition, triage FROM raxx_detect.detection_findings WHERE lower(episode) = '2026-06-04 17:38+00'$$,
    $$VALUES ('cleared', 'acknowledged')$$, 'an acknowledged finding stays, cleared');

-- The schedule makes no difference: one look at everything finds the same.
CREATE TEMP TABLE stepwise AS SELECT severity::text, condition, episode::text, observed
FROM raxx_detect.detection_findings WHERE triage = 'new';
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
SELECT is(r.rows_read > 30, true, 'from the beginning') FROM pg_temp.look('18:11') r;
SELECT set_eq('SELECT severity, condition, episode, observed FROM pg_temp.found', 'SELECT * FROM stepwise', 'one look finds what many did');

-- Times of infinity are no events, rows of the future are not yet.
INSERT INTO audit (created_at) VALUES ('infinity'), ('-infinity'), ('2026-06-05 09:00+00');
SELECT is(r.findings_new, 1::bigint, 'neither infinity nor tomorrow ends a silence') FROM pg_temp.look('18:37') r;

SELECT is(r.outcome, 'skipped', 'what was looked at is not looked at again') FROM pg_temp.look('15:00') r;

-- An empty table allows no verdict.
CREATE TABLE empty_audit (event_time timestamptz);
SELECT raxx_detect.bind_source('console_audit_events', 'empty_audit');
SELECT is(r.outcome, 'no_data', 'an empty table is no_data') FROM pg_temp.look('18:40') r;
SELECT ok(r.detail LIKE '%console_audit_events has no rows%', 'and says which') FROM raxx_detect.rule_runs r ORDER BY run_id DESC LIMIT 1;

SELECT * FROM finish();
ROLLBACK;
