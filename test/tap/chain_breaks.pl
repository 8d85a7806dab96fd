# Each kind of break, in a chain of 100,000 rows, at its head, in its middle, at its tail, at a checkpoint and after it: a full
# verification finds it, and so do the runs of rule 7 that go through the chain slice by slice, as one finding, by its name
# and with its entries. What is done is undone by a rollback each time.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_chain_server('max_parallel_workers_per_gather = 0', 'autovacuum = off');
my $db = new_chain_database($node, 'app');

# Entries: 0 genesis, 1 manifest, rows, 30002 key k2, rows, 60003 manifest, rows to 100003; checkpoints at 30001, 60002 and 90003.
my $insert = q{INSERT INTO customer_audit_events (event_time, operator, action)
	SELECT timestamptz '2024-03-04' + n * interval '1 second', 'operator ' || mod(n, 7), 'action ' || n FROM generate_series(1, %s) n;
	CALL raxx_detect.chain_seal_backlog('customer_audit_events');};
my $checkpoint = q{SELECT FROM raxx_detect.chain_checkpoint('customer_audit_events');};
my @sealed = (30000, 30000, 30000, 10000);
my @between = ('SELECT raxx_detect.chain_rotate_key(\'customer_audit_events\', \'k2\');',
	q{ALTER TABLE customer_audit_events ADD COLUMN note text DEFAULT 'none';}, '', '');
foreach my $part (0 .. 3)
{
	$node->safe_psql($db, sprintf "$insert %s %s", $sealed[$part], $part < 3 ? $checkpoint : '', $between[$part]);
}
$node->safe_psql($db, 'VACUUM ANALYZE');
my @lines = split /\n/, $node->safe_psql($db, 'SELECT line FROM raxx_detect.chain_checkpoints ORDER BY number');
my $last = 100_003;
my $last_kept = 90_003;
keep_lines(@lines);

# All runs look at the checkpoints, and make one.
my $rule = 'data_audit_log_hash_chain_break';
my $table = 'customer_audit_events';
$node->safe_psql($db, <<"SQL");
UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 microsecond"}' WHERE rule_id = '$rule';
-- A pass over the whole chain, and a little more.
CREATE FUNCTION attack.run_through() RETURNS SETOF text LANGUAGE plpgsql AS \$\$
DECLARE
	r raxx_detect.rule_run;
BEGIN
	UPDATE raxx_detect.chain_heads SET pass_seq = 0;
	FOR i IN 1 .. 7 LOOP
		UPDATE raxx_detect.chain_heads SET sliced_at = NULL;
		UPDATE raxx_detect.coverage SET quiet = 'empty';
		SELECT * INTO r FROM raxx_detect.run('$rule');
		IF r.outcome <> 'ok' AND r.detail !~ '(has no rows|no longer exists)\$' THEN RETURN NEXT concat_ws(' ', 'run', i, r.outcome, r.detail); END IF;
	END LOOP;
	RETURN QUERY SELECT concat_ws(' ', f.evidence ->> 'kind', f.evidence ->> 'seq_from', f.evidence ->> 'seq_to') FROM raxx_detect.detection_findings f
		WHERE f.rule_id = '$rule' ORDER BY (f.evidence ->> 'seq_from')::bigint, f.evidence ->> 'kind';
END \$\$;
CREATE FUNCTION attack.verify() RETURNS SETOF text LANGUAGE plpgsql AS \$\$
BEGIN
	RETURN QUERY SELECT concat_ws(' ', v.kind, v.seq_from, v.seq_to)
		FROM raxx_detect.verify_chain((SELECT relation FROM raxx_detect.source_bindings WHERE source = '$table'), 'full') v;
EXCEPTION WHEN undefined_object THEN
	RETURN NEXT 'no chain';
END \$\$;
SELECT * FROM raxx_detect.run('$rule');
SQL
@lines = split /\n/, $node->safe_psql($db, 'SELECT line FROM raxx_detect.chain_checkpoints ORDER BY number');
keep_lines(@lines);

