-- The catalog as files: what is exported, that it can be imported and is then the same, byte by byte; what a changed file changes, and
-- what is wrong with it; that a dry run changes nothing, and an import all or nothing.
BEGIN;
SELECT plan(33);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL intervalstyle = 'iso_8601';

CREATE FUNCTION pg_temp.files() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_object_agg(path, content::jsonb) FROM raxx_detect.export_rules() $$;
CREATE FUNCTION pg_temp.all_text() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(path || E'\n' || content, '' ORDER BY path COLLATE "C") FROM raxx_detect.export_rules() $$;
CREATE FUNCTION pg_temp.told(files jsonb, apply boolean DEFAULT false) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(concat_ws(' | ', action, path, detail), E'\n' ORDER BY path) FROM raxx_detect.import_rules(files, apply, 'a review') WHERE action <> 'unchanged' $$;

-- ---- what is shipped ------------------------------------------------------------------------------------------------------
SELECT is(count(*), 17::bigint, 'each rule is a file') FROM raxx_detect.export_rules();
SELECT is(string_agg(action, ',' ORDER BY action), repeat('unchanged,', 16) || 'unchanged', 'to import what was exported changes nothing')
FROM raxx_detect.import_rules(pg_temp.files(), true);
SELECT is(count(*), 0::bigint, 'and makes no version') FROM raxx_detect.rule_versions;
SELECT matches(content, E'^\\{\n  "allows_exceptions": true,\n  "baseline_window": "7 days",\n  "category": "auth",\n', 'keys in order, an interval as everywhere') FROM raxx_detect.export_rules() WHERE path = 'rules/auth_passkey_enumeration.json';
SELECT matches(content, E'  "runbook": \\[\n    "1\\. ', 'prose in lines') FROM raxx_detect.export_rules() WHERE path = 'rules/auth_passkey_enumeration.json';
SELECT is(raxx_detect.json_lines('{"b": [1, "x"], "a": {}, "c": [], "é": null, "d": [{"z": 1}, [2]], "B": "\u00e9\n\""}'), expected, 'JSON in lines')
FROM (VALUES (E'{\n  "B": "\u00e9\\n\\"",\n  "a": {},\n  "b": [1, "x"],\n  "c": [],\n  "d": [\n    {\n      "z": 1\n    },\n    [2]\n  ],\n  "\u00e9": null\n}')) e(expected);

-- ---- rules of one's own, and back --------------------------------------------------------------------------------------
SELECT raxx_detect.create_source('{"source": "resets", "rows_called": "resets", "meaning": "Resets.", "roles": [
    {"role": "event_time", "type": "timestamptz", "meaning": "When."}, {"role": "ip", "type": "inet", "required": false, "meaning": "Who \"\\ \u00e9."}]}');
SELECT raxx_detect.create_rule('{"rule_id": "own_resets", "title": "Resets \u00e9 \"quoted\" \\ back", "method": "velocity", "severity": "high", "sources": ["resets"],
    "params": {"entity": "ip", "window": "90 s", "threshold": 4}, "false_alarms_per_month": 0.25, "escalation_owner": "operator", "runbook": ["", "1. a", "", "2. b", ""],
    "fixtures": {"positive": {"start": "2026-06-04T16:00:00Z", "as_of": "4 min", "sources": {"resets": [{"at": "0 s", "every": "1 s", "until": "4 s", "ip": "203.0.113.7"}]},
                              "expect": [{"entity": "203.0.113.7", "observed": 5}]}}}');
