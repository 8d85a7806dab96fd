# What the tests of the background worker share: a server that has it, a role for its runs, and what it says of itself.
package Worker;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use Server;

our @EXPORT = qw(worker_server runner_database enable disable configure state_of wait_for_state wait_for_run processes hang unhang);

# A server with the module preloaded, and a role "runner"; the log tells SQLSTATE and the kind of process.
sub worker_server
{
	my (@settings) = @_;
	my $node = new_server('shared_preload_libraries = raxx_detect', "log_line_prefix = '%m [%p] %b %e '",
		"raxx_detect.interval = '1s'", "raxx_detect.role = runner", @settings);
	$node->safe_psql('postgres', 'CREATE ROLE runner LOGIN');
	return $node;
}

sub grant_runner
{
	my ($node, $database) = @_;
	$node->safe_psql($database, <<'END');
GRANT USAGE ON SCHEMA raxx_detect TO runner;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO runner;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO runner;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO runner;
END
	return;
}

# A database in which the runner may run the rules; its name.
sub runner_database
{
	my ($node, $name) = @_;
	new_database($node, $name);
	grant_runner($node, $name);
	return $name;
}

sub enable
{
	my ($node, @databases) = @_;
	$node->safe_psql('postgres', "ALTER DATABASE $_ SET raxx_detect.enabled = on") foreach @databases;
	$node->reload;
	return;
}

sub disable
{
	my ($node, @databases) = @_;
	$node->safe_psql('postgres', "ALTER DATABASE $_ RESET raxx_detect.enabled") foreach @databases;
	$node->reload;
	return;
}

# Changes settings of the whole server; they are known to the launcher soon.
sub configure
{
	my ($node, %settings) = @_;
	while (my ($name, $value) = each %settings)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET raxx_detect.$name = $value");
	}
	$node->reload;
	return;
}

# A column, or an expression of columns, of a database's row of worker_state(); undef when it has no row.
sub state_of
{
	my ($node, $database, $column) = @_;
	my $rows = $node->safe_psql('postgres', <<"END");
SELECT coalesce(($column)::text, '-') FROM raxx_detect.worker_state() WHERE database = '$database'
END
	return $rows eq '' ? undef : $rows;
}

sub wait_for_state
{
	my ($node, $database, $condition) = @_;
	$node->poll_query_until('postgres',
		"SELECT EXISTS (SELECT FROM raxx_detect.worker_state() WHERE database = '$database' AND ($condition))")
	  or die "waited in vain until $condition in $database: " . (state_of($node, $database, 'worker_state') // 'no row');
	return;
}

# Until a run that began later than now has ended well.
sub wait_for_run
{
	my ($node, $database) = @_;
	my $now = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	wait_for_state($node, $database, "last_run > '$now' AND state = 'waiting' AND last_result = 'ok'");
	return;
}

# The pids of a kind of process, be it "launcher" or "worker".
sub processes
{
	my ($node, $kind) = @_;
	return split ' ', $node->safe_psql('postgres',
		"SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE backend_type = 'raxx_detect $kind'");
}

# From now on a run in the database never ends by itself: reading a source takes ten minutes. Waits until one is in there.
sub hang
{
	my ($node, $database) = @_;
	$node->safe_psql($database, <<'END');
CREATE TABLE slow_rows (event_time timestamptz, operator text, permission text);
INSERT INTO slow_rows VALUES (now(), 'operator', 'reports:read');
CREATE VIEW slow AS SELECT * FROM slow_rows WHERE pg_sleep(600) IS NOT NULL;
SELECT raxx_detect.bind_source('rbac_denials', 'slow');
END
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$database' AND wait_event = 'PgSleep')")
	  or die "no run hangs in $database";
	return;
}

# Ends that. A worker that is there holds locks, and the next one comes soon: so again until it is done.
sub unhang
{
	my ($node, $database) = @_;
	wait_until("no run hangs in $database any more", sub {
		$node->psql($database, <<'END', on_error_stop => 1, stderr => \my $ignored) == 0 });
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'raxx_detect worker';
BEGIN;
SET LOCAL lock_timeout = '200ms';
SELECT raxx_detect.unbind_source('rbac_denials');
DROP VIEW slow;
DROP TABLE slow_rows;
COMMIT;
END
	return;
}

1;
