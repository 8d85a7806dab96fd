-- Prerequisites: P1 to P8, what holds of them for a rule, and what is missing, in sentences to act on.

CREATE FUNCTION raxx_detect.check_span(prerequisite text, source text, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record := raxx_detect.source_span(source, as_of);
BEGIN
    detail := s.problem;
    IF prerequisite = 'P7' AND s.bound AND s.last_event IS NULL AND detail LIKE '% has no rows' THEN
        detail := NULL;
    ELSIF detail IS NULL AND prerequisite IN ('P1', 'P6') AND s.last_event < as_of - interval '1 day' THEN
        detail := format('source %s had no event in the last day (the last was at %s)', source, s.last_event);
    ELSIF detail IS NULL AND prerequisite = 'P2' AND s.last_event - s.first_event < interval '7 days' THEN
        detail := format('source %s spans less than 7 days (since %s)', source, s.first_event);
    END IF;
    holds := detail IS NULL;
    detail := coalesce(detail, format('source %s has what it takes', source));
END $$;
COMMENT ON FUNCTION raxx_detect.check_span(text, text, timestamptz) IS
'P1, P2, P6 and P7 for one source: bound (P7), with an event in the last day (P1, P6), or with events 7 days apart (P2).';

CREATE FUNCTION raxx_detect.check_cadence(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(p.ready), false), string_agg(CASE WHEN p.source IS NULL THEN (raxx_detect.source_span(s.source, as_of)).problem
        ELSE format('source %s has %s of the %s whole days of cadence that its baseline needs', s.source, least(p.days, p.needed), p.needed) END,
        '; ' ORDER BY s.number)
    FROM unnest(rule.sources) WITH ORDINALITY s(source, number)
    LEFT JOIN raxx_detect.baseline_progress(rule, ARRAY(SELECT b FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources)), as_of) p
        ON p.source = s.source
$$;
COMMENT ON FUNCTION raxx_detect.check_cadence(raxx_detect.rules, timestamptz) IS
'P4: whether the baseline of one of the rule''s sources is ready.';

CREATE FUNCTION raxx_detect.check_volume(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    days int := extract(day FROM justify_hours((rule.params ->> 'activation_span')::interval));
    binding raxx_detect.source_bindings;
    today date;
    fewest bigint;
    rows_called text;
BEGIN
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    IF NOT FOUND THEN
        holds := false;
        detail := (raxx_detect.source_span(rule.sources[1], as_of)).problem;
        RETURN;
    END IF;
    SELECT k.rows_called INTO rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source;
    today := raxx_detect.judging_day(rule, binding, as_of);
    -- More than it takes is not counted: the check must stay cheap, however busy the source.
    EXECUTE format(
        'SELECT min((SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I >= d.begins AND t.%2$I < d.ends LIMIT $4) enough))
         FROM (SELECT raxx_detect.day_starts($1, $2 - i) AS begins, raxx_detect.day_starts($1, $2 - i + 1) AS ends
               FROM generate_series(1, $3) i) d', binding.relation, binding.columns ->> 'event_time')
    INTO fewest USING rule, today, days, above + 1;
    holds := fewest > above;
    detail := CASE WHEN holds THEN format('each of the last %s whole days had more than %s %s', days, above, rows_called)
                   ELSE format('the quietest of the last %s whole days had %s %s; more than %s are needed', days, fewest, rows_called, above) END;
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, binding.source);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_volume(raxx_detect.rules, timestamptz) IS
'P8: whether each of the whole days of the rule''s activation_span, by its time zone, had more rows than activate_above.';

CREATE FUNCTION raxx_detect.check_digits(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    window_length interval := (rule.params ->> 'window')::interval;
    binding raxx_detect.source_bindings;
    digits bigint;
BEGIN
    SELECT b.* INTO STRICT binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    EXECUTE format(
        'SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I > $1 AND t.%2$I <= $2
             AND t.%3$I <> 0 AND t.%3$I::text NOT IN (''NaN'', ''Infinity'', ''-Infinity'') LIMIT $3) enough',
        binding.relation, binding.columns ->> 'event_time', binding.columns ->> (rule.params ->> 'value'))
    INTO digits USING raxx_detect.before(as_of, window_length), as_of, above + 1;
    holds := digits > above;
    detail := format('source %s has %s first digits in %s; more than %s are needed', binding.source,
        CASE WHEN holds THEN 'more than ' || above ELSE digits::text END, raxx_detect.in_words(window_length), above);
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, rule.sources[1]);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_digits(raxx_detect.rules, timestamptz) IS
'Whether the rule''s window up to as_of holds more values with a first digit than activate_above: zero, NaN and infinities have none. Counts no more than it takes.';

