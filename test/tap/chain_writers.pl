# Nothing that writers and administrators do with an audit table is taken for a break: sixteen writers that roll back, use savepoints, prepare their
# transactions, write in all isolation levels, encodings and settings, while rows are sealed and verified, the table is rewritten and gets columns,
# and the server crashes; then a restore of a dump, a subscriber, and a standby that is promoted. MINUTES says how long they write (0.15).
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $seconds = 60 * ($ENV{MINUTES} // 0.15);
# Checkpoints go out, and come back.
my $node = new_chain_server('wal_level = logical', 'max_wal_senders = 8', 'max_replication_slots = 8', 'max_prepared_transactions = 50', 'deadlock_timeout = 200ms',
	"raxx_detect.checkpoint_command = 'cat >> kept'", "raxx_detect.checkpoint_source_command = 'cat kept'");
append_to_file($node->data_dir . '/kept', '');
my $db = new_database($node, 'app');
my @tables = qw(by_sealer at_commit in_parts kept_apart);
$node->safe_psql($db, <<'SQL');
CREATE TABLE by_sealer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_time timestamptz NOT NULL DEFAULT clock_timestamp(),
	operator text, amount numeric, seen real, day date, doc jsonb, tags text[]);
CREATE TABLE at_commit (LIKE by_sealer INCLUDING ALL);
CREATE TABLE in_parts (id bigint PRIMARY KEY DEFAULT nextval('by_sealer_id_seq'), event_time timestamptz NOT NULL DEFAULT clock_timestamp(),
	operator text, amount numeric, seen real, day date, doc jsonb, tags text[]) PARTITION BY RANGE (id);
CREATE TABLE part_0 PARTITION OF in_parts FOR VALUES FROM (0) TO (500);
CREATE TABLE part_1 PARTITION OF in_parts FOR VALUES FROM (500) TO (100000000);
CREATE TABLE kept_apart (LIKE by_sealer INCLUDING ALL);
CREATE TABLE verdicts (at timestamptz DEFAULT clock_timestamp(), relation text, kind text, seq_from bigint, seq_to bigint, detail text);
SELECT raxx_detect.chain_attach('by_sealer'), raxx_detect.chain_attach('at_commit', mode => 'commit'), raxx_detect.chain_attach('in_parts'), raxx_detect.chain_attach('kept_apart', beside => true);
DO $$ BEGIN EXECUTE (SELECT format('CREATE VIEW kept_apart_rows AS SELECT raxx_seq FROM %s t', raxx_detect.chain_rows_from(c)) FROM raxx_detect.chains c WHERE beside IS NOT NULL); END $$;
SELECT raxx_detect.bind_source('customer_audit_events', 'by_sealer'), raxx_detect.bind_source('console_audit_events', 'at_commit');
UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 second", "slice_every": "1 second"}' WHERE method = 'chain';
SQL

# ---- who writes ------------------------------------------------------------------------------------------------------------------------
my $values = "(operator, amount, seen, day, doc, tags) VALUES ('Zo\xC3\xAB of :r', :r / 7.0, :r / 3.0, 'yesterday', '{\"b\": [1.0, \"\xC3\xA9\"], \"a\": null}', ARRAY['x', NULL])";
my $insert = join ' ', map { "INSERT INTO $_ $values;" } @tables;
my $begin = "\\set r random(1, 1000000)\nBEGIN;";
my %scripts = (
	commit => "$begin $insert COMMIT;",
	rollback => "$begin $insert ROLLBACK;",
	savepoints => "$begin $insert SAVEPOINT a; $insert ROLLBACK TO a; $insert SAVEPOINT b; $insert RELEASE b; COMMIT;",
	prepared => "$begin $insert PREPARE TRANSACTION 'w :client_id :r'; COMMIT PREPARED 'w :client_id :r';",
	given_up => "$begin $insert PREPARE TRANSACTION 'g :client_id :r'; ROLLBACK PREPARED 'g :client_id :r';",
	repeatable => "\\set r random(1, 1000000)\nBEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM verdicts; $insert COMMIT;",
	serializable => "\\set r random(1, 1000000)\nBEGIN ISOLATION LEVEL SERIALIZABLE; SELECT max(id) FROM by_sealer; $insert COMMIT;",
	impatient => "\\set r random(1, 1000000)\nDO \$\$ BEGIN SET LOCAL lock_timeout = '3ms'; $insert EXCEPTION WHEN lock_not_available THEN NULL; END \$\$;",
);
my $latin1 = { PGCLIENTENCODING => 'LATIN1', PGTZ => 'Asia/Kathmandu', PGDATESTYLE => 'German', PGOPTIONS => '-c extra_float_digits=-3 -c bytea_output=escape' };
my $utf8 = { PGCLIENTENCODING => 'UTF8', PGTZ => 'America/St_Johns', PGDATESTYLE => 'SQL, DMY', PGOPTIONS => '-c intervalstyle=sql_standard' };

