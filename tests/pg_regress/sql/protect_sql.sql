-- protect_table_sql's text does what protect_table does.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA script;
SET search_path = script;
\set a '''5c000000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'script-a', 'A');
CREATE FUNCTION make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace($make$
        CREATE TABLE NAME (id int, title text UNIQUE, owner_id uuid, parent int, PRIMARY KEY (id)) ;
        ALTER TABLE NAME ADD FOREIGN KEY (parent) REFERENCES NAME ON DELETE SET NULL;
        CREATE TABLE NAME_child (more text) INHERITS (NAME);
        INSERT INTO NAME VALUES (1, 'x');
        INSERT INTO NAME_child VALUES (2, 'y');
        GRANT ALL ON NAME, NAME_child TO authenticated WITH GRANT OPTION;
        GRANT TRUNCATE ON NAME TO PUBLIC;
        GRANT REFERENCES (id) ON NAME TO anon;
        CREATE POLICY theirs ON NAME USING (true);
    $make$, 'NAME', name);
END
$$;
SELECT make('direct'), make('inward');
-- the catalogs' state, with the table's name taken out
CREATE FUNCTION state(name text) RETURNS TABLE (kind text, fact text) LANGUAGE sql AS $$
    SELECT s.kind, replace(s.fact, name, 'NAME') FROM (
        SELECT 'class', concat_ws(' ', c.relname, relkind, relrowsecurity, relforcerowsecurity, relacl) FROM pg_class c WHERE relnamespace = 'script'::regnamespace
        UNION ALL
        SELECT 'column', concat_ws(' ', relname, attname, atttypid::regtype, attnotnull, attacl, pg_get_expr(adbin, adrelid))
          FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relnamespace = 'script'::regnamespace AND attnum > 0 AND relkind = 'r'
        UNION ALL
        SELECT 'policy', concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, '/', with_check) FROM pg_policies WHERE schemaname = 'script'
        UNION ALL
        SELECT 'trigger', concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
         WHERE relnamespace = 'script'::regnamespace AND NOT tgisinternal
        UNION ALL
        SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated) FROM pg_constraint WHERE connamespace = 'script'::regnamespace
        UNION ALL
        SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'script'::regnamespace
        UNION ALL
        SELECT 'row', concat_ws(' ', table_id, root_id, options, undo) FROM tenancy.protected_tables
        UNION ALL
        SELECT 'permission', concat_ws(' ', p.name, description, scope) FROM tenancy.permissions p
    ) s (kind, fact) WHERE s.fact ~ name
$$;
CREATE TABLE bare AS SELECT * FROM state('direct');
(SELECT * FROM state('inward') EXCEPT TABLE bare) UNION ALL (TABLE bare EXCEPT SELECT * FROM state('inward'));
\set options 'owner_column => ''owner_id'', existing_policies => ''drop'', tenant_keys => ''fix'', add_column => true, backfill => ''5c000000-0000-0000-0000-00000000000a'', roles => ''{authenticated}'''
\pset format unaligned
\pset tuples_only on
SELECT tenancy.protect_table_sql('direct', :options);
\pset format aligned
\pset tuples_only off
-- it has changed nothing yet
(SELECT * FROM state('direct') EXCEPT TABLE bare) UNION ALL (TABLE bare EXCEPT SELECT * FROM state('direct'));
SELECT tenancy.protect_table('direct', :options);
SELECT tenancy.protect_table_sql('inward', :options) AS script \gset
SET row_security = on;
BEGIN;
SET LOCAL search_path = public;
:script
SHOW search_path;
SHOW row_security;
COMMIT;
SHOW search_path;
SELECT * FROM state('direct') EXCEPT SELECT * FROM state('inward');
SELECT * FROM state('inward') EXCEPT SELECT * FROM state('direct');
SELECT kind, count(*) FROM state('inward') GROUP BY 1 ORDER BY 1;
SELECT tenancy.protect_table('inward', :options) AS changed;
-- outside a transaction, for a table already there, and with names that want quoting
CREATE TABLE "In $protect_table$ 'x'" (tenant_id uuid);
SELECT tenancy.protect_table_sql('"In $protect_table$ ''x''"', resource => 'script_x') AS script \gset
:script
SELECT tenancy.protect_table('"In $protect_table$ ''x''"', resource => 'script_x') AS changed;
-- the errors are those of protect_table
\set VERBOSITY sqlstate
SELECT tenancy.protect_table_sql('pg_class');
SELECT tenancy.protect_table_sql('bare');
SELECT tenancy.protect_table_sql('bare', mode => 'x');
-- it works where nothing may be written
BEGIN READ ONLY;
SELECT tenancy.protect_table_sql('bare', add_column => true, backfill => :a) <> '' AS printed;
ROLLBACK;
DROP SCHEMA script CASCADE;
DELETE FROM tenancy.tenants WHERE slug = 'script-a';
