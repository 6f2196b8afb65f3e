-- A staged rollout ends where protect_table ends, by statements that are transactions of their own.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA staged;
SET search_path = staged;
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    ('57a6ed00-0000-0000-0000-00000000000a', 'staged-a', 'A', '5701'), ('57a6ed00-0000-0000-0000-00000000000b', 'staged-b', 'B', '5702');
-- the catalogs' state, with the table's name taken out
CREATE FUNCTION state(name text) RETURNS TABLE (kind text, fact text) LANGUAGE sql AS $$
    SELECT s.kind, replace(s.fact, name, 'NAME') FROM (
        SELECT 'class', concat_ws(' ', c.relname, relkind, relrowsecurity, relforcerowsecurity, relacl) FROM pg_class c WHERE relnamespace = 'staged'::regnamespace
        UNION ALL
        SELECT 'column', concat_ws(' ', relname, attname, atttypid::regtype, attnotnull, attacl, pg_get_expr(adbin, adrelid))
          FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relnamespace = 'staged'::regnamespace AND attnum > 0 AND relkind IN ('r', 'p')
        UNION ALL
        SELECT 'policy', concat_ws(' ', tablename, policyname, permissive, roles, cmd, qual, '/', with_check) FROM pg_policies WHERE schemaname = 'staged'
        UNION ALL
        SELECT 'trigger', concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
         WHERE relnamespace = 'staged'::regnamespace AND NOT tgisinternal
        UNION ALL
        SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, conparentid > 0, coninhcount)
          FROM pg_constraint WHERE connamespace = 'staged'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT 'index', concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'staged'::regnamespace
        UNION ALL
        SELECT 'row', concat_ws(' ', table_id, root_id, options, undo) FROM tenancy.protected_tables
    ) s (kind, fact) WHERE s.fact ~ name
$$;
CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid);
INSERT INTO orders SELECT n, format('57a6ed00-0000-0000-0000-00000000000%s', CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END)::uuid FROM generate_series(1, 10) n;
SELECT tenancy.protect_table('orders', resource => 'staged');
-- Of each kind two: one for protect_table, one for the script.
CREATE FUNCTION make(kind text, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE replace(CASE kind
        WHEN 'plain' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text)'
        WHEN 'uuid' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text, tenant_id uuid)'
        WHEN 'bigint' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text, tenant_id bigint)'
        WHEN 'integer' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text, tenant_id int NOT NULL GENERATED ALWAYS AS (5700 + org) STORED)'
        WHEN 'text' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text, tenant_id text)'
        WHEN 'varchar' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text, tenant_id varchar(20))'
        WHEN 'tree' THEN 'CREATE TABLE NAME (id int PRIMARY KEY, org int, title text); CREATE TABLE NAME_child (more text) INHERITS (NAME);
                          INSERT INTO NAME_child VALUES (101, 1, ''c''), (102, 2, ''c'')'
        WHEN 'parts' THEN 'CREATE TABLE NAME (id int, org int, title text) PARTITION BY RANGE (id);
                           CREATE TABLE NAME_1 PARTITION OF NAME FOR VALUES FROM (0) TO (5);
                           CREATE TABLE NAME_2 PARTITION OF NAME FOR VALUES FROM (5) TO (100) PARTITION BY LIST (org);
                           CREATE TABLE NAME_2_1 PARTITION OF NAME_2 FOR VALUES IN (1); CREATE TABLE NAME_2_2 PARTITION OF NAME_2 DEFAULT' END, 'NAME', name);
    EXECUTE replace($make$
        INSERT INTO NAME (id, org, title) SELECT n, 1 + n % 2, 'x' FROM generate_series(1, 10) n;
        GRANT ALL ON NAME TO authenticated, anon;
        CREATE POLICY theirs ON NAME USING (true);
    $make$, 'NAME', name);
