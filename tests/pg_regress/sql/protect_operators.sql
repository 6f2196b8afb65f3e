-- protect_table(…, operators => true): operators reach all tenants' rows of that table, as far as their access goes;
-- for members nothing changes, plans included.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE SCHEMA ops;
GRANT USAGE ON SCHEMA ops TO authenticated, anon;
SET search_path = ops;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
CREATE FUNCTION pg_temp.t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('0b000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('0c000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT pg_temp.t(g), 'ops-' || g, 'Ops ' || g FROM generate_series(1, 100) g;
UPDATE tenancy.tenants SET status = 'archived' WHERE slug = 'ops-99';
UPDATE tenancy.tenants SET status = 'suspended' WHERE slug = 'ops-98';
CREATE TABLE active (id int PRIMARY KEY, tenant_id uuid, title text);
CREATE TABLE many (id int PRIMARY KEY, tenant_id uuid, title text);
CREATE TABLE closed (id int PRIMARY KEY, tenant_id uuid, title text);
INSERT INTO active SELECT g, pg_temp.t(1 + (g - 1) / 100), 'title ' || g FROM generate_series(1, 10000) g;
INSERT INTO many SELECT * FROM active;
INSERT INTO closed SELECT * FROM active;
GRANT SELECT, INSERT, UPDATE, DELETE ON active, many, closed TO authenticated, anon;
SELECT tenancy.protect_table('active', resource => 'ops_rows', operators => true), tenancy.protect_table('many', resource => 'ops_rows', mode => 'membership', operators => true),
       tenancy.protect_table('closed', resource => 'ops_rows');
-- again is nothing
SELECT tenancy.protect_table('active', resource => 'ops_rows', operators => true), tenancy.protect_table('many', resource => 'ops_rows', mode => 'membership', operators => true);
SELECT tablename, policyname, permissive, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'ops' AND tablename IN ('active', 'many') ORDER BY 1, 2;
VACUUM ANALYZE active, many, closed;
SELECT tenancy.create_role('ops_editor', '{ops_rows.*}') IS NOT NULL, tenancy.create_role('ops_reader', '{ops_rows.read}') IS NOT NULL;
-- 1 member of tenant 1; 2 of 1 to 3; 3 reads as operator; 4 writes; 5 reads and edits as member of tenant 1; 6 read until now; 7 is nobody
SELECT tenancy.add_member(pg_temp.t(1), pg_temp.u(1), '{ops_editor}'), tenancy.add_member(pg_temp.t(1), pg_temp.u(5), '{ops_editor}');
SELECT count(tenancy.add_member(pg_temp.t(g), pg_temp.u(2), '{ops_editor}')) FROM generate_series(1, 3) g;
SELECT tenancy.grant_operator(pg_temp.u(3), 'read'), tenancy.grant_operator(pg_temp.u(4), 'write'), tenancy.grant_operator(pg_temp.u(5), 'read');
INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES (pg_temp.u(6), 'write', now());

-- What each sees and changes of each table; the tenants whose rows they are. closed is not the operators'.
CREATE FUNCTION pg_temp.sees(who int, from_table text, plan text, tenant int DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM tenancy.act_as(pg_temp.u(who), pg_temp.t(tenant));
    PERFORM set_config('enable_seqscan', CASE plan WHEN 'index' THEN 'off' ELSE 'on' END, true),
            set_config('enable_indexscan', CASE plan WHEN 'seq' THEN 'off' ELSE 'on' END, true),
            set_config('enable_indexonlyscan', CASE plan WHEN 'seq' THEN 'off' ELSE 'on' END, true),
            set_config('enable_bitmapscan', CASE plan WHEN 'seq' THEN 'off' ELSE 'on' END, true);
    EXECUTE format('SELECT count(*) || '' in '' || count(DISTINCT tenant_id) || '' '' || coalesce(min(right(tenant_id::text, 3)), ''-'') FROM ops.%I', from_table) INTO answer;
    RAISE EXCEPTION USING ERRCODE = 'P0UND', MESSAGE = answer;
EXCEPTION WHEN SQLSTATE 'P0UND' THEN
    RETURN SQLERRM;
END
$$;
SELECT n AS who, f AS from_table, pg_temp.sees(n, f, 'seq') AS by_filter, pg_temp.sees(n, f, 'index') AS by_index
  FROM generate_series(1, 7) n, unnest(ARRAY['active', 'many', 'closed']) f ORDER BY 2, 1;
-- the member of several in each of his tenants, and in one that is not his; the operators as if in a tenant
SELECT n, t, pg_temp.sees(n, 'active', 'seq', t), pg_temp.sees(n, 'many', 'index', t) FROM generate_series(2, 4) n, unnest(ARRAY[2, 4]) t ORDER BY 1, 2;

CREATE FUNCTION pg_temp.try(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.try(pg_temp.u(n), replace(command, '@', '0b000000-0000-0000-0000-')) $$;
-- Rows 1 to 100 are tenant 1's, 401 to 500 tenant 5's, 9801 the archived one's.
CREATE TEMP TABLE writes (n serial, command text);
INSERT INTO writes (command) VALUES
    ($$UPDATE ops.$T SET title = 'x'$$), ($$UPDATE ops.$T SET title = 'x' WHERE id IN (1, 401, 9801)$$), ($$UPDATE ops.$T SET title = 'x' WHERE tenant_id = '@000000000005'$$),
    ($$DELETE FROM ops.$T$$), ($$DELETE FROM ops.$T WHERE id IN (1, 401)$$),
    ($$INSERT INTO ops.$T (id, tenant_id) VALUES (20001, '@000000000001')$$), ($$INSERT INTO ops.$T (id, tenant_id) VALUES (20001, '@000000000005')$$), ($$INSERT INTO ops.$T (id) VALUES (20001)$$),
    ($$INSERT INTO ops.$T (id, tenant_id) VALUES (401, '@000000000005') ON CONFLICT (id) DO UPDATE SET title = 'x'$$),
    ($$UPDATE ops.$T SET tenant_id = '@000000000005' WHERE id = 1$$),
    ($$MERGE INTO ops.$T USING (VALUES (1), (401)) v (id) ON $T.id = v.id WHEN MATCHED THEN UPDATE SET title = 'x'$$),
    ($$MERGE INTO ops.$T USING (VALUES (1), (401)) v (id) ON $T.id = v.id WHEN MATCHED THEN DELETE$$),
    ($$MERGE INTO ops.$T USING (VALUES (20001)) v (id) ON $T.id = v.id WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (v.id, '@000000000005')$$),
    ($$SELECT count(*) FROM (SELECT FROM ops.$T WHERE id IN (1, 401) FOR UPDATE) locked$$);
SELECT w.command, string_agg(u || ': ' || pg_temp.try(u, replace(w.command, '$T', 'active')), E'\n' ORDER BY u) AS active,
       string_agg(u || ': ' || pg_temp.try(u, replace(w.command, '$T', 'many')), E'\n' ORDER BY u) AS many
  FROM writes w, unnest(ARRAY[1, 3, 4, 5, 6]) u GROUP BY w.n, w.command ORDER BY w.n;
-- An extra permissive policy of somebody's widens nothing beyond a tenant for a reading operator: he, and the one who is
-- a member too, still write nothing elsewhere.
CREATE POLICY wide ON active USING (true) WITH CHECK (true);
CREATE POLICY wide ON many USING (true) WITH CHECK (true);
SELECT w.command, string_agg(u || ': ' || pg_temp.try(u, replace(w.command, '$T', 'active')), E'\n' ORDER BY u) AS active,
       string_agg(u || ': ' || pg_temp.try(u, replace(w.command, '$T', 'many')), E'\n' ORDER BY u) AS many
  FROM writes w, unnest(ARRAY[1, 3, 5, 7]) u GROUP BY w.n, w.command ORDER BY w.n;
DROP POLICY wide ON active;
DROP POLICY wide ON many;

-- Plans. A member's are those of a literal: an index condition on the tenant, for reading and writing.
BEGIN;
SELECT FROM tenancy.act_as(pg_temp.u(1));
EXPLAIN (COSTS OFF) SELECT * FROM active;
EXPLAIN (COSTS OFF) SELECT * FROM active WHERE title LIKE 'title 1%';
EXPLAIN (COSTS OFF) UPDATE active SET title = 'x';
EXPLAIN (COSTS OFF) DELETE FROM active;
EXPLAIN (COSTS OFF) SELECT * FROM many;
EXPLAIN (COSTS OFF) UPDATE many SET title = 'x';
-- the rows of the literal predicate
SELECT (SELECT sum(id) FROM active), (SELECT sum(id) FROM many), (SELECT sum(id) FROM active WHERE tenant_id = pg_temp.t(1));
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM active;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM many;
-- estimated exactly
EXPLAIN SELECT * FROM active;
EXPLAIN UPDATE many SET title = 'x';
RESET ROLE;
-- An operator's is that of the whole table, and an equality of his own is searched by.
SELECT FROM tenancy.act_as(pg_temp.u(4));
EXPLAIN SELECT * FROM active;
EXPLAIN SELECT * FROM many;
EXPLAIN (COSTS OFF) SELECT * FROM active WHERE tenant_id = pg_temp.t(5);
-- is_member(tenant_id) is not implied by what an operator reaches
EXPLAIN (COSTS OFF) SELECT * FROM many WHERE tenancy.is_member(tenant_id);
ROLLBACK;
-- One prepared plan for all of them: made for a member, then for an operator, and the other way round.
SET plan_cache_mode = force_generic_plan;
PREPARE q1 AS SELECT count(*), count(DISTINCT tenant_id) FROM active;
PREPARE q2 AS SELECT count(*), count(DISTINCT tenant_id) FROM many;
PREPARE q3 AS SELECT count(*) FROM many WHERE tenancy.is_member(tenant_id);
PREPARE q4 AS SELECT (SELECT count(*) FROM active), (SELECT count(*) FROM many);
BEGIN;
SELECT FROM tenancy.act_as(pg_temp.u(1));
EXECUTE q1;
EXECUTE q2;
EXECUTE q3;
RESET ROLE; SELECT FROM tenancy.act_as(pg_temp.u(4));
EXPLAIN (COSTS OFF) EXECUTE q1;
EXECUTE q1;
EXECUTE q2;
EXPLAIN (COSTS OFF) EXECUTE q3;
EXECUTE q3;
EXECUTE q4;
RESET ROLE; SELECT FROM tenancy.act_as(pg_temp.u(7));
EXECUTE q1;
EXECUTE q2;
EXECUTE q4;
RESET ROLE; SELECT FROM tenancy.act_as(pg_temp.u(2), pg_temp.t(3));
EXECUTE q1;
EXECUTE q2;
EXECUTE q3;
EXECUTE q4;
-- A new tenant is reached by the plan at hand, and access that was revoked reaches nothing at the next statement.
RESET ROLE; SELECT FROM tenancy.act_as(pg_temp.u(4));
EXECUTE q1;
RESET ROLE;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (pg_temp.t(101), 'ops-101', 'New');
INSERT INTO active VALUES (20001, pg_temp.t(101), 'new');
SET LOCAL ROLE authenticated;
EXECUTE q1;
RESET ROLE;
SELECT tenancy.revoke_operator(pg_temp.u(4));
SET LOCAL ROLE authenticated;
EXECUTE q1;
EXECUTE q4;
ROLLBACK;
DEALLOCATE ALL;
RESET plan_cache_mode;
-- Access that ends by itself, in an open session.
SELECT tenancy.grant_operator(pg_temp.u(3), 'read', clock_timestamp() + interval '300 milliseconds');
SELECT set_config('request.jwt.claims', json_build_object('sub', pg_temp.u(3), 'role', 'authenticated')::text, false) IS NOT NULL AS set FROM (SELECT set_config('tenancy.claims_scope', 'session', false)) s;
SET ROLE authenticated;
SELECT count(*) FROM active;
SELECT pg_sleep(0.4);
SELECT count(*) FROM active;
RESET ROLE;
RESET tenancy.claims_scope;
SELECT set_config('request.jwt.claims', '', false);
SELECT tenancy.grant_operator(pg_temp.u(3), 'read');

-- The functions: what is not read or write reaches nothing, NULL is NULL.
BEGIN;
SELECT FROM tenancy.act_as(pg_temp.u(4));
SELECT a, tenancy.is_member_or_operator(pg_temp.t(1), a), tenancy.is_active_or_operator(pg_temp.t(1), a), cardinality(tenancy.tenant_ids_or_all(a)) >= 100 AS ids, cardinality(tenancy.active_tenant_or_all(a)) >= 100 AS active
  FROM unnest(ARRAY['read', 'write', 'WRITE', '', 'admin', NULL]) a;
SELECT tenancy.is_member_or_operator(NULL, 'read') IS NULL, tenancy.is_active_or_operator(NULL, 'read') IS NULL;
RESET ROLE; SELECT FROM tenancy.act_as(pg_temp.u(5));
SELECT a, tenancy.is_member_or_operator(pg_temp.t(1), a), tenancy.is_member_or_operator(pg_temp.t(2), a), tenancy.is_active_or_operator(pg_temp.t(2), a), cardinality(tenancy.tenant_ids_or_all(a)) >= 100 AS ids, cardinality(tenancy.active_tenant_or_all(a)) >= 100 AS active
  FROM unnest(ARRAY['read', 'write', 'admin']) a;
RESET ROLE; SELECT FROM tenancy.act_as(NULL);
SELECT tenancy.is_member_or_operator(pg_temp.t(1), 'read'), tenancy.is_active_or_operator(pg_temp.t(1), 'read'), tenancy.tenant_ids_or_all('read'), tenancy.active_tenant_or_all('read');
ROLLBACK;

-- With an owner's column; and changing the option alters, back to nothing of it.
ALTER TABLE closed ADD COLUMN owner_id uuid;
SELECT tenancy.protect_table('closed', resource => 'ops_rows', owner_column => 'owner_id', operators => true), tenancy.protect_table('closed', resource => 'ops_rows', owner_column => 'owner_id', operators => true);
SELECT policyname, qual FROM pg_policies WHERE schemaname = 'ops' AND tablename = 'closed' ORDER BY 1;
SELECT pg_temp.sees(3, 'closed', 'seq');
SELECT options -> 'operators' AS operators FROM tenancy.protected_tables WHERE table_id = 'closed'::regclass;
SELECT tenancy.protect_table('closed', resource => 'ops_rows'), tenancy.protect_table('closed', resource => 'ops_rows');
SELECT policyname, qual FROM pg_policies WHERE schemaname = 'ops' AND tablename = 'closed' ORDER BY 1;
SELECT options -> 'operators' AS operators FROM tenancy.protected_tables WHERE table_id = 'closed'::regclass;
SELECT pg_temp.sees(3, 'closed', 'seq'), pg_temp.sees(1, 'closed', 'seq');
SELECT tenancy.protect_table('closed', operators => NULL);
-- as text, the same
SELECT tenancy.protect_table_sql('closed', resource => 'ops_rows', operators => true) AS statements \gset
SELECT :'statements' ~ 'pg_tenancy_write_insert' AS says_so;
:statements
SELECT tenancy.protect_table('closed', resource => 'ops_rows', operators => true) AS anything_left;
-- a policy of ours that somebody changed or dropped is mended
DROP POLICY "!pg_tenancy_write_update" ON closed;
SELECT tenancy.protect_table('closed', resource => 'ops_rows', operators => true) AS mended;
SELECT count(*) FROM pg_policies WHERE schemaname = 'ops' AND tablename = 'closed';
SELECT tenancy.unprotect_table('closed');
SELECT count(*) FROM pg_policies WHERE schemaname = 'ops' AND tablename = 'closed';

-- Partitions, there and to come, addressed directly too.
CREATE TABLE parts (id int, tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN ('0b000000-0000-0000-0000-000000000001');
SELECT tenancy.protect_table('parts', resource => 'ops_rows', operators => true);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT g, pg_temp.t(g) FROM generate_series(1, 5) g;
GRANT SELECT, INSERT, UPDATE, DELETE ON parts, parts_1, parts_rest TO authenticated;
SELECT n, f, pg_temp.sees(n, f, 'seq') AS by_filter, pg_temp.sees(n, f, 'index') AS by_index FROM unnest(ARRAY[1, 3, 4, 7]) n, unnest(ARRAY['parts', 'parts_1', 'parts_rest']) f ORDER BY 2, 1;
SELECT n, pg_temp.try(n, 'UPDATE ops.parts SET id = id'), pg_temp.try(n, 'DELETE FROM ops.parts_rest') FROM unnest(ARRAY[1, 3, 4, 5]) n;
SELECT tablename, count(*) FROM pg_policies WHERE schemaname = 'ops' AND tablename LIKE 'parts%' GROUP BY 1 ORDER BY 1;
SELECT tenancy.protect_table('parts', resource => 'ops_rows');
SELECT tablename, count(*) FROM pg_policies WHERE schemaname = 'ops' AND tablename LIKE 'parts%' GROUP BY 1 ORDER BY 1;
SELECT pg_temp.sees(3, 'parts', 'seq'), pg_temp.sees(3, 'parts_rest', 'seq');

DROP SCHEMA ops CASCADE;
DELETE FROM tenancy.operators WHERE user_id::text LIKE '0c000000%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'ops-%';
SELECT tenancy.drop_role('ops_editor', cascade => true), tenancy.drop_role('ops_reader', cascade => true);
