-- What pg_dump takes along, and how it comes back.
--
-- pg_dump writes CREATE EXTENSION in place of an extension's objects, and the rows of those of its tables that are named
-- below. Rows that CREATE EXTENSION itself inserts must not come a second time:
--   * Catalog tables (sources, methods, fixtures, mail domains) are dumped without their shipped rows.
--   * A shipped rule is dumped whole, since its parameters, state and texts may have changed. When its row comes back,
--     the one that CREATE EXTENSION has just made gives way: it takes over what was changed (rules.overrides) and the
--     state, and keeps all else, so that a dump of one version can be restored by a later one.
--   * The only row of heartbeat and statement_scraper gives way while nothing has been written to it.
-- "Gives way" is a trigger on INSERT, which a run never does to these tables; so it costs a run nothing, and it works under
-- COPY and --inserts, in any order of sections and in parallel. A row that has been used since CREATE EXTENSION does not give
-- way: a second restore, or one into a database at work, is a unique violation and changes nothing.
--
-- Foreign keys: those of ordinary tables are made after their rows are there; these are there before. A restore in one
-- session loads the tables in the order of their keys. One with several jobs does not, and would fail, baselines being
-- larger than the days that they refer to; so it loads these tables without asking, as it does all others (load_unchecked).
--
-- The alternatives: a condition that leaves out shipped rules would lose parameters and states; a table of its own for
-- what can change would turn rules into a view, or cost a join in each run; without foreign keys, deletes would have to
-- cascade by hand.

-- ---- what somebody has changed ------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.row_image(row_of_a_table anyelement) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
BEGIN
    RETURN to_jsonb(row_of_a_table);
END $$;
COMMENT ON FUNCTION raxx_detect.row_image(anyelement) IS 'A row as JSON, whatever the settings of the session, without loss: jsonb_populate_record gives the same row.';

CREATE FUNCTION raxx_detect.changed_columns(one raxx_detect.rules, other raxx_detect.rules) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(
        SELECT k.key FROM jsonb_each(raxx_detect.row_image(one)) k JOIN jsonb_each(raxx_detect.row_image(other)) o ON o.key = k.key
        WHERE k.value <> o.value AND k.key <> ALL ('{params,state,state_reason,state_since,last_validated,overrides,calibration,calibrated_at}')
        UNION ALL
        SELECT 'params.' || coalesce(k.key, o.key)
        FROM jsonb_each((one).params) k FULL JOIN jsonb_each((other).params) o ON o.key = k.key
        WHERE k.value IS DISTINCT FROM o.value
        ORDER BY 1)
$$;
COMMENT ON FUNCTION raxx_detect.changed_columns(raxx_detect.rules, raxx_detect.rules) IS
'In what two rows of a rule differ, as rules.overrides names it: columns, and parameters as params.NAME; not the columns that runs write.';

CREATE FUNCTION raxx_detect.with_overrides(shipped raxx_detect.rules, own raxx_detect.rules) RETURNS raxx_detect.rules
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_populate_record(shipped,
        (SELECT coalesce(jsonb_object_agg(k.key, k.value), '{}') FROM jsonb_each(raxx_detect.row_image(own)) k
         WHERE k.key = ANY ((own).overrides) OR k.key IN ('state', 'state_reason', 'state_since', 'last_validated', 'overrides', 'calibration', 'calibrated_at'))
        || jsonb_build_object('params', (shipped).params || (
            SELECT coalesce(jsonb_object_agg(k.key, k.value), '{}') FROM jsonb_each((own).params) k
            WHERE 'params.' || k.key = ANY ((own).overrides) AND (shipped).params ? k.key)))
$$;
COMMENT ON FUNCTION raxx_detect.with_overrides(raxx_detect.rules, raxx_detect.rules) IS
'A shipped rule with what somebody has changed of it in another version (own), and with its state. A parameter that the shipped rule does not have is left out.';

CREATE FUNCTION raxx_detect.replace_rule(rule raxx_detect.rules) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE (SELECT format('UPDATE raxx_detect.rules r SET (%1$s) = (SELECT %1$s FROM (SELECT ($1).*) n) WHERE r.rule_id = ($1).rule_id',
                           string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum))
             FROM pg_attribute a WHERE a.attrelid = 'raxx_detect.rules'::regclass AND a.attnum > 0 AND NOT a.attisdropped)
    USING rule;
