-- Versions of rules: what makes one, by function and by hand; going back; shadows: judged beside the rule, told to nobody, compared, promoted.
BEGIN;
SELECT plan(46);
SET LOCAL timezone = 'UTC';

CREATE FUNCTION pg_temp.definition(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{
        "rule_id": "own_signups", "title": "Many sign-ups of an origin", "method": "velocity", "severity": "high", "sources": ["waitlist_signups"],
        "params": {"entity": "origin", "window": "5 minutes", "threshold": 4}, "false_alarms_per_month": 1, "escalation_owner": "operator", "runbook": "Look.",
        "fixtures": {"positive": {"start": "2026-06-04T16:00:00Z", "as_of": "4 min", "sources": {"waitlist_signups": [
            {"at": "0 s", "every": "10 s", "until": "50 s", "email": "v{n}@example.com", "origin": "o"}]}, "expect": [{"entity": "o"}]}}}'::jsonb || changes $$;
CREATE FUNCTION pg_temp.versions(rule text) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(format('%s: %s', version, reason), ', ' ORDER BY version) FROM raxx_detect.rule_versions WHERE rule_id = rule $$;

-- ---- versions ------------------------------------------------------------------------------------------------------------
SELECT is(count(*), 0::bigint, 'what is as shipped has no versions') FROM raxx_detect.rule_versions;
SELECT raxx_detect.create_rule(pg_temp.definition());
SELECT is(pg_temp.versions('own_signups'), '1: made', 'a rule that is made has one');
SELECT is((definition, changed_by)::text, (raxx_detect.rule_definition('own_signups'), session_user)::text, 'of all that it says, with its fixtures, and who made it')
FROM raxx_detect.rule_versions WHERE rule_id = 'own_signups';
SELECT lives_ok($$SELECT raxx_detect.set_params('own_signups', '{"threshold": 5}')$$, 'a parameter changes');
SELECT is((definition -> 'params' ->> 'threshold', version)::text, '(5,2)', 'that is a version') FROM raxx_detect.rule_versions WHERE rule_id = 'own_signups' ORDER BY version DESC LIMIT 1;
SELECT lives_ok($$SELECT raxx_detect.set_params('own_signups', '{"threshold": 5}')$$, 'to what it is');
UPDATE raxx_detect.rules SET severity = 'medium' WHERE rule_id = 'own_signups';
UPDATE raxx_detect.rules SET severity = 'medium' WHERE rule_id = 'own_signups';
SELECT is(pg_temp.versions('own_signups'), '1: made, 2: no reason given, 3: no reason given', 'what is done by hand is one, what changes nothing is none');
SELECT is(raxx_detect.change_rule(pg_temp.definition('{"title": "Too many"}'), 'a better title'), 4, 'a definition takes its place');
SELECT is((title, severity, params ->> 'threshold')::text, '("Too many",high,4)', 'wholly') FROM raxx_detect.rules WHERE rule_id = 'own_signups';
SELECT is(reason, 'a better title', 'with its reason') FROM raxx_detect.rule_versions WHERE rule_id = 'own_signups' AND version = 4;
SELECT is(raxx_detect.revert_rule('own_signups', 3, 'it was right'), 5, 'going back is another version');
SELECT is((title, severity, params ->> 'threshold')::text, '("Many sign-ups of an origin",medium,5)', 'that says what the old one said') FROM raxx_detect.rules WHERE rule_id = 'own_signups';
SELECT throws_ok($$SELECT raxx_detect.revert_rule('own_signups', 9, 'x')$$, '42704', 'rule own_signups has no version 9', 'one that there is not');
SELECT throws_ok($$SELECT raxx_detect.revert_rule('own_signups', NULL, 'x')$$, '42704', 'rule own_signups has no version NULL', 'or NULL');
SELECT throws_ok($$SELECT raxx_detect.change_rule(pg_temp.definition(), ' ')$$, '22023', 'changing a rule needs a reason', 'a reason is needed');
SELECT throws_ok($$SELECT raxx_detect.change_rule(pg_temp.definition('{"rule_id": "own_other"}'), 'x')$$, '42704', 'unknown rule ''own_other''', 'and a rule');
SELECT throws_ok($$SELECT raxx_detect.change_rule(pg_temp.definition('{"method": "distinct", "params": {"entity": "origin", "value": "email", "window": "1 min", "threshold": 2}}'), 'x')$$,
                 '22023', 'the method of rule own_signups cannot change', 'another method is another rule');
DELETE FROM raxx_detect.fixtures WHERE rule_id = 'own_signups';
SELECT is((SELECT definition -> 'fixtures' FROM raxx_detect.rule_versions WHERE rule_id = 'own_signups' ORDER BY version DESC LIMIT 1), '{}', 'fixtures are part of a version');

-- A shipped rule: its first version is what it was.
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 30}');
SELECT is(string_agg(version || ' ' || (definition -> 'params' ->> 'threshold'), ', ' ORDER BY version), '1 20, 2 30', 'of a shipped rule, the first version is what it was')
FROM raxx_detect.rule_versions WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(raxx_detect.revert_rule('signup_waitlist_velocity_per_origin', 1, 'as shipped'), 3, 'to which it can go back');
SELECT is(params ->> 'threshold', '20', 'and does') FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.refresh_state(rule_id) FROM raxx_detect.rules;
SELECT * INTO TEMP tested FROM raxx_detect.self_test('signup_waitlist_velocity_per_origin');
SELECT is((SELECT count(*) FROM raxx_detect.rule_versions WHERE rule_id LIKE '%(self-test)') + (SELECT count(*) FROM raxx_detect.rule_versions WHERE rule_id LIKE 'signup%'),
          3::bigint, 'states and self-tests make none');

