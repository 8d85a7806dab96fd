# The rights that docs/roles.sql and docs/operations.md grant to whoever runs the rules are enough for rule 7: sealing, verifying, checkpoints there and back, findings,
# and chains that are gone; with the chain in the table, and beside it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $page = slurp_file("$FindBin::RealBin/../../docs/operations.md");
my $for_rules = slurp_file("$FindBin::RealBin/../../docs/roles.sql");
my ($for_chains) = $page =~ /^### Rights\n.*?^```sql\n(.*?)^```/ms or BAIL_OUT('the page has no rights for chains');
$for_chains =~ s/^GRANT [^;]* ON (?:SCHEMA )?app\b.*\n//mg;

my $node = new_chain_server("raxx_detect.checkpoint_command = 'cat >> outside'", "raxx_detect.checkpoint_source_command = 'cat outside'");
append_to_file($node->data_dir . '/outside', '');
my $rule = 'data_audit_log_hash_chain_break';
my %sources = (customer_audit_events => 'false', console_audit_events => 'true');
my $db = new_database($node, 'app');
my $owner = new_session($node, $db);
$owner->query("$for_rules; $for_chains");
foreach my $source (sort keys %sources)
{
	$owner->query("SELECT raxx_detect.create_source_table('$source'); SELECT raxx_detect.chain_attach('$source', beside => $sources{$source});
		INSERT INTO $source (event_time, operator) SELECT now(), 'me' FROM generate_series(1, 50)");
}
my $beside = $owner->query('SELECT beside FROM raxx_detect.chains WHERE beside IS NOT NULL');
$owner->query(qq{GRANT SELECT, UPDATE (raxx_seq, raxx_prev, raxx_mac) ON customer_audit_events TO raxx_runner; GRANT SELECT ON console_audit_events TO raxx_runner;
	GRANT SELECT, INSERT ON $beside TO raxx_runner;
	UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 microsecond"}' WHERE rule_id = '$rule'});
my $runner = new_session($node, $db, 'raxx_runner');

sub run { return $runner->query("SELECT concat_ws(' ', outcome, findings_new, detail) FROM raxx_detect.run('$rule')"); }

is(run(), 'ok 0', 'a run') for 1 .. 3;
is($runner->query("SELECT string_agg(v.kind || v.seq_to, ' ') FROM raxx_detect.chains c CROSS JOIN LATERAL raxx_detect.verify_chain(c.relation, 'full') v"), 'intact51 intact51', 'which seals all rows of both');
is(scalar(() = slurp_file($node->data_dir . '/outside') =~ /\n/g), 4, 'and has checkpoints kept outside');
foreach my $source (sort keys %sources)
{
	$owner->query("UPDATE $source SET operator = 'nobody' WHERE id = 5; UPDATE raxx_detect.chain_heads SET pass_seq = 0, sliced_at = NULL");
	is(run(), 'ok 1', "$source: what is modified is found");
	$owner->query("ALTER TABLE $source ADD COLUMN note text; INSERT INTO $source (event_time) VALUES (now()), (now()); DELETE FROM $source WHERE id = 7; UPDATE raxx_detect.chain_heads SET pass_seq = 0, sliced_at = NULL");
	is(run(), 'ok 1', "$source: and what is deleted, while a manifest is sealed");
}
$owner->query("DELETE FROM raxx_detect.chains WHERE relation = 'console_audit_events'::regclass; DELETE FROM raxx_detect.coverage WHERE rule_id = '$rule'");
like(run(), qr/^ok 1 console_audit_events has no hash chain/, 'that a chain is gone is found while there is another one');
$owner->query('DELETE FROM raxx_detect.chains');
$owner->query("DELETE FROM raxx_detect.coverage WHERE rule_id = '$rule'");
like(run(), qr/^dormant 1 P3/, 'and that the last one is gone');

$_->quit foreach $owner, $runner;
done_testing();
