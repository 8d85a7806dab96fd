-- What is said of a chain as a whole, and of the part that is new.

CREATE TYPE raxx_detect.chain_report AS (head_seq bigint, from_seq bigint, entries bigint, breaks raxx_detect.chain_break[]);
COMMENT ON TYPE raxx_detect.chain_report IS
'What a verification has found: the last entry of the chain, from which entry on it was verified, how many there were, and what is wrong, or cannot be told (kind indeterminate).';

CREATE FUNCTION raxx_detect.newest_chain(relation regclass) RETURNS raxx_detect.chains
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains;
BEGIN
    SELECT c.* INTO chain FROM raxx_detect.chains c WHERE c.relation = newest_chain.relation ORDER BY c.detached_at DESC NULLS FIRST LIMIT 1;
    RETURN CASE WHEN FOUND THEN chain ELSE raxx_detect.chain_of(relation) END;
END $$;
COMMENT ON FUNCTION raxx_detect.newest_chain(regclass) IS 'The chain of a relation, or the last one that it had; raises 42704 if it never had one.';

CREATE FUNCTION raxx_detect.has_unnumbered(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.raxx_seq IS NULL)', relation) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.has_unnumbered(regclass) IS 'Whether a relation that has the columns of its chain has a row without a number.';

CREATE FUNCTION raxx_detect.has_unsealed(chain raxx_detect.chains) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    result boolean;
BEGIN
    IF chain.beside IS NULL THEN
        RETURN raxx_detect.has_unnumbered(chain.relation);
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE NOT EXISTS (SELECT FROM %s s WHERE %s))', chain.relation, chain.beside, raxx_detect.same_key(chain.relation)) INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.has_unsealed(raxx_detect.chains) IS 'Whether the relation of a chain has a row that has no place in it yet.';

CREATE FUNCTION raxx_detect.entries_beyond(trust raxx_detect.chain_trust) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    lowest bigint;
    highest bigint;
    -- Read after the rows: what was sealed meanwhile lies within.
    head_seq bigint;
BEGIN
    EXECUTE format('SELECT max(t.raxx_seq), min(t.raxx_seq) FROM %s t',
        (SELECT coalesce(c.beside, c.relation) FROM raxx_detect.chains c WHERE c.chain_id = (trust.plan).chain_id)) INTO highest, lowest;
    SELECT greatest(highest, max(r.seq)), least(lowest, min(r.seq)) INTO highest, lowest FROM raxx_detect.chain_records r WHERE r.chain_id = (trust.plan).chain_id;
    head_seq := (SELECT h.seq FROM raxx_detect.chain_heads h WHERE h.chain_id = (trust.plan).chain_id);
    RETURN CASE WHEN highest > head_seq THEN
                    ('fork', head_seq + 1, highest, format('there are entries beyond the last one, %s: the head was set back, or they were put there', head_seq))::raxx_detect.chain_break
                WHEN lowest < 0 THEN
                    ('fork', lowest, lowest, 'an entry has a number before the first')::raxx_detect.chain_break END;
END $$;
COMMENT ON FUNCTION raxx_detect.entries_beyond(raxx_detect.chain_trust) IS 'A break if there are rows or records whose numbers the chain does not reach, else NULL.';

CREATE FUNCTION raxx_detect.sealing_trouble(chain raxx_detect.chains, head raxx_detect.chain_heads) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF chain.detached_at IS NULL AND NOT pg_is_in_recovery() AND coalesce(head.sealed_at, chain.attached_at) < clock_timestamp() - interval '5 minutes'
       AND raxx_detect.has_unsealed(chain) THEN
        RETURN ('indeterminate', head.seq + 1, NULL, format('rows are waiting to be sealed since %s', raxx_detect.utc_text(coalesce(head.sealed_at, chain.attached_at))))::raxx_detect.chain_break;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.sealing_trouble(raxx_detect.chains, raxx_detect.chain_heads) IS 'That the sealer is behind, as an indeterminate break, or NULL: rows are unsealed, and for 5 minutes there was no moment in which none was.';

