# A server whose audit table has a hash chain, and what somebody can do to it who is a superuser, and may have the keys.
package ChainServer;

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Server;

our @EXPORT = qw(new_chain_server new_chain_database kept_lines keep_lines);

my ($kept, %keys);

# A server with two chain keys, k1 and k2, and a checkpoint key; checkpoints from outside are the lines of a file.
sub new_chain_server
{
	my (@settings) = @_;
	my $files = abs_path(PostgreSQL::Test::Utils::tempdir());
	$kept = "$files/checkpoints";
	append_to_file($kept, '');
	my $secret = join '', 'not for anything but this test ', $$, time;
	%keys = map { $_ => sha256_hex("$_ $secret") } qw(k1 k2 c1);
	append_to_file("$files/keys", "chain k1 $keys{k1}\nchain k2 $keys{k2}\ncheckpoint c1 $keys{c1}\n");
	chmod 0600, "$files/keys" or die "$files/keys: $!";
	return new_server("raxx_detect.key_file = '$files/keys'", "raxx_detect.checkpoint_source_command = 'cat $kept'", @settings);
}

# The bytes of a key, by its id.
sub key_bytes { my ($id) = @_; return pack 'H*', $keys{$id}; }

# The checkpoints that were kept outside.
sub kept_lines { return split /\n/, slurp_file($kept); }

sub keep_lines
{
	my (@lines) = @_;
	open my $file, '>', $kept or die "$kept: $!";
	print $file "$_\n" foreach @lines;
	close $file or die "$kept: $!";
	return;
}

# A database with an audit table of rule 7, whose chain begins with key k1, and the schema attack: what somebody does who has the keys.
sub new_chain_database
{
	my ($node, $name) = @_;
	my $db = new_database($node, $name);
	$node->safe_psql($db, <<'SQL');
SELECT raxx_detect.create_source_table('customer_audit_events');
SELECT raxx_detect.chain_attach('customer_audit_events', key_id => 'k1');
CREATE SCHEMA attack;

CREATE FUNCTION attack.chain() RETURNS raxx_detect.chains LANGUAGE sql AS 'SELECT c FROM raxx_detect.chains c';

-- The MAC that stands in an entry.
CREATE FUNCTION attack.mac(seq bigint) RETURNS bytea LANGUAGE sql AS $$
	SELECT t.raxx_mac FROM customer_audit_events t WHERE t.raxx_seq = mac.seq
	UNION ALL SELECT r.mac FROM raxx_detect.chain_records r WHERE r.seq = mac.seq
	UNION ALL SELECT decode(repeat('00', 32), 'hex') WHERE mac.seq = -1
	LIMIT 1
$$;

-- Seals rows anew, one after the other, from a number on, after the entry of another number; with another key if one is given.
CREATE FUNCTION attack.reseal(rows tid[], from_seq bigint, after bytea, key text DEFAULT NULL) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	plan raxx_detect.chain_plan := raxx_detect.chain_plan(attack.chain(), raxx_detect.chain_epochs_json((attack.chain()).chain_id));
	seals raxx_detect.chain_seal[];
BEGIN
	IF key IS NOT NULL THEN
		plan.reading := jsonb_set(plan.reading::jsonb, '{epochs}', (SELECT jsonb_agg(e || jsonb_build_object('key', key))
			FROM jsonb_array_elements(plan.reading::jsonb -> 'epochs') e))::text;
	END IF;
	EXECUTE format('SELECT raxx_detect.chain_seal_rows($1, $2, $3, t.tableoid, t.ctid, %s ORDER BY array_position($4, t.ctid))
		FROM customer_audit_events t WHERE t.ctid = ANY ($4)', raxx_detect.column_list(plan))
	INTO seals USING plan.reading, from_seq - 1, after, rows;
	UPDATE customer_audit_events t SET raxx_seq = s.seq, raxx_prev = s.prev, raxx_mac = s.mac FROM unnest(seals) s WHERE t.ctid = s.row_id;
	RETURN seals[cardinality(seals)].mac;
END $$;

-- The same for a row that is an entry.
CREATE FUNCTION attack.reseal(seq bigint, after bigint, key text DEFAULT NULL) RETURNS bytea LANGUAGE sql AS $$
	SELECT attack.reseal(ARRAY(SELECT t.ctid FROM customer_audit_events t WHERE t.raxx_seq = reseal.seq), seq, attack.mac(after), key)
$$;

-- A copy of a row, in every column.
CREATE FUNCTION attack.copy(seq bigint) RETURNS tid LANGUAGE plpgsql AS $$
DECLARE
	result tid;
BEGIN
	ALTER TABLE customer_audit_events DROP CONSTRAINT IF EXISTS customer_audit_events_pkey;
	INSERT INTO customer_audit_events OVERRIDING SYSTEM VALUE SELECT t.* FROM customer_audit_events t WHERE t.raxx_seq = seq LIMIT 1
	RETURNING ctid INTO result;
	RETURN result;
END $$;

-- Sets the head back to an entry.
CREATE FUNCTION attack.set_head(seq bigint) RETURNS void LANGUAGE sql AS $$
	UPDATE raxx_detect.chain_heads SET seq = set_head.seq, mac = attack.mac(set_head.seq)
$$;

-- All that there is after an entry is gone, and the head goes no further.
CREATE FUNCTION attack.truncate(seq bigint) RETURNS void LANGUAGE sql AS $$
	DELETE FROM customer_audit_events t WHERE t.raxx_seq > truncate.seq;
	DELETE FROM raxx_detect.chain_records r WHERE r.seq > truncate.seq;
	SELECT attack.set_head(truncate.seq)
$$;
SQL
	return $db;
}

1;
