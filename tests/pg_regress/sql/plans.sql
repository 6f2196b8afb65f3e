-- Plans: sets of quotas; which tenant has which; the default; exceptions come first.
SET client_min_messages = warning;
\set a '''6c000000-0000-0000-0000-00000000000a'''
\set b '''6c000000-0000-0000-0000-00000000000b'''
\set c '''6c000000-0000-0000-0000-00000000000c'''
-- 1 writes as an operator, 3 owns tenant a, 4 is a member of b without usage.read, 5 owns c.
CREATE FUNCTION pg_temp.att(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(CASE WHEN n > 0 THEN ('6c000000-0000-0000-0000-00000000000' || n)::uuid END, replace(command, '$A', '''6c000000-0000-0000-0000-00000000000a''')) $$;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'plan-a', 'A'), (:b, 'plan-b', 'B'), (:c, 'plan-c', 'C');
SELECT tenancy.grant_operator('6c000000-0000-0000-0000-000000000001', 'write'), tenancy.add_member(:a, '6c000000-0000-0000-0000-000000000003', '{owner}'),
       tenancy.add_member(:b, '6c000000-0000-0000-0000-000000000004'), tenancy.add_member(:c, '6c000000-0000-0000-0000-000000000005', '{owner}');
SELECT tenancy.create_meter('pl.calls', 'calls', 'counter'), tenancy.create_meter('pl.rows', 'rows', 'gauge');
CREATE VIEW pg_temp.effective AS SELECT right(tenant_id::text, 1) AS tenant, meter, period, soft, hard, source FROM tenancy.effective_quotas WHERE meter LIKE 'pl.%' ORDER BY 1, 2, 3;

SELECT tenancy.create_plan('free', 'For trying', true), pg_temp.att(1, $$SELECT tenancy.create_plan('for Acme Inc')$$), tenancy.create_plan('none');
SELECT tenancy.set_plan_quota('free', 'pl.calls', 80, 100) AS set, tenancy.set_plan_quota('free', 'pl.calls', 80, 100) AS same, tenancy.set_plan_quota('free', 'pl.calls', hard => 10, period => 'hour') AS by_hour,
       pg_temp.att(1, $$SELECT tenancy.set_plan_quota('for Acme Inc', 'pl.calls', hard => 1000)$$) AS of_operator, tenancy.set_plan_quota('for Acme Inc', 'pl.rows', 5) AS gauge;
SELECT * FROM pg_temp.effective;
SELECT tenancy.set_tenant_plan(:a, 'for Acme Inc') AS set, tenancy.set_tenant_plan(:a, 'for Acme Inc') AS same, tenancy.set_tenant_plan(:a, 'for Acme Inc', '2999-01-01') AS until, tenancy.set_tenant_plan(:b, 'none') AS without;
-- The plan in place of the default, also where it says nothing; an exception before both, also where it lifts the limit.
SELECT tenancy.set_quota(:a, 'pl.calls', NULL, NULL, 'month'), tenancy.set_quota(:c, 'pl.calls', 1, 2, 'hour'), tenancy.set_quota(:c, 'pl.calls', 1, 2, 'day');
SELECT * FROM pg_temp.effective;
-- Past its end the plan is the default's, the exception the plan's.
UPDATE tenancy.tenant_plans SET expires_at = '2020-01-01' WHERE tenant_id = :b;
UPDATE tenancy.quotas SET expires_at = '2020-01-01' WHERE tenant_id = :a;
SELECT * FROM pg_temp.effective;

-- One sees the default plan and the plans of tenants where one holds usage.read, and limits of these tenants only.
GRANT SELECT ON pg_temp.effective TO authenticated;
SELECT n, pg_temp.att(n, $$SELECT string_agg(name, ', ' ORDER BY name) FROM tenancy.plans$$) AS plans, pg_temp.att(n, $$SELECT string_agg(DISTINCT plan, ', ') FROM tenancy.plan_quotas$$) AS of_quotas,
       pg_temp.att(n, $$SELECT string_agg(right(tenant_id::text, 1) || ': ' || plan, ', ' ORDER BY 1) FROM tenancy.tenant_plans$$) AS of_tenants,
       pg_temp.att(n, $$SELECT string_agg(concat_ws(' ', right(tenant_id::text, 1), meter, period, hard, source), ', ' ORDER BY tenant_id, meter, period) FROM tenancy.effective_quotas$$) AS limits
  FROM unnest('{1,3,4,5,6}'::int[]) n;

