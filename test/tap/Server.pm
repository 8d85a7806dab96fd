# A server of its own for each test file, and what the files share: sessions that work while others look, the memory
# of a backend, and everything a run leaves behind as text that two databases can be compared by.
package Server;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_server new_database session begin_query end_query sqlstate_of private_memory what_is_left);

# A running server; the settings are lines of postgresql.conf.
sub new_server
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf(
		'postgresql.conf',
		join("\n",
			'log_statement = none',
			'log_min_error_statement = panic',
			'log_min_messages = log',
			'restart_after_crash = on',
			'TimeZone = UTC',
			@settings));
	$node->start;
	return $node;
}

# A database with the extension.
sub new_database
{
	my ($node, $name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
	return $name;
}

# A psql that stays connected, and goes on after errors; of those it tells the SQLSTATE.
sub session
{
	my ($node, $database, %options) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0, %options);
	$session->query('\set VERBOSITY sqlstate');
	$session->{pid} = $session->query('SELECT pg_backend_pid()');
	return $session;
}

# Sends a query without waiting for its end.
sub begin_query
{
	my ($session, $query) = @_;
	$session->{stderr} = '';
	$session->query_until(qr/begun\n/,
		"\\echo begun\n$query;\n\\set state :SQLSTATE\nSELECT 'ended', :'state', clock_timestamp();\n\\echo END\n");
	return;
}

# Waits for that end: what the query returned, its SQLSTATE, and the server's time.
sub end_query
{
	my ($session) = @_;
	my $output = $session->query_until(qr/^END\n/m, '');
	$session->{stderr} = '';
	my ($result, $state, $time) = $output =~ /\A(.*)^ended\|(\w{5})\|(.*)\nEND\n\z/ms
	  or die "unexpected output of a query: $output";
	return ($result, $state, $time);
}

# Runs a query: its SQLSTATE and what it returned.
sub sqlstate_of
{
	my ($session, $query) = @_;
	begin_query($session, $query);
	my ($result, $state) = end_query($session);
	return wantarray ? ($state, $result) : $state;
}

# The memory that a process has for itself, in KB: its heap, but not the buffers that it shares.
sub private_memory
{
	my ($pid) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m;
	return $kilobytes;
}

# Findings, coverage and runs as text, without what differs between any two runs: numbers given and times of day.
sub what_is_left
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, <<'END');
SELECT 'finding', to_jsonb(f) - '{finding_id,detected_at,updated_at}'::text[] FROM raxx_detect.detection_findings f
ORDER BY f.rule_id, f.entity, f.episode;
SELECT 'coverage', to_jsonb(c) FROM raxx_detect.coverage c ORDER BY c.rule_id, c.source;
SELECT 'run', to_jsonb(r) - '{run_id,started_at,elapsed}'::text[] FROM raxx_detect.rule_runs r ORDER BY r.rule_id, r.run_id;
SELECT 'state', r.rule_id, r.state, r.state_reason FROM raxx_detect.rules r ORDER BY r.rule_id;
SELECT 'runs', h.as_of, h.runs FROM raxx_detect.heartbeat h;
SELECT 'deliveries', count(*) FROM raxx_detect.deliveries;
END
}

1;
