-- By hand: what has become of the tables and types of 0.1.0. The rest of the update is made by tools/update-script.

-- What is shipped, and what somebody has changed of it (sql/90_dump.sql).
ALTER TABLE raxx_detect.source_kinds ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.source_roles ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.methods ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.method_parameters ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.free_mail_domains ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.fixtures ADD COLUMN shipped boolean NOT NULL DEFAULT false;
ALTER TABLE raxx_detect.rules ADD COLUMN overrides text[];
ALTER TABLE raxx_detect.rules ADD COLUMN allows_exceptions boolean NOT NULL DEFAULT true;

-- What tunes by itself (sql/50_ceiling.sql).
ALTER TABLE raxx_detect.methods ADD COLUMN integrity boolean NOT NULL DEFAULT false;

-- What calibrate finds (sql/81_calibrate.sql).
ALTER TABLE raxx_detect.rules
    ADD COLUMN calibration text CHECK (calibration IN ('calibrated', 'miscalibrated')),
    ADD COLUMN calibrated_at timestamptz;

-- Rules of one's own (sql/82_create_rule.sql), and shadows (sql/82_shadows.sql).
ALTER TABLE raxx_detect.method_parameters
    ADD COLUMN needed text NOT NULL DEFAULT 'never' CHECK (needed ~ '^(always|never|with a baseline|with [a-z_0-9]+|unless [a-z_0-9]+)$');
ALTER TABLE raxx_detect.rules ADD COLUMN shadow_of text,
    ADD CONSTRAINT shadows_are_named CHECK ((shadow_of IS NOT NULL) = (rule_id LIKE '% (shadow)'));

-- Quiet runs (sql/56_quiet.sql).
ALTER TABLE raxx_detect.coverage
    ADD COLUMN quiet tstzrange NOT NULL DEFAULT 'empty',
    ADD COLUMN by_the_clock boolean NOT NULL DEFAULT false,
    ADD COLUMN judged_with text,
    ADD COLUMN last_event timestamptz;
ALTER TABLE raxx_detect.coverage SET (fillfactor = 50);
ALTER TABLE raxx_detect.heartbeat
    ADD COLUMN quiet_rules text[] NOT NULL DEFAULT '{}',
    ADD COLUMN configuration text;
ALTER TABLE raxx_detect.heartbeat SET (fillfactor = 50);

-- The outbox, to which nothing has ever been written (sql/73_deliveries.sql).
DELETE FROM raxx_detect.deliveries;
ALTER TABLE raxx_detect.deliveries
    DROP CONSTRAINT deliveries_finding_id_fkey,
    ALTER COLUMN finding_id DROP NOT NULL,
    ADD CHECK (jsonb_typeof(payload) = 'object'),
    ADD CHECK (state IN ('pending', 'sending', 'held', 'bundled', 'delivered', 'dead', 'cancelled', 'silenced')),
    ADD COLUMN event text NOT NULL CHECK (event IN ('fired', 'escalated', 'changed', 'cleared', 'no_data', 'resumed', 'withdrawn', 'storm', 'digest', 'dead_letter')),
    ADD COLUMN mode text NOT NULL CHECK (mode IN ('event', 'digest', 'log')),
    ADD COLUMN severity raxx_detect.severity NOT NULL,
    ADD COLUMN push boolean NOT NULL DEFAULT false,
    ADD COLUMN idempotency_key uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN deadline timestamptz,
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN attempts int NOT NULL DEFAULT 0,
    ADD COLUMN lease uuid,
    ADD COLUMN lease_until timestamptz,
    ADD COLUMN worker text,
    ADD COLUMN possible_repeat boolean NOT NULL DEFAULT false,
    ADD COLUMN provider jsonb,
    ADD COLUMN last_error text,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN bundle bigint,
    ADD COLUMN announced_by bigint,
    ADD COLUMN silence_id bigint,
    ADD CONSTRAINT leased_while_sending CHECK ((state = 'sending') = (lease IS NOT NULL)),
    ADD CONSTRAINT silenced_by_a_silence CHECK (state <> 'silenced' OR silence_id IS NOT NULL);

-- What people do about findings (sql/76_triage.sql, sql/76_exceptions.sql).
ALTER TABLE raxx_detect.detection_findings
    ADD COLUMN note text,
    ADD COLUMN exception_id bigint,
    ADD COLUMN outlasted_exception bigint;

-- Evidence whose rows have changed (sql/59_evidence.sql).
ALTER TABLE raxx_detect.detection_findings ADD COLUMN evidence_changed_at timestamptz, ADD COLUMN evidence_note text;

-- After the functions
-- What the hash chain waits for is another thing by now.
UPDATE raxx_detect.rules r SET state_reason = (raxx_detect.due_state(r)).reason WHERE r.method = 'chain' AND r.state = 'dormant';
