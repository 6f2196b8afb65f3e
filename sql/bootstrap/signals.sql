-- On every table that is remembered (src/cache/reader.rs, src/usage/quotas.rs): whatever changes it, every backend hears of it. The
-- statement triggers also fire when session_replication_role is replica; a subscription's apply worker fires
-- row triggers only, hence the third.

DO $$
DECLARE
    t text;
    f text;
BEGIN
    FOREACH t IN ARRAY ARRAY['tenants', 'members', 'permissions', 'roles', 'role_permissions', 'role_inheritance',
                             'group_members', 'group_roles', 'member_roles', 'operators', 'active_tenants',
                             'subjects', 'database_role_roles', 'meters', 'metered_tables', 'plans', 'plan_quotas',
                             'tenant_plans', 'quotas'] LOOP
        -- What a role comes to is remembered for all users alike, and apart from who has it.
        f := CASE WHEN t IN ('permissions', 'roles', 'role_permissions', 'role_inheritance') THEN 'signal_role_change'
                  WHEN t IN ('meters', 'metered_tables', 'plans', 'plan_quotas', 'tenant_plans', 'quotas') THEN 'signal_quota_change'
                  ELSE 'signal_change' END;
        EXECUTE format('CREATE TRIGGER signal_before BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION tenancy.%I()', t, f);
        EXECUTE format('CREATE TRIGGER signal_after AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION tenancy.%I()', t, f);
        EXECUTE format('CREATE TRIGGER signal_replicated AFTER INSERT OR UPDATE OR DELETE ON tenancy.%I
                        FOR EACH ROW EXECUTE FUNCTION tenancy.%I()', t, f);
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE ALWAYS TRIGGER signal_before', t);
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE ALWAYS TRIGGER signal_after', t);
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE REPLICA TRIGGER signal_replicated', t);
        EXECUTE format('COMMENT ON TRIGGER signal_before ON tenancy.%I IS %L', t,
                       'Own changes stop counting as cached before the first row changes');
        EXECUTE format('COMMENT ON TRIGGER signal_after ON tenancy.%I IS %L', t,
                       'Tells every backend at commit that grants, or quotas, changed');
        EXECUTE format('COMMENT ON TRIGGER signal_replicated ON tenancy.%I IS %L', t,
                       'The same for rows that logical replication applies');
    END LOOP;
END
$$;
