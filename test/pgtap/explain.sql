-- explain: every method's findings are explained with their numbers, and the margins are those that a naive computation has.
BEGIN;
SELECT plan(81);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = warning;

-- A page without its line breaks, to look for a sentence in.
CREATE FUNCTION pg_temp.flat(page text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(page, E'\\s+', ' ', 'g') $$;

-- ---- every fixture that fires -----------------------------------------------------------------------------------------
CREATE TEMP TABLE explained (rule_id text, fixture text, finding jsonb, page text);
CREATE FUNCTION pg_temp.explain_fixture(of_rule text, name text) RETURNS SETOF explained LANGUAGE plpgsql AS $$
DECLARE
    f jsonb := (SELECT x.fixture FROM raxx_detect.fixtures x WHERE x.rule_id = of_rule AND x.name = explain_fixture.name);
    pages explained[];
BEGIN
    BEGIN
        PERFORM raxx_detect.load_fixture(f);
        UPDATE raxx_detect.rules r SET params = r.params || coalesce(f -> 'params', '{}') WHERE r.rule_id = of_rule;
        IF f ? 'chain' THEN
            PERFORM raxx_detect.load_fixture_chain(f);
        END IF;
        PERFORM raxx_detect.run(of_rule, (f ->> 'start')::timestamptz + (f ->> 'as_of')::interval);
        pages := ARRAY(SELECT (of_rule, name, to_jsonb(d), raxx_detect.explain(d.finding_id))::explained FROM raxx_detect.detection_findings d WHERE d.rule_id = of_rule);
        RAISE EXCEPTION USING ERRCODE = 'RX000';
    EXCEPTION WHEN SQLSTATE 'RX000' THEN
        RETURN QUERY SELECT * FROM unnest(pages);
    END;
END $$;
-- (Without a key for hash chains, those fixtures cannot be tried.)
INSERT INTO explained SELECT e.* FROM raxx_detect.fixtures x CROSS JOIN LATERAL pg_temp.explain_fixture(x.rule_id, x.name) e
WHERE x.fixture -> 'expect' <> '[]' AND raxx_detect.fixture_lacks(x.fixture) IS NULL;
SELECT is(ARRAY(SELECT r.rule_id FROM raxx_detect.rules r WHERE r.rule_id NOT IN (SELECT rule_id FROM explained) AND (r.method <> 'chain' OR raxx_detect.fixture_lacks('{"chain": {}}') IS NULL) ORDER BY 1), '{}', 'findings of every rule are explained');
SELECT is(ARRAY(SELECT fixture FROM explained WHERE page IS NULL OR page !~ 'What was found: .*Why it counts: .*Baseline: .*How close it was: .*Who was told: .*People: .*Evidence' ORDER BY 1), '{}', 'each page has all its paragraphs');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE page ~ 'cannot be asked|cannot be read|\m(22|42|P0|XX)[0-9A-Z]{3}: | NULL|\(\)| of \.| \.( |$)|\.\. ' ORDER BY 1), '{}', 'none has an error or a hole in a sentence');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE strpos(pg_temp.flat(page), raxx_detect.in_figures((finding ->> 'observed')::float8)) = 0
                AND strpos(pg_temp.flat(page), raxx_detect.exactly((finding ->> 'observed')::float8 * interval '1 minute')) = 0 ORDER BY 1), '{}', 'each names what was observed');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE finding ->> 'threshold' IS NOT NULL AND rule_id NOT LIKE '%chain%' AND finding ->> 'unit' NOT LIKE 'changes%'
                AND strpos(pg_temp.flat(page), raxx_detect.in_figures((finding ->> 'threshold')::float8)) = 0
                AND strpos(pg_temp.flat(page), raxx_detect.exactly((finding ->> 'threshold')::float8 * interval '1 minute')) = 0 ORDER BY 1), '{}', 'and the threshold');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE finding ->> 'fired_by' = 'baseline'
                AND pg_temp.flat(page) !~ format('Baseline: the limit comes from the %s whole days before', finding #>> '{evidence,baseline,days}') ORDER BY 1), '{}', 'a baseline''s age');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE finding ->> 'fired_by' = 'baseline'
                AND strpos(pg_temp.flat(page), 'n = ' || raxx_detect.in_figures(coalesce(finding #>> '{evidence,baseline,n}', finding #>> '{evidence,baseline,rows}')::float8)) = 0 ORDER BY 1), '{}', 'and its n');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE finding ->> 'p_value' IS NOT NULL AND finding #>> '{evidence,baseline,tail}' IS NOT NULL
                AND strpos(pg_temp.flat(page), raxx_detect.in_figures((finding ->> 'p_value')::float8)) = 0 ORDER BY 1), '{}', 'and the chance');
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained WHERE finding ->> 'fired_by' = 'threshold' AND rule_id !~ 'chain|benford' AND page !~ 'Baseline: (a hard\s+threshold\s+decided|it needs none)' ORDER BY 1), '{}', 'or that a threshold decided');
SELECT is((SELECT max(length(line)) <= 96 OR max(length(line)) FILTER (WHERE line ~ '\S\s+\S') <= 96 FROM explained, regexp_split_to_table(page, '\n') line), true, 'lines are wrapped');
-- The peak that the margin is computed from, of all bursts: one more would have been silence.
SELECT is(ARRAY(SELECT rule_id || '/' || fixture FROM explained e JOIN raxx_detect.rules r USING (rule_id) WHERE r.method IN ('velocity', 'spike', 'distinct', 'distinct + velocity') AND NOT finding #> '{evidence,conditions}' ? 'mix'
                AND pg_temp.flat(page) !~ format('it would not have fired at a (threshold|limit) of %s;', raxx_detect.in_figures((finding ->> 'observed')::float8 + 1)) ORDER BY 1), '{}', 'the margin in the count agrees with the finding');
