-- Changing what a baseline counts has its days read again; changing a threshold does not.
BEGIN;
SELECT plan(6);
SET LOCAL timezone = 'UTC';
SELECT raxx_detect.create_source_table('waitlist_signups', 'pg_temp.signups');
INSERT INTO pg_temp.signups (event_time, email, origin)
SELECT timestamptz '2024-05-01 00:00+00' + n * interval '10 minutes', 'x' || n || '@site.example', 'https://a.example' FROM generate_series(1, 1440) n;
SELECT is(r.outcome, 'ok', 'a run learns') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-05-10 12:00+00') r;
CREATE TEMP TABLE before AS SELECT b.day, b.rows FROM raxx_detect.baseline_days b WHERE b.rule_id = 'signup_waitlist_velocity_per_origin';
SELECT is(count(*), 8::bigint, 'the days of two baselines') FROM before;
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 30, "window": "5 minutes"}');
SELECT results_eq($$ SELECT day, rows FROM raxx_detect.baseline_days ORDER BY day $$, $$ SELECT day, rows FROM before ORDER BY day $$,
    'another threshold, and a window that is as it was, leave them');
SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"window": "30 minutes"}');
SELECT is((SELECT count(*) FROM raxx_detect.baseline_days), 0::bigint, 'another window does not');
SELECT is(r.outcome, 'ok', 'the next run learns again') FROM raxx_detect.run('signup_waitlist_velocity_per_origin', '2024-05-10 12:10+00') r;
SELECT is(max(raxx_detect.array_sum(b.exposure)), 48::float8, 'in cells of the new window')
FROM raxx_detect.baselines b WHERE b.entity IS NOT NULL;
SELECT * FROM finish();
ROLLBACK;
