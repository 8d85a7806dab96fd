# The background worker and the server's own ups and downs: killed processes, a dead postmaster, a standby and its promotion,
# pg_upgrade's mode, and a server that has no room for another worker.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Worker;
use Test::More;

# Room for the launcher and one worker.
my $node = worker_server('restart_after_crash = on', 'max_worker_processes = 2', 'max_logical_replication_workers = 0',
	'wal_level = replica', 'max_wal_senders = 4', 'hot_standby = on');
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
runner_database($node, $_) foreach 'app', 'other';
my $log_size = -s $node->logfile;
enable($node, 'app', 'other');
wait_for_run($node, $_) foreach 'app', 'other';

# ---- no room ------------------------------------------------------------------------------------------------------

sub new_log { my ($from) = @_; return substr PostgreSQL::Test::Utils::slurp_file($node->logfile), $from }

hang($node, 'app');
$node->wait_for_log(qr/raxx_detect launcher 53400 LOG:  raxx_detect cannot start a worker: the server's background workers are all in use\n.*DETAIL: .*\n.*HINT:  Raise max_worker_processes\./, $log_size);
my ($launcher) = processes($node, 'launcher');
# It neither tries again and again nor gives up.
my $ticks = cpu_ticks($launcher);
$node->poll_query_until('postgres', q{SELECT clock_timestamp() > next_run + interval '3 s' FROM raxx_detect.worker_state() WHERE database = 'other'});
cmp_ok(cpu_ticks($launcher) - $ticks, '<=', 5, 'no room: the launcher waits, rather than to try at once again');
unhang($node, 'app');
wait_for_run($node, $_) foreach 'app', 'other';
is(() = new_log($log_size) =~ /cannot start a worker/g, 1, 'said once, though there was room at times');
disable($node, 'app', 'other');
my $disabled_at = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->poll_query_until('postgres', "SELECT clock_timestamp() > '$disabled_at'::timestamptz + interval '11 s'");
$node->reload;
$node->wait_for_log(qr/raxx_detect can start workers again/, $log_size);
pass('and so is its end');
enable($node, 'app');

# Hundredths of a second of processor time.
sub cpu_ticks
{
	my ($pid) = @_;
	my @fields = split ' ', PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat") =~ s/.*\)//sr;
	return $fields[11] + $fields[12];
}

# ---- killed -------------------------------------------------------------------------------------------------------

# The launcher alone goes and comes; a run that is there is left in peace, and stays the only one of its database.
hang($node, 'app');
my ($worker) = processes($node, 'worker');
kill 'TERM', $launcher;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'raxx_detect launcher' AND pid <> $launcher")
  or die 'the launcher did not come back';
is("@{[ processes($node, 'worker') ]}", $worker, 'a new launcher takes over the run that is there');
is(state_of($node, 'app', 'state'), 'running', 'and knows of it');
$node->poll_query_until('postgres', q{SELECT last_run < clock_timestamp() - interval '2 s' FROM raxx_detect.worker_state() WHERE database = 'app'});
is("@{[ processes($node, 'worker') ]}", $worker, 'and starts no second one');

# SIGKILL of any process makes the server begin anew, with nothing of the old states.
foreach my $victim ('worker', 'launcher')
{
	wait_until("a $victim is there", sub { processes($node, $victim) });
	$log_size = -s $node->logfile;
	kill 'KILL', (processes($node, $victim))[0];
	$node->wait_for_log(qr/database system is ready to accept connections/, $log_size);
	$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM raxx_detect.worker_state() WHERE database = 'app' AND state = 'running' AND failures = 0)})
	  or die 'no run after the crash';
	pass("SIGKILL of the $victim: launcher and runs are back");
}
unhang($node, 'app');
enable($node, 'other');
wait_for_run($node, $_) foreach 'app', 'other';
pass('in all databases');

# The postmaster dies: nothing survives it.
hang($node, 'app');
my @orphans = (processes($node, 'launcher'), processes($node, 'worker'));
is(scalar @orphans, 2, 'a launcher and a run that waits');
$node->kill9;
wait_until('they have ended', sub { !grep { kill 0, $_ } @orphans });
pass('when the postmaster dies, the launcher and a run that waits end');
wait_until('the server starts again', sub { $node->start(fail_ok => 1) });
unhang($node, 'app');
wait_for_run($node, 'app');

# ---- standby and promotion ----------------------------------------------------------------------------------------

$node->set_replication_conf;
$node->reload;
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'raxx_detect%'}), '0', 'a standby has no launcher');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM raxx_detect.worker_state()'), '0', 'and says that nothing runs');
$standby->promote;
wait_for_run($standby, 'app');
pass('it runs when it is promoted');
$standby->stop('fast');

# ---- pg_upgrade ---------------------------------------------------------------------------------------------------

$node->stop('fast');
$log_size = -s $node->logfile;
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start');
$node->_update_pid(1);
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'raxx_detect%'}), '0', 'in the mode of pg_upgrade there is no launcher');
is($node->safe_psql('postgres', 'SELECT count(*) FROM raxx_detect.worker_state()'), '0', 'and nothing runs');
$node->stop('fast');
unlike(new_log($log_size), qr/raxx_detect (launcher|worker|survey)/, 'nor did anything');
done_testing();
