-- Quiet runs: a run that has nothing to judge says so and leaves it at that.
--
-- Whoever judges a source works out until when nothing can change there but by a new row: no baseline takes over, no verdict is
-- due, no silence grows too long. Until then a run asks only whether there is a row that is not settled yet.

CREATE FUNCTION raxx_detect.configuration() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A change of a row gives it a higher xmin, a new row adds one: whoever changed it, and in whatever way.
    RETURN (SELECT format('%s:%s', count(*), sum(x.changed)) FROM (
        SELECT r.xmin::text::bigint AS changed FROM raxx_detect.rules r
        UNION ALL SELECT b.xmin::text::bigint FROM raxx_detect.source_bindings b
        UNION ALL SELECT k.xmin::text::bigint FROM raxx_detect.chains k) x);
END $$;
COMMENT ON FUNCTION raxx_detect.configuration() IS 'Tells whether a rule, a binding or a chain has been changed.';

CREATE FUNCTION raxx_detect.is_judged_by_the_clock(rule raxx_detect.rules) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.method IN ('quantile', 'drift', 'benford') OR rule.params ? 'long_window';
END $$;
COMMENT ON FUNCTION raxx_detect.is_judged_by_the_clock(raxx_detect.rules) IS
'Whether all verdicts of a rule are made at instants of a grid: rows that come in between make none.';

CREATE FUNCTION raxx_detect.grid_instants(rule raxx_detect.rules, as_of timestamptz, OUT last timestamptz, OUT next timestamptz)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step interval := make_interval(secs => extract(epoch FROM coalesce(rule.params ->> 'step', rule.params ->> 'window')::interval)::float8);
    day date := timezone(raxx_detect.rule_time_zone(rule), as_of)::date;
    point tstzrange;
BEGIN
    IF rule.params ? 'step' THEN
        last := date_bin(step, as_of, timestamptz '2000-01-01 00:00:00+00');
        next := last + step;
    ELSIF rule.params ? 'mix_window' THEN
        last := raxx_detect.day_starts(rule, day);
        next := raxx_detect.day_starts(rule, day + 1);
    ELSIF raxx_detect.is_judged_by_the_clock(rule) THEN  -- points of the day, which ends the last of them
        point := raxx_detect.point_at(rule, as_of);
        last := lower(point);
        next := upper(point);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.grid_instants(raxx_detect.rules, timestamptz) IS
'The instants, around a finite time, at which a rule makes the verdicts that it makes by the clock. NULL: it makes none.';

CREATE FUNCTION raxx_detect.silence_allowed_until(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz)
RETURNS timestamptz LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    short timestamptz := last_event + least((rule.params ->> 'business_gap')::interval, (rule.params ->> 'off_hours_gap')::interval,
        (rule.params ->> 'baseline_gap')::interval);
    ahead interval;
BEGIN
    IF short > as_of THEN
        RETURN short;
    END IF;
    -- A longer silence is never better explained, so that one which is none too long then is none too long until then.
    FOREACH ahead IN ARRAY '{1 hour,15 minutes}'::interval[] LOOP
        IF (raxx_detect.gap_candidate(rule, binding, tstzrange(last_event, NULL), as_of + ahead,
                raxx_detect.cadence_at(rule, binding, last_event, as_of))).entity IS NULL THEN
            RETURN as_of + ahead;
        END IF;
    END LOOP;
    RETURN as_of;
