# What a silence or an exception kept from being told is told exactly once when it is over, however many look at once, and whoever of them fails; and
# a dump takes along who did what, and what is held back.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $db = new_database($node, 'silences');
my $find = q{INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size,
	summary, evidence, condition, occurrences, escalation_owner)
	SELECT 'signup_waitlist_velocity_per_origin', 'D', 'signup', 'waitlist_signups', 'critical', e, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
		e || ': 60 sign-ups', '{}', 'firing', 1, 'o' FROM unnest('{%s}'::text[]) e};

sub told { return $node->safe_psql($db, q{SELECT string_agg(concat_ws(' ', f.entity, d.event, n), ', ' ORDER BY f.entity) FROM (
	SELECT finding_id, event, count(*) AS n FROM raxx_detect.deliveries WHERE state <> 'silenced' GROUP BY 1, 2) d JOIN raxx_detect.detection_findings f USING (finding_id)}); }
sub end_silences { $node->safe_psql($db, q{SELECT raxx_detect.end_silence(silence_id, 'over') FROM raxx_detect.silence_log WHERE holds}); return; }

# ---- several who look at once -------------------------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'moving')});
$node->safe_psql($db, sprintf($find, 'a,b,c'));
my ($one, $two) = map { new_session($node, $db) } 1 .. 2;
my $claim = q{SELECT count(*) FROM raxx_detect.claim_deliveries('w', ARRAY(SELECT channel FROM raxx_detect.channels))};
is($one->query($claim), 0, 'nothing is sent while it holds');
end_silences();
$one->query('BEGIN');
is($one->query('SELECT raxx_detect.tell_after_silences()'), 3, 'who looks first tells three findings');
is($two->query('SELECT raxx_detect.tell_after_silences()'), 0, 'who looks meanwhile waits for nothing and tells nothing');
is($two->query(q{SELECT string_agg(rule_id, ' ') FROM raxx_detect.run_all() WHERE outcome = 'error'}), '', 'nor does a run');
$one->query('ROLLBACK');
is(told(), '', 'who fails has told nothing');
$two->query('BEGIN');
is($two->query('SELECT raxx_detect.tell_after_silences()'), 3, 'and the next does');
$two->query('COMMIT');
is($one->query('SELECT raxx_detect.tell_after_silences()'), 0, 'once');
is(told(), 'a fired 1, b fired 1, c fired 1', 'each is told once');

# ---- a run that began while the silence held, and commits after the end ----------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.silence(NULL, 'late', now() + interval '1 hour', 'moving')});
$one->query('BEGIN');
$one->query(sprintf $find, 'late');
end_silences();
is($two->query('SELECT raxx_detect.tell_after_silences()'), 0, 'what is not committed yet is not told');
$one->query('COMMIT');
is($two->query('SELECT raxx_detect.tell_after_silences()'), 1, 'but when it is');
like(told(), qr/late fired 1$/, 'once');

# ---- eight at once -------------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'moving')});
$node->safe_psql($db, sprintf($find, join ',', map { "m$_" } 1 .. 200));
end_silences();
my @sessions = map { new_session($node, $db) } 1 .. 8;
$_->send('SELECT raxx_detect.tell_after_silences()') foreach @sessions;
my ($sum, $errors) = (0, '');
foreach (@sessions)
{
	my @result = $_->receive;
	$sum += $result[1] || 0;
	$errors .= $result[2];
}
is($errors, '', 'eight at once do not get in each other\'s way');
is($node->safe_psql($db, q{SELECT count(DISTINCT finding_id) || ' ' || count(*) FROM raxx_detect.deliveries d JOIN raxx_detect.detection_findings f USING (finding_id)
	WHERE f.entity LIKE 'm%' AND d.state <> 'silenced' AND d.channel = 'raxx-ops-alert-sev1'}), '200 200', 'two hundred findings are told once each');

# ---- very many -----------------------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.silence(NULL, NULL, now() + interval '1 hour', 'moving')});
$node->safe_psql($db, sprintf($find, join ',', map { "v$_" } 1 .. 1200));
end_silences();
is(join(' ', map { $one->query('SELECT raxx_detect.tell_after_silences()') } 1 .. 3), '1000 200 0', 'very many are told in parts');
$node->safe_psql($db, q{DELETE FROM raxx_detect.detection_findings WHERE entity LIKE 'v%'});

