-- Runs: evaluate what is new, write findings, advance coverage, and leave a record, in one transaction.

CREATE TABLE raxx_detect.coverage (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    settled timestamptz NOT NULL,
    looked_to timestamptz NOT NULL,
    quiet tstzrange NOT NULL DEFAULT 'empty',
    by_the_clock boolean NOT NULL DEFAULT false,
    judged_with text,
    last_event timestamptz,
    PRIMARY KEY (rule_id, source)
) WITH (fillfactor = 50);
COMMENT ON TABLE raxx_detect.coverage IS 'Per rule and source: up to where its rows have been judged.';
COMMENT ON COLUMN raxx_detect.coverage.settled IS 'Up to here rows are judged for good: the source''s lateness before the last look, or before the oldest transaction that could still write (raxx_detect.horizon).';
COMMENT ON COLUMN raxx_detect.coverage.looked_to IS 'The as_of of the last look; what lies between the two is judged again by the next run that finds something to judge.';
COMMENT ON COLUMN raxx_detect.coverage.quiet IS 'While as_of lies in here, nothing that was found can change by itself; see raxx_detect.is_quiet.';
COMMENT ON COLUMN raxx_detect.coverage.by_the_clock IS 'Whether rows that come meanwhile are not judged before quiet ends.';
COMMENT ON COLUMN raxx_detect.coverage.judged_with IS 'The configuration, and the shape of the relation, for which quiet holds.';
COMMENT ON COLUMN raxx_detect.coverage.last_event IS 'The last event that the last look saw.';

CREATE TYPE raxx_detect.rule_run AS (
    rule_id text,
    state text,
    outcome text,
    findings_new bigint,
    findings_updated bigint,
    rows_read bigint,
    covered tstzrange,
    elapsed interval,
    detail text
);
COMMENT ON TYPE raxx_detect.rule_run IS 'What a run did for one rule. outcome: ok; skipped (disabled, retired, or looked at before); dormant; no_data (a source is empty or stale); error (nothing changed, the coverage stays); busy (another run had it).';

CREATE TABLE raxx_detect.rule_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    rule_id text NOT NULL,
    state text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('ok', 'skipped', 'dormant', 'no_data', 'error', 'busy')),
    findings_new bigint NOT NULL,
    findings_updated bigint NOT NULL,
    rows_read bigint NOT NULL,
    covered tstzrange,
    elapsed interval NOT NULL,
    detail text
);
CREATE INDEX rule_runs_by_rule ON raxx_detect.rule_runs (rule_id, run_id);
COMMENT ON TABLE raxx_detect.rule_runs IS 'The record of runs: a row when a run of a rule found or said something new, or ended otherwise than the one before. Runs that were like the one before only move raxx_detect.heartbeat.';

CREATE TABLE raxx_detect.heartbeat (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_run_at timestamptz,
    as_of timestamptz,
    runs bigint NOT NULL DEFAULT 0,
    quiet_rules text[] NOT NULL DEFAULT '{}',
    configuration text
) WITH (fillfactor = 50);
INSERT INTO raxx_detect.heartbeat DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.heartbeat IS 'When run_all last ran, also when there was nothing to say. One row.';
COMMENT ON COLUMN raxx_detect.heartbeat.quiet_rules IS 'The rules that had nothing to judge in that run.';
COMMENT ON COLUMN raxx_detect.heartbeat.configuration IS 'The configuration as that run left it.';

