# Whatever can be read can be a source, with the rights of whoever asks and no lock but a reader's; what an unprivileged
# role needs; and that a database with the extension can be dumped and restored.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $db = new_database($node, 'sources');
my $owner = new_session($node, $db);

# Three days of events with a burst of each entity on each day.
$owner->query(<<'END');
CREATE TABLE plain (id bigint PRIMARY KEY, event_time timestamptz NOT NULL, operator text, permission text, seen_by name);
INSERT INTO plain SELECT n, timestamptz '2024-03-04' + n * interval '1 minute', 'operator ' || n % 97, 'permission ' || n, 'alice'
FROM generate_series(1, 4320) n;
INSERT INTO plain SELECT 10000 + 1000 * day + 100 * who + n, timestamptz '2024-03-04' + day * interval '24 hours' + who * interval '5 hours'
    + n * interval '20 seconds', 'operator ' || who, 'permission ' || n || ':admin', CASE WHEN who = 1 THEN 'alice' ELSE 'bob' END
FROM generate_series(0, 2) day, generate_series(1, 3) who, generate_series(1, 8) n;
CREATE INDEX ON plain (event_time);
END
my @calls = (
	q{velocity_episodes('%s', 'event_time', 'operator', '10 minutes', 5, '-infinity', 'infinity')},
	q{velocity_episodes('%s', 'event_time', 'operator', '10 minutes', 5, '2024-03-05', '2024-03-06')},
	q{distinct_episodes('%s', 'event_time', 'operator', 'permission', '10 minutes', 5, '-infinity', 'infinity')},
	q{gaps('%s', 'event_time', '50 seconds', '-infinity', 'infinity')},
	q{gap_quantiles('%s', 'event_time', 0.99, '-infinity', 'infinity')});

# What the functions and a rule make of a relation.
sub readings
{
	my ($session, $relation) = @_;
	return join("\n", map { $session->query('SELECT * FROM raxx_detect.' . sprintf($_, $relation)) } @calls);
}

