# The background worker from its start: what it needs, whom it refuses, how it obeys a reload, and what a failure in one
# database means for it and for the others.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Worker;
use Test::More;

my $node = worker_server("raxx_detect.role = ''");
# worker_state() is asked in database postgres, in which nothing runs.
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
runner_database($node, $_) foreach 'app', 'other';
my $log_size;

# ---- start, and settings ------------------------------------------------------------------------------------------

$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'raxx_detect launcher'")
  or die 'no launcher';
is($node->safe_psql('postgres', <<'END'), 'raxx_detect launcher||||Extension', 'the launcher is connected to no database, and holds nothing while it sleeps');
SELECT application_name, datname, backend_xmin, xact_start, wait_event_type FROM pg_stat_activity WHERE backend_type = 'raxx_detect launcher'
END
is($node->safe_psql('postgres', 'SELECT count(*) FROM raxx_detect.worker_state()'), '0', 'nothing is enabled');

is($node->safe_psql('postgres', <<'END'), <<'END' =~ s/\n\z//r, 'the settings and who may change them');
SELECT name, setting, unit, context, min_val, max_val FROM pg_settings WHERE name ~ '^raxx_detect.(enabled|interval|role|max_workers|allow_superuser)$' ORDER BY name COLLATE "C"
END
raxx_detect.allow_superuser|off||sighup||
raxx_detect.enabled|off||superuser||
raxx_detect.interval|1|s|superuser|1|86400
raxx_detect.max_workers|2||sighup|1|64
raxx_detect.role|||superuser||
END
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN CREATEDB; CREATE DATABASE owned OWNER owner');
foreach my $setting ("enabled = on", "interval = '1h'", "role = postgres", "max_workers = 1", "allow_superuser = on")
{
	foreach my $command ('SET', 'ALTER DATABASE owned SET')
	{
		my $messages;
		isnt($node->psql('owned', "$command raxx_detect.$setting", extra_params => [ '-U', 'owner' ], stderr => \$messages), 0,
			"an owner may not $command $setting");
	}
}
isnt($node->psql('app', 'SELECT * FROM raxx_detect.worker_state()', extra_params => [ '-U', 'runner' ], stderr => \my $denied), 0,
	'worker_state() is not for everybody');
$node->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
is($node->safe_psql('postgres', 'SELECT count(*) FROM raxx_detect.worker_state()', extra_params => [ '-U', 'monitor' ]), '0', 'but for monitoring roles');

# ---- refused ------------------------------------------------------------------------------------------------------

sub refused
{
	my ($reason, $sqlstate, $detail) = @_;
	wait_for_state($node, 'app', "state = 'refused' AND last_result = '$reason'");
	ok($node->log_contains(qr/raxx_detect launcher $sqlstate LOG:  raxx_detect refuses to run in database "app"\n.*DETAIL:  $detail\n.*HINT:  /, $log_size),
		"refused, and said so: $reason");
	is(state_of($node, 'app', 'last_run'), '-', 'nothing has run');
	return;
}

$log_size = -s $node->logfile;
enable($node, 'app');
refused('raxx_detect.role is not set', '55000', 'raxx_detect.role is not set\.');
configure($node, role => 'nobody');
refused('raxx_detect.role does not exist', '42704', 'raxx_detect.role is "nobody", and there is no such role\.');
$node->safe_psql('postgres', 'CREATE ROLE nobody');
$node->reload;
refused('raxx_detect.role may not log in', '28000', 'raxx_detect.role is "nobody", which may not log in\.');
$node->safe_psql('postgres', 'ALTER ROLE nobody LOGIN SUPERUSER');
$node->reload;
refused('raxx_detect.role is a superuser', '42501', 'raxx_detect.role is "nobody", which is a superuser\.');
configure($node, allow_superuser => 'on');
wait_for_run($node, 'app');
pass('a superuser runs when it is allowed');
configure($node, allow_superuser => 'off');
wait_for_state($node, 'app', "state = 'refused' AND last_result = 'raxx_detect.role is a superuser'");
$node->safe_psql('postgres', 'ALTER DATABASE app SET raxx_detect.role = runner');
$node->reload;
wait_for_run($node, 'app');
pass('a role of its own for one database');
is(() = slurp_log() =~ /refuses to run in database "app"/g, 5, 'each refusal was said once');
$node->safe_psql('postgres', 'DROP ROLE nobody');

sub slurp_log { return PostgreSQL::Test::Utils::slurp_file($node->logfile) }

# ---- running ------------------------------------------------------------------------------------------------------

hang($node, 'app');
my $activity = $node->safe_psql('postgres', <<'END');
SELECT application_name, datname, usename, state, query FROM pg_stat_activity WHERE backend_type = 'raxx_detect worker'
END
is($activity, 'raxx_detect worker|app|runner|active|SELECT r.outcome FROM raxx_detect.run_all() r', 'what a worker shows of itself');
is(state_of($node, 'app', "state || coalesce(next_run::text, ' now')"), 'running now', 'and worker_state() of it');

# A second database is run meanwhile, often enough for the first to be due again, but it is not started twice.
configure($node, role => 'runner');
enable($node, 'other');
wait_for_run($node, 'other') foreach 1 .. 3;
is(scalar(processes($node, 'worker')), scalar(() = $activity), 'a run that takes longer than the interval stays the only one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'raxx_detect worker'}), '1', 'of its database');

# One worker at a time: then the hanging one is in the way of the others, and no more.
configure($node, max_workers => 1);
$node->poll_query_until('postgres', "SELECT state = 'waiting' AND next_run < clock_timestamp() - interval '1 s' FROM raxx_detect.worker_state() WHERE database = 'other'")
  or die 'raxx_detect.max_workers was not obeyed';
pass('raxx_detect.max_workers = 1: the other database waits');
configure($node, max_workers => 2);
wait_for_run($node, 'other');

# statement_timeout, as configured for the role.
$node->safe_psql('postgres', q{ALTER ROLE runner IN DATABASE app SET statement_timeout = '200ms'});
$log_size = -s $node->logfile;
kill 'TERM', split ' ', $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'raxx_detect worker'});
wait_for_state($node, 'app', "last_result = 'ended before it was done' OR failures > 0");
ok($node->wait_for_log(qr/cannot run the rules of database "app"/, $log_size), 'SIGTERM ends a worker at once');
$node->reload;
wait_for_state($node, 'app', "state = 'backing_off' AND last_result = 'failed with SQLSTATE 57014'");
pass('statement_timeout ends a run');
$node->safe_psql('postgres', 'ALTER ROLE runner IN DATABASE app RESET statement_timeout');
unhang($node, 'app');
$node->reload;
wait_for_run($node, 'app');
ok($node->log_contains(qr/runs the rules of database "app" again/, $log_size), 'what failed works again, and it is said');

