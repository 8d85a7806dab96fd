-- Bad input: each is refused with an SQLSTATE, a DETAIL that names what was given and a HINT that says what to do, and
-- changes nothing.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;

CREATE TABLE signups (at timestamptz, local_time timestamp, day date, email text, origin text, flag boolean, amount numeric, ip inet);
INSERT INTO signups SELECT timestamptz '2024-03-05' + n * interval '1 minute', '2024-03-05', '2024-03-05', n || '@acme.com', 'here', true, n, '10.0.0.1'
FROM generate_series(1, 30) n;
CREATE INDEX signups_at ON signups (at);
CREATE SEQUENCE numbers;
CREATE TYPE pair AS (a int, b int);
CREATE VIEW seen AS SELECT * FROM signups;
SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}');
SELECT raxx_detect.create_source_table('rbac_denials');
SELECT count(*) AS rules_run FROM raxx_detect.run_all('2024-03-05 01:00');

-- What the extension has stored, as one value.
CREATE FUNCTION stored() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    digest text;
    result text := '';
BEGIN
    FOR relation IN SELECT c.oid FROM pg_class c
                    WHERE c.relnamespace IN ('raxx_detect'::regnamespace, 'public'::regnamespace) AND c.relkind = 'r'
                    ORDER BY c.oid LOOP
        EXECUTE format('SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '''')) FROM %s t', relation) INTO digest;
        result := result || relation || digest;
    END LOOP;
    RETURN md5(result);
END $$;

-- Calls a statement that should be refused, and says how it was.
CREATE FUNCTION refused(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before text := stored();
    detail text;
    hint text;
BEGIN
    BEGIN
        EXECUTE statement;
        RETURN NEXT 'ACCEPTED';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN NEXT format('%s: %s', sqlstate, sqlerrm);
        RETURN QUERY SELECT '    ' || line FROM unnest(ARRAY[detail, hint]) WITH ORDINALITY x(line, position) WHERE line <> '' ORDER BY position;
    END;
    IF stored() <> before THEN
        RETURN NEXT 'AND CHANGED SOMETHING';
    END IF;
END $$;
\pset format unaligned
\pset tuples_only on

-- ---- sources: what does not exist ----------------------------------------------------------------------------------
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signup', 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('denials', 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('', 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source(NULL, 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source(repeat('waitlist_', 100000), 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'no_such_table') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 4294967290::oid::regclass) $$);
SELECT refused($$ SELECT raxx_detect.unbind_source('waitlist') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist') $$);

-- ---- sources: relations that hold no rows to read ------------------------------------------------------------------
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups_at') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'numbers') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'pair') $$);

-- ---- sources: columns ----------------------------------------------------------------------------------------------
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "when"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at", "country": "land"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "ctid"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "local_time"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "day"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at", "origin": "flag"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at", "ip": "email"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('stripe_webhook_events', 'signups', '{"event_time": "at", "signature_valid": "email"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('backtest_results', 'signups', '{"event_time": "at", "return_value": "email"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at", "colour": "email"}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": 5}') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '["at"]') $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '"at"') $$);

-- ---- sources: other arguments --------------------------------------------------------------------------------------
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', NULL) $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', NULL) $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}', NULL) $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}', lateness => NULL) $$);
SELECT refused($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}', lateness => '-1 second') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('rbac_denials') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist_signups', 'signups') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist_signups', 'a.b.c') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist_signups', 'no_such_schema.signups') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist_signups', 'x (at timestamptz); DROP TABLE signups; --') $$);
SELECT refused($$ SELECT raxx_detect.create_source_table('waitlist_signups', '') $$);

-- ---- methods: the relation and its columns -------------------------------------------------------------------------
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('no_such_table', 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes(4294967290::oid, 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups_at', 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('numbers', 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('pair', 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'when', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', 'who', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', 'ctid', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'local_time', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'email', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'what', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'day', 'email', 'origin', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gaps('seen', 'when', '1 minute', '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gaps('seen', 'day', '1 minute', '-infinity', 'infinity') $$);
ALTER TABLE signups DROP COLUMN amount CASCADE;
CREATE VIEW seen AS SELECT * FROM signups;
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', 'amount', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', '........pg.dropped.7........', '1 minute', 1, '-infinity', 'infinity') $$);

-- ---- methods: window, threshold, range -----------------------------------------------------------------------------
SELECT refused(format('SELECT * FROM raxx_detect.velocity_episodes(''signups'', ''at'', ''email'', %L, 1, ''-infinity'', ''infinity'')', window_length))
FROM unnest('{0,-1 second,1 day -24 hours,1 month,-1 year,1 year -12 months,1 month -30 days,-2000000000 days}'::text[]) window_length;
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'origin', '-1 second', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gaps('signups', 'at', '1 month', '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gaps('signups', 'at', '0', '-infinity', 'infinity') $$);
SELECT refused(format('SELECT * FROM raxx_detect.velocity_episodes(''signups'', ''at'', ''email'', ''1 minute'', %s, ''-infinity'', ''infinity'')', threshold))
FROM unnest('{0,-1,-9223372036854775808}'::bigint[]) threshold;
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'origin', '1 minute', 0, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', 'email', '1 minute', 1, '2024-03-06', '2024-03-05') $$);
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'origin', '1 minute', 1, 'infinity', '-infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gaps('signups', 'at', '1 minute', '2024-03-05 00:00:00.000001', '2024-03-05') $$);
SELECT refused($$ SELECT * FROM raxx_detect.gap_quantiles('signups', 'at', 0.5, '2024-03-06', '2024-03-05') $$);
SELECT refused(format('SELECT * FROM raxx_detect.gap_quantiles(''signups'', ''at'', %L, ''-infinity'', ''infinity'')', quantile))
FROM unnest('{-0.1,1.1,NaN,infinity}'::float8[]) quantile;

-- ---- methods: NULL arguments, each of them -------------------------------------------------------------------------
SELECT refused(format('SELECT * FROM raxx_detect.velocity_episodes(%s)',
    (SELECT string_agg(CASE WHEN position = missing THEN 'NULL' ELSE quote_literal(argument) END, ', ' ORDER BY position)
     FROM unnest('{signups,at,email,1 minute,1,-infinity,infinity}'::text[]) WITH ORDINALITY a(argument, position))))
FROM generate_series(1, 7) missing;
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused(format('SELECT * FROM raxx_detect.gaps(%s)',
    (SELECT string_agg(CASE WHEN position = missing THEN 'NULL' ELSE quote_literal(argument) END, ', ' ORDER BY position)
     FROM unnest('{signups,at,1 minute,-infinity,infinity}'::text[]) WITH ORDINALITY a(argument, position))))
FROM generate_series(1, 5) missing;
SELECT refused($$ SELECT * FROM raxx_detect.gap_quantiles('signups', 'at', NULL, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.episodes(NULL, 'signups', 'at', 'email', NULL, NULL, NULL, NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.episodes('speed', 'signups', 'at', 'email', NULL, NULL, NULL, NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.episodes('distinct', 'signups', 'at', 'email', NULL, NULL, NULL, NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.episodes('velocity', 'signups', 'at', 'email', NULL, 'origin', NULL, NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.episodes('velocity', 'signups', 'at', 'email', NULL, 'nothing', '{x}', NULL, '1 minute', 1, '-infinity', 'infinity') $$);

-- ---- methods: a window that does not fit the memory; a setting that does not exist ----------------------------------
SET raxx_detect.memory_limit = '16MB';
CREATE VIEW wide AS SELECT at, repeat(email, 100000) AS who FROM signups;
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('wide', 'at', 'who', '1 day', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.distinct_episodes('wide', 'at', 'who', 'who', '1 day', 1, '-infinity', 'infinity') $$);
RESET raxx_detect.memory_limit;
SELECT refused($$ SET raxx_detect.memory = '16MB' $$);

-- ---- errors of the relation itself come through --------------------------------------------------------------------
CREATE VIEW broken AS SELECT at, 1 / (extract(minute FROM at)::int - 7) AS who, email, origin FROM signups;
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('broken', 'at', 'who', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.velocity_episodes('broken', 'at', 'email', '1 minute', 100, '-infinity', 'infinity') $$);

-- ---- rules: which, and up to when ----------------------------------------------------------------------------------
SELECT refused($$ SELECT * FROM raxx_detect.run('waitlist_velocity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('audit gap') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run(repeat('auth_rbac', 100000)) $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('#') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('AUTH_RBAC_DENIED_BURST') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run(NULL) $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('auth_rbac_denied_burst', 'infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('auth_rbac_denied_burst', '-infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run('auth_rbac_denied_burst', NULL) $$);
SELECT refused($$ SELECT * FROM raxx_detect.run_all('infinity') $$);
SELECT refused($$ SELECT * FROM raxx_detect.run_all(NULL) $$);
SELECT refused($$ SELECT * FROM raxx_detect.self_test('rbac') $$);
SELECT refused($$ SELECT raxx_detect.enable('rbac') $$);
SELECT refused($$ SELECT raxx_detect.disable('rbac', 'a reason') $$);
SELECT refused($$ SELECT raxx_detect.disable('auth_rbac_denied_burst', NULL) $$);
SELECT refused($$ SELECT raxx_detect.disable('auth_rbac_denied_burst', '') $$);
SELECT refused($$ SELECT raxx_detect.disable('auth_rbac_denied_burst', '   ') $$);

-- ---- rules: parameters ---------------------------------------------------------------------------------------------
SELECT refused($$ SELECT raxx_detect.set_params('rbac', '{"threshold": 3}') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', NULL) $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '[]') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"baseline_ready": "30 days"}') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '"threshold"') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', 'null') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"treshold": 25}') $$);
-- A parameter of the method that the rule does not use; one good value does not help a bad one.
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"ipv4_prefix": 24}') $$);
SELECT refused($$ SELECT raxx_detect.set_params('signup_waitlist_velocity_per_origin', '{"threshold": 25, "window": "-5 minutes"}') $$);
SELECT refused(format('SELECT raxx_detect.set_params(%L, %L)', 'signup_waitlist_velocity_per_origin', params))
FROM unnest('{
    "{\"threshold\": 0}", "{\"threshold\": -3}", "{\"threshold\": 2.5}", "{\"threshold\": \"25\"}", "{\"threshold\": null}", "{\"threshold\": [25]}",
    "{\"threshold\": true}", "{\"threshold\": 9223372036854775808}",
    "{\"window\": 300}", "{\"window\": \"0\"}", "{\"window\": \"-5 minutes\"}", "{\"window\": \"1 month\"}", "{\"window\": \"1 year\"}", "{\"window\": \"soon\"}",
    "{\"window\": null}", "{\"window\": {}}", "{\"entity\": \"\"}", "{\"entity\": 5}", "{\"entity\": null}"}'::text[]) params;
SELECT refused(format('SELECT raxx_detect.set_params(%L, %L)', 'data_audit_log_gap_window', params))
FROM unnest('{
    "{\"business_from\": \"25:00\"}", "{\"business_from\": \"noon-ish\"}", "{\"business_from\": null}", "{\"business_from\": 1200}", "{\"business_to\": []}",
    "{\"business_days\": [0]}", "{\"business_days\": [1, 8]}", "{\"business_days\": 1}", "{\"business_days\": [\"Monday\"]}", "{\"business_days\": [1.5]}",
    "{\"business_days\": [null]}", "{\"business_days\": null}",
    "{\"time_zone\": \"Mars/Olympus\"}", "{\"time_zone\": \"\"}", "{\"time_zone\": null}", "{\"time_zone\": 5}"}'::text[]) params;
SELECT refused(format('SELECT raxx_detect.set_params(%L, %L)', 'signup_email_pattern_anomaly', params))
FROM unnest('{
    "{\"shape_tail\": 0}", "{\"shape_tail\": -0.1}", "{\"shape_tail\": 1.1}", "{\"shape_tail\": \"0.1\"}", "{\"shape_tail\": null}", "{\"shape_tail\": 1e-999}",
    "{\"email\": \"\"}"}'::text[]) params;
SELECT refused(format('SELECT raxx_detect.set_params(%L, %L)', 'auth_rbac_denied_burst', params))
FROM unnest('{"{\"elevated\": \"*:admin\"}", "{\"elevated\": [5]}", "{\"elevated\": [\"\"]}", "{\"elevated\": [null]}"}'::text[]) params;

-- ---- privileges: what is not permitted is named --------------------------------------------------------------------
CREATE ROLE regress_raxx_stranger;
CREATE FUNCTION refused_to_stranger(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    SET LOCAL ROLE regress_raxx_stranger;
    EXECUTE statement;
    RETURN NEXT 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT format('%s: %s', sqlstate, sqlerrm);
    RETURN QUERY SELECT '    ' || line FROM unnest(ARRAY[detail, hint]) WITH ORDINALITY x(line, position) WHERE line <> '' ORDER BY position;
END $$;
SELECT refused_to_stranger($$ SELECT raxx_detect.poisson_upper_tail(1, 1) $$);
-- The schema opened, and the table of bindings, but not the application's tables.
GRANT USAGE ON SCHEMA raxx_detect TO regress_raxx_stranger;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO regress_raxx_stranger;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.source_bindings, raxx_detect.coverage TO regress_raxx_stranger;
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.velocity_episodes('signups', 'at', 'email', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'origin', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.gaps('signups', 'at', '1 minute', '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}') $$);
-- Some columns are not enough, and the missing one is named.
GRANT SELECT (at, email) ON signups TO regress_raxx_stranger;
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.distinct_episodes('signups', 'at', 'email', 'origin', '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.episodes('velocity', 'signups', 'at', 'email', NULL, 'origin', '{h%}', NULL, '1 minute', 1, '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT raxx_detect.bind_source('waitlist_signups', 'signups', '{"event_time": "at"}') $$);
-- A table in a schema that is closed; a view that its owner may read and the caller may not.
CREATE SCHEMA hidden;
CREATE TABLE hidden.signups AS SELECT * FROM signups;
GRANT SELECT ON hidden.signups TO regress_raxx_stranger;
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.gaps((SELECT oid FROM pg_class WHERE relnamespace = 'hidden'::regnamespace), 'at', '1 minute', '-infinity', 'infinity') $$);
SELECT refused_to_stranger($$ SELECT * FROM raxx_detect.gaps('seen', 'at', '1 minute', '-infinity', 'infinity') $$);
-- Writing what it may not.
SELECT refused_to_stranger($$ SELECT raxx_detect.set_params('auth_rbac_denied_burst', '{"distinct_threshold": 7}') $$);
SELECT refused_to_stranger($$ SELECT raxx_detect.disable('auth_rbac_denied_burst', 'noise') $$);
SELECT refused_to_stranger($$ SELECT raxx_detect.create_source_table('login_failures', 'hidden.login_failures') $$);

-- ---- after all of it, everything is as it was ----------------------------------------------------------------------
SELECT source, relation, columns FROM raxx_detect.source_bindings ORDER BY source;
SELECT rule_id FROM raxx_detect.rules WHERE state NOT IN ('dormant', 'subsumed') ORDER BY number;

DROP OWNED BY regress_raxx_stranger;
DROP ROLE regress_raxx_stranger;
DROP SCHEMA hidden CASCADE;
DROP TABLE signups, rbac_denials CASCADE;
DROP SEQUENCE numbers;
DROP TYPE pair;
DROP FUNCTION refused, refused_to_stranger, stored;
DROP EXTENSION raxx_detect;
CREATE EXTENSION raxx_detect;
