-- Prerequisites and states: what each rule still needs, and the state that follows from it. Nobody has to remember to
-- switch a rule on: its state is worked out anew at each run, and every change is recorded with its cause.

CREATE FUNCTION raxx_detect.source_span(source text, OUT bound boolean, OUT first_event timestamptz,
    OUT last_event timestamptz, OUT problem text)
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
        event_time := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
        last_event := raxx_detect.last_event(binding, now());
        EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > ''-infinity''', event_time, binding.relation) INTO first_event;
        IF last_event IS NULL THEN
            problem := format('source %s (%s) has no rows', source, binding.relation);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        problem := format('source %s (%s) cannot be read: %s', source, binding.relation, sqlerrm);
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.source_span(text) IS 'Whether a source is bound, its first and last event, and what is wrong with it, in a sentence.';

CREATE FUNCTION raxx_detect.check_prerequisite(id text, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text[] := CASE id
        WHEN 'P1' THEN '{passkey_begin_events,session_events}' WHEN 'P2' THEN '{error_events}'
        WHEN 'P4' THEN '{customer_audit_events,console_audit_events}' WHEN 'P6' THEN '{dyno_samples,dyno_restarts}'
        WHEN 'P7' THEN '{stripe_webhook_events}' WHEN 'P8' THEN '{outbound_mail_events}' ELSE '{}' END::text[];
    spans text[] := '{}';
    s record;
    short text;
BEGIN
    IF id = 'P3' THEN
        holds := false;
        detail := 'no hash chain is attached: this version has none to attach';
        RETURN;
    ELSIF id = 'P5' THEN
        holds := EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements');
        detail := CASE WHEN holds THEN 'pg_stat_statements is created'
                       ELSE 'pg_stat_statements is not created: add it to shared_preload_libraries, restart, CREATE EXTENSION pg_stat_statements' END;
        RETURN;
    END IF;
    holds := true;
    FOR s IN SELECT w AS source, x.* FROM unnest(wanted) w CROSS JOIN LATERAL raxx_detect.source_span(w) x LOOP
        short := s.problem;
        IF short IS NULL AND id IN ('P1', 'P6') AND s.last_event < now() - interval '1 day' THEN
            short := format('source %s had no event in the last day (the last was at %s)', s.source, s.last_event);
        ELSIF short IS NULL AND id IN ('P2', 'P4', 'P8') AND s.first_event > now() - interval '7 days' THEN
            short := format('source %s spans less than 7 days (since %s)', s.source, s.first_event);
        END IF;
        holds := holds AND short IS NULL;
        spans := spans || coalesce(short, format('%s has what it takes', s.source));
    END LOOP;
    IF id = 'P4' AND holds THEN
        holds := false;
        spans := ARRAY['7 days of cadence are there, but this version keeps no baseline of it'];
    ELSIF id = 'P8' AND holds THEN
        SELECT x.holds, ARRAY[x.detail] INTO holds, spans FROM raxx_detect.check_mail_volume() x;
    END IF;
    detail := array_to_string(spans, '; ');
END $$;
COMMENT ON FUNCTION raxx_detect.check_prerequisite(text) IS 'Whether one of P1 to P8 holds, and what is there or missing, in a sentence to act on.';

CREATE FUNCTION raxx_detect.check_mail_volume(OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
    fewest bigint;
BEGIN
    SELECT b.* INTO STRICT binding FROM raxx_detect.source_bindings b WHERE b.source = 'outbound_mail_events';
    EXECUTE format(
        'SELECT min((SELECT count(*) FROM %1$s t WHERE t.%2$I > $1 - d * interval ''1 day'' AND t.%2$I <= $1 - (d - 1) * interval ''1 day''))
         FROM generate_series(1, 7) d', binding.relation, binding.columns ->> 'event_time')
    INTO fewest USING now();
    holds := fewest > 500;
    detail := format('the quietest of the last 7 days had %s mails; more than 500 are needed', fewest);
END $$;
COMMENT ON FUNCTION raxx_detect.check_mail_volume() IS 'Whether each of the last 7 days had more than 500 outbound mails.';

CREATE VIEW raxx_detect.prerequisites AS
SELECT p.prerequisite, c.holds, c.detail,
       ARRAY(SELECT r.rule_id FROM raxx_detect.rules r WHERE p.prerequisite = ANY (r.prerequisites) ORDER BY r.number) AS gates
FROM unnest('{P1,P2,P3,P4,P5,P6,P7,P8}'::text[]) p(prerequisite)
CROSS JOIN LATERAL raxx_detect.check_prerequisite(p.prerequisite) c;
COMMENT ON VIEW raxx_detect.prerequisites IS 'P1 to P8: whether each holds now, what is there or missing, and the rules that wait for it.';

CREATE FUNCTION raxx_detect.due_state(rule raxx_detect.rules, OUT state text, OUT reason text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    bound text[] := ARRAY(SELECT b.source FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources));
    missing text[] := ARRAY(SELECT s FROM unnest(rule.sources) s WHERE s <> ALL (bound));
    unmet record;
BEGIN
    IF rule.state IN ('disabled', 'retired') THEN
        state := rule.state;
        reason := rule.state_reason;
    ELSIF rule.deferred_until IS NOT NULL THEN
        state := CASE WHEN rule.ships = 'subsumed' THEN 'subsumed' ELSE 'dormant' END;
        SELECT count(*) AS number INTO unmet
        FROM unnest(rule.prerequisites) p CROSS JOIN LATERAL raxx_detect.check_prerequisite(p) c WHERE NOT c.holds;
        reason := CASE WHEN missing = '{}' AND unmet.number = 0 THEN 'What it waits for is there.' ELSE rule.deferred_until END
            || ' This version does not evaluate the rule.';
    ELSIF bound = '{}' OR (missing <> '{}' AND rule.method <> 'gap') THEN
        state := 'dormant';
        SELECT string_agg(x.problem, '; ') INTO reason FROM unnest(missing) m CROSS JOIN LATERAL raxx_detect.source_span(m) x;
    ELSE
        SELECT string_agg(p || ': ' || c.detail, '; ') AS detail, count(*) AS number INTO unmet
        FROM unnest(rule.prerequisites) p CROSS JOIN LATERAL raxx_detect.check_prerequisite(p) c WHERE NOT c.holds;
        state := CASE WHEN unmet.number = 0 THEN 'live' WHEN rule.ships = 'placeholder' THEN 'placeholder' ELSE 'dormant' END;
        reason := CASE state
            WHEN 'live' THEN 'judged by its thresholds; this version keeps no baselines'
            WHEN 'placeholder' THEN 'judged by its placeholder thresholds. ' || unmet.detail
            ELSE unmet.detail END;
        IF missing <> '{}' AND state <> 'dormant' THEN
            reason := reason || format('; not bound: %s', array_to_string(missing, ', '));
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.due_state(raxx_detect.rules) IS 'The state that a rule should be in now, and why, in a sentence. Disabled and retired rules stay so.';

CREATE FUNCTION raxx_detect.change_state(rule_id text, state text, reason text) RETURNS raxx_detect.rules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF (rule.state, rule.state_reason) IS NOT DISTINCT FROM (state, reason) THEN
        RETURN rule;
    END IF;
    IF rule.state <> state THEN
        INSERT INTO raxx_detect.rule_state_changes (rule_id, from_state, to_state, reason) VALUES (rule_id, rule.state, state, reason);
    END IF;
    UPDATE raxx_detect.rules r SET state = state, state_reason = reason,
        state_since = CASE WHEN r.state = state THEN r.state_since ELSE now() END
    WHERE r.rule_id = rule_id RETURNING r.* INTO rule;
    RETURN rule;
END $$;
COMMENT ON FUNCTION raxx_detect.change_state(text, text, text) IS 'Puts a rule into a state, and records the change; the rule as it is then.';

CREATE FUNCTION raxx_detect.refresh_state(rule_id text) RETURNS raxx_detect.rules
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.change_state(r.rule_id, d.state, d.reason)
    FROM raxx_detect.rules r CROSS JOIN LATERAL raxx_detect.due_state(r) d WHERE r.rule_id = refresh_state.rule_id
$$;
COMMENT ON FUNCTION raxx_detect.refresh_state(text) IS 'Puts a rule into the state that is due; the rule as it is then.';

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
