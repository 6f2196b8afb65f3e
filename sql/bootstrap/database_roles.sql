-- Database roles: which of them are application roles, and acting as a user in tests and consoles.

-- The privileges an application role needs, and no more: row-level security and guards decide the rest. One
-- list, so that enable_role and disable_role cannot disagree. No ids are inserted: whoever chooses one would
-- learn from a duplicate key that another tenant uses it.
-- What writes as our owner for administrators is theirs alone: a function of an application role's, which an administrator
-- runs unawares, must not be able to call it in his name.
CREATE FUNCTION tenancy.application_privileges(administers boolean) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT 'USAGE ON SCHEMA tenancy'
    UNION ALL
    SELECT p FROM unnest(ARRAY[
        'SELECT, UPDATE (name, slug, metadata, status, key, email_domains, email_pattern, default_roles) ON tenancy.tenants',
        'SELECT, INSERT (tenant_id, user_id, status), UPDATE (status), DELETE ON tenancy.members',
        'SELECT ON tenancy.permissions',
        'SELECT, INSERT (tenant_id, name, description), UPDATE (name, description), DELETE ON tenancy.roles',
        'SELECT, INSERT (role_id, permission), DELETE ON tenancy.role_permissions',
        'SELECT, INSERT (senior_id, junior_id), DELETE ON tenancy.role_inheritance',
        'SELECT, INSERT (tenant_id, name), UPDATE (name), DELETE ON tenancy.groups',
        'SELECT, INSERT (tenant_id, group_id, user_id), DELETE ON tenancy.group_members',
        'SELECT, INSERT (tenant_id, group_id, role_id), DELETE ON tenancy.group_roles',
        'SELECT, INSERT (tenant_id, user_id, role_id, expires_at), UPDATE (expires_at), DELETE ON tenancy.member_roles',
        'SELECT, INSERT (user_id, access, expires_at, reason), UPDATE (access, expires_at, reason), DELETE ON tenancy.operators',
        'SELECT, UPDATE (first_name, last_name, display_name, salutation, title, avatar_url, website_url, time_zone, language, birthday_date, phone) ON tenancy.user_profiles',
        'SELECT ON tenancy.colleagues',
        'SELECT ON tenancy.database_role_roles',
        'SELECT, INSERT (user_id, tenant_id), UPDATE (tenant_id), DELETE ON tenancy.active_tenants',
        'SELECT, INSERT (name, unit, kind, period, description), UPDATE (period, description), DELETE ON tenancy.meters',
        'SELECT ON tenancy.usage',
        'SELECT, DELETE ON tenancy.usage_periods',
        'SELECT, INSERT (name, description, is_default), UPDATE (description, is_default), DELETE ON tenancy.plans',
        'SELECT, INSERT (plan, meter, period, soft, hard), UPDATE (soft, hard), DELETE ON tenancy.plan_quotas',
        'SELECT, INSERT (tenant_id, plan, expires_at), UPDATE (plan, expires_at), DELETE ON tenancy.tenant_plans',
        'SELECT, INSERT (tenant_id, meter, period, soft, hard, expires_at), UPDATE (soft, hard, expires_at), DELETE ON tenancy.quotas',
        'SELECT ON tenancy.quota_events',
        'SELECT ON tenancy.usage_current',
        'SELECT ON tenancy.usage_changes',
        'SELECT ON tenancy.usage_history',
        'SELECT ON tenancy.effective_quotas',
        'SELECT ON tenancy.quota_status',
        'SELECT ON tenancy.prometheus'
    ]) p
    UNION ALL
    SELECT format('EXECUTE ON FUNCTION tenancy.%I(%s)', f.proname, pg_get_function_identity_arguments(f.oid))
      FROM pg_proc f
     WHERE f.pronamespace = 'tenancy'::regnamespace
       AND f.prorettype <> 'trigger'::regtype AND f.prorettype <> 'event_trigger'::regtype
       AND f.proname <> ALL (ARRAY['enable_role', 'disable_role', 'application_privileges', 'act_as',
                                   'protect_table', 'protect_table_sql', 'unprotect_table'])
       AND coalesce(obj_description(f.oid, 'pg_proc'), '') NOT LIKE ALL ('{Administrators only:%,For trusted callers:%}')
       AND (administers OR coalesce(obj_description(f.oid, 'pg_proc'), '') NOT LIKE 'For administrators:%');
    END;