my %helpers = (
	sealer => join(' ', map { "SELECT raxx_detect.chain_seal('$_');" } @tables) . "\n\\sleep 100 ms",
	verifier => join(' ', map { "INSERT INTO verdicts (relation, kind, seq_from, seq_to, detail) SELECT '$_', v.* FROM raxx_detect.verify_chain('$_', 'full') v;" } @tables) . "\n\\sleep 200 ms",
	rule => "SELECT * FROM raxx_detect.run('data_audit_log_hash_chain_break');\n\\sleep 300 ms",
	vacuum => join("\n", map { "VACUUM $_;" } @tables) . "\nVACUUM FULL by_sealer;\nCLUSTER at_commit USING at_commit_pkey;\nVACUUM FULL part_0;\n\\sleep 500 ms",
	columns => "\\set r random(1, 8)\n\\set s random(1, 8)\n" . join("\n", map { "ALTER TABLE $_ ADD COLUMN IF NOT EXISTS more_:r text DEFAULT 'new';" } @tables) . "
DO \$\$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'by_sealer'::regclass AND attname = 'more_:s') THEN ALTER TABLE by_sealer RENAME more_:s TO was_:s; END IF; EXCEPTION WHEN duplicate_column THEN NULL; END \$\$;
CREATE INDEX IF NOT EXISTS at_commit_operator_:r ON at_commit (operator);
DO \$\$ BEGIN IF to_regclass('part_x') IS NULL THEN CREATE TABLE part_x (LIKE in_parts INCLUDING INDEXES); ALTER TABLE in_parts ATTACH PARTITION part_x FOR VALUES FROM (-10) TO (0); ELSE ALTER TABLE in_parts DETACH PARTITION part_x; DROP TABLE part_x; END IF; END \$\$;
\\sleep 700 ms",
);

sub start_script
{
	my ($name, $script, $clients, $environment) = @_;
	# The same letters, as the client says them.
	$script =~ s/\xC3([\x80-\xBF])/chr(ord($1) + 64)/ge if $environment->{PGCLIENTENCODING} eq 'LATIN1';
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name";
	append_to_file($file, "$script\n");
	local %ENV = (%ENV, %$environment);
	# What they say goes to a file: a pipe that nobody reads would stop them when it is full.
	my $self = { name => $name, log => "$file.log" };
	$self->{run} = IPC::Run::start([ 'pgbench', '-n', '-M', 'simple', '-c', $clients, '-T', int($seconds / 2) + 1, '--max-tries=1000', '-f', $file, $node->connstr($db) ],
		'<', \undef, '>&', $self->{log});
	return $self;
}

sub start_all
{
	my $number = 0;
	return ((map { start_script($_, $scripts{$_}, 2, $number++ % 2 ? $latin1 : $utf8) } sort keys %scripts), map { start_script($_, $helpers{$_}, 1, $utf8) } sort keys %helpers);
}

