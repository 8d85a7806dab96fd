-- What pg_dump takes along (sql/90_dump.sql), as far as one database tells it; test/tap/dump.pl dumps and restores.
BEGIN;
SET search_path = public, raxx_detect;
SET LOCAL client_min_messages = warning;
SELECT plan(34);

CREATE TEMPORARY VIEW relations AS
SELECT c.oid::regclass AS relation, c.relkind,
       (SELECT x.condition FROM unnest(e.extconfig, e.extcondition) x(oid, condition) WHERE x.oid = c.oid) AS condition
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'S')
WHERE e.extname = 'raxx_detect';

-- Tables whose rows a dump leaves out, all or some, and why. A new table is dumped wholly; one that must not be is to be named here.
CREATE TEMPORARY TABLE partly (relation regclass PRIMARY KEY, reason text NOT NULL);
INSERT INTO partly VALUES
    ('raxx_detect.source_kinds', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.source_roles', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.methods', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.method_parameters', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.free_mail_domains', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.fixtures', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.channels', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.routes', 'shipped rows come with CREATE EXTENSION'),
    ('raxx_detect.source_bindings', 'a relation that is gone or temporary cannot be bound again'),
    ('raxx_detect.chains', 'a relation that is gone or temporary has no chain to be verified'),
    ('raxx_detect.chain_heads', 'as the chain'),
    ('raxx_detect.chain_records', 'as the chain'),
    ('raxx_detect.chain_checkpoints', 'as the chain');
SELECT is_empty('SELECT relation FROM relations WHERE condition IS NULL', 'every table and sequence is dumped');
SELECT set_eq('SELECT relation FROM relations WHERE condition <> ''''', 'SELECT relation FROM partly', 'and wholly, but those of which it is known why not');

-- Rows that CREATE EXTENSION inserts would come twice.
CREATE FUNCTION pg_temp.rows_dumped(relation regclass, condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ONLY %s %s', relation, condition) INTO n;
    RETURN n;
END $$;
SELECT set_eq($$SELECT relation::text FROM relations WHERE relkind <> 'S' AND pg_temp.rows_dumped(relation, condition) > 0$$,
    $$SELECT t.tgrelid::regclass::text FROM pg_trigger t WHERE t.tgname ~ '^restore_(?!shipped|delivery)'$$,
    'the tables that have rows to dump from the start are those whose rows give way to a dump''s');
SELECT is_empty($$SELECT a.attrelid::regclass FROM pg_attribute a JOIN relations r ON r.relation = a.attrelid
    WHERE a.attname = 'shipped' AND r.condition NOT LIKE '%NOT shipped%'$$, 'where rows are marked as shipped, those are left out');
SELECT is_empty($$WITH marked AS MATERIALIZED (SELECT relation FROM relations r JOIN pg_attribute a ON a.attrelid = r.relation AND a.attname = 'shipped')
    SELECT relation FROM marked WHERE pg_temp.rows_dumped(relation, 'WHERE NOT shipped') > 0$$, 'and all are marked');

-- pg_upgrade refuses tables with these types.
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM relations r JOIN pg_attribute a ON a.attrelid = r.relation AND NOT a.attisdropped
    WHERE a.atttypid IN ('regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype, 'regoperator'::regtype, 'regconfig'::regtype,
        'regdictionary'::regtype, 'regnamespace'::regtype, 'regcollation'::regtype)$$, 'no column has a type that pg_upgrade refuses');

-- ---- what somebody has changed --------------------------------------------------------------------------------------

SELECT results_eq('SELECT DISTINCT overrides FROM rules', $$VALUES ('{}'::text[])$$, 'nothing is changed of a new database''s rules');
SELECT set_eq($$SELECT a.attname::text FROM pg_trigger t CROSS JOIN unnest(t.tgattr::int2[]) k JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = k
    WHERE t.tgname = 'note_overrides'$$,
    $$SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = 'rules'::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname <> ALL ('{state,state_reason,state_since,last_validated,overrides,calibration,calibrated_at,shadow_of}')$$,
    'every column is watched but those that runs and calibrate write, and the name of shadows, which are never shipped');
SELECT lives_ok($$SELECT set_params('auth_rbac_denied_burst', '{"window": "11 minutes", "elevated_threshold": 4}')$$, 'set_params');
SELECT lives_ok($$SELECT set_params('auth_rbac_denied_burst', '{"distinct_threshold": 5}')$$, 'set_params to what it is');
SELECT lives_ok($$UPDATE rules SET baseline_window = '20 days', title = title WHERE rule_id = 'auth_rbac_denied_burst'$$, 'an update of another column');
SELECT is((SELECT overrides FROM rules WHERE rule_id = 'auth_rbac_denied_burst'), '{baseline_window,params.elevated_threshold,params.window}'::text[],
    'what was changed is noted');
SELECT lives_ok($$UPDATE rules SET params = params || '{"elevated_threshold": 3}' WHERE rule_id = 'auth_rbac_denied_burst'$$, 'set back');
SELECT is((SELECT overrides FROM rules WHERE rule_id = 'auth_rbac_denied_burst'), '{baseline_window,params.elevated_threshold,params.window}'::text[],
    'it stays somebody''s choice');
SELECT lives_ok($$UPDATE rules SET state = 'live', state_reason = 'x', last_validated = now() WHERE rule_id = 'auth_passkey_enumeration'$$, 'what runs write');
SELECT is((SELECT overrides FROM rules WHERE rule_id = 'auth_passkey_enumeration'), '{}'::text[], 'is no change');
UPDATE rules SET state = 'dormant', last_validated = NULL WHERE rule_id = 'auth_passkey_enumeration';

SELECT results_eq($$SELECT count(*), count(*) FILTER (WHERE r IS NOT DISTINCT FROM jsonb_populate_record(NULL::raxx_detect.rules, row_image(r))) FROM rules r$$,
    'VALUES (17::bigint, 17::bigint)', 'a row is the same after its image');
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL extra_float_digits = -5;
SET LOCAL datestyle = 'German';
SET LOCAL timezone = 'Asia/Kathmandu';
SELECT results_eq($$SELECT count(*), count(*) FILTER (WHERE r IS NOT DISTINCT FROM jsonb_populate_record(NULL::raxx_detect.rules, row_image(r))) FROM rules r$$,
    'VALUES (17::bigint, 17::bigint)', 'also with other settings');
RESET intervalstyle; RESET extra_float_digits; RESET datestyle; RESET timezone;

-- ---- a row of another version ---------------------------------------------------------------------------------------

-- As the dump of an older version has it: another title and threshold of its time, no parameter that has come since, one that has gone; and what
-- somebody has changed.
CREATE TEMPORARY TABLE dumped AS
SELECT (jsonb_populate_record(r, jsonb_build_object('title', 'Title of old', 'how', 'Own words.', 'state', 'live', 'state_reason', 'as dumped', 'last_validated', '2024-01-01',
    'overrides', '{how,params.window,params.gone}'::text[], 'params', r.params - 'value' || '{"threshold": 99, "window": "7 minutes", "gone": 1}'))).*
FROM rules r WHERE rule_id = 'auth_passkey_enumeration';
CREATE TEMPORARY TABLE shipped AS SELECT * FROM rules WHERE rule_id = 'auth_passkey_enumeration';
SELECT lives_ok('INSERT INTO rules SELECT * FROM dumped', 'a dumped row is let in');
SELECT is((SELECT r.title FROM rules r JOIN shipped USING (rule_id)), (SELECT title FROM shipped), 'what was shipped then is as shipped now');
SELECT is((SELECT r.params FROM rules r JOIN shipped USING (rule_id)), (SELECT params || '{"window": "7 minutes"}' FROM shipped),
    'so are its parameters, but those that were set, if they still exist');
SELECT is((SELECT r.how FROM rules r JOIN shipped USING (rule_id)), 'Own words.', 'somebody''s words are kept');
SELECT is((SELECT (r.state, r.state_reason, r.last_validated::date)::text FROM rules r JOIN shipped USING (rule_id)), '(live,"as dumped",2024-01-01)', 'and the state');
SELECT is((SELECT r.overrides FROM rules r JOIN shipped USING (rule_id)), '{how,params.window,params.gone}'::text[], 'and what is somebody''s');
SELECT is((SELECT count(*) FROM rules), 17::bigint, 'it did not come twice');
SELECT throws_ok('INSERT INTO rules SELECT * FROM dumped', '23505', NULL, 'a rule at work does not give way');
SELECT throws_ok($$INSERT INTO rules SELECT (jsonb_populate_record(r, '{"overrides": null}')).* FROM rules r WHERE rule_id = 'data_backtest_benford'$$,
    '23505', NULL, 'nor does one to a row that no dump has written');
SELECT throws_ok($$INSERT INTO rules SELECT (jsonb_populate_record(r, '{"rule_id": "own"}')).* FROM rules r WHERE rule_id = 'data_backtest_benford'$$,
    '23505', NULL, 'nor to one of another name');

-- ---- tables of one row ------------------------------------------------------------------------------------------------

SELECT lives_ok($$INSERT INTO heartbeat (last_run_at, as_of, runs) VALUES (now(), now(), 7)$$, 'a dump''s heartbeat is let in');
SELECT throws_ok($$INSERT INTO heartbeat (last_run_at, as_of, runs) VALUES (now(), now(), 8)$$, '23505', NULL, 'and does not give way');

-- ---- foreign keys -------------------------------------------------------------------------------------------------------

SELECT throws_ok($$INSERT INTO coverage VALUES ('none', 'rbac_denials', now(), now())$$, '23503', NULL, 'foreign keys are checked');
SET LOCAL check_function_bodies = off;
SELECT lives_ok($$INSERT INTO coverage VALUES ('none', 'rbac_denials', now(), now())$$, 'but not in the session of a restore');
SELECT is(current_setting('session_replication_role'), 'origin', 'and only while it inserts');
SELECT throws_ok($$UPDATE coverage SET source = 'none' WHERE rule_id = 'none'$$, '23503', NULL, 'not while it does anything else');

SELECT * FROM finish();
ROLLBACK;
