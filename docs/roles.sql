-- Roles for raxx_detect: who may look, act, configure, run and send, as privileges of PostgreSQL. Run it in each database, by the owner of
-- the extension or a superuser, and again after ALTER EXTENSION raxx_detect UPDATE: it can be repeated, and grants what is new.
--
--     psql -1 -v ON_ERROR_STOP=1 -d app -f docs/roles.sql
--     psql -d app -c 'GRANT raxx_operator TO alice'          # people get one of the first three
--
--     raxx_reader     sees findings, rules, health
--     raxx_operator   is a reader, and acts on findings: triage, silences, exceptions. Writes no column of the engine's
--     raxx_admin      is an operator, and says what is found and who is told: rules, sources, routes, channels, settings
--     raxx_runner     runs the rules: writes the engine's columns, and none of people's. Needs SELECT on the sources, too
--     raxx_notifier   raxx-notify: sends what is to be told
--
-- None of them can rewrite what people did (raxx_detect.finding_actions, silences, exceptions): triggers refuse that to everybody.
-- Not here, since not everybody needs it: docs/operations.md has what the hash chain and pg_stat_statements take.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY '{raxx_reader,raxx_operator,raxx_admin,raxx_runner,raxx_notifier}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
            EXECUTE format('CREATE ROLE %I %s', role, CASE WHEN role IN ('raxx_runner', 'raxx_notifier') THEN 'LOGIN' ELSE 'NOLOGIN' END);
        END IF;
    END LOOP;
END $$;
GRANT raxx_reader TO raxx_operator;
GRANT raxx_operator TO raxx_admin;

-- What people and the engine share is granted by columns, which a grant on a whole table would make void.
REVOKE ALL ON raxx_detect.detection_findings, raxx_detect.finding_actions, raxx_detect.silences, raxx_detect.exceptions
FROM raxx_reader, raxx_operator, raxx_admin, raxx_runner, raxx_notifier;

-- Readers.
GRANT USAGE ON SCHEMA raxx_detect TO raxx_reader, raxx_runner, raxx_notifier;
GRANT SELECT ON ALL TABLES IN SCHEMA raxx_detect TO raxx_reader, raxx_runner, raxx_notifier;
REVOKE SELECT ON raxx_detect.finding_rows FROM raxx_reader, raxx_notifier;  -- hashes of rows: who may read rows may be granted it

-- Operators. Who acted, and when, is not theirs to say.
GRANT UPDATE (triage, disposition, note) ON raxx_detect.detection_findings TO raxx_operator;
GRANT INSERT (finding_id, action, disposition, note) ON raxx_detect.finding_actions TO raxx_operator;
GRANT INSERT (rule_id, entity, until, reason), UPDATE (ended_because) ON raxx_detect.silences TO raxx_operator;
GRANT INSERT (rule_id, entity, expires_at, reason), UPDATE (ended_because) ON raxx_detect.exceptions TO raxx_operator;
GRANT INSERT (rule_id, reason, until) ON raxx_detect.approvals TO raxx_operator;
GRANT UPDATE (ended_at, ended_by, end_reason) ON raxx_detect.downgrades TO raxx_operator;

-- Admins. What a change of a rule or a source makes void, such as a baseline, goes with it.
GRANT INSERT, UPDATE, DELETE ON raxx_detect.rules, raxx_detect.source_kinds, raxx_detect.source_roles, raxx_detect.source_bindings, raxx_detect.free_mail_domains,
    raxx_detect.fixtures, raxx_detect.channels, raxx_detect.routes TO raxx_admin;
GRANT UPDATE ON raxx_detect.notification_settings, raxx_detect.tuning_settings TO raxx_admin;
GRANT INSERT ON raxx_detect.rule_state_changes, raxx_detect.downgrades TO raxx_admin;
GRANT INSERT (rule_id, version, definition, reason), UPDATE (definition, reason) ON raxx_detect.rule_versions TO raxx_admin;
GRANT INSERT, DELETE ON raxx_detect.sweeps TO raxx_admin;  -- of sources of one's own
GRANT DELETE ON raxx_detect.coverage, raxx_detect.baseline_days, raxx_detect.baseline_starts, raxx_detect.hourly_counts TO raxx_admin;
GRANT UPDATE ON raxx_detect.sweeps TO raxx_admin;
GRANT INSERT ON raxx_detect.tightenings TO raxx_admin;  -- what raxx_detect.refresh(true) does
GRANT INSERT, UPDATE, DELETE ON raxx_detect.baseline_days, raxx_detect.baselines TO raxx_admin;
GRANT UPDATE ON raxx_detect.heartbeat TO raxx_admin;
GRANT UPDATE (channel, state, deadline, last_error) ON raxx_detect.deliveries TO raxx_admin;  -- what waits follows its channel

-- The runner. It may not delete records of its runs: raxx_detect.prune_records is for the owner, or grant it DELETE on them.
DO $$
DECLARE
    columns text := (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                     WHERE a.attrelid = 'raxx_detect.detection_findings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                       AND a.attname <> ALL ('{triage,disposition,note}'));
BEGIN
    EXECUTE format('GRANT INSERT (%1$s), UPDATE (%1$s), DELETE ON raxx_detect.detection_findings TO raxx_runner', columns);
END $$;
GRANT INSERT, UPDATE, DELETE ON raxx_detect.coverage, raxx_detect.baseline_starts, raxx_detect.baseline_days, raxx_detect.baselines,
    raxx_detect.hourly_counts, raxx_detect.finding_rows TO raxx_runner;
GRANT INSERT ON raxx_detect.rule_runs, raxx_detect.rule_state_changes, raxx_detect.downgrades TO raxx_runner;
GRANT INSERT, UPDATE ON raxx_detect.deliveries, raxx_detect.interruptions TO raxx_runner;
GRANT UPDATE ON raxx_detect.heartbeat, raxx_detect.sweeps TO raxx_runner;
GRANT UPDATE (state, state_reason, state_since) ON raxx_detect.rules TO raxx_runner;

-- The notifier.
GRANT INSERT, UPDATE ON raxx_detect.deliveries, raxx_detect.channel_states, raxx_detect.notifiers, raxx_detect.digests TO raxx_notifier;
