-- The outbox: what is to be told to whom, written in the finding's transaction, with what it says frozen. Triggers on the findings
-- write it, so that it does not matter which part of the engine has found, changed or withdrawn something.
--
--     pending -> sending -> delivered                  raxx-notify has it (74_claims.sql)
--             <-          -> dead                      its deadline is over, or the counterpart refused it; the fallback is told
--     held    -> bundled  -> delivered or dead         with the digest (75_digest.sql)
--     pending -> bundled                               with all others, in a storm
--     pending, held -> cancelled                       nobody has heard of it, and it is no longer so
--     silenced                                         kept from being told (76_silences.sql); without ended_at while it still may be told

CREATE TABLE raxx_detect.deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finding_id bigint,
    channel text NOT NULL,
    payload jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'held', 'bundled', 'delivered', 'dead', 'cancelled', 'silenced')),
    created_at timestamptz NOT NULL DEFAULT now(),
    event text NOT NULL CHECK (event IN ('fired', 'escalated', 'changed', 'cleared', 'no_data', 'resumed', 'withdrawn', 'storm', 'digest', 'dead_letter')),
    mode text NOT NULL CHECK (mode IN ('event', 'digest', 'log')),
    severity raxx_detect.severity NOT NULL,
    push boolean NOT NULL DEFAULT false,
    idempotency_key uuid NOT NULL DEFAULT gen_random_uuid(),
    deadline timestamptz,
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
    attempts int NOT NULL DEFAULT 0,
    lease uuid,
    lease_until timestamptz,
    worker text,
    possible_repeat boolean NOT NULL DEFAULT false,
    provider jsonb,
    last_error text,
    ended_at timestamptz,
    bundle bigint,
    announced_by bigint,
    silence_id bigint,
    CONSTRAINT leased_while_sending CHECK ((state = 'sending') = (lease IS NOT NULL)),
    CONSTRAINT silenced_by_a_silence CHECK (state <> 'silenced' OR silence_id IS NOT NULL)
);
CREATE INDEX deliveries_waiting ON raxx_detect.deliveries (channel, severity DESC, delivery_id) WHERE state = 'pending';
CREATE INDEX deliveries_deadline ON raxx_detect.deliveries (deadline) WHERE state = 'pending';
CREATE INDEX deliveries_leased ON raxx_detect.deliveries (lease_until) WHERE state = 'sending';
CREATE INDEX deliveries_held ON raxx_detect.deliveries (channel, severity DESC, finding_id) WHERE state = 'held';
CREATE INDEX deliveries_bundled ON raxx_detect.deliveries (bundle) WHERE bundle IS NOT NULL;
CREATE INDEX deliveries_by_finding ON raxx_detect.deliveries (finding_id, channel, delivery_id);
CREATE INDEX deliveries_announced ON raxx_detect.deliveries (announced_by) WHERE announced_by IS NOT NULL;
CREATE INDEX deliveries_silenced ON raxx_detect.deliveries (silence_id) WHERE silence_id IS NOT NULL;
CREATE INDEX deliveries_held_back ON raxx_detect.deliveries (finding_id, delivery_id) WHERE state = 'silenced' AND ended_at IS NULL;
CREATE INDEX deliveries_ended ON raxx_detect.deliveries (ended_at);
COMMENT ON TABLE raxx_detect.deliveries IS 'The outbox of messages to people. Written in the transaction of the finding; raxx-notify sends.';
COMMENT ON COLUMN raxx_detect.deliveries.finding_id IS 'The finding that it is about, which may have been withdrawn since; NULL: a digest, a storm, a dead letter.';
COMMENT ON COLUMN raxx_detect.deliveries.event IS 'What became of the finding: fired, escalated (its severity rose), changed (verdict, conditions), cleared, no_data (its source is empty), resumed, withdrawn. Or: storm, digest, dead_letter.';
COMMENT ON COLUMN raxx_detect.deliveries.payload IS 'What the message says, as of when it was written (docs/notifier.md).';
COMMENT ON COLUMN raxx_detect.deliveries.idempotency_key IS 'The same at each attempt: by it the receiver may tell a repeat.';
COMMENT ON COLUMN raxx_detect.deliveries.state IS 'pending: to be sent; sending: somebody has a lease of it; held: waits for the digest; bundled: is told with others, by the delivery in bundle; delivered; dead: was not, and announced_by says so on another channel; cancelled: there is nothing to tell any more; silenced: a silence kept it from being told.';
COMMENT ON COLUMN raxx_detect.deliveries.deadline IS 'Until when it is tried; NULL: it is held, or silenced.';
COMMENT ON COLUMN raxx_detect.deliveries.possible_repeat IS 'Whether an attempt before this one may have arrived without our knowing.';
COMMENT ON COLUMN raxx_detect.deliveries.provider IS 'What the counterpart calls the message: of Slack channel and ts, of mail the message id.';
COMMENT ON COLUMN raxx_detect.deliveries.announced_by IS 'The dead letter that says so.';
COMMENT ON COLUMN raxx_detect.deliveries.silence_id IS 'The silence that keeps it from being told, of several the one that lasts longest; ended_at is when it was over, and what was still so was told anew.';

