-- A hash chain's life, as its owner sees it: attaching, sealing, migrations, keys, checkpoints, the end, and what is refused.
BEGIN;
SET LOCAL client_min_messages = warning;
SET timezone = 'UTC';
SELECT plan(59);

CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), operator varchar(40), n int, payload jsonb);
INSERT INTO audit (operator, n, payload) SELECT 'operator ' || n, n, jsonb_build_object('n', n) FROM generate_series(1, 200) n;

CREATE FUNCTION pg_temp.verdict(mode text DEFAULT 'full') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s-%s', kind, seq_from, seq_to), ', ' ORDER BY seq_from, kind) FROM raxx_detect.verify_chain('audit', mode) $$;

-- ---- what is refused ----------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.chain_seal('audit')$$, '42704', 'public.audit has no hash chain', 'sealing needs a chain');
SELECT throws_ok($$SELECT * FROM raxx_detect.verify_chain('audit')$$, '42704', 'public.audit has no hash chain', 'and so does verifying');
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit', mode => 'sometimes')$$, '22023', 'unknown mode of a chain', 'an unknown mode');
SELECT throws_ok($$SELECT raxx_detect.chain_attach(NULL)$$, '22023', 'relation must not be NULL', 'no relation');
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit', '{id,nowhere}')$$, '42703', 'these columns of public.audit cannot be sealed', 'an unknown column');
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit', '{}')$$, '42703', 'these columns of public.audit cannot be sealed', 'no column');
CREATE VIEW seen AS SELECT * FROM audit;
SELECT throws_ok($$SELECT raxx_detect.chain_attach('seen')$$, '42809', 'public.seen cannot have a hash chain', 'a view');
DROP VIEW seen;
ALTER TABLE audit ADD COLUMN odd int4range;
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit')$$, '0A000', 'columns of public.audit have types without a canonical form', 'a type without a canonical form');
ALTER TABLE audit DROP COLUMN odd;
ALTER TABLE audit ADD COLUMN raxx_mac text;
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit')$$, '42804', NULL, 'a column of the chain''s name and another type');
ALTER TABLE audit DROP COLUMN raxx_mac;
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit', key_id => 'none')$$, '42704', NULL, 'an unknown key');
SELECT is_empty('SELECT FROM raxx_detect.chains', 'nothing is left of it');

-- ---- attaching and sealing -------------------------------------------------------------------------------------------------
SELECT lives_ok($$SELECT raxx_detect.chain_attach('audit')$$, 'a chain is attached');
SELECT throws_ok($$SELECT raxx_detect.chain_attach('audit')$$, '42710', 'public.audit has a hash chain already', 'once');
SELECT results_eq($$SELECT seq, kind FROM raxx_detect.chain_records ORDER BY seq$$, $$VALUES (0::bigint, 'genesis'), (1, 'manifest')$$, 'it begins with two records');
SELECT throws_ok($$SELECT raxx_detect.chain_seal('audit', 0)$$, '22023', 'at_most must be between 1 and 1000000', 'sealing nothing');
SELECT is(raxx_detect.chain_seal('audit', 50), 50::bigint, 'rows are sealed, so many at most');
SELECT is(raxx_detect.chain_seal('audit'), 150::bigint, 'and then the rest');
SELECT is(raxx_detect.chain_seal('audit'), 0::bigint, 'and then none');
SELECT results_eq('SELECT count(*), min(raxx_seq), max(raxx_seq), count(DISTINCT raxx_seq) FROM audit', 'VALUES (200::bigint, 2::bigint, 201::bigint, 200::bigint)', 'each has a number of its own, without holes');
SELECT is(pg_temp.verdict(), 'intact 0-201', 'it is intact');
SELECT is(count(*), 0::bigint, 'each follows the one before') FROM (SELECT raxx_prev, lag(raxx_mac) OVER (ORDER BY raxx_seq) AS before, raxx_seq FROM audit) x WHERE raxx_seq > 2 AND raxx_prev <> before;

-- ---- migrations that break nothing -----------------------------------------------------------------------------------------
ALTER TABLE audit ADD COLUMN region text DEFAULT 'eu', ADD COLUMN amount numeric NOT NULL DEFAULT 1.50;
SELECT is(pg_temp.verdict(), 'intact 0-201', 'columns are added, with defaults');
INSERT INTO audit (operator, n) VALUES ('after', 1);
SELECT is(raxx_detect.chain_seal('audit'), 1::bigint, 'the next row is sealed');
SELECT is(raxx_seq, 203::bigint, 'after a manifest') FROM audit WHERE operator = 'after';
SELECT is(pg_temp.verdict(), 'intact 0-203', 'with the new columns');
SAVEPOINT s;
UPDATE audit SET region = 'us' WHERE operator = 'after';
SELECT is(pg_temp.verdict(), 'content modified 203-203', 'which are sealed');
ROLLBACK TO s;
ALTER TABLE audit RENAME COLUMN n TO number;
SELECT is(pg_temp.verdict(), 'intact 0-203', 'a column is renamed');
INSERT INTO audit (operator) VALUES ('renamed');
SELECT raxx_detect.chain_seal('audit');
SELECT is(payload::jsonb -> 'columns' @> '[{"name": "number", "was": "n"}]', true, 'which the next manifest notes') FROM raxx_detect.chain_records ORDER BY seq DESC LIMIT 1;
ALTER TABLE audit RENAME COLUMN number TO final_number;
ALTER TABLE audit ALTER final_number TYPE bigint, ALTER operator TYPE text;
SELECT is(pg_temp.verdict(), 'intact 0-205', 'types that are of the same kind are exchanged');
SELECT is(raxx_detect.chain_seal('audit'), 0::bigint, 'no row is new');
SELECT is(pg_temp.verdict(), 'intact 0-206', 'but the name is noted');
ALTER TABLE audit ADD COLUMN odd int4range;
SELECT raxx_detect.chain_seal('audit');
SELECT is(pg_temp.verdict(), 'intact 0-206', 'a column that cannot be sealed is left out');
SAVEPOINT s;
ALTER TABLE audit DROP COLUMN payload;
SELECT is(pg_temp.verdict(), 'schema tampered 2-206', 'a sealed column is dropped');
ROLLBACK TO s;

