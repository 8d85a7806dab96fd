-- Sigma correlation rules: what each becomes, number by number; that its fixtures pass; that it finds what it says and not one less; and for
-- everything that cannot be said here, an error that names it.
BEGIN;
SELECT plan(98);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL intervalstyle = 'iso_8601';

SELECT raxx_detect.create_source('{"source": "authentication", "rows_called": "sign-ins", "meaning": "Sign-ins.", "roles": [
    {"role": "event_time", "type": "timestamptz", "meaning": "When."}, {"role": "user", "type": "text", "meaning": "Who."}, {"role": "eventid", "type": "bigint", "meaning": "What."},
    {"role": "outcome", "type": "text", "meaning": "How it ended."}, {"role": "ip", "type": "inet", "meaning": "From where."}, {"role": "mfa", "type": "boolean", "required": false, "meaning": "m"},
    {"role": "score", "type": "float8", "required": false, "meaning": "m"}]}');

CREATE FUNCTION pg_temp.base(detection jsonb DEFAULT '{"selection": {"EventID": 4625}, "condition": "selection"}', name text DEFAULT 'failed') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('title', 'Failed sign-in', 'name', name, 'id', '5638f7c0-' || name, 'logsource', '{"category": "authentication"}'::jsonb, 'detection', detection) $$;
CREATE FUNCTION pg_temp.correlation(correlation jsonb DEFAULT '{}', document jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"title": "Many failed sign-ins", "id": "0e95725d", "level": "high", "description": "Somebody tries.", "falsepositives": ["a scanner"]}'::jsonb || document
        || jsonb_build_object('correlation', jsonb_strip_nulls('{"type": "event_count", "rules": ["failed"], "group-by": ["user"], "timespan": "15m", "condition": {"gte": 10}}'::jsonb || correlation)) $$;
CREATE FUNCTION pg_temp.says(correlation jsonb, base jsonb DEFAULT pg_temp.base(), sources jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
    $$ SELECT raxx_detect.sigma_definition(correlation, jsonb_build_array(correlation) || base, sources) $$;
CREATE FUNCTION pg_temp.refused(correlation jsonb, base jsonb DEFAULT pg_temp.base(), sources jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN 'no error: ' || pg_temp.says(correlation, base, sources)::text;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || replace(sqlerrm, 'Sigma rule ', '');
END $$;
-- The rule, made and tried: do its fixtures pass?
CREATE FUNCTION pg_temp.passes(definition jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM raxx_detect.create_rule(definition);
    result := (SELECT string_agg(CASE WHEN t.ok THEN t.fixture ELSE format('%s: %s, not %s', t.fixture, t.observed, t.expected) END, ', ' ORDER BY t.fixture)
               FROM raxx_detect.self_test(definition ->> 'rule_id') t);
    PERFORM raxx_detect.drop_rule(definition ->> 'rule_id');
    RETURN result;
END $$;

-- ---- event_count -----------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.says(pg_temp.correlation()) - '{fixtures,how,telemetry,runbook,do_not,routes,thresholds}'::text[],
    '{"rule_id": "sigma_many_failed_sign_ins", "det_id": "OWN-SIGMA_MANY_FAILED_SIGN_INS", "title": "Many failed sign-ins", "category": "sigma", "method": "velocity", "severity": "high",
      "sources": ["authentication"], "optional_sources": [], "params": {"entity": "user", "filter": "eventid", "only": ["4625"], "window": "00:15:00", "threshold": 10}, "per_event": false, "allows_exceptions": true,
      "false_alarms_per_month": 1, "escalation_owner": "operator", "prerequisites": [], "ships": "dormant"}', 'an event_count is a velocity');
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation())), 'sigma_fires, sigma_near_miss', 'whose fixtures pass');
SELECT is(d ->> 'how', E'Somebody tries.\nImported from the Sigma rule Many failed sign-ins, 0e95725d: {"type": "event_count", "rules": ["failed"], "group-by": ["user"], "timespan": "15m", "condition": {"gte": 10}}', 'it says where it is from')
FROM pg_temp.says(pg_temp.correlation()) d;
SELECT is(d -> 'params' ->> 'threshold', threshold, condition::text) FROM (VALUES ('{"gte": 10}'::jsonb, '10'), ('{"gt": 10}', '11'), ('{"gte": 1}', '1'), ('{"gt": 0}', '1')) t(condition, threshold),
    pg_temp.says(pg_temp.correlation(jsonb_build_object('condition', condition))) d;
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation('{"condition": {"gte": 1}}'))), 'sigma_fires, sigma_near_miss', 'of one, too');
SELECT is(d -> 'params' ->> 'window', expected, span) FROM (VALUES ('30s', '00:00:30'), ('90m', '01:30:00'), ('36h', '36:00:00'), ('7d', '7 days')) t(span, expected),
    pg_temp.says(pg_temp.correlation(jsonb_build_object('timespan', span))) d;
