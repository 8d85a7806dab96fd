-- The horizon. A stand-in that knows only what pg_stat_activity and pg_prepared_xacts show.

CREATE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text) RETURNS record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest record;
BEGIN
    settles_to := now();
    SELECT a.pid, a.usename, a.xact_start INTO oldest FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
      AND a.backend_type IN ('client backend', 'background worker') ORDER BY a.xact_start LIMIT 1;
    IF oldest.xact_start < settles_to THEN
        settles_to := oldest.xact_start;
        culprit := format('process %s of role "%s" has a transaction open since %s', oldest.pid, oldest.usename, oldest.xact_start);
    END IF;
    SELECT p.gid, p.owner, p.prepared INTO oldest FROM pg_prepared_xacts p WHERE p.database = current_database() ORDER BY p.prepared LIMIT 1;
    IF oldest.prepared - interval '1 day' < settles_to THEN
        settles_to := oldest.prepared - interval '1 day';
        culprit := format('transaction "%s" of role "%s" is prepared since %s', oldest.gid, oldest.owner, oldest.prepared);
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        settles_to := '-infinity';
        culprit := format('this transaction is %s, and sees the past', current_setting('transaction_isolation'));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.horizon() IS 'Up to when a run may settle, and what holds it back.';
