-- Exceptions: an entity that is known to do what a rule looks for, such as a load test of one's own. Its findings are written as ever, so that
-- they stay what the rows say, but are set aside (detection_findings.exception_id): nobody is told, they are not open, they are counted, and
-- the digest lists them. An exception sets aside what is found while it holds, and what began and ended while it held, however late that is
-- found. What outlasts it is told when it has ended.

CREATE FUNCTION raxx_detect.guard_exceptions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' AND raxx_detect.is_restoring(TG_RELID) THEN
        RETURN NEW;
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM raxx_detect.check_allows_exceptions(NEW.rule_id, 'exceptions');
        IF NEW.entity IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an exception is for one entity', DETAIL = 'The entity is NULL.',
                HINT = 'Name it as findings do. A rule as a whole can be silenced for a while: raxx_detect.silence.';
        END IF;
        NEW.reason := raxx_detect.checked_reason(NEW.reason, 'an exception');
        NEW.expires_at := raxx_detect.checked_end(NEW.expires_at, (SELECT s.max_exception FROM raxx_detect.notification_settings s), 'an exception', 'max_exception');
        NEW.entity := raxx_detect.bounded_entity(NEW.entity);
        NEW.created_at := now(); NEW.created_by := session_user;
        NEW.ended_at := NULL; NEW.ended_by := NULL; NEW.ended_because := NULL;
        RETURN NEW;
    ELSIF OLD.ended_at IS NOT NULL OR to_jsonb(OLD) - '{ended_at,ended_by,ended_because}'::text[] <> to_jsonb(NEW) - '{ended_at,ended_by,ended_because}'::text[] THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'an exception can be ended, once, and not changed',
            DETAIL = format('It is exception %s.', OLD.exception_id), HINT = 'End it with raxx_detect.end_exception, and add another.';
    END IF;
    NEW.ended_at := now(); NEW.ended_by := session_user;
    NEW.ended_because := raxx_detect.checked_reason(NEW.ended_because, 'the end of an exception');
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.guard_exceptions() IS 'Trigger: holds whoever writes an exception to what raxx_detect.add_exception and raxx_detect.end_exception promise.';
CREATE TRIGGER guard_exceptions BEFORE INSERT OR UPDATE ON raxx_detect.exceptions FOR EACH ROW EXECUTE FUNCTION raxx_detect.guard_exceptions();
COMMENT ON TRIGGER guard_exceptions ON raxx_detect.exceptions IS 'Keeps exceptions checked and true.';
CREATE TRIGGER keep_record BEFORE DELETE OR TRUNCATE ON raxx_detect.exceptions FOR EACH STATEMENT EXECUTE FUNCTION raxx_detect.keep_record();
COMMENT ON TRIGGER keep_record ON raxx_detect.exceptions IS 'Lets nobody delete exceptions.';

CREATE FUNCTION raxx_detect.add_exception(rule_id text, entity text, reason text, expires_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    INSERT INTO raxx_detect.exceptions AS x (rule_id, entity, reason, expires_at) VALUES (rule_id, entity, reason, expires_at) RETURNING x.exception_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION raxx_detect.add_exception(text, text, text, timestamptz) IS
'Until it expires, what the rule finds of the entity, as findings name it, is set aside: written and counted (raxx_detect.exception_log), in the digest, but not told and not open. Baselines leave its rows in there out, as of any finding that is not closed: a burst that is known must not raise the limit for others. What was found before stays as it is: close it. What outlasts the exception is told then. Returns the exception''s number. Errors: 42704 unknown rule, 42501 a rule that allows no exceptions, 22023 no entity, no reason, or no end within raxx_detect.notification_settings.max_exception.';

CREATE FUNCTION raxx_detect.end_exception(exception_id bigint, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    UPDATE raxx_detect.exceptions x SET ended_because = reason WHERE x.exception_id = exception_id AND x.ended_at IS NULL AND x.expires_at > now();
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no exception %s that holds', coalesce(exception_id::text, 'NULL')),
            DETAIL = 'It is unknown, over, or ended.', HINT = 'See SELECT * FROM raxx_detect.exception_log WHERE holds.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.end_exception(bigint, text) IS
'Ends an exception before its time. What it set aside and still lasts is told by the next run. Errors: 42704 no such exception holds, 22023 no reason.';

-- ---- setting aside ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.exception_of(rule_id text, entity text, episode tstzrange) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT x.exception_id FROM raxx_detect.exceptions x CROSS JOIN LATERAL (SELECT least(x.expires_at, x.ended_at) AS at) ends
        WHERE x.rule_id = exception_of.rule_id AND x.entity = exception_of.entity
          AND (ends.at > now() OR x.created_at <= lower(episode) AND upper(episode) <= ends.at)
        ORDER BY ends.at > now() DESC, ends.at DESC, x.exception_id LIMIT 1
    );
END $$;
COMMENT ON FUNCTION raxx_detect.exception_of(text, text, tstzrange) IS
'The exception that sets aside what is found of an entity: one that holds now, of several the one that lasts longest; or one that held from the beginning of the episode to its end. NULL: none.';

CREATE FUNCTION raxx_detect.outlasts(exception_id bigint, episode tstzrange) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT least(x.expires_at, x.ended_at) <= now() AND coalesce(upper(episode) > least(x.expires_at, x.ended_at), true)
        FROM raxx_detect.exceptions x WHERE x.exception_id = outlasts.exception_id
    );
