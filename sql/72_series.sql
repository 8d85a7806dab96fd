-- The series of a finding, for the picture of it in a digest: what the rule counts or measures, in up to 48 buckets
-- around the moment, what is usual, and the limit.
--
-- Up to fifty are asked for while a transaction is open, so that each has to be cheap: rows are read only where an index
-- gives them in the order of time, never more than 50000 of them. Otherwise the hourly counts of the sweep are the series.

CREATE FUNCTION raxx_detect.has_time_order(relation regclass, event_time name) RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_has_time_order' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION raxx_detect.has_time_order(regclass, name) IS
'Whether the rows of a time range come in order without a sort, as an index on the time gives them (for a partitioned table, one on each partition; beneath a view, one on the column that is its time; a foreign server that sorts counts, too): then a range is read without reading the rest. By a plan that is kept for the session. Raises 22004 for NULL, 42P01, 42703, 42804 or 42501 for what cannot be read.';

-- ---- which buckets ------------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.series_frame AS (
    starts timestamptz,
    bucket interval,
    buckets int,
    windows int,
    shift interval,
    mark_from timestamptz,
    mark_to timestamptz
);
COMMENT ON TYPE raxx_detect.series_frame IS 'The buckets of a series, the first from starts on; how many of the rule''s windows one is (NULL: it is none); the shift by which they are closed at their end, like sliding windows (a microsecond), or at their beginning (0); and the stretch to be marked, whose end is NULL while it lasts.';

CREATE FUNCTION raxx_detect.verdict_lag(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN finding.evidence -> 'conditions' ?| '{mix,day}' THEN interval '24 hours'
                WHEN rule.method = 'quantile' OR rule.params ? 'long_window' THEN make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8)
                ELSE interval '0' END;
END $$;
COMMENT ON FUNCTION raxx_detect.verdict_lag(raxx_detect.rules, raxx_detect.detection_findings) IS
'How much later than what it is about an episode is: verdicts on an hour or a day are in force when that is over.';

CREATE FUNCTION raxx_detect.known_to(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    onset timestamptz := lower(finding.episode);
    looked_to timestamptz := (SELECT c.looked_to FROM raxx_detect.coverage c WHERE c.rule_id = finding.rule_id AND c.source = finding.source);
    -- A run writes findings before it says how far it has looked. At first what the finding says of itself has to do.
    seconds float8 := CASE WHEN rule.method = 'gap' THEN 60 * finding.observed
                           ELSE 18 * extract(epoch FROM (rule.params ->> 'window')::interval) END;
    presumed timestamptz := onset + make_interval(secs => least(greatest(seconds, 0), 14 * 86400::float8));
BEGIN
    RETURN coalesce(upper(finding.episode), least(now(), CASE WHEN rule.method = 'gap' THEN greatest(looked_to, presumed)
                                                              WHEN looked_to > onset THEN looked_to ELSE presumed END));
END $$;
COMMENT ON FUNCTION raxx_detect.known_to(raxx_detect.rules, raxx_detect.detection_findings) IS
'When an episode ended, or if it lasts, up to when it is known to, but not after now.';

CREATE FUNCTION raxx_detect.frame_of_bursts(rule raxx_detect.rules, finding raxx_detect.detection_findings)
RETURNS raxx_detect.series_frame LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    longest CONSTANT interval := '14 days';
    lag interval := raxx_detect.verdict_lag(rule, finding);
    is_day boolean := lag = interval '24 hours';
    -- A mix is of a day, and looked at by the hour.
    window_length interval := CASE WHEN finding.evidence -> 'conditions' ? 'mix' THEN interval '1 hour'
                                   ELSE make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8) END;
    seconds numeric := extract(epoch FROM window_length);
    onset timestamptz := lower(finding.episode);
    ends timestamptz := greatest(onset, least(raxx_detect.known_to(rule, finding), now()));
    most int;
    before int;
    frame raxx_detect.series_frame;
