-- Verifying a chain: in any order first, which tells where all is well; then, in order, the few entries where it is not, which
-- tells what has happened there. Nothing here writes.

CREATE TYPE raxx_detect.chain_break AS (kind text, seq_from bigint, seq_to bigint, detail text);
COMMENT ON TYPE raxx_detect.chain_break IS
'What is wrong with a stretch of a chain, or that nothing is (intact), or that nobody can tell (indeterminate).';

-- ---- in any order -------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_audit_add(internal, text, bigint, bigint, bigint, bigint, bytea, bytea, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME', 'raxx_chain_audit_add' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_audit_add(internal, text, bigint, bigint, bigint, bigint, bytea, bytea, "any") IS 'Part of the aggregate chain_audit.';
CREATE FUNCTION raxx_detect.chain_audit_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'raxx_chain_audit_combine' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_audit_combine(internal, internal) IS 'Part of the aggregate chain_audit.';
CREATE FUNCTION raxx_detect.chain_audit_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_chain_audit_serialize' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_audit_serialize(internal) IS 'Part of the aggregate chain_audit.';
CREATE FUNCTION raxx_detect.chain_audit_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'raxx_chain_audit_deserialize' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_audit_deserialize(bytea, internal) IS 'Part of the aggregate chain_audit.';

CREATE AGGREGATE raxx_detect.chain_audit(reading text, from_seq bigint, to_seq bigint, seed bigint, seq bigint, prev bytea, mac bytea, VARIADIC "any") (
    SFUNC = raxx_detect.chain_audit_add,
    STYPE = internal,
    COMBINEFUNC = raxx_detect.chain_audit_combine,
    SERIALFUNC = raxx_detect.chain_audit_serialize,
    DESERIALFUNC = raxx_detect.chain_audit_deserialize,
    FINALFUNC = raxx_detect.chain_audit_serialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE raxx_detect.chain_audit(text, bigint, bigint, bigint, bigint, bytea, bytea, "any") IS
'The tally of a chain''s rows, whatever their order, for raxx_detect.judge_tally: MACs are verified, and numbers and links are counted in a way that only an unbroken chain brings to nothing. reading: see raxx_detect.chain_plan; the variadic values are those of the plan''s columns; seed: by chance, the same for all rows. A row whose seq is NULL is counted as unsealed. NULL for no rows.';

CREATE TYPE raxx_detect.tally_result AS (
    entries bigint, invalid bigint, unverified bigint, unsealed bigint, outside bigint, highest_outside bigint,
    suspicious_from bigint[], suspicious_to bigint[]
);
COMMENT ON TYPE raxx_detect.tally_result IS
'What a tally says: how many entries there are in the range, how many of those have a MAC that does not hold, or one that cannot be verified; rows without a place in the chain; entries outside the range, and the highest of them; and the stretches outside which all is well.';

CREATE FUNCTION raxx_detect.judge_tally(tally bytea, from_seq bigint, to_seq bigint, seed bigint, before bytea, last bytea,
    record_seqs bigint[], record_prevs bytea[], record_macs bytea[]) RETURNS raxx_detect.tally_result
AS 'MODULE_PATHNAME', 'raxx_judge_tally' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.judge_tally(bytea, bigint, bigint, bigint, bytea, bytea, bigint[], bytea[], bytea[]) IS
'What the tally of a chain''s rows (NULL: of no rows), together with its records, says about the entries from from_seq to to_seq. before: the MAC that the first of them must follow, last: the one that the last must have; NULL where that is not known. A row whose MAC has not 32 bytes counts as one that does not hold.';

CREATE FUNCTION raxx_detect.random_seed() RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17))::bit(64)::bigint # ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint
$$;
COMMENT ON FUNCTION raxx_detect.random_seed() IS 'A number by chance, from the server''s strong generator.';

-- Whoever calls these has the keys read (see 53_chain_keys.sql).
REVOKE EXECUTE ON FUNCTION raxx_detect.chain_audit_add(internal, text, bigint, bigint, bigint, bigint, bytea, bytea, "any") FROM PUBLIC;

