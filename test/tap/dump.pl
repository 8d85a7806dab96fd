# What pg_dump takes along and pg_restore brings back, in every form: all of it, once, and the restored database goes on as
# the original does.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $upgrade = "$FindBin::RealBin/../upgrade";
my $scratch = $PostgreSQL::Test::Utils::tmp_check;
my $extension = 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE';

sub psql_file
{
	my ($db, $file) = @_;
	my ($out, $err) = run_command([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$upgrade/$file", '-d', $node->connstr($db) ]);
	die "$file in $db: $err" if $err =~ /ERROR|FATAL/;
	return $out;
}

sub image { return psql_file($_[0], 'image.sql') }

sub findings
{
	my ($db) = @_;
	return $node->safe_psql($db, q{SELECT f.finding_id, f.rule_id, f.entity, f.episode, f.triage, f.disposition, f.evidence
		FROM raxx_detect.detection_findings f ORDER BY 1});
}

# What a command says on standard error, and whether it failed.
sub complaints
{
	my (@command) = @_;
	my ($out, $err);
	my $ok = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	return ($ok, $err);
}

# As is(), of long texts: the first lines that are missing and that are too much.
sub same_lines
{
	my ($observed, $expected, $name) = @_;
	my %count;
	$count{$_}++ foreach split /\n/, $expected;
	$count{$_}-- foreach split /\n/, $observed;
	my @different = grep { $count{$_} } sort keys %count;
	splice @different, 20 if @different > 20;
	return is(join("\n", map { ($count{$_} > 0 ? '- ' : '+ ') . substr $_, 0, 500 } @different), '', $name);
}

my $databases = 0;

sub empty_database
{
	my $name = 'restored_' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	return $name;
}

sub dump_to
{
	my ($file, @options) = @_;
	$node->command_ok([ 'pg_dump', @options, '--file', "$scratch/$file", $node->connstr('original') ], "pg_dump @options");
	return "$scratch/$file";
}

sub restore_by_psql
{
	my ($db, $file) = @_;
	$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $file, '-o', '/dev/null' ], "psql of it");
	return;
}

sub restore
{
	my ($db, $file, @options) = @_;
	$node->command_ok([ 'pg_restore', '--exit-on-error', @options, '--dbname', $node->connstr($db), $file ], "pg_restore @options");
	return;
}

