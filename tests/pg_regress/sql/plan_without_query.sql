-- The planner also asks what a function costs where it has no query in hand: when it inlines a function, and for a
-- subplan. (Once this ended the server.)
CREATE ROLE plan_asker;
SELECT tenancy.enable_role('plan_asker');
SET ROLE plan_asker;
CREATE FUNCTION pg_temp.any_of(ids uuid[]) RETURNS boolean LANGUAGE sql STABLE
    AS 'SELECT ids IS NULL OR cardinality(ids) > 0';
SELECT pg_temp.any_of(tenancy.tenant_ids_with('docs.read'));
SELECT pg_temp.any_of(tenancy.tenant_ids());
SELECT pg_temp.any_of(tenancy.tenant_ids_with_any(ARRAY['docs.read', current_setting('search_path')]));
SELECT pg_temp.any_of(tenancy.tenant_ids_with_all(NULL));
SELECT tenancy.tenant_ids_with('docs.read') IN (SELECT ARRAY[gen_random_uuid()] FROM generate_series(1, 3));
SELECT tenancy.tenant_ids_with_any('{docs.read}') IN (SELECT ARRAY[gen_random_uuid()] FROM generate_series(1, 3));
CREATE FUNCTION pg_temp.asks(tenant uuid, name text) RETURNS boolean LANGUAGE sql STABLE
    AS 'SELECT tenancy.has_permission(tenant, name) OR tenancy.is_member(tenant) OR tenancy.has_permission(name)';
SELECT pg_temp.asks(gen_random_uuid(), 'docs.read');
SELECT count(*) FROM generate_series(1, 2) n WHERE tenancy.has_permission(gen_random_uuid(), 'docs.' || n);
SELECT count(*) FROM generate_series(1, 2) n WHERE tenancy.has_any_permission(gen_random_uuid(), ARRAY(SELECT 'docs.' || n));
RESET ROLE;
DROP OWNED BY plan_asker;
DROP ROLE plan_asker;
