-- Sources of one's own: a name with roles, to be bound to a relation as the shipped ones are.

CREATE FUNCTION raxx_detect.source_types() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{timestamptz,inet,text,boolean,bigint,float8,numeric}'::text[]
$$;
COMMENT ON FUNCTION raxx_detect.source_types() IS 'The types that a role may have.';

CREATE FUNCTION raxx_detect.check_source(definition jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role jsonb;
    seen text[] := '{}';
    every text := definition ->> 'expected_every';
BEGIN
    PERFORM raxx_detect.check_keys('the definition of a source', definition, '{source,rows_called,meaning,expected_every,roles}');
    IF raxx_detect.fits_definition('name', definition -> 'source') IS NOT TRUE OR raxx_detect.fits_definition('text', definition -> 'rows_called') IS NOT TRUE
       OR raxx_detect.fits_definition('text', definition -> 'meaning') IS NOT TRUE OR coalesce(jsonb_typeof(definition -> 'roles'), '') <> 'array' THEN
        PERFORM raxx_detect.refuse('the definition of a source needs source, rows_called, meaning and roles', format('It is %s.', left(definition::text, 200)),
            'source: a lower-case letter, then letters, digits and _; rows_called: what a summary calls its rows; meaning: a sentence; roles: an array.');
    END IF;
    IF every IS NOT NULL THEN
        PERFORM raxx_detect.check_parameter(('', 'expected_every', 'interval', NULL, NULL, 'How long the source may be silent before it counts as stale.', false, 'never')::raxx_detect.method_parameters,
            definition -> 'expected_every');
    END IF;
    FOR role IN SELECT jsonb_array_elements(definition -> 'roles') LOOP
        PERFORM raxx_detect.check_keys('a role', role, '{role,type,required,meaning}');
        IF raxx_detect.fits_definition('name', role -> 'role') IS NOT TRUE OR role ->> 'role' IN ('id', 'at', 'every', 'until') OR role ->> 'role' = ANY (seen)
           OR coalesce(role ->> 'type', '') <> ALL (raxx_detect.source_types()) OR coalesce(jsonb_typeof(role -> 'required'), 'boolean') <> 'boolean'
           OR raxx_detect.fits_definition('text', role -> 'meaning') IS NOT TRUE THEN
            PERFORM raxx_detect.refuse('a role needs a name of its own, a type and a meaning', format('It is %s.', left(role::text, 200)),
                format('The types are %s. Not id, at, every, until.', array_to_string(raxx_detect.source_types(), ', ')));
        END IF;
        seen := seen || (role ->> 'role');
    END LOOP;
    IF definition -> 'roles' -> 0 ->> 'role' IS DISTINCT FROM 'event_time' OR definition -> 'roles' -> 0 ->> 'type' <> 'timestamptz'
       OR coalesce(definition -> 'roles' -> 0 -> 'required', 'true') <> 'true' THEN
        PERFORM raxx_detect.refuse('the first role of a source is event_time', format('It is %s.', coalesce(definition -> 'roles' ->> 0, 'none')),
            '{"role": "event_time", "type": "timestamptz", "required": true, "meaning": "When it happened."}');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_source(jsonb) IS 'Raises 22023 unless a source can be made of the definition.';

CREATE FUNCTION raxx_detect.source_definition(source text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
BEGIN
    PERFORM raxx_detect.require_source(source);
    RETURN (SELECT jsonb_strip_nulls(jsonb_build_object('source', k.source, 'rows_called', k.rows_called, 'meaning', k.meaning, 'expected_every', k.expected_every))
                   || jsonb_build_object('roles', (
                       SELECT jsonb_agg(jsonb_build_object('role', r.role, 'required', r.required, 'meaning', r.meaning, 'type',
                                        -- by the names that people write
                                        (SELECT t FROM unnest(raxx_detect.source_types()) t WHERE t::regtype = r.type)) ORDER BY r.position)
                       FROM raxx_detect.source_roles r WHERE r.source = k.source))
            FROM raxx_detect.source_kinds k WHERE k.source = source_definition.source);
END $$;
COMMENT ON FUNCTION raxx_detect.source_definition(text) IS 'A source as raxx_detect.create_source takes it. Error: 42704 unknown source.';

CREATE FUNCTION raxx_detect.create_source(definition jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := definition ->> 'source';
BEGIN
    PERFORM raxx_detect.check_source(definition);
    -- Two at a time would take one position.
    LOCK TABLE raxx_detect.source_kinds IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM raxx_detect.source_kinds k WHERE k.source = name) THEN
        PERFORM raxx_detect.refuse(format('there is a source %s', name), format('Its roles are %s.', (
            SELECT string_agg(r.role, ', ' ORDER BY r.position) FROM raxx_detect.source_roles r WHERE r.source = name)),
            'Take it, or another name; raxx_detect.drop_source deletes one that is not used.', 'duplicate_object');
    END IF;
    INSERT INTO raxx_detect.source_kinds (source, position, rows_called, meaning, expected_every)
    SELECT name, greatest(1000, max(k.position)) + 1, definition ->> 'rows_called', definition ->> 'meaning', (definition ->> 'expected_every')::interval
    FROM raxx_detect.source_kinds k;
    INSERT INTO raxx_detect.source_roles (source, position, role, type, required, meaning)
    SELECT name, r.n, r.role ->> 'role', (r.role ->> 'type')::regtype, coalesce((r.role ->> 'required')::boolean, true), r.role ->> 'meaning'
    FROM jsonb_array_elements(definition -> 'roles') WITH ORDINALITY r(role, n);
    INSERT INTO raxx_detect.sweeps (source) VALUES (name);
    RETURN name;
END $$;
COMMENT ON FUNCTION raxx_detect.create_source(jsonb) IS
'Makes a source that rules can read and raxx_detect.bind_source can bind: {"source", "rows_called", "meaning", "expected_every" (optional), "roles": [{"role", "type", "required" (true unless given), "meaning"}]}; the first role is event_time. Returns its name. Errors: 22023 it is not right, with what is wrong; 42710 there is one.';

CREATE FUNCTION raxx_detect.drop_source(source text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    used_by text;
BEGIN
    PERFORM raxx_detect.require_source(source);
    SELECT string_agg(r.rule_id, ', ' ORDER BY r.rule_id) INTO used_by FROM raxx_detect.rules r WHERE source = ANY (r.sources || r.optional_sources);
    IF used_by IS NOT NULL OR (SELECT k.shipped FROM raxx_detect.source_kinds k WHERE k.source = source) THEN
        PERFORM raxx_detect.refuse(format('source %s cannot be dropped', source), coalesce('It is read by ' || used_by || '.', 'It came with the extension.'),
            'Drop or change those rules first; raxx_detect.unbind_source only forgets its relation.', 'dependent_objects_still_exist');
    END IF;
    PERFORM raxx_detect.unbind_source(source);
    DELETE FROM raxx_detect.sweeps w WHERE w.source = source;
    DELETE FROM raxx_detect.source_roles r WHERE r.source = source;
    DELETE FROM raxx_detect.source_kinds k WHERE k.source = source;
END $$;
COMMENT ON FUNCTION raxx_detect.drop_source(text) IS 'Deletes a source of one''s own that no rule reads, and its binding. Errors: 42704 unknown source, 2BP01 it came with the extension or rules read it.';
