-- Rules of one's own: what a definition may hold, and how it is checked. A definition is a JSON object that says all that a rule
-- says, with its fixtures; raxx_detect.rule_schema() describes the same to tools that know JSON Schema.

CREATE FUNCTION raxx_detect.definition_keys(OUT key text, OUT type text, OUT needed boolean, OUT assumed jsonb, OUT meaning text)
RETURNS SETOF record LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    VALUES
        ('rule_id', 'name', true, NULL::jsonb, 'Name of the rule: a lower-case letter, then lower-case letters, digits and _.'),
        ('det_id', 'text', false, NULL, 'Identifier in reports; OWN- and the rule_id in upper case unless it is given.'),
        ('title', 'text', true, NULL, 'What it fires on, in a line.'),
        ('category', 'text', false, '"own"', 'What it is filed under.'),
        ('method', 'method', true, NULL, 'How it judges: see raxx_detect.methods.'),
        ('severity', 'severity', true, NULL, 'The highest severity that a finding can have.'),
        ('sources', 'names', true, NULL, 'The sources that it judges.'),
        ('optional_sources', 'names', false, '[]', 'Sources that it looks into if they are bound.'),
        ('params', 'params', true, NULL, 'The parameters of its method: see raxx_detect.method_parameters.'),
        ('baseline_window', 'interval', false, NULL, 'How many whole days before the one that is judged make its baseline; none unless it is given.'),
        ('per_event', 'boolean', false, 'false', 'Whether a finding is told at once before launch, too.'),
        ('allows_exceptions', 'boolean', false, 'true', 'Whether exceptions and silences may keep a finding of it from being told.'),
        ('false_alarms_per_month', 'number', true, NULL, 'What it is declared to cost in false alarms; its baseline keeps to that.'),
        ('escalation_owner', 'text', true, NULL, 'Who is to take over.'),
        ('prerequisites', 'prerequisites', false, '[]', 'Which of P1 to P8 it waits for.'),
        ('ships', 'ships', false, '"dormant"', 'live: it counts as live without a baseline, too; else it is a placeholder until its baseline is ready.'),
        ('telemetry', 'prose', false, '"See raxx_detect.sources."', 'Who writes what it reads.'),
        ('how', 'prose', false, '"As its method says."', 'How it judges.'),
        ('thresholds', 'prose', false, '"Those in its parameters."', 'From when on it fires.'),
        ('routes', 'prose', false, '"As raxx_detect.routes says of its severity."', 'Who is told.'),
        ('runbook', 'prose', true, NULL, 'What to do when it fires.'),
        ('do_not', 'prose', false, '"Nothing is known yet."', 'What not to do.'),
        ('waits_for', 'prose', false, NULL, 'What somebody has to do so that its sources exist.'),
        ('fixtures', 'fixtures', false, '{}', 'What must fire and what must stay silent: fixtures by name (raxx_detect.fixtures).')
$$;
COMMENT ON FUNCTION raxx_detect.definition_keys() IS
'What the definition of a rule may hold: each key, its type, whether it has to be there, what is assumed where it is not, and what it means. prose: a text, or an array of its lines.';

CREATE FUNCTION raxx_detect.refuse(message text, detail text, hint text, errcode text DEFAULT 'invalid_parameter_value') RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = errcode, MESSAGE = message, DETAIL = coalesce(detail, 'It is NULL.'), HINT = coalesce(hint, 'None has a name like it.');
END $$;
COMMENT ON FUNCTION raxx_detect.refuse(text, text, text, text) IS 'Raises an error.';

