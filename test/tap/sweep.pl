# The sweep among others: a rule that another run is at is left for the next sweep, sixteen sessions that run and sweep at once
# find what one alone would find, and a role that may not do everything says so and goes on.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server();

sub new_application
{
	my ($name) = @_;
	my $db = new_database($node, $name);
	$node->safe_psql($db, <<'END');
SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,waitlist_signups,customer_audit_events,console_audit_events}'::text[]) s;
CREATE TABLE hours AS SELECT timestamptz '2024-03-04 13:07+00' AS now, 0 AS n;
END
	return $db;
}

# An hour of traffic: bursts on time, bursts of hours ago, silences that are filled late, and rows of an audit log that go.
my $one_hour = <<'END';
UPDATE hours SET now = now + interval '1 hour', n = n + 1 RETURNING now, n \gset
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT :'now'::timestamptz - interval '12 minutes' + i * interval '1 minute', 'punctual ' || :n, 'users:admin' FROM generate_series(1, 3) i
UNION ALL SELECT :'now'::timestamptz - interval '5 hours' + i * interval '1 minute', 'late ' || :n, 'users:admin' FROM generate_series(1, 4) i;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT :'now'::timestamptz - interval '4 hours' + i * interval '7 seconds', format('user%s@company%s.example', i, :n), 'https://late' || :n FROM generate_series(1, 40) i;
INSERT INTO customer_audit_events (event_time) SELECT :'now'::timestamptz - i * interval '5 minutes' FROM generate_series(1, 12) i;
DELETE FROM customer_audit_events WHERE event_time < :'now'::timestamptz - interval '3 hours' AND event_time > :'now'::timestamptz - interval '4 hours' AND :n % 4 = 0;
INSERT INTO console_audit_events (event_time) VALUES (:'now'::timestamptz), (:'now'::timestamptz - interval '3 hours 20 minutes');
END

my $run_all = 'SELECT count(*) FROM hours h CROSS JOIN LATERAL raxx_detect.run_all(h.now)';
my $sweep = q{SELECT string_agg(s.source || ' ' || s.outcome, ', ' ORDER BY s.source) FROM hours h CROSS JOIN LATERAL raxx_detect.sweep(h.now) s};
my ($busy_db, $calm_db) = map { new_application($_) } 'busy', 'calm';

# ---- sixteen at once --------------------------------------------------------------------------------------------
my $writer = new_session($node, $busy_db);
my @runners = map { new_session($node, $busy_db) } 1 .. 16;
my $errors = '';
foreach my $round (1 .. 16)
{
	$writer->query("BEGIN; $one_hour COMMIT");
	$_->send($run_all) foreach @runners[ 0 .. 11 ];
	$_->send($sweep) foreach @runners[ 12 .. 15 ];
	$errors .= ($_->receive)[2] foreach @runners;
}
is($errors, '', 'nobody got an error');
$writer->query($run_all);
is($writer->query($sweep), 'console_audit_events ok, customer_audit_events ok, rbac_denials ok, waitlist_signups ok', 'nobody is at it any more');
is($writer->query(q{SELECT string_agg(error, E'\n') FROM raxx_detect.sweeps WHERE error IS NOT NULL}), '', 'no sweep failed');
is($writer->query(q{SELECT string_agg(detail, E'\n') FROM raxx_detect.rule_runs WHERE outcome = 'error'}), '', 'nor did a rule, in any run');
$_->quit foreach @runners;

my $alone = new_session($node, $calm_db);
foreach my $round (1 .. 16)
{
	$alone->query("BEGIN; $one_hour COMMIT");
	$alone->query($run_all);
}
$alone->query($sweep);

# What is late depends on when it was settled, and so on who was at it when: the findings do not.
sub findings
{
	my ($session) = @_;
	return [ split /\n/, $session->query(q{SELECT rule_id, source, regexp_replace(entity, 'finding \d+', 'finding'), episode, observed, threshold, unit, fired_by, verdict, condition,
		occurrences FROM raxx_detect.detection_findings WHERE NOT evidence ? 'refuted_at' ORDER BY rule_id, source, entity, episode}) ];
}
my $found = findings($alone);
is_deeply(findings($writer), $found, 'the findings are those of one session alone');
cmp_ok($alone->query('SELECT count(*) FROM raxx_detect.detection_findings WHERE late'), '>=', 10, 'many are late');
is(scalar(grep { /rows gone/ } @$found), 4, 'some are of rows that went');

# ---- a rule that another run is at --------------------------------------------------------------------------------
my $other = new_session($node, $calm_db);
$other->query(q{BEGIN; SELECT FROM raxx_detect.rules WHERE rule_id = 'auth_rbac_denied_burst' FOR NO KEY UPDATE});
$alone->query(q{INSERT INTO rbac_denials (event_time, operator, permission)
	SELECT timestamptz '2024-03-04 20:30+00' + i * interval '1 minute', 'missed', 'users:admin' FROM generate_series(1, 3) i});