SELECT is((d -> 'params' -> 'only')::text, expected::text, why) FROM (VALUES
    ('{"s": {"EventID": [4625, 4776]}, "condition": "s"}'::jsonb, '["4625", "4776"]'::jsonb, 'several values'),
    ('{"s": [{"EventID": 4625}, {"EventID": 4776}], "condition": "1 of them"}', '["4625", "4776"]', 'several maps of one field'),
    ('{"s": {"Outcome|cased": "Failure"}, "condition": "s"}', '["Failure"]', 'a text by its case'),
    ('{"s": {"Outcome|contains|cased": "Fail"}, "condition": "s"}', '["*Fail*"]', 'a part of it'),
    ('{"s": {"Outcome|cased|startswith": ["F", "D"]}, "condition": "all of them"}', '["F*", "D*"]', 'its beginning'),
    ('{"s": {"Outcome|endswith": "%_42"}, "condition": "s"}', '["*%_42"]', 'its end, where there is no case'),
    ('{"s": {"MFA": false}, "condition": "s"}', '["false"]', 'a boolean')) t(detection, expected, why), pg_temp.says(pg_temp.correlation(), pg_temp.base(detection)) d;
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation(), pg_temp.base(detection))), 'sigma_fires, sigma_near_miss', detection::text) FROM (VALUES
    ('{"s": {"Outcome|contains|cased": "Fail"}, "condition": "s"}'::jsonb), ('{"s": {"MFA": false}, "condition": "s"}'), ('{"s": {"Outcome|endswith": "%_42"}, "condition": "s"}')) t(detection);
SELECT is((d -> 'params') - '{window,threshold}'::text[], expected, why) FROM (VALUES
    ('{"failed": {"source": "authentication", "cased": true}}'::jsonb, '{"entity": "user", "filter": "outcome", "only": ["Failure"]}'::jsonb, 'values that are always written so'),
    ('{"failed": {"source": "authentication", "rows": "all"}}', '{"entity": "user"}', 'a source that holds nothing else'),
    ('{"5638f7c0-failed": {"source": "authentication", "rows": {"outcome": "fail*"}}}', '{"entity": "user", "filter": "outcome", "only": ["fail*"]}', 'rows that somebody says'),
    ('{"failed": {"source": "login_failures", "fields": {"user": "account"}, "rows": "all"}}', '{"entity": "account"}', 'a field that a role stands for')) t(sources, expected, why),
    pg_temp.says(pg_temp.correlation(), pg_temp.base('{"s": {"Outcome": "Failure"}, "condition": "s"}'), sources) d;
SELECT is(pg_temp.says(pg_temp.correlation('{"group-by": ["who"], "aliases": {"who": {"failed": "IP"}}}')) -> 'params' ->> 'entity', 'ip', 'an alias');

