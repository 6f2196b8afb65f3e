-- Tenant columns of the host's own key types: threats 7 to 11 for each type and mode, and that all answer alike, as a
-- column of type uuid does.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA host;
GRANT USAGE ON SCHEMA host TO authenticated;
SET search_path = host;
SET max_parallel_workers_per_gather = 0;
\set alice '''c0000000-0000-0000-0000-0000000000a1'''
\set reader '''c0000000-0000-0000-0000-0000000000a2'''
\set both '''c0000000-0000-0000-0000-0000000000ab'''
\set acme '''c0000000-0000-0000-0000-0000000000d1'''
\set keyless '''c0000000-0000-0000-0000-0000000000c1'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    ('c0000000-0000-0000-0000-00000000000a', 'host-a', 'A', '7001'), ('c0000000-0000-0000-0000-00000000000b', 'host-b', 'B', '-7002'),
    ('c0000000-0000-0000-0000-00000000000c', 'host-c', 'C', NULL), ('c0000000-0000-0000-0000-00000000000d', 'host-d', 'D', 'acme');
-- For each type and mode: docs with rows of A (1, 2) and B (11, 12), which refer to folders; partitions and children.
CREATE TABLE kinds (kind text, type text, mode text, a text, b text, unknown text);
INSERT INTO kinds SELECT split_part(t, '(', 1) || '_' || m, t, m, CASE t WHEN 'uuid' THEN 'c0000000-0000-0000-0000-00000000000a' ELSE '7001' END,
                         CASE t WHEN 'uuid' THEN 'c0000000-0000-0000-0000-00000000000b' ELSE '-7002' END,
                         CASE t WHEN 'uuid' THEN 'c0000000-0000-0000-0000-0000000000ff' ELSE '7003' END
  FROM unnest('{uuid,bigint,integer,text,varchar(20)}'::text[]) t, unnest('{active,membership}'::text[]) m;
CREATE PROCEDURE each(statement text) LANGUAGE plpgsql AS $$
DECLARE
    k host.kinds;
BEGIN
    FOR k IN SELECT * FROM host.kinds LOOP
        EXECUTE replace(replace(replace(replace(replace(statement, '$K', k.kind), '$T', k.type), '$M', quote_literal(k.mode)), '$A', quote_literal(k.a)), '$B', quote_literal(k.b));
    END LOOP;
END
$$;
CALL each($$
    CREATE TABLE host.folders_$K (id int PRIMARY KEY, tenant_id $T, name text UNIQUE);
    CREATE TABLE host.docs_$K (id int PRIMARY KEY, tenant_id $T, title text, folder_id int REFERENCES host.folders_$K);
    CREATE TABLE host.child_$K () INHERITS (host.docs_$K);
    CREATE TABLE host.parts_$K (id int, tenant_id $T, title text) PARTITION BY RANGE (id);
    CREATE TABLE host.parts_$K_1 PARTITION OF host.parts_$K FOR VALUES FROM (0) TO (10);
    INSERT INTO host.folders_$K VALUES (1, $A, 'fa'), (2, $B, 'fb');
    INSERT INTO host.docs_$K VALUES (1, $A, 'a1', 1), (2, $A, 'a2', 1), (11, $B, 'b1', 2), (12, $B, 'b2', 2);
    INSERT INTO host.child_$K VALUES (21, $A, 'ca'), (22, $B, 'cb');
    INSERT INTO host.parts_$K VALUES (1, $A, 'a1'), (2, $B, 'b1');
    GRANT ALL ON host.folders_$K, host.docs_$K, host.parts_$K, host.parts_$K_1, host.child_$K TO authenticated $$);
CALL each($$SELECT tenancy.protect_table(t, resource => 'host_docs', mode => $M, tenant_keys => 'fix')
              FROM unnest('{host.folders_$K,host.docs_$K,host.parts_$K}'::regclass[]) t $$);
-- and more of them made later
CALL each($$
    CREATE TABLE host.late_$K () INHERITS (host.docs_$K);
    CREATE TABLE host.parts_$K_2 PARTITION OF host.parts_$K FOR VALUES FROM (10) TO (20);
    INSERT INTO host.late_$K VALUES (31, $A, 'la'), (32, $B, 'lb');
    INSERT INTO host.parts_$K VALUES (11, $A, 'a2'), (12, $B, 'b2');
    GRANT SELECT, INSERT, UPDATE, DELETE ON host.parts_$K_2, host.late_$K TO authenticated $$);
SELECT FROM tenancy.create_role('host_editor', '{host_docs.*}');
SELECT FROM tenancy.create_role('host_reader', '{host_docs.read}');
SELECT count(tenancy.add_member(t.id, m.who::uuid, ARRAY[m.role]))
  FROM (VALUES ('host-a', :alice, 'host_editor'), ('host-a', :reader, 'host_reader'), ('host-a', :both, 'host_editor'), ('host-b', :both, 'host_editor'),
               ('host-c', :keyless, 'host_editor'), ('host-d', :acme, 'host_editor')) m (slug, who, role) JOIN tenancy.tenants t USING (slug);
-- again is nothing to do
SELECT count(*), bool_or(tenancy.protect_table(format('host.%s_%s', t, kind)::regclass, resource => 'host_docs', mode => mode, tenant_keys => 'fix')) AS anything
  FROM kinds, unnest('{folders,docs,parts}'::text[]) t;
-- what was written, for one table of each kind
SELECT tablename, qual AS fence, (SELECT qual FROM pg_policies o WHERE o.tablename = p.tablename AND o.policyname = 'pg_tenancy_select') AS permission,
       (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = ('host.' || tablename)::regclass) AS default,
       (SELECT pg_get_constraintdef(oid) FROM pg_constraint c WHERE c.conrelid = ('host.' || tablename)::regclass AND confrelid = 'tenancy.tenants'::regclass) AS key
  FROM pg_policies p WHERE schemaname = 'host' AND tablename LIKE 'docs%' AND policyname = '!pg_tenancy_isolation' ORDER BY tablename;
SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid IN ('docs_bigint_active'::regclass, 'folders_bigint_active'::regclass, 'docs_varchar_membership'::regclass) AND contype IN ('f', 'u') ORDER BY conrelid::regclass::text COLLATE "C", 2;

-- One command for all kinds, and who got which answer. Names of kinds in messages are taken out, and a key with them.
CREATE FUNCTION pg_temp.all_kinds(who uuid, command text) RETURNS TABLE (answer text, kinds text) LANGUAGE sql AS $$
    WITH tried AS (
        SELECT k.kind, replace(replace(replace(test.try(who, replace(replace(replace(replace(command, '$K', k.kind), '$X', quote_literal(k.unknown)), '$A', quote_literal(k.a)), '$B', quote_literal(k.b))),
                                       k.kind, 'K'), k.a, 'A'), k.b, 'B') AS answer
          FROM host.kinds k
    )
    SELECT t.answer, CASE count(*) WHEN (SELECT count(*) FROM host.kinds) THEN 'all' ELSE string_agg(t.kind, ' ' ORDER BY t.kind) END FROM tried t GROUP BY t.answer ORDER BY 2 $$;
CREATE TEMP TABLE attacks (n serial, who uuid, command text);
INSERT INTO attacks (who, command) VALUES
    -- reading
    (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.docs_$K'),
    (:both, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.docs_$K'),
    (:acme, 'SELECT count(*) FROM host.docs_$K'), (:keyless, 'SELECT count(*) FROM host.docs_$K'), (NULL, 'SELECT count(*) FROM host.docs_$K'),
    (:alice, 'SELECT count(*) FROM host.docs_$K WHERE tenant_id = $B'),
    (:alice, 'SELECT count(*) FROM (SELECT FROM host.docs_$K WHERE id IN (1, 11) FOR UPDATE) locked'),
    -- writing, RETURNING
    (:alice, 'UPDATE host.docs_$K SET title = ''x'''), (:alice, 'UPDATE host.docs_$K SET title = ''x'' WHERE tenant_id = $B RETURNING *'),
    (:alice, 'DELETE FROM host.docs_$K'), (:alice, 'DELETE FROM host.docs_$K WHERE id = 11 RETURNING title'),
    (:reader, 'UPDATE host.docs_$K SET title = ''x'''), (:reader, 'INSERT INTO host.docs_$K (id) VALUES (50)'),
    (:alice, 'INSERT INTO host.docs_$K (id) VALUES (50)'), (:alice, 'INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, $A)'),
    (:alice, 'INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, $B)'), (:alice, 'INSERT INTO host.docs_$K (id, tenant_id) SELECT 50, $B RETURNING *'),
    (:alice, 'INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, NULL)'), (:keyless, 'INSERT INTO host.docs_$K (id) VALUES (50)'), (NULL, 'INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, $A)'),
    -- ON CONFLICT, MERGE
    (:alice, 'INSERT INTO host.docs_$K (id) VALUES (11) ON CONFLICT (id) DO UPDATE SET title = ''x'''),
    (:alice, 'INSERT INTO host.docs_$K (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET title = ''x'''),
    (:alice, 'INSERT INTO host.docs_$K (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET tenant_id = $B'),
    (:alice, 'MERGE INTO host.docs_$K d USING (VALUES (1), (11)) v (id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET title = ''x'''),
    (:alice, 'MERGE INTO host.docs_$K d USING (VALUES (1), (11)) v (id) ON d.id = v.id WHEN MATCHED THEN DELETE'),
    (:alice, 'MERGE INTO host.docs_$K d USING (VALUES (50)) v (id) ON d.id = v.id WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (v.id, $B)'),
    -- moving a row: to another's, to one's own other tenant, to none, and the setting that is the administrators'
    (:alice, 'UPDATE host.docs_$K SET tenant_id = $B WHERE id = 1'), (:both, 'UPDATE host.docs_$K SET tenant_id = $B WHERE id = 1'),
    (:alice, 'UPDATE host.docs_$K SET tenant_id = NULL WHERE id = 1'), (:alice, 'UPDATE host.docs_$K SET tenant_id = $A WHERE id = 1'),
    (:both, 'WITH s AS MATERIALIZED (SELECT set_config(''tenancy.allow_tenant_change'', ''on'', true)) UPDATE host.docs_$K SET tenant_id = $B FROM s WHERE id = 1'),
    (NULL, 'RESET ROLE; UPDATE host.docs_$K SET tenant_id = $B WHERE id = 1'), (NULL, 'RESET ROLE; SET LOCAL tenancy.allow_tenant_change = on; UPDATE host.docs_$K SET tenant_id = $B WHERE id = 1'),
    -- keys that cross tenants: refer to another's row, learn of another's value
    (:alice, 'INSERT INTO host.docs_$K (id, folder_id) VALUES (50, 2)'), (:alice, 'INSERT INTO host.docs_$K (id, folder_id) VALUES (50, 3)'), (:alice, 'UPDATE host.docs_$K SET folder_id = 2 WHERE id = 1'),
    (:alice, 'INSERT INTO host.folders_$K (id, name) VALUES (50, ''fb'')'), (:alice, 'INSERT INTO host.folders_$K (id, name) VALUES (50, ''fa'')'),
    -- rows of tenants that there are not
    (NULL, 'RESET ROLE; INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, $X)'),
    -- partitions and children, there then and later, addressed directly; TRUNCATE
    (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.parts_$K'), (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.parts_$K_1'),
    (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.parts_$K_2'), (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.child_$K'),
    (:alice, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.late_$K'), (:alice, 'INSERT INTO host.parts_$K_2 VALUES (15, $B)'), (:alice, 'INSERT INTO host.parts_$K_2 (id) VALUES (15)'),
    (:alice, 'INSERT INTO host.late_$K VALUES (51, $B)'), (:alice, 'DELETE FROM host.late_$K'), (:alice, 'UPDATE host.parts_$K_2 SET tenant_id = $B'), (:alice, 'UPDATE host.late_$K SET tenant_id = $B'),
    (:alice, 'TRUNCATE host.docs_$K'), (:alice, 'TRUNCATE host.parts_$K_2');
SELECT regexp_replace(a.command, 'host\.(\w+)_\$K', '\1', 'g') AS command, right(a.who::text, 2) AS who, r.answer, r.kinds
  FROM attacks a, pg_temp.all_kinds(a.who, a.command) r ORDER BY a.n, r.kinds;

-- an extra permissive policy widens nothing beyond the tenant
CALL each('CREATE POLICY wide ON host.docs_$K USING (true) WITH CHECK (true)');
SELECT right(w.who, 2) AS who, r.* FROM unnest(ARRAY[:alice, :reader, :acme, :keyless, NULL]::text[]) WITH ORDINALITY w (who, n),
       pg_temp.all_kinds(w.who::uuid, 'SELECT string_agg(title, '' '' ORDER BY id) FROM host.docs_$K') r ORDER BY w.n, r.kinds;
SELECT r.* FROM pg_temp.all_kinds(:reader, 'UPDATE host.docs_$K SET title = ''x''') r;
SELECT r.* FROM pg_temp.all_kinds(:reader, 'INSERT INTO host.docs_$K (id, tenant_id) VALUES (50, $B)') r;
CALL each('DROP POLICY wide ON host.docs_$K');
-- nor does being a database role made afterwards, or the table's owner
CREATE ROLE host_late;
GRANT USAGE ON SCHEMA host TO host_late;
CALL each('ALTER TABLE host.docs_$K OWNER TO host_late');
SELECT r.* FROM pg_temp.all_kinds(NULL, 'RESET ROLE; SET LOCAL ROLE host_late; UPDATE host.docs_$K SET title = ''x''') r;
CALL each('ALTER TABLE host.docs_$K OWNER TO current_user');
DROP OWNED BY host_late;
DROP ROLE host_late;

-- COPY out gives what SELECT does, and COPY in is refused
BEGIN;
SELECT FROM tenancy.act_as(:alice);
COPY docs_bigint_active TO STDOUT;
COPY docs_integer_membership TO STDOUT;
COPY docs_text_active TO STDOUT;
COPY docs_varchar_membership TO STDOUT;
\set VERBOSITY sqlstate
\copy docs_bigint_active from /dev/null
ROLLBACK;
\set VERBOSITY default

-- The index is searched, and one prepared plan serves whoever asks.
CALL each($$ INSERT INTO host.docs_$K SELECT 100 + g, $A, 'x' FROM generate_series(1, 50) g $$);
CALL each($$ INSERT INTO host.docs_$K SELECT 1000 + g, $B, 'x' FROM generate_series(1, 5000) g $$);
ANALYZE;
CREATE FUNCTION pg_temp.plan(who uuid, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as(who);
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
    RESET ROLE;
END
$$;
SELECT kind, p.* FROM kinds, pg_temp.plan(:alice, format('SELECT * FROM ONLY host.docs_%s', kind)) p WHERE p ~ 'Cond|Filter|SubPlan|Seq';
SELECT kind, p.* FROM kinds, pg_temp.plan(:alice, format('UPDATE ONLY host.docs_%s SET title = ''y''', kind)) p WHERE type <> 'uuid' AND p ~ 'Cond|SubPlan|Seq';
SET plan_cache_mode = force_generic_plan;
PREPARE q1 AS SELECT count(*), min(title) FROM ONLY docs_bigint_active;
PREPARE q2 AS SELECT count(*), min(title) FROM ONLY docs_text_membership;
PREPARE q3 AS SELECT count(*), min(title) FROM ONLY docs_varchar_active;
BEGIN;
SELECT FROM tenancy.act_as(:alice);
EXECUTE q1;
EXECUTE q2;
EXECUTE q3;
RESET ROLE; SELECT FROM tenancy.act_as(NULL);
EXECUTE q1;
EXECUTE q2;
EXECUTE q3;
RESET ROLE; SELECT FROM tenancy.act_as(:both, 'c0000000-0000-0000-0000-00000000000b');
EXECUTE q1;
EXECUTE q2;
EXECUTE q3;
ROLLBACK;
DEALLOCATE ALL;
RESET plan_cache_mode;

-- A key beyond the column's type reaches nothing there.
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('c0000000-0000-0000-0000-00000000000e', 'host-e', 'E', '3000000000');
SELECT tenancy.add_member('c0000000-0000-0000-0000-00000000000e', 'c0000000-0000-0000-0000-0000000000e1', '{host_editor}');
SELECT r.* FROM pg_temp.all_kinds('c0000000-0000-0000-0000-0000000000e1', 'INSERT INTO host.docs_$K (id) VALUES (50)') r;
SELECT r.* FROM pg_temp.all_kinds('c0000000-0000-0000-0000-0000000000e1', 'SELECT count(*) FROM host.docs_$K') r;
-- The key stays while rows use it, and a tenant with rows is not dropped.
SELECT test.attempt(NULL, 'UPDATE tenancy.tenants SET key = ''7011'' WHERE slug = ''host-a''');
SELECT left(test.attempt(NULL, 'SELECT tenancy.drop_tenant(''c0000000-0000-0000-0000-00000000000b'')'), 110);

-- protect_table_sql does the same; unprotect_table undoes it; a column that is added has the type that is wanted
CREATE TABLE added (id int);
INSERT INTO added VALUES (1);
CREATE TABLE by_text (LIKE docs_varchar_active);
SELECT tenancy.protect_table_sql('by_text', resource => 'host_docs') AS script \gset
:script
SELECT tenancy.protect_table('by_text', resource => 'host_docs') AS "anything left";
SELECT tenancy.protect_table('added', resource => 'host_docs', add_column => true, column_type => 'bigint', backfill => 'c0000000-0000-0000-0000-00000000000a'),
       tenancy.protect_table('added', resource => 'host_docs', add_column => true, column_type => 'bigint', backfill => 'c0000000-0000-0000-0000-00000000000a') AS again;
TABLE added;
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'added'::regclass AND attname = 'tenant_id';
-- an index in another collation is not searched, so it does not serve
CREATE TABLE collated (tenant_id text, id int);
CREATE INDEX other_collation ON collated (tenant_id COLLATE "C");
SELECT tenancy.protect_table('collated', resource => 'host_docs');
SELECT indexdef FROM pg_indexes WHERE schemaname = 'host' AND tablename = 'collated' ORDER BY indexname;
DROP TABLE collated;
-- what varchar calls a change of tenant, and a column with an odd name
CREATE TABLE odd (id int, "Org %I 'x'" varchar);
SELECT tenancy.protect_table('odd', tenant_column => 'Org %I ''x''', resource => 'host_docs', mode => 'membership', operators => true),
       tenancy.protect_table('odd', tenant_column => 'Org %I ''x''', resource => 'host_docs', mode => 'membership', operators => true) AS again;
ALTER TABLE odd RENAME "Org %I 'x'" TO org;
SELECT tenancy.protect_table('odd', tenant_column => 'org', resource => 'host_docs', mode => 'membership', operators => true) AS "the rename was seen";
SELECT bool_and(tenancy.unprotect_table(format('host.%s_%s', t, kind)::regclass, true)) AND tenancy.unprotect_table('added', true) AND tenancy.unprotect_table('odd', true) AS undone
  FROM kinds, unnest('{docs,folders,parts}'::text[]) t;
SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'host' AND tablename <> 'by_text';
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
 WHERE c.relnamespace = 'host'::regnamespace AND c.relname !~ '^(by_text|late_.*|.*_2)$' AND a.attnum > 0 AND a.attname IN ('tenant_id', 'org') AND (a.attnotnull OR a.atthasdef);

-- What is refused.
CREATE DOMAIN key_domain AS bigint;
CREATE COLLATION host_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE refused (id int, small smallint, num numeric, fixed char(4), domained key_domain, made date, folded text COLLATE host_ci, foldedv varchar COLLATE host_ci, big bigint, txt text);
INSERT INTO refused (big, txt) VALUES (7003, 'who'), (7003, 'c0000000-0000-0000-0000-00000000000a'), (7001, '7001');
SELECT c AS column, test.attempt(NULL, format('SELECT tenancy.protect_table(''host.refused'', tenant_column => %L, resource => ''host_docs'')', c)) AS answer
  FROM unnest('{small,num,fixed,domained,made,folded,foldedv,big,txt}'::text[]) c;
SELECT t AS type, test.attempt(NULL, format('SELECT tenancy.protect_table(''host.refused'', tenant_column => ''new'', add_column => true, column_type => %L, resource => ''host_docs'')', t)) AS answer
  FROM unnest('{smallint,numeric,jsonb,host.key_domain}'::text[]) t;
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('refused', tenant_column => 'big', column_type => 'bigint', resource => 'host_docs');
SELECT tenancy.protect_table('refused', tenant_column => 'big', column_type => 'text', add_column => true, resource => 'host_docs');
SELECT tenancy.protect_table('refused', tenant_column => 'big', column_type => 'nonsense', add_column => true, resource => 'host_docs');
\set VERBOSITY default
SELECT count(*) FROM tenancy.protected_tables WHERE table_id = 'refused'::regclass;
-- tenant columns of different kinds have no common key
CREATE TABLE mixed (id int PRIMARY KEY, tenant_id uuid, folder_id int REFERENCES folders_bigint_active);
SELECT tenancy.protect_table('folders_bigint_active', resource => 'host_docs');
SET client_min_messages = notice;
GRANT SELECT ON mixed TO PUBLIC;
SELECT tenancy.protect_table('mixed', resource => 'host_docs', tenant_keys => 'fix');
SET client_min_messages = warning;
DROP SCHEMA host CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'host-_';
SELECT tenancy.drop_role('host_editor', cascade => true), tenancy.drop_role('host_reader', cascade => true);