SELECT ok(count(*) >= 20, 'and there are many') FROM explained WHERE page ~ 'it did fire';

-- Sentences that only single methods have.
SELECT ok(bool_or(pg_temp.flat(page) ~ 'the silence is too improbable for the hours that it lies in.*of hour 16 of the day'), 'gap: the hour') FROM explained WHERE rule_id = 'data_audit_log_gap_window';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'longer than 30 min in business hours\. It had none for 47 min; 47 min of that in business hours.*It would not|it would not have fired with a limit of 47 min; it was longer than its limit by 17 min'), 'gap: the margin') FROM explained WHERE rule_id = 'data_audit_log_gap_window';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'the nearest record that agrees with it is of 2026-06-10 16:30:00.000001 UTC, 30 min 0.000001 s after it'), 'unmatched: the nearest record') FROM explained WHERE rule_id = 'cost_heroku_addon_drift';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'Kolmogorov-Smirnov.*1.25 times|Kolmogorov-Smirnov.*what was seen is 1.2 times the one in force \(25\)'), 'drift') FROM explained WHERE rule_id = 'ops_postgres_p99_drift';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'chi-squared.*Baseline: Benford''s law itself'), 'benford') FROM explained WHERE rule_id = 'data_backtest_benford';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'addresses of one shape at a free-mail provider'), 'pattern: shapes') FROM explained WHERE rule_id = 'signup_email_pattern_anomaly';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'chi-squared test of the mix'), 'mix') FROM explained WHERE rule_id = 'signup_geographic_burst';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'Restarts near a deploy of the app do not count'), 'restarts') FROM explained WHERE rule_id = 'ops_dyno_restart_cluster';
SELECT ok(bool_or(pg_temp.flat(page) ~ 'A share|a share of [0-9.]+ % \([0-9]+ of [0-9]+\)'), 'ratio') FROM explained WHERE rule_id = 'webhook_stripe_signature_fail';
SELECT ok(bool_and(pg_temp.flat(page) ~ 'up to entry [0-9]+ the chain is intact' AND page ~ 'there is no margin'), 'chain') FROM explained WHERE rule_id = 'data_audit_log_hash_chain_break' HAVING count(*) > 0
UNION ALL SELECT pass('chain: there is no key') WHERE NOT EXISTS (SELECT FROM explained WHERE rule_id = 'data_audit_log_hash_chain_break');

