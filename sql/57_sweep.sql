-- The sweep: rows that come later than their source's lateness, and rows that go.
--
-- A run never reads again what is settled. So the rows of each hour are counted, and counted again later: where a count
-- is another one, the source is judged again from that hour on. A count is written only when everything that it counted
-- has been judged, so that no row can slip in between; an hour that is counted for the first time is therefore judged
-- once more, too. In an audit log, where rows never go, a count that falls is a finding of its own (58_rows_gone.sql).

CREATE TABLE raxx_detect.hourly_counts (
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    hour timestamptz NOT NULL,
    rows bigint NOT NULL,
    gone bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (source, hour)
);
COMMENT ON TABLE raxx_detect.hourly_counts IS 'How many rows each bound source had in each hour of the last 30 days when it was last counted. An hour without a row here had none.';
COMMENT ON COLUMN raxx_detect.hourly_counts.hour IS 'The beginning of the hour, a whole one of UTC.';
COMMENT ON COLUMN raxx_detect.hourly_counts.gone IS 'Of an audit log: how many rows fewer there are than there were, as far as nobody has closed the finding about it.';

CREATE TABLE raxx_detect.sweeps (
    source text PRIMARY KEY REFERENCES raxx_detect.source_kinds,
    counted_from timestamptz,
    counted_to timestamptz,
    whole_at timestamptz,
    counted_by name,
    row_security boolean,
    tried_to timestamptz,
    failed_at timestamptz,
    error text
);
INSERT INTO raxx_detect.sweeps (source) SELECT k.source FROM raxx_detect.source_kinds k;
COMMENT ON TABLE raxx_detect.sweeps IS 'Per source: which hours have been counted, and what went wrong. One row for each source, whether it is bound or not.';
COMMENT ON COLUMN raxx_detect.sweeps.counted_from IS 'The first hour that has been counted; hours before it are not compared.';
COMMENT ON COLUMN raxx_detect.sweeps.counted_to IS 'Hours up to here have been counted. NULL: none.';
COMMENT ON COLUMN raxx_detect.sweeps.whole_at IS 'The as_of at which all of the 30 days were last counted.';
COMMENT ON COLUMN raxx_detect.sweeps.counted_by IS 'Who counted. Counts of another role are not compared if row security holds for either.';
COMMENT ON COLUMN raxx_detect.sweeps.row_security IS 'Whether row security held for that role.';
COMMENT ON COLUMN raxx_detect.sweeps.tried_to IS 'The hour up to which a sweep was last tried: the next is due an hour later, also after a failure.';
COMMENT ON COLUMN raxx_detect.sweeps.error IS 'What went wrong in the last sweep, with SQLSTATE; NULL: nothing. Counts stay as they were, so that the next sweep tries again.';

CREATE TYPE raxx_detect.swept AS (
    source text,
    outcome text,
    hours tstzmultirange,
    rows_before bigint,
    rows_now bigint,
    findings_new bigint,
    findings_updated bigint,
    elapsed interval,
    detail text
);
COMMENT ON TYPE raxx_detect.swept IS 'What a sweep found in a source: the hours whose counts have changed, their rows before and now, and what became of the findings. outcome: ok; busy (another run is at the source''s rules; the next sweep does it); error (nothing changed for the rules that it concerns, see detail).';

CREATE TYPE raxx_detect.hour_change AS (hour timestamptz, rows_before bigint, rows_now bigint);
COMMENT ON TYPE raxx_detect.hour_change IS 'An hour whose count is another one than it was.';

CREATE FUNCTION raxx_detect.hour_of(instant timestamptz) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN date_bin('1 hour', instant, timestamptz '2000-01-01 00:00:00+00');
END $$;
COMMENT ON FUNCTION raxx_detect.hour_of(timestamptz) IS 'The beginning of the hour of UTC in which an instant lies; an infinite time itself.';

