-- Who is told of a finding, and how: catalog by severity, hours in New York on both sides of both changes of the clock, posture, sample, mark;
-- and routes that somebody adds or changes.
BEGIN;
SELECT plan(75);
SET LOCAL timezone = 'Asia/Tokyo';  -- no route goes by the session's clock

CREATE FUNCTION pg_temp.route(rule_id text, severity raxx_detect.severity, at text, sample_size bigint DEFAULT 2) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(concat_ws(' ', p.channel, p.mode, CASE WHEN p.push THEN 'push' END), ', ' ORDER BY p.channel)
       FROM raxx_detect.route_preview(rule_id, severity, at::timestamptz, sample_size) p $$;

CREATE FUNCTION pg_temp.working_in(zone text, at text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE raxx_detect.notification_settings SET time_zone = zone;
    RETURN raxx_detect.in_working_hours(at::timestamptz);
END $$;

-- ---- the table of the catalog ------------------------------------------------------------------------------------
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'critical', '2026-11-29 03:00+00'), 'raxx-ops-alert-sev1 event push', 'CRITICAL at night');
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'critical', '2026-11-27 16:00+00'), 'raxx-ops-alert-sev1 event push', 'CRITICAL by day');
SELECT is(pg_temp.route('signup_waitlist_velocity_per_origin', 'high', '2026-11-27 16:00+00'), 'raxx-ops-alert-sev2-5 event', 'HIGH in working hours');
SELECT is(pg_temp.route('signup_waitlist_velocity_per_origin', 'high', '2026-11-28 16:00+00'), 'raxx-ops-alert-sev2 event push', 'HIGH on a Saturday');
SELECT is(pg_temp.route('signup_email_pattern_anomaly', 'medium', '2026-11-27 16:00+00'), 'ops-mail digest', 'MEDIUM');
SELECT is(pg_temp.route('signup_email_pattern_anomaly', 'low', '2026-11-27 16:00+00'), 'detection-log log', 'LOW');

-- ---- hours: 09:00 to 18:00 in New York, Monday to Friday ----------------------------------------------------------
SELECT is(raxx_detect.in_working_hours(at::timestamptz), expected, at || ': ' || why) FROM (VALUES
    ('2026-11-27 13:59:59.999999+00', false, 'Friday, a microsecond before nine (EST)'),
    ('2026-11-27 14:00+00', true, 'Friday at nine'),
    ('2026-11-27 22:59:59.999999+00', true, 'Friday, a microsecond before six'),
    ('2026-11-27 23:00+00', false, 'Friday at six'),
    ('2026-11-29 16:00+00', false, 'Sunday'),
    ('2026-11-30 04:30+00', false, 'Monday by UTC, Sunday night in New York'),
    ('2026-11-28 00:30+00', false, 'Saturday by UTC, Friday evening in New York'),
    -- 2026-03-08: summer time begins on a Sunday; 2026-11-01: it ends.
    ('2026-03-06 13:30+00', false, 'Friday before summer time: 08:30'),
    ('2026-03-06 14:00+00', true, 'Friday before summer time: 09:00'),
    ('2026-03-09 13:00+00', true, 'Monday after it has begun: 09:00'),
    ('2026-03-09 12:59:59+00', false, 'Monday after it has begun: before'),
    ('2026-03-06 22:30+00', true, 'Friday before summer time: 17:30'),
    ('2026-03-09 22:00+00', false, 'Monday after it has begun: 18:00'),
    ('2026-10-30 13:00+00', true, 'Friday before winter time: 09:00'),
    ('2026-11-02 13:30+00', false, 'Monday after it has begun: 08:30'),
    ('2026-11-02 14:00+00', true, 'Monday after it has begun: 09:00'),
    ('2026-11-02 22:59+00', true, 'Monday after it has begun: 17:59'),
    ('2026-10-30 22:00+00', false, 'Friday before winter time: 18:00')) t(at, expected, why);
