-- Backtests: what a rule would have found in a stretch of the past, with any parameters, without touching anything.
--
-- By promise 1 the findings of a rule are those of one run over all the rows. So a backtest is that run, up to the end of
-- the stretch, under a rule of its own, in a subtransaction that is rolled back: what live runs use judges, baselines are
-- learnt from the days before, and rows in earlier findings are left out of them. Bursts that nothing but thresholds
-- decides need no history and write nothing at all (raxx_detect.needs_no_history): they are read from a little before the stretch.

CREATE TYPE raxx_detect.would_be_finding AS (
    rule_id text,
    source text,
    severity raxx_detect.severity,
    entity text,
    episode tstzrange,
    observed float8,
    threshold float8,
    unit text,
    p_value float8,
    fired_by text,
    sample_size bigint,
    summary text,
    evidence jsonb,
    verdict text,
    condition text,
    occurrences int,
    escalation_owner text,
    suppressed_by text,
    finding_id bigint,
    disposition text
);
COMMENT ON TYPE raxx_detect.would_be_finding IS
'What a backtest returns: the columns of a finding; suppressed_by, the exception or silence that would have kept it from being told; and finding_id and disposition, of the rule''s own first finding of that entity that overlaps it.';

-- ---- progress: the server's own counters, as for raxx_detect.chain_progress ------------------------------------------

CREATE FUNCTION raxx_detect.begin_replay(relation regclass, from_time timestamptz, to_time timestamptz) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_begin_replay' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.begin_replay(regclass, timestamptz, timestamptz) IS
'From now on raxx_detect.backtest_progress shows the rows that this session reads, until raxx_detect.end_progress() or the end of the transaction.';
CREATE FUNCTION raxx_detect.note_replay(judged_to timestamptz, findings bigint) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_note_replay' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.note_replay(timestamptz, bigint) IS 'Notes there that one slice more is judged, and up to when, and how many findings there are.';
CREATE FUNCTION raxx_detect.replay_progress(OUT pid int, OUT relation regclass, OUT from_time timestamptz, OUT to_time timestamptz,
    OUT judged_to timestamptz, OUT rows_read bigint, OUT slices bigint, OUT findings bigint, OUT started_at timestamptz)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_replay_progress' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.replay_progress() IS 'What raxx_detect.backtest_progress shows.';