-- Grouping by hashing, whatever the planner thinks of the number of hours: there are at most 721.
CREATE FUNCTION raxx_detect.count_hours(binding raxx_detect.source_bindings, from_hour timestamptz, to_hour timestamptz,
    OUT hour timestamptz, OUT rows bigint)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 200 SET search_path = pg_catalog, pg_temp SET enable_sort = off SET jit = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('the relation bound to source %s no longer exists', binding.source),
            DETAIL = format('It had OID %s.', binding.relation::oid),
            HINT = format('Bind the source again: SELECT raxx_detect.bind_source(%L, ''your_table'').', binding.source);
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT date_bin(''1 hour'', t.%1$I, timestamptz ''2000-01-01 00:00:00+00''), count(*) FROM %2$s t
         WHERE t.%1$I >= $1 AND t.%1$I < $2 GROUP BY 1',
        raxx_detect.time_column(binding), binding.relation)
    USING from_hour, to_hour;
END $$;
COMMENT ON FUNCTION raxx_detect.count_hours(raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The rows of a source in each hour of [from_hour, to_hour) that has any.';

CREATE FUNCTION raxx_detect.changed_hours(binding raxx_detect.source_bindings, from_hour timestamptz, to_hour timestamptz)
RETURNS raxx_detect.hour_change[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        SELECT (hour, coalesce(k.rows, 0), coalesce(n.rows, 0))::raxx_detect.hour_change
        FROM raxx_detect.count_hours(binding, from_hour, to_hour) n
        FULL JOIN (SELECT h.hour, h.rows FROM raxx_detect.hourly_counts h
                   WHERE h.source = binding.source AND h.hour >= from_hour AND h.hour < to_hour) k USING (hour)
        WHERE coalesce(k.rows, 0) <> coalesce(n.rows, 0) ORDER BY hour);
END $$;
COMMENT ON FUNCTION raxx_detect.changed_hours(raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The hours of [from_hour, to_hour) whose count is another one than it was, in order.';

CREATE FUNCTION raxx_detect.forget_counts(source text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM raxx_detect.hourly_counts h WHERE h.source = forget_counts.source;
    UPDATE raxx_detect.sweeps w SET counted_from = NULL, counted_to = NULL, whole_at = NULL, counted_by = NULL, row_security = NULL,
        tried_to = NULL, failed_at = NULL, error = NULL
    WHERE w.source = forget_counts.source AND w.tried_to IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.forget_counts(text) IS 'Forgets the counts of a source, which stands for other rows from now on.';

-- Judging again.

CREATE FUNCTION raxx_detect.judge_again(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_time timestamptz,
    INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    known raxx_detect.coverage;
    settled timestamptz;
    state text; message text; detail text; hint text;
BEGIN
    SELECT c.* INTO known FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    settled := greatest(known.settled, binding.judge_from);
    IF known.rule_id IS NULL OR from_time >= settled OR from_time >= known.looked_to THEN
        RETURN;  -- the next run reads it anyway
    END IF;
    -- A new row, since nothing else that a run noted of the old one holds. Should what follows fail, or the rule not be
    -- active, it stays: then the rule's next run judges from there.
    DELETE FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    INSERT INTO raxx_detect.coverage (rule_id, source, settled, looked_to)
    VALUES (rule.rule_id, binding.source, from_time, from_time);
    IF rule.state NOT IN ('live', 'placeholder') THEN
        RETURN;
    END IF;
    BEGIN
        result := raxx_detect.evaluate_source(rule, binding, known.looked_to, result,
            CASE WHEN rule.method = 'gap' THEN coalesce(raxx_detect.last_event(binding, settled), settled)
                 ELSE settled + interval '1 microsecond' END);
        UPDATE raxx_detect.coverage c SET settled = known.settled, looked_to = known.looked_to
        WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    EXCEPTION WHEN OTHERS THEN
        IF raxx_detect.is_for_the_caller(sqlstate) THEN
            RAISE;
        END IF;
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        result.outcome := 'error';
        result.detail := concat_ws('; ', result.detail, format('%s: %s', rule.rule_id, raxx_detect.error_in_words(state, message, detail, hint)));
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_again(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run) IS
'Judges what one rule has judged of a source after from_time once more, up to where it had looked, and leaves its coverage as it was. If that fails, the result says so, and the coverage stays at from_time, as it does for a rule that is not active: its next run judges from there.';

CREATE FUNCTION raxx_detect.judge_source_again(source text, from_hour timestamptz, as_of timestamptz, INOUT result raxx_detect.swept)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    started timestamptz;
    rule raxx_detect.rules;
    binding raxx_detect.source_bindings;
    pair record;
    run raxx_detect.rule_run;
BEGIN
    -- A source that only explains what another shows (deploys, records, activity) has that one judged again.
    FOR pair IN
        SELECT r AS rule, b AS binding FROM raxx_detect.rules r
        CROSS JOIN LATERAL unnest(raxx_detect.judged_sources(r)) j(source)
        JOIN raxx_detect.source_bindings b ON b.source = j.source
        WHERE j.source = source
           OR (source = ANY (r.sources || r.optional_sources) AND source <> ALL (raxx_detect.judged_sources(r)))
        ORDER BY r.number NULLS LAST, r.rule_id, b.source
    LOOP
        rule := pair.rule;
        binding := pair.binding;
        started := clock_timestamp();
        run := raxx_detect.judge_again(rule, binding, raxx_detect.before(from_hour,
                CASE WHEN binding.source = source THEN interval '0' ELSE raxx_detect.hindsight(rule) END) - interval '1 microsecond',
            (rule.rule_id, rule.state, 'ok', 0, 0, 0, NULL, NULL, NULL)::raxx_detect.rule_run);
        result.findings_new := result.findings_new + run.findings_new;
        result.findings_updated := result.findings_updated + run.findings_updated;
        IF run.outcome = 'error' THEN
            result.outcome := 'error';
            result.detail := concat_ws('; ', result.detail, run.detail);
        END IF;
        IF run.outcome = 'error' OR run.findings_new + run.findings_updated > 0 THEN
            run.elapsed := clock_timestamp() - started;
            run.detail := concat_ws('; ', format('judged again from %s on, since the rows of %s have changed', from_hour, source), run.detail);
            PERFORM raxx_detect.record_run(run, started, as_of);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_source_again(text, timestamptz, timestamptz, raxx_detect.swept) IS
'Has all rules judge again what they make of the rows of a source from an hour on, adds to the result, and records the runs that changed something or failed.';

CREATE FUNCTION raxx_detect.lock_rules_of(source text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id text;
BEGIN
    -- One after the other, in the order of runs: of two that sweep at once, one has them all.
    FOR id IN SELECT r.rule_id FROM raxx_detect.rules r WHERE source = ANY (r.sources || r.optional_sources) ORDER BY r.number NULLS LAST, r.rule_id LOOP
        PERFORM FROM raxx_detect.rules r WHERE r.rule_id = id FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;
COMMENT ON FUNCTION raxx_detect.lock_rules_of(text) IS 'Locks the rules that read a source, so that no run is at them meanwhile; false if one is at one of them now.';

-- Sweeping.

CREATE FUNCTION raxx_detect.sweep_source(binding raxx_detect.source_bindings, s raxx_detect.sweeps, as_of timestamptz, to_hour timestamptz,
    whole boolean, INOUT result raxx_detect.swept)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    last_day timestamptz := raxx_detect.hour_of(raxx_detect.before(as_of, interval '1 day'));
    -- The hour in which a deletion of what is more than 30 days old may be at work is left out.
    last_days timestamptz := raxx_detect.hour_of(raxx_detect.before(as_of, interval '30 days')) + interval '1 hour';
    under_row_security boolean := row_security_active(binding.relation);
    first_time boolean;
    from_hour timestamptz;
    changes raxx_detect.hour_change[];
    cut_to timestamptz := '-infinity';
    judge_from timestamptz;
    evidence boolean := raxx_detect.counts_are_evidence(binding.source);
    noted record;
BEGIN
    IF s.counted_by <> current_user AND (s.row_security OR under_row_security) THEN
        s.counted_to := NULL;  -- another may see other rows: nothing to compare
    END IF;
    first_time := s.counted_to IS NULL;
    whole := whole OR first_time;
    from_hour := CASE WHEN first_time THEN last_days WHEN whole THEN greatest(last_days, s.counted_from)
                      ELSE greatest(last_days, s.counted_from, least(last_day, s.counted_to)) END;
    changes := raxx_detect.changed_hours(binding, from_hour, to_hour);
    IF evidence AND NOT whole AND EXISTS (SELECT FROM unnest(changes) c WHERE c.rows_now < c.rows_before) THEN
        whole := true;  -- who deletes here may have deleted before
        from_hour := greatest(last_days, s.counted_from);
        changes := raxx_detect.changed_hours(binding, from_hour, to_hour);
    END IF;
    -- What goes from the beginning of a source was kept for long enough: what it showed stays on record as it is.
    IF EXISTS (SELECT FROM unnest(changes) c WHERE c.rows_now < c.rows_before) THEN
        cut_to := coalesce(raxx_detect.hour_of(raxx_detect.next_event(binding, '-infinity')), 'infinity');
    END IF;
    -- Of a source that was never counted nobody knows what was judged; the last day is judged again to be sure.
    judge_from := (SELECT min(c.hour) FROM unnest(changes) c
                   WHERE (c.rows_now >= c.rows_before OR c.hour > cut_to) AND (NOT first_time OR c.hour >= last_day));
    IF judge_from IS NOT NULL THEN
        result := raxx_detect.judge_source_again(binding.source, judge_from, as_of, result);
    END IF;
    IF evidence AND cardinality(changes) > 0 THEN  -- what people have closed is over
        UPDATE raxx_detect.hourly_counts h SET gone = 0
        WHERE h.source = binding.source AND h.gone > 0 AND NOT raxx_detect.has_open_rows_gone(binding.source, h.hour);
    END IF;
    INSERT INTO raxx_detect.hourly_counts AS h (source, hour, rows)
    SELECT binding.source, c.hour, c.rows_now FROM unnest(changes) c
    ON CONFLICT ON CONSTRAINT hourly_counts_pkey DO UPDATE SET rows = EXCLUDED.rows,
        gone = CASE WHEN NOT evidence THEN 0 WHEN first_time THEN h.gone ELSE greatest(0, h.gone + h.rows - EXCLUDED.rows) END;
    IF evidence AND NOT first_time THEN
        noted := raxx_detect.note_rows_gone(binding, changes);
        result.findings_new := result.findings_new + noted.added;
        result.findings_updated := result.findings_updated + noted.changed;
    END IF;
    IF whole THEN
        DELETE FROM raxx_detect.hourly_counts h WHERE h.source = binding.source AND h.hour < from_hour
            AND (h.gone = 0 OR NOT raxx_detect.has_open_rows_gone(binding.source, h.hour));
    END IF;
    UPDATE raxx_detect.sweeps w
    SET counted_from = CASE WHEN whole THEN from_hour ELSE w.counted_from END,
        counted_to = CASE WHEN first_time THEN to_hour ELSE greatest(w.counted_to, to_hour) END,
        whole_at = CASE WHEN whole THEN greatest(as_of, w.whole_at) ELSE w.whole_at END,
        counted_by = current_user, row_security = under_row_security, tried_to = greatest(w.tried_to, to_hour),
        failed_at = CASE result.outcome WHEN 'error' THEN now() END, error = CASE result.outcome WHEN 'error' THEN result.detail END
    WHERE w.source = binding.source;
    SELECT range_agg(tstzrange(c.hour, c.hour + interval '1 hour')), coalesce(sum(c.rows_before), 0), coalesce(sum(c.rows_now), 0)
    INTO result.hours, result.rows_before, result.rows_now
    FROM unnest(changes) c WHERE NOT first_time AND c.hour < s.counted_to;
END $$;
COMMENT ON FUNCTION raxx_detect.sweep_source(raxx_detect.source_bindings, raxx_detect.sweeps, timestamptz, timestamptz, boolean, raxx_detect.swept) IS
'Counts the hours of a source up to to_hour, of the last day or (whole) the last 30 days before as_of, judges again from the first on whose count has changed, and writes the counts.';

CREATE FUNCTION raxx_detect.sweep_sources(as_of timestamptz, all_of_it boolean) RETURNS SETOF raxx_detect.swept
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    started timestamptz;
    binding raxx_detect.source_bindings;
    s raxx_detect.sweeps;
    to_hour timestamptz;
    result raxx_detect.swept;
    state text; message text; detail text; hint text;
BEGIN
    as_of := least(as_of, now());
    -- Where the clock was set back, what is yet to come has not been counted.
    UPDATE raxx_detect.sweeps w SET tried_to = NULL, whole_at = NULL, counted_to = least(w.counted_to, raxx_detect.hour_of(now()))
    WHERE w.tried_to > clock_timestamp() + interval '1 hour';
    FOR binding IN
        SELECT b.* FROM raxx_detect.source_bindings b
        JOIN raxx_detect.sweeps w ON w.source = b.source JOIN raxx_detect.source_kinds k ON k.source = b.source
        WHERE all_of_it OR w.tried_to IS NULL OR as_of - b.lateness >= w.tried_to + interval '1 hour'
        ORDER BY k.position
    LOOP
        started := clock_timestamp();
        to_hour := raxx_detect.hour_of(raxx_detect.before(as_of, binding.lateness));
        result := (binding.source, 'busy', '{}', 0, 0, 0, 0, NULL, 'another run is at it');
        s := NULL;
        IF raxx_detect.lock_rules_of(binding.source) THEN
            SELECT w.* INTO s FROM raxx_detect.sweeps w WHERE w.source = binding.source FOR NO KEY UPDATE SKIP LOCKED;
        END IF;
        CONTINUE WHEN NOT all_of_it AND s.tried_to >= to_hour;  -- another run just did it
        IF s.source IS NOT NULL THEN
            result.outcome := 'ok';
            result.detail := NULL;
            BEGIN  -- one source that fails does not keep the others from being counted
                result := raxx_detect.sweep_source(binding, s, as_of, to_hour,
                    all_of_it OR s.whole_at IS NULL OR as_of - s.whole_at >= interval '1 day', result);
            EXCEPTION WHEN OTHERS THEN
                IF raxx_detect.is_for_the_caller(sqlstate) THEN
                    RAISE;
                END IF;
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                result := (binding.source, 'error', '{}', 0, 0, 0, 0, NULL, raxx_detect.error_in_words(state, message, detail, hint));
                UPDATE raxx_detect.sweeps w SET tried_to = greatest(w.tried_to, to_hour), failed_at = now(), error = result.detail
                WHERE w.source = binding.source;
            END;
        END IF;
        result.hours := coalesce(result.hours, '{}');
        result.elapsed := clock_timestamp() - started;
        RETURN NEXT result;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.sweep_sources(timestamptz, boolean) IS
'Sweeps the sources for which it is due as of a time, or all of them, all of the 30 days; a row for each.';

CREATE FUNCTION raxx_detect.sweep(as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.swept
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    RETURN QUERY SELECT * FROM raxx_detect.sweep_sources(as_of, true);
END $$;
COMMENT ON FUNCTION raxx_detect.sweep(timestamptz) IS
'Counts the rows of all bound sources in the hours of the 30 days before as_of that can get no more rows within the lateness, and judges again, from the first hour on whose count is another one than before. run_all does that by itself: each hour for the last day, each day for the 30 days. Findings that only this brought are marked late. A row for each source. A source that fails says so in its row (and in raxx_detect.sweeps) and does not stop the others. as_of must be finite (22023).';

CREATE FUNCTION raxx_detect.sweep_when_due(as_of timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    message text;
BEGIN
    PERFORM FROM raxx_detect.sweep_sources(as_of, false);
EXCEPTION WHEN insufficient_privilege THEN  -- not on a source: that is a row of raxx_detect.sweeps
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE WARNING USING ERRCODE = 'insufficient_privilege', MESSAGE = 'rows that came late are not looked for: ' || message,
        DETAIL = format('Role %I runs the rules.', current_user),
        HINT = format('GRANT SELECT, INSERT, UPDATE, DELETE ON raxx_detect.hourly_counts, raxx_detect.sweeps TO %I;', current_user);
END $$;
COMMENT ON FUNCTION raxx_detect.sweep_when_due(timestamptz) IS
'The sweep as a part of a run: of the sources for which an hour has passed since the last. A role that may not write the counts gets a warning (42501), and its rules run all the same.';
