-- Breaks as findings. Nothing but people ends one, and what is seen again at each pass is not found again, whatever they have said of it. But
-- a finding remembers what stood in the entries: somebody who tampers with them once more is found once more.

CREATE FUNCTION raxx_detect.chain_range_in_words(b raxx_detect.chain_break) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN b.seq_to IS NULL THEN format('from entry %s on', b.seq_from) WHEN b.seq_to = b.seq_from THEN format('entry %s', b.seq_from)
                ELSE format('entries %s to %s', b.seq_from, b.seq_to) END
$$;
COMMENT ON FUNCTION raxx_detect.chain_range_in_words(raxx_detect.chain_break) IS 'The entries of a break, as a sentence names them.';

CREATE FUNCTION raxx_detect.chain_evidence(chain raxx_detect.chains, b raxx_detect.chain_break, seen jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('conditions', '["chain"]'::jsonb, 'chain', chain.chain_id, 'relation', chain.relation::text, 'kind', b.kind,
        'seq_from', b.seq_from, 'seq_to', b.seq_to, 'detail', b.detail, 'seen', seen, 'intact_to', b.seq_from - 1,
        'checkpoint_before', (SELECT jsonb_build_object('number', c.number, 'seq', c.seq, 'made_at', c.made_at) FROM raxx_detect.chain_checkpoints c
                              WHERE c.chain_id = chain.chain_id AND c.seq < b.seq_from ORDER BY c.number DESC LIMIT 1),
        'checkpoint_after', (SELECT jsonb_build_object('number', c.number, 'seq', c.seq, 'made_at', c.made_at) FROM raxx_detect.chain_checkpoints c
                             WHERE c.chain_id = chain.chain_id AND c.seq >= b.seq_to ORDER BY c.number LIMIT 1),
        'whole_chain_verified_at', (SELECT h.passed_at FROM raxx_detect.chain_heads h WHERE h.chain_id = chain.chain_id))
$$;
COMMENT ON FUNCTION raxx_detect.chain_evidence(raxx_detect.chains, raxx_detect.chain_break, jsonb) IS
'What a finding about a break holds: its kind and entries, up to where the chain is intact before it, what was seen there (raxx_detect.chain_seen), between which checkpoints the entries were sealed, and when a pass over the whole chain last ended.';

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

-- ---- what was seen ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.most_seen() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 100;
COMMENT ON FUNCTION raxx_detect.most_seen() IS 'Of how many entries a finding remembers what was seen there; of the others it only knows that they were concerned.';

CREATE FUNCTION raxx_detect.bytes_seen(chain raxx_detect.chains) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan raxx_detect.chain_plan;
BEGIN
    IF chain.mode = 'declared' THEN
        RETURN format('SELECT t.%1$I::bigint AS seq, raxx_detect.canonical_row(t.%2$I%3$s, %4$s) AS bytes FROM %5$s t WHERE t.%1$I BETWEEN $1 AND $2', chain.declared ->> 'seq',
            chain.declared ->> 'mac', CASE WHEN chain.declared ->> 'prev' IS NOT NULL THEN format(', t.%I', chain.declared ->> 'prev') END,
            (SELECT string_agg(format('t.%I', c ->> 'name'), ', ' ORDER BY n) FROM jsonb_array_elements(chain.declared -> 'columns') WITH ORDINALITY x(c, n)), chain.relation);
    END IF;
    plan := (raxx_detect.chain_trust(chain)).plan;
    RETURN format('SELECT t.raxx_seq AS seq, raxx_detect.chain_entry_bytes(%L, t.raxx_seq, t.raxx_prev, t.raxx_mac, %s) AS bytes FROM %s t WHERE t.raxx_seq BETWEEN $1 AND $2',
        plan.reading, raxx_detect.column_list(plan), plan.rows);
END $$;
COMMENT ON FUNCTION raxx_detect.bytes_seen(raxx_detect.chains) IS 'A query for all that verification sees of the rows of a chain whose numbers are from $1 to $2.';

CREATE FUNCTION raxx_detect.chain_seen(chain raxx_detect.chains, b raxx_detect.chain_break) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE
    result jsonb;
    -- How many checkpoints there are by now, or whether those outside could be had, is not part of it.
    said jsonb := jsonb_build_object('detail', regexp_replace(b.detail, ' of [0-9]+ |, which was kept outside', ' ', 'g'));
BEGIN
    -- Not about entries, or about some that nobody can read any more.
    IF chain.chain_id IS NULL OR b.kind IN ('chain missing', 'rolled back', 'checkpoint missing', 'checkpoint invalid')
       OR (chain.mode = 'declared' AND b.kind IN ('schema tampered', 'genesis replaced')) THEN
        RETURN said;
    END IF;
    EXECUTE format(
        'SELECT jsonb_object_agg(s.seq, s.digest) FROM (
             SELECT e.seq, left(encode(sha256(string_agg(sha256(e.bytes), '''' ORDER BY e.bytes)), ''hex''), 16) AS digest
             FROM ((%s ORDER BY 1 LIMIT $3) UNION ALL
                   (SELECT r.seq, raxx_detect.canonical_row(r.prev, r.mac, r.payload) FROM raxx_detect.chain_records r
                    WHERE r.chain_id = $4 AND $5 AND r.seq BETWEEN $1 AND $2 ORDER BY r.seq LIMIT $3)) e
             GROUP BY e.seq ORDER BY e.seq LIMIT $3) s', raxx_detect.bytes_seen(chain))
    INTO result USING b.seq_from, coalesce(b.seq_to, 9223372036854775806), raxx_detect.most_seen(), chain.chain_id, chain.mode <> 'declared';
    -- Of a second suffix in the place of the first tells only how many checkpoints it contradicts.
    RETURN coalesce(result, '{}') || CASE b.kind WHEN 'suffix rewritten' THEN said ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.chain_seen(raxx_detect.chains, raxx_detect.chain_break) IS
'What is found at the entries of a break, the first hundred of them: for each number a digest. Of a break that is not about entries, what it says.';

CREATE FUNCTION raxx_detect.was_seen(evidence jsonb, seen jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM jsonb_each(seen) n
                       WHERE CASE WHEN evidence -> 'seen' ? n.key THEN evidence -> 'seen' -> n.key <> n.value
                                  -- What the chain has got since then is no part of it.
                                  WHEN n.key ~ '^[0-9]+$' AND n.key::numeric > (evidence ->> 'seq_to')::numeric THEN false
                                  ELSE (SELECT count(*) FROM jsonb_object_keys(evidence -> 'seen')) < raxx_detect.most_seen() END)
$$;
COMMENT ON FUNCTION raxx_detect.was_seen(jsonb, jsonb) IS 'Whether what is seen (raxx_detect.chain_seen) at entries of a finding with this evidence is what it remembers.';

CREATE FUNCTION raxx_detect.seen_together(known jsonb, seen jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(a.key, a.value), '{}')
    FROM (SELECT e.key, e.value FROM jsonb_each(coalesce(known, '{}') || seen) e ORDER BY known ? e.key DESC NULLS LAST, length(e.key), e.key LIMIT raxx_detect.most_seen()) a
$$;
COMMENT ON FUNCTION raxx_detect.seen_together(jsonb, jsonb) IS 'What was known, and what is seen now in its place and beside it.';

CREATE FUNCTION raxx_detect.is_within(b raxx_detect.chain_break, evidence jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (evidence ->> 'seq_from')::bigint <= b.seq_from
       -- What goes up to the last entry goes further with each that is sealed.
       AND coalesce((evidence ->> 'seq_to')::bigint >= CASE WHEN b.kind IN ('suffix rewritten', 'checkpoint missing') THEN b.seq_from ELSE b.seq_to END, true)
$$;
COMMENT ON FUNCTION raxx_detect.is_within(raxx_detect.chain_break, jsonb) IS 'Whether the entries of a break are among those of a finding of its kind, with this evidence.';

-- ---- findings ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.grown_break(evidence jsonb, b raxx_detect.chain_break) RETURNS raxx_detect.chain_break
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (b.kind, least(b.seq_from, (evidence ->> 'seq_from')::bigint),
            CASE WHEN b.seq_to IS NOT NULL AND evidence ->> 'seq_to' IS NOT NULL THEN greatest(b.seq_to, (evidence ->> 'seq_to')::bigint) END,
            regexp_replace(evidence ->> 'detail', '; and (more|changed), .*$', '') ||
            CASE WHEN raxx_detect.is_within(b, evidence) THEN '; and changed, again, since it was found' ELSE '; and more, which raxx_detect.verify_chain lists' END)::raxx_detect.chain_break
$$;
COMMENT ON FUNCTION raxx_detect.grown_break(jsonb, raxx_detect.chain_break) IS 'The break of a finding, with this evidence, and another one, as one.';

CREATE FUNCTION raxx_detect.new_entity(rule_id text, called text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat(called, (SELECT format(', after finding %s', max(f.finding_id)) FROM raxx_detect.detection_findings f
                           WHERE f.rule_id = new_entity.rule_id AND (f.entity = called OR starts_with(f.entity, called || ', after finding ')) HAVING count(*) > 0))
$$;
COMMENT ON FUNCTION raxx_detect.new_entity(text, text) IS 'The entity of a new finding: as it is called, and after which other one, if another is called the same (of another chain, or that was closed).';

CREATE FUNCTION raxx_detect.findings_of_kind(rule_id text, source text, chain_id uuid, kind text) RETURNS SETOF raxx_detect.detection_findings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.* FROM raxx_detect.detection_findings f
    WHERE f.rule_id = findings_of_kind.rule_id AND f.evidence @> jsonb_build_object('chain', chain_id, 'kind', kind) AND (chain_id IS NOT NULL OR f.source = findings_of_kind.source)
$$;
COMMENT ON FUNCTION raxx_detect.findings_of_kind(text, text, uuid, text) IS 'The findings about breaks of a kind in a chain (NULL: of which nothing is known but the source).';

CREATE FUNCTION raxx_detect.grow_finding(old raxx_detect.detection_findings, chain raxx_detect.chains, b raxx_detect.chain_break, seen jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
BEGIN
    seen := raxx_detect.seen_together(old.evidence -> 'seen', seen);
    b := raxx_detect.grown_break(old.evidence, b);
    UPDATE raxx_detect.detection_findings f
    SET entity = CASE WHEN (b.seq_from, b.seq_to) IS DISTINCT FROM ((old.evidence ->> 'seq_from')::bigint, (old.evidence ->> 'seq_to')::bigint)
                      THEN raxx_detect.new_entity(old.rule_id, raxx_detect.break_entity(old.source, b)) ELSE f.entity END,
        summary = raxx_detect.break_summary(old.source, b), evidence = raxx_detect.chain_evidence(chain, b, seen),
        observed = coalesce(b.seq_to - b.seq_from + 1, 1), sample_size = coalesce(b.seq_to - b.seq_from + 1, 1),
        occurrences = f.occurrences + 1, updated_at = now()
    WHERE f.finding_id = old.finding_id;
END $$;
COMMENT ON FUNCTION raxx_detect.grow_finding(raxx_detect.detection_findings, raxx_detect.chains, raxx_detect.chain_break, jsonb) IS 'Has a finding tell of another break, too.';

CREATE FUNCTION raxx_detect.record_chain_break(rule raxx_detect.rules, source text, chain raxx_detect.chains, b raxx_detect.chain_break,
    OUT added bigint, OUT changed bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
#variable_conflict use_variable
DECLARE
    old raxx_detect.detection_findings;
    seen jsonb := raxx_detect.chain_seen(chain, b);
    evidence jsonb := raxx_detect.chain_evidence(chain, b, seen);
    began timestamptz := coalesce((evidence ->> 'whole_chain_verified_at')::timestamptz, chain.attached_at);
BEGIN
    added := 0; changed := 0;
    -- Known already, whatever people have said of it: no news.
    IF EXISTS (SELECT FROM raxx_detect.findings_of_kind(rule.rule_id, source, chain.chain_id, b.kind) f
               WHERE raxx_detect.is_within(b, f.evidence) AND raxx_detect.was_seen(f.evidence, seen)) THEN
        RETURN;
    END IF;
    SELECT f.* INTO old FROM raxx_detect.findings_of_kind(rule.rule_id, source, chain.chain_id, b.kind) f WHERE f.triage <> 'closed'
    ORDER BY raxx_detect.touches(chain.chain_id, (f.evidence ->> 'seq_from')::bigint, (f.evidence ->> 'seq_to')::bigint, b) DESC, f.finding_id DESC LIMIT 1;
    IF FOUND AND (raxx_detect.touches(chain.chain_id, (old.evidence ->> 'seq_from')::bigint, (old.evidence ->> 'seq_to')::bigint, b)
                  OR raxx_detect.open_breaks(rule.rule_id, chain.chain_id, b.kind) >= 3) THEN  -- it grows
        PERFORM raxx_detect.grow_finding(old, chain, b, seen);
        changed := 1;
        RETURN;
    END IF;
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by,
        sample_size, summary, evidence, verdict, condition, occurrences, escalation_owner)
    VALUES (rule.rule_id, rule.det_id, rule.category, source, rule.severity, raxx_detect.new_entity(rule.rule_id, raxx_detect.break_entity(source, b)),
        tstzrange(began, NULL), coalesce(b.seq_to - b.seq_from + 1, 1), 0,
        'entries', 'threshold', coalesce(b.seq_to - b.seq_from + 1, 1), raxx_detect.break_summary(source, b), evidence,
        -- A restore from a backup looks like this, too.
        CASE b.kind WHEN 'rolled back' THEN 'undetermined' ELSE 'adversarial' END, 'firing', 1, rule.escalation_owner);
    added := 1;
END $$;
COMMENT ON FUNCTION raxx_detect.record_chain_break(raxx_detect.rules, text, raxx_detect.chains, raxx_detect.chain_break) IS
'Writes the finding about a break, unless there is one that tells of it and of what is seen there; one that nobody has closed grows with what goes on in it or beside it, and the last of three of a kind with all others of that kind, so that no storm comes of many. Its episode begins when a pass over the whole chain last ended, or the chain was attached: since then it has happened. Nothing but people ends it.';
