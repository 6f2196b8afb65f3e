-- The same, recording once, in the same statement.
BEGIN;
INSERT INTO bench.work (title) VALUES ('calls') RETURNING tenancy.record_usage('api.calls', 1, '10000000-0000-4000-8000-000000000001');
COMMIT;
