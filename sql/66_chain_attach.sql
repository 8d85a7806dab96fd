-- Attaching a chain to a relation, and what people do to a chain: another key, a key that is revoked, an end.

CREATE FUNCTION raxx_detect.require_no_chain(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains;
BEGIN
    SELECT c.* INTO chain FROM raxx_detect.chains c WHERE c.relation = require_no_chain.relation AND c.detached_at IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('%s has a hash chain already', relation),
            DETAIL = format('It is chain %s, attached at %s.', chain.chain_id, chain.attached_at),
            HINT = 'End that one first, with a reason: raxx_detect.chain_detach.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.require_no_chain(regclass) IS 'Raises 42710 if a chain is attached to the relation.';

CREATE FUNCTION raxx_detect.check_attachable(relation regclass, columns name[], mode text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains;
    unknown text;
    unsealable text;
BEGIN
    IF relation IS NULL OR mode IS NULL OR mode NOT IN ('sealer', 'commit') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN relation IS NULL THEN 'relation must not be NULL' ELSE 'unknown mode of a chain' END,
            DETAIL = format('The mode is %s.', coalesce(quote_literal(left(mode, 100)), 'NULL')),
            HINT = 'Modes are sealer (rows are sealed after the commit) and commit (in the transaction that inserts them).';
    END IF;
    IF (SELECT c.relkind NOT IN ('r', 'p') FROM pg_class c WHERE c.oid = relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s cannot have a hash chain', relation),
            DETAIL = 'It is not a table or a partitioned table.', HINT = 'Attach the chain to the table in which the rows are.';
    END IF;
    PERFORM raxx_detect.require_no_chain(relation);
    SELECT string_agg(quote_ident(w), ', ') INTO unknown FROM unnest(columns) w
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = w AND a.attnum > 0 AND NOT a.attisdropped)
       OR raxx_detect.is_chain_column(w);
    chain.relation := relation;
    chain.columns := columns;
    unsealable := raxx_detect.unsealable_columns(chain);
    IF unknown IS NOT NULL OR cardinality(columns) = 0 OR raxx_detect.sealable_columns(chain) = '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('these columns of %s cannot be sealed', relation),
            DETAIL = coalesce(format('There is no column %s.', unknown), 'There is none among them.'), HINT = 'Name columns of the table, or leave them out for all.';
    ELSIF unsealable IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('columns of %s have types without a canonical form', relation),
            DETAIL = format('They are %s.', unsealable),
            HINT = 'Name the columns to seal without them, as the second argument; what is left out is not protected.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_attachable(regclass, name[], text) IS
'Raises 22023, 42809, 42710, 42703 or 0A000 unless a chain can be attached to these columns of a relation.';

CREATE FUNCTION raxx_detect.newest_chain_key() RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result text;
BEGIN
    SELECT k.key_id INTO result FROM raxx_detect.chain_keys() WITH ORDINALITY k(key_id, kind, number) WHERE k.kind = 'chain' ORDER BY k.number DESC LIMIT 1;
    IF result IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'there is no key for hash chains',
            DETAIL = 'The key file or key command has no key of the kind chain.', HINT = 'Add a line such as: chain k1 followed by 64 random hexadecimal digits.';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.newest_chain_key() IS 'The id of the last chain key in the key file, or of the key command; raises 55000 if there is none.';

CREATE FUNCTION raxx_detect.add_chain_columns(relation regclass, mode text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS raxx_seq bigint, ADD COLUMN IF NOT EXISTS raxx_prev bytea, ADD COLUMN IF NOT EXISTS raxx_mac bytea', relation);
    IF raxx_detect.missing_chain_column(relation) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch', MESSAGE = format('column %I of %s is of another type than a chain needs', raxx_detect.missing_chain_column(relation), relation),
            DETAIL = 'A chain needs raxx_seq bigint, raxx_prev bytea and raxx_mac bytea.', HINT = 'Rename the column that is there.';
    END IF;
    -- What an earlier chain left there is no part of this one.
    EXECUTE format('UPDATE %s t SET raxx_seq = NULL, raxx_prev = NULL, raxx_mac = NULL WHERE t.raxx_seq IS NOT NULL OR t.raxx_prev IS NOT NULL OR t.raxx_mac IS NOT NULL', relation);
    -- It finds what is not sealed yet, since NULLs are in it, too, and entries by their numbers.
    IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND a.attname = 'raxx_seq' AND i.indpred IS NULL) THEN
        EXECUTE format('CREATE INDEX ON %s (raxx_seq)', relation);
    END IF;
    IF mode = 'commit' THEN
        EXECUTE format('CREATE CONSTRAINT TRIGGER raxx_seal_at_commit AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raxx_detect.seal_at_commit()', relation);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.add_chain_columns(regclass, text) IS
'Gives a relation the columns raxx_seq, raxx_prev and raxx_mac, all NULL, an index on the first, and in mode commit the trigger. An index that begins with raxx_seq and is there already is used.';

CREATE FUNCTION raxx_detect.create_chain_beside(chain raxx_detect.chains) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys name[] := raxx_detect.key_columns(chain.relation);
    unsealed name := (SELECT k FROM unnest(keys) k WHERE k <> ALL (coalesce(chain.columns, keys)) LIMIT 1);
    beside text := format('%s.%I', (SELECT c.relnamespace::regnamespace FROM pg_class c WHERE c.oid = chain.relation), 'raxx_chain_' || right(chain.chain_id::text, 12));
BEGIN
    IF keys = '{}' OR unsealed IS NOT NULL OR chain.mode <> 'sealer' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('the chain of %s cannot be beside it', chain.relation),
            DETAIL = CASE WHEN chain.mode <> 'sealer' THEN 'The mode is commit.' WHEN keys = '{}' THEN 'The table has no primary key.'
                          ELSE format('Column %I of the primary key is not among those that are sealed.', unsealed) END,
            HINT = 'A chain beside a table finds its rows by their primary key, seals that, too, and has the mode sealer.';
    END IF;
    EXECUTE format('CREATE TABLE %s AS SELECT %s, NULL::bigint AS raxx_seq, NULL::bytea AS raxx_prev, NULL::bytea AS raxx_mac FROM %s t WITH NO DATA', beside,
        (SELECT string_agg(format('t.%I AS key_%s', k.name, k.position), ', ' ORDER BY k.position) FROM unnest(keys) WITH ORDINALITY k(name, position)), chain.relation);
    EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', beside, (SELECT string_agg(format('key_%s', n), ', ' ORDER BY n) FROM generate_subscripts(keys, 1) n));
    EXECUTE format('CREATE INDEX ON %s (raxx_seq)', beside);
    EXECUTE format('COMMENT ON TABLE %s IS %L', beside, format('The hash chain of %s: the number and MAC of each row, by its primary key.', chain.relation));
    RETURN beside::regclass;
END $$;
COMMENT ON FUNCTION raxx_detect.create_chain_beside(raxx_detect.chains) IS
'Creates the table beside a relation that has the numbers and MACs of its rows, in the relation''s schema. Raises 55000 without a primary key, or if that is not sealed, or in another mode than sealer.';

CREATE FUNCTION raxx_detect.chain_attach(relation regclass, columns name[] DEFAULT NULL, mode text DEFAULT 'sealer', key_id text DEFAULT NULL, beside boolean DEFAULT false) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains;
BEGIN
    PERFORM raxx_detect.check_attachable(relation, columns, mode);
    chain.chain_id := raxx_detect.new_chain_id();
    chain.relation := relation;
    chain.mode := mode;
    chain.columns := columns;
    IF beside THEN
        chain.beside := raxx_detect.create_chain_beside(chain);
    ELSE
        PERFORM raxx_detect.add_chain_columns(relation, mode);
    END IF;
    INSERT INTO raxx_detect.chains (chain_id, relation, mode, columns, beside) VALUES (chain.chain_id, relation, mode, columns, chain.beside) RETURNING * INTO chain;
    INSERT INTO raxx_detect.chain_heads (chain_id, seq, mac) VALUES (chain.chain_id, -1, decode(repeat('00', 32), 'hex'));
    PERFORM raxx_detect.write_chain_record(chain, jsonb_build_object('kind', 'genesis', 'format', 1, 'chain', chain.chain_id,
        'relation', relation::text, 'mode', mode, 'key', coalesce(key_id, raxx_detect.newest_chain_key())));
    PERFORM raxx_detect.write_chain_record(chain, raxx_detect.manifest_due(chain, '[]'));
    RETURN chain.chain_id;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_attach(regclass, name[], text, text, boolean) IS
'Gives a table a hash chain and returns its id. columns: which are sealed, NULL for all, also those that come later; mode: sealer or commit; key_id: the key, NULL for the newest; beside: whether numbers and MACs are kept in a table of their own beside it, by the primary key, and the table stays as it is. By the owner of the table, which is locked for as long as it takes to add three empty columns and an index (beside: only for reading). Rows that are there are sealed by and by (raxx_detect.chain_seal_backlog does it at once). Errors: 42809 no table, 42710 has a chain, 42703 columns, 0A000 a type without a canonical form, 55000 no key, or none that rows are found by, 42501.';

CREATE FUNCTION raxx_detect.chain_rotate_key(relation regclass, key_id text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.sealed_chain_of(relation);
    wanted text := coalesce(key_id, raxx_detect.newest_chain_key());
BEGIN
    PERFORM raxx_detect.lock_chain_head(chain.chain_id);
    IF NOT EXISTS (SELECT FROM raxx_detect.chain_keys() k WHERE k.key_id = wanted AND k.kind = 'chain') THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no key %L for hash chains', left(wanted, 64)),
            DETAIL = 'The key file or key command does not have it.', HINT = 'SELECT * FROM raxx_detect.chain_keys();';
    ELSIF wanted = (SELECT e.key_id FROM raxx_detect.chain_epochs(chain.chain_id) e ORDER BY e.from_seq DESC LIMIT 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('the chain of %s has key %L already', relation, wanted),
            DETAIL = 'There is nothing to change.', HINT = 'Add a new key to the end of the key file first, and keep the old one: it is needed to verify.';
    END IF;
    RETURN raxx_detect.write_chain_record(chain, jsonb_strip_nulls(jsonb_build_object('kind', 'key', 'key', wanted, 'reason', reason)));
END $$;
COMMENT ON FUNCTION raxx_detect.chain_rotate_key(regclass, text, text) IS
'Seals what comes from now on with another key (NULL: the newest), by a record that the old key seals; returns the record''s sequence number. Keep the old key: what it sealed is verified with it. Raises 42704 for a key that is not there, 22023 if it is the one in use.';

CREATE FUNCTION raxx_detect.chain_revoke_key(relation regclass, key_id text, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.sealed_chain_of(relation);
BEGIN
    PERFORM raxx_detect.lock_chain_head(chain.chain_id);
    IF reason IS NULL OR NOT EXISTS (SELECT FROM raxx_detect.chain_epochs(chain.chain_id) e WHERE e.key_id = key_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('key %L cannot be revoked', left(key_id, 64)),
            DETAIL = CASE WHEN reason IS NULL THEN 'No reason is given.' ELSE format('The chain of %s was never sealed with it.', relation) END,
            HINT = 'Give the id of a key of this chain (raxx_detect.chain_epochs), and a reason.';
    ELSIF key_id = (SELECT e.key_id FROM raxx_detect.chain_epochs(chain.chain_id) e ORDER BY e.from_seq DESC LIMIT 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('key %L is in use', key_id),
            DETAIL = format('The chain of %s is sealed with it.', relation), HINT = 'Change to another key first: raxx_detect.chain_rotate_key.';
    END IF;
    RETURN raxx_detect.write_chain_record(chain, jsonb_build_object('kind', 'revoked', 'key', key_id, 'reason', reason));
END $$;
COMMENT ON FUNCTION raxx_detect.chain_revoke_key(regclass, text, text) IS
'Records that a key which this chain no longer uses must not be trusted any more: from now on an entry that only holds under it is a break of kind key epoch wherever it stands. What it sealed in its own time is verified as before, and is as good as the checkpoints of that time. Raises 22023.';

CREATE FUNCTION raxx_detect.chain_detach(relation regclass, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.chain_of(relation);
    seq bigint;
BEGIN
    IF reason IS NULL OR reason = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a chain is not ended without a reason',
            DETAIL = 'The reason is NULL or empty.', HINT = 'Say why; it is sealed as the chain''s last record.';
    END IF;
    seq := raxx_detect.write_chain_record(chain, jsonb_build_object('kind', 'detach', 'reason', reason, 'by', session_user));
    UPDATE raxx_detect.chains c SET detached_at = now() WHERE c.chain_id = chain.chain_id;
    IF chain.mode <> 'declared' THEN
        EXECUTE format('DROP TRIGGER IF EXISTS raxx_seal_at_commit ON %s', relation);
    END IF;
    -- Rule 7 does not miss it.
    DELETE FROM raxx_detect.coverage k USING raxx_detect.rules r, raxx_detect.source_bindings b
    WHERE r.rule_id = k.rule_id AND r.method = 'chain' AND b.source = k.source AND b.relation = relation;
    RETURN seq;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_detach(regclass, text) IS
'Ends a chain, with a reason, by a last record whose sequence number it returns. The columns and what is sealed stay; raxx_detect.verify_chain still verifies it, until another chain is attached. By the owner of the table. Raises 42704, 22023.';
