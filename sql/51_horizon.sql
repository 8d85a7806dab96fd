-- The horizon: up to when the rows that there are, are all that there will be.
--
-- A transaction dates its rows by its beginning, or later, and nobody sees them before it ends. So nothing is settled
-- that lies after the beginning of the oldest transaction, less the source's lateness: what it brings is looked at when it has come.

CREATE FUNCTION raxx_detect.oldest_transaction(OUT pid int, OUT role name, OUT since timestamptz) RETURNS record
AS 'MODULE_PATHNAME', 'raxx_oldest_transaction' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION raxx_detect.oldest_transaction() IS
'The oldest running transaction of this database that could still write a row, but for the caller''s own: the process, its role, and since when it runs. All NULL: there is none. Vacuum, index builds and logical decoding bring no rows. Where track_activities is off, the beginning of the process takes the place of the transaction''s. Needs no privilege.';

CREATE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text, OUT held_since timestamptz) RETURNS record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest record := raxx_detect.oldest_transaction();
    prepared record;
BEGIN
    settles_to := now();
    IF oldest.since < settles_to THEN
        settles_to := oldest.since;
        held_since := oldest.since;
        culprit := format('process %s of role "%s" has a transaction open since %s', oldest.pid, oldest.role, oldest.since);
    END IF;
    IF current_setting('max_prepared_transactions') <> '0' THEN
        SELECT p.gid, p.owner, p.prepared INTO prepared FROM pg_prepared_xacts p WHERE p.database = current_database()
        ORDER BY p.prepared LIMIT 1;
        -- When it began is not known any more; that it was open for a day before is not to be expected.
        IF prepared.prepared - interval '1 day' < settles_to THEN
            settles_to := prepared.prepared - interval '1 day';
            held_since := least(held_since, prepared.prepared);
            culprit := format('transaction "%s" of role "%s" is prepared since %s', prepared.gid, prepared.owner, prepared.prepared);
        END IF;
    END IF;
    -- What such a transaction does not see may have been committed since.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        settles_to := '-infinity';
        held_since := '-infinity';
        culprit := format('this transaction is %s, and sees the past', current_setting('transaction_isolation'));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.horizon() IS
'Up to when a run may settle, but for the lateness of the source: the beginning of the oldest transaction of this database that could still write, at the latest that of the caller''s own. culprit: which transaction holds it back, in a sentence, and held_since: since when it is known to; NULL: none. A prepared transaction counts from a day before it was prepared; a caller''s own at REPEATABLE READ or above settles nothing. What runs on another server, behind a foreign table, is not known.';
