-- Meters: who makes, changes and drops them, by function and by plain DML alike; what is refused; pruning.
CALL test.stay_within_the_hour();
SET client_min_messages = warning;
\set a '''6a000000-0000-0000-0000-00000000000a'''
-- 1 writes as an operator, 2 reads as one, 3 owns a tenant, 4 is nobody.
CREATE FUNCTION pg_temp.att(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(CASE WHEN n > 0 THEN ('6a000000-0000-0000-0000-00000000000' || n)::uuid END, command) $$;
CREATE FUNCTION pg_temp.try(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.try(('6a000000-0000-0000-0000-00000000000' || n)::uuid, command) $$;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'metered', 'Metered');
SELECT tenancy.grant_operator('6a000000-0000-0000-0000-000000000001', 'write'), tenancy.grant_operator('6a000000-0000-0000-0000-000000000002', 'read'),
       tenancy.add_member(:a, '6a000000-0000-0000-0000-000000000003', '{owner}');

SELECT tenancy.create_meter('mt.calls', 'calls', 'counter', 'Calls of the API');
SELECT pg_temp.att(1, $$SELECT tenancy.create_meter('mt.rows', 'rows', 'gauge', period => 'hour')$$);
SELECT name, unit, kind, period, description, created_at IS NOT NULL AS created FROM tenancy.meters WHERE name LIKE 'mt.%' ORDER BY name;
-- Who may not.
SELECT n, c.command, pg_temp.try(n, c.command) FROM generate_series(1, 4) n, (VALUES
    (1, $$SELECT tenancy.create_meter('mt.x', 'x', 'counter')$$), (2, $$SELECT tenancy.alter_meter('mt.calls', 'x')$$), (3, $$SELECT tenancy.drop_meter('mt.calls')$$),
    (4, $$SELECT tenancy.prune_usage('2020-01-01')$$), (5, $$INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('mt.x', 'x', 'counter', 'day')$$),
    (6, $$UPDATE tenancy.meters SET description = 'x' WHERE name = 'mt.calls'$$), (7, $$DELETE FROM tenancy.meters WHERE name = 'mt.calls'$$),
    (8, $$DELETE FROM tenancy.usage_periods$$), (9, $$UPDATE tenancy.meters SET kind = 'gauge' WHERE name = 'mt.calls'$$),
    (10, $$INSERT INTO tenancy.usage SELECT '6a000000-0000-0000-0000-00000000000a', 'mt.calls', 0, '2020-01-01 UTC', 0, 0, 0, -1000$$),
    (11, $$UPDATE tenancy.usage SET total = 0$$), (12, $$DELETE FROM tenancy.usage$$), (13, $$INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES ('6a000000-0000-0000-0000-00000000000a', 'mt.calls', now(), -5)$$),
    (14, $$INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) VALUES ('6a000000-0000-0000-0000-00000000000a', 'mt.calls', 'day', now(), 1, 2)$$), (15, $$DELETE FROM tenancy.quota_events$$)
    ) c (i, command) ORDER BY c.i, n;
-- Bad arguments.
SELECT c.command, pg_temp.att(0, 'SELECT tenancy.' || c.command) FROM (VALUES
    (1, $$create_meter('mt.calls', 'calls', 'counter')$$), (2, $$create_meter(NULL, 'x', 'counter')$$), (3, $$create_meter('Mt', 'x', 'counter')$$), (4, $$create_meter('mt..x', 'x', 'counter')$$),
    (5, $$create_meter('mt.1', 'x', 'counter')$$), (6, $$create_meter(repeat('m', 101), 'x', 'counter')$$), (7, $$create_meter(E'mt\n', 'x', 'counter')$$), (8, $$create_meter('mt.x', '', 'counter')$$), (9, $$create_meter('mt.x', NULL, 'counter')$$),
    (10, $$create_meter('mt.x', 'x', 'sum')$$), (11, $$create_meter('mt.x', 'x', NULL)$$), (12, $$create_meter('mt.x', 'x', 'gauge', period => 'week')$$), (13, $$create_meter('mt.x', 'x', 'gauge', period => NULL)$$), (14, $$create_meter('mt.x', 'x', 'gauge', NULL)$$),
    (15, $$alter_meter('mt.none', 'x')$$), (16, $$alter_meter(NULL)$$), (17, $$alter_meter('mt.calls', period => 'week')$$), (18, $$drop_meter('mt.none')$$), (19, $$drop_meter(NULL)$$),
    (20, $$prune_usage(NULL)$$), (21, $$prune_usage('infinity')$$), (22, $$prune_usage('-infinity')$$), (23, $$prune_usage(now() + interval '1 minute')$$)) c (i, command) ORDER BY c.i;

