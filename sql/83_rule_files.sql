-- The catalog as files, for review in git: one for each rule and each source of one's own. The same catalog gives the same files, byte
-- by byte, and reading them back changes nothing. docs/own-rules.md; the command raxx-rules writes and reads them.

CREATE FUNCTION raxx_detect.prose_in_lines(definition jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT definition || coalesce(jsonb_object_agg(k.key, to_jsonb(string_to_array(definition ->> k.key, E'\n'))), '{}')
    FROM raxx_detect.definition_keys() k WHERE k.type = 'prose' AND definition ->> k.key LIKE E'%\n%'
$$;
COMMENT ON FUNCTION raxx_detect.prose_in_lines(jsonb) IS 'The definition of a rule with prose of several lines as arrays of them, so that a change of one line is one in a diff.';

CREATE FUNCTION raxx_detect.json_lines(value jsonb, indent text DEFAULT '') RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    inner_indent text := indent || '  ';
    opened text;
BEGIN
    opened := CASE jsonb_typeof(value) WHEN 'object' THEN '{' WHEN 'array' THEN '[' END;
    IF opened IS NULL OR value IN ('{}', '[]') THEN
        RETURN value::text;
    ELSIF opened = '[' AND length(value::text) <= 100 AND NOT jsonb_path_exists(value, '$[*] ? (@.type() == "object" || @.type() == "array")') THEN
        RETURN value::text;  -- a short list is one line
    ELSIF opened = '[' THEN
        RETURN (SELECT E'[\n' || string_agg(inner_indent || raxx_detect.json_lines(e, inner_indent), E',\n' ORDER BY n) || E'\n' || indent || ']'
                FROM jsonb_array_elements(value) WITH ORDINALITY a(e, n));
    END IF;
    RETURN (SELECT E'{\n' || string_agg(inner_indent || to_jsonb(k)::text || ': ' || raxx_detect.json_lines(v, inner_indent), E',\n' ORDER BY k COLLATE "C") || E'\n' || indent || '}'
            FROM jsonb_each(value) o(k, v));
END $$;
COMMENT ON FUNCTION raxx_detect.json_lines(jsonb, text) IS 'JSON in lines, the one way there is: keys in the order of their bytes, two spaces for each level, arrays of at most 100 characters without objects or arrays in them in one line.';

CREATE FUNCTION raxx_detect.export_rules(OUT path text, OUT content text) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.path, raxx_detect.json_lines(f.definition) || E'\n'
    FROM (SELECT 'sources/' || k.source || '.json' AS path, raxx_detect.source_definition(k.source) AS definition
          FROM raxx_detect.source_kinds k WHERE NOT k.shipped
          UNION ALL
          SELECT 'rules/' || r.rule_id || '.json', raxx_detect.prose_in_lines(raxx_detect.rule_definition(r.rule_id))
          FROM raxx_detect.rules r WHERE r.shadow_of IS NULL) f
    ORDER BY f.path COLLATE "C"
$$;
COMMENT ON FUNCTION raxx_detect.export_rules() IS
'The catalog as files: rules/RULE.json for each rule and sources/SOURCE.json for each source of one''s own. Fixtures that came with the extension are left out, and so are shadows, states and bindings, which belong to the installation.';

CREATE FUNCTION raxx_detect.changes_of(old jsonb, new jsonb, prefix text DEFAULT '') RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN k.key IN ('params', 'fixtures') AND prefix = ''
                THEN (SELECT string_agg(c, '; ') FROM raxx_detect.changes_of(coalesce(o.value, '{}'), coalesce(n.value, '{}'), k.key || '.') c)
                WHEN length(o.value::text) + length(n.value::text) > 100 OR prefix = 'fixtures.'
                THEN prefix || k.key || CASE WHEN o.value IS NULL THEN ' is new' WHEN n.value IS NULL THEN ' is gone' ELSE ' is another' END
                ELSE format('%s%s: %s -> %s', prefix, k.key, coalesce(o.value::text, 'none'), coalesce(n.value::text, 'none')) END
    FROM (SELECT jsonb_object_keys(old) UNION SELECT jsonb_object_keys(new)) k(key)
    CROSS JOIN LATERAL (SELECT old -> k.key AS value) o CROSS JOIN LATERAL (SELECT new -> k.key AS value) n
    WHERE o.value IS DISTINCT FROM n.value ORDER BY k.key COLLATE "C"
$$;
COMMENT ON FUNCTION raxx_detect.changes_of(jsonb, jsonb, text) IS 'In what two definitions differ, in words: the values if they are short.';

CREATE FUNCTION raxx_detect.import_file(path text, content jsonb, reason text, OUT action text, OUT detail text) RETURNS record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    folder text := split_part(path, '/', 1);
    name text := content ->> CASE folder WHEN 'sources' THEN 'source' ELSE 'rule_id' END;
    old jsonb;
    new jsonb := content;
BEGIN
    IF folder NOT IN ('rules', 'sources') OR path IS DISTINCT FROM folder || '/' || name || '.json' THEN
        PERFORM raxx_detect.refuse(format('file %s is not where its rule or source belongs', left(path, 200)), format('It says that it is %s.', coalesce(left(name, 100), 'nothing')),
            'rules/RULE_ID.json or sources/SOURCE.json, with the name that it holds.');
    ELSIF folder = 'sources' THEN
        PERFORM raxx_detect.check_source(content);
        old := (SELECT raxx_detect.source_definition(k.source) FROM raxx_detect.source_kinds k WHERE k.source = name);
        new := content || jsonb_build_object('roles', (SELECT jsonb_agg(jsonb_build_object('required', true) || r ORDER BY n) FROM jsonb_array_elements(content -> 'roles') WITH ORDINALITY x(r, n)));
        IF old IS NOT NULL AND old <> new THEN
            PERFORM raxx_detect.refuse(format('source %s is there, and is another', name), (SELECT string_agg(c, '; ') FROM raxx_detect.changes_of(old, new) c) || '.',
                'Its rules and its binding go by its roles. Drop what reads it, and the source, first; or make another.', 'duplicate_object');
        ELSIF old IS NULL THEN
            PERFORM raxx_detect.create_source(content);
        END IF;
    ELSE
        new := raxx_detect.check_definition(content);
        old := (SELECT raxx_detect.rule_definition(r.rule_id) FROM raxx_detect.rules r WHERE r.rule_id = name);
        IF old IS NULL THEN
            PERFORM raxx_detect.create_rule(content);
        ELSIF old <> new THEN
            PERFORM raxx_detect.change_rule(content, reason);
        END IF;
    END IF;
    action := CASE WHEN old IS NULL THEN 'create' WHEN old = new THEN 'unchanged' ELSE 'change' END;
    detail := CASE action WHEN 'change' THEN (SELECT string_agg(c, '; ') FROM raxx_detect.changes_of(old, new) c)
                          WHEN 'create' THEN CASE folder WHEN 'rules' THEN 'disabled until raxx_detect.enable finds its fixtures passing' ELSE 'to be bound' END END;
END $$;
COMMENT ON FUNCTION raxx_detect.import_file(text, jsonb, text) IS 'Makes what a file says so, and says what that changes.';

CREATE FUNCTION raxx_detect.import_rules(files jsonb, apply boolean DEFAULT false, reason text DEFAULT 'imported', OUT action text, OUT path text, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    file record;
    done text[] := '{}';
    failed int := 0;
    hint text;
    errcode text;
    failure text;
BEGIN
    IF files IS NULL OR jsonb_typeof(files) <> 'object' OR apply IS NULL THEN
        PERFORM raxx_detect.refuse('files must be a JSON object of contents by path', format('It is %s.', coalesce(left(files::text, 100), 'NULL')),
            '{"rules/own_rule.json": {"rule_id": "own_rule", ...}}: as raxx_detect.export_rules gives them.');
    END IF;
    BEGIN
        -- Sources first: rules read them.
        FOR file IN SELECT f.key AS path, f.value AS content FROM jsonb_each(files) f ORDER BY f.key LIKE 'sources/%' DESC, f.key COLLATE "C" LOOP
            BEGIN
                SELECT i.action, i.detail INTO action, detail FROM raxx_detect.import_file(file.path, file.content, reason) i;
            EXCEPTION WHEN OTHERS THEN
                IF raxx_detect.is_for_the_caller(sqlstate) THEN
                    RAISE;
                END IF;
                GET STACKED DIAGNOSTICS errcode = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                detail := concat_ws(' ', errcode || ': ' || sqlerrm || '.', nullif(detail, ''), nullif(hint, ''));
                action := 'error';
                failed := failed + 1;
                failure := coalesce(failure, format('%s: %s', file.path, detail));
            END;
            path := file.path;
            RETURN NEXT;
            done := done || path;
        END LOOP;
        IF failed > 0 OR NOT apply THEN
            RAISE EXCEPTION USING ERRCODE = 'RX000', MESSAGE = 'this rolls the import back';
        END IF;
    EXCEPTION WHEN SQLSTATE 'RX000' THEN
        IF apply THEN
            PERFORM raxx_detect.refuse(format('%s of %s files cannot be imported, so none is', failed, cardinality(done)), failure,
                'SELECT * FROM raxx_detect.import_rules(...) without apply shows all of them.');
        END IF;
    END;
    RETURN QUERY
    SELECT 'only here'::text, e.path, 'no file says so; nothing is done about it'::text FROM raxx_detect.export_rules() e
    WHERE e.path <> ALL (done) AND NOT EXISTS (SELECT FROM raxx_detect.rules r WHERE e.path = 'rules/' || r.rule_id || '.json' AND r.overrides = '{}');
END $$;
COMMENT ON FUNCTION raxx_detect.import_rules(jsonb, boolean, text) IS
'Makes the catalog what the files say (an object of their contents by path, as raxx_detect.export_rules names them), or, without apply, only tries to. A row for each file: create, change (with what changes), unchanged, or error (with what); and one for each rule or source of one''s own, and each shipped rule that somebody has changed, of which there is no file (only here), about which nothing is done. With apply, all files are imported or, upon an error, none (22023). New rules are disabled until raxx_detect.enable; changes of those at work have to pass their fixtures.';