-- ---- margins, against the naive ---------------------------------------------------------------------------------------
CREATE TABLE signups (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, email text, origin text);
CREATE INDEX ON signups (event_time);
CREATE TABLE denials (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, operator text, permission text);
CREATE INDEX ON denials (event_time);
SELECT raxx_detect.bind_source('waitlist_signups', 'signups');
SELECT raxx_detect.bind_source('rbac_denials', 'denials');
SELECT setseed(0.4);
INSERT INTO signups (event_time, email, origin)
SELECT '2024-03-05 12:00+00'::timestamptz + o * interval '1 hour' + (random() * (60 + 40 * o) * 1000000)::bigint * interval '1 microsecond', n || '@site.example', 'https://' || o || '.example'
FROM generate_series(1, 12) o CROSS JOIN generate_series(1, 20 + o) n;
INSERT INTO denials (event_time, operator, permission)
SELECT '2024-03-05 12:00+00'::timestamptz + o * interval '1 hour' + (random() * 900 * 1000000)::bigint * interval '1 microsecond', 'ops-' || o, 'p' || (random() * 9)::int || ':read'
FROM generate_series(1, 10) o CROSS JOIN generate_series(1, 30) n;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-06 12:00+00');
SELECT raxx_detect.run('auth_rbac_denied_burst', '2024-03-06 12:00+00');

CREATE FUNCTION pg_temp.told_window(page text) RETURNS interval LANGUAGE sql AS $$
    SELECT (substring(pg_temp.flat(page) FROM 'from a window of just over (.*?) on[.,]'))::interval
$$;
-- For each row, the rows of its entity up to it; the shortest stretch that ends there and holds the threshold.
SELECT is(ARRAY(
    SELECT f.entity FROM raxx_detect.detection_findings f
    CROSS JOIN LATERAL (SELECT min(l.event_time - (SELECT e.event_time FROM signups e WHERE e.origin = f.entity AND e.event_time <= l.event_time AND e.event_time > lower(f.episode) - interval '5 minutes'
                                                                       ORDER BY e.event_time DESC OFFSET f.threshold::int - 1 LIMIT 1)) AS shortest
                        FROM signups l WHERE l.origin = f.entity AND l.event_time <= upper(f.episode)) naive
    CROSS JOIN LATERAL (SELECT max(c.n) AS peak FROM (SELECT (SELECT count(*) FROM signups e WHERE e.origin = f.entity AND e.event_time > l.event_time - interval '5 minutes' AND e.event_time <= l.event_time) AS n
                                                      FROM signups l WHERE l.origin = f.entity AND l.event_time BETWEEN lower(f.episode) AND upper(f.episode)) c) most
    WHERE f.rule_id = 'signup_waitlist_velocity_per_origin'
      AND (pg_temp.told_window(raxx_detect.explain(f.finding_id)) IS DISTINCT FROM naive.shortest OR strpos(pg_temp.flat(raxx_detect.explain(f.finding_id)), format('at a threshold of %s;', most.peak + 1)) = 0)
    ORDER BY 1), '{}', 'velocity: the shortest window and the highest threshold');
