-- Rule 7's run: seals what is new, verifies it, goes on with the pass over the whole chain, makes checkpoints, and turns
-- breaks into findings, which only people close.

CREATE FUNCTION raxx_detect.attached_chain(relation regclass) RETURNS raxx_detect.chains
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.* FROM raxx_detect.chains c WHERE c.relation = attached_chain.relation AND c.detached_at IS NULL
$$;
COMMENT ON FUNCTION raxx_detect.attached_chain(regclass) IS 'The chain that is attached to a relation, NULL if there is none.';

-- ---- findings ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.chain_range_in_words(b raxx_detect.chain_break) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN b.seq_to IS NULL THEN format('from entry %s on', b.seq_from) WHEN b.seq_to = b.seq_from THEN format('entry %s', b.seq_from)
                ELSE format('entries %s to %s', b.seq_from, b.seq_to) END
$$;
COMMENT ON FUNCTION raxx_detect.chain_range_in_words(raxx_detect.chain_break) IS 'The entries of a break, as a sentence names them.';

CREATE FUNCTION raxx_detect.chain_evidence(chain raxx_detect.chains, b raxx_detect.chain_break) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('conditions', '["chain"]'::jsonb, 'chain', chain.chain_id, 'relation', chain.relation::text, 'kind', b.kind,
        'seq_from', b.seq_from, 'seq_to', b.seq_to, 'detail', b.detail, 'intact_to', b.seq_from - 1,
        'checkpoint_before', (SELECT jsonb_build_object('number', c.number, 'seq', c.seq, 'made_at', c.made_at) FROM raxx_detect.chain_checkpoints c
                              WHERE c.chain_id = chain.chain_id AND c.seq < b.seq_from ORDER BY c.number DESC LIMIT 1),
        'checkpoint_after', (SELECT jsonb_build_object('number', c.number, 'seq', c.seq, 'made_at', c.made_at) FROM raxx_detect.chain_checkpoints c
                             WHERE c.chain_id = chain.chain_id AND c.seq >= b.seq_to ORDER BY c.number LIMIT 1),
        'whole_chain_verified_at', (SELECT h.passed_at FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id))
$$;
COMMENT ON FUNCTION raxx_detect.chain_evidence(raxx_detect.chains, raxx_detect.chain_break) IS
'What a finding about a break holds: its kind and entries, up to where the chain is intact before it, between which checkpoints the entries were sealed, and when a pass over the whole chain last ended.';

CREATE FUNCTION raxx_detect.break_entity(source text, b raxx_detect.chain_break) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s: %s at %s', source, b.kind, raxx_detect.chain_range_in_words(b))
$$;
COMMENT ON FUNCTION raxx_detect.break_entity(text, raxx_detect.chain_break) IS 'What a finding about a break is about.';

CREATE FUNCTION raxx_detect.break_summary(source text, b raxx_detect.chain_break) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s: %s; the chain is intact up to entry %s', raxx_detect.break_entity(source, b), b.detail, greatest(b.seq_from - 1, 0))
$$;
COMMENT ON FUNCTION raxx_detect.break_summary(text, raxx_detect.chain_break) IS 'A break in a sentence.';

CREATE FUNCTION raxx_detect.touches(chain_id uuid, seq_from bigint, seq_to bigint, b raxx_detect.chain_break) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.only_records(chain_id, coalesce(seq_to, 9223372036854775806) + 1, b.seq_from - 1)
       AND raxx_detect.only_records(chain_id, coalesce(b.seq_to, 9223372036854775806) + 1, seq_from - 1)
$$;
COMMENT ON FUNCTION raxx_detect.touches(uuid, bigint, bigint, raxx_detect.chain_break) IS 'Whether there is no row between a stretch of a chain and a break.';

