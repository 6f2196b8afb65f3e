-- protect_table(…, shared => 'read'): rows without a tenant are every member's to read and nobody's to write but an
-- administrator's, whoever asks in whatever way; and the index is still used.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA shared;
GRANT USAGE ON SCHEMA shared TO authenticated, anon;
SET search_path = shared;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
\set a '''5a000000-0000-0000-0000-00000000000a'''
\set b '''5a000000-0000-0000-0000-00000000000b'''
\set alice '''5a000000-0000-0000-0000-0000000000a1'''
\set plain '''5a000000-0000-0000-0000-0000000000a2'''
\set both '''5a000000-0000-0000-0000-0000000000ab'''
\set nobody '''5a000000-0000-0000-0000-0000000000f1'''
\set closed '''5a000000-0000-0000-0000-0000000000c1'''
\set ended '''5a000000-0000-0000-0000-0000000000e1'''
\set reading '''5a000000-0000-0000-0000-0000000000d1'''
\set writing '''5a000000-0000-0000-0000-0000000000d2'''
INSERT INTO tenancy.tenants (id, slug, name, key, status) VALUES (:a, 'shared-a', 'A', '8001', 'active'), (:b, 'shared-b', 'B', '8002', 'active'),
    ('5a000000-0000-0000-0000-00000000000c', 'shared-c', 'C', '8003', 'active');
-- One table for each type, mode and way of operators: rows 1 to 50 are A's, 1001 to 6000 B's, 9001 to 9003 shared. The
-- owner column names somebody who is no member, also of a shared row.
CREATE TABLE kinds (kind text, type text, mode text, operators boolean, a text, b text);
INSERT INTO kinds SELECT concat_ws('_', t, m, CASE WHEN o THEN 'ops' END), t, m, o, CASE t WHEN 'uuid' THEN :a ELSE '8001' END, CASE t WHEN 'uuid' THEN :b ELSE '8002' END
  FROM unnest('{uuid,bigint,varchar}'::text[]) t, unnest('{active,membership}'::text[]) m, unnest('{f,t}'::boolean[]) o;
CREATE PROCEDURE each(statement text) LANGUAGE plpgsql AS $$
DECLARE
    k shared.kinds;
BEGIN
    FOR k IN SELECT * FROM shared.kinds LOOP
        EXECUTE replace(replace(replace(replace(replace(replace(statement, '$K', k.kind), '$T', k.type), '$M', quote_literal(k.mode)), '$O', k.operators::text), '$A', quote_literal(k.a)), '$B', quote_literal(k.b));
    END LOOP;
END
$$;
CALL each($$
    CREATE TABLE shared.$K (id int PRIMARY KEY, tenant_id $T, title text, owner_id uuid);
    INSERT INTO shared.$K SELECT g, $A, 'a' || g FROM generate_series(1, 50) g;
    INSERT INTO shared.$K SELECT g, $B, 'b' || g FROM generate_series(1001, 6000) g;
    INSERT INTO shared.$K VALUES (9001, NULL, 's1', NULL), (9002, NULL, 's2', NULL), (9003, NULL, 's3', '5a000000-0000-0000-0000-0000000000f1');
    GRANT SELECT, INSERT, UPDATE, DELETE ON shared.$K TO authenticated, anon $$);
CALL each($$SELECT tenancy.protect_table('shared.$K', resource => 'shared_docs', mode => $M, owner_column => 'owner_id', operators => $O, shared => 'read')$$);
SELECT bool_or(tenancy.protect_table(format('shared.%s', kind)::regclass, resource => 'shared_docs', mode => mode, owner_column => 'owner_id', operators => operators, shared => 'read')) AS "again is nothing" FROM kinds;
SELECT tablename, policyname, qual FROM pg_policies WHERE schemaname = 'shared' AND (policyname LIKE '!%isolation' OR policyname LIKE '!%update' OR policyname LIKE '%select') AND tablename ~ '^(uuid_active|bigint_membership|varchar_active_ops)$' ORDER BY 1, 2;
SELECT attnotnull, count(*) FROM pg_attribute a JOIN kinds ON attrelid = kind::regclass WHERE attname = 'tenant_id' GROUP BY 1;
SELECT FROM tenancy.create_role('shared_editor', '{shared_docs.*}');
SELECT count(tenancy.add_member(t, u::uuid, r)) FROM (VALUES (:a::uuid, :alice, '{shared_editor}'::text[]), (:a, :plain, '{}'), (:a, :both, '{shared_editor}'), (:b, :both, '{shared_editor}'),
       ('5a000000-0000-0000-0000-00000000000c', :closed, '{shared_editor}'), (:a, :ended, '{shared_editor}')) m (t, u, r);