SELECT ok(count(*) >= 8, 'of many findings') FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(ARRAY(
    SELECT f.entity FROM raxx_detect.detection_findings f
    CROSS JOIN LATERAL (
        SELECT min(l.event_time - b.event_time) AS shortest FROM denials l JOIN denials b ON b.operator = f.entity AND b.event_time <= l.event_time
        WHERE l.operator = f.entity AND l.event_time >= lower(f.episode) - interval '10 minutes' AND b.event_time > lower(f.episode) - interval '10 minutes' AND l.event_time <= upper(f.episode)
          AND (SELECT count(DISTINCT e.permission) FROM denials e WHERE e.operator = f.entity AND e.event_time BETWEEN b.event_time AND l.event_time) >= f.threshold) naive
    WHERE f.rule_id = 'auth_rbac_denied_burst' AND f.unit = 'distinct permissions denied'
      AND pg_temp.told_window(raxx_detect.explain(f.finding_id)) IS DISTINCT FROM naive.shortest ORDER BY 1), '{}', 'distinct: the shortest window');
SELECT ok(count(*) >= 8, 'of many findings') FROM raxx_detect.detection_findings WHERE rule_id = 'auth_rbac_denied_burst' AND unit = 'distinct permissions denied';

-- The example of the seeds: six denials of admin permissions in eight minutes.
INSERT INTO denials (event_time, operator, permission) SELECT '2024-03-07 14:00+00'::timestamptz + n * interval '96 seconds', 'mallory', 'area' || n || ':admin' FROM generate_series(0, 5) n;
SELECT raxx_detect.run('auth_rbac_denied_burst', '2024-03-07 15:00+00');
CREATE FUNCTION pg_temp.page(of text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.flat(raxx_detect.explain(max(finding_id))) FROM raxx_detect.detection_findings WHERE entity = of $$;
SELECT ok(pg_temp.page('mallory') LIKE '%the rule fires when any 10 min hold 3 or more denials of elevated permissions of one operator. The fullest such window held 6 (6 rows).%', 'predicate, window, value against threshold');
SELECT ok(pg_temp.page('mallory') LIKE '%it would not have fired at a threshold of 7; it did fire from a window of just over 3 min 12 s on.%', 'the margin');
SELECT ok(pg_temp.page('mallory') LIKE '%It lasted from 2024-03-07 14:03:12 UTC to 2024-03-07 14:14:48 UTC (11 min 36 s).%', 'the episode, in UTC');
SET LOCAL timezone = 'Asia/Kathmandu'; SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL extra_float_digits = -10; SET LOCAL standard_conforming_strings = off;
SELECT ok(pg_temp.page('mallory') LIKE '%It lasted from 2024-03-07 14:03:12 UTC to 2024-03-07 14:14:48 UTC (11 min 36 s).%just over 3 min 12 s on.%', 'whatever the session''s settings');
SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1; SET LOCAL standard_conforming_strings = on;

-- All at one instant; then rows that go.
INSERT INTO denials (event_time, operator, permission) SELECT '2024-03-07 16:00+00', 'at-once', 'area' || n || ':admin' FROM generate_series(1, 4) n;
SELECT raxx_detect.run('auth_rbac_denied_burst', '2024-03-07 17:00+00');
SELECT ok(pg_temp.page('at-once') LIKE '%it did fire however short the window, since 3 of them bear the same time.%', 'however short');
DELETE FROM denials WHERE operator = 'at-once' AND permission IN ('area1:admin', 'area2:admin');
SELECT ok(pg_temp.page('at-once') LIKE '%the rows that are there now would not show it any more: at most 2 in 10 min, where the finding counted 4.%', 'rows have gone');
SELECT ok(pg_temp.page('at-once') LIKE '%Evidence now: Of the 4 rows of public.denials that are evidence, 2 are as they were, 2 have vanished%', 'and the evidence says so');
DELETE FROM denials WHERE operator = 'at-once';
SELECT ok(pg_temp.page('at-once') LIKE '%the rows are no longer there, so only the finding tells: it would not have fired at a threshold of 5.%', 'all have gone');
UPDATE denials SET permission = 'area:read' WHERE operator = 'mallory' AND permission = 'area5:admin';
SELECT ok(pg_temp.page('mallory') LIKE '%at a threshold of 7;%By the rows that are there now the most is 5, and not 6.%', 'the count is another one by now');

-- Many rows: as many as are allowed are looked at.
INSERT INTO signups (event_time, email, origin) SELECT '2024-03-08 10:00+00'::timestamptz + n * interval '1 millisecond', n || '@site.example', 'https://flood.example' FROM generate_series(1, 25000) n;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-03-08 12:00+00');
SELECT ok(pg_temp.page('https://flood.example') LIKE '%from a window of just over 0.019 s on, by the first 20000 of its rows.%', 'a flood: bounded');

-- ---- who was told ---------------------------------------------------------------------------------------------------------
SELECT ok(pg_temp.page('mallory') ~ 'Who was told: ops-mail \(when it was found, for the digest\): waits for the next digest since .* UTC\. The route: HIGH, but over for more than 1 d when it was found: in the digest\.', 'held for the digest, and why');
INSERT INTO denials (event_time, operator, permission) SELECT now() - interval '1 minute' + n * interval '1 second', 'now', 'area' || n || ':admin' FROM generate_series(1, 4) n;
SELECT raxx_detect.run('auth_rbac_denied_burst');
SELECT ok(pg_temp.page('now') ~ 'Who was told: raxx-ops-alert-sev2(-5)? \(when it was found\): waits to be sent since .* UTC\. The route: HIGH', 'waits to be sent');
UPDATE raxx_detect.deliveries SET state = 'delivered', ended_at = '2024-03-08 13:00+00' WHERE finding_id = (SELECT finding_id FROM raxx_detect.detection_findings WHERE entity = 'now');
SELECT ok(pg_temp.page('now') LIKE '%: delivered at 2024-03-08 13:00:00 UTC.%', 'delivered, when');
UPDATE raxx_detect.deliveries SET state = 'dead', last_error = E'550 \x1b[2J no such mailbox' WHERE finding_id = (SELECT finding_id FROM raxx_detect.detection_findings WHERE entity = 'now');
SELECT ok(pg_temp.page('now') LIKE '%: could not be delivered: 550 [2J no such mailbox.%', 'not delivered, and why');
DELETE FROM raxx_detect.deliveries WHERE finding_id = (SELECT finding_id FROM raxx_detect.detection_findings WHERE entity = 'now');
SELECT ok(pg_temp.page('now') LIKE '%Who was told: nobody. No message about it is on record%', 'nobody, and why');

-- ---- triage -----------------------------------------------------------------------------------------------------------------
SELECT ok(pg_temp.page('now') LIKE '%People: nobody has looked at it yet.%', 'new');
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive' WHERE entity = 'now';
SELECT ok(pg_temp.page('now') LIKE '%People: closed as true_positive.%', 'closed');

-- ---- rules of one's own: steps, and rows that count -------------------------------------------------------------------------
SELECT raxx_detect.create_source('{"source": "acts", "rows_called": "acts", "meaning": "Acts.", "roles": [{"role": "event_time", "type": "timestamptz", "meaning": "When."},
    {"role": "who", "type": "text", "meaning": "Who."}, {"role": "what", "type": "text", "meaning": "What."}]}'::jsonb);
