# What the tests of raxx-notify share: a database with channels to counterparts that are real servers, which can be made to fail; the
# program that is run, and what it logs.
package Notify;

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Exporter 'import';
use FindBin;
use HTTP::Tiny;
use IPC::Run;
use JSON;
use PostgreSQL::Test::Utils;
use Server;

our @EXPORT = qw(program notifier_database make_certificates start_counterpart stop_counterparts ask order write_secret write_settings
  settings_for notify start_notify finish start_instance is_running kill_instance end_instance log_of find_something delivery_states rows_of logged SLACK_TOKEN MAIL_PASSWORD SIGNING_SECRET);

use constant {
	SLACK_TOKEN => 'xoxb-test-0123456789-secret',
	MAIL_PASSWORD => 'correct horse battery staple',
	SIGNING_SECRET => 'whsec-0123456789-secret',
};

my $sources = "$FindBin::RealBin/../notify";
my @running;
my $number = 0;

# Undefined where it was not built.
sub program
{
	my $path = abs_path("$FindBin::RealBin/../../build/notify/raxx-notify");
	return defined $path && -x $path ? $path : undef;
}

# A database with the extension, whose notifier has no more rights than docs/notifier.md gives it, and with channels of each kind: routes
# lead what is critical to slack, high to hook and siem, medium to mail and low to log.
sub notifier_database
{
	my ($node, $name) = @_;
	new_database($node, $name);
	$node->safe_psql('postgres', 'CREATE ROLE raxx_notifier LOGIN') if $node->safe_psql('postgres', "SELECT to_regrole('raxx_notifier') IS NULL") eq 't';
	my ($grants) = slurp_file("$FindBin::RealBin/../../docs/notifier.md") =~ /^```sql\n(CREATE ROLE raxx_notifier.*?)^```/ms;
	$grants =~ s/^CREATE ROLE[^;]*;//m;
	$node->safe_psql($name, $grants);
	$node->safe_psql($name, <<'END');
TRUNCATE raxx_detect.routes, raxx_detect.channels, raxx_detect.channel_states;
INSERT INTO raxx_detect.channels (channel, kind, address, fallback, min_interval) VALUES
	('mail', 'mail', 'ops@', NULL, '0'), ('slack', 'slack', 'C0B423M38H4', 'mail', '0'), ('hook', 'slack', 'hook:sev2', 'mail', '0'),
	('siem', 'webhook', 'siem', 'mail', '0'), ('log', 'markdown', 'docs/detections/_log', 'mail', '0'), ('out', 'stdout', '', 'mail', '0');
INSERT INTO raxx_detect.routes (route, severity, channel, mode, push) VALUES
	('c', 'critical', 'slack', 'event', true), ('h1', 'high', 'hook', 'event', false), ('h2', 'high', 'siem', 'event', false),
	('m', 'medium', 'mail', 'event', false), ('l1', 'low', 'log', 'event', false), ('l2', 'low', 'out', 'event', false);
UPDATE raxx_detect.notification_settings SET digest_channels = '{mail}', posture = 'launched';
END
	return $name;
}

# A finding of that severity, now; its number.
sub find_something
{
	my ($node, $database, $severity, $entity) = @_;
	return $node->safe_psql($database, <<END);
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary,
	evidence, condition, occurrences, escalation_owner)
VALUES ('signup_waitlist_velocity_per_origin', 'DET-SIGNUP-001', 'signup', 'waitlist_signups', '$severity', '$entity', tstzrange(now() - interval '5 minutes', NULL), 60, 20,
	'sign-ups', 'threshold', 60, '$entity: 60 sign-ups within 5 min', '{}', 'firing', 1, 'sre-agent') RETURNING finding_id
END
}

sub rows_of
{
	my ($node, $database, $sql) = @_;
	return $node->safe_psql($database, $sql);
}

# Channel, event and state of every delivery, in order.
sub delivery_states
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, "SELECT string_agg(concat_ws(' ', channel, event, state), ', ' ORDER BY delivery_id) FROM raxx_detect.deliveries");
}

# ---- counterparts -------------------------------------------------------------------------------------------------------------