CREATE FUNCTION raxx_detect.check_as_of(as_of timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF as_of IS NULL OR NOT isfinite(as_of) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'as_of must be a finite time',
            DETAIL = format('It is %s.', coalesce(as_of::text, 'NULL')), HINT = 'Leave it out to judge everything up to now.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_as_of(timestamptz) IS 'Raises 22023 unless as_of is a finite time.';

CREATE FUNCTION raxx_detect.only_late_rows(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- exact_from is the last row up to settled; a row that was dated back behind settled would have moved it, and what
    -- it fills was looked at. That is no late row but a change of history, and a finding is the evidence of it.
    RETURN rule.method = 'gap' AND NOT EXISTS (
        SELECT FROM raxx_detect.detection_findings f
        WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.condition <> 'cleared' AND lower(f.episode) < exact_from
          AND NOT f.evidence @> '{"conditions": ["rows_gone"]}');
END $$;
COMMENT ON FUNCTION raxx_detect.only_late_rows(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Whether a finding that the rows no longer show can be explained by rows that came late, within the lateness. Late rows only add: they fill gaps, but never undo a burst.';

CREATE FUNCTION raxx_detect.hindsight(rule raxx_detect.rules) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce((rule.params ->> 'deploy_margin')::interval, (rule.params ->> 'tolerance')::interval, '0');
END $$;
COMMENT ON FUNCTION raxx_detect.hindsight(raxx_detect.rules) IS
'How much later than a row what decides about it may happen: a deploy after a restart, a record after a change. What is younger is never settled.';

CREATE FUNCTION raxx_detect.settling_time(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hindsight interval := raxx_detect.hindsight(rule);
BEGIN
    IF hindsight = '0' THEN
        RETURN binding.lateness;
    END IF;
    -- What explains a row may come late, too.
    RETURN hindsight + (SELECT max(b.lateness) FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources || rule.optional_sources));
END $$;
COMMENT ON FUNCTION raxx_detect.settling_time(raxx_detect.rules, raxx_detect.source_bindings) IS
'How long after its event_time a row may still be judged anew: its source''s lateness, or, where rows of other sources decide about it, the hindsight and the longest lateness of any of them.';

CREATE FUNCTION raxx_detect.baseline_reach(rule raxx_detect.rules) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN rule.params ? 'long_window' THEN interval '4 days' ELSE '0' END
$$;
COMMENT ON FUNCTION raxx_detect.baseline_reach(raxx_detect.rules) IS
'How much older than what is judged the baselines may have to be that are needed: whoever judges days looks again at the one that is in force, and at its hours.';

CREATE FUNCTION raxx_detect.judged_from(rule raxx_detect.rules, binding raxx_detect.source_bindings, settled timestamptz)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rule.method = 'gap' THEN
        RETURN coalesce(raxx_detect.last_event(binding, settled), settled);
    ELSIF rule.params ? 'deploy_margin' THEN
        -- A deploy may have explained rows of an episode since it was looked at: all of it is judged anew.
        RETURN coalesce((SELECT raxx_detect.before(min(lower(f.episode)), interval '1 microsecond') FROM raxx_detect.detection_findings f
                         WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.episode @> settled), settled);
    END IF;
    RETURN settled;
END $$;
COMMENT ON FUNCTION raxx_detect.judged_from(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'From when on an evaluation finds the truth, if everything up to settled is: from there; or, since a gap begins with a row, from the last one that is settled; or, where deploys explain rows afterwards, from the beginning of the episode that lasts then.';

CREATE FUNCTION raxx_detect.judge_slice(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz,
    settles_to timestamptz, INOUT result raxx_detect.rule_run, settled_before timestamptz DEFAULT NULL)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known raxx_detect.coverage;
    settled timestamptz;
    exact_from timestamptz;
    method raxx_detect.methods;
    rechecked bigint;
    candidates raxx_detect.candidate[];
    recorded record;
    piece record;
    first_day date;
BEGIN
    SELECT c.* INTO known FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    settled := greatest(known.settled, binding.judge_from);
    exact_from := raxx_detect.judged_from(rule, binding, settled);
    IF rule.baseline_window IS NOT NULL THEN
        FOR piece IN SELECT * FROM raxx_detect.baseline_pieces(rule, binding,
                raxx_detect.before(exact_from, raxx_detect.baseline_reach(rule)), as_of) LOOP
            first_day := coalesce(first_day, piece.day);
            PERFORM raxx_detect.keep_baseline(rule, binding, piece.day);
        END LOOP;
        PERFORM raxx_detect.drop_old_baselines(rule, binding.source, first_day);
    END IF;
    SELECT m.* INTO method FROM raxx_detect.methods m WHERE m.method = rule.method;
    IF method.rechecker IS NOT NULL THEN
        EXECUTE format('SELECT %s($1, $2, $3)', method.rechecker::regproc) INTO rechecked USING rule, binding, as_of;
    END IF;
    EXECUTE format('SELECT array_agg(c) FROM %s($1, $2, $3, $4) c', method.evaluator::regproc)
    INTO candidates USING rule, binding, exact_from, as_of;
    -- A source without a single event allows no verdict: it closes nothing, and nothing of it is settled.
    IF NOT raxx_detect.has_events(binding, as_of) THEN
        UPDATE raxx_detect.detection_findings f SET condition = 'no_data', updated_at = now()
        WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.condition = 'firing'
          AND NOT f.evidence @> '{"conditions": ["rows_gone"]}';
        RETURN;
    END IF;
    recorded := raxx_detect.record_findings(rule, binding.source, coalesce(candidates, '{}'), exact_from, as_of,
        known.rule_id IS NULL, raxx_detect.only_late_rows(rule, binding, coalesce(settled_before, exact_from)), settled_before);

    INSERT INTO raxx_detect.coverage AS c (rule_id, source, settled, looked_to)
    VALUES (rule.rule_id, binding.source,
            greatest(settled, raxx_detect.before(least(as_of, settles_to), raxx_detect.settling_time(rule, binding))), least(as_of, now()))
    ON CONFLICT ON CONSTRAINT coverage_pkey DO UPDATE SET settled = EXCLUDED.settled, looked_to = EXCLUDED.looked_to, quiet = 'empty';

    result.findings_new := result.findings_new + recorded.added;
    result.findings_updated := result.findings_updated + recorded.changed + coalesce(rechecked, 0);
    result.covered := range_merge(coalesce(result.covered, 'empty'), tstzrange(settled, as_of, '(]'));
    IF recorded.withdrawn > 0 THEN
        result.detail := concat_ws('; ', result.detail,
            format('withdrew %s findings that the rows of %s no longer show', recorded.withdrawn, binding.source));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_slice(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, raxx_detect.rule_run, timestamptz) IS
'Judges what is new in one source of a rule, up to as_of, by the baselines of few days: keeps those, evaluates, writes findings and coverage, and adds to the result. settles_to: the horizon from before anything was read; settled_before: as for raxx_detect.record_findings.';

CREATE FUNCTION raxx_detect.slice_end(rule raxx_detect.rules, binding raxx_detect.source_bindings, looked_to timestamptz,
    as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begins timestamptz := greatest(looked_to, binding.judge_from);
    next_event timestamptz;
    day date;
BEGIN
    IF rule.baseline_window IS NULL THEN
        next_event := raxx_detect.next_event(binding, begins);
        RETURN CASE WHEN next_event < timestamptz '250000-01-01' THEN least(as_of, next_event + interval '31 days') ELSE as_of END;
    END IF;
    begins := greatest(begins, raxx_detect.before(as_of, interval '400 days'));
    IF begins >= as_of THEN
        RETURN as_of;
    END IF;
    -- What happened in the window before may still have to be judged: a point, a day, has its verdict when it ends.
    next_event := raxx_detect.next_event(binding, raxx_detect.before(begins,
        coalesce((rule.params ->> 'mix_window')::interval, (rule.params ->> 'window')::interval, '0')));
    IF rule.method = 'gap' THEN  -- a silence that lasts while a baseline takes over is a finding by then, and left out of it
        next_event := coalesce(raxx_detect.last_event(binding, begins), next_event);
    END IF;
    IF next_event IS NULL OR next_event > as_of THEN  -- be it at the end of time: nothing to learn from
        RETURN as_of;
    END IF;
    day := raxx_detect.judging_day(rule, binding, greatest(begins + interval '1 microsecond', next_event)) + 1;
    -- Days before the first that has a baseline are judged alike.
    SELECT greatest(day, raxx_detect.first_whole_day(rule, s.first_event, day) + extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int)
    INTO day FROM raxx_detect.baseline_starts s
    WHERE s.rule_id = rule.rule_id AND s.source = binding.source;
    RETURN least(as_of, raxx_detect.takes_over(rule, binding, coalesce(day, 'infinity')) - interval '1 microsecond');
END $$;
COMMENT ON FUNCTION raxx_detect.slice_end(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Up to where a run may judge at once: as_of, or a month of rows; for a rule with a baseline, just before the next baseline takes over that is learnt from rows not judged yet. What is more than 400 days old is judged by thresholds, at once.';

CREATE FUNCTION raxx_detect.judge_newest(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz,
    INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    newest timestamptz := raxx_detect.judged_from(rule, binding, as_of - interval '1 minute');
    candidates raxx_detect.candidate[];
    recorded record;
BEGIN
    IF rule.baseline_window IS NOT NULL THEN
        PERFORM raxx_detect.keep_baseline(rule, binding, raxx_detect.judging_day(rule, binding, as_of));
    END IF;
    EXECUTE format('SELECT array_agg(c) FROM %s($1, $2, $3, $4) c',
        (SELECT m.evaluator FROM raxx_detect.methods m WHERE m.method = rule.method)::regproc)
    INTO candidates USING rule, binding, newest, as_of;
    -- As at a first look: what else is found there is the business of whoever comes by with the history.
    recorded := raxx_detect.record_findings(rule, binding.source, coalesce(candidates, '{}'), newest, as_of, true, false);
    result.findings_new := result.findings_new + recorded.added;
    result.findings_updated := result.findings_updated + recorded.changed;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_newest(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run) IS
'Judges the last minute before as_of ahead of the history before it, by the days before as they are now, and adds to the result. The coverage stays: when the history is judged, so is this minute, once more.';

CREATE FUNCTION raxx_detect.history_limit() RETURNS interval
AS 'MODULE_PATHNAME', 'raxx_history_limit' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.history_limit() IS 'The setting raxx_detect.history_limit: after how long a run of a rule leaves the rest of the history to the next; NULL: never.';

CREATE FUNCTION raxx_detect.evaluate_source(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz,
    INOUT result raxx_detect.rule_run, settled_before timestamptz DEFAULT NULL)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known raxx_detect.coverage;
    settled timestamptz;
    upto timestamptz;
    -- Asked before anything is read: what ends after that is seen, or has its beginning counted.
    settles_to timestamptz := (SELECT h.settles_to FROM raxx_detect.horizon() h);
    stops timestamptz := CASE WHEN settled_before IS NULL THEN clock_timestamp() + raxx_detect.history_limit() END;
    before record := raxx_detect.reading();
    after record;
BEGIN
    IF rule.method = 'chain' THEN  -- is as it is now, and not of a window
        result := raxx_detect.watch_chain(rule, binding, as_of, result);
        RETURN;
    END IF;
    PERFORM raxx_detect.require_sound(rule, binding);
    SELECT c.* INTO known FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    IF known.looked_to > clock_timestamp() + interval '1 minute' THEN  -- nobody has looked at what is yet to come
        result.detail := concat_ws('; ', result.detail, format('the clock was set back: %s counts as looked at up to now, and not to %s', binding.source, known.looked_to));
        UPDATE raxx_detect.coverage c SET looked_to = least(c.looked_to, now()), quiet = 'empty',
            settled = least(c.settled, raxx_detect.before(now(), raxx_detect.settling_time(rule, binding)))
        WHERE c.rule_id = rule.rule_id AND c.source = binding.source RETURNING c.* INTO known;
    END IF;
    settled := greatest(known.settled, binding.judge_from);
    IF as_of < known.looked_to OR as_of <= settled THEN
        result.outcome := 'skipped';
        result.detail := concat_ws('; ', result.detail,
            format('%s was looked at up to %s before', binding.source, greatest(known.looked_to, settled)));
        RETURN;
    END IF;
    IF known.rule_id IS NULL THEN
        PERFORM raxx_detect.match_columns(binding.source, binding.relation, binding.columns);  -- says best what may not be read
    END IF;
    PERFORM raxx_detect.know_baseline_start(rule, binding);
    -- Who has looked, but could settle nothing at all (it saw the past), has judged old days by few baselines: they are judged now.
    upto := CASE WHEN settled > '-infinity' OR settles_to = '-infinity' THEN known.looked_to END;
    LOOP
        upto := raxx_detect.slice_end(rule, binding, upto, as_of);
        result := raxx_detect.judge_slice(rule, binding, upto, settles_to, result, settled_before);
        EXIT WHEN upto >= as_of OR clock_timestamp() > stops;
    END LOOP;
    IF upto < as_of THEN
        result := raxx_detect.judge_newest(rule, binding, as_of, result);
        result.detail := concat_ws('; ', result.detail,
            format('%s is judged up to %s, and its newest minute; the next runs judge the rest', binding.source, upto));
    END IF;
    IF upto >= as_of THEN
        PERFORM raxx_detect.note_quiet(rule, binding, as_of);
    END IF;

    after := raxx_detect.reading();
    result.rows_read := result.rows_read + after.rows_read - before.rows_read;
    IF after.null_rows > before.null_rows THEN
        result.detail := concat_ws('; ', result.detail,
            format('ignored %s rows of %s with a NULL entity or value', after.null_rows - before.null_rows, binding.source));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_source(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run, timestamptz) IS
'Judges what is new in one source of a rule, slice by slice, the oldest first: as if there had been a run just before each baseline took over. What raxx_detect.history_limit leaves to the next runs, the detail says. settled_before: as for raxx_detect.record_findings; what was settled once is judged again whole.';

CREATE FUNCTION raxx_detect.source_trouble(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_event timestamptz;
    expected interval := (SELECT k.expected_every FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN  -- its chain has been looked at all the same
        RETURN format('the relation bound to source %s (OID %s) no longer exists', binding.source, binding.relation::oid);
    ELSIF NOT raxx_detect.has_events(binding, as_of) THEN
        RETURN format('%s has no rows', binding.source);
    ELSIF expected IS NULL THEN
        RETURN NULL;
    END IF;
    last_event := raxx_detect.last_event(binding, as_of);
    IF last_event < as_of - expected THEN
        RETURN format('%s has been silent since %s; it should have an event every %s', binding.source, last_event, expected);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.source_trouble(raxx_detect.source_bindings, timestamptz) IS 'Why a source does not allow a verdict (gone, empty or stale), or NULL.';

CREATE FUNCTION raxx_detect.error_in_words(state text, message text, detail text, hint text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', format('%s: %s.', state, message), nullif(detail, ''), nullif(hint, ''))
$$;
COMMENT ON FUNCTION raxx_detect.error_in_words(text, text, text, text) IS 'An error as a run''s detail tells it: SQLSTATE, message, DETAIL and HINT.';

CREATE FUNCTION raxx_detect.is_for_the_caller(state text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT state = '40001' AND current_setting('transaction_isolation') <> 'read committed'
$$;
COMMENT ON FUNCTION raxx_detect.is_for_the_caller(text) IS
'Whether an error with this SQLSTATE is the caller''s, who has to begin a new transaction, and not a rule''s outcome: a serialization failure, where all other rules would be judged in the same old snapshot. (What a foreign table says of its own server under read committed is an outcome.)';

CREATE FUNCTION raxx_detect.judged_sources(rule raxx_detect.rules) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE rule.method WHEN 'unmatched' THEN rule.sources[1:1] ELSE rule.sources END;
COMMENT ON FUNCTION raxx_detect.judged_sources(raxx_detect.rules) IS
'The sources whose rows a rule judges. Method unmatched judges its first alone: no record of a change at all is a verdict on the changes, not a trouble of the records.';

CREATE FUNCTION raxx_detect.evaluate_rule(rule raxx_detect.rules, as_of timestamptz, result raxx_detect.rule_run)
RETURNS raxx_detect.rule_run LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings;
    trouble text;
    unread boolean := true;
    state text; message text; detail text; hint text;
BEGIN
    FOR binding IN SELECT b.* FROM raxx_detect.source_bindings b
                   WHERE b.source = ANY (raxx_detect.judged_sources(rule)) ORDER BY array_position(rule.sources, b.source) LOOP
        unread := false;
        BEGIN  -- one source that fails does not keep the others from being judged
            result := raxx_detect.evaluate_source(rule, binding, as_of, result);
            trouble := raxx_detect.source_trouble(binding, as_of);
            IF trouble IS NOT NULL THEN
                result.outcome := CASE result.outcome WHEN 'error' THEN 'error' ELSE 'no_data' END;
                result.detail := concat_ws('; ', result.detail, trouble);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            result.outcome := 'error';
            result.detail := concat_ws('; ', result.detail, raxx_detect.error_in_words(state, message, detail, hint));
        END;
    END LOOP;
    IF unread THEN
        result.outcome := 'no_data';
        result.detail := rule.state_reason;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_rule(raxx_detect.rules, timestamptz, raxx_detect.rule_run) IS 'Judges all bound sources of a rule that it judges.';

CREATE FUNCTION raxx_detect.record_run(result raxx_detect.rule_run, started_at timestamptz, as_of timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last raxx_detect.rule_runs;
BEGIN
    SELECT r.* INTO last FROM raxx_detect.rule_runs r WHERE r.rule_id = result.rule_id ORDER BY r.run_id DESC LIMIT 1;
    IF NOT raxx_detect.is_news(last, result) THEN
        RETURN;
    END IF;
    INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read,
        covered, elapsed, detail)
    VALUES (started_at, as_of, result.rule_id, result.state, result.outcome, result.findings_new, result.findings_updated,
        result.rows_read, result.covered, result.elapsed, result.detail);
END $$;
COMMENT ON FUNCTION raxx_detect.record_run(raxx_detect.rule_run, timestamptz, timestamptz) IS 'Writes a run into rule_runs, unless it is like the one before and found nothing.';

-- Without JIT: the planner cannot know that candidates are few, and would compile what runs for microseconds. The other
-- settings say what a day is and how times and numbers read: no finding may depend on whose session made it.
CREATE FUNCTION raxx_detect.run_rule(rule_id text, as_of timestamptz) RETURNS raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    started timestamptz := clock_timestamp();
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    result raxx_detect.rule_run := (rule_id, rule.state, 'ok', 0, 0, 0, NULL, NULL, NULL);
    state text; message text; detail text; hint text;
BEGIN
    -- A row lock, since anybody could take an advisory one.
    PERFORM FROM raxx_detect.rules r WHERE r.rule_id = rule_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        result.outcome := 'busy';
        result.detail := 'another run is at it';
        result.elapsed := clock_timestamp() - started;
        PERFORM raxx_detect.record_run(result, started, as_of);
        RETURN result;
    END IF;
    -- Two subtransactions: what fails leaves nothing behind, and the other rules go on; but a rule that fails to be
    -- judged is in the state that it is due all the same.
    BEGIN
        -- What a rule measures itself it measures at its runs; nothing can be measured for a past one.
        IF rule.method = 'drift' AND as_of >= now() THEN
            PERFORM raxx_detect.scrape_statements();
        END IF;
        rule := raxx_detect.refresh_state(rule_id, as_of);
        result.state := rule.state;
        BEGIN
            IF rule.state IN ('live', 'placeholder') THEN
                result := raxx_detect.evaluate_rule(rule, as_of, result);
            ELSE
                result.outcome := CASE rule.state WHEN 'dormant' THEN 'dormant' ELSE 'skipped' END;
                result.detail := rule.state_reason;
            END IF;
            IF rule.method = 'chain' AND as_of >= now() THEN
                result := raxx_detect.look_for_lost_chains(rule, result);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        END;
    EXCEPTION WHEN OTHERS THEN
        IF raxx_detect.is_for_the_caller(sqlstate) THEN
            RAISE;
        END IF;
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    END;
    IF state IS NOT NULL THEN
        result := (rule_id, rule.state, 'error', 0, 0, 0, NULL, NULL,
            raxx_detect.error_in_words(state, message, detail, hint));
    END IF;
    result.elapsed := clock_timestamp() - started;
    PERFORM raxx_detect.record_run(result, started, as_of);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.run_rule(text, timestamptz) IS 'One rule''s run, in a subtransaction of its own: an error is its outcome, with SQLSTATE, and changes nothing else.';

CREATE FUNCTION raxx_detect.run(rule_id text, as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    RETURN NEXT raxx_detect.run_rule(rule_id, as_of);
    PERFORM raxx_detect.tell_what_lasts();
END $$;
COMMENT ON FUNCTION raxx_detect.run(text, timestamptz) IS
'Judges everything up to as_of that one rule has not judged yet, and returns one row. as_of must be finite (22023) and the rule known (42704).';

CREATE FUNCTION raxx_detect.run_all(as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    quiet text[];
    r record;
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    PERFORM raxx_detect.sweep_when_due(as_of);
    quiet := raxx_detect.quiet_rules(as_of);
    FOR r IN SELECT x.rule_id, x.rule_id = ANY (quiet) AS is_quiet,
                    CASE WHEN x.rule_id = ANY (quiet) THEN raxx_detect.quiet_run(x,
                        (SELECT min(c.settled) FROM raxx_detect.coverage c WHERE c.rule_id = x.rule_id), as_of) END AS quiet_run
             FROM raxx_detect.rules x ORDER BY x.number NULLS LAST, x.rule_id LOOP
        IF r.is_quiet THEN
            RETURN NEXT r.quiet_run;
        ELSE
            RETURN NEXT raxx_detect.run_rule(r.rule_id, as_of);
        END IF;
    END LOOP;
    PERFORM raxx_detect.tell_what_lasts();
    PERFORM raxx_detect.note_run((SELECT coalesce(h.held_since, now()) FROM raxx_detect.horizon() h));
    UPDATE raxx_detect.heartbeat h SET last_run_at = now(), as_of = run_all.as_of, runs = h.runs + 1,
        quiet_rules = quiet, configuration = raxx_detect.configuration()
    WHERE h.only_row IN (SELECT k.only_row FROM raxx_detect.heartbeat k FOR NO KEY UPDATE SKIP LOCKED);
END $$;
COMMENT ON FUNCTION raxx_detect.run_all(timestamptz) IS
'Judges everything up to as_of that has not been judged yet, rule by rule, and returns a row for each. A rule that fails says so in its row and does not stop the others. Costs what is new. as_of must be finite (22023).';
