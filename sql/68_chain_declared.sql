-- Chains that an application writes: what it declares about them (docs/chains-by-applications.md). Nothing is altered
-- in the relation; the declaration is sealed as the genesis record, so that nobody can have another thing verified.

CREATE FUNCTION raxx_detect.declared_kind(type regtype, as_text boolean) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_declared_kind' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.declared_kind(regtype, boolean) IS
'The kind of the form that values of a type have in a chain of an application: that of their canonical form, or real for a float of four bytes. as_text: NULL for types that have a canonical form, but no text that applications hash. NULL for other types.';

CREATE FUNCTION raxx_detect.declared_mac(format text, mac bytea) RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_declared_mac' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.declared_mac(text, bytea) IS
'The 32 bytes of a MAC as it stands in the relation (the bytes of its text, or bytes, as the format''s digest says); NULL if it is none.';

-- ---- the format -------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.declared_options(OUT name text, OUT type text, OUT choices text[], OUT fallback jsonb, OUT meaning text)
RETURNS SETOF record LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    VALUES
    ('seq', 'string', NULL::text[], NULL::jsonb, 'Column with the number of a row: an integer that grows along the chain.'),
    ('gaps', 'boolean', NULL, 'false', 'Whether numbers may be missing, as those of an identity column are after a rollback. Then only links tell that a row is gone.'),
    ('first', 'number', NULL, 'null', 'Number of the chain''s first row; rows with lower numbers are no part of it. Null: the first one that there is.'),
    ('prev', 'string', NULL, 'null', 'Column with the MAC of the row before; null: rows do not have it, and the MAC covers that of the row before by seq.'),
    ('mac', 'string', NULL, NULL, 'Column with the MAC of a row.'),
    ('columns', 'array', NULL, NULL, 'The columns that the MAC covers, in their order.'),
    ('encoding', 'string', '{separated,length_prefixed,json,canonical}', NULL, 'How the values become one message.'),
    ('separator', 'string', NULL, '"|"', 'What stands between two values (separated).'),
    ('escape', 'string', NULL, 'null', 'Character that the writer puts before each separator, and each such character, in a value (separated); null: it does not.'),
    ('null', 'string', NULL, '""', 'What stands for NULL (separated).'),
    ('prev_position', 'string', '{first,last,none}', '"first"', 'Where the MAC before is in the message; none: only if it is one of the columns. In JSON it is a member with the name of its column, or prev.'),
    ('algorithm', 'string', '{hmac-sha256,sha256}', '"hmac-sha256"', 'What the MAC is: HMAC-SHA-256 with the key''s bytes, or SHA-256 without a key.'),
    ('key', 'string', NULL, 'null', 'Id of the key in the key ring (hmac-sha256).'),
    ('digest', 'string', '{hex,base64,bytes}', '"hex"', 'How MACs stand in their columns: 64 small hexadecimal digits, Base64, or as bytea.'),
    ('genesis', 'string', NULL, '""', 'What the first row has for the MAC before; hexadecimal digits where the digest is bytes.'),
    ('timestamps', 'string', '{iso,iso_microseconds,unix_microseconds}', '"iso"', 'How times are written: as Python''s isoformat() in UTC, which leaves microseconds out where they are 0; always with them; or as microseconds since 1970.')
$$;
COMMENT ON FUNCTION raxx_detect.declared_options() IS
'What the format of raxx_detect.chain_declare can say: the key, its JSON type, what it can be, the default (NULL: it must be given), and what it means.';

CREATE FUNCTION raxx_detect.refuse_declaration(message text, detail text, hint text, code text DEFAULT 'invalid_parameter_value') RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = coalesce(hint, 'See SELECT * FROM raxx_detect.declared_options().');
END $$;
COMMENT ON FUNCTION raxx_detect.refuse_declaration(text, text, text, text) IS 'Raises an error about the format of a chain; by default 22023, with a hint at what there is.';

