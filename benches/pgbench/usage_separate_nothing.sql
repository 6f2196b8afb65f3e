-- Two statements, of which the second does nothing.
BEGIN;
INSERT INTO bench.work (title) VALUES ('a row');
SELECT 1;
COMMIT;
