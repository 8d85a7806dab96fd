# raxx-notify with each kind of counterpart, end to end: what arrives, what is noted, and what becomes of one fault of each kind.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM MSG_DONTWAIT);
use lib $FindBin::RealBin;
use JSON;
use MIME::QuotedPrint qw(decode_qp);
use Notify;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

plan skip_all => 'raxx-notify is not built' if !defined program();

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
make_certificates($folder);
my $node = new_server();
my $db = notifier_database($node, 'app');
my $slack = start_counterpart('slack_server.py', '--token', SLACK_TOKEN);
$slack->{scheme} = 'http';
my $mail = start_counterpart('mail_server.py', '--cert', "$folder/good.pem", '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
my $settings = settings_for($node, $db, $folder, $slack, $mail);
my $all_logs = '';

# What is due now, in one go.
sub deliver
{
	my ($status, $output, $log) = notify('--config', $settings, 'once');
	$all_logs .= $output . $log;
	return ($status, $output, $log);
}

# From the start: nothing in the outbox, and counterparts that know of nothing.
sub fresh
{
	$node->safe_psql($db, 'TRUNCATE raxx_detect.deliveries, raxx_detect.channel_states; DELETE FROM raxx_detect.detection_findings');
	order($_, 'reset') foreach $slack, $mail;
	return;
}

# What waits for another attempt is due now.
sub hurry
{
	$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity'; UPDATE raxx_detect.channel_states SET next_send_at = '-infinity', open_until = NULL");
	return;
}

sub state_of
{
	my ($channel) = @_;
	return $node->safe_psql($db, "SELECT string_agg(concat_ws(' ', state, attempts, CASE WHEN possible_repeat THEN 'repeat' END), ', ' ORDER BY delivery_id)
		FROM raxx_detect.deliveries WHERE channel = '$channel'");
}

# ---- check, and what is refused ---------------------------------------------------------------------------------------------------

my ($status, $output, $log) = notify('--config', $settings, 'check');
is($status, 0, 'check finds nothing wrong') or diag($output . $log);
is($output =~ s/^ok +channel (\w+) .*\n/$1 /mgr =~ s/^ok .*\n//mgr, 'hook log mail out siem slack ', 'with any channel');
is($node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.deliveries'), '0', 'it makes nothing');
is(scalar(@{ ask($mail, 'mails') }) + @{ ask($slack, 'messages') }, 0, 'and sends nothing');
is_deeply(ask($mail, 'logins'), [ JSON::true ], 'but it has logged in');

order($slack, 'options', { token => 'another' });
append_to_file("$folder/other.toml", slurp_file($settings) =~ s/root = .*/root = "\/nowhere"/r);
$node->safe_psql($db, "INSERT INTO raxx_detect.channels (channel, kind, address) VALUES ('siem2', 'webhook', 'nobody'), ('off', 'webhook', 'nobody'); UPDATE raxx_detect.channels SET enabled = false WHERE channel = 'off'");
($status, $output) = notify('--config', "$folder/other.toml", 'check');
is($status, 1, 'check fails');
like($output, qr/^failed  channel log \(markdown\): cannot open \/nowhere: No such file/m, 'for a folder that is not there');
like($output, qr/^failed  channel slack \(slack\): Slack says: invalid_auth$/m, 'for a token that is wrong');
like($output, qr/^failed  channel siem2 \(webhook\): not served: there is no \[webhook\.nobody\]$/m, 'for a channel that nobody serves');
like($output, qr/^note    channel off \(webhook\): not enabled$/m, 'but not for one that is off');
order($slack, 'options', { token => SLACK_TOKEN });
$node->safe_psql($db, "DELETE FROM raxx_detect.channels WHERE channel IN ('siem2', 'off')");

append_to_file("$folder/wrong.toml", "[database]\nconnection = \"dbname=x\"\n[mail]\nserver = 5\n");
($status, $output, $log) = notify('--config', "$folder/wrong.toml", 'run');
is($status, 2, 'a wrong configuration is refused');
is((logged($log, 'configuration_refused'))[0]{error}, "$folder/wrong.toml:4: mail.server: has to be a text", 'by file, line and key');

# ---- each kind, as it should be -----------------------------------------------------------------------------------------------------

my $evil = 'https://evil.example/<!channel>&"x"';
my %finding = map { $_ => find_something($node, $db, $_, "$evil for $_") } qw(critical high medium low);
($status, $output, $log) = notify('--config', $settings, '--dry-run', 'once');
like($output, qr/^6 deliveries are due$/m, 'a dry run shows what is due');
is($node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries WHERE state = 'pending' AND attempts = 0"), '6', 'and claims nothing');
($status, $output, $log) = deliver();
is($status, 0, 'everything is delivered') or diag($log);
is(delivery_states($node, $db), 'slack fired delivered, hook fired delivered, siem fired delivered, mail fired delivered, log fired delivered, out fired delivered', 'and noted as such');
my %key = map { split /\|/ } split /\n/, $node->safe_psql($db, 'SELECT channel, idempotency_key FROM raxx_detect.deliveries');

my @messages = @{ ask($slack, 'messages') };
my ($posted) = grep { $_->{by} eq 'api' } @messages;
is($posted->{channel}, 'C0B423M38H4', 'Slack: in the channel');
like($posted->{text}, qr/\A<!channel> /, 'for everybody');
my @parsed = encode_json($posted->{blocks}) =~ /\{[^{}]*"type":"mrkdwn"[^{}]*\}/g;
is(() = "@parsed" =~ /<!channel>/g, 1, 'but not where a row says so');
is_deeply($posted->{metadata}, { event_type => 'raxx_detect_finding', event_payload => { idempotency_key => $key{slack}, finding_id => $finding{critical} + 0,
	delivery_id => $node->safe_psql($db, "SELECT delivery_id FROM raxx_detect.deliveries WHERE channel = 'slack'") + 0 } }, 'with its key');
is($node->safe_psql($db, "SELECT provider FROM raxx_detect.deliveries WHERE channel = 'slack'"), qq({"ts": "$posted->{ts}", "channel": "C0B423M38H4"}), 'and noted is what Slack calls it');
my ($hooked) = grep { $_->{by} eq 'hook' } @messages;
unlike($hooked->{text}, qr/<!channel>/, 'an incoming webhook: the message, not for everybody');

my ($event) = @{ ask($slack, 'hooks') };
is($event->{key}, $key{siem}, 'a webhook: with an idempotency key');
my ($time, $mac) = $event->{headers}{'X-Raxx-Signature'} =~ /\At=(\d+),v1=([0-9a-f]{64})\z/;
is($mac, hmac_sha256_hex("$time.$event->{body}", SIGNING_SECRET), 'signed');
is(decode_json($event->{body})->{class_uid}, 2004, 'an OCSF Detection Finding');

my ($received) = @{ ask($mail, 'mails') };
is_deeply([ @{$received}{qw(from to authenticated tls)} ], [ 'alerts@raxx.example', ['ops@raxx.example'], JSON::true, JSON::true ], 'a mail: to whom it should, encrypted, after logging in');
my ($head, $body) = split /\r\n\r\n/, $received->{source}, 2;
like($head, qr/^Message-ID: <\Q$key{mail}\E\@raxx\.example>\r$/m, 'its id is its key');
like($head, qr/^$_\r$/m, 'its head') foreach 'From: "raxx_detect" <alerts@raxx\.example>', 'To: <ops@raxx\.example>', 'Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000',
  'Auto-Submitted: auto-generated', 'Mime-Version: 1\.0', 'Content-Type: multipart/alternative; boundary=\S+';
is(() = $head =~ /^(?i:content-type):/mg, 1, 'there is one type');
my @parts = $body =~ /^Content-Type: ([\w\/]+)/mg;
is($parts[0], 'text/plain', 'the text first');
ok((grep { $_ eq 'text/html' } @parts), 'then HTML');
like(decode_qp($body), qr/evil\.example/, 'and what was found');

my ($file) = glob "$folder/log/docs/detections/_log/*/*/*.md";
like($file, qr{/\d{4}/\d\d/\d{4}-\d\d-\d\d\.md\z}, 'a log: a file for the day');
is(() = slurp_file($file) =~ /<!--.*\Q$key{log}\E/g, 1, 'with an entry by its key');
like($output, qr/evil\.example/, 'standard output: the message');

# ---- what follows is told where the first was -----------------------------------------------------------------------------------------

order($_, 'reset') foreach $slack, $mail;
$node->safe_psql($db, "UPDATE raxx_detect.detection_findings SET condition = 'cleared', updated_at = now(), episode = tstzrange(lower(episode), now()) WHERE severity IN ('critical', 'medium')");
is((deliver())[0], 0, 'what follows is delivered');
is(ask($slack, 'messages')->[0]{thread_ts}, $posted->{ts}, 'Slack: in the thread of the first');
like(ask($mail, 'mails')->[0]{source}, qr/^In-Reply-To: <\Q$key{mail}\E\@raxx\.example>\r\nReferences: <\Q$key{mail}\E\@raxx\.example>\r$/m, 'a mail: as an answer to it');

# ---- faults ---------------------------------------------------------------------------------------------------------------------------

# One finding of this severity, with this fault of this counterpart; delivered at the next attempt unless told otherwise.
sub with_fault
{
	my ($severity, $counterpart, $fault) = @_;
	fresh();
	find_something($node, $db, $severity, 'x');
	order($counterpart, 'faults', $fault);
	return deliver();
}

with_fault('critical', $slack, { at => 'chat.postMessage', fault => '429', retry_after => 30 });
is(state_of('slack'), 'pending 1', 'Slack, too many requests: it is tried again');
is($node->safe_psql($db, "SELECT next_attempt_at - now() BETWEEN interval '20 seconds' AND interval '30 seconds' FROM raxx_detect.deliveries"), 't', 'when Slack wants it');
hurry();
deliver();
is(state_of('slack'), 'delivered 2', 'and arrives');

foreach my $fault ('reset', 'malformed', 'huge', 'slow', 'hang')
{
	with_fault('critical', $slack, { at => 'chat.postMessage', fault => $fault });
	is(state_of('slack'), 'pending 1 repeat', "Slack, $fault: it may have arrived");
	hurry();
	is((deliver())[0], 0, 'at the next attempt');
	is(state_of('slack'), 'delivered 2 repeat', 'it is delivered');
	is(scalar(@{ ask($slack, 'messages') }), 1, 'since it is found in the history, and not sent again');
}

with_fault('critical', $slack, { at => 'chat.postMessage', fault => 'reset', taken => JSON::false });
hurry();
deliver();
is(state_of('slack'), 'delivered 2 repeat', 'Slack, lost on the way: it is sent again');
is(scalar(@{ ask($slack, 'messages') }), 1, 'once');
unlike(ask($slack, 'messages')->[0]{text}, qr/repeat/i, 'and is not called a repeat, since the history has none');

with_fault('critical', $slack, { at => 'chat.postMessage', fault => 'reset' });
order($slack, 'options', { no_scope => JSON::true });
hurry();
my $unreadable = (deliver())[2];
is(scalar(@{ ask($slack, 'messages') }), 2, 'Slack, without the right to read the history: a repeat');
like(ask($slack, 'messages')->[1]{text}, qr/repeat/i, 'which says so');
is(scalar(logged($unreadable, 'history_unreadable')), 1, 'and so does the log');

with_fault('critical', $slack, { at => 'chat.postMessage', fault => 'error', name => 'is_archived' });
is(state_of('slack'), 'dead 1', 'Slack refuses: dead');
deliver();
is(delivery_states($node, $db), 'slack fired dead, mail dead_letter delivered', 'and the fallback is told');

with_fault('high', $slack, { at => 'hook', fault => '503', retry_after => 'date:40' });
is(state_of('siem'), 'pending 1', 'a webhook, not now: it is tried again');
is($node->safe_psql($db, "SELECT next_attempt_at - now() BETWEEN interval '20 seconds' AND interval '41 seconds' FROM raxx_detect.deliveries WHERE channel = 'siem'"), 't', 'when it wants it');
is(state_of('hook'), 'delivered 1', 'others do not wait for it');
with_fault('high', $slack, { at => 'hook', fault => '422' });
is(state_of('siem'), 'dead 1', 'a webhook refuses: dead');
with_fault('high', $slack, { at => 'hook', fault => 'redirect', to => "http://127.0.0.1:$slack->{port}/hook/other" });
is(state_of('siem'), 'dead 1', 'a webhook leads elsewhere: not followed');
is(scalar(@{ ask($slack, 'hooks') }), 0, 'nothing was sent there');

with_fault('medium', $mail, { at => 'RCPT', fault => 'reply', reply => '451 4.3.0 come back later' });
is(state_of('mail'), 'pending 1', 'mail, 4yz: it is tried again');
hurry();
deliver();
is(state_of('mail'), 'delivered 2', 'and arrives');
with_fault('medium', $mail, { at => 'DATA', fault => 'reply', reply => '554 5.7.1 no' });
is(state_of('mail'), 'dead 1', 'mail, 5yz: dead');
with_fault('medium', $mail, { at => 'DATA', fault => 'drop' });
is(state_of('mail'), 'pending 1 repeat', 'mail, lost after the message was read: it may have arrived');
hurry();
deliver();
my @mails = @{ ask($mail, 'mails') };
is(scalar(@mails), 2, 'it is sent again');
is_deeply([ map { $_->{source} =~ /^Message-ID: (\S+)\r$/m } @mails ], [ ($mails[0]{source} =~ /^Message-ID: (\S+)\r$/m) x 2 ], 'under the same id');
with_fault('medium', $mail, { at => 'MAIL', fault => 'drop' });
is(state_of('mail'), 'pending 1', 'mail, lost before: it cannot have arrived');

fresh();
write_secret("$folder/mail", 'not the password');
find_something($node, $db, 'medium', 'x');
$log = (deliver())[2];
is(state_of('mail'), 'dead 1', 'mail, a wrong password: dead');
like((logged($log, 'dead'))[0]{error}, qr/535|login|denied/i, 'and said why');
write_secret("$folder/mail", MAIL_PASSWORD);

my $expired = start_counterpart('mail_server.py', '--cert', "$folder/expired.pem", '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
my $right = slurp_file($settings);
write_settings($settings, $right =~ s/^server = .*/server = "127.0.0.1:$expired->{port}"/mr);
fresh();
find_something($node, $db, 'medium', 'x');
$log = (deliver())[2];
is(state_of('mail'), 'pending 1', 'mail, an expired certificate: nothing is sent');
like((logged($log, 'retried'))[0]{error}, qr/certificate has expired/, 'and said why');
is(scalar(@{ ask($expired, 'logins') }), 0, 'no password either');
write_settings($settings, $right);

fresh();
rename "$folder/log", "$folder/gone";
find_something($node, $db, 'low', 'x');
deliver();
is(state_of('log'), 'pending 1 repeat', 'a log that cannot be written: it is tried again');
rename "$folder/gone", "$folder/log";
hurry();
deliver();
is(state_of('log'), 'delivered 2 repeat', 'and written');

# ---- as a service ---------------------------------------------------------------------------------------------------------------------

fresh();
$settings = settings_for($node, $db, $folder, $slack, $mail, metrics => '"127.0.0.1:0"', poll => '"60s"');
# In place of systemd.
my $manager_path = PostgreSQL::Test::Utils::tempdir_short() . '/notify';
my $manager = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $manager_path) or die "$manager_path: $!";
my @told;
my $service;
{
	local $ENV{NOTIFY_SOCKET} = $manager_path;
	local $ENV{WATCHDOG_USEC} = 6_000_000;
	$service = start_notify('--config', $settings, 'run');
}
my $logs = sub {
	$service->{run}->pump_nb;
	while (defined $manager->recv(my $message, 1000, MSG_DONTWAIT)) { push @told, split /\n/, $message }
	return logged($service->{log} =~ s/[^\n]*\z//r, shift);
};
wait_until('all channels are served', sub { $logs->('channel_served') == 6 });
wait_until('it listens', sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'raxx-notify listens' AND query LIKE 'LISTEN%'") eq '1' });
find_something($node, $db, 'critical', 'x');
wait_until('it has heard of it', sub { state_of('slack') eq 'delivered 1' });
pass('what is announced is delivered, long before the next look');
my $metrics = HTTP::Tiny->new->get('http://127.0.0.1:' . ($logs->('metrics_served'))[0]{port} . '/metrics');
like($metrics->{content}, qr/^raxx_notify_deliveries_total\{channel="slack",outcome="delivered"\} 1$/m, 'it is counted');
like($metrics->{content}, qr/^raxx_notify_send_seconds_count\{channel="slack"\} 1$/m, 'and timed');

write_settings($settings, "[database]\n");
$service->{run}->signal('HUP');
wait_until('it has refused it', sub { $logs->('configuration_refused') });
pass('a reload with a wrong configuration changes nothing');
settings_for($node, $db, $folder, $slack, $mail, metrics => '"127.0.0.1:0"', channels => '["slack", "mail"]', timeout => '60s', lease => '3m');
$service->{run}->signal('HUP');
wait_until('it has read it', sub { $logs->('configuration_read') });
wait_until('it serves two channels', sub { $logs->('channel_served') == 8 });
pass('a right one is followed');

$node->stop('immediate');
wait_until('the loss is noticed', sub { $logs->('database_unreachable') });
$node->start;
find_something($node, $db, 'critical', 'y');
wait_until('it goes on', sub { state_of('slack') eq 'delivered 1, delivered 1' });
pass('after the server was gone, it goes on');
wait_until('the watchdog has beaten', sub { $logs->(''); grep { $_ eq 'WATCHDOG=1' } @told });

# A mark that cannot be written: the message is out, and the server gone.
order($slack, 'faults', { at => 'chat.postMessage', fault => 'hold' });
find_something($node, $db, 'critical', 'z');
wait_until('it is being sent', sub { grep { ($_->{fault} // '') eq 'hold' } @{ ask($slack, 'requests') } });
$node->stop('immediate');
order($slack, 'release');
wait_until('the mark waits', sub { $logs->('mark_waits') });
$node->start;
wait_until('the mark is written', sub { state_of('slack') eq 'delivered 1, delivered 1, delivered 1' });
pass('a mark that could not be written is written once the server is there again');
is(scalar(@{ ask($slack, 'messages') }), 3, 'and nothing is sent twice');
$service->{run}->signal('TERM');
($status, $output, $log) = finish($service);
is($status, 0, 'it ends when it is asked to');
is(scalar(logged($log, 'stopped')), 1, 'and says so');
while (defined $manager->recv(my $message, 1000, MSG_DONTWAIT)) { push @told, split /\n/, $message }
is(join(' ', grep { /^(READY|RELOADING|STOPPING)=/ } @told), 'READY=1 RELOADING=1 READY=1 STOPPING=1', 'systemd knows when it is ready, reloads and stops');
$all_logs .= $output . $log;

# ---- no secret is anywhere ------------------------------------------------------------------------------------------------------------

unlike($all_logs, qr/\Q$_\E/, 'no secret is in a log') foreach SLACK_TOKEN, MAIL_PASSWORD, SIGNING_SECRET, 'not the password', 'services/sev2';
my @wrong = grep { $_ ne '' && !eval { decode_json($_)->{event} } } split /\n/, $log;
is("@wrong", '', 'a log is lines of JSON');
is($node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries d WHERE d::text ~ '" . SLACK_TOKEN . "'"), '0', 'nor in the database');

stop_counterparts();
$node->stop;
done_testing();