# ---- an exception that ends ------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'known', 'ours', now() + interval '1 hour')});
$node->safe_psql($db, sprintf($find, 'known'));
unlike(told(), qr/known/, 'an excepted entity is not told');
$node->safe_psql($db, q{SELECT raxx_detect.end_exception(exception_id, 'it is not') FROM raxx_detect.exception_log});
$_->send('SELECT count(*) FROM raxx_detect.run_all()') foreach @sessions[0 .. 3];
is(join('', map { ($_->receive)[2] } @sessions[0 .. 3]), '', 'four runs at once');
like(told(), qr/\bknown fired 1\b/, 'tell it once when it has ended');

# ---- what cannot be told ----------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT raxx_detect.silence(NULL, 'poison', now() + interval '1 hour', 'moving');
	CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$});
$node->safe_psql($db, sprintf($find, 'poison'));
end_silences();
$node->safe_psql($db, q{CREATE TRIGGER poison BEFORE INSERT ON raxx_detect.deliveries FOR EACH ROW WHEN (NEW.payload ->> 'entity' = 'poison') EXECUTE FUNCTION poison();
	UPDATE raxx_detect.deliveries SET state = 'cancelled' WHERE state IN ('pending', 'held')});
$node->safe_psql($db, sprintf($find, 'other'));
my (undef, $claimed, $warning) = $node->psql($db, $claim);
is($claimed, 1, 'does not keep other messages from being sent');
like($warning, qr/WARNING:  what silences and exceptions kept from being told could not be told: not now/, 'and is a warning');
(undef, my $outcomes, $warning) = $node->psql($db, q{SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'});
is($outcomes, 0, 'nor does it undo a run');
like($warning, qr/could not be told/, 'which warns, too');
unlike(told(), qr/poison fired/, 'it is not told');
$node->safe_psql($db, 'DROP TRIGGER poison ON raxx_detect.deliveries; SELECT count(*) FROM raxx_detect.run_all()');
like(told(), qr/poison fired 1/, 'until it can be, once');

# ---- a dump ----------------------------------------------------------------------------------------------------------------------------
$node->safe_psql($db, q{CREATE ROLE nadia SUPERUSER LOGIN});
my $nadia = new_session($node, $db, 'nadia');
$nadia->query(q{SELECT raxx_detect.triage(finding_id, 'benign', 'a crowd') FROM raxx_detect.detection_findings WHERE entity = 'a';
	SELECT raxx_detect.silence(NULL, 'kept', now() + interval '1 hour', 'moving'); SELECT raxx_detect.add_exception('signup_waitlist_velocity_per_origin', 'kept too', 'ours', now() + interval '1 hour')});
$node->safe_psql($db, sprintf($find, 'kept,kept too'));
my $everything = q{SELECT 'f ' || row_to_json(f)::text FROM (SELECT finding_id, entity, triage, disposition, note, exception_id, outlasted_exception FROM raxx_detect.detection_findings) f
	UNION ALL SELECT 'a ' || row_to_json(a)::text FROM raxx_detect.finding_actions a UNION ALL SELECT 's ' || row_to_json(s)::text FROM raxx_detect.silences s
	UNION ALL SELECT 'x ' || row_to_json(x)::text FROM raxx_detect.exceptions x
	UNION ALL SELECT 'd ' || row_to_json(d)::text FROM (SELECT finding_id, channel, event, silence_id, ended_at FROM raxx_detect.deliveries WHERE state = 'silenced') d ORDER BY 1};
my $dump = "$PostgreSQL::Test::Utils::tmp_check/silences.dump";
foreach my $way ([], ['--jobs=3'])
{
	my $to = 'restored' . @$way;
	$node->safe_psql('postgres', "CREATE DATABASE $to");
	$node->command_ok(['pg_dump', '-Fc', '-f', $dump, $node->connstr($db)], 'a dump');
	$node->command_ok(['pg_restore', @$way, '--exit-on-error', '-d', $node->connstr($to), $dump], "restored @$way");
	is($node->safe_psql($to, $everything), $node->safe_psql($db, $everything), 'takes along what people did, and what is held back');
	is($node->safe_psql($to, q{SELECT raxx_detect.end_silence(silence_id, 'there') FROM raxx_detect.silence_log WHERE holds; SELECT raxx_detect.tell_after_silences()}) =~ s/^\n//r, '1', 'which is told when it is over');
	my (undef, undef, $error) = $node->psql($to, q{DELETE FROM raxx_detect.finding_actions});
	like($error, qr/is a record, which nobody changes/, 'and stays a record');
}

done_testing();
