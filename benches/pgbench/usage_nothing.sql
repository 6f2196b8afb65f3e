-- A transaction that records nothing.
BEGIN;
INSERT INTO bench.work (title) VALUES ('a row') RETURNING 1;
COMMIT;
