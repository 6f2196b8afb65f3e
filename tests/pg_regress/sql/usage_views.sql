-- What the views make of slots and history: the present hour, day and month, closed periods that still stand in slots, gauges,
-- limits; sums that no bigint holds.
CALL test.stay_within_the_hour();
SET client_min_messages = warning;
SET timezone = 'Asia/Kolkata';
SET datestyle = 'ISO';
\set a '''6d000000-0000-0000-0000-00000000000a'''
\set b '''6d000000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'view-a', 'A'), (:b, 'view-b', 'B');
SELECT tenancy.create_meter('vw.calls', 'calls', 'counter'), tenancy.create_meter('vw.hourly', 'calls', 'counter', period => 'hour'), tenancy.create_meter('vw.rows', 'rows', 'gauge', period => 'month'),
       tenancy.create_meter('vw.total', 'bytes', 'counter', period => 'none');
SELECT date_trunc('hour', now(), 'UTC') AS hour, date_trunc('day', now(), 'UTC') AS day, date_trunc('month', now(), 'UTC') AS month \gset
-- Two slots of this hour; one of an earlier hour, whose hour is over; one of days long gone.
INSERT INTO tenancy.usage VALUES (:a, 'vw.calls', 0, :'hour', 1, 10, 100, 1000), (:a, 'vw.calls', 1, :'hour', 2, 20, 200, 2000), (:a, 'vw.calls', 2, '2026-01-31 23:00 UTC', 4, 40, 400, 4000), (:a, 'vw.calls', 3, '2026-01-31 05:00 UTC', 8, 80, 800, 8000);
SELECT * FROM tenancy.usage_current WHERE meter LIKE 'vw.%';
-- No sum overflows.
INSERT INTO tenancy.usage VALUES (:b, 'vw.total', 0, :'hour', 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807), (:b, 'vw.total', 1, :'hour', 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807);
SELECT this_hour, this_day, this_month, total FROM tenancy.usage_current WHERE meter = 'vw.total';

-- History by day: of slots the day they stand in, beside what they left behind; days are those of UTC.
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'vw.calls', '2026-01-30 UTC', 5), (:a, 'vw.calls', '2026-01-30 UTC', 6), (:a, 'vw.calls', '2026-01-31 UTC', 7),
    (:b, 'vw.calls', '2026-01-31 UTC', 9), (:b, 'vw.total', '2026-01-31 UTC', 9);
SELECT period_start AT TIME ZONE 'UTC' AS starts, period, amount FROM tenancy.usage_history WHERE meter = 'vw.calls' AND tenant_id = :a AND period_start < '2026-06-01' ORDER BY 1;
SELECT amount AS of_today FROM tenancy.usage_history WHERE meter = 'vw.calls' AND tenant_id = :a AND period_start = :'day';
SELECT count(*) AS without_periods FROM tenancy.usage_history WHERE meter = 'vw.total';
-- By hour: hours of today that slots left behind do not count twice in the day.
INSERT INTO tenancy.usage VALUES (:a, 'vw.hourly', 0, :'hour', 3, 13, 13, 13);
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'vw.hourly', :'hour'::timestamptz - interval '1 hour', 10);
SELECT this_hour, this_day FROM tenancy.usage_current WHERE meter = 'vw.hourly';
SELECT sum(amount) AS both_hours, max(amount) FILTER (WHERE period_start = :'hour') AS this_hour FROM tenancy.usage_history WHERE meter = 'vw.hourly';
-- A gauge: rows are changes, amounts those at the end of each month; 20 rows were there before January's were pruned.
INSERT INTO tenancy.usage VALUES (:a, 'vw.rows', 0, '2026-04-10 UTC', 0, 0, -4, 30), (:a, 'vw.rows', 5, '2026-03-10 UTC', 1, 1, 1, 17);
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'vw.rows', '2026-02-01 UTC', 50), (:a, 'vw.rows', '2026-03-01 UTC', -20);
SELECT period_start AT TIME ZONE 'UTC' AS starts, period, amount FROM tenancy.usage_history WHERE meter = 'vw.rows' ORDER BY 1;
SELECT period_start AT TIME ZONE 'UTC' AS starts, amount FROM tenancy.usage_history WHERE meter = 'vw.rows' AND period_start = '2026-02-01 UTC';
SELECT this_month, total FROM tenancy.usage_current WHERE meter = 'vw.rows';

-- Limits: what is used in their period, what remains, when they begin anew.
SELECT tenancy.create_plan('vw plan', is_default => true), tenancy.set_plan_quota('vw plan', 'vw.calls', 2, 3, 'hour'), tenancy.set_plan_quota('vw plan', 'vw.calls', hard => 40, period => 'day'), tenancy.set_plan_quota('vw plan', 'vw.calls', 100, 200, 'month'),
       tenancy.set_plan_quota('vw plan', 'vw.calls', 150, period => 'none'), tenancy.set_plan_quota('vw plan', 'vw.rows', hard => 0), tenancy.set_plan_quota('vw plan', 'vw.total', hard => 9223372036854775807, period => 'none'), tenancy.set_quota(:b, 'vw.calls');
SELECT right(tenant_id::text, 1) AS t, meter, period, used, soft, hard, remaining, percent,
       CASE WHEN resets_at = CASE period WHEN 'hour' THEN :'hour'::timestamptz + interval '1 hour' WHEN 'day' THEN (:'day'::timestamptz AT TIME ZONE 'UTC' + interval '1 day') AT TIME ZONE 'UTC'
                                         ELSE (:'month'::timestamptz AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' END THEN 'next ' || period ELSE resets_at::text END AS resets, source
  FROM tenancy.quota_status WHERE meter LIKE 'vw.%' ORDER BY 1, 2, 3;
SELECT tenancy.period_end('month', '2026-01-31 23:59 UTC') AT TIME ZONE 'UTC' AS month, tenancy.period_end('day', '2026-12-31 00:00 UTC') AT TIME ZONE 'UTC' AS day, tenancy.period_end('hour', '2026-01-01 10:30 UTC') AT TIME ZONE 'UTC' AS hour,
       tenancy.period_end('none', now()) AS none, tenancy.period_end('month', 'infinity') AS infinite;

-- Read by index where one is a member of few tenants: asked for once, not for every row.
INSERT INTO tenancy.tenants (id, slug, name) SELECT ('6d000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'view-' || n, 'V' FROM generate_series(1, 3000) n;
INSERT INTO tenancy.usage SELECT ('6d000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid, 'vw.calls', 0, '2026-01-01 UTC', 1, 1, 1, 1 FROM generate_series(1, 3000) n;
ANALYZE tenancy.usage;
SELECT tenancy.add_member(:a, '6d000000-0000-0000-0000-000000000001', '{owner}');
BEGIN;
SELECT tenancy.act_as('6d000000-0000-0000-0000-000000000001');
EXPLAIN (COSTS OFF) SELECT total FROM tenancy.usage;
SELECT count(*) AS mine, sum(total) FROM tenancy.usage_current;
COMMIT;
DELETE FROM tenancy.tenants WHERE slug ~ '^view-[0-9]';
RESET timezone;
RESET datestyle;
SELECT tenancy.drop_plan('vw plan', true), tenancy.drop_tenant(:a), tenancy.drop_tenant(:b);
SELECT tenancy.drop_meter(name) FROM tenancy.meters WHERE name LIKE 'vw.%';