CREATE FUNCTION raxx_detect.check_keys(what text, given jsonb, known text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    IF given IS NULL OR jsonb_typeof(given) <> 'object' THEN
        PERFORM raxx_detect.refuse(format('%s must be a JSON object', what), format('It is %s.', coalesce(left(given::text, 100), 'NULL')),
            format('Its keys are %s.', array_to_string(known, ', ')));
    END IF;
    SELECT k INTO unknown FROM jsonb_object_keys(given) k WHERE k <> ALL (known) ORDER BY k LIMIT 1;
    IF FOUND THEN
        PERFORM raxx_detect.refuse(format('%s has no %L', what, left(unknown, 100)), format('It may have %s.', array_to_string(known, ', ')),
            'The nearest are ' || raxx_detect.nearest(unknown, known) || '.');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_keys(text, jsonb, text[]) IS 'Raises 22023, with the key and the nearest known ones, unless it is an object of known keys.';

CREATE FUNCTION raxx_detect.is_texts(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE jsonb_typeof(value) WHEN 'array' THEN NOT EXISTS (SELECT FROM jsonb_array_elements(value) e WHERE jsonb_typeof(e) <> 'string') ELSE false END
$$;
COMMENT ON FUNCTION raxx_detect.is_texts(jsonb) IS 'Whether it is an array of texts.';

CREATE FUNCTION raxx_detect.fits_definition(type text, value jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_text boolean := jsonb_typeof(value) = 'string';
    given text := value #>> '{}';
BEGIN
    RETURN CASE type
        WHEN 'name' THEN is_text AND given ~ '^[a-z][a-z0-9_]{0,49}$'
        WHEN 'names' THEN raxx_detect.is_texts(value)
        WHEN 'text' THEN is_text AND btrim(given) <> '' AND length(given) <= 200 AND given !~ '[[:cntrl:]]'
        WHEN 'prose' THEN (is_text OR raxx_detect.is_texts(value)) AND length(value::text) <= 20000
        WHEN 'method' THEN is_text
        WHEN 'severity' THEN is_text AND given = ANY (enum_range(NULL::raxx_detect.severity)::text[])
        WHEN 'boolean' THEN jsonb_typeof(value) = 'boolean'
        WHEN 'number' THEN CASE WHEN jsonb_typeof(value) = 'number' THEN given::numeric >= 0 AND given::numeric <= 100000 ELSE false END
        WHEN 'interval' THEN is_text AND given ~ '^[1-9][0-9]{0,2} days?$' AND substring(given FROM '[0-9]+')::int <= 400
        WHEN 'prerequisites' THEN raxx_detect.is_texts(value) AND NOT EXISTS (
            SELECT FROM jsonb_array_elements_text(CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END) p WHERE p !~ '^P[1-8]$')
        WHEN 'ships' THEN is_text AND given IN ('live', 'placeholder', 'dormant', 'subsumed')
        ELSE jsonb_typeof(value) = 'object' END;
END $$;
COMMENT ON FUNCTION raxx_detect.fits_definition(text, jsonb) IS 'Whether a value is of a type of raxx_detect.definition_keys(); params and fixtures are looked into elsewhere.';

CREATE FUNCTION raxx_detect.check_roles(rule raxx_detect.rules, source text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY raxx_detect.named_roles(rule) LOOP
        IF NOT EXISTS (SELECT FROM raxx_detect.source_roles r WHERE r.source = source AND r.role = role) THEN
            PERFORM raxx_detect.refuse(format('source %s has no role %L', source, left(role, 100)),
                format('Its roles are %s.', (SELECT string_agg(r.role, ', ' ORDER BY r.position) FROM raxx_detect.source_roles r WHERE r.source = source)),
                'The nearest are ' || raxx_detect.nearest(role, ARRAY(SELECT r.role FROM raxx_detect.source_roles r WHERE r.source = source)) || '.',
                'undefined_object');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_roles(raxx_detect.rules, text) IS 'Raises 42704 if a rule''s parameters name a role that a source does not have.';

CREATE FUNCTION raxx_detect.check_fit(method text, params jsonb, baseline_window interval) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF params ->> 'season' NOT IN ('none', 'hour_of_week') THEN
        PERFORM raxx_detect.refuse('parameter season is neither none nor hour_of_week', format('The value is %s.', left(params ->> 'season', 100)),
            'hour_of_week goes by the hour of the week; none does not.');
    ELSIF method LIKE 'temporal%' AND (jsonb_array_length(params -> 'steps') NOT BETWEEN 2 AND 32
            OR (params ->> 'threshold')::bigint > jsonb_array_length(params -> 'steps')) THEN
        PERFORM raxx_detect.refuse(format('method %s needs from 2 to 32 steps, and at least as many as its threshold', method),
            format('There are %s.', jsonb_array_length(params -> 'steps')), 'One step alone is method velocity.');
    ELSIF params ? 'filter' AND (baseline_window IS NOT NULL OR params ?| '{mix_window,excluded_causes,deploy_margin}') THEN
        PERFORM raxx_detect.refuse('a rule with a filter counts by its threshold alone', 'It has a baseline, a mix or causes that are excluded, too; these know of no filter.',
            'Bind a view that holds only the rows that count.');
    ELSIF (params ->> 'business_from')::time >= (params ->> 'business_to')::time THEN
        PERFORM raxx_detect.refuse('business hours end before they begin', format('They are from %s to %s.', params ->> 'business_from', params ->> 'business_to'),
            'Hours that cross midnight are not known: from 00:00 to 24:00 is all day.');
    ELSIF (params ->> 'baseline_ready')::interval > baseline_window THEN
        PERFORM raxx_detect.refuse('baseline_ready is longer than the baseline_window', format('They are %s and %s.', params ->> 'baseline_ready', baseline_window),
            'A baseline of so many days would never be ready.');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_fit(text, jsonb, interval) IS 'Raises 22023 unless the parameters of a method fit each other, and the baseline.';

CREATE FUNCTION raxx_detect.check_params(method text, params jsonb, baseline_window interval) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    parameter raxx_detect.method_parameters;
    known text[] := ARRAY(SELECT p.name FROM raxx_detect.method_parameters p WHERE p.method = method ORDER BY p.name COLLATE "C");
    missing boolean;
BEGIN
    PERFORM raxx_detect.check_keys(format('method %s', method), params, known);
    FOR parameter IN SELECT p.* FROM raxx_detect.method_parameters p WHERE p.method = method ORDER BY p.name COLLATE "C" LOOP
        IF params ? parameter.name THEN
            PERFORM raxx_detect.check_parameter(parameter, params -> parameter.name);
            CONTINUE;
        END IF;
        missing := CASE
            WHEN parameter.needed = 'always' THEN true
            WHEN parameter.needed = 'with a baseline' THEN baseline_window IS NOT NULL
            WHEN parameter.needed LIKE 'with %' THEN params ? substr(parameter.needed, 6)
            WHEN parameter.needed LIKE 'unless %' THEN NOT params ? substr(parameter.needed, 8)
            ELSE false END;
        IF missing THEN
            PERFORM raxx_detect.refuse(format('method %s needs the parameter %s', method, parameter.name),
                format('It is needed %s.', parameter.needed), format('%s Type %s.', parameter.meaning, parameter.type));
        END IF;
    END LOOP;
    PERFORM raxx_detect.check_fit(method, params, baseline_window);
END $$;
COMMENT ON FUNCTION raxx_detect.check_params(text, jsonb, interval) IS
'Raises 22023 unless these are parameters of the method, of the right types and within their limits, that fit each other, and none that it needs is missing.';

CREATE FUNCTION raxx_detect.check_sources(rule raxx_detect.rules) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    source text;
    role text;
    wanted int := CASE WHEN rule.method = 'unmatched' THEN 2 WHEN rule.method NOT IN ('gap', 'chain') THEN 1 END;
BEGIN
    FOREACH source IN ARRAY rule.sources || rule.optional_sources LOOP
        PERFORM raxx_detect.require_source(source);
    END LOOP;
    IF cardinality(rule.sources) = 0 OR cardinality(rule.sources) <> wanted THEN
        PERFORM raxx_detect.refuse(format('method %s judges %s', rule.method, CASE wanted WHEN 1 THEN 'one source' WHEN 2 THEN 'two sources: what happened, and its records'
                                                                                  ELSE 'one source or several' END),
            format('The sources are %s.', coalesce(nullif(array_to_string(rule.sources, ', '), ''), 'none')),
            'What lies in several tables can be one source through a view.');
    ELSIF rule.method = 'drift' AND rule.sources <> '{statement_samples}' THEN
        PERFORM raxx_detect.refuse('method drift judges statement_samples only', format('The source is %s.', rule.sources[1]), 'For any other number, take method quantile.');
    END IF;
    FOREACH source IN ARRAY rule.sources LOOP
        PERFORM raxx_detect.check_roles(rule, source);
        IF rule.method IN ('quantile', 'benford') AND NOT EXISTS (
                SELECT FROM raxx_detect.source_roles r WHERE r.source = source AND r.role = rule.params ->> 'value'
                AND r.type = ANY ('{bigint,float8,numeric}'::regtype[])) THEN
            PERFORM raxx_detect.refuse(format('method %s needs a number', rule.method), format('Role %s of source %s is none.', rule.params ->> 'value', source),
                'Name a role of type bigint, float8 or numeric.', 'datatype_mismatch');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_sources(raxx_detect.rules) IS 'Raises 42704, 42804 or 22023 unless there are the sources and roles that the rule names, and as many sources as its method judges.';

CREATE FUNCTION raxx_detect.check_fixture(rule raxx_detect.rules, name text, fixture jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    what text := format('fixture %s', left(name, 100));
    filled record;
    line jsonb;
    parameter text;
BEGIN
    IF name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        PERFORM raxx_detect.refuse(what || ' has a name that is none', 'It is not a lower-case letter and then letters, digits and _.', 'For example: near_miss_count.');
    END IF;
    PERFORM raxx_detect.check_keys(what, fixture, '{description,start,params,sources,as_of,chain,expect,expect_state,expect_outcome}');
    IF NOT fixture ?& '{start,sources,as_of,expect}' OR jsonb_typeof(fixture -> 'expect') <> 'array' THEN
        PERFORM raxx_detect.refuse(what || ' needs start, sources, as_of and expect, an array', format('It has %s.',
            (SELECT string_agg(k, ', ') FROM jsonb_object_keys(fixture) k)), 'See the comment on raxx_detect.fixtures.');
    END IF;
    BEGIN
        PERFORM (fixture ->> 'start')::timestamptz + (fixture ->> 'as_of')::interval;
    EXCEPTION WHEN data_exception THEN
        PERFORM raxx_detect.refuse(what || ' has a start or an as_of that is none', sqlerrm || '.', 'start is a time with its zone, as_of an interval after it.');
    END;
    PERFORM raxx_detect.check_keys(what || '.sources', fixture -> 'sources', rule.sources || rule.optional_sources);
    FOR filled IN SELECT s.key AS source, s.value AS lines FROM jsonb_each(fixture -> 'sources') s LOOP
        IF jsonb_typeof(filled.lines) <> 'array' THEN
            PERFORM raxx_detect.refuse(format('%s: the rows of %s are no array', what, filled.source), left(filled.lines::text, 100) || '.', 'Give an array of objects, or [].');
        END IF;
        FOR line IN SELECT jsonb_array_elements(filled.lines) LOOP
            PERFORM raxx_detect.check_keys(format('%s: a row of %s', what, filled.source), line, '{at,every,until}'::text[]
                || ARRAY(SELECT r.role FROM raxx_detect.source_roles r WHERE r.source = filled.source AND r.position > 1 ORDER BY r.position));
        END LOOP;
    END LOOP;
    FOR parameter IN SELECT jsonb_object_keys(coalesce(fixture -> 'params', '{}')) LOOP
        IF NOT rule.params ? parameter THEN
            PERFORM raxx_detect.refuse(format('%s: the rule has no parameter %L', what, left(parameter, 100)), 'A fixture tries a rule with other values, not with other parameters.',
                'The nearest are ' || raxx_detect.nearest(parameter, ARRAY(SELECT jsonb_object_keys(rule.params))) || '.');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_fixture(raxx_detect.rules, text, jsonb) IS 'Raises 22023 unless this can be a fixture of the rule.';

CREATE FUNCTION raxx_detect.normal_definition(definition jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(k.key, CASE WHEN k.type = 'prose' AND jsonb_typeof(given.value) = 'array'
                                        THEN to_jsonb((SELECT string_agg(line, E'\n' ORDER BY n) FROM jsonb_array_elements_text(given.value) WITH ORDINALITY l(line, n)))
                                        ELSE given.value END)
    FROM raxx_detect.definition_keys() k
    CROSS JOIN LATERAL (SELECT coalesce(nullif(definition -> k.key, 'null'), k.assumed,
        CASE k.key WHEN 'det_id' THEN to_jsonb('OWN-' || upper(definition ->> 'rule_id')) END) AS value) given
    WHERE given.value IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.normal_definition(jsonb) IS 'The definition with what is assumed where it says nothing, and with prose as text. Checks nothing.';

CREATE FUNCTION raxx_detect.check_definition(definition jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
DECLARE
    k record;
    rule raxx_detect.rules;
    fixture record;
    learner text;
BEGIN
    PERFORM raxx_detect.check_keys('the definition of a rule', definition, ARRAY(SELECT d.key FROM raxx_detect.definition_keys() d));
    FOR k IN SELECT d.*, nullif(definition -> d.key, 'null') AS given FROM raxx_detect.definition_keys() d LOOP
        IF k.given IS NULL AND k.needed THEN
            PERFORM raxx_detect.refuse(format('the definition of a rule needs %s', k.key), 'It has none.', k.meaning);
        ELSIF k.given IS NOT NULL AND raxx_detect.fits_definition(k.type, k.given) IS NOT TRUE THEN
            PERFORM raxx_detect.refuse(format('%s is not right', k.key), format('It is %s.', left(k.given::text, 100)),
                k.meaning || CASE k.type WHEN 'interval' THEN ' For example "7 days", up to 400.' WHEN 'severity' THEN ' low, medium, high or critical.'
                             WHEN 'number' THEN ' A number from 0 to 100000.' ELSE '' END);
        END IF;
    END LOOP;
    SELECT m.learner INTO learner FROM raxx_detect.methods m WHERE m.method = definition ->> 'method';
    IF NOT FOUND THEN
        PERFORM raxx_detect.refuse(format('unknown method %L', left(definition ->> 'method', 100)), 'The methods are listed in raxx_detect.methods.',
            'The nearest are ' || raxx_detect.nearest(definition ->> 'method', ARRAY(SELECT m.method FROM raxx_detect.methods m)) || '.', 'undefined_object');
    END IF;
    definition := raxx_detect.normal_definition(definition);
    rule := jsonb_populate_record(NULL::raxx_detect.rules, definition - 'fixtures');
    IF learner IS NULL AND rule.baseline_window IS NOT NULL THEN
        PERFORM raxx_detect.refuse(format('method %s has no baseline', rule.method), format('The baseline_window is %s.', rule.baseline_window), 'Leave it out.');
    ELSIF learner IS NOT NULL AND rule.baseline_window IS NULL AND rule.method NOT IN ('velocity', 'distinct') THEN
        PERFORM raxx_detect.refuse(format('method %s needs a baseline', rule.method), 'There is no baseline_window.', 'Give one, such as "7 days".');
    ELSIF rule.baseline_window IS NOT NULL AND rule.false_alarms_per_month = 0 THEN
        PERFORM raxx_detect.refuse('a baseline needs an allowance for false alarms', 'false_alarms_per_month is 0.', 'With none, it would never fire. Give a number above 0.');
    END IF;
    PERFORM raxx_detect.check_params(rule.method, rule.params, rule.baseline_window);
    PERFORM raxx_detect.check_sources(rule);
    FOR fixture IN SELECT f.key AS name, f.value FROM jsonb_each(definition -> 'fixtures') f LOOP
        PERFORM raxx_detect.check_fixture(rule, fixture.name, fixture.value);
    END LOOP;
    RETURN definition;
END $$;
COMMENT ON FUNCTION raxx_detect.check_definition(jsonb) IS
'The definition, complete, if a rule can be made of it. Else raises 22023 (an unknown key, with the nearest; one that is missing; a value that does not fit), 42704 (no such method, source or role) or 42804.';

-- ---- making and changing them -------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.rule_definition(rule_id text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    RETURN raxx_detect.definition_of(rule, raxx_detect.own_fixtures(rule.rule_id));
END $$;
COMMENT ON FUNCTION raxx_detect.rule_definition(text) IS
'All that a rule says, as raxx_detect.create_rule takes it; of fixtures, those that did not come with the extension. Error: 42704 unknown rule.';

CREATE FUNCTION raxx_detect.set_fixtures(rule_id text, fixtures jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shipped text := (SELECT f.name FROM raxx_detect.fixtures f WHERE f.rule_id = rule_id AND f.shipped AND fixtures ? f.name ORDER BY f.name LIMIT 1);
BEGIN
    IF shipped IS NOT NULL THEN
        PERFORM raxx_detect.refuse(format('fixture %s of rule %s came with the extension', shipped, rule_id), 'An update would bring it back.',
            'Give yours another name.', 'duplicate_object');
    END IF;
    DELETE FROM raxx_detect.fixtures f WHERE f.rule_id = rule_id AND NOT f.shipped AND NOT fixtures ? f.name;
    INSERT INTO raxx_detect.fixtures AS o (rule_id, name, fixture)
    SELECT rule_id, f.key, f.value FROM jsonb_each(fixtures) f
    ON CONFLICT ON CONSTRAINT fixtures_pkey DO UPDATE SET fixture = EXCLUDED.fixture WHERE o.fixture <> EXCLUDED.fixture;
END $$;
COMMENT ON FUNCTION raxx_detect.set_fixtures(text, jsonb) IS 'Makes these the fixtures of a rule, beside those that came with the extension.';

CREATE FUNCTION raxx_detect.insert_rule(definition jsonb, state text, reason text, shadow_of text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
DECLARE
    rule raxx_detect.rules := jsonb_populate_record(NULL::raxx_detect.rules, definition - 'fixtures');
    taken text := (SELECT r.rule_id FROM raxx_detect.rules r WHERE r.rule_id = rule.rule_id OR r.det_id = rule.det_id ORDER BY r.rule_id = rule.rule_id DESC LIMIT 1);
BEGIN
    IF taken IS NOT NULL THEN
        PERFORM raxx_detect.refuse(CASE WHEN taken = rule.rule_id THEN format('there is a rule %s', taken) ELSE format('rule %s has the det_id %s', taken, rule.det_id) END,
            'A rule_id and a det_id are given once.', 'To change a rule: raxx_detect.change_rule. To try one beside it: raxx_detect.shadow_rule.', 'duplicate_object');
    END IF;
    INSERT INTO raxx_detect.rules (rule_id, det_id, title, category, method, severity, sources, optional_sources, params, baseline_window, per_event,
        allows_exceptions, false_alarms_per_month, escalation_owner, prerequisites, ships, telemetry, how, thresholds, routes, runbook, do_not, waits_for,
        state, state_reason, shadow_of)
    VALUES (rule.rule_id, rule.det_id, rule.title, rule.category, rule.method, rule.severity, rule.sources, rule.optional_sources, rule.params, rule.baseline_window,
        rule.per_event, rule.allows_exceptions, rule.false_alarms_per_month, rule.escalation_owner, rule.prerequisites, rule.ships, rule.telemetry, rule.how, rule.thresholds, rule.routes,
        rule.runbook, rule.do_not, rule.waits_for, state, reason, shadow_of);
    PERFORM raxx_detect.set_fixtures(rule.rule_id, definition -> 'fixtures');
END $$;
COMMENT ON FUNCTION raxx_detect.insert_rule(jsonb, text, text, text) IS 'Makes a rule of a definition that has been checked. Error: 42710 there is one of that rule_id or det_id.';

CREATE FUNCTION raxx_detect.create_rule(definition jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    definition := raxx_detect.check_definition(definition);
    PERFORM raxx_detect.insert_rule(definition, 'disabled', 'new: raxx_detect.enable tries its fixtures, and starts it if they pass');
    RETURN definition ->> 'rule_id';
END $$;
COMMENT ON FUNCTION raxx_detect.create_rule(jsonb) IS
'Makes a rule of a definition (raxx_detect.rule_schema describes it; docs/own-rules.md shows one) and returns its rule_id. It is disabled until raxx_detect.enable finds its fixtures passing, one of which has to make it fire. Errors: those of raxx_detect.check_definition; 42710 there is a rule of that rule_id or det_id.';

CREATE FUNCTION raxx_detect.require_validated(rule_id text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    failed record;
BEGIN
    IF NOT EXISTS (SELECT FROM raxx_detect.fixtures f WHERE f.rule_id = require_validated.rule_id AND f.fixture -> 'expect' <> '[]') THEN
        PERFORM raxx_detect.refuse(format('rule %s has no fixture that makes it fire', rule_id), 'What is not seen to fire may be deaf.',
            'Give it one: raxx_detect.change_rule with "fixtures".', 'object_not_in_prerequisite_state');
    END IF;
    SELECT t.fixture, t.expected, t.observed INTO failed FROM raxx_detect.run_self_test(require_validated.rule_id) t WHERE t.ok IS NOT TRUE LIMIT 1;
    IF FOUND THEN
        PERFORM raxx_detect.refuse(format('rule %s does not pass its fixture %s', rule_id, failed.fixture),
            format('Expected %s, observed %s.', left(failed.expected::text, 1000), left(failed.observed::text, 1000)),
            format('SELECT * FROM raxx_detect.self_test(%L) shows all of them.', rule_id), 'object_not_in_prerequisite_state');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.require_validated(text) IS 'Raises 55000 unless all fixtures of the rule pass, as it is now, and one of them makes it fire.';

CREATE FUNCTION raxx_detect.change_rule(definition jsonb, reason text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
#variable_conflict use_variable
DECLARE
    old raxx_detect.rules;
    new raxx_detect.rules;
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        PERFORM raxx_detect.refuse('changing a rule needs a reason', 'The reason is empty.', 'Say why: whoever reads raxx_detect.rule_versions will ask.');
    END IF;
    definition := raxx_detect.check_definition(definition);
    PERFORM FROM raxx_detect.rules r WHERE r.rule_id = definition ->> 'rule_id' FOR NO KEY UPDATE;
    old := raxx_detect.find_rule(definition ->> 'rule_id');
    IF old.method <> definition ->> 'method' THEN
        PERFORM raxx_detect.refuse(format('the method of rule %s cannot change', old.rule_id), format('It is %s.', old.method), 'Make another rule, and disable this one.');
    END IF;
    new := jsonb_populate_record(old, '{"waits_for": null, "baseline_window": null}'::jsonb || definition - 'fixtures');
    UPDATE raxx_detect.rules r
    SET det_id = new.det_id, title = new.title, category = new.category, severity = new.severity, sources = new.sources, optional_sources = new.optional_sources,
        params = new.params, baseline_window = new.baseline_window, per_event = new.per_event, allows_exceptions = new.allows_exceptions, false_alarms_per_month = new.false_alarms_per_month,
        escalation_owner = new.escalation_owner, prerequisites = new.prerequisites, ships = new.ships, telemetry = new.telemetry, how = new.how,
        thresholds = new.thresholds, routes = new.routes, runbook = new.runbook, do_not = new.do_not, waits_for = new.waits_for,
        last_validated = CASE WHEN r.overrides IS NOT NULL THEN r.last_validated END,
        -- What was measured was measured of what it said before.
        calibration = CASE WHEN (r.params, r.baseline_window, r.false_alarms_per_month) IS NOT DISTINCT FROM (new.params, new.baseline_window, new.false_alarms_per_month) THEN r.calibration END,
        calibrated_at = CASE WHEN (r.params, r.baseline_window, r.false_alarms_per_month) IS NOT DISTINCT FROM (new.params, new.baseline_window, new.false_alarms_per_month) THEN r.calibrated_at END
    WHERE r.rule_id = old.rule_id AND raxx_detect.rule_definition(old.rule_id) <> definition;
    PERFORM raxx_detect.set_fixtures(old.rule_id, definition -> 'fixtures');
    PERFORM raxx_detect.forget_learnt(old, new);
    IF old.overrides IS NULL AND old.state NOT IN ('disabled', 'retired') THEN
        PERFORM raxx_detect.require_validated(old.rule_id);
    END IF;
    RETURN raxx_detect.give_reason(old.rule_id, reason);
END $$;
COMMENT ON FUNCTION raxx_detect.change_rule(jsonb, text) IS
'Puts a definition in the place of what the rule of its rule_id says, from its next run on, and returns the version that this makes. All that the definition leaves out is as assumed, not as it was: begin with raxx_detect.rule_definition. A rule of one''s own that is not disabled has to pass the fixtures of the definition. Where its baseline counts otherwise from then on, its days are read again. Errors: those of raxx_detect.check_definition; 42704 unknown rule; 22023 no reason, or another method; 55000 a fixture does not pass. Nothing changes then.';

CREATE FUNCTION raxx_detect.forget_learnt(old raxx_detect.rules, new raxx_detect.rules) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A source that is new to it is judged from its beginning; one that it had and has again, too.
    DELETE FROM raxx_detect.coverage c WHERE c.rule_id = new.rule_id AND c.source <> ALL (new.sources || new.optional_sources);
    IF (old.sources, old.baseline_window) IS DISTINCT FROM (new.sources, new.baseline_window) OR raxx_detect.counts_otherwise(old.params, new.params) THEN
        DELETE FROM raxx_detect.baseline_days b WHERE b.rule_id = new.rule_id;
    END IF;
    IF old.sources <> new.sources OR EXISTS (SELECT FROM unnest('{entity,value}'::text[]) k WHERE old.params -> k IS DISTINCT FROM new.params -> k) THEN
        DELETE FROM raxx_detect.baseline_starts b WHERE b.rule_id = new.rule_id;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.forget_learnt(raxx_detect.rules, raxx_detect.rules) IS 'Forgets the baseline of a rule that counts otherwise than before, and how far it has looked at sources that it no longer reads.';

CREATE FUNCTION raxx_detect.drop_rule(rule_id text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    findings bigint;
BEGIN
    PERFORM FROM raxx_detect.rules r WHERE r.rule_id = rule_id FOR UPDATE;
    IF rule.overrides IS NOT NULL THEN
        PERFORM raxx_detect.refuse(format('rule %s came with the extension', rule_id), 'It would come back with an update.',
            format('SELECT raxx_detect.disable(%L, ''why'').', rule_id), 'dependent_objects_still_exist');
    ELSIF EXISTS (SELECT FROM raxx_detect.rules r WHERE r.shadow_of = rule_id) THEN
        PERFORM raxx_detect.refuse(format('rule %s has a shadow', rule_id), 'A version of it is being tried.', format('SELECT raxx_detect.drop_shadow(%L).', rule_id),
            'dependent_objects_still_exist');
    END IF;
    SELECT count(*) INTO findings FROM raxx_detect.detection_findings f WHERE f.rule_id = rule_id;
    IF findings > 0 AND rule.shadow_of IS NULL THEN
        PERFORM raxx_detect.refuse(format('rule %s has findings', rule_id), format('They are %s.', findings),
            format('What was found is kept, and so is its rule: SELECT raxx_detect.disable(%L, ''why'').', rule_id), 'dependent_objects_still_exist');
    END IF;
    IF findings > 0 THEN  -- a shadow's
        DELETE FROM raxx_detect.detection_findings f WHERE f.rule_id = rule_id;
    END IF;
    DELETE FROM raxx_detect.fixtures f WHERE f.rule_id = rule_id;
    IF has_table_privilege('raxx_detect.rule_runs', 'DELETE') THEN  -- else they stay: they are records
        DELETE FROM raxx_detect.rule_runs u WHERE u.rule_id = rule_id;
    END IF;
    DELETE FROM raxx_detect.rules r WHERE r.rule_id = rule_id;
END $$;
COMMENT ON FUNCTION raxx_detect.drop_rule(text) IS
'Deletes a rule of one''s own that has found nothing, with its fixtures and baseline, and with the record of its runs if the caller may delete that; its versions stay in raxx_detect.rule_versions. Errors: 42704 unknown rule, 2BP01 it came with the extension, has findings, or has a shadow.';
