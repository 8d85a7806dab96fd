# SIGKILL of raxx-notify, and loss of the server, at each labelled point of a delivery, over and over, until all is told: nothing is lost,
# nothing overtakes what was said of its finding before, and what came twice says that it may have.
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

plan skip_all => 'raxx-notify is not built' if !defined program();

my $findings = $ENV{FINDINGS} // 200;
my $patience = 60 + $findings;
my @points = qw(after_claim before_send after_send before_mark after_mark);
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
make_certificates($folder);
my $node = new_server();
my $db = notifier_database($node, 'app');
my $slack = start_counterpart('slack_server.py', '--token', SLACK_TOKEN);
$slack->{scheme} = 'http';
my $mail = start_counterpart('mail_server.py', '--cert', "$folder/good.pem", '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
# The shortest lease that the program takes; whoever dies with one keeps back what is about the same finding for so long.
my $settings = settings_for($node, $db, $folder, $slack, $mail, poll => '"300ms"', lease => '3s', timeout => '1s');
write_settings($settings, slurp_file($settings) =~ s/^statement_timeout = "10s"/statement_timeout = "1s"/mr);
$node->safe_psql($db, "UPDATE raxx_detect.channels SET storm_at = NULL; UPDATE raxx_detect.notification_settings SET deadlines = '{1 h,1 h,1 h,1 h}'");
$node->safe_psql($db, <<"END");
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary, evidence,
	condition, occurrences, escalation_owner)
SELECT 'signup_waitlist_velocity_per_origin', 'DET-SIGNUP-001', 'signup', 'waitlist_signups', ('{low,medium,high,critical}'::raxx_detect.severity[])[1 + n % 4], 'entity ' || n,
	tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60, n || ': 60 sign-ups within 5 min', '{}', 'firing', 1, 'sre-agent'
FROM generate_series(1, $findings) n
END
$node->safe_psql($db, "UPDATE raxx_detect.detection_findings SET condition = 'cleared', updated_at = now(), episode = tstzrange(lower(episode), now())");
my $expected = $node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.deliveries');
is($expected, $findings * 3, 'of each finding two messages on one channel or, of half of them, on two');

# ---- the notifier is killed ---------------------------------------------------------------------------------------------------------------

my ($logs, $next, %killed) = ('', 0);
my $next_instance = sub {
	# Now here, now there, and after a few deliveries more each time.
	my $point = $points[ $next++ % @points ];
	my $instance = start_instance($settings, RAXX_NOTIFY_STOP_AT => "$point:" . (2 + int($next / @points) % 7));
	$instance->{point} = $point;
	return $instance;
};
my $undelivered = sub { $node->safe_psql($db, "SELECT count(*) FROM raxx_detect.deliveries WHERE state <> 'delivered'") };
my @instances = map { $next_instance->() } 1 .. 3;
# Those who died start again; and time goes faster: what has failed, on a busy machine, is tried again soon.
my $restart = sub {
	$node->safe_psql($db, <<'END');
UPDATE raxx_detect.deliveries SET next_attempt_at = '-infinity' WHERE state = 'pending' AND next_attempt_at > clock_timestamp() + interval '1 second';
UPDATE raxx_detect.channel_states SET open_until = NULL WHERE open_until > clock_timestamp() + interval '1 second'
END
	foreach my $instance (@instances)
	{
		next if is_running($instance);
		my $point = $instance->{point};
		my $status = end_instance($instance);
		die "$point: ended with $status\n" . log_of($instance) if $status ne 'signal 9';
		$killed{$point}++;
		$logs .= log_of($instance);
		$instance = $next_instance->();
	}
};
wait_until('half of it is delivered', sub { $restart->(); $undelivered->() < $expected / 2 }, $patience);

# ---- the server is lost, while an instance is at that point -----------------------------------------------------------------------------

