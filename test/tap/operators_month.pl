# An operator's month, from Monday, 2026-03-02, over the Sunday on which New York changes its clocks: traffic, ten incidents of which half are triaged, noise
# that nobody looks at, a silence, an exception, a refresh each week, and a migration that breaks a source. The server's clock is the month's; a run is made
# each half hour, a digest each morning. After each week, what the catalog promises is looked at.
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
	(map { [ "noise $_", sprintf('%02d 10:00', 2 + $_), 'sessions', "198.51.100.10$_", 30, 1 ] } 1 .. 6),
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
		sql('SELECT count(*) FROM raxx_detect.make_digest()') if $next % 86400 >= 14 * 3600 && $at % 86400 < 14 * 3600;
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
