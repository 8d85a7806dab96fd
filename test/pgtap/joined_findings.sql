-- Rows that come between two findings make them one: what somebody is at outlives what is new, and that what is closed, whichever was first.
BEGIN;
SELECT plan(8);
SET LOCAL timezone = 'UTC';
SELECT raxx_detect.create_source_table('waitlist_signups');
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '4 minutes' + n * interval '0.5 s', 'm' || n || '@gmail.com', o FROM generate_series(1, 20) n, unnest('{closed,acknowledged,new}'::text[]) o
UNION ALL SELECT now() - interval '2 minutes' + n * interval '0.05 s', 'm' || n || '@gmail.com', o FROM generate_series(1, 300) n, unnest('{closed,acknowledged,new}'::text[]) o;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "30 seconds"}');
SELECT is(findings_new, 6::bigint, 'two bursts of each are found') FROM raxx_detect.run('signup_waitlist_velocity_per_origin');
CREATE TEMP TABLE found AS SELECT finding_id, entity, row_number() OVER (PARTITION BY entity ORDER BY lower(episode)) AS n FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT raxx_detect.triage(finding_id, 'benign', 'a small crowd') FROM found WHERE entity = 'closed' AND n = 1;
SELECT raxx_detect.acknowledge(finding_id, 'mine') FROM found WHERE entity = 'acknowledged' AND n = 2;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "5 minutes"}');
SELECT is(outcome, 'ok', 'with a longer window the two are one') FROM raxx_detect.run('signup_waitlist_velocity_per_origin');
SELECT is(count(*), 3::bigint, 'of each') FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is((f.triage, f.observed, k.n), ('new'::text, 320::float8, 2::bigint), 'a large one that is open is not hidden in a small one that was closed')
FROM raxx_detect.detection_findings f JOIN found k USING (finding_id) WHERE f.entity = 'closed';
SELECT is((f.triage, f.note, k.n), ('acknowledged'::text, 'mine'::text, 2::bigint), 'what somebody is at stays') FROM raxx_detect.detection_findings f JOIN found k USING (finding_id) WHERE f.entity = 'acknowledged';
SELECT is((f.triage, k.n), ('new'::text, 1::bigint), 'of two that nobody has looked at the first') FROM raxx_detect.detection_findings f JOIN found k USING (finding_id) WHERE f.entity = 'new';
SELECT is(count(*), 0::bigint, 'each begins where the first began') FROM raxx_detect.detection_findings f WHERE f.rule_id = 'signup_waitlist_velocity_per_origin' AND lower(f.episode) > now() - interval '3 minutes';

-- A typing error does not turn a rule off.
SELECT throws_ok($$SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"entity": "operatr"}')$$, '42704', 'source rbac_denials has no role ''operatr''', 'a role that there is not is refused');
SELECT * FROM finish();
ROLLBACK;
