-- The outbox: what is written when a finding comes, changes and goes; and what raxx-notify is given of it, in which order and how often.
BEGIN;
SELECT plan(106);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text, rule_id text DEFAULT 'signup_waitlist_velocity_per_origin') RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES (rule_id, 'D', 'signup', 'waitlist_signups', severity, entity, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
        raxx_detect.printable(entity) || ': 60 sign-ups within 5 min', '{"rows": "secret"}', 'firing', 1, 'sre-agent') RETURNING finding_id $$;
CREATE FUNCTION pg_temp.change(finding bigint, change text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE raxx_detect.detection_findings SET updated_at = now(), %s WHERE finding_id = %s', change, finding);
END $$;
-- All is one transaction here; what was written so far counts as another's.
CREATE FUNCTION pg_temp.later() RETURNS void LANGUAGE sql AS
    $$ UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second', next_attempt_at = '-infinity' $$;
CREATE FUNCTION pg_temp.fresh() RETURNS void LANGUAGE sql AS
    $$ DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.deliveries; DELETE FROM raxx_detect.channel_states $$;
CREATE VIEW pg_temp.told AS
    SELECT finding_id, concat_ws(' ', channel, event, state) AS what FROM raxx_detect.deliveries ORDER BY delivery_id;
-- One way for all, by day and by night: HIGH and CRITICAL to fast, with a fallback.
INSERT INTO raxx_detect.channels (channel, kind, address, fallback, min_interval, storm_at) VALUES
    ('fast', 'webhook', 'x', 'ops-mail', '0', 20), ('slow', 'slack', 'C1', 'fast', '1 second', 20), ('masked', 'stdout', '', NULL, '0', NULL);
UPDATE raxx_detect.channels SET entities = 'masked' WHERE channel = 'masked';
DELETE FROM raxx_detect.routes WHERE severity >= 'high';
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES
    ('h', 'high', 'fast', 'event', false), ('c1', 'critical', 'slow', 'event', true), ('c2', 'critical', 'fast', 'event', true);

-- ---- a finding's life, as it is told -----------------------------------------------------------------------------------
CREATE TEMP TABLE f AS SELECT pg_temp.find('high', 'https://evil.example') AS id;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired pending')$$, 'a new finding is told where the routes lead');
SELECT is((payload ->> 'finding_id')::bigint, f.id, 'by its number') FROM raxx_detect.deliveries, f;
SELECT ok(payload ->> 'summary' = 'https://evil.example: 60 sign-ups within 5 min' AND payload ->> 'to' IS NULL AND payload ->> 'from' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$'
    AND payload ->> 'runbook' <> '' AND payload ->> 'psql' LIKE '%finding_id = %' AND NOT payload ? 'evidence' AND payload::text !~ 'secret', 'with what people need, in UTC, without evidence')
FROM raxx_detect.deliveries;
SELECT is(deadline - now() BETWEEN interval '29 minutes' AND interval '31 minutes', true, 'and a deadline') FROM raxx_detect.deliveries;
SELECT pg_temp.change(id, 'observed = 61') FROM f;
SELECT is(count(*), 1::bigint, 'a peak that grows is nobody''s news') FROM raxx_detect.deliveries;
SELECT pg_temp.change(id, $$condition = 'cleared'$$) FROM f;
SELECT is((event, payload ->> 'condition'), ('fired'::text, 'cleared'::text), 'what ends in the same transaction is told once') FROM raxx_detect.deliveries;
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$condition = 'firing'$$) FROM f;
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$severity = 'critical'$$) FROM f;
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$condition = 'cleared'$$) FROM f;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired pending'), ('fast resumed pending'), ('fast escalated pending'), ('slow escalated pending'),
    ('fast cleared pending'), ('slow cleared pending')$$, 'what becomes of it is told to those who know of it, and a rise to those whom it now concerns');
