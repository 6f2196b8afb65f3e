-- Threat 26, from the catalog: who may execute, read and write what; what runs with the owner's rights; what is
-- marked how. A new function or table has to be thought about here.
-- Functions executable by PUBLIC: those that policies run, which answer only about the caller.
SELECT p.oid::regprocedure AS public_function, CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
       CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel, p.proisstrict AS strict, p.proleakproof AS leakproof, p.prosecdef AS definer
  FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
   AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
   AND p.proname NOT IN ('keep_tenant', 'copy_tenant') -- trigger functions that protect_table puts on tables: protect_* tests
 ORDER BY p.oid::regprocedure::text COLLATE "C";
-- Functions that run as the owner: each with a fixed search_path, none executable by PUBLIC.
SELECT p.oid::regprocedure AS definer FROM pg_proc p
 WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT p.oid::regprocedure AS careless_definer FROM pg_proc p
 WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef
   AND (ARRAY(SELECT c FROM unnest(p.proconfig) c WHERE c NOT IN ('row_security=off', 'jit=off') AND c NOT LIKE 'lock_timeout=%') IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
        OR p.proname <> 'current_tenant_key' AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0));
-- Everything written in SQL or plpgsql has a fixed search_path, the owner's rights or not.
SELECT p.oid::regprocedure AS without_search_path FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'tenancy'::regnamespace AND l.lanname IN ('sql', 'plpgsql') AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
   -- what pre_request calls next, and the policies that preview_table evaluates, run under the caller's: tests of those names
   AND p.proname NOT IN ('nil', 'pre_request', 'preview_table');
SELECT count(*) AS other_leakproof FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proleakproof
   AND p.oid::regprocedure::text <> 'tenancy.storage_tenant(text)'
   AND NOT (p.proname IN ('is_member', 'has_permission', 'has_any_permission', 'has_all_permissions', 'is_member_or_operator', 'is_active_or_operator')
            AND p.proargtypes[0] IN ('uuid'::regtype, 'bigint'::regtype, 'integer'::regtype, 'smallint'::regtype, 'text'::regtype)
            AND oidvectortypes(p.proargtypes) <> 'text' OR oidvectortypes(p.proargtypes) = 'text' AND p.proname = 'is_member');

-- Nobody but the owner and application roles has anything.
SELECT DISTINCT r.rolname FROM pg_class c, aclexplode(c.relacl) a, pg_roles r WHERE c.relnamespace = 'tenancy'::regnamespace AND r.oid = a.grantee AND a.grantee <> c.relowner ORDER BY 1;
SELECT a.privilege_type, count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'tenancy' AND a.grantee = 0 GROUP BY 1;
-- What an application role may do with each table, and with which of its columns.
SELECT c.relname, string_agg(DISTINCT t.p, ', ' ORDER BY t.p) AS whole_table
  FROM pg_class c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) t(p)
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND has_table_privilege('authenticated', c.oid, t.p)
 GROUP BY c.relname ORDER BY c.relname COLLATE "C";
SELECT c.relname, t.p AS privilege, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) t(p)
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND has_column_privilege('authenticated', c.oid, a.attnum, t.p)
 GROUP BY c.relname, t.p ORDER BY c.relname COLLATE "C", t.p;
-- anon has the same, and both without the right to pass it on.
SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace
   AND (SELECT array_agg((a.privilege_type, a.is_grantable) ORDER BY a.privilege_type) FROM aclexplode(c.relacl) a WHERE a.grantee = 'anon'::regrole)
       IS DISTINCT FROM (SELECT array_agg((a.privilege_type, false) ORDER BY a.privilege_type) FROM aclexplode(c.relacl) a WHERE a.grantee = 'authenticated'::regrole);
-- Functions that application roles may not execute: the administrators', and trigger functions.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace AND NOT has_function_privilege('authenticated', p.oid, 'EXECUTE')
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND p.proname !~ '^(un)?protect|^protection' AND coalesce(obj_description(p.oid, 'pg_proc'), '') NOT LIKE 'Administrators only:%' ORDER BY p.proname COLLATE "C";

