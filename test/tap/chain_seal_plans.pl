# Sessions that seal remember how. What another session changes (the key, the columns), and what is rolled back, is seen all the same: every
# row is sealed as it has to be, and the chain is intact.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use Server;
use Test::More;

my $node = new_chain_server();
my $db = new_chain_database($node, 'app');
my ($writer, $other) = map { new_session($node, $db) } 1, 2;
$other->query(q{CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text, note text); SELECT raxx_detect.chain_attach('log', mode => 'commit', key_id => 'k1')});

my $remembers = q{SELECT raxx_detect.kept_chain_plan(c.chain_id, raxx_detect.sealing_basis(c)) IS NOT NULL FROM raxx_detect.chains c WHERE c.relation = 'log'::regclass};
my $breaks = q{SELECT string_agg(concat_ws(' ', kind, seq_from, seq_to), ', ') FROM raxx_detect.verify_chain('log', 'full')};
my $insert = q{INSERT INTO log (who) VALUES ('me')};

# steps NAME, RECORDS, SQL...: after each statement of the other session the writer writes; records is how many the chain has then.
sub steps
{
	my ($name, $records, @sql) = @_;
	foreach (@sql)
	{
		$other->query($_);
		$writer->query($insert) for 1 .. 2;
	}
	is($writer->query("SELECT count(*) FROM log WHERE raxx_seq IS NULL") . ' unsealed', '0 unsealed', "$name: every row is sealed");
	is($writer->query(q{SELECT count(*) FROM raxx_detect.chain_records JOIN raxx_detect.chains USING (chain_id) WHERE relation = 'log'::regclass}), $records, "$name: with as many records");
	like($writer->query($breaks), qr/^intact 0 \d+$/, "$name: intact");
	is($writer->query($remembers), 't', "$name: the session remembers how");
	return;
}

steps('nothing', 2, 'SELECT');
is($other->query($remembers), 'f', 'another session does not');
steps('a key', 3, q{SELECT raxx_detect.chain_rotate_key('log', 'k2')});
steps('a column', 4, q{ALTER TABLE log ADD COLUMN more text DEFAULT 'x'});
steps('a column is renamed', 5, 'ALTER TABLE log RENAME note TO remark');
steps('a column and a key', 7, q{ALTER TABLE log ADD COLUMN number int; SELECT raxx_detect.chain_rotate_key('log', 'k1')});
steps('a type of the same kind', 7, 'ALTER TABLE log ALTER number TYPE bigint');
steps('what is rolled back', 7, q{BEGIN; SELECT raxx_detect.chain_rotate_key('log', 'k2'); ALTER TABLE log ADD COLUMN never text; ROLLBACK});

# Of the writer itself.
$writer->query("BEGIN; SELECT raxx_detect.chain_rotate_key('log', 'k2'); $insert; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK");
steps('the session\'s own change is rolled back, and another record has its number', 8, q{SELECT raxx_detect.chain_revoke_key('log', 'k2', 'leaked')});
$writer->query("BEGIN; SAVEPOINT a; ALTER TABLE log ADD COLUMN never text; $insert; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO a; $insert; COMMIT");
steps('and to a savepoint', 8, q{SELECT});
steps('and then the same by another', 9, q{SELECT raxx_detect.chain_rotate_key('log', 'k2')});
steps('another name', 9, 'ALTER TABLE log RENAME TO protocol; ALTER TABLE protocol RENAME TO log');
steps('a new chain', 2, q{SELECT raxx_detect.chain_detach('log', 'for a new one'); DELETE FROM raxx_detect.chains WHERE detached_at IS NOT NULL; SELECT raxx_detect.chain_attach('log', mode => 'commit')});

# Records that somebody has tampered with are not remembered as the truth.
$other->query(q{UPDATE raxx_detect.chain_records SET payload = replace(payload, '"who"', '"why"') WHERE seq = 1 AND chain_id = (SELECT chain_id FROM raxx_detect.chains WHERE relation = 'log'::regclass)});
my $third = new_session($node, $db);
$third->query($insert);
is($third->query($remembers), 'f', 'a session that finds tampered records remembers nothing of them');
is($third->query($breaks), 'schema tampered 1 1', 'and seals by what they were');

$_->quit foreach $writer, $other, $third;
done_testing();
