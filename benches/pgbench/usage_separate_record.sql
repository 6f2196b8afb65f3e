-- Two statements, of which the second records.
BEGIN;
INSERT INTO bench.work (title) VALUES ('calls');
SELECT tenancy.record_usage('api.calls', 1, '10000000-0000-4000-8000-000000000001');
COMMIT;