# ---- a rule that fails each time ----------------------------------------------------------------------------------

$node->safe_psql('app', <<'END');
SELECT raxx_detect.create_source_table('waitlist_signups');
INSERT INTO waitlist_signups (event_time, email, origin) SELECT now() - n * interval '1 s', format('user%s@crowd.example', n), 'https://shop.example' FROM generate_series(1, 40) n;
CREATE TABLE bad_rows (event_time timestamptz, operator text, permission text);
INSERT INTO bad_rows SELECT now(), 'operator', 'reports:read';
CREATE VIEW bad AS SELECT event_time, operator, permission FROM bad_rows WHERE 1 / (operator <> 'operator')::int > 0;
SELECT raxx_detect.bind_source('rbac_denials', 'bad');
END
wait_for_state($node, 'app', "last_result = 'error in 1 rule' AND state = 'waiting' AND failures = 0");
$node->poll_query_until('app', q{SELECT count(*) > 0 FROM raxx_detect.detection_findings WHERE rule_id = 'signup_waitlist_velocity_per_origin'})
  or die 'the other rules did not go on';
pass('a rule that fails each time is its own affair: the others find, and the worker goes on');
$node->safe_psql('app', q{SELECT raxx_detect.unbind_source('rbac_denials')});
wait_for_run($node, 'app');

# ---- a run that fails as a whole ----------------------------------------------------------------------------------

