# Somebody deletes a chain's row, and what rule 7 remembers of it: what was kept outside the database still tells, and so do rows
# that are sealed. What people end themselves, and chains of other databases, are nothing of that kind. Each case is undone.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_chain_server("raxx_detect.checkpoint_command = 'cat >> outside'", "raxx_detect.checkpoint_source_command = 'cat outside'");
my $outside = $node->data_dir . '/outside';
append_to_file($outside, '');
my $rule = 'data_audit_log_hash_chain_break';
my $table = 'customer_audit_events';
foreach my $name ('app', 'other')
{
	my $db = new_chain_database($node, $name);
	$node->safe_psql($db, qq{UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 microsecond"}' WHERE rule_id = '$rule';
		INSERT INTO $table (event_time, operator) SELECT now(), 'me' FROM generate_series(1, 10)});
	$node->safe_psql($db, "SELECT FROM raxx_detect.run('$rule')") foreach 1 .. 3;
}
my $session = new_session($node, 'app');
my $chain = $session->query('SELECT chain_id FROM raxx_detect.chains');
is(scalar(grep { /^raxx-checkpoint 1 \Q$chain\E / } split /\n/, slurp_file($outside)), 2, 'checkpoints of the chain are outside');
is(scalar(() = slurp_file($outside) =~ /\n/g), 4, 'and as many of another database');

my $gone = "DELETE FROM raxx_detect.chains; DELETE FROM raxx_detect.coverage WHERE rule_id = '$rule'";
my $no_columns = "ALTER TABLE $table DROP raxx_seq, DROP raxx_prev, DROP raxx_mac";
my $no_rows = "DELETE FROM $table";
my $found = "SELECT concat_ws(' ', source, evidence ->> 'kind', evidence ->> 'chain', verdict) FROM raxx_detect.detection_findings WHERE rule_id = '$rule' ORDER BY finding_id";
my $by_rows = "$table chain missing adversarial";
my $from_outside = "$table chain missing $chain adversarial";

# after NAME, SQL, EXPECTED: what two runs find after the SQL, and after people have closed that.
sub after
{
	my ($name, $sql, $expected) = @_;
	$session->query("BEGIN; $sql");
	$session->query("SELECT FROM raxx_detect.run('$rule')") foreach 1 .. 2;
	is($session->query($found), $expected, $name);
	$session->query("UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive'");
	$session->query("SELECT FROM raxx_detect.run('$rule')");
	is($session->query($found), $expected, "$name: nothing more");
	$session->query('ROLLBACK');
	return;
}

after('nothing has happened', 'SELECT', '');
after('the row and the coverage are gone', $gone, $by_rows);
after('the row, the coverage and the columns', "$gone; $no_columns", $from_outside);
after('the row, the coverage and all rows', "$gone; $no_rows", $from_outside);
after('a new chain in its place', "$gone; SELECT raxx_detect.chain_attach('$table')", $from_outside);
after('the row alone', 'DELETE FROM raxx_detect.chains', $by_rows);
after('people have ended it', "SELECT raxx_detect.chain_detach('$table', 'the test is over')", '');
after('people have ended it, and dropped its columns', "SELECT raxx_detect.chain_detach('$table', 'the test is over'); $no_columns", '');
my $end = "UPDATE raxx_detect.chains SET detached_at = now(); DELETE FROM raxx_detect.coverage WHERE rule_id = '$rule'";
after('it is said to have ended', $end, $from_outside);
after('it is said to have ended, by a record that does not hold', qq{$end; INSERT INTO raxx_detect.chain_records (chain_id, seq, payload, prev, mac)
	SELECT chain_id, 12, '{"kind": "detach", "reason": "x"}', mac, sha256('x') FROM raxx_detect.chain_heads}, $from_outside);

# What is outside may come from anybody.
my @lines = split /\n/, slurp_file($outside);
my $tag = substr $chain, 0, 8;
append_to_file($outside, join "\n", 'nothing', "raxx-checkpoint 1 $tag-0000-4000-8000-000000000000 1 1 x", ($lines[0] =~ s/ \Q$chain\E / $tag-0000-4000-8000-000000000000 /r), '');
after('lines that nobody has signed', 'SELECT', '');
after('and no chain at all', "SELECT raxx_detect.chain_detach('$table', 'the test is over')", '');

# Two sources: each has its own.
$session->query(q{SELECT raxx_detect.create_source_table('console_audit_events'); SELECT raxx_detect.chain_attach('console_audit_events')});
$session->query("SELECT FROM raxx_detect.run('$rule')") foreach 1 .. 3;
is($session->query($found), '', 'a second chain');
my $second = $session->query(q{SELECT chain_id FROM raxx_detect.chains WHERE relation = 'console_audit_events'::regclass});
after('the second one is gone', "DELETE FROM raxx_detect.chains WHERE chain_id = '$second'; DELETE FROM raxx_detect.coverage WHERE source = 'console_audit_events'", "console_audit_events chain missing $second adversarial");
after('both rows are gone', 'DELETE FROM raxx_detect.chains', "$by_rows\nconsole_audit_events chain missing adversarial");

# The background worker calls run_all, which leaves out what is quiet.
$session->query("SELECT raxx_detect.chain_detach('console_audit_events', 'the test is over')");
$session->query('SELECT count(*) FROM raxx_detect.run_all()') foreach 1 .. 3;
$session->query('BEGIN; ' . $gone =~ s/chains;/chains WHERE detached_at IS NULL;/r . "; $no_columns; SELECT count(*) FROM raxx_detect.run_all()");
is($session->query($found), $from_outside, 'run_all finds it, too');
$session->query('ROLLBACK');

# Also where somebody has made the run before look as if there were no news: once in an hour.
$session->query('BEGIN; ' . $gone =~ s/chains;/chains WHERE detached_at IS NULL;/r . "; $no_columns; UPDATE raxx_detect.rules SET state = 'dormant' WHERE rule_id = '$rule';
	UPDATE raxx_detect.heartbeat SET configuration = raxx_detect.configuration(), last_run_at = now(); SELECT count(*) FROM raxx_detect.run_all()");
is($session->query($found), '', 'a run that believes that it has no news finds nothing');
$session->query("UPDATE raxx_detect.heartbeat SET last_run_at = last_run_at - interval '1 hour'; SELECT count(*) FROM raxx_detect.run_all()");
is($session->query($found), $from_outside, 'but the first of the next hour does');
$session->query('ROLLBACK');

# The command fails while there is no chain.
unlink $outside;
$session->query("BEGIN; SELECT raxx_detect.chain_detach('$table', 'the test is over')");
like($session->query("SELECT outcome, detail FROM raxx_detect.run('$rule')"), qr/^error\|P3: .*; whether a chain is gone cannot be told: 38000: /, 'a command that fails is told of');
$session->query('ROLLBACK');

$session->quit;
done_testing();
