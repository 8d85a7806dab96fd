# An operator's month, from Monday, 2026-03-02, over the Sunday on which New York changes its clocks: traffic, ten incidents of which half are triaged, noise
# that nobody looks at, a silence, an exception, a refresh each week, and a migration that breaks a source. The server's clock is the month's; a run is made
# each half hour, what is to be told is delivered at once, and a digest is made each morning. After each week, what the catalog promises is looked at.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use FakedClock;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;
use Time::Local qw(timegm);

plan skip_all => 'libfaketime is not installed' if !defined faketime_library();

my $node = new_clocked_server('2026-03-02 00:00:00', 'fsync = off', 'jit = off');
my $db = new_database($node, 'app');
$node->safe_psql($db, slurp_file("$FindBin::RealBin/month.sql"));
my $session = new_session($node, $db);

sub sql
{
	return $session->query($_[0]);
}

sql("SELECT raxx_detect.bind_source(s, ('app.' || s)::regclass) FROM unnest('{customer_audit_events,console_audit_events,rbac_denials,waitlist_signups,session_events,error_events,passkey_begin_events,stripe_webhook_events}'::text[]) s");

# ---- how the month goes on ----------------------------------------------------------------------------------------------------------------------------

sql('INSERT INTO app.incidents (incident, begins, kind, who, rows, lasts) VALUES ' . join ', ', map { "('$_->[0]', '2026-03-$_->[1]', '$_->[2]', '$_->[3]', $_->[4], '$_->[5] minutes')" }
	[ 'first probing', '04 15:10', 'probing', 'mallory', 6, 8 ],
	[ 'first pumping', '06 20:05', 'pumping', 'https://pump.example', 60, 4 ],
	[ 'silence', '11 16:00', 'silence', '', 1, 47 ],
	[ 'sessions', '12 03:20', 'sessions', '198.51.100.7', 60, 2 ],
	[ 'errors', '13 11:40', 'errors', '/r1', 80, 2 ],
	[ 'enumeration', '17 18:15', 'enumeration', '198.51.100.9', 25, 5 ],
	[ 'forged', '19 09:12', 'forged', '', 12, 4 ],
	[ 'partner', '20 14:05', 'pumping', 'https://partner.example', 60, 4 ],
	[ 'during the migration', '24 13:20', 'pumping', 'https://late.example', 60, 4 ],
	[ 'last probing', '27 22:15', 'probing', 'trent', 6, 8 ],
	# Noise: what nobody acts on, six times in a week; and the same again when all that is forgotten.
	(map { [ "noise $_", sprintf('%02d 10:00', 2 + $_), 'sessions', (19 + 4 * $_) . ".7.7.7", 30, 1 ] } 1 .. 6),
	[ 'sessions again', '26 10:00', 'sessions', '198.51.100.200', 60, 2 ]);

my $as_text = sub { strftime '%Y-%m-%d %H:%M:%S', gmtime $_[0] };
my $as_time = sub { my ($day, $hour, $minute) = $_[0] =~ /^(\d+) (\d+):(\d+)$/; timegm(0, $minute, $hour, $day, 2, 2026) };
my $at = $as_time->('02 00:00');

# The month goes on to "DAY HH:MM": half an hour of traffic, and a run, again and again.
sub go_on_to
{
	my $to = $as_time->($_[0]);
	while ($at < $to)
	{
		my $next = $at + 1800 < $to ? $at + 1800 : $to;
		set_clock($node, $as_text->($next));
		sql(sprintf "SELECT app.happen('%s', '%s')", $as_text->($at), $as_text->($next));
		sql('SELECT count(*) FROM raxx_detect.run_all()');
		sql("UPDATE raxx_detect.deliveries SET state = 'delivered', ended_at = now() WHERE state = 'pending'");
		sql('SELECT count(*) FROM raxx_detect.make_digest()');
		$at = $next;
	}
	return;
}

