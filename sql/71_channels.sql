-- Where messages to people go: channels, and what is set for all of them. Who sends is raxx-notify (src/notify); everything
-- that decides whether, where and when is here, in rows.

CREATE TABLE raxx_detect.notification_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    posture text NOT NULL DEFAULT 'launched' CHECK (posture IN ('pre_launch', 'launched')),
    posture_since timestamptz NOT NULL DEFAULT now(),
    time_zone text NOT NULL DEFAULT 'America/New_York',
    hours_from time NOT NULL DEFAULT '09:00',
    hours_to time NOT NULL DEFAULT '18:00',
    workdays int[] NOT NULL DEFAULT '{1,2,3,4,5}',
    digest_at time NOT NULL DEFAULT '08:00',
    digest_channels text[] NOT NULL DEFAULT '{ops-mail}',
    history_after interval NOT NULL DEFAULT '1 day',
    deadlines interval[] NOT NULL DEFAULT '{3 days,12 hours,30 minutes,10 minutes}' CHECK (array_ndims(deadlines) = 1 AND array_lower(deadlines, 1) = 1 AND cardinality(deadlines) = 4),
    storm_every interval NOT NULL DEFAULT '1 minute',
    max_silence interval NOT NULL DEFAULT '31 days' CHECK (max_silence > '0' AND max_silence <= '366 days'),
    max_exception interval NOT NULL DEFAULT '400 days' CHECK (max_exception > '0' AND max_exception <= '4000 days'),
    console_link text CHECK (console_link ~ '^https?://[^[:space:]<>"]+$'),
    changed_at timestamptz
);
INSERT INTO raxx_detect.notification_settings DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.notification_settings IS 'What holds for all messages to people. One row; change it with UPDATE, the posture with raxx_detect.set_posture.';
COMMENT ON COLUMN raxx_detect.notification_settings.posture IS 'pre_launch: findings of severity high wait for the digest, unless raxx_detect.is_held_back says otherwise. launched: they are told one by one.';
COMMENT ON COLUMN raxx_detect.notification_settings.time_zone IS 'Whose clock working hours and digests go by: a name of pg_timezone_names, with its daylight saving time.';
COMMENT ON COLUMN raxx_detect.notification_settings.hours_from IS 'When working hours begin, on the workdays; the end, hours_to, is not one of them.';
COMMENT ON COLUMN raxx_detect.notification_settings.workdays IS '1: Monday to 7: Sunday.';
COMMENT ON COLUMN raxx_detect.notification_settings.digest_at IS 'From when on, by the local clock, the digest of a day may be made.';
COMMENT ON COLUMN raxx_detect.notification_settings.digest_channels IS 'Who gets the digest each day, also an empty one, and what no route leads anywhere else.';
COMMENT ON COLUMN raxx_detect.notification_settings.history_after IS 'What had ended so long before it was found is history: it waits for the digest, unless it is critical.';
COMMENT ON COLUMN raxx_detect.notification_settings.deadlines IS 'How long a message is tried before it is dead, and its channel''s fallback told instead: of severity low, medium, high, critical. A digest counts as medium.';
COMMENT ON COLUMN raxx_detect.notification_settings.storm_every IS 'While there are too many messages for a channel (channels.storm_at), how often they are told as one.';
COMMENT ON COLUMN raxx_detect.notification_settings.max_silence IS 'How far ahead a silence may end.';
COMMENT ON COLUMN raxx_detect.notification_settings.max_exception IS 'How far ahead an exception may expire.';
COMMENT ON COLUMN raxx_detect.notification_settings.console_link IS 'The address of a finding in a console, with {finding_id} where its number goes; NULL: messages have no link.';