COMMENT ON FUNCTION tenancy.application_privileges(boolean) IS 'Administrators only: what enable_role grants and disable_role revokes, as the middle of a GRANT; with true also what administrators may call';

CREATE FUNCTION tenancy.enable_role(db_role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    privilege text;
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    FOR privilege IN SELECT tenancy.application_privileges((SELECT r.rolbypassrls OR r.rolsuper FROM pg_roles r WHERE r.rolname = db_role)) LOOP
        EXECUTE format('GRANT %s TO %I', privilege, db_role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.enable_role(name) IS 'Makes a database role an application role: grants exactly the privileges that the functions and tables need, to one with BYPASSRLS also those of administrators. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such role; 22023 PUBLIC';

CREATE FUNCTION tenancy.disable_role(db_role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    privilege text;
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    FOR privilege IN SELECT tenancy.application_privileges(true) LOOP
        EXECUTE format('REVOKE %s FROM %I', privilege, db_role);
    END LOOP;
    -- Trusted callers have this one from trust_caller, and an administrator's privileges went as well.
    IF tenancy.is_trusted_caller(db_role) THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION tenancy.map_subject(text) TO %I', db_role);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.disable_role(name) IS 'Undoes enable_role. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such role; 22023 PUBLIC';

CREATE FUNCTION tenancy.check_database_role(db_role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = 'tenancy.tenants'::regclass);
BEGIN
    -- GRANT by anybody else, BYPASSRLS included, only warns that it granted nothing.
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied to change application roles' USING ERRCODE = '42501',
            HINT = format('Superusers and members of role %I, which owns the tables, may.', pg_get_userbyid(owner));
    END IF;
    -- Whoever changes privileges waits here for whoever does: two GRANTs on one object fail (XX000). Nobody else locks this table,
    -- and a lock of a table, unlike an advisory one, has the server read what the other did.
    LOCK TABLE tenancy.cache_signal IN SHARE ROW EXCLUSIVE MODE;
    IF db_role IS NULL OR db_role = 'public' THEN
        RAISE EXCEPTION 'invalid database role' USING ERRCODE = '22023',
            HINT = 'Name the role that your application connects as or switches to, such as authenticated.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = db_role) THEN
        RAISE EXCEPTION 'database role "%" does not exist', db_role USING ERRCODE = '42704',
            HINT = format('CREATE ROLE %I NOLOGIN;', db_role);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_database_role(name) IS 'Administrators only: 42501 for those who cannot grant on the tables, 42704 or 22023 for a role that cannot be an application role; until the transaction ends, others wait here';

CREATE FUNCTION tenancy.act_as(user_id uuid, tenant uuid DEFAULT NULL, db_role text DEFAULT 'authenticated', claims jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    token jsonb;
    sub text := user_id;
BEGIN
    IF claims IS NULL OR jsonb_typeof(claims) <> 'object' THEN
        RAISE EXCEPTION 'claims must be a JSON object' USING ERRCODE = '22023';
    END IF;
    -- Where subjects are mapped, a uuid is nobody's by itself.
    IF user_id IS NOT NULL AND current_setting('tenancy.subject_format') = 'mapped' THEN
        SELECT min(s.subject) INTO sub FROM tenancy.subjects s WHERE s.user_id = act_as.user_id;
        IF sub IS NULL THEN
            RAISE EXCEPTION 'user has no subject' USING ERRCODE = '42704',
                HINT = 'tenancy.subject_format is mapped: tenancy.map_subject() makes users.';
        END IF;
    END IF;
    token := jsonb_strip_nulls(jsonb_build_object('sub', sub, 'role', db_role)) || claims;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = db_role) THEN
        RAISE EXCEPTION 'database role "%" does not exist', db_role USING ERRCODE = '42704',
            HINT = 'Pass db_role => ''...'', or create it and call tenancy.enable_role().';
    END IF;
    PERFORM set_config('request.jwt.claims', token::text, true);
    PERFORM set_config('tenancy.tenant_id', coalesce(tenant::text, ''), true);
    PERFORM set_config('role', db_role, true);
END
$$;
COMMENT ON FUNCTION tenancy.act_as(uuid, uuid, text, jsonb) IS 'For tests and consoles: sets claims, tenant and database role until the transaction ends, with the caller''s own rights. Errors: 42704 no such role; 42501 not a member of it; 22023 claims are no object';
