-- Prerequisites and states: what each rule still needs, and the state that follows from it. Nobody has to remember to
-- switch a rule on: its state is worked out anew at each run, and every change is recorded with its cause.
--
--     dormant, subsumed   what it needs is not there: a source or a role is not bound, or a prerequisite is unmet
--     placeholder         judged by hard thresholds, or not yet, while the baseline fills
--     live                judged by the baseline, or by thresholds where the rule has or needs no baseline
--     disabled, retired   by people; nothing here changes them
--
-- Whether a source is fresh or long enough is asked before a rule is judged for the first time. After that a source
-- that falls silent or breaks does not put its rule to sleep: the runs say no_data or error until it is mended.

-- ---- sources --------------------------------------------------------------------------------------------------------

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
    RETURN array_remove(ARRAY[rule.params ->> 'entity', rule.params ->> 'value', rule.params ->> 'email'], NULL)
           || CASE WHEN rule.params ? 'match' THEN ARRAY(SELECT jsonb_array_elements_text(rule.params -> 'match')) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.named_roles(raxx_detect.rules) IS
'The roles that a rule''s parameters entity, value, email and match name: it needs them even where its source does not.';

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

-- ---- prerequisites --------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.check_span(prerequisite text, source text, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record := raxx_detect.source_span(source, as_of);
BEGIN
    detail := s.problem;
    IF prerequisite = 'P7' AND s.bound AND s.last_event IS NULL AND detail LIKE '% has no rows' THEN
        detail := NULL;
    ELSIF detail IS NULL AND prerequisite IN ('P1', 'P6') AND s.last_event < as_of - interval '1 day' THEN
        detail := format('source %s had no event in the last day (the last was at %s)', source, s.last_event);
    ELSIF detail IS NULL AND prerequisite = 'P2' AND s.last_event - s.first_event < interval '7 days' THEN
        detail := format('source %s spans less than 7 days (since %s)', source, s.first_event);
    END IF;
    holds := detail IS NULL;
    detail := coalesce(detail, format('source %s has what it takes', source));
END $$;
COMMENT ON FUNCTION raxx_detect.check_span(text, text, timestamptz) IS
'P1, P2, P6 and P7 for one source: bound (P7), with an event in the last day (P1, P6), or with events 7 days apart (P2).';

CREATE FUNCTION raxx_detect.check_cadence(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(p.ready), false), string_agg(CASE WHEN p.source IS NULL THEN (raxx_detect.source_span(s.source, as_of)).problem
        ELSE format('source %s has %s of the %s whole days of cadence that its baseline needs', s.source, least(p.days, p.needed), p.needed) END,
        '; ' ORDER BY s.number)
    FROM unnest(rule.sources) WITH ORDINALITY s(source, number)
    LEFT JOIN raxx_detect.baseline_progress(rule, ARRAY(SELECT b FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources)), as_of) p
        ON p.source = s.source
$$;
COMMENT ON FUNCTION raxx_detect.check_cadence(raxx_detect.rules, timestamptz) IS
'P4: whether the baseline of one of the rule''s sources is ready.';

