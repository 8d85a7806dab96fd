-- Unmatched: changes without the record that should go with them, which may come before the change, after it, or late.

CREATE FUNCTION raxx_detect.joined(VARIADIC parts text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(coalesce(replace(replace(p.part, E'\\', E'\\\\'), '/', E'\\/'), E'\\N'), '/' ORDER BY p.position)
    FROM unnest(parts) WITH ORDINALITY p(part, position)
$$;
COMMENT ON FUNCTION raxx_detect.joined(text[]) IS
E'Parts joined by / to one entity, which different parts never share: a / or \\ within a part gets a \\ before it, and a part that is NULL is \\N.';

CREATE FUNCTION raxx_detect.matched_parts(rule raxx_detect.rules, binding raxx_detect.source_bindings, alias text, OUT entity text, OUT complete text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('raxx_detect.joined(%s) COLLATE "C"', string_agg(format('raxx_detect.text_of(%I.%I)', alias, c.name), ', ' ORDER BY c.position)),
           string_agg(format('%I.%I IS NOT NULL', alias, c.name), ' AND ' ORDER BY c.position)
    FROM (SELECT m.position, raxx_detect.role_column(binding, m.role) AS name
          FROM jsonb_array_elements_text(rule.params -> 'match') WITH ORDINALITY m(role, position)) c
$$;
COMMENT ON FUNCTION raxx_detect.matched_parts(raxx_detect.rules, raxx_detect.source_bindings, text) IS
'Two expressions over a row of a source: what it is matched by, the roles of the parameter match joined to an entity; and whether none of them is NULL.';

CREATE FUNCTION raxx_detect.records_of_changes(rule raxx_detect.rules) RETURNS raxx_detect.source_bindings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.other_binding(rule, rule.sources[2])
$$;
COMMENT ON FUNCTION raxx_detect.records_of_changes(raxx_detect.rules) IS 'The second source of a rule of method unmatched, which holds the records; the first holds what is judged.';

CREATE FUNCTION raxx_detect.evaluate_unmatched(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tolerance interval := (rule.params ->> 'tolerance')::interval;
    records raxx_detect.source_bindings := raxx_detect.records_of_changes(rule);
    change record := raxx_detect.matched_parts(rule, binding, 'c');
    found record := raxx_detect.matched_parts(rule, records, 'r');
    event_time name := binding.columns ->> 'event_time';
    rows_read bigint;
    number int := 0;
    e record;
BEGIN
    EXECUTE format('SELECT count(*) FROM %1$s c WHERE c.%2$I > $1 AND c.%2$I <= $2', binding.relation, event_time)
    INTO rows_read USING exact_from, raxx_detect.before(as_of, tolerance);
    PERFORM raxx_detect.add_reading(rows_read, 0);
    -- A change with nothing to be matched by cannot have a record.
    FOR e IN EXECUTE format(
            'SELECT u.entity, u.at, count(*) AS changes, bool_and(u.complete) AS complete,
                    (array_agg(DISTINCT u.actor ORDER BY u.actor))[:20] AS actors
             FROM (SELECT %1$s AS entity, c.%2$I AS at, raxx_detect.bounded_entity(raxx_detect.text_of(c.%3$I)) AS actor, %4$s AS complete
                   FROM %5$s c WHERE c.%2$I > $1 AND c.%2$I <= $2) u
             WHERE NOT EXISTS (SELECT FROM %6$s r WHERE r.%7$I >= raxx_detect.before(u.at, $3) AND r.%7$I <= u.at + $3
                               AND %8$s AND %9$s = u.entity)
             GROUP BY u.entity, u.at ORDER BY u.at, u.entity',
            change.entity, event_time, raxx_detect.role_column(binding, 'actor'), change.complete, binding.relation,
            records.relation, records.columns ->> 'event_time', found.complete, found.entity)
        USING exact_from, raxx_detect.before(as_of, tolerance), tolerance LOOP
        number := number + 1;
        RETURN NEXT (e.entity, tstzrange(e.at, e.at, '[]'), rule.severity, e.changes::float8, 1::float8, 'changes without a record',
            NULL::float8, 'threshold', e.changes, '{unmatched}'::text[],
            format('%s: changed by %s at %s, and no change record lies within %s of it%s', raxx_detect.printable(e.entity),
                coalesce(raxx_detect.printable(nullif(array_to_string(e.actors, ', '), '')), 'nobody named'),
                to_char(timezone('UTC', e.at), 'YYYY-MM-DD HH24:MI:SS "UTC"'), raxx_detect.in_words(tolerance),
                CASE WHEN e.complete THEN '' ELSE '; it does not say what was changed, so none can be matched' END),
            jsonb_build_object('tolerance', tolerance, 'changes', e.changes, 'actors', to_jsonb(array_remove(e.actors, NULL)),
                'rows', raxx_detect.row_keys(number, binding, tstzrange(e.at, e.at + interval '1 microsecond'),
                    (raxx_detect.matched_parts(rule, binding, 't')).entity || ' = $3', e.entity)),
            NULL, 'firing', NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_unmatched(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method unmatched: each change without a record that agrees in the roles of match within tolerance of it, before or after, edges included; judged once tolerance is over. A change in which one of those roles is NULL has no record. Changes of one entity at one instant are one finding, which fires until a record comes.';

CREATE FUNCTION raxx_detect.recheck_unmatched(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tolerance interval := (rule.params ->> 'tolerance')::interval;
    records raxx_detect.source_bindings := raxx_detect.records_of_changes(rule);
    found record := raxx_detect.matched_parts(rule, records, 'r');
    result bigint;
BEGIN
    EXECUTE format(
        'WITH open AS MATERIALIZED (
             SELECT f.finding_id, f.entity, lower(f.episode) AS at FROM raxx_detect.detection_findings f
             WHERE f.rule_id = $1 AND f.source = $2 AND f.condition <> ''cleared''
         ), matched AS (
             SELECT o.finding_id, min(r.%2$I) AS at
             FROM open o JOIN %1$s r ON raxx_detect.bounded_entity(%4$s) = o.entity
                                    AND r.%2$I >= raxx_detect.before(o.at, $3) AND r.%2$I <= o.at + $3
             WHERE %3$s AND r.%2$I <= $4
               AND r.%2$I >= (SELECT raxx_detect.before(min(at), $3) FROM open) AND r.%2$I <= (SELECT max(at) + $3 FROM open)
             GROUP BY o.finding_id
         )
         UPDATE raxx_detect.detection_findings f SET condition = ''cleared'', updated_at = now(),
             evidence = f.evidence || jsonb_build_object(''refuted_at'', $4, ''record_at'', m.at),
             summary = f.summary || format(''; a change record of %%s, seen since, explains it'', to_char(timezone(''UTC'', m.at), ''YYYY-MM-DD HH24:MI:SS "UTC"''))
         FROM matched m WHERE f.finding_id = m.finding_id',
        records.relation, records.columns ->> 'event_time', found.complete, found.entity)
    USING rule.rule_id, binding.source, tolerance, as_of;
    GET DIAGNOSTICS result = ROW_COUNT;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.recheck_unmatched(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Clears the findings of method unmatched for whose change a record has come since, however late, and returns how many. The record''s time has to be within tolerance of the change; when it was written does not matter.';
