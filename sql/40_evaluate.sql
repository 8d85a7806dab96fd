-- The evaluators: one function for each method, from a rule and the relation bound to one of its sources to candidates.
--
-- Each returns the truth for (exact_from, as_of]; to know it, it reads as far back as its window reaches.

CREATE FUNCTION raxx_detect.text_of(value anyelement) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_text_of' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.text_of(anyelement) IS 'The text of a value, as its output function writes it: what makes two values the same entity. (A cast of an inet adds its mask.)';

CREATE FUNCTION raxx_detect.row_keys(number int, binding raxx_detect.source_bindings, period tstzrange, entity_expression text, entity text)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := binding.columns ->> 'event_time';
    key_columns name[];
    keys jsonb;
BEGIN
    IF number > 1000 THEN
        RETURN jsonb_build_object('relation', binding.relation::text, 'omitted', 'one of more than 1000 findings of a run');
    END IF;
    SELECT array_agg(a.attname ORDER BY k.position) INTO key_columns
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = binding.relation AND i.indisprimary
      AND has_column_privilege(i.indrelid, a.attnum, 'SELECT');
    EXECUTE format(
        'SELECT jsonb_agg(CASE WHEN length(k.row_key::text) <= 200 THEN k.row_key
                          ELSE to_jsonb(raxx_detect.bounded_entity(k.row_key::text)) END)
         FROM (SELECT jsonb_build_array(%s) AS row_key FROM %s t
               WHERE t.%I >= $1 AND t.%I < $2 AND %s ORDER BY t.%I, row_key LIMIT 20) k',
        coalesce((SELECT string_agg(format('t.%I', c), ', ') FROM unnest(key_columns) c), format('t.%I', event_time)),
        binding.relation, event_time, event_time, entity_expression, event_time)
    INTO keys USING lower(period), upper(period), entity;
    RETURN jsonb_build_object('relation', binding.relation::text,
        'key', coalesce(to_jsonb(key_columns), jsonb_build_array(event_time)), 'first_rows', coalesce(keys, '[]'));
END $$;
COMMENT ON FUNCTION raxx_detect.row_keys(int, raxx_detect.source_bindings, tstzrange, text, text) IS
'Evidence, for the first 1000 candidates of an evaluation (number), since each costs a look into the relation: the primary keys (without one, the times) of the first 20 rows in the period, of those for which the entity expression, made by an evaluator over the row t and the entity $3, holds.';

CREATE FUNCTION raxx_detect.before(instant timestamptz, length interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN instant < timestamptz '4000-01-01 00:00:00+00 BC' THEN '-infinity' ELSE instant - length END
$$;
COMMENT ON FUNCTION raxx_detect.before(timestamptz, interval) IS
'The instant a length (of at most 400 days) earlier, or -infinity near the beginning of time, where forged rows may lie.';

CREATE FUNCTION raxx_detect.window_up_to(instant timestamptz, window_length interval) RETURNS tstzrange
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT tstzrange(raxx_detect.before(instant, window_length) + interval '1 microsecond', instant + interval '1 microsecond')
$$;
COMMENT ON FUNCTION raxx_detect.window_up_to(timestamptz, interval) IS
'The window (instant - window_length, instant], whose rows made an episode begin: the evidence that no later row changes.';

CREATE FUNCTION raxx_detect.like_patterns(globs jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(replace(regexp_replace(glob, '([\\%_])', '\\\1', 'g'), '*', '%')), '{}') FROM jsonb_array_elements_text(globs) glob
$$;
COMMENT ON FUNCTION raxx_detect.like_patterns(jsonb) IS 'Globs such as *:admin as patterns for LIKE: * is any text, everything else itself.';

CREATE FUNCTION raxx_detect.role_column(binding raxx_detect.source_bindings, role text) RETURNS name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF binding.columns ->> role IS NULL AND role IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('no column plays the role %s of source %s', left(role, 100), binding.source),
            DETAIL = format('It is bound to %s with %s.', binding.relation, binding.columns),
            HINT = 'Bind it again with the role (raxx_detect.bind_source), or name another one (raxx_detect.set_params).';
    END IF;
    RETURN binding.columns ->> role;
END $$;
COMMENT ON FUNCTION raxx_detect.role_column(raxx_detect.source_bindings, text) IS 'The column that plays a role, NULL for no role; raises 42703 if none plays it.';

-- Bursts: velocity, distinct, and both.

CREATE FUNCTION raxx_detect.burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold_name text, severity raxx_detect.severity, unit text,
    globs jsonb DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> threshold_name)::bigint;
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT * FROM raxx_detect.episodes(method, binding.relation, binding.columns ->> 'event_time', entity_column,
            value_column, CASE WHEN globs IS NULL THEN NULL ELSE value_column END, raxx_detect.like_patterns(globs),
            window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        RETURN NEXT (e.entity, e.episode, severity, e.peak::float8, threshold::float8, unit, NULL::float8, 'threshold',
            e.sample_size, ARRAY[method],
            format('%s: %s %s within %s (threshold %s)', raxx_detect.printable(e.entity), e.peak, unit,
                raxx_detect.in_words(window_length), threshold),
            jsonb_build_object('window', window_length,
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                    format('raxx_detect.text_of(t.%I) = $3', entity_column), e.entity)),
            NULL::text)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, text, raxx_detect.severity, text, jsonb) IS
