-- Row triggers: rules that hold for functions and plain DML alike. They run as whoever changes the row, so
-- that is_administrator() answers for him; cascades run as the owner, who administers.

CREATE FUNCTION tenancy.nil() RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN '00000000-0000-0000-0000-000000000000'::uuid;
COMMENT ON FUNCTION tenancy.nil() IS 'The nil uuid: the scope of the application''s roles';

-- The scope of a role the caller may see, else 42704: of a stranger's role nothing is told, not even this.
CREATE FUNCTION tenancy.role_scope(role_id uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_scope uuid;
BEGIN
    SELECT r.scope_id INTO found_scope FROM tenancy.roles r WHERE r.id = role_scope.role_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role does not exist' USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.roles lists the roles you may use.';
    END IF;
    RETURN found_scope;
END
$$;
COMMENT ON FUNCTION tenancy.role_scope(uuid) IS 'Internal: scope_id of a role the caller may see; 42704 otherwise';

CREATE FUNCTION tenancy.refuse_grant() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'permission denied: the role holds permissions that you do not hold in this tenant' USING
        ERRCODE = '42501',
        HINT = 'Nobody can hand out, or take away, more than he holds himself. Ask an owner of the tenant.';
END
$$;
COMMENT ON FUNCTION tenancy.refuse_grant() IS 'Internal: raises 42501 for a grant beyond the grantor''s own permissions';

CREATE FUNCTION tenancy.guard_member_role() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.role_id IS DISTINCT FROM OLD.role_id THEN
        NEW.role_scope := tenancy.role_scope(NEW.role_id);
    END IF;
    IF NOT tenancy.is_administrator() THEN
        IF TG_OP <> 'INSERT' AND tenancy.can_grant_role(OLD.tenant_id, OLD.role_id) IS NOT TRUE
           OR TG_OP <> 'DELETE' AND tenancy.can_grant_role(NEW.tenant_id, NEW.role_id) IS NOT TRUE THEN
            PERFORM tenancy.refuse_grant();
        END IF;
        IF TG_OP <> 'DELETE' THEN
            NEW.granted_by := tenancy.current_user_id();
            NEW.granted_at := now();
        END IF;
    ELSIF TG_OP = 'INSERT' AND NEW.granted_by IS NULL THEN
        NEW.granted_by := tenancy.current_user_id();
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_member_role() IS 'Trigger function: nobody grants or revokes a role that holds more than he does';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.member_roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_member_role();

-- A stranger's group would otherwise show itself by a duplicate key before the foreign key refuses it.
CREATE FUNCTION tenancy.check_group(tenant uuid, group_id uuid) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenancy.groups g
                    WHERE g.tenant_id = check_group.tenant AND g.id = check_group.group_id) THEN
        RAISE EXCEPTION 'group does not exist' USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.groups lists the groups you may see.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_group(uuid, uuid) IS 'Internal: 42704 unless the tenant has this group and the caller may see it';

CREATE FUNCTION tenancy.guard_group_role() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT tenancy.is_administrator() AND tenancy.can_grant_role(OLD.tenant_id, OLD.role_id) IS NOT TRUE THEN
            PERFORM tenancy.refuse_grant();
        END IF;
        RETURN OLD;
    END IF;
    NEW.role_scope := tenancy.role_scope(NEW.role_id);
    IF NOT tenancy.is_administrator() THEN
        PERFORM tenancy.check_group(NEW.tenant_id, NEW.group_id);
        IF tenancy.can_grant_role(NEW.tenant_id, NEW.role_id) IS NOT TRUE THEN
            PERFORM tenancy.refuse_grant();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_group_role() IS 'Trigger function: nobody gives a group, or takes from it, a role that holds more than he does';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.group_roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_group_role();