CREATE FUNCTION raxx_detect.structural_break(chain raxx_detect.chains) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN raxx_detect.declared_structural_break(chain);
    END IF;
    RETURN CASE
        WHEN NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = chain.relation) THEN
            ('chain missing', 0, NULL, format('the relation (OID %s) is gone', chain.relation::oid))::raxx_detect.chain_break
        WHEN NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = coalesce(chain.beside, chain.relation)) THEN
            ('chain missing', 0, NULL, format('the table beside %s, with its numbers and MACs, is gone', chain.relation))::raxx_detect.chain_break
        WHEN chain.beside IS NOT NULL AND (cardinality(raxx_detect.key_columns(chain.relation)) = 0 OR raxx_detect.key_kinds(chain.relation) IS DISTINCT FROM raxx_detect.key_kinds(chain.beside)) THEN
            ('chain missing', 0, NULL, format('the primary key of %s, by which its entries are found, is gone, or another one', chain.relation))::raxx_detect.chain_break
        WHEN raxx_detect.missing_chain_column(coalesce(chain.beside, chain.relation)) IS NOT NULL THEN
            ('chain missing', 0, NULL, format('column %s is gone, or of another type', raxx_detect.missing_chain_column(coalesce(chain.beside, chain.relation))))::raxx_detect.chain_break
        WHEN NOT EXISTS (SELECT FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id) THEN
            ('chain missing', 0, NULL, 'the head of the chain is gone from raxx_detect.chain_heads')::raxx_detect.chain_break
        WHEN NOT EXISTS (SELECT FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id AND octet_length(h.mac) = 32
                         AND h.seq BETWEEN 0 AND 9000000000000000000) THEN
            ('chain missing', 0, NULL, 'the head of the chain is none: a number or a MAC that no entry has')::raxx_detect.chain_break
        WHEN chain.detached_at IS NOT NULL AND NOT EXISTS (SELECT FROM raxx_detect.chain_records r
                                                           WHERE r.chain_id = chain.chain_id AND raxx_detect.record_says(r.payload) ->> 'kind' = 'detach') THEN
            ('chain missing', 0, NULL, 'the chain is said to have ended, but no record tells of it')::raxx_detect.chain_break
        END;
END $$;
COMMENT ON FUNCTION raxx_detect.structural_break(raxx_detect.chains) IS 'A break if there is no chain to be read any more, else NULL.';

CREATE FUNCTION raxx_detect.is_unreadable(chain raxx_detect.chains) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (raxx_detect.structural_break(chain)).kind IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.is_unreadable(raxx_detect.chains) IS 'Whether there is no chain to be read any more (raxx_detect.structural_break).';

CREATE FUNCTION raxx_detect.missing_keys(trust raxx_detect.chain_trust) RETURNS raxx_detect.chain_break
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ('indeterminate', min((e ->> 'from')::bigint), NULL, format('there is no key %s', string_agg(DISTINCT e ->> 'key', ', ')))::raxx_detect.chain_break
    FROM jsonb_array_elements((trust.plan).reading::jsonb -> 'epochs') e
    WHERE e ->> 'key' <> '' AND e ->> 'key' NOT IN (SELECT k.key_id FROM raxx_detect.chain_keys() k WHERE k.kind = 'chain')
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION raxx_detect.missing_keys(raxx_detect.chain_trust) IS 'The keys of a chain that the ring does not have, as an indeterminate break; NULL: it has all.';

CREATE FUNCTION raxx_detect.explains(cause raxx_detect.chain_break, b raxx_detect.chain_break) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN cause.kind = b.kind THEN
            int8range(cause.seq_from, cause.seq_to, '[]') @> int8range(b.seq_from, b.seq_to, '[]') AND (cause.seq_from, cause.seq_to) IS DISTINCT FROM (b.seq_from, b.seq_to)
        WHEN cause.kind IN ('genesis replaced', 'schema tampered', 'key epoch', 'unsealed') THEN
            b.kind = 'seq gap' AND int8range(cause.seq_from, cause.seq_to, '[]') && int8range(b.seq_from, b.seq_to, '[]')
        WHEN cause.kind = 'fork' THEN b.kind IN ('tail truncated', 'rolled back') AND cause.seq_from <= b.seq_from OR b.kind = 'checkpoint missing'
        WHEN cause.kind IN ('suffix rewritten', 'rolled back', 'tail truncated', 'checkpoint invalid') THEN b.kind = 'checkpoint missing'
        ELSE false END
