-- Verifying chains that an application writes: row by row in the order of their numbers, since a row may follow what
-- only the row before it tells. Breaks have the same names as those of the chains that are sealed here.

CREATE TYPE raxx_detect.declared_tally AS (
    rows bigint, unverified bigint, more boolean, kinds text[], seq_from bigint[], seq_to bigint[], wrong_rows bigint[],
    last_seq bigint, last_mac bytea
);
COMMENT ON TYPE raxx_detect.declared_tally IS
'What has come out about rows of a chain of an application: how many there are, and for how many there is no key; what is wrong, at most 100 stretches (more: there are others), with how many rows each (0: rows that are gone); and the last row that has a MAC.';

CREATE FUNCTION raxx_detect.declared_audit_add(internal, text, boolean, bigint, bytea, bigint, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME', 'raxx_declared_audit_add' LANGUAGE C STABLE;
COMMENT ON FUNCTION raxx_detect.declared_audit_add(internal, text, boolean, bigint, bytea, bigint, "any") IS 'Part of the aggregate declared_audit.';
REVOKE EXECUTE ON FUNCTION raxx_detect.declared_audit_add(internal, text, boolean, bigint, bytea, bigint, "any") FROM PUBLIC;
CREATE FUNCTION raxx_detect.declared_audit_result(internal) RETURNS raxx_detect.declared_tally
AS 'MODULE_PATHNAME', 'raxx_declared_audit_result' LANGUAGE C STABLE;
COMMENT ON FUNCTION raxx_detect.declared_audit_result(internal) IS 'Part of the aggregate declared_audit.';

CREATE AGGREGATE raxx_detect.declared_audit(format text, genesis boolean, seq_before bigint, mac_before bytea, seq bigint, VARIADIC "any") (
    SFUNC = raxx_detect.declared_audit_add,
    STYPE = internal,
    FINALFUNC = raxx_detect.declared_audit_result
);
COMMENT ON AGGREGATE raxx_detect.declared_audit(text, boolean, bigint, bytea, bigint, "any") IS
'Verifies rows of a chain of an application, which must come in the order of seq. format: see raxx_detect.declared_format; genesis: the first row is the chain''s first; seq_before and mac_before: of the row before it, as they stand there, where they are known; the variadic values are prev (NULL where the format has none), mac, and those of the format''s columns. Rows without seq are left out. NULL for no rows.';

-- ---- reading ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.mac_expression(format jsonb, role text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN format ->> role IS NULL THEN 'NULL::pg_catalog.text'
                ELSE format(CASE format ->> 'digest' WHEN 'bytes' THEN 't.%I' ELSE 't.%I::pg_catalog.text' END, format ->> role) END
$$;
COMMENT ON FUNCTION raxx_detect.mac_expression(jsonb, text) IS 'The column mac or prev of a row t, for a query; NULL where the format has none.';

CREATE FUNCTION raxx_detect.mac_bytes_expression(format jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE format ->> 'digest' WHEN 'bytes' THEN raxx_detect.mac_expression(format, 'mac')
                ELSE format('pg_catalog.convert_to(%s, ''UTF8'')', raxx_detect.mac_expression(format, 'mac')) END
$$;
COMMENT ON FUNCTION raxx_detect.mac_bytes_expression(jsonb) IS 'The MAC of a row t as bytes, as it stands there, for a query.';

CREATE TYPE raxx_detect.declared_place AS (seq bigint, mac bytea);
COMMENT ON TYPE raxx_detect.declared_place IS 'A row of a chain of an application: its number, and its MAC as it stands there.';

CREATE FUNCTION raxx_detect.row_before(chain raxx_detect.chains, seq bigint) RETURNS raxx_detect.declared_place
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.declared_place;
BEGIN
    EXECUTE format('SELECT t.%1$I, %2$s FROM %3$s t WHERE t.%1$I < $1 AND t.%1$I >= $2 ORDER BY t.%1$I DESC LIMIT 1',
        chain.declared ->> 'seq', raxx_detect.mac_bytes_expression(chain.declared), chain.relation)
    INTO result USING seq, raxx_detect.first_seq(chain);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.row_before(raxx_detect.chains, bigint) IS 'The last row of a chain of an application before a number; NULLs: there is none.';

CREATE FUNCTION raxx_detect.first_seq(chain raxx_detect.chains) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((chain.declared ->> 'first')::bigint, -9223372036854775807)
$$;
COMMENT ON FUNCTION raxx_detect.first_seq(raxx_detect.chains) IS 'From which number on rows belong to a chain of an application.';

CREATE FUNCTION raxx_detect.last_declared_seq(chain raxx_detect.chains) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT max(t.%1$I) FROM %2$s t WHERE t.%1$I >= $1', chain.declared ->> 'seq', chain.relation) INTO result USING raxx_detect.first_seq(chain);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.last_declared_seq(raxx_detect.chains) IS 'The highest number of a row of a chain of an application; NULL: there is none.';

CREATE FUNCTION raxx_detect.end_of_stretch(chain raxx_detect.chains, from_seq bigint, at_most bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT max(s.seq) FROM (SELECT t.%1$I AS seq FROM %2$s t WHERE t.%1$I >= $1 ORDER BY t.%1$I LIMIT $2) s', chain.declared ->> 'seq', chain.relation)
    INTO result USING greatest(from_seq, raxx_detect.first_seq(chain)), at_most;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.end_of_stretch(raxx_detect.chains, bigint, bigint) IS 'The number of the row up to which there are so many rows from a number on; NULL: there are none.';

CREATE FUNCTION raxx_detect.declared_macs(chain raxx_detect.chains, seqs bigint[]) RETURNS TABLE (seq bigint, mac bytea)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT t.%1$I::bigint, raxx_detect.declared_mac($2, %2$s) FROM %3$s t WHERE t.%1$I = ANY ($1)',
        chain.declared ->> 'seq', raxx_detect.mac_bytes_expression(chain.declared), chain.relation) USING seqs, chain.declared::text;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_macs(raxx_detect.chains, bigint[]) IS 'The MACs, as bytes, that stand in the rows of these numbers; NULL for what is no MAC.';

CREATE FUNCTION raxx_detect.audit_declared(chain raxx_detect.chains, from_seq bigint, to_seq bigint) RETURNS raxx_detect.declared_tally
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    first bigint := raxx_detect.first_seq(chain);
    before raxx_detect.declared_place := raxx_detect.row_before(chain, from_seq);
    tally raxx_detect.declared_tally;
BEGIN
    PERFORM raxx_detect.begin_progress(chain.relation, (SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = chain.relation));
    EXECUTE format('SELECT (a).* FROM (SELECT raxx_detect.declared_audit($1, $2, $3, $4, t.%1$I, %2$s, %3$s, %4$s)
                    FROM (SELECT * FROM %5$s t WHERE t.%1$I BETWEEN $5 AND $6 ORDER BY t.%1$I) t) r(a)',
        chain.declared ->> 'seq', raxx_detect.mac_expression(chain.declared, 'prev'), raxx_detect.mac_expression(chain.declared, 'mac'),
        (SELECT string_agg(format('t.%I', c.value ->> 'name'), ', ' ORDER BY c.number) FROM jsonb_array_elements(chain.declared -> 'columns') WITH ORDINALITY c(value, number)),
        chain.relation)
    INTO tally USING chain.declared::text, before.seq IS NULL,
        coalesce(before.seq, CASE WHEN chain.declared ->> 'first' IS NOT NULL THEN first - 1 END), before.mac, greatest(from_seq, first), to_seq;
    PERFORM raxx_detect.end_progress();
    RETURN tally;
END $$;
COMMENT ON FUNCTION raxx_detect.audit_declared(raxx_detect.chains, bigint, bigint) IS 'Verifies the rows of a chain of an application whose numbers lie in a range, and what the first of them follows.';

-- ---- naming -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.declared_break_in_words(kind text, seq_from bigint, seq_to bigint, rows bigint, chain raxx_detect.chains) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind
        WHEN 'content modified' THEN format('%s not what the application sealed%s', CASE rows WHEN 1 THEN 'the row is' ELSE rows || ' rows are' END,
            CASE WHEN chain.declared ->> 'prev' IS NULL THEN ', or rows before are gone: rows do not say what they follow' ELSE '' END)
        WHEN 'duplicate' THEN format('the row is there %s times', rows + 1)
        WHEN 'fork' THEN format('%s follows what another row follows, too: writers did not wait for each other, or somebody with the key put it there', CASE rows WHEN 1 THEN 'the row' ELSE 'each of ' || rows || ' rows' END)
        WHEN 'link broken' THEN 'the row holds, but follows another one than the one before it'
        WHEN 'seq gap' THEN CASE chain.declared ->> 'gaps' WHEN 'true' THEN 'the row after follows one that is not there' ELSE format('%s rows are gone', seq_to - seq_from + 1) END
        WHEN 'genesis replaced' THEN CASE rows WHEN 0 THEN 'the first rows are gone' ELSE 'the first row does not follow the genesis: rows before it are gone, or the chain was begun anew' END
        WHEN 'unsealed' THEN format('%s no MAC', CASE rows WHEN 1 THEN 'the row has' ELSE rows || ' rows have' END) END
$$;
COMMENT ON FUNCTION raxx_detect.declared_break_in_words(text, bigint, bigint, bigint, raxx_detect.chains) IS 'What a break in a chain of an application means.';

CREATE FUNCTION raxx_detect.other_declared_key(chain raxx_detect.chains, seq bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
    tried raxx_detect.chains := chain;
BEGIN
    FOR key IN SELECT k.key_id FROM raxx_detect.chain_keys() k WHERE k.kind = 'chain' AND k.key_id <> chain.declared ->> 'key' LOOP
        tried.declared := jsonb_set(chain.declared, '{key}', to_jsonb(key));
        IF NOT 'content modified' = ANY ((raxx_detect.audit_declared(tried, seq, seq)).kinds) THEN
            RETURN key;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.other_declared_key(raxx_detect.chains, bigint) IS 'The key of the ring under which a row of a chain of an application holds, though it is not the one declared; NULL: none.';

CREATE FUNCTION raxx_detect.declared_breaks(chain raxx_detect.chains, tally raxx_detect.declared_tally) RETURNS raxx_detect.chain_break[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.chain_break[] := '{}';
    b raxx_detect.chain_break;
    key text;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(tally.kinds), 0) LOOP
        b := (tally.kinds[i], tally.seq_from[i], tally.seq_to[i],
              raxx_detect.declared_break_in_words(tally.kinds[i], tally.seq_from[i], tally.seq_to[i], tally.wrong_rows[i], chain));
        key := CASE WHEN b.kind = 'content modified' THEN raxx_detect.other_declared_key(chain, b.seq_from) END;
        IF key IS NOT NULL THEN
            b.kind := 'key epoch';
            b.detail := format('sealed with key %s, which is not the one declared', key);
        END IF;
        result := result || b;
    END LOOP;
    IF tally.more THEN
        result[cardinality(result)].detail := result[cardinality(result)].detail || '; and more, which are not listed';
    END IF;
    IF tally.unverified > 0 THEN
        result := result || ('indeterminate', NULL, NULL, format('there is no key %s', chain.declared ->> 'key'))::raxx_detect.chain_break;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_breaks(raxx_detect.chains, raxx_detect.declared_tally) IS 'What is wrong with rows that were verified, as it is called once the other keys have been tried.';

CREATE FUNCTION raxx_detect.declared_structural_break(chain raxx_detect.chains) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f jsonb := chain.declared;
    gone text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = chain.relation) THEN
        RETURN ('chain missing', 0, NULL, format('the relation (OID %s) is gone', chain.relation::oid))::raxx_detect.chain_break;
    END IF;
    SELECT string_agg(format('%I', w.name), ', ') INTO gone
    FROM (VALUES (f ->> 'seq', 'integer'), (f ->> 'mac', CASE f ->> 'digest' WHEN 'bytes' THEN 'bytea' ELSE 'text' END),
                 (f ->> 'prev', CASE f ->> 'digest' WHEN 'bytes' THEN 'bytea' ELSE 'text' END)) w(name, kind)
    WHERE w.name IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = chain.relation AND a.attname = w.name AND NOT a.attisdropped
        AND replace(raxx_detect.declared_kind(a.atttypid, true), 'character', 'text') = w.kind);
    IF gone IS NOT NULL THEN
        RETURN ('chain missing', 0, NULL, format('columns are gone, or of another type: %s', gone))::raxx_detect.chain_break;
    ELSIF NOT EXISTS (SELECT FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id) THEN
        RETURN ('chain missing', 0, NULL, 'the head of the chain is gone from raxx_detect.chain_heads')::raxx_detect.chain_break;
    END IF;
    SELECT string_agg(format('%I (%s)', c ->> 'name', c ->> 'kind'), ', ') INTO gone FROM jsonb_array_elements(f -> 'columns') c
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = chain.relation AND a.attname = c ->> 'name' AND NOT a.attisdropped
        AND raxx_detect.declared_kind(a.atttypid, false) = c ->> 'kind');
    IF gone IS NOT NULL THEN
        RETURN ('schema tampered', 0, NULL, format('columns that the MAC covers are gone, or of another type: %s', gone))::raxx_detect.chain_break;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_structural_break(raxx_detect.chains) IS 'A break if a chain of an application cannot be read any more, else NULL.';