END $$;
COMMENT ON FUNCTION raxx_detect.replace_rule(raxx_detect.rules) IS 'Puts a row in the place of the rule of its rule_id. For restores and updates of the extension; does not check anything.';

CREATE FUNCTION raxx_detect.note_overrides() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.overrides IS NOT DISTINCT FROM OLD.overrides THEN  -- else a restore or an update of the extension says what they are
        NEW.overrides := ARRAY(SELECT u FROM unnest(OLD.overrides) u UNION SELECT c FROM unnest(raxx_detect.changed_columns(OLD, NEW)) c ORDER BY 1);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.note_overrides() IS 'Trigger: keeps rules.overrides.';

-- What runs write (the state, last_validated) is not among the columns: they pass it by.
CREATE TRIGGER note_overrides BEFORE UPDATE OF rule_id, number, det_id, title, category, method, severity, sources, optional_sources,
    params, baseline_window, per_event, false_alarms_per_month, escalation_owner, prerequisites, ships, telemetry, how, thresholds,
    routes, runbook, do_not, waits_for, allows_exceptions
ON raxx_detect.rules FOR EACH ROW WHEN (OLD.overrides IS NOT NULL) EXECUTE FUNCTION raxx_detect.note_overrides();
COMMENT ON TRIGGER note_overrides ON raxx_detect.rules IS 'Notes what somebody changes of a shipped rule.';

-- ---- rows that give way ---------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.restore_rule() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shipped raxx_detect.rules;
BEGIN
    SELECT r.* INTO shipped FROM raxx_detect.rules r
    WHERE r.rule_id = NEW.rule_id AND r.overrides = '{}' AND r.state IN ('dormant', 'subsumed') AND r.last_validated IS NULL;
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    PERFORM raxx_detect.replace_rule(raxx_detect.with_overrides(shipped, NEW));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.restore_rule() IS
'Trigger: turns the INSERT of a shipped rule into an update of the one that CREATE EXTENSION has made, as long as nobody has changed that and no run has made it active.';

-- Whoever writes a rule of his own leaves overrides out, and has a unique violation if there is one of that name.
CREATE TRIGGER restore_rule BEFORE INSERT ON raxx_detect.rules
FOR EACH ROW WHEN (NEW.overrides IS NOT NULL) EXECUTE FUNCTION raxx_detect.restore_rule();
COMMENT ON TRIGGER restore_rule ON raxx_detect.rules IS 'Lets a dump''s row of a shipped rule in.';

CREATE FUNCTION raxx_detect.restore_only_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %s t WHERE t.%I IS NULL', TG_RELID::regclass, TG_ARGV[0]);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.restore_only_row() IS
'Trigger: lets a dump''s row into a table of one row, in place of the one that CREATE EXTENSION has made, which is known by the column of the trigger''s argument being NULL.';

CREATE TRIGGER restore_only_row BEFORE INSERT ON raxx_detect.heartbeat
FOR EACH ROW EXECUTE FUNCTION raxx_detect.restore_only_row('last_run_at');
COMMENT ON TRIGGER restore_only_row ON raxx_detect.heartbeat IS 'Lets a dump''s row in.';

CREATE TRIGGER restore_only_row BEFORE INSERT ON raxx_detect.statement_scraper
FOR EACH ROW EXECUTE FUNCTION raxx_detect.restore_only_row('taken_at');
COMMENT ON TRIGGER restore_only_row ON raxx_detect.statement_scraper IS 'Lets a dump''s row in.';

CREATE FUNCTION raxx_detect.restore_sweep() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM raxx_detect.sweeps w WHERE w.source = NEW.source AND w.tried_to IS NULL;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.restore_sweep() IS 'Trigger: lets a dump''s row of a source in, in place of the one that CREATE EXTENSION has made, as long as no sweep has been tried.';

