-- Silences: for a while, people are not told of some findings. What is found is found and written as ever, and what would have been told is
-- kept (deliveries of state silenced), counted, and listed in the digest. A silence ends by itself: it does not fit any more. What still
-- fires is told then, by the next run or by raxx-notify, whoever looks first.

CREATE FUNCTION raxx_detect.guard_silences() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' AND raxx_detect.is_restoring(TG_RELID) THEN
        RETURN NEW;
    ELSIF TG_OP = 'INSERT' THEN
        IF NEW.rule_id IS NOT NULL THEN
            PERFORM raxx_detect.check_allows_exceptions(NEW.rule_id, 'silences');
        END IF;
        NEW.reason := raxx_detect.checked_reason(NEW.reason, 'a silence');
        NEW.until := raxx_detect.checked_end(NEW.until, (SELECT s.max_silence FROM raxx_detect.notification_settings s), 'a silence', 'max_silence');
        NEW.entity := raxx_detect.bounded_entity(NEW.entity);
        NEW.starts_at := now(); NEW.created_at := now(); NEW.created_by := session_user;
        NEW.ended_at := NULL; NEW.ended_by := NULL; NEW.ended_because := NULL;
        RETURN NEW;
    ELSIF OLD.ended_at IS NOT NULL OR to_jsonb(OLD) - '{ended_at,ended_by,ended_because}'::text[] <> to_jsonb(NEW) - '{ended_at,ended_by,ended_because}'::text[] THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'a silence can be ended, once, and not changed',
            DETAIL = format('It is silence %s.', OLD.silence_id), HINT = 'End it with raxx_detect.end_silence, and make another.';
    END IF;
    NEW.ended_at := now(); NEW.ended_by := session_user;
    NEW.ended_because := raxx_detect.checked_reason(NEW.ended_because, 'the end of a silence');
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.guard_silences() IS 'Trigger: holds whoever writes a silence to what raxx_detect.silence and raxx_detect.end_silence promise.';
CREATE TRIGGER guard_silences BEFORE INSERT OR UPDATE ON raxx_detect.silences FOR EACH ROW EXECUTE FUNCTION raxx_detect.guard_silences();
COMMENT ON TRIGGER guard_silences ON raxx_detect.silences IS 'Keeps silences checked and true.';
CREATE TRIGGER keep_record BEFORE DELETE OR TRUNCATE ON raxx_detect.silences FOR EACH STATEMENT EXECUTE FUNCTION raxx_detect.keep_record();
COMMENT ON TRIGGER keep_record ON raxx_detect.silences IS 'Lets nobody delete silences.';

