-- A table as an application has it that knows nothing of tenants: :rows rows of 1,000 organisations, which are tenants.
-- Rows have a page's usual room, so that they can be changed in place or must move, as it comes.
SET client_min_messages = warning;
CREATE TABLE bench.staged (id bigint PRIMARY KEY, org integer NOT NULL, amount integer NOT NULL, title text NOT NULL);
INSERT INTO bench.staged SELECT n, 1 + n % 1000, n % 100, 'a title of usual length' FROM generate_series(1, :rows) n;
GRANT SELECT, INSERT, UPDATE ON bench.staged TO authenticated;
CREATE SEQUENCE bench.staged_ids START :rows;
SELECT setval('bench.staged_ids', :rows);
-- The organisation's number leads to its tenant.
CREATE FUNCTION bench.staged_tenant(org integer) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN bench.tenant_id(org);
-- When it is enforced, a row without tenant is refused; the load goes on.
CREATE FUNCTION bench.staged_insert(org integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.staged (id, org, amount, title) VALUES (nextval('bench.staged_ids'), org, 0, 'new');
EXCEPTION WHEN not_null_violation THEN
    NULL;
END
$$;
VACUUM ANALYZE bench.staged;
CHECKPOINT;
