-- What the planner expects of a user's rows: what his set really comes to, and never nothing. Statistics are of the
-- whole table (fewer rows than ANALYZE samples), so the numbers are exact.
SET client_min_messages = warning;
CREATE SCHEMA plan_rows;
GRANT USAGE ON SCHEMA plan_rows TO authenticated;
SET search_path = plan_rows;
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('94000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('94000000-0000-0000-1111-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'plan-rows-' || n, 'T' FROM generate_series(1, 10000) n;
-- Tenant 1 has 10000 rows, the next four 1000 each, the others to 205 have 30 each, and those beyond none: 210 values
-- would be too many for the list of common ones.
CREATE TABLE docs (id int, tenant_id uuid NOT NULL, folder uuid);
INSERT INTO docs (id, tenant_id) SELECT n, t(1) FROM generate_series(1, 10000) n;
INSERT INTO docs (id, tenant_id) SELECT n, t(2 + n % 4) FROM generate_series(1, 4000) n;
INSERT INTO docs (id, tenant_id) SELECT n, t(6 + n % 200) FROM generate_series(1, 6000) n;
UPDATE docs SET folder = CASE WHEN id % 2 = 0 THEN tenant_id END;
GRANT SELECT ON docs TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'membership');
VACUUM FULL ANALYZE docs;
SELECT tenancy.create_role('plan_rows_reader', '{plan_docs.read}') IS NOT NULL;
-- Users by the size of their set: 1 the big tenant, 2 a small one, 3 ten small ones, 4 a hundred of all sizes, 5 all
-- ten thousand, 6 is a member everywhere and may read in a small one, 7 has one tenant without rows; nobody is 8.
INSERT INTO tenancy.members (tenant_id, user_id)
SELECT t(n), u(who) FROM (VALUES (1, 1, 1), (2, 10, 10), (3, 11, 20), (4, 1, 100), (5, 1, 10000), (6, 1, 10000), (7, 9000, 9000)) v (who, a, b),
       LATERAL generate_series(a, b) n;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
SELECT m.tenant_id, m.user_id, r.id FROM tenancy.members m, tenancy.roles r
 WHERE r.name = 'plan_rows_reader' AND m.user_id::text LIKE '94000000-0000-0000-1111-%' AND (m.user_id <> u(6) OR m.tenant_id = t(50));
