# Ten thousand findings in a minute, some of them critical, and three instances of raxx-notify: their memory stays what it was, a channel to
# Slack gets a message a second, the critical ones first, and what was collapsed adds up.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use JSON;
use List::Util qw(max min sum0);
use Notify;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

plan skip_all => 'raxx-notify is not built' if !defined program();

my $findings = $ENV{FINDINGS} // 10_000;
my $critical = 8;
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
make_certificates($folder);
my $node = new_server('track_commit_timestamp = on');
my $db = notifier_database($node, 'app');
my $slack = start_counterpart('slack_server.py', '--token', SLACK_TOKEN);
$slack->{scheme} = 'http';
my $mail = start_counterpart('mail_server.py', '--cert', "$folder/good.pem", '--key', "$folder/good.key", '--user', 'raxx', '--password', MAIL_PASSWORD);
my $settings = settings_for($node, $db, $folder, $slack, $mail, poll => '"1s"');
# All severities to one channel of Slack, as it ships: a message a second. Mail and the log get all of it, too.
$node->safe_psql($db, <<'END');
TRUNCATE raxx_detect.routes;
UPDATE raxx_detect.channels SET min_interval = '1 second' WHERE channel = 'slack';
UPDATE raxx_detect.notification_settings SET storm_every = '4 seconds';
INSERT INTO raxx_detect.routes (route, channel, mode) VALUES ('s', 'slack', 'event'), ('m', 'mail', 'event'), ('l', 'log', 'event');
END
my $session = new_session($node, $db);

# As the engine does: rows of detection_findings, in one transaction.
sub storm
{
	my ($from, $to, $severity) = @_;
	$session->send(<<"END");
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size, summary, evidence,
	condition, occurrences, escalation_owner)
SELECT CASE n % 3 WHEN 0 THEN 'data_audit_log_gap_window' ELSE 'signup_waitlist_velocity_per_origin' END, 'DET-SIGNUP-001', 'signup', 'waitlist_signups',
	$severity, 'entity ' || n, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60, n || ': 60 sign-ups within 5 min', '{}', 'firing', 1, 'sre-agent'
FROM generate_series($from, $to) n
END
	return;
}

my @instances = map { start_instance($settings) } 1 .. 3;
wait_until('all channels are served', sub { (grep { logged(log_of($_), 'channel_served') == 6 } @instances) == 3 });
my $memory = sub { map { private_memory($_->{pid}) } @instances };
find_something($node, $db, 'high', 'the first');
wait_until('all is warm', sub { $session->query("SELECT bool_and(state = 'delivered') FROM raxx_detect.deliveries") eq 't' });
my $before = max($memory->());
my $begin = $session->query('SELECT now()');
# Half of it in one transaction, the rest in ten; the critical ones are the last of the first and of the last.
storm(1, $findings / 2, "CASE WHEN n > @{[ $findings / 2 - $critical ]} THEN 'critical' WHEN n % 2 = 0 THEN 'high' ELSE 'medium' END::raxx_detect.severity");
storm($findings / 2 + ($_ - 1) * $findings / 20 + 1, $findings / 2 + $_ * $findings / 20, "CASE WHEN n > @{[ $findings - $critical ]} THEN 'critical' ELSE 'medium' END::raxx_detect.severity") foreach 1 .. 10;
my $observer = new_session($node, $db);
my $most = 0;
my $all_found = 0;
wait_until('all is delivered', sub {
	$most = max($most, $memory->());
	if (!$all_found)
	{
		$session->{psql}->pump_nb;
		return 0 if $session->{out} !~ /^END $session->{sent} \w+\n/m;
		foreach (1 .. 11)
		{
			my ($state, undef, $messages) = $session->receive;
			die $messages if $state ne '00000';
		}
		$all_found = 1;
	}
	return $observer->query("SELECT bool_and(state = 'delivered') FROM raxx_detect.deliveries") eq 't';
});
note(sprintf '%d findings; found within %s s, delivered within %s s; memory %.1f MB before, at most %.1f MB', $findings,
	split(/\|/, $session->query("SELECT round(extract(epoch FROM (SELECT max(detected_at) FROM raxx_detect.detection_findings) - '$begin')), round(extract(epoch FROM max(ended_at) - '$begin')) FROM raxx_detect.deliveries")),
	$before, $most);
