-- Sealing: rows get their place in the chain after their transactions have committed, by one sealer at a time.
--
-- A writer only leaves the chain columns NULL, so that nothing serializes writers and none can fork the chain. The order of
-- the rows in the chain is the order in which the sealer came to see them: batch by batch, in a batch by transaction and place.
-- The sealer does not wait for transactions that are still open: whoever holds one open would keep all rows unsealed.

CREATE TYPE raxx_detect.chain_seal AS (relation oid, row_id tid, seq bigint, prev bytea, mac bytea);
COMMENT ON TYPE raxx_detect.chain_seal IS 'What becomes of a row when it is sealed: the table that holds it and its place there, and what its chain columns get.';

CREATE FUNCTION raxx_detect.chain_seal_record(reading text, seq bigint, prev bytea, payload text) RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_chain_seal_record' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION raxx_detect.chain_seal_record(text, bigint, bytea, text) IS
'The MAC of a record of a chain (docs/chain-format.md). reading: see raxx_detect.chain_plan. Raises 55000 if the key is not there.';
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_seal_record(text, bigint, bytea, text) FROM PUBLIC;

CREATE FUNCTION raxx_detect.chain_seal_rows_add(internal, text, bigint, bytea, oid, tid, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME', 'raxx_chain_seal_rows_add' LANGUAGE C STABLE;
COMMENT ON FUNCTION raxx_detect.chain_seal_rows_add(internal, text, bigint, bytea, oid, tid, "any") IS 'Part of the aggregate chain_seal_rows.';
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_seal_rows_add(internal, text, bigint, bytea, oid, tid, "any") FROM PUBLIC;
CREATE FUNCTION raxx_detect.chain_seal_rows_result(internal) RETURNS raxx_detect.chain_seal[]
AS 'MODULE_PATHNAME', 'raxx_chain_seal_rows_result' LANGUAGE C STABLE;
COMMENT ON FUNCTION raxx_detect.chain_seal_rows_result(internal) IS 'Part of the aggregate chain_seal_rows.';
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_seal_rows_result(internal) FROM PUBLIC;

CREATE AGGREGATE raxx_detect.chain_seal_rows(reading text, seq bigint, mac bytea, relation oid, row_id tid, VARIADIC "any") (
    SFUNC = raxx_detect.chain_seal_rows_add,
    STYPE = internal,
    FINALFUNC = raxx_detect.chain_seal_rows_result
);
COMMENT ON AGGREGATE raxx_detect.chain_seal_rows(text, bigint, bytea, oid, tid, "any") IS
'The seals of rows that follow the entry with this seq and mac, in the order of the aggregate; NULL for no rows. The variadic values are those of the plan''s columns.';

-- ---- records ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.lock_chain_head(chain_id uuid) RETURNS raxx_detect.chain_heads
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head raxx_detect.chain_heads;
BEGIN
    SELECT h.* INTO head FROM raxx_detect.chain_heads h WHERE h.chain_id = lock_chain_head.chain_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('the head of chain %s is gone', chain_id),
            DETAIL = 'Somebody deleted its row from raxx_detect.chain_heads.', HINT = 'Treat it as a break: keep the database as it is, and verify the chain.';
    END IF;
    RETURN head;
END $$;
COMMENT ON FUNCTION raxx_detect.lock_chain_head(uuid) IS 'The head of a chain, locked until the transaction ends: nobody else can seal.';

CREATE FUNCTION raxx_detect.lock_record_head(chain raxx_detect.chains) RETURNS raxx_detect.chain_heads
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head raxx_detect.chain_heads := raxx_detect.lock_chain_head(chain.chain_id);
BEGIN
    -- The rows of an application have numbers of their own: the records of such a chain follow one another.
    IF chain.mode = 'declared' THEN
        SELECT r.seq, r.mac INTO head.seq, head.mac FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id ORDER BY r.seq DESC LIMIT 1;
        head.seq := coalesce(head.seq, -1);
        head.mac := coalesce(head.mac, decode(repeat('00', 32), 'hex'));
    END IF;
    RETURN head;
END $$;
COMMENT ON FUNCTION raxx_detect.lock_record_head(raxx_detect.chains) IS 'The entry that the next record of a chain follows, with the head locked.';

CREATE FUNCTION raxx_detect.write_chain_record(chain raxx_detect.chains, payload jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head raxx_detect.chain_heads := raxx_detect.lock_record_head(chain);
    -- The genesis names its own key.
    epochs jsonb := CASE WHEN head.seq < 0 THEN jsonb_build_array(jsonb_build_object('from', 0, 'key', payload ->> 'key', 'columns', '[]'::jsonb))
                         ELSE raxx_detect.sealing_epochs(chain, head) END;
    sealed text := (payload || jsonb_build_object('at', raxx_detect.utc_text(now())))::text;
    new_mac bytea;
BEGIN
    new_mac := raxx_detect.chain_seal_record(raxx_detect.record_reading(chain.chain_id, epochs), head.seq + 1, head.mac, sealed);
    INSERT INTO raxx_detect.chain_records (chain_id, seq, payload, prev, mac) VALUES (chain.chain_id, head.seq + 1, sealed, head.mac, new_mac);
    UPDATE raxx_detect.chain_heads h SET seq = head.seq + 1, mac = new_mac WHERE h.chain_id = chain.chain_id AND chain.mode <> 'declared';
    RETURN head.seq + 1;
END $$;
COMMENT ON FUNCTION raxx_detect.write_chain_record(raxx_detect.chains, jsonb) IS
'Appends a record to a chain and returns its sequence number. The payload has its kind, and gets the time.';

CREATE FUNCTION raxx_detect.manifest_due(chain raxx_detect.chains, last jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_there jsonb := raxx_detect.sealable_columns(chain);
BEGIN
    -- What the columns are called and what kinds they are of: a number alone is another after a restore.
    IF (SELECT jsonb_agg(c - '{number,was}'::text[] ORDER BY n) FROM jsonb_array_elements(last) WITH ORDINALITY x(c, n))
       = (SELECT jsonb_agg(c - 'number' ORDER BY n) FROM jsonb_array_elements(now_there) WITH ORDINALITY x(c, n)) THEN
        RETURN NULL;
    END IF;
    -- The same number under another name: it was renamed.
    now_there := (SELECT jsonb_agg(CASE WHEN o.c IS NULL THEN x.c ELSE x.c || jsonb_build_object('was', o.c -> 'name') END ORDER BY x.n)
                  FROM jsonb_array_elements(now_there) WITH ORDINALITY x(c, n)
                  LEFT JOIN jsonb_array_elements(last) o(c)
                      ON o.c -> 'number' = x.c -> 'number' AND o.c -> 'kind' = x.c -> 'kind' AND o.c -> 'name' <> x.c -> 'name'
                     AND NOT EXISTS (SELECT FROM jsonb_array_elements(now_there) s(c) WHERE s.c -> 'name' = o.c -> 'name'));
    RETURN jsonb_strip_nulls(jsonb_build_object('kind', 'manifest', 'version', 1 + (SELECT count(*) FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id AND r.kind = 'manifest'),
        'columns', now_there, 'left_out', raxx_detect.unsealable_columns(chain)));
END $$;
COMMENT ON FUNCTION raxx_detect.manifest_due(raxx_detect.chains, jsonb) IS
'The manifest that a chain is due to get, because the columns of its relation are others than those that are sealed now (last); NULL: none is.';

-- ---- rows ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_seals(plan raxx_detect.chain_plan, head raxx_detect.chain_heads, at_most bigint) RETURNS raxx_detect.chain_seal[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE
    columns text := raxx_detect.column_list(plan);
    result raxx_detect.chain_seal[];
BEGIN
    -- A row that somebody else has locked is not waited for: it is sealed the next time.
    EXECUTE format(
        'SELECT raxx_detect.chain_seal_rows($1, $2, $3, t.tableoid, t.ctid, %1$s ORDER BY age(t.xmin) DESC, t.tableoid, t.ctid)
         FROM (SELECT t.tableoid, t.ctid, t.xmin, %1$s FROM %2$s t WHERE t.raxx_seq IS NULL LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED) t',
        columns, plan.relation)
    INTO result USING plan.reading, head.seq, head.mac, at_most;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_seals(raxx_detect.chain_plan, raxx_detect.chain_heads, bigint) IS
'The seals of rows that have none, following the head; NULL: there are no such rows.';

CREATE FUNCTION raxx_detect.write_seals(plan raxx_detect.chain_plan, seals raxx_detect.chain_seal[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_material = off AS $$
DECLARE
    written bigint;
BEGIN
    -- By their places, and in no other way: the rows are locked, so that they are where they were.
    EXECUTE format(
        'UPDATE %s t SET raxx_seq = s.seq, raxx_prev = s.prev, raxx_mac = s.mac FROM unnest($1) s
         WHERE t.ctid = s.row_id AND t.tableoid = s.relation', plan.relation)
    USING seals;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(seals) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('%s of %s rows of %s could be sealed', written, cardinality(seals), plan.relation),
            DETAIL = 'A trigger, a rule or a row security policy keeps the others from being updated.',
            HINT = 'Let the role that seals update raxx_seq, raxx_prev and raxx_mac of every row.';
    END IF;
    RETURN written;
END $$;
COMMENT ON FUNCTION raxx_detect.write_seals(raxx_detect.chain_plan, raxx_detect.chain_seal[]) IS 'Writes seals into their rows; raises 55000 if a row cannot be updated.';

CREATE FUNCTION raxx_detect.seal_beside(chain raxx_detect.chains, plan raxx_detect.chain_plan, head raxx_detect.chain_heads, at_most bigint,
    OUT number bigint, OUT seq bigint, OUT mac bytea)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    keys name[] := raxx_detect.key_columns(chain.relation);
BEGIN
    -- In one statement, that is, as of one moment: so no lock is needed, and no right to change the rows.
    EXECUTE format(
        'WITH t AS MATERIALIZED (
             SELECT t.tableoid, t.ctid, t.xmin, %1$s FROM %2$s t WHERE NOT EXISTS (SELECT FROM %3$s s WHERE %4$s) LIMIT $4
         ), sealed AS (
             SELECT (u.seal).* FROM (SELECT unnest(raxx_detect.chain_seal_rows($1, $2, $3, t.tableoid, t.ctid, %5$s ORDER BY age(t.xmin) DESC, t.tableoid, t.ctid)) AS seal FROM t) u
         ), written AS (
             INSERT INTO %3$s SELECT %6$s, e.seq, e.prev, e.mac FROM sealed e JOIN t ON t.ctid = e.row_id AND t.tableoid = e.relation ORDER BY e.seq
             RETURNING raxx_seq, raxx_mac
         ) SELECT count(*), max(w.raxx_seq), (array_agg(w.raxx_mac ORDER BY w.raxx_seq DESC))[1] FROM written w',
        (SELECT string_agg(DISTINCT format('t.%I', c), ', ') FROM unnest(keys || plan.columns) c), chain.relation, chain.beside, raxx_detect.same_key(chain.relation),
        raxx_detect.column_list(plan), (SELECT string_agg(format('t.%I', k.name), ', ' ORDER BY k.position) FROM unnest(keys) WITH ORDINALITY k(name, position)))
    INTO number, seq, mac USING plan.reading, head.seq, head.mac, at_most;
END $$;
COMMENT ON FUNCTION raxx_detect.seal_beside(raxx_detect.chains, raxx_detect.chain_plan, raxx_detect.chain_heads, bigint) IS
'Seals rows that have no entry in the table beside their relation: how many, and the number and MAC of the last.';

CREATE FUNCTION raxx_detect.seal_within(plan raxx_detect.chain_plan, head raxx_detect.chain_heads, at_most bigint, OUT number bigint, OUT seq bigint, OUT mac bytea)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seals raxx_detect.chain_seal[] := raxx_detect.chain_seals(plan, head, at_most);
BEGIN
    number := 0;
    IF seals IS NOT NULL THEN
        number := raxx_detect.write_seals(plan, seals);
        seq := seals[cardinality(seals)].seq;
        mac := seals[cardinality(seals)].mac;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.seal_within(raxx_detect.chain_plan, raxx_detect.chain_heads, bigint) IS 'The same for a relation that has the columns of the chain itself.';

-- What follows from the records and the columns is worked out once in a session, and again when one of them is another. It is kept in the
-- session's memory, and not where others could write: whoever may call these may seal anyway.
CREATE FUNCTION raxx_detect.keep_chain_plan(chain_id uuid, basis text, plan text) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_keep_chain_plan' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.keep_chain_plan(uuid, text, text) IS 'Keeps in this session how rows of a chain are sealed, and what that follows from (basis).';
REVOKE EXECUTE ON FUNCTION raxx_detect.keep_chain_plan(uuid, text, text) FROM PUBLIC;
CREATE FUNCTION raxx_detect.kept_chain_plan(chain_id uuid, basis text) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_kept_chain_plan' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.kept_chain_plan(uuid, text) IS 'What raxx_detect.keep_chain_plan was last given for a chain, if it follows from the same; otherwise NULL.';
REVOKE EXECUTE ON FUNCTION raxx_detect.kept_chain_plan(uuid, text) FROM PUBLIC;

CREATE FUNCTION raxx_detect.sealing_basis(chain raxx_detect.chains) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last raxx_detect.chain_records;
BEGIN
    -- The MAC of the last record covers what it says and, link by link, all before it: no other records end in the same.
    SELECT r.* INTO last FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id ORDER BY r.seq DESC LIMIT 1;
    RETURN concat_ws(' ', raxx_detect.relation_shape(chain.relation), chain.relation::oid, last.seq, last.mac, chain.columns::text);
END $$;
COMMENT ON FUNCTION raxx_detect.sealing_basis(raxx_detect.chains) IS 'What the way in which rows are sealed follows from: the columns that there are, those that are wanted, and the last record.';

CREATE FUNCTION raxx_detect.sealing_plan(chain raxx_detect.chains, INOUT head raxx_detect.chain_heads, OUT plan raxx_detect.chain_plan)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    basis text := raxx_detect.sealing_basis(chain);
    kept jsonb := raxx_detect.kept_chain_plan(chain.chain_id, basis);
    epochs jsonb;
    manifest jsonb;
BEGIN
    IF kept IS NOT NULL THEN
        plan.chain_id := chain.chain_id;
        plan.relation := chain.relation;
        plan.reading := kept ->> 'reading';
        plan.columns := ARRAY(SELECT jsonb_array_elements_text(kept -> 'columns'));
        RETURN;
    END IF;
    epochs := raxx_detect.sealing_epochs(chain, head);
    manifest := raxx_detect.manifest_due(chain, epochs -> -1 -> 'columns');
    IF manifest IS NOT NULL THEN
        PERFORM raxx_detect.write_chain_record(chain, manifest);
        head := raxx_detect.lock_chain_head(chain.chain_id);
        epochs := epochs || jsonb_build_object('from', head.seq + 1, 'key', epochs -> -1 -> 'key', 'columns', manifest -> 'columns');
    END IF;
    plan := raxx_detect.chain_plan(chain, epochs);
    -- Not what was found by trying, since somebody has tampered with the records.
    IF manifest IS NULL AND epochs = raxx_detect.chain_epochs_json(chain.chain_id) THEN
        PERFORM raxx_detect.keep_chain_plan(chain.chain_id, basis, jsonb_build_object('reading', plan.reading, 'columns', plan.columns)::text);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.sealing_plan(raxx_detect.chains, raxx_detect.chain_heads) IS
'How the next rows of a chain are read and sealed, as the session knows it or by its records and columns, after a new manifest if one is due; and the head after that.';

CREATE FUNCTION raxx_detect.chain_seal(relation regclass, at_most bigint DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains := raxx_detect.sealed_chain_of(relation);
    head raxx_detect.chain_heads := raxx_detect.lock_chain_head(chain.chain_id);
    sealing record;
    plan raxx_detect.chain_plan;
    sealed record;
    began timestamptz := clock_timestamp();
BEGIN
    IF at_most IS NULL OR at_most NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'at_most must be between 1 and 1000000',
            DETAIL = format('It is %s.', coalesce(at_most::text, 'NULL')), HINT = 'The rest is sealed by further calls, or by raxx_detect.chain_seal_backlog.';
    END IF;
    -- Held to the end: the columns stay what they are.
    EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', relation);
    sealing := raxx_detect.sealing_plan(chain, head);
    head := sealing.head; plan := sealing.plan;
    IF chain.beside IS NULL THEN
        sealed := raxx_detect.seal_within(plan, head, at_most);
    ELSE
        sealed := raxx_detect.seal_beside(chain, plan, head, at_most);
    END IF;
    IF sealed.number > 0 THEN
        UPDATE raxx_detect.chain_heads h SET seq = sealed.seq, mac = sealed.mac WHERE h.chain_id = chain.chain_id;
    END IF;
    IF sealed.number < at_most AND (sealed.number > 0 OR head.sealed_at IS NULL OR head.sealed_at < began - interval '1 minute') THEN
        UPDATE raxx_detect.chain_heads h SET sealed_at = began WHERE h.chain_id = chain.chain_id;
    END IF;
    RETURN sealed.number;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_seal(regclass, bigint) IS
'Seals up to at_most rows of a relation that have no place in its chain yet, and returns how many. One sealer at a time: another one waits. Raises 42704 without a chain, 55000 if the application seals, 22023 for at_most not within 1 and 1000000, 55000 if a row cannot be updated or there is no key.';

CREATE FUNCTION raxx_detect.backlog_batch(relation regclass) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- Beside a table, each batch compares all keys.
    SELECT CASE WHEN (raxx_detect.sealed_chain_of(relation)).beside IS NULL THEN 10000 ELSE 200000 END
$$;
COMMENT ON FUNCTION raxx_detect.backlog_batch(regclass) IS 'How many rows raxx_detect.chain_seal_backlog seals between two commits.';

CREATE PROCEDURE raxx_detect.chain_seal_backlog(relation regclass)
LANGUAGE plpgsql AS $$
DECLARE
    batch bigint := raxx_detect.backlog_batch(relation);
BEGIN
    WHILE raxx_detect.chain_seal(relation, batch) OPERATOR(pg_catalog.>) 0 LOOP  -- no search_path is pinned where COMMIT is
        COMMIT;
    END LOOP;
END $$;
COMMENT ON PROCEDURE raxx_detect.chain_seal_backlog(regclass) IS
'Seals all rows that have no place in the chain yet, with a commit after each 10,000 (200,000 where the chain is beside it): for a table that had rows when its chain was attached. Not within a transaction block (2D000).';

-- ---- at commit -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.seal_in_transaction(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    -- A partition's rows are sealed by the chain of the table above.
    attached regclass := (SELECT c.relation FROM raxx_detect.chains c
                          WHERE c.detached_at IS NULL AND (c.relation = relation OR c.relation IN (SELECT a.relid FROM pg_partition_ancestors(relation) a)));
    state text; message text;
BEGIN
    IF attached IS NULL THEN
        RETURN;
    END IF;
    WHILE raxx_detect.chain_seal(attached) = 10000 LOOP
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    -- Nobody's INSERT fails for the chain's sake: the rows stay unsealed, and are sealed by the next run.
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    RAISE WARNING USING ERRCODE = state, MESSAGE = format('rows of %s are not sealed yet: %s', relation, message),
        HINT = 'They are sealed by the next run of rule data_audit_log_hash_chain_break, or by raxx_detect.chain_seal.';
END $$;
COMMENT ON FUNCTION raxx_detect.seal_in_transaction(regclass) IS 'Seals what the transaction has inserted, for the trigger seal_at_commit; what goes wrong is a warning.';

CREATE FUNCTION raxx_detect.seal_at_commit() RETURNS trigger
AS 'MODULE_PATHNAME', 'raxx_seal_at_commit' LANGUAGE C;
COMMENT ON FUNCTION raxx_detect.seal_at_commit() IS
'Trigger of relations whose chain has the mode commit: seals the rows that a transaction has inserted when it commits, as the owner of the table. Writers wait for each other there, until the end of the commit.';