CREATE FUNCTION raxx_detect.check_volume(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    days int := extract(day FROM justify_hours((rule.params ->> 'activation_span')::interval));
    binding raxx_detect.source_bindings;
    today date;
    fewest bigint;
    rows_called text;
BEGIN
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    IF NOT FOUND THEN
        holds := false;
        detail := (raxx_detect.source_span(rule.sources[1], as_of)).problem;
        RETURN;
    END IF;
    SELECT k.rows_called INTO rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source;
    today := raxx_detect.judging_day(rule, binding, as_of);
    -- More than it takes is not counted: the check must stay cheap, however busy the source.
    EXECUTE format(
        'SELECT min((SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I >= d.begins AND t.%2$I < d.ends LIMIT $4) enough))
         FROM (SELECT raxx_detect.day_starts($1, $2 - i) AS begins, raxx_detect.day_starts($1, $2 - i + 1) AS ends
               FROM generate_series(1, $3) i) d', binding.relation, binding.columns ->> 'event_time')
    INTO fewest USING rule, today, days, above + 1;
    holds := fewest > above;
    detail := CASE WHEN holds THEN format('each of the last %s whole days had more than %s %s', days, above, rows_called)
                   ELSE format('the quietest of the last %s whole days had %s %s; more than %s are needed', days, fewest, rows_called, above) END;
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, binding.source);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_volume(raxx_detect.rules, timestamptz) IS
'P8: whether each of the whole days of the rule''s activation_span, by its time zone, had more rows than activate_above.';

CREATE FUNCTION raxx_detect.check_digits(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    window_length interval := (rule.params ->> 'window')::interval;
    binding raxx_detect.source_bindings;
    digits bigint;
BEGIN
    SELECT b.* INTO STRICT binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    EXECUTE format(
        'SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I > $1 AND t.%2$I <= $2
             AND t.%3$I <> 0 AND t.%3$I::text NOT IN (''NaN'', ''Infinity'', ''-Infinity'') LIMIT $3) enough',
        binding.relation, binding.columns ->> 'event_time', binding.columns ->> (rule.params ->> 'value'))
    INTO digits USING raxx_detect.before(as_of, window_length), as_of, above + 1;
    holds := digits > above;
    detail := format('source %s has %s first digits in %s; more than %s are needed', binding.source,
        CASE WHEN holds THEN 'more than ' || above ELSE digits::text END, raxx_detect.in_words(window_length), above);
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, rule.sources[1]);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_digits(raxx_detect.rules, timestamptz) IS
'Whether the rule''s window up to as_of holds more values with a first digit than activate_above: zero, NaN and infinities have none. Counts no more than it takes.';

