-- Evidence that cannot rot: a finding keeps hashes of the rows that its evidence names, and says so when one of them later
-- changes or vanishes. The hashes are taken in the finding's transaction, once, and looked at again once a day.
--
-- Two for each row: of the columns that the source's roles name, which is what rules read, and of all others; so a status that an
-- application keeps beside the row is told from a row that was tampered with. They are not in the evidence itself: findings are compared
-- across schedules, and a hash of few possible values can be guessed by whoever has it. Each finding has a salt of its own.

CREATE TABLE raxx_detect.finding_rows (
    finding_id bigint PRIMARY KEY REFERENCES raxx_detect.detection_findings ON DELETE CASCADE,
    taken_at timestamptz NOT NULL,
    taken_by name NOT NULL,
    row_security boolean NOT NULL,
    salt bytea NOT NULL,
    columns name[] NOT NULL,
    kinds text[] NOT NULL,
    read_columns int NOT NULL,
    positions int[] NOT NULL,
    read_hashes bytea[] NOT NULL,
    other_hashes bytea[] NOT NULL,
    checked_at timestamptz NOT NULL,
    changed int NOT NULL DEFAULT 0,
    vanished int NOT NULL DEFAULT 0,
    problem text,
    CHECK (cardinality(positions) = cardinality(read_hashes) AND cardinality(positions) = cardinality(other_hashes))
);
CREATE INDEX finding_rows_to_check ON raxx_detect.finding_rows (checked_at) WHERE vanished < cardinality(positions);
COMMENT ON TABLE raxx_detect.finding_rows IS
'Hashes of the rows that a finding''s evidence names: SHA-256 of a salt and the canonical form of the columns (raxx_detect.canonical_row), so that neither settings nor encodings matter. Who may read both could guess a row of few possible values: readers of findings need not be granted this table.';
COMMENT ON COLUMN raxx_detect.finding_rows.taken_by IS 'Who read the rows. What another role sees is not compared if row security holds for either.';
COMMENT ON COLUMN raxx_detect.finding_rows.columns IS 'The columns that are covered, the first read_columns of which are those that the source''s roles name. Columns that are added later are not among them, nor those of a chain (raxx_seq, raxx_prev, raxx_mac), nor those of a type without a canonical form.';
COMMENT ON COLUMN raxx_detect.finding_rows.kinds IS 'The canonical kind of each of these columns; where it is another by now, the column is not compared.';
COMMENT ON COLUMN raxx_detect.finding_rows.positions IS 'Of each hash the place, from 1, of its row''s key in evidence -> rows -> first_rows. Without a primary key that is a time, which several rows may have.';
COMMENT ON COLUMN raxx_detect.finding_rows.read_hashes IS 'Of the columns that the roles name; NULL where the row is too large.';
COMMENT ON COLUMN raxx_detect.finding_rows.other_hashes IS 'Of the other columns; NULL where there are none, or the row is too large.';
COMMENT ON COLUMN raxx_detect.finding_rows.problem IS 'What kept the rows from being read when they were last looked at, or from being covered at all.';

