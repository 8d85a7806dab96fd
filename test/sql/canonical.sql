-- The canonical form of values in the hash chain: what docs/chain-format.md says, whatever the settings, and however stored.
SET client_min_messages = warning;
CREATE SCHEMA canonical;
CREATE EXTENSION citext SCHEMA canonical;
SET search_path = canonical, public;
CREATE TYPE mood AS ENUM ('ok', 'sehr glücklich');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN positives AS positive[];

-- ---- kinds ----------------------------------------------------------------------------------------------------------
SELECT string_agg(t::text, ', ') AS types, raxx_detect.canonical_kind(t) AS kind
FROM unnest('{boolean,smallint,integer,bigint,real,double precision,numeric,text,varchar,name,citext,character,bytea,timestamptz,
    timestamp,date,time,timetz,interval,uuid,inet,cidr,macaddr,macaddr8,jsonb,json,mood,bit,bit varying,positive,positives,
    text[],numeric[],name[],mood[],positives[],citext[]}'::regtype[]) WITH ORDINALITY AS u (t, place)
GROUP BY kind ORDER BY min(place);

SELECT string_agg(t::text, ', ') AS without_a_kind
FROM unnest('{oid,regclass,regtype,xid,tid,pg_lsn,"\"char\"",money,xml,int4range,int4multirange,point,tsvector,oidvector,
    pg_node_tree,record,anyelement,cstring,pg_class,regclass[],int4range[],pg_class[]}'::regtype[]) AS t
WHERE raxx_detect.canonical_kind(t) IS NULL;
SELECT raxx_detect.canonical_kind(0), raxx_detect.canonical_kind(1), raxx_detect.canonical_kind(NULL);

-- ---- golden values (test/golden/chain.py) -----------------------------------------------------------------------------
CREATE TABLE golden (kind text, type text, value text, hex text);
\copy golden FROM PROGRAM 'cat "$PG_ABS_SRCDIR"/golden/chain_values.csv' WITH (FORMAT csv, HEADER, ENCODING 'UTF8', FORCE_NOT_NULL (value))

