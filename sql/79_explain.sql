-- explain: a finding in plain sentences with the numbers. Every paragraph answers one question that somebody has who is woken by
-- it. Times are UTC and say so, so that they mean the same to everybody; what the database's rows hold is shown without what
-- could write over a terminal.

-- ---- words ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.plain(text, most int DEFAULT 200) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    clean text := regexp_replace(left($1, most + 1), '[[:cntrl:]]+', ' ', 'g');
BEGIN
    -- What turns the direction of writing around, or has no width, makes one text look like another.
    IF getdatabaseencoding() = 'UTF8' THEN
        clean := regexp_replace(clean, E'[\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]', '?', 'g');
    END IF;
    RETURN CASE WHEN $1 = '' THEN '(empty)' WHEN length(clean) > most THEN left(clean, most - 3) || '...' ELSE clean END;
END $$;
COMMENT ON FUNCTION raxx_detect.plain(text, int) IS 'A text that somebody else wrote, as a page may show it: on one line, without control characters or what changes the direction of writing, at most so many characters. NULL for NULL.';

CREATE FUNCTION raxx_detect.time_in_words(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE at WHEN '-infinity' THEN 'the beginning of time' WHEN 'infinity' THEN 'the end of time'
           ELSE rtrim(rtrim(to_char(timezone('UTC', at), 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.') || CASE WHEN at < '0001-01-01 00:00:00+00' THEN ' BC' ELSE '' END || ' UTC' END
$$;
COMMENT ON FUNCTION raxx_detect.time_in_words(timestamptz) IS 'A time as a sentence says it, whatever the settings of the session: 2026-03-05 14:00:12.5 UTC. NULL for NULL.';

CREATE FUNCTION raxx_detect.exactly(length interval) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN us % 1000000 = 0 THEN raxx_detect.in_words(length)
                ELSE concat_ws(' ', CASE WHEN us >= 60000000 THEN raxx_detect.in_words(us / 60000000 * interval '1 minute') END,
                               trim_scale(us % 60000000 / 1000000.0::numeric(20, 6))::text || ' s') END
    FROM (SELECT (extract(epoch FROM length) * 1000000)::bigint AS us) u
$$;
COMMENT ON FUNCTION raxx_detect.exactly(interval) IS 'An interval as a sentence says it, to the microsecond: 3 min 12.5 s.';

CREATE FUNCTION raxx_detect.number_of(number float8, one text, more text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.in_figures(number) || ' ' || CASE number WHEN 1 THEN one ELSE more END
$$;
COMMENT ON FUNCTION raxx_detect.number_of(float8, text, text) IS 'A number with what is counted: 1 row, 5 rows.';

CREATE FUNCTION raxx_detect.wrapped(paragraph text, width int DEFAULT 96) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    word text;
    line text := '';
    lines text[] := '{}';
BEGIN
    FOREACH word IN ARRAY regexp_split_to_array(btrim(left(paragraph, 8000)), E'\\s+') LOOP
        IF line <> '' AND length(line) + 1 + length(word) > width THEN
            lines := lines || line;
            line := '   ' || word;
        ELSE
            line := line || CASE WHEN line = '' THEN '' ELSE ' ' END || word;
        END IF;
    END LOOP;
    RETURN array_to_string(lines || line, E'\n');
END $$;
COMMENT ON FUNCTION raxx_detect.wrapped(text, int) IS 'A paragraph in lines of at most so many characters, all but the first of them indented. A word that is longer has a line of its own.';

-- ---- paragraphs -----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.explain_what(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    began timestamptz := lower(finding.episode);
    ended timestamptz := upper(finding.episode);
BEGIN
    RETURN format('What was found: %s. ', rtrim(raxx_detect.plain(finding.summary, 1000), '.'))
        || CASE WHEN finding.condition = 'firing' THEN format('It began at %s and goes on. ', raxx_detect.time_in_words(began))
                WHEN finding.condition = 'no_data' THEN format('It began at %s; since its source has no rows any more, nobody can tell whether it goes on. ', raxx_detect.time_in_words(began))
                WHEN ended IS NULL THEN format('It began at %s, and is over. ', raxx_detect.time_in_words(began))
                ELSE format('It lasted from %s to %s%s. ', raxx_detect.time_in_words(began), raxx_detect.time_in_words(ended),
                            CASE WHEN isfinite(began) AND isfinite(ended) AND ended - began < interval '400 days' THEN ' (' || raxx_detect.exactly(ended - began) || ')' ELSE '' END) END
        || format('It was found at %s%s', raxx_detect.time_in_words(date_trunc('second', finding.detected_at)),
                  CASE WHEN finding.late THEN ', late: only when hours that had been judged were judged again, since rows had come or gone' ELSE '' END)
        || CASE WHEN finding.evidence ? 'refuted_at' THEN format('; at %s the rows no longer showed it', raxx_detect.time_in_words((finding.evidence ->> 'refuted_at')::timestamptz)) ELSE '' END
        || format('. It is for %s.', raxx_detect.plain(finding.escalation_owner));
END $$;
COMMENT ON FUNCTION raxx_detect.explain_what(raxx_detect.detection_findings) IS 'What was found, when it was, and when it was found.';

CREATE FUNCTION raxx_detect.predicate_of(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p jsonb := rule.params;
    e jsonb := finding.evidence;
    window_words text := raxx_detect.in_words(coalesce(e ->> 'window', p ->> 'window')::interval);
    shown_limit text := raxx_detect.in_figures(finding.threshold);
    role text := p ->> 'entity';
BEGIN
    IF e -> 'conditions' ? 'rows_gone' THEN
        RETURN format('an hour of an audit log has fewer rows than it had when they were last counted. %s hours have lost %s of %s rows', e ->> 'hours_concerned', e ->> 'missing', e ->> 'before');
    ELSIF e -> 'conditions' ? 'mix' THEN
        RETURN format('the rows of a day are shared out among the values of %s otherwise than on the days before: by a chi-squared test of the mix, its usual scatter taken off. It was %s over its usual scatter (chi-squared %s with %s degrees of freedom), a chance of %s; allowed is one of %s',
            role, raxx_detect.in_figures(finding.observed), raxx_detect.in_figures((e ->> 'chi_squared')::float8), e ->> 'df', raxx_detect.in_figures(finding.p_value), raxx_detect.in_figures((e #>> '{baseline,tail}')::float8));
    END IF;
    RETURN CASE rule.method
        WHEN 'pattern' THEN CASE WHEN strpos(finding.entity, '@') > 0
            THEN format('%s or more sign-ups in %s have addresses of one shape at a free-mail provider, and the %s before make that a chance of at most %s. At most %s did; by the share that the shape had (%s %% of %s sign-ups) that was a chance of %s',
                p ->> 'threshold', window_words, p ->> 'shape_history', p ->> 'shape_tail', raxx_detect.in_figures(finding.observed), raxx_detect.in_figures(100 * (e ->> 'share')::float8), e ->> 'history_size', raxx_detect.in_figures(finding.p_value))
            ELSE format('%s or more sign-ups in any %s have addresses of one domain that is no known free-mail provider. At most %s did', shown_limit, window_words, raxx_detect.in_figures(finding.observed)) END
        WHEN 'gap' THEN format('an audit log has no event for longer than %s %s. It had none for %s', raxx_detect.exactly(finding.threshold * interval '1 minute'),
                CASE finding.unit WHEN 'minutes' THEN 'and the silence is too improbable for the hours that it lies in' ELSE substr(finding.unit, 9) END, raxx_detect.exactly(finding.observed * interval '1 minute'))
            || CASE WHEN finding.p_value IS NOT NULL THEN format(', a chance of %s where %s is allowed', raxx_detect.in_figures(finding.p_value), raxx_detect.in_figures((e #>> '{baseline,tail}')::float8)) ELSE '' END
            || format('; %s of that in business hours, %s outside', raxx_detect.in_words((e ->> 'inside_business_hours')::interval), raxx_detect.in_words((e ->> 'outside_business_hours')::interval))
        WHEN 'chain' THEN format('an entry of the hash chain is not what was sealed (%s, from entry %s to %s). %s entries are concerned; up to entry %s the chain is intact', e ->> 'kind', e ->> 'seq_from',
                coalesce(e ->> 'seq_to', 'the end'), raxx_detect.in_figures(finding.observed), e ->> 'intact_to')
        WHEN 'quantile' THEN format('the average of %s in a stretch of %s is above %s. It was %s at most', p ->> 'value', window_words, shown_limit, raxx_detect.in_figures(finding.observed))
        WHEN 'benford' THEN format('the first digits of more than %s values in %s depart from Benford''s law by a mean absolute deviation of %s or more, and by more than chance. They departed by %s, a chance of %s where %s is allowed (chi-squared %s, %s values)', p ->> 'run_above',
                window_words, shown_limit, raxx_detect.in_figures(finding.observed), raxx_detect.in_figures(finding.p_value), raxx_detect.in_figures((e #>> '{baseline,tail}')::float8), raxx_detect.in_figures((e ->> 'chi_squared')::float8), finding.sample_size)
        WHEN 'drift' THEN format('the time within which %s %% of the statement times of %s lie is longer by %s %% than in the days before, and the two distributions differ by more than chance (Kolmogorov-Smirnov). It was %s ms where up to %s ms is no drift; the distributions differ by %s, a chance of %s where %s is allowed',
                raxx_detect.in_figures(100 * (p ->> 'quantile')::float8), window_words, raxx_detect.in_figures(100 * (p ->> 'rise')::float8), raxx_detect.in_figures(finding.observed), shown_limit, raxx_detect.in_figures((e ->> 'd')::float8), raxx_detect.in_figures(finding.p_value), raxx_detect.in_figures((e #>> '{baseline,tail}')::float8))
        WHEN 'ratio' THEN CASE WHEN finding.fired_by = 'baseline'
            THEN format('so many %s come among all of %s as the days before do not explain. There were %s of %s; %s would have been enough', finding.unit, coalesce(window_words, 'an hour or a day'), raxx_detect.in_figures(finding.observed), finding.sample_size, shown_limit)
                || format('. At the usual share that is a chance of %s where %s is allowed', raxx_detect.in_figures(finding.p_value), raxx_detect.in_figures((e #>> '{baseline,tail}')::float8))
            ELSE format('there are %s or more %s in any %s. There were %s at most, of %s', shown_limit, finding.unit, window_words, raxx_detect.in_figures(finding.observed), finding.sample_size) END
        WHEN 'unmatched' THEN format('a change has no record that agrees in %s within %s of it, before or after. %s had none', (SELECT string_agg(m, ' and ') FROM jsonb_array_elements_text(p -> 'match') m),
                raxx_detect.in_words((coalesce(e ->> 'tolerance', p ->> 'tolerance'))::interval), raxx_detect.number_of(finding.observed, 'change', 'changes'))
        ELSE format('any %s hold %s or more %s of one %s. The fullest such window held %s (%s)', window_words, shown_limit, finding.unit, role, raxx_detect.in_figures(finding.observed),
                raxx_detect.number_of(finding.sample_size, 'row', 'rows')) END;
END $$;
COMMENT ON FUNCTION raxx_detect.predicate_of(raxx_detect.rules, raxx_detect.detection_findings) IS 'The rule''s predicate, by the condition that the finding is told by, and its value against the threshold: what follows "fires when".';

CREATE FUNCTION raxx_detect.explain_why(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    conditions text[] := ARRAY(SELECT jsonb_array_elements_text(finding.evidence -> 'conditions'));
BEGIN
    RETURN format('Why it counts: the rule fires when %s.', raxx_detect.predicate_of(rule, finding))
        || CASE WHEN cardinality(conditions) > 1 THEN format(' Of its conditions %s held: %s.', cardinality(conditions), array_to_string(conditions, ', ')) ELSE '' END
        || CASE WHEN finding.evidence ? 'deploys_known' THEN format(' Restarts near a deploy of the app do not count%s; nor do those with a cause of %s%s.',
                CASE WHEN finding.evidence @> '{"deploys_known": true}' THEN '' ELSE ', but no deploy_events are bound' END,
                (SELECT string_agg(c, ', ') FROM jsonb_array_elements_text(rule.params -> 'excluded_causes') c), CASE WHEN finding.evidence @> '{"causes_known": true}' THEN '' ELSE ', but the source has no cause' END) ELSE '' END
        || CASE WHEN finding.evidence ? 'operators_active' THEN format(' %s active meanwhile.', raxx_detect.number_of((finding.evidence ->> 'operators_active')::float8, 'operator was', 'operators were')) ELSE '' END
        || CASE WHEN finding.evidence -> 'moved' -> 0 ? 'queryid' THEN format(' The queries that moved it most: %s (pg_stat_statements.queryid).',
                (SELECT string_agg(x.m ->> 'queryid', ', ' ORDER BY x.n) FROM jsonb_array_elements(finding.evidence -> 'moved') WITH ORDINALITY x(m, n) WHERE x.n <= 3)) ELSE '' END
        || CASE WHEN rule.method = 'chain' THEN CASE finding.verdict WHEN 'undetermined' THEN ' A restore from a backup looks like this, too.' ELSE '' END ELSE CASE finding.verdict WHEN 'benign' THEN ' The hash chain is intact across it: nothing was written, rather than deleted.'
                                WHEN 'adversarial' THEN ' The hash chain is broken there: somebody has tampered with the rows.'
                                WHEN 'undetermined' THEN ' No hash chain tells whether rows were deleted.' ELSE '' END END;
END $$;
COMMENT ON FUNCTION raxx_detect.explain_why(raxx_detect.rules, raxx_detect.detection_findings) IS 'The predicate, the window, the value against the threshold, and what the rule looked at beside them.';

CREATE FUNCTION raxx_detect.explain_baseline(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b jsonb := finding.evidence -> 'baseline';
    zone text := raxx_detect.rule_time_zone(rule);
BEGIN
    IF finding.evidence -> 'conditions' ? 'rows_gone' OR rule.method = 'chain' THEN
        RETURN 'Baseline: it needs none; there is no harmless reason for one such row.';
    ELSIF rule.method = 'benford' THEN
        RETURN format('Baseline: Benford''s law itself. With %s tests a month and %s false alarms allowed, a chance of %s is allowed for each.', raxx_detect.in_figures((b ->> 'tests_a_month')::float8),
                      raxx_detect.in_figures(rule.false_alarms_per_month), raxx_detect.in_figures((b ->> 'tail')::float8));
    ELSIF finding.fired_by = 'threshold' THEN
        RETURN 'Baseline: a hard threshold decided, '
            || CASE WHEN b ? 'needed_rows' THEN format('since there was too little history: %s of this entity and %s in all were known of the %s days before, where %s are needed', raxx_detect.number_of(coalesce((b ->> 'own_rows')::float8, 0), 'row', 'rows'),
                        b ->> 'rows', b ->> 'days', b ->> 'needed_rows')
                    WHEN b ? 'needed' THEN format('since the baseline was not ready: it had %s of the %s whole days that it needs', b ->> 'days', b ->> 'needed')
                    WHEN rule.method = 'pattern' AND finding.evidence ? 'share' THEN format('with the share that the shape had in the %s before', rule.params ->> 'shape_history')
                    WHEN rule.baseline_window IS NULL THEN 'since the rule has no baseline'
                    ELSE 'since the condition that held goes by one, whatever the baseline says' END || '.';
    END IF;
    RETURN format('Baseline: the limit comes from the %s whole days before %s (%s), of %s', b ->> 'days', to_char(timezone(zone, lower(finding.episode)), 'YYYY-MM-DD'), zone,
            CASE b ->> 'of' WHEN 'own' THEN 'this entity itself' ELSE b ->> 'of' END)
        || coalesce(', n = ' || raxx_detect.in_figures(coalesce(b ->> 'n', b ->> 'rows')::float8), '')
        || CASE WHEN b ? 'mean' THEN format(': %s in a window on average, standard deviation %s', raxx_detect.in_figures((b ->> 'mean')::float8), raxx_detect.in_figures((b ->> 'deviation')::float8)) ELSE '' END
        || CASE WHEN b ? 'share' THEN format(': a share of %s %% (%s of %s)%s', raxx_detect.in_figures(100 * (b ->> 'share')::float8), b ->> 'failures', b ->> 'n',
                CASE WHEN (b ->> 'dispersion')::float8 > 1 THEN format(', scattering %s times as much as chance', raxx_detect.in_figures((b ->> 'dispersion')::float8)) ELSE '' END) ELSE '' END
        || CASE WHEN b ? 'median' THEN format(', median %s', raxx_detect.in_figures((b ->> 'median')::float8)) ELSE '' END
        || CASE WHEN b ? 'quantile' THEN format(', quantile %s at %s%s', coalesce(rule.params ->> 'baseline_quantile', rule.params ->> 'quantile'), raxx_detect.in_figures((b ->> 'quantile')::float8),
                CASE rule.method WHEN 'gap' THEN ' s' WHEN 'drift' THEN ' ms' ELSE '' END) ELSE '' END
        || CASE WHEN b ? 'expected_events' THEN format('; %s events were to be expected in the silence', raxx_detect.in_figures((b ->> 'expected_events')::float8)) ELSE '' END
        || CASE WHEN b ? 'own_rows' THEN format('; of this entity itself only %s were known', b ->> 'own_rows') ELSE '' END
        || CASE WHEN (b ->> 'left_out')::bigint > 0 THEN format('. %s rows inside other findings were left out', b ->> 'left_out') ELSE '' END
        || CASE WHEN b ? 'tail' THEN format('. With %s tests a month and %s false alarms allowed, a chance of %s is allowed for each', raxx_detect.in_figures((b ->> 'tests_a_month')::float8), raxx_detect.in_figures(rule.false_alarms_per_month),
                raxx_detect.in_figures((b ->> 'tail')::float8)) ELSE '' END
        || CASE WHEN b ? 'tail' AND finding.p_value IS NOT NULL THEN format('; what was seen has one of %s', raxx_detect.in_figures(finding.p_value)) ELSE '' END || '.';
END $$;
COMMENT ON FUNCTION raxx_detect.explain_baseline(raxx_detect.rules, raxx_detect.detection_findings) IS 'The baseline that judged (of whom, n, age, quantile, tail), or why a hard threshold did.';

CREATE FUNCTION raxx_detect.has_table(table_name text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(has_table_privilege(to_regclass('raxx_detect.' || quote_ident(table_name)), 'SELECT'), false)
$$;
COMMENT ON FUNCTION raxx_detect.has_table(text) IS 'Whether there is such a table of the extension, and the caller may read it.';

CREATE FUNCTION raxx_detect.explain_exceptions(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text[] := '{}';
    consulted text[] := '{}';
    x record;
BEGIN
    IF raxx_detect.has_table('exceptions') THEN
        consulted := consulted || 'exceptions'::text;
        FOR x IN SELECT e.* FROM raxx_detect.exceptions e WHERE e.rule_id = finding.rule_id AND raxx_detect.bounded_entity(e.entity) = finding.entity ORDER BY e.exception_id DESC LIMIT 3 LOOP
            said := said || format('exception %s (%s; by %s, from %s to %s) %s', x.exception_id, raxx_detect.plain(x.reason), raxx_detect.plain(x.created_by), raxx_detect.time_in_words(date_trunc('second', x.created_at)), raxx_detect.time_in_words(date_trunc('second', least(x.ended_at, x.expires_at))),
                CASE WHEN finding.exception_id = x.exception_id THEN 'holds for this finding: it is on record, and not told' ELSE 'is of the same entity, and does not hold for this finding' END);
        END LOOP;
    END IF;
    IF raxx_detect.has_table('silences') THEN
        consulted := consulted || 'silences'::text;
        FOR x IN SELECT s.* FROM raxx_detect.silences s WHERE coalesce(s.rule_id = finding.rule_id, (SELECT r.allows_exceptions FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id)) AND coalesce(raxx_detect.bounded_entity(s.entity) = finding.entity, true)
                   AND s.starts_at <= greatest(now(), finding.updated_at) AND coalesce(least(s.ended_at, s.until), 'infinity') >= finding.detected_at ORDER BY s.silence_id DESC LIMIT 3 LOOP
            said := said || format('silence %s (%s; by %s, from %s to %s) %s back what is new about it', x.silence_id, raxx_detect.plain(x.reason), raxx_detect.plain(x.created_by), raxx_detect.time_in_words(date_trunc('second', x.starts_at)), raxx_detect.time_in_words(date_trunc('second', least(x.ended_at, x.until))),
                CASE WHEN least(x.ended_at, x.until) > now() THEN 'holds' ELSE 'held' END);
        END LOOP;
    END IF;
    IF raxx_detect.has_table('downgrades') THEN
        FOR x IN SELECT d.* FROM raxx_detect.downgrades d WHERE d.rule_id = finding.rule_id AND d.severity_from = finding.severity
                   AND tstzrange(d.began_at, least(d.until, d.ended_at)) && tstzrange(finding.detected_at, finding.updated_at, '[]') ORDER BY d.downgrade_id DESC LIMIT 1 LOOP
            said := said || format('its rule is told one severity lower, as %s, from %s to %s (downgrade %s: %s)', upper(x.severity_to::text), raxx_detect.time_in_words(date_trunc('second', x.began_at)),
                                   raxx_detect.time_in_words(date_trunc('second', least(x.until, x.ended_at))), x.downgrade_id, raxx_detect.plain(x.reason));
        END LOOP;
    END IF;
    IF consulted = '{}' AND said = '{}' THEN
        RETURN NULL;
    END IF;
    RETURN format('Exceptions and silences: %s.', coalesce(nullif(array_to_string(said, '; '), ''), format('%s were consulted, and none is about it', array_to_string(consulted, ' and '))));
END $$;
COMMENT ON FUNCTION raxx_detect.explain_exceptions(raxx_detect.detection_findings) IS 'Which exceptions, silences and downgrades are about a finding; NULL where the caller may not read them.';

CREATE FUNCTION raxx_detect.delivery_in_words(d raxx_detect.deliveries) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bundle raxx_detect.deliveries := (SELECT b FROM raxx_detect.deliveries b WHERE b.delivery_id = d.bundle);
BEGIN
    RETURN format('%s (%s%s): ', d.channel, CASE d.event WHEN 'fired' THEN 'when it was found' WHEN 'no_data' THEN 'when there was no more data' ELSE 'when it ' || CASE d.event WHEN 'escalated' THEN 'grew worse' WHEN 'cleared' THEN 'was over' ELSE d.event END END,
            CASE d.mode WHEN 'digest' THEN ', for the digest' WHEN 'log' THEN ', for the log' ELSE '' END)
        || CASE d.state
            WHEN 'pending' THEN format('waits to be sent since %s%s', raxx_detect.time_in_words(date_trunc('second', d.created_at)), CASE WHEN d.attempts > 0 THEN format(', after %s', raxx_detect.number_of(d.attempts, 'attempt', 'attempts')) ELSE '' END)
            WHEN 'sending' THEN 'is being sent'
            WHEN 'held' THEN format('waits for the next digest since %s', raxx_detect.time_in_words(date_trunc('second', d.created_at)))
            WHEN 'bundled' THEN format('is part of message %s%s', d.bundle, CASE bundle.state WHEN 'delivered' THEN ', delivered at ' || raxx_detect.time_in_words(date_trunc('second', bundle.ended_at)) WHEN 'dead' THEN ', which could not be delivered' ELSE ', which waits to be sent' END)
            WHEN 'delivered' THEN format('delivered at %s', raxx_detect.time_in_words(date_trunc('second', d.ended_at)))
            WHEN 'dead' THEN format('could not be delivered%s', coalesce(': ' || raxx_detect.plain(d.last_error), ''))
            WHEN 'silenced' THEN 'held back' || coalesce(' by silence ' || d.silence_id, '')
            WHEN 'cancelled' THEN 'cancelled before it was sent, since there was nothing more to tell'
            ELSE d.state END;
END $$;
COMMENT ON FUNCTION raxx_detect.delivery_in_words(raxx_detect.deliveries) IS 'To whom a message went, on what occasion, and what has become of it.';

CREATE FUNCTION raxx_detect.explain_route(rule raxx_detect.rules, finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said text[];
    because text;
    number bigint;
BEGIN
    IF NOT raxx_detect.has_table('deliveries') THEN
        RETURN NULL;
    END IF;
    SELECT count(*), (array_agg(DISTINCT raxx_detect.plain(d.payload ->> 'because', 300)) FILTER (WHERE d.event IN ('fired', 'escalated')))[1] INTO number, because
    FROM raxx_detect.deliveries d WHERE d.finding_id = finding.finding_id;
    said := ARRAY(SELECT raxx_detect.delivery_in_words(d) FROM raxx_detect.deliveries d WHERE d.finding_id = finding.finding_id ORDER BY d.delivery_id LIMIT 8);
    IF number = 0 THEN
        RETURN 'Who was told: nobody. '
            || CASE WHEN finding.exception_id IS NOT NULL THEN 'An exception holds for it.'
                    WHEN raxx_detect.is_trial(finding.rule_id) THEN 'Its rule is only tried.'
                    WHEN finding.detected_at < now() - raxx_detect.keep_runs() THEN 'Records of messages are not kept for ever, and it is old.'
                    ELSE 'No message about it is on record: it was found before there were messages, or came with a restored dump.' END;
    END IF;
    RETURN format('Who was told: %s%s.%s', array_to_string(said, '; '), CASE WHEN number > 8 THEN format('; and %s more', number - 8) ELSE '' END, coalesce(' The route: ' || because || '.', ''));
END $$;
COMMENT ON FUNCTION raxx_detect.explain_route(raxx_detect.rules, raxx_detect.detection_findings) IS 'Whom the messages about a finding went to, what has become of them, and why they went there; or that there are none. NULL where the caller may not read them.';

CREATE FUNCTION raxx_detect.explain_people(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    history text;
BEGIN
    IF raxx_detect.has_table('finding_actions') THEN
        SELECT string_agg(format('%s at %s by %s%s%s', a.action, raxx_detect.time_in_words(date_trunc('second', a.acted_at)), raxx_detect.plain(a.acted_by), coalesce(' as ' || a.disposition, ''), coalesce(' (' || raxx_detect.plain(a.note) || ')', '')), '; ' ORDER BY a.action_id)
        INTO history FROM (SELECT * FROM raxx_detect.finding_actions f WHERE f.finding_id = finding.finding_id ORDER BY f.action_id DESC LIMIT 6) a;
    END IF;
    RETURN format('People: %s', CASE finding.triage WHEN 'new' THEN CASE WHEN history IS NULL THEN 'nobody has looked at it yet' ELSE 'it is open again' END WHEN 'acknowledged' THEN 'somebody is at it' ELSE format('closed%s', coalesce(' as ' || finding.disposition, '')) END)
        || coalesce('. ' || history, '') || '.';
END $$;
COMMENT ON FUNCTION raxx_detect.explain_people(raxx_detect.detection_findings) IS 'The state of triage, and its history.';

CREATE FUNCTION raxx_detect.explain_evidence(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    h raxx_detect.finding_rows;
    said text;
BEGIN
    IF finding.evidence #> '{rows}' IS NULL THEN
        RETURN 'Evidence: it names no rows.';
    ELSIF finding.evidence #> '{rows,omitted}' IS NOT NULL THEN
        RETURN 'Evidence: it names no rows, being one of more than 200 of one look.';
    END IF;
    BEGIN
        SELECT r.* INTO h FROM raxx_detect.finding_rows r WHERE r.finding_id = finding.finding_id;
        said := CASE WHEN h.finding_id IS NULL OR h.positions = '{}'
            THEN format('its rows are named in it; no hashes of them were kept%s, so that nobody can say whether they are as they were.', coalesce(' (' || raxx_detect.plain(h.problem, 300) || ')', ''))
            ELSE raxx_detect.evidence_in_words(finding, ARRAY(SELECT c.state FROM raxx_detect.compared_rows(finding, h) c)) END;
    EXCEPTION WHEN insufficient_privilege THEN
        said := format('role "%s" may not look whether its rows are as they were.', current_user)
            || coalesce(' The daily look said: ' || finding.evidence_note, '');
    WHEN OTHERS THEN
        IF raxx_detect.is_for_the_caller(sqlstate) THEN
            RAISE;
        END IF;
        said := format('its rows cannot be read now (%s).', raxx_detect.plain(raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL), 300));
    END;
    RETURN 'Evidence now: ' || said || CASE WHEN finding.evidence_changed_at IS NOT NULL THEN format(' That rows had changed was first noticed at %s.', raxx_detect.time_in_words(date_trunc('second', finding.evidence_changed_at))) ELSE '' END;
END $$;
COMMENT ON FUNCTION raxx_detect.explain_evidence(raxx_detect.detection_findings) IS 'What has become of the rows that are a finding''s evidence, as far as the caller may read them.';

-- ---- the page -------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.explain(finding_id bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    finding raxx_detect.detection_findings := raxx_detect.find_finding(finding_id);
    rule raxx_detect.rules := raxx_detect.find_rule(finding.rule_id);
BEGIN
    RETURN concat_ws(E'\n\n',
        raxx_detect.wrapped(format('Finding %s: %s, %s (%s), %s', finding_id, upper(finding.severity::text), finding.rule_id, finding.det_id, raxx_detect.plain(finding.entity))),
        raxx_detect.wrapped(raxx_detect.explain_what(finding)),
        raxx_detect.wrapped(raxx_detect.explain_why(rule, finding)),
        raxx_detect.wrapped(raxx_detect.explain_baseline(rule, finding)),
        raxx_detect.wrapped(raxx_detect.explain_margin(rule, finding)),
        raxx_detect.wrapped(raxx_detect.explain_exceptions(finding)),
        raxx_detect.wrapped(raxx_detect.explain_route(rule, finding)),
        raxx_detect.wrapped(raxx_detect.explain_people(finding)),
        raxx_detect.wrapped(raxx_detect.explain_evidence(finding)));
END $$;
COMMENT ON FUNCTION raxx_detect.explain(bigint) IS
'A finding in plain sentences: what was found; the rule''s predicate, its window and the value against the threshold; the baseline, or why a threshold decided; how close it was, worked out from the rows as they are now; exceptions and silences; who was told; what people have done; and what has become of the rows. Reads rows with the caller''s rights, a bounded number of them, and says where it may not; changes nothing. Parameters of the rule are those in force now. Error: 42704 no such finding.';
