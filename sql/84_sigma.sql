-- Sigma correlation rules (sigma-specification 2, correlation rules) as rules of one's own. What cannot be said here is an error that
-- names it (0A000), never a weaker rule. docs/own-rules.md says what becomes of what.

CREATE FUNCTION raxx_detect.not_here(rule_name text, what text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.refuse(format('Sigma rule %s: %s cannot be expressed', left(rule_name, 100), what), 'A rule without it would be another one.', hint, 'feature_not_supported');
END $$;
COMMENT ON FUNCTION raxx_detect.not_here(text, text, text) IS 'Raises 0A000 for what a rule of this extension cannot say.';

CREATE FUNCTION raxx_detect.sigma_name(document jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(document ->> 'name', document ->> 'title', document ->> 'id', '(without a name)')
$$;
COMMENT ON FUNCTION raxx_detect.sigma_name(jsonb) IS 'What messages call a Sigma rule.';

CREATE FUNCTION raxx_detect.sigma_list(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN value IS NULL OR value = 'null' THEN '[]' WHEN jsonb_typeof(value) = 'array' THEN value ELSE jsonb_build_array(value) END
$$;
COMMENT ON FUNCTION raxx_detect.sigma_list(jsonb) IS 'A list, also where Sigma has a single value, or none.';

-- ---- which rows a base rule selects ---------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.sigma_role(rule_name text, field text, mapping jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    source text := mapping ->> 'source';
    role text;
BEGIN
    SELECT r.role INTO role FROM raxx_detect.source_roles r
    WHERE r.source = source AND r.position > 1 AND r.role = coalesce(mapping -> 'fields' ->> field, lower(field));
    IF NOT FOUND THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s: field %s is no role of source %s', left(rule_name, 100), left(field, 100), source),
            format('Its roles are %s.', (SELECT string_agg(r.role, ', ' ORDER BY r.position) FROM raxx_detect.source_roles r WHERE r.source = source AND r.position > 1)),
            format('Say which one it is: {%s: {"source": "%s", "fields": {%s: "role"}}} as the sources.', to_jsonb(rule_name), source, to_jsonb(field)), 'undefined_object');
    END IF;
    RETURN role;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_role(text, text, jsonb) IS 'The role that stands for a field: the one that the mapping names, else the one of its name in lower case. Raises 42704 if there is none.';

CREATE FUNCTION raxx_detect.sigma_pattern(rule_name text, field text, modifiers text[], value jsonb, cased boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given text := value #>> '{}';
    odd text := (SELECT m FROM unnest(modifiers) m WHERE m <> ALL ('{contains,startswith,endswith,cased}') LIMIT 1);
BEGIN
    IF odd IS NOT NULL THEN
        PERFORM raxx_detect.not_here(rule_name, format('the modifier %s of field %s', left(odd, 50), left(field, 100)), 'Select the rows in a view, bind it, and map the rule to it with "rows": "all".');
    ELSIF jsonb_typeof(value) NOT IN ('string', 'number', 'boolean') OR given = '' THEN
        PERFORM raxx_detect.not_here(rule_name, format('the value %s of field %s', left(value::text, 100), left(field, 100)), 'Select the rows in a view, bind it, and map the rule to it with "rows": "all".');
    ELSIF given ~ E'[?]|\\\\[*?\\\\]' THEN
        PERFORM raxx_detect.not_here(rule_name, format('the ? or the escape in the value %s of field %s', left(given, 100), left(field, 100)),
            'Only * is known here. Select the rows in a view, bind it, and map the rule to it with "rows": "all".');
    ELSIF jsonb_typeof(value) = 'string' AND given ~ E'[A-Za-z]|[^\\x01-\\x7f]' AND NOT cased AND NOT 'cased' = ANY (modifiers) THEN
        PERFORM raxx_detect.not_here(rule_name, format('the comparison of field %s with %s in upper and lower case alike', left(field, 100), left(given, 100)),
            'Patterns go by case here. If the field is always written like that, say so: the modifier |cased, or "cased": true in the mapping of the rule.');
    END IF;
    RETURN CASE WHEN modifiers && '{contains,endswith}' THEN '*' ELSE '' END || given || CASE WHEN modifiers && '{contains,startswith}' THEN '*' ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_pattern(text, text, text[], jsonb, boolean) IS 'The pattern for a value of a field. Raises 0A000 for what no pattern says.';

CREATE FUNCTION raxx_detect.sigma_selection(document jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule_name text := raxx_detect.sigma_name(document);
    detection jsonb := document -> 'detection';
    names text[];
    condition text := btrim(detection ->> 'condition');
    in_a_view text := 'Select the rows in a view, bind it, and map the rule to it with "rows": "all".';
    selection jsonb;
BEGIN
    IF jsonb_typeof(detection) IS DISTINCT FROM 'object' OR jsonb_typeof(detection -> 'condition') IS DISTINCT FROM 'string' THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s has no detection with a condition', left(rule_name, 100)), format('It is %s.', coalesce(left(detection::text, 100), 'missing')),
            'A rule that a correlation refers to selects events.');
    END IF;
    names := ARRAY(SELECT k FROM jsonb_object_keys(detection) k WHERE k <> 'condition' ORDER BY k);
    IF cardinality(names) <> 1 OR condition <> ALL (ARRAY[names[1], '1 of them', 'all of them', '1 of ' || names[1], 'all of ' || names[1]]) THEN
        PERFORM raxx_detect.not_here(rule_name, format('the condition "%s"', left(condition, 100)), in_a_view);
    END IF;
    selection := raxx_detect.sigma_list(detection -> names[1]);
    IF EXISTS (SELECT FROM jsonb_array_elements(selection) s WHERE jsonb_typeof(s) <> 'object') OR selection = '[]' THEN
        PERFORM raxx_detect.not_here(rule_name, 'a search for words in whatever an event holds', in_a_view);
    ELSIF EXISTS (SELECT FROM jsonb_array_elements(selection) s WHERE (SELECT count(*) FROM jsonb_object_keys(s)) <> 1) THEN
        PERFORM raxx_detect.not_here(rule_name, format('the comparison of several fields at once (%s)', (
            SELECT string_agg(DISTINCT k, ', ') FROM jsonb_array_elements(selection) s CROSS JOIN LATERAL jsonb_object_keys(s) k)), in_a_view);
    END IF;
    RETURN selection;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_selection(jsonb) IS 'What a base rule selects events by: an array of objects of one field each, one of which has to fit. Raises 0A000 for anything else.';

CREATE FUNCTION raxx_detect.sigma_rows(document jsonb, mapping jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule_name text := raxx_detect.sigma_name(document);
    compared record;
    value jsonb;
    role text;
    patterns jsonb := '[]';
BEGIN
    IF mapping -> 'rows' = '"all"' THEN
        RETURN '{}';
    ELSIF mapping ? 'rows' THEN
        RETURN (SELECT jsonb_build_object('filter', raxx_detect.sigma_role(rule_name, r.key, mapping), 'only', jsonb_build_array(r.value)) FROM jsonb_each_text(mapping -> 'rows') r);
    END IF;
    FOR compared IN SELECT (string_to_array(f.key, '|'))[1] AS field, (string_to_array(f.key, '|'))[2:] AS modifiers, f.value
                    FROM jsonb_array_elements(raxx_detect.sigma_selection(document)) WITH ORDINALITY s(fields, n) CROSS JOIN LATERAL jsonb_each(s.fields) f ORDER BY s.n LOOP
        IF role <> raxx_detect.sigma_role(rule_name, compared.field, mapping) THEN
            PERFORM raxx_detect.not_here(rule_name, 'a choice between several fields', 'Select the rows in a view, bind it, and map the rule to it with "rows": "all".');
        END IF;
        role := raxx_detect.sigma_role(rule_name, compared.field, mapping);
        FOR value IN SELECT e FROM jsonb_array_elements(CASE WHEN jsonb_typeof(compared.value) = 'array' THEN compared.value ELSE jsonb_build_array(compared.value) END) e LOOP
            patterns := patterns || to_jsonb(raxx_detect.sigma_pattern(rule_name, compared.field, compared.modifiers, value, coalesce(mapping -> 'cased' = 'true', false)));
        END LOOP;
    END LOOP;
    IF (SELECT r.type FROM raxx_detect.source_roles r WHERE r.source = mapping ->> 'source' AND r.role = role) <> ALL ('{text,bigint,boolean}'::regtype[]) THEN
        PERFORM raxx_detect.not_here(rule_name, format('a comparison with role %s, which is no text, whole number or boolean,', role), 'Select the rows in a view, bind it, and map the rule to it with "rows": "all".');
    END IF;
    RETURN jsonb_build_object('filter', role, 'only', patterns);
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_rows(jsonb, jsonb) IS 'Which rows of its source a base rule selects: filter and only, as the parameters of those names; empty for all of them.';

CREATE FUNCTION raxx_detect.sigma_mapping(document jsonb, sources jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule_name text := raxx_detect.sigma_name(document);
    mapping jsonb := coalesce(sources -> (document ->> 'name'), sources -> (document ->> 'id'), sources -> (document ->> 'title'));
    logsource jsonb := document -> 'logsource';
BEGIN
    IF jsonb_typeof(mapping) = 'string' THEN
        mapping := jsonb_build_object('source', mapping);
    ELSIF mapping IS NULL THEN
        mapping := (SELECT jsonb_build_object('source', k.source) FROM raxx_detect.source_kinds k
                    WHERE k.source IN (logsource ->> 'service', logsource ->> 'category') ORDER BY k.source = logsource ->> 'service' DESC LIMIT 1);
    END IF;
    IF mapping IS NULL THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s: no source stands for its logsource', left(rule_name, 100)), format('It is %s.', coalesce(left(logsource::text, 200), 'missing')),
            format('Say which: {%s: "source"} as the sources; raxx_detect.create_source makes one.', to_jsonb(rule_name)), 'undefined_object');
    END IF;
    PERFORM raxx_detect.check_keys(format('the mapping of Sigma rule %s', left(rule_name, 100)), mapping, '{source,fields,rows,cased}');
    PERFORM raxx_detect.require_source(mapping ->> 'source');
    IF mapping ? 'rows' AND mapping -> 'rows' <> '"all"' AND (jsonb_typeof(mapping -> 'rows') <> 'object' OR (SELECT count(*) FROM jsonb_each_text(
           CASE jsonb_typeof(mapping -> 'rows') WHEN 'object' THEN mapping -> 'rows' ELSE '{}' END) r WHERE r.value <> '') <> 1) THEN
        PERFORM raxx_detect.refuse(format('the mapping of Sigma rule %s has rows that are neither "all" nor {"role": "pattern"}', left(rule_name, 100)),
            format('They are %s.', left((mapping -> 'rows')::text, 100)), 'Say which rows of the source are those that the rule selects.');
    END IF;
    RETURN mapping;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_mapping(jsonb, jsonb) IS
'What stands for a base rule''s events: what the sources say under its name, id or title; else the source that is named as the service or the category of its logsource.';

-- ---- what a correlation demands ---------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.sigma_window(rule_name text, timespan text) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := regexp_match(timespan, '^([1-9][0-9]{0,8})([smhd])$');
BEGIN
    IF parts IS NULL THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s has a timespan that is none', left(rule_name, 100)), format('It is %s.', coalesce(left(timespan, 100), 'missing')),
            'A whole number and s, m, h or d: 90m.');
    END IF;
    RETURN CASE parts[2] WHEN 's' THEN make_interval(secs => parts[1]::int) WHEN 'm' THEN make_interval(mins => parts[1]::int)
                         WHEN 'h' THEN make_interval(hours => parts[1]::int) ELSE make_interval(days => parts[1]::int) END;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_window(text, text) IS 'A timespan as an interval.';

CREATE FUNCTION raxx_detect.sigma_threshold(rule_name text, condition jsonb) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    compared text[] := ARRAY(SELECT k FROM jsonb_object_keys(CASE jsonb_typeof(condition) WHEN 'object' THEN condition - 'field' ELSE '{}' END) k ORDER BY k);
    value jsonb := condition -> compared[1];
    threshold numeric;
BEGIN
    IF jsonb_typeof(condition) IS DISTINCT FROM 'object' OR cardinality(compared) = 0 THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s has no condition that compares a number', left(rule_name, 100)), format('It is %s.', coalesce(left(condition::text, 100), 'missing')),
            'For example {"gte": 10}.');
    ELSIF cardinality(compared) > 1 OR compared[1] NOT IN ('gt', 'gte') THEN
        PERFORM raxx_detect.not_here(rule_name, format('the condition %s', left((condition - 'field')::text, 100)), 'A finding lasts as long as there are at least so many: only gte or gt.');
    ELSIF jsonb_typeof(value) <> 'number' OR value::text !~ '^[0-9]{1,15}$' THEN
        PERFORM raxx_detect.refuse(format('Sigma rule %s: %s is not a whole number', left(rule_name, 100), compared[1]), format('It is %s.', left(value::text, 100)), 'For example {"gte": 10}.');
    END IF;
    threshold := value::text::numeric + CASE compared[1] WHEN 'gt' THEN 1 ELSE 0 END;  -- more than 10 are 11 at least
    IF threshold < 1 THEN
        PERFORM raxx_detect.not_here(rule_name, format('the condition %s, which always holds,', condition - 'field'), 'From 1 on.');
    END IF;
    RETURN threshold;
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_threshold(text, jsonb) IS 'From how many on a condition holds: gte says it, gt is one more. Raises 0A000 for any other.';

CREATE FUNCTION raxx_detect.sigma_entity(rule_name text, correlation jsonb, document jsonb, mapping jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    groups jsonb := raxx_detect.sigma_list(correlation -> 'group-by');
    field text := groups ->> 0;
BEGIN
    IF jsonb_array_length(groups) <> 1 THEN
        PERFORM raxx_detect.not_here(rule_name, CASE jsonb_array_length(groups) WHEN 0 THEN 'a correlation without group-by'
                ELSE format('a group-by of several fields (%s)', (SELECT string_agg(g, ', ') FROM jsonb_array_elements_text(groups) g)) END,
            'Make one column of what events are grouped by, in a view: a constant, or the fields joined.');
    END IF;
    field := coalesce(correlation -> 'aliases' -> field ->> (document ->> 'name'), correlation -> 'aliases' -> field ->> (document ->> 'id'), field);
    RETURN raxx_detect.sigma_role(raxx_detect.sigma_name(document), field, mapping);
END $$;
COMMENT ON FUNCTION raxx_detect.sigma_entity(text, jsonb, jsonb, jsonb) IS 'The role that a correlation groups the events of a base rule by, through its aliases.';