SELECT is((payload ->> 'severity', payload ->> 'was_severity', push), ('critical'::text, 'high'::text, true), 'from what to what') FROM raxx_detect.deliveries WHERE event = 'escalated' AND channel = 'slow';
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$triage = 'closed', condition = 'firing'$$) FROM f;
SELECT is(count(*), 6::bigint, 'what people have closed is silent') FROM raxx_detect.deliveries;
SELECT pg_temp.later();
DELETE FROM raxx_detect.detection_findings;
SELECT is(count(*), 0::bigint, 'of a finding that is withdrawn before anybody heard of it nothing is told') FROM raxx_detect.deliveries WHERE state <> 'cancelled';
SELECT pg_temp.fresh();
SELECT pg_temp.change(pg_temp.find('high', 'x'), $$triage = 'closed'$$);
SELECT pg_temp.later();
SELECT pg_temp.change(finding_id, $$severity = 'critical'$$) FROM raxx_detect.detection_findings;
SELECT is(count(*), 2::bigint, 'and speaks up when its severity rises') FROM raxx_detect.deliveries WHERE event = 'escalated';

-- ---- withdrawn after it was told ----------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'x');
SELECT pg_temp.later();
SELECT ok(raxx_detect.mark_delivered(c.delivery_id, c.lease, '{"ts": "1"}'), 'delivered') FROM raxx_detect.claim_deliveries('w', '{fast}') c;
DELETE FROM raxx_detect.detection_findings;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired delivered'), ('fast withdrawn pending')$$, 'who has heard of it hears that it is withdrawn');
SELECT is((event, thread ->> 'ts'), ('withdrawn'::text, '1'::text), 'in the same thread') FROM raxx_detect.claim_deliveries('w', '{fast}');

SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'x');
SELECT pg_temp.later();
SELECT is(raxx_detect.mark_failed(c.delivery_id, c.lease, 'timed out', maybe_sent => true), 'pending', 'may have arrived') FROM raxx_detect.claim_deliveries('w', '{fast}') c;
DELETE FROM raxx_detect.detection_findings;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired pending'), ('fast withdrawn pending')$$, 'who may have heard of it hears that it is withdrawn, too');

-- ---- who hears of a rise; pictures; nobody's news ---------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('medium', 'x');
SELECT pg_temp.later();
UPDATE raxx_detect.detection_findings SET severity = 'critical', updated_at = now() - interval '1 day';
SELECT is(count(*), 1::bigint, 'a change of another time, as in a dump, is not told') FROM raxx_detect.deliveries;
UPDATE raxx_detect.detection_findings SET severity = 'medium', updated_at = now() - interval '1 day';
SELECT pg_temp.change(finding_id, $$severity = 'high'$$) FROM raxx_detect.detection_findings;
SELECT results_eq($$SELECT channel, event, state, severity::text, payload ->> 'severity', payload ? 'series' FROM raxx_detect.deliveries ORDER BY delivery_id$$,
    $$VALUES ('ops-mail', 'fired', 'held', 'high', 'high', true), ('fast', 'escalated', 'pending', 'high', 'high', false)$$, 'also the digest knows of a rise; pictures are for mail');
SELECT pg_temp.fresh();

-- ---- restored dumps, self-tests ------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size, summary, evidence, condition, occurrences,
    escalation_owner, detected_at) SELECT rule_id, det_id, category, 's', 'critical', 'old', '[2026-01-01,)', 1, 'u', 'threshold', 1, 's', '{}', 'firing', 1, 'o', '2026-01-01' FROM raxx_detect.rules LIMIT 1;
SELECT is(count(*), 0::bigint, 'a finding from a dump is not told again') FROM raxx_detect.deliveries;
SELECT ok(bool_and(ok), 'the self-test passes') FROM raxx_detect.self_test('signup_waitlist_velocity_per_origin');
SELECT is(count(*), 0::bigint, 'and tells nobody') FROM raxx_detect.deliveries;

SELECT pg_temp.fresh();
SET LOCAL check_function_bodies = off;  -- as in a dump
INSERT INTO raxx_detect.deliveries (channel, event, mode, severity, payload, state) SELECT 'fast', 'digest', 'event', 'medium', '{}', s FROM unnest('{pending,delivered,held}'::text[]) s;
SELECT results_eq('SELECT state FROM raxx_detect.deliveries WHERE possible_repeat', $$VALUES ('pending')$$, 'what waits in a dump may have been sent since');
RESET check_function_bodies;

-- ---- history -------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE FUNCTION pg_temp.find_old(severity raxx_detect.severity) RETURNS void LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size, summary, evidence, condition,
        occurrences, escalation_owner) VALUES ('signup_waitlist_velocity_per_origin', 'D', 'signup', 's', severity, severity::text, tstzrange(now() - interval '9 days', now() - interval '8 days'),
        60, 'u', 'threshold', 60, 's', '{}', 'cleared', 1, 'o') $$;
