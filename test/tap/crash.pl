# A crash in the middle of a run loses nothing and doubles nothing: what was not committed is as if it had never been,
# and the next run gives what a server that was never disturbed gives.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server('restart_after_crash = on');
my @databases = map { new_database($node, $_) } 'calm', 'stormy';
# Each source is bound to a view that waits for a lock at two of its rows, one for each of the two runs to come: that is
# how a run is held in the middle of reading.
my @sources = ('rbac_denials', 'waitlist_signups', 'customer_audit_events', 'console_audit_events');
foreach my $db (@databases)
{
	load_application($node, $db);
	foreach my $lock (1 .. @sources)
	{
		my $source = $sources[ $lock - 1 ];
		$node->safe_psql($db, <<"END");
SELECT (array_agg(id ORDER BY event_time))[count(*) / 2] AS first, (array_agg(id ORDER BY event_time))[count(*) * 4 / 5] AS second
FROM $source \\gset
CREATE VIEW gated_$source AS
SELECT * FROM $source WHERE id NOT IN (:first, :second) OR pg_advisory_xact_lock_shared($lock) IS NOT NULL;
SELECT raxx_detect.bind_source('$source', 'gated_$source');
END
	}
}
my @as_of = ('2024-03-06 12:00', '2024-03-07 18:00');

sub run_all
{
	my ($db, $as_of) = @_;
	return $node->safe_psql($db, "SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM raxx_detect.run_all('$as_of')");
}

# dies_at PLACE, HOLD, KILL: a run that HOLD, an SQL command, makes wait is ended by KILL, and leaves no trace.
sub dies_at
{
	my ($place, $as_of, $hold, $kill) = @_;
	my $before = what_is_left($node, 'stormy');
	my $runner = new_session($node, 'stormy');
	my $holder = new_session($node, 'stormy');
	$holder->query("BEGIN; $hold");
	$runner->send("SELECT count(*) FROM raxx_detect.run_all('$as_of')");
	wait_until('the run waits',
		sub { $holder->query("SELECT cardinality(pg_blocking_pids($runner->{pid}))") });
	my $log_size = -s $node->logfile;
	$kill->($runner);
	$_->quit foreach $runner, $holder;
	$node->wait_for_log(qr/database system is ready to accept connections/, $log_size);
	is(what_is_left($node, 'stormy'), $before, "killed while $place, as of $as_of: nothing is left of the run");
	return;
}

sub kill_backend
{
	my ($runner) = @_;
	kill 'KILL', $runner->{pid};
	return;
}

sub kill_postmaster
{
	$node->kill9;
	# The old server's backends have to be gone first.
	wait_until('the server starts again', sub { $node->start(fail_ok => 1) });
	return;
}

foreach my $as_of (@as_of)
{
	dies_at("reading $sources[$_ - 1]", $as_of, "SELECT pg_advisory_xact_lock($_)", \&kill_backend) foreach 1 .. @sources;
	dies_at('everything was written', $as_of, 'LOCK TABLE raxx_detect.heartbeat', \&kill_backend);
	dies_at('everything was written, with the server', $as_of, 'LOCK TABLE raxx_detect.heartbeat', \&kill_postmaster);
	is(run_all($_, $as_of), 'dormant ok skipped', "run_all in the $_ database, as of $as_of") foreach @databases;
	my $undisturbed = what_is_left($node, 'calm');
	is(what_is_left($node, 'stormy'), $undisturbed, "as of $as_of: the same as on an undisturbed server");
	cmp_ok(() = $undisturbed =~ /^finding/mg, '>=', 15, "as of $as_of: there are findings");
}
done_testing();
