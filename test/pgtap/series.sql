-- The series of a finding: for every fixture that fires it is what plain SQL makes of the fixture's own rows; it costs no scan,
-- it does not depend on the session, and no row, entity or episode makes it fail.
BEGIN;
SELECT plan(76);
SET LOCAL timezone = 'UTC';

-- ---- all fixtures ----------------------------------------------------------------------------------------------------------
-- A fixture's rows as they are in its file, without a table: when, and whether, or with what, they count for a finding.
CREATE FUNCTION pg_temp.counting_rows(number int, fixture jsonb, f raxx_detect.detection_findings, OUT at timestamptz, OUT value text, OUT is_counted boolean)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT (r ->> 'event_time')::timestamptz,
           CASE number WHEN 1 THEN r ->> 'email' WHEN 3 THEN r ->> 'permission' WHEN 10 THEN r ->> 'dyno_hours' WHEN 14 THEN r ->> 'dyno' END,
           coalesce(CASE WHEN number IN (1, 2) THEN raxx_detect.client_network((r ->> 'ip')::inet, 32, 64) = f.entity
                WHEN number = 3 THEN r ->> 'operator' = f.entity AND (f.unit <> 'denials of elevated permissions' OR r ->> 'permission' ~ ':(admin|write)$')
                WHEN number = 4 THEN r ->> 'origin' = f.entity
                WHEN number = 5 THEN (SELECT f.entity IN (p.registrable_domain, p.shape || '@' || p.registrable_domain) FROM raxx_detect.email_pattern(r ->> 'email') p)
                WHEN number = 6 THEN true
                WHEN number = 8 THEN r ->> 'route' = f.entity
                WHEN number = 10 THEN r ->> 'app' = f.entity AND r ->> 'dyno_hours' <> 'NaN'
                WHEN number = 12 THEN r ->> 'signature_valid' = 'false'
                WHEN number = 13 THEN r ->> 'outcome' = 'hard_bounce'
                WHEN number = 14 THEN r ->> 'app' = f.entity AND coalesce(r ->> 'cause', '') NOT IN ('deploy', 'manual_scale')
                    AND NOT EXISTS (SELECT FROM raxx_detect.fixture_rows(fixture, 'deploy_events') d WHERE d ->> 'app' = f.entity
                        AND abs(extract(epoch FROM (d ->> 'event_time')::timestamptz - (r ->> 'event_time')::timestamptz)) <= 600)
                WHEN number = 16 THEN r ->> 'country' = CASE f.entity WHEN '(mix)' THEN 'BR' ELSE f.entity END
                WHEN number = 17 THEN r ->> 'account' = f.entity END, false)
    FROM raxx_detect.fixture_rows(fixture, f.source) r
