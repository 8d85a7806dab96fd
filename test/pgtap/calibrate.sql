-- calibrate: its grid is what backtests at each of its points find, on random rows with ties, in one pass or by replays; what
-- was confirmed is no false alarm, and is marked where it would be lost; and the verdict is kept.
BEGIN;
SELECT plan(42);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';

-- ---- the interval ---------------------------------------------------------------------------------------------------
-- Garwood's own table, and what the definition says.
SELECT is(round(low::numeric, 4) || ' ' || round(high::numeric, 4), x.known, format('the interval of %s', x.k))
FROM (VALUES (0, '0.0000 3.6889'), (1, '0.0253 5.5716'), (2, '0.2422 7.2247'), (10, '4.7954 18.3904'), (50, '37.1110 65.9188')) x(k, known)
CROSS JOIN LATERAL raxx_detect.poisson_interval(x.k);
SELECT ok(abs(raxx_detect.poisson_upper_tail(k, low) - 0.005) < 1e-12 AND abs(1 - raxx_detect.poisson_upper_tail(k + 1, high) - 0.005) < 1e-12,
    'the ends are where the tails say') FROM unnest('{3,77,12345}'::bigint[]) k CROSS JOIN LATERAL raxx_detect.poisson_interval(k, 0.99);
SELECT throws_ok('SELECT raxx_detect.poisson_interval(-1)', '22023', NULL, 'a count is not negative');
SELECT throws_ok('SELECT raxx_detect.poisson_interval(1, 1)', '22023', NULL, 'nothing is certain');

-- ---- one pass, beside backtests -----------------------------------------------------------------------------------------
-- Whole minutes, so that many rows share an instant, and rows leave a window of ten minutes just when others come.
CREATE TABLE failures (id bigint PRIMARY KEY, event_time timestamptz, account text, ip inet);
INSERT INTO failures SELECT n, timestamptz '2025-01-01' + pg_temp.pseudo_random(n, 1, 6 * 1440) * interval '1 minute', 'u' || pg_temp.pseudo_random(n, 2, 3)
FROM generate_series(1, 4000) n;
INSERT INTO failures SELECT 100000 + n, timestamptz '2025-01-04 10:00' + n / 3 * interval '1 minute', 'u1' FROM generate_series(1, 60) n;
INSERT INTO failures SELECT 200000 + n, timestamptz '2024-12-31 23:55' + n * interval '1 minute', repeat('long', 100) FROM generate_series(1, 30) n;
CREATE TABLE begins (id bigint PRIMARY KEY, event_time timestamptz, ip inet, email text);
INSERT INTO begins SELECT id, event_time, ('2001:db8:0:' || right(account, 1) || '::7')::inet, 'm' || pg_temp.pseudo_random(id, 3, 12) FROM failures WHERE id < 200000;
SELECT raxx_detect.bind_source('login_failures', 'failures');
SELECT raxx_detect.bind_source('passkey_begin_events', 'begins');
UPDATE raxx_detect.rules SET baseline_window = NULL WHERE rule_id = 'auth_passkey_enumeration';
SELECT raxx_detect.set_params('auth_login_failure_burst', '{"threshold": 6}');

-- What a backtest at each point finds that begins in the stretch, and is not confirmed.
CREATE FUNCTION pg_temp.by_backtests(rule text, from_time timestamptz, to_time timestamptz)
RETURNS TABLE (params jsonb, findings bigint, confirmed bigint, would_lose bigint[]) LANGUAGE sql AS $$
    SELECT c.params, count(b.*) FILTER (WHERE lower(b.episode) > from_time), count(b.*) FILTER (WHERE lower(b.episode) > from_time AND t.hit),
           ARRAY(SELECT f.finding_id FROM raxx_detect.detection_findings f WHERE f.rule_id = rule AND f.disposition = 'true_positive'
                 AND f.episode && tstzrange(from_time, to_time, '(]')
                 EXCEPT SELECT f.finding_id FROM raxx_detect.detection_findings f JOIN raxx_detect.backtest(rule, from_time, to_time, c.params, at_most => 100000) x
                     ON x.entity = f.entity AND x.episode && f.episode WHERE f.rule_id = rule ORDER BY 1)
    FROM raxx_detect.calibrate(rule, from_time, to_time) c
    LEFT JOIN LATERAL raxx_detect.backtest(rule, from_time, to_time, c.params, at_most => 100000) b ON true
    LEFT JOIN LATERAL (SELECT EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = rule AND f.disposition = 'true_positive'
                                      AND f.episode && tstzrange(from_time, to_time, '(]') AND f.entity = b.entity AND f.episode && b.episode) AS hit) t ON true
    GROUP BY c.params $$;