END $$;
COMMENT ON FUNCTION raxx_detect.silence_allowed_until(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Until when the silence since the last row is certain to be no gap; as_of where that is not known.';

CREATE FUNCTION raxx_detect.relation_shape(relation regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'raxx_relation_shape' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.relation_shape(regclass) IS
'The columns of a relation, their types, and which of them the caller may read, as a hash; NULL if it is gone.';

CREATE FUNCTION raxx_detect.quiet_stretch(rule raxx_detect.rules, binding raxx_detect.source_bindings, settled timestamptz, as_of timestamptz)
RETURNS tstzrange LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    grid record := raxx_detect.grid_instants(rule, as_of);
    expected interval := (SELECT k.expected_every FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
    until timestamptz := 'infinity';
BEGIN
    IF rule.method = 'chain' THEN
        until := raxx_detect.chain_work_is_due(rule, binding);
        RETURN CASE WHEN until > as_of THEN tstzrange(as_of, until) ELSE 'empty' END;
    END IF;
    -- What fires is looked at until it ends, what could not be judged until it can, and a verdict of the clock until no row
    -- can come any more that would have made it another.
    IF EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.source = binding.source
                   AND f.condition <> 'cleared' AND NOT f.evidence @> '{"conditions": ["rows_gone"]}')
       OR (raxx_detect.is_judged_by_the_clock(rule) AND settled < grid.last) THEN
        RETURN 'empty';
    END IF;
    IF rule.baseline_window IS NOT NULL OR rule.params ? 'activate_above' THEN
        until := raxx_detect.takes_over(rule, binding, raxx_detect.judging_day(rule, binding, as_of) + 1);
    END IF;
    until := least(until, grid.next);
    IF rule.method = 'gap' THEN
        until := least(until, raxx_detect.silence_allowed_until(rule, binding, as_of));
    END IF;
    IF binding.relation = 'raxx_detect.statement_samples'::regclass THEN
        until := least(until, as_of + (rule.params ->> 'sample_every')::interval * 0.9);
    END IF;
    IF expected IS NOT NULL THEN
        until := least(until, raxx_detect.last_event(binding, as_of) + expected);
    END IF;
    RETURN CASE WHEN until > as_of THEN tstzrange(as_of, until) ELSE 'empty' END;
END $$;
COMMENT ON FUNCTION raxx_detect.quiet_stretch(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'From as_of until when nothing can change by itself of what was found in a source that is settled so far; empty if the next run has to look anyway.';

CREATE FUNCTION raxx_detect.note_quiet(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE raxx_detect.coverage c
    SET quiet = raxx_detect.quiet_stretch(rule, binding, c.settled, as_of), by_the_clock = raxx_detect.is_judged_by_the_clock(rule),
        last_event = raxx_detect.last_event(binding, as_of),
        judged_with = raxx_detect.configuration() || ':' || raxx_detect.relation_shape(binding.relation)
    WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
END $$;
COMMENT ON FUNCTION raxx_detect.note_quiet(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS 'Notes until when, and under which conditions, a source that has just been judged up to as_of need not be judged again.';

CREATE FUNCTION raxx_detect.quiet_rules(as_of timestamptz) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    configuration text := raxx_detect.configuration();
    judged record;
    holds boolean;
    quiet text[];
    disturbed text[] := '{}';
BEGIN
    -- What was judged of a source holds if nothing is due, nothing was changed or altered, the last row that was seen is still
    -- there (or rows went), and none has come that is not settled.
    FOR judged IN
        SELECT r.rule_id, b.relation, raxx_detect.time_column(b) AS event_time, c.settled, c.last_event, c.by_the_clock,
               c.judged_with, c.quiet @> as_of AND c.looked_to <= as_of AS nothing_due
        FROM raxx_detect.rules r
        CROSS JOIN LATERAL unnest(raxx_detect.judged_sources(r)) j(source)
        JOIN raxx_detect.source_bindings b ON b.source = j.source
        LEFT JOIN raxx_detect.coverage c ON c.rule_id = r.rule_id AND c.source = b.source
        WHERE r.state IN ('live', 'placeholder')
    LOOP
        CONTINUE WHEN judged.rule_id = ANY (disturbed);
        holds := false;
        IF judged.nothing_due THEN
            BEGIN
                holds := judged.judged_with = configuration || ':' || raxx_detect.relation_shape(judged.relation)
                    AND (judged.by_the_clock OR NOT raxx_detect.has_rows(judged.relation, judged.event_time, judged.settled, as_of))
                    AND raxx_detect.has_rows(judged.relation, judged.event_time, judged.last_event - interval '1 microsecond', judged.last_event);
            EXCEPTION WHEN OTHERS THEN  -- the rule's run meets the same error, and says so
                holds := false;
            END;
        END IF;
        IF holds THEN
            quiet := quiet || judged.rule_id;
        ELSE
            disturbed := disturbed || judged.rule_id;
        END IF;
    END LOOP;
    RETURN ARRAY(
        SELECT r.rule_id FROM raxx_detect.rules r CROSS JOIN raxx_detect.heartbeat h
        WHERE CASE
            WHEN r.state IN ('live', 'placeholder') THEN r.rule_id = ANY (quiet) AND r.rule_id <> ALL (disturbed)
            -- What waits for somebody to do something, until somebody has.
            WHEN h.configuration = configuration THEN r.state IN ('disabled', 'retired')
                OR CASE r.method
                    -- Once in an hour it looks for chains that are gone (69_chains_lost.sql).
                    WHEN 'chain' THEN date_trunc('hour', h.last_run_at) = date_trunc('hour', now()) AND NOT EXISTS (SELECT FROM raxx_detect.chains k JOIN raxx_detect.source_bindings b ON b.relation = k.relation
                                                  WHERE k.detached_at IS NULL AND b.source = ANY (r.sources))
                    ELSE EXISTS (SELECT FROM unnest(r.sources) s WHERE s <> 'statement_samples'
                                     AND NOT EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = s)) END
                OR EXISTS (SELECT FROM raxx_detect.methods m WHERE m.method = r.method AND m.evaluator IS NULL)
            END);
END $$;
COMMENT ON FUNCTION raxx_detect.quiet_rules(timestamptz) IS
'The rules that have nothing to judge up to as_of: what was found cannot have changed by itself, and no row has come that is not settled.';

CREATE FUNCTION raxx_detect.quiet_run(rule raxx_detect.rules, settled timestamptz, as_of timestamptz) RETURNS raxx_detect.rule_run
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN rule.state IN ('live', 'placeholder')
    THEN (rule.rule_id, rule.state, 'ok', 0, 0, 0, tstzrange(settled, as_of, '(]'), interval '0', NULL)::raxx_detect.rule_run
    ELSE (rule.rule_id, rule.state, CASE rule.state WHEN 'dormant' THEN 'dormant' ELSE 'skipped' END, 0, 0, 0, NULL, interval '0',
        rule.state_reason)::raxx_detect.rule_run END;
COMMENT ON FUNCTION raxx_detect.quiet_run(raxx_detect.rules, timestamptz, timestamptz) IS
'What a run says of a rule that has nothing to judge, and was settled so far.';

-- Up to where each source has been judged, quiet runs included.
CREATE VIEW raxx_detect.judged AS
SELECT c.rule_id, c.source, c.settled,
       CASE WHEN c.rule_id = ANY (h.quiet_rules) THEN greatest(c.looked_to, least(h.as_of, h.last_run_at)) ELSE c.looked_to END AS looked_to
FROM raxx_detect.coverage c CROSS JOIN raxx_detect.heartbeat h;
COMMENT ON VIEW raxx_detect.judged IS
'Up to where the rows of each rule''s sources have been judged (looked_to), and for good (settled). A quiet run moves the first alone.';