$$;
CREATE FUNCTION pg_temp.twin(number int, fixture jsonb, f raxx_detect.detection_findings, series jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH frame AS (  -- what is shown is to the second; bursts are counted from the instant on
        SELECT b.length, CASE WHEN number = 6 THEN s.shown
                              ELSE lower(f.episode) - round(extract(epoch FROM lower(f.episode) - s.shown) / extract(epoch FROM b.length))::int * b.length END AS starts,
               CASE WHEN number IN (6, 10, 13) OR f.entity = '(mix)' THEN '[)' ELSE '(]' END AS bounds
        FROM (SELECT (series ->> 'from')::timestamptz AS shown) s, (SELECT (series ->> 'bucket_seconds')::float8 * interval '1 second' AS length) b
    ), counted AS MATERIALIZED (
        SELECT c.at, c.value FROM pg_temp.counting_rows(number, fixture, f) c, frame
        WHERE c.is_counted AND c.at BETWEEN frame.starts AND frame.starts + jsonb_array_length(series -> 'values') * frame.length
    )
    SELECT jsonb_agg(CASE WHEN number IN (1, 14) OR f.unit = 'distinct permissions denied' THEN to_jsonb(v.distinct_values)
                          WHEN number = 10 THEN to_jsonb(v.average) ELSE to_jsonb(v.rows) END ORDER BY i)
    FROM frame CROSS JOIN generate_series(0, jsonb_array_length(series -> 'values') - 1) i
    CROSS JOIN LATERAL (SELECT count(*) AS rows, count(DISTINCT c.value) AS distinct_values,
                               avg(CASE WHEN number = 10 THEN c.value::numeric END)::float8 AS average
                        FROM counted c WHERE c.at <@ tstzrange(starts + i * length, starts + (i + 1) * length, bounds)) v
$$;
CREATE FUNCTION pg_temp.shown(rule raxx_detect.rules, name text, fixture jsonb, OUT number int, OUT fixture_name text, OUT finding jsonb, OUT series jsonb, OUT twin jsonb)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    shown jsonb;
    number int := rule.number;
BEGIN
    BEGIN
        rule.rule_id := rule.rule_id || ' (self-test)'; rule.det_id := rule.det_id || ' (self-test)'; rule.number := NULL; rule.state := 'dormant';
        rule.params := rule.params || coalesce(fixture -> 'params', '{}');
        INSERT INTO raxx_detect.rules SELECT rule.*;
        PERFORM raxx_detect.load_fixture(fixture);
        IF fixture ? 'chain' THEN
            PERFORM raxx_detect.load_fixture_chain(fixture);
        END IF;
        PERFORM raxx_detect.run_rule(rule.rule_id, (fixture ->> 'start')::timestamptz + (fixture ->> 'as_of')::interval);
        shown := (SELECT jsonb_agg(jsonb_build_array(to_jsonb(f), s.series, CASE WHEN s.series IS NOT NULL THEN pg_temp.twin(number, fixture, f, s.series) END))
                  FROM raxx_detect.detection_findings f CROSS JOIN LATERAL (SELECT raxx_detect.finding_series(f) AS series) s WHERE f.rule_id = rule.rule_id);
        RAISE EXCEPTION USING ERRCODE = 'RX000';
    EXCEPTION WHEN SQLSTATE 'RX000' THEN NULL;
    END;
    RETURN QUERY SELECT number, name, x -> 0, nullif(x -> 1, 'null'), nullif(x -> 2, 'null') FROM jsonb_array_elements(shown) x;
END $$;
CREATE TEMP TABLE shown AS
SELECT s.* FROM raxx_detect.rules r JOIN raxx_detect.fixtures f USING (rule_id) CROSS JOIN LATERAL pg_temp.shown(r, f.name, f.fixture) s
WHERE f.fixture -> 'expect' <> '[]' AND raxx_detect.fixture_lacks(f.fixture) IS NULL;

SELECT cmp_ok(count(*), '>=', 100::bigint, 'fixtures have findings') FROM shown;
SELECT set_eq('SELECT DISTINCT number FROM shown WHERE series IS NOT NULL', 'SELECT * FROM unnest(''{1,2,3,4,5,6,8,9,10,12,13,14,16,17}''::int[])', 'of rules that have a series');
SELECT is_empty('SELECT number, fixture_name, finding FROM shown WHERE (series IS NULL) <> (number IN (7, 11, 15))', 'all findings of them have one, and none of the others');
SELECT is_empty('SELECT number, fixture_name, series -> ''values'', twin FROM shown WHERE number NOT IN (9) AND series -> ''values'' IS DISTINCT FROM twin',
    'each is what plain SQL makes of the rows');
SELECT is_empty($$SELECT number, fixture_name, series FROM shown WHERE series IS NOT NULL AND ARRAY(SELECT jsonb_object_keys(series)) <>
    ARRAY(SELECT k FROM unnest('{of,from,unit,limit,usual,values,mark_to,mark_from,bucket_seconds}'::text[]) k)$$, 'in the agreed form');
SELECT is_empty($$SELECT number, fixture_name, series FROM shown WHERE series IS NOT NULL AND NOT (
    jsonb_array_length(series -> 'values') BETWEEN 4 AND 48 AND (series ->> 'bucket_seconds')::float8 * jsonb_array_length(series -> 'values') <= 14 * 86400
    AND (series -> 'usual' = 'null' OR jsonb_array_length(series -> 'usual') = jsonb_array_length(series -> 'values'))
    AND series ->> 'from' < series ->> 'mark_from' AND coalesce(series ->> 'mark_from' <= series ->> 'mark_to', true)
    AND series ->> 'from' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' AND series ->> 'unit' <> '' AND series ->> 'of' <> '')$$, 'of up to 48 buckets and 14 days, with the moment in it');
-- The bucket that ends where an episode of one condition begins is the window that made it begin.
SELECT is_empty($$SELECT number, fixture_name, finding -> 'episode', series FROM shown
    CROSS JOIN LATERAL (SELECT round(extract(epoch FROM lower((finding ->> 'episode')::tstzrange) - (series ->> 'from')::timestamptz) / (series ->> 'bucket_seconds')::numeric)::int AS before) b
    WHERE number IN (1, 2, 4, 5, 8, 14, 16, 17) AND series -> 'limit' <> 'null' AND NOT (series -> 'values' -> (before - 1))::float8 >= (series -> 'limit')::float8$$,
    'and reaches the limit');
SELECT cmp_ok(count(*), '>=', 25::bigint, 'which most have') FROM shown WHERE number IN (1, 2, 4, 5, 8, 14, 16, 17) AND series -> 'limit' <> 'null';
SELECT cmp_ok(count(*), '>=', 20::bigint, 'series have what is usual') FROM shown WHERE series -> 'usual' <> 'null';

SELECT is((series ->> 'unit', series ->> 'of', (series ->> 'limit')::float8, (series ->> 'bucket_seconds')::numeric),
    ('sign-ups'::text, 'rows of waitlist_signups with this origin'::text, 20::float8, 300::numeric), 'in words') FROM shown WHERE number = 4 AND fixture_name = 'positive';
SELECT is((series ->> 'mark_from', series ->> 'mark_to', series ->> 'from', series ->> 'limit'),
    ('2026-06-04T16:00:00Z'::text, '2026-06-04T16:47:00Z'::text, '2026-06-04T14:00:00Z'::text, NULL::text), 'a silence has its own buckets, and minutes are no limit of rows')
FROM shown WHERE number = 6 AND fixture_name = 'closed';
SELECT is((SELECT jsonb_agg(DISTINCT u) FROM jsonb_array_elements(series -> 'usual') u), '[1]', 'an event in half an hour is usual') FROM shown WHERE number = 6 AND fixture_name = 'off_hours_baseline';
SELECT is((SELECT jsonb_agg(DISTINCT u) FROM jsonb_array_elements(series -> 'usual') u), jsonb_build_array(round((finding -> 'evidence' -> 'baseline' ->> 'mean')::numeric, 6)),
    'of a burst the mean of its baseline') FROM shown WHERE number = 4 AND fixture_name = 'positive_baseline';
SELECT is((series - '{values,usual}'::text[], series -> 'values', series -> 'usual' -> 0),
    ('{"unit": "milliseconds", "bucket_seconds": 86400, "from": "2026-05-27T00:00:00Z", "limit": 25, "mark_from": "2026-06-03T23:00:00Z", "mark_to": null, "of": "the 0.99 quantile of statement times by day; the last is what was found"}'::jsonb,
     '[20, 20, 20, 20, 20, 20, 20, 20, 30]'::jsonb, '20'::jsonb), 'a drift is of days') FROM shown WHERE number = 9 AND fixture_name = 'positive_baseline';
SELECT is((series ->> 'of', series ->> 'limit', (SELECT sum(v::float8) FROM jsonb_array_elements(series -> 'values') WITH ORDINALITY x(v, i) WHERE i BETWEEN 13 AND 36)),
    ('rows of waitlist_signups with the country that rose most'::text, NULL::text, (SELECT (m ->> 'observed')::float8 FROM jsonb_array_elements(finding -> 'evidence' -> 'moved') m WHERE m ->> 'entity' = 'BR')),
    'of a mix the country that rose most, by the hour of that day') FROM shown WHERE number = 16 AND fixture_name = 'mix_positive';
SELECT is((series ->> 'mark_from', series ->> 'limit', (SELECT sum(v::float8) FROM jsonb_array_elements(series -> 'values') WITH ORDINALITY x(v, i) WHERE i BETWEEN 13 AND 36)),
    ('2026-06-10T00:00:00Z'::text, NULL::text, 48::float8), 'of a day''s failures the hours') FROM shown WHERE number = 13 AND fixture_name = 'positive_day';

-- ---- entities ----------------------------------------------------------------------------------------------------------------
SELECT raxx_detect.create_source_table('waitlist_signups', 'signups');
CREATE FUNCTION pg_temp.finding(rule text, entity text, episode tstzrange, more jsonb DEFAULT '{}') RETURNS raxx_detect.detection_findings LANGUAGE sql STABLE AS $$
    SELECT jsonb_populate_record(NULL::raxx_detect.detection_findings, jsonb_build_object('finding_id', 1, 'rule_id', rule, 'source', 'waitlist_signups', 'entity', raxx_detect.bounded_entity(entity),
        'episode', episode, 'observed', 20, 'threshold', 20, 'unit', 'sign-ups', 'fired_by', 'threshold', 'condition', 'firing', 'evidence', '{"conditions": ["velocity"]}'::jsonb) || more)
$$;
CREATE FUNCTION pg_temp.series(entity text, episode tstzrange DEFAULT '[2026-06-04 12:00+00,2026-06-04 12:10+00)', rule text DEFAULT 'signup_waitlist_velocity_per_origin') RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT raxx_detect.finding_series(pg_temp.finding(rule, entity, episode))
$$;
CREATE FUNCTION pg_temp.total(series jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT sum(v::float8) FROM jsonb_array_elements(series -> 'values') v WHERE v <> 'null' $$;
CREATE TEMP TABLE hostile AS SELECT * FROM unnest(ARRAY['', ' ', E'it''s', E'\\', E'\\''; DROP TABLE signups; --', '$3', '%I', '%', '_', E'\t\r\n\x01', 'NULL', '(mix)', '((mix)', '(', '((',
    repeat('x', 200), repeat('x', 201), repeat('x', 200) || 'y', repeat(E'\\', 300), repeat(U&'\00E4', 250), '(' || repeat('z', 200), '((' || repeat('z', 250), repeat('mb', 500000)]) WITH ORDINALITY e(entity, n);
INSERT INTO signups (event_time, email, origin, country)
SELECT '2026-06-04 11:58+00', 'a@site.example', h.entity, h.entity FROM hostile h CROSS JOIN LATERAL generate_series(1, h.n);
INSERT INTO signups (event_time, email, origin, country) SELECT t, NULL, NULL, NULL FROM unnest('{-infinity,infinity,2026-06-04 11:59+00,4714-11-24 00:00+00 BC,294276-12-31 23:59+00}'::timestamptz[]) t;
SELECT is_empty('SELECT left(entity, 50), n, pg_temp.series(entity) FROM hostile WHERE pg_temp.total(pg_temp.series(entity)) IS DISTINCT FROM n', 'any text is an entity, whatever its length');
SELECT is_empty($$SELECT left(h.entity, 50), n FROM hostile h JOIN raxx_detect.rules r ON r.rule_id = 'signup_geographic_burst'
    WHERE pg_temp.total(pg_temp.series(raxx_detect.entity_beside_mix(r, h.entity), rule => r.rule_id)) IS DISTINCT FROM n$$, 'or a country');
SELECT is(pg_temp.series('none at all') - '{values,of}'::text[], '{"unit": "sign-ups", "bucket_seconds": 300, "from": "2026-06-04T10:00:00Z", "usual": null, "limit": 20, "mark_from": "2026-06-04T11:55:00Z", "mark_to": "2026-06-04T12:10:00Z"}'::jsonb,
    'an entity that never came has a series, too');
SELECT is(pg_temp.total(pg_temp.series('none at all')), 0::float8, 'of zeros');
-- E-mail addresses.
INSERT INTO signups (event_time, email) SELECT '2026-06-04 11:57+00', e FROM unnest(ARRAY['', '@', 'a', 'a@', '@b', 'a@b@c', E'\x01@\x02', repeat('a', 100000) || '@site.example', 'a@' || repeat('b.', 50000) || 'c']) e;
SELECT is_empty($$SELECT p.* FROM signups s CROSS JOIN LATERAL raxx_detect.email_pattern(s.email) p CROSS JOIN LATERAL unnest(ARRAY[p.registrable_domain, p.shape || '@' || p.registrable_domain]) entity
    WHERE entity IS NOT NULL AND NOT pg_temp.total(raxx_detect.finding_series(pg_temp.finding('signup_email_pattern_anomaly', entity, '[2026-06-04 12:00+00,2026-06-04 12:10+00)'))) > 0$$, 'any domain and any shape is found');

-- Restarts that are explained do not count.
SELECT raxx_detect.create_source_table('dyno_restarts', 'restarts');
INSERT INTO restarts (event_time, app, dyno, cause) SELECT '2026-06-04 11:58+00', v.app, v.dyno, v.cause
FROM (VALUES ('shop', 'web.1', NULL), ('shop', 'web.2', 'crash'), ('shop', 'web.2', 'crash'), ('shop', 'web.3', 'deploy'), ('other', 'web.4', NULL), (NULL, 'web.5', NULL)) v(app, dyno, cause);
INSERT INTO restarts (event_time, app, dyno) SELECT '2026-06-04 11:20+00', 'shop', 'web.' || n FROM generate_series(1, 4) n;
CREATE FUNCTION pg_temp.restarts() RETURNS jsonb LANGUAGE sql AS $$
    SELECT raxx_detect.finding_series(pg_temp.finding('ops_dyno_restart_cluster', 'shop', '[2026-06-04 12:00+00,2026-06-04 12:10+00)', '{"source": "dyno_restarts", "unit": "distinct dynos restarted"}'))
$$;
SELECT is((s -> 'values' -> 19, s -> 'values' -> 23, pg_temp.total(s)), ('4'::jsonb, '2'::jsonb, 6::float8), 'by a cause') FROM pg_temp.restarts() s;
CREATE TABLE deploys (event_time timestamptz, app text);
INSERT INTO deploys VALUES ('2026-06-04 11:25+00', 'shop'), ('2026-06-04 11:57+00', 'other'), ('-infinity', 'shop'), ('infinity', 'shop'), (NULL, 'shop');
SELECT raxx_detect.bind_source('deploy_events', 'deploys');
SELECT is(pg_temp.restarts(), NULL, 'deploys that cannot be found cheaply are not looked for');
CREATE INDEX ON deploys (event_time);
SELECT is((s -> 'values' -> 19, s -> 'values' -> 23, pg_temp.total(s)), ('0'::jsonb, '2'::jsonb, 2::float8), 'or by a deploy') FROM pg_temp.restarts() s;
SELECT raxx_detect.unbind_source(source) FROM unnest('{dyno_restarts,deploy_events}'::text[]) source;

-- ---- episodes and evidence that nobody can have meant -----------------------------------------------------------------------
CREATE TEMP TABLE episodes AS SELECT * FROM unnest('{empty,"(,)","[2026-06-04 12:00+00,infinity)","[-infinity,2026-06-04 12:00+00)","(,2026-06-04 12:00+00)","[4714-11-24 00:00+00 BC,)","[294276-12-31 23:59+00,)",
    "[infinity,)","[9998-12-31 00:00+00,)","[1970-01-01 00:00+00,294276-12-31 23:59+00)","[1970-01-01 00:00+00,)","[9997-12-31 00:00+00,)","[2026-06-04 12:00+00,2026-06-04 12:00+00]"}'::tstzrange[]) WITH ORDINALITY e(episode, n);
CREATE TEMP VIEW strange AS
SELECT r.rule_id, e.episode, v.evidence, o.observed, x.unit, raxx_detect.finding_series(pg_temp.finding(r.rule_id, 'signups', e.episode,
           jsonb_build_object('source', b.source, 'evidence', v.evidence, 'observed', o.observed, 'unit', x.unit, 'threshold', o.observed, 'fired_by', 'baseline'))) AS series
FROM raxx_detect.rules r CROSS JOIN episodes e CROSS JOIN unnest('{"{}","{\"conditions\": []}","{\"conditions\": [\"mix\"]}","{\"conditions\": [\"mix\"], \"moved\": []}","{\"conditions\": [\"day\"], \"baseline\": null}","{\"conditions\": [\"rows_gone\"]}"}'::jsonb[]) v(evidence)
CROSS JOIN unnest('{0,1e300,-1,NaN,Infinity}'::float8[]) o(observed) CROSS JOIN unnest('{x,denials}'::text[]) x(unit) JOIN raxx_detect.source_bindings b ON b.source = ANY (r.sources)
WHERE o.observed = 0 OR v.evidence = '{}' AND x.unit = 'x';
SAVEPOINT all_bound;
SELECT raxx_detect.create_source_table(k.source, 'own_' || k.source) FROM raxx_detect.source_kinds k WHERE k.source <> 'waitlist_signups';
SELECT lives_ok('SELECT sum(length(series::text)) FROM strange', 'none of them makes any rule''s series fail');
SELECT set_eq($$SELECT episode::text FROM strange WHERE rule_id LIKE '%per_origin' AND series IS NOT NULL$$,
    $$SELECT e::text FROM unnest('{"[2026-06-04 12:00+00,infinity)","[1970-01-01 00:00+00,294276-12-31 23:59+00)","[1970-01-01 00:00+00,)","[9997-12-31 00:00+00,)","[2026-06-04 12:00+00,2026-06-04 12:00+00]"}'::tstzrange[]) e$$, 'and those of times that can be have one');
ROLLBACK TO all_bound;
SELECT is(raxx_detect.finding_series(pg_temp.finding('no_such_rule', 'x', '[2026-06-04 12:00+00,)')), NULL, 'an unknown rule has none');
SELECT is(raxx_detect.finding_series(NULL), NULL, 'nor has no finding');
SELECT is((s -> 'limit', s -> 'usual'), ('null'::jsonb, 'null'::jsonb), 'a limit that is no number is none')
FROM raxx_detect.finding_series(pg_temp.finding('signup_waitlist_velocity_per_origin', 'x', '[2026-06-04 12:00+00,)', '{"threshold": "NaN"}')) s;
SELECT is(raxx_detect.finding_series(pg_temp.finding('signup_waitlist_velocity_per_origin', 'x', '[2026-06-04 12:00+00,)', '{"source": "session_events"}')), NULL, 'nor one of a source that is not bound');

-- ---- how long ------------------------------------------------------------------------------------------------------------------
SELECT is((s ->> 'bucket_seconds', s ->> 'limit', s ->> 'mark_to', jsonb_array_length(s -> 'values')), ('300'::text, '20'::text, '2026-06-04T13:30:00Z'::text, 48), '18 windows are the most that an episode has one by one')
FROM pg_temp.series('', '[2026-06-04 12:00+00,2026-06-04 13:30+00)') s;
SELECT is((s ->> 'bucket_seconds', s ->> 'limit', jsonb_array_length(s -> 'values')), ('600'::text, NULL::text, 24 + 10 + 6), 'of a longer one a bucket is several, without a limit')
FROM pg_temp.series('', '[2026-06-04 12:00+00,2026-06-04 13:31+00)') s;
SELECT is((s ->> 'bucket_seconds', s ->> 'from', jsonb_array_length(s -> 'values')), ('25200'::text, '2026-05-28T12:00:00Z'::text, 48), 'but never are all together more than 14 days') FROM pg_temp.series('', '[2026-06-04 12:00+00,2026-10-04 13:31+00)') s;
SELECT is(jsonb_array_length(s -> 'values'), 24 + 2, 'nothing is shown of the future') FROM pg_temp.series('', tstzrange(now() - interval '10 minutes', now() + interval '1 hour')) s;
SELECT is(jsonb_array_length(s -> 'values'), 24, 'an episode that begins now has its window last') FROM pg_temp.series('', tstzrange(now(), NULL)) s;
SELECT is(jsonb_array_length(s -> 'values'), 24 + 18, 'of one that lasts as much as may be') FROM pg_temp.series('', '[2026-06-04 12:00+00,)') s;
INSERT INTO raxx_detect.coverage (rule_id, source, settled, looked_to) VALUES ('signup_waitlist_velocity_per_origin', 'waitlist_signups', '2026-06-04', '2026-06-04 12:11+00');
SELECT is(jsonb_array_length(s -> 'values'), 24 + 3, 'and once a run has looked, as much as it knows') FROM pg_temp.series('', '[2026-06-04 12:00+00,)') s;
UPDATE raxx_detect.coverage SET looked_to = '2026-06-05 12:00+00';
SELECT is((s ->> 'bucket_seconds', jsonb_array_length(s -> 'values'), s ->> 'mark_to'), ('4800'::text, 24 + 18, NULL::text), 'be it a day') FROM pg_temp.series('', '[2026-06-04 12:00+00,)') s;
DELETE FROM raxx_detect.coverage;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "84 hours"}');
SELECT is((s ->> 'bucket_seconds', s ->> 'from', jsonb_array_length(s -> 'values'), pg_temp.total(s)), ('302400'::text, '2026-05-28T12:00:00Z'::text, 4, 1::float8), 'of long windows there are fewer') FROM pg_temp.series('') s;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "85 hours"}');
SELECT is(pg_temp.series(''), NULL, 'or none');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "1 microsecond"}');
SELECT is((s ->> 'bucket_seconds', s ->> 'from', pg_temp.total(s)), ('0.000001'::text, '2026-06-04T11:59:59Z'::text, 0::float8), 'the shortest is one, too') FROM pg_temp.series('', '[2026-06-04 12:00+00,2026-06-04 12:00:00.000002+00)') s;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "5 minutes"}');

