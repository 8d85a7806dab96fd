-- Rows that go from an audit log: a finding of its own, that grows, ends when the rows are back, and that no evaluation of
-- the rule changes.
BEGIN;
SELECT plan(42);
SET LOCAL timezone = 'UTC';

-- Two audit logs with an event every five minutes, from Monday 2024-03-04 on; in the console's there are none at night.
SELECT raxx_detect.create_source_table('customer_audit_events', 'customer');
SELECT raxx_detect.create_source_table('console_audit_events', 'console');
CREATE FUNCTION pg_temp.write(from_time timestamptz, to_time timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO customer (event_time) SELECT t FROM generate_series(from_time, to_time - interval '1 second', '5 minutes') t;
    INSERT INTO console (event_time) SELECT t FROM generate_series(from_time, to_time - interval '1 second', '5 minutes') t WHERE t::time >= '08:00' AND t::time < '20:00';
$$;
CREATE TEMP TABLE clock AS SELECT timestamptz '2024-03-04 00:00+00' AS at;
CREATE FUNCTION pg_temp.at(moment timestamptz) RETURNS SETOF raxx_detect.rule_run LANGUAGE sql AS $$
    SELECT pg_temp.write(at, moment) FROM clock;
    UPDATE clock SET at = moment;
    SELECT r.* FROM raxx_detect.run_all(moment) r WHERE r.rule_id = 'data_audit_log_gap_window';
$$;
CREATE VIEW pg_temp.gone AS
SELECT finding_id, source, entity, severity::text, episode, observed, condition, triage, summary, evidence, verdict, escalation_owner, unit, threshold, fired_by, late, sample_size, p_value
FROM raxx_detect.detection_findings WHERE evidence @> '{"conditions": ["rows_gone"]}' ORDER BY source, lower(episode), finding_id;
CREATE VIEW pg_temp.gaps AS
SELECT finding_id, source, episode, condition FROM raxx_detect.detection_findings WHERE evidence @> '{"conditions": ["gap"]}' AND source = 'customer_audit_events';

SELECT is(r.outcome, 'ok', 'the first run') FROM pg_temp.at('2024-03-07 16:20+00') r;
SELECT results_eq('SELECT source, count(*), min(hour), max(hour), sum(rows) FROM raxx_detect.hourly_counts GROUP BY source ORDER BY source', $$ VALUES
    ('console_audit_events', 44::bigint, timestamptz '2024-03-04 08:00+00', timestamptz '2024-03-07 15:00+00', 44 * 12::numeric),
    ('customer_audit_events', 88::bigint, '2024-03-04 00:00+00', '2024-03-07 15:00+00', 88 * 12) $$, 'counts whole hours');

-- ---- rows go -----------------------------------------------------------------------------------------------------
CREATE TEMP TABLE kept AS SELECT * FROM customer;
DELETE FROM customer WHERE event_time >= '2024-03-07 12:00+00' AND event_time < '2024-03-07 14:00+00' AND extract(minute FROM event_time)::int % 10 = 0;
SELECT is(r.outcome, 'ok', 'before the hour is over, nothing is counted again') FROM pg_temp.at('2024-03-07 16:50+00') r;
SELECT is_empty('SELECT * FROM pg_temp.gone', 'and nothing found');
SELECT is(r.outcome, 'ok', 'an hour later') FROM pg_temp.at('2024-03-07 17:06+00') r;
SELECT results_eq('SELECT source, entity, severity, episode, observed, unit, threshold, fired_by, verdict, condition, escalation_owner, sample_size, p_value, late FROM pg_temp.gone', $$ VALUES
    ('customer_audit_events', 'customer_audit_events (rows gone)', 'critical', tstzrange('2024-03-07 12:00+00', '2024-03-07 14:00+00'), 12::float8, 'rows missing', 0::float8,
     'threshold', 'undetermined', 'firing', 'security-agent', 12::bigint, NULL::float8, false) $$, 'two hours that lost rows are one finding');
SELECT is(summary, 'customer_audit_events: 12 of 24 audit events between 2024-03-07 12:00 UTC and 2024-03-07 14:00 UTC are gone; somebody deleted them or dated them anew, or a retention job did',
    'which says so') FROM pg_temp.gone;
SELECT is(evidence, '{"conditions": ["rows_gone"], "missing": 12, "before": 24, "now": 12, "hours_concerned": 2, "hours": [{"hour": "2024-03-07T12:00:00+00:00", "before": 12, "now": 6}, {"hour": "2024-03-07T13:00:00+00:00", "before": 12, "now": 6}]}',
    'with the counts') FROM pg_temp.gone;
SELECT is_empty('SELECT * FROM pg_temp.gaps', 'ten minutes without an event are no gap by themselves');
SELECT is(last_detail, 'judged again from 2024-03-07 12:00:00+00 on, since the rows of customer_audit_events have changed', 'the record of runs says that it was judged again')
FROM (SELECT detail AS last_detail FROM raxx_detect.rule_runs WHERE detail IS NOT NULL AND rule_id = 'data_audit_log_gap_window' ORDER BY run_id DESC LIMIT 1) x;
CREATE TEMP TABLE first AS SELECT * FROM pg_temp.gone;

-- What else the rule does leaves it alone: runs, a gap and its end, everything judged from the beginning, an empty table.
SELECT is(r.outcome, 'ok', 'the next run') FROM pg_temp.at('2024-03-07 17:30+00') r;
UPDATE clock SET at = '2024-03-07 18:10+00';
SELECT is((r.outcome, r.findings_new), ('ok'::text, 2::bigint), 'both logs fall silent') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-07 18:04+00') r;
SELECT is((r.outcome, r.findings_updated), ('ok'::text, 2::bigint), 'and speak again') FROM pg_temp.at('2024-03-07 18:20+00') r;
DELETE FROM raxx_detect.coverage;
SELECT is((r.outcome, r.findings_new, r.findings_updated), ('ok'::text, 0::bigint, 0::bigint), 'judged from the beginning') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-07 18:20+00') r;
SELECT set_eq('SELECT * FROM pg_temp.gone', 'SELECT * FROM first', 'it stays as it was');
SAVEPOINT emptied;
TRUNCATE customer, console;
SELECT is(r.outcome, 'no_data', 'no rows at all') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-07 18:21+00') r;
SELECT set_eq('SELECT * FROM pg_temp.gone', 'SELECT * FROM first', 'is no reason to say no_data of it');
ROLLBACK TO emptied;
SELECT is_empty($$SELECT l.* FROM raxx_detect.rules r CROSS JOIN LATERAL raxx_detect.left_out(r, 'customer_audit_events', '["2024-03-07 10:00+00","2024-03-07 15:00+00")') l
    WHERE r.rule_id = 'data_audit_log_gap_window'$$, 'and the cadence of those hours is learnt, but for gaps');
-- A silence that rows within the lateness fill is withdrawn as ever.
UPDATE clock SET at = '2024-03-07 18:50+00';
SELECT is(r.findings_new, 2::bigint, 'silent') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-07 18:49+00') r;
INSERT INTO customer (event_time) VALUES ('2024-03-07 18:44:30+00');
SELECT matches(r.detail, 'withdrew 1 findings', 'and filled') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-07 18:50+00') r;

-- ---- more go, some come back ---------------------------------------------------------------------------------------
DELETE FROM customer WHERE event_time >= '2024-03-07 13:00+00' AND event_time < '2024-03-07 15:00+00' AND extract(minute FROM event_time)::int % 10 = 5;
SELECT is(r.outcome, 'ok', 'more go') FROM pg_temp.at('2024-03-07 19:07+00') r;
SELECT results_eq('SELECT finding_id, episode, observed, condition, evidence -> ''missing'' FROM pg_temp.gone',
    $$ SELECT finding_id, tstzrange('2024-03-07 12:00+00', '2024-03-07 15:00+00'), 24::float8, 'firing', '24'::jsonb FROM first $$, 'the same finding grows');
SELECT results_eq('SELECT condition, episode FROM pg_temp.gaps WHERE upper(episode) < ''2024-03-07 15:00+00''', $$ VALUES ('cleared', tstzrange('2024-03-07 12:55+00', '2024-03-07 14:00+00')) $$,
    'an hour without any is a gap as well');
SELECT ok(late, 'found late') FROM raxx_detect.detection_findings WHERE lower(episode) = '2024-03-07 12:55+00';
INSERT INTO customer OVERRIDING SYSTEM VALUE SELECT k.* FROM kept k WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = k.id) AND k.event_time < '2024-03-07 13:00+00';
SELECT is(r.outcome, 'ok', 'some come back') FROM pg_temp.at('2024-03-07 20:07+00') r;
SELECT results_eq('SELECT finding_id, episode, observed, condition, evidence -> ''missing'' FROM pg_temp.gone',
    $$ SELECT finding_id, tstzrange('2024-03-07 12:00+00', '2024-03-07 15:00+00'), 24::float8, 'firing', '18'::jsonb FROM first $$, 'it keeps its peak, and says how many are missing still');
