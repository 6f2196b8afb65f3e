-- Tenants: create, change status, drop. SECURITY INVOKER: the caller's rights, policies and guards decide.

-- The one lookup of a tenant by those who may act on it. Whoever may not learns nothing: the same error for a
-- tenant that does not exist and for one he may not touch.
CREATE FUNCTION tenancy.check_permission(tenant uuid, permission text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenancy.is_administrator() THEN
        IF NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = check_permission.tenant) THEN
            RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704',
                HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
        END IF;
    ELSIF tenancy.has_permission(tenant, permission) IS NOT TRUE THEN
        IF EXISTS (SELECT FROM tenancy.tenants t
                    WHERE t.id = check_permission.tenant AND t.status IN ('suspended', 'archived')) THEN
            RAISE EXCEPTION 'tenant is suspended' USING ERRCODE = '23514', CONSTRAINT = 'tenant_status',
                SCHEMA = 'tenancy', TABLE = 'tenants';
        END IF;
        RAISE EXCEPTION 'permission denied: % is required in the tenant', permission USING ERRCODE = '42501',
            DETAIL = CASE WHEN EXISTS (SELECT FROM tenancy.tenants t
                                        WHERE t.id = check_permission.tenant AND t.status = 'read_only')
                          THEN 'The tenant is read-only: only permissions named *.read hold.' ELSE '' END,
            HINT = 'SELECT * FROM tenancy.diagnose() shows what the present identity holds and why.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_permission(uuid, text) IS 'Internal: 42501 unless the caller administers or holds the permission in the tenant; 42704 to administrators if there is no such tenant; 23514 if it is suspended';

CREATE FUNCTION tenancy.insert_tenant(slug text, name text, owner uuid, metadata jsonb, key text) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id uuid;
    given_id uuid;
BEGIN
    IF slug IS NULL OR slug !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' THEN
        RAISE EXCEPTION 'invalid slug' USING ERRCODE = '22023',
            DETAIL = 'A slug is 1 to 63 characters of a-z, 0-9 and dash, with no dash at the ends.';
    END IF;
    IF metadata IS NULL OR jsonb_typeof(metadata) <> 'object' THEN
        RAISE EXCEPTION 'metadata must be a JSON object' USING ERRCODE = '22023';
    END IF;
    IF name = '' OR length(name) > 200 THEN
        RAISE EXCEPTION 'invalid name' USING ERRCODE = '22023', DETAIL = 'A name is 1 to 200 characters.';
    END IF;
    IF owner = tenancy.nil() THEN
        RAISE EXCEPTION 'invalid user id' USING ERRCODE = '22023', DETAIL = 'The nil uuid is nobody''s.';
    END IF;
    -- A key that can be read as a uuid is the id itself.
    IF regexp_replace(key, '^\{(.*)\}$', '\1') ~ '^([0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}$' THEN
        given_id := key::uuid;
    END IF;
    IF key = '' OR length(key) > 200 OR given_id = tenancy.nil() THEN
        RAISE EXCEPTION 'invalid key' USING ERRCODE = '22023', DETAIL = 'A key is 1 to 200 characters, and not the nil uuid.';
    END IF;
    IF given_id IS NULL THEN
        INSERT INTO tenancy.tenants (slug, name, metadata, key)
        VALUES (insert_tenant.slug, coalesce(insert_tenant.name, insert_tenant.slug), insert_tenant.metadata, insert_tenant.key)
        ON CONFLICT DO NOTHING
        RETURNING id INTO new_id;
    ELSE
        INSERT INTO tenancy.tenants (id, slug, name, metadata, key)
        VALUES (given_id, insert_tenant.slug, coalesce(insert_tenant.name, insert_tenant.slug), insert_tenant.metadata, insert_tenant.key)
        ON CONFLICT DO NOTHING
        RETURNING id INTO new_id;
    END IF;
    IF new_id IS NULL AND EXISTS (SELECT FROM tenancy.tenants t WHERE t.key = insert_tenant.key OR t.id = given_id) THEN
        RAISE EXCEPTION 'key is taken' USING ERRCODE = '42710', DETAIL = 'Another tenant has this key.',
            HINT = 'SELECT id, slug FROM tenancy.tenants WHERE key = ... names it.';
    ELSIF new_id IS NULL THEN
        RAISE EXCEPTION 'slug "%" is taken', slug USING ERRCODE = '42710', HINT = 'Choose another slug.';
    END IF;
    IF owner IS NOT NULL THEN
        INSERT INTO tenancy.members (tenant_id, user_id) VALUES (new_id, owner);
        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
        SELECT new_id, owner, r.id FROM tenancy.roles r WHERE r.tenant_id IS NULL AND r.name = 'owner';
    END IF;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.insert_tenant(text, text, uuid, jsonb, text) IS 'Internal: the rows of a new tenant';