-- ---- reading the rows ---------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.evidence_relation(finding raxx_detect.detection_findings) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        -- A binding follows its relation through a new name; one that was made since may be to another.
        SELECT coalesce((SELECT b.relation FROM raxx_detect.source_bindings b JOIN pg_class c ON c.oid = b.relation
                         WHERE b.source = finding.source AND b.bound_at <= finding.detected_at),
                        to_regclass(finding.evidence #>> '{rows,relation}'))
    );
END $$;
COMMENT ON FUNCTION raxx_detect.evidence_relation(raxx_detect.detection_findings) IS 'The relation whose rows a finding''s evidence names: the one bound then, by whatever name; NULL if there is none any more.';

CREATE FUNCTION raxx_detect.evidence_key(finding raxx_detect.detection_findings) RETURNS name[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT ARRAY(SELECT k.name::name FROM jsonb_array_elements_text(finding.evidence #> '{rows,key}') WITH ORDINALITY k(name, n) ORDER BY k.n)
    );
END $$;
COMMENT ON FUNCTION raxx_detect.evidence_key(raxx_detect.detection_findings) IS 'The columns by which a finding''s evidence names rows.';

CREATE FUNCTION raxx_detect.is_primary_key(relation regclass, columns name[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary
            AND columns = ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.n))
    );
END $$;
COMMENT ON FUNCTION raxx_detect.is_primary_key(regclass, name[]) IS 'Whether these columns are the primary key, in its order, so that they name one row at most.';

CREATE FUNCTION raxx_detect.covered_columns(relation regclass, roles jsonb, OUT columns name[], OUT kinds text[], OUT read_columns int)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    read_ones name[] := ARRAY(SELECT r.value::name FROM jsonb_each_text(roles) r);
BEGIN
    SELECT coalesce(array_agg(c.attname ORDER BY c.is_read DESC, c.attnum), '{}'), coalesce(array_agg(c.kind ORDER BY c.is_read DESC, c.attnum), '{}'),
           count(*) FILTER (WHERE c.is_read)
    INTO columns, kinds, read_columns
    FROM (SELECT a.attname, a.attnum, raxx_detect.canonical_kind(a.atttypid::regtype) AS kind, a.attname = ANY (read_ones) AS is_read
          FROM pg_attribute a
          WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(relation, a.attnum, 'SELECT')
            AND a.attname <> ALL ('{raxx_seq,raxx_prev,raxx_mac}')) c
    WHERE c.kind IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.covered_columns(regclass, jsonb) IS
'The columns of a relation that hashes may cover, with their canonical kinds: those that the caller may read and whose type has a canonical form, those that play roles first. The columns of a hash chain are filled in later, and are no part of the row.';

CREATE FUNCTION raxx_detect.hash_of_columns(columns name[], most text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN columns = '{}' THEN 'NULL::bytea'
               ELSE format('CASE WHEN %s <= %s THEN sha256($2 || raxx_detect.canonical_row(%s)) END',
                   string_agg(format('coalesce(pg_column_size(t.%I), 0)', c), ' + ' ORDER BY n), most, string_agg(format('t.%I', c), ', ' ORDER BY n)) END
        FROM unnest(columns) WITH ORDINALITY u(c, n)
    );
END $$;
COMMENT ON FUNCTION raxx_detect.hash_of_columns(name[], text) IS 'The expression, over a row t, of the hash of columns with the salt $2; NULL for a row larger than most bytes as it is stored.';

CREATE FUNCTION raxx_detect.row_hashes(relation regclass, key name[], rows jsonb, columns name[], read_columns int, salt bytea, most_bytes int,
    condition text DEFAULT 'true', compared text DEFAULT NULL, patterns text[] DEFAULT NULL,
    OUT row_position int, OUT read_hash bytea, OUT other_hash bytea)
RETURNS SETOF record ROWS 20 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off  -- the keys are few
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT k.position::int, %4$s, %5$s
         FROM (SELECT DISTINCT ON (e.key) e.key, e.position FROM jsonb_array_elements($1) WITH ORDINALITY e(key, position)
               WHERE jsonb_typeof(e.key) = ''array'' ORDER BY e.key, e.position) k
         CROSS JOIN LATERAL (SELECT %3$s FROM %1$s t WHERE %2$s AND (%6$s) LIMIT 101) t ORDER BY k.position',
        relation,
        (SELECT string_agg(format('t.%I = (k.key ->> %s)::%s', u.c, u.n - 1, format_type(a.atttypid, NULL)), ' AND ' ORDER BY u.n)
         FROM unnest(key) WITH ORDINALITY u(c, n) JOIN pg_attribute a ON a.attrelid = relation AND a.attname = u.c),
        coalesce((SELECT string_agg(format('t.%I', c), ', ') FROM unnest(columns) c), 'NULL'),
        raxx_detect.hash_of_columns(columns[:read_columns], '$5'), raxx_detect.hash_of_columns(columns[read_columns + 1:], '$5'), condition)
    USING rows, salt, compared, patterns, most_bytes;
END $$;
COMMENT ON FUNCTION raxx_detect.row_hashes(regclass, name[], jsonb, name[], int, bytea, int, text, text, text[]) IS
'The hashes of the rows that keys name, with the place of the key: at most 101 rows for each. Rows larger than most_bytes have none. condition: over a row t, with $3 for compared and $4 for patterns, as raxx_detect.measure_of makes it. Keys that were too long to be kept whole name nothing.';

-- ---- taking the hashes ------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.hash_rows(finding raxx_detect.detection_findings) RETURNS raxx_detect.finding_rows
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings := (SELECT b FROM raxx_detect.source_bindings b WHERE b.source = finding.source);
    rule raxx_detect.rules := (SELECT r FROM raxx_detect.rules r WHERE r.rule_id = finding.rule_id);
    key name[] := raxx_detect.evidence_key(finding);
    covered record := raxx_detect.covered_columns(binding.relation, binding.columns);
    m raxx_detect.series_measure;
    result raxx_detect.finding_rows;
BEGIN
    result.finding_id := finding.finding_id;
    result.taken_at := now(); result.taken_by := current_user; result.checked_at := now();
    result.row_security := row_security_active(binding.relation);
    result.salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
    result.columns := covered.columns; result.kinds := covered.kinds; result.read_columns := covered.read_columns;
    result.changed := 0; result.vanished := 0;
    -- A time may be shared with rows that the finding is not about.
    IF NOT raxx_detect.is_primary_key(binding.relation, key) THEN
        m := raxx_detect.measure_of(rule, binding, finding);
    END IF;
    SELECT coalesce(array_agg(h.row_position ORDER BY h.row_position), '{}'), coalesce(array_agg(h.read_hash ORDER BY h.row_position), '{}'),
           coalesce(array_agg(h.other_hash ORDER BY h.row_position), '{}')
    INTO result.positions, result.read_hashes, result.other_hashes
    FROM (SELECT x.*, count(*) OVER (PARTITION BY x.row_position) AS sharing
          FROM raxx_detect.row_hashes(binding.relation, key, finding.evidence #> '{rows,first_rows}', covered.columns, covered.read_columns, result.salt, 65536,
              coalesce('(' || m.value || ') IS NOT NULL', 'true'), m.compared, m.patterns) x) h
    WHERE h.sharing <= 100;
    IF cardinality(result.positions) > 100 THEN
        result.read_hashes := result.read_hashes[:100]; result.other_hashes := result.other_hashes[:100]; result.positions := result.positions[:100];
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.hash_rows(raxx_detect.detection_findings) IS
'The hashes of the rows that a finding''s evidence names, as they are now, with a new salt. Not covered: rows larger than 64 kB as they are stored, keys that were too long to be kept whole, and of a relation without a primary key the instants that more than 100 rows share, and all rows after the first hundred.';

CREATE FUNCTION raxx_detect.keep_evidence() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken raxx_detect.finding_rows;
    state text; message text; detail text;
BEGIN
    IF NEW.evidence #> '{rows,first_rows}' IS NULL THEN
        RETURN NULL;
    END IF;
    -- A finding without hashes is better than none.
    BEGIN
        IF TG_OP = 'UPDATE' THEN  -- what has happened to the rows that it named until now would be forgotten
            PERFORM raxx_detect.compare_evidence(OLD);
            DELETE FROM raxx_detect.finding_rows h WHERE h.finding_id = NEW.finding_id;
        END IF;
        BEGIN
            taken := raxx_detect.hash_rows(NEW);
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            taken := (NEW.finding_id, now(), current_user, false, '', '{}', '{}', 0, '{}', '{}', '{}', now(), 0, 0, NULL);
            taken.problem := left(raxx_detect.error_in_words(state, message, detail, NULL), 500);
        END;
        INSERT INTO raxx_detect.finding_rows SELECT taken.*;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING USING ERRCODE = 'insufficient_privilege', MESSAGE = format('finding %s is kept without hashes of its rows: %s', NEW.finding_id, sqlerrm),
            DETAIL = format('Role %I runs the rules.', current_user),
            HINT = format('GRANT SELECT, INSERT, UPDATE, DELETE ON raxx_detect.finding_rows TO %I;', current_user);
    END;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_evidence() IS
'Trigger: takes the hashes of the rows that a finding''s evidence names, when it is found, and again when it comes to name others. What keeps them from being taken is noted in raxx_detect.finding_rows, or a warning where that may not be written; the finding is written all the same.';

CREATE TRIGGER keep_evidence AFTER INSERT ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.detected_at = now() AND NOT raxx_detect.is_trial(NEW.rule_id)) EXECUTE FUNCTION raxx_detect.keep_evidence();
COMMENT ON TRIGGER keep_evidence ON raxx_detect.detection_findings IS 'Takes the hashes of a new finding''s rows. Rows that a dump brings have theirs.';

