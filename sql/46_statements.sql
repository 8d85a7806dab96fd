-- Statements: the extension's own snapshots of pg_stat_statements, and the series of interval means they yield.
--
-- pg_stat_statements counts from its last reset, so what a statement took between two snapshots is a difference. Only
-- numbers are kept: no query text, which may hold personal data, is ever read.

CREATE TABLE raxx_detect.statement_samples (
    sample_time timestamptz NOT NULL,
    queryid bigint NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    total_ms float8 NOT NULL CHECK (total_ms >= 0 AND total_ms < 'infinity'),
    PRIMARY KEY (queryid, sample_time)
);
CREATE INDEX statement_samples_by_time ON raxx_detect.statement_samples (sample_time);
COMMENT ON TABLE raxx_detect.statement_samples IS
'Snapshots of the counters of pg_stat_statements for this database, written by raxx_detect.scrape_statements; a statement has a row only where its counters have changed since its last one. Bound to the source of the same name at the first snapshot.';
COMMENT ON COLUMN raxx_detect.statement_samples.calls IS 'How often the statement had run since it was first counted, by all roles, nested or not.';
COMMENT ON COLUMN raxx_detect.statement_samples.total_ms IS 'How long it had run since then, in milliseconds, without planning.';

CREATE TABLE raxx_detect.statement_resets (
    seen_at timestamptz PRIMARY KEY,
    reset_at timestamptz NOT NULL
);
COMMENT ON TABLE raxx_detect.statement_resets IS
'Resets of all of pg_stat_statements, a lost statistics file included: reset_at is when it says it was (pg_stat_statements 1.9 and later), seen_at the time of the first snapshot after it.';

CREATE TABLE raxx_detect.statement_scraper (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    taken_at timestamptz,
    stats_reset timestamptz,
    pruned_at timestamptz
);
INSERT INTO raxx_detect.statement_scraper DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.statement_scraper IS 'One row: when the last snapshot was taken, the reset it counted from, and when old samples were last deleted.';

CREATE TABLE raxx_detect.statement_histograms (
    at timestamptz NOT NULL,
    queryid bigint NOT NULL,
    mean_ms float8 NOT NULL CHECK (mean_ms >= 0 AND mean_ms < 'infinity'),
    calls bigint NOT NULL CHECK (calls > 0),
    PRIMARY KEY (at, queryid, mean_ms)
);
COMMENT ON TABLE raxx_detect.statement_histograms IS
'What pg_stat_monitor measured of this database''s statements, call by call: the rows of raxx_detect.monitor_intervals, kept by raxx_detect.scrape_statements with each snapshot, since pg_stat_monitor forgets them in minutes. Empty where that extension is not created.';
COMMENT ON COLUMN raxx_detect.statement_histograms.at IS 'The end of the time bucket.';
COMMENT ON COLUMN raxx_detect.statement_histograms.mean_ms IS 'The middle of a bin of the histogram, in milliseconds; see raxx_detect.monitor_bins.';
COMMENT ON COLUMN raxx_detect.statement_histograms.calls IS 'How many of the statement''s calls in the time bucket are in the bin.';

-- ---- pg_stat_statements, wherever it is ---------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.extension_function(extension name, function_name name) RETURNS regprocedure
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.oid::regprocedure
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.objid
    WHERE e.extname = extension AND p.proname = function_name
    ORDER BY p.pronargs DESC, p.oid LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.extension_function(name, name) IS
'The function of that name that belongs to an extension, in whatever schema; NULL if there is none. Membership, not the name, is what tells it from one that somebody else has put there.';

CREATE FUNCTION raxx_detect.qualified_name(function_oid regprocedure) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, p.proname)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = function_oid
$$;
COMMENT ON FUNCTION raxx_detect.qualified_name(regprocedure) IS 'A function''s name with its schema, quoted, for a call in dynamic SQL.';

CREATE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements');
    info regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements_info');
    home name := (SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = reader);
