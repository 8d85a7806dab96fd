# The command raxx-rules: the catalog into files and back, byte by byte; what a changed file changes, and what is wrong with it; Sigma
# rules from YAML. Exit codes: 0 nothing to tell, 1 a difference or a rule that is refused, 2 it could not be done.
use strict;
use warnings FATAL => 'all';

use File::Path 'make_path';
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = new_server();
my $db = new_database($node, 'rules');
my $command = "$FindBin::RealBin/../../src/rules/raxx-rules";
my $dir = PostgreSQL::Test::Utils::tempdir();

# raxx_rules ARGUMENT...: exit code, output and errors.
sub raxx_rules
{
	my @arguments = @_;
	my ($out, $err);
	IPC::Run::run([ '/usr/bin/python3', $command, '--dsn', $node->connstr($db), @arguments ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub write_file
{
	my ($file, $content) = @_;
	open(my $handle, '>:raw', $file) or die "$file: $!";
	print $handle $content;
	close($handle) or die "$file: $!";
	return;
}

# change FILE, FROM, TO
sub change
{
	my ($file, $from, $to) = @_;
	my $content = slurp_file($file);
	$content =~ s/\Q$from\E/$to/ or die "$file does not say $from";
	write_file($file, $content);
	return;
}

my $catalog = q{SELECT md5(string_agg(path || content, '' ORDER BY path COLLATE "C")) FROM raxx_detect.export_rules()};
my ($code, $out, $err);

# ---- out and back ---------------------------------------------------------------------------------------------------
my $before = $node->safe_psql($db, $catalog);
($code, $out, $err) = raxx_rules('export', "$dir/catalog");
is($code, 0, 'export');
is(scalar(() = glob "$dir/catalog/rules/*.json"), 17, 'writes a file for each rule');
is_deeply([ raxx_rules('diff', "$dir/catalog") ], [ 0, '', '' ], 'diff: there is nothing to tell');
is((raxx_rules('export', "$dir/catalog"))[1], '', 'a second export writes nothing');

my $file = "$dir/catalog/rules/signup_waitlist_velocity_per_origin.json";
change($file, '"threshold": 20', '"threshold": 25');
($code, $out) = raxx_rules('diff', "$dir/catalog");
is($code, 1, 'diff tells of a change');
like($out, qr/^-    "threshold": 20,\n\+    "threshold": 25,\n/m, 'as two lines');
($code, $out, $err) = raxx_rules('import', "$dir/catalog");
is("$code " . join('', $out =~ /^(?!unchanged).*\n/mg), "0 change     rules/signup_waitlist_velocity_per_origin.json\n           params.threshold: 20 -> 25\n", 'import says what it would change');
like($err, qr/nothing was changed: say --apply/, 'and that it has not');
is($node->safe_psql($db, $catalog), $before, 'it has not');
is((raxx_rules('import', "$dir/catalog", '--apply', '--reason', 'reviewed in #12'))[0], 0, 'with --apply');
is($node->safe_psql($db, q{SELECT (definition -> 'params' ->> 'threshold') || ' ' || reason FROM raxx_detect.rule_versions ORDER BY version DESC LIMIT 1}), '25 reviewed in #12', 'it has');
is((raxx_rules('diff', "$dir/catalog"))[0], 0, 'there is nothing more to tell');

# A rule and a source of one's own, as files, with what JSON and encodings can do to them.
make_path("$dir/catalog/sources");
write_file("$dir/catalog/sources/resets.json", qq({"source": "resets", "rows_called": "r\x{c3}\x{a9}sets", "meaning": "m",
	"roles": [{"role": "event_time", "type": "timestamptz", "meaning": "m"}, {"role": "ip", "type": "inet", "meaning": "m"}]}));
write_file("$dir/catalog/rules/own_resets.json", <<'END');
{"rule_id": "own_resets", "title": "\u00e9 \"quoted\" '$1' %s", "method": "velocity", "severity": "high", "sources": ["resets"],
 "params": {"entity": "ip", "window": "90 s", "threshold": 4}, "false_alarms_per_month": 0.12345678901234567890123, "escalation_owner": "operator", "runbook": ["1", "2"]}
END
is((raxx_rules('import', "$dir/catalog", '--apply'))[0], 0, 'a new rule and its source');
is((raxx_rules('export', "$dir/catalog"))[0], 0, 'are exported as the server writes them');
is((raxx_rules('diff', "$dir/catalog"))[0], 0, 'and are the same');
like(slurp_file("$dir/catalog/rules/own_resets.json"), qr/"runbook": \["1", "2"\]/, 'prose in lines');
$node->safe_psql($db, q{SELECT raxx_detect.drop_rule('own_resets'); SELECT raxx_detect.drop_source('resets')});
like((raxx_rules('export', "$dir/catalog"))[1], qr{^deleted    rules/own_resets.json\ndeleted    sources/resets.json\n}m, 'what is gone from the catalog goes from the files');

# ---- what is wrong --------------------------------------------------------------------------------------------------
change($file, '"threshold": 25', '"treshold": 25');
($code, $out) = raxx_rules('import', "$dir/catalog");
is($code, 1, 'a mistake');
like($out, qr/^error      rules\/signup_waitlist_velocity_per_origin.json\n +22023: method velocity has no 'treshold'.*nearest are threshold/m, 'is named, with its file');
($code, $out, $err) = raxx_rules('import', "$dir/catalog", '--apply');
is($code, 2, 'with --apply it is an error');
like($err, qr/^raxx-rules: 1 of 17 files cannot be imported, so none is/, 'and nothing is imported');
change($file, '"treshold": 25', '"threshold": 25, "threshold": 26');
like((raxx_rules('import', "$dir/catalog"))[2], qr/signup_waitlist_velocity_per_origin.json: the key threshold is there twice/, 'a key that is there twice');
write_file($file, '{"rule_id": ');
like((raxx_rules('import', "$dir/catalog"))[2], qr/^raxx-rules: .*signup_waitlist_velocity_per_origin.json: /, 'half a file');
is_deeply([ (raxx_rules('import', "$dir/nowhere"))[ 0, 2 ] ], [ 2, "raxx-rules: $dir/nowhere is not a directory\n" ], 'no directory');
make_path("$dir/empty");
is((raxx_rules('import', "$dir/empty", '--apply'))[0], 2, 'an empty one');
is((raxx_rules('--dsn', 'host=/nowhere', 'export', "$dir/x"))[0], 2, 'no server');

# ---- Sigma ----------------------------------------------------------------------------------------------------------
write_file("$dir/sigma.yml", <<'END');
title: Failed sign-in
name: failed_sign_in
date: 2024-08-08
logsource:
    category: login_failures
detection:
    selection:
        EventID: 4625
    condition: selection
---
title: Many failed sign-ins
name: many_failed
level: high
correlation:
    type: event_count
    rules: [failed_sign_in]
    group-by: [account]
    timespan: 15m
    condition:
        gt: 10
---
END
($code, $out) = raxx_rules('sigma', "$dir/sigma.yml");
is($code, 1, 'Sigma: a field that no role stands for');
like($out, qr/^error      many_failed\n +42704: Sigma rule failed_sign_in: field EventID is no role of source login_failures/m, 'is named');
write_file("$dir/sources.yml", "failed_sign_in: {source: login_failures, rows: all}\n");
write_file("$dir/defaults.json", '{"escalation_owner": "security-agent"}');
my @sigma = ('sigma', "$dir/sigma.yml", '--sources', "$dir/sources.yml", '--defaults', "$dir/defaults.json");
is_deeply([ (raxx_rules(@sigma))[ 0, 1 ] ], [ 0, "create     rules/sigma_many_failed.json\n           disabled until raxx_detect.enable finds its fixtures passing\n" ], 'it can be said whose rows they are');
is((raxx_rules(@sigma, '--apply'))[0], 0, 'with --apply');
is($node->safe_psql($db, q{SELECT params ->> 'threshold', escalation_owner, raxx_detect.enable(rule_id) FROM raxx_detect.rules WHERE rule_id = 'sigma_many_failed'}), '11|security-agent|dormant',
	'more than 10 is 11; its fixtures pass');
change("$dir/sigma.yml", 'gt: 10', "gt: 10\n        gt: 11");
like((raxx_rules(@sigma))[2], qr/^raxx-rules: .*sigma.yml: the key gt is there twice/, 'a key that is there twice');
write_file("$dir/sigma.yml", "a: !!python/object/apply:os.system [echo no]\n");
is_deeply([ (raxx_rules(@sigma))[ 0, 1 ] ], [ 2, '' ], 'YAML that is more than data is refused');

done_testing();
