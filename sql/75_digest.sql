-- The digest: once for each local day, in one transaction, also when there is nothing to tell. It is the sign of life that people
-- notice when it is missing, and carries the heads of the hash chains out of the database.

CREATE TABLE raxx_detect.digests (
    local_day date PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    told_from timestamptz NOT NULL,
    told_to timestamptz NOT NULL
);
COMMENT ON TABLE raxx_detect.digests IS 'The digests that were made: a day, by the clock of raxx_detect.notification_settings, has one.';
COMMENT ON COLUMN raxx_detect.digests.told_from IS 'It tells of what happened from there to told_to: since the digest before it, however long ago, or of the last day.';

CREATE FUNCTION raxx_detect.renew_bundled(channel raxx_detect.channels, digest bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE raxx_detect.deliveries d
    SET severity = f.severity, payload = d.payload || raxx_detect.finding_payload(f, d.event, channel.entities, (d.payload ->> 'was_severity')::raxx_detect.severity, d.payload ->> 'because')
    FROM raxx_detect.detection_findings f
    WHERE f.finding_id = d.finding_id AND d.delivery_id IN (
        SELECT h.delivery_id FROM raxx_detect.deliveries h WHERE h.bundle = digest ORDER BY h.severity DESC, h.finding_id LIMIT 50)
$$;
COMMENT ON FUNCTION raxx_detect.renew_bundled(raxx_detect.channels, bigint) IS
'Brings what a digest tells, as far as it is shown, up to what the findings are now: a peak that has grown was nobody''s news, but it is what the digest tells.';

CREATE FUNCTION raxx_detect.digest_findings(digest bigint, OUT total bigint, OUT findings jsonb, OUT severity_counts jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH members AS (SELECT d.* FROM raxx_detect.deliveries d WHERE d.bundle = digest_findings.digest)
    SELECT (SELECT count(*) FROM members),
           (SELECT coalesce(jsonb_agg(f.payload ORDER BY f.severity DESC, f.finding_id), '[]')
            FROM (SELECT m.* FROM members m ORDER BY m.severity DESC, m.finding_id LIMIT 50) f),
           (SELECT jsonb_object_agg(e.severity, (SELECT count(*) FROM members m WHERE m.severity = e.severity))
            FROM unnest(enum_range(NULL::raxx_detect.severity)) e(severity))
$$;
COMMENT ON FUNCTION raxx_detect.digest_findings(bigint) IS 'The findings that are bundled in a digest: how many, the 50 worst of them as they were frozen, and how many of each severity.';

CREATE FUNCTION raxx_detect.digest_told(entities text, from_time timestamptz, to_time timestamptz, OUT total bigint, OUT told jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH messages AS (
        SELECT DISTINCT ON (d.finding_id) d.finding_id, d.severity, d.channel, d.state, d.payload, d.created_at
        FROM raxx_detect.deliveries d
        WHERE d.mode <> 'digest' AND d.finding_id IS NOT NULL AND d.created_at > from_time AND d.created_at <= to_time AND d.state NOT IN ('cancelled', 'silenced')
        ORDER BY d.finding_id, d.delivery_id DESC
    )
    SELECT (SELECT count(*) FROM messages),
           (SELECT coalesce(jsonb_agg(jsonb_build_object('finding_id', m.finding_id, 'severity', m.severity, 'rule_id', m.payload -> 'rule_id', 'title', m.payload -> 'title',
                       'entity', raxx_detect.shown_entity(f.entity, entities), 'summary', CASE WHEN entities = 'full' THEN m.payload -> 'summary' END,
                       'condition', coalesce(to_jsonb(f.condition), m.payload -> 'condition'), 'channel', m.channel, 'state', m.state,
                       'told_at', raxx_detect.in_utc(m.created_at)) ORDER BY m.severity DESC, m.finding_id), '[]')
            FROM (SELECT * FROM messages x ORDER BY x.severity DESC, x.finding_id LIMIT 50) m
            LEFT JOIN raxx_detect.detection_findings f ON f.finding_id = m.finding_id)
$$;
COMMENT ON FUNCTION raxx_detect.digest_told(text, timestamptz, timestamptz) IS 'The findings of which there were messages of their own in (from_time, to_time]: how many, and the 50 worst.';

CREATE FUNCTION raxx_detect.digest_open(entities text, before timestamptz, OUT total bigint, OUT open jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT count(*) FROM raxx_detect.detection_findings f WHERE f.triage <> 'closed' AND f.exception_id IS NULL AND f.detected_at <= before AND f.rule_id NOT LIKE '% (shadow)'),
           (SELECT coalesce(jsonb_agg(jsonb_build_object('finding_id', f.finding_id, 'severity', f.severity, 'rule_id', f.rule_id, 'entity', raxx_detect.shown_entity(f.entity, entities),
                       'summary', CASE WHEN entities = 'full' THEN f.summary END, 'since', raxx_detect.in_utc(lower(f.episode)), 'condition', f.condition, 'triage', f.triage)
                       ORDER BY f.severity DESC, f.finding_id), '[]')
            FROM (SELECT x.* FROM raxx_detect.detection_findings x WHERE x.triage <> 'closed' AND x.exception_id IS NULL AND x.detected_at <= before AND x.rule_id NOT LIKE '% (shadow)' ORDER BY x.severity DESC, x.finding_id DESC LIMIT 50) f)
$$;
COMMENT ON FUNCTION raxx_detect.digest_open(text, timestamptz) IS 'The findings from then or before that nobody has closed, and no exception sets aside: how many, and the 50 worst and newest.';

CREATE FUNCTION raxx_detect.digest_set_aside(entities text, from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        WITH acts AS (
            SELECT 'silence' AS kind, s.silence_id AS id, s.rule_id, s.entity, s.starts_at AS began, s.until, s.ended_at, s.reason, s.created_by, h.findings, h.critical
            FROM raxx_detect.silences s
            CROSS JOIN LATERAL (SELECT count(DISTINCT d.finding_id) AS findings, count(DISTINCT d.finding_id) FILTER (WHERE d.severity = 'critical') AS critical
                                FROM raxx_detect.deliveries d WHERE d.silence_id = s.silence_id AND d.created_at <= to_time) h
            UNION ALL
            SELECT 'exception', x.exception_id, x.rule_id, x.entity, x.created_at, x.expires_at, x.ended_at, x.reason, x.created_by, h.findings, h.critical
            FROM raxx_detect.exceptions x
            CROSS JOIN LATERAL (SELECT count(*) AS findings, count(*) FILTER (WHERE f.severity = 'critical') AS critical
                                FROM raxx_detect.detection_findings f WHERE f.exception_id = x.exception_id AND f.detected_at <= to_time) h
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('kind', a.kind, 'id', a.id, 'rule_id', a.rule_id, 'entity', raxx_detect.shown_entity(a.entity, entities),
                   'from', raxx_detect.in_utc(a.began), 'until', raxx_detect.in_utc(least(a.until, a.ended_at)), 'ended', a.ended_at IS NOT NULL, 'by', a.created_by,
                   'reason', CASE WHEN entities = 'full' THEN a.reason END, 'findings', a.findings, 'critical', a.critical)
                   ORDER BY a.critical DESC, a.findings DESC, a.kind, a.id), '[]')
        FROM acts a WHERE a.began <= to_time AND least(a.until, a.ended_at) > from_time
    );
END $$;
COMMENT ON FUNCTION raxx_detect.digest_set_aside(text, timestamptz, timestamptz) IS
'The silences and exceptions that held in (from_time, to_time], and how many findings each has kept from being told so far.';

CREATE FUNCTION raxx_detect.digest_attention(entities text, from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        WITH hidden AS (
            SELECT DISTINCT d.finding_id, format('silence %s of %s', d.silence_id, s.created_by) AS by
            FROM raxx_detect.deliveries d JOIN raxx_detect.silences s ON s.silence_id = d.silence_id
            WHERE d.severity = 'critical' AND d.created_at <= to_time AND (d.created_at > from_time OR d.ended_at IS NULL)
            UNION ALL
            SELECT f.finding_id, format('exception %s of %s', f.exception_id, x.created_by)
            FROM raxx_detect.detection_findings f JOIN raxx_detect.exceptions x ON x.exception_id = f.exception_id
            WHERE f.severity = 'critical' AND f.detected_at <= to_time AND (f.detected_at > from_time OR f.condition <> 'cleared')
        ), numbered AS (
            SELECT h.finding_id, string_agg(h.by, ', ' ORDER BY h.by) AS by, row_number() OVER (ORDER BY h.finding_id DESC) AS position, count(*) OVER () AS total
            FROM hidden h GROUP BY h.finding_id
        )
        SELECT coalesce(jsonb_agg(CASE WHEN n.position = 21 THEN format('%s more critical findings were kept from being told.', n.total - 20)
                   WHEN f.finding_id IS NULL THEN format('CRITICAL finding %s, withdrawn since, was kept from being told by %s.', n.finding_id, n.by)
                   ELSE format('CRITICAL finding %s of %s (%s, %s) was kept from being told by %s.', f.finding_id, f.rule_id,
                               raxx_detect.printable(raxx_detect.shown_entity(f.entity, entities)), CASE f.condition WHEN 'cleared' THEN 'over' ELSE 'still going on' END, n.by) END
                   ORDER BY n.position), '[]')
        FROM numbered n LEFT JOIN raxx_detect.detection_findings f ON f.finding_id = n.finding_id
        WHERE n.position <= 21
    );
END $$;
COMMENT ON FUNCTION raxx_detect.digest_attention(text, timestamptz, timestamptz) IS
'What a digest says before all else, as sentences: each critical finding that a silence or an exception kept from being told in (from_time, to_time], or still does, the 20 newest by name.';

CREATE FUNCTION raxx_detect.digest_rules() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        SELECT r.state, r.number, jsonb_build_object('rule_id', r.rule_id, 'title', r.title, 'reason', r.state_reason, 'since', raxx_detect.in_utc(r.state_since)) AS entry,
               jsonb_build_object('rule_id', r.rule_id, 'last_validated', raxx_detect.in_utc(r.last_validated)) AS validated
        FROM raxx_detect.rules r WHERE r.shadow_of IS NULL
    )
    SELECT jsonb_build_object('live', count(*) FILTER (WHERE t.state = 'live'), 'placeholder', count(*) FILTER (WHERE t.state = 'placeholder'),
        'dormant', coalesce(jsonb_agg(t.entry ORDER BY t.number) FILTER (WHERE t.state IN ('dormant', 'subsumed')), '[]'),
        'disabled', coalesce(jsonb_agg(t.entry ORDER BY t.number) FILTER (WHERE t.state IN ('disabled', 'retired')), '[]'),
        'validated', coalesce(jsonb_agg(t.validated ORDER BY t.number), '[]'))
    FROM told t
$$;
COMMENT ON FUNCTION raxx_detect.digest_rules() IS 'What the rules are doing: how many are live, which are not and why, and when the self-test of each last passed.';

CREATE FUNCTION raxx_detect.digest_blind(from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('rule_id', b.rule_id, 'minutes', b.minutes, 'why', b.why) ORDER BY b.minutes DESC, b.rule_id), '[]')
    FROM (SELECT s.rule_id, round(raxx_detect.minutes_in(range_agg(s.spell))::numeric, 1) AS minutes,
                 left(string_agg(DISTINCT concat_ws(': ', s.kind, s.reason), '; '), 500) AS why
          FROM raxx_detect.blind_between(from_time, to_time) s WHERE s.kind NOT IN ('dormant', 'baseline') AND s.rule_id NOT LIKE '% (shadow)' GROUP BY s.rule_id) b
    WHERE b.minutes > 0
