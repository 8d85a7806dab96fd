# Nothing is settled that a transaction may still change: its rows are judged when they come, however long it was open,
# and whoever holds the horizon back is named. What is there already is judged meanwhile.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server('max_prepared_transactions = 4');
my $db = new_database($node, 'app');
$node->safe_psql($db, <<'END');
CREATE ROLE writer LOGIN;
SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,login_failures}'::text[]) s;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer;
-- Nothing may come late, but for what is not committed yet; and a run does not look back further than that by itself.
SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"window": "1 millisecond"}');
SELECT raxx_detect.bind_source(source, relation, columns, lateness => '0') FROM raxx_detect.source_bindings;
END
my $runner = new_session($node, $db);
my $writer = new_session($node, $db);
my $other = new_session($node, $db);
$writer->query("SET ROLE writer");

# Three denials of elevated permissions by one operator are a finding.
sub probe
{
	my ($operator) = @_;
	return "INSERT INTO rbac_denials (event_time, operator, permission) SELECT now(), '$operator', i || ':admin' FROM generate_series(1, 3) i";
}

sub run_all
{
	$runner->query("SELECT count(*) FROM raxx_detect.run_all()");
	return $runner->query("SELECT coalesce(string_agg(entity, ',' ORDER BY entity), '') FROM raxx_detect.detection_findings");
}

sub settled
{
	return $runner->query("SELECT settled FROM raxx_detect.coverage WHERE rule_id = 'auth_rbac_denied_burst'");
}

sub horizon { return $runner->query("SELECT settles_to < now(), culprit FROM raxx_detect.horizon()"); }

$other->query(probe('anna'));
is(run_all(), 'anna', 'what is there is found');
is(horizon(), 'f|', 'nobody holds the horizon back');

# A transaction that is open while others come and go.
$writer->query('BEGIN; ' . probe('bob'));
my $began = $writer->query('SELECT now()');
$other->query(probe('carl'));
is(run_all(), 'anna,carl', 'while a transaction is open, what else comes is found');
like(horizon(), qr/^t\|process $writer->{pid} of role "\w+" has a transaction open since /, 'the horizon names its process');
is($runner->query("SELECT settled = '$began' FROM raxx_detect.coverage WHERE rule_id = 'auth_rbac_denied_burst'"), 't',
	'and coverage goes as far as its beginning');
run_all() foreach 1 .. 3;
$writer->query('COMMIT');
is(run_all(), 'anna,bob,carl', 'when it ends, its rows are found');
isnt(settled(), $began, 'and coverage goes on');

# One that has not written yet, and does so later with the time of its beginning.
$writer->query('BEGIN; SELECT count(*) FROM rbac_denials');
run_all() foreach 1 .. 3;
$other->query(probe('dora'));
run_all();
$writer->query(probe('erik') . '; COMMIT');
is(run_all(), 'anna,bob,carl,dora,erik', 'a transaction that writes only at its end');

# One that is prepared outlives its session.
$writer->query('BEGIN; ' . probe('fred') . "; PREPARE TRANSACTION 'later'");
run_all() foreach 1 .. 3;
like(horizon(), qr/^t\|transaction "later" of role "\w+" is prepared since /, 'a prepared transaction is named');
$other->query(probe('gina'));
is(run_all(), 'anna,bob,carl,dora,erik,gina', 'what else comes is found meanwhile');
$writer->query("COMMIT PREPARED 'later'");
is(run_all(), 'anna,bob,carl,dora,erik,fred,gina', 'and its rows when it is committed');
is(horizon(), 'f|', 'nobody holds the horizon back any more');

# A session that tells nobody when its transactions began.
$node->safe_psql($db, 'ALTER ROLE writer SET track_activities = off');
my $silent = Server::Session->new($node, $db, 'writer');
$silent->query('BEGIN');
$silent->query('SELECT count(*) FROM rbac_denials');
run_all() foreach 1 .. 2;
$silent->query(probe('hans') . '; COMMIT');
is(run_all(), 'anna,bob,carl,dora,erik,fred,gina,hans', 'track_activities = off hides no transaction');

# A run that sees the past settles nothing.
my $settled = settled();
$runner->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$other->query(probe('ines'));
$runner->query('SELECT count(*) FROM raxx_detect.run_all()');
like($runner->query('SELECT culprit FROM raxx_detect.horizon()'), qr/^this transaction is repeatable read, and sees the past$/, 'a run that sees the past says so');
$runner->query('COMMIT');
is(settled(), $settled, 'it settles nothing');
is(run_all(), 'anna,bob,carl,dora,erik,fred,gina,hans,ines', 'and loses nothing');
is($node->safe_psql($db, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT rule_id, fixture FROM unnest('{cost_dyno_hour_spike,signup_geographic_burst}'::text[]) r, raxx_detect.self_test(r)
	WHERE NOT ok; COMMIT"), '', 'nor does a first run over nine days, of which it settles none: each is judged by its own baseline');

# Of more than 40 days not all are told apart as long as nothing is settled; the next run that settles judges them anew.
my %found;
foreach my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	my $long = new_database($node, 'long_' . lc substr $level, 0, 4);
	$found{$level} = $node->safe_psql($long, <<"END");
SELECT count(raxx_detect.create_source_table('dyno_samples'));
INSERT INTO dyno_samples (event_time, app, dyno_hours)
SELECT t, 'worker', CASE WHEN t IN ('2024-02-05 05:30', '2024-03-10 23:30', '2024-03-11 00:30') THEN 9 ELSE 2 + 2 * (extract(hour FROM t)::int % 2) END
FROM generate_series(timestamptz '2024-01-01 00:30', '2024-03-11 00:30', '1 hour') t;
BEGIN ISOLATION LEVEL $level;
SELECT outcome FROM raxx_detect.run('cost_dyno_hour_spike', '2024-03-11 01:00');
COMMIT;
SELECT outcome FROM raxx_detect.run('cost_dyno_hour_spike', '2024-03-11 03:01');
SELECT rule_id, entity, episode, condition, observed, threshold FROM raxx_detect.detection_findings ORDER BY episode;
END
}
is(() = $found{'READ COMMITTED'} =~ /worker/g, 2, 'two findings in ten weeks, one of them over midnight');
is($found{'REPEATABLE READ'}, $found{'READ COMMITTED'}, 'are found whether the first run saw the past or not');

# Another database's transactions are no matter, nor is a vacuum.
my $elsewhere = new_session($node, 'postgres');
$elsewhere->query('BEGIN; SELECT pg_current_xact_id()');
is(horizon(), 'f|', 'transactions of another database hold nothing back');
$elsewhere->query('COMMIT');

$_->quit foreach $runner, $writer, $other, $silent, $elsewhere;
done_testing();
