-- unprotect_table restores what protect_table changed and nobody changed since, and keeps data.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA undo;
SET search_path = undo;
\set a '''0d000000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'undo-a', 'A');
CREATE ROLE undo_grantee;
CREATE FUNCTION state() RETURNS TABLE (kind text, fact text) LANGUAGE sql SET search_path = undo AS $$
    SELECT 'class', concat_ws(' ', relname, relrowsecurity, relforcerowsecurity) FROM pg_class WHERE relnamespace = 'undo'::regnamespace
    UNION ALL
    SELECT 'privilege', concat_ws(' ', relname, attname, privilege_type, nullif(grantee, 0)::regrole, is_grantable) FROM (
        SELECT relname, NULL AS attname, (aclexplode(relacl)).* FROM pg_class WHERE relnamespace = 'undo'::regnamespace
        UNION ALL
        SELECT relname, attname, (aclexplode(attacl)).* FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'undo'::regnamespace) p
     WHERE grantee <> grantor
    UNION ALL
    SELECT 'column', concat_ws(' ', relname, attname, attnotnull, pg_get_expr(adbin, adrelid))
      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE relnamespace = 'undo'::regnamespace AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
    UNION ALL
    SELECT 'policy', concat_ws(' ', tablename, policyname) FROM pg_policies WHERE schemaname = 'undo'
    UNION ALL
    SELECT 'trigger', pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
     WHERE relnamespace = 'undo'::regnamespace AND NOT tgisinternal
    UNION ALL
    SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
     WHERE connamespace = 'undo'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'undo'::regnamespace
    UNION ALL
    SELECT 'row', table_id::text FROM tenancy.protected_tables JOIN pg_class c ON c.oid = table_id WHERE relnamespace = 'undo'::regnamespace
$$;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text);
CREATE TABLE docs_child () INHERITS (docs);
CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE POLICY theirs ON docs AS RESTRICTIVE USING (true);
CREATE TRIGGER theirs BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE docs_child ENABLE ROW LEVEL SECURITY;
ALTER TABLE parts FORCE ROW LEVEL SECURITY;
GRANT ALL ON docs, parts TO authenticated;
GRANT TRUNCATE ON docs_child TO anon WITH GRANT OPTION;
GRANT TRIGGER ON parts_0 TO PUBLIC;
GRANT REFERENCES (id, title) ON docs TO authenticated, anon;
INSERT INTO docs VALUES (1, :a, 'x');
INSERT INTO docs_child VALUES (2, :a, 'y');
CREATE TABLE before (kind text, fact text);
INSERT INTO before SELECT * FROM state();
SELECT tenancy.unprotect_table('docs') AS "not protected";
SELECT tenancy.protect_table('docs', resource => 'undo_docs'), tenancy.protect_table('parts', resource => 'undo_docs');
SELECT kind, count(*) FROM (SELECT * FROM state() EXCEPT TABLE before) s GROUP BY 1 ORDER BY 1;

-- constraints and index stay, data too
SELECT tenancy.unprotect_table('docs'), tenancy.unprotect_table('parts');
SELECT * FROM state() EXCEPT TABLE before ORDER BY 1, 2;
TABLE before EXCEPT SELECT * FROM state() ORDER BY 1, 2;
SELECT count(*) FROM docs;
SELECT count(*) FROM tenancy.permissions WHERE name LIKE 'undo_docs.%';
SELECT tenancy.unprotect_table('docs') AS "not protected";
-- protected again, what stayed counts as the table's own
SELECT tenancy.protect_table('docs', resource => 'undo_docs');
SELECT tenancy.unprotect_table('docs', drop_structure => true);
SELECT count(*) FROM pg_constraint WHERE conrelid = 'docs'::regclass AND confrelid = 'tenancy.tenants'::regclass;

-- all that was added goes on request
DROP TABLE docs, parts CASCADE;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text);
CREATE TABLE docs_child () INHERITS (docs);
CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE filled (id int);
CREATE TABLE bare (id int);
INSERT INTO docs VALUES (1, :a, 'x');
INSERT INTO parts VALUES (1, :a);
INSERT INTO filled VALUES (1);
TRUNCATE before;
INSERT INTO before SELECT * FROM state();
SELECT tenancy.protect_table('docs', resource => 'undo_docs'), tenancy.protect_table('parts', resource => 'undo_docs'),
       tenancy.protect_table('bare', resource => 'undo_docs', add_column => true),
       tenancy.protect_table('filled', resource => 'undo_docs', add_column => true, backfill => :a);
SELECT tenancy.unprotect_table('docs', true), tenancy.unprotect_table('parts', true), tenancy.unprotect_table('bare', true);
SET client_min_messages = notice;
SELECT tenancy.unprotect_table('filled', true);
SET client_min_messages = warning;
SELECT * FROM state() EXCEPT TABLE before ORDER BY 1, 2;
TABLE before EXCEPT SELECT * FROM state() ORDER BY 1, 2;
SELECT * FROM filled;

-- what somebody changed since stays as he left it
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
GRANT TRUNCATE ON docs TO anon, undo_grantee;
SELECT tenancy.protect_table('docs', resource => 'undo_docs');
ALTER TABLE docs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE docs ALTER tenant_id SET DEFAULT '0d000000-0000-0000-0000-00000000000a';
ALTER TABLE docs DROP CONSTRAINT docs_tenant_id_fkey;
ALTER TABLE docs ADD CONSTRAINT docs_tenant_id_fkey CHECK (tenant_id IS NOT NULL);
DROP INDEX docs_tenant_id_idx;
DROP POLICY "!pg_tenancy_isolation" ON docs;
DROP TRIGGER "~pg_tenancy_keep_tenant" ON docs;
CREATE POLICY later ON docs USING (id > 0);
SELECT tenancy.unprotect_table('docs', true);
SELECT * FROM state() WHERE fact ~ '\mdocs\M' ORDER BY kind, fact COLLATE "C";
-- a role that is gone, a column that is gone, a table that is gone
SELECT tenancy.protect_table('docs', resource => 'undo_docs', existing_policies => 'drop');
UPDATE tenancy.protected_tables SET undo = undo || '{"revoked": [{"from": "undo_gone", "privilege": "TRUNCATE"}, {"from": "anon", "privilege": "REFERENCES", "column": "gone"}]}'
 WHERE table_id = 'docs'::regclass;
ALTER TABLE docs DROP COLUMN tenant_id CASCADE;
SELECT tenancy.unprotect_table('docs', true);
SELECT tenancy.protect_table('bare', resource => 'undo_docs', add_column => true);
DROP TABLE bare;
SELECT count(*) FROM tenancy.protected_tables p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.table_id);
-- the extension cannot go while policies need it
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('docs', resource => 'undo_docs', add_column => true, backfill => :a);
DROP EXTENSION pg_tenancy;
DROP SCHEMA undo CASCADE;
DROP ROLE undo_grantee;
DELETE FROM tenancy.tenants WHERE slug = 'undo-a';
