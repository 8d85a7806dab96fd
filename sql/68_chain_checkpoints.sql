-- Checkpoints: signed statements of how far a chain goes and with which MAC, kept in the database and outside it. A chain
-- alone cannot see that its tail was cut off, or that all of it was sealed anew by somebody who has the key.

CREATE TABLE raxx_detect.chain_checkpoints (
    chain_id uuid NOT NULL REFERENCES raxx_detect.chains ON DELETE CASCADE,
    number bigint NOT NULL,
    seq bigint NOT NULL,
    mac bytea NOT NULL,
    made_at timestamptz NOT NULL,
    line text NOT NULL,
    delivered_at timestamptz,
    delivery_error text,
    failed_at timestamptz,
    PRIMARY KEY (chain_id, number)
);
CREATE INDEX chain_checkpoints_undelivered ON raxx_detect.chain_checkpoints (chain_id, number) WHERE delivered_at IS NULL;
COMMENT ON TABLE raxx_detect.chain_checkpoints IS 'Checkpoints of chains: the entry that was the last one at that time. They are numbered from 1 without holes.';
COMMENT ON COLUMN raxx_detect.chain_checkpoints.line IS 'The checkpoint as it is carried outside, with its signature (docs/chain-format.md). What counts is what it says.';
COMMENT ON COLUMN raxx_detect.chain_checkpoints.delivered_at IS 'When raxx_detect.checkpoint_command took it; NULL: not yet, or there is no such command.';
COMMENT ON COLUMN raxx_detect.chain_checkpoints.delivery_error IS 'Why raxx_detect.checkpoint_command did not keep it, at the last try, which was at failed_at.';

CREATE FUNCTION raxx_detect.head_is_there(trust raxx_detect.chain_trust, head raxx_detect.chain_heads) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.chain_macs(trust, ARRAY[head.seq]) e WHERE e.mac = head.mac)
$$;
COMMENT ON FUNCTION raxx_detect.head_is_there(raxx_detect.chain_trust, raxx_detect.chain_heads) IS 'Whether a chain has the entry that its head names: nobody is to vouch for another one.';

CREATE FUNCTION raxx_detect.make_checkpoint(chain raxx_detect.chains) RETURNS raxx_detect.chain_checkpoints
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head raxx_detect.chain_heads := raxx_detect.lock_chain_head(chain.chain_id);
    trust raxx_detect.chain_trust := raxx_detect.chain_trust(chain);
    result raxx_detect.chain_checkpoints;
BEGIN
    IF NOT raxx_detect.head_is_there(trust, head) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('the last entry of the chain of %s is not what its head says', chain.relation),
            DETAIL = format('There is no entry %s with the MAC of the head.', head.seq), HINT = 'Treat it as a break: keep the database as it is, and verify the chain.';
    END IF;
    result.chain_id := chain.chain_id;
    -- The numbers of checkpoints that a rollback lost are not given again.
    result.number := 1 + greatest(0, (SELECT max(c.number) FROM raxx_detect.chain_checkpoints c WHERE c.chain_id = chain.chain_id),
                                  (SELECT max(a) FROM raxx_detect.accepted_losses(trust, chain.chain_id) a));
    result.seq := head.seq;
    result.mac := head.mac;
    result.made_at := now();
    result.line := raxx_detect.sign_checkpoint(chain.chain_id, result.number, head.seq, head.mac, result.made_at);
    INSERT INTO raxx_detect.chain_checkpoints SELECT (result).*;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.make_checkpoint(raxx_detect.chains) IS 'A new checkpoint of the chain''s last entry, signed with the newest checkpoint key; raises 55000 if there is none, or if the chain does not end as its head says.';

CREATE FUNCTION raxx_detect.chain_checkpoint(relation regclass) RETURNS raxx_detect.chain_checkpoints
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.make_checkpoint(raxx_detect.chain_of(relation))
$$;
COMMENT ON FUNCTION raxx_detect.chain_checkpoint(regclass) IS
'Makes a checkpoint of a relation''s chain and returns it; its line is what to keep outside the database, once the transaction is committed. The next run of the rule gives it to raxx_detect.checkpoint_command. Does not verify. Raises 42704 without a chain, 55000 without a checkpoint key.';

CREATE FUNCTION raxx_detect.deliver_checkpoints(chain raxx_detect.chains) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    checkpoint raxx_detect.chain_checkpoints;
    there_is_a_command boolean;
    message text;
