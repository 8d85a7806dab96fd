-- The page of report_html: that it is well formed whatever anybody has written, holds no script and asks for nothing, is the same in
-- any session, and stays small.
BEGIN;
SELECT plan(50);
SET LOCAL timezone = 'UTC';
SET LOCAL client_encoding = 'UTF8';

-- ---- one way into HTML ----------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.html('<script>alert("1")</script>'), '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;', 'no element');
SELECT is(raxx_detect.html('" onload=''x'' &lt; &'), '&quot; onload=&#39;x&#39; &amp;lt; &amp;', 'no attribute, and no reference');
SELECT is(raxx_detect.html(E'a\u0001\u0008\u001f\u007f\ufffe\uffffb'), 'a??????b', 'nothing that XML does not have');
SELECT is(raxx_detect.html(E'\u202efdp.exe\u2066\u200d'), '?fdp.exe??', 'nothing that turns or hides');
SELECT is(raxx_detect.html(U&'M\00fcller \4e2d\+01f600'), 'M&#252;ller &#20013;&#128512;', 'by number what is not ASCII');
SELECT is(raxx_detect.html(repeat('<', 1000), 10), repeat('&lt;', 7) || '...', 'cut before it is escaped');
SELECT is(raxx_detect.html(NULL), NULL, 'NULL for NULL');
SELECT is(raxx_detect.html_time('2026-11-30 13:15:59+00'), '<time datetime="2026-11-30T13:15:59Z">Mon 30 Nov 2026, 13:15 UTC</time>', 'a time');
SELECT is(raxx_detect.html_time(t), '&ndash;', 'none of ' || coalesce(t::text, 'NULL')) FROM unnest('{infinity,-infinity,294276-01-01,0044-03-15 BC,NULL}'::timestamptz[]) t;

SELECT is(raxx_detect.html_table('{a<b}', '[["time"], ["bad"], [null], ["<i>"], [{"bad": "<NO>"}], [{"time": null}], ["a_b"]]'), '<table><thead><tr><th scope="col">a&lt;b</th></tr></thead><tbody>'
    || (SELECT string_agg(format('<tr><td data-label="a&lt;b"%s</td></tr>', c), '' ORDER BY n) FROM unnest(ARRAY['>time', '>bad', '>&ndash;', '>&lt;i&gt;', ' class="is-bad">&lt;NO&gt;', '>&ndash;', '>a_<wbr>b']) WITH ORDINALITY u(c, n))
    || '</tbody></table>', 'a table says what is in it, whatever the words');

-- ---- charts -----------------------------------------------------------------------------------------------------------------
-- As a document of XML, which is stricter than a browser.
CREATE FUNCTION pg_temp.document(html text) RETURNS xml LANGUAGE sql AS $$
    SELECT xmlparse(DOCUMENT '<!DOCTYPE html [<!ENTITY ndash "-"><!ENTITY middot ".">]>' || regexp_replace(replace(html, '<!DOCTYPE html>', ''), '<(meta|wbr)([^>]*)>', '<\1\2/>', 'g')) $$;
CREATE FUNCTION pg_temp.find(html text, path text) RETURNS text[] LANGUAGE sql AS $$ SELECT xpath(path, pg_temp.document(html))::text[] $$;
CREATE TEMP TABLE charts AS SELECT s AS series, raxx_detect.html_chart(s::jsonb) AS html FROM unnest(ARRAY[
    '{"unit": "rows", "of": "rows of <a> & \"b\"", "bucket_seconds": 300, "from": "2026-11-27T13:00:00Z", "values": [1, 2, null, 0, 10], "usual": [1, 1, 1.5, null, 2], "limit": 5, "mark_from": "2026-11-27T13:20:00Z", "mark_to": "2026-11-27T13:22:00Z"}',
    '{"unit": "rows", "bucket_seconds": 3600, "from": "2026-11-27T13:00:00Z", "values": [0, 0, 0]}',
    '{"unit": "rows", "bucket_seconds": 3600, "from": "2026-11-27T13:00:00Z", "values": [1e308, -1e308, 1.7e308], "limit": 1.7e308, "mark_from": "2026-11-27T14:00:00Z", "mark_to": null}',
    '{"unit": "rows", "bucket_seconds": 3600, "from": "2026-11-27T13:00:00Z", "values": [1e-300, 5e-324], "usual": null, "limit": null, "mark_from": null}',
    '{"unit": "rows", "bucket_seconds": 60, "from": "2026-11-27T13:00:00Z", "values": [1, 2], "mark_from": "2020-01-01T00:00:00Z", "mark_to": "2020-01-02T00:00:00Z"}']) s;
