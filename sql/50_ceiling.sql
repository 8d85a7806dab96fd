-- The ceiling: how many rules may be active at once. A detector that alarms about everything is soon read by nobody, so a rule that has
-- what it needs stays dormant while as many are active as may be, unless somebody approves it (raxx_detect.approve).
--
--   * Rules that are active already stay; of those that become ready, the first by number go first.
--   * Rules of integrity (methods.integrity: gaps and chains) count, and are never held back: a break of the log outranks a tidy catalog.
--   * A rule that is approved may be active beyond the ceiling, and counts. When its approval ends, and there are more than may be, it is
--     dormant again.

CREATE TABLE raxx_detect.tuning_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ceiling int NOT NULL DEFAULT 15 CHECK (ceiling >= 1),
    firings int NOT NULL DEFAULT 5 CHECK (firings >= 2),
    firings_within interval NOT NULL DEFAULT '7 days' CHECK (firings_within > '0' AND firings_within <= '100 days'),
    firing_days int NOT NULL DEFAULT 2 CHECK (firing_days >= 1),
    reaction_time interval NOT NULL DEFAULT '1 day' CHECK (reaction_time >= '0' AND reaction_time <= '100 days'),
    entity_share float8 NOT NULL DEFAULT 0.5 CHECK (entity_share > 0 AND entity_share < 1),
    family_ipv4_prefix int NOT NULL DEFAULT 24 CHECK (family_ipv4_prefix BETWEEN 1 AND 32),
    family_ipv6_prefix int NOT NULL DEFAULT 48 CHECK (family_ipv6_prefix BETWEEN 1 AND 128),
    downgrade_lasts interval NOT NULL DEFAULT '14 days' CHECK (downgrade_lasts > '0' AND downgrade_lasts <= '100 days'),
    dormant_for interval NOT NULL DEFAULT '60 days' CHECK (dormant_for > '0'),
    tighten_to float8 NOT NULL DEFAULT 0.5 CHECK (tighten_to > 0 AND tighten_to <= 1),
    tighten_every interval NOT NULL DEFAULT '7 days' CHECK (tighten_every >= '0'),
    approval_warning interval NOT NULL DEFAULT '7 days' CHECK (approval_warning >= '0'),
    changed_at timestamptz
);
INSERT INTO raxx_detect.tuning_settings DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.tuning_settings IS 'The numbers of the ceiling, the self-tuner and the refresh. One row; change it with UPDATE.';
COMMENT ON COLUMN raxx_detect.tuning_settings.ceiling IS 'How many rules may be active; those that are stay when it is lowered.';
COMMENT ON COLUMN raxx_detect.tuning_settings.firings IS 'How many findings of one severity have to be passed over before a rule is told one severity lower.';
COMMENT ON COLUMN raxx_detect.tuning_settings.firings_within IS 'Within which time people were told of them.';
COMMENT ON COLUMN raxx_detect.tuning_settings.firing_days IS 'On how many days, by UTC: a single burst, of however many entities, is one occasion.';
COMMENT ON COLUMN raxx_detect.tuning_settings.reaction_time IS 'How long ago the last of them has to have been told: so much time people have to act.';
COMMENT ON COLUMN raxx_detect.tuning_settings.entity_share IS 'If one entity, or its variants, made more than this share of them, it is no fault of the rule.';
COMMENT ON COLUMN raxx_detect.tuning_settings.family_ipv4_prefix IS 'Addresses that share so many bits count as one entity there; family_ipv6_prefix: of IPv6.';
COMMENT ON COLUMN raxx_detect.tuning_settings.downgrade_lasts IS 'After which time a downgrade ends by itself.';
COMMENT ON COLUMN raxx_detect.tuning_settings.dormant_for IS 'How long a rule has to have been dormant, with nothing coming for it, before its retirement is proposed.';
COMMENT ON COLUMN raxx_detect.tuning_settings.tighten_to IS 'The least share of a threshold that one refresh leaves of it.';
COMMENT ON COLUMN raxx_detect.tuning_settings.tighten_every IS 'How long a threshold that was lowered stays as it is.';
COMMENT ON COLUMN raxx_detect.tuning_settings.approval_warning IS 'How long before an approval ends the digest and the refresh say so.';

CREATE FUNCTION raxx_detect.note_settings_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.changed_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.note_settings_change() IS 'Trigger: notes when somebody changed the settings.';
CREATE TRIGGER note_settings_change BEFORE UPDATE ON raxx_detect.tuning_settings FOR EACH ROW EXECUTE FUNCTION raxx_detect.note_settings_change();
COMMENT ON TRIGGER note_settings_change ON raxx_detect.tuning_settings IS 'Keeps changed_at.';

CREATE TABLE raxx_detect.approvals (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    approved_by name NOT NULL DEFAULT session_user,
    reason text NOT NULL CHECK (reason ~ '[^[:space:]]'),
    approved_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL CHECK (isfinite(until)),
    CHECK (until > approved_at)
);
CREATE INDEX approvals_by_rule ON raxx_detect.approvals (rule_id, until);
COMMENT ON TABLE raxx_detect.approvals IS 'Which rules may be active beyond the ceiling: who said so, why, and until when.';