BEGIN
    -- A command that hangs is not waited for at each run.
    IF EXISTS (SELECT FROM raxx_detect.chain_checkpoints c
               WHERE c.chain_id = chain.chain_id AND c.delivered_at IS NULL AND c.failed_at > clock_timestamp() - interval '1 minute') THEN
        RETURN;
    END IF;
    -- The newest first: it stands for those before it. But none of this transaction, which may yet be rolled back, when
    -- what was carried outside would speak of entries that never were.
    FOR checkpoint IN SELECT c.* FROM raxx_detect.chain_checkpoints c
                      WHERE c.chain_id = chain.chain_id AND c.delivered_at IS NULL AND c.made_at <> now() ORDER BY c.number DESC LIMIT 3 LOOP
        message := NULL;
        there_is_a_command := true;
        BEGIN
            there_is_a_command := raxx_detect.deliver_checkpoint(checkpoint.line);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = PG_EXCEPTION_DETAIL;
            message := concat_ws(': ', sqlerrm, nullif(rtrim(message, '.'), ''));
        END;
        UPDATE raxx_detect.chain_checkpoints c
        SET delivered_at = CASE WHEN message IS NULL AND there_is_a_command THEN clock_timestamp() ELSE c.delivered_at END,
            delivery_error = message, failed_at = CASE WHEN message IS NOT NULL THEN clock_timestamp() END
        WHERE c.chain_id = checkpoint.chain_id AND CASE WHEN there_is_a_command THEN c.number = checkpoint.number ELSE c.delivery_error IS NOT NULL END;
        EXIT WHEN message IS NOT NULL OR NOT there_is_a_command;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.deliver_checkpoints(raxx_detect.chains) IS
'Gives checkpoints that have not been taken yet to raxx_detect.checkpoint_command, up to three of them, the newest first, but none that this transaction has made. What goes wrong is noted with the checkpoint, which is tried again after a minute; raxx_detect.undelivered tells of it.';

CREATE FUNCTION raxx_detect.undelivered(chain raxx_detect.chains) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('checkpoints of %s have not been kept outside since %s: %s', chain.relation, raxx_detect.utc_text(min(c.made_at)),
                  (array_agg(c.delivery_error ORDER BY c.number DESC) FILTER (WHERE c.delivery_error IS NOT NULL))[1])
    FROM raxx_detect.chain_checkpoints c
    WHERE c.chain_id = chain.chain_id AND c.delivered_at IS NULL
      -- One that was taken stands for those before it.
      AND c.number > coalesce((SELECT k.number FROM raxx_detect.chain_checkpoints k WHERE k.chain_id = chain.chain_id AND k.delivered_at IS NOT NULL
                               ORDER BY k.number DESC LIMIT 1), 0)
    HAVING count(c.delivery_error) > 0
$$;
COMMENT ON FUNCTION raxx_detect.undelivered(raxx_detect.chains) IS
'Since when raxx_detect.checkpoint_command has kept no checkpoint of a chain, and why, in words; NULL: it keeps them, or there is no such command.';

-- A checkpoint as verification sees it, wherever it comes from.
CREATE TYPE raxx_detect.known_checkpoint AS (number bigint, seq bigint, mac bytea, made_at timestamptz, verdict text, external boolean);
COMMENT ON TYPE raxx_detect.known_checkpoint IS 'What the line of a checkpoint says, whether its signature holds, and whether it comes from outside the database.';

CREATE FUNCTION raxx_detect.known_checkpoints(chain_id uuid, from_seq bigint, external text[]) RETURNS SETOF raxx_detect.known_checkpoint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.number, CASE v.verdict WHEN 'valid' THEN p.seq ELSE c.seq END, p.mac, p.made_at,
           CASE WHEN v.verdict = 'malformed' OR (v.verdict = 'valid' AND (p.chain, p.number, p.seq, p.mac, p.made_at) IS DISTINCT FROM (c.chain_id, c.number, c.seq, c.mac, c.made_at))
                THEN 'invalid' ELSE v.verdict END, false
    FROM raxx_detect.chain_checkpoints c
    CROSS JOIN LATERAL (SELECT raxx_detect.checkpoint_verdict(c.line) AS verdict) v
    LEFT JOIN LATERAL raxx_detect.parse_checkpoint(CASE v.verdict WHEN 'valid' THEN c.line END) p ON true
    WHERE c.chain_id = known_checkpoints.chain_id AND (c.seq >= from_seq OR from_seq = 0)
    UNION ALL
    SELECT p.number, p.seq, p.mac, p.made_at, 'valid', true
    FROM (SELECT DISTINCT e.line FROM unnest(external) e(line)) e
    CROSS JOIN LATERAL raxx_detect.parse_checkpoint(CASE raxx_detect.checkpoint_verdict(e.line) WHEN 'valid' THEN e.line END) p
    WHERE p.chain = known_checkpoints.chain_id AND p.seq >= from_seq
