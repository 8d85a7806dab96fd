-- Rule 7's run: seals what is new, verifies it, goes on with the pass over the whole chain, makes checkpoints, and has
-- breaks written down as findings (69_chain_findings.sql).

CREATE FUNCTION raxx_detect.attached_chain(relation regclass) RETURNS raxx_detect.chains
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.* FROM raxx_detect.chains c WHERE c.relation = attached_chain.relation AND c.detached_at IS NULL
$$;
COMMENT ON FUNCTION raxx_detect.attached_chain(regclass) IS 'The chain that is attached to a relation, NULL if there is none.';

-- ---- a run --------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.seal_what_is_new(chain raxx_detect.chains) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stops timestamptz := clock_timestamp() + interval '2 seconds';
    state text; message text; detail text; hint text;
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN NULL;
    END IF;
    WHILE raxx_detect.chain_seal(chain.relation) = 10000 AND clock_timestamp() < stops LOOP
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    IF raxx_detect.is_for_the_caller(sqlstate) THEN
        RAISE;
    END IF;
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN raxx_detect.error_in_words(state, message, detail, hint);
END $$;
COMMENT ON FUNCTION raxx_detect.seal_what_is_new(raxx_detect.chains) IS
'Seals the rows of a chain''s relation that have no place in it yet, for at most some 2 seconds; returns what went wrong, or NULL.';

CREATE FUNCTION raxx_detect.next_slice(rule raxx_detect.rules, head raxx_detect.chain_heads, OUT from_seq bigint, OUT to_seq bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    every interval := rule.params ->> 'slice_every';
    share float8 := extract(epoch FROM every) / extract(epoch FROM (rule.params ->> 'full_pass')::interval);
BEGIN
    IF head.seq < 0 OR head.sliced_at > clock_timestamp() - every THEN
        RETURN;
    END IF;
    from_seq := CASE WHEN head.pass_seq > head.seq THEN 0 ELSE head.pass_seq END;
    to_seq := least(head.seq, from_seq + greatest(ceil(head.seq * share)::bigint, 20000));
END $$;
COMMENT ON FUNCTION raxx_detect.next_slice(raxx_detect.rules, raxx_detect.chain_heads) IS
'The entries with which the pass over the whole chain goes on, if that is due: so many each slice_every that all have been verified within full_pass, at least 20,000. NULL if nothing is due.';

CREATE FUNCTION raxx_detect.checkpoint_is_due(rule raxx_detect.rules, head raxx_detect.chain_heads) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT c.made_at <= clock_timestamp() - (rule.params ->> 'checkpoint_every')::interval OR head.seq - c.seq >= (rule.params ->> 'checkpoint_rows')::bigint
                     FROM raxx_detect.chain_checkpoints c WHERE c.chain_id = head.chain_id ORDER BY c.number DESC LIMIT 1), true)
$$;
COMMENT ON FUNCTION raxx_detect.checkpoint_is_due(raxx_detect.rules, raxx_detect.chain_heads) IS 'Whether the last checkpoint is checkpoint_every old or checkpoint_rows entries behind, or there is none.';

