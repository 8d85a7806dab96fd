-- Restarts: many dynos of one app at once, but not those that a deploy or an operator restarted.

CREATE FUNCTION raxx_detect.other_binding(rule raxx_detect.rules, source text) RETURNS raxx_detect.source_bindings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    other raxx_detect.source_bindings;
BEGIN
    SELECT b.* INTO other FROM raxx_detect.source_bindings b
    WHERE b.source = source AND source = ANY (rule.sources || rule.optional_sources);
    IF other.source IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = other.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = format('the relation bound to source %s no longer exists', source),
            DETAIL = format('It had OID %s; rule %s looks into it.', other.relation::oid, rule.rule_id),
            HINT = format('Bind the source again, or give it up: raxx_detect.unbind_source(%L).', source);
    END IF;
    RETURN other;
END $$;
COMMENT ON FUNCTION raxx_detect.other_binding(raxx_detect.rules, text) IS
'The binding of a source that a rule looks into beside the one it judges; NULL if the source is not the rule''s or is not bound. Raises 42P01 if its relation is gone.';

CREATE FUNCTION raxx_detect.unexplained_restart(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    causes text[] := ARRAY(SELECT jsonb_array_elements_text(rule.params -> 'excluded_causes'));
    margin interval := (rule.params ->> 'deploy_margin')::interval;
    deploys raxx_detect.source_bindings := raxx_detect.other_binding(rule, 'deploy_events');
    result text := 'true';
BEGIN
    IF binding.columns ? 'cause' THEN
        result := format('(t.%1$I IS NULL OR t.%1$I::text COLLATE "C" <> ALL (%2$L::text[]))', binding.columns ->> 'cause', causes);
    END IF;
    IF deploys.source IS NOT NULL AND margin IS NOT NULL THEN
        result := result || format(
            ' AND NOT EXISTS (SELECT FROM %1$s d
               WHERE d.%2$I >= raxx_detect.before(t.%3$I, %4$L) AND d.%2$I <= t.%3$I + interval %4$L AND d.%2$I <= %5$L
                 AND raxx_detect.text_of(d.%6$I) COLLATE "C" = raxx_detect.text_of(t.%7$I) COLLATE "C")',
            deploys.relation, deploys.columns ->> 'event_time', binding.columns ->> 'event_time', margin, as_of,
            raxx_detect.role_column(deploys, 'app'), raxx_detect.role_column(binding, rule.params ->> 'entity'));
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.unexplained_restart(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'The condition, over a row t, that nothing known up to as_of explains a restart: its cause is not one of excluded_causes (NULL is none), and no deploy of the same app lies within deploy_margin of it, before or after, edges included. Without the cause column, or without deploy_events, that part holds.';

CREATE FUNCTION raxx_detect.evaluate_restarts(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    event_time name := binding.columns ->> 'event_time';
    app name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    dyno name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unexplained text := raxx_detect.unexplained_restart(rule, binding, as_of);
    restarts record;
    number int := 0;
    dynos jsonb;
    e record;
BEGIN
    EXECUTE format(
        'SELECT count(*) FILTER (WHERE NOT r.unexplained) AS explained, array_agg(r.at) FILTER (WHERE r.unexplained) AS times,
                array_agg(r.app) FILTER (WHERE r.unexplained) AS apps, array_agg(r.dyno) FILTER (WHERE r.unexplained) AS dynos
         FROM (SELECT t.%1$I AS at, raxx_detect.text_of(t.%2$I) AS app, raxx_detect.text_of(t.%3$I) AS dyno, (%5$s) AS unexplained
               FROM %4$s t WHERE t.%1$I > $1 AND t.%1$I <= $2 ORDER BY t.%1$I) r', event_time, app, dyno, binding.relation, unexplained)
    INTO restarts USING raxx_detect.before(exact_from, window_length), as_of;
    PERFORM raxx_detect.add_reading(restarts.explained, 0);
    IF restarts.times IS NULL THEN
        RETURN;
    END IF;
    FOR e IN SELECT * FROM raxx_detect.episodes_of('distinct', restarts.times, restarts.apps, restarts.dynos, window_length, threshold) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        SELECT jsonb_agg(d.dyno ORDER BY d.dyno) INTO dynos
        FROM (SELECT DISTINCT raxx_detect.bounded_entity(r.dyno) AS dyno
              FROM unnest(restarts.times, restarts.apps, restarts.dynos) r(at, app, dyno)
              WHERE number <= 1000 AND r.app COLLATE "C" = e.entity COLLATE "C"
                AND raxx_detect.window_up_to(lower(e.episode), window_length) @> r.at ORDER BY 1 LIMIT 20) d;
        RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, 'distinct dynos restarted', NULL::float8,
            'threshold', e.sample_size, '{restarts}'::text[],
            format('%s: %s distinct dynos restarted within %s (threshold %s), and no deploy or known cause explains it',
                raxx_detect.printable(e.entity), e.peak, raxx_detect.in_words(window_length), threshold),
            jsonb_build_object('window', window_length, 'dynos', coalesce(dynos, '[]'),
                'deploys_known', (raxx_detect.other_binding(rule, 'deploy_events')).source IS NOT NULL,
                'causes_known', binding.columns ? 'cause',
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                    format('raxx_detect.text_of(t.%I) COLLATE "C" = $3 AND %s', app, unexplained), e.entity)),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_restarts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct for restarts: threshold distinct dynos of one app in a window, of those restarts that neither their cause nor a deploy of the app explains. A restart is not settled before deploy_margin is over, so that a deploy may still explain it.';

CREATE FUNCTION raxx_detect.evaluate_distinct_or_restarts(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rule.params ?| '{excluded_causes,deploy_margin}' THEN
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_restarts(rule, binding, exact_from, as_of);
    ELSE
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_distinct(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_or_restarts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct: distinct values of one entity in a window, leaving out what a cause or a deploy explains where the rule says so.';
