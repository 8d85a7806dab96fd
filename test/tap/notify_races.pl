# The outbox with many at it at once: a digest that is made while findings come, and five who claim, fail, lose leases and mark while others
# find, withdraw, triage and make digests. Nothing is told twice without saying so, and nothing is lost.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server();
my $find = q{INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode, observed, threshold, unit, fired_by, sample_size,
	summary, evidence, condition, occurrences, escalation_owner)
	SELECT 'signup_waitlist_velocity_per_origin', 'D', 'signup', 'waitlist_signups', %s, e, tstzrange(now() - interval '5 minutes', NULL), 60, 20, 'sign-ups', 'threshold', 60,
		e || ': 60 sign-ups', '{}', 'firing', 1, 'o' FROM %s s(e)};

# ---- a finding that comes while a digest is being made ---------------------------------------------------------------------------------

my $db = new_database($node, 'digest');
my ($lock, $digest) = map { new_session($node, $db) } 1 .. 2;
$node->safe_psql($db, sprintf($find, q('medium'), q(unnest('{before}'::text[]))));
$lock->query('BEGIN; LOCK TABLE raxx_detect.chain_checkpoints');    # which the digest reads when it says what it tells
$digest->send('SELECT count(*) FROM raxx_detect.make_digest(again => true)');
wait_until('the digest waits', sub { $node->safe_psql($db, 'SELECT count(*) FROM pg_locks WHERE NOT granted') > 0 });
$node->safe_psql($db, sprintf($find, q('medium'), q(unnest('{meanwhile}'::text[]))));
$lock->query('COMMIT');
is(($digest->receive)[2], '', 'a digest is made');
is($node->safe_psql($db, q(SELECT string_agg(f ->> 'entity', ' ') FROM raxx_detect.deliveries d, jsonb_array_elements(d.payload -> 'findings') f WHERE d.event = 'digest')),
	'before', 'of what there was');
is($node->safe_psql($db, q(SELECT string_agg(payload ->> 'entity' || ' ' || state, ', ' ORDER BY delivery_id) FROM raxx_detect.deliveries WHERE event = 'fired')),
	'before bundled, meanwhile held', 'and what has come meanwhile waits for the next');

# ---- many at once ---------------------------------------------------------------------------------------------------------------------

$db = new_database($node, 'many');
$node->safe_psql($db, <<'END');
UPDATE raxx_detect.channels SET min_interval = '0';
UPDATE raxx_detect.notification_settings SET storm_every = '200 milliseconds';
INSERT INTO raxx_detect.channels (channel, kind, address, storm_at) VALUES ('siem', 'webhook', 'siem', NULL), ('stormy', 'webhook', 'siem', 4);
INSERT INTO raxx_detect.routes (route, channel, mode) VALUES ('all', 'siem', 'event'), ('all, too', 'stormy', 'event');
-- Each message that was sent, which is what the counterpart would have got: kept outside of the outbox.
CREATE TABLE sent (delivery_id bigint, lease uuid, possible_repeat boolean, marked boolean);
CREATE FUNCTION work() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c raxx_detect.claimed_delivery;
	luck float8;
BEGIN
	FOR c IN SELECT * FROM taken LOOP
		luck := random();
		IF luck < 0.7 THEN
			INSERT INTO sent VALUES (c.delivery_id, c.lease, c.possible_repeat, raxx_detect.mark_delivered(c.delivery_id, c.lease));
		ELSIF luck < 0.8 THEN
			PERFORM raxx_detect.mark_failed(c.delivery_id, c.lease, 'refused', permanent => true);
		ELSIF luck < 0.9 THEN
			PERFORM raxx_detect.mark_failed(c.delivery_id, c.lease, 'not now');
		ELSIF luck < 0.95 THEN  -- it was sent, and nobody knows
			INSERT INTO sent VALUES (c.delivery_id, c.lease, c.possible_repeat, false);
			PERFORM raxx_detect.mark_failed(c.delivery_id, c.lease, 'timed out', maybe_sent => true);
		ELSE                    -- it is sent, and then its worker dies
			INSERT INTO sent VALUES (c.delivery_id, c.lease, c.possible_repeat, false);
		END IF;
	END LOOP;
END $$;
-- What time would do: leases run out, pauses are over.
CREATE FUNCTION pass_time() RETURNS void LANGUAGE sql AS $$
	UPDATE raxx_detect.deliveries d SET lease_until = '-infinity' WHERE d.delivery_id IN
		(SELECT l.delivery_id FROM raxx_detect.deliveries l WHERE l.state = 'sending' AND random() < 0.3 FOR UPDATE SKIP LOCKED);
	UPDATE raxx_detect.deliveries d SET next_attempt_at = '-infinity' WHERE d.delivery_id IN
		(SELECT l.delivery_id FROM raxx_detect.deliveries l WHERE l.state = 'pending' FOR UPDATE SKIP LOCKED);
	UPDATE raxx_detect.channel_states s SET open_until = NULL, failures = 0 WHERE s.channel IN (SELECT l.channel FROM raxx_detect.channel_states l FOR UPDATE SKIP LOCKED)