SELECT tenancy.set_member_status(:a, :ended, 'suspended'), tenancy.set_tenant_status('5a000000-0000-0000-0000-00000000000c', 'suspended');
SELECT tenancy.grant_operator(:reading, 'read'), tenancy.grant_operator(:writing, 'write');

-- Who sees what; a member without any permission sees the shared rows, the only ones meant for everybody.
CREATE FUNCTION pg_temp.all_kinds(who uuid, command text) RETURNS TABLE (answer text, kinds text) LANGUAGE sql AS $$
    WITH tried AS (
        SELECT k.kind, replace(replace(replace(test.try(who, replace(replace(replace(command, '$K', 'shared.' || k.kind), '$A', quote_literal(k.a)), '$B', quote_literal(k.b))),
                                       k.kind, 'K'), k.a, 'A'), k.b, 'B') AS answer
          FROM shared.kinds k
    )
    SELECT t.answer, CASE count(*) WHEN (SELECT count(*) FROM shared.kinds) THEN 'all' ELSE string_agg(t.kind, ' ' ORDER BY t.kind) END FROM tried t GROUP BY t.answer ORDER BY 2 $$;
CREATE TEMP TABLE people (n serial, name text, who uuid);
INSERT INTO people (name, who) VALUES ('member', :alice), ('member without permission', :plain), ('member of two', :both), ('nobody', NULL), ('member of none, owner of a row', :nobody),
    ('member of a suspended tenant', :closed), ('suspended member', :ended), ('reading operator', :reading), ('writing operator', :writing);
CREATE FUNCTION pg_temp.who_sees() RETURNS TABLE (n int, name text, sees text, kinds text) LANGUAGE sql AS $$
    SELECT p.n, p.name, r.* FROM people p, pg_temp.all_kinds(p.who, 'SELECT format(''%s of a tenant, %s shared'', count(tenant_id), count(*) - count(tenant_id)) FROM $K') r ORDER BY p.n, r.kinds $$;
SELECT name, sees, kinds FROM pg_temp.who_sees();
-- the same by the index alone
SET enable_seqscan = off;
SELECT name, sees, kinds FROM pg_temp.who_sees() WHERE n < 5;
RESET enable_seqscan;
-- somebody's permissive policy, for all, shows shared rows to members only too
CALL each('CREATE POLICY wide ON shared.$K USING (true) WITH CHECK (true)');
SELECT name, sees, kinds FROM pg_temp.who_sees() WHERE n IN (2, 4, 5, 6, 7, 8);
CREATE TEMP TABLE writes (n serial, command text);
INSERT INTO writes (command) VALUES
    ('UPDATE $K SET title = ''x'' WHERE id >= 9000'), ('UPDATE $K SET title = ''x'' WHERE tenant_id IS NULL RETURNING id'), ('UPDATE $K SET tenant_id = $A WHERE id = 9001'), ('UPDATE $K SET owner_id = tenancy.current_user_id() WHERE id = 9001'),
    ('UPDATE $K SET tenant_id = NULL WHERE id = 1'), ('DELETE FROM $K WHERE id >= 9000'), ('DELETE FROM $K WHERE tenant_id IS NULL'),
    ('INSERT INTO $K (id, tenant_id) VALUES (9100, NULL)'), ('INSERT INTO $K (id, tenant_id, owner_id) SELECT 9100, NULL, tenancy.current_user_id()'), ('INSERT INTO $K (id, tenant_id) VALUES (9100, NULL) RETURNING id'),
    ('INSERT INTO $K (id) VALUES (9001) ON CONFLICT (id) DO UPDATE SET title = ''x'''), ('INSERT INTO $K (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET tenant_id = NULL'), ('INSERT INTO $K (id) VALUES (9001) ON CONFLICT DO NOTHING'),
    ('MERGE INTO $K d USING (VALUES (1), (9001)) v (id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET title = ''x'''), ('MERGE INTO $K d USING (VALUES (9001)) v (id) ON d.id = v.id WHEN MATCHED THEN DELETE'),
    ('MERGE INTO $K d USING (VALUES (9100)) v (id) ON d.id = v.id WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (v.id, NULL)'),
    ('SELECT count(*) FROM (SELECT FROM $K WHERE id > 9000 FOR UPDATE) locked'), ('SELECT count(*) FROM (SELECT FROM $K WHERE id > 9000 FOR KEY SHARE) locked'),
    ('WITH s AS MATERIALIZED (SELECT set_config(''tenancy.allow_tenant_change'', ''on'', true)) UPDATE $K SET tenant_id = $A FROM s WHERE id = 9001');