-- ---- value_count -------------------------------------------------------------------------------------------------------------
SELECT is(d -> 'params', '{"entity": "ip", "value": "user", "filter": "eventid", "only": ["4625"], "window": "1 day", "threshold": 101}', 'a value_count is a distinct')
FROM pg_temp.says(pg_temp.correlation('{"type": "value_count", "group-by": ["ip"], "timespan": "1d", "condition": {"field": "User", "gt": 100}}')) d;
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation('{"type": "value_count", "group-by": ["ip"], "condition": {"field": "User", "gte": 5}}'))), 'sigma_fires, sigma_near_miss', 'whose fixtures pass');
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation('{"type": "value_count", "condition": {"field": "ip", "gte": 12}}'))), 'sigma_fires, sigma_near_miss', 'of addresses, too');
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.correlation('{"type": "value_count", "group-by": ["ip"], "condition": {"field": "User", "gte": 5}}'),
    pg_temp.base('{"s": {"User|startswith|cased": "svc"}, "condition": "s"}'))), 'sigma_fires, sigma_near_miss', 'also where what is counted is what is selected');

-- ---- temporal, temporal_ordered ---------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.three() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(pg_temp.base(), pg_temp.base('{"s": {"EventID": [4624, 4648]}, "condition": "s"}', 'success'), pg_temp.base('{"s": {"EventID": 4720}, "condition": "s"}', 'created')) $$;
CREATE FUNCTION pg_temp.temporal(type text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
    $$ SELECT pg_temp.correlation('{"rules": ["failed", "success", "created"], "condition": null}'::jsonb || jsonb_build_object('type', type) || changes) $$;
SELECT is(d - '{rule_id,title}'::text[] -> 'params', '{"entity": "user", "value": "eventid", "steps": ["4625", "4624|4648", "4720"], "window": "00:15:00", "threshold": 3}', 'a temporal is one')
FROM pg_temp.says(pg_temp.temporal('temporal'), pg_temp.three()) d;
SELECT is(pg_temp.says(pg_temp.temporal('temporal', condition), pg_temp.three()) -> 'params' ->> 'threshold', threshold, condition::text) FROM (VALUES
    ('{"condition": {"gte": 2}}'::jsonb, '2'), ('{"condition": {"gt": 2}}', '3'), ('{"condition": {"eq": 3}}', '3')) t(condition, threshold);
SELECT is((d ->> 'method', d -> 'params')::text, '(temporal_ordered,"{""steps"": [""4625"", ""4624|4648"", ""4720""], ""value"": ""eventid"", ""entity"": ""user"", ""window"": ""00:15:00""}")', 'a temporal_ordered is one')
FROM pg_temp.says(pg_temp.temporal('temporal_ordered'), pg_temp.three()) d;
SELECT is(pg_temp.passes(pg_temp.says(pg_temp.temporal(type, changes), pg_temp.three())), 'sigma_fires, sigma_near_miss', format('%s %s', type, changes)) FROM (VALUES
    ('temporal', '{}'::jsonb), ('temporal', '{"condition": {"gte": 2}}'), ('temporal_ordered', '{}')) t(type, changes);
SELECT is(pg_temp.says(pg_temp.temporal('temporal', '{"rules": ["failed", "created"]}'), pg_temp.three(),
    '{"failed": {"source": "authentication", "rows": {"outcome": "failed"}}, "created": {"source": "authentication", "rows": {"outcome": "created"}}}') -> 'params' -> 'steps', '["failed", "created"]', 'of several sources through one view');

-- ---- what cannot be said is an error that names it ----------------------------------------------------------------------
SELECT alike(pg_temp.refused(pg_temp.correlation(changes)), '0A000 Many failed sign-ins: ' || pattern || ' cannot be expressed', why) FROM (VALUES
    ('{"condition": {"lt": 10}}'::jsonb, 'the condition {"lt": 10}', 'fewer than'), ('{"condition": {"lte": 10}}', 'the condition {"lte": 10}', 'at most'),
    ('{"condition": {"eq": 10}}', 'the condition {"eq": 10}', 'exactly'), ('{"condition": {"neq": 10}}', 'the condition {"neq": 10}', 'not exactly'),
    ('{"condition": {"gt": 10, "lte": 20}}', 'the condition {"gt": 10, "lte": 20}', 'a range'), ('{"condition": {"gte": 0}}', 'the condition {"gte": 0}, which always holds,', 'what always holds'),
    ('{"condition": {"gte": 3, "field": "user"}}', 'an event_count with a field', 'a field that is not counted'),
    ('{"type": "value_count"}', 'a value_count without a field', 'no field'), ('{"type": "value_count", "condition": {"field": ["a", "b"], "gte": 3}}', 'a value_count of ["a", "b"]', 'two fields'),
    ('{"type": "value_sum"}', 'a correlation of type value_sum', 'another type'), ('{"group-by": ["user", "ip"]}', 'a group-by of several fields (user, ip)', 'two groups'),
    ('{"group-by": null}', 'a correlation without group-by', 'no group'), ('{"generate": true}', 'generate: true, which makes its base rules alerts of their own,', 'generate'),
    ('{"gap": "5m"}', 'the key gap of a correlation', 'an unknown key'), ('{"rules": ["failed", "failed"]}', 'counting the events of 2 rules together', 'two rules')) t(changes, pattern, why);
SELECT alike(pg_temp.refused(pg_temp.correlation(), pg_temp.base(detection)), '0A000 failed: ' || pattern || ' cannot be expressed', why) FROM (VALUES
    ('{"s": {"EventID": 1, "Outcome": "x"}, "condition": "s"}'::jsonb, 'the comparison of several fields at once (EventID, Outcome)', 'two fields'),
    ('{"s": {"EventID": 1}, "f": {"User": "x"}, "condition": "s and not f"}', 'the condition "s and not f"', 'a condition'), ('{"s": {"EventID": 1}, "condition": "not s"}', 'the condition "not s"', 'a negation'),
    ('{"s": ["word"], "condition": "s"}', 'a search for words in whatever an event holds', 'keywords'), ('{"s": [{"EventID": 1}, {"Outcome|cased": "x"}], "condition": "s"}', 'a choice between several fields', 'a choice'),
    ('{"s": {"Outcome": "failure"}, "condition": "s"}', 'the comparison of field Outcome with failure in upper and lower case alike', 'any case'),
    ('{"s": {"Outcome|re": "1.*"}, "condition": "s"}', 'the modifier re of field Outcome', 'an expression'), ('{"s": {"Outcome|contains|all|cased": ["1", "2"]}, "condition": "s"}', 'the modifier all of field Outcome', 'all of several'),
    ('{"s": {"Outcome": "4?2"}, "condition": "s"}', 'the ? or the escape in the value 4?2 of field Outcome', 'one character'), ('{"s": {"Outcome": "4\\*2"}, "condition": "s"}', E'the ? or the escape in the value 4\\\\*2 of field Outcome', 'an escape'),
    ('{"s": {"Outcome": null}, "condition": "s"}', 'the value null of field Outcome', 'null'), ('{"s": {"Outcome": ""}, "condition": "s"}', 'the value "" of field Outcome', 'the empty text'),
    ('{"s": {"ip": "203.0.113.7"}, "condition": "s"}', 'a comparison with role ip, which is no text, whole number or boolean,', 'an address')) t(detection, pattern, why);
SELECT alike(pg_temp.refused(correlation, pg_temp.three(), sources), pattern, why) FROM (VALUES
    (pg_temp.temporal('temporal_ordered', '{"condition": {"gte": 2}}'), '{}'::jsonb, '0A000 %the condition {"gte": 2} cannot be expressed', 'a part of an order'),
    (pg_temp.temporal('temporal', '{"condition": {"gte": 4}}'), '{}', '0A000 %the condition {"gte": 4} cannot be expressed', 'more than there are'),
    (pg_temp.temporal('temporal', '{"condition": {"eq": 2}}'), '{}', '0A000 %the condition {"eq": 2} cannot be expressed', 'exactly two of three'),
    (pg_temp.temporal('temporal', '{"rules": ["failed"]}'), '{}', '0A000 %a sequence of one rule cannot be expressed', 'one rule'),
    (pg_temp.temporal('temporal'), '{"created": {"source": "login_failures", "fields": {"user": "account"}, "rows": {"account": "x"}}}', '0A000 %a sequence over several sources%', 'two sources'),
    (pg_temp.temporal('temporal'), '{"created": {"source": "authentication", "rows": "all"}}', '0A000 %a sequence over several sources%', 'a step of all rows')) t(correlation, sources, pattern, why);
SELECT alike(pg_temp.refused(correlation, base, sources), pattern, why) FROM (VALUES
    (pg_temp.correlation('{"rules": ["nothing"]}'), pg_temp.base(), '{}'::jsonb, '42704 Many failed sign-ins refers to nothing, which is not there', 'a rule that is not there'),
    (pg_temp.correlation(), pg_temp.base() || '{"correlation": {}}', '{}', '0A000 %a correlation of a correlation (failed) cannot be expressed', 'a chain'),
    (pg_temp.correlation('{"timespan": "1M"}'), pg_temp.base(), '{}', '22023 Many failed sign-ins has a timespan that is none', 'a month'),
    (pg_temp.correlation('{"timespan": null}'), pg_temp.base(), '{}', '22023 Many failed sign-ins has a timespan that is none', 'no timespan'),
    (pg_temp.correlation('{"condition": {"gte": "10"}}'), pg_temp.base(), '{}', '22023 Many failed sign-ins: gte is not a whole number', 'a text'),
    (pg_temp.correlation('{"condition": {"gte": 2.5}}'), pg_temp.base(), '{}', '22023 Many failed sign-ins: gte is not a whole number', 'a fraction'),
    (pg_temp.correlation() - 'level', pg_temp.base(), '{}', '22023 Many failed sign-ins has no level', 'no level'),
    (pg_temp.correlation('{"group-by": ["Host"]}'), pg_temp.base(), '{}', '42704 failed: field Host is no role of source authentication', 'a field that is none'),
    (pg_temp.correlation(), pg_temp.base() || '{"logsource": {"category": "dns"}}', '{}', '42704 failed: no source stands for its logsource', 'no source'),
    (pg_temp.correlation(), pg_temp.base(), '{"failed": {"source": "authentication", "row": "all"}}', '22023 the mapping of failed has no ''row''', 'a mapping with a typing error'),
    (pg_temp.correlation(), pg_temp.base(), '{"failed": {"source": "authentication", "rows": "some"}}', '22023 the mapping of failed has rows that are neither%', 'rows that are none')) t(correlation, base, sources, pattern, why);

-- ---- imported ---------------------------------------------------------------------------------------------------------------
CREATE TEMP TABLE given AS SELECT jsonb_build_array(pg_temp.correlation(), pg_temp.temporal('temporal_ordered') || '{"name": "then_created"}') || pg_temp.three() AS documents;
SELECT is(string_agg(action || ' ' || path, ', ' ORDER BY path), 'create rules/sigma_many_failed_sign_ins.json, create rules/sigma_then_created.json', 'a dry run')
FROM given, raxx_detect.import_sigma(documents);
SELECT is(count(*), 0::bigint, 'changes nothing') FROM raxx_detect.rules WHERE rule_id LIKE 'sigma%';
SELECT is(count(*), 2::bigint, 'an import makes them') FROM given, raxx_detect.import_sigma(documents, apply => true);
SELECT is(string_agg(action, ', '), 'unchanged, unchanged', 'once') FROM given, raxx_detect.import_sigma(documents, apply => true);
SELECT is(string_agg(action || ' ' || detail, ', '), 'error 0A000: Sigma rule failed: a rule of single events that no correlation refers to cannot be expressed. A rule without it would be another one. An event_count of it with gte: 1 is a correlation.',
          'a base rule alone is an error') FROM raxx_detect.import_sigma(pg_temp.base());
SELECT throws_ok($$SELECT * FROM raxx_detect.import_sigma(pg_temp.base(), apply => true)$$, '0A000', NULL, 'and not imported');
SELECT is(raxx_detect.enable(rule_id), 'dormant', rule_id || ' passes, and may start') FROM raxx_detect.rules WHERE rule_id LIKE 'sigma%' ORDER BY 1;
CREATE TABLE auth (event_time timestamptz, "user" text, eventid bigint, outcome text, ip inet);
SELECT raxx_detect.bind_source('authentication', 'auth');
INSERT INTO auth SELECT timestamptz '2026-06-04 16:00+00' + i * interval '1 minute', who, 4625, 'x', '203.0.113.9'
FROM (VALUES ('ten', 10), ('nine', 9)) w(who, n), generate_series(1, w.n) i;
INSERT INTO auth SELECT timestamptz '2026-06-04 17:00+00' + i * interval '1 minute', 'other events', 4624, 'x', '203.0.113.9' FROM generate_series(1, 30) i;
INSERT INTO auth SELECT timestamptz '2026-06-04 18:00+00' + at, who, what, 'x', '203.0.113.9' FROM (VALUES
    ('in order', '0 min'::interval, 4625), ('in order', '1 min', 4648), ('in order', '2 min', 4720), ('not', '2 min', 4625), ('not', '1 min', 4624), ('not', '0 min', 4720),
    ('too slow', '0 min', 4625), ('too slow', '1 min', 4624), ('too slow', '15 min', 4720), ('at once', '3 min', 4720), ('at once', '3 min', 4625), ('at once', '3 min', 4624)) e(who, at, what);
SELECT throws_ok($$SELECT * FROM raxx_detect.import_sigma(jsonb_build_array(pg_temp.base(), pg_temp.correlation('{"condition": {"gte": 500}}', '{"title": "Many failed: sign-ins!"}')), apply => true)$$, '42710',
    'Sigma rule Many failed: sign-ins! would take the place of rule sigma_many_failed_sign_ins', 'another title does not take its place');
SELECT is(string_agg(action, ', '), 'change', 'another version of it does') FROM raxx_detect.import_sigma(jsonb_build_array(pg_temp.base(), pg_temp.correlation('{"condition": {"gte": 11}}')));
SELECT throws_ok($$SELECT * FROM raxx_detect.import_sigma(jsonb_build_array(pg_temp.base(), pg_temp.correlation()), '{"faled": "authentication"}')$$, '22023', 'sources names faled, which is none of the Sigma rules', 'a source for a rule that is not there');
SELECT raxx_detect.run_all('2026-06-05 00:00+00');
SELECT is(string_agg(format('%s: %s', rule_id, summary), E'\n' ORDER BY rule_id, entity), E'sigma_many_failed_sign_ins: ten: 10 sign-ins within 15 min (threshold 10)
sigma_then_created: at once: 3 of 3 steps in order within 15 min (threshold 3)
sigma_then_created: in order: 3 of 3 steps in order within 15 min (threshold 3)', 'they find what they say, and not one less') FROM raxx_detect.detection_findings WHERE rule_id LIKE 'sigma%';
SELECT is(jsonb_array_length(evidence -> 'rows' -> 'first_rows'), 10, 'the evidence is of the rows that count') FROM raxx_detect.detection_findings WHERE rule_id = 'sigma_many_failed_sign_ins';

SELECT * FROM finish();
ROLLBACK;
