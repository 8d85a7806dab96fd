# tools/update-script on small scripts: what it does by itself, and that it fails on what it cannot know.
use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my $tool = "$FindBin::RealBin/../../tools/update-script";
my $dir = PostgreSQL::Test::Utils::tempdir();

my $catalog = join '', map { "CREATE TABLE raxx_detect.$_ (id int PRIMARY KEY);\n" } qw(rules methods source_kinds method_parameters source_roles free_mail_domains fixtures);
my $base = $catalog . <<'END';
CREATE TABLE raxx_detect.t (a int, b text DEFAULT 'x;y'); -- it's one; not two
CREATE FUNCTION raxx_detect.f(a int, OUT b text) RETURNS text LANGUAGE sql AS $$ SELECT ';'  $$;
COMMENT ON FUNCTION raxx_detect.f(int) IS 'It''s f; of 1.';
CREATE FUNCTION raxx_detect.g(x int DEFAULT 1, y text[] DEFAULT '{a,b}') RETURNS int LANGUAGE sql AS $body$ SELECT 1 $body$;
CREATE FUNCTION raxx_detect.c(x int) RETURNS int AS 'MODULE_PATHNAME', 'raxx_c' LANGUAGE C;
CREATE VIEW raxx_detect.v AS SELECT raxx_detect.g();
CREATE INDEX i ON raxx_detect.t (a);
CREATE TYPE raxx_detect.p AS (a int);
INSERT INTO raxx_detect.methods VALUES (1);
SELECT raxx_detect.f(1);
END

# What becomes of the base with some text replaced, and parts by hand: whether the tool is content, what it writes between "what is gone" and
# the shipped rows, and what it says.
my $number = 0;

sub update
{
	my ($replacements, %hand) = @_;
	my $updates = "$dir/" . ++$number;
	mkdir $updates;
	my $new = $base;
	while (my ($from, $to) = each %$replacements)
	{
		die "no $from" unless $new =~ s/\Q$from\E/$to/;
	}
	append_to_file("$updates/1.0.sql", $base);
	append_to_file("$updates/new", $new);
	append_to_file("$updates/$_.sql", $hand{$_}) foreach keys %hand;
	my $ok = IPC::Run::run([ $tool, "$updates/1.0.sql", "$updates/new" ], '>', \my $out, '2>', \my $err);
	$out =~ s/.*takes or returns something else -+\n(.*)\n-- ---- the rows that this version ships.*/$1/s;
	$out =~ s/^(?:-- .*)?\n//mg;
	return ($ok, $out, $err);
}

sub gives
{
	my ($name, $expected, @update) = @_;
	my ($ok, $out, $err) = update(@update);
	return is($ok ? $out : "FAILED: $err", $expected, $name);
}

sub fails
{
	my ($name, $expected, @update) = @_;
	my ($ok, $out, $err) = update(@update);
	return like($ok ? "ok: $out" : $err, $expected, $name);
}

gives('nothing has changed: nothing to do', '', {});
gives('layout and comments are no change', '', { '(a int, b text' => "(\n  a   int, -- the first\n b text" });
gives('a function\'s body is replaced, were it for a space', "CREATE OR REPLACE FUNCTION raxx_detect.f(a int, OUT b text) RETURNS text LANGUAGE sql AS \$\$ SELECT ';' \$\$;\n",
	{ "SELECT ';'  \$" => "SELECT ';' \$" });
gives('a comment', "COMMENT ON FUNCTION raxx_detect.f(int) IS 'It''s f; of  1.';\n", { 'f; of 1' => 'f; of  1' });
gives('a function with other arguments is dropped and created, with its comment',
	"DROP FUNCTION raxx_detect.f(a int, OUT b text);\nCREATE FUNCTION raxx_detect.f(a int, OUT bb text) RETURNS text LANGUAGE sql AS \$\$ SELECT ';'  \$\$;\n"
	  . "COMMENT ON FUNCTION raxx_detect.f(int) IS 'It''s f; of 1.';\n",
	{ 'OUT b text' => 'OUT bb text' });
gives('so are the views that use it',
	"DROP VIEW raxx_detect.v;\nDROP FUNCTION raxx_detect.g(x int, y text[]);\n"
	  . "CREATE FUNCTION raxx_detect.g(x int DEFAULT 1, y text[] DEFAULT '{b,a}') RETURNS int LANGUAGE sql AS \$body\$ SELECT 1 \$body\$;\nCREATE VIEW raxx_detect.v AS SELECT raxx_detect.g();\n",
	{ '{a,b}' => '{b,a}' });
gives('a view', "CREATE OR REPLACE VIEW raxx_detect.v AS SELECT raxx_detect.g() + 1;\n", { 'SELECT raxx_detect.g()' => 'SELECT raxx_detect.g() + 1' });
gives('a view dropped by hand', "DROP VIEW raxx_detect.v;\nCREATE VIEW raxx_detect.v AS SELECT raxx_detect.g() + 1;\n", { 'SELECT raxx_detect.g()' => 'SELECT raxx_detect.g() + 1' },
	'1.0--1.1' => 'DROP VIEW raxx_detect.v;');
