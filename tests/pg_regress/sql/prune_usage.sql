-- Pruning what still stands in slots: of periods that are over, of whatever meter; limits, totals and gauges stay right. Who may.
SET client_min_messages = warning;
\set a '''6b000000-0000-0000-0000-00000000000a'''
-- 1 writes as an operator, 2 reads as one, 3 owns the tenant, 4 is nobody.
CREATE FUNCTION pg_temp.try(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.try(('6b000000-0000-0000-0000-00000000000' || n)::uuid, command) $$;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'pruned', 'Pruned');
SELECT tenancy.grant_operator('6b000000-0000-0000-0000-000000000001', 'write'), tenancy.grant_operator('6b000000-0000-0000-0000-000000000002', 'read'),
       tenancy.add_member(:a, '6b000000-0000-0000-0000-000000000003', '{owner}');
SELECT tenancy.create_meter('pr.hourly', 'calls', 'counter', period => 'hour'), tenancy.create_meter('pr.daily', 'calls', 'counter'), tenancy.create_meter('pr.monthly', 'calls', 'counter', period => 'month'),
       tenancy.create_meter('pr.none', 'calls', 'counter', period => 'none'), tenancy.create_meter('pr.rows', 'rows', 'gauge');
SELECT date_trunc('hour', now(), 'UTC') AS hour, date_trunc('day', now(), 'UTC') AS day, date_trunc('month', now(), 'UTC') AS month \gset
-- Of each a slot of the present hour, one of the hour before, one long idle (so long that its month, too, began more than 40 days ago), and one in which the period was closed before.
INSERT INTO tenancy.usage SELECT :a, m.name, s.slot, s.hour, s.h, s.d, s.m, s.t
  FROM tenancy.meters m, (VALUES (1, :'hour'::timestamptz, 1, 10, 100, 1000), (2, :'hour'::timestamptz - interval '1 hour', 2, 20, 200, 2000),
                                 (3, :'hour'::timestamptz - interval '1680 hours', 3, 30, 300, 3000), (4, :'hour'::timestamptz - interval '1680 hours', 0, 0, 0, 4000)) s (slot, hour, h, d, m, t)
 WHERE m.name LIKE 'pr.%';
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'pr.rows', :'day'::timestamptz - interval '1200 hours', 70), (:a, 'pr.rows', :'day'::timestamptz - interval '480 hours', -20);
CREATE TEMP TABLE before AS SELECT * FROM tenancy.usage_current WHERE tenant_id = :a;
CREATE TEMP TABLE rows_before AS SELECT * FROM tenancy.usage_history WHERE meter = 'pr.rows';

-- Who may not, neither by function nor by what the function calls.
SELECT n, c.command, pg_temp.try(n, c.command) FROM generate_series(1, 4) n, (VALUES
    (1, $$SELECT tenancy.prune_usage(now() - interval '40 days')$$), (2, $$SELECT tenancy.prune_slots_by_identity(now() - interval '40 days')$$), (3, $$SELECT tenancy.prune_slots(now())$$), (4, $$SELECT tenancy.empty_slots(now())$$)) c (i, command) ORDER BY c.i, n;
-- NULL is no time, and not infinity.
SELECT n, pg_temp.try(n, c.command) FROM generate_series(1, 4) n, (VALUES (1, 'SELECT tenancy.prune_slots_by_identity(NULL)'), (2, 'SELECT tenancy.prune_slots(NULL)'), (3, 'SELECT tenancy.prune_usage(NULL)')) c (i, command) ORDER BY c.i, n;
SELECT test.attempt(NULL, 'SELECT tenancy.prune_slots(NULL)') AS by_administrator;
-- By BYPASSRLS, without a right to write usage. A superuser's wrapper does it for others; a wrapper of that role's does not.
CREATE ROLE pr_service NOLOGIN BYPASSRLS;
SELECT tenancy.enable_role('pr_service');
CREATE FUNCTION public.pr_prune() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN tenancy.prune_usage(now() - interval '40 days');
GRANT EXECUTE ON FUNCTION public.pr_prune() TO authenticated;
BEGIN;
SET LOCAL ROLE pr_service;
SELECT tenancy.prune_usage(now() - interval '40 days') AS by_service;
ROLLBACK;
SELECT pg_temp.try(4, 'SELECT public.pr_prune()') AS by_wrapper;
GRANT CREATE ON SCHEMA public TO pr_service;
ALTER FUNCTION public.pr_prune() OWNER TO pr_service;
SELECT pg_temp.try(4, 'SELECT public.pr_prune()') AS by_wrapper_of_service;
DROP OWNED BY pr_service;
DROP ROLE pr_service;