SELECT pg_temp.find_old('high'), pg_temp.find_old('critical');
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('ops-mail fired held'), ('fast fired pending'), ('slow fired pending')$$,
    'what was over for long when it was found waits for the digest, unless it is critical');

SELECT pg_temp.fresh();
SELECT pg_temp.find_old('medium');
SELECT pg_temp.later();
SELECT pg_temp.change(finding_id, $$severity = 'high'$$) FROM raxx_detect.detection_findings;
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('ops-mail fired held'), ('fast escalated pending')$$, 'what rises is told, however old');

-- ---- the order within a finding, and severity first -----------------------------------------------------------------------
SELECT pg_temp.fresh();
CREATE TEMP TABLE g AS SELECT pg_temp.find('high', 'a') AS a, pg_temp.find('high', 'b') AS b;
SELECT pg_temp.later();
SELECT pg_temp.change(a, $$condition = 'cleared'$$) FROM g;
SELECT pg_temp.find('critical', 'c');
CREATE TEMP TABLE taken AS SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT results_eq('SELECT event, severity, payload ->> ''entity'' FROM taken', $$VALUES ('fired', 'critical', 'c'), ('fired', 'high', 'a'), ('fired', 'high', 'b')$$,
    'the most severe first; a clearing waits for its firing');
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}')$$, 'also while that is being sent');
SELECT is(raxx_detect.mark_failed(delivery_id, lease, 'no'), 'pending', 'and while it is to be sent again') FROM taken WHERE payload ->> 'entity' = 'a';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}')$$, 'it waits');
UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity';
SELECT ok(raxx_detect.mark_delivered(delivery_id, lease), 'delivered') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT results_eq($$SELECT event FROM raxx_detect.claim_deliveries('w', '{fast}')$$, $$VALUES ('cleared')$$, 'then comes the clearing');

-- ---- leases ---------------------------------------------------------------------------------------------------------------
SELECT is(raxx_detect.mark_delivered(delivery_id, gen_random_uuid()), false, 'a lease that is not valid marks nothing') FROM taken LIMIT 1;
SELECT is(raxx_detect.mark_failed(delivery_id, gen_random_uuid(), 'x'), NULL, 'neither way') FROM taken LIMIT 1;
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'a');
TRUNCATE taken;
INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}');
UPDATE raxx_detect.deliveries SET lease_until = clock_timestamp() - interval '1 second';
CREATE TEMP TABLE again AS SELECT * FROM raxx_detect.claim_deliveries('w2', '{fast}');
SELECT is((a.possible_repeat, a.attempt, a.idempotency_key = t.idempotency_key, a.lease <> t.lease), (true, 2, true, true), 'whose lease ran out is claimed again, as a possible repeat with the same key')
FROM again a, taken t;
SELECT is(raxx_detect.mark_delivered(delivery_id, lease), false, 'who had it first is told that it is another''s') FROM taken;
SELECT is(raxx_detect.mark_delivered(delivery_id, lease), true, 'who has it may mark it') FROM again;
SELECT is(possible_repeats_last_day, 1::bigint, 'and it is counted') FROM raxx_detect.channel_health WHERE channel = 'fast';