CREATE FUNCTION expected(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::int;
END $$;
CREATE FUNCTION searches(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan::text LIKE '%tenant_ids%';
END $$;
-- What the planner expects under the policies, and what there is: both policies count once.
CREATE FUNCTION as_user(who uuid, query text DEFAULT 'SELECT * FROM docs') RETURNS TABLE (expected int, there int, searches boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as(who);
    expected := plan_rows.expected(query);
    searches := plan_rows.searches(query);
    EXECUTE replace(query, 'SELECT *', 'SELECT count(*)') INTO there;
    RESET ROLE;
    RETURN NEXT;
END $$;
BEGIN;
SELECT who, a.* FROM generate_series(1, 8) who, as_user(u(who)) a ORDER BY who;
-- Anonymous, with and without claims that count: an average tenant, for the plan may be somebody else's.
SELECT expected, there FROM as_user(NULL);
SELECT set_config('request.jwt.claims', '{"sub": ', true), expected('SELECT * FROM docs WHERE tenancy.is_member(tenant_id)');
-- An equality beside is all that counts, and a condition on another column counts as well.
SELECT who, a.expected, a.there FROM unnest('{1, 4, 5}'::int[]) who, as_user(u(who), 'SELECT * FROM docs WHERE tenant_id = ''94000000-0000-0000-0000-000000000001''') a;
SELECT who, a.expected, a.there FROM unnest('{1, 4, 5}'::int[]) who, as_user(u(who), 'SELECT * FROM docs WHERE tenant_id = ANY (''{94000000-0000-0000-0000-000000000001, 94000000-0000-0000-0000-000000000010}'')') a;
SELECT who, a.expected, a.there FROM unnest('{1, 4, 5}'::int[]) who, as_user(u(who), 'SELECT * FROM docs WHERE id <= 100') a;
COMMIT;

-- Without policies, so that each stands alone or together.
BEGIN;
CREATE FUNCTION pg_temp.among(who uuid, condition text) RETURNS TABLE (expected int, there int) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', json_build_object('sub', who)::text, true);
    expected := plan_rows.expected('SELECT * FROM docs WHERE ' || condition);
    EXECUTE 'SELECT count(*) FROM docs WHERE ' || condition INTO there;
    RETURN NEXT;
END $$;
SELECT n, who, a.* FROM (VALUES
    (1, 4, 'tenancy.is_member(tenant_id)'),
    (2, 4, 'tenancy.is_member(tenant_id) AND tenancy.is_member(tenant_id)'),
    (3, 4, 'tenancy.is_member(tenant_id) AND tenancy.has_permission(tenant_id, ''plan_docs.read'')'),
    (4, 6, 'tenancy.is_member(tenant_id)'),
    (5, 6, 'tenancy.is_member(tenant_id) AND tenancy.has_permission(tenant_id, ''plan_docs.read'')'),
    (6, 6, 'tenancy.has_permission(tenant_id, ''plan_docs.read'') AND tenancy.is_member(tenant_id)'),
    (7, 6, 'tenancy.has_any_permission(tenant_id, ''{plan_docs.read, plan_docs.fly}'')'),
    -- Nobody may: an average tenant, not nothing.
    (8, 6, 'tenancy.has_all_permissions(tenant_id, ''{plan_docs.read, plan_docs.fly}'')'),
    (9, 4, 'tenancy.has_permission(tenant_id, ''plan_docs.fly'')'),
    (10, 4, 'tenancy.has_permission(tenant_id, NULL)'),
    (11, 4, 'tenancy.has_role(tenant_id, ''plan_rows_reader'')'),
    (12, 6, 'tenancy.has_role(tenant_id, ''plan_rows_reader'')'),
    (13, 1, 'tenancy.can_see_tenant(tenant_id)'),
    -- Rows without a folder are nobody's.
    (14, 1, 'tenancy.is_member(folder)'),
    (15, 5, 'tenancy.is_member(folder)'),
    (16, 8, 'tenancy.is_member(folder)'),
    (17, 1, 'tenancy.is_member(tenant_id) OR id <= 100'),
    (18, 1, 'NOT tenancy.is_member(tenant_id)'),
    -- One column's predicate says nothing about another's.
    (19, 1, 'tenancy.is_member(tenant_id) AND tenancy.is_member(folder)'),
    -- No column at all: planned for him who may.
    (20, 8, 'tenancy.has_permission(''plan_docs.read'')'),
    (21, 8, 'tenancy.has_role(''plan_rows_reader'') AND tenancy.has_any_permission(''{x}'') AND tenancy.has_all_permissions(''{x}'')'),
    -- Beside an owner it is asked by row, and planned the same way.
    (22, 8, 'tenancy.has_permission(''plan_docs.read'') OR id = 1')
  ) v (n, who, condition), pg_temp.among(u(who), condition) a ORDER BY n;
-- A parameter that is not known while planning is one average tenant; one that is counts.
PREPARE by_name(text) AS SELECT * FROM docs WHERE tenancy.has_permission(tenant_id, $1);
SELECT set_config('request.jwt.claims', json_build_object('sub', u(1))::text, true) IS NOT NULL AS big;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT expected('EXECUTE by_name(''plan_docs.read'')') AS generic;
SET LOCAL plan_cache_mode = force_custom_plan;
SELECT expected('EXECUTE by_name(''plan_docs.read'')') AS custom;
-- A set costs by its length.
SELECT set_config('request.jwt.claims', json_build_object('sub', u(5))::text, true) IS NOT NULL AS ten_thousand;
CREATE FUNCTION pg_temp.cost(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Total Cost')::numeric;
END $$;
SELECT pg_temp.cost('SELECT tenancy.tenant_ids_with(''plan_docs.read'')') > 100 * pg_temp.cost('SELECT tenancy.tenant_ids_with(''plan_docs.fly'')') AS costs_more;
COMMIT;

-- Without statistics it neither fails nor expects nothing.
CREATE TABLE fresh (id int, tenant_id uuid);
INSERT INTO fresh SELECT id, tenant_id FROM docs;
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', u(1))::text, true) IS NOT NULL AS big;
SELECT expected('SELECT * FROM fresh WHERE tenancy.is_member(tenant_id)') > 0 AS some;
SELECT expected('SELECT * FROM (SELECT DISTINCT tenant_id FROM docs OFFSET 0) d WHERE tenancy.is_member(tenant_id)') > 0 AS some;
SELECT expected('SELECT * FROM docs a FULL JOIN fresh b USING (tenant_id) WHERE tenancy.is_member(tenant_id)') > 0 AS some;
SELECT expected('SELECT * FROM docs a LEFT JOIN fresh b ON tenancy.is_member(b.tenant_id) AND b.id = a.id') > 0 AS some;
COMMIT;

DROP SCHEMA plan_rows CASCADE;
SELECT tenancy.drop_role('plan_rows_reader', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'plan\_docs.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-rows-%';