-- ---- one by one -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_entry_holds(reading text, seq bigint, prev bytea, mac bytea, VARIADIC "any") RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_chain_entry_holds' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_entry_holds(text, bigint, bytea, bytea, "any") IS
'Whether the MAC of a row is the one that its place in the chain and its values call for; NULL if there is no key to tell.';

CREATE FUNCTION raxx_detect.chain_record_holds(reading text, seq bigint, prev bytea, mac bytea, payload text) RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_chain_record_holds' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chain_record_holds(text, bigint, bytea, bytea, text) IS 'The same for a record.';

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
         FROM %s t WHERE t.raxx_seq BETWEEN $2 AND $3', raxx_detect.column_list(plan), raxx_detect.row_called(plan.relation), plan.relation)
    USING plan.reading, from_seq, to_seq;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_rows(raxx_detect.chain_plan, bigint, bigint) IS 'The rows of a chain whose numbers lie in a range, each verified.';

-- ---- records --------------------------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.chain_trust AS (
    plan raxx_detect.chain_plan,
    records raxx_detect.chain_entry[],
    breaks raxx_detect.chain_break[]
);
COMMENT ON TYPE raxx_detect.chain_trust IS
'What a chain''s records tell: how its rows are to be read, by the records that hold; all records, verified; and what is wrong with them.';

