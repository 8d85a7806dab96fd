-- Baselines: what is usual, learnt from the whole days before the day that is judged.
--
-- Each day of a rule's source is read once, when its rows can no longer come late, and kept as counts and sketches that
-- merge; judging a moment merges the days before it. What lies inside findings that are open or were confirmed is left
-- out, so that a baseline is never learnt from an attack. A rule's day is one of its time zone. The baseline of a day
-- takes over when the day before is complete: the source's lateness after midnight.

CREATE TABLE raxx_detect.baseline_starts (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    first_event timestamptz NOT NULL,
    PRIMARY KEY (rule_id, source)
);
COMMENT ON TABLE raxx_detect.baseline_starts IS 'Since when each rule''s source has rows that the rule can use: the day after is the first whole one.';

CREATE TABLE raxx_detect.baseline_days (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    day date NOT NULL,
    version smallint NOT NULL,
    rows bigint NOT NULL,
    left_out bigint NOT NULL,
    left_out_digest text NOT NULL,
    PRIMARY KEY (rule_id, source, day)
);
COMMENT ON TABLE raxx_detect.baseline_days IS 'The days that are in a baseline: how many rows each counted, and how many were left out because they lie inside findings.';
COMMENT ON COLUMN raxx_detect.baseline_days.version IS 'Of the layout of raxx_detect.baselines; a day of another version is read again, as is one of version 0, of which rows may still come.';
COMMENT ON COLUMN raxx_detect.baseline_days.left_out_digest IS 'Of the periods left out; when findings change, the day is read again.';

CREATE TABLE raxx_detect.baselines (
    rule_id text NOT NULL,
    source text NOT NULL,
    day date NOT NULL,
    entity text,
    exposure float8[] NOT NULL,
    rows bigint[] NOT NULL,
    squares float8[] NOT NULL,
    sketch raxx_detect.quantile_sketch,
    hour_sketches raxx_detect.quantile_sketch[],
    CONSTRAINT one_baseline_per_entity_and_day UNIQUE NULLS NOT DISTINCT (rule_id, source, entity, day),
    FOREIGN KEY (rule_id, source, day) REFERENCES raxx_detect.baseline_days ON DELETE CASCADE
);
CREATE INDEX baselines_by_day ON raxx_detect.baselines (rule_id, source, day);
COMMENT ON TABLE raxx_detect.baselines IS 'A day of an entity, or of all entities together (entity NULL), as counts and sketches that merge. Arrays have an element for each hour of the day, 0 to 23, by the clock of the rule''s time zone.';
COMMENT ON COLUMN raxx_detect.baselines.exposure IS 'How many cells were observed, empty ones included; of all entities together, those that held a row. A cell is a window of the rule''s length, a point, or for gaps the shortest that counts.';
COMMENT ON COLUMN raxx_detect.baselines.rows IS 'The sum of what the cells counted.';
COMMENT ON COLUMN raxx_detect.baselines.squares IS 'The sum of the squares of what the cells counted.';
COMMENT ON COLUMN raxx_detect.baselines.sketch IS 'The distribution of what the cells counted or measured; empty cells are not in it. NULL where the rule does not need it.';
COMMENT ON COLUMN raxx_detect.baselines.hour_sketches IS 'The same for each hour. NULL where the rule does not need it.';

-- Days.

CREATE FUNCTION raxx_detect.rule_time_zone(rule raxx_detect.rules) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(rule.params ->> 'time_zone', 'UTC');
END $$;
COMMENT ON FUNCTION raxx_detect.rule_time_zone(raxx_detect.rules) IS 'The time zone whose days and hours a rule goes by: its parameter time_zone, or UTC.';

CREATE FUNCTION raxx_detect.day_starts(rule raxx_detect.rules, day date) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN timezone(raxx_detect.rule_time_zone(rule), day::timestamp);
END $$;
COMMENT ON FUNCTION raxx_detect.day_starts(raxx_detect.rules, date) IS 'The midnight with which a day begins in the rule''s time zone.';

