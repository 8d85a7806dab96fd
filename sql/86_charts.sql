-- What the page of 86_report.sql is made of: text, tables and charts as HTML. Whatever comes out of a table may have been written
-- by an attacker, and goes through raxx_detect.html; nothing else makes text HTML.

CREATE FUNCTION raxx_detect.html(hostile text, most int DEFAULT 600) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE
            WHEN e.escaped ~ '^[ -~]*$' THEN e.escaped
            -- By number, so that the page is the same bytes in any encoding.
            WHEN getdatabaseencoding() = 'UTF8'
            THEN (SELECT string_agg(CASE WHEN c.letter ~ '^[ -~]$' THEN c.letter ELSE format('&#%s;', ascii(c.letter)) END, '' ORDER BY c.place)
                  FROM regexp_split_to_table(e.escaped, '') WITH ORDINALITY c(letter, place))
            WHEN getdatabaseencoding() = 'SQL_ASCII' THEN regexp_replace(e.escaped, '[^ -~]', '?', 'g')
            ELSE e.escaped END
        FROM (SELECT replace(replace(replace(replace(replace(raxx_detect.one_line(hostile, most), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;') AS escaped) e
    );
END $$;
COMMENT ON FUNCTION raxx_detect.html(text, int) IS
'A text that anybody may have written, for HTML: for an element''s text and for an attribute in quotes. One line, harmless and cut (raxx_detect.one_line), its markup escaped; in a UTF-8 database what is not ASCII is a reference by number. NULL for NULL.';

CREATE FUNCTION raxx_detect.html_time(at timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN at BETWEEN '0001-01-01 00:00:00+00' AND '9998-12-31 00:00:00+00'
                THEN format('<time datetime="%s">%s</time>', raxx_detect.in_utc(at), to_char(timezone('UTC', at), 'Dy FMDD Mon YYYY, HH24:MI "UTC"')) ELSE '&ndash;' END;
END $$;
COMMENT ON FUNCTION raxx_detect.html_time(timestamptz) IS 'A time for HTML, in UTC, to the minute; a dash for NULL, infinity, and what cannot be meant.';

CREATE FUNCTION raxx_detect.html_more(total bigint, shown int, see text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN total > shown THEN format('<p class="more">and %s more: <code>%s</code></p>', total - shown, raxx_detect.html(see)) ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.html_more(bigint, int, text) IS 'Says how many are left out, and where they are; nothing if none are.';

CREATE FUNCTION raxx_detect.html_breaking(hostile text, most int) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN hostile ~ ' ' THEN raxx_detect.html(hostile, most) ELSE replace(raxx_detect.html(hostile, most), '_', '_<wbr>') END;
END $$;
COMMENT ON FUNCTION raxx_detect.html_breaking(text, int) IS 'As raxx_detect.html; an identifier may be broken after each underscore.';

CREATE FUNCTION raxx_detect.html_table(header text[], cells jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('<table><thead><tr>%s</tr></thead><tbody>%s</tbody></table>',
        (SELECT string_agg(format('<th scope="col">%s</th>', raxx_detect.html(h.title)), '' ORDER BY h.place) FROM unnest(header) WITH ORDINALITY h(title, place)),
        (SELECT string_agg(format('<tr>%s</tr>', (
             -- Told apart by their type: a text may be any word.
             SELECT string_agg(format('<td data-label="%s"%s>%s</td>', raxx_detect.html(header[c.place]), CASE WHEN jsonb_typeof(c.value) = 'object' AND c.value ? 'bad' THEN ' class="is-bad"' ELSE '' END,
                 CASE WHEN jsonb_typeof(c.value) <> 'object' THEN coalesce(raxx_detect.html_breaking(c.value #>> '{}', 400), '&ndash;')
                      WHEN c.value ? 'time' THEN raxx_detect.html_time((c.value ->> 'time')::timestamptz)
                      ELSE coalesce(raxx_detect.html_breaking(c.value ->> 'bad', 400), '&ndash;') END), '' ORDER BY c.place)
             FROM jsonb_array_elements(r.value) WITH ORDINALITY c(value, place))), '' ORDER BY r.place)
         FROM jsonb_array_elements(cells) WITH ORDINALITY r(value, place)))
    WHERE jsonb_array_length(cells) > 0
$$;
COMMENT ON FUNCTION raxx_detect.html_table(text[], jsonb) IS 'A table: cells is an array of rows, each an array of texts, {"time": ...}, or {"bad": text} for what somebody should see; all of it is escaped here. NULL if there are no rows.';

-- ---- charts -------------------------------------------------------------------------------------------------------

CREATE TYPE raxx_detect.chart_frame AS (
    numbers numeric[],
    usual numeric[],
    max_value numeric,
    low numeric,
    high numeric,
    limit_at numeric,
    bucket_seconds float8,
    starts timestamptz,
    mark_from float8,
    mark_to float8
);
COMMENT ON TYPE raxx_detect.chart_frame IS 'A series as it is drawn: its numbers, what is usual, the span from low to high, and where the mark is, in buckets. Numeric, in which nothing overflows and nothing underflows.';

CREATE FUNCTION raxx_detect.chart_of(series jsonb) RETURNS raxx_detect.chart_frame
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c raxx_detect.chart_frame;
BEGIN
    c.numbers := (raxx_detect.series_numbers(series -> 'values'))[1:200];
    c.usual := (raxx_detect.series_numbers(series -> 'usual'))[1:200];
    c.limit_at := (raxx_detect.series_numbers(jsonb_build_array(series -> 'limit')))[1];
    c.bucket_seconds := (series ->> 'bucket_seconds')::float8;
    c.starts := (series ->> 'from')::timestamptz;
    SELECT max(n), least(min(n), 0) INTO c.max_value, c.low FROM unnest(c.numbers) n;
    IF c.max_value IS NULL OR c.starts IS NULL OR (c.bucket_seconds > 0) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    c.low := least(c.low, (SELECT min(u) FROM unnest(c.usual) u), c.limit_at);
    c.high := greatest(c.max_value, (SELECT max(u) FROM unnest(c.usual) u), c.limit_at, c.low);
    -- Room above; and of what is all the same, something to divide by.
    c.high := c.high + CASE WHEN c.high > c.low THEN (c.high - c.low) * 0.16 ELSE 1 END;
    c.mark_from := extract(epoch FROM (series ->> 'mark_from')::timestamptz - c.starts) / c.bucket_seconds;
    c.mark_to := extract(epoch FROM (series ->> 'mark_to')::timestamptz - c.starts) / c.bucket_seconds;
    RETURN c;
END $$;
COMMENT ON FUNCTION raxx_detect.chart_of(jsonb) IS 'How a series (raxx_detect.finding_series) is drawn; NULL if there is nothing to draw.';

CREATE FUNCTION raxx_detect.chart_height(c raxx_detect.chart_frame, value numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN trim_scale(round(100 * (value - c.low) / (c.high - c.low), 1));
END $$;
COMMENT ON FUNCTION raxx_detect.chart_height(raxx_detect.chart_frame, numeric) IS 'How high a value is in a chart, in per cent.';

CREATE FUNCTION raxx_detect.chart_shapes(c raxx_detect.chart_frame) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH bars AS (
        SELECT b.place - 1 AS place, b.value, coalesce(c.mark_from < b.place AND (c.mark_to IS NULL OR greatest(c.mark_to, c.mark_from + 0.01) > b.place - 1), false) AS marked,
               raxx_detect.chart_height(c, greatest(c.low, 0)) AS zero,
               CASE WHEN b.value > 0 THEN greatest(raxx_detect.chart_height(c, b.value), raxx_detect.chart_height(c, greatest(c.low, 0)) + 1) ELSE raxx_detect.chart_height(c, b.value) END AS height
        FROM unnest(c.numbers) WITH ORDINALITY b(value, place)
    ), mark AS (
        SELECT greatest(c.mark_from, 0) AS from_bucket, least(coalesce(c.mark_to, cardinality(c.numbers)), cardinality(c.numbers)) AS to_bucket
        WHERE c.mark_from < cardinality(c.numbers) AND coalesce(c.mark_to, 1) >= 0
    )
    SELECT concat(
        (SELECT format('<rect class="mark" x="%s" y="0" width="%s" height="100"/>', trim_scale(round(10 * m.from_bucket::numeric, 1)), trim_scale(round(greatest(10 * (m.to_bucket - m.from_bucket), 2)::numeric, 1))) FROM mark m),
        (SELECT format('<path class="unknown" d="%s"/>', string_agg(format('M%s 0h10v100h-10z', 10 * b.place), '' ORDER BY b.place)) FROM bars b WHERE b.value IS NULL HAVING count(*) > 0),
        (SELECT string_agg(format('<path class="%s" d="%s"/>', CASE WHEN d.marked THEN 'hit' ELSE 'bar' END, d.shapes), '' ORDER BY d.marked)
         FROM (SELECT b.marked, string_agg(format('M%s %sV%sh8V%sz', 10 * b.place + 1, 100 - b.zero, 100 - b.height, 100 - b.zero), '' ORDER BY b.place) AS shapes
               FROM bars b WHERE b.value <> 0 GROUP BY b.marked) d),
        (SELECT format('<path class="usual" d="%s"/>', string_agg(format('%s%s %sh10', CASE WHEN u.joined THEN 'L' ELSE 'M' END, 10 * (u.place - 1), 100 - raxx_detect.chart_height(c, u.value)), '' ORDER BY u.place))
         FROM (SELECT x.value, x.place, lag(x.value) OVER (ORDER BY x.place) IS NOT NULL AS joined FROM unnest(c.usual) WITH ORDINALITY x(value, place)) u
         WHERE u.value IS NOT NULL HAVING count(*) > 0),
        CASE WHEN c.limit_at IS NOT NULL THEN format('<path class="limit" d="M0 %sH%s"/>', 100 - raxx_detect.chart_height(c, c.limit_at), 10 * cardinality(c.numbers)) END)
$$;
COMMENT ON FUNCTION raxx_detect.chart_shapes(raxx_detect.chart_frame) IS 'The inside of the picture: ten units a bucket wide, a hundred high.';

CREATE FUNCTION raxx_detect.chart_words(series jsonb, c raxx_detect.chart_frame) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN concat(format('%s, per %s', coalesce(nullif(raxx_detect.one_line(series ->> 'of', 280), ''), raxx_detect.one_line(series ->> 'unit', 80)),
               regexp_replace(raxx_detect.in_words(make_interval(secs => c.bucket_seconds)), '^1 (?=[a-z]+$)', '')),
           format('; the most %s', raxx_detect.in_figures(c.max_value)),
           CASE WHEN c.usual IS NOT NULL THEN '; line: what is usual' END, '; dashed: the limit, ' || raxx_detect.in_figures(c.limit_at),
           CASE WHEN c.mark_from IS NOT NULL THEN '; shaded: the finding' END, CASE WHEN array_position(c.numbers, NULL) IS NOT NULL THEN '; grey: not known' END);
END $$;
COMMENT ON FUNCTION raxx_detect.chart_words(jsonb, raxx_detect.chart_frame) IS 'What a chart shows, in words.';

CREATE FUNCTION raxx_detect.html_chart(series jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c raxx_detect.chart_frame := raxx_detect.chart_of(series);
    words text;
    ends timestamptz;
    limit_height numeric;
BEGIN
    IF c.numbers IS NULL THEN
        RETURN CASE WHEN series ? 'error' THEN format('<p class="more">No chart: %s</p>', raxx_detect.html(series ->> 'error', 200)) END;
    END IF;
    words := raxx_detect.html(raxx_detect.chart_words(series, c));
    ends := c.starts + make_interval(secs => c.bucket_seconds * cardinality(c.numbers));
    limit_height := raxx_detect.chart_height(c, c.limit_at);
    RETURN format('<figure><div class="plot"><span class="top" style="bottom:%s%%">%s</span><span class="zero">%s</span><svg viewBox="0 0 %s 100" preserveAspectRatio="none" role="img" aria-label="%s">%s</svg>%s</div>'
               || '<div class="axis"><span>%s</span><span>%s UTC</span></div><figcaption>%s</figcaption></figure>',
        raxx_detect.chart_height(c, c.max_value), raxx_detect.html(raxx_detect.in_figures(c.max_value)), CASE WHEN c.low = 0 THEN '0' ELSE raxx_detect.html(raxx_detect.in_figures(c.low)) END,
        10 * cardinality(c.numbers), words, raxx_detect.chart_shapes(c),
        CASE WHEN c.limit_at IS NULL THEN '' ELSE format('<span class="limit %s" style="bottom:%s%%">limit %s</span>', CASE WHEN limit_height > 80 THEN 'below' ELSE 'above' END, limit_height, raxx_detect.in_figures(c.limit_at)) END,
        to_char(timezone('UTC', c.starts), 'FMDD Mon HH24:MI'), to_char(timezone('UTC', ends), 'FMDD Mon HH24:MI'), words);
END $$;
COMMENT ON FUNCTION raxx_detect.html_chart(jsonb) IS
'A series (raxx_detect.finding_series) as a figure: bars of what was counted, the finding shaded, a line of what is usual, the limit dashed. Inline SVG without a script; its labels are HTML, so that they stay readable at any width. What kept the series from being had, if that is what it says; NULL if there is nothing to draw.';

CREATE FUNCTION raxx_detect.source_series(source text, at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS (
        SELECT s.counted_from, least(s.counted_to, raxx_detect.hour_of(at)) AS ends FROM raxx_detect.sweeps s WHERE s.source = source_series.source
    ), hours AS (
        SELECT h.hour, h.hour >= c.counted_from AS known, coalesce(n.rows, 0) AS rows,
               (SELECT round(sum(coalesce(o.rows, 0)) / nullif(count(*) FILTER (WHERE d.hour >= c.counted_from), 0), 2)
                FROM (SELECT h.hour - i * interval '24 hours' AS hour FROM generate_series(1, 7) i) d
                LEFT JOIN raxx_detect.hourly_counts o ON o.source = source_series.source AND o.hour = d.hour) AS usual
        FROM counted c CROSS JOIN LATERAL generate_series(c.ends - interval '48 hours', c.ends - interval '1 hour', interval '1 hour') h(hour)
        LEFT JOIN raxx_detect.hourly_counts n ON n.source = source_series.source AND n.hour = h.hour
        WHERE c.ends > c.counted_from
    )
    SELECT jsonb_build_object('unit', k.rows_called, 'bucket_seconds', 3600, 'from', raxx_detect.in_utc(min(h.hour)), 'of', format('rows of %s', k.source),
        'values', jsonb_agg(CASE WHEN h.known THEN h.rows END ORDER BY h.hour), 'usual', jsonb_agg(h.usual ORDER BY h.hour))
    FROM hours h CROSS JOIN raxx_detect.source_kinds k WHERE k.source = source_series.source GROUP BY k.source, k.rows_called
$$;
COMMENT ON FUNCTION raxx_detect.source_series(text, timestamptz) IS
'The rows per hour of a source in the two days before a time, as the sweep has counted them, and on average at that hour in the seven days before; in the form of raxx_detect.finding_series. NULL if none have been counted.';