cmp_ok($most, '<', $before + 16, 'the memory of no instance has grown');
is($session->query("SELECT string_agg(DISTINCT state, ' ') FROM raxx_detect.deliveries"), 'delivered', 'every message is delivered');
is($session->query("SELECT string_agg(DISTINCT format('%s %s', channel, n), ', ') FROM (SELECT channel, count(DISTINCT finding_id) AS n FROM raxx_detect.deliveries WHERE finding_id IS NOT NULL GROUP BY 1) c"),
	join(', ', map { "$_ @{[ $findings + 1 ]}" } 'log', 'mail', 'slack'), 'of each finding, on each channel');
is($session->query('SELECT count(*) FROM raxx_detect.deliveries WHERE possible_repeat'), '0', 'and none may be a repeat');

my @messages = sort { $a->{ts} <=> $b->{ts} } @{ ask($slack, 'messages') };
my @gaps = map { $messages[$_]{at} - $messages[ $_ - 1 ]{at} } 1 .. $#messages;
note(sprintf '%d messages to Slack, the shortest time between two %.3f s', scalar(@messages), min(@gaps));
cmp_ok(min(@gaps), '>=', 1, 'Slack has never got two messages within a second');
my %by_id = map { my $d = decode_json($_); ($d->{id} => $d) }
  split /\n/, $session->query("SELECT json_build_object('id', delivery_id, 'severity', d.severity, 'committed', extract(epoch FROM pg_xact_commit_timestamp(f.xmin))) FROM raxx_detect.deliveries d
	LEFT JOIN raxx_detect.detection_findings f USING (finding_id)
	WHERE channel = 'slack' AND bundle IS NULL");
my @sent = map { { %{ $by_id{ $_->{metadata}{event_payload}{delivery_id} } }, at => $_->{at} } } @messages;
is(scalar(@sent), scalar(keys %by_id), 'each message has come once');
my @critical = grep { $sent[$_]{severity} eq 'critical' } 0 .. $#sent;
is(scalar(@critical), 2 * $critical, 'the critical ones one by one');
# What was on its way when they were committed: one.
my @overtaken = map { my $c = $sent[$_]; scalar grep { $_->{severity} ne 'critical' && $_->{at} < $c->{at} && $_->{at} > $c->{committed} } @sent } @critical;
cmp_ok(max(@overtaken), '<=', 1, 'and before all others');

foreach my $channel ('slack', 'mail', 'log')
{
	my @storms = map { decode_json($_) } split /\n/, $session->query("SELECT payload FROM raxx_detect.deliveries WHERE channel = '$channel' AND event = 'storm'");
	my $alone = $session->query("SELECT count(*) FROM raxx_detect.deliveries WHERE channel = '$channel' AND finding_id IS NOT NULL AND bundle IS NULL");
	note("$channel: " . @storms . " storms of " . join(', ', map { $_->{total} } @storms) . ", $alone messages alone");
	is(sum0(map { $_->{total} } @storms) + $alone, $findings + 1, "$channel: storms tell of all that was not told alone");
	is(scalar(grep { my $s = $_; $s->{total} != sum0(map { $_->{count} } @{ $s->{counts} }) } @storms), 0, "$channel: the counts of each add up");
	my %told;
	$told{"$_->{rule_id} $_->{severity} $_->{event}"} += $_->{count} foreach map { @{ $_->{counts} } } @storms;
	is(join(', ', map { "$_ $told{$_}" } sort keys %told), $session->query("SELECT string_agg(format('%s %s %s %s', rule, severity, event, n), ', ' ORDER BY format('%s %s %s', rule, severity, event) COLLATE \"C\")
		FROM (SELECT payload ->> 'rule_id' AS rule, severity, event, count(*) AS n FROM raxx_detect.deliveries WHERE channel = '$channel' AND bundle IS NOT NULL GROUP BY 1, 2, 3) c"),
		"$channel: by rule, severity and event");
}
is(end_instance($_, 'TERM'), 0, 'an instance has run to its end') foreach @instances;
$_->quit foreach $session, $observer;
stop_counterparts();
$node->stop;
done_testing();
