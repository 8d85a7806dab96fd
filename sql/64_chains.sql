-- Hash chains: which relations have one, how a chain's epochs follow from its records, and how rows are read for it.
-- The format of entries is docs/chain-format.md; who seals is 65_chain_seal.sql, who verifies 67_chain_verify.sql.

CREATE TABLE raxx_detect.chains (
    chain_id uuid PRIMARY KEY,
    relation regclass NOT NULL,
    mode text NOT NULL CHECK (mode IN ('sealer', 'commit', 'declared')),
    columns name[],
    attached_at timestamptz NOT NULL DEFAULT now(),
    detached_at timestamptz,
    declared jsonb CHECK ((mode = 'declared') = (declared IS NOT NULL)),
    beside regclass CHECK (beside IS NULL OR mode = 'sealer')
);
CREATE UNIQUE INDEX chains_attached ON raxx_detect.chains (relation) WHERE detached_at IS NULL;
COMMENT ON TABLE raxx_detect.chains IS 'Hash chains of relations: made by raxx_detect.chain_attach, ended by raxx_detect.chain_detach.';
COMMENT ON COLUMN raxx_detect.chains.mode IS 'Who seals a row: sealer (raxx_detect.chain_seal, which rule 7''s run calls, after the commit) or commit (a deferred trigger, in the transaction that inserts it); declared: the application that writes it, as raxx_detect.chain_declare was told.';
COMMENT ON COLUMN raxx_detect.chains.columns IS 'The columns that are sealed; NULL: all that there are, and those that come.';
COMMENT ON COLUMN raxx_detect.chains.beside IS 'The table that has the numbers and MACs of the rows, by their primary key; NULL: the relation itself has them, in the columns raxx_seq, raxx_prev and raxx_mac.';
COMMENT ON COLUMN raxx_detect.chains.declared IS 'How the application makes the MACs, with all defaults filled in (mode declared); what counts is the copy in the chain''s sealed genesis record.';

CREATE TABLE raxx_detect.chain_heads (
    chain_id uuid PRIMARY KEY REFERENCES raxx_detect.chains ON DELETE CASCADE,
    seq bigint NOT NULL,
    mac bytea NOT NULL,
    sealed_at timestamptz,
    verified_seq bigint NOT NULL DEFAULT -1,
    verified_at timestamptz,
    sliced_at timestamptz,
    pass_seq bigint NOT NULL DEFAULT 0,
    passed_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE raxx_detect.chain_heads IS 'The last entry of each chain, and how far it has been verified. Whoever seals locks the row.';
COMMENT ON COLUMN raxx_detect.chain_heads.seq IS 'The sequence number of the last entry; -1: there is none yet.';
COMMENT ON COLUMN raxx_detect.chain_heads.sealed_at IS 'When the sealer last left no row unsealed.';
COMMENT ON COLUMN raxx_detect.chain_heads.verified_seq IS 'Up to here entries have been verified once since they were sealed; breaks among them are findings.';
COMMENT ON COLUMN raxx_detect.chain_heads.pass_seq IS 'Where the pass over the whole chain goes on; its last slice was verified at sliced_at, and the last pass ended at passed_at.';

-- In one sequence with the rows: what happens to the chain itself.
CREATE TABLE raxx_detect.chain_records (
    chain_id uuid NOT NULL REFERENCES raxx_detect.chains ON DELETE CASCADE,
    seq bigint NOT NULL,
    payload text NOT NULL,
    prev bytea NOT NULL,
    mac bytea NOT NULL,
    kind text NOT NULL GENERATED ALWAYS AS (payload::jsonb ->> 'kind') STORED,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, seq)
);
COMMENT ON TABLE raxx_detect.chain_records IS
'Entries of a chain that are no rows of its relation. kind: genesis, the first one; manifest, the columns that are sealed from then on; key, the key from then on; revoked, a key that must not be trusted any more; rolled back; detach. The payload is sealed as it stands here.';

CREATE FUNCTION raxx_detect.chain_of(relation regclass) RETURNS raxx_detect.chains
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains;
BEGIN
    SELECT c.* INTO chain FROM raxx_detect.chains c WHERE c.relation = chain_of.relation AND c.detached_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('%s has no hash chain', relation),
            DETAIL = format('Chains are attached to %s.', coalesce((SELECT string_agg(c.relation::text, ', ' ORDER BY c.relation::text)
                FROM raxx_detect.chains c WHERE c.detached_at IS NULL), 'no relation')),
            HINT = format('Attach one: SELECT raxx_detect.chain_attach(%L).', relation);
    END IF;
    RETURN chain;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_of(regclass) IS 'The chain that is attached to a relation; raises 42704 if there is none.';