CREATE FUNCTION raxx_detect.check_statements(rule raxx_detect.rules, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    elsewhere regclass := (SELECT b.relation FROM raxx_detect.source_bindings b JOIN pg_class c ON c.oid = b.relation
                           WHERE b.source = ANY (rule.sources) AND c.relnamespace <> 'raxx_detect'::regnamespace);
BEGIN
    IF elsewhere IS NOT NULL THEN
        holds := true;
        detail := format('the snapshots are those of %s', elsewhere);
    ELSE
        SELECT a.available, a.detail INTO holds, detail FROM raxx_detect.statements_available() a;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_statements(raxx_detect.rules) IS
'P5: whether pg_stat_statements can be read, or snapshots of it are bound that somebody else takes.';

CREATE FUNCTION raxx_detect.check_rule_prerequisite(rule raxx_detect.rules, prerequisite text, as_of timestamptz,
    OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE prerequisite
        WHEN 'P1', 'P2', 'P6', 'P7' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_span(prerequisite, rule.sources[1], as_of) c;
        WHEN 'P3' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_chain_attached(rule) c;
        WHEN 'P4' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_cadence(rule, as_of) c;
        WHEN 'P5' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_statements(rule) c;
        WHEN 'P8' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_volume(rule, as_of) c;
        ELSE
            holds := false;
            detail := format('there is no prerequisite %s', prerequisite);
    END CASE;
END $$;
COMMENT ON FUNCTION raxx_detect.check_rule_prerequisite(raxx_detect.rules, text, timestamptz) IS
'Whether one of P1 to P8 holds for one rule, by its sources and parameters, and what is there or missing, in a sentence to act on.';

CREATE FUNCTION raxx_detect.check_prerequisite(id text, as_of timestamptz DEFAULT now(), OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_and(c.holds), string_agg(c.detail, '; ' ORDER BY r.number)
    FROM raxx_detect.rules r CROSS JOIN LATERAL raxx_detect.check_rule_prerequisite(r, check_prerequisite.id, check_prerequisite.as_of) c
    WHERE check_prerequisite.id = ANY (r.prerequisites)
$$;
COMMENT ON FUNCTION raxx_detect.check_prerequisite(text, timestamptz) IS
'Whether one of P1 to P8 holds for every rule that it gates, and what is there or missing, in a sentence to act on.';

CREATE VIEW raxx_detect.prerequisites AS
SELECT p.prerequisite, c.holds, c.detail,
       ARRAY(SELECT r.rule_id FROM raxx_detect.rules r WHERE p.prerequisite = ANY (r.prerequisites) ORDER BY r.number) AS gates,
       p.needs
FROM (VALUES
    ('P1', 'passkey_begin_events, or session_events, is bound and had an event in the last day.'),
    ('P2', 'error_events is bound and spans at least 7 days.'),
    ('P3', 'A hash chain is attached to an audit table, and its keys can be read.'),
    ('P4', 'The baseline of an audit table holds at least 7 whole days of cadence; until then placeholder thresholds judge.'),
    ('P5', 'pg_stat_statements is preloaded, created and readable.'),
    ('P6', 'dyno_samples, or dyno_restarts, is bound and had an event in the last day.'),
    ('P7', 'stripe_webhook_events is bound.'),
    ('P8', 'outbound_mail_events had more mails than activate_above on each whole day of activation_span.')
) p(prerequisite, needs)
CROSS JOIN LATERAL raxx_detect.check_prerequisite(p.prerequisite) c;
COMMENT ON VIEW raxx_detect.prerequisites IS
'P1 to P8: whether each holds now for all the rules that it gates, what is there or missing, and which rules these are; needs: when it holds. A rule waits for its own sources only.';
