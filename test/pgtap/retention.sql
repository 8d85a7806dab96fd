-- How long records of runs and of changes of state are kept, and which errors are on record again. Times are days before now.
BEGIN;
SELECT plan(30);
SET LOCAL timezone = 'UTC';
CREATE FUNCTION pg_temp.ago(days float8) RETURNS timestamptz LANGUAGE sql AS 'SELECT now() - days * interval ''1 day''';
CREATE PROCEDURE pg_temp.ran(rule text, VARIADIC at float8[]) LANGUAGE sql AS $$
    INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read, elapsed)
    SELECT pg_temp.ago(a), now(), rule, 'live', 'ok', 0, 0, 0, '0' FROM unnest(at) WITH ORDINALITY u(a, n) ORDER BY n $$;
CREATE FUNCTION pg_temp.kept(rule text) RETURNS int[] LANGUAGE sql AS
$$ SELECT array_agg(extract(day FROM now() - started_at)::int ORDER BY run_id) FROM raxx_detect.rule_runs WHERE rule_id = rule $$;

-- ---- runs ------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.rule_runs;
CALL pg_temp.ran('auth_rbac_denied_burst', 900, 800, 700, 600, 401, 399, 1);
CALL pg_temp.ran('data_backtest_benford', 3000, 2000, 1000);
CALL pg_temp.ran('cost_dyno_hour_spike', 1000);
CALL pg_temp.ran('signup_geographic_burst', 100, 50);
SELECT is((p.runs, p.state_changes, p.interruptions), (2::bigint, 0::bigint, 0::bigint), 'so many at most') FROM raxx_detect.prune_records(2) p;
SELECT is(pg_temp.kept('auth_rbac_denied_burst'), '{700,600,401,399,1}', 'of the oldest records');
SELECT is(runs, 4::bigint, 'the others') FROM raxx_detect.prune_records() p;
SELECT is(pg_temp.kept('auth_rbac_denied_burst'), '{401,399,1}', 'what was in force 400 days ago stays');
SELECT is(pg_temp.kept('data_backtest_benford'), '{1000}', 'so does the newest record');
SELECT is(pg_temp.kept('cost_dyno_hour_spike'), '{1000}', 'be it the only one');
SELECT is(pg_temp.kept('signup_geographic_burst'), '{100,50}', 'and what is not old');
SELECT is(runs, 0::bigint, 'that is all') FROM raxx_detect.prune_records() p;
SET LOCAL raxx_detect.keep_runs = '60d';
SELECT is(runs, 1::bigint, 'another time') FROM raxx_detect.prune_records() p;
SELECT is(pg_temp.kept('auth_rbac_denied_burst'), '{399,1}', 'is kept');
RESET raxx_detect.keep_runs;
SELECT throws_ok('SET LOCAL raxx_detect.keep_runs = ''1d''', '22023', NULL, 'a week is the least');
SELECT throws_ok('SELECT raxx_detect.prune_records(-1)', '22023', 'at_most must not be negative', 'fewer than none');
SELECT throws_ok('SELECT raxx_detect.prune_records(NULL)', '22023', 'at_most must not be negative', 'nobody knows how many');

DELETE FROM raxx_detect.rule_runs;

-- ---- changes of state, interruptions; findings ---------------------------------------------------------------------------
DELETE FROM raxx_detect.rule_state_changes;
INSERT INTO raxx_detect.rule_state_changes (rule_id, changed_at, from_state, to_state, reason)
SELECT 'auth_rbac_denied_burst', pg_temp.ago(d), 'live', 'dormant', d FROM unnest('{9000,8000,4001,3999,10}'::int[]) d;
INSERT INTO raxx_detect.interruptions VALUES ('pause', pg_temp.ago(500), pg_temp.ago(401), '1'), ('pause', pg_temp.ago(490), pg_temp.ago(399), '2'),
    ('stall', pg_temp.ago(600), NULL, '3');
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size, summary,
    evidence, condition, occurrences, escalation_owner, detected_at)
SELECT 'auth_rbac_denied_burst', 'x', 'auth', 'rbac_denials', 'high', 'e', tstzrange(pg_temp.ago(9000), pg_temp.ago(8999)), 1, 'x', 'threshold', 1, 's', '{}',
    'cleared', 1, 'o', pg_temp.ago(9000);