$log_size = -s $node->logfile;
my $runs_before = $node->safe_psql('other', 'SELECT runs FROM raxx_detect.heartbeat');
$node->safe_psql('app', 'REVOKE USAGE ON SCHEMA raxx_detect FROM runner');
my @delays;
foreach my $failures (1 .. 3)
{
	wait_for_state($node, 'app', "failures = $failures AND state = 'backing_off'");
	# next_run counts from the end of a run that took some milliseconds.
	push @delays, state_of($node, 'app', 'extract(epoch FROM next_run - last_run)');
	cmp_ok($delays[-1], '>=', 2**$failures / 2, "failure $failures: waits at least half of 2^$failures s");
	cmp_ok($delays[-1], '<', 2**$failures + 0.5, "failure $failures: and at most all of it");
}
isnt(scalar(grep { abs($_ - sprintf('%.0f', $_)) > 0.02 } @delays), 0, "with jitter: @delays");
is(state_of($node, 'app', 'last_result'), 'failed with SQLSTATE 42501', 'its SQLSTATE can be seen');
cmp_ok($node->safe_psql('other', 'SELECT runs FROM raxx_detect.heartbeat'), '>=', $runs_before + 3, 'the other database went on');
my $said = substr slurp_log(), $log_size;
is(() = $said =~ /raxx_detect worker 42501 ERROR:  permission denied for schema raxx_detect/g, 1, 'the error is logged once');
is(() = $said =~ /42501 LOG:  raxx_detect cannot run the rules of database "app"/g, 1, 'and what follows from it');
like($said, qr/CONTEXT:  .*raxx_detect worker in database "app"/, 'with its database');
$node->safe_psql('app', 'GRANT USAGE ON SCHEMA raxx_detect TO runner');
$node->reload;
wait_for_run($node, 'app');
is(state_of($node, 'app', 'failures'), '0', 'after a reload it is tried at once');
is(() = (substr slurp_log(), $log_size) =~ /runs the rules of database "app" again\n.*DETAIL:  3 runs in a row had failed/g, 1, 'and that is said');

# ---- reload -------------------------------------------------------------------------------------------------------

configure($node, interval => q{'1h'});
wait_for_state($node, 'app', "next_run = last_run + interval '1 h'");
pass('a longer interval');
$node->safe_psql('postgres', q{ALTER DATABASE app SET raxx_detect.interval = '2s'});
$node->reload;
wait_for_state($node, 'app', "next_run = last_run + interval '2 s'");
wait_for_state($node, 'other', "next_run = last_run + interval '1 h'");
pass('an interval of its own for one database');
configure($node, interval => q{'1s'});
wait_for_run($node, 'other');
pass('a shorter interval is obeyed at once');
$node->safe_psql('postgres', 'ALTER DATABASE app RESET raxx_detect.interval; ALTER DATABASE other SET raxx_detect.enabled = off');
$node->reload;
$node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM raxx_detect.worker_state() WHERE database = 'other')})
  or die 'other was not disabled';
pass('disabled: nothing runs, nothing is shown');
configure($node, enabled => 'on');
wait_for_state($node, $_, "state = 'no_extension'") foreach 'owned';
wait_for_run($node, 'app');
is(state_of($node, 'other', 'state'), undef, 'enabled for all but what says otherwise');
is(state_of($node, 'template1', 'state'), undef, 'and but for templates');
configure($node, enabled => 'off');
$node->poll_query_until('postgres', q{SELECT string_agg(database, ' ') = 'app' FROM raxx_detect.worker_state()})
  or die 'still enabled';
pass('and back');
# Without a reload it is noticed as well, within ten seconds.
$node->safe_psql('postgres', 'ALTER DATABASE app RESET raxx_detect.enabled');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM raxx_detect.worker_state()') or die 'app was not disabled';
pass('ALTER DATABASE takes effect without a reload');

# ---- the end ------------------------------------------------------------------------------------------------------

my $first = (processes($node, 'launcher'))[0];
kill 'TERM', $first;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'raxx_detect launcher' AND pid <> $first")
  or die 'the launcher did not come back';
pass('a launcher that somebody ends is back after a few seconds');
$log_size = -s $node->logfile;
$node->stop('fast');
unlike(substr(slurp_log(), $log_size), qr/raxx_detect cannot|FATAL: .*raxx_detect launcher/, 'the server stops calmly');
done_testing();
