-- A library first loaded inside a parallel operation would lose the settings that were placeholders until then. It
-- refuses instead; loaded before, by a preload setting or an earlier statement, all is well.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
CREATE TABLE fresh_rows AS SELECT n AS id FROM generate_series(1, 12000) n;
ANALYZE fresh_rows;
CREATE FUNCTION fresh_hidden(id int) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS
    $$ BEGIN RETURN tenancy.has_permission('fresh.read'); END $$;
\set parallel 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;'
SELECT format('ALTER DATABASE %I SET session_preload_libraries = %L', current_database(), 'plpgsql') AS without,
       format('ALTER DATABASE %I RESET session_preload_libraries', current_database()) AS with \gset
:without;
\c -
:parallel
\set SHOW_CONTEXT never
SELECT count(*) FROM fresh_rows WHERE fresh_hidden(id);
\set VERBOSITY sqlstate
SELECT count(*) FROM fresh_rows WHERE fresh_hidden(id);
\set VERBOSITY default
-- The session itself is not hurt: claims set before the library came are taken over, and end with their transaction.
BEGIN;
SET request.jwt.claims = :'ann';
SET request.other = 'stays';
SELECT fresh_hidden(1);
SELECT count(*) FROM fresh_rows WHERE fresh_hidden(id);
COMMIT;
SELECT current_setting('request.jwt.claims') AS claims, current_setting('request.other') AS other;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'library';
\c -
-- Set by a session that has not loaded it, plain SET lasts; the first transaction that loads it ends it.
SET request.jwt.claims = :'ann';
SELECT current_setting('request.jwt.claims') = :'ann' AS still_there;
SELECT tenancy.has_permission('fresh.read');
SELECT current_setting('request.jwt.claims') AS claims;
SELECT tenancy.has_permission('fresh.read');
:with;
\c -
:parallel
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
SELECT count(*) FROM fresh_rows WHERE fresh_hidden(id);
COMMIT;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'library';

DROP FUNCTION fresh_hidden(int);
DROP TABLE fresh_rows;
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
