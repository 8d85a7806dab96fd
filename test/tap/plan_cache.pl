# The plans that a session keeps for its sources mean the relations that they were made for, follow what becomes of
# them, and do not pile up.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server('autovacuum = off');
my $db = new_database($node, 'plans');
my $session = new_session($node, $db);
my $other = new_session($node, $db);

$other->query(q{
	CREATE TABLE events AS SELECT timestamptz '2024-03-04' + n * interval '1 second' AS t, 'key ' || n % 100 AS k, repeat('value ', 40) || n AS v
	FROM generate_series(1, 50000) n;
	VACUUM ANALYZE events});

sub call
{
	my ($relation, $from, $columns) = @_;
	$columns //= "'t', 'k'";
	return "SELECT count(*), min(entity), max(peak) FROM raxx_detect.velocity_episodes('$relation', $columns, '5 minutes', 2, '$from', 'infinity')";
}

# How a relation was read by the call: through which of its indexes, or sequentially.
sub way_of_reading
{
	my ($query) = @_;
	my $counters = q{SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot();
		SELECT 'sequential', seq_scan FROM pg_stat_user_tables WHERE relname = 'events'
		UNION ALL SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = 'events'};
	my %before = $session->query($counters) =~ /^(\w+)\|(\d+)$/mg;
	my $result = $session->query($query);
	my %after = $session->query($counters) =~ /^(\w+)\|(\d+)$/mg;
	return wantarray
	  ? (join(' ', grep { $after{$_} > ($before{$_} // 0) } sort keys %after), $result)
	  : undef;
}

# ---- what becomes of the relation --------------------------------------------------------------------------------

my $late = '2024-03-04 13:50';
my ($way, $expected) = way_of_reading(call('events', $late));
is($way, 'sequential', 'without an index a table is read as it lies');
my ($whole) = $session->query(call('events', '-infinity'));
foreach my $step (
	[ 'CREATE INDEX events_t ON events (t)', $late, 'events_t' ],
	[ 'DROP INDEX events_t', $late, 'sequential' ],
	[ 'CREATE INDEX events_k_t ON events (k, t)', '-infinity', 'events_k_t' ],
	[ 'DROP INDEX events_k_t', '-infinity', 'sequential' ])
{
	my ($ddl, $from, $expected_way) = @$step;
	$other->query("$ddl; VACUUM events");
	my ($way, $result) = way_of_reading(call('events', $from));
	is($way, $expected_way, "$ddl: the next call reads otherwise");
	is($result, $from eq $late ? $expected : $whole, "$ddl: and finds the same");
}

# clear_error DDL, COLUMNS, SQLSTATE, MESSAGE, UNDO
sub clear_error
{
	my ($ddl, $columns, $expected_state, $pattern, $undo) = @_;
	$other->query($ddl);
	my ($state, undef, $messages) = $session->attempt(call('events', $late, $columns));
	is($state, $expected_state, "$ddl: an error");
	like($messages, $pattern, "$ddl: that says so");
	$other->query($undo);
	is($session->query(call('events', $late, "'t', 'k'")), $expected, "$undo: all is well again");
	return;
}
clear_error('ALTER TABLE events RENAME k TO key', "'t', 'k'", '42703',
	qr/column "k" of relation "events" does not exist.*Its columns are t, key, v\./s, 'ALTER TABLE events RENAME key TO k');
clear_error('ALTER TABLE events ADD w text; ALTER TABLE events DROP w', "'t', 'w'", '42703', qr/column "w" of relation "events" does not exist/,
	'ALTER TABLE events ADD w text');
clear_error("ALTER TABLE events ALTER t TYPE timestamp", "'t', 'k'", '42804', qr/column "t" of relation "events" is not a timestamp with time zone/,
	'ALTER TABLE events ALTER t TYPE timestamptz');
clear_error('ALTER TABLE events RENAME TO elsewhere', "'t', 'k'", '42P01', qr/relation "events" does not exist/,
	'ALTER TABLE elsewhere RENAME TO events');
$other->query('ALTER TABLE events ALTER k TYPE varchar(20), ALTER t SET STATISTICS 10');
is($session->query(call('events', $late)), $expected, 'a change of type that changes no text changes nothing');

# Names may go to other objects; the plan goes with the object.
$other->query(q{
	CREATE SCHEMA first; CREATE TABLE first.events AS SELECT * FROM events WHERE k < 'key 5'});
my $of_first = $session->query(call('first.events', $late));
isnt($of_first, $expected, 'another table has other episodes');
$other->query(q{
	ALTER SCHEMA first RENAME TO second; CREATE SCHEMA first; CREATE TABLE first.events AS TABLE events});
is($session->query(call('second.events', $late)), $of_first, 'a table is the same after its schema was renamed');
is($session->query(call('first.events', $late)), $expected, 'and the one that now has its name is another');
$other->query('ALTER TABLE second.events RENAME k TO x; ALTER TABLE second.events RENAME v TO k; ALTER TABLE second.events RENAME x TO v');
is($session->query(call('second.events', $late, "'t', 'v'")), $of_first, 'columns that changed names are read by their new ones');
my $oid = $session->query("SELECT 'second.events'::regclass::oid");
$other->query('DROP TABLE second.events');
my ($state, undef, $messages) = $session->attempt(call($oid, $late));
is($state, '42P01', 'a table that was dropped: an error');
like($messages, qr/relation with OID $oid does not exist.*Bind the source again/s, 'that says so');
$session->query('BEGIN; CREATE TEMPORARY TABLE brief AS TABLE events; ' . call('brief', $late));
is($session->query('ROLLBACK;' . call('events', $late)), $expected, 'a table that was rolled back leaves no trace');

# ---- memory ------------------------------------------------------------------------------------------------------

$session->quit;
$session = new_session($node, $db);
$session->query(q{
	SET client_min_messages = warning;
	CREATE PROCEDURE make_tables(numbers int4range) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN lower(numbers) .. upper(numbers) - 1 LOOP
			EXECUTE format('CREATE TEMPORARY TABLE t%s (t timestamptz, k text, v text)', i);
			EXECUTE format('INSERT INTO t%s VALUES (now(), ''k'', ''v'')', i);
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE read_tables(numbers int4range, keep boolean) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN lower(numbers) .. upper(numbers) - 1 LOOP
			PERFORM raxx_detect.velocity_episodes(format('t%s', i)::regclass, 't', 'k', '1 minute', 1, '-infinity', 'infinity');
			PERFORM raxx_detect.distinct_episodes(format('t%s', i)::regclass, 't', 'k', 'v', '1 minute', 1, '-infinity', 'infinity');
			IF NOT keep THEN
				EXECUTE format('DROP TABLE t%s', i);
			END IF;
			COMMIT;
		END LOOP;
	END $$;
	CALL make_tables(int4range(1, 2001))});
my $plans = q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident LIKE 'SELECT t.t, t.k%'};
foreach my $keep ('true', 'false')
{
	my $what = $keep eq 'true' ? 'two thousand tables that stay' : 'two thousand tables that go';
	$session->query("CALL read_tables(int4range(1, 1000), $keep)");
	my $plans_before = $session->query($plans);
	my $memory_before = private_memory($session->{pid});
	$session->query("CALL read_tables(int4range(1000, 2001), $keep)");
	my $plans_after = $session->query($plans);
	my $memory_after = private_memory($session->{pid});
	cmp_ok($plans_after, '<', 1000, "$what: not a plan for each");
	cmp_ok($memory_after, '<', $memory_before + 20, "$what: MB of the process");
	diag(sprintf('%s: %.1f MB and %d plans after 1,000, %.1f MB and %d plans after 2,000',
		$what, $memory_before, $plans_before, $memory_after, $plans_after));
}

$_->quit foreach $session, $other;
done_testing();
