-- Triage: what people make of findings, and the history of it. detection_findings has how it stands, finding_actions all that was done.

CREATE TABLE raxx_detect.finding_actions (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finding_id bigint NOT NULL,
    action text NOT NULL CHECK (action IN ('acknowledged', 'closed', 'reopened')),
    disposition text,
    severity raxx_detect.severity,
    note text CHECK (length(note) <= 4000),
    acted_by name NOT NULL DEFAULT session_user,
    acted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX finding_actions_by_finding ON raxx_detect.finding_actions (finding_id, action_id);
CREATE INDEX finding_actions_by_time ON raxx_detect.finding_actions (acted_at);
COMMENT ON TABLE raxx_detect.finding_actions IS 'The history of triage, one row for each time that somebody acted on a finding, also by an UPDATE of raxx_detect.detection_findings. Nobody changes or deletes rows; it outlives findings that are withdrawn.';
COMMENT ON COLUMN raxx_detect.finding_actions.severity IS 'How severe the finding was then.';
COMMENT ON COLUMN raxx_detect.finding_actions.acted_by IS 'Who had logged in, whatever role it was done as.';

CREATE FUNCTION raxx_detect.guard_actions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF raxx_detect.is_restoring(TG_RELID) THEN
        RETURN NEW;
    ELSIF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'raxx_detect.finding_actions is written by the triage of a finding alone',
            DETAIL = format('INSERT by %s.', session_user), HINT = 'Call raxx_detect.acknowledge, raxx_detect.triage or raxx_detect.reopen.';
    END IF;
    NEW.severity := (SELECT f.severity FROM raxx_detect.detection_findings f WHERE f.finding_id = NEW.finding_id);
    NEW.acted_by := session_user;
    NEW.acted_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.guard_actions() IS 'Trigger: who acted, and when, is what the server knows; raises 42501 for rows that no triage brings.';
CREATE TRIGGER guard_actions BEFORE INSERT ON raxx_detect.finding_actions FOR EACH ROW EXECUTE FUNCTION raxx_detect.guard_actions();
COMMENT ON TRIGGER guard_actions ON raxx_detect.finding_actions IS 'Keeps the history true.';
CREATE TRIGGER keep_record BEFORE UPDATE OR DELETE OR TRUNCATE ON raxx_detect.finding_actions FOR EACH STATEMENT EXECUTE FUNCTION raxx_detect.keep_record();
COMMENT ON TRIGGER keep_record ON raxx_detect.finding_actions IS 'Lets nobody rewrite the history.';

CREATE FUNCTION raxx_detect.record_triage() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO raxx_detect.finding_actions (finding_id, action, disposition, note)
    VALUES (NEW.finding_id, CASE NEW.triage WHEN 'new' THEN 'reopened' ELSE NEW.triage END, NEW.disposition, NEW.note);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.record_triage() IS 'Trigger: keeps what people do about a finding.';
-- The engine never names these columns; whoever does has acted, also if all is as it was.
CREATE TRIGGER record_triage AFTER UPDATE OF triage, disposition, note ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.triage <> 'new' OR OLD.triage IS DISTINCT FROM NEW.triage OR OLD.disposition IS DISTINCT FROM NEW.disposition OR OLD.note IS DISTINCT FROM NEW.note)
EXECUTE FUNCTION raxx_detect.record_triage();
COMMENT ON TRIGGER record_triage ON raxx_detect.detection_findings IS 'Writes the history of triage.';

CREATE FUNCTION raxx_detect.severity_when_closed(finding_id bigint) RETURNS raxx_detect.severity
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.severity FROM raxx_detect.finding_actions a WHERE a.finding_id = $1 AND a.action = 'closed' ORDER BY a.action_id DESC LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.severity_when_closed(bigint) IS 'How severe a finding was when it was last closed; NULL if it never was.';