-- Whether the caller holds all that the group's roles hold.
CREATE FUNCTION tenancy.covers_group(tenant uuid, group_id uuid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT NOT EXISTS (
        SELECT FROM tenancy.group_roles g
         WHERE g.group_id = covers_group.group_id
           AND tenancy.can_grant_role(covers_group.tenant, g.role_id) IS NOT TRUE
    );
    END;
COMMENT ON FUNCTION tenancy.covers_group(uuid, uuid) IS 'Internal: whether the caller holds, in the tenant, all that the group''s roles hold';

CREATE FUNCTION tenancy.guard_group_member() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT tenancy.is_administrator() AND NOT tenancy.covers_group(OLD.tenant_id, OLD.group_id) THEN
            PERFORM tenancy.refuse_grant();
        END IF;
        RETURN OLD;
    END IF;
    IF NOT tenancy.is_administrator() THEN
        PERFORM tenancy.check_group(NEW.tenant_id, NEW.group_id);
        IF NOT tenancy.covers_group(NEW.tenant_id, NEW.group_id) THEN
            PERFORM tenancy.refuse_grant();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_group_member() IS 'Trigger function: nobody adds members to, or removes them from, a group whose roles hold more than he does';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.group_members
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_group_member();

CREATE FUNCTION tenancy.guard_group() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() AND NOT tenancy.covers_group(OLD.tenant_id, OLD.id) THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION tenancy.guard_group() IS 'Trigger function: nobody drops a group whose roles hold more than he does';
CREATE TRIGGER guard BEFORE DELETE ON tenancy.groups
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_group();

CREATE FUNCTION tenancy.guard_role_permission() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holder record;
BEGIN
    SELECT r.builtin, r.tenant_id INTO holder FROM tenancy.roles r
     WHERE r.id = CASE TG_OP WHEN 'DELETE' THEN OLD.role_id ELSE NEW.role_id END;
    IF holder.builtin THEN
        RAISE EXCEPTION 'permission denied: a built-in role cannot be changed' USING ERRCODE = '42501',
            HINT = 'Create a role of your own with tenancy.create_role().';
    END IF;
    IF NOT tenancy.is_administrator()
       AND (TG_OP <> 'INSERT' AND tenancy.can_grant_permission(holder.tenant_id, OLD.permission) IS NOT TRUE
            OR TG_OP <> 'DELETE' AND tenancy.can_grant_permission(holder.tenant_id, NEW.permission) IS NOT TRUE) THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_role_permission() IS 'Trigger function: built-in roles stay as they are, and nobody gives a role, or takes from it, a permission that he does not hold';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.role_permissions
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_role_permission();

CREATE FUNCTION tenancy.guard_role_inheritance() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT tenancy.is_administrator() AND tenancy.can_grant_role(OLD.senior_scope, OLD.junior_id) IS NOT TRUE THEN
            PERFORM tenancy.refuse_grant();
        END IF;
        RETURN OLD;
    END IF;
    NEW.senior_scope := tenancy.role_scope(NEW.senior_id);
    NEW.junior_scope := tenancy.role_scope(NEW.junior_id);
    -- Two sessions could close a cycle between them: one at a time, and each sees what the last committed.
    PERFORM pg_advisory_xact_lock(hashtextextended('tenancy.role_inheritance', 0));
    IF tenancy.would_create_cycle(NEW.senior_id, NEW.junior_id) THEN
        RAISE EXCEPTION 'the role would inherit itself' USING ERRCODE = '0LP01',
            DETAIL = 'The junior role already inherits the senior one, directly or through others.';
    END IF;
    IF EXISTS (SELECT FROM tenancy.roles r WHERE r.id = NEW.senior_id AND r.builtin) THEN
        RAISE EXCEPTION 'permission denied: a built-in role cannot be changed' USING ERRCODE = '42501',
            HINT = 'Create a role of your own with tenancy.create_role().';
    END IF;
    IF NOT tenancy.is_administrator() AND tenancy.can_grant_role(NEW.senior_scope, NEW.junior_id) IS NOT TRUE THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_role_inheritance() IS 'Trigger function: no cycles, and nobody lets a role inherit, or ends its inheriting, more than he holds';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.role_inheritance
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_role_inheritance();

-- Fires before guard_name, which would tell anybody how many tenants use a name.
CREATE FUNCTION tenancy.guard_role() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.tenant_id IS NULL THEN
            PERFORM tenancy.check_role_editor(NULL);
        END IF;
        RETURN NEW;
    END IF;
    IF NOT tenancy.is_administrator() AND tenancy.can_grant_role(OLD.tenant_id, OLD.id) IS NOT TRUE THEN
        PERFORM tenancy.refuse_grant();
    END IF;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION tenancy.guard_role() IS 'Trigger function: roles of the application are the administrators'', and nobody drops a role that holds more than he does';
CREATE TRIGGER guard BEFORE INSERT OR DELETE ON tenancy.roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_role();

-- A tenant's own role must never be mistaken for the application's. Sees all tenants' roles, hence DEFINER.
CREATE FUNCTION tenancy.guard_role_name() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holders bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('tenancy.roles ' || NEW.name, 0));
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT count(*) INTO holders FROM tenancy.roles r
         WHERE r.name = NEW.name AND (r.tenant_id IS NULL) = (NEW.tenant_id IS NOT NULL);
    ELSE
        -- The snapshot may be older than the lock, and blind to what its last holder committed.
        holders := tenancy.count_roles_named(NEW.name, NEW.tenant_id IS NOT NULL);
    END IF;
    IF holders > 0 AND NEW.tenant_id IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" is a role of the application', NEW.name USING ERRCODE = '42710',
            HINT = 'Choose another name for the tenant''s own role.';
    ELSIF holders > 0 THEN
        RAISE EXCEPTION 'role "%" is the name of a role of % tenant(s)', NEW.name, holders USING ERRCODE = '42710',
            HINT = 'Choose another name, or have the tenants rename their roles.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION tenancy.guard_role_name() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.guard_role_name() IS 'Trigger function: no tenant''s own role has the name of an application role';