CREATE FUNCTION raxx_detect.check_declared_options(format jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o record;
    given jsonb;
    unknown text;
BEGIN
    IF format IS NULL OR jsonb_typeof(format) <> 'object' THEN
        PERFORM raxx_detect.refuse_declaration('the format of a chain is not a JSON object', format('It is %s.', coalesce(left(format::text, 100), 'NULL')), NULL);
    END IF;
    SELECT k INTO unknown FROM jsonb_object_keys(format) k WHERE k NOT IN (SELECT d.name FROM raxx_detect.declared_options() d) ORDER BY 1 LIMIT 1;
    IF unknown IS NOT NULL THEN
        PERFORM raxx_detect.refuse_declaration(format('the format of a chain has no %L', left(unknown, 64)), 'It is not one of the keys of a format.',
            'The nearest are ' || raxx_detect.nearest(unknown, ARRAY(SELECT d.name FROM raxx_detect.declared_options() d)) || '.');
    END IF;
    FOR o IN SELECT d.* FROM raxx_detect.declared_options() d LOOP
        given := coalesce(nullif(format -> o.name, 'null'), o.fallback);
        IF given IS NULL THEN
            PERFORM raxx_detect.refuse_declaration(format('the format of a chain has to say %L', o.name), o.meaning, NULL);
        ELSIF given <> 'null' AND jsonb_typeof(given) <> o.type THEN
            PERFORM raxx_detect.refuse_declaration(format('%L of a chain''s format is not of type %s', o.name, o.type), format('It is %s.', left(given::text, 100)), NULL);
        ELSIF o.choices IS NOT NULL AND given #>> '{}' <> ALL (o.choices) THEN
            PERFORM raxx_detect.refuse_declaration(format('%L of a chain''s format cannot be %L', o.name, left(given #>> '{}', 64)),
                format('It is one of %s.', array_to_string(o.choices, ', ')), 'The nearest are ' || raxx_detect.nearest(given #>> '{}', o.choices) || '.');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_declared_options(jsonb) IS 'Raises 22023 unless the format has what it must have, no other keys, and values that these can have.';

CREATE FUNCTION raxx_detect.with_declared_defaults(format jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(d.name, coalesce(nullif(format -> d.name, 'null'), d.fallback)) FROM raxx_detect.declared_options() d
$$;
COMMENT ON FUNCTION raxx_detect.with_declared_defaults(jsonb) IS 'A format of a chain with all its defaults filled in.';

CREATE FUNCTION raxx_detect.declared_column_type(relation regclass, called text) RETURNS regtype
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result regtype;
BEGIN
    SELECT a.atttypid INTO result FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = called AND a.attnum > 0 AND NOT a.attisdropped;
    IF result IS NULL THEN
        PERFORM raxx_detect.refuse_declaration(format('%s has no column %I', relation, left(called, 64)), 'The format of the chain names it.',
            coalesce('The nearest are ' || raxx_detect.nearest(called, ARRAY(SELECT a.attname::text FROM pg_attribute a
                WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped)) || '.', 'Name columns of the relation.'), 'undefined_column');
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_column_type(regclass, text) IS 'The type of a column; raises 42703, with the nearest names, if there is none.';

CREATE FUNCTION raxx_detect.check_declared_columns(relation regclass, format jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text := CASE format ->> 'digest' WHEN 'bytes' THEN 'bytea' ELSE 'text' END;
    prev_called text := coalesce(format ->> 'prev', 'prev');
    role text;
    twice text;
BEGIN
    IF raxx_detect.declared_kind(raxx_detect.declared_column_type(relation, format ->> 'seq'), true) IS DISTINCT FROM 'integer' THEN
        PERFORM raxx_detect.refuse_declaration(format('column %I cannot number the rows', format ->> 'seq'),
            format('It is of type %s.', raxx_detect.declared_column_type(relation, format ->> 'seq')), 'seq is a column of type smallint, integer or bigint.', 'datatype_mismatch');
    END IF;
    FOREACH role IN ARRAY ARRAY['mac', 'prev'] LOOP
        CONTINUE WHEN format ->> role IS NULL;
        IF replace(raxx_detect.declared_kind(raxx_detect.declared_column_type(relation, format ->> role), true), 'character', 'text') IS DISTINCT FROM wanted THEN
            PERFORM raxx_detect.refuse_declaration(format('column %I cannot hold the %s of a row', format ->> role, role),
                format('It is of type %s.', raxx_detect.declared_column_type(relation, format ->> role)), format('With digest %s it is of type %s.', format ->> 'digest', wanted), 'datatype_mismatch');
        END IF;
    END LOOP;
    IF format -> 'columns' = '[]' OR EXISTS (SELECT FROM jsonb_array_elements(format -> 'columns') c WHERE jsonb_typeof(c) <> 'string') THEN
        PERFORM raxx_detect.refuse_declaration('''columns'' of a chain''s format are not names', format('They are %s.', left(format ->> 'columns', 100)), NULL);
    END IF;
    SELECT c INTO twice FROM jsonb_array_elements_text(format -> 'columns') c GROUP BY c HAVING count(*) > 1 OR c = format ->> 'mac' LIMIT 1;
    IF twice IS NULL AND format ->> 'encoding' = 'json' AND format ->> 'prev_position' <> 'none' AND format -> 'columns' ? prev_called THEN
        twice := prev_called;
    END IF;
    IF twice IS NOT NULL THEN
        PERFORM raxx_detect.refuse_declaration(format('column %I cannot be among the columns that the MAC covers', twice),
            'It is there twice, or holds the MAC itself, or is where JSON has the MAC before.', 'With prev_position none the MAC before is one of the columns.');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_declared_columns(regclass, jsonb) IS 'Raises 42703, 42804 or 22023 unless the columns that a format of a chain names can be what it says.';

CREATE FUNCTION raxx_detect.check_declared_text(format jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF format ->> 'encoding' = 'separated' AND format ->> 'separator' = '' THEN
        PERFORM raxx_detect.refuse_declaration('the separator of a chain''s format is empty', 'Nothing would tell where a value ends.', 'Give a separator, or use encoding length_prefixed.');
    ELSIF format ->> 'escape' IS NOT NULL AND (format ->> 'escape' !~ '^[\x01-\x7f]$' OR format ->> 'separator' !~ '^[\x01-\x7f]$' OR format ->> 'escape' = format ->> 'separator') THEN
        PERFORM raxx_detect.refuse_declaration('escape and separator of a chain''s format do not go together',
            format('They are %L and %L.', left(format ->> 'escape', 20), left(format ->> 'separator', 20)), 'With an escape, each is one character of ASCII, and they differ.');
    ELSIF format ->> 'digest' = 'bytes' AND format ->> 'genesis' !~ '^([0-9a-f]{2})*$' THEN
        PERFORM raxx_detect.refuse_declaration('the genesis of a chain''s format is not hexadecimal', format('It is %L.', left(format ->> 'genesis', 100)), 'With digest bytes, give the bytes as small hexadecimal digits.');
    ELSIF format ->> 'first' IS NOT NULL AND format ->> 'first' !~ '^[0-9]{1,18}$' THEN
        PERFORM raxx_detect.refuse_declaration('the number of a chain''s first row is not a whole number from 0 on', format('It is %s.', left(format ->> 'first', 100)), NULL);
    ELSIF (format ->> 'algorithm' = 'hmac-sha256') <> (format ->> 'key' IS NOT NULL) THEN
        PERFORM raxx_detect.refuse_declaration('key and algorithm of a chain''s format do not go together', 'An HMAC has a key, a plain SHA-256 has none.',
            'Give the id of a key: SELECT * FROM raxx_detect.chain_keys();');
    ELSIF format ->> 'key' IS NOT NULL AND NOT EXISTS (SELECT FROM raxx_detect.chain_keys() k WHERE k.key_id = format ->> 'key' AND k.kind = 'chain') THEN
        PERFORM raxx_detect.refuse_declaration(format('there is no key %L for hash chains', left(format ->> 'key', 64)), 'The key file or key command does not have it.',
            'SELECT * FROM raxx_detect.chain_keys();', 'undefined_object');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_declared_text(jsonb) IS 'Raises 22023 or 42704 unless the texts in a format of a chain, and its key, go together.';

CREATE FUNCTION raxx_detect.declared_format(relation regclass, format jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb;
    textless text;
BEGIN
    PERFORM raxx_detect.check_declared_options(format);
    result := raxx_detect.with_declared_defaults(format);
    PERFORM raxx_detect.check_declared_columns(relation, result);
    PERFORM raxx_detect.check_declared_text(result);
    result := jsonb_set(result, '{columns}', (
        SELECT jsonb_agg(jsonb_build_object('name', c.name, 'kind', raxx_detect.declared_kind(raxx_detect.declared_column_type(relation, c.name), result ->> 'encoding' <> 'canonical')) ORDER BY c.number)
        FROM jsonb_array_elements_text(result -> 'columns') WITH ORDINALITY c(name, number)));
    SELECT string_agg(format('%I (%s)', c ->> 'name', raxx_detect.declared_column_type(relation, c ->> 'name')), ', ') INTO textless
    FROM jsonb_array_elements(result -> 'columns') c WHERE c ->> 'kind' IS NULL;
    IF textless IS NOT NULL THEN
        PERFORM raxx_detect.refuse_declaration(format('columns of %s have types that cannot be in such a chain', relation), format('They are %s.', textless),
            'Leave them out, have a view cast them to text, or use encoding canonical for arrays, intervals and bits.', 'feature_not_supported');
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.declared_format(regclass, jsonb) IS
'A format of a chain as it is kept: with its defaults, and with the kinds of its columns. Raises what is wrong with it.';

-- ---- declaring --------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.check_declarable(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NULL THEN
        PERFORM raxx_detect.refuse_declaration('relation must not be NULL', 'It is NULL.', 'Name the table, view or foreign table in which the rows are.');
    ELSIF (SELECT c.relkind NOT IN ('r', 'p', 'v', 'm', 'f') OR c.relpersistence = 't' FROM pg_class c WHERE c.oid = relation) THEN
        PERFORM raxx_detect.refuse_declaration(format('%s cannot have a hash chain', relation), 'It has no rows, or is temporary.',
            'Name the table, view or foreign table in which the rows are.', 'wrong_object_type');
    END IF;
    PERFORM raxx_detect.require_no_chain(relation);
END $$;
COMMENT ON FUNCTION raxx_detect.check_declarable(regclass) IS 'Raises 22023, 42809 or 42710 unless a chain of an application can be declared for a relation.';

CREATE FUNCTION raxx_detect.declared_weaknesses(relation regclass, format jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'SHA-256 without a key is a checksum: whoever can change a row can make its MAC anew. Only checkpoints tell.' WHERE format ->> 'algorithm' = 'sha256'
    UNION ALL
    SELECT format('a value that contains %L makes two rows alike: what is moved from one column to the next is not seen. Use escape, or another encoding.', format ->> 'separator')
    WHERE format ->> 'encoding' = 'separated' AND format ->> 'escape' IS NULL
    UNION ALL
    SELECT format('NULL and the text %L make two rows alike. Use a "null" that no value can be, such as \N with escape \.', format ->> 'null')
    WHERE format ->> 'encoding' = 'separated' AND (format ->> 'escape' IS NULL OR left(format ->> 'null', 1) <> format ->> 'escape' OR substr(format ->> 'null', 2, 1) IN ('', format ->> 'escape', format ->> 'separator'))
    UNION ALL
    SELECT 'no MAC covers the one before, so that nothing keeps a row from being taken out or put elsewhere. Have the MAC cover prev.'
    WHERE format ->> 'prev_position' = 'none' AND NOT EXISTS (SELECT FROM jsonb_array_elements(format -> 'columns') c WHERE c ->> 'name' = format ->> 'prev')
    UNION ALL
    SELECT format('no index begins with %I: each verification reads the whole relation.', format ->> 'seq')
    FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p', 'm')
      AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                      WHERE i.indrelid = relation AND a.attname = format ->> 'seq' AND i.indpred IS NULL)
$$;
COMMENT ON FUNCTION raxx_detect.declared_weaknesses(regclass, jsonb) IS 'What a chain of this format (raxx_detect.declared_format) cannot protect, or costs, in words.';

CREATE FUNCTION raxx_detect.key_for_records(format jsonb) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT k.key_id FROM raxx_detect.chain_keys() WITH ORDINALITY k(key_id, kind, number)
                     WHERE k.kind = 'chain' AND k.key_id IS DISTINCT FROM format ->> 'key' ORDER BY k.number DESC LIMIT 1), raxx_detect.newest_chain_key())
$$;
COMMENT ON FUNCTION raxx_detect.key_for_records(jsonb) IS 'The key that seals the records of a chain of an application: the newest that the application does not have, if there is one. Raises 55000 without any.';

CREATE FUNCTION raxx_detect.chain_declare(relation regclass, format jsonb) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains;
    weakness text;
BEGIN
    PERFORM raxx_detect.check_declarable(relation);
    format := raxx_detect.declared_format(relation, format);
    INSERT INTO raxx_detect.chains (chain_id, relation, mode, declared) VALUES (raxx_detect.new_chain_id(), relation, 'declared', format) RETURNING * INTO chain;
    INSERT INTO raxx_detect.chain_heads (chain_id, seq, mac) VALUES (chain.chain_id, -1, '');
    PERFORM raxx_detect.write_chain_record(chain, jsonb_build_object('kind', 'genesis', 'format', 1, 'chain', chain.chain_id, 'relation', relation::text,
        'mode', 'declared', 'key', raxx_detect.key_for_records(format), 'declared', format));
    FOR weakness IN SELECT w FROM raxx_detect.declared_weaknesses(relation, format) w LOOP
        RAISE NOTICE USING MESSAGE = weakness;
    END LOOP;
    RETURN chain.chain_id;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_declare(regclass, jsonb) IS
'Tells how an application makes the MACs of a relation''s rows, so that raxx_detect.verify_chain and rule 7 verify them, and returns the id of the chain. format: see raxx_detect.declared_options() and docs/chains-by-applications.md. Nothing is altered in the relation, which may be a table, a view or a foreign table; nothing is verified yet: SELECT * FROM raxx_detect.verify_chain(relation, ''full''). What the format cannot protect is a notice. raxx_detect.chain_detach ends it. Errors: 22023 a format that is not right, 42703 columns, 42804 their types, 0A000 a type that applications cannot hash, 42704 no such key, 42809 no relation with rows, 42710 has a chain, 55000 no key, 42501.';
