-- The background worker (src/pg/worker) calls run_all() by itself; here is what it says of itself.

CREATE FUNCTION raxx_detect.worker_state(OUT database name, OUT state text, OUT last_run timestamptz, OUT last_result text,
    OUT failures int, OUT next_run timestamptz)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_worker_state' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION raxx_detect.worker_state() IS
'What the background worker does, a row for each database of the server in which raxx_detect.enabled is on; none where the module is not in shared_preload_libraries, or nothing is enabled. state: waiting (for next_run), running, backing_off (the last run failed), no_extension (it is looked for each minute), refused (raxx_detect.role may not be used; last_result says why). last_run: the start of the last run, NULL before the first. last_result: NULL before the first; ok; error in N rules (raxx_detect.rule_runs says which); failed with SQLSTATE (the server''s log has the error). failures: how many runs in a row have failed. next_run: NULL while one is running or refused. For pg_monitor, and whom else it is granted to.';
REVOKE ALL ON FUNCTION raxx_detect.worker_state() FROM PUBLIC;
GRANT USAGE ON SCHEMA raxx_detect TO pg_monitor;
GRANT EXECUTE ON FUNCTION raxx_detect.worker_state() TO pg_monitor;
