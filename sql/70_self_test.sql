-- Self-test: each rule's fixtures, through the rule's real path, in a subtransaction that is rolled back.

CREATE TABLE raxx_detect.fixtures (
    rule_id text NOT NULL REFERENCES raxx_detect.rules,
    name text NOT NULL,
    fixture jsonb NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    PRIMARY KEY (rule_id, name)
);
COMMENT ON TABLE raxx_detect.fixtures IS
'What must fire and what must stay silent. A fixture has start; params, parameters of the rule that it is tried with in place of the shipped ones (rarely); sources, whose rows have their time as an offset from start (at; with every and until a series, in whose texts {n} is the running number, counted from 1, and a number may be a counter: {"from": 0, "per_n": 2.5} is from + {n} * 2.5); as_of; and expect, the findings in order of (episode, entity), each with the columns to compare, an episode as two offsets, the end null while it lasts. chain: source, whose table gets a hash chain, and tamper, what is then done to its entries (do: modify, delete, copy or unseal; from and to), or to those of another source that is named there; needs a key. Optional: expect_state and expect_outcome of the run, each a text, or an array where it is up to the server. Exactly the sources that are named are bound; one with no rows is bound and empty.';

CREATE FUNCTION raxx_detect.fixture_rows(fixture jsonb, source text) RETURNS SETOF jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH lines AS MATERIALIZED (
        SELECT r.row, (r.row - '{at,every,until}'::text[])::text AS template, (fixture ->> 'start')::timestamptz AS start,
               (SELECT jsonb_object_agg(c.key, c.value) FROM jsonb_each(r.row) c WHERE jsonb_typeof(c.value) = 'object') AS counters,
               (SELECT k.role FROM raxx_detect.source_roles k WHERE k.source = fixture_rows.source AND k.position = 1) AS time_role
        FROM jsonb_array_elements(fixture -> 'sources' -> source) r(row)
    )
    SELECT replace(l.template, '{n}', t.n::text)::jsonb || jsonb_build_object(l.time_role, t.event_time)
        || CASE WHEN l.counters IS NULL THEN '{}' ELSE (
            SELECT jsonb_object_agg(c.key, coalesce((c.value ->> 'from')::numeric, 0) + t.n * (c.value ->> 'per_n')::numeric)
            FROM jsonb_each(l.counters) c) END
    FROM lines l CROSS JOIN LATERAL generate_series(l.start + (l.row ->> 'at')::interval,
        l.start + coalesce(l.row ->> 'until', l.row ->> 'at')::interval,
        coalesce(l.row ->> 'every', '1 day')::interval) WITH ORDINALITY t(event_time, n)
$$;
COMMENT ON FUNCTION raxx_detect.fixture_rows(jsonb, text) IS 'The rows that a fixture puts into a source, as JSON objects by role.';

