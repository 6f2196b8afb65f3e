-- The same under a hard quota that is far away.
BEGIN;
INSERT INTO bench.work (title) VALUES ('far') RETURNING tenancy.record_usage('api.far', 1, '10000000-0000-4000-8000-000000000001');
COMMIT;