BEGIN
    available := false;
    IF reader IS NULL THEN
        detail := 'pg_stat_statements is not created: add it to shared_preload_libraries, restart the server, and run CREATE EXTENSION pg_stat_statements in this database';
        RETURN;
    ELSIF NOT has_schema_privilege(home, 'USAGE') THEN
        detail := format('pg_stat_statements is not readable by role %1$I: GRANT USAGE ON SCHEMA %2$I TO %1$I', current_user, home);
        RETURN;
    ELSIF NOT has_function_privilege(reader, 'EXECUTE') THEN
        detail := format('pg_stat_statements is not readable by role %1$I: GRANT EXECUTE ON FUNCTION %2$s TO %1$I', current_user, reader);
        RETURN;
    END IF;
    BEGIN
        -- Whether it is preloaded, only a call tells: shared_preload_libraries is hidden from most roles.
        IF info IS NOT NULL AND has_function_privilege(info, 'EXECUTE') THEN
            EXECUTE format('SELECT FROM %s()', raxx_detect.qualified_name(info));
        ELSE
            EXECUTE format('SELECT FROM %s(false)', raxx_detect.qualified_name(reader));
        END IF;
    EXCEPTION
        WHEN object_not_in_prerequisite_state THEN
            detail := 'pg_stat_statements is created but not preloaded: add it to shared_preload_libraries and restart the server';
            RETURN;
        WHEN OTHERS THEN
            detail := format('pg_stat_statements cannot be read by role %I: %s', current_user, raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL));
            RETURN;
    END;
    available := true;
    detail := 'pg_stat_statements is preloaded and created';
    IF current_setting('compute_query_id') = 'off' THEN
        detail := detail || ', but compute_query_id is off: unless another module computes query ids, no statement is counted';
    END IF;
    IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
        detail := detail || format('; role %1$I sees no statements but its own: GRANT pg_read_all_stats TO %1$I', current_user);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.statements_available() IS
'Whether the caller can read the counters of pg_stat_statements, and what is there or missing, in a sentence to act on: not created, created but not preloaded, or not readable by the role. Never raises an error.';

-- ---- snapshots ----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.read_stats_reset() RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    info regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements_info');
    result timestamptz;
BEGIN
    IF has_function_privilege(info, 'EXECUTE') THEN
        EXECUTE format('SELECT i.stats_reset FROM %s() i', raxx_detect.qualified_name(info)) INTO result;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.read_stats_reset() IS 'When all of pg_stat_statements was last reset; NULL before its version 1.9, or where the caller may not know.';

CREATE FUNCTION raxx_detect.take_statement_sample(at timestamptz, OUT taken int, OUT hidden bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements');
    total_column name := (SELECT c FROM pg_proc p CROSS JOIN unnest(p.proargnames) c
                          WHERE p.oid = reader AND c IN ('total_exec_time', 'total_time'));  -- since 1.8, and before
BEGIN
    -- Without the texts, which lie in a file. A sum in the order of its terms is the same each time: an idle statement
    -- of two roles must not look changed because their counters came the other way round.
    EXECUTE format(
        'WITH counters AS MATERIALIZED (
             SELECT s.queryid, sum(s.calls)::bigint AS calls, sum(s.%1$I ORDER BY s.%1$I) AS total_ms, count(*) AS entries
             FROM %2$s(false) s WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
             GROUP BY s.queryid
         ), added AS (
             INSERT INTO raxx_detect.statement_samples (sample_time, queryid, calls, total_ms)
             SELECT $1, c.queryid, c.calls, c.total_ms
             FROM counters c
             LEFT JOIN LATERAL (SELECT l.calls, l.total_ms FROM raxx_detect.statement_samples l
                                WHERE l.queryid = c.queryid ORDER BY l.sample_time DESC LIMIT 1) l ON true
             WHERE c.queryid IS NOT NULL AND (c.calls, c.total_ms) IS DISTINCT FROM (l.calls, l.total_ms)
             RETURNING 1
         )
         SELECT (SELECT count(*) FROM added), coalesce((SELECT c.entries FROM counters c WHERE c.queryid IS NULL), 0)',
        total_column, raxx_detect.qualified_name(reader))
    INTO taken, hidden USING at;
END $$;
COMMENT ON FUNCTION raxx_detect.take_statement_sample(timestamptz) IS
'Writes the counters of this database''s statements, summed up by queryid over roles and nesting, where they have changed since the statement''s last sample. taken: rows written; hidden: entries without a queryid, which are those of other roles.';

