-- What protect_table refuses, before it changes anything.

CREATE FUNCTION tenancy.check_protectable("table" regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation pg_class%ROWTYPE;
    root text;
    names text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to protect a table' USING ERRCODE = '42501',
            HINT = 'Only administrators may.';
    END IF;
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = "table";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table must be given' USING ERRCODE = '22023',
            HINT = 'Pass the table''s name, as in ''public.docs''.';
    END IF;
    IF relation.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION 'cannot protect %: it is not a table', "table" USING ERRCODE = '0A000',
            DETAIL = 'Postgres has row-level security for tables and partitioned tables only.',
            HINT = 'Protect the tables underneath, and give views (security_invoker = true).';
    END IF;
    IF relation.oid < 16384 OR relation.relnamespace = 'tenancy'::regnamespace THEN
        RAISE EXCEPTION 'cannot protect %: it belongs to the system or to pg_tenancy', "table" USING ERRCODE = '0A000';
    END IF;
    IF relation.relpersistence = 't' THEN
        RAISE EXCEPTION 'cannot protect %: it is a temporary table', "table" USING ERRCODE = '0A000';
    END IF;
    PERFORM tenancy.check_no_reference_table(r.relation) FROM tenancy.covered_relations("table") r;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = "table") THEN
        WITH RECURSIVE line (id) AS (
            SELECT "table"::oid
            UNION
            SELECT i.inhparent FROM line JOIN pg_inherits i ON i.inhrelid = line.id
        )
        SELECT string_agg(l.id::regclass::text, ' or ' ORDER BY l.id::regclass::text COLLATE "C") INTO root
          FROM line l WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = l.id);
        RAISE EXCEPTION 'cannot protect % by itself: it is a % of another table', "table",
            CASE WHEN relation.relispartition THEN 'partition' ELSE 'child' END USING
            ERRCODE = '22023',
            HINT = format('Name the root of the tree, %s: its partitions and children are covered with it.', root);
    END IF;
    SELECT string_agg(r.relation::text, ', ') INTO names
      FROM tenancy.covered_relations("table") r JOIN pg_class c ON c.oid = r.relation WHERE c.relkind NOT IN ('r', 'p');
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'cannot protect %: a partition or child of it is a foreign table', "table" USING
            ERRCODE = '0A000', DETAIL = format('Foreign tables have no row-level security: %s.', names);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_protectable(regclass) IS 'Administrators only: 42501 for anybody else; 0A000 unless it is an ordinary table; 22023 for a partition or child';