# "rule entity severity" of the findings that began within March's days.
sub found
{
	my ($from, $to) = @_;
	return sql("SELECT string_agg(concat_ws(' ', f.det_id, f.entity, f.severity), ', ' ORDER BY lower(f.episode)) FROM raxx_detect.detection_findings f
		WHERE lower(f.episode) >= '2026-03-$from' AND lower(f.episode) < '2026-03-$to'");
}

sub finding_of
{
	my ($entity) = @_;
	return sql("SELECT f.finding_id FROM raxx_detect.detection_findings f WHERE f.entity = '$entity' ORDER BY lower(f.episode) DESC LIMIT 1");
}

# To which channels, and in which state, something was said of the finding of an entity.
sub told
{
	my ($entity) = @_;
	return sql("SELECT string_agg(concat_ws(' ', d.event, d.channel, d.mode, CASE WHEN d.push THEN 'push' END, CASE d.state WHEN 'silenced' THEN d.state END), ', ' ORDER BY d.delivery_id)
		FROM raxx_detect.deliveries d WHERE d.finding_id = " . finding_of($entity));
}

sub state_of
{
	return sql("SELECT r.state FROM raxx_detect.rules r WHERE r.rule_id = '$_[0]'");
}

sub digest_of
{
	my ($day, $path) = @_;
	return sql("SELECT d.payload #>> '$path' FROM raxx_detect.deliveries d WHERE d.event = 'digest' AND d.payload ->> 'day' = '2026-03-$day' ORDER BY d.delivery_id DESC LIMIT 1");
}

# The plan and what was done are the same, and a dry run changes nothing.
sub refreshed
{
	my ($day) = @_;
	my $actions = q{SELECT coalesce(string_agg(concat_ws(' ', r.action, r.rule_id), ', ' ORDER BY r.action, r.rule_id), '') FROM raxx_detect.refresh(%s) r};
	my $plan = sql(sprintf $actions, 'false');
	is(sql(sprintf $actions, 'true'), $plan, "$day March: the refresh does what its dry run said");
	like(sql('SELECT raxx_detect.refresh_report()'), qr/\A# Refresh of raxx_detect, 2026-03-$day/, 'and reports it');
	return $plan;
}

# What must hold at any time.
sub holds_always
{
	my ($day) = @_;
	is(sql("SELECT count(*) FROM raxx_detect.rules WHERE state IN ('live', 'placeholder') AND number IS NOT NULL"), '8', "$day March: eight rules have what they need");
	is(sql("SELECT string_agg(rule_id, ', ') FROM raxx_detect.rules WHERE state = 'dormant' AND coalesce(state_reason, '') = ''"), '', 'the others say why not');
	is(sql("SELECT string_agg(r.rule_id, ', ') FROM raxx_detect.rules r WHERE r.state <> 'subsumed' AND NOT EXISTS (SELECT FROM raxx_detect.rule_state_changes c
		WHERE c.rule_id = r.rule_id AND c.to_state = r.state AND c.reason <> '') AND r.state <> 'dormant'"), '', 'each state was come to for a cause on record');
	my $days = $day - 1;  # those of the days before, 1 March in New York's time among them
	is(sql("SELECT count(*) || ' ' || count(DISTINCT local_day) FROM raxx_detect.digests"), "$days $days", 'each local day had its digest, and one');
	return;
}

# ---- the first week: thresholds ------------------------------------------------------------------------------------------------------------------------

my $probing = 'auth_rbac_denied_burst';
my $pumping = 'signup_waitlist_velocity_per_origin';
my $sessions = 'auth_session_creation_velocity';
my $errors = 'ops_sentry_error_rate_spike';

go_on_to('03 00:00');
is(state_of($errors), 'dormant', 'a rule that needs a week is dormant until then');
is(state_of($probing), 'live', 'and one that does not is live');
is(($session->attempt("SELECT raxx_detect.add_exception('auth_rbac_denied_burst', 'mallory', 'she is the boss', now() + interval '1 day')"))[0], '42501', 'no operator can be excepted from rule 3');
go_on_to('04 16:00');
is(found('04', '05'), 'DET-AUTH-002 27.7.7.7 high, DET-AUTH-003 mallory high', 'the probing is found');
is(told('mallory'), 'fired raxx-ops-alert-sev2-5 event', 'and told without a push, in New York\'s working hours');
sql("SELECT raxx_detect.acknowledge(" . finding_of('mallory') . ", 'looking')");
go_on_to('04 18:00');
sql("SELECT raxx_detect.triage(" . finding_of('mallory') . ", 'true_positive', 'her account was taken over')");
is(sql("SELECT string_agg(concat_ws(' ', action, disposition, note, acted_by, to_char(acted_at, 'DD HH24:MI')), '; ' ORDER BY action_id) FROM raxx_detect.finding_actions WHERE finding_id = " . finding_of('mallory')),
	'acknowledged looking postgres 04 16:00; closed true_positive her account was taken over postgres 04 18:00', 'who did what with it, and when, is on record');
go_on_to('09 08:00');
is(told('https://pump.example'), 'fired raxx-ops-alert-sev2-5 event', 'Friday afternoon is working hours');
sql("SELECT raxx_detect.triage(" . finding_of('https://pump.example') . ", 'true_positive')");
is(found('05', '09'), 'DET-AUTH-002 31.7.7.7 high, DET-AUTH-002 35.7.7.7 high, DET-SIGNUP-001 https://pump.example high, DET-AUTH-002 39.7.7.7 high, DET-AUTH-002 43.7.7.7 high',
	'the week had one incident more, and its noise');
holds_always('09');
like(refreshed('09'), qr/\bdowngrade $sessions/, 'the refresh has told lower what was told five times within a week, and passed over');
is(sql("SELECT string_agg(concat_ws(' ', severity_from, severity_to, to_char(began_at, 'DD'), to_char(until, 'DD')), ', ') FROM raxx_detect.downgrades WHERE rule_id = '$sessions'"), 'high medium 09 23',
	'for a fortnight');

# ---- the second: baselines; a silence --------------------------------------------------------------------------------------------------------------------

go_on_to('11 18:00');
is(told('customer_audit_events'), 'fired raxx-ops-alert-sev2-5 event, cleared raxx-ops-alert-sev2-5 event', 'the audit log\'s silence is told');
is(sql("SELECT concat_ws(' ', severity, observed, fired_by) FROM raxx_detect.detection_findings WHERE entity = 'customer_audit_events'") =~ s/(\d+)\.\d+/$1/r, 'high 48 baseline', 'with its length');
go_on_to('13 10:00');
is(told('198.51.100.7'), 'fired ops-mail digest', 'the burst of sessions is in the digest, since its rule is told lower');
is(sql("SELECT severity FROM raxx_detect.detection_findings WHERE entity = '198.51.100.7'"), 'high', 'but found as what it is');
like(digest_of('12', '{proposals}'), qr/$sessions/, 'and the digest begins with that');
my $silence = sql("SELECT raxx_detect.silence('$errors', '/r1', '2026-03-13 14:00', 'a load test')");
go_on_to('13 16:00');
is(told('/r1'), 'fired raxx-ops-alert-sev2 event push silenced', 'errors during a load test are not told');
is(sql("SELECT concat_ws(' ', holds, messages, findings) FROM raxx_detect.silence_log WHERE silence_id = $silence"), 'f 1 1', 'but counted; and the silence is over by itself');
like(digest_of('13', '{set_aside}'), qr/a load test/, 'the digest names the silence');
go_on_to('16 08:00');
is(found('09', '16'), 'DET-DATA-001 customer_audit_events high, DET-AUTH-002 198.51.100.7 high, DET-OPS-001 /r1 high', 'nothing else was found');
is(state_of($_), 'live', "$_ is judged by its baseline") foreach $pumping, $sessions, $errors, 'auth_passkey_enumeration';
sql("SELECT raxx_detect.triage(" . finding_of('customer_audit_events') . ", 'confirmed_operational', 'the writer was restarted')");
holds_always('16');
refreshed('16');

# ---- the third: an exception -------------------------------------------------------------------------------------------------------------------------------

go_on_to('18 09:00');
is(told('198.51.100.9'), 'fired raxx-ops-alert-sev2-5 event', 'a farm of passkey enrolments is told');
my $exception = sql("SELECT raxx_detect.add_exception('$pumping', 'https://partner.example', 'their campaign', '2026-03-22')");
go_on_to('23 08:00');
is(found('16', '23'), 'DET-AUTH-001 198.51.100.9 high, DET-WEBHOOK-001 stripe_webhook_events high, DET-SIGNUP-001 https://partner.example high', 'three incidents are found');
is(told('https://partner.example'), '', 'that of the partner is not told');
is(sql("SELECT concat_ws(' ', holds, findings) FROM raxx_detect.exception_log WHERE exception_id = $exception"), 'f 1', 'but counted; and the exception is over by itself');
is(sql("SELECT open_findings || ' ' || excepted_findings FROM raxx_detect.status WHERE rule_id = '$pumping'"), '0 1', 'and it is not open');
sql("SELECT raxx_detect.triage(" . finding_of('198.51.100.9') . ", 'true_positive')");
holds_always('23');
refreshed('23');

# ---- the fourth: a migration that breaks a source -------------------------------------------------------------------------------------------------------------

go_on_to('24 09:00');
my $covered = "SELECT settled FROM raxx_detect.coverage WHERE rule_id = '$pumping'";
sql('ALTER TABLE app.waitlist_signups RENAME COLUMN email TO mail; ALTER TABLE app.waitlist_signups RENAME COLUMN origin TO came_from');
my $settled = sql($covered);
go_on_to('25 09:00');
is(found('24', '25'), '', 'what happens while the source is broken is not found');
cmp_ok(sql($covered), 'le', $settled, 'but nothing of it is settled');
like(sql("SELECT concat_ws(' ', healthy, blind_minutes > 1000, last_error) FROM raxx_detect.health WHERE rule_id = '$pumping'"), qr/^f t .*origin.*app\.waitlist_signups/, 'and health says since when and why');
like(digest_of('24', '{blind}'), qr/$pumping/, 'as the digest does');
sql(q{SELECT raxx_detect.bind_source('waitlist_signups', 'app.waitlist_signups', '{"email": "mail", "origin": "came_from"}')});
go_on_to('25 10:00');
is(found('24', '25'), 'DET-SIGNUP-001 https://late.example high', 'once it is bound anew, it is');
is(sql("SELECT healthy FROM raxx_detect.health WHERE rule_id = '$pumping'"), 't', 'and the rule sees again');
go_on_to('26 11:00');
is(told('198.51.100.200'), 'fired raxx-ops-alert-sev2 event push', 'sessions are told as ever when the fortnight is over: before New York works, with a push');
sql("SELECT raxx_detect.triage(" . finding_of('198.51.100.200') . ", 'benign', 'our own load test')");
go_on_to('30 08:00');
is(found('25', '30'), 'DET-AUTH-002 198.51.100.200 high, DET-AUTH-003 trent high', 'two incidents more');
is(told('trent'), 'fired raxx-ops-alert-sev2 event push, cleared raxx-ops-alert-sev2 event', 'on Friday evening with a push');
holds_always('30');
refreshed('30');

# ---- the month ------------------------------------------------------------------------------------------------------------------------------------------------

go_on_to('31 08:00');
is(sql('SELECT count(*) FROM raxx_detect.detection_findings'), '17', 'ten incidents, six of noise, one at the end of it: nothing else was found in a month');
is(sql("SELECT string_agg(DISTINCT f.entity, ', ') FROM raxx_detect.detection_findings f WHERE f.exception_id IS NULL AND NOT EXISTS (SELECT FROM raxx_detect.deliveries d WHERE d.finding_id = f.finding_id)"), '', 'of each of them somebody was told, or an exception says why not');
is(sql("SELECT count(*) FROM raxx_detect.detection_findings f JOIN raxx_detect.finding_actions a USING (finding_id) WHERE f.triage = 'closed' AND a.action = 'closed'"), '5', 'half were triaged');
like(sql('SELECT raxx_detect.explain(' . finding_of('trent') . ')'), qr/trent/, 'each can be explained');
like(sql('SELECT raxx_detect.report_html()'), qr/trent.*<\/html>/s, 'and is on the page');
$session->quit;
$node->stop;
done_testing();
