-- Settings that decide whom to trust are the superuser's alone: by SET, set_config, SET LOCAL, a function's
-- own SET, ALTER ROLE, or a value put there before the library is loaded.
SELECT name, setting, context, vartype, coalesce(array_to_string(enumvals, '|'), '') AS words, coalesce(unit, '') AS unit, short_desc
  FROM pg_settings WHERE name LIKE 'tenancy.%' OR name = 'request.jwt.claims' ORDER BY name COLLATE "C";

CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SET ROLE authenticated;
SELECT name, pg_temp.try(format('SET LOCAL %s = %L', name, value)) AS by_set,
       left(pg_temp.try(format('SELECT set_config(%L, %L, true)', name, value)), 5) AS by_function,
       left(pg_temp.try(format('RESET %s', name)), 5) AS by_reset,
       left(pg_temp.try(format('CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET %s = %L AS ''SELECT 1''; SELECT pg_temp.f()', name, value)), 5) AS by_clause
  FROM (VALUES ('tenancy.authority', 'claims'), ('tenancy.auto_assignment', 'off'), ('tenancy.cache_size', '64kB'), ('tenancy.claims_scope', 'session'), ('tenancy.max_owned_tenants', '100'),
               ('tenancy.next_pre_request', 'x.y'), ('tenancy.own_claims_setting', 'off'), ('tenancy.permission_claim', 'p'), ('tenancy.require_exp', 'off'), ('tenancy.self_service', 'on'),
               ('tenancy.sole_tenant', 'off'), ('tenancy.tenant_claim', 't'), ('tenancy.tenant_header', 'x'),
               ('tenancy.tenant_id', 'x'), ('tenancy.allow_tenant_change', 'on'), ('request.jwt.claims', '{}'), ('tenancy.no_such_setting', '1')) v (name, value);
RESET ROLE;
SELECT name, setting FROM pg_settings WHERE name LIKE 'tenancy.%' AND setting IS DISTINCT FROM boot_val;
-- allow_tenant_change is anybody's to set, and does nothing for who does not administer (protect_* tests).
-- Values that are none.
SELECT pg_temp.try('SET LOCAL tenancy.authority = tokens'), pg_temp.try('SET LOCAL tenancy.cache_size = ''1kB'''), pg_temp.try('SET LOCAL tenancy.max_owned_tenants = -1');

-- A backend that has not loaded the library yet: what an ordinary role put there does not count when it is.
\connect -reuse-previous=on "options='-c session_preload_libraries='"
SELECT current_setting('session_preload_libraries') AS preloaded;
SET ROLE authenticated;
SET tenancy.authority = 'claims';
SET tenancy.claims_scope = 'session';
SET tenancy.self_service = on;
SET tenancy.tenant_id = '7e000000-0000-0000-0000-00000000000a';
SET request.jwt.claims = '{"sub":"7e000000-0000-0000-0000-0000000000e1","app_metadata":{"tenant_access":"write"}}';
SELECT tenancy.operator_access(), right(tenancy.current_user_id()::text, 2) AS user_id;
SELECT name, setting FROM pg_settings WHERE name IN ('tenancy.authority', 'tenancy.claims_scope', 'tenancy.self_service', 'tenancy.tenant_id') ORDER BY name;
SELECT finding, left(hint, 60) AS hint FROM tenancy.diagnose() WHERE topic IN ('library', 'authority');
RESET ROLE;
