-- Permissions, roles and the hierarchy. What belongs to the application (permissions, roles with no tenant)
-- is the administrators'; a tenant's own roles are managed by holders of roles.edit in it.

CREATE FUNCTION tenancy.check_role_editor(tenant uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenant IS NOT NULL THEN
        PERFORM tenancy.check_permission(tenant, 'roles.edit');
    ELSIF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to change the application''s roles and permissions' USING ERRCODE = '42501',
            HINT = 'Only administrators may. Name a tenant to work with its own roles.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_role_editor(uuid) IS 'Internal: 42501 unless the caller may edit roles of the tenant, or of the application for NULL';

CREATE FUNCTION tenancy.create_permission(name text, description text DEFAULT NULL, scope text DEFAULT 'tenant') RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_role_editor(NULL);
    IF name IS NULL OR tenancy.is_permission_name(name) IS NOT TRUE OR length(name) > 200 THEN
        RAISE EXCEPTION 'invalid permission name' USING ERRCODE = '22023',
            DETAIL = 'Names look like docs.read: parts of a-z, 0-9 and _, each starting with a letter, joined by dots; at most 200 characters.',
            HINT = 'Wildcards such as docs.* are granted, not registered.';
    END IF;
    IF scope IS NULL OR scope NOT IN ('tenant', 'platform') THEN
        RAISE EXCEPTION 'invalid scope' USING ERRCODE = '22023', HINT = 'Use tenant or platform.';
    END IF;
    INSERT INTO tenancy.permissions (name, description, scope)
    VALUES (create_permission.name, create_permission.description, create_permission.scope)
    ON CONFLICT ON CONSTRAINT permissions_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'permission "%" already exists', name USING ERRCODE = '42710';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_permission(text, text, text) IS 'Registers a permission; scope platform keeps it out of every wildcard''s reach. Errors: 42501 not an administrator; 22023 bad name or scope; 42710 exists';

CREATE FUNCTION tenancy.drop_permission(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holders bigint;
BEGIN
    PERFORM tenancy.check_role_editor(NULL);
    IF NOT EXISTS (SELECT FROM tenancy.permissions p WHERE p.name = drop_permission.name) THEN
        RAISE EXCEPTION 'permission "%" does not exist', name USING ERRCODE = '42704';
    END IF;
    IF cascade THEN
        DELETE FROM tenancy.role_permissions g WHERE g.registered = drop_permission.name;
    END IF;
    SELECT count(*) INTO holders FROM tenancy.role_permissions g WHERE g.registered = drop_permission.name;
    IF holders > 0 THEN
        RAISE EXCEPTION 'permission "%" is granted to % role(s)', name, holders USING ERRCODE = '2BP01',
            HINT = 'Revoke it first, or pass cascade => true.';
    END IF;
    DELETE FROM tenancy.permissions p WHERE p.name = drop_permission.name;
END
$$;
COMMENT ON FUNCTION tenancy.drop_permission(text, boolean) IS 'Drops a permission; with cascade revokes it from all roles. Errors: 42501 not an administrator, or built in; 42704 no such permission; 2BP01 granted to roles';

-- The role of exactly this scope: the tenant's own, or the application's for NULL.
CREATE FUNCTION tenancy.find_own_role(role text, tenant uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_id uuid;
BEGIN
    SELECT r.id INTO role_id FROM tenancy.roles r
     WHERE r.name = find_own_role.role AND r.scope_id = coalesce(find_own_role.tenant, tenancy.nil());
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = '42704',
            DETAIL = CASE WHEN tenant IS NULL THEN 'The application has no role of this name.'
                          ELSE 'The tenant has no role of its own of this name.' END,
            HINT = 'SELECT name, tenant_id FROM tenancy.roles lists the roles you may use.';
    END IF;
    RETURN role_id;
END
$$;
COMMENT ON FUNCTION tenancy.find_own_role(text, uuid) IS 'Internal: id of the role of that name and scope; 42704 if there is none';

CREATE FUNCTION tenancy.grant_permission(role text, permission text, tenant uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holder uuid;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    IF permission IS NULL OR tenancy.is_permission_pattern(permission) IS NOT TRUE THEN
        RAISE EXCEPTION 'invalid permission' USING ERRCODE = '22023',
            DETAIL = 'Granted are registered permissions such as docs.read, wildcards such as docs.*, and all.';
    END IF;
    IF permission <> 'all' AND right(permission, 2) <> '.*'
       AND NOT EXISTS (SELECT FROM tenancy.permissions p WHERE p.name = permission) THEN
        RAISE EXCEPTION 'permission "%" does not exist', permission USING ERRCODE = '42704',
            HINT = 'Register it first with tenancy.create_permission().';
    END IF;
    holder := tenancy.find_own_role(role, tenant);
    INSERT INTO tenancy.role_permissions (role_id, permission) VALUES (holder, grant_permission.permission)
    ON CONFLICT ON CONSTRAINT role_permissions_pkey DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.grant_permission(text, text, uuid) IS 'Grants a permission, a wildcard such as docs.*, or all, to a role of the application (tenant NULL) or of a tenant. Returns whether anything changed. Errors: 42501 without roles.edit, beyond one''s own permissions, or a built-in role; 42704 no such role or permission; 22023 bad pattern';

CREATE FUNCTION tenancy.revoke_permission(role text, permission text, tenant uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holder uuid;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    holder := tenancy.find_own_role(role, tenant);
    DELETE FROM tenancy.role_permissions g WHERE g.role_id = holder AND g.permission = revoke_permission.permission;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_permission(text, text, uuid) IS 'Revokes a permission or wildcard from a role. Returns whether it had been granted. Errors: 42501 without roles.edit, beyond one''s own permissions, or a built-in role; 42704 no such role';

CREATE FUNCTION tenancy.create_role(name text, permissions text[] DEFAULT '{}', tenant uuid DEFAULT NULL, description text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid;
    permission text;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    IF name IS NULL OR name !~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,61}[^[:cntrl:][:space:]])?$' THEN
        RAISE EXCEPTION 'invalid role name' USING ERRCODE = '22023',
            DETAIL = 'A name is 1 to 63 characters, none of them a control character, and no space at the ends.';
    END IF;
    IF permissions IS NULL THEN
        RAISE EXCEPTION 'permissions must not be null' USING ERRCODE = '22023', HINT = 'Pass {} for none.';
    END IF;
    INSERT INTO tenancy.roles (name, tenant_id, description)
    VALUES (create_role.name, create_role.tenant, create_role.description)
    ON CONFLICT ON CONSTRAINT roles_scope_id_name_key DO NOTHING
    RETURNING id INTO new_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" already exists', name USING ERRCODE = '42710';
    END IF;
    FOREACH permission IN ARRAY permissions LOOP
        PERFORM tenancy.grant_permission(name, permission, tenant);
    END LOOP;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.create_role(text, text[], uuid, text) IS 'Creates a role of the application (tenant NULL) or of a tenant, with permissions. Returns its id. Errors: 42501 without roles.edit or beyond one''s own permissions; 42710 name taken, by the application too; 42704 no such permission; 22023 bad name';

CREATE FUNCTION tenancy.drop_role(name text, tenant uuid DEFAULT NULL, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_role uuid;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    old_role := tenancy.find_own_role(name, tenant);
    IF cascade IS NOT TRUE AND (
        EXISTS (SELECT FROM tenancy.member_roles g WHERE g.role_id = old_role)
        OR EXISTS (SELECT FROM tenancy.group_roles g WHERE g.role_id = old_role)
        OR EXISTS (SELECT FROM tenancy.role_inheritance i WHERE old_role IN (i.senior_id, i.junior_id))
        OR EXISTS (SELECT FROM tenancy.database_role_roles d WHERE d.role_id = old_role)
    ) THEN
        RAISE EXCEPTION 'role "%" is in use', name USING ERRCODE = '2BP01',
            DETAIL = 'It is granted to members, groups or database roles, or stands in the hierarchy.',
            HINT = 'Revoke it first, or pass cascade => true.';
    END IF;
    DELETE FROM tenancy.roles r WHERE r.id = old_role;
END
$$;
COMMENT ON FUNCTION tenancy.drop_role(text, uuid, boolean) IS 'Drops a role; with cascade also its grants. Errors: 42501 without roles.edit, for a role beyond one''s own permissions, or built in; 42704 no such role; 2BP01 in use';

CREATE FUNCTION tenancy.add_inheritance(senior text, junior text, tenant uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    senior_role uuid;
    junior_role uuid;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    senior_role := tenancy.find_own_role(senior, tenant);
    junior_role := tenancy.find_role(tenant, junior);
    IF senior_role = junior_role THEN
        RAISE EXCEPTION 'the role would inherit itself' USING ERRCODE = '0LP01';
    END IF;
    IF EXISTS (SELECT FROM tenancy.role_inheritance i WHERE i.senior_id = senior_role AND i.junior_id = junior_role) THEN
        RETURN false;
    END IF;
    INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES (senior_role, junior_role)
    ON CONFLICT ON CONSTRAINT role_inheritance_pkey DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.add_inheritance(text, text, uuid) IS 'Lets the senior role hold all that the junior role holds. The senior is the application''s (tenant NULL) or the tenant''s own; the junior that, or the application''s. Returns whether anything changed. Errors: 0LP01 a cycle; 42501 without roles.edit or beyond one''s own permissions; 42704 no such role';

CREATE FUNCTION tenancy.remove_inheritance(senior text, junior text, tenant uuid DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    senior_role uuid;
    junior_role uuid;
BEGIN
    PERFORM tenancy.check_role_editor(tenant);
    senior_role := tenancy.find_own_role(senior, tenant);
    junior_role := tenancy.find_role(tenant, junior);
    DELETE FROM tenancy.role_inheritance i WHERE i.senior_id = senior_role AND i.junior_id = junior_role;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.remove_inheritance(text, text, uuid) IS 'Ends an inheritance. Returns whether there was one. Errors: 42501 without roles.edit or beyond one''s own permissions; 42704 no such role';