CREATE FUNCTION raxx_detect.open_breaks(rule_id text, chain_id uuid, kind text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM raxx_detect.detection_findings f
    WHERE f.rule_id = open_breaks.rule_id AND f.triage <> 'closed' AND f.evidence @> jsonb_build_object('chain', chain_id, 'kind', kind)
$$;
COMMENT ON FUNCTION raxx_detect.open_breaks(text, uuid, text) IS 'How many findings that nobody has closed tell of breaks of a kind in a chain.';

CREATE FUNCTION raxx_detect.grown_break(evidence jsonb, b raxx_detect.chain_break) RETURNS raxx_detect.chain_break
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (b.kind, least(b.seq_from, (evidence ->> 'seq_from')::bigint),
            CASE WHEN b.seq_to IS NOT NULL AND evidence ->> 'seq_to' IS NOT NULL THEN greatest(b.seq_to, (evidence ->> 'seq_to')::bigint) END,
            split_part(evidence ->> 'detail', '; and more', 1) || '; and more, which raxx_detect.verify_chain lists')::raxx_detect.chain_break
$$;
COMMENT ON FUNCTION raxx_detect.grown_break(jsonb, raxx_detect.chain_break) IS 'The break of a finding, with this evidence, and another one, as one.';

CREATE FUNCTION raxx_detect.record_chain_break(rule raxx_detect.rules, source text, chain raxx_detect.chains, b raxx_detect.chain_break,
    OUT added bigint, OUT changed bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
DECLARE
    old raxx_detect.detection_findings;
    evidence jsonb := raxx_detect.chain_evidence(chain, b);
    began timestamptz := coalesce((evidence ->> 'whole_chain_verified_at')::timestamptz, chain.attached_at);
BEGIN
    added := 0; changed := 0;
    -- Known already, whatever people have said of it: no news.
    IF EXISTS (SELECT FROM raxx_detect.detection_findings f
               WHERE f.rule_id = rule.rule_id AND f.evidence @> jsonb_build_object('chain', chain.chain_id, 'kind', b.kind)
                 AND (f.evidence ->> 'seq_from')::bigint <= b.seq_from AND coalesce((f.evidence ->> 'seq_to')::bigint >= b.seq_to, true)) THEN
        RETURN;
    END IF;
    SELECT f.* INTO old FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.triage <> 'closed' AND f.evidence @> jsonb_build_object('chain', chain.chain_id, 'kind', b.kind)
    ORDER BY raxx_detect.touches(chain.chain_id, (f.evidence ->> 'seq_from')::bigint, (f.evidence ->> 'seq_to')::bigint, b) DESC, f.finding_id DESC LIMIT 1;
    IF FOUND AND (raxx_detect.touches(chain.chain_id, (old.evidence ->> 'seq_from')::bigint, (old.evidence ->> 'seq_to')::bigint, b)
                  OR raxx_detect.open_breaks(rule.rule_id, chain.chain_id, b.kind) >= 3) THEN  -- it grows
        b := raxx_detect.grown_break(old.evidence, b);
        evidence := raxx_detect.chain_evidence(chain, b);
        UPDATE raxx_detect.detection_findings f
        SET entity = raxx_detect.break_entity(source, b), summary = raxx_detect.break_summary(source, b), evidence = evidence,
            observed = coalesce(b.seq_to - b.seq_from + 1, 1), sample_size = coalesce(b.seq_to - b.seq_from + 1, 1),
            occurrences = f.occurrences + 1, updated_at = now()
        WHERE f.finding_id = old.finding_id;
        changed := 1;
        RETURN;
    END IF;
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by,
        sample_size, summary, evidence, verdict, condition, occurrences, escalation_owner)
    VALUES (rule.rule_id, rule.det_id, rule.category, source, rule.severity, raxx_detect.break_entity(source, b), tstzrange(began, NULL), coalesce(b.seq_to - b.seq_from + 1, 1), 0,
        'entries', 'threshold', coalesce(b.seq_to - b.seq_from + 1, 1), raxx_detect.break_summary(source, b), evidence,
        -- A restore from a backup looks like this, too.
        CASE b.kind WHEN 'rolled back' THEN 'undetermined' ELSE 'adversarial' END, 'firing', 1, rule.escalation_owner);
    added := 1;
END $$;
COMMENT ON FUNCTION raxx_detect.record_chain_break(raxx_detect.rules, text, raxx_detect.chains, raxx_detect.chain_break) IS
'Writes the finding about a break, unless there is one that tells of it; one that nobody has closed grows with what goes on beside it, and the last of three of a kind with all others of that kind, so that no storm comes of many. Its episode begins when a pass over the whole chain last ended, or the chain was attached: since then it has happened. Nothing but people ends it.';

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
        ELSE raxx_detect.has_unsealed(chain.relation) END;
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
    EXECUTE format('SELECT min(t.%3$I), max(t.%3$I) FROM %1$s t WHERE t.%2$I >= $1 AND t.%2$I <= coalesce($2, $1)', binding.relation, raxx_detect.time_column(binding),
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
