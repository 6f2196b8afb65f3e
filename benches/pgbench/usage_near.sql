-- At the limit: a row that is counted, or none.
BEGIN;
SELECT bench.count_near();
COMMIT;
