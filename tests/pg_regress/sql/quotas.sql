-- A tenant's own quotas: set, replaced, ended; bad ones; never by the tenant's members.
SET client_min_messages = warning;
\set a '''6b000000-0000-0000-0000-00000000000a'''
\set b '''6b000000-0000-0000-0000-00000000000b'''
-- 1 writes as an operator, 2 reads as one, 3 owns tenant a and holds all, 4 is nobody.
CREATE FUNCTION pg_temp.att(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(CASE WHEN n > 0 THEN ('6b000000-0000-0000-0000-00000000000' || n)::uuid END, replace(command, '$A', '''6b000000-0000-0000-0000-00000000000a''')) $$;
CREATE FUNCTION pg_temp.try(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.try(('6b000000-0000-0000-0000-00000000000' || n)::uuid, replace(command, '$A', '''6b000000-0000-0000-0000-00000000000a''')) $$;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'limited', 'Limited'), (:b, 'limited-too', 'Limited too');
SELECT tenancy.grant_operator('6b000000-0000-0000-0000-000000000001', 'write'), tenancy.grant_operator('6b000000-0000-0000-0000-000000000002', 'read'),
       tenancy.add_member(:a, '6b000000-0000-0000-0000-000000000003', '{owner}');
SELECT tenancy.create_meter('qu.calls', 'calls', 'counter'), tenancy.create_meter('qu.rows', 'rows', 'gauge', period => 'none');

-- The period is a month for counters, none for gauges, unless it is named; setting again replaces.
SELECT tenancy.set_quota(:a, 'qu.calls', 80, 100) AS set, tenancy.set_quota(:a, 'qu.calls', 80, 100) AS same, tenancy.set_quota(:a, 'qu.calls', hard => 100) AS soft_gone,
       tenancy.set_quota(:a, 'qu.calls', 5, 10, 'hour', 'infinity') AS by_hour, tenancy.set_quota(:a, 'qu.rows', 7) AS gauge, tenancy.set_quota(:b, 'qu.rows') AS no_limit;
SELECT pg_temp.att(1, $$SELECT tenancy.set_quota($A, 'qu.rows', 0, 0, 'none', '2999-01-01')$$) AS by_operator;
SELECT right(tenant_id::text, 1) AS tenant, meter, period, soft, hard, expires_at AT TIME ZONE 'UTC' AS expires FROM tenancy.quotas WHERE meter LIKE 'qu.%' ORDER BY 1, 2, 3;
SELECT right(tenant_id::text, 1) AS tenant, meter, period, soft, hard, source, expires_at AT TIME ZONE 'UTC' AS expires FROM tenancy.effective_quotas WHERE meter LIKE 'qu.%' ORDER BY 1, 2, 3;

-- Bad arguments, by function and by plain DML.
SELECT c.command, pg_temp.att(0, 'SELECT tenancy.' || c.command) FROM (VALUES
    (1, $$set_quota(gen_random_uuid(), 'qu.calls')$$), (2, $$set_quota(NULL, 'qu.calls')$$), (3, $$set_quota($A, 'qu.none')$$), (4, $$set_quota($A, NULL)$$), (5, $$set_quota($A, 'qu.calls', -1)$$), (6, $$set_quota($A, 'qu.calls', hard => -1)$$),
    (7, $$set_quota($A, 'qu.calls', 2, 1)$$), (8, $$set_quota($A, 'qu.calls', 1, 9223372036854775808)$$), (9, $$set_quota($A, 'qu.calls', 1, 2, 'week')$$), (10, $$set_quota($A, 'qu.rows', 1, 2, 'day')$$),
    (11, $$set_quota($A, 'qu.calls', 1, 2, 'day', '2020-01-01')$$), (12, $$set_quota($A, 'qu.calls', 1, 2, 'day', '-infinity')$$), (13, $$set_quota($A, 'qu.calls', 'NaN'::float8::bigint)$$), (14, $$drop_quota($A, 'qu.none')$$), (15, $$drop_quota(NULL, 'qu.calls')$$), (16, $$drop_quota($A, 'qu.calls', 'week')$$)) c (i, command) ORDER BY c.i;
SELECT c.command, pg_temp.att(1, c.command) FROM (VALUES
    (1, $$INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES ($A, 'qu.rows', 'day', 1)$$), (2, $$INSERT INTO tenancy.quotas (tenant_id, meter, period, soft, hard) VALUES ($A, 'qu.calls', 'none', 2, 1)$$),
    (3, $$UPDATE tenancy.quotas SET hard = -1$$), (4, $$UPDATE tenancy.quotas SET period = 'none'$$), (5, $$INSERT INTO tenancy.quotas (tenant_id, meter, period) VALUES ($A, 'qu.calls', 'week')$$),
    (6, $$INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES ($A, 'qu.calls', 'none', 1)$$), (7, $$UPDATE tenancy.quotas SET hard = 11 WHERE period = 'hour'$$), (8, $$DELETE FROM tenancy.quotas WHERE meter = 'qu.calls' AND period = 'none'$$)) c (i, command) ORDER BY c.i;

-- Whatever a member holds: he raises, lifts and ends no quota, and chooses no plan. Nor does an operator who reads.
SELECT tenancy.create_plan('qu plan');
SELECT c.command, n, pg_temp.try(n, c.command) FROM (VALUES (2), (3), (4)) v (n), (VALUES
    (1, $$SELECT tenancy.set_quota($A, 'qu.calls', hard => 1000000)$$), (2, $$SELECT tenancy.drop_quota($A, 'qu.calls')$$), (3, $$INSERT INTO tenancy.quotas (tenant_id, meter, period) VALUES ($A, 'qu.calls', 'day')$$),
    (4, $$UPDATE tenancy.quotas SET hard = NULL$$), (5, $$DELETE FROM tenancy.quotas$$), (6, $$SELECT tenancy.set_tenant_plan($A, 'qu plan')$$), (7, $$INSERT INTO tenancy.tenant_plans (tenant_id, plan) VALUES ($A, 'qu plan')$$),
    (8, $$SELECT tenancy.create_plan('mine')$$), (9, $$INSERT INTO tenancy.plans (name) VALUES ('mine')$$), (10, $$SELECT tenancy.set_plan_quota('qu plan', 'qu.calls')$$), (11, $$INSERT INTO tenancy.plan_quotas (plan, meter, period) VALUES ('qu plan', 'qu.calls', 'day')$$),
    (12, $$SELECT tenancy.set_default_plan('qu plan')$$), (13, $$UPDATE tenancy.plans SET is_default = true$$), (14, $$SELECT tenancy.drop_plan('qu plan')$$)) c (i, command) ORDER BY c.i, n;

-- Ended: of one period, or all.
SELECT pg_temp.att(1, $$SELECT tenancy.drop_quota($A, 'qu.calls', 'hour')$$) AS one, tenancy.drop_quota(:a, 'qu.calls', 'hour') AS again, tenancy.drop_quota(:a, 'qu.calls') AS the_rest, tenancy.drop_quota(:a, 'qu.calls') AS none_left;
-- Past its end a row counts no more.
UPDATE tenancy.quotas SET expires_at = '2020-01-01' WHERE meter = 'qu.rows' AND tenant_id = :a;
SELECT right(tenant_id::text, 1) AS tenant, meter, hard FROM tenancy.effective_quotas WHERE meter LIKE 'qu.%';

SELECT tenancy.drop_plan('qu plan'), tenancy.drop_meter('qu.calls', true), tenancy.drop_meter('qu.rows', true);
DELETE FROM tenancy.operators WHERE user_id::text LIKE '6b000000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b);
