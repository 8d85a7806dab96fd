-- Views for people: findings a line each, what is open, and how things stand today. They write out what is in the tables and
-- store nothing. The little picture in them reads a source's rows, so it is made for those lines only that somebody looks at.

CREATE FUNCTION raxx_detect.one_line(hostile text, most int) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN length(line) <= most THEN line ELSE left(line, greatest(most - 3, 0)) || '...' END
        FROM (SELECT btrim(CASE WHEN getdatabaseencoding() = 'UTF8'
            THEN regexp_replace(regexp_replace(left(hostile, most + 1), E'[\\t\\n\\v\\f\\r\\u0085\\u2028\\u2029]', ' ', 'g'),
                E'[\\u0001-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u115f\\u1160\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164'
                '\\ufdd0-\\ufdef\\ufeff\\ufff9-\\ufffb\\ufffe\\uffff\\U000e0000-\\U000e0fff]', '?', 'g')
            ELSE regexp_replace(regexp_replace(left(hostile, most + 1), E'[\\t\\n\\v\\f\\r]', ' ', 'g'),
                -- Other encodings hold what is nothing in UTF-8, which a client could not get.
                CASE WHEN getdatabaseencoding() IN ('LATIN1', 'LATIN9') THEN E'[\\u0001-\\u001f\\u007f-\\u009f\\u00ad]' ELSE '[^ -~]' END, '?', 'g') END) AS line) clean
    );
END $$;
COMMENT ON FUNCTION raxx_detect.one_line(text, int) IS
'A text that anybody may have written as one harmless line, as raxx-notify makes it: line breaks and tabs are blanks; other control characters, what turns the direction of writing and what cannot be seen are question marks, and so is, in databases that are neither in UTF-8 nor in LATIN1 or LATIN9, what is not ASCII; what is beyond so many characters is cut and ends in three dots. NULL for NULL.';

-- ---- pictures of a line -------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.bars(heights float8[], width int DEFAULT 24) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The blocks are for those who can show them: what has no equivalent in the client's encoding is an error there.
    ladder CONSTANT text := CASE WHEN getdatabaseencoding() = 'UTF8' AND pg_client_encoding() = 'UTF8'
                                 THEN (SELECT string_agg(chr(9600 + i), '' ORDER BY i) FROM generate_series(1, 8) i) ELSE '_.:-=+*#' END;
BEGIN
    IF coalesce(width, 0) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a picture is from 1 to 1000 characters wide',
            DETAIL = format('The width is %s.', coalesce(width::text, 'NULL')), HINT = 'The default is 24.';
    END IF;
    RETURN (
        WITH merged AS (
            SELECT (b.place - 1) / ceil(cardinality(heights) / width::numeric)::int AS place,
                   max(CASE WHEN b.height <> 'NaN' THEN least(greatest(b.height, -1e300), 1e300) END)::numeric AS height  -- no overflow, no underflow
            FROM unnest(heights) WITH ORDINALITY b(height, place) GROUP BY 1
        ), span AS (
            SELECT least(min(m.height), 0) AS low, greatest(max(m.height), 0) AS high FROM merged m
        )
        SELECT string_agg(CASE WHEN m.height IS NULL THEN ' ' WHEN s.high = s.low THEN left(ladder, 1)
                               ELSE substr(ladder, 1 + ceil(7 * (m.height - s.low) / (s.high - s.low))::int, 1) END, '' ORDER BY m.place)
        FROM merged m, span s
    );
END $$;
COMMENT ON FUNCTION raxx_detect.bars(float8[], int) IS
'Numbers as a line of bars: eight heights from the least, or 0, to the highest; what is not the least is never drawn as low. A blank is NULL, or NaN. More numbers than the width are merged, the highest of each so many. In Unicode''s blocks where the database and the client speak UTF-8, else in _.:-=+*#. NULL for no numbers. Errors: 22023 a width that is not from 1 to 1000.';

CREATE FUNCTION raxx_detect.series_numbers(list jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT array_agg(CASE WHEN jsonb_typeof(e.value) = 'number' THEN e.value::float8 END ORDER BY e.place)
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(list) = 'array' THEN list ELSE '[]' END) WITH ORDINALITY e(value, place)
    );