# Waits for them; what they complain of.
sub complaints
{
	my (@running) = @_;
	my $errors = '';
	foreach my $r (@running)
	{
		$r->{run}->finish;
		$errors .= "$r->{name}: $_\n" foreach grep { /ERROR|abort|terminated|PANIC/ } split /\n/, slurp_file($r->{log});
	}
	return $errors;
}

sub all_verified
{
	my ($where, $database) = @_;
	foreach my $table (@tables)
	{
		my $answer = $where->safe_psql($database, "SELECT v.kind, v.seq_from = 0, v.seq_to = h.seq, v.detail FROM raxx_detect.verify_chain('$table', 'full') v, raxx_detect.chain_heads h
			JOIN raxx_detect.chains c USING (chain_id) WHERE c.relation = '$table'::regclass");
		like($answer, qr/^intact\|t\|t\|\d+ entries verified/, "$database on @{[$where->name]}: $table is intact");
	}
	return;
}

# Rows that are not sealed, numbers that are there twice, numbers that are nowhere.
my $sealed_once = join ' UNION ALL ', map { "SELECT '$_', count(*) FILTER (WHERE t.raxx_seq IS NULL), count(*) - count(DISTINCT t.raxx_seq), (SELECT h.seq + 1 - (SELECT count(*) FROM raxx_detect.chain_records r WHERE r.chain_id = c.chain_id)
	FROM raxx_detect.chains c JOIN raxx_detect.chain_heads h USING (chain_id) WHERE c.relation = '$_'::regclass) - count(*), count(*) > 100 FROM @{[$_ eq 'kept_apart' ? 'kept_apart_rows' : $_]} t" } @tables;

# ---- they write; in the middle the server crashes ------------------------------------------------------------------------------------------
is(complaints(start_all()), '', 'nobody has an error');
my @running = start_all();
Time::HiRes::sleep($seconds / 4);
$node->stop('immediate');
complaints(@running);
$node->start;
# What was prepared survives, with its lock of the chain that is sealed at the commit.
$node->safe_psql($db, "COMMIT PREPARED '$_'") foreach split /\n/, $node->safe_psql($db, 'SELECT gid FROM pg_prepared_xacts');
is(complaints(start_all()), '', 'nobody has an error after the crash');
is($node->safe_psql($db, "SELECT relation, kind, seq_from, seq_to, detail FROM verdicts WHERE kind <> 'intact' LIMIT 10"), '', 'each verification meanwhile said intact');
cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM verdicts'), '>', 9, 'and there were some');
$node->safe_psql($db, "CALL raxx_detect.chain_seal_backlog('$_')") foreach @tables;
$node->safe_psql($db, q{SELECT * FROM raxx_detect.run('data_audit_log_hash_chain_break')}) foreach 1 .. 2;
is($node->safe_psql($db, 'SELECT summary FROM raxx_detect.detection_findings LIMIT 10'), '', 'the runs of the rule found nothing');
like($node->safe_psql($db, q{SELECT outcome, detail FROM raxx_detect.run('data_audit_log_hash_chain_break')}), qr/^(ok|skipped)\|/, 'and can tell');
is($node->safe_psql($db, $sealed_once), join("\n", map { "$_|0|0|0|t" } @tables), 'every row is sealed, once');
all_verified($node, $db);
note($node->safe_psql($db, "SELECT string_agg(format('%s: %s entries, %s of them records', c.relation, h.seq + 1,
	(SELECT count(*) FROM raxx_detect.chain_records r WHERE r.chain_id = c.chain_id)), '; ') FROM raxx_detect.chains c JOIN raxx_detect.chain_heads h USING (chain_id)"),
	'; verifications: ', $node->safe_psql($db, 'SELECT count(*) FROM verdicts'), '; checkpoints outside: ', scalar(split /\n/, slurp_file($node->data_dir . '/kept')));