CREATE FUNCTION form_of(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE form bytea;
BEGIN
    EXECUTE format('SELECT raxx_detect.canonical_row(%L::%s)', value, type) INTO form;
    RETURN encode(form, 'hex');
END $$;

CREATE VIEW wrong AS
SELECT * FROM (SELECT *, form_of(type, value) AS form, raxx_detect.canonical_kind(type::regtype) AS their_kind FROM golden) g
WHERE (form, their_kind) IS DISTINCT FROM (hex, kind);
SELECT count(*) > 150 AS enough FROM golden;
SELECT type, left(value, 40) AS value, left(hex, 80) AS hex, left(form, 80) AS form, their_kind FROM wrong;

-- Settings change nothing.
BEGIN;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL extra_float_digits = -15;
SET LOCAL bytea_output = 'escape';
SET LOCAL client_encoding = 'LATIN1';
SET LOCAL lc_numeric = 'C';
SET LOCAL lc_monetary = 'C';
SET LOCAL lc_time = 'C';
SET LOCAL xmloption = 'document';
SET LOCAL quote_all_identifiers = on;
SELECT count(*) AS wrong FROM wrong;
ROLLBACK;

-- ---- twins: the same bytes from what the server has ------------------------------------------------------------------
CREATE FUNCTION len32(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT int4send(length($1)) || $1 $$;
CREATE FUNCTION text_form(text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT len32(convert_to($1, 'UTF8')) $$;

SELECT setseed(0.5);
CREATE TABLE numerics AS
SELECT (CASE WHEN random() < 0.5 THEN '-' ELSE '' END || CASE WHEN random() < 0.3 THEN '0' ELSE trunc((random() * 1e9)::bigint * 10::numeric ^ (random() * 40)::int) END
    || '.' || repeat('0', (random() * 12)::int) || left((random() * 1e18)::bigint::text, (random() * 30)::int) || '0')::numeric
    * CASE WHEN random() < 0.5 THEN 1 ELSE 10::numeric ^ ((random() - 0.5) * 80)::int END AS value
FROM generate_series(1, 20000) n;
SELECT count(*) AS of, count(DISTINCT scale(value)) > 30 AS many_scales, count(*) FILTER (WHERE raxx_detect.canonical_row(value) <> text_form(value::text)) AS wrong FROM numerics;
SELECT length(raxx_detect.canonical_row(value)), raxx_detect.canonical_row(value) = text_form(value::text) AS same
FROM unnest('{1e131071,-1e131071,1e-16383,NaN,Infinity,-Infinity}'::numeric[] || (1e131071 + 1e-16383) || (0.1::numeric(1000,1000) * 1)) AS value;

CREATE FUNCTION jsonb_form(value jsonb) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    type text := jsonb_typeof(value);
    form bytea;
BEGIN
    IF type = 'array' THEN
        SELECT convert_to('[', 'UTF8') || int4send(count(*)::int) || coalesce(string_agg(jsonb_form(e), '' ORDER BY place), '') INTO form
        FROM jsonb_array_elements(value) WITH ORDINALITY AS u (e, place);
    ELSIF type = 'object' THEN
        SELECT convert_to('{', 'UTF8') || int4send(count(*)::int)
            || coalesce(string_agg(text_form(key) || jsonb_form(e), '' ORDER BY octet_length(key), key COLLATE "C"), '') INTO form
        FROM jsonb_each(value) AS u (key, e);
    ELSIF type IN ('string', 'number') THEN
        form := CASE type WHEN 'string' THEN '\x73'::bytea ELSE '\x23' END || text_form(value #>> '{}');
    ELSE
        form := convert_to(left(type, 1), 'UTF8');
        IF type = 'boolean' THEN form := convert_to(left(value::text, 1), 'UTF8'); END IF;
    END IF;
    RETURN form;
END $$;

CREATE FUNCTION random_jsonb(depth int) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE what int := (random() * CASE WHEN depth > 4 THEN 5 ELSE 11 END)::int;
BEGIN
    RETURN CASE
        WHEN what = 0 THEN 'null'
        WHEN what = 1 THEN to_jsonb(random() < 0.5)
        WHEN what IN (2, 3) THEN to_jsonb(round(((random() - 0.5) * 10 ^ (random() * 20)::int)::numeric, (random() * 10)::int))
        WHEN what IN (4, 5) THEN to_jsonb(repeat(chr(40 + (random() * 1000)::int), (random() * 9)::int))
        WHEN what < 9 THEN (SELECT coalesce(jsonb_agg(random_jsonb(depth + 1)), '[]') FROM generate_series(1, (random() * 40 / 4 ^ depth)::int))
        ELSE (SELECT coalesce(jsonb_object_agg(repeat(chr(40 + (random() * 1000)::int), n % 7), random_jsonb(depth + 1)), '{}')
              FROM generate_series(1, (random() * 40 / 4 ^ depth)::int) n) END;
END $$;
CREATE TABLE jsonbs AS SELECT random_jsonb(0) AS value FROM generate_series(1, 2000);
SELECT count(*) AS of, max(pg_column_size(value)) > 2000 AS large_ones, count(*) FILTER (WHERE raxx_detect.canonical_row(value) <> len32(jsonb_form(value))) AS wrong FROM jsonbs;

-- ---- NULL, empty, absent ------------------------------------------------------------------------------------------------
SELECT raxx_detect.canonical_row(''::text), raxx_detect.canonical_row(NULL::text), raxx_detect.canonical_row(NULL::int[], NULL::jsonb, 'null'::jsonb),
    raxx_detect.canonical_row('{}'::int[], '{NULL}'::int[]);
-- Columns are told apart.
SELECT raxx_detect.canonical_row('a'::text, 'bc'::text) <> raxx_detect.canonical_row('ab'::text, 'c'::text) AS ab_c,
    raxx_detect.canonical_row('a'::text, NULL::text) <> raxx_detect.canonical_row(NULL::text, 'a'::text) AS a_null;

-- Columns added with a default, whose values no row holds.
CREATE TABLE grown (id int);
INSERT INTO grown VALUES (1);
ALTER TABLE grown ADD COLUMN a numeric DEFAULT 1.50, ADD COLUMN b text DEFAULT 'é', ADD COLUMN c jsonb DEFAULT '{"a": [1]}', ADD COLUMN d int[] DEFAULT '{1}', ADD COLUMN e timestamptz;
SELECT raxx_detect.canonical_row(id, a, b, c, d, e) = raxx_detect.canonical_row(1, 1.50, 'é'::text, '{"a": [1]}'::jsonb, '{1}'::int[], NULL::date) AS same FROM grown;

-- Another type of the same kind, and a rewritten table.
CREATE TABLE widened AS SELECT 7::smallint AS i, 0.1::real AS f, 'x'::varchar(5) AS t;
SELECT raxx_detect.canonical_row(i, f, t) AS before FROM widened \gset
ALTER TABLE widened ALTER i TYPE bigint, ALTER f TYPE double precision, ALTER t TYPE text;
SELECT raxx_detect.canonical_row(i, f, t) = :'before' AS same FROM widened;

-- NaNs of all bits are one; the zeros are two.
SELECT raxx_detect.canonical_row('NaN'::float8) = raxx_detect.canonical_row(-'NaN'::float8) AS nan, raxx_detect.canonical_row('NaN'::float8) = raxx_detect.canonical_row('NaN'::real) AS nan_of_a_real,
    raxx_detect.canonical_row(0::float8) <> raxx_detect.canonical_row('-0'::float8) AS zero;

-- An enum's label is its form.
CREATE TABLE felt AS SELECT (enum_range(NULL::mood))[1 + n % 2] AS mood FROM generate_series(1, 100) n;
SELECT DISTINCT raxx_detect.canonical_row(mood) = text_form(mood::text) FROM felt;
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
SELECT DISTINCT raxx_detect.canonical_row(mood) = text_form(mood::text), mood FROM felt ORDER BY mood;
DO $$
DECLARE
    forms bytea[];
    feeling mood := 'fine';
BEGIN
    FOR i IN 1..2 LOOP
        forms[i] := raxx_detect.canonical_row(feeling);
        IF i = 1 THEN ALTER TYPE mood RENAME VALUE 'fine' TO 'well'; END IF;
    END LOOP;
    ASSERT forms = ARRAY[text_form('fine'), text_form('well')], forms::text;
END $$;
CREATE TYPE many AS ENUM ();
DO $$ BEGIN
    FOR n IN 1..100 LOOP EXECUTE format('ALTER TYPE many ADD VALUE %L', 'value ' || n); END LOOP;
END $$;
SELECT count(*) FILTER (WHERE raxx_detect.canonical_row(v) <> text_form(v::text)) AS wrong, count(*) FROM unnest(enum_range(NULL::many) || enum_range(NULL::many)) v;

-- ---- as it is stored ----------------------------------------------------------------------------------------------------
-- Large values: plain, compressed in the row, out of line, and both. Half of each cannot be compressed.
CREATE VIEW fresh AS
SELECT s AS t, s::bytea AS b, to_jsonb(ARRAY[s, s]) AS j, json_build_object('a', s) AS o, (repeat('12345', 500) || '.' || repeat('0', 300) || n)::numeric AS d,
    ARRAY[s, NULL, s] AS a, s::varchar AS v, s::canonical.citext AS c, s::char(20000) AS p, repeat('10', 8000)::bit varying AS bits
FROM (SELECT n, CASE WHEN n % 2 = 0 THEN repeat('été ', 1500) ELSE (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 200) i) END AS s
      FROM generate_series(1, 10) n) x;
\set columns 't, b, j, o, d, a, v, c, p, bits'
CREATE TABLE stored AS SELECT '' AS storage, ''::bytea AS body, * FROM fresh LIMIT 0;
CREATE FUNCTION store(way text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 'stored'::regclass AND attnum > 2 LOOP
        EXECUTE format('ALTER TABLE stored ALTER %I SET STORAGE %s', name, CASE way WHEN 'compressed' THEN 'main' WHEN 'external' THEN 'external' ELSE 'extended' END);
    END LOOP;
    INSERT INTO stored SELECT way, digest.*, f.* FROM fresh f, LATERAL (SELECT sha256(raxx_detect.canonical_row(t, b, j, o, d, a, v, c, p, bits))) digest;
END $$;
SELECT store(way) FROM unnest('{compressed,external,extended}'::text[]) way;
SELECT storage, count(*), count(*) FILTER (WHERE body <> sha256(raxx_detect.canonical_row(:columns))) AS wrong,
    count(*) FILTER (WHERE pg_column_compression(t) IS NOT NULL) AS compressed,
    count(*) FILTER (WHERE raxx_detect.canonical_row(t) <> text_form(t)) AS wrong_texts,
    count(*) FILTER (WHERE raxx_detect.canonical_row(j) <> len32(jsonb_form(j))) AS wrong_jsonbs,
    count(*) FILTER (WHERE raxx_detect.canonical_row(d) <> text_form(d::text)) AS wrong_numerics
FROM stored GROUP BY storage ORDER BY storage;
SELECT pg_relation_size(reltoastrelid) > 100000 AS out_of_line FROM pg_class WHERE oid = 'stored'::regclass;

-- An array that PL/pgSQL keeps expanded.
DO $$
DECLARE a int[] := '{}';
BEGIN
    FOR i IN 1..1000 LOOP a[i] := i; END LOOP;
    a[500] := NULL;
    ASSERT raxx_detect.canonical_row(a) = raxx_detect.canonical_row(a::text::int[]);
END $$;

-- ---- what cannot be ---------------------------------------------------------------------------------------------------
DO $$
DECLARE
    query text;
    state text; message text; detail text; hint text;
BEGIN
    FOREACH query IN ARRAY ARRAY[
        'SELECT raxx_detect.canonical_row(1, ''pg_class''::regclass)',
        'SELECT raxx_detect.canonical_row(int4range(1, 2))',
        'SELECT raxx_detect.canonical_row(ROW(1, 2))',
        'SELECT raxx_detect.canonical_row(''an unknown literal'')',
        'SELECT raxx_detect.canonical_row(VARIADIC ARRAY[1, 2])',
        'SELECT length(raxx_detect.canonical_row(t, t)) FROM (SELECT repeat(''x'', 540000000) AS t) x'] LOOP
        BEGIN
            EXECUTE query;
            RAISE WARNING 'no error: %', query;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE WARNING USING MESSAGE = query || E'\n' || state || ': ' || message || E'\n' || regexp_replace(detail, '[0-9]{4,}', '...', 'g') || E'\n' || hint;
        END;
    END LOOP;
END $$;

-- Deep nesting.
SELECT raxx_detect.canonical_row((repeat('[', 3000) || repeat(']', 3000))::jsonb) = decode('00003a98' || repeat('5b00000001', 2999) || '5b00000000', 'hex') AS same;
SELECT raxx_detect.canonical_row((repeat('{"a":', 3000) || '1' || repeat('}', 3000))::jsonb) = len32(decode(repeat('7b000000010000000161', 3000) || '230000000131', 'hex')) AS same;
CREATE TABLE deep AS SELECT (repeat('[', 3000) || repeat(']', 3000))::jsonb AS j;
SET max_stack_depth = '100kB';
SELECT raxx_detect.canonical_row(j) FROM deep;
RESET max_stack_depth;

SET client_min_messages = warning;
DROP SCHEMA canonical CASCADE;
