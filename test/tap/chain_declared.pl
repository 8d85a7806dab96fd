# Chains that applications write: what the Python of docs/chains-by-applications.md writes is verified as intact, whatever
# the values and the settings; each kind of break is found and called by its name; and what cannot be declared is refused.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $key = 'a5' x 32;
my $files = abs_path(PostgreSQL::Test::Utils::tempdir());
append_to_file("$files/keys", "chain app1 $key\nchain app2 " . '5a' x 32 . "\nchain k1 " . '17' x 32 . "\ncheckpoint c1 " . '29' x 32 . "\n");
chmod 0600, "$files/keys";
my $node = new_server("raxx_detect.key_file = '$files/keys'");
my $db = new_database($node, 'app');
my $session = new_session($node, $db);
$session->query('SET client_min_messages = warning');

my $page = "$FindBin::RealBin/../../docs/chains-by-applications.md";
my @columns = qw(seq at clock actor action code n small ok amount ratio weight day tod uid addr net mac48 label blob details text_json);
my $names = join ', ', map { "\"$_\"" } @columns;

sub create_table
{
	my ($in, $table, $mac_type) = @_;
	$in->query("CREATE TABLE $table (seq bigint PRIMARY KEY, at timestamptz, clock timestamp, actor text, action varchar(40), code char(5), n bigint, small smallint, ok boolean,
		amount numeric, ratio float8, weight real, day date, tod time, uid uuid, addr inet, net cidr, mac48 macaddr, label label, blob bytea, details jsonb, text_json json,
		prev $mac_type, mac $mac_type)");
	return;
}

sub writer
{
	my ($database, $table, $encoding, $key_of_writer, $digest, $rows, $seed, @rollbacks) = @_;
	return ('/usr/bin/python3', '-B', "$FindBin::RealBin/declared_writer.py", $page, $node->connstr($database), $key_of_writer, $table, $encoding, $digest, $rows, $seed, @rollbacks);
}

sub write_rows
{
	my @arguments = @_;
	my $output = '';
	IPC::Run::run([ writer(@arguments) ], '>&', \$output) or BAIL_OUT("the writer failed: $output");
	return;
}

sub declare
{
	my ($table, %format) = @_;
	my %all = (seq => '"seq"', prev => '"prev"', mac => '"mac"', columns => "[$names]", encoding => '"json"', %format);
	my $json = join ', ', map { "\"$_\": $all{$_}" } grep { defined $all{$_} } sort keys %all;
	$json =~ s/'/''/g;
	return "SELECT raxx_detect.chain_declare('$table', '{$json}')";
}

# kind from-to of each break.
sub verdict
{
	my ($table, $mode) = @_;
	$mode //= 'full';
	return $session->query("SELECT string_agg(format('%s %s-%s', kind, seq_from, seq_to), ', ' ORDER BY seq_from, kind) FROM raxx_detect.verify_chain('$table', '$mode')");
}

# ---- what the page writes ---------------------------------------------------------------------------------------------
$session->query(q{CREATE TYPE label AS ENUM ('new', 'it''s | done')});
my @odd = ("SET TimeZone = 'Asia/Kathmandu'", "SET DateStyle = 'SQL, DMY'", "SET IntervalStyle = sql_standard", 'SET extra_float_digits = -10', "SET bytea_output = 'escape'",
	"SET client_encoding = 'LATIN1'", 'SET search_path = pg_temp', "SET xmlbinary = hex", 'SET enable_indexscan = off', 'SET enable_seqscan = off', 'SET standard_conforming_strings = off');