# ---- one at a time: what chance seldom brings about ---------------------------------------------------------------------------------------------
# What a crash or a rollback has undone was never told outside.
$node->safe_psql($db, q{BEGIN; INSERT INTO by_sealer (operator) VALUES ('never'); SELECT raxx_detect.chain_seal('by_sealer');
	SELECT FROM raxx_detect.chain_checkpoint('by_sealer'); UPDATE raxx_detect.coverage SET quiet = 'empty';
	SELECT raxx_detect.run('data_audit_log_hash_chain_break'); ROLLBACK});
my %made = map { $_ => 1 } split /\n/, $node->safe_psql($db, 'SELECT line FROM raxx_detect.chain_checkpoints');
my @outside = split /\n/, slurp_file($node->data_dir . '/kept');
cmp_ok(scalar(@outside), '>', 3, 'checkpoints went out');
is(join("\n", grep { !$made{$_} } @outside), '', 'none of which the database knows nothing');

# A column is renamed between the moment at which it is looked up and the one at which it is read.
my ($renamer, $reader) = map { new_session($node, $db) } 1, 2;
$renamer->query('BEGIN; ALTER TABLE by_sealer RENAME tags TO labels');
$reader->send(q{SELECT kind FROM raxx_detect.verify_chain('by_sealer', 'full')});
wait_until('the verification waits', sub { $node->safe_psql($db, "SELECT count(*) FROM pg_locks WHERE pid = $reader->{pid} AND NOT granted") });
$renamer->query('COMMIT');
is(join('|', ($reader->receive)[ 1, 2 ]), 'intact|', 'a column is renamed while a verification waits');
$_->quit foreach $renamer, $reader;

# ---- a dump, a subscriber, a standby ---------------------------------------------------------------------------------------------------------
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', join "\n", grep { /key_file/ } split /\n/, slurp_file($node->data_dir . '/postgresql.conf'));
$subscriber->start;
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr($db) ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'is restored');
all_verified($node, 'restored');
$node->safe_psql('restored', "INSERT INTO $_ (operator) VALUES ('after'); SELECT raxx_detect.chain_seal('$_')") foreach @tables;
all_verified($node, 'restored');

$subscriber->safe_psql('postgres', "CREATE DATABASE $db");
$subscriber->command_ok([ 'pg_restore', '-d', $subscriber->connstr($db), '--schema-only', $dump ], 'the schema, for a subscriber');
my $chain_tables = join ', ', map { "raxx_detect.$_" } qw(chains chain_heads chain_records chain_checkpoints);
$node->safe_psql($db, "CREATE PUBLICATION p FOR TABLE by_sealer, at_commit, part_0, part_1, kept_apart, " . $node->safe_psql($db, 'SELECT beside FROM raxx_detect.chains WHERE beside IS NOT NULL') . ", $chain_tables");
$subscriber->safe_psql($db, "CREATE SUBSCRIPTION s CONNECTION '@{[$node->connstr]} dbname=$db' PUBLICATION p");
$subscriber->wait_for_subscription_sync($node, 's', $db);
$node->safe_psql($db, "INSERT INTO $_ (operator) SELECT 'later' FROM generate_series(1, 50); SELECT raxx_detect.chain_seal('$_')") foreach @tables;
$node->wait_for_catchup('s');
all_verified($subscriber, $db);
$subscriber->safe_psql($db, 'DROP SUBSCRIPTION s');

$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
all_verified($standby, $db);
like(($standby->psql($db, q{SELECT raxx_detect.chain_seal('by_sealer')}))[2], qr/read-only|recovery/, 'a standby seals nothing');
$standby->promote;
all_verified($standby, $db);
$standby->safe_psql($db, "INSERT INTO $_ (operator) VALUES ('promoted'); SELECT raxx_detect.chain_seal('$_')") foreach @tables;
all_verified($standby, $db);
is($standby->safe_psql($db, $sealed_once), join("\n", map { "$_|0|0|0|t" } @tables), 'and goes on');

$_->stop('fast') foreach $subscriber, $standby, $node;
done_testing();
