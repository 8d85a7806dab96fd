-- What a rule could not have seen, from what is on record; and what a run puts on record so that it can be told later.
-- Times are minutes before now.
BEGIN;
SELECT plan(42);
SET LOCAL timezone = 'UTC';
CREATE FUNCTION pg_temp.ago(minutes float8) RETURNS timestamptz LANGUAGE sql AS 'SELECT now() - minutes * interval ''1 minute''';
CREATE FUNCTION pg_temp.minutes(spell tstzrange) RETURNS text LANGUAGE sql AS
$$ SELECT format('%s-%s', round(extract(epoch FROM now() - lower(spell)) / 60, 1), round(extract(epoch FROM now() - upper(spell)) / 60, 1)) $$;
CREATE PROCEDURE pg_temp.ran(rule text, at float8, outcome text, detail text DEFAULT NULL, state text DEFAULT 'live') LANGUAGE sql AS $$
    INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read, elapsed, detail)
    VALUES (pg_temp.ago(at), pg_temp.ago(at), rule, state, outcome, 0, 0, 0, '0', detail) $$;
CREATE PROCEDURE pg_temp.became(rule text, at float8, old text, new text, reason text) LANGUAGE sql AS $$
    INSERT INTO raxx_detect.rule_state_changes (rule_id, changed_at, from_state, to_state, reason) VALUES (rule, pg_temp.ago(at), old, new, reason);
    UPDATE raxx_detect.rules SET state = new, state_reason = reason, state_since = pg_temp.ago(at) WHERE rule_id = rule; $$;
CREATE FUNCTION pg_temp.blind(rule text) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT concat_ws(' ', kind, pg_temp.minutes(spell), lasts, reason) FROM raxx_detect.blind_between(pg_temp.ago(1440), now(), rule) $$;

SELECT raxx_detect.create_source_table(s, 'public.' || s)
FROM unnest('{rbac_denials,outbound_mail_events,dyno_samples,console_audit_events}'::text[]) s;
UPDATE raxx_detect.source_bindings SET bound_at = pg_temp.ago(2000);
UPDATE raxx_detect.heartbeat SET last_run_at = pg_temp.ago(1), as_of = pg_temp.ago(1), runs = 1000, quiet_rules = '{auth_rbac_denied_burst}';
DELETE FROM raxx_detect.rule_state_changes;
DELETE FROM raxx_detect.rule_runs;

-- ---- one rule, two thousand minutes ----------------------------------------------------------------------------------
CALL pg_temp.became('auth_rbac_denied_burst', 1900, 'dormant', 'live', 'judged by its thresholds');
CALL pg_temp.ran('auth_rbac_denied_burst', 1900, 'ok');
CALL pg_temp.ran('auth_rbac_denied_burst', 600, 'error', '42P01: it is gone.');
CALL pg_temp.ran('auth_rbac_denied_burst', 590, 'busy', 'another run is at it');
CALL pg_temp.ran('auth_rbac_denied_burst', 587, 'error', '42P01: it is gone for good.');
CALL pg_temp.ran('auth_rbac_denied_burst', 580, 'ok');
CALL pg_temp.ran('auth_rbac_denied_burst', 500, 'no_data', 'it is empty');
CALL pg_temp.ran('auth_rbac_denied_burst', 470, 'skipped', 'looked at before');
CALL pg_temp.ran('auth_rbac_denied_burst', 460, 'ok');
CALL pg_temp.ran('auth_rbac_denied_burst', 400, 'busy', 'another run is at it');
CALL pg_temp.ran('auth_rbac_denied_burst', 390, 'ok');
CALL pg_temp.ran('auth_rbac_denied_burst', 380, 'busy', 'another run is at it');
CALL pg_temp.ran('auth_rbac_denied_burst', 381, 'ok');  -- the run that was at it, which had begun before
INSERT INTO raxx_detect.interruptions VALUES
    ('pause', pg_temp.ago(1500), pg_temp.ago(1430), 'nobody'), ('pause', pg_temp.ago(610), pg_temp.ago(595), 'nobody'),
    ('stall', pg_temp.ago(300), pg_temp.ago(280), 'process 7');
