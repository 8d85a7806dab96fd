-- Sources: what the rules read. A source is a name with roles; binding it says which relation and columns play them.

CREATE TABLE raxx_detect.source_kinds (
    source text PRIMARY KEY,
    position int NOT NULL UNIQUE,
    rows_called text NOT NULL,
    meaning text NOT NULL,
    expected_every interval,  -- how long it may be silent before it counts as stale; NULL: silence is normal
    shipped boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE raxx_detect.source_kinds IS 'The sources there are, and how often each must have an event to count as fresh (NULL: silence says nothing).';

CREATE TABLE raxx_detect.source_roles (
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    role text NOT NULL,
    position int NOT NULL,
    type regtype NOT NULL,
    required boolean NOT NULL,
    meaning text NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source, role)
);
COMMENT ON TABLE raxx_detect.source_roles IS 'The roles of each source: what a rule needs to read.';

CREATE TABLE raxx_detect.source_bindings (
    source text PRIMARY KEY REFERENCES raxx_detect.source_kinds,
    relation regclass NOT NULL,
    columns jsonb NOT NULL,
    lateness interval NOT NULL CHECK (lateness >= '0'),
    judge_from timestamptz NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now(),
    bound_by name NOT NULL DEFAULT current_user
);
COMMENT ON TABLE raxx_detect.source_bindings IS 'Which relation stands for a source, and which column plays which role. Written by raxx_detect.bind_source.';
COMMENT ON COLUMN raxx_detect.source_bindings.lateness IS 'How long after its event_time a row may still be committed and be seen by every run.';
COMMENT ON COLUMN raxx_detect.source_bindings.judge_from IS 'Rows up to here are history: read as context, never judged.';

INSERT INTO raxx_detect.source_kinds (source, position, rows_called, expected_every, meaning) VALUES
    ('passkey_begin_events', 1, 'passkey requests', '1 day', 'Requests to begin a passkey ceremony.'),
    ('session_events', 2, 'sessions', '1 day', 'Sessions created.'),
    ('rbac_denials', 3, 'denials', NULL, 'Permissions denied to operators.'),
    ('waitlist_signups', 4, 'sign-ups', '3 days', 'Sign-ups to the waiting list.'),
    ('customer_audit_events', 5, 'audit events', NULL, 'The audit log of what happens to customers'' data.'),
    ('console_audit_events', 6, 'audit events', NULL, 'The audit log of what operators do in the console.'),
    ('operator_activity', 7, 'signs of activity', NULL, 'Signs that an operator is at work, from outside the audit log.'),
    ('error_events', 8, 'errors', '1 day', 'Errors of the application, by route.'),
    ('statement_samples', 9, 'samples', '1 day', 'Snapshots of pg_stat_statements.'),
    ('dyno_samples', 10, 'samples', '1 day', 'Dyno-hours per hour, by app.'),
    ('dyno_restarts', 11, 'restarts', NULL, 'Restarts of dynos.'),
    ('deploy_events', 12, 'deploys', NULL, 'Deploys, by app.'),
    ('backtest_results', 13, 'results', '7 days', 'Returns of backtests.'),
    ('stripe_webhook_events', 14, 'webhook calls', '1 day', 'Calls of the Stripe webhook, and whether their signature held.'),
    ('outbound_mail_events', 15, 'mails', '1 day', 'What became of each mail sent.'),
    ('addon_changes', 16, 'changes', NULL, 'Changes of add-ons and configuration as they happened.'),
    ('change_records', 17, 'records', NULL, 'Changes of add-ons and configuration as they were recorded.'),
    ('login_failures', 18, 'failed sign-ins', NULL, 'Failed sign-ins with a password.');

INSERT INTO raxx_detect.source_roles (source, position, role, type, required, meaning)
SELECT k.source, 1, 'event_time', 'timestamptz', true, 'When it happened.' FROM raxx_detect.source_kinds k;
UPDATE raxx_detect.source_roles SET role = 'sample_time', meaning = 'When the snapshot was taken.'
WHERE source = 'statement_samples';

