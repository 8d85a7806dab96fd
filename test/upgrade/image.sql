-- All rows of all tables of the extension, and the state of its sequences, as text that does not depend on the server:
-- by it a database is compared with one that was dumped, restored or upgraded. For psql -At.
-- The variable `without` names columns (text[]) and `tables` (a regular expression) the tables to look at.
\if :{?without}
\else
    \set without '{}'
\endif
\if :{?tables}
\else
    \set tables ''
\endif
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET search_path = pg_catalog, pg_temp;
SELECT CASE c.relkind WHEN 'S' THEN format('SELECT %L, last_value, is_called FROM %s', c.oid::regclass, c.oid::regclass)
       ELSE format('SELECT %L, to_jsonb(t) - %L::text[] FROM %s t ORDER BY (to_jsonb(t) - %L::text[])::text COLLATE "C"',
                   c.oid::regclass, :'without', c.oid::regclass, :'without') END
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
WHERE e.extname = 'raxx_detect' AND c.relname ~ :'tables'
ORDER BY c.relname COLLATE "C" \gexec
