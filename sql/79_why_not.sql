-- why_not: why there is no finding. First whether there is one after all; then what kept the rule from judging that time; then how near
-- it came, by the rows as they are now and the limits of that time.

CREATE FUNCTION raxx_detect.entity_asked(rule raxx_detect.rules, entity text, OUT seen text, OUT remark text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    prefixes int[] := raxx_detect.network_prefixes(rule);
    pattern record;
BEGIN
    seen := entity;
    IF prefixes IS NOT NULL THEN
        BEGIN
            seen := raxx_detect.client_network(entity::inet, prefixes[1], prefixes[2]);
            IF seen <> entity THEN
                remark := format('%s lies in the client network %s, which is what the rule counts by.', raxx_detect.plain(entity, 80), seen);
            END IF;
        EXCEPTION WHEN data_exception THEN
            remark := format('%s is no address, and the rule counts by client networks: 203.0.113.7, or 2001:db8:0:1::/64.', raxx_detect.plain(entity, 80));
        END;
    ELSIF rule.method = 'pattern' THEN
        pattern := raxx_detect.email_pattern(CASE WHEN strpos(entity, '@') > 0 THEN entity ELSE 'a@' || entity END);
        IF strpos(entity, '@') > 0 AND EXISTS (SELECT FROM raxx_detect.free_mail_domains d WHERE d.domain = pattern.registrable_domain) THEN
            seen := pattern.shape || '@' || pattern.registrable_domain;
        ELSE
            seen := coalesce(pattern.registrable_domain, entity);
        END IF;
        IF seen <> entity THEN
            remark := format('The rule knows %s as %s.', raxx_detect.plain(entity, 80), raxx_detect.plain(seen, 80));
        END IF;
    ELSIF rule.method IN ('gap', 'chain', 'ratio', 'benford', 'drift') THEN
        -- What the rule judges is a source as a whole.
        seen := coalesce((SELECT s FROM unnest(raxx_detect.judged_sources(rule)) s WHERE s = entity),
                         CASE WHEN cardinality(raxx_detect.judged_sources(rule)) = 1 THEN (raxx_detect.judged_sources(rule))[1] END);
        IF seen IS DISTINCT FROM entity AND NOT (rule.method = 'drift' AND entity = 'statements') THEN
            remark := format('The rule judges its %s as a whole.', CASE WHEN cardinality(raxx_detect.judged_sources(rule)) = 1 THEN 'source ' ELSE 'sources ' END || array_to_string(raxx_detect.judged_sources(rule), ', '));
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_asked(raxx_detect.rules, text) IS
'The entity by which a rule knows what somebody asks for (an address''s client network, an e-mail address''s domain or shape, the source as a whole; NULL: several sources, none of them named), and what there is to say about that.';

CREATE FUNCTION raxx_detect.reach_of(rule raxx_detect.rules) RETURNS interval
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT make_interval(secs => least(extract(epoch FROM coalesce(rule.params ->> 'window', rule.params ->> 'tolerance', rule.params ->> 'step', '0')::interval), 86400 * 31)::float8)
$$;
COMMENT ON FUNCTION raxx_detect.reach_of(raxx_detect.rules) IS 'How far from a moment what a rule counts lies: its window, at most 31 days.';

CREATE FUNCTION raxx_detect.finding_at(rule raxx_detect.rules, source text, entity text, at timestamptz) RETURNS raxx_detect.detection_findings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id
      AND CASE WHEN rule.method IN ('gap', 'chain', 'ratio', 'benford', 'drift') THEN f.source = finding_at.source
               ELSE f.entity = raxx_detect.bounded_entity(raxx_detect.entity_beside_mix(rule, finding_at.entity)) OR f.entity = finding_at.entity END
      AND f.episode && tstzrange(raxx_detect.before(at, raxx_detect.reach_of(rule)), at + raxx_detect.reach_of(rule), '[]')
    ORDER BY f.episode @> at DESC, f.severity DESC, f.finding_id DESC LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.finding_at(raxx_detect.rules, text, text, timestamptz) IS 'The finding that a moment belongs to: its episode holds the moment, or begins within a window after it, or has ended within one before. NULL if there is none.';

-- ---- what kept it from judging --------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.why_not_judged(rule raxx_detect.rules, binding raxx_detect.source_bindings, at timestamptz, OUT judged boolean, OUT said text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known raxx_detect.coverage := (SELECT c FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source);
    looked_to timestamptz := coalesce((SELECT j.looked_to FROM raxx_detect.judged j WHERE j.rule_id = rule.rule_id AND j.source = binding.source), known.looked_to);
    state_then record;
    state_told text;
BEGIN
    SELECT s.* INTO state_then FROM raxx_detect.state_spells(rule) s WHERE s.spell @> at LIMIT 1;
    state_told := format('the rule is %s since %s: %s', rule.state, raxx_detect.time_in_words(date_trunc('second', rule.state_since)), rtrim(raxx_detect.plain(rule.state_reason, 600), '.'));
    judged := looked_to >= at AND coalesce(at > binding.judge_from, true);
    IF binding.source IS NULL THEN
        said := format('Nothing is bound to its source, so nothing is judged: %s.', state_told);
    ELSIF at <= binding.judge_from THEN
        said := format('Rows of %s up to %s are history: they are read as context, and never judged. (%s was bound at %s.)', binding.source, raxx_detect.time_in_words(binding.judge_from), binding.source,
                       raxx_detect.time_in_words(date_trunc('second', binding.bound_at)));
    ELSIF NOT coalesce(judged, false) THEN
        said := CASE WHEN rule.state NOT IN ('live', 'placeholder') AND (raxx_detect.due_state(rule)).state NOT IN ('live', 'placeholder') THEN format('That time has not been judged: %s.', state_told)
                     WHEN looked_to IS NULL THEN format('That time has not been judged: no run has judged %s yet.', binding.source)
                     ELSE format('That time has not been judged yet: the rule has looked at %s up to %s.', binding.source, raxx_detect.time_in_words(looked_to)) END;
    ELSIF raxx_detect.judges_nothing_yet(rule, rule.state) THEN
        said := format('It has no threshold to judge by while its baseline fills: %s.', state_told);
    ELSE
        said := format('That time has been judged: the rule has looked at %s up to %s%s.', binding.source, raxx_detect.time_in_words(looked_to),
                CASE WHEN known.settled < at THEN ', and will look at it again, since rows may still come late' ELSE '' END)
            || CASE WHEN rule.state NOT IN ('live', 'placeholder') THEN format(' By now %s.', state_told)
                    WHEN state_then.state NOT IN ('live', 'placeholder') AND lower(state_then.spell) > '-infinity'
                    THEN format(' It was %s then (since %s: %s), and has judged it since.', state_then.state, raxx_detect.time_in_words(date_trunc('second', lower(state_then.spell))), raxx_detect.plain(state_then.reason, 300)) ELSE '' END;
    END IF;
    judged := coalesce(judged, false);
END $$;
COMMENT ON FUNCTION raxx_detect.why_not_judged(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Whether a rule has judged a moment of a source, and if not, why: nothing is bound, history, dormant or disabled since when, not looked at yet, waiting for its baseline.';

CREATE FUNCTION raxx_detect.why_not_seen(rule raxx_detect.rules, at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'Around that time the rule could not see: ' || string_agg(
               format('from %s %s, %s', raxx_detect.time_in_words(date_trunc('second', lower(b.whole))), CASE WHEN b.lasts THEN 'on' ELSE 'to ' || raxx_detect.time_in_words(date_trunc('second', upper(b.whole))) END,
                      CASE b.kind WHEN 'error' THEN 'its runs ended in an error' WHEN 'no_data' THEN 'its source had no data' WHEN 'busy' THEN 'another run was at it' WHEN 'pause' THEN 'nobody ran the rules'
                          WHEN 'stall' THEN 'a transaction that could still write was open' WHEN 'baseline' THEN 'its baseline was filling' ELSE 'it was ' || b.kind END || coalesce(' (' || nullif(raxx_detect.plain(b.reason, 300), b.kind) || ')', '')), '; ' ORDER BY lower(b.whole)) || '.'
    FROM (SELECT b.*, b.spell AS whole FROM raxx_detect.blind_between(raxx_detect.before(at, interval '400 days'), now(), rule.rule_id) b
          WHERE b.spell && tstzrange(raxx_detect.before(at, raxx_detect.reach_of(rule)), at + raxx_detect.reach_of(rule), '[]') ORDER BY lower(b.spell) LIMIT 5) b
$$;
COMMENT ON FUNCTION raxx_detect.why_not_seen(raxx_detect.rules, timestamptz) IS 'What kept a rule from seeing around a moment, since when and until when (raxx_detect.blind_between); NULL: nothing did.';

CREATE FUNCTION raxx_detect.why_not_told(rule raxx_detect.rules, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text[] := '{}';
    x record;
BEGIN
    IF raxx_detect.has_table('exceptions') THEN
        FOR x IN SELECT e.* FROM raxx_detect.exceptions e WHERE e.rule_id = rule.rule_id AND (e.entity = $2 OR raxx_detect.bounded_entity(e.entity) = raxx_detect.bounded_entity($2))
                   AND tstzrange(e.created_at, least(e.ended_at, e.expires_at)) @> at ORDER BY e.exception_id LIMIT 3 LOOP
            said := said || format('Exception %s holds then (%s; by %s, until %s): a hit is written down all the same, is counted with the exception, and told to nobody.', x.exception_id, raxx_detect.plain(x.reason), raxx_detect.plain(x.created_by),
                                   raxx_detect.time_in_words(date_trunc('second', least(x.ended_at, x.expires_at))));
        END LOOP;
    END IF;
    IF raxx_detect.has_table('silences') THEN
        FOR x IN SELECT s.* FROM raxx_detect.silences s WHERE coalesce(s.rule_id = rule.rule_id, rule.allows_exceptions) AND coalesce(s.entity = $2, true)
                   AND tstzrange(s.starts_at, least(s.ended_at, s.until)) @> at ORDER BY s.silence_id LIMIT 3 LOOP
            said := said || format('Silence %s holds then (%s; by %s, until %s): what is found is written down, and not told before it ends.', x.silence_id, raxx_detect.plain(x.reason), raxx_detect.plain(x.created_by), raxx_detect.time_in_words(date_trunc('second', least(x.ended_at, x.until))));
        END LOOP;
    END IF;
    RETURN nullif(array_to_string(said, ' '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.why_not_told(raxx_detect.rules, text, timestamptz) IS 'The exceptions and silences that hold for an entity at a moment, and what they do; NULL: none.';

-- ---- the page -------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.why_not_of_source(rule raxx_detect.rules, binding raxx_detect.source_bindings, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    finding raxx_detect.detection_findings := raxx_detect.finding_at(rule, binding.source, entity, at);
    judgement record := raxx_detect.why_not_judged(rule, binding, at);
    miss text;
BEGIN
    IF finding.finding_id IS NOT NULL THEN
        RETURN concat_ws(E'\n\n',
            raxx_detect.wrapped(format('There is one: finding %s (%s, %s, triage %s), from %s %s: %s. SELECT raxx_detect.explain(%s) tells more.', finding.finding_id, upper(finding.severity::text), finding.condition, finding.triage,
                raxx_detect.time_in_words(lower(finding.episode)), coalesce('to ' || raxx_detect.time_in_words(upper(finding.episode)), 'on'), raxx_detect.plain(finding.summary, 600), finding.finding_id)),
            raxx_detect.wrapped(raxx_detect.explain_route(rule, finding)));
    END IF;
    IF binding.source IS NOT NULL THEN
        BEGIN
            miss := raxx_detect.nearest_miss(rule, binding, entity, at);
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            miss := CASE WHEN sqlstate = '42501' THEN format('How near it came cannot be said: role "%s" may not read the rows.', current_user)
                         ELSE format('How near it came cannot be said: %s', raxx_detect.plain(raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL), 400)) END;
        END;
    END IF;
    RETURN concat_ws(E'\n\n', raxx_detect.wrapped(judgement.said), raxx_detect.wrapped(miss));
END $$;
COMMENT ON FUNCTION raxx_detect.why_not_of_source(raxx_detect.rules, raxx_detect.source_bindings, text, timestamptz) IS 'What raxx_detect.why_not says of one source: the finding that there is, or whether that time was judged, and the nearest miss.';

CREATE FUNCTION raxx_detect.why_not(rule_id text, entity text, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    asked record;
    said text[];
    judged_source text;
BEGIN
    IF at IS NULL OR NOT isfinite(at) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at must be a finite time', DETAIL = format('It is %s.', coalesce(at::text, 'NULL')),
            HINT = 'Give the time at which you would have expected a finding, such as now() - interval ''1 hour''.';
    END IF;
    asked := raxx_detect.entity_asked(rule, entity);
    said := ARRAY[raxx_detect.wrapped(format('Rule %s (%s), %s, at %s.', rule_id, rule.det_id, coalesce(raxx_detect.plain(asked.seen), CASE WHEN cardinality(rule.sources) > 1 THEN 'any source' ELSE 'rows without an entity' END), raxx_detect.time_in_words(at)) || coalesce(' ' || asked.remark, ''))];
    IF at > now() THEN
        RETURN array_to_string(said || raxx_detect.wrapped('That time is yet to come.'), E'\n\n');
    END IF;
    FOREACH judged_source IN ARRAY CASE WHEN asked.seen = ANY (rule.sources) AND rule.method IN ('gap', 'chain') THEN ARRAY[asked.seen] ELSE raxx_detect.judged_sources(rule) END LOOP
        -- A silence and a break are judged in whichever audit log there is.
        CONTINUE WHEN asked.seen IS NULL AND NOT EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = judged_source)
            AND EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources));
        said := said || raxx_detect.why_not_of_source(rule, (SELECT b FROM raxx_detect.source_bindings b WHERE b.source = judged_source), asked.seen, at);
    END LOOP;
    RETURN array_to_string(said || raxx_detect.wrapped(raxx_detect.why_not_seen(rule, at)) || raxx_detect.wrapped(raxx_detect.why_not_told(rule, asked.seen, at)), E'\n\n');
END $$;
COMMENT ON FUNCTION raxx_detect.why_not(text, text, timestamptz) IS
'Why there is no finding of a rule for an entity at a time, in plain sentences: there is one after all (which); the time has not been judged (dormant or disabled since when, not looked at yet, history); the rule could not see (errors, no data, nobody ran it); how near it came: the most in a window around that time, against the threshold or the limit in force, and what the rule does not count; exceptions and silences. entity: as findings name it; an address stands for its client network, an e-mail address for its domain or shape; NULL asks for rows without one. Reads rows with the caller''s rights; changes nothing. Errors: 42704 unknown rule, 22023 no finite time.';