END
$$;
-- pair(KIND, OPTIONS): protects one, and gives the script for the other
CREATE FUNCTION pair(kind text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    script text;
BEGIN
    PERFORM make(kind, kind || '_direct'), make(kind, kind || '_inward');
    EXECUTE format('SELECT tenancy.protect_table(%L, resource => ''staged'', existing_policies => ''drop'', %s)', kind || '_direct', options);
    EXECUTE format('SELECT tenancy.protect_table_sql(%L, resource => ''staged'', existing_policies => ''drop'', staged => true, %s)', kind || '_inward', options) INTO script;
    RETURN script;
END
$$;
CREATE FUNCTION differences(kind text) RETURNS TABLE (side text, what text, fact text) LANGUAGE sql AS $$
    SELECT * FROM (
        SELECT 'direct', s.* FROM (SELECT * FROM state(kind || '_direct') EXCEPT SELECT * FROM state(kind || '_inward')) s
        UNION ALL
        SELECT 'inward', s.* FROM (SELECT * FROM state(kind || '_inward') EXCEPT SELECT * FROM state(kind || '_direct')) s) d ORDER BY 2, 3, 1
$$;
-- The text.
SELECT pair('plain', $$add_column => true, backfill => '(SELECT t.id FROM tenancy.tenants t WHERE t.key = (5700 + org)::text)'$$) AS script \gset
\pset format unaligned
\pset tuples_only on
SELECT :'script';
\pset format aligned
\pset tuples_only off
-- It has changed nothing yet; then it runs.
SELECT count(*) FROM tenancy.protected_tables WHERE table_id = 'plain_inward'::regclass;
:script
SELECT * FROM differences('plain');
SELECT kind, count(*) FROM state('plain_inward') GROUP BY 1 ORDER BY 1;
(SELECT * FROM plain_direct EXCEPT SELECT * FROM plain_inward) UNION ALL (SELECT * FROM plain_inward EXCEPT SELECT * FROM plain_direct);
SELECT tenancy.protect_table_sql('plain_inward', resource => 'staged', existing_policies => 'drop', staged => true);
SELECT tenancy.protect_table('plain_inward', resource => 'staged', existing_policies => 'drop') AS changed;
-- All of it again changes nothing.
:script
SELECT * FROM differences('plain');
-- A column that is there, by every type; a tree of children; partitions of two levels.
SELECT pair('uuid', $$backfill => '57a6ed00-0000-0000-0000-00000000000a', mode => 'membership', operators => true$$) AS script \gset
:script
SELECT * FROM differences('uuid');
SELECT pair('bigint', $$backfill => '5700 + org'$$) AS script \gset
:script
SELECT * FROM differences('bigint');
SELECT pair('text', $$backfill => '5700 + org'$$) AS script \gset
:script
SELECT * FROM differences('text');
SELECT pair('varchar', $$backfill => '5700 + org', shared => 'read'$$) AS script \gset
:script
SELECT * FROM differences('varchar');
SELECT pair('tree', $$add_column => true, column_type => 'integer', backfill => '5700 + org'$$) AS script \gset
:script
SELECT * FROM differences('tree');
SELECT tableoid::regclass, tenant_id, count(*) FROM tree_inward GROUP BY 1, 2 ORDER BY 1, 2;
SELECT pair('parts', $$add_column => true, column_type => 'bigint', backfill => '5700 + org'$$) AS script \gset
:script
SELECT * FROM differences('parts');
SELECT tableoid::regclass, tenant_id, count(*) FROM parts_inward GROUP BY 1, 2 ORDER BY 1, 2;
-- An added column with one tenant for all rows: no row is written, as no tuple moves.
SELECT make('plain', 'one_direct'), make('plain', 'one_inward');
SELECT tenancy.protect_table('one_direct', resource => 'staged', existing_policies => 'drop', add_column => true, backfill => '57a6ed00-0000-0000-0000-00000000000a');
SELECT tenancy.protect_table_sql('one_inward', resource => 'staged', existing_policies => 'drop', add_column => true, backfill => '57a6ed00-0000-0000-0000-00000000000a', staged => true) AS script \gset
:script
SELECT * FROM differences('one');
SELECT ctid, tenant_id FROM one_inward WHERE id IN (1, 10);
-- A child takes its tenant from the parent, during the rollout too, whatever it comes with.
CREATE TABLE lines_direct (id int, order_id int REFERENCES orders);
CREATE TABLE lines_inward (id int, order_id int REFERENCES orders);
INSERT INTO lines_direct SELECT n, n FROM generate_series(1, 10) n;
INSERT INTO lines_inward SELECT n, n FROM generate_series(1, 10) n;
SELECT tenancy.protect_table('lines_direct', resource => 'staged', add_column => true, backfill_from => 'orders(order_id)');
SELECT tenancy.protect_table_sql('lines_inward', resource => 'staged', add_column => true, backfill_from => 'orders(order_id)', staged => true) AS script \gset
SELECT split_part(:'script', '-- 3.', 1) AS first_half \gset
:first_half
INSERT INTO lines_inward VALUES (11, 1, DEFAULT), (12, 2, '57a6ed00-0000-0000-0000-00000000000b');
SELECT l.id, l.tenant_id = o.tenant_id AS of_parent FROM lines_inward l JOIN orders o ON o.id = l.order_id WHERE l.id > 10 ORDER BY 1;
:script
SELECT * FROM differences('lines');
SELECT count(*) FROM lines_inward l JOIN orders o ON o.id = l.order_id WHERE l.tenant_id = o.tenant_id;

-- Broken off: the table is observed, rows that come have their tenant, and the next script goes on.
SELECT make('bigint', 'broken');
SELECT tenancy.protect_table_sql('broken', resource => 'staged', existing_policies => 'drop', backfill => '5700 + org', staged => true) AS script \gset
SELECT split_part(:'script', '-- 5.', 1) AS first_half \gset
:first_half
SELECT options ->> 'mode' AS mode, undo FROM tenancy.protected_tables WHERE table_id = 'broken'::regclass;
SELECT relrowsecurity FROM pg_class WHERE oid = 'broken'::regclass;
INSERT INTO broken VALUES (11, 1), (12, 2);
UPDATE broken SET tenant_id = NULL WHERE id = 1;
SELECT id, tenant_id FROM broken WHERE id IN (1, 11, 12) ORDER BY 1;
-- What an index build leaves that was broken off.
CREATE INDEX broken_tenant_id_idx ON broken (tenant_id);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken_tenant_id_idx'::regclass;
SELECT regexp_matches(tenancy.protect_table_sql('broken', resource => 'staged', existing_policies => 'drop', backfill => '5700 + org', staged => true), '(?:PERFORM tenancy.drop_broken_index|CREATE INDEX)[^;]*', 'g');
SELECT tenancy.protect_table_sql('broken', resource => 'staged', existing_policies => 'drop', backfill => '5700 + org', staged => true) AS script \gset
:script
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'broken'::regclass ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'broken'::regclass AND NOT tgisinternal;
SELECT count(*) FILTER (WHERE tenant_id = 5700 + org), count(*) FROM broken;
-- A broken rollout is taken back like a protected table.
SELECT make('uuid', 'given_up');
SELECT tenancy.protect_table_sql('given_up', resource => 'staged', existing_policies => 'drop', backfill => '57a6ed00-0000-0000-0000-00000000000a', staged => true) AS script \gset
SELECT substr(:'script', 1, position('-- 11.' IN :'script') - 1) AS first_half \gset
:first_half
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'given_up'::regclass ORDER BY 1;
SELECT tenancy.unprotect_table('given_up', drop_structure => true);
SELECT kind, fact FROM state('given_up') WHERE kind <> 'class' ORDER BY kind, fact COLLATE "C";
-- So is one that came to its end.
SELECT tenancy.unprotect_table('uuid_inward', true), tenancy.unprotect_table('uuid_direct', true), tenancy.unprotect_table('parts_inward', true), tenancy.unprotect_table('parts_direct', true);
SELECT * FROM differences('uuid');
SELECT * FROM differences('parts');
-- A partition that comes during the rollout is enforced at its end.
CREATE TABLE late (id int, tenant_id uuid) PARTITION BY LIST (id);
SELECT tenancy.protect_table_sql('late', resource => 'staged', staged => true) AS script \gset
SELECT split_part(:'script', '-- 3.', 1) AS first_half \gset
:first_half
CREATE TABLE late_1 PARTITION OF late FOR VALUES IN (1);
SELECT table_id, options ->> 'mode' AS mode FROM tenancy.protected_tables WHERE root_id = 'late'::regclass ORDER BY 1;
:script
SELECT table_id, options ->> 'mode' AS mode FROM tenancy.protected_tables WHERE root_id = 'late'::regclass ORDER BY 1;
SELECT count(*) FROM pg_policies WHERE tablename = 'late_1';

-- The last statement does nothing that takes long.
SELECT make('bigint', 'hasty');
SELECT tenancy.protect_table_sql('hasty', resource => 'staged', existing_policies => 'drop', backfill => '5700 + org', staged => true) AS script \gset
SELECT regexp_replace(:'script', '.*(DO \$staged\$\s+BEGIN[^$]+finish_staged)', '\1') AS last_step \gset
SELECT split_part(:'script', '-- 4.', 1) AS first_half \gset
:first_half
\set VERBOSITY default
:last_step
\set VERBOSITY sqlstate
-- What cannot be done in stages, and what protect_table refuses.
CREATE TABLE keyed (id int PRIMARY KEY, tenant_id uuid NOT NULL, other uuid, email text UNIQUE);
SELECT tenancy.protect_table_sql('keyed', resource => 'staged', tenant_keys => 'fix', staged => true);
SELECT tenancy.protect_table('keyed', resource => 'staged');
SELECT tenancy.protect_table_sql('keyed', resource => 'staged', tenant_column => 'other', staged => true);
SELECT tenancy.protect_table_sql('keyed', resource => 'staged', mode => 'observe', staged => true);
SELECT tenancy.protect_table_sql('keyed', resource => 'staged', staged => NULL);
SELECT tenancy.protect_table_sql('pg_class', staged => true);
CREATE TABLE unfilled (id int, tenant_id uuid);
INSERT INTO unfilled VALUES (1, NULL);
SELECT tenancy.protect_table_sql('unfilled', resource => 'staged', staged => true);
SELECT tenancy.protect_table_sql('unfilled', resource => 'staged', backfill => 'nonsense', staged => true);
-- Nobody else makes the trigger function run as the owner of the extension.
GRANT USAGE, CREATE ON SCHEMA staged TO authenticated;
SET ROLE authenticated;
CREATE TABLE mine (id int, tenant_id text);
CREATE TRIGGER evil BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tenancy.fill_tenant('tenant_id', 'current_user');
RESET ROLE;
DROP SCHEMA staged CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'staged-_';