CALL pg_temp.became('auth_rbac_denied_burst', 290, 'live', 'disabled', 'while we move');
CALL pg_temp.became('auth_rbac_denied_burst', 285, 'disabled', 'dormant', 'enabled again');
CALL pg_temp.became('auth_rbac_denied_burst', 285, 'dormant', 'live', 'judged by its thresholds');
SELECT results_eq($$SELECT pg_temp.blind('auth_rbac_denied_burst')$$, ARRAY[
    'pause 1440.0-1430.0 f nobody', 'pause 610.0-595.0 f nobody', 'error 600.0-587.0 f 42P01: it is gone.',
    'error 587.0-580.0 f 42P01: it is gone for good.', 'no_data 500.0-460.0 f it is empty', 'busy 400.0-390.0 f another run is at it',
    'stall 300.0-290.0 f process 7', 'stall 285.0-280.0 f process 7'],
    'busy for a moment and a look at the past end nothing; a disabled rule is not expected to see; the day cuts off what was before');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(1440), now()), (10 + 30 + 40 + 10 + 15)::float8, 'what overlaps counts once');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(589), pg_temp.ago(584)), 5::float8,
    'a short time in the middle of a spell, begun before it and by a run that another was at');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(480), pg_temp.ago(470)), 10::float8, 'no data, since before');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(398), pg_temp.ago(395)), 3::float8, 'busy since before');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(580), pg_temp.ago(500)), 0::float8, 'between spells');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', pg_temp.ago(600), pg_temp.ago(600)), 0::float8, 'no time at all');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', now() + interval '1 day', 'infinity'), 0::float8, 'what is to come');
SELECT is(raxx_detect.blind_minutes('auth_rbac_denied_burst', '-infinity', 'infinity'), (70 + 30 + 40 + 10 + 15 + 100)::float8,
    'from the beginning: from when it was bound to when it went live it was dormant');
SELECT results_eq($$SELECT DISTINCT source FROM raxx_detect.blind_spells WHERE rule_id = 'auth_rbac_denied_burst'$$, ARRAY['rbac_denials'], 'the source is named');
SELECT throws_ok($$SELECT raxx_detect.blind_minutes('auth_rbac_denied', now(), now())$$, '42704', NULL, 'an unknown rule');
SELECT throws_ok($$SELECT raxx_detect.blind_minutes('auth_rbac_denied_burst', now(), now() - interval '1 second')$$, '22023', NULL, 'a time that ends before it begins');
SELECT throws_ok($$SELECT raxx_detect.blind_minutes('auth_rbac_denied_burst', NULL, now())$$, '22023', NULL, 'no time');

-- ---- health ----------------------------------------------------------------------------------------------------------
INSERT INTO raxx_detect.coverage VALUES ('auth_rbac_denied_burst', 'rbac_denials', pg_temp.ago(25), pg_temp.ago(20));
PREPARE health AS SELECT h.healthy, extract(epoch FROM h.lag) / 60, extract(epoch FROM h.settled_lag) / 60, h.blind_minutes, h.errors, h.sqlstate, h.reason
FROM raxx_detect.health h WHERE h.rule_id = 'auth_rbac_denied_burst';
SELECT results_eq('health', $$VALUES (true, 1::numeric, 6::numeric, 105.0, 2::bigint, '42P01', 'it sees; in the last day it was blind for 105.0 minutes: see raxx_detect.blind_spells')$$,
    'it sees again; runs without news move the heartbeat alone');
SELECT is(last_error_at, pg_temp.ago(587), 'the last error is the one of then') FROM raxx_detect.health WHERE rule_id = 'auth_rbac_denied_burst';
UPDATE raxx_detect.heartbeat SET quiet_rules = '{}';
CALL pg_temp.ran('auth_rbac_denied_burst', 3, 'error', 'withdrew 1 findings; 22012: division by zero.');
SELECT results_eq('health', format($$VALUES (false, 20::numeric, 25::numeric, 108.0, 3::bigint, '22012', 'its runs end in an error since %s: withdrew 1 findings; 22012: division by zero.')$$,
    date_trunc('second', pg_temp.ago(3))), 'an error: the heartbeat is no look at its source any more');
DELETE FROM raxx_detect.rule_runs WHERE started_at = pg_temp.ago(3);
CALL pg_temp.ran('auth_rbac_denied_burst', 10, 'busy', 'another run is at it');
SELECT results_eq('health', format($$VALUES (false, 20::numeric, 25::numeric, 115.0, 2::bigint, '42P01', 'another run has been at it since %s')$$,
    date_trunc('second', pg_temp.ago(10))), 'busy for too long');