CREATE TRIGGER guard_name BEFORE INSERT OR UPDATE OF name, tenant_id ON tenancy.roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_role_name();

CREATE FUNCTION tenancy.guard_builtin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.builtin OR TG_OP <> 'DELETE' AND NEW.builtin THEN
        RAISE EXCEPTION 'permission denied: "%" is built in', CASE TG_OP WHEN 'INSERT' THEN NEW.name ELSE OLD.name END USING
            ERRCODE = '42501',
            DETAIL = 'What the extension ships cannot be edited, dropped or added to.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_builtin() IS 'Trigger function: rows shipped with the extension are immutable';
CREATE TRIGGER guard_builtin BEFORE INSERT OR UPDATE OR DELETE ON tenancy.roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_builtin();
CREATE TRIGGER guard_builtin BEFORE INSERT OR UPDATE OR DELETE ON tenancy.permissions
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_builtin();

-- A role keeps its tenant and a tenant its id: grants refer to them.
CREATE FUNCTION tenancy.guard_identity() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the key of a row in tenancy.% cannot be changed', TG_TABLE_NAME USING
        ERRCODE = '23514', CONSTRAINT = 'immutable_key', SCHEMA = 'tenancy', TABLE = TG_TABLE_NAME;
END
$$;
COMMENT ON FUNCTION tenancy.guard_identity() IS 'Trigger function: refuses to change a key that grants refer to';
CREATE TRIGGER guard_identity BEFORE UPDATE ON tenancy.roles FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.tenant_id IS DISTINCT FROM NEW.tenant_id)
    EXECUTE FUNCTION tenancy.guard_identity();
CREATE TRIGGER guard_identity BEFORE UPDATE ON tenancy.tenants FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION tenancy.guard_identity();
CREATE TRIGGER guard_identity BEFORE UPDATE ON tenancy.members FOR EACH ROW
    WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id OR OLD.user_id IS DISTINCT FROM NEW.user_id)
    EXECUTE FUNCTION tenancy.guard_identity();
CREATE TRIGGER guard_identity BEFORE UPDATE ON tenancy.groups FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.tenant_id IS DISTINCT FROM NEW.tenant_id)
    EXECUTE FUNCTION tenancy.guard_identity();

CREATE FUNCTION tenancy.refuse_assignment() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'permission denied to change whom a tenant takes in by e-mail address' USING ERRCODE = '42501',
        HINT = 'Operators with access "write" and administrators may.';
END
$$;
COMMENT ON FUNCTION tenancy.refuse_assignment() IS 'Internal: raises 42501 for who may not say whom a tenant takes in';

CREATE FUNCTION tenancy.refuse_default_roles() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'permission denied to give roles to whom a tenant takes in by e-mail address' USING ERRCODE = '42501',
        DETAIL = 'Operators see and edit tenants, and hold nothing in them.',
        HINT = 'Administrators may. While there are no default roles, operators may say whom the tenant takes in.';
END
$$;
COMMENT ON FUNCTION tenancy.refuse_default_roles() IS 'Internal: raises 42501 for an operator who would give roles in a tenant';