SELECT matches(summary, '18 of 36 .* at most 24 were missing', 'in words, too') FROM pg_temp.gone;
INSERT INTO customer OVERRIDING SYSTEM VALUE SELECT k.* FROM kept k WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = k.id);
SELECT is(r.outcome, 'ok', 'all come back') FROM pg_temp.at('2024-03-07 21:07+00') r;
SELECT results_eq('SELECT finding_id, observed, condition, summary FROM pg_temp.gone', $$ SELECT finding_id, 24::float8, 'cleared',
    'customer_audit_events: 24 audit events between 2024-03-07 12:00 UTC and 2024-03-07 15:00 UTC were missing; there are as many as before again, or others in their place' FROM first $$, 'cleared, and on record');
SELECT is(count(*), 1::bigint, 'so is the gap that was there') FROM raxx_detect.detection_findings WHERE lower(episode) = '2024-03-07 12:55+00' AND evidence ? 'refuted_at';

-- ---- closed by people: what goes then is another finding ---------------------------------------------------------------
DELETE FROM customer WHERE event_time >= '2024-03-07 12:00+00' AND event_time < '2024-03-07 12:30+00';
SELECT is(r.outcome, 'ok', 'gone again') FROM pg_temp.at('2024-03-07 22:07+00') r;
SELECT results_eq('SELECT finding_id, condition, evidence -> ''missing'' FROM pg_temp.gone', $$ SELECT finding_id, 'firing', '6'::jsonb FROM first $$, 'fires again');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign' WHERE finding_id = (SELECT finding_id FROM first);
DELETE FROM customer WHERE event_time = '2024-03-07 12:35+00';
SELECT is(r.outcome, 'ok', 'one more goes') FROM pg_temp.at('2024-03-07 23:07+00') r;
SELECT results_eq('SELECT entity, observed, episode, evidence -> ''before'' FROM pg_temp.gone WHERE triage = ''new''',
    $$ SELECT format('customer_audit_events (rows gone, after finding %s)', finding_id), 1::float8, tstzrange('2024-03-07 12:00+00', '2024-03-07 13:00+00'), '6'::jsonb FROM first $$,
    'which is another finding');

