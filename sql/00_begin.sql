-- raxx_detect: the install script, made of the modules in sql/ in the order of their names.
--
-- Every name below is schema-qualified, and operators resolve in pg_catalog only, so that nothing that somebody may
-- have put into the schema beforehand can slip in.
\echo Use "CREATE EXTENSION raxx_detect CASCADE" to load this file. \quit
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TYPE raxx_detect.severity AS ENUM ('low', 'medium', 'high', 'critical');
COMMENT ON TYPE raxx_detect.severity IS 'How bad a finding is, in ascending order.';
