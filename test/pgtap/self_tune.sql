-- Self-tuning: what counts as passed over, to the microsecond; each thing that speaks against a downgrade, shown to be all that does; the ways of
-- somebody who makes noise first; and what a downgrade does to routes, for how long, and how it is taken back.
BEGIN;
SELECT plan(93);
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

-- Somebody was told of a finding: its first message was delivered then.
CREATE FUNCTION pg_temp.tell(rule_id text, severity raxx_detect.severity, entity text, told_at timestamptz, state text DEFAULT 'delivered') RETURNS bigint LANGUAGE sql AS $$
    WITH found AS (
        INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
            evidence, condition, occurrences, escalation_owner, detected_at, updated_at)
        VALUES (rule_id, 'D', 'c', 'waitlist_signups', severity, entity, tstzrange(told_at - interval '5 minutes', told_at - interval '1 minute'), 60, 20, 'rows', 'threshold', 60,
            entity || ': 60 rows', '{}', 'cleared', 1, 'sre-agent', told_at - interval '1 minute', told_at - interval '1 minute') RETURNING finding_id)
    INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, payload, state, created_at, ended_at)
    SELECT f.finding_id, 'ops-mail', 'fired', 'event', severity, '{}', state, told_at - interval '1 minute', CASE WHEN state IN ('delivered', 'dead', 'cancelled') THEN told_at END FROM found f
    RETURNING finding_id $$;
CREATE FUNCTION pg_temp.act(finding bigint, at timestamptz) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO raxx_detect.finding_actions (finding_id, action, acted_at) VALUES (finding, 'acknowledged', at) $$;
CREATE FUNCTION pg_temp.forget() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.finding_actions; DELETE FROM raxx_detect.deliveries; DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.downgrades; DELETE FROM raxx_detect.deliveries $$;
-- Five findings, two a day, of entities that have nothing in common; and somebody who acts on another rule's later.
CREATE FUNCTION pg_temp.five(rule_id text DEFAULT 'signup_waitlist_velocity_per_origin', severity raxx_detect.severity DEFAULT 'high', least_told timestamptz DEFAULT '2026-06-07 12:00:00.000001+00',
    last_told timestamptz DEFAULT '2026-06-14 12:00+00') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.forget();
    PERFORM pg_temp.tell(rule_id, severity, 'https://one.example', least_told), pg_temp.tell(rule_id, severity, 'https://two.test', '2026-06-09 10:00+00'),
            pg_temp.tell(rule_id, severity, 'https://three.invalid', '2026-06-09 11:00+00'), pg_temp.tell(rule_id, severity, 'https://four.org', '2026-06-10 10:00+00'),
            pg_temp.tell(rule_id, severity, 'https://five.net', last_told);
    PERFORM pg_temp.act(pg_temp.tell('ops_dyno_restart_cluster', 'medium', 'app', '2026-06-14 11:00+00'), '2026-06-14 13:00+00');
END $$;
CREATE FUNCTION pg_temp.verdict(at timestamptz DEFAULT '2026-06-15 12:00+00') RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(format('%s %s to %s (%s): %s', v.rule_id, v.severity_from, v.severity_to, v.firings, coalesce(v.blocked_by, 'yes')), '; ' ORDER BY v.rule_id, v.severity_from)
       FROM raxx_detect.review_downgrades(at) v $$;
CREATE FUNCTION pg_temp.id(entity text) RETURNS bigint LANGUAGE sql AS $$ SELECT f.finding_id FROM raxx_detect.detection_findings f WHERE f.entity = id.entity $$;