END $$;
COMMENT ON FUNCTION raxx_detect.series_numbers(jsonb) IS 'The numbers of a series, NULL for what is none; NULL if there is no list.';

CREATE FUNCTION raxx_detect.sparkline(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.bars(raxx_detect.series_numbers(raxx_detect.series_or_null(finding) -> 'values'));
END $$;
COMMENT ON FUNCTION raxx_detect.sparkline(raxx_detect.detection_findings) IS
'The series of a finding (raxx_detect.finding_series) as a line of bars; NULL where there is none, or the caller may not read the source.';

-- ---- a finding in words -------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.amount_in_words(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN format('%s %s', CASE WHEN abs(finding.observed) < 'Infinity' THEN raxx_detect.in_figures(finding.observed) ELSE finding.observed::text END,
                  raxx_detect.one_line(finding.unit, 80))
           || CASE WHEN abs(finding.threshold) < 'Infinity' THEN format(' (limit %s)', raxx_detect.in_figures(finding.threshold)) ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.amount_in_words(raxx_detect.detection_findings) IS 'What was observed, and the limit: 60 sign-ups (limit 20).';

CREATE FUNCTION raxx_detect.length_in_words(finding raxx_detect.detection_findings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := coalesce(upper(finding.episode), at);
    seconds numeric;
BEGIN
    IF isfinite(lower(finding.episode)) AND until < '9999-01-01 00:00:00+00' THEN
        seconds := greatest(extract(epoch FROM until - lower(finding.episode)), 0);
        RETURN raxx_detect.in_words(make_interval(secs => seconds - mod(seconds, CASE WHEN seconds >= 86400 THEN 3600 WHEN seconds >= 3600 THEN 60 ELSE 1 END)))
               || CASE WHEN upper_inf(finding.episode) THEN ' so far' ELSE '' END;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.length_in_words(raxx_detect.detection_findings, timestamptz) IS 'How long a finding''s episode was, or has been at a time: 5 min 3 s, 2 h so far; without seconds from an hour on, and without minutes from a day on. NULL where its times cannot be meant.';

CREATE FUNCTION raxx_detect.state_in_words(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN concat_ws(', ', CASE finding.condition WHEN 'firing' THEN 'going on' WHEN 'cleared' THEN 'over' ELSE 'no data' END, finding.triage,
                     replace(finding.disposition, '_', ' '), CASE WHEN finding.exception_id IS NOT NULL THEN 'excepted' END);
END $$;
COMMENT ON FUNCTION raxx_detect.state_in_words(raxx_detect.detection_findings) IS 'How a finding stands: whether it goes on, and what people have made of it.';

-- ---- views ---------------------------------------------------------------------------------------------------------

CREATE VIEW raxx_detect.open_rows AS
SELECT d AS finding, d.finding_id, d.rule_id, d.severity, d.condition, d.detected_at FROM raxx_detect.detection_findings d
WHERE d.triage <> 'closed' AND d.exception_id IS NULL AND NOT raxx_detect.is_trial(d.rule_id);
COMMENT ON VIEW raxx_detect.open_rows IS 'The findings that somebody has to look at: nobody has closed them, no exception covers them, and their rule is no shadow; each as a row, and by what it is looked for.';

-- In both views the order is made first, and the rest of the line after it: with a LIMIT, of the lines that come out only.
CREATE VIEW raxx_detect.finding_summary AS
SELECT f.finding_id, f.severity, raxx_detect.one_line(r.title, 160) AS rule, raxx_detect.printable(raxx_detect.one_line(f.entity, 80)) AS entity,
       date_trunc('second', lower(f.episode)) AS began, raxx_detect.length_in_words(f, now()) AS lasted, raxx_detect.amount_in_words(f) AS observed,
       raxx_detect.state_in_words(f) AS state, raxx_detect.sparkline(f) AS sparkline, f.rule_id, f.detected_at
FROM (SELECT d.* FROM raxx_detect.detection_findings d ORDER BY d.finding_id DESC OFFSET 0) f
LEFT JOIN raxx_detect.rules r ON r.rule_id = f.rule_id;
COMMENT ON VIEW raxx_detect.finding_summary IS
'A line for each finding, the newest first, with a picture of what the rule counted around it. The picture costs a short read of the source for each line that is fetched: with many findings, take a LIMIT.';
COMMENT ON COLUMN raxx_detect.finding_summary.sparkline IS 'What the rule counted or measured, in up to 48 buckets: raxx_detect.finding_series. NULL where there is none, or the caller may not read the source.';

CREATE VIEW raxx_detect.open_findings AS
SELECT f.finding_id, f.severity, raxx_detect.one_line(r.title, 160) AS rule, raxx_detect.printable(raxx_detect.one_line(f.entity, 80)) AS entity,
       date_trunc('second', lower(f.episode)) AS began, raxx_detect.length_in_words(f, now()) AS lasted, raxx_detect.amount_in_words(f) AS observed,
       raxx_detect.state_in_words(f) AS state, raxx_detect.sparkline(f) AS sparkline, raxx_detect.one_line(f.summary, 600) AS summary,
       raxx_detect.one_line(split_part(r.runbook, E'\n', 1), 600) AS first_step, f.escalation_owner, f.rule_id, f.detected_at
FROM (SELECT (d.finding).* FROM raxx_detect.open_rows d ORDER BY d.severity DESC, d.finding_id DESC OFFSET 0) f
LEFT JOIN raxx_detect.rules r ON r.rule_id = f.rule_id;
COMMENT ON VIEW raxx_detect.open_findings IS
'What somebody has to look at: the findings that nobody has closed and no exception covers, the worst first, then the newest; each with what it says and the first step of its rule''s runbook. Best read with \x.';

CREATE FUNCTION raxx_detect.day_begins(at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT date_trunc('day', at, s.time_zone) FROM raxx_detect.notification_settings s
$$;
COMMENT ON FUNCTION raxx_detect.day_begins(timestamptz) IS 'When the day of a time began, on the clock of raxx_detect.notification_settings.';

CREATE FUNCTION raxx_detect.counts_by_severity(findings raxx_detect.severity[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(format('%s %s', c.n, c.severity), ', ' ORDER BY c.severity DESC), 'none')
    FROM (SELECT f.severity, count(*) AS n FROM unnest(findings) f(severity) GROUP BY f.severity) c
$$;
COMMENT ON FUNCTION raxx_detect.counts_by_severity(raxx_detect.severity[]) IS 'How many of each severity: 1 critical, 3 high; or none.';

CREATE FUNCTION raxx_detect.hushed(at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(h.what, h.rule, h.about, h.reason, h.by, jsonb_build_object('time', h.until)) ORDER BY h.what DESC, h.id), '[]')
    FROM (SELECT 'silence' AS what, s.silence_id AS id, coalesce(s.rule_id, 'any rule') AS rule, coalesce(raxx_detect.printable(s.entity), 'anybody') AS about, s.reason, s.created_by AS by, s.until
          FROM raxx_detect.silences s WHERE s.ended_at IS NULL AND s.starts_at <= at AND s.until > at
          UNION ALL
          SELECT 'exception', e.exception_id, e.rule_id, raxx_detect.printable(e.entity), e.reason, e.created_by, e.expires_at
          FROM raxx_detect.exceptions e WHERE e.ended_at IS NULL AND e.created_at <= at AND e.expires_at > at
          UNION ALL
          SELECT 'downgrade', d.downgrade_id, d.rule_id, format('told as %s instead of %s', d.severity_to, d.severity_from), d.reason, NULL, d.until
          FROM raxx_detect.downgrades d WHERE d.ended_at IS NULL AND d.began_at <= at AND d.until > at) h
$$;
COMMENT ON FUNCTION raxx_detect.hushed(timestamptz) IS
'What was not told at a time, or told more quietly than it was found: silences, exceptions and downgrades in force, as rows for raxx_detect.html_table (what, rule, about whom, reason, by whom, until).';

CREATE FUNCTION raxx_detect.today_now(OUT topic text, OUT fine boolean, OUT says text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET jit = off AS $$
    WITH day AS MATERIALIZED (
        SELECT raxx_detect.day_begins(now()) AS begins
    ), health AS MATERIALIZED (
        SELECT h.* FROM raxx_detect.health_now() h
    )
    SELECT 'open findings', count(*) = 0, raxx_detect.counts_by_severity(array_agg(f.severity)) FROM raxx_detect.open_rows f
    UNION ALL
    SELECT 'going on', count(*) = 0, coalesce(string_agg(format('%s %s', f.rule_id, raxx_detect.printable(raxx_detect.one_line((f.finding).entity, 80))), '; ' ORDER BY f.severity DESC, f.finding_id DESC)
           FILTER (WHERE f.place <= 5) || CASE WHEN count(*) > 5 THEN format('; and %s more', count(*) - 5) ELSE '' END, 'nothing')
    FROM (SELECT d.*, row_number() OVER (ORDER BY d.severity DESC, d.finding_id DESC) AS place FROM raxx_detect.open_rows d
          WHERE d.condition = 'firing') f
    UNION ALL
    SELECT 'found today', count(*) = 0, raxx_detect.counts_by_severity(array_agg(f.severity)) FROM raxx_detect.detection_findings f, day
    WHERE f.detected_at >= day.begins AND NOT raxx_detect.is_trial(f.rule_id)
    UNION ALL
    SELECT 'not told', CASE WHEN count(*) = 0 THEN true END, coalesce(string_agg(format('%s %s%s', q.n, q.what, CASE WHEN q.n = 1 THEN '' ELSE 's' END), ', ' ORDER BY q.what) || ' in force', 'nothing is silenced')
    FROM (SELECT h.value ->> 0 AS what, count(*) AS n FROM jsonb_array_elements(raxx_detect.hushed(now())) h GROUP BY 1) q
    UNION ALL
    SELECT 'rules that see', count(*) FILTER (WHERE NOT h.healthy) = 0,
           format('%s of %s', count(*) FILTER (WHERE h.healthy), count(*) FILTER (WHERE h.healthy IS NOT NULL))
           || coalesce('; not ' || string_agg(format('%s (%s)', h.rule_id, raxx_detect.one_line(h.reason, 200)), ', ' ORDER BY h.rule_id) FILTER (WHERE NOT h.healthy), '')
    FROM health h
    UNION ALL
    SELECT 'blind for', coalesce(max(h.blind_minutes), 0) = 0, coalesce(string_agg(format('%s %s min', h.rule_id, h.blind_minutes), ', ' ORDER BY h.blind_minutes DESC, h.rule_id), 'no minute of the last day')
    FROM health h WHERE h.healthy IS NOT NULL AND h.blind_minutes > 0
    UNION ALL
    SELECT 'last run', coalesce(h.last_run_at >= now() - raxx_detect.blind_after(), false), coalesce(raxx_detect.in_words(greatest(now() - h.last_run_at, interval '0')) || ' ago', 'never')
    FROM raxx_detect.heartbeat h
    UNION ALL
    SELECT 'sources', count(*) FILTER (WHERE s.missing IS NOT NULL) = 0,
           coalesce(string_agg(raxx_detect.one_line(s.missing, 200), '; ' ORDER BY s.source) FILTER (WHERE s.missing IS NOT NULL), format('%s bound, nothing missing', count(*)))
    FROM raxx_detect.sources_now() s WHERE s.bound
    UNION ALL
    SELECT 'messages', coalesce(sum(c.dead_last_day), 0) = 0 AND coalesce(min(c.oldest_pending) >= now() - interval '10 minutes', true),
           format('%s wait, %s were delivered and %s died in the last day', coalesce(sum(c.pending), 0), coalesce(sum(c.delivered_last_day), 0), coalesce(sum(c.dead_last_day), 0))
    FROM raxx_detect.channel_health c
    UNION ALL
    SELECT 'dormant rules', NULL, coalesce(string_agg(r.rule_id, ', ' ORDER BY r.number), 'none') FROM raxx_detect.rules r WHERE r.state = 'dormant'
$$;
COMMENT ON FUNCTION raxx_detect.today_now() IS 'What raxx_detect.today shows.';

CREATE VIEW raxx_detect.today AS SELECT * FROM raxx_detect.today_now();
COMMENT ON VIEW raxx_detect.today IS
'How things stand, in a few lines to read each morning: findings, what goes on, whether the rules see, sources, messages. The day is that of raxx_detect.notification_settings. Needs SELECT on the tables of this schema, and on the sources to say more of them than that they cannot be read.';
COMMENT ON COLUMN raxx_detect.today.fine IS 'False: somebody should look. NULL: nobody has to.';
