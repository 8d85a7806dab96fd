-- Versions: what each rule has said, and since when. Triggers write them, so that an UPDATE by hand makes one, too.

CREATE TABLE raxx_detect.rule_versions (
    rule_id text NOT NULL,
    version int NOT NULL,
    definition jsonb NOT NULL,
    changed_by name NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    PRIMARY KEY (rule_id, version)
);
COMMENT ON TABLE raxx_detect.rule_versions IS 'What each rule has said: a row for each change of it, the first for how it was made. A shipped rule has none until somebody changes it. Kept when the rule is dropped.';
COMMENT ON COLUMN raxx_detect.rule_versions.definition IS 'The rule from then on, with the fixtures of one''s own, as raxx_detect.create_rule takes it.';
COMMENT ON COLUMN raxx_detect.rule_versions.changed_by IS 'Who had logged in.';

CREATE FUNCTION raxx_detect.definition_of(rule raxx_detect.rules, fixtures jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres' AS $$
    SELECT jsonb_object_agg(k.key, given.value)
    FROM raxx_detect.definition_keys() k
    CROSS JOIN LATERAL (SELECT CASE k.key WHEN 'fixtures' THEN fixtures ELSE nullif(to_jsonb(rule) -> k.key, 'null') END AS value) given
    WHERE given.value IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.definition_of(raxx_detect.rules, jsonb) IS 'What a row of a rule says, as raxx_detect.create_rule takes it, with these fixtures.';

CREATE FUNCTION raxx_detect.own_fixtures(rule_id text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(f.name, f.fixture), '{}') FROM raxx_detect.fixtures f WHERE f.rule_id = own_fixtures.rule_id AND NOT f.shipped
$$;
COMMENT ON FUNCTION raxx_detect.own_fixtures(text) IS 'The fixtures of a rule that did not come with the extension, by name.';

CREATE FUNCTION raxx_detect.add_version(rule_id text, definition jsonb, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO raxx_detect.rule_versions (rule_id, version, definition, reason)
    SELECT add_version.rule_id, 1 + coalesce(max(v.version), 0), add_version.definition, add_version.reason
    FROM raxx_detect.rule_versions v WHERE v.rule_id = add_version.rule_id;
END $$;
COMMENT ON FUNCTION raxx_detect.add_version(text, jsonb, text) IS 'Writes the next version of a rule, whose row is locked.';

CREATE FUNCTION raxx_detect.note_version() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fixtures jsonb := raxx_detect.own_fixtures(NEW.rule_id);
    before jsonb;
    after jsonb := raxx_detect.definition_of(NEW, fixtures);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := raxx_detect.definition_of(OLD, fixtures);
        IF before = after THEN
            RETURN NULL;
        ELSIF NOT EXISTS (SELECT FROM raxx_detect.rule_versions v WHERE v.rule_id = NEW.rule_id) THEN
            PERFORM raxx_detect.add_version(NEW.rule_id, before, 'as it was when it was first changed');
        END IF;
    END IF;
    PERFORM raxx_detect.add_version(NEW.rule_id, after, CASE TG_OP WHEN 'INSERT' THEN 'made' ELSE 'no reason given' END);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.note_version() IS 'Trigger: keeps raxx_detect.rule_versions when a rule is made or changed.';

CREATE FUNCTION raxx_detect.note_fixture() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text := coalesce(NEW.rule_id, OLD.rule_id);
    rule raxx_detect.rules;
    newest raxx_detect.rule_versions;
    says jsonb;
BEGIN
    SELECT r.* INTO rule FROM raxx_detect.rules r WHERE r.rule_id = changed FOR NO KEY UPDATE;
    IF NOT FOUND OR raxx_detect.is_trial(rule.rule_id) THEN
        RETURN NULL;
    END IF;
    says := raxx_detect.definition_of(rule, raxx_detect.own_fixtures(changed));
    SELECT v.* INTO newest FROM raxx_detect.rule_versions v WHERE v.rule_id = changed ORDER BY v.version DESC LIMIT 1;
    -- What is changed together is one version.
    IF newest.changed_at = now() AND newest.changed_by = session_user THEN
        UPDATE raxx_detect.rule_versions v SET definition = says WHERE v.rule_id = changed AND v.version = newest.version;
    ELSE
        IF newest.version IS NULL THEN
            PERFORM raxx_detect.add_version(changed, raxx_detect.definition_of(rule, '{}'), 'as it was when it was first changed');
        END IF;
        PERFORM raxx_detect.add_version(changed, says, 'fixtures');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.note_fixture() IS 'Trigger: keeps raxx_detect.rule_versions when fixtures of one''s own change.';

-- A restored dump brings the versions along. What runs write (the state, last_validated) passes these by.
CREATE TRIGGER note_made AFTER INSERT ON raxx_detect.rules FOR EACH ROW
WHEN (NOT raxx_detect.is_trial(NEW.rule_id) AND current_setting('check_function_bodies') = 'on')
EXECUTE FUNCTION raxx_detect.note_version();
COMMENT ON TRIGGER note_made ON raxx_detect.rules IS 'Writes the first version of a rule.';
CREATE TRIGGER note_version AFTER UPDATE OF det_id, title, category, method, severity, sources, optional_sources, params, baseline_window, per_event,
    allows_exceptions, false_alarms_per_month, escalation_owner, prerequisites, ships, telemetry, how, thresholds, routes, runbook, do_not, waits_for
ON raxx_detect.rules FOR EACH ROW
WHEN (NOT raxx_detect.is_trial(NEW.rule_id) AND current_setting('check_function_bodies') = 'on')
EXECUTE FUNCTION raxx_detect.note_version();
COMMENT ON TRIGGER note_version ON raxx_detect.rules IS 'Writes the next version of a rule that somebody has changed.';
CREATE TRIGGER note_fixture AFTER INSERT OR UPDATE ON raxx_detect.fixtures FOR EACH ROW
WHEN (NOT NEW.shipped AND current_setting('check_function_bodies') = 'on') EXECUTE FUNCTION raxx_detect.note_fixture();
COMMENT ON TRIGGER note_fixture ON raxx_detect.fixtures IS 'Fixtures are part of what a rule says.';
CREATE TRIGGER note_fixture_gone AFTER DELETE ON raxx_detect.fixtures FOR EACH ROW
WHEN (NOT OLD.shipped) EXECUTE FUNCTION raxx_detect.note_fixture();
COMMENT ON TRIGGER note_fixture_gone ON raxx_detect.fixtures IS 'Fixtures are part of what a rule says.';

CREATE FUNCTION raxx_detect.give_reason(rule_id text, reason text) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH newest AS (
        SELECT v.version, v.changed_at = now() AND v.changed_by = session_user AS is_new FROM raxx_detect.rule_versions v
        WHERE v.rule_id = give_reason.rule_id ORDER BY v.version DESC LIMIT 1
    ), given AS (
        UPDATE raxx_detect.rule_versions v SET reason = give_reason.reason FROM newest n
        WHERE v.rule_id = give_reason.rule_id AND v.version = n.version AND n.is_new AND v.reason IN ('no reason given', 'fixtures')
    )
    SELECT coalesce((SELECT n.version FROM newest n), 0)
$$;
COMMENT ON FUNCTION raxx_detect.give_reason(text, text) IS 'Says why the newest version of a rule was made, if this transaction has made it, and returns its number; 0: the rule is as it was shipped.';

CREATE FUNCTION raxx_detect.revert_rule(rule_id text, version int, reason text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    wanted jsonb := (SELECT v.definition FROM raxx_detect.rule_versions v WHERE v.rule_id = rule_id AND v.version = version);
BEGIN
    IF wanted IS NULL THEN
        PERFORM raxx_detect.refuse(format('rule %s has no version %s', rule_id, coalesce(version::text, 'NULL')),
            format('It has %s.', coalesce((SELECT string_agg(v.version::text, ', ' ORDER BY v.version) FROM raxx_detect.rule_versions v WHERE v.rule_id = rule_id), 'none')),
            'They are listed in raxx_detect.rule_versions.', 'undefined_object');
    END IF;
    RETURN raxx_detect.change_rule(wanted, reason);
END $$;
COMMENT ON FUNCTION raxx_detect.revert_rule(text, int, text) IS
'Makes a rule say again what it said in a version, which makes a new one, and returns that. As raxx_detect.change_rule otherwise. Error: 42704 there is no such rule or version.';
