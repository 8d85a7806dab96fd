-- The digest: once for each local day, by a clock that jumps twice a year, also when there is nothing to tell.
BEGIN;
SELECT plan(42);
SET LOCAL timezone = 'Asia/Tokyo';
SET LOCAL client_min_messages = error;

CREATE FUNCTION pg_temp.find(severity raxx_detect.severity, entity text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
        evidence, condition, occurrences, escalation_owner)
    VALUES ('signup_email_pattern_anomaly', 'D', 'signup', 'waitlist_signups', severity, entity, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
        entity || ': 60 sign-ups', '{}', 'firing', 1, 'sre-agent') RETURNING finding_id $$;
CREATE FUNCTION pg_temp.make(at timestamptz, again boolean) RETURNS SETOF raxx_detect.deliveries LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT raxx_detect.make_digest(at, again));
BEGIN
    RETURN QUERY SELECT d.* FROM raxx_detect.deliveries d WHERE d.delivery_id = ANY (ids);
END $$;
CREATE FUNCTION pg_temp.made(at text) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(d.payload ->> 'day', ', ') FROM pg_temp.make(at::timestamptz, false) d $$;

-- ---- when ------------------------------------------------------------------------------------------------------------------
SELECT is(pg_temp.made('2026-03-06 12:59:59+00'), NULL, 'not before eight in the morning, New York (EST)');
SELECT is(pg_temp.made('2026-03-06 13:00+00'), '2026-03-06', 'then');
SELECT is(pg_temp.made('2026-03-06 13:00+00'), NULL, 'and not again');
SELECT is(pg_temp.made('2026-03-07 04:59+00'), NULL, 'not on the evening of the same day');
SELECT is(pg_temp.made('2026-03-07 15:30+00'), '2026-03-07', 'late is better than never');
SELECT is(pg_temp.made('2026-03-08 11:59:59+00'), NULL, 'the day of 23 hours: not before eight (EDT)');
SELECT is(pg_temp.made('2026-03-08 12:00+00'), '2026-03-08', 'but then');
SELECT is(pg_temp.made('2026-10-31 12:00+00'), '2026-10-31', 'after months without');
SELECT is((told_from, told_to), ('2026-03-08 12:00+00'::timestamptz, '2026-10-31 12:00+00'::timestamptz), 'it tells of all that time') FROM raxx_detect.digests WHERE local_day = '2026-10-31';
SELECT is(pg_temp.made('2026-11-01 12:00+00'), NULL, 'the day of 25 hours: not at seven (EST)');
SELECT is(pg_temp.made('2026-11-01 13:00+00'), '2026-11-01', 'but at eight');
SELECT is(pg_temp.made('2026-10-31 15:00+00'), NULL, 'a clock that was set back makes no second one');
SELECT is(count(*), count(DISTINCT local_day), 'a day has one') FROM raxx_detect.digests;
SELECT is(count(*), 5::bigint, 'to one channel each') FROM raxx_detect.deliveries WHERE event = 'digest';
SELECT throws_ok($$SELECT raxx_detect.make_digest('infinity')$$, '22023', NULL, 'no time');
UPDATE raxx_detect.notification_settings SET time_zone = 'Pacific/Apia';  -- which has had no 30th of December 2011, and is half a day ahead
DELETE FROM raxx_detect.digests;
SELECT is(pg_temp.made('2026-06-01 19:30+00'), '2026-06-02', 'a day is that of the clock in the settings');
UPDATE raxx_detect.notification_settings SET time_zone = 'America/New_York';