CREATE TRIGGER keep_new_evidence AFTER UPDATE OF evidence ON raxx_detect.detection_findings FOR EACH ROW
WHEN (NEW.updated_at = now() AND NOT raxx_detect.is_trial(NEW.rule_id) AND OLD.evidence -> 'rows' IS DISTINCT FROM NEW.evidence -> 'rows')
EXECUTE FUNCTION raxx_detect.keep_evidence();
COMMENT ON TRIGGER keep_new_evidence ON raxx_detect.detection_findings IS 'Takes the hashes of the rows that a finding has come to name.';

-- ---- comparing ----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.what_is_comparable(relation regclass, h raxx_detect.finding_rows, OUT problem text, OUT read_differs text, OUT other_differs text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    problem := CASE WHEN relation IS NULL THEN 'the relation is not there any more'
        WHEN h.taken_by <> current_user AND (h.row_security OR row_security_active(relation))
        THEN format('role "%s" may see other rows than role "%s", which took them as evidence', current_user, h.taken_by) END;
    SELECT string_agg(c.differs, ', ') FILTER (WHERE c.is_read), string_agg(c.differs, ', ') FILTER (WHERE NOT c.is_read) INTO read_differs, other_differs
    FROM (SELECT u.n <= h.read_columns AS is_read,
                 CASE WHEN a.attname IS NULL THEN format('column "%s" is gone', u.c)
                      WHEN NOT has_column_privilege(relation, a.attnum, 'SELECT') THEN format('role "%s" may not read column "%s"', current_user, u.c)
                      WHEN raxx_detect.canonical_kind(a.atttypid::regtype) IS DISTINCT FROM u.kind THEN format('column "%s" is of another type by now', u.c) END AS differs
          FROM unnest(h.columns, h.kinds) WITH ORDINALITY u(c, kind, n)
          LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = u.c AND a.attnum > 0 AND NOT a.attisdropped) c;
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_comparable(regclass, raxx_detect.finding_rows) IS
'What keeps the rows of a relation from being compared with the hashes of a finding at all (problem), by what rules read, and by the other columns: NULL, NULL, NULL if nothing does.';

CREATE FUNCTION raxx_detect.compared_rows(finding raxx_detect.detection_findings, h raxx_detect.finding_rows, OUT row_position int, OUT state text)
RETURNS SETOF record ROWS 20 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    relation regclass := raxx_detect.evidence_relation(finding);
    comparable record := raxx_detect.what_is_comparable(relation, h);
    key name[] := raxx_detect.evidence_key(finding);
    columns name[] := CASE WHEN comparable.read_differs IS NOT NULL THEN '{}' WHEN comparable.other_differs IS NOT NULL THEN h.columns[:h.read_columns] ELSE h.columns END;
BEGIN
    IF comparable.problem IS NOT NULL OR EXISTS (SELECT FROM unnest(key) c WHERE NOT EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = c AND a.attnum > 0 AND NOT a.attisdropped
            AND has_column_privilege(relation, a.attnum, 'SELECT'))) THEN
        RETURN QUERY SELECT p.n, 'not known' FROM unnest(h.positions) p(n);
        RETURN;
    END IF;
    RETURN QUERY
    WITH rows_now AS MATERIALIZED (
        SELECT n.*, count(*) OVER (PARTITION BY n.row_position) AS sharing,
               row_number() OVER (PARTITION BY n.row_position, n.read_hash) AS same_read, row_number() OVER (PARTITION BY n.row_position, n.read_hash, n.other_hash) AS same
        FROM raxx_detect.row_hashes(relation, key, finding.evidence #> '{rows,first_rows}', columns, h.read_columns, h.salt, 1048576) n
    ), rows_then AS (
        SELECT t.*, t.read_hash IS NULL OR comparable.read_differs IS NOT NULL AS only_there,
               t.other_hash IS NULL OR comparable.other_differs IS NOT NULL AS only_read,
               row_number() OVER (PARTITION BY t.row_position, t.read_hash) AS same_read, row_number() OVER (PARTITION BY t.row_position, t.read_hash, t.other_hash) AS same
        FROM unnest(h.positions, h.read_hashes, h.other_hashes) t(row_position, read_hash, other_hash)
    )
    SELECT t.row_position,
           CASE WHEN NOT EXISTS (SELECT FROM rows_now n WHERE n.row_position = t.row_position) THEN 'vanished'
                WHEN t.only_there THEN 'not known'
                WHEN EXISTS (SELECT FROM rows_now n WHERE n.row_position = t.row_position AND n.read_hash = t.read_hash
                             AND CASE WHEN t.only_read THEN n.same_read = t.same_read ELSE n.other_hash = t.other_hash AND n.same = t.same END) THEN 'as it was'
                WHEN EXISTS (SELECT FROM rows_now n WHERE n.row_position = t.row_position AND n.sharing > 100) THEN 'not known'
                WHEN EXISTS (SELECT FROM rows_now n WHERE n.row_position = t.row_position AND n.read_hash = t.read_hash AND n.same_read = t.same_read) THEN 'changed elsewhere'
                ELSE 'changed' END
    FROM rows_then t;
END $$;
COMMENT ON FUNCTION raxx_detect.compared_rows(raxx_detect.detection_findings, raxx_detect.finding_rows) IS
'What has become of each row that hashes were taken of: as it was; changed (in a column that the source''s roles name; of rows known by their time alone it may be gone, and others of that time be left); changed elsewhere (in other columns only); vanished; not known (it cannot be compared any more).';

CREATE FUNCTION raxx_detect.evidence_now(finding_id bigint, OUT row_key jsonb, OUT state text)
RETURNS SETOF record ROWS 20 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    finding raxx_detect.detection_findings := raxx_detect.find_finding($1);
    h raxx_detect.finding_rows := (SELECT r FROM raxx_detect.finding_rows r WHERE r.finding_id = $1);
BEGIN
    RETURN QUERY
    SELECT k.key, coalesce(c.state, 'not covered')
    FROM jsonb_array_elements(finding.evidence #> '{rows,first_rows}') WITH ORDINALITY k(key, n)
    LEFT JOIN raxx_detect.compared_rows(finding, h) c ON c.row_position = k.n
    WHERE c.row_position IS NOT NULL OR k.n = (SELECT min(f.n) FROM jsonb_array_elements(finding.evidence #> '{rows,first_rows}') WITH ORDINALITY f(key, n) WHERE f.key = k.key)
    ORDER BY k.n;
END $$;
COMMENT ON FUNCTION raxx_detect.evidence_now(bigint) IS
'The rows that a finding''s evidence names, by their keys (without a primary key, by their times, one line for each row of that time that is covered), and what has become of each since: as it was, changed (in what rules read), changed elsewhere (in other columns only), vanished, not known (it cannot be compared any more: see raxx_detect.check_evidence), not covered (no hash of it was taken). Reads the rows with the caller''s rights; changes nothing. Error: 42704 no such finding.';

CREATE FUNCTION raxx_detect.find_finding(finding_id bigint) RETURNS raxx_detect.detection_findings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    finding raxx_detect.detection_findings;
BEGIN
    SELECT f.* INTO finding FROM raxx_detect.detection_findings f WHERE f.finding_id = find_finding.finding_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('there is no finding %s', coalesce(finding_id::text, 'NULL')),
            DETAIL = coalesce((SELECT format('The findings go from %s to %s; one that the rows no longer showed has been withdrawn.', min(f.finding_id), max(f.finding_id))
                               FROM raxx_detect.detection_findings f HAVING count(*) > 0), 'Nothing has been found yet.'),
            HINT = 'The findings are in raxx_detect.detection_findings.';
    END IF;
    RETURN finding;
END $$;
COMMENT ON FUNCTION raxx_detect.find_finding(bigint) IS 'The finding; raises 42704 if there is none.';

CREATE FUNCTION raxx_detect.evidence_in_words(finding raxx_detect.detection_findings, states text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := coalesce(raxx_detect.evidence_relation(finding)::text, finding.evidence #>> '{rows,relation}');
    total bigint := cardinality(states);
    said text;
BEGIN
    SELECT string_agg(concat_ws(' ', CASE WHEN total = 1 THEN NULL WHEN c.number < total THEN c.number::text WHEN total = 2 THEN 'both' ELSE 'all ' || total END,
                                CASE c.number WHEN 1 THEN w.one ELSE w.more END), ', ' ORDER BY w.n) INTO said
    FROM (VALUES (1, 'as it was', 'is as it was', 'are as they were'),
                 (2, 'changed', 'has changed in what the rule reads', 'have changed in what the rule reads'),
                 (3, 'changed elsewhere', 'has changed in other columns only', 'have changed in other columns only'),
                 (4, 'vanished', 'has vanished (as happens to old rows on purpose, too)', 'have vanished (as happens to old rows on purpose, too)'),
                 (5, 'not known', 'cannot be compared any more', 'cannot be compared any more')) w(n, state, one, more)
    JOIN (SELECT s AS state, count(*) AS number FROM unnest(states) s GROUP BY s) c ON c.state = w.state;
    RETURN CASE total WHEN 0 THEN 'No hashes of its rows were kept.' WHEN 1 THEN format('The row of %s that is evidence %s.', relation, said)
                      ELSE format('Of the %s rows of %s that are evidence, %s.', total, relation, said) END;
END $$;
COMMENT ON FUNCTION raxx_detect.evidence_in_words(raxx_detect.detection_findings, text[]) IS 'What has become of the rows that a finding''s evidence names, in a sentence.';

CREATE FUNCTION raxx_detect.compare_evidence(finding raxx_detect.detection_findings) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    h raxx_detect.finding_rows;
    comparable record;
    differs text;
    states text[];
    changed int;
    vanished int;
    unknown int;
    said text;
BEGIN
    SELECT r.* INTO h FROM raxx_detect.finding_rows r WHERE r.finding_id = finding.finding_id;
    IF NOT FOUND OR h.positions = '{}' THEN
        RETURN coalesce('No hashes of its rows could be taken: ' || h.problem, 'No hashes of its rows were kept.');
    END IF;
    comparable := raxx_detect.what_is_comparable(raxx_detect.evidence_relation(finding), h);
    differs := coalesce(comparable.problem, nullif(concat_ws('; ', comparable.read_differs, comparable.other_differs), ''));
    states := ARRAY(SELECT c.state FROM raxx_detect.compared_rows(finding, h) c);
    SELECT count(*) FILTER (WHERE s LIKE 'changed%'), count(*) FILTER (WHERE s = 'vanished'), count(*) FILTER (WHERE s = 'not known') INTO changed, vanished, unknown FROM unnest(states) s;
    said := raxx_detect.evidence_in_words(finding, states)
        || coalesce(' Not all is compared: ' || differs || '.', '');
    -- What cannot be looked at is not back to what it was.
    UPDATE raxx_detect.finding_rows r
    SET checked_at = now(), problem = differs,
        changed = CASE WHEN unknown = 0 THEN changed ELSE greatest(r.changed, changed) END, vanished = CASE WHEN unknown = 0 THEN vanished ELSE greatest(r.vanished, vanished) END
    WHERE r.finding_id = finding.finding_id;
    IF changed + vanished > 0 OR finding.evidence_changed_at IS NOT NULL AND unknown = 0 THEN
        UPDATE raxx_detect.detection_findings f SET evidence_changed_at = coalesce(f.evidence_changed_at, now()), evidence_note = said
        WHERE f.finding_id = finding.finding_id AND f.evidence_note IS DISTINCT FROM said;
    END IF;
    RETURN said;
END $$;
COMMENT ON FUNCTION raxx_detect.compare_evidence(raxx_detect.detection_findings) IS 'What raxx_detect.check_evidence does, with a finding as it is, or was.';

CREATE FUNCTION raxx_detect.check_evidence(finding_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.compare_evidence(raxx_detect.find_finding(finding_id));
END $$;
COMMENT ON FUNCTION raxx_detect.check_evidence(bigint) IS
'Looks whether the rows that a finding''s evidence names are still as they were, and says so in a sentence. Where they are not, the finding says so from then on (evidence_changed_at, evidence_note); nothing else of it changes, and nobody is told. Errors: 42704 no such finding, 42501 not permitted to read the rows.';

CREATE FUNCTION raxx_detect.finds_quickly(relation regclass, column_name name) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND a.attname = column_name)
        OR raxx_detect.column_type(relation, column_name) = 'timestamptz'::regtype AND raxx_detect.has_time_order(relation, column_name);
END $$;
COMMENT ON FUNCTION raxx_detect.finds_quickly(regclass, name) IS 'Whether a row is found by the value of a column without reading all: by an index that begins with it, or, beneath a view or on another server, as far as its order of time tells.';

CREATE FUNCTION raxx_detect.check_evidence_daily(at_most int DEFAULT 200) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    stops CONSTANT timestamptz := clock_timestamp() + interval '5 seconds';
    checked int := 0;
    finding raxx_detect.detection_findings;
    relation regclass;
    id bigint;
    problem text;
BEGIN
    IF NOT has_table_privilege('raxx_detect.finding_rows', 'SELECT, UPDATE') OR NOT has_table_privilege('raxx_detect.finding_rows', 'UPDATE') THEN
        RETURN 0;
    END IF;
    FOR id IN SELECT h.finding_id FROM raxx_detect.finding_rows h
              WHERE h.checked_at < now() - interval '20 hours' AND h.vanished < cardinality(h.positions) ORDER BY h.checked_at LIMIT at_most LOOP
        EXIT WHEN clock_timestamp() > stops;
        -- Who is at one of them now has it checked another day.
        PERFORM FROM raxx_detect.finding_rows h WHERE h.finding_id = id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        SELECT f.* INTO finding FROM raxx_detect.detection_findings f WHERE f.finding_id = id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        problem := NULL;
        BEGIN
            relation := raxx_detect.evidence_relation(finding);
            IF relation IS NOT NULL AND NOT raxx_detect.finds_quickly(relation, (raxx_detect.evidence_key(finding))[1]) THEN
                problem := 'no index finds its rows, so that they are looked at on demand only: raxx_detect.check_evidence';
            ELSE
                PERFORM raxx_detect.compare_evidence(finding);
                checked := checked + 1;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF raxx_detect.is_for_the_caller(sqlstate) THEN
                RAISE;
            END IF;
            problem := left(raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL), 500);
        END;
        IF problem IS NOT NULL THEN
            UPDATE raxx_detect.finding_rows h SET checked_at = now(), problem = problem WHERE h.finding_id = id;
        END IF;
    END LOOP;
    RETURN checked;
END $$;
COMMENT ON FUNCTION raxx_detect.check_evidence_daily(int) IS
'raxx_detect.check_evidence for at most so many findings, those first that were not looked at for longest, and for at most five seconds; run_all calls it at its first run of a UTC day. Returns how many were compared. Findings whose rows have all vanished are not looked at again, nor are relations in which a row cannot be found without reading all. What fails is noted in raxx_detect.finding_rows.problem.';
