-- What comes after test/upgrade/history.sql: the rest of its rows, and new ones, in a run that must find in every copy of
-- that database what it finds in the original.
SET timezone = 'UTC';
INSERT INTO rbac_denials (event_time, operator, permission)
SELECT timestamptz '2024-03-09 17:00' + n * interval '10 seconds', 'operator "new"', 'permission ' || n || ':write' FROM generate_series(1, 4) n;
SELECT rule_id, state, outcome, findings_new, findings_updated, rows_read, covered, detail FROM raxx_detect.run_all('2024-03-09 18:00')
ORDER BY rule_id;