-- ---- how many, and when -------------------------------------------------------------------------------------------------------
SELECT pg_temp.five();
SELECT is(pg_temp.verdict(), 'signup_waitlist_velocity_per_origin high to medium (5): yes', 'five that were passed over in seven days');
SELECT pg_temp.five(least_told => '2026-06-07 12:00+00');
SELECT is(pg_temp.verdict(), NULL, 'the first of them exactly seven days before the last that counts: four');
SELECT pg_temp.five(last_told => '2026-06-14 12:00:00.000001+00');
SELECT is(pg_temp.verdict(), NULL, 'the last of them a microsecond too late for a day to have passed: four');
SELECT is(pg_temp.verdict('2026-06-15 12:00:00.000001+00'), NULL, 'a microsecond later the first is out');
SELECT pg_temp.five();
DELETE FROM raxx_detect.detection_findings WHERE entity = 'https://four.org';
SELECT is(pg_temp.verdict(), NULL, 'four');
SELECT pg_temp.tell('signup_waitlist_velocity_per_origin', 'medium', 'https://six.org', '2026-06-10 10:00+00');
SELECT is(pg_temp.verdict(), NULL, 'and one of another severity are not five');
SELECT pg_temp.five();
UPDATE raxx_detect.tuning_settings SET firings = 6;
SELECT is(pg_temp.verdict(), NULL, 'how many it takes is a setting');
UPDATE raxx_detect.tuning_settings SET firings = 5, firings_within = '6 days 23:59:59';
SELECT is(pg_temp.verdict(), NULL, 'and in what time');
UPDATE raxx_detect.tuning_settings SET firings_within = DEFAULT, reaction_time = '1 day 1 second';
SELECT is(pg_temp.verdict(), NULL, 'and how long people have to act');
UPDATE raxx_detect.tuning_settings SET reaction_time = DEFAULT;

-- ---- each guard, and that it is all that holds --------------------------------------------------------------------------------
SELECT pg_temp.act(pg_temp.id('https://two.test'), '2026-06-15 11:59:59+00');
SELECT is(pg_temp.verdict(), 'signup_waitlist_velocity_per_origin high to medium (5): somebody acted on the rule: triage, a silence or an exception', 'an action a second before');
SELECT is(pg_temp.verdict('2026-06-15 11:59:58.999999+00'), NULL, 'which was not there before (though then one was too young)');
SELECT pg_temp.five();
SELECT pg_temp.act(pg_temp.id('https://two.test'), '2026-06-15 12:00:00.000001+00');
SELECT is(pg_temp.verdict(), 'signup_waitlist_velocity_per_origin high to medium (5): yes', 'an action that is yet to come is none');
SELECT pg_temp.five();
SELECT pg_temp.act(pg_temp.tell('signup_waitlist_velocity_per_origin', 'medium', 'https://old.example', '2026-05-01 10:00+00'), '2026-06-07 12:00:00.000001+00');
SELECT alike(pg_temp.verdict(), '%: somebody acted on the rule: triage, a silence or an exception', 'an action on any finding of the rule, however old');
UPDATE raxx_detect.finding_actions SET acted_at = '2026-06-07 12:00+00' WHERE acted_at = '2026-06-07 12:00:00.000001+00';
SELECT alike(pg_temp.verdict(), '%: yes', 'but not one from before that time');

SELECT pg_temp.five();
INSERT INTO raxx_detect.silences (rule_id, until, reason, created_at, created_by) VALUES ('signup_waitlist_velocity_per_origin', '2026-06-11 12:00+00', 'x', '2026-06-10 12:00+00', 'somebody');
SELECT alike(pg_temp.verdict(), '%: somebody acted on the rule: %', 'a silence is an action');
UPDATE raxx_detect.silences SET rule_id = NULL;
SELECT alike(pg_temp.verdict(), '%: yes', 'on its rule');
UPDATE raxx_detect.silences SET created_at = '2026-05-10 12:00+00';
INSERT INTO raxx_detect.exceptions (rule_id, entity, reason, expires_at, created_at, created_by) VALUES ('signup_waitlist_velocity_per_origin', 'x', 'x', '2026-06-11 12:00+00', '2026-06-10 12:00+00', 'somebody');
SELECT alike(pg_temp.verdict(), '%: somebody acted on the rule: %', 'and so is an exception');
UPDATE raxx_detect.exceptions SET rule_id = 'ops_dyno_restart_cluster';
SELECT alike(pg_temp.verdict(), '%: yes', 'on its rule');
DELETE FROM raxx_detect.exceptions;
DELETE FROM raxx_detect.silences;

SELECT pg_temp.five();
DELETE FROM raxx_detect.finding_actions;
SELECT alike(pg_temp.verdict(), '%: nobody acted on anything in that time', 'nobody acted on anything at all');
SELECT pg_temp.act(pg_temp.id('app'), '2026-06-14 11:59:59+00');
SELECT alike(pg_temp.verdict(), '%(4): after 1 of them nobody acted on anything%', 'nobody was there any more after the last of them');
UPDATE raxx_detect.finding_actions SET acted_at = '2026-06-14 12:00+00';
SELECT alike(pg_temp.verdict(), '%(5): yes', 'somebody was');
UPDATE raxx_detect.finding_actions SET finding_id = -1;
SELECT alike(pg_temp.verdict(), '%(5): yes', 'and acted on what has been withdrawn since');

