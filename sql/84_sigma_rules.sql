-- Sigma correlation rules, second half: a correlation and its base rules become the definition of a rule, with fixtures that hold it to its numbers.

CREATE FUNCTION raxx_detect.sigma_base(correlation jsonb, documents jsonb, rule_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    referred text;
    base jsonb;
    bases jsonb := '[]';
BEGIN
    FOR referred IN SELECT jsonb_array_elements_text(raxx_detect.sigma_list(correlation -> 'rules')) LOOP
        SELECT jsonb_agg(d) INTO base FROM jsonb_array_elements(documents) d WHERE referred IN (d ->> 'name', d ->> 'id');
        IF base IS NULL OR jsonb_array_length(base) > 1 THEN
            PERFORM raxx_detect.refuse(format('Sigma rule %s refers to %s, which is %s', left(rule_name, 100), left(referred, 100), CASE WHEN base IS NULL THEN 'not there' ELSE 'there twice' END),
                'A rule is referred to by its name or its id.', 'Import the rules that a correlation refers to along with it.', 'undefined_object');
        ELSIF base -> 0 ? 'correlation' THEN
            PERFORM raxx_detect.not_here(rule_name, format('a correlation of a correlation (%s)', left(referred, 100)), 'Import them one by one, or correlate in a view.');
        END IF;
        bases := bases || base;
    END LOOP;
    IF bases = '[]' THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s names no rules', left(rule_name, 100)), 'There is nothing to correlate.', '"rules": ["name or id"].');
    END IF;
    RETURN bases;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_base(jsonb, jsonb, text) IS 'The base rules of a correlation, in its order. Raises 42704 for one that is not there, 0A000 for a correlation.';

CREATE FUNCTION raxx_detect.sigma_counts(rule_name text, correlation jsonb, bases jsonb, sources jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mapping jsonb;
    of_values boolean := correlation ->> 'type' = 'value_count';
    field jsonb := correlation -> 'condition' -> 'field';
BEGIN
    IF jsonb_array_length(bases) > 1 THEN
        PERFORM raxx_detect.not_here(rule_name, format('counting the events of %s rules together', jsonb_array_length(bases)), 'Select the rows of all of them in a view, and make that one rule.');
    ELSIF of_values AND jsonb_typeof(field) IS DISTINCT FROM 'string' THEN
        PERFORM raxx_detect.not_here(rule_name, CASE WHEN field IS NULL THEN 'a value_count without a field' ELSE format('a value_count of %s', left(field::text, 100)) END, 'Name one field in the condition.');
    ELSIF NOT of_values AND field IS NOT NULL THEN
        PERFORM raxx_detect.not_here(rule_name, 'an event_count with a field', 'To count different values is value_count.');
    END IF;
    mapping := raxx_detect.sigma_mapping(bases -> 0, sources);
    RETURN jsonb_build_object('method', CASE WHEN of_values THEN 'distinct' ELSE 'velocity' END, 'sources', jsonb_build_array(mapping -> 'source'),
        'params', jsonb_build_object('entity', raxx_detect.sigma_entity(rule_name, correlation, bases -> 0, mapping),
                      'window', raxx_detect.sigma_window(rule_name, correlation ->> 'timespan'), 'threshold', raxx_detect.sigma_threshold(rule_name, correlation -> 'condition'))
                  || CASE WHEN of_values THEN jsonb_build_object('value', raxx_detect.sigma_role(raxx_detect.sigma_name(bases -> 0), field #>> '{}', mapping)) ELSE '{}' END
                  || raxx_detect.sigma_rows(bases -> 0, mapping));
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_counts(text, jsonb, jsonb, jsonb) IS 'Method, source and parameters of an event_count or a value_count.';

CREATE FUNCTION raxx_detect.sigma_steps(rule_name text, correlation jsonb, bases jsonb, sources jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    base jsonb;
    mapping jsonb;
    selected jsonb;
    step jsonb;
    common jsonb;
    steps text[] := '{}';
    threshold bigint;
    condition jsonb := correlation -> 'condition';
BEGIN
    FOR base IN SELECT b FROM jsonb_array_elements(bases) WITH ORDINALITY x(b, n) ORDER BY n LOOP
        mapping := raxx_detect.sigma_mapping(base, sources);
        selected := raxx_detect.sigma_rows(base, mapping);
        step := jsonb_build_object('source', mapping -> 'source', 'value', selected -> 'filter', 'entity', raxx_detect.sigma_entity(rule_name, correlation, base, mapping));
        IF selected = '{}' OR common <> step THEN
            PERFORM raxx_detect.not_here(rule_name, 'a sequence over several sources, or over several of their columns,',
                'Make one view of them, with a column that says which rule each row is of, and map each rule to it with "rows": {"that role": "its name"}.');
        ELSIF (selected -> 'only')::text LIKE '%|%' THEN
            PERFORM raxx_detect.not_here(rule_name, 'a | in a value of a sequence', 'Select the rows in a view.');
        END IF;
        common := step;
        steps := steps || (SELECT string_agg(p, '|' ORDER BY n) FROM jsonb_array_elements_text(selected -> 'only') WITH ORDINALITY x(p, n));
    END LOOP;
    IF cardinality(steps) < 2 THEN
        PERFORM raxx_detect.not_here(rule_name, 'a sequence of one rule', 'To count is event_count.');
    END IF;
    threshold := CASE WHEN condition IS NULL OR condition = 'null' THEN cardinality(steps)
                      -- That many different ones there cannot be more of.
                      WHEN condition = jsonb_build_object('eq', cardinality(steps)) THEN cardinality(steps)
                      ELSE raxx_detect.sigma_threshold(rule_name, condition) END;
    IF threshold > cardinality(steps) OR condition ? 'field' OR correlation ->> 'type' = 'temporal_ordered' AND threshold < cardinality(steps) THEN
        PERFORM raxx_detect.not_here(rule_name, format('the condition %s', left(condition::text, 100)), 'Leave the condition out: all rules have to match.');
    END IF;
    RETURN jsonb_build_object('method', correlation ->> 'type', 'sources', jsonb_build_array(common -> 'source'),
        'params', (common - 'source') || jsonb_build_object('steps', to_jsonb(steps), 'window', raxx_detect.sigma_window(rule_name, correlation ->> 'timespan'))
                  || CASE correlation ->> 'type' WHEN 'temporal' THEN jsonb_build_object('threshold', threshold) ELSE '{}' END);
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_steps(text, jsonb, jsonb, jsonb) IS 'Method, source and parameters of a temporal or temporal_ordered.';

-- ---- fixtures ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.sample_value(source text, role text, pattern text, each_another boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN pattern IS NOT NULL THEN to_jsonb(CASE WHEN each_another THEN regexp_replace(pattern, E'\\*', '{n}') ELSE replace(pattern, '*', 'x') END)
        WHEN r.type = 'inet'::regtype THEN to_jsonb(CASE WHEN each_another THEN '2001:db8::{n}' ELSE '203.0.113.7' END)
        WHEN r.type = 'boolean'::regtype THEN 'true'::jsonb
        WHEN r.type IN ('bigint'::regtype, 'float8'::regtype, 'numeric'::regtype) THEN CASE WHEN each_another THEN '{"from": 0, "per_n": 1}' ELSE '7'::jsonb END
        ELSE to_jsonb(CASE WHEN each_another THEN 'value {n}' ELSE 'somebody' END) END
    FROM raxx_detect.source_roles r WHERE r.source = sample_value.source AND r.role = sample_value.role
$$;
COMMENT ON FUNCTION raxx_detect.sample_value(text, text, text, boolean) IS 'A value that a row of a fixture may have in a role: one that fits the pattern; each_another: another in each row, as far as that can be.';

CREATE FUNCTION raxx_detect.fixture_of(definition jsonb, lines jsonb, fires boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    source text := definition -> 'sources' ->> 0;
    n bigint := coalesce((definition -> 'params' ->> 'threshold')::bigint, jsonb_array_length(definition -> 'params' -> 'steps'));
BEGIN
    RETURN jsonb_build_object('start', '2026-06-01T12:00:00Z', 'as_of', definition -> 'params' ->> 'window', 'sources', jsonb_build_object(source, lines),
        'description', CASE WHEN fires THEN 'As many as the Sigma rule asks for.' ELSE 'One less than the Sigma rule asks for.' END,
        'expect', CASE WHEN fires THEN jsonb_build_array(jsonb_build_object('observed', n, 'threshold', n, 'severity', definition -> 'severity', 'fired_by', 'threshold')) ELSE '[]' END);
END $$;
COMMENT ON FUNCTION raxx_detect.fixture_of(jsonb, jsonb, boolean) IS 'A fixture of these lines for a rule made of a Sigma rule.';

CREATE FUNCTION raxx_detect.sigma_fixtures(definition jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
#variable_conflict use_variable
DECLARE
    source text := definition -> 'sources' ->> 0;
    params jsonb := definition -> 'params';
    needed bigint := coalesce((params ->> 'threshold')::bigint, jsonb_array_length(params -> 'steps'));
    -- All within the window, the last before it ends.
    step bigint := greatest(floor(extract(epoch FROM (params ->> 'window')::interval) * 1000000 / (needed + 1)), 1);
    pattern text := params -> 'only' ->> 0;
    line jsonb;
    lines jsonb;
BEGIN
    IF params ? 'steps' THEN
        SELECT jsonb_agg(jsonb_build_object('at', format('%s us', (i.n - 1) * step), params ->> 'entity',
                   CASE WHEN params ->> 'entity' <> params ->> 'value' THEN raxx_detect.sample_value(source, params ->> 'entity', NULL) END,
                   params ->> 'value', raxx_detect.sample_value(source, params ->> 'value', split_part(i.globs, '|', 1))) ORDER BY i.n) INTO lines
        FROM jsonb_array_elements_text(params -> 'steps') WITH ORDINALITY i(globs, n) WHERE i.n <= needed;
        RETURN jsonb_build_object('sigma_fires', raxx_detect.fixture_of(definition, lines, true), 'sigma_near_miss', raxx_detect.fixture_of(definition, lines - (needed - 1)::int, false));
    END IF;
    line := jsonb_build_object('at', '0 s', 'every', format('%s us', step), params ->> 'entity', raxx_detect.sample_value(source, params ->> 'entity', NULL));
    IF params ? 'filter' THEN
        line := line || jsonb_build_object(params ->> 'filter', raxx_detect.sample_value(source, params ->> 'filter', pattern));
    END IF;
    IF params ? 'value' THEN
        line := line || jsonb_build_object(params ->> 'value', raxx_detect.sample_value(source, params ->> 'value',
            CASE WHEN params ->> 'filter' = params ->> 'value' THEN pattern END, true));
    END IF;
    RETURN jsonb_build_object(
        'sigma_fires', raxx_detect.fixture_of(definition, jsonb_build_array(line || jsonb_build_object('until', format('%s us', (needed - 1) * step))), true),
        'sigma_near_miss', raxx_detect.fixture_of(definition, CASE needed WHEN 1 THEN '[]' ELSE jsonb_build_array(line || jsonb_build_object('until', format('%s us', (needed - 2) * step))) END, false));
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_fixtures(jsonb) IS
'Two fixtures that hold a rule made of a Sigma rule to its numbers: as many as it asks for, and one less.';

-- ---- the rule ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.sigma_prose(document jsonb, bases jsonb, definition jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'telemetry', format('Source %s. Of the Sigma rules %s.', definition -> 'sources' ->> 0, (
            SELECT string_agg(concat_ws(', ', raxx_detect.sigma_name(b), b ->> 'id', 'logsource ' || (b ->> 'logsource')), '; ' ORDER BY n) FROM jsonb_array_elements(bases) WITH ORDINALITY x(b, n))),
        'how', concat_ws(E'\n', nullif(document ->> 'description', ''), format('Imported from the Sigma rule %s: %s',
            concat_ws(', ', document ->> 'title', document ->> 'id', 'by ' || (document ->> 'author')), document -> 'correlation')),
        'runbook', concat_ws(E'\n', '1. Read raxx_detect.explain(finding_id): who, how many and when.',
            '2. False positives that the Sigma rule knows: ' || (SELECT string_agg(f, '; ') FROM jsonb_array_elements_text(raxx_detect.sigma_list(document -> 'falsepositives')) f) || '.',
            'References: ' || (SELECT string_agg(f, ' ') FROM jsonb_array_elements_text(raxx_detect.sigma_list(document -> 'references')) f),
            'Close with raxx_detect.triage and a note.'))
$$;
COMMENT ON FUNCTION raxx_detect.sigma_prose(jsonb, jsonb, jsonb) IS 'What a rule made of a Sigma rule tells people.';

CREATE FUNCTION raxx_detect.sigma_definition(document jsonb, documents jsonb, sources jsonb DEFAULT '{}', defaults jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
#variable_conflict use_variable
DECLARE
    rule_name text := raxx_detect.sigma_name(document);
    correlation jsonb := document -> 'correlation';
    bases jsonb;
    level text := coalesce(document ->> 'level', defaults ->> 'severity');
    odd text;
    definition jsonb;
BEGIN
    SELECT k INTO odd FROM jsonb_object_keys(CASE jsonb_typeof(correlation) WHEN 'object' THEN correlation ELSE '{}' END) k
    WHERE k <> ALL ('{type,rules,group-by,timespan,condition,aliases,generate}') ORDER BY k LIMIT 1;
    IF jsonb_typeof(correlation) IS DISTINCT FROM 'object' THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s has a correlation that is none', left(rule_name, 100)), format('It is %s.', left(correlation::text, 100)), 'It is an object.');
    ELSIF odd IS NOT NULL THEN
        PERFORM raxx_detect.not_here(rule_name, format('the key %s of a correlation', left(odd, 100)), 'Known are type, rules, group-by, timespan, condition, aliases and generate.');
    ELSIF coalesce(correlation ->> 'type', '') NOT IN ('event_count', 'value_count', 'temporal', 'temporal_ordered') THEN
        PERFORM raxx_detect.not_here(rule_name, format('a correlation of type %s', coalesce(left(correlation ->> 'type', 100), 'none')), 'Known are event_count, value_count, temporal and temporal_ordered.');
    ELSIF 'true' IN (document -> 'generate', correlation -> 'generate') THEN
        PERFORM raxx_detect.not_here(rule_name, 'generate: true, which makes its base rules alerts of their own,', 'Take it out, and import an event_count of each base rule with gte: 1.');
    ELSIF coalesce(level, '') NOT IN ('informational', 'low', 'medium', 'high', 'critical') THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s has no level', left(rule_name, 100)), format('It is %s.', coalesce(left(level, 100), 'missing')),
            'Give it one (low, medium, high or critical), or {"severity": "medium"} as the defaults.');
    ELSIF coalesce(document ->> 'title', '') = '' THEN
        PERFORM raxx_detect.refuse('a Sigma rule has no title', format('It is %s.', left(document::text, 200)), 'Every Sigma rule has one.');
    END IF;
    bases := raxx_detect.sigma_base(correlation, documents, rule_name);
    definition := CASE WHEN correlation ->> 'type' LIKE '%count' THEN raxx_detect.sigma_counts(rule_name, correlation, bases, sources)
                       ELSE raxx_detect.sigma_steps(rule_name, correlation, bases, sources) END
        || jsonb_build_object('severity', CASE level WHEN 'informational' THEN 'low' ELSE level END, 'title', left(document ->> 'title', 200),
            'rule_id', left('sigma_' || btrim(regexp_replace(lower(coalesce(document ->> 'name', document ->> 'title')), '[^a-z0-9]+', '_', 'g'), '_'), 50),
            'category', coalesce(defaults ->> 'category', 'sigma'), 'escalation_owner', coalesce(defaults ->> 'escalation_owner', 'operator'),
            'false_alarms_per_month', coalesce(defaults -> 'false_alarms_per_month', '1'));
    definition := definition || raxx_detect.sigma_prose(document, bases, definition);
    RETURN raxx_detect.check_definition(definition || jsonb_build_object('fixtures', raxx_detect.sigma_fixtures(definition)));
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_definition(jsonb, jsonb, jsonb, jsonb) IS
'The definition of a rule that says what a Sigma correlation rule (document) says of the base rules among documents. sources: what stands for the events of a base rule, by its name, id or title: a source, or {"source", "fields": {"field": "role"}, "rows": "all" or {"role": "pattern"} in place of its detection, "cased": true if its values are always written as in the rule}. defaults: severity, category, escalation_owner, false_alarms_per_month. Errors: 0A000 what cannot be expressed, by name; 42704 a rule, source or role that is not there; 22023 what is no Sigma rule.';

CREATE FUNCTION raxx_detect.check_sigma_rule_id(document jsonb, definition jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other text := (SELECT r.title FROM raxx_detect.rules r WHERE r.rule_id = definition ->> 'rule_id' AND r.title <> definition ->> 'title');
BEGIN
    IF other IS NOT NULL AND definition ->> 'rule_id' IS DISTINCT FROM 'sigma_' || (document ->> 'name') THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s would take the place of rule %s', raxx_detect.sigma_name(document), definition ->> 'rule_id'),
            format('That one is called %s.', left(other, 200)), 'Give it a name of its own, of at most 44 small letters, digits and underscores.', 'duplicate_object');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_sigma_rule_id(jsonb, jsonb) IS 'Raises 42710 if a Sigma rule, whose name or title was shortened to a rule_id, would take the place of a rule that is called otherwise.';

CREATE FUNCTION raxx_detect.import_sigma(documents jsonb, sources jsonb DEFAULT '{}', defaults jsonb DEFAULT '{}', apply boolean DEFAULT false,
    OUT action text, OUT path text, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    document jsonb;
    files jsonb := '{}';
    definition jsonb;
    failed int := 0;
    unused text;
BEGIN
    documents := raxx_detect.sigma_list(documents);
    PERFORM raxx_detect.check_keys('the defaults', defaults, '{severity,category,escalation_owner,false_alarms_per_month}');
    IF jsonb_typeof(sources) IS DISTINCT FROM 'object' OR documents = '[]' OR apply IS NULL
       OR EXISTS (SELECT FROM jsonb_array_elements(documents) d WHERE jsonb_typeof(d) <> 'object') THEN
        PERFORM raxx_detect.refuse('documents must be Sigma rules, and sources a JSON object', format('They are %s and %s.', left(documents::text, 100), coalesce(left(sources::text, 100), 'NULL')),
            'An array of Sigma rules as JSON, and {"name of a base rule": "source"}. The command raxx-rules sigma reads YAML.');
    END IF;
    SELECT k INTO unused FROM jsonb_object_keys(sources) k
    WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(documents) d WHERE k IN (d ->> 'name', d ->> 'id', d ->> 'title')) ORDER BY k LIMIT 1;
    IF unused IS NOT NULL THEN
        PERFORM raxx_detect.refuse(format('sources names %s, which is none of the Sigma rules', left(unused, 100)), format('They are %s.',
            left((SELECT string_agg(raxx_detect.sigma_name(d), ', ') FROM jsonb_array_elements(documents) d), 300)), 'Its keys are names, ids or titles of base rules.');
    END IF;
    FOR document IN SELECT d FROM jsonb_array_elements(documents) WITH ORDINALITY x(d, n) ORDER BY n LOOP
        path := raxx_detect.sigma_name(document);
        BEGIN
            IF document ? 'correlation' THEN
                definition := raxx_detect.sigma_definition(document, documents, sources, defaults);
                path := 'rules/' || (definition ->> 'rule_id') || '.json';
                PERFORM raxx_detect.check_sigma_rule_id(document, definition);
                IF files ? path THEN
                    PERFORM raxx_detect.refuse(format('Sigma rule %s would be rule %s, and so would another', raxx_detect.sigma_name(document), definition ->> 'rule_id'),
                        'A rule_id is made of the name, or the title.', 'Give it a name of its own.', 'duplicate_object');
                END IF;
                files := files || jsonb_build_object(path, definition);
            ELSIF NOT EXISTS (SELECT FROM jsonb_array_elements(documents) d CROSS JOIN LATERAL jsonb_array_elements_text(raxx_detect.sigma_list(d -> 'correlation' -> 'rules')) r
                              WHERE r IN (document ->> 'name', document ->> 'id')) THEN
                PERFORM raxx_detect.not_here(path, 'a rule of single events that no correlation refers to', 'An event_count of it with gte: 1 is a correlation.');
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) OR apply THEN
                RAISE;
            END IF;
            DECLARE
                further text;
                hint text;
            BEGIN
                GET STACKED DIAGNOSTICS further = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                action := 'error';
                detail := concat_ws(' ', sqlstate || ': ' || sqlerrm || '.', nullif(further, ''), nullif(hint, ''));
                failed := failed + 1;
                RETURN NEXT;
            END;
        END;
    END LOOP;
    RETURN QUERY SELECT i.action, i.path, i.detail FROM raxx_detect.import_rules(files, apply, 'imported from Sigma') i WHERE i.action <> 'only here';
END $$;
COMMENT ON FUNCTION raxx_detect.import_sigma(jsonb, jsonb, jsonb, boolean) IS
'Makes rules of Sigma correlation rules (sigma-specification 2: event_count, value_count, temporal, temporal_ordered), given with their base rules as JSON; without apply, only tries to. A row for each rule: create, change, unchanged, or error with what cannot be expressed; nothing is left out or made weaker. sources and defaults: as raxx_detect.sigma_definition takes them. New rules are disabled until raxx_detect.enable; they have two fixtures that hold them to their numbers. With apply, upon an error none is imported.';
