-- What is bound, and what a migration may have done to it: whether a source can be read, and how far its rows reach.

CREATE FUNCTION raxx_detect.source_span(source text, as_of timestamptz DEFAULT now(), OUT bound boolean,
    OUT first_event timestamptz, OUT last_event timestamptz, OUT problem text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings;
    event_time name;
BEGIN
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = source;
    bound := FOUND;
    IF NOT bound THEN
        problem := format('source %s is not bound: SELECT raxx_detect.bind_source(%L, ''your_table'')', source, source);
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        problem := format('the relation bound to source %s (OID %s) no longer exists: bind it again', source, binding.relation::oid);
        RETURN;
    END IF;
    BEGIN
        event_time := raxx_detect.time_column(binding);
        last_event := raxx_detect.last_event(binding, as_of);
        EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > ''-infinity''', event_time, binding.relation) INTO first_event;
        IF last_event IS NULL THEN
            problem := format('source %s (%s) has no rows', source, binding.relation);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        problem := format('source %s (%s) cannot be read: %s', source, binding.relation, sqlerrm);
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.source_span(text, timestamptz) IS
'Whether a source is bound, its first event and its last one up to as_of, and what is wrong with it, in a sentence.';

CREATE FUNCTION raxx_detect.named_roles(rule raxx_detect.rules) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN array_remove(ARRAY[rule.params ->> 'entity', rule.params ->> 'value', rule.params ->> 'email', rule.params ->> 'filter'], NULL)
           || CASE WHEN rule.params ? 'match' THEN ARRAY(SELECT jsonb_array_elements_text(rule.params -> 'match')) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.named_roles(raxx_detect.rules) IS
'The roles that a rule''s parameters entity, value, email, filter and match name: it needs them even where its source does not.';

CREATE FUNCTION raxx_detect.unbound_role(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    roles text[] := raxx_detect.named_roles(rule);
    missing text;
BEGIN
    IF binding.columns ?& roles THEN
        RETURN NULL;
    END IF;
    SELECT CASE WHEN k.role IS NULL
        THEN format('source %s has no role %s, which the parameters of %s name: see raxx_detect.source_contracts and raxx_detect.set_params',
                    binding.source, n.role, rule.rule_id)
        ELSE format('no column plays the role %s of source %s: SELECT raxx_detect.bind_source(%L, %L, %L)', n.role, binding.source,
                    binding.source, binding.relation, binding.columns || jsonb_build_object(n.role, 'your_column')) END INTO missing
    FROM unnest(roles) WITH ORDINALITY n(role, number)
    LEFT JOIN raxx_detect.source_roles k ON k.source = binding.source AND k.role = n.role
    WHERE NOT binding.columns ? n.role
      -- A role of another source of the rule is not looked for in this one.
      AND (k.role IS NOT NULL OR NOT EXISTS (SELECT FROM raxx_detect.source_roles o WHERE o.source = ANY (rule.sources) AND o.role = n.role))
    ORDER BY n.number LIMIT 1;
    RETURN missing;
END $$;
COMMENT ON FUNCTION raxx_detect.unbound_role(raxx_detect.rules, raxx_detect.source_bindings) IS
'A role that the rule needs and no column plays, in a sentence that says what to bind; NULL: there is none.';

CREATE FUNCTION raxx_detect.broken_binding(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    OUT errcode text, OUT problem text, OUT detail text, OUT hint text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    roles text[] := raxx_detect.named_roles(rule);
    broken record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        errcode := 'undefined_table';
        problem := format('the relation bound to source %s no longer exists', binding.source);
        detail := format('It had OID %s.', binding.relation::oid);
        hint := format('Bind the source again: SELECT raxx_detect.bind_source(%L, ''your_table'').', binding.source);
        RETURN;
    END IF;
    SELECT k.role, k.type AS needed, binding.columns ->> k.role AS name, a.atttypid::regtype AS found INTO broken
    FROM raxx_detect.source_roles k
    LEFT JOIN pg_attribute a ON a.attrelid = binding.relation AND a.attname = (binding.columns ->> k.role)::name
                            AND a.attnum > 0 AND NOT a.attisdropped
    WHERE k.source = binding.source AND binding.columns ? k.role AND (k.position = 1 OR k.role = ANY (roles))
      AND a.atttypid IS DISTINCT FROM k.type::oid AND raxx_detect.role_accepts(k.type, a.atttypid) IS NOT TRUE
    ORDER BY k.position LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF broken.found IS NULL THEN
        errcode := 'undefined_column';
        problem := format('relation %s no longer has the column "%s", which plays the role %s of source %s',
            binding.relation, broken.name, broken.role, binding.source);
        detail := format('Its columns are %s.', (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
                                                WHERE a.attrelid = binding.relation AND a.attnum > 0 AND NOT a.attisdropped));
    ELSE
        errcode := 'datatype_mismatch';
        problem := format('column "%s" of relation %s can no longer play the role %s of source %s',
            broken.name, binding.relation, broken.role, binding.source);
        detail := format('Its type is %s; the role needs %s.', broken.found, broken.needed);
    END IF;
    hint := format('Bring the column back, or bind the source again: SELECT raxx_detect.bind_source(%L, %L, %L).', binding.source,
        binding.relation, binding.columns || jsonb_build_object(broken.role, 'your_column'));
END $$;
COMMENT ON FUNCTION raxx_detect.broken_binding(raxx_detect.rules, raxx_detect.source_bindings) IS
'What a migration has done to the relation that a rule reads: it is gone, or a column that the rule needs is gone or of another type. All NULL: nothing.';

CREATE FUNCTION raxx_detect.require_sound(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record := raxx_detect.broken_binding(rule, binding);
    hidden name;
BEGIN
    IF broken.problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = broken.errcode, MESSAGE = broken.problem, DETAIL = broken.detail, HINT = broken.hint;
    END IF;
    SELECT a.attname INTO hidden
    FROM raxx_detect.source_roles k
    JOIN pg_attribute a ON a.attrelid = binding.relation AND a.attname = (binding.columns ->> k.role)::name
    WHERE k.source = binding.source AND (k.position = 1 OR k.role = ANY (raxx_detect.named_roles(rule)))
      AND NOT has_column_privilege(binding.relation, a.attnum, 'SELECT')
    ORDER BY k.position LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for relation %s', binding.relation),
            DETAIL = format('Role "%s" may not read column "%s".', current_user, hidden),
            HINT = format('GRANT SELECT ON %s TO %I;', binding.relation, current_user);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.require_sound(raxx_detect.rules, raxx_detect.source_bindings) IS
'Raises 42P01, 42703 or 42804 for a binding that a migration has broken, 42501 for one that the caller may not read.';

CREATE FUNCTION raxx_detect.is_judged(rule raxx_detect.rules, source text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Coverage goes when the source is bound to something else.
    RETURN rule.state IN ('live', 'placeholder')
           AND EXISTS (SELECT FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = is_judged.source);
END $$;
COMMENT ON FUNCTION raxx_detect.is_judged(raxx_detect.rules, text) IS
'Whether the rule is active and a run has judged the source as it is bound.';

CREATE FUNCTION raxx_detect.baseline_progress(rule raxx_detect.rules, bindings raxx_detect.source_bindings[], as_of timestamptz,
    OUT source text, OUT days int, OUT needed int, OUT ready boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
BEGIN
    IF rule.baseline_window IS NULL THEN
        RETURN;
    END IF;
    needed := extract(day FROM (rule.params ->> 'baseline_ready')::interval);
    FOREACH binding IN ARRAY bindings LOOP
        source := binding.source;
        BEGIN
            days := raxx_detect.baseline_days_there(rule, binding, as_of);
        EXCEPTION WHEN OTHERS THEN
            days := 0;  -- the run meets the same error, and reports it
        END;
        ready := days >= needed;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_progress(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz) IS
'How far the baseline of each bound source of a rule is: the whole days there are, and those needed. Of a source that cannot be read there are none.';
