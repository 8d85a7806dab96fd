-- Days of counts: raxx_detect.learn_counts, whose counting raxx_detect.cell_counts does in one pass, against SQL that counts
-- by the definition. Every array, every sketch and every entity kept has to be the same.
BEGIN;
SELECT plan(78);
SET LOCAL timezone = 'UTC';

-- The twin.
CREATE FUNCTION public.naive_learn_counts(rule raxx_detect.rules, binding raxx_detect.source_bindings, day date, period tstzrange) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    cell interval := rule.params ->> 'window';
    value_column name := CASE rule.method WHEN 'distinct' THEN raxx_detect.role_column(binding, rule.params ->> 'value') END;
    out_entities text[];
    out_periods tstzrange[];
BEGIN
    SELECT array_agg(l.entity), array_agg(l.period) INTO out_entities, out_periods
    FROM raxx_detect.left_out(rule, binding.source, period) l;
    EXECUTE format(
        'WITH cells AS MATERIALIZED (
             SELECT entity, extract(hour FROM timezone($6, cell))::int AS hour, %7$s AS x,
                    (count(*) FILTER (WHERE NOT is_out))::int AS rows, (count(*) FILTER (WHERE is_out))::int AS rows_out
             FROM (SELECT %1$s AS entity, date_bin($5, t.%2$I, lower($4)) AS cell, %3$s AS value,
                          $7 IS NOT NULL AND EXISTS (SELECT FROM unnest($7, $8) l(entity, period)
                              WHERE l.entity = raxx_detect.bounded_entity(%1$s) AND t.%2$I <@ l.period) AS is_out
                   FROM %4$s t WHERE t.%2$I >= lower($4) AND t.%2$I < upper($4) AND t.%5$I IS NOT NULL %6$s) counted
             GROUP BY entity, cell
         ), hours AS MATERIALIZED (
             SELECT entity, hour, count(*) AS cells, sum(x) AS x, sum(x::float8 * x) AS squares FROM cells WHERE x > 0 GROUP BY entity, hour
         ), kept AS (
             SELECT entity FROM hours GROUP BY entity ORDER BY sum(x) DESC, entity COLLATE "C" LIMIT $9
         ), written AS (
             INSERT INTO raxx_detect.baselines (rule_id, source, day, entity, exposure, rows, squares, sketch)
             SELECT $1, $2, $3, NULL, %8$s::float8[], %9$s::bigint[], %10$s::float8[],
                    (SELECT raxx_detect.quantile_sketch(x::float8) FROM cells WHERE x > 0)
             FROM hours HAVING count(*) > 0
             UNION ALL
             SELECT $1, $2, $3, raxx_detect.bounded_entity(entity), $10, %9$s::bigint[], %10$s::float8[], NULL
             FROM hours JOIN kept USING (entity) GROUP BY entity
         )
         UPDATE raxx_detect.baseline_days b SET rows = coalesce(s.rows, 0), left_out = coalesce(s.rows_out, 0)
         FROM (SELECT sum(rows) AS rows, sum(rows_out) AS rows_out FROM cells) s
         WHERE b.rule_id = $1 AND b.source = $2 AND b.day = $3',
        raxx_detect.entity_expression(rule, binding, rule.params ->> 'entity'), binding.columns ->> 'event_time',
        CASE WHEN value_column IS NULL THEN 'NULL' ELSE format('raxx_detect.text_of(t.%I)', value_column) END, binding.relation,
        raxx_detect.role_column(binding, rule.params ->> 'entity'),
        CASE WHEN value_column IS NULL THEN '' ELSE format('AND t.%I IS NOT NULL', value_column) END,
        CASE WHEN value_column IS NULL THEN '(count(*) FILTER (WHERE NOT is_out))::int' ELSE '(count(DISTINCT value) FILTER (WHERE NOT is_out))::int' END,
        raxx_detect.hour_sums('cells'), raxx_detect.hour_sums('x'), raxx_detect.hour_sums('squares'))
    USING rule.rule_id, binding.source, day, period, cell, raxx_detect.rule_time_zone(rule), out_entities, out_periods,
        coalesce((rule.params ->> 'baseline_entities')::bigint, 0), raxx_detect.cells_by_hour(rule, period, cell);

    -- Of an entity whose rows were left out, the time that they were left out of was not observed.
    INSERT INTO raxx_detect.baselines AS b (rule_id, source, day, entity, exposure, rows, squares)
    SELECT rule.rule_id, binding.source, day, o.entity,
           ARRAY(SELECT greatest(a.cells - o.cells[a.hour], 0)
                 FROM unnest(raxx_detect.cells_by_hour(rule, period, cell)) WITH ORDINALITY a(cells, hour) ORDER BY a.hour),
           array_fill(0, '{24}'), array_fill(0, '{24}')
    FROM (SELECT l.entity, ARRAY(SELECT sum(u.cells) FROM unnest(out_entities, out_periods) p(entity, period)
                  CROSS JOIN LATERAL unnest(raxx_detect.cells_by_hour(rule, p.period, cell)) WITH ORDINALITY u(cells, hour)
                  WHERE p.entity = l.entity GROUP BY u.hour ORDER BY u.hour) AS cells
          FROM (SELECT DISTINCT u.entity FROM unnest(out_entities) u(entity)) l) o
    ON CONFLICT ON CONSTRAINT one_baseline_per_entity_and_day DO UPDATE SET exposure = EXCLUDED.exposure;
