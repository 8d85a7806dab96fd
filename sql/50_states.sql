-- States: what each rule still needs (50_bindings.sql, 50_prerequisites.sql), and the state that follows from it. Nobody has to remember to
-- switch a rule on: its state is worked out anew at each run, and every change is recorded with its cause.
--
--     dormant, subsumed   what it needs is not there: a source or a role is not bound, or a prerequisite is unmet; or it is held back
--                         by the ceiling (50_ceiling.sql)
--     placeholder         judged by hard thresholds, or not yet, while the baseline fills
--     live                judged by the baseline, or by thresholds where the rule has or needs no baseline
--     disabled, retired   by people; nothing here changes them
--
-- Whether a source is fresh or long enough is asked before a rule is judged for the first time. After that a source
-- that falls silent or breaks does not put its rule to sleep: the runs say no_data or error until it is mended.

CREATE FUNCTION raxx_detect.what_is_unbound(rule raxx_detect.rules, bindings raxx_detect.source_bindings[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound text[] := ARRAY(SELECT b.source FROM unnest(bindings) b);
    -- The extension itself binds its snapshots.
    unbound text[] := ARRAY(SELECT s FROM unnest(rule.sources) s WHERE s <> ALL (bound) AND s <> 'statement_samples');
    binding raxx_detect.source_bindings;
    missing text[] := '{}';
BEGIN
    -- Gaps and chains are judged in whichever audit table there is.
    IF unbound <> '{}' AND (bound = '{}' OR rule.method NOT IN ('gap', 'chain')) THEN
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
        -- A chain or a key that is gone is its runs' business, too.
        CONTINUE WHEN id = 'P3' AND EXISTS (SELECT FROM unnest(rule.sources) s WHERE raxx_detect.is_judged(rule, s));
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
        WHEN rule.method = 'chain' THEN coalesce('verifies the hash chain of ' || (
            SELECT string_agg(b.source, ', ') FROM unnest(bindings) b WHERE (raxx_detect.attached_chain(b.relation)).chain_id IS NOT NULL),
            'no hash chain is attached any more')
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

CREATE FUNCTION raxx_detect.due_state(rule raxx_detect.rules, as_of timestamptz DEFAULT now(), OUT state text, OUT reason text, OUT cause text,
    others_active int DEFAULT NULL)
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
            missing := coalesce(missing, raxx_detect.what_is_unmet(rule, as_of), raxx_detect.held_back(rule, as_of, others_active));
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
COMMENT ON FUNCTION raxx_detect.due_state(raxx_detect.rules, timestamptz, int) IS
'The state that a rule should be in, and why, in a sentence (reason). cause: what a change into it is recorded with, if there is more to say. Disabled and retired rules stay so. others_active: how many other rules are active, for the ceiling (sql/50_ceiling.sql); NULL: as they are now.';

CREATE FUNCTION raxx_detect.state_as_of(rule_id text, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- What a run has seen is not unseen by one that looks at an earlier time.
    RETURN least(now(), greatest(as_of, (SELECT max(c.looked_to) FROM raxx_detect.coverage c WHERE c.rule_id = state_as_of.rule_id)));
END $$;
COMMENT ON FUNCTION raxx_detect.state_as_of(text, timestamptz) IS 'As of when the state of a rule is worked out in a run as of a time.';

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
    due record;
BEGIN
    as_of := raxx_detect.state_as_of(rule_id, as_of);
    due := raxx_detect.due_state(rule, as_of);
    IF due.state IN ('live', 'placeholder') AND NOT rule.state IN ('live', 'placeholder') THEN
        -- A run waits for no other, which may take long; the next one looks again.
        IF raxx_detect.hold_heartbeat(wait => false) THEN
            due := raxx_detect.due_state(rule, as_of);
        ELSE
            SELECT 'dormant' AS state, 'it is ready; another run is making a rule active, and the next run looks again' AS reason, NULL AS cause INTO due;
        END IF;
    END IF;
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
        IF rule.overrides IS NULL AND rule.shadow_of IS NULL THEN
            PERFORM raxx_detect.require_validated(rule_id);
        END IF;
        PERFORM raxx_detect.change_state(rule_id, 'dormant', 'enabled again');
    END IF;
    rule := raxx_detect.refresh_state(rule_id);
    RETURN rule.state;
END $$;
COMMENT ON FUNCTION raxx_detect.enable(text) IS 'Ends the disabling or retirement of a rule, and returns the state it then has. A rule of one''s own has to pass its fixtures, one of which makes it fire. Errors: 42704 unknown rule, 55000 a fixture does not pass.';
