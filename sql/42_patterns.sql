-- Patterns in e-mail addresses.

CREATE TABLE raxx_detect.free_mail_domains (domain text PRIMARY KEY, shipped boolean NOT NULL DEFAULT false);
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
    exact_from timestamptz, as_of timestamptz, resumes timestamptz,
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
             FROM (SELECT DISTINCT date_trunc(''day'', at, ''UTC'') AS day FROM windows WHERE is_of_shape AND at >= $8) d
             CROSS JOIN LATERAL raxx_detect.shape_share($4, $5, $1, d.day, $6) s
         ), judged AS (
             SELECT w.at, w.k, raxx_detect.binomial_upper_tail(w.k::bigint, w.n::bigint, d.share) AS p_value, d.share, d.history_size
             FROM windows w JOIN days d ON d.day = date_trunc(''day'', w.at, ''UTC'')
             WHERE w.is_of_shape AND (w.at > $8 OR w.at = $8 AND $11 = $8) AND w.k >= $10
         ), began AS (
             SELECT CASE WHEN $11 < $8 THEN $8 ELSE min(at) FILTER (WHERE p_value <= $7) END AS onset FROM judged
         )
         SELECT b.onset, max(j.k)::bigint, min(j.p_value), (array_agg(j.share ORDER BY j.at))[1], (array_agg(j.history_size ORDER BY j.at))[1]
         FROM began b LEFT JOIN judged j ON j.at >= b.onset GROUP BY b.onset',
        binding.columns ->> 'event_time', binding.relation, email_column)
    INTO onset, observed, p_value, share, history_size
    USING entity, episode, window_length, binding, email_column, history, tail, exact_from, as_of, threshold, resumes;
END $$;
COMMENT ON FUNCTION raxx_detect.surprising_shape(raxx_detect.source_bindings, name, text, tstzrange, interval, bigint, interval, float8, timestamptz, timestamptz, timestamptz) IS
'From when in an episode its shape is no chance any more: the first sign-up of the shape after exact_from at which P(X >= k) of the binomial distribution, for the k of the n sign-ups in the window, at the share that the shape had in the whole days before, is at most tail; NULL if there is none. resumes: when a finding that is in force at exact_from began; NULL if none is. Also the peak and the least probability from then on, and the share by which the first of them was judged.';

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
                NULL, NULL, NULL, NULL, window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) x LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;
        CONTINUE WHEN e.is_shape <> EXISTS (SELECT FROM raxx_detect.free_mail_domains d WHERE d.domain = e.domain);
        number := number + 1;
        IF e.is_shape THEN
            surprise := raxx_detect.surprising_shape(binding, email_column, e.entity, e.episode, window_length, threshold,
                (rule.params ->> 'shape_history')::interval, (rule.params ->> 'shape_tail')::float8, exact_from, as_of,
                (SELECT min(lower(f.episode)) FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.source = binding.source
                 AND f.entity = e.entity AND f.episode @> exact_from AND lower(e.episode) <= exact_from AND NOT f.evidence ? 'refuted_at'));
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
                NULL, NULL, NULL)::raxx_detect.candidate;
        ELSE
            RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, 'sign-ups of one domain',
                NULL::float8, 'threshold', e.sample_size, '{domain}'::text[],
                format('%s sign-ups from %s within %s (threshold %s)', e.peak, raxx_detect.printable(e.entity),
                    raxx_detect.in_words(window_length), threshold),
                jsonb_build_object('window', window_length,
                    'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                        format('(raxx_detect.email_pattern(t.%I::text)).registrable_domain = $3', email_column), e.entity)),
                NULL, NULL, NULL)::raxx_detect.candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_pattern(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method pattern: threshold sign-ups in a window that share a registrable domain, or at a free-mail provider a shape that the shape_history before does not explain at the tail probability shape_tail.';
