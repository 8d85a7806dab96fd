-- Rules 3, 4 and 5 over their lives: findings that grow, join, escalate and end; hostile texts; any schedule.
BEGIN;
SELECT plan(29);
SET LOCAL timezone = 'UTC';

SELECT raxx_detect.create_source_table('waitlist_signups', 'signups');
SELECT raxx_detect.create_source_table('rbac_denials', 'denials');

CREATE FUNCTION pg_temp.look(rule text, at text) RETURNS SETOF raxx_detect.rule_run LANGUAGE sql AS
    $$ SELECT * FROM raxx_detect.run(rule, ('2026-06-04 ' || at || '+00')::timestamptz) $$;
CREATE VIEW pg_temp.found AS
    SELECT finding_id, rule_id, entity, severity::text, condition, episode::text, observed, sample_size, occurrences
    FROM raxx_detect.detection_findings;
CREATE FUNCTION pg_temp.deny(at text, permission text) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO denials (event_time, operator, permission) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, 'ops', permission) $$;
CREATE FUNCTION pg_temp.sign_up(at text, origin text, email text DEFAULT 'x') RETURNS void LANGUAGE sql AS
    $$ INSERT INTO signups (event_time, origin, email) VALUES (('2026-06-04 ' || at || '+00')::timestamptz, origin, email) $$;

-- Rule 4: twenty sign-ups, one each 10 seconds.
SELECT pg_temp.sign_up(to_char(time '10:00' + n * interval '10 seconds', 'HH24:MI:SS'), 'https://a.example') FROM generate_series(1, 19) n;
SELECT is(r.outcome, 'ok', 'nineteen are none') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '10:04') r;
SELECT is_empty('SELECT * FROM pg_temp.found', 'no finding');
SELECT pg_temp.sign_up('10:04:10', 'https://a.example');
SELECT is(r.findings_new, 1::bigint, 'the twentieth fires') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '10:04:10') r;
SELECT results_eq('SELECT entity, severity, condition, episode, observed FROM pg_temp.found',
    $$VALUES ('https://a.example', 'high', 'firing', '["2026-06-04 10:04:10+00",)', 20::float8)$$, 'from that very instant on');
SELECT is(r.findings_updated, 1::bigint, 'it ends when the first leaves the window') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '10:05:10') r;
SELECT results_eq('SELECT condition, episode FROM pg_temp.found',
    $$VALUES ('cleared', '["2026-06-04 10:04:10+00","2026-06-04 10:05:10+00")')$$, 'which is known to the second');
SELECT pg_temp.sign_up('10:05:05', 'https://a.example');
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 1::bigint), 'a late row prolongs it') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '10:06') r;
SELECT results_eq('SELECT condition, episode, observed FROM pg_temp.found',
    $$VALUES ('cleared', '["2026-06-04 10:04:10+00","2026-06-04 10:05:20+00")', 21::float8)$$, 'the same finding');

-- Two episodes that a late row joins become one finding, the earlier.
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 10:30+00');
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.sign_up('11:00', 'https://b.example') FROM generate_series(1, 20) n;
SELECT pg_temp.sign_up('11:05:30', 'https://b.example') FROM generate_series(1, 19) n;
SELECT pg_temp.sign_up('11:06', 'https://b.example');
SELECT is(r.findings_new, 2::bigint, 'two episodes') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '11:07') r;
SELECT pg_temp.sign_up('11:04', 'https://b.example') FROM generate_series(1, 20) n;
SELECT is(r.outcome, 'ok', 'rows between them come late') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '11:08') r;
SELECT results_eq('SELECT condition, episode, observed FROM pg_temp.found',
    $$VALUES ('firing', '["2026-06-04 11:00:00+00",)', 40::float8)$$, 'one finding');

-- Rule 3: five distinct permissions are MEDIUM, three elevated ones HIGH; one finding of the operator.
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.deny('12:0' || n, 'p' || n || ':read') FROM generate_series(1, 5) n;
SELECT is(r.findings_new, 1::bigint, 'five distinct') FROM pg_temp.look('auth_rbac_denied_burst', '12:05') r;
SELECT results_eq('SELECT severity, observed, occurrences FROM pg_temp.found', $$VALUES ('medium', 5::float8, 1)$$, 'MEDIUM');
SELECT pg_temp.deny('12:06', 'users:admin') FROM generate_series(1, 3) n;
SELECT is((r.findings_new, r.findings_updated), (0::bigint, 1::bigint), 'then three elevated') FROM pg_temp.look('auth_rbac_denied_burst', '12:06') r;
SELECT results_eq('SELECT severity, observed, occurrences FROM pg_temp.found', $$VALUES ('high', 3::float8, 2)$$, 'the same finding, HIGH');
SELECT is(r.findings_updated, 1::bigint, 'it clears') FROM pg_temp.look('auth_rbac_denied_burst', '12:30') r;
SELECT results_eq('SELECT severity, condition FROM pg_temp.found', $$VALUES ('high', 'cleared')$$, 'severity does not fall');

