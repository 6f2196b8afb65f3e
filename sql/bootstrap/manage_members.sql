-- Members and their direct role grants. Each says whether it changed anything and does not fail when repeated.

-- The role of that name usable in the tenant: the application's, or the tenant's own.
CREATE FUNCTION tenancy.find_role(tenant uuid, role text) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_id uuid;
BEGIN
    SELECT r.id INTO role_id FROM tenancy.roles r
     WHERE r.name = find_role.role AND r.scope_id IN (tenancy.nil(), coalesce(find_role.tenant, tenancy.nil()));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" does not exist', role USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.roles lists the roles you may use.';
    END IF;
    RETURN role_id;
END
$$;
COMMENT ON FUNCTION tenancy.find_role(uuid, text) IS 'Internal: id of the application''s or the tenant''s own role of that name; 42704 if there is none';

CREATE FUNCTION tenancy.check_member(tenant uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A foreign key decides in the end; this only says it better to those who may see the members.
    IF NOT EXISTS (SELECT FROM tenancy.members m
                    WHERE m.tenant_id = check_member.tenant AND m.user_id = check_member.user_id)
       AND (tenancy.is_administrator() OR tenancy.has_any_permission(tenant, '{members.read,members.assign}')) THEN
        RAISE EXCEPTION 'user is not a member of the tenant' USING ERRCODE = '42704',
            HINT = 'Add him first with tenancy.add_member().';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_member(uuid, uuid) IS 'Internal: 42704 if the user is no member, as far as the caller may know';

CREATE FUNCTION tenancy.grant_role(tenant uuid, user_id uuid, role text, expires_at timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    new_role uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'roles.assign');
    IF grant_role.user_id IS NULL OR role IS NULL THEN
        RAISE EXCEPTION 'user_id and role must not be null' USING ERRCODE = '22023';
    END IF;
    IF grant_role.expires_at <= now() THEN
        RAISE EXCEPTION 'expires_at lies in the past' USING ERRCODE = '22023',
            HINT = 'Use tenancy.revoke_role() to end a grant now.';
    END IF;
    new_role := tenancy.find_role(tenant, role);
    PERFORM tenancy.check_member(tenant, grant_role.user_id);
    IF NOT tenancy.is_administrator() AND tenancy.can_grant_role(tenant, new_role) IS NOT TRUE THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    BEGIN
        INSERT INTO tenancy.member_roles AS g (tenant_id, user_id, role_id, expires_at)
        VALUES (tenant, grant_role.user_id, new_role, grant_role.expires_at)
        ON CONFLICT (tenant_id, user_id, role_id) DO UPDATE SET expires_at = excluded.expires_at
         WHERE g.expires_at IS DISTINCT FROM excluded.expires_at;
    EXCEPTION WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'user is not a member of the tenant' USING ERRCODE = '42704',
            HINT = 'Add him first with tenancy.add_member().';
    END;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.grant_role(uuid, uuid, text, timestamptz) IS 'Grants a role to a member, until expires_at if given; granting again replaces expires_at. Returns whether anything changed. Errors: 42501 without roles.assign or beyond one''s own permissions; 42704 no such role or member; 22023 bad argument';

CREATE FUNCTION tenancy.revoke_role(tenant uuid, user_id uuid, role text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_role uuid;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'roles.assign');
    old_role := tenancy.find_role(tenant, role);
    DELETE FROM tenancy.member_roles g
     WHERE g.tenant_id = tenant AND g.user_id = revoke_role.user_id AND g.role_id = old_role;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_role(uuid, uuid, text) IS 'Revokes a role granted directly. Returns whether it had been granted. Errors: 42501 without roles.assign or for a role beyond one''s own permissions; 42704 no such role';

CREATE FUNCTION tenancy.add_member(tenant uuid, user_id uuid, roles text[] DEFAULT '{}') RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role text;
    changed boolean;
BEGIN
    PERFORM tenancy.check_permission(tenant, 'members.assign');
    IF user_id IS NULL OR user_id = tenancy.nil() OR roles IS NULL THEN
        RAISE EXCEPTION 'user_id must be a user''s id and roles not null' USING ERRCODE = '22023';
    END IF;
    INSERT INTO tenancy.members (tenant_id, user_id) VALUES (add_member.tenant, add_member.user_id)
    ON CONFLICT ON CONSTRAINT members_pkey DO NOTHING;
    changed := FOUND;
    FOREACH role IN ARRAY roles LOOP
        -- Not `grant_role(…) OR changed`: planned with changed as a constant, the call would be left out.
        IF tenancy.grant_role(tenant, user_id, role) THEN
            changed := true;
        END IF;
    END LOOP;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.add_member(uuid, uuid, text[]) IS 'Makes a user a member and grants him roles. Returns whether anything changed. Errors: 42501 without members.assign, or for the roles as grant_role; 42704 no such tenant or role';

CREATE FUNCTION tenancy.remove_member(tenant uuid, user_id uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_permission(tenant, 'members.assign');
    DELETE FROM tenancy.members m WHERE m.tenant_id = tenant AND m.user_id = remove_member.user_id;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.remove_member(uuid, uuid) IS 'Removes a member with his role grants and group memberships. Returns whether he was one. Errors: 42501 without members.assign; 42704 no such tenant';

CREATE FUNCTION tenancy.set_member_status(tenant uuid, user_id uuid, status text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_permission(tenant, 'members.assign');
    IF status IS NULL OR status NOT IN ('active', 'suspended') THEN
        RAISE EXCEPTION 'invalid member status' USING ERRCODE = '22023', HINT = 'Use active or suspended.';
    END IF;
    PERFORM tenancy.check_member(tenant, user_id);
    UPDATE tenancy.members m SET status = set_member_status.status
     WHERE m.tenant_id = tenant AND m.user_id = set_member_status.user_id
       AND m.status <> set_member_status.status;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_member_status(uuid, uuid, text) IS 'Suspends a member, who keeps his grants but holds none, or lets him in again. Returns whether it changed. Errors: 22023 bad status; 42501 without members.assign; 42704 no such member';

-- Members who hold more than the caller are beyond his reach by any route.
CREATE FUNCTION tenancy.guard_member() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() AND OLD.user_id IS DISTINCT FROM tenancy.current_user_id()
       AND NOT tenancy.outranks(OLD.tenant_id, OLD.user_id) THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_member() IS 'Trigger function: nobody suspends or removes a member who holds more than he does';

-- Sees the other's grants whatever the caller may read, hence DEFINER; says only yes or no, and only to those
-- who may change members at all.
CREATE FUNCTION tenancy.outranks(tenant uuid, other uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT tenancy.has_permission(outranks.tenant, 'members.assign') AND NOT EXISTS (
        SELECT FROM (
            SELECT g.role_id FROM tenancy.member_roles g
             WHERE g.tenant_id = outranks.tenant AND g.user_id = outranks.other
               AND (g.expires_at IS NULL OR g.expires_at > statement_timestamp())
            UNION
            SELECT r.role_id FROM tenancy.group_members m JOIN tenancy.group_roles r ON r.group_id = m.group_id
             WHERE m.tenant_id = outranks.tenant AND m.user_id = outranks.other
        ) held
        WHERE tenancy.can_grant_role(outranks.tenant, held.role_id) IS NOT TRUE
    );
    END;
REVOKE ALL ON FUNCTION tenancy.outranks(uuid, uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.outranks(uuid, uuid) IS 'Internal: whether the caller, holding members.assign, holds all that the other member holds in the tenant';

CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON tenancy.members
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_member();
COMMENT ON TRIGGER guard ON tenancy.members IS 'Nobody suspends or removes a member who holds more than he does';
