-- What raxx-notify calls: it takes a lease of what is due, sends outside of any transaction, and says how that went. Everything that several
-- of them have to agree on is here: order, pace, storms, circuit breakers, deadlines.

CREATE TABLE raxx_detect.channel_states (
    channel text PRIMARY KEY REFERENCES raxx_detect.channels ON UPDATE CASCADE ON DELETE CASCADE,
    next_send_at timestamptz NOT NULL DEFAULT '-infinity',
    busy_until timestamptz,
    failures int NOT NULL DEFAULT 0,
    open_until timestamptz,
    storm_until timestamptz,
    last_error text,
    last_error_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE raxx_detect.channel_states IS 'What all who send to a channel have to know of it. Whoever claims messages of it locks the row.';
COMMENT ON COLUMN raxx_detect.channel_states.next_send_at IS 'Not before: the least time between two messages, and what the counterpart asked for.';
COMMENT ON COLUMN raxx_detect.channel_states.busy_until IS 'Until when, at the latest, a message that is being sent keeps others back: in channels with a least time between messages, which is counted from the end of one to the beginning of the next, and in those that have failed.';
COMMENT ON COLUMN raxx_detect.channel_states.failures IS 'How often it has failed in a row; from 5 on its circuit breaker is open.';
COMMENT ON COLUMN raxx_detect.channel_states.open_until IS 'Until when it is not tried; then one message is.';
COMMENT ON COLUMN raxx_detect.channel_states.storm_until IS 'Until when messages are collected, to be told as one.';

CREATE TABLE raxx_detect.notifiers (
    worker text PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    channels text[] NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE raxx_detect.notifiers IS 'The instances of raxx-notify that have asked for work, to the minute, and which channels they serve.';

CREATE TYPE raxx_detect.claimed_delivery AS (
    delivery_id bigint, lease uuid, finding_id bigint, channel text, kind text, address text, event text, severity text, push boolean,
    payload jsonb, idempotency_key text, thread jsonb, attempt int, possible_repeat boolean, deadline timestamptz
);
COMMENT ON TYPE raxx_detect.claimed_delivery IS 'A message to be sent now. thread: what the counterpart calls the first message about the same finding in this channel; NULL: there was none.';

-- ---- what is over --------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.next_fallback(dead raxx_detect.deliveries) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE tried(delivery_id, channel) AS (
        SELECT dead.delivery_id, dead.channel
        UNION
        SELECT d.delivery_id, d.channel FROM tried t JOIN raxx_detect.deliveries d ON d.announced_by = t.delivery_id
    ), wanted(channel, position) AS (
        SELECT c.fallback, 0 FROM raxx_detect.channels c WHERE c.channel = dead.channel
        UNION ALL
        SELECT d.channel, d.position::int FROM raxx_detect.notification_settings s CROSS JOIN LATERAL unnest(s.digest_channels) WITH ORDINALITY d(channel, position)
        UNION ALL
        SELECT c.channel, 1000 + row_number() OVER (ORDER BY c.channel)::int FROM raxx_detect.channels c
    )
    SELECT w.channel FROM wanted w JOIN raxx_detect.channels c ON c.channel = w.channel AND c.enabled
    WHERE w.channel NOT IN (SELECT t.channel FROM tried t)
    ORDER BY w.position LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.next_fallback(raxx_detect.deliveries) IS
'Who is to be told that a message could not be delivered: its channel''s fallback, else who gets the digest, else any other channel; never one that has failed for the same message. NULL: all have.';

CREATE FUNCTION raxx_detect.letter_for(letter jsonb, from_channel text, to_channel text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    how text := (SELECT c.entities FROM raxx_detect.channels c WHERE c.channel = to_channel);
    strictness text[] := '{full,masked,hashed}';
    entity text := letter ->> 'entity';
    shown text := raxx_detect.shown_entity(entity, how);
BEGIN
    IF array_position(strictness, how) <= array_position(strictness, coalesce((SELECT c.entities FROM raxx_detect.channels c WHERE c.channel = from_channel), 'full')) THEN
        RETURN letter;
    END IF;
    RETURN letter - '{entities,findings,told,open}'::text[]
           || CASE WHEN entity <> '' THEN jsonb_build_object('entity', shown, 'summary',
                  replace(replace(letter ->> 'summary', entity, shown), raxx_detect.printable(entity), shown)) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.letter_for(jsonb, text, text) IS
'What another channel is told of a message that could not be delivered: where that names entities more strictly (channels.entities), in its way, and without the lists of a digest or a storm, which name them as the first did.';

CREATE FUNCTION raxx_detect.announce_dead(dead_ids bigint[], reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    worst raxx_detect.deliveries;
    letter jsonb;
    fallback text;
    announcement bigint;
BEGIN
    UPDATE raxx_detect.deliveries d SET state = 'dead', ended_at = clock_timestamp(), last_error = b.last_error
    FROM raxx_detect.deliveries b WHERE b.delivery_id = ANY (dead_ids) AND d.bundle = b.delivery_id AND d.state = 'bundled';
    -- One letter for a channel's dead: the worst is named, the others are counted.
    SELECT d.* INTO worst FROM raxx_detect.deliveries d WHERE d.delivery_id = ANY (dead_ids) ORDER BY d.severity DESC, d.delivery_id LIMIT 1;
    fallback := raxx_detect.next_fallback(worst);
    IF fallback IS NULL THEN
        RAISE WARNING 'delivery % is dead, and there is no channel left to say so', worst.delivery_id
            USING DETAIL = coalesce(worst.last_error, 'Its deadline is over.'), HINT = 'See raxx_detect.channel_health.';
        RETURN;
    END IF;
    letter := raxx_detect.letter_for(CASE worst.event WHEN 'dead_letter' THEN worst.payload -> 'letter' ELSE worst.payload - 'series' END, worst.channel, fallback);
    -- What nobody has been told yet grows.
    UPDATE raxx_detect.deliveries d
    SET payload = d.payload || jsonb_build_object('count', (d.payload ->> 'count')::bigint + cardinality(dead_ids))
                  || CASE WHEN worst.severity > d.severity THEN jsonb_build_object('severity', worst.severity, 'letter', letter) ELSE '{}' END,
        severity = greatest(d.severity, worst.severity), push = d.push OR worst.push
    WHERE d.delivery_id = (SELECT w.delivery_id FROM raxx_detect.deliveries w
                           WHERE w.channel = fallback AND w.state = 'pending' AND w.attempts = 0 AND w.event = 'dead_letter' AND w.payload ->> 'channel' = worst.channel
                           ORDER BY w.delivery_id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING d.delivery_id INTO announcement;
    IF announcement IS NULL THEN
        INSERT INTO raxx_detect.deliveries (channel, event, mode, severity, push, payload, deadline)
        VALUES (fallback, 'dead_letter', 'event', worst.severity, worst.push, jsonb_build_object(
            'version', 1, 'event', 'dead_letter', 'severity', worst.severity, 'channel', worst.channel, 'attempts', worst.attempts,
            'error', left(worst.last_error, 500), 'reason', reason, 'count', cardinality(dead_ids), 'letter', letter),
            raxx_detect.deadline_of(worst.severity))
        RETURNING delivery_id INTO announcement;
    END IF;
    UPDATE raxx_detect.deliveries d SET announced_by = announcement WHERE d.delivery_id = ANY (dead_ids) OR d.bundle = ANY (dead_ids) AND d.state = 'dead';
    PERFORM pg_notify('raxx_detect_deliveries', '');
END $$;
COMMENT ON FUNCTION raxx_detect.announce_dead(bigint[], text) IS
'Announces dead messages of one channel on another: a dead letter with the worst of them and their number. A WARNING if there is no channel left. reason: deadline or refused.';

CREATE FUNCTION raxx_detect.expire_deliveries() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dead record;
BEGIN
    -- A lease that ended, or that a clock set back has made endless: whether it was sent nobody knows.
    UPDATE raxx_detect.deliveries d SET state = 'pending', lease = NULL, lease_until = NULL, possible_repeat = true, last_error = 'its lease ran out'
    WHERE d.delivery_id IN (SELECT l.delivery_id FROM raxx_detect.deliveries l
                            WHERE l.state = 'sending' AND (l.lease_until < clock_timestamp() OR l.lease_until > clock_timestamp() + interval '1 hour')
                            FOR UPDATE SKIP LOCKED LIMIT 1000);
    FOR dead IN WITH over AS (
                    UPDATE raxx_detect.deliveries d SET state = 'dead', ended_at = clock_timestamp()
                    WHERE d.delivery_id IN (SELECT l.delivery_id FROM raxx_detect.deliveries l WHERE l.state = 'pending' AND l.deadline < clock_timestamp()
                                            FOR UPDATE SKIP LOCKED LIMIT 10000)
                    RETURNING d.delivery_id, d.channel)
                SELECT o.channel, array_agg(o.delivery_id) AS ids FROM over o GROUP BY o.channel LOOP
        PERFORM raxx_detect.announce_dead(dead.ids, 'deadline');
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.expire_deliveries() IS 'Ends leases that ran out, and what could not be delivered by its deadline, whoever serves the channel.';

-- ---- storms --------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.storm_payload(ids bigint[]) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH members AS (SELECT d.* FROM raxx_detect.deliveries d WHERE d.delivery_id = ANY (ids)),
    counts AS (
        SELECT m.severity, m.payload ->> 'rule_id' AS rule_id, min(m.payload ->> 'title') AS title, m.event, count(*) AS n
        FROM members m GROUP BY 1, 2, 4
    )
    SELECT jsonb_build_object('version', 1, 'event', 'storm', 'severity', (SELECT max(m.severity) FROM members m), 'total', cardinality(ids),
        'counts', (SELECT jsonb_agg(jsonb_build_object('severity', c.severity, 'rule_id', c.rule_id, 'title', c.title, 'event', c.event, 'count', c.n)
                                    ORDER BY c.severity DESC, c.n DESC, c.rule_id, c.event) FROM counts c),
        'entities', (SELECT jsonb_agg(e.entity) FROM (SELECT m.payload ->> 'entity' AS entity FROM members m GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 5) e),
        'first_at', raxx_detect.in_utc((SELECT min(m.created_at) FROM members m)), 'last_at', raxx_detect.in_utc((SELECT max(m.created_at) FROM members m)),
        'finding_ids', (SELECT jsonb_build_object('from', min(m.finding_id), 'to', max(m.finding_id)) FROM members m),
        'psql', (SELECT format('SELECT finding_id, severity, entity, summary FROM raxx_detect.detection_findings WHERE finding_id BETWEEN %s AND %s;', min(m.finding_id), max(m.finding_id)) FROM members m),
        'link', NULL)
$$;
COMMENT ON FUNCTION raxx_detect.storm_payload(bigint[]) IS 'What is told of many messages at once: how many of which rule, severity and event.';

CREATE FUNCTION raxx_detect.is_urgent(message raxx_detect.deliveries) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN message.finding_id IS NULL OR message.severity = 'critical'
    OR EXISTS (SELECT FROM raxx_detect.deliveries d WHERE d.finding_id = message.finding_id AND d.channel = message.channel AND d.state = 'pending' AND d.severity = 'critical');
COMMENT ON FUNCTION raxx_detect.is_urgent(raxx_detect.deliveries) IS
'Whether a message is told in a storm, too: it is critical, a critical one about the same finding waits for it, or it is about no finding.';

CREATE FUNCTION raxx_detect.collapse(channel raxx_detect.channels, critical boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids bigint[];
    storm bigint;
BEGIN
    ids := ARRAY(SELECT d.delivery_id FROM raxx_detect.deliveries d
                 WHERE d.channel = channel.channel AND d.state = 'pending' AND d.finding_id IS NOT NULL AND (d.severity = 'critical') = critical
                   -- What follows a message that is on its way, or in another storm, would overtake it.
                   AND NOT EXISTS (SELECT FROM raxx_detect.deliveries b
                                   WHERE b.finding_id = d.finding_id AND b.channel = d.channel AND b.delivery_id < d.delivery_id
                                     AND (b.state IN ('sending', 'bundled') OR b.state = 'pending' AND (b.severity = 'critical') <> critical))
                 ORDER BY d.delivery_id FOR UPDATE SKIP LOCKED);
    IF cardinality(ids) = 0 THEN
        RETURN 0;
    END IF;
    INSERT INTO raxx_detect.deliveries (channel, event, mode, severity, push, payload, deadline, possible_repeat)
    SELECT channel.channel, 'storm', 'event', max(d.severity), bool_or(d.push), raxx_detect.storm_payload(ids), raxx_detect.deadline_of(max(d.severity)),
           bool_or(d.possible_repeat)
    FROM raxx_detect.deliveries d WHERE d.delivery_id = ANY (ids)
    RETURNING delivery_id INTO storm;
    UPDATE raxx_detect.deliveries d SET state = 'bundled', bundle = storm WHERE d.delivery_id = ANY (ids);
    RETURN cardinality(ids);
END $$;
COMMENT ON FUNCTION raxx_detect.collapse(raxx_detect.channels, boolean) IS
'Makes one message of all that wait for a channel, of the critical ones or of the others, and returns how many they were. Digests, dead letters and storms stay what they are, and so does what waits for another message about its finding.';

CREATE FUNCTION raxx_detect.messages_waiting(channel text, critical boolean, at_most int) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM (SELECT FROM raxx_detect.deliveries d
                          WHERE d.channel = messages_waiting.channel AND d.state = 'pending' AND d.finding_id IS NOT NULL
                            AND (d.severity = 'critical') = critical LIMIT at_most) w
$$;
COMMENT ON FUNCTION raxx_detect.messages_waiting(text, boolean, int) IS 'How many messages about findings wait for a channel, critical ones or others, counted up to at_most.';

CREATE FUNCTION raxx_detect.weather(channel raxx_detect.channels, state raxx_detect.channel_states) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ordinary bigint;
    every interval := (SELECT s.storm_every FROM raxx_detect.notification_settings s);
BEGIN
    IF channel.storm_at IS NULL THEN
        RETURN false;
    END IF;
    IF raxx_detect.messages_waiting(channel.channel, true, channel.storm_at + 1) > channel.storm_at THEN
        PERFORM raxx_detect.collapse(channel, true);
    END IF;
    IF state.storm_until > clock_timestamp() AND state.storm_until <= clock_timestamp() + every THEN
        RETURN true;
    END IF;
    ordinary := raxx_detect.messages_waiting(channel.channel, false, channel.storm_at + 1);
    IF ordinary > channel.storm_at OR state.storm_until IS NOT NULL AND ordinary > 1 THEN
        PERFORM raxx_detect.collapse(channel, false);
        UPDATE raxx_detect.channel_states s SET storm_until = clock_timestamp() + every WHERE s.channel = channel.channel;
        RETURN true;
    ELSIF state.storm_until IS NOT NULL THEN
        UPDATE raxx_detect.channel_states s SET storm_until = NULL WHERE s.channel = channel.channel;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION raxx_detect.weather(raxx_detect.channels, raxx_detect.channel_states) IS
'Whether there is a storm in a channel, so that ordinary messages about findings wait to be told as one. It begins with more than storm_at of them waiting, and tells once each storm_every until no more than one has come since.';

-- ---- claiming ------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.in_utf8(payload jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        PERFORM convert_to(payload::text, 'UTF8');
    END IF;
    RETURN payload;
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN regexp_replace(payload::text, E'[^\\x01-\\x7f]', '?', 'g')::jsonb;
END $$;
COMMENT ON FUNCTION raxx_detect.in_utf8(jsonb) IS
'A payload such that it can be sent: in a database whose encoding holds what is no UTF-8 (SQL_ASCII, WIN1252), rows could otherwise keep a channel from ever being served. There, what is not ASCII becomes question marks.';

CREATE FUNCTION raxx_detect.claim_from(channel raxx_detect.channels, worker text, lease interval, at_most int) RETURNS SETOF raxx_detect.claimed_delivery
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    state raxx_detect.channel_states;
    storm boolean;
    taken int;
BEGIN
    -- Whoever holds the row is at this channel; it is no use to wait for that.
    SELECT s.* INTO state FROM raxx_detect.channel_states s WHERE s.channel = channel.channel FOR UPDATE SKIP LOCKED;
    -- Nothing is put off for more than an hour, unless by a clock that was set back.
    IF NOT FOUND OR state.next_send_at > clock_timestamp() AND state.next_send_at < clock_timestamp() + interval '61 minutes'
       OR state.open_until > clock_timestamp() AND state.open_until < clock_timestamp() + interval '61 minutes'
       OR state.busy_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '11 seconds' THEN
        RETURN;
    END IF;
    storm := raxx_detect.weather(channel, state);
    RETURN QUERY
    WITH due AS (
        SELECT d.delivery_id FROM raxx_detect.deliveries d
        WHERE d.channel = channel.channel AND d.state = 'pending'
          AND (d.next_attempt_at <= clock_timestamp() OR d.next_attempt_at > clock_timestamp() + interval '61 minutes')
          AND NOT (storm AND NOT raxx_detect.is_urgent(d))
          -- What became of a finding never overtakes what was said of it before.
          AND NOT EXISTS (SELECT FROM raxx_detect.deliveries b WHERE b.finding_id = d.finding_id AND b.channel = d.channel
                          AND b.delivery_id < d.delivery_id AND b.state IN ('pending', 'sending', 'bundled'))
        ORDER BY d.severity DESC, d.delivery_id
        LIMIT CASE WHEN channel.min_interval > '0' OR state.failures >= 5 THEN least(at_most, 1) ELSE at_most END
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE raxx_detect.deliveries d
        SET state = 'sending', lease = gen_random_uuid(), lease_until = clock_timestamp() + lease, worker = worker, attempts = d.attempts + 1
        FROM due WHERE d.delivery_id = due.delivery_id RETURNING d.*
    )
    SELECT c.delivery_id, c.lease, c.finding_id, c.channel, channel.kind, channel.address, c.event, c.severity::text, c.push, raxx_detect.in_utf8(c.payload),
           c.idempotency_key::text, t.provider, c.attempts, c.possible_repeat, c.deadline
    FROM claimed c
    LEFT JOIN LATERAL (SELECT b.provider FROM raxx_detect.deliveries b WHERE b.finding_id = c.finding_id AND b.channel = c.channel
                       AND b.provider IS NOT NULL ORDER BY b.delivery_id LIMIT 1) t ON true
    ORDER BY c.severity DESC, c.delivery_id;
    GET DIAGNOSTICS taken = ROW_COUNT;
    -- One at a time where there is a pace to keep, or a breaker half open. Who dies meanwhile holds up no more than ten seconds.
    IF taken > 0 AND (channel.min_interval > '0' OR state.failures >= 5) THEN
        UPDATE raxx_detect.channel_states s
        SET next_send_at = clock_timestamp() + channel.min_interval, busy_until = clock_timestamp() + least(lease, interval '10 seconds')
        WHERE s.channel = channel.channel;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.claim_from(raxx_detect.channels, text, interval, int) IS 'Takes a lease of what is due in one channel; see raxx_detect.claim_deliveries.';

CREATE FUNCTION raxx_detect.claim_deliveries(worker text, channels text[], lease interval DEFAULT '2 minutes', at_most int DEFAULT 20)
RETURNS SETOF raxx_detect.claimed_delivery LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    channel raxx_detect.channels;
BEGIN
    IF worker IS NULL OR channels IS NULL OR lease IS NULL OR lease < '1 second' OR lease > '30 minutes' OR at_most IS NULL OR at_most < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a claim needs a worker, channels, a lease of a second to half an hour, and a number of messages',
            DETAIL = format('They are %s, %s, %s and %s.', coalesce(left(worker, 100), 'NULL'), coalesce(left(channels::text, 100), 'NULL'), coalesce(lease::text, 'NULL'), coalesce(at_most::text, 'NULL')),
            HINT = 'For example: SELECT * FROM raxx_detect.claim_deliveries(''host:1'', ''{ops-mail}'').';
    END IF;
    INSERT INTO raxx_detect.notifiers AS n (worker, seen_at, channels) VALUES (left(worker, 200), clock_timestamp(), channels)
    ON CONFLICT ON CONSTRAINT notifiers_pkey DO UPDATE SET seen_at = EXCLUDED.seen_at, channels = EXCLUDED.channels
    WHERE n.seen_at NOT BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() OR n.channels <> EXCLUDED.channels;
    INSERT INTO raxx_detect.channel_states (channel)
    SELECT c.channel FROM raxx_detect.channels c WHERE c.channel = ANY (channels) AND NOT EXISTS (SELECT FROM raxx_detect.channel_states s WHERE s.channel = c.channel)
    ORDER BY c.channel ON CONFLICT DO NOTHING;
    PERFORM raxx_detect.expire_deliveries();
    PERFORM raxx_detect.tell_what_lasts(with_exceptions => false);
    FOR channel IN SELECT c.* FROM raxx_detect.channels c WHERE c.channel = ANY (channels)
                   AND EXISTS (SELECT FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.state = 'pending') ORDER BY c.channel LOOP
        RETURN QUERY SELECT * FROM raxx_detect.claim_from(channel, left(worker, 200), lease, at_most);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.claim_deliveries(text, text[], interval, int) IS
'Takes a lease of messages that are due in these channels, the most severe first, at most so many of each, and returns them; whoever calls commits, sends, and then calls raxx_detect.mark_delivered or raxx_detect.mark_failed. Of a channel with a least time between messages, or that has failed before, one; while its circuit breaker is open, or another is claiming, none. After a lease has run out, the message is claimed again, as a possible repeat. Errors: 22023.';

-- ---- how it went ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.mark_delivered(delivery_id bigint, lease uuid, provider jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    done raxx_detect.deliveries;
BEGIN
    UPDATE raxx_detect.deliveries d SET state = 'delivered', ended_at = clock_timestamp(), lease = NULL, lease_until = NULL, provider = provider, last_error = NULL
    WHERE d.delivery_id = delivery_id AND d.lease = lease RETURNING d.* INTO done;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE raxx_detect.deliveries d SET state = 'delivered', ended_at = clock_timestamp() WHERE d.bundle = delivery_id AND d.state = 'bundled';
    UPDATE raxx_detect.channel_states s
    SET failures = 0, open_until = NULL, busy_until = NULL, next_send_at = greatest(s.next_send_at, clock_timestamp() + c.min_interval)
    FROM raxx_detect.channels c WHERE s.channel = done.channel AND c.channel = done.channel AND (s.failures > 0 OR s.busy_until IS NOT NULL OR c.min_interval > '0');
    RETURN true;
END $$;
COMMENT ON FUNCTION raxx_detect.mark_delivered(bigint, uuid, jsonb) IS
'Notes that a message was delivered, and all that it told with it. provider: what the counterpart calls it, by which later messages about the finding find their thread. False: the lease is not valid any more, and somebody else may send it again.';

CREATE FUNCTION raxx_detect.retry_delay(severity raxx_detect.severity, attempts int) RETURNS interval
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT make_interval(secs => 0.2 + random() * least(CASE severity WHEN 'critical' THEN 60 ELSE 600 END, 2 * 2 ^ least(attempts, 20)))
$$;
COMMENT ON FUNCTION raxx_detect.retry_delay(raxx_detect.severity, int) IS
'How long to wait after so many attempts: at random up to 4 s after the first, twice that after each further one, up to a minute for critical messages and ten for others (exponential back-off with full jitter: Brooker, Exponential Backoff And Jitter, 2015).';

CREATE FUNCTION raxx_detect.note_channel_failure(channel text, error text, at_fault boolean, not_before timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE raxx_detect.channel_states s
    SET last_error = error, last_error_at = clock_timestamp(), failures = s.failures + at_fault::int, busy_until = NULL,
        next_send_at = greatest(s.next_send_at, not_before, clock_timestamp() + c.min_interval),
        open_until = CASE WHEN at_fault AND s.failures + 1 >= 5
                          THEN clock_timestamp() + make_interval(secs => least(300, 15 * 2 ^ least(s.failures - 4, 10)) * (0.5 + random() / 2)) ELSE s.open_until END
    FROM raxx_detect.channels c WHERE s.channel = note_channel_failure.channel AND c.channel = note_channel_failure.channel
$$;
COMMENT ON FUNCTION raxx_detect.note_channel_failure(text, text, boolean, timestamptz) IS
'Notes that a channel has failed. After 5 failures in a row that were its own fault, its circuit breaker is open: for 15 s, then twice as long each time, up to 5 minutes, less up to a half at random.';

CREATE FUNCTION raxx_detect.mark_failed(delivery_id bigint, lease uuid, error text, permanent boolean DEFAULT false, maybe_sent boolean DEFAULT false,
    retry_after interval DEFAULT NULL, channel_at_fault boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    failed raxx_detect.deliveries;
    -- Whoever asks for more than an hour gets an hour.
    not_before timestamptz := clock_timestamp() + greatest('0', least(retry_after, interval '1 hour'));
BEGIN
    UPDATE raxx_detect.deliveries d
    SET state = CASE WHEN permanent THEN 'dead' ELSE 'pending' END, lease = NULL, lease_until = NULL, last_error = left(error, 1000),
        possible_repeat = d.possible_repeat OR maybe_sent, ended_at = CASE WHEN permanent THEN clock_timestamp() END,
        next_attempt_at = greatest(clock_timestamp() + raxx_detect.retry_delay(d.severity, d.attempts), CASE WHEN retry_after IS NOT NULL THEN not_before END)
    WHERE d.delivery_id = delivery_id AND d.lease = lease RETURNING d.* INTO failed;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM raxx_detect.note_channel_failure(failed.channel, left(error, 1000), channel_at_fault AND NOT permanent, CASE WHEN retry_after IS NOT NULL THEN not_before END);
    IF permanent THEN
        PERFORM raxx_detect.announce_dead(ARRAY[delivery_id], 'refused');
    END IF;
    RETURN failed.state;
END $$;
COMMENT ON FUNCTION raxx_detect.mark_failed(bigint, uuid, text, boolean, boolean, interval, boolean) IS
'Notes that a message was not delivered, and why; returns what it is now: pending, and tried again after raxx_detect.retry_delay or retry_after (an hour at most), or dead (permanent), and then announced. maybe_sent: it may have arrived all the same, and the next attempt is a possible repeat. channel_at_fault: counts for the channel''s circuit breaker. NULL: the lease is not valid any more.';

CREATE FUNCTION raxx_detect.next_delivery_at(channels text[]) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(least(
        -- When a message is due, but not before its channel is; what waits for one before it is not due.
        (SELECT CASE WHEN count(*) > 0 THEN
                    greatest(min(greatest(d.next_attempt_at, CASE WHEN NOT raxx_detect.is_urgent(d) THEN s.storm_until END)),
                             s.next_send_at, s.open_until, s.busy_until) END
         FROM raxx_detect.deliveries d
         WHERE d.channel = c.channel AND d.state = 'pending'
           AND NOT EXISTS (SELECT FROM raxx_detect.deliveries b WHERE b.finding_id = d.finding_id AND b.channel = d.channel
                           AND b.delivery_id < d.delivery_id AND b.state IN ('pending', 'sending', 'bundled'))),
        (SELECT min(d.deadline) FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.state = 'pending'),
        (SELECT min(d.lease_until) FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.state = 'sending')))
    FROM raxx_detect.channels c LEFT JOIN raxx_detect.channel_states s ON s.channel = c.channel
    WHERE c.channel = ANY (channels)
$$;
COMMENT ON FUNCTION raxx_detect.next_delivery_at(text[]) IS 'When raxx_detect.claim_deliveries may have something for these channels again, unless something new comes; in the past: now; NULL: nothing waits.';

CREATE VIEW raxx_detect.channel_health AS
SELECT c.channel, c.kind, c.address, c.enabled, w.pending, w.oldest_pending, l.sending, e.dead_last_day, e.delivered_last_day, e.possible_repeats_last_day, e.unannounced,
       CASE WHEN coalesce(s.failures, 0) < 5 THEN 'closed' WHEN s.open_until > clock_timestamp() THEN 'open' ELSE 'half-open' END AS breaker,
       s.open_until, s.last_error, s.last_error_at,
       (SELECT max(n.seen_at) FROM raxx_detect.notifiers n WHERE c.channel = ANY (n.channels)) AS served_at
FROM raxx_detect.channels c
LEFT JOIN raxx_detect.channel_states s ON s.channel = c.channel
CROSS JOIN LATERAL (SELECT count(*) AS pending, min(d.created_at) AS oldest_pending FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.state = 'pending') w
CROSS JOIN LATERAL (SELECT count(*) AS sending FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.state = 'sending') l
CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE d.state = 'dead') AS dead_last_day, count(*) FILTER (WHERE d.state = 'delivered') AS delivered_last_day,
                           count(*) FILTER (WHERE d.state = 'delivered' AND d.possible_repeat) AS possible_repeats_last_day,
                           count(*) FILTER (WHERE d.state = 'dead' AND d.announced_by IS NULL) AS unannounced
                    FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.ended_at > now() - interval '1 day') e
ORDER BY c.channel;
COMMENT ON VIEW raxx_detect.channel_health IS 'A line for each channel: what waits, what the last day brought, whether its circuit breaker is open, its last error, and when an instance of raxx-notify that serves it was last seen (to the minute).';
COMMENT ON COLUMN raxx_detect.channel_health.possible_repeats_last_day IS 'Messages that may have arrived twice, and said so.';
COMMENT ON COLUMN raxx_detect.channel_health.unannounced IS 'Dead messages of which no channel was left to tell.';
COMMENT ON COLUMN raxx_detect.channel_health.breaker IS 'closed: messages are sent; open: not before open_until; half-open: one is tried.';