# An authority, and a certificate of it for 127.0.0.1, and one that has expired: ca.pem, good.pem and good.key, expired.pem.
sub make_certificates
{
	my ($folder) = @_;
	my $openssl = sub {
		my $error;
		IPC::Run::run([ 'openssl', @_ ], '>', '/dev/null', '2>', \$error) or die "openssl @_: $error";
	};
	$openssl->('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=Test authority',
		'-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', "$folder/ca.key", '-out', "$folder/ca.pem");
	$openssl->('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=127.0.0.1', '-keyout', "$folder/good.key", '-out', "$folder/good.csr");
	append_to_file("$folder/extensions", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n");
	my @sign = ('x509', '-req', '-in', "$folder/good.csr", '-CA', "$folder/ca.pem", '-CAkey', "$folder/ca.key", '-CAcreateserial', '-extfile', "$folder/extensions");
	$openssl->(@sign, '-days', '2', '-out', "$folder/good.pem");
	# OpenSSL makes none that ends before it begins; it may begin and end in the past.
	append_to_file("$folder/index.txt", '');
	append_to_file("$folder/ca.cnf", <<"END");
[ca]
default_ca = d
[d]
database = $folder/index.txt
new_certs_dir = $folder
serial = $folder/serial
certificate = $folder/ca.pem
private_key = $folder/ca.key
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = IP:127.0.0.1
END
	append_to_file("$folder/serial", "1000\n");
	$openssl->('ca', '-batch', '-config', "$folder/ca.cnf", '-in', "$folder/good.csr", '-startdate', '20200101000000Z', '-enddate', '20200102000000Z', '-out', "$folder/expired.pem",
		'-notext');
	return;
}

# A program of test/notify, with its options, once it serves; with port (and control, the port of its own for that, if it has one).
sub start_counterpart
{
	my ($program, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/port.' . ++$number;
	# What it says goes to a file: a pipe that nobody reads is full after some hundred warnings, and then it hangs.
	my $counterpart = { output_file => "$file.output" };
	$counterpart->{run} = IPC::Run::start([ '/usr/bin/python3', '-B', "$sources/$program", '--port-file', $file, @options ], '<', '/dev/null', '>&', $counterpart->{output_file});
	push @running, $counterpart;
	wait_until("$program serves", sub { die slurp_file($counterpart->{output_file}) if !is_running($counterpart); return -s $file });
	($counterpart->{port}, $counterpart->{control}) = slurp_file($file) =~ /(\d+)/g;
	return $counterpart;
}

sub stop_counterparts
{
	foreach my $counterpart (splice @running)
	{
		next if !$counterpart->{run};
		$counterpart->{run}->signal('KILL');
		eval { $counterpart->{run}->finish };
	}
	return;
}

END
{
	my $status = $?;
	stop_counterparts();
	$? = $status;
}

sub control
{
	my ($method, $counterpart, $what, $content) = @_;
	# Its own certificate is not what is tested here.
	my $scheme = $counterpart->{scheme} // 'https';
	my $url = defined $counterpart->{control} ? "http://127.0.0.1:$counterpart->{control}/$what" : "$scheme://127.0.0.1:$counterpart->{port}/control/$what";
	my $answer = HTTP::Tiny->new(timeout => 30, verify_SSL => 0)->request($method, $url, defined $content ? { content => encode_json($content) } : {});
	die "$url: $answer->{status} $answer->{content}" if !$answer->{success};
	return decode_json($answer->{content});
}

# What a counterpart has got.
sub ask
{
	my ($counterpart, $what) = @_;
	return control('GET', $counterpart, $what);
}

# What it is to do from now on.
sub order
{
	my ($counterpart, $what, $order) = @_;
	return control('POST', $counterpart, $what, $order // {});
}

# ---- the program --------------------------------------------------------------------------------------------------------------

sub write_secret
{
	my ($path, $secret) = @_;
	unlink $path;
	append_to_file($path, "$secret\n");
	chmod 0600, $path;
	return $path;
}

sub write_settings
{
	my ($path, $text) = @_;
	unlink $path;
	append_to_file($path, $text);
	return $path;
}

# A configuration that serves every channel of notifier_database. More may be given: network.timeout, service.lease, and other lines of [service] as they
# are written there.
sub settings_for
{
	my ($node, $database, $folder, $slack, $mail, %more) = @_;
	write_secret("$folder/token", SLACK_TOKEN);
	write_secret("$folder/mail", MAIL_PASSWORD);
	write_secret("$folder/signing", SIGNING_SECRET);
	write_secret("$folder/hook", "http://127.0.0.1:$slack->{port}/services/sev2");
	mkdir "$folder/log";
	my $timeout = delete $more{timeout} // '2s';
	my $lease = delete $more{lease} // '20s';
	my $service = join '', map { "$_ = $more{$_}\n" } sort keys %more;
	my $connection = $node->connstr($database);
	return write_settings("$folder/notify.toml", <<"END");
[database]
connection = "$connection user=raxx_notifier"
statement_timeout = "10s"
[service]
name = "tester"
lease = "$lease"
digest = false
$service
[network]
timeout = "$timeout"
connect_timeout = "2s"
ca_file = "$folder/ca.pem"
[slack]
api = "http://127.0.0.1:$slack->{port}/api"
token_file = "$folder/token"
hooks.sev2.url_file = "$folder/hook"
[webhook.siem]
url = "http://127.0.0.1:$slack->{port}/hook/siem"
signing_secret_file = "$folder/signing"
[mail]
server = "127.0.0.1:$mail->{port}"
user = "raxx"
password_file = "$folder/mail"
from = "alerts\@raxx.example"
[markdown]
root = "$folder/log"
[stdout]
END
}

# Runs it to its end; its status, what it wrote, and its log.
sub notify
{
	my (@arguments) = @_;
	my $running = start_notify(@arguments);
	return finish($running);
}

sub start_notify
{
	my (@arguments) = @_;
	my $running = { output => '', log => '' };
	$running->{run} = IPC::Run::start([ program(), @arguments ], '<', '/dev/null', '>', \$running->{output}, '2>', \$running->{log},
		IPC::Run::timeout(10 * $PostgreSQL::Test::Utils::timeout_default));
	return $running;
}

sub finish
{
	my ($running) = @_;
	$running->{run}->finish;
	my $status = $running->{run}->full_result(0);
	return wantarray ? ($status & 127 ? "signal " . ($status & 127) : $status >> 8, $running->{output}, $running->{log}) : $status;
}

# One of several that run at once, for as long as it takes; its log is a file, so that it never waits for the test to read it.
sub start_instance
{
	my ($settings, %environment) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/instance.' . ++$number;
	local @ENV{ keys %environment } = values %environment;
	my $instance = { log_file => "$file.log", output_file => "$file.out" };
	$instance->{run} = IPC::Run::start([ program(), '--config', $settings, 'run' ], '<', '/dev/null', '>', $instance->{output_file}, '2>', $instance->{log_file});
	$instance->{pid} = ($instance->{run}{KIDS}[0] // {})->{PID};
	push @running, $instance;
	return $instance;
}

sub is_running
{
	my ($instance) = @_;
	return $instance->{run} && $instance->{run}->pumpable;
}

sub kill_instance
{
	my ($instance, $signal) = @_;
	$instance->{run}->signal($signal) if $instance->{run};
	return;
}

# Waits for its end; its status, or "signal N".
sub end_instance
{
	my ($instance, $signal) = @_;
	kill_instance($instance, $signal) if defined $signal;
	my $run = delete $instance->{run};
	@running = grep { $_ != $instance } @running;
	$run->finish;
	my $status = $run->full_result(0);
	return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

# What it has logged so far, in whole lines.
sub log_of
{
	my ($instance) = @_;
	return -e $instance->{log_file} ? slurp_file($instance->{log_file}) =~ s/[^\n]*\z//r : '';
}

# The lines of a log that say so, as hashes. While it connects, libpq may have written a line of its own: a server's last word.
sub logged
{
	my ($log, $event) = @_;
	return grep { $_->{event} eq $event } map { decode_json($_) } grep { /^\{/ } split /\n/, $log;
}

1;
