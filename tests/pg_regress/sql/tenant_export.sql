-- The statements that copy a tenant out and in: which tables, in which order, and what cannot be ordered. That they do it,
-- in the same database and another, is the integration test tenant_life.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA life;
\set life a7e00000-0000-4000-9000-00000000711f
\set other a7e00000-0000-4000-9000-0000000007e4
INSERT INTO tenancy.tenants (id, key, slug, name) VALUES (:'life', '7001', 'life', 'Life'), (:'other', NULL, 'other', 'Other');
SELECT set_config('life.id', :'life', false) IS NOT NULL AS known;
CREATE FUNCTION pg_temp.plan(tenant uuid) RETURNS TABLE (n integer, name text, copy_out text, copy_in text) LANGUAGE sql AS $$
    SELECT position, table_name, replace(copy_sql, tenant::text, 'TENANT'), replace(import_sql, tenant::text, 'TENANT') FROM tenancy.export_tenant(tenant) ORDER BY position
$$;
\x
SELECT * FROM pg_temp.plan(:'life');
\x

-- Parents first, whatever their names; a partitioned table as one, a table with children as each of them; no generated
-- column; other tables not at all.
CREATE TABLE life.a_line (tenant_id uuid NOT NULL, order_id int, n int GENERATED ALWAYS AS IDENTITY, price numeric, taxed numeric GENERATED ALWAYS AS (price * 1.2) STORED);
CREATE TABLE life."b ""order" (tenant_id uuid NOT NULL, "the id" serial PRIMARY KEY, customer int, "sel%ect" text);
CREATE TABLE life.customer (tenant_id uuid NOT NULL, id int PRIMARY KEY, invited_by int REFERENCES life.customer, gone int);
ALTER TABLE life.customer DROP COLUMN gone;
ALTER TABLE life."b ""order" ADD FOREIGN KEY (customer) REFERENCES life.customer;
ALTER TABLE life.a_line ADD FOREIGN KEY (order_id) REFERENCES life."b ""order";
CREATE TABLE life.event (tenant_id uuid NOT NULL, at date NOT NULL, customer int) PARTITION BY RANGE (at);
CREATE TABLE life.event_1 PARTITION OF life.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
-- A foreign key of a partition's own counts too.
CREATE TABLE life.event_2 PARTITION OF life.event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
ALTER TABLE life.event_2 ADD FOREIGN KEY (customer) REFERENCES life.customer;
CREATE TABLE life.base (tenant_id uuid NOT NULL, a int);
CREATE TABLE life.kind (more text) INHERITS (life.base);
CREATE TABLE life.unprotected (tenant_id uuid);
SELECT count(tenancy.protect_table(t, resource => 'life')) FROM unnest('{life.a_line,"life.\"b \"\"order\"",life.customer,life.event,life.base}'::regclass[]) t;
\x
SELECT * FROM pg_temp.plan(:'life');
\x
-- Circles: one that can wait is broken there, one that cannot is refused.
ALTER TABLE life.customer ADD first_order int CONSTRAINT first_order REFERENCES life."b ""order";
SELECT test.attempt(NULL, format('SELECT position FROM tenancy.export_tenant(%L)', current_setting('life.id')));
ALTER TABLE life.customer ALTER CONSTRAINT first_order DEFERRABLE;
SELECT n, name, copy_in FROM pg_temp.plan(:'life');

-- Who may not, and what is not there. Rows that row security would hide are not left out in silence.
\set ann '''a7e00000-0000-4000-8000-0000000000a1'''
SELECT test.attempt(:ann, format('SELECT position FROM tenancy.export_tenant(%L)', current_setting('life.id'))), test.attempt(:ann, $$SELECT count(*) FROM tenancy.tenant_rows(tenancy.nil())$$),
       test.attempt(:ann, $$INSERT INTO tenancy.tenant_import VALUES ('tenants', '{}')$$), test.attempt(:ann, $$SELECT count(*) FROM tenancy.tenant_import$$);
SELECT test.attempt(NULL, $$SELECT position FROM tenancy.export_tenant('a7e00000-0000-4000-8000-000000000bad')$$), test.attempt(NULL, $$SELECT position FROM tenancy.export_tenant(NULL)$$);
CREATE ROLE life_owner NOLOGIN;
DO $$ BEGIN EXECUTE format('GRANT %I TO life_owner', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass)); END $$;
SET ROLE life_owner;
SELECT tenancy.is_administrator() AS administrator;
SELECT position FROM tenancy.export_tenant(current_setting('life.id')::uuid);
SELECT tenancy.delete_tenant_rows(current_setting('life.id')::uuid);
RESET ROLE;
DROP ROLE life_owner;

-- Bad rows on the way in.
SELECT test.attempt(NULL, format('INSERT INTO tenancy.tenant_import VALUES (%L, %L)', relation, content)) FROM (VALUES
    ('operators', '{}'), ('protected_tables', '{}'), (NULL, '{}'), ('tenants', NULL), ('tenants', '[]'), ('Tenants', '{}'),
    ('tenants', format('{"id": "%s", "slug": "new", "name": "New"}', :'life')), ('tenants', '{"id": "a7e00000-0000-4000-9000-000000000001", "slug": "life", "name": "New"}'),
    ('tenants', '{"id": "a7e00000-0000-4000-9000-000000000001", "key": "7001", "slug": "new", "name": "New"}'), ('members', '{"tenant_id": "a7e00000-0000-4000-9000-000000000001", "user_id": "a7e00000-0000-4000-8000-0000000000a1"}'),
    ('member_roles', format('{"tenant_id": "%s", "user_id": "a7e00000-0000-4000-8000-0000000000a1", "role": "no such"}', :'life')),
    ('role_permissions', '{"role_id": "a7e00000-0000-4000-9000-000000000002", "permission": "no.such"}')) v (relation, content);

-- Every table of ours that has a column for the tenant is exported, or known not to be.
SELECT c.relname AS not_exported FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'tenant') AND NOT a.attisdropped
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r'
   AND position('tenancy.' || c.relname || ' ' IN pg_get_functiondef('tenancy.tenant_rows(uuid)'::regprocedure)) = 0;

SELECT tenancy.unprotect_table(t) FROM unnest('{life.a_line,"life.\"b \"\"order\"",life.customer,life.event,life.base}'::regclass[]) t;
DROP SCHEMA life CASCADE;
SELECT tenancy.drop_tenant(:'life'), tenancy.drop_tenant(:'other');
DELETE FROM tenancy.permissions WHERE name LIKE 'life.%';
