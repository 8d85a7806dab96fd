-- Rules of one's own: what a definition may hold and what it is refused for, by name; sources of one's own; that a rule goes live only
-- once its fixtures pass; that it then runs, and goes.
BEGIN;
SELECT plan(90);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL intervalstyle = 'iso_8601';

CREATE FUNCTION pg_temp.definition(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls('{
        "rule_id": "own_password_resets", "title": "Many password resets from one address", "method": "velocity", "severity": "high",
        "sources": ["password_resets"], "params": {"entity": "ip", "window": "5 minutes", "threshold": 4},
        "false_alarms_per_month": 1, "escalation_owner": "security-agent", "runbook": ["1. Look.", "2. Ask."],
        "fixtures": {
            "positive": {"start": "2026-06-04T16:00:00Z", "as_of": "4 min", "sources": {"password_resets": [
                {"at": "0 s", "every": "20 s", "until": "60 s", "ip": "203.0.113.7", "account": "a{n}"}]},
                "expect": [{"entity": "203.0.113.7", "severity": "high", "observed": 4, "threshold": 4, "episode": ["60 s", null]}]},
            "near_miss": {"start": "2026-06-04T16:00:00Z", "as_of": "4 min", "sources": {"password_resets": [
                {"at": "0 s", "every": "20 s", "until": "40 s", "ip": "203.0.113.7", "account": "a{n}"}]}, "expect": []}}}'::jsonb || changes) $$;
CREATE FUNCTION pg_temp.with_params(params jsonb) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT pg_temp.definition(jsonb_build_object('params', '{"entity": "ip", "window": "5 minutes", "threshold": 4}'::jsonb || params)) $$;
CREATE FUNCTION pg_temp.told(command text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    state := 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
CREATE FUNCTION pg_temp.refused(definition jsonb) RETURNS text LANGUAGE sql AS
    $$ SELECT t.state || ' ' || t.message FROM pg_temp.told(format('SELECT raxx_detect.create_rule(%L)', definition)) t $$;

-- ---- a source of one's own --------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.source(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"source": "password_resets", "rows_called": "password resets", "meaning": "Password resets that were asked for.", "expected_every": "1 day",
             "roles": [{"role": "event_time", "type": "timestamptz", "required": true, "meaning": "When it happened."},
                       {"role": "ip", "type": "inet", "required": true, "meaning": "Who asked."},
                       {"role": "account", "type": "text", "required": false, "meaning": "For whose account."}]}'::jsonb || changes $$;
SELECT is(raxx_detect.create_source(pg_temp.source()), 'password_resets', 'a source is made');
SELECT is(raxx_detect.source_definition('password_resets'), pg_temp.source(), 'and says what it was made of');
SELECT throws_ok($$SELECT raxx_detect.create_source(pg_temp.source())$$, '42710', 'there is a source password_resets', 'once');
SELECT is((SELECT t.state || ' ' || t.message FROM pg_temp.told(format('SELECT raxx_detect.create_source(%L)', pg_temp.source(changes))) t), expected, why) FROM (VALUES
    ('{"source": "Resets"}'::jsonb, '22023 the definition of a source needs source, rows_called, meaning and roles', 'a name with a capital letter'),
    ('{"sorce": "x"}', '22023 the definition of a source has no ''sorce''', 'an unknown key'),
    ('{"source": "r", "expected_every": "1 month"}', '22023 parameter expected_every is not a positive interval of fixed length, up to 400 days', 'no length'),
    ('{"source": "r", "roles": []}', '22023 the first role of a source is event_time', 'no roles'),
    ('{"source": "r", "roles": [{"role": "ip", "type": "inet", "meaning": "m"}]}', '22023 the first role of a source is event_time', 'no time'),
    ('{"source": "r", "roles": [{"role": "event_time", "type": "timestamptz", "meaning": "m"}, {"role": "ip", "type": "jsonb", "meaning": "m"}]}',
     '22023 a role needs a name of its own, a type and a meaning', 'a type that no role may have'),
    ('{"source": "r", "roles": [{"role": "event_time", "type": "timestamptz", "meaning": "m"}, {"role": "event_time", "type": "timestamptz", "meaning": "m"}]}',
     '22023 a role needs a name of its own, a type and a meaning', 'one role twice'),
    ('{"source": "r", "roles": [{"role": "event_time", "type": "timestamptz", "meaning": "m"}, {"role": "ip", "type": "inet", "typo": 1, "meaning": "m"}]}',
     '22023 a role has no ''typo''', 'a key that a role has not'),
    ('{"source": "r", "roles": {}}', '22023 the definition of a source needs source, rows_called, meaning and roles', 'roles that are no array')) t(changes, expected, why);

-- ---- what a definition is refused for ------------------------------------------------------------------------------------
SELECT is(pg_temp.refused(pg_temp.definition(changes)), expected, why) FROM (VALUES
    ('{"treshold": 4}'::jsonb, '22023 the definition of a rule has no ''treshold''', 'an unknown key'),
    ('{"title": null}', '22023 the definition of a rule needs title', 'no title'),
    ('{"title": " "}', '22023 title is not right', 'an empty title'),
    ('{"title": "a\u0007b"}', '22023 title is not right', 'a control character'),
    ('{"rule_id": "own (shadow)"}', '22023 rule_id is not right', 'the name of a shadow'),
    ('{"rule_id": "own (self-test)"}', '22023 rule_id is not right', 'the name of a self-test'),
    ('{"rule_id": "1"}', '22023 rule_id is not right', 'a digit first'),
    ('{"severity": "worse"}', '22023 severity is not right', 'an unknown severity'),
    ('{"method": "velocty"}', '42704 unknown method ''velocty''', 'an unknown method'),
    ('{"method": 4}', '22023 method is not right', 'a method that is a number'),
    ('{"sources": "password_resets"}', '22023 sources is not right', 'sources that are no array'),
    ('{"sources": []}', '22023 method velocity judges one source', 'no source'),
    ('{"sources": ["password_resets", "rbac_denials"]}', '22023 method velocity judges one source', 'two sources'),
    ('{"sources": ["password_reset"]}', '42704 unknown source ''password_reset''', 'an unknown source'),
    ('{"optional_sources": ["nothing"]}', '42704 unknown source ''nothing''', 'an unknown optional source'),
    ('{"sources": [4]}', '22023 sources is not right', 'a source that is a number'),
    ('{"params": []}', '22023 params is not right', 'params that are an array'),
    ('{"baseline_window": "1 month"}', '22023 baseline_window is not right', 'a baseline of no fixed length'),
    ('{"baseline_window": "401 days"}', '22023 baseline_window is not right', 'a baseline that is too long'),
    ('{"baseline_window": "7 days"}', '22023 method velocity needs the parameter baseline_entities', 'a baseline without what it needs'),
    ('{"per_event": "yes"}', '22023 per_event is not right', 'no boolean'),
    ('{"false_alarms_per_month": -1}', '22023 false_alarms_per_month is not right', 'fewer than none'),
    ('{"prerequisites": ["P9"]}', '22023 prerequisites is not right', 'an unknown prerequisite'),
    ('{"runbook": [1]}', '22023 runbook is not right', 'prose that is none'),
    ('{"method": "benford", "baseline_window": "7 days"}', '22023 method benford has no baseline', 'a baseline for a method that has none'),
    ('{"method": "ratio"}', '22023 method ratio needs a baseline', 'none for a method that needs one'),
    ('{"method": "quantile", "baseline_window": "7 days", "params": {"entity": "account", "value": "account", "window": "1 hour", "baseline_quantile": 0.9, "median_margin": 1, "rise": 1,
       "value_floor": 1, "baseline_points": 9, "baseline_entities": 9, "time_zone": "UTC", "baseline_ready": "7 days"}}', '42804 method quantile needs a number', 'a quantile of texts'),
    ('{"method": "drift", "baseline_window": "7 days", "params": {"baseline_intervals": 1, "baseline_ready": "7 days", "quantile": 0.9, "rise": 1, "sample_every": "1 min", "step": "1 hour",
       "time_zone": "UTC", "window": "1 day"}}', '22023 method drift judges statement_samples only', 'drift of anything else'),
    ('{"fixtures": []}', '22023 fixtures is not right', 'fixtures that are an array'),
    ('{"fixtures": {"A b": {}}}', '22023 fixture A b has a name that is none', 'a name that is none'),
    ('{"fixtures": {"a": {"expects": []}}}', '22023 fixture a has no ''expects''', 'a key that a fixture has not'),
    ('{"fixtures": {"a": {"start": "2026-06-04T16:00Z"}}}', '22023 fixture a needs start, sources, as_of and expect, an array', 'half a fixture'),
    ('{"fixtures": {"a": {"start": "soon", "as_of": "1 h", "sources": {}, "expect": []}}}', '22023 fixture a has a start or an as_of that is none', 'a time that is none'),
    ('{"fixtures": {"a": {"start": "2026-06-04T16:00Z", "as_of": "1 h", "sources": {"rbac_denials": []}, "expect": []}}}', '22023 fixture a.sources has no ''rbac_denials''', 'another source'),
    ('{"fixtures": {"a": {"start": "2026-06-04T16:00Z", "as_of": "1 h", "sources": {"password_resets": [{"at": "0 s", "adress": 1}]}, "expect": []}}}',
     '22023 fixture a: a row of password_resets has no ''adress''', 'a row with an unknown role'),
    ('{"fixtures": {"a": {"start": "2026-06-04T16:00Z", "as_of": "1 h", "params": {"value": "ip"}, "sources": {"password_resets": []}, "expect": []}}}',
     '22023 fixture a: the rule has no parameter ''value''', 'a parameter that the rule has not')) t(changes, expected, why);