gives('an index', "DROP INDEX raxx_detect.i;\nCREATE INDEX i ON raxx_detect.t (b);\n", { '.t (a)' => '.t (b)' });
gives('what is gone', "DROP VIEW raxx_detect.v;\n", { 'CREATE VIEW raxx_detect.v AS SELECT raxx_detect.g();' => '' });
gives('a new table with rows of its own', "CREATE TABLE raxx_detect.n (a int);\nINSERT INTO raxx_detect.n VALUES (1);\n",
	{ "SELECT raxx_detect.f(1);\n" => "SELECT raxx_detect.f(1);\nCREATE TABLE raxx_detect.n (a int);\nINSERT INTO raxx_detect.n VALUES (1);\n" });
gives('a block is repeated', "DO \$\$ BEGIN NULL; END \$\$;\n", { 'SELECT raxx_detect.f(1);' => "SELECT raxx_detect.f(1);\nDO \$\$ BEGIN NULL; END \$\$;" });
gives('what is done once is left out', '', { 'SELECT raxx_detect.f(1);' => "-- Only at CREATE EXTENSION: the first time.\nSELECT raxx_detect.f(2);" });
gives('a table changed by hand', "ALTER TABLE raxx_detect.t ADD COLUMN c int;\n", { "'x;y')" => "'x;y', c int)" }, '1.0--1.1' => "ALTER TABLE raxx_detect.t ADD COLUMN c int;\n");
gives('parts by hand follow one another, and what needs functions comes last', "ALTER TABLE raxx_detect.t ADD COLUMN c int;\nALTER TYPE raxx_detect.p ADD ATTRIBUTE b int;\n",
	{ "'x;y')" => "'x;y', c int)", '(a int);
INSERT' => '(a int, b int);
INSERT' }, '1.1--1.2' => "ALTER TYPE raxx_detect.p ADD ATTRIBUTE b int;\n-- After the functions\nUPDATE raxx_detect.t SET c = 1;\n", '1.0--1.1' => "ALTER TABLE raxx_detect.t ADD COLUMN c int;\n");

fails('a changed table', qr/TABLE raxx_detect\.t has changed/, { "'x;y')" => "'x;y', c int)" });
fails('another table by hand', qr/TABLE raxx_detect\.t has changed/, { "'x;y')" => "'x;y', c int)" }, '1.0--1.1' => 'ALTER TABLE raxx_detect.tt ADD COLUMN c int;');
fails('a comment by hand', qr/TABLE raxx_detect\.t has changed/, { "'x;y')" => "'x;y', c int)" }, '1.0--1.1' => "-- ALTER TABLE raxx_detect.t ADD COLUMN c int;\nSELECT 1;");
fails('a part by hand of another step', qr/TABLE raxx_detect\.t has changed/, { "'x;y')" => "'x;y', c int)" }, '1.1--1.2' => 'ALTER TABLE raxx_detect.t ADD COLUMN c int;');
fails('a table that is gone', qr/TABLE raxx_detect\.t is gone/, { "CREATE TABLE raxx_detect.t (a int, b text DEFAULT 'x;y');" => '', 'CREATE INDEX i ON raxx_detect.t (a);' => '' });
fails('a changed type', qr/TYPE raxx_detect\.p has changed/, { 'p AS (a int)' => 'p AS (a bigint)' });
fails('rows for a table that is no catalog', qr/INSERT INTO raxx_detect\.t VALUES ?\(1\)\s+is new/, { 'SELECT raxx_detect.f(1);' => "SELECT raxx_detect.f(1);\nINSERT INTO raxx_detect.t VALUES (1);" });
fails('a new call', qr/SELECT raxx_detect\.f\(2\)\s+is new/, { 'SELECT raxx_detect.f(1);' => 'SELECT raxx_detect.f(2);' });
fails('a C function with other arguments', qr/raxx_c of FUNCTION raxx_detect\.c\(int\) takes or returns something else/, { 'c(x int)' => 'c(x int, y int)' });
gives('but one more with the same symbol is none', "CREATE FUNCTION raxx_detect.c(x int, y int) RETURNS int AS 'MODULE_PATHNAME', 'raxx_c' LANGUAGE C;\n",
	{ 'CREATE VIEW' => "CREATE FUNCTION raxx_detect.c(x int, y int) RETURNS int AS 'MODULE_PATHNAME', 'raxx_c' LANGUAGE C;\nCREATE VIEW" });
fails('a kind of statement that it does not know', qr/CREATE OPERATOR/, { 'SELECT raxx_detect.f(1);' => "SELECT raxx_detect.f(1);\nCREATE OPERATOR raxx_detect.@ (FUNCTION = f);" });

done_testing();
