# What can go wrong around a run: locks, timeouts, disks, memory, migrations, deadlocks, serialization, a standby. Either
# the caller is refused and nothing has changed, or a rule's outcome is an error with its SQLSTATE: then its findings and
# its coverage stay as they were and the other rules are judged. Whatever it was, once it is mended the next run leaves
# what it leaves where nothing went wrong.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('autovacuum = off', 'wal_level = replica', 'max_wal_senders = 4', 'hot_standby = on', 'deadlock_timeout = 10s');
my $role = 'raxx_runner';
my ($first, $as_of) = ('2024-03-15 14:33', '2024-03-16 00:20');
my $run_all = "SELECT rule_id, outcome, detail FROM raxx_detect.run_all('$as_of')";

# ---- the small disk ------------------------------------------------------------------------------------------------

# Starts the server again in a namespace in which a directory is a file system of 8 MB; returns the directory, or undef
# and why not, where the kernel or the container does not allow that.
sub with_small_disk
{
	my $dir = PostgreSQL::Test::Utils::tempdir_short() . '/small';
	mkdir $dir;
	my ($group) = split / /, $(;
	my @inside = ('unshare', '-Urm', 'sh', '-c', "mount -t tmpfs -o size=8m small $dir && exec unshare -U --map-user=$< --map-group=$group \"\$@\"", 'sh');
	my ($stdout, $stderr) = ('', '');
	return (undef, $stderr || 'no unshare') if !eval { IPC::Run::run([ @inside, 'true' ], '>', \$stdout, '2>', \$stderr) };
	$node->stop;
	system_or_bail(@inside, 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
	$node->_update_pid(1);
	return $dir;
}
my ($small, $why_not) = with_small_disk();
$node->safe_psql('postgres', "CREATE ROLE $role LOGIN");

# ---- two databases -------------------------------------------------------------------------------------------------

# Before the second run. Two of the sources are tables, so that they can be migrated.
my $base = new_database($node, 'base');
load_fortnight($node, $base);
$node->safe_psql($base, <<"END");
SELECT raxx_detect.bind_source('rbac_denials', 'all_rbac_denials');
SELECT raxx_detect.bind_source('login_failures', 'all_login_failures');
DROP VIEW rbac_denials, login_failures;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO $role;
GRANT INSERT, DELETE ON all_login_failures TO $role;
GRANT USAGE ON SCHEMA raxx_detect TO $role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO $role;
UPDATE clock SET moment = '$first';
SET ROLE $role;
SELECT count(*) FROM raxx_detect.run_all('$first');
RESET ROLE;
UPDATE clock SET moment = '$as_of', gated = '', gate = (SELECT id FROM all_session_events WHERE event_time BETWEEN '$first' AND '$as_of' ORDER BY id LIMIT 1);
END
# Days of baselines that no run will need any more go when a rule is judged the next time, whenever that is.
sub left_in
{
	my ($db) = @_;
	return what_is_left($node, $db) =~ s/^baseline(?!\S* auth_rbac).*"day": "2024-03-0[4-8]".*\n?//mgr;
}
my $before = left_in($base);

sub copy_of_base
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE $base");
	return $name;
}
my $calm = copy_of_base('calm');
$node->safe_psql($calm, "SET ROLE $role; $run_all");
my $undisturbed = left_in($calm);
$node->safe_psql($calm, "SET ROLE $role; $run_all");
my $undisturbed_twice = left_in($calm);

# Whose runs judge, and by which rule a source is read first.
my @judged = split /\n/, $node->safe_psql($calm, "SELECT rule_id FROM raxx_detect.coverage GROUP BY 1 ORDER BY 1");
my ($velocity, $denials, $gaps, $logins) =
  ('auth_session_creation_velocity', 'auth_rbac_denied_burst', 'data_audit_log_gap_window', 'auth_login_failure_burst');

# Of what is left, what says how a rule stands: of the given rules, or of all others. A rule may be named with one of its
# sources, which are judged apart.
sub standing
{
	my ($left, $of, @rules) = @_;
	my @named = map { my ($rule, $source) = split / /; $source ? qr/^\w+ $rule .*"source": "$source"/ : qr/^\w+ $rule / } @rules;
	return join "\n", grep
	{
		my $line = $_;
		$line =~ /^(?:detection_findings|coverage|baseline)/ && ($of eq 'of') == grep { $line =~ $_ } @named;
	} split /\n/, $left;
}

# All of it without the records of runs, of which a run that failed leaves more, and without the counts of a sweep, which
# tries again what failed in the next hour.
sub but_for_runs
{
	my ($left) = @_;
	return join "\n", grep { !/^(?:rule_runs|heartbeat|hourly_counts|sweeps) / } split /\n/, $left;
}

# The sources of the given rules whose coverage is ahead of what it was before. (A sweep may have set it back.)
sub ahead
{
	my ($left, @rules) = @_;
	my %covered;
	foreach my $text ($before, $left)
	{
		foreach my $line (grep { /^coverage/ } split /\n/, standing($text, 'of', @rules))
		{
			my ($rule, $source, $settled, $looked_to) = map { $line =~ $_ } qr/^coverage (\S+)/, qr/"source": "(\w+)"/, qr/"settled": "([^"]+)"/, qr/"looked_to": "([^"]+)"/;
			push @{ $covered{"$rule $source"} }, "$settled, $looked_to";
		}
	}
	return join ' ', grep { @{ $covered{$_} } != 2 || $covered{$_}[1] gt $covered{$_}[0] } sort keys %covered;
}

# What is left where nothing went wrong, when these rules were judged once and all others twice.
sub judged_once
{
	my (@rules) = @_;
	my $others = join "\n", grep { !/^(?:detection_findings|coverage|baseline)/ } split /\n/, but_for_runs($undisturbed_twice);
	return join "\n", $others, standing($undisturbed, 'of', @rules), standing($undisturbed_twice, 'but', @rules);
}

# ---- what is tested --------------------------------------------------------------------------------------------------

my ($other, $runner);  # whoever else is at work, and who runs

sub begin_case
{
	my (%case) = @_;
	my $db = copy_of_base('failing');
	$other = new_session($node, $db);
	ref $_ ? $_->() : $other->query($_) foreach grep { defined } @{ ref $case{cause} eq 'ARRAY' ? $case{cause} : [ $case{cause} ] };
	$runner = new_session($node, $db, $role);
	$runner->query($_) foreach grep { defined } $case{settings};
	return $db;
}

# A run, and what is done meanwhile; its SQLSTATE, its rows and its messages.
sub run
{
	my (%case) = @_;
	$runner->send($case{run} // $run_all);
	$case{meanwhile}->() if $case{meanwhile};
	return $runner->receive;
}

sub end_case
{
	my ($db, $name, $once, %case) = @_;
	$other->query('ROLLBACK; SELECT pg_advisory_unlock_all()');
	$other->query($_) foreach grep { defined } $case{mend};
	$_->quit foreach $other, $runner;
	$runner = new_session($node, $db, $role);
	my $rows = $runner->query($run_all);
	unlike($rows, qr/\|(?:error|busy)\|/, "$name: once it is over, the next run has no error");
	my $left = left_in($db);
	is(defined $once ? differences(but_for_runs($left), judged_once(@$once)) : differences($left, $undisturbed), '',
		"$name: and leaves what is left where nothing went wrong");
	$runner->quit;
	$node->safe_psql('postgres', "DROP DATABASE $db");
	return;
}

# refuses NAME, STATE, ...: the call ends in an error, and nothing has changed.
sub refuses
{
	my ($name, $expected, %case) = @_;
	my $db = begin_case(%case);
	my ($state, undef, $messages) = run(%case);
	is($state, $expected, "$name: the caller gets $expected") or diag($messages);
	$other->query('ROLLBACK');
	$runner->query('ROLLBACK');
	is(differences(left_in($db), $before), '', "$name: nothing has changed");
	end_case($db, $name, undef, %case);
	return;
}

# fails NAME, {RULE => DETAIL}, ...: the outcome of these rules is an error, whose detail is like that.
sub fails
{
	my ($name, $expected, %case) = @_;
	my $db = begin_case(%case);
	my ($state, $rows, $messages) = run(%case);
	is($state, '00000', "$name: the call succeeds") or diag($messages);
	my %errors = map { /^(\w+)\|error\|(.*)$/ ? ($1 => $2) : () } split /\n/, $rows;
	my @failing = sort keys %$expected;
	is(join(' ', sort keys %errors), join(' ', map { s/ .*//r } @failing), "$name: the errors are of these rules");
	like($errors{s/ .*//r} // '', $expected->{$_}, "$name: $_ says so") foreach @failing;
	$other->query('ROLLBACK');
	my $left = left_in($db);
	# A sweep may have judged again what had been judged before.
	my ($now, $then) = map { join "\n", grep { /^baseline/ || /"episode": "\[\\"([^\\]+)/ && $1 gt $first } split /\n/, standing($_, 'of', @failing) } $left, $before;
	is(differences($now, $then), '', "$name: they have found and learnt nothing");
	is(ahead($left, @failing), '', "$name: nothing of theirs counts as judged");
	is(differences(standing($left, 'but', @failing), standing($undisturbed, 'but', @failing)), '', "$name: the others are judged");
	end_case($db, $name, \@failing, %case);
	return;
}

# Makes the run wait where rule 2 reads session_events, before the rules of the other sources; then lets it go on.
my $gate = "UPDATE clock SET gated = 'session_events'; SELECT pg_advisory_lock(1)";
my $open = 'SELECT pg_advisory_unlock(1)';

sub runner_waits
{
	wait_until('the run waits', sub { $other->query("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $runner->{pid}") eq 't' });
	return;
}

# meanwhile SQL...: what is done while the run waits at the gate; it goes on then.
sub meanwhile
{
	my (@commands) = @_;
	return sub {
		runner_waits();
		$other->query($_) foreach @commands, $open;
	};
}

# meanwhile in vain: the command has to wait for the run, which goes on.
my $late;  # whoever waits

sub waits_for_run
{
	my ($command) = @_;
	return sub {
		runner_waits();
		$late = new_session($node, 'failing');
		$late->send($command);
		wait_until("$command waits", sub { $other->query("SELECT pg_blocking_pids($late->{pid}) = ARRAY[$runner->{pid}]") eq 't' });
		pass("$command waits for the run that has read the table");
		$other->query($open);
	};
}

# ---- timeouts and locks ----------------------------------------------------------------------------------------------

refuses('statement_timeout', '57014', cause => $gate, settings => "SET statement_timeout = '2s'");
refuses('transaction read only', '25006', settings => 'SET default_transaction_read_only = on');
refuses('a lock on a table of the engine that every run writes', '55P03',
	cause => 'BEGIN; LOCK TABLE raxx_detect.rule_runs', settings => "SET lock_timeout = '50ms'");
fails('a lock on a source', { $denials => qr/^55P03: canceling statement due to lock timeout/ },
	cause => 'BEGIN; LOCK TABLE all_rbac_denials', settings => "SET lock_timeout = '50ms'");
fails('a lock on the findings', { map { $_ => qr/^55P03: / } @judged },
	cause => 'BEGIN; LOCK TABLE raxx_detect.detection_findings', settings => "SET lock_timeout = '20ms'");
fails('somebody else has written to a finding, and has not committed', { $velocity => qr/^55P03: / },
	cause => "BEGIN; UPDATE raxx_detect.detection_findings SET triage = triage WHERE rule_id = '$velocity'",
	settings => "SET lock_timeout = '50ms'");

# ---- memory and disk -------------------------------------------------------------------------------------------------

# Failed sign-ins to so many accounts, none of them often enough.
sub filler
{
	my ($accounts) = @_;
	return "INSERT INTO all_login_failures (event_time, ip, account)
		SELECT timestamptz '2024-03-15 21:00' + n * interval '1 millisecond', '192.0.2.9', repeat('filler ', 8) || n % $accounts FROM generate_series(1, 150000) n;
		ANALYZE all_login_failures";
}
my $no_index = 'DROP INDEX all_login_failures_event_time_idx';
fails('memory', { $logins => qr/^54000: .*memory_limit/ }, cause => filler(150_000), settings => "SET raxx_detect.memory_limit = '16MB'");
fails('temp_file_limit', { $logins => qr/^53400: temporary file size exceeds "?temp_file_limit/ }, cause => filler(50_000) . "; $no_index;
	ALTER ROLE $role SET temp_file_limit = '100kB'", settings => "SET raxx_detect.memory_limit = '16MB'", mend => "ALTER ROLE $role RESET ALL");


SKIP:
{
	skip("no small file system: $why_not", 1) if !defined $small;
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$small'; GRANT CREATE ON TABLESPACE small TO PUBLIC");
	my $full = qr/^53100: could not (?:extend|write)/;
	fails('no room for a sort', { $logins => $full }, cause => filler(50_000) . "; $no_index",
		settings => "SET raxx_detect.memory_limit = '16MB'; SET temp_tablespaces = small");
	# What is left of the disk is taken, to the last block.
	my $fill_up = sub {
		$other->query('CREATE TABLE ballast (b text) TABLESPACE small; ALTER TABLE ballast ALTER b SET STORAGE plain');
		foreach my $blocks (64, 8, 1)
		{
			my $state = '00000';
			($state) = $other->attempt("INSERT INTO ballast SELECT repeat('b', 8000) FROM generate_series(1, $blocks)") while $state eq '00000';
			die "filling the disk: $state" if $state ne '53100';
		}
	};
	# So little of a page is used that each row needs another one.
	my $move = 'ALTER TABLE raxx_detect.%1$s SET (fillfactor = 10); ALTER TABLE raxx_detect.%1$s SET TABLESPACE small; VACUUM FULL raxx_detect.%1$s';
	my @learning = map { /^baseline_days (\S+) .*"2024-03-15"/ ? $1 : () } split /\n/, $undisturbed;
	fails('no room for baselines', { map { ($_ eq $gaps ? "$_ customer_audit_events" : $_) => $full } @learning }, cause => [ sprintf($move, 'baselines'), $fill_up ], mend => 'DROP TABLE ballast');
	refuses('no room for the record of the run', '53100', cause => [ sprintf($move, 'rule_runs'), $fill_up ], mend => 'DROP TABLE ballast');
	$node->safe_psql('postgres', 'DROP TABLESPACE small');
}

# ---- migrations ------------------------------------------------------------------------------------------------------

# Before the run, or while it is at another rule: what matters is what the run meets.
my %migrations = (
	'a column renamed' => [ 'ALTER TABLE all_login_failures RENAME account TO who', qr/^42703: .*no longer has the column "account"/,
		'ALTER TABLE all_login_failures RENAME who TO account' ],
	'a column of another type' => [ 'ALTER TABLE all_login_failures ALTER event_time TYPE timestamp', qr/^42804: .*can no longer play the role event_time/,
		'ALTER TABLE all_login_failures ALTER event_time TYPE timestamptz' ],
	'a table that is gone' => [ 'DROP TABLE all_login_failures', qr/^42P01: the relation bound to source login_failures no longer exists/,
		undef ]);
foreach my $name (sort keys %migrations)
{
	my ($sql, $detail, $back) = @{ $migrations{$name} };
	# A table that is gone comes back as another one, bound anew, which is judged from its beginning.
	$back //= "ALTER TABLE kept RENAME TO all_login_failures; GRANT SELECT ON all_login_failures TO $role;
		SELECT raxx_detect.bind_source('login_failures', 'all_login_failures')";
	my $keep = 'CREATE TABLE kept (LIKE all_login_failures INCLUDING ALL); INSERT INTO kept OVERRIDING SYSTEM VALUE SELECT * FROM all_login_failures; ';
	fails("$name before the run", { $logins => $detail }, cause => "$keep$sql", mend => $back);
	fails("$name during the run", { $logins => $detail }, cause => "$keep$gate", meanwhile => meanwhile($sql), mend => $back);
}

# goes_well NAME, ...: a run that notices nothing.
sub goes_well
{
	my ($name, %case) = @_;
	my $db = begin_case(%case);
	my ($state, $rows, $messages) = run(%case);
	is($state, '00000', "$name: the call succeeds") or diag($messages);
	unlike($rows, qr/\|(?:error|busy)\|/, "$name: no rule has an error");
	if ($late)
	{
		is(($late->receive)[0], $case{late} // '00000', "$name: whoever waited goes on after it");
		$late->quit;
		$late = undef;
	}
	my ($left, $expected) = map { s/^source_bindings .*\n//mgr } left_in($db), $undisturbed;
	is(differences($left, $expected), '', "$name: what is left is as ever");
	$_->quit foreach $other, $runner;
	$node->safe_psql('postgres', "DROP DATABASE $db");
	return;
}

# Rule 2 has read its source once when it comes to the gate, and will read it again.
goes_well("$_ between two reads", cause => $gate, meanwhile => waits_for_run($_))
  foreach 'DROP TABLE all_session_events CASCADE', 'ALTER TABLE all_session_events ADD note text',
  'DROP INDEX all_session_events_event_time_idx', 'TRUNCATE all_session_events', 'DROP VIEW session_events';
goes_well('an index and statistics that are made meanwhile', cause => $gate,
	meanwhile => meanwhile('CREATE INDEX ON all_session_events (ip, event_time)', 'ANALYZE all_session_events', 'VACUUM all_session_events'));
goes_well('an index that is gone before it would be used', cause => $gate,
	meanwhile => meanwhile('DROP INDEX all_login_failures_event_time_idx', 'ALTER TABLE all_rbac_denials ADD note text', 'DISCARD PLANS'));
goes_well('functions of the engine invalidated meanwhile', cause => $gate,
	meanwhile => meanwhile('ALTER TABLE raxx_detect.deliveries ADD note text', 'ANALYZE', 'ALTER TABLE raxx_detect.deliveries DROP note'));

# ---- sources that fail -------------------------------------------------------------------------------------------------

my $bind = "UPDATE raxx_detect.source_bindings SET relation = '%s' WHERE source = 'login_failures'";
my $new = "event_time BETWEEN '$first' AND '$as_of'";
fails('a row that cannot be read', { $logins => qr/^22012: division by zero/ },
	cause => "INSERT INTO all_login_failures (event_time, ip, account) SELECT event_time, ip, NULL FROM all_login_failures WHERE $new LIMIT 1;
		CREATE VIEW one_bad_row AS SELECT event_time, ip, coalesce(account, (1 / 0)::text) AS account FROM all_login_failures;
		GRANT SELECT ON one_bad_row TO $role; " . sprintf($bind, 'one_bad_row'),
	mend => 'DELETE FROM all_login_failures WHERE account IS NULL; ' . sprintf($bind, 'all_login_failures'));
my $helper = "CREATE TABLE helper (one int); INSERT INTO helper VALUES (1); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION helped() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(one) FROM helper); END';
	CREATE VIEW helped_failures AS SELECT * FROM all_login_failures WHERE helped() = 1; GRANT SELECT ON helped_failures TO $role; "
  . sprintf($bind, 'helped_failures');
fails('a view whose function has lost its table', { $logins => qr/^42P01: relation "helper" does not exist/ },
	cause => "$helper; DROP TABLE helper", mend => 'CREATE TABLE helper AS SELECT 1 AS one; ' . sprintf($bind, 'all_login_failures'));

# ---- deadlocks ---------------------------------------------------------------------------------------------------------

# Whoever looks first, after deadlock_timeout, is the one that is cancelled.
fails('a deadlock that the run notices', { $logins => qr/^40P01: deadlock detected/ },
	cause => "ALTER ROLE $role SET deadlock_timeout = '50ms'; BEGIN; LOCK TABLE all_login_failures",
	meanwhile => sub {
		runner_waits();
		is(($other->attempt('LOCK TABLE all_rbac_denials'))[0], '00000', 'a deadlock that the run notices: whoever else is in it goes on');
	},
	mend => "ALTER ROLE $role RESET ALL");
goes_well('a deadlock that somebody else notices', late => '40P01', cause => "ALTER ROLE $role SET lock_timeout = '60s'; $gate",
	meanwhile => sub {
		runner_waits();
		$late = new_session($node, 'failing');
		# The run has read all_rbac_denials by then, and waits for all_login_failures.
		$late->query("SET deadlock_timeout = '500ms'; BEGIN; LOCK TABLE all_login_failures");
		$other->query($open);
		wait_until('the run waits', sub { $other->query("SELECT pg_blocking_pids($runner->{pid}) = ARRAY[$late->{pid}]") eq 't' });
		$late->send('LOCK TABLE all_rbac_denials');
	});
$node->safe_psql('postgres', "ALTER ROLE $role RESET ALL");

# ---- snapshots ---------------------------------------------------------------------------------------------------------

my $one_run = "SELECT rule_id, outcome, detail FROM raxx_detect.run('$logins', '$as_of')";
foreach my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	foreach my $call ($run_all, $one_run)
	{
		my $name = "another run since the snapshot of $level, " . ($call eq $run_all ? 'run_all' : 'run');
		my $db = begin_case(settings => "BEGIN ISOLATION LEVEL $level; SELECT 1 FROM raxx_detect.coverage");
		$other->query("SET ROLE $role; $run_all");
		$other->query('RESET ROLE');
		my $left = left_in($db);
		my ($state, $rows, $messages) = $runner->attempt($call);
		is($state, '40001', "$name: the caller gets 40001") or diag("$rows $messages");
		$runner->query('ROLLBACK');
		is(differences(left_in($db), $left), '', "$name: nothing has changed");
		$runner->query($run_all);
		is(differences(left_in($db), $undisturbed_twice), '', "$name: the next run goes well");
		$_->quit foreach $other, $runner;
		$node->safe_psql('postgres', "DROP DATABASE $db");
	}
}

# Whoever judges by what another transaction changes at the same time cannot both be serializable.
{
	my $db = begin_case();
	my $session = new_session($node, $db, $role);
	$_->query('BEGIN ISOLATION LEVEL SERIALIZABLE') foreach $runner, $session;
	$session->query("SELECT count(*) FROM raxx_detect.detection_findings");
	$runner->query($run_all);
	$session->query("INSERT INTO all_login_failures (event_time, ip, account) VALUES ('2024-03-15 23:00', '192.0.2.9', 'nobody')");
	my @states = (($runner->attempt('COMMIT'))[0], ($session->attempt('COMMIT'))[0]);
	is("@states", '00000 40001', 'serializable: one of two that depend on each other is refused');
	$other->query($run_all);  # in such an isolation it may be that nothing is settled
	my ($left, $expected) = map { join "\n", /^detection_findings .*/mg } left_in($db), $undisturbed_twice;
	is(differences($left, $expected), '', 'serializable: the other is as ever');
	$_->quit foreach $other, $runner, $session;
	$node->safe_psql('postgres', "DROP DATABASE $db");
}

# ---- others who are at it ----------------------------------------------------------------------------------------------

{
	my $db = begin_case(cause => $gate);
	$runner->send($run_all);
	runner_waits();
	my $second = new_session($node, $db, $role);
	my $rows = $second->query($run_all);
	my %busy = map { $_ => 1 } $rows =~ /^(\w+)\|busy\|/mg;
	ok($busy{$velocity} && !$busy{$denials} && !$busy{$logins}, 'a rule that another run is at is busy, and those to come are not') or diag($rows);
	$other->query("SELECT pg_terminate_backend($runner->{pid}, 5000)");
	$other->query($open);
	$second->query($run_all);
	is(differences(but_for_runs(left_in($db)), judged_once($velocity)), '', 'when that run is ended, the next one judges what it left');
	$_->quit foreach $other, $runner, $second;
	$node->safe_psql('postgres', "DROP DATABASE $db");
}

# Somebody works on a finding that the run would withdraw, since rows have come that were late.
foreach my $end ('COMMIT', 'ROLLBACK')
{
	my $name = "a finding that somebody acknowledges while it is withdrawn ($end)";
	my $withdrawn = "source = 'console_audit_events' AND condition = 'firing'";
	my $db = begin_case(cause => "BEGIN; UPDATE raxx_detect.detection_findings SET triage = 'acknowledged' WHERE $withdrawn");
	my $id = $other->query("SELECT finding_id FROM raxx_detect.detection_findings WHERE $withdrawn");
	$runner->send($run_all);
	runner_waits();
	$other->query($end);
	my ($state, $rows) = $runner->receive;
	unlike($rows, qr/\|error\|/, "$name: no error");
	my $found = $other->query("SELECT triage, condition, evidence ? 'refuted_at' FROM raxx_detect.detection_findings WHERE finding_id = $id");
	is($found, $end eq 'COMMIT' ? 'acknowledged|cleared|t' : '', "$name: " . ($end eq 'COMMIT' ? 'it stays, cleared' : 'it is gone'));
	$_->quit foreach $other, $runner;
	$node->safe_psql('postgres', "DROP DATABASE $db");
}
# ---- standby -----------------------------------------------------------------------------------------------------------

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$runner = new_session($standby, $calm, $role);
is(($runner->attempt($run_all))[0], '25006', 'a standby: the caller gets 25006');
is($runner->query("SELECT count(*) FROM raxx_detect.velocity_episodes('all_login_failures', 'event_time', 'account', '10 minutes', 10, '$first', '$as_of')"),
	'2', 'a standby: the methods work there');
is(differences(what_is_left($standby, $calm), what_is_left($node, $calm)), '', 'a standby: it has what the runs of the primary left');
$runner->quit;
done_testing();
