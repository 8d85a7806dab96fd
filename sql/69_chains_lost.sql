-- Chains of which the database knows nothing any more: somebody deleted a chain's row, and all that hung on it. What is left is outside
-- the database, checkpoints that were kept there, and in the table, rows that are sealed.

CREATE FUNCTION raxx_detect.database_tag() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8)
$$;
COMMENT ON FUNCTION raxx_detect.database_tag() IS
'How the ids of chains begin that are attached in a database of this name: checkpoints of several databases may be kept in one place.';

CREATE FUNCTION raxx_detect.new_chain_id() RETURNS uuid
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (raxx_detect.database_tag() || substr(gen_random_uuid()::text, 9))::uuid
$$;
COMMENT ON FUNCTION raxx_detect.new_chain_id() IS 'The id of a new chain: 90 bits by chance behind raxx_detect.database_tag().';

CREATE FUNCTION raxx_detect.lost_chains(external text[]) RETURNS TABLE (chain_id uuid, number bigint, seq bigint, made_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH unknown AS MATERIALIZED (
        SELECT DISTINCT e.line FROM unnest(external) e(line)
        WHERE split_part(e.line, ' ', 3) LIKE raxx_detect.database_tag() || '%'
          AND NOT EXISTS (SELECT FROM raxx_detect.chains c WHERE c.chain_id::text = split_part(e.line, ' ', 3))
    )
    SELECT DISTINCT ON (p.chain) p.chain, p.number, p.seq, p.made_at
    FROM unknown u CROSS JOIN LATERAL raxx_detect.parse_checkpoint(CASE raxx_detect.checkpoint_verdict(u.line) WHEN 'valid' THEN u.line END) p
    WHERE p.chain IS NOT NULL ORDER BY p.chain, p.number DESC
$$;
COMMENT ON FUNCTION raxx_detect.lost_chains(text[]) IS
'The chains of this database that are not in raxx_detect.chains, though external lines, whose signature holds, are checkpoints of them; of each the newest.';

CREATE FUNCTION raxx_detect.ended_by_nobody(chain raxx_detect.chains) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT chain.detached_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM raxx_detect.chain_records r
        WHERE r.chain_id = chain.chain_id AND raxx_detect.record_says(r.payload) ->> 'kind' = 'detach'
          -- Of a key that is not there any more nobody can tell.
          AND coalesce(raxx_detect.chain_record_holds(raxx_detect.record_reading(r.chain_id, raxx_detect.chain_epochs_json(r.chain_id, r.seq)), r.seq, r.prev, r.mac, r.payload), true))
$$;
COMMENT ON FUNCTION raxx_detect.ended_by_nobody(raxx_detect.chains) IS 'Whether a chain is said to have ended, but has no record, or none that holds, which tells of it.';

CREATE FUNCTION raxx_detect.has_sealed_rows(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    result boolean := false;
BEGIN
    IF raxx_detect.missing_chain_column(relation) IS NULL AND has_column_privilege(relation, 'raxx_seq', 'SELECT') THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.raxx_seq IS NOT NULL)', relation) INTO result;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.has_sealed_rows(regclass) IS 'Whether a relation has the columns of a chain, and a row with a number in it (where the caller may see that).';

CREATE FUNCTION raxx_detect.traces_of_chains(rule raxx_detect.rules, OUT source text, OUT chain raxx_detect.chains, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings;
BEGIN
    FOR binding IN SELECT b.* FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources) ORDER BY array_position(rule.sources, b.source) LOOP
        source := binding.source;
        FOR chain IN SELECT c.* FROM raxx_detect.chains c WHERE c.relation = binding.relation AND raxx_detect.ended_by_nobody(c) LOOP
            detail := 'the chain is said to have ended, but no record that holds tells of it';
            RETURN NEXT;
        END LOOP;
        -- What is judged is missed anyway.
        IF NOT raxx_detect.is_judged(rule, source) AND NOT EXISTS (SELECT FROM raxx_detect.chains c WHERE c.relation = binding.relation)
           AND raxx_detect.has_sealed_rows(binding.relation) THEN
            chain := NULL;
            chain.relation := binding.relation;
            chain.attached_at := binding.bound_at;
            detail := format('%s has sealed rows, but no chain in raxx_detect.chains: somebody deleted it, or the rows were copied with their chain''s columns', binding.relation);
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.traces_of_chains(raxx_detect.rules) IS 'What the database itself still shows of chains that somebody has removed from it, of the sources of a rule.';