CREATE FUNCTION raxx_detect.check_stretch(from_time timestamptz, to_time timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF from_time IS NULL OR to_time IS NULL OR NOT isfinite(to_time) OR from_time >= to_time OR to_time > clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'from_time and to_time must be a stretch of the past',
            DETAIL = format('They are %s and %s.', coalesce(from_time::text, 'NULL'), coalesce(to_time::text, 'NULL')),
            HINT = 'Give a to_time up to now, and a from_time before it: now() - interval ''30 days'', now().';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_stretch(timestamptz, timestamptz) IS 'Raises 22023 unless to_time is a finite time, not in the future, and from_time before it.';

CREATE FUNCTION raxx_detect.replayed_bindings(rule raxx_detect.rules) RETURNS raxx_detect.source_bindings[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    bindings raxx_detect.source_bindings[] := ARRAY(SELECT b FROM raxx_detect.source_bindings b
        WHERE b.source = ANY (rule.sources) ORDER BY array_position(rule.sources, b.source));
    missing text := raxx_detect.what_is_unbound(rule, bindings);
    binding raxx_detect.source_bindings;
BEGIN
    IF rule.method = 'chain' OR (SELECT m.evaluator FROM raxx_detect.methods m WHERE m.method = rule.method) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('rule %s cannot be replayed', rule.rule_id),
            DETAIL = CASE rule.method WHEN 'chain' THEN 'A hash chain holds or it does not, as it is now: there is no stretch of time to look at, and no threshold.'
                     ELSE format('This version does not evaluate method %s.', rule.method) END,
            HINT = CASE rule.method WHEN 'chain' THEN 'Verify the chain: SELECT * FROM raxx_detect.verify_chain(relation, ''full'').' ELSE 'raxx_detect.status tells what it waits for.' END;
    ELSIF missing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('rule %s has nothing to be replayed on', rule.rule_id),
            DETAIL = missing, HINT = 'Bind what it reads (raxx_detect.bind_source).';
    END IF;
    bindings := ARRAY(SELECT b FROM unnest(bindings) b WHERE b.source = ANY (raxx_detect.judged_sources(rule)));
    FOREACH binding IN ARRAY bindings LOOP
        PERFORM raxx_detect.require_sound(rule, binding);
        PERFORM raxx_detect.match_columns(binding.source, binding.relation, binding.columns);
    END LOOP;
    RETURN bindings;
END $$;
COMMENT ON FUNCTION raxx_detect.replayed_bindings(raxx_detect.rules) IS
'What is bound of the sources that a rule judges. Errors: 0A000 of a rule that is of no window, 55000 nothing bound, 42P01, 42703, 42804 or 42501 for what cannot be read.';

CREATE FUNCTION raxx_detect.needs_no_history(rule raxx_detect.rules) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.method IN ('velocity', 'distinct', 'distinct + velocity') AND rule.baseline_window IS NULL
           AND NOT rule.params ?| '{mix_window,deploy_margin,excluded_causes}';
END $$;
COMMENT ON FUNCTION raxx_detect.needs_no_history(raxx_detect.rules) IS
'Whether what a rule finds in a window depends on nothing but the rows of that window: bursts by a threshold.';

-- ---- in one look ----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.as_would_be(rule raxx_detect.rules, source text, c raxx_detect.candidate, as_of timestamptz) RETURNS raxx_detect.would_be_finding
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lasts boolean := upper_inf(c.episode) OR upper(c.episode) > as_of;
    condition text := coalesce(c.condition, CASE WHEN lasts THEN 'firing' ELSE 'cleared' END);
BEGIN
    RETURN (rule.rule_id, source, c.severity, raxx_detect.bounded_entity(c.entity),
        CASE WHEN lasts AND c.condition IS NULL THEN tstzrange(lower(c.episode), NULL) ELSE c.episode END,
        c.observed, c.threshold, c.unit, c.p_value, c.fired_by, c.sample_size, c.summary, c.evidence || jsonb_build_object('conditions', c.conditions),
        c.verdict, condition, cardinality(c.conditions), coalesce(c.escalation_owner, rule.escalation_owner), NULL, NULL, NULL)::raxx_detect.would_be_finding;
END $$;
COMMENT ON FUNCTION raxx_detect.as_would_be(raxx_detect.rules, text, raxx_detect.candidate, timestamptz) IS
'A candidate as the finding that raxx_detect.record_findings would write, of a source that is judged at once up to as_of.';

CREATE FUNCTION raxx_detect.too_many_findings(number bigint, at_most int, upto timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF number > at_most THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = format('the backtest has more than %s findings', at_most),
            DETAIL = format('There were %s by %s.', number, upto),
            HINT = 'Replay a shorter stretch, or with parameters that find less, or raise at_most.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.too_many_findings(bigint, int, timestamptz) IS 'Raises 54000 if a backtest has found more than it may return.';

CREATE FUNCTION raxx_detect.replay_at_once(rule raxx_detect.rules, bindings raxx_detect.source_bindings[],
    from_time timestamptz, to_time timestamptz, at_most int) RETURNS raxx_detect.would_be_finding[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    evaluator regproc := (SELECT m.evaluator FROM raxx_detect.methods m WHERE m.method = rule.method);
    binding raxx_detect.source_bindings;
    lead interval;
    exact_from timestamptz;
    candidates raxx_detect.candidate[];
    cut_off boolean;
    result raxx_detect.would_be_finding[] := '{}';
BEGIN
    FOREACH binding IN ARRAY bindings LOOP
        lead := (rule.params ->> 'window')::interval;
        cut_off := true;
        -- What had begun before that is read again from longer before.
        WHILE cut_off LOOP
            exact_from := CASE WHEN lead <= interval '400 days' THEN raxx_detect.before(from_time, lead) ELSE '-infinity' END;
            EXECUTE format('SELECT array_agg(c), coalesce(bool_or(lower(c.episode) <= $3), false) FROM (
                                SELECT * FROM %s($1, $2, $3, $4) x WHERE x.episode && tstzrange($5, $4, ''(]'') LIMIT $6) c', evaluator)
            INTO candidates, cut_off USING rule, binding, exact_from, to_time, from_time, at_most + 1;
            cut_off := cut_off AND exact_from > '-infinity' AND cardinality(candidates) <= at_most;
            lead := lead * 8;
        END LOOP;
        result := result || ARRAY(SELECT raxx_detect.as_would_be(rule, binding.source, c, to_time) FROM unnest(candidates) c);
        PERFORM raxx_detect.too_many_findings(cardinality(result), at_most, to_time);
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.replay_at_once(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz, timestamptz, int) IS
'The findings of a rule that needs no history, in one look at the stretch: writes nothing. Each with its beginning, be that before from_time.';

-- ---- with its history -----------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.replay_source(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_time timestamptz,
    to_time timestamptz, at_most int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    upto timestamptz;
    number bigint;
    result raxx_detect.rule_run := (rule.rule_id, rule.state, 'ok', 0, 0, 0, NULL, NULL, NULL);
BEGIN
    PERFORM raxx_detect.know_baseline_start(rule, binding);
    LOOP
        upto := raxx_detect.slice_end(rule, binding, upto, to_time);
        -- The rows are what they are: nothing comes any more, so that all of it settles.
        result := raxx_detect.judge_slice(rule, binding, upto, 'infinity', result);
        SELECT count(*) INTO number FROM raxx_detect.detection_findings f
        WHERE f.rule_id = rule.rule_id AND f.episode && tstzrange(from_time, to_time, '(]');
        PERFORM raxx_detect.note_replay(upto, number);
        PERFORM raxx_detect.too_many_findings(number, at_most, upto);
        EXIT WHEN upto >= to_time;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.replay_source(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, int) IS
'Judges a source up to to_time, slice by slice, as raxx_detect.evaluate_source does.';

CREATE FUNCTION raxx_detect.check_replay_rights(rule raxx_detect.rules) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    denied text;
BEGIN
    IF current_setting('transaction_read_only') = 'on' THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction', MESSAGE = format('rule %s cannot be replayed in a read-only transaction', rule.rule_id),
            DETAIL = 'What it finds depends on what it found before, which is written, and rolled back.',
            HINT = 'Replay it on the primary, in a transaction that may write. (raxx_detect.needs_no_history tells which rules need neither.)';
    END IF;
    SELECT format('may not %s %s', p.privilege, t.name) INTO denied
    FROM (VALUES ('rules', '{INSERT}'), ('detection_findings', '{INSERT,UPDATE,DELETE}'), ('coverage', '{INSERT,UPDATE}'), ('baseline_starts', '{INSERT}'),
                 ('baseline_days', '{INSERT,UPDATE,DELETE}'), ('baselines', '{INSERT,UPDATE}')) t(name, privileges)
    CROSS JOIN unnest(t.privileges::text[]) p(privilege)
    WHERE NOT has_table_privilege('raxx_detect.' || t.name, p.privilege) LIMIT 1;
    IF denied IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('permission denied to replay rule %s', rule.rule_id),
            DETAIL = format('Role "%s" %s. What the rule finds depends on what it found before, which is written, and rolled back.', current_user, denied),
            HINT = 'It takes what a run takes, and INSERT on raxx_detect.rules: the roles raxx_runner and raxx_admin of docs/roles.sql.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_replay_rights(raxx_detect.rules) IS 'Raises 42501, or 25006 in a read-only transaction, unless a rule with history can be replayed by the caller.';

CREATE FUNCTION raxx_detect.replay_with_history(rule raxx_detect.rules, bindings raxx_detect.source_bindings[], judge_from timestamptz,
    from_time timestamptz, to_time timestamptz, at_most int) RETURNS raxx_detect.would_be_finding[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    live_id CONSTANT text := rule.rule_id;
    binding raxx_detect.source_bindings;
    result raxx_detect.would_be_finding[];
BEGIN
    PERFORM raxx_detect.check_replay_rights(rule);
    BEGIN
        -- A copy of the rule, so that its own findings, coverage and locks stay out of it; of this process, so that two do not wait
        -- for each other. Of what ends in (self-test) nobody is told.
        rule.rule_id := format('%s (backtest of process %s) (self-test)', rule.rule_id, pg_backend_pid());
        rule.det_id := rule.rule_id;
        rule.number := NULL;
        rule.shadow_of := NULL;
        rule.state := 'live';
        INSERT INTO raxx_detect.rules SELECT rule.*;
        FOREACH binding IN ARRAY bindings LOOP
            binding.judge_from := judge_from;
            PERFORM raxx_detect.replay_source(rule, binding, from_time, to_time, at_most);
        END LOOP;
        result := ARRAY(
            SELECT (live_id, f.source, f.severity, f.entity, f.episode, f.observed, f.threshold, f.unit, f.p_value, f.fired_by, f.sample_size,
                    f.summary, f.evidence, f.verdict, f.condition, f.occurrences, f.escalation_owner, NULL, NULL, NULL)::raxx_detect.would_be_finding
            FROM raxx_detect.detection_findings f
            WHERE f.rule_id = rule.rule_id AND f.episode && tstzrange(from_time, to_time, '(]'));
        RAISE EXCEPTION USING ERRCODE = 'RX000', MESSAGE = 'this rolls the backtest back';
    EXCEPTION WHEN SQLSTATE 'RX000' THEN
        RETURN result;
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.replay_with_history(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz, timestamptz, timestamptz, int) IS
'The findings of a rule that is judged from judge_from on, through its real path. Leaves nothing behind.';

-- ---- asking ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.replay(rule raxx_detect.rules, from_time timestamptz, to_time timestamptz, lead_in interval, at_most int)
RETURNS raxx_detect.would_be_finding[] LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
DECLARE
    bindings raxx_detect.source_bindings[] := raxx_detect.replayed_bindings(rule);
    judge_from timestamptz := coalesce(raxx_detect.before(from_time, lead_in), '-infinity');
    result raxx_detect.would_be_finding[];
BEGIN
    PERFORM raxx_detect.begin_replay(bindings[1].relation, from_time, to_time);
    result := CASE WHEN raxx_detect.needs_no_history(rule) THEN raxx_detect.replay_at_once(rule, bindings, from_time, to_time, at_most)
                   ELSE raxx_detect.replay_with_history(rule, bindings, judge_from, from_time, to_time, at_most) END;
    PERFORM raxx_detect.end_progress();
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.replay(raxx_detect.rules, timestamptz, timestamptz, interval, int) IS
'What raxx_detect.backtest finds for a rule with these parameters, without what else is known of it.';

CREATE FUNCTION raxx_detect.suppressed_by(f raxx_detect.would_be_finding) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(
        (SELECT format('exception %s: %s', x.exception_id, x.reason) FROM raxx_detect.exceptions x
         WHERE x.exception_id = raxx_detect.exception_of(f.rule_id, f.entity, f.episode)),
        (SELECT format('silence %s: %s', x.silence_id, x.reason) FROM raxx_detect.silences x JOIN raxx_detect.rules r ON r.rule_id = f.rule_id
         WHERE (x.rule_id = f.rule_id OR x.rule_id IS NULL AND r.allows_exceptions) AND coalesce(x.entity = f.entity, true)
           AND tstzrange(x.starts_at, least(x.until, x.ended_at)) @> lower(f.episode)
         ORDER BY x.silence_id LIMIT 1));
END $$;
COMMENT ON FUNCTION raxx_detect.suppressed_by(raxx_detect.would_be_finding) IS
'The exception that sets a finding aside (raxx_detect.exception_of), or the silence that held when its episode began; NULL: none.';

CREATE FUNCTION raxx_detect.known_finding(f raxx_detect.would_be_finding) RETURNS raxx_detect.detection_findings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d FROM raxx_detect.detection_findings d WHERE d.rule_id = f.rule_id AND d.entity = f.entity AND d.episode && f.episode
    ORDER BY lower(d.episode) LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.known_finding(raxx_detect.would_be_finding) IS 'The rule''s own first finding of the entity that overlaps; NULL: there is none.';

CREATE FUNCTION raxx_detect.backtest(rule_id text, from_time timestamptz, to_time timestamptz, params jsonb DEFAULT '{}',
    lead_in interval DEFAULT NULL, at_most int DEFAULT 10000)
RETURNS SETOF raxx_detect.would_be_finding LANGUAGE plpgsql ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    f raxx_detect.would_be_finding;
    known raxx_detect.detection_findings;
BEGIN
    PERFORM raxx_detect.check_stretch(from_time, to_time);
    PERFORM raxx_detect.check_params(rule, params);
    PERFORM raxx_detect.check_fit(rule.method, rule.params || params, rule.baseline_window);
    IF coalesce(at_most, 0) < 1 OR lead_in < '0' OR lead_in > interval '400 days' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at_most or lead_in is out of range',
            DETAIL = format('They are %s and %s.', coalesce(at_most::text, 'NULL'), coalesce(lead_in::text, 'NULL')),
            HINT = 'at_most is at least 1; lead_in is up to 400 days, or NULL.';
    END IF;
    rule.params := rule.params || params;
    FOR f IN SELECT * FROM unnest(raxx_detect.replay(rule, from_time, to_time, lead_in, at_most)) u ORDER BY lower(u.episode), u.entity COLLATE "C" LOOP
        f.suppressed_by := raxx_detect.suppressed_by(f);
        known := raxx_detect.known_finding(f);
        f.finding_id := known.finding_id;
        f.disposition := known.disposition;
        RETURN NEXT f;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.backtest(text, timestamptz, timestamptz, jsonb, interval, int) IS
'What a rule would have found in (from_time, to_time], with params in place of its own where given, by the rows that there are now: the findings of a run as of to_time whose episodes overlap the stretch. Touches nothing, and tells nobody; whether the rule is active does not matter. lead_in: how long before from_time judging begins, of a rule that needs its history; NULL: with the first row, as a run does, and so exactly what runs find. (With less, baselines are learnt as ever, but from rows of earlier findings, too.) at_most: more findings are an error. In order of time. Rules that need no history (raxx_detect.needs_no_history) need no right but to read; others write what is rolled back, and need what raxx_detect.run needs and INSERT on raxx_detect.rules. Errors: 42704 unknown rule, 22023 a stretch that is none or a parameter that does not fit, 0A000 hash chains, 55000 nothing bound, 54000 more findings than at_most, 42501 and 25006 where it may not be written, and those of reading.';

CREATE VIEW raxx_detect.backtest_progress AS
SELECT p.pid, p.relation, p.from_time, p.to_time, p.judged_to, p.rows_read, p.slices, p.findings, p.started_at
FROM raxx_detect.replay_progress() p;
COMMENT ON VIEW raxx_detect.backtest_progress IS
'The backtests and calibrations that are running in this database: up to where each has judged (NULL: it is at the first slice), the rows it has read so far, those that are read twice counted twice, and what it has found in its stretch.';