CREATE FUNCTION raxx_detect.check_notification_settings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = NEW.time_zone) THEN
        wrong := format('there is no time zone %L', left(NEW.time_zone, 100));
    ELSIF NEW.hours_from >= NEW.hours_to THEN
        wrong := 'working hours end before they begin';
    ELSIF NOT NEW.workdays <@ '{1,2,3,4,5,6,7}' THEN
        wrong := 'a workday is not from 1 (Monday) to 7 (Sunday)';
    ELSIF EXISTS (SELECT FROM (SELECT unnest(NEW.deadlines) UNION ALL VALUES (NEW.history_after), (NEW.storm_every)) t(i) WHERE i IS NULL OR i <= '0' OR i > '100 days') THEN
        wrong := 'an interval is not positive, or longer than 100 days';
    ELSIF cardinality(NEW.digest_channels) = 0 THEN
        wrong := 'what no route fits has to go somewhere: nobody gets the digest';
    ELSIF TG_OP = 'UPDATE' AND NEW.digest_channels <> OLD.digest_channels
          AND EXISTS (SELECT FROM unnest(NEW.digest_channels) d(channel) WHERE NOT EXISTS (SELECT FROM raxx_detect.channels c WHERE c.channel = d.channel)) THEN
        -- A dump's row may come before its channels.
        wrong := 'a channel that is to get the digest does not exist';
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = wrong,
            DETAIL = format('It is %s.', left(to_jsonb(NEW)::text, 500)),
            HINT = E'The columns of raxx_detect.notification_settings have comments: \\d+ raxx_detect.notification_settings';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        NEW.changed_at := now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.check_notification_settings() IS 'Trigger: raises 22023 for settings that cannot be followed.';
CREATE TRIGGER check_notification_settings BEFORE INSERT OR UPDATE ON raxx_detect.notification_settings
FOR EACH ROW EXECUTE FUNCTION raxx_detect.check_notification_settings();
COMMENT ON TRIGGER check_notification_settings ON raxx_detect.notification_settings IS 'Keeps the settings such that they can be followed.';

CREATE FUNCTION raxx_detect.set_posture(posture text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF posture IS NULL OR posture NOT IN ('pre_launch', 'launched') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown posture %s', coalesce(quote_literal(left(posture, 100)), 'NULL')),
            DETAIL = 'A posture is pre_launch or launched.', HINT = 'Before launch, findings of severity high wait for the digest.';
    END IF;
    UPDATE raxx_detect.notification_settings s
    SET posture_since = CASE WHEN s.posture = set_posture.posture THEN s.posture_since ELSE now() END, posture = set_posture.posture;
    RETURN posture;
END $$;
COMMENT ON FUNCTION raxx_detect.set_posture(text) IS
'Says whether the product has launched: pre_launch or launched. Before launch findings of severity high wait for the digest (raxx_detect.is_held_back). Holds for what is found from then on. Errors: 22023 another word.';

CREATE TABLE raxx_detect.channels (
    channel text PRIMARY KEY CHECK (channel ~ '^[A-Za-z0-9#@._-]{1,64}$'),
    kind text NOT NULL CHECK (kind IN ('slack', 'mail', 'markdown', 'webhook', 'stdout')),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 320 AND address !~ '[[:cntrl:]]'),
    fallback text CHECK (fallback <> channel),
    entities text NOT NULL DEFAULT 'full' CHECK (entities IN ('full', 'masked', 'hashed')),
    min_interval interval NOT NULL DEFAULT '0' CHECK (min_interval >= '0' AND min_interval <= '1 hour'),
    storm_at int DEFAULT 20 CHECK (storm_at > 0),
    enabled boolean NOT NULL DEFAULT true,
    note text,
    shipped boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE raxx_detect.channels IS 'Where messages can go. Secrets (tokens, passwords, addresses of webhooks) are in the configuration of raxx-notify, never here.';
COMMENT ON COLUMN raxx_detect.channels.address IS 'slack: the channel''s id, or hook:NAME of the configuration; mail: a recipient, one that ends in @ gets the configured domain; markdown: a folder below the configured one; webhook: the NAME of the configuration; stdout: nothing.';
COMMENT ON COLUMN raxx_detect.channels.fallback IS 'Who is told of a message that could not be delivered here.';
COMMENT ON COLUMN raxx_detect.channels.entities IS 'How messages here name entities: full; masked (a***@example.com, 203.0.113.x); hashed (the first 12 digits of a SHA-256: tells entities apart, but whoever can guess one can check the guess).';
COMMENT ON COLUMN raxx_detect.channels.min_interval IS 'The least time between two messages, whoever sends them.';
COMMENT ON COLUMN raxx_detect.channels.storm_at IS 'With more messages than that waiting, they are told as one, with counts; critical ones only if there are so many of them. NULL: never.';
COMMENT ON COLUMN raxx_detect.channels.enabled IS 'Whether new messages are routed here. Those that wait are dead at their deadline, and the fallback is told.';
COMMENT ON COLUMN raxx_detect.channels.shipped IS 'Whether the row is as it came with the extension.';

INSERT INTO raxx_detect.channels (channel, kind, address, min_interval) VALUES
    ('raxx-ops-alert-sev1', 'slack', 'C0B423M38H4', '1 second'),
    ('raxx-ops-alert-sev2-5', 'slack', 'C0B4611UC2V', '1 second'),
    ('raxx-ops-alert-sev2', 'slack', 'C0B445RU95Y', '1 second'),
    ('ops-mail', 'mail', 'ops@', '0'),
    ('detection-log', 'markdown', 'docs/detections/_log', '0');
UPDATE raxx_detect.channels SET fallback = CASE channel WHEN 'ops-mail' THEN 'raxx-ops-alert-sev2-5' ELSE 'ops-mail' END;

-- A foreign key to its own table would have pg_dump warn of a circle each night.
CREATE FUNCTION raxx_detect.check_fallback() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM raxx_detect.channels c WHERE c.channel = NEW.fallback) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = format('there is no channel %L to fall back to', left(NEW.fallback, 100)),
            DETAIL = format('It is the fallback of %s.', NEW.channel),
            HINT = coalesce('The nearest are ' || raxx_detect.nearest(NEW.fallback, ARRAY(SELECT c.channel FROM raxx_detect.channels c)) || '.', 'See raxx_detect.channels.');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.check_fallback() IS 'Trigger: raises 23503 for a fallback that does not exist.';
