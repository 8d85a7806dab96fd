# What the view findings_ocsf says of a finding is what raxx-notify would send of it: the mapping is written twice, in SQL and in C++, and
# is one. And that the views and the page can be read in databases of any encoding.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Notify;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();

# ---- one mapping -------------------------------------------------------------------------------------------------------------
SKIP:
{
	my $program = program() or skip 'raxx-notify is not built', 2;
	my $db = new_database($node, 'one_mapping');
	# Of every rule, in every condition; texts, times and numbers that somebody has thought up.
	my $session = new_session($node, $db);
	$session->query(<<'END');
UPDATE raxx_detect.notification_settings SET console_link = 'https://console.example/findings/{finding_id}?a=b';
ALTER TABLE raxx_detect.detection_findings ALTER finding_id RESTART WITH 1234567;
UPDATE raxx_detect.rules SET title = repeat(title || E' \t\u202e<b>&"', 5) WHERE number % 3 = 0;
INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, verdict,
	condition, occurrences, escalation_owner, detected_at, updated_at, late)
SELECT r.rule_id, r.det_id, CASE WHEN n = 7 THEN repeat('c', 100) ELSE r.category END, r.sources[1], (enum_range(NULL::raxx_detect.severity))[1 + n % 4], n || e.entity,
	CASE n WHEN 2 THEN tstzrange('-infinity', 'infinity') WHEN 3 THEN tstzrange('1969-12-31 23:59:59.999+00', '9999-12-31 23:59:59.9+00') WHEN 4 THEN tstzrange('2026-01-01+00', '294276-01-01')
	       ELSE tstzrange('2026-11-27 16:00:00.999+00', CASE WHEN n % 2 = 0 THEN '2026-11-27 17:00+00'::timestamptz END) END,
	CASE n WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' WHEN 4 THEN 1e300 WHEN 5 THEN 9007199254740993 ELSE n / 3.0::float8 END, CASE n WHEN 2 THEN 'NaN' WHEN 3 THEN NULL WHEN 4 THEN 5e-324 ELSE n END::float8,
	CASE n WHEN 5 THEN E'rows\u200b' ELSE 'rows' END, CASE n % 3 WHEN 0 THEN 1.23456789012345678e-10::float8 END, (ARRAY['threshold', 'baseline'])[1 + n % 2], n, n || ' summary ' || e.entity || repeat(' long', n * 20),
	'{"conditions": []}', (ARRAY[NULL, 'adversarial', 'undetermined'])[1 + n % 3], (ARRAY['firing', 'cleared', 'no_data'])[1 + n % 3], n, r.escalation_owner,
	'2026-11-27 16:31:05.7+00', '2026-11-27 16:31:05.7+00'::timestamptz + n / 4 * interval '1 hour', n % 2 = 0
FROM raxx_detect.rules r JOIN generate_series(1, 9) n ON (r.number + n) % 3 = 0
CROSS JOIN LATERAL (SELECT (ARRAY[' plain', E' \u202e"<script>\u0001\u00fc\U0001f600\r\n', repeat(E'\U0001f600', 300), E'\u3164', ' ', '&amp;'])[1 + (n + r.number) % 6] AS entity) e;
END
	my $rendered = PostgreSQL::Test::Utils::tempdir() . '/payload.json';
	my @ids = split /\n/, $session->query('SELECT finding_id FROM raxx_detect.detection_findings ORDER BY 1');
	$session->query('CREATE TABLE sent (finding_id bigint, event jsonb)');
	foreach my $id (@ids)
	{
		write_settings($rendered, $session->query("SELECT raxx_detect.finding_payload(f, raxx_detect.event_now(f), 'full', NULL, NULL) FROM raxx_detect.detection_findings f WHERE finding_id = $id"));
		my ($ocsf, $error);
		IPC::Run::run([ $program, 'render', $rendered, '--as', 'ocsf' ], '>', \$ocsf, '2>', \$error) or die "render: $error";
		$session->query("INSERT INTO sent VALUES ($id, \$sent\$$ocsf\$sent\$)");
	}
	cmp_ok(scalar @ids, '>=', 50, 'findings of all rules');
	# What only one of them has: the view what people have made of a finding, and the message its key.
	is($session->query(<<'END'), '', 'a finding is the same in the view and in a message');
WITH pairs AS (
	SELECT s.finding_id, s.event #- '{metadata,uid}' #- '{metadata,product,feature}' #- '{unmapped,possible_repeat}' AS message,
	       v.event #- '{metadata,uid}' #- '{metadata,product,feature}' #- '{unmapped,triage}' #- '{unmapped,disposition}' #- '{finding_info,modified_time}' AS seen
	FROM sent s JOIN raxx_detect.findings_ocsf v USING (finding_id)
)
SELECT DISTINCT ON (key) key, b.message -> key, b.seen -> key FROM pairs b, jsonb_object_keys(b.message || b.seen) k(key) WHERE b.message -> key IS DISTINCT FROM b.seen -> key ORDER BY key, b.finding_id
END
}

# ---- any encoding --------------------------------------------------------------------------------------------------------------
foreach my $encoding ('SQL_ASCII', 'WIN1252', 'LATIN1', 'EUC_JP')
{
	my $db = 'in_' . lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->safe_psql($db, 'SET client_min_messages = error; CREATE EXTENSION raxx_detect CASCADE');
	my $session = new_session($node, $db);
	my $letter = $encoding eq 'EUC_JP' ? '\\xb0\\xa1' : $encoding eq 'LATIN1' ? '\\xfc' : '\\x81';
	$session->query(<<"END");
SET client_encoding = '$encoding';
SELECT raxx_detect.create_source_table('waitlist_signups');
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '4 minutes' + i * interval '1 second', format('x%s\@example%s.com', i, i), E'<$letter>' FROM generate_series(1, 40) i;
SELECT count(*) FROM raxx_detect.run_all();
SET client_encoding = 'UTF8';
END
	my $shown = $encoding eq 'LATIN1' ? "<\xc3\xbc>" : $encoding eq 'EUC_JP' ? '<?>' : '<?>';
	is($session->query('SELECT entity FROM raxx_detect.finding_summary'), $shown, "$encoding: a line that a client in UTF-8 can read");
	like($session->query('SELECT sparkline FROM raxx_detect.open_findings'), qr/^[_.:=+*# -]+$/, 'with plain bars');
	is($session->query(q{SELECT o.event #>> '{unmapped,entity}' || (e.event #>> '{raxx_detect,entity}') FROM raxx_detect.findings_ocsf o JOIN raxx_detect.findings_ecs e USING (finding_id)}), "$shown$shown",
		'events');
	like($session->query('SELECT raxx_detect.report_html()'), qr/<p class="who">&lt;(\?|\xc3\xbc)&gt;<\/p>/, 'and the page');
}
done_testing();
