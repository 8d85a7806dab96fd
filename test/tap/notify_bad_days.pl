# What else can go wrong around raxx-notify: the database stops, fails over, or does not know the password; certificates have expired, or are
# of nobody known; the mail server's or Slack's secret is wrong; the log cannot be written; the clock jumps. Each has its line in the log, nothing
# crashes, and once it is over all goes on by itself; no secret is anywhere.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use JSON;
use Notify;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

plan skip_all => 'raxx-notify is not built' if !defined program();

use constant { DATABASE_PASSWORD => 'the database word 0123456789', WRONG_PASSWORD => 'not that word 9876543210' };
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
make_certificates($folder);
my $node = new_server('wal_level = replica', 'max_wal_senders = 4', 'hot_standby = on', "listen_addresses = '127.0.0.1'");
my $db = notifier_database($node, 'app');
my $slack = start_counterpart('slack_server.py', '--token', SLACK_TOKEN);
$slack->{scheme} = 'http';
my @mail_server = ('mail_server.py', '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
my $mail = start_counterpart(@mail_server, '--cert', "$folder/good.pem");
my $expired_mail = start_counterpart(@mail_server, '--cert', "$folder/expired.pem");
my @slack_server = ('slack_server.py', '--token', SLACK_TOKEN, '--key', "$folder/good.key");
my $expired_hook = start_counterpart(@slack_server, '--cert', "$folder/expired.pem");
my $good_hook = start_counterpart(@slack_server, '--cert', "$folder/good.pem");
my $settings = settings_for($node, $db, $folder, $slack, $mail, poll => '"300ms"');
my $right = slurp_file($settings);
$node->safe_psql($db, "UPDATE raxx_detect.channels SET fallback = 'log' WHERE channel = 'mail'; UPDATE raxx_detect.channels SET storm_at = NULL");
my ($instance, $number, $logs) = (undef, 0, '');

# Ends the one that runs, and starts one with these settings.
sub run_with
{
	my ($text, %environment) = @_;
	finish_instance();
	write_settings($settings, $text);
	$instance = start_instance($settings, %environment);
	return;
}

sub finish_instance
{
	return if !$instance;
	is(end_instance($instance, 'TERM'), 0, 'it ends as it should') if is_running($instance);
	$logs .= slurp_file($instance->{log_file}) . slurp_file($instance->{output_file});
	undef $instance;
	return;
}

sub wait_for_log
{
	my ($event, $error) = @_;
	wait_until("it says $event", sub {
		die "it has ended\n" . log_of($instance) if !is_running($instance);
		grep { ($_->{error} // '') =~ $error } logged(log_of($instance), $event);
	}, 40);
	return pass("it says $event: $error");
}

sub find_one
{
	my ($severity) = @_;
	return find_something($node, $db, $severity, 'x' . ++$number);
}

sub wait_for_state
{
	my ($finding, $state) = @_;
	wait_until("finding $finding is $state", sub {
		$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity' WHERE state = 'pending' AND attempts > 0 AND next_attempt_at < now() + interval '61 minutes'");
		$node->safe_psql($db, "SELECT coalesce(bool_and(state = '$state'), false) FROM raxx_detect.deliveries WHERE finding_id = $finding") eq 't'
	}, 40);
	return pass("a message is $state");
}

# ---- the database -----------------------------------------------------------------------------------------------------------------------

run_with($right);
wait_for_state(find_one('critical'), 'delivered');
$node->stop('fast');
wait_for_log('database_lost', qr/terminating connection|server closed|connection/);
wait_for_log('database_unreachable', qr/No such file|refused/);
$node->start;
wait_for_state(find_one('critical'), 'delivered');

# A failover: two servers are named, and the one that takes writes is found.
$node->safe_psql('postgres', 'CREATE ROLE keeper REPLICATION');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my ($hosts, $ports) = (join(',', $node->host, $standby->host), join(',', $node->port, $standby->port));
run_with($right =~ s/^connection = .*/connection = "host=$hosts port=$ports dbname=$db user=raxx_notifier"/mr);
wait_for_state(find_one('critical'), 'delivered');
$node->wait_for_catchup($standby);
$node->stop('immediate');
wait_for_log('database_lost', qr/./);
my $old = $node;
$node = $standby;
$node->promote;
wait_for_state(find_one('critical'), 'delivered');

# A wrong password.
$node->safe_psql('postgres', "ALTER ROLE raxx_notifier PASSWORD '@{[DATABASE_PASSWORD]}'");
my $hba = $node->data_dir . '/pg_hba.conf';
my $trusting = slurp_file($hba);
unlink $hba;
append_to_file($hba, "host all raxx_notifier 127.0.0.1/32 scram-sha-256\n$trusting");
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
$node->restart;
write_secret("$folder/database", WRONG_PASSWORD);
my $by_password = $right =~ s/^connection = .*/connection = "host=127.0.0.1 port=@{[$node->port]} dbname=$db user=raxx_notifier"\npassword_file = "$folder\/database"/mr;
run_with($by_password);
wait_for_log('database_unreachable', qr/password authentication failed/);
write_secret("$folder/database", DATABASE_PASSWORD);
kill_instance($instance, 'HUP');
wait_for_state(find_one('critical'), 'delivered');

# ---- mail -------------------------------------------------------------------------------------------------------------------------------

write_secret("$folder/mail", WRONG_PASSWORD);
kill_instance($instance, 'HUP');
wait_until('it has read it', sub { logged(log_of($instance), 'configuration_read') == 2 });
my $finding = find_one('medium');
wait_for_state($finding, 'dead');
wait_for_log('dead', qr/535|[Ll]ogin denied/);
wait_until('the log says so', sub { $node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries WHERE event = 'dead_letter' AND channel = 'log' AND state = 'delivered'") eq '1' });
write_secret("$folder/mail", MAIL_PASSWORD);
kill_instance($instance, 'HUP');
wait_until('it has read it', sub { logged(log_of($instance), 'configuration_read') == 3 });
wait_for_state(find_one('medium'), 'delivered');

# ---- certificates -----------------------------------------------------------------------------------------------------------------------

run_with($by_password =~ s/^server = .*/server = "127.0.0.1:$expired_mail->{port}"/mr =~ s{^url = .*}{url = "https://127.0.0.1:$expired_hook->{port}/hook/siem"}mr);
my ($letter, $event) = (find_one('medium'), find_one('high'));
wait_until('both are refused', sub { my %channel = map { $_->{channel} => 1 } grep { ($_->{error} // '') =~ /certificate has expired/ } logged(log_of($instance), 'retried'); keys %channel == 2 });
pass('it says retried, since a certificate has expired, of mail and of a webhook');
is(scalar(@{ ask($expired_mail, 'logins') }), 0, 'no password was sent to a server that has expired');
my $logins = @{ ask($mail, 'logins') };
run_with($by_password =~ s/^ca_file = .*\n//mr =~ s{^url = .*}{url = "https://127.0.0.1:$good_hook->{port}/hook/siem"}mr);
wait_until('both are refused', sub {
	$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity' WHERE state = 'pending'");
	my %channel = map { $_->{channel} => 1 } grep { ($_->{error} // '') =~ /certificate/ } logged(log_of($instance), 'retried'); keys %channel == 2 }, 40);
is(scalar(@{ ask($mail, 'logins') }), $logins, 'nor to one whose authority nobody knows');
is(scalar(map { @{ ask($_, 'hooks') } } $expired_hook, $good_hook), 0, 'and no event');
$node->safe_psql($db, "UPDATE raxx_detect.channel_states SET open_until = NULL, failures = 0");
run_with($by_password =~ s{^url = .*}{url = "https://127.0.0.1:$good_hook->{port}/hook/siem"}mr);
wait_for_state($_, 'delivered') foreach $letter, $event;

# ---- the log ----------------------------------------------------------------------------------------------------------------------------

run_with($by_password);
rename "$folder/log", "$folder/gone";
my $entry = find_one('low');
wait_for_log('retried', qr/cannot open .*No such file/);
mkdir "$folder/log", 0555;
SKIP:
{
	skip 'nothing is forbidden to root', 1 if $> == 0;
	wait_until('it may not write there', sub {
		$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity' WHERE state = 'pending'; UPDATE raxx_detect.channel_states SET open_until = NULL");
		grep { ($_->{error} // '') =~ /Permission denied/ } logged(log_of($instance), 'retried') }, 40);
	pass('it says that it may not write there');
}
rmdir "$folder/log";
rename "$folder/gone", "$folder/log";
wait_for_state($entry, 'delivered');
# A full disk: no file may grow any more.
finish_instance();
{
	my $file = "$folder/limited";
	append_to_file($file, "#!/bin/sh\nulimit -f 0\ntrap '' XFSZ\nexec \"\$@\"\n");
	chmod 0755, $file;
	$entry = find_one('low');
	my ($output, $log) = ('', '');
	IPC::Run::run([ $file, program(), '--config', $settings, 'once' ], '<', '/dev/null', '|', ['cat'], '>', \$output, '2>', \$log);
	is($node->safe_psql($db, "SELECT state || ' ' || last_error FROM raxx_detect.deliveries WHERE finding_id = $entry AND channel = 'log'"), 'pending cannot write the log: File too large', 'a disk that is full is noted, too');
	$logs .= $output . $log;
}
run_with($by_password);
wait_for_state($entry, 'delivered');
my $written = join '', map { slurp_file($_) } glob "$folder/log/docs/detections/_log/*/*/*.md";
my $key = $node->safe_psql($db, "SELECT idempotency_key FROM raxx_detect.deliveries WHERE finding_id = $entry AND channel = 'log'");
is(() = $written =~ /<!--[^\n]*$key/g, 1, 'it is there once, and whole');

# ---- Slack ------------------------------------------------------------------------------------------------------------------------------

order($slack, 'options', { token => 'another' });
wait_for_state(find_one('critical'), 'dead');
wait_for_log('dead', qr/Slack says: invalid_auth/);
order($slack, 'options', { token => SLACK_TOKEN });
wait_for_state(find_one('critical'), 'delivered');
wait_until('who was to be told otherwise has been', sub { $node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries WHERE state = 'dead' AND NOT EXISTS (
	SELECT FROM raxx_detect.deliveries a WHERE a.delivery_id = raxx_detect.deliveries.announced_by AND a.state = 'delivered')") eq '0' });
pass('and what was dead was announced');

# ---- the clock --------------------------------------------------------------------------------------------------------------------------

# Set back by a year while somebody was sending: what was to be soon is a year away.
finish_instance();
my @later = map { find_one('critical') } 1 .. 3;
$node->safe_psql($db, <<"END");
UPDATE raxx_detect.deliveries SET state = 'sending', lease = gen_random_uuid(), lease_until = now() + interval '1 year', attempts = 1 WHERE finding_id = $later[0];
UPDATE raxx_detect.deliveries SET next_attempt_at = now() + interval '1 year', attempts = 1 WHERE finding_id = $later[1];
INSERT INTO raxx_detect.channel_states (channel) SELECT channel FROM raxx_detect.channels ON CONFLICT DO NOTHING;
UPDATE raxx_detect.channel_states SET next_send_at = now() + interval '1 year', open_until = now() + interval '1 year', storm_until = now() + interval '1 year', busy_until = now() + interval '1 year', failures = 7;
UPDATE raxx_detect.channels SET storm_at = 20, min_interval = '10 ms';
UPDATE raxx_detect.notifiers SET seen_at = now() + interval '1 year'
END
push @later, map { find_one($_) } qw(high medium low);
run_with($by_password);
wait_for_state($_, 'delivered') foreach @later;
# Set forward by a year: what is due long since, and deadlines that are over.
$finding = find_one('critical');
finish_instance();
my $late = find_one('high');
$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET deadline = deadline - interval '1 year', created_at = created_at - interval '1 year' WHERE finding_id = $late");
run_with($by_password);
wait_for_state($finding, 'delivered');
wait_for_state($late, 'dead');
wait_until('that is told', sub { $node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries WHERE state IN ('pending', 'sending', 'bundled')") eq '0' }, 40);

# ---- secrets ----------------------------------------------------------------------------------------------------------------------------

my %secret = (SLACK_TOKEN, 'a token', MAIL_PASSWORD, 'a password', SIGNING_SECRET, 'a signing secret', DATABASE_PASSWORD, 'the database\'s password', WRONG_PASSWORD, 'a wrong password',
	'services/sev2', 'the address of an incoming webhook');
my $process = slurp_file("/proc/$instance->{pid}/cmdline") . (eval { slurp_file("/proc/$instance->{pid}/environ") } // '');
is((stat "/proc/$instance->{pid}/mem")[4], 0, 'its memory is nobody else\'s');
like(slurp_file("/proc/$instance->{pid}/limits"), qr/^Max core file size +0 +0 /m, 'and goes into no core');
kill_instance($instance, 'ABRT');
is(end_instance($instance), 'signal 6', 'not when it is made to dump one either');
$logs .= slurp_file($instance->{log_file}) . slurp_file($instance->{output_file});
undef $instance;
is(join(' ', glob('core*'), glob("$folder/core*")), '', 'there is none');
foreach my $secret (sort keys %secret)
{
	unlike($logs . $process, qr/\Q$secret\E/, "$secret{$secret} is in no log, argument or environment");
	is($node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries d FULL JOIN raxx_detect.channel_states s USING (channel) WHERE d::text LIKE '%$secret%' OR s::text LIKE '%$secret%'"), '0', 'nor in the database');
}
stop_counterparts();
$node->stop;
done_testing();