-- and lets nobody write them: neither members nor operators nor owners
SELECT w.command, r.answer, string_agg(DISTINCT p.name, ', ' ORDER BY p.name) AS who, r.kinds
  FROM writes w, people p, pg_temp.all_kinds(p.who, w.command) r WHERE p.n IN (1, 3, 5, 8, 9) GROUP BY w.n, w.command, r.answer, r.kinds ORDER BY w.n, r.answer, r.kinds;
CALL each('DROP POLICY wide ON shared.$K');
-- without it, too
SELECT w.command, r.answer, r.kinds FROM writes w, people p, pg_temp.all_kinds(p.who, w.command) r WHERE p.n = 1 ORDER BY w.n, r.answer, r.kinds;
-- administrators may: without a tenant is shared, and a row changes between shared and a tenant's as between tenants
SELECT r.* FROM pg_temp.all_kinds(NULL, 'RESET ROLE; INSERT INTO $K (id) VALUES (9100)') r;
SELECT r.* FROM pg_temp.all_kinds(NULL, 'RESET ROLE; UPDATE $K SET title = ''x'' WHERE tenant_id IS NULL') r;
SELECT r.* FROM pg_temp.all_kinds(NULL, 'RESET ROLE; UPDATE $K SET tenant_id = $A WHERE id = 9001') r;
SELECT r.* FROM pg_temp.all_kinds(NULL, 'RESET ROLE; SET LOCAL tenancy.allow_tenant_change = on; UPDATE $K SET tenant_id = $A WHERE id = 9001') r;
COPY uuid_active FROM STDIN;
9101	\N	copied	\N
\.
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SELECT id FROM uuid_active WHERE id > 9100;
COPY (SELECT id FROM bigint_active WHERE id > 9000) TO STDOUT;
\set VERBOSITY sqlstate
\copy bigint_active from /dev/null
ROLLBACK;
\set VERBOSITY default
DELETE FROM uuid_active WHERE id = 9101;