$$;
COMMENT ON FUNCTION raxx_detect.explains(raxx_detect.chain_break, raxx_detect.chain_break) IS 'Whether a break is only what follows from another one, or a part of it.';

CREATE FUNCTION raxx_detect.told_once(breaks raxx_detect.chain_break[]) RETURNS raxx_detect.chain_break[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH each AS MATERIALIZED (SELECT DISTINCT ON (b.kind, b.seq_from, b.seq_to) b.* FROM unnest(breaks) b)
    SELECT coalesce(array_agg((b.kind, b.seq_from, b.seq_to, b.detail)::raxx_detect.chain_break ORDER BY b.seq_from, b.kind), '{}') FROM each b
    WHERE NOT EXISTS (SELECT FROM each cause WHERE raxx_detect.explains((cause.kind, cause.seq_from, cause.seq_to, NULL)::raxx_detect.chain_break, (b.kind, b.seq_from, b.seq_to, NULL)::raxx_detect.chain_break))
$$;
COMMENT ON FUNCTION raxx_detect.told_once(raxx_detect.chain_break[]) IS 'Breaks, without those that another one explains.';

CREATE FUNCTION raxx_detect.unreadable_columns(trust raxx_detect.chain_trust, head_seq bigint) RETURNS raxx_detect.chain_break
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (trust.plan).unreadable IS NOT NULL THEN
        ('schema tampered', (trust.plan).unreadable_from, coalesce((trust.plan).unreadable_to, head_seq),
         format('sealed columns are gone, or of another type: %s', (trust.plan).unreadable))::raxx_detect.chain_break END
$$;
COMMENT ON FUNCTION raxx_detect.unreadable_columns(raxx_detect.chain_trust, bigint) IS 'A break if columns that were sealed are not there any more, else NULL.';

CREATE FUNCTION raxx_detect.check_chain(chain raxx_detect.chains, from_seq bigint, to_seq bigint, external text[]) RETURNS raxx_detect.chain_report
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.chain_report;
    head raxx_detect.chain_heads;
    trust raxx_detect.chain_trust;
    tally raxx_detect.tally_result;
    lost raxx_detect.lost_epoch;
    tried raxx_detect.lost_epoch[] := '{}';
    whole boolean := from_seq = 0;
    last bytea;
    -- A chain follows nothing.
    before bytea := CASE WHEN whole THEN decode(repeat('00', 32), 'hex') END;
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN (raxx_detect.check_declared(chain, from_seq, to_seq, external)).report;
    END IF;
    result.breaks := array_remove(ARRAY[raxx_detect.structural_break(chain)], NULL);
    IF result.breaks <> '{}' THEN
        RETURN result;
    END IF;
    SELECT h.* INTO head FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id;
    result.head_seq := head.seq;
    result.from_seq := from_seq;
    to_seq := least(to_seq, head.seq);
    last := CASE to_seq WHEN head.seq THEN head.mac END;
    LOOP
        trust := raxx_detect.chain_trust(chain, tried);
        tally := raxx_detect.audit_range(trust, from_seq, to_seq, before, last, whole AND to_seq = head.seq);
        lost := raxx_detect.lost_before(chain, trust, tally, from_seq, to_seq);
        EXIT WHEN lost IS NULL OR cardinality(tried) >= 20;
        tried := tried || lost;
    END LOOP;
    result.entries := tally.entries;
    result.breaks := trust.breaks || raxx_detect.chain_breaks(trust, tally, from_seq, to_seq, before, last, head.seq)
        || array_remove(ARRAY[raxx_detect.unreadable_columns(trust, head.seq), raxx_detect.missing_keys(trust), raxx_detect.entries_beyond(trust),
                              raxx_detect.sealing_trouble(chain, head)], NULL);
    IF to_seq = head.seq THEN
        result.breaks := result.breaks || ARRAY(SELECT c FROM raxx_detect.checkpoint_breaks(trust, from_seq, head.seq, external) c);
    END IF;
    result.breaks := raxx_detect.told_once(result.breaks);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.check_chain(raxx_detect.chains, bigint, bigint, text[]) IS
'Verifies the entries of a chain from from_seq up to to_seq or its last one, its records, and, if it goes up to the last one, the checkpoints from from_seq on, in the database and outside it (external). Writes nothing.';

CREATE FUNCTION raxx_detect.external_checkpoints() RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT raxx_detect.kept_checkpoints());
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.external_checkpoints() IS 'The lines that raxx_detect.checkpoint_source_command prints; NULL: there is no such command. Raises what goes wrong with it.';