-- ---- the session's settings --------------------------------------------------------------------------------------------------
CREATE TEMP TABLE usually AS SELECT raxx_detect.finding_series(f)::text AS series, f
FROM pg_temp.finding('signup_waitlist_velocity_per_origin', '', '[2026-06-04 12:00+00,2026-06-04 12:10+00)', '{"threshold": 20.123456789012345, "fired_by": "baseline", "evidence": {"conditions": ["velocity"], "baseline": {"mean": 0.123456}}}') f;
DISCARD PLANS;
SET LOCAL timezone = 'Asia/Kathmandu'; SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL extra_float_digits = -15; SET LOCAL jit = on; SET LOCAL jit_above_cost = 0;
SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL standard_conforming_strings = off; SET LOCAL search_path = pg_temp, public; SET LOCAL escape_string_warning = off;
SELECT public.is(raxx_detect.finding_series(u.f)::text, u.series, 'they change nothing') FROM pg_temp.usually u;
RESET search_path; RESET standard_conforming_strings; RESET timezone; RESET datestyle; RESET intervalstyle; RESET extra_float_digits; RESET jit; RESET jit_above_cost;
RESET enable_indexscan; RESET enable_indexonlyscan; DISCARD PLANS; SET LOCAL timezone = 'UTC';

-- ---- what it may cost --------------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.ordered(relation regclass) RETURNS boolean LANGUAGE sql AS $$ SELECT raxx_detect.has_time_order(relation, 'event_time') $$;
CREATE TABLE bare (event_time timestamptz, email text, origin text, country text);
SELECT is(pg_temp.ordered('bare'), false, 'no index');
CREATE INDEX bare_index ON bare USING brin (event_time);
SELECT is(pg_temp.ordered('bare'), false, 'one that gives no order');
DROP INDEX bare_index;
CREATE INDEX bare_index ON bare (event_time) WHERE origin IS NOT NULL;
SELECT is(pg_temp.ordered('bare'), false, 'one of some rows');
DROP INDEX bare_index;
CREATE INDEX bare_index ON bare (origin, event_time);
SELECT is(pg_temp.ordered('bare'), false, 'one that begins otherwise');
DROP INDEX bare_index;
CREATE INDEX bare_index ON bare (event_time DESC, origin);
SELECT is(pg_temp.ordered('bare'), true, 'one that begins with the time, in either direction');
DROP INDEX bare_index;
CREATE TABLE parts (LIKE bare) PARTITION BY RANGE (event_time);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-06-04 12:00+00');
CREATE TABLE part_2 PARTITION OF parts DEFAULT;
CREATE INDEX ON part_1 (event_time);
SELECT is(pg_temp.ordered('parts'), false, 'one of some partitions');
CREATE INDEX ON parts (event_time);
SELECT is(pg_temp.ordered('parts'), true, 'one of all');
CREATE VIEW plain_view AS SELECT event_time, upper(p.email) AS email, p.origin, p.country FROM parts p LEFT JOIN (SELECT 1 AS one) o ON true WHERE p.email <> '';
CREATE VIEW union_view AS SELECT event_time, email, origin, country FROM signups UNION ALL SELECT * FROM parts;
CREATE VIEW shifted_view AS SELECT event_time + interval '1 hour' AS event_time, email, origin, country FROM signups;
CREATE VIEW distinct_view AS SELECT DISTINCT event_time, email, origin, country FROM bare;
CREATE MATERIALIZED VIEW stored_view AS SELECT * FROM signups;
SELECT is((pg_temp.ordered('plain_view'), pg_temp.ordered('union_view'), pg_temp.ordered('shifted_view'), pg_temp.ordered('distinct_view'), pg_temp.ordered('stored_view')), (true, true, false, false, false), 'or beneath a view');
SELECT throws_ok($$SELECT raxx_detect.has_time_order(NULL, 'event_time')$$, '22004', NULL, 'it asks for a relation');
SELECT throws_ok($$SELECT raxx_detect.has_time_order('bare', 'at')$$, '42703', NULL, 'for a column');
SELECT throws_ok($$SELECT raxx_detect.has_time_order('bare', 'email')$$, '42804', NULL, 'of times');

