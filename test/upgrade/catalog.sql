-- All objects of the extension, each with all that defines it, and the rows that it ships, as text: by it an updated extension
-- is compared with one that was created. For psql -At.
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
SET search_path = pg_catalog, pg_temp;
CREATE TEMPORARY VIEW members AS
SELECT d.classid, d.objid, (pg_identify_object(d.classid, d.objid, 0)).*
FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
WHERE e.extname = 'raxx_detect';

SELECT 'object', m.type, m.identity, to_json(obj_description(m.objid, m.classid::regclass::text::name)), i.initprivs
FROM members m LEFT JOIN pg_init_privs i ON (i.classoid, i.objoid, i.objsubid) = (m.classid, m.objid, 0) ORDER BY m.type, m.identity COLLATE "C";

SELECT 'function', m.identity, coalesce(p.proacl, acldefault('f', p.proowner)), pg_get_userbyid(p.proowner), p.prokind, p.provariadic::regtype, p.procost, p.prorows,
       to_json(CASE WHEN p.prokind = 'f' THEN pg_get_functiondef(p.oid) END)
FROM members m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass ORDER BY m.identity COLLATE "C";
SELECT 'aggregate', m.identity, to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype}'::text[], a.aggtranstype::regtype, a.aggmtranstype::regtype
FROM members m JOIN pg_aggregate a ON a.aggfnoid = m.objid AND m.classid = 'pg_proc'::regclass ORDER BY m.identity COLLATE "C";

SELECT 'relation', m.identity, c.relkind, c.relpersistence, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner)), c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
       pg_get_userbyid(c.relowner), to_json(CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END)
FROM members m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass ORDER BY m.identity COLLATE "C";
SELECT 'column', c.oid::regclass, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attidentity, a.attgenerated, a.attstorage, a.attstattarget, a.attcollation::regcollation, a.attacl,
       ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%'),  -- which some servers keep there for themselves
       pg_get_expr(x.adbin, x.adrelid),
       to_json(col_description(c.oid, a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef x ON x.adrelid = c.oid AND x.adnum = a.attnum
WHERE c.relnamespace = 'raxx_detect'::regnamespace ORDER BY c.oid::regclass::text COLLATE "C", 3;
SELECT 'constraint', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k WHERE k.connamespace = 'raxx_detect'::regnamespace ORDER BY k.conrelid::regclass::text COLLATE "C", k.conname::text COLLATE "C";
SELECT 'index', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident, obj_description(i.indexrelid, 'pg_class')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'raxx_detect'::regnamespace ORDER BY i.indexrelid::regclass::text COLLATE "C";
SELECT 'trigger', t.tgrelid::regclass, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'raxx_detect'::regnamespace AND NOT t.tgisinternal
ORDER BY t.tgrelid::regclass::text COLLATE "C", t.tgname::text COLLATE "C";
SELECT 'rule or policy', pg_describe_object('pg_rewrite'::regclass, r.oid, 0)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relnamespace = 'raxx_detect'::regnamespace
UNION ALL SELECT 'rule or policy', pg_describe_object('pg_policy'::regclass, p.oid, 0)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'raxx_detect'::regnamespace ORDER BY 2;
SELECT 'sequence', c.oid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = 'raxx_detect'::regnamespace ORDER BY c.oid::regclass::text COLLATE "C";

SELECT 'type', t.oid::regtype, t.typtype, t.typlen, t.typalign, t.typstorage, t.typcategory, t.typinput, t.typoutput, t.typreceive, t.typsend, coalesce(t.typacl, acldefault('T', t.typowner)),
       format_type(t.typbasetype, t.typtypmod), (SELECT array_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid)
FROM pg_type t WHERE t.typnamespace = 'raxx_detect'::regnamespace ORDER BY t.oid::regtype::text COLLATE "C";
SELECT 'schema object', m.type, m.identity FROM members m WHERE m.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)
ORDER BY m.type, m.identity COLLATE "C";
-- What lies in the schema and is not the extension's would be left when it is dropped.
SELECT 'stray', pg_describe_object('pg_class'::regclass, c.oid, 0) FROM pg_class c
WHERE c.relnamespace = 'raxx_detect'::regnamespace AND c.relkind NOT IN ('i', 'c') AND NOT EXISTS (SELECT FROM members m WHERE m.objid = c.oid)
UNION ALL SELECT 'stray', pg_describe_object('pg_proc'::regclass, p.oid, 0) FROM pg_proc p
WHERE p.pronamespace = 'raxx_detect'::regnamespace AND NOT EXISTS (SELECT FROM members m WHERE m.objid = p.oid);

SELECT 'extension', e.extversion, e.extrelocatable, n.nspname, u.relation, u.condition
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
CROSS JOIN LATERAL (SELECT r::regclass::text, c FROM unnest(e.extconfig, e.extcondition) x(r, c)) u(relation, condition)
WHERE e.extname = 'raxx_detect' ORDER BY u.relation COLLATE "C";

-- Shipped rows.
SELECT 'rule', to_jsonb(r) - '{state_since}'::text[] FROM raxx_detect.rules r WHERE r.overrides IS NOT NULL ORDER BY r.rule_id;
SELECT format('SELECT %L, to_jsonb(t) FROM %s t WHERE t.shipped ORDER BY to_jsonb(t)::text COLLATE "C"', c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shipped'
WHERE c.relnamespace = 'raxx_detect'::regnamespace ORDER BY c.relname \gexec
