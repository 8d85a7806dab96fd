-- Routing: who is told of a finding, and how. Routes are rows; raxx_detect.route_preview says what they would do, and why.

CREATE TABLE raxx_detect.routes (
    route text PRIMARY KEY,
    severity raxx_detect.severity,
    hours text CHECK (hours IN ('working', 'off')),
    held_back boolean,
    rule_id text REFERENCES raxx_detect.rules ON DELETE CASCADE,
    channel text NOT NULL REFERENCES raxx_detect.channels ON UPDATE CASCADE,
    mode text NOT NULL CHECK (mode IN ('event', 'digest', 'log')),
    push boolean NOT NULL DEFAULT false CHECK (NOT push OR mode = 'event'),
    enabled boolean NOT NULL DEFAULT true,
    shipped boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE raxx_detect.routes IS
'Who is told of which findings. Every route that fits a finding is taken; routes that name its rule take the place of those that name none. What no route fits goes into the digest. NULL fits all.';
COMMENT ON COLUMN raxx_detect.routes.hours IS 'working: while people are at work (raxx_detect.in_working_hours); off: while they are not.';
COMMENT ON COLUMN raxx_detect.routes.held_back IS 'Whether the finding is one that waits for the digest before launch: raxx_detect.is_held_back.';
COMMENT ON COLUMN raxx_detect.routes.mode IS 'event: a message for each finding, and for what becomes of it; digest: in the digest of the day; log: an entry, silently.';
COMMENT ON COLUMN raxx_detect.routes.push IS 'Whether the message is to ring through.';
COMMENT ON COLUMN raxx_detect.routes.enabled IS 'A shipped route that is deleted comes back with a restored dump; one that is not enabled does not.';
COMMENT ON COLUMN raxx_detect.routes.shipped IS 'Whether the row is as it came with the extension.';

INSERT INTO raxx_detect.routes (route, severity, hours, held_back, channel, mode, push) VALUES
    ('critical', 'critical', NULL, NULL, 'raxx-ops-alert-sev1', 'event', true),
    ('high in working hours', 'high', 'working', false, 'raxx-ops-alert-sev2-5', 'event', false),
    ('high off hours', 'high', 'off', false, 'raxx-ops-alert-sev2', 'event', true),
    ('high before launch', 'high', NULL, true, 'ops-mail', 'digest', false),
    ('medium', 'medium', NULL, NULL, 'ops-mail', 'digest', false),
    ('low', 'low', NULL, NULL, 'detection-log', 'log', false);

CREATE TRIGGER is_changed BEFORE UPDATE ON raxx_detect.channels FOR EACH ROW WHEN (OLD.shipped AND NEW.shipped) EXECUTE FUNCTION raxx_detect.is_changed();
COMMENT ON TRIGGER is_changed ON raxx_detect.channels IS 'Notes what somebody has changed of a shipped row.';
CREATE TRIGGER is_changed BEFORE UPDATE ON raxx_detect.routes FOR EACH ROW WHEN (OLD.shipped AND NEW.shipped) EXECUTE FUNCTION raxx_detect.is_changed();
COMMENT ON TRIGGER is_changed ON raxx_detect.routes IS 'Notes what somebody has changed of a shipped row.';

CREATE FUNCTION raxx_detect.is_held_back(rule raxx_detect.rules, severity raxx_detect.severity, sample_size bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of a silence or a break there is one, which says nothing of how sure it is.
    RETURN (
        SELECT s.posture = 'pre_launch' AND severity = 'high'
               AND NOT (rule.per_event AND (rule.method IN ('gap', 'chain') OR coalesce(sample_size, 0) > 1))
        FROM raxx_detect.notification_settings s
    );
END $$;
COMMENT ON FUNCTION raxx_detect.is_held_back(raxx_detect.rules, raxx_detect.severity, bigint) IS
'Whether a finding waits for the digest because the product has not launched: it is of severity high, and its rule is not marked per_event, or is but the sample is a single row (silences and chain breaks apart, of which there is always one).';

CREATE TYPE raxx_detect.planned_delivery AS (channel text, mode text, push boolean, because text);
COMMENT ON TYPE raxx_detect.planned_delivery IS 'Who would be told of a finding, how (event, digest or log), whether it rings through, and why.';

CREATE FUNCTION raxx_detect.route_reason(severity raxx_detect.severity, at timestamptz, held_back boolean, route raxx_detect.routes) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT concat_ws(' ', upper(severity::text), CASE WHEN route.rule_id IS NOT NULL THEN 'of ' || route.rule_id END,
                   CASE WHEN route.hours IS NOT NULL THEN format('%s, being %s in %s', CASE route.hours WHEN 'working' THEN 'in working hours' ELSE 'off hours' END,
                                                                to_char(timezone(s.time_zone, at), 'Dy HH24:MI'), s.time_zone) END,
                   CASE WHEN held_back AND route.held_back THEN 'before launch' END)
               || ': ' || CASE route.mode WHEN 'event' THEN 'one by one' WHEN 'digest' THEN 'in the digest' ELSE 'in the log' END
               || CASE WHEN route.push THEN ', ringing through' ELSE '' END || format(' (route %s)', route.route)
        FROM raxx_detect.notification_settings s
    );
END $$;
COMMENT ON FUNCTION raxx_detect.route_reason(raxx_detect.severity, timestamptz, boolean, raxx_detect.routes) IS 'Why a route is taken, in words.';

CREATE FUNCTION raxx_detect.planned_deliveries(rule raxx_detect.rules, severity raxx_detect.severity, at timestamptz, sample_size bigint,
    history boolean DEFAULT false) RETURNS SETOF raxx_detect.planned_delivery
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    downgrade raxx_detect.downgrades := raxx_detect.downgrade_of(rule.rule_id, severity, at);
    lowered text := format('%s, told one lower until %s since people passed over %s such findings; ', upper(downgrade.severity_from::text),
                           raxx_detect.in_words_utc(downgrade.until), downgrade.firings);
    held_back boolean;
    hours text := CASE WHEN raxx_detect.in_working_hours(at) THEN 'working' ELSE 'off' END;
    reason text;
BEGIN
    severity := coalesce(downgrade.severity_to, severity);
    held_back := raxx_detect.is_held_back(rule, severity, sample_size);
    lowered := CASE WHEN downgrade.rule_id IS NULL THEN '' ELSE lowered END;
    IF history AND severity <> 'critical' THEN
        reason := format('%s, but over for more than %s when it was found: in the digest', upper(severity::text),
                         (SELECT raxx_detect.in_words(s.history_after) FROM raxx_detect.notification_settings s));
    ELSE
        RETURN QUERY
        WITH fitting AS (
            SELECT r, bool_or(r.rule_id IS NOT NULL) OVER () AS by_rule
            FROM raxx_detect.routes r JOIN raxx_detect.channels c ON c.channel = r.channel AND c.enabled
            WHERE r.enabled AND coalesce(r.severity = severity, true) AND coalesce(r.hours = hours, true)
              AND coalesce(r.held_back = held_back, true) AND coalesce(r.rule_id = rule.rule_id, true)
        )
        SELECT DISTINCT ON ((f.r).channel) (f.r).channel, (f.r).mode, (f.r).push, lowered || raxx_detect.route_reason(severity, at, held_back, f.r)
        FROM fitting f WHERE NOT f.by_rule OR (f.r).rule_id IS NOT NULL
        -- Of two ways to one channel, the one that is heard.
        ORDER BY (f.r).channel, array_position('{event,log,digest}'::text[], (f.r).mode), (f.r).push DESC, (f.r).route;
        IF FOUND THEN
            RETURN;
        END IF;
        reason := upper(severity::text) || ': no route fits, so it is in the digest';
    END IF;
    RETURN QUERY SELECT d.channel, 'digest', false, lowered || reason
                 FROM raxx_detect.notification_settings s CROSS JOIN LATERAL unnest(s.digest_channels) d(channel);
END $$;
COMMENT ON FUNCTION raxx_detect.planned_deliveries(raxx_detect.rules, raxx_detect.severity, timestamptz, bigint, boolean) IS
'Who would be told, at that time, of a finding of the rule with that severity and sample, which goes by raxx_detect.told_severity. history: it was over for long when it was found, and waits for the digest unless it is critical.';

CREATE FUNCTION raxx_detect.route_preview(rule_id text, severity raxx_detect.severity, at timestamptz DEFAULT now(), sample_size bigint DEFAULT 2,
    entity text DEFAULT NULL, OUT channel text, OUT kind text, OUT address text, OUT mode text, OUT push boolean, OUT shown_entity text, OUT because text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF severity IS NULL OR at IS NULL OR NOT isfinite(at) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a route is for a severity and a finite time',
            DETAIL = format('They are %s and %s.', coalesce(severity::text, 'NULL'), coalesce(at::text, 'NULL')),
            HINT = 'For example: SELECT * FROM raxx_detect.route_preview(''data_audit_log_gap_window'', ''high'', now()).';
    END IF;
    RETURN QUERY
    SELECT p.channel, c.kind, c.address, p.mode, p.push, raxx_detect.shown_entity(entity, c.entities), p.because
    FROM raxx_detect.planned_deliveries(rule, severity, at, sample_size) p LEFT JOIN raxx_detect.channels c ON c.channel = p.channel
    ORDER BY p.channel;
END $$;
COMMENT ON FUNCTION raxx_detect.route_preview(text, raxx_detect.severity, timestamptz, bigint, text) IS
'What would happen with a finding of the rule, of that severity, made of so many rows (sample_size; NULL counts as none), found at that time: a row for each channel that would be told, how (event, digest, log), whether it rings through, how it would name the entity, and why. Changes nothing. Errors: 42704 unknown rule, 22023 no severity or no finite time.';
