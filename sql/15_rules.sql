-- Rules as rows: a method, sources, parameters and prose. The shipped ones follow in 21_catalog.sql.

CREATE TABLE raxx_detect.methods (
    method text PRIMARY KEY,
    evaluator text,
    learner text,
    rechecker text,
    meaning text NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    integrity boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE raxx_detect.methods IS 'How rules judge. evaluator: the function that does it; NULL: this version has none. learner: the function that keeps a day of a baseline; NULL: the method has none. rechecker: the function that looks again, at each run, at the findings that are not cleared, of sources other than the one judged (rule, binding, as_of), and returns how many it changed; NULL: the method has none.';
COMMENT ON COLUMN raxx_detect.methods.integrity IS 'Whether it tells if records can be trusted. Nothing that tunes by itself touches a rule of such a method: it is never downgraded, tightened or held back by the ceiling.';

CREATE TABLE raxx_detect.method_parameters (
    method text NOT NULL REFERENCES raxx_detect.methods,
    name text NOT NULL,
    type text NOT NULL,
    minimum float8,
    maximum float8,
    meaning text NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    needed text NOT NULL DEFAULT 'never' CHECK (needed ~ '^(always|never|with a baseline|with [a-z_0-9]+|unless [a-z_0-9]+)$'),
    PRIMARY KEY (method, name)
);
COMMENT ON TABLE raxx_detect.method_parameters IS 'The parameters of each method. Limits of an array hold for each element; the minimum of a float8 is exclusive.';
COMMENT ON COLUMN raxx_detect.method_parameters.needed IS 'When a rule of the method has to have it: always, never, with a baseline, with another parameter, or unless there is another.';

CREATE TABLE raxx_detect.rules (
    rule_id text PRIMARY KEY,
    number int UNIQUE,
    det_id text NOT NULL UNIQUE,
    title text NOT NULL,
    category text NOT NULL,
    method text NOT NULL REFERENCES raxx_detect.methods,
    severity raxx_detect.severity NOT NULL,
    sources text[] NOT NULL,
    optional_sources text[] NOT NULL DEFAULT '{}',
    params jsonb NOT NULL,
    baseline_window interval,
    per_event boolean NOT NULL,
    false_alarms_per_month float8 NOT NULL,
    escalation_owner text NOT NULL,
    prerequisites text[] NOT NULL DEFAULT '{}',
    ships text NOT NULL,
    telemetry text NOT NULL,
    how text NOT NULL,
    thresholds text NOT NULL,
    routes text NOT NULL,
    runbook text NOT NULL,
    do_not text NOT NULL,
    waits_for text,
    state text NOT NULL DEFAULT 'dormant'
        CHECK (state IN ('dormant', 'placeholder', 'live', 'subsumed', 'disabled', 'retired')),
    state_reason text NOT NULL DEFAULT 'not looked at yet',
    state_since timestamptz NOT NULL DEFAULT now(),
    last_validated timestamptz,
    overrides text[],
    allows_exceptions boolean NOT NULL DEFAULT true,
    calibration text CHECK (calibration IN ('calibrated', 'miscalibrated')),
    calibrated_at timestamptz,
    shadow_of text,
    CONSTRAINT shadows_are_named CHECK ((shadow_of IS NOT NULL) = (rule_id LIKE '% (shadow)'))
);
COMMENT ON TABLE raxx_detect.rules IS 'The rules. Change parameters with raxx_detect.set_params, which checks them.';
COMMENT ON COLUMN raxx_detect.rules.severity IS 'The highest severity that a finding of the rule can have.';
COMMENT ON COLUMN raxx_detect.rules.waits_for IS 'What somebody has to do so that the rule''s sources exist, its reason while one is not bound; NULL: nothing but to bind them.';
COMMENT ON COLUMN raxx_detect.rules.false_alarms_per_month IS 'What the rule is declared to cost in false alarms.';
COMMENT ON COLUMN raxx_detect.rules.last_validated IS 'When raxx_detect.self_test last passed for the rule.';
COMMENT ON COLUMN raxx_detect.rules.overrides IS 'What somebody has changed of a shipped rule: names of columns, and of parameters as params.NAME. All else is as shipped, and changes with the extension''s version. NULL: the rule is not a shipped one.';
COMMENT ON COLUMN raxx_detect.rules.allows_exceptions IS 'Whether raxx_detect.add_exception and raxx_detect.silence may keep a finding of the rule from being told.';
COMMENT ON COLUMN raxx_detect.rules.calibration IS 'What raxx_detect.calibrate last found of the parameters as they are: calibrated, or miscalibrated, where the rate of alarms that was measured excludes the one declared. NULL: not looked at.';
COMMENT ON COLUMN raxx_detect.rules.calibrated_at IS 'When that was.';
COMMENT ON COLUMN raxx_detect.rules.shadow_of IS 'The rule beside which this one is tried: it is judged, and nobody is told. NULL: it is a rule of its own.';

CREATE FUNCTION raxx_detect.is_trial(rule_id text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT rule_id LIKE ANY ('{% (self-test),% (shadow)}')
$$;
COMMENT ON FUNCTION raxx_detect.is_trial(text) IS 'Whether a rule is only tried: for a self-test, for a backtest, or as a shadow. Nobody is told of what it finds, and it is counted nowhere.';

CREATE TABLE raxx_detect.rule_state_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    from_state text NOT NULL,
    to_state text NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE raxx_detect.rule_state_changes IS 'Every change of a rule''s state, with its cause.';

INSERT INTO raxx_detect.methods (method, meaning) VALUES
    ('velocity', 'Many rows of one entity in a sliding window.'),
    ('distinct', 'Many distinct values of one entity in a sliding window.'),
    ('distinct + velocity', 'Either of the two, over the same rows; what overlaps is one finding.'),
    ('pattern', 'Many e-mail addresses with a common domain or shape in a sliding window.'),
    ('gap', 'A silence longer than the hours of the day explain.'),
    ('chain', 'A hash chain that does not hold.'),
    ('spike', 'A count per minute far above its own history.'),
    ('drift', 'A distribution that is no longer the one of the days before.'),
    ('quantile', 'A rate above the highest quantile of its own history.'),
    ('benford', 'First digits that do not follow Benford''s law.'),
    ('ratio', 'A share of failures that chance does not explain.'),
    ('unmatched', 'An event without the record that should go with it.'),
    ('temporal', 'Several different things that one entity does in a sliding window.'),
    ('temporal_ordered', 'The same, in a given order.');
UPDATE raxx_detect.methods SET integrity = true WHERE method IN ('gap', 'chain');

CREATE FUNCTION raxx_detect.find_rule(rule_id text) RETURNS raxx_detect.rules
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules;
BEGIN
    SELECT r.* INTO rule FROM raxx_detect.rules r WHERE r.rule_id = find_rule.rule_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('unknown rule %L', left(rule_id, 100)),
            DETAIL = 'The rules are listed in raxx_detect.status.',
            HINT = coalesce('The nearest are ' || raxx_detect.nearest(rule_id, ARRAY(SELECT r.rule_id FROM raxx_detect.rules r)) || '.',
                            'None has a name like it.');
    END IF;
    RETURN rule;
END $$;
COMMENT ON FUNCTION raxx_detect.find_rule(text) IS 'The rule; raises 42704, with the nearest names, if there is none.';

CREATE FUNCTION raxx_detect.check_parameter(parameter raxx_detect.method_parameters, given jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    element jsonb;
    number float8;
    wrong text;
BEGIN
    IF parameter.type LIKE '%[]' AND given = '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('parameter %s is empty', parameter.name), DETAIL = 'The value is [].',
            HINT = format('%s Give at least one element.', parameter.meaning);
    END IF;
    FOR element IN SELECT e FROM jsonb_array_elements(
            CASE WHEN parameter.type LIKE '%[]' AND jsonb_typeof(given) = 'array' THEN given ELSE jsonb_build_array(given) END) e LOOP
        number := NULL;
        BEGIN
            CASE
                WHEN parameter.type LIKE '%[]' AND jsonb_typeof(given) <> 'array' THEN
                    wrong := 'is not an array';
                WHEN parameter.type IN ('text', 'text[]') THEN
                    IF jsonb_typeof(element) <> 'string' OR element = '""' THEN wrong := 'is not a text'; END IF;
                WHEN parameter.type = 'interval' THEN
                    number := extract(epoch FROM (element #>> '{}')::interval);
                    IF jsonb_typeof(element) <> 'string' OR extract(year FROM (element #>> '{}')::interval) <> 0
                       OR extract(month FROM (element #>> '{}')::interval) <> 0 OR number <= 0 OR number > 86400 * 400 THEN
                        wrong := 'is not a positive interval of fixed length, up to 400 days';
                    END IF;
                WHEN parameter.type IN ('bigint', 'int[]') THEN
                    number := (element #>> '{}')::bigint;
                    IF jsonb_typeof(element) <> 'number' THEN wrong := 'is not a whole number'; END IF;
                WHEN parameter.type = 'float8' THEN
                    number := (element #>> '{}')::float8;
                    IF jsonb_typeof(element) <> 'number' OR number <= parameter.minimum THEN wrong := 'is not a number above the minimum'; END IF;
                WHEN parameter.type = 'time' THEN
                    PERFORM (element #>> '{}')::time;
                    IF jsonb_typeof(element) <> 'string' THEN wrong := 'is not a text'; END IF;
                WHEN parameter.type = 'time_zone' THEN
                    PERFORM timezone(element #>> '{}', now());
                    IF jsonb_typeof(element) <> 'string' THEN wrong := 'is not a text'; END IF;
            END CASE;
        EXCEPTION WHEN data_exception THEN
            wrong := 'is not of type ' || parameter.type;
        END;
        IF wrong IS NULL AND (number < parameter.minimum OR number > parameter.maximum) THEN
            wrong := 'is out of range';
        END IF;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('parameter %s %s', parameter.name, wrong),
                DETAIL = format('The value is %s.', left(given::text, 200)),
                HINT = format('%s Type %s%s%s.', parameter.meaning, parameter.type,
                    ', from ' || parameter.minimum, ', up to ' || parameter.maximum);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_parameter(raxx_detect.method_parameters, jsonb) IS 'Raises 22023 unless the value fits the parameter.';

CREATE FUNCTION raxx_detect.counts_otherwise(old_params jsonb, new_params jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM unnest('{window,long_window,mix_window,entity,value,failure,time_zone,ipv4_prefix,ipv6_prefix,baseline_gap}'::text[]) k
                   WHERE old_params -> k IS DISTINCT FROM new_params -> k)
$$;
COMMENT ON FUNCTION raxx_detect.counts_otherwise(jsonb, jsonb) IS 'Whether a baseline learnt with the one is none for a rule with the other parameters.';

CREATE FUNCTION raxx_detect.check_params(rule raxx_detect.rules, params jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parameter raxx_detect.method_parameters;
    given record;
BEGIN
    IF params IS NULL OR jsonb_typeof(params) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'params must be a JSON object', DETAIL = format('It is %s.', coalesce(left(params::text, 100), 'NULL')),
            HINT = 'Name the parameters to change: {"threshold": 25}.';
    END IF;
    FOR given IN SELECT * FROM jsonb_each(params) LOOP
        SELECT p.* INTO parameter FROM raxx_detect.method_parameters p
        WHERE p.method = rule.method AND p.name = given.key AND rule.params ? given.key;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('rule %s has no parameter %L', rule.rule_id, given.key),
                DETAIL = format('Its method is %s.', rule.method),
                HINT = format('Its parameters are %s.', (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(rule.params) k));
        END IF;
        PERFORM raxx_detect.check_parameter(parameter, given.value);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_params(raxx_detect.rules, jsonb) IS 'Raises 22023 unless all of params are parameters that the rule has, with values that fit.';

CREATE FUNCTION raxx_detect.set_params(rule_id text, params jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    merged raxx_detect.rules := rule;
BEGIN
    PERFORM raxx_detect.check_params(rule, params);
    PERFORM raxx_detect.check_fit(rule.method, rule.params || params, rule.baseline_window);  -- they have to fit each other, too
    merged.params := rule.params || params;
    PERFORM raxx_detect.check_roles(merged, s) FROM unnest(rule.sources) s;
    UPDATE raxx_detect.rules r SET params = r.params || set_params.params,
        calibration = CASE WHEN r.params @> set_params.params THEN r.calibration END,
        calibrated_at = CASE WHEN r.params @> set_params.params THEN r.calibrated_at END
    WHERE r.rule_id = rule.rule_id;
    -- A baseline of another window, entity or clock is no baseline of this rule: its days are read again.
    IF raxx_detect.counts_otherwise(rule.params, rule.params || set_params.params) THEN
        DELETE FROM raxx_detect.baseline_days b WHERE b.rule_id = rule.rule_id;
    END IF;
    IF set_params.params ?| '{entity,value}' THEN  -- other rows may be of use to it
        DELETE FROM raxx_detect.baseline_starts b WHERE b.rule_id = rule.rule_id;
    END IF;
    RETURN rule.params || set_params.params;
END $$;
COMMENT ON FUNCTION raxx_detect.set_params(text, jsonb) IS
'Changes the named parameters of a rule, from its next run on, and returns all of them. Where its baseline counts otherwise from then on (another window, entity, time zone), its days are read again. Errors: 42704 unknown rule, or a role that its sources do not have, 22023 a parameter that the rule does not have, or a value that does not fit, or not the others; nothing changes then.';