my $seed = $ENV{SEED} // 1;
foreach my $encoding (qw(json length_prefixed separated))
{
	foreach my $digest (qw(hex base64 bytes))
	{
		foreach my $algorithm (qw(hmac-sha256 sha256))
		{
			my $table = "public.${encoding}_${digest}_" . substr($algorithm, 0, 4);
			my %format = (encoding => "\"$encoding\"", digest => "\"$digest\"", algorithm => "\"$algorithm\"", key => $algorithm eq 'sha256' ? undef : '"app1"');
			@format{ 'escape', 'null' } = ('"\\\\"', '"\\\\N"') if $encoding eq 'separated';
			create_table($session, $table, $digest eq 'bytes' ? 'bytea' : 'text');
			write_rows($db, $table, $encoding, $algorithm eq 'sha256' ? 'none' : $key, $digest, 200, $seed++);
			$session->query(declare($table, %format));
			is(verdict($table), 'intact 0-200', "$encoding, $algorithm, $digest");
			$session->query("SELECT raxx_detect.chain_detach('$table', 'again')");
			$session->query(declare($table, %format, prev => undef, gaps => 'true'));
			is(verdict($table), 'intact 0-200', 'and if the rows did not say what they follow');
			$session->query('BEGIN;' . join ';', @odd);
			is(verdict($table), 'intact 0-200', 'under odd settings') if $algorithm eq 'sha256';
			$session->query('ROLLBACK');
		}
	}
}

# A length is one of bytes.
$session->query(q{CREATE TABLE canonical AS SELECT n AS seq, repeat('é|', n) AS what, ARRAY[n, NULL] AS list, interval '1 day' * n AS lasting, ''::text AS prev, ''::text AS mac FROM generate_series(1, 100) n});
$session->query(q{DO $$ DECLARE r record; last text := 'begin'; BEGIN FOR r IN SELECT * FROM canonical ORDER BY seq LOOP
	UPDATE canonical c SET prev = last, mac = encode(sha256(raxx_detect.canonical_row(last, r.seq, r.what, r.list, r.lasting)), 'hex') WHERE c.seq = r.seq RETURNING mac INTO last; END LOOP; END $$});
$session->query(declare('canonical', columns => '["seq", "what", "list", "lasting"]', encoding => '"canonical"', algorithm => '"sha256"', genesis => '"begin"'));
is(verdict('canonical'), 'intact 0-100', 'canonical forms, and a genesis');
$session->query(q{CREATE TABLE times AS SELECT n AS seq, CASE n WHEN 1 THEN timestamptz '294276-12-31 23:59:59.999999Z' WHEN 2 THEN '4714-11-24 00:00:00Z BC' WHEN 3 THEN 'infinity' WHEN 4 THEN '0001-12-31 23:00Z BC' END AS at, ''::text AS mac FROM generate_series(1, 5) n});
$session->query(q{UPDATE times SET mac = encode(sha256(convert_to((ARRAY['9224318015999999999', '-210866803200000000', 'infinity', '-62135600400000000', '-'])[seq], 'UTF8')), 'hex')});
$session->query(declare('times', columns => '["at"]', encoding => '"separated"', algorithm => '"sha256"', prev => undef, prev_position => '"none"', timestamps => '"unix_microseconds"', null => '"-"'));
is(verdict('times'), 'intact 0-5', 'the ends of time');
$session->query(q{SELECT raxx_detect.chain_detach('times', 'again')});
$session->query(q{UPDATE times SET mac = encode(sha256(convert_to((ARRAY['294276-12-31T23:59:59.999999+00:00', '-4713-11-24T00:00:00.000000+00:00', 'infinity', '0000-12-31T23:00:00.000000+00:00', '-'])[seq], 'UTF8')), 'hex')});
$session->query(declare('times', columns => '["at"]', encoding => '"separated"', algorithm => '"sha256"', prev => undef, prev_position => '"none"', timestamps => '"iso_microseconds"', null => '"-"'));
is(verdict('times'), 'intact 0-5', 'in years that Python does not know');

$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
my $latin = new_session($node, 'latin');
$latin->query("SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE; CREATE TABLE t (seq int, was text, details jsonb, mac text); SET client_encoding = 'UTF8'");
$latin->query(q{INSERT INTO t VALUES (1, 'é|ü', '{"ÿ": 1, "ab": "é"}', encode(sha256(convert_to('{"details":{"ab":"é","ÿ":1},"prev":"","was":"é|ü"}', 'UTF8')), 'hex'))});
$latin->query(q{SELECT raxx_detect.chain_declare('t', '{"seq": "seq", "mac": "mac", "columns": ["was", "details"], "encoding": "json", "algorithm": "sha256"}')});
is($latin->query(q{SELECT kind FROM raxx_detect.verify_chain('t', 'full')}), 'intact', 'a database of another encoding');
$latin->quit;

