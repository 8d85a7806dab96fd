# What has arrived at the counterparts of raxx-notify, beside what the outbox says: lost, repeated, overtaken.
package NotifyArrivals;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use JSON;
use Notify;
use PostgreSQL::Test::Utils;
use Server;

our @EXPORT = qw(arrivals not_arrived overtaken repeated repeated_without_a_mark repeats_in_words count_of_faults);

# Of each delivery that may have been sent (what a storm told was sent with it): its row, and when it arrived, once or more often. When: any
# number that grows, comparable within its channel. Of an incoming webhook of Slack only how many messages came.
sub arrivals
{
	my ($node, $database, $slack, $mail, $log_folder) = @_;
	my $rows = decode_json($node->safe_psql($database, <<'END') || '[]');
SELECT json_agg(json_build_object('id', delivery_id, 'key', idempotency_key, 'channel', channel, 'kind', c.kind, 'finding', finding_id, 'event', event, 'state', state,
	'possible_repeat', possible_repeat, 'bundle', bundle) ORDER BY delivery_id)
FROM raxx_detect.deliveries d JOIN raxx_detect.channels c USING (channel)
END
	my %by_key = map { $_->{key} => $_ } @$rows;
	$_->{at} = [] foreach @$rows;
	my @unknown;
	my $came = sub {
		my ($channel, $key, $at, $marked) = @_;
		my $row = $by_key{$key};
		return push @unknown, "$channel $key" if !$row || $row->{channel} ne $channel;
		push @{ $row->{at} }, $at;
		$row->{marked} += $marked;
	};
	my $messages = ask($slack, 'messages');
	foreach my $message (grep { $_->{by} eq 'api' } @$messages)
	{
		$came->('slack', $message->{metadata}{event_payload}{idempotency_key}, $message->{ts}, $message->{text} =~ /repeat/i ? 1 : 0);
	}
	foreach my $hook (@{ ask($slack, 'hooks') }, @{ ask($slack, 'repeats') })
	{
		$came->('siem', $hook->{key}, $hook->{at}, 1);
	}
	foreach my $message (@{ ask($mail, 'mails') })
	{
		my ($key) = $message->{source} =~ /^Message-ID: <([^@]+)@/m;
		$came->('mail', $key, $message->{at}, $message->{source} =~ /repeat/i ? 1 : 0);
	}
	my $line = 0;
	foreach my $file (sort glob "$log_folder/docs/detections/_log/*/*/*.md")
	{
		$came->('log', $_, ++$line, 0) foreach slurp_file($file) =~ /<!--[^>]*\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g;
	}
	return { rows => $rows, unknown => \@unknown, hooked => [ grep { $_->{by} eq 'hook' } @$messages ] };
}

sub in_words
{
	my (@rows) = @_;
	my @lines = map { join ' ', map { $_ // '-' } @{$_}{qw(channel id finding event state)}, @{ $_->{at} } } @rows;
	return join "\n", @lines > 10 ? (@lines[ 0 .. 9 ], '... ' . @lines) : @lines;
}

# What was sent itself, and where it can be told what arrived.
sub sent_themselves
{
	my ($arrivals) = @_;
	return grep { !defined $_->{bundle} && $_->{channel} =~ /\A(?:slack|siem|mail|log)\z/ } @{ $arrivals->{rows} };
}

sub not_arrived
{
	my ($arrivals) = @_;
	my $delivered = grep { $_->{channel} eq 'hook' && !defined $_->{bundle} && $_->{state} eq 'delivered' } @{ $arrivals->{rows} };
	my $hooked = @{ $arrivals->{hooked} };
	return join "\n", in_words(grep { $_->{state} eq 'delivered' && !@{ $_->{at} } } sent_themselves($arrivals)) || (),
	  (map { "nobody sent $_" } @{ $arrivals->{unknown} }), $hooked < $delivered ? "of $delivered messages by an incoming webhook $hooked have come" : ();
}

# Of each finding and channel: what has come before what was said earlier. What a storm told has come with it.
sub overtaken
{
	my ($arrivals) = @_;
	my %by_id = map { $_->{id} => $_ } @{ $arrivals->{rows} };
	my (%last, @overtaken);
	foreach my $row (grep { defined $_->{finding} } @{ $arrivals->{rows} })
	{
		my $sent = defined $row->{bundle} ? $by_id{ $row->{bundle} } : $row;
		my @at = sort { $a <=> $b } @{ $sent->{at} } or next;
		my $last = \$last{"$row->{channel} $row->{finding}"};
		# At the first time each; a repeat that comes late is marked as one.
		push @overtaken, $row if defined $$last && $at[0] < $$last;
		$$last = $at[0];
	}
	return in_words(@overtaken);
}

sub repeated
{
	my ($arrivals, @channels) = @_;
	my %wanted = map { $_ => 1 } @channels;
	return in_words(grep { $wanted{ $_->{channel} } && @{ $_->{at} } > 1 } sent_themselves($arrivals));
}

# Repeats of which the outbox does not know, or that do not say so themselves (a webhook's is told by its key).
sub repeated_without_a_mark
{
	my ($arrivals) = @_;
	my @hook = grep { $_->{channel} eq 'hook' && !defined $_->{bundle} && $_->{state} ne 'cancelled' } @{ $arrivals->{rows} };
	my $most = @hook + grep { $_->{possible_repeat} } @hook;
	my $marked = grep { ($_->{text} // '') =~ /repeat/i } @{ $arrivals->{hooked} };
	my $hooked = @{ $arrivals->{hooked} };
	return join "\n", in_words(grep { @{ $_->{at} } > 1 && (!$_->{possible_repeat} || $_->{marked} < @{ $_->{at} } - 1) } sent_themselves($arrivals)) || (),
	  $hooked - $marked > @hook ? @hook . " messages were sent by an incoming webhook, $hooked have come, of which $marked say that they may be repeats" : ();
}

sub repeats_in_words
{
	my ($arrivals) = @_;
	my (%sent, %more, %possible);
	foreach my $row (sent_themselves($arrivals))
	{
		$sent{ $row->{channel} }++;
		$possible{ $row->{channel} }++ if $row->{possible_repeat};
		$more{ $row->{channel} } += @{ $row->{at} } - 1 if @{ $row->{at} } > 1;
	}
	return 'repeats: ' . join ', ', map { ($more{$_} // 0) . ' (possible ' . ($possible{$_} // 0) . ") of $sent{$_} messages by $_" } sort keys %sent;
}

sub count_of_faults
{
	my ($counterpart) = @_;
	my %count;
	$count{"$_->{at} $_->{fault}"}++ foreach @{ ask($counterpart, defined $counterpart->{control} ? 'used' : 'faults') };
	return join ', ', map { "$count{$_} $_" } sort keys %count;
}

1;