-- Wherever the rows are, the series is the same one.
INSERT INTO parts SELECT '2026-06-04 11:50+00'::timestamptz + n * interval '1 minute', 'a@b.example', CASE WHEN n % 3 > 0 THEN 'o' END, 'DE' FROM generate_series(1, 20) n;
INSERT INTO bare SELECT * FROM parts;
CREATE TEMP TABLE relations AS SELECT * FROM unnest('{parts,plain_view,union_view}'::regclass[]) relation;
CREATE FUNCTION pg_temp.series_in(relation regclass) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM raxx_detect.bind_source('waitlist_signups', relation, '{}');
    RETURN pg_temp.series('o');
END $$;
SELECT is_empty($$SELECT relation, pg_temp.series_in(relation) FROM relations WHERE pg_temp.series_in(relation) -> 'values' IS DISTINCT FROM
    (SELECT jsonb_agg((SELECT count(*) FROM bare WHERE origin = 'o' AND event_time > at AND event_time <= at + interval '5 minutes') ORDER BY at)
     FROM generate_series('2026-06-04 10:00+00', '2026-06-04 12:35+00', interval '5 minutes') at)$$, 'of partitions and of views');
SELECT is(pg_temp.series_in('bare'), NULL, 'without an index there is none');
SELECT is(pg_temp.series_in('stored_view'), NULL, 'either way');

