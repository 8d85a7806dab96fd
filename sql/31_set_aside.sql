-- The tables of what keeps findings from being told, which views of earlier modules show: exceptions (76_exceptions.sql) and silences
-- (76_silences.sql).

CREATE TABLE raxx_detect.exceptions (
    exception_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    entity text NOT NULL,
    reason text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_by name NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    ended_by name,
    ended_because text
);
CREATE INDEX exceptions_by_entity ON raxx_detect.exceptions (rule_id, entity);
COMMENT ON TABLE raxx_detect.exceptions IS 'Entities that rules know. Written by raxx_detect.add_exception and raxx_detect.end_exception; nobody changes or deletes rows. raxx_detect.exception_log shows what each has set aside.';
COMMENT ON COLUMN raxx_detect.exceptions.entity IS 'As findings name it.';
COMMENT ON COLUMN raxx_detect.exceptions.expires_at IS 'From then on it does not hold any more.';
COMMENT ON COLUMN raxx_detect.exceptions.ended_at IS 'When somebody ended it before its time.';

CREATE TABLE raxx_detect.silences (
    silence_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text,
    entity text,
    starts_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    reason text NOT NULL,
    created_by name NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    ended_by name,
    ended_because text
);
CREATE INDEX silences_not_ended ON raxx_detect.silences (until) WHERE ended_at IS NULL;
COMMENT ON TABLE raxx_detect.silences IS 'When people were, or are, not told of what. Written by raxx_detect.silence and raxx_detect.end_silence; nobody changes or deletes rows. raxx_detect.silence_log shows what each has held back.';
COMMENT ON COLUMN raxx_detect.silences.rule_id IS 'NULL: any rule that allows it (rules.allows_exceptions).';
COMMENT ON COLUMN raxx_detect.silences.entity IS 'As findings name it; NULL: any.';
COMMENT ON COLUMN raxx_detect.silences.until IS 'From then on it does not hold any more.';
COMMENT ON COLUMN raxx_detect.silences.ended_at IS 'When somebody ended it before its time.';