$$;
COMMENT ON FUNCTION raxx_detect.digest_blind(timestamptz, timestamptz) IS 'For how many minutes, and why, rules that were to see could not.';

CREATE FUNCTION raxx_detect.digest_chains() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('relation', c.relation::text, 'seq', h.seq,
                              'intact_to', least(h.verified_seq, (SELECT min((f.evidence ->> 'seq_from')::bigint) - 1 FROM raxx_detect.detection_findings f
                                  WHERE f.rule_id IN (SELECT r.rule_id FROM raxx_detect.rules r WHERE r.method = 'chain') AND f.triage <> 'closed'
                                    AND f.evidence @> jsonb_build_object('chain', c.chain_id))), 'verified_at', raxx_detect.in_utc(h.verified_at),
                              'line', k.line) ORDER BY c.relation::text), '[]')
    FROM raxx_detect.chains c JOIN raxx_detect.chain_heads h ON h.chain_id = c.chain_id
    LEFT JOIN LATERAL (SELECT p.line FROM raxx_detect.chain_checkpoints p WHERE p.chain_id = c.chain_id ORDER BY p.number DESC LIMIT 1) k ON true
    WHERE c.detached_at IS NULL
$$;
COMMENT ON FUNCTION raxx_detect.digest_chains() IS 'The heads of the hash chains: how far each goes, up to where it is intact (verified, and before every break that nobody has closed), and its newest signed checkpoint.';

