# A run that is cut short, at whichever point and however, leaves nothing: what was not committed is as if it had never
# been, and the next run leaves what a server that was never disturbed has. CrashMatrix.pm says what is tested; by
# default every eleventh case, with RAXX_CRASH_MATRIX=file all of them, written into that file as a page.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CrashMatrix;
use Server;
use PostgreSQL::Test::Utils 'append_to_file';
use Test::More;

# A standby that never comes lets a session that waits for it be caught between its commit and its answer.
my $node = new_server(
	'restart_after_crash = on',
	'autovacuum = off',
	'wal_level = replica',
	'max_wal_senders = 1',
	'synchronous_commit = local',
	"synchronous_standby_names = 'nobody'",
	'shared_preload_libraries = raxx_detect',
	'raxx_detect.role = raxx_runner',
	'raxx_detect.interval = 1s');
my $role = 'raxx_runner';
$node->safe_psql('postgres', "CREATE ROLE $role LOGIN");

# ---- undisturbed ---------------------------------------------------------------------------------------------------

# The call of a caller, for a rule where it is for one, as of a time.
sub expression
{
	my ($caller, $rule, $as_of) = @_;
	return $caller eq 'run' ? "raxx_detect.run('$rule', '$as_of')" : "raxx_detect.run_all('$as_of')";
}
my %before;  # the database before each run, with its rows there
my $base = new_database($node, 'base');
load_fortnight($node, $base);
$node->safe_psql($base, <<"END");
GRANT SELECT ON ALL TABLES IN SCHEMA public TO $role;
GRANT USAGE ON SCHEMA raxx_detect TO $role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO $role;
CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN CASE TG_OP WHEN ''DELETE'' THEN OLD ELSE NEW END; END';
END

# Not by WAL: in a copy made so, a crash before the next checkpoint sets sequences back behind what has been committed.
sub copy_database
{
	my ($from, $to) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $to TEMPLATE $from STRATEGY file_copy");
	return $to;
}

sub calls
{
	my ($db, @expressions) = @_;
	my $session = new_session($node, $db, $role);
	$session->query("SELECT count(*) FROM $_") foreach @expressions;
	$session->quit;
	return;
}

# What so many calls leave, one after the other, in a copy of the database before a run.
my %undisturbed;

sub undisturbed
{
	my ($run, $expression, $times) = @_;
	$undisturbed{$run}{$expression}[$times] //= do
	{
		my $db = copy_database($before{$run}, 'undisturbed');
		calls($db, ($expression) x $times);
		my $left = what_is_left($node, $db);
		$node->safe_psql('postgres', "DROP DATABASE $db");
		$left;
	};
	return $undisturbed{$run}{$expression}[$times];
}

foreach my $run (@CrashMatrix::runs)
{
	my $as_of = $CrashMatrix::as_of{$run};
	my $expression = expression('run_all', undef, $as_of);
	$node->safe_psql($base, "UPDATE clock SET moment = '$as_of'");
	$before{$run} = copy_database($base, "before_$run");
	calls($base, $expression);
	my $left = $undisturbed{$run}{$expression}[1] = what_is_left($node, $base);
	cmp_ok(() = $left =~ /^detection_findings /mg, '>=', 20, "the $run run: there are findings");
	cmp_ok(() = $left =~ /^baseline_days /mg, '>=', 50, "the $run run: there are baselines");
}

# ---- points ----------------------------------------------------------------------------------------------------------

# The SQL commands that make a run wait at a point, and hold what it waits for.
sub trap
{
	my ($point, $run) = @_;
	my @commands = ('SELECT pg_advisory_lock(1)');
	if ($point->{gate})
	{
		my $from = { first => '-infinity', following => $CrashMatrix::as_of{first}, downtime => $CrashMatrix::as_of{following} }->{$run};
		unshift @commands, "UPDATE clock SET gated = '$point->{gate}', gate = (SELECT (array_agg(id ORDER BY event_time))[1 + count(*) / 2]
			FROM $point->{gate} WHERE event_time > '$from')";
	}
	elsif ($point->{on})
	{
		my $row = $point->{on} =~ /DELETE/ ? 'OLD' : 'NEW';
		unshift @commands, 'CREATE ' . ($point->{deferred} ? 'CONSTRAINT ' : '') . "TRIGGER trap $point->{on} " .
		  ($point->{deferred} ? 'DEFERRABLE INITIALLY DEFERRED ' : '') . 'FOR EACH ROW ' .
		  ($point->{rule} ? "WHEN ($row.rule_id = '$point->{rule}') " : '') . 'EXECUTE FUNCTION wait_here()';
	}
	return join ';', @commands;
}

# ---- what happens ------------------------------------------------------------------------------------------------------

sub wait_for_restart
{
	my ($log_size) = @_;
	$node->wait_for_log(qr/database system is ready to accept connections/, $log_size);
	return;
}

# The server's processes other than its postmaster. Any other process may end while it is looked at.
sub children
{
	my ($postmaster) = @_;
	my @pids;
	foreach my $pid (map { m{^/proc/(\d+)$} ? $1 : () } glob '/proc/[0-9]*')
	{
		open(my $stat, '<', "/proc/$pid/stat") or next;
		my $line = <$stat> // '';
		push @pids, $pid if $line =~ /^\d+ \(.*\) \S $postmaster /;
	}
	return @pids;
}

