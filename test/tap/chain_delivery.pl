# Checkpoints are kept outside by a command; where it fails, health says since when and why, until it works again, and a
# chain of an application is no exception. A command that hangs is not waited for again and again.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use ChainServer;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $files = abs_path(PostgreSQL::Test::Utils::tempdir());
my $node = new_chain_server("raxx_detect.checkpoint_command = 'if test -e $files/broken; then echo x >> $files/tries; exit 7; fi; cat >> $files/kept'");
my $db = new_chain_database($node, 'app');
my $rule = 'data_audit_log_hash_chain_break';
append_to_file("$files/$_", '') foreach 'kept', 'tries';
$node->safe_psql($db, <<"SQL");
CREATE TABLE console (seq bigint PRIMARY KEY, at timestamptz DEFAULT now(), who text, prev text, mac text);
SELECT raxx_detect.chain_declare('console', '{"seq": "seq", "prev": "prev", "mac": "mac", "columns": ["seq", "who"], "encoding": "json", "algorithm": "sha256"}');
SELECT raxx_detect.bind_source('console_audit_events', 'console', '{"event_time": "at", "operator": "who"}');
INSERT INTO console (seq, who, prev, mac) SELECT 1, 'me', '', encode(sha256('{"prev":"","seq":1,"who":"me"}'), 'hex');
INSERT INTO customer_audit_events (event_time, operator) VALUES (now(), 'me');
UPDATE raxx_detect.rules SET params = params || '{"checkpoint_every": "1 microsecond"}' WHERE rule_id = '$rule';
SQL

# A run, as if no other had been lately.
sub run { return $node->safe_psql($db, "UPDATE raxx_detect.chain_checkpoints SET failed_at = failed_at - interval '1 hour'; SELECT outcome, detail FROM raxx_detect.run('$rule')"); }
sub health { return $node->safe_psql($db, "SELECT healthy, reason FROM raxx_detect.health WHERE rule_id = '$rule'"); }
sub kept { return scalar split /\n/, slurp_file("$files/kept"); }
sub undelivered { return $node->safe_psql($db, "SELECT count(*) FROM raxx_detect.chain_checkpoints WHERE delivered_at IS NULL"); }

is($node->safe_psql($db, q{SELECT kind FROM raxx_detect.verify_chain('console', 'full')}), 'intact', 'the chain of an application is as it should be');
is(run(), 'ok|', 'a run') foreach 1 .. 3;
is(kept(), 4, 'checkpoints of two chains are kept, but for the last');
like(health(), qr/^t\|/, 'all is well');

append_to_file("$files/broken", '');
run();
my $since = $node->safe_psql($db, q{SELECT raxx_detect.utc_text(min(c.made_at)) FROM raxx_detect.chain_checkpoints c JOIN raxx_detect.chains USING (chain_id)
	WHERE relation = 'customer_audit_events'::regclass AND c.delivered_at IS NULL});
my $trouble = qr/checkpoints of public.customer_audit_events have not been kept outside since \Q$since\E: raxx_detect.checkpoint_command failed.*exit code 7.*; checkpoints of public.console have not been kept outside since /s;
like(run(), qr/^error\|$trouble/, 'the command fails, which the run says') foreach 1 .. 3;
like(health(), qr/^f\|its runs end in an error since .*$trouble/s, 'and health');
is($node->safe_psql($db, "SELECT count(*) FROM raxx_detect.rule_runs WHERE outcome = 'error'"), 1, 'once, as long as it is the same');
is(kept(), 4, 'nothing more is kept');
is($node->safe_psql($db, 'SELECT count(*) FROM raxx_detect.detection_findings'), 0, 'which is no break');

my $tries = slurp_file("$files/tries");
$node->safe_psql($db, "SELECT FROM raxx_detect.run('$rule')") foreach 1 .. 5;
is(slurp_file("$files/tries"), $tries, 'it is not tried again at once');
like(health(), qr/^f\|its runs end in an error since .*$trouble/s, 'which does not make it well');

unlink "$files/broken";
is(run(), 'ok|', 'it works again');
like(health(), qr/^t\|/, 'and all is well');
run() foreach 1 .. 20;
is(undelivered(), 2, 'what was not kept is kept by and by, but for the last');

append_to_file("$files/broken", '');
run() foreach 1 .. 2;
like(health(), qr/^f\|/, 'it fails once more');
$node->append_conf('postgresql.conf', "raxx_detect.checkpoint_command = ''");
$node->restart;
is(run(), 'ok|', 'there is no command any more, so that nothing is wrong with it');

done_testing();