CREATE FUNCTION raxx_detect.digest_service(from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'deliveries', (SELECT jsonb_build_object('delivered', count(*) FILTER (WHERE d.state = 'delivered'), 'dead', count(*) FILTER (WHERE d.state = 'dead'),
                                                 'possible_repeats', count(*) FILTER (WHERE d.state = 'delivered' AND d.possible_repeat),
                                                 'bundled', count(*) FILTER (WHERE d.bundle IS NOT NULL))
                              || jsonb_build_object('pending', (SELECT count(*) FROM raxx_detect.deliveries p WHERE p.state IN ('pending', 'sending')))
                       FROM raxx_detect.deliveries d WHERE d.ended_at > from_time AND d.ended_at <= to_time),
        'runs', (SELECT jsonb_build_object('last_run_at', raxx_detect.in_utc(h.last_run_at), 'runs', h.runs,
                                           'errors', (SELECT count(*) FROM raxx_detect.rule_runs r WHERE r.outcome = 'error' AND r.started_at > from_time AND r.started_at <= to_time))
                 FROM raxx_detect.heartbeat h),
        'health', (SELECT coalesce(jsonb_agg(jsonb_build_object('rule_id', h.rule_id, 'detail', left(h.reason, 500))), '[]') FROM raxx_detect.health h WHERE NOT h.healthy),
        'notes', (SELECT coalesce(jsonb_agg(n.note), '[]') FROM (
            SELECT format('no instance of raxx-notify serves %s: messages wait for it since %s (%s)', c.channel, raxx_detect.in_utc(c.oldest_pending), c.pending) AS note
            FROM raxx_detect.channel_health c WHERE c.oldest_pending < now() - interval '1 minute' AND coalesce(c.served_at < now() - interval '10 minutes', true)
            UNION ALL
            SELECT format('the circuit breaker of %s is open: %s', c.channel, c.last_error) FROM raxx_detect.channel_health c WHERE c.breaker <> 'closed'
            UNION ALL
            SELECT format('%s messages to %s are dead, and no channel was left to say so', c.unannounced, c.channel) FROM raxx_detect.channel_health c WHERE c.unannounced > 0) n))