-- Long idle slots of all meters that have history, and what was closed; again there is nothing.
SELECT tenancy.prune_usage(now() - interval '40 days') AS pruned, tenancy.prune_usage(now() - interval '40 days') AS again;
SELECT meter, slot, hour_amount, day_amount, month_amount, total FROM tenancy.usage WHERE tenant_id = :a AND slot = 3 ORDER BY meter;
SELECT meter, count(*) FILTER (WHERE period_start < now() - interval '40 days') AS long_ago, count(*) > 0 AS recently FROM tenancy.usage_history WHERE meter LIKE 'pr.%' GROUP BY meter ORDER BY meter;
-- The hour before is over; what it adds to the day and the month stays while these last.
SELECT tenancy.prune_usage(now()) >= 1 AS pruned;
SELECT hour_amount, day_amount = CASE WHEN hour >= :'day' THEN 20 ELSE 0 END AS day_stays, month_amount = CASE WHEN hour >= :'month' THEN 200 ELSE 0 END AS month_stays, total FROM tenancy.usage WHERE meter = 'pr.hourly' AND slot = 2;
SELECT meter, period_start = date_trunc(period, :'hour'::timestamptz, 'UTC') AS present, amount > 0 AS something FROM tenancy.usage_history WHERE meter IN ('pr.hourly', 'pr.daily', 'pr.monthly') ORDER BY meter;
SELECT meter, periods FROM tenancy.usage_report('-infinity', 'infinity') WHERE meter LIKE 'pr.%' ORDER BY meter;
-- Of gauges every amount that is left is what it was.
SELECT count(*) FILTER (WHERE r IS NULL) AS changed, count(*) > 0 AS some FROM tenancy.usage_history h LEFT JOIN rows_before r ON r = h WHERE h.meter = 'pr.rows';
-- What is used now is what it was.
SELECT count(*) AS changed FROM (SELECT * FROM before EXCEPT SELECT * FROM tenancy.usage_current WHERE tenant_id = :a) x;

-- Where there is no room for a new version in the page a slot is left for another time: who sums slots just now might miss it.
DELETE FROM tenancy.usage WHERE tenant_id = :a;
VACUUM tenancy.usage;
BEGIN;
INSERT INTO tenancy.usage VALUES (:a, 'pr.daily', 1, '2026-01-05 UTC', 1, 1, 1, 1), (:a, 'pr.daily', 2, '2026-01-05 UTC', 1, 1, 1, 1);
CREATE FUNCTION pg_temp.page(n bigint) RETURNS text LANGUAGE sql AS $$ SELECT split_part(ctid::text, ',', 1) FROM tenancy.usage WHERE meter = 'pr.daily' AND slot = n $$;
CREATE TEMP TABLE place AS SELECT pg_temp.page(1) AS page;
DO $$ BEGIN WHILE pg_temp.page(2) = pg_temp.page(1) LOOP UPDATE tenancy.usage SET total = total + 1 WHERE meter = 'pr.daily' AND slot = 2; END LOOP; END $$;
SELECT tenancy.prune_usage(now()) AS pruned;
SELECT slot, day_amount, pg_temp.page(slot) = page AS there FROM tenancy.usage, place WHERE meter = 'pr.daily' ORDER BY slot;
ROLLBACK;

-- A new period: the history begins with the present one, which all slots know, whatever some of them still hold of others.
INSERT INTO tenancy.usage VALUES (:a, 'pr.none', 1, :'hour', 1, 10, 100, 1000), (:a, 'pr.none', 2, '2026-01-05 UTC', 2, 20, 200, 2000);
SELECT count(*) FROM tenancy.usage_history WHERE meter = 'pr.none';
SELECT pg_temp.try(1, $$SELECT tenancy.alter_meter('pr.none', period => 'hour')$$) AS by_operator, tenancy.alter_meter('pr.none', period => 'month') AS altered;
SELECT period, period_start = :'month' AS present, amount FROM tenancy.usage_history WHERE meter = 'pr.none';
SELECT sum(total) AS total FROM tenancy.usage WHERE meter = 'pr.none';
SELECT test.attempt(NULL, $$SELECT tenancy.alter_meter('pr.none', period => 'none')$$) AS back;

DELETE FROM tenancy.operators WHERE user_id::text LIKE '6b000000%';
SELECT tenancy.drop_tenant(:a);
SELECT tenancy.drop_meter(name) FROM tenancy.meters WHERE name LIKE 'pr.%';
