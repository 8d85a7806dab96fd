# A cancel is obeyed soon, wherever in an evaluation of ten million rows it comes, and leaves nothing behind.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $rows = 10_000_000;
# Measured here: below 0.1 s. On a busy machine the scheduler alone may take that; what hangs takes far longer.
my $bound_ms = 1000;

my $node = new_server(
	'shared_buffers = 1GB',
	'max_wal_size = 8GB',
	'autovacuum = off',
	'synchronize_seqscans = off',
	'max_parallel_workers_per_gather = 0');
my $db = new_database($node, 'cancel');
$node->safe_psql($db, <<"END");
-- 40 rows a second of 5,000 entities, written out of order within a minute.
CREATE UNLOGGED TABLE events AS
SELECT id, timestamptz '2024-01-01' + (id + id * 7919 % 2400) * interval '25 ms' AS t, id * 48271 % 5000 AS k,
       id * 69621 % 65536 AS v
FROM generate_series(1::bigint, $rows) id;
VACUUM ANALYZE events;
-- Reading one chosen row takes a lock, which other sessions can see.
CREATE FUNCTION gated(at bigint) RETURNS text LANGUAGE sql AS \$\$
    SELECT format('CREATE OR REPLACE VIEW gated AS SELECT * FROM events
                   WHERE id <> %s OR pg_try_advisory_xact_lock(4711)', at) \$\$;
CREATE FUNCTION cancel_at_gate(worker int, milliseconds_later float8) RETURNS timestamptz LANGUAGE plpgsql AS \$\$
DECLARE
    cancelled_at timestamptz;
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE pid = worker AND locktype = 'advisory' AND objid = 4711) LOOP
        PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
        EXIT WHEN (SELECT state <> 'active' FROM pg_stat_activity WHERE pid = worker);
    END LOOP;
    PERFORM pg_sleep(milliseconds_later / 1000);
    cancelled_at := clock_timestamp();
    PERFORM pg_cancel_backend(worker);
    RETURN cancelled_at;
END \$\$;
END

my $worker = new_session($node, $db);
my $control = new_session($node, $db);
my %calls = (
	velocity => "velocity_episodes('gated', 't', 'k', '%s', %d, '-infinity', 'infinity')",
	distinct => "distinct_episodes('gated', 't', 'k', 'v', '%s', %d, '-infinity', 'infinity')");
my @latencies;