SELECT is((SELECT count(*) FROM charts WHERE array_length(pg_temp.find(html, '/figure/div/svg'), 1) = 1), 5::bigint, 'each is a well-formed picture');
SELECT is(pg_temp.find(html, '//svg/@viewBox'), '{"0 0 50 100"}', 'ten units a bucket') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path[@class="hit"]/@d'), '{"M41 100V13.8h8V100z"}', 'the bar within the finding is marked') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path[@class="bar"]/@d'), '{"M1 100V91.4h8V100zM11 100V82.8h8V100z"}', 'the others are not, and nothing is nothing') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//rect/@x | //rect/@width'), '{40,4}', 'the stretch is shaded') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path[@class="usual"]/@d'), '{"M0 91.4h10L10 91.4h10L20 87.1h10M40 82.8h10"}', 'a line of what is usual, where it is known') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path[@class="limit"]/@d'), '{"M0 56.9H50"}', 'and of the limit') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path[@class="unknown"]/@d'), '{"M20 0h10v100h-10z"}', 'grey where nothing is known') FROM charts LIMIT 1;
SELECT is((pg_temp.find(html, '//figcaption/text()'))[1], 'rows of &lt;a&gt; &amp; "b", per 5 min; the most 10; line: what is usual; dashed: the limit, 5; shaded: the finding; grey: not known', 'in words') FROM charts LIMIT 1;
SELECT is(pg_temp.find(html, '//path'), '{}', 'no bars where nothing is') FROM charts WHERE series LIKE '%[0, 0, 0]%';
SELECT is_empty('SELECT html FROM charts WHERE html ~* ''nan|infinity|null''', 'no number is none');
SELECT is(raxx_detect.html_chart(s), NULL, 'nothing to draw in ' || s::text) FROM unnest('{"{}","{\"values\": [null], \"from\": \"2026-11-27T13:00:00Z\", \"bucket_seconds\": 1}"}'::jsonb[]) s;
SELECT is(raxx_detect.html_chart('{"error": "42501: <no>"}'), '<p class="more">No chart: 42501: &lt;no&gt;</p>', 'or what kept it from being had');

-- ---- the page, of hostile findings and rules ----------------------------------------------------------------------------
DO $$ BEGIN PERFORM raxx_detect.create_source_table('waitlist_signups', 'public.waitlist_signups'); END $$;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '3 hours' + n * interval '5 seconds', 'p' || n || '@c' || n || '.example', o
FROM generate_series(1, 30) n, unnest(ARRAY['"><img src=x onerror=alert(1)>', E'</style></section><script>alert(1)</script>\u202e', U&'\+01f600\00fc', '&lt;b&gt;', E'\n', '']) o;
DO $$ BEGIN PERFORM raxx_detect.run_all(); END $$;
UPDATE raxx_detect.rules SET title = '<script src=//x.example></script>', state_reason = '<iframe src="x">', runbook = '1. <b onclick="x">' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
CREATE TEMP TABLE page AS SELECT raxx_detect.report_html() AS html;
SELECT matches(html, '^<!DOCTYPE html>\n.*</html>\n$', 'a page, whole') FROM page;
SELECT matches(html, E'^[\\n -~]*$', 'in ASCII') FROM page;
SELECT is(array_length(pg_temp.find(html, '/html/body/main/section'), 1), 8, 'well formed, with its sections') FROM page;
SELECT is(pg_temp.find(html, '//script | //iframe | //img | //link | //object | //b[@onclick] | //form | //base'), '{}', 'nothing in it that runs or is fetched') FROM page;
SELECT is(pg_temp.find(html, '//@*[starts-with(name(), "on") or name() = "src" or (name() = "href" and not(starts-with(., "#")))]'), '{}', 'no attribute does, either') FROM page;
SELECT unalike(html, '%url(%', 'nor a style') FROM page;
SELECT is(pg_temp.find(html, '//meta[@http-equiv]/@content'), ARRAY['default-src ''none''; style-src ''unsafe-inline''; base-uri ''none''; form-action ''none'''], 'and a browser is told not to run or fetch any') FROM page;
SELECT set_eq($$ SELECT unnest(pg_temp.find(html, '//*[@id="open"]//*[@class="who"]/text()')) FROM page $$,
    ARRAY['"&gt;&lt;img src=x onerror=alert(1)&gt;', '&lt;/style&gt;&lt;/section&gt;&lt;script&gt;alert(1)&lt;/script&gt;?', U&'\+01f600\00fc', '&amp;lt;b&amp;gt;', '(empty)'], 'each entity is shown as what it is');
