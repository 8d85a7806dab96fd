# Life goes on around the sources: partitions come and go while rules run, schemas are dropped and made anew, rows arrive by
# replication, foreign servers fail; and nothing of that waits for a run longer than it would for any reader. (What kinds of
# relations there are, and what may be read, is in sources.pl.)
use strict;
use warnings FATAL => 'all';

use Cwd 'abs_path';
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server('wal_level = logical', 'max_wal_senders = 4', 'max_replication_slots = 4', 'autovacuum = off', 'max_prepared_transactions = 2');
my $db = new_database($node, 'living');
my $owner = new_session($node, $db);
my $runner = new_session($node, $db);
my $rule = 'auth_rbac_denied_burst';

# Six denials of one operator on each of three days.
my $columns = 'id bigint, event_time timestamptz, operator text, permission text';
my $rows = q{SELECT 100 * day + n AS id, timestamptz '2024-03-04 12:00' + day * interval '1 day' + n * interval '20 seconds' AS event_time,
	'operator ' || day AS operator, 'permission ' || n || ':admin' AS permission FROM generate_series(0, 2) day, generate_series(1, 6) n};

# Binds the source anew: nothing is covered, and nothing found.
sub bind_to
{
	my ($relation) = @_;
	$owner->query("TRUNCATE raxx_detect.detection_findings, raxx_detect.coverage CASCADE; SELECT raxx_detect.bind_source('rbac_denials', '$relation')");
	return;
}

sub run
{
	my ($session, $as_of) = @_;
	return $session->query("SELECT concat_ws(': ', outcome, detail) FROM raxx_detect.run('$rule', '$as_of')");
}

# Who was found, and with how many permissions at the peak.
sub found
{
	return $owner->query(q{SELECT string_agg(entity || ': ' || observed, ', ' ORDER BY entity) FROM raxx_detect.detection_findings});
}

my $all = 'operator 0: 6, operator 1: 6, operator 2: 6';

# Holds a run at a row of a relation, by a view (gated) that waits for a lock there; does; lets it go on, and returns how it ended.
sub while_running
{
	my ($relation, $do) = @_;
	$owner->query("DROP VIEW IF EXISTS gated; CREATE VIEW gated AS SELECT * FROM $relation WHERE id <> 103 OR pg_advisory_xact_lock_shared(1) IS NOT NULL");
	bind_to('gated');
	my $holder = new_session($node, $db);
	$holder->query('SELECT pg_advisory_lock(1)');
	$runner->send("SELECT concat_ws(': ', outcome, detail) FROM raxx_detect.run('$rule', '2024-03-08')");
	wait_until('the run waits', sub { $holder->query("SELECT cardinality(pg_blocking_pids($runner->{pid}))") });
	$do->();
	$holder->query('SELECT pg_advisory_unlock(1)');
	$holder->quit;
	return ($runner->receive)[1];
}

sub waits
{
	my ($session) = @_;
	return $owner->query("SELECT $runner->{pid} = ANY (pg_blocking_pids($session->{pid}))") eq 't';
}

# ---- partitions, between runs -------------------------------------------------------------------------------------

