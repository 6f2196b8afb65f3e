-- Called again: nothing to do, repairs, other options; and what is reported.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA again;
SET search_path = again;
\set a '''a9000000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'again-a', 'A');
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, org uuid, author uuid, title text);
CREATE FUNCTION facts() RETURNS TABLE (kind text, name text, fact text) LANGUAGE sql SET search_path = again AS $$
SELECT 'flags' AS kind, '' AS name, format('row security %s, forced %s', relrowsecurity, relforcerowsecurity) AS fact
  FROM pg_class WHERE oid = 'docs'::regclass
UNION ALL
SELECT 'policy', policyname, concat_ws(' ', permissive, cmd, roles, qual, '/', with_check) FROM pg_policies WHERE schemaname = 'again'
UNION ALL
SELECT 'trigger', tgname, concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE tgrelid = 'docs'::regclass AND NOT tgisinternal
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'docs'::regclass AND contype <> 'n'
UNION ALL
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'docs'::regclass
UNION ALL
SELECT 'column', attname, concat_ws(' ', 'not null', attnotnull, 'default', pg_get_expr(adbin, adrelid))
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid = 'docs'::regclass AND attname IN ('tenant_id', 'org')
$$;
CREATE VIEW facts AS SELECT * FROM facts();
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT * FROM facts ORDER BY kind, name COLLATE "C";
SELECT options, undo FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;
SELECT name, description, scope FROM tenancy.permissions WHERE name LIKE 'again_docs.%' ORDER BY 1;
CREATE TABLE before AS SELECT * FROM facts;

-- the same again changes nothing, not even the row's version
SELECT xmin AS version FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass \gset
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT xmin = :version AS unchanged FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;
(TABLE facts EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE facts);
SELECT tenancy.protect_table_sql('docs', resource => 'again_docs');

-- each thing taken away comes back
CREATE FUNCTION repaired(damage text) RETURNS text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
    first boolean;
BEGIN
    EXECUTE damage;
    IF NOT EXISTS ((TABLE again.before EXCEPT TABLE again.facts) UNION ALL (TABLE again.facts EXCEPT TABLE again.before)) THEN
        RETURN 'not damaged';
    END IF;
    first := tenancy.protect_table('again.docs', resource => 'again_docs');
    IF EXISTS ((TABLE again.before EXCEPT TABLE again.facts) UNION ALL (TABLE again.facts EXCEPT TABLE again.before)) THEN
        RETURN 'not repaired';
    END IF;
    RETURN format('repaired: %s, then %s', first, tenancy.protect_table('again.docs', resource => 'again_docs'));
END
$$;
SELECT damage, repaired(damage) FROM unnest(ARRAY[
    'ALTER TABLE docs DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE docs NO FORCE ROW LEVEL SECURITY',
    'DROP POLICY "!pg_tenancy_isolation" ON docs',
    'ALTER POLICY "!pg_tenancy_isolation" ON docs USING (true)',
    'ALTER POLICY "!pg_tenancy_isolation" ON docs WITH CHECK (true)',
    'ALTER POLICY "!pg_tenancy_isolation" ON docs TO anon',
    'DROP POLICY "!pg_tenancy_isolation" ON docs; CREATE POLICY "!pg_tenancy_isolation" ON docs USING (tenant_id = tenancy.current_tenant_id()) WITH CHECK (tenant_id = tenancy.current_tenant_id())',
    'DROP POLICY "!pg_tenancy_isolation" ON docs; CREATE POLICY "!pg_tenancy_isolation" ON docs AS RESTRICTIVE FOR SELECT USING (tenant_id = tenancy.current_tenant_id())',
    'DROP POLICY pg_tenancy_select ON docs',
    'ALTER POLICY pg_tenancy_update ON docs WITH CHECK (true)',
    'ALTER POLICY pg_tenancy_delete ON docs TO authenticated',
    'DROP TRIGGER "~pg_tenancy_keep_tenant" ON docs',
    'ALTER TABLE docs DISABLE TRIGGER "~pg_tenancy_keep_tenant"',
    'ALTER TABLE docs ENABLE REPLICA TRIGGER "~pg_tenancy_keep_tenant"',
    'ALTER TABLE docs ALTER tenant_id DROP NOT NULL',
    'ALTER TABLE docs ALTER tenant_id DROP DEFAULT',
    'ALTER TABLE docs DROP CONSTRAINT docs_tenant_id_fkey',
    'DROP INDEX docs_tenant_id_idx'
]) damage;
-- a foreign key that was never checked is
ALTER TABLE docs DROP CONSTRAINT docs_tenant_id_fkey;
ALTER TABLE docs ADD CONSTRAINT docs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenancy.tenants NOT VALID;
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT convalidated FROM pg_constraint WHERE conname = 'docs_tenant_id_fkey' AND conrelid = 'docs'::regclass;
-- privileges granted since go again, and a dropped permission is registered again
GRANT TRUNCATE ON docs TO anon;
SELECT tenancy.drop_permission('again_docs.read');
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT has_table_privilege('anon', 'docs', 'TRUNCATE') AS truncate, (SELECT count(*) FROM tenancy.permissions WHERE name = 'again_docs.read') AS permission;
SELECT undo -> 'revoked' AS revoked FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;

-- other options alter
SELECT tenancy.protect_table('docs', resource => 'again_papers', mode => 'membership', owner_column => 'author',
                             roles => '{authenticated,anon}', force => false);
SELECT * FROM facts WHERE kind IN ('flags', 'policy') ORDER BY kind, name COLLATE "C";
SELECT tenancy.protect_table('docs', resource => 'again_papers', mode => 'membership', owner_column => 'author',
                             roles => '{anon,authenticated}', force => false) AS "order of roles is nothing";
-- another tenant column
UPDATE docs SET org = tenant_id;
SELECT tenancy.protect_table('docs', resource => 'again_docs', tenant_column => 'org');
SELECT * FROM facts ORDER BY kind, name COLLATE "C";
SELECT tenancy.unprotect_table('docs', drop_structure => true);
SELECT * FROM facts ORDER BY kind, name COLLATE "C";

-- what is there already serves: not null, default, foreign key, index, row-level security
DROP TABLE docs;
CREATE TABLE docs (tenant_id uuid NOT NULL DEFAULT tenancy.current_tenant_id() REFERENCES tenancy.tenants, id int, PRIMARY KEY (tenant_id, id));
ALTER TABLE docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT undo FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;
-- partial, invalid and other indexes do not
DROP TABLE docs;
CREATE TABLE docs (id int, tenant_id uuid);
CREATE INDEX docs_partial ON docs (tenant_id) WHERE id > 0;
CREATE INDEX docs_hash ON docs USING hash (tenant_id);
CREATE INDEX docs_second ON docs (id, tenant_id);
CREATE TABLE docs_tenant_id_idx ();
SELECT tenancy.protect_table('docs', resource => 'again_docs');
SELECT undo ->> 'index' AS index FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;

-- the column is added and filled
CREATE TABLE old_docs (id int PRIMARY KEY, title text);
INSERT INTO old_docs VALUES (1, 'x'), (2, 'y');
SELECT pg_relation_filenode('old_docs') AS before \gset
SELECT tenancy.protect_table('old_docs', resource => 'again_docs', add_column => true, backfill => :a);
SELECT *, pg_relation_filenode('old_docs') = :before AS "not rewritten" FROM old_docs;
SELECT tenancy.protect_table('old_docs', resource => 'again_docs', add_column => true, backfill => :a);
-- a column with gaps is filled
CREATE TABLE gaps (tenant_id uuid);
INSERT INTO gaps VALUES (NULL), (:a);
SELECT tenancy.protect_table('gaps', resource => 'again_docs', backfill => :a);
SELECT count(*) FROM gaps WHERE tenant_id = :a;
-- an empty table needs no tenant
CREATE TABLE empty ();
SELECT tenancy.protect_table('empty', resource => 'again_docs', add_column => true, tenant_column => 'Org "x"');
\d empty

-- the options and types that docs/reference/protect_table.md must name: a unit test looks
SELECT unnest(proargnames) AS parameter FROM pg_proc WHERE oid = 'tenancy.protect_table'::regproc;
SELECT active AS "active tenant", type, refers_to FROM tenancy.tenant_types();
-- policies of others: kept, or dropped
CREATE TABLE shared (tenant_id uuid);
CREATE POLICY everyone ON shared USING (true);
CREATE POLICY fence ON shared AS RESTRICTIVE USING (true);
SELECT tenancy.protect_table('shared', resource => 'again_docs', existing_policies => 'keep');
SELECT policyname FROM pg_policies WHERE tablename = 'shared' ORDER BY policyname COLLATE "C";
SET client_min_messages = notice;
-- once protected, the same call without it is no error but says so; the roles that lack privileges are named
BEGIN;
DO $$
DECLARE
    r regrole;
BEGIN
    FOR r IN SELECT * FROM tenancy.application_roles() a WHERE a::text NOT IN ('anon', 'authenticated') LOOP
        PERFORM tenancy.disable_role(r::text::name);
    END LOOP;
END
$$;
GRANT SELECT ON shared TO anon;
SELECT tenancy.protect_table('shared', resource => 'again_docs');
GRANT SELECT (tenant_id) ON shared TO authenticated;
SELECT tenancy.protect_table('shared', resource => 'again_docs', existing_policies => 'drop');
SELECT policyname FROM pg_policies WHERE tablename = 'shared' ORDER BY policyname COLLATE "C";
-- a default of the table's own is kept
ALTER TABLE shared ALTER tenant_id SET DEFAULT '00000000-0000-0000-0000-000000000000';
SELECT tenancy.protect_table('shared', resource => 'again_docs', existing_policies => 'drop');
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA again CASCADE;
DELETE FROM tenancy.tenants WHERE slug = 'again-a';