CREATE FUNCTION raxx_detect.sealed_chain_of(relation regclass) RETURNS raxx_detect.chains
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains := raxx_detect.chain_of(relation);
BEGIN
    IF chain.mode = 'declared' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('the chain of %s is written by the application', relation),
            DETAIL = 'It was declared by raxx_detect.chain_declare; raxx_detect only verifies it.',
            HINT = 'To change how it is made, end it with raxx_detect.chain_detach, and declare it again.';
    END IF;
    RETURN chain;
END $$;
COMMENT ON FUNCTION raxx_detect.sealed_chain_of(regclass) IS
'The chain that is attached to a relation, if its rows are sealed here; raises 42704 if there is none, 55000 if an application writes it.';

CREATE FUNCTION raxx_detect.utc_text(instant timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
COMMENT ON FUNCTION raxx_detect.utc_text(timestamptz) IS 'An instant as ISO 8601 in UTC with microseconds, whatever the session''s settings.';

-- ---- columns ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.is_chain_column(name name) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT name IN ('raxx_seq', 'raxx_prev', 'raxx_mac')
$$;
COMMENT ON FUNCTION raxx_detect.is_chain_column(name) IS 'Whether a column holds a row''s place in the chain rather than something that is sealed.';

CREATE FUNCTION raxx_detect.sealable_columns(chain raxx_detect.chains) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'kind', k.kind, 'number', a.attnum) ORDER BY a.attnum), '[]')
    FROM pg_attribute a CROSS JOIN LATERAL (SELECT raxx_detect.canonical_kind(a.atttypid) AS kind) k
    WHERE a.attrelid = chain.relation AND a.attnum > 0 AND NOT a.attisdropped AND NOT raxx_detect.is_chain_column(a.attname)
      AND (chain.columns IS NULL OR a.attname = ANY (chain.columns)) AND k.kind IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.sealable_columns(raxx_detect.chains) IS
'The columns of a manifest that is made now, in their order: name, kind of canonical form (docs/chain-format.md) and number. What has no canonical form is left out.';

CREATE FUNCTION raxx_detect.unsealable_columns(chain raxx_detect.chains) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%I (%s)', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
    FROM pg_attribute a
    WHERE a.attrelid = chain.relation AND a.attnum > 0 AND NOT a.attisdropped AND NOT raxx_detect.is_chain_column(a.attname)
      AND (chain.columns IS NULL OR a.attname = ANY (chain.columns)) AND raxx_detect.canonical_kind(a.atttypid) IS NULL
$$;
COMMENT ON FUNCTION raxx_detect.unsealable_columns(raxx_detect.chains) IS 'The columns, of those that are to be sealed, whose types have no canonical form; NULL: none.';

CREATE FUNCTION raxx_detect.missing_chain_column(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(w.name) FROM (VALUES ('raxx_seq', 'bigint'::regtype), ('raxx_prev', 'bytea'), ('raxx_mac', 'bytea')) w(name, type)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = w.name AND a.atttypid = w.type AND NOT a.attisdropped)
$$;
COMMENT ON FUNCTION raxx_detect.missing_chain_column(regclass) IS 'One of raxx_seq bigint, raxx_prev bytea and raxx_mac bytea that the relation does not have; NULL: it has all.';

-- ---- what a record says -------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.is_manifest(columns jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_typeof(columns) = 'array', false) AND (
        SELECT count(*) <= 1600 AND count(DISTINCT c ->> 'name') = count(*)
           AND coalesce(bool_and(jsonb_typeof(c -> 'name') = 'string' AND octet_length(c ->> 'name') BETWEEN 1 AND 255
                                 AND jsonb_typeof(c -> 'kind') = 'string' AND octet_length(c ->> 'kind') BETWEEN 1 AND 255
                                 AND coalesce(c ->> 'number', '1') ~ '^[0-9]{1,4}$'), true)
        FROM jsonb_array_elements(CASE jsonb_typeof(columns) WHEN 'array' THEN columns ELSE '[]' END) c)
$$;
COMMENT ON FUNCTION raxx_detect.is_manifest(jsonb) IS 'Whether these are the columns of a manifest: an array of objects with a name that no other has, a kind, and perhaps a number.';