CREATE FUNCTION raxx_detect.look_at_checkpoints(rule raxx_detect.rules, chain raxx_detect.chains, head raxx_detect.chain_heads) RETURNS raxx_detect.chain_break[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trust raxx_detect.chain_trust;
    result raxx_detect.chain_break[] := '{}';
    external text[];
BEGIN
    IF NOT raxx_detect.checkpoint_is_due(rule, head) THEN
        RETURN result;
    END IF;
    BEGIN
        external := raxx_detect.external_checkpoints();
    EXCEPTION WHEN OTHERS THEN
        result := result || ('indeterminate', NULL, NULL, format('checkpoints from outside could not be had: %s', sqlerrm))::raxx_detect.chain_break;
    END;
    -- First against what was said before; then the next is said.
    trust := raxx_detect.chain_trust(chain);
    result := result || ARRAY(SELECT c FROM raxx_detect.checkpoint_breaks(trust, 0, head.seq, external) c);
    -- Where entries are lost people decide whether the chain goes on (raxx_detect.chain_accept_rollback).
    IF EXISTS (SELECT FROM raxx_detect.chain_keys() k WHERE k.kind = 'checkpoint') AND raxx_detect.head_is_there(trust, head) AND NOT EXISTS (SELECT FROM unnest(result) b WHERE b.kind = 'rolled back') THEN
        PERFORM raxx_detect.make_checkpoint(chain);
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.look_at_checkpoints(raxx_detect.rules, raxx_detect.chains, raxx_detect.chain_heads) IS
'When a checkpoint is due: holds the chain against all earlier ones, in the database and outside it, then makes one. Without a checkpoint key none is made.';

CREATE FUNCTION raxx_detect.verify_what_is_due(rule raxx_detect.rules, chain raxx_detect.chains) RETURNS raxx_detect.chain_break[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.chain_break[] := '{}';
    head raxx_detect.chain_heads;
    report raxx_detect.chain_report;
    slice record;
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN raxx_detect.verify_declared_due(rule, chain);
    END IF;
    head := raxx_detect.lock_chain_head(chain.chain_id);
    IF head.seq <> head.verified_seq THEN
        report := raxx_detect.check_chain(chain, greatest(0, least(head.verified_seq, head.seq)), head.seq, NULL);
        result := result || report.breaks;
        UPDATE raxx_detect.chain_heads h SET verified_seq = head.seq, verified_at = clock_timestamp() WHERE h.chain_id = chain.chain_id
            AND NOT EXISTS (SELECT FROM unnest(report.breaks) b WHERE b.kind = 'indeterminate');
    END IF;
    slice := raxx_detect.next_slice(rule, head);
    IF slice.from_seq IS NOT NULL THEN
        report := raxx_detect.check_chain(chain, slice.from_seq, slice.to_seq, NULL);
        result := result || report.breaks;
        UPDATE raxx_detect.chain_heads h SET sliced_at = clock_timestamp(), pass_seq = slice.to_seq + 1,
            passed_at = CASE WHEN slice.to_seq >= head.seq THEN clock_timestamp() ELSE h.passed_at END
        WHERE h.chain_id = chain.chain_id AND NOT EXISTS (SELECT FROM unnest(report.breaks) b WHERE b.kind = 'indeterminate');
    END IF;
    RETURN raxx_detect.told_once(result || raxx_detect.look_at_checkpoints(rule, chain, head));
END $$;
COMMENT ON FUNCTION raxx_detect.verify_what_is_due(raxx_detect.rules, raxx_detect.chains) IS
'Verifies what was sealed since the last time, a slice of the whole chain if one is due, and checkpoints if one is due; returns what is wrong. What could not be told is tried again.';

CREATE FUNCTION raxx_detect.watch_chain(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz, INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chain raxx_detect.chains := raxx_detect.attached_chain(binding.relation);
    breaks raxx_detect.chain_break[];
    b raxx_detect.chain_break;
    recorded record;
    undelivered text;
    unsealed text;
BEGIN
    IF chain.chain_id IS NULL AND NOT raxx_detect.is_judged(rule, binding.source) THEN
        result.detail := concat_ws('; ', result.detail, format('%s has no hash chain: raxx_detect.chain_attach(%L)', binding.source, binding.relation));
        RETURN;
    ELSIF chain.chain_id IS NULL THEN  -- it had one, and nobody has ended it
        breaks := ARRAY[('chain missing', 0, NULL, format('%s is no longer in raxx_detect.chains', binding.relation))::raxx_detect.chain_break];
    ELSE
        -- Before the head of the chain is locked, on which writers may wait.
        PERFORM raxx_detect.deliver_checkpoints(chain);
        undelivered := raxx_detect.undelivered(chain);
        breaks := array_remove(ARRAY[raxx_detect.structural_break(chain)], NULL);
        IF breaks = '{}' THEN
            unsealed := raxx_detect.seal_what_is_new(chain);
            breaks := raxx_detect.verify_what_is_due(rule, chain);
        END IF;
    END IF;
    FOREACH b IN ARRAY breaks LOOP
        IF b.kind = 'indeterminate' THEN
            result.outcome := 'no_data';
            result.detail := concat_ws('; ', result.detail, format('%s is indeterminate: %s', binding.source, b.detail));
        ELSE
            recorded := raxx_detect.record_chain_break(rule, binding.source, chain, b);
            result.findings_new := result.findings_new + recorded.added;
            result.findings_updated := result.findings_updated + recorded.changed;
        END IF;
    END LOOP;
    IF unsealed IS NOT NULL OR undelivered IS NOT NULL THEN
        result.outcome := 'error';
        result.detail := concat_ws('; ', result.detail, 'rows of ' || binding.source || ' are not sealed: ' || unsealed, undelivered);
    END IF;
    INSERT INTO raxx_detect.coverage AS c (rule_id, source, settled, looked_to) VALUES (rule.rule_id, binding.source, least(as_of, now()), least(as_of, now()))
    ON CONFLICT ON CONSTRAINT coverage_pkey DO UPDATE SET settled = EXCLUDED.settled, looked_to = EXCLUDED.looked_to, quiet = 'empty';
    result.covered := range_merge(coalesce(result.covered, 'empty'), tstzrange(as_of, as_of, '[]'));
    IF result.outcome = 'ok' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        PERFORM raxx_detect.note_quiet(rule, binding, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.watch_chain(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run) IS
'What a run of rule 7 does about one source: seals, verifies what is due, and writes findings. A chain is as it is now, whatever as_of says.';

CREATE FUNCTION raxx_detect.has_work(chain raxx_detect.chains) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE chain.mode
        WHEN 'declared' THEN raxx_detect.last_declared_seq(chain) IS DISTINCT FROM
            (SELECT nullif(h.seq, -1) FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id)
        ELSE raxx_detect.has_unsealed(chain) END;
END $$;
COMMENT ON FUNCTION raxx_detect.has_work(raxx_detect.chains) IS 'Whether rows wait to be sealed, or, in a chain of an application, its last row is not the last one that was verified.';

CREATE FUNCTION raxx_detect.chain_work_is_due(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains := raxx_detect.attached_chain(binding.relation);
    head raxx_detect.chain_heads;
BEGIN
    IF chain.chain_id IS NULL OR raxx_detect.is_unreadable(chain) THEN
        RETURN '-infinity';
    ELSIF raxx_detect.has_work(chain) THEN
        RETURN '-infinity';
    END IF;
    SELECT h.* INTO head FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id;
    RETURN CASE WHEN head.seq = head.verified_seq THEN least(
        coalesce(head.sliced_at + (rule.params ->> 'slice_every')::interval, '-infinity'),
        coalesce((SELECT max(c.made_at) FROM raxx_detect.chain_checkpoints c WHERE c.chain_id = chain.chain_id) + (rule.params ->> 'checkpoint_every')::interval,
                 head.sliced_at + (rule.params ->> 'checkpoint_every')::interval, '-infinity'))
        ELSE '-infinity' END;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_work_is_due(raxx_detect.rules, raxx_detect.source_bindings) IS
'When a run has something to do about a source''s chain though no row has come: the next slice, the next checkpoint. -infinity: now.';

-- ---- what others ask -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.check_chain_attached(rule raxx_detect.rules, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record;
    missing text[] := '{}';
    found text[] := '{}';
    genesis raxx_detect.chain_break[];
BEGIN
    FOR s IN SELECT x.source, b.relation, raxx_detect.attached_chain(b.relation) AS chain, x.number FROM unnest(rule.sources) WITH ORDINALITY x(source, number)
             LEFT JOIN raxx_detect.source_bindings b ON b.source = x.source ORDER BY x.number LOOP
        IF s.relation IS NULL THEN
            missing := missing || (raxx_detect.source_span(s.source)).problem;
        ELSIF (s.chain).chain_id IS NULL THEN
            missing := missing || format('source %s (%s) has no hash chain: SELECT raxx_detect.chain_attach(%L)', s.source, s.relation, s.relation);
        ELSE
            found := found || s.source;
        END IF;
    END LOOP;
    holds := found <> '{}';
    IF NOT holds THEN
        detail := array_to_string(missing, '; ');
        RETURN;
    END IF;
    PERFORM FROM raxx_detect.chain_keys() k WHERE k.kind = 'chain';
    detail := concat_ws('; ', format('attached to %s', array_to_string(found, ', ')), nullif(array_to_string(missing, '; '), ''));
EXCEPTION WHEN OTHERS THEN
    holds := false;
    detail := concat_ws('; ', format('the keys of hash chains cannot be read: %s', sqlerrm), nullif(array_to_string(missing, '; '), ''));
END $$;
COMMENT ON FUNCTION raxx_detect.check_chain_attached(raxx_detect.rules) IS
'P3: whether a chain is attached to one of the rule''s sources, and keys can be read. (Whether its genesis holds is the rule''s own verdict: one that does not is a finding.)';

CREATE FUNCTION raxx_detect.seq_column(chain raxx_detect.chains) RETURNS name
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE chain.mode WHEN 'declared' THEN chain.declared ->> 'seq' ELSE 'raxx_seq' END::name
$$;
COMMENT ON FUNCTION raxx_detect.seq_column(raxx_detect.chains) IS 'The column with the numbers of a chain''s rows.';

CREATE FUNCTION raxx_detect.last_seq(chain raxx_detect.chains) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE chain.mode WHEN 'declared' THEN raxx_detect.last_declared_seq(chain)
                           ELSE (SELECT h.seq FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id) END;
END $$;
COMMENT ON FUNCTION raxx_detect.last_seq(raxx_detect.chains) IS 'The number of the last entry of a chain; NULL: it has none.';

CREATE FUNCTION raxx_detect.more_than_a_million(chain raxx_detect.chains, from_seq bigint, to_seq bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The numbers of an application may have holes.
    RETURN CASE WHEN to_seq - from_seq::numeric <= 1000000 THEN false WHEN chain.mode = 'declared' THEN raxx_detect.end_of_stretch(chain, from_seq, 1000001) <= to_seq
                ELSE true END;
END $$;
COMMENT ON FUNCTION raxx_detect.more_than_a_million(raxx_detect.chains, bigint, bigint) IS 'Whether there are more than a million entries between two numbers.';

CREATE FUNCTION raxx_detect.chain_verdict(binding raxx_detect.source_bindings, gap tstzrange) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chain raxx_detect.chains := raxx_detect.attached_chain(binding.relation);
    first bigint;
    last bigint;
    report raxx_detect.chain_report;
BEGIN
    IF chain.chain_id IS NULL OR raxx_detect.is_unreadable(chain) THEN
        RETURN 'undetermined';
    END IF;
    -- From the row before the silence to the one after it, or to the last entry.
    EXECUTE format('SELECT min(t.%3$I), max(t.%3$I) FROM %1$s t WHERE t.%2$I >= $1 AND t.%2$I <= coalesce($2, $1)', raxx_detect.chain_rows_from(chain), raxx_detect.time_column(binding),
        raxx_detect.seq_column(chain))
    INTO first, last USING lower(gap), upper(gap);
    IF upper_inf(gap) THEN
        last := raxx_detect.last_seq(chain);
    END IF;
    IF first IS NULL OR last IS NULL OR raxx_detect.more_than_a_million(chain, first, last) THEN
        RETURN 'undetermined';
    END IF;
    report := raxx_detect.check_chain(chain, first, last, NULL);
    RETURN CASE WHEN EXISTS (SELECT FROM unnest(report.breaks) b WHERE b.kind <> 'indeterminate') THEN 'adversarial'
                WHEN report.breaks <> '{}' THEN 'undetermined' ELSE 'benign' END;
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege OR undefined_column OR external_routine_exception OR config_file_error THEN
    RETURN 'undetermined';
END $$;
COMMENT ON FUNCTION raxx_detect.chain_verdict(raxx_detect.source_bindings, tstzrange) IS
'What the hash chain says of a silence of a source: benign if it is intact from the row before the silence to the one after it (nothing was written meanwhile), adversarial if it is broken there, undetermined without a chain, a key, or a place of these rows in it, or if more than a million entries lie between them.';