CREATE FUNCTION raxx_detect.declared_trust(chain raxx_detect.chains) RETURNS raxx_detect.chain_trust
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key jsonb := (SELECT raxx_detect.record_says(r.payload) -> 'key' FROM raxx_detect.chain_records r WHERE r.chain_id = chain.chain_id AND r.seq = 0);
    result raxx_detect.chain_trust;
    r raxx_detect.chain_records;
    next bigint := 0;
    before bytea := decode(repeat('00', 32), 'hex');
    holds boolean;
BEGIN
    result.records := '{}';
    result.breaks := '{}';
    -- One key from the beginning to the end, and no columns: what the MACs of rows are made of, the genesis says itself.
    result.plan := raxx_detect.chain_plan(chain, jsonb_build_array(jsonb_build_object('from', 0, 'key', coalesce(key, '""'), 'columns', '[]'::jsonb)));
    FOR r IN SELECT k.* FROM raxx_detect.chain_records k WHERE k.chain_id = chain.chain_id ORDER BY k.seq LOOP
        holds := raxx_detect.chain_record_holds((result.plan).reading, r.seq, r.prev, r.mac, r.payload) AND r.seq = next AND r.prev = before;
        result.records := result.records || (r.seq, r.prev, r.mac, holds, 'record ' || left(r.kind, 20))::raxx_detect.chain_entry;
        IF NOT holds AND r.seq > 0 THEN
            result.breaks := result.breaks || (raxx_detect.record_break(r.kind), 0, NULL, format('the record of kind %s was modified, or one before it is gone', left(r.kind, 20)))::raxx_detect.chain_break;
        END IF;
        next := r.seq + 1;
        before := r.mac;
    END LOOP;
    IF key IS NULL OR NOT (result.records[1]).holds OR (result.records[1]).seq > 0 THEN
        result.breaks := result.breaks || ('genesis replaced', 0, 0, 'the record of the declaration is gone or was modified: nothing vouches for the format')::raxx_detect.chain_break;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_trust(raxx_detect.chains) IS