CREATE FUNCTION raxx_detect.silence(rule_id text, entity text, until timestamptz, reason text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    INSERT INTO raxx_detect.silences AS s (rule_id, entity, until, reason) VALUES (rule_id, entity, until, reason) RETURNING s.silence_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION raxx_detect.silence(text, text, timestamptz, text) IS
'From now until then nobody is told of findings of the rule (NULL: of any rule that allows it) and the entity, as findings name it (NULL: any). They are found and written as ever; what is held back is counted (raxx_detect.silence_log) and in the digest, critical findings by name and at the top. What is on its way already is told. What still fires at the end, and is open, is told then. Returns the silence''s number. Errors: 42704 unknown rule, 42501 a rule that allows no silences, 22023 no reason, or no end within raxx_detect.notification_settings.max_silence.';

CREATE FUNCTION raxx_detect.end_silence(silence_id bigint, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    UPDATE raxx_detect.silences s SET ended_because = reason WHERE s.silence_id = silence_id AND s.ended_at IS NULL AND s.until > now();
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no silence %s that holds', coalesce(silence_id::text, 'NULL')),
            DETAIL = 'It is unknown, over, or ended.', HINT = 'See SELECT * FROM raxx_detect.silence_log WHERE holds.';
    END IF;
    PERFORM pg_notify('raxx_detect_deliveries', '');
END $$;
COMMENT ON FUNCTION raxx_detect.end_silence(bigint, text) IS
'Ends a silence before its time. What it held back, still fires and is open is told by the next run, or by raxx-notify. Errors: 42704 no such silence holds, 22023 no reason.';

CREATE FUNCTION raxx_detect.silence_of(rule_id text, entity text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT s.silence_id FROM raxx_detect.silences s
        WHERE s.until > now() AND s.ended_at IS NULL AND s.starts_at <= now()
          AND coalesce(s.rule_id = silence_of.rule_id, true) AND coalesce(s.entity = silence_of.entity, true)
          AND NOT EXISTS (SELECT FROM raxx_detect.rules r WHERE r.rule_id = silence_of.rule_id AND NOT r.allows_exceptions)
        ORDER BY s.until DESC, s.silence_id LIMIT 1
    );
END $$;
COMMENT ON FUNCTION raxx_detect.silence_of(text, text) IS 'The silence that holds now for findings of a rule and an entity, of several the one that lasts longest; NULL: none.';

CREATE FUNCTION raxx_detect.hold_back(finding raxx_detect.detection_findings, event text, channel text, mode text, push boolean, payload jsonb, silence bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    -- Several changes in one transaction are one message, as always.
    UPDATE raxx_detect.deliveries d
    SET payload = d.payload || payload || jsonb_build_object('event', d.event, 'was_severity', d.payload -> 'was_severity', 'because', d.payload -> 'because'),
        severity = finding.severity, push = d.push OR push
    WHERE d.finding_id = finding.finding_id AND d.channel = channel AND d.mode = mode AND d.state = 'silenced' AND d.ended_at IS NULL
      AND d.created_at = now() AND d.silence_id = silence;
    IF NOT FOUND THEN
        INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, push, payload, state, silence_id)
        VALUES (finding.finding_id, channel, event, mode, finding.severity, push, payload, 'silenced', silence);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.hold_back(raxx_detect.detection_findings, text, text, text, boolean, jsonb, bigint) IS 'Keeps a message that a silence keeps from being told.';

CREATE FUNCTION raxx_detect.rose_after_closing(finding_id bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.deliveries d
                   WHERE d.finding_id = rose_after_closing.finding_id AND d.state = 'silenced' AND d.ended_at IS NULL AND d.event = 'escalated'
                     AND d.created_at > (SELECT max(a.acted_at) FROM raxx_detect.finding_actions a WHERE a.finding_id = d.finding_id AND a.action = 'closed'))
$$;
COMMENT ON FUNCTION raxx_detect.rose_after_closing(bigint) IS 'Whether a silence holds back that the severity of a closed finding has risen since it was closed.';

CREATE FUNCTION raxx_detect.tell_held_back(finding raxx_detect.detection_findings, silence bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    why CONSTANT text := format('silence %s has ended', silence);
    events text[] := ARRAY(SELECT d.event FROM raxx_detect.deliveries d
                           WHERE d.finding_id = finding.finding_id AND d.state = 'silenced' AND d.ended_at IS NULL ORDER BY d.delivery_id);
BEGIN
    IF finding.condition = 'cleared' THEN
        IF NOT 'fired' = ANY (events) THEN  -- who heard that it fires hears that it is over
            PERFORM raxx_detect.deliver_to_the_told(finding, 'cleared');
        END IF;
    ELSIF 'fired' = ANY (events) THEN
        PERFORM raxx_detect.deliver_by_routes(finding, 'fired', NULL, why);
    ELSIF 'escalated' = ANY (events) THEN
        PERFORM raxx_detect.deliver_escalation(finding, (
            SELECT (d.payload ->> 'was_severity')::raxx_detect.severity FROM raxx_detect.deliveries d
            WHERE d.finding_id = finding.finding_id AND d.state = 'silenced' AND d.ended_at IS NULL AND d.event = 'escalated' AND d.payload ->> 'was_severity' IS NOT NULL
            ORDER BY d.delivery_id LIMIT 1), why);
    ELSE
        PERFORM raxx_detect.deliver_to_the_told(finding, events[cardinality(events)]);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.tell_held_back(raxx_detect.detection_findings, bigint) IS 'Tells of a finding, as it is now, what silences have held back.';

CREATE FUNCTION raxx_detect.tell_held_back_withdrawal(finding_id bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    -- Whoever had heard of it hears that it is withdrawn; its text is in the message that was held back.
    UPDATE raxx_detect.deliveries d SET state = CASE d.mode WHEN 'digest' THEN 'held' ELSE 'pending' END,
        deadline = CASE WHEN d.mode <> 'digest' THEN raxx_detect.deadline_of(d.severity) END
    WHERE d.finding_id = $1 AND d.state = 'silenced' AND d.ended_at IS NULL AND d.event = 'withdrawn'
      AND EXISTS (SELECT FROM raxx_detect.deliveries t WHERE t.finding_id = $1 AND t.channel = d.channel AND t.state IN ('delivered', 'sending', 'bundled'));
    UPDATE raxx_detect.deliveries d SET ended_at = clock_timestamp() WHERE d.finding_id = $1 AND d.state = 'silenced' AND d.ended_at IS NULL
$$;
COMMENT ON FUNCTION raxx_detect.tell_held_back_withdrawal(bigint) IS 'Tells, after a silence, of a finding that was withdrawn while it held.';

CREATE FUNCTION raxx_detect.tell_after_silences() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    over record;
    finding raxx_detect.detection_findings;
    told bigint := 0;
BEGIN
    FOR over IN SELECT d.finding_id, min(d.delivery_id) AS first, max(d.silence_id) AS silence_id FROM raxx_detect.deliveries d
                LEFT JOIN raxx_detect.silences s ON s.silence_id = d.silence_id AND s.until > now() AND s.ended_at IS NULL
                WHERE d.state = 'silenced' AND d.ended_at IS NULL GROUP BY d.finding_id HAVING count(s.silence_id) < count(*) ORDER BY max(d.severity) DESC, 1 LOOP
        EXIT WHEN told >= 1000;  -- the rest is left to whoever looks next, so that nobody waits for long
        -- Who has the first of a finding's messages tells of it; whoever comes second finds that it is done.
        PERFORM FROM raxx_detect.deliveries d WHERE d.delivery_id = over.first AND d.state = 'silenced' AND d.ended_at IS NULL FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        finding := (SELECT f FROM raxx_detect.detection_findings f WHERE f.finding_id = over.finding_id);
        IF finding.finding_id IS NULL THEN
            PERFORM raxx_detect.tell_held_back_withdrawal(over.finding_id);
            CONTINUE;
        END IF;
        CONTINUE WHEN raxx_detect.silence_of(finding.rule_id, finding.entity) IS NOT NULL;
        IF finding.exception_id IS NULL AND (finding.triage <> 'closed' OR raxx_detect.rose_after_closing(finding.finding_id)) THEN
            PERFORM raxx_detect.tell_held_back(finding, over.silence_id);
            told := told + (finding.condition <> 'cleared')::int;
        END IF;
        UPDATE raxx_detect.deliveries d SET ended_at = clock_timestamp()
        WHERE d.finding_id = over.finding_id AND d.state = 'silenced' AND d.ended_at IS NULL;
    END LOOP;
    RETURN told;
END $$;
COMMENT ON FUNCTION raxx_detect.tell_after_silences() IS
'Tells what silences that are over have held back, as far as it still fires and is open, each finding once, as it is now and to whom the routes lead now; and that it is over to those who had been told of it before the silence. At most 1000 findings at once, the most severe first. Returns how many findings still fire. Called by raxx_detect.tell_what_lasts.';

CREATE VIEW raxx_detect.silence_log AS
SELECT s.silence_id, s.rule_id, s.entity, s.starts_at <= now() AND s.until > now() AND s.ended_at IS NULL AS holds, s.starts_at, s.until, s.reason, s.created_by,
       s.ended_at, s.ended_by, s.ended_because, d.messages, d.findings, d.critical_findings, d.last_held_back
FROM raxx_detect.silences s
CROSS JOIN LATERAL (SELECT count(*) AS messages, count(DISTINCT h.finding_id) AS findings,
                           count(DISTINCT h.finding_id) FILTER (WHERE h.severity = 'critical') AS critical_findings, max(h.created_at) AS last_held_back
                    FROM raxx_detect.deliveries h WHERE h.silence_id = s.silence_id) d
ORDER BY s.silence_id;
COMMENT ON VIEW raxx_detect.silence_log IS 'The silences, whether each holds now, and what it has held back: messages, findings, critical ones among them. Messages are kept for raxx_detect.keep_runs after they ended; what is older does not count any more.';
