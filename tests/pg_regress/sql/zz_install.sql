-- Last of all: dropping and creating the extension, into schemas that are in the way, and where somebody's default
-- privileges would give it away.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION pg_tenancy CASCADE;
DROP SCHEMA IF EXISTS tenancy CASCADE;
RESET client_min_messages;
-- A schema of that name with something in it.
CREATE SCHEMA tenancy;
CREATE TABLE tenancy.something (n int);
CREATE FUNCTION tenancy.anything() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE EXTENSION pg_tenancy;
DROP FUNCTION tenancy.anything();
DROP TABLE tenancy.something;
CREATE DOMAIN tenancy.something AS text;
CREATE EXTENSION pg_tenancy;
DROP DOMAIN tenancy.something;
-- An empty one of another role, who could replace what is in it.
CREATE ROLE zz_other NOLOGIN;
ALTER SCHEMA tenancy OWNER TO zz_other;
CREATE EXTENSION pg_tenancy;
-- An empty one of one's own will do; anywhere else it cannot go.
ALTER SCHEMA tenancy OWNER TO CURRENT_USER;
CREATE SCHEMA zz_elsewhere;
CREATE EXTENSION pg_tenancy SCHEMA zz_elsewhere;
CREATE EXTENSION pg_tenancy;
SELECT extname, extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_tenancy';
ALTER EXTENSION pg_tenancy SET SCHEMA zz_elsewhere;
DROP EXTENSION pg_tenancy;
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = to_regnamespace('tenancy');
DROP SCHEMA zz_elsewhere;
DROP SCHEMA tenancy;
-- Default privileges, as hosts set them, give nothing of it away.
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, zz_other;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon, zz_other;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO zz_other;
CREATE EXTENSION pg_tenancy;
SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'tenancy'::regnamespace AND a.grantee <> c.relowner;
SELECT a.grantee::regrole, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'tenancy' AND a.grantee <> n.nspowner;
SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee NOT IN (0, p.proowner);
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM anon, zz_other;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM anon, zz_other;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM zz_other;
-- An open backend goes on with the new one.
SELECT tenancy.create_tenant('zz', owner => 'ff000000-0000-0000-0000-000000000001') IS NOT NULL AS created;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub":"ff000000-0000-0000-0000-000000000001"}', true) IS NOT NULL AS set;
SELECT tenancy.has_permission('members.read');
COMMIT;
-- Who may not install it.
DROP EXTENSION pg_tenancy;
SET ROLE zz_other;
CREATE EXTENSION pg_tenancy;
RESET ROLE;
DROP SCHEMA IF EXISTS tenancy CASCADE;
DROP OWNED BY zz_other;
DROP ROLE zz_other;
CREATE EXTENSION pg_tenancy;
SELECT tenancy.enable_role('anon'), tenancy.enable_role('authenticated');