-- ---- what a message says ------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.in_utc(at timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN isfinite(at) THEN to_char(timezone('UTC', at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END
    );
END $$;
COMMENT ON FUNCTION raxx_detect.in_utc(timestamptz) IS 'A time as messages hold it, whatever the session''s settings: ISO 8601, UTC, to the second. NULL for NULL and infinity.';

CREATE FUNCTION raxx_detect.series_or_null(finding raxx_detect.detection_findings) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.finding_series(finding);
EXCEPTION WHEN OTHERS THEN
    -- A picture is no reason to lose the message.
    IF raxx_detect.is_for_the_caller(sqlstate) THEN
        RAISE;
    END IF;
    RETURN jsonb_build_object('error', left(raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL), 300));
END $$;
COMMENT ON FUNCTION raxx_detect.series_or_null(raxx_detect.detection_findings) IS 'The finding''s series for a picture, or what kept it from being had.';

CREATE FUNCTION raxx_detect.finding_payload(finding raxx_detect.detection_findings, event text, entities text, was_severity raxx_detect.severity, because text)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'version', 1, 'event', event, 'finding_id', finding.finding_id, 'rule_id', finding.rule_id, 'det_id', finding.det_id, 'title', r.title,
            'category', finding.category, 'source', finding.source, 'severity', finding.severity, 'was_severity', was_severity,
            'entity', shown.entity, 'from', raxx_detect.in_utc(lower(finding.episode)), 'to', raxx_detect.in_utc(upper(finding.episode)),
            'observed', to_jsonb(finding.observed), 'threshold', to_jsonb(finding.threshold), 'unit', finding.unit, 'p_value', to_jsonb(finding.p_value))
          || jsonb_build_object(
            'fired_by', finding.fired_by, 'sample_size', finding.sample_size,
            'summary', CASE WHEN entities = 'full' OR finding.entity = '' THEN finding.summary
                            ELSE replace(replace(finding.summary, finding.entity, shown.entity), raxx_detect.printable(finding.entity), shown.entity) END,
            'verdict', finding.verdict, 'condition', finding.condition, 'occurrences', finding.occurrences, 'escalation_owner', finding.escalation_owner,
            'late', finding.late, 'detected_at', raxx_detect.in_utc(finding.detected_at), 'runbook', r.runbook, 'do_not', r.do_not,
            'link', replace(s.console_link, '{finding_id}', finding.finding_id::text), 'because', because,
            'psql', format(E'SELECT * FROM raxx_detect.detection_findings WHERE finding_id = %s \\gx', finding.finding_id),
            'triage_psql', format('SELECT raxx_detect.acknowledge(%s, ''a note'');', finding.finding_id))
        FROM raxx_detect.notification_settings s
        LEFT JOIN raxx_detect.rules r ON r.rule_id = finding.rule_id
        CROSS JOIN LATERAL (SELECT raxx_detect.shown_entity(finding.entity, entities) AS entity) shown
    );