DELETE FROM raxx_detect.rule_runs WHERE started_at = pg_temp.ago(10);
UPDATE raxx_detect.heartbeat SET as_of = pg_temp.ago(15), quiet_rules = '{auth_rbac_denied_burst}';
SELECT results_eq('health', $$VALUES (false, 15::numeric, 20::numeric, 105.0, 2::bigint, '42P01', 'its look at rbac_denials ends 15 min ago')$$,
    'runs that look at the past are no look at the present');
UPDATE raxx_detect.heartbeat SET as_of = now(), last_run_at = pg_temp.ago(12);
SELECT results_eq('health', format($$VALUES (false, 12::numeric, 17::numeric, 117.0, 2::bigint, '42P01', 'not running since %s: nobody calls raxx_detect.run_all()')$$,
    date_trunc('second', pg_temp.ago(12))), 'nobody runs it');
SET LOCAL raxx_detect.blind_after = '12min';
SELECT is(healthy, true, 'unless that is how it is run') FROM raxx_detect.health WHERE rule_id = 'auth_rbac_denied_burst';
RESET raxx_detect.blind_after;
UPDATE raxx_detect.heartbeat SET last_run_at = now();

-- ---- rules of which nothing is expected, or not yet --------------------------------------------------------------------
SELECT is_empty($$SELECT FROM raxx_detect.blind_spells WHERE rule_id = 'signup_waitlist_velocity_per_origin'$$, 'what is not bound is not expected to see');
SELECT is((healthy, reason LIKE 'dormant: source waitlist_signups is not bound%'), (NULL::boolean, true), 'nor well, nor ill')
FROM raxx_detect.health WHERE rule_id = 'signup_waitlist_velocity_per_origin';
CALL pg_temp.ran('webhook_postmark_bounce_spike', 50, 'dormant', 'P8: too few mails', 'dormant');
SELECT results_eq($$SELECT kind, pg_temp.minutes(spell), lasts FROM raxx_detect.blind_spells WHERE rule_id = 'webhook_postmark_bounce_spike'$$,
    $$VALUES ('dormant', '2000.0-0.0', true)$$, 'dormant although all is bound');
SELECT is((healthy, blind_minutes), (NULL::boolean, 1440.0), 'is blind, but not ill') FROM raxx_detect.health WHERE rule_id = 'webhook_postmark_bounce_spike';
CALL pg_temp.became('cost_dyno_hour_spike', 60, 'dormant', 'placeholder', 'judges nothing yet; baseline: 3 of 7 days');
SELECT results_eq($$SELECT kind, pg_temp.minutes(spell), reason FROM raxx_detect.blind_between(pg_temp.ago(100), now(), 'cost_dyno_hour_spike')$$, $$VALUES
    ('dormant', '100.0-60.0', 'dormant'), ('baseline', '60.0-0.0', 'judges nothing yet; baseline: 3 of 7 days')$$, 'a rule without a threshold, while its baseline fills');
SELECT is((healthy, reason), (NULL::boolean, 'placeholder: judges nothing yet; baseline: 3 of 7 days'::text), 'is blind, but not ill')
FROM raxx_detect.health WHERE rule_id = 'cost_dyno_hour_spike';
UPDATE raxx_detect.heartbeat SET last_run_at = pg_temp.ago(3000);
SELECT is((healthy, reason LIKE 'not running since % no run has come since its sources were bound'), (false, true), 'what nobody has run since it was bound is ill')
FROM raxx_detect.health WHERE rule_id = 'data_audit_log_gap_window';
UPDATE raxx_detect.source_bindings SET bound_at = pg_temp.ago(4) WHERE source = 'console_audit_events';
SELECT is(healthy, NULL, 'unless that was a moment ago') FROM raxx_detect.health WHERE rule_id = 'data_audit_log_gap_window';
UPDATE raxx_detect.source_bindings SET bound_at = pg_temp.ago(2000);
SELECT is(raxx_detect.bound_since(r), pg_temp.ago(2000), 'of an audit gap, one audit table is enough') FROM raxx_detect.rules r WHERE rule_id = 'data_audit_log_gap_window';
SELECT is(raxx_detect.bound_since(r), NULL, 'one whose tables have no hash chain waits for that') FROM raxx_detect.rules r WHERE rule_id = 'data_audit_log_hash_chain_break';