SELECT is(pg_temp.refused('[]'), '22023 the definition of a rule must be a JSON object', 'no object');
SELECT is(pg_temp.refused(NULL), '22023 the definition of a rule must be a JSON object', 'NULL');
SELECT is(pg_temp.refused(pg_temp.with_params(params)), expected, why) FROM (VALUES
    ('{"treshold": 4}'::jsonb, '22023 method velocity has no ''treshold''', 'an unknown parameter'),
    ('{"threshold": 0}', '22023 parameter threshold is out of range', 'below the least'),
    ('{"threshold": "4"}', '22023 parameter threshold is not a whole number', 'a text for a number'),
    ('{"threshold": null}', '22023 method velocity needs the parameter threshold', 'one that is needed'),
    ('{"window": "0 s"}', '22023 parameter window is not a positive interval of fixed length, up to 400 days', 'no window'),
    ('{"entity": "adress"}', '42704 source password_resets has no role ''adress''', 'a role that the source has not'),
    ('{"ipv4_prefix": 24}', '22023 method velocity needs the parameter ipv6_prefix', 'half of what belongs together'),
    ('{"ipv4_prefix": 33, "ipv6_prefix": 64}', '22023 parameter ipv4_prefix is out of range', 'above the greatest'),
    ('{"season": "weekly"}', '22023 parameter season is neither none nor hour_of_week', 'an unknown season')) t(params, expected, why);
