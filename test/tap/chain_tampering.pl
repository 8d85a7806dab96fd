# Tampering by chance, by a superuser with triggers off, with the keys or without: verification tells a break whenever the naive twin says that the chain
# is not intact, and nothing where it is. What the twin takes for intact lies behind the last checkpoint from outside, where nobody can know.
# ROUNDS says how many (300), SEED which; a round that fails is repeated by its own seed: SEED=... ROUNDS=1.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use ChainTwin;
use List::Util qw(first);
use Server;
use Test::More;

my $rounds = $ENV{ROUNDS} // 300;
my $seed = $ENV{SEED} // 1;
note("SEED=$seed ROUNDS=$rounds");

# ---- the chain: two keys, two columns that came later, one that was renamed --------------------------------------------------------
my $node = new_chain_server('autovacuum = off', 'max_parallel_workers_per_gather = 0');
my $db = new_chain_database($node, 'app');
my $table = 'customer_audit_events';
my $rows = "INSERT INTO $table (event_time, %s, action) SELECT timestamptz '2024-03-04' + n * interval '1 hour', 'who ' || n %% 5, 'did ' || n FROM generate_series(1, %s) n;
	SELECT raxx_detect.chain_seal('$table'); ";
my $checkpoint = "SELECT FROM raxx_detect.chain_checkpoint('$table'); ";
$node->safe_psql($db, join '', sprintf($rows, 'operator', 60), $checkpoint,
	"ALTER TABLE $table ADD amount numeric(10, 2) DEFAULT 1.50, ADD fine boolean;", sprintf($rows, 'operator', 40),
	"SELECT raxx_detect.chain_rotate_key('$table', 'k2');", sprintf($rows, 'operator', 50), $checkpoint,
	"ALTER TABLE $table RENAME operator TO who; ALTER TABLE $table ADD data bytea;", sprintf($rows, 'who', 60), $checkpoint,
	"SELECT raxx_detect.chain_revoke_key('$table', 'k1', 'a detour');", sprintf($rows, 'who', 30), $checkpoint, sprintf($rows, 'who', 20),
	"ALTER TABLE $table DROP CONSTRAINT ${table}_pkey; ALTER TABLE raxx_detect.chain_records DROP CONSTRAINT chain_records_pkey;
	ALTER TABLE raxx_detect.chain_records ALTER kind DROP EXPRESSION, ALTER kind DROP NOT NULL;
	ALTER TABLE raxx_detect.chain_checkpoints DROP CONSTRAINT chain_checkpoints_pkey; ALTER TABLE $table ALTER id DROP IDENTITY, ALTER id DROP NOT NULL, ALTER event_time DROP NOT NULL; ANALYZE");
my %forms = (id => 'int8send(id)', event_time => 'timestamptz_send(event_time)', who => q{convert_to(who, 'UTF8')}, action => q{convert_to(action, 'UTF8')},
	amount => q{convert_to(amount::text, 'UTF8')}, fine => 'boolsend(fine)', data => 'data');
my $session = new_session($node, $db);
my $chain_id = $session->query('SELECT chain_id FROM raxx_detect.chains');
my @lines = split /\n/, $session->query('SELECT line FROM raxx_detect.chain_checkpoints ORDER BY number');
my %signed = map { $_ => 1 } @lines;
my @external = @lines[ 0 .. 2 ];
keep_lines(@external);
my $outside_knows = (split / /, $external[-1])[4];
my $base = read_chain($session, $table, %forms);
my $last = $base->{heads}[0][0];
my %base_mac = map { $_->[0] => $_->[2] } @{ $base->{rows} }, @{ $base->{records} };
my @records = sort { $a <=> $b } map { $_->[0] } @{ $base->{records} };

# ---- what somebody can do ------------------------------------------------------------------------------------------------------------
sub one_of { return $_[ int rand @_ ]; }
sub number { return int rand($last + 1); }
sub stretch { my $from = number(); return ($from, $from + int rand 10); }
my @sealed = qw(id event_time who action amount fine data);
my @chained = qw(raxx_seq raxx_prev raxx_mac);

# A value for a column: none, that of another row, or one that is slightly different.
sub value
{
	my ($column) = @_;
	return 'NULL' if rand() < 0.2;
	return "(SELECT o.$column FROM $table o WHERE o.raxx_seq = " . number() . ' LIMIT 1)' if rand() < 0.4;
	return one_of("set_byte($column, 3, (get_byte($column, 3) + 1) % 256)", "substr($column, 1, 31)", "$column || '\\x00'", "sha256('x')", 'attack.mac(' . number() . ')')
	  if $column =~ /prev|mac/ && $column ne 'raxx_seq';
	return { id => 'id + 1', event_time => "event_time + interval '1 microsecond'", who => "who || ' '", action => 'upper(action)', amount => 'amount + 0.01',
		fine => 'NOT coalesce(fine, false)', data => "coalesce(data, '') || '\\x00'", raxx_seq => 'raxx_seq + ' . one_of(-1, 1, 1000), seq => 'seq + ' . one_of(-1, 1, 1000) }->{$column};
}

sub head { my ($seq) = @_; return one_of("SELECT attack.set_head($seq);", "SELECT attack.set_head($seq);", "UPDATE raxx_detect.chain_heads SET seq = $seq;", ''); }

sub truncated
{
	my ($seq) = @_;
	return join '', map { one_of($_, $_, $_, '') } "DELETE FROM $table WHERE raxx_seq > $seq;", "DELETE FROM raxx_detect.chain_records WHERE seq > $seq;",
	  "DELETE FROM raxx_detect.chain_checkpoints WHERE seq > $seq;", head($seq);
}

# What comes after an entry is sealed anew, perhaps with other content, perhaps with a key that is not the right one.
sub rewritten
{
	my $from = one_of(number(), $records[-1] + 1 + int rand($last - $records[-1]));
	my $key = one_of('NULL', 'NULL', q{'k1'});
	return "UPDATE $table SET @{[one_of('action = action', 'action = upper(action)', 'amount = 0')]} WHERE raxx_seq = $from;
		SELECT attack.reseal(ARRAY(SELECT ctid FROM $table WHERE raxx_seq >= $from ORDER BY raxx_seq), $from, attack.mac($from - 1), $key)
		WHERE EXISTS (SELECT FROM $table WHERE raxx_seq >= $from);" . one_of(head($last), "SELECT attack.set_head($last);") .
	  one_of('', "DELETE FROM raxx_detect.chain_checkpoints WHERE seq >= $from;");
}

# Two rows exchange some of their columns.
sub swapped
{
	my ($one, $other) = (number(), number());
	my @columns = @{ one_of(\@sealed, \@chained, [ one_of(@sealed, @chained) ]) };
	my ($to, $from) = (join(', ', @columns), join(', ', map { "o.$_" } @columns));
	return "UPDATE $table t SET ($to) = (SELECT $from FROM $table o WHERE o.raxx_seq = $one + $other - t.raxx_seq LIMIT 1)
		WHERE t.raxx_seq IN ($one, $other) AND (SELECT count(*) FROM $table o WHERE o.raxx_seq IN ($one, $other)) = 2";
}

sub appended
{
	my $seq = one_of($last, one_of(number(), $outside_knows + int rand($last - $outside_knows)));
	return "SELECT attack.truncate($seq);" . one_of('', "DELETE FROM raxx_detect.chain_checkpoints WHERE seq > $seq;") . "INSERT INTO $table (id, event_time, who) SELECT 9000 + n, now(), 'nobody' FROM generate_series(1, @{[1 + int rand 90]}) n;
		SELECT raxx_detect.chain_seal('$table');";
}

my @tricks = (
	sub { my $column = one_of(@sealed, @sealed, @chained); return "UPDATE $table SET $column = " . value($column) . ' WHERE raxx_seq = ' . number(); },
	sub { my $column = one_of(@sealed); my ($from, $to) = stretch(); return "UPDATE $table SET $column = " . value($column) . " WHERE raxx_seq BETWEEN $from AND $to"; },
	sub { return "DELETE FROM $table WHERE raxx_seq = " . one_of(number(), $last); },
	sub { my ($from, $to) = stretch(); return "DELETE FROM $table WHERE raxx_seq BETWEEN $from AND $to"; },
	sub { my $seq = number(); return "SELECT attack.copy($seq)" . one_of('', "; UPDATE $table SET raxx_seq = @{[one_of('NULL', $last + 1, number())]} WHERE ctid = (SELECT max(ctid) FROM $table WHERE raxx_seq = $seq)"); },
	sub { return swapped(); },
	sub { return truncated(one_of(number(), $outside_knows + int rand($last - $outside_knows))); },
	sub { return rewritten(); },
	sub { return appended(); },
	sub { my $seq = number(); return "SELECT attack.reseal($seq, @{[one_of($seq - 1, number())]}, @{[one_of('NULL', q{'k1'}, q{'k2'})]}) WHERE EXISTS (SELECT FROM $table WHERE raxx_seq = $seq)"; },
	sub { my $seq = one_of(@records); return one_of("DELETE FROM raxx_detect.chain_records WHERE seq = $seq", "INSERT INTO raxx_detect.chain_records SELECT * FROM raxx_detect.chain_records WHERE seq = $seq",
		map { "UPDATE raxx_detect.chain_records SET $_ WHERE seq = $seq" } 'mac = ' . value('mac') =~ s/raxx_//gr =~ s/NULL|\(SELECT.*/'\\x00'/r, "prev = sha256('x')", "seq = @{[number()]}", q{payload = payload || ' '}, q{payload = '{}'},
		q{payload = replace(payload, 'k2', 'k1')}, q{payload = replace(payload, '"integer"', '"text"')}, q{payload = replace(payload, 'who', 'action')}, "payload = (SELECT payload FROM raxx_detect.chain_records WHERE seq = @{[one_of(@records)]})", q{payload = 'none'}); },
	sub { return 'UPDATE raxx_detect.chain_heads SET ' . one_of('seq = seq + 1', 'seq = seq - 1', 'seq = ' . number(), "mac = sha256('x')", 'mac = attack.mac(' . number() . ')', 'verified_seq = 3', 'pass_seq = 99', 'sealed_at = now()', "mac = substr(mac, 2)"); },
	sub { my $one = 'WHERE number = ' . (1 + int rand @lines); return one_of("DELETE FROM raxx_detect.chain_checkpoints $one", "INSERT INTO raxx_detect.chain_checkpoints SELECT * FROM raxx_detect.chain_checkpoints $one", 'DELETE FROM raxx_detect.chain_checkpoints',
		map { "UPDATE raxx_detect.chain_checkpoints SET $_ $one" } 'seq = seq + 1', 'number = number + 1', "mac = sha256('x')", "made_at = made_at + interval '1 microsecond'", 'delivered_at = now()', q{line = replace(line, '1', '2')}, q{line = ''},
		"line = (SELECT line FROM raxx_detect.chain_checkpoints WHERE number = @{[1 + int rand @lines]} LIMIT 1)"); },
	sub { return "UPDATE $table SET action = action WHERE raxx_seq = " . number(); },
	sub { return one_of("INSERT INTO $table (id, event_time) VALUES (7000, now())", "CREATE INDEX ON $table (action)", "ALTER TABLE $table ADD later int DEFAULT 7", "ALTER TABLE $table RENAME action TO deed; ALTER TABLE $table RENAME deed TO action"); },
	sub { return one_of("ALTER TABLE $table ALTER action TYPE varchar(99)", "ALTER TABLE $table ALTER amount TYPE numeric(12, 2)", "ALTER TABLE $table ALTER amount TYPE numeric(12, 3)"); },
);

# ---- rounds ----------------------------------------------------------------------------------------------------------------------------
# Rows that nobody seals are no break, but after five minutes no all-clear either.
my $all_well = qr/\A(intact\|0\|\d+|indeterminate\|@{[$last + 1]}\|)\z/;
my (%seen, @failed);
foreach my $round (0 .. $rounds - 1)
{
	srand($seed + $round);
	my $trick = one_of(@tricks)->();
	$session->query('BEGIN; SET LOCAL session_replication_role = replica');
	my ($state, undef, $messages) = $session->attempt($trick);
	if ($messages =~ /ERROR/)    # cannot be done at all
	{
		$seen{impossible}++;
		note("impossible: $trick: $messages") if $seen{impossible} < 4;
		$session->query('ROLLBACK');
		next;
	}
	my $chain = read_chain($session, $table, %forms);
	my $broken = what_is_broken($chain, $chain_id, { operator => 'who' }, \%signed, \@external);
	($state, my $told, $messages) = $session->attempt("SET LOCAL session_replication_role = origin; SELECT kind, seq_from, seq_to FROM raxx_detect.verify_chain('$table', 'full')");
	$session->query('ROLLBACK');
	my %mac = map { $_->[0] => $_->[2] } @{ $chain->{rows} }, @{ $chain->{records} };
	my $changed = first { ($mac{$_} // '') ne $base_mac{$_} } 0 .. $outside_knows;
	my $right = $broken ? $told =~ /^(?!intact|indeterminate)./m : $told =~ $all_well && !defined $changed;
	push @failed, sprintf "SEED=%s ROUNDS=1: %s\n  twin: %s, told: %s %s", $seed + $round, $trick, $broken // 'intact', $told, $messages if !$right || $messages ne '';
	$seen{ $broken ? 'broken' : 'intact' }++;
	$seen{"told $_"}++ foreach $told =~ /^([a-z ]+)\|/mg;
	$seen{'several breaks'}++ if ($told =~ tr/\n//) > 0;
}
is_deeply(\@failed, [], "verification and its twin agree in $rounds rounds");
diag(join "\n", @failed > 12 ? @failed[0 .. 11] : @failed) if @failed;
note(join ', ', map { "$_: $seen{$_}" } sort keys %seen);
if ($rounds >= 300)
{
	cmp_ok($seen{$_} // 0, '>', $rounds / 30, "many were $_") foreach 'broken', 'intact';
}
$session->quit;
done_testing();