-- ---- what a run notes ------------------------------------------------------------------------------------------------
DELETE FROM raxx_detect.interruptions;
CREATE PROCEDURE pg_temp.noted(last float8) LANGUAGE sql AS $$
    UPDATE raxx_detect.heartbeat SET last_run_at = pg_temp.ago(last); SELECT raxx_detect.note_run(coalesce(h.held_since, now())) FROM raxx_detect.horizon() h; $$;
CALL pg_temp.noted(4.9);
SELECT is_empty('SELECT FROM raxx_detect.interruptions', 'a run in time notes nothing');
CALL pg_temp.noted(10);
SELECT results_eq('SELECT kind, pg_temp.minutes(tstzrange(began, ended)), detail FROM raxx_detect.interruptions',
    $$VALUES ('pause', '10.0-0.0', 'nobody called raxx_detect.run_all()')$$, 'one that comes late notes the pause');
DELETE FROM raxx_detect.interruptions;
CREATE OR REPLACE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text, OUT held_since timestamptz) LANGUAGE sql AS $$ SELECT pg_temp.ago(4.9), 'process 7', pg_temp.ago(4.9) $$;
CALL pg_temp.noted(1);
SELECT is_empty('SELECT FROM raxx_detect.interruptions', 'a transaction that is open for a while is normal');
CREATE OR REPLACE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text, OUT held_since timestamptz) LANGUAGE sql AS $$ SELECT pg_temp.ago(1440), 'process 7', pg_temp.ago(1440) $$;
SELECT is((healthy, reason), (false, 'the horizon stands still: process 7'::text), 'one that is open for long is seen at once')
FROM raxx_detect.health WHERE rule_id = 'auth_rbac_denied_burst';
CALL pg_temp.noted(1);
CALL pg_temp.noted(0);
SELECT results_eq('SELECT kind, pg_temp.minutes(tstzrange(began, now())), ended, detail FROM raxx_detect.interruptions',
    $$VALUES ('stall', '6.0-0.0', NULL::timestamptz, 'process 7')$$, 'and noted once, from when it cannot have been so for long');
SELECT results_eq($$SELECT kind, pg_temp.minutes(spell), lasts FROM raxx_detect.blind_spells WHERE rule_id = 'auth_rbac_denied_burst' AND kind = 'stall'$$,
    $$VALUES ('stall', '6.0-0.0', true)$$, 'it lasts');
CREATE OR REPLACE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text, OUT held_since timestamptz) LANGUAGE sql AS $$ SELECT timestamptz '-infinity', 'my own', timestamptz '-infinity' $$;
CALL pg_temp.noted(0);
SELECT is((healthy, reason LIKE 'it sees%'), (true, true), 'what holds it back now is asked, not what did') FROM raxx_detect.health WHERE rule_id = 'auth_rbac_denied_burst';
SELECT is(ended, NULL, 'a run that sees the past itself cannot tell') FROM raxx_detect.interruptions;
CREATE OR REPLACE FUNCTION raxx_detect.horizon(OUT settles_to timestamptz, OUT culprit text, OUT held_since timestamptz) LANGUAGE sql AS $$ SELECT now(), NULL, NULL::timestamptz $$;
CALL pg_temp.noted(0);
SELECT is(ended, now(), 'and it ends') FROM raxx_detect.interruptions;
CALL pg_temp.noted(0);
SELECT is(count(*), 1::bigint, 'once') FROM raxx_detect.interruptions;

UPDATE raxx_detect.heartbeat SET last_run_at = pg_temp.ago(30);
SELECT count(*) FROM raxx_detect.run_all();
SELECT results_eq($$SELECT pg_temp.minutes(tstzrange(began, ended)) FROM raxx_detect.interruptions WHERE kind = 'pause'$$, ARRAY['30.0-0.0'], 'run_all notes it');

UPDATE raxx_detect.coverage SET settled = '-infinity';  -- as a first run in REPEATABLE READ leaves it
SELECT results_eq($$SELECT lag IS NULL, settled_lag FROM raxx_detect.health WHERE rule_id = 'auth_rbac_denied_burst'$$, $$VALUES (false, NULL::interval)$$,
    'where nothing is settled yet health says so, and goes on');
SELECT * FROM finish();
ROLLBACK;
