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
	'cancel',
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
    deadline timestamptz := clock_timestamp() + interval '2 minutes';
    cancelled_at timestamptz;
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE pid = worker AND locktype = 'advisory' AND objid = 4711) LOOP
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'the gate was never reached';
        END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
    PERFORM pg_sleep(milliseconds_later / 1000);
    cancelled_at := clock_timestamp();
    PERFORM pg_cancel_backend(worker);
    RETURN cancelled_at;
END \$\$;
END

my $worker = session($node, $db);
my $control = session($node, $db);
my %calls = (
	velocity => "velocity_episodes('gated', 't', 'k', '%s', %d, '-infinity', 'infinity')",
	distinct => "distinct_episodes('gated', 't', 'k', 'v', '%s', %d, '-infinity', 'infinity')");
my @latencies;

sub latency_line
{
	my @sorted = sort { $a <=> $b } @_;
	return sprintf('median %.1f ms, longest %.1f ms of %d', $sorted[ $#sorted / 2 ], $sorted[-1], scalar @sorted);
}

# cancelled METHOD, AT, WINDOW, THRESHOLD, STAGE, DELAYS: cancels one call after each delay, in milliseconds after
# the row AT was read. A call that ends before its cancel comes says nothing, and is made again.
sub cancelled
{
	my ($method, $at, $window, $threshold, $stage, @delays) = @_;
	$control->query("SELECT gated($at) \\gexec");
	my @took;
	my @states;
	foreach my $delay (@delays)
	{
		my ($result, $state, $ended, $asked);
		foreach my $attempt (1 .. 5)
		{
			begin_query($worker,
				'SELECT count(*) FROM raxx_detect.' . sprintf($calls{$method}, $window, $threshold));
			$asked = $control->query("SELECT cancel_at_gate($worker->{pid}, $delay)");
			($result, $state, $ended) = end_query($worker);
			last if $state ne '00000';
			$delay /= 2;
		}
		push @states, $state;
		push @took, $control->query("SELECT 1000 * extract(epoch FROM timestamptz '$ended' - '$asked')");
	}
	push @latencies, @took;
	is("@states", join(' ', ('57014') x @delays), "$method, $stage: cancelled");
	ok(!(grep { $_ > $bound_ms } @took), "$method, $stage: soon") or diag(latency_line(@took));
	note("$method, $stage: " . latency_line(@took));
	return;
}

my $middle = $rows / 2;
my @scattered = (0, 30, 90, 200, 350);

foreach my $method ('velocity', 'distinct')
{
	cancelled($method, $middle, '10 minutes', 100_000, 'reading unordered', 0, 70, 150);
	cancelled($method, $rows, '10 minutes', 100_000, 'sorting what came unordered', @scattered);
}
cancelled('velocity', $rows, '10 years', 1_000_000, 'ending a window of everything', 500, 800);
cancelled('velocity', $rows, '1 microsecond', 1, 'ordering ten million episodes', 1500, 3000);
$worker->query("SET raxx_detect.memory_limit = '16MB'");
cancelled('velocity', $middle, '10 minutes', 100_000, 'sorting in the executor', 0, 1000);
$worker->query('RESET raxx_detect.memory_limit');
$node->safe_psql($db, 'CREATE INDEX ON events (t)');
foreach my $method ('velocity', 'distinct')
{
	cancelled($method, $middle, '10 minutes', 100_000, 'reading in the order of time', 0, 70, 150);
	cancelled($method, $middle, '10 years', 1_000_000, 'with a window of everything', 0, 300);
}
$node->safe_psql($db, 'CREATE INDEX ON events (k, t)');
cancelled('velocity', $middle, '10 minutes', 100_000, 'reading in the order of keys', 0, 70, 150);

is($worker->query("SELECT count(*) FROM raxx_detect.velocity_episodes('events', 't', 'k', '10 minutes', 1,
		'2024-01-01', '2024-01-01 00:01')"), $node->safe_psql($db, "SELECT count(DISTINCT k) FROM events
		WHERE t > '2024-01-01' AND t <= '2024-01-01 00:01'"), 'the session goes on');
diag('from cancel to error: ' . latency_line(@latencies));
$worker->quit;
$control->quit;
done_testing();
