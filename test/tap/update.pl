# ALTER EXTENSION UPDATE, from each earlier version: it gives what CREATE EXTENSION gives, object by object; keeps what is the
# user's; and the database goes on as one that had this version from the start.
use strict;
use warnings FATAL => 'all';

use File::Basename;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $upgrade = "$FindBin::RealBin/../upgrade";
my $releases = "$FindBin::RealBin/../../sql/updates";
my @versions = map { basename($_, '.sql') } grep { !/--/ } glob "$releases/*.sql";

# ---- a server that has the old versions, too ------------------------------------------------------------------------

# A server looks for its files relative to its own program. So it needs a copy of that, and links to all else, with the old
# install scripts among the extensions.
sub installation_with_old_versions
{
	my %dir = map { chomp(my $d = `pg_config --$_`); ($_ => $d) } 'bindir', 'sharedir', 'pkglibdir';
	my ($root) = ("$dir{bindir}\n$dir{sharedir}\n" =~ /^(.*\/).*\n\1/);
	my $copy = "$PostgreSQL::Test::Utils::tmp_check/installation/";
	my %to = map { $_ => $copy . substr $dir{$_}, length $root } keys %dir;
	system_or_bail('mkdir', '-p', $to{bindir}, "$to{sharedir}/extension", dirname($to{pkglibdir}));
	system_or_bail('cp', '--recursive', "$dir{bindir}/.", $to{bindir});
	symlink $dir{pkglibdir}, $to{pkglibdir} or die "$to{pkglibdir}: $!" if $dir{pkglibdir} =~ /^\Q$root\E/;
	symlink $_, "$to{sharedir}/" . basename($_) foreach grep { !/\/extension$/ } glob "$dir{sharedir}/*";
	symlink $_, "$to{sharedir}/extension/" . basename($_) foreach glob "$dir{sharedir}/extension/*";
	foreach my $version (@versions)
	{
		unlink "$to{sharedir}/extension/raxx_detect--$version.sql";
		system_or_bail('cp', "$releases/$version.sql", "$to{sharedir}/extension/raxx_detect--$version.sql");
	}
	return $to{bindir};
}

$ENV{PATH} = installation_with_old_versions() . ":$ENV{PATH}";
my $node = new_server();
my ($current) = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'raxx_detect'});

