-- Last: nothing is executable by PUBLIC unless a policy needs it, and nothing is granted to anybody by default
-- privileges that the database's owner may have set (Supabase does).

DO $$
DECLARE
    g record;
    f regprocedure;
    -- Policies run these for whoever queries; they answer only about the caller.
    policy_functions text[] := ARRAY['current_user_id', 'current_tenant_id', 'current_tenant_key', 'tenant_ids',
        'tenant_ids_with', 'tenant_ids_with_any', 'tenant_ids_with_all', 'tenant_ids_or_all', 'active_tenant_or_all', 'is_member', 'is_member_or_operator', 'is_active_or_operator', 'can_see_tenant', 'has_role', 'has_tenant_role', 'has_permission', 'has_permission_by_name',
        'has_any_permission', 'has_all_permissions', 'operator_access', 'claims', 'claim', 'aal', 'current_actor',
        'require_permission', 'diagnose', 'is_administrator', 'keep_tenant', 'count_rows', 'copy_tenant', 'storage_tenant',
        'check_quota', 'remaining'];
BEGIN
    FOR g IN SELECT DISTINCT p.oid::regprocedure AS name, a.grantee
               FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
              WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee <> p.proowner LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %s', g.name,
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END);
    END LOOP;
    FOR g IN SELECT DISTINCT c.oid::regclass AS name, a.grantee
               FROM pg_class c, aclexplode(c.relacl) a
              WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee <> c.relowner LOOP
        EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', g.name,
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END);
    END LOOP;
    FOR g IN SELECT DISTINCT a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a
              WHERE n.nspname = 'tenancy' AND a.grantee <> n.nspowner LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA tenancy FROM %s',
                       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END);
    END LOOP;
    FOR f IN SELECT p.oid::regprocedure FROM pg_proc p
              WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname = ANY (policy_functions) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
    END LOOP;
END
$$;