-- Description and period change; the period while there is no history, by plain DML too, and at READ COMMITTED. Name and kind stay.
SELECT tenancy.alter_meter('mt.calls') AS nothing, tenancy.alter_meter('mt.calls', 'Calls of the API') AS same, tenancy.alter_meter('mt.calls', 'Calls', 'hour') AS changed, tenancy.alter_meter('mt.calls', '') AS emptied;
INSERT INTO tenancy.usage VALUES (:a, 'mt.calls', 1, '2026-01-05 10:00 UTC', 3, 4, 5, 60);
-- What stands in a slot is history as well.
SELECT pg_temp.att(0, $$SELECT tenancy.alter_meter('mt.calls', period => 'day')$$), pg_temp.att(1, $$UPDATE tenancy.meters SET period = 'month' WHERE name = 'mt.calls'$$);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.att(0, $$SELECT tenancy.alter_meter('mt.rows', period => 'day')$$), pg_temp.att(0, $$SELECT tenancy.alter_meter('mt.rows', 'Rows')$$) AS only_described;
COMMIT;
SELECT pg_temp.att(1, $$SELECT tenancy.prune_usage('2026-01-06 UTC')$$) AS pruned, pg_temp.att(1, $$SELECT tenancy.alter_meter('mt.calls', period => 'day')$$) AS changed;
SELECT hour_amount, day_amount, month_amount, total FROM tenancy.usage WHERE meter = 'mt.calls';
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'mt.calls', '2026-01-03 UTC', 20), (:a, 'mt.calls', '2026-01-04 UTC', 30);
SELECT pg_temp.att(0, $$SELECT tenancy.alter_meter('mt.calls', period => 'month')$$), pg_temp.att(1, $$UPDATE tenancy.meters SET period = 'month' WHERE name = 'mt.calls'$$),
       pg_temp.att(0, $$UPDATE tenancy.meters SET kind = 'gauge' WHERE name = 'mt.calls'$$), pg_temp.att(0, $$UPDATE tenancy.meters SET name = 'mt.new' WHERE name = 'mt.calls'$$), pg_temp.att(1, $$SELECT tenancy.alter_meter('mt.calls', 'With history')$$);

-- Pruning forgets periods that began before, and neither totals nor other meters' amounts.
SELECT pg_temp.att(1, $$SELECT tenancy.prune_usage('2026-01-04 UTC')$$) AS pruned, pg_temp.att(1, $$SELECT tenancy.prune_usage('2026-01-04 UTC')$$) AS again;
SELECT period_start AT TIME ZONE 'UTC' AS starts, amount FROM tenancy.usage_periods WHERE meter = 'mt.calls';
SELECT total FROM tenancy.usage_current WHERE meter = 'mt.calls';

-- What is in use is not dropped, unless with what depends on it; what counts tables not even then.
SELECT tenancy.create_plan('mt plan'), tenancy.set_plan_quota('mt plan', 'mt.calls', hard => 5), tenancy.set_quota(:a, 'mt.calls', 1, 2);
SELECT pg_temp.att(0, $$SELECT tenancy.drop_meter('mt.calls')$$), pg_temp.att(1, $$SELECT tenancy.drop_meter('mt.calls', cascade => NULL)$$);
INSERT INTO tenancy.metered_tables VALUES ('pg_class', 'pg_class', 'mt.rows', 'rows');
SELECT pg_temp.att(0, $$SELECT tenancy.drop_meter('mt.rows', true)$$), pg_temp.att(1, $$SELECT tenancy.drop_meter('mt.rows', true)$$), pg_temp.att(1, $$DELETE FROM tenancy.meters WHERE name = 'mt.rows'$$);
DELETE FROM tenancy.metered_tables;
SELECT pg_temp.att(1, $$SELECT tenancy.drop_meter('mt.calls', cascade => true)$$), pg_temp.att(1, $$SELECT tenancy.drop_meter('mt.rows')$$);
SELECT (SELECT count(*) FROM tenancy.meters WHERE name LIKE 'mt.%') AS meters, (SELECT count(*) FROM tenancy.usage WHERE tenant_id = :a) AS slots, (SELECT count(*) FROM tenancy.usage_periods WHERE tenant_id = :a) AS periods,
       (SELECT count(*) FROM tenancy.quotas WHERE tenant_id = :a) AS quotas, (SELECT count(*) FROM tenancy.plan_quotas) AS plan_quotas, (SELECT count(*) FROM tenancy.plans) AS plans;

SELECT tenancy.drop_plan('mt plan');
DELETE FROM tenancy.operators WHERE user_id::text LIKE '6a000000%';
SELECT tenancy.drop_tenant(:a);