END $$;

-- What is left out, in place of findings.
CREATE TABLE public.out_rows (entity text NOT NULL, period tstzrange NOT NULL);
CREATE OR REPLACE FUNCTION raxx_detect.left_out(rule raxx_detect.rules, source text, within tstzrange, OUT entity text, OUT period tstzrange)
RETURNS SETOF record LANGUAGE sql STABLE AS $$ SELECT o.entity, o.period * $3 FROM public.out_rows o WHERE o.period && $3 $$;

CREATE FUNCTION pg_temp.pseudo_random(n bigint, seed bigint, below bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended(n, seed) & 1073741823) % below';
-- The first eleven are hostile: empty, long, alike in their first 200 characters, of several bytes a character.
CREATE FUNCTION pg_temp.some_name(k bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['', repeat('x', 200), repeat('x', 200) || 'y', repeat('x', 200) || 'z', repeat(chr(233), 150), repeat(chr(233), 201),
                  repeat('\', 210) || 'a', repeat('\', 210) || 'b', 'x', chr(1) || ' ', repeat('x', 199)])[k + 1] $$;
CREATE TYPE public.shade AS ENUM ('zinc', 'amber', 'mauve', 'blue', 'Grey', 'teal');

-- Around the days on which New York changes its clocks, with rows on the very midnights and a microsecond beside them.
CREATE TABLE public.events AS
SELECT id, CASE id % 50 WHEN 0 THEN date_trunc('day', at, 'America/New_York') WHEN 1 THEN date_trunc('day', at, 'America/New_York') - interval '1 microsecond'
                        WHEN 2 THEN date_trunc('minute', at) WHEN 3 THEN date_trunc('hour', at) ELSE at END AS at,
       CASE WHEN k < 11 THEN pg_temp.some_name(k) WHEN k < 80 THEN 'name ' || least(k, 30 + id % 20) END AS who,
       CASE WHEN k % 7 = 0 THEN NULL WHEN k % 3 = 0 THEN '2001:db8::' || to_hex(k % 5) || ':0:0:0:' || k
            WHEN k % 3 = 1 THEN '::ffff:203.0.113.' || k ELSE '203.0.113.' || k % 29 END::inet AS ip,
       nullif(k % 23, 22)::int - 9 AS number, md5((k % 17)::text)::uuid AS id_of, (enum_range(NULL::public.shade))[1 + k % 6] AS shade,
       k % 2 = 0 AS yes, substr('abcdefgh', 1 + k::int % 8, 1)::char(3) AS padded,
       CASE WHEN v < 11 THEN pg_temp.some_name(v) WHEN v < 20 THEN 'value ' || v END AS what
FROM (SELECT id, pg_temp.pseudo_random(id, 1, 100) AS k, pg_temp.pseudo_random(id, 2, 25) AS v,
             (ARRAY['2024-03-09 22:00+00', '2024-11-02 22:00+00']::timestamptz[])[1 + id % 2]
                 + CASE WHEN id % 4 < 2 THEN pg_temp.pseudo_random(id, 3, 36 * 3600000) ELSE 40000000 + pg_temp.pseudo_random(id, 3, 7000000) END * interval '1 ms' AS at
      FROM generate_series(1, 6000) id) e
UNION ALL VALUES (0, NULL::timestamptz, 'nobody', NULL::inet, 1, NULL::uuid, NULL::public.shade, NULL::boolean, NULL::char(3), 'w'), (-1, 'infinity', 'nobody', NULL::inet, 1, NULL::uuid, NULL::public.shade, NULL::boolean, NULL::char(3), 'w'),
                 (-2, '-infinity', 'nobody', NULL::inet, 1, NULL::uuid, NULL::public.shade, NULL::boolean, NULL::char(3), 'w');
CREATE TABLE public.indexed (LIKE public.events);
CREATE INDEX ON public.indexed (at);
INSERT INTO public.indexed SELECT * FROM public.events ORDER BY md5(id::text);
CREATE VIEW public.seen AS SELECT * FROM public.events;
ANALYZE public.events, public.indexed;

-- What a learner writes for a day.
CREATE FUNCTION pg_temp.learnt(learner regproc, rule raxx_detect.rules, binding raxx_detect.source_bindings, day date) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    period tstzrange := tstzrange(raxx_detect.day_starts(rule, day), raxx_detect.day_starts(rule, day + 1));
BEGIN
    DELETE FROM raxx_detect.baseline_days;
    INSERT INTO raxx_detect.baseline_days VALUES (rule.rule_id, binding.source, day, 1, -1, -1, '');
    EXECUTE format('SELECT %s($1, $2, $3, $4)', learner) USING rule, binding, day, period;
    RETURN QUERY SELECT b::text FROM raxx_detect.baselines b UNION ALL SELECT d::text FROM raxx_detect.baseline_days d;
END $$;
-- The number of lines that both write; -1 if they differ.
CREATE FUNCTION pg_temp.agreed(params jsonb, day date DEFAULT '2024-03-10', relation text DEFAULT 'public.events') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    rule raxx_detect.rules;
    binding raxx_detect.source_bindings;
    ours text[];
    naive text[];
BEGIN
    SELECT r.* INTO rule FROM raxx_detect.rules r WHERE r.number = 4;
    rule.method := CASE WHEN params ? 'value' THEN 'distinct' ELSE 'velocity' END;
    rule.params := '{"entity": "who", "window": "1 minute", "time_zone": "America/New_York", "baseline_entities": 10}'::jsonb || params;
    binding := jsonb_populate_record(NULL::raxx_detect.source_bindings, jsonb_build_object('source', 'waitlist_signups', 'relation', relation, 'lateness', '10 minutes',
        'columns', '{"event_time": "at", "who": "who", "what": "what", "ip": "ip", "number": "number", "id_of": "id_of", "shade": "shade", "yes": "yes", "padded": "padded"}'::jsonb));
    ours := ARRAY(SELECT l FROM pg_temp.learnt('raxx_detect.learn_counts', rule, binding, day) l ORDER BY l COLLATE "C");
    naive := ARRAY(SELECT l FROM pg_temp.learnt('public.naive_learn_counts', rule, binding, day) l ORDER BY l COLLATE "C");
    IF ours IS DISTINCT FROM naive THEN
        RAISE WARNING USING MESSAGE = 'only ours: ' || left(ARRAY(SELECT unnest(ours) EXCEPT SELECT unnest(naive))::text, 2000)
            || E'\nonly naive: ' || left(ARRAY(SELECT unnest(naive) EXCEPT SELECT unnest(ours))::text, 2000);
        RETURN -1;
    END IF;
    RETURN array_length(ours, 1);
END $$;

-- ---- entities, values, hours and what is kept ----------------------------------------------------------------------
SELECT is(pg_temp.agreed('{}'), 12, 'texts: ten entities, all together and the day');
SELECT is(pg_temp.agreed('{"baseline_entities": 1000}'), 51, 'all entities');
SELECT is(pg_temp.agreed(jsonb_build_object('baseline_entities', k)), 2 + k, 'the busiest ' || k) FROM generate_series(1, 49, 6) k;
SELECT is(pg_temp.agreed('{"baseline_entities": 0}'), 2, 'none but all together');
SELECT is(pg_temp.agreed('{"value": "what"}'), 12, 'distinct texts');
SELECT is(pg_temp.agreed('{"value": "what", "window": "10 minutes", "baseline_entities": 33}'), 35, 'distinct texts in longer cells');
SELECT is(pg_temp.agreed('{"value": "ip", "window": "2 hours"}'), 12, 'distinct addresses');
SELECT is(pg_temp.agreed('{}', '2024-11-03'), 12, 'a day of 25 hours');
SELECT is(pg_temp.agreed('{"value": "number", "window": "30 minutes"}', '2024-11-03'), 12, 'distinct numbers on it');
SELECT is(pg_temp.agreed(jsonb_build_object('window', w, 'time_zone', z), d), 12, format('cells of %s in %s on %s', w, z, d))
FROM (VALUES ('7 minutes', 'America/New_York', date '2024-03-10'), ('7 minutes', 'America/New_York', '2024-11-03'), ('90 minutes', 'America/New_York', '2024-11-03'),
             ('00:00:07.77', 'America/New_York', '2024-03-10'), ('1 hour', 'Asia/Kolkata', '2024-03-10'), ('5 hours', 'Asia/Kathmandu', '2024-11-03'),
             ('1 day', 'America/New_York', '2024-11-03'), ('100 days', 'UTC', '2024-03-10')) v(w, z, d);
SELECT is(pg_temp.agreed('{}', '2020-01-01'), 1, 'a day without a row');
SELECT is(pg_temp.agreed('{"entity": "ip", "ipv4_prefix": 32, "ipv6_prefix": 64, "baseline_entities": 9}'), 11, 'networks');
SELECT is(pg_temp.agreed('{"entity": "ip", "ipv4_prefix": 27, "ipv6_prefix": 48, "baseline_entities": 2}'), 4, 'wide networks');
SELECT is(pg_temp.agreed('{"entity": "ip", "baseline_entities": 21}'), 23, 'single addresses');
SELECT is(pg_temp.agreed(jsonb_build_object('entity', e, 'baseline_entities', k)), 2 + k, e)
FROM (VALUES ('number', 7), ('id_of', 9), ('shade', 5), ('yes', 1), ('padded', 3)) v(e, k);

-- However the rows come.
SELECT is(pg_temp.agreed('{"value": "what"}', relation => 'public.indexed'), 12, 'by an index');
SELECT is(pg_temp.agreed('{}', relation => 'public.seen'), 12, 'from a view');

-- ---- equal sums: the first by text, also where the bytes compared are others -----------------------------------------
CREATE TABLE public.ties AS
SELECT timestamptz '2024-03-10 12:00+00' + n * interval '1 minute' AS at, n % 30 - 12 AS number, ('203.0.' || n % 15 || '.' || n % 30)::inet AS ip,
       chr(97 + n % 26) || repeat('y', n % 30 * 20) AS who, (enum_range(NULL::public.shade))[1 + n % 6] AS shade, 'v' AS what, NULL::uuid AS id_of, true AS yes, 'a' AS padded
FROM generate_series(0, 389) n;
SELECT is((SELECT min(pg_temp.agreed(jsonb_build_object('entity', e, 'baseline_entities', k), relation => 'public.ties') - k) FROM generate_series(1, 5, 2) k), 2, 'ties of ' || e)
FROM unnest('{number,ip,who,shade}'::text[]) e;

-- ---- what is left out ------------------------------------------------------------------------------------------------
INSERT INTO public.out_rows
SELECT e, p.period::tstzrange
FROM unnest(ARRAY['', raxx_detect.bounded_entity(repeat('x', 200) || 'y'), raxx_detect.bounded_entity(repeat(chr(233), 201)), raxx_detect.bounded_entity(repeat('\', 210) || 'b'),
                  'name 30', '7', '203.0.113.5', '2001:db8:0:3::/64', md5('3')::uuid::text, 'blue', 't', 'b  ', repeat('x', 200) || 'z']) e,
     (VALUES ('[2024-03-10 08:00+00,2024-03-10 12:00+00)'), ('(2024-03-10 11:00+00,2024-03-10 12:30:00.000001+00]'), ('[2024-03-10 20:00+00,infinity]'), ('empty')) p(period);
SELECT ok(pg_temp.agreed(params) > 5, 'left out: ' || params::text)
FROM (VALUES ('{"baseline_entities": 1000, "window": "10 minutes"}'::jsonb), ('{"value": "what", "window": "7 minutes"}'), ('{"entity": "number", "window": "30 minutes"}'),
             ('{"entity": "ip", "ipv4_prefix": 32, "ipv6_prefix": 64, "window": "10 minutes"}'), ('{"entity": "ip", "window": "1 hour"}'), ('{"entity": "id_of", "window": "1 hour"}'),
             ('{"entity": "shade", "window": "1 hour"}'), ('{"entity": "yes", "window": "1 hour"}'), ('{"entity": "padded", "window": "1 hour"}')) v(params);
SELECT cmp_ok((SELECT left_out FROM raxx_detect.baseline_days), '>', 5::bigint, 'and counted');

-- ---- plainly -----------------------------------------------------------------------------------------------------------
CREATE TABLE public.few AS SELECT timestamptz '2024-03-10 00:00+00' + at::interval AS at, who, what FROM (VALUES
    ('0', 'a', 'v'), ('00:00:01', 'a', 'v'), ('00:00:59.999999', 'a', 'w'), ('00:01', 'a', 'w'), ('01:00', 'b', 'v'), ('01:00:30', 'b', NULL), ('01:30', NULL, 'v'),
    ('01:31', 'c', 'v'), ('02:00', 'd', 'v')) v(at, who, what);
CREATE FUNCTION pg_temp.few(value name, keep bigint, until text DEFAULT '2024-03-10 02:00+00', VARIADIC left_out text[] DEFAULT '{}')
RETURNS TABLE (entity text, cells bigint[], sums bigint[], squares float8[], sketch text, counted bigint, left_out bigint) LANGUAGE sql AS $$
    SELECT c.entity, c.cells[1:3], c.sums[1:3], c.squares[1:3], c.sketch::text, c.counted, c.left_out
    FROM raxx_detect.cell_counts('public.few', 'at', 'who', value, NULL, '1 minute', '2024-03-10 00:00+00', until::timestamptz,
        '{2024-03-10 00:00+00,2024-03-10 01:00+00}', '{0,2}', left_out, array_fill(tstzrange '[2024-03-10 00:01+00,)', ARRAY[cardinality(left_out)]), keep) c $$;
SELECT results_eq('SELECT * FROM pg_temp.few(NULL, 2)', $$VALUES (NULL, '{2,0,2}'::bigint[], '{4,0,3}'::bigint[], '{10,0,5}'::float8[],
    raxx_detect.quantile_sketch_out((SELECT raxx_detect.quantile_sketch(x) FROM unnest('{3,1,2,1}'::float8[]) x))::text, 7::bigint, 0::bigint),
    ('a', '{2,0,0}', '{4,0,0}', '{10,0,0}', NULL, NULL, NULL), ('b', '{0,0,1}', '{0,0,2}', '{0,0,4}', NULL, NULL, NULL)$$, 'rows by hand');
SELECT results_eq($$SELECT * FROM pg_temp.few('what', 3)$$, $$VALUES (NULL, '{2,0,2}'::bigint[], '{3,0,2}'::bigint[], '{5,0,2}'::float8[],
    raxx_detect.quantile_sketch_out((SELECT raxx_detect.quantile_sketch(x) FROM unnest('{2,1,1,1}'::float8[]) x))::text, 6::bigint, 0::bigint),
    ('a', '{2,0,0}', '{3,0,0}', '{5,0,0}', NULL, NULL, NULL), ('b', '{0,0,1}', '{0,0,1}', '{0,0,1}', NULL, NULL, NULL), ('c', '{0,0,1}', '{0,0,1}', '{0,0,1}', NULL, NULL, NULL)$$, 'values by hand');
SELECT results_eq($$SELECT entity, sums, counted, left_out FROM pg_temp.few(NULL, 9, '2024-03-10 02:00+00', 'a', 'c', 'nobody')$$,
    $$VALUES (NULL, '{3,0,2}'::bigint[], 5::bigint, 2::bigint), ('a', '{3,0,0}', NULL, NULL), ('b', '{0,0,2}', NULL, NULL)$$, 'left out by hand');
SELECT results_eq($$SELECT entity, cells, sketch, counted FROM pg_temp.few(NULL, 9, '2024-03-10 00:00+00')$$,
    $$VALUES (NULL::text, '{0,0,0}'::bigint[], NULL::text, 0::bigint)$$, 'nothing by hand');
SELECT is(raxx_detect.reading() = before, true, 'what was learnt from is no reading')
FROM (SELECT raxx_detect.reading() AS before, count(*) FROM pg_temp.few('what', 1)) b;

-- ---- errors --------------------------------------------------------------------------------------------------------------
CREATE FUNCTION pg_temp.refused(change text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    a jsonb := '{"relation": "public.few", "event_time": "at", "entity": "who", "cell": "1 minute", "from_time": "2024-03-10 00:00+00", "to_time": "2024-03-11 00:00+00",
                 "hour_starts": "{2024-03-10 00:00+00,2024-03-10 01:00+00}", "hours": "{0,1}", "keep": 1}'::jsonb || jsonb_build_object(change, value);
BEGIN
    PERFORM raxx_detect.cell_counts((a ->> 'relation')::regclass, (a ->> 'event_time')::name, (a ->> 'entity')::name, (a ->> 'value')::name, (a ->> 'network')::int[],
        (a ->> 'cell')::interval, (a ->> 'from_time')::timestamptz, (a ->> 'to_time')::timestamptz, (a ->> 'hour_starts')::timestamptz[], (a ->> 'hours')::int[],
        (a ->> 'left_out_entities')::text[], '{"[2024-03-10,2024-03-11)"}', (a ->> 'keep')::bigint);
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT is(pg_temp.refused(change, value), expected, coalesce(change || ' ' || value, change || ' NULL'))
FROM (VALUES
    ('keep', '0', 'done'),
    ('keep', '-1', '22023 keep must be from 0 to 10000000'),
    ('keep', NULL, '22004 keep must not be NULL'),
    ('cell', '0', '22023 cell must be positive'),
    ('cell', '1 month', '22023 cell must have a fixed length'),
    ('from_time', '-infinity', '22023 from_time and to_time must be finite'),
    ('from_time', '2024-03-12 00:00+00', '22023 from_time must not be after to_time'),
    ('to_time', 'infinity', '22023 from_time and to_time must be finite'),
    ('hour_starts', '{}', '22023 hour_starts and hours must be the hours of the clock'),
    ('hour_starts', '{2024-03-10 00:00:01+00,2024-03-10 01:00+00}', '22023 hour_starts and hours must be the hours of the clock'),
    ('hour_starts', '{2024-03-10 00:00+00,2024-03-10 00:00+00}', '22023 hour_starts and hours must be the hours of the clock'),
    ('hour_starts', '{2024-03-10 00:00+00,NULL}', '22004 hour_starts must not hold NULL'),
    ('hours', '{0,24}', '22023 hour_starts and hours must be the hours of the clock'),
    ('hours', '{-1,1}', '22023 hour_starts and hours must be the hours of the clock'),
    ('left_out_entities', '{a}', 'done'),
    ('left_out_entities', '{a,b}', '22023 what is left out must be arrays of the same length'),
    ('left_out_entities', '{NULL}', '22004 left_out_entities must not hold NULL'),
    ('entity', 'nobody', '42703 column "nobody" of relation "few" does not exist'),
    ('event_time', 'who', '42804 column "who" of relation "few" is not a timestamp with time zone'),
    ('network', '{33,64}', '22023 network must be two prefix lengths')) v(change, value, expected);

-- ---- memory ----------------------------------------------------------------------------------------------------------------
CREATE TABLE public.many AS
SELECT timestamptz '2024-03-10 00:00+00' + pg_temp.pseudo_random(n, 1, 86400) * interval '1 second' AS at, pg_temp.pseudo_random(n, 2, 100)::text AS who, n::text AS other
FROM generate_series(1, 300000) n;
CREATE FUNCTION pg_temp.many(entity name) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(c::text, '' ORDER BY c.entity)) FROM raxx_detect.cell_counts('public.many', 'at', entity, NULL, NULL, '1 minute',
        '2024-03-10 00:00+00', '2024-03-11 00:00+00', '{2024-03-10 00:00+00}', '{0}', NULL, NULL, 50) c $$;
CREATE TABLE memory AS SELECT pg_temp.many('who') AS answer;
SET LOCAL raxx_detect.memory_limit = '16MB';
SELECT is(pg_temp.many('who'), answer, 'where the rows do not fit, the executor sorts them') FROM memory;
SELECT throws_ok('SELECT pg_temp.many(''other'')', '54000', 'evaluation needs more memory than it may have', 'where the entities do not fit, there is an error');
SELECT is(pg_temp.many('who'), answer, 'and after it all is well') FROM memory;

SELECT * FROM finish();
ROLLBACK;