CREATE TRIGGER restore_only_row BEFORE INSERT ON raxx_detect.notification_settings
FOR EACH ROW EXECUTE FUNCTION raxx_detect.restore_only_row('changed_at');
COMMENT ON TRIGGER restore_only_row ON raxx_detect.notification_settings IS 'Lets a dump''s row in.';

CREATE TRIGGER restore_only_row BEFORE INSERT ON raxx_detect.tuning_settings
FOR EACH ROW EXECUTE FUNCTION raxx_detect.restore_only_row('changed_at');
COMMENT ON TRIGGER restore_only_row ON raxx_detect.tuning_settings IS 'Lets a dump''s row in.';

CREATE FUNCTION raxx_detect.restore_shipped() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    replaced bigint;
BEGIN
    EXECUTE (SELECT format('UPDATE %1$s t SET (%2$s) = (SELECT %2$s FROM (SELECT ($1).*) n) WHERE t.%3$I = ($1).%3$I AND t.shipped',
                           TG_RELID::regclass, string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum), TG_ARGV[0])
             FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attnum > 0 AND NOT a.attisdropped)
    USING NEW;
    GET DIAGNOSTICS replaced = ROW_COUNT;
    RETURN CASE replaced WHEN 0 THEN NEW END;
END $$;
COMMENT ON FUNCTION raxx_detect.restore_shipped() IS
'Trigger: turns the INSERT of a dump''s row, known by check_function_bodies being off, into an update of the shipped one that nobody has changed and that has the same key, the column of the trigger''s argument.';

CREATE TRIGGER restore_shipped BEFORE INSERT ON raxx_detect.channels
FOR EACH ROW WHEN (current_setting('check_function_bodies') = 'off') EXECUTE FUNCTION raxx_detect.restore_shipped('channel');
COMMENT ON TRIGGER restore_shipped ON raxx_detect.channels IS 'Lets a dump''s row of a shipped channel in.';
CREATE TRIGGER restore_shipped BEFORE INSERT ON raxx_detect.routes
FOR EACH ROW WHEN (current_setting('check_function_bodies') = 'off') EXECUTE FUNCTION raxx_detect.restore_shipped('route');
COMMENT ON TRIGGER restore_shipped ON raxx_detect.routes IS 'Lets a dump''s row of a shipped route in.';

CREATE FUNCTION raxx_detect.restore_delivery() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.possible_repeat := true;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.restore_delivery() IS 'Trigger: what waits in a dump may have been sent by the dumped database since.';
CREATE TRIGGER restore_delivery BEFORE INSERT ON raxx_detect.deliveries
FOR EACH ROW WHEN (NEW.state IN ('pending', 'sending') AND current_setting('check_function_bodies') = 'off') EXECUTE FUNCTION raxx_detect.restore_delivery();
COMMENT ON TRIGGER restore_delivery ON raxx_detect.deliveries IS 'Marks what a dump says is to be sent as a possible repeat.';

CREATE TRIGGER restore_sweep BEFORE INSERT ON raxx_detect.sweeps FOR EACH ROW EXECUTE FUNCTION raxx_detect.restore_sweep();
COMMENT ON TRIGGER restore_sweep ON raxx_detect.sweeps IS 'Lets a dump''s row in.';

-- ---- foreign keys during a restore in parallel -------------------------------------------------------------------

CREATE FUNCTION raxx_detect.load_unchecked() RETURNS trigger
AS 'MODULE_PATHNAME', 'raxx_load_unchecked' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.load_unchecked() IS
'Trigger: lets pg_restore, known by check_function_bodies being off, put rows into a table before those that they refer to are there. What a dump holds was checked when it was written. Does nothing for a role that may not set session_replication_role: it restores in one session.';

DO $$
DECLARE
    referring regclass;
    half text;