END $$;
COMMENT ON FUNCTION raxx_detect.finding_payload(raxx_detect.detection_findings, text, text, raxx_detect.severity, text) IS
'What a message about a finding says (docs/notifier.md): no evidence, which holds keys of rows, and the entity as entities says (channels.entities), in the summary, too.';

CREATE FUNCTION raxx_detect.deadline_of(severity raxx_detect.severity) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT clock_timestamp() + s.deadlines[array_position(enum_range(severity), severity)] FROM raxx_detect.notification_settings s
    );
END $$;
COMMENT ON FUNCTION raxx_detect.deadline_of(raxx_detect.severity) IS 'Until when a message of that severity that begins now is tried.';

-- ---- writing it ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.deliver(finding raxx_detect.detection_findings, event text, was_severity raxx_detect.severity, channel text, mode text,
    push boolean, because text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    -- Who routes to a channel that is gone is told by a dead letter.
    to_channel raxx_detect.channels := (SELECT c FROM raxx_detect.channels c WHERE c.channel = channel);
    silence bigint := raxx_detect.silence_of(finding.rule_id, finding.entity);
    payload jsonb := raxx_detect.finding_payload(finding, event, coalesce(to_channel.entities, 'hashed'), was_severity, because);
BEGIN
    IF silence IS NOT NULL THEN
        PERFORM raxx_detect.hold_back(finding, event, channel, mode, push, payload, silence);
        RETURN;
    END IF;
    -- Pictures are for mail, and as many as a digest shows.
    IF mode = 'digest' OR to_channel.kind = 'mail' THEN
        IF (SELECT count(*) FROM ((SELECT FROM raxx_detect.deliveries d WHERE d.channel = channel AND d.state = 'held' LIMIT 50)
                                  UNION ALL (SELECT FROM raxx_detect.deliveries d WHERE d.channel = channel AND d.state = 'pending' LIMIT 50)) waiting) < 50 THEN
            payload := payload || jsonb_build_object('series', raxx_detect.series_or_null(finding));
        END IF;
    END IF;
    -- What is told by itself now waits for no digest.
    IF mode <> 'digest' THEN
        UPDATE raxx_detect.deliveries d SET state = 'cancelled', ended_at = clock_timestamp()
        WHERE d.finding_id = finding.finding_id AND d.channel = channel AND d.state = 'held';
    END IF;
    -- What nobody can have heard of is told once, as it is by then: what waits for the digest, and what this transaction has written.
    UPDATE raxx_detect.deliveries d
    SET payload = d.payload || payload || jsonb_build_object('event', d.event, 'was_severity', d.payload -> 'was_severity', 'because', d.payload -> 'because'),
        severity = finding.severity, push = d.push OR push,
        deadline = CASE WHEN d.state = 'pending' THEN least(d.deadline, raxx_detect.deadline_of(finding.severity)) END
    WHERE d.finding_id = finding.finding_id AND d.channel = channel AND d.mode = mode
      AND (d.state = 'held' OR d.state = 'pending' AND d.attempts = 0 AND d.created_at = now());
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, push, payload, state, deadline)
    VALUES (finding.finding_id, channel, event, mode, finding.severity, push, payload,
            CASE mode WHEN 'digest' THEN 'held' ELSE 'pending' END, CASE WHEN mode <> 'digest' THEN raxx_detect.deadline_of(finding.severity) END);
    IF mode <> 'digest' THEN
        PERFORM pg_notify('raxx_detect_deliveries', '');
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.deliver(raxx_detect.detection_findings, text, raxx_detect.severity, text, text, boolean, text) IS
'Writes what a channel is to be told of a finding, and wakes raxx-notify when the transaction commits. What has been written in this transaction, or waits for the digest, is brought up to date instead. While a silence holds, it is kept, and nobody is told.';