SELECT raxx_detect.create_rule(jsonb_build_object('rule_id', r, 'title', 't', 'method', method, 'severity', 'high', 'sources', '["acts"]'::jsonb, 'false_alarms_per_month', 1, 'escalation_owner', 'o', 'runbook', 'r', 'params', params))
FROM (VALUES ('own_any', 'temporal', '{"entity": "who", "value": "what", "steps": ["a*", "b", "c"], "window": "30 s", "threshold": 3}'::jsonb),
             ('own_ordered', 'temporal_ordered', '{"entity": "who", "value": "what", "steps": ["a*", "b", "c"], "window": "30 s"}'),
             ('own_some', 'velocity', '{"entity": "who", "filter": "what", "only": ["a*", "b"], "window": "30 s", "threshold": 4}')) v(r, method, params);
UPDATE raxx_detect.rules SET state = 'dormant' WHERE rule_id LIKE 'own%';
CREATE TABLE acts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz, who text, what text);
INSERT INTO acts (event_time, who, what) SELECT '2024-03-09 12:00+00'::timestamptz + (n * 5) * interval '1 second', w, x FROM (VALUES ('all', '{c,a1,b,c}'::text[]), ('mixed', '{b,c,a1,d,d,d}'), ('two', '{a1,c,b}'), ('late', '{c,b,d}'), ('some', '{a1,d,b,d,a2,b}')) v(w, xs)
CROSS JOIN unnest(xs) WITH ORDINALITY u(x, n);
SELECT raxx_detect.bind_source('acts', 'acts');
SELECT raxx_detect.run(rule_id, '2024-03-09 13:00+00') FROM raxx_detect.rules WHERE rule_id LIKE 'own%';
CREATE FUNCTION pg_temp.own(rule text, of text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.flat(raxx_detect.explain(max(finding_id))) FROM raxx_detect.detection_findings WHERE rule_id = rule AND entity = of $$;
SELECT ok(pg_temp.own('own_any', 'mixed') LIKE '%any 30 s hold 3 or more different steps of one who.%it would not have fired at a threshold of 4; it did fire from a window of just over 10 s on.%', 'steps in any order');
SELECT ok(pg_temp.own('own_ordered', 'all') LIKE '%any 30 s hold 3 or more steps in order of one who.%it did fire from a window of just over 10 s on.%', 'steps in order');
SELECT ok(pg_temp.own('own_some', 'some') LIKE '%it would not have fired at a threshold of 5; it did fire from a window of just over 25 s on.%', 'rows that count');
SELECT ok(pg_temp.flat(raxx_detect.why_not('own_ordered', 'two', '2024-03-09 12:00:10+00')) LIKE '%at most 2 steps in order in 30 s%against the threshold of 3: 1 short of it.%' AND
          pg_temp.flat(raxx_detect.why_not('own_ordered', 'late', '2024-03-09 12:00:10+00')) LIKE '%no steps in order at all around that time%', 'why_not: steps in another order, or without the first');

-- ---- exceptions, silences, downgrades, history ------------------------------------------------------------------------------
INSERT INTO raxx_detect.downgrades (rule_id, severity_from, severity_to, firings, reason, until) VALUES ('auth_rbac_denied_burst', 'high', 'medium', 6, 'fired 6 times, nobody acted', now() + interval '14 days');
SELECT ok(pg_temp.page('now') ~ 'Exceptions and silences: .*its rule is told one severity lower, as MEDIUM, from .* UTC to .* UTC \(downgrade [0-9]+: fired 6 times, nobody acted\)\.', 'a downgrade');
DELETE FROM raxx_detect.downgrades;
SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'https://load.example', 'our own load test', now() + interval '1 day');
SELECT raxx_detect.silence('signup_waitlist_velocity_per_origin', 'https://party.example', now() + interval '1 hour', 'launch party');
INSERT INTO signups (event_time, email, origin) SELECT now() - interval '1 minute' + n * interval '1 second', n || '@x.example', o FROM generate_series(1, 25) n CROSS JOIN unnest('{https://load.example,https://party.example,https://usual.example}'::text[]) o;
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin');
SELECT ok(pg_temp.page('https://load.example') ~ 'Exceptions and silences: exception [0-9]+ \(our own load test; by .* UTC\) holds for this finding: it is on record, and not told\. Who was told: nobody\. An exception holds for it\.', 'an exception');
SELECT ok(pg_temp.page('https://party.example') ~ 'Exceptions and silences: silence [0-9]+ \(launch party; by .* UTC\) holds back what is new about it\. Who was told: .*: held back by silence [0-9]+\.', 'a silence');
SELECT ok(pg_temp.page('https://usual.example') LIKE '%exceptions and silences were consulted, and none is about it.%', 'neither');
SELECT raxx_detect.end_silence(raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'all quiet'), 'enough');
SELECT ok(pg_temp.page('mallory') NOT LIKE '%all quiet%', 'a silence of all rules is none for a rule that allows none');
SELECT ok(pg_temp.flat(raxx_detect.why_not('auth_rbac_denied_burst', 'nobody', now())) NOT LIKE '%all quiet%', 'nor for why_not');
SELECT ok(pg_temp.flat(raxx_detect.why_not('signup_waitlist_velocity_per_origin', 'https://load.example', now())) ~ 'There is one: finding .*Who was told: nobody\. An exception holds for it\..*Exception [0-9]+ holds then \(our own load test', 'why_not: an exception');
SELECT ok(pg_temp.flat(raxx_detect.why_not('signup_waitlist_velocity_per_origin', 'https://party.example', now())) ~ 'There is one: .*Silence [0-9]+ holds then \(launch party', 'why_not: a silence');
SELECT raxx_detect.acknowledge(finding_id, 'looking'), raxx_detect.triage(finding_id, 'benign', E'known \x1b guests') FROM raxx_detect.detection_findings WHERE entity = 'https://usual.example';
SELECT ok(pg_temp.page('https://usual.example') ~ 'People: closed as benign\. acknowledged at .* UTC by .* \(looking\); closed at .* UTC by .* as benign \(known guests\)\.', 'the history of triage');
SELECT raxx_detect.reopen(finding_id) FROM raxx_detect.detection_findings WHERE entity = 'https://usual.example';
SELECT ok(pg_temp.page('https://usual.example') LIKE '%People: it is open again. acknowledged at%; reopened at%', 'opened again');

