# Snapshots of a real pg_stat_statements: absent, created but not preloaded, and preloaded; what is counted, what a reset
# and a restart do, who may see what, and that two sessions do not take one snapshot twice. Snapshots are dated by hand,
# so nothing waits for a minute to pass.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $db = new_database($node, 'statements');
my $session = new_session($node, $db);

# What a snapshot at a time of 2024-03-07 says.
sub scrape
{
	my ($time, $who) = @_;
	return ($who // $session)->query("SELECT taken > 0, detail FROM raxx_detect.scrape_statements('2024-03-07 $time')");
}

sub available
{
	my ($who) = @_;
	return ($who // $session)->query('SELECT available, detail FROM raxx_detect.statements_available()');
}

# ---- absent, and not preloaded ----------------------------------------------------------------------------------

my $not_created = 'pg_stat_statements is not created: add it to shared_preload_libraries, restart the server, and run CREATE EXTENSION pg_stat_statements in this database';
is(available(), "f|$not_created", 'not created');
$session->query(q{CREATE FUNCTION public.pg_stat_statements(boolean) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$});
is(scrape('11:00'), "f|$not_created", 'a function that only has its name is not called');
$session->query('DROP FUNCTION public.pg_stat_statements(boolean)');

$session->query('CREATE SCHEMA "the ""stats"""; CREATE EXTENSION pg_stat_statements SCHEMA "the ""stats"""');
my $not_preloaded = 'pg_stat_statements is created but not preloaded: add it to shared_preload_libraries and restart the server';
is(available(), "f|$not_preloaded", 'created but not preloaded');
is(scrape('11:00'), "f|$not_preloaded", 'nothing is taken');
is($session->query('SELECT count(*) FROM raxx_detect.statement_samples') . $session->query("SELECT count(*) FROM raxx_detect.source_bindings"), '00',
	'nothing is written or bound');

$session->quit;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'");
$node->restart;
$session = new_session($node, $db);

# ---- what is counted ----------------------------------------------------------------------------------------------

# The same constants make the same statement, and one without a relation has the same queryid in each database.
my ($busy, $idle, $new) = ('SELECT 42 AS busy', 'SELECT 42 AS idle, 1', 'SELECT 42 AS new, 1, 2');
sub repeat
{
	my ($who, $statement, $times) = @_;
	$who->query($statement) foreach 1 .. $times;
	return;
}
# queryid, calls and milliseconds of a statement by all roles in this database, as the view has it.
sub counters
{
	my ($statement) = @_;
	my $text = $statement =~ s/\b\d+\b/\$_/gr;
	return split /\|/, $session->query("SELECT queryid, sum(calls), sum(total_exec_time) FROM \"the \"\"stats\"\"\".pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND regexp_replace(query, '\\\$\\d+', '\$_', 'g') = '$text' GROUP BY queryid");
}
sub samples
{
	my ($queryid) = @_;
	return $session->query("SELECT to_char(sample_time, 'HH24:MI'), calls FROM raxx_detect.statement_samples WHERE queryid = $queryid ORDER BY sample_time");
}
sub intervals
{
	my ($queryid, $time) = @_;
	return $session->query("SELECT calls, mean_ms FROM raxx_detect.source_bindings b, raxx_detect.statement_intervals(b, '2024-03-07 00:00', '2024-03-07 23:00') i
		WHERE b.source = 'statement_samples' AND queryid = $queryid AND at = '2024-03-07 $time'");
}

is(available(), 't|pg_stat_statements is preloaded and created', 'preloaded and created');
is($session->query('SET compute_query_id = off; SELECT detail FROM raxx_detect.statements_available(); RESET compute_query_id'),
	'pg_stat_statements is preloaded and created, but compute_query_id is off: unless another module computes query ids, no statement is counted',
	'without query ids there is nothing to count');
repeat($session, $busy, 5);
repeat($session, $idle, 2);
is(scrape('12:00'), 't|', 'the first snapshot');
is($session->query("SELECT relation, columns FROM raxx_detect.source_bindings WHERE source = 'statement_samples'"),
	'raxx_detect.statement_samples|{"calls": "calls", "queryid": "queryid", "total_ms": "total_ms", "sample_time": "sample_time"}', 'binds the source');
my ($queryid, $calls, $before_ms) = counters($busy);
my ($idle_queryid) = counters($idle);
isnt($queryid, $idle_queryid, 'two statements');
is($calls, 5, 'of which one has run five times');
is($session->query("SELECT calls, total_ms = '$before_ms' FROM raxx_detect.statement_samples WHERE queryid = $queryid"), '5|t', 'as the sample says, to the last bit');

# By another role, nested, and in another database.
$node->safe_psql($db, 'CREATE ROLE alice LOGIN');
my $alice = new_session($node, $db, 'alice');
repeat($alice, $busy, 2);
$session->query(qq{SET pg_stat_statements.track = 'all'; DO \$\$ BEGIN EXECUTE '$busy'; END \$\$; RESET pg_stat_statements.track});
$node->safe_psql('postgres', "$busy;" x 4);
repeat($session, $busy, 3);
is(scrape('12:00:30'), 'f|not due: the last snapshot was taken at 2024-03-07 12:00:00+00', 'one snapshot in sample_every');
is(scrape('12:00:54'), 't|', 'less a tenth');
my (undef, $calls_now, $now_ms) = counters($busy);
is($calls_now, 11, 'six calls more, of two roles, one of them nested');
is(samples($queryid), "12:00|5\n12:00|11", 'all are in the sample');
is(samples($idle_queryid), '12:00|2', 'a statement that has not run has no further sample');
my ($interval_calls, $mean) = split /\|/, intervals($queryid, '12:00:54');
is($interval_calls, 6, 'the calls between');
cmp_ok(abs($mean * 6 - ($now_ms - $before_ms)), '<', 1e-9, 'and their mean time');
is(scrape('11:00'), 'f|not due: the last snapshot was taken at 2024-03-07 12:00:54+00', 'nor is one due before the last');
like($session->query("BEGIN; SELECT detail FROM raxx_detect.scrape_statements('2124-01-01'); SELECT taken_at = now() FROM raxx_detect.statement_scraper; ROLLBACK"),
	qr/^\nt$/, 'a snapshot is never dated in the future');
is($session->query("SELECT count(*) FROM raxx_detect.statement_samples WHERE queryid IS NULL OR calls = 0"), '0', 'every sample has a statement and calls');
is($session->query('SELECT count(*) FROM raxx_detect.statement_resets'), '0', 'no reset so far');

# ---- resets and restarts ------------------------------------------------------------------------------------------

$session->query('SELECT "the ""stats""".pg_stat_statements_reset()');
repeat($session, $busy, 13);
repeat($session, $new, 2);
is(scrape('12:02'), 't|', 'after a reset');
is(samples($queryid), "12:00|5\n12:00|11\n12:02|13", 'counters that have outgrown what they were before');
is((split /\|/, intervals($queryid, '12:02'))[0], 13, 'count from zero all the same');
is($session->query("SELECT seen_at = '2024-03-07 12:02', reset_at = stats_reset FROM raxx_detect.statement_resets, \"the \"\"stats\"\"\".pg_stat_statements_info"), 't|t',
	'since the reset is on record');
my ($new_queryid) = counters($new);
is((split /\|/, intervals($new_queryid, '12:02'))[0], 2, 'what is first seen after a reset has a beginning');
is(intervals($idle_queryid, '12:02'), '', 'what did not run has nothing');

# Of one statement only: no reset is on record, but its calls fell.
$session->query("SELECT \"the \"\"stats\"\"\".pg_stat_statements_reset(queryid => $queryid)");
repeat($session, $busy, 3);
scrape('12:03');
is((split /\|/, intervals($queryid, '12:03'))[0], 3, 'one statement was forgotten');
is($session->query('SELECT count(*) FROM raxx_detect.statement_resets'), '1', 'which is no reset of all');

$_->quit foreach $session, $alice;
$node->restart;
$session = new_session($node, $db);
repeat($session, $busy, 4);
is(scrape('12:04'), 't|', 'after a restart');
is((split /\|/, intervals($queryid, '12:04'))[0], 4, 'counting goes on');
is($session->query('SELECT count(*) FROM raxx_detect.statement_resets'), '1', 'since nothing was lost');
$session->quit;
$node->kill9;
wait_until('the server starts again', sub { $node->start(fail_ok => 1) });
$session = new_session($node, $db);
repeat($session, $busy, 12);
scrape('12:05');
is((split /\|/, intervals($queryid, '12:05'))[0], 12, 'after a crash counting begins at zero, though more than before');
is($session->query('SELECT count(*) FROM raxx_detect.statement_resets'), '2', 'which is a reset');

# ---- retention ------------------------------------------------------------------------------------------------------

$session->query("INSERT INTO raxx_detect.statement_samples SELECT timestamptz '2024-03-07 13:30' - d * interval '1 day', 1, 1, 1 FROM generate_series(1, 20) d");
my $old = 'SELECT count(*) FROM raxx_detect.statement_samples WHERE queryid = 1';
scrape('12:30');
is($session->query($old), '20', 'old samples are not looked for in each call');
scrape('13:01');
is($session->query($old), '9', 'but every hour: the baseline, the window and a day are kept');
$session->query(q{SELECT raxx_detect.set_params('ops_postgres_p99_drift', '{"sample_every": "10 minutes", "window": "2 days"}')});
like(scrape('13:09'), qr/^f\|not due/, 'sample_every is the rule\'s');
is(scrape('13:10'), 't|', 'and a tenth less of it');
$session->query(q{SELECT raxx_detect.set_params('ops_postgres_p99_drift', '{"sample_every": "1 minute", "window": "1 day"}')});

# ---- bound to something else ------------------------------------------------------------------------------------------

$session->query("SELECT raxx_detect.unbind_source('statement_samples')");
is(scrape('13:20'), q{f|source statement_samples was unbound, so no snapshot is taken: SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples')},
	'who unbinds the source ends the snapshots');
$session->query("SELECT raxx_detect.create_source_table('statement_samples')");
is(scrape('13:20'), 'f|source statement_samples is bound to public.statement_samples, so no snapshot is taken', 'nor are there any for another relation');
$session->query("SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples')");
is(scrape('13:20'), 't|', 'until it is bound again');

# ---- rights -----------------------------------------------------------------------------------------------------------

$session->query('GRANT USAGE ON SCHEMA raxx_detect TO alice; GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO alice');
$alice = new_session($node, $db, 'alice');
like(scrape('13:30', $alice), qr/^f\|42501: permission denied for table statement_scraper\.$/, 'an error is a detail');
$session->query('GRANT INSERT, DELETE ON raxx_detect.statement_samples, raxx_detect.statement_resets, raxx_detect.statement_histograms TO alice; GRANT UPDATE ON raxx_detect.statement_scraper TO alice');
is(available($alice), 'f|pg_stat_statements is not readable by role alice: GRANT USAGE ON SCHEMA "the ""stats""" TO alice', 'not readable: the schema');
$session->query('GRANT USAGE ON SCHEMA "the ""stats""" TO alice; REVOKE EXECUTE ON FUNCTION "the ""stats""".pg_stat_statements(boolean) FROM PUBLIC');
is(scrape('13:30', $alice), 'f|pg_stat_statements is not readable by role alice: GRANT EXECUTE ON FUNCTION "the ""stats""".pg_stat_statements(boolean) TO alice',
	'not readable: the function');
$session->query('GRANT EXECUTE ON FUNCTION "the ""stats""".pg_stat_statements(boolean) TO PUBLIC');
is(available($alice), 't|pg_stat_statements is preloaded and created; role alice sees no statements but its own: GRANT pg_read_all_stats TO alice', 'readable, in part');
repeat($session, $busy, 1);
repeat($alice, $new, 1);
like(scrape('13:30', $alice), qr/^t\|\d+ entries of other roles are hidden from role alice and were left out: GRANT pg_read_all_stats TO alice$/, 'what is hidden is said');
is($session->query("SELECT count(*) FROM raxx_detect.statement_samples WHERE sample_time = '2024-03-07 13:30' AND queryid = $queryid"), '0', 'and not taken');
is($session->query("SELECT calls FROM raxx_detect.statement_samples WHERE sample_time = '2024-03-07 13:30' AND queryid = $new_queryid"), '1', 'its own is');
$session->query('GRANT pg_read_all_stats TO alice');
is(scrape('13:31', $alice), 't|', 'with the right all is seen');
is($session->query("SELECT count(*) FROM raxx_detect.statement_samples WHERE sample_time = '2024-03-07 13:31' AND queryid = $queryid"), '1', 'and taken');

# What stands in front in the search path is not meant.
$alice->query('CREATE TEMPORARY TABLE pg_extension (trapped int); CREATE TEMPORARY TABLE pg_proc (trapped int); CREATE TEMPORARY TABLE statement_samples (trapped int);
	SET search_path = pg_temp, pg_catalog');
is(scrape('13:32', $alice), 't|', 'the caller\'s search path does not matter');

# ---- two sessions -------------------------------------------------------------------------------------------------------

$session->query("BEGIN; SELECT raxx_detect.scrape_statements('2024-03-07 13:40')");
is(scrape('13:40', $alice), 'f|another session is taking a snapshot', 'nobody waits for another\'s snapshot');
$session->query('COMMIT');
like(scrape('13:40', $alice), qr/^f\|not due/, 'nor takes it a second time');

# ---- a runner with the rights that docs/operations.md names, from the first snapshot on ---------------------------------------

my $first = new_session($node, new_database($node, 'first'));
$first->query('CREATE EXTENSION pg_stat_statements; CREATE ROLE runner LOGIN');
$first->query(<<'END');
GRANT USAGE ON SCHEMA raxx_detect TO runner;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO runner;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.detection_findings, raxx_detect.coverage,
    raxx_detect.baseline_starts, raxx_detect.baseline_days, raxx_detect.baselines, raxx_detect.finding_rows TO runner;
GRANT INSERT ON raxx_detect.rule_runs, raxx_detect.rule_state_changes TO runner;
GRANT INSERT, UPDATE ON raxx_detect.deliveries TO runner;
GRANT UPDATE ON raxx_detect.heartbeat TO runner;
GRANT UPDATE (state, state_reason, state_since) ON raxx_detect.rules TO runner;
GRANT INSERT, DELETE ON raxx_detect.statement_samples, raxx_detect.statement_resets, raxx_detect.statement_histograms TO runner;
GRANT UPDATE ON raxx_detect.statement_scraper TO runner;
GRANT INSERT, UPDATE ON raxx_detect.source_bindings TO runner;
GRANT pg_read_all_stats TO runner;
END
my $runner = new_session($node, 'first', 'runner');
is(scrape('12:00', $runner), 't|', 'a runner takes the first snapshot');
is(scrape('12:01', $runner), 't|', 'and the next');

# ---- an old version of the extension, as pg_upgrade leaves it ---------------------------------------------------------------

my $aged = new_session($node, new_database($node, 'aged'));
$aged->query("CREATE EXTENSION pg_stat_statements VERSION '1.4'");
repeat($aged, $busy, 3);
is(available($aged), 't|pg_stat_statements is preloaded and created', 'version 1.4, whose total time has another name');
is(scrape('12:00', $aged), 't|', 'a snapshot');
is($aged->query("SELECT calls FROM raxx_detect.statement_samples WHERE queryid = $queryid"), '3', 'of this database only');
repeat($aged, $busy, 2);
scrape('12:01', $aged);
is($aged->query('SELECT i.calls, i.mean_ms > 0 FROM raxx_detect.source_bindings b, raxx_detect.statement_intervals(b, \'-infinity\', \'infinity\') i'
	. " WHERE b.source = 'statement_samples' AND queryid = $queryid"), '2|t', 'and an interval');

$_->quit foreach $session, $alice, $first, $runner, $aged;
done_testing();
