-- The stored choice of a tenant: the last thing asked but for the only membership (src/session/tenant.rs).

CREATE FUNCTION tenancy.set_active_tenant(tenant uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me uuid := tenancy.current_user_id();
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no identity to choose a tenant for' USING ERRCODE = '28000',
            HINT = 'SELECT * FROM tenancy.diagnose() says what is wrong with the request''s claims.';
    END IF;
    IF tenant IS NULL THEN
        DELETE FROM tenancy.active_tenants a WHERE a.user_id = me;
        RETURN FOUND;
    END IF;
    IF tenancy.is_member(tenant) IS NOT TRUE THEN
        RAISE EXCEPTION 'permission denied: you are no active member of the tenant' USING ERRCODE = '42501',
            HINT = 'SELECT tenancy.tenant_ids() lists the tenants you can work in.';
    END IF;
    INSERT INTO tenancy.active_tenants AS a (user_id, tenant_id) VALUES (me, tenant)
    ON CONFLICT (user_id) DO UPDATE SET tenant_id = excluded.tenant_id WHERE a.tenant_id <> excluded.tenant_id;
    RETURN FOUND;
EXCEPTION WHEN foreign_key_violation THEN
    -- Removed this moment; or with tenancy.authority = claims, by which the token makes him a member.
    RAISE EXCEPTION 'permission denied: you are no active member of the tenant' USING ERRCODE = '42501',
        HINT = 'SELECT tenancy.tenant_ids() lists the tenants you can work in.';
END
$$;
COMMENT ON FUNCTION tenancy.set_active_tenant(uuid) IS 'Stores which tenant the user works in where neither transaction, request nor token chooses one; NULL forgets it. Returns whether it changed. Errors: 28000 no identity; 42501 no active member of the tenant';