SELECT is(raxx_detect.in_working_hours(NULL), NULL, 'NULL for NULL');

-- ---- before launch ---------------------------------------------------------------------------------------------------
SELECT is(posture, 'launched', 'nothing is held back unless somebody says so') FROM raxx_detect.notification_settings;
SELECT is(raxx_detect.set_posture('pre_launch'), 'pre_launch', 'before launch');
SELECT is(pg_temp.route(rule_id, 'high', '2026-11-27 16:00+00', sample_size), expected, format('%s, %s rows', rule_id, coalesce(sample_size::text, 'NULL'))) FROM (VALUES
    ('signup_waitlist_velocity_per_origin', 60::bigint, 'ops-mail digest'),
    ('ops_sentry_error_rate_spike', 500, 'ops-mail digest'),
    ('webhook_stripe_signature_fail', 9, 'ops-mail digest'),
    ('auth_passkey_enumeration', 10, 'raxx-ops-alert-sev2-5 event'),
    ('auth_passkey_enumeration', 1, 'ops-mail digest'),
    ('auth_passkey_enumeration', NULL, 'ops-mail digest'),
    ('auth_rbac_denied_burst', 6, 'raxx-ops-alert-sev2-5 event'),
    ('data_audit_log_gap_window', 0, 'raxx-ops-alert-sev2-5 event')) t(rule_id, sample_size, expected);
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'critical', '2026-11-29 03:00+00', 1), 'raxx-ops-alert-sev1 event push', 'CRITICAL is never held back');
SELECT is(pg_temp.route('auth_rbac_denied_burst', 'medium', '2026-11-29 03:00+00'), 'ops-mail digest', 'MEDIUM is as it was');
SELECT matches((SELECT because FROM raxx_detect.route_preview('signup_waitlist_velocity_per_origin', 'high', '2026-11-27 16:00+00')), 'before launch', 'and says why');
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'high', '2026-11-27 16:00+00', 1), 'raxx-ops-alert-sev2-5 event', 'of a break there is always one');
SELECT is(raxx_detect.set_posture('launched'), 'launched', 'launched');
SELECT throws_ok($$SELECT raxx_detect.set_posture('live')$$, '22023', 'unknown posture ''live''', 'another word is refused');
SELECT throws_ok($$SELECT raxx_detect.set_posture(NULL)$$, '22023', 'unknown posture NULL', 'and none');

-- ---- routes of one's own -------------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.channels (channel, kind, address, entities) VALUES ('pager', 'webhook', 'pager', 'hashed');
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES ('pager, too', 'critical', 'pager', 'event', true);
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'critical', '2026-11-29 03:00+00'), 'pager event push, raxx-ops-alert-sev1 event push', 'a channel more');
SELECT is((SELECT shown_entity FROM raxx_detect.route_preview('data_audit_log_hash_chain_break', 'critical', now(), 1, 'anna@example.com') WHERE channel = 'pager'),
    'sha256:' || left(encode(sha256('anna@example.com'), 'hex'), 12), 'which names entities in its own way');
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES ('a', 'critical', 'pager', 'digest', false), ('b', 'critical', 'pager', 'event', false), ('c', 'critical', 'pager', 'log', false);
SELECT is(pg_temp.route('data_audit_log_gap_window', 'critical', '2026-11-29 03:00+00'), 'pager event push, raxx-ops-alert-sev1 event push', 'of several ways to a channel the one that is heard');
DELETE FROM raxx_detect.routes WHERE route IN ('a', 'b', 'c');
INSERT INTO raxx_detect.routes (route, rule_id, channel, mode) VALUES ('chains', 'data_audit_log_hash_chain_break', 'pager', 'digest');
SELECT is(pg_temp.route('data_audit_log_hash_chain_break', 'critical', '2026-11-29 03:00+00'), 'pager digest', 'a route for a rule takes the place of the others');
SELECT is(pg_temp.route('data_audit_log_gap_window', 'critical', '2026-11-29 03:00+00'), 'pager event push, raxx-ops-alert-sev1 event push', 'for that rule');
UPDATE raxx_detect.channels SET enabled = false WHERE channel = 'pager';
SELECT is(pg_temp.route('data_audit_log_gap_window', 'critical', '2026-11-29 03:00+00'), 'raxx-ops-alert-sev1 event push', 'nothing is routed to a channel that is not enabled');
UPDATE raxx_detect.routes SET enabled = false WHERE route = 'critical';
SELECT is(pg_temp.route('data_audit_log_gap_window', 'critical', '2026-11-29 03:00+00'), 'ops-mail digest', 'what no route fits is in the digest');
SELECT is(ARRAY(SELECT route FROM raxx_detect.routes WHERE NOT shipped ORDER BY 1), '{chains,critical,"pager, too"}', 'what somebody has changed or added is known');

