-- Shadows: a new version of a rule judged beside the one in force. It is a rule of its own, named "<rule> (shadow)": it runs as others do,
-- over the same rows, with a baseline of its own; what it finds is kept and compared, and told to nobody.

CREATE FUNCTION raxx_detect.shadow_rule(definition jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules;
    shadow text;
BEGIN
    definition := raxx_detect.check_definition(definition);
    rule := raxx_detect.find_rule(definition ->> 'rule_id');
    shadow := rule.rule_id || ' (shadow)';
    IF rule.method <> definition ->> 'method' THEN
        PERFORM raxx_detect.refuse(format('the method of rule %s cannot change', rule.rule_id), format('It is %s.', rule.method), 'Make another rule, and compare the two.');
    ELSIF EXISTS (SELECT FROM raxx_detect.rules r WHERE r.rule_id = shadow) THEN
        PERFORM raxx_detect.refuse(format('rule %s has a shadow', rule.rule_id), 'One version is tried at a time.',
            format('SELECT raxx_detect.drop_shadow(%L).', rule.rule_id), 'duplicate_object');
    END IF;
    PERFORM raxx_detect.insert_rule(definition || jsonb_build_object('rule_id', shadow, 'det_id', (definition ->> 'det_id') || ' (shadow)'),
        'dormant', 'not looked at yet', rule.rule_id);
    PERFORM raxx_detect.refresh_state(shadow);
    RETURN shadow;
END $$;
COMMENT ON FUNCTION raxx_detect.shadow_rule(jsonb) IS
'Tries a definition beside the rule of its rule_id, which may be disabled: a rule named "<rule> (shadow)", whose name is returned, is judged at each run, from the beginning of its sources. Its findings are told to nobody and count nowhere as open; raxx_detect.shadow_findings compares them with the rule''s. Errors: those of raxx_detect.check_definition; 42704 unknown rule; 42710 it has a shadow; 22023 another method.';

CREATE FUNCTION raxx_detect.find_shadow(rule_id text) RETURNS raxx_detect.rules
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    shadow raxx_detect.rules := (SELECT r FROM raxx_detect.rules r WHERE r.shadow_of = rule.rule_id);
BEGIN
    IF shadow.rule_id IS NULL THEN
        PERFORM raxx_detect.refuse(format('rule %s has no shadow', rule.rule_id), 'No version is being tried.', 'raxx_detect.shadow_rule makes one.', 'undefined_object');
    END IF;
    RETURN shadow;
END $$;
COMMENT ON FUNCTION raxx_detect.find_shadow(text) IS 'The shadow of a rule; raises 42704 if there is none.';

CREATE FUNCTION raxx_detect.drop_shadow(rule_id text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.drop_rule((raxx_detect.find_shadow(rule_id)).rule_id);
END $$;
COMMENT ON FUNCTION raxx_detect.drop_shadow(text) IS 'Ends the trial of a version: its findings go with it. Error: 42704 there is none.';

CREATE FUNCTION raxx_detect.promote_shadow(rule_id text, reason text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shadow raxx_detect.rules := raxx_detect.find_shadow(rule_id);
    definition jsonb := raxx_detect.rule_definition(shadow.rule_id);
BEGIN
    PERFORM raxx_detect.drop_shadow(rule_id);
    RETURN raxx_detect.change_rule(definition || jsonb_build_object('rule_id', rule_id, 'det_id', regexp_replace(shadow.det_id, E' \\(shadow\\)$', '')), reason);
END $$;
COMMENT ON FUNCTION raxx_detect.promote_shadow(text, text) IS
'Makes the version that is tried the rule''s own, as raxx_detect.change_rule does, ends the trial, and returns the version. Errors: 42704 there is none; those of raxx_detect.change_rule, upon which the trial goes on.';

CREATE VIEW raxx_detect.shadow_findings AS
WITH pairs AS (
    SELECT r.rule_id, s.rule_id AS shadow_id FROM raxx_detect.rules s JOIN raxx_detect.rules r ON r.rule_id = s.shadow_of
), live AS (
    SELECT p.rule_id AS of_rule, f.* FROM pairs p JOIN raxx_detect.detection_findings f ON f.rule_id = p.rule_id
), shadow AS (
    SELECT p.rule_id AS of_rule, f.* FROM pairs p JOIN raxx_detect.detection_findings f ON f.rule_id = p.shadow_id
)
SELECT coalesce(l.of_rule, s.of_rule) AS rule_id,
       CASE WHEN s.finding_id IS NULL THEN 'rule only' WHEN l.finding_id IS NULL THEN 'shadow only' ELSE 'both' END AS found_by,
       coalesce(l.entity, s.entity) AS entity, l.episode, s.episode AS shadow_episode, l.severity, s.severity AS shadow_severity,
       l.observed, s.observed AS shadow_observed, l.threshold, s.threshold AS shadow_threshold, l.fired_by, s.fired_by AS shadow_fired_by,
       l.triage, l.disposition, l.finding_id, s.finding_id AS shadow_finding_id
FROM live l FULL JOIN shadow s ON s.of_rule = l.of_rule AND s.entity = l.entity AND s.episode && l.episode
ORDER BY 1, lower(coalesce(l.episode, s.episode)), 3;
COMMENT ON VIEW raxx_detect.shadow_findings IS
'What a rule that has a shadow and the shadow have found: a row for each pair of findings of one entity that overlap in time, and for each that only one of the two has. disposition: what people have said of the rule''s; one that is a true_positive and found by the rule only would be lost.';