-- enable_role grants exactly that; twice is as good as once; disable_role leaves nothing.
CREATE ROLE pv_role NOLOGIN;
CREATE FUNCTION pg_temp.privileges(r name) RETURNS TABLE (what text, count bigint) LANGUAGE sql STABLE AS $$
    SELECT 'schema', count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'tenancy' AND a.grantee = r::regrole
    UNION ALL SELECT 'tables', count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'tenancy'::regnamespace AND a.grantee = r::regrole
    UNION ALL SELECT 'columns', count(*) FROM pg_attribute c, aclexplode(c.attacl) a WHERE a.grantee = r::regrole
    UNION ALL SELECT 'functions', count(*) FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee = r::regrole
    UNION ALL SELECT 'all else', count(*) FROM pg_shdepend d WHERE d.refobjid = r::regrole AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND (d.classid, d.deptype) NOT IN (('pg_class'::regclass, 'a'), ('pg_proc'::regclass, 'a'), ('pg_namespace'::regclass, 'a'))
$$;
SELECT * FROM pg_temp.privileges('pv_role') WHERE count > 0;
SELECT tenancy.enable_role('pv_role');
SELECT n.what, n.count = a.count AS as_authenticated FROM pg_temp.privileges('pv_role') n JOIN pg_temp.privileges('authenticated') a USING (what);
SELECT tenancy.enable_role('pv_role');
SELECT n.what, n.count = a.count AS as_authenticated FROM pg_temp.privileges('pv_role') n JOIN pg_temp.privileges('authenticated') a USING (what);
SELECT tenancy.disable_role('pv_role');
SELECT * FROM pg_temp.privileges('pv_role') WHERE count > 0;
SELECT tenancy.disable_role('pv_role');
-- Who may, and for whom. A BYPASSRLS role administers, but cannot grant on tables that are not its own.
\set SHOW_CONTEXT never
SELECT tenancy.enable_role('no such role');
SELECT tenancy.enable_role('public');
SELECT tenancy.enable_role(NULL);
SELECT tenancy.disable_role('no such role');
ALTER ROLE pv_role BYPASSRLS;
SELECT tenancy.enable_role('pv_role');
GRANT EXECUTE ON FUNCTION tenancy.enable_role(name), tenancy.check_database_role(name), tenancy.application_privileges(boolean) TO pv_role;
CREATE FUNCTION pg_temp.as_pv_role() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_hint text;
BEGIN
    PERFORM set_config('role', 'pv_role', true);
    PERFORM tenancy.enable_role('anon');
    RETURN 'granted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || SQLERRM || ' / ' || replace(found_hint, (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass), '<owner>');
END
$$;
SELECT pg_temp.as_pv_role();
DROP OWNED BY pv_role;
DROP ROLE pv_role;

-- The tables: row-level security on all, forced on none (the owner must restore); all dumped but the signal.
SELECT c.relname, c.relrowsecurity AS rls, c.relforcerowsecurity AS forced, coalesce(e.condition, 'not dumped') AS dumped
  FROM pg_class c LEFT JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition FROM pg_extension WHERE extname = 'pg_tenancy') e ON e.oid = c.oid
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C";
-- Every object of the extension says what it is.
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
 WHERE x.extname = 'pg_tenancy' AND d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_event_trigger'::regclass)
   AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND (t.typrelid <> 0 OR t.typelem <> 0)))
   AND coalesce(obj_description(d.objid, d.classid::regclass::name), '') = '' ORDER BY 1;
SELECT c.relname, a.attname AS without_comment FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, 2;
SELECT 'trigger', c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'tenancy'::regnamespace AND NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL
UNION ALL SELECT 'policy', c.relname, p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'tenancy'::regnamespace AND obj_description(p.oid, 'pg_policy') IS NULL;
SELECT obj_description('tenancy'::regnamespace, 'pg_namespace') IS NOT NULL AS schema_has_one, obj_description(oid, 'pg_extension') IS NOT NULL AS extension_has_one FROM pg_extension WHERE extname = 'pg_tenancy';
-- What an administrator of functions can rely on: superuser to install, fixed schema.
SELECT superuser, trusted, relocatable, schema FROM pg_available_extension_versions WHERE name = 'pg_tenancy';