-- Bad arguments.
SELECT q.command, pg_temp.att(0, 'SELECT tenancy.' || q.command) FROM (VALUES
    (1, $$create_plan('free')$$), (2, $$create_plan('')$$), (3, $$create_plan(NULL)$$), (4, $$create_plan(repeat('x', 101))$$), (5, $$create_plan('x', NULL)$$), (6, $$drop_plan('nothing')$$), (7, $$drop_plan(NULL)$$),
    (8, $$set_default_plan('nothing')$$), (9, $$set_plan_quota('nothing', 'pl.calls')$$), (10, $$set_plan_quota('free', 'pl.none')$$), (11, $$set_plan_quota('free', 'pl.rows', period => 'day')$$), (12, $$set_plan_quota('free', 'pl.calls', 2, 1)$$),
    (13, $$set_plan_quota('free', 'pl.calls', -1)$$), (14, $$drop_plan_quota('nothing', 'pl.calls')$$), (15, $$drop_plan_quota('free', 'pl.none')$$), (16, $$drop_plan_quota('free', 'pl.calls', 'x')$$), (17, $$set_tenant_plan(gen_random_uuid(), 'free')$$),
    (18, $$set_tenant_plan(NULL, 'free')$$), (19, $$set_tenant_plan($A, 'nothing')$$), (20, $$set_tenant_plan($A, 'free', '2020-01-01')$$), (21, $$set_tenant_plan($A, NULL, '2999-01-01')$$), (22, $$set_plan_quota(NULL, NULL)$$)) q (i, command) ORDER BY q.i;
SELECT q.command, pg_temp.att(1, q.command) FROM (VALUES (1, $$INSERT INTO tenancy.plan_quotas (plan, meter, period) VALUES ('free', 'pl.rows', 'day')$$), (2, $$UPDATE tenancy.plan_quotas SET soft = 101 WHERE hard = 100$$),
    (3, $$UPDATE tenancy.plans SET is_default = true$$), (4, $$DELETE FROM tenancy.plans WHERE name = 'for Acme Inc'$$), (5, $$UPDATE tenancy.plan_quotas SET soft = 8 WHERE hard = 10$$)) q (i, command) ORDER BY q.i;

-- The default moves, and is given up; changed_at tells since when a tenant has its plan.
SELECT tenancy.set_default_plan('none') AS moved, tenancy.set_default_plan('none') AS same, tenancy.create_plan('newest', is_default => true), (SELECT string_agg(name, ',') FROM tenancy.plans WHERE is_default) AS before;
SELECT string_agg(name, ',') AS default_plan FROM tenancy.plans WHERE is_default;
SELECT tenancy.set_default_plan(NULL) AS given_up, tenancy.set_default_plan(NULL) AS again;
SELECT * FROM pg_temp.effective WHERE source = 'default plan';
SELECT changed_at AS since FROM tenancy.tenant_plans WHERE tenant_id = :a \gset
UPDATE tenancy.tenant_plans SET expires_at = NULL WHERE tenant_id = :a;
SELECT changed_at = :'since' AS extended_is_the_same_plan FROM tenancy.tenant_plans WHERE tenant_id = :a;
SELECT tenancy.set_tenant_plan(:a, 'free');
SELECT changed_at > :'since' AS another_is_not FROM tenancy.tenant_plans WHERE tenant_id = :a;

-- What is in use is not dropped unless told to.
SELECT tenancy.set_default_plan('newest'), tenancy.drop_plan_quota('free', 'pl.calls', 'hour') AS limit_gone, tenancy.drop_plan_quota('free', 'pl.calls', 'hour') AS again;
SELECT pg_temp.att(1, $$SELECT tenancy.drop_plan('free')$$), pg_temp.att(0, $$SELECT tenancy.drop_plan('newest', NULL)$$), pg_temp.att(1, $$DELETE FROM tenancy.plans WHERE name = 'free'$$);
SELECT pg_temp.att(1, $$SELECT tenancy.drop_plan('free', cascade => true)$$), tenancy.drop_plan('newest', true), tenancy.drop_plan('for Acme Inc');
SELECT tenancy.set_tenant_plan(:b, NULL) AS taken_away, tenancy.set_tenant_plan(:b, NULL) AS again, tenancy.drop_plan('none');
SELECT (SELECT count(*) FROM tenancy.plans) AS plans, (SELECT count(*) FROM tenancy.plan_quotas) AS quotas, (SELECT count(*) FROM tenancy.tenant_plans) AS of_tenants;

SELECT tenancy.drop_meter('pl.calls', true), tenancy.drop_meter('pl.rows', true);
DELETE FROM tenancy.operators WHERE user_id::text LIKE '6c000000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_tenant(:c);
DROP VIEW pg_temp.effective;
