-- An incident that lasts longer than a baseline: its rows are left out, so that soon there is no baseline any more, and it
-- must neither clear itself nor be learnt. And rows dated before dates begin, which are nobody's history.
BEGIN;
SELECT plan(12);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table('waitlist_signups', 'pg_temp.signups');
INSERT INTO pg_temp.signups (event_time, email, origin)
SELECT t, 'a@site.example', 'o' FROM generate_series(timestamptz '2024-05-01 00:30+00', '2024-05-11 12:00+00', '1 hour') t
UNION ALL SELECT t, 'a@site.example', 'o' FROM generate_series(timestamptz '2024-05-11 12:00+00', '2024-05-25 12:00+00', '20 seconds') t
UNION ALL SELECT t, 'a@site.example', 'o' FROM generate_series(timestamptz '2024-05-25 12:30+00', '2024-05-27 12:00+00', '1 hour') t;
SELECT raxx_detect.create_source_table('dyno_samples', 'pg_temp.samples');
INSERT INTO pg_temp.samples (event_time, app, dyno_hours)
SELECT t, 'web', CASE WHEN t >= '2024-05-11 12:00+00' AND t < '2024-05-25 12:00+00' THEN 9 ELSE 2 + 0.1 * (extract(hour FROM t)::int % 3) END
FROM generate_series(timestamptz '2024-05-01 00:00+00', '2024-05-27 12:00+00', '10 minutes') t;
UPDATE raxx_detect.rules SET state = 'live', prerequisites = '{}';
CREATE VIEW pg_temp.judged AS SELECT rule_id FROM raxx_detect.rules WHERE number IN (4, 10);
CREATE VIEW pg_temp.found AS SELECT rule_id, lower(episode) AS began, upper(episode) AS ended, threshold, condition FROM raxx_detect.detection_findings;

-- A run each twelve hours, to two weeks on.
SELECT is(count(*), 0::bigint, 'all runs end well')
FROM generate_series(timestamptz '2024-05-10 12:00+00', '2024-05-25 11:00+00', '12 hours') at CROSS JOIN pg_temp.judged j
CROSS JOIN LATERAL raxx_detect.run(j.rule_id, at) r WHERE r.outcome NOT IN ('ok', 'no_data');
SELECT results_eq('SELECT rule_id, condition, ended FROM pg_temp.found ORDER BY rule_id',
    $$ VALUES ('cost_dyno_hour_spike', 'firing', NULL::timestamptz), ('signup_waitlist_velocity_per_origin', 'firing', NULL) $$, 'after two weeks both still fire');
SELECT is(max(raxx_detect.array_sum(b.rows)), 0::float8, 'and nothing of it is learnt')
FROM raxx_detect.baselines b WHERE b.rule_id = 'signup_waitlist_velocity_per_origin' AND b.entity = 'o' AND b.day > '2024-05-12';
SELECT is(count(*), 0::bigint, 'the end is judged, too')
FROM pg_temp.judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, '2024-05-27 12:00+00') r WHERE r.outcome <> 'ok';
SELECT results_eq('SELECT rule_id, condition, ended FROM pg_temp.found ORDER BY rule_id',
    $$ VALUES ('cost_dyno_hour_spike', 'cleared', timestamptz '2024-05-25 13:00+00'), ('signup_waitlist_velocity_per_origin', 'cleared', '2024-05-25 12:03:40+00') $$,
    'both end when the incident does');
CREATE TABLE pg_temp.in_steps AS SELECT * FROM pg_temp.found;
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
DELETE FROM raxx_detect.baseline_days;
SELECT is(count(*), 0::bigint, 'once more, in one run') FROM pg_temp.judged j CROSS JOIN LATERAL raxx_detect.run(j.rule_id, '2024-05-27 12:00+00') r WHERE r.outcome <> 'ok';
SELECT bag_eq('SELECT * FROM pg_temp.found', 'SELECT * FROM pg_temp.in_steps', 'finds the same');

-- Closed as benign, it is learnt, and what follows is judged by it.
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign';
INSERT INTO pg_temp.signups (event_time, email, origin)
SELECT t, 'a@site.example', 'o' FROM generate_series(timestamptz '2024-05-27 13:00+00', '2024-05-27 14:00+00', '20 seconds') t;
SELECT is(r.findings_new, 0::bigint, 'what was harmless is usual from then on') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-05-27 15:00+00') r;

-- Before dates begin.
SELECT raxx_detect.create_source_table('customer_audit_events', 'pg_temp.audit');
SELECT raxx_detect.create_source_table('error_events', 'pg_temp.errors');
INSERT INTO pg_temp.audit (event_time) VALUES ('4713-01-02 00:00+00 BC'), ('4001-01-01 00:00+00 BC'), ('2024-05-01 00:00+00');
INSERT INTO pg_temp.errors (event_time, route) SELECT '4713-01-02 00:00+00 BC', '/a' FROM generate_series(1, 30);
INSERT INTO pg_temp.errors (event_time, route) VALUES ('2024-05-01 00:00+00', '/a');
SELECT is(r.outcome, 'ok', 'forged beginnings are judged by thresholds') FROM raxx_detect.run('data_audit_log_gap_window', '2024-05-01 00:10+00') r;
SELECT is(count(*), 2::bigint, 'as the gaps that they are') FROM raxx_detect.detection_findings WHERE source = 'customer_audit_events' AND fired_by = 'threshold';
SELECT is(r.outcome, 'ok', 'so are forged bursts') FROM raxx_detect.run('ops_sentry_error_rate_spike', '2024-05-01 00:10+00') r;
SELECT is(f.evidence -> 'baseline', '{"days": 0, "ready": false, "needed": 7}', 'without a baseline') FROM raxx_detect.detection_findings f WHERE source = 'error_events';
SELECT * FROM finish();
ROLLBACK;