CREATE TRIGGER check_new_fallback AFTER INSERT ON raxx_detect.channels FOR EACH ROW
WHEN (NEW.fallback IS NOT NULL AND current_setting('check_function_bodies') = 'on') EXECUTE FUNCTION raxx_detect.check_fallback();
COMMENT ON TRIGGER check_new_fallback ON raxx_detect.channels IS 'Keeps fallbacks among the channels. A dump''s rows, known by check_function_bodies being off, come in any order.';
CREATE TRIGGER check_fallback AFTER UPDATE OF fallback ON raxx_detect.channels FOR EACH ROW
WHEN (NEW.fallback IS NOT NULL AND current_setting('check_function_bodies') = 'on') EXECUTE FUNCTION raxx_detect.check_fallback();
COMMENT ON TRIGGER check_fallback ON raxx_detect.channels IS 'Keeps fallbacks among the channels.';

CREATE FUNCTION raxx_detect.is_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.shipped := OLD.shipped AND NEW IS NOT DISTINCT FROM OLD;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.is_changed() IS 'Trigger: notes that somebody has changed a shipped row.';

CREATE FUNCTION raxx_detect.in_working_hours(at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT extract(isodow FROM l.clock)::int = ANY (s.workdays) AND l.clock::time >= s.hours_from AND l.clock::time < s.hours_to
        FROM raxx_detect.notification_settings s CROSS JOIN LATERAL (SELECT timezone(s.time_zone, in_working_hours.at) AS clock) l
    );
END $$;
COMMENT ON FUNCTION raxx_detect.in_working_hours(timestamptz) IS 'Whether people are at work then: on a workday, from hours_from until before hours_to, by the clock of raxx_detect.notification_settings. NULL for NULL.';

CREATE FUNCTION raxx_detect.shown_entity(entity text, how text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN entity IS NULL OR how = 'full' THEN entity
        WHEN how = 'hashed' THEN 'sha256:' || left(encode(sha256(convert_to(entity, getdatabaseencoding())), 'hex'), 12)
        WHEN entity ~ '^[^@[:space:]]+@[^@[:space:]]+$' THEN left(entity, 1) || '***@' || split_part(entity, '@', 2)
        WHEN entity ~ '^[0-9]{1,3}([.][0-9]{1,3}){3}(/[0-9]+)?$' THEN regexp_replace(entity, '[.][0-9]{1,3}(/[0-9]+)?$', '.x')
        WHEN entity ~ '^[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(/[0-9]+)?$' THEN concat_ws(':', split_part(entity, ':', 1), split_part(entity, ':', 2), 'x')
        ELSE left(entity, 2) || '***' END
$$;
COMMENT ON FUNCTION raxx_detect.shown_entity(text, text) IS
'An entity as a channel names it (channels.entities): full; masked, of an e-mail address the first letter and the domain, of a network its beginning, of any other text two characters; hashed, twelve digits of its SHA-256. NULL for NULL.';
