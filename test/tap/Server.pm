# A server of its own for each test file, and what the files share: sessions that work while others look, the memory
# of a backend, and everything that runs leave behind, as a text by which two databases can be compared.
package Server;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes;

our @EXPORT = qw(new_server new_server_as new_database new_session load_application load_fortnight wait_until private_memory what_is_left differences);

# A running server; the settings are lines of postgresql.conf.
sub new_server
{
	return new_server_as(sub { $_[0]->start }, @_);
}

# The same, started by a function.
sub new_server_as
{
	my ($start, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new('server');
	$node->init;
	$node->append_conf('postgresql.conf', $_)
	  foreach 'log_statement = none', 'log_min_error_statement = panic', "TimeZone = 'UTC'", @settings;
	$start->($node);
	return $node;
}

# A database with the extension; its name.
sub new_database
{
	my ($node, $name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
	return $name;
}

# The sources of the rules that work, with the traffic of four days, from Monday, 2024-03-04, to Thursday evening, and
# incidents in it, so that each rule has something to find on each day.
sub load_application
{
	my ($node, $database) = @_;
	$node->safe_psql($database, <<'END');
SELECT raxx_detect.create_source_table(s) FROM unnest('{rbac_denials,waitlist_signups,customer_audit_events,console_audit_events}'::text[]) s;

INSERT INTO rbac_denials (event_time, operator, permission)
SELECT timestamptz '2024-03-04' + n * interval '2 seconds', 'operator ' || n % 50, 'reports:read' FROM generate_series(1, 160000) n;
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT incident + n * interval '80 seconds', 'operator ' || extract(day FROM incident), 'permission ' || n || ':admin'
FROM generate_series(timestamptz '2024-03-04 16:00', '2024-03-07 16:00', '6 hours') incident, generate_series(1, 6) n;

INSERT INTO waitlist_signups (event_time, email, origin)
SELECT timestamptz '2024-03-04' + n * interval '20 seconds', format('user%s@company%s.example', n, n), 'https://site' || n % 500
FROM generate_series(1, 16000) n;
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT incident + n * interval '8 seconds', format('guest%s@crowd%s.example', n, n % 2), 'https://shop.example'
FROM generate_series(timestamptz '2024-03-04 10:00', '2024-03-07 10:00', '1 day') incident, generate_series(1, 30) n;

INSERT INTO customer_audit_events (event_time, operator)
SELECT t, 'operator 1' FROM generate_series(timestamptz '2024-03-04', '2024-03-07 18:00', '5 minutes') t
WHERE t::time NOT BETWEEN '14:00' AND '14:40';
INSERT INTO console_audit_events (event_time, operator)
SELECT t, 'operator 2' FROM generate_series(timestamptz '2024-03-04', '2024-03-07 16:00', '10 minutes') t;
ANALYZE;
END
	return;
}

# The sources of nearly all rules, as application.sql has them, over two weeks; nothing of it has arrived yet.
sub load_fortnight
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'SET client_min_messages = warning;' . slurp_file("$FindBin::RealBin/application.sql"));
	return;
}

# See Server::Session.
sub new_session
{
	return Server::Session->new(@_);
}

# Asks again and again until the answer is true; dies when that takes too long.
sub wait_until
{
	my ($what, $question, $seconds) = @_;
	my $deadline = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	until ($question->())
	{
		die "waited in vain until $what" if time > $deadline;
		Time::HiRes::sleep(0.01);
	}
	return;
}

# What a process has for itself, in MB: its heap, but not the buffers that it shares.
sub private_memory
{
	my ($pid) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m;
	return $kilobytes / 1024;
}

# The rows of all the extension's tables that runs or people write about what happens in the sources (and not about when
# there was no run), each in a line, without the numbers, durations and
# times of day that no two servers share: a time of today is "now". A line is the table, the rule where there is one, the
# row, cut where it is long, and a hash of it. What people are told is told as of a run, and not among them.
sub what_is_left
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, <<'END');
SELECT format($$ SELECT %L || concat_ws(' ', row ->> 'rule_id', left(row::text, 500), md5(row::text))
	FROM (SELECT to_jsonb(t) %s %s AS row FROM %s t) r ORDER BY 1 $$, relname || ' ', string_agg(format('- %L', attname), ' ')
	FILTER (WHERE attidentity <> '' OR attname IN ('elapsed', 'judged_with', 'configuration')),
	string_agg(format($$ || jsonb_build_object(%L, CASE WHEN t.%I > now() - interval '1 day' THEN 'now' ELSE t.%I::text END) $$,
		attname, attname, attname), ' ') FILTER (WHERE atttypid = 'timestamptz'::regtype), c.oid::regclass)
FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE relnamespace = 'raxx_detect'::regnamespace AND relkind IN ('r', 'p')
AND relname NOT IN ('deliveries', 'finding_rows', 'fixtures', 'free_mail_domains', 'interruptions', 'methods', 'method_parameters', 'source_kinds', 'source_roles')
GROUP BY c.oid ORDER BY relname
\gexec
END
}

# The lines that only one of two such texts has, the first ten of them.
sub differences
{
	my ($got, $expected) = @_;
	my %count;
	$count{$_}++ foreach grep { $_ ne '' } split /\n/, $got;
	$count{$_}-- foreach grep { $_ ne '' } split /\n/, $expected;
	my @lines = map { ($count{$_} > 0 ? 'only here: ' : 'only undisturbed: ') . $_ } grep { $count{$_} } sort keys %count;
	return join "\n", @lines > 10 ? (@lines[ 0 .. 9 ], '... ' . @lines . ' lines') : @lines;
}

# A psql that stays connected. Queries can be sent ahead; their results are received in the same order.
package Server::Session;

use strict;
use warnings FATAL => 'all';

sub new
{
	my ($class, $node, $database, $role) = @_;
	my $self = bless { in => '', out => '', err => '', sent => 0, received => 0 }, $class;
	my $connection = $node->connstr($database) . (defined $role ? " user=$role" : '');
	$self->{timeout} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$self->{psql} = IPC::Run::start([ 'psql', '-XAtq', '-f', '-', '-d', $connection ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timeout});
	$self->{pid} = $self->query('SELECT pg_backend_pid()');
	return $self;
}

sub send
{
	my ($self, $sql) = @_;
	my $number = ++$self->{sent};
	$self->{in} .= "$sql\n;\n\\echo END $number :SQLSTATE\n\\warn END $number\n";
	$self->{psql}->pump_nb;
	return;
}

# The SQLSTATE of the last statement sent, the rows, and the errors and notices as text.
sub receive
{
	my ($self) = @_;
	my $number = ++$self->{received};
	$self->{timeout}->start;
	$self->{psql}->pump
	  until $self->{out} =~ /^END $number \w+\n/m && $self->{err} =~ /^END $number\n/m;
	$self->{out} =~ s/\A(.*?)^END $number (\w+)\n//ms;
	my ($rows, $state) = ($1, $2);
	$self->{err} =~ s/\A(.*?)^END $number\n//ms;
	my $messages = $1;
	chomp $rows;
	return ($state, $rows, $messages);
}

sub attempt
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->receive;
}

# The rows; dies of an error.
sub query
{
	my ($self, $sql) = @_;
	my ($state, $rows, $messages) = $self->attempt($sql);
	die "$sql: $messages" if $messages =~ /ERROR: /;
	return $rows;
}

# Ends the session, also one whose server is gone.
sub quit
{
	my ($self) = @_;
	eval { $self->{in} .= "\\q\n"; $self->{psql}->finish };
	return;
}

1;