-- Elevated means the end of the whole permission, not anything like it.
SELECT raxx_detect.run('auth_rbac_denied_burst', '2026-06-04 12:59+00');
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.deny('13:00', p) FROM unnest('{x_admin,users:administrate,users:adminx}'::text[]) p;
SELECT is(r.findings_new, 0::bigint, 'lookalikes are not elevated') FROM pg_temp.look('auth_rbac_denied_burst', '13:01') r;

-- NULL operators are ignored and counted; the empty string is one.
INSERT INTO denials (event_time, operator, permission)
SELECT '2026-06-04 14:00+00', o, 'users:admin' FROM unnest(ARRAY[NULL, NULL, NULL, '', '', '']) o;
SELECT is(r.findings_new, 1::bigint, 'the empty operator') FROM pg_temp.look('auth_rbac_denied_burst', '14:01') r;
SELECT ok(r.detail LIKE '%NULL entity%', 'the NULLs are counted') FROM raxx_detect.rule_runs r WHERE r.as_of = '2026-06-04 14:01+00';
SELECT results_eq('SELECT entity FROM pg_temp.found', $$VALUES ('')$$, 'the entity is empty');

-- A megabyte of entity, control characters and quotes.
SELECT raxx_detect.run('signup_waitlist_velocity_per_origin', '2026-06-04 14:59+00');
DELETE FROM raxx_detect.detection_findings;
SELECT pg_temp.sign_up('15:00', repeat('x', 1000000) || o) FROM unnest('{a,b}'::text[]) o CROSS JOIN generate_series(1, 20);
SELECT pg_temp.sign_up('15:01', E'\x1b[2J''; DROP TABLE signups; --') FROM generate_series(1, 20);
SELECT is(r.findings_new, 3::bigint, 'hostile texts are three entities') FROM pg_temp.look('signup_waitlist_velocity_per_origin', '15:02') r;
SELECT is(count(*), 0::bigint, 'none of them long') FROM raxx_detect.detection_findings WHERE length(entity) > 300 OR length(summary) > 200;
SELECT is(count(*), 0::bigint, 'no control character in a summary') FROM raxx_detect.detection_findings WHERE summary ~ '[[:cntrl:]]';
SELECT is(count(*), 2::bigint, 'told apart by their hash') FROM raxx_detect.detection_findings WHERE entity LIKE 'xxx%sha256:%';

-- Rule 5: a domain; gmail's own is none.
SELECT pg_temp.sign_up('16:00', 'o' || n, CASE WHEN n > 8 THEN repeat('u1', n) || '@gmail.com' ELSE 'user' || n || '@leads.acme-list.co.uk' END) FROM generate_series(1, 40) n;
SELECT is(r.findings_new, 1::bigint, 'eight of one domain') FROM pg_temp.look('signup_email_pattern_anomaly', '16:01') r;
SELECT results_eq($$SELECT entity, severity FROM pg_temp.found WHERE rule_id = 'signup_email_pattern_anomaly'$$,
    $$VALUES ('acme-list.co.uk', 'medium')$$, 'the registrable one, and not a provider of free mail');

-- In many small steps or at once: the same findings.
CREATE TEMP TABLE at_once AS SELECT entity, severity, condition, episode, observed, occurrences FROM pg_temp.found WHERE false;
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
SELECT raxx_detect.run(rule, '2026-06-04 17:00+00')
FROM unnest('{auth_rbac_denied_burst,signup_waitlist_velocity_per_origin,signup_email_pattern_anomaly}'::text[]) rule;
INSERT INTO at_once SELECT entity, severity, condition, episode, observed, occurrences FROM pg_temp.found;
DELETE FROM raxx_detect.detection_findings; DELETE FROM raxx_detect.coverage;
DO $$
DECLARE
    at timestamptz := '2026-06-04 09:00+00';
BEGIN
    WHILE at <= '2026-06-04 17:00+00' LOOP
        PERFORM raxx_detect.run(rule, at)
        FROM unnest('{auth_rbac_denied_burst,signup_waitlist_velocity_per_origin,signup_email_pattern_anomaly}'::text[]) rule;
        at := at + interval '73 seconds';
    END LOOP;
    PERFORM raxx_detect.run(rule, '2026-06-04 17:00+00')
    FROM unnest('{auth_rbac_denied_burst,signup_waitlist_velocity_per_origin,signup_email_pattern_anomaly}'::text[]) rule;
END $$;
SELECT ok(count(*) > 6, 'there are findings to compare') FROM at_once;
SELECT set_eq('SELECT entity, severity, condition, episode, observed, occurrences FROM pg_temp.found', 'SELECT * FROM at_once', 'many runs find what one does');

SELECT * FROM finish();
ROLLBACK;