CREATE FUNCTION pg_temp.compare(rule text, from_time timestamptz, to_time timestamptz, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT set_eq(format('SELECT params, findings, confirmed, would_lose FROM raxx_detect.calibrate(%L, %L, %L)', rule, from_time, to_time),
        format('SELECT * FROM pg_temp.by_backtests(%L, %L, %L)', rule, from_time, to_time), what);
    RETURN NEXT cmp_ok((SELECT count(*) FROM raxx_detect.calibrate(rule, from_time, to_time) WHERE findings > 0), '>=', 3::bigint, 'of which some find something');
END $$;
SELECT pg_temp.compare('auth_login_failure_burst', '2025-01-01', '2025-02-10', 'rows by the minute');
SELECT pg_temp.compare('auth_login_failure_burst', '2025-01-02 12:03', '2025-01-04 10:11', 'a stretch in the middle, whose last burst goes on');
SELECT pg_temp.compare('auth_passkey_enumeration', '2025-01-01', '2025-02-10', 'distinct values');

-- By replays: silences, of which each parameter is an interval, and baselines.
CREATE TABLE audit AS SELECT id, event_time FROM failures WHERE id < 100000 AND event_time < '2025-01-04 12:00';
CREATE INDEX ON audit (event_time);
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');
SELECT raxx_detect.set_params('data_audit_log_gap_window', '{"business_gap": "7 minutes", "off_hours_gap": "8 minutes", "baseline_gap": "2 minutes", "baseline_ready": "1 day"}');
SELECT pg_temp.compare('data_audit_log_gap_window', '2025-01-02', '2025-01-04 12:00', 'silences');
SELECT set_has($$SELECT params FROM raxx_detect.calibrate('data_audit_log_gap_window', '2025-01-02', '2025-01-02 01:00')$$, $$VALUES ('{"business_gap": "00:03:30"}'::jsonb), ('{"baseline_gap": "00:06:00"}')$$, 'each by itself');

-- Confirmed findings, some by another threshold, are taken out of the alarms, and looked for.
SELECT count(*) FROM raxx_detect.run('auth_login_failure_burst', '2025-02-10');
SELECT count(*) FROM raxx_detect.run('auth_passkey_enumeration', '2025-02-10');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive' WHERE finding_id % 4 = 0 AND length(entity) < 100;
SELECT cmp_ok(count(*), '>', 10::bigint, 'there is something confirmed') FROM raxx_detect.detection_findings WHERE disposition = 'true_positive';
SELECT pg_temp.compare('auth_login_failure_burst', '2025-01-01', '2025-02-10', 'with confirmed findings');
SELECT pg_temp.compare('auth_login_failure_burst', '2025-01-02 12:03', '2025-01-04 10:11', 'with confirmed findings, in the middle');
SELECT pg_temp.compare('auth_passkey_enumeration', '2025-01-02', '2025-01-05', 'distinct values, with confirmed findings');
SELECT ok(bool_and(would_lose = '{}') FILTER (WHERE (params ->> 'threshold')::int <= 6) AND bool_or(would_lose <> '{}'), 'a higher threshold loses some, and no lower one any')
FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-01', '2025-02-10');
SELECT ok(bool_and((remark LIKE '%would lose%') = (would_lose <> '{}')), 'and says so') FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-01', '2025-02-10');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive' WHERE length(entity) > 200;
SELECT is(max(cardinality(would_lose)), 0, 'an entity too long to be named whole is looked for by backtests')
FROM raxx_detect.calibrate('auth_login_failure_burst', '2024-12-31 23:00', '2025-01-01 01:00') WHERE (params ->> 'threshold')::int <= 6;

-- ---- the numbers and the verdict -----------------------------------------------------------------------------------------
SELECT is(alarms_per_month, ((findings - confirmed) * 30.4375 / 30)::float8, 'alarms are those of a month') FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-02', '2025-02-01') WHERE is_current;
SELECT is((SELECT row(calibration, calibrated_at) FROM raxx_detect.rules WHERE rule_id = 'auth_login_failure_burst'), row('miscalibrated'::text, now()), 'a rule that costs more than it declares is miscalibrated');
CREATE TEMP TABLE measured AS SELECT alarms_per_month FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-02', '2025-02-01') WHERE is_current;
UPDATE raxx_detect.rules SET false_alarms_per_month = (SELECT alarms_per_month * 1.02 FROM measured) WHERE rule_id = 'auth_login_failure_burst';
SELECT is(verdict, 'calibrated', 'one that costs what it declares is not') FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-02', '2025-02-01') WHERE is_current;
SELECT is(calibration, 'calibrated', 'which status shows') FROM raxx_detect.status WHERE rule_id = 'auth_login_failure_burst';
SELECT matches(remark, 'only 1.0 days: the interval is wide', 'a short stretch says so') FROM raxx_detect.calibrate('auth_login_failure_burst', '2025-01-02', '2025-01-03') WHERE is_current;
SELECT raxx_detect.set_params('auth_login_failure_burst', '{"threshold": 7}');
SELECT is(calibration, NULL, 'other parameters have not been looked at') FROM raxx_detect.rules WHERE rule_id = 'auth_login_failure_burst';

-- ---- errors ---------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.calibrate('data_audit_log_hash_chain_break', '2025-01-01', '2025-02-01')$$, '0A000', NULL, 'a chain has no threshold');
SELECT throws_ok($$SELECT raxx_detect.calibrate('auth_login_failure_burst', '2025-01-01', '2025-02-01', '{window}')$$, '22023', NULL, 'a window is no threshold');
SELECT throws_ok($$SELECT raxx_detect.calibrate('auth_login_failure_burst', '2020-01-01', '2020-02-01')$$, '55000', NULL, 'nothing is not calibrated');
SELECT throws_ok($$SELECT raxx_detect.threshold_curve('email_pattern', 'begins', 'event_time', 'email', NULL, NULL, '1 minute', '{}', '-infinity', 'infinity')$$, '22023', NULL, 'a pattern has no curve');
SELECT throws_ok($$SELECT raxx_detect.threshold_curve('velocity', 'begins', 'event_time', 'email', NULL, NULL, '1 minute', NULL, '-infinity', 'infinity')$$, '22004', NULL, 'who is watched is said');
UPDATE raxx_detect.rules SET params = params - 'threshold' WHERE rule_id = 'signup_email_pattern_anomaly';
SELECT is(raxx_detect.calibrated_parameters(r), '{}', 'of a rule without such a parameter there is no grid') FROM raxx_detect.rules r WHERE rule_id = 'signup_email_pattern_anomaly';
SELECT throws_ok($$SELECT raxx_detect.calibrate('auth_session_creation_velocity', '2025-01-01', '2025-02-01')$$, '55000', NULL, 'nor what is not bound');

SELECT * FROM finish();
ROLLBACK;
