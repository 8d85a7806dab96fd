-- One page that shows how things stand, for a browser, a mail or paper: raxx_detect.report_html(). It needs nothing from
-- elsewhere and runs no script; its policy forbids both, so that even a text that came through unescaped could do nothing.

CREATE FUNCTION raxx_detect.report_styles() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b2330;--quiet:#566274;--line:#dde2e9;--bar:#9fb0c4;--hit:#c8501a;--mark:#fde6d8;--usual:#1f62bf;--limit:#b01c1c;--unknown:#eceef1;--critical:#a01414;--high:#b5480f;--medium:#7a5a00;--low:#44566c;--good:#1c6b3c;--bad:#a01414}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--card:#1b212a;--ink:#e6eaf0;--quiet:#a2aebd;--line:#323b48;--bar:#5f7188;--hit:#f08a4b;--mark:#40291a;--usual:#74aaf2;--limit:#ff8080;--unknown:#262d38;--critical:#ff8a8a;--high:#f5a066;--medium:#e3c15a;--low:#a9bacd;--good:#7fd09b;--bad:#ff8a8a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .8rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:0;line-height:1.35}
p{margin:.4rem 0}.quiet,figcaption,.more,footer{color:var(--quiet);font-size:.875rem}.lead{font-size:1.1rem;margin:.6rem 0 1rem}
code{font:max(.85em,12px) ui-monospace,"DejaVu Sans Mono",monospace;background:var(--unknown);padding:.1em .3em;border-radius:3px}
a{color:var(--usual)}nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:1rem 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.tile b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums}.tile span{color:var(--quiet);font-size:.85rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr));gap:1rem}
.card{border-left-width:4px;min-width:0}.card.critical{border-left-color:var(--critical)}.card.high{border-left-color:var(--high)}.card.medium{border-left-color:var(--medium)}.card.low{border-left-color:var(--low)}
.badge{font-size:.75rem;font-weight:700;letter-spacing:.04em;text-transform:uppercase}.critical .badge,.is-critical{color:var(--critical)}.high .badge,.is-high{color:var(--high)}.medium .badge,.is-medium{color:var(--medium)}.low .badge,.is-low{color:var(--low)}
.is-good{color:var(--good)}.is-bad{color:var(--bad)}
.who{font-weight:600}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.5rem 0;font-size:.9rem}dt{color:var(--quiet)}dd{margin:0;min-width:0}
figure{margin:.7rem 0 .2rem}.plot{position:relative;height:96px;margin-left:3.2rem;border-bottom:1px solid var(--quiet)}svg{display:block;width:100%;height:100%}
.plot .top,.plot .zero{position:absolute;right:100%;margin-right:.35rem;font-size:.75rem;line-height:1;color:var(--quiet);white-space:nowrap;transform:translateY(50%)}.plot .zero{bottom:0}
.plot .limit{position:absolute;left:.2rem;font-size:.75rem;line-height:1.1;color:var(--limit)}.plot .below{transform:translateY(110%)}
.axis{display:flex;justify-content:space-between;margin-left:3.2rem;font-size:.75rem;color:var(--quiet)}
.bar{fill:var(--bar)}.hit{fill:var(--hit)}.mark{fill:var(--mark)}.unknown{fill:var(--unknown)}.usual,path.limit{fill:none;vector-effect:non-scaling-stroke;stroke-width:1.6}.usual{stroke:var(--usual)}path.limit{stroke:var(--limit);stroke-dasharray:5 4}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:8px;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.45rem .7rem;border-top:1px solid var(--line)}thead th{border-top:0;overflow-wrap:normal;color:var(--quiet);font-weight:600;font-size:.8rem}
table+.cards{margin-top:1rem}td{min-width:4.6rem}footer{padding-top:2rem;padding-bottom:2rem}
@media (max-width:44rem){.tiles{grid-template-columns:repeat(auto-fit,minmax(6.5rem,1fr));gap:.5rem}.tile{padding:.6rem .7rem}.tile b{font-size:1.3rem}main,header,footer{padding-left:.9rem;padding-right:.9rem}thead{display:none}tr{display:block;border-top:1px solid var(--line);padding:.5rem .2rem}tbody tr:first-child{border-top:0}td{min-width:0;display:grid;grid-template-columns:6.5rem 1fr;gap:.6rem;border:0;padding:.15rem .6rem}td::before{content:attr(data-label);color:var(--quiet);font-size:.8rem}}
@media print{:root{--paper:#fff;font-size:12px}body{font-size:1rem}main,header,footer{padding:0}.plot{height:72px}nav{display:none}.cards{grid-template-columns:1fr 1fr}.card,tr,.tile,figure{break-inside:avoid}h2{break-after:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
'
$$;
COMMENT ON FUNCTION raxx_detect.report_styles() IS 'How the page looks: on wide and narrow screens, in light and dark, on paper.';

CREATE FUNCTION raxx_detect.report_facts(finding raxx_detect.detection_findings, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT format('<dl>%s</dl>', string_agg(format('<dt>%s</dt><dd>%s</dd>', f.label, f.value), '' ORDER BY f.place))
        FROM (VALUES (1, 'When', raxx_detect.html_time(lower(finding.episode)) || coalesce(', ' || raxx_detect.html(raxx_detect.length_in_words(finding, at)), '')),
                     (2, 'Observed', raxx_detect.html(raxx_detect.amount_in_words(finding))),
                     (3, 'State', raxx_detect.html(raxx_detect.state_in_words(finding))),
                     (4, 'Verdict', raxx_detect.html(finding.verdict)),
                     (5, 'Escalate to', raxx_detect.html(finding.escalation_owner, 80))) f(place, label, value)
        WHERE f.value IS NOT NULL
    );
END $$;
COMMENT ON FUNCTION raxx_detect.report_facts(raxx_detect.detection_findings, timestamptz) IS 'What is known of a finding, as a list.';

CREATE FUNCTION raxx_detect.report_open(at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 30;
    finding raxx_detect.detection_findings;
    rule raxx_detect.rules;
    cards text := '';
    total bigint := (SELECT count(*) FROM raxx_detect.open_rows o WHERE o.detected_at <= at);
BEGIN
    FOR finding IN SELECT (o.finding).* FROM raxx_detect.open_rows o WHERE o.detected_at <= at
                   ORDER BY o.severity DESC, o.condition = 'cleared', o.finding_id DESC LIMIT most LOOP
        rule := (SELECT r FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id);
        cards := cards || format('<article class="card %s" id="f%s"><p class="badge">%s &middot; %s</p><h3>%s</h3><p class="who">%s</p><p>%s</p>%s%s%s<p class="quiet">finding %s of %s</p></article>',
            finding.severity, finding.finding_id, finding.severity, CASE finding.condition WHEN 'firing' THEN 'going on' WHEN 'cleared' THEN 'over' ELSE 'no data' END,
            coalesce(raxx_detect.html(rule.title, 160), ''), coalesce(nullif(raxx_detect.html(finding.entity, 280), ''), '(empty)'), raxx_detect.html(finding.summary),
            raxx_detect.report_facts(finding, at), coalesce(raxx_detect.html_chart(raxx_detect.series_or_null(finding)), ''),
            coalesce('<p class="quiet">First: ' || nullif(raxx_detect.html(regexp_replace(split_part(rule.runbook, E'\n', 1), '^[0-9]{1,2}[.] ', '')), '') || '</p>', ''),
            finding.finding_id, raxx_detect.html(finding.rule_id, 80));
    END LOOP;
    RETURN CASE WHEN total = 0 THEN '<p>None.</p>' ELSE format('<div class="cards">%s</div>', cards) END
        || raxx_detect.html_more(total, most, 'SELECT * FROM raxx_detect.open_findings');
END $$;
COMMENT ON FUNCTION raxx_detect.report_open(timestamptz) IS 'The open findings, the worst first, what goes on before what is over: 30 of them, each with its chart.';

CREATE FUNCTION raxx_detect.report_rules(at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 40;
    rule raxx_detect.rules;
    newest raxx_detect.detection_findings;
    cards text := '';
    total bigint := (SELECT count(*) FROM raxx_detect.rules r WHERE r.state IN ('live', 'placeholder'));
    chart text;
    about text;
BEGIN
    FOR rule IN SELECT r.* FROM raxx_detect.rules r WHERE r.state IN ('live', 'placeholder') ORDER BY r.number NULLS LAST, r.rule_id LIMIT most LOOP
        newest := (SELECT f FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.detected_at <= at ORDER BY lower(f.episode) DESC, f.finding_id DESC LIMIT 1);
        chart := CASE WHEN newest.finding_id IS NOT NULL THEN raxx_detect.html_chart(raxx_detect.series_or_null(newest)) END;
        about := CASE WHEN newest.finding_id IS NULL THEN 'It has found nothing.'
                      ELSE format('Its last finding: %s, %s.', raxx_detect.html(raxx_detect.printable(newest.entity), 80), raxx_detect.html_time(lower(newest.episode))) END;
        IF chart IS NULL THEN
            chart := raxx_detect.html_chart(raxx_detect.source_series((raxx_detect.judged_sources(rule))[1], at));
        END IF;
        cards := cards || format('<article class="card"><h3>%s</h3><p class="quiet">%s, %s: %s</p>%s<p class="quiet">%s %s open. Looked up to %s.</p></article>',
            raxx_detect.html(rule.title, 160), raxx_detect.html(rule.rule_id, 80), rule.state, raxx_detect.html(rule.state_reason, 300), coalesce(chart, ''), about,
            (SELECT count(*) FROM raxx_detect.open_rows o WHERE o.rule_id = rule.rule_id AND o.detected_at <= at),
            raxx_detect.html_time((SELECT min(v.looked_to) FROM raxx_detect.judged v WHERE v.rule_id = rule.rule_id)));
    END LOOP;
    RETURN CASE WHEN total = 0 THEN '<p>No rule is live.</p>' ELSE format('<div class="cards">%s</div>', cards) END
        || raxx_detect.html_more(total, most, 'SELECT * FROM raxx_detect.status');
END $$;
COMMENT ON FUNCTION raxx_detect.report_rules(timestamptz) IS 'The rules that judge, each with the chart of its newest finding, or if it has none, or none that can be drawn, of its source''s rows per hour.';

CREATE FUNCTION raxx_detect.report_table(header text[], cells jsonb, most int, see text, otherwise text, total bigint DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(raxx_detect.html_table(header, (SELECT jsonb_agg(e.value ORDER BY e.place) FROM jsonb_array_elements(cells) WITH ORDINALITY e(value, place) WHERE e.place <= most)),
                    format('<p>%s</p>', raxx_detect.html(otherwise)))
           || raxx_detect.html_more(coalesce(total, jsonb_array_length(cells), 0), most, see)
$$;
COMMENT ON FUNCTION raxx_detect.report_table(text[], jsonb, int, text, text, bigint) IS 'A table of at most so many rows, or what is said if there are none; total: how many there are, where the cells are not all.';

CREATE FUNCTION raxx_detect.report_health() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.report_table('{Rule,Sees,Why,Blind minutes,Errors,Last error}', jsonb_agg(jsonb_build_array(h.rule_id, CASE WHEN h.healthy THEN to_jsonb('yes'::text) ELSE '{"bad": "NO"}' END,
               h.reason, h.blind_minutes, h.errors, h.last_error) ORDER BY h.healthy, h.rule_id), 60, 'SELECT * FROM raxx_detect.health', 'No rule is expected to see.')
    FROM raxx_detect.health_now() h WHERE h.healthy IS NOT NULL
$$;
COMMENT ON FUNCTION raxx_detect.report_health() IS 'Whether the rules that judge can see, those that cannot first.';

CREATE FUNCTION raxx_detect.report_sources(at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH sources AS MATERIALIZED (
        SELECT s.* FROM raxx_detect.sources_now() s WHERE s.bound
    )
    SELECT raxx_detect.report_table('{Source,Relation,Last event,Missing}', (SELECT jsonb_agg(jsonb_build_array(s.source, s.relation::text,
               jsonb_build_object('time', CASE WHEN isfinite(s.last_event) THEN s.last_event END), s.missing) ORDER BY s.missing IS NULL, s.source) FROM sources s),
               60, 'SELECT * FROM raxx_detect.sources', 'No source is bound: SELECT * FROM raxx_detect.autobind()')
        || coalesce((SELECT format('<div class="cards">%s</div>', string_agg(format('<article class="card"><h3>%s</h3>%s</article>', raxx_detect.html(c.source, 80), c.chart), '' ORDER BY c.source))
                     FROM (SELECT s.source, raxx_detect.html_chart(raxx_detect.source_series(s.source, at)) AS chart FROM sources s ORDER BY s.source LIMIT 30) c
                     WHERE c.chart IS NOT NULL), '')
$$;
COMMENT ON FUNCTION raxx_detect.report_sources(timestamptz) IS 'What is bound, up to when it has rows, and how many an hour.';

CREATE FUNCTION raxx_detect.report_waiting() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.report_table('{Rule,State,Since,Reason}', jsonb_agg(jsonb_build_array(r.rule_id, r.state, jsonb_build_object('time', r.state_since), r.state_reason)
               ORDER BY r.number NULLS LAST, r.rule_id), 60, 'SELECT * FROM raxx_detect.status', 'None: every rule is at work.')
    FROM raxx_detect.rules r WHERE r.state NOT IN ('live', 'placeholder')
$$;
COMMENT ON FUNCTION raxx_detect.report_waiting() IS 'The rules that are not at work, and why.';

CREATE FUNCTION raxx_detect.report_chains() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.report_table('{Chain of,Entries,Intact to,Verified,Newest checkpoint}', jsonb_agg(jsonb_build_array(c.value ->> 'relation', c.value ->> 'seq', c.value ->> 'intact_to',
               jsonb_build_object('time', c.value ->> 'verified_at'), c.value ->> 'line') ORDER BY c.place), 30, 'SELECT raxx_detect.digest_chains()', 'No hash chain is attached.')
    FROM jsonb_array_elements(raxx_detect.digest_chains()) WITH ORDINALITY c(value, place)
$$;
COMMENT ON FUNCTION raxx_detect.report_chains() IS 'The hash chains: how far each goes, and how far it is intact.';

CREATE FUNCTION raxx_detect.report_ended(at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH ended AS (
        SELECT f.finding_id, f.severity, f.rule_id, f.entity, lower(f.episode) AS began, f.disposition, count(*) OVER () AS total
        FROM raxx_detect.detection_findings f
        WHERE f.triage = 'closed' AND f.detected_at > at - interval '30 days' AND f.detected_at <= at AND NOT raxx_detect.is_trial(f.rule_id)
        ORDER BY f.finding_id DESC LIMIT 40
    )
    SELECT raxx_detect.report_table('{Finding,Severity,Rule,About,Began,Disposition}', jsonb_agg(jsonb_build_array(e.finding_id, e.severity, e.rule_id, raxx_detect.printable(e.entity),
               jsonb_build_object('time', CASE WHEN isfinite(e.began) THEN e.began END), replace(e.disposition, '_', ' ')) ORDER BY e.finding_id DESC), 40, 'SELECT * FROM raxx_detect.finding_summary', 'None.', max(e.total))
    FROM ended e
$$;
COMMENT ON FUNCTION raxx_detect.report_ended(timestamptz) IS 'What was found in the 30 days before and has been closed.';

CREATE FUNCTION raxx_detect.report_top(at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH findings AS MATERIALIZED (
        SELECT f.severity, f.condition FROM raxx_detect.open_rows f WHERE f.detected_at <= at
    ), health AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE h.healthy) AS sees, count(*) FILTER (WHERE NOT h.healthy) AS blind, max(h.blind_minutes) FILTER (WHERE h.healthy IS NOT NULL) AS minutes FROM raxx_detect.health_now() h
    )
    SELECT format('<p class="lead"><strong>%s</strong> %s</p><div class="tiles">%s</div>',
        CASE WHEN o.n = 0 THEN 'Nothing is open.' ELSE format('%s open: %s.', CASE WHEN o.n = 1 THEN '1 finding is' ELSE o.n || ' findings are' END, o.by_severity) END,
        CASE WHEN h.blind > 0 THEN format('<span class="is-bad">%s cannot see: do not take their silence for calm.</span>', CASE WHEN h.blind = 1 THEN '1 rule' ELSE h.blind || ' rules' END)
             WHEN h.sees = 0 THEN '<span class="is-bad">No rule sees yet.</span>' ELSE format('<span class="is-good">All %s rules that judge can see.</span>', h.sees) END,
        (SELECT string_agg(format('<div class="tile"><b class="is-%s">%s</b><span>%s, open</span></div>', e.severity, (SELECT count(*) FROM findings f WHERE f.severity = e.severity), e.severity), '' ORDER BY e.severity DESC)
         FROM unnest(enum_range(NULL::raxx_detect.severity)) e(severity))
        || format('<div class="tile"><b>%s</b><span>going on</span></div><div class="tile"><b class="is-%s">%s of %s</b><span>rules see</span></div><div class="tile"><b>%s</b><span>blind minutes, last day</span></div>',
                  o.firing, CASE WHEN h.blind > 0 THEN 'bad' ELSE 'good' END, h.sees, h.sees + h.blind, coalesce(h.minutes, 0)))
    FROM (SELECT count(*) AS n, count(*) FILTER (WHERE f.condition = 'firing') AS firing, raxx_detect.counts_by_severity(array_agg(f.severity)) AS by_severity FROM findings f) o, health h
$$;
COMMENT ON FUNCTION raxx_detect.report_top(timestamptz) IS 'How things stand, in a sentence and in figures.';

CREATE FUNCTION raxx_detect.report_hushed(at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.report_table('{What,Rule,About,Reason,By,Until}', raxx_detect.hushed(at), 60, 'SELECT * FROM raxx_detect.silences', 'Nothing is silenced, excepted or downgraded.')
$$;
COMMENT ON FUNCTION raxx_detect.report_hushed(timestamptz) IS 'What is not told, or told more quietly than it was found.';

CREATE FUNCTION raxx_detect.report_html(as_of timestamptz DEFAULT now()) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET jit = off AS $$
DECLARE
    sections text;
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    SELECT string_agg(format('<section id="%s"><h2>%s</h2>%s</section>', s.id, s.title, s.content), E'\n' ORDER BY s.place) INTO sections
    FROM (VALUES (1, 'open', 'Open findings', raxx_detect.report_open(as_of)), (2, 'hushed', 'Silenced, excepted, downgraded', raxx_detect.report_hushed(as_of)),
                 (3, 'rules', 'What each rule watches', raxx_detect.report_rules(as_of)), (4, 'health', 'Health', raxx_detect.report_health()),
                 (5, 'sources', 'Coverage', raxx_detect.report_sources(as_of)), (6, 'waiting', 'Rules that are not at work', raxx_detect.report_waiting()),
                 (7, 'chains', 'Hash chains', raxx_detect.report_chains()), (8, 'closed', 'Closed in the last 30 days', raxx_detect.report_ended(as_of))) s(place, id, title, content);
    RETURN concat(
        '<!DOCTYPE html>' || E'\n' || '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''; base-uri ''none''; form-action ''none''">',
        '<meta name="referrer" content="no-referrer">',
        format('<title>raxx_detect: %s</title><style>%s</style></head><body>', to_char(as_of, 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.report_styles()),
        format('<header><h1>raxx_detect</h1><p class="quiet">Database %s, as of %s</p>', raxx_detect.html(current_database()::text, 80), raxx_detect.html_time(as_of)), raxx_detect.report_top(as_of),
        '<nav><a href="#open">Open findings</a><a href="#hushed">Silences</a><a href="#rules">Rules</a><a href="#health">Health</a><a href="#sources">Coverage</a><a href="#waiting">Not at work</a><a href="#chains">Chains</a><a href="#closed">Closed</a></nav></header>',
        E'\n<main>', sections, E'</main>\n<footer>Times are in UTC. Health is that of the moment when the page was made. SELECT raxx_detect.report_html()</footer></body></html>\n');
END $$;
COMMENT ON FUNCTION raxx_detect.report_html(timestamptz) IS
'A page (HTML, whole and self-contained: no script, nothing from elsewhere) of how things stand: open findings with charts, what is silenced, a chart of what each rule watches with what is usual and the limit, health, coverage, rules that are not at work and why, hash chains, what was closed. Of findings found up to as_of, as they are now; health and triage are those of the moment of the call. Bounded: what does not fit is counted, and where it is is said. Whatever the session''s settings the same text; in a UTF-8 database pure ASCII. Reads sources as raxx_detect.finding_series does, with the caller''s rights, and leaves out charts of what the caller may not read. Errors: 22023 as_of is not a finite time.';
