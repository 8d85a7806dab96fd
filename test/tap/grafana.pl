# packaging/grafana/raxx_detect.json: a dashboard as Grafana's model has it, each query of which runs, with no more rights than a reader's,
# and returns the columns that its panel needs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JSON;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $folder = "$FindBin::RealBin/../../packaging/grafana";
my $dashboard = decode_json(slurp_file("$folder/raxx_detect.json"));
my @panels = @{ $dashboard->{panels} };
my $data_source = { type => 'grafana-postgresql-datasource', uid => '${datasource}' };

# ---- the model ----------------------------------------------------------------------------------------------------------------
like($dashboard->{schemaVersion}, qr/^3[6-9]$|^4[0-2]$/, 'a schema that Grafana 9 to 12 read');
like($dashboard->{uid}, qr/^[A-Za-z0-9_-]{1,40}$/, 'an address');
ok(defined $dashboard->{$_}, "has $_") foreach qw(title time timepicker templating annotations tags version);
ok(!exists $dashboard->{id} && !exists $dashboard->{__inputs}, 'is of no one instance');
my %ids = map { $_->{id} => 1 } @panels;
is(scalar keys %ids, scalar @panels, 'panels have numbers of their own');
my %variables = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };
is($variables{datasource}{type}, 'datasource', 'the database is a variable');
is($variables{datasource}{query}, $data_source->{type}, 'of PostgreSQL');

my %taken;
my %types = map { $_ => 1 } qw(stat table timeseries bargauge);
foreach my $panel (@panels)
{
	my ($title, $place) = ($panel->{title}, $panel->{gridPos});
	ok($types{ $panel->{type} }, "$title: a panel that Grafana has built in");
	is_deeply([ $panel->{datasource}, map { $_->{datasource} } @{ $panel->{targets} } ], [ $data_source, map { $data_source } @{ $panel->{targets} } ], 'asks the chosen database');
	ok($place->{x} >= 0 && $place->{w} >= 1 && $place->{x} + $place->{w} <= 24 && $place->{h} >= 3, 'within the 24 columns');
	my @cells = map { my $x = $_; map { "$x $_" } $place->{y} .. $place->{y} + $place->{h} - 1 } $place->{x} .. $place->{x} + $place->{w} - 1;
	is(scalar(grep { $taken{$_}++ } @cells), 0, 'over no other');
}

# ---- its queries --------------------------------------------------------------------------------------------------------------
my $node = new_server();
my $db = new_database($node, 'looked_at');
$node->safe_psql($db, <<'END');
SELECT raxx_detect.create_source_table(s) FROM unnest('{waitlist_signups,customer_audit_events}'::text[]) s;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '3 hours' + n * interval '5 seconds', format('p%s@c%s.example', n, n), 'https://shop.example' FROM generate_series(1, 30) n;
INSERT INTO customer_audit_events (event_time, operator) SELECT now() - interval '9 hours' + n * interval '1 minute', 'operator' FROM generate_series(1, 60) n;
SELECT raxx_detect.run_all();
END
# The rights that docs/operations.md gives it.
my ($grants) = slurp_file("$FindBin::RealBin/../../docs/operations.md") =~ /^```sql\n(CREATE ROLE raxx_grafana.*?)^```/ms;
$node->safe_psql($db, $grants);

# What Grafana makes of a query before it sends it.
sub as_sent
{
	my ($sql) = @_;
	my %values = (severity => q{'low','medium','high','critical'}, rule => q{'signup_waitlist_velocity_per_origin','data_audit_log_gap_window'});
	$sql =~ s/\$\{(\w+):sqlstring\}/$values{$1} \/\/ die "no variable $1"/ge;
	my $argument = qr/((?:[^()]|\([^()]*\))*?)/;
	$sql =~ s/\$__timeGroupAlias\($argument,\s*\$__interval\)/floor(extract(epoch from $1)\/300)*300 AS "time"/g;
	$sql =~ s/\$__timeFilter\($argument\)(?=[\s)]|$)/$1 BETWEEN '2000-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'/g;
	return $sql;
}

my $session = new_session($node, $db);
$session->query('SET ROLE raxx_grafana');
# Names and types of a query's columns, and how many rows it has.
sub columns_of
{
	my ($sql) = @_;
	$session->query("CREATE TEMP VIEW asked AS $sql");
	my %columns = map { split /\|/ } split /\n/,
	  $session->query(q{SELECT attname || '|' || format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'asked'::regclass AND attnum > 0 ORDER BY attnum});
	my $rows = $session->query('SELECT count(*) FROM asked');
	$session->query('DROP VIEW asked');
	return (\%columns, $rows);
}

my $may_be_empty = qr/^(Hash chains|Blind minutes of the last day)$/;
foreach my $panel (@panels)
{
	foreach my $target (@{ $panel->{targets} })
	{
		my $sql = as_sent($target->{rawSql});
		unlike($sql, qr/\$/, "$panel->{title}: no macro or variable is left");
		my ($columns, $rows) = columns_of($sql);
		cmp_ok($rows, '>=', $panel->{title} =~ $may_be_empty ? 0 : 1, 'has rows');
		my @numbers = grep { $columns->{$_} =~ /^(bigint|integer|double precision|numeric)$/ && $_ ne 'time' } keys %$columns;
		if ($target->{format} eq 'time_series')
		{
			like($columns->{time} // '', qr/^(timestamp with time zone|double precision|numeric)$/, 'is a series over time');
		}
		ok(@numbers > 0, 'of numbers') if $panel->{type} ne 'table';
		is(scalar keys %$columns, 1, 'one of them') if $panel->{type} eq 'stat';
		foreach my $override (@{ $panel->{fieldConfig}{overrides} })
		{
			ok($columns->{ $override->{matcher}{options} }, "what is set for $override->{matcher}{options} is for a column that there is");
		}
	}
}
foreach my $variable (grep { $_->{type} eq 'query' } values %variables)
{
	my ($columns, $rows) = columns_of($variable->{query});
	ok($rows >= 4 && keys %$columns == 1, "variable $variable->{name}: has values");
	is_deeply($variable->{datasource}, $data_source, 'of the chosen database');
}
foreach my $annotation (@{ $dashboard->{annotations}{list} })
{
	my ($columns, $rows) = columns_of(as_sent($annotation->{target}{rawSql}));
	ok($rows >= 1 && $columns->{time} && $columns->{timeend} && $columns->{text}, "annotation $annotation->{name}");
}
is($session->query('SELECT rolsuper FROM pg_roles WHERE rolname = current_user'), 'f', 'all by a reader');

# ---- provisioning ---------------------------------------------------------------------------------------------------------------
foreach my $file ('datasources/raxx_detect.yaml', 'dashboards/raxx_detect.yaml')
{
	my $text = slurp_file("$folder/provisioning/$file");
	like($text, qr/^apiVersion: 1$/m, "$file: a provisioning file");
	unlike($text, qr/password: (?!\$)/, 'without a secret');
}
done_testing();
