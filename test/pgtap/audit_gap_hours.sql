-- Rule 6, audit log gap: how much of a gap lies in business hours, and what follows from it. (audit_gap.sql has its life.)
BEGIN;
SELECT plan(53);
SET LOCAL timezone = 'UTC';

-- ---- business_time against its definition: the seconds whose local time is within the hours of a business day ------------
CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
CREATE TABLE hours (name text PRIMARY KEY, params jsonb);
INSERT INTO hours VALUES
    ('as shipped', (SELECT params FROM raxx_detect.rules WHERE rule_id = 'data_audit_log_gap_window')),
    ('New York', '{"business_from": "09:00", "business_to": "18:00", "business_days": [1, 2, 3, 4, 5], "time_zone": "America/New_York"}'),
    ('Kolkata, one day', '{"business_from": "00:00", "business_to": "24:00", "business_days": [3], "time_zone": "Asia/Kolkata"}'),
    ('Auckland, weekend', '{"business_from": "06:15", "business_to": "06:45", "business_days": [6, 7, 7], "time_zone": "Pacific/Auckland"}'),
    ('no days', '{"business_from": "09:00", "business_to": "17:00", "business_days": [], "time_zone": "UTC"}'),
    ('no hours', '{"business_from": "17:00", "business_to": "09:00", "business_days": [1, 2, 3, 4, 5, 6, 7], "time_zone": "UTC"}');
-- In quarters of an hour, which divide all of them. Around 2024-03-10 New York, and around 2024-04-07 Auckland change their clocks.
CREATE FUNCTION pg_temp.by_definition(period tstzrange, params jsonb) RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT count(*) * interval '15 minutes'
    FROM generate_series(lower(period), upper(period) - interval '15 minutes', '15 minutes') q,
         LATERAL (SELECT timezone(params ->> 'time_zone', q) AS here) l
    WHERE l.here::time >= (params ->> 'business_from')::time AND l.here::time < (params ->> 'business_to')::time
      AND params -> 'business_days' @> to_jsonb(extract(isodow FROM l.here)::int)
$$;
CREATE TABLE periods AS
SELECT tstzrange(t, t + (1 + pg_temp.pseudo_random(n, 2, 10 + n * n / 3)) * interval '15 minutes') AS period
FROM generate_series(1, 80) n, LATERAL (SELECT timestamptz '2024-03-01 00:00+00' + pg_temp.pseudo_random(n, 1, 45 * 96) * interval '15 minutes' AS t) s;
SELECT is(count(*) FILTER (WHERE extract(epoch FROM raxx_detect.business_time(p.period, h.params)) <> extract(epoch FROM pg_temp.by_definition(p.period, h.params))), 0::bigint,
    format('hours of %s in 80 periods', h.name))
FROM hours h CROSS JOIN periods p GROUP BY h.name ORDER BY h.name;
SELECT cmp_ok(count(*), '>', 10::bigint, 'some of the periods are longer than a week')
FROM periods WHERE upper(period) - lower(period) > '7 days';
SELECT cmp_ok(count(*), '>', 10::bigint, 'and some shorter than a day') FROM periods WHERE upper(period) - lower(period) < '1 day';

-- To the microsecond, at the edges and just short of a week.
CREATE FUNCTION pg_temp.shipped(starts text, ends text) RETURNS interval LANGUAGE sql AS
    $$ SELECT justify_hours(raxx_detect.business_time(tstzrange((starts || '+00')::timestamptz, (ends || '+00')::timestamptz), params)) FROM hours WHERE name = 'as shipped' $$;
SELECT is(pg_temp.shipped(starts, ends), expected, format('%s to %s', starts, ends)) FROM (VALUES
    ('2024-03-05 11:00', '2024-03-05 12:00', interval '0'),
    ('2024-03-05 11:00', '2024-03-05 12:00:00.000001', '00:00:00.000001'),
    ('2024-03-05 22:29:59.999999', '2024-03-06 11:59', '00:00:00.000001'),
    ('2024-03-05 22:30', '2024-03-06 12:00', '0'),
    ('2024-03-08 22:00', '2024-03-11 12:30', '01:00'),
    ('2024-03-09 00:00', '2024-03-10 23:59', '0'),
    ('2024-03-04 13:00', '2024-03-11 13:00', '2 days 04:30'),
    ('2024-03-04 13:00', '2024-03-11 12:59:59.999999', '2 days 04:29:59.999999'),
    ('2024-03-04 13:00', '2024-03-11 12:59:59.6', '2 days 04:29:59.6'),
    ('2024-03-04 13:00', '2024-03-11 13:00:00.4', '2 days 04:30:00.4'),
    ('1900-01-01 00:00', '2024-01-01 00:00', 6470 * interval '52.5 hours')) v(starts, ends, expected);

