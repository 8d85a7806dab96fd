# An operator's month, from Monday, 2026-03-02, in New York's change of clocks, too: traffic, ten incidents, triage, silences, a refresh each week, and a migration that
# breaks a source. The server's clock is the month's; a run is made every half hour. After each week what the catalog promises is looked at.
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
sql(<<'END');
INSERT INTO app.incidents (incident, begins, kind, who, rows, lasts) VALUES
    ('first probing', '2026-03-04 15:10', 'probing', 'mallory', 6, '8 minutes'),
    ('first pumping', '2026-03-06 20:05', 'pumping', 'https://pump.example', 60, '4 minutes'),
    ('silence', '2026-03-11 16:00', 'silence', '', 1, '47 minutes'),
    ('sessions', '2026-03-12 03:20', 'sessions', '198.51.100.7', 60, '2 minutes'),
    ('errors', '2026-03-13 11:40', 'errors', '/r1', 80, '2 minutes'),
    ('enumeration', '2026-03-17 18:15', 'enumeration', '198.51.100.9', 25, '5 minutes'),
    ('forged', '2026-03-19 09:12', 'forged', '', 12, '4 minutes'),
    ('partner', '2026-03-20 14:05', 'pumping', 'https://partner.example', 60, '4 minutes'),
    ('during the migration', '2026-03-24 13:20', 'pumping', 'https://late.example', 60, '4 minutes'),
    ('last probing', '2026-03-27 22:15', 'probing', 'trent', 6, '8 minutes');
END

my $from = timegm(0, 0, 0, 2, 2, 2026);
my $at = $from;
my $time = sub { strftime '%Y-%m-%d %H:%M:%S', gmtime $_[0] };
# The month goes on to that time: half an hour of traffic, and a run, again and again.
my $go_on_to = sub {
	my ($year, $month, $day, $hour, $minute) = $_[0] =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+)$/;
	my $to = timegm(0, $minute, $hour, $day, $month - 1, $year);
	while ($at < $to)
	{
		my $next = $at + 1800 < $to ? $at + 1800 : $to;
		set_clock($node, $time->($next));
		sql(sprintf "SELECT app.happen('%s', '%s')", $time->($at), $time->($next));
		sql('SELECT count(*) FROM raxx_detect.run_all()');
		$at = $next;
	}
	return;
};
my $findings = sub { sql("SELECT string_agg(concat_ws(' ', f.finding_id, f.rule_id, f.severity, f.entity, to_char(lower(f.episode), 'DD HH24:MI'), f.fired_by, f.condition), E'\\n' ORDER BY f.finding_id) FROM raxx_detect.detection_findings f") };
my $states = sub { sql("SELECT string_agg(concat_ws(' ', rule_id, state, state_reason), E'\\n' ORDER BY number) FROM raxx_detect.rules") };
foreach my $week (9, 16, 23, 30)
{
	$go_on_to->(sprintf '2026-03-%02d 08:00', $week);
	diag "---- $week " . time;
	diag $findings->();
	diag $states->();
}
ok(1);
done_testing();
