-- 5,000 tenants in one connection, a transaction each and all in one: every one right, in bounded memory.
INSERT INTO tenancy.tenants (id, slug, name, key) SELECT ('3b700000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'many-' || n, 'M', 'many-' || n FROM generate_series(1, 5000) n;
SELECT tenancy.create_permission('many.read') IS NULL, tenancy.create_role('many_reader', '{many.read}') IS NOT NULL;
CREATE ROLE many_job NOLOGIN;
SELECT tenancy.enable_role('many_job'), tenancy.allow_database_role('many_job', '{many_reader}');
CREATE TABLE many_rows (tenant_id uuid PRIMARY KEY, visits int NOT NULL DEFAULT 0);
INSERT INTO many_rows SELECT id FROM tenancy.tenants WHERE slug LIKE 'many-%';
GRANT SELECT, UPDATE ON many_rows TO many_job;
ALTER TABLE many_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON many_rows USING (tenant_id = tenancy.current_tenant_id() AND tenancy.has_permission('many.read'));
-- What a job does: it lists the tenants, and works in each in a transaction of its own.
CREATE PROCEDURE public.visit_each() LANGUAGE plpgsql AS $$
DECLARE
    t record;
    own bigint;
BEGIN
    FOR t IN SELECT id, key FROM tenancy.enterable_tenants() WHERE slug LIKE 'many-%' LOOP
        SET LOCAL ROLE many_job;
        PERFORM tenancy.enter_tenant(t.key);
        UPDATE many_rows SET visits = visits + 1 WHERE tenancy.current_tenant_key() = t.key AND tenancy.current_actor() = 'role:many_job';
        GET DIAGNOSTICS own = ROW_COUNT;
        IF own <> 1 THEN
            RAISE EXCEPTION 'tenant % sees % rows', t.key, own;
        END IF;
        COMMIT;
    END LOOP;
END
$$;
CREATE FUNCTION public.visit_all() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    t record;
    own bigint;
    total bigint := 0;
BEGIN
    FOR t IN SELECT id FROM tenancy.enterable_tenants() WHERE slug LIKE 'many-%' LOOP
        PERFORM tenancy.enter_tenant(t.id);
        SELECT count(*) INTO own FROM many_rows;
        total := total + own;
    END LOOP;
    RETURN total;
END
$$;
GRANT EXECUTE ON FUNCTION public.visit_all() TO many_job;
SET SESSION AUTHORIZATION many_job;
CALL public.visit_each();
SELECT bytes < 4200000 AS bounded, entries > 1000 AS kept FROM tenancy.cache_stats();
BEGIN;
SELECT public.visit_all();
SELECT right(tenancy.current_tenant_id()::text, 4) AS last;
SELECT bytes < 4200000 AS bounded FROM tenancy.cache_stats();
COMMIT;
SELECT tenancy.current_actor();
RESET SESSION AUTHORIZATION;
-- In a small cache no less right; a transaction that has written keeps what it saw apart, in the same bounds.
\connect -
SET tenancy.cache_size = '64kB';
SET SESSION AUTHORIZATION many_job;
CALL public.visit_each();
SELECT bytes < 70000 AS bounded FROM tenancy.cache_stats();
BEGIN;
SELECT tenancy.enter_tenant('many-1');
UPDATE many_rows SET visits = visits;
SELECT public.visit_all();
SELECT bytes < 70000 AS bounded FROM tenancy.cache_stats();
COMMIT;
RESET SESSION AUTHORIZATION;
RESET tenancy.cache_size;
SELECT count(*) AS visited_twice FROM many_rows WHERE visits = 2;
-- What the transaction keeps of the setting itself does not grow either.
SELECT sum(used_bytes) < 2000000 AS small FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext';
DROP PROCEDURE public.visit_each();
DROP FUNCTION public.visit_all();
DROP TABLE many_rows;
SELECT tenancy.disallow_database_role('many_job');
DROP OWNED BY many_job;
DROP ROLE many_job;
DELETE FROM tenancy.tenants WHERE slug LIKE 'many-%';
SELECT tenancy.drop_role('many_reader', cascade => true), tenancy.drop_permission('many.read', cascade => true);
