-- The evaluators: one function for each method, from a rule and the relation bound to one of its sources to candidates.
--
-- Each returns the truth for (exact_from, as_of]; to know it, it reads as far back as its window reaches.

CREATE FUNCTION raxx_detect.text_of(value anyelement) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_text_of' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.text_of(anyelement) IS 'The text of a value, as its output function writes it: what makes two values the same entity. (A cast of an inet adds its mask.)';

CREATE FUNCTION raxx_detect.row_keys(number int, binding raxx_detect.source_bindings, period tstzrange, entity_expression text, entity text)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := binding.columns ->> 'event_time';
    key_columns name[];
    keys jsonb;
BEGIN
    IF number > 200 THEN
        RETURN jsonb_build_object('relation', binding.relation::text, 'omitted', 'one of more than 200 findings of a run');
    END IF;
    SELECT array_agg(a.attname ORDER BY k.position) INTO key_columns
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = binding.relation AND i.indisprimary
      AND has_column_privilege(i.indrelid, a.attnum, 'SELECT');
    EXECUTE format(
        'SELECT jsonb_agg(CASE WHEN length(k.row_key::text) <= 200 THEN k.row_key
                          ELSE to_jsonb(raxx_detect.bounded_entity(k.row_key::text)) END)
         FROM (SELECT jsonb_build_array(%s) AS row_key FROM %s t
               WHERE t.%I >= $1 AND t.%I < $2 AND %s ORDER BY t.%I, row_key LIMIT 20) k',
        coalesce((SELECT string_agg(format('t.%I', c), ', ') FROM unnest(key_columns) c), format('t.%I', event_time)),
        binding.relation, event_time, event_time, entity_expression, event_time)
    INTO keys USING lower(period), upper(period), entity;
    RETURN jsonb_build_object('relation', binding.relation::text,
        'key', coalesce(to_jsonb(key_columns), jsonb_build_array(event_time)), 'first_rows', coalesce(keys, '[]'));
END $$;
COMMENT ON FUNCTION raxx_detect.row_keys(int, raxx_detect.source_bindings, tstzrange, text, text) IS
'Evidence, for the first 200 candidates of an evaluation (number), since each costs a look into the relation: the primary keys (without one, the times) of the first 20 rows in the period, of those for which the entity expression, made by an evaluator over the row t and the entity $3, holds.';

CREATE FUNCTION raxx_detect.before(instant timestamptz, length interval) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN instant < timestamptz '4000-01-01 00:00:00+00 BC' THEN '-infinity' ELSE instant - length END;
END $$;
COMMENT ON FUNCTION raxx_detect.before(timestamptz, interval) IS
'The instant a length (of at most 400 days) earlier, or -infinity near the beginning of time, where forged rows may lie.';

CREATE FUNCTION raxx_detect.window_up_to(instant timestamptz, window_length interval) RETURNS tstzrange
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tstzrange(raxx_detect.before(instant, window_length) + interval '1 microsecond', instant + interval '1 microsecond');
END $$;
COMMENT ON FUNCTION raxx_detect.window_up_to(timestamptz, interval) IS
'The window (instant - window_length, instant], whose rows made an episode begin: the evidence that no later row changes.';

CREATE FUNCTION raxx_detect.like_patterns(globs jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(replace(regexp_replace(glob, E'([\\\\%_])', E'\\\\\\1', 'g'), '*', '%')), '{}') FROM jsonb_array_elements_text(globs) glob
$$;
COMMENT ON FUNCTION raxx_detect.like_patterns(jsonb) IS 'Globs such as *:admin as patterns for LIKE: * is any text, everything else itself.';

CREATE FUNCTION raxx_detect.role_column(binding raxx_detect.source_bindings, role text) RETURNS name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF binding.columns ->> role IS NULL AND role IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('no column plays the role %s of source %s', left(role, 100), binding.source),
            DETAIL = format('It is bound to %s with %s.', binding.relation, binding.columns),
            HINT = 'Bind it again with the role (raxx_detect.bind_source), or name another one (raxx_detect.set_params).';
    END IF;
    RETURN binding.columns ->> role;
END $$;
COMMENT ON FUNCTION raxx_detect.role_column(raxx_detect.source_bindings, text) IS 'The column that plays a role, NULL for no role; raises 42703 if none plays it.';

CREATE FUNCTION raxx_detect.has_rows(relation regclass, event_time name, from_time timestamptz, to_time timestamptz) RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_has_rows' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION raxx_detect.has_rows(regclass, name, timestamptz, timestamptz) IS
'Whether the relation has a row whose event_time is in (from_time, to_time]; an infinite bound is none. Through a plan that is kept for the session. Raises 22004 for NULL, 22023 if from_time is after to_time, 42P01, 42703, 42804 or 42501 for what cannot be read.';

CREATE FUNCTION raxx_detect.time_column(binding raxx_detect.source_bindings) RETURNS name
LANGUAGE sql IMMUTABLE
RETURN coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
COMMENT ON FUNCTION raxx_detect.time_column(raxx_detect.source_bindings) IS 'The column that says when a row happened.';

CREATE FUNCTION raxx_detect.last_event(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := raxx_detect.time_column(binding);
    result timestamptz;
BEGIN
    -- Not max(), which is planned four times as long over many partitions.
    EXECUTE format('SELECT t.%1$I FROM %2$s t WHERE t.%1$I <= $1 AND t.%1$I > ''-infinity'' ORDER BY t.%1$I DESC LIMIT 1', event_time, binding.relation)
    INTO result USING as_of;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.last_event(raxx_detect.source_bindings, timestamptz) IS 'The last event_time up to as_of, NULL if there is none. An infinite time is no event.';

CREATE FUNCTION raxx_detect.has_events(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of a row at the very beginning of time only the last event tells whether it is one.
    RETURN raxx_detect.has_rows(binding.relation, raxx_detect.time_column(binding), timestamptz '4714-11-24 00:00:00+00 BC', as_of)
           OR raxx_detect.last_event(binding, as_of) IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.has_events(raxx_detect.source_bindings, timestamptz) IS 'Whether a source has an event up to as_of at all. Cheaper than the last one.';

CREATE FUNCTION raxx_detect.next_event(binding raxx_detect.source_bindings, after timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := raxx_detect.time_column(binding);
    result timestamptz;
BEGIN
    EXECUTE format('SELECT t.%1$I FROM %2$s t WHERE t.%1$I > $1 AND t.%1$I < ''infinity'' ORDER BY t.%1$I LIMIT 1', event_time, binding.relation)
    INTO result USING after;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.next_event(raxx_detect.source_bindings, timestamptz) IS 'The first event_time after an instant, NULL if there is none. An infinite time is no event.';
