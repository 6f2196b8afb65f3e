-- Folding: many slots become one, and no sum changes, of the present or of the past.
\set a '''6e000000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'folded', 'Folded');
SELECT tenancy.create_meter('fo.calls', 'calls', 'counter', period => 'hour'), tenancy.create_meter('fo.rows', 'rows', 'gauge', period => 'day');
-- Of this hour, of forty and of eighty days ago (in hours: days have 23 to 25 of them in this session's time zone).
INSERT INTO tenancy.usage (tenant_id, meter, slot, hour, hour_amount, day_amount, month_amount, total)
SELECT :a, m, n, date_trunc('hour', now(), 'UTC') - age, n, 10 * n, 100 * n, 1000 * n
  FROM (VALUES ('fo.calls'), ('fo.rows')) m (m), (VALUES (1, interval '0'), (2, '0'), (3, '960 hours'), (4, '960 hours'), (5, '1920 hours')) v (n, age);
CREATE VIEW pg_temp.history AS SELECT meter, period, period_start, amount FROM tenancy.usage_history WHERE meter LIKE 'fo.%' AND amount <> 0;
CREATE TABLE fo_before AS SELECT * FROM pg_temp.history;
CREATE TABLE fo_current AS SELECT * FROM tenancy.usage_current WHERE meter LIKE 'fo.%';
SELECT count(*) FROM fo_before;
SELECT tenancy.fold_usage();
SELECT meter, slot, hour = date_trunc('hour', now(), 'UTC') AS now, hour_amount, day_amount, month_amount, total FROM tenancy.usage WHERE tenant_id = :a ORDER BY meter COLLATE "C";
SELECT meter, (extract(epoch FROM date_trunc('day', now(), 'UTC') - date_trunc('day', period_start, 'UTC')) / 86400)::int AS days_ago, amount FROM tenancy.usage_periods WHERE tenant_id = :a ORDER BY meter COLLATE "C", period_start;
(TABLE fo_before EXCEPT TABLE pg_temp.history) UNION ALL (TABLE pg_temp.history EXCEPT TABLE fo_before);
SELECT * FROM (TABLE fo_current EXCEPT SELECT * FROM tenancy.usage_current) lost;
-- Again there is nothing to do; what comes next is folded in; nothing is lost to a rollback.
SELECT tenancy.fold_usage();
BEGIN;
SELECT tenancy.record_usage('fo.calls', 5, :a), tenancy.fold_usage(), tenancy.record_usage('fo.calls', 7, :a);
SELECT count(*), sum(total) FROM tenancy.usage WHERE meter = 'fo.calls';
ROLLBACK;
SELECT count(*), sum(total) FROM tenancy.usage WHERE meter = 'fo.calls';
BEGIN;
SELECT count(tenancy.record_usage('fo.calls', 1, :a)) FROM generate_series(1, 100);
SELECT tenancy.fold_usage();
SAVEPOINT s;
SELECT tenancy.record_usage('fo.calls', 1000, :a);
ROLLBACK TO s;
SELECT count(tenancy.record_usage('fo.calls', 1, :a)) FROM generate_series(1, 100);
COMMIT;
SELECT count(*), sum(total) FROM tenancy.usage WHERE meter = 'fo.calls';
SELECT tenancy.fold_usage();
SELECT count(*), sum(total) FROM tenancy.usage WHERE meter = 'fo.calls';
-- With a quota the same, and no more is let through while it is folded.
SELECT tenancy.set_quota(:a, 'fo.calls', hard => 15250, period => 'none');
BEGIN;
SELECT tenancy.record_usage('fo.calls', 40, :a), tenancy.fold_usage(), tenancy.remaining('fo.calls', :a), tenancy.record_usage('fo.calls', 10, :a);
SELECT tenancy.record_usage('fo.calls', 1, :a);
ROLLBACK;
SELECT tenancy.remaining('fo.calls', :a);
-- What others count as used while it is open would not hold if a savepoint took it back.
BEGIN;
SAVEPOINT s;
SELECT tenancy.fold_usage();
ROLLBACK;
-- A tenant that is made anew in the transaction has used nothing but what is recorded then.
BEGIN;
SELECT count(tenancy.record_usage('fo.calls', 1, :a)) FROM generate_series(1, 45);
CREATE TEMPORARY TABLE fo_tenant AS SELECT id, slug, name FROM tenancy.tenants WHERE id = :a;
DELETE FROM tenancy.tenants WHERE id = :a;
INSERT INTO tenancy.tenants (id, slug, name) SELECT * FROM fo_tenant;
SELECT tenancy.record_usage('fo.calls', 1, :a);
COMMIT;
SELECT sum(total) FROM tenancy.usage WHERE tenant_id = :a;
DROP TABLE fo_before, fo_current, fo_tenant;
SELECT tenancy.drop_meter('fo.calls', true), tenancy.drop_meter('fo.rows', true), tenancy.drop_tenant(:a);
