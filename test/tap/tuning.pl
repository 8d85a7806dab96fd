# Two that would take the last place under the ceiling at once, two that would lower a rule at once, who may do what with which rights, and a
# refresh on a server that only reads.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $db = new_database($node, 'tuning');
my ($one, $two) = map { new_session($node, $db) } 1 .. 2;
$node->safe_psql($db, q{SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,waitlist_signups}'::text[]) s;
	UPDATE raxx_detect.tuning_settings SET ceiling = 1});
sub waits { wait_until('the other waits', sub { $node->safe_psql($db, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) == 1 }); return; }
my $active = q{SELECT string_agg(rule_id, ' ') FROM raxx_detect.rules WHERE state IN ('live', 'placeholder')};

# ---- the last place ------------------------------------------------------------------------------------------------------
$one->query('BEGIN');
is($one->query(q{SELECT state FROM raxx_detect.run('auth_rbac_denied_burst')}), 'live', 'one rule becomes active');
my $another = q{SELECT state FROM raxx_detect.run('signup_waitlist_velocity_per_origin') WHERE outcome = 'dormant'};
is($two->query($another), 'dormant', 'another that would be does not wait for it');
like($two->query(q{SELECT state_reason FROM raxx_detect.rules WHERE rule_id = 'signup_waitlist_velocity_per_origin'}), qr/another run/, 'and says so');
$one->query('COMMIT');
is($two->query($another), 'dormant', 'later it finds the place taken');
is($node->safe_psql($db, $active), 'auth_rbac_denied_burst', 'so there is one');
$node->safe_psql($db, q{SELECT raxx_detect.disable('auth_rbac_denied_burst', 'a test')});
$one->query('BEGIN');
is($one->query(q{SELECT state FROM raxx_detect.run('signup_waitlist_velocity_per_origin')}), 'live', 'a place that is free is taken');
$one->query('ROLLBACK');
is($two->query(q{SELECT state FROM raxx_detect.run('signup_email_pattern_anomaly')}), 'live', 'whoever fails has taken none');

# ---- told lower once --------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
	evidence, condition, occurrences, escalation_owner, detected_at)
SELECT 'signup_waitlist_velocity_per_origin', 'D', 'signup', 'waitlist_signups', 'high', 'https://' || e, tstzrange(now() - n * interval '1 day', now() - n * interval '1 day' + interval '1 minute'),
	60, 20, 'sign-ups', 'threshold', 60, e, '{}', 'cleared', 1, 'o', now() - n * interval '1 day'
FROM unnest('{x,a.com,b.org,c.net,d.de,e.fr}'::text[]) WITH ORDINALITY t(e, n) WHERE e <> 'x';
INSERT INTO raxx_detect.deliveries (finding_id, channel, event, mode, severity, payload, state, ended_at)
SELECT finding_id, 'ops-mail', 'fired', 'event', 'high', '{}', 'delivered', detected_at FROM raxx_detect.detection_findings;
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
	evidence, condition, occurrences, escalation_owner) VALUES ('ops_dyno_restart_cluster', 'D', 'ops', 'dyno_restarts', 'medium', 'app', tstzrange(now(), NULL), 3, 3, 'dynos', 'threshold', 3, 's', '{}', 'firing', 1, 'o')});
$node->safe_psql($db, q{SELECT raxx_detect.acknowledge(finding_id) FROM raxx_detect.detection_findings WHERE entity = 'app'});
$one->query('BEGIN');
is($one->query('SELECT count(*) FROM raxx_detect.self_tune()'), 1, 'one tunes');
$two->send('SELECT count(*) FROM raxx_detect.self_tune()');
waits();
$one->query('COMMIT');
is(($two->receive)[1], 0, 'another waits, and has nothing to do');
is($node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.downgrades'), 1, 'it is told lower once');

# ---- rights -------------------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{CREATE ROLE reader; CREATE ROLE tuner; CREATE ROLE person;
	GRANT USAGE ON SCHEMA raxx_detect TO reader, tuner, person; GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect, public TO reader, tuner, person;
	GRANT INSERT ON raxx_detect.downgrades TO tuner; GRANT INSERT ON raxx_detect.approvals TO person; GRANT UPDATE (ended_at, ended_by, end_reason) ON raxx_detect.downgrades TO person});
sub as { my ($role, $query) = @_; my ($status, $out, $error) = $node->psql($db, "SET ROLE $role; $query"); return $status == 0 ? $out : $error; }
like(as('reader', 'BEGIN READ ONLY; SELECT string_agg(action, $$ $$) FROM raxx_detect.refresh(); COMMIT'), qr/^over_ceiling/, 'a dry run takes no right but to read, and no transaction that writes');
like(as('reader', q{SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'x')}), qr/permission denied/, 'a reader takes nothing back');
like(as('reader', q{SELECT raxx_detect.approve('signup_waitlist_velocity_per_origin', 'x', now() + interval '1 day')}), qr/permission denied/, 'approves nothing');
like(as('reader', 'SELECT raxx_detect.self_tune_daily()'), qr/^$/, 'and tunes nothing, silently');
is(as('person', q{SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'they were real')}), 1, 'a person does');
like(as('person', q{SELECT raxx_detect.approve('signup_waitlist_velocity_per_origin', 'x', now() + interval '30 days')}), qr/^\d+$/, 'and approves');
is(as('tuner', 'SELECT count(*) FROM raxx_detect.self_tune()'), 0, 'whoever tunes does not make it again');
is($node->safe_psql($db, q{SELECT ended_by || ' ' || approved_by FROM raxx_detect.downgrades, raxx_detect.approvals}), join(' ', ($node->safe_psql($db, 'SELECT session_user')) x 2), 'on record is who logged in');

# ---- the roles of docs/roles.sql ----------------------------------------------------------------------------------------------
$node->safe_psql($db, slurp_file('docs/roles.sql'));
$node->safe_psql($db, q{GRANT SELECT ON ALL TABLES IN SCHEMA public TO raxx_admin, raxx_runner;
	UPDATE raxx_detect.tuning_settings SET ceiling = 15, reaction_time = '0';
	DELETE FROM raxx_detect.downgrades; SELECT raxx_detect.enable('auth_rbac_denied_burst');
	INSERT INTO waitlist_signups (event_time, email, origin) SELECT t, extract(epoch FROM t)::bigint || '@example.com', o FROM generate_series(now() - interval '14 days', now(), '10 minutes') t, unnest('{a,b,c}'::text[]) o;
	SELECT raxx_detect.run_all();
	DELETE FROM raxx_detect.baseline_days WHERE day = (SELECT max(day) FROM raxx_detect.baseline_days)});
my $lines = q{SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM raxx_detect.refresh(true)};
like(as('raxx_operator', $lines), qr/permission denied/, 'an operator does not refresh');
is(as('raxx_admin', $lines), 'downgrade rebaseline', 'an admin does: reads anew, and has told lower');
is(as('raxx_admin', $lines), 'tighten', 'and tightens');
is(as('raxx_operator', q{SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'they were real')}), 1, 'an operator takes back');
like(as('raxx_operator', q{SELECT raxx_detect.approve('signup_waitlist_velocity_per_origin', 'x', now() + interval '1 day')}), qr/^\d+$/, 'and approves');
is(as('raxx_runner', 'SELECT count(*) FROM raxx_detect.self_tune()'), 0, 'the runner tunes');
like(as('raxx_runner', q{SELECT raxx_detect.undo_downgrade('signup_waitlist_velocity_per_origin', 'x')}), qr/permission denied/, 'and takes nothing back');
done_testing();
