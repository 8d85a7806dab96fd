-- The install script of version 0.1.0, by which updates from it are made and tested. Of its fixtures only those of one rule
-- are whole: an update replaces them all, and needs their names only.
-- raxx_detect: the install script, made of the modules in sql/ in the order of their names.
--
-- Every name below is schema-qualified, and operators resolve in pg_catalog only, so that nothing that somebody may
-- have put into the schema beforehand can slip in.
\echo Use "CREATE EXTENSION raxx_detect CASCADE" to load this file. \quit
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TYPE raxx_detect.severity AS ENUM ('low', 'medium', 'high', 'critical');
COMMENT ON TYPE raxx_detect.severity IS 'How bad a finding is, in ascending order.';
-- The methods as plain functions on any relation: for ad hoc use, and for checking the engine, which uses the same
-- evaluators. They read with the caller's rights, take no lock but a reader's, and can be cancelled at any time.

CREATE FUNCTION raxx_detect.velocity_episodes(relation regclass, event_time name, entity name, time_window interval,
    threshold bigint, from_time timestamptz, to_time timestamptz, OUT entity text, OUT episode tstzrange, OUT peak bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_velocity_episodes' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.velocity_episodes(regclass, name, name, interval, bigint, timestamptz, timestamptz) IS
'When an entity was too fast: the maximal intervals [start, end) of instants t for which (t - time_window, t] holds at least threshold rows of one entity, with the most rows that one window held (peak). Reads the rows with from_time < event_time <= to_time; an episode ends when its last window does, be that after to_time. Ordered by start, then entity. Rows with a NULL entity or an infinite time are ignored, and counted in a NOTICE; the empty string is an entity. Entities are the same when their texts are. event_time: a timestamptz column; time_window: positive, no months; threshold: at least 1; infinite bounds are open ones. Errors: 22023 value out of range, 22004 NULL argument, 42703 no such column, 42804 wrong type, 42501 not permitted, 54000 the window does not fit raxx_detect.memory_limit.';

CREATE FUNCTION raxx_detect.distinct_episodes(relation regclass, event_time name, entity name, value name,
    time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz,
    OUT entity text, OUT episode tstzrange, OUT peak bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_distinct_episodes' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.distinct_episodes(regclass, name, name, name, interval, bigint, timestamptz, timestamptz) IS
'As raxx_detect.velocity_episodes, but counting the distinct values in each window, exactly. Rows with a NULL value are ignored and counted, too.';

CREATE FUNCTION raxx_detect.gaps(relation regclass, event_time name, longer_than interval, from_time timestamptz,
    to_time timestamptz, OUT gap tstzrange, OUT length interval)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_gaps' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.gaps(regclass, name, interval, timestamptz, timestamptz) IS
'The silences: every [row, next row) longer than longer_than among the rows with from_time < event_time <= to_time, in order of time. What lies before the first row and after the last one is not a gap, since nothing in the range bounds it. Infinite times are ignored. Arguments and errors as raxx_detect.velocity_episodes.';

CREATE FUNCTION raxx_detect.gap_quantiles(relation regclass, event_time name, quantile float8, from_time timestamptz,
    to_time timestamptz, OUT hour int, OUT gaps bigint, OUT quantile interval)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_gap_quantiles' LANGUAGE C STABLE ROWS 24;
COMMENT ON FUNCTION raxx_detect.gap_quantiles(regclass, name, float8, timestamptz, timestamptz) IS
'The cadence of a table: for each UTC hour of the day in which gaps begin, how many there are, and the quantile (0 to 1) of their lengths at the nearest rank, as percentile_disc counts it, at most 0.1 % off. In constant memory. Arguments and errors as raxx_detect.gaps.';

-- What the rules are evaluated with: any of the methods, with a filter and the number of rows that took part.
CREATE FUNCTION raxx_detect.episodes(method text, relation regclass, event_time name, entity name, value name, filter name,
    patterns text[], network int[], time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz,
    OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_episodes' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.episodes(text, regclass, name, name, name, name, text[], int[], interval, bigint, timestamptz, timestamptz) IS
'Episodes by method: velocity (rows), distinct (distinct values of the value column) or email_pattern (rows by the registrable domain, and by the shape at that domain, of the entity column, which holds e-mail addresses). filter: a column, or NULL for none; only rows in which it is LIKE any of patterns count. network: the prefix lengths of IPv4 and IPv6 by which addresses in the entity column are client networks, NULL for single addresses. sample_size: the rows in the window that held the peak. Otherwise as raxx_detect.velocity_episodes, without the NOTICE: raxx_detect.reading() has the counts.';

CREATE FUNCTION raxx_detect.limited_episodes(method text, relation regclass, event_time name, entity name, value name, filter name,
    patterns text[], network int[], time_window interval, limit_entities text[], limit_from timestamptz[], limits bigint[],
    from_time timestamptz, to_time timestamptz, OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_limited_episodes' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.limited_episodes(text, regclass, name, name, name, name, text[], int[], interval, text[], timestamptz[], bigint[], timestamptz, timestamptz) IS
'As raxx_detect.episodes, with a threshold for each entity, from a time on until the entity''s next: three arrays of one length, without NULLs (22004, 22023). Entities that have none, and times before an entity''s first, have no episodes. An episode begins with a row that finds the threshold of its time reached, and ends when a row leaves, or comes, and finds it missed.';

CREATE FUNCTION raxx_detect.client_network(address inet, ipv4_prefix int, ipv6_prefix int) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_client_network' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.client_network(inet, int, int) IS
'The client network that an address is in: its first ipv4_prefix or ipv6_prefix bits, as text, 203.0.113.7 or 2001:db8:0:1::/64. An IPv4 address mapped into IPv6 (::ffff:203.0.113.7) counts as IPv4; an address with a shorter netmask keeps it. NULL arguments give NULL; 22023 for a prefix length out of range.';

CREATE FUNCTION raxx_detect.episodes_of(method text, times timestamptz[], entities text[], keys text[], time_window interval,
    threshold bigint, OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_episodes_of' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.episodes_of(text, timestamptz[], text[], text[], interval, bigint) IS
'As raxx_detect.episodes, of rows given as arrays in any order, for rows that no filter on a column can choose. method: velocity (rows; keys are not looked at) or distinct (distinct keys). Rows with a NULL element or an infinite time are ignored, and counted in raxx_detect.reading(). Errors: 22004 NULL argument (keys may be NULL for velocity), 22023 arrays of unequal length, an unknown method or a value out of range, 54000 more rows than half of raxx_detect.memory_limit sorts.';

CREATE FUNCTION raxx_detect.add_reading(rows_read bigint, null_rows bigint) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_add_reading' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.add_reading(bigint, bigint) IS
'Adds to raxx_detect.reading() what an evaluator read that is written in SQL. Does nothing with NULL.';

CREATE FUNCTION raxx_detect.reading(OUT rows_read bigint, OUT null_rows bigint, OUT infinite_times bigint)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_reading' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.reading() IS
'What the evaluations of this session have read so far: all rows, and of them those ignored for a NULL entity or value, or for an infinite time.';
-- Statistics: immutable, parallel safe, exact to 1e-11 relative. NULL arguments give NULL.

CREATE FUNCTION raxx_detect.poisson_upper_tail(k bigint, mean float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_poisson_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.poisson_upper_tail(bigint, float8) IS
'P(X >= k) of a Poisson distribution: the regularised lower incomplete gamma function P(k, mean). Error 22023 unless mean is finite and not negative.';

CREATE FUNCTION raxx_detect.binomial_upper_tail(k bigint, n bigint, p float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_binomial_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.binomial_upper_tail(bigint, bigint, float8) IS
'P(X >= k) of n trials that each succeed with probability p: the regularised incomplete beta function I_p(k, n - k + 1). Error 22023 for a negative n or a p outside 0 to 1.';

CREATE FUNCTION raxx_detect.negative_binomial_upper_tail(k bigint, mean float8, variance float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_negative_binomial_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.negative_binomial_upper_tail(bigint, float8, float8) IS
'P(X >= k) of a negative binomial distribution with this mean and variance, for counts more scattered than Poisson''s: I_x(k, r) with r = mean^2 / (variance - mean), x = 1 - mean / variance. A variance equal to the mean is Poisson. Error 22023 for a variance below the mean.';

CREATE FUNCTION raxx_detect.critical_count(mean float8, variance float8, tail float8) RETURNS bigint
AS 'MODULE_PATHNAME', 'raxx_critical_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.critical_count(float8, float8, float8) IS
'What a count must reach to be this unlikely: the smallest k >= 0 with P(X >= k) <= tail, where X is negative binomial of this mean and variance, or Poisson where the variance is at most the mean. Means up to 1e9; the answer stops at 2^53, which stands for a count that is never reached. Error 22023 unless mean and variance are finite, mean is not negative and tail is above 0 and at most 1.';

CREATE FUNCTION raxx_detect.normal_upper_tail(z float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_normal_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.normal_upper_tail(float8) IS
'P(X >= z) of the standard normal distribution: erfc(z / sqrt(2)) / 2. Error 22023 for NaN.';

CREATE FUNCTION raxx_detect.chi_squared_upper_tail(x float8, df float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_chi_squared_upper_tail' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.chi_squared_upper_tail(float8, float8) IS
'P(X >= x) of a chi-squared distribution with df degrees of freedom: the regularised upper incomplete gamma function Q(df / 2, x / 2). Error 22023 for NaN or a df that is not positive.';

CREATE FUNCTION raxx_detect.ks_test(x float8[], y float8[], OUT d float8, OUT p_value float8) RETURNS record
AS 'MODULE_PATHNAME', 'raxx_ks_test' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.ks_test(float8[], float8[]) IS
'Two-sample, two-sided Kolmogorov-Smirnov test, as ks.test of R 4.2: exact, ties included (Schroeer and Trenkler 1995), while the product of the sample sizes is below 10000, else the limiting distribution without a correction for small samples. NULL and NaN elements are left out. Error 22023 if a sample has no element left.';

CREATE FUNCTION raxx_detect.benford_accumulate(state bigint[], value numeric) RETURNS bigint[]
AS 'MODULE_PATHNAME', 'raxx_benford_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_accumulate(bigint[], numeric) IS 'Transition function of raxx_detect.benford.';

CREATE FUNCTION raxx_detect.benford_combine(state bigint[], other bigint[]) RETURNS bigint[]
AS 'MODULE_PATHNAME', 'raxx_benford_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_combine(bigint[], bigint[]) IS 'Combine function of raxx_detect.benford.';

CREATE TYPE raxx_detect.benford_test AS (n bigint, chi_squared float8, p_value float8, mad float8, skipped bigint);
COMMENT ON TYPE raxx_detect.benford_test IS 'What raxx_detect.benford returns.';

CREATE FUNCTION raxx_detect.benford_result(state bigint[]) RETURNS raxx_detect.benford_test
AS 'MODULE_PATHNAME', 'raxx_benford_result' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.benford_result(bigint[]) IS 'Final function of raxx_detect.benford.';

CREATE AGGREGATE raxx_detect.benford(numeric) (
    SFUNC = raxx_detect.benford_accumulate, STYPE = bigint[], INITCOND = '{0,0,0,0,0,0,0,0,0,0}',
    COMBINEFUNC = raxx_detect.benford_combine, FINALFUNC = raxx_detect.benford_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.benford(numeric) IS
'How far the first significant digits are from Benford''s law, log10(1 + 1/d): their number n, chi-squared (8 degrees of freedom) and its p_value, the mean absolute deviation of the nine shares (Nigrini), and how many values were skipped because they have no first digit (zero, NaN, infinities). Signs do not matter; NULLs are ignored. Without any digit the statistics are NULL.';

CREATE FUNCTION raxx_detect.email_pattern(email text, OUT domain text, OUT registrable_domain text, OUT shape text)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_email_pattern' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.email_pattern(text) IS
'What an address has in common with others: its domain in lower case, the registrable domain by the public suffix list (libpsl''s built-in one), and the shape of its local part: without +tag and dots, each run of letters an a, each run of digits a 9. NULL where there is none; what is not an address has none at all.';
-- Sources: what the rules read. A source is a name with roles; binding it says which relation and columns play them.

CREATE TABLE raxx_detect.source_kinds (
    source text PRIMARY KEY,
    position int NOT NULL UNIQUE,
    rows_called text NOT NULL,
    meaning text NOT NULL,
    expected_every interval  -- how long it may be silent before it counts as stale; NULL: silence is normal
);
COMMENT ON TABLE raxx_detect.source_kinds IS 'The sources there are, and how often each must have an event to count as fresh (NULL: silence says nothing).';

CREATE TABLE raxx_detect.source_roles (
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    role text NOT NULL,
    position int NOT NULL,
    type regtype NOT NULL,
    required boolean NOT NULL,
    meaning text NOT NULL,
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
    -- What stands for the source is another thing now: what was settled about the old one does not hold for it.
    DELETE FROM raxx_detect.coverage c USING raxx_detect.source_bindings b
    WHERE c.source = source AND b.source = source
      AND (b.relation, b.columns, b.judge_from) IS DISTINCT FROM (relation, matched, judge_from);
    DELETE FROM raxx_detect.baseline_days d USING raxx_detect.source_bindings b
    WHERE d.source = source AND b.source = source AND (b.relation, b.columns) IS DISTINCT FROM (relation, matched);
    DELETE FROM raxx_detect.baseline_starts s USING raxx_detect.source_bindings b
    WHERE s.source = source AND b.source = source AND (b.relation, b.columns) IS DISTINCT FROM (relation, matched);
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
    DELETE FROM raxx_detect.coverage c WHERE c.source = unbind_source.source;
    DELETE FROM raxx_detect.baseline_days d WHERE d.source = unbind_source.source;
    DELETE FROM raxx_detect.baseline_starts s WHERE s.source = unbind_source.source;
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
          AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'raxx_detect');
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
-- The type quantile_sketch: quantiles of any number of values in a few kilobytes, that merge. Immutable, parallel safe;
-- NULL arguments give NULL.

CREATE TYPE raxx_detect.quantile_sketch;

CREATE FUNCTION raxx_detect.quantile_sketch_in(cstring) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_in(cstring) IS
'Reads a quantile sketch from text. Error 22P02 for whatever is not a whole and consistent sketch of a version that is known.';

CREATE FUNCTION raxx_detect.quantile_sketch_out(raxx_detect.quantile_sketch) RETURNS cstring
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_out(raxx_detect.quantile_sketch) IS
'Writes a quantile sketch as text: version;count;min;max;key:count,key:count,... No setting changes it, and reading it gives the same sketch.';

CREATE FUNCTION raxx_detect.quantile_sketch_recv(internal) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_recv(internal) IS
'Reads a quantile sketch from bytes. Error 22P03 for whatever is not a whole and consistent sketch of a version that is known.';

CREATE FUNCTION raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch) RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch) IS
'Writes a quantile sketch as bytes, big-endian: version, count, min, max, then a key and a count for each bucket. Sketches of the same values have the same bytes.';

CREATE TYPE raxx_detect.quantile_sketch (
    INPUT = raxx_detect.quantile_sketch_in, OUTPUT = raxx_detect.quantile_sketch_out,
    RECEIVE = raxx_detect.quantile_sketch_recv, SEND = raxx_detect.quantile_sketch_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE raxx_detect.quantile_sketch IS
'How often which values occurred: a histogram whose buckets are a sign, an exponent and the top 8 bits of the mantissa of a double (after DDSketch, Masson, Rim and Lee 2019). 32 bytes and 12 for each bucket that is not empty: a factor of 2 has 256 of them, all doubles together a million. A quantile is off by less than 1/256 (0.4 %) of its value at any q and any count; see raxx_detect.quantile. Sketches of the same values are the same, byte for byte, in whatever order and grouping they were made and merged.';

CREATE FUNCTION raxx_detect.quantile_sketch_accumulate(state raxx_detect.quantile_sketch, value float8)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_accumulate(raxx_detect.quantile_sketch, float8) IS
'The sketch with one value more; transition function of raxx_detect.quantile_sketch. NaN is ignored. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_accumulate(state raxx_detect.quantile_sketch, value float8, weight bigint)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_accumulate(raxx_detect.quantile_sketch, float8, bigint) IS
'The sketch with a value that occurred weight times more; transition function of raxx_detect.quantile_sketch with weights. NaN and a weight of 0 are ignored. Errors: 22023 for a negative weight, 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_combine(state raxx_detect.quantile_sketch, other raxx_detect.quantile_sketch)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_combine(raxx_detect.quantile_sketch, raxx_detect.quantile_sketch) IS
'The sketch of the values of both; combine function of raxx_detect.quantile_sketch, transition and combine function of raxx_detect.merge. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_final(state raxx_detect.quantile_sketch) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_final' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_final(raxx_detect.quantile_sketch) IS
'The sketch, without the room to spare that a state has while it is filled; final function of raxx_detect.quantile_sketch and raxx_detect.merge.';

CREATE AGGREGATE raxx_detect.quantile_sketch(float8) (
    SFUNC = raxx_detect.quantile_sketch_accumulate, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.quantile_sketch(float8) IS
'The quantile sketch of the values; quantile(quantile_sketch(x), 0.999) asks it. NULL and NaN are ignored, the infinities are values, the two zeros are one. Without a value it is a sketch of none.';

CREATE AGGREGATE raxx_detect.quantile_sketch(value float8, weight bigint) (
    SFUNC = raxx_detect.quantile_sketch_accumulate, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.quantile_sketch(float8, bigint) IS
'The quantile sketch of values that each occurred weight times: the same, byte for byte, as that of a row for each time. Rows with a NULL, a value of NaN or a weight of 0 are ignored. Errors: 22023 for a negative weight, 22003 for more than 9223372036854775807 values.';

CREATE AGGREGATE raxx_detect.merge(raxx_detect.quantile_sketch) (
    SFUNC = raxx_detect.quantile_sketch_combine, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.merge(raxx_detect.quantile_sketch) IS
'The sketch of all values of the sketches, the same that quantile_sketch would have made of them. NULL is ignored; without a sketch it is a sketch of no value. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile(sketch raxx_detect.quantile_sketch, q float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile(raxx_detect.quantile_sketch, float8) IS
'The value at rank ceil(q * count), as percentile_disc has it, or less than 1/256 (0.4 %) of it nearer to zero, at any q and any count; q = 0 is the minimum. Exact are the least and the greatest value, the infinities and whole numbers up to 512. Below 2.3e-308, where doubles lose precision, it is off by up to 8.7e-311. NULL for a sketch of no value. Error 22023 for a q outside 0 to 1.';

CREATE FUNCTION raxx_detect.sketch_count(sketch raxx_detect.quantile_sketch) RETURNS bigint
AS 'MODULE_PATHNAME', 'raxx_sketch_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_count(raxx_detect.quantile_sketch) IS 'How many values the sketch is of.';

CREATE FUNCTION raxx_detect.sketch_share_above(sketch raxx_detect.quantile_sketch, x float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_sketch_share_above' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_share_above(raxx_detect.quantile_sketch, float8) IS
'The share of the values in buckets that lie wholly above x, 0 to 1. It never exceeds the share of the values above x, and falls short by at most the share of the bucket of x, which is less than 1/256 of x wide. Exact for whole numbers and a whole x from -512 to 511, and for an x outside the range of the values. NULL for a sketch of no value. Error 22023 if x is NaN.';

CREATE FUNCTION raxx_detect.sketch_ks_test(x raxx_detect.quantile_sketch, y raxx_detect.quantile_sketch, OUT d float8, OUT p_value float8)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_sketch_ks_test' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_ks_test(raxx_detect.quantile_sketch, raxx_detect.quantile_sketch) IS
'Two-sample, two-sided Kolmogorov-Smirnov test on sketches: d is the largest difference of the two distribution functions at the ends of buckets, at most the d of the values themselves, and p_value is Kolmogorov''s limit at d whatever the counts; so the test is conservative. (Not ks_test by name: a call of that with two untyped literals would be ambiguous.) Error 22023 if a sketch is of no value.';
-- Rules as rows: a method, sources, parameters and prose. The shipped ones follow in 21_catalog.sql.

CREATE TABLE raxx_detect.methods (
    method text PRIMARY KEY,
    evaluator text,
    learner text,
    rechecker text,
    meaning text NOT NULL
);
COMMENT ON TABLE raxx_detect.methods IS 'How rules judge. evaluator: the function that does it; NULL: this version has none. learner: the function that keeps a day of a baseline; NULL: the method has none. rechecker: the function that looks again, at each run, at the findings that are not cleared, of sources other than the one judged (rule, binding, as_of), and returns how many it changed; NULL: the method has none.';

CREATE TABLE raxx_detect.method_parameters (
    method text NOT NULL REFERENCES raxx_detect.methods,
    name text NOT NULL,
    type text NOT NULL,
    minimum float8,
    maximum float8,
    meaning text NOT NULL,
    PRIMARY KEY (method, name)
);
COMMENT ON TABLE raxx_detect.method_parameters IS 'The parameters of each method. Limits of an array hold for each element; the minimum of a float8 is exclusive.';

CREATE TABLE raxx_detect.rules (
    rule_id text PRIMARY KEY,
    number int UNIQUE,
    det_id text NOT NULL UNIQUE,
    title text NOT NULL,
    category text NOT NULL,
    method text NOT NULL REFERENCES raxx_detect.methods,
    severity raxx_detect.severity NOT NULL,
    sources text[] NOT NULL,
    optional_sources text[] NOT NULL DEFAULT '{}',
    params jsonb NOT NULL,
    baseline_window interval,
    per_event boolean NOT NULL,
    false_alarms_per_month float8 NOT NULL,
    escalation_owner text NOT NULL,
    prerequisites text[] NOT NULL DEFAULT '{}',
    ships text NOT NULL,
    telemetry text NOT NULL,
    how text NOT NULL,
    thresholds text NOT NULL,
    routes text NOT NULL,
    runbook text NOT NULL,
    do_not text NOT NULL,
    waits_for text,
    state text NOT NULL DEFAULT 'dormant'
        CHECK (state IN ('dormant', 'placeholder', 'live', 'subsumed', 'disabled', 'retired')),
    state_reason text NOT NULL DEFAULT 'not looked at yet',
    state_since timestamptz NOT NULL DEFAULT now(),
    last_validated timestamptz
);
COMMENT ON TABLE raxx_detect.rules IS 'The rules. Change parameters with raxx_detect.set_params, which checks them.';
COMMENT ON COLUMN raxx_detect.rules.severity IS 'The highest severity that a finding of the rule can have.';
COMMENT ON COLUMN raxx_detect.rules.waits_for IS 'What somebody has to do so that the rule''s sources exist, its reason while one is not bound; NULL: nothing but to bind them.';
COMMENT ON COLUMN raxx_detect.rules.false_alarms_per_month IS 'What the rule is declared to cost in false alarms.';
COMMENT ON COLUMN raxx_detect.rules.last_validated IS 'When raxx_detect.self_test last passed for the rule.';

CREATE TABLE raxx_detect.rule_state_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    from_state text NOT NULL,
    to_state text NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE raxx_detect.rule_state_changes IS 'Every change of a rule''s state, with its cause.';

INSERT INTO raxx_detect.methods (method, meaning) VALUES
    ('velocity', 'Many rows of one entity in a sliding window.'),
    ('distinct', 'Many distinct values of one entity in a sliding window.'),
    ('distinct + velocity', 'Either of the two, over the same rows; what overlaps is one finding.'),
    ('pattern', 'Many e-mail addresses with a common domain or shape in a sliding window.'),
    ('gap', 'A silence longer than the hours of the day explain.'),
    ('chain', 'A hash chain that does not hold.'),
    ('spike', 'A count per minute far above its own history.'),
    ('drift', 'A distribution that is no longer the one of the days before.'),
    ('quantile', 'A rate above the highest quantile of its own history.'),
    ('benford', 'First digits that do not follow Benford''s law.'),
    ('ratio', 'A share of failures that chance does not explain.'),
    ('unmatched', 'An event without the record that should go with it.');

CREATE FUNCTION raxx_detect.find_rule(rule_id text) RETURNS raxx_detect.rules
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules;
BEGIN
    SELECT r.* INTO rule FROM raxx_detect.rules r WHERE r.rule_id = find_rule.rule_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('unknown rule %L', left(rule_id, 100)),
            DETAIL = 'The rules are listed in raxx_detect.status.',
            HINT = coalesce('The nearest are ' || raxx_detect.nearest(rule_id, ARRAY(SELECT r.rule_id FROM raxx_detect.rules r)) || '.',
                            'None has a name like it.');
    END IF;
    RETURN rule;
END $$;
COMMENT ON FUNCTION raxx_detect.find_rule(text) IS 'The rule; raises 42704, with the nearest names, if there is none.';

CREATE FUNCTION raxx_detect.check_parameter(parameter raxx_detect.method_parameters, given jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    element jsonb;
    number float8;
    wrong text;
BEGIN
    IF parameter.type LIKE '%[]' AND given = '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('parameter %s is empty', parameter.name), DETAIL = 'The value is [].',
            HINT = format('%s Give at least one element.', parameter.meaning);
    END IF;
    FOR element IN SELECT e FROM jsonb_array_elements(
            CASE WHEN parameter.type LIKE '%[]' AND jsonb_typeof(given) = 'array' THEN given ELSE jsonb_build_array(given) END) e LOOP
        number := NULL;
        BEGIN
            CASE
                WHEN parameter.type LIKE '%[]' AND jsonb_typeof(given) <> 'array' THEN
                    wrong := 'is not an array';
                WHEN parameter.type IN ('text', 'text[]') THEN
                    IF jsonb_typeof(element) <> 'string' OR element = '""' THEN wrong := 'is not a text'; END IF;
                WHEN parameter.type = 'interval' THEN
                    number := extract(epoch FROM (element #>> '{}')::interval);
                    IF jsonb_typeof(element) <> 'string' OR extract(year FROM (element #>> '{}')::interval) <> 0
                       OR extract(month FROM (element #>> '{}')::interval) <> 0 OR number <= 0 OR number > 86400 * 400 THEN
                        wrong := 'is not a positive interval of fixed length, up to 400 days';
                    END IF;
                WHEN parameter.type IN ('bigint', 'int[]') THEN
                    number := (element #>> '{}')::bigint;
                    IF jsonb_typeof(element) <> 'number' THEN wrong := 'is not a whole number'; END IF;
                WHEN parameter.type = 'float8' THEN
                    number := (element #>> '{}')::float8;
                    IF jsonb_typeof(element) <> 'number' OR number <= parameter.minimum THEN wrong := 'is not a number above the minimum'; END IF;
                WHEN parameter.type = 'time' THEN
                    PERFORM (element #>> '{}')::time;
                    IF jsonb_typeof(element) <> 'string' THEN wrong := 'is not a text'; END IF;
                WHEN parameter.type = 'time_zone' THEN
                    PERFORM timezone(element #>> '{}', now());
                    IF jsonb_typeof(element) <> 'string' THEN wrong := 'is not a text'; END IF;
            END CASE;
        EXCEPTION WHEN data_exception THEN
            wrong := 'is not of type ' || parameter.type;
        END;
        IF wrong IS NULL AND (number < parameter.minimum OR number > parameter.maximum) THEN
            wrong := 'is out of range';
        END IF;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('parameter %s %s', parameter.name, wrong),
                DETAIL = format('The value is %s.', left(given::text, 200)),
                HINT = format('%s Type %s%s%s.', parameter.meaning, parameter.type,
                    ', from ' || parameter.minimum, ', up to ' || parameter.maximum);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.check_parameter(raxx_detect.method_parameters, jsonb) IS 'Raises 22023 unless the value fits the parameter.';

CREATE FUNCTION raxx_detect.set_params(rule_id text, params jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    parameter raxx_detect.method_parameters;
    given record;
BEGIN
    IF params IS NULL OR jsonb_typeof(params) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'params must be a JSON object', DETAIL = format('It is %s.', coalesce(left(params::text, 100), 'NULL')),
            HINT = 'Name the parameters to change: {"threshold": 25}.';
    END IF;
    FOR given IN SELECT * FROM jsonb_each(params) LOOP
        SELECT p.* INTO parameter FROM raxx_detect.method_parameters p
        WHERE p.method = rule.method AND p.name = given.key AND rule.params ? given.key;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('rule %s has no parameter %L', rule.rule_id, given.key),
                DETAIL = format('Its method is %s.', rule.method),
                HINT = format('Its parameters are %s.', (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(rule.params) k));
        END IF;
        PERFORM raxx_detect.check_parameter(parameter, given.value);
    END LOOP;
    UPDATE raxx_detect.rules r SET params = r.params || set_params.params WHERE r.rule_id = rule.rule_id;
    -- A baseline of another window, entity or clock is no baseline of this rule: its days are read again.
    IF EXISTS (SELECT FROM unnest('{window,long_window,mix_window,entity,value,failure,time_zone,ipv4_prefix,ipv6_prefix,baseline_gap}'::text[]) k
               WHERE set_params.params ? k AND set_params.params -> k <> rule.params -> k) THEN
        DELETE FROM raxx_detect.baseline_days b WHERE b.rule_id = rule.rule_id;
    END IF;
    IF set_params.params ?| '{entity,value}' THEN  -- other rows may be of use to it
        DELETE FROM raxx_detect.baseline_starts b WHERE b.rule_id = rule.rule_id;
    END IF;
    RETURN rule.params || set_params.params;
END $$;
COMMENT ON FUNCTION raxx_detect.set_params(text, jsonb) IS
'Changes the named parameters of a rule, from its next run on, and returns all of them. Where its baseline counts otherwise from then on (another window, entity, time zone), its days are read again. Errors: 42704 unknown rule, 22023 a parameter that the rule does not have, or a value that does not fit; nothing changes then.';
-- What a rule's params may hold: one row for each parameter of each method, with its type, its limits and its meaning.
--
-- Limits of an interval are in seconds, limits of an array hold for each of its elements. A lower limit of a float8 is
-- exclusive and an interval is always longer than zero; other limits are inclusive.

INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning) VALUES
    ('velocity', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('velocity', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which rows are counted.'),
    ('velocity', 'threshold', 'bigint', 1, NULL,
     'Rows of one entity within the window from which the rule fires.'),
    ('velocity', 'ipv4_prefix', 'bigint', 1, 32,
     'Bits of an IPv4 address that make a client network, when the entity is an address.'),
    ('velocity', 'ipv6_prefix', 'bigint', 1, 128,
     'Bits of an IPv6 address that make a client network, when the entity is an address.'),
    ('velocity', 'mix_window', 'interval', 86400, 86400,
     'Length of the period whose mix of entities is compared with that of the days before: a day, by the clock of time_zone.'),
    ('velocity', 'mix_floor', 'bigint', 1, NULL,
     'Rows in that period, and rows in the days before, below which the mix has no verdict.'),
    ('velocity', 'mix_expected', 'float8', 0, NULL,
     'Entities of which fewer rows are to be expected in that period are taken together.'),
    ('velocity', 'mix_days', 'bigint', 1, NULL,
     'Days before that the over-dispersion of the mix has to be estimated from at least.'),

    ('distinct', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that distinct values are counted for.'),
    ('distinct', 'value', 'text', NULL, NULL,
     'Role whose distinct values are counted.'),
    ('distinct', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which distinct values are counted.'),
    ('distinct', 'threshold', 'bigint', 1, NULL,
     'Distinct values of one entity within the window from which the rule fires.'),
    ('distinct', 'baseline_floor', 'bigint', 1, NULL,
     'Distinct values below which the baseline never makes the rule fire.'),
    ('distinct', 'baseline_quantile', 'float8', 0, 1,
     'Quantile of the baseline, as a share of 1, that the number of distinct values has to exceed.'),
    ('distinct', 'ipv4_prefix', 'bigint', 1, 32,
     'Bits of an IPv4 address that make a client network, when the entity is an address.'),
    ('distinct', 'ipv6_prefix', 'bigint', 1, 128,
     'Bits of an IPv6 address that make a client network, when the entity is an address.'),
    ('distinct', 'excluded_causes', 'text[]', NULL, NULL,
     'Values of the cause role whose rows are not counted.'),
    ('distinct', 'deploy_margin', 'interval', NULL, NULL,
     'Rows this close to a deploy of the same app, before or after it, are not counted.'),

    ('distinct + velocity', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('distinct + velocity', 'value', 'text', NULL, NULL,
     'Role whose distinct values are counted, and which the elevated patterns are held against.'),
    ('distinct + velocity', 'window', 'interval', NULL, NULL,
     'Length of the sliding window of both conditions.'),
    ('distinct + velocity', 'distinct_threshold', 'bigint', 1, NULL,
     'Distinct values of one entity within the window from which the rule fires at MEDIUM.'),
    ('distinct + velocity', 'elevated_threshold', 'bigint', 1, NULL,
     'Rows of one entity with an elevated value within the window from which the rule fires at HIGH.'),
    ('distinct + velocity', 'elevated', 'text[]', NULL, NULL,
     'Patterns of the values that count as elevated; * stands for any text, and the whole value has to match.'),

    ('pattern', 'email', 'text', NULL, NULL,
     'Role that holds the e-mail address.'),
    ('pattern', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which rows that share a pattern are counted.'),
    ('pattern', 'threshold', 'bigint', 1, NULL,
     'Rows of one pattern within the window from which the rule may fire.'),
    ('pattern', 'shape_history', 'interval', NULL, NULL,
     'Length of the preceding period that gives the usual share of a shape.'),
    ('pattern', 'shape_tail', 'float8', 0, 1,
     'Probability that so many rows share a shape by chance, at or below which a shape makes the rule fire.'),

    ('gap', 'business_from', 'time', NULL, NULL,
     'Time of day at which business hours begin, in time_zone.'),
    ('gap', 'business_to', 'time', NULL, NULL,
     'Time of day at which business hours end, in time_zone.'),
    ('gap', 'business_days', 'int[]', 1, 7,
     'Days of the week that have business hours: 1 is Monday, 7 is Sunday.'),
    ('gap', 'time_zone', 'time_zone', NULL, NULL,
     'Time zone of the business hours.'),
    ('gap', 'business_gap', 'interval', NULL, NULL,
     'The rule fires when the part of a gap inside business hours is longer than this.'),
    ('gap', 'off_hours_gap', 'interval', NULL, NULL,
     'The rule fires when the part of a gap outside business hours is longer than this.'),
    ('gap', 'critical_gap', 'interval', NULL, NULL,
     'A gap whose part inside business hours is longer than this is CRITICAL.'),
    ('gap', 'baseline_gap', 'interval', NULL, NULL,
     'A gap that is not longer than this never makes the rule fire by its baseline.'),
    ('gap', 'baseline_quantile', 'float8', 0, 1,
     'Quantile, as a share of 1, of the gaps of the same hour of the day that a gap has to exceed.'),

    ('spike', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('spike', 'window', 'interval', NULL, NULL,
     'Length of the period in which rows are counted.'),
    ('spike', 'threshold', 'bigint', 1, NULL,
     'Rows within the window from which the rule fires for an entity that has no baseline yet.'),
    ('spike', 'sigmas', 'float8', 0, NULL,
     'Standard deviations above the mean of the baseline that the count has to exceed.'),
    ('spike', 'baseline_floor', 'bigint', 1, NULL,
     'Rows within the window below which the baseline never makes the rule fire.'),

    ('drift', 'sample_every', 'interval', NULL, NULL,
     'Time between two snapshots of the statement statistics.'),
    ('drift', 'window', 'interval', NULL, NULL,
     'Length of the period whose distribution is compared with that of the baseline window.'),
    ('drift', 'quantile', 'float8', 0, 1,
     'Quantile, as a share of 1, whose rise is measured.'),
    ('drift', 'step', 'interval', NULL, NULL,
     'Time between two verdicts.'),
    ('drift', 'baseline_intervals', 'bigint', 1, NULL,
     'Times below which neither the window nor the baseline allows a verdict.'),
    ('drift', 'rise', 'float8', 0, NULL,
     'Rise of the quantile, as a share of its baseline value, from which the rule may fire.'),

    ('quantile', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that is measured.'),
    ('quantile', 'value', 'text', NULL, NULL,
     'Role that holds the measured number.'),
    ('quantile', 'window', 'interval', 60, 86400,
     'Length of one point; the samples within it are averaged. Points are laid from midnight on, in time_zone.'),
    ('quantile', 'baseline_quantile', 'float8', 0, 1,
     'Quantile of the baseline, as a share of 1, that a point has to exceed.'),
    ('quantile', 'median_margin', 'float8', 0, NULL,
     'How far above the quantile a point has to be, as a share of the distance from the median to the quantile.'),
    ('quantile', 'rise', 'float8', 0, NULL,
     'How far above the quantile a point has to be at least, as a share of the quantile.'),
    ('quantile', 'value_floor', 'float8', 0, NULL,
     'Value below which a point never makes the rule fire.'),
    ('quantile', 'baseline_points', 'bigint', 1, NULL,
     'Points of an entity in the baseline below which it has no verdict.'),
    ('quantile', 'baseline_entities', 'bigint', 1, 1000000,
     'How many entities a day of the baseline keeps at most, those with the most samples first.'),

    ('benford', 'value', 'text', NULL, NULL,
     'Role that holds the number whose first significant digit is counted.'),
    ('benford', 'window', 'interval', NULL, NULL,
     'Length of the preceding period whose digits are tested together.'),
    ('benford', 'step', 'interval', 60, 604800,
     'Time between two tests. They are made at multiples of it since 2000-01-01 00:00 UTC.'),
    ('benford', 'run_above', 'bigint', 0, NULL,
     'The test is made only on more digits than this.'),
    ('benford', 'activate_above', 'bigint', 0, NULL,
     'The rule becomes active once there are more digits than this within the window.'),
    ('benford', 'mad_threshold', 'float8', 0, 1,
     'Mean absolute deviation of the nine shares from Benford''s law from which the rule may fire.'),

    ('ratio', 'value', 'text', NULL, NULL,
     'Role that says how each row ended.'),
    ('ratio', 'failure', 'text', NULL, NULL,
     'Value of that role, written as text, that counts as a failure.'),
    ('ratio', 'window', 'interval', NULL, NULL,
     'Length of the period in which failures are held against all rows; it slides unless there is a long_window.'),
    ('ratio', 'threshold', 'bigint', 1, NULL,
     'Failures within the window from which the rule fires while there is no baseline.'),
    ('ratio', 'baseline_floor', 'bigint', 1, NULL,
     'Failures within the window below which the baseline never makes the rule fire.'),
    ('ratio', 'floor', 'bigint', 1, NULL,
     'Rows within the window below which there is no verdict.'),
    ('ratio', 'long_window', 'interval', 86400, 86400,
     'Length of a second, longer period that is judged in the same way: a day. With it, periods go by the clock of time_zone and are counted from midnight.'),
    ('ratio', 'long_floor', 'bigint', 1, NULL,
     'Rows within the longer period below which there is no verdict.'),
    ('ratio', 'activate_above', 'bigint', 0, NULL,
     'The rule becomes active once there are more rows than this on each day of activation_span.'),
    ('ratio', 'activation_span', 'interval', NULL, NULL,
     'How long the volume has to stay above activate_above.'),

    ('unmatched', 'match', 'text[]', NULL, NULL,
     'Roles in which a change and its change record have to agree; their values, joined by /, are the entity.'),
    ('unmatched', 'tolerance', 'interval', NULL, NULL,
     'How far a change record may be from its change, before or after it.');

-- What every method with a baseline has.
INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, p.minimum, p.maximum, p.meaning
FROM unnest('{velocity,distinct,distinct + velocity,spike,gap,ratio,quantile,drift}'::text[]) m(method)
CROSS JOIN (VALUES
    ('time_zone', 'time_zone', NULL, NULL, 'Time zone whose days and hours the baseline goes by.'),
    ('baseline_ready', 'interval', 86400, 2592000, 'How many whole days the baseline needs before it judges.')
) p(name, type, minimum, maximum, meaning)
WHERE NOT EXISTS (SELECT FROM raxx_detect.method_parameters k WHERE k.method = m.method AND k.name = p.name);

-- What every method has that learns counts.
INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, p.minimum, p.maximum, p.meaning
FROM unnest('{velocity,distinct,distinct + velocity,spike}'::text[]) m(method)
CROSS JOIN (VALUES
    ('season', 'text', NULL::float8, NULL::float8, 'hour_of_week: an entity''s own baseline goes by the hour of the week; none: it does not.'),
    ('baseline_floor', 'bigint', 1, NULL, 'Count within the window below which the baseline never makes the rule fire.'),
    ('baseline_rows', 'bigint', 1, NULL, 'Rows of an entity in the baseline below which it is judged as one never seen before.'),
    ('baseline_entities', 'bigint', 1, 1000000, 'How many entities a day of the baseline keeps at most, the busiest first.')
) p(name, type, minimum, maximum, meaning)
WHERE NOT EXISTS (SELECT FROM raxx_detect.method_parameters k WHERE k.method = m.method AND k.name = p.name);
-- The catalog: the seventeen shipped rules, as rows, in the order of their numbers.
--
-- The prose is what an operator reads when a rule fires, so it holds only what is true of the rule as shipped. The
-- numbers in it are the shipped ones; those in force are in params. ASCII only: a database may have any encoding.

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_passkey_enumeration', 1, 'DET-AUTH-001',
     'Many distinct e-mail addresses begin a passkey ceremony from one client network',
     'auth', 'distinct', 'high',
     '{passkey_begin_events}', '{}',
     '{"entity": "ip", "value": "email", "window": "10 minutes", "threshold": 10,
       "baseline_floor": 5, "baseline_quantile": 0.999, "ipv4_prefix": 32, "ipv6_prefix": 64,
       "time_zone": "America/New_York", "baseline_ready": "7 days", "season": "none", "baseline_rows": 100,
       "baseline_entities": 10000}',
     '7 days',
     true, 0.5, 'security-agent', '{P1}', 'dormant',
     -- telemetry
     'Source passkey_begin_events: event_time, ip, email. Writer: the passkey-begin endpoint, through the application '
     'log and a log drain that keeps its lines as rows.',
     -- how
     'Counts the distinct e-mail addresses of each client network in a sliding window of 10 minutes. A client '
     'network is one IPv4 address (/32), also when it is written as an IPv6 one, or one IPv6 /64. Asking for many '
     'addresses is the first step of a registration farm and of an attempt to learn who has an account. Baseline: '
     'how many distinct addresses networks asked for in 10 minutes of the 7 days before, all networks together, '
     'cell by cell. A number is too high when it is above the 99.9th percentile, and when a negative binomial '
     'distribution with the mean and variance of the baseline makes it so improbable that it comes by chance no '
     'more often than the rule may alarm falsely.',
     -- thresholds
     'Until the baseline has 7 whole days: 10 distinct addresses in 10 minutes. From then on, in place of that: at '
     'least 5, above the 99.9th percentile of the baseline, and a tail probability within the allowance for false '
     'alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them. Per event, before launch too, when the sample is larger than one.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the network, the number of addresses and the times.\n'
     '2. See whose network it is. An office, a school, a mobile carrier or our own load test can put many people '
     'behind one address.\n'
     '3. Look at what the addresses have in common (domain, shape, alphabetical order) and whether any of them went '
     'on to register or to sign in.\n'
     '4. If nobody can name the network: hand over to security-agent, limit or block the network at the edge, and look '
     'for findings of auth_session_creation_velocity from the same network.\n'
     '5. Close with raxx_detect.triage: true_positive for an attack, benign or confirmed_fp otherwise, and a note that '
     'names the network.',
     -- do_not
     E'- Do not lock the accounts behind the addresses: they are what is probed, not who probes.\n'
     '- Do not raise the threshold for one shared network; give that network an exception with an end date.',
     -- waits_for
     'Waits until passkey-begin requests are kept as rows (P1): send the application log through a log drain into a '
        'table with event_time, ip and email, and bind it as passkey_begin_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_session_creation_velocity', 2, 'DET-AUTH-002',
     'Many sessions created from one client network in a minute',
     'auth', 'velocity', 'high',
     '{session_events}', '{}',
     '{"entity": "ip", "window": "1 minute", "threshold": 20, "ipv4_prefix": 32, "ipv6_prefix": 64,
       "baseline_floor": 5, "time_zone": "America/New_York", "baseline_ready": "7 days",
       "season": "hour_of_week", "baseline_rows": 100, "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'security-agent', '{P1}', 'dormant',
     -- telemetry
     'Source session_events: event_time, ip, and account where it is known. Writer: session creation in the '
     'application, through the application log and a log drain that keeps its lines as rows.',
     -- how
     'Counts the sessions that each client network creates in a sliding window of one minute. It catches '
     'credential stuffing and the replay of stolen cookies after the sign-in has succeeded. Baseline: the 7 days '
     'before. A network with at least 100 sessions in them is judged by its own count at that hour of the week '
     '(New York time: the greatest of the same hour''s mean a week ago, its mean with the hours beside it, and the '
     'mean of that hour of all days), any other by what networks do that come at all. Each session is a test: the '
     'others in its minute are taken for negative binomial (Poisson where they do not scatter more), and the limit '
     'is the least number whose tail probability, times the sessions of a month, is within the allowance.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sessions in a minute. From then on, in place of that: a count, of at '
     'least 5, whose tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the network, the number of sessions and the times.\n'
     '2. See whether one account or many are behind the sessions. One account: a client that signs in over and over, '
     'or a replayed cookie. Many accounts: credential stuffing, or a shared network.\n'
     '3. Check for a release or a load test at that time.\n'
     '4. If there is no operational cause: hand over to security-agent and look for findings of '
     'auth_passkey_enumeration from the same network.\n'
     '5. Close with raxx_detect.triage and a note that names the cause.',
     -- do_not
     E'- Do not revoke sessions because of this rule alone; confirm with an account owner first.\n'
     '- Do not dismiss the finding because every sign-in succeeded: that is what a stolen credential looks like.',
     -- waits_for
     'Waits until created sessions are kept as rows (P1): log each one with its time and client address, send the log '
        'through a log drain into a table, and bind it as session_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_rbac_denied_burst', 3, 'DET-AUTH-003',
     'Cluster of RBAC permission denials from one operator account in a short window',
     'auth', 'distinct + velocity', 'high',
     '{rbac_denials}', '{}',
     '{"entity": "operator", "value": "permission", "window": "10 minutes", "distinct_threshold": 5,
       "elevated_threshold": 3, "elevated": ["*:admin", "*:write"], "baseline_floor": 5,
       "time_zone": "America/New_York", "baseline_ready": "7 days", "season": "none", "baseline_rows": 20,
       "baseline_entities": 10000}',
     '30 days',
     true, 0.33, 'security-agent', '{}', 'live',
     -- telemetry
     'Source rbac_denials: event_time, operator, permission, and route where it is known. Writers: '
     'console/app/middleware/rbac.py (a JSON log line with error="permission_denied", the operator, the permission and '
     'the route) and console/app/blueprints/rbac_reader.py (a structured event of category rbac.permission_denied). '
     'Both write to the console log; the lines have to reach the bound relation.',
     -- how
     'Watches each operator in a sliding window of 10 minutes for three things: denials of elevated permissions '
     '(*:admin, *:write), each denial counted; the number of distinct permissions denied, elevated or not; and a '
     'number of denials that the operator''s own history does not explain. Where more than one holds at once there '
     'is one finding, at the higher severity. A burst means an operator whose rights became narrower by mistake, '
     'or a session in the wrong hands that tries doors. Baseline: up to 30 days before, from 7 whole days on; an '
     'operator with fewer than 20 denials in them is judged by the denials of all operators. It adds to the two '
     'thresholds and takes nothing from them.',
     -- thresholds
     'HIGH: 3 denials of elevated permissions in 10 minutes. MEDIUM: 5 distinct permissions denied in 10 minutes. '
     'Once the baseline is ready, MEDIUM also: at least 5 denials in 10 minutes whose tail probability is within '
     'the allowance for false alarms, one in a quarter.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them. Per event, before launch too: a compromised operator account is '
     'among the worst that can happen then. MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Identify the operator account. If it is the account of the only operator, ask that operator at once, over '
     'another channel than the console: do they recognise the session?\n'
     '2. Compare the source address and the user agent of the denied requests with how that operator usually signs '
     'in.\n'
     '3. Not recognised: revoke all sessions of the operator by hand, rotate the hardware key, and treat it as SEV1 '
     'with security-agent.\n'
     '4. Recognised, and a role was narrowed by accident: restore the role and close as confirmed_operational.\n'
     '5. Recognised, and the operator was exploring: close as confirmed_fp with a note for the tuning of the baseline, '
     'and leave the rule live.',
     -- do_not
     E'- Do not revoke sessions automatically from this rule. Confirm over another channel first.\n'
     '- Do not silence the rule because the only operator set it off while exploring. Tune the baseline.\n'
     '- Do not exclude any operator. Every operator account is watched, that of a sole administrator above all.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_waitlist_velocity_per_origin', 4, 'DET-SIGNUP-001',
     'Many waitlist sign-ups from one Origin in a short window',
     'signup', 'velocity', 'high',
     '{waitlist_signups}', '{}',
     '{"entity": "origin", "window": "5 minutes", "threshold": 20, "baseline_floor": 5, "time_zone": "UTC",
       "baseline_ready": "7 days", "season": "none", "baseline_rows": 20, "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'security-agent', '{}', 'live',
     -- telemetry
     'Source waitlist_signups: event_time, email, origin. Writer: the waitlist form, while FLAG_WAITLIST_DATASTORE is '
     'on. The origin is the Origin header of the request.',
     -- how
     'Counts the sign-ups of each Origin in a sliding window of 5 minutes; sign-ups without an Origin are left '
     'out. The waitlist is the first public way in, and one referrer that pumps it shows here. Baseline: the 7 '
     'days before. An Origin with at least 20 sign-ups in them is judged by its own counts, any other, one never '
     'seen before above all, by those of all Origins that came at all. Each sign-up is a test: the others in its '
     'window are taken for negative binomial (Poisson where they do not scatter more), and the limit is the least '
     'number whose tail probability, times the sign-ups of a month, is within the allowance.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sign-ups of one Origin in 5 minutes. From then on, in place of that: '
     'a count, of at least 5, whose tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the Origin, the number of sign-ups and the times.\n'
     '2. See whether the Origin was named in public just then: a post, a newsletter, a campaign of our own.\n'
     '3. Look at the addresses: people differ, a list has a pattern. See whether signup_email_pattern_anomaly fired '
     'for the same time.\n'
     '4. If it is a script: hand over to security-agent, limit that Origin at the edge, and mark the sign-ups of the '
     'episode so that no mail goes out to them.\n'
     '5. Close with raxx_detect.triage: true_positive for a script, benign for a crowd, with a note.',
     -- do_not
     E'- Do not delete the sign-ups: mark them, they are the evidence.\n'
     '- Do not close the waitlist because of one Origin.\n'
     '- Do not take an Origin as proof of where a request came from: a script can send any.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_email_pattern_anomaly', 5, 'DET-SIGNUP-002',
     'Many waitlist sign-ups whose addresses share a pattern in a short window',
     'signup', 'pattern', 'medium',
     '{waitlist_signups}', '{}',
     '{"email": "email", "window": "5 minutes", "threshold": 8, "shape_history": "7 days", "shape_tail": 1e-6}',
     NULL,
     false, 1, 'security-agent', '{}', 'live',
     -- telemetry
     'Source waitlist_signups: event_time, email. Writer: the waitlist form, while FLAG_WAITLIST_DATASTORE is on.',
     -- how
     'Counts sign-ups that share a pattern in a sliding window of 5 minutes. At a domain of its own the pattern is the '
     'registrable domain by the public suffix list (mail.acme.co.uk counts as acme.co.uk). At a known free-mail '
     'provider the domain says nothing, and the pattern is the shape of the local part at that provider: plus-tag and '
     'dots removed, each run of letters written a, each run of digits written 9, so that anna.k81@gmail.com and '
     'omar.t23@gmail.com meet as a9@gmail.com. Because some shapes are common, a shape must also be improbable: the '
     'binomial probability that so many of the sign-ups in the window share it, given its share of the sign-ups of the '
     'preceding 7 days (with one added to the count and two to the total), has to be at most one in a million. '
     'Addresses that are not addresses have no pattern.',
     -- thresholds
     '8 sign-ups of one pattern in 5 minutes; for a shape, also a binomial tail probability of at most 0.000001. False '
     'alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the pattern, the number of sign-ups and the times.\n'
     '2. A domain: see whether it is a company or a school whose people could have signed up together, and whether the '
     'domain was registered recently.\n'
     '3. A shape at a free-mail provider: read the addresses side by side. Generated names look alike in more than '
     'shape: same length, same order of parts, digits that count up.\n'
     '4. See whether signup_waitlist_velocity_per_origin fired for the same time, and which Origin and addresses the '
     'sign-ups came from.\n'
     '5. If the list is synthetic: hand over to security-agent and mark the sign-ups of the episode so that no mail '
     'goes out to them. Close as true_positive; a real group is benign, with a note that names it.',
     -- do_not
     E'- Do not block a free-mail provider.\n'
     '- Do not delete the sign-ups: mark them, they are the evidence.\n'
     '- Do not send mail to the addresses to find out whether they are real: bounces harm our standing as a sender.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_audit_log_gap_window', 6, 'DET-DATA-001',
     'Gap in the write cadence of the audit events',
     'data', 'gap', 'critical',
     '{customer_audit_events,console_audit_events}', '{operator_activity}',
     '{"business_from": "12:00", "business_to": "22:30", "business_days": [1, 2, 3, 4, 5], "time_zone": "UTC",
       "business_gap": "30 minutes", "off_hours_gap": "4 hours", "critical_gap": "60 minutes",
       "baseline_gap": "5 minutes", "baseline_quantile": 0.999, "baseline_ready": "7 days"}',
     '7 days',
     true, 0.5, 'sre-agent', '{P4}', 'placeholder',
     -- telemetry
     'Sources customer_audit_events (Raptor) and console_audit_events (Console): event_time, and operator and action '
     'where they are known. Writers: backend_v2/api/services/customer_audit_writer_service.py, '
     'console/app/services/customer_audit.py and console/app/services/audit.py. Optional source operator_activity: '
     'event_time, operator.',
     -- how
     'Measures, for each of the two tables on its own, every silence between two successive events, and the '
     'silence from the last event until now. Business hours are 12:00 to 22:30 UTC, Monday to Friday. Until 7 '
     'whole days of cadence are there (P4), placeholder thresholds decide, and a gap across an edge of business '
     'hours is measured in two parts, inside and outside. From then on the baseline decides, the 7 days before: a '
     'gap is too long when it is longer than the 99.9th percentile of the gaps that began in the same hour of the '
     'day, and when so long a silence, at the rate of its hours on days of the same kind (business days or '
     'others), comes by chance no more often than the rule may alarm falsely. Events that come in clusters are '
     'counted by cluster. A gap that grows keeps its finding and raises its severity; the next event closes it '
     'with its final length. Where operator_activity is bound and an operator was active during the silence, the '
     'finding goes to security-agent. The verdict of a finding says what the hash chain shows across the gap: '
     'intact means benign, broken means adversarial, and undetermined means that no chain can tell.',
     -- thresholds
     'Until the baseline is ready: more than 30 minutes inside business hours, or more than 4 hours outside. Once '
     'it is ready: longer than 5 minutes and than the 99.9th percentile of its hour of the day, and improbable at '
     'the usual rate. By minutes inside business hours: more than 60 CRITICAL, more than 30 and up to 60 HIGH, '
     'fewer MEDIUM (baseline only). Wholly outside business hours: HIGH beyond 4 hours, else MEDIUM (baseline '
     'only). False alarms allowed for after launch: fewer than one a month, budgeted as one in two months for both '
     'tables together.',
     -- routes
     'CRITICAL: #raxx-ops-alert-sev1, per event, push override. HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to '
     '18:00 America/New_York, Monday to Friday), #raxx-ops-alert-sev2 with push outside them; per event, before launch '
     'too. MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Find out whether an operator was active in the gap: chat, commits, a recent deploy. An active operator and '
     'no audit rows mean a fault of the writer or of the database.\n'
     '2. Check the state of Heroku Postgres, recent migrations, and the Sentry events of the writer service for the '
     'same window.\n'
     '3. If sre-agent confirms that the writer was down: sre-agent repairs it; close as confirmed_operational after '
     'the fix.\n'
     '4. If there is no operational cause: call security-agent at SEV1 and check the hash chain '
     '(data_audit_log_hash_chain_break). Intact across the gap: nothing was written, the gap is benign. Broken: the '
     'gap is adversarial.\n'
     '5. While the verdict is undetermined, neither of the two is known: leave the finding open until somebody has '
     'explained the silence.',
     -- do_not
     E'- Do not assume that a quiet gap is benign because nothing else is firing. Silence of the audit log while there '
     'should be activity is itself the signal.\n'
     '- Do not lengthen the gap threshold to reduce noise. The integrity of the audit log is not negotiable.\n'
     '- Do not skip the hash chain when this rule fires. Both rules run, and both belong to the diagnosis.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_audit_log_hash_chain_break', 7, 'DET-DATA-002',
     'Break in the hash chain of the audit events',
     'data', 'chain', 'critical',
     '{customer_audit_events,console_audit_events}', '{}',
     '{}',
     NULL,
     true, 0, 'security-agent', '{P3}', 'dormant',
     -- telemetry
     'Sources customer_audit_events and console_audit_events, with their chain columns. Writers: the audit writers '
     'write the rows; the chain is written by the sealer, by a trigger, or by the application.',
     -- how
     'Verifies the HMAC of each row, the link to the row before and the sequence numbers, from the last verified '
     'checkpoint on. There is no baseline and no tolerance: nothing legitimate breaks the chain. A finding names the '
     'kind of break, the row, and how far the chain is intact. Where the chain cannot be judged (no key, sealer '
     'behind) the result is indeterminate, which is neither a break nor an all-clear.',
     -- thresholds
     'Fires on the first break. No false alarms are allowed for.',
     -- routes
     'CRITICAL: #raxx-ops-alert-sev1, per event, push override.',
     -- runbook
     E'1. Treat it as SEV1 and call security-agent. Read raxx_detect.explain(finding_id): the kind of break, the row, '
     'and the last row up to which the chain is intact.\n'
     '2. Preserve before anything else: take a backup of the database as it is, and keep the logs and the checkpoints '
     'that were carried outside it.\n'
     '3. Run raxx_detect.verify_chain(relation, ''full'') to see whether there are more breaks.\n'
     '4. Compare the chain heads with the last checkpoint outside the database. It shows a tail cut off or a history '
     'rewritten, which the chain alone cannot.\n'
     '5. List who could write to the table at that time: roles, sessions, migrations, restores from a backup.\n'
     '6. Close as true_positive, with a note of what was changed, how and by whom.',
     -- do_not
     E'- Do not repair, seal again or attach the chain anew before the evidence is preserved.\n'
     '- Do not take a break for noise: there is no legitimate one.\n'
     '- Do not rotate the key first: the old key is needed to see what was changed.',
     -- waits_for
     'Waits for the hash chain of the audit tables (P3), which comes in a later version.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_sentry_error_rate_spike', 8, 'DET-OPS-001',
     'Errors of one route far above its usual rate',
     'ops', 'spike', 'high',
     '{error_events}', '{}',
     '{"entity": "route", "window": "1 minute", "threshold": 20, "sigmas": 3, "baseline_floor": 5,
       "time_zone": "UTC", "baseline_ready": "7 days", "season": "none", "baseline_rows": 10,
       "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'sre-agent', '{P2}', 'dormant',
     -- telemetry
     'Source error_events: event_time, route. Writer: Sentry, through backend_v2/api/observability/sentry_init.py and '
     'an export of its events into a table.',
     -- how
     'Counts the errors of each route in a sliding window of one minute and holds the count against the mean and '
     'the standard deviation of that route over the minutes of the 7 days before, those without an error included. '
     'On a route with few errors 3 standard deviations are passed by chance, so the tail probability of the count '
     'has to be small too: each error is a test, and the others in its minute are taken for negative binomial '
     '(Poisson where they do not scatter more). A route with fewer than 10 errors in the baseline is judged by the '
     'threshold.',
     -- thresholds
     'Above the mean by more than 3 standard deviations, at least 5 errors in the minute, and a tail probability '
     'within the allowance for false alarms, one in two months. A new route, or a baseline of fewer than 7 whole '
     'days: 20 errors in a minute.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the route, the count and what is usual there.\n'
     '2. Open Sentry for that route and minute: is it one error many times, or many different ones?\n'
     '3. Check for a deploy, a migration or a changed flag shortly before. If there is one, roll it back first and '
     'look for the reason afterwards.\n'
     '4. Check what the route depends on: Postgres, and the services it calls.\n'
     '5. Close as confirmed_operational with the cause, or as confirmed_fp with the reason why the count was normal.',
     -- do_not
     E'- Do not drop the errors before they are counted, by a filter or by sampling, to end the finding.\n'
     '- Do not raise the threshold during an incident.',
     -- waits_for
     'Waits for 7 days of production errors (P2): turn the sentry_backend flag on with SENTRY_DSN_BACKEND set for each '
        'app, keep its events in a table, and bind that table as error_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_postgres_p99_drift', 9, 'DET-OPS-002',
     'Statements of this database have become slower',
     'ops', 'drift', 'medium',
     '{statement_samples}', '{}',
     '{"sample_every": "1 minute", "window": "1 day", "step": "1 hour", "baseline_intervals": 200,
       "quantile": 0.99, "rise": 0.25, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P5}', 'dormant',
     -- telemetry
     'Source statement_samples: sample_time, queryid, calls, total_ms. Writer: this extension, which takes a snapshot '
     'of pg_stat_statements every minute, and, where the extension pg_stat_monitor is created, keeps its histograms '
     'of single calls.',
     -- how
     'The mean time of each statement between two snapshots is one value. At each full hour the values of the last '
     'day are compared with those of the 7 days before, which are kept as sketches, by a two-sample '
     'Kolmogorov-Smirnov test and by their 99th percentiles. Where histograms of pg_stat_monitor are there for the '
     'last day and for each of those before, each single call is a value in place of the means. A finding names the '
     'statements that moved it, by queryid, and what measured them.',
     -- thresholds
     'A 99th percentile at least 25 % above that of the 7 days before, and a Kolmogorov-Smirnov p-value within the '
     'allowance for false alarms, one a month, shared out among the hours of a month. No verdict before the '
     'baseline has 7 whole days, or on fewer than 200 values.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the two percentiles and the statements that moved them.\n'
     '2. Look those statements up in pg_stat_statements by queryid. Did their calls grow (a loop that queries row by '
     'row), or their time per call (a plan that changed, a table that grew)?\n'
     '3. Check what was released in the last day, and when the tables were last analyzed.\n'
     '4. Check the plan of the database at Heroku: a noisy neighbour, a connection limit, a full cache.\n'
     '5. Close as confirmed_operational with the cause and its fix.',
     -- do_not
     E'- Do not reset pg_stat_statements to end the finding: it removes what the diagnosis needs.\n'
     '- Do not add an index on the word of this rule alone; read the plan first.',
     -- waits_for
     'Waits for pg_stat_statements (P5): add it to shared_preload_libraries, restart the server, and run CREATE '
        'EXTENSION pg_stat_statements.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('cost_dyno_hour_spike', 10, 'DET-COST-001',
     'Dyno-hours of one app far above the past week',
     'cost', 'quantile', 'medium',
     '{dyno_samples}', '{}',
     '{"entity": "app", "value": "dyno_hours", "window": "1 hour", "baseline_quantile": 0.999, "median_margin": 0.25, "rise": 0.1, "value_floor": 0.1,
       "baseline_points": 100, "baseline_entities": 10000, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P6}', 'dormant',
     -- telemetry
     'Source dyno_samples: event_time, app, dyno_hours (dyno-hours per hour at that moment). Writer: a scheduled '
     'scraper of the Heroku Platform API (GET /apps/{app}/dynos and GET /apps/{app}/formation).',
     -- how
     'Averages the samples of each app by the clock hour and, at the end of the hour, holds that point against the '
     'points of the same app in the 7 whole days before. The 99.9th percentile of a week of hourly points is their '
     'maximum, and a new maximum comes about once a week by chance; so the point has to be clearly above it. Successive '
     'hours that fire are one finding. Samples that are NaN or infinite are ignored; an hour without samples ends the '
     'finding. Hours inside findings that nobody has closed, or that were closed as true_positive, are no part of '
     'what is usual.',
     -- thresholds
     'Above the 99.9th percentile of the 7 days before by more than a quarter of its distance from their median, and by '
     'more than 10 % of itself, so that the rounding noise of an app that always costs the same never fires; and at '
     'least 0.1 dyno-hours per hour, which is for an app that stood still all week. An app with fewer than 100 '
     'points in the 7 days (of 168) has no verdict: no fixed threshold would be right for every app. False alarms '
     'allowed for: one a month. The margins are chosen for that; unlike a tail probability they do not guarantee it.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, its rate and what is usual.\n'
     '2. Compare the formation of the app with what it should be: a worker that somebody forgot, autoscaling that ran '
     'away, a one-off dyno that never ended.\n'
     '3. See whether somebody scaled on purpose, for a launch or a migration.\n'
     '4. If not: scale back, and look for the loop or the backlog that kept the dynos busy.\n'
     '5. Close as confirmed_operational, or as benign when the scaling was wanted.',
     -- do_not
     E'- Do not scale an app down before you know what its dynos are doing.\n'
     '- Do not turn autoscaling off for good because of one finding.',
     -- waits_for
     'Waits for dyno metrics (P6): schedule a scraper that writes the dyno-hours per hour of each app from the Heroku '
         'Platform API into a table, and bind it as dyno_samples.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_backtest_benford', 11, 'DET-DATA-003',
     'First digits of backtest returns depart from Benford''s law',
     'data', 'benford', 'medium',
     '{backtest_results}', '{}',
     '{"value": "return_value", "window": "7 days", "step": "1 hour", "run_above": 100, "activate_above": 200, "mad_threshold": 0.015}',
     NULL,
     false, 1, 'operator', '{}', 'dormant',
     -- telemetry
     'Source backtest_results: event_time, return_value. Writer: the backtest service.',
     -- how
     'At each full hour, counts the first significant digits of the backtest returns of the 7 days before and holds '
     'them against Benford''s law, by chi-squared with 8 degrees of freedom and by the mean absolute deviation (MAD) of '
     'the nine shares. Zeros, NaN and infinities are left out and counted. There is no baseline: the law is the '
     'reference. Successive hours that fire are one finding.',
     -- thresholds
     'Becomes active above 200 digits in 7 days, and runs only on more than 100. Fires when the chi-squared p-value is '
     'at most 1 in 730.5, one false alarm a month shared among the hours of a month, and the MAD is at least 0.015. '
     'The hours share most of their values, so there are fewer false alarms than that.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): which digits are too frequent or too rare, and how many values there '
     'were.\n'
     '2. See whether the values still span several orders of magnitude. Returns that are capped, rounded or all of one '
     'strategy do not follow the law, and nothing is wrong with them.\n'
     '3. Check what was released in the backtest service, and whether the input data have holes or copies.\n'
     '4. Run one of the backtests again and compare the result with what was stored.\n'
     '5. If stored results differ from computed ones: call security-agent. Otherwise close as confirmed_operational or '
     'benign, with the cause.',
     -- do_not
     E'- Do not take a departure from the law as proof of fraud: it is a reason to look.\n'
     '- Do not leave values out to make the digits fit.',
     -- waits_for
     'Waits for more than 200 backtest results in a rolling 7 days: bind the relation that holds them as '
         'backtest_results, and let use of the product bring the number.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('webhook_stripe_signature_fail', 12, 'DET-WEBHOOK-001',
     'Stripe webhook calls with a wrong signature',
     'webhook', 'ratio', 'high',
     '{stripe_webhook_events}', '{}',
     '{"value": "signature_valid", "failure": "false", "window": "10 minutes", "threshold": 5,
       "baseline_floor": 3, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 0.5, 'security-agent', '{P7}', 'dormant',
     -- telemetry
     'Source stripe_webhook_events: event_time, signature_valid, and ip where it is known. Writer: the Stripe webhook '
     'endpoint, one row for each call, refused ones included.',
     -- how
     'At each failed signature, holds the number of failures among the calls of the last 10 minutes against the share '
     'of failures in the 7 days before. Given that one failed, the probability that as many of the others do has to be '
     'within the allowance for false alarms, shared among the failures that a month has at that share. It is the '
     'upper tail of a binomial distribution, or where failures come in clusters from hour to hour of a negative binomial '
     'one. The finding goes on while 3 failures are in the window. While the baseline is not ready the threshold '
     'decides alone.',
     -- thresholds
     'Until the baseline is ready: 5 failures in 10 minutes. Once it is ready: at least 3 failures in 10 minutes whose '
     'tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the failures, all calls, and the times.\n'
     '2. Do all calls fail? Then the signing secret is the likely cause: compare the secret of the endpoint at Stripe '
     'with the one in use, and see whether either was changed.\n'
     '3. Do only some fail? See whether they come from addresses that Stripe publishes as its own. Others are forged.\n'
     '4. Forged calls: hand over to security-agent, block the addresses at the edge, and check that none of them '
     'changed an order or an account.\n'
     '5. Close as confirmed_operational for a secret, true_positive for forged calls.',
     -- do_not
     E'- Do not accept unsigned or wrongly signed calls, not even for a short time, to restore payments.\n'
     '- Do not paste the signing secret anywhere while comparing it.',
     -- waits_for
     'Waits for the Stripe webhook endpoint (P7): once it is in service, record each call with the outcome of its '
         'signature check, and bind the relation as stripe_webhook_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('webhook_postmark_bounce_spike', 13, 'DET-WEBHOOK-002',
     'Share of hard bounces above the usual',
     'webhook', 'ratio', 'medium',
     '{outbound_mail_events}', '{}',
     '{"value": "outcome", "failure": "hard_bounce", "window": "1 hour", "floor": 20, "long_window": "1 day",
       "long_floor": 500, "activate_above": 500, "activation_span": "7 days", "time_zone": "UTC",
       "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P8}', 'dormant',
     -- telemetry
     'Source outbound_mail_events: event_time, outcome (sent, hard_bounce and others). Writer: the Postmark webhook, '
     'one row for each message and outcome.',
     -- how
     'When an hour or a day by the clock (UTC) is over, holds the number of hard bounces among its messages against the '
     'share of the 7 whole days before, by the upper tail of a binomial distribution, or where bounces come in '
     'clusters from hour to hour of a negative binomial one. The day is judged without the hours that were reported '
     'by themselves. On few messages a ratio says nothing, so below a floor there is no verdict, and none before the '
     'baseline is ready. A verdict stands until the next hour or day is over.',
     -- thresholds
     'A number of hard bounces whose tail probability is within the allowance for false alarms, one a month, shared '
     'among the hours and days of a month; at least 20 messages in the hour, 500 in the day. Becomes active above 500 '
     'messages a day, held for 7 days.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the bounces, the messages and the share that is usual.\n'
     '2. See what was sent: one campaign, one template, or all mail.\n'
     '3. Group the bounces by domain. One domain: that provider refuses us. Many: a list of bad addresses, often a '
     'planted one; look for findings of the sign-up rules.\n'
     '4. Check the suppression list at Postmark for our own addresses, and the DNS records of the sending domain.\n'
     '5. Stop the campaign that bounces. Close as confirmed_operational, or true_positive for a planted list.',
     -- do_not
     E'- Do not send again to addresses that bounced hard.\n'
     '- Do not clear the suppression list as a whole.',
     -- waits_for
     'Waits for customer mail above 500 messages a day, held for 7 days (P8): record the outcome of each message and '
         'bind the relation as outbound_mail_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_dyno_restart_cluster', 14, 'DET-OPS-003',
     'Several dynos of one app restart together without a deploy',
     'ops', 'distinct', 'medium',
     '{dyno_restarts}', '{deploy_events}',
     '{"entity": "app", "value": "dyno", "window": "10 minutes", "threshold": 3,
       "excluded_causes": ["deploy", "manual_scale"], "deploy_margin": "10 minutes"}',
     NULL,
     false, 1, 'sre-agent', '{P6}', 'dormant',
     -- telemetry
     'Source dyno_restarts: event_time, app, dyno, and cause where it is known. Writer: a scheduled scraper of the '
     'Heroku Platform API. Optional source deploy_events: event_time, app.',
     -- how
     'Counts the distinct dynos of each app that restart in a sliding window of 10 minutes. Restarts that a deploy or '
     'an operator caused do not count: those with such a cause, and, if deploy_events is bound, those within 10 minutes '
     'of a deploy of the same app, before or after it. A deploy that comes after the finding clears it. There is no '
     'baseline.',
     -- thresholds
     '3 distinct dynos of one app in 10 minutes. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, the dynos and the times.\n'
     '2. See whether somebody deployed, scaled or changed a config var: each of them restarts dynos.\n'
     '3. Check the exit codes and the memory of the dynos: R14 and R15 are memory, H10 is a crash.\n'
     '4. Check the status page of Heroku for maintenance.\n'
     '5. Close as confirmed_operational with the cause.',
     -- do_not
     E'- Do not restart the dynos again before the log of the first restart is saved.\n'
     '- Do not enter deploys by hand afterwards to make the finding disappear.',
     -- waits_for
     'Waits for dyno metrics (P6): have the scraper of the Heroku Platform API write each restart with app, dyno and '
         'cause into a table, and bind it as dyno_restarts.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('cost_heroku_addon_drift', 15, 'DET-COST-002',
     'Add-on or config change without a change record',
     'cost', 'unmatched', 'medium',
     '{addon_changes,change_records}', '{}',
     '{"match": ["app", "item"], "tolerance": "30 minutes"}',
     NULL,
     false, 1, 'operator', '{}', 'dormant',
     -- telemetry
     'Sources addon_changes (event_time, app, item, actor) and change_records (event_time, app, item). Writers: a '
     'record of what changed at Heroku, and the console for the changes that operators decided on.',
     -- how
     'Looks, for each add-on or config change, for a change record of the same app and item whose time is within 30 '
     'minutes before or after it. A change without one is a finding once those 30 minutes are over. A record that is '
     'written later, however late, clears the finding. A change that names no app or item can have no record: it is a '
     'finding, too. There is no baseline.',
     -- thresholds
     'Fires on each change without a record. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, the item, who changed it and when.\n'
     '2. Ask the operators whether one of them made the change.\n'
     '3. If yes: write the missing record, and close as confirmed_operational.\n'
     '4. If nobody did: call security-agent, check who holds tokens for the Heroku account, and see what the add-on '
     'or the config var gives access to.\n'
     '5. Undo the change once it is understood.',
     -- do_not
     E'- Do not write a change record for a change that nobody can explain.\n'
     '- Do not remove an unknown add-on before its configuration is saved.',
     -- waits_for
     'Waits for an authoritative record of changes: have the console write each Heroku configuration change as a row '
         'with time, app and item, and bind it as change_records beside addon_changes.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_geographic_burst', 16, 'DET-SIGNUP-003',
     'Many waitlist sign-ups from one country, or an unusual mix of countries',
     'signup', 'velocity', 'medium',
     '{waitlist_signups}', '{}',
     '{"entity": "country", "window": "5 minutes", "threshold": 20, "mix_window": "1 day", "mix_floor": 50, "mix_expected": 5, "mix_days": 3,
       "baseline_floor": 5, "time_zone": "UTC", "baseline_ready": "7 days", "season": "none",
       "baseline_rows": 20, "baseline_entities": 10000}',
     '7 days',
     false, 1, 'security-agent', '{}', 'dormant',
     -- telemetry
     'Source waitlist_signups: event_time, email, country. Writer: the waitlist form; the country is the cf-ipcountry '
     'header of the request.',
     -- how
     'Counts the sign-ups of each country in a sliding window of 5 minutes, as signup_waitlist_velocity_per_origin '
     'does for each Origin. In addition, at each midnight (UTC) the day''s sign-ups are held against those of the 7 whole '
     'days before, country by country, by a chi-squared test of two samples; countries of which fewer than 5 are to be '
     'expected are taken together. Days differ by more than chance, so the statistic is divided by what it is for the 7 '
     'days themselves, each held against the others. A day with such a finding that nobody has closed, or that was '
     'closed as true_positive, is no part of what is usual. Sign-ups without a country are neither counted nor history.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sign-ups of one country in 5 minutes. From then on, in place of that: a '
     'count, of at least 5, whose tail probability is within half of the allowance for false alarms, one a month; or a '
     'mix of a day whose tail probability is within the other half, 1 in 60.9, on a day with at least 50 sign-ups of a '
     'known country.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the country, the number of sign-ups and the times.\n'
     '2. See whether the product was in the news there, or a campaign began.\n'
     '3. See whether the other sign-up rules fired for the same time.\n'
     '4. If it is a script: hand over to security-agent and mark the sign-ups of the episode so that no mail goes out '
     'to them.\n'
     '5. Close with raxx_detect.triage and a note.',
     -- do_not
     E'- Do not block a country because of one finding.\n'
     '- Do not take the country of an address as where a person is: proxies are cheap.',
     -- waits_for
     'Waits for a country on each sign-up: keep the cf-ipcountry header in a column of the sign-up table, and bind '
         'that column as the country of waitlist_signups.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_login_failure_burst', 17, 'DET-AUTH-004',
     'Many failed sign-ins to one account',
     'auth', 'velocity', 'medium',
     '{login_failures}', '{}',
     '{"entity": "account", "window": "10 minutes", "threshold": 10}',
     NULL,
     false, 1, 'security-agent', '{}', 'subsumed',
     -- telemetry
     'Source login_failures: event_time, ip, account. It has a writer only if password sign-in is added.',
     -- how
     'Counts the failed sign-ins to each account in a sliding window of 10 minutes. There is no baseline. With '
     'passkeys a failed assertion is quiet and changes nothing, and credential stuffing shows as many distinct '
     'addresses instead; auth_passkey_enumeration watches for that.',
     -- thresholds
     '10 failures of one account in 10 minutes. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the account, the number of failures and the times.\n'
     '2. See whether a success followed, and from which address.\n'
     '3. Ask the owner of the account over another channel.\n'
     '4. If a success followed that the owner does not recognise: call security-agent and treat it as SEV1.\n'
     '5. Close with raxx_detect.triage and a note.',
     -- do_not
     E'- Do not lock the account: that is what somebody who wants its owner out would ask for.\n'
     '- Do not reset the password on the word of a caller.',
     -- waits_for
     'Subsumed by auth_passkey_enumeration as long as sign-in is by passkey only; if password sign-in is ever added, '
         'bind its failures as login_failures.');
-- Findings, and how an evaluation becomes findings: one row for each rule, entity and overlapping episode.

CREATE TABLE raxx_detect.detection_findings (
    finding_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL REFERENCES raxx_detect.rules,
    det_id text NOT NULL,
    category text NOT NULL,
    source text NOT NULL,
    severity raxx_detect.severity NOT NULL,
    entity text NOT NULL,
    episode tstzrange NOT NULL,
    observed float8 NOT NULL,
    threshold float8,
    unit text NOT NULL,
    p_value float8,
    fired_by text NOT NULL CHECK (fired_by IN ('threshold', 'baseline')),
    sample_size bigint NOT NULL,
    summary text NOT NULL,
    evidence jsonb NOT NULL,
    verdict text CHECK (verdict IN ('benign', 'adversarial', 'undetermined')),
    condition text NOT NULL CHECK (condition IN ('firing', 'cleared', 'no_data')),
    triage text NOT NULL DEFAULT 'new' CHECK (triage IN ('new', 'acknowledged', 'closed')),
    disposition text CHECK (disposition IN ('true_positive', 'confirmed_operational', 'confirmed_fp', 'benign')),
    occurrences int NOT NULL,
    escalation_owner text NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    late boolean NOT NULL DEFAULT false,
    CONSTRAINT one_finding_per_episode EXCLUDE USING gist (rule_id WITH =, entity WITH =, episode WITH &&)
);
CREATE INDEX detection_findings_open ON raxx_detect.detection_findings (rule_id, source) WHERE condition = 'firing';
COMMENT ON TABLE raxx_detect.detection_findings IS 'What was found. A rule''s entity has one finding for each episode; the constraint one_finding_per_episode holds that.';
COMMENT ON COLUMN raxx_detect.detection_findings.entity IS 'Whom or what it is about; longer texts are cut at 200 characters and told apart by a hash.';
COMMENT ON COLUMN raxx_detect.detection_findings.episode IS 'When the condition held: [start, end), without an end while it lasts.';
COMMENT ON COLUMN raxx_detect.detection_findings.observed IS 'The peak, in the unit: for bursts the most in one window, for gaps minutes.';
COMMENT ON COLUMN raxx_detect.detection_findings.sample_size IS 'How many rows the peak was made of.';
COMMENT ON COLUMN raxx_detect.detection_findings.evidence IS 'Bounded: keys of the rows with which it began, and numbers; not copies of contents.';
COMMENT ON COLUMN raxx_detect.detection_findings.occurrences IS 'How many of the rule''s conditions held during the episode; evidence names them.';
COMMENT ON COLUMN raxx_detect.detection_findings.late IS 'Whether it was found only after rows came later than their source''s lateness.';

CREATE TABLE raxx_detect.deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    finding_id bigint NOT NULL REFERENCES raxx_detect.detection_findings ON DELETE CASCADE,
    channel text NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE raxx_detect.deliveries IS 'The outbox of messages to people. Empty in this version, which routes nothing yet.';

-- What an evaluator returns: a would-be finding.
CREATE TYPE raxx_detect.candidate AS (
    entity text,
    episode tstzrange,
    severity raxx_detect.severity,
    observed float8,
    threshold float8,
    unit text,
    p_value float8,
    fired_by text,
    sample_size bigint,
    conditions text[],
    summary text,
    evidence jsonb,
    verdict text,
    condition text,
    escalation_owner text
);
COMMENT ON TYPE raxx_detect.candidate IS 'A would-be finding, as an evaluator returns it. Its episode has no end if it has none yet. condition: firing or cleared, NULL where the end of the episode tells; escalation_owner: NULL for the rule''s.';

CREATE FUNCTION raxx_detect.bounded_entity(entity text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN length(entity) <= 200 THEN entity
                ELSE left(entity, 200) || '... sha256:' || encode(sha256(decode(replace(entity, '\', '\\'), 'escape')), 'hex') END
$$;
COMMENT ON FUNCTION raxx_detect.bounded_entity(text) IS 'The entity as a finding names it: up to 200 characters as they are, more of them cut and told apart by a SHA-256 of the whole.';

CREATE FUNCTION raxx_detect.printable(entity text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN entity = '' THEN '(empty)'
                WHEN length(clean) <= 80 THEN clean ELSE left(clean, 77) || '...' END
    FROM (SELECT regexp_replace(left(entity, 200), '[[:cntrl:]]', '?', 'g') AS clean) c
$$;
COMMENT ON FUNCTION raxx_detect.printable(text) IS 'An entity as a sentence may show it: without control characters, at most 80 characters.';

CREATE FUNCTION raxx_detect.in_words(length interval) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(nullif(concat_ws(' ', nullif(s / 86400, 0) || ' d', nullif(s / 3600 % 24, 0) || ' h', nullif(s / 60 % 60, 0) || ' min',
                                     nullif(s % 60, 0) || ' s'), ''), '0 s')
    FROM (SELECT floor(extract(epoch FROM length))::bigint AS s) whole
$$;
COMMENT ON FUNCTION raxx_detect.in_words(interval) IS 'An interval as a sentence says it, in whole seconds: 1 h 5 min.';

CREATE FUNCTION raxx_detect.continued(c raxx_detect.candidate, old raxx_detect.detection_findings) RETURNS raxx_detect.candidate
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    least_p_value float8 := least(c.p_value, old.p_value);
BEGIN
    c.episode := tstzrange(least(lower(old.episode), lower(c.episode)), upper(c.episode));
    c.conditions := ARRAY(SELECT DISTINCT x FROM unnest(c.conditions || ARRAY(
        SELECT jsonb_array_elements_text(old.evidence -> 'conditions'))) x ORDER BY x);
    IF (old.severity, old.observed, old.sample_size) >= (c.severity, c.observed, c.sample_size) THEN
        c.severity := old.severity; c.observed := old.observed; c.sample_size := old.sample_size;
        c.threshold := old.threshold; c.unit := old.unit; c.fired_by := old.fired_by;
        c.summary := old.summary; c.verdict := old.verdict;
    ELSIF c.unit = old.unit THEN  -- it reached the limit at which it began
        c.threshold := old.threshold; c.fired_by := old.fired_by;
    END IF;
    c.evidence := old.evidence;  -- what it began with
    c.p_value := coalesce(CASE WHEN c.fired_by = 'baseline' THEN raxx_detect.count_p_value(c.evidence -> 'baseline', c.observed) END,
                          least_p_value);
    RETURN c;
END $$;
COMMENT ON FUNCTION raxx_detect.continued(raxx_detect.candidate, raxx_detect.detection_findings) IS
'The candidate joined with what is known of its episode from before: the whole episode, all conditions, told by the worse half, with the evidence that it began with. What is joined is a maximum, so that it does not matter where the halves were cut.';

CREATE FUNCTION raxx_detect.refutation(rule raxx_detect.rules) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN rule.params ? 'deploy_margin' THEN 'a deploy of the app has come close to the restarts since, or their rows have changed'
                ELSE 'the rows that showed it have changed since' END
$$;
COMMENT ON FUNCTION raxx_detect.refutation(raxx_detect.rules) IS 'What has happened when the rows no longer show a finding of the rule, as its summary says it.';

CREATE FUNCTION raxx_detect.record_findings(rule raxx_detect.rules, source text, candidates raxx_detect.candidate[],
    exact_from timestamptz, as_of timestamptz, first_look boolean, may_withdraw boolean, OUT added bigint, OUT changed bigint, OUT withdrawn bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c raxx_detect.candidate;
    old raxx_detect.detection_findings;
    kept raxx_detect.detection_findings;
    seen bigint[] := '{}';
    condition text;
    ahead timestamptz;
BEGIN
    added := 0; changed := 0; withdrawn := 0;
    FOR c IN SELECT * FROM unnest(candidates) u ORDER BY u.entity, lower(u.episode) LOOP
        c.entity := raxx_detect.bounded_entity(c.entity);
        -- A source that is judged again from its beginning has findings that lie ahead. Up to them an episode may last;
        -- whether it takes them in, the next slice knows.
        ahead := (SELECT min(lower(f.episode)) FROM raxx_detect.detection_findings f
                  WHERE f.rule_id = rule.rule_id AND f.entity = c.entity AND lower(f.episode) > as_of);
        c.episode := c.episode * tstzrange(NULL, ahead);
        kept := NULL;
        FOR old IN SELECT f.* FROM raxx_detect.detection_findings f
                   WHERE f.rule_id = rule.rule_id AND f.entity = c.entity AND f.episode && c.episode
                   ORDER BY lower(f.episode), f.finding_id LOOP
            -- Runs before this one judged what lies before exact_from; from there on the candidate is the truth.
            IF lower(old.episode) < exact_from THEN
                c := raxx_detect.continued(c, old);
            END IF;
            c.severity := greatest(c.severity, old.severity);  -- severity never falls by itself
            IF kept.finding_id IS NULL THEN
                kept := old;
            ELSE
                DELETE FROM raxx_detect.detection_findings f WHERE f.finding_id = old.finding_id;
                kept.updated_at := NULL;  -- is another than it was
            END IF;
        END LOOP;
        condition := coalesce(c.condition, CASE WHEN upper(c.episode) <= as_of THEN 'cleared' ELSE 'firing' END);
        IF condition = 'firing' AND c.condition IS NULL THEN
            c.episode := tstzrange(lower(c.episode), ahead);
        END IF;
        IF kept.finding_id IS NULL THEN
            INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode,
                observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, verdict, condition,
                occurrences, escalation_owner)
            VALUES (rule.rule_id, rule.det_id, rule.category, source, c.severity, c.entity, c.episode,
                c.observed, c.threshold, c.unit, c.p_value, c.fired_by, c.sample_size, c.summary,
                c.evidence || jsonb_build_object('conditions', c.conditions), c.verdict, condition,
                cardinality(c.conditions), coalesce(c.escalation_owner, rule.escalation_owner))
            RETURNING finding_id INTO kept.finding_id;
            added := added + 1;
        ELSIF kept.updated_at IS NULL
              OR (kept.episode, kept.severity, kept.observed, kept.sample_size, kept.p_value, kept.condition, kept.occurrences)
                 IS DISTINCT FROM (c.episode, c.severity, c.observed, c.sample_size, c.p_value, condition, cardinality(c.conditions)) THEN
            UPDATE raxx_detect.detection_findings f
            SET episode = c.episode, severity = c.severity, observed = c.observed, sample_size = c.sample_size,
                condition = condition, occurrences = cardinality(c.conditions), threshold = c.threshold, unit = c.unit,
                p_value = c.p_value, fired_by = c.fired_by, summary = c.summary, verdict = c.verdict,
                escalation_owner = coalesce(c.escalation_owner, f.escalation_owner),
                evidence = c.evidence || jsonb_build_object('conditions', c.conditions), updated_at = now()
            WHERE f.finding_id = kept.finding_id;
            changed := changed + 1;
        END IF;
        seen := seen || kept.finding_id;
    END LOOP;

    -- Findings of the stretch just evaluated that the rows no longer show: late rows filled the gap, or rows went. (At
    -- a first look at a relation there are none but those of another relation, which it cannot refute.)
    IF first_look THEN
        RETURN;
    END IF;
    FOR old IN SELECT f.* FROM raxx_detect.detection_findings f
               WHERE f.rule_id = rule.rule_id AND f.source = source AND f.finding_id <> ALL (seen)
                 AND f.episode && tstzrange(exact_from, as_of, '(]') LOOP
        -- A verdict on what was then the past changes when rows of that past come late: an average, a share, a mix.
        IF lower(old.episode) >= exact_from AND old.triage = 'new' AND (may_withdraw OR old.evidence ? 'verdict_at') THEN
            DELETE FROM raxx_detect.detection_findings f WHERE f.finding_id = old.finding_id;
            withdrawn := withdrawn + 1;
        ELSIF NOT old.evidence ? 'refuted_at' AND (old.condition <> 'cleared' OR lower(old.episode) >= exact_from) THEN
            UPDATE raxx_detect.detection_findings f
            SET episode = tstzrange(lower(old.episode), least(upper(old.episode), greatest(lower(old.episode), exact_from)), '[]'),
                condition = 'cleared', updated_at = now(), evidence = old.evidence || jsonb_build_object('refuted_at', as_of),
                summary = old.summary || '; ' || raxx_detect.refutation(rule)
            WHERE f.finding_id = old.finding_id;
            changed := changed + 1;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.record_findings(raxx_detect.rules, text, raxx_detect.candidate[], timestamptz, timestamptz, boolean, boolean) IS
'Writes the candidates of one rule and source: new episodes are inserted, known ones grow, findings that one episode now spans become the earliest of them, and findings that the rows no longer show are cleared and say so, or withdrawn where may_withdraw says that rows which were merely late explain it (or the finding is a verdict of an instant, evidence verdict_at, which they always may) and nobody has touched them. Candidates are the truth for what lies after exact_from.';
-- Baselines: what is usual, learnt from the whole days before the day that is judged.
--
-- Each day of a rule's source is read once, when its rows can no longer come late, and kept as counts and sketches that
-- merge; judging a moment merges the days before it. What lies inside findings that are open or were confirmed is left
-- out, so that a baseline is never learnt from an attack. A rule's day is one of its time zone. The baseline of a day
-- takes over when the day before is complete: the source's lateness after midnight.

CREATE TABLE raxx_detect.baseline_starts (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    first_event timestamptz NOT NULL,
    PRIMARY KEY (rule_id, source)
);
COMMENT ON TABLE raxx_detect.baseline_starts IS 'Since when each rule''s source has rows that the rule can use: the day after is the first whole one.';

CREATE TABLE raxx_detect.baseline_days (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    day date NOT NULL,
    version smallint NOT NULL,
    rows bigint NOT NULL,
    left_out bigint NOT NULL,
    left_out_digest text NOT NULL,
    PRIMARY KEY (rule_id, source, day)
);
COMMENT ON TABLE raxx_detect.baseline_days IS 'The days that are in a baseline: how many rows each counted, and how many were left out because they lie inside findings.';
COMMENT ON COLUMN raxx_detect.baseline_days.version IS 'Of the layout of raxx_detect.baselines; a day of another version is read again.';
COMMENT ON COLUMN raxx_detect.baseline_days.left_out_digest IS 'Of the periods left out; when findings change, the day is read again.';

CREATE TABLE raxx_detect.baselines (
    rule_id text NOT NULL,
    source text NOT NULL,
    day date NOT NULL,
    entity text,
    exposure float8[] NOT NULL,
    rows bigint[] NOT NULL,
    squares float8[] NOT NULL,
    sketch raxx_detect.quantile_sketch,
    hour_sketches raxx_detect.quantile_sketch[],
    CONSTRAINT one_baseline_per_entity_and_day UNIQUE NULLS NOT DISTINCT (rule_id, source, entity, day),
    FOREIGN KEY (rule_id, source, day) REFERENCES raxx_detect.baseline_days ON DELETE CASCADE
);
CREATE INDEX baselines_by_day ON raxx_detect.baselines (rule_id, source, day);
COMMENT ON TABLE raxx_detect.baselines IS 'A day of an entity, or of all entities together (entity NULL), as counts and sketches that merge. Arrays have an element for each hour of the day, 0 to 23, by the clock of the rule''s time zone.';
COMMENT ON COLUMN raxx_detect.baselines.exposure IS 'How many cells were observed, empty ones included; of all entities together, those that held a row. A cell is a window of the rule''s length, a point, or for gaps the shortest that counts.';
COMMENT ON COLUMN raxx_detect.baselines.rows IS 'The sum of what the cells counted.';
COMMENT ON COLUMN raxx_detect.baselines.squares IS 'The sum of the squares of what the cells counted.';
COMMENT ON COLUMN raxx_detect.baselines.sketch IS 'The distribution of what the cells counted or measured; empty cells are not in it. NULL where the rule does not need it.';
COMMENT ON COLUMN raxx_detect.baselines.hour_sketches IS 'The same for each hour. NULL where the rule does not need it.';

-- Days.

CREATE FUNCTION raxx_detect.rule_time_zone(rule raxx_detect.rules) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(rule.params ->> 'time_zone', 'UTC');
END $$;
COMMENT ON FUNCTION raxx_detect.rule_time_zone(raxx_detect.rules) IS 'The time zone whose days and hours a rule goes by: its parameter time_zone, or UTC.';

CREATE FUNCTION raxx_detect.day_starts(rule raxx_detect.rules, day date) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN timezone(raxx_detect.rule_time_zone(rule), day::timestamp);
END $$;
COMMENT ON FUNCTION raxx_detect.day_starts(raxx_detect.rules, date) IS 'The midnight with which a day begins in the rule''s time zone.';

CREATE FUNCTION raxx_detect.takes_over(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.day_starts(rule, day) + binding.lateness;
END $$;
COMMENT ON FUNCTION raxx_detect.takes_over(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'From when on the baseline of a day judges: when no row of the day before can come late any more.';

CREATE FUNCTION raxx_detect.judging_day(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN timezone(raxx_detect.rule_time_zone(rule), raxx_detect.before(instant, binding.lateness))::date;
END $$;
COMMENT ON FUNCTION raxx_detect.judging_day(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'The day whose baseline, made of the days before it, judges an instant.';

CREATE FUNCTION raxx_detect.baseline_length(rule raxx_detect.rules) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN extract(day FROM rule.baseline_window)::int;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_length(raxx_detect.rules) IS 'How many days a rule''s baseline may span; NULL: it has none.';

CREATE FUNCTION raxx_detect.first_whole_day(rule raxx_detect.rules, first_event timestamptz, day date) RETURNS date
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN first_event IS NOT NULL THEN greatest(day - raxx_detect.baseline_length(rule),
        -- a forged time may lie before dates begin
        CASE WHEN first_event < timestamptz '4000-01-01 00:00:00+00 BC' THEN date '4000-01-01 BC'
             ELSE timezone(raxx_detect.rule_time_zone(rule), first_event)::date END + 1) END;
END $$;
COMMENT ON FUNCTION raxx_detect.first_whole_day(raxx_detect.rules, timestamptz, date) IS
'The first of the whole days that the baseline of a day is made of, of a source with this first row. The day of the first row is not whole. NULL without a first row.';

CREATE FUNCTION raxx_detect.baseline_first_day(rule raxx_detect.rules, source text, day date) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT raxx_detect.first_whole_day(rule, s.first_event, day)
    FROM raxx_detect.baseline_starts s WHERE s.rule_id = rule.rule_id AND s.source = baseline_first_day.source);
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_first_day(raxx_detect.rules, text, date) IS
'The first of the whole days that the baseline of a day is made of. NULL before a run has seen a row.';

CREATE FUNCTION raxx_detect.baseline_is_ready(rule raxx_detect.rules, source text, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce(raxx_detect.baseline_first_day(rule, source, day)
                    <= day - extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int, false);
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_is_ready(raxx_detect.rules, text, date) IS
'Whether the baseline of a day has as many whole days as the rule''s parameter baseline_ready wants.';

CREATE FUNCTION raxx_detect.first_usable_event(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
    needed text;
    result timestamptz;
BEGIN
    SELECT coalesce(string_agg(format('AND t.%I IS NOT NULL', raxx_detect.role_column(binding, rule.params ->> p)), ' '), '') INTO needed
    FROM unnest('{entity,value}'::text[]) p WHERE rule.params ? p;
    EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > ''-infinity'' AND t.%1$I < ''infinity'' %3$s',
        event_time, binding.relation, needed)
    INTO result;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.first_usable_event(raxx_detect.rules, raxx_detect.source_bindings) IS
'When the first row came that the rule can use: one with an entity and a value. NULL if there is none.';

CREATE FUNCTION raxx_detect.know_baseline_start(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO raxx_detect.baseline_starts (rule_id, source, first_event)
    SELECT rule.rule_id, binding.source, e.first_event
    FROM (SELECT raxx_detect.first_usable_event(rule, binding) AS first_event
          WHERE rule.baseline_window IS NOT NULL AND NOT EXISTS (SELECT FROM raxx_detect.baseline_starts s
              WHERE s.rule_id = rule.rule_id AND s.source = binding.source)) e
    WHERE e.first_event IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.know_baseline_start(raxx_detect.rules, raxx_detect.source_bindings) IS
'Notes, once, since when a source has rows that the rule can use.';

CREATE FUNCTION raxx_detect.baseline_days_there(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date := raxx_detect.judging_day(rule, binding, instant);
    first_event timestamptz := (SELECT s.first_event FROM raxx_detect.baseline_starts s
                                WHERE s.rule_id = rule.rule_id AND s.source = binding.source);
BEGIN
    first_event := coalesce(first_event, raxx_detect.first_usable_event(rule, binding));
    RETURN greatest(0, coalesce(day - raxx_detect.first_whole_day(rule, first_event, day), 0));
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_days_there(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'How many whole days there are for the baseline that judges an instant, also before a run has kept any. Only for a rule with a baseline.';

-- What is left out.

CREATE FUNCTION raxx_detect.rows_from(rule raxx_detect.rules, episode tstzrange, conditions jsonb) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    -- If a day is among the conditions, it is the one that ended first: whatever leads from one midnight to the next is the
    -- verdict of a day, or 24 hours that are left out of the next.
    SELECT CASE WHEN rule.params ? 'long_window' AND conditions ? 'day' AND lower(episode) > timestamptz '4000-01-01 00:00:00+00 BC'
                THEN least(raxx_detect.day_starts(rule, timezone(raxx_detect.rule_time_zone(rule), lower(episode) - interval '1 microsecond')::date),
                           lower(episode) - (rule.params ->> 'window')::interval)
                ELSE raxx_detect.before(lower(episode), coalesce((rule.params ->> 'window')::interval, '0')) END
$$;
COMMENT ON FUNCTION raxx_detect.rows_from(raxx_detect.rules, tstzrange, jsonb) IS
'Where the rows begin that showed a finding with this episode and these conditions: the window before it, or the day where a day was judged.';

CREATE FUNCTION raxx_detect.left_out(rule raxx_detect.rules, source text, within tstzrange,
    OUT entity text, OUT period tstzrange)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT CASE WHEN rule.params ? 'mix_window' AND f.entity LIKE '((%' THEN substr(f.entity, 2) ELSE f.entity END, tstzrange(w.rows_from, upper(f.episode)) * $3
    FROM raxx_detect.detection_findings f
    CROSS JOIN LATERAL (SELECT raxx_detect.rows_from(rule, f.episode, f.evidence -> 'conditions')) w(rows_from)
    WHERE f.rule_id = rule.rule_id AND f.source = $2 AND (f.triage <> 'closed' OR f.disposition = 'true_positive')
      AND f.episode && tstzrange(lower($3), upper($3) + greatest(interval '2 days', (rule.params ->> 'window')::interval))
      AND tstzrange(w.rows_from, upper(f.episode)) && $3
      -- What begins once the baseline has taken over was judged by it, and does not change it.
      AND lower(f.episode) < upper($3) + (SELECT b.lateness FROM raxx_detect.source_bindings b WHERE b.source = $2);
END $$;
COMMENT ON FUNCTION raxx_detect.left_out(raxx_detect.rules, text, tstzrange) IS
'Whose rows of a period no baseline may learn, and when: those in the windows of findings that nobody has closed, or that were closed as true_positive.';

CREATE FUNCTION raxx_detect.left_out_digest(rule raxx_detect.rules, source text, period tstzrange) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(md5(string_agg(md5(l.entity) || l.period::text, ',' ORDER BY md5(l.entity), l.period)), '')
    FROM raxx_detect.left_out($1, $2, $3) l);
END $$;
COMMENT ON FUNCTION raxx_detect.left_out_digest(raxx_detect.rules, text, tstzrange) IS 'Tells whether what is left out of a period has changed; empty if nothing is.';

-- Keeping.

CREATE FUNCTION raxx_detect.keep_baseline_day(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    period tstzrange := tstzrange(raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1));
    learner regproc;
BEGIN
    SELECT m.learner INTO learner FROM raxx_detect.methods m WHERE m.method = rule.method;
    DELETE FROM raxx_detect.baseline_days b WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    INSERT INTO raxx_detect.baseline_days (rule_id, source, day, version, rows, left_out, left_out_digest)
    VALUES (rule.rule_id, binding.source, day, 1, 0, 0, raxx_detect.left_out_digest(rule, binding.source, period));
    EXECUTE format('SELECT %s($1, $2, $3, $4)', learner) USING rule, binding, day, period;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_baseline_day(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Reads one day of a source and keeps it, by the learner of the rule''s method, which writes the rows of raxx_detect.baselines and completes the one of raxx_detect.baseline_days.';

CREATE FUNCTION raxx_detect.keep_baseline(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    any_left_out boolean;
    wanted date;
BEGIN
    IF NOT raxx_detect.baseline_is_ready(rule, binding.source, day) THEN
        RETURN;
    END IF;
    -- Mostly nothing is, and the days need not be asked for one by one.
    any_left_out := EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source,
        tstzrange(raxx_detect.day_starts(rule, first_day), raxx_detect.day_starts(rule, day))));
    FOR wanted IN
        SELECT d.day FROM (SELECT first_day + i AS day FROM generate_series(0, day - first_day - 1) i) d
        LEFT JOIN raxx_detect.baseline_days b ON b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = d.day
        WHERE b.day IS NULL OR b.version <> 1 OR b.left_out_digest <> CASE WHEN any_left_out
            THEN raxx_detect.left_out_digest(rule, binding.source,
                     tstzrange(raxx_detect.day_starts(rule, d.day), raxx_detect.day_starts(rule, d.day + 1)))
            ELSE '' END
        ORDER BY d.day LOOP
        -- A day that is not over yet, which an as_of ahead of the present asks for, is no part of any baseline.
        CONTINUE WHEN raxx_detect.takes_over(rule, binding, wanted + 1) > now();
        PERFORM raxx_detect.keep_baseline_day(rule, binding, wanted);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_baseline(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Sees to it that all the days that the baseline of a day is made of are kept, as findings are now. Each is read once, unless findings change.';

CREATE FUNCTION raxx_detect.drop_old_baselines(rule raxx_detect.rules, source text, before date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM raxx_detect.baseline_days b
    WHERE b.rule_id = rule.rule_id AND b.source = drop_old_baselines.source AND b.day < before - raxx_detect.baseline_length(rule);
END $$;
COMMENT ON FUNCTION raxx_detect.drop_old_baselines(raxx_detect.rules, text, date) IS 'Forgets the days that the baseline of a day and of later ones do not need.';

-- The stretches of a run: which day's baseline judges from when on.

CREATE FUNCTION raxx_detect.baseline_pieces(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, OUT day date, OUT from_time timestamptz, OUT ready boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH ends AS (
        SELECT raxx_detect.judging_day($1, $2, greatest($3, raxx_detect.before($4, interval '400 days'))) AS first_day,
               raxx_detect.judging_day($1, $2, $4) AS last_day
    ), days AS (
        SELECT DISTINCT v.day FROM ends e CROSS JOIN LATERAL (VALUES (e.first_day), (e.first_day + 1), (e.last_day)) v(day)
        WHERE v.day BETWEEN e.first_day AND e.last_day
        UNION ALL SELECT '-infinity' WHERE $3 < raxx_detect.before($4, interval '400 days')  -- no baseline judges what is older
    )
    SELECT d.day, CASE WHEN lag(d.day) OVER (ORDER BY d.day) IS NULL THEN '-infinity' ELSE raxx_detect.takes_over($1, $2, d.day) END,
           raxx_detect.baseline_is_ready($1, ($2).source, d.day)
    FROM days d ORDER BY d.day;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_pieces(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The days whose baselines judge (exact_from, as_of], in order: each from from_time on. Runs are cut where a baseline takes over, so that there are at most three.';
-- Counting by cells: what a day of counts is learnt from, in one reading.

CREATE FUNCTION raxx_detect.cell_counts(relation regclass, event_time name, entity name, value name, network int[], cell interval,
    from_time timestamptz, to_time timestamptz, hour_starts timestamptz[], hours int[],
    left_out_entities text[], left_out_periods tstzrange[], keep bigint,
    OUT entity text, OUT cells bigint[], OUT sums bigint[], OUT squares float8[], OUT sketch raxx_detect.quantile_sketch,
    OUT counted bigint, OUT left_out bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_cell_counts' LANGUAGE C VOLATILE ROWS 1000;
COMMENT ON FUNCTION raxx_detect.cell_counts(regclass, name, name, name, int[], interval, timestamptz, timestamptz, timestamptz[], int[], text[], tstzrange[], bigint) IS
'How many rows, or where value is not NULL distinct values of that column, each entity has in each cell of the time from from_time until before to_time. Cells begin at from_time and are all of the length cell. The first row, of entity NULL, is of all entities together: for each hour of the clock, 0 to 23, the cells that held anything (those of each entity for themselves), the sum of what they held and the sum of the squares, a sketch of what they held (NULL if there was none), and how many rows counted and how many were left out. A row each follows for the entities with the largest sums, at most keep of them (0 to 10000000), of equal sums the first by text, byte for byte; sketch, counted and left_out are NULL. The hour of a cell is that of hours, 0 to 23, whose element of hour_starts, ascending from from_time or earlier on, is the last up to the cell''s beginning (raxx_detect.hours_of_cells). Rows of left_out_entities (as raxx_detect.bounded_entity names them) within the period beside it are left out; NULL: none. network: as in raxx_detect.episodes. Rows with a NULL entity or value or an infinite time are ignored; raxx_detect.reading() does not change. Errors: 22004 NULL argument or element, 22023 value out of range or arrays that do not match, 42703 no such column, 42804 wrong type, 42501 not permitted, 54000 the entities do not fit raxx_detect.memory_limit.';

CREATE FUNCTION raxx_detect.hours_of_cells(rule raxx_detect.rules, period tstzrange, cell interval,
    OUT hour_starts timestamptz[], OUT hours int[])
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(c.at ORDER BY c.at), array_agg(c.hour ORDER BY c.at)
    FROM (SELECT b.at, b.hour, lag(b.hour) OVER (ORDER BY b.at) AS before
          FROM (SELECT at, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), at))::int AS hour
                FROM generate_series(lower(period), upper(period) - interval '1 microsecond',
                                     make_interval(secs => extract(epoch FROM cell)::float8)) at) b) c
    WHERE c.hour IS DISTINCT FROM c.before
$$;
COMMENT ON FUNCTION raxx_detect.hours_of_cells(raxx_detect.rules, tstzrange, interval) IS
'The cells of a period with which another hour of the clock of the rule''s time zone begins, and which: 23 or 25 of them on the days on which the clock changes.';
-- Learning counts: how many rows, or distinct values, of each entity are usual in a window of the rule's length.
--
-- A day is divided into cells as long as the window, from midnight on. Of an entity all cells of the day are observed, the
-- empty ones too; of all entities together those that held a row, since entities that did not come cannot be counted.

CREATE FUNCTION raxx_detect.network_prefixes(rule raxx_detect.rules) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rule.params ? 'ipv4_prefix' THEN ARRAY[(rule.params ->> 'ipv4_prefix')::int, (rule.params ->> 'ipv6_prefix')::int] END;
END $$;
COMMENT ON FUNCTION raxx_detect.network_prefixes(raxx_detect.rules) IS 'The prefix lengths of a rule''s client networks, NULL if it has none.';

CREATE FUNCTION raxx_detect.entity_expression(rule raxx_detect.rules, binding raxx_detect.source_bindings, role text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    column_name name := raxx_detect.role_column(binding, role);
    prefixes int[] := raxx_detect.network_prefixes(rule);
BEGIN
    IF prefixes IS NOT NULL AND raxx_detect.role_accepts('inet', raxx_detect.column_type(binding.relation, column_name)) THEN
        RETURN format('raxx_detect.client_network(t.%I, %s, %s)', column_name, prefixes[1], prefixes[2]);
    END IF;
    RETURN format('raxx_detect.text_of(t.%I)', column_name);
END $$;
COMMENT ON FUNCTION raxx_detect.entity_expression(raxx_detect.rules, raxx_detect.source_bindings, text) IS
'The SQL expression, over the row t of the relation, of the entity that a rule sees in a column: its text, or for addresses the client network.';

CREATE FUNCTION raxx_detect.hour_sums(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'ARRAY[' || string_agg(format('coalesce(sum(%s) FILTER (WHERE hour = %s), 0)', value, h), ', ' ORDER BY h) || ']'
    FROM generate_series(0, 23) h
$$;
COMMENT ON FUNCTION raxx_detect.hour_sums(text) IS 'The SQL expression of the sums of a value for each hour, as an array. The value is one that a learner names, never a user''s.';

CREATE FUNCTION raxx_detect.cells_by_hour(rule raxx_detect.rules, period tstzrange, cell interval) RETURNS float8[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH zone AS MATERIALIZED (  -- asked once, not for every cell
        SELECT raxx_detect.rule_time_zone(rule) AS name
    )
    SELECT array_agg(coalesce(n.cells, 0) ORDER BY h)
    FROM generate_series(0, 23) h
    LEFT JOIN (SELECT extract(hour FROM timezone(z.name, c))::int AS hour, count(*)::float8 AS cells
               FROM zone z CROSS JOIN generate_series(lower(period), upper(period) - interval '1 microsecond', cell) c GROUP BY 1) n ON n.hour = h
$$;
COMMENT ON FUNCTION raxx_detect.cells_by_hour(raxx_detect.rules, tstzrange, interval) IS
'How many cells of a length begin in each hour of the clock, 0 to 23, within a period of a day: in the hour that daylight saving skips none, in the one that it repeats twice as many.';

CREATE FUNCTION raxx_detect.learn_counts(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    cell interval := rule.params ->> 'window';
    value_column name := CASE rule.method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END;
    day_cells float8[] := raxx_detect.cells_by_hour(rule, period, cell);
    out_entities text[];
    out_periods tstzrange[];
BEGIN
    SELECT array_agg(l.entity), array_agg(l.period) INTO out_entities, out_periods
    FROM raxx_detect.left_out(rule, binding.source, period) l;
    WITH counts AS MATERIALIZED (
        SELECT c.* FROM raxx_detect.hours_of_cells(rule, period, cell) h
        CROSS JOIN LATERAL raxx_detect.cell_counts(binding.relation, binding.columns ->> 'event_time',
            raxx_detect.role_column(binding, rule.params ->> 'entity'), value_column, raxx_detect.network_prefixes(rule), cell, lower(period), upper(period),
            h.hour_starts, h.hours, out_entities, out_periods, coalesce((rule.params ->> 'baseline_entities')::bigint, 0)) c
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, raxx_detect.bounded_entity(c.entity),
               CASE WHEN c.entity IS NULL THEN c.cells::float8[] ELSE day_cells END, c.sums, c.squares, c.sketch
        FROM counts c WHERE c.entity IS NOT NULL OR c.sketch IS NOT NULL
    )
    UPDATE raxx_detect.baseline_days b SET rows = c.counted, left_out = c.left_out
    FROM counts c
    WHERE c.entity IS NULL AND b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;

    -- Of an entity whose rows were left out, the time that they were left out of was not observed.
    INSERT INTO raxx_detect.baselines AS b (rule_id, source, day, entity, exposure, rows, squares)
    SELECT rule.rule_id, binding.source, day, o.entity,
           ARRAY(SELECT greatest(a.cells - o.cells[a.hour], 0)
                 FROM unnest(day_cells) WITH ORDINALITY a(cells, hour) ORDER BY a.hour),
           array_fill(0, '{24}'), array_fill(0, '{24}')
    FROM (SELECT l.entity, ARRAY(SELECT sum(u.cells) FROM unnest(out_entities, out_periods) p(entity, period)
                  CROSS JOIN LATERAL unnest(raxx_detect.cells_by_hour(rule, p.period, cell)) WITH ORDINALITY u(cells, hour)
                  WHERE p.entity = l.entity GROUP BY u.hour ORDER BY u.hour) AS cells
          FROM (SELECT DISTINCT u.entity FROM unnest(out_entities) u(entity)) l) o
    ON CONFLICT ON CONSTRAINT one_baseline_per_entity_and_day DO UPDATE SET exposure = EXCLUDED.exposure;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_counts(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of counts: for the baseline_entities busiest entities, and for all together, with a sketch of what the cells held.';

-- Asking.

CREATE FUNCTION raxx_detect.array_sum(numbers anyarray) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(n::float8), 0) FROM unnest(numbers) n
$$;
COMMENT ON FUNCTION raxx_detect.array_sum(anyarray) IS 'The sum of the elements.';

CREATE TYPE raxx_detect.count_baseline AS (
    of text,
    days int,
    cells float8,
    rows float8,
    mean float8,
    deviation float8,
    quantile float8,
    others_mean float8,
    others_variance float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.count_baseline IS 'What is usual for an entity in a window: how many in a cell (mean, deviation, and where asked for a quantile), and given one row, the mean and variance of how many others the window holds.';

CREATE FUNCTION raxx_detect.baseline_left_out(rule raxx_detect.rules, source text, first_day date, day date) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(d.left_out), 0)::bigint FROM raxx_detect.baseline_days d
    WHERE d.rule_id = rule.rule_id AND d.source = baseline_left_out.source AND d.day >= first_day AND d.day < baseline_left_out.day
$$;
COMMENT ON FUNCTION raxx_detect.baseline_left_out(raxx_detect.rules, text, date, date) IS 'How many rows the days [first_day, day) of a baseline leave out.';

CREATE FUNCTION raxx_detect.all_entities_baseline(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.count_baseline
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b raxx_detect.count_baseline;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    squares float8;
BEGIN
    b.of := 'all entities';
    b.days := day - first_day;
    b.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    SELECT coalesce(sum(raxx_detect.array_sum(x.exposure)), 0), coalesce(sum(raxx_detect.array_sum(x.rows)), 0),
           coalesce(sum(raxx_detect.array_sum(x.squares)), 0),
           raxx_detect.quantile(raxx_detect.merge(x.sketch), (rule.params ->> 'baseline_quantile')::float8)
    INTO b.cells, b.rows, squares, b.quantile
    FROM raxx_detect.baselines x
    WHERE x.rule_id = rule.rule_id AND x.source = source AND x.entity IS NULL AND x.day >= first_day AND x.day < day;
    b.mean := b.rows / nullif(b.cells, 0);
    b.deviation := sqrt(greatest((squares - b.rows * b.mean) / nullif(b.cells - 1, 0), 0));
    -- A cell holds one row at least; how many others it holds is what varies.
    b.others_mean := b.mean - 1 + 0.5 / nullif(b.cells, 0);
    b.others_variance := greatest(b.deviation ^ 2, b.others_mean);
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.all_entities_baseline(raxx_detect.rules, text, date) IS
'What is usual on a day for an entity of which nothing is known: the cells of all entities that held a row. Its mean is NULL if there were none.';

CREATE FUNCTION raxx_detect.entity_baseline(rule raxx_detect.rules, source text, entity text, day date, hour int) RETURNS raxx_detect.count_baseline
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b raxx_detect.count_baseline;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    cells_an_hour float8 := 3600 / extract(epoch FROM (rule.params ->> 'window')::interval);
    entity_key text := raxx_detect.bounded_entity(entity);
    variance float8;
    excess float8;
    learnt_from float8;
BEGIN
    b.of := 'own';
    b.days := day - first_day;
    b.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    WITH hours AS (  -- every hour of every day; a day without a row of the entity has cells all the same
        SELECT 24 * (d - day) + h AS at, (extract(isodow FROM d)::int - extract(isodow FROM day)::int) % 7 = 0 AS same_weekday,
               coalesce(x.exposure[h + 1], cells_an_hour) AS cells, coalesce(x.rows[h + 1], 0)::float8 AS rows, coalesce(x.squares[h + 1], 0) AS squares
        FROM generate_series(0, day - first_day - 1) i
        CROSS JOIN LATERAL (SELECT first_day + i AS d) days
        CROSS JOIN generate_series(0, 23) h
        LEFT JOIN raxx_detect.baselines x ON x.rule_id = rule.rule_id AND x.source = source AND x.entity = entity_key AND x.day = d
    ), whole AS (
        SELECT sum(cells) AS cells, sum(rows) AS rows, sum(squares) AS squares FROM hours
    ), within AS (  -- how much more the counts of one hour scatter than chance alone makes them
        SELECT sum(squares - rows ^ 2 / cells - (cells - 1) * rows / cells) / nullif(sum((cells - 1) * (rows / cells) ^ 2), 0) AS excess
        FROM hours WHERE cells > 1
    ), season AS (  -- the same hour of the same weekday, the same with its neighbours, and the same hour of any day
        SELECT greatest(s.alone, s.together, d.daily) AS mean, CASE WHEN d.daily > s.together THEN d.rows ELSE s.rows END AS rows
        FROM (SELECT sum(n.rows) FILTER (WHERE n.at = t.at) / nullif(sum(n.cells) FILTER (WHERE n.at = t.at), 0) AS alone,
                     sum(n.rows) / nullif(sum(n.cells), 0) AS together, sum(n.rows) AS rows
              FROM hours t JOIN hours n ON n.at BETWEEN t.at - 1 AND t.at + 1
              WHERE hour IS NOT NULL AND t.same_weekday AND (t.at % 24 + 24) % 24 = hour) s
        CROSS JOIN (SELECT sum(t.rows) / nullif(sum(t.cells), 0) AS daily, sum(t.rows) AS rows
                    FROM hours t WHERE hour IS NOT NULL AND (t.at % 24 + 24) % 24 = hour) d
    )
    SELECT w.cells, w.rows, CASE WHEN hour IS NULL THEN (w.rows + 0.5) / w.cells ELSE greatest(s.mean, 0.5 / w.cells) END,
           greatest((w.squares - w.rows ^ 2 / w.cells) / nullif(w.cells - 1, 0), 0), i.excess, CASE WHEN hour IS NULL THEN w.rows ELSE s.rows END
    INTO b.cells, b.rows, b.mean, variance, excess, learnt_from
    FROM whole w CROSS JOIN within i CROSS JOIN season s WHERE w.cells > 0;
    IF b.mean IS NULL THEN
        RETURN b;
    END IF;
    IF hour IS NULL THEN
        excess := (variance - b.mean) / b.mean ^ 2;
    END IF;
    -- That the mean is known from so many rows only adds to the scatter (a gamma distribution of its shape).
    excess := greatest(excess, 0) + 1 / (learnt_from + 0.5);
    b.deviation := sqrt(CASE WHEN hour IS NULL THEN variance ELSE b.mean + excess * b.mean ^ 2 END);
    -- Given one row, the others of its window: for a Poisson process whose rate varies like a gamma, the same with a
    -- shape greater by one (size bias).
    b.others_mean := b.mean * (1 + excess);
    b.others_variance := b.others_mean + excess * b.mean * b.others_mean;
    RETURN b;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_baseline(raxx_detect.rules, text, text, date, int) IS
'What is usual for an entity on a day, by its own cells of the days before, empty ones included; hour, 0 to 23: in that hour of that weekday (the greatest of the hour''s mean, its mean with the hours beside it, and the mean of that hour of all days, since one week tells little of an hour and may have had a holiday), NULL: at any time. Counts are taken for negative binomial, with what they scatter more than Poisson''s estimated by moments. Its rows are 0 for an entity never seen.';
-- Learning the cadence of a table: how long its silences are by the hour in which they begin, and how many events each
-- hour of the week brings.

CREATE FUNCTION raxx_detect.learn_gaps(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    cell interval := rule.params ->> 'baseline_gap';
    out_periods tstzrange[] := ARRAY(SELECT l.period FROM raxx_detect.left_out(rule, binding.source, period) l);
BEGIN
    EXECUTE format(
        'WITH events AS (
             SELECT t.%1$I AS at FROM %2$s t WHERE t.%1$I >= lower($4) AND t.%1$I < upper($4)
         ), gaps AS (
             SELECT e.since, e.at, EXISTS (SELECT FROM unnest($7) l(period) WHERE tstzrange(e.since, e.at) && l.period) AS is_out
             FROM (SELECT lag(at, 1, $8) OVER (ORDER BY at) AS since, at FROM events) e
         ), cells AS (
             SELECT extract(hour FROM timezone($6, date_bin($5, at, lower($4))))::int AS hour, count(*) AS x
             FROM events WHERE at <> ALL (ARRAY(SELECT upper(l.period) FROM unnest($7) l(period) WHERE NOT upper_inf(l.period)))
             GROUP BY date_bin($5, at, lower($4))
         ), sketches AS (
             SELECT extract(hour FROM timezone($6, since))::int AS hour, raxx_detect.quantile_sketch(extract(epoch FROM at - since)::float8) AS sketch
             FROM gaps WHERE since IS NOT NULL AND NOT is_out GROUP BY 1
         ), written AS (
             INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, hour_sketches)
             SELECT $1, $2, $3, NULL,
                    ARRAY(SELECT greatest(a.cells - coalesce((SELECT sum(u.cells) FROM unnest($7) l(period)
                              CROSS JOIN LATERAL unnest(raxx_detect.cells_by_hour($9, l.period, $5)) WITH ORDINALITY u(cells, hour)
                              WHERE u.hour = a.hour), 0), 0)
                          FROM unnest(raxx_detect.cells_by_hour($9, $4, $5)) WITH ORDINALITY a(cells, hour) ORDER BY a.hour),
                    %3$s, %4$s, (SELECT array_agg(s.sketch ORDER BY h) FROM generate_series(0, 23) h LEFT JOIN sketches s ON s.hour = h)
             FROM cells
         )
         UPDATE raxx_detect.baseline_days b SET rows = g.rows, left_out = g.rows_out
         FROM (SELECT count(*) FILTER (WHERE NOT is_out) AS rows, count(*) FILTER (WHERE is_out) AS rows_out FROM gaps) g
         WHERE b.rule_id = $1 AND b.source = $2 AND b.day = $3',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.hour_sums('x') || '::bigint[]', raxx_detect.hour_sums('x::float8 * x'))
    USING rule.rule_id, binding.source, day, period, cell, raxx_detect.rule_time_zone(rule), out_periods,
        raxx_detect.last_event(binding, lower(period) - interval '1 microsecond'), rule;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_gaps(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of a cadence: the gaps that end in it, in seconds, by the hour in which they began, and the events in cells of baseline_gap. Gaps of findings are left out, and their time counts as not observed.';

-- Asking.

CREATE TYPE raxx_detect.cadence AS (
    day date,
    days int,
    quantiles float8[],
    gaps bigint[],
    dispersions float8[],
    tests_a_month float8,
    tail float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.cadence IS 'The cadence that judges a day: for each hour, 0 to 23, the baseline_quantile of the lengths of the gaps that begin in it (seconds), their number, and how many times more than by chance the events of that hour cluster.';

CREATE FUNCTION raxx_detect.cadence_of(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.cadence
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c raxx_detect.cadence;
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    events float8;
BEGIN
    c.day := day;
    c.days := day - first_day;
    c.left_out := raxx_detect.baseline_left_out(rule, source, first_day, day);
    SELECT array_agg(raxx_detect.quantile(s.sketch, (rule.params ->> 'baseline_quantile')::float8) ORDER BY s.hour),
           array_agg(raxx_detect.sketch_count(s.sketch) ORDER BY s.hour)
    INTO c.quantiles, c.gaps
    FROM (SELECT h AS hour, raxx_detect.merge(b.hour_sketches[h + 1]) AS sketch
          FROM generate_series(0, 23) h LEFT JOIN raxx_detect.baselines b
              ON b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day >= first_day AND b.day < day
          GROUP BY h) s;
    -- Pearson's statistic of the cells of an hour of a day against that hour's mean, by its degrees of freedom: of all
    -- hours, and of each by itself, in which events may cluster more, or stop halfway.
    WITH hours AS (
        SELECT u.hour, sum(u.squares - u.rows::float8 ^ 2 / u.cells) AS squares, sum((u.cells - 1) * u.rows / u.cells) AS freedom, sum(u.rows) AS rows
        FROM raxx_detect.baselines b
        CROSS JOIN LATERAL unnest(b.exposure, b.rows, b.squares) WITH ORDINALITY u(cells, rows, squares, hour)
        WHERE b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day >= first_day AND b.day < day AND u.cells > 1
        GROUP BY u.hour
    )
    SELECT array_agg(greatest(x.squares / nullif(x.freedom, 0), sum_squares / nullif(sum_freedom, 0), 1) ORDER BY h), max(events_seen)
    INTO c.dispersions, events
    FROM generate_series(1, 24) h LEFT JOIN hours x ON x.hour = h
    CROSS JOIN (SELECT sum(squares) AS sum_squares, sum(freedom) AS sum_freedom, sum(rows) AS events_seen FROM hours) whole;
    c.tests_a_month := raxx_detect.tests_a_month(coalesce(events, 0), c.days);
    c.tail := least(raxx_detect.alarm_budget(rule) / c.tests_a_month, 1);
    RETURN c;
END $$;
COMMENT ON FUNCTION raxx_detect.cadence_of(raxx_detect.rules, text, date) IS 'The cadence of the days before a day.';

CREATE FUNCTION raxx_detect.silence_probability(rule raxx_detect.rules, source text, silence tstzrange, c raxx_detect.cadence,
    OUT p_value float8, OUT expected float8)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    zone text := raxx_detect.rule_time_zone(rule);
    cell float8 := extract(epoch FROM (rule.params ->> 'baseline_gap')::interval);
    business_days int[] := ARRAY(SELECT d::int FROM jsonb_array_elements_text(rule.params -> 'business_days') d);
BEGIN
    WITH hours AS (  -- the hours that the silence lies in, and how many cells of it
        SELECT h AS begins, timezone(zone, h) AS local, extract(epoch FROM least(upper(silence), h + interval '1 hour') - greatest(lower(silence), h))::float8 / cell AS cells
        FROM generate_series(date_trunc('hour', lower(silence), zone), least(upper(silence), lower(silence) + interval '14 days'), interval '1 hour') h
        WHERE least(upper(silence), h + interval '1 hour') > greatest(lower(silence), h)
    ), days AS (  -- that hour on the days of its kind, business days or others
        SELECT t.begins, t.local, t.cells, extract(isodow FROM d.day)::int = extract(isodow FROM t.local)::int AS same_weekday,
               coalesce(b.rows[extract(hour FROM t.local)::int + 1], 0)::float8 AS rows,
               coalesce(b.exposure[extract(hour FROM t.local)::int + 1], 3600 / cell) AS over
        FROM hours t
        CROSS JOIN LATERAL (SELECT c.day - i AS day FROM generate_series(1, c.days) i
                            WHERE (extract(isodow FROM c.day - i)::int = ANY (business_days)) = (extract(isodow FROM t.local)::int = ANY (business_days))) d
        LEFT JOIN raxx_detect.baselines b ON b.rule_id = rule.rule_id AND b.source = source AND b.entity IS NULL AND b.day = d.day
    ), usual AS (  -- its rate is that of all of them, or of the same weekday, whichever is quieter
        SELECT x.begins, x.local, x.cells, sum(x.over) AS over,
               least(sum(x.rows), sum(x.over) * sum(x.rows) FILTER (WHERE x.same_weekday) / nullif(sum(x.over) FILTER (WHERE x.same_weekday), 0)) AS rows
        FROM days x GROUP BY x.begins, x.local, x.cells  -- the hour that a change of the clock repeats is two
    )
    -- No event in so many cells when there were rows in `over` cells: the rate varies like a gamma that has seen them. Events
    -- come in clusters, and it is clusters that stay away: of (1 + d) / 2 events on average, if their sizes are geometric and d is
    -- the index of dispersion that they give. (A rate that varies like a gamma gives less.)
    SELECT exp(greatest(coalesce(sum((q.rows + 0.5) / ((1 + c.dispersions[extract(hour FROM q.local)::int + 1]) / 2) * ln(q.over / (q.over + q.cells)) ORDER BY q.begins), 0), -700)),
           coalesce(sum(q.cells * q.rows / q.over ORDER BY q.begins), 0)
    INTO p_value, expected FROM usual q WHERE q.over > 0;
END $$;
COMMENT ON FUNCTION raxx_detect.silence_probability(raxx_detect.rules, text, tstzrange, raxx_detect.cadence) IS
'The probability of a silence, by the hours that it lies in (its first 14 days), each as it was on the days of its kind, business days or others, in the baseline: the product of (T / (T + g)) ^ ((n + 1/2) / ((1 + d) / 2)), where d is the index of dispersion of that hour''s cells, n events are usual in the time T of that hour (at the rate of those days, or of the same weekday alone, whichever is quieter) and the silence lies in it for g; and how many events were to be expected. 1 where nothing is known.';
-- Limits: how many rows, or distinct values, of an entity in a window are too many, by its baseline or by the threshold.
--
-- Every row is a test: it finds its window holding so many others. The limit is the least number whose tail
-- probability, times the tests that a month brings, is within the false alarms that the rule may raise in a month.

CREATE TYPE raxx_detect.count_limit AS (
    entity text,
    from_time timestamptz,
    threshold bigint,
    fired_by text,
    baseline jsonb
);
COMMENT ON TYPE raxx_detect.count_limit IS 'From when on how many are too many, whether threshold or baseline says so, and the baseline, or why there is none.';

CREATE FUNCTION raxx_detect.alarm_budget(rule raxx_detect.rules) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.false_alarms_per_month * CASE WHEN rule.params ? 'mix_window' THEN 0.5 ELSE 1 END / cardinality(rule.sources);
END $$;
COMMENT ON FUNCTION raxx_detect.alarm_budget(raxx_detect.rules) IS
'How many false alarms a month one test of one source of a rule may raise: what the rule declares, shared out among its sources, and halved where it makes two kinds of test.';

CREATE FUNCTION raxx_detect.tests_a_month(rows float8, days int) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(rows / days, 1) * 30.4375;
END $$;
COMMENT ON FUNCTION raxx_detect.tests_a_month(float8, int) IS 'How many rows a month of 30.4375 days brings, going by those of so many days; one a day at least.';

CREATE FUNCTION raxx_detect.count_limit_of(rule raxx_detect.rules, b raxx_detect.count_baseline, tail float8) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest((rule.params ->> 'baseline_floor')::bigint,
                    1 + raxx_detect.critical_count(b.others_mean, b.others_variance, tail),
                    1 + floor(b.mean + (rule.params ->> 'sigmas')::float8 * b.deviation)::bigint,
                    1 + floor(b.quantile)::bigint);
END $$;
COMMENT ON FUNCTION raxx_detect.count_limit_of(raxx_detect.rules, raxx_detect.count_baseline, float8) IS
'The limit by a baseline: one row and so many others that more have at most the tail probability; also above the mean by more than sigmas deviations and above the baseline_quantile, where the rule has them; never below its baseline_floor.';

CREATE FUNCTION raxx_detect.count_p_value(baseline jsonb, observed float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN raxx_detect.negative_binomial_upper_tail(observed::bigint - 1, (baseline ->> 'others_mean')::float8,
        greatest((baseline ->> 'others_mean')::float8, (baseline ->> 'others_variance')::float8));
END $$;
COMMENT ON FUNCTION raxx_detect.count_p_value(jsonb, float8) IS 'The probability that a row finds that many or more in its window, itself included, by the baseline that a finding names; NULL without one.';

CREATE FUNCTION raxx_detect.no_baseline(rule raxx_detect.rules, source text, day date) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_build_object('ready', false, 'days', CASE WHEN isfinite(day) THEN coalesce(greatest(day - raxx_detect.baseline_first_day(rule, source, day), 0), 0) ELSE 0 END,
        'needed', extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int);
END $$;
COMMENT ON FUNCTION raxx_detect.no_baseline(raxx_detect.rules, text, date) IS 'What a finding says of a baseline that is not ready: how many whole days it has, and how many it needs.';

CREATE FUNCTION raxx_detect.count_limits(rule raxx_detect.rules, binding raxx_detect.source_bindings, entities text[],
    exact_from timestamptz, as_of timestamptz, threshold bigint)
RETURNS SETOF raxx_detect.count_limit LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    piece record;
    everybody raxx_detect.count_baseline;
    own raxx_detect.count_baseline;
    used raxx_detect.count_baseline;
    tests float8;
    tail float8;
    entity text;
    segment record;
    told jsonb;
    begun raxx_detect.count_limit;
BEGIN
    FOR piece IN SELECT * FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) LOOP
        IF NOT piece.ready THEN
            told := raxx_detect.no_baseline(rule, binding.source, piece.day);
            RETURN QUERY SELECT e, piece.from_time, threshold, 'threshold', told FROM unnest(entities) e WHERE threshold IS NOT NULL;
            CONTINUE;
        END IF;
        everybody := raxx_detect.all_entities_baseline(rule, binding.source, piece.day);
        tests := raxx_detect.tests_a_month(everybody.rows, everybody.days);
        tail := least(raxx_detect.alarm_budget(rule) / tests, 1);
        FOR segment IN SELECT * FROM raxx_detect.season_segments(rule, binding, piece.day, piece.from_time, exact_from, as_of) LOOP
            FOREACH entity IN ARRAY entities LOOP
                own := NULL;
                IF rule.method <> 'distinct' THEN
                    own := raxx_detect.entity_baseline(rule, binding.source, entity, piece.day, segment.hour);
                END IF;
                used := CASE WHEN own.rows >= (rule.params ->> 'baseline_rows')::bigint THEN own
                             WHEN rule.method <> 'spike' AND everybody.cells >= (rule.params ->> 'baseline_rows')::bigint THEN everybody END;
                -- What lies in an open finding is left out, so that one that lasts wears its baseline down: it is
                -- judged on by the limit at which it began.
                begun := NULL;
                IF used.of IS DISTINCT FROM 'own' THEN
                    begun := raxx_detect.begun_limit(rule, binding.source, entity, raxx_detect.takes_over(rule, binding, piece.day));
                END IF;
                IF begun.threshold IS NOT NULL AND (used.mean IS NULL OR begun.baseline ->> 'of' = 'own') THEN
                    begun.from_time := segment.from_time;
                    RETURN NEXT begun;
                ELSIF used.mean IS NOT NULL THEN
                    RETURN NEXT (entity, segment.from_time, raxx_detect.count_limit_of(rule, used, tail), 'baseline',
                        jsonb_strip_nulls(to_jsonb(used)) || jsonb_build_object('tests_a_month', tests, 'tail', tail)
                        || CASE WHEN used.of = 'own' OR own.rows IS NULL THEN '{}' ELSE jsonb_build_object('own_rows', own.rows) END)::raxx_detect.count_limit;
                ELSIF threshold IS NOT NULL THEN
                    RETURN NEXT (entity, segment.from_time, threshold, 'threshold',
                        jsonb_build_object('ready', false, 'days', everybody.days, 'own_rows', own.rows, 'rows', everybody.rows,
                            'needed_rows', (rule.params ->> 'baseline_rows')::bigint))::raxx_detect.count_limit;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.count_limits(raxx_detect.rules, raxx_detect.source_bindings, text[], timestamptz, timestamptz, bigint) IS
'The limits of entities for judging (exact_from, as_of]: by the entity''s own baseline where that has baseline_rows rows; else, but for method spike, by that of all entities, where that has as many cells; else by the threshold, and not at all where that is NULL. In a finding that began by a baseline which its own rows, being left out, have worn down, its limit goes on. Method distinct goes by all entities only.';

CREATE FUNCTION raxx_detect.begun_limit(rule raxx_detect.rules, source text, entity text, instant timestamptz) RETURNS raxx_detect.count_limit
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    result raxx_detect.count_limit;
BEGIN
    SELECT entity, instant, f.threshold::bigint, f.fired_by, f.evidence -> 'baseline'
    INTO result.entity, result.from_time, result.threshold, result.fired_by, result.baseline
    FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = source AND f.entity = raxx_detect.bounded_entity(raxx_detect.entity_beside_mix(rule, entity)) AND f.episode @> instant
      AND f.triage <> 'closed' AND f.fired_by = 'baseline' AND f.evidence -> 'baseline' ? 'others_mean';
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.begun_limit(raxx_detect.rules, text, text, timestamptz) IS
'The limit, and the baseline, by which the finding that nobody has closed began that an entity is in at an instant; NULLs if there is none.';

CREATE FUNCTION raxx_detect.season_segments(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, piece_from timestamptz,
    exact_from timestamptz, as_of timestamptz, OUT from_time timestamptz, OUT hour int)
RETURNS SETOF record LANGUAGE plpgsql STABLE ROWS 24 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT piece_from, NULL::int WHERE rule.params ->> 'season' IS DISTINCT FROM 'hour_of_week'
    UNION ALL
    SELECT CASE WHEN lag(h) OVER (ORDER BY h) IS NULL THEN piece_from ELSE h END,
           extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), h))::int
    FROM generate_series(raxx_detect.day_starts(rule, day), raxx_detect.takes_over(rule, binding, day + 1), '1 hour') h
    WHERE rule.params ->> 'season' = 'hour_of_week' AND h + interval '1 hour' > raxx_detect.takes_over(rule, binding, day)
      AND h < raxx_detect.takes_over(rule, binding, day + 1) AND h <= as_of
      AND h + interval '1 hour' > raxx_detect.before(exact_from, (rule.params ->> 'window')::interval);
END $$;
COMMENT ON FUNCTION raxx_detect.season_segments(raxx_detect.rules, raxx_detect.source_bindings, date, timestamptz, timestamptz, timestamptz) IS
'The stretches of the time that a day''s baseline judges in which an entity''s limit is one, for judging (exact_from, as_of] and the window before it: the hours of the clock, with season hour_of_week, or all of it (hour NULL).';
-- The evaluators: one function for each method, from a rule and the relation bound to one of its sources to candidates.
--
-- Each returns the truth for (exact_from, as_of]; to know it, it reads as far back as its window reaches.

CREATE FUNCTION raxx_detect.text_of(value anyelement) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_text_of' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.text_of(anyelement) IS 'The text of a value, as its output function writes it: what makes two values the same entity. (A cast of an inet adds its mask.)';

CREATE FUNCTION raxx_detect.row_keys(number int, binding raxx_detect.source_bindings, period tstzrange, entity_expression text, entity text)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := binding.columns ->> 'event_time';
    key_columns name[];
    keys jsonb;
BEGIN
    IF number > 200 THEN
        RETURN jsonb_build_object('relation', binding.relation::text, 'omitted', 'one of more than 200 findings of a run');
    END IF;
    SELECT array_agg(a.attname ORDER BY k.position) INTO key_columns
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = binding.relation AND i.indisprimary
      AND has_column_privilege(i.indrelid, a.attnum, 'SELECT');
    EXECUTE format(
        'SELECT jsonb_agg(CASE WHEN length(k.row_key::text) <= 200 THEN k.row_key
                          ELSE to_jsonb(raxx_detect.bounded_entity(k.row_key::text)) END)
         FROM (SELECT jsonb_build_array(%s) AS row_key FROM %s t
               WHERE t.%I >= $1 AND t.%I < $2 AND %s ORDER BY t.%I, row_key LIMIT 20) k',
        coalesce((SELECT string_agg(format('t.%I', c), ', ') FROM unnest(key_columns) c), format('t.%I', event_time)),
        binding.relation, event_time, event_time, entity_expression, event_time)
    INTO keys USING lower(period), upper(period), entity;
    RETURN jsonb_build_object('relation', binding.relation::text,
        'key', coalesce(to_jsonb(key_columns), jsonb_build_array(event_time)), 'first_rows', coalesce(keys, '[]'));
END $$;
COMMENT ON FUNCTION raxx_detect.row_keys(int, raxx_detect.source_bindings, tstzrange, text, text) IS
'Evidence, for the first 200 candidates of an evaluation (number), since each costs a look into the relation: the primary keys (without one, the times) of the first 20 rows in the period, of those for which the entity expression, made by an evaluator over the row t and the entity $3, holds.';

CREATE FUNCTION raxx_detect.before(instant timestamptz, length interval) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN instant < timestamptz '4000-01-01 00:00:00+00 BC' THEN '-infinity' ELSE instant - length END;
END $$;
COMMENT ON FUNCTION raxx_detect.before(timestamptz, interval) IS
'The instant a length (of at most 400 days) earlier, or -infinity near the beginning of time, where forged rows may lie.';

CREATE FUNCTION raxx_detect.window_up_to(instant timestamptz, window_length interval) RETURNS tstzrange
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tstzrange(raxx_detect.before(instant, window_length) + interval '1 microsecond', instant + interval '1 microsecond');
END $$;
COMMENT ON FUNCTION raxx_detect.window_up_to(timestamptz, interval) IS
'The window (instant - window_length, instant], whose rows made an episode begin: the evidence that no later row changes.';

CREATE FUNCTION raxx_detect.like_patterns(globs jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(replace(regexp_replace(glob, '([\\%_])', '\\\1', 'g'), '*', '%')), '{}') FROM jsonb_array_elements_text(globs) glob
$$;
COMMENT ON FUNCTION raxx_detect.like_patterns(jsonb) IS 'Globs such as *:admin as patterns for LIKE: * is any text, everything else itself.';

CREATE FUNCTION raxx_detect.role_column(binding raxx_detect.source_bindings, role text) RETURNS name
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF binding.columns ->> role IS NULL AND role IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('no column plays the role %s of source %s', left(role, 100), binding.source),
            DETAIL = format('It is bound to %s with %s.', binding.relation, binding.columns),
            HINT = 'Bind it again with the role (raxx_detect.bind_source), or name another one (raxx_detect.set_params).';
    END IF;
    RETURN binding.columns ->> role;
END $$;
COMMENT ON FUNCTION raxx_detect.role_column(raxx_detect.source_bindings, text) IS 'The column that plays a role, NULL for no role; raises 42703 if none plays it.';

CREATE FUNCTION raxx_detect.last_event(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
    result timestamptz;
BEGIN
    EXECUTE format('SELECT max(t.%1$I) FROM %2$s t WHERE t.%1$I <= $1 AND t.%1$I > ''-infinity''', event_time, binding.relation)
    INTO result USING as_of;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.last_event(raxx_detect.source_bindings, timestamptz) IS 'The last event_time up to as_of, NULL if there is none. An infinite time is no event.';

CREATE FUNCTION raxx_detect.next_event(binding raxx_detect.source_bindings, after timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event_time name := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
    result timestamptz;
BEGIN
    EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > $1 AND t.%1$I < ''infinity''', event_time, binding.relation)
    INTO result USING after;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.next_event(raxx_detect.source_bindings, timestamptz) IS 'The first event_time after an instant, NULL if there is none. An infinite time is no event.';
-- Verdicts on a grid: rules that judge an instant (the end of an hour, of a day) by what lies before it.
--
-- The verdict of a grid instant is in force until the next one, so it is an episode of one step. Steps that fire one
-- after the other are one episode, also when they were judged by different runs.

CREATE FUNCTION raxx_detect.join_verdicts(rule raxx_detect.rules, source text, verdicts raxx_detect.candidate[],
    exact_from timestamptz, next_instant timestamptz, condition text DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH fired AS MATERIALIZED (
        SELECT v.* FROM unnest(verdicts) v
        UNION ALL  -- what was in force at exact_from was judged for good, so its finding knows it
        SELECT f.entity, tstzrange(lower(f.episode), next_instant), f.severity, f.observed, f.threshold, f.unit, f.p_value, f.fired_by,
               f.sample_size, ARRAY(SELECT jsonb_array_elements_text(f.evidence -> 'conditions')), f.summary, f.evidence, f.verdict,
               NULL, f.escalation_owner
        FROM raxx_detect.detection_findings f
        WHERE f.rule_id = rule.rule_id AND f.source = join_verdicts.source AND f.episode @> exact_from
          AND NOT f.evidence ? 'refuted_at' AND (join_verdicts.condition IS NULL OR f.evidence -> 'conditions' ? join_verdicts.condition)
    ), joined AS (
        SELECT f.entity, unnest(range_agg(f.episode)) AS episode FROM fired f GROUP BY f.entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, told.threshold, worst.unit, told.p_value, worst.fired_by,
           worst.sample_size, told.conditions, worst.summary, told.evidence, worst.verdict, NULL::text, worst.escalation_owner
    FROM joined j
    CROSS JOIN LATERAL (
        SELECT f.* FROM fired f WHERE f.entity = j.entity AND f.episode && j.episode
        ORDER BY f.severity DESC, f.observed DESC, f.sample_size DESC, lower(f.episode) LIMIT 1) worst
    CROSS JOIN LATERAL (
        SELECT min(f.p_value) AS p_value, (array_agg(f.threshold ORDER BY lower(f.episode)))[1] AS threshold, (array_agg(f.evidence ORDER BY lower(f.episode)))[1] AS evidence,
               ARRAY(SELECT DISTINCT c FROM fired o CROSS JOIN unnest(o.conditions) c
                     WHERE o.entity = j.entity AND o.episode && j.episode ORDER BY c) AS conditions
        FROM fired f WHERE f.entity = j.entity AND f.episode && j.episode) told
$$;
COMMENT ON FUNCTION raxx_detect.join_verdicts(raxx_detect.rules, text, raxx_detect.candidate[], timestamptz, timestamptz, text) IS
'The candidates that verdicts after exact_from make, each given as a candidate whose episode is [instant, next instant): those of an entity that touch are one, told by the worst, with the threshold and the evidence of the first and the least p_value. The verdict in force at exact_from, until next_instant, is taken from its finding (where the rule judges in other ways, too: one of this condition).';
-- Bursts: velocity, distinct, both, and spike. Many rows, or distinct values, of one entity in a sliding window.

CREATE FUNCTION raxx_detect.entity_beside_mix(rule raxx_detect.rules, entity text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN rule.params ? 'mix_window' AND left(entity, 1) = '(' THEN '(' || entity ELSE entity END;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_beside_mix(raxx_detect.rules, text) IS
'The entity as a finding names it: where a rule also has findings of (mix), an entity that begins with a parenthesis gets one more, so that none can pass for it.';

CREATE FUNCTION raxx_detect.burst_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, number int,
    e record, severity raxx_detect.severity, unit text, l raxx_detect.count_limit, condition text)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
BEGIN
    IF l.baseline ? 'needed' THEN  -- as it was when the episode began
        l.baseline := raxx_detect.no_baseline(rule, binding.source, raxx_detect.judging_day(rule, binding, lower(e.episode)));
    END IF;
    RETURN (raxx_detect.entity_beside_mix(rule, e.entity), e.episode, severity, e.peak::float8, l.threshold::float8, unit,
        CASE l.fired_by WHEN 'baseline' THEN raxx_detect.count_p_value(l.baseline, e.peak) END, l.fired_by,
        e.sample_size, ARRAY[condition],
        format('%s: %s %s within %s (%s %s%s)', raxx_detect.printable(e.entity), e.peak, unit, raxx_detect.in_words(window_length),
            CASE l.fired_by WHEN 'baseline' THEN 'limit' ELSE 'threshold' END, l.threshold, raxx_detect.baseline_in_words(l)),
        jsonb_build_object('window', window_length,
            'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity') || ' = $3', e.entity))
        || CASE WHEN l.baseline IS NULL THEN '{}' ELSE jsonb_build_object('baseline', l.baseline) END,
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidate(raxx_detect.rules, raxx_detect.source_bindings, int, record, raxx_detect.severity, text, raxx_detect.count_limit, text) IS
'The candidate of an episode (entity, episode, peak, sample_size) and the limit that it reached when it began.';

CREATE FUNCTION raxx_detect.baseline_in_words(l raxx_detect.count_limit) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN l.fired_by = 'baseline' THEN format(' by the %s days before: %s %s on average, deviation %s', l.baseline ->> 'days',
                    CASE l.baseline ->> 'of' WHEN 'own' THEN 'its own' ELSE 'all entities''' END,
                    round((l.baseline ->> 'mean')::numeric, 3), round((l.baseline ->> 'deviation')::numeric, 3))
                WHEN l.baseline ? 'needed' THEN format('; baseline: %s of %s days', l.baseline ->> 'days', l.baseline ->> 'needed')
                WHEN l.baseline ? 'needed_rows' THEN '; too little history for a baseline'
                ELSE '' END
$$;
COMMENT ON FUNCTION raxx_detect.baseline_in_words(raxx_detect.count_limit) IS 'What a summary says of the baseline behind a limit, or of its absence.';

CREATE FUNCTION raxx_detect.burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold bigint, severity raxx_detect.severity, unit text,
    condition text, globs jsonb DEFAULT NULL)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT * FROM raxx_detect.episodes(method, binding.relation, binding.columns ->> 'event_time',
            raxx_detect.role_column(binding, rule.params ->> 'entity'), value_column,
            CASE WHEN globs IS NULL THEN NULL ELSE value_column END, raxx_detect.like_patterns(globs),
            raxx_detect.network_prefixes(rule), window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        RETURN NEXT raxx_detect.burst_candidate(rule, binding, number, e, severity, unit,
            (e.entity, '-infinity', threshold, 'threshold', NULL)::raxx_detect.count_limit, condition);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, bigint, raxx_detect.severity, text, text, jsonb) IS
'Candidates of one burst condition without a baseline: method velocity or distinct, on rows whose value matches the globs, if any.';

CREATE FUNCTION raxx_detect.baseline_burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, threshold bigint, severity raxx_detect.severity, unit text, condition text)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    read_from timestamptz := raxx_detect.before(exact_from, window_length);
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    value_column name := CASE method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END;
    event_time name := binding.columns ->> 'event_time';
    ready boolean := (SELECT bool_or(p.ready) FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p);
    least_limit bigint := CASE WHEN ready THEN least((rule.params ->> 'baseline_floor')::bigint, threshold) ELSE threshold END;
    limits raxx_detect.count_limit[];
    number int := 0;
    e record;
BEGIN
    IF least_limit IS NULL THEN
        RETURN;
    END IF;
    -- Who reaches the least of all limits? Seldom anybody; only they need limits of their own.
    SELECT array_agg(l ORDER BY l.entity, l.from_time) INTO limits
    FROM (SELECT array_agg(DISTINCT x.entity) AS entities
          FROM raxx_detect.episodes(method, binding.relation, event_time, entity_column, value_column, NULL, NULL,
              raxx_detect.network_prefixes(rule), window_length, least_limit, read_from, as_of) x
          WHERE upper(x.episode) > exact_from) busy
    CROSS JOIN LATERAL raxx_detect.count_limits(rule, binding, busy.entities, exact_from, as_of, threshold) l
    WHERE busy.entities IS NOT NULL;
    IF limits IS NULL THEN
        RETURN;
    END IF;
    FOR e IN
        SELECT x.*, (SELECT l FROM unnest(limits) l WHERE l.entity = x.entity AND l.from_time <= lower(x.episode)
                     ORDER BY l.from_time DESC LIMIT 1) AS reached
        FROM raxx_detect.limited_episodes(method, binding.relation, event_time, entity_column, value_column, NULL, NULL,
            raxx_detect.network_prefixes(rule), window_length, ARRAY(SELECT l.entity FROM unnest(limits) l),
            ARRAY(SELECT l.from_time FROM unnest(limits) l), ARRAY(SELECT l.threshold FROM unnest(limits) l), read_from, as_of) x
        WHERE upper(x.episode) > exact_from LOOP
        number := number + 1;
        RETURN NEXT raxx_detect.burst_candidate(rule, binding, number, e, severity, unit, e.reached, condition);
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, bigint, raxx_detect.severity, text, text) IS
'Candidates of one burst condition by baselines, and where there is none by the threshold (NULL: not at all). Reads what is new once to see who is busy at all, and again, if anybody is, with the limits of those.';

CREATE FUNCTION raxx_detect.learnt_burst_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    exact_from timestamptz, as_of timestamptz, method text, unit text)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, method, (rule.params ->> 'threshold')::bigint,
        rule.severity, unit, method) WHERE rule.baseline_window IS NULL
    UNION ALL
    SELECT * FROM raxx_detect.baseline_burst_candidates(rule, binding, exact_from, as_of, method, (rule.params ->> 'threshold')::bigint,
        rule.severity, unit, method) WHERE rule.baseline_window IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.learnt_burst_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz, text, text) IS
'Candidates of a rule''s only burst condition, by its baseline if it has one.';

CREATE FUNCTION raxx_detect.evaluate_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM raxx_detect.learnt_burst_candidates(rule, binding, exact_from, as_of, 'velocity',
        (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source));
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Methods velocity and spike: many rows of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT * FROM raxx_detect.learnt_burst_candidates(rule, binding, exact_from, as_of, 'distinct', 'distinct values of ' || (rule.params ->> 'value'));
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS 'Method distinct: many distinct values of one entity in a window.';

CREATE FUNCTION raxx_detect.evaluate_distinct_velocity(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH conditions AS MATERIALIZED (
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'velocity', (rule.params ->> 'elevated_threshold')::bigint,
            rule.severity, 'denials of elevated permissions', 'elevated', rule.params -> 'elevated')
        UNION ALL
        SELECT * FROM raxx_detect.burst_candidates(rule, binding, exact_from, as_of, 'distinct', (rule.params ->> 'distinct_threshold')::bigint,
            'medium', 'distinct permissions denied', 'distinct')
        UNION ALL
        SELECT * FROM raxx_detect.baseline_burst_candidates(rule, binding, exact_from, as_of, 'velocity', NULL, 'medium', 'denials', 'baseline')
    ), joined AS (  -- what overlaps is one episode
        SELECT entity, unnest(range_agg(episode)) AS episode FROM conditions GROUP BY entity
    )
    SELECT worst.entity, j.episode, worst.severity, worst.observed, worst.threshold, worst.unit, worst.p_value, worst.fired_by,
           worst.sample_size, ARRAY(SELECT DISTINCT unnest(c.conditions) FROM conditions c
               WHERE c.entity = j.entity AND c.episode && j.episode ORDER BY 1), worst.summary,
           (SELECT c.evidence FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
            ORDER BY lower(c.episode), c.severity DESC, c.conditions LIMIT 1), worst.verdict, NULL::text, NULL::text
    FROM joined j CROSS JOIN LATERAL (
        SELECT c.* FROM conditions c WHERE c.entity = j.entity AND c.episode && j.episode
        ORDER BY c.severity DESC, c.fired_by DESC, c.observed DESC, c.sample_size DESC, lower(c.episode) LIMIT 1) worst
$$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_velocity(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct + velocity: elevated_threshold rows whose value matches elevated, at the rule''s severity; distinct_threshold distinct values, at medium; or a number of rows that the entity''s baseline does not explain, at medium. Overlapping episodes of an entity are one, told by its worst condition, by a threshold rather than a baseline.';
-- Patterns in e-mail addresses.

CREATE TABLE raxx_detect.free_mail_domains (domain text PRIMARY KEY);
COMMENT ON TABLE raxx_detect.free_mail_domains IS 'Registrable domains at which strangers have mailboxes: sharing one says nothing, so the shape of the local part is judged there. Add to it freely.';
INSERT INTO raxx_detect.free_mail_domains
SELECT unnest('{gmail.com,googlemail.com,outlook.com,outlook.de,outlook.fr,outlook.es,hotmail.com,hotmail.co.uk,hotmail.fr,hotmail.de,
hotmail.it,hotmail.es,live.com,live.co.uk,live.fr,live.nl,msn.com,yahoo.com,yahoo.co.uk,yahoo.co.in,yahoo.co.jp,yahoo.fr,yahoo.de,yahoo.it,
yahoo.es,yahoo.com.br,yahoo.ca,ymail.com,rocketmail.com,icloud.com,me.com,mac.com,aol.com,proton.me,protonmail.com,pm.me,gmx.de,gmx.net,
gmx.at,gmx.ch,gmx.com,web.de,t-online.de,freenet.de,mail.com,mail.ru,yandex.ru,yandex.com,ya.ru,bk.ru,inbox.ru,list.ru,rambler.ru,
qq.com,163.com,126.com,sina.com,foxmail.com,naver.com,daum.net,hanmail.net,zoho.com,zohomail.com,fastmail.com,hey.com,tutanota.com,
tuta.com,tuta.io,hushmail.com,mailbox.org,posteo.de,libero.it,virgilio.it,orange.fr,wanadoo.fr,free.fr,laposte.net,sfr.fr,
seznam.cz,wp.pl,o2.pl,onet.pl,interia.pl,ukr.net,abv.bg,comcast.net,verizon.net,att.net,sbcglobal.net,bellsouth.net,cox.net,
charter.net,btinternet.com,sky.com,virginmedia.com,talktalk.net,ziggo.nl,kpnmail.nl,telenet.be,skynet.be,bluewin.ch,
uol.com.br,bol.com.br,terra.com.br,rediffmail.com,bigpond.com,optusnet.com.au,xtra.co.nz,shaw.ca,rogers.com,sympatico.ca}'::text[]);

CREATE FUNCTION raxx_detect.shape_share(binding raxx_detect.source_bindings, email_column name, entity text,
    before timestamptz, history interval, OUT share float8, OUT history_size bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    event_time name := binding.columns ->> 'event_time';
    sharing bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FILTER (WHERE p.shape || ''@'' || p.registrable_domain = $3), count(*)
         FROM %2$s t CROSS JOIN LATERAL raxx_detect.email_pattern(t.%3$I::text) p
         WHERE t.%1$I >= raxx_detect.before($1, $2) AND t.%1$I < $1 AND t.%3$I IS NOT NULL',
        event_time, binding.relation, email_column)
    INTO sharing, history_size USING before, history, entity;
    share := (sharing + 1)::float8 / (history_size + 2);
END $$;
COMMENT ON FUNCTION raxx_detect.shape_share(raxx_detect.source_bindings, name, text, timestamptz, interval) IS
'The share (k0 + 1) / (n0 + 2) that a shape had of the sign-ups in the history before an instant (Laplace''s rule of succession), and n0.';

CREATE FUNCTION raxx_detect.surprising_shape(binding raxx_detect.source_bindings, email_column name, entity text,
    episode tstzrange, window_length interval, threshold bigint, history interval, tail float8,
    exact_from timestamptz, as_of timestamptz, goes_on boolean,
    OUT onset timestamptz, OUT observed bigint, OUT p_value float8, OUT share float8, OUT history_size bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    EXECUTE format(
        'WITH instants AS (
             SELECT t.%1$I AS at, count(*) AS n, count(*) FILTER (WHERE p.shape || ''@'' || p.registrable_domain = $1) AS k
             FROM %2$s t CROSS JOIN LATERAL raxx_detect.email_pattern(t.%3$I::text) p
             WHERE t.%1$I > raxx_detect.before(lower($2), $3) AND t.%1$I < upper($2) AND t.%1$I <= $9 AND t.%3$I IS NOT NULL GROUP BY t.%1$I
         ), windows AS (
             SELECT at, k > 0 AS is_of_shape, sum(n) OVER w AS n, sum(k) OVER w AS k FROM instants
             WINDOW w AS (ORDER BY at RANGE BETWEEN $3 - interval ''1 microsecond'' PRECEDING AND CURRENT ROW)
         ), days AS MATERIALIZED (
             SELECT d.day, s.share, s.history_size
             FROM (SELECT DISTINCT date_trunc(''day'', at, ''UTC'') AS day FROM windows WHERE is_of_shape AND at > $8) d
             CROSS JOIN LATERAL raxx_detect.shape_share($4, $5, $1, d.day, $6) s
         ), judged AS (
             SELECT w.at, w.k, raxx_detect.binomial_upper_tail(w.k::bigint, w.n::bigint, d.share) AS p_value, d.share, d.history_size
             FROM windows w JOIN days d ON d.day = date_trunc(''day'', w.at, ''UTC'')
             WHERE w.is_of_shape AND w.at > $8 AND w.k >= $10
         ), began AS (
             SELECT CASE WHEN $11 THEN $8 ELSE min(at) FILTER (WHERE p_value <= $7) END AS onset FROM judged
         )
         SELECT b.onset, max(j.k)::bigint, min(j.p_value), min(j.share), max(j.history_size)
         FROM began b LEFT JOIN judged j ON j.at >= b.onset GROUP BY b.onset',
        binding.columns ->> 'event_time', binding.relation, email_column)
    INTO onset, observed, p_value, share, history_size
    USING entity, episode, window_length, binding, email_column, history, tail, exact_from, as_of, threshold, goes_on;
END $$;
COMMENT ON FUNCTION raxx_detect.surprising_shape(raxx_detect.source_bindings, name, text, tstzrange, interval, bigint, interval, float8, timestamptz, timestamptz, boolean) IS
'From when in an episode its shape is no chance any more: the first sign-up of the shape after exact_from at which P(X >= k) of the binomial distribution, for the k of the n sign-ups in the window, at the share that the shape had in the whole days before, is at most tail; NULL if there is none. With goes_on, that was before exact_from. Also the peak, the least probability, and the share, from then on.';

CREATE FUNCTION raxx_detect.evaluate_pattern(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    email_column name := raxx_detect.role_column(binding, rule.params ->> 'email');
    surprise record;
    number int := 0;
    e record;
BEGIN
    FOR e IN SELECT x.*, strpos(x.entity, '@') > 0 AS is_shape, split_part(x.entity, '@', -1) AS domain
             FROM raxx_detect.episodes('email_pattern', binding.relation, binding.columns ->> 'event_time', email_column,
                NULL, NULL, NULL, NULL, window_length, threshold, raxx_detect.before(exact_from, window_length), as_of) x LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;
        CONTINUE WHEN e.is_shape <> EXISTS (SELECT FROM raxx_detect.free_mail_domains d WHERE d.domain = e.domain);
        number := number + 1;
        IF e.is_shape THEN
            surprise := raxx_detect.surprising_shape(binding, email_column, e.entity, e.episode, window_length, threshold,
                (rule.params ->> 'shape_history')::interval, (rule.params ->> 'shape_tail')::float8, exact_from, as_of,
                EXISTS (SELECT FROM raxx_detect.detection_findings f WHERE f.rule_id = rule.rule_id AND f.source = binding.source
                        AND f.entity = e.entity AND f.episode @> exact_from AND lower(e.episode) <= exact_from));
            CONTINUE WHEN surprise.onset IS NULL;
            RETURN NEXT (e.entity, tstzrange(surprise.onset, upper(e.episode)), rule.severity,
                coalesce(surprise.observed, 0)::float8, threshold::float8, 'sign-ups of one shape',
                surprise.p_value, 'threshold', coalesce(surprise.observed, 0), '{shape}'::text[],
                format('%s sign-ups of the shape %s within %s; it was the shape of %s %% of them in the %s before', surprise.observed,
                    raxx_detect.printable(e.entity), raxx_detect.in_words(window_length), round((100 * surprise.share)::numeric, 2),
                    rule.params ->> 'shape_history'),
                jsonb_build_object('window', window_length, 'share', surprise.share, 'history_size', surprise.history_size,
                    'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(surprise.onset, window_length),
                        format('(SELECT p.shape || ''@'' || p.registrable_domain FROM raxx_detect.email_pattern(t.%I::text) p) = $3', email_column),
                        e.entity)),
                NULL, NULL, NULL)::raxx_detect.candidate;
        ELSE
            RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, 'sign-ups of one domain',
                NULL::float8, 'threshold', e.sample_size, '{domain}'::text[],
                format('%s sign-ups from %s within %s (threshold %s)', e.peak, raxx_detect.printable(e.entity),
                    raxx_detect.in_words(window_length), threshold),
                jsonb_build_object('window', window_length,
                    'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                        format('(raxx_detect.email_pattern(t.%I::text)).registrable_domain = $3', email_column), e.entity)),
                NULL, NULL, NULL)::raxx_detect.candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_pattern(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method pattern: threshold sign-ups in a window that share a registrable domain, or at a free-mail provider a shape that the shape_history before does not explain at the tail probability shape_tail.';
-- Gaps: silences, closed or still going on.

CREATE FUNCTION raxx_detect.business_time(period tstzrange, params jsonb) RETURNS interval
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opens time := params ->> 'business_from';
    closes time := params ->> 'business_to';
    days int[] := ARRAY(SELECT d::int FROM jsonb_array_elements_text(params -> 'business_days') d);
    starts timestamp := timezone(params ->> 'time_zone', lower(period));
    ends timestamp := timezone(params ->> 'time_zone', upper(period));
    whole_weeks bigint := floor(extract(epoch FROM ends - starts) / 604800);
BEGIN
    -- Whole weeks are alike, whatever the length of a forged gap; what is left is looked at day by day.
    starts := starts + whole_weeks * interval '7 days';
    RETURN whole_weeks * greatest(closes - opens, '0') * (SELECT count(DISTINCT d) FROM unnest(days) d)
        + coalesce((SELECT sum(least(ends, day + closes) - greatest(starts, day + opens))
                    FROM generate_series(date_trunc('day', starts), ends, '1 day') day
                    WHERE extract(isodow FROM day)::int = ANY (days)
                      AND least(ends, day + closes) > greatest(starts, day + opens)), '0');
END $$;
COMMENT ON FUNCTION raxx_detect.business_time(tstzrange, jsonb) IS
'How much of a bounded period lies in business hours: business_from to business_to on the ISO weekdays business_days, by the clock of time_zone.';

CREATE FUNCTION raxx_detect.operators_active(binding raxx_detect.source_bindings, silence tstzrange) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    EXECUTE format('SELECT count(DISTINCT raxx_detect.text_of(t.%2$I)) FROM %3$s t WHERE t.%1$I > $1 AND t.%1$I < $2',
        binding.columns ->> 'event_time', binding.columns ->> 'operator', binding.relation)
    INTO number USING lower(silence), upper(silence);
    RETURN number;
END $$;
COMMENT ON FUNCTION raxx_detect.operators_active(raxx_detect.source_bindings, tstzrange) IS 'How many operators showed signs of activity during a silence.';

CREATE FUNCTION raxx_detect.gap_candidate(rule raxx_detect.rules, binding raxx_detect.source_bindings, gap tstzrange, as_of timestamptz,
    c raxx_detect.cadence)
RETURNS raxx_detect.candidate LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    measured tstzrange := tstzrange(lower(gap), coalesce(upper(gap), as_of));
    length interval := make_interval(secs => extract(epoch FROM upper(measured) - lower(measured))::float8);
    inside interval;
    outside interval;
    business_gap interval := rule.params ->> 'business_gap';
    off_hours_gap interval := rule.params ->> 'off_hours_gap';
    hour int := extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), lower(gap)));
    allowed interval := CASE WHEN c IS NULL THEN least(business_gap, off_hours_gap)
        ELSE greatest(make_interval(secs => c.quantiles[hour + 1]), (rule.params ->> 'baseline_gap')::interval) END;
    observed interval;
    unit text;
    expected float8;
    activity raxx_detect.source_bindings;
    active bigint;
    result raxx_detect.candidate;
BEGIN
    IF length <= allowed THEN  -- most are
        RETURN NULL;
    END IF;
    inside := raxx_detect.business_time(measured, rule.params);
    outside := length - inside;
    IF c IS NULL THEN
        IF inside > business_gap THEN
            observed := inside; allowed := business_gap; unit := 'minutes in business hours';
        ELSIF outside > off_hours_gap THEN
            observed := outside; allowed := off_hours_gap; unit := 'minutes outside business hours';
        ELSE
            RETURN NULL;
        END IF;
    ELSE
        observed := length; unit := 'minutes';
        SELECT s.p_value, s.expected INTO result.p_value, expected
        FROM raxx_detect.silence_probability(rule, binding.source, measured, c) s;
        IF result.p_value > c.tail THEN
            RETURN NULL;
        END IF;
    END IF;
    result.entity := binding.source;
    result.episode := gap;
    result.severity := CASE WHEN inside > (rule.params ->> 'critical_gap')::interval THEN 'critical'
                            WHEN inside > business_gap OR (inside = '0' AND outside > off_hours_gap) OR c IS NULL THEN 'high' ELSE 'medium' END;
    result.observed := extract(epoch FROM observed)::float8 / 60;
    result.threshold := extract(epoch FROM allowed)::float8 / 60;
    result.unit := unit;
    result.fired_by := CASE WHEN c IS NULL THEN 'threshold' ELSE 'baseline' END;
    result.sample_size := CASE WHEN upper_inf(gap) THEN 1 ELSE 2 END;
    result.conditions := '{gap}';
    result.summary := format('%s: no event for %s%s from %s on (%s)', binding.source, raxx_detect.in_words(length),
        CASE WHEN upper_inf(gap) THEN ' and counting,' ELSE '' END, to_char(lower(gap) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        CASE WHEN c IS NULL THEN format('more than %s %s business hours', raxx_detect.in_words(allowed),
                                        CASE unit WHEN 'minutes in business hours' THEN 'in' ELSE 'outside' END)
             ELSE format('in the %s days before, hour %s had hardly a gap longer than %s; %s events were to be expected', c.days, hour,
                         raxx_detect.in_words(allowed), round(expected::numeric, 1)) END);
    result.evidence := jsonb_build_object('inside_business_hours', inside, 'outside_business_hours', outside,
        'rows', raxx_detect.row_keys(1, binding, tstzrange(lower(gap), coalesce(upper(gap), as_of) + interval '1 microsecond'), 'true', NULL),
        'baseline', CASE WHEN c IS NULL THEN raxx_detect.no_baseline(rule, binding.source, raxx_detect.judging_day(rule, binding, lower(gap)))
            ELSE jsonb_build_object('of', format('hour %s of the day', hour), 'days', c.days, 'n', c.gaps[hour + 1],
                'quantile', c.quantiles[hour + 1], 'expected_events', expected, 'dispersion', c.dispersions[hour + 1],
                'tests_a_month', c.tests_a_month, 'tail', c.tail, 'left_out', c.left_out) END);
    -- Operators at work and nothing in the audit log: that is no pause.
    SELECT b.* INTO activity FROM raxx_detect.source_bindings b WHERE b.source = 'operator_activity' AND b.source = ANY (rule.optional_sources);
    IF FOUND THEN
        active := raxx_detect.operators_active(activity, measured);
        result.evidence := result.evidence || jsonb_build_object('operators_active', active);
        IF active > 0 THEN
            result.escalation_owner := 'security-agent';
            result.summary := result.summary || format('; %s %s active meanwhile', active, CASE active WHEN 1 THEN 'operator was' ELSE 'operators were' END);
        END IF;
    END IF;
    -- Whether the hash chain holds across the gap would tell a pause from a deletion; no chain is wired.
    result.verdict := 'undetermined';
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.gap_candidate(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz, raxx_detect.cadence) IS
'The candidate of one gap, or NULL where it is not too long: by the cadence of the days before, or by the thresholds where that is NULL; then a gap across the edge of business hours is measured by its parts inside and outside.';

CREATE FUNCTION raxx_detect.evaluate_gap(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shortest interval := least((rule.params ->> 'business_gap')::interval, (rule.params ->> 'off_hours_gap')::interval,
                               (rule.params ->> 'baseline_gap')::interval);
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    day date;
    cadence raxx_detect.cadence;
    candidate raxx_detect.candidate;
    g record;
BEGIN
    -- exact_from is the last settled row, the start of the first gap that is judged: read it, too.
    FOR g IN SELECT x.gap FROM raxx_detect.gaps(binding.relation, binding.columns ->> 'event_time', shortest,
                raxx_detect.before(exact_from, interval '1 microsecond'), as_of) x
             UNION ALL
             SELECT tstzrange(last_event, NULL) WHERE last_event >= exact_from AND as_of - last_event > shortest LOOP
        IF day IS DISTINCT FROM raxx_detect.judging_day(rule, binding, lower(g.gap)) THEN
            day := raxx_detect.judging_day(rule, binding, lower(g.gap));
            cadence := CASE WHEN raxx_detect.baseline_is_ready(rule, binding.source, day) AND lower(g.gap) >= raxx_detect.before(as_of, interval '400 days')
                            THEN raxx_detect.cadence_of(rule, binding.source, day) END;
        END IF;
        candidate := raxx_detect.gap_candidate(rule, binding, g.gap, as_of, cadence);
        IF candidate.entity IS NOT NULL THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_gap(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method gap: silences, closed or still going on, that the cadence of the days before does not explain; while there is none, of more than business_gap within business hours or more than off_hours_gap outside.';
-- Points: what is measured, averaged by the hour, against the highest quantile of its own past.
--
-- A point is a piece of a day, window long, the first from midnight on, by the clock of the rule's time zone; the last
-- ends with the day. Its value is the average of the samples in it. Without samples there is no point. The verdict is
-- made at the end of the point and in force until the end of the next.

CREATE FUNCTION raxx_detect.exact_number(binding raxx_detect.source_bindings, role text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN raxx_detect.column_type(binding.relation, c.name) IN ('numeric', 'int2', 'int4', 'int8', 'money')
                THEN format('t.%I::numeric', c.name) ELSE format('t.%I::text::numeric', c.name) END
    FROM (SELECT raxx_detect.role_column(binding, role) AS name) c
$$;
COMMENT ON FUNCTION raxx_detect.exact_number(raxx_detect.source_bindings, text) IS
'The expression, over the row t, of the number in the column that plays a role, as a numeric: of a float the shortest that reads back as the same (a cast would round to 15 digits), given extra_float_digits of 1.';

CREATE FUNCTION raxx_detect.point_at(rule raxx_detect.rules, instant timestamptz) RETURNS tstzrange
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
    day date := timezone(raxx_detect.rule_time_zone(rule), instant)::date;
    starts timestamptz;
BEGIN
    -- Where the clock goes back at midnight, an hour is the day's by its date but lies before its (second) midnight.
    IF instant < raxx_detect.day_starts(rule, day) THEN
        day := day - 1;
    END IF;
    starts := date_bin(length, instant, raxx_detect.day_starts(rule, day));
    RETURN tstzrange(starts, least(starts + length, raxx_detect.day_starts(rule, day + 1)));
END $$;
COMMENT ON FUNCTION raxx_detect.point_at(raxx_detect.rules, timestamptz) IS 'The point, [start, end), in which a finite instant lies.';

CREATE FUNCTION raxx_detect.points(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, stretch tstzrange,
    OUT entity text, OUT point tstzrange, OUT value float8, OUT samples bigint)
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    whole tstzrange := tstzrange(raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1));
    length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
BEGIN
    IF NOT whole && stretch THEN
        RETURN;
    END IF;
    -- Averaged as numerics: exactly, in whatever order the rows come. Beyond 1e300 nothing is a measurement.
    RETURN QUERY EXECUTE format(
        'SELECT a.entity, tstzrange(a.starts, least(a.starts + $1, $3)),
                CASE WHEN abs(a.average) < 1e-300 THEN 0 ELSE a.average::float8 END, a.samples
         FROM (SELECT raxx_detect.text_of(t.%3$I) AS entity, date_bin($1, t.%2$I, $2) AS starts, avg(%4$s) AS average, count(*) AS samples
               FROM %1$s t
               WHERE t.%2$I >= $4 AND t.%2$I < $5 AND t.%3$I IS NOT NULL AND abs(%4$s) <= 1e300
               GROUP BY 1, 2) a',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'entity'),
        raxx_detect.exact_number(binding, rule.params ->> 'value'))
    USING length, lower(whole), upper(whole), lower(whole * stretch), upper(whole * stretch);
END $$;
COMMENT ON FUNCTION raxx_detect.points(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'The points of a day, of the samples in the stretch: whose, when, their average and their number. Samples without an entity or a value, NaN, the infinities, and what is beyond 1e300 are left out; an average nearer to 0 than 1e-300 is 0.';

CREATE FUNCTION raxx_detect.learn_points(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    WITH omitted AS MATERIALIZED (
        SELECT l.entity, l.period AS span FROM raxx_detect.left_out(rule, binding.source, period) l
    ), points AS MATERIALIZED (
        SELECT b.entity, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), lower(p.point)))::int AS hour, p.value, p.samples,
               EXISTS (SELECT FROM omitted o WHERE o.entity = b.entity AND o.span && p.point) AS is_omitted
        FROM raxx_detect.points(rule, binding, day, period) p
        CROSS JOIN LATERAL (SELECT raxx_detect.bounded_entity(p.entity) AS entity) b
    ), hours AS MATERIALIZED (
        SELECT p.entity, p.hour, count(*) AS points, sum(p.samples) AS samples, sum(p.samples::float8 ^ 2) AS squares,
               raxx_detect.quantile_sketch(p.value) AS sketch
        FROM points p WHERE NOT p.is_omitted GROUP BY p.entity, p.hour
    ), kept AS (
        SELECT h.entity FROM hours h GROUP BY h.entity
        ORDER BY sum(h.samples) DESC, h.entity COLLATE "C" LIMIT (rule.params ->> 'baseline_entities')::bigint
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, k.entity, array_agg(coalesce(h.points, 0)::float8 ORDER BY clock.hour),
               array_agg(coalesce(h.samples, 0)::bigint ORDER BY clock.hour), array_agg(coalesce(h.squares, 0) ORDER BY clock.hour),
               raxx_detect.merge(h.sketch)
        FROM kept k CROSS JOIN generate_series(0, 23) clock(hour)
        LEFT JOIN hours h ON h.entity = k.entity AND h.hour = clock.hour
        GROUP BY k.entity
    )
    UPDATE raxx_detect.baseline_days b SET rows = s.kept, left_out = s.omitted
    FROM (SELECT coalesce(sum(p.samples) FILTER (WHERE NOT p.is_omitted), 0) AS kept,
                 coalesce(sum(p.samples) FILTER (WHERE p.is_omitted), 0) AS omitted FROM points p) s
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_points(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of points: for each entity the sketch of their values; exposure counts the points that began in an hour, rows and squares their samples. Points that a finding overlaps are left out.';

CREATE FUNCTION raxx_detect.usual_points(rule raxx_detect.rules, source text, day date,
    OUT entity text, OUT n bigint, OUT median float8, OUT quantile float8, OUT fires_above float8, OUT sketch raxx_detect.quantile_sketch)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.entity, raxx_detect.sketch_count(q.sketch), q.median, q.quantile,
           greatest(q.quantile + (rule.params ->> 'median_margin')::float8 * (q.quantile - q.median),
                    q.quantile + (rule.params ->> 'rise')::float8 * abs(q.quantile)), q.sketch
    FROM (SELECT m.entity, m.sketch, raxx_detect.quantile(m.sketch, 0.5) AS median,
                 raxx_detect.quantile(m.sketch, (rule.params ->> 'baseline_quantile')::float8) AS quantile
          FROM (SELECT b.entity, raxx_detect.merge(b.sketch) AS sketch FROM raxx_detect.baselines b
                WHERE b.rule_id = rule.rule_id AND b.source = usual_points.source AND b.day < usual_points.day
                  AND b.day >= raxx_detect.baseline_first_day(rule, usual_points.source, usual_points.day)
                GROUP BY b.entity OFFSET 0) m OFFSET 0) q
    WHERE raxx_detect.sketch_count(q.sketch) >= (rule.params ->> 'baseline_points')::bigint
    UNION ALL  -- a finding that lasts wears its baseline down, since its points are left out: it goes by the one it began with
    SELECT f.entity, (f.evidence -> 'baseline' ->> 'n')::bigint, (f.evidence -> 'baseline' ->> 'median')::float8,
           (f.evidence -> 'baseline' ->> 'quantile')::float8, f.threshold, NULL
    FROM raxx_detect.detection_findings f
    WHERE f.rule_id = rule.rule_id AND f.source = usual_points.source AND f.triage <> 'closed' AND f.fired_by = 'baseline'
      AND f.episode @> raxx_detect.day_starts(rule, usual_points.day)
      AND (SELECT coalesce(sum(raxx_detect.sketch_count(b.sketch)), 0) FROM raxx_detect.baselines b
           WHERE b.rule_id = rule.rule_id AND b.source = usual_points.source AND b.entity = f.entity AND b.day < usual_points.day
             AND b.day >= raxx_detect.baseline_first_day(rule, usual_points.source, usual_points.day)) < (rule.params ->> 'baseline_points')::bigint
$$;
COMMENT ON FUNCTION raxx_detect.usual_points(raxx_detect.rules, text, date) IS
'What is usual for each entity in the baseline of a day: its n points, their median and baseline_quantile, and the value above which a point fires: the quantile and the larger of median_margin of its distance from the median, and rise of the quantile itself. Entities with fewer than baseline_points points are left out, but for those in a finding that nobody has closed, which go by the values with which it began (and without a sketch).';

CREATE FUNCTION raxx_detect.point_verdicts(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, stretch tstzrange)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    left_out bigint := raxx_detect.baseline_left_out(rule, binding.source, first_day, day);
    window_length interval := (rule.params ->> 'window')::interval;
    entity_column name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    zone text := raxx_detect.rule_time_zone(rule);
    number int := 0;
    p record;
BEGIN
    FOR p IN
        WITH measured AS (
            SELECT m.*, raxx_detect.bounded_entity(m.entity) AS bounded
            FROM generate_series(0, timezone(zone, upper(stretch))::date - timezone(zone, lower(stretch))::date + 1) i
            CROSS JOIN LATERAL raxx_detect.points(rule, binding, timezone(zone, lower(stretch))::date - 1 + i, stretch) m
        )
        SELECT m.*, u.n, u.median, u.quantile, u.fires_above,
               (coalesce(round(raxx_detect.sketch_share_above(u.sketch, m.value) * u.n), 0) + 1) / (u.n + 1) AS p_value,
               lag(upper(m.point)) OVER (PARTITION BY m.bounded ORDER BY m.point) = lower(m.point) AS goes_on
        FROM measured m JOIN raxx_detect.usual_points(rule, binding.source, day) u ON u.entity = m.bounded
        WHERE m.value > u.fires_above AND m.value >= (rule.params ->> 'value_floor')::float8
        ORDER BY m.point, m.bounded
    LOOP
        -- The evidence of an episode is that of its first point: the others need none.
        IF p.goes_on IS NOT TRUE THEN
            number := number + 1;
        END IF;
        RETURN NEXT (p.bounded, tstzrange(upper(p.point), upper(raxx_detect.point_at(rule, upper(p.point)))), rule.severity,
            p.value, p.fires_above, 'average ' || (rule.params ->> 'value'), p.p_value, 'baseline', p.samples, '{quantile}',
            format('%s: average %s %s in the %s up to %s; it fires above %s (%s of the %s points in the %s days before were at most %s)',
                raxx_detect.printable(p.entity), rule.params ->> 'value', raxx_detect.in_figures(p.value), raxx_detect.in_words(window_length),
                to_char(upper(p.point) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.in_figures(p.fires_above),
                (100 * (rule.params ->> 'baseline_quantile')::numeric)::float8 || ' %', p.n, day - first_day, raxx_detect.in_figures(p.quantile)),
            jsonb_build_object('window', window_length, 'verdict_at', upper(p.point),
                'baseline', jsonb_build_object('of', 'own', 'days', day - first_day, 'n', p.n, 'median', p.median, 'quantile', p.quantile,
                    'left_out', left_out, 'tests_a_month', 30.4375 * 86400 / extract(epoch FROM window_length)))
                || CASE WHEN p.goes_on THEN '{}' ELSE jsonb_build_object('rows', raxx_detect.row_keys(number, binding, p.point,
                       format('raxx_detect.text_of(t.%I) = $3', entity_column), p.entity)) END,
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.point_verdicts(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'The points in a stretch that fire, judged by the baseline of one day. p_value is that of the rank: how likely a point is to be among the highest as far as it is, were it like the n before it; (k + 1) / (n + 1), with k of them above it.';

CREATE FUNCTION raxx_detect.in_figures(value float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN value <> 0 AND (abs(value) < 1e-4 OR abs(value) >= 1e9) THEN btrim(to_char(value, '9.99EEEE'))
                ELSE trim_scale(round(value::numeric, greatest(0, 3 - floor(log(greatest(abs(value), 1e-4)))::int)))::text END
$$;
COMMENT ON FUNCTION raxx_detect.in_figures(float8) IS 'A finite number as a sentence says it, to four significant figures, without cutting what stands before the point: 12.34, 12345, 1.23e+12.';

CREATE FUNCTION raxx_detect.evaluate_quantile(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    verdicts raxx_detect.candidate[] := '{}';
    stretch tstzrange;
    piece record;
BEGIN
    FOR piece IN
        SELECT p.day, greatest(exact_from, raxx_detect.takes_over(rule, binding, p.day) - interval '1 microsecond') AS after,
               least(as_of, raxx_detect.takes_over(rule, binding, p.day + 1) - interval '1 microsecond') AS upto
        FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p WHERE p.ready
    LOOP
        CONTINUE WHEN piece.after >= piece.upto;
        -- The points that end in (after, upto].
        stretch := tstzrange(lower(raxx_detect.point_at(rule, piece.after)), lower(raxx_detect.point_at(rule, piece.upto)));
        CONTINUE WHEN isempty(stretch);
        verdicts := verdicts || ARRAY(SELECT v FROM raxx_detect.point_verdicts(rule, binding, piece.day, stretch) v);
    END LOOP;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from,
        CASE WHEN isfinite(exact_from) THEN upper(raxx_detect.point_at(rule, exact_from)) END);
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_quantile(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method quantile: points of an entity above the baseline_quantile of its own points of the days before, by a margin. A point of an entity with too few points before it has no verdict, since no threshold could be right for every one.';
-- Restarts: many dynos of one app at once, but not those that a deploy or an operator restarted.

CREATE FUNCTION raxx_detect.other_binding(rule raxx_detect.rules, source text) RETURNS raxx_detect.source_bindings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    other raxx_detect.source_bindings;
BEGIN
    SELECT b.* INTO other FROM raxx_detect.source_bindings b
    WHERE b.source = source AND source = ANY (rule.sources || rule.optional_sources);
    IF other.source IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = other.relation) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = format('the relation bound to source %s no longer exists', source),
            DETAIL = format('It had OID %s; rule %s looks into it.', other.relation::oid, rule.rule_id),
            HINT = format('Bind the source again, or give it up: raxx_detect.unbind_source(%L).', source);
    END IF;
    RETURN other;
END $$;
COMMENT ON FUNCTION raxx_detect.other_binding(raxx_detect.rules, text) IS
'The binding of a source that a rule looks into beside the one it judges; NULL if the source is not the rule''s or is not bound. Raises 42P01 if its relation is gone.';

CREATE FUNCTION raxx_detect.unexplained_restart(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    causes text[] := ARRAY(SELECT jsonb_array_elements_text(rule.params -> 'excluded_causes'));
    margin interval := (rule.params ->> 'deploy_margin')::interval;
    deploys raxx_detect.source_bindings := raxx_detect.other_binding(rule, 'deploy_events');
    result text := 'true';
BEGIN
    IF binding.columns ? 'cause' THEN
        result := format('(t.%1$I IS NULL OR t.%1$I::text COLLATE "C" <> ALL (%2$L::text[]))', binding.columns ->> 'cause', causes);
    END IF;
    IF deploys.source IS NOT NULL AND margin IS NOT NULL THEN
        result := result || format(
            ' AND NOT EXISTS (SELECT FROM %1$s d
               WHERE d.%2$I >= raxx_detect.before(t.%3$I, %4$L) AND d.%2$I <= t.%3$I + interval %4$L AND d.%2$I <= %5$L
                 AND raxx_detect.text_of(d.%6$I) COLLATE "C" = raxx_detect.text_of(t.%7$I) COLLATE "C")',
            deploys.relation, deploys.columns ->> 'event_time', binding.columns ->> 'event_time', margin, as_of,
            raxx_detect.role_column(deploys, 'app'), raxx_detect.role_column(binding, rule.params ->> 'entity'));
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.unexplained_restart(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'The condition, over a row t, that nothing known up to as_of explains a restart: its cause is not one of excluded_causes (NULL is none), and no deploy of the same app lies within deploy_margin of it, before or after, edges included. Without the cause column, or without deploy_events, that part holds.';

CREATE FUNCTION raxx_detect.evaluate_restarts(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    event_time name := binding.columns ->> 'event_time';
    app name := raxx_detect.role_column(binding, rule.params ->> 'entity');
    dyno name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unexplained text := raxx_detect.unexplained_restart(rule, binding, as_of);
    restarts record;
    number int := 0;
    dynos jsonb;
    e record;
BEGIN
    EXECUTE format(
        'SELECT count(*) FILTER (WHERE NOT r.unexplained) AS explained, array_agg(r.at) FILTER (WHERE r.unexplained) AS times,
                array_agg(r.app) FILTER (WHERE r.unexplained) AS apps, array_agg(r.dyno) FILTER (WHERE r.unexplained) AS dynos
         FROM (SELECT t.%1$I AS at, raxx_detect.text_of(t.%2$I) AS app, raxx_detect.text_of(t.%3$I) AS dyno, (%5$s) AS unexplained
               FROM %4$s t WHERE t.%1$I > $1 AND t.%1$I <= $2 ORDER BY t.%1$I) r', event_time, app, dyno, binding.relation, unexplained)
    INTO restarts USING raxx_detect.before(exact_from, window_length), as_of;
    PERFORM raxx_detect.add_reading(restarts.explained, 0);
    IF restarts.times IS NULL THEN
        RETURN;
    END IF;
    FOR e IN SELECT * FROM raxx_detect.episodes_of('distinct', restarts.times, restarts.apps, restarts.dynos, window_length, threshold) LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        number := number + 1;
        SELECT jsonb_agg(d.dyno ORDER BY d.dyno) INTO dynos
        FROM (SELECT DISTINCT raxx_detect.bounded_entity(r.dyno) AS dyno
              FROM unnest(restarts.times, restarts.apps, restarts.dynos) r(at, app, dyno)
              WHERE number <= 1000 AND r.app COLLATE "C" = e.entity COLLATE "C"
                AND raxx_detect.window_up_to(lower(e.episode), window_length) @> r.at ORDER BY 1 LIMIT 20) d;
        RETURN NEXT (e.entity, e.episode, rule.severity, e.peak::float8, threshold::float8, 'distinct dynos restarted', NULL::float8,
            'threshold', e.sample_size, '{restarts}'::text[],
            format('%s: %s distinct dynos restarted within %s (threshold %s), and no deploy or known cause explains it',
                raxx_detect.printable(e.entity), e.peak, raxx_detect.in_words(window_length), threshold),
            jsonb_build_object('window', window_length, 'dynos', coalesce(dynos, '[]'),
                'deploys_known', (raxx_detect.other_binding(rule, 'deploy_events')).source IS NOT NULL,
                'causes_known', binding.columns ? 'cause',
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(lower(e.episode), window_length),
                    format('raxx_detect.text_of(t.%I) COLLATE "C" = $3 AND %s', app, unexplained), e.entity)),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_restarts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct for restarts: threshold distinct dynos of one app in a window, of those restarts that neither their cause nor a deploy of the app explains. A restart is not settled before deploy_margin is over, so that a deploy may still explain it.';

CREATE FUNCTION raxx_detect.evaluate_distinct_or_restarts(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rule.params ?| '{excluded_causes,deploy_margin}' THEN
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_restarts(rule, binding, exact_from, as_of);
    ELSE
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_distinct(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_distinct_or_restarts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method distinct: distinct values of one entity in a window, leaving out what a cause or a deploy explains where the rule says so.';
-- First digits against Benford's law, at each step of a grid, for the values of the window before it.

CREATE AGGREGATE raxx_detect.benford_counts(numeric) (
    SFUNC = raxx_detect.benford_accumulate, STYPE = bigint[], INITCOND = '{0,0,0,0,0,0,0,0,0,0}',
    COMBINEFUNC = raxx_detect.benford_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.benford_counts(numeric) IS
'How often each first significant digit occurs, 1 to 9, and in the tenth place how many values have none (zero, NaN, infinities): what raxx_detect.benford_result tests. NULLs are ignored.';

CREATE FUNCTION raxx_detect.benford_states(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_instant timestamptz,
    to_instant timestamptz, OUT instant timestamptz, OUT next_instant timestamptz, OUT counts bigint[])
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    window_length interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'window')::interval)::float8);
    step interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'step')::interval)::float8);
BEGIN
    -- A value counts at the instants g with g - window < its time <= g: it comes with the first instant that is not
    -- before its time, and goes with the first that is not before its time + window. Between changes all instants are
    -- alike. What is dated before 4000 BC is forged, and too near to the end of time to count with.
    RETURN QUERY EXECUTE format(
        'WITH read AS MATERIALIZED (
             SELECT greatest(date_bin($1, t.%2$I - interval ''1 microsecond'', $3) + $1, $4) AS comes,
                    date_bin($1, t.%2$I + $2 - interval ''1 microsecond'', $3) + $1 AS goes, raxx_detect.benford_counts(%3$s) AS counts
             FROM %1$s t WHERE t.%2$I > $6 AND t.%2$I <= $5 GROUP BY 1, 2
         ), changes AS (
             SELECT r.comes AS instant, 1 AS direction, r.counts FROM read r
             UNION ALL SELECT r.goes, -1, r.counts FROM read r WHERE r.goes <= $5
         )
         SELECT c.instant, coalesce(lead(c.instant) OVER (ORDER BY c.instant), $5 + $1), ARRAY[%4$s]::bigint[]
         FROM changes c GROUP BY c.instant ORDER BY c.instant',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.exact_number(binding, rule.params ->> 'value'),
        (SELECT string_agg(format('sum(sum(c.direction * c.counts[%s])) OVER (ORDER BY c.instant)', i), ', ') FROM generate_series(1, 10) i))
    USING step, window_length, timestamptz '2000-01-01 00:00:00+00', from_instant, to_instant,
        greatest(raxx_detect.before(from_instant, window_length), timestamptz '4000-01-01 00:00:00+00 BC');
END $$;
COMMENT ON FUNCTION raxx_detect.benford_states(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The counts of first digits (as raxx_detect.benford_counts has them) in the window up to each instant of the grid, from from_instant to to_instant, both of the grid; a row for each change, which holds from instant until before next_instant. Reads each row once, however many windows it is in.';

CREATE FUNCTION raxx_detect.benford_verdicts(rule raxx_detect.rules, binding raxx_detect.source_bindings, from_instant timestamptz, to_instant timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    mad_threshold float8 := (rule.params ->> 'mad_threshold')::float8;
    tests_a_month float8 := 30.4375 * 86400 / extract(epoch FROM (rule.params ->> 'step')::interval);
    tail float8 := raxx_detect.alarm_budget(rule) / tests_a_month;
    number int := 0;
    digit record;
    s record;
BEGIN
    FOR s IN
        SELECT f.*, lag(f.next_instant) OVER (ORDER BY f.instant) = f.instant AS goes_on
        FROM (SELECT * FROM raxx_detect.benford_states(rule, binding, from_instant, to_instant) c
              CROSS JOIN LATERAL raxx_detect.benford_result(c.counts) OFFSET 0) f
        WHERE f.n > (rule.params ->> 'run_above')::bigint AND f.p_value <= tail AND f.mad >= mad_threshold
        ORDER BY f.instant
    LOOP
        IF s.goes_on IS NOT TRUE THEN
            number := number + 1;
        END IF;
        SELECT d AS value, s.counts[d]::float8 / s.n AS share, log(1 + 1 / d::float8) AS law INTO digit
        FROM generate_series(1, 9) d ORDER BY abs(s.counts[d]::float8 / s.n - log(1 + 1 / d::float8)) DESC, d LIMIT 1;
        RETURN NEXT (binding.source, tstzrange(s.instant, s.next_instant), rule.severity, s.mad, mad_threshold,
            'mean absolute deviation from Benford''s law', s.p_value, 'threshold', s.n, '{benford}',
            format('%s: the first digits of %s values within %s do not follow Benford''s law: %s %% begin with %s, and %s %% should (mean absolute deviation %s, p = %s)',
                binding.source, s.n, raxx_detect.in_words(window_length), round((100 * digit.share)::numeric, 1), digit.value,
                round((100 * digit.law)::numeric, 1), round(s.mad::numeric, 4), raxx_detect.in_figures(s.p_value)),
            jsonb_build_object('window', window_length, 'verdict_at', s.instant, 'n', s.n, 'digits', to_jsonb(s.counts[1:9]),
                'skipped', s.skipped, 'chi_squared', s.chi_squared, 'df', 8, 'mad', s.mad,
                'baseline', jsonb_build_object('of', 'Benford''s law', 'tests_a_month', tests_a_month, 'tail', tail))
                || CASE WHEN s.goes_on THEN '{}' ELSE jsonb_build_object('rows', raxx_detect.row_keys(number, binding,
                       raxx_detect.window_up_to(s.instant, window_length), 'true', NULL)) END,
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.benford_verdicts(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The instants of the grid from from_instant to to_instant that fire, those with the same values in their windows together. The tail probability allowed is that of independent tests; the windows overlap, so there are fewer false alarms than that.';

CREATE FUNCTION raxx_detect.evaluate_benford(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    step interval := make_interval(secs => extract(epoch FROM (rule.params ->> 'step')::interval)::float8);
    origin CONSTANT timestamptz := '2000-01-01 00:00:00+00';
    last_instant timestamptz := date_bin(step, as_of, origin);
    next_instant timestamptz := CASE WHEN exact_from < timestamptz '4000-01-01 00:00:00+00 BC' THEN '-infinity'
                                     ELSE date_bin(step, exact_from, origin) + step END;
    verdicts raxx_detect.candidate[] := '{}';
BEGIN
    IF next_instant <= last_instant THEN
        verdicts := ARRAY(SELECT v FROM raxx_detect.benford_verdicts(rule, binding, next_instant, last_instant) v);
    END IF;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from, next_instant);
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_benford(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method benford: at each multiple of step since 2000-01-01 00:00 UTC, the first significant digits of the values in (instant - window, instant]. Fires where there are more than run_above, the chi-squared test (8 degrees of freedom) is within the allowance for false alarms, and the mean absolute deviation is at least mad_threshold. Reads nothing between two instants.';
-- Statements: the extension's own snapshots of pg_stat_statements, and the series of interval means they yield.
--
-- pg_stat_statements counts from its last reset, so what a statement took between two snapshots is a difference. Only
-- numbers are kept: no query text, which may hold personal data, is ever read.

CREATE TABLE raxx_detect.statement_samples (
    sample_time timestamptz NOT NULL,
    queryid bigint NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    total_ms float8 NOT NULL CHECK (total_ms >= 0 AND total_ms < 'infinity'),
    PRIMARY KEY (queryid, sample_time)
);
CREATE INDEX statement_samples_by_time ON raxx_detect.statement_samples (sample_time);
COMMENT ON TABLE raxx_detect.statement_samples IS
'Snapshots of the counters of pg_stat_statements for this database, written by raxx_detect.scrape_statements; a statement has a row only where its counters have changed since its last one. Bound to the source of the same name at the first snapshot.';
COMMENT ON COLUMN raxx_detect.statement_samples.calls IS 'How often the statement had run since it was first counted, by all roles, nested or not.';
COMMENT ON COLUMN raxx_detect.statement_samples.total_ms IS 'How long it had run since then, in milliseconds, without planning.';

CREATE TABLE raxx_detect.statement_resets (
    seen_at timestamptz PRIMARY KEY,
    reset_at timestamptz NOT NULL
);
COMMENT ON TABLE raxx_detect.statement_resets IS
'Resets of all of pg_stat_statements, a lost statistics file included: reset_at is when it says it was (pg_stat_statements 1.9 and later), seen_at the time of the first snapshot after it.';

CREATE TABLE raxx_detect.statement_scraper (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    taken_at timestamptz,
    stats_reset timestamptz,
    pruned_at timestamptz
);
INSERT INTO raxx_detect.statement_scraper DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.statement_scraper IS 'One row: when the last snapshot was taken, the reset it counted from, and when old samples were last deleted.';

CREATE TABLE raxx_detect.statement_histograms (
    at timestamptz NOT NULL,
    queryid bigint NOT NULL,
    mean_ms float8 NOT NULL CHECK (mean_ms >= 0 AND mean_ms < 'infinity'),
    calls bigint NOT NULL CHECK (calls > 0),
    PRIMARY KEY (at, queryid, mean_ms)
);
COMMENT ON TABLE raxx_detect.statement_histograms IS
'What pg_stat_monitor measured of this database''s statements, call by call: the rows of raxx_detect.monitor_intervals, kept by raxx_detect.scrape_statements with each snapshot, since pg_stat_monitor forgets them in minutes. Empty where that extension is not created.';
COMMENT ON COLUMN raxx_detect.statement_histograms.at IS 'The end of the time bucket.';
COMMENT ON COLUMN raxx_detect.statement_histograms.mean_ms IS 'The middle of a bin of the histogram, in milliseconds; see raxx_detect.monitor_bins.';
COMMENT ON COLUMN raxx_detect.statement_histograms.calls IS 'How many of the statement''s calls in the time bucket are in the bin.';

-- ---- pg_stat_statements, wherever it is ---------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.extension_function(extension name, function_name name) RETURNS regprocedure
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.oid::regprocedure
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
    JOIN pg_proc p ON p.oid = d.objid
    WHERE e.extname = extension AND p.proname = function_name
    ORDER BY p.pronargs DESC, p.oid LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.extension_function(name, name) IS
'The function of that name that belongs to an extension, in whatever schema; NULL if there is none. Membership, not the name, is what tells it from one that somebody else has put there.';

CREATE FUNCTION raxx_detect.qualified_name(function_oid regprocedure) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, p.proname)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = function_oid
$$;
COMMENT ON FUNCTION raxx_detect.qualified_name(regprocedure) IS 'A function''s name with its schema, quoted, for a call in dynamic SQL.';

CREATE FUNCTION raxx_detect.statements_available(OUT available boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements');
    info regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements_info');
    home name := (SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = reader);
BEGIN
    available := false;
    IF reader IS NULL THEN
        detail := 'pg_stat_statements is not created: add it to shared_preload_libraries, restart the server, and run CREATE EXTENSION pg_stat_statements in this database';
        RETURN;
    ELSIF NOT has_schema_privilege(home, 'USAGE') THEN
        detail := format('pg_stat_statements is not readable by role %1$I: GRANT USAGE ON SCHEMA %2$I TO %1$I', current_user, home);
        RETURN;
    ELSIF NOT has_function_privilege(reader, 'EXECUTE') THEN
        detail := format('pg_stat_statements is not readable by role %1$I: GRANT EXECUTE ON FUNCTION %2$s TO %1$I', current_user, reader);
        RETURN;
    END IF;
    BEGIN
        -- Whether it is preloaded, only a call tells: shared_preload_libraries is hidden from most roles.
        IF info IS NOT NULL AND has_function_privilege(info, 'EXECUTE') THEN
            EXECUTE format('SELECT FROM %s()', raxx_detect.qualified_name(info));
        ELSE
            EXECUTE format('SELECT FROM %s(false)', raxx_detect.qualified_name(reader));
        END IF;
    EXCEPTION
        WHEN object_not_in_prerequisite_state THEN
            detail := 'pg_stat_statements is created but not preloaded: add it to shared_preload_libraries and restart the server';
            RETURN;
        WHEN OTHERS THEN
            detail := format('pg_stat_statements cannot be read by role %I: %s', current_user, raxx_detect.error_in_words(sqlstate, sqlerrm, NULL, NULL));
            RETURN;
    END;
    available := true;
    detail := 'pg_stat_statements is preloaded and created';
    IF current_setting('compute_query_id') = 'off' THEN
        detail := detail || ', but compute_query_id is off: unless another module computes query ids, no statement is counted';
    END IF;
    IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
        detail := detail || format('; role %1$I sees no statements but its own: GRANT pg_read_all_stats TO %1$I', current_user);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.statements_available() IS
'Whether the caller can read the counters of pg_stat_statements, and what is there or missing, in a sentence to act on: not created, created but not preloaded, or not readable by the role. Never raises an error.';

-- ---- snapshots ----------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.read_stats_reset() RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    info regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements_info');
    result timestamptz;
BEGIN
    IF has_function_privilege(info, 'EXECUTE') THEN
        EXECUTE format('SELECT i.stats_reset FROM %s() i', raxx_detect.qualified_name(info)) INTO result;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.read_stats_reset() IS 'When all of pg_stat_statements was last reset; NULL before its version 1.9, or where the caller may not know.';

CREATE FUNCTION raxx_detect.take_statement_sample(at timestamptz, OUT taken int, OUT hidden bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader regprocedure := raxx_detect.extension_function('pg_stat_statements', 'pg_stat_statements');
    total_column name := (SELECT c FROM pg_proc p CROSS JOIN unnest(p.proargnames) c
                          WHERE p.oid = reader AND c IN ('total_exec_time', 'total_time'));  -- since 1.8, and before
BEGIN
    -- Without the texts, which lie in a file. A sum in the order of its terms is the same each time: an idle statement
    -- of two roles must not look changed because their counters came the other way round.
    EXECUTE format(
        'WITH counters AS MATERIALIZED (
             SELECT s.queryid, sum(s.calls)::bigint AS calls, sum(s.%1$I ORDER BY s.%1$I) AS total_ms, count(*) AS entries
             FROM %2$s(false) s WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
             GROUP BY s.queryid
         ), added AS (
             INSERT INTO raxx_detect.statement_samples (sample_time, queryid, calls, total_ms)
             SELECT $1, c.queryid, c.calls, c.total_ms
             FROM counters c
             LEFT JOIN LATERAL (SELECT l.calls, l.total_ms FROM raxx_detect.statement_samples l
                                WHERE l.queryid = c.queryid ORDER BY l.sample_time DESC LIMIT 1) l ON true
             WHERE c.queryid IS NOT NULL AND (c.calls, c.total_ms) IS DISTINCT FROM (l.calls, l.total_ms)
             RETURNING 1
         )
         SELECT (SELECT count(*) FROM added), coalesce((SELECT c.entries FROM counters c WHERE c.queryid IS NULL), 0)',
        total_column, raxx_detect.qualified_name(reader))
    INTO taken, hidden USING at;
END $$;
COMMENT ON FUNCTION raxx_detect.take_statement_sample(timestamptz) IS
'Writes the counters of this database''s statements, summed up by queryid over roles and nesting, where they have changed since the statement''s last sample. taken: rows written; hidden: entries without a queryid, which are those of other roles.';

CREATE FUNCTION raxx_detect.prune_statement_samples(at timestamptz, keep interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pruned bigint;
BEGIN
    DELETE FROM raxx_detect.statement_samples s WHERE s.sample_time < raxx_detect.before(at, keep);
    GET DIAGNOSTICS pruned = ROW_COUNT;
    DELETE FROM raxx_detect.statement_resets r WHERE r.seen_at < raxx_detect.before(at, keep);
    DELETE FROM raxx_detect.statement_histograms h WHERE h.at < raxx_detect.before(prune_statement_samples.at, keep);
    RETURN pruned;
END $$;
COMMENT ON FUNCTION raxx_detect.prune_statement_samples(timestamptz, interval) IS 'Deletes samples, resets and histograms older than keep; how many samples there were.';

CREATE FUNCTION raxx_detect.keep_statement_histograms(at timestamptz, OUT kept bigint, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    state text; message text; error_detail text; hint text;
BEGIN
    kept := 0;
    IF raxx_detect.monitor_view() IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        -- A bucket closes as a whole, and after those before it: what ended later than the last that is kept is new.
        INSERT INTO raxx_detect.statement_histograms (at, queryid, mean_ms, calls)
        SELECT m.at, m.queryid, m.mean_ms, sum(m.calls)
        FROM raxx_detect.monitor_intervals(coalesce((SELECT max(h.at) FROM raxx_detect.statement_histograms h), '-infinity'),
                                           keep_statement_histograms.at) m
        GROUP BY m.at, m.queryid, m.mean_ms;
        GET DIAGNOSTICS kept = ROW_COUNT;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        detail := format('no histograms of pg_stat_monitor were kept: %s', raxx_detect.error_in_words(state, message, error_detail, hint));
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.keep_statement_histograms(timestamptz) IS
'Copies the time buckets of pg_stat_monitor that are closed, ended at or before a time, and after the last one kept, to raxx_detect.statement_histograms. kept: rows written. detail: why none could be, an error with its SQLSTATE, which is not raised; NULL if nothing went wrong, or the extension is not created.';

CREATE FUNCTION raxx_detect.scrape_due_statements(scraper raxx_detect.statement_scraper, at timestamptz, OUT taken int, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule('ops_postgres_p99_drift');
    keep interval := rule.baseline_window + (rule.params ->> 'window')::interval + interval '1 day';
    bound regclass := (SELECT b.relation FROM raxx_detect.source_bindings b WHERE b.source = 'statement_samples');
    availability record;
    sample record;
    histograms record;
    stats_reset timestamptz;
    prune boolean;
BEGIN
    taken := 0;
    -- A tenth less, or a scheduler that is a moment early would make every second call one in vain.
    IF at < scraper.taken_at + (rule.params ->> 'sample_every')::interval * 0.9 THEN
        detail := format('not due: the last snapshot was taken at %s', scraper.taken_at);
        RETURN;
    ELSIF bound <> 'raxx_detect.statement_samples'::regclass THEN
        detail := format('source statement_samples is bound to %s, so no snapshot is taken', bound);
        RETURN;
    ELSIF bound IS NULL AND scraper.taken_at IS NOT NULL THEN
        detail := 'source statement_samples was unbound, so no snapshot is taken: SELECT raxx_detect.bind_source(''statement_samples'', ''raxx_detect.statement_samples'')';
        RETURN;
    END IF;
    availability := raxx_detect.statements_available();
    IF NOT availability.available THEN
        detail := availability.detail;
        RETURN;
    END IF;

    stats_reset := raxx_detect.read_stats_reset();
    sample := raxx_detect.take_statement_sample(at);
    taken := sample.taken;
    IF stats_reset <> scraper.stats_reset THEN
        INSERT INTO raxx_detect.statement_resets (seen_at, reset_at) VALUES (at, stats_reset);
    END IF;
    IF bound IS NULL THEN
        PERFORM raxx_detect.bind_source('statement_samples', 'raxx_detect.statement_samples');
    END IF;
    histograms := raxx_detect.keep_statement_histograms(at);
    prune := coalesce(at >= scraper.pruned_at + interval '1 hour', true);
    IF prune THEN
        PERFORM raxx_detect.prune_statement_samples(at, keep);
    END IF;
    UPDATE raxx_detect.statement_scraper r SET taken_at = at, stats_reset = stats_reset,
        pruned_at = CASE WHEN prune THEN at ELSE r.pruned_at END;
    IF sample.hidden > 0 THEN
        detail := format('%1$s entries of other roles are hidden from role %2$I and were left out: GRANT pg_read_all_stats TO %2$I', sample.hidden, current_user);
    END IF;
    detail := nullif(concat_ws('; ', detail, histograms.detail), '');
END $$;
COMMENT ON FUNCTION raxx_detect.scrape_due_statements(raxx_detect.statement_scraper, timestamptz) IS
'Takes a snapshot, and keeps the histograms of pg_stat_monitor where that is created, if one is due and nothing stands in the way; else says why not. Histograms that cannot be read do not keep a snapshot from being taken; they are in detail.';

CREATE FUNCTION raxx_detect.scrape_statements(as_of timestamptz DEFAULT now(), OUT taken int, OUT detail text)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
#variable_conflict use_variable
DECLARE
    scraper raxx_detect.statement_scraper;
    state text; message text; error_detail text; hint text;
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    taken := 0;
    BEGIN
        SELECT r.* INTO scraper FROM raxx_detect.statement_scraper r FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            SELECT x.taken, x.detail INTO taken, detail FROM raxx_detect.scrape_due_statements(scraper, least(as_of, now())) x;
        ELSE
            detail := 'another session is taking a snapshot';
        END IF;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        taken := 0;
        detail := raxx_detect.error_in_words(state, message, error_detail, hint);
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.scrape_statements(timestamptz) IS
'Takes a snapshot of pg_stat_statements into raxx_detect.statement_samples, at most one per sample_every of rule ops_postgres_p99_drift (less a tenth, for a scheduler''s unrest), and dates it as_of, but never in the future. taken: rows written, one for each statement of this database that has run since its last sample. detail: why nothing was taken (not created, not preloaded, not readable, not due, an error with its SQLSTATE), or what was left out; NULL if there is nothing to say. Where pg_stat_monitor is created, its closed time buckets are kept in raxx_detect.statement_histograms along with each snapshot. An error of a snapshot is its detail and is not raised; only an as_of that is no finite time is (22023). Let one role take all snapshots: one that sees less of a statement makes its counters fall. The first snapshot binds the source; where the source is bound to another relation, or was unbound later, nothing is taken. Samples older than the rule''s baseline_window, its window and a day are deleted, at most once an hour.';

-- ---- the series ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.number_expression(binding raxx_detect.source_bindings, role text, wanted regtype) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN t.base IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
          OR (t.base IN ('real'::regtype, 'float8'::regtype) AND wanted = 'float8'::regtype) THEN format('t.%I::%s', t.name, wanted)
        WHEN wanted = 'bigint'::regtype THEN
            format('CASE WHEN t.%1$I::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN t.%1$I::numeric::bigint END', t.name)
        ELSE format('CASE WHEN abs(t.%1$I::numeric) < 1e300 THEN t.%1$I::numeric::float8 END', t.name) END
    FROM (SELECT a.attname AS name, coalesce(nullif(y.typbasetype, 0), y.oid)::regtype AS base
          FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
          WHERE a.attrelid = binding.relation AND a.attname = raxx_detect.role_column(binding, role)
            AND a.attnum > 0 AND NOT a.attisdropped) t
$$;
COMMENT ON FUNCTION raxx_detect.number_expression(raxx_detect.source_bindings, text, regtype) IS
'SQL over the row t that gives the number in a role''s column as bigint or float8, whatever its numeric type, and NULL for what is out of range. NULL if there is no such column.';

CREATE FUNCTION raxx_detect.sample_query(binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own boolean := binding.relation = 'raxx_detect.statement_samples'::regclass;
    -- In the extension's own table an index finds each statement's last sample before the period. Another relation may
    -- have none, so of it the whole day before is read.
    last_before text :=
        'SELECT p.* FROM (SELECT DISTINCT o.queryid FROM raxx_detect.statement_samples o WHERE o.sample_time > $1 AND o.sample_time <= $2) q
         CROSS JOIN LATERAL (SELECT l.sample_time, l.queryid, l.calls, l.total_ms FROM raxx_detect.statement_samples l
                             WHERE l.queryid = q.queryid AND l.sample_time > raxx_detect.before($1, interval ''1 day'') AND l.sample_time <= $1
                             ORDER BY l.sample_time DESC LIMIT 1) p';
BEGIN
    RETURN format(
        'SELECT t.%1$I AS at, %2$s AS queryid, %3$s AS calls, %4$s AS total_ms FROM %5$s t
         WHERE t.%1$I > %6$s AND t.%1$I <= $2 AND t.%1$I > ''4000-01-01 00:00:00+00 BC''%7$s',
        raxx_detect.role_column(binding, 'sample_time'), raxx_detect.number_expression(binding, 'queryid', 'bigint'),
        raxx_detect.number_expression(binding, 'calls', 'bigint'), raxx_detect.number_expression(binding, 'total_ms', 'float8'),
        binding.relation, CASE WHEN own THEN '$1' ELSE 'raxx_detect.before($1, interval ''1 day'')' END,
        CASE WHEN own THEN ' UNION ALL ' || last_before ELSE '' END);
END $$;
COMMENT ON FUNCTION raxx_detect.sample_query(raxx_detect.source_bindings) IS
'SQL that reads the samples in ($1, $2], and of the day before $1 at least each statement''s last one; but none near the beginning of time, where a day earlier would be no time at all.';

CREATE FUNCTION raxx_detect.statement_intervals(binding raxx_detect.source_bindings, from_time timestamptz, to_time timestamptz,
    OUT at timestamptz, OUT queryid bigint, OUT calls bigint, OUT mean_ms float8)
RETURNS SETOF record ROWS 10000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    -- Of another relation's server nobody has recorded when it was reset.
    resets timestamptz[] := ARRAY(SELECT r.seen_at FROM raxx_detect.statement_resets r
                                  WHERE binding.relation = 'raxx_detect.statement_samples'::regclass);
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH samples AS (
             SELECT DISTINCT ON (x.queryid, x.at) x.at, x.queryid, x.calls, x.total_ms FROM (%s) x
             WHERE x.queryid IS NOT NULL AND x.calls >= 0 AND x.total_ms >= 0 AND x.total_ms < ''infinity''
             ORDER BY x.queryid, x.at, x.calls DESC, x.total_ms DESC
         ), steps AS (
             SELECT s.*, lag(s.at) OVER w AS earlier_at, lag(s.calls) OVER w AS earlier_calls, lag(s.total_ms) OVER w AS earlier_ms
             FROM samples s WINDOW w AS (PARTITION BY s.queryid ORDER BY s.at)
         ), counted AS (
             SELECT s.at, s.queryid, s.calls - CASE WHEN z.from_zero THEN 0 ELSE s.earlier_calls END AS calls,
                    s.total_ms - CASE WHEN z.from_zero THEN 0 ELSE s.earlier_ms END AS total_ms
             FROM steps s
             CROSS JOIN LATERAL (SELECT s.at - interval ''24 hours'' AS earliest) e
             CROSS JOIN LATERAL (SELECT $3 <> ''{}'' AND EXISTS (SELECT FROM unnest($3) seen_at WHERE seen_at <= s.at
                                     AND seen_at > greatest(s.earlier_at, e.earliest)) AS reset) r
             CROSS JOIN LATERAL (SELECT r.reset OR s.calls < s.earlier_calls OR s.total_ms < s.earlier_ms AS from_zero) z
             WHERE s.at > $1 AND (s.earlier_at > e.earliest OR r.reset)
         )
         SELECT c.at, c.queryid, c.calls, c.total_ms / c.calls FROM counted c WHERE c.calls > 0',
        raxx_detect.sample_query(binding))
    USING from_time, to_time, resets;
END $$;
COMMENT ON FUNCTION raxx_detect.statement_intervals(raxx_detect.source_bindings, timestamptz, timestamptz) IS
'For each statement and two successive samples of it of which the later lies in (from_time, to_time]: the calls between them, and the mean time of one in milliseconds, at the time of the later. Successive samples more than 24 hours apart make no interval, so that the result does not depend on where a longer period is cut; nor does a first sample, which has no known beginning. Where calls or total time fell (a reset, or a statement that was evicted and has come back), or a reset of the extension''s own samples lies between, counting began at zero: the interval has all calls of the later sample, even if there is no earlier one. No call, no interval. Of samples of one statement at one time the one with the most calls, then the longest time, counts: bind a view that sums them up if a relation has a row for each role. Samples with a NULL, negative, infinite or NaN number, or at an infinite time, are ignored. Infinite bounds are open. In no particular order.';

-- ---- pg_stat_monitor ----------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.monitor_view() RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.oid::regclass
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid
    WHERE e.extname = 'pg_stat_monitor' AND c.relname = 'pg_stat_monitor' AND c.relkind = 'v'
$$;
COMMENT ON FUNCTION raxx_detect.monitor_view() IS 'The view of the extension pg_stat_monitor, in whatever schema; NULL where the extension is not created.';

CREATE FUNCTION raxx_detect.monitor_bins(OUT bin int, OUT lower_ms float8, OUT upper_ms float8, OUT middle_ms float8)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    timings regprocedure := raxx_detect.extension_function('pg_stat_monitor', 'get_histogram_timings');
    labels text;
BEGIN
    IF timings IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT %s()', raxx_detect.qualified_name(timings)) INTO labels;
    RETURN QUERY
        SELECT b.number::int, b.low, b.high,
               CASE WHEN b.high IS NULL THEN b.low WHEN b.low = 0 THEN b.high / 2 ELSE sqrt(b.low) * sqrt(b.high) END
        FROM (SELECT m.number, m.limits[1]::float8 AS low, nullif(m.limits[2], '...')::float8 AS high
              FROM regexp_matches(labels, '([0-9]+\.?[0-9]*) - ([0-9]+\.?[0-9]*|\.\.\.)', 'g') WITH ORDINALITY m(limits, number)) b;
END $$;
COMMENT ON FUNCTION raxx_detect.monitor_bins() IS
'The bins of pg_stat_monitor''s histogram of response times, in milliseconds, as its get_histogram_timings() writes them; none where it is not created. middle_ms stands for a bin: the geometric mean of its limits, since the bins are logarithmic; half its upper limit for one that begins at zero; its lower limit for the last one, which has no upper one (upper_ms is NULL).';

CREATE FUNCTION raxx_detect.monitor_intervals(from_time timestamptz, to_time timestamptz,
    OUT at timestamptz, OUT queryid bigint, OUT calls bigint, OUT mean_ms float8)
RETURNS SETOF record ROWS 1000 LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    monitor regclass := raxx_detect.monitor_view();
    bucket_time interval := make_interval(secs => coalesce((SELECT g.setting FROM pg_settings g
                                                             WHERE g.name = 'pg_stat_monitor.pgsm_bucket_time'), '60')::float8);
    -- A bigint since 2.1; before, the same in hexadecimal digits.
    queryid_of text := CASE raxx_detect.column_type(monitor, 'queryid') WHEN 'text'::regtype
        THEN '(''x'' || lpad(m.queryid, 16, ''0''))::bit(64)::bigint' ELSE 'm.queryid::bigint' END;
    bins int;
    widest int;
BEGIN
    IF monitor IS NULL THEN
        RETURN;
    END IF;
    SELECT count(*) INTO bins FROM raxx_detect.monitor_bins();
    EXECUTE format('SELECT max(cardinality(m.resp_calls)) FROM %s m WHERE m.bucket_done', monitor) INTO widest;
    IF widest <> bins THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the histogram of pg_stat_monitor cannot be read',
            DETAIL = format('It has %s bins, of which get_histogram_timings() tells the limits of %s.', widest, bins),
            HINT = 'Releases before 2.4 cut off a long list of limits: set pg_stat_monitor.pgsm_histogram_buckets to 20, its default, and restart the server.';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT m.bucket_start_time + $3, %1$s, sum(r.calls::bigint)::bigint, b.middle_ms
         FROM %2$s m
         CROSS JOIN LATERAL unnest(m.resp_calls) WITH ORDINALITY r(calls, bin)
         JOIN raxx_detect.monitor_bins() b ON b.bin = r.bin
         WHERE m.bucket_done AND m.datname::text = current_database() AND m.queryid IS NOT NULL
           AND m.bucket_start_time + $3 > $1 AND m.bucket_start_time + $3 <= $2
           AND m.total_exec_time > 0  -- a statement that failed before it ran is shown with one call in the first bin
         GROUP BY m.bucket_start_time, 2, b.bin, b.middle_ms
         HAVING sum(r.calls::bigint) > 0', queryid_of, monitor)
    USING from_time, to_time, bucket_time;
END $$;
COMMENT ON FUNCTION raxx_detect.monitor_intervals(timestamptz, timestamptz) IS
'What pg_stat_monitor (2.0 and later) has measured, in the shape of raxx_detect.statement_intervals: for each closed time bucket that ended in (from_time, to_time], each statement of this database and each bin of its histogram of response times, the calls in the bin, and the middle of the bin (see raxx_detect.monitor_bins) in milliseconds; at is the end of the bucket. It knows the single calls, where an interval of pg_stat_statements has but their mean, to the width of a bin (a factor of 1.8 by default). It forgets: by default it keeps 10 buckets of a minute, so whoever wants a week has to read every few minutes. A bucket is closed by the first statement after its end, so its rows may come some time after that. No rows where the extension is not created. Errors: 55000 it is not preloaded, or the limits of the bins are incomplete. Written after the published SQL and C sources of pg_stat_monitor 2.0 to 2.4, and tested with an extension that imitates its interface, but never with the real one, which Debian does not package.';

-- ---- what moved ---------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.statements_that_moved(binding raxx_detect.source_bindings, from_time timestamptz, split_time timestamptz,
    to_time timestamptz, how_many int DEFAULT 5, by_call boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH times AS MATERIALIZED (  -- each time as often as it counts
        SELECT i.queryid, i.mean_ms, i.at > split_time AS later, count(*) AS weight, sum(i.calls) AS calls
        FROM raxx_detect.statement_intervals(binding, from_time, to_time) i WHERE NOT by_call GROUP BY 1, 2, 3
        UNION ALL
        SELECT h.queryid, h.mean_ms, h.at > split_time, sum(h.calls)::bigint, sum(h.calls)
        FROM raxx_detect.statement_histograms h WHERE by_call AND h.at > from_time AND h.at <= to_time GROUP BY 1, 2, 3
    ), ranked AS (  -- the nearest rank: the least time that so many do not exceed
        SELECT t.*, sum(t.weight) OVER (PARTITION BY t.later ORDER BY t.mean_ms) >= 0.99 * sum(t.weight) OVER (PARTITION BY t.later) AS pooled_beyond,
               sum(t.weight) OVER (PARTITION BY t.queryid, t.later ORDER BY t.mean_ms)
                   >= 0.99 * sum(t.weight) OVER (PARTITION BY t.queryid, t.later) AS beyond
        FROM times t
    ), pooled AS (
        SELECT min(r.mean_ms) FILTER (WHERE NOT r.later AND r.pooled_beyond) AS p99_ms,
               sum(r.weight) FILTER (WHERE r.later)::float8 / nullif(sum(r.weight) FILTER (WHERE NOT r.later), 0)::float8 AS growth
        FROM ranked r
    ), statements AS (
        SELECT r.queryid,
               min(r.mean_ms) FILTER (WHERE NOT r.later AND r.beyond) AS before_p99_ms,
               min(r.mean_ms) FILTER (WHERE r.later AND r.beyond) AS p99_ms,
               coalesce(sum(r.calls) FILTER (WHERE NOT r.later), 0) AS calls_before,
               coalesce(sum(r.calls) FILTER (WHERE r.later), 0) AS calls,
               coalesce(sum(r.weight) FILTER (WHERE r.later AND r.mean_ms > p.p99_ms), 0)::float8
                   - p.growth * coalesce(sum(r.weight) FILTER (WHERE NOT r.later AND r.mean_ms > p.p99_ms), 0)::float8 AS excess
        FROM ranked r CROSS JOIN pooled p WHERE p.growth > 0
        GROUP BY r.queryid, p.growth
    ), movers AS (
        SELECT s.*, s.excess / sum(s.excess) OVER () AS share FROM statements s WHERE s.excess > 0
        ORDER BY s.excess DESC, s.queryid LIMIT CASE WHEN how_many < 0 THEN 0 ELSE how_many END
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('queryid', m.queryid, 'before_p99_ms', m.before_p99_ms, 'p99_ms', m.p99_ms,
               'calls_before', m.calls_before, 'calls', m.calls, 'share', m.share) ORDER BY m.excess DESC, m.queryid), '[]')
    FROM movers m
$$;
COMMENT ON FUNCTION raxx_detect.statements_that_moved(raxx_detect.source_bindings, timestamptz, timestamptz, timestamptz, int, boolean) IS
'The statements that moved the 99th percentile of the interval means of all statements together most, between (from_time, split_time] and (split_time, to_time]: at most how_many (NULL: all) objects with queryid, the statement''s own percentiles before and now in milliseconds (before_p99_ms is null for one that is new), its calls before and now, and its share, the greatest first; [] if one of the periods has no intervals, or nothing rose. With q the old common percentile, N and M the numbers of all intervals now and before, a statement''s excess is (its intervals above q now) - (N / M) (its intervals above q before); excesses add up to N times the rise in the share of intervals above q, so the common percentile rises if and because they do. share is a statement''s part of all positive excesses. Percentiles are at the nearest rank. No query texts: look a queryid up in pg_stat_statements. by_call: by the single calls in raxx_detect.statement_histograms in place of interval means; numbers and excesses are then of calls, and times are middles of bins.';
-- Drift: whether the statements of this database have become slower than in the days before.
--
-- At each full hour, the mean times of all statements between snapshots of the window before it are one distribution,
-- those of the baseline another. Snapshots count at their own time, so a step of the grid never looks ahead. Where
-- pg_stat_monitor has measured the window and each day of the baseline, the times of the single calls take the place of
-- the means; the one is never compared with the other.

CREATE FUNCTION raxx_detect.has_histograms(binding raxx_detect.source_bindings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT binding.relation = 'raxx_detect.statement_samples'::regclass
$$;
COMMENT ON FUNCTION raxx_detect.has_histograms(raxx_detect.source_bindings) IS
'Whether raxx_detect.statement_histograms is of the statements of a bound relation: only of those of the extension''s own table.';

CREATE FUNCTION raxx_detect.learn_histograms(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH bins AS MATERIALIZED (
        SELECT h.mean_ms, h.calls, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), h.at))::int AS hour,
               EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source, $4) l WHERE h.at <@ l.period) AS is_out
        FROM raxx_detect.statement_histograms h WHERE h.at >= lower($4) AND h.at < upper($4)
    ), hours AS (
        SELECT h, coalesce(sum(b.calls), 0)::bigint AS n FROM generate_series(0, 23) h LEFT JOIN bins b ON b.hour = h AND NOT b.is_out GROUP BY h
    )
    INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
    SELECT rule.rule_id, binding.source, $3, 'pg_stat_monitor', array_agg(n::float8 ORDER BY h), array_agg(n ORDER BY h), array_agg(n::float8 ORDER BY h),
           (SELECT raxx_detect.quantile_sketch(b.mean_ms, b.calls) FROM bins b WHERE NOT b.is_out)
    FROM hours HAVING EXISTS (SELECT FROM bins)
$$;
COMMENT ON FUNCTION raxx_detect.learn_histograms(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of pg_stat_monitor''s histograms as the entity pg_stat_monitor: a sketch, in milliseconds, of the times of the single calls, each at the middle of its bin. A cell is one call. A day that has histograms has a row, even if all of them are left out; one that has none has no row.';

CREATE FUNCTION raxx_detect.learn_statements(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    WITH intervals AS MATERIALIZED (
        SELECT i.mean_ms, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), i.at))::int AS hour,
               EXISTS (SELECT FROM raxx_detect.left_out(rule, binding.source, period) l WHERE i.at <@ l.period) AS is_out
        FROM raxx_detect.statement_intervals(binding, lower(period) - interval '1 microsecond', upper(period) - interval '1 microsecond') i
    ), hours AS (
        SELECT h, count(i.hour) AS n FROM generate_series(0, 23) h LEFT JOIN intervals i ON i.hour = h AND NOT i.is_out GROUP BY h
    ), written AS (
        INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
        SELECT rule.rule_id, binding.source, day, NULL, array_agg(n::float8 ORDER BY h), array_agg(n ORDER BY h), array_agg(n::float8 ORDER BY h),
               (SELECT raxx_detect.quantile_sketch(i.mean_ms) FROM intervals i WHERE NOT i.is_out)
        FROM hours HAVING sum(n) > 0
    )
    UPDATE raxx_detect.baseline_days b SET rows = s.rows, left_out = s.rows_out
    FROM (SELECT count(*) FILTER (WHERE NOT is_out) AS rows, count(*) FILTER (WHERE is_out) AS rows_out FROM intervals) s
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    IF raxx_detect.has_histograms(binding) THEN
        PERFORM raxx_detect.learn_histograms(rule, binding, day, period);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.learn_statements(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of statement times: a sketch, in milliseconds, of the mean times of all statements between two snapshots; a cell is one such mean. Of the extension''s own samples also what raxx_detect.learn_histograms keeps.';

CREATE FUNCTION raxx_detect.baseline_has_histograms(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.has_histograms(binding) AND count(b.day) > 0 AND count(b.day) = $3 - f.first_day
    FROM (SELECT raxx_detect.baseline_first_day(rule, binding.source, $3) AS first_day) f
    LEFT JOIN raxx_detect.baselines b ON b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity = 'pg_stat_monitor'
        AND b.day >= f.first_day AND b.day < $3
    GROUP BY f.first_day
$$;
COMMENT ON FUNCTION raxx_detect.baseline_has_histograms(raxx_detect.rules, raxx_detect.source_bindings, date) IS
'Whether the baseline of a day has a row of pg_stat_monitor for each of its whole days.';

CREATE FUNCTION raxx_detect.drift_verdict(rule raxx_detect.rules, binding raxx_detect.source_bindings, instant timestamptz,
    recent raxx_detect.quantile_sketch, measured_by text)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day date := raxx_detect.judging_day(rule, binding, instant);
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, day);
    step interval := rule.params ->> 'step';
    window_length interval := rule.params ->> 'window';
    q float8 := (rule.params ->> 'quantile')::float8;
    tests float8 := 30.4375 * 86400 / extract(epoch FROM step);
    usual raxx_detect.quantile_sketch := (SELECT raxx_detect.merge(b.sketch) FROM raxx_detect.baselines b
        WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day >= first_day AND b.day < day
          AND b.entity IS NOT DISTINCT FROM CASE measured_by WHEN 'pg_stat_monitor' THEN measured_by END);
    floor bigint := (rule.params ->> 'baseline_intervals')::bigint;
    before_ms float8 := raxx_detect.quantile(usual, q);
    now_ms float8 := raxx_detect.quantile(recent, q);
    test record;
BEGIN
    IF raxx_detect.sketch_count(recent) < floor OR raxx_detect.sketch_count(usual) < floor
       OR NOT now_ms >= before_ms * (1 + (rule.params ->> 'rise')::float8) THEN
        RETURN NULL;
    END IF;
    test := raxx_detect.sketch_ks_test(recent, usual);
    IF test.p_value > raxx_detect.alarm_budget(rule) / tests THEN
        RETURN NULL;
    END IF;
    RETURN ('statements', tstzrange(instant, instant + step), rule.severity, now_ms, before_ms * (1 + (rule.params ->> 'rise')::float8),
        'milliseconds', test.p_value, 'baseline', raxx_detect.sketch_count(recent), '{drift}',
        format('the %s %% slowest statement times of the last %s begin at %s ms, %s ms in the %s days before', round(100 * (1 - q)::numeric, 2)::float8,
            raxx_detect.in_words(window_length), round(now_ms::numeric, 2), round(before_ms::numeric, 2), day - first_day),
        jsonb_build_object('window', window_length, 'verdict_at', instant, 'd', test.d, 'measured_by', measured_by,
            'baseline', jsonb_build_object('of', 'all statements', 'days', day - first_day, 'n', raxx_detect.sketch_count(usual), 'quantile', before_ms,
                'median', raxx_detect.quantile(usual, 0.5), 'tests_a_month', tests, 'tail', raxx_detect.alarm_budget(rule) / tests,
                'left_out', raxx_detect.baseline_left_out(rule, binding.source, first_day, day))),
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.drift_verdict(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.quantile_sketch, text) IS
'The verdict of an instant on the statement times of the window before it, measured by pg_stat_statements (interval means) or pg_stat_monitor (single calls), against a baseline of the same: a candidate where their quantile is higher than in the baseline by the share rise, and a two-sample Kolmogorov-Smirnov test finds the two distributions different beyond the false-alarm budget; else NULL, and where either has fewer than baseline_intervals values.';

CREATE FUNCTION raxx_detect.evaluate_drift(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    step interval := rule.params ->> 'step';
    window_length interval := rule.params ->> 'window';
    origin timestamptz := timestamptz '2000-01-01 00:00:00+00';
    begins timestamptz := greatest(exact_from, raxx_detect.before(as_of, interval '400 days'),
        (SELECT s.first_event FROM raxx_detect.baseline_starts s WHERE s.rule_id = rule.rule_id AND s.source = binding.source));
    first_instant timestamptz := date_bin(step, begins, origin) + step;
    last_instant timestamptz := date_bin(step, as_of, origin);
    verdicts raxx_detect.candidate[];
    c raxx_detect.candidate;
    verdict_at timestamptz;
    before_from timestamptz;
    before_to timestamptz;
BEGIN
    IF first_instant <= last_instant THEN
        WITH times AS (
            SELECT i.at, i.mean_ms, 1::bigint AS weight, 'pg_stat_statements' AS measured_by
            FROM raxx_detect.statement_intervals(binding, first_instant - window_length, last_instant) i
            UNION ALL
            SELECT h.at, h.mean_ms, h.calls, 'pg_stat_monitor' FROM raxx_detect.statement_histograms h
            WHERE raxx_detect.has_histograms(binding) AND h.at > first_instant - window_length AND h.at <= last_instant
        ), hourly AS MATERIALIZED (  -- (instant - step, instant]
            SELECT date_bin(step, t.at - interval '1 microsecond', origin) + step AS upto, t.measured_by,
                   raxx_detect.quantile_sketch(t.mean_ms, t.weight) AS sketch
            FROM times t GROUP BY 1, 2
        ), measured AS (
            SELECT g AS instant, h.measured_by, raxx_detect.merge(h.sketch) AS sketch
            FROM generate_series(first_instant, last_instant, step) g JOIN hourly h ON h.upto > g - window_length AND h.upto <= g
            WHERE raxx_detect.baseline_is_ready(rule, binding.source, raxx_detect.judging_day(rule, binding, g)) GROUP BY g, h.measured_by
        ), recent AS (  -- the single calls, if the baseline has them, too
            SELECT DISTINCT ON (m.instant) m.* FROM measured m
            WHERE m.measured_by = 'pg_stat_statements' OR raxx_detect.baseline_has_histograms(rule, binding, raxx_detect.judging_day(rule, binding, m.instant))
            ORDER BY m.instant, m.measured_by = 'pg_stat_monitor' DESC
        )
        SELECT array_agg(v) INTO verdicts FROM recent r CROSS JOIN LATERAL raxx_detect.drift_verdict(rule, binding, r.instant, r.sketch, r.measured_by) v
        WHERE v.entity IS NOT NULL;
    END IF;
    FOR c IN SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, coalesce(verdicts, '{}'), exact_from,
            CASE WHEN isfinite(exact_from) THEN date_bin(step, exact_from, origin) + step END) LOOP
        IF NOT c.evidence ? 'moved' THEN  -- asked once for an episode, since it reads the baseline's rows again
            verdict_at := c.evidence ->> 'verdict_at';
            before_from := raxx_detect.before(verdict_at, rule.baseline_window + window_length);
            before_to := raxx_detect.before(verdict_at, window_length);
            c.evidence := c.evidence || jsonb_build_object('moved', raxx_detect.statements_that_moved(
                binding, before_from, before_to, verdict_at, by_call => c.evidence ->> 'measured_by' = 'pg_stat_monitor'));
        END IF;
        RETURN NEXT c;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_drift(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method drift: at each step of the clock (UTC), the distribution of the statement times of the window before it, against that of the days before. By pg_stat_monitor''s histograms if the window has some and each whole day of its baseline has, else by the means between snapshots.';
-- Ratios: failures among all rows, held against the share that they had in the days before.
--
-- The tail probability is binomial. Where the hours of the baseline scatter more than a binomial distribution does, by a
-- dispersion above 1 (Pearson's chi-squared per degree of freedom; McCullagh and Nelder 1989, 4.5), it is negative
-- binomial of the same mean and the larger variance.

CREATE FUNCTION raxx_detect.learn_outcomes(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    number_kept bigint;
    number_left_out bigint;
BEGIN
    EXECUTE format(
        'WITH gone AS MATERIALIZED (
             SELECT l.period FROM raxx_detect.left_out($1, $2, $3) l
         ), seen AS MATERIALIZED (
             SELECT raxx_detect.bounded_entity(t.%2$I::text) COLLATE "C" AS outcome, extract(hour FROM timezone($4, t.%1$I))::int AS hour,
                    EXISTS (SELECT FROM gone WHERE gone.period @> t.%1$I) AS left_out, count(*) AS n
             FROM %3$s t WHERE t.%1$I >= lower($3) AND t.%1$I < upper($3) AND t.%2$I IS NOT NULL GROUP BY 1, 2, 3
         ), outcomes AS (
             SELECT s.outcome FROM seen s WHERE NOT s.left_out
             GROUP BY s.outcome ORDER BY s.outcome <> raxx_detect.bounded_entity($5), sum(s.n) DESC, s.outcome LIMIT 100
         ), kept AS (
             INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares)
             SELECT ($1).rule_id, $2, $6, o.outcome, array_fill(1::float8, ''{24}''), h.rows, h.squares
             FROM (SELECT NULL::text AS outcome WHERE EXISTS (SELECT FROM outcomes) UNION ALL SELECT outcome FROM outcomes) o
             CROSS JOIN LATERAL (
                 SELECT array_agg(coalesce(c.n, 0) ORDER BY h.hour) AS rows, array_agg(coalesce(c.n, 0)::float8 ^ 2 ORDER BY h.hour) AS squares
                 FROM generate_series(0, 23) h(hour)
                 LEFT JOIN (SELECT s.hour, sum(s.n)::bigint AS n FROM seen s
                            WHERE NOT s.left_out AND (o.outcome IS NULL OR s.outcome = o.outcome) GROUP BY s.hour) c ON c.hour = h.hour) h
         )
         SELECT coalesce(sum(s.n) FILTER (WHERE NOT s.left_out), 0), coalesce(sum(s.n) FILTER (WHERE s.left_out), 0) FROM seen s',
        binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'value'), binding.relation)
    INTO number_kept, number_left_out
    USING rule, binding.source, period, raxx_detect.rule_time_zone(rule), rule.params ->> 'failure', day;
    UPDATE raxx_detect.baseline_days b SET rows = number_kept, left_out = number_left_out
    WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.day = day;
    PERFORM raxx_detect.add_reading(number_kept + number_left_out, 0);
END $$;
COMMENT ON FUNCTION raxx_detect.learn_outcomes(raxx_detect.rules, raxx_detect.source_bindings, date, tstzrange) IS
'Keeps a day of method ratio: rows by hour, of all outcomes together and of each, at most 100 of them, the failure first and then the most frequent. A cell is an hour. Rows with a NULL outcome are not counted.';

CREATE TYPE raxx_detect.failure_history AS (
    usable boolean,
    days int,
    failures bigint,
    rows bigint,
    share float8,
    dispersion float8,
    left_out bigint
);
COMMENT ON TYPE raxx_detect.failure_history IS 'What raxx_detect.outcome_baseline returns.';

CREATE FUNCTION raxx_detect.outcome_baseline(rule raxx_detect.rules, source text, day date) RETURNS raxx_detect.failure_history
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, source, day);
    kept bigint;
    result raxx_detect.failure_history := (false, 0, NULL, NULL, NULL, NULL, NULL);
BEGIN
    IF first_day IS NULL OR NOT isfinite(day) OR first_day >= day THEN
        RETURN result;
    END IF;
    result.days := day - first_day;
    SELECT count(*), coalesce(sum(b.left_out), 0) INTO kept, result.left_out FROM raxx_detect.baseline_days b
    WHERE b.rule_id = rule.rule_id AND b.source = source AND b.day >= first_day AND b.day < day;
    -- The days of what is long past are not kept.
    IF kept < result.days OR NOT raxx_detect.baseline_is_ready(rule, source, day) THEN
        RETURN result;
    END IF;
    WITH hours AS (
        SELECT b.day, h.hour, coalesce(sum(h.rows) FILTER (WHERE b.entity IS NULL), 0)::float8 AS n,
               coalesce(sum(h.rows) FILTER (WHERE b.entity IS NOT NULL), 0)::float8 AS k
        FROM raxx_detect.baselines b CROSS JOIN LATERAL unnest(b.rows) WITH ORDINALITY h(rows, hour)
        WHERE b.rule_id = rule.rule_id AND b.source = source AND b.day >= first_day AND b.day < day
          AND (b.entity IS NULL OR b.entity COLLATE "C" = raxx_detect.bounded_entity(rule.params ->> 'failure') COLLATE "C")
        GROUP BY b.day, h.hour
    ), total AS (
        SELECT coalesce(sum(h.n), 0) AS n, coalesce(sum(h.k), 0) AS k, count(*) AS busy_hours,
               (coalesce(sum(h.k), 0) + 0.5) / (coalesce(sum(h.n), 0) + 1) AS share
        FROM hours h WHERE h.n > 0
    )
    SELECT t.n > 0, t.k, t.n, t.share,
           greatest(1, (SELECT sum((h.k - h.n * t.share) ^ 2 / (h.n * t.share * (1 - t.share))) FROM hours h WHERE h.n > 0)
                       / greatest(t.busy_hours - 1, 1))
    INTO result.usable, result.failures, result.rows, result.share, result.dispersion FROM total t;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.outcome_baseline(raxx_detect.rules, text, date) IS
'What the baseline of a day says of method ratio: failures k0 and rows n0 of its days, the share (k0 + 1/2) / (n0 + 1), and the dispersion, at least 1: Pearson''s chi-squared of the hours that had rows, per degree of freedom. Not usable before it is ready, without a row in it, or where its days are not kept.';

CREATE FUNCTION raxx_detect.failure_tail(k bigint, n bigint, share float8, dispersion float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN k <= 0 THEN 1
                WHEN dispersion <= 1 THEN raxx_detect.binomial_upper_tail(k, n, share)
                -- A negative binomial distribution cannot scatter less than Poisson's, which is the wider one here.
                ELSE raxx_detect.negative_binomial_upper_tail(k, n * share, n * share * greatest(1, (1 - share) * dispersion)) END
$$;
COMMENT ON FUNCTION raxx_detect.failure_tail(bigint, bigint, float8, float8) IS
'P(X >= k) for the failures among n rows: binomial, or for a dispersion above 1 negative binomial of mean n share and variance n share (1 - share) dispersion, at least the mean. NULL arguments give NULL.';

CREATE FUNCTION raxx_detect.fewest_failures(n bigint, given bigint, floor bigint, share float8, dispersion float8, tail float8) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enough bigint := n + 1;
    short bigint := floor - 1;
    middle bigint;
BEGIN
    WHILE enough - short > 1 LOOP
        middle := short + (enough - short) / 2;
        IF raxx_detect.failure_tail(middle - given, n - given, share, dispersion) <= tail THEN
            enough := middle;
        ELSE
            short := middle;
        END IF;
    END LOOP;
    RETURN enough;
END $$;
COMMENT ON FUNCTION raxx_detect.fewest_failures(bigint, bigint, bigint, float8, float8, float8) IS
'The fewest failures among n rows, at least floor, of which those beyond the given ones have a tail probability of at most tail among the rows beyond them; n + 1 if there are none. NULL arguments give NULL.';

CREATE FUNCTION raxx_detect.month_in_days() RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'SELECT 30.4375::float8';
COMMENT ON FUNCTION raxx_detect.month_in_days() IS 'A month of a false-alarm budget: a twelfth of 365.25 days.';

CREATE FUNCTION raxx_detect.history_evidence(rule raxx_detect.rules, history raxx_detect.failure_history, tests float8) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN history.usable THEN
        jsonb_build_object('of', 'all entities', 'days', history.days, 'n', history.rows, 'failures', history.failures, 'share', history.share,
            'dispersion', history.dispersion, 'left_out', history.left_out, 'tests_a_month', tests, 'tail', rule.false_alarms_per_month / tests)
    ELSE jsonb_build_object('ready', false, 'days', history.days, 'needed', extract(day FROM (rule.params ->> 'baseline_ready')::interval)) END
$$;
COMMENT ON FUNCTION raxx_detect.history_evidence(raxx_detect.rules, raxx_detect.failure_history, float8) IS
'What a finding says of the baseline that it was judged by; tests: how many tests a month share the rule''s allowance for false alarms.';

CREATE FUNCTION raxx_detect.usual_share(history raxx_detect.failure_history, p_value float8) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s %% in the %s days before, which makes it a chance of %s', round((100 * history.share)::numeric, 3), history.days,
                  btrim(to_char(p_value, '9.9EEEE')))
$$;
COMMENT ON FUNCTION raxx_detect.usual_share(raxx_detect.failure_history, float8) IS 'The share of failures in a baseline, and a tail probability, as a summary says them.';

CREATE FUNCTION raxx_detect.failures_called(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s with %s %s', k.rows_called, rule.params ->> 'value', rule.params ->> 'failure')
    FROM raxx_detect.source_kinds k WHERE k.source = binding.source
$$;
COMMENT ON FUNCTION raxx_detect.failures_called(raxx_detect.rules, raxx_detect.source_bindings) IS 'The unit of a rule of method ratio: what it counts as failures.';

CREATE FUNCTION raxx_detect.read_outcomes(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz,
    OUT rows_read bigint, OUT null_rows bigint)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE t.%2$I IS NULL) FROM %3$s t WHERE t.%1$I > $1 AND t.%1$I <= $2',
        binding.columns ->> 'event_time', raxx_detect.role_column(binding, rule.params ->> 'value'), binding.relation)
    INTO rows_read, null_rows USING exact_from, as_of;
END $$;
COMMENT ON FUNCTION raxx_detect.read_outcomes(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'How many rows of a source lie in (exact_from, as_of], and how many of them have no outcome.';

-- A sliding window: each failure is a test.

CREATE FUNCTION raxx_detect.failures_expected(history raxx_detect.failure_history) RETURNS float8
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(1, history.share * (history.rows + history.left_out) / nullif(history.days, 0) * raxx_detect.month_in_days())
$$;
COMMENT ON FUNCTION raxx_detect.failures_expected(raxx_detect.failure_history) IS
'How many failures a month has at the share and the volume of a baseline, at least 1: so many tests are made.';

CREATE TYPE raxx_detect.improbable_failures AS (
    onset timestamptz,
    failures bigint,
    rows bigint,
    p_value float8,
    least_p_value float8,
    history raxx_detect.failure_history
);
COMMENT ON TYPE raxx_detect.improbable_failures IS 'What raxx_detect.judge_failures returns: from when on they are improbable, the failures and rows of the window with the most of those that are, its tail probability and the least of any, and the baseline that judged it.';

CREATE FUNCTION raxx_detect.judge_failures(rule raxx_detect.rules, binding raxx_detect.source_bindings, episode tstzrange,
    exact_from timestamptz, as_of timestamptz, resumes timestamptz) RETURNS raxx_detect.improbable_failures
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    result raxx_detect.improbable_failures;
BEGIN
    EXECUTE format(
        'WITH instants AS (
             SELECT t.%1$I AS at, count(*) AS n, count(*) FILTER (WHERE t.%3$I::text COLLATE "C" = $3) AS k
             FROM %2$s t
             WHERE t.%1$I > raxx_detect.before(lower($4), $5) AND t.%1$I < upper($4) AND t.%1$I <= $7 AND t.%3$I IS NOT NULL GROUP BY t.%1$I
         ), windows AS (  -- in whole microseconds, since no arithmetic on forged times may fail
             SELECT i.at, i.k > 0 AS failed, (sum(i.n) OVER w)::bigint AS n, (sum(i.k) OVER w)::bigint AS k
             FROM (SELECT at, n, k, (extract(epoch FROM at) * 1000000)::bigint AS microsecond FROM instants) i
             WINDOW w AS (ORDER BY i.microsecond RANGE BETWEEN (extract(epoch FROM $5) * 1000000)::bigint - 1 PRECEDING AND CURRENT ROW)
         ), tests AS MATERIALIZED (
             SELECT w.at, w.n, w.k, raxx_detect.judging_day($1, $2, w.at) AS day FROM windows w
             WHERE w.failed AND (w.at > $6 OR w.at = $6 AND $8 = $6)
         ), days AS MATERIALIZED (
             SELECT d.day, raxx_detect.outcome_baseline($1, ($2).source, d.day) AS history FROM (SELECT DISTINCT t.day FROM tests t) d
         ), judged AS (
             SELECT t.*, d.history, CASE WHEN (d.history).usable THEN raxx_detect.failure_tail(t.k - 1, t.n - 1, (d.history).share, (d.history).dispersion) END AS p_value
             FROM tests t JOIN days d ON d.day = t.day
         ), improbable AS MATERIALIZED (
             SELECT j.* FROM judged j
             WHERE CASE WHEN (j.history).usable THEN j.k >= $9 AND j.p_value <= ($1).false_alarms_per_month / raxx_detect.failures_expected(j.history)
                        ELSE j.k >= $10 END
         )
         SELECT CASE WHEN $8 < $6 THEN $6 ELSE (SELECT min(i.at) FROM improbable i) END, worst.k, worst.n, worst.p_value,
                (SELECT min(i.p_value) FROM improbable i), worst.history
         FROM (SELECT) one_row LEFT JOIN (SELECT * FROM improbable i ORDER BY i.k DESC, i.n DESC, i.at LIMIT 1) worst ON true',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.role_column(binding, rule.params ->> 'value'))
    INTO result
    USING rule, binding, rule.params ->> 'failure', episode, (rule.params ->> 'window')::interval, exact_from, as_of, resumes,
        (rule.params ->> 'baseline_floor')::bigint, (rule.params ->> 'threshold')::bigint;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_failures(raxx_detect.rules, raxx_detect.source_bindings, tstzrange, timestamptz, timestamptz, timestamptz) IS
'From when in an episode its failures are no chance any more: the first failure after exact_from at which, given that one, P(X >= k - 1 | n - 1) for the k of the n rows in the window is within the allowance and k at least baseline_floor; or where no baseline is usable, k at least threshold. NULL if there is none. resumes: when a finding that is in force at exact_from began; NULL if none is.';

CREATE FUNCTION raxx_detect.evaluate_sliding_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    window_length interval := (rule.params ->> 'window')::interval;
    floor bigint := (rule.params ->> 'baseline_floor')::bigint;
    threshold bigint := (rule.params ->> 'threshold')::bigint;
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unit text := raxx_detect.failures_called(rule, binding);
    judged raxx_detect.improbable_failures;
    tests float8;
    number int := 0;
    e record;
BEGIN
    -- What has no outcome never reaches the evaluation, which counts the failures that it reads.
    PERFORM raxx_detect.add_reading(r.null_rows, r.null_rows) FROM raxx_detect.read_outcomes(rule, binding, exact_from, as_of) r;
    FOR e IN SELECT x.*, (SELECT min(lower(f.episode)) FROM raxx_detect.detection_findings f
                          WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.entity = binding.source
                            AND f.episode @> exact_from AND lower(x.episode) <= exact_from AND NOT f.evidence ? 'refuted_at') AS resumes
             FROM raxx_detect.episodes('velocity', binding.relation, binding.columns ->> 'event_time', value_column, NULL, value_column,
                ARRAY[regexp_replace(rule.params ->> 'failure', '([\\%_])', '\\\1', 'g')], NULL, window_length, least(floor, threshold),
                raxx_detect.before(exact_from, window_length), as_of) x LOOP
        CONTINUE WHEN upper(e.episode) <= exact_from;  -- settled by an earlier run
        judged := raxx_detect.judge_failures(rule, binding, e.episode, exact_from, as_of, e.resumes);
        CONTINUE WHEN judged.onset IS NULL;
        number := number + 1;
        tests := raxx_detect.failures_expected(judged.history);
        RETURN NEXT (binding.source, tstzrange(judged.onset, upper(e.episode)), rule.severity, coalesce(judged.failures, 0)::float8,
            CASE WHEN (judged.history).usable THEN raxx_detect.fewest_failures(judged.rows, 1, floor, (judged.history).share,
                (judged.history).dispersion, rule.false_alarms_per_month / tests) ELSE threshold END::float8,
            unit, judged.least_p_value, CASE WHEN (judged.history).usable THEN 'baseline' ELSE 'threshold' END,
            coalesce(judged.rows, 0), '{ratio}'::text[],
            format('%s %s, of %s within %s (%s)', judged.failures, unit, judged.rows, raxx_detect.in_words(window_length),
                CASE WHEN (judged.history).usable THEN raxx_detect.usual_share(judged.history, judged.p_value)
                     ELSE format('threshold %s', threshold) END),
            jsonb_build_object('window', window_length, 'baseline', raxx_detect.history_evidence(rule, judged.history, tests),
                'rows', raxx_detect.row_keys(number, binding, raxx_detect.window_up_to(judged.onset, window_length),
                    format('t.%I::text COLLATE "C" = $3', value_column), rule.params ->> 'failure')),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_sliding_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio in a sliding window: an episode begins with the first failure that raxx_detect.judge_failures finds improbable, and goes on while the window holds at least the smaller of baseline_floor and threshold failures. A baseline that is usable takes the place of the threshold.';

CREATE FUNCTION raxx_detect.evaluate_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF rule.params ? 'long_window' THEN
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_ratio_by_clock(rule, binding, exact_from, as_of);
    ELSE
        RETURN QUERY SELECT * FROM raxx_detect.evaluate_sliding_ratio(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio: failures in a sliding window, or, for rules with a long_window, by the clock.';
-- Ratios by the clock: the hours and the days of a rule's time zone, each judged once it is over.

CREATE FUNCTION raxx_detect.points_of_ratio(rule raxx_detect.rules, binding raxx_detect.source_bindings, since timestamptz, as_of timestamptz,
    OUT condition text, OUT judged_at timestamptz, OUT until timestamptz, OUT starts timestamptz, OUT failures bigint, OUT rows bigint,
    OUT p_value float8, OUT history raxx_detect.failure_history)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    zone text := raxx_detect.rule_time_zone(rule);
    window_length interval := (rule.params ->> 'window')::interval;
    day date := timezone(zone, since)::date;
    midnight timestamptz := raxx_detect.day_starts(rule, day);
    tests float8 := raxx_detect.points_a_month(rule);
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH hours AS MATERIALIZED (
             SELECT timezone($3, h.midnight)::date AS day, h.starts, least(h.starts + $4, raxx_detect.day_starts($1, timezone($3, h.midnight)::date + 1)) AS ends,
                    h.n, h.k
             FROM (SELECT m.midnight, date_bin($4, t.%1$I, m.midnight) AS starts, count(*) AS n,
                          count(*) FILTER (WHERE t.%3$I::text COLLATE "C" = $5) AS k
                   FROM %2$s t CROSS JOIN LATERAL (SELECT timezone($3, date_trunc(''day'', timezone($3, t.%1$I))) AS midnight) m
                   WHERE t.%1$I >= $6 AND t.%1$I <= $7 AND t.%3$I IS NOT NULL GROUP BY 1, 2) h
         ), dated AS MATERIALIZED (
             SELECT h.*, raxx_detect.judging_day($1, $2, h.ends - interval ''1 microsecond'') AS judging_day FROM hours h WHERE h.ends <= $7
         ), midnights AS (
             SELECT d.day, raxx_detect.day_starts($1, d.day) AS starts, raxx_detect.day_starts($1, d.day + 1) AS ends
             FROM (SELECT DISTINCT day FROM hours) d
         ), histories AS MATERIALIZED (
             SELECT d.judging_day, raxx_detect.outcome_baseline($1, ($2).source, d.judging_day) AS history
             FROM (SELECT judging_day FROM dated UNION SELECT raxx_detect.judging_day($1, $2, m.ends - interval ''1 microsecond'') FROM midnights m WHERE m.ends <= $7) d
         ), judged AS MATERIALIZED (
             SELECT d.*, h.history, raxx_detect.failure_tail(d.k, d.n, (h.history).share, (h.history).dispersion) AS p_value,
                    coalesce((h.history).usable AND d.n >= $8
                        AND raxx_detect.failure_tail(d.k, d.n, (h.history).share, (h.history).dispersion) <= ($1).false_alarms_per_month / $10, false) AS fires
             FROM dated d JOIN histories h ON h.judging_day = d.judging_day
         ), days AS (
             SELECT m.*, s.n, s.k, h.history, raxx_detect.failure_tail(s.k, s.n, (h.history).share, (h.history).dispersion) AS p_value
             FROM midnights m JOIN histories h ON h.judging_day = raxx_detect.judging_day($1, $2, m.ends - interval ''1 microsecond'')
             -- without the hours that were reported by themselves
             CROSS JOIN LATERAL (SELECT sum(j.n)::bigint AS n, sum(j.k)::bigint AS k FROM judged j WHERE j.day = m.day AND NOT j.fires) s
             WHERE m.ends <= $7 AND m.starts >= $6 AND (h.history).usable AND s.n >= $9
         )
         SELECT ''hour'', j.ends, least(j.ends + $4, raxx_detect.day_starts($1, timezone($3, j.ends)::date + 1)), j.starts, j.k, j.n, j.p_value, j.history
         FROM judged j WHERE j.fires AND j.ends > $11
         UNION ALL
         SELECT ''day'', d.ends, raxx_detect.day_starts($1, d.day + 2), d.starts, d.k, d.n, d.p_value, d.history
         FROM days d WHERE d.p_value <= ($1).false_alarms_per_month / $10 AND d.ends > $11',
        binding.columns ->> 'event_time', binding.relation, raxx_detect.role_column(binding, rule.params ->> 'value'))
    USING rule, binding, zone, window_length, rule.params ->> 'failure',
        -- The whole day if it is over by as_of, else its hour alone.
        CASE WHEN raxx_detect.day_starts(rule, day + 1) <= as_of THEN midnight ELSE date_bin(window_length, since, midnight) END,
        as_of, (rule.params ->> 'floor')::bigint, (rule.params ->> 'long_floor')::bigint, tests, since;
END $$;
COMMENT ON FUNCTION raxx_detect.points_of_ratio(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The hours (of the length window, counted from midnight) and days that end in (since, as_of] and whose failures the baseline of their last instant does not explain, on at least floor and long_floor rows; a day is judged without the hours that fired by themselves. Each verdict is in force from judged_at until the next of its kind is due.';

CREATE FUNCTION raxx_detect.points_a_month(rule raxx_detect.rules) RETURNS float8
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.month_in_days() * (86400 / extract(epoch FROM (rule.params ->> 'window')::interval)::float8 + 1)
$$;
COMMENT ON FUNCTION raxx_detect.points_a_month(raxx_detect.rules) IS 'How many hours (of the length window) and days a month has: so many tests are made.';

CREATE FUNCTION raxx_detect.evaluate_ratio_by_clock(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tests float8 := raxx_detect.points_a_month(rule);
    value_column name := raxx_detect.role_column(binding, rule.params ->> 'value');
    unit text := raxx_detect.failures_called(rule, binding);
    since timestamptz;
    number int := 0;
    e record;
BEGIN
    PERFORM raxx_detect.add_reading(r.rows_read, r.null_rows) FROM raxx_detect.read_outcomes(rule, binding, exact_from, as_of) r;
    -- What is in force at exact_from was judged up to a day before. Nothing is judged that is more than 400 days old, since
    -- no baseline is kept for it.
    since := greatest(raxx_detect.before(as_of, interval '400 days'), CASE WHEN EXISTS (
            SELECT FROM raxx_detect.detection_findings f
            WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.entity = binding.source
              AND tstzrange(lower(f.episode), upper(f.episode), '[]') @> exact_from AND NOT f.evidence ? 'refuted_at')
        THEN raxx_detect.before(exact_from, interval '2 days') ELSE exact_from END);
    IF NOT isfinite(since) OR since >= as_of
       OR NOT raxx_detect.baseline_is_ready(rule, binding.source, raxx_detect.judging_day(rule, binding, as_of)) THEN
        RETURN;
    END IF;
    FOR e IN WITH points AS MATERIALIZED (
                 SELECT * FROM raxx_detect.points_of_ratio(rule, binding, since, as_of)
             ), joined AS (
                 SELECT unnest(range_agg(tstzrange(p.judged_at, p.until))) AS episode FROM points p
             )
             SELECT j.episode, worst.*, (SELECT array_agg(DISTINCT p.condition ORDER BY p.condition) FROM points p WHERE p.judged_at <@ j.episode) AS conditions,
                    (SELECT min(p.p_value) FROM points p WHERE p.judged_at <@ j.episode) AS least_p_value,
                    begins.starts AS first_starts, begins.judged_at AS first_judged_at
             FROM joined j
             CROSS JOIN LATERAL (SELECT * FROM points p WHERE p.judged_at <@ j.episode
                                 ORDER BY p.failures DESC, p.rows DESC, p.judged_at LIMIT 1) worst
             CROSS JOIN LATERAL (SELECT * FROM points p WHERE p.judged_at <@ j.episode
                                 ORDER BY p.judged_at, p.starts DESC LIMIT 1) begins
             WHERE upper(j.episode) > exact_from ORDER BY j.episode LOOP
        number := number + 1;
        RETURN NEXT (binding.source, e.episode, rule.severity, e.failures::float8,
            raxx_detect.fewest_failures(e.rows, 0, 1, (e.history).share, (e.history).dispersion, rule.false_alarms_per_month / tests)::float8,
            unit, e.least_p_value, 'baseline', e.rows, e.conditions,
            format('%s %s, of %s in the %s from %s on (%s)', e.failures, unit, e.rows, e.condition,
                to_char(timezone('UTC', e.starts), 'YYYY-MM-DD HH24:MI "UTC"'), raxx_detect.usual_share(e.history, e.p_value)),
            jsonb_build_object('from', e.first_starts, 'to', e.first_judged_at, 'baseline', raxx_detect.history_evidence(rule, e.history, tests),
                'rows', raxx_detect.row_keys(number, binding, tstzrange(e.first_starts, e.first_judged_at),
                    format('t.%I::text COLLATE "C" = $3', value_column), rule.params ->> 'failure')),
            NULL, NULL, NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_ratio_by_clock(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method ratio by the clock: verdicts of hours and days that overlap or touch are one finding, with both conditions. Nothing is judged before the baseline is usable.';
-- The mix: how a day's rows are shared out among the entities (countries), against the days before.
--
-- At each midnight by the clock of the rule's time zone the day that ends is judged: its counts against those of the
-- baseline days together, as two samples of one distribution (chi-squared test of homogeneity). Days differ by more than
-- chance anyway; by how much, the baseline days say themselves, each tested against the others in the same way.

CREATE FUNCTION raxx_detect.mix_cells(entities text[], day_rows float8[], other_rows float8[], least_expected float8,
    OUT entity text, OUT observed float8, OUT expected float8, OUT before float8, OUT chi_squared float8)
RETURNS SETOF record LANGUAGE sql IMMUTABLE ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
    WITH counted AS (
        SELECT e.entity, e.o, e.b, sum(e.o) OVER () AS n, sum(e.b) OVER () AS m, (e.o + e.b) * sum(e.o) OVER () / (sum(e.o) OVER () + sum(e.b) OVER ()) AS expected
        FROM unnest(entities, day_rows, other_rows) e(entity, o, b) WHERE e.o + e.b > 0
    ), pooled AS (  -- the rarest together; if they are too few even so, with the next
        SELECT c.*, c.expected < least_expected OR (r.rarer > 0 AND r.rarer < least_expected) AS is_rare
        FROM (SELECT k.*, sum(k.expected) OVER w - k.expected AS rarer FROM counted k
              WINDOW w AS (ORDER BY k.expected, k.entity COLLATE "C" ROWS UNBOUNDED PRECEDING)) r
        CROSS JOIN LATERAL (SELECT r.entity, r.o, r.b, r.n, r.m, r.expected) c
    )
    SELECT CASE WHEN p.is_rare THEN NULL ELSE p.entity END, sum(p.o), sum(p.expected), sum(p.b),
           (sum(p.o) - sum(p.expected)) ^ 2 * (1 / sum(p.expected) + max(p.n) / max(p.m) / sum(p.expected))
    FROM pooled p WHERE p.n > 0 AND p.m > 0 GROUP BY 1
$$;
COMMENT ON FUNCTION raxx_detect.mix_cells(text[], float8[], float8[], float8) IS
'Rows of a day and of other days, by entity, as the columns of a table with two rows: how many of the day there are (observed), are to be expected if the shares are those of all days together, and were on the other days (before), and what the column adds to chi-squared (Pearson). Entities of which fewer than least_expected are to be expected are one column (entity NULL), with the next rarest if they are fewer than that even together. No row where either has no rows.';

CREATE FUNCTION raxx_detect.mix_left_out(rule raxx_detect.rules, source text, day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM raxx_detect.detection_findings f
                   WHERE f.rule_id = rule.rule_id AND f.source = mix_left_out.source AND f.evidence -> 'conditions' ? 'mix'
                     AND (f.triage <> 'closed' OR f.disposition = 'true_positive')
                     AND f.episode @> raxx_detect.day_starts(rule, mix_left_out.day + 1))
$$;
COMMENT ON FUNCTION raxx_detect.mix_left_out(raxx_detect.rules, text, date) IS
'Whether the mix of a day is a finding that nobody has closed, or that was closed as true_positive: then it is no part of what is usual.';

CREATE FUNCTION raxx_detect.mix_test(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, baseline_day date,
    OUT observed_rows bigint, OUT history_rows bigint, OUT days_used int, OUT days_left_out int, OUT df int, OUT chi_squared float8,
    OUT phi float8, OUT p_value float8, OUT cells jsonb)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, baseline_day);
    least_expected float8 := (rule.params ->> 'mix_expected')::float8;
    entities text[];
    day_rows float8[];
BEGIN
    EXECUTE format(
        'SELECT coalesce(sum(c.rows), 0), array_agg(c.entity), array_agg(c.rows::float8)
         FROM (SELECT raxx_detect.bounded_entity(e.entity) AS entity, e.rows
               FROM (SELECT %3$s AS entity, count(*) AS rows FROM %1$s t WHERE t.%2$I >= $1 AND t.%2$I < $2 AND t.%4$I IS NOT NULL GROUP BY 1) e) c',
        binding.relation, binding.columns ->> 'event_time', raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity'),
        raxx_detect.role_column(binding, rule.params ->> 'entity'))
    INTO observed_rows, entities, day_rows USING raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1);
    SELECT count(*) INTO days_left_out FROM generate_series(0, baseline_day - first_day - 1) i
    WHERE raxx_detect.mix_left_out(rule, binding.source, first_day + i);
    IF observed_rows < (rule.params ->> 'mix_floor')::bigint THEN
        RETURN;
    END IF;

    WITH history AS MATERIALIZED (
        SELECT b.day, b.entity, raxx_detect.array_sum(b.rows) AS rows FROM raxx_detect.baselines b
        WHERE b.rule_id = rule.rule_id AND b.source = binding.source AND b.entity IS NOT NULL AND b.day >= first_day AND b.day < baseline_day
          AND raxx_detect.array_sum(b.rows) > 0
    ), learnt AS MATERIALIZED (
        SELECT h.* FROM history h JOIN (SELECT DISTINCT k.day FROM history k) d ON d.day = h.day
        WHERE NOT raxx_detect.mix_left_out(rule, binding.source, d.day)
    ), usual AS MATERIALIZED (
        SELECT l.entity, sum(l.rows) AS rows FROM learnt l GROUP BY l.entity
    ), scatter AS (  -- of each day against the others, per degree of freedom
        SELECT d.day, sum(c.chi_squared) / (count(*) - 1) AS per_df
        FROM (SELECT DISTINCT l.day FROM learnt l) d
        CROSS JOIN LATERAL (SELECT array_agg(u.entity) AS entities, array_agg(coalesce(l.rows, 0)) AS rows, array_agg(u.rows - coalesce(l.rows, 0)) AS others
                            FROM usual u LEFT JOIN learnt l ON l.entity = u.entity AND l.day = d.day) a
        CROSS JOIN LATERAL raxx_detect.mix_cells(a.entities, a.rows, a.others, least_expected) c
        GROUP BY d.day HAVING count(*) > 1
    ), tested AS MATERIALIZED (
        SELECT c.* FROM (SELECT array_agg(coalesce(u.entity, t.entity)) AS entities, array_agg(coalesce(t.rows, 0)) AS rows, array_agg(coalesce(u.rows, 0)) AS before
                         FROM usual u FULL JOIN unnest(entities, day_rows) t(entity, rows) ON t.entity = u.entity) a
        CROSS JOIN LATERAL raxx_detect.mix_cells(a.entities, a.rows, a.before, least_expected) c
    )
    SELECT s.days, coalesce(s.phi, 1), u.rows, t.df, t.chi_squared, t.cells INTO days_used, phi, history_rows, df, chi_squared, cells
    FROM (SELECT count(*) AS days, greatest(1, avg(x.per_df)) AS phi FROM scatter x) s
    CROSS JOIN (SELECT coalesce(sum(x.rows), 0) AS rows FROM usual x) u
    CROSS JOIN (SELECT count(*) - 1 AS df, sum(x.chi_squared) AS chi_squared,
                       jsonb_agg(jsonb_build_object('entity', x.entity, 'observed', x.observed, 'expected', x.expected, 'before', x.before, 'chi_squared', x.chi_squared)
                                 ORDER BY x.chi_squared DESC, x.entity COLLATE "C") AS cells FROM tested x) t;
    IF df >= 1 AND days_used >= (rule.params ->> 'mix_days')::int AND history_rows >= (rule.params ->> 'mix_floor')::bigint THEN
        p_value := raxx_detect.chi_squared_upper_tail(chi_squared / phi, df);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.mix_test(raxx_detect.rules, raxx_detect.source_bindings, date, date) IS
'The mix of a day against the baseline of baseline_day: chi_squared of two samples, with df degrees of freedom, and the p_value of chi_squared / phi. phi, at least 1, is the over-dispersion (quasi-likelihood, McCullagh and Nelder 1989): chi-squared per degree of freedom of each of the days_used against the others, on average. p_value is NULL, which is no verdict, below mix_floor rows of the day or of the baseline, with fewer than mix_days days to estimate phi from, or if there is nothing to compare. cells: as raxx_detect.mix_cells, those that add most first.';

CREATE FUNCTION raxx_detect.mix_verdict(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, baseline_day date, number int)
RETURNS raxx_detect.candidate LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ends timestamptz := raxx_detect.day_starts(rule, day + 1);
    first_day date := raxx_detect.baseline_first_day(rule, binding.source, baseline_day);
    tests_a_month CONSTANT float8 := 30.4375;
    tail float8 := raxx_detect.alarm_budget(rule) / tests_a_month;
    test record := raxx_detect.mix_test(rule, binding, day, baseline_day);
    rows_called text := (SELECT k.rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
    risen text;
    moved jsonb;
    in_words text;
BEGIN
    IF test.p_value IS NULL OR test.p_value > tail THEN
        RETURN NULL;
    END IF;
    SELECT c ->> 'entity' INTO risen FROM jsonb_array_elements(test.cells) c ORDER BY (c ->> 'observed')::float8 - (c ->> 'expected')::float8 DESC LIMIT 1;
    SELECT jsonb_agg(c), string_agg(format('%s %s (%s expected)', coalesce(raxx_detect.printable(c ->> 'entity'), 'all others'), c ->> 'observed',
               raxx_detect.in_figures((c ->> 'expected')::float8)), ', ') FILTER (WHERE position <= 3)
    INTO moved, in_words FROM jsonb_array_elements(test.cells) WITH ORDINALITY x(c, position) WHERE position <= 10;
    RETURN ('(mix)', tstzrange(ends, raxx_detect.day_starts(rule, day + 2)), rule.severity, test.chi_squared / test.phi, NULL::float8,
        'chi-squared of the mix, over its usual scatter', test.p_value, 'baseline', test.observed_rows, '{mix}',
        format('the %s %s of %s are shared out otherwise among the %s values of %s than those of the days before (p = %s): %s', test.observed_rows, rows_called, day,
            test.df + 1, rule.params ->> 'entity', raxx_detect.in_figures(test.p_value), in_words),
        jsonb_build_object('verdict_at', ends, 'day', day, 'moved', moved, 'chi_squared', test.chi_squared, 'df', test.df, 'phi', test.phi,
            'baseline', jsonb_build_object('of', 'all entities', 'days', baseline_day - first_day, 'days_left_out', test.days_left_out, 'n', test.history_rows,
                'left_out', raxx_detect.baseline_left_out(rule, binding.source, first_day, baseline_day), 'tests_a_month', tests_a_month, 'tail', tail),
            'rows', raxx_detect.row_keys(number, binding, tstzrange(raxx_detect.day_starts(rule, day), ends),
                format('t.%I IS NOT NULL AND coalesce(raxx_detect.bounded_entity(%s) = $3, $3 IS NULL)', raxx_detect.role_column(binding, rule.params ->> 'entity'),
                    raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity')), risen)),
        NULL, NULL, NULL)::raxx_detect.candidate;
END $$;
COMMENT ON FUNCTION raxx_detect.mix_verdict(raxx_detect.rules, raxx_detect.source_bindings, date, date, int) IS
'The candidate of a day whose mix is too unusual for half of the rule''s allowance for false alarms, at a test a day; else NULL. Its entity is (mix), which is no country of two letters. Its evidence names the ten entities that add most to chi-squared, and rows of the one that rose most.';

CREATE FUNCTION raxx_detect.mix_candidates(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 1 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    verdicts raxx_detect.candidate[] := '{}';
    verdict raxx_detect.candidate;
    next_midnight timestamptz;
    judged record;
BEGIN
    -- A midnight is judged by the baseline of its judging day, which never contains the day that is judged.
    FOR judged IN
        SELECT d.day, p.day AS baseline_day, row_number() OVER (ORDER BY d.day)::int AS number
        FROM raxx_detect.baseline_pieces(rule, binding, exact_from, as_of) p
        CROSS JOIN generate_series(0, extract(epoch FROM binding.lateness)::int / 86400 + 1) i
        CROSS JOIN LATERAL (SELECT p.day + i AS day) d
        CROSS JOIN LATERAL (SELECT raxx_detect.day_starts(rule, d.day + 1) AS midnight) m
        WHERE p.ready AND m.midnight > exact_from AND m.midnight <= as_of
          AND p.day = least(raxx_detect.judging_day(rule, binding, m.midnight), d.day)
        ORDER BY d.day
    LOOP
        verdict := raxx_detect.mix_verdict(rule, binding, judged.day, judged.baseline_day, judged.number);
        IF verdict.entity IS NOT NULL THEN
            verdicts := verdicts || verdict;
        END IF;
    END LOOP;
    IF exact_from >= timestamptz '4000-01-01 00:00:00+00 BC' THEN
        SELECT min(m) INTO next_midnight FROM generate_series(0, 2) i
        CROSS JOIN LATERAL (SELECT raxx_detect.day_starts(rule, timezone(raxx_detect.rule_time_zone(rule), exact_from)::date + i) AS m) d
        WHERE m > exact_from;
    END IF;
    RETURN QUERY SELECT * FROM raxx_detect.join_verdicts(rule, binding.source, verdicts, exact_from, next_midnight, 'mix');
END $$;
COMMENT ON FUNCTION raxx_detect.mix_candidates(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'The mix of each day that ends in (exact_from, as_of], for a rule with mix_window; successive days that fire are one candidate. Reads what the learner of counts has kept, and the day itself. A rule whose baseline is not ready has no verdict on a mix.';

CREATE FUNCTION raxx_detect.evaluate_velocity_and_mix(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM raxx_detect.evaluate_velocity(rule, binding, exact_from, as_of);
    IF rule.params ? 'mix_window' THEN
        RETURN QUERY SELECT * FROM raxx_detect.mix_candidates(rule, binding, exact_from, as_of);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_velocity_and_mix(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method velocity: many rows of one entity in a window; and for a rule with mix_window, a day whose rows are shared out otherwise among the entities than before.';
-- Unmatched: changes without the record that should go with them, which may come before the change, after it, or late.

CREATE FUNCTION raxx_detect.joined(VARIADIC parts text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(coalesce(replace(replace(p.part, E'\\', E'\\\\'), '/', E'\\/'), E'\\N'), '/' ORDER BY p.position)
    FROM unnest(parts) WITH ORDINALITY p(part, position)
$$;
COMMENT ON FUNCTION raxx_detect.joined(text[]) IS
'Parts joined by / to one entity, which different parts never share: a / or \ within a part gets a \ before it, and a part that is NULL is \N.';

CREATE FUNCTION raxx_detect.matched_parts(rule raxx_detect.rules, binding raxx_detect.source_bindings, alias text, OUT entity text, OUT complete text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('raxx_detect.joined(%s) COLLATE "C"', string_agg(format('raxx_detect.text_of(%I.%I)', alias, c.name), ', ' ORDER BY c.position)),
           string_agg(format('%I.%I IS NOT NULL', alias, c.name), ' AND ' ORDER BY c.position)
    FROM (SELECT m.position, raxx_detect.role_column(binding, m.role) AS name
          FROM jsonb_array_elements_text(rule.params -> 'match') WITH ORDINALITY m(role, position)) c
$$;
COMMENT ON FUNCTION raxx_detect.matched_parts(raxx_detect.rules, raxx_detect.source_bindings, text) IS
'Two expressions over a row of a source: what it is matched by, the roles of the parameter match joined to an entity; and whether none of them is NULL.';

CREATE FUNCTION raxx_detect.records_of_changes(rule raxx_detect.rules) RETURNS raxx_detect.source_bindings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT raxx_detect.other_binding(rule, rule.sources[2])
$$;
COMMENT ON FUNCTION raxx_detect.records_of_changes(raxx_detect.rules) IS 'The second source of a rule of method unmatched, which holds the records; the first holds what is judged.';

CREATE FUNCTION raxx_detect.evaluate_unmatched(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz, as_of timestamptz)
RETURNS SETOF raxx_detect.candidate ROWS 10 LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tolerance interval := (rule.params ->> 'tolerance')::interval;
    records raxx_detect.source_bindings := raxx_detect.records_of_changes(rule);
    change record := raxx_detect.matched_parts(rule, binding, 'c');
    found record := raxx_detect.matched_parts(rule, records, 'r');
    event_time name := binding.columns ->> 'event_time';
    rows_read bigint;
    number int := 0;
    e record;
BEGIN
    EXECUTE format('SELECT count(*) FROM %1$s c WHERE c.%2$I > $1 AND c.%2$I <= $2', binding.relation, event_time)
    INTO rows_read USING exact_from, raxx_detect.before(as_of, tolerance);
    PERFORM raxx_detect.add_reading(rows_read, 0);
    -- A change with nothing to be matched by cannot have a record.
    FOR e IN EXECUTE format(
            'SELECT u.entity, u.at, count(*) AS changes, bool_and(u.complete) AS complete,
                    (array_agg(DISTINCT u.actor ORDER BY u.actor))[:20] AS actors
             FROM (SELECT %1$s AS entity, c.%2$I AS at, raxx_detect.bounded_entity(raxx_detect.text_of(c.%3$I)) AS actor, %4$s AS complete
                   FROM %5$s c WHERE c.%2$I > $1 AND c.%2$I <= $2) u
             WHERE NOT EXISTS (SELECT FROM %6$s r WHERE r.%7$I >= raxx_detect.before(u.at, $3) AND r.%7$I <= u.at + $3
                               AND %8$s AND %9$s = u.entity)
             GROUP BY u.entity, u.at ORDER BY u.at, u.entity',
            change.entity, event_time, raxx_detect.role_column(binding, 'actor'), change.complete, binding.relation,
            records.relation, records.columns ->> 'event_time', found.complete, found.entity)
        USING exact_from, raxx_detect.before(as_of, tolerance), tolerance LOOP
        number := number + 1;
        RETURN NEXT (e.entity, tstzrange(e.at, e.at, '[]'), rule.severity, e.changes::float8, 1::float8, 'changes without a record',
            NULL::float8, 'threshold', e.changes, '{unmatched}'::text[],
            format('%s: changed by %s at %s, and no change record lies within %s of it%s', raxx_detect.printable(e.entity),
                coalesce(raxx_detect.printable(nullif(array_to_string(e.actors, ', '), '')), 'nobody named'),
                to_char(timezone('UTC', e.at), 'YYYY-MM-DD HH24:MI:SS "UTC"'), raxx_detect.in_words(tolerance),
                CASE WHEN e.complete THEN '' ELSE '; it does not say what was changed, so none can be matched' END),
            jsonb_build_object('tolerance', tolerance, 'changes', e.changes, 'actors', to_jsonb(array_remove(e.actors, NULL)),
                'rows', raxx_detect.row_keys(number, binding, tstzrange(e.at, e.at + interval '1 microsecond'),
                    (raxx_detect.matched_parts(rule, binding, 't')).entity || ' = $3', e.entity)),
            NULL, 'firing', NULL)::raxx_detect.candidate;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_unmatched(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Method unmatched: each change without a record that agrees in the roles of match within tolerance of it, before or after, edges included; judged once tolerance is over. A change in which one of those roles is NULL has no record. Changes of one entity at one instant are one finding, which fires until a record comes.';

CREATE FUNCTION raxx_detect.recheck_unmatched(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    tolerance interval := (rule.params ->> 'tolerance')::interval;
    records raxx_detect.source_bindings := raxx_detect.records_of_changes(rule);
    found record := raxx_detect.matched_parts(rule, records, 'r');
    result bigint;
BEGIN
    EXECUTE format(
        'WITH open AS MATERIALIZED (
             SELECT f.finding_id, f.entity, lower(f.episode) AS at FROM raxx_detect.detection_findings f
             WHERE f.rule_id = $1 AND f.source = $2 AND f.condition <> ''cleared''
         ), matched AS (
             SELECT o.finding_id, min(r.%2$I) AS at
             FROM open o JOIN %1$s r ON raxx_detect.bounded_entity(%4$s) = o.entity
                                    AND r.%2$I >= raxx_detect.before(o.at, $3) AND r.%2$I <= o.at + $3
             WHERE %3$s AND r.%2$I <= $4
               AND r.%2$I >= (SELECT raxx_detect.before(min(at), $3) FROM open) AND r.%2$I <= (SELECT max(at) + $3 FROM open)
             GROUP BY o.finding_id
         )
         UPDATE raxx_detect.detection_findings f SET condition = ''cleared'', updated_at = now(),
             evidence = f.evidence || jsonb_build_object(''refuted_at'', $4, ''record_at'', m.at),
             summary = f.summary || format(''; a change record of %%s, seen since, explains it'', to_char(timezone(''UTC'', m.at), ''YYYY-MM-DD HH24:MI:SS "UTC"''))
         FROM matched m WHERE f.finding_id = m.finding_id',
        records.relation, records.columns ->> 'event_time', found.complete, found.entity)
    USING rule.rule_id, binding.source, tolerance, as_of;
    GET DIAGNOSTICS result = ROW_COUNT;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.recheck_unmatched(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Clears the findings of method unmatched for whose change a record has come since, however late, and returns how many. The record''s time has to be within tolerance of the change; when it was written does not matter.';
-- Which functions evaluate, learn and recheck which method.

UPDATE raxx_detect.methods m SET evaluator = f.evaluator, learner = f.learner, rechecker = f.rechecker
FROM (VALUES
    ('velocity', 'raxx_detect.evaluate_velocity_and_mix', 'raxx_detect.learn_counts', NULL),
    ('spike', 'raxx_detect.evaluate_velocity', 'raxx_detect.learn_counts', NULL),
    ('distinct', 'raxx_detect.evaluate_distinct_or_restarts', 'raxx_detect.learn_counts', NULL),
    ('distinct + velocity', 'raxx_detect.evaluate_distinct_velocity', 'raxx_detect.learn_counts', NULL),
    ('pattern', 'raxx_detect.evaluate_pattern', NULL, NULL),
    ('drift', 'raxx_detect.evaluate_drift', 'raxx_detect.learn_statements', NULL),
    ('gap', 'raxx_detect.evaluate_gap', 'raxx_detect.learn_gaps', NULL),
    ('ratio', 'raxx_detect.evaluate_ratio', 'raxx_detect.learn_outcomes', NULL),
    ('unmatched', 'raxx_detect.evaluate_unmatched', NULL, 'raxx_detect.recheck_unmatched'),
    ('quantile', 'raxx_detect.evaluate_quantile', 'raxx_detect.learn_points', NULL),
    ('benford', 'raxx_detect.evaluate_benford', NULL, NULL)
) f(method, evaluator, learner, rechecker) WHERE f.method = m.method;
-- Prerequisites and states: what each rule still needs, and the state that follows from it. Nobody has to remember to
-- switch a rule on: its state is worked out anew at each run, and every change is recorded with its cause.
--
--     dormant, subsumed   what it needs is not there: a source or a role is not bound, or a prerequisite is unmet
--     placeholder         judged by hard thresholds, or not yet, while the baseline fills
--     live                judged by the baseline, or by thresholds where the rule has or needs no baseline
--     disabled, retired   by people; nothing here changes them
--
-- Whether a source is fresh or long enough is asked before a rule is judged for the first time. After that a source
-- that falls silent or breaks does not put its rule to sleep: the runs say no_data or error until it is mended.

-- ---- sources --------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.source_span(source text, as_of timestamptz DEFAULT now(), OUT bound boolean,
    OUT first_event timestamptz, OUT last_event timestamptz, OUT problem text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings;
    event_time name;
BEGIN
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = source;
    bound := FOUND;
    IF NOT bound THEN
        problem := format('source %s is not bound: SELECT raxx_detect.bind_source(%L, ''your_table'')', source, source);
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        problem := format('the relation bound to source %s (OID %s) no longer exists: bind it again', source, binding.relation::oid);
        RETURN;
    END IF;
    BEGIN
        event_time := coalesce(binding.columns ->> 'event_time', binding.columns ->> 'sample_time');
        last_event := raxx_detect.last_event(binding, as_of);
        EXECUTE format('SELECT min(t.%1$I) FROM %2$s t WHERE t.%1$I > ''-infinity''', event_time, binding.relation) INTO first_event;
        IF last_event IS NULL THEN
            problem := format('source %s (%s) has no rows', source, binding.relation);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        problem := format('source %s (%s) cannot be read: %s', source, binding.relation, sqlerrm);
    END;
END $$;
COMMENT ON FUNCTION raxx_detect.source_span(text, timestamptz) IS
'Whether a source is bound, its first event and its last one up to as_of, and what is wrong with it, in a sentence.';

CREATE FUNCTION raxx_detect.named_roles(rule raxx_detect.rules) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN array_remove(ARRAY[rule.params ->> 'entity', rule.params ->> 'value', rule.params ->> 'email'], NULL)
           || CASE WHEN rule.params ? 'match' THEN ARRAY(SELECT jsonb_array_elements_text(rule.params -> 'match')) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION raxx_detect.named_roles(raxx_detect.rules) IS
'The roles that a rule''s parameters entity, value, email and match name: it needs them even where its source does not.';

CREATE FUNCTION raxx_detect.unbound_role(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    roles text[] := raxx_detect.named_roles(rule);
    missing text;
BEGIN
    IF binding.columns ?& roles THEN
        RETURN NULL;
    END IF;
    SELECT CASE WHEN k.role IS NULL
        THEN format('source %s has no role %s, which the parameters of %s name: see raxx_detect.source_contracts and raxx_detect.set_params',
                    binding.source, n.role, rule.rule_id)
        ELSE format('no column plays the role %s of source %s: SELECT raxx_detect.bind_source(%L, %L, %L)', n.role, binding.source,
                    binding.source, binding.relation, binding.columns || jsonb_build_object(n.role, 'your_column')) END INTO missing
    FROM unnest(roles) WITH ORDINALITY n(role, number)
    LEFT JOIN raxx_detect.source_roles k ON k.source = binding.source AND k.role = n.role
    WHERE NOT binding.columns ? n.role
      -- A role of another source of the rule is not looked for in this one.
      AND (k.role IS NOT NULL OR NOT EXISTS (SELECT FROM raxx_detect.source_roles o WHERE o.source = ANY (rule.sources) AND o.role = n.role))
    ORDER BY n.number LIMIT 1;
    RETURN missing;
END $$;
COMMENT ON FUNCTION raxx_detect.unbound_role(raxx_detect.rules, raxx_detect.source_bindings) IS
'A role that the rule needs and no column plays, in a sentence that says what to bind; NULL: there is none.';

CREATE FUNCTION raxx_detect.broken_binding(rule raxx_detect.rules, binding raxx_detect.source_bindings,
    OUT errcode text, OUT problem text, OUT detail text, OUT hint text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    roles text[] := raxx_detect.named_roles(rule);
    broken record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = binding.relation) THEN
        errcode := 'undefined_table';
        problem := format('the relation bound to source %s no longer exists', binding.source);
        detail := format('It had OID %s.', binding.relation::oid);
        hint := format('Bind the source again: SELECT raxx_detect.bind_source(%L, ''your_table'').', binding.source);
        RETURN;
    END IF;
    SELECT k.role, k.type AS needed, binding.columns ->> k.role AS name, a.atttypid::regtype AS found INTO broken
    FROM raxx_detect.source_roles k
    LEFT JOIN pg_attribute a ON a.attrelid = binding.relation AND a.attname = (binding.columns ->> k.role)::name
                            AND a.attnum > 0 AND NOT a.attisdropped
    WHERE k.source = binding.source AND binding.columns ? k.role AND (k.position = 1 OR k.role = ANY (roles))
      AND a.atttypid IS DISTINCT FROM k.type::oid AND raxx_detect.role_accepts(k.type, a.atttypid) IS NOT TRUE
    ORDER BY k.position LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF broken.found IS NULL THEN
        errcode := 'undefined_column';
        problem := format('relation %s no longer has the column "%s", which plays the role %s of source %s',
            binding.relation, broken.name, broken.role, binding.source);
        detail := format('Its columns are %s.', (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
                                                WHERE a.attrelid = binding.relation AND a.attnum > 0 AND NOT a.attisdropped));
    ELSE
        errcode := 'datatype_mismatch';
        problem := format('column "%s" of relation %s can no longer play the role %s of source %s',
            broken.name, binding.relation, broken.role, binding.source);
        detail := format('Its type is %s; the role needs %s.', broken.found, broken.needed);
    END IF;
    hint := format('Bring the column back, or bind the source again: SELECT raxx_detect.bind_source(%L, %L, %L).', binding.source,
        binding.relation, binding.columns || jsonb_build_object(broken.role, 'your_column'));
END $$;
COMMENT ON FUNCTION raxx_detect.broken_binding(raxx_detect.rules, raxx_detect.source_bindings) IS
'What a migration has done to the relation that a rule reads: it is gone, or a column that the rule needs is gone or of another type. All NULL: nothing.';

CREATE FUNCTION raxx_detect.require_sound(rule raxx_detect.rules, binding raxx_detect.source_bindings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken record := raxx_detect.broken_binding(rule, binding);
    hidden name;
BEGIN
    IF broken.problem IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = broken.errcode, MESSAGE = broken.problem, DETAIL = broken.detail, HINT = broken.hint;
    END IF;
    SELECT a.attname INTO hidden
    FROM raxx_detect.source_roles k
    JOIN pg_attribute a ON a.attrelid = binding.relation AND a.attname = (binding.columns ->> k.role)::name
    WHERE k.source = binding.source AND (k.position = 1 OR k.role = ANY (raxx_detect.named_roles(rule)))
      AND NOT has_column_privilege(binding.relation, a.attnum, 'SELECT')
    ORDER BY k.position LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for relation %s', binding.relation),
            DETAIL = format('Role "%s" may not read column "%s".', current_user, hidden),
            HINT = format('GRANT SELECT ON %s TO %I;', binding.relation, current_user);
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.require_sound(raxx_detect.rules, raxx_detect.source_bindings) IS
'Raises 42P01, 42703 or 42804 for a binding that a migration has broken, 42501 for one that the caller may not read.';

CREATE FUNCTION raxx_detect.is_judged(rule raxx_detect.rules, source text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Coverage goes when the source is bound to something else.
    RETURN rule.state IN ('live', 'placeholder')
           AND EXISTS (SELECT FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = is_judged.source);
END $$;
COMMENT ON FUNCTION raxx_detect.is_judged(raxx_detect.rules, text) IS
'Whether the rule is active and a run has judged the source as it is bound.';

CREATE FUNCTION raxx_detect.baseline_progress(rule raxx_detect.rules, bindings raxx_detect.source_bindings[], as_of timestamptz,
    OUT source text, OUT days int, OUT needed int, OUT ready boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
BEGIN
    IF rule.baseline_window IS NULL THEN
        RETURN;
    END IF;
    needed := extract(day FROM (rule.params ->> 'baseline_ready')::interval);
    FOREACH binding IN ARRAY bindings LOOP
        source := binding.source;
        BEGIN
            days := raxx_detect.baseline_days_there(rule, binding, as_of);
        EXCEPTION WHEN OTHERS THEN
            days := 0;  -- the run meets the same error, and reports it
        END;
        ready := days >= needed;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.baseline_progress(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz) IS
'How far the baseline of each bound source of a rule is: the whole days there are, and those needed. Of a source that cannot be read there are none.';

-- ---- prerequisites --------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.check_span(prerequisite text, source text, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record := raxx_detect.source_span(source, as_of);
BEGIN
    detail := s.problem;
    IF prerequisite = 'P7' AND s.bound AND s.last_event IS NULL AND detail LIKE '% has no rows' THEN
        detail := NULL;
    ELSIF detail IS NULL AND prerequisite IN ('P1', 'P6') AND s.last_event < as_of - interval '1 day' THEN
        detail := format('source %s had no event in the last day (the last was at %s)', source, s.last_event);
    ELSIF detail IS NULL AND prerequisite = 'P2' AND s.last_event - s.first_event < interval '7 days' THEN
        detail := format('source %s spans less than 7 days (since %s)', source, s.first_event);
    END IF;
    holds := detail IS NULL;
    detail := coalesce(detail, format('source %s has what it takes', source));
END $$;
COMMENT ON FUNCTION raxx_detect.check_span(text, text, timestamptz) IS
'P1, P2, P6 and P7 for one source: bound (P7), with an event in the last day (P1, P6), or with events 7 days apart (P2).';

CREATE FUNCTION raxx_detect.check_cadence(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(p.ready), false), string_agg(CASE WHEN p.source IS NULL THEN (raxx_detect.source_span(s.source, as_of)).problem
        ELSE format('source %s has %s of the %s whole days of cadence that its baseline needs', s.source, least(p.days, p.needed), p.needed) END,
        '; ' ORDER BY s.number)
    FROM unnest(rule.sources) WITH ORDINALITY s(source, number)
    LEFT JOIN raxx_detect.baseline_progress(rule, ARRAY(SELECT b FROM raxx_detect.source_bindings b WHERE b.source = ANY (rule.sources)), as_of) p
        ON p.source = s.source
$$;
COMMENT ON FUNCTION raxx_detect.check_cadence(raxx_detect.rules, timestamptz) IS
'P4: whether the baseline of one of the rule''s sources is ready.';

CREATE FUNCTION raxx_detect.check_volume(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    days int := extract(day FROM justify_hours((rule.params ->> 'activation_span')::interval));
    binding raxx_detect.source_bindings;
    today date;
    fewest bigint;
    rows_called text;
BEGIN
    SELECT b.* INTO binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    IF NOT FOUND THEN
        holds := false;
        detail := (raxx_detect.source_span(rule.sources[1], as_of)).problem;
        RETURN;
    END IF;
    SELECT k.rows_called INTO rows_called FROM raxx_detect.source_kinds k WHERE k.source = binding.source;
    today := raxx_detect.judging_day(rule, binding, as_of);
    -- More than it takes is not counted: the check must stay cheap, however busy the source.
    EXECUTE format(
        'SELECT min((SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I >= d.begins AND t.%2$I < d.ends LIMIT $4) enough))
         FROM (SELECT raxx_detect.day_starts($1, $2 - i) AS begins, raxx_detect.day_starts($1, $2 - i + 1) AS ends
               FROM generate_series(1, $3) i) d', binding.relation, binding.columns ->> 'event_time')
    INTO fewest USING rule, today, days, above + 1;
    holds := fewest > above;
    detail := CASE WHEN holds THEN format('each of the last %s whole days had more than %s %s', days, above, rows_called)
                   ELSE format('the quietest of the last %s whole days had %s %s; more than %s are needed', days, fewest, rows_called, above) END;
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, binding.source);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_volume(raxx_detect.rules, timestamptz) IS
'P8: whether each of the whole days of the rule''s activation_span, by its time zone, had more rows than activate_above.';

CREATE FUNCTION raxx_detect.check_digits(rule raxx_detect.rules, as_of timestamptz, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above bigint := (rule.params ->> 'activate_above')::bigint;
    window_length interval := (rule.params ->> 'window')::interval;
    binding raxx_detect.source_bindings;
    digits bigint;
BEGIN
    SELECT b.* INTO STRICT binding FROM raxx_detect.source_bindings b WHERE b.source = rule.sources[1];
    EXECUTE format(
        'SELECT count(*) FROM (SELECT FROM %1$s t WHERE t.%2$I > $1 AND t.%2$I <= $2
             AND t.%3$I <> 0 AND t.%3$I::text NOT IN (''NaN'', ''Infinity'', ''-Infinity'') LIMIT $3) enough',
        binding.relation, binding.columns ->> 'event_time', binding.columns ->> (rule.params ->> 'value'))
    INTO digits USING raxx_detect.before(as_of, window_length), as_of, above + 1;
    holds := digits > above;
    detail := format('source %s has %s first digits in %s; more than %s are needed', binding.source,
        CASE WHEN holds THEN 'more than ' || above ELSE digits::text END, raxx_detect.in_words(window_length), above);
EXCEPTION WHEN OTHERS THEN
    -- The runs of an active rule report what is broken.
    holds := raxx_detect.is_judged(rule, rule.sources[1]);
    detail := format('source %s (%s) cannot be read: %s', binding.source, binding.relation, sqlerrm);
END $$;
COMMENT ON FUNCTION raxx_detect.check_digits(raxx_detect.rules, timestamptz) IS
'Whether the rule''s window up to as_of holds more values with a first digit than activate_above: zero, NaN and infinities have none. Counts no more than it takes.';

CREATE FUNCTION raxx_detect.check_statements(rule raxx_detect.rules, OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    elsewhere regclass := (SELECT b.relation FROM raxx_detect.source_bindings b JOIN pg_class c ON c.oid = b.relation
                           WHERE b.source = ANY (rule.sources) AND c.relnamespace <> 'raxx_detect'::regnamespace);
BEGIN
    IF elsewhere IS NOT NULL THEN
        holds := true;
        detail := format('the snapshots are those of %s', elsewhere);
    ELSE
        SELECT a.available, a.detail INTO holds, detail FROM raxx_detect.statements_available() a;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_statements(raxx_detect.rules) IS
'P5: whether pg_stat_statements can be read, or snapshots of it are bound that somebody else takes.';

CREATE FUNCTION raxx_detect.check_rule_prerequisite(rule raxx_detect.rules, prerequisite text, as_of timestamptz,
    OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE prerequisite
        WHEN 'P1', 'P2', 'P6', 'P7' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_span(prerequisite, rule.sources[1], as_of) c;
        WHEN 'P3' THEN
            holds := false;
            detail := 'no hash chain is attached: this version has none to attach';
        WHEN 'P4' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_cadence(rule, as_of) c;
        WHEN 'P5' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_statements(rule) c;
        WHEN 'P8' THEN
            SELECT c.* INTO holds, detail FROM raxx_detect.check_volume(rule, as_of) c;
        ELSE
            holds := false;
            detail := format('there is no prerequisite %s', prerequisite);
    END CASE;
END $$;
COMMENT ON FUNCTION raxx_detect.check_rule_prerequisite(raxx_detect.rules, text, timestamptz) IS
'Whether one of P1 to P8 holds for one rule, by its sources and parameters, and what is there or missing, in a sentence to act on.';

CREATE FUNCTION raxx_detect.check_prerequisite(id text, as_of timestamptz DEFAULT now(), OUT holds boolean, OUT detail text)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_and(c.holds), string_agg(c.detail, '; ' ORDER BY r.number)
    FROM raxx_detect.rules r CROSS JOIN LATERAL raxx_detect.check_rule_prerequisite(r, check_prerequisite.id, check_prerequisite.as_of) c
    WHERE check_prerequisite.id = ANY (r.prerequisites)
$$;
COMMENT ON FUNCTION raxx_detect.check_prerequisite(text, timestamptz) IS
'Whether one of P1 to P8 holds for every rule that it gates, and what is there or missing, in a sentence to act on.';

CREATE VIEW raxx_detect.prerequisites AS
SELECT p.prerequisite, c.holds, c.detail,
       ARRAY(SELECT r.rule_id FROM raxx_detect.rules r WHERE p.prerequisite = ANY (r.prerequisites) ORDER BY r.number) AS gates,
       p.needs
FROM (VALUES
    ('P1', 'passkey_begin_events, or session_events, is bound and had an event in the last day.'),
    ('P2', 'error_events is bound and spans at least 7 days.'),
    ('P3', 'The audit tables have a hash chain, with a key and a verified genesis.'),
    ('P4', 'The baseline of an audit table holds at least 7 whole days of cadence; until then placeholder thresholds judge.'),
    ('P5', 'pg_stat_statements is preloaded, created and readable.'),
    ('P6', 'dyno_samples, or dyno_restarts, is bound and had an event in the last day.'),
    ('P7', 'stripe_webhook_events is bound.'),
    ('P8', 'outbound_mail_events had more mails than activate_above on each whole day of activation_span.')
) p(prerequisite, needs)
CROSS JOIN LATERAL raxx_detect.check_prerequisite(p.prerequisite) c;
COMMENT ON VIEW raxx_detect.prerequisites IS
'P1 to P8: whether each holds now for all the rules that it gates, what is there or missing, and which rules these are; needs: when it holds. A rule waits for its own sources only.';

-- ---- states ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION raxx_detect.what_is_unbound(rule raxx_detect.rules, bindings raxx_detect.source_bindings[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound text[] := ARRAY(SELECT b.source FROM unnest(bindings) b);
    -- The extension itself binds its snapshots.
    unbound text[] := ARRAY(SELECT s FROM unnest(rule.sources) s WHERE s <> ALL (bound) AND s <> 'statement_samples');
    binding raxx_detect.source_bindings;
    missing text[] := '{}';
BEGIN
    -- A gap is judged in whichever audit table there is.
    IF unbound <> '{}' AND (bound = '{}' OR rule.method <> 'gap') THEN
        IF bound = '{}' AND rule.waits_for IS NOT NULL THEN
            RETURN rule.waits_for;
        END IF;
        RETURN (SELECT string_agg((raxx_detect.source_span(u)).problem, '; ') FROM unnest(unbound) u);
    END IF;
    FOREACH binding IN ARRAY bindings LOOP
        missing := missing || raxx_detect.unbound_role(rule, binding);
    END LOOP;
    RETURN nullif(array_to_string(missing, '; '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_unbound(raxx_detect.rules, raxx_detect.source_bindings[]) IS
'A source that the rule needs, or a role that its parameters name, to which nothing is bound, in a sentence that says what to bind; NULL: all are. bindings: of the rule''s sources.';

CREATE FUNCTION raxx_detect.what_is_broken(rule raxx_detect.rules, bindings raxx_detect.source_bindings[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    binding raxx_detect.source_bindings;
    broken record;
    problems text[] := '{}';
BEGIN
    FOREACH binding IN ARRAY bindings LOOP
        broken := raxx_detect.broken_binding(rule, binding);
        problems := problems || (broken.problem || '. ' || broken.hint);
    END LOOP;
    RETURN nullif(array_to_string(problems, ' '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_broken(raxx_detect.rules, raxx_detect.source_bindings[]) IS 'What migrations have broken of what the rule reads, and how to mend it; NULL: nothing.';

CREATE FUNCTION raxx_detect.what_is_unmet(rule raxx_detect.rules, as_of timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text;
    checked record;
    unmet text[] := '{}';
BEGIN
    FOREACH id IN ARRAY rule.prerequisites LOOP
        CONTINUE WHEN id = 'P4';  -- the baseline itself, without which the rule is a placeholder
        CONTINUE WHEN id IN ('P1', 'P2', 'P6') AND raxx_detect.is_judged(rule, rule.sources[1]);
        checked := raxx_detect.check_rule_prerequisite(rule, id, as_of);
        unmet := unmet || CASE WHEN NOT checked.holds THEN id || ': ' || checked.detail END;
    END LOOP;
    IF rule.method = 'benford' THEN
        checked := raxx_detect.check_digits(rule, as_of);
        unmet := unmet || CASE WHEN NOT checked.holds THEN checked.detail END;
    END IF;
    RETURN nullif(array_to_string(unmet, '; '), '');
END $$;
COMMENT ON FUNCTION raxx_detect.what_is_unmet(raxx_detect.rules, timestamptz) IS
'The prerequisites without which the rule cannot be active, in sentences to act on; NULL: all are met. Of a rule that is judged already, freshness and length are not asked again, volume is.';

CREATE FUNCTION raxx_detect.active_state(rule raxx_detect.rules, bindings raxx_detect.source_bindings[], as_of timestamptz,
    OUT state text, OUT reason text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
    ready boolean := rule.baseline_window IS NULL;
    progress text[] := '{}';
    days int;
BEGIN
    FOR p IN SELECT * FROM raxx_detect.baseline_progress(rule, bindings, as_of) LOOP
        ready := ready OR p.ready;
        days := p.days;
        progress := progress || (CASE WHEN p.ready THEN format('%s days', p.days) ELSE format('%s of %s days', p.days, p.needed) END
            || CASE WHEN cardinality(rule.sources) > 1 THEN ' of ' || p.source ELSE '' END);
    END LOOP;
    state := CASE WHEN rule.ships = 'live' OR ready THEN 'live' ELSE 'placeholder' END;
    reason := CASE
        WHEN bindings = '{}' THEN 'judges nothing yet: no snapshot has been taken (SELECT * FROM raxx_detect.scrape_statements())'
        WHEN rule.baseline_window IS NULL THEN 'judged by its thresholds; it has no baseline'
        WHEN ready THEN 'judged by its baseline: ' || array_to_string(progress, ', ')
        WHEN rule.params ?| '{threshold,distinct_threshold,business_gap}' THEN 'judged by its thresholds; baseline: ' || array_to_string(progress, ', ')
        ELSE 'judges nothing yet; baseline: ' || array_to_string(progress, ', ') END;
    IF bindings <> '{}' AND cardinality(bindings) < cardinality(rule.sources) THEN
        reason := format('%s; not bound: %s', reason, (SELECT string_agg(s, ', ') FROM unnest(rule.sources) s
                                                      WHERE s <> ALL (ARRAY(SELECT b.source FROM unnest(bindings) b))));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.active_state(raxx_detect.rules, raxx_detect.source_bindings[], timestamptz) IS
'Placeholder or live, for a rule that has what it needs, and how far its baseline is.';

CREATE FUNCTION raxx_detect.due_state(rule raxx_detect.rules, as_of timestamptz DEFAULT now(), OUT state text, OUT reason text, OUT cause text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    active boolean := rule.state IN ('live', 'placeholder');
    bindings raxx_detect.source_bindings[];
    missing text;
BEGIN
    IF rule.state IN ('disabled', 'retired') THEN
        state := rule.state;
        reason := rule.state_reason;
    ELSIF (SELECT m.evaluator FROM raxx_detect.methods m WHERE m.method = rule.method) IS NULL THEN
        state := CASE WHEN rule.ships = 'subsumed' THEN 'subsumed' ELSE 'dormant' END;
        reason := concat_ws(' ', rule.waits_for, 'This version does not evaluate the rule.');
    ELSE
        bindings := ARRAY(SELECT b FROM raxx_detect.source_bindings b
                          WHERE b.source = ANY (rule.sources) ORDER BY array_position(rule.sources, b.source));
        missing := raxx_detect.what_is_unbound(rule, bindings);
        IF missing IS NULL THEN
            missing := raxx_detect.what_is_broken(rule, bindings);
            IF missing IS NOT NULL AND active THEN  -- its runs are errors until it is mended
                state := rule.state;
                reason := missing;
                RETURN;
            END IF;
            missing := coalesce(missing, raxx_detect.what_is_unmet(rule, as_of));
        END IF;
        IF missing IS NULL THEN
            SELECT a.state, a.reason INTO state, reason FROM raxx_detect.active_state(rule, bindings, as_of) a;
            IF NOT active THEN
                cause := format('what it needs is there: %s; %s', array_to_string(
                    ARRAY(SELECT format('%s (%s)', b.source, b.relation) FROM unnest(bindings) b)
                    || array_remove(rule.prerequisites, 'P4'), ', '), reason);
            END IF;
        ELSE
            state := CASE WHEN rule.ships = 'subsumed' AND bindings = '{}' THEN 'subsumed' ELSE 'dormant' END;
            reason := missing;
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.due_state(raxx_detect.rules, timestamptz) IS
'The state that a rule should be in, and why, in a sentence (reason). cause: what a change into it is recorded with, if there is more to say. Disabled and retired rules stay so.';

CREATE FUNCTION raxx_detect.change_state(rule_id text, state text, reason text, cause text DEFAULT NULL) RETURNS raxx_detect.rules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF (rule.state, rule.state_reason) IS NOT DISTINCT FROM (state, reason) THEN
        RETURN rule;
    END IF;
    IF rule.state <> state THEN
        INSERT INTO raxx_detect.rule_state_changes (rule_id, from_state, to_state, reason) VALUES (rule_id, rule.state, state, coalesce(cause, reason));
    END IF;
    UPDATE raxx_detect.rules r SET state = state, state_reason = reason,
        state_since = CASE WHEN r.state = state THEN r.state_since ELSE now() END
    WHERE r.rule_id = rule_id RETURNING r.* INTO rule;
    RETURN rule;
END $$;
COMMENT ON FUNCTION raxx_detect.change_state(text, text, text, text) IS 'Puts a rule into a state, and records the change with its cause (the reason, unless there is more to say); the rule as it is then.';

CREATE FUNCTION raxx_detect.refresh_state(rule_id text, as_of timestamptz DEFAULT now()) RETURNS raxx_detect.rules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    -- What a run has seen is not unseen by one that looks at an earlier time.
    looked_to timestamptz := (SELECT max(c.looked_to) FROM raxx_detect.coverage c WHERE c.rule_id = refresh_state.rule_id);
    due record;
BEGIN
    due := raxx_detect.due_state(rule, least(now(), greatest(as_of, looked_to)));
    RETURN raxx_detect.change_state(rule_id, due.state, due.reason, due.cause);
END $$;
COMMENT ON FUNCTION raxx_detect.refresh_state(text, timestamptz) IS 'Puts a rule into the state that is due as of a time, which a run hands on; the rule as it is then.';

CREATE FUNCTION raxx_detect.disable(rule_id text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'disabling a rule needs a reason',
            DETAIL = 'The reason is empty.', HINT = 'Say why: whoever reads raxx_detect.status will ask.';
    END IF;
    PERFORM raxx_detect.find_rule(rule_id);
    PERFORM raxx_detect.change_state(rule_id, 'disabled', reason);
END $$;
COMMENT ON FUNCTION raxx_detect.disable(text, text) IS 'Stops a rule from being evaluated, for a reason. Errors: 42704 unknown rule, 22023 no reason.';

CREATE FUNCTION raxx_detect.enable(rule_id text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
BEGIN
    IF rule.state IN ('disabled', 'retired') THEN
        PERFORM raxx_detect.change_state(rule_id, 'dormant', 'enabled again');
    END IF;
    rule := raxx_detect.refresh_state(rule_id);
    RETURN rule.state;
END $$;
COMMENT ON FUNCTION raxx_detect.enable(text) IS 'Ends the disabling or retirement of a rule, and returns the state it then has. Error: 42704 unknown rule.';
-- Runs: evaluate what is new, write findings, advance coverage, and leave a record, in one transaction.

CREATE TABLE raxx_detect.coverage (
    rule_id text NOT NULL REFERENCES raxx_detect.rules ON DELETE CASCADE,
    source text NOT NULL REFERENCES raxx_detect.source_kinds,
    settled timestamptz NOT NULL,
    looked_to timestamptz NOT NULL,
    PRIMARY KEY (rule_id, source)
);
COMMENT ON TABLE raxx_detect.coverage IS 'Per rule and source: up to where its rows have been judged.';
COMMENT ON COLUMN raxx_detect.coverage.settled IS 'Up to here rows are judged for good: the source''s lateness before the last look.';
COMMENT ON COLUMN raxx_detect.coverage.looked_to IS 'The as_of of the last look; what lies between the two is judged again by the next run.';

CREATE TYPE raxx_detect.rule_run AS (
    rule_id text,
    state text,
    outcome text,
    findings_new bigint,
    findings_updated bigint,
    rows_read bigint,
    covered tstzrange,
    elapsed interval,
    detail text
);
COMMENT ON TYPE raxx_detect.rule_run IS 'What a run did for one rule. outcome: ok; skipped (disabled, retired, or looked at before); dormant; no_data (a source is empty or stale); error (nothing changed, the coverage stays); busy (another run had it).';

CREATE TABLE raxx_detect.rule_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    rule_id text NOT NULL,
    state text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('ok', 'skipped', 'dormant', 'no_data', 'error', 'busy')),
    findings_new bigint NOT NULL,
    findings_updated bigint NOT NULL,
    rows_read bigint NOT NULL,
    covered tstzrange,
    elapsed interval NOT NULL,
    detail text
);
CREATE INDEX rule_runs_by_rule ON raxx_detect.rule_runs (rule_id, run_id);
COMMENT ON TABLE raxx_detect.rule_runs IS 'The record of runs: a row when a run of a rule found or said something new, or ended otherwise than the one before. Runs that were like the one before only move raxx_detect.heartbeat.';

CREATE TABLE raxx_detect.heartbeat (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_run_at timestamptz,
    as_of timestamptz,
    runs bigint NOT NULL DEFAULT 0
);
INSERT INTO raxx_detect.heartbeat DEFAULT VALUES;
COMMENT ON TABLE raxx_detect.heartbeat IS 'When run_all last ran, also when there was nothing to say. One row.';

CREATE FUNCTION raxx_detect.check_as_of(as_of timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF as_of IS NULL OR NOT isfinite(as_of) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'as_of must be a finite time',
            DETAIL = format('It is %s.', coalesce(as_of::text, 'NULL')), HINT = 'Leave it out to judge everything up to now.';
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.check_as_of(timestamptz) IS 'Raises 22023 unless as_of is a finite time.';

CREATE FUNCTION raxx_detect.only_late_rows(rule raxx_detect.rules, binding raxx_detect.source_bindings, exact_from timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- exact_from is the last row up to settled; a row that was dated back behind settled would have moved it, and what
    -- it fills was looked at. That is no late row but a change of history, and a finding is the evidence of it.
    RETURN rule.method = 'gap' AND NOT EXISTS (
        SELECT FROM raxx_detect.detection_findings f
        WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.condition <> 'cleared' AND lower(f.episode) < exact_from);
END $$;
COMMENT ON FUNCTION raxx_detect.only_late_rows(raxx_detect.rules, raxx_detect.source_bindings, timestamptz) IS
'Whether a finding that the rows no longer show can be explained by rows that came late, within the lateness. Late rows only add: they fill gaps, but never undo a burst.';

CREATE FUNCTION raxx_detect.hindsight(rule raxx_detect.rules) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce((rule.params ->> 'deploy_margin')::interval, (rule.params ->> 'tolerance')::interval, '0');
END $$;
COMMENT ON FUNCTION raxx_detect.hindsight(raxx_detect.rules) IS
'How much later than a row what decides about it may happen: a deploy after a restart, a record after a change. What is younger is never settled.';

CREATE FUNCTION raxx_detect.baseline_reach(rule raxx_detect.rules) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN rule.params ? 'long_window' THEN interval '4 days' ELSE '0' END
$$;
COMMENT ON FUNCTION raxx_detect.baseline_reach(raxx_detect.rules) IS
'How much older than what is judged the baselines may have to be that are needed: whoever judges days looks again at the one that is in force, and at its hours.';

CREATE FUNCTION raxx_detect.judge_slice(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz,
    INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known raxx_detect.coverage;
    settled timestamptz;
    exact_from timestamptz;
    method raxx_detect.methods;
    rechecked bigint;
    candidates raxx_detect.candidate[];
    recorded record;
    piece record;
    first_day date;
BEGIN
    SELECT c.* INTO known FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    settled := greatest(known.settled, binding.judge_from);
    -- A gap begins with a row: the last one that is settled.
    exact_from := CASE WHEN rule.method = 'gap' THEN coalesce(raxx_detect.last_event(binding, settled), settled) ELSE settled END;
    IF rule.baseline_window IS NOT NULL THEN
        FOR piece IN SELECT * FROM raxx_detect.baseline_pieces(rule, binding,
                raxx_detect.before(exact_from, raxx_detect.baseline_reach(rule)), as_of) LOOP
            first_day := coalesce(first_day, piece.day);
            PERFORM raxx_detect.keep_baseline(rule, binding, piece.day);
        END LOOP;
        PERFORM raxx_detect.drop_old_baselines(rule, binding.source, first_day);
    END IF;
    SELECT m.* INTO method FROM raxx_detect.methods m WHERE m.method = rule.method;
    IF method.rechecker IS NOT NULL THEN
        EXECUTE format('SELECT %s($1, $2, $3)', method.rechecker::regproc) INTO rechecked USING rule, binding, as_of;
    END IF;
    EXECUTE format('SELECT array_agg(c) FROM %s($1, $2, $3, $4) c', method.evaluator::regproc)
    INTO candidates USING rule, binding, exact_from, as_of;
    -- A source without a single event allows no verdict: it closes nothing, and nothing of it is settled.
    IF raxx_detect.last_event(binding, as_of) IS NULL THEN
        UPDATE raxx_detect.detection_findings f SET condition = 'no_data', updated_at = now()
        WHERE f.rule_id = rule.rule_id AND f.source = binding.source AND f.condition = 'firing';
        RETURN;
    END IF;
    recorded := raxx_detect.record_findings(rule, binding.source, coalesce(candidates, '{}'), exact_from, as_of,
        known.rule_id IS NULL, raxx_detect.only_late_rows(rule, binding, exact_from));

    INSERT INTO raxx_detect.coverage AS c (rule_id, source, settled, looked_to)
    VALUES (rule.rule_id, binding.source,
            greatest(settled, raxx_detect.before(least(as_of, now()), binding.lateness + raxx_detect.hindsight(rule))), least(as_of, now()))
    ON CONFLICT ON CONSTRAINT coverage_pkey DO UPDATE SET settled = EXCLUDED.settled, looked_to = EXCLUDED.looked_to;

    result.findings_new := result.findings_new + recorded.added;
    result.findings_updated := result.findings_updated + recorded.changed + coalesce(rechecked, 0);
    result.covered := range_merge(coalesce(result.covered, 'empty'), tstzrange(settled, as_of, '(]'));
    IF recorded.withdrawn > 0 THEN
        result.detail := concat_ws('; ', result.detail,
            format('withdrew %s findings that the rows of %s no longer show', recorded.withdrawn, binding.source));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.judge_slice(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run) IS
'Judges what is new in one source of a rule, up to as_of, by the baselines of few days: keeps those, evaluates, writes findings and coverage, and adds to the result.';

CREATE FUNCTION raxx_detect.slice_end(rule raxx_detect.rules, binding raxx_detect.source_bindings, looked_to timestamptz,
    as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begins timestamptz := greatest(looked_to, binding.judge_from, raxx_detect.before(as_of, interval '400 days'));
    next_event timestamptz;
    day date;
BEGIN
    IF rule.baseline_window IS NULL OR begins >= as_of THEN
        RETURN as_of;
    END IF;
    -- What happened in the window before may still have to be judged: a point, a day, has its verdict when it ends.
    next_event := raxx_detect.next_event(binding, raxx_detect.before(begins,
        coalesce((rule.params ->> 'mix_window')::interval, (rule.params ->> 'window')::interval, '0')));
    IF next_event IS NULL OR next_event > as_of THEN  -- be it at the end of time: nothing to learn from
        RETURN as_of;
    END IF;
    day := raxx_detect.judging_day(rule, binding, greatest(begins + interval '1 microsecond', next_event)) + 1;
    -- Days before the first that has a baseline are judged alike.
    SELECT greatest(day, raxx_detect.first_whole_day(rule, s.first_event, day) + extract(day FROM (rule.params ->> 'baseline_ready')::interval)::int)
    INTO day FROM raxx_detect.baseline_starts s
    WHERE s.rule_id = rule.rule_id AND s.source = binding.source;
    RETURN least(as_of, raxx_detect.takes_over(rule, binding, coalesce(day, 'infinity')) - interval '1 microsecond');
END $$;
COMMENT ON FUNCTION raxx_detect.slice_end(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, timestamptz) IS
'Up to where a run may judge at once: as_of, or, for a rule with a baseline, just before the next baseline takes over that is learnt from rows not judged yet. What is more than 400 days old is judged by thresholds, at once.';

CREATE FUNCTION raxx_detect.evaluate_source(rule raxx_detect.rules, binding raxx_detect.source_bindings, as_of timestamptz,
    INOUT result raxx_detect.rule_run)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known raxx_detect.coverage;
    settled timestamptz;
    upto timestamptz;
    before record := raxx_detect.reading();
    after record;
BEGIN
    PERFORM raxx_detect.require_sound(rule, binding);
    SELECT c.* INTO known FROM raxx_detect.coverage c WHERE c.rule_id = rule.rule_id AND c.source = binding.source;
    settled := greatest(known.settled, binding.judge_from);
    IF as_of < known.looked_to OR as_of <= settled THEN
        result.outcome := 'skipped';
        result.detail := concat_ws('; ', result.detail,
            format('%s was looked at up to %s before', binding.source, greatest(known.looked_to, settled)));
        RETURN;
    END IF;
    IF known.rule_id IS NULL THEN
        PERFORM raxx_detect.match_columns(binding.source, binding.relation, binding.columns);  -- says best what may not be read
    END IF;
    PERFORM raxx_detect.know_baseline_start(rule, binding);
    upto := known.looked_to;
    LOOP
        upto := raxx_detect.slice_end(rule, binding, upto, as_of);
        result := raxx_detect.judge_slice(rule, binding, upto, result);
        EXIT WHEN upto >= as_of;
    END LOOP;

    after := raxx_detect.reading();
    result.rows_read := result.rows_read + after.rows_read - before.rows_read;
    IF after.null_rows > before.null_rows THEN
        result.detail := concat_ws('; ', result.detail,
            format('ignored %s rows of %s with a NULL entity or value', after.null_rows - before.null_rows, binding.source));
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_source(raxx_detect.rules, raxx_detect.source_bindings, timestamptz, raxx_detect.rule_run) IS
'Judges what is new in one source of a rule, slice by slice: as if there had been a run just before each baseline took over.';

CREATE FUNCTION raxx_detect.source_trouble(binding raxx_detect.source_bindings, as_of timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_event timestamptz := raxx_detect.last_event(binding, as_of);
    expected interval := (SELECT k.expected_every FROM raxx_detect.source_kinds k WHERE k.source = binding.source);
BEGIN
    IF last_event IS NULL THEN
        RETURN format('%s has no rows', binding.source);
    ELSIF last_event < as_of - expected THEN
        RETURN format('%s has been silent since %s; it should have an event every %s', binding.source, last_event, expected);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.source_trouble(raxx_detect.source_bindings, timestamptz) IS 'Why a source does not allow a verdict (empty or stale), or NULL.';

CREATE FUNCTION raxx_detect.error_in_words(state text, message text, detail text, hint text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', format('%s: %s.', state, message), nullif(detail, ''), nullif(hint, ''))
$$;
COMMENT ON FUNCTION raxx_detect.error_in_words(text, text, text, text) IS 'An error as a run''s detail tells it: SQLSTATE, message, DETAIL and HINT.';

CREATE FUNCTION raxx_detect.judged_sources(rule raxx_detect.rules) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE rule.method WHEN 'unmatched' THEN rule.sources[1:1] ELSE rule.sources END
$$;
COMMENT ON FUNCTION raxx_detect.judged_sources(raxx_detect.rules) IS
'The sources whose rows a rule judges. Method unmatched judges its first alone: no record of a change at all is a verdict on the changes, not a trouble of the records.';

CREATE FUNCTION raxx_detect.evaluate_rule(rule raxx_detect.rules, as_of timestamptz, result raxx_detect.rule_run)
RETURNS raxx_detect.rule_run LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    binding raxx_detect.source_bindings;
    trouble text;
    unread boolean := true;
    state text; message text; detail text; hint text;
BEGIN
    FOR binding IN SELECT b.* FROM raxx_detect.source_bindings b
                   WHERE b.source = ANY (raxx_detect.judged_sources(rule)) ORDER BY array_position(rule.sources, b.source) LOOP
        unread := false;
        BEGIN  -- one source that fails does not keep the others from being judged
            result := raxx_detect.evaluate_source(rule, binding, as_of, result);
            trouble := raxx_detect.source_trouble(binding, as_of);
            IF trouble IS NOT NULL THEN
                result.outcome := CASE result.outcome WHEN 'error' THEN 'error' ELSE 'no_data' END;
                result.detail := concat_ws('; ', result.detail, trouble);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            result.outcome := 'error';
            result.detail := concat_ws('; ', result.detail, raxx_detect.error_in_words(state, message, detail, hint));
        END;
    END LOOP;
    IF unread THEN
        result.outcome := 'no_data';
        result.detail := rule.state_reason;
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.evaluate_rule(raxx_detect.rules, timestamptz, raxx_detect.rule_run) IS 'Judges all bound sources of a rule that it judges.';

CREATE FUNCTION raxx_detect.record_run(result raxx_detect.rule_run, started_at timestamptz, as_of timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last raxx_detect.rule_runs;
BEGIN
    SELECT r.* INTO last FROM raxx_detect.rule_runs r WHERE r.rule_id = result.rule_id ORDER BY r.run_id DESC LIMIT 1;
    IF (last.state, last.outcome, last.detail) IS NOT DISTINCT FROM (result.state, result.outcome, result.detail)
       AND result.findings_new = 0 AND result.findings_updated = 0 THEN
        RETURN;
    END IF;
    INSERT INTO raxx_detect.rule_runs (started_at, as_of, rule_id, state, outcome, findings_new, findings_updated, rows_read,
        covered, elapsed, detail)
    VALUES (started_at, as_of, result.rule_id, result.state, result.outcome, result.findings_new, result.findings_updated,
        result.rows_read, result.covered, result.elapsed, result.detail);
END $$;
COMMENT ON FUNCTION raxx_detect.record_run(raxx_detect.rule_run, timestamptz, timestamptz) IS 'Writes a run into rule_runs, unless it is like the one before and found nothing.';

-- Without JIT: the planner cannot know that candidates are few, and would compile what runs for microseconds. The other
-- settings say what a day is and how times and numbers read: no finding may depend on whose session made it.
CREATE FUNCTION raxx_detect.run_rule(rule_id text, as_of timestamptz) RETURNS raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    started timestamptz := clock_timestamp();
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    result raxx_detect.rule_run := (rule_id, rule.state, 'ok', 0, 0, 0, NULL, NULL, NULL);
    state text; message text; detail text; hint text;
BEGIN
    -- A row lock, since anybody could take an advisory one.
    PERFORM FROM raxx_detect.rules r WHERE r.rule_id = rule_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        result.outcome := 'busy';
        result.detail := 'another run is at it';
        result.elapsed := clock_timestamp() - started;
        PERFORM raxx_detect.record_run(result, started, as_of);
        RETURN result;
    END IF;
    -- Two subtransactions: what fails leaves nothing behind, and the other rules go on; but a rule that fails to be
    -- judged is in the state that it is due all the same.
    BEGIN
        -- What a rule measures itself it measures at its runs; nothing can be measured for a past one.
        IF rule.method = 'drift' AND as_of >= now() THEN
            PERFORM raxx_detect.scrape_statements();
        END IF;
        rule := raxx_detect.refresh_state(rule_id, as_of);
        result.state := rule.state;
        BEGIN
            IF rule.state IN ('live', 'placeholder') THEN
                result := raxx_detect.evaluate_rule(rule, as_of, result);
            ELSE
                result.outcome := CASE rule.state WHEN 'dormant' THEN 'dormant' ELSE 'skipped' END;
                result.detail := rule.state_reason;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        END;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    END;
    IF state IS NOT NULL THEN
        result := (rule_id, rule.state, 'error', 0, 0, 0, NULL, NULL,
            raxx_detect.error_in_words(state, message, detail, hint));
    END IF;
    result.elapsed := clock_timestamp() - started;
    PERFORM raxx_detect.record_run(result, started, as_of);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.run_rule(text, timestamptz) IS 'One rule''s run, in a subtransaction of its own: an error is its outcome, with SQLSTATE, and changes nothing else.';

CREATE FUNCTION raxx_detect.run(rule_id text, as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    RETURN NEXT raxx_detect.run_rule(rule_id, as_of);
END $$;
COMMENT ON FUNCTION raxx_detect.run(text, timestamptz) IS
'Judges everything up to as_of that one rule has not judged yet, and returns one row. as_of must be finite (22023) and the rule known (42704).';

CREATE FUNCTION raxx_detect.run_all(as_of timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.rule_run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text;
BEGIN
    PERFORM raxx_detect.check_as_of(as_of);
    FOR id IN SELECT r.rule_id FROM raxx_detect.rules r ORDER BY r.number NULLS LAST, r.rule_id LOOP
        RETURN NEXT raxx_detect.run_rule(id, as_of);
    END LOOP;
    UPDATE raxx_detect.heartbeat h SET last_run_at = now(), as_of = run_all.as_of, runs = h.runs + 1
    WHERE h.only_row IN (SELECT k.only_row FROM raxx_detect.heartbeat k FOR NO KEY UPDATE SKIP LOCKED);
END $$;
COMMENT ON FUNCTION raxx_detect.run_all(timestamptz) IS
'Judges everything up to as_of that has not been judged yet, rule by rule, and returns a row for each. A rule that fails says so in its row and does not stop the others. Costs what is new. as_of must be finite (22023).';
-- Views to look at.

CREATE FUNCTION raxx_detect.sources_now(OUT source text, OUT bound boolean, OUT relation regclass, OUT columns jsonb,
    OUT fresh boolean, OUT last_event timestamptz, OUT missing text, OUT meaning text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.source, s.bound, b.relation, b.columns,
           CASE WHEN s.bound AND k.expected_every IS NOT NULL THEN coalesce(s.last_event >= now() - k.expected_every, false) END,
           s.last_event,
           coalesce(s.problem, CASE WHEN s.last_event < now() - k.expected_every
                                    THEN format('source %s has been silent since %s', k.source, s.last_event) END),
           k.meaning
    FROM raxx_detect.source_kinds k
    CROSS JOIN LATERAL raxx_detect.source_span(k.source) s
    LEFT JOIN raxx_detect.source_bindings b ON b.source = k.source
    ORDER BY k.position
$$;
COMMENT ON FUNCTION raxx_detect.sources_now() IS 'What raxx_detect.sources shows.';

CREATE VIEW raxx_detect.sources AS SELECT * FROM raxx_detect.sources_now();
COMMENT ON VIEW raxx_detect.sources IS
'The sources: whether each is bound and to what, whether it is fresh (NULL where silence is normal), its last event, and what is missing, in a sentence.';

CREATE VIEW raxx_detect.status AS
SELECT r.number, r.rule_id, r.det_id, r.severity, r.state, r.state_reason AS reason, r.state_since,
       greatest(h.last_run_at, l.started_at) AS last_run, coalesce(l.outcome, 'never run') AS last_outcome, l.detail AS last_detail,
       c.covered_to, coalesce(f.open_findings, 0) AS open_findings, f.last_finding, r.last_validated
FROM raxx_detect.rules r
CROSS JOIN raxx_detect.heartbeat h
LEFT JOIN LATERAL (SELECT u.started_at, u.outcome, u.detail FROM raxx_detect.rule_runs u
                   WHERE u.rule_id = r.rule_id ORDER BY u.run_id DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT min(v.looked_to) AS covered_to FROM raxx_detect.coverage v WHERE v.rule_id = r.rule_id) c ON true
LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE d.triage <> 'closed') AS open_findings, max(d.detected_at) AS last_finding
                   FROM raxx_detect.detection_findings d WHERE d.rule_id = r.rule_id) f ON true
ORDER BY r.number NULLS LAST, r.rule_id;
COMMENT ON VIEW raxx_detect.status IS
'A line for each rule: its state and the reason, when it last ran and how that ended, up to where it has looked, how many findings nobody has closed, and when its fixtures last passed.';

-- A rule says from the first day why it is dormant.
SELECT count(*) FROM (SELECT raxx_detect.refresh_state(rule_id) FROM raxx_detect.rules) refreshed;
-- Self-test: each rule's fixtures, through the rule's real path, in a subtransaction that is rolled back.

CREATE TABLE raxx_detect.fixtures (
    rule_id text NOT NULL REFERENCES raxx_detect.rules,
    name text NOT NULL,
    fixture jsonb NOT NULL,
    PRIMARY KEY (rule_id, name)
);
COMMENT ON TABLE raxx_detect.fixtures IS
'What must fire and what must stay silent. A fixture has start; params, parameters of the rule that it is tried with in place of the shipped ones (rarely); sources, whose rows have their time as an offset from start (at; with every and until a series, in whose texts {n} is the running number, counted from 1, and a number may be a counter: {"from": 0, "per_n": 2.5} is from + {n} * 2.5); as_of; and expect, the findings in order of (episode, entity), each with the columns to compare, an episode as two offsets, the end null while it lasts. Optional: expect_state and expect_outcome of the run, each a text, or an array where it is up to the server. Exactly the sources that are named are bound; one with no rows is bound and empty.';

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
        rule.state := 'dormant';
        rule.params := rule.params || coalesce(fixture -> 'params', '{}');
        INSERT INTO raxx_detect.rules SELECT rule.*;
        PERFORM raxx_detect.load_fixture(fixture);
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
            observed := raxx_detect.observed_of(f.fixture, raxx_detect.observe_fixture(rule, f.fixture));
            ok := raxx_detect.is_as_expected(expected, observed);
            all_ok := all_ok AND ok;
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
'Runs the fixtures of one rule or of all, each through the rule''s real path and rolled back, and says for each what was expected, what was observed and whether they agree. Sets last_validated of the rules whose fixtures all passed, if one of them makes the rule fire. Error: 42704 unknown rule.';

-- fixtures
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'busy_history', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_login_failure_burst', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'ipv4_mapped', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'office_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'positive_ipv6', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_passkey_enumeration', 'wrong_group_ipv6', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'benign_history', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'history_is_no_excuse', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'last_instant', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'medium', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'medium_then_high', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'near_miss_baseline_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'near_miss_microsecond_distinct', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'new_operator_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'no_operator', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'repeat_extends', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'same_instant', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'same_permission', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'sole_operator', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'two_bursts', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'two_operators', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_rbac_denied_burst', 'wrong_group_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'busy_hour_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'daylight_saving', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'daylight_saving_quiet_hour', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'near_miss_quiet_hour', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'positive_ipv6', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('auth_session_creation_velocity', 'wrong_group_ipv6', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'across_midnight', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'benign_constant', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'near_miss', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'near_miss_hour', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'no_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'no_measurement', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_dyno_hour_spike', 'wrong_group_app', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'edge_after', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'edge_before', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'near_miss_after', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'near_miss_before', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'near_miss_not_over', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'no_item', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'other_item', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'same_instant', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('cost_heroku_addon_drift', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'baseline_closed', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'benign_lull', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'benign_quiet_hour', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'both_tables', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'closed', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'closing_edge', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'closing_edge_near_miss', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'critical', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'critical_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'high_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'near_miss_baseline_quantile', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'near_miss_event', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'near_miss_off_hours_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'night_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'off_hours', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'off_hours_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'off_hours_firing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'off_hours_near_miss', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'opening_edge', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'operator_active', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'operator_idle', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'overnight', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'sixty_minutes', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'sixty_minutes_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'ten_minutes_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'weekend_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'weekend_midday', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'whole_weekend', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_gap_window', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_audit_log_hash_chain_break', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'benign_zeros', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'near_miss', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'near_miss_active', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'near_miss_hour', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'positive_capped', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('data_backtest_benford', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'benign_deploy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'benign_deploy_after', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'deploy_of_another_app', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'deploy_too_early', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'near_miss_same_dyno', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_dyno_restart_cluster', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'benign_outliers', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'edge', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'near_miss', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'not_ready', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_postgres_p99_drift', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'benign_new_route', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'near_miss_zero_minutes', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'too_short', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('ops_sentry_error_rate_spike', 'zero_minutes', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'benign_no_history', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'benign_team', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'near_miss_shape', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'not_addresses', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'plus_tags_and_dots', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'positive_shape', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'positive_shape_history', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'subdomains', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'wrong_group_provider', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_email_pattern_anomaly', 'wrong_group_shape', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'mix_benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'mix_near_miss_floor', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'mix_near_miss_midnight', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'mix_no_country', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'mix_positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'near_miss_baseline_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'near_miss_new_entity', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'new_entity_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_geographic_burst', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'benign_busy', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'edge_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'near_miss_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'near_miss_baseline_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'near_miss_count', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'near_miss_microsecond', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'near_miss_new_entity', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'new_entity_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'no_origin', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'not_yet', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'one_episode', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'out_of_order', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'positive_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'ties', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'two_episodes', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'two_origins', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('signup_waitlist_velocity_per_origin', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'benign', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'cleared', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'edge_floor', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'near_miss_floor', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'near_miss_no_baseline', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'near_miss_not_over', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'near_miss_volume', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'positive', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'positive_day', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'positive_volume', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'source_empty', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'source_missing', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_postmark_bounce_spike', 'wrong_group', '{}');
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'benign', $fixture${
  "description": "A third of all calls failed all week (somebody tests against the endpoint); six failures of sixteen are no news.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-10 d", "every": "15 min", "until": "1 h", "signature_valid": true},
      {"at": "-10 d 3 min", "every": "30 min", "until": "-1 h", "signature_valid": false},
      {"at": "0 min", "every": "1 min", "until": "9 min", "signature_valid": true},
      {"at": "30 s", "every": "90 s", "until": "8 min", "signature_valid": false}
    ]
  },
  "as_of": "9 min",
  "expect": []
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'cleared', $fixture${
  "description": "The same, seen later: it ends when fewer than three failures are in the window.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-3 h", "every": "5 min", "until": "20 min", "signature_valid": true},
      {"at": "0 min", "every": "1 min", "until": "4 min", "signature_valid": false}
    ]
  },
  "as_of": "20 min",
  "expect": [
    {"entity": "stripe_webhook_events", "condition": "cleared", "observed": 5, "fired_by": "threshold", "episode": ["4 min", "12 min"]}
  ]
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'edge_microsecond', $fixture${
  "description": "Five failures, the fifth a microsecond before the first leaves the window.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-3 h", "every": "5 min", "until": "20 min", "signature_valid": true},
      {"at": "0 min", "every": "1 min", "until": "3 min", "signature_valid": false},
      {"at": "9 min 59.999999 s", "signature_valid": false}
    ]
  },
  "as_of": "9 min 59.999999 s",
  "expect": [
    {"entity": "stripe_webhook_events", "observed": 5, "condition": "firing", "episode": ["9 min 59.999999 s", null]}
  ]
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'near_miss_baseline', $fixture${
  "description": "Two failures in a minute: below the floor, however improbable.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-10 d", "every": "10 min", "until": "20 min", "signature_valid": true},
      {"at": "-10 d 3 min", "every": "13 h", "until": "-13 h", "signature_valid": false},
      {"at": "1 min", "every": "1 min", "until": "2 min", "signature_valid": false}
    ]
  },
  "as_of": "4 min",
  "expect": []
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'near_miss_count', $fixture${
  "description": "Four failed signatures and no baseline yet.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-3 h", "every": "5 min", "until": "20 min", "signature_valid": true},
      {"at": "0 min", "every": "1 min", "until": "3 min", "signature_valid": false}
    ]
  },
  "as_of": "8 min",
  "expect": []
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'near_miss_microsecond', $fixture${
  "description": "Five failures, the fifth exactly when the first has left the window.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-3 h", "every": "5 min", "until": "20 min", "signature_valid": true},
      {"at": "0 min", "every": "1 min", "until": "3 min", "signature_valid": false},
      {"at": "10 min", "signature_valid": false}
    ]
  },
  "as_of": "11 min",
  "expect": []
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'positive', $fixture${
  "description": "Five failed signatures in four minutes and no baseline yet: the threshold.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-3 h", "every": "5 min", "until": "20 min", "signature_valid": true},
      {"at": "0 min", "every": "1 min", "until": "4 min", "signature_valid": false}
    ]
  },
  "as_of": "8 min",
  "expect": [
    {"entity": "stripe_webhook_events", "severity": "high", "condition": "firing", "observed": 5, "threshold": 5, "fired_by": "threshold", "sample_size": 7, "episode": ["4 min", null]}
  ]
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'positive_baseline', $fixture${
  "description": "A failure each 13 hours is usual; three in two minutes are not, though they are fewer than the threshold.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-10 d", "every": "10 min", "until": "20 min", "signature_valid": true},
      {"at": "-10 d 3 min", "every": "13 h", "until": "-13 h", "signature_valid": false},
      {"at": "1 min", "every": "1 min", "until": "3 min", "signature_valid": false}
    ]
  },
  "as_of": "4 min",
  "expect": [
    {"entity": "stripe_webhook_events", "severity": "high", "condition": "firing", "observed": 3, "fired_by": "baseline", "threshold": 3, "sample_size": 4, "episode": ["3 min", null]}
  ]
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'source_empty', $fixture${
  "description": "A table for webhook calls is bound and holds no row: there is no data, which is not the same as nothing found.",
  "start": "2026-06-04T16:00:00Z",
  "sources": {
    "stripe_webhook_events": []
  },
  "as_of": "1 h",
  "expect": [],
  "expect_state": "placeholder",
  "expect_outcome": "no_data"
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'source_missing', $fixture${
  "description": "Nothing is bound that holds webhook calls: the rule is dormant, and not quiet.",
  "start": "2026-06-04T16:00:00Z",
  "sources": {},
  "as_of": "1 h",
  "expect": [],
  "expect_state": "dormant",
  "expect_outcome": "dormant"
}$fixture$);
INSERT INTO raxx_detect.fixtures (rule_id, name, fixture) VALUES ('webhook_stripe_signature_fail', 'wrong_group', $fixture${
  "description": "Many calls in a short time, all of them with a good signature.",
  "start": "2026-06-10T16:00:00Z",
  "sources": {
    "stripe_webhook_events": [
      {"at": "-10 d", "every": "10 min", "until": "20 min", "signature_valid": true},
      {"at": "-10 d 3 min", "every": "13 h", "until": "-13 h", "signature_valid": false},
      {"at": "0 min", "every": "1 s", "until": "5 min", "signature_valid": true}
    ]
  },
  "as_of": "6 min",
  "expect": []
}$fixture$);
