-- Mode observe: the table is known and prepared, nothing is enforced, and what would stand in the way is reported.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA observe;
SET search_path = observe;
\set a '''0b5e0000-0000-0000-0000-00000000000a'''
\set u '''0b5e0000-0000-0000-0000-000000000001'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:a, 'observe-a', 'A', '8801');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:a, :u);
GRANT USAGE ON SCHEMA observe TO authenticated;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, email text UNIQUE);
INSERT INTO docs VALUES (1, :a, 'a'), (2, NULL, 'b'), (3, '0b5e0000-0000-0000-0000-0000000000ff', 'c');
CREATE POLICY theirs ON docs USING (id < 100);
GRANT ALL ON docs TO authenticated;
CREATE FUNCTION state(name text) RETURNS TABLE (kind text, fact text) LANGUAGE sql AS $$
    SELECT 'class', concat_ws(' ', relname, relrowsecurity, relforcerowsecurity, relacl) FROM pg_class WHERE relname = name AND relnamespace = 'observe'::regnamespace
    UNION ALL
    SELECT 'column', concat_ws(' ', attname, attnotnull, pg_get_expr(adbin, adrelid)) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = to_regclass('observe.' || name) AND attnum > 0 AND attname ~ 'tenant'
    UNION ALL
    SELECT 'policy', policyname FROM pg_policies WHERE schemaname = 'observe' AND tablename = name
    UNION ALL
    SELECT 'trigger', tgname FROM pg_trigger WHERE tgrelid = to_regclass('observe.' || name) AND NOT tgisinternal
    UNION ALL
    SELECT 'constraint', conname FROM pg_constraint WHERE conrelid = to_regclass('observe.' || name) AND contype <> 'n'
    UNION ALL
    SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass('observe.' || name)
    UNION ALL
    SELECT 'row', concat_ws(' ', table_id, root_id, options ->> 'mode', undo) FROM tenancy.protected_tables WHERE table_id = to_regclass('observe.' || name)
$$;
-- What enforcing would refuse is reported, all of it.
SET client_min_messages = notice;
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'observe');
SET client_min_messages = warning;
SELECT * FROM state('docs') ORDER BY kind, fact COLLATE "C";
SELECT count(*) FROM tenancy.permissions WHERE name LIKE 'observe.%';
-- Nothing is enforced: rows of whomever, without tenant, of tenants that do not exist.
SELECT test.try(:u, 'SELECT count(*) FROM observe.docs');
SELECT test.try(:u, 'INSERT INTO observe.docs VALUES (4, NULL, ''d'')');
SELECT test.try(:u, 'UPDATE observe.docs SET tenant_id = gen_random_uuid()');
SELECT test.try(:u, 'TRUNCATE observe.docs');
-- With an identity, the default gives the tenant already.
BEGIN;
SELECT tenancy.act_as(:u);
INSERT INTO docs (id, email) VALUES (5, 'e') RETURNING tenant_id;
ROLLBACK;
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'observe') AS "nothing left to do";
-- To enforce, what was reported is refused.
SELECT tenancy.protect_table('docs', resource => 'observe');
SELECT tenancy.protect_table('docs', resource => 'observe', existing_policies => 'drop');
SELECT tenancy.protect_table('docs', resource => 'observe', existing_policies => 'drop', backfill => :a);
DELETE FROM docs WHERE id = 3;
SELECT tenancy.protect_table('docs', resource => 'observe', existing_policies => 'drop', backfill => :a);
SELECT * FROM state('docs') ORDER BY kind, fact COLLATE "C";
SELECT test.try(:u, 'SELECT count(*) FROM observe.docs');
SELECT test.try(:u, 'TRUNCATE observe.docs');
-- And back: what enforces goes, privileges and flags come back, structure and default stay.
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'observe');
SELECT * FROM state('docs') ORDER BY kind, fact COLLATE "C";
SELECT test.try(:u, 'SELECT count(*) FROM observe.docs');
SELECT test.try(:u, 'UPDATE observe.docs SET tenant_id = NULL');
SELECT tenancy.protect_table('docs', mode => 'membership', resource => 'observe');
SELECT fact FROM state('docs') WHERE kind IN ('class', 'policy', 'trigger') ORDER BY 1;
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'observe');
SELECT tenancy.unprotect_table('docs', drop_structure => true);
SELECT * FROM state('docs') ORDER BY kind, fact COLLATE "C";

-- Column and backfill as asked; children and partitions are observed too, those that come later as well.
CREATE TABLE plain (id int, org int);
CREATE TABLE plain_child () INHERITS (plain);
INSERT INTO plain VALUES (1, 1), (2, NULL);
INSERT INTO plain_child VALUES (3, 1);
SET client_min_messages = notice;
SELECT tenancy.protect_table('plain', mode => 'observe', resource => 'observe', add_column => true, column_type => 'bigint', backfill => '8800 + org');
SELECT tenancy.protect_table('plain', mode => 'observe', resource => 'observe', backfill => 'id / 0');
SET client_min_messages = warning;
SELECT tableoid::regclass, id, tenant_id FROM plain ORDER BY id;
CREATE TABLE plain_late () INHERITS (plain);
CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (id);
SELECT tenancy.protect_table('parts', mode => 'observe', resource => 'observe');
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 (tenant_id uuid, id int);
INSERT INTO parts_2 VALUES (NULL, 2);
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
SELECT table_id, root_id, options ->> 'mode' AS mode, undo FROM tenancy.protected_tables WHERE table_id::text ~ '^(plain|parts)' ORDER BY 1;
SELECT relname FROM pg_class WHERE relnamespace = 'observe'::regnamespace AND (relrowsecurity OR relforcerowsecurity);
SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~pg_tenancy%' AND tgrelid::regclass::text ~ '^(plain|parts)';
-- A detached partition is observed as its own root; then it is enforced by itself.
ALTER TABLE parts DETACH PARTITION parts_1;
SELECT table_id, root_id, options ->> 'mode' AS mode FROM tenancy.protected_tables WHERE table_id::text ~ '^parts' ORDER BY 1;
SELECT tenancy.protect_table('parts_1', resource => 'observe');
-- A renamed tenant column is followed, as is one that has only the index; a dropped one closes nothing.
ALTER TABLE parts RENAME tenant_id TO account_id;
SELECT options ->> 'tenant_column' AS tenant_column FROM tenancy.protected_tables WHERE table_id = 'parts'::regclass;
CREATE TABLE indexed (id int, tenant_id uuid DEFAULT '0b5e0000-0000-0000-0000-00000000000a');
SELECT tenancy.protect_table('indexed', mode => 'observe', resource => 'observe');
ALTER TABLE indexed RENAME tenant_id TO account_id;
SELECT options ->> 'tenant_column' AS tenant_column FROM tenancy.protected_tables WHERE table_id = 'indexed'::regclass;
ALTER TABLE indexed DROP COLUMN account_id;
SELECT fact FROM state('indexed') WHERE kind IN ('policy', 'row');
-- Such a table does not stop a tenant from being dropped; one with rows of the tenant does.
SELECT tenancy.protect_table('plain', mode => 'observe', resource => 'observe');
SELECT test.attempt(NULL, 'SELECT tenancy.drop_tenant(''0b5e0000-0000-0000-0000-00000000000a'')');
-- Keys between an enforced and an observed table are nobody's concern yet: fix leaves them.
CREATE TABLE parent (id int PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE child (id int PRIMARY KEY, tenant_id uuid NOT NULL, parent_id int REFERENCES parent);
SELECT tenancy.protect_table('parent', mode => 'observe', resource => 'observe'), tenancy.protect_table('child', resource => 'observe', tenant_keys => 'fix');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'child_parent_id_fkey';
SELECT tenancy.protect_table('parent', resource => 'observe', tenant_keys => 'fix');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'child_parent_id_fkey';
-- As text for a migration.
SELECT tenancy.protect_table_sql('parent', mode => 'observe', resource => 'observe') LIKE '%DROP POLICY%' AS leaves;
SELECT tenancy.protect_table_sql('parent', mode => 'observe', resource => 'observe') AS script \gset
:script
SELECT options ->> 'mode' AS mode, undo FROM tenancy.protected_tables WHERE table_id = 'parent'::regclass;
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('child', mode => 'watch');
SELECT tenancy.protect_table('docs', mode => 'observe', backfill => 'ffffffff-0000-0000-0000-00000000000a');
SET ROLE authenticated;
SELECT tenancy.protect_table('observe.docs', mode => 'observe');
RESET ROLE;
DROP SCHEMA observe CASCADE;
DELETE FROM tenancy.tenants WHERE slug = 'observe-a';