-- ---- a change of a rule at work has to pass -----------------------------------------------------------------------------
SELECT raxx_detect.change_rule(pg_temp.definition(), 'again');
CREATE TABLE signups (event_time timestamptz, email text, origin text);
INSERT INTO signups SELECT timestamptz '2026-06-04 16:00+00' + i * interval '10 seconds', 'a@example.com', o.origin
FROM (VALUES ('four', 4), ('six', 6), ('nine', 9)) o(origin, n), generate_series(1, o.n) i;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT is(raxx_detect.enable('own_signups'), 'live', 'it is at work');
SELECT is(findings_new, 3::bigint, 'and finds three') FROM raxx_detect.run('own_signups', '2026-06-05');
SELECT throws_ok($$SELECT raxx_detect.change_rule(pg_temp.definition('{"params": {"entity": "origin", "window": "5 minutes", "threshold": 7}}'), 'x')$$,
                 '55000', 'rule own_signups does not pass its fixture positive', 'what does not pass does not take its place');
SELECT is(params ->> 'threshold', '4', 'nothing has changed') FROM raxx_detect.rules WHERE rule_id = 'own_signups';

-- ---- shadows --------------------------------------------------------------------------------------------------------------
SELECT lives_ok($$DELETE FROM raxx_detect.deliveries$$, 'nobody has been told of anything');
SELECT is(raxx_detect.shadow_rule(pg_temp.definition('{"severity": "critical", "params": {"entity": "origin", "window": "5 minutes", "threshold": 6}}')),
          'own_signups (shadow)', 'a version is tried beside it');
SELECT throws_ok($$SELECT raxx_detect.shadow_rule(pg_temp.definition())$$, '42710', 'rule own_signups has a shadow', 'one at a time');
SELECT is((findings_new, state)::text, '(2,live)', 'it is judged with the others') FROM raxx_detect.run_all('2026-06-05') WHERE rule_id = 'own_signups (shadow)';
SELECT is(count(*), 0::bigint, 'nobody is told, though it is CRITICAL') FROM raxx_detect.deliveries d
WHERE d.finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings WHERE rule_id = 'own_signups (shadow)');
UPDATE raxx_detect.detection_findings SET condition = 'no_data', updated_at = now() WHERE rule_id = 'own_signups (shadow)';
SELECT is(count(*), 0::bigint, 'nor of what becomes of it') FROM raxx_detect.deliveries WHERE payload ->> 'rule_id' LIKE '%(shadow)';
SELECT is(open_findings, 0::bigint, 'nothing of it is open') FROM raxx_detect.status WHERE rule_id = 'own_signups (shadow)';
SELECT is((o.total, jsonb_array_length(o.open))::text, (SELECT format('(%s,%s)', count(*), count(*)) FROM raxx_detect.detection_findings WHERE rule_id NOT LIKE '%(shadow)'), 'nor in the digest')
FROM raxx_detect.digest_open('full', now()) o;
SELECT is(string_agg(format('%s %s %s>%s', entity, found_by, severity, shadow_severity), ', ' ORDER BY entity), 'four rule only high>, nine both high>critical, six both high>critical', 'the two are compared')
FROM raxx_detect.shadow_findings WHERE rule_id = 'own_signups';
SELECT is(pg_temp.versions('own_signups (shadow)'), NULL, 'it has no versions of its own');
SELECT throws_ok($$SELECT raxx_detect.drop_rule('own_signups')$$, '2BP01', 'rule own_signups has a shadow', 'the rule stays as long');
SELECT is(array_agg(ok), '{t}', 'its fixtures can be tried') FROM raxx_detect.self_test('own_signups (shadow)');
SELECT is(raxx_detect.promote_shadow('own_signups', 'finds what matters'), 7, 'it takes the rule''s place');
SELECT is((severity, params ->> 'threshold', det_id, state)::text, '(critical,6,OWN-OWN_SIGNUPS,live)', 'as a version of it') FROM raxx_detect.rules WHERE rule_id = 'own_signups';
SELECT is((SELECT count(*) FROM raxx_detect.rules WHERE shadow_of IS NOT NULL) + (SELECT count(*) FROM raxx_detect.detection_findings WHERE rule_id LIKE '%(shadow)'), 0::bigint, 'the shadow is gone');
SELECT is(count(*), 3::bigint, 'what the rule has found is still there') FROM raxx_detect.detection_findings WHERE rule_id = 'own_signups';
SELECT throws_ok($$SELECT raxx_detect.promote_shadow('own_signups', 'x')$$, '42704', 'rule own_signups has no shadow', 'there is nothing more to promote');
SELECT is(raxx_detect.shadow_rule(raxx_detect.rule_definition('signup_email_pattern_anomaly') || '{"severity": "low"}'), 'signup_email_pattern_anomaly (shadow)', 'a shipped rule has shadows, too');
SELECT lives_ok($$SELECT raxx_detect.drop_shadow('signup_email_pattern_anomaly')$$, 'which can be given up');
SELECT throws_ok($$INSERT INTO raxx_detect.rules SELECT (jsonb_populate_record(r, '{"rule_id": "own_signups (shadow)", "det_id": "X", "shadow_of": null}')).* FROM raxx_detect.rules r WHERE r.rule_id = 'own_signups'$$,
                 '23514', NULL, 'whatever has the name of a shadow is one');

SELECT * FROM finish();
ROLLBACK;