CREATE FUNCTION raxx_detect.deliver_by_routes(finding raxx_detect.detection_findings, event text, was_severity raxx_detect.severity, why_now text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := (SELECT r FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id);
    history boolean := coalesce(upper(finding.episode) < now() - (SELECT s.history_after FROM raxx_detect.notification_settings s), false);
    planned raxx_detect.planned_delivery;
BEGIN
    FOR planned IN SELECT * FROM raxx_detect.planned_deliveries(rule, finding.severity, now(), finding.sample_size, history AND event = 'fired') LOOP
        PERFORM raxx_detect.deliver(finding, event, was_severity, planned.channel, planned.mode, planned.push, concat_ws('; ', planned.because, why_now));
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.deliver_by_routes(raxx_detect.detection_findings, text, raxx_detect.severity, text) IS 'Tells those to whom the routes lead now. why_now: what is added to the reason.';

CREATE FUNCTION raxx_detect.deliver_to_the_told(finding raxx_detect.detection_findings, event text, except_channels text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told record;
    silenced boolean := raxx_detect.silence_of(finding.rule_id, finding.entity) IS NOT NULL;  -- then they are not told of this, either
BEGIN
    FOR told IN SELECT DISTINCT ON (d.channel) d.channel, d.mode FROM raxx_detect.deliveries d
                WHERE d.finding_id = finding.finding_id AND (d.state NOT IN ('cancelled', 'silenced') OR d.state = 'silenced' AND d.ended_at IS NULL AND silenced)
                  AND d.event <> 'dead_letter' AND d.channel <> ALL (except_channels)
                ORDER BY d.channel, d.delivery_id DESC LOOP
        PERFORM raxx_detect.deliver(finding, event, NULL, told.channel, told.mode, false, 'whom the finding was told to before');
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.deliver_to_the_told(raxx_detect.detection_findings, text, text[]) IS 'Tells those who have been told of the finding, or are to be, what has become of it.';

CREATE FUNCTION raxx_detect.deliver_escalation(finding raxx_detect.detection_findings, was_severity raxx_detect.severity, why_now text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.deliver_by_routes(finding, 'escalated', was_severity, why_now);
    PERFORM raxx_detect.deliver_to_the_told(finding, 'escalated',
        ARRAY(SELECT d.channel FROM raxx_detect.deliveries d WHERE d.finding_id = finding.finding_id AND d.event = 'escalated' AND d.created_at = now()));
END $$;
COMMENT ON FUNCTION raxx_detect.deliver_escalation(raxx_detect.detection_findings, raxx_detect.severity, text) IS
'Tells that a finding''s severity has risen: those to whom the routes lead now, and those who have been told of the finding.';

-- ---- noticing it --------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.announce() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.exception_id IS NULL THEN
            PERFORM raxx_detect.deliver_by_routes(NEW, 'fired', NULL);
        END IF;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE raxx_detect.deliveries d SET state = 'cancelled', ended_at = clock_timestamp()
        WHERE d.finding_id = OLD.finding_id AND (d.state = 'held' OR d.state = 'pending' AND d.attempts = 0);
        PERFORM raxx_detect.deliver_to_the_told(OLD, 'withdrawn');
        RETURN NULL;
    END IF;
    IF NEW.exception_id IS NOT NULL THEN
        RETURN NULL;
    ELSIF OLD.exception_id IS NOT NULL THEN
        IF NEW.triage <> 'closed' OR NEW.severity > OLD.severity OR NEW.severity > raxx_detect.severity_when_closed(NEW.finding_id) THEN
            PERFORM raxx_detect.deliver_by_routes(NEW, 'fired', NULL, format('exception %s has ended', OLD.exception_id));
        END IF;
    ELSIF NEW.severity > OLD.severity THEN
        PERFORM raxx_detect.deliver_escalation(NEW, OLD.severity);
    ELSIF NEW.triage <> 'closed' THEN
        event := CASE WHEN NEW.condition = OLD.condition THEN 'changed' WHEN NEW.condition = 'firing' THEN 'resumed' ELSE NEW.condition END;
        PERFORM raxx_detect.deliver_to_the_told(NEW, event);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.announce() IS
'Trigger: tells people of a finding: of a new one whom the routes name; of one whose severity rises those, too; of other changes whom it was told to. What people have closed speaks up only when its severity rises; what an exception sets aside, when it outlasts that.';

-- The conditions leave out rows that a restored dump brings (they were found, or changed, in another transaction), what the self-test
-- and shadows find, and changes that are nobody's news: a peak that grows, what people note.
CREATE TRIGGER announce_new AFTER INSERT ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.detected_at = now() AND NOT raxx_detect.is_trial(NEW.rule_id)) EXECUTE FUNCTION raxx_detect.announce();
COMMENT ON TRIGGER announce_new ON raxx_detect.detection_findings IS 'Tells people of a new finding.';

CREATE TRIGGER announce_change AFTER UPDATE OF severity, condition, verdict, occurrences, exception_id ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.updated_at = now() AND NOT raxx_detect.is_trial(NEW.rule_id)
      AND (OLD.severity IS DISTINCT FROM NEW.severity OR OLD.condition IS DISTINCT FROM NEW.condition
           OR OLD.verdict IS DISTINCT FROM NEW.verdict OR OLD.occurrences IS DISTINCT FROM NEW.occurrences
           OR OLD.exception_id IS DISTINCT FROM NEW.exception_id))
EXECUTE FUNCTION raxx_detect.announce();
COMMENT ON TRIGGER announce_change ON raxx_detect.detection_findings IS 'Tells people what has become of a finding.';

CREATE TRIGGER announce_withdrawal AFTER DELETE ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NOT raxx_detect.is_trial(OLD.rule_id)) EXECUTE FUNCTION raxx_detect.announce();
COMMENT ON TRIGGER announce_withdrawal ON raxx_detect.detection_findings IS 'Tells people that a finding is withdrawn, or has become part of another.';