CREATE FUNCTION raxx_detect.chains_known_outside(rule raxx_detect.rules, OUT source text, OUT chain raxx_detect.chains, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    lost record;
    external text[];
BEGIN
    -- A table without an attached chain is the likelier one.
    SELECT b.source INTO source FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources)
    ORDER BY (raxx_detect.attached_chain(b.relation)).chain_id IS NOT NULL, array_position(rule.sources, b.source) LIMIT 1;
    IF source IS NULL OR NOT has_function_privilege('raxx_detect.kept_checkpoints()', 'EXECUTE') OR NOT has_function_privilege('raxx_detect.checkpoint_verdict(text)', 'EXECUTE') THEN
        RETURN;
    END IF;
    -- First outside and then in the database: a chain is there before its checkpoints are.
    external := raxx_detect.external_checkpoints();
    FOR lost IN SELECT l.* FROM raxx_detect.lost_chains(external) l
                -- That a table's chain is missing may have been told already without a word from outside.
                WHERE NOT EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.detected_at >= l.made_at
                                  AND f.evidence @> '{"kind": "chain missing", "chain": null}') LOOP
        chain := NULL;
        chain.chain_id := lost.chain_id;
        chain.attached_at := lost.made_at;
        detail := format('checkpoint %s of %s, from outside, is of chain %s, up to entry %s, which is not in raxx_detect.chains: somebody deleted it, or the database is older than the chain',
            lost.number, raxx_detect.utc_text(lost.made_at), lost.chain_id, lost.seq);
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.chains_known_outside(raxx_detect.rules) IS
'The chains of this database of which nothing but the checkpoints that raxx_detect.checkpoint_source_command prints knows, with the source to which that is told. Nothing without that command, or the right to have it run.';

CREATE FUNCTION raxx_detect.look_for_lost_chains(rule raxx_detect.rules, INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    lost record;
    recorded record;
    step text;
BEGIN
    -- While the rule judges a chain: whenever a checkpoint was due.
    IF rule.state IN ('disabled', 'retired') OR (rule.state <> 'dormant' AND NOT EXISTS (
           SELECT FROM raxx_detect.chains k CROSS JOIN LATERAL (SELECT c.made_at FROM raxx_detect.chain_checkpoints c WHERE c.chain_id = k.chain_id ORDER BY c.number DESC LIMIT 1) c
           WHERE c.made_at = now())) THEN
        RETURN;
    END IF;
    FOREACH step IN ARRAY '{traces_of_chains,chains_known_outside}'::text[] LOOP
        BEGIN
            FOR lost IN EXECUTE format('SELECT * FROM raxx_detect.%I($1)', step) USING rule LOOP
                recorded := raxx_detect.record_chain_break(rule, lost.source, lost.chain, ('chain missing', 0, NULL, lost.detail)::raxx_detect.chain_break);
                result.findings_new := result.findings_new + recorded.added;
                result.findings_updated := result.findings_updated + recorded.changed;
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            ELSIF position(sqlerrm IN coalesce(result.detail, '')) = 0 THEN
                result.outcome := 'error';
                result.detail := concat_ws('; ', result.detail, format('whether a chain is gone cannot be told: %s: %s', sqlstate, sqlerrm));
            END IF;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.look_for_lost_chains(raxx_detect.rules, raxx_detect.rule_run) IS
'What a run of rule 7 does at its end: finds chains that somebody has removed from the database, also while the rule is dormant because there is none left.';