-- ---- keys -------------------------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT raxx_detect.chain_rotate_key('audit', 'none')$$, '42704', NULL, 'an unknown key');
SELECT throws_ok($$SELECT raxx_detect.chain_rotate_key('audit')$$, '22023', NULL, 'the key in use');
SELECT throws_ok($$SELECT raxx_detect.chain_revoke_key('audit', 'k1', 'leaked')$$, '22023', 'key ''k1'' is in use', 'the key in use is not revoked');
SELECT is(raxx_detect.chain_rotate_key('audit', 'k0', 'it is time'), 207::bigint, 'the key is exchanged');
INSERT INTO audit (operator) VALUES ('sealed with k0');
SELECT raxx_detect.chain_seal('audit');
SELECT is(pg_temp.verdict(), 'intact 0-208', 'and both keep what they sealed');
SELECT throws_ok($$SELECT raxx_detect.chain_revoke_key('audit', 'k1', NULL)$$, '22023', NULL, 'not without a reason');
SELECT is(raxx_detect.chain_revoke_key('audit', 'k1', 'leaked'), 209::bigint, 'the old one is revoked');
SELECT is(pg_temp.verdict(), 'intact 0-209', 'on record');

-- ---- checkpoints ------------------------------------------------------------------------------------------------------------
SELECT results_eq($$SELECT c.number, c.seq, raxx_detect.checkpoint_verdict(c.line) FROM raxx_detect.chain_checkpoint('audit') c$$, $$VALUES (1::bigint, 209::bigint, 'valid')$$, 'a checkpoint is signed');
SELECT is(p.mac, (SELECT mac FROM raxx_detect.chain_records r WHERE r.seq = 209), 'with the last MAC')
FROM raxx_detect.chain_checkpoints c CROSS JOIN raxx_detect.parse_checkpoint(c.line) p;
INSERT INTO audit (operator) VALUES ('after the checkpoint');
SELECT raxx_detect.chain_seal('audit');
SELECT is(pg_temp.verdict(), 'intact 0-210', 'it holds');
CREATE TEMPORARY TABLE outside AS SELECT line FROM raxx_detect.chain_checkpoint('audit');
SAVEPOINT s;
DELETE FROM raxx_detect.chain_checkpoints WHERE number = 1;
SELECT is(pg_temp.verdict(), 'checkpoint missing 0-210', 'one that is gone is missed');
ROLLBACK TO s;
-- All of the last row, as a backup from before it would have it.
DELETE FROM audit WHERE raxx_seq = 210;
DELETE FROM raxx_detect.chain_checkpoints WHERE number = 2;
UPDATE raxx_detect.chain_heads h SET seq = r.seq, mac = r.mac FROM raxx_detect.chain_records r WHERE r.seq = 209;
SELECT is(pg_temp.verdict(), 'intact 0-209', 'a database that went back as a whole looks well from inside');
SELECT results_eq($$SELECT kind, seq_from, seq_to FROM raxx_detect.verify_chain('audit', 'full', ARRAY(SELECT line FROM outside))$$, $$VALUES ('rolled back', 210::bigint, 210::bigint)$$, 'and not from outside');
SELECT throws_ok($$SELECT raxx_detect.chain_accept_rollback('audit', '', ARRAY(SELECT line FROM outside))$$, '22023', 'a loss is not accepted without a reason', 'which is not accepted without a reason');
SELECT is(raxx_detect.chain_accept_rollback('audit', 'restored', ARRAY(SELECT line FROM outside)), 210::bigint, 'and then with one');
SELECT results_eq($$SELECT kind, seq_from, seq_to FROM raxx_detect.verify_chain('audit', 'full', ARRAY(SELECT line FROM outside))$$, $$VALUES ('intact', 0::bigint, 210::bigint)$$, 'so that the chain goes on');
SELECT is((raxx_detect.chain_checkpoint('audit')).number, 3::bigint, 'with the next number');
SELECT is(pg_temp.verdict(), 'intact 0-210', 'and no checkpoint is missed');
SELECT throws_ok($$SELECT raxx_detect.chain_accept_rollback('audit', 'again', ARRAY(SELECT line FROM outside))$$, '22023', 'the chain of public.audit has not been rolled back', 'once');

-- ---- verifying and ending ---------------------------------------------------------------------------------------------------
SELECT throws_ok($$SELECT * FROM raxx_detect.verify_chain('audit', 'fast')$$, '22023', 'unknown mode of verification', 'an unknown mode');
UPDATE raxx_detect.chain_heads SET verified_seq = 205;
SELECT is(pg_temp.verdict('incremental'), 'intact 205-210', 'only what is new is read');
SELECT throws_ok($$SELECT raxx_detect.chain_detach('audit', '')$$, '22023', 'a chain is not ended without a reason', 'a chain does not end without a reason');
SELECT is(raxx_detect.chain_detach('audit', 'the test is over'), 211::bigint, 'it ends with a record');
SELECT is(pg_temp.verdict(), 'intact 0-211', 'and is verified still');
SELECT throws_ok($$SELECT raxx_detect.chain_seal('audit')$$, '42704', 'public.audit has no hash chain', 'but seals nothing');

SELECT * FROM finish();
ROLLBACK;