-- What has been counted is known without reading.
SELECT raxx_detect.disable(rule_id, 'not judged here') FROM raxx_detect.rules;
CREATE TABLE recent (LIKE bare);
INSERT INTO recent SELECT raxx_detect.hour_of(now()) - n * interval '20 minutes' - interval '1 minute', 'a@b.example', 'o', 'DE' FROM generate_series(0, 300) n;
SELECT raxx_detect.bind_source('waitlist_signups', 'recent');
CREATE FUNCTION pg_temp.recent(hours_ago int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.series('o', tstzrange(raxx_detect.hour_of(now()) - hours_ago * interval '1 hour' + interval '5 minutes', raxx_detect.hour_of(now()) - hours_ago * interval '1 hour' + interval '10 minutes'))
$$;
SELECT is(pg_temp.recent(20), NULL, 'none before that');
SELECT count(*) FROM raxx_detect.sweep();
SELECT is(s - '{values,from,mark_from,mark_to}'::text[], '{"unit": "sign-ups", "bucket_seconds": 3600, "usual": null, "limit": null, "of": "rows of waitlist_signups"}', 'then the hours of the source, whoever it is about') FROM pg_temp.recent(20) s;
SELECT is(s -> 'values', (SELECT jsonb_agg((SELECT count(*) FROM recent r WHERE raxx_detect.hour_of(r.event_time) = h) ORDER BY h)
    FROM generate_series((s ->> 'from')::timestamptz, (s ->> 'from')::timestamptz + interval '47 hours', interval '1 hour') h), 'two days of them, as plain SQL counts them') FROM pg_temp.recent(60) s;
SELECT cmp_ok(pg_temp.total(pg_temp.recent(60)), '=', 144::float8, 'which is three an hour');
SELECT is((s ->> 'from')::timestamptz, raxx_detect.hour_of(now()) - interval '44 hours', 'a day before the moment') FROM pg_temp.recent(20) s;
SELECT cmp_ok(jsonb_array_length(s -> 'values'), '<=', 44, 'up to what has been counted') FROM pg_temp.recent(20) s;
SELECT is((pg_temp.recent(24 * 31), pg_temp.recent(-1)), (NULL::jsonb, NULL::jsonb), 'but not where the moment has not been counted');
UPDATE raxx_detect.sweeps SET counted_from = raxx_detect.hour_of(now()) - interval '30 hours' WHERE source = 'waitlist_signups';
SELECT is((s -> 'values' -> 13, s -> 'values' -> 14), ('null'::jsonb, '3'::jsonb), 'hours that were not are unknown') FROM pg_temp.recent(20) s;

-- More rows than may be read.
CREATE INDEX ON recent (event_time);
SELECT is(pg_temp.recent(20) ->> 'of', 'rows of waitlist_signups with this origin', 'with an index the rows are read');
INSERT INTO recent (event_time, origin) SELECT raxx_detect.hour_of(now()) - interval '20 hours' + interval '1 minute' + n * interval '1 millisecond', 'flood' FROM generate_series(1, 49990) n;
SELECT is((s ->> 'of', pg_temp.total(s)), ('rows of waitlist_signups with this origin'::text, 8::float8), 'fifty thousand of them') FROM pg_temp.recent(20) s;
INSERT INTO recent (event_time, origin) SELECT raxx_detect.hour_of(now()) - interval '20 hours', 'flood' FROM generate_series(1, 10) n;
SELECT is(pg_temp.recent(20) ->> 'of', 'rows of waitlist_signups', 'but not more');

-- Rows that are gone.
UPDATE raxx_detect.hourly_counts SET gone = 2 WHERE source = 'waitlist_signups' AND hour = raxx_detect.hour_of(now()) - interval '20 hours';
SELECT is((s -> 'values' -> 24, s -> 'usual' -> 24, s -> 'usual' -> 23), ('3'::jsonb, '5'::jsonb, '3'::jsonb), 'those that there were are usual')
FROM raxx_detect.finding_series(pg_temp.finding('data_audit_log_gap_window', 'x', tstzrange(raxx_detect.hour_of(now()) - interval '20 hours', raxx_detect.hour_of(now()) - interval '19 hours'), '{"evidence": {"conditions": ["rows_gone"]}}')) s;

-- ---- what is gone, and what may not be read -----------------------------------------------------------------------------------
CREATE ROLE series_reader;
GRANT USAGE ON SCHEMA raxx_detect TO series_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO series_reader;
GRANT SELECT (event_time, country) ON recent TO series_reader;
CREATE TEMP TABLE found AS SELECT pg_temp.finding('signup_waitlist_velocity_per_origin', 'o', tstzrange(now() - interval '2 hours', now() - interval '110 minutes')) AS f;
GRANT SELECT ON found TO series_reader;
SET LOCAL ROLE series_reader;
SELECT throws_ok('SELECT raxx_detect.finding_series(f) FROM found', '42501', NULL, 'who may not read the entities is told so');
RESET ROLE;
REVOKE SELECT ON recent FROM series_reader;
REVOKE SELECT (event_time) ON recent FROM series_reader;
SET LOCAL ROLE series_reader;
SELECT throws_ok('SELECT raxx_detect.finding_series(f) FROM found', '42501', NULL, 'nor the times');
RESET ROLE;
GRANT SELECT (event_time, origin) ON recent TO series_reader;
SET LOCAL ROLE series_reader;
SELECT is(pg_temp.total(raxx_detect.finding_series(f)) >= 0, true, 'who may read both has the series') FROM found;
RESET ROLE;
ALTER TABLE recent RENAME origin TO "or""igin";
SELECT is(raxx_detect.finding_series(f), NULL, 'a column that is gone: none') FROM found;
SELECT raxx_detect.bind_source('waitlist_signups', 'recent', '{"origin": "or\"igin"}');
SELECT is(pg_temp.total(raxx_detect.finding_series(f)) > 0, true, 'bound again it is there') FROM found;
DROP TABLE recent;
SELECT is(raxx_detect.finding_series(f), NULL, 'a relation that is gone: none') FROM found;
SELECT raxx_detect.unbind_source('waitlist_signups');
SELECT is(raxx_detect.finding_series(f), NULL, 'no source: none') FROM found;
SELECT is((provolatile, prosecdef), ('s'::"char", false), 'it writes nothing, and has no other''s rights') FROM pg_proc WHERE proname = 'finding_series';

SELECT * FROM finish();
ROLLBACK;
