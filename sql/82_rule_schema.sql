-- The JSON Schema of a rule, made of the same rows by which definitions are checked: for editors and for reviews in git.

CREATE FUNCTION raxx_detect.parameter_schema(parameter raxx_detect.method_parameters) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    element jsonb := CASE
        WHEN parameter.name = 'season' THEN '{"enum": ["none", "hour_of_week"]}'
        WHEN parameter.type IN ('text', 'text[]', 'time_zone') THEN '{"type": "string", "minLength": 1}'
        WHEN parameter.type = 'interval' THEN '{"type": "string", "pattern": "[0-9]"}'
        WHEN parameter.type = 'time' THEN '{"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}"}'
        WHEN parameter.type IN ('bigint', 'int[]') THEN '{"type": "integer"}'
        ELSE '{"type": "number"}' END;
BEGIN
    IF parameter.type NOT IN ('interval', 'text', 'text[]', 'time', 'time_zone') THEN
        element := element || jsonb_strip_nulls(jsonb_build_object(
            CASE parameter.type WHEN 'float8' THEN 'exclusiveMinimum' ELSE 'minimum' END, parameter.minimum, 'maximum', parameter.maximum));
    END IF;
    RETURN CASE WHEN parameter.type LIKE '%[]' THEN jsonb_build_object('type', 'array', 'minItems', 1, 'items', element) ELSE element END
           || jsonb_build_object('description', parameter.meaning);
END $$;
COMMENT ON FUNCTION raxx_detect.parameter_schema(raxx_detect.method_parameters) IS 'The JSON Schema of one parameter. An interval''s limits are left to the server.';

