-- How long records are kept. Findings are for ever; the records of runs, of interruptions and of changes of state are not.

CREATE FUNCTION raxx_detect.keep_runs() RETURNS interval
AS 'MODULE_PATHNAME', 'raxx_keep_runs' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.keep_runs() IS 'The setting raxx_detect.keep_runs (default 400 days): how long rule_runs and interruptions are kept; rule_state_changes are kept ten times as long.';

CREATE FUNCTION raxx_detect.prune_records(at_most bigint DEFAULT 100000, OUT runs bigint, OUT state_changes bigint, OUT interruptions bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most_per_rule CONSTANT bigint := 100000;
    old timestamptz := now() - raxx_detect.keep_runs();
    very_old timestamptz := now() - 10 * raxx_detect.keep_runs();
    id text;
    first_kept bigint;
    gone bigint;
BEGIN
    IF at_most IS NULL OR at_most < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at_most must not be negative',
            DETAIL = format('It is %s.', coalesce(at_most::text, 'NULL')), HINT = 'Give how many rows of each table may go at once.';
    END IF;
    runs := 0;
    FOR id IN SELECT r.rule_id FROM raxx_detect.rules r ORDER BY r.rule_id LOOP
        -- What was in force when the time that is kept began is kept as well, which may be a rule's newest record.
        first_kept := greatest(
            (SELECT r.run_id FROM raxx_detect.rule_runs r WHERE r.rule_id = id AND r.started_at < old ORDER BY r.started_at DESC, r.run_id DESC LIMIT 1),
            (SELECT r.run_id FROM raxx_detect.rule_runs r WHERE r.rule_id = id ORDER BY r.run_id DESC OFFSET most_per_rule - 1 LIMIT 1));
        DELETE FROM raxx_detect.rule_runs r
        WHERE r.run_id IN (SELECT k.run_id FROM raxx_detect.rule_runs k WHERE k.rule_id = id AND k.run_id < first_kept
                           ORDER BY k.run_id LIMIT at_most - runs);
        GET DIAGNOSTICS gone = ROW_COUNT;
        runs := runs + gone;
    END LOOP;
    DELETE FROM raxx_detect.rule_state_changes c
    WHERE c.change_id IN (SELECT k.change_id FROM raxx_detect.rule_state_changes k
                          WHERE k.changed_at < very_old AND EXISTS (SELECT FROM raxx_detect.rule_state_changes n
                              WHERE n.rule_id = k.rule_id AND n.change_id > k.change_id AND n.changed_at < very_old)
                          ORDER BY k.change_id LIMIT at_most);
    GET DIAGNOSTICS state_changes = ROW_COUNT;
    DELETE FROM raxx_detect.interruptions i
    WHERE (i.kind, i.began) IN (SELECT k.kind, k.began FROM raxx_detect.interruptions k WHERE k.ended < old
                                ORDER BY k.ended LIMIT at_most);
    GET DIAGNOSTICS interruptions = ROW_COUNT;
END $$;
COMMENT ON FUNCTION raxx_detect.prune_records(bigint) IS
'Deletes records of runs and interruptions that are older than raxx_detect.keep_runs, all but the newest 100,000 runs of each rule, and changes of state that are ten times as old: at most so many rows of each table, of a rule the oldest first, and returns how many. What was in force when the time that is kept began stays, and so does the newest record of each rule. Findings are never deleted. Called by run_all once a day, if its role may delete. Errors: 22023 a negative at_most, 42501 not permitted.';

CREATE FUNCTION raxx_detect.prune_daily() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Whoever runs the rules need not be able to hide what they did.
    IF has_table_privilege('raxx_detect.rule_runs', 'DELETE') AND has_table_privilege('raxx_detect.rule_state_changes', 'DELETE')
       AND has_table_privilege('raxx_detect.interruptions', 'DELETE') THEN
        PERFORM raxx_detect.prune_records();
    END IF;
    IF has_table_privilege('raxx_detect.deliveries', 'DELETE') THEN
        PERFORM raxx_detect.prune_deliveries();
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.prune_daily() IS 'raxx_detect.prune_records and raxx_detect.prune_deliveries, each if the caller may delete what it deletes.';

CREATE FUNCTION raxx_detect.is_news(last raxx_detect.rule_runs, result raxx_detect.rule_run) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (last.state, last.outcome, last.detail) IS NOT DISTINCT FROM (result.state, result.outcome, result.detail)
       AND result.findings_new = 0 AND result.findings_updated = 0 THEN
        RETURN false;
    END IF;
    -- Runs that meet are no news each time: it is those that meet for long that matter.
    IF result.outcome = 'busy' AND last.started_at > now() - interval '1 minute' THEN
        RETURN false;
    END IF;
    IF (last.state, last.outcome) IS DISTINCT FROM (result.state, result.outcome) OR result.outcome <> 'error'
       OR result.findings_new <> 0 OR result.findings_updated <> 0
       OR ARRAY(SELECT regexp_matches(last.detail, '(?:^|; )([0-9A-Z]{5}): ', 'g')) <> ARRAY(SELECT regexp_matches(result.detail, '(?:^|; )([0-9A-Z]{5}): ', 'g')) THEN
        RETURN true;
    END IF;
    -- An error that goes on, in other words. Other numbers alone (a time, an address, a row) are no news; other words are, unless
    -- they change all the time.
    RETURN regexp_replace(last.detail, '[0-9]+', '0', 'g') <> regexp_replace(result.detail, '[0-9]+', '0', 'g')
           AND NOT EXISTS (SELECT FROM (SELECT r.started_at FROM raxx_detect.rule_runs r WHERE r.rule_id = result.rule_id
                                        ORDER BY r.run_id DESC OFFSET 99 LIMIT 1) hundredth
                           WHERE hundredth.started_at > now() - interval '1 day');
END $$;
COMMENT ON FUNCTION raxx_detect.is_news(raxx_detect.rule_runs, raxx_detect.rule_run) IS
'Whether a run of a rule is worth a record after the last one on record: it found something or ended otherwise. An error after an error with the same SQLSTATE is news only if more than numbers in its text have changed, and if the rule has fewer than 100 records of the last day.';