my $counts = q{SELECT rows FROM raxx_detect.hourly_counts WHERE source = 'rbac_denials' AND hour = '2024-03-04 20:00+00'};
my $before = $alone->query($counts);
like($alone->query($sweep), qr/customer_audit_events ok, rbac_denials busy, waitlist_signups ok/, 'a rule that another run is at');
is($alone->query($counts), $before, 'leaves the counts of its source as they were');
my $missed = q{SELECT count(*) FROM raxx_detect.detection_findings WHERE entity = 'missed' AND late};
is($alone->query($missed), 0, 'and its findings');
$other->query('COMMIT');
unlike($alone->query($sweep), qr/busy/, 'the next sweep');
is($alone->query($missed), 1, 'finds it');
is($alone->query($counts), $before + 3, 'and counts');

# Two sweeps at once: one has it, the other says so and waits for nothing.
$other->query("BEGIN; $sweep");
is($alone->query($sweep), 'console_audit_events busy, customer_audit_events busy, rbac_denials busy, waitlist_signups busy', 'another sweep is at it');
$other->query('ROLLBACK');

# ---- a role that may not do everything ------------------------------------------------------------------------------
$alone->query(<<'END');
SET client_min_messages = warning;
CREATE ROLE runner LOGIN;
GRANT USAGE ON SCHEMA raxx_detect TO runner;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO runner;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.detection_findings, raxx_detect.coverage, raxx_detect.baseline_starts, raxx_detect.baseline_days, raxx_detect.baselines, raxx_detect.finding_rows TO runner;
GRANT INSERT ON raxx_detect.rule_runs, raxx_detect.rule_state_changes TO runner;
GRANT INSERT, UPDATE ON raxx_detect.deliveries TO runner;
GRANT UPDATE ON raxx_detect.heartbeat TO runner;
GRANT UPDATE (state, state_reason, state_since) ON raxx_detect.rules TO runner;
GRANT SELECT ON rbac_denials, waitlist_signups, console_audit_events, hours TO runner;
UPDATE hours SET now = now + interval '1 hour';
INSERT INTO rbac_denials (event_time, operator, permission) SELECT now - i * interval '1 minute', 'x', 'users:admin' FROM hours, generate_series(1, 3) i;
END
$other->query('SET ROLE runner');
my ($state, $rows, $messages) = $other->attempt("SELECT (r).outcome FROM hours h CROSS JOIN LATERAL raxx_detect.run_all(h.now) r WHERE r.rule_id = 'auth_rbac_denied_burst'");
is("$state $rows", '00000 ok', 'who may not write counts runs the rules all the same');
like($messages, qr/WARNING:  rows that came late are not looked for: permission denied for table sweeps/, 'with a warning');
$alone->query('GRANT INSERT, UPDATE, DELETE ON raxx_detect.hourly_counts TO runner; GRANT UPDATE ON raxx_detect.sweeps TO runner');
is($other->query($sweep), 'console_audit_events ok, customer_audit_events error, rbac_denials ok, waitlist_signups ok', 'a source that it may not read is one error');
like($other->query(q{SELECT error FROM raxx_detect.sweeps WHERE source = 'customer_audit_events'}), qr/^42501: permission denied for table customer_audit_events/, 'which says so');
is($other->query(q{SELECT count(*) FROM raxx_detect.detection_findings WHERE entity LIKE '%gone%' AND source <> 'customer_audit_events'}), 0, 'and no rows have gone');

# Row security: what one role counted is nothing to compare for another.
$alone->query(<<'END');
GRANT SELECT ON customer_audit_events TO runner;
ALTER TABLE customer_audit_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON customer_audit_events TO runner USING (id % 2 = 0);
END
my $gone = q{SELECT count(*), sum(observed) FROM raxx_detect.detection_findings WHERE entity LIKE '%gone%'};
$before = $alone->query($gone);
like($other->query($sweep), qr/customer_audit_events ok/, 'a role that sees half of the rows');
is($other->query($gone), $before, 'has not lost the other half');
$alone->query($run_all);  # the rule is active again for who may read all of its sources
like($alone->query($sweep), qr/customer_audit_events ok/, 'nor has who sees all again');
is($alone->query($gone), $before, 'found any');
$alone->query('DELETE FROM customer_audit_events WHERE id = (SELECT max(id) - 30 FROM customer_audit_events)');
like($alone->query($sweep), qr/customer_audit_events ok/, 'one row goes');
isnt($alone->query($gone), $before, 'and is missed');

$_->quit foreach $writer, $alone, $other;
done_testing();