CREATE FUNCTION raxx_detect.record_break(kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'genesis' THEN 'genesis replaced' WHEN 'manifest' THEN 'schema tampered' WHEN 'key' THEN 'key epoch' WHEN 'revoked' THEN 'key epoch'
                     ELSE 'content modified' END
$$;
COMMENT ON FUNCTION raxx_detect.record_break(text) IS 'What it is called if a record of this kind does not hold.';

CREATE FUNCTION raxx_detect.next_epoch(epochs jsonb, seq bigint, payload jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE payload ->> 'kind'
        WHEN 'manifest' THEN epochs || jsonb_build_object('from', seq + 1, 'key', epochs -> -1 -> 'key', 'columns', payload -> 'columns')
        WHEN 'key' THEN epochs || jsonb_build_object('from', seq + 1, 'key', payload -> 'key', 'columns', epochs -> -1 -> 'columns')
        ELSE epochs END
$$;
COMMENT ON FUNCTION raxx_detect.next_epoch(jsonb, bigint, jsonb) IS 'The epochs of a chain after a record of this number and payload.';

CREATE FUNCTION raxx_detect.chain_trust(chain raxx_detect.chains) RETURNS raxx_detect.chain_trust
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.chain_trust;
    epochs jsonb := '[{"from": 0, "key": null, "columns": []}]';
    lost boolean := false;
    r raxx_detect.chain_records;
    holds boolean;
    sealed jsonb;
BEGIN
    result.records := '{}';
    result.breaks := '{}';
    FOR r IN SELECT k.* FROM raxx_detect.chain_records k WHERE k.chain_id = chain.chain_id ORDER BY k.seq LOOP
        sealed := r.payload::jsonb;
        IF r.seq = 0 THEN
            epochs := jsonb_build_array(jsonb_build_object('from', 0, 'key', sealed -> 'key', 'columns', '[]'::jsonb));
        END IF;
        holds := raxx_detect.chain_record_holds((raxx_detect.chain_plan(chain, epochs)).reading, r.seq, r.prev, r.mac, r.payload);
        result.records := result.records || (r.seq, r.prev, r.mac, holds, 'record ' || left(r.kind, 20))::raxx_detect.chain_entry;
        IF NOT holds AND NOT lost THEN
            result.breaks := result.breaks || (raxx_detect.record_break(r.kind), r.seq, r.seq, format('the record of kind %s was modified%s', left(r.kind, 20),
                CASE WHEN r.kind IN ('genesis', 'manifest', 'key') THEN '; entries after it cannot be verified' ELSE '' END))::raxx_detect.chain_break;
        END IF;
        IF holds THEN
            epochs := raxx_detect.next_epoch(epochs, r.seq, sealed);
        ELSIF NOT lost AND r.kind IN ('genesis', 'manifest', 'key') THEN
            lost := true;  -- what comes after is nobody's word
            epochs := epochs || jsonb_build_object('from', r.seq + 1, 'key', NULL, 'columns', '[]'::jsonb);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM unnest(result.records) e WHERE e.seq = 0 AND e.called = 'record genesis') THEN
        result.breaks := result.breaks || ('genesis replaced', 0, 0, 'the record with which the chain began is gone; no entry can be verified')::raxx_detect.chain_break;
    END IF;
    result.plan := raxx_detect.chain_plan(chain, epochs);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_trust(raxx_detect.chains) IS
'Verifies the records of a chain in order. A record that does not hold changes nothing about how rows are read, and neither does anything after it, so that one forged record is one break.';

CREATE FUNCTION raxx_detect.audit_range(trust raxx_detect.chain_trust, from_seq bigint, to_seq bigint, before bytea, last bytea, everything boolean)
RETURNS raxx_detect.tally_result LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    plan raxx_detect.chain_plan := trust.plan;
    seed bigint := raxx_detect.random_seed();
    tally bytea;
BEGIN
    PERFORM raxx_detect.begin_progress(plan.relation, CASE WHEN everything THEN (SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = plan.relation) ELSE to_seq - from_seq + 1 END);
    EXECUTE format('SELECT raxx_detect.chain_audit($1, $2, $3, $4, t.raxx_seq, t.raxx_prev, t.raxx_mac, %s) FROM %s t%s',
        raxx_detect.column_list(plan), plan.relation, CASE WHEN everything THEN '' ELSE ' WHERE t.raxx_seq BETWEEN $2 AND $3' END)
    INTO tally USING plan.reading, from_seq, to_seq, seed;
    PERFORM raxx_detect.end_progress();
    RETURN raxx_detect.judge_tally(tally, from_seq, to_seq, seed, before, last,
        ARRAY(SELECT e.seq FROM unnest(trust.records) e ORDER BY e.seq), ARRAY(SELECT e.prev FROM unnest(trust.records) e ORDER BY e.seq),
        ARRAY(SELECT e.mac FROM unnest(trust.records) e ORDER BY e.seq));
END $$;
COMMENT ON FUNCTION raxx_detect.audit_range(raxx_detect.chain_trust, bigint, bigint, bytea, bytea, boolean) IS
'Verifies the entries of a chain in a range, in any order. everything: reads the whole relation, which is faster for most of it and also sees what has no place in the chain.';

-- ---- in order -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_diagnosis(trust raxx_detect.chain_trust, from_seq bigint, to_seq bigint, before bytea, last bytea, head_seq bigint)
RETURNS SETOF raxx_detect.chain_break LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH entries AS MATERIALIZED (
        SELECT * FROM raxx_detect.chain_rows(trust.plan, from_seq, to_seq)
        UNION ALL SELECT e.* FROM unnest(trust.records) e WHERE e.seq BETWEEN from_seq AND to_seq
    ), numbers AS (  -- all that is there under one number
        SELECT e.seq, count(*) AS copies, bool_or(NOT coalesce(e.holds, true)) AS modified, count(DISTINCT (e.prev, e.mac)) AS versions,
               (array_agg(e.prev))[1] AS prev, array_agg(e.mac) AS macs, min(e.called) AS called, bool_or(e.called LIKE 'record %') AS record
        FROM entries e GROUP BY e.seq
    ), in_order AS (
        SELECT n.*, coalesce(lag(n.seq) OVER w, from_seq - 1) AS seq_before, lag(n.macs, 1, CASE WHEN before IS NOT NULL THEN ARRAY[before] END) OVER w AS macs_before,
               lag(n.modified, 1, false) OVER w AS modified_before
        FROM numbers n WINDOW w AS (ORDER BY n.seq)
    ), faults AS (
        SELECT CASE WHEN o.modified THEN 'content modified'
                    WHEN o.copies > 1 THEN CASE o.versions WHEN 1 THEN 'duplicate' ELSE 'fork' END
                    WHEN o.seq_before = o.seq - 1 AND NOT o.modified_before AND o.prev <> ALL (o.macs_before) THEN 'link broken'
                    WHEN o.seq = to_seq AND last <> ALL (o.macs) THEN 'suffix rewritten' END AS kind,
               o.seq AS seq_from, o.seq AS seq_to, o.called, o.copies
        FROM in_order o WHERE NOT (o.modified AND o.record)  -- of records chain_trust tells
        UNION ALL
        SELECT 'seq gap', o.seq_before + 1, o.seq - 1, NULL, 0 FROM in_order o WHERE o.seq_before < o.seq - 1
        UNION ALL
        SELECT CASE to_seq WHEN head_seq THEN 'tail truncated' ELSE 'seq gap' END, coalesce(max(n.seq), from_seq - 1) + 1, to_seq, NULL, 0
        FROM numbers n HAVING coalesce(max(n.seq), from_seq - 1) < to_seq
    ), islands AS (
        SELECT f.*, f.seq_to - sum(f.seq_to - f.seq_from + 1) OVER (PARTITION BY f.kind ORDER BY f.seq_from) AS island
        FROM faults f WHERE f.kind IS NOT NULL AND NOT (f.seq_from = 0 AND f.kind = 'seq gap')  -- chain_trust tells of the genesis
    )
    SELECT i.kind, min(i.seq_from), max(i.seq_to),
           CASE i.kind
               WHEN 'content modified' THEN format('%s not what was sealed: %s', CASE count(*) WHEN 1 THEN 'the row is' ELSE count(*) || ' rows are' END, (array_agg(i.called ORDER BY i.seq_from))[1])
               WHEN 'duplicate' THEN format('the row is there %s times: %s', max(i.copies), min(i.called))
               WHEN 'fork' THEN format('%s different entries have this number, and all of them hold: %s', max(i.copies), min(i.called))
               WHEN 'link broken' THEN format('the entry holds, but follows another one than the one before it: %s', min(i.called))
               WHEN 'suffix rewritten' THEN format('the last entry holds, but is not the one that was sealed last: %s', min(i.called))
               WHEN 'tail truncated' THEN format('the last %s entries are gone', max(i.seq_to) - min(i.seq_from) + 1)
               ELSE format('%s gone', CASE max(i.seq_to) - min(i.seq_from) WHEN 0 THEN 'an entry is' ELSE max(i.seq_to) - min(i.seq_from) + 1 || ' entries are' END) END
    FROM islands i GROUP BY i.kind, i.island ORDER BY 2
$$;
COMMENT ON FUNCTION raxx_detect.chain_diagnosis(raxx_detect.chain_trust, bigint, bigint, bytea, bytea, bigint) IS
'What is wrong with the entries of a range, which are read in order: neighbours with the same fault are one break. before: the MAC of the entry before the range, last: that of its last entry, where they are known.';

CREATE FUNCTION raxx_detect.key_at(trust raxx_detect.chain_trust, seq bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT e ->> 'key' FROM jsonb_array_elements((trust.plan).reading::jsonb -> 'epochs') e WHERE (e ->> 'from')::bigint <= seq ORDER BY (e ->> 'from')::bigint DESC LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.key_at(raxx_detect.chain_trust, bigint) IS 'The key of the epoch of an entry.';

CREATE FUNCTION raxx_detect.other_key(trust raxx_detect.chain_trust, b raxx_detect.chain_break) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan raxx_detect.chain_plan := trust.plan;
    key text;
BEGIN
    FOR key IN SELECT k.key_id FROM raxx_detect.chain_keys() k WHERE k.kind = 'chain'
               EXCEPT SELECT raxx_detect.key_at(trust, b.seq_from) LOOP
        plan.reading := jsonb_set((trust.plan).reading::jsonb, '{epochs}', (
            SELECT jsonb_agg(e || jsonb_build_object('key', key)) FROM jsonb_array_elements((trust.plan).reading::jsonb -> 'epochs') e))::text;
        IF EXISTS (SELECT FROM raxx_detect.chain_rows(plan, b.seq_from, b.seq_from) e WHERE e.holds) THEN
            RETURN key;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.other_key(raxx_detect.chain_trust, raxx_detect.chain_break) IS
'The key of the ring under which the first row of a break holds, though it is not the key of its epoch; NULL: none.';

CREATE FUNCTION raxx_detect.named_break(trust raxx_detect.chain_trust, b raxx_detect.chain_break) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
BEGIN
    IF b.kind = 'content modified' THEN
        key := raxx_detect.other_key(trust, b);
        IF key IS NOT NULL THEN
            b.kind := 'key epoch';
            b.detail := format('%s sealed with key %s, which was not the chain''s key there', CASE b.seq_to WHEN b.seq_from THEN 'the entry is' ELSE 'entries are' END, key);
        END IF;
    END IF;
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.named_break(raxx_detect.chain_trust, raxx_detect.chain_break) IS 'A break as it is called once the other keys have been tried on it.';

CREATE FUNCTION raxx_detect.chain_breaks(trust raxx_detect.chain_trust, tally raxx_detect.tally_result, from_seq bigint, to_seq bigint,
    before bytea, last bytea, head_seq bigint)
RETURNS raxx_detect.chain_break[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 100;
    result raxx_detect.chain_break[] := '{}';
    found raxx_detect.chain_break;
    b raxx_detect.chain_break;
    lower bigint;
BEGIN
    FOR i IN 1 .. coalesce(cardinality(tally.suspicious_from), 0) LOOP
        -- The entry before belongs to it: what it follows is half of a link.
        lower := greatest(from_seq, tally.suspicious_from[i] - 1);
        FOR found IN SELECT d.* FROM raxx_detect.chain_diagnosis(trust, lower, tally.suspicious_to[i],
                         CASE lower WHEN from_seq THEN before END, CASE tally.suspicious_to[i] WHEN to_seq THEN last END, head_seq) d LOOP
            IF cardinality(result) >= most THEN
                b := result[most];
                result[most] := (b.kind, b.seq_from, to_seq, format('%s; and more, which are not listed', split_part(b.detail, '; and more', 1)))::raxx_detect.chain_break;
                RETURN result;
            END IF;
            b := result[cardinality(result)];
            IF b.kind = found.kind AND b.seq_to + 1 = found.seq_from THEN  -- goes on from the last stretch
                result[cardinality(result)] := (b.kind, b.seq_from, found.seq_to, b.detail)::raxx_detect.chain_break;
            ELSE
                result := result || raxx_detect.named_break(trust, found);
            END IF;
        END LOOP;
    END LOOP;
    IF result = '{}' AND cardinality(tally.suspicious_from) > 0 THEN
        result := result || ('indeterminate', tally.suspicious_from[1], tally.suspicious_to[1], 'entries changed while they were read: verify again')::raxx_detect.chain_break;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_breaks(raxx_detect.chain_trust, raxx_detect.tally_result, bigint, bigint, bytea, bytea, bigint) IS
'What is wrong in the stretches that a tally suspects, at most 100 breaks.';

-- ---- progress ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.begin_progress(relation regclass, total bigint) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_begin_progress' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.begin_progress(regclass, bigint) IS 'From now on raxx_detect.chain_progress shows the rows that this session verifies, of a total.';
CREATE FUNCTION raxx_detect.end_progress() RETURNS void
AS 'MODULE_PATHNAME', 'raxx_end_progress' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.end_progress() IS 'The end of that; the end of the transaction is one, too.';
CREATE FUNCTION raxx_detect.progress(OUT pid int, OUT relation regclass, OUT rows_done bigint, OUT rows_total bigint, OUT started_at timestamptz) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'raxx_progress' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.progress() IS 'What each process that verifies a chain in this database has done, parallel workers by themselves.';

CREATE VIEW raxx_detect.chain_progress AS
SELECT l.pid, l.relation, sum(p.rows_done)::bigint AS rows_done, l.rows_total, round(sum(p.rows_done) / nullif(extract(epoch FROM clock_timestamp() - l.started_at), 0))::bigint AS rows_per_second,
       make_interval(secs => (greatest(l.rows_total - sum(p.rows_done), 0) / nullif(sum(p.rows_done), 0) * extract(epoch FROM clock_timestamp() - l.started_at))::float8) AS remaining,
       l.started_at
FROM raxx_detect.progress() l
JOIN raxx_detect.progress() p ON p.pid = l.pid OR p.pid IN (SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.leader_pid = l.pid)
WHERE l.relation <> 0::oid
GROUP BY l.pid, l.relation, l.rows_total, l.started_at;
COMMENT ON VIEW raxx_detect.chain_progress IS
'The verifications that are running in this database: rows done by the session and its parallel workers, rows there are by the statistics, rows a second, and how long the rest will take.';
