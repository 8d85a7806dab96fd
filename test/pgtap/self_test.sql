-- The self-test: all fixtures hold, nothing is left behind, and it can fail.
BEGIN;
SELECT plan(16);

SELECT raxx_detect.create_source_table('rbac_denials', 'denials');
INSERT INTO denials (event_time, operator, permission) SELECT '2026-06-04 16:05+00', 'ops-1', 'users:admin' FROM generate_series(1, 4);
SELECT raxx_detect.run('auth_rbac_denied_burst', '2026-06-04 16:06+00');
CREATE TEMP TABLE before AS
SELECT (SELECT count(*) FROM raxx_detect.detection_findings) AS findings, (SELECT count(*) FROM raxx_detect.coverage) AS coverage,
       (SELECT count(*) FROM raxx_detect.rule_runs) AS runs, (SELECT count(*) FROM raxx_detect.rules) AS rules,
       (SELECT jsonb_agg(b ORDER BY source) FROM raxx_detect.source_bindings b) AS bindings;
SELECT is((SELECT findings FROM before), 1::bigint, 'there is a finding, of an operator that the fixtures know, too');

CREATE TEMP TABLE tested AS SELECT * FROM raxx_detect.self_test();
SELECT is_empty('SELECT rule_id, fixture, expected, observed FROM tested WHERE NOT ok', 'all fixtures hold');
SELECT cmp_ok(count(*), '>=', 60::bigint, 'and they are many') FROM tested;
SELECT set_eq($$SELECT rule_id FROM tested WHERE fixture = 'source_missing' AND expected -> 'findings' = '[]' AND expected ? 'state' AND expected ? 'outcome'$$,
    'SELECT rule_id FROM raxx_detect.rules', 'of every rule, which without its source is not quiet but says so');
CREATE TEMP VIEW judged AS SELECT r.rule_id FROM raxx_detect.rules r JOIN raxx_detect.methods m USING (method)
WHERE m.evaluator IS NOT NULL AND EXISTS (SELECT FROM tested t WHERE t.rule_id = r.rule_id AND t.fixture LIKE 'positive%');
SELECT cmp_ok(count(*), '>=', 4::bigint, 'some of which can fire') FROM judged;
SELECT is_empty($$SELECT rule_id, kind FROM judged CROSS JOIN unnest('{positive%,near_miss%,wrong_group%,benign%}'::text[]) kind
    WHERE NOT EXISTS (SELECT FROM tested t WHERE t.rule_id = judged.rule_id AND t.fixture LIKE kind)$$,
    'each with a positive, a near miss, the wrong group and a benign look-alike');
SELECT cmp_ok(count(*), '>', 20::bigint, 'many of which expect findings') FROM tested WHERE expected <> '[]';
SELECT cmp_ok(count(*), '>', 20::bigint, 'and many none') FROM tested WHERE expected = '[]';
SELECT set_eq('SELECT rule_id FROM raxx_detect.rules WHERE last_validated = now()', 'SELECT rule_id FROM judged', 'those are validated');

SELECT results_eq($$SELECT (SELECT count(*) FROM raxx_detect.detection_findings), (SELECT count(*) FROM raxx_detect.coverage),
       (SELECT count(*) FROM raxx_detect.rule_runs), (SELECT count(*) FROM raxx_detect.rules),
       (SELECT jsonb_agg(b ORDER BY source) FROM raxx_detect.source_bindings b)$$, 'SELECT * FROM before', 'it leaves everything as it was');
SELECT is(count(*), 0::bigint, 'and no table behind') FROM pg_class WHERE relname LIKE 'raxx_fixture%';

-- It can fail: a fixture that expects what is not there.
UPDATE raxx_detect.rules SET last_validated = NULL;
INSERT INTO raxx_detect.fixtures SELECT rule_id, 'wrong', jsonb_set(fixture, '{expect,0,observed}', '7')
FROM raxx_detect.fixtures WHERE rule_id = 'auth_rbac_denied_burst' AND name = 'positive';
SELECT results_eq($$SELECT fixture FROM raxx_detect.self_test('auth_rbac_denied_burst') WHERE NOT ok$$, $$VALUES ('wrong')$$, 'a wrong expectation fails');
SELECT is(last_validated, NULL, 'and does not validate the rule') FROM raxx_detect.rules WHERE rule_id = 'auth_rbac_denied_burst';

-- The state and the outcome count as well.
CREATE FUNCTION pg_temp.passes(expectation jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM raxx_detect.fixtures WHERE rule_id = 'auth_rbac_denied_burst';
    INSERT INTO raxx_detect.fixtures VALUES ('auth_rbac_denied_burst', 'empty',
        '{"start": "2026-06-04T16:00:00Z", "sources": {"rbac_denials": []}, "as_of": "1 h", "expect": []}' || expectation);
    RETURN (SELECT ok FROM raxx_detect.self_test('auth_rbac_denied_burst'));
END $$;
SELECT results_eq($$SELECT pg_temp.passes(e::jsonb) FROM unnest(ARRAY['{}', '{"expect_state": "live"}', '{"expect_state": "dormant"}',
    '{"expect_outcome": "no_data"}', '{"expect_outcome": "ok"}', '{"expect_outcome": ["ok", "no_data"]}', '{"expect_outcome": ["ok", "error"]}',
    '{"expect_state": "live", "expect_outcome": "ok"}', '{"expect_state": "live", "expect_outcome": "no_data", "expect": [{}]}', '{"sources": {}}']) e$$,
    '{t,t,f,t,f,t,f,f,f,f}'::boolean[], 'an expected state or outcome that is another fails');
SELECT is(last_validated, NULL, 'a fixture that expects no finding validates nothing') FROM raxx_detect.rules WHERE rule_id = 'auth_rbac_denied_burst';

-- And so does a rule that is wrong.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 21}');
SELECT cmp_ok(count(*), '>', 0::bigint, 'a threshold one too high fails')
FROM raxx_detect.self_test('signup_waitlist_velocity_per_origin') WHERE NOT ok;

SELECT * FROM finish();
ROLLBACK;