$$;
COMMENT ON FUNCTION raxx_detect.known_checkpoints(uuid, bigint, text[]) IS
'The checkpoints of a chain from an entry on: those kept in the database, and those among external lines whose signature holds.';

CREATE FUNCTION raxx_detect.accepted_losses(trust raxx_detect.chain_trust, chain_id uuid) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n::bigint FROM raxx_detect.chain_records r JOIN unnest(trust.records) e ON e.seq = r.seq AND e.holds
    CROSS JOIN LATERAL raxx_detect.record_says(r.payload) said
    CROSS JOIN LATERAL jsonb_array_elements_text(CASE said ->> 'kind' WHEN 'rolled back' THEN said -> 'checkpoints' ELSE '[]' END) n
    WHERE r.chain_id = accepted_losses.chain_id
$$;
COMMENT ON FUNCTION raxx_detect.accepted_losses(raxx_detect.chain_trust, uuid) IS 'The numbers of checkpoints that people have accepted as lost (raxx_detect.chain_accept_rollback).';

CREATE FUNCTION raxx_detect.breaks_at(trust raxx_detect.chain_trust, seq bigint, head_seq bigint) RETURNS SETOF raxx_detect.chain_break
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.* FROM unnest(trust.breaks) b WHERE seq BETWEEN b.seq_from AND b.seq_to
    UNION ALL
    SELECT (raxx_detect.named_break(trust, d)).* FROM raxx_detect.chain_diagnosis(trust, greatest(seq - 1, 0), least(seq + 1, head_seq), NULL, NULL, head_seq) d
$$;
COMMENT ON FUNCTION raxx_detect.breaks_at(raxx_detect.chain_trust, bigint, bigint) IS 'What is wrong with an entry, or with its neighbours, by themselves.';

CREATE FUNCTION raxx_detect.checkpoint_breaks(trust raxx_detect.chain_trust, from_seq bigint, head_seq bigint, external text[])
RETURNS SETOF raxx_detect.chain_break LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH known AS MATERIALIZED (
        SELECT k.* FROM raxx_detect.known_checkpoints((trust.plan).chain_id, from_seq, external) k
        WHERE NOT (k.external AND k.number IN (SELECT raxx_detect.accepted_losses(trust, (trust.plan).chain_id)))
    ), there AS MATERIALIZED (
        SELECT * FROM raxx_detect.chain_macs(trust, ARRAY(SELECT k.seq FROM known k WHERE k.verdict = 'valid' AND k.seq <= head_seq))
    ), contradicted AS MATERIALIZED (  -- checkpoints of which the chain has the entry, but as another one
        SELECT k.* FROM known k WHERE k.verdict = 'valid' AND EXISTS (SELECT FROM there t WHERE t.seq = k.seq)
            AND NOT EXISTS (SELECT FROM there t WHERE t.seq = k.seq AND t.mac = k.mac)
    ), broken AS MATERIALIZED (  -- since that entry is broken itself
        SELECT d.*, a.seq FROM (SELECT DISTINCT a.seq FROM contradicted a ORDER BY a.seq LIMIT 10) a CROSS JOIN LATERAL raxx_detect.breaks_at(trust, a.seq, head_seq) d
    ), against AS (
        SELECT a.* FROM contradicted a WHERE a.seq NOT IN (SELECT b.seq FROM broken b)
    ), missing AS (
        SELECT n.kept, n.highest, (SELECT count(DISTINCT a) FROM raxx_detect.accepted_losses(trust, (trust.plan).chain_id) a WHERE a <= n.highest) AS accepted
        FROM (SELECT count(DISTINCT c.number) AS kept, greatest(max(c.number), (SELECT max(k.number) FROM known k WHERE k.external AND k.seq <= head_seq), 0) AS highest
              FROM raxx_detect.chain_checkpoints c WHERE c.chain_id = (trust.plan).chain_id) n
    )
    SELECT b.kind, b.seq_from, b.seq_to, b.detail FROM broken b
    UNION ALL
    SELECT 'suffix rewritten', coalesce((SELECT max(k.seq) + 1 FROM known k JOIN there t ON t.seq = k.seq AND t.mac = k.mac WHERE k.seq < (SELECT min(a.seq) FROM against a)), from_seq),
           head_seq, format('entry %s has another MAC than in checkpoint %s of %s%s%s', (array_agg(a.seq ORDER BY a.number))[1], min(a.number),
               raxx_detect.utc_text(min(a.made_at)), CASE WHEN bool_or(a.external) THEN ', which was kept outside' ELSE '' END,
               CASE WHEN count(DISTINCT a.number) > 1 THEN format(', and so it is with %s more', count(DISTINCT a.number) - 1) ELSE '' END)
    FROM against a HAVING count(*) > 0
    UNION ALL
    SELECT CASE WHEN bool_or(NOT k.external) THEN 'tail truncated' WHEN pg_is_in_recovery() THEN 'indeterminate' ELSE 'rolled back' END, head_seq + 1, max(k.seq),
           CASE WHEN bool_or(NOT k.external) THEN format('checkpoint %s of %s has an entry %s', max(k.number), raxx_detect.utc_text(max(k.made_at)), max(k.seq))
                WHEN pg_is_in_recovery() THEN format('checkpoint %s of %s, from outside, has an entry %s, which has not reached this standby', max(k.number), raxx_detect.utc_text(max(k.made_at)), max(k.seq))
                ELSE format('checkpoint %s of %s, from outside, has an entry %s, of which the database knows nothing: it was restored from a backup, or failed over, or was cut off with its records',
                            max(k.number), raxx_detect.utc_text(max(k.made_at)), max(k.seq)) END
    FROM known k WHERE k.verdict = 'valid' AND k.seq > head_seq HAVING count(*) > 0
    UNION ALL
    SELECT 'checkpoint invalid', min(k.seq), max(k.seq), format('%s of the checkpoints have a signature that does not hold, from checkpoint %s on', count(*), min(k.number))
    FROM known k WHERE k.verdict = 'invalid' HAVING count(*) > 0
    UNION ALL
    SELECT 'checkpoint invalid', min(t.seq), max(t.seq), format('%s of the checkpoints are there more than once, from checkpoint %s on', count(*), min(t.number))
    FROM (SELECT k.number, min(k.seq) AS seq FROM known k WHERE NOT k.external GROUP BY k.number HAVING count(*) > 1) t HAVING count(*) > 0
    UNION ALL
    SELECT 'checkpoint missing', 0, head_seq, format('%s of %s checkpoints are gone from the database', m.highest - m.kept - m.accepted, m.highest - m.accepted)
    FROM missing m WHERE m.highest > m.kept + m.accepted AND NOT EXISTS (SELECT FROM known k WHERE k.external AND k.seq > head_seq)
    UNION ALL
    SELECT 'indeterminate', min(k.seq), max(k.seq), format('there is no key to verify the signatures of %s checkpoints', count(*))
    FROM known k WHERE k.verdict = 'unknown key' HAVING count(*) > 0