SELECT is((t.detail, t.hint)::text, '("It may have baseline_entities, baseline_floor, baseline_ready, baseline_rows, entity, filter, ipv4_prefix, ipv6_prefix, mix_days, mix_expected, mix_floor, mix_window, only, season, threshold, time_zone, window.","The nearest are threshold, ipv4_prefix, ipv6_prefix.")',
          'the nearest key is named') FROM pg_temp.told(format('SELECT raxx_detect.create_rule(%L)', pg_temp.with_params('{"treshold": 4}'))) t;
SELECT is(count(*), 0::bigint, 'nothing was made') FROM raxx_detect.rules WHERE overrides IS NULL;

-- ---- made, tried, live -------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.create_rule(pg_temp.definition()), 'own_password_resets', 'a rule is made');
SELECT is((state, det_id, category, runbook)::text, E'(disabled,OWN-OWN_PASSWORD_RESETS,own,"1. Look.\n2. Ask.")', 'disabled, with what is assumed') FROM raxx_detect.rules WHERE rule_id = 'own_password_resets';
SELECT is(pg_temp.refused(pg_temp.definition()), '42710 there is a rule own_password_resets', 'once');
SELECT is(pg_temp.refused(pg_temp.definition('{"rule_id": "own_two", "det_id": "DET-AUTH-003"}')), '42710 rule auth_rbac_denied_burst has the det_id DET-AUTH-003', 'a det_id that is taken');
SELECT is(raxx_detect.check_definition(raxx_detect.rule_definition('own_password_resets')), raxx_detect.rule_definition('own_password_resets'), 'what it says can be said again');
SELECT is(outcome, 'skipped', 'it does not run') FROM raxx_detect.run('own_password_resets', '2026-06-05 00:00+00');
SELECT is(array_agg(ok ORDER BY fixture), '{t,t}', 'its fixtures pass') FROM raxx_detect.self_test('own_password_resets');
SELECT is(raxx_detect.enable('own_password_resets'), 'dormant', 'so it may start, and waits for its source');
CREATE TABLE resets (created_at timestamptz, ip inet, who text);
INSERT INTO resets SELECT timestamptz '2026-06-04 16:00+00' + i * interval '1 minute', '203.0.113.9', 'a' FROM generate_series(1, 4) i;
SELECT lives_ok($$SELECT raxx_detect.bind_source('password_resets', 'resets', '{"account": "who"}')$$, 'which is bound as others are');
SELECT is((outcome, findings_new)::text, '(ok,1)', 'and it finds') FROM raxx_detect.run('own_password_resets', '2026-06-05 00:00+00');
SELECT is((severity, entity, observed, summary)::text, '(high,203.0.113.9,4,"203.0.113.9: 4 password resets within 5 min (threshold 4)")', 'what there is')
FROM raxx_detect.detection_findings WHERE rule_id = 'own_password_resets';
SELECT throws_ok($$SELECT raxx_detect.drop_rule('own_password_resets')$$, '2BP01', 'rule own_password_resets has findings', 'what has found something stays');
SELECT throws_ok($$SELECT raxx_detect.drop_rule('auth_rbac_denied_burst')$$, '2BP01', 'rule auth_rbac_denied_burst came with the extension', 'what was shipped, too');
SELECT throws_ok($$SELECT raxx_detect.drop_source('password_resets')$$, '2BP01', 'source password_resets cannot be dropped', 'and a source that is read');
SELECT throws_ok($$SELECT raxx_detect.drop_source('rbac_denials')$$, '2BP01', 'source rbac_denials cannot be dropped', 'or was shipped');