-- ---- hostile texts --------------------------------------------------------------------------------------------------------
CREATE TEMP TABLE hostile (n int, operator text);
INSERT INTO hostile VALUES (1, E'\x1b]0;owned\x07\nFinding 1: LOW'), (2, ''), (3, '%s %n %1$s'), (4, $q$'; DROP TABLE denials; --$q$), (5, repeat('x', 5000)), (6, E'\u202Edrowssap\u200B'), (7, 'a(' || repeat('(a+)+', 30) || '\'), (8, '\1\2 $1 $3');
INSERT INTO denials (event_time, operator, permission) SELECT '2024-03-08 20:00+00'::timestamptz + g * interval '1 second', h.operator, g || ':admin' FROM hostile h CROSS JOIN generate_series(1, 4) g;
DELETE FROM raxx_detect.coverage WHERE rule_id = 'auth_rbac_denied_burst';
SELECT raxx_detect.run('auth_rbac_denied_burst', '2024-03-08 21:00+00');
SELECT is(count(*), 8::bigint, 'hostile operators are found') FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.operator);
SELECT is(ARRAY(SELECT h.n FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.operator)
                WHERE pg_temp.flat(raxx_detect.explain(f.finding_id)) NOT LIKE '%at a threshold of 5; it did fire from a window of just over 2 s on.%Evidence now: Of the 3 rows%' ORDER BY 1), '{}', 'each is explained with its own rows');