CREATE FUNCTION raxx_detect.find_finding(finding_id bigint, note text) RETURNS raxx_detect.detection_findings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    finding raxx_detect.detection_findings := (SELECT f FROM raxx_detect.detection_findings f WHERE f.finding_id = find_finding.finding_id);
BEGIN
    IF finding.finding_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('unknown finding %s', coalesce(finding_id::text, 'NULL')),
            DETAIL = 'It may have been withdrawn, or become part of another finding of the same entity.',
            HINT = 'Findings are listed in raxx_detect.detection_findings.';
    ELSIF length(note) > 4000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a note has at most 4000 characters',
            DETAIL = format('It has %s.', length(note)), HINT = 'Say what matters, and where the rest is.';
    END IF;
    RETURN finding;
END $$;
COMMENT ON FUNCTION raxx_detect.find_finding(bigint, text) IS 'The finding; raises 42704 if there is none, 22023 if the note is longer than 4000 characters.';

CREATE FUNCTION raxx_detect.set_triage(finding_id bigint, from_triage text[], to_triage text, disposition text, note text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM raxx_detect.find_finding(finding_id, note);
    UPDATE raxx_detect.detection_findings f SET triage = to_triage, disposition = disposition, note = note
    WHERE f.finding_id = finding_id AND f.triage = ANY (from_triage);
    IF NOT FOUND THEN
        PERFORM raxx_detect.find_finding(finding_id, note);  -- as it is after whoever was waited for
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = format('finding %s is %s', finding_id,
            CASE to_triage WHEN 'new' THEN 'not closed' ELSE 'closed' END),
            DETAIL = format('It would become %s.', CASE to_triage WHEN 'new' THEN 'open again' ELSE to_triage END),
            HINT = CASE to_triage WHEN 'new' THEN 'There is nothing to reopen.' ELSE 'raxx_detect.reopen opens it again; raxx_detect.triage gives it another disposition.' END;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.set_triage(bigint, text[], text, text, text) IS 'What people make of a finding. Errors: as those that call it.';

CREATE FUNCTION raxx_detect.acknowledge(finding_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.set_triage(finding_id, '{new,acknowledged}', 'acknowledged', NULL, note);
END $$;
COMMENT ON FUNCTION raxx_detect.acknowledge(bigint, text) IS
'Says that somebody is at it. The finding stays open, and is not withdrawn any more when rows that come late explain it. Who and when is in raxx_detect.finding_actions. Errors: 42704 unknown finding, 55000 it is closed, 22023 a note of more than 4000 characters.';

CREATE FUNCTION raxx_detect.triage(finding_id bigint, disposition text, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF disposition IS NULL OR disposition NOT IN ('true_positive', 'confirmed_operational', 'confirmed_fp', 'benign') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('unknown disposition %s', coalesce(quote_literal(left(disposition, 100)), 'NULL')),
            DETAIL = 'A disposition is true_positive, confirmed_operational, confirmed_fp or benign.',
            HINT = 'true_positive: an attack or a fault; confirmed_operational: our own doing; confirmed_fp: the rule was wrong; benign: it is so, and harmless. Baselines learn all but the first.';
    END IF;
    PERFORM raxx_detect.set_triage(finding_id, '{new,acknowledged,closed}', 'closed', disposition, note);
END $$;
COMMENT ON FUNCTION raxx_detect.triage(bigint, text, text) IS
'Closes a finding as true_positive, confirmed_operational, confirmed_fp or benign, or closes it otherwise than before. Its episode goes on counting, and it speaks up again when its severity rises. Who and when is in raxx_detect.finding_actions. Errors: 42704 unknown finding, 22023 another disposition, or a note of more than 4000 characters.';

CREATE FUNCTION raxx_detect.reopen(finding_id bigint, note text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.set_triage(finding_id, '{closed}', 'new', NULL, note);
END $$;
COMMENT ON FUNCTION raxx_detect.reopen(bigint, text) IS
'Opens a closed finding again, without a disposition. Errors: 42704 unknown finding, 55000 it is not closed, 22023 a note of more than 4000 characters.';