-- Operators and self-service may not write the tables themselves; this does it for them after asking who
-- they are. The identity decides, never the database role.
CREATE FUNCTION tenancy.create_tenant_by_identity(slug text, name text, owner uuid, metadata jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me uuid := tenancy.current_user_id();
    owned bigint;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no identity to create a tenant as' USING ERRCODE = '28000',
            HINT = 'SELECT * FROM tenancy.diagnose() says what is wrong with the request''s claims.';
    END IF;
    IF owner IS NULL THEN
        RAISE EXCEPTION 'a tenant needs an owner' USING ERRCODE = '28000',
            HINT = 'Only administrators may create a tenant without one.';
    END IF;
    IF tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        IF NOT current_setting('tenancy.self_service')::boolean THEN
            RAISE EXCEPTION 'permission denied to create a tenant' USING ERRCODE = '42501',
                HINT = 'Operators with access "write" and administrators may, or any user if tenancy.self_service is on.';
        END IF;
        IF owner <> me THEN
            RAISE EXCEPTION 'permission denied to create a tenant for another user' USING ERRCODE = '42501';
        END IF;
        -- Two requests at once must not both be the last one allowed: one at a time, and counted by the newest
        -- state, for a snapshot may be older than the lock.
        PERFORM pg_advisory_xact_lock(hashtextextended('tenancy.create_tenant ' || me::text, 0));
        SELECT tenancy.count_direct_grants(me, r.id) INTO owned FROM tenancy.roles r
         WHERE r.tenant_id IS NULL AND r.name = 'owner';
        IF owned >= current_setting('tenancy.max_owned_tenants')::bigint THEN
            RAISE EXCEPTION 'you own % tenants already', owned USING ERRCODE = '23514',
                CONSTRAINT = 'max_owned_tenants', SCHEMA = 'tenancy', TABLE = 'tenants',
                HINT = 'An operator can create more.';
        END IF;
    END IF;
    RETURN tenancy.insert_tenant(slug, name, owner, metadata, NULL);
END
$$;
REVOKE ALL ON FUNCTION tenancy.create_tenant_by_identity(text, text, uuid, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.create_tenant_by_identity(text, text, uuid, jsonb) IS 'Internal: create_tenant for operators and self-service';

CREATE FUNCTION tenancy.create_tenant(slug text, name text DEFAULT NULL, owner uuid DEFAULT tenancy.current_user_id(), metadata jsonb DEFAULT '{}',
        key text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenancy.is_administrator() THEN
        RETURN tenancy.insert_tenant(slug, name, owner, metadata, key);
    ELSIF key IS NOT NULL THEN
        RAISE EXCEPTION 'permission denied to choose a tenant''s key' USING ERRCODE = '42501',
            DETAIL = 'Rows of the host application belong to the tenant whose key they name.', HINT = 'Administrators may.';
    END IF;
    RETURN tenancy.create_tenant_by_identity(slug, name, owner, metadata);
END
$$;
COMMENT ON FUNCTION tenancy.create_tenant(text, text, uuid, jsonb, text) IS 'Creates a tenant whose owner becomes a member with role owner. Administrators may give it the key that the host application uses. Returns its id. Errors: 22023 bad slug, name, metadata or key; 42710 slug or key taken; 28000 no owner; 42501 not allowed; 23514 tenancy.max_owned_tenants reached';

CREATE FUNCTION tenancy.set_tenant_status(tenant uuid, status text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text;
BEGIN
    IF status IS NULL OR status NOT IN ('active', 'read_only', 'suspended', 'archived') THEN
        RAISE EXCEPTION 'invalid tenant status' USING ERRCODE = '22023',
            HINT = 'Use active, read_only, suspended or archived.';
    END IF;
    IF NOT tenancy.is_administrator() AND tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        RAISE EXCEPTION 'permission denied to change a tenant''s status' USING ERRCODE = '42501',
            HINT = 'Operators with access "write" and administrators may.';
    END IF;
    SELECT t.status INTO was FROM tenancy.tenants t WHERE t.id = tenant FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704',
            HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
    END IF;
    UPDATE tenancy.tenants t SET status = set_tenant_status.status WHERE t.id = tenant AND was <> set_tenant_status.status;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_tenant_status(uuid, text) IS 'Sets a tenant''s status: active, read_only, suspended or archived. Returns whether it changed. Errors: 22023 bad status; 42501 neither administrator nor write operator; 42704 no such tenant';

-- The type is that of a protected table's tenant column; none is uuid.
CREATE FUNCTION tenancy.tenant_value(tenant uuid, tenant_type text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT CASE WHEN coalesce(tenant_type, 'uuid') = 'uuid' THEN t.id::text
                        WHEN tenant_type = 'bigint' THEN t.key_number::text
                        WHEN tenant_type = 'integer' THEN
                            CASE WHEN t.key_number BETWEEN -2147483648 AND 2147483647 THEN t.key_number::text END
                        ELSE t.key END
              FROM tenancy.tenants t WHERE t.id = tenant);
COMMENT ON FUNCTION tenancy.tenant_value(uuid, text) IS 'Administrators only: what columns of this type hold for the tenant, as text; NULL if it has no such key';

CREATE FUNCTION tenancy.drop_tenant(tenant uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
    holders text[] := '{}';
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to drop a tenant' USING ERRCODE = '42501',
            HINT = 'Only administrators may. Operators can archive it with tenancy.set_tenant_status().';
    END IF;
    PERFORM FROM tenancy.tenants t WHERE t.id = tenant FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704',
            HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
    END IF;
    FOR p IN SELECT c.oid::regclass AS name, t.options ->> 'tenant_column' AS tenant_column,
                    t.options ->> 'tenant_type' AS tenant_type
               FROM tenancy.protected_tables t JOIN pg_class c ON c.oid = t.table_id
              WHERE t.table_id = t.root_id AND tenancy.column_number(t.table_id, t.options ->> 'tenant_column') IS NOT NULL
              ORDER BY c.oid::regclass::text LOOP
        -- As their owners, whose the tables' indexes and perhaps by now the columns' types are.
        IF (tenancy.read_as_owner(p.name, format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)::text',
                                                 p.name, p.tenant_column, tenancy.tenant_value(tenant, p.tenant_type))))[1]::boolean THEN
            holders := holders || p.name::text;
        END IF;
    END LOOP;
    IF holders <> '{}' THEN
        RAISE EXCEPTION 'tenant still has rows in protected tables' USING ERRCODE = '2BP01',
            DETAIL = 'Tables with rows of it: ' || array_to_string(holders, ', ') || '.',
            HINT = 'Delete or move the rows first, or archive the tenant with tenancy.set_tenant_status().';
    END IF;
    -- The host's row would be left without a tenant.
    IF EXISTS (SELECT FROM tenancy.attached_tenants a WHERE a.tenant_id = tenant) THEN
        RAISE EXCEPTION 'tenant is a row of an attached table' USING ERRCODE = '2BP01',
            DETAIL = format('It is a row of table %s.', (SELECT a.relation FROM tenancy.attached_tables a WHERE a.kind = 'tenants')),
            HINT = 'Delete that row: the tenant goes with it.';
    END IF;
    DELETE FROM tenancy.tenants t WHERE t.id = tenant;
END
$$;
COMMENT ON FUNCTION tenancy.drop_tenant(uuid) IS 'Drops a tenant and all of its rows in schema tenancy. Errors: 42501 not an administrator; 42704 no such tenant; 2BP01 protected tables still hold rows of it, or it is a row of the attached table of tenants';