END $$;
COMMENT ON FUNCTION raxx_detect.outlasts(bigint, tstzrange) IS 'Whether the exception is over, and the episode lasts, or lasted, for longer.';

CREATE FUNCTION raxx_detect.set_aside_finding() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.exception_id := raxx_detect.exception_of(NEW.rule_id, NEW.entity, NEW.episode);
    ELSIF raxx_detect.outlasts(OLD.exception_id, NEW.episode) THEN
        NEW.exception_id := raxx_detect.exception_of(NEW.rule_id, NEW.entity, NEW.episode);  -- another may still hold
        IF NEW.exception_id IS NULL THEN
            NEW.outlasted_exception := OLD.exception_id;
        END IF;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.set_aside_finding() IS 'Trigger: sets aside what is found of an excepted entity, and takes back what outlasts its exception.';
CREATE TRIGGER set_aside_new BEFORE INSERT ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.detected_at = now() AND NEW.rule_id NOT LIKE '% (self-test)') EXECUTE FUNCTION raxx_detect.set_aside_finding();
COMMENT ON TRIGGER set_aside_new ON raxx_detect.detection_findings IS 'Sets aside what is found of an excepted entity. (A dump''s rows were found at another time.)';
CREATE TRIGGER set_aside_change BEFORE UPDATE OF episode, exception_id ON raxx_detect.detection_findings FOR EACH ROW
WHEN (OLD.exception_id IS NOT NULL AND NEW.updated_at = now()) EXECUTE FUNCTION raxx_detect.set_aside_finding();
COMMENT ON TRIGGER set_aside_change ON raxx_detect.detection_findings IS 'Takes back what outlasts its exception.';

CREATE FUNCTION raxx_detect.end_exceptions_that_are_over() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE raxx_detect.detection_findings f SET exception_id = f.exception_id, updated_at = now()
    WHERE f.exception_id IS NOT NULL AND f.condition <> 'cleared' AND raxx_detect.outlasts(f.exception_id, f.episode);
END $$;
COMMENT ON FUNCTION raxx_detect.end_exceptions_that_are_over() IS
'Takes back, and so tells, what lasts longer than the exception by which it was set aside; or sets it aside by another that holds.';

CREATE VIEW raxx_detect.exception_log AS
SELECT x.exception_id, x.rule_id, x.entity, x.expires_at > now() AND x.ended_at IS NULL AS holds, x.created_at, x.expires_at, x.reason, x.created_by,
       x.ended_at, x.ended_by, x.ended_because, f.findings, f.firing, f.critical_findings, f.outlasted, f.last_found
FROM raxx_detect.exceptions x
CROSS JOIN LATERAL (SELECT count(*) AS findings, count(*) FILTER (WHERE h.condition <> 'cleared' AND h.exception_id IS NOT NULL) AS firing,
                           count(*) FILTER (WHERE h.severity = 'critical') AS critical_findings, count(*) FILTER (WHERE h.exception_id IS NULL) AS outlasted,
                           max(h.detected_at) AS last_found
                    FROM raxx_detect.detection_findings h
                    WHERE h.rule_id = x.rule_id AND h.entity = x.entity AND coalesce(h.exception_id, h.outlasted_exception) = x.exception_id) f
ORDER BY x.exception_id;
COMMENT ON VIEW raxx_detect.exception_log IS 'The exceptions, whether each holds now, and what it has set aside: findings, those that still fire, critical ones, and how many outlasted it and were told then.';
