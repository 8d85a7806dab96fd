-- The records of a chain: what they say, whether they hold, and how the rows are therefore to be read. Where a record that changed
-- the key or the columns is gone or was modified, what it said is found again by trying, so that one record is one break and not
-- one for each row after it. Whatever somebody has written into a record must not keep the chain from being verified.

CREATE TYPE raxx_detect.chain_trust AS (
    epochs jsonb,
    plan raxx_detect.chain_plan,
    records raxx_detect.chain_entry[],
    breaks raxx_detect.chain_break[]
);
COMMENT ON TYPE raxx_detect.chain_trust IS
'What a chain''s records tell: its epochs, and how its rows are to be read, by the records that hold; all records, verified; and what is wrong with them.';

CREATE FUNCTION raxx_detect.record_break(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'genesis' THEN 'genesis replaced' WHEN 'manifest' THEN 'schema tampered' WHEN 'key' THEN 'key epoch' WHEN 'revoked' THEN 'key epoch'
                     ELSE 'content modified' END
$$;
COMMENT ON FUNCTION raxx_detect.record_break(text) IS 'What it is called if a record of this kind does not hold.';

-- ---- epochs that are found by trying ------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.lost_epoch AS (epoch jsonb, broken raxx_detect.chain_break);
COMMENT ON TYPE raxx_detect.lost_epoch IS 'An epoch that no record tells of, since it is gone or does not hold: what it is, and the break that this is.';

CREATE FUNCTION raxx_detect.possible_epochs(chain raxx_detect.chains) RETURNS TABLE (key_id text, columns jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told(columns) AS (
        SELECT raxx_detect.record_says(r.payload) -> 'columns' FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id
        UNION SELECT raxx_detect.sealable_columns(chain)
    ), possible(columns) AS (
        SELECT '[]'
        UNION SELECT t.columns FROM told t
        UNION SELECT t.columns - -1 FROM told t  -- before the last one was added
        UNION SELECT (SELECT jsonb_agg(c || jsonb_build_object('name', coalesce(c ->> 'was', c ->> 'name')) - 'was') FROM jsonb_array_elements(t.columns) c) FROM told t
    )
    SELECT k.key_id, p.columns FROM raxx_detect.chain_keys() k CROSS JOIN possible p WHERE k.kind = 'chain' AND raxx_detect.is_manifest(p.columns)
$$;
COMMENT ON FUNCTION raxx_detect.possible_epochs(raxx_detect.chains) IS
'What a record that is gone may have said: any key of the ring, and the columns that there are, that any manifest names, or that it named before its change.';

CREATE FUNCTION raxx_detect.holds_in(chain raxx_detect.chains, epochs jsonb, seq bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id AND r.seq = holds_in.seq
                   AND raxx_detect.chain_record_holds(raxx_detect.record_reading(chain.chain_id, epochs), r.seq, r.prev, r.mac, r.payload))
        OR EXISTS (SELECT FROM raxx_detect.chain_rows(raxx_detect.chain_plan(chain, epochs), seq, seq) e WHERE e.holds);
END $$;
COMMENT ON FUNCTION raxx_detect.holds_in(raxx_detect.chains, jsonb, bigint) IS 'Whether an entry holds with these epochs.';

CREATE FUNCTION raxx_detect.holds_under(chain raxx_detect.chains, key_id text, columns jsonb, seq bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.holds_in(chain, jsonb_build_array(jsonb_build_object('from', 0, 'key', key_id, 'columns', columns)), seq)
$$;
COMMENT ON FUNCTION raxx_detect.holds_under(raxx_detect.chains, text, jsonb, bigint) IS 'Whether an entry holds with this key and these columns.';

CREATE FUNCTION raxx_detect.entry_from(chain raxx_detect.chains, seq bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT t.raxx_seq FROM %s t WHERE t.raxx_seq >= $1 ORDER BY 1 LIMIT 1', raxx_detect.chain_rows_from(chain)) INTO result USING seq;
    RETURN least(result, (SELECT min(r.seq) FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id AND r.seq >= entry_from.seq));
END $$;
COMMENT ON FUNCTION raxx_detect.entry_from(raxx_detect.chains, bigint) IS 'The first number from this one on that an entry of the chain has; NULL: there is none.';

CREATE FUNCTION raxx_detect.epoch_at(epochs jsonb, seq bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e FROM jsonb_array_elements(epochs) e WHERE (e ->> 'from')::bigint <= seq ORDER BY (e ->> 'from')::bigint DESC LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.epoch_at(jsonb, bigint) IS 'The epoch of an entry.';

CREATE FUNCTION raxx_detect.first_under(chain raxx_detect.chains, key_id text, columns jsonb, low bigint, high bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    middle bigint;
BEGIN
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        IF raxx_detect.holds_under(chain, key_id, columns, raxx_detect.entry_from(chain, middle)) THEN
            high := middle;
        ELSE
            low := middle + 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;
COMMENT ON FUNCTION raxx_detect.first_under(raxx_detect.chains, text, jsonb, bigint, bigint) IS
'The number after the last entry from low on that does not hold with this key and these columns, where the entry high does and an epoch is a stretch.';

CREATE FUNCTION raxx_detect.has_row(chain raxx_detect.chains, seq bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.raxx_seq = $1)', raxx_detect.chain_rows_from(chain)) INTO result USING seq;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.has_row(raxx_detect.chains, bigint) IS 'Whether a row has this number.';

CREATE FUNCTION raxx_detect.what_changed(own jsonb, key_id text, lost_to bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN lost_to = 0 OR own ->> 'key' = '' THEN 'genesis' WHEN own ->> 'key' <> key_id THEN 'key' ELSE 'manifest' END
$$;
COMMENT ON FUNCTION raxx_detect.what_changed(jsonb, text, bigint) IS 'Of what kind the record was between an epoch and the next, which has this key.';

CREATE FUNCTION raxx_detect.same_columns(a jsonb, b jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT (c ->> 'name', c ->> 'kind')::text FROM jsonb_array_elements(a) WITH ORDINALITY x(c, n) ORDER BY n)
         = ARRAY(SELECT (c ->> 'name', c ->> 'kind')::text FROM jsonb_array_elements(b) WITH ORDINALITY x(c, n) ORDER BY n)
$$;
COMMENT ON FUNCTION raxx_detect.same_columns(jsonb, jsonb) IS 'Whether two manifests are the same, as far as a MAC goes.';

CREATE FUNCTION raxx_detect.lost_epoch(chain raxx_detect.chains, epochs jsonb, seq bigint) RETURNS raxx_detect.lost_epoch
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own jsonb := raxx_detect.epoch_at(epochs, seq);
    candidate record;
    begins bigint;
    gone_from bigint;
    kind text;
BEGIN
    FOR candidate IN SELECT p.* FROM raxx_detect.possible_epochs(chain) p
                     WHERE NOT (p.key_id = own ->> 'key' AND raxx_detect.same_columns(p.columns, own -> 'columns')) LOOP
        CONTINUE WHEN NOT raxx_detect.holds_under(chain, candidate.key_id, candidate.columns, seq);
        gone_from := raxx_detect.first_under(chain, candidate.key_id, candidate.columns, (own ->> 'from')::bigint, seq);
        begins := raxx_detect.entry_from(chain, gone_from);
        -- It begins after a record. Where that one holds, or a row is in its place, somebody has only sealed with another key.
        CONTINUE WHEN begins = 0 OR raxx_detect.has_row(chain, begins - 1)
                   OR raxx_detect.holds_in(chain, epochs, begins - 1);
        kind := raxx_detect.what_changed(own, candidate.key_id, begins - 1);
        RETURN (jsonb_build_object('from', begins, 'key', candidate.key_id, 'columns', candidate.columns),
                (raxx_detect.record_break(kind), least(gone_from, begins - 1), begins - 1,
                 format('the record of kind %s was deleted or modified; what it said was found by trying', kind))::raxx_detect.chain_break)::raxx_detect.lost_epoch;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.lost_epoch(raxx_detect.chains, jsonb, bigint) IS
'Of an entry that does not hold in its epoch: the epoch in which it does, if that began behind a record that is gone or does not hold; NULL if there is none.';

-- ---- all records ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.with_epoch(epochs jsonb, epoch jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (epochs -> -1 ->> 'from')::bigint < (epoch ->> 'from')::bigint THEN epochs
                ELSE epochs - -1 END || epoch
$$;
COMMENT ON FUNCTION raxx_detect.with_epoch(jsonb, jsonb) IS 'Epochs with one more at their end, which takes the place of one that begins where it does.';

CREATE FUNCTION raxx_detect.with_found(epochs jsonb, tried raxx_detect.lost_epoch[], upto bigint) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    epoch jsonb;
BEGIN
    FOR epoch IN SELECT f.epoch FROM unnest(tried) f WHERE (f.epoch ->> 'from')::bigint BETWEEN (epochs -> -1 ->> 'from')::bigint AND upto
                 ORDER BY (f.epoch ->> 'from')::bigint LOOP
        epochs := raxx_detect.with_epoch(epochs, epoch);
    END LOOP;
    RETURN epochs;
END $$;
COMMENT ON FUNCTION raxx_detect.with_found(jsonb, raxx_detect.lost_epoch[], bigint) IS 'Epochs with those that were found and that begin after them, up to an entry.';

CREATE FUNCTION raxx_detect.next_epoch(epochs jsonb, seq bigint, said jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE said ->> 'kind'
        WHEN 'manifest' THEN raxx_detect.with_epoch(epochs, jsonb_build_object('from', seq + 1, 'key', epochs -> -1 -> 'key', 'columns', said -> 'columns'))
        WHEN 'key' THEN raxx_detect.with_epoch(epochs, jsonb_build_object('from', seq + 1, 'key', said -> 'key', 'columns', epochs -> -1 -> 'columns'))
        ELSE epochs END
$$;
COMMENT ON FUNCTION raxx_detect.next_epoch(jsonb, bigint, jsonb) IS 'The epochs of a chain after a record of this number, which says this.';

CREATE FUNCTION raxx_detect.after_bad_record(chain raxx_detect.chains, epochs jsonb, broken raxx_detect.chain_break, INOUT trust raxx_detect.chain_trust, OUT result jsonb)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next bigint := raxx_detect.entry_from(chain, broken.seq_to + 1);
    own jsonb := epochs -> -1;
    lost raxx_detect.lost_epoch;
BEGIN
    -- Nothing that a bad genesis says is a key of the chain.
    result := CASE broken.seq_to WHEN 0 THEN jsonb_set(epochs, '{0,key}', '""') ELSE epochs END;
    IF next IS NOT NULL AND NOT raxx_detect.holds_under(chain, own ->> 'key', own -> 'columns', next) THEN
        lost := raxx_detect.lost_epoch(chain, epochs, next);
        IF lost IS NOT NULL THEN
            result := raxx_detect.with_epoch(result, lost.epoch);
            broken.kind := CASE broken.seq_from WHEN 0 THEN broken.kind ELSE (lost.broken).kind END;
        ELSE
            result := raxx_detect.with_epoch(result, jsonb_build_object('from', broken.seq_to + 1, 'key', '', 'columns', '[]'::jsonb));
            broken.detail := broken.detail || '; entries after it cannot be verified';
        END IF;
    END IF;
    trust.breaks := trust.breaks || broken;
END $$;
COMMENT ON FUNCTION raxx_detect.after_bad_record(raxx_detect.chains, jsonb, raxx_detect.chain_break, raxx_detect.chain_trust) IS
'The epochs after a record that does not hold, or is not there: as before if what follows holds so, or as it is found by trying, or without a key. Adds the break, with its right name, to the others.';

CREATE FUNCTION raxx_detect.is_contradicted(chain raxx_detect.chains, epochs jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT epochs -> 0 ->> 'key' = '' OR raxx_detect.lost_epoch(chain, epochs, raxx_detect.entry_from(chain, 1)) IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.is_contradicted(raxx_detect.chains, jsonb) IS
'Whether a genesis that nobody can verify names no key, or not the one with which the next entry was sealed, rather than one that the ring lacks.';

CREATE FUNCTION raxx_detect.chain_trust(chain raxx_detect.chains, tried raxx_detect.lost_epoch[] DEFAULT '{}') RETURNS raxx_detect.chain_trust
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head_seq bigint := (SELECT h.seq FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id);
    result raxx_detect.chain_trust;
    epochs jsonb := '[{"from": 0, "key": "", "columns": []}]';
    lost raxx_detect.lost_epoch;
    r raxx_detect.chain_records;
    holds boolean;
    said jsonb;
    after record;
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN raxx_detect.declared_trust(chain);
    END IF;
    result.records := '{}';
    result.breaks := ARRAY(SELECT f.broken FROM unnest(tried) f);
    IF NOT EXISTS (SELECT FROM raxx_detect.chain_records k WHERE k.chain_id = chain.chain_id AND k.seq = 0) THEN
        after := raxx_detect.after_bad_record(chain, epochs, ('genesis replaced', 0, 0, 'the record with which the chain began is gone'), result);
        result := after.trust; epochs := after.result;
    END IF;
    FOR r IN SELECT k.* FROM raxx_detect.chain_records k WHERE k.chain_id = chain.chain_id AND k.seq BETWEEN 0 AND head_seq ORDER BY k.seq LOOP
        said := raxx_detect.record_says(r.payload);
        IF r.seq = 0 THEN
            epochs := jsonb_build_array(jsonb_build_object('from', 0, 'key', coalesce(said ->> 'key', ''), 'columns', '[]'::jsonb));
        END IF;
        epochs := raxx_detect.with_found(epochs, tried, r.seq);
        holds := raxx_detect.chain_record_holds(raxx_detect.record_reading(chain.chain_id, epochs), r.seq, r.prev, r.mac, r.payload);
        IF r.seq > 0 AND NOT coalesce(holds, epochs -> -1 ->> 'key' <> '') THEN
            lost := raxx_detect.lost_epoch(chain, epochs, r.seq);
            IF lost IS NOT NULL THEN  -- it is another one that does not
                epochs := raxx_detect.with_epoch(epochs, lost.epoch);
                result.breaks := result.breaks || lost.broken;
                holds := true;
            END IF;
        END IF;
        result.records := result.records || (r.seq, r.prev, r.mac, holds, 'record ' || coalesce(left(said ->> 'kind', 20), ''))::raxx_detect.chain_entry;
        IF holds AND said IS NOT NULL AND (said ->> 'kind' = 'genesis') = (r.seq = 0) THEN
            epochs := raxx_detect.next_epoch(epochs, r.seq, said);
        ELSIF holds IS NOT NULL OR (r.seq = 0 AND raxx_detect.is_contradicted(chain, epochs)) THEN
            after := raxx_detect.after_bad_record(chain, epochs, (CASE r.seq WHEN 0 THEN 'genesis replaced' ELSE raxx_detect.record_break(said ->> 'kind') END, r.seq, r.seq,
                format('the record of kind %s %s', coalesce(left(said ->> 'kind', 20), 'that no record has'), CASE WHEN holds THEN 'holds, but has no place there' ELSE 'was modified' END)), result);
            result := after.trust; epochs := after.result;
        END IF;
    END LOOP;
    result.epochs := raxx_detect.with_found(epochs, tried, 9223372036854775807);
    result.plan := raxx_detect.chain_plan(chain, result.epochs);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_trust(raxx_detect.chains, raxx_detect.lost_epoch[]) IS
'Verifies the records of a chain in order. A record that does not hold changes nothing about how rows are read. tried: epochs of which no record tells, as raxx_detect.lost_epoch finds them from rows.';

CREATE FUNCTION raxx_detect.sealing_epochs(chain raxx_detect.chains, head raxx_detect.chain_heads) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    epochs jsonb := raxx_detect.chain_epochs_json(chain.chain_id);
    lost raxx_detect.lost_epoch;
BEGIN
    -- Where the last entry holds, the records tell the truth about how to go on.
    IF epochs <> '[]' AND raxx_detect.holds_in(chain, epochs, head.seq) THEN
        RETURN epochs;
    END IF;
    epochs := (raxx_detect.chain_trust(chain)).epochs;
    lost := raxx_detect.lost_epoch(chain, epochs, head.seq);
    RETURN CASE WHEN lost IS NULL THEN epochs ELSE raxx_detect.with_epoch(epochs, lost.epoch) END;
END $$;
COMMENT ON FUNCTION raxx_detect.sealing_epochs(raxx_detect.chains, raxx_detect.chain_heads) IS
'The epochs by which entries are sealed: what the records tell, or, where somebody has tampered with those, what verification finds.';