-- ---- failures, dead letters -------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'a');
SELECT is(raxx_detect.mark_failed(delivery_id, lease, 'refused by the counterpart', permanent => true), 'dead', 'refused') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('fast fired dead'), ('ops-mail dead_letter pending')$$, 'is announced on the fallback');
SELECT is((payload ->> 'channel', payload ->> 'reason', payload #>> '{letter,entity}', payload ->> 'error', severity::text), ('fast'::text, 'refused'::text, 'a'::text, 'refused by the counterpart'::text, 'high'::text),
    'with all that was to be told') FROM raxx_detect.deliveries WHERE event = 'dead_letter';
SELECT is(announced_by, (SELECT delivery_id FROM raxx_detect.deliveries WHERE event = 'dead_letter'), 'and known to be') FROM raxx_detect.deliveries WHERE state = 'dead';
SELECT is(raxx_detect.mark_failed(delivery_id, lease, 'no mail either', permanent => true), 'dead', 'a dead letter that dies') FROM raxx_detect.claim_deliveries('w', '{ops-mail}');
SELECT is((channel, payload #>> '{letter,entity}'), ('raxx-ops-alert-sev2-5'::text, 'a'::text), 'is announced by another''s fallback, with the first letter') FROM raxx_detect.deliveries WHERE state = 'pending';
UPDATE raxx_detect.channels SET enabled = false WHERE channel NOT IN ('fast', 'ops-mail', 'raxx-ops-alert-sev2-5');
SELECT is(raxx_detect.mark_failed(delivery_id, lease, 'nor Slack', permanent => true), 'dead', 'when all have failed') FROM raxx_detect.claim_deliveries('w', '{raxx-ops-alert-sev2-5}');
SELECT is(unannounced, 1::bigint, 'it is on record') FROM raxx_detect.channel_health WHERE channel = 'raxx-ops-alert-sev2-5';
UPDATE raxx_detect.channels SET enabled = true;

SELECT pg_temp.fresh();
SELECT pg_temp.find('high', i::text) FROM generate_series(1, 5) i;
UPDATE raxx_detect.deliveries SET deadline = clock_timestamp() - interval '1 second';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{masked}')$$, 'whoever comes by, serving whatever');
SELECT results_eq('SELECT what, count(*) FROM pg_temp.told GROUP BY 1 ORDER BY 1', $$VALUES ('fast fired dead', 5::bigint), ('ops-mail dead_letter pending', 1)$$,
    'sees that deadlines are over, and one letter tells of all');
SELECT is((payload ->> 'count')::int, 5, 'how many they were') FROM raxx_detect.deliveries WHERE event = 'dead_letter';
SELECT is(count(DISTINCT announced_by), 1::bigint, 'each has its announcement') FROM raxx_detect.deliveries WHERE state = 'dead';

-- ---- pace: the least time, Retry-After, the circuit breaker, a clock set back ---------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('critical', i::text) FROM generate_series(1, 3) i;
TRUNCATE taken;
INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w', '{slow}');
SELECT is(count(*), 1::bigint, 'one at a time') FROM taken;
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w2', '{slow}')$$, 'and nobody else has one within the second');
SELECT ok(raxx_detect.next_delivery_at('{slow}') > clock_timestamp(), 'when there is more is known');
UPDATE raxx_detect.channel_states SET next_send_at = '-infinity';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w2', '{slow}')$$, 'nor while it is being sent');
SELECT ok(raxx_detect.next_delivery_at('{slow}') BETWEEN clock_timestamp() + interval '8 seconds' AND clock_timestamp() + interval '10 seconds', 'unless that takes too long');
SELECT ok(raxx_detect.mark_delivered(delivery_id, lease), 'once it is sent') FROM taken;
SELECT ok(raxx_detect.next_delivery_at('{slow}') BETWEEN clock_timestamp() + interval '0.5 seconds' AND clock_timestamp() + interval '1 second', 'the second begins');
UPDATE raxx_detect.channel_states SET next_send_at = '-infinity';
SELECT is(raxx_detect.mark_failed(delivery_id, lease, '429', retry_after => '30 seconds', channel_at_fault => false), 'pending', 'too many')
FROM raxx_detect.claim_deliveries('w', '{slow}');
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{slow}')$$, 'the counterpart''s wish holds for the channel');
SELECT ok(raxx_detect.next_delivery_at('{slow}') BETWEEN clock_timestamp() + interval '28 seconds' AND clock_timestamp() + interval '31 seconds', 'as long as it said');
UPDATE raxx_detect.channel_states SET next_send_at = clock_timestamp() + interval '1 year' WHERE channel = 'slow';
SELECT is(count(*), 1::bigint, 'a clock that was set back keeps nothing back') FROM raxx_detect.claim_deliveries('w', '{slow}');

SELECT pg_temp.fresh();
SELECT pg_temp.find('high', i::text) FROM generate_series(1, 6) i;
SELECT is(array_agg(raxx_detect.mark_failed(delivery_id, lease, 'connection refused')), '{pending,pending,pending,pending,pending,pending}', 'six failures')
FROM raxx_detect.claim_deliveries('w', '{fast}');
UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity';
SELECT is((breaker, last_error), ('open'::text, 'connection refused'::text), 'open the circuit breaker') FROM raxx_detect.channel_health WHERE channel = 'fast';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}')$$, 'nothing is tried');
UPDATE raxx_detect.channel_states SET open_until = clock_timestamp() WHERE channel = 'fast';
TRUNCATE taken;
INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT is(count(*), 1::bigint, 'after a while one is') FROM taken;
SELECT ok(raxx_detect.mark_delivered(delivery_id, lease), 'which arrives') FROM taken;
SELECT is(count(*), 5::bigint, 'then all are') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT ok(min(d) >= '0.2 seconds' AND max(d) <= '601 seconds', 'delays are within their limits') FROM (SELECT raxx_detect.retry_delay('high', i) AS d FROM generate_series(1, 200) i) x;
SELECT ok(max(d) <= '61 seconds', 'of critical messages, too') FROM (SELECT raxx_detect.retry_delay('critical', i) AS d FROM generate_series(1, 200) i) x;

SELECT pg_temp.fresh();
INSERT INTO raxx_detect.channel_states (channel, next_send_at) VALUES ('slow', now() - interval '1 minute');
SELECT is(raxx_detect.next_delivery_at('{slow,fast}'), NULL, 'where nothing waits nothing is due');
SELECT pg_temp.find('critical', 'x');
UPDATE raxx_detect.deliveries SET deadline = now() + interval '1 hour';
SELECT is(raxx_detect.next_delivery_at('{slow}'), now() - interval '1 minute', 'what waits is due when its channel is');
UPDATE raxx_detect.deliveries SET next_attempt_at = now() + interval '1 minute';
SELECT is(raxx_detect.next_delivery_at('{slow}'), now() + interval '1 minute', 'but not before its own time');

-- ---- storms ------------------------------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', i::text) FROM generate_series(1, 150) i;
SELECT pg_temp.find('critical', i::text, 'data_audit_log_gap_window') FROM generate_series(1, 3) i;
INSERT INTO raxx_detect.deliveries (channel, event, mode, severity, payload) VALUES ('fast', 'digest', 'event', 'medium', '{}');
SELECT pg_temp.later();
SELECT pg_temp.change(finding_id, $$condition = 'cleared'$$) FROM raxx_detect.detection_findings WHERE entity IN ('7', '8') AND severity = 'high';
TRUNCATE taken;
INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT results_eq('SELECT event, count(*) FROM taken GROUP BY 1 ORDER BY 1', $$VALUES ('digest', 1::bigint), ('fired', 3), ('storm', 1)$$,
    'a storm is one message; critical ones stay what they are, and so do digests');
SELECT is(payload - '{psql,finding_ids,first_at,last_at,entities}'::text[], jsonb_build_object('version', 1, 'event', 'storm', 'severity', 'high', 'total', 152, 'link', NULL, 'counts', jsonb_build_array(
    jsonb_build_object('severity', 'high', 'rule_id', 'signup_waitlist_velocity_per_origin', 'title', 'Many waitlist sign-ups from one Origin in a short window', 'event', 'fired', 'count', 150),
    jsonb_build_object('severity', 'high', 'rule_id', 'signup_waitlist_velocity_per_origin', 'title', 'Many waitlist sign-ups from one Origin in a short window', 'event', 'cleared', 'count', 2))),
    'with exact counts') FROM taken WHERE event = 'storm';
SELECT pg_temp.find('high', 'later');
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}')$$, 'while it lasts, what comes is collected');
SELECT pg_temp.change(finding_id, $$severity = 'critical'$$) FROM raxx_detect.detection_findings WHERE entity = '9' AND severity = 'high';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}')$$, 'and what it tells of is not overtaken by what has become of it since');
SELECT ok(bool_and(raxx_detect.mark_delivered(delivery_id, lease)), 'delivered') FROM taken;
SELECT is(count(*), 152::bigint, 'and with it all that it told') FROM raxx_detect.deliveries WHERE state = 'delivered' AND bundle IS NOT NULL;
-- What is critical by now does not wait for the end of a storm, nor what has to be told before.
CREATE TEMP TABLE rising AS SELECT pg_temp.find('high', 'rises') AS id;
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$severity = 'critical'$$) FROM rising;
SELECT ok(raxx_detect.next_delivery_at('{fast}') <= clock_timestamp(), 'a rise in a storm is due at once');
TRUNCATE taken;
INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT results_eq('SELECT event, payload ->> ''entity'' FROM taken', $$VALUES ('escalated', '9'), ('fired', 'rises')$$, 'first what it rose from');
SELECT ok(bool_and(raxx_detect.mark_delivered(delivery_id, lease)), 'delivered') FROM taken;
SELECT results_eq($$SELECT c.event, raxx_detect.mark_delivered(c.delivery_id, c.lease) FROM raxx_detect.claim_deliveries('w', '{fast}') c$$, $$VALUES ('escalated', true)$$, 'then the rise');
UPDATE raxx_detect.channel_states SET storm_until = clock_timestamp();
SELECT results_eq($$SELECT event, payload ->> 'entity' FROM raxx_detect.claim_deliveries('w', '{fast}')$$, $$VALUES ('fired', 'later')$$, 'then single messages are single again');
SELECT pg_temp.fresh();
SELECT pg_temp.find('critical', i::text) FROM generate_series(1, 20) i;
SELECT is(count(*), 20::bigint, 'as many critical ones as the limit are told one by one') FROM raxx_detect.claim_deliveries('w', '{fast}') WHERE event = 'fired';
UPDATE raxx_detect.deliveries SET state = 'pending', lease = NULL;
SELECT pg_temp.find('critical', '21');
SELECT results_eq($$SELECT event, payload ->> 'total' FROM raxx_detect.claim_deliveries('w', '{fast}')$$, $$VALUES ('storm', '21')$$, 'with one more they are a storm');
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', i::text) FROM generate_series(1, 30) i;
SELECT is(raxx_detect.mark_failed(delivery_id, lease, 'gone', permanent => true), 'dead', 'a storm that dies') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT is(count(*), 31::bigint, 'is dead with all that it told, and announced') FROM raxx_detect.deliveries WHERE state = 'dead' AND announced_by IS NOT NULL;

SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'on its way');
SELECT is(count(*), 1::bigint, 'before a storm one is being sent') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT pg_temp.later();
SELECT pg_temp.change(finding_id, $$condition = 'cleared'$$) FROM raxx_detect.detection_findings;
SELECT pg_temp.find('high', i::text) FROM generate_series(1, 25) i;
SELECT is((payload ->> 'total')::int, 25, 'the storm tells of all others') FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT is(state, 'pending', 'but not of what became of that one, which nobody may have heard of yet') FROM raxx_detect.deliveries WHERE event = 'cleared';

-- ---- entities as a channel shows them -------------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
INSERT INTO raxx_detect.routes (route, severity, channel, mode) VALUES ('m', 'high', 'masked', 'event');
SELECT pg_temp.find('high', 'anna.k81@example.com');
SELECT ok(payload ->> 'entity' = 'a***@example.com' AND payload::text !~ 'anna', 'masked, wherever it stands') FROM raxx_detect.deliveries WHERE channel = 'masked';
SELECT is(raxx_detect.shown_entity(e, 'masked'), m, e) FROM (VALUES ('203.0.113.9', '203.0.113.x'), ('2001:db8:1:2::/64', '2001:db8:x'), ('operator7', 'op***'), ('', '***')) x(e, m);

SELECT pg_temp.fresh();
UPDATE raxx_detect.channels SET fallback = 'masked' WHERE channel = 'fast';
SELECT pg_temp.find('high', 'anna.k81@example.com');
UPDATE raxx_detect.channels SET storm_at = 1 WHERE channel = 'fast';
SELECT raxx_detect.mark_failed(delivery_id, lease, 'gone', permanent => true) FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT is((payload #>> '{letter,entity}', payload #>> '{letter,summary}'), ('a***@example.com'::text, 'a***@example.com: 60 sign-ups within 5 min'::text),
    'a dead letter names them as the channel does that it goes to') FROM raxx_detect.deliveries WHERE event = 'dead_letter';
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', i || 'anna.k81@example.com') FROM generate_series(1, 2) i;
SELECT raxx_detect.mark_failed(delivery_id, lease, 'gone', permanent => true) FROM raxx_detect.claim_deliveries('w', '{fast}');
SELECT ok(payload #>> '{letter,event}' = 'storm' AND payload #>> '{letter,total}' = '2' AND payload::text !~ 'anna', 'that of a storm, too')
FROM raxx_detect.deliveries WHERE event = 'dead_letter' AND channel = 'masked';
SELECT is((raxx_detect.letter_for('{"entity": "a***@example.com", "summary": "s"}', 'masked', 'ops-mail')) ->> 'entity', 'a***@example.com', 'what is masked already stays');
UPDATE raxx_detect.channels SET fallback = 'ops-mail', storm_at = 20 WHERE channel = 'fast';

-- ---- a rise within the transaction, and out of the digest ------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.change(pg_temp.find('high', 'x'), $$severity = 'critical'$$);
SELECT results_eq($$SELECT event, push, severity::text, deadline < clock_timestamp() + interval '11 minutes' FROM raxx_detect.deliveries WHERE channel = 'fast'$$,
    $$VALUES ('fired', true, 'critical', true)$$, 'what is found and rises at once is told once, as urgent as it is by then');
SELECT pg_temp.fresh();
INSERT INTO raxx_detect.routes (route, severity, channel, mode) VALUES ('high mail', 'high', 'ops-mail', 'event');
CREATE TEMP TABLE risen AS SELECT pg_temp.find('medium', 'x') AS id;
SELECT pg_temp.later();
SELECT pg_temp.change(id, $$severity = 'high'$$) FROM risen;
SELECT results_eq($$SELECT what FROM pg_temp.told WHERE what LIKE 'ops-mail%'$$, $$VALUES ('ops-mail fired cancelled'), ('ops-mail escalated pending')$$,
    'what waited for the digest and is told by itself now does not wait any more');
DELETE FROM raxx_detect.routes WHERE route = 'high mail';

-- ---- channels that are renamed, or deleted ----------------------------------------------------------------------------------------
SELECT pg_temp.fresh();
SELECT pg_temp.find('high', 'x'), pg_temp.find('medium', 'y');
UPDATE raxx_detect.channels SET channel = 'faster' WHERE channel = 'fast';
UPDATE raxx_detect.channels SET channel = 'post' WHERE channel = 'ops-mail';
SELECT results_eq('SELECT what FROM pg_temp.told', $$VALUES ('faster fired pending'), ('masked fired pending'), ('post fired held')$$, 'what waits for a channel follows its new name');
SELECT is(digest_channels, '{post}', 'and so does the digest') FROM raxx_detect.notification_settings;
UPDATE raxx_detect.routes SET channel = 'masked', mode = 'digest' WHERE route = 'medium';
SELECT pg_temp.find('medium', 'z');
UPDATE raxx_detect.routes SET channel = 'post' WHERE channel IN ('masked', 'faster');
UPDATE raxx_detect.notification_settings SET digest_channels = '{post,masked}';
SELECT throws_ok($$DELETE FROM raxx_detect.channels WHERE channel = 'masked'$$, '2BP01', 'channel masked gets the digest', 'who gets the digest cannot be deleted');
UPDATE raxx_detect.notification_settings SET digest_channels = '{post}';
SELECT pg_temp.find('low', 'low@example.com');
UPDATE raxx_detect.deliveries SET channel = 'faster', state = 'delivered' WHERE severity = 'low';
DELETE FROM raxx_detect.channels WHERE channel IN ('faster', 'masked');
SELECT pg_temp.change(finding_id, $$condition = 'cleared'$$) FROM raxx_detect.detection_findings WHERE severity = 'low';
SELECT is((channel, payload ->> 'entity'), ('faster'::text, raxx_detect.shown_entity('low@example.com', 'hashed')), 'what goes to a channel that is gone names nobody')
FROM raxx_detect.deliveries WHERE event = 'cleared';
DELETE FROM raxx_detect.deliveries WHERE severity = 'low';
SELECT is_empty($$SELECT * FROM raxx_detect.claim_deliveries('w', '{}')$$, 'whoever comes by');
SELECT results_eq($$SELECT what, count(*) FROM pg_temp.told WHERE what !~ 'held' GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('faster fired dead', 1::bigint), ('masked fired dead', 2), ('post dead_letter pending', 2)$$, 'finds that what waited for deleted channels, also for their digest, is dead, and has it announced');

-- ---- misuse --------------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT * FROM raxx_detect.claim_deliveries(NULL, '{fast}')$$, '22023', NULL, 'a claim without a worker');
SELECT throws_ok($$SELECT * FROM raxx_detect.claim_deliveries('w', '{fast}', '2 days')$$, '22023', NULL, 'or with a lease of days');

SELECT * FROM finish();
ROLLBACK;
