# Sixteen sessions that run all rules at once, while rows come in, find what one alone would find: no error, nothing
# twice, nothing lost. What fails in a run stays where it failed.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server();

# One minute of traffic: rows of the last four minutes, in no order, as far as the sources' lateness of five minutes
# allows. Every minute has a few; from time to time there is a burst, and each audit table falls silent once.
my $one_minute = <<'END';
UPDATE minutes SET now = now + interval '1 minute', n = n + 1 RETURNING now, n \gset
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT :'now'::timestamptz - (i * 37 % 240) * interval '1 second', 'operator ' || :n / 30, 'permission ' || i || ':admin'
FROM generate_series(1, CASE WHEN :n % 30 < 20 THEN 3 ELSE 0 END) i;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT :'now'::timestamptz - (i * 37 % 240) * interval '1 second', format('user%s@company%s.example', i, :n / 7),
       'https://site' || :n / 20
FROM generate_series(1, CASE WHEN :n % 20 < 15 THEN 12 ELSE 2 END) i;
INSERT INTO customer_audit_events (event_time, operator)
SELECT :'now'::timestamptz - i * interval '7 seconds', 'operator 1' FROM generate_series(1, 3) i WHERE :n NOT BETWEEN 20 AND 59;
INSERT INTO console_audit_events (event_time, operator)
SELECT :'now'::timestamptz, 'operator 2' WHERE :n < 55;
END

sub new_application
{
	my ($name) = @_;
	my $db = new_database($node, $name);
	$node->safe_psql($db, <<'END');
SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,waitlist_signups,customer_audit_events,console_audit_events}'::text[]) s;
CREATE TABLE minutes AS SELECT timestamptz '2024-03-04 13:00' AS now, 0 AS n;
CREATE TABLE runs (as_of timestamptz, run raxx_detect.rule_run);
END
	return $db;
}

my $run_all = q{INSERT INTO runs SELECT m.now, r FROM minutes m CROSS JOIN LATERAL raxx_detect.run_all(m.now) r};
my ($busy_db, $calm_db) = map { new_application($_) } 'busy', 'calm';

my $writer = new_session($node, $busy_db);
my @runners = map { new_session($node, $busy_db) } 1 .. 16;
my $errors = '';
foreach my $round (1 .. 30)
{
	$_->send($run_all) foreach @runners;
	$writer->send("BEGIN; $one_minute COMMIT") foreach 1 .. 4;
	foreach my $session (@runners, ($writer) x 4)
	{
		$errors .= ($session->receive)[2];
	}
}
is($errors, '', 'nobody got an error');
$_->quit foreach @runners;
is($writer->query("SELECT string_agg(DISTINCT (run).outcome, ' ' ORDER BY (run).outcome) FROM runs
	WHERE (run).outcome NOT IN ('busy', 'skipped', 'no_data')"), 'dormant ok', 'no run of a rule had an error');
cmp_ok($writer->query("SELECT count(*) FROM runs WHERE (run).outcome = 'busy'"), '>', 0, 'runs met');

# The same rows, and one run. Two runs of a moment are one, so the busy database may have had its last one already.
my $alone = new_session($node, $calm_db);
$alone->query("BEGIN; $one_minute COMMIT") foreach 1 .. 120;
$_->query($run_all) foreach $writer, $alone;

sub findings
{
	my ($session, $columns) = @_;
	return [ split /\n/, $session->query("SELECT rule_id, source, entity, $columns FROM raxx_detect.detection_findings
		ORDER BY rule_id, source, entity, episode") ];
}

my $columns = 'episode, severity, observed, threshold, unit, p_value, fired_by, verdict, condition, occurrences,
	sample_size, summary, evidence';
my $found = findings($alone, $columns);
is_deeply(findings($writer, $columns), $found, 'the findings are those of a single run');
cmp_ok(@$found, '>=', 20, 'they are many');

# What changes under a run's feet is that rule's error, and nothing else happens.
sub outcome_of
{
	my ($rule) = @_;
	return $alone->query("SELECT (run).outcome, (run).detail FROM runs WHERE (run).rule_id = '$rule'");
}

sub coverage
{
	my ($where) = @_;
	return $alone->query("SELECT rule_id, source, settled, looked_to FROM raxx_detect.coverage WHERE $where ORDER BY 1, 2");
}

# fails_alone DDL, DETAIL: after the DDL the outcome of the rule that reads the table is an error with that detail.
sub fails_alone
{
	my ($ddl, $detail) = @_;
	my $rule = 'auth_rbac_denied_burst';
	my @before = map { coverage("rule_id $_ '$rule'") } '=', '<>';
	$alone->query($ddl);
	$alone->query("UPDATE minutes SET now = now + interval '1 minute'; TRUNCATE runs; $run_all");
	my @after = map { coverage("rule_id $_ '$rule'") } '=', '<>';
	like(outcome_of($rule), qr/^error\|$detail/, "$ddl: an error that says so");
	is($after[0], $before[0], "$ddl: its coverage stays");
	is($alone->query("SELECT count(*) FROM runs WHERE (run).outcome = 'error'"), 1, "$ddl: the other rules are fine");
	isnt($after[1], $before[1], "$ddl: their coverage goes on");
	return;
}

fails_alone('ALTER TABLE rbac_denials RENAME COLUMN operator TO who',
	'42703: relation public\.rbac_denials no longer has the column "operator", .* Its columns are id, event_time, who, ');
$alone->query('ALTER TABLE rbac_denials RENAME COLUMN who TO operator');
fails_alone('ALTER TABLE rbac_denials ALTER COLUMN event_time TYPE timestamp',
	'42804: column "event_time" of relation public\.rbac_denials can no longer play the role event_time of source rbac_denials\. ');
$alone->query("ALTER TABLE rbac_denials ALTER COLUMN event_time TYPE timestamptz; TRUNCATE runs; $run_all");
like(outcome_of('auth_rbac_denied_burst'), qr/^ok/, 'what was mended is read again');
is(coverage("looked_to < (SELECT now FROM minutes)"), '', 'and nothing is left out');
fails_alone('DROP TABLE rbac_denials', '42P01: the relation bound to source rbac_denials no longer exists\. ');

# A run that is cut short, or that sees an old state, leaves nothing.
my $before = what_is_left($node, $busy_db);
$writer->query("BEGIN; $one_minute COMMIT");
my $blocker = new_session($node, $busy_db);
$blocker->query('BEGIN; LOCK TABLE raxx_detect.heartbeat IN SHARE MODE');
$writer->query("SET statement_timeout = '500ms'");
is(($writer->attempt($run_all))[0], '57014', 'a run past statement_timeout is cancelled');
is(what_is_left($node, $busy_db), $before, 'and leaves nothing');
$writer->query('RESET statement_timeout');
$blocker->query('COMMIT');

$blocker->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM minutes');
$writer->query($run_all);
my $after = what_is_left($node, $busy_db);
is(($blocker->attempt('SELECT * FROM raxx_detect.run_all((SELECT now FROM minutes))'))[0],
	'40001', 'a run in a snapshot from before another run fails');
$blocker->query('COMMIT');
is(what_is_left($node, $busy_db), $after, 'and changes nothing');

$_->quit foreach $writer, $alone, $blocker;
done_testing();