foreach my $point (@points)
{
	my $paused = start_instance($settings, RAXX_NOTIFY_STOP_AT => "$point:pause");
	wait_until("an instance is $point", sub {
		$restart->();
		# If the others were faster there is more to do.
		find_something($node, $db, 'medium', 'more ' . ++$expected) if $undelivered->() == 0;
		return slurp_file("/proc/$paused->{pid}/stat") =~ /\) T /;
	}, $patience);
	$node->stop('immediate');
	kill_instance($paused, 'CONT');
	wait_until('it has noticed', sub { logged(log_of($paused), 'database_lost') || logged(log_of($paused), 'database_unreachable') }, $patience);
	$node->start;
	wait_until('it has come back', sub { logged(log_of($paused), 'database_connected') > 1 }, $patience);
	is(end_instance($paused, 'TERM'), 0, "$point: the server was gone, and it went on");
	$logs .= log_of($paused);
}
wait_until('all is delivered', sub { $restart->(); $undelivered->() == 0 }, $patience);
foreach my $instance (@instances)
{
	kill_instance($instance, 'KILL');
	end_instance($instance);
	$logs .= log_of($instance);
}

# ---- an instance that is stopped for longer than its lease ------------------------------------------------------------------------------

my $stopped = find_something($node, $db, 'medium', 'stopped');
my $slow = start_instance($settings, RAXX_NOTIFY_STOP_AT => 'before_send:pause');
wait_until('it is about to send', sub { slurp_file("/proc/$slow->{pid}/stat") =~ /\) T / });
my $other = start_instance($settings);
wait_until('another has sent it', sub { $undelivered->() == 0 });
kill_instance($slow, 'CONT');
wait_until('it has noticed', sub { logged(log_of($slow), 'lease_lost') });
is(end_instance($_, 'TERM'), 0, 'an instance has run to its end') foreach $slow, $other;
$logs .= log_of($slow);
my $key = $node->safe_psql($db, "SELECT idempotency_key FROM raxx_detect.deliveries WHERE finding_id = $stopped");
is(scalar(grep { $_->{source} =~ /^Message-ID: <$key@/m } @{ ask($mail, 'mails') }), 1, 'what has been stopped for longer than its lease does not send any more');
$expected++;

# ---- what has become of it ------------------------------------------------------------------------------------------------------------

is(join(' ', grep { !$killed{$_} } @points), '', 'it was killed at each point');
note('killed: ' . join(', ', map { "$killed{$_} times $_" } @points));
is($node->safe_psql($db, "SELECT count(*) || ' ' || count(DISTINCT (finding_id, channel, event)) FROM raxx_detect.deliveries WHERE state = 'delivered'"), "$expected $expected", 'all is delivered');
my $arrivals = arrivals($node, $db, $slack, $mail, "$folder/log");
note(repeats_in_words($arrivals));
is(not_arrived($arrivals), '', 'and has arrived');
is(overtaken($arrivals), '', 'what became of a finding has never overtaken what was said of it before');
is(repeated_without_a_mark($arrivals), '', 'nothing is repeated without being marked');
is(repeated($arrivals, 'slack', 'log'), '', 'and nothing at all where a history can be read, or a log');
is($node->safe_psql($db, 'SELECT string_agg(format(\'%s %s\', channel, possible_repeats_last_day), \', \') FROM raxx_detect.channel_health'),
	$node->safe_psql($db, 'SELECT string_agg(format(\'%s %s\', c.channel, (SELECT count(*) FROM raxx_detect.deliveries d WHERE d.channel = c.channel AND d.possible_repeat)), \', \' ORDER BY c.channel)
		FROM raxx_detect.channels c'), 'what may have been repeated is counted');
is(scalar(grep { @{ $_->{at} } > 1 } @{ $arrivals->{rows} }) > 0, 1, 'something was repeated');
unlike($logs, qr/\Q$_\E/, 'no secret is in a log') foreach SLACK_TOKEN, MAIL_PASSWORD, SIGNING_SECRET;
stop_counterparts();
$node->stop;
done_testing();