CREATE FUNCTION raxx_detect.takes_over(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.day_starts(rule, day) + binding.lateness;
END $$;
COMMENT ON FUNCTION raxx_detect.takes_over(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'From when on the baseline of a day judges: when no row of the day before can come late any more.';

CREATE FUNCTION raxx_detect.judging_day(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN timezone(raxx_detect.rule_time_zone(rule), raxx_detect.before(instant, binding.lateness))::date;
END $$;
COMMENT ON FUNCTION raxx_detect.judging_day(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'The day whose baseline, made of the days before it, judges an instant.';

CREATE FUNCTION raxx_detect.baseline_length(rule raxx_detect.rules) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN extract(day FROM rule.baseline_window)::int;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_length(raxx_detect.rules) IS 'How many days a rule''s baseline may span; NULL: it has none.';

CREATE FUNCTION raxx_detect.first_whole_day(rule raxx_detect.rules, first_event timestamptz, day date) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN first_event IS NOT NULL THEN greatest(day - raxx_detect.baseline_length(rule),
        -- a forged time may lie before dates begin
        CASE WHEN first_event < timestamptz '4000-01-01 00:00:00+00 BC' THEN date '4000-01-01 BC'
             ELSE timezone(raxx_detect.rule_time_zone(rule), first_event)::date END + 1) END;
END $$;
COMMENT ON FUNCTION raxx_detect.first_whole_day(raxx_detect.rules, timestamptz, date) IS
'The first of the whole days that the baseline of a day is made of, of a source with this first row. The day of the first row is not whole. NULL without a first row.';

CREATE FUNCTION raxx_detect.baseline_first_day(rule raxx_detect.rules, source text, day date) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT raxx_detect.first_whole_day(rule, s.first_event, day)
    FROM raxx_detect.baseline_starts s WHERE s.rule_id = rule.rule_id AND s.source = baseline_first_day.source);
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_first_day(raxx_detect.rules, text, date) IS
'The first of the whole days that the baseline of a day is made of. NULL before a run has seen a row.';

CREATE FUNCTION raxx_detect.baseline_is_ready(rule raxx_detect.rules, source text, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(raxx_detect.baseline_first_day(rule, source, day)
                    <= day - extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int, false);
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_is_ready(raxx_detect.rules, text, date) IS
'Whether the baseline of a day has as many whole days as the rule''s parameter baseline_ready wants.';

CREATE FUNCTION raxx_detect.first_usable_event(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := raxx_detect.time_column(binding);
    needed text;
    result timestamptz;
BEGIN
    SELECT coalesce(string_agg(format('AND t.%I IS NOT NULL', raxx_detect.role_column(binding, rule.params ->> p)), ' '), '') INTO needed
    FROM unnest('{entity,value}'::text[]) p WHERE rule.params ? p;
    EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > ''-infinity'' AND t.%1$I < ''infinity'' %3$s',
        event_time, binding.relation, needed)
    INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.first_usable_event(raxx_detect.rules, raxx_detect.source_bindings) IS
'When the first row came that the rule can use: one with an entity and a value. NULL if there is none.';

CREATE FUNCTION raxx_detect.know_baseline_start(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO raxx_detect.baseline_starts (rule_id, source, first_event)
    SELECT rule.rule_id, binding.source, e.first_event
    FROM (SELECT raxx_detect.first_usable_event(rule, binding) AS first_event
          WHERE rule.baseline_window IS NOT NULL AND NOT EXISTS (SELECT FROM raxx_detect.baseline_starts s
              WHERE s.rule_id = rule.rule_id AND s.source = binding.source)) e
    WHERE e.first_event IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.know_baseline_start(raxx_detect.rules, raxx_detect.source_bindings) IS
'Notes, once, since when a source has rows that the rule can use.';

CREATE FUNCTION raxx_detect.baseline_days_there(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := raxx_detect.judging_day(rule, binding, instant);
    first_event timestamptz := (SELECT s.first_event FROM raxx_detect.baseline_starts s
                                WHERE s.rule_id = rule.rule_id AND s.source = binding.source);
BEGIN
    first_event := coalesce(first_event, raxx_detect.first_usable_event(rule, binding));
    RETURN greatest(0, coalesce(day - raxx_detect.first_whole_day(rule, first_event, day), 0));
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_days_there(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'How many whole days there are for the baseline that judges an instant, also before a run has kept any. Only for a rule with a baseline.';

-- What is left out.

CREATE FUNCTION raxx_detect.rows_from(rule raxx_detect.rules, episode tstzrange, conditions jsonb) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    -- If a day is among the conditions, it is the one that ended first: whatever leads from one midnight to the next is the
    -- verdict of a day, or 24 hours that are left out of the next.
    SELECT CASE WHEN rule.params ? 'long_window' AND conditions ? 'day' AND lower(episode) > timestamptz '4000-01-01 00:00:00+00 BC'
                THEN least(raxx_detect.day_starts(rule, timezone(raxx_detect.rule_time_zone(rule), lower(episode) - interval '1 microsecond')::date),
                           lower(episode) - (rule.params ->> 'window')::interval)
                ELSE raxx_detect.before(lower(episode), coalesce((rule.params ->> 'window')::interval, '0')) END
$$;
COMMENT ON FUNCTION raxx_detect.rows_from(raxx_detect.rules, tstzrange, jsonb) IS
'Where the rows begin that showed a finding with this episode and these conditions: the window before it, or the day where a day was judged.';

CREATE FUNCTION raxx_detect.left_out(rule raxx_detect.rules, source text, within tstzrange,
    OUT entity text, OUT period tstzrange)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT CASE WHEN rule.params ? 'mix_window' AND f.entity LIKE '((%' THEN substr(f.entity, 2) ELSE f.entity END, tstzrange(w.rows_from, upper(f.episode)) * $3
    FROM raxx_detect.detection_findings f
    CROSS JOIN LATERAL (SELECT raxx_detect.rows_from(rule, f.episode, f.evidence -> 'conditions')) w(rows_from)
    WHERE f.rule_id = rule.rule_id AND f.source = $2 AND (f.triage <> 'closed' OR f.disposition = 'true_positive')
      AND NOT f.evidence @> '{"conditions": ["rows_gone"]}'  -- the gap that they leave is a finding itself, if it is one
      AND f.episode && tstzrange(lower($3), upper($3) + greatest(interval '2 days', (rule.params ->> 'window')::interval))
      AND tstzrange(w.rows_from, upper(f.episode)) && $3
      -- What begins once the baseline has taken over was judged by it, and does not change it.
      AND lower(f.episode) < upper($3) + (SELECT b.lateness FROM raxx_detect.source_bindings b WHERE b.source = $2);
END $$;
COMMENT ON FUNCTION raxx_detect.left_out(raxx_detect.rules, text, tstzrange) IS
'Whose rows of a period no baseline may learn, and when: those in the windows of findings that are open (nobody has closed them), whether or not an exception sets them aside,, or were closed as true_positive.';

CREATE FUNCTION raxx_detect.left_out_digest(rule raxx_detect.rules, source text, period tstzrange) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(md5(string_agg(md5(l.entity) || l.period::text, ',' ORDER BY md5(l.entity), l.period)), '')
    FROM raxx_detect.left_out($1, $2, $3) l);
END $$;
COMMENT ON FUNCTION raxx_detect.left_out_digest(raxx_detect.rules, text, tstzrange) IS 'Tells whether what is left out of a period has changed; empty if nothing is.';

-- Keeping.

CREATE FUNCTION raxx_detect.keep_baseline_day(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    period tstzrange := tstzrange(raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1));
    learner regproc;
    -- While a transaction is open that may still bring rows of the day, or they cannot be seen, it is read again each time.
    whole int := CASE WHEN raxx_detect.takes_over(rule, binding, day + 1) <= (SELECT h.settles_to FROM raxx_detect.horizon() h) THEN 1 ELSE 0 END;
BEGIN
    SELECT m.learner INTO learner FROM raxx_detect.methods m WHERE m.method = rule.method;
    DELETE FROM raxx_detect.baseline_days b WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    INSERT INTO raxx_detect.baseline_days (rule_id, source, day, version, rows, left_out, left_out_digest)
    VALUES (rule.rule_id, binding.source, day, whole, 0, 0, raxx_detect.left_out_digest(rule, binding.source, period));
    EXECUTE format('SELECT %s($1, $2, $3, $4)', learner) USING rule, binding, day, period;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_baseline_day(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Reads one day of a source and keeps it, by the learner of the rule''s method, which writes the rows of raxx_detect.baselines and completes the one of raxx_detect.baseline_days.';

CREATE FUNCTION raxx_detect.stale_baseline_days(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS SETOF date
LANGUAGE plpgsql STABLE ROWS 7 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    any_left_out boolean;
BEGIN
    IF NOT raxx_detect.baseline_is_ready(rule, binding.source, day) THEN
        RETURN;
    END IF;
    -- Mostly nothing is, and the days need not be asked for one by one.
    any_left_out := EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source,
        tstzrange(raxx_detect.day_starts(rule, first_day), raxx_detect.day_starts(rule, day))));
    RETURN QUERY
        SELECT d.day FROM (SELECT first_day + i AS day FROM generate_series(0, day - first_day - 1) i) d
        LEFT JOIN raxx_detect.baseline_days b ON b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = d.day
        WHERE (b.day IS NULL OR b.version <> 1 OR b.left_out_digest <> CASE WHEN any_left_out
            THEN raxx_detect.left_out_digest(rule, binding.source,
                     tstzrange(raxx_detect.day_starts(rule, d.day), raxx_detect.day_starts(rule, d.day + 1)))
            ELSE '' END)
          -- A day that is not over yet, which an as_of ahead of the present asks for, is no part of any baseline.
          AND raxx_detect.takes_over(rule, binding, d.day + 1) <= now()
        ORDER BY d.day;
END $$;
COMMENT ON FUNCTION raxx_detect.stale_baseline_days(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Of the days that the baseline of a day is made of, if it is ready, those that are not kept, or not as findings are now.';

CREATE FUNCTION raxx_detect.keep_baseline(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    wanted date;
BEGIN
    FOR wanted IN SELECT * FROM raxx_detect.stale_baseline_days(rule, binding, day) LOOP
        PERFORM raxx_detect.keep_baseline_day(rule, binding, wanted);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_baseline(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Sees to it that all the days that the baseline of a day is made of are kept, as findings are now. Each is read once, unless findings change.';

CREATE FUNCTION raxx_detect.drop_old_baselines(rule raxx_detect.rules, source text, before date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM raxx_detect.baseline_days b
    WHERE b.rule_id = rule.rule_id AND b.source = drop_old_baselines.source AND b.day < before - raxx_detect.baseline_length(rule);
END $$;
COMMENT ON FUNCTION raxx_detect.drop_old_baselines(raxx_detect.rules, text, date) IS 'Forgets the days that the baseline of a day and of later ones do not need.';

-- The stretches of a run: which day's baseline judges from when on.

CREATE FUNCTION raxx_detect.baseline_pieces(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, OUT day date, OUT from_time timestamptz, OUT ready boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH ends AS (
        SELECT raxx_detect.judging_day($1, $2, least($4, greatest($3, raxx_detect.before($4, interval '400 days'),
                   -- a day before that of the first row has no baseline
                   (SELECT s.first_event FROM raxx_detect.baseline_starts s WHERE s.rule_id = ($1).rule_id AND s.source = ($2).source)))) AS first_day,
               raxx_detect.judging_day($1, $2, $4) AS last_day
    ), days AS (
        SELECT e.first_day + i AS day FROM ends e CROSS JOIN LATERAL generate_series(0, e.last_day - e.first_day) i
        WHERE i <= 40 OR i = e.last_day - e.first_day
        UNION ALL SELECT '-infinity' WHERE $3 < raxx_detect.before($4, interval '400 days')  -- no baseline judges what is older
    )
    SELECT d.day, CASE WHEN lag(d.day) OVER (ORDER BY d.day) IS NULL THEN '-infinity' ELSE raxx_detect.takes_over($1, $2, d.day) END,
           raxx_detect.baseline_is_ready($1, ($2).source, d.day)
    FROM days d ORDER BY d.day;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_pieces(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The days whose baselines judge (exact_from, as_of], in order: each from from_time on. Runs are cut where a baseline takes over, so that there are few, unless a transaction keeps the past unsettled for days, or a source was silent for as long; of more than 40 the first 40 and the last are told apart.';
