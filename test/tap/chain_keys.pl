# The keys of hash chains: where they may come from, how long that may take, that a rotation takes effect, and that nothing
# of a key is left anywhere: not in the server's log, a view, or a page of the backend's memory. And the commands that carry
# checkpoints out of the database and back.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Digest::SHA qw(sha256);
use Fcntl qw(SEEK_SET);
use FindBin;
use lib $FindBin::RealBin;
use MIME::Base64 qw(encode_base64);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server('log_statement = all', 'log_min_messages = debug1', 'log_min_error_statement = error', 'log_connections = on',
	"include_if_exists = 'keys.conf'");
my $db = new_database($node, 'app');
$node->safe_psql($db, 'CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA raxx_detect TO clerk');
my $session = new_session($node, $db);
my $other = new_session($node, $db);
my $files = abs_path(PostgreSQL::Test::Utils::tempdir());
my $sleep = 100_000 + $$;    # seconds; tells the processes of this test from others

my %key = map { $_ => sha256("$_ of $$ at " . time) } qw(first second signing spare);

sub line { my ($kind, $id, $name) = @_; return "$kind $id " . unpack('H*', $key{$name}) . "\n"; }

my $ring = "# keys\n" . line('chain', 'k1', 'first') . line('checkpoint', 'c1', 'signing');

sub write_file
{
	my ($name, $content, $mode) = @_;
	my $path = "$files/$name";
	unlink $path;
	open my $file, '>', $path or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
	chmod $mode, $path or die "$path: $!";
	return $path;
}

# Sets what is given, and nothing else of what this test sets.
sub configure
{
	my (%settings) = @_;
	my @names = qw(key_file key_command key_command_timeout checkpoint_command checkpoint_source_command checkpoint_command_timeout);
	my $lines = '';
	foreach my $name (@names)
	{
		my $value = $settings{$name} // ($name =~ /timeout/ ? '60s' : '');
		$value =~ s/'/''/g;
		$lines .= "raxx_detect.$name = '$value'\n";
	}
	# As the server reads it last.
	my $mark = time . rand;
	append_to_file($node->data_dir . '/keys.conf', '');
	truncate $node->data_dir . '/keys.conf', 0;
	append_to_file($node->data_dir . '/keys.conf', "${lines}raxx_test.mark = '$mark'\n");
	$node->reload;
	wait_until('the configuration is read', sub { $session->query("SELECT current_setting('raxx_test.mark', true)") eq $mark });
	return;
}

# The state and the messages of a call; with the rows in front if it worked.
sub call
{
	my ($call) = @_;
	my ($state, $rows, $messages) = $session->attempt("SELECT * FROM raxx_detect.$call");
	return $state eq '00000' ? $rows : "$state $messages";
}

# The processes that this test's commands have left or started.
sub sleepers { return grep { slurp_maybe("/proc/$_/cmdline") =~ /^sleep\x{0}$sleep\x{0}/ } map { m{(\d+)} } glob '/proc/[0-9]*'; }

# What was killed may take a moment to be gone.
sub gone
{
	my ($name) = @_;
	eval { wait_until('the commands are gone', sub { sleepers() == 0 }, 10) };
	is(scalar(sleepers()), 0, $name);
	return;
}

sub slurp_maybe
{
	my ($path) = @_;
	open my $file, '<', $path or return '';
	local $/ = undef;
	return <$file> // '';
}

sub descriptors { return scalar(() = glob "/proc/$session->{pid}/fd/*"); }

# ---- where keys come from ---------------------------------------------------------------------------------------------
my $keys = 'chain_keys()';
my $both = "k1|chain\nc1|checkpoint";
like(call($keys), qr/^55000 .*there are no keys for hash chains.*HINT:  Set one of them/s, 'without a setting there are none');

my $file = write_file('keys', $ring, 0600);
configure(key_file => $file);
is(call($keys), $both, 'a key file');
my $before = descriptors();
foreach my $mode (0400, 0600)
{
	chmod $mode, $file;
	is(call($keys), $both, sprintf('a key file of mode %04o', $mode));
}
foreach my $mode (0640, 0604, 0610, 0601, 0666)
{
	chmod $mode, $file;
	like(call($keys), qr/^F0000 .*the key file has group or world access.*@{[sprintf '%04o', $mode]}.*HINT:  They may be at most 0600/s,
		sprintf('not one of mode %04o', $mode));
}
chmod 0600, $file;
symlink $file, "$files/link";
configure(key_file => "$files/link");
is(call($keys), $both, 'a symbolic link to a key file');
configure(key_file => "$files/none");
like(call($keys), qr/^58P01 .*could not open the file that raxx_detect.key_file names: No such file/s, 'not one that does not exist');
configure(key_file => $files);
like(call($keys), qr/^F0000 .*does not name a regular file/s, 'not a directory');
mkfifo("$files/fifo", 0600);
configure(key_file => "$files/fifo");
like(call($keys), qr/^F0000 .*does not name a regular file/s, 'not a pipe, which nobody waits for');
configure(key_file => write_file('wrong', $ring . "\n" . substr(line('chain', 'k2', 'second'), 0, 39) . "\n", 0600));
like(call($keys), qr/^F0000 .*the key ring cannot be read.*DETAIL:  Line 5: the key is too short\./s, 'not one with an error in it');
configure(key_file => write_file('long', '#' . ' ' x (1024 * 1024), 0600));
like(call($keys), qr/^54000 .*the key file is too long/s, 'nor one of more than a megabyte');
configure(key_file => $file, key_command => "cat $file");
like(call($keys), qr/^F0000 .*Both raxx_detect.key_file and raxx_detect.key_command are set/s, 'nor two places at once');