# ---- each kind of break -----------------------------------------------------------------------------------------------
sub tampered
{
	my ($table, $what, $sql, $expected, $mode) = @_;
	$session->query("BEGIN; $sql");
	is(verdict($table, $mode), $expected, $what);
	$session->query('ROLLBACK');
	return;
}

create_table($session, 'dense', 'text');
write_rows($db, 'dense', 'json', $key, 'hex', 120, 77);
$session->query(declare('dense', key => '"app1"'));
create_table($session, 'sparse', 'text');
$session->query('INSERT INTO sparse SELECT * FROM dense');
$session->query(declare('sparse', key => '"app1"', gaps => 'true'));
create_table($session, 'plain', 'text');
$session->query('INSERT INTO plain SELECT * FROM dense');
$session->query(declare('plain', key => '"app1"', prev => undef));
is(verdict($_), 'intact 0-120', "$_ is intact") foreach qw(dense sparse plain);

foreach my $table (qw(dense sparse plain))
{
	tampered($table, "$table: a value is changed", "UPDATE $table SET actor = 'x' || coalesce(actor, '') WHERE seq = 60", 'content modified 60-60');
	tampered($table, 'the first one', "UPDATE $table SET ok = CASE WHEN ok THEN NULL ELSE true END WHERE seq = 1", 'content modified 1-1');
	tampered($table, 'the last one', "UPDATE $table SET details = details || '{\"x\": 1}' WHERE seq = 120", 'content modified 120-120');
	tampered($table, 'a time by a microsecond', "UPDATE $table SET clock = coalesce(clock, 'epoch') + interval '1 microsecond' WHERE seq = 50", 'content modified 50-50');
	tampered($table, 'a few rows', "UPDATE $table SET n = coalesce(n, 0) / 2 + 1 WHERE seq IN (20, 21, 22, 90)", 'content modified 20-22, content modified 90-90');
	tampered($table, 'a MAC is taken away', "UPDATE $table SET mac = NULL WHERE seq = 60", 'unsealed 60-60');
	tampered($table, 'a MAC of another length', "UPDATE $table SET mac = left(mac, 63) WHERE seq = 120", 'content modified 120-120');
	tampered($table, 'a MAC in capitals', "UPDATE $table SET mac = upper(mac) WHERE seq = 120", 'content modified 120-120');
	tampered($table, 'a column is gone', "ALTER TABLE $table DROP COLUMN details", 'schema tampered 0-');
	tampered($table, 'a column is of another type', "ALTER TABLE $table ALTER n TYPE text", 'schema tampered 0-');
	tampered($table, 'a column may grow', "ALTER TABLE $table ALTER small TYPE bigint, ALTER action TYPE text, ADD COLUMN more text DEFAULT 'x'", 'intact 0-120');
	tampered($table, 'the column of MACs is gone', "ALTER TABLE $table DROP COLUMN mac", 'chain missing 0-');
	tampered($table, 'the declaration is changed', "UPDATE raxx_detect.chains SET declared = declared || '{\"encoding\": \"separated\"}' WHERE relation = '$table'::regclass", 'schema tampered 0-');
	tampered($table, 'and its record', "UPDATE raxx_detect.chain_records SET payload = replace(payload, '\"gaps\"', '\"gap\"') WHERE chain_id = (SELECT chain_id FROM raxx_detect.chains WHERE relation = '$table'::regclass)", 'genesis replaced 0-0');
}
tampered('dense', 'rows are deleted', 'DELETE FROM dense WHERE seq IN (60, 61, 80)', 'seq gap 60-61, seq gap 80-80');
tampered('sparse', 'rows are deleted, where numbers may be missing', 'DELETE FROM sparse WHERE seq IN (60, 61, 80)', 'seq gap 60-61, seq gap 80-80');
tampered('plain', 'rows are deleted that nobody follows by name', 'DELETE FROM plain WHERE seq IN (60, 61, 80)', 'seq gap 60-61, seq gap 80-80');
tampered('dense', 'the first rows are deleted', 'DELETE FROM dense WHERE seq < 3', 'genesis replaced 3-3');
tampered('sparse', 'also there', 'DELETE FROM sparse WHERE seq < 3', 'genesis replaced 3-3');
tampered('dense', 'a row is copied', 'CREATE TEMPORARY TABLE c AS SELECT * FROM dense WHERE seq = 60; ALTER TABLE dense DROP CONSTRAINT dense_pkey; INSERT INTO dense SELECT * FROM c', 'duplicate 60-60');
tampered('plain', 'there, too', 'CREATE TEMPORARY TABLE c AS SELECT * FROM plain WHERE seq = 60; ALTER TABLE plain DROP CONSTRAINT plain_pkey; INSERT INTO plain SELECT * FROM c', 'duplicate 60-60');
tampered('dense', 'two rows change places', 'UPDATE dense SET seq = -1 WHERE seq = 60; UPDATE dense SET seq = 60 WHERE seq = 70; UPDATE dense SET seq = 70 WHERE seq = -1', 'content modified 60-60, content modified 70-70');
tampered('dense', 'a row has no number', 'ALTER TABLE dense DROP CONSTRAINT dense_pkey; ALTER TABLE dense ALTER seq DROP NOT NULL; UPDATE dense SET seq = NULL WHERE seq = 60', 'seq gap 60-60, unsealed 121-');

