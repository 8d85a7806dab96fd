# Whether a chain is intact, told from docs/chain-format.md alone: the naive twin of raxx_detect.verify_chain, entry after entry, without any
# of the extension's code. It gets what stands in the tables, and knows the keys and which checkpoints were signed.
package ChainTwin;

use strict;
use warnings FATAL => 'all';

use ChainServer;
use Digest::SHA qw(hmac_sha256 sha256);
use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(read_chain what_is_broken);

sub counted { my ($bytes) = @_; return pack('N', length $bytes) . $bytes; }

# Rows as hexadecimal digits of their canonical forms; forms: an expression for each column, by the name that it has now.
sub read_chain
{
	my ($session, $table, %forms) = @_;
	my @names = sort keys %forms;
	my $values = join ', ', map { "coalesce(encode($forms{$_}, 'hex'), '-')" } @names;
	my $sql = "SELECT 'row', raxx_seq, coalesce(encode(raxx_prev, 'hex'), '-'), coalesce(encode(raxx_mac, 'hex'), '-'), $values FROM $table WHERE raxx_seq IS NOT NULL;
		SELECT 'record', seq, encode(prev, 'hex'), encode(mac, 'hex'), encode(convert_to(payload, 'UTF8'), 'hex') FROM raxx_detect.chain_records;
		SELECT 'head', seq, encode(mac, 'hex') FROM raxx_detect.chain_heads;
		SELECT 'checkpoint', number, seq, encode(mac, 'hex'), to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), encode(convert_to(line, 'UTF8'), 'hex') FROM raxx_detect.chain_checkpoints";
	my %chain = (rows => [], records => [], heads => [], checkpoints => []);
	foreach my $line (split /\n/, $session->query($sql))
	{
		my ($what, @fields) = split /\|/, $line, -1;
		push @{ $chain{"${what}s"} }, \@fields;
		next if $what ne 'row';
		my @bodies = splice @fields, 3;
		$fields[3] = { map { $names[$_] => $bodies[$_] } 0 .. $#names };
	}
	return \%chain;
}

my %derived;

sub key_of
{
	my ($chain_id, $id, $columns) = @_;
	my $digest = sha256(join '', map { counted($_->[0]) . counted($_->[1]) } @$columns);
	return $derived{"$chain_id $id $digest"} //= hmac_sha256("raxx_detect chain 1\0" . pack('H*', $chain_id =~ tr/-//dr) . counted($id) . $digest, ChainServer::key_bytes($id));
}

# In words what is not as it should be first; nothing if all is well. now: what the columns of the manifests are called now.
sub what_is_broken
{
	my ($chain, $chain_id, $now, $signed, $external) = @_;
	return 'no head' if @{ $chain->{heads} } != 1;
	my ($head_seq, $head_mac) = @{ $chain->{heads}[0] };
	my %entries;
	push @{ $entries{ $_->[0] } }, [ "\x01", @$_ ] foreach @{ $chain->{rows} };
	push @{ $entries{ $_->[0] } }, [ "\x02", @$_ ] foreach @{ $chain->{records} };
	return 'numbers' if $head_seq < 1 || $head_seq > 1e6 || keys %entries != $head_seq + 1;
	my ($key, $columns, $before) = ('', [], '0' x 64);
	foreach my $seq (0 .. $head_seq)
	{
		return "number $seq" if @{ $entries{$seq} // [] } != 1;
		my ($kind, undef, $prev, $mac, $body) = @{ $entries{$seq}[0] };
		return "link of $seq" if $prev ne $before;
		my $said;
		if ($kind eq "\x02")
		{
			$body = pack 'H*', $body;
			$said = eval { decode_json($body) };
			return "record $seq" if ref $said ne 'HASH';
			return 'genesis' if ($seq == 0) != (($said->{kind} // '') eq 'genesis');
			$key = $said->{key} if $seq == 0;
		}
		else
		{
			return 'genesis' if $seq == 0;
			my @forms = map { $body->{ $now->{ $_->[0] } // $_->[0] } // return "column $_->[0]" } @$columns;
			$body = join '', map { $_ eq '-' ? "\xFF\xFF\xFF\xFF" : counted(pack 'H*', $_) } @forms;
		}
		return "key of $seq" if ref $key || ($key // '') !~ /^k[12]$/;
		my $right = hmac_sha256($kind . pack('q>', $seq) . pack('H*', $prev) . $body, key_of($chain_id, $key, $columns));
		return "MAC of $seq" if $mac ne unpack 'H*', $right;
		$key = $said->{key} if $said && $said->{kind} eq 'key';
		$columns = [ map { [ $_->{name}, $_->{kind} ] } @{ $said->{columns} } ] if $said && $said->{kind} eq 'manifest';
		$before = $mac;
	}
	return 'head' if $head_mac ne $before;
	my %mac_of = map { $_ => $entries{$_}[0][3] } keys %entries;
	my $numbers = 0;
	foreach my $checkpoint (sort { $a->[0] <=> $b->[0] } @{ $chain->{checkpoints} })
	{
		my ($number, $seq, $mac, $made_at, $line) = @$checkpoint;
		$line = pack 'H*', $line;
		return "number of checkpoint $number" if $number != ++$numbers;
		return "checkpoint $number" if !$signed->{$line} || $line !~ /^raxx-checkpoint 1 $chain_id $number $seq $mac $made_at /;
		return "checkpoint $number and the chain" if ($mac_of{$seq} // '') ne $mac;
	}
	foreach my $line (@$external)
	{
		my (undef, undef, undef, $number, $seq, $mac) = split / /, $line;
		return "checkpoint $number, from outside" if $number > $numbers || ($mac_of{$seq} // '') ne $mac;
	}
	return;
}

1;
