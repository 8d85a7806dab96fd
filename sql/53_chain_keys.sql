-- The keys of hash chains, and checkpoints signed with them. Keys come from raxx_detect.key_file or raxx_detect.key_command,
-- and never get here: SQL names them by their ids.
--
-- Whoever may call what reads the keys can have the key command run as often as they like; whoever may sign can vouch for any state of a
-- chain. So both are granted, to the role that seals and verifies: GRANT EXECUTE ON FUNCTION ... TO raxx_runner.

CREATE FUNCTION raxx_detect.chain_keys(OUT key_id text, OUT kind text)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_chain_keys' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.chain_keys() IS
'The keys that raxx_detect.key_file or raxx_detect.key_command gives, in its order, without their bytes. kind: chain (seals entries), checkpoint (signs and verifies checkpoints) or checkpoint-public (verifies them). Errors: 55000 neither setting is set, F0000 the file''s permissions, or what is in it, are not as they should be, 38000 the command failed or took too long, 54000 more than 1 MB, 58P01 no such file, 42501 it may not be read. For whom it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.chain_keys() FROM PUBLIC;

CREATE FUNCTION raxx_detect.mac_engine() RETURNS text
AS 'MODULE_PATHNAME', 'raxx_mac_engine' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.mac_engine() IS
'What this session verifies the MACs of hash chains with: intel-ipsec-mb, its version and the instructions it uses, or the version of OpenSSL. Before its first use in a session each has to give the answers of RFC 4231; XX000 if none does.';

CREATE FUNCTION raxx_detect.sign_checkpoint(chain uuid, number bigint, seq bigint, mac bytea, made_at timestamptz,
    key_id text DEFAULT NULL)
RETURNS text AS 'MODULE_PATHNAME', 'raxx_sign_checkpoint' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.sign_checkpoint(uuid, bigint, bigint, bytea, timestamptz, text) IS
'The line of a checkpoint: raxx-checkpoint 1, the chain, the checkpoint''s number, seq and mac of the entry that is the chain''s head, made_at in UTC, the id of the key, and an Ed25519 signature of all that in Base64, separated by blanks. key_id: a checkpoint key, NULL for the last in the ring. Errors: 22004 NULL argument but for key_id, 22023 a negative number or seq, a mac that has not 32 bytes, a time before the year 1 or after 9999, 42704 no such key, and those of raxx_detect.chain_keys(). For whom it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.sign_checkpoint(uuid, bigint, bigint, bytea, timestamptz, text) FROM PUBLIC;

CREATE FUNCTION raxx_detect.checkpoint_verdict(line text) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_checkpoint_verdict' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.checkpoint_verdict(text) IS
'Whether a line is a checkpoint that a key of the ring has signed: valid; invalid (the signature is not of this text by this key); unknown key (the ring has no checkpoint or checkpoint-public key of its id); malformed (not a checkpoint, to the letter). NULL for NULL. Errors as raxx_detect.chain_keys(). For whom it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.checkpoint_verdict(text) FROM PUBLIC;

CREATE FUNCTION raxx_detect.parse_checkpoint(line text, OUT chain uuid, OUT number bigint, OUT seq bigint, OUT mac bytea,
    OUT made_at timestamptz, OUT key_id text)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_parse_checkpoint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.parse_checkpoint(text) IS
'What a checkpoint says, without a look at its signature. NULLs for NULL; 22P02 for a line that is not a checkpoint, to the letter.';

CREATE FUNCTION raxx_detect.deliver_checkpoint(line text) RETURNS boolean
AS 'MODULE_PATHNAME', 'raxx_deliver_checkpoint' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.deliver_checkpoint(text) IS
'Gives a checkpoint to raxx_detect.checkpoint_command, as a line on its standard input: true once it has kept it (exit status 0); false where the setting is empty. What it writes on standard error goes to the server''s log. NULL for NULL. Errors: 22P02 not a checkpoint, 38000 the command failed (DETAIL: its exit status) or took longer than raxx_detect.checkpoint_command_timeout. For whom it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.deliver_checkpoint(text) FROM PUBLIC;

CREATE FUNCTION raxx_detect.kept_checkpoints() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'raxx_kept_checkpoints' LANGUAGE C VOLATILE ROWS 1000;
COMMENT ON FUNCTION raxx_detect.kept_checkpoints() IS
'The lines that raxx_detect.checkpoint_source_command prints, but for empty ones: the checkpoints that were kept outside the database. What is not printable ASCII becomes ?, and a line is cut at 512 characters. Errors: 55000 the setting is empty, 38000 the command failed or took longer than raxx_detect.checkpoint_command_timeout, 54000 more than 10,000 lines. For whom it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.kept_checkpoints() FROM PUBLIC;