SELECT pg_temp.five(least_told => '2026-06-09 00:00+00', last_told => '2026-06-09 23:59:59+00');
UPDATE raxx_detect.deliveries SET ended_at = '2026-06-09 12:00+00' WHERE finding_id = pg_temp.id('https://four.org');
SELECT alike(pg_temp.verdict(), '%: all of them were told within 1 day(s)', 'all on one day: one burst');
UPDATE raxx_detect.tuning_settings SET firing_days = 1;
SELECT alike(pg_temp.verdict(), '%: yes', 'how many days it takes is a setting');
UPDATE raxx_detect.tuning_settings SET firing_days = DEFAULT;
UPDATE raxx_detect.deliveries SET ended_at = '2026-06-10 00:00+00' WHERE finding_id = pg_temp.id('https://five.net');
SELECT alike(pg_temp.verdict(), '%: yes', 'two days, by UTC');

SELECT pg_temp.five();
UPDATE raxx_detect.detection_findings SET entity = 'https://one.example' WHERE entity IN ('https://two.test', 'https://three.invalid');
SELECT alike(pg_temp.verdict(), '%: one entity, or variants of it, made most of them', 'three of five by one');
UPDATE raxx_detect.tuning_settings SET entity_share = 0.6;
SELECT alike(pg_temp.verdict(), '%: yes', 'how many are too many is a setting');
UPDATE raxx_detect.tuning_settings SET entity_share = DEFAULT;
UPDATE raxx_detect.detection_findings SET entity = 'https://other.example' WHERE entity = 'https://one.example' AND finding_id = (SELECT max(finding_id) FROM raxx_detect.detection_findings WHERE entity = 'https://one.example');
SELECT alike(pg_temp.verdict(), '%: yes', 'two of five');

-- ---- never ----------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.five('data_audit_log_gap_window', 'medium');
SELECT is(pg_temp.verdict(), NULL, 'never a gap rule');
UPDATE raxx_detect.rules SET severity = 'high' WHERE rule_id = 'data_audit_log_gap_window';
SELECT is(pg_temp.verdict(), NULL, 'not even one that finds nothing critical');
UPDATE raxx_detect.methods SET integrity = false WHERE method = 'gap';
SELECT alike(pg_temp.verdict(), 'data_audit_log_gap_window medium to low (5): yes', 'it is the method that says so');
UPDATE raxx_detect.methods SET integrity = true WHERE method = 'gap';
SELECT pg_temp.five('data_audit_log_hash_chain_break', 'high');
SELECT is(pg_temp.verdict(), NULL, 'never a chain rule');
UPDATE raxx_detect.rules SET severity = 'high' WHERE rule_id = 'data_audit_log_hash_chain_break';
SELECT is(pg_temp.verdict(), NULL, 'whatever its severity');
SELECT pg_temp.five();
UPDATE raxx_detect.rules SET severity = 'critical' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(pg_temp.verdict(), NULL, 'never a rule that finds what is critical, not even of its lower findings');
UPDATE raxx_detect.rules SET severity = 'high' WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT pg_temp.five(severity => 'critical');
SELECT is(pg_temp.verdict(), NULL, 'never what is critical');
SELECT pg_temp.five(severity => 'low');
SELECT is(pg_temp.verdict(), NULL, 'and nothing is lower than low');

-- ---- somebody who makes noise first -----------------------------------------------------------------------------------------------
SELECT pg_temp.five('auth_rbac_denied_burst', 'medium');
SELECT is(pg_temp.verdict(), 'auth_rbac_denied_burst medium to low (5): yes', 'noise at MEDIUM lowers what is MEDIUM');
SELECT raxx_detect.self_tune('2026-06-15 12:00+00');
SELECT is((raxx_detect.told_severity('auth_rbac_denied_burst', 'medium', '2026-06-16'), raxx_detect.told_severity('auth_rbac_denied_burst', 'high', '2026-06-16')),
    ('low'::raxx_detect.severity, 'high'::raxx_detect.severity), 'and leaves the HIGH findings of the rule as they are');