configure(key_command => "cat $file");
is(call($keys), $both, 'a key command');
configure(key_command => "cat $file >&2; cat $file; exit 3");
like(call($keys), qr/^38000 .*raxx_detect.key_command failed.*exited with exit code 3/s, 'one that fails');
configure(key_command => "cat $file; kill -9 \$\$");
like(call($keys), qr/^38000 .*raxx_detect.key_command failed.*terminated by signal 9/s, 'one that is killed');
configure(key_command => '/nowhere/to/be/found');
like(call($keys), qr/^38000 .*raxx_detect.key_command failed.*command not found/s, 'one that is not there');
configure(key_command => 'true');
like(call($keys), qr/^F0000 .*the key ring holds no key/s, 'one that says nothing');
configure(key_command => "cat $file; while :; do echo '# and so on'; done");
like(call($keys), qr/^54000 .*raxx_detect.key_command gave too much output.*1048576 bytes/s, 'one that never stops');
configure(key_command => "ls /proc/self/fd >$files/fds; env >$files/env; cat $file");
is(call($keys), $both, 'a command gets');
is(slurp_maybe("$files/fds"), "0\n1\n2\n3\n", 'no file of the server (3 is what ls opens)');

# ---- how long it may take ---------------------------------------------------------------------------------------------
my $began = time;
foreach my $hangs (
	"cat $file; sleep $sleep",
	"cat $file; exec >&-; sleep $sleep",
	"cat $file; sleep $sleep & sleep $sleep",
	"trap '' INT TERM HUP QUIT; cat $file; sleep $sleep")
{
	(my $shown = $hangs) =~ s/\Q$file\E|$sleep/../g;
	configure(key_command => $hangs, key_command_timeout => '1s');
	like(call($keys), qr/^38000 .*raxx_detect.key_command took too long.*after 1 seconds.*key_command_timeout/s, "takes too long: $shown");
	gone('and nothing of it is left');
}
cmp_ok(time - $began, '<', 60, 'none of them is waited for');

configure(key_command => "trap '' INT; sleep $sleep");
foreach my $end (qw(cancel terminate))
{
	my $victim = $end eq 'cancel' ? $session : new_session($node, $db);
	$victim->send("SELECT * FROM raxx_detect.$keys");
	wait_until('the command runs', sub { sleepers() == 1 });
	$other->query("SELECT pg_${end}_backend($victim->{pid})");
	is(($victim->receive)[0], '57014', 'a command is cancelled') if $end eq 'cancel';
	gone("nothing is left after a $end");
	$victim->quit if $end eq 'terminate';
}
my $quick = new_session($node, $db);
$quick->query("SET statement_timeout = '300ms'");
is(($quick->attempt("SELECT * FROM raxx_detect.$keys"))[0], '57014', 'statement_timeout holds for a command');
gone('and ends it');
$quick->quit;
is(descriptors(), $before, 'no descriptor is left open by all that');

# ---- rotation ---------------------------------------------------------------------------------------------------------
configure(key_file => $file);
write_file('keys', $ring . line('chain', 'k2', 'second'), 0600);
is(call($keys), "$both\nk2|chain", 'a key that is added is there at once');
configure(key_file => write_file('spare', line('checkpoint-public', 'c9', 'spare'), 0600));
is(call($keys), 'c9|checkpoint-public', 'another file after a reload');
configure(key_file => $file);

# ---- checkpoints ------------------------------------------------------------------------------------------------------
my $mac = 'ab' x 32;
my $arguments = "'00112233-4455-6677-8899-aabbccddeeff', 7, 42, '\\x$mac', '2026-11-30 12:00+00'";
my $line = call("sign_checkpoint($arguments)");
like($line, qr{^raxx-checkpoint 1 00112233-4455-6677-8899-aabbccddeeff 7 42 $mac 2026-11-30T12:00:00\.000000Z c1 [A-Za-z0-9+/]{86}==$},
	'a checkpoint is a line');