-- ---- dated anew; a truncated log; a rule that is disabled --------------------------------------------------------------
SELECT is(r.outcome, 'ok', 'the next day') FROM pg_temp.at('2024-03-08 16:20+00') r;
UPDATE customer SET event_time = event_time + interval '1 hour' WHERE event_time = (SELECT min(c.event_time) FROM customer c WHERE c.event_time >= '2024-03-08 09:00+00');
SELECT isnt_empty($$SELECT FROM pg_temp.at('2024-03-08 17:06+00')$$, 'a row is dated anew');
SELECT results_eq('SELECT episode, observed FROM pg_temp.gone WHERE lower(episode) > ''2024-03-08''', $$ VALUES (tstzrange('2024-03-08 09:00+00', '2024-03-08 10:00+00'), 1::float8) $$,
    'the hour that it left lost it');
SELECT raxx_detect.disable('data_audit_log_gap_window', 'for the test');
DELETE FROM customer WHERE event_time >= '2024-03-08 13:00+00' AND event_time < '2024-03-08 14:00+00';
SELECT is(r.outcome, 'skipped', 'disabled') FROM pg_temp.at('2024-03-08 18:06+00') r;
SELECT is(count(*), 3::bigint, 'a disabled rule finds nothing') FROM pg_temp.gone;
SELECT raxx_detect.enable('data_audit_log_gap_window');
SELECT is((SELECT r.outcome FROM pg_temp.at('2024-03-08 18:20+00') r), 'ok', 'enabled again');
SELECT is(count(*), 1::bigint, 'it judges what changed meanwhile') FROM pg_temp.gaps WHERE episode @> tstzrange('2024-03-08 13:00+00', '2024-03-08 14:00+00');
CREATE TEMP TABLE had AS SELECT sum(rows)::float8 AS rows FROM raxx_detect.hourly_counts WHERE source = 'console_audit_events';
TRUNCATE console;
SELECT isnt_empty($$SELECT FROM pg_temp.at('2024-03-08 19:06+00')$$, 'a log is truncated');
SELECT results_eq('SELECT episode, observed, condition FROM pg_temp.gone WHERE source = ''console_audit_events''',
    $$ SELECT tstzrange('2024-03-04 08:00+00', '2024-03-08 18:00+00'), rows, 'firing' FROM had $$, 'one finding with all of it, of all days, nights or not');
SELECT * FROM finish();
ROLLBACK;