sub start_again
{
	# The old server's backends have to be gone first.
	wait_until('the server starts again', sub { $node->start(fail_ok => 1) });
	return;
}

my %happens = (
	'cancelled' => sub { my ($pid, $control) = @_; $control->query("SELECT pg_cancel_backend($pid)"); return },
	'terminated' => sub { my ($pid, $control) = @_; $control->query("SELECT pg_terminate_backend($pid)"); return },
	'backend killed' => sub {
		my ($pid) = @_;
		my $log_size = -s $node->logfile;
		kill 'KILL', $pid;
		wait_for_restart($log_size);
		return;
	},
	'postmaster killed' => sub { $node->kill9; start_again(); return },
	'all killed' => sub {
		my @pids = children($node->{_pid});
		kill 'KILL', $node->{_pid}, @pids;
		$node->kill9;
		start_again();
		return;
	});

# ---- who runs --------------------------------------------------------------------------------------------------------

# The worker runs as of its own time; here that is another one.
sub worker_begins
{
	my ($db, $as_of, $control) = @_;
	$control->query(q{SELECT replace(pg_get_functiondef('raxx_detect.run_all'::regproc), 'DEFAULT now()', $$DEFAULT timestamptz '} . $as_of . "'\$\$)\n\\gexec");
	enable_worker($db, 'on');
	my $pid;
	wait_until('a worker comes', sub {
		$pid = $control->query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'raxx_detect worker' AND datname = '$db'") });
	return $pid;
}

sub enable_worker
{
	my ($db, $enabled) = @_;
	$node->safe_psql('postgres', "ALTER DATABASE $db SET raxx_detect.enabled = $enabled");
	$node->reload;
	return;
}

# The worker runs again, once or, before it is stopped, more often; how often.
sub worker_runs
{
	my ($db) = @_;
	my $question = 'SELECT runs FROM raxx_detect.heartbeat';
	my $runs = $node->safe_psql($db, $question);
	enable_worker($db, 'on');
	wait_until('the worker has run', sub { $node->safe_psql($db, $question) > $runs });
	enable_worker($db, 'off');
	wait_until('no worker runs', sub {
		$node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'raxx_detect worker'") == 0 });
	return $node->safe_psql($db, $question) - $runs;
}

# ---- cells -----------------------------------------------------------------------------------------------------------

# cell CELL: tests one; true if all was as it should be.
sub cell
{
	my ($cell) = @_;
	my ($point, $run, $kind) = @$cell{ 'point', 'run', 'kind' };
	my $as_of = $CrashMatrix::as_of{$run};
	my $expression = expression($cell->{caller}, $point->{rule}, $as_of);
	my $worker = $cell->{caller} eq 'worker';
	my $kept = $point->{commit} ? 1 : 0;  # runs that remain
	my $name = "$kind when $point->{point} ($cell->{caller}, $run run)";
	my $db = copy_database($before{$run}, 'cell');

	my $control = new_session($node, $db);
	$control->query(trap($point, $run));
	my ($runner, $pid);
	if ($worker)
	{
		$node->safe_psql('postgres', "ALTER DATABASE $db SET synchronous_commit = on") if $point->{commit};
		$pid = worker_begins($db, $as_of, $control);
	}
	else
	{
		$runner = new_session($node, $db, $role);
		$pid = $runner->{pid};
		$runner->query('SET synchronous_commit = on') if $point->{commit};
		$runner->send("SELECT count(*) FROM $expression");
	}
	my $waits = $point->{commit} ? "wait_event = 'SyncRep'" : "wait_event_type = 'Lock' AND wait_event = 'advisory'";
	wait_until("a run waits where $point->{point}", sub { $control->query("SELECT $waits FROM pg_stat_activity WHERE pid = $pid") eq 't' });
	# No worker comes back before it is looked at what is left.
	$node->safe_psql('postgres', "ALTER DATABASE $db RESET ALL") if $worker;
	$happens{$kind}->($pid, $control);
	if ($runner && $kind eq 'cancelled')
	{
		is(($runner->receive)[0], $kept ? '00000' : '57014', "$name: its caller is told");
	}
	else
	{
		wait_until('the process is gone', sub { !kill 0, $pid });
	}
	$_->quit foreach grep { defined } $runner, $control;

	my $same = sub {
		my ($times) = @_;
		my ($got, $expected) = (what_is_left($node, $db), undisturbed($run, $expression, $times));
		s/^heartbeat .*\n//m foreach $worker ? ($got, $expected) : ();  # which counts how often it came
		return differences($got, $expected);
	};
	my $good = is($same->($kept), '', "$name: " . ($kept ? 'all of it is there' : 'nothing is left of it'));
	my $times = 1;
	$worker ? $times = worker_runs($db) : calls($db, $expression);
	$good &= is($same->($kept + $times > 1 ? 2 : 1), '', "$name: then it is as if undisturbed");
	$node->safe_psql('postgres', "DROP DATABASE $db");
	return $good;
}

my $page = $ENV{RAXX_CRASH_MATRIX};
my @cells = CrashMatrix::cells();
my @chosen = $page ? @cells : @cells[ grep { $_ % 11 == 0 } 0 .. $#cells ];
foreach my $cell (@chosen)
{
	$cell->{result} = !cell($cell) ? '**FAILED**' : $cell->{point}{commit} ? 'kept' : 'gone';
}
append_to_file($page, CrashMatrix::page(@cells)) if $page;
done_testing();
