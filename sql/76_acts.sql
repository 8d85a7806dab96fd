-- What people do about findings (triage, exceptions, silences), and what all of that has in common: it is on record who did it and why, as
-- the server knows it, and nobody rewrites the record. Rights decide who may do what (docs/roles.sql); triggers see to the rest, so that
-- whoever writes to the tables by hand is held to the same.

CREATE FUNCTION raxx_detect.is_restoring(relation oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('check_function_bodies') = 'off' AND pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = relation
$$;
COMMENT ON FUNCTION raxx_detect.is_restoring(oid) IS
'Whether a dump is being restored into a table: check_function_bodies is off, and the caller has the rights of the table''s owner. What a dump says somebody did is taken as it is.';

CREATE FUNCTION raxx_detect.keep_record() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('%s is a record, which nobody changes', TG_RELID::regclass),
        DETAIL = format('%s by %s.', TG_OP, session_user), HINT = 'What people do is added to it: see the functions raxx_detect.triage, raxx_detect.end_silence, raxx_detect.end_exception.';
END $$;
COMMENT ON FUNCTION raxx_detect.keep_record() IS 'Trigger: raises 42501 for whoever would rewrite what people did.';

CREATE FUNCTION raxx_detect.checked_reason(reason text, of_what text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF reason IS NULL OR reason !~ '[^[:space:][:cntrl:]]' OR length(reason) > 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s needs a reason, of at most 1000 characters', of_what),
            DETAIL = CASE WHEN length(reason) > 1000 THEN format('It has %s.', length(reason)) ELSE format('It is %s.', coalesce(quote_literal(left(reason, 20)), 'NULL')) END,
            HINT = 'Say why in a sentence: others read it in the digest.';
    END IF;
    RETURN reason;
END $$;
COMMENT ON FUNCTION raxx_detect.checked_reason(text, text) IS 'The reason; raises 22023 if there is none, or it is longer than 1000 characters.';

CREATE FUNCTION raxx_detect.checked_end(until timestamptz, at_most interval, of_what text, setting text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF until IS NULL OR NOT isfinite(until) OR until <= now() OR until > now() + at_most THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('%s needs an end that is ahead, by %s at most', of_what, at_most),
            DETAIL = format('It is %s; now is %s.', coalesce(until::text, 'NULL'), now()),
            HINT = format('For example now() + interval ''1 hour''. How long it may be is raxx_detect.notification_settings.%s.', setting);
    END IF;
    RETURN until;
END $$;
COMMENT ON FUNCTION raxx_detect.checked_end(timestamptz, interval, text, text) IS 'The end; raises 22023 unless it is finite, ahead, and no further than at_most, which is the setting.';

CREATE FUNCTION raxx_detect.check_allows_exceptions(rule_id text, of_what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF NOT rule.allows_exceptions THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('rule %s allows no %s', rule.rule_id, of_what),
            DETAIL = 'Whoever is left out of it could hide behind that: ' || rule.do_not,
            HINT = 'Close what was harmless, with a note: raxx_detect.triage(finding_id, ''confirmed_operational'', note). It speaks up again when its severity rises.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_allows_exceptions(text, text) IS 'Raises 42501 for a rule that forbids exceptions and silences (rules.allows_exceptions), 42704 for one that is unknown.';

CREATE FUNCTION raxx_detect.tell_what_lasts(with_exceptions boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    IF with_exceptions THEN
        PERFORM raxx_detect.end_exceptions_that_are_over();
    END IF;
    PERFORM raxx_detect.tell_after_silences();
EXCEPTION WHEN OTHERS THEN
    IF raxx_detect.is_for_the_caller(sqlstate) THEN
        RAISE;
    END IF;
    -- It must not undo what a run has found, nor keep other messages from being sent; and it is tried again by whoever looks next.
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE WARNING USING ERRCODE = state, MESSAGE = 'what silences and exceptions kept from being told could not be told: ' || message, DETAIL = detail, HINT = hint;
END $$;
COMMENT ON FUNCTION raxx_detect.tell_what_lasts(boolean) IS
'Tells what still lasts of what silences held back, and, with_exceptions, exceptions set aside, that are over. Each run does it when it has judged, and raxx_detect.claim_deliveries as far as silences go, since whoever sends writes no findings. What fails is a warning, and changes nothing.';
