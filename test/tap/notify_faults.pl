# Two instances of raxx-notify against counterparts that fail at random, for as long as MINUTES says: every message is delivered, or dead and
# announced; it is in order; it is repeated only where nothing could tell. Before that: a Slack that hangs delays no mail.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use JSON;
use Notify;
use NotifyArrivals;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;
use Time::HiRes;

plan skip_all => 'raxx-notify is not built' if !defined program();

my $minutes = $ENV{MINUTES} // 0.5;
my $seed = $ENV{SEED} // 1;
srand $seed;
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
make_certificates($folder);
my $node = new_server();
my $db = notifier_database($node, 'app');
my $slack = start_counterpart('slack_server.py', '--token', SLACK_TOKEN);
$slack->{scheme} = 'http';
my $mail = start_counterpart('mail_server.py', '--cert', "$folder/good.pem", '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
my $settings = settings_for($node, $db, $folder, $slack, $mail, poll => '"1s"');
$node->safe_psql($db, "UPDATE raxx_detect.channels SET fallback = 'log' WHERE channel = 'mail'; UPDATE raxx_detect.channels SET storm_at = NULL WHERE channel NOT IN ('slack', 'hook')");
my $session = new_session($node, $db);

sub sql
{
	return $session->query($_[0]);
}

# ---- a Slack that hangs ---------------------------------------------------------------------------------------------------------------

my @instances = map { start_instance($settings) } 1 .. 2;
wait_until('all channels are served', sub { (grep { logged(log_of($_), 'channel_served') == 6 } @instances) == 2 });
order($slack, 'faults', [ map { { at => $_, fault => 'hang', times => 1000, taken => JSON::false } } 'chat.postMessage', 'services' ]);
find_something($node, $db, $_ % 2 ? 'critical' : 'high', "hanging $_") foreach 1 .. 10;
my $hung = sub { scalar grep { ($_->{fault} // '') eq 'hang' } @{ ask($slack, 'requests') } };
wait_until('Slack hangs', sub { $hung->() >= 2 });
my $hung_before = $hung->();
foreach my $number (1 .. 40)
{
	find_something($node, $db, 'medium', "while Slack hangs $number");
	wait_until('the mail is out', sub { sql("SELECT count(*) FROM raxx_detect.deliveries WHERE channel = 'mail' AND event = 'fired' AND state = 'delivered'") eq $number });
}
my ($median, $worst) = split /\|/, sql("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY s), max(s) FROM (SELECT round(extract(epoch FROM ended_at - created_at), 3) AS s
	FROM raxx_detect.deliveries WHERE channel = 'mail' AND event = 'fired') l");
note("mail while Slack hangs: median $median s, at most $worst s; hung meanwhile: " . ($hung->() - $hung_before));
cmp_ok($median, '<', 1, 'a Slack that hangs for two seconds at a time delays no mail');
is(sql("SELECT count(*) FROM raxx_detect.deliveries d JOIN raxx_detect.channels c ON c.channel = d.channel WHERE c.kind = 'slack' AND d.state = 'delivered'"), '0', 'and has taken nothing meanwhile');
Notify::control('DELETE', $slack, 'faults');

# ---- random faults ----------------------------------------------------------------------------------------------------------------------

order($slack, 'random', { rate => 0.35, seed => $seed, faults => [
	(map { my $at = $_; map { { at => $at, %$_ } } { fault => '429', retry_after => 1 }, { fault => '503', retry_after => 'date:2' }, { fault => '500' }, { fault => '502' }, { fault => 'hang' },
		{ fault => 'slow' }, { fault => 'malformed' }, { fault => 'reset' }, { fault => 'early_reset' }, { fault => 'reset', taken => JSON::false } } 'chat.postMessage', 'services', 'hook'),
	(map { my $at = $_; map { { at => $at, fault => $_ } } '500', 'malformed', 'reset', 'hang' } 'conversations.history', 'conversations.replies'),
	{ at => 'chat.postMessage', fault => 'error', name => 'internal_error' }, { at => 'chat.postMessage', fault => 'error', name => 'is_archived' }, { at => 'hook', fault => '422' } ] });
order($mail, 'random', { rate => 0.1, seed => $seed, faults => [
	(map { my $at = $_; map { { at => $at, %$_ } } { fault => 'drop' }, { fault => 'reply', reply => '421 4.3.2 not now' } } 'CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA'),
	{ at => 'RCPT', fault => 'reply', reply => '451 4.3.0 greylisted' }, { at => 'RCPT', fault => 'reply', reply => '550 5.1.1 nobody' }, { at => 'DATA', fault => 'reply', reply => '554 5.7.1 no' },
	{ at => 'DATA', fault => 'hang' }, { at => 'DATA', fault => 'drop' } ] });

# In a short run time goes faster: what has failed is tried again after half a second, and breakers are open no longer.
my $hurry = sub {
	sql(<<"END");
UPDATE raxx_detect.deliveries SET next_attempt_at = clock_timestamp() + interval '$_[0]' WHERE state = 'pending' AND next_attempt_at > clock_timestamp() + interval '$_[0]';
UPDATE raxx_detect.channel_states SET open_until = least(open_until, clock_timestamp() + interval '$_[0]'), next_send_at = least(next_send_at, clock_timestamp() + interval '$_[0]')
WHERE open_until > clock_timestamp() + interval '$_[0]' OR next_send_at > clock_timestamp() + interval '$_[0]'
END
};
sql($minutes < 5 ? "UPDATE raxx_detect.notification_settings SET deadlines = '{12 s,12 s,12 s,10 s}', storm_every = '3 s'"
	: "UPDATE raxx_detect.notification_settings SET deadlines = '{10 min,5 min,3 min,1 min}', storm_every = '20 s'");
my @severities = qw(critical high high medium medium medium low);
my ($number, $end) = (0, time + 60 * $minutes);
while (time < $end)
{
	my $severity = $severities[ rand @severities ];
	find_something($node, $db, $severity, 'x' . ++$number);
	# What becomes of them: of some more than of others.
	sql("UPDATE raxx_detect.detection_findings SET condition = CASE condition WHEN 'firing' THEN 'cleared' ELSE 'firing' END, occurrences = occurrences + 1, updated_at = now()
		WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings ORDER BY random() LIMIT 1)");
	sql("UPDATE raxx_detect.detection_findings SET severity = 'critical', updated_at = now()
		WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings WHERE severity < 'critical' ORDER BY random() LIMIT 1)") if rand() < 0.05;
	$hurry->('0.5 s') if $minutes < 5;
	die 'an instance has ended: ' . join "\n", map { log_of($_) =~ s/.*(?=(?:\n[^\n]*){3}\z)//sr } @instances if grep { !is_running($_) } @instances;
	Time::HiRes::sleep(rand($minutes < 5 ? 0.4 : 1.2));
}
foreach my $counterpart ($slack, $mail)
{
	note(ucfirst($counterpart == $mail ? 'mail: ' : 'Slack and webhooks: ') . count_of_faults($counterpart));
	$counterpart == $mail ? order($mail, 'random', { rate => 0 }) : order($slack, 'random', { rate => 0 });
}
if (!eval { wait_until('all is at its end', sub { $hurry->('0 s'); sql("SELECT count(*) FROM raxx_detect.deliveries WHERE state IN ('pending', 'sending', 'bundled')") eq '0' }); 1 })
{
	diag(sql('SELECT string_agg(s::text, E\'\\n\') FROM raxx_detect.channel_states s'));
	diag(sql(<<'END'));
SELECT string_agg(format('%s %s %s %s of finding %s: %s attempts, next %s, deadline %s, bundle %s, error %s', d.delivery_id, d.channel, d.event, d.state, d.finding_id, d.attempts,
	d.next_attempt_at, d.deadline, d.bundle, d.last_error), E'\n')
FROM (SELECT * FROM raxx_detect.deliveries WHERE state IN ('pending', 'sending', 'bundled') ORDER BY delivery_id LIMIT 40) d
END
	die $@;
}

# ---- what has become of it ------------------------------------------------------------------------------------------------------------

note(sql("SELECT string_agg(format('%s %s %s', n, event, state), ', ' ORDER BY event, state) FROM (SELECT event, state, count(*) AS n FROM raxx_detect.deliveries GROUP BY 2, 1) c"));
note('at most ' . sql('SELECT max(attempts) FROM raxx_detect.deliveries') . ' attempts, ' . sql('SELECT sum(attempts) FROM raxx_detect.deliveries') . ' in all; for ' . $number . ' findings');
is(sql("SELECT count(*) FROM raxx_detect.deliveries WHERE state NOT IN ('delivered', 'dead', 'cancelled')"), '0', 'every message is delivered or dead');
cmp_ok(sql("SELECT count(*) FROM raxx_detect.deliveries WHERE state = 'dead'"), '>', 0, 'some are dead');
is(sql(<<'END'), '0', 'and of each of those somebody has been told');
WITH RECURSIVE chain AS (
	SELECT delivery_id AS dead, announced_by AS at FROM raxx_detect.deliveries WHERE state = 'dead'
	UNION SELECT c.dead, d.announced_by FROM chain c JOIN raxx_detect.deliveries d ON d.delivery_id = c.at WHERE d.state = 'dead')
SELECT count(*) FROM raxx_detect.deliveries x WHERE state = 'dead' AND NOT EXISTS (
	SELECT FROM chain c JOIN raxx_detect.deliveries d ON d.delivery_id = c.at AND d.state = 'delivered' WHERE c.dead = x.delivery_id)
END
my $arrivals = arrivals($node, $db, $slack, $mail, "$folder/log");
note(repeats_in_words($arrivals));
is(not_arrived($arrivals), '', 'what is delivered has arrived');
is(overtaken($arrivals), '', 'what became of a finding has never overtaken what was said of it before');
is(repeated_without_a_mark($arrivals), '', 'nothing is repeated without being marked');
is(repeated($arrivals, 'slack', 'log'), '', 'and nothing at all where a history can be read');
foreach my $instance (@instances)
{
	is(end_instance($instance, 'TERM'), 0, 'an instance has run to its end');
	unlike(slurp_file($instance->{log_file}), qr/\Q$_\E/, 'no secret is in its log') foreach SLACK_TOKEN, MAIL_PASSWORD, SIGNING_SECRET;
}
stop_counterparts();
$session->quit;
$node->stop;
done_testing();