sub latency_line
{
	my @sorted = sort { $a <=> $b } @_ or return 'nothing was cancelled';
	return sprintf('median %.1f ms, longest %.1f ms of %d', $sorted[ $#sorted / 2 ], $sorted[-1], scalar @sorted);
}

# What the error of a cancelled call says it was doing.
my %query = (
	'reading unordered' => qr/SELECT t\.t, t\.k(?!.*ORDER BY)/,
	'sorting in the executor' => qr/SELECT t\.t, t\.k.* ORDER BY 1"$/m,
	'reading in the order of time' => qr/SELECT t\.t, t\.k.* ORDER BY 1"$/m,
	'reading in the order of keys' => qr/SELECT t\.t, t\.k.* ORDER BY 2, 1"$/m);

# cancelled METHOD, AT, WINDOW, THRESHOLD, STAGE, DELAYS: cancels one call after each delay, in milliseconds after
# the row AT was read. A call that ends before its cancel comes says nothing, and is made again.
sub cancelled
{
	my ($method, $at, $window, $threshold, $stage, @delays) = @_;
	$control->query("SELECT gated($at) \\gexec");
	my @took;
	my @states;
	my $messages;
	foreach my $delay (@delays)
	{
		my ($state, $asked, $ended);
		foreach my $attempt (1 .. 5)
		{
			$worker->send('SELECT count(*) FROM raxx_detect.' . sprintf($calls{$method}, $window, $threshold));
			$worker->send('SELECT clock_timestamp()');
			$asked = $control->query("SELECT cancel_at_gate($worker->{pid}, $delay)");
			($state, undef, $messages) = $worker->receive;
			(undef, $ended) = $worker->receive;
			last if $state ne '00000';
			$delay /= 2;
		}
		push @states, $state;
		push @took, $control->query("SELECT 1000 * extract(epoch FROM timestamptz '$ended' - '$asked')") if $state eq '57014';
	}
	push @latencies, @took;
	is("@states", join(' ', ('57014') x @delays), "$method, $stage: cancelled");
	like($messages, $query{$stage}, "$method, $stage: it was") if $query{$stage};
	ok(!(grep { $_ > $bound_ms } @took), "$method, $stage: soon") or diag(latency_line(@took));
	note("$method, $stage: " . latency_line(@took));
	return;
}

my $middle = $rows / 2;

# Without an index rows come unordered, and the core sorts them.
foreach my $method ('velocity', 'distinct')
{
	cancelled($method, $middle, '10 minutes', 100_000, 'reading unordered', 0, 100);
	cancelled($method, $rows, '10 minutes', 100_000, 'sorting what came unordered', 0, 80, 250);
}
$worker->query("SET raxx_detect.memory_limit = '16MB'");
cancelled('velocity', $middle, '10 minutes', 100_000, 'sorting in the executor', 1000);
$worker->query("SET raxx_detect.memory_limit = '4GB'");
$node->safe_psql($db, 'CREATE INDEX ON events (t)');
my $last = $control->query('SELECT id FROM events ORDER BY t DESC LIMIT 1');
foreach my $method ('velocity', 'distinct')
{
	cancelled($method, $middle, '10 minutes', 100_000, 'reading in the order of time', 0, 100);
	cancelled($method, $last, '3650 days', 100_000, 'ending a window of everything', 0, 30);
}
cancelled('velocity', $last, '1 microsecond', 1, 'ordering ten million episodes', 0, 1000);
$control->query("INSERT INTO events VALUES (0, '2030-01-01', 0, 0)");
cancelled('distinct', 0, '100 days', 100_000, 'emptying the window at a jump in time', 0);
$control->query('DELETE FROM events WHERE id = 0');
$node->safe_psql($db, "DROP INDEX events_t_idx; SET maintenance_work_mem = '1GB'; CREATE INDEX ON events (k, t)");
cancelled('velocity', $middle, '10 minutes', 100_000, 'reading in the order of keys', 0, 100);

is( $worker->query(q{SELECT count(*) FROM raxx_detect.velocity_episodes('events', 't', 'k', '10 minutes', 1,
		'2024-01-01', '2024-01-01 00:01')}),
	$control->query(q{SELECT count(DISTINCT k) FROM events WHERE t > '2024-01-01' AND t <= '2024-01-01 00:01'}),
	'the session goes on');
diag('from cancel to error: ' . latency_line(@latencies));

# A thousand calls that fail. Memory is compared with that after the first fifty, which fill the server's caches. The
# server starts anew so that what is freed goes back to the system at once, and what is not stands out.
$_->quit foreach $worker, $control;
$ENV{MALLOC_MMAP_THRESHOLD_} = $ENV{MALLOC_TRIM_THRESHOLD_} = 65536;
$node->restart;
my $contexts = q{SELECT count(*) FILTER (WHERE name IN ('raxx_detect evaluation', 'raxx_detect batch', 'raxx_detect row')),
	sum(total_bytes) / 1048576.0 FROM pg_backend_memory_contexts};

# leaves_nothing WHAT, SQLSTATE, CALLS: CALLS makes the calls of those numbers in $worker, and returns their SQLSTATEs.
sub leaves_nothing
{
	my ($what, $expected, $calls) = @_;
	$worker = new_session($node, $db);
	my @states = $calls->(1 .. 50);
	my ($ours_before, $known_before) = split /\|/, $worker->query($contexts);
	my $memory_before = private_memory($worker->{pid});
	push @states, $calls->(51 .. 1000);
	my $memory = private_memory($worker->{pid});
	my ($ours, $known) = split /\|/, $worker->query($contexts);
	is(scalar(grep { $_ eq $expected } @states), 1000, "$what: a thousand");
	is($ours, 0, "$what: no memory context left behind");
	cmp_ok($known, '<', $known_before + 0.5, "$what: MB that the server knows of");
	cmp_ok($memory, '<', $memory_before + 2, "$what: MB of the process");
	$worker->quit;
	diag(sprintf('%s: %.1f MB after 50, %.1f MB after 1,000', $what, $memory_before, $memory));
	return;
}

# Of all kinds, each cut short somewhere else.
sub cut_short
{
	my @states;
	foreach my $number (@_)
	{
		my $relation = $number % 2 ? 'events' : 'unordered';
		my $call = $number % 4 < 2 ? "velocity_episodes('$relation', 't', 'k'" : "distinct_episodes('$relation', 't', 'k', 'v'";
		my $milliseconds = 2 + $number % 17;
		$worker->send("BEGIN; SET LOCAL statement_timeout = $milliseconds");
		$worker->send("SELECT count(*) FROM raxx_detect.$call, '1 hour', 10, '2024-01-01', '2030-01-01')");
		$worker->send('ROLLBACK');
		my ($begun, $state) = map { ($worker->receive)[0] } 1 .. 3;
		push @states, $state;
	}
	return @states;
}

# All in one transaction, each in a subtransaction of its own.
sub fail_inside
{
	my ($method) = @_;
	return sub {
		my $rows = $worker->query(sprintf(q{SELECT fail_inside('SELECT count(*) FROM raxx_detect.%s', %d)},
			sprintf($calls{$method} =~ s/gated/failing/r =~ s/'/''/gr, '1 hour', 10), scalar @_));
		return split /\n/, $rows;
	};
}

$node->safe_psql($db, q{
	CREATE VIEW unordered AS SELECT t + interval '0' AS t, k, v FROM events;
	CREATE VIEW failing AS SELECT t + interval '1 second' * (1 / (id - 4000)) AS t, k, v FROM events WHERE id <= 5000;
	CREATE FUNCTION fail_inside(query text, times int) RETURNS SETOF text LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. times LOOP
			BEGIN
				EXECUTE query;
				RETURN NEXT '00000';
			EXCEPTION WHEN OTHERS THEN
				RETURN NEXT SQLSTATE;
			END;
		END LOOP;
	END $$;
	CREATE INDEX ON events (id)});
leaves_nothing('calls cut short by a timeout', '57014', \&cut_short);
leaves_nothing('velocity over a source that fails half-way', '22012', fail_inside('velocity'));
leaves_nothing('distinct over a source that fails half-way', '22012', fail_inside('distinct'));

done_testing();