SELECT is(ARRAY(SELECT h.n FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.operator)
                WHERE regexp_replace(raxx_detect.explain(f.finding_id), E'\n', '', 'g') ~ '[[:cntrl:]\u202e\u200b]' ORDER BY 1), '{}', 'nothing that writes over a terminal, or turns a line around');
SELECT is(count(*), 1::bigint, 'no line passes for another finding''s') FROM hostile h JOIN raxx_detect.detection_findings f ON f.entity = raxx_detect.bounded_entity(h.operator)
CROSS JOIN LATERAL regexp_split_to_table(raxx_detect.explain(f.finding_id), '\n') line WHERE h.n = 1 AND line LIKE 'Finding %';
SELECT ok(pg_temp.page('') LIKE '%(empty)%', 'the empty operator has a name');

-- ---- what is no longer there ----------------------------------------------------------------------------------------------
ALTER TABLE denials RENAME COLUMN operator TO who;
SELECT ok(pg_temp.page('mallory') LIKE '%How close it was: it would not have fired at a threshold of 6; what was seen is 1.667 times the one in force (3). The rows cannot be asked: 42703%', 'a column is gone: the finding tells what it can');
SELECT ok(pg_temp.page('mallory') LIKE '%cannot be compared any more%', 'and what it cannot');
DROP TABLE denials;
SELECT ok(pg_temp.page('mallory') LIKE '%How close it was: it would not have fired%Evidence now: Of the 3 rows of public.denials that are evidence, all 3 cannot be compared any more.%', 'the relation is gone');
SELECT raxx_detect.unbind_source('rbac_denials');
SELECT ok(pg_temp.page('mallory') LIKE '%How close it was: it would not have fired%', 'nothing is bound');
UPDATE raxx_detect.detection_findings SET episode = '(,)', entity = 'forever' WHERE entity = 'mallory';
SELECT ok(pg_temp.page('forever') LIKE 'Finding %', 'an episode without bounds');

