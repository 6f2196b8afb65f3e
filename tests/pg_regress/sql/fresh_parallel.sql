-- Parallel workers answer as their leader would: for every kind of identity, after SET LOCAL role, and after changes
-- of the same transaction that nobody else can see.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', 'f0000000-0000-0000-0000-000000000002');
\set bob '{"sub": "f0000000-0000-0000-0000-000000000002"}'
\set rows 'SELECT count(*) FILTER (WHERE tenancy.has_permission(''fresh.read'')) AS active, count(*) FILTER (WHERE tenancy.has_permission(tenant_id, ''fresh.read'')) AS by_row, count(*) FILTER (WHERE tenancy.current_user_id() IS NOT NULL) AS identified, count(*) FILTER (WHERE tenant_id = tenancy.current_tenant_id()) AS own FROM fresh_rows;'
CREATE TABLE fresh_rows (id int, tenant_id uuid);
INSERT INTO fresh_rows SELECT n, CASE n % 3 WHEN 0 THEN :'tenant'::uuid ELSE 'f2222222-2222-2222-2222-222222222222' END FROM generate_series(1, 12000) n;
ANALYZE fresh_rows;
GRANT SELECT ON fresh_rows TO authenticated;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
-- All rows go through workers.
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF)
:rows
-- A question about the plan only: whether there are workers to speak of.
CREATE FUNCTION fresh_workers() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json, TIMING off, SUMMARY off, COSTS off)
             SELECT count(*) FILTER (WHERE tenancy.has_permission(''fresh.read'')) FROM fresh_rows' INTO plan;
    RETURN jsonb_path_query_first(plan::jsonb, '$.**."Workers Launched"');
END $$;

-- Anonymous, holder, member without the role, stranger, malformed, expired.
BEGIN;
SELECT fresh_workers() > 0 AS launched;
:rows
SET LOCAL request.jwt.claims = :'ann';
:rows
SET LOCAL request.jwt.claims = :'bob';
:rows
SET LOCAL request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000009"}';
:rows
SET LOCAL request.jwt.claims = '{"sub": ';
:rows
SET LOCAL request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000001", "exp": 1}';
:rows
COMMIT;

-- By SET LOCAL role, with a tenant chosen, and one that is refused.
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = :'ann';
:rows
SET LOCAL tenancy.tenant_id = :'tenant';
:rows
SET LOCAL tenancy.tenant_id = 'f2222222-2222-2222-2222-222222222222';
:rows
COMMIT;

-- By the token's own word, where the operator wants that.
BEGIN;
SET LOCAL tenancy.authority = 'claims';
SET LOCAL request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000002", "app_metadata": {"tenant_id": "f2222222-2222-2222-2222-222222222222", "perms": ["fresh.*"]}}';
:rows
COMMIT;

-- After an uncommitted grant, in a savepoint, rolled back to; and after an uncommitted revoke.
BEGIN;
SET LOCAL request.jwt.claims = :'bob';
:rows
SAVEPOINT s;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', 'f0000000-0000-0000-0000-000000000002', 'f0000000-0000-0000-0000-0000000000d1');
SELECT fresh_workers() > 0 AS launched;
:rows
ROLLBACK TO s;
:rows
SET LOCAL request.jwt.claims = :'ann';
:rows
DELETE FROM tenancy.member_roles WHERE user_id = :'user_id';
:rows
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL request.jwt.claims = :'ann';
:rows
ROLLBACK;

-- The same with the leader taking part, and serially.
SET parallel_leader_participation = on;
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
:rows
SET LOCAL max_parallel_workers_per_gather = 0;
:rows
COMMIT;

RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;
DROP FUNCTION fresh_workers();
DROP TABLE fresh_rows;
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