SELECT is(array_length(pg_temp.find(html, '//*[@id="open"]//svg'), 1), 6, 'each finding with its chart') FROM page;
SELECT matches((pg_temp.find(html, '//*[@class="lead"]/strong/text()'))[1], '^6 findings are open: 6 high\.$', 'the first line says how many') FROM page;

-- ---- the same page, whoever asks ------------------------------------------------------------------------------------------
SELECT is(raxx_detect.report_html(), (SELECT html FROM page), 'twice the same');
SET LOCAL timezone = 'Asia/Kathmandu';
SET LOCAL datestyle = 'German';
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL extra_float_digits = -5;
SET LOCAL search_path = pg_temp;
SET LOCAL standard_conforming_strings = off;
SET LOCAL escape_string_warning = off;
SET LOCAL enable_indexscan = off;
CREATE TEMP TABLE other AS SELECT raxx_detect.report_html() AS html;
SET LOCAL standard_conforming_strings = on;
SET LOCAL search_path = public, pg_temp;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
RESET enable_indexscan;
SELECT is((SELECT html FROM other), (SELECT html FROM page), 'whatever the settings are');
SELECT throws_ok(format('SELECT raxx_detect.report_html(%L)', t), '22023', 'as_of must be a finite time', 'not as of ' || coalesce(t, 'NULL')) FROM unnest('{infinity,NULL}'::text[]) t;
SELECT alike(raxx_detect.report_html(now() - interval '1 day'), '%Nothing is open.%', 'as of the day before nothing had been found');

-- ---- what is not told -------------------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.silences (rule_id, entity, until, reason) VALUES (NULL, '<i>', now() + interval '1 hour', 'a <b>load</b> test');
SELECT is((pg_temp.find(raxx_detect.report_html(), '//*[@id="hushed"]//td/text()'))[1:4], ARRAY['silence', 'any rule', '&lt;i&gt;', 'a &lt;b&gt;load&lt;/b&gt; test'], 'silences in force are on it');
SELECT is((pg_temp.find(raxx_detect.report_html(now() + interval '2 hours'), '//*[@id="hushed"]/p/text()'))[1], 'Nothing is silenced, excepted or downgraded.', 'and no others');

-- ---- many, and impossible ones ----------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, condition, triage, disposition, occurrences, escalation_owner, detected_at)
SELECT 'auth_passkey_enumeration', repeat('<', 1000), 'auth', 'passkey_begin_events', 'critical', n || repeat(E'<\u00fc"', 5000),
       CASE n % 3 WHEN 0 THEN tstzrange('-infinity', 'infinity') WHEN 1 THEN tstzrange('4713-01-01 BC', '294276-01-01') ELSE tstzrange(now() + interval '1 year', NULL) END,
       CASE n % 2 WHEN 0 THEN 'NaN' ELSE 'Infinity' END::float8, '-Infinity', repeat('>', 5000), 'NaN', 'baseline', 9223372036854775807, repeat(E'"\u202e<', 5000), '{"conditions": []}', 'firing',
       CASE WHEN n > 400 THEN 'closed' ELSE 'new' END, CASE WHEN n > 400 THEN 'benign' END, 1, repeat('&', 1000), now() - interval '1 hour' FROM generate_series(1, 500) n;
UPDATE raxx_detect.rules SET state_reason = repeat(E'<\u00fc"', 5000), title = repeat(E'<\u00fc"', 5000), runbook = repeat(E'<\u00fc"', 5000);
TRUNCATE page;
INSERT INTO page SELECT raxx_detect.report_html();
SELECT cmp_ok(length(html), '<', 1000000, 'stays small') FROM page;
SELECT is(array_length(pg_temp.find(html, '//article[starts-with(@class, "card critical")]'), 1), 30, 'with as many findings as somebody reads') FROM page;
SELECT is((pg_temp.find(html, '//*[@id="open"]/p/text()'))[1], 'and 376 more: ', 'and the number of the others') FROM page;
SELECT is((pg_temp.find(html, '//*[@id="closed"]/p/text()'))[1], 'and 60 more: ', 'of closed ones, too') FROM page;

-- ---- who may look ----------------------------------------------------------------------------------------------------------
CREATE ROLE report_reader;
GRANT USAGE ON SCHEMA raxx_detect TO report_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO report_reader;
DELETE FROM raxx_detect.detection_findings WHERE det_id LIKE '<%';
SET LOCAL ROLE report_reader;
CREATE TEMP TABLE seen AS SELECT raxx_detect.report_html() AS html;
RESET ROLE;
SELECT matches((pg_temp.find(html, '//*[@id="open"]//*[@class="more"]/text()'))[1], '^No chart: 42501: permission denied', 'who may read no source has the page, which says what it lacks') FROM seen;
SELECT * FROM finish();
ROLLBACK;