CREATE FUNCTION raxx_detect.hold_columns(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Reading nothing takes the lock that reading takes; LOCK would need more rights. The snapshot of the next statement is younger.
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
        EXECUTE format('SELECT FROM %s t LIMIT 0', relation);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.hold_columns(regclass) IS
'Keeps the columns of a relation from being renamed or dropped until the transaction ends, between the moment at which they are looked up and the one at which they are read.';

CREATE FUNCTION raxx_detect.verify_chain(relation regclass, mode text DEFAULT 'incremental', external text[] DEFAULT NULL) RETURNS SETOF raxx_detect.chain_break
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.newest_chain(relation);
    report raxx_detect.chain_report;
    from_seq bigint := 0;
    unfetched text;
BEGIN
    IF mode IS NULL OR mode NOT IN ('incremental', 'full') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'unknown mode of verification',
            DETAIL = format('It is %s.', coalesce(quote_literal(left(mode, 100)), 'NULL')),
            HINT = 'Modes are incremental (what was sealed since the rule last verified) and full.';
    END IF;
    BEGIN
        external := external || coalesce(raxx_detect.external_checkpoints(), '{}');
    EXCEPTION WHEN OTHERS THEN
        unfetched := sqlerrm;
    END;
    IF mode = 'incremental' THEN
        SELECT greatest(0, least(h.verified_seq, h.seq)) INTO from_seq FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id;
    END IF;
    PERFORM raxx_detect.hold_columns(chain.relation);
    BEGIN
        report := raxx_detect.check_chain(chain, from_seq, 9223372036854775806, external);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RETURN NEXT ('indeterminate', from_seq, NULL, sqlerrm)::raxx_detect.chain_break;
        RETURN;
    END;
    IF unfetched IS NOT NULL THEN
        report.breaks := report.breaks || ('indeterminate', NULL, NULL, format('checkpoints from outside could not be had: %s', unfetched))::raxx_detect.chain_break;
    END IF;
    IF report.breaks = '{}' THEN
        RETURN NEXT ('intact', from_seq, report.head_seq, format('%s entries verified%s', report.entries,
            CASE WHEN CASE chain.mode WHEN 'declared' THEN false ELSE raxx_detect.has_unsealed(chain) END THEN '; rows are waiting to be sealed' ELSE '' END))::raxx_detect.chain_break;
    END IF;
    RETURN QUERY SELECT b.* FROM unnest(report.breaks) b;
END $$;
COMMENT ON FUNCTION raxx_detect.verify_chain(regclass, text, text[]) IS
'Verifies the chain of a relation, or the last one that it had, and returns what is wrong with it; one row of kind intact if nothing is, rows of kind indeterminate where that cannot be told (no key, a sealer that is behind, a standby). mode: incremental, what was sealed since the rule last verified, or full. external: lines of checkpoints that were kept outside the database, beside those that raxx_detect.checkpoint_source_command prints. Writes nothing, and needs only to read the relation. raxx_detect.chain_progress shows how far it is. Raises 42704 without a chain, 22023 for another mode.';