CREATE FUNCTION tenancy.guard_tenant() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.status IS DISTINCT FROM OLD.status
       AND NOT tenancy.is_administrator() AND tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        RAISE EXCEPTION 'permission denied to change a tenant''s status' USING ERRCODE = '42501',
            HINT = 'Operators with access "write" and administrators may.';
    END IF;
    -- Rows belong to the tenant whose key they name, so a key can take over what no tenant has yet.
    IF NEW.key IS DISTINCT FROM OLD.key AND NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to change a tenant''s key' USING ERRCODE = '42501',
            DETAIL = 'Rows of the host application belong to the tenant whose key they name.', HINT = 'Administrators may.';
    END IF;
    -- With gmail.com, or .*, a tenant would take in everybody who signs up.
    IF (NEW.email_domains, NEW.email_pattern, NEW.default_roles) IS DISTINCT FROM (OLD.email_domains, OLD.email_pattern, OLD.default_roles)
       AND NOT tenancy.is_administrator() AND tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        PERFORM tenancy.refuse_assignment();
    END IF;
    -- An operator with an address in the domain he names would let himself in, as what the default roles make of him.
    IF (NEW.email_domains, NEW.email_pattern, NEW.default_roles) IS DISTINCT FROM (OLD.email_domains, OLD.email_pattern, OLD.default_roles)
       AND NOT tenancy.is_administrator() AND (OLD.default_roles <> '{}' OR NEW.default_roles <> '{}') THEN
        PERFORM tenancy.refuse_default_roles();
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_tenant() IS 'Trigger function: status and who is taken in by e-mail address are the operators'', the key is the administrators''; updated_at is kept';

-- Foreign keys refuse the same, and whatever this snapshot cannot see: those on tenants' keys are never NO ACTION, which
-- lets a key go as soon as another tenant has it at the end of the statement, and its rows with it. But they do not say
-- what to do, and an observed table has none. A key that goes with its tenant is left to them: some cascade.
-- The administrator may not be allowed to read the tables, hence DEFINER; but nothing of theirs runs with our rights.
CREATE FUNCTION tenancy.guard_key() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT c.oid::regclass AS name, t.options ->> 'tenant_column' AS tenant_column,
                    tenancy.tenant_value(OLD.id, t.options ->> 'tenant_type') AS value
               FROM tenancy.protected_tables t JOIN pg_class c ON c.oid = t.table_id
              WHERE t.table_id = t.root_id AND t.options ->> 'tenant_type' <> 'uuid'
              ORDER BY c.oid::regclass::text COLLATE "C" LOOP
        CONTINUE WHEN p.value IS NULL;
        IF (tenancy.read_as_owner(p.name, format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)::text', p.name, p.tenant_column, p.value)))[1]::boolean THEN
            RAISE EXCEPTION 'cannot change the key of a tenant whose rows use it' USING ERRCODE = '2BP01',
                DETAIL = format('Table %s has rows of it.', p.name),
                HINT = 'Move the rows first: insert a tenant with the new key, then SET LOCAL tenancy.allow_tenant_change = on and UPDATE.';
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION tenancy.guard_key() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.guard_key() IS 'Trigger function: a tenant keeps its key while rows of protected tables name it by it';

CREATE FUNCTION tenancy.number_key() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.key_number := CASE WHEN NEW.key ~ '^(0|-?[1-9][0-9]{0,18})$' THEN
        CASE WHEN NEW.key::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN NEW.key::bigint END END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.number_key() IS 'Trigger function: keeps tenants.key_number';
CREATE TRIGGER number_key BEFORE INSERT OR UPDATE OF key ON tenancy.tenants
    FOR EACH ROW EXECUTE FUNCTION tenancy.number_key();
COMMENT ON TRIGGER number_key ON tenancy.tenants IS 'Keeps key_number';
CREATE TRIGGER guard BEFORE UPDATE ON tenancy.tenants
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_tenant();
-- After guard, which says who may.
CREATE TRIGGER guard_key BEFORE UPDATE ON tenancy.tenants FOR EACH ROW
    WHEN (OLD.key IS DISTINCT FROM NEW.key AND OLD.key IS NOT NULL) EXECUTE FUNCTION tenancy.guard_key();

DO $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT tgname, relname, obj_description(tgfoid, 'pg_proc') AS about
               FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
              WHERE relnamespace = 'tenancy'::regnamespace AND tgname LIKE 'guard%' LOOP
        EXECUTE format('COMMENT ON TRIGGER %I ON tenancy.%I IS %L', g.tgname, g.relname, g.about);
    END LOOP;
END
$$;
