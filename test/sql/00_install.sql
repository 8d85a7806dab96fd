-- What CREATE EXTENSION leaves in a database: everything is explained, and nothing can be used against its owner.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS raxx_detect;
DROP EXTENSION IF EXISTS btree_gist;
RESET client_min_messages;

CREATE EXTENSION raxx_detect CASCADE;

-- Its schema is its own, of a fixed name.
SELECT e.extname, n.nspname, e.extrelocatable, e.extversion = d.default_version AS is_default_version
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_available_extensions d ON d.name = e.extname
WHERE e.extname = 'raxx_detect';

CREATE TEMPORARY VIEW members AS
SELECT d.classid::regclass AS catalog, d.objid, pg_describe_object(d.classid, d.objid, d.objsubid) AS object
FROM pg_depend d
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'raxx_detect');

-- Every object lies in it.
SELECT m.object
FROM members m
CROSS JOIN LATERAL pg_identify_object(m.catalog, m.objid, 0) i
WHERE i.schema IS DISTINCT FROM 'raxx_detect'
ORDER BY m.object COLLATE "C";

-- Every function, aggregate, table, view and type has a comment; sequences, row types and arrays come with other objects.
SELECT DISTINCT (pg_identify_object(m.catalog, m.objid, 0)).type
FROM members m ORDER BY 1;

SELECT m.object
FROM members m
WHERE (pg_identify_object(m.catalog, m.objid, 0)).type <> 'sequence' AND obj_description(m.objid, m.catalog::name) IS NULL
  AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                  WHERE m.catalog = 'pg_type'::regclass AND t.oid = m.objid AND (t.typcategory = 'A' OR c.relkind <> 'c'))
ORDER BY m.object COLLATE "C";

-- Every function of SQL or PL/pgSQL has its search_path pinned, or was parsed when it was created, so that nobody's schema
-- can get in between. (A procedure that commits cannot have it pinned: it is written without a name that a search_path would find.)
SELECT p.oid::regprocedure AS function, l.lanname, p.proconfig
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'raxx_detect'::regnamespace AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL AND p.prokind <> 'p'
  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);

-- No function runs with other rights than its caller's.
SELECT p.oid::regprocedure AS function
FROM pg_proc p
WHERE p.pronamespace = 'raxx_detect'::regnamespace AND p.prosecdef;

-- PUBLIC has no right to any table, view or sequence, nor to the schema.
SELECT c.oid::regclass AS relation, a.privilege_type
FROM pg_class c
CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND a.grantee = 0;

SELECT a.privilege_type
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE n.nspname = 'raxx_detect' AND a.grantee = 0;

-- What a planner may do with the functions: the statistics are immutable, strict and parallel safe.
SELECT p.proname, p.provolatile, p.proisstrict, p.proparallel
FROM pg_proc p
WHERE p.pronamespace = 'raxx_detect'::regnamespace
  AND (p.proname ~ '_upper_tail$' OR p.proname IN ('critical_count', 'ks_test', 'benford', 'email_pattern', 'merge', 'quantile', 'quantile_sketch', 'sketch_count', 'sketch_ks_test',
                                                          'sketch_share_above'))
ORDER BY p.proname COLLATE "C";

-- The contract: the functions that people call, with their arguments and what they return, and what there is to look at.
\pset format unaligned
\pset tuples_only on
SET intervalstyle = postgres;

SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> ' || pg_get_function_result(p.oid)
FROM pg_proc p
WHERE p.pronamespace = 'raxx_detect'::regnamespace
  AND p.proname IN ('run', 'run_all', 'bind_source', 'unbind_source', 'autobind', 'create_source_table', 'enable', 'disable',
                    'set_params', 'self_test', 'velocity_episodes', 'distinct_episodes', 'gaps', 'ks_test', 'benford',
                    'email_pattern', 'poisson_upper_tail', 'binomial_upper_tail', 'normal_upper_tail',
                    'negative_binomial_upper_tail', 'chi_squared_upper_tail', 'critical_count', 'merge', 'quantile',
                    'quantile_sketch', 'sketch_count', 'sketch_ks_test', 'sketch_share_above')
ORDER BY p.proname COLLATE "C";

SELECT attrelid::regclass || ': ' || string_agg(attname, ', ' ORDER BY attnum)
FROM pg_attribute
WHERE attrelid IN ('raxx_detect.status'::regclass, 'raxx_detect.sources'::regclass, 'raxx_detect.source_contracts'::regclass,
                   'raxx_detect.prerequisites'::regclass, 'raxx_detect.health'::regclass, 'raxx_detect.rules'::regclass,
                   'raxx_detect.detection_findings'::regclass, 'raxx_detect.rule_runs'::regclass,
                   'raxx_detect.deliveries'::regclass, 'raxx_detect.rule_run'::regclass)
  AND attnum > 0 AND NOT attisdropped
GROUP BY attrelid ORDER BY attrelid::regclass::text COLLATE "C";

-- Dropping it leaves nothing behind but an empty schema, and it can be created again.
DROP VIEW members;
DROP EXTENSION raxx_detect;
SELECT count(*) FROM pg_depend
WHERE refclassid = 'pg_namespace'::regclass AND refobjid = (SELECT oid FROM pg_namespace WHERE nspname = 'raxx_detect');
CREATE EXTENSION raxx_detect;