CREATE FUNCTION raxx_detect.check_statements(rule raxx_detect.rules, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    elsewhere regclass := (SELECT b.relation FROM raxx_detect.source_bindings b JOIN pg_class c ON c.oid = b.relation
                           WHERE b.source = ANY (rule.sources) AND c.relnamespace <> 'raxx_detect'::regnamespace);
BEGIN
    IF elsewhere IS NOT NULL THEN
        holds := true;
        detail := format('the snapshots are those of %s', elsewhere);
    ELSE
        SELECT a.available, a.detail INTO holds, detail FROM raxx_detect.statements_available() a;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_statements(raxx_detect.rules) IS
'P5: whether pg_stat_statements can be read, or snapshots of it are bound that somebody else takes.';

CREATE FUNCTION raxx_detect.check_rule_prerequisite(rule raxx_detect.rules, prerequisite text, as_of timestamptz,
    OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE prerequisite
        WHEN 'P1', 'P2', 'P6', 'P7' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_span(prerequisite, rule.sources[1], as_of) c;
        WHEN 'P3' THEN
            holds := false;
            detail := 'no hash chain is attached: this version has none to attach';
        WHEN 'P4' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_cadence(rule, as_of) c;
        WHEN 'P5' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_statements(rule) c;
        WHEN 'P8' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_volume(rule, as_of) c;
        ELSE
            holds := false;
            detail := format('there is no prerequisite %s', prerequisite);
    END CASE;
END $$;
COMMENT ON FUNCTION raxx_detect.check_rule_prerequisite(raxx_detect.rules, text, timestamptz) IS
'Whether one of P1 to P8 holds for one rule, by its sources and parameters, and what is there or missing, in a sentence to act on.';

CREATE FUNCTION raxx_detect.check_prerequisite(id text, as_of timestamptz DEFAULT now(), OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_and(c.holds), string_agg(c.detail, '; ' ORDER BY r.number)
    FROM raxx_detect.rules r CROSS JOIN LATERAL raxx_detect.check_rule_prerequisite(r, check_prerequisite.id, check_prerequisite.as_of) c
    WHERE check_prerequisite.id = ANY (r.prerequisites)
$$;
COMMENT ON FUNCTION raxx_detect.check_prerequisite(text, timestamptz) IS
'Whether one of P1 to P8 holds for every rule that it gates, and what is there or missing, in a sentence to act on.';

CREATE VIEW raxx_detect.prerequisites AS
SELECT p.prerequisite, c.holds, c.detail,
       ARRAY(SELECT r.rule_id FROM raxx_detect.rules r WHERE p.prerequisite = ANY (r.prerequisites) ORDER BY r.number) AS gates,
       p.needs
FROM (VALUES
    ('P1', 'passkey_begin_events, or session_events, is bound and had an event in the last day.'),
    ('P2', 'error_events is bound and spans at least 7 days.'),
    ('P3', 'The audit tables have a hash chain, with a key and a verified genesis.'),
    ('P4', 'The baseline of an audit table holds at least 7 whole days of cadence; until then placeholder thresholds judge.'),
    ('P5', 'pg_stat_statements is preloaded, created and readable.'),
    ('P6', 'dyno_samples, or dyno_restarts, is bound and had an event in the last day.'),
    ('P7', 'stripe_webhook_events is bound.'),
    ('P8', 'outbound_mail_events had more mails than activate_above on each whole day of activation_span.')
) p(prerequisite, needs)
CROSS JOIN LATERAL raxx_detect.check_prerequisite(p.prerequisite) c;
COMMENT ON VIEW raxx_detect.prerequisites IS
'P1 to P8: whether each holds now for all the rules that it gates, what is there or missing, and which rules these are; needs: when it holds. A rule waits for its own sources only.';

-- ---- states ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.what_is_unbound(rule raxx_detect.rules, bindings raxx_detect.source_bindings[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound text[] := ARRAY(SELECT b.source FROM unnest(bindings) b);
    -- The extension itself binds its snapshots.
    unbound text[] := ARRAY(SELECT s FROM unnest(rule.sources) s WHERE s <> ALL (bound) AND s <> 'statement_samples');
    binding raxx_detect.source_bindings;
    missing text[] := '{}';
BEGIN
    -- A gap is judged in whichever audit table there is.
    IF unbound <> '{}' AND (bound = '{}' OR rule.method <> 'gap') THEN
        IF bound = '{}' AND rule.waits_for IS NOT NULL THEN
            RETURN rule.waits_for;
        END IF;
        RETURN (SELECT string_agg((raxx_detect.source_span(u)).problem, '; ') FROM unnest(unbound) u);
    END IF;
    FOREACH binding IN ARRAY bindings LOOP
        missing := missing || raxx_detect.unbound_role(rule, binding);
    END LOOP;
    RETURN nullif(array_to_string(missing, '; '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_unbound(raxx_detect.rules, raxx_detect.source_bindings[]) IS
'A source that the rule needs, or a role that its parameters name, to which nothing is bound, in a sentence that says what to bind; NULL: all are. bindings: of the rule''s sources.';

CREATE FUNCTION raxx_detect.what_is_broken(rule raxx_detect.rules, bindings raxx_detect.source_bindings[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
    broken record;
    problems text[] := '{}';
BEGIN
    FOREACH binding IN ARRAY bindings LOOP
        broken := raxx_detect.broken_binding(rule, binding);
        problems := problems || (broken.problem || '. ' || broken.hint);
    END LOOP;
    RETURN nullif(array_to_string(problems, ' '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_broken(raxx_detect.rules, raxx_detect.source_bindings[]) IS 'What migrations have broken of what the rule reads, and how to mend it; NULL: nothing.';

CREATE FUNCTION raxx_detect.what_is_unmet(rule raxx_detect.rules, as_of timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text;
    checked record;
    unmet text[] := '{}';
BEGIN
    FOREACH id IN ARRAY rule.prerequisites LOOP
        CONTINUE WHEN id = 'P4';  -- the baseline itself, without which the rule is a placeholder
        CONTINUE WHEN id IN ('P1', 'P2', 'P6') AND raxx_detect.is_judged(rule, rule.sources[1]);
        checked := raxx_detect.check_rule_prerequisite(rule, id, as_of);
        unmet := unmet || CASE WHEN NOT checked.holds THEN id || ': ' || checked.detail END;
    END LOOP;
    IF rule.method = 'benford' THEN
        checked := raxx_detect.check_digits(rule, as_of);
        unmet := unmet || CASE WHEN NOT checked.holds THEN checked.detail END;
    END IF;
    RETURN nullif(array_to_string(unmet, '; '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_unmet(raxx_detect.rules, timestamptz) IS
'The prerequisites without which the rule cannot be active, in sentences to act on; NULL: all are met. Of a rule that is judged already, freshness and length are not asked again, volume is.';

CREATE FUNCTION raxx_detect.active_state(rule raxx_detect.rules, bindings raxx_detect.source_bindings[], as_of timestamptz,
    OUT state text, OUT reason text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
    ready boolean := rule.baseline_window IS NULL;
    progress text[] := '{}';
    days int;
BEGIN
    FOR p IN SELECT * FROM raxx_detect.baseline_progress(rule, bindings, as_of) LOOP
        ready := ready OR p.ready;
        days := p.days;
        progress := progress || (CASE WHEN p.ready THEN format('%s days', p.days) ELSE format('%s of %s days', p.days, p.needed) END
            || CASE WHEN cardinality(rule.sources) > 1 THEN ' of ' || p.source ELSE '' END);
    END LOOP;
    state := CASE WHEN rule.ships = 'live' OR ready THEN 'live' ELSE 'placeholder' END;
    reason := CASE
        WHEN bindings = '{}' THEN 'judges nothing yet: no snapshot has been taken (SELECT * FROM raxx_detect.scrape_statements())'
        WHEN rule.baseline_window IS NULL THEN 'judged by its thresholds; it has no baseline'
        WHEN ready THEN 'judged by its baseline: ' || array_to_string(progress, ', ')
        WHEN rule.params ?| '{threshold,distinct_threshold,business_gap}' THEN 'judged by its thresholds; baseline: ' || array_to_string(progress, ', ')
        ELSE 'judges nothing yet; baseline: ' || array_to_string(progress, ', ') END;
    IF bindings <> '{}' AND cardinality(bindings) < cardinality(rule.sources) THEN
        reason := format('%s; not bound: %s', reason, (SELECT string_agg(s, ', ') FROM unnest(rule.sources) s
                                                      WHERE s <> ALL (ARRAY(SELECT b.source FROM unnest(bindings) b))));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.active_state(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz) IS
'Placeholder or live, for a rule that has what it needs, and how far its baseline is.';

CREATE FUNCTION raxx_detect.due_state(rule raxx_detect.rules, as_of timestamptz DEFAULT now(), OUT state text, OUT reason text, OUT cause text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    active boolean := rule.state IN ('live', 'placeholder');
    bindings raxx_detect.source_bindings[];
    missing text;
BEGIN
    IF rule.state IN ('disabled', 'retired') THEN
        state := rule.state;
        reason := rule.state_reason;
    ELSIF (SELECT m.evaluator FROM raxx_detect.methods m WHERE m.method = rule.method) IS NULL THEN
        state := CASE WHEN rule.ships = 'subsumed' THEN 'subsumed' ELSE 'dormant' END;
        reason := concat_ws(' ', rule.waits_for, 'This version does not evaluate the rule.');
    ELSE
        bindings := ARRAY(SELECT b FROM raxx_detect.source_bindings b
                          WHERE b.source = ANY (rule.sources) ORDER BY array_position(rule.sources, b.source));
        missing := raxx_detect.what_is_unbound(rule, bindings);
        IF missing IS NULL THEN
            missing := raxx_detect.what_is_broken(rule, bindings);
            IF missing IS NOT NULL AND active THEN  -- its runs are errors until it is mended
                state := rule.state;
                reason := missing;
                RETURN;
            END IF;
            missing := coalesce(missing, raxx_detect.what_is_unmet(rule, as_of));
        END IF;
        IF missing IS NULL THEN
            SELECT a.state, a.reason INTO state, reason FROM raxx_detect.active_state(rule, bindings, as_of) a;
            IF NOT active THEN
                cause := format('what it needs is there: %s; %s', array_to_string(
                    ARRAY(SELECT format('%s (%s)', b.source, b.relation) FROM unnest(bindings) b)
                    || array_remove(rule.prerequisites, 'P4'), ', '), reason);
            END IF;
        ELSE
            state := CASE WHEN rule.ships = 'subsumed' AND bindings = '{}' THEN 'subsumed' ELSE 'dormant' END;
            reason := missing;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.due_state(raxx_detect.rules, timestamptz) IS
'The state that a rule should be in, and why, in a sentence (reason). cause: what a change into it is recorded with, if there is more to say. Disabled and retired rules stay so.';

CREATE FUNCTION raxx_detect.change_state(rule_id text, state text, reason text, cause text DEFAULT NULL) RETURNS raxx_detect.rules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF (rule.state, rule.state_reason) IS NOT DISTINCT FROM (state, reason) THEN
        RETURN rule;
    END IF;
    IF rule.state <> state THEN
        INSERT INTO raxx_detect.rule_state_changes (rule_id, from_state, to_state, reason) VALUES (rule_id, rule.state, state, coalesce(cause, reason));
    END IF;
    UPDATE raxx_detect.rules r SET state = state, state_reason = reason,
        state_since = CASE WHEN r.state = state THEN r.state_since ELSE now() END
    WHERE r.rule_id = rule_id RETURNING r.* INTO rule;
    RETURN rule;
END $$;
COMMENT ON FUNCTION raxx_detect.change_state(text, text, text, text) IS 'Puts a rule into a state, and records the change with its cause (the reason, unless there is more to say); the rule as it is then.';

CREATE FUNCTION raxx_detect.refresh_state(rule_id text, as_of timestamptz DEFAULT now()) RETURNS raxx_detect.rules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    -- What a run has seen is not unseen by one that looks at an earlier time.
    looked_to timestamptz := (SELECT max(c.looked_to) FROM raxx_detect.coverage c WHERE c.rule_id = refresh_state.rule_id);
    due record;
BEGIN
    due := raxx_detect.due_state(rule, least(now(), greatest(as_of, looked_to)));
    RETURN raxx_detect.change_state(rule_id, due.state, due.reason, due.cause);
END $$;
COMMENT ON FUNCTION raxx_detect.refresh_state(text, timestamptz) IS 'Puts a rule into the state that is due as of a time, which a run hands on; the rule as it is then.';

CREATE FUNCTION raxx_detect.disable(rule_id text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'disabling a rule needs a reason',
            DETAIL = 'The reason is empty.', HINT = 'Say why: whoever reads raxx_detect.status will ask.';
    END IF;
    PERFORM raxx_detect.find_rule(rule_id);
    PERFORM raxx_detect.change_state(rule_id, 'disabled', reason);
END $$;
COMMENT ON FUNCTION raxx_detect.disable(text, text) IS 'Stops a rule from being evaluated, for a reason. Errors: 42704 unknown rule, 22023 no reason.';

CREATE FUNCTION raxx_detect.enable(rule_id text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF rule.state IN ('disabled', 'retired') THEN
        PERFORM raxx_detect.change_state(rule_id, 'dormant', 'enabled again');
    END IF;
    rule := raxx_detect.refresh_state(rule_id);
    RETURN rule.state;
END $$;
COMMENT ON FUNCTION raxx_detect.enable(text) IS 'Ends the disabling or retirement of a rule, and returns the state it then has. Error: 42704 unknown rule.';