SELECT is((p.runs, p.state_changes, p.interruptions), (0::bigint, 2::bigint, 1::bigint), 'ten times as long') FROM raxx_detect.prune_records() p;
SELECT results_eq('SELECT reason FROM raxx_detect.rule_state_changes ORDER BY change_id', '{4001,3999,10}'::text[], 'what was in force then stays');
SELECT results_eq('SELECT detail FROM raxx_detect.interruptions ORDER BY began DESC', '{2,3}'::text[], 'what lasts stays, however old');
SELECT is(count(*), 1::bigint, 'findings are for ever') FROM raxx_detect.detection_findings;

-- ---- once a day --------------------------------------------------------------------------------------------------------
CALL pg_temp.ran('auth_rbac_denied_burst', 900, 800);
UPDATE raxx_detect.heartbeat SET last_run_at = date_trunc('day', now());
SELECT count(*) FROM raxx_detect.run_all();
SELECT is((pg_temp.kept('auth_rbac_denied_burst'))[1:2], '{900,800}', 'a run like any other deletes nothing');
UPDATE raxx_detect.heartbeat SET last_run_at = date_trunc('day', now()) - interval '1 microsecond';
CREATE ROLE raxx_test_runner;
GRANT USAGE ON SCHEMA raxx_detect TO raxx_test_runner;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA raxx_detect TO raxx_test_runner;
SET LOCAL ROLE raxx_test_runner;
SELECT raxx_detect.note_run(coalesce(h.held_since, now())) FROM raxx_detect.horizon() h;
RESET ROLE;
SELECT is((pg_temp.kept('auth_rbac_denied_burst'))[1:2], '{900,800}', 'who may not delete records runs the rules all the same');
SELECT count(*) FROM raxx_detect.run_all();
SELECT is((pg_temp.kept('auth_rbac_denied_burst'))[1], 800, 'the first run of a day deletes what is outdated');

-- ---- errors that go on -------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.rule_runs;
CREATE FUNCTION pg_temp.news(outcome text, detail text, state text DEFAULT 'live', findings bigint DEFAULT 0) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE before bigint := (SELECT count(*) FROM raxx_detect.rule_runs);
BEGIN
    PERFORM raxx_detect.record_run(('auth_rbac_denied_burst', state, outcome, findings, 0, 0, NULL, '0', detail)::raxx_detect.rule_run, clock_timestamp(), now());
    RETURN (SELECT count(*) FROM raxx_detect.rule_runs) > before;
END $$;
SELECT ok(pg_temp.news('error', '22P02: invalid input syntax for type integer: "a1".'), 'an error is on record');
SELECT ok(NOT pg_temp.news('error', '22P02: invalid input syntax for type integer: "a27".'), 'in which another number stands is the same');
SELECT ok(pg_temp.news('error', '22P02: invalid input syntax for type integer: "b".'), 'with another text it is another');
SELECT ok(pg_temp.news('error', '22P03: invalid input syntax for type integer: "b".'), 'and with another SQLSTATE');
SELECT ok(pg_temp.news('error', '22P03: invalid input syntax for type integer: "b".', 'placeholder'), 'or in another state');
SELECT ok(pg_temp.news('error', '22P03: invalid input syntax for type integer: "b".', 'placeholder', 1), 'or that found something');
SELECT is((SELECT count(*) FROM generate_series(1, 300) n WHERE pg_temp.news('error', '22P03: row ' || translate(n::text, '0123456789', 'abcdefghij'), 'placeholder')),
    95::bigint, 'a text that changes all the time is written a hundred times a day');
SELECT ok(pg_temp.news('ok', NULL) AND pg_temp.news('error', '22P03: row 301'), 'but how a rule fares is always on record');
-- ---- a rule whose outcome changes all the time (last, since what is deleted stays in the way until the end) -----------------
INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read, elapsed)
SELECT now(), now(), 'cost_dyno_hour_spike', 'live', 'ok', 0, 0, 0, '0' FROM generate_series(1, 100001);
SELECT is(runs, 1::bigint, 'the oldest record goes') FROM raxx_detect.prune_records() p;
SELECT is(count(*), 100000::bigint, 'the newest are kept') FROM raxx_detect.rule_runs WHERE rule_id = 'cost_dyno_hour_spike';
SELECT * FROM finish();
ROLLBACK;