# ---- the original -------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE original; CREATE ROLE runner LOGIN');
$node->safe_psql('original', $extension);
psql_file('original', 'history.sql');
$node->safe_psql('original', 'GRANT USAGE ON SCHEMA raxx_detect TO runner; GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO runner;
	GRANT UPDATE (state) ON raxx_detect.rules TO runner; REVOKE EXECUTE ON FUNCTION raxx_detect.disable(text, text) FROM PUBLIC');
# A temporary relation is bound while its session lasts.
my $session = new_session($node, 'original');
$session->query('CREATE TEMPORARY TABLE fleeting (event_time timestamptz, app text, dyno text);
	SELECT raxx_detect.bind_source(\'dyno_restarts\', \'fleeting\')');

# Neither what is gone nor what is temporary is dumped; all else must come back.
my $original = join("\n", grep { !/^raxx_detect\.source_bindings\|.*"(passkey_begin_events|dyno_restarts)"/ } split /\n/, image('original'));
# What waits may have been sent by the original since.
$original =~ s/^(raxx_detect\.deliveries\|.*"state": "pending".*"possible_repeat": )false/$1true/mg;
my %rows;
$rows{ (split /\|/, $_)[0] }++ foreach split /\n/, $original;
cmp_ok($rows{"raxx_detect.$_"} // 0, '>', 0, "there is something in $_") foreach qw(baseline_days baseline_starts baselines coverage
  deliveries detection_findings finding_rows rule_runs rule_state_changes rules source_bindings statement_histograms statement_resets statement_samples);
like($original, qr/^raxx_detect\.heartbeat\|.*"runs": 2/m, 'the heartbeat has counted');
my $finding_ids = $node->safe_psql('original', 'SELECT last_value FROM raxx_detect.detection_findings_finding_id_seq');
cmp_ok($finding_ids, '>', $node->safe_psql('original', 'SELECT max(finding_id) FROM raxx_detect.detection_findings'),
	'the last number is of no finding, so that only the sequence knows it');
my $granted = q{SELECT c.relname, c.relacl, a.attacl FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'state'
	WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind <> 'i' AND c.relkind <> 'c' ORDER BY 1;
	SELECT proacl FROM pg_proc WHERE oid = 'raxx_detect.disable(text, text)'::regprocedure};
my $grants = $node->safe_psql('original', $granted);
my $evidence = q{SELECT f.finding_id, e.state, count(*) FROM raxx_detect.detection_findings f CROSS JOIN LATERAL raxx_detect.evidence_now(f.finding_id) e GROUP BY 1, 2 ORDER BY 1, 2};
my $evidence_of_original = $node->safe_psql('original', $evidence);
like($evidence_of_original, qr/^\d+\|as it was\|/m, 'rows that are evidence are as they were');

# ---- every form ---------------------------------------------------------------------------------------------------

my %restored;

sub is_whole
{
	my ($db, $what) = @_;
	same_lines(image($db), $original, "$what: all rows and sequences are as they were");
	is($node->safe_psql($db, $granted), $grants, "$what: so are the grants");
	is($node->safe_psql($db, $evidence), $evidence_of_original, "$what: and the rows that are evidence");
	$restored{$what} = $db;
	return;
}

my $db = empty_database();
restore_by_psql($db, dump_to('plain.sql'));
is_whole($db, 'plain');

$db = empty_database();
restore_by_psql($db, dump_to('inserts.sql', '--column-inserts'));
is_whole($db, '--column-inserts');

my $custom = dump_to('custom', '--format=custom');
$db = empty_database();
restore($db, $custom);
is_whole($db, 'custom');

$db = empty_database();
restore($db, $custom, '--single-transaction');
is_whole($db, 'custom, in one transaction');

my $directory = dump_to('directory', '--format=directory', '--jobs=2');
foreach my $try (1 .. 3)  # in parallel the order is another each time
{
	$db = empty_database();
	restore($db, $directory, '--jobs=2');
	is_whole($db, "directory, in parallel ($try)");
}

$db = empty_database();
restore($db, dump_to('tar', '--format=tar'));
is_whole($db, 'tar');

$db = empty_database();
restore($db, $custom, "--section=$_") foreach 'pre-data', 'data', 'post-data';
is_whole($db, 'section by section');

$db = empty_database();
restore_by_psql($db, dump_to("$_.sql", "--section=$_")) foreach 'pre-data', 'data', 'post-data';
is_whole($db, 'dumped section by section');

$db = empty_database();
restore_by_psql($db, dump_to('schema.sql', '--schema-only'));
is($node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.detection_findings'), 0, '--schema-only holds no findings');
restore_by_psql($db, dump_to('data.sql', '--data-only'));
$node->safe_psql($db, 'REFRESH MATERIALIZED VIEW errors');
is_whole($db, '--schema-only and --data-only');

# An extension that is there already, as long as nothing has been done with it; a run that found nothing to judge is nothing.
$db = empty_database();
$node->safe_psql($db, "$extension; SELECT count(*) FROM raxx_detect.run('auth_rbac_denied_burst')");
$node->safe_psql($db, 'TRUNCATE raxx_detect.rule_runs');
my ($ok, $messages) = complaints('pg_restore', '--dbname', $node->connstr($db), $custom);
is(join('', $messages =~ /^pg_restore: error: .*: (ERROR: .*\n)/mg), qq{ERROR:  schema "raxx_detect" already exists\n},
	'into a database that has the extension: its schema is there already');
is_whole($db, 'into a database that has the extension');

$db = empty_database();
$node->safe_psql($db, $extension);
restore($db, $custom, '--clean', '--if-exists');
is_whole($db, '--clean');

my $partial = dump_to('partial', '--format=custom', '--exclude-table=sessions*');

# ---- life goes on ---------------------------------------------------------------------------------------------------

$_->quit foreach $session;
my @going_on = ('plain', 'directory, in parallel (1)', '--schema-only and --data-only', 'into a database that has the extension');
foreach my $what (@going_on)
{
	$db = $restored{$what};
	my $before = findings($db);
	is($node->safe_psql($db, q{SELECT coalesce(sum(findings_new + findings_updated), -1) FROM raxx_detect.run_all('2024-03-08 20:00')}), 0,
		"$what: another run up to the same time finds nothing");
	same_lines(findings($db), $before, "$what: nothing twice");
}
$node->safe_psql('original', q{UPDATE raxx_detect.deliveries SET possible_repeat = true WHERE state = 'pending'; SELECT count(*) FROM raxx_detect.run_all('2024-03-08 20:00')});
my $later = psql_file('original', 'later.sql');
like($later, qr/^auth_rbac_denied_burst\|live\|ok\|5\|/m, 'in the original there is more to find');
like($later, qr/^own_doors\|live\|ok\|1\|/m, 'by a rule of one\'s own, too');
my ($left, $found) = (what_is_left($node, 'original'), findings('original'));
like($found, qr/^@{[$finding_ids + 1]}\|/m, 'the numbers go on');
unlike($found, qr/^$finding_ids\|/m, 'after those that were given');
foreach my $what (@going_on)
{
	$db = $restored{$what};
	# A binding that was not dumped is missing, where in the original its relation is.
	my $unbound = qr/^heartbeat|auth_passkey_enumeration|ops_dyno_restart_cluster|passkey_begin_events|dyno_restarts/;
	my @expected = map { join "\n", grep { !/$unbound/ } split /\n/, $_ } $later, $left;
	my @observed = map { join "\n", grep { !/$unbound/ } split /\n/, $_ } psql_file($db, 'later.sql'), what_is_left($node, $db);
	same_lines($observed[0], $expected[0], "$what: a run over new rows says what it says in the original");
	same_lines(findings($db), $found, "$what: and finds the same, under the same numbers");
	same_lines($observed[1], $expected[1], "$what: and leaves the same behind");
}

# ---- what does not fit ----------------------------------------------------------------------------------------------

# A database at work keeps what it has.
$db = $restored{custom};
my $before = image($db);
($ok, $messages) = complaints('pg_restore', '--data-only', '--dbname', $node->connstr($db), $custom);
ok(!$ok, 'restored a second time: refused');
like($messages, qr/duplicate key value violates unique constraint "$_"/, "by $_") foreach qw(rules_pkey heartbeat_pkey detection_findings_pkey);
same_lines(image($db) =~ s/^(raxx_detect\.\w+_seq\|).*$/$1/gmr, $before =~ s/^(raxx_detect\.\w+_seq\|).*$/$1/gmr, 'and nothing is overwritten');

# A source that is left out takes the bindings with it, and says so; all else is there.
$db = empty_database();
($ok, $messages) = complaints('pg_restore', '--dbname', $node->connstr($db), $partial);
ok(!$ok, 'a bound table is not in the dump: an error');
like($messages, qr/relation "public\.sessions" does not exist/, 'which names it');
unlike($messages, qr/TABLE DATA (?!source_bindings)/, 'and fails no other table');
is($node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.source_bindings'), 0, 'no source is bound');
same_lines((join "\n", grep { !/^raxx_detect\.source_bindings/ } split /\n/, image($db)), (join "\n", grep { !/^raxx_detect\.source_bindings/ } split /\n/, $original),
	'all else is there');
my $bind = join "\n", map { (split /\|/, $_, 2)[1] } grep { /^raxx_detect\.source_bindings.*"(waitlist_signups|rbac_denials)"/ } split /\n/, $original;
$node->safe_psql($db, "INSERT INTO raxx_detect.source_bindings SELECT b.* FROM unnest(string_to_array(\$bind\$$bind\$bind\$, E'\\n')) j
	CROSS JOIN LATERAL jsonb_populate_record(NULL::raxx_detect.source_bindings, j::jsonb) b");
is($node->safe_psql($db, q{SELECT outcome, findings_new FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-08 20:00')}), 'ok|0',
	'and once its source is bound as it was, a rule goes on');

# ---- without a superuser ---------------------------------------------------------------------------------------------

# A superuser creates the extension, which nobody else can, and hands over its tables; the rest is the restorer's.
$node->safe_psql('postgres', 'CREATE ROLE archivist LOGIN; GRANT pg_read_all_data TO archivist; CREATE ROLE restorer LOGIN; GRANT runner TO restorer;
	CREATE DATABASE by_restorer TEMPLATE template0 OWNER restorer');
$node->safe_psql('postgres', 'CREATE DATABASE small');
$node->safe_psql('small', "$extension; " . q{SELECT raxx_detect.create_source_table('rbac_denials');
	SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"elevated_threshold": 4}');
	INSERT INTO rbac_denials (event_time, operator, permission) SELECT timestamptz '2024-03-04' + n * interval '1 second', 'op', n || ':admin' FROM generate_series(1, 9) n;
	SELECT count(*) FROM raxx_detect.run_all('2024-03-05')});
$node->command_ok([ 'pg_dump', '--format=custom', '--no-owner', '--no-privileges', '--no-comments', '--file', "$scratch/small", '--username', 'archivist', $node->connstr('small') ],
	'pg_dump by a role that may read all');
$node->safe_psql('by_restorer', "$extension; GRANT USAGE ON SCHEMA raxx_detect TO restorer;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA raxx_detect TO restorer; GRANT UPDATE, USAGE ON ALL SEQUENCES IN SCHEMA raxx_detect TO restorer;
	GRANT CREATE ON SCHEMA public TO restorer");
# The extension's schema is there, which pg_restore has no way not to create.
my ($list) = run_command([ 'pg_restore', '--list', "$scratch/small" ]);
append_to_file("$scratch/list", join "\n", grep { !/ SCHEMA - | EXTENSION - / } split /\n/, $list);
$node->command_ok([ 'pg_restore', '--exit-on-error', '--no-owner', '--use-list', "$scratch/list", '--username', 'restorer', '--dbname', $node->connstr('by_restorer'), "$scratch/small" ],
	'pg_restore by the owner of the database');
same_lines(image('by_restorer'), image('small'), 'gives the same');

# ---- the public contract of rules -----------------------------------------------------------------------------------

my ($state) = new_session($node, 'small')->attempt(q{INSERT INTO raxx_detect.rules
	SELECT (jsonb_populate_record(r, '{"overrides": null}')).* FROM raxx_detect.rules r WHERE rule_id = 'data_backtest_benford'});
is($state, '23505', 'a rule of the name of a shipped one is refused, also if that has never been touched');

$node->stop;
done_testing();
