-- A staged script that an administrator runs on a table of an ordinary role: names do not get out of its comments, and what the
-- backfill reads needs no right of the owner's.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE st_owner;
CREATE SCHEMA st;
GRANT USAGE, CREATE ON SCHEMA st TO st_owner;
GRANT USAGE ON SCHEMA st TO authenticated;
SET search_path = st;
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    ('57a6ed00-0000-0000-0000-00000000000a', 'st-a', 'A', '5701'), ('57a6ed00-0000-0000-0000-00000000000b', 'st-b', 'B', '5702'),
    ('57a6ed00-0000-0000-0000-00000000000c', 'st-c', 'C', 'acme');
-- Line feeds and carriage returns in names: of the table, a partition, a child.
SET ROLE st_owner;
DO $$
DECLARE
    root text := E'root\nCREATE TABLE st.injected_1 (); --';
    plain text := E'plain\rCREATE TABLE st.injected_3 (); --';
BEGIN
    EXECUTE format('CREATE TABLE st.%I (id int, tenant_id uuid) PARTITION BY LIST (id)', root);
    EXECUTE format('CREATE TABLE st.%I PARTITION OF st.%I FOR VALUES IN (1)', E'part\nCREATE TABLE st.injected_2 (); --', root);
    EXECUTE format('CREATE TABLE st.%I (id int, tenant_id uuid)', plain);
    EXECUTE format('CREATE TABLE st.%I () INHERITS (st.%I)', E'child\r\nCREATE TABLE st.injected_4 (); --', plain);
END
$$;
RESET ROLE;
SELECT tenancy.protect_table_sql(c.oid, resource => 'staged', staged => true) AS script FROM pg_class c WHERE c.relname LIKE 'root%' AND c.relkind = 'p' \gset
:script
SELECT tenancy.protect_table_sql(c.oid, resource => 'staged', staged => true) AS script FROM pg_class c WHERE c.relname LIKE 'plain%' AND c.relkind = 'r' \gset
:script
SELECT tenancy.protect_table_sql(c.oid, resource => 'staged', staged => true) AS script FROM pg_class c WHERE c.relname LIKE 'root%' AND c.relkind = 'p' \gset
:script
SELECT tenancy.protect_table_sql(c.oid, resource => 'staged') AS script FROM pg_class c WHERE c.relname LIKE 'plain%' AND c.relkind = 'r' \gset
:script
SELECT relname FROM pg_class WHERE relname LIKE 'injected%';
SELECT count(*) FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id WHERE c.relnamespace = 'st'::regnamespace AND p.options ->> 'mode' = 'active';
-- An expression that reads our tables would fail in every INSERT of the application until the rollout ends.
SET ROLE st_owner;
CREATE FUNCTION make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %1$I (id int PRIMARY KEY, org int, code text, key int);
        INSERT INTO %1$I SELECT n, 5701 + n %% 2, CASE n %% 2 WHEN 0 THEN ''acme'' ELSE ''57a6ed00-0000-0000-0000-00000000000B'' END, 5702 FROM generate_series(1, 10) n;
        GRANT SELECT, INSERT, UPDATE ON %1$I TO authenticated', name);
END
$$;
SELECT make('docs'), make('coded'), make('looked'), make('nothing');
TRUNCATE nothing;
RESET ROLE;
\set options 'resource => ''staged'', add_column => true, staged => true, backfill'
\set look_up '''(SELECT t.id FROM tenancy.tenants t WHERE t.key_number = org)'''
\set VERBOSITY default
SELECT length(tenancy.protect_table_sql('docs', :options => :look_up));
SELECT length(tenancy.protect_table_sql('nothing', :options => :look_up));
-- An owner who is an application role may read them, and sees nothing: as wrong.
SELECT tenancy.enable_role('st_owner');
SELECT length(tenancy.protect_table_sql('docs', :options => :look_up));
SELECT tenancy.disable_role('st_owner');
-- So it may be with tables of others'.
CREATE TABLE orgs (id int PRIMARY KEY, tenant uuid);
INSERT INTO orgs VALUES (5701, '57a6ed00-0000-0000-0000-00000000000a'), (5702, '57a6ed00-0000-0000-0000-00000000000b');
\set look_up '''(SELECT o.tenant FROM st.orgs o WHERE o.id = org)'''
SELECT length(tenancy.protect_table_sql('looked', :options => :look_up));
GRANT SELECT ON orgs TO st_owner;
ALTER TABLE orgs ENABLE ROW LEVEL SECURITY;
SELECT length(tenancy.protect_table_sql('looked', :options => :look_up));
CREATE POLICY visible ON orgs TO st_owner USING (id = 5701);
SELECT length(tenancy.protect_table_sql('looked', :options => :look_up));
ALTER POLICY visible ON orgs USING (true);
SELECT tenancy.protect_table_sql('looked', :options => :look_up) IS NOT NULL AS "once he sees them";
-- The key of the tenant needs no right on our tables, as a number or as text; a text in the form of an id is an id.
SELECT tenancy.protect_table_sql('docs', :options => 'org') AS script \gset
SELECT split_part(:'script', '-- 3.', 1) AS first_half \gset
:first_half
SET ROLE authenticated;
INSERT INTO docs (id, org) VALUES (11, 5701), (12, 5702), (13, NULL), (14, 99);
UPDATE docs SET code = 'x' WHERE id = 1;
RESET ROLE;
SET ROLE st_owner;
INSERT INTO docs (id, org) VALUES (15, 5702);
RESET ROLE;
SELECT id, org, tenant_id FROM docs WHERE tenant_id IS NOT NULL OR id > 10 ORDER BY id;
DELETE FROM docs WHERE id IN (13, 14);
:script
SELECT org, tenant_id, count(*) FROM docs GROUP BY 1, 2 ORDER BY 1;
-- Names are the row's, whatever our look-up calls its own.
SELECT tenancy.protect_table_sql('coded', :options => 'CASE id % 2 WHEN 0 THEN code ELSE key::text END') AS script \gset
SELECT split_part(:'script', '-- 3.', 1) AS first_half \gset
:first_half
SET ROLE authenticated;
INSERT INTO coded VALUES (11, 0, 'x', 5701), (12, 0, 'acme', 0), (14, 0, '57A6ED00-0000-0000-0000-00000000000B', 0);
RESET ROLE;
:script
SELECT tenant_id, array_agg(id ORDER BY id) FROM coded GROUP BY 1 ORDER BY 1;
DROP SCHEMA st CASCADE;
DROP ROLE st_owner;
DELETE FROM tenancy.tenants WHERE slug LIKE 'st-_';