sub found
{
	my ($session, $relation) = @_;
	$owner->query("TRUNCATE raxx_detect.detection_findings, raxx_detect.coverage CASCADE;
		SELECT raxx_detect.bind_source('rbac_denials', '$relation')");
	my $outcome = $session->query("SELECT outcome, detail FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-07')");
	return "$outcome\n" . $owner->query('SELECT entity, episode, severity, observed, sample_size, condition
		FROM raxx_detect.detection_findings ORDER BY entity, episode');
}

my $read = readings($owner, 'plain');
my $found = found($owner, 'plain');
like($read, qr/^operator 3\|.*^operator 3\|/ms, 'there is something to find');
is(scalar(() = $found =~ /^operator/mg), 9, 'a finding for each burst');

# ---- kinds of relations -----------------------------------------------------------------------------------------

my %kinds = (
	'a partitioned table' => ['partitioned', q{
		CREATE TABLE partitioned (LIKE plain) PARTITION BY RANGE (event_time);
		CREATE TABLE part_1 PARTITION OF partitioned FOR VALUES FROM (MINVALUE) TO ('2024-03-05 03:00');
		CREATE TABLE part_2 PARTITION OF partitioned FOR VALUES FROM ('2024-03-05 03:00') TO ('2024-03-06 03:00');
		CREATE TABLE part_3 PARTITION OF partitioned DEFAULT;
		INSERT INTO partitioned SELECT * FROM plain;
		CREATE INDEX ON partitioned (event_time)}],
	'a table of partitions by entity' => ['hashed', q{
		CREATE TABLE hashed (LIKE plain) PARTITION BY HASH (operator);
		CREATE TABLE hash_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE hash_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		INSERT INTO hashed SELECT * FROM plain}],
	'a table with an heir' => ['parent', q{
		CREATE TABLE parent (LIKE plain);
		CREATE TABLE heir () INHERITS (parent);
		INSERT INTO parent SELECT * FROM plain WHERE id % 2 = 0;
		INSERT INTO heir SELECT * FROM plain WHERE id % 2 = 1}],
	'a view' => ['joined', q{
		CREATE TABLE operators AS SELECT DISTINCT operator, length(operator) AS number FROM plain;
		CREATE VIEW joined AS SELECT id, event_time, o.operator, permission FROM plain JOIN operators o USING (operator)}],
	'a view that is a union' => ['united', q{
		CREATE VIEW united AS SELECT * FROM plain WHERE id < 10000 UNION ALL SELECT * FROM plain WHERE id >= 10000}],
	'a materialized view' => ['materialized', q{
		CREATE MATERIALIZED VIEW materialized AS SELECT * FROM plain;
		CREATE INDEX ON materialized (operator, event_time)}],
	'a temporary table' => ['temporary', q{CREATE TEMPORARY TABLE temporary AS SELECT * FROM plain}],
	'an unlogged table' => ['unlogged', q{CREATE UNLOGGED TABLE unlogged AS SELECT * FROM plain}]);

foreach my $kind (sort keys %kinds)
{
	my ($relation, $definition) = @{ $kinds{$kind} };
	$owner->query($definition);
	is(readings($owner, $relation), $read, "$kind reads like a plain table");
	is(found($owner, $relation), $found, "$kind gives the same findings");
}

SKIP:
{
	my ($state, undef, $messages) = $owner->attempt('CREATE EXTENSION postgres_fdw');
	if ($state ne '00000')
	{
		diag("foreign tables are not tested: $messages");
		skip 'no postgres_fdw', 2;
	}
	my ($host, $port) = ($node->host, $node->port);
	$owner->query("CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$db');
		CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
		CREATE FOREIGN TABLE distant (id bigint, event_time timestamptz, operator text, permission text)
		SERVER loopback OPTIONS (table_name 'plain')");
	is(readings($owner, 'distant'), $read, 'a foreign table reads like a plain table');
	is(found($owner, 'distant'), $found, 'a foreign table gives the same findings');
}

# ---- locks ------------------------------------------------------------------------------------------------------

$owner->query("CREATE VIEW gated AS SELECT * FROM plain WHERE id <> 2000 OR pg_advisory_xact_lock_shared(1) IS NOT NULL;
	SELECT raxx_detect.bind_source('rbac_denials', 'gated')");
my $runner = new_session($node, $db);
$owner->query('TRUNCATE raxx_detect.coverage; BEGIN; SELECT pg_advisory_xact_lock(1)');
$runner->send("SELECT outcome FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-07')");
wait_until('the run waits', sub { $owner->query("SELECT cardinality(pg_blocking_pids($runner->{pid}))") });
is($owner->query("SELECT DISTINCT mode FROM pg_locks WHERE pid = $runner->{pid} AND relation IN ('plain'::regclass, 'gated'::regclass)"),
	'AccessShareLock', 'a run holds no lock on its source but a reader\'s');
is(($owner->attempt("SET LOCAL lock_timeout = '10s'; INSERT INTO plain VALUES (0, '2024-03-04', 'writer', 'none', 'bob');
	DELETE FROM plain WHERE id = 0"))[0], '00000', 'and writers go on');
$owner->query('ROLLBACK');
is(join('|', $runner->receive), '00000|ok|', 'and it ends well');

# ---- privileges -------------------------------------------------------------------------------------------------

$owner->query("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA raxx_detect TO reader");
my $reader = new_session($node, $db, 'reader');

sub refused
{
	my ($call, $what) = @_;
	my ($state, undef, $messages) = $reader->attempt('SELECT * FROM raxx_detect.' . sprintf($call, 'plain'));
	is($state, '42501', "$what: refused");
	return $messages;
}

like(refused($_, 'no privilege'), qr/permission denied for relation public\.plain.*GRANT SELECT ON public\.plain TO reader;/s,
	'and the relation is named') foreach @calls[ 0, 2, 3 ];
$owner->query('GRANT SELECT (event_time, operator) ON plain TO reader');
is($reader->query('SELECT * FROM raxx_detect.' . sprintf($calls[0], 'plain')),
	$owner->query('SELECT * FROM raxx_detect.' . sprintf($calls[0], 'plain')),
	'privileges on the columns that are read are enough');
like(refused($calls[2], 'no privilege on one column'), qr/Role "reader" may not read column "permission"/, 'and the column is named');
$owner->query('REVOKE ALL ON plain FROM reader; GRANT SELECT ON joined TO reader');
is($reader->query('SELECT * FROM raxx_detect.' . sprintf($calls[0], 'joined')),
	$owner->query('SELECT * FROM raxx_detect.' . sprintf($calls[0], 'plain')), 'a view reads with its owner\'s privileges');

# The privileges that run_all() needs; nothing else belongs to the role.
my $grants = <<'END';
GRANT USAGE ON SCHEMA raxx_detect TO detector;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO detector;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.detection_findings TO detector;
GRANT INSERT, UPDATE ON raxx_detect.deliveries TO detector;
GRANT INSERT, UPDATE ON raxx_detect.coverage TO detector;
GRANT INSERT ON raxx_detect.baseline_starts TO detector;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.baseline_days, raxx_detect.baselines TO detector;
GRANT INSERT ON raxx_detect.rule_runs, raxx_detect.rule_state_changes TO detector;
GRANT UPDATE (state, state_reason, state_since) ON raxx_detect.rules TO detector;
GRANT UPDATE ON raxx_detect.heartbeat TO detector;
GRANT INSERT, UPDATE ON raxx_detect.interruptions TO detector;
END
$owner->query("CREATE ROLE detector LOGIN; $grants");
my $detector = new_session($node, $db, 'detector');
like(found($detector, 'plain'), qr/\Aerror\|42501: permission denied for .*plain/, 'a rule whose source may not be read says so');
$owner->query('GRANT SELECT ON plain TO detector');
is(found($detector, 'plain'), $found, 'a role with few privileges finds the same');
is($detector->query("SELECT DISTINCT outcome FROM raxx_detect.run_all() ORDER BY 1"), "dormant\nok\nskipped", 'and may run all rules');
$owner->query("UPDATE raxx_detect.heartbeat SET last_run_at = now() - interval '2 days'");
is($detector->query('SELECT count(*) FROM raxx_detect.run_all(); SELECT kind FROM raxx_detect.interruptions'), "17\npause", 'and notes that nobody did for long');
is(($detector->attempt("SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{\"window\": \"1 second\"}')"))[0], '42501',
	'but not change them');
is(($detector->attempt('DELETE FROM raxx_detect.rule_runs'))[0], '42501', 'nor hide that it ran');

# ---- row security -----------------------------------------------------------------------------------------------

$owner->query('CREATE TABLE secured AS SELECT * FROM plain; ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON secured USING (seen_by = current_user); CREATE ROLE alice; CREATE ROLE bob;
	GRANT SELECT ON secured TO alice, bob, detector; GRANT USAGE ON SCHEMA raxx_detect TO alice, bob;
	CREATE INDEX ON secured (event_time)');
my %visible = (alice => 3, bob => 6, postgres => 9, none => 9);
# In one session, so that the plan of one role is there when the next one comes.
foreach my $role ('none', 'alice', 'bob', 'alice', 'none', 'bob')
{
	is($owner->query("SET ROLE $role; SELECT count(*) FROM raxx_detect." . sprintf($calls[0], 'secured')),
		$visible{$role}, "row security as for role $role");
}
$owner->query('RESET ROLE; CREATE POLICY bobs ON secured TO detector USING (seen_by = \'bob\')');
is(found($detector, 'secured'), join("\n", 'ok|', grep { /^operator [23]\|/ } split /\n/, $found), 'findings come from the rows that the role sees');

# ---- dump and restore -------------------------------------------------------------------------------------------

$owner->query('DROP EXTENSION IF EXISTS postgres_fdw CASCADE');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$node->command_ok([ 'pg_dump', '--format=custom', "--file=$dump", $node->connstr($db) ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=' . $node->connstr('restored'), $dump ], 'pg_restore');
my $restored = new_session($node, 'restored');
is($restored->query("SELECT count(*) FROM raxx_detect.status"), 17, 'the rules are there');
is(readings($restored, 'plain'), $read, 'the restored database reads the same');

$_->quit foreach $owner, $runner, $reader, $detector, $restored;
done_testing();