CREATE FUNCTION raxx_detect.approved_until(rule_id text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT max(a.until) FROM raxx_detect.approvals a WHERE a.rule_id = approved_until.rule_id);
END $$;
COMMENT ON FUNCTION raxx_detect.approved_until(text) IS 'Until when the rule is, or was, approved beyond the ceiling; NULL: never.';

CREATE FUNCTION raxx_detect.counts_as_active(rule raxx_detect.rules) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.state IN ('live', 'placeholder') AND NOT raxx_detect.is_trial(rule.rule_id);
END $$;
COMMENT ON FUNCTION raxx_detect.counts_as_active(raxx_detect.rules) IS 'Whether a rule is one of those that the ceiling counts. The copy that a self-test makes is none, and no shadow is.';

CREATE FUNCTION raxx_detect.held_back(rule raxx_detect.rules, as_of timestamptz, others int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ceiling int := (SELECT s.ceiling FROM raxx_detect.tuning_settings s);
    approved_until timestamptz := raxx_detect.approved_until(rule.rule_id);
BEGIN
    IF approved_until > as_of OR (rule.state IN ('live', 'placeholder') AND approved_until IS NULL)
       OR raxx_detect.is_trial(rule.rule_id) OR (SELECT m.integrity FROM raxx_detect.methods m WHERE m.method = rule.method) THEN
        RETURN NULL;
    END IF;
    others := coalesce(others, (SELECT count(*) FROM raxx_detect.rules r WHERE raxx_detect.counts_as_active(r) AND r.rule_id <> rule.rule_id));
    IF others < ceiling THEN
        RETURN NULL;
    END IF;
    RETURN concat_ws(' ', format('has what it needs, but %s other rules are active, and %s may be;', others, ceiling),
        'its approval ended ' || raxx_detect.in_words_utc(approved_until) || ';',
        format('approve it (SELECT raxx_detect.approve(%L, reason, until)) or disable another', rule.rule_id));
END $$;
COMMENT ON FUNCTION raxx_detect.held_back(raxx_detect.rules, timestamptz, int) IS
'Why the ceiling keeps a rule dormant that has what it needs, in a sentence to act on; NULL: it may be active. others: how many other rules are; NULL: as they are now.';

CREATE FUNCTION raxx_detect.in_words_utc(at timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN to_char(timezone('UTC', at), 'YYYY-MM-DD HH24:MI') || ' UTC';
END $$;
COMMENT ON FUNCTION raxx_detect.in_words_utc(timestamptz) IS 'A time as a sentence says it, whatever the session''s settings: to the minute, in UTC.';

CREATE FUNCTION raxx_detect.hold_heartbeat(wait boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT has_table_privilege('raxx_detect.heartbeat', 'UPDATE') THEN
        RETURN true;
    ELSIF wait THEN
        PERFORM FROM raxx_detect.heartbeat h FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM raxx_detect.heartbeat h FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION raxx_detect.hold_heartbeat(boolean) IS
'Until the transaction ends, no other run makes a rule active or tunes: of two that would take the last place one gets it. False, unless wait, if another transaction does so now. (A row lock, since anybody could take an advisory one; a role that may not take it risks one rule too many, which the refresh says.)';

CREATE FUNCTION raxx_detect.require_reason(reason text, what text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    reason := regexp_replace(reason, '^[[:space:]]+|[[:space:]]+$', '', 'g');
    IF coalesce(reason, '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = what || ' needs a reason',
            DETAIL = 'The reason is empty.', HINT = 'Say why: it stays on record, and whoever reads it will ask.';
    ELSIF length(reason) > 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = what || ' needs a shorter reason',
            DETAIL = format('It has %s characters.', length(reason)), HINT = 'At most 1000: put the rest where it can be read, and say where.';
    END IF;
    RETURN reason;
END $$;
COMMENT ON FUNCTION raxx_detect.require_reason(text, text) IS 'The reason without white space around it; raises 22023 if there is none, or one of more than 1000 characters.';

CREATE FUNCTION raxx_detect.approve(rule_id text, reason text, until timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    approval bigint;
BEGIN
    reason := raxx_detect.require_reason(reason, 'approving a rule beyond the ceiling');
    IF until IS NULL OR NOT isfinite(until) OR until <= now() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'an approval ends at a finite time to come',
            DETAIL = format('until is %s.', coalesce(until::text, 'NULL')), HINT = 'For example now() + interval ''90 days''; it can be approved again.';
    END IF;
    INSERT INTO raxx_detect.approvals (rule_id, reason, until) VALUES (rule.rule_id, reason, until) RETURNING approval_id INTO approval;
    RETURN approval;
END $$;
COMMENT ON FUNCTION raxx_detect.approve(text, text, timestamptz) IS
'Lets a rule be active beyond raxx_detect.tuning_settings.ceiling, from its next run on, until a time; returns the approval''s number. On record with who (session_user) and why. To end it sooner, disable the rule. Errors: 42704 unknown rule, 22023 no reason, or no finite time to come.';
