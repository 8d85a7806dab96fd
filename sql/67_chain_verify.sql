-- Verifying a chain: in any order first, which tells where all is well; then, in order, the few entries where it is not, which
-- tells what has happened there. Nothing here writes.

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

CREATE FUNCTION raxx_detect.audit_range(trust raxx_detect.chain_trust, from_seq bigint, to_seq bigint, before bytea, last bytea, everything boolean)
RETURNS raxx_detect.tally_result LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    plan raxx_detect.chain_plan := trust.plan;
    seed bigint := raxx_detect.random_seed();
    tally bytea;
BEGIN
    PERFORM raxx_detect.begin_progress(plan.relation, CASE WHEN everything THEN (SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = plan.relation) ELSE to_seq - from_seq + 1 END);
    EXECUTE format('SELECT raxx_detect.chain_audit($1, $2, $3, $4, t.raxx_seq, t.raxx_prev, t.raxx_mac, %s) FROM %s t%s',
        raxx_detect.column_list(plan), plan.rows, CASE WHEN everything THEN '' ELSE ' WHERE t.raxx_seq BETWEEN $2 AND $3' END)
    INTO tally USING plan.reading, from_seq, to_seq, seed;
    PERFORM raxx_detect.end_progress();
    RETURN raxx_detect.judge_tally(tally, from_seq, to_seq, seed, before, last,
        ARRAY(SELECT e.seq FROM unnest(trust.records) e ORDER BY e.seq), ARRAY(SELECT coalesce(e.prev, '') FROM unnest(trust.records) e ORDER BY e.seq),
        ARRAY(SELECT coalesce(e.mac, '') FROM unnest(trust.records) e ORDER BY e.seq));
END $$;
COMMENT ON FUNCTION raxx_detect.audit_range(raxx_detect.chain_trust, bigint, bigint, bytea, bytea, boolean) IS
'Verifies the entries of a chain in a range, in any order. everything: reads the whole relation, which is faster for most of it and also sees what has no place in the chain.';

CREATE FUNCTION raxx_detect.lost_before(chain raxx_detect.chains, trust raxx_detect.chain_trust, tally raxx_detect.tally_result, from_seq bigint, to_seq bigint)
RETURNS raxx_detect.lost_epoch LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.lost_epoch;
    seq bigint;
BEGIN
    -- The first entry, and those behind a hole, also one that goes on behind the range.
    FOR seq IN SELECT raxx_detect.entry_from(chain, to_seq + 1) WHERE to_seq = ANY (tally.suspicious_to) AND raxx_detect.entry_from(chain, to_seq) > to_seq
               UNION ALL
               SELECT o.seq FROM (
                   SELECT e.seq, e.holds, lag(e.seq, 1, -1) OVER (ORDER BY e.seq) AS seq_before
                   FROM unnest(tally.suspicious_from, tally.suspicious_to) s(low, high) CROSS JOIN LATERAL raxx_detect.chain_rows(trust.plan, s.low - 1, s.high) e) o
               WHERE NOT o.holds AND (o.seq = from_seq OR NOT o.seq_before BETWEEN o.seq - 1 AND o.seq)
               ORDER BY 1 LIMIT 3 LOOP
        result := raxx_detect.lost_epoch(chain, trust.epochs, seq);
        EXIT WHEN result IS NOT NULL;
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.lost_before(raxx_detect.chains, raxx_detect.chain_trust, raxx_detect.tally_result, bigint, bigint) IS
'An epoch that began with a record that is gone, if that is why rows do not hold; NULL if that is not why.';

-- ---- in order -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_macs(trust raxx_detect.chain_trust, seqs bigint[]) RETURNS TABLE (seq bigint, mac bytea)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE
    chain raxx_detect.chains := (SELECT c FROM raxx_detect.chains c WHERE c.chain_id = (trust.plan).chain_id);
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN QUERY SELECT m.* FROM raxx_detect.declared_macs(chain, seqs) m;
        RETURN;
    END IF;
    RETURN QUERY SELECT e.seq, e.mac FROM unnest(trust.records) e WHERE e.seq = ANY (seqs);
    RETURN QUERY EXECUTE format('SELECT t.raxx_seq, t.raxx_mac FROM %s t WHERE t.raxx_seq = ANY ($1)', (trust.plan).rows) USING seqs;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_macs(raxx_detect.chain_trust, bigint[]) IS 'The MACs that stand in the entries of these numbers.';