BEGIN
    frame.windows := greatest(1, least(ceil(extract(epoch FROM ends - onset) / (18 * seconds)), floor(extract(epoch FROM longest) / 48 / seconds)));
    frame.bucket := frame.windows * window_length;
    frame.shift := CASE WHEN lag = '0' THEN interval '1 microsecond' ELSE '0' END;
    most := least(48, floor(extract(epoch FROM longest) / extract(epoch FROM frame.bucket)));
    IF most < 4 THEN
        RETURN NULL;
    END IF;
    before := CASE WHEN is_day THEN most * 3 / 4 ELSE most / 2 END;
    -- A bucket ends where the episode begins: it is the very window that made it begin.
    frame.starts := onset - before * frame.bucket;
    frame.buckets := before + greatest(0, least(most - before,
        ceil(extract(epoch FROM CASE WHEN upper_inf(finding.episode) THEN ends ELSE least(ends + 6 * frame.bucket, now()) END - onset)
             / extract(epoch FROM frame.bucket))));
    frame.mark_from := onset - CASE WHEN lag = '0' THEN window_length ELSE lag END;
    frame.mark_to := CASE WHEN upper(finding.episode) < timestamptz '9999-01-01 00:00:00+00' THEN upper(finding.episode) - lag END;
    RETURN frame;
END $$;
COMMENT ON FUNCTION raxx_detect.frame_of_bursts(raxx_detect.rules, raxx_detect.detection_findings) IS
'Buckets as long as the rule''s window, or as many of them as it takes for an episode that lasts (up to 14 days in all), half of them before it, and some after it; none after now. NULL where not even four windows fit into 14 days.';

CREATE FUNCTION raxx_detect.frame_of_silence(rule raxx_detect.rules, finding raxx_detect.detection_findings)
RETURNS raxx_detect.series_frame LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    onset timestamptz := lower(finding.episode);
    ends timestamptz := greatest(onset, least(raxx_detect.known_to(rule, finding), now()));
    anchor timestamptz;
    frame raxx_detect.series_frame;
BEGIN
    SELECT coalesce(min(b) FILTER (WHERE 18 * b >= ends - onset), max(b)) INTO frame.bucket
    FROM unnest('{1 min,2 min,5 min,10 min,15 min,30 min,1 hour,2 hours,3 hours,6 hours}'::interval[]) b;
    frame.shift := '0';
    anchor := date_bin(frame.bucket, onset, timestamptz '2000-01-01 00:00:00+00');
    frame.starts := anchor - 24 * frame.bucket;
    frame.buckets := 24 + greatest(1, least(24,
        ceil(extract(epoch FROM CASE WHEN upper_inf(finding.episode) THEN ends ELSE least(ends + 6 * frame.bucket, now()) END - anchor)
             / extract(epoch FROM frame.bucket))));
    frame.mark_from := onset;
    frame.mark_to := CASE WHEN upper(finding.episode) < timestamptz '9999-01-01 00:00:00+00' THEN upper(finding.episode) END;
    RETURN frame;
END $$;
COMMENT ON FUNCTION raxx_detect.frame_of_silence(raxx_detect.rules, raxx_detect.detection_findings) IS
'Buckets of the clock, from a minute to six hours, so that up to 18 of them are the silence and 24 lie before it; none after now.';

-- ---- what is counted ----------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.series_measure AS (
    value text,
    summed_up text,
    compared text,
    patterns text[],
    population text,
    unit text,
    of text
);
COMMENT ON TYPE raxx_detect.series_measure IS 'What a series shows: the expression over a row t of what it counts, NULL for what it does not, with $3 for compared and $4 for patterns; the aggregate of it (r.value) that a bucket is; whether a row is one of those that a share is of; the unit, and what it is, in words.';