$owner->query("CREATE TABLE parts ($columns) PARTITION BY RANGE (event_time);
	CREATE TABLE day_0 PARTITION OF parts FOR VALUES FROM ('2024-03-04') TO ('2024-03-05');
	CREATE TABLE day_1 PARTITION OF parts FOR VALUES FROM ('2024-03-05') TO ('2024-03-06') PARTITION BY HASH (operator);
	CREATE TABLE day_1_a PARTITION OF day_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE day_1_b PARTITION OF day_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE others PARTITION OF parts DEFAULT;
	CREATE INDEX ON parts (event_time);
	INSERT INTO parts $rows");
bind_to('parts');
is(run($runner, '2024-03-05'), 'ok', 'a partitioned table');
is(found(), 'operator 0: 6', 'its first day');
is(run($runner, '2024-03-06'), 'ok', 'partitions of partitions');
$owner->query("ALTER TABLE parts DETACH PARTITION others; CREATE TABLE day_2 ($columns); INSERT INTO day_2 SELECT * FROM others;
	ALTER TABLE parts ATTACH PARTITION day_2 FOR VALUES FROM ('2024-03-06') TO ('2024-03-07')");
is(run($runner, '2024-03-06 12:01:40'), 'ok', 'a partition was attached');
is(found(), 'operator 0: 6, operator 1: 6, operator 2: 5', 'and its rows are seen by the session that had the plan');
$owner->query('DROP TABLE day_0');
is(run($runner, '2024-03-06 18:00'), 'ok', 'the oldest partition was dropped');
is(found(), $all, 'its finding stays, and an episode goes on');
$owner->query("ALTER TABLE parts DETACH PARTITION day_1 CONCURRENTLY");
is(run($runner, '2024-03-06 19:00'), 'ok', 'a partition was detached concurrently');
is(found(), $all, 'its finding stays');
$owner->query("CREATE TABLE day_3 PARTITION OF parts FOR VALUES FROM ('2024-03-07') TO ('2024-03-08');
	INSERT INTO parts SELECT id + 1000, event_time + interval '1 day', 'operator 3', permission FROM day_2");
is(run($runner, '2024-03-08'), 'ok', 'a new partition');
is(found(), "$all, operator 3: 6", 'is seen');
$owner->query("ALTER TABLE parts DETACH PARTITION day_2; ALTER TABLE parts DETACH PARTITION day_3");
like(run($runner, '2024-03-08 01:00'), qr/^no_data: rbac_denials has no rows/, 'no partition at all');
is(found(), "$all, operator 3: 6", 'closes nothing and removes nothing');

# ---- partitions, during a run -------------------------------------------------------------------------------------

sub new_partitions
{
	$owner->query("DROP TABLE IF EXISTS live, live_0, live_3 CASCADE; CREATE TABLE live ($columns) PARTITION BY RANGE (event_time);
		CREATE TABLE live_0 PARTITION OF live FOR VALUES FROM ('2024-03-04') TO ('2024-03-05');
		CREATE TABLE live_1 PARTITION OF live FOR VALUES FROM ('2024-03-05') TO ('2024-03-06');
		CREATE TABLE live_2 PARTITION OF live FOR VALUES FROM ('2024-03-06') TO ('2024-03-07');
		CREATE INDEX ON live (event_time); INSERT INTO live $rows");
	return;
}
my $other = new_session($node, $db);
new_partitions();
$owner->query("CREATE TABLE live_3 ($columns); CREATE TABLE elsewhere (LIKE live) PARTITION BY RANGE (event_time);
	CREATE TABLE elsewhere_0 PARTITION OF elsewhere DEFAULT");
my ($locks, $attached, %goes_on);
is(while_running('live', sub {
		$locks = $owner->query("SELECT string_agg(DISTINCT l.mode, ' '), count(DISTINCT l.relation) >= 8
			FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = 'public'::regnamespace WHERE l.pid = $runner->{pid}");
		my %commands = ('an insert' => "INSERT INTO live VALUES (0, '2024-03-04', 'x', 'y')", 'an update' => 'UPDATE live SET permission = permission WHERE id = 0',
			'a delete' => 'DELETE FROM live WHERE id = 0', 'a vacuum' => 'VACUUM live', 'an analyze' => 'ANALYZE live_1',
			'attaching a partition' => "ALTER TABLE live ATTACH PARTITION live_3 FOR VALUES FROM ('2024-03-07') TO ('2024-03-08')",
			'a change of statistics' => 'ALTER TABLE live_2 ALTER operator SET STATISTICS 500',
			'an index' => 'CREATE INDEX ON live_2 (operator)', 'a trigger' => 'CREATE TRIGGER t BEFORE UPDATE ON live_2 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
			'altering a partition of another table' => 'ALTER TABLE elsewhere_0 ALTER operator SET NOT NULL');
		$other->query("SET lock_timeout = '20s'");
		$goes_on{$_} = ($other->attempt($commands{$_}))[0] foreach sort keys %commands;
		$other->query('RESET lock_timeout');
	}), 'ok', 'a run while others work');
is($locks, 'AccessShareLock|t', 'has no lock on its sources, their partitions and indexes but a reader\'s');
is($goes_on{$_}, '00000', "$_ does not wait for it") foreach sort keys %goes_on;
is(found(), $all, 'all is found');

# What excludes readers waits for the run as for any reader, and the run for nobody.
foreach my $command ('ALTER TABLE live DETACH PARTITION live_0 CONCURRENTLY', 'DROP TABLE live_0', 'ALTER TABLE live_2 ADD CHECK (id > 0)',
	'CREATE INDEX CONCURRENTLY ON live_2 (operator)', "CREATE TABLE live_4 PARTITION OF live FOR VALUES FROM ('2024-03-08') TO ('2024-03-09')")
{
	new_partitions();
	is(while_running('live', sub {
			$other->send($command);
			wait_until("it waits: $command", sub { waits($other) });
		}), 'ok', "a run that others wait for: $command");
	is(($other->receive)[0], '00000', '... which goes on when it has ended');
	is(found(), $all, '... and it finds what there was');
	is(run($runner, '2024-03-09'), 'ok', '... and the next one is well');
}

new_partitions();
bind_to('live');
run($runner, '2024-03-05 12:03');
is($owner->query("SELECT string_agg(condition, ' ' ORDER BY entity) FROM raxx_detect.detection_findings"), 'cleared firing', 'an episode that lasts');
$owner->query('DROP TABLE live_1');
is(run($runner, '2024-03-05 12:04'), 'ok', 'and whose rows go with their partition');
is($owner->query("SELECT condition, summary ~ 'have changed since' FROM raxx_detect.detection_findings ORDER BY entity"), "cleared|f\ncleared|t", 'is cleared, and says why');

# ---- heirs ----------------------------------------------------------------------------------------------------------

$owner->query("CREATE TABLE ancestor ($columns); CREATE TABLE heir_1 (extra int) INHERITS (ancestor); CREATE TABLE heir_2 ($columns);
	INSERT INTO ancestor SELECT * FROM ($rows) r WHERE id < 100; INSERT INTO heir_1 SELECT * FROM ($rows) r WHERE id BETWEEN 100 AND 199;
	INSERT INTO heir_2 SELECT * FROM ($rows) r WHERE id >= 200");
bind_to('ancestor');
run($runner, '2024-03-06');
is(found(), 'operator 0: 6, operator 1: 6', 'heirs count');
$owner->query('ALTER TABLE heir_2 INHERIT ancestor');
run($runner, '2024-03-07');
is(found(), $all, 'one that comes later as well');
$owner->query('ALTER TABLE heir_1 NO INHERIT ancestor');
is(run($runner, '2024-03-08'), 'ok', 'one may go');
is(found(), $all, 'its findings stay');

# ---- views ------------------------------------------------------------------------------------------------------------

$owner->query("CREATE TABLE base AS $rows; CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM base WHERE operator <> 'operator 1';
	CREATE VIEW invoked WITH (security_invoker) AS SELECT * FROM base; CREATE ROLE detector LOGIN; GRANT USAGE ON SCHEMA raxx_detect TO detector;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO detector; GRANT SELECT ON guarded, invoked TO detector");
my $detector = new_session($node, $db, 'detector');
bind_to('guarded');
is(run($detector, '2024-03-08'), 'ok', 'a view with a security barrier, by who may read nothing else');
is(found(), 'operator 0: 6, operator 2: 6', 'shows what it shows');
bind_to('invoked');
like(run($detector, '2024-03-08'), qr/^error: 42501: permission denied for table base/, 'a view that reads with its caller\'s rights');
is(found(), '', 'finds nothing');
$owner->query('GRANT SELECT ON base TO detector; ALTER TABLE base ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON base TO detector USING (id > 100)');
is(run($detector, '2024-03-08'), 'ok', 'and whose caller may read some of the rows');
is(found(), 'operator 1: 6, operator 2: 6', 'finds what the caller may see');
is(run($runner, '2024-03-09'), 'ok', 'whoever may read more');
is(found(), 'operator 1: 6, operator 2: 6', 'does not judge again what has been judged: one role should run the rules');
$detector->query('SET row_security = off');
$owner->query("TRUNCATE raxx_detect.coverage");
like(run($detector, '2024-03-08'), qr/^error: 42501: query would be affected by row-level security policy/, 'row security that would hide rows can be made an error');
$detector->query('RESET row_security');

# Whoever may read the findings reads all of them, whatever they may read of the sources; policies are theirs to make.
$owner->query("CREATE ROLE auditor LOGIN; GRANT USAGE ON SCHEMA raxx_detect TO auditor; GRANT SELECT ON raxx_detect.detection_findings TO auditor");
my $auditor = new_session($node, $db, 'auditor');
my $seen = 'SELECT count(*) FROM raxx_detect.detection_findings';
is($auditor->query($seen), 2, 'findings are read with the privileges on the findings');
$owner->query("ALTER TABLE raxx_detect.detection_findings ENABLE ROW LEVEL SECURITY; CREATE POLICY auditor ON raxx_detect.detection_findings TO auditor USING (entity = 'operator 1');
	CREATE POLICY detector ON raxx_detect.detection_findings TO detector USING (true); TRUNCATE raxx_detect.coverage, raxx_detect.detection_findings CASCADE");
is(run($detector, '2024-03-08') . found(), 'okoperator 1: 6, operator 2: 6', 'with row security on them, they are found as before');
is($auditor->query($seen), 1, 'and shown to whom it may concern');
$owner->query('ALTER TABLE raxx_detect.detection_findings DISABLE ROW LEVEL SECURITY');

# ---- columns ----------------------------------------------------------------------------------------------------------

$owner->query('ALTER TABLE base DISABLE ROW LEVEL SECURITY; REVOKE ALL ON base FROM detector; GRANT SELECT (event_time, operator, permission) ON base TO detector');
bind_to('base');
is(run($detector, '2024-03-08') . found(), "ok$all", 'privileges on the bound columns are enough');
is($detector->query("SELECT state FROM raxx_detect.status WHERE rule_id = '$rule'"), 'live', 'also to look at the status');
$owner->query('REVOKE SELECT (operator) ON base FROM detector');
like(run($detector, '2024-03-09'), qr/^error: 42501: permission denied for relation public\.base.*Role "detector" may not read column "operator"/, 'and one that is missing is named');

# ---- materialized views ---------------------------------------------------------------------------------------------

$owner->query("DROP TABLE base CASCADE; CREATE TABLE base AS $rows; CREATE MATERIALIZED VIEW made AS SELECT * FROM base WHERE id < 200;
	CREATE UNIQUE INDEX ON made (id); CREATE INDEX ON made (event_time)");
my $refreshed;
is(while_running('made', sub { $refreshed = ($other->attempt("SET lock_timeout = '20s'; REFRESH MATERIALIZED VIEW CONCURRENTLY made"))[0] }), 'ok',
	'a materialized view, while it is refreshed concurrently');
is($refreshed, '00000', 'which does not wait');
bind_to('made');
$owner->query("SELECT raxx_detect.bind_source('rbac_denials', 'made', lateness => '1 hour')");
run($runner, '2024-03-05 12:10');
$owner->query("INSERT INTO base SELECT id + 50, event_time + interval '30 minutes', 'operator 9', permission FROM base WHERE id BETWEEN 100 AND 199");
run($runner, '2024-03-05 12:45');
is(found(), 'operator 0: 6, operator 1: 6', 'it shows what it holds');
$owner->query('REFRESH MATERIALIZED VIEW made');
run($runner, '2024-03-05 13:00');
is(found(), 'operator 0: 6, operator 1: 6, operator 9: 6', 'nothing is missed where the lateness is longer than from one refresh to the next');

# ---- foreign tables -------------------------------------------------------------------------------------------------

SKIP:
{
	skip 'no postgres_fdw or file_fdw', 10 if ($owner->attempt('CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw'))[0] ne '00000';
	my $file = abs_path(PostgreSQL::Test::Utils::tempdir()) . '/denials.csv';
	$owner->query("COPY ($rows) TO '$file' (FORMAT csv); CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
		CREATE FOREIGN TABLE filed ($columns) SERVER files OPTIONS (filename '$file', format 'csv')");
	bind_to('filed');
	is(run($runner, '2024-03-08'), 'ok', 'a file');
	is(found(), $all, 'is read like a table');
	append_to_file($file, "999,not a time,x,y\n");
	like(run($runner, '2024-03-08 00:01'), qr/^error: 22007: .*not a time/, 'one with a broken line');
	is(found(), $all, 'leaves the findings alone');
	is($owner->query("SELECT looked_to FROM raxx_detect.coverage"), '2024-03-08 00:00:00+00', 'and the coverage');

	my ($host, $port) = ($node->host, $node->port);
	$owner->query("CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname '$db');
		CREATE USER MAPPING FOR CURRENT_USER SERVER other; CREATE TABLE shard_1 AS SELECT * FROM ($rows) r WHERE id >= 100;
		CREATE TABLE sharded ($columns) PARTITION BY RANGE (id); CREATE TABLE shard_0 PARTITION OF sharded FOR VALUES FROM (0) TO (100);
		CREATE FOREIGN TABLE shard_far PARTITION OF sharded FOR VALUES FROM (100) TO (1000) SERVER other OPTIONS (table_name 'shard_1');
		INSERT INTO shard_0 SELECT * FROM ($rows) r WHERE id < 100");
	bind_to('sharded');
	is(run($runner, '2024-03-06'), 'ok', 'a partition on another server');
	is(found(), 'operator 0: 6, operator 1: 6', 'is read with the others');
	$owner->query("ALTER SERVER other OPTIONS (SET port '1')");
	like(run($runner, '2024-03-07'), qr/^error: 08001: could not connect to server "other"/, 'a server that does not answer');
	is($owner->query("SELECT looked_to FROM raxx_detect.coverage"), '2024-03-06 00:00:00+00', 'moves no coverage');
	$owner->query("ALTER SERVER other OPTIONS (SET port '$port')");
	is(run($runner, '2024-03-07') . found(), "ok$all", 'and when it does again, nothing was missed');
}

# ---- what becomes of tables -----------------------------------------------------------------------------------------

$owner->query("CREATE SCHEMA app; CREATE TABLE app.denials AS $rows");
bind_to('app.denials');
is(run($runner, '2024-03-06'), 'ok', 'a table in a schema');
$owner->query("DROP SCHEMA app CASCADE; CREATE SCHEMA app; CREATE TABLE app.denials AS $rows");
like(run($runner, '2024-03-07'), qr/^error: 42P01: the relation bound to source rbac_denials no longer exists.*Bind the source again/, 'that was dropped and made anew is another');
is(found(), 'operator 0: 6, operator 1: 6', 'which changes nothing');
$owner->query("SELECT raxx_detect.bind_source('rbac_denials', 'app.denials')");
is(run($runner, '2024-03-07') . found(), "ok$all", 'until it is bound again');
$owner->query('ALTER SCHEMA app RENAME TO application; ALTER TABLE application.denials RENAME TO refusals');
is(run($runner, '2024-03-08'), 'ok', 'names are only names');

$owner->query("CREATE DOMAIN moment AS timestamptz NOT NULL; CREATE DOMAIN who AS text CHECK (VALUE <> ''); CREATE TABLE odd (gone text, id bigint, event_time moment,
		gone_too int, first text, operator who GENERATED ALWAYS AS ('operator ' || first) STORED, permission varchar(100));
	INSERT INTO odd (id, event_time, first, permission) SELECT id, event_time, right(operator, 1), permission FROM ($rows) r;
	ALTER TABLE odd DROP gone, DROP gone_too; ALTER TABLE odd ADD more int DEFAULT 7");
bind_to('odd');
is(run($runner, '2024-03-08') . found(), "ok$all", 'domains, generated, dropped and added columns');

$owner->query("CREATE TABLE long ($columns); INSERT INTO long SELECT id, event_time, operator || repeat('x', 100000),
		(SELECT string_agg(md5(permission || i), '') FROM generate_series(1, 3000) i) || ':admin' FROM ($rows) r");
bind_to('long');
is(run($runner, '2024-03-08'), 'ok', 'values that are stored out of line');
is($owner->query("SELECT count(*), min(observed), bool_and(pg_column_size(f.*) < 10000) FROM raxx_detect.detection_findings f"), '3|6|t', 'are told apart, and cut');

# ---- a subscriber --------------------------------------------------------------------------------------------------------

my $publisher = 'publisher';
my $connection = $node->connstr($publisher) =~ s/'/''/gr;
$node->safe_psql('postgres', "CREATE DATABASE $publisher");
$node->safe_psql($publisher, "CREATE TABLE replicated ($columns, PRIMARY KEY (id)); CREATE PUBLICATION denials FOR TABLE replicated;
	SELECT pg_create_logical_replication_slot('denials', 'pgoutput'); INSERT INTO replicated SELECT * FROM ($rows) r WHERE id < 200");
$owner->query("CREATE TABLE replicated ($columns, PRIMARY KEY (id)); CREATE INDEX ON replicated (event_time);
	CREATE SUBSCRIPTION denials CONNECTION '$connection' PUBLICATION denials WITH (create_slot = false, slot_name = 'denials')");
wait_until('the rows have come', sub { $owner->query('SELECT count(*) = 12 FROM replicated') eq 't' });
bind_to('replicated');
is(run($runner, '2024-03-06') . found(), 'okoperator 0: 6, operator 1: 6', 'a subscriber\'s table');
$node->safe_psql($publisher, "INSERT INTO replicated SELECT * FROM ($rows) r WHERE id >= 200");
wait_until('the rows have come', sub { $owner->query('SELECT count(*) = 18 FROM replicated') eq 't' });
is(run($runner, '2024-03-07') . found(), "ok$all", 'and what comes');
$owner->query('ALTER SUBSCRIPTION denials DISABLE; ALTER SUBSCRIPTION denials SET (slot_name = NONE); DROP SUBSCRIPTION denials');

# ---- many partitions -------------------------------------------------------------------------------------------------------

$owner->query("CREATE TABLE many ($columns) PARTITION BY RANGE (event_time);
	SELECT format('CREATE TABLE many_%s PARTITION OF many FOR VALUES FROM (%L) TO (%L)', d, timestamptz '2023-11-01' + d * interval '1 day', timestamptz '2023-11-01' + (d + 1) * interval '1 day')
	FROM generate_series(0, 199) d \\gexec
	CREATE INDEX ON many (event_time); INSERT INTO many $rows; ANALYZE many");
bind_to('many');
is(run($runner, '2024-03-06'), 'ok', 'two hundred partitions');
is(run($runner, '2024-03-08') . found(), "ok$all", 'are read like one table');
diag('a run over 200 partitions without news: ' . $runner->query("SELECT elapsed FROM raxx_detect.run('$rule', '2024-03-08 00:01')"));

# ---- advice -----------------------------------------------------------------------------------------------------------------

sub advice
{
	my ($relation, @more) = @_;
	bind_to($relation) if !@more;
	$owner->query("SELECT raxx_detect.bind_source('rbac_denials', '$relation', '$more[0]')") if @more;
	return $owner->query("SELECT advice FROM raxx_detect.status WHERE rule_id = '$rule'");
}

is(advice('many'), '', 'an index on the partitioned table serves all of them');
is(advice('base'), 'no index on event_time: each run reads the whole table: CREATE INDEX CONCURRENTLY ON public.base (event_time)', 'a table without an index');
$owner->query('CREATE INDEX ON base (operator, event_time); CREATE INDEX ON base (event_time) WHERE id > 100; CREATE INDEX ON base USING hash (event_time)');
isnt(advice('base'), '', 'no index that begins with something else, or has some of the rows, or no order, will do');
$owner->query('CREATE INDEX ON base (event_time DESC, operator)');
is(advice('base'), '', 'one that begins with the time will');
$owner->query('CREATE SCHEMA "We""ird"; CREATE TABLE "We""ird"."T able" ("the ""time" timestamptz, operator text, permission text)');
my $command = 'CREATE INDEX CONCURRENTLY ON "We""ird"."T able" ("the ""time")';
is(advice('"We""ird"."T able"', '{"event_time": "the \"time"}'), "no index on \"the \"\"time\": each run reads the whole table: $command", 'names that need quotes');
is(($owner->attempt($command))[0], '00000', 'have them');
is(advice('"We""ird"."T able"', '{"event_time": "the \"time"}'), '', 'and it helps');
is(advice('sharded'), 'no index on event_time: each run reads all partitions, or those without one: CREATE INDEX ON public.sharded (event_time)', 'a partitioned table');
$owner->query('CREATE INDEX ON shard_0 (event_time)');
is(advice('sharded'), '', 'whose partitions have theirs; a foreign one is not ours');
$owner->query('CREATE INDEX ON ancestor (event_time)');
like(advice('ancestor'), qr/CREATE INDEX CONCURRENTLY ON public\.heir_2 \(event_time\)$/, 'an heir without one');
is(advice('gated'), '', 'of views nothing is known');
$owner->query('DROP VIEW gated');
is($owner->query("SELECT advice FROM raxx_detect.status WHERE rule_id = '$rule'"), '', 'nor of what is gone');

# ---- the horizon ------------------------------------------------------------------------------------------------------------

$owner->query("DROP TABLE IF EXISTS recent; CREATE TABLE recent ($columns); INSERT INTO recent VALUES (1, now(), 'operator', 'a:admin')");
bind_to('recent');
$owner->query("SELECT count(*) FROM raxx_detect.run_all()");
my $health = "SELECT healthy, reason FROM raxx_detect.health WHERE rule_id = '$rule'";
is($owner->query($health), 't|it sees', 'health, when all is well');
$other->query("BEGIN; INSERT INTO recent VALUES (2, now(), 'operator', 'b:admin')");
$owner->query("SET raxx_detect.blind_after = '1s'");
wait_until('it has been open for long', sub {
	$owner->query("SELECT xact_start < now() - interval '1 second' FROM pg_stat_activity WHERE pid = $other->{pid}") eq 't' });
like($owner->query("SELECT count(*) FROM raxx_detect.run_all(); $health"),
	qr/^17\nf\|the horizon stands still: process $other->{pid} of role "postgres" has a transaction open since/, 'a transaction that stays open is named');
$other->query('COMMIT');
is($owner->query("SELECT count(*) FROM raxx_detect.run_all(); SELECT healthy FROM raxx_detect.health WHERE rule_id = '$rule';
	SELECT kind, lasts FROM raxx_detect.blind_spells WHERE rule_id = '$rule' AND kind = 'stall'"), "17\nt\nstall|f", 'and it is over, and on record, when it ends');
$other->query("BEGIN; INSERT INTO recent VALUES (3, now(), 'operator', 'c:admin'); PREPARE TRANSACTION 'forgotten'");
like($owner->query("SELECT count(*) FROM raxx_detect.run_all(); SET raxx_detect.blind_after = '1min'; $health"), qr/^17\nt\|it sees/, 'one that was prepared a moment ago is nothing to speak of');
$owner->query("SET raxx_detect.blind_after = '1s'");
wait_until('it has been prepared for long', sub { $owner->query("SELECT prepared < now() - interval '1 second' FROM pg_prepared_xacts") eq 't' });
like($owner->query("SELECT count(*) FROM raxx_detect.run_all(); $health"), qr/^17\nf\|the horizon stands still: transaction "forgotten" of role "postgres" is prepared since/, 'so is one that is prepared');
$other->query("COMMIT PREPARED 'forgotten'");
like($owner->query("SELECT count(*) FROM raxx_detect.run_all(); $health"), qr/^17\nt\|/, 'until it is committed');
is(found(), 'operator: 3', 'and nothing of either was lost');

$_->quit foreach $owner, $runner, $other, $detector, $auditor;
done_testing();