'What raxx_detect.chain_trust is for a chain that is sealed here: the records of a chain of an application, which have numbers of their own, verified.';

CREATE FUNCTION raxx_detect.as_declared(chain raxx_detect.chains, trust raxx_detect.chain_trust) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.payload::jsonb -> 'declared' FROM raxx_detect.chain_records r JOIN unnest(trust.records) e ON e.seq = r.seq
    WHERE r.chain_id = chain.chain_id AND r.seq = 0 AND e.holds
$$;
COMMENT ON FUNCTION raxx_detect.as_declared(raxx_detect.chains, raxx_detect.chain_trust) IS 'The format as the sealed record has it; NULL if that does not hold.';

CREATE FUNCTION raxx_detect.declared_head_break(chain raxx_detect.chains, head raxx_detect.chain_heads) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    macs bytea[];
    there bigint;
BEGIN
    IF head.seq < 0 THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(m.mac), count(*) INTO macs, there FROM raxx_detect.declared_macs(chain, ARRAY[head.seq]) m;
    IF there = 0 THEN
        RETURN ('tail truncated', greatest(coalesce((raxx_detect.row_before(chain, head.seq)).seq + 1, 0), 0), head.seq, 'the last rows that were verified before are gone')::raxx_detect.chain_break;
    ELSIF head.mac = ANY (macs) THEN
        RETURN NULL;
    END IF;
    RETURN ('suffix rewritten', head.seq, head.seq, 'the row that was the last one verified has another MAC than it had')::raxx_detect.chain_break;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_head_break(raxx_detect.chains, raxx_detect.chain_heads) IS