CREATE FUNCTION raxx_detect.only_records(chain_id uuid, from_seq bigint, to_seq bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN to_seq < from_seq THEN true WHEN to_seq - from_seq > 100 THEN false
                ELSE (SELECT count(*) FROM raxx_detect.chain_records r WHERE r.chain_id = only_records.chain_id AND r.seq BETWEEN from_seq AND to_seq) = to_seq - from_seq + 1 END
$$;
COMMENT ON FUNCTION raxx_detect.only_records(uuid, bigint, bigint) IS 'Whether there are no rows in a range, but records, or nothing: what is wrong on both sides of it is one stretch.';

CREATE FUNCTION raxx_detect.missing_tail(trust raxx_detect.chain_trust, head_seq bigint, OUT from_seq bigint, OUT to_seq bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
    last_row bigint;
BEGIN
    EXECUTE format('SELECT t.raxx_seq FROM %s t WHERE t.raxx_seq <= $1 ORDER BY 1 DESC LIMIT 1', (trust.plan).rows) INTO last_row USING head_seq;
    last_row := coalesce(greatest(last_row, -1), -1);
    SELECT min(n.number), max(n.number) INTO from_seq, to_seq
    FROM (SELECT last_row + 1 UNION SELECT head_seq UNION SELECT e.seq + d FROM unnest(trust.records) e, (VALUES (-1), (1)) v(d)) n(number)
    WHERE n.number > last_row AND n.number <= head_seq AND NOT EXISTS (SELECT FROM unnest(trust.records) e WHERE e.seq = n.number);
END $$;
COMMENT ON FUNCTION raxx_detect.missing_tail(raxx_detect.chain_trust, bigint) IS 'The first and the last number behind the last row that no entry has; NULL: the chain is there to its end.';

CREATE FUNCTION raxx_detect.chain_diagnosis(trust raxx_detect.chain_trust, from_seq bigint, to_seq bigint, before bytea, last bytea, head_seq bigint)
RETURNS SETOF raxx_detect.chain_break LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH entries AS MATERIALIZED (
        SELECT e.*, false AS record FROM raxx_detect.chain_rows(trust.plan, from_seq, to_seq) e
        UNION ALL SELECT e.*, true FROM unnest(trust.records) e WHERE e.seq BETWEEN from_seq AND to_seq
    ), tail AS MATERIALIZED (
        SELECT t.* FROM raxx_detect.missing_tail(trust, head_seq) t
    ), numbers AS (  -- all that is there under one number
        SELECT e.seq, count(*) AS copies, bool_or(NOT coalesce(e.holds, true)) AS modified, bool_or(NOT coalesce(e.holds, true) AND NOT e.record) AS row_modified, count(DISTINCT (e.prev, e.mac)) AS versions,
               (array_agg(e.prev))[1] AS prev, array_agg(e.mac) AS macs, min(e.called) AS called
        FROM entries e GROUP BY e.seq
    ), in_order AS (
        SELECT n.*, coalesce(lag(n.seq) OVER w, from_seq - 1) AS seq_before, lag(n.macs, 1, CASE WHEN before IS NOT NULL THEN ARRAY[before] END) OVER w AS macs_before,
               lag(n.modified, 1, false) OVER w AS modified_before
        FROM numbers n WINDOW w AS (ORDER BY n.seq)
    ), faults AS (
        SELECT CASE WHEN o.row_modified THEN 'content modified'
                    WHEN o.modified THEN NULL  -- of records chain_trust tells
                    WHEN o.copies > 1 THEN CASE o.versions WHEN 1 THEN 'duplicate' ELSE 'fork' END
                    WHEN o.seq_before = o.seq - 1 AND NOT o.modified_before AND o.prev <> ALL (o.macs_before) THEN 'link broken'
                    WHEN o.seq = to_seq AND last <> ALL (o.macs) THEN 'suffix rewritten' END AS kind,
               o.seq AS seq_from, o.seq AS seq_to, o.called, o.copies
        FROM in_order o
        UNION ALL
        SELECT DISTINCT CASE WHEN t.from_seq IS NULL THEN 'seq gap' ELSE 'tail truncated' END, coalesce(t.from_seq, g.seq_from), coalesce(t.to_seq, g.seq_to), NULL, 0
        FROM (SELECT o.seq_before + 1 AS seq_from, o.seq - 1 AS seq_to FROM in_order o WHERE o.seq_before < o.seq - 1
              UNION ALL SELECT coalesce(max(n.seq), from_seq - 1) + 1, to_seq FROM numbers n HAVING coalesce(max(n.seq), from_seq - 1) < to_seq) g
        LEFT JOIN tail t ON g.seq_from >= t.from_seq
    ), starts AS (
        SELECT f.*, NOT raxx_detect.only_records((trust.plan).chain_id, lag(f.seq_to) OVER w + 1, f.seq_from - 1) AS starts
        FROM faults f WHERE f.kind IS NOT NULL WINDOW w AS (PARTITION BY f.kind ORDER BY f.seq_from)
    ), islands AS (
        SELECT s.*, count(*) FILTER (WHERE s.starts) OVER (PARTITION BY s.kind ORDER BY s.seq_from) AS island FROM starts s
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

CREATE FUNCTION raxx_detect.other_key(trust raxx_detect.chain_trust, b raxx_detect.chain_break) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan raxx_detect.chain_plan := trust.plan;
    key text;
BEGIN
    FOR key IN SELECT k.key_id FROM raxx_detect.chain_keys() k WHERE k.kind = 'chain'
               EXCEPT SELECT raxx_detect.epoch_at(trust.epochs, b.seq_from) ->> 'key' LOOP
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

CREATE FUNCTION raxx_detect.taken_out(trust raxx_detect.chain_trust, seq bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE
    plan raxx_detect.chain_plan := trust.plan;
    head raxx_detect.chain_heads := (SELECT h FROM raxx_detect.chain_heads h WHERE h.chain_id = plan.chain_id);
    own_prev bytea := (SELECT e.mac FROM raxx_detect.chain_macs(trust, ARRAY[seq - 1]) e LIMIT 1);
    own_mac bytea := CASE head.seq WHEN seq THEN head.mac ELSE (SELECT e.prev FROM raxx_detect.chain_rows(plan, seq + 1, seq + 1) e LIMIT 1) END;
    result text;
BEGIN
    own_mac := coalesce(own_mac, (SELECT e.prev FROM unnest(trust.records) e WHERE e.seq = taken_out.seq + 1 LIMIT 1));
    -- The sealer may have sealed it again meanwhile.
    EXECUTE format(
        'SELECT concat_ws('', sealed again as entry '', %1$s, t.raxx_seq) FROM (
             (SELECT t.* FROM %2$s t WHERE t.raxx_seq IS NULL LIMIT 5000) UNION ALL (SELECT t.* FROM %2$s t WHERE t.raxx_seq > $4 - 5000)) t
         WHERE raxx_detect.chain_entry_holds($1, $2, $3, $5, %3$s) LIMIT 1',
        replace(raxx_detect.row_called(plan.relation), 't.tableoid::regclass || t.ctid::text', quote_literal(plan.relation)), plan.rows, raxx_detect.column_list(plan))
    INTO result USING plan.reading, seq, own_prev, head.seq, own_mac;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.taken_out(raxx_detect.chain_trust, bigint) IS
'What the row is called that was the entry of this number, if it is still there without a number, or among the last entries; NULL if not, or if the entries beside it are gone, too.';

CREATE FUNCTION raxx_detect.named_break(trust raxx_detect.chain_trust, b raxx_detect.chain_break) RETURNS raxx_detect.chain_break
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
    called text;
BEGIN
    IF b.kind IN ('seq gap', 'tail truncated') AND b.seq_to = b.seq_from THEN
        called := raxx_detect.taken_out(trust, b.seq_from);
        IF called IS NOT NULL THEN
            b.kind := 'unsealed';
            b.detail := format('the row is still there, but was taken out of the chain: %s', called);
        END IF;
    ELSIF b.kind = 'content modified' THEN
        key := raxx_detect.other_key(trust, b);
        IF key IS NOT NULL THEN
            b.kind := 'key epoch';
            b.detail := format('%s sealed with key %s, which was not the chain''s key there', CASE b.seq_to WHEN b.seq_from THEN 'the entry is' ELSE 'entries are' END, key);
        END IF;
    END IF;
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.named_break(raxx_detect.chain_trust, raxx_detect.chain_break) IS 'A break as it is called once the other keys have been tried on it, and rows without a place.';

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
            IF b.kind = found.kind AND raxx_detect.only_records((trust.plan).chain_id, b.seq_to + 1, found.seq_from - 1) THEN  -- goes on from the last stretch
                result[cardinality(result)] := (b.kind, b.seq_from, greatest(b.seq_to, found.seq_to), b.detail)::raxx_detect.chain_break;
            ELSE
                result := result || raxx_detect.named_break(trust, found);
            END IF;
        END LOOP;
    END LOOP;
    IF result = '{}' THEN
        -- Beside a record that does not hold, of which the trust tells, nothing else need be wrong.
        result := ARRAY(SELECT ('indeterminate', s.low, s.high, 'entries changed while they were read: verify again')::raxx_detect.chain_break
                        FROM unnest(tally.suspicious_from, tally.suspicious_to) s(low, high)
                        WHERE NOT EXISTS (SELECT FROM unnest(trust.breaks) t WHERE t.seq_from <= s.high + 1 AND t.seq_to >= s.low - 1) LIMIT 1);
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
CREATE FUNCTION raxx_detect.progress(OUT pid int, OUT leader int, OUT relation regclass, OUT rows_done bigint, OUT rows_total bigint, OUT started_at timestamptz)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_progress' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.progress() IS
'What each process that verifies a chain in this database has done, parallel workers by themselves. leader: the process that it works for, or itself.';

CREATE VIEW raxx_detect.chain_progress AS
SELECT l.pid, l.relation, sum(p.rows_done)::bigint AS rows_done, l.rows_total, round(sum(p.rows_done) / nullif(extract(epoch FROM clock_timestamp() - l.started_at), 0))::bigint AS rows_per_second,
       make_interval(secs => (greatest(l.rows_total - sum(p.rows_done), 0) / nullif(sum(p.rows_done), 0) * extract(epoch FROM clock_timestamp() - l.started_at))::float8) AS remaining,
       l.started_at
FROM raxx_detect.progress() l
JOIN raxx_detect.progress() p ON p.leader = l.pid
WHERE l.pid = l.leader
GROUP BY l.pid, l.relation, l.rows_total, l.started_at;
COMMENT ON VIEW raxx_detect.chain_progress IS
'The verifications that are running in this database: rows done by the session and its parallel workers, rows there are by the statistics, rows a second, and how long the rest will take.';