CREATE FUNCTION raxx_detect.params_schema(method text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('type', 'object', 'additionalProperties', false,
        'properties', jsonb_object_agg(p.name, raxx_detect.parameter_schema(p)),
        'required', coalesce(jsonb_agg(p.name ORDER BY p.name COLLATE "C") FILTER (WHERE p.needed = 'always'), '[]'))
        || coalesce((SELECT jsonb_build_object('dependentRequired', jsonb_object_agg(d.other, d.names))
                     FROM (SELECT substr(q.needed, 6) AS other, jsonb_agg(q.name ORDER BY q.name COLLATE "C") AS names FROM raxx_detect.method_parameters q
                           WHERE q.method = params_schema.method AND q.needed LIKE 'with %' AND q.needed <> 'with a baseline' GROUP BY 1) d
                     HAVING count(*) > 0), '{}')
        || coalesce((SELECT jsonb_build_object('anyOf', jsonb_build_array(jsonb_build_object('required', jsonb_build_array(min(substr(q.needed, 8)))),
                                jsonb_build_object('required', jsonb_agg(q.name ORDER BY q.name COLLATE "C"))))
                     FROM raxx_detect.method_parameters q WHERE q.method = params_schema.method AND q.needed LIKE 'unless %' HAVING count(*) > 0), '{}')
    FROM raxx_detect.method_parameters p WHERE p.method = params_schema.method
$$;
COMMENT ON FUNCTION raxx_detect.params_schema(text) IS 'The JSON Schema of the parameters of a method.';

CREATE FUNCTION raxx_detect.key_schema(type text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE type
        WHEN 'name' THEN '{"type": "string", "pattern": "^[a-z][a-z0-9_]{0,49}$"}'
        WHEN 'names' THEN '{"type": "array", "items": {"type": "string"}}'
        WHEN 'text' THEN '{"type": "string", "minLength": 1, "maxLength": 200}'
        WHEN 'prose' THEN '{"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}'
        WHEN 'method' THEN jsonb_build_object('enum', (SELECT jsonb_agg(m.method ORDER BY m.method COLLATE "C") FROM raxx_detect.methods m))
        WHEN 'severity' THEN jsonb_build_object('enum', to_jsonb(enum_range(NULL::raxx_detect.severity)))
        WHEN 'boolean' THEN '{"type": "boolean"}'
        WHEN 'number' THEN '{"type": "number", "minimum": 0, "maximum": 100000}'
        WHEN 'interval' THEN '{"type": "string", "pattern": "^[1-9][0-9]{0,2} days?$"}'
        WHEN 'prerequisites' THEN '{"type": "array", "items": {"type": "string", "pattern": "^P[1-8]$"}}'
        WHEN 'ships' THEN '{"enum": ["live", "placeholder", "dormant", "subsumed"]}'
        WHEN 'fixtures' THEN '{"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,62}$"}, "additionalProperties": {"$ref": "#/$defs/fixture"}}'
        ELSE '{"type": "object"}' END::jsonb
$$;
COMMENT ON FUNCTION raxx_detect.key_schema(text) IS 'The JSON Schema of a type of raxx_detect.definition_keys().';

CREATE FUNCTION raxx_detect.rule_schema() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        '$schema', 'https://json-schema.org/draft/2020-12/schema', 'title', 'A rule of raxx_detect', 'type', 'object', 'additionalProperties', false,
        'description', 'What raxx_detect.create_rule takes. The server checks more: that there are the sources and roles, what values of an interval fit, and that the fixtures pass.',
        'properties', (SELECT jsonb_object_agg(k.key, raxx_detect.key_schema(k.type) || jsonb_build_object('description', k.meaning)
                              || CASE WHEN k.assumed IS NULL THEN '{}' ELSE jsonb_build_object('default', k.assumed) END) FROM raxx_detect.definition_keys() k),
        'required', (SELECT jsonb_agg(k.key ORDER BY k.key COLLATE "C") FROM raxx_detect.definition_keys() k WHERE k.needed),
        'allOf', (SELECT jsonb_agg(jsonb_build_object(
                      'if', jsonb_build_object('properties', jsonb_build_object('method', jsonb_build_object('const', m.method)), 'required', '["method"]'::jsonb),
                      'then', jsonb_build_object('properties', jsonb_build_object('params', raxx_detect.params_schema(m.method)))
                              || CASE WHEN m.learner IS NULL THEN '{"not": {"required": ["baseline_window"]}}'
                                      WHEN m.method NOT IN ('velocity', 'distinct') THEN '{"required": ["baseline_window"]}' ELSE '{}' END::jsonb)
                      ORDER BY m.method COLLATE "C") FROM raxx_detect.methods m)
                  || (SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'if', jsonb_build_object('properties', jsonb_build_object('method', jsonb_build_object('const', b.method)), 'required', '["method", "baseline_window"]'::jsonb),
                      'then', jsonb_build_object('properties', jsonb_build_object('params', jsonb_build_object('required', b.names)))) ORDER BY b.method COLLATE "C"), '[]')
                      FROM (SELECT p.method, jsonb_agg(p.name ORDER BY p.name COLLATE "C") AS names FROM raxx_detect.method_parameters p
                            WHERE p.needed = 'with a baseline' GROUP BY 1) b),
        '$defs', jsonb_build_object('fixture', jsonb_build_object('type', 'object', 'additionalProperties', false, 'required', '["start", "sources", "as_of", "expect"]'::jsonb,
            'properties', jsonb_build_object(
                'description', '{"type": "string"}'::jsonb, 'start', '{"type": "string"}'::jsonb, 'as_of', '{"type": "string"}'::jsonb, 'params', '{"type": "object"}'::jsonb,
                'chain', '{"type": "object"}'::jsonb, 'expect_state', '{}'::jsonb, 'expect_outcome', '{}'::jsonb,
                'sources', '{"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object", "required": ["at"]}}}'::jsonb,
                'expect', '{"type": "array", "items": {"type": "object"}}'::jsonb))))
$$;
COMMENT ON FUNCTION raxx_detect.rule_schema() IS
'The JSON Schema (2020-12) of the definitions that raxx_detect.create_rule takes, by the methods and parameters of this installation. docs/rules/rule.schema.json is that of a fresh one.';
