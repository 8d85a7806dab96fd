-- The sweep, case by case: what is late and what only grows, silences that a late row splits or fills, baselines, rows that go,
-- sources that only explain others, rules that are disabled or fail, bindings, and sources that fail.
BEGIN;
SELECT plan(56);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
CREATE FUNCTION pg_temp.deny(operator text, from_time timestamptz, number int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO denials (event_time, operator, permission) SELECT from_time + i * interval '1 minute', operator, 'users:admin' FROM generate_series(0, number - 1) i
$$;
CREATE FUNCTION pg_temp.go(as_of timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT r.outcome, ',') FROM raxx_detect.run_all(as_of) r WHERE r.state IN ('live', 'placeholder')
$$;
CREATE VIEW pg_temp.bursts AS
SELECT finding_id, source, entity, lower(episode) AS began, upper(episode) AS ended, observed, late, condition, triage, evidence ? 'refuted_at' AS refuted FROM raxx_detect.detection_findings;
CREATE VIEW pg_temp.counted AS SELECT source, hour, rows FROM raxx_detect.hourly_counts;

-- ---- a burst that comes late, one that grows, two that become one -----------------------------------------------------
SELECT pg_temp.deny('early', '2024-03-05 08:00+00', 1);
SELECT pg_temp.deny('known', '2024-03-05 10:00+00', 3);
SELECT pg_temp.deny('known', '2024-03-05 10:30+00', 3);
SELECT is(pg_temp.go('2024-03-05 12:10+00'), 'ok', 'a first run');
CREATE TEMP TABLE known AS SELECT * FROM pg_temp.bursts;
CREATE TEMP TABLE coverage_then AS SELECT * FROM raxx_detect.coverage;
SELECT results_eq('SELECT entity, began, ended, late FROM known ORDER BY began', $$ VALUES ('known', timestamptz '2024-03-05 10:02+00', timestamptz '2024-03-05 10:10+00', false),
    ('known', '2024-03-05 10:32+00', '2024-03-05 10:40+00', false) $$, 'finds two bursts');
SELECT pg_temp.deny('unknown', '2024-03-05 10:15+00', 4);
SELECT is(pg_temp.go('2024-03-05 12:40+00'), 'ok', 'rows come two hours late');
SELECT set_eq('SELECT * FROM pg_temp.bursts', 'SELECT * FROM known', 'and are found by nobody within the hour');
SELECT is(pg_temp.go('2024-03-05 13:06+00'), 'ok', 'but when it is over');
SELECT results_eq('SELECT began, ended, observed, late FROM pg_temp.bursts WHERE entity = ''unknown''',
    $$ VALUES (timestamptz '2024-03-05 10:17+00', timestamptz '2024-03-05 10:26+00', 4::float8, true) $$, 'they are, and it is late');
SELECT set_eq('SELECT * FROM pg_temp.bursts WHERE entity = ''known''', 'SELECT * FROM known', 'the others are as they were');
SELECT pg_temp.deny('known', '2024-03-05 10:05+00', 30);
UPDATE raxx_detect.coverage SET settled = '2024-03-05 12:47+00', looked_to = '2024-03-05 13:06+00';  -- as a transaction that stays open would have it
SELECT results_eq('SELECT outcome, hours, rows_before, rows_now, findings_new, findings_updated FROM raxx_detect.sweep(''2024-03-05 13:06+00'')',
    $$ VALUES ('ok', '{["2024-03-05 10:00+00","2024-03-05 11:00+00")}'::tstzmultirange, 10::bigint, 40::bigint, 0::bigint, 1::bigint) $$, 'a sweep says which hours have changed');
SELECT results_eq('SELECT finding_id, began, ended, observed, late FROM pg_temp.bursts WHERE entity = ''known''',
    $$ SELECT min(finding_id), timestamptz '2024-03-05 10:02+00', timestamptz '2024-03-05 10:42+00', 13::float8, false FROM known $$, 'two findings became the first of them, which had been there before');
SELECT results_eq('SELECT settled, looked_to FROM raxx_detect.coverage', $$ VALUES (timestamptz '2024-03-05 12:47+00', timestamptz '2024-03-05 13:06+00') $$, 'and the coverage is as it was');
UPDATE raxx_detect.coverage SET settled = '2024-03-05 13:01+00';

-- Within the lateness nothing is late, also where the sweep sees it first.
SELECT pg_temp.deny('punctual', '2024-03-05 13:02+00', 3);
SELECT is(array_agg(r.findings_new), '{1}', 'an hour that is counted for the first time is judged again, up to where a run had looked') FROM raxx_detect.sweep('2024-03-05 14:06+00') r;
SELECT pg_temp.deny('punctual', '2024-03-05 13:58+00', 3);
SELECT is(pg_temp.go('2024-03-05 14:03+00'), 'ok', 'a run');
SELECT pg_temp.deny('slow', '2024-03-05 13:59+00', 3);
SELECT is(pg_temp.go('2024-03-05 14:06+00'), 'ok', 'and the next, which sweeps');
SELECT set_eq('SELECT entity, late FROM pg_temp.bursts WHERE entity IN (''slow'', ''punctual'')', $$ VALUES ('punctual', false), ('slow', false) $$, 'what comes within the lateness is not late');
-- A row that came between the last look and the first count.
SELECT is(pg_temp.go('2024-03-05 14:59+00'), 'ok', 'the last look at 14:50 that could see it');
SELECT pg_temp.deny('between', '2024-03-05 14:40+00', 3);
SELECT is(pg_temp.go('2024-03-05 15:06+00'), 'ok', 'fourteen minutes late, before the hour was counted');
SELECT results_eq('SELECT late FROM pg_temp.bursts WHERE entity = ''between''', 'VALUES (true)', 'and found all the same');

-- ---- rows that go from another source than an audit log -------------------------------------------------------------------
DELETE FROM denials WHERE operator = 'unknown';
SELECT results_eq('SELECT outcome, rows_before, rows_now FROM raxx_detect.sweep(''2024-03-05 15:06+00'')', $$ VALUES ('ok', 40::bigint, 36::bigint) $$, 'rows go');
SELECT results_eq('SELECT condition, refuted FROM pg_temp.bursts WHERE entity = ''unknown''', $$ VALUES ('cleared', true) $$, 'what they showed stays on record, and says that they changed');
SELECT is(count(*), 0::bigint, 'that they went is no finding') FROM pg_temp.bursts WHERE entity LIKE '%gone%';
CREATE TEMP TABLE all_of_it AS SELECT * FROM pg_temp.bursts;
DELETE FROM denials WHERE event_time < '2024-03-05 13:30+00';
SELECT is(array_agg(outcome), '{ok}', 'what is old is deleted') FROM raxx_detect.sweep('2024-03-05 15:06+00');
SELECT set_eq('SELECT * FROM pg_temp.bursts', 'SELECT * FROM all_of_it', 'which changes no finding');
SELECT results_eq('SELECT hour, rows FROM pg_temp.counted WHERE rows > 0 ORDER BY hour', $$ VALUES (timestamptz '2024-03-05 13:00+00', 3::bigint), ('2024-03-05 14:00+00', 6) $$, 'and is counted');

-- ---- a rule that is not active, and one that fails ------------------------------------------------------------------------
SELECT raxx_detect.disable('auth_rbac_denied_burst', 'for the test');
SELECT pg_temp.deny('meanwhile', '2024-03-05 13:30+00', 3);
SELECT is(array_agg(findings_new), '{0}', 'a disabled rule judges nothing again') FROM raxx_detect.sweep('2024-03-05 15:06+00');
SELECT raxx_detect.enable('auth_rbac_denied_burst');
SELECT is(pg_temp.go('2024-03-05 15:20+00'), 'ok', 'once it is enabled');
SELECT is(count(*), 1::bigint, 'it does') FROM pg_temp.bursts WHERE entity = 'meanwhile';
SELECT raxx_detect.create_source_table('waitlist_signups', 'signups');
INSERT INTO signups (event_time, email, origin, country) SELECT timestamptz '2024-03-05 13:00+00' + i * interval '1 minute', 'a@site.example', 'o', 'DE' FROM generate_series(0, 150) i;
SELECT is(pg_temp.go('2024-03-05 15:35+00'), 'ok', 'sign-ups');
INSERT INTO signups (event_time, email, origin, country) SELECT timestamptz '2024-03-05 13:30+00' + i * interval '1 second', 'a@site.example', 'late', 'FR' FROM generate_series(1, 30) i;
ALTER TABLE signups RENAME country TO land;
SELECT results_eq('SELECT outcome, findings_new FROM raxx_detect.sweep(''2024-03-05 15:35+00'') WHERE source = ''waitlist_signups''', $$ VALUES ('error', 2::bigint) $$, 'a rule that fails says so, the others go on');
SELECT matches(error, '^signup_geographic_burst: 42703: .*country', 'which and why') FROM raxx_detect.sweeps WHERE source = 'waitlist_signups';
SELECT set_eq($$SELECT rule_id FROM raxx_detect.detection_findings WHERE entity LIKE 'late' OR entity LIKE '%site.example' AND late$$,
    $$ VALUES ('signup_waitlist_velocity_per_origin'), ('signup_email_pattern_anomaly') $$, 'the others found it');
ALTER TABLE signups RENAME land TO country;
SELECT is(pg_temp.go('2024-03-05 15:36+00'), 'ok', 'mended');
SELECT results_eq($$SELECT entity FROM pg_temp.bursts WHERE entity = 'FR'$$, $$ VALUES ('FR') $$, 'its next run finds it');

-- ---- a source that fails does not stop the others --------------------------------------------------------------------------
INSERT INTO denials (event_time, operator, permission) VALUES ('2024-03-05 14:10+00', 'one', 'p');
ALTER TABLE signups RENAME event_time TO at;
SELECT results_eq('SELECT source, outcome FROM raxx_detect.sweep(''2024-03-05 16:06+00'') ORDER BY source', $$ VALUES ('rbac_denials', 'ok'), ('waitlist_signups', 'error') $$, 'it fails alone');
SELECT matches(error, '^42703: ', 'with its SQLSTATE') FROM raxx_detect.sweeps WHERE source = 'waitlist_signups';
SELECT results_eq('SELECT rows FROM pg_temp.counted WHERE source = ''rbac_denials'' AND hour = ''2024-03-05 14:00+00''', 'VALUES (7::bigint)', 'the other is counted');
ALTER TABLE signups RENAME at TO event_time;
SELECT is(array_agg(outcome ORDER BY source), '{ok,ok}', 'mended') FROM raxx_detect.sweep('2024-03-05 16:06+00');
SELECT is(error, NULL, 'and forgotten') FROM raxx_detect.sweeps WHERE source = 'waitlist_signups';

-- ---- bindings -----------------------------------------------------------------------------------------------------------
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', lateness => '10 minutes');
SELECT isnt_empty('SELECT FROM pg_temp.counted WHERE source = ''waitlist_signups''', 'another lateness leaves the counts');
CREATE VIEW other AS SELECT * FROM signups;
SELECT raxx_detect.bind_source('waitlist_signups', 'other');
SELECT is_empty('SELECT FROM pg_temp.counted WHERE source = ''waitlist_signups''', 'another relation forgets them');
SELECT isnt_empty('SELECT FROM raxx_detect.sweep(''2024-03-05 16:06+00'')', 'swept');
SELECT isnt_empty('SELECT FROM pg_temp.counted WHERE source = ''waitlist_signups''', 'and counts anew');

-- ---- silences -----------------------------------------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('console_audit_events', 'console');
INSERT INTO console (event_time) SELECT t FROM generate_series(timestamptz '2024-03-05 12:00+00', '2024-03-05 21:00+00', '10 minutes') t
WHERE t <= '2024-03-05 13:00+00' OR t BETWEEN '2024-03-05 15:00+00' AND '2024-03-05 16:00+00' OR t >= '2024-03-05 16:40+00';
SELECT is(pg_temp.go('2024-03-05 21:10+00'), 'ok', 'two silences');
CREATE TEMP TABLE silences AS SELECT * FROM pg_temp.bursts WHERE source = 'console_audit_events';
INSERT INTO console (event_time) VALUES ('2024-03-05 13:50+00'), ('2024-03-05 16:20+00');
SELECT is(array_agg(findings_new), '{0,0,1}', 'a late row splits the first, another fills the second') FROM (SELECT * FROM raxx_detect.sweep('2024-03-05 21:10+00') ORDER BY source DESC) s;
SELECT results_eq('SELECT finding_id, began, ended, observed, late, refuted FROM pg_temp.bursts WHERE source = ''console_audit_events'' ORDER BY began', $$
    SELECT finding_id, timestamptz '2024-03-05 13:00+00', timestamptz '2024-03-05 13:50+00', 50::float8, false, false FROM silences WHERE began = '2024-03-05 13:00+00'
    UNION ALL SELECT (SELECT max(finding_id) FROM pg_temp.bursts), '2024-03-05 13:50+00', '2024-03-05 15:00+00', 70, true, false
    UNION ALL SELECT finding_id, '2024-03-05 16:00+00', '2024-03-05 16:00+00', 40, false, true FROM silences WHERE began = '2024-03-05 16:00+00' $$,
    'the first half keeps its finding, the second is late, and the one that was filled stays on record');

-- ---- deploys that explain restarts ----------------------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('dyno_restarts', 'restarts');
SELECT raxx_detect.create_source_table('deploy_events', 'deploys');
UPDATE raxx_detect.rules SET prerequisites = '{}' WHERE number IN (4, 14);
INSERT INTO restarts (event_time, app, dyno) SELECT timestamptz '2024-03-05 13:55+00' + i * interval '1 minute', 'web', 'web.' || i FROM generate_series(1, 4) i;
INSERT INTO deploys (event_time, app) VALUES ('2024-03-05 09:00+00', 'web');
SELECT is(pg_temp.go('2024-03-05 21:20+00'), 'ok', 'restarts');
SELECT is(count(*), 1::bigint, 'of a whole app') FROM pg_temp.bursts WHERE source = 'dyno_restarts' AND NOT refuted;
INSERT INTO deploys (event_time, app) VALUES ('2024-03-05 14:03+00', 'web');
SELECT is(sum(findings_updated), 1::numeric, 'a deploy of the hour after comes late') FROM raxx_detect.sweep('2024-03-05 21:20+00');
SELECT is(count(*), 0::bigint, 'and explains them') FROM pg_temp.bursts WHERE source = 'dyno_restarts' AND NOT refuted;

-- ---- a baseline -------------------------------------------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('waitlist_signups', 'pumped');
SELECT raxx_detect.bind_source('waitlist_signups', 'pumped');
INSERT INTO pumped (event_time, email, origin) SELECT t, 'a@site.example', 'o' FROM generate_series(timestamptz '2024-03-01 00:30+00', '2024-03-11 18:00+00', '1 hour') t;
SELECT is(pg_temp.go('2024-03-11 18:10+00') LIKE '%ok%', true, 'ten days of sign-ups');
CREATE TEMP TABLE learnt AS SELECT d.*, d.ctid::text AS place FROM raxx_detect.baseline_days d WHERE rule_id = 'signup_waitlist_velocity_per_origin';
INSERT INTO pumped (event_time, email, origin) SELECT timestamptz '2024-03-10 12:00+00' + i * interval '10 seconds', 'a@site.example', 'o' FROM generate_series(1, 2) i
UNION ALL SELECT timestamptz '2024-03-11 12:00+00' + i * interval '10 seconds', 'a@site.example', 'o' FROM generate_series(1, 12) i;
SELECT isnt_empty('SELECT FROM raxx_detect.sweep(''2024-03-11 18:10+00'')', 'rows of a day that is learnt, and of today, come late');
SELECT results_eq('SELECT entity, lower(episode)::date, observed, fired_by, late, evidence #>> ''{baseline,days}'' FROM raxx_detect.detection_findings WHERE rule_id = ''signup_waitlist_velocity_per_origin'' AND lower(episode) > ''2024-03-06''',
    $$ VALUES ('o', date '2024-03-11', 12::float8, 'baseline', true, '7') $$, 'judged by the baseline of that day');
SELECT set_eq($$SELECT d.*, d.ctid::text AS place FROM raxx_detect.baseline_days d WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, 'SELECT * FROM learnt', 'which nobody has learnt anew');
CREATE TEMP TABLE by_baseline AS SELECT * FROM pg_temp.bursts WHERE source = 'waitlist_signups';
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_floor": 15}');
INSERT INTO pumped (event_time, email, origin) VALUES ('2024-03-11 11:00+00', 'a@site.example', 'o');
SELECT isnt_empty('SELECT FROM raxx_detect.sweep(''2024-03-11 18:10+00'')', 'judged again by another limit');
SELECT set_eq('SELECT * FROM pg_temp.bursts WHERE source = ''waitlist_signups''', 'SELECT * FROM by_baseline', 'what a baseline found stays found');

SELECT raxx_detect.unbind_source('waitlist_signups');
SELECT is_empty('SELECT FROM pg_temp.counted WHERE source = ''waitlist_signups''', 'what is not bound has none');
SELECT throws_ok('SELECT * FROM raxx_detect.sweep(''infinity'')', '22023', 'as_of must be a finite time', 'sweeps have a finite time');
SELECT * FROM finish();
ROLLBACK;
