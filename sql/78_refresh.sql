-- The refresh: what an operator does once a week, in one call. A plan is worked out by functions that can only read; applying it does what the
-- plan says and nothing else, so that a dry run and the real one list the same.

CREATE TYPE raxx_detect.refresh_action AS (
    action text,
    rule_id text,
    detail text,
    change jsonb
);
COMMENT ON TYPE raxx_detect.refresh_action IS 'A line of a refresh: what is to be done with which rule (NULL: with none in particular), why, and, if it is done by software, with which values (change; NULL: people decide).';

CREATE FUNCTION raxx_detect.refreshable_rules() RETURNS SETOF raxx_detect.rules
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.* FROM raxx_detect.rules r WHERE r.state NOT IN ('disabled', 'retired') AND NOT raxx_detect.is_trial(r.rule_id) ORDER BY r.number NULLS LAST, r.rule_id
$$;
COMMENT ON FUNCTION raxx_detect.refreshable_rules() IS 'The rules that a refresh looks at, in its order: all but those that people have disabled or retired.';

-- ---- what became ready, and the ceiling ------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.plan_states(as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ceiling int := (SELECT s.ceiling FROM raxx_detect.tuning_settings s);
    warning interval := (SELECT s.approval_warning FROM raxx_detect.tuning_settings s);
    active int := (SELECT count(*) FROM raxx_detect.rules r WHERE raxx_detect.counts_as_active(r));
    rule raxx_detect.rules;
    at timestamptz;
    due record;
    was boolean;
    is_now boolean;
    ends timestamptz;
BEGIN
    FOR rule IN SELECT * FROM raxx_detect.refreshable_rules() LOOP
        was := raxx_detect.counts_as_active(rule);
        at := raxx_detect.state_as_of(rule.rule_id, as_of);
        due := raxx_detect.due_state(rule, at, active - was::int);
        is_now := due.state IN ('live', 'placeholder');
        IF NOT is_now AND due.reason = raxx_detect.held_back(rule, at, active - was::int) THEN
            RETURN NEXT ('over_ceiling', rule.rule_id, due.reason, NULL)::raxx_detect.refresh_action;
        END IF;
        active := active + is_now::int - was::int;
        IF due.state <> rule.state THEN
            RETURN NEXT (CASE WHEN NOT is_now THEN 'deactivate' WHEN was THEN 'baseline_ready' ELSE 'activate' END, rule.rule_id,
                format('%s to %s: %s', rule.state, due.state, coalesce(due.cause, due.reason)), '{}')::raxx_detect.refresh_action;
        END IF;
        ends := raxx_detect.approved_until(rule.rule_id);
        IF is_now AND ends > as_of AND ends <= as_of + warning THEN
            RETURN NEXT ('approval_ends', rule.rule_id, format('it may be active beyond the ceiling until %s only; approve it again, or it will be dormant if there are too many then',
                raxx_detect.in_words_utc(ends)), NULL)::raxx_detect.refresh_action;
        END IF;
    END LOOP;
    IF active > ceiling THEN
        RETURN NEXT ('over_ceiling', NULL, format('%s rules are active, and %s may be; approved are %s', active, ceiling,
            coalesce((SELECT string_agg(format('%s by %s until %s (%s)', a.rule_id, a.approved_by, raxx_detect.in_words_utc(a.until), a.reason), ', ' ORDER BY a.rule_id)
                      FROM (SELECT DISTINCT ON (x.rule_id) x.* FROM raxx_detect.approvals x WHERE x.until > as_of ORDER BY x.rule_id, x.until DESC) a), 'none')), NULL)::raxx_detect.refresh_action;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.plan_states(timestamptz) IS 'The states that are due, as the runs would bring them, one after the other; which rules the ceiling holds back; and which approvals end soon.';

-- ---- baselines and thresholds ------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.baseline_bindings(rule raxx_detect.rules) RETURNS SETOF raxx_detect.source_bindings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.* FROM raxx_detect.source_bindings b
    WHERE raxx_detect.counts_as_active(rule) AND rule.baseline_window IS NOT NULL AND b.source = ANY (raxx_detect.judged_sources(rule))
      AND raxx_detect.what_is_broken(rule, ARRAY[b]) IS NULL
    ORDER BY array_position(rule.sources, b.source)
$$;
COMMENT ON FUNCTION raxx_detect.baseline_bindings(raxx_detect.rules) IS 'The sources of which an active rule has baselines, and that nothing is wrong with.';

CREATE FUNCTION raxx_detect.plan_baselines(as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules;
    binding raxx_detect.source_bindings;
    day date;
    stale int;
BEGIN
    FOR rule IN SELECT * FROM raxx_detect.refreshable_rules() LOOP
        FOR binding IN SELECT * FROM raxx_detect.baseline_bindings(rule) LOOP
            day := raxx_detect.judging_day(rule, binding, as_of);
            stale := (SELECT count(*) FROM raxx_detect.stale_baseline_days(rule, binding, day));
            IF stale > 0 THEN
                RETURN NEXT ('rebaseline', rule.rule_id, format('%s of the %s days of %s by which %s is judged are read anew: not kept yet, or findings in them have changed',
                    stale, day - raxx_detect.baseline_first_day(rule, binding.source, day), binding.source, to_char(day, 'YYYY-MM-DD')),
                    jsonb_build_object('source', binding.source, 'day', day))::raxx_detect.refresh_action;
            END IF;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.plan_baselines(timestamptz) IS 'The baselines of which days have to be read anew, for judging a time.';

CREATE TABLE raxx_detect.tightenings (
    tightening_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    threshold_from bigint NOT NULL,
    threshold_to bigint NOT NULL,
    reason text NOT NULL,
    tightened_at timestamptz NOT NULL DEFAULT now(),
    CHECK (threshold_to < threshold_from)
);
CREATE INDEX tightenings_by_rule ON raxx_detect.tightenings (rule_id, tightening_id);
COMMENT ON TABLE raxx_detect.tightenings IS 'Which hard thresholds raxx_detect.refresh has lowered, when and why.';

CREATE FUNCTION raxx_detect.may_be_tightened(rule raxx_detect.rules, as_of timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last raxx_detect.tightenings;
BEGIN
    SELECT t.* INTO last FROM raxx_detect.tightenings t WHERE t.rule_id = rule.rule_id ORDER BY t.tightening_id DESC LIMIT 1;
    -- What somebody has raised again is as he wants it.
    RETURN raxx_detect.counts_as_active(rule) AND rule.params ?& '{threshold,baseline_floor}'
        AND (SELECT m.learner = 'raxx_detect.learn_counts' AND NOT m.integrity FROM raxx_detect.methods m WHERE m.method = rule.method)
        AND coalesce((rule.params ->> 'threshold')::bigint <= last.threshold_to
                     AND last.tightened_at <= as_of - (SELECT s.tighten_every FROM raxx_detect.tuning_settings s), true);
END $$;
COMMENT ON FUNCTION raxx_detect.may_be_tightened(raxx_detect.rules, timestamptz) IS
'Whether a refresh may lower the hard threshold of a rule: an active one that counts, of no method of integrity, that it has not tightened within raxx_detect.tuning_settings.tighten_every, and of which nobody has raised the threshold since.';

CREATE FUNCTION raxx_detect.tighter_threshold(rule raxx_detect.rules, as_of timestamptz, OUT threshold bigint, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    current bigint := (rule.params ->> 'threshold')::bigint;
    binding raxx_detect.source_bindings;
    day date;
    b raxx_detect.count_baseline;
    largest bigint;
    most bigint := 0;
    days int;
    by_tail bigint := 0;
    least_allowed bigint;
BEGIN
    FOR binding IN SELECT x.* FROM raxx_detect.source_bindings x WHERE x.source = ANY (rule.sources) LOOP
        day := raxx_detect.judging_day(rule, binding, as_of);
        IF binding.source NOT IN (SELECT x.source FROM raxx_detect.baseline_bindings(rule) x) OR NOT raxx_detect.baseline_is_ready(rule, binding.source, day)
           OR EXISTS (SELECT FROM raxx_detect.stale_baseline_days(rule, binding, day)) THEN
            RETURN;
        END IF;
        b := raxx_detect.all_entities_baseline(rule, binding.source, day);
        IF b.mean IS NULL OR b.cells < (rule.params ->> 'baseline_rows')::bigint THEN
            RETURN;
        END IF;
        SELECT ceil(raxx_detect.quantile(raxx_detect.merge(x.sketch), 1.0))::bigint INTO largest FROM raxx_detect.baselines x
        WHERE x.rule_id = rule.rule_id AND x.source = binding.source AND x.entity IS NULL AND x.day >= day - b.days AND x.day < day;
        most := greatest(most, largest);
        days := least(days, b.days);
        by_tail := greatest(by_tail, raxx_detect.count_limit_of(rule, b,
            least(raxx_detect.alarm_budget(rule) / raxx_detect.tests_a_month(b.rows, b.days), 1)));
    END LOOP;
    least_allowed := ceil(current * (SELECT s.tighten_to FROM raxx_detect.tuning_settings s))::bigint;
    -- A window lies in two cells at most: none of the days before can have held more than twice the most of a cell. The limit by the tail is
    -- never below baseline_floor.
    threshold := greatest(by_tail, 2 * most + 1, least_allowed);
    IF most = 0 OR NOT threshold < current THEN
        threshold := NULL;
        RETURN;
    END IF;
    detail := format('threshold %s to %s: by the %s days before, %s or more in a window come by chance no more than %s times a month, and no window can have held %s',
        current, threshold, days, by_tail, rule.false_alarms_per_month, 2 * most + 1);
END $$;
COMMENT ON FUNCTION raxx_detect.tighter_threshold(raxx_detect.rules, timestamptz) IS
'The lower threshold that the baseline of all entities of a rule that counts allows, and why; NULL: none. The least number that comes by chance no more often than the rule may alarm falsely, that no window of the baseline can have reached, and that is not below baseline_floor, nor below tighten_to of the threshold in force. Never a higher one.';

CREATE FUNCTION raxx_detect.plan_thresholds(as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules;
    tighter record;
BEGIN
    FOR rule IN SELECT r.* FROM raxx_detect.rules r WHERE raxx_detect.may_be_tightened(r, as_of) ORDER BY r.number NULLS LAST, r.rule_id LOOP
        tighter := raxx_detect.tighter_threshold(rule, as_of);
        IF tighter.threshold IS NOT NULL THEN
            RETURN NEXT ('tighten', rule.rule_id, tighter.detail, jsonb_build_object('threshold', tighter.threshold))::raxx_detect.refresh_action;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.plan_thresholds(timestamptz) IS 'The hard thresholds that can be lower.';

-- ---- what people are asked -----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.last_advance(rule raxx_detect.rules, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
    last timestamptz := rule.state_since;
BEGIN
    FOR binding IN SELECT b.* FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources) LOOP
        last := greatest(last, binding.bound_at);
        BEGIN
            last := greatest(last, raxx_detect.last_event(binding, as_of));
        EXCEPTION WHEN OTHERS THEN
            NULL;  -- a source that cannot be read brings nothing; the prerequisites say so
        END;
    END LOOP;
    RETURN last;
END $$;
COMMENT ON FUNCTION raxx_detect.last_advance(raxx_detect.rules, timestamptz) IS 'When something last came for a dormant rule: a source was bound, or had an event; else since when it is dormant.';

CREATE FUNCTION raxx_detect.plan_retirements(as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'propose_retirement', r.rule_id, format('dormant since %s, and nothing has come for it since %s: %s. If it is not worth waiting for: SELECT raxx_detect.retire(%L, reason)',
               raxx_detect.in_words_utc(r.state_since), CASE WHEN a.advanced > r.state_since THEN raxx_detect.in_words_utc(a.advanced) ELSE 'then' END,
               rtrim(r.state_reason, '.'), r.rule_id), NULL::jsonb
    FROM raxx_detect.rules r CROSS JOIN raxx_detect.tuning_settings s
    CROSS JOIN LATERAL (SELECT raxx_detect.last_advance(r, as_of) AS advanced) a
    WHERE r.state = 'dormant' AND NOT raxx_detect.is_trial(r.rule_id) AND a.advanced <= as_of - s.dormant_for
      AND (raxx_detect.due_state(r, raxx_detect.state_as_of(r.rule_id, as_of), 0)).state NOT IN ('live', 'placeholder')
    ORDER BY r.number NULLS LAST, r.rule_id
$$;
COMMENT ON FUNCTION raxx_detect.plan_retirements(timestamptz) IS 'The rules that have been dormant for raxx_detect.tuning_settings.dormant_for with nothing coming for them, in proposals: whether they are worth waiting for, people decide. Not those that only the ceiling holds back.';

CREATE FUNCTION raxx_detect.plan_downgrades(as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN v.blocked_by IS NULL THEN 'downgrade' ELSE 'no_downgrade' END, v.rule_id,
           CASE WHEN v.blocked_by IS NULL THEN format('%s findings are told as %s until %s: %s', v.severity_from, v.severity_to, raxx_detect.in_words_utc(as_of + s.downgrade_lasts), v.reason)
                ELSE format('%s findings were told often enough, but stay as they are: %s', v.severity_from, v.blocked_by) END,
           CASE WHEN v.blocked_by IS NULL THEN to_jsonb(v) END
    FROM raxx_detect.review_downgrades(as_of) v CROSS JOIN raxx_detect.tuning_settings s ORDER BY v.blocked_by IS NOT NULL, v.rule_id, v.severity_from
$$;
COMMENT ON FUNCTION raxx_detect.plan_downgrades(timestamptz) IS 'Which rules are to be told lower (raxx_detect.self_tune), and which would be, but for something that speaks against it.';

CREATE FUNCTION raxx_detect.plan_refresh(as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM raxx_detect.plan_states(as_of)
    UNION ALL SELECT * FROM raxx_detect.plan_baselines(as_of)
    UNION ALL SELECT * FROM raxx_detect.plan_thresholds(as_of)
    UNION ALL SELECT * FROM raxx_detect.plan_downgrades(as_of)
    UNION ALL SELECT * FROM raxx_detect.plan_retirements(as_of)
    -- raxx_detect.calibrate's verdict, where there is one.
    UNION ALL SELECT 'miscalibrated', r.rule_id, format('its declared %s false alarms a month are not what its history shows (raxx_detect.calibrate, %s)',
                         r.false_alarms_per_month, raxx_detect.in_words_utc((to_jsonb(r) ->> 'calibrated_at')::timestamptz)), NULL
              FROM raxx_detect.refreshable_rules() r WHERE to_jsonb(r) ->> 'calibration' = 'miscalibrated'
$$;
COMMENT ON FUNCTION raxx_detect.plan_refresh(timestamptz) IS 'What a refresh would do as of a time, line by line. Changes nothing.';

-- ---- doing it --------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.apply_refresh_action(planned raxx_detect.refresh_action, as_of timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := (SELECT r FROM raxx_detect.rules r WHERE r.rule_id = planned.rule_id);
BEGIN
    CASE WHEN planned.change IS NULL THEN
        RETURN;  -- people decide
    WHEN planned.action IN ('activate', 'deactivate', 'baseline_ready') THEN
        PERFORM raxx_detect.refresh_state(rule.rule_id, as_of);
    WHEN planned.action = 'rebaseline' THEN
        PERFORM raxx_detect.keep_baseline(rule, b, (planned.change ->> 'day')::date) FROM raxx_detect.source_bindings b WHERE b.source = planned.change ->> 'source';
    WHEN planned.action = 'tighten' THEN
        INSERT INTO raxx_detect.tightenings (rule_id, threshold_from, threshold_to, reason, tightened_at)
        VALUES (rule.rule_id, (rule.params ->> 'threshold')::bigint, (planned.change ->> 'threshold')::bigint, planned.detail, as_of);
        PERFORM raxx_detect.set_params(rule.rule_id, planned.change);
    WHEN planned.action = 'downgrade' THEN
        PERFORM raxx_detect.begin_downgrade(jsonb_populate_record(NULL::raxx_detect.downgrade_review, planned.change), as_of);
    END CASE;
END $$;
COMMENT ON FUNCTION raxx_detect.apply_refresh_action(raxx_detect.refresh_action, timestamptz) IS 'Does what a line of a plan says.';

CREATE FUNCTION raxx_detect.refresh_rules(apply boolean, as_of timestamptz) RETURNS SETOF raxx_detect.refresh_action
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET jit = off AS $$
DECLARE
    plan raxx_detect.refresh_action[];
    planned raxx_detect.refresh_action;
BEGIN
    IF apply IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'apply must be true or false', DETAIL = 'It is NULL.', HINT = 'false, the default, only lists what would be done.';
    END IF;
    PERFORM raxx_detect.check_as_of(as_of);
    IF apply THEN
        PERFORM raxx_detect.hold_heartbeat(wait => true);
    END IF;
    plan := ARRAY(SELECT p FROM raxx_detect.plan_refresh(as_of) p);  -- all of it before any of it is done
    FOREACH planned IN ARRAY plan LOOP
        IF apply THEN
            PERFORM raxx_detect.apply_refresh_action(planned, as_of);
        END IF;
        RETURN NEXT planned;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.refresh_rules(boolean, timestamptz) IS 'What raxx_detect.refresh does, with the values.';

-- An argument and a result column are called alike in part, which PL/pgSQL does not allow.
CREATE FUNCTION raxx_detect.refresh(apply boolean DEFAULT false, as_of timestamptz DEFAULT now(), OUT action text, OUT rule_id text, OUT detail text)
RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.action, p.rule_id, p.detail FROM raxx_detect.refresh_rules($1, $2) p
$$;
COMMENT ON FUNCTION raxx_detect.refresh(boolean, timestamptz) IS
'The weekly refresh: brings rules into the states that are due (activate, deactivate, baseline_ready), reads baselines anew where findings in them have changed (rebaseline), lowers hard thresholds where the baseline allows it (tighten), has rules told lower that people pass over (downgrade), and says what people should decide (no_downgrade, propose_retirement, over_ceiling, approval_ends, miscalibrated). apply: false, the default, only lists it, and changes nothing; true does it, in the caller''s transaction, and lists the same. A threshold is never raised, and rules of a method of integrity are not tuned. Errors: 22023 no finite time, 22004 apply is NULL, and those of what it does, of which then nothing is done.';

CREATE FUNCTION raxx_detect.retire(rule_id text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    reason := raxx_detect.require_reason(reason, 'retiring a rule');
    PERFORM raxx_detect.find_rule(rule_id);
    PERFORM raxx_detect.change_state(rule_id, 'retired', reason);
END $$;
COMMENT ON FUNCTION raxx_detect.retire(text, text) IS 'Gives a rule up, for a reason: it is not evaluated, and does not wait for anything. raxx_detect.enable takes it back. Errors: 42704 unknown rule, 22023 no reason.';

-- ---- saying it -------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.markdown_text(words text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(regexp_replace(left(words, 2000), '[[:cntrl:][:space:]]+', ' ', 'g'), '([\\`*_{}\[\]<>#|!~])', '\\\1', 'g')
$$;
COMMENT ON FUNCTION raxx_detect.markdown_text(text) IS 'A text as Markdown shows it as it is: in one line, without markup, links or HTML of its own.';

CREATE FUNCTION raxx_detect.refresh_report(apply boolean DEFAULT false, as_of timestamptz DEFAULT now()) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan raxx_detect.refresh_action[] := ARRAY(SELECT p FROM raxx_detect.refresh_rules(apply, as_of) p);
BEGIN
    RETURN format(E'# Refresh of raxx_detect, %s\n\n%s\n\n%s of %s rules are active; %s may be.\n', raxx_detect.in_words_utc(as_of),
            CASE WHEN apply THEN 'What is listed as done was done.' ELSE 'A dry run: nothing was changed. SELECT raxx\_detect.refresh\_report(true) does it.' END,
            (SELECT count(*) FROM raxx_detect.rules r WHERE raxx_detect.counts_as_active(r)), (SELECT count(*) FROM raxx_detect.rules),
            (SELECT s.ceiling FROM raxx_detect.tuning_settings s))
        || (SELECT string_agg(format(E'\n## %s\n\n%s\n', h.heading, coalesce(lines.text, 'None.')), '' ORDER BY h.position)
            FROM (VALUES
                (1, CASE WHEN apply THEN 'Told lower' ELSE 'To be told lower' END, '{downgrade}'::text[]),
                (2, 'Stays as it is, though it was told often', '{no_downgrade}'),
                (3, CASE WHEN apply THEN 'Activated' ELSE 'To be activated' END, '{activate}'),
                (4, CASE WHEN apply THEN 'Put to sleep' ELSE 'To be put to sleep' END, '{deactivate}'),
                (5, CASE WHEN apply THEN 'Baselines that are ready, or were read anew' ELSE 'Baselines that are ready, or are to be read anew' END, '{baseline_ready,rebaseline}'),
                (6, CASE WHEN apply THEN 'Tightened' ELSE 'To be tightened' END, '{tighten}'),
                (7, 'The ceiling', '{over_ceiling,approval_ends}'),
                (8, 'Miscalibrated', '{miscalibrated}'),
                (9, 'Proposed for retirement', '{propose_retirement}')) h(position, heading, actions)
            CROSS JOIN LATERAL (SELECT string_agg(format('- %s%s', '**' || raxx_detect.markdown_text(p.rule_id) || '**: ', raxx_detect.markdown_text(p.detail)), E'\n' ORDER BY p.ordinality) AS text
                                FROM unnest(plan) WITH ORDINALITY p WHERE p.action = ANY (h.actions)) lines);
END $$;
COMMENT ON FUNCTION raxx_detect.refresh_report(boolean, timestamptz) IS 'raxx_detect.refresh, told in Markdown: a section for each kind of action. Errors: as raxx_detect.refresh.';
