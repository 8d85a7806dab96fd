# A server whose clock the test sets: now() in it is what was set last, and goes on from there. (libfaketime; timeouts and waits go by the monotonic
# clock, which stays as it is.)
package FakedClock;

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Server;
use Time::Local qw(timegm);

our @EXPORT = qw(faketime_library new_clocked_server set_clock);

# undef where it is not installed.
sub faketime_library
{
	my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
	return $library;
}

sub clock_file
{
	my ($node) = @_;
	return abs_path($node->basedir) . '/clock';  # the server works in another folder
}

# A running server at that time, "2026-03-02 00:00:00" in UTC; the settings are lines of postgresql.conf.
sub new_clocked_server
{
	my ($time, @settings) = @_;
	return new_server_as(sub {
		my ($node) = @_;
		set_clock($node, $time);
		local %ENV = (%ENV, LD_PRELOAD => faketime_library(), FAKETIME_TIMESTAMP_FILE => clock_file($node), FAKETIME_NO_CACHE => 1, FAKETIME_DONT_FAKE_MONOTONIC => 1);
		$node->start;
	}, @settings);
}

sub set_clock
{
	my ($node, $time) = @_;
	my ($year, $month, $day, $hour, $minute, $second) = $time =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)$/ or die "$time is no time";
	my $ahead = timegm($second, $minute, $hour, $day, $month - 1, $year) - time;
	# Who reads it meanwhile has to see all of it or nothing.
	append_to_file(clock_file($node) . '.new', sprintf '%+d', $ahead);
	rename clock_file($node) . '.new', clock_file($node) or die "the clock: $!";
	return;
}

1;
