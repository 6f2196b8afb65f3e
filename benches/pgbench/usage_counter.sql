-- The same with one row for all transactions of the tenant, in the same statement.
BEGIN;
WITH new AS (INSERT INTO bench.work (title) VALUES ('a row') RETURNING 1) UPDATE bench.counters SET calls = calls + (SELECT count(*) FROM new) WHERE tenant = '10000000-0000-4000-8000-000000000001';
COMMIT;