INSERT INTO raxx_detect.source_roles (source, position, role, type, required, meaning) VALUES
    ('passkey_begin_events', 2, 'ip', 'inet', true, 'The client''s address.'),
    ('passkey_begin_events', 3, 'email', 'text', true, 'The address that was tried.'),
    ('session_events', 2, 'ip', 'inet', true, 'The client''s address.'),
    ('session_events', 3, 'account', 'text', false, 'Whose session it is.'),
    ('rbac_denials', 2, 'operator', 'text', true, 'Who was denied.'),
    ('rbac_denials', 3, 'permission', 'text', true, 'What was denied, such as users:admin.'),
    ('rbac_denials', 4, 'route', 'text', false, 'Where.'),
    ('waitlist_signups', 2, 'email', 'text', true, 'Who signed up.'),
    ('waitlist_signups', 3, 'origin', 'text', true, 'The Origin header of the request.'),
    ('waitlist_signups', 4, 'ip', 'inet', false, 'The client''s address.'),
    ('waitlist_signups', 5, 'country', 'text', false, 'The client''s country, two letters.'),
    ('customer_audit_events', 2, 'operator', 'text', false, 'Who acted.'),
    ('customer_audit_events', 3, 'action', 'text', false, 'What was done.'),
    ('console_audit_events', 2, 'operator', 'text', false, 'Who acted.'),
    ('console_audit_events', 3, 'action', 'text', false, 'What was done.'),
    ('operator_activity', 2, 'operator', 'text', true, 'Who was active.'),
    ('error_events', 2, 'route', 'text', true, 'Where the error was raised.'),
    ('statement_samples', 2, 'queryid', 'bigint', true, 'Which query.'),
    ('statement_samples', 3, 'calls', 'bigint', true, 'How often it had run.'),
    ('statement_samples', 4, 'total_ms', 'float8', true, 'How long it had run, in milliseconds.'),
    ('dyno_samples', 2, 'app', 'text', true, 'Which app.'),
    ('dyno_samples', 3, 'dyno_hours', 'float8', true, 'Dyno-hours per hour at that moment.'),
    ('dyno_restarts', 2, 'app', 'text', true, 'Which app.'),
    ('dyno_restarts', 3, 'dyno', 'text', true, 'Which dyno.'),
    ('dyno_restarts', 4, 'cause', 'text', false, 'Why, where that is known.'),
    ('deploy_events', 2, 'app', 'text', true, 'Which app.'),
    ('backtest_results', 2, 'return_value', 'numeric', true, 'The return.'),
    ('stripe_webhook_events', 2, 'signature_valid', 'boolean', true, 'Whether the signature held.'),
    ('stripe_webhook_events', 3, 'ip', 'inet', false, 'Who called.'),
    ('outbound_mail_events', 2, 'outcome', 'text', true, 'sent, hard_bounce, and so on.'),
    ('addon_changes', 2, 'app', 'text', true, 'Which app.'),
    ('addon_changes', 3, 'item', 'text', true, 'Which add-on or variable.'),
    ('addon_changes', 4, 'actor', 'text', true, 'Who changed it.'),
    ('change_records', 2, 'app', 'text', true, 'Which app.'),
    ('change_records', 3, 'item', 'text', true, 'Which add-on or variable.'),
    ('login_failures', 2, 'ip', 'inet', true, 'The client''s address.'),
    ('login_failures', 3, 'account', 'text', true, 'Whose password was tried.');

CREATE VIEW raxx_detect.source_contracts AS
SELECT r.source, r.role, r.type, r.required, r.meaning
FROM raxx_detect.source_roles r JOIN raxx_detect.source_kinds k ON k.source = r.source
ORDER BY k.position, r.position;
COMMENT ON VIEW raxx_detect.source_contracts IS
'What each source must offer: its roles, their types, and whether they are required. An inet may also be a cidr, a text any identifier (text, varchar, enum, uuid, integer, address), a number any numeric type.';

