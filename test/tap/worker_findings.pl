# However the rules are run, by hand once, by the worker each second, or by pg_cron as a background worker of its own, the
# findings are the same. Without pg_cron (package postgresql-NN-cron) its part is skipped.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Worker;
use Test::More;

chomp(my $libraries = qx(pg_config --pkglibdir));
my $has_cron = -e "$libraries/pg_cron.so";
my $node = worker_server('raxx_detect.max_workers = 1',
	$has_cron
	? ("shared_preload_libraries = 'raxx_detect, pg_cron'", 'cron.use_background_workers = on', 'cron.database_name = by_cron',
		'cron.log_run = on')
	: ());
$node->safe_psql('postgres', 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');

# The same four days, up to yesterday; from then on the audit logs have a row each five minutes, for an hour to come, so that
# no silence grows while one looks.
runner_database($node, 'by_hand');
load_application($node, 'by_hand');
$node->safe_psql('by_hand', <<'END');
SELECT format('UPDATE %I SET event_time = event_time + make_interval(days => (now() AT TIME ZONE ''UTC'')::date - 1 - date ''2024-03-07'')', t)
FROM unnest('{rbac_denials,waitlist_signups,customer_audit_events,console_audit_events}'::text[]) t \gexec
SELECT format('INSERT INTO %1$I (event_time, operator) SELECT t, ''operator 3'' FROM generate_series(
    (SELECT max(event_time) FROM %1$I) + interval ''5 minutes'', now() + interval ''1 hour'', ''5 minutes'') t', t)
FROM unnest('{customer_audit_events,console_audit_events}'::text[]) t \gexec
VACUUM ANALYZE;
END
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE by_hand") foreach 'by_worker', 'by_cron';

sub findings
{
	my ($database) = @_;
	return $node->safe_psql($database, <<'END');
SELECT to_jsonb(f) - '{finding_id,detected_at,updated_at}'::text[] FROM raxx_detect.detection_findings f ORDER BY f.rule_id, f.entity, f.episode
END
}

is($node->safe_psql('by_hand', q{SELECT string_agg(DISTINCT outcome, ' ') FROM raxx_detect.run_all()}, extra_params => [ '-U', 'runner' ]),
	'dormant ok skipped', 'by hand: the rules ran');
my $expected = findings('by_hand');
cmp_ok(() = $expected =~ /^\{/mg, '>=', 15, 'and found something');

# The hour at which the day before is learnt may lie between two of the runs; it changes no finding.
enable($node, 'by_worker');
wait_for_run($node, 'by_worker') foreach 1 .. 3;
is(findings('by_worker'), $expected, 'by the worker: the same');
disable($node, 'by_worker');

SKIP:
{
	skip "pg_cron is not installed: no $libraries/pg_cron.so", 3 unless $has_cron;
	$node->safe_psql('by_cron', 'CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO runner');
	$node->safe_psql('by_cron', q{SELECT cron.schedule('raxx_detect', '* * * * *', 'SELECT raxx_detect.run_all()')}, extra_params => [ '-U', 'runner' ]);
	wait_until('pg_cron has run it', sub {
		$node->safe_psql('by_cron', q{SELECT count(*) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')}) }, 90);
	is($node->safe_psql('by_cron', 'SELECT username, status, command FROM cron.job_run_details ORDER BY runid LIMIT 1'),
		'runner|succeeded|SELECT raxx_detect.run_all()', 'by pg_cron: as a role that is no superuser');
	is($node->safe_psql('by_cron', 'SELECT runs > 0 FROM raxx_detect.heartbeat'), 't', 'it has run');
	is(findings('by_cron'), $expected, 'and found the same');
}
$node->stop('fast');
done_testing();