-- ---- rights and errors -------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.detection_findings SET evidence_changed_at = now(), evidence_note = 'Of the 20 rows, 1 has changed.' WHERE entity = 'https://7.example';
CREATE ROLE explain_reader;
GRANT USAGE ON SCHEMA raxx_detect TO explain_reader;
GRANT SELECT ON raxx_detect.detection_findings, raxx_detect.rules, raxx_detect.source_bindings, raxx_detect.source_kinds, raxx_detect.source_roles, raxx_detect.coverage TO explain_reader;
SET LOCAL ROLE explain_reader;
SELECT ok(pg_temp.page('https://7.example') LIKE '%How close it was: it would not have fired at a threshold of % The rows cannot be asked: role "explain_reader" may not read them.%', 'who may not read the rows is told so');
SELECT ok(pg_temp.page('https://7.example') LIKE '%role "explain_reader" may not look whether its rows are as they were. The daily look said: Of the 20 rows, 1 has changed.%' AND pg_temp.page('https://7.example') NOT LIKE '%Who was told%', 'nor the messages');
RESET ROLE;
SELECT throws_ok('SELECT raxx_detect.explain(-5)', '42704', 'there is no finding -5', 'no such finding');
SELECT throws_ok('SELECT raxx_detect.explain(NULL)', '42704', 'there is no finding NULL', 'NULL');
SELECT is((SELECT provolatile FROM pg_proc WHERE oid = 'raxx_detect.explain(bigint)'::regprocedure), 's', 'it changes nothing');

-- ---- words ---------------------------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.time_in_words('2024-03-05 14:00:00.5+02'), '2024-03-05 12:00:00.5 UTC', 'a time');
SELECT is(raxx_detect.time_in_words('2024-03-05 10:00:00+00'), '2024-03-05 10:00:00 UTC', 'a round one');
SELECT is(raxx_detect.time_in_words('infinity'), 'the end of time', 'an infinite one');
SELECT is(raxx_detect.exactly('00:03:12.000001'), '3 min 12.000001 s', 'an interval');
SELECT is(raxx_detect.exactly('00:00:00.25'), '0.25 s', 'a short one');
SELECT is(raxx_detect.exactly('02:00:00'), '2 h', 'a round one');
SELECT is(raxx_detect.wrapped('aa bb cc dd', 5), E'aa bb\n   cc\n   dd', 'lines');
SELECT is(raxx_detect.plain(E'a\tb\r\nc'), 'a b c', 'one line');
SELECT is(length(raxx_detect.plain(repeat('x', 100000), 50)), 50, 'at most so long');
SELECT * FROM finish();
ROLLBACK;