CREATE FUNCTION raxx_detect.prune_statement_samples(at timestamptz, keep interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pruned bigint;
BEGIN
    DELETE FROM raxx_detect.statement_samples s WHERE s.sample_time < raxx_detect.before(at, keep);
    GET DIAGNOSTICS pruned = ROW_COUNT;
    DELETE FROM raxx_detect.statement_resets r WHERE r.seen_at < raxx_detect.before(at, keep);
    DELETE FROM raxx_detect.statement_histograms h WHERE h.at < raxx_detect.before(prune_statement_samples.at, keep);
    RETURN pruned;
END $$;
COMMENT ON FUNCTION raxx_detect.prune_statement_samples(timestamptz, interval) IS 'Deletes samples, resets and histograms older than keep; how many samples there were.';

CREATE FUNCTION raxx_detect.keep_statement_histograms(at timestamptz, OUT kept bigint, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    state text; message text; error_detail text; hint text;
BEGIN
    kept := 0;
    IF raxx_detect.monitor_view() IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        -- A bucket closes as a whole, and after those before it: what ended later than the last that is kept is new.
        INSERT INTO raxx_detect.statement_histograms (at, queryid, mean_ms, calls)
        SELECT m.at, m.queryid, m.mean_ms, sum(m.calls)
        FROM raxx_detect.monitor_intervals(coalesce((SELECT max(h.at) FROM raxx_detect.statement_histograms h), '-infinity'),
                                           keep_statement_histograms.at) m
        GROUP BY m.at, m.queryid, m.mean_ms;
        GET DIAGNOSTICS kept = ROW_COUNT;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        detail := format('no histograms of pg_stat_monitor were kept: %s', raxx_detect.error_in_words(state, message, error_detail, hint));
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_statement_histograms(timestamptz) IS
'Copies the time buckets of pg_stat_monitor that are closed, ended at or before a time, and after the last one kept, to raxx_detect.statement_histograms. kept: rows written. detail: why none could be, an error with its SQLSTATE, which is not raised; NULL if nothing went wrong, or the extension is not created.';

CREATE FUNCTION raxx_detect.scrape_due_statements(scraper raxx_detect.statement_scraper, at timestamptz, OUT taken int, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule('ops_postgres_p99_drift');
    keep interval := rule.baseline_window + (rule.params ->> 'window')::interval + interval '1 day';
    bound regclass := (SELECT b.relation FROM raxx_detect.source_bindings b WHERE b.source = 'statement_samples');
    availability record;
    sample record;
    histograms record;
    stats_reset timestamptz;
    prune boolean;
BEGIN
    taken := 0;
    -- A tenth less, or a scheduler that is a moment early would make every second call one in vain.
    IF at < scraper.taken_at + (rule.params ->> 'sample_every')::interval * 0.9 THEN
        detail := format('not due: the last snapshot was taken at %s', scraper.taken_at);
        RETURN;
    ELSIF bound <> 'raxx_detect.statement_samples'::regclass THEN
        detail := format('source statement_samples is bound to %s, so no snapshot is taken', bound);
        RETURN;
    ELSIF bound IS NULL AND scraper.taken_at IS NOT NULL THEN
        detail := 'source statement_samples was unbound, so no snapshot is taken: SELECT raxx_detect.bind_source(''statement_samples'', ''raxx_detect.statement_samples'')';
        RETURN;
    END IF;
    availability := raxx_detect.statements_available();
    IF NOT availability.available THEN
        detail := availability.detail;
        RETURN;
    END IF;

    stats_reset := raxx_detect.read_stats_reset();
    sample := raxx_detect.take_statement_sample(at);
    taken := sample.taken;
    IF stats_reset <> scraper.stats_reset THEN
        INSERT INTO raxx_detect.statement_resets (seen_at, reset_at) VALUES (at, stats_reset);
    END IF;
    IF bound IS NULL THEN
        PERFORM raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
    END IF;
    histograms := raxx_detect.keep_statement_histograms(at);
    prune := coalesce(at >= scraper.pruned_at + interval '1 hour', true);
    IF prune THEN
        PERFORM raxx_detect.prune_statement_samples(at, keep);
    END IF;
    UPDATE raxx_detect.statement_scraper r SET taken_at = at, stats_reset = stats_reset,
        pruned_at = CASE WHEN prune THEN at ELSE r.pruned_at END;
    IF sample.hidden > 0 THEN
        detail := format('%1$s entries of other roles are hidden from role %2$I and were left out: GRANT pg_read_all_stats TO %2$I', sample.hidden, current_user);
    END IF;
    detail := nullif(concat_ws('; ', detail, histograms.detail), '');
END $$;
COMMENT ON FUNCTION raxx_detect.scrape_due_statements(raxx_detect.statement_scraper, timestamptz) IS
'Takes a snapshot, and keeps the histograms of pg_stat_monitor where that is created, if one is due and nothing stands in the way; else says why not. Histograms that cannot be read do not keep a snapshot from being taken; they are in detail.';

CREATE FUNCTION raxx_detect.scrape_statements(as_of timestamptz DEFAULT now(), OUT taken int, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
#variable_conflict use_variable
DECLARE
    scraper raxx_detect.statement_scraper;
    state text; message text; error_detail text; hint text;
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    taken := 0;
    BEGIN
        SELECT r.* INTO scraper FROM raxx_detect.statement_scraper r FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            SELECT x.taken, x.detail INTO taken, detail FROM raxx_detect.scrape_due_statements(scraper, least(as_of, now())) x;
        ELSE
            detail := 'another session is taking a snapshot';
        END IF;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        taken := 0;
        detail := raxx_detect.error_in_words(state, message, error_detail, hint);
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.scrape_statements(timestamptz) IS
'Takes a snapshot of pg_stat_statements into raxx_detect.statement_samples, at most one per sample_every of rule ops_postgres_p99_drift (less a tenth, for a scheduler''s unrest), and dates it as_of, but never in the future. taken: rows written, one for each statement of this database that has run since its last sample. detail: why nothing was taken (not created, not preloaded, not readable, not due, an error with its SQLSTATE), or what was left out; NULL if there is nothing to say. Where pg_stat_monitor is created, its closed time buckets are kept in raxx_detect.statement_histograms along with each snapshot. An error of a snapshot is its detail and is not raised; only an as_of that is no finite time is (22023). Let one role take all snapshots: one that sees less of a statement makes its counters fall. The first snapshot binds the source; where the source is bound to another relation, or was unbound later, nothing is taken. Samples older than the rule''s baseline_window, its window and a day are deleted, at most once an hour.';

-- ---- the series ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.number_expression(binding raxx_detect.source_bindings, role text, wanted regtype) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN t.base IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
          OR (t.base IN ('real'::regtype, 'float8'::regtype) AND wanted = 'float8'::regtype) THEN format('t.%I::%s', t.name, wanted)
        WHEN wanted = 'bigint'::regtype THEN
            format('CASE WHEN t.%1$I::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN t.%1$I::numeric::bigint END', t.name)
        ELSE format('CASE WHEN abs(t.%1$I::numeric) < 1e300 THEN t.%1$I::numeric::float8 END', t.name) END
    FROM (SELECT a.attname AS name, coalesce(nullif(y.typbasetype, 0), y.oid)::regtype AS base
          FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
          WHERE a.attrelid = binding.relation AND a.attname = raxx_detect.role_column(binding, role)
            AND a.attnum > 0 AND NOT a.attisdropped) t
$$;
COMMENT ON FUNCTION raxx_detect.number_expression(raxx_detect.source_bindings, text, regtype) IS
'SQL over the row t that gives the number in a role''s column as bigint or float8, whatever its numeric type, and NULL for what is out of range. NULL if there is no such column.';

CREATE FUNCTION raxx_detect.sample_query(binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own boolean := binding.relation = 'raxx_detect.statement_samples'::regclass;
    -- In the extension's own table an index finds each statement's last sample before the period. Another relation may
    -- have none, so of it the whole day before is read.
    last_before text :=
        'SELECT p.* FROM (SELECT DISTINCT o.queryid FROM raxx_detect.statement_samples o WHERE o.sample_time > $1 AND o.sample_time <= $2) q
         CROSS JOIN LATERAL (SELECT l.sample_time, l.queryid, l.calls, l.total_ms FROM raxx_detect.statement_samples l
                             WHERE l.queryid = q.queryid AND l.sample_time > raxx_detect.before($1, interval ''1 day'') AND l.sample_time <= $1
                             ORDER BY l.sample_time DESC LIMIT 1) p';
BEGIN
    RETURN format(
        'SELECT t.%1$I AS at, %2$s AS queryid, %3$s AS calls, %4$s AS total_ms FROM %5$s t
         WHERE t.%1$I > %6$s AND t.%1$I <= $2 AND t.%1$I > ''4000-01-01 00:00:00+00 BC''%7$s',
        raxx_detect.role_column(binding, 'sample_time'), raxx_detect.number_expression(binding, 'queryid', 'bigint'),
        raxx_detect.number_expression(binding, 'calls', 'bigint'), raxx_detect.number_expression(binding, 'total_ms', 'float8'),
        binding.relation, CASE WHEN own THEN '$1' ELSE 'raxx_detect.before($1, interval ''1 day'')' END,
        CASE WHEN own THEN ' UNION ALL ' || last_before ELSE '' END);
END $$;
COMMENT ON FUNCTION raxx_detect.sample_query(raxx_detect.source_bindings) IS
'SQL that reads the samples in ($1, $2], and of the day before $1 at least each statement''s last one; but none near the beginning of time, where a day earlier would be no time at all.';

CREATE FUNCTION raxx_detect.statement_intervals(binding raxx_detect.source_bindings, from_time timestamptz, to_time timestamptz,
    OUT at timestamptz, OUT queryid bigint, OUT calls bigint, OUT mean_ms float8)
RETURNS SETOF record ROWS 10000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    -- Of another relation's server nobody has recorded when it was reset.
    resets timestamptz[] := ARRAY(SELECT r.seen_at FROM raxx_detect.statement_resets r
                                  WHERE binding.relation = 'raxx_detect.statement_samples'::regclass);
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH samples AS (
             SELECT DISTINCT ON (x.queryid, x.at) x.at, x.queryid, x.calls, x.total_ms FROM (%s) x
             WHERE x.queryid IS NOT NULL AND x.calls >= 0 AND x.total_ms >= 0 AND x.total_ms < ''infinity''
             ORDER BY x.queryid, x.at, x.calls DESC, x.total_ms DESC
         ), steps AS (
             SELECT s.*, lag(s.at) OVER w AS earlier_at, lag(s.calls) OVER w AS earlier_calls, lag(s.total_ms) OVER w AS earlier_ms
             FROM samples s WINDOW w AS (PARTITION BY s.queryid ORDER BY s.at)
         ), counted AS (
             SELECT s.at, s.queryid, s.calls - CASE WHEN z.from_zero THEN 0 ELSE s.earlier_calls END AS calls,
                    s.total_ms - CASE WHEN z.from_zero THEN 0 ELSE s.earlier_ms END AS total_ms
             FROM steps s
             CROSS JOIN LATERAL (SELECT s.at - interval ''24 hours'' AS earliest) e
             CROSS JOIN LATERAL (SELECT $3 <> ''{}'' AND EXISTS (SELECT FROM unnest($3) seen_at WHERE seen_at <= s.at
                                     AND seen_at > greatest(s.earlier_at, e.earliest)) AS reset) r
             CROSS JOIN LATERAL (SELECT r.reset OR s.calls < s.earlier_calls OR s.total_ms < s.earlier_ms AS from_zero) z
             WHERE s.at > $1 AND (s.earlier_at > e.earliest OR r.reset)
         )
         SELECT c.at, c.queryid, c.calls, c.total_ms / c.calls FROM counted c WHERE c.calls > 0',
        raxx_detect.sample_query(binding))
    USING from_time, to_time, resets;
END $$;
COMMENT ON FUNCTION raxx_detect.statement_intervals(raxx_detect.source_bindings, timestamptz, timestamptz) IS
'For each statement and two successive samples of it of which the later lies in (from_time, to_time]: the calls between them, and the mean time of one in milliseconds, at the time of the later. Successive samples more than 24 hours apart make no interval, so that the result does not depend on where a longer period is cut; nor does a first sample, which has no known beginning. Where calls or total time fell (a reset, or a statement that was evicted and has come back), or a reset of the extension''s own samples lies between, counting began at zero: the interval has all calls of the later sample, even if there is no earlier one. No call, no interval. Of samples of one statement at one time the one with the most calls, then the longest time, counts: bind a view that sums them up if a relation has a row for each role. Samples with a NULL, negative, infinite or NaN number, or at an infinite time, are ignored. Infinite bounds are open. In no particular order.';

-- ---- pg_stat_monitor ----------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.monitor_view() RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.oid::regclass
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid
    WHERE e.extname = 'pg_stat_monitor' AND c.relname = 'pg_stat_monitor' AND c.relkind = 'v'
$$;
COMMENT ON FUNCTION raxx_detect.monitor_view() IS 'The view of the extension pg_stat_monitor, in whatever schema; NULL where the extension is not created.';

CREATE FUNCTION raxx_detect.monitor_bins(OUT bin int, OUT lower_ms float8, OUT upper_ms float8, OUT middle_ms float8)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    timings regprocedure := raxx_detect.extension_function('pg_stat_monitor', 'get_histogram_timings');
    labels text;
BEGIN
    IF timings IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT %s()', raxx_detect.qualified_name(timings)) INTO labels;
    RETURN QUERY
        SELECT b.number::int, b.low, b.high,
               CASE WHEN b.high IS NULL THEN b.low WHEN b.low = 0 THEN b.high / 2 ELSE sqrt(b.low) * sqrt(b.high) END
        FROM (SELECT m.number, m.limits[1]::float8 AS low, nullif(m.limits[2], '...')::float8 AS high
              FROM regexp_matches(labels, E'([0-9]+\\.?[0-9]*) - ([0-9]+\\.?[0-9]*|\\.\\.\\.)', 'g') WITH ORDINALITY m(limits, number)) b;
END $$;
COMMENT ON FUNCTION raxx_detect.monitor_bins() IS
'The bins of pg_stat_monitor''s histogram of response times, in milliseconds, as its get_histogram_timings() writes them; none where it is not created. middle_ms stands for a bin: the geometric mean of its limits, since the bins are logarithmic; half its upper limit for one that begins at zero; its lower limit for the last one, which has no upper one (upper_ms is NULL).';

CREATE FUNCTION raxx_detect.monitor_intervals(from_time timestamptz, to_time timestamptz,
    OUT at timestamptz, OUT queryid bigint, OUT calls bigint, OUT mean_ms float8)
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    monitor regclass := raxx_detect.monitor_view();
    bucket_time interval := make_interval(secs => coalesce((SELECT g.setting FROM pg_settings g
                                                             WHERE g.name = 'pg_stat_monitor.pgsm_bucket_time'), '60')::float8);
    -- A bigint since 2.1; before, the same in hexadecimal digits.
    queryid_of text := CASE raxx_detect.column_type(monitor, 'queryid') WHEN 'text'::regtype
        THEN '(''x'' || lpad(m.queryid, 16, ''0''))::bit(64)::bigint' ELSE 'm.queryid::bigint' END;
    bins int;
    widest int;
BEGIN
    IF monitor IS NULL THEN
        RETURN;
    END IF;
    SELECT count(*) INTO bins FROM raxx_detect.monitor_bins();
    EXECUTE format('SELECT max(cardinality(m.resp_calls)) FROM %s m WHERE m.bucket_done', monitor) INTO widest;
    IF widest <> bins THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the histogram of pg_stat_monitor cannot be read',
            DETAIL = format('It has %s bins, of which get_histogram_timings() tells the limits of %s.', widest, bins),
            HINT = 'Releases before 2.4 cut off a long list of limits: set pg_stat_monitor.pgsm_histogram_buckets to 20, its default, and restart the server.';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT m.bucket_start_time + $3, %1$s, sum(r.calls::bigint)::bigint, b.middle_ms
         FROM %2$s m
         CROSS JOIN LATERAL unnest(m.resp_calls) WITH ORDINALITY r(calls, bin)
         JOIN raxx_detect.monitor_bins() b ON b.bin = r.bin
         WHERE m.bucket_done AND m.datname::text = current_database() AND m.queryid IS NOT NULL
           AND m.bucket_start_time + $3 > $1 AND m.bucket_start_time + $3 <= $2
           AND m.total_exec_time > 0  -- a statement that failed before it ran is shown with one call in the first bin
         GROUP BY m.bucket_start_time, 2, b.bin, b.middle_ms
         HAVING sum(r.calls::bigint) > 0', queryid_of, monitor)
    USING from_time, to_time, bucket_time;
END $$;
COMMENT ON FUNCTION raxx_detect.monitor_intervals(timestamptz, timestamptz) IS
'What pg_stat_monitor (2.0 and later) has measured, in the shape of raxx_detect.statement_intervals: for each closed time bucket that ended in (from_time, to_time], each statement of this database and each bin of its histogram of response times, the calls in the bin, and the middle of the bin (see raxx_detect.monitor_bins) in milliseconds; at is the end of the bucket. It knows the single calls, where an interval of pg_stat_statements has but their mean, to the width of a bin (a factor of 1.8 by default). It forgets: by default it keeps 10 buckets of a minute, so whoever wants a week has to read every few minutes. A bucket is closed by the first statement after its end, so its rows may come some time after that. No rows where the extension is not created. Errors: 55000 it is not preloaded, or the limits of the bins are incomplete. Written after the published SQL and C sources of pg_stat_monitor 2.0 to 2.4, and tested with an extension that imitates its interface, but never with the real one, which Debian does not package.';

-- ---- what moved ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.statements_that_moved(binding raxx_detect.source_bindings, from_time timestamptz, split_time timestamptz,
    to_time timestamptz, how_many int DEFAULT 5, by_call boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH times AS MATERIALIZED (  -- each time as often as it counts
        SELECT i.queryid, i.mean_ms, i.at > split_time AS later, count(*) AS weight, sum(i.calls) AS calls
        FROM raxx_detect.statement_intervals(binding, from_time, to_time) i WHERE NOT by_call GROUP BY 1, 2, 3
        UNION ALL
        SELECT h.queryid, h.mean_ms, h.at > split_time, sum(h.calls)::bigint, sum(h.calls)
        FROM raxx_detect.statement_histograms h WHERE by_call AND h.at > from_time AND h.at <= to_time GROUP BY 1, 2, 3
    ), ranked AS (  -- the nearest rank: the least time that so many do not exceed
        SELECT t.*, sum(t.weight) OVER (PARTITION BY t.later ORDER BY t.mean_ms) >= 0.99 * sum(t.weight) OVER (PARTITION BY t.later) AS pooled_beyond,
               sum(t.weight) OVER (PARTITION BY t.queryid, t.later ORDER BY t.mean_ms)
                   >= 0.99 * sum(t.weight) OVER (PARTITION BY t.queryid, t.later) AS beyond
        FROM times t
    ), pooled AS (
        SELECT min(r.mean_ms) FILTER (WHERE NOT r.later AND r.pooled_beyond) AS p99_ms,
               sum(r.weight) FILTER (WHERE r.later)::float8 / nullif(sum(r.weight) FILTER (WHERE NOT r.later), 0)::float8 AS growth
        FROM ranked r
    ), statements AS (
        SELECT r.queryid,
               min(r.mean_ms) FILTER (WHERE NOT r.later AND r.beyond) AS before_p99_ms,
               min(r.mean_ms) FILTER (WHERE r.later AND r.beyond) AS p99_ms,
               coalesce(sum(r.calls) FILTER (WHERE NOT r.later), 0) AS calls_before,
               coalesce(sum(r.calls) FILTER (WHERE r.later), 0) AS calls,
               coalesce(sum(r.weight) FILTER (WHERE r.later AND r.mean_ms > p.p99_ms), 0)::float8
                   - p.growth * coalesce(sum(r.weight) FILTER (WHERE NOT r.later AND r.mean_ms > p.p99_ms), 0)::float8 AS excess
        FROM ranked r CROSS JOIN pooled p WHERE p.growth > 0
        GROUP BY r.queryid, p.growth
    ), movers AS (
        SELECT s.*, s.excess / sum(s.excess) OVER () AS share FROM statements s WHERE s.excess > 0
        ORDER BY s.excess DESC, s.queryid LIMIT CASE WHEN how_many < 0 THEN 0 ELSE how_many END
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('queryid', m.queryid, 'before_p99_ms', m.before_p99_ms, 'p99_ms', m.p99_ms,
               'calls_before', m.calls_before, 'calls', m.calls, 'share', m.share) ORDER BY m.excess DESC, m.queryid), '[]')
    FROM movers m
$$;
COMMENT ON FUNCTION raxx_detect.statements_that_moved(raxx_detect.source_bindings, timestamptz, timestamptz, timestamptz, int, boolean) IS
'The statements that moved the 99th percentile of the interval means of all statements together most, between (from_time, split_time] and (split_time, to_time]: at most how_many (NULL: all) objects with queryid, the statement''s own percentiles before and now in milliseconds (before_p99_ms is null for one that is new), its calls before and now, and its share, the greatest first; [] if one of the periods has no intervals, or nothing rose. With q the old common percentile, N and M the numbers of all intervals now and before, a statement''s excess is (its intervals above q now) - (N / M) (its intervals above q before); excesses add up to N times the rise in the share of intervals above q, so the common percentile rises if and because they do. share is a statement''s part of all positive excesses. Percentiles are at the nearest rank. No query texts: look a queryid up in pg_stat_statements. by_call: by the single calls in raxx_detect.statement_histograms in place of interval means; numbers and excesses are then of calls, and times are middles of bins.';