-- Plans: both arms search the index, nothing runs a query for a row, and a row of another tenant is not touched.
CALL each('ANALYZE shared.$K');
CREATE FUNCTION pg_temp.plan(who uuid, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as(who);
    RETURN QUERY EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query;
    RESET ROLE;
END
$$;
SELECT kind, regexp_replace(regexp_replace(p, '(Bitmap Index Scan on \S+) \(.*\)', '\1'), ' \(actual (rows=\d+)(\.00)? loops=1\)', ' (\1)') AS plan FROM kinds, pg_temp.plan(:alice, format('SELECT * FROM shared.%s', kind)) p WHERE type <> 'varchar' AND p !~ 'Heap Blocks|Index Searches';
SELECT kind, count(*) FILTER (WHERE p ~ 'Bitmap Index Scan') AS index_scans, count(*) FILTER (WHERE p ~ 'Seq Scan|SubPlan') AS others
  FROM kinds, pg_temp.plan(:alice, format('SELECT * FROM shared.%s', kind)) p GROUP BY 1 ORDER BY 1;
-- what is written is searched as without shared rows
SELECT kind, regexp_replace(p, ' \(actual .*\)', '') AS plan FROM kinds, pg_temp.plan(:alice, format('UPDATE shared.%s SET title = ''x''', kind)) p WHERE p ~ 'Scan|Cond|Filter|Or' AND type = 'bigint';

-- Turning it on for a table that is protected, and off: not while there are such rows, unless they get a tenant.
CREATE TABLE toggled (id int PRIMARY KEY, tenant_id uuid, code text UNIQUE, parent int REFERENCES toggled);
CREATE TABLE toggled_child () INHERITS (toggled);
GRANT SELECT ON toggled TO authenticated;
CREATE FUNCTION pg_temp.toggled() RETURNS TABLE (relation regclass, not_null boolean, policies bigint, undo jsonb) LANGUAGE sql AS $$
    SELECT p.table_id, (SELECT attnotnull FROM pg_attribute WHERE attrelid = p.table_id AND attname = 'tenant_id'), (SELECT count(*) FROM pg_policy WHERE polrelid = p.table_id), p.undo -> 'not_null'
      FROM tenancy.protected_tables p WHERE p.root_id = 'toggled'::regclass ORDER BY 1 $$;
SELECT tenancy.protect_table('toggled', resource => 'shared_docs');
SELECT * FROM pg_temp.toggled();
SELECT tenancy.protect_table('toggled', resource => 'shared_docs', shared => 'read'), tenancy.protect_table('toggled', resource => 'shared_docs', shared => 'read') AS again;
SELECT * FROM pg_temp.toggled();
CREATE TABLE toggled_late () INHERITS (toggled);
INSERT INTO toggled VALUES (1, NULL), (2, :a);
INSERT INTO toggled_late VALUES (3, NULL);
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''shared.toggled'', resource => ''shared_docs'')');
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''shared.toggled'', resource => ''shared_docs'', shared => ''write'')');
SELECT * FROM pg_temp.toggled();
-- backfill leaves rows that are shared already
SELECT tenancy.protect_table('toggled', resource => 'shared_docs', shared => 'read', backfill => :a) AS "nothing to do";
SELECT tenancy.protect_table('toggled', resource => 'shared_docs', backfill => :a);
SELECT tableoid::regclass, id, tenant_id FROM toggled ORDER BY id;
SELECT * FROM pg_temp.toggled();
-- what the migration text does is the same
SELECT tenancy.protect_table_sql('toggled', resource => 'shared_docs', shared => 'read') AS script \gset
:script
SELECT tenancy.protect_table('toggled', resource => 'shared_docs', shared => 'read') AS "anything left";
-- NOT NULL that was the table's own stays, and is mentioned; keys with the tenant in front would not hold for shared rows
CREATE TABLE own (id int, tenant_id uuid NOT NULL);
GRANT SELECT ON own TO PUBLIC;
GRANT SELECT ON toggled TO PUBLIC;
SET client_min_messages = notice;
SELECT tenancy.protect_table('own', resource => 'shared_docs', shared => 'read');
SELECT tenancy.protect_table('toggled', resource => 'shared_docs', shared => 'read', tenant_keys => 'fix');
SET client_min_messages = warning;
SELECT tenancy.unprotect_table('own', true), tenancy.unprotect_table('toggled', true);
SELECT relname, attnotnull, atthasdef FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relname IN ('own', 'toggled', 'toggled_child') AND attname = 'tenant_id' ORDER BY 1;

-- Where some rows get a tenant by the backfill, the others are shared; the column may be added for it.
CREATE TABLE filled (id int PRIMARY KEY, org bigint);
INSERT INTO filled VALUES (1, 8001), (2, NULL), (3, 8002);
SELECT tenancy.protect_table('filled', add_column => true, column_type => 'bigint', backfill => 'org', shared => 'read', resource => 'shared_docs'),
       tenancy.protect_table('filled', add_column => true, column_type => 'bigint', backfill => 'org', shared => 'read', resource => 'shared_docs') AS again;
TABLE filled ORDER BY id;
-- Partitions, there and to come, addressed directly too.
CREATE TABLE parts (id int, tenant_id bigint) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
SELECT tenancy.protect_table('parts', resource => 'shared_docs', shared => 'read');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1, NULL), (2, 8001), (3, 8002), (11, NULL), (12, 8001), (13, 8002);
GRANT SELECT, INSERT, UPDATE, DELETE ON parts, parts_1, parts_2 TO authenticated;
SELECT t, test.try(:alice, format('SELECT string_agg(id::text, '' '' ORDER BY id) FROM shared.%s', t)), test.try(:nobody, format('SELECT count(*) FROM shared.%s', t)),
       test.try(:alice, format('UPDATE shared.%s SET id = id', t)), test.try(:alice, format('DELETE FROM shared.%s', t)), test.try(:alice, format('INSERT INTO shared.%s VALUES (5, NULL)', t)) FROM unnest('{parts,parts_1,parts_2}'::text[]) t;
DROP SCHEMA shared CASCADE;
DELETE FROM tenancy.operators WHERE user_id IN (:reading, :writing);
DELETE FROM tenancy.tenants WHERE slug LIKE 'shared-_';
SELECT tenancy.drop_role('shared_editor', cascade => true);
