-- worker_state() where the module is not preloaded, or nothing is enabled: it works, and has nothing to say. What it says
-- otherwise is tested in test/tap/worker*.pl.
BEGIN;
SELECT plan(9);

SELECT is_empty('SELECT * FROM raxx_detect.worker_state()', 'no rows');
SELECT has_function('raxx_detect', 'worker_state', ARRAY[]::name[]);
SELECT ok(has_function_privilege('pg_monitor', 'raxx_detect.worker_state()', 'EXECUTE') AND has_schema_privilege('pg_monitor', 'raxx_detect', 'USAGE'),
    'monitoring roles may ask');
CREATE ROLE somebody;
SELECT ok(NOT has_function_privilege('somebody', 'raxx_detect.worker_state()', 'EXECUTE'), 'and nobody else');
SELECT is(pg_get_function_arguments('raxx_detect.worker_state()'::regprocedure),
    'OUT database name, OUT state text, OUT last_run timestamp with time zone, OUT last_result text, OUT failures integer, OUT next_run timestamp with time zone',
    'its columns');

-- The settings are known without preloading, so that ALTER DATABASE checks what it is told.
SELECT is((SELECT array_agg(format('%s=%s', name, setting) ORDER BY name) FROM pg_settings
           WHERE name = ANY ('{raxx_detect.allow_superuser,raxx_detect.enabled,raxx_detect.interval,raxx_detect.max_workers,raxx_detect.role}')),
    '{raxx_detect.allow_superuser=off,raxx_detect.enabled=off,raxx_detect.interval=60,raxx_detect.max_workers=2,raxx_detect.role=}', 'the defaults');
SELECT throws_ok($$SET raxx_detect.interval = '500ms'$$, '22023', NULL, 'an interval below a second');
SELECT throws_ok($$SET raxx_detect.enabled = 'sometimes'$$, '22023', NULL, 'neither on nor off');
SELECT throws_ok($$SET ROLE somebody; SET raxx_detect.role = 'postgres'$$, '42501', NULL, 'not by everybody');

SELECT * FROM finish();
ROLLBACK;