CREATE FUNCTION raxx_detect.load_fixture(fixture jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    filled text;
    target text;
    roles text;
BEGIN
    DELETE FROM raxx_detect.source_bindings;
    FOR filled IN SELECT jsonb_object_keys(fixture -> 'sources') LOOP
        target := format('pg_temp.%I', 'raxx_fixture_' || filled);
        PERFORM raxx_detect.create_source_table(filled, target);
        SELECT string_agg(format('%I', r.role), ', ' ORDER BY r.position) INTO roles
        FROM raxx_detect.source_roles r WHERE r.source = filled;
        EXECUTE format('INSERT INTO %1$s (%2$s) SELECT %2$s FROM raxx_detect.fixture_rows($1, $2) f
                        CROSS JOIN LATERAL jsonb_populate_record(NULL::%1$s, f) r', target, roles)
        USING fixture, filled;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.load_fixture(jsonb) IS 'Puts a fixture''s rows into temporary tables, and binds exactly those. Only for a subtransaction that is rolled back.';

CREATE FUNCTION raxx_detect.tamper(relation regclass, event_time name, tampering jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(CASE tampering ->> 'do'
        WHEN 'modify' THEN 'UPDATE %1$s SET %2$I = %2$I + interval ''1 second'' WHERE id BETWEEN $1 AND $2'
        WHEN 'delete' THEN 'DELETE FROM %1$s WHERE id BETWEEN $1 AND $2'
        WHEN 'unseal' THEN 'UPDATE %1$s SET raxx_seq = NULL WHERE id BETWEEN $1 AND $2'
        WHEN 'copy' THEN 'INSERT INTO %1$s (%2$I, raxx_seq, raxx_prev, raxx_mac) SELECT %2$I, raxx_seq, raxx_prev, raxx_mac FROM %1$s WHERE id BETWEEN $1 AND $2' END,
        relation, event_time)
    USING (tampering ->> 'from')::bigint, (tampering ->> 'to')::bigint;
END $$;
COMMENT ON FUNCTION raxx_detect.tamper(regclass, name, jsonb) IS 'What a fixture says that somebody does to rows with these ids.';

CREATE FUNCTION raxx_detect.load_fixture_chain(fixture jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source text := fixture -> 'chain' ->> 'source';
    attached regclass := format('pg_temp.%I', 'raxx_fixture_' || source);
    tampering jsonb := fixture -> 'chain' -> 'tamper';
BEGIN
    PERFORM raxx_detect.chain_attach(attached);
    PERFORM raxx_detect.chain_seal(attached, 100000);
    IF tampering IS NOT NULL THEN
        PERFORM raxx_detect.tamper(format('pg_temp.%I', 'raxx_fixture_' || coalesce(tampering ->> 'source', source))::regclass, 'event_time', tampering);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.load_fixture_chain(jsonb) IS 'Attaches the hash chain that a fixture asks for, seals its rows, and does to them what it says.';

CREATE FUNCTION raxx_detect.fixture_lacks(fixture jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF fixture ? 'chain' THEN
        PERFORM raxx_detect.newest_chain_key();
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlerrm;
END $$;
COMMENT ON FUNCTION raxx_detect.fixture_lacks(jsonb) IS 'What there has to be for a fixture to be tried, and is not; NULL: nothing.';

CREATE FUNCTION raxx_detect.observe_fixture(rule raxx_detect.rules, fixture jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run raxx_detect.rule_run;
    observed jsonb;
BEGIN
    BEGIN
        -- A copy of the rule, so that its own findings, coverage and locks stay out of it.
        rule.rule_id := rule.rule_id || ' (self-test)';
        rule.det_id := rule.det_id || ' (self-test)';
        rule.number := NULL;
        rule.shadow_of := NULL;
        rule.state := 'dormant';
        rule.params := rule.params || coalesce(fixture -> 'params', '{}');
        INSERT INTO raxx_detect.rules SELECT rule.*;
        PERFORM raxx_detect.load_fixture(fixture);
        IF fixture ? 'chain' THEN
            PERFORM raxx_detect.load_fixture_chain(fixture);
        END IF;
        run := raxx_detect.run_rule(rule.rule_id, (fixture ->> 'start')::timestamptz + (fixture ->> 'as_of')::interval);
        observed := to_jsonb(run) || jsonb_build_object('findings', (
            SELECT coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('episode', jsonb_build_array(lower(f.episode), upper(f.episode)))
                                      ORDER BY lower(f.episode), f.entity), '[]')
            FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id));
        RAISE EXCEPTION USING ERRCODE = 'RX000', MESSAGE = 'this rolls the self-test back';
    EXCEPTION WHEN SQLSTATE 'RX000' THEN
        RETURN observed;
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.observe_fixture(raxx_detect.rules, jsonb) IS 'What the rule makes of a fixture: the run, and its findings. Leaves nothing behind.';

CREATE FUNCTION raxx_detect.expected_findings(fixture jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(CASE WHEN NOT e ? 'episode' THEN e ELSE e || jsonb_build_object('episode', jsonb_build_array(
               s.start + (e -> 'episode' ->> 0)::interval, s.start + (e -> 'episode' ->> 1)::interval)) END ORDER BY position), '[]')
    FROM jsonb_array_elements(fixture -> 'expect') WITH ORDINALITY x(e, position)
    CROSS JOIN LATERAL (SELECT (fixture ->> 'start')::timestamptz AS start) s
$$;
COMMENT ON FUNCTION raxx_detect.expected_findings(jsonb) IS 'The findings that a fixture expects, with times in place of offsets.';

CREATE FUNCTION raxx_detect.same_findings(expected jsonb, observed jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_typeof(observed) = 'array' AND jsonb_array_length(expected) = jsonb_array_length(observed) AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(expected) WITH ORDINALITY x(e, position)
        CROSS JOIN LATERAL jsonb_each(e) k
        WHERE observed -> (position - 1)::int -> k.key IS DISTINCT FROM k.value)
$$;
COMMENT ON FUNCTION raxx_detect.same_findings(jsonb, jsonb) IS 'Whether there are as many findings as expected, each equal in every column that is expected of it.';

CREATE FUNCTION raxx_detect.expected_of(fixture jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT fixture ?| '{expect_state,expect_outcome}' THEN raxx_detect.expected_findings(fixture)
           ELSE jsonb_build_object('findings', raxx_detect.expected_findings(fixture))
                || CASE WHEN fixture ? 'expect_state' THEN jsonb_build_object('state', fixture -> 'expect_state') ELSE '{}' END
                || CASE WHEN fixture ? 'expect_outcome' THEN jsonb_build_object('outcome', fixture -> 'expect_outcome') ELSE '{}' END END
$$;
COMMENT ON FUNCTION raxx_detect.expected_of(jsonb) IS 'What a fixture expects: the findings, or an object of these, the state and the outcome, if it expects them, too.';

CREATE FUNCTION raxx_detect.observed_of(fixture jsonb, run jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN fixture ?| '{expect_state,expect_outcome}' THEN run
                WHEN run ->> 'outcome' IN ('ok', 'no_data') THEN run -> 'findings'
                ELSE run - 'findings' END
$$;
COMMENT ON FUNCTION raxx_detect.observed_of(jsonb, jsonb) IS 'What is compared with what a fixture expects: the findings, or the run with them; the run alone if it did not judge, though no other outcome was expected.';

CREATE FUNCTION raxx_detect.is_as_expected(expected jsonb, observed jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(expected) = 'array' THEN raxx_detect.same_findings(expected, observed)
           ELSE raxx_detect.same_findings(expected -> 'findings', observed -> 'findings')
                AND coalesce(expected -> 'state' @> (observed -> 'state'), true)
                AND coalesce(expected -> 'outcome' @> (observed -> 'outcome'), true) END
$$;
COMMENT ON FUNCTION raxx_detect.is_as_expected(jsonb, jsonb) IS 'Whether the findings are those expected, and the state and the outcome are the one expected or one of those.';

CREATE FUNCTION raxx_detect.run_self_test(only_rule text)
RETURNS TABLE (rule_id text, fixture text, expected jsonb, observed jsonb, ok boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    rule raxx_detect.rules;
    f raxx_detect.fixtures;
    all_ok boolean;
    lacks text;
BEGIN
    IF only_rule IS NOT NULL THEN
        PERFORM raxx_detect.find_rule(only_rule);
    END IF;
    FOR rule IN SELECT r.* FROM raxx_detect.rules r
                WHERE (only_rule IS NULL OR r.rule_id = only_rule)
                  AND EXISTS (SELECT FROM raxx_detect.fixtures x WHERE x.rule_id = r.rule_id)
                ORDER BY r.number NULLS LAST, r.rule_id LOOP
        all_ok := true;
        FOR f IN SELECT x.* FROM raxx_detect.fixtures x WHERE x.rule_id = rule.rule_id ORDER BY x.name LOOP
            rule_id := rule.rule_id;
            fixture := f.name;
            expected := raxx_detect.expected_of(f.fixture);
            lacks := raxx_detect.fixture_lacks(f.fixture);
            observed := CASE WHEN lacks IS NULL THEN raxx_detect.observed_of(f.fixture, raxx_detect.observe_fixture(rule, f.fixture))
                             ELSE jsonb_build_object('not tried', lacks) END;
            ok := CASE WHEN lacks IS NULL THEN raxx_detect.is_as_expected(expected, observed) END;
            all_ok := all_ok AND coalesce(ok, false);
            RETURN NEXT;
        END LOOP;
        -- What only proves that a rule stays silent validates nothing.
        IF all_ok AND EXISTS (SELECT FROM raxx_detect.fixtures x WHERE x.rule_id = rule.rule_id AND x.fixture -> 'expect' <> '[]') THEN
            UPDATE raxx_detect.rules r SET last_validated = now() WHERE r.rule_id = rule.rule_id;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.run_self_test(text) IS 'What raxx_detect.self_test does.';

-- An argument and a result column are both called rule_id, which PL/pgSQL does not allow.
CREATE FUNCTION raxx_detect.self_test(rule_id text DEFAULT NULL, OUT rule_id text, OUT fixture text, OUT expected jsonb,
    OUT observed jsonb, OUT ok boolean)
RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.rule_id, t.fixture, t.expected, t.observed, t.ok FROM raxx_detect.run_self_test($1) t
$$;
COMMENT ON FUNCTION raxx_detect.self_test(text) IS
'Runs the fixtures of one rule or of all, each through the rule''s real path and rolled back, and says for each what was expected, what was observed and whether they agree (ok; NULL where it could not be tried, since there is no key for hash chains). Sets last_validated of the rules whose fixtures all passed, if one of them makes the rule fire. Error: 42704 unknown rule.';