'Candidates of one burst condition: method velocity or distinct, its threshold in the named parameter, on rows whose value matches the globs, if any.';

CREATE FUNCTION raxx_detect.evaluate_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', 'threshold', rule.severity,
        (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source))
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method velocity: many rows of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'threshold', rule.severity,
        'distinct values of ' || (rule.params ->> 'value'))
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method distinct: many distinct values of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH conditions AS MATERIALIZED (
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', 'elevated_threshold',
            rule.severity, 'denials of elevated permissions', rule.params -> 'elevated')
        UNION ALL
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'distinct_threshold',
            'medium', 'distinct permissions denied')
    ), joined AS (  -- what overlaps is one episode
        SELECT entity, unnest(range_agg(episode)) AS episode FROM conditions GROUP BY entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, worst.threshold, worst.unit, worst.p_value, worst.fired_by,
           worst.sample_size, ARRAY(SELECT DISTINCT unnest(c.conditions) FROM conditions c
               WHERE c.entity = j.entity AND c.episode && j.episode ORDER BY 1), worst.summary,
           (SELECT c.evidence FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
            ORDER BY lower(c.episode), c.severity DESC LIMIT 1), worst.verdict
    FROM joined j CROSS JOIN LATERAL (
        SELECT c.* FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
        ORDER BY c.severity DESC, c.observed DESC, c.sample_size DESC, lower(c.episode) LIMIT 1) worst
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct + velocity: elevated_threshold rows whose value matches elevated, at the rule''s severity, or distinct_threshold distinct values, at medium. Overlapping episodes of an entity are one, told by its worst condition.';

-- Patterns in e-mail addresses.

CREATE TABLE raxx_detect.free_mail_domains (domain text PRIMARY KEY);
COMMENT ON TABLE raxx_detect.free_mail_domains IS 'Registrable domains at which strangers have mailboxes: sharing one says nothing, so the shape of the local part is judged there. Add to it freely.';
INSERT INTO raxx_detect.free_mail_domains
SELECT unnest('{gmail.com,googlemail.com,outlook.com,outlook.de,outlook.fr,outlook.es,hotmail.com,hotmail.co.uk,hotmail.fr,hotmail.de,
hotmail.it,hotmail.es,live.com,live.co.uk,live.fr,live.nl,msn.com,yahoo.com,yahoo.co.uk,yahoo.co.in,yahoo.co.jp,yahoo.fr,yahoo.de,yahoo.it,
yahoo.es,yahoo.com.br,yahoo.ca,ymail.com,rocketmail.com,icloud.com,me.com,mac.com,aol.com,proton.me,protonmail.com,pm.me,gmx.de,gmx.net,
gmx.at,gmx.ch,gmx.com,web.de,t-online.de,freenet.de,mail.com,mail.ru,yandex.ru,yandex.com,ya.ru,bk.ru,inbox.ru,list.ru,rambler.ru,
qq.com,163.com,126.com,sina.com,foxmail.com,naver.com,daum.net,hanmail.net,zoho.com,zohomail.com,fastmail.com,hey.com,tutanota.com,
tuta.com,tuta.io,hushmail.com,mailbox.org,posteo.de,libero.it,virgilio.it,orange.fr,wanadoo.fr,free.fr,laposte.net,sfr.fr,
seznam.cz,wp.pl,o2.pl,onet.pl,interia.pl,ukr.net,abv.bg,comcast.net,verizon.net,att.net,sbcglobal.net,bellsouth.net,cox.net,
charter.net,btinternet.com,sky.com,virginmedia.com,talktalk.net,ziggo.nl,kpnmail.nl,telenet.be,skynet.be,bluewin.ch,
uol.com.br,bol.com.br,terra.com.br,rediffmail.com,bigpond.com,optusnet.com.au,xtra.co.nz,shaw.ca,rogers.com,sympatico.ca}'::text[]);

CREATE FUNCTION raxx_detect.shape_share(binding raxx_detect.source_bindings, email_column name, entity text,
    before timestamptz, history interval, OUT share float8, OUT history_size bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    event_time name := binding.columns ->> 'event_time';
    sharing bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FILTER (WHERE p.shape || ''@'' || p.registrable_domain = $3), count(*)
         FROM %2$s t CROSS JOIN LATERAL raxx_detect.email_pattern(t.%3$I::text) p
         WHERE t.%1$I >= raxx_detect.before($1, $2) AND t.%1$I < $1 AND t.%3$I IS NOT NULL',
        event_time, binding.relation, email_column)
    INTO sharing, history_size USING before, history, entity;
    share := (sharing + 1)::float8 / (history_size + 2);
END $$;
COMMENT ON FUNCTION raxx_detect.shape_share(raxx_detect.source_bindings, name, text, timestamptz, interval) IS
'The share (k0 + 1) / (n0 + 2) that a shape had of the sign-ups in the history before an instant (Laplace''s rule of succession), and n0.';

CREATE FUNCTION raxx_detect.surprising_shape(binding raxx_detect.source_bindings, email_column name, entity text,
    episode tstzrange, window_length interval, threshold bigint, history interval, tail float8,
    exact_from timestamptz, as_of timestamptz, goes_on boolean,
    OUT onset timestamptz, OUT observed bigint, OUT p_value float8, OUT share float8, OUT history_size bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    EXECUTE format(
        'WITH instants AS (
             SELECT t.%1$I AS at, count(*) AS n, count(*) FILTER (WHERE p.shape || ''@'' || p.registrable_domain = $1) AS k
             FROM %2$s t CROSS JOIN LATERAL raxx_detect.email_pattern(t.%3$I::text) p
             WHERE t.%1$I > raxx_detect.before(lower($2), $3) AND t.%1$I < upper($2) AND t.%1$I <= $9 AND t.%3$I IS NOT NULL GROUP BY t.%1$I
         ), windows AS (
             SELECT at, k > 0 AS is_of_shape, sum(n) OVER w AS n, sum(k) OVER w AS k FROM instants
             WINDOW w AS (ORDER BY at RANGE BETWEEN $3 - interval ''1 microsecond'' PRECEDING AND CURRENT ROW)
         ), days AS MATERIALIZED (
             SELECT d.day, s.share, s.history_size
             FROM (SELECT DISTINCT date_trunc(''day'', at, ''UTC'') AS day FROM windows WHERE is_of_shape AND at > $8) d
             CROSS JOIN LATERAL raxx_detect.shape_share($4, $5, $1, d.day, $6) s
         ), judged AS (
             SELECT w.at, w.k, raxx_detect.binomial_upper_tail(w.k::bigint, w.n::bigint, d.share) AS p_value, d.share, d.history_size
             FROM windows w JOIN days d ON d.day = date_trunc(''day'', w.at, ''UTC'')
             WHERE w.is_of_shape AND w.at > $8 AND w.k >= $10
         ), began AS (
             SELECT CASE WHEN $11 THEN $8 ELSE min(at) FILTER (WHERE p_value <= $7) END AS onset FROM judged
         )
         SELECT b.onset, max(j.k)::bigint, min(j.p_value), min(j.share), max(j.history_size)
         FROM began b LEFT JOIN judged j ON j.at >= b.onset GROUP BY b.onset',
        binding.columns ->> 'event_time', binding.relation, email_column)
    INTO onset, observed, p_value, share, history_size
    USING entity, episode, window_length, binding, email_column, history, tail, exact_from, as_of, threshold, goes_on;
END $$;
COMMENT ON FUNCTION raxx_detect.surprising_shape(raxx_detect.source_bindings, name, text, tstzrange, interval, bigint, interval, float8, timestamptz, timestamptz, boolean) IS
'From when in an episode its shape is no chance any more: the first sign-up of the shape after exact_from at which P(X >= k) of the binomial distribution, for the k of the n sign-ups in the window, at the share that the shape had in the whole days before, is at most tail; NULL if there is none. With goes_on, that was before exact_from. Also the peak, the least probability, and the share, from then on.';

CREATE FUNCTION raxx_detect.evaluate_pattern(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    email_column name := raxx_detect.role_column(binding, rule.params ->> 'email');
    surprise record;
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT x.*, strpos(x.entity, '@') > 0 AS is_shape, split_part(x.entity, '@', -1) AS domain
             FROM raxx_detect.episodes('email_pattern', binding.relation, binding.columns ->> 'event_time', email_column,
                NULL, NULL, NULL, window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) x LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;
        CONTINUE WHEN e.is_shape <> EXISTS (SELECT FROM raxx_detect.free_mail_domains d WHERE d.domain = e.domain);
        number := number + 1;
        IF e.is_shape THEN
            surprise := raxx_detect.surprising_shape(binding, email_column, e.entity, e.episode, window_length, threshold,
                (rule.params ->> 'shape_history')::interval, (rule.params ->> 'shape_tail')::float8, exact_from, as_of,
                EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.source = binding.source
                        AND f.entity = e.entity AND f.episode @> exact_from AND lower(e.episode) <= exact_from));
            CONTINUE WHEN surprise.onset IS NULL;
            RETURN NEXT (e.entity, tstzrange(surprise.onset, upper(e.episode)), rule.severity,
                coalesce(surprise.observed, 0)::float8, threshold::float8, 'sign-ups of one shape',
                surprise.p_value, 'threshold', coalesce(surprise.observed, 0), '{shape}'::text[],
                format('%s sign-ups of the shape %s within %s; it was the shape of %s %% of them in the %s before', surprise.observed,
                    raxx_detect.printable(e.entity), raxx_detect.in_words(window_length), round((100 * surprise.share)::numeric, 2),
                    rule.params ->> 'shape_history'),
                jsonb_build_object('window', window_length, 'share', surprise.share, 'history_size', surprise.history_size,
                    'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(surprise.onset, window_length),
                        format('(SELECT p.shape || ''@'' || p.registrable_domain FROM raxx_detect.email_pattern(t.%I::text) p) = $3', email_column),
                        e.entity)),
                NULL::text)::raxx_detect.candidate;
        ELSE
            RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, 'sign-ups of one domain',
                NULL::float8, 'threshold', e.sample_size, '{domain}'::text[],
                format('%s sign-ups from %s within %s (threshold %s)', e.peak, raxx_detect.printable(e.entity),
                    raxx_detect.in_words(window_length), threshold),
                jsonb_build_object('window', window_length,
                    'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                        format('(raxx_detect.email_pattern(t.%I::text)).registrable_domain = $3', email_column), e.entity)),
                NULL::text)::raxx_detect.candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_pattern(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method pattern: threshold sign-ups in a window that share a registrable domain, or at a free-mail provider a shape that the shape_history before does not explain at the tail probability shape_tail.';

-- Gaps.

CREATE FUNCTION raxx_detect.business_time(period tstzrange, params jsonb) RETURNS interval
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opens time := params ->> 'business_from';
    closes time := params ->> 'business_to';
    days int[] := ARRAY(SELECT d::int FROM jsonb_array_elements_text(params -> 'business_days') d);
    starts timestamp := timezone(params ->> 'time_zone', lower(period));
    ends timestamp := timezone(params ->> 'time_zone', upper(period));
    whole_weeks bigint := floor(extract(epoch FROM ends - starts) / 604800);
BEGIN
    -- Whole weeks are alike, whatever the length of a forged gap; what is left is looked at day by day.
    starts := starts + whole_weeks * interval '7 days';
    RETURN whole_weeks * greatest(closes - opens, '0') * (SELECT count(DISTINCT d) FROM unnest(days) d)
        + coalesce((SELECT sum(least(ends, day + closes) - greatest(starts, day + opens))
                    FROM generate_series(date_trunc('day', starts), ends, '1 day') day
                    WHERE extract(isodow FROM day)::int = ANY (days)
                      AND least(ends, day + closes) > greatest(starts, day + opens)), '0');
END $$;
COMMENT ON FUNCTION raxx_detect.business_time(tstzrange, jsonb) IS
'How much of a bounded period lies in business hours: business_from to business_to on the ISO weekdays business_days, by the clock of time_zone.';

CREATE FUNCTION raxx_detect.gap_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, gap tstzrange, as_of timestamptz)
RETURNS raxx_detect.candidate LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    measured tstzrange := tstzrange(lower(gap), coalesce(upper(gap), as_of));
    inside interval := raxx_detect.business_time(measured, rule.params);
    outside interval := make_interval(secs => extract(epoch FROM upper(measured) - lower(measured))::float8) - inside;
    business_gap interval := rule.params ->> 'business_gap';
    off_hours_gap interval := rule.params ->> 'off_hours_gap';
    in_business boolean := inside > business_gap;
    observed interval := CASE WHEN in_business THEN inside ELSE outside END;
    allowed interval := CASE WHEN in_business THEN business_gap ELSE off_hours_gap END;