my $session = new_session($node, $db);
is($session->query('SELECT attack.verify()'), "intact 0 $last", 'nothing is wrong before');
is($session->query('BEGIN; SELECT attack.run_through(); ROLLBACK'), '', 'and there is no finding');

# breaks NAME, SQL, EXPECTED: after the SQL verification, and the runs, tell what is expected: lines of a kind and its entries.
# A third and fourth say what they tell where it is not the same.
sub breaks
{
	my ($name, $sql, $expected, %differing) = @_;
	$session->query('BEGIN; SET LOCAL session_replication_role = replica');
	my ($state, $rows, $messages) = $session->attempt($sql);
	diag("$name: $messages") if $messages =~ /ERROR/;
	$session->query('SAVEPOINT done');
	foreach my $way ('verify', 'run_through')
	{
		($state, $rows, $messages) = $session->attempt("SET LOCAL session_replication_role = origin; SELECT attack.$way()");
		is($rows . $messages, $differing{$way} // ($expected eq 'intact' ? ($way eq 'verify' ? "intact 0 $last" : '') : $expected), "$name: $way");
		$session->query('ROLLBACK TO done');
	}
	$session->query('ROLLBACK');
	return;
}

# ---- rows -------------------------------------------------------------------------------------------------------------------
my %place = (
	'first row' => 2, 'second row' => 3, 'first row of a key' => 30_003, 'middle' => 45_000, 'at a checkpoint' => $last_kept,
	'after a checkpoint' => $last_kept + 1, 'last row' => $last);
foreach my $place (sort { $place{$a} <=> $place{$b} } keys %place)
{
	my $seq = $place{$place};
	my $row = "WHERE raxx_seq = $seq";
	my $other = $seq == $last ? $seq - 1 : $seq + 1;
	my $to = $seq == $last ? $seq : $seq + 1;
	my ($lower, $upper) = sort { $a <=> $b } $seq, $other;
	my $wrong_key = $seq < 30_003 ? 'k2' : 'k1';
	breaks("a column, $place", "UPDATE $table SET action = 'nothing' $row", "content modified $seq $seq");
	breaks("a column to NULL, $place", "UPDATE $table SET action = NULL $row", "content modified $seq $seq");
	breaks("the time, $place", "UPDATE $table SET event_time = event_time + interval '1 microsecond' $row", "content modified $seq $seq");
	breaks("its MAC, $place", "UPDATE $table SET raxx_mac = sha256('x') $row", "content modified $seq $seq");
	breaks("its MAC to NULL, $place", "UPDATE $table SET raxx_mac = NULL $row", "content modified $seq $seq");
	breaks("a MAC of 31 bytes, $place", "UPDATE $table SET raxx_mac = substr(raxx_mac, 1, 31) $row", "content modified $seq $seq");
	breaks("its prev, $place", "UPDATE $table SET raxx_prev = sha256('x') $row", "content modified $seq $seq");
	breaks("its prev to NULL, $place", "UPDATE $table SET raxx_prev = NULL $row", "content modified $seq $seq");
	breaks("deleted, $place", "DELETE FROM $table $row", $seq == $last ? "tail truncated $seq $seq" : "seq gap $seq $seq");
	breaks("sealed after another, $place", "SELECT attack.reseal($seq, 0)", "link broken $seq $to");
	breaks("other content, sealed with the key, $place", "UPDATE $table SET action = 'nothing' $row; SELECT attack.reseal($seq, $seq - 1)",
		$seq == $last ? "suffix rewritten @{[$last_kept + 1]} $last" : "link broken @{[$seq + 1]} @{[$seq + 1]}");
	breaks("sealed with another key, $place", "SELECT attack.reseal($seq, $seq - 1, '$wrong_key')", "key epoch $seq $seq");
	breaks("there twice, $place", "SELECT attack.copy($seq)", "duplicate $seq $seq");
	breaks("there three times, $place", "SELECT attack.copy($seq), attack.copy($seq)", "duplicate $seq $seq");
	breaks("two with one number, $place", "SELECT attack.copy($seq); UPDATE $table SET action = 'nothing' WHERE ctid = (SELECT max(ctid) FROM $table $row);
		SELECT attack.reseal(ARRAY(SELECT max(ctid) FROM $table $row), $seq, attack.mac($seq - 1))", "fork $seq $seq");
	breaks("a changed copy, $place", "SELECT attack.copy($seq); UPDATE $table SET action = 'nothing' WHERE ctid = (SELECT max(ctid) FROM $table $row)",
		"content modified $seq $seq");
	breaks("no number, $place", "UPDATE $table SET raxx_seq = NULL $row", "unsealed $seq $seq");
	breaks("no number, prev and MAC, $place", "UPDATE $table SET raxx_seq = NULL, raxx_prev = NULL, raxx_mac = NULL $row", "unsealed $seq $seq");
	breaks("contents swapped, $place", "UPDATE $table t SET action = o.action, event_time = o.event_time FROM $table o
		WHERE t.raxx_seq IN ($seq, $other) AND o.raxx_seq IN ($seq, $other) AND t.raxx_seq <> o.raxx_seq", "content modified $lower $upper");
	breaks("numbers swapped, $place", "UPDATE $table SET raxx_seq = $seq + $other - raxx_seq WHERE raxx_seq IN ($seq, $other)", "content modified $lower $upper");
	breaks("places swapped, $place", "UPDATE $table SET action = action WHERE raxx_seq = $other; UPDATE $table SET action = action $row", 'intact');
}

# ---- stretches ----------------------------------------------------------------------------------------------------------------
breaks('a stretch is gone', "DELETE FROM $table WHERE raxx_seq BETWEEN 40000 AND 40999", 'seq gap 40000 40999');
breaks('a stretch with a checkpoint is gone', "DELETE FROM $table WHERE raxx_seq BETWEEN 90000 AND 90999", 'seq gap 90000 90999');
breaks('all rows changed', "UPDATE $table SET operator = 'nobody'", "content modified 2 $last");
breaks('all rows are gone', "TRUNCATE $table", "tail truncated 2 $last");
breaks('a stretch between two slices changed', "UPDATE $table SET operator = 'nobody' WHERE raxx_seq BETWEEN 39990 AND 40010", 'content modified 39990 40010');
breaks('a stretch is there twice', "SELECT attack.copy(n) FROM generate_series(40000, 40009) n", 'duplicate 40000 40009');
breaks('a stretch sealed with another key', "SELECT attack.reseal(ARRAY(SELECT ctid FROM $table WHERE raxx_seq BETWEEN 40000 AND 40009 ORDER BY raxx_seq), 40000, attack.mac(39999), 'k1')",
	'key epoch 40000 40009');
breaks('two rows changed', "UPDATE $table SET operator = 'nobody' WHERE raxx_seq IN (100, 70000)", "content modified 100 100\ncontent modified 70000 70000");

# ---- the tail -----------------------------------------------------------------------------------------------------------------
my $forget = 'DELETE FROM raxx_detect.chain_checkpoints c USING raxx_detect.chain_heads h WHERE c.seq > h.seq';
breaks('the tail is gone', "DELETE FROM $table WHERE raxx_seq > 95000", "tail truncated 95001 $last");
breaks('the tail, with a checkpoint', "DELETE FROM $table WHERE raxx_seq > 80000", "tail truncated 80001 $last");
breaks('the tail, and the head is set back', 'SELECT attack.truncate(95000)', "tail truncated 95001 $last");
breaks('the tail with a checkpoint, and the head is set back', 'SELECT attack.truncate(80000)', "tail truncated 80001 $last");
breaks('the tail with its checkpoint', "SELECT attack.truncate(95000); $forget", "rolled back 95001 $last");
breaks('the tail with two checkpoints', "SELECT attack.truncate(80000); $forget", "rolled back 80001 $last");
breaks('the tail with a manifest', "SELECT attack.truncate(45000); $forget", "rolled back 45001 $last", run_through => "rolled back 45002 $last");
breaks('the tail with a key and a manifest', "SELECT attack.truncate(20000); $forget", "rolled back 20001 $last", run_through => "rolled back 20002 $last");
breaks('everything', "SELECT attack.truncate(1); $forget", "rolled back 2 $last", run_through => "rolled back 3 $last");
breaks('the head is set back', 'SELECT attack.set_head(95000)', "fork 95001 $last");
breaks('the head is set back, without its checkpoint', "SELECT attack.set_head(95000); $forget", "fork 95001 $last");
breaks('the head is set ahead', 'UPDATE raxx_detect.chain_heads SET seq = seq + 5', "tail truncated @{[$last + 1]} @{[$last + 5]}");
breaks("the head's MAC", "UPDATE raxx_detect.chain_heads SET mac = sha256('x')", "suffix rewritten $last $last");
breaks("a head's MAC of 3 bytes", "UPDATE raxx_detect.chain_heads SET mac = 'abc'", 'chain missing 0');
my $others = "INSERT INTO $table (event_time, operator, action) SELECT timestamptz '2024-03-09' + n * interval '1 second', 'nobody', 'nothing' FROM generate_series(1, %s) n;
	SELECT raxx_detect.chain_seal('$table', 100000)";
breaks('other rows in the place of the tail', 'SELECT attack.truncate(80000);' . sprintf($others, 25000), 'suffix rewritten 60003 105000');
breaks('other rows in the place of the tail, with their checkpoints', "SELECT attack.truncate(80000); $forget;" . sprintf($others, 25000), 'suffix rewritten 60003 105000');
breaks('other rows in the place of the last ones', 'SELECT attack.truncate(95000);' . sprintf($others, 25000), 'suffix rewritten 90004 120000');
breaks('fewer rows in the place of the tail', 'SELECT attack.truncate(80000);' . sprintf($others, 5000), "tail truncated 85001 $last");
breaks('fewer rows, with their checkpoints', "SELECT attack.truncate(80000); $forget;" . sprintf($others, 5000), "rolled back 85001 $last");
breaks('a row with a number to come', "INSERT INTO $table (event_time, raxx_seq) VALUES (now(), 200000)", "fork @{[$last + 1]} 200000");
breaks('a row with a number before the first', "INSERT INTO $table (event_time, raxx_seq) VALUES (now(), -5)", 'fork -5 -5');

# ---- records ------------------------------------------------------------------------------------------------------------------
my %record = (0 => 'genesis replaced', 1 => 'schema tampered', 30_002 => 'key epoch', 60_003 => 'schema tampered');
foreach my $seq (sort { $a <=> $b } keys %record)
{
	my $row = "WHERE seq = $seq";
	my $break = "$record{$seq} $seq $seq";
	breaks("record $seq with another time", qq{UPDATE raxx_detect.chain_records SET payload = replace(payload, '"at": "2', '"at": "1') $row}, $break);
	breaks("record $seq with a blank more", "UPDATE raxx_detect.chain_records SET payload = payload || ' ' $row", $break);
	breaks("record $seq with another MAC", "UPDATE raxx_detect.chain_records SET mac = sha256('x') $row", $break);
	breaks("record $seq with a MAC of 5 bytes", "UPDATE raxx_detect.chain_records SET mac = 'short' $row", $break);
	breaks("record $seq with another prev", "UPDATE raxx_detect.chain_records SET prev = sha256('x') $row", $break);
	breaks("record $seq deleted", "DELETE FROM raxx_detect.chain_records $row", $break);
	breaks("record $seq says something else", qq{UPDATE raxx_detect.chain_records SET payload = '{"kind": "note"}' $row}, $break) if $seq > 0;
	foreach my $hostile ('{}', '[]', '7', 'null', '"x"', '{"kind": 7}', '{"kind": "manifest", "columns": 7}', '{"kind": "manifest", "columns": {"a": 1}}', '{"kind": "manifest", "columns": [7]}',
		'{"kind": "manifest", "columns": [{"name": "", "kind": "text"}]}', '{"kind": "manifest", "columns": [{"name": "id", "kind": "integer", "number": "x"}], "version": "x"}',
		'{"kind": "manifest", "columns": [{"name": "id", "kind": "integer", "number": 99999999999999999999}]}', '{"kind": "key", "key": null}', '{"kind": "key"}',
		'{"kind": "key", "key": ["k1"]}', '{"kind": "key", "key": "no such key"}', '{"kind": "genesis", "key": null}', '{"kind": "genesis"}', '{"kind": "genesis", "key": "k9"}',
		'{"kind": "rolled back", "checkpoints": 7}', '{"kind": "rolled back", "checkpoints": ["x"]}')
	{
		my $expected = $seq == 0 ? 'genesis replaced 0 0' : $break;
		breaks("record $seq is $hostile", "ALTER TABLE raxx_detect.chain_records ALTER kind DROP EXPRESSION, ALTER kind DROP NOT NULL; UPDATE raxx_detect.chain_records SET payload = '$hostile' $row", $expected);
	}
}
breaks('a record that is no JSON', "ALTER TABLE raxx_detect.chain_records ALTER kind DROP EXPRESSION;
	UPDATE raxx_detect.chain_records SET payload = 'not JSON' WHERE seq = 30002", 'key epoch 30002 30002');
breaks('a stretch with a record of a key is gone', "DELETE FROM $table WHERE raxx_seq BETWEEN 29000 AND 31000; DELETE FROM raxx_detect.chain_records WHERE seq = 30002", 'key epoch 29000 31000');
breaks('a stretch with a manifest is gone', "DELETE FROM $table WHERE raxx_seq BETWEEN 60000 AND 60010; DELETE FROM raxx_detect.chain_records WHERE seq = 60003", 'schema tampered 60000 60010');
breaks('all records are gone', 'DELETE FROM raxx_detect.chain_records', "genesis replaced 0 0\nkey epoch 30002 30002\nschema tampered 60003 60003",
	run_through => "genesis replaced 0 0\nkey epoch 30002 30002\nkey epoch 60003 60003\nschema tampered 60003 60003");    # a slice behind both does not see that there were two
breaks('a record with a number to come', qq{INSERT INTO raxx_detect.chain_records (chain_id, seq, payload, prev, mac)
	SELECT chain_id, 200000, '{"kind": "note"}', prev, mac FROM raxx_detect.chain_records WHERE seq = 1}, "fork @{[$last + 1]} 200000");
breaks('a record with the number of a row', qq{INSERT INTO raxx_detect.chain_records (chain_id, seq, payload, prev, mac)
	SELECT chain_id, 45000, '{"kind": "note"}', attack.mac(44999), attack.mac(45000) FROM raxx_detect.chain_records WHERE seq = 1}, 'content modified 45000 45000');

breaks('a row with the number of a record', "SELECT attack.copy(45000); UPDATE $table SET raxx_seq = 60003 WHERE ctid = (SELECT max(ctid) FROM $table WHERE raxx_seq = 45000)", 'content modified 60003 60003');

# A run seals a manifest: the table is no longer as the last one says.
# ---- the table ------------------------------------------------------------------------------------------------------------------
breaks('a sealed column is gone', "ALTER TABLE $table DROP operator", "schema tampered 2 $last", run_through => "schema tampered 2 @{[$last + 1]}");
breaks('a column that was sealed later is gone', "ALTER TABLE $table DROP note", "schema tampered 60004 $last", run_through => "schema tampered 60004 @{[$last + 1]}");
breaks('a column of another type', "ALTER TABLE $table ALTER action TYPE bytea USING convert_to(action, 'UTF8')", "schema tampered 2 $last", run_through => "schema tampered 2 @{[$last + 1]}");
breaks('a column of a type without a canonical form', "ALTER TABLE $table ALTER note DROP DEFAULT, ALTER note TYPE tsvector USING to_tsvector(note)", "schema tampered 60004 $last", run_through => "schema tampered 60004 @{[$last + 1]}");
breaks('a chain column is gone', "ALTER TABLE $table DROP raxx_mac", 'chain missing 0');
breaks('the numbers are gone', "ALTER TABLE $table DROP raxx_seq", 'chain missing 0');
breaks('a chain column of another type', "ALTER TABLE $table ALTER raxx_mac TYPE text USING encode(raxx_mac, 'hex')", 'chain missing 0');
breaks('the table is gone', "DROP TABLE $table", 'chain missing 0');
breaks('the chain is gone', 'SET LOCAL session_replication_role = origin; DELETE FROM raxx_detect.chains', 'chain missing 0', verify => 'no chain');
breaks('the head is gone', 'DELETE FROM raxx_detect.chain_heads', 'chain missing 0');
breaks('the chain is said to have ended', 'UPDATE raxx_detect.chains SET detached_at = now()', 'chain missing 0');

# ---- checkpoints ----------------------------------------------------------------------------------------------------------------
my $checkpoints = 'raxx_detect.chain_checkpoints';
breaks('a checkpoint is gone', "DELETE FROM $checkpoints WHERE number = 2", "checkpoint missing 0 $last");
breaks('the last checkpoint is gone', "DELETE FROM $checkpoints WHERE number = 4", "checkpoint missing 0 $last");
breaks('all checkpoints are gone', "DELETE FROM $checkpoints", "checkpoint missing 0 $last");
breaks('a checkpoint with another signature', "UPDATE $checkpoints SET line = replace(line, right(line, 4), 'AAA=') WHERE number = 2", 'checkpoint invalid 60002 60002');
breaks('a checkpoint that is none', "UPDATE $checkpoints SET line = 'nothing' WHERE number = 2", 'checkpoint invalid 60002 60002');
breaks('a checkpoint of a key that is not there', "UPDATE $checkpoints SET line = replace(line, ' c1 ', ' c7 ') WHERE number = 2", 'indeterminate 60002 60002',
	run_through => join "\n", map { "run $_ no_data $table is indeterminate: there is no key to verify the signatures of 1 checkpoints" } 1 .. 7);
breaks("a checkpoint's $_->[0]", "UPDATE $checkpoints SET $_->[0] = $_->[1] WHERE number = 2", "checkpoint invalid $_->[2] $_->[2]")
  foreach [ 'mac', "sha256('x')", 60_002 ], [ 'seq', 60_001, 60_002 ], [ 'made_at', "made_at - interval '1 second'", 60_002 ], [ 'seq', '-7', 60_002 ], [ 'seq', 9_000_000_000, 60_002 ];
breaks("a checkpoint's number", "UPDATE $checkpoints SET number = 5 WHERE number = 4", "checkpoint invalid $last $last");
breaks('a checkpoint too many', "INSERT INTO $checkpoints SELECT chain_id, 5, seq, mac, made_at, line FROM $checkpoints WHERE number = 4", "checkpoint invalid $last $last");

# ---- heads that cannot be ------------------------------------------------------------------------------------------------------------
breaks("a head at $_", "UPDATE raxx_detect.chain_heads SET seq = $_", 'chain missing 0') foreach -7, -1, '9223372036854775807';
breaks('a head far away', 'UPDATE raxx_detect.chain_heads SET seq = 1000000000000', "tail truncated @{[$last + 1]} 1000000000000");
breaks("verified_seq of $_", "UPDATE raxx_detect.chain_heads SET verified_seq = $_", 'intact') foreach -7, 200000, '9223372036854775807';
breaks("pass_seq of $_", "UPDATE raxx_detect.chain_heads SET pass_seq = $_", 'intact') foreach -7, 200000, '9223372036854775807';

$session->quit;
done_testing();