$$;
COMMENT ON FUNCTION raxx_detect.checkpoint_breaks(raxx_detect.chain_trust, bigint, bigint, text[]) IS
'What the checkpoints from an entry on, in the database and outside it, say against a chain whose last entry is head_seq.';

CREATE FUNCTION raxx_detect.chain_accept_rollback(relation regclass, reason text, external text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.chain_of(relation);
    head raxx_detect.chain_heads := raxx_detect.lock_chain_head(chain.chain_id);
    trust raxx_detect.chain_trust := raxx_detect.chain_trust(chain);
    lost jsonb;
    reached bigint;
BEGIN
    external := coalesce(external, ARRAY(SELECT raxx_detect.kept_checkpoints()));
    SELECT jsonb_agg(DISTINCT k.number), max(k.seq) INTO lost, reached
    FROM raxx_detect.known_checkpoints(chain.chain_id, 0, external) k
    LEFT JOIN LATERAL raxx_detect.chain_macs(trust, ARRAY[k.seq]) t ON t.mac = k.mac
    WHERE k.external AND t.seq IS NULL AND k.number NOT IN (SELECT raxx_detect.accepted_losses(trust, chain.chain_id));
    IF lost IS NULL OR coalesce(reason, '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN lost IS NULL THEN format('the chain of %s has not been rolled back', relation) ELSE 'a loss is not accepted without a reason' END,
            DETAIL = format('%s checkpoints from outside were looked at.', coalesce(cardinality(external), 0)),
            HINT = 'Give a reason, and the lines of the checkpoints that were kept outside, unless raxx_detect.checkpoint_source_command prints them.';
    END IF;
    RETURN raxx_detect.write_chain_record(chain, jsonb_build_object('kind', 'rolled back', 'checkpoints', lost, 'lost_from', head.seq + 1, 'lost_to', reached,
        'reason', reason, 'by', session_user));
END $$;
COMMENT ON FUNCTION raxx_detect.chain_accept_rollback(regclass, text, text[]) IS
'After a restore from a backup, or a failover that lost transactions: records, with a reason, that the checkpoints from outside (NULL: those that raxx_detect.checkpoint_source_command prints) which the database does not have are lost, so that the chain can go on. Returns the record''s sequence number. Look first at what was lost. Raises 22023 if nothing was, or without a reason.';