CREATE FUNCTION raxx_detect.is_key_name(name jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_typeof(name) = 'string' AND name #>> '{}' ~ '^[A-Za-z0-9._:/-]{1,64}$', false)
$$;
COMMENT ON FUNCTION raxx_detect.is_key_name(jsonb) IS 'Whether this can be the id of a key.';

CREATE FUNCTION raxx_detect.record_says(payload text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said jsonb;
BEGIN
    said := payload::jsonb;
    RETURN CASE WHEN CASE said ->> 'kind'
        WHEN 'genesis' THEN raxx_detect.is_key_name(said -> 'key')
        WHEN 'key' THEN raxx_detect.is_key_name(said -> 'key')
        WHEN 'manifest' THEN raxx_detect.is_manifest(said -> 'columns')
        WHEN 'rolled back' THEN said ->> 'checkpoints' ~ '^\[[0-9]{1,18}(, [0-9]{1,18})*\]$'
        ELSE jsonb_typeof(said -> 'kind') = 'string' END THEN said END;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.record_says(text) IS 'The payload of a record, or NULL if it is none that a record can have.';

-- ---- epochs ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_epochs(chain_id uuid, before_seq bigint DEFAULT NULL)
RETURNS TABLE (from_seq bigint, key_id text, columns jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS MATERIALIZED (
        SELECT r.seq, said, said ->> 'kind' AS kind FROM raxx_detect.chain_records r CROSS JOIN LATERAL raxx_detect.record_says(r.payload) said
        WHERE r.chain_id = chain_epochs.chain_id AND (before_seq IS NULL OR r.seq < before_seq)
    )
    SELECT DISTINCT ON (r.seq) CASE r.seq WHEN 0 THEN 0 ELSE r.seq + 1 END,
           (SELECT k.said ->> 'key' FROM told k WHERE k.seq <= r.seq AND k.kind IN ('genesis', 'key') ORDER BY k.seq DESC LIMIT 1),
           coalesce((SELECT m.said -> 'columns' FROM told m WHERE m.seq <= r.seq AND m.kind = 'manifest' ORDER BY m.seq DESC LIMIT 1), '[]')
    FROM told r WHERE r.kind IN ('genesis', 'manifest', 'key') AND EXISTS (SELECT FROM told g WHERE g.seq = 0 AND g.kind = 'genesis')
    ORDER BY r.seq
$$;
COMMENT ON FUNCTION raxx_detect.chain_epochs(uuid, bigint) IS
'The epochs of a chain, as its records (before a sequence number) tell them: from which entry on which key and which columns hold. A record that changes them is sealed under the epoch before.';

CREATE FUNCTION raxx_detect.current_column(relation regclass, epochs jsonb, epoch int, sealed jsonb) RETURNS name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    called text := sealed ->> 'name';
    renamed text;
    result name;
BEGIN
    -- Renamed since, as later manifests have noted it.
    FOR i IN epoch + 1 .. jsonb_array_length(epochs) - 1 LOOP
        SELECT c ->> 'name' INTO renamed FROM jsonb_array_elements(epochs -> i -> 'columns') c WHERE c ->> 'was' = called;
        called := coalesce(renamed, called);
    END LOOP;
    SELECT a.attname INTO result FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND raxx_detect.canonical_kind(a.atttypid) = sealed ->> 'kind'
      AND (a.attname = called OR a.attnum = (sealed ->> 'number')::int)
    ORDER BY a.attname = called DESC LIMIT 1;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.current_column(regclass, jsonb, int, jsonb) IS
'The column of a relation that a column of a manifest is now: by its name, by what later manifests call it, or by its number; NULL if there is none of its kind any more.';

-- ---- where numbers and MACs are -------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.key_columns(relation regclass) RETURNS name[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(a.attname ORDER BY k.position), '{}')
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = relation AND i.indisprimary AND k.position <= i.indnkeyatts
$$;
COMMENT ON FUNCTION raxx_detect.key_columns(regclass) IS 'The columns of a relation''s primary key, in its order; none if there is none.';

CREATE FUNCTION raxx_detect.key_kinds(relation regclass) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(raxx_detect.canonical_kind(a.atttypid) ORDER BY k.position) FROM unnest(raxx_detect.key_columns(relation)) WITH ORDINALITY k(name, position)
    JOIN pg_attribute a ON a.attrelid = relation AND a.attname = k.name
$$;
COMMENT ON FUNCTION raxx_detect.key_kinds(regclass) IS 'The kinds of a primary key''s columns.';

CREATE FUNCTION raxx_detect.same_key(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('s.key_%s = t.%I', k.position, k.name), ' AND ' ORDER BY k.position) FROM unnest(raxx_detect.key_columns(relation)) WITH ORDINALITY k(name, position)
$$;
COMMENT ON FUNCTION raxx_detect.same_key(regclass) IS 'A condition, for a query: that s, of the table beside a relation, has the key of t, a row of it.';

CREATE FUNCTION raxx_detect.chain_rows_from(chain raxx_detect.chains) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN chain.beside IS NULL THEN chain.relation::text ELSE
        format('(SELECT %s, s.raxx_seq, s.raxx_prev, s.raxx_mac FROM %s t LEFT JOIN %s s ON %s)',
            (SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = chain.relation AND a.attnum > 0 AND NOT a.attisdropped AND NOT raxx_detect.is_chain_column(a.attname)),
            chain.relation, chain.beside, raxx_detect.same_key(chain.relation)) END
$$;
COMMENT ON FUNCTION raxx_detect.chain_rows_from(raxx_detect.chains) IS
'What the rows of a chain are read from, for a query, with the columns raxx_seq, raxx_prev and raxx_mac, which are NULL for a row that is not sealed.';

-- How a chain's rows are to be read.
CREATE TYPE raxx_detect.chain_plan AS (
    chain_id uuid,
    relation regclass,
    reading text,
    columns name[],
    unreadable text,
    unreadable_from bigint,
    unreadable_to bigint,
    rows text
);
COMMENT ON TYPE raxx_detect.chain_plan IS
'How a chain''s rows are read. reading: for the functions in C, the epochs with their keys'' ids and, for each sealed column, its place among columns; columns: what they want of a row; unreadable: sealed columns that are not there any more, in words, and the entries that have them (unreadable_to NULL: to the end); rows: what they are read from, with their numbers and MACs (raxx_detect.chain_rows_from).';

CREATE FUNCTION raxx_detect.chain_plan(chain raxx_detect.chains, epochs jsonb) RETURNS raxx_detect.chain_plan
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.chain_plan;
    resolved jsonb := '[]';
    columns jsonb;
    wanted name;
    sealed jsonb;
    gone text[] := '{}';
    complete boolean;
BEGIN
    result.chain_id := chain.chain_id;
    result.relation := chain.relation;
    result.rows := raxx_detect.chain_rows_from(chain);
    result.columns := '{}';
    FOR i IN 0 .. jsonb_array_length(epochs) - 1 LOOP
        columns := '[]';
        complete := true;
        FOR sealed IN SELECT c FROM jsonb_array_elements(epochs -> i -> 'columns') c LOOP
            wanted := raxx_detect.current_column(chain.relation, epochs, i, sealed);
            IF wanted IS NULL THEN
                complete := false;
                gone := gone || format('%I (%s)', sealed ->> 'name', sealed ->> 'kind');
            ELSE
                IF wanted <> ALL (result.columns) THEN
                    result.columns := result.columns || wanted;
                END IF;
                columns := columns || jsonb_build_object('name', sealed ->> 'name', 'kind', sealed ->> 'kind',
                                                         'at', array_position(result.columns, wanted) - 1);
            END IF;
        END LOOP;
        IF NOT complete THEN
            result.unreadable_from := coalesce(result.unreadable_from, (epochs -> i ->> 'from')::bigint);
            result.unreadable_to := (epochs -> i + 1 ->> 'from')::bigint - 1;
        END IF;
        -- Without a key nothing of the epoch is verified but its links.
        resolved := resolved || jsonb_build_object('from', epochs -> i -> 'from', 'key', CASE WHEN complete THEN epochs -> i ->> 'key' ELSE '' END,
                                                   'columns', CASE WHEN complete THEN columns ELSE '[]' END);
    END LOOP;
    result.reading := jsonb_build_object('chain', chain.chain_id, 'epochs', resolved)::text;
    result.unreadable := (SELECT string_agg(DISTINCT g, ', ') FROM unnest(gone) g);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_plan(raxx_detect.chains, jsonb) IS
'How the rows of a chain with these epochs ([{"from", "key", "columns"}]) are read from its relation as it is now.';

CREATE FUNCTION raxx_detect.record_reading(chain_id uuid, epochs jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('chain', chain_id, 'epochs', jsonb_agg(jsonb_build_object('from', e -> 'from', 'key', e -> 'key', 'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', c -> 'name', 'kind', c -> 'kind', 'at', n - 1) ORDER BY n), '[]')
        FROM jsonb_array_elements(e -> 'columns') WITH ORDINALITY x(c, n))) ORDER BY (e ->> 'from')::bigint))::text
    FROM jsonb_array_elements(epochs) e
$$;
COMMENT ON FUNCTION raxx_detect.record_reading(uuid, jsonb) IS 'How the records of a chain with these epochs are read: as its rows are, but whether the columns are still there does not matter.';

CREATE FUNCTION raxx_detect.chain_epochs_json(chain_id uuid, before_seq bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('from', e.from_seq, 'key', e.key_id, 'columns', e.columns) ORDER BY e.from_seq), '[]')
    FROM raxx_detect.chain_epochs(chain_id, before_seq) e
$$;
COMMENT ON FUNCTION raxx_detect.chain_epochs_json(uuid, bigint) IS 'raxx_detect.chain_epochs, as raxx_detect.chain_plan takes them.';

CREATE FUNCTION raxx_detect.column_list(plan raxx_detect.chain_plan) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(format('t.%I', c.name), ', ' ORDER BY c.number), 'NULL')
    FROM unnest(plan.columns) WITH ORDINALITY c(name, number)
$$;
COMMENT ON FUNCTION raxx_detect.column_list(raxx_detect.chain_plan) IS 'The columns that are read of a row t, for a query.';
