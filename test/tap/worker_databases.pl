# The background worker keeps nobody from what he wants to do with a database: dropped, renamed, copied, without the
# extension, without the role.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Worker;
use Test::More;

my $node = worker_server('raxx_detect.max_workers = 8');
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
runner_database($node, $_) foreach 'dropped', 'old_name', 'pattern', 'app';
enable($node, 'dropped', 'old_name', 'pattern', 'app');

sub gone
{
	my ($database) = @_;
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM raxx_detect.worker_state() WHERE database = '$database')")
	  or die "$database is still there";
	return 1;
}

# Each command needs the database for itself, and waits five seconds for that at most. A run that would take minutes is
# in it; it ends, and is made up for.
hang($node, $_) foreach 'dropped', 'old_name', 'pattern';
my $log_size = -s $node->logfile;
is($node->psql('postgres', 'DROP DATABASE dropped'), 0, 'DROP DATABASE in the middle of a run');
ok(gone('dropped'), 'it is forgotten');

is($node->psql('postgres', 'ALTER DATABASE old_name RENAME TO new_name'), 0, 'ALTER DATABASE ... RENAME in the middle of a run');
unhang($node, 'new_name');
wait_for_state($node, 'new_name', "last_result = 'ok'");
is(state_of($node, 'old_name', 'state'), undef, 'it goes on under its new name');

is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE pattern'), 0, 'CREATE DATABASE ... TEMPLATE in the middle of a run');
unhang($node, $_) foreach 'pattern', 'copy';
wait_for_run($node, 'pattern');
is(state_of($node, 'copy', 'state'), undef, 'the pattern goes on, and the copy is not enabled');
enable($node, 'copy');
wait_for_run($node, 'copy');
pass('until it is');
is($node->safe_psql('postgres', q{SELECT count(*) FROM raxx_detect.worker_state() WHERE failures > 0}), '0', 'none of this counts as a failure');
$node->wait_for_log(qr/terminating background worker "raxx_detect worker" due to administrator command/, $log_size);

# Between runs nothing is connected, so that it works without waiting as well.
is($node->psql('postgres', "DROP DATABASE copy"), 0, 'DROP DATABASE between two runs');
ok(gone('copy'), 'it is forgotten');

# The extension comes and goes.
$log_size = -s $node->logfile;
$node->safe_psql('app', 'DROP EXTENSION raxx_detect');
wait_for_state($node, 'app', "state = 'no_extension' AND last_result = 'the extension is not created' AND failures = 0 AND next_run > last_run + interval '55 s'");
$node->wait_for_log(qr/LOG:  raxx_detect is enabled in database "app", but not created/, $log_size);
pass('DROP EXTENSION: it is looked for each minute');
$node->safe_psql('app', 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect');
Worker::grant_runner($node, 'app');
$node->reload;
wait_for_run($node, 'app');
pass('created again: it goes on, after a reload at once');
is(() = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /is enabled in database "app", but not created/g, 1, 'said once');

# Somebody's schema of that name is not the extension.
$node->safe_psql('postgres', 'CREATE DATABASE trap');
$node->safe_psql('trap', <<'END');
CREATE SCHEMA raxx_detect;
CREATE TABLE public.trapped (name text);
CREATE FUNCTION raxx_detect.run_all(OUT outcome text) LANGUAGE sql AS $$ INSERT INTO public.trapped VALUES (current_user) RETURNING name $$;
GRANT ALL ON SCHEMA raxx_detect TO runner;
GRANT ALL ON TABLE public.trapped TO runner;
END
enable($node, 'trap');
wait_for_state($node, 'trap', "state = 'no_extension'");
is($node->safe_psql('trap', 'SELECT count(*) FROM trapped'), '0', 'a function of the same name is not called');

# The role comes and goes.
$node->safe_psql('postgres', 'CREATE ROLE passing LOGIN; ALTER DATABASE new_name SET raxx_detect.role = passing');
$node->reload;
wait_for_state($node, 'new_name', "last_result = 'failed with SQLSTATE 42501'");
$node->safe_psql('new_name', 'GRANT USAGE ON SCHEMA raxx_detect TO passing; GRANT ALL ON ALL TABLES IN SCHEMA raxx_detect TO passing');
$node->reload;
wait_for_run($node, 'new_name');
$node->safe_psql('new_name', 'DROP OWNED BY passing; DROP ROLE passing');
wait_for_state($node, 'new_name', "state = 'refused' AND last_result = 'raxx_detect.role does not exist'");
pass('role dropped: refused');
$node->safe_psql('postgres', 'ALTER DATABASE new_name RESET raxx_detect.role');
$node->reload;
wait_for_run($node, 'new_name');
pass('and on with the role of all');

# May the role connect? The server says no before the worker can.
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE new_name FROM PUBLIC');
wait_for_state($node, 'new_name', "state = 'backing_off' AND last_result = 'ended before it was done'");
pass('a role that may not connect is a failure');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE new_name TO runner');
$node->reload;
wait_for_run($node, 'new_name');
$node->safe_psql('postgres', 'ALTER DATABASE new_name ALLOW_CONNECTIONS off');
ok(gone('new_name'), 'a database that nobody may connect to is left alone');

# A role's own settings hold for its runs; but not what would keep a run from settling anything.
$node->safe_psql('postgres', q{ALTER ROLE runner SET default_transaction_isolation = 'serializable'; ALTER ROLE runner SET application_name = 'somebody'});
hang($node, 'app');
is($node->safe_psql('postgres', q{SELECT application_name FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'raxx_detect worker'}),
	'raxx_detect worker', 'a worker keeps its name');
is($node->safe_psql('app', q{SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock'}), '0', 'and runs in READ COMMITTED');
$node->stop('fast');
done_testing();