BEGIN
    FOR referring IN SELECT DISTINCT k.conrelid::regclass FROM pg_constraint k
                     WHERE k.contype = 'f' AND k.connamespace = 'raxx_detect'::regnamespace ORDER BY 1 LOOP
        FOREACH half IN ARRAY '{before,after}'::text[] LOOP
            CONTINUE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = referring AND t.tgname = 'load_unchecked_' || half);
            EXECUTE format('CREATE TRIGGER load_unchecked_%1$s %1$s INSERT ON %2$s FOR EACH STATEMENT EXECUTE FUNCTION raxx_detect.load_unchecked()',
                           half, referring);
            EXECUTE format('ALTER TABLE %2$s ENABLE ALWAYS TRIGGER load_unchecked_%1$s', half, referring);
            EXECUTE format('COMMENT ON TRIGGER load_unchecked_%1$s ON %2$s IS %3$L', half, referring,
                           'For pg_restore: see raxx_detect.load_unchecked().');
        END LOOP;
    END LOOP;
END $$;
ALTER TABLE raxx_detect.rules ENABLE ALWAYS TRIGGER note_overrides;
ALTER TABLE raxx_detect.rules ENABLE ALWAYS TRIGGER restore_rule;
ALTER TABLE raxx_detect.sweeps ENABLE ALWAYS TRIGGER restore_sweep;
ALTER TABLE raxx_detect.channels ENABLE ALWAYS TRIGGER restore_shipped;
ALTER TABLE raxx_detect.routes ENABLE ALWAYS TRIGGER restore_shipped;
ALTER TABLE raxx_detect.deliveries ENABLE ALWAYS TRIGGER restore_delivery;

-- ---- what is shipped, and what is dumped --------------------------------------------------------------------------

-- All that is here by now is the extension's.
UPDATE raxx_detect.rules SET overrides = '{}';
UPDATE raxx_detect.source_kinds SET shipped = true;
UPDATE raxx_detect.source_roles SET shipped = true;
UPDATE raxx_detect.methods SET shipped = true;
UPDATE raxx_detect.method_parameters SET shipped = true;
UPDATE raxx_detect.free_mail_domains SET shipped = true;
UPDATE raxx_detect.channels SET shipped = true;
UPDATE raxx_detect.routes SET shipped = true;

-- The state in which a rule comes is no change of it.
-- Only at CREATE EXTENSION.
DELETE FROM raxx_detect.rule_state_changes;
-- Only at CREATE EXTENSION.
ALTER TABLE raxx_detect.rule_state_changes ALTER COLUMN change_id RESTART;

-- Every table and every sequence is dumped, those of later modules too; here is where not wholly.
DO $$
DECLARE
    dumped record;
BEGIN
    FOR dumped IN SELECT c.oid, coalesce(w.rows_dumped, '') AS condition
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'S')
    LEFT JOIN (VALUES
        ('source_kinds', 'WHERE NOT shipped'),
        ('source_roles', 'WHERE NOT shipped'),
        ('methods', 'WHERE NOT shipped'),
        ('method_parameters', 'WHERE NOT shipped'),
        ('free_mail_domains', 'WHERE NOT shipped'),
        ('fixtures', 'WHERE NOT shipped'),
        ('channels', 'WHERE NOT shipped'),
        ('routes', 'WHERE NOT shipped'),
        -- A relation that is gone would be dumped as its OID, and come back as whatever has that OID there; temporary
        -- ones are nobody else's.
        ('source_bindings', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation AND c.relpersistence <> ''t'')'),
        ('chains', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation AND c.relpersistence <> ''t'')'),
        ('chain_heads', 'WHERE chain_id IN (SELECT k.chain_id FROM raxx_detect.chains k JOIN pg_catalog.pg_class c ON c.oid = k.relation AND c.relpersistence <> ''t'')'),
        ('chain_records', 'WHERE chain_id IN (SELECT k.chain_id FROM raxx_detect.chains k JOIN pg_catalog.pg_class c ON c.oid = k.relation AND c.relpersistence <> ''t'')'),
        ('chain_checkpoints', 'WHERE chain_id IN (SELECT k.chain_id FROM raxx_detect.chains k JOIN pg_catalog.pg_class c ON c.oid = k.relation AND c.relpersistence <> ''t'')')
    ) w(table_name, rows_dumped) ON w.table_name = c.relname
    WHERE e.extname = 'raxx_detect' AND c.relpersistence <> 't'
    ORDER BY c.relname LOOP
        PERFORM pg_extension_config_dump(dumped.oid, dumped.condition);
    END LOOP;
END $$;