SELECT pg_temp.five();
UPDATE raxx_detect.detection_findings SET entity = (ARRAY['203.0.113.1', '203.0.113.200/32', '::ffff:203.0.113.7', '198.51.100.1', '192.0.2.1'])[n]
FROM (SELECT finding_id AS id, row_number() OVER (ORDER BY finding_id) AS n FROM raxx_detect.detection_findings WHERE rule_id LIKE 'signup%') k WHERE finding_id = k.id;
UPDATE raxx_detect.detection_findings SET entity = '203.0.113.9/32' WHERE entity LIKE '::ffff%';
SELECT alike(pg_temp.verdict(), '%: one entity, or variants of it, made most of them', 'addresses of one network are one');
SELECT is(raxx_detect.entity_family(a) = raxx_detect.entity_family(b), expected, format('%s, %s', a, b)) FROM (VALUES
    ('203.0.113.1', '203.0.113.255/32', true), ('203.0.113.1', '203.0.114.1', false),
    ('2001:db8:1:1::/64', '2001:db8:1:ffff::1', true), ('2001:db8:1::/64', '2001:db8:2::/64', false),
    ('anna+1@mail.evil.example', 'bob@other.evil.example', true), ('anna@mail.evil.com', 'x9@other.evil.com', true), ('anna@evil.com', 'anna@evil.org', false),
    ('https://a.evil.com', 'http://b.EVIL.com:8080/path', true), ('a.evil.co.uk', 'b.evil.co.uk', true), ('a.evil.co.uk', 'b.good.co.uk', false),
    ('op-17', 'OP_18', true), ('anna', 'bernd', false), ('', '12345', true)) t(a, b, expected);
SELECT is(raxx_detect.entity_family(e) IS NULL, false, 'hostile: ' || left(e, 20)) FROM unnest(ARRAY[repeat('@', 200), E'\n', '://', 'x@', '::::::', '1.2.3.4/999', repeat('a.', 99) || 'b']) e;

SELECT pg_temp.five();
UPDATE raxx_detect.deliveries SET state = 'pending', ended_at = NULL WHERE finding_id = pg_temp.id('https://five.net');
SELECT is(pg_temp.verdict(), NULL, 'who breaks the notifier is not passed over: a message that waits');
UPDATE raxx_detect.deliveries SET state = 'dead', ended_at = '2026-06-14 12:00+00' WHERE finding_id = pg_temp.id('https://five.net');
SELECT is(pg_temp.verdict(), NULL, 'or is dead told nobody');
DELETE FROM raxx_detect.deliveries WHERE finding_id = pg_temp.id('https://five.net');
SELECT is(pg_temp.verdict(), NULL, 'nor did none, of what is silenced or excepted');
SELECT pg_temp.five();
UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'benign' WHERE entity = 'https://two.test';
SELECT pg_temp.act(pg_temp.id('https://two.test'), '2026-06-13 12:00+00');
SELECT alike(pg_temp.verdict(), '%: somebody acted on the rule: triage, a silence or an exception', 'what was closed as benign was not passed over');

-- ---- what it does, and for how long -----------------------------------------------------------------------------------------------
SELECT pg_temp.five();
SELECT is((rule_id, severity_from::text, severity_to::text, firings, until), ('signup_waitlist_velocity_per_origin'::text, 'high'::text, 'medium'::text, 5, '2026-06-29 12:00+00'::timestamptz), 'it is on record')
FROM raxx_detect.self_tune('2026-06-15 12:00+00');
SELECT is(raxx_detect.told_severity('signup_waitlist_velocity_per_origin', s.severity, s.at::timestamptz)::text, s.told, format('%s at %s', s.severity, s.at)) FROM (VALUES
    ('high'::raxx_detect.severity, '2026-06-15 11:59:59.999999+00', 'high'), ('high', '2026-06-15 12:00+00', 'medium'), ('high', '2026-06-29 11:59:59.999999+00', 'medium'),
    ('high', '2026-06-29 12:00+00', 'high'), ('medium', '2026-06-20 12:00+00', 'medium'), ('critical', '2026-06-20 12:00+00', 'critical')) s(severity, at, told);
