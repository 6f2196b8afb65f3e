-- Parallel workers have the identity that their leader's transaction was given, and no other.
\set a '''1b700000-0000-0000-0000-00000000000a'''
\set b '''1b700000-0000-0000-0000-00000000000b'''
\set ann '''1b700000-0000-0000-0000-0000000000e1'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:a, 'parallel-a', 'A', '1'), (:b, 'parallel-b', 'B', '2');
SELECT tenancy.create_permission('parallel.read') IS NULL, tenancy.create_role('parallel_reader', '{parallel.read}') IS NOT NULL;
SELECT tenancy.add_member(:a, :ann, '{parallel_reader}'), tenancy.add_member(:b, :ann);
CREATE ROLE parallel_app NOLOGIN;
SELECT tenancy.enable_role('parallel_app'), tenancy.trust_caller('parallel_app'), tenancy.allow_database_role('parallel_app', '{parallel_reader}');
INSERT INTO tenancy.subjects VALUES ('parallel|17', :ann);
CREATE TABLE parallel_rows (id int, tenant_id uuid, tenant_key bigint);
INSERT INTO parallel_rows SELECT n, CASE n % 3 WHEN 0 THEN :a::uuid WHEN 1 THEN :b ELSE '1b700000-0000-0000-0000-00000000000c' END, n % 3 FROM generate_series(1, 12000) n;
ANALYZE parallel_rows;
GRANT SELECT ON parallel_rows TO parallel_app;
\set rows 'SELECT count(*) FILTER (WHERE tenancy.has_permission(''parallel.read'')) AS active, count(*) FILTER (WHERE tenancy.has_permission(tenant_id, ''parallel.read'')) AS by_row, count(*) FILTER (WHERE tenancy.is_member(tenant_key)) AS by_key, count(tenancy.current_user_id()) AS users, count(*) FILTER (WHERE tenant_id = tenancy.current_tenant_id()) AS own, min(left(tenancy.current_actor(), 9)) AS actor, max(left(tenancy.current_actor(), 9)) AS same, count(tenancy.claims()) AS claims FROM parallel_rows;'
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
CREATE FUNCTION pg_temp.workers() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json, TIMING off, SUMMARY off, COSTS off)
             SELECT count(*) FILTER (WHERE tenancy.has_permission(''parallel.read'')) FROM parallel_rows' INTO plan;
    RETURN jsonb_path_query_first(plan::jsonb, '$.**."Workers Launched"')::int > 0;
END $$;
SET ROLE parallel_app;
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', '1b700000-0000-0000-0000-0000000000e9')::text, true) IS NOT NULL AS set;
SELECT pg_temp.workers();
:rows
SELECT tenancy.set_identity(:ann::uuid, :a);
SELECT pg_temp.workers();
:rows
SAVEPOINT s;
SELECT tenancy.set_identity(:ann::uuid, :b);
:rows
SELECT tenancy.enter_tenant('2');
:rows
ROLLBACK TO s;
:rows
SELECT tenancy.set_identity('1b700000-0000-0000-0000-0000000000e8'::uuid);
:rows
SELECT tenancy.enter_tenant('1');
SELECT pg_temp.workers();
:rows
COMMIT;
:rows
-- By subject; one that is unknown is nobody in a worker too. And by a token's sub.
RESET ROLE;
SET tenancy.subject_format = mapped;
BEGIN;
SELECT tenancy.set_identity('parallel|17', '1');
:rows
SELECT tenancy.set_identity('parallel|18', '1');
:rows
COMMIT;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "parallel|17", "tenant_id": 1}', true) IS NOT NULL AS set;
:rows
SET LOCAL tenancy.trust_claims = off;
:rows
COMMIT;
-- A subject that only this transaction sees, and a job that only it allows.
BEGIN;
INSERT INTO tenancy.subjects VALUES ('parallel|19', :ann);
SELECT tenancy.set_identity('parallel|19', '1');
:rows
SELECT tenancy.disallow_database_role('parallel_app');
SET LOCAL ROLE parallel_app;
SELECT tenancy.set_identity('parallel|17', '2');
:rows
ROLLBACK;
RESET tenancy.subject_format;
-- Neither function may run in a worker: nothing that calls them is parallel.
EXPLAIN (COSTS OFF) SELECT tenancy.set_identity(:ann::uuid) FROM parallel_rows;
EXPLAIN (COSTS OFF) SELECT tenancy.enter_tenant(tenant_id) FROM parallel_rows;

-- A job has the index like a user.
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;
UPDATE parallel_rows SET tenant_id = gen_random_uuid() WHERE id > 10;
CREATE INDEX ON parallel_rows (tenant_id);
ANALYZE parallel_rows;
BEGIN;
SET LOCAL ROLE parallel_app;
SELECT tenancy.enter_tenant('1');
EXPLAIN (COSTS OFF) SELECT * FROM parallel_rows WHERE tenancy.has_permission(tenant_id, 'parallel.read');
SELECT count(*) FROM parallel_rows WHERE tenancy.has_permission(tenant_id, 'parallel.read');
EXPLAIN (COSTS OFF) SELECT * FROM parallel_rows WHERE tenant_id = tenancy.current_tenant_id();
COMMIT;
DROP TABLE parallel_rows;
DELETE FROM tenancy.subjects;
SELECT tenancy.disallow_database_role('parallel_app');
DROP OWNED BY parallel_app;
DROP ROLE parallel_app;
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('parallel_reader', cascade => true), tenancy.drop_permission('parallel.read', cascade => true);
