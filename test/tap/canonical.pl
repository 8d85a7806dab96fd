# The canonical form of values in databases that are not UTF8: the golden values come out the same, and no byte that the
# server stores makes it fail.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Server;
use Test::More;

my $node = new_server();

# A database of this encoding, with the extension and the types of the golden values.
sub database_in
{
	my ($encoding) = @_;
	my $db = 'in_' . lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($db, <<'END');
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION raxx_detect CASCADE;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('ok', 'sehr glücklich');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN positives AS positive[];
CREATE TABLE golden (kind text, type text, value text, hex text);
CREATE FUNCTION form_of(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE form bytea;
BEGIN
    EXECUTE format('SELECT raxx_detect.canonical_row(%L::%s)', value, type) INTO form;
    RETURN encode(form, 'hex');
END $$;
END
	return $db;
}

# What each database makes of the golden values that its encoding can hold.
my $utf8 = database_in('UTF8');
$node->safe_psql($utf8, "COPY golden FROM '$FindBin::RealBin/../golden/chain_values.csv' WITH (FORMAT csv, HEADER, FORCE_NOT_NULL (value))");
sub judge_golden
{
	my ($db, $unfit) = @_;
	my $rows = $node->safe_psql($utf8,
		qq{SELECT format('INSERT INTO golden VALUES (%L, %L, %L, %L);', kind, type, value, hex) FROM golden WHERE value !~ '$unfit'});
	$node->safe_psql($db, "SET client_encoding = 'UTF8'; $rows") unless $db eq $utf8;
	return $node->safe_psql($db, q{SELECT count(*) > 150, count(*) FILTER (WHERE form_of(type, value) IS DISTINCT FROM hex) FROM golden});
}

is(judge_golden($utf8, 'nothing'), 't|0', 'UTF8');
my $latin1 = database_in('LATIN1');
is(judge_golden($latin1, '[^\u0001-\u00ff]'), 't|0', 'LATIN1');
my $euc_jp = database_in('EUC_JP');
is(judge_golden($euc_jp, '[^\u0001-\u007f世界]'), 't|0', 'EUC_JP');

# ---- both say the same ---------------------------------------------------------------------------------------------

sub same
{
	my ($what, $db, $query) = @_;
	my ($expected, $found) = map { $node->safe_psql($_, "SET client_encoding = 'UTF8'; SELECT md5(raxx_detect.canonical_row($query))") } $utf8, $db;
	is($found, $expected, $what);
	return;
}

same('the keys of a jsonb are in the order of UTF-8', $latin1,
	q{(SELECT jsonb_object_agg(repeat(chr(33 + n % 200), n % 5) || n % 37, ARRAY[n, n]) FROM generate_series(1, 2000) n)});
same('a long text', $latin1, q{repeat('é', 300000)});
same('a long text whose characters lie across the pieces it is converted in', $euc_jp, q{'a' || repeat('世', 200000)});
same('character without its blanks', $latin1, q{'é  '::char(10), ARRAY['é'::char(3)]});
same('nothing', $latin1, q{''::text, '""'::json, '{"": ""}'::jsonb});

# ---- bytes that mean nothing ----------------------------------------------------------------------------------------

sub form
{
	my ($db, $value) = @_;
	return $node->safe_psql($db, "SELECT encode(raxx_detect.canonical_row($value), 'hex')");
}

my $win1252 = database_in('WIN1252');
is(form($win1252, 'chr(233)'), '00000002c3a9', 'WIN1252: what has a UTF-8 form');
is(form($win1252, 'chr(233) || chr(129)'), '00000003ffe981', 'WIN1252: what has none is its bytes after FF');
is(form($win1252, 'jsonb_build_object(chr(129), chr(233))'), '000000127b0000000100000002ff817300000002c3a9', 'WIN1252: in a jsonb, too');
is(form($win1252, q{repeat('x', 70000) || chr(129)}),
	'00011172ff' . '78' x 70000 . '81', 'WIN1252: also behind what could be converted');
# From this encoding there is no conversion, so that nobody's client can see its text in UTF-8.
my $mule = 'in_mule_internal';
$node->safe_psql('postgres', "CREATE DATABASE $mule ENCODING 'MULE_INTERNAL' LOCALE 'C' TEMPLATE template0");
$node->safe_psql($mule, 'SET client_min_messages = warning; CREATE EXTENSION raxx_detect CASCADE');
is(form($mule, q{convert_from('\x6181e9', 'MULE_INTERNAL'), 'ascii'::text}), '00000004ff6181e9' . '000000056173636969', 'MULE_INTERNAL');
my $ascii = database_in('SQL_ASCII');
is(form($ascii, q{chr(255) || chr(195)}), '00000002ffc3', 'SQL_ASCII: the bytes as they are');

done_testing();