CREATE FUNCTION raxx_detect.nearest(name text, candidates text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(candidate, ', ' ORDER BY likeness DESC, candidate)
    FROM (SELECT candidate, likeness
          FROM (SELECT c AS candidate,
                       (SELECT count(*) FROM generate_series(1, least(length(name), 200) - 1) i
                        WHERE strpos(lower(c), lower(substr(name, i, 2))) > 0)::float8 / greatest(length(c), length(name)) AS likeness
                FROM unnest(candidates) c) scored
          WHERE likeness > 0 ORDER BY likeness DESC, candidate LIMIT 3) best
$$;
COMMENT ON FUNCTION raxx_detect.nearest(text, text[]) IS 'The up to three candidates most like the name, by shared pairs of letters, for the HINT of an error; NULL if none is.';

CREATE FUNCTION raxx_detect.require_source(source text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM raxx_detect.source_kinds k WHERE k.source = require_source.source) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
        MESSAGE = format('unknown source %L', left(source, 100)),
        DETAIL = 'The sources are listed in raxx_detect.sources.',
        HINT = coalesce('The nearest are ' || raxx_detect.nearest(source, ARRAY(SELECT k.source FROM raxx_detect.source_kinds k)) || '.',
                        'None has a name like it.');
END $$;
COMMENT ON FUNCTION raxx_detect.require_source(text) IS 'Raises 42704 unless the source exists.';

CREATE FUNCTION raxx_detect.role_accepts(role_type regtype, column_type regtype) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE role_type
        WHEN 'timestamptz'::regtype THEN base = 'timestamptz'::regtype
        WHEN 'inet'::regtype THEN base IN ('inet'::regtype, 'cidr'::regtype)
        WHEN 'boolean'::regtype THEN base = 'boolean'::regtype
        WHEN 'text'::regtype THEN t.typcategory IN ('S', 'E', 'N', 'I') OR base = 'uuid'::regtype
        ELSE t.typcategory = 'N' AND base <> 'oid'::regtype
    END
    FROM (SELECT t.typcategory, coalesce(nullif(t.typbasetype, 0), t.oid)::regtype AS base
          FROM pg_type t WHERE t.oid = column_type) t
$$;
COMMENT ON FUNCTION raxx_detect.role_accepts(regtype, regtype) IS 'Whether a column of this type can play a role of that type; a domain counts as its base type.';

CREATE FUNCTION raxx_detect.column_type(relation regclass, column_name text) RETURNS regtype
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.atttypid::regtype FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attname::text = column_name AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION raxx_detect.column_type(regclass, text) IS 'The type of a column; NULL if there is no such column.';

CREATE FUNCTION raxx_detect.match_columns(source text, relation regclass, columns jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted record;
    column_name text;
    matched jsonb := '{}';
    all_columns text := (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
                         WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
BEGIN
    FOR wanted IN SELECT * FROM raxx_detect.source_roles r WHERE r.source = match_columns.source ORDER BY r.position LOOP
        column_name := coalesce(columns ->> wanted.role, wanted.role);
        IF raxx_detect.column_type(relation, column_name) IS NULL AND columns ->> wanted.role IS NULL
           AND wanted.role = 'event_time' THEN
            column_name := 'created_at';
        END IF;
        IF raxx_detect.column_type(relation, column_name) IS NULL THEN
            CONTINUE WHEN NOT wanted.required AND columns ->> wanted.role IS NULL;
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('relation %s has no column %I for the role %s of source %s', relation, column_name, wanted.role, source),
                DETAIL = format('Its columns are %s.', all_columns),
                HINT = format('Say which column plays the role: raxx_detect.bind_source(%L, %L, %L).', source, relation,
                    jsonb_build_object(wanted.role, 'column name'));
        END IF;
        IF NOT raxx_detect.role_accepts(wanted.type, raxx_detect.column_type(relation, column_name)) THEN
            RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
                MESSAGE = format('column %I of relation %s cannot play the role %s of source %s', column_name, relation, wanted.role, source),
                DETAIL = format('Its type is %s; the role needs %s.', raxx_detect.column_type(relation, column_name), wanted.type),
                HINT = 'Name another column, or bind a view in which this one is converted.';
        END IF;
        IF NOT has_column_privilege(relation, column_name, 'SELECT') THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('permission denied for column %I of relation %s', column_name, relation),
                DETAIL = format('Role %I may not read it.', current_user),
                HINT = format('GRANT SELECT ON %s TO %I;', relation, current_user);
        END IF;
        matched := matched || jsonb_build_object(wanted.role, column_name);
    END LOOP;
    RETURN matched;
END $$;
COMMENT ON FUNCTION raxx_detect.match_columns(text, regclass, jsonb) IS
'The column of the relation for each role of the source: the one named in columns, else the one of the role''s name, else created_at for event_time; optional roles may be missing. Raises 42703, 42804 or 42501.';

CREATE FUNCTION raxx_detect.wait_for_rules_of(source text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM raxx_detect.rules r WHERE wait_for_rules_of.source = ANY (r.sources || r.optional_sources)
    ORDER BY r.number NULLS LAST, r.rule_id FOR NO KEY UPDATE;
END $$;
COMMENT ON FUNCTION raxx_detect.wait_for_rules_of(text) IS
'Waits for the runs that are at the rules which read a source, and keeps others from them until the transaction ends: what they find belongs to the binding that they began with.';

CREATE FUNCTION raxx_detect.bind_source(source text, relation regclass, columns jsonb DEFAULT '{}',
    judge_from timestamptz DEFAULT '-infinity', lateness interval DEFAULT '5 minutes') RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    unknown_role text;
    matched jsonb;
    kind "char";
BEGIN
    PERFORM raxx_detect.require_source(source);
    IF relation IS NULL OR columns IS NULL OR judge_from IS NULL OR lateness IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('binding source %s needs a relation, columns, judge_from and lateness', source),
            DETAIL = 'One of the arguments is NULL.', HINT = 'Leave out what has a default.';
    END IF;
    SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = relation;
    IF kind IS NULL OR kind NOT IN ('r', 'p', 'v', 'm', 'f') THEN
        RAISE EXCEPTION USING ERRCODE = CASE WHEN kind IS NULL THEN 'undefined_table' ELSE 'wrong_object_type' END,
            MESSAGE = format('%s cannot be bound to source %s', relation, source),
            DETAIL = CASE WHEN kind IS NULL THEN 'There is no such relation.' ELSE 'It is neither a table nor a view nor a foreign table.' END,
            HINT = 'Name a table, partitioned table, view, materialized view or foreign table.';
    END IF;
    IF jsonb_typeof(columns) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'columns must be a JSON object', DETAIL = format('It is %s.', left(columns::text, 100)),
            HINT = 'Map roles to column names: {"event_time": "happened_at"}.';
    END IF;
    SELECT key INTO unknown_role FROM jsonb_object_keys(columns) key
    WHERE NOT EXISTS (SELECT FROM raxx_detect.source_roles r WHERE r.source = source AND r.role = key);
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('source %s has no role %L', source, unknown_role),
            DETAIL = format('Its roles are %s.', (SELECT string_agg(r.role, ', ' ORDER BY r.position)
                                                  FROM raxx_detect.source_roles r WHERE r.source = source)),
            HINT = 'The keys of columns are roles, the values column names; see raxx_detect.source_contracts.';
    END IF;
    IF lateness < '0' OR lateness > '30 days' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'lateness must be from 0 to 30 days', DETAIL = format('It is %s.', lateness),
            HINT = 'Give how long after its event_time a row may still be committed.';
    END IF;
    IF judge_from = 'infinity' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'judge_from must not be infinity', DETAIL = 'No row would ever be judged.',
            HINT = 'Give the time from which rows are judged; -infinity is the beginning.';
    END IF;
    matched := raxx_detect.match_columns(source, relation, columns);
    PERFORM raxx_detect.wait_for_rules_of(source);
    -- What stands for the source is another thing now: what was settled about the old one does not hold for it.
    DELETE FROM raxx_detect.coverage c USING raxx_detect.source_bindings b
    WHERE c.source = source AND b.source = source
      AND (b.relation, b.columns, b.judge_from) IS DISTINCT FROM (relation, matched, judge_from);
    DELETE FROM raxx_detect.baseline_days d USING raxx_detect.source_bindings b
    WHERE d.source = source AND b.source = source AND (b.relation, b.columns) IS DISTINCT FROM (relation, matched);
    DELETE FROM raxx_detect.baseline_starts s USING raxx_detect.source_bindings b
    WHERE s.source = source AND b.source = source AND (b.relation, b.columns) IS DISTINCT FROM (relation, matched);
    IF EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = source AND (b.relation, b.columns) IS DISTINCT FROM (relation, matched)) THEN
        PERFORM raxx_detect.forget_counts(source);
    END IF;
    INSERT INTO raxx_detect.source_bindings AS b (source, relation, columns, lateness, judge_from)
    VALUES (source, relation, matched, lateness, judge_from)
    ON CONFLICT ON CONSTRAINT source_bindings_pkey DO UPDATE
    SET relation = EXCLUDED.relation, columns = EXCLUDED.columns, lateness = EXCLUDED.lateness,
        judge_from = EXCLUDED.judge_from, bound_at = now(), bound_by = current_user;
    RETURN matched;
END $$;
COMMENT ON FUNCTION raxx_detect.bind_source(text, regclass, jsonb, timestamptz, interval) IS
'Says which relation stands for a source, and returns which column plays which role. columns maps roles to column names; a role left out is played by the column of its name, event_time also by created_at. Rows up to judge_from are never judged; a row may be committed up to lateness after its event_time and still be seen by every run. The rules that read the source go live by themselves at the next run, which judges a source that was bound to something else before from its beginning. Errors: 42704 unknown source, 42P01 no such relation, 42809 not a relation to read, 42703 no such column, 42804 wrong type, 42501 not permitted, 22023 unknown role.';

CREATE FUNCTION raxx_detect.unbind_source(source text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.require_source(source);
    PERFORM raxx_detect.wait_for_rules_of(source);
    DELETE FROM raxx_detect.coverage c WHERE c.source = unbind_source.source;
    DELETE FROM raxx_detect.baseline_days d WHERE d.source = unbind_source.source;
    DELETE FROM raxx_detect.baseline_starts s WHERE s.source = unbind_source.source;
    PERFORM raxx_detect.forget_counts(source);
    DELETE FROM raxx_detect.source_bindings b WHERE b.source = unbind_source.source;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION raxx_detect.unbind_source(text) IS
'Forgets which relation stands for a source; true if it was bound. Its rules turn dormant at the next run; findings stay, coverage begins anew when it is bound again. Error: 42704 unknown source.';

CREATE FUNCTION raxx_detect.autobind(OUT source text, OUT relation regclass, OUT outcome text) RETURNS SETOF record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    candidates regclass[];
    owners text;
BEGIN
    FOR source IN SELECT k.source FROM raxx_detect.source_kinds k
                  WHERE NOT EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = k.source)
                  ORDER BY k.position LOOP
        -- Reading a view runs its owner's functions with the reader's rights. So what anybody may have put there is left
        -- alone: only the caller's own relations, the database owner's and superusers' are taken.
        SELECT array_agg(c.oid::regclass ORDER BY n.nspname) FILTER (WHERE t.trusted),
               string_agg(DISTINCT pg_get_userbyid(c.relowner), ', ') FILTER (WHERE NOT t.trusted)
        INTO candidates, owners
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (SELECT r.rolname = current_user OR r.rolsuper OR r.oid = (SELECT d.datdba FROM pg_database d
                                       WHERE d.datname = current_database()) AS trusted
                            FROM pg_roles r WHERE r.oid = c.relowner) t
        WHERE c.relname::text = source AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname NOT LIKE E'pg\\_%' AND n.nspname NOT IN ('information_schema', 'raxx_detect');
        relation := candidates[1];
        IF cardinality(candidates) > 1 THEN
            relation := NULL;
            outcome := format('not bound: there are %s; bind one of them by hand', array_to_string(candidates, ' and '));
        ELSIF candidates IS NOT NULL THEN
            BEGIN
                outcome := 'bound: ' || raxx_detect.bind_source(source, relation)::text;
            EXCEPTION WHEN undefined_column OR datatype_mismatch OR insufficient_privilege THEN
                outcome := 'not bound: ' || sqlerrm;
            END;
        ELSIF owners IS NOT NULL THEN
            outcome := format('not bound: it belongs to %s; bind it by hand if you trust that role', owners);
        ELSE
            CONTINUE;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.autobind() IS
'Binds every unbound source to the relation of its own name, where there is exactly one and its columns fit; a row for each relation found, with what became of it. Looks in all schemas but the system''s and this extension''s, and takes only what belongs to the caller, the database''s owner or a superuser, since whoever owns a view runs code as whoever reads it.';

CREATE FUNCTION raxx_detect.create_source_table(source text, relation text DEFAULT NULL) RETURNS regclass
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[];
    target text;
    definition text;
    created regclass;
BEGIN
    PERFORM raxx_detect.require_source(source);
    parts := parse_ident(coalesce(relation, source));
    IF cardinality(parts) > 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_name',
            MESSAGE = format('%L is not the name of a table', relation), DETAIL = 'It has more than two parts.',
            HINT = 'Give name or schema.name.';
    END IF;
    target := CASE cardinality(parts) WHEN 2 THEN format('%I.%I', parts[1], parts[2]) ELSE format('public.%I', parts[1]) END;
    SELECT string_agg(format('%I %s%s', r.role, r.type, CASE WHEN r.role IN ('event_time', 'sample_time') THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY r.position)
    INTO definition FROM raxx_detect.source_roles r WHERE r.source = create_source_table.source;
    EXECUTE format('CREATE TABLE %s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, %s)', target, definition);
    EXECUTE format('CREATE INDEX ON %s (%I)', target, (SELECT r.role FROM raxx_detect.source_roles r
                                                      WHERE r.source = create_source_table.source AND r.position = 1));
    created := target::regclass;
    IF NOT EXISTS (SELECT FROM raxx_detect.source_bindings b WHERE b.source = create_source_table.source) THEN
        PERFORM raxx_detect.bind_source(source, created);
    END IF;
    RETURN created;
END $$;
COMMENT ON FUNCTION raxx_detect.create_source_table(text, text) IS
'Creates a table with the columns of a source, an id and an index on its time, and binds it if the source is not bound yet. relation: name or schema.name, quoted as in SQL; the default is the source''s own name; without a schema it goes into public. Errors: 42704 unknown source, 42P07 the table exists, 42602 not a name.';