# By somebody who has the key: what a row says is right, and only its place is not.
create_table($session, 'fork', 'text');
$session->query('INSERT INTO fork SELECT * FROM dense WHERE seq <= 60');
write_rows($db, 'fork', 'json', $key, 'hex', 5, 5);
$session->query('CREATE TABLE branch AS SELECT * FROM fork WHERE seq > 60; DELETE FROM fork WHERE seq > 60; INSERT INTO fork SELECT * FROM dense WHERE seq > 60');
$session->query(declare('fork', key => '"app1"', gaps => 'true'));
is(verdict('fork'), 'intact 0-120', 'a chain');
tampered('fork', 'a row that holds in the place of another', 'DELETE FROM fork WHERE seq = 61; INSERT INTO fork SELECT * FROM branch WHERE seq = 61', 'link broken 62-62');
tampered('fork', 'a row that holds beside another', 'ALTER TABLE fork DROP CONSTRAINT fork_pkey; INSERT INTO fork SELECT * FROM branch WHERE seq = 61', 'fork 61-61');
# Numbers are not covered there, so that rows can be put elsewhere.
create_table($session, 'loose', 'text');
$session->query(q{INSERT INTO loose (seq, actor) SELECT 2 * n, 'actor ' || n FROM generate_series(1, 100) n});
$session->query(q{DO $$ DECLARE r record; last text := ''; BEGIN FOR r IN SELECT * FROM loose ORDER BY seq LOOP
	UPDATE loose c SET prev = last, mac = encode(sha256(convert_to(last || '/' || r.actor, 'UTF8')), 'hex') WHERE c.seq = r.seq RETURNING mac INTO last; END LOOP; END $$});
my %loose = (columns => '["actor"]', encoding => '"separated"', separator => '"/"', algorithm => '"sha256"', gaps => 'true');
$session->query(declare('loose', %loose));
is(verdict('loose'), 'intact 0-200', 'numbers with holes, which the MAC does not cover');
tampered('loose', 'a row is put elsewhere', 'UPDATE loose SET seq = 101 WHERE seq = 60', 'seq gap 59-61, fork 101-101');
tampered('loose', 'a copy is put elsewhere', 'INSERT INTO loose SELECT 101, at, clock, actor, action, code, n, small, ok, amount, ratio, weight, day, tod, uid, addr, net, mac48, label, blob, details, text_json, prev, mac FROM loose WHERE seq = 60',
	'fork 101-101');