SELECT is((p.channel, p.mode), ('ops-mail'::text, 'digest'::text), 'it is told in the digest') FROM raxx_detect.route_preview('signup_waitlist_velocity_per_origin', 'high', '2026-06-16 16:00+00') p;
SELECT alike(p.because, 'HIGH, told one lower until 2026-06-29 12:00 UTC since people passed over 5 such findings; MEDIUM: in the digest%', 'and says why')
FROM raxx_detect.route_preview('signup_waitlist_velocity_per_origin', 'high', '2026-06-16 16:00+00') p;
SELECT is((p.channel, p.because LIKE '%told one lower%'), ('raxx-ops-alert-sev2-5'::text, false), 'then as before')
FROM raxx_detect.route_preview('signup_waitlist_velocity_per_origin', 'high', '2026-06-29 16:00+00') p;
SELECT is_empty($$SELECT raxx_detect.self_tune('2026-06-15 12:00+00')$$, 'not twice');
SELECT is_empty($$SELECT raxx_detect.self_tune('2026-06-15 11:00+00')$$, 'nor as of a time that would meet it');
SELECT is(count(*), 1::bigint, 'one row') FROM raxx_detect.downgrades;
UPDATE raxx_detect.methods SET integrity = true WHERE method = 'velocity';
SELECT is(raxx_detect.told_severity('signup_waitlist_velocity_per_origin', 'high', '2026-06-16')::text, 'high', 'a row that no rule allows has no effect');
UPDATE raxx_detect.methods SET integrity = false WHERE method = 'velocity';
SELECT throws_ok($$INSERT INTO raxx_detect.downgrades (rule_id, severity_from, severity_to, firings, reason, until) VALUES ('signup_waitlist_velocity_per_origin', 'critical', 'low', 5, 'x', now() + interval '1 day')$$,
    '23514', NULL, 'nor can there be one of what is critical');
-- The same noise goes on for weeks, each day told lower, and then again as it is.
SELECT pg_temp.tell('signup_waitlist_velocity_per_origin', 'high', format('https://site%s.com', translate(d::text, '0123456789', 'abcdefghij')), timestamptz '2026-06-16 12:00+00' + d * interval '1 day'),
       pg_temp.act(pg_temp.id('app'), timestamptz '2026-06-16 12:00+00' + d * interval '1 day') FROM generate_series(0, 20) d;
SELECT is(pg_temp.verdict('2026-06-29 12:00+00'), NULL, 'what was told lower is not counted when it ends');
SELECT is(pg_temp.verdict('2026-07-04 11:00+00'), NULL, 'nor later');
SELECT alike(pg_temp.verdict('2026-07-04 12:00+00'), '%(5): yes', 'five that were told in full again are');

-- ---- taken back -----------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.forget();
SELECT pg_temp.tell('signup_waitlist_velocity_per_origin', 'high', e, now() - interval '2 days' - n * interval '1 day') FROM unnest('{a.com,b.com,c.com,d.com,e.com}'::text[]) WITH ORDINALITY t(e, n);
SELECT pg_temp.act(-1, now() - interval '1 hour');
SELECT is(count(*), 1::bigint, 'told lower') FROM raxx_detect.self_tune();
SELECT throws_ok($$SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', ' ')$$, '22023', 'taking a downgrade back needs a reason', 'not without a reason');
SELECT throws_ok($$SELECT raxx_detect.undo_downgrade('signup_waitlist', 'x')$$, '42704', NULL, 'nor of a rule that is not there');
SELECT is(raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'they were real'), 1, 'one call takes it back');
SELECT is(raxx_detect.told_severity('signup_waitlist_velocity_per_origin', 'high'), 'high'::raxx_detect.severity, 'at once');
SELECT is((ended_by, end_reason), (session_user::name, 'they were real'::text), 'it says who, and why') FROM raxx_detect.downgrades;
SELECT is_empty($$SELECT raxx_detect.self_tune()$$, 'and it is not made again for the same findings');
SELECT throws_ok($$UPDATE raxx_detect.downgrades SET ended_at = NULL, ended_by = NULL, end_reason = NULL$$, '42501', 'a downgrade that was taken back stays so', 'nor is it put back by hand');
SELECT throws_ok($$SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'x')$$, '42704', 'rule signup_waitlist_velocity_per_origin is not told lower', 'there is nothing more to take back');
SELECT throws_ok($$SELECT raxx_detect.self_tune('infinity')$$, '22023', NULL, 'no time');

-- ---- by itself --------------------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.downgrades;
UPDATE raxx_detect.heartbeat SET last_run_at = now();
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(count(*), 0::bigint, 'not at each run') FROM raxx_detect.downgrades;
UPDATE raxx_detect.heartbeat SET last_run_at = now() - interval '1 day';
SELECT count(*) FROM raxx_detect.run_all();
SELECT is(count(*), 1::bigint, 'but at the first of a day') FROM raxx_detect.downgrades;
SELECT * FROM finish();
ROLLBACK;