SELECT is(count(*), 19::bigint, 'a source of one''s own is a file, too') FROM raxx_detect.export_rules();
CREATE TEMP TABLE kept AS SELECT pg_temp.files() AS files, pg_temp.all_text() AS text;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 30}');
SELECT raxx_detect.drop_rule('own_resets');
SELECT raxx_detect.drop_source('resets');
SELECT isnt(pg_temp.all_text(), text, 'the catalog is another') FROM kept;
SELECT is(pg_temp.told(files), E'create | rules/own_resets.json | disabled until raxx_detect.enable finds its fixtures passing
change | rules/signup_waitlist_velocity_per_origin.json | params.threshold: 30 -> 20
create | sources/resets.json | to be bound', 'a dry run says what an import would do') FROM kept;
SELECT is(count(*), 17::bigint, 'and does nothing') FROM raxx_detect.export_rules();
SELECT matches(pg_temp.told(files, true), '^create .*\nchange .*\ncreate ', 'the import does it') FROM kept;
SELECT is(pg_temp.all_text(), text, 'byte by byte') FROM kept;
SELECT is(pg_temp.told(files, true), NULL, 'a second time there is nothing to do') FROM kept;
SELECT is((state, runbook)::text, E'(disabled,"\n1. a\n\n2. b\n")', 'a new rule is disabled') FROM raxx_detect.rules WHERE rule_id = 'own_resets';
SELECT is(reason, 'a review', 'the versions say why') FROM raxx_detect.rule_versions WHERE rule_id = 'signup_waitlist_velocity_per_origin' ORDER BY version DESC LIMIT 1;
SELECT is(overrides, '{params.threshold}', 'what was changed of a shipped rule is on record') FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin';

-- ---- what a file changes ------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.with_rule(changes jsonb) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT jsonb_build_object('rules/own_resets.json', raxx_detect.rule_definition('own_resets') || changes) $$;
SELECT is(pg_temp.told(pg_temp.with_rule(changes)), expected, why) FROM (VALUES
    ('{"severity": "low"}'::jsonb, E'change | rules/own_resets.json | severity: "high" -> "low"\nonly here | rules/signup_waitlist_velocity_per_origin.json | no file says so; nothing is done about it\nonly here | sources/resets.json | no file says so; nothing is done about it', 'a value, and what has no file'),
    ('{"params": {"entity": "ip", "window": "90 s", "threshold": 5, "ipv4_prefix": 24, "ipv6_prefix": 64}, "waits_for": "x", "fixtures": {}}',
     E'change | rules/own_resets.json | fixtures.positive is gone; params.ipv4_prefix: none -> 24; params.ipv6_prefix: none -> 64; params.threshold: 4 -> 5; waits_for: none -> "x"\nonly here | rules/signup_waitlist_velocity_per_origin.json | no file says so; nothing is done about it\nonly here | sources/resets.json | no file says so; nothing is done about it', 'several')) t(changes, expected, why);

-- ---- what is wrong with it ----------------------------------------------------------------------------------------------
SELECT alike(pg_temp.told(files), '%error | ' || pattern, why) FROM (VALUES
    (pg_temp.with_rule('{"severty": 1}'), 'rules/own_resets.json | 22023: the definition of a rule has no ''severty''. It may have %The nearest are severity%', 'an unknown key'),
    (jsonb_build_object('rules/other.json', raxx_detect.rule_definition('own_resets')), '%other.json | 22023: file rules/other.json is not where its rule or source belongs. It says that it is own_resets.%', 'another name'),
    ('{"../x.json": {"rule_id": "x"}}', '../x.json | 22023: file ../x.json is not where%', 'another place'),
    ('{"rules/a.json": []}', 'rules/a.json | 22023: file rules/a.json is not where%', 'no object'),
    (jsonb_build_object('sources/resets.json', raxx_detect.source_definition('resets') || '{"meaning": "else"}'), 'sources/resets.json | 42710: source resets is there, and is another. meaning: "Resets." -> "else".%', 'another source of that name')) t(files, pattern, why);
SELECT throws_ok(format('SELECT * FROM raxx_detect.import_rules(%L, true)', pg_temp.with_rule('{"severity": "low"}') || '{"rules/zz.json": {"rule_id": "zz"}}'),
                 '22023', '1 of 2 files cannot be imported, so none is', 'all or nothing');
SELECT is(severity, 'high', 'nothing was changed') FROM raxx_detect.rules WHERE rule_id = 'own_resets';
SELECT throws_ok($$SELECT * FROM raxx_detect.import_rules('[]')$$, '22023', 'files must be a JSON object of contents by path', 'files that are none');
SELECT throws_ok($$SELECT * FROM raxx_detect.import_rules(NULL)$$, '22023', 'files must be a JSON object of contents by path', 'NULL');

-- ---- a rule at work ------------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.enable('own_resets'), 'dormant', 'its fixtures pass');
SELECT alike(pg_temp.told(pg_temp.with_rule('{"params": {"entity": "ip", "window": "90 s", "threshold": 9}}')), 'error | rules/own_resets.json | 55000: rule own_resets does not pass its fixture positive.%',
             'a change of a rule at work has to pass its fixtures');
SELECT alike(pg_temp.told(pg_temp.with_rule('{"params": {"entity": "ip", "window": "90 s", "threshold": 3}}'), true), 'change | rules/own_resets.json | params.threshold: 4 -> 3%', 'one that does is made');
SELECT is((state, params ->> 'threshold')::text, '(dormant,3)', 'and the rule stays at work') FROM raxx_detect.rules WHERE rule_id = 'own_resets';

-- A shadow is no file.
SELECT raxx_detect.shadow_rule(raxx_detect.rule_definition('own_resets') || '{"severity": "low"}');
SELECT is(count(*) FILTER (WHERE path LIKE '%shadow%' OR path = 'rules/own_resets.json'), 1::bigint, 'a shadow is no file') FROM raxx_detect.export_rules();
SELECT is(pg_temp.told(pg_temp.files()), NULL, 'what is exported still changes nothing');

SELECT * FROM finish();
ROLLBACK;