is(call("sign_checkpoint($arguments, 'c1')"), $line, 'signed by the key that is named, or by the last');
is(call("checkpoint_verdict('$line')"), 'valid', 'it is valid');
(my $changed = $line) =~ s/ 42 / 43 /;
is(call("checkpoint_verdict('$changed')"), 'invalid', 'with another seq it is not');
($changed = $line) =~ s/ c1 / c2 /;
is(call("checkpoint_verdict('$changed')"), 'unknown key', 'nor with a key that is not there');
is(call("checkpoint_verdict('a line')"), 'malformed', 'nor is any line');
is(call("checkpoint_verdict(NULL)"), '', 'NULL is NULL');
is(call("parse_checkpoint('$line')"), "00112233-4455-6677-8899-aabbccddeeff|7|42|\\x$mac|2026-11-30 12:00:00+00|c1", 'it can be read');
like(call("parse_checkpoint('$line ')"), qr/^22P02 .*not the line of a checkpoint/s, 'but no other form of it');
like(call("sign_checkpoint($arguments, 'k1')"), qr/^42704 .*checkpoint key "k1" is not in the key ring.*of another kind/s, 'a chain key signs nothing');
like(call("sign_checkpoint($arguments, 'c7')"), qr/^42704 .*"c7" is not in the key ring/s, 'nor does one that is not there');
like(call("sign_checkpoint($arguments, repeat('c', 65))"), qr/^22023 .*key_id must have 1 to 64 characters/s, 'an id has a length');
like(call("sign_checkpoint(gen_random_uuid(), 1, 2, '\\x00', now())"), qr/^22023 .*mac must have 32 bytes/s, 'a mac has 32 bytes');
like(call("sign_checkpoint(gen_random_uuid(), 1, 2, '\\x$mac', 'infinity')"), qr/^22023 .*time of a checkpoint is out of range/s, 'a time is finite');
like(call("sign_checkpoint(gen_random_uuid(), 1, NULL, '\\x$mac', now())"), qr/^22004 .*seq must not be NULL/s, 'NULL is refused');

is(call("deliver_checkpoint('$line')"), 'f', 'nobody keeps a checkpoint');
like(call('kept_checkpoints()'), qr/^55000 .*nobody tells which checkpoints were kept/s, 'and nobody has kept one');
configure(key_file => $file, checkpoint_command => "cat >>$files/kept", checkpoint_source_command => "cat $files/kept");
is(call("deliver_checkpoint('$line')"), 't', 'a command keeps it');
is(slurp_maybe("$files/kept"), "$line\n", 'as a line');
is(call('kept_checkpoints()'), $line, 'and another gives it back');
is($session->query('SELECT raxx_detect.kept_checkpoints()'), $line, 'also without FROM');
like(call("deliver_checkpoint('; rm -rf')"), qr/^22P02 /, 'nothing else is kept');
write_file('kept', "\n$line\r\nwhat\tis\xff\xc3\xa4\n" . 'x' x 1000 . "\nlast", 0600);
is(call('kept_checkpoints()'), "$line\nwhat?is???\n" . 'x' x 512 . "\nlast", 'what is no checkpoint is shown without harm');
write_file('kept', "$line\n" x 10_000, 0600);
is($session->query('SELECT count(*) FROM raxx_detect.kept_checkpoints()'), 10_000, 'ten thousand lines');
write_file('kept', "x\n" x 10_001, 0600);
like(call('kept_checkpoints()'), qr/^54000 .*gave too many lines/s, 'and not one more');
configure(key_file => $file, checkpoint_command => 'echo kept nothing >&2; exit 7', checkpoint_source_command => 'exit 8');
like(call("deliver_checkpoint('$line')"), qr/^38000 .*raxx_detect.checkpoint_command failed.*exit code 7/s, 'a command that fails says how');
like(slurp_file($node->logfile), qr/^kept nothing$/m, 'and why, in the log');
like(call('kept_checkpoints()'), qr/^38000 .*raxx_detect.checkpoint_source_command failed.*exit code 8/s, 'so does the other');
configure(key_file => $file, checkpoint_command => 'exec <&-; sleep 0.1', checkpoint_source_command => "sleep $sleep", checkpoint_command_timeout => '1s');
is(call("deliver_checkpoint('$line')"), 't', 'a command need not read');
like(call('kept_checkpoints()'), qr/^38000 .*took too long.*checkpoint_command_timeout/s, 'nor may one hang');
gone('nothing of it is left');

