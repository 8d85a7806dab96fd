-- The refresh: a dry run changes nothing and lists what the real one does; what is activated, read anew, tightened and told lower, and what people are asked.
BEGIN;
SELECT plan(59);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;
-- What people did, for a test of this part alone.
CREATE TABLE IF NOT EXISTS raxx_detect.finding_actions (action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, finding_id bigint, action text, disposition text, note text,
    acted_by name DEFAULT session_user, acted_at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS raxx_detect.silences (rule_id text, entity text, until timestamptz, reason text, created_by name DEFAULT session_user, created_at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS raxx_detect.exceptions (rule_id text, entity text, expires_at timestamptz, reason text, created_by name DEFAULT session_user, created_at timestamptz DEFAULT now());
ALTER TABLE raxx_detect.finding_actions DISABLE TRIGGER USER;  -- the test says who did what when
ALTER TABLE raxx_detect.silences DISABLE TRIGGER USER;
ALTER TABLE raxx_detect.exceptions DISABLE TRIGGER USER;

-- Everything that the extension keeps, sequences included.
CREATE FUNCTION pg_temp.image() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb := '{}';
    rel record;
    rows text;
BEGIN
    FOR rel IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind IN ('r', 'S') LOOP
        EXECUTE format(CASE rel.relkind WHEN 'S' THEN 'SELECT last_value || '' '' || is_called FROM %s' ELSE 'SELECT md5(string_agg(md5(t::text), '''' ORDER BY t::text)) || '' '' || count(*) || '' '' || coalesce(max(xmin::text::bigint), 0) FROM %s t' END, rel.name) INTO rows;
        result := result || jsonb_build_object(rel.name::text, rows);
    END LOOP;
    RETURN result;
END $$;
CREATE FUNCTION pg_temp.lines(apply boolean DEFAULT false, action text DEFAULT NULL) RETURNS text[] LANGUAGE sql AS
    $$ SELECT array_agg(concat_ws(' ', r.action, r.rule_id) ORDER BY ordinality) FROM raxx_detect.refresh(apply) WITH ORDINALITY r(action, rule_id, detail) WHERE coalesce(r.action = lines.action, true) $$;
CREATE FUNCTION pg_temp.whole(apply boolean) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT jsonb_agg(to_jsonb(r) ORDER BY ordinality) FROM raxx_detect.refresh(apply) WITH ORDINALITY r(action, rule_id, detail) $$;
CREATE FUNCTION pg_temp.threshold() RETURNS text LANGUAGE sql AS $$ SELECT r.params ->> 'threshold' FROM raxx_detect.rules r WHERE r.rule_id = 'signup_waitlist_velocity_per_origin' $$;

SELECT is(pg_temp.lines(), NULL, 'nothing is bound: nothing to do');

-- ---- two weeks of sign-ups, one every ten minutes from each of three places, and a burst of seven -----------------------------------
CREATE SCHEMA app;
SELECT raxx_detect.create_source_table('waitlist_signups', 'app.waitlist_signups');
INSERT INTO app.waitlist_signups (event_time, email, origin)
SELECT t, format('p%s@%s.example', extract(epoch FROM t)::bigint, md5(t::text || o)), o FROM generate_series(now() - interval '14 days', now() - interval '20 minutes', '10 minutes') t, unnest('{a,b,c}'::text[]) o;
INSERT INTO app.waitlist_signups (event_time, email, origin)
SELECT date_trunc('day', now() - interval '3 days', 'UTC') + interval '12 hours' + i * interval '1 second', format('p%s@%s.example', i, md5(i::text)), 'd' FROM generate_series(1, 7) i;
DELETE FROM raxx_detect.source_bindings;
SELECT is(pg_temp.lines(), NULL, 'not yet');
SELECT raxx_detect.bind_source('waitlist_signups', 'app.waitlist_signups');
SELECT is(pg_temp.lines(action => 'activate'), '{activate signup_waitlist_velocity_per_origin,activate signup_email_pattern_anomaly,activate signup_geographic_burst}', 'what became ready is activated');
CREATE TEMP TABLE before AS SELECT pg_temp.image() AS image;
CREATE TEMP TABLE dry AS SELECT pg_temp.whole(false) AS lines, raxx_detect.refresh_report() AS report;
SELECT is(pg_temp.image(), image, 'the dry run has changed nothing, nor has the report') FROM before;
SELECT is(pg_temp.whole(true), lines, 'the real one lists the same') FROM dry;
SELECT isnt(pg_temp.image(), image, 'and has changed something') FROM before;
SELECT is((state, state_reason LIKE 'judged by its baseline: 7 days%'), ('live'::text, true), 'the rule is live') FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(pg_temp.lines(action => 'rebaseline'), NULL, 'its runs keep its baseline');
SELECT results_eq($$SELECT observed, triage FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, $$VALUES (7::float8, 'new')$$, 'the burst is a finding, and left out of it');

-- ---- tighten: the least number that is rare enough, out of reach of what was, and not too far at once ---------------------------------
SELECT is(pg_temp.lines(action => 'tighten'), '{tighten signup_waitlist_velocity_per_origin}', 'of twenty that are allowed where at most one came');
SELECT alike(detail, 'threshold 20 to 10: by the 7 days before, % or more in a window come by chance no more than 0.5 times a month, and no window can have held 3', 'half of it is left') FROM raxx_detect.refresh() WHERE action = 'tighten';
UPDATE raxx_detect.tuning_settings SET tighten_to = 0.75;
SELECT alike(detail, 'threshold 20 to 15: %', 'which is a setting') FROM raxx_detect.refresh() WHERE action = 'tighten';
UPDATE raxx_detect.tuning_settings SET tighten_to = 0.01;
SELECT is((regexp_match(detail, 'threshold 20 to ([0-9]+): '))[1], params ->> 'baseline_floor', 'never below baseline_floor') FROM raxx_detect.refresh() f JOIN raxx_detect.rules r USING (rule_id) WHERE action = 'tighten';
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_floor": 1}');
CREATE TEMP TABLE by_chance AS SELECT (regexp_match(detail, 'threshold 20 to ([0-9]+): '))[1]::bigint AS n FROM raxx_detect.refresh() f WHERE action = 'tighten';
SELECT ok(n >= 3, 'nor to what a window may have held') FROM by_chance;
SELECT ok(raxx_detect.alarm_budget(r) / raxx_detect.tests_a_month(b.rows, b.days) >= raxx_detect.negative_binomial_upper_tail(n - 1, b.others_mean, b.others_variance), 'nor to what comes by chance more often than declared')
FROM by_chance, raxx_detect.rules r, raxx_detect.source_bindings s, raxx_detect.all_entities_baseline(r, s.source, raxx_detect.judging_day(r, s, now())) b WHERE r.rule_id = 'signup_waitlist_velocity_per_origin';
UPDATE raxx_detect.rules SET false_alarms_per_month = 1e-30 WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT ok((SELECT (regexp_match(detail, 'threshold 20 to ([0-9]+): '))[1]::bigint FROM raxx_detect.refresh() f WHERE action = 'tighten') IS DISTINCT FROM n, 'who declares fewer false alarms gets another') FROM by_chance;
UPDATE raxx_detect.rules SET false_alarms_per_month = 0.5 WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_floor": 5}');
UPDATE raxx_detect.tuning_settings SET tighten_to = 0.5;
-- The burst was harmless.
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(pg_temp.lines(action => 'rebaseline'), '{rebaseline signup_waitlist_velocity_per_origin}', 'a finding that was closed changes the baseline');
SELECT alike(detail, '1 of the 7 days of waitlist_signups by which % is judged are read anew%', 'of one day') FROM raxx_detect.refresh() WHERE action = 'rebaseline';
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'and nothing is tightened by one that is not as it should be');
SELECT is(pg_temp.whole(false), pg_temp.whole(true), 'applied as listed');
SELECT is(pg_temp.lines(action => 'rebaseline'), NULL, 'once');
SELECT alike(detail, 'threshold 20 to 15: % and no window can have held 15', 'seven in one cell: fourteen may have been in a window') FROM raxx_detect.refresh() WHERE action = 'tighten';
SELECT is(pg_temp.threshold(), '20', 'not done yet');
SELECT pg_temp.lines(true);
SELECT is(pg_temp.threshold(), '15', 'done');
SELECT results_eq('SELECT rule_id, threshold_from, threshold_to, tightened_at FROM raxx_detect.tightenings', $$VALUES ('signup_waitlist_velocity_per_origin', 20::bigint, 15::bigint, now())$$, 'and on record');
UPDATE raxx_detect.tuning_settings SET tighten_every = '0';
SELECT is(pg_temp.lines(true, 'tighten'), NULL, 'there is no less');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 4}');
SELECT is(pg_temp.lines(true, 'tighten'), NULL, 'a lower one is never raised');
SELECT is(pg_temp.threshold(), '4', 'but left as it is');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 20}');
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'what somebody has raised again is left as it is');
UPDATE raxx_detect.tightenings SET threshold_to = 20, threshold_from = 30, tightened_at = now() - interval '7 days';
UPDATE raxx_detect.tuning_settings SET tighten_every = '7 days 1 second';
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'and what was lowered stays for a week');
UPDATE raxx_detect.tuning_settings SET tighten_every = DEFAULT;
SELECT is(pg_temp.lines(action => 'tighten'), '{tighten signup_waitlist_velocity_per_origin}', 'no longer');
UPDATE raxx_detect.methods SET integrity = true WHERE method = 'velocity';
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'and a rule of integrity is not touched');
UPDATE raxx_detect.methods SET integrity = false WHERE method = 'velocity';
UPDATE raxx_detect.rules SET params = params || '{"baseline_rows": 1000000}' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'nor one with too little history');
UPDATE raxx_detect.rules SET params = params || '{"baseline_rows": 20}' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
ALTER TABLE app.waitlist_signups RENAME COLUMN origin TO place;
SELECT is(pg_temp.lines(action => 'tighten'), NULL, 'nor one whose source is broken, which stops nothing else');
ALTER TABLE app.waitlist_signups RENAME COLUMN place TO origin;

-- ---- told lower ---------------------------------------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary, evidence, condition, occurrences, escalation_owner, detected_at)
SELECT 'signup_email_pattern_anomaly', 'D', 'signup', 'waitlist_signups', 'medium', e, tstzrange(at - interval '1 hour', at), 60, 20, 'sign-ups', 'threshold', 60, e, '{}', 'cleared', 1, 'sre-agent', at
FROM (SELECT e, now() - interval '1 day' * (n + 1) AS at FROM unnest('{one.com,two.org,three.net,four.de,five.fr}'::text[]) WITH ORDINALITY t(e, n)) x;
INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, payload, state, ended_at)
SELECT finding_id, 'ops-mail', 'fired', 'digest', 'medium', '{}', 'delivered', detected_at FROM raxx_detect.detection_findings WHERE rule_id = 'signup_email_pattern_anomaly';
DELETE FROM raxx_detect.finding_actions;
SELECT is(pg_temp.lines(action => 'no_downgrade'), '{no_downgrade signup_email_pattern_anomaly}', 'what stays as it is, is listed');
SELECT alike(detail, '%: nobody acted on anything in that time', 'with the reason') FROM raxx_detect.refresh() WHERE action = 'no_downgrade';
INSERT INTO raxx_detect.finding_actions (finding_id, action, acted_at) VALUES (-1, 'acknowledged', now() - interval '1 hour');
SELECT is(pg_temp.lines(action => 'downgrade'), '{downgrade signup_email_pattern_anomaly}', 'what is passed over is to be told lower');
SELECT is_empty('SELECT FROM raxx_detect.downgrades', 'and is not by a dry run');
SELECT is(pg_temp.whole(false), pg_temp.whole(true), 'applied as listed');
SELECT is((rule_id, severity_from::text, firings), ('signup_email_pattern_anomaly'::text, 'medium'::text, 5), 'then it is') FROM raxx_detect.downgrades;
SELECT is(pg_temp.lines(true, 'downgrade'), NULL, 'once');
SELECT alike(p, 'signup_email_pattern_anomaly: its findings of severity MEDIUM are told as LOW until %, since people passed over 5 of them. If they matter: SELECT raxx_detect.undo_downgrade(''signup_email_pattern_anomaly'', ''reason'')',
    'the digest says so') FROM jsonb_array_elements_text(raxx_detect.digest_proposals(now() - interval '1 day', now())) p;
SELECT raxx_detect.undo_downgrade('signup_email_pattern_anomaly', 'they were real');
SELECT alike(p, 'signup_email_pattern_anomaly: its findings of severity MEDIUM are told as such again, since % took the downgrade back: they were real',
    'and that somebody took it back') FROM jsonb_array_elements_text(raxx_detect.digest_proposals(now() - interval '1 day', now())) p;
SELECT is(pg_temp.lines(true, 'downgrade'), NULL, 'which the refresh does not undo');

-- ---- nobody needs it ------------------------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.rules SET state_since = now() - interval '60 days' + interval '1 microsecond' WHERE rule_id = 'cost_dyno_hour_spike';
SELECT is(pg_temp.lines(action => 'propose_retirement'), NULL, 'dormant for a microsecond less than 60 days');
UPDATE raxx_detect.rules SET state_since = now() - interval '60 days' WHERE rule_id = 'cost_dyno_hour_spike';
SELECT is(pg_temp.lines(action => 'propose_retirement'), '{propose_retirement cost_dyno_hour_spike}', 'and for 60 days');
SELECT is(pg_temp.lines(true, 'propose_retirement'), '{propose_retirement cost_dyno_hour_spike}', 'it is for people to decide');
SELECT is(state, 'dormant', 'the refresh does not') FROM raxx_detect.rules WHERE rule_id = 'cost_dyno_hour_spike';
SELECT raxx_detect.create_source_table('dyno_samples', 'app.dyno_samples');
SELECT is(pg_temp.lines(action => 'propose_retirement'), NULL, 'its source was bound since');
UPDATE raxx_detect.source_bindings SET bound_at = now() - interval '60 days' WHERE source = 'dyno_samples';
SELECT is(pg_temp.lines(action => 'propose_retirement'), '{propose_retirement cost_dyno_hour_spike}', 'or long ago');
INSERT INTO app.dyno_samples (event_time, app, dyno_hours) VALUES (now() - interval '59 days', 'web', 1);
SELECT is(pg_temp.lines(action => 'propose_retirement'), NULL, 'and something came');
UPDATE raxx_detect.tuning_settings SET dormant_for = '59 days';
SELECT alike(detail, 'dormant since %, and nothing has come for it since %: %. If it is not worth waiting for: SELECT raxx_detect.retire(''cost_dyno_hour_spike'', reason)',
    'how long is a setting') FROM raxx_detect.refresh() WHERE action = 'propose_retirement';
SELECT raxx_detect.retire('cost_dyno_hour_spike', 'no dynos any more');
SELECT is((state, state_reason), ('retired'::text, 'no dynos any more'::text), 'somebody did') FROM raxx_detect.rules WHERE rule_id = 'cost_dyno_hour_spike';
SELECT is(pg_temp.lines(action => 'propose_retirement'), NULL, 'and is asked no more');
SELECT throws_ok($$SELECT raxx_detect.retire('cost_dyno_hour_spike', '')$$, '22023', NULL, 'not without a reason');

-- ---- the report, and errors -------------------------------------------------------------------------------------------------------------------
SELECT ok(report LIKE '# Refresh of raxx_detect, %' AND report LIKE '%A dry run: nothing was changed.%' AND report LIKE E'%\n## To be activated\n\n- **signup\\\\_waitlist%', 'the report tells the same in Markdown') FROM dry;
SELECT is(raxx_detect.markdown_text(E'a|b\n# <img src=x> [l](javascript:x) `c` **d**'), E'a\\|b \\# \\<img src=x\\> \\[l\\](javascript:x) \\`c\\` \\*\\*d\\*\\*', 'whatever is in it is text');
SELECT throws_ok('SELECT raxx_detect.refresh(NULL)', '22004', NULL, 'neither');
SELECT throws_ok($$SELECT raxx_detect.refresh(false, 'infinity')$$, '22023', NULL, 'no time');
SELECT * FROM finish();
ROLLBACK;
