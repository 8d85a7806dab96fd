# Databases whose encoding holds bytes that are no UTF-8: rows with such bytes keep nobody from finding them, and no channel from being served.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server();

foreach my $encoding ('SQL_ASCII', 'WIN1252')
{
	my $db = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->safe_psql($db, 'SET client_min_messages = error; CREATE EXTENSION raxx_detect CASCADE');
	my $session = new_session($node, $db);
	$session->query(<<"END");
SET client_encoding = '$encoding';
SELECT raxx_detect.create_source_table('waitlist_signups');
INSERT INTO raxx_detect.channels (channel, kind, entities, storm_at) VALUES ('full', 'stdout', 'full', NULL), ('masked', 'stdout', 'masked', NULL), ('hashed', 'stdout', 'hashed', NULL);
UPDATE raxx_detect.routes SET enabled = false WHERE severity = 'high';
INSERT INTO raxx_detect.routes (route, severity, channel, mode) SELECT channel, 'high', channel, 'event' FROM unnest('{full,masked,hashed}'::text[]) channel;
SELECT count(*) FROM raxx_detect.run_all();
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT now() - interval '4 minutes' + i * interval '1 second', format('x%s\@example%s.com', i, i), E'https://\\x81\\xff' || o || '.example' FROM generate_series(1, 40) i, unnest('{a,b}'::text[]) o;
END
	is($session->query(q{SELECT count(*) FROM raxx_detect.run_all() WHERE outcome = 'error'}), '0', "$encoding: found");
	$session->query(q{SET client_encoding = 'UTF8'; CREATE TEMP TABLE taken AS SELECT * FROM raxx_detect.claim_deliveries('w', '{full,masked,hashed}')});
	is($session->query(q{SELECT channel || ' ' || (payload ->> 'entity') FROM taken WHERE channel <> 'hashed' ORDER BY delivery_id}),
		join("\n", 'full https://??a.example', 'masked ht***', 'full https://??b.example', 'masked ht***') , 'and claimed');
	is($session->query(q{SELECT count(DISTINCT payload ->> 'entity') FROM taken WHERE channel = 'hashed'}), '2', 'told apart where they are hashed');
}
done_testing();