'A break if the last row that was verified is gone or has another MAC, else NULL: its number and MAC are kept in raxx_detect.chain_heads.';

CREATE FUNCTION raxx_detect.unnumbered_rows(chain raxx_detect.chains) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found boolean := false;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = chain.relation AND a.attname = chain.declared ->> 'seq' AND a.attnotnull) THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.%I IS NULL)', chain.relation, chain.declared ->> 'seq') INTO found;
    END IF;
    RETURN CASE WHEN found THEN ('unsealed', coalesce(raxx_detect.last_declared_seq(chain) + 1, 0), NULL, 'rows have no number, and so no place in the chain')::raxx_detect.chain_break END;
END $$;
COMMENT ON FUNCTION raxx_detect.unnumbered_rows(raxx_detect.chains) IS 'A break if a relation with a chain of an application has rows without a number, else NULL.';

-- ---- verifying --------------------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.declared_check AS (report raxx_detect.chain_report, last_seq bigint, last_mac bytea);
COMMENT ON TYPE raxx_detect.declared_check IS 'What a verification of a chain of an application has found, and the last row with a MAC among those that it read.';

CREATE FUNCTION raxx_detect.checkpoints_gone(chain raxx_detect.chains, from_seq bigint, to_seq bigint, breaks raxx_detect.chain_break[]) RETURNS raxx_detect.chain_break[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH known AS MATERIALIZED (SELECT k.seq, k.number FROM raxx_detect.known_checkpoints(chain.chain_id, from_seq, NULL) k WHERE k.verdict = 'valid' AND k.seq <= to_seq),
    there AS MATERIALIZED (SELECT m.seq FROM raxx_detect.declared_macs(chain, ARRAY(SELECT k.seq FROM known k)) m)
    SELECT coalesce(array_agg(('tail truncated', g.lowest, g.highest, format('checkpoint %s has row %s, which is gone, though rows with higher numbers are there', g.number, g.lowest))::raxx_detect.chain_break), '{}')
    FROM (SELECT min(k.seq) AS lowest, max(k.seq) AS highest, min(k.number) AS number FROM known k
          -- What is told already is one thing with it.
          WHERE k.seq NOT IN (SELECT t.seq FROM there t) AND NOT EXISTS (SELECT FROM unnest(breaks) b WHERE b.kind IN ('seq gap', 'genesis replaced', 'tail truncated') AND b.seq_to >= k.seq)
          HAVING count(*) > 0) g
$$;
COMMENT ON FUNCTION raxx_detect.checkpoints_gone(raxx_detect.chains, bigint, bigint, raxx_detect.chain_break[]) IS
'A break if a row of a checkpoint is gone though the chain goes on: where numbers may be missing, nothing else tells that a tail was cut off and written on.';

CREATE FUNCTION raxx_detect.check_declared(chain raxx_detect.chains, from_seq bigint, to_seq bigint, external text[]) RETURNS raxx_detect.declared_check
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.declared_check;
    breaks raxx_detect.chain_break[] := '{}';
    head raxx_detect.chain_heads;
    trust raxx_detect.chain_trust := raxx_detect.chain_trust(chain);
    tally raxx_detect.declared_tally;
    of_head raxx_detect.chain_break;
    structural raxx_detect.chain_break;
    sealed jsonb := raxx_detect.as_declared(chain, trust);
    last_there bigint;
BEGIN
    IF sealed <> chain.declared THEN
        breaks := breaks || ('schema tampered', 0, NULL, 'the format in raxx_detect.chains is not the one that was declared')::raxx_detect.chain_break;
        chain.declared := sealed;
    END IF;
    structural := raxx_detect.declared_structural_break(chain);
    IF structural.kind IS NOT NULL THEN
        result.report := (NULL, from_seq, NULL, breaks || structural)::raxx_detect.chain_report;
        RETURN result;
    END IF;
    SELECT h.* INTO head FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id;
    -- From the beginning there is no row that is too early.
    from_seq := CASE WHEN from_seq <= greatest(raxx_detect.first_seq(chain), 0) THEN raxx_detect.first_seq(chain) ELSE from_seq END;
    last_there := raxx_detect.last_declared_seq(chain);
    tally := raxx_detect.audit_declared(chain, from_seq, to_seq);
    of_head := CASE WHEN head.seq BETWEEN from_seq AND to_seq THEN raxx_detect.declared_head_break(chain, head) END;
    breaks := breaks || trust.breaks || ARRAY(
        SELECT b FROM unnest(raxx_detect.declared_breaks(chain, tally)) b
        -- That the last rows are gone, and that what was written after them follows others, is one thing.
        WHERE NOT coalesce(of_head.kind = 'tail truncated' AND b.kind IN ('seq gap', 'link broken') AND b.seq_from BETWEEN of_head.seq_from AND of_head.seq_to + 1, false));
    -- A row that is not what was sealed is told as such.
    IF of_head.kind IS NOT NULL AND NOT EXISTS (SELECT FROM unnest(breaks) b WHERE b.kind IN ('content modified', 'key epoch', 'unsealed') AND head.seq BETWEEN b.seq_from AND b.seq_to) THEN
        breaks := breaks || of_head;
    END IF;
    breaks := breaks || array_remove(ARRAY[raxx_detect.missing_keys(trust)], NULL);
    breaks := breaks || raxx_detect.checkpoints_gone(chain, greatest(from_seq, 0), least(to_seq, last_there), breaks);
    IF to_seq >= coalesce(last_there, head.seq) THEN
        breaks := breaks || array_remove(ARRAY[raxx_detect.unnumbered_rows(chain)], NULL) || raxx_detect.declared_checkpoint_breaks(chain, trust, from_seq, breaks, external);
    END IF;
    result.report := (greatest(coalesce(tally.last_seq, -1), coalesce(last_there, -1)), from_seq, coalesce(tally.rows, 0), breaks)::raxx_detect.chain_report;
    result.last_seq := tally.last_seq;
    result.last_mac := tally.last_mac;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.check_declared(raxx_detect.chains, bigint, bigint, text[]) IS
'Verifies the rows of a chain of an application from from_seq up to to_seq, the record of its declaration, and, if it goes up to the last row, the checkpoints from from_seq on. Writes nothing.';

CREATE FUNCTION raxx_detect.declared_checkpoint_breaks(chain raxx_detect.chains, trust raxx_detect.chain_trust, from_seq bigint, breaks raxx_detect.chain_break[], external text[])
RETURNS raxx_detect.chain_break[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_there bigint := coalesce(raxx_detect.last_declared_seq(chain), -1);
BEGIN
    RETURN ARRAY(
        SELECT c FROM raxx_detect.checkpoint_breaks(trust, greatest(from_seq, 0), last_there, external) c
        -- What the head tells already is one thing with it.
        WHERE NOT EXISTS (SELECT FROM unnest(breaks) b WHERE b.kind = c.kind AND c.kind IN ('suffix rewritten', 'tail truncated')));
END $$;
COMMENT ON FUNCTION raxx_detect.declared_checkpoint_breaks(raxx_detect.chains, raxx_detect.chain_trust, bigint, raxx_detect.chain_break[], text[]) IS
'What checkpoints say against a chain of an application beyond the breaks that are known.';

-- ---- rule 7's run ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.next_declared_slice(rule raxx_detect.rules, chain raxx_detect.chains, head raxx_detect.chain_heads, OUT from_seq bigint, OUT to_seq bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    every interval := rule.params ->> 'slice_every';
    share float8 := extract(epoch FROM every) / extract(epoch FROM (rule.params ->> 'full_pass')::interval);
    estimate float8 := (SELECT greatest(c.reltuples, 0) FROM pg_class c WHERE c.oid = chain.relation);
BEGIN
    IF head.seq < 0 OR head.sliced_at > clock_timestamp() - every THEN
        RETURN;
    END IF;
    from_seq := CASE WHEN head.pass_seq > head.seq THEN 0 ELSE head.pass_seq END;
    to_seq := least(head.seq, coalesce(raxx_detect.end_of_stretch(chain, from_seq, greatest(ceil(estimate * share)::bigint, 20000)), head.seq));
END $$;
COMMENT ON FUNCTION raxx_detect.next_declared_slice(raxx_detect.rules, raxx_detect.chains, raxx_detect.chain_heads) IS
'As raxx_detect.next_slice, by rows and not by numbers, which may have holes.';

CREATE FUNCTION raxx_detect.verify_declared_due(rule raxx_detect.rules, chain raxx_detect.chains) RETURNS raxx_detect.chain_break[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_once CONSTANT bigint := 1000000;
    result raxx_detect.chain_break[];
    head raxx_detect.chain_heads := raxx_detect.lock_chain_head(chain.chain_id);
    up_to bigint;
    done raxx_detect.declared_check;
    slice record;
BEGIN
    up_to := coalesce(raxx_detect.end_of_stretch(chain, greatest(head.seq, 0), at_once), head.seq);
    done := raxx_detect.check_declared(chain, greatest(head.seq, 0), greatest(up_to, head.seq), NULL);
    result := (done.report).breaks;
    IF done.last_seq >= head.seq AND NOT EXISTS (SELECT FROM unnest(result) b WHERE b.kind = 'indeterminate') THEN
        UPDATE raxx_detect.chain_heads h SET seq = done.last_seq, mac = done.last_mac, verified_seq = done.last_seq, verified_at = clock_timestamp()
        WHERE h.chain_id = chain.chain_id RETURNING h.* INTO head;
    END IF;
    slice := raxx_detect.next_declared_slice(rule, chain, head);
    IF slice.from_seq IS NOT NULL THEN
        done := raxx_detect.check_declared(chain, slice.from_seq, slice.to_seq, NULL);
        result := result || (done.report).breaks;
        UPDATE raxx_detect.chain_heads h SET sliced_at = clock_timestamp(), pass_seq = slice.to_seq + 1,
            passed_at = CASE WHEN slice.to_seq >= head.seq THEN clock_timestamp() ELSE h.passed_at END
        WHERE h.chain_id = chain.chain_id AND NOT EXISTS (SELECT FROM unnest((done.report).breaks) b WHERE b.kind = 'indeterminate');
    END IF;
    RETURN result || CASE WHEN head.seq >= 0 THEN raxx_detect.look_at_checkpoints(rule, chain, head) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.verify_declared_due(raxx_detect.rules, raxx_detect.chains) IS
'What raxx_detect.verify_what_is_due does, for a chain of an application: verifies up to a million rows from the last one verified on, which then is the new head, and the slice and the checkpoint that are due.';
