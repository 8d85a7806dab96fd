-- The canonical form of values: the bytes that stand for them in the hash chain, as docs/chain-format.md defines them.

CREATE FUNCTION raxx_detect.canonical_kind(type regtype) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_canonical_kind' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.canonical_kind(regtype) IS
'The kind of canonical form that values of this type have in the hash chain, as a manifest names it: ''integer'', ''text'', ''array of text''. A domain has that of its base type. NULL where the type has none: ranges, composite types, OIDs and their aliases, types of extensions (but citext).';

CREATE FUNCTION raxx_detect.canonical_row(VARIADIC "any") RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_canonical_row' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.canonical_row("any") IS
'The body of a row in the hash chain: for each value its length in four bytes and its canonical form, or FFFFFFFF for NULL (docs/chain-format.md). The same under any setting and in any encoding of the database; only renaming an enum''s label changes it. Error 0A000 for a type that has no form (canonical_kind), 54000 if the body exceeds 1 GB.';