-- ---- channels that go ---------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.follow_channel() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE raxx_detect.channels c SET fallback = CASE TG_OP WHEN 'UPDATE' THEN NEW.channel END WHERE c.fallback = OLD.channel;
    IF TG_OP = 'UPDATE' THEN
        UPDATE raxx_detect.deliveries d SET channel = NEW.channel WHERE d.channel = OLD.channel;
        UPDATE raxx_detect.notification_settings s SET digest_channels = array_replace(s.digest_channels, OLD.channel, NEW.channel)
        WHERE OLD.channel = ANY (s.digest_channels);
        RETURN NULL;
    ELSIF EXISTS (SELECT FROM raxx_detect.notification_settings s WHERE OLD.channel = ANY (s.digest_channels)) THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = format('channel %s gets the digest', OLD.channel),
            DETAIL = 'What no route fits goes there, too.', HINT = 'Take it out of raxx_detect.notification_settings.digest_channels first.';
    END IF;
    -- What waits there is dead, and announced elsewhere by whoever looks next.
    UPDATE raxx_detect.deliveries d SET state = 'pending', deadline = '-infinity', last_error = 'the channel was deleted'
    WHERE d.channel = OLD.channel AND d.state IN ('held', 'pending');
    PERFORM pg_notify('raxx_detect_deliveries', '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.follow_channel() IS
'Trigger: what waits for a channel follows its new name, and so do the digest and those who fall back to it; of a channel that is deleted it is dead, and announced on another. Errors: 2BP01 it gets the digest.';
CREATE TRIGGER follow_channel AFTER UPDATE OF channel ON raxx_detect.channels FOR EACH ROW WHEN (OLD.channel <> NEW.channel) EXECUTE FUNCTION raxx_detect.follow_channel();
COMMENT ON TRIGGER follow_channel ON raxx_detect.channels IS 'Lets what waits for a channel follow its new name.';
CREATE TRIGGER follow_deleted_channel AFTER DELETE ON raxx_detect.channels FOR EACH ROW EXECUTE FUNCTION raxx_detect.follow_channel();
COMMENT ON TRIGGER follow_deleted_channel ON raxx_detect.channels IS 'Lets what waits for a deleted channel be announced on another.';
