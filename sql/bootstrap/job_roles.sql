-- Jobs and webhooks: database roles that work in one tenant after the other without being a user. Whoever calls enter_tenant
-- is asked for by the database role of that moment, exactly, in tenancy.database_role_roles.

CREATE FUNCTION tenancy.enter_tenant(tenant uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_enter_tenant';
REVOKE ALL ON FUNCTION tenancy.enter_tenant(uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.enter_tenant(tenant uuid) IS 'Until the transaction ends, or the next call, there is no user, and the current database role works in this tenant with the roles that allow_database_role gave it. Errors: 42501 it was given none; 22023 NULL; 42704 no such tenant; 23514 the tenant is not open';

CREATE FUNCTION tenancy.enter_tenant(tenant text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_enter_tenant_by_name';
REVOKE ALL ON FUNCTION tenancy.enter_tenant(text) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.enter_tenant(tenant text) IS 'The same by the tenant''s id or key. Errors: as enter_tenant(uuid)';

-- check_database_role has let one in at a time. At READ COMMITTED the statements that follow see what the one before did; above,
-- they would leave standing, or add to, what they do not see.
CREATE FUNCTION tenancy.check_database_role_roles(db_role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
       AND ARRAY(SELECT d.role_id FROM tenancy.database_role_roles d WHERE d.db_role = check_database_role_roles.db_role ORDER BY 1)
           <> ARRAY(SELECT r FROM unnest(tenancy.roles_of_database_role(db_role)) r ORDER BY 1) THEN
        -- As the server itself says it.
        RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_database_role_roles(regrole) IS 'Administrators only: 40001 if this transaction''s snapshot is older than the roles that the database role has';

CREATE FUNCTION tenancy.allow_database_role(db_role name, roles text[]) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text;
    role_ids uuid[] := '{}';
    found_role uuid;
    changed boolean;
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    IF array_ndims(roles) > 1 THEN
        RAISE EXCEPTION 'roles must be a list' USING ERRCODE = '22023', DETAIL = 'The array has more than one dimension.';
    END IF;
    IF roles IS NULL OR cardinality(roles) = 0 OR array_position(roles, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'roles must name at least one role, and no NULL' USING ERRCODE = '22023',
            HINT = 'tenancy.disallow_database_role() takes all of them away.';
    END IF;
    FOREACH wanted IN ARRAY roles LOOP
        SELECT r.id INTO found_role FROM tenancy.roles r WHERE r.name = wanted AND r.tenant_id IS NULL;
        IF NOT FOUND THEN
            IF EXISTS (SELECT FROM tenancy.roles r WHERE r.name = wanted) THEN
                RAISE EXCEPTION 'role "%" is a tenant''s own', wanted USING ERRCODE = '22023',
                    HINT = 'A database role works in every tenant: give it roles of the application.';
            END IF;
            RAISE EXCEPTION 'role "%" does not exist', wanted USING ERRCODE = '42704',
                HINT = 'SELECT name FROM tenancy.roles WHERE tenant_id IS NULL lists the application''s roles.';
        END IF;
        role_ids := role_ids || found_role;
    END LOOP;
    PERFORM tenancy.check_database_role_roles(quote_ident(db_role)::regrole);
    -- Roles that are gone go too: their oids may be used again one day.
    DELETE FROM tenancy.database_role_roles d
     WHERE d.db_role = quote_ident(allow_database_role.db_role)::regrole AND d.role_id <> ALL (role_ids)
        OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = d.db_role);
    changed := FOUND;
    INSERT INTO tenancy.database_role_roles (db_role, role_id)
    SELECT quote_ident(allow_database_role.db_role)::regrole, i FROM (SELECT DISTINCT unnest(role_ids)) u (i)
    ON CONFLICT ON CONSTRAINT database_role_roles_pkey DO NOTHING;
    changed := changed OR FOUND;
    PERFORM tenancy.note_usage(db_role);
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.allow_database_role(name, text[]) IS 'Administrators only: lets a database role enter any open tenant, and gives it these application roles there; calling again replaces them. Returns whether it changed. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such database role or role; 22023 PUBLIC, no role, or a tenant''s own';

CREATE FUNCTION tenancy.disallow_database_role(db_role name) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    PERFORM tenancy.check_database_role_roles(quote_ident(db_role)::regrole);
    DELETE FROM tenancy.database_role_roles d WHERE d.db_role = quote_ident(disallow_database_role.db_role)::regrole;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.disallow_database_role(name) IS 'Administrators only: undoes allow_database_role, also for transactions that have entered a tenant. Returns whether it changed. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such database role; 22023 PUBLIC';