CREATE FUNCTION raxx_detect.is_entity(expression text, entity text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN length(entity) <= 200 THEN format('%s COLLATE "C" = $3', expression)
                ELSE format('(length(%1$s) > 200 AND raxx_detect.bounded_entity(%1$s) COLLATE "C" = $3)', expression) END;
END $$;
COMMENT ON FUNCTION raxx_detect.is_entity(text, text) IS
'The condition that an expression is the entity $3 of a finding, which is cut where it was longer than 200 characters.';

CREATE FUNCTION raxx_detect.most_risen(finding raxx_detect.detection_findings, OUT entity text, OUT expected float8) RETURNS record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c ->> 'entity', (c ->> 'expected')::float8 FROM jsonb_array_elements(finding.evidence -> 'moved') c
    WHERE c ->> 'entity' IS NOT NULL
    ORDER BY (c ->> 'observed')::float8 - (c ->> 'expected')::float8 DESC LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.most_risen(raxx_detect.detection_findings) IS 'The entity of which a mix has most more than expected, of those that its evidence names; NULLs if it names none.';

CREATE FUNCTION raxx_detect.measure_of_bursts(rule raxx_detect.rules, binding raxx_detect.source_bindings, finding raxx_detect.detection_findings)
RETURNS raxx_detect.series_measure LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m raxx_detect.series_measure;
    is_mix boolean := finding.evidence -> 'conditions' ? 'mix';
    of_distinct boolean := rule.method = 'distinct' OR finding.unit = 'distinct permissions denied';
    entity_role text := rule.params ->> 'entity';
    entity text := raxx_detect.entity_expression(rule, binding, entity_role);
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    condition text;
BEGIN
    m.compared := CASE WHEN is_mix THEN (raxx_detect.most_risen(finding)).entity ELSE finding.entity END;
    m.unit := finding.unit;
    m.of := format('rows of %s with this %s', binding.source, entity_role);
    IF m.compared IS NULL THEN
        RETURN NULL;
    ELSIF is_mix THEN
        m.unit := (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
        m.of := format('rows of %s with the %s that rose most', binding.source, entity_role);  -- which, may not be for everybody
    ELSIF rule.params ? 'mix_window' AND m.compared LIKE '((%' THEN  -- see raxx_detect.entity_beside_mix
        entity := format('(''('' || %s)', entity);
    END IF;
    condition := raxx_detect.is_entity(entity, m.compared);
    IF finding.unit = 'denials of elevated permissions' THEN
        m.patterns := raxx_detect.like_patterns(rule.params -> 'elevated');
        condition := format('%s AND t.%I::text COLLATE "C" LIKE ANY ($4)', condition, value_column);
        m.of := format('%s, %s one of the elevated', m.of, rule.params ->> 'value');
    END IF;
    condition := condition || raxx_detect.filter_condition(rule, binding);
    IF rule.params ?| '{excluded_causes,deploy_margin}' THEN
        condition := format('%s AND %s', condition, raxx_detect.unexplained_restart(rule, binding, now()));
        m.of := format('%s, without what is explained', m.of);
    END IF;
    -- Of a text of any length what it is told apart by will do.
    m.value := format('CASE WHEN %s THEN %s END', condition,
        CASE WHEN of_distinct THEN format('raxx_detect.bounded_entity(raxx_detect.text_of(t.%I)) COLLATE "C"', value_column) ELSE '1' END);
    m.summed_up := CASE WHEN of_distinct THEN 'count(DISTINCT r.value)' ELSE 'count(r.value)' END;
    IF of_distinct THEN
        m.of := format('distinct values of %s in %s', rule.params ->> 'value', m.of);
    END IF;
    RETURN m;
END $$;
COMMENT ON FUNCTION raxx_detect.measure_of_bursts(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.detection_findings) IS
'Methods velocity, spike, distinct and distinct + velocity: the rows, or distinct values, of the finding''s entity, by the condition whose unit it has; of a mix those of the entity that rose most. NULL where none is named.';

CREATE FUNCTION raxx_detect.measure_of(rule raxx_detect.rules, binding raxx_detect.source_bindings, finding raxx_detect.detection_findings)
RETURNS raxx_detect.series_measure LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m raxx_detect.series_measure;
    is_shape boolean := strpos(finding.entity, '@') > 0;
    value_column name;
BEGIN
    m.unit := finding.unit;
    m.compared := finding.entity;
    m.summed_up := 'count(r.value)';
    IF rule.method IN ('velocity', 'spike', 'distinct', 'distinct + velocity') THEN
        RETURN raxx_detect.measure_of_bursts(rule, binding, finding);
    ELSIF rule.method = 'pattern' THEN
        m.value := format('CASE WHEN %s THEN 1 END', raxx_detect.is_entity(format(
            CASE WHEN is_shape THEN '(SELECT p.shape || ''@'' || p.registrable_domain FROM raxx_detect.email_pattern(t.%I::text) p)'
                 ELSE '(raxx_detect.email_pattern(t.%I::text)).registrable_domain' END,
            raxx_detect.role_column(binding, rule.params ->> 'email')), finding.entity));
        m.of := format('rows of %s with %s of this %s', binding.source, rule.params ->> 'email', CASE WHEN is_shape THEN 'shape' ELSE 'domain' END);
    ELSIF rule.method = 'ratio' THEN
        value_column := raxx_detect.role_column(binding, rule.params ->> 'value');
        m.compared := rule.params ->> 'failure';
        m.value := format('CASE WHEN t.%I::text COLLATE "C" = $3 THEN 1 END', value_column);
        m.population := format('t.%I IS NOT NULL', value_column);
        m.of := format('rows of %s with %s %s', binding.source, rule.params ->> 'value', rule.params ->> 'failure');
    ELSIF rule.method = 'gap' THEN
        m.value := '1';
        m.unit := (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
        m.of := format('rows of %s', binding.source);
    ELSIF rule.method = 'quantile' THEN
        m.value := format('CASE WHEN %1$s AND abs(%2$s) <= 1e300 THEN %2$s END',
            raxx_detect.is_entity(raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity'), finding.entity),
            raxx_detect.exact_number(binding, rule.params ->> 'value'));
        m.summed_up := 'CASE WHEN abs(avg(r.value)) < 1e-300 THEN 0 ELSE avg(r.value)::float8 END';
        m.of := format('average %s in rows of %s with this %s', rule.params ->> 'value', binding.source, rule.params ->> 'entity');
    END IF;
    RETURN m;
END $$;
COMMENT ON FUNCTION raxx_detect.measure_of(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.detection_findings) IS
'What the series of a finding shows, by the expressions that the rule''s evaluator goes by; its value is NULL for a method that has no series of rows.';

-- ---- reading ------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.read_series(binding raxx_detect.source_bindings, frame raxx_detect.series_frame, m raxx_detect.series_measure,
    OUT series float8[], OUT populations bigint[])
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_sort = off AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := 50000;
    event_time name := raxx_detect.time_column(binding);
    from_time timestamptz := frame.starts + frame.shift;
    rows_read bigint;
BEGIN
    EXECUTE format(
        'SELECT array_agg(coalesce(s.value, %6$s) ORDER BY i), array_agg(coalesce(s.population, 0) ORDER BY i), coalesce(sum(s.rows), 0)
         FROM generate_series(0, $6 - 1) i
         LEFT JOIN (SELECT r.bucket, %5$s AS value, count(*) FILTER (WHERE r.is_of_population) AS population, count(*) AS rows
                    FROM (SELECT date_bin($5, t.%1$I, $1) AS bucket, %3$s AS value, %4$s AS is_of_population
                          FROM %2$s t WHERE t.%1$I >= $1 AND t.%1$I < $2 ORDER BY t.%1$I LIMIT $7) r
                    GROUP BY r.bucket) s ON s.bucket = $1 + i * $5',
        event_time, binding.relation, m.value, coalesce(m.population, 'false'), m.summed_up,
        CASE WHEN m.summed_up LIKE 'count(%' THEN '0' ELSE 'NULL' END)
    INTO series, populations, rows_read
    USING from_time, from_time + frame.buckets * frame.bucket, m.compared, m.patterns, frame.bucket, frame.buckets, most + 1;
    IF rows_read > most THEN
        series := NULL;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.read_series(raxx_detect.source_bindings, raxx_detect.series_frame, raxx_detect.series_measure) IS
'What is in each bucket of a frame, and how many rows of the population; the series is NULL if there are more than 50000 rows of the relation in the frame, since no more are read.';

CREATE FUNCTION raxx_detect.can_read_series(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deploys raxx_detect.source_bindings;
BEGIN
    IF rule.params ? 'deploy_margin' THEN
        deploys := raxx_detect.other_binding(rule, 'deploy_events');
    END IF;
    RETURN raxx_detect.has_time_order(binding.relation, raxx_detect.time_column(binding))
           AND (deploys.source IS NULL OR raxx_detect.has_time_order(deploys.relation, raxx_detect.time_column(deploys)));
END $$;
COMMENT ON FUNCTION raxx_detect.can_read_series(raxx_detect.rules, raxx_detect.source_bindings) IS
'Whether the rows of a short time can be read without reading all: those of the source, and the deploys that explain them.';

-- ---- what is usual ------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.usual_cadence(rule raxx_detect.rules, binding raxx_detect.source_bindings, frame raxx_detect.series_frame) RETURNS float8[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (WITH known AS MATERIALIZED (
        SELECT raxx_detect.rule_time_zone(rule) AS zone, extract(epoch FROM (rule.params ->> 'baseline_gap')::interval)::float8 AS cell,
               ARRAY(SELECT d::int FROM jsonb_array_elements_text(rule.params -> 'business_days') d) AS business_days,
               raxx_detect.judging_day(rule, binding, frame.mark_from) AS day, least(frame.bucket, interval '1 hour') AS piece
    ), rates AS MATERIALIZED (
        SELECT extract(isodow FROM b.day)::int = ANY (k.business_days) AS is_business, h.hour::int - 1 AS hour,
               sum(h.rows)::float8 / nullif(sum(h.cells), 0) AS rate
        FROM known k CROSS JOIN raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.rows, b.exposure) WITH ORDINALITY h(rows, cells, hour)
        WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity IS NULL AND b.day < k.day
          AND b.day >= raxx_detect.baseline_first_day(rule, binding.source, k.day)
        GROUP BY 1, 2
    ), buckets AS (
        SELECT i, round(sum(r.rate * extract(epoch FROM k.piece)::float8 / k.cell)::numeric, 3)::float8 AS rows
        FROM known k CROSS JOIN generate_series(0, frame.buckets - 1) i
        CROSS JOIN LATERAL (SELECT timezone(k.zone, at) AS local
                            FROM generate_series(frame.starts + i * frame.bucket, frame.starts + (i + 1) * frame.bucket - interval '1 microsecond', k.piece) at) p
        LEFT JOIN rates r ON r.hour = extract(hour FROM p.local)::int AND r.is_business = (extract(isodow FROM p.local)::int = ANY (k.business_days))
        GROUP BY i
    )
    SELECT array_agg(b.rows ORDER BY b.i) FROM buckets b HAVING count(b.rows) > 0);
END $$;
COMMENT ON FUNCTION raxx_detect.usual_cadence(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.series_frame) IS
'How many rows of an audit log each bucket usually has: by the hours of the clock that it lies in, each as it was on the days of its kind, business days or others, in the baseline that judged the silence. NULL if there is none, or none any more.';

CREATE FUNCTION raxx_detect.usual_series(rule raxx_detect.rules, binding raxx_detect.source_bindings, finding raxx_detect.detection_findings,
    frame raxx_detect.series_frame, m raxx_detect.series_measure, populations bigint[]) RETURNS float8[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    baseline jsonb := finding.evidence -> 'baseline';
    level float8;
BEGIN
    IF rule.method = 'gap' THEN
        RETURN raxx_detect.usual_cadence(rule, binding, frame);
    ELSIF rule.method = 'ratio' THEN
        RETURN (SELECT array_agg(round((p * (baseline ->> 'share')::float8)::numeric, 3)::float8 ORDER BY i) FROM unnest(populations) WITH ORDINALITY u(p, i)
                WHERE baseline ->> 'share' IS NOT NULL);
    ELSIF finding.evidence -> 'conditions' ? 'mix' THEN
        level := (raxx_detect.most_risen(finding)).expected / 24 * frame.windows;
    ELSIF finding.fired_by <> 'baseline' THEN
        RETURN NULL;
    ELSIF rule.method = 'quantile' THEN
        level := (baseline ->> 'median')::float8;
    ELSIF m.summed_up = 'count(r.value)' OR frame.windows = 1 THEN  -- distinct values do not add up
        level := (baseline ->> 'mean')::float8 * frame.windows;
    END IF;
    RETURN CASE WHEN level IS NOT NULL THEN array_fill(round(level::numeric, 6)::float8, ARRAY[frame.buckets]) END;
END $$;
COMMENT ON FUNCTION raxx_detect.usual_series(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.detection_findings, raxx_detect.series_frame, raxx_detect.series_measure, bigint[]) IS
'What each bucket usually is, by the baseline that the finding was judged by: the mean of a window, the median of points, the share of failures, the cadence. NULL where none judged it.';

-- ---- series without reading ---------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.series_of_hours(source text, finding raxx_detect.detection_findings, mark_from timestamptz, mark_to timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    starts timestamptz := raxx_detect.hour_of(mark_from) - interval '24 hours';
    counted tstzrange;
    hours int;
    counts jsonb;
    usual jsonb;
BEGIN
    SELECT tstzrange(w.counted_from, w.counted_to) INTO counted FROM raxx_detect.sweeps w WHERE w.source = source AND w.counted_to > w.counted_from;
    IF (counted @> mark_from) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    hours := least(48, extract(epoch FROM upper(counted) - starts) / 3600);
    SELECT jsonb_agg(CASE WHEN counted @> h.hour THEN coalesce(c.rows, 0) END ORDER BY h.hour),
           jsonb_agg(CASE WHEN counted @> h.hour THEN coalesce(c.rows + c.gone, 0) END ORDER BY h.hour)
    INTO counts, usual
    FROM generate_series(0, hours - 1) i CROSS JOIN LATERAL (SELECT starts + i * interval '1 hour' AS hour) h
    LEFT JOIN raxx_detect.hourly_counts c ON c.source = source AND c.hour = h.hour;
    RETURN jsonb_build_object('unit', (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = source), 'bucket_seconds', 3600,
        'from', raxx_detect.in_utc(starts), 'values', counts,
        'usual', CASE WHEN finding.evidence -> 'conditions' ? 'rows_gone' THEN usual END, 'limit', NULL,
        'mark_from', raxx_detect.in_utc(mark_from), 'mark_to', raxx_detect.in_utc(mark_to), 'of', format('rows of %s', source));
END $$;
COMMENT ON FUNCTION raxx_detect.series_of_hours(text, raxx_detect.detection_findings, timestamptz, timestamptz) IS
'A source''s rows per hour as they were last counted, from a day before the mark on; of rows that are gone, those that there were are the usual ones. NULL unless the hour in which the mark begins has been counted.';

CREATE FUNCTION raxx_detect.series_of_drift(rule raxx_detect.rules, binding raxx_detect.source_bindings, finding raxx_detect.detection_findings) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    onset timestamptz := lower(finding.episode);
    last_day date := timezone(raxx_detect.rule_time_zone(rule), onset - interval '1 microsecond')::date;
    days int;
    quantiles jsonb;
    usual float8 := (finding.evidence -> 'baseline' ->> 'quantile')::float8;
BEGIN
    SELECT last_day - min(b.day) + 1, jsonb_object_agg(b.day, raxx_detect.quantile(b.sketch, (rule.params ->> 'quantile')::float8)) INTO days, quantiles
    FROM raxx_detect.baselines b
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day < last_day AND b.day > last_day - 14
      AND b.entity IS NOT DISTINCT FROM CASE finding.evidence ->> 'measured_by' WHEN 'pg_stat_monitor' THEN 'pg_stat_monitor' END;
    IF days IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('unit', finding.unit, 'bucket_seconds', 86400, 'from', raxx_detect.in_utc(raxx_detect.day_starts(rule, last_day - days + 1)),
        'values', (SELECT jsonb_agg(CASE WHEN i = days THEN to_jsonb(finding.observed) ELSE quantiles -> (last_day - days + i)::text END ORDER BY i)
                   FROM generate_series(1, days) i),
        'usual', CASE WHEN usual IS NOT NULL THEN to_jsonb(array_fill(usual, ARRAY[days])) END, 'limit', finding.threshold,
        'mark_from', raxx_detect.in_utc(raxx_detect.before(onset, (rule.params ->> 'window')::interval)),
        'mark_to', raxx_detect.in_utc(upper(finding.episode)),
        'of', format('the %s quantile of statement times by day; the last is what was found', rule.params ->> 'quantile'));
END $$;
COMMENT ON FUNCTION raxx_detect.series_of_drift(raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.detection_findings) IS
'Method drift: the quantile of the days that the baseline keeps, and last, for the day of the verdict, what was observed. NULL if no day is kept.';

-- ---- the series ---------------------------------------------------------------------------------------------------

-- The settings say how times and numbers read, and let an index be used whatever the session has turned off.
CREATE FUNCTION raxx_detect.finding_series(finding raxx_detect.detection_findings) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_indexscan = on SET enable_indexonlyscan = on
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
DECLARE
    rule raxx_detect.rules;
    binding raxx_detect.source_bindings;
    frame raxx_detect.series_frame;
    m raxx_detect.series_measure;
    found_rows record;
    onset timestamptz := lower(finding.episode);
BEGIN
    SELECT r.* INTO rule FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id;
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = finding.source;
    -- Of a time that somebody forged there is nothing to show.
    IF rule.rule_id IS NULL OR binding.source IS NULL OR (onset BETWEEN '1970-01-01 00:00:00+00' AND '9998-01-01 00:00:00+00') IS NOT TRUE
       OR (raxx_detect.broken_binding(rule, binding)).problem IS NOT NULL THEN
        RETURN NULL;
    ELSIF finding.evidence -> 'conditions' ? 'rows_gone' THEN
        RETURN raxx_detect.series_of_hours(binding.source, finding, onset, upper(finding.episode));
    ELSIF rule.method = 'drift' THEN
        RETURN raxx_detect.series_of_drift(rule, binding, finding);
    ELSIF rule.method = 'gap' THEN
        frame := raxx_detect.frame_of_silence(rule, finding);
    ELSIF rule.method IN ('velocity', 'spike', 'distinct', 'distinct + velocity', 'pattern', 'ratio', 'quantile') THEN
        frame := raxx_detect.frame_of_bursts(rule, finding);
    END IF;
    IF frame.buckets IS NULL THEN
        RETURN NULL;
    END IF;
    IF raxx_detect.can_read_series(rule, binding) THEN
        m := raxx_detect.measure_of(rule, binding, finding);
        IF m.value IS NULL THEN
            RETURN NULL;
        END IF;
        found_rows := raxx_detect.read_series(binding, frame, m);
        IF found_rows.series IS NOT NULL THEN
            RETURN jsonb_build_object('unit', m.unit, 'bucket_seconds', trim_scale(extract(epoch FROM frame.bucket)),
                'from', raxx_detect.in_utc(frame.starts), 'values', found_rows.series,
                'usual', raxx_detect.usual_series(rule, binding, finding, frame, m, found_rows.populations),
                'limit', CASE WHEN frame.windows = 1 AND abs(finding.threshold) < 'Infinity' AND NOT finding.evidence -> 'conditions' ?| '{mix,day}'
                    THEN finding.threshold END,
                'mark_from', raxx_detect.in_utc(frame.mark_from), 'mark_to', raxx_detect.in_utc(frame.mark_to), 'of', m.of);
        END IF;
    END IF;
    RETURN CASE WHEN rule.method <> 'quantile' THEN raxx_detect.series_of_hours(binding.source, finding, frame.mark_from, frame.mark_to) END;
END $$;
COMMENT ON FUNCTION raxx_detect.finding_series(raxx_detect.detection_findings) IS
'The series of a finding for its picture, as {"unit", "bucket_seconds", "from", "values", "usual", "limit", "mark_from", "mark_to", "of"}; NULL where there is none to give: methods benford, unmatched and chain, a source that is not bound or whose relation or columns are gone, a time that nobody can have meant. Bursts, shares and points: buckets of the rule''s window, of which one ends where the episode begins (of an episode that lasts, several windows each, without a limit). Silences: rows of the source. Drift: a value a day. Values are those of the rows as they are now; null: unknown, or nothing measured. usual and limit are null where there is none in the unit of a bucket; mark_to is null while it lasts. Reads at most 48 buckets, 14 days and 50000 rows, and only where an index gives them in the order of time; else the series is the source''s hourly counts, if those reach so far, and NULL for measured points. The same whatever the session''s settings. Raises 42501 if the caller may not read the source, and what reading it raises (a foreign server that is away, a view''s own errors): the caller of this function decides what a picture is worth.';