-- ---- fallbacks -------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$UPDATE raxx_detect.channels SET fallback = 'ops-mial' WHERE channel = 'pager'$$, '23503', 'there is no channel ''ops-mial'' to fall back to', 'a fallback has to be there');
SELECT throws_ok($$INSERT INTO raxx_detect.channels (channel, kind, fallback) VALUES ('x', 'stdout', 'y')$$, '23503', NULL, 'from the beginning');
INSERT INTO raxx_detect.channels (channel, kind, fallback) VALUES ('first', 'stdout', 'pager'), ('second', 'stdout', 'first');
UPDATE raxx_detect.channels SET channel = 'renamed' WHERE channel = 'first';
SELECT is(fallback, 'renamed', 'who falls back to a channel follows its new name') FROM raxx_detect.channels WHERE channel = 'second';
DELETE FROM raxx_detect.channels WHERE channel = 'renamed';
SELECT is(fallback, NULL, 'or has none when it is gone') FROM raxx_detect.channels WHERE channel = 'second';

-- ---- settings that cannot be followed ---------------------------------------------------------------------------------
SELECT throws_ok(format('UPDATE raxx_detect.notification_settings SET %s', change), '22023', NULL, change) FROM unnest(ARRAY[
    $$time_zone = 'Mars/Olympus'$$, $$hours_to = '08:00'$$, $$workdays = '{0,1}'$$, $$workdays = '{1,NULL}'$$, $$history_after = '-1 day'$$,
    $$hours_from = '22:00', hours_to = '06:00'$$, $$hours_to = hours_from$$, $$digest_channels = '{}'$$, $$digest_channels = '{ops-mail,nobody}'$$, $$storm_every = '0'$$,
    $$deadlines[2] = '101 days'$$]) change;
SELECT throws_ok(format('UPDATE raxx_detect.notification_settings SET %s', change), '23514', NULL, change) FROM unnest(ARRAY[
    $$deadlines = '{}'$$, $$deadlines = '[0:3]={1 day,1 day,1 day,1 day}'$$, $$deadlines = '{{1 day},{1 day},{1 day},{1 day}}'$$]) change;

-- ---- whatever the clock ---------------------------------------------------------------------------------------------------
SELECT is(pg_temp.working_in(zone, at), expected, format('%s, %s', zone, at)) FROM (VALUES
    ('Pacific/Apia', '2011-12-29 22:00+00', true),     -- Thursday the 29th, noon; the 30th never was
    ('Pacific/Apia', '2011-12-30 22:00+00', false),    -- Saturday the 31st
    ('Asia/Kolkata', '2026-11-27 03:29:59+00', false), -- half an hour past the hour
    ('Asia/Kolkata', '2026-11-27 03:30+00', true),
    ('Asia/Kolkata', '2026-11-27 12:30+00', false),
    ('UTC', '2026-11-27 09:00+00', true),
    ('UTC', '2026-11-27 18:00+00', false)) t(zone, at, expected);

SELECT * FROM finish();
ROLLBACK;