$$;
COMMENT ON FUNCTION raxx_detect.digest_service(timestamptz, timestamptz) IS 'How detection and delivery themselves fare.';

CREATE FUNCTION raxx_detect.digest_proposals(from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH told AS (
        SELECT d.*, least(d.until, d.ended_at) AS over_at FROM raxx_detect.downgrades d JOIN raxx_detect.rules r ON r.rule_id = d.rule_id WHERE raxx_detect.may_be_downgraded(r)
    ), sentences AS (
        SELECT 1 AS kind, t.began_at AS at, format('%s: its findings of severity %s are told as %s until %s, since people passed over %s of them. If they matter: SELECT raxx_detect.undo_downgrade(%L, ''reason'')',
                   t.rule_id, upper(t.severity_from::text), upper(t.severity_to::text), raxx_detect.in_words_utc(t.until), t.firings, t.rule_id) AS sentence
        FROM told t WHERE t.began_at <= to_time AND t.over_at > to_time
        UNION ALL
        SELECT 2, t.over_at, format('%s: its findings of severity %s are told as such again, since %s', t.rule_id, upper(t.severity_from::text),
                   CASE WHEN t.ended_at < t.until THEN format('%s took the downgrade back: %s', t.ended_by, t.end_reason) ELSE 'the downgrade is over' END)
        FROM told t WHERE t.over_at > from_time AND t.over_at <= to_time
        UNION ALL
        SELECT 3, a.until, format('%s: that it may be active beyond the ceiling ends %s. To go on with it: SELECT raxx_detect.approve(%L, ''reason'', until)',
                   r.rule_id, raxx_detect.in_words_utc(a.until), r.rule_id)
        FROM raxx_detect.rules r CROSS JOIN raxx_detect.tuning_settings s CROSS JOIN LATERAL (SELECT raxx_detect.approved_until(r.rule_id) AS until) a
        WHERE raxx_detect.counts_as_active(r) AND a.until > to_time AND a.until <= to_time + s.approval_warning
    )
    SELECT coalesce(jsonb_agg(left(x.sentence, 500) ORDER BY x.kind, x.at, x.sentence), '[]') FROM sentences x
$$;
COMMENT ON FUNCTION raxx_detect.digest_proposals(timestamptz, timestamptz) IS
'What has been changed in how people are told, and theirs to decide, as sentences: which rules are told lower at to_time, which have ceased to be since from_time, and which approvals end soon. No entity is in it.';

CREATE FUNCTION raxx_detect.digest_payload(channel raxx_detect.channels, digest bigint, day date, from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('version', 1, 'event', 'digest', 'day', to_char(day, 'YYYY-MM-DD'), 'time_zone', s.time_zone, 'from', raxx_detect.in_utc(from_time), 'to', raxx_detect.in_utc(to_time),
            'posture', s.posture, 'severity', 'medium',
            'severity_counts', f.severity_counts, 'findings', f.findings, 'findings_total', f.total, 'told', t.told, 'told_total', t.total, 'open', o.open, 'open_total', o.total,
            'rules', raxx_detect.digest_rules(), 'blind', raxx_detect.digest_blind(from_time, to_time), 'proposals', raxx_detect.digest_proposals(from_time, to_time), 'attention', raxx_detect.digest_attention(channel.entities, from_time, to_time),
            'set_aside', raxx_detect.digest_set_aside(channel.entities, from_time, to_time), 'chains', raxx_detect.digest_chains())
        || raxx_detect.digest_service(from_time, to_time)
    FROM raxx_detect.notification_settings s, raxx_detect.digest_findings(digest) f, raxx_detect.digest_told(channel.entities, from_time, to_time) t,
         raxx_detect.digest_open(channel.entities, from_time) o
$$;
COMMENT ON FUNCTION raxx_detect.digest_payload(raxx_detect.channels, bigint, date, timestamptz, timestamptz) IS 'What a channel''s digest says (docs/notifier.md), of what is bundled in it.';

CREATE FUNCTION raxx_detect.make_digest(at timestamptz DEFAULT now(), again boolean DEFAULT false) RETURNS SETOF bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    settings raxx_detect.notification_settings := (SELECT s FROM raxx_detect.notification_settings s);
    local timestamp;
    last_told timestamptz;
    from_time timestamptz;
    channel raxx_detect.channels;
    digest bigint;
BEGIN
    PERFORM raxx_detect.check_as_of(at);
    local := timezone(settings.time_zone, at);
    last_told := (SELECT max(d.told_to) FROM raxx_detect.digests d WHERE d.told_to < at);
    from_time := coalesce(last_told, at - interval '1 day');
    IF NOT again THEN
        IF local::time < settings.digest_at OR EXISTS (SELECT FROM raxx_detect.digests d WHERE d.local_day >= local::date) THEN
            RETURN;
        END IF;
        -- Whoever comes second waits for the first, and finds that it is done.
        INSERT INTO raxx_detect.digests (local_day, told_from, told_to) VALUES (local::date, from_time, at) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    FOR channel IN SELECT c.* FROM raxx_detect.channels c
                   WHERE c.channel = ANY (settings.digest_channels) OR c.channel IN (SELECT d.channel FROM raxx_detect.deliveries d WHERE d.state = 'held')
                   ORDER BY c.channel LOOP
        INSERT INTO raxx_detect.deliveries (channel, event, mode, severity, payload, deadline)
        VALUES (channel.channel, 'digest', 'event', 'medium', '{}', raxx_detect.deadline_of('medium')) RETURNING delivery_id INTO digest;
        -- First what it tells, then what it says: what a run commits meanwhile waits for the next, and is not bundled without being told.
        UPDATE raxx_detect.deliveries d SET state = 'bundled', bundle = digest WHERE d.channel = channel.channel AND d.state = 'held';
        PERFORM raxx_detect.renew_bundled(channel, digest);
        UPDATE raxx_detect.deliveries d SET payload = raxx_detect.digest_payload(channel, digest, local::date, from_time, at) WHERE d.delivery_id = digest;
        RETURN NEXT digest;
    END LOOP;
    PERFORM pg_notify('raxx_detect_deliveries', '');
END $$;
COMMENT ON FUNCTION raxx_detect.make_digest(timestamptz, boolean) IS
'Makes the digest of the local day of "at", if it is due (raxx_detect.notification_settings.digest_at) and not made yet: a message for each digest channel, and for each that findings are held for, also when there is nothing to tell. It tells what has happened since the last one. again: makes one of what has come since, due or not. Returns the deliveries; none if there is nothing to do. However many call it at once, a day has one. Errors: 22023 no finite time.';

CREATE FUNCTION raxx_detect.prune_deliveries(at_most bigint DEFAULT 100000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM raxx_detect.deliveries d
    WHERE d.delivery_id IN (SELECT k.delivery_id FROM raxx_detect.deliveries k
                            WHERE k.ended_at < now() - raxx_detect.keep_runs() AND k.state IN ('delivered', 'dead', 'cancelled', 'silenced')
                              -- Whom a finding that still lasts was told to is asked for when it ends.
                              AND NOT EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.finding_id = k.finding_id AND f.condition <> 'cleared')
                            ORDER BY k.ended_at LIMIT at_most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION raxx_detect.prune_deliveries(bigint) IS
'Deletes messages that ended longer ago than raxx_detect.keep_runs, but not those about findings that still last; at most so many, and returns how many. Called by run_all once a day, if its role may delete. Errors: 2201W a negative at_most.';