tampered('loose', 'a number that was free', 'UPDATE loose SET seq = 61 WHERE seq = 60', 'intact 0-200');

create_table($session, 'keys', 'text');
write_rows($db, 'keys', 'json', '5a' x 32, 'hex', 10, 9);
$session->query(declare('keys', key => '"app1"'));
is(verdict('keys'), 'key epoch 1-10', 'another key than the one declared');

# ---- new rows, the head, checkpoints, rule 7 ------------------------------------------------------------------------------
my ($rule, $source) = split /\|/, $session->query(q{SELECT rule_id, sources[1] FROM raxx_detect.rules WHERE method = 'chain'});
create_table($session, 'live', 'text');
$session->query('ALTER TABLE live ADD COLUMN event_time timestamptz DEFAULT now()');
write_rows($db, 'live', 'json', $key, 'hex', 30, 11);
$session->query(qq{SELECT raxx_detect.bind_source('$source', 'live', '{"event_time": "event_time", "operator": "actor"}')});
$session->query(declare('live', key => '"app1"', gaps => 'true'));

sub run { return $session->query("SELECT outcome FROM raxx_detect.run_rule('$rule', now())"); }
sub findings { return $session->query("SELECT string_agg(format('%s %s-%s', evidence ->> 'kind', evidence ->> 'seq_from', evidence ->> 'seq_to'), ', ' ORDER BY finding_id) FROM raxx_detect.detection_findings WHERE rule_id = '$rule'"); }
sub head { return $session->query("SELECT seq || ' ' || verified_seq FROM raxx_detect.chain_heads JOIN raxx_detect.chains USING (chain_id) WHERE relation = 'live'::regclass"); }

is(run(), 'ok', 'a run of rule 7');
is(findings(), '', 'finds nothing');

# Each run sees the chain at another moment.
create_table($session, 'busy', 'text');
$session->query('ALTER TABLE busy ADD COLUMN event_time timestamptz DEFAULT now()');
$session->query(qq{SELECT raxx_detect.bind_source('$source', 'busy', '{"event_time": "event_time", "operator": "actor"}')});
$session->query(declare('busy', key => '"app1"'));
write_rows($db, 'busy', 'json', $key, 'hex', 1, 99);  # a source without a row has no data
my @output = ('') x 4;
my @writers = map { IPC::Run::start([ writer($db, 'busy', 'json', $key, 'hex', 150, 100 + $_, 'rollbacks') ], '>&', \$output[$_]) } 0 .. 3;
my ($runs, %outcomes) = (0);
while (grep { $_->pumpable } @writers)
{
	$outcomes{ run() }++;
	$runs++;
	$_->pump_nb foreach grep { $_->pumpable } @writers;
}
ok($_->finish, 'a writer among others') foreach @writers;
is("@output", '   ', 'without an error');
run();
is(join(' ', sort keys %outcomes), 'ok', "$runs runs meanwhile");
is(findings(), '', 'find nothing');
is(verdict('busy'), 'intact 0-' . $session->query('SELECT count(*) FROM busy'), 'all is intact');
$session->query("SELECT raxx_detect.chain_detach('busy', 'done')");
$session->query(qq{SELECT raxx_detect.bind_source('$source', 'live', '{"event_time": "event_time", "operator": "actor"}')});
run();
is(head(), '30 30', 'and has seen the last row');
is($session->query(q{SELECT count(*), max(c.seq) FROM raxx_detect.chain_checkpoints c JOIN raxx_detect.chains k USING (chain_id) WHERE k.relation = 'live'::regclass}), '1|30', 'of which it makes a checkpoint');
write_rows($db, 'live', 'json', $key, 'hex', 10, 12);
is(verdict('live', 'incremental'), 'intact 30-40', 'what is new is verified');
run();
is(head(), '40 40', 'and by a run');
tampered('live', 'the tail is cut off', 'DELETE FROM live WHERE seq > 35', 'tail truncated 36-40', $_) foreach qw(full incremental);
tampered('live', 'the whole table is', 'DELETE FROM live', 'tail truncated 0-40');
$session->query('DELETE FROM live WHERE seq > 35');
run();
is(findings(), 'tail truncated 36-40', 'a run finds that the tail is cut off');
write_rows($db, 'live', 'json', $key, 'hex', 3, 13);
run();
is(findings(), 'tail truncated 36-40', 'which is no news when rows are written after it');
write_rows($db, 'live', 'json', $key, 'hex', 3, 14);
run();
is(findings(), 'tail truncated 36-40, suffix rewritten 40-40', 'until there is another one in the place of the last');
is(head(), '41 41', 'and the chain goes on');
write_rows($db, 'live', 'json', $key, 'hex', 3, 15);
$session->query(q{UPDATE live SET ok = NOT coalesce(ok, true) WHERE seq IN (42, 10)});
run();
like(findings(), qr/, content modified 42-42$/, 'what is modified among the new rows is found at once');
$session->query(q{UPDATE raxx_detect.chain_heads SET sliced_at = '-infinity', pass_seq = 0});
run();
like(findings(), qr/, content modified 10-10$/, 'and the rest by the pass over the whole chain');
run();
is($session->query("SELECT count(*) FROM raxx_detect.detection_findings WHERE rule_id = '$rule'"), 4, 'each once');
is($session->query("SELECT DISTINCT verdict FROM raxx_detect.detection_findings WHERE rule_id = '$rule'"), 'adversarial', 'all of them adversarial');
is($session->query("SELECT raxx_detect.chain_verdict(b, tstzrange((SELECT min(event_time) FROM live), NULL)) FROM raxx_detect.source_bindings b WHERE relation = 'live'::regclass"), 'adversarial', 'and so is a gap there');
write_rows($db, 'live', 'json', $key, 'hex', 2, 16);
is($session->query("SELECT raxx_detect.chain_verdict(b, tstzrange((SELECT event_time FROM live WHERE seq = 45), NULL)) FROM raxx_detect.source_bindings b WHERE relation = 'live'::regclass"), 'benign', 'but not one where the chain is intact');