CREATE FUNCTION tenancy.protect_options("table" regclass, tenant_column name, owner_column name, resource text, mode text,
                                        roles name[], existing_policies text, tenant_keys text, force boolean,
                                        add_column boolean, operators boolean, backfill_from text DEFAULT NULL,
                                        shared text DEFAULT NULL, column_type regtype DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_type text;
    parent_type text;
    reference jsonb;
    unknown text;
BEGIN
    PERFORM tenancy.check_protectable("table");
    IF tenant_column IS NULL OR mode IS NULL OR roles IS NULL OR cardinality(roles) = 0 OR array_position(roles, NULL) IS NOT NULL
       OR tenant_keys IS NULL OR force IS NULL OR add_column IS NULL OR operators IS NULL THEN
        RAISE EXCEPTION 'tenant_column, mode, roles, tenant_keys, force, add_column and operators must not be null or empty' USING
            ERRCODE = '22023';
    END IF;
    IF mode NOT IN ('active', 'membership', 'observe') THEN
        RAISE EXCEPTION 'invalid mode "%"', mode USING ERRCODE = '22023',
            HINT = 'Use active, for rows of the active tenant, membership, for rows of all of the user''s tenants, or observe, which enforces nothing.';
    END IF;
    existing_policies := nullif(existing_policies, 'refuse');
    IF existing_policies NOT IN ('keep', 'drop') THEN
        RAISE EXCEPTION 'invalid existing_policies "%"', existing_policies USING ERRCODE = '22023',
            HINT = 'Use keep or drop, or refuse, as null does, to be told of them.';
    END IF;
    IF tenant_keys NOT IN ('report', 'fix') THEN
        RAISE EXCEPTION 'invalid tenant_keys "%"', tenant_keys USING ERRCODE = '22023', HINT = 'Use report or fix.';
    END IF;
    resource := coalesce(resource, (SELECT c.relname FROM pg_class c WHERE c.oid = "table"));
    IF tenancy.is_permission_name(resource || '.create') IS NOT TRUE OR length(resource || '.create') > 200 THEN
        RAISE EXCEPTION 'invalid resource "%"', resource USING ERRCODE = '22023',
            DETAIL = 'It is the first part of permissions such as docs.read: a-z, 0-9 and _, starting with a letter.',
            HINT = 'Choose another with resource => ''...''.';
    END IF;
    SELECT string_agg(quote_ident(r), ', ' ORDER BY r COLLATE "C") INTO unknown
      FROM unnest(roles) r WHERE r <> 'public' AND NOT EXISTS (SELECT FROM pg_roles d WHERE d.rolname = r);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'database role % does not exist', unknown USING ERRCODE = '42704',
            HINT = 'roles are database roles such as authenticated; roles of tenants come with their permissions.';
    END IF;
    IF shared <> 'read' THEN
        RAISE EXCEPTION 'invalid shared "%"', shared USING ERRCODE = '22023',
            HINT = 'Use read, for rows without a tenant that every member may read, or null.';
    END IF;
    IF column_type IS NOT NULL AND NOT add_column THEN
        RAISE EXCEPTION 'column_type is for a column that is added' USING ERRCODE = '22023',
            HINT = 'Pass add_column => true too; the type of a column that is there is its own.';
    END IF;
    IF tenancy.column_number("table", tenant_column) IS NULL AND NOT add_column THEN
        RAISE EXCEPTION 'column "%" of table % does not exist', tenant_column, "table" USING ERRCODE = '22023',
            HINT = 'Name the column with tenant_column => ''...'', or have it added with add_column => true.';
    END IF;
    IF backfill_from IS NOT NULL THEN
        reference := tenancy.check_reference("table", tenant_column, backfill_from);
        SELECT tenancy.tenant_type(p.options) INTO parent_type FROM tenancy.protected_tables p
         WHERE p.table_id = (reference ->> 'table')::regclass;
    END IF;
    tenant_type := tenancy.check_tenant_type("table", tenant_column, coalesce(column_type::text,
                       CASE WHEN tenancy.column_number("table", tenant_column) IS NULL THEN coalesce(parent_type, 'uuid') END)::regtype);
    IF (SELECT count(DISTINCT t.refers_to) FROM tenancy.tenant_types() t WHERE t.type IN (tenant_type, parent_type)) > 1 THEN
        RAISE EXCEPTION 'column "%" of table % is of type %, and the tenant of table % of type %', tenant_column, "table", tenant_type,
            reference ->> 'table', parent_type USING ERRCODE = '22023', DETAIL = 'One is no copy of the other.';
    END IF;
    IF owner_column IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = "table" AND a.attnum = tenancy.column_number("table", owner_column)
                          AND a.atttypid = 'uuid'::regtype) OR owner_column = tenant_column THEN
            RAISE EXCEPTION 'owner column "%" of table % is no column that can name a user', owner_column, "table" USING
                ERRCODE = '22023', DETAIL = 'It must exist, be of type uuid, and not be the tenant column.';
        END IF;
    END IF;
    RETURN jsonb_build_object('tenant_column', tenant_column, 'owner_column', owner_column, 'resource', resource,
        'mode', mode, 'roles', CASE WHEN 'public' = ANY (roles) THEN '["public"]'
                                    ELSE (SELECT jsonb_agg(DISTINCT r) FROM unnest(roles) r) END,
        'existing_policies', existing_policies, 'tenant_keys', tenant_keys, 'force', force, 'operators', operators,
        'tenant_type', tenant_type, 'shared', shared, 'backfill_from', reference);
END
$$;
COMMENT ON FUNCTION tenancy.protect_options(regclass, name, name, text, text, name[], text, text, boolean, boolean, boolean, text, text, regtype) IS 'Administrators only: the options of protect_table, checked and complete. Errors as of protect_table';

-- Permissive policies that somebody else wrote for the table or what is below it.
CREATE FUNCTION tenancy.foreign_policies(root regclass) RETURNS TABLE (relation regclass, name name)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT r.relation, p.polname
      FROM tenancy.covered_relations(root) r JOIN pg_policy p ON p.polrelid = r.relation
     WHERE p.polpermissive AND p.polname <> ALL (tenancy.policy_names())
     ORDER BY r.depth, r.relation::text COLLATE "C", p.polname;
    END;
COMMENT ON FUNCTION tenancy.foreign_policies(regclass) IS 'Administrators only: permissive policies beside ours on the table, its partitions and children';

CREATE FUNCTION tenancy.check_policies(root regclass, options jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text;
BEGIN
    IF options ->> 'existing_policies' IS NULL
       AND NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = root AND p.options ->> 'mode' IS DISTINCT FROM 'observe') THEN
        SELECT string_agg(format('%I on %s', f.name, f.relation), ', ') INTO names FROM tenancy.foreign_policies(root) f;
        IF names IS NOT NULL THEN
            RAISE EXCEPTION 'table % already has permissive policies', root USING ERRCODE = '55000',
                DETAIL = format('What they allow would be allowed beside the permissions, inside a tenant: %s.', names),
                HINT = format('Pass existing_policies => ''keep'' to keep them, or ''drop'' to drop them. SELECT * FROM tenancy.existing_policies(%L) says what each lets through.', root);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_policies(regclass, jsonb) IS 'Administrators only: 55000 for permissive policies that nobody decided about';