-- ---- what does not pass does not start --------------------------------------------------------------------------------
SELECT is(raxx_detect.create_rule(pg_temp.definition('{"rule_id": "own_deaf", "fixtures": {}}')), 'own_deaf', 'one without fixtures');
SELECT throws_ok($$SELECT raxx_detect.enable('own_deaf')$$, '55000', 'rule own_deaf has no fixture that makes it fire', 'cannot start');
SELECT is(raxx_detect.create_rule(pg_temp.definition('{"rule_id": "own_wrong", "params": {"entity": "ip", "window": "5 minutes", "threshold": 3}}')), 'own_wrong', 'one whose near miss is none');
SELECT throws_ok($$SELECT raxx_detect.enable('own_wrong')$$, '55000', 'rule own_wrong does not pass its fixture near_miss', 'neither');
SELECT is((state, last_validated)::text, '(disabled,)', 'it is disabled, and not validated') FROM raxx_detect.rules WHERE rule_id = 'own_wrong';
SELECT lives_ok($$SELECT raxx_detect.drop_rule('own_wrong')$$, 'what has found nothing can go');
SELECT is((SELECT count(*) FROM raxx_detect.rules WHERE rule_id = 'own_wrong') + (SELECT count(*) FROM raxx_detect.fixtures WHERE rule_id = 'own_wrong'), 0::bigint, 'with its fixtures');
SELECT isnt(count(*), 0::bigint, 'but not what it said') FROM raxx_detect.rule_versions WHERE rule_id = 'own_wrong';
SELECT lives_ok($$SELECT raxx_detect.drop_source(raxx_detect.create_source(pg_temp.source('{"source": "unread"}')))$$, 'a source that nothing reads can go');
SELECT is(count(*), 0::bigint, 'wholly') FROM raxx_detect.sweeps WHERE source = 'unread';

-- ---- the shipped rules say what can be said ---------------------------------------------------------------------------
SELECT is(raxx_detect.check_definition(raxx_detect.rule_definition(rule_id)), raxx_detect.rule_definition(rule_id), rule_id || ' could be made of what it says')
FROM raxx_detect.rules WHERE overrides IS NOT NULL AND rule_id IN ('signup_geographic_burst', 'webhook_postmark_bounce_spike', 'data_audit_log_gap_window') ORDER BY 1;
SELECT is(count(*), 17::bigint, 'and so could all others') FROM raxx_detect.rules
WHERE overrides IS NOT NULL AND raxx_detect.check_definition(raxx_detect.rule_definition(rule_id)) = raxx_detect.rule_definition(rule_id);

SELECT * FROM finish();
ROLLBACK;
