# How far a verification is, seen from another connection while it runs, by one process and by several; and nothing of it is
# left when it has ended, or was cancelled.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use Server;
use Test::More;

my $node = new_chain_server('autovacuum = off', 'max_worker_processes = 8', 'max_parallel_workers = 4');
my $db = new_chain_database($node, 'app');
$node->safe_psql($db, q{INSERT INTO customer_audit_events (event_time, operator) SELECT now(), 'operator ' || n FROM generate_series(1, 100000) n;
	CALL raxx_detect.chain_seal_backlog('customer_audit_events')});
$node->safe_psql($db, 'VACUUM ANALYZE customer_audit_events');
my ($session, $other) = map { new_session($node, $db) } 1, 2;
my $progress = 'FROM raxx_detect.chain_progress';

# The first row of progress of which a condition is true; dies if there is none for long.
sub seen
{
	my ($what, $condition) = @_;
	my $row = '';
	wait_until($what, sub { $row = $other->query("SELECT pid, relation, rows_total, rows_per_second > 0, remaining > '0' AND remaining < '1 hour', started_at BETWEEN now() - interval '1 hour' AND clock_timestamp()
		$progress WHERE $condition"); return $row ne ''; });
	return $row;
}

my $workers = 'EXISTS (SELECT FROM raxx_detect.progress() w WHERE w.leader = chain_progress.pid AND w.pid <> w.leader AND w.rows_done > 0)';
my $between = 'rows_done > 0 AND rows_done < rows_total';

is($other->query("SELECT count(*) $progress"), 0, 'nobody verifies');
foreach my $case ([ 'by one process', 0, "$between AND NOT $workers" ], [ 'by several', 2, "$between AND $workers" ])
{
	my ($how, $number, $condition) = @$case;
	$session->query("SET max_parallel_workers_per_gather = $number; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0");
	# Again and again, until it is cancelled.
	$session->send("DO \$\$ BEGIN LOOP PERFORM FROM raxx_detect.verify_chain('customer_audit_events', 'full'); END LOOP; END \$\$");
	is(seen("it is under way, $how", $condition), "$session->{pid}|customer_audit_events|100000|t|t|t", "it is under way, $how");
	$other->query("SELECT pg_cancel_backend($session->{pid})");
	is(($session->receive)[0], '57014', 'it is cancelled');
	is($other->query("SELECT count(*) FROM raxx_detect.progress()"), 0, 'and nothing of it is left');
}

# Of a part of the chain, the total is that part.
$node->safe_psql($db, 'UPDATE raxx_detect.chain_heads SET verified_seq = 50002');
$session->send(q{DO $$ BEGIN LOOP PERFORM FROM raxx_detect.verify_chain('customer_audit_events'); END LOOP; END $$});
is(seen('a part is under way', $between), "$session->{pid}|customer_audit_events|50000|t|t|t", 'what is new is counted by itself');
$other->query("SELECT pg_cancel_backend($session->{pid})");
$session->receive;

is($session->query(q{SELECT kind FROM raxx_detect.verify_chain('customer_audit_events', 'full')}), 'intact', 'a verification that ends');
is($session->query("SELECT count(*) $progress"), 0, 'leaves nothing either');

$_->quit foreach $session, $other;
done_testing();