# ---- who may ----------------------------------------------------------------------------------------------------------
my $clerk = Server::Session->new($node, $db, 'clerk');
foreach my $call ('chain_keys()', "sign_checkpoint($arguments)", "checkpoint_verdict('')", "deliver_checkpoint('')", 'kept_checkpoints()')
{
	is(($clerk->attempt("SELECT * FROM raxx_detect.$call"))[0], '42501', "not everybody may call $call");
}
like($clerk->query('SELECT raxx_detect.mac_engine()'), qr/^(intel-ipsec-mb|OpenSSL) v?\d+\./, 'everybody may ask what computes MACs');
foreach my $setting (qw(key_file key_command checkpoint_command checkpoint_source_command))
{
	is(($clerk->attempt("SHOW raxx_detect.$setting"))[0], '42501', "not everybody may see $setting");
	is(($session->attempt("SET raxx_detect.$setting = 'x'"))[0], '55P02', 'and nobody can set it in a session');
}
$clerk->quit;

# ---- nothing of a key is left -------------------------------------------------------------------------------------------
# What a key looks like, and its halves, so that a part of one is found, too.
sub looks
{
	my %looks;
	foreach my $name (sort keys %key)
	{
		foreach my $half (0, 16)
		{
			my $bytes = substr $key{$name}, $half, 16;
			my $hex = unpack 'H*', $bytes;
			my $base64 = substr encode_base64(substr($key{$name}, $half == 0 ? 0 : 15), ''), 0, 20;
			@looks{ "$name+$half raw", "$name+$half hex", "$name+$half HEX", "$name+$half base64" } = ($bytes, $hex, uc $hex, $base64);
		}
	}
	return \%looks;
}

my $looks = looks();

sub found_in
{
	my ($text) = @_;
	return join ', ', grep { index($text, $looks->{$_}) >= 0 } sort keys %$looks;
}

configure(key_command => "cat $file");
$session->query("SELECT * FROM raxx_detect.chain_keys(), raxx_detect.sign_checkpoint($arguments) WHERE key_id = 'k1'") foreach 1 .. 3;
is(found_in($ring . line('chain', 'k2', 'second')), join(', ', grep { /hex/ && !/spare/ } sort keys %$looks), 'a key that is there would be found');
is(found_in(slurp_file($node->logfile)), '', 'no key is in the log');
is(found_in($session->query("SELECT string_agg(v::text, ' ') FROM $_ v")), '', "nor in $_")
  foreach qw(pg_settings pg_file_settings pg_stat_activity pg_backend_memory_contexts pg_stat_database);

# Each page of the backend that can be read; undef where it may not be looked at.
sub memory_of
{
	my ($pid) = @_;
	no warnings 'portable';    # addresses have 64 bits
	open my $maps, '<', "/proc/$pid/maps" or return undef;
	open my $memory, '<:raw', "/proc/$pid/mem" or return undef;
	my @found;
	while (my $map = <$maps>)
	{
		my ($from, $to, $name) = $map =~ /^(\w+)-(\w+) r\S+ \S+ \S+ \S+\s*(.*)/ or next;
		next if $name =~ /^\[v(var|syscall|dso)/;
		my ($at, $end) = (hex $from, hex $to);
		my $tail = '';
		while ($at < $end)
		{
			sysseek $memory, $at, SEEK_SET or last;
			my $size = $end - $at < 1 << 24 ? $end - $at : 1 << 24;
			my $page;
			my $got = sysread $memory, $page, $size;
			last unless $got;
			push @found, [ "$name at $from", "$tail$page" ];
			$tail = substr $page, -64;
			$at += $got;
		}
	}
	return \@found;
}

SKIP:
{
	my $canary = 'canary' . 'x' . $$;
	$session->query("SET application_name = '$canary'");
	my $memory = memory_of($session->{pid});
	skip 'the memory of the backend may not be read', 2 unless defined $memory && @$memory;
	ok((grep { index($_->[1], $canary) >= 0 } @$memory), 'what is in the memory of the backend is found');
	is(join("\n", map { my $what = found_in($_->[1]); $what ? "$what in $_->[0]" : () } @$memory), '', 'no key is');
}
# A file is read another way, an error leaves by another.
foreach my $way ([ key_file => $file ], [ key_command => "cat $file; exit 3" ], [ key_command => "cat $file; echo chain" ])
{
	configure(@$way);
	$session->attempt("SELECT raxx_detect.chain_keys(), raxx_detect.sign_checkpoint($arguments)") foreach 1 .. 2;
	my $memory = memory_of($session->{pid});
  SKIP:
	{
		skip 'the memory of the backend may not be read', 1 unless defined $memory && @$memory;
		is(join("\n", map { my $what = found_in($_->[1]); $what ? "$what in $_->[0]" : () } @$memory), '', "nor with @$way[0], however it ends");
	}
}
is(found_in(slurp_file($node->logfile)), '', 'still no key is in the log');

$_->quit foreach $session, $other;
done_testing();