-- ---- what a gap amounts to -----------------------------------------------------------------------------------------------
CREATE TABLE audit (event_time timestamptz);
SELECT raxx_detect.bind_source('customer_audit_events', 'audit');
-- The finding of one gap, closed or still going on, in a few words.
CREATE FUNCTION pg_temp.judge(starts text, ends text, closed boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audit;
    DELETE FROM raxx_detect.detection_findings;
    DELETE FROM raxx_detect.coverage;
    INSERT INTO audit SELECT (starts || '+00')::timestamptz UNION ALL SELECT (ends || '+00')::timestamptz WHERE closed;
    PERFORM raxx_detect.run('data_audit_log_gap_window', (ends || '+00')::timestamptz);
    RETURN coalesce((SELECT format('%s %s: %s %s', severity, condition, round(observed::numeric, 6)::float8, unit) FROM raxx_detect.detection_findings), 'none');
END $$;
CREATE TABLE judged AS
SELECT * FROM (VALUES
    ('2024-03-05 16:00', '2024-03-05 16:30', 'none'),
    ('2024-03-05 16:00', '2024-03-05 16:30:00.06', 'high firing: 30.001 minutes in business hours'),
    ('2024-03-05 16:00', '2024-03-05 17:00', 'high firing: 60 minutes in business hours'),
    ('2024-03-05 16:00', '2024-03-05 17:00:00.06', 'critical firing: 60.001 minutes in business hours'),
    -- Off hours; by night, over a weekend.
    ('2024-03-06 01:00', '2024-03-06 05:00', 'none'),
    ('2024-03-06 01:00', '2024-03-06 05:00:00.06', 'high firing: 240.001 minutes outside business hours'),
    ('2024-03-09 00:00', '2024-03-10 00:00', 'high firing: 1440 minutes outside business hours'),
    -- Across an edge it is measured by its part inside, and where that is short, by its part outside.
    ('2024-03-05 11:00', '2024-03-05 12:30', 'none'),
    ('2024-03-05 11:00', '2024-03-05 12:31', 'high firing: 31 minutes in business hours'),
    ('2024-03-05 22:00', '2024-03-06 02:30', 'none'),
    ('2024-03-05 22:10', '2024-03-06 02:31', 'high firing: 241 minutes outside business hours'),
    ('2024-03-05 22:10', '2024-03-06 12:11', 'high firing: 31 minutes in business hours'),
    ('2024-03-05 21:29', '2024-03-06 12:00', 'critical firing: 61 minutes in business hours'),
    ('2024-03-08 22:20', '2024-03-11 12:15', 'high firing: 3690 minutes outside business hours'),
    -- A row with a forged time, long ago.
    ('1724-03-05 12:00', '2024-03-05 12:00', 'critical firing: 49307580 minutes in business hours')) v(starts, ends, expected);
SELECT is(pg_temp.judge(starts, ends, true), replace(expected, 'firing', 'cleared'), format('closed: %s to %s', starts, ends)) FROM judged;
SELECT is(pg_temp.judge(starts, ends, false), expected, format('going on: %s to %s', starts, ends)) FROM judged;

-- Each table on its own: a finding of each, named by its source, with its evidence.
DELETE FROM audit;
DELETE FROM raxx_detect.detection_findings;
DELETE FROM raxx_detect.coverage;
CREATE TABLE console (event_time timestamptz PRIMARY KEY);
SELECT raxx_detect.bind_source('console_audit_events', 'console');
INSERT INTO audit VALUES ('2024-03-05 15:00+00'), ('2024-03-05 16:00+00'), ('infinity'), ('-infinity');
INSERT INTO console SELECT generate_series(timestamptz '2024-03-05 15:00+00', '2024-03-05 16:20+00', '10 minutes');
SELECT is((r.outcome, r.findings_new), ('ok'::text, 2::bigint), 'two tables, one of them silent twice')
FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-05 16:40+00') r;
SELECT results_eq('SELECT source, entity, episode, condition, occurrences FROM raxx_detect.detection_findings ORDER BY episode', $$VALUES
    ('customer_audit_events', 'customer_audit_events', '["2024-03-05 15:00:00+00","2024-03-05 16:00:00+00")'::tstzrange, 'cleared', 1),
    ('customer_audit_events', 'customer_audit_events', '["2024-03-05 16:00:00+00",)', 'firing', 1)$$, 'an hour that is over, and 40 minutes that go on');
SELECT is(r.findings_new, 1::bigint, 'then the other, too') FROM raxx_detect.run('data_audit_log_gap_window', '2024-03-05 16:51+00') r;
SELECT is(evidence #> '{rows,first_rows}', '[["2024-03-05T16:20:00+00:00"]]', 'its evidence is the last row')
FROM raxx_detect.detection_findings WHERE source = 'console_audit_events';

SELECT * FROM finish();
ROLLBACK;
