# A backtest is seen from another connection while it runs, keeps no live run from its rule and no other backtest waiting, and
# leaves nothing when it is cancelled.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server('autovacuum = off');
my $db = new_database($node, 'app');
my $rule = 'auth_session_creation_velocity';
$node->safe_psql($db, <<"END");
CREATE TABLE sessions (id bigint PRIMARY KEY, event_time timestamptz, ip inet);
INSERT INTO sessions SELECT n, timestamptz '2024-03-01' + n * interval '50 seconds', ('203.0.113.' || n % 4)::inet FROM generate_series(1, 24000) n;
INSERT INTO sessions SELECT 100000 + n, timestamptz '2024-03-09 12:00' + n * interval '1 second', '198.51.100.7' FROM generate_series(1, 50) n;
CREATE INDEX ON sessions (event_time);
ANALYZE sessions;
-- Who reads this row, of the 10th of March, waits until the gate is opened.
CREATE VIEW gated AS SELECT * FROM sessions WHERE id <> 16000 OR pg_advisory_xact_lock(4711)::text = '';
SELECT raxx_detect.bind_source('session_events', 'gated');
END
my ($gate, $other, @backtests) = map { new_session($node, $db) } 1 .. 4;

# What a backtest must leave as it is.
sub state_now
{
	return $other->query("SELECT (SELECT count(*) FROM raxx_detect.detection_findings), (SELECT count(*) FROM raxx_detect.coverage), (SELECT count(*) FROM raxx_detect.baseline_days),
		(SELECT count(*) FROM raxx_detect.baselines), (SELECT count(*) FROM raxx_detect.deliveries), (SELECT md5(string_agg(r::text, '' ORDER BY rule_id)) FROM raxx_detect.rules r)");
}

my $before = state_now();
is($other->query('SELECT count(*) FROM raxx_detect.backtest_progress'), 0, 'nobody replays anything');
$gate->query('BEGIN');
$gate->query('SELECT pg_advisory_xact_lock(4711)');
$_->send("SELECT count(*) FROM raxx_detect.backtest('$rule', '2024-03-08', '2024-03-14')") foreach @backtests;
wait_until('both are at the gate', sub { $other->query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 2 });
is($other->query("SELECT count(*), bool_and(relation = 'gated'::regclass), bool_and(from_time = '2024-03-08' AND to_time = '2024-03-14'),
		bool_and(judged_to > '2024-03-09' AND judged_to < '2024-03-12'), bool_and(rows_read > 10000), bool_and(slices BETWEEN 1 AND 20), bool_and(findings = 1)
	FROM raxx_detect.backtest_progress"), '2|t|t|t|t|t|t', 'two replay the same rule, and neither waits for the other: both are seen under way');
is($other->query('SELECT count(*) FROM raxx_detect.chain_progress'), 0, 'which is no verification of a chain');
is($other->query("SELECT count(*) FROM (SELECT FROM raxx_detect.rules WHERE rule_id = '$rule' FOR UPDATE NOWAIT) r"), 1, 'the rule is locked by nobody');
is(state_now(), $before, 'and nothing of it is to be seen');

$other->query("SELECT pg_cancel_backend($backtests[0]{pid})");
is(($backtests[0]->receive)[0], '57014', 'it is cancelled');
is($other->query('SELECT count(*) FROM raxx_detect.backtest_progress'), 1, 'and is not under way any more');
is(state_now(), $before, 'and has left nothing');

$gate->query('COMMIT');
is(($backtests[1]->receive)[1], 1, 'the other one ends with what it found');
is($other->query('SELECT count(*) FROM raxx_detect.backtest_progress'), 0, 'and is not under way any more, either');
is(state_now(), $before, 'and has left nothing');

# In a transaction that cannot write, as on a standby, what needs no history can be replayed.
$node->safe_psql($db, "CREATE TABLE failures AS SELECT event_time, host(ip) AS account, ip FROM sessions; SELECT raxx_detect.bind_source('login_failures', 'failures')");
$other->query('BEGIN READ ONLY');
is($other->query("SELECT count(*) FROM raxx_detect.backtest('auth_login_failure_burst', '2024-03-08', '2024-03-14')"), 1, 'by who cannot write');
is(($other->attempt("SELECT count(*) FROM raxx_detect.backtest('$rule', '2024-03-08', '2024-03-14')"))[0], '25006', 'what has a baseline cannot');
$other->query('ROLLBACK');

$_->quit foreach $gate, $other, @backtests;
done_testing();