$$;
END
my $channels = q{ARRAY(SELECT channel FROM raxx_detect.channels)};
my @kinds = (
	(map { [ q{CREATE TEMP TABLE IF NOT EXISTS taken OF raxx_detect.claimed_delivery; TRUNCATE taken},
		"INSERT INTO taken SELECT * FROM raxx_detect.claim_deliveries('w$_', $channels, '2 minutes', 5)", 'SELECT work()' ] } 1 .. 5),
	(map { [ sprintf($find, '(enum_range(NULL::raxx_detect.severity))[1 + (random() * 3)::int]', "(SELECT gen_random_uuid()::text FROM generate_series(1, 6))") ] } 1 .. 2),
	[ q{UPDATE raxx_detect.detection_findings SET severity = 'critical', updated_at = now() WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings ORDER BY random() LIMIT 3)},
	  q{UPDATE raxx_detect.detection_findings SET condition = 'cleared', updated_at = now() WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings ORDER BY random() LIMIT 3)},
	  q{DELETE FROM raxx_detect.detection_findings WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings ORDER BY random() LIMIT 2)} ],
	[ q{UPDATE raxx_detect.detection_findings SET triage = 'closed' WHERE finding_id IN (SELECT finding_id FROM raxx_detect.detection_findings ORDER BY random() LIMIT 2)} ],
	[ q{SELECT count(*) FROM raxx_detect.make_digest(again => true)} ],
	[ q{SELECT pass_time()} ]);
my @sessions = map { [ new_session($node, $db), @$_ ] } @kinds;
my %errors;
foreach my $round (1 .. 40)
{
	foreach my $s (@sessions)
	{
		my ($session, @statements) = @$s;
		$session->send($_) foreach @statements;
	}
	foreach my $s (@sessions)
	{
		my ($session, @statements) = @$s;
		foreach (@statements)
		{
			my ($state, undef, $messages) = $session->receive;
			$errors{$state}++ if $state ne '00000';
			diag($messages) if $state !~ /^(00000|40P01)$/;
		}
	}
}
note(map { "$_: $errors{$_}\n" } sort keys %errors);
is_deeply([ grep { $_ ne '40P01' } keys %errors ], [], 'nobody got an error, unless that he was in the way of another');

my $one = $sessions[0];
my ($session, @statements) = @$one;
foreach my $round (1 .. 2000)
{
	$node->safe_psql($db, "UPDATE raxx_detect.deliveries SET lease_until = '-infinity' WHERE state = 'sending'; UPDATE raxx_detect.channel_states SET storm_until = '-infinity' WHERE storm_until IS NOT NULL; SELECT pass_time()");
	$session->query("$statements[0]; $statements[1]");
	$session->query('INSERT INTO sent SELECT delivery_id, lease, possible_repeat, raxx_detect.mark_delivered(delivery_id, lease) FROM taken');
	last if $session->query(q{SELECT count(*) FROM raxx_detect.deliveries WHERE state IN ('pending', 'sending')}) == 0;
}
$session->query('SELECT count(*) FROM raxx_detect.make_digest(again => true)');
$session->query("$statements[0]; $statements[1]");
$session->query('INSERT INTO sent SELECT delivery_id, lease, possible_repeat, raxx_detect.mark_delivered(delivery_id, lease) FROM taken');
is($session->query(q{SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM raxx_detect.deliveries}), 'cancelled dead delivered', 'everything ends');
is($session->query(q{SELECT count(*) FROM (SELECT FROM sent GROUP BY delivery_id HAVING count(*) FILTER (WHERE NOT possible_repeat) > 1) x}), '0', 'nothing is sent twice without saying so');
is($session->query(q{SELECT count(*) FROM sent GROUP BY delivery_id HAVING count(*) FILTER (WHERE marked) > 1}), '', 'nor marked twice');
is($session->query(q{SELECT count(*) FROM raxx_detect.deliveries d WHERE d.state = 'delivered' AND NOT EXISTS (SELECT FROM sent s WHERE s.delivery_id IN (d.delivery_id, d.bundle) AND s.marked)}), '0',
	'what is delivered was sent, or told with another');
is($session->query(q{SELECT count(*) FROM raxx_detect.deliveries d WHERE d.state = 'dead' AND d.announced_by IS NULL}), '0', 'what is dead is announced');
is($session->query(q{SELECT count(*) FROM raxx_detect.detection_findings f WHERE NOT EXISTS (SELECT FROM raxx_detect.deliveries d WHERE d.finding_id = f.finding_id AND d.channel = 'siem' AND d.state IN ('delivered', 'dead'))}), '0',
	'and of each finding somebody has heard');
is($session->query(q{SELECT count(*) FROM raxx_detect.deliveries d JOIN raxx_detect.deliveries b ON b.delivery_id = d.bundle AND b.event = 'digest'
	WHERE d.bundle IS NOT NULL GROUP BY b.delivery_id, b.payload HAVING count(*) <> (b.payload ->> 'findings_total')::int}), '', 'a digest counts what it tells');
my ($sent, $repeats) = split /\|/, $session->query(q{SELECT count(*), count(*) FILTER (WHERE possible_repeat) FROM sent});
cmp_ok($sent, '>', 100, "many were sent");
cmp_ok($repeats, '>', 0, 'some twice, perhaps, and said so');

done_testing();
