-- Groups: teams inside a tenant, which get roles.

CREATE FUNCTION tenancy.find_group(tenant uuid, group_name text) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    group_id uuid;
BEGIN
    SELECT g.id INTO group_id FROM tenancy.groups g WHERE g.tenant_id = tenant AND g.name = group_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'group "%" does not exist', group_name USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.groups lists the groups you may see.';
    END IF;
    RETURN group_id;
END
$$;
COMMENT ON FUNCTION tenancy.find_group(uuid, text) IS 'Internal: id of the tenant''s group of that name; 42704 if there is none';

CREATE FUNCTION tenancy.create_group(tenant uuid, name text) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'groups.edit');
    IF name IS NULL OR name !~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,61}[^[:cntrl:][:space:]])?$' THEN
        RAISE EXCEPTION 'invalid group name' USING ERRCODE = '22023',
            DETAIL = 'A name is 1 to 63 characters, none of them a control character, and no space at the ends.';
    END IF;
    INSERT INTO tenancy.groups (tenant_id, name) VALUES (tenant, create_group.name)
    ON CONFLICT ON CONSTRAINT groups_tenant_id_name_key DO NOTHING
    RETURNING id INTO new_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'group "%" already exists', name USING ERRCODE = '42710';
    END IF;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.create_group(uuid, text) IS 'Creates a group in a tenant. Returns its id. Errors: 42501 without groups.edit; 42710 exists; 22023 bad name; 42704 no such tenant';

CREATE FUNCTION tenancy.drop_group(tenant uuid, group_name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_group uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'groups.edit');
    old_group := tenancy.find_group(tenant, group_name);
    IF cascade IS NOT TRUE AND EXISTS (SELECT FROM tenancy.group_members m WHERE m.group_id = old_group) THEN
        RAISE EXCEPTION 'group "%" has members', group_name USING ERRCODE = '2BP01',
            HINT = 'Remove them first, or pass cascade => true.';
    END IF;
    DELETE FROM tenancy.groups g WHERE g.id = old_group;
END
$$;
COMMENT ON FUNCTION tenancy.drop_group(uuid, text, boolean) IS 'Drops a group; with cascade also one that has members. Errors: 42501 without groups.edit, or if its roles hold more than the caller; 42704 no such group; 2BP01 it has members';

CREATE FUNCTION tenancy.add_group_member(tenant uuid, group_name text, user_id uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    into_group uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'groups.edit');
    IF add_group_member.user_id IS NULL THEN
        RAISE EXCEPTION 'user_id must not be null' USING ERRCODE = '22023';
    END IF;
    into_group := tenancy.find_group(tenant, group_name);
    PERFORM tenancy.check_member(tenant, user_id);
    BEGIN
        INSERT INTO tenancy.group_members (tenant_id, group_id, user_id)
        VALUES (tenant, into_group, add_group_member.user_id)
        ON CONFLICT ON CONSTRAINT group_members_pkey DO NOTHING;
    EXCEPTION WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'user is not a member of the tenant' USING ERRCODE = '42704',
            HINT = 'Add him first with tenancy.add_member().';
    END;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.add_group_member(uuid, text, uuid) IS 'Adds a member of the tenant to a group. Returns whether anything changed. Errors: 42501 without groups.edit, or if the group''s roles hold more than the caller; 42704 no such group or member; 22023 NULL user';

CREATE FUNCTION tenancy.remove_group_member(tenant uuid, group_name text, user_id uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_group uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'groups.edit');
    from_group := tenancy.find_group(tenant, group_name);
    DELETE FROM tenancy.group_members m
     WHERE m.group_id = from_group AND m.user_id = remove_group_member.user_id;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.remove_group_member(uuid, text, uuid) IS 'Removes a member from a group. Returns whether he was in it. Errors: 42501 without groups.edit, or if the group''s roles hold more than the caller; 42704 no such group';

CREATE FUNCTION tenancy.grant_role_to_group(tenant uuid, group_name text, role text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    to_group uuid;
    new_role uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'roles.assign');
    to_group := tenancy.find_group(tenant, group_name);
    new_role := tenancy.find_role(tenant, role);
    INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES (tenant, to_group, new_role)
    ON CONFLICT ON CONSTRAINT group_roles_pkey DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.grant_role_to_group(uuid, text, text) IS 'Grants a role to all members of a group. Returns whether anything changed. Errors: 42501 without roles.assign or beyond one''s own permissions; 42704 no such group or role';

CREATE FUNCTION tenancy.revoke_role_from_group(tenant uuid, group_name text, role text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_group uuid;
    old_role uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'roles.assign');
    from_group := tenancy.find_group(tenant, group_name);
    old_role := tenancy.find_role(tenant, role);
    DELETE FROM tenancy.group_roles g WHERE g.group_id = from_group AND g.role_id = old_role;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_role_from_group(uuid, text, text) IS 'Revokes a role from a group. Returns whether it had been granted. Errors: 42501 without roles.assign or for a role beyond one''s own permissions; 42704 no such group or role';
