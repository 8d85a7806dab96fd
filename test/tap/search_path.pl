# Whatever stands in front in the search path, or in the schema of temporary objects: the extension's functions and views
# mean their own objects and Postgres's.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server('max_locks_per_transaction = 512');
my $db = new_database($node, 'paths');
load_application($node, $db);
my $session = new_session($node, $db);
$session->query(<<'END');
SELECT raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
INSERT INTO raxx_detect.statement_samples
SELECT timestamptz '2024-03-04' + n * interval '1 hour', q, 2 * n, n + CASE WHEN n > 40 THEN n ELSE 0 END FROM generate_series(1, 48) n, generate_series(1, 3) q;
END

# A schema full of traps: relations, functions and operators of the names, and of the very types, that the extension uses.
$session->query(<<'END');
SET client_min_messages = warning;
CREATE SCHEMA traps;
CREATE PROCEDURE set_trap(definition text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE definition;
EXCEPTION WHEN feature_not_supported OR invalid_function_definition OR wrong_object_type OR duplicate_function THEN
    NULL;  -- what cannot be made cannot be a trap
END $$;
CREATE PROCEDURE set_traps() LANGUAGE plpgsql AS $$
DECLARE
    definition text;
    body text := $body$LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END'$body$;
    system oid[] := '{pg_catalog,raxx_detect,public}'::regnamespace[]::oid[];
BEGIN
    FOR definition IN
        SELECT format('CREATE TABLE traps.%1$I (trapped int); CREATE TEMPORARY TABLE %1$I (trapped int)', relname)
        FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = ANY (system)
        UNION ALL
        -- The arguments of an ordered-set aggregate are listed with ORDER BY in the place of a comma.
        SELECT format('CREATE FUNCTION traps.%I(%s) RETURNS %s %s', proname,
            replace(regexp_replace(pg_get_function_identity_arguments(oid), '^ORDER BY ', ''), ' ORDER BY ', ', '), prorettype::regtype, body)
        FROM pg_proc p WHERE pronamespace = ANY (system) AND prokind <> 'p'
        AND EXISTS (SELECT FROM pg_proc x WHERE x.pronamespace = 'raxx_detect'::regnamespace AND strpos(x.prosrc, p.proname || '(') > 0)
        UNION ALL
        SELECT format('CREATE FUNCTION traps.operator_%1$s(%2$s, %3$s) RETURNS %4$s %5$s;
            CREATE OPERATOR traps.%6$s (FUNCTION = traps.operator_%1$s, LEFTARG = %2$s, RIGHTARG = %3$s)',
            oid, oprleft::regtype, oprright::regtype, oprresult::regtype, body, oprname)
        FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b' LOOP
        CALL set_trap(definition);
    END LOOP;
END $$;
END

my @calls = (
	q{SELECT rule_id, state, outcome, findings_new, rows_read, covered, detail FROM raxx_detect.run_all('2024-03-07 18:00')},
	q{SELECT rule_id, outcome FROM raxx_detect.run('auth_rbac_denied_burst', '2024-03-07 18:01')},
	q{SELECT rule_id, fixture, ok FROM raxx_detect.self_test('data_audit_log_gap_window')},
	q{SELECT fixture, ok FROM raxx_detect.self_test('auth_rbac_denied_burst')},
	q{SELECT fixture, ok FROM raxx_detect.self_test('webhook_stripe_signature_fail')},
	q{SELECT raxx_detect.like_patterns('["a_b%*:admin"]')},
	q{SELECT number, rule_id, state, reason, open_findings, last_outcome FROM raxx_detect.status},
	q{SELECT * FROM raxx_detect.sources},
	q{SELECT * FROM raxx_detect.prerequisites},
	q{SELECT * FROM raxx_detect.source_contracts},
	q{SELECT raxx_detect.bind_source('waitlist_signups', 'public.waitlist_signups')},
	q{SELECT * FROM raxx_detect.autobind()},
	q{SELECT raxx_detect.create_source_table('login_failures', 'public.failures')},
	q{SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 21, "window": "6 minutes"}')},
	q{SELECT raxx_detect.disable('auth_rbac_denied_burst', 'for the test'), raxx_detect.enable('auth_rbac_denied_burst')},
	q{SELECT raxx_detect.unbind_source('login_failures')},
	q{SELECT * FROM raxx_detect.velocity_episodes('public.waitlist_signups', 'event_time', 'origin', '5 minutes', 20, '-infinity', 'infinity')},
	q{SELECT * FROM raxx_detect.distinct_episodes('public.rbac_denials', 'event_time', 'operator', 'permission', '5 minutes', 3, '-infinity', 'infinity')},
	q{SELECT * FROM raxx_detect.gaps('public.customer_audit_events', 'event_time', '30 minutes', '-infinity', 'infinity')},
	q{SELECT * FROM raxx_detect.gap_quantiles('public.customer_audit_events', 'event_time', 0.9, '-infinity', 'infinity')},
	q{SELECT raxx_detect.ks_test('{1,2,3}', '{2,3,5}'), raxx_detect.email_pattern('a.b@c.example'), raxx_detect.poisson_upper_tail(3, 1.5)},
	q{SELECT * FROM raxx_detect.scrape_statements('2024-03-07 18:00')},
	q{SELECT i.* FROM raxx_detect.source_bindings b CROSS JOIN LATERAL raxx_detect.statement_intervals(b, '2024-03-01', '2024-03-08') i WHERE b.source OPERATOR(pg_catalog.=) 'statement_samples'},
	q{SELECT raxx_detect.statements_that_moved(b, '2024-03-01', '2024-03-05', '2024-03-08') FROM raxx_detect.source_bindings b WHERE b.source OPERATOR(pg_catalog.=) 'statement_samples'},
	q{SELECT * FROM raxx_detect.monitor_intervals('2024-03-01', '2024-03-08')},
	q{SELECT raxx_detect.statements_that_moved(b, '2024-03-01', '2024-03-05', '2024-03-08', 5, true) FROM raxx_detect.source_bindings b WHERE b.source OPERATOR(pg_catalog.=) 'statement_samples'},
	q{SELECT * FROM raxx_detect.keep_statement_histograms('2024-03-07 18:00')},
	q{SELECT source, outcome, hours, rows_before, rows_now, findings_new, findings_updated, detail FROM raxx_detect.sweep('2024-03-07 18:01')},
	q{SELECT rule_id, healthy, errors, sqlstate FROM raxx_detect.health},
	q{SELECT culprit FROM raxx_detect.horizon()},
	q{SELECT raxx_detect.run('no such rule')},
	q{SELECT raxx_detect.bind_source('waitlist', 'public.waitlist_signups')},
	q{SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": -1}')},
	q{SELECT * FROM raxx_detect.velocity_episodes('public.waitlist_signups', 'event_time', 'nowhere', '5 minutes', 20, '-infinity', 'infinity')});

# All the calls in a transaction that is rolled back, each with its SQLSTATE, rows and messages.
sub answers
{
	my ($path) = @_;
	$session->query('BEGIN');
	my @answers;
	foreach my $call (@calls)
	{
		$session->query("SAVEPOINT one; SET LOCAL search_path = $path");
		my ($state, $rows, $messages) = $session->attempt($call);
		$messages =~ s/^psql:\S+ |^CONTEXT:.*//mgs;
		push @answers, "$call: $state\n$rows\n$messages";
		$session->query($state eq '00000' ? 'SET LOCAL search_path = pg_catalog' : 'ROLLBACK TO one');
	}
	$session->query('ROLLBACK');
	return @answers;
}

# What a backslash in a string means is a setting, and a function's body is read in the session that calls it first. A warning would
# be an answer, too.
my @expected = answers('pg_catalog');
$session->quit;
$node->safe_psql('postgres', "ALTER DATABASE $db SET standard_conforming_strings = off");
$session = new_session($node, $db);
my @by_the_old_rules = answers('pg_catalog');
is($by_the_old_rules[$_], $expected[$_], "standard_conforming_strings = off: $calls[$_]") foreach 0 .. $#calls;
$node->safe_psql('postgres', "ALTER DATABASE $db RESET standard_conforming_strings");
$session->quit;
$session = new_session($node, $db);

is($session->query("SELECT coalesce(string_agg(oid::regprocedure::text, ' '), '') FROM pg_proc WHERE pronamespace = 'raxx_detect'::regnamespace
	AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND prokind = 'f' AND prosqlbody IS NULL
	AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))"), '', 'every function has a search path of its own, or was parsed when it was created');
$session->query('CALL set_traps()');
foreach my $catalog ('pg_class', 'pg_proc', 'pg_operator')
{
	my $namespace = { pg_class => 'relnamespace', pg_proc => 'pronamespace', pg_operator => 'oprnamespace' }->{$catalog};
	my $traps = $session->query("SELECT count(*) FROM pg_catalog.$catalog WHERE $namespace = 'traps'::regnamespace");
	cmp_ok($traps, '>', 50, "$traps traps in $catalog");
}
foreach my $probe ('SELECT 1 = 1', 'SELECT count(*) FROM pg_class WHERE relname IS NOT NULL', "SELECT format('x')")
{
	my ($state) = $session->attempt("SET search_path = traps, pg_catalog; $probe");
	isnt($state, '00000', "$probe: caught");
	$session->query('SET search_path = pg_catalog');
}
foreach my $path ('traps, pg_catalog', 'pg_temp, traps, pg_catalog')
{
	my @got = answers($path);
	is($got[$_], $expected[$_], "$path: $calls[$_]") foreach 0 .. $#calls;
}
$session->quit;
done_testing();