sub psql_file
{
	my ($db, $file, @settings) = @_;
	my ($out, $err) = run_command([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', (map { ('-v', $_) } @settings), '-f', "$upgrade/$file", '-d', $node->connstr($db) ]);
	die "$file in $db: $err" if $err =~ /ERROR|FATAL/;
	return $out;
}

sub database_of_version
{
	my ($name, $version) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, "SET client_min_messages = warning; CREATE EXTENSION raxx_detect VERSION '$version' CASCADE");
	return $name;
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

# Of findings what the theorem is about, and what people have said of them.
sub findings
{
	my ($db) = @_;
	return $node->safe_psql($db, 'SELECT f.rule_id, f.entity, f.episode, f.severity, f.observed, f.threshold, f.fired_by, f.condition, f.triage, f.disposition
		FROM raxx_detect.detection_findings f ORDER BY f.rule_id, f.entity, f.episode');
}

# ---- each earlier version -------------------------------------------------------------------------------------------

cmp_ok(scalar @versions, '>=', 1, 'there are earlier versions');
my $untouched = database_of_version('untouched', $current);
my $catalog = psql_file($untouched, 'catalog.sql');
my %objects;
$objects{ (split /\|/, $_)[0] }++ foreach split /\n/, $catalog;
cmp_ok($objects{$_} // 0, '>', 0, "there is a $_ to compare") foreach qw(object function aggregate relation column constraint index trigger sequence type extension rule);
is($objects{stray}, undef, 'nothing in the schema is not the extension\'s');

my $fresh = database_of_version('fresh', $current);
psql_file($fresh, 'history.sql');
psql_file($fresh, 'later.sql');

foreach my $version (@versions)
{
	(my $name = $version) =~ tr/./_/;

	# As it comes.
	my $plain = database_of_version("plain_$name", $version);
	$node->safe_psql($plain, 'ALTER EXTENSION raxx_detect UPDATE');
	is($node->safe_psql($plain, q{SELECT extversion FROM pg_extension WHERE extname = 'raxx_detect'}), $current, "$version: is updated");
	same_lines(psql_file($plain, 'catalog.sql'), $catalog, "$version: the same objects and shipped rows as in a new database");

	# With a history.
	my $db = database_of_version("old_$name", $version);
	psql_file($db, 'history.sql');
	$node->safe_psql($db, q{DELETE FROM raxx_detect.free_mail_domains WHERE domain = 'gmx.net';
		CREATE VIEW of_ours AS SELECT rule_id, state FROM raxx_detect.status WHERE raxx_detect.poisson_upper_tail(1, 1) > 0;
		CREATE ROLE } . "reader_$name; GRANT USAGE ON SCHEMA raxx_detect TO reader_$name; GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO reader_$name");
	# Every row and sequence but those of the tables with shipped rows, whose columns all have to be there afterwards as they were.
	$node->safe_psql($db, q{CREATE TABLE public.rows_before (relation regclass, row jsonb);
		DO $$
		DECLARE r regclass;
		BEGIN
			FOR r IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind IN ('r', 'S') AND c.relname NOT IN
				('rules', 'methods', 'method_parameters', 'source_kinds', 'source_roles', 'free_mail_domains', 'fixtures') LOOP
				EXECUTE format('INSERT INTO public.rows_before SELECT %L, to_jsonb(t) FROM (SELECT * FROM %s) t', r, r);
			END LOOP;
		END $$});
	my $own = q{SELECT rule_id, params, false_alarms_per_month, runbook, state, state_reason, state_since, last_validated FROM raxx_detect.rules
		WHERE rule_id IN ('signup_waitlist_velocity_per_origin', 'auth_session_creation_velocity', 'data_backtest_benford', 'own_doors',
			'webhook_stripe_signature_fail') ORDER BY rule_id;
		SELECT source, position, rows_called, meaning FROM raxx_detect.source_kinds WHERE source = 'door_events';
		SELECT role, type FROM raxx_detect.source_roles WHERE source = 'door_events' ORDER BY role;
		SELECT fixture FROM raxx_detect.fixtures WHERE rule_id = 'own_doors';
		SELECT domain FROM raxx_detect.free_mail_domains WHERE domain IN ('mail.example', 'gmx.net')};
	my $own_before = $node->safe_psql($db, $own);
	$node->safe_psql($db, 'ALTER EXTENSION raxx_detect UPDATE');

	cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM public.rows_before'), '>', 700, "$version: there are rows to keep");
	is($node->safe_psql($db, q{CREATE FUNCTION public.differing(r regclass) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
		BEGIN  -- by what columns there were before; and how many rows there are
			RETURN QUERY EXECUTE format('SELECT b.row FROM public.rows_before b WHERE b.relation = $1 AND NOT EXISTS (SELECT FROM (SELECT * FROM %1$s) t
					WHERE (SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each(to_jsonb(t)) k WHERE b.row ? k.key) = b.row)
				UNION ALL SELECT to_jsonb(count(*)) FROM %1$s HAVING count(*) <> (SELECT count(*) FROM public.rows_before b WHERE b.relation = $1)', r) USING r;
		END $$;
		SELECT b.relation, public.differing(b.relation) FROM (SELECT DISTINCT relation FROM public.rows_before) b}), '', "$version: all of them are as they were");
	is($node->safe_psql($db, $own), $own_before, "$version: and so is what is the user's own of rules and sources");
	is($node->safe_psql($db, q{SELECT rule_id, overrides FROM raxx_detect.rules WHERE overrides IS DISTINCT FROM '{}' ORDER BY rule_id}),
		"auth_session_creation_velocity|{false_alarms_per_month,runbook}\nown_doors|\nsignup_waitlist_velocity_per_origin|{params.baseline_rows,params.threshold}",
		"$version: which it tells from what was shipped");
	is($node->safe_psql($db, 'SELECT count(*) FROM of_ours'), 18, "$version: views of one's own go on");
	is($node->safe_psql($db, "SET ROLE reader_$name; SELECT count(*) FROM raxx_detect.status"), 18, "$version: grants are kept");
	# Rules and rows that are not shipped are no part of the comparison; what somebody has changed is put back for it.
	$node->safe_psql($db, q{DROP VIEW of_ours; INSERT INTO raxx_detect.free_mail_domains VALUES ('gmx.net', true)});
	$node->safe_psql($db, "DROP OWNED BY reader_$name");
	my $objects_only = sub { return join "\n", grep { !/^rule\|/ } split /\n/, $_[0] };
	same_lines($objects_only->(psql_file($db, 'catalog.sql')), $objects_only->($catalog), "$version: with a history, too, the same objects and shipped rows");

	psql_file($db, 'later.sql');
	same_lines(findings($db), findings($fresh), "$version: a run finds what it finds where this version was from the start");
	is($node->safe_psql($db, q{SELECT coalesce(sum(findings_new + findings_updated), -1) FROM raxx_detect.run_all('2024-03-09 18:00')}), 0,
		"$version: and the next one nothing");
	is($node->safe_psql($db, 'SELECT DISTINCT ok FROM raxx_detect.self_test(\'webhook_stripe_signature_fail\')'), 't', "$version: the fixtures pass");

	# An updated extension is dumped like any other.
	$node->safe_psql('postgres', "CREATE DATABASE restored_$name TEMPLATE template0");
	my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump_$name";
	$node->command_ok([ 'pg_dump', '--format=custom', "--file=$dump", $node->connstr($db) ], "$version: pg_dump");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname', $node->connstr("restored_$name"), $dump ], "$version: pg_restore");
	same_lines(psql_file("restored_$name", 'image.sql', 'tables=^(?!source_bindings)'), psql_file($db, 'image.sql', 'tables=^(?!source_bindings)'),
		"$version: updated, dumped and restored it is the same");
}

$node->stop;
done_testing();
