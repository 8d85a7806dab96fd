-- Methods temporal and temporal_ordered: the findings are those of the definition, looked up by a naive query, and the same whether the rows are
-- judged at once or step by step, with rows that come late; and velocity that counts some rows only.
BEGIN;
SELECT plan(9);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source(format('{"source": %s, "rows_called": "acts", "meaning": "Acts.", "roles": [{"role": "event_time", "type": "timestamptz", "meaning": "When."},
    {"role": "who", "type": "text", "meaning": "Who."}, {"role": "what", "type": "text", "meaning": "What."}]}', to_jsonb(s))::jsonb) FROM unnest('{acts,acts_again}'::text[]) s;
CREATE FUNCTION pg_temp.make(rule_id text, method text, source text, params jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT raxx_detect.create_rule(jsonb_build_object('rule_id', rule_id, 'title', 't', 'method', method, 'severity', 'high', 'sources', jsonb_build_array(source), 'false_alarms_per_month', 1,
        'escalation_owner', 'o', 'runbook', 'r', 'params', params));
    UPDATE raxx_detect.rules r SET state = 'dormant' WHERE r.rule_id = make.rule_id;  -- not by enable: they have no fixtures
$$;
SELECT pg_temp.make('own_any' || n, 'temporal', source, '{"entity": "who", "value": "what", "steps": ["a*|x", "b", "c"], "window": "30 s", "threshold": 3}'),
       pg_temp.make('own_ordered' || n, 'temporal_ordered', source, '{"entity": "who", "value": "what", "steps": ["a*|x", "b", "c"], "window": "30 s"}'),
       pg_temp.make('own_some' || n, 'velocity', source, '{"entity": "who", "filter": "what", "only": ["a*", "b"], "window": "30 s", "threshold": 4}')
FROM (VALUES ('', 'acts'), ('_again', 'acts_again')) v(n, source);

CREATE TABLE acts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, who text, what text);
CREATE INDEX ON acts (event_time);
CREATE VIEW acts_again AS SELECT * FROM acts;
SELECT setseed(0.4);
CREATE TEMP TABLE rows AS SELECT timestamptz '2026-06-04 12:00+00' + floor(random() * 4000) * interval '1 second' AS event_time, 'w' || floor(random() * 5) AS who,
    (ARRAY['a1', 'a', 'x', 'b', 'c', 'd', 'ab'])[1 + floor(random() * 7)] AS what FROM generate_series(1, 1500);

-- ---- at once, and step by step ----------------------------------------------------------------------------------------
SELECT raxx_detect.bind_source('acts', 'acts', lateness => '1 minute');
DO $$
BEGIN
    FOR i IN 1..90 LOOP  -- each look at another time; a row may come half a minute late
        INSERT INTO acts (event_time, who, what) SELECT r.event_time, r.who, r.what FROM rows r
        WHERE r.event_time + (hashtext(r::text) & 31) * interval '1 second' > timestamptz '2026-06-04 12:00+00' + (i - 1) * interval '47 seconds'
          AND r.event_time + (hashtext(r::text) & 31) * interval '1 second' <= timestamptz '2026-06-04 12:00+00' + i * interval '47 seconds';
        PERFORM raxx_detect.run(r.rule_id, timestamptz '2026-06-04 12:00+00' + i * interval '47 seconds')
        FROM raxx_detect.rules r WHERE r.rule_id IN ('own_any', 'own_ordered', 'own_some');
    END LOOP;
END $$;
SELECT is((SELECT count(*) FROM acts), (SELECT count(*) FROM rows), 'all rows have come');
SELECT raxx_detect.run(rule_id, '2026-06-04 14:00+00') FROM raxx_detect.rules WHERE rule_id IN ('own_any', 'own_ordered', 'own_some');
SELECT raxx_detect.bind_source('acts_again', 'acts_again');
SELECT is(count(*) FILTER (WHERE (SELECT outcome FROM raxx_detect.run(rule_id, '2026-06-04 14:00+00')) = 'ok'), 3::bigint, 'the others look once') FROM raxx_detect.rules WHERE rule_id LIKE 'own%again';
CREATE FUNCTION pg_temp.found(rule text) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(format('%s %s %s %s', entity, episode, observed, condition), E'\n' ORDER BY entity, episode) FROM raxx_detect.detection_findings WHERE rule_id = rule $$;
SELECT is(pg_temp.found(r), pg_temp.found(r || '_again'), r || ': the same, however often it looked') FROM unnest('{own_any,own_ordered,own_some}'::text[]) r;

-- ---- the definition -----------------------------------------------------------------------------------------------------
-- The instants at which it can change, and whether it holds there.
CREATE TEMP TABLE instants AS
SELECT DISTINCT w.who, i.at FROM (SELECT DISTINCT who FROM acts) w CROSS JOIN LATERAL (
    SELECT event_time AS at FROM acts a WHERE a.who = w.who UNION SELECT event_time + interval '30 s' FROM acts a WHERE a.who = w.who) i;
CREATE TEMP TABLE steps AS SELECT who, event_time AS at, CASE WHEN what LIKE 'a%' OR what = 'x' THEN 1 WHEN what = 'b' THEN 2 WHEN what = 'c' THEN 3 END AS step, what FROM acts;
CREATE INDEX ON steps (who, at);
ANALYZE steps;
CREATE TEMP TABLE truth AS
SELECT i.who, i.at,
       (SELECT count(DISTINCT s.step) = 3 FROM steps s WHERE s.who = i.who AND s.at > i.at - interval '30 s' AND s.at <= i.at) AS own_any,
       EXISTS (SELECT FROM steps a JOIN steps b ON b.who = a.who AND b.step = 2 AND b.at >= a.at AND b.at <= i.at
               JOIN steps c ON c.who = a.who AND c.step = 3 AND c.at >= b.at AND c.at <= i.at
               WHERE a.who = i.who AND a.step = 1 AND a.at > i.at - interval '30 s' AND a.at <= i.at) AS own_ordered,
       (SELECT count(*) >= 4 FROM steps s WHERE s.who = i.who AND (s.what LIKE 'a%' OR s.what = 'b') AND s.at > i.at - interval '30 s' AND s.at <= i.at) AS own_some
FROM instants i;
SELECT is((SELECT string_agg(t.who || ' ' || t.at, E'\n' ORDER BY t.who, t.at) FROM truth t
           WHERE to_jsonb(t) -> r = 'true' IS DISTINCT FROM EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = r AND f.entity = t.who AND f.episode @> t.at)),
          NULL, r || ': at each instant as the definition says') FROM unnest('{own_any,own_ordered,own_some}'::text[]) r;
SELECT ok(bool_and(n > 20), 'there was something to find') FROM (SELECT count(*) AS n FROM raxx_detect.detection_findings WHERE rule_id LIKE 'own%' GROUP BY rule_id) f;

SELECT * FROM finish();
ROLLBACK;
