-- Entries of a chain one by one: whether each holds. Nothing here writes.

CREATE TYPE raxx_detect.chain_break AS (kind text, seq_from bigint, seq_to bigint, detail text);
COMMENT ON TYPE raxx_detect.chain_break IS
'What is wrong with a stretch of a chain, or that nothing is (intact), or that nobody can tell (indeterminate).';

CREATE FUNCTION raxx_detect.chain_entry_holds(reading text, seq bigint, prev bytea, mac bytea, VARIADIC "any") RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_chain_entry_holds' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_entry_holds(text, bigint, bytea, bytea, "any") IS
'Whether the MAC of a row is the one that its place in the chain and its values call for; NULL if there is no key to tell.';

CREATE FUNCTION raxx_detect.chain_record_holds(reading text, seq bigint, prev bytea, mac bytea, payload text) RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_chain_record_holds' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_record_holds(text, bigint, bytea, bytea, text) IS 'The same for a record.';

CREATE FUNCTION raxx_detect.chain_entry_bytes(reading text, seq bigint, prev bytea, mac bytea, VARIADIC "any") RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_chain_entry_bytes' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_entry_bytes(text, bigint, bytea, bytea, "any") IS
'All that verification sees of a row: prev and mac, each behind its length, and the canonical form of the columns that are sealed at its place. To tell whether it is the same as at another time.';

REVOKE EXECUTE ON FUNCTION raxx_detect.chain_entry_bytes(text, bigint, bytea, bytea, "any") FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_entry_holds(text, bigint, bytea, bytea, "any") FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_record_holds(text, bigint, bytea, bytea, text) FROM PUBLIC;

CREATE TYPE raxx_detect.chain_entry AS (seq bigint, prev bytea, mac bytea, holds boolean, called text);
COMMENT ON TYPE raxx_detect.chain_entry IS 'An entry of a chain as it is there. holds: whether its MAC does, NULL: nobody can tell; called: the primary key of the row, or its place, or the kind of record.';

CREATE FUNCTION raxx_detect.row_called(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT format('left(concat_ws('', '', %s), 100)', string_agg(format('''%s '' || t.%I', replace(quote_ident(a.attname), '''', ''''''), a.attname), ', ' ORDER BY k.position))
        FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = relation AND i.indisprimary HAVING count(*) > 0), '''at '' || t.tableoid::regclass || t.ctid::text')
$$;
COMMENT ON FUNCTION raxx_detect.row_called(regclass) IS 'An expression that names a row t of a relation: by its primary key, or else by its place.';

CREATE FUNCTION raxx_detect.chain_rows(plan raxx_detect.chain_plan, from_seq bigint, to_seq bigint) RETURNS SETOF raxx_detect.chain_entry
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT t.raxx_seq, t.raxx_prev, t.raxx_mac, raxx_detect.chain_entry_holds($1, t.raxx_seq, t.raxx_prev, t.raxx_mac, %s), %s
         FROM %s t WHERE t.raxx_seq BETWEEN $2 AND $3', raxx_detect.column_list(plan), raxx_detect.row_called(plan.relation), plan.rows)
    USING plan.reading, from_seq, to_seq;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_rows(raxx_detect.chain_plan, bigint, bigint) IS 'The rows of a chain whose numbers lie in a range, each verified.';
