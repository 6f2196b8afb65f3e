-- What protect_table refuses, and that nothing is half done.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA refusal;
SET search_path = refusal;
\set a '''3e000000-0000-0000-0000-00000000000a'''
\set nobody '''3e000000-0000-0000-0000-0000000000ff'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'refusal-a', 'A');
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, author uuid, title text);
CREATE VIEW docs_view AS SELECT * FROM docs;
CREATE MATERIALIZED VIEW docs_matview AS SELECT * FROM docs;
CREATE FOREIGN DATA WRAPPER refusal_wrapper;
CREATE SERVER refusal_server FOREIGN DATA WRAPPER refusal_wrapper;
CREATE FOREIGN TABLE docs_foreign (tenant_id uuid) SERVER refusal_server;
CREATE TEMP TABLE docs_temp (tenant_id uuid);
CREATE SEQUENCE docs_sequence;
CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES FROM (0) TO (5);
CREATE TABLE parent (tenant_id uuid);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE foreign_root (id int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE foreign_part PARTITION OF foreign_root FOR VALUES FROM (0) TO (10) SERVER refusal_server;
CREATE TABLE small_keys (tenant_id smallint);
CREATE DOMAIN tenant_key AS uuid;
CREATE TABLE domain_keys (tenant_id tenant_key);
CREATE TABLE "Odd Name" (tenant_id uuid);

-- nobody but administrators
SET ROLE authenticated;
SELECT tenancy.protect_table('refusal.docs');
SELECT tenancy.protect_table_sql('refusal.docs');
SELECT tenancy.unprotect_table('refusal.docs');
RESET ROLE;
GRANT EXECUTE ON FUNCTION tenancy.protect_table, tenancy.protect_table_sql, tenancy.unprotect_table, tenancy.check_protectable, tenancy.protect_options TO authenticated;
GRANT USAGE ON SCHEMA refusal TO authenticated;
BEGIN;
SET LOCAL ROLE authenticated;
SAVEPOINT s;
SELECT tenancy.protect_table('docs');
ROLLBACK TO s;
SELECT tenancy.protect_table_sql('docs');
ROLLBACK TO s;
SELECT tenancy.unprotect_table('docs');
ROLLBACK;
REVOKE EXECUTE ON FUNCTION tenancy.protect_table, tenancy.protect_table_sql, tenancy.unprotect_table, tenancy.check_protectable, tenancy.protect_options FROM authenticated;
-- an administrator must also be one who may alter the table
CREATE ROLE refusal_admin;
CREATE ROLE refusal_owner;
DO $$ BEGIN EXECUTE format('GRANT %I TO refusal_admin', current_user); END $$;
ALTER TABLE small_keys OWNER TO refusal_owner;
BEGIN;
SET LOCAL ROLE refusal_admin;
SELECT tenancy.protect_table('small_keys');
ROLLBACK;
\set VERBOSITY sqlstate

-- what is no ordinary table
SELECT tenancy.protect_table(NULL);
SELECT tenancy.protect_table('docs_missing');
\set VERBOSITY default
SELECT tenancy.protect_table('docs_view');
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('docs_matview');
SELECT tenancy.protect_table('docs_foreign');
SELECT tenancy.protect_table('docs_temp');
SELECT tenancy.protect_table('docs_sequence');
SELECT tenancy.protect_table('docs_pkey');
SELECT tenancy.protect_table('pg_class');
SELECT tenancy.protect_table('information_schema.sql_features');
SELECT tenancy.protect_table('tenancy.members');
SELECT tenancy.protect_table('foreign_root');
-- the root is to be named
\set VERBOSITY default
SELECT tenancy.protect_table('parts_1_1');
SELECT tenancy.protect_table('child');
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('parts_1');

-- columns
SELECT tenancy.protect_table('small_keys');
SELECT tenancy.protect_table('domain_keys');
SELECT tenancy.protect_table('docs', tenant_column => 'workspace_id');
SELECT tenancy.protect_table('docs', owner_column => 'missing');
SELECT tenancy.protect_table('docs', owner_column => 'title');
SELECT tenancy.protect_table('docs', owner_column => 'tenant_id');
SELECT tenancy.protect_table('docs', tenant_column => 'ctid');
-- options
SELECT tenancy.protect_table('docs', mode => 'both');
SELECT tenancy.protect_table('docs', mode => NULL);
SELECT tenancy.protect_table('docs', existing_policies => 'ignore');
SELECT tenancy.protect_table('docs', tenant_keys => 'none');
SELECT tenancy.protect_table('docs', force => NULL);
SELECT tenancy.protect_table('docs', roles => '{}');
SELECT tenancy.protect_table('docs', roles => '{authenticated,nobody_at_all}');
SELECT tenancy.protect_table('docs', resource => 'Docs');
SELECT tenancy.protect_table('docs', resource => '');
SELECT tenancy.protect_table('docs', resource => 'docs.*');
SELECT tenancy.protect_table('docs', resource => repeat('d', 194));
SELECT tenancy.protect_table('"Odd Name"');
SELECT tenancy.protect_table('docs', backfill => :nobody);

-- rows: without tenant, of tenants that do not exist
INSERT INTO docs VALUES (1, NULL), (2, NULL), (3, :a);
\set VERBOSITY default
SELECT tenancy.protect_table('docs');
SELECT tenancy.protect_table('docs', tenant_column => 'workspace_id', add_column => true);
UPDATE docs SET tenant_id = :nobody WHERE id < 3;
SELECT tenancy.protect_table('docs');
DELETE FROM docs WHERE id < 3;
-- also where the rows are in a partition or child
INSERT INTO child VALUES (:nobody);
SELECT tenancy.protect_table('parent');
TRUNCATE child;
INSERT INTO child VALUES (NULL);
SELECT tenancy.protect_table('parent');
-- policies of others
CREATE POLICY everyone ON docs USING (true);
CREATE POLICY narrow ON docs AS RESTRICTIVE USING (true);
CREATE POLICY "Each one" ON child FOR SELECT USING (true);
SELECT tenancy.protect_table('docs');
DELETE FROM child;
SELECT tenancy.protect_table('parent');

-- none of it has left a trace
SELECT count(*) FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id WHERE c.relnamespace = 'refusal'::regnamespace;
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
 WHERE relnamespace = 'refusal'::regnamespace AND (relrowsecurity OR relforcerowsecurity OR relhastriggers);
SELECT polname FROM pg_policy p JOIN pg_class c ON c.oid = polrelid WHERE relnamespace = 'refusal'::regnamespace ORDER BY 1;
SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
 WHERE relnamespace = 'refusal'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND (atthasdef OR attnotnull) ORDER BY 1, 2;
-- a failure half way takes everything back: the event trigger of somebody else
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no policies today'; END $$;
CREATE EVENT TRIGGER refusal_refuse ON ddl_command_start WHEN TAG IN ('CREATE POLICY') EXECUTE FUNCTION refuse();
SELECT tenancy.protect_table('docs', existing_policies => 'drop');
DROP EVENT TRIGGER refusal_refuse;
SELECT count(*) FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id WHERE c.relnamespace = 'refusal'::regnamespace;
\d docs
DROP SCHEMA refusal CASCADE;
DROP FOREIGN DATA WRAPPER refusal_wrapper CASCADE;
DROP TABLE docs_temp;
DROP ROLE refusal_admin, refusal_owner;
DELETE FROM tenancy.tenants WHERE slug = 'refusal-a';
