# A break that is seen at each pass is one finding, whatever people say of it; but who tampers with the same entries again is found
# again, in the open finding, or in a new one if it was closed.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use Server;
use Test::More;

my $node = new_chain_server();
my $db = new_chain_database($node, 'app');
my $rule = 'data_audit_log_hash_chain_break';
my $table = 'customer_audit_events';
$node->safe_psql($db, <<"SQL");
UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 microsecond"}' WHERE rule_id = '$rule';
INSERT INTO $table (event_time, operator, action) SELECT now(), 'me', 'action ' || n FROM generate_series(1, 500) n;
SELECT FROM raxx_detect.run('$rule');
CREATE TABLE kept AS SELECT * FROM $table;
SQL
my $session = new_session($node, $db);
$session->query('SET session_replication_role = replica');

# What a pass over the whole chain finds: finding, kind and entries of what is new; + of what an open finding tells, too.
my %occurrences;
sub found_by_a_pass
{
	$session->query("UPDATE raxx_detect.chain_heads SET pass_seq = 0, sliced_at = NULL; SELECT FROM raxx_detect.run('$rule')");
	my @news;
	foreach my $line (split /\n/, $session->query("SELECT concat_ws('|', finding_id, occurrences, concat_ws(' ', evidence ->> 'kind', evidence ->> 'seq_from', evidence ->> 'seq_to')) FROM raxx_detect.detection_findings ORDER BY 1"))
	{
		my ($id, $number, $what) = split /\|/, $line;
		push @news, (exists $occurrences{$id} ? '+ ' : '') . $what if $number != ($occurrences{$id} // 0);
		$occurrences{$id} = $number;
	}
	my $outcome = $session->query("SELECT outcome || coalesce(' ' || detail, '') FROM raxx_detect.run('$rule')");
	push @news, $outcome if $outcome ne 'ok';
	return join ', ', @news;
}

sub close_all { return $session->query("UPDATE raxx_detect.detection_findings SET triage = 'closed', disposition = 'true_positive'"); }
sub set { my ($value, $seqs) = @_; return $session->query("UPDATE $table SET action = '$value' WHERE raxx_seq IN ($seqs)"); }
sub restore { return $session->query("UPDATE $table t SET action = k.action, raxx_seq = k.raxx_seq, raxx_prev = k.raxx_prev, raxx_mac = k.raxx_mac FROM kept k WHERE t.id = k.id;
	INSERT INTO $table OVERRIDING SYSTEM VALUE SELECT * FROM kept k WHERE k.id NOT IN (SELECT id FROM $table)"); }

is(found_by_a_pass(), '', 'nothing is wrong');
set('a', 5);
is(found_by_a_pass(), 'content modified 5 5', 'a row is modified');
is(found_by_a_pass(), '', 'which is no news') for 1 .. 2;
close_all();
is(found_by_a_pass(), '', 'nor when the finding is closed');
restore();
is(found_by_a_pass(), '', 'the row is what it was again');
set('b', 5);
is(found_by_a_pass(), 'content modified 5 5', 'it is modified otherwise');
is($session->query("SELECT string_agg(entity, '; ' ORDER BY finding_id) FROM raxx_detect.detection_findings"),
	"$table: content modified at entry 5; $table: content modified at entry 5, after finding 1", 'which is another finding');
is(found_by_a_pass(), '', 'and then no news');
set('c', 5);
is(found_by_a_pass(), '+ content modified 5 5', 'and otherwise once more, while the finding is open');
like($session->query('SELECT summary FROM raxx_detect.detection_findings ORDER BY finding_id DESC LIMIT 1'), qr/; and changed, again, since it was found/, 'which it tells');
is(found_by_a_pass(), '', 'and then no news');
$session->query("UPDATE $table SET raxx_mac = sha256('x') WHERE raxx_seq = 5");
is(found_by_a_pass(), '+ content modified 5 5', 'the same row, with another MAC');
close_all();
$session->query("UPDATE $table SET raxx_prev = NULL WHERE raxx_seq = 5");
is(found_by_a_pass(), 'content modified 5 5', 'and without prev');
restore();

# What does not change the row changes nothing.
set('d', 20);
is(found_by_a_pass(), 'content modified 20 20', 'another row');
$session->query("ALTER TABLE $table ADD COLUMN note text DEFAULT 'none'; ALTER TABLE $table ALTER action TYPE varchar(100); ALTER TABLE $table RENAME operator TO who");
$session->query(q{SELECT raxx_detect.bind_source('customer_audit_events', 'customer_audit_events', '{"operator": "who"}')});
is(found_by_a_pass(), '', 'columns are added and renamed, which is no news');
$session->query("INSERT INTO $table (event_time, who) VALUES (now(), 'me')");
is(found_by_a_pass(), '', 'nor that the chain goes on');
close_all();

# A stretch, of which the finding remembers the first hundred rows.
$session->query("UPDATE $table SET action = 'e' WHERE raxx_seq BETWEEN 100 AND 300");
is(found_by_a_pass(), 'content modified 100 300', 'a stretch is modified');
close_all();
is(found_by_a_pass(), '', 'once');
set('f', 150);
is(found_by_a_pass(), 'content modified 100 300', 'and a row of it again');
close_all();
$session->query("UPDATE $table t SET action = k.action FROM kept k WHERE t.id = k.id AND k.raxx_seq BETWEEN 100 AND 299 AND k.raxx_seq <> 150");
is(found_by_a_pass(), '', 'a part of it is as it was, and the rest no news');
$session->query("UPDATE $table t SET action = k.action FROM kept k WHERE t.id = k.id");
is(found_by_a_pass(), '', 'and then all of it');

# Other kinds.
$session->query("DELETE FROM $table WHERE raxx_seq = 30");
is(found_by_a_pass(), 'seq gap 30 30', 'a row is gone');
close_all();
is(found_by_a_pass(), '', 'once');
$session->query("ALTER TABLE $table DROP CONSTRAINT ${table}_pkey; INSERT INTO $table OVERRIDING SYSTEM VALUE SELECT * FROM $table WHERE raxx_seq = 40");
is(found_by_a_pass(), 'duplicate 40 40', 'a row is there twice');
close_all();
$session->query("INSERT INTO $table OVERRIDING SYSTEM VALUE SELECT * FROM $table WHERE raxx_seq = 40 LIMIT 1");
is(found_by_a_pass(), 'duplicate 40 40', 'and three times');
close_all();
$session->query('DELETE FROM raxx_detect.chain_checkpoints WHERE number = 2');
like(found_by_a_pass(), qr/^checkpoint missing 0 \d+$/, 'a checkpoint is gone');
close_all();
$session->query("INSERT INTO $table (event_time, who) VALUES (now(), 'me')");
is(found_by_a_pass(), '', 'once, though the chain goes on') for 1 .. 2;
$session->query('DELETE FROM raxx_detect.chain_checkpoints WHERE number = 3');
like(found_by_a_pass(), qr/^checkpoint missing 0 \d+$/, 'another one is gone');
close_all();
is(found_by_a_pass(), '', 'once');

# The last entries are sealed anew, with the key.
sub seal_another_tail
{
	$session->query("SELECT attack.truncate((SELECT seq - 3 FROM raxx_detect.chain_heads)); INSERT INTO $table (event_time, who) SELECT now(), 'nobody' FROM generate_series(1, 8)");
	return;
}
seal_another_tail();
like(found_by_a_pass(), qr/^suffix rewritten \d+ \d+$/, 'another tail');
close_all();
foreach (1 .. 3)
{
	$session->query("INSERT INTO $table (event_time, who) SELECT now(), 'me' FROM generate_series(1, 10)");
	is(found_by_a_pass(), '', 'once, though the chain goes on');
}
seal_another_tail();
like(found_by_a_pass(), qr/^suffix rewritten \d+ \d+$/, 'and another one');
close_all();
is(found_by_a_pass(), '', 'once');

# A chain of its own has breaks of its own.
$session->query("SET session_replication_role = origin; SELECT raxx_detect.chain_detach('$table', 'for a new one'); TRUNCATE $table; SELECT raxx_detect.chain_attach('$table')");
$session->query("INSERT INTO $table (event_time, who) SELECT now(), 'me' FROM generate_series(1, 100)");
is(found_by_a_pass(), '', 'a new chain');
set('g', 5);
is(found_by_a_pass(), 'content modified 5 5', 'has a break where the old one had one, too');
close_all();
is(found_by_a_pass(), '', 'once');

$session->quit;
done_testing();