-- ---- what: nothing happened ---------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
DELETE FROM raxx_detect.digests;
CREATE TEMP TABLE quiet AS SELECT d.* FROM pg_temp.make(now(), true) d;
SELECT is((channel, state, event, severity::text), ('ops-mail'::text, 'pending'::text, 'digest'::text, 'medium'::text), 'a digest without news is sent, too') FROM quiet;
SELECT is((payload -> 'findings', payload -> 'findings_total', payload -> 'told_total', payload -> 'open_total'), ('[]'::jsonb, '0'::jsonb, '0'::jsonb, '0'::jsonb), 'and says that there is none') FROM quiet;
SELECT is(jsonb_array_length(payload #> '{rules,dormant}') + (payload #>> '{rules,live}')::int + (payload #>> '{rules,placeholder}')::int + jsonb_array_length(payload #> '{rules,disabled}'), 17,
    'what each of the seventeen rules is doing') FROM quiet;
SELECT is_empty($$SELECT r FROM quiet, jsonb_array_elements(payload #> '{rules,dormant}') r WHERE coalesce(r ->> 'reason', '') = ''$$, 'and what the dormant ones wait for');
SELECT is(jsonb_array_length(payload #> '{rules,validated}'), 17, 'when each was last tested') FROM quiet;
SELECT ok(payload ?& '{version,event,day,time_zone,from,to,posture,severity,severity_counts,findings,findings_total,told,told_total,open,open_total,rules,blind,proposals,chains,deliveries,runs,health,notes}',
    'all its parts are there') FROM quiet;

-- ---- what: findings ---------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
SELECT pg_temp.find('medium', 'tempbox.example'), pg_temp.find('high', 'evil.example'), pg_temp.find('medium', 'other.example');
SELECT is(count(*), 2::bigint, 'two wait for it') FROM raxx_detect.deliveries WHERE state = 'held';
UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second';
UPDATE raxx_detect.detection_findings SET condition = 'cleared', updated_at = now() WHERE entity = 'tempbox.example';
SELECT is(count(*), 2::bigint, 'of what has changed since, there is one row') FROM raxx_detect.deliveries WHERE state = 'held';
UPDATE raxx_detect.detection_findings SET observed = 77, updated_at = now() WHERE entity = 'other.example';
CREATE TEMP TABLE d AS SELECT d.* FROM pg_temp.make(now(), true) d;
SELECT is((payload ->> 'findings_total')::int, 2, 'both are told') FROM d;
SELECT results_eq($$SELECT f ->> 'entity', f ->> 'event', f ->> 'condition', f ->> 'observed' FROM d, jsonb_array_elements(payload -> 'findings') f$$,
    $$VALUES ('tempbox.example', 'fired', 'cleared', '60'), ('other.example', 'fired', 'firing', '77')$$, 'as they are now');
SELECT results_eq($$SELECT f ->> 'entity', f ->> 'channel' FROM d, jsonb_array_elements(payload -> 'told') f$$,
    $$SELECT 'evil.example', channel FROM raxx_detect.route_preview('signup_email_pattern_anomaly', 'high')$$, 'what had a message of its own is named');
SELECT is((payload -> 'severity_counts', (payload ->> 'told_total')::int, (payload ->> 'open_total')::int), ('{"low": 0, "medium": 2, "high": 0, "critical": 0}'::jsonb, 1, 0), 'and counted') FROM d;
SELECT is(count(*), 2::bigint, 'what it tells is bundled in it') FROM raxx_detect.deliveries b, d WHERE b.bundle = d.delivery_id AND b.state = 'bundled';
UPDATE raxx_detect.detection_findings SET detected_at = now() - interval '3 days', triage = CASE entity WHEN 'other.example' THEN 'closed' ELSE 'new' END;
SELECT is((total, open -> 0 ->> 'entity'), (2::bigint, 'evil.example'::text), 'older ones that nobody has closed are named, the worst first') FROM raxx_detect.digest_open('full', now() - interval '1 day');
UPDATE raxx_detect.detection_findings SET triage = 'new';
SELECT ok(raxx_detect.mark_delivered(c.delivery_id, c.lease, '{"message_id": "1"}'), 'delivered') FROM raxx_detect.claim_deliveries('w', '{ops-mail}') c WHERE event = 'digest';
SELECT is(count(*), 2::bigint, 'and with it what it tells') FROM raxx_detect.deliveries WHERE state = 'delivered' AND bundle IS NOT NULL;
UPDATE raxx_detect.deliveries SET created_at = created_at - interval '1 second';
UPDATE raxx_detect.detection_findings SET condition = 'cleared', updated_at = now() WHERE entity = 'other.example';
SELECT is((payload ->> 'entity', payload ->> 'event'), ('other.example'::text, 'cleared'::text), 'what becomes of it is for the next') FROM raxx_detect.deliveries WHERE state = 'held';
DELETE FROM raxx_detect.deliveries;
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.find('medium', i::text) FROM generate_series(1, 60) i;
SELECT is((jsonb_array_length(payload -> 'findings'), (payload ->> 'findings_total')::int), (50, 60), 'of many, 50 are shown and all are counted')
FROM pg_temp.make(now(), true);

-- ---- whom ---------------------------------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.deliveries;
INSERT INTO raxx_detect.channels (channel, kind, entities) VALUES ('board', 'stdout', 'hashed');
UPDATE raxx_detect.routes SET channel = 'board' WHERE route = 'medium';
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.find('medium', 'tempbox.example');
CREATE TEMP TABLE two AS SELECT d.* FROM pg_temp.make(now(), true) d;
SELECT results_eq($$SELECT channel, (payload ->> 'findings_total')::int FROM two ORDER BY 1$$, $$VALUES ('board', 1), ('ops-mail', 0)$$, 'each channel has its own');
SELECT ok(payload::text !~ 'tempbox', 'which names nobody whom the channel must not name') FROM two WHERE channel = 'board';

SELECT is(payload -> 'severity_counts', '{"low": 0, "medium": 0, "high": 0, "critical": 0}', 'and counts its own') FROM two WHERE channel = 'ops-mail';

-- ---- the heads of chains: nothing that is broken is called intact ---------------------------------------------------------------------
CREATE TABLE chained (id int);
INSERT INTO raxx_detect.chains (chain_id, relation, mode) VALUES ('00000000-0000-0000-0000-000000000001', 'chained', 'sealer');
INSERT INTO raxx_detect.chain_heads (chain_id, seq, mac, verified_seq) VALUES ('00000000-0000-0000-0000-000000000001', 100, '', 90);
SELECT is(raxx_detect.digest_chains() #> '{0,intact_to}', '90', 'a chain is intact up to where it was verified');
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, unit, fired_by, sample_size, summary, evidence, condition, occurrences,
    escalation_owner, detected_at) SELECT rule_id, det_id, category, 's', 'critical', e, '[2026-01-01,)', 1, 'entries', 'threshold', 1, 's',
    jsonb_build_object('chain', '00000000-0000-0000-0000-000000000001', 'seq_from', e::int), 'firing', 1, 'o', '2026-01-01'
    FROM raxx_detect.rules, unnest('{41,77}'::text[]) e WHERE rule_id = 'data_audit_log_hash_chain_break';
SELECT is(raxx_detect.digest_chains() #> '{0,intact_to}', '40', 'but not beyond a break that nobody has closed');

-- ---- retention ------------------------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.deliveries SET state = 'delivered', ended_at = now() - interval '500 days' WHERE event = 'digest';
SELECT is(raxx_detect.prune_deliveries(), 2::bigint, 'what ended long ago goes');
SELECT is(raxx_detect.prune_deliveries(), 0::bigint, 'once');

-- ---- the service itself ------------------------------------------------------------------------------------------------------------------
UPDATE raxx_detect.deliveries SET state = 'pending', deadline = now() + interval '1 hour', created_at = now() - interval '2 minutes', bundle = NULL;
SELECT ok(raxx_detect.digest_service(now() - interval '1 day', now()) #>> '{notes,0}' ~ 'no instance of raxx-notify serves board', 'a channel that nobody serves is named');

SELECT * FROM finish();
ROLLBACK;