# ---- other relations -----------------------------------------------------------------------------------------------------
$session->query(q{CREATE VIEW seen AS SELECT * FROM dense});
$session->query(declare('seen', key => '"app1"'));
is(verdict('seen'), 'intact 0-120', 'a view');
$session->query(q{SELECT raxx_detect.chain_detach('seen', 'the test is over')});
is(verdict('seen'), 'intact 0-120', 'which is still verified after its end');
$session->query(q{CREATE TABLE parts (LIKE dense) PARTITION BY HASH (seq); CREATE TABLE part0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE part1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO parts SELECT * FROM dense});
$session->query(declare('parts', key => '"app1"'));
is(verdict('parts'), 'intact 0-120', 'a partitioned table');
$session->query(q{CREATE TABLE later AS SELECT * FROM dense});
$session->query(declare('later', key => '"app1"', first => 61, genesis => '"' . $session->query('SELECT mac FROM dense WHERE seq = 60') . '"'));
is(verdict('later'), 'intact 0-120', 'a chain that goes on from another one');
tampered('later', 'whose first row is gone', 'DELETE FROM later WHERE seq = 61', 'genesis replaced 61-61');
tampered('later', 'and not what was before', 'DELETE FROM later WHERE seq < 61', 'intact 0-120');

# ---- what is refused -------------------------------------------------------------------------------------------------------
sub refused
{
	my ($like, $sql) = @_;
	my ($state, $rows, $messages) = $session->attempt($sql);
	like("$state $messages", $like, 'refused: ' . substr $sql, 34, 60);
	return;
}
$session->query('CREATE TABLE t (seq bigint, at timestamptz, actor text, span interval, words text[], period int4range, prev text, mac text, raw bytea)');
my %good = (columns => '["seq", "actor"]', key => '"app1"');
refused(qr/^22023 .*has no 'seperator'.*nearest are separator/s, declare('t', %good, seperator => '"|"'));
refused(qr/^22023 .*has to say 'encoding'/s, declare('t', %good, encoding => undef));
refused(qr/^22023 .*'encoding'.* cannot be 'jsn'.*nearest are json/s, declare('t', %good, encoding => '"jsn"'));
refused(qr/^22023 .*'gaps'.* is not of type boolean/s, declare('t', %good, gaps => '"no"'));
refused(qr/^42703 .*has no column actr.*nearest are actor/s, declare('t', %good, columns => '["actr"]'));
refused(qr/^42703 .*has no column xmin/s, declare('t', %good, columns => '["xmin"]'));
refused(qr/^42804 .*column actor cannot number/s, declare('t', %good, seq => '"actor"'));
refused(qr/^42804 .*column raw cannot hold the mac/s, declare('t', %good, mac => '"raw"'));
refused(qr/^42804 .*column mac cannot hold the mac.*With digest bytes it is of type bytea/s, declare('t', %good, digest => '"bytes"'));
refused(qr/^0A000 .*DETAIL:  They are span \(interval\), words \(text\[\]\)\./s, declare('t', %good, columns => '["span", "words"]'));
refused(qr/^0A000 .*They are period/s, declare('t', %good, columns => '["period"]', encoding => '"canonical"'));
refused(qr/^42704 .*no key 'nobody'/s, declare('t', %good, key => '"nobody"'));
refused(qr/^42704 .*no key 'c1'/s, declare('t', %good, key => '"c1"'));
refused(qr/^22023 .*key and algorithm/s, declare('t', %good, key => undef));
refused(qr/^22023 .*key and algorithm/s, declare('t', %good, algorithm => '"sha256"'));
refused(qr/^22023 .*column mac cannot be among/s, declare('t', %good, columns => '["mac"]'));
refused(qr/^22023 .*column prev cannot be among/s, declare('t', %good, columns => '["prev"]'));
refused(qr/^22023 .*column seq cannot be among/s, declare('t', %good, columns => '["seq", "seq"]'));
refused(qr/^22023 .*are not names/s, declare('t', %good, columns => '[]'));
refused(qr/^22023 .*are not names/s, declare('t', %good, columns => '[1]'));
refused(qr/^22023 .*separator .* is empty/s, declare('t', %good, encoding => '"separated"', separator => '""'));
refused(qr/^22023 .*escape and separator/s, declare('t', %good, encoding => '"separated"', escape => '"|"'));
refused(qr/^22023 .*escape and separator/s, declare('t', %good, encoding => '"separated"', escape => '"xx"'));
refused(qr/^22023 .*genesis .* not hexadecimal/s, declare('t', %good, mac => '"raw"', prev => undef, digest => '"bytes"', genesis => '"begin"'));
refused(qr/^22023 .*first row/s, declare('t', %good, first => '1.5'));
refused(qr/^22023 .*not a JSON object/s, q{SELECT raxx_detect.chain_declare('t', '[]')});
refused(qr/^22023 .*not a JSON object/s, q{SELECT raxx_detect.chain_declare('t', NULL)});
refused(qr/^22023 .*relation must not be NULL/s, q{SELECT raxx_detect.chain_declare(NULL, '{}')});
refused(qr/^42710 .*has a hash chain already/s, declare('dense', key => '"app1"'));
refused(qr/^55000 .*is written by the application/s, "SELECT raxx_detect.$_") foreach "chain_seal('dense')", "chain_rotate_key('dense')", "chain_revoke_key('dense', 'app1', 'x')";
refused(qr/^42710 .*has a hash chain already/s, q{SELECT raxx_detect.chain_attach('dense')});
$session->query('SET client_min_messages = notice');
my ($state, $rows, $notices) = $session->attempt(declare('t', columns => '["actor"]', encoding => '"separated"', algorithm => '"sha256"', prev_position => '"none"'));
like($notices, qr/$_/, "a notice: $_") foreach 'a checksum', 'makes two rows alike', 'NULL and the text', 'no MAC covers the one before', 'no index begins with seq';

$session->quit;
done_testing();