BEGIN
    IF NOT in_business AND outside <= off_hours_gap THEN
        RETURN NULL;
    END IF;
    RETURN (binding.source, gap,
        CASE WHEN inside > (rule.params ->> 'critical_gap')::interval THEN 'critical' ELSE 'high' END::raxx_detect.severity,
        extract(epoch FROM observed)::float8 / 60, extract(epoch FROM allowed)::float8 / 60,
        CASE WHEN in_business THEN 'minutes in business hours' ELSE 'minutes outside business hours' END,
        NULL::float8, 'threshold', CASE WHEN upper_inf(gap) THEN 1 ELSE 2 END, '{gap}',
        format('%s: no event for %s%s from %s on (more than %s %s business hours)', binding.source,
            raxx_detect.in_words(upper(measured) - lower(measured)), CASE WHEN upper_inf(gap) THEN ' and counting,' ELSE '' END,
            to_char(lower(gap) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.in_words(allowed),
            CASE WHEN in_business THEN 'in' ELSE 'outside' END),
        jsonb_build_object('inside_business_hours', inside, 'outside_business_hours', outside,
            'rows', raxx_detect.row_keys(1, binding, tstzrange(lower(gap), coalesce(upper(gap), as_of) + interval '1 microsecond'), 'true', NULL)),
        -- Whether the hash chain holds across the gap would tell a pause from a deletion; no chain is wired.
        'undetermined')::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.gap_candidate(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz) IS
'The candidate of one gap, or NULL where it is not too long. A gap across the edge of business hours is measured by its parts inside and outside.';

CREATE FUNCTION raxx_detect.evaluate_gap(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shortest interval := least((rule.params ->> 'business_gap')::interval, (rule.params ->> 'off_hours_gap')::interval);
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    candidate raxx_detect.candidate;
    g record;
BEGIN
    -- exact_from is the last settled row, the start of the first gap that is judged: read it, too.
    FOR g IN SELECT x.gap FROM raxx_detect.gaps(binding.relation, binding.columns ->> 'event_time', shortest,
                raxx_detect.before(exact_from, interval '1 microsecond'), as_of) x
             UNION ALL
             SELECT tstzrange(last_event, NULL) WHERE last_event >= exact_from AND as_of - last_event > shortest LOOP
        candidate := raxx_detect.gap_candidate(rule, binding, g.gap, as_of);
        IF candidate.entity IS NOT NULL THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_gap(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method gap: silences, closed or still going on, of more than business_gap within business hours or more than off_hours_gap outside.';

CREATE FUNCTION raxx_detect.last_event(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
    result timestamptz;
BEGIN
    EXECUTE format('SELECT max(t.%1$I) FROM %2$s t WHERE t.%1$I <= $1 AND t.%1$I > ''-infinity''', event_time, binding.relation)
    INTO result USING as_of;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.last_event(raxx_detect.source_bindings, timestamptz) IS 'The last event_time up to as_of, NULL if there is none. An infinite time is no event.';

UPDATE raxx_detect.methods SET evaluator = CASE method
    WHEN 'velocity' THEN 'raxx_detect.evaluate_velocity'
    WHEN 'distinct' THEN 'raxx_detect.evaluate_distinct'
    WHEN 'distinct + velocity' THEN 'raxx_detect.evaluate_distinct_velocity'
    WHEN 'pattern' THEN 'raxx_detect.evaluate_pattern'
    WHEN 'gap' THEN 'raxx_detect.evaluate_gap' END;
