-- The steps that decide who reaches which rows: privileges that row-level security does not govern, policies,
-- and the switches that put them in force.

-- Conditions are written exactly as Postgres writes them back, so that a changed one is noticed.
CREATE FUNCTION tenancy.tenant_fence(options jsonb, access text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT format(CASE WHEN (options ->> 'operators')::boolean AND options ->> 'mode' = 'active'
                               THEN 'tenancy.is_active_or_operator(%1$s, %3$L::text)'
                               WHEN (options ->> 'operators')::boolean THEN 'tenancy.is_member_or_operator(%1$s, %3$L::text)'
                               WHEN options ->> 'mode' = 'active' THEN '(%1$s = %2$s)'
                               ELSE 'tenancy.is_member(%1$s)' END,
                          format(t.argument, quote_ident(options ->> 'tenant_column')), t.active, access)
              FROM tenancy.tenant_types() t WHERE t.type = tenancy.tenant_type(options));
COMMENT ON FUNCTION tenancy.tenant_fence(jsonb, text) IS 'Administrators only: the condition that a row is of a tenant whose rows the user may reach; access is read or write, and decides for operators';

-- The first is the fence. Where it lets in more than may be written, for operators or rows without a tenant, three more
-- say what may be written: restrictive too, so that neither a permission that a reading operator holds in his own tenant
-- nor a policy of somebody else's reaches further. For the same reason the fence says who sees rows without a tenant.
CREATE FUNCTION tenancy.wanted_policies(options jsonb)
    RETURNS TABLE (name text, command text, code "char", permissive boolean, condition text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH o AS (
        SELECT options ->> 'mode' = 'active' AS active, coalesce((options ->> 'operators')::boolean, false) AS operators,
               options ->> 'shared' IS NOT NULL AS shared, quote_ident(options ->> 'tenant_column') AS tenant_column,
               options ->> 'owner_column' AS owner_column, format(t.argument, quote_ident(options ->> 'tenant_column')) AS tenant
          FROM tenancy.tenant_types() t WHERE t.type = tenancy.tenant_type(options)
    ), command (name, code, action) AS (
        VALUES ('SELECT', 'r'::"char", 'read'), ('INSERT', 'a', 'create'), ('UPDATE', 'w', 'update'), ('DELETE', 'd', 'delete')
    )
    SELECT '!pg_tenancy_isolation', 'ALL', '*'::"char", false,
           format(CASE WHEN NOT o.shared THEN '%2$s'
                       WHEN o.operators THEN '(((%1$s IS NULL) AND (tenancy.is_member() OR (tenancy.operator_access() IS NOT NULL))) OR %2$s)'
                       ELSE '(((%1$s IS NULL) AND tenancy.is_member()) OR %2$s)' END,
                  o.tenant_column, tenancy.tenant_fence(options, 'read'))
      FROM o
    UNION ALL
    SELECT '!pg_tenancy_write_' || lower(c.name), c.name, c.code, false, tenancy.tenant_fence(options, 'write')
      FROM o, command c
     WHERE (o.operators OR o.shared) AND c.name <> 'SELECT'
    UNION ALL
    SELECT 'pg_tenancy_' || lower(c.name), c.name, c.code, true,
           CASE cardinality(a.list) WHEN 1 THEN a.list[1] ELSE '(' || array_to_string(a.list, ' OR ') || ')' END
      FROM o, command c, LATERAL (SELECT array_remove(ARRAY[
               format(CASE WHEN o.active THEN 'tenancy.has_permission(%2$L::text)' ELSE 'tenancy.has_permission(%1$s, %2$L::text)' END,
                      o.tenant, options ->> 'resource' || '.' || c.action),
               '(' || quote_ident(o.owner_column) || ' = tenancy.current_user_id())',
               CASE WHEN NOT o.operators THEN NULL
                    WHEN c.name = 'SELECT' THEN '(tenancy.operator_access() IS NOT NULL)'
                    ELSE '(tenancy.operator_access() = ''write''::text)' END,
               CASE WHEN o.shared AND c.name = 'SELECT' THEN '(' || o.tenant_column || ' IS NULL)' END], NULL)) a (list);
    END;
COMMENT ON FUNCTION tenancy.wanted_policies(jsonb) IS 'Administrators only: the policies for these options; the name of the fence sorts first, because only the first policy is always free to become an index condition';

-- What is granted on a relation, or columns of it, that reaches around row-level security.
CREATE FUNCTION tenancy.loose_privileges(relation regclass)
    RETURNS TABLE (grantee oid, privilege text, column_name name, grantable boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT a.grantee, a.privilege_type, o.column_name, a.is_grantable
      FROM (SELECT c.relowner, c.relacl, NULL::name FROM pg_class c WHERE c.oid = relation
            UNION ALL
            SELECT c.relowner, t.attacl, t.attname FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid
             WHERE c.oid = relation AND t.attacl IS NOT NULL AND NOT t.attisdropped) o (owner, acl, column_name),
           aclexplode(o.acl) a
     WHERE a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
       AND a.grantor = o.owner AND a.grantee <> o.owner
       AND (a.grantee = 0 OR a.grantee IN (SELECT r::oid FROM tenancy.application_roles() r));
    END;
COMMENT ON FUNCTION tenancy.loose_privileges(regclass) IS 'Administrators only: TRUNCATE, REFERENCES and TRIGGER as granted by the owner to PUBLIC and application roles';

CREATE FUNCTION tenancy.role_text(role oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END;
COMMENT ON FUNCTION tenancy.role_text(oid) IS 'Administrators only: a role as GRANT names it';

CREATE FUNCTION tenancy.protect_access(relation regclass, options jsonb)
    RETURNS TABLE (phase integer, statement text, undo jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forced_by_us boolean;
    flags record;
    wanted_roles oid[];
    role_list text;
BEGIN
    RETURN QUERY
        SELECT 120, format('REVOKE TRUNCATE, REFERENCES, TRIGGER ON TABLE %s FROM %s CASCADE', relation, tenancy.role_text(l.grantee)), NULL::jsonb
          FROM tenancy.loose_privileges(relation) l GROUP BY l.grantee ORDER BY tenancy.role_text(l.grantee) COLLATE "C";
    RETURN QUERY
        SELECT 120, NULL::text, jsonb_build_object('revoked', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                   'privilege', l.privilege, 'column', l.column_name, 'from', tenancy.role_text(l.grantee), 'grantable', l.grantable))))
          FROM tenancy.loose_privileges(relation) l HAVING count(*) > 0;

    SELECT c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced INTO flags FROM pg_class c WHERE c.oid = relation;
    IF NOT flags.enabled THEN
        RETURN QUERY SELECT 130, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation), '{"enabled": false}'::jsonb;
    END IF;

    IF options ->> 'existing_policies' = 'drop' THEN
        RETURN QUERY SELECT 140, format('DROP POLICY %I ON %s', f.name, f.relation), NULL::jsonb
                       FROM tenancy.foreign_policies(relation) f WHERE f.relation = protect_access.relation;
    END IF;

    RETURN QUERY SELECT 140, format('DROP POLICY %I ON %s', p.polname, relation), NULL::jsonb
                   FROM pg_policy p
                  WHERE p.polrelid = relation AND p.polname = ANY (tenancy.policy_names())
                    AND p.polname NOT IN (SELECT w.name FROM tenancy.wanted_policies(options) w)
                  ORDER BY p.polname;

    SELECT CASE WHEN options -> 'roles' ? 'public' THEN '{0}' ELSE array_agg(r.oid ORDER BY r.oid) END,
           CASE WHEN options -> 'roles' ? 'public' THEN 'PUBLIC' ELSE string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) END
      INTO wanted_roles, role_list
      FROM pg_roles r WHERE options -> 'roles' ? r.rolname;
    RETURN QUERY
        WITH wrong AS (
            SELECT w.name, w.command, w.permissive, w.condition, p.oid IS NOT NULL AS there,
                   row_number() OVER () AS n
              FROM tenancy.wanted_policies(options) w
              LEFT JOIN pg_policy p ON p.polrelid = relation AND p.polname = w.name
             WHERE p.oid IS NULL OR p.polcmd <> w.code OR p.polpermissive <> w.permissive
                OR pg_get_expr(p.polqual, p.polrelid) IS DISTINCT FROM CASE WHEN w.code <> 'a' THEN w.condition END
                OR pg_get_expr(p.polwithcheck, p.polrelid) IS DISTINCT FROM CASE WHEN w.code IN ('*', 'a', 'w') THEN w.condition END
                OR ARRAY(SELECT unnest(p.polroles) ORDER BY 1) <> CASE WHEN w.permissive THEN wanted_roles ELSE '{0}' END
        )
        SELECT 140, s.statement, NULL::jsonb
          FROM wrong w, LATERAL (VALUES
               (1, CASE WHEN w.there THEN format('DROP POLICY %I ON %s', w.name, relation) END),
               (2, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', w.name, relation,
                          CASE WHEN w.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, w.command,
                          CASE WHEN w.permissive THEN role_list ELSE 'PUBLIC' END)
                   || CASE WHEN w.command <> 'INSERT' THEN format(' USING (%s)', w.condition) ELSE '' END
                   || CASE WHEN w.command IN ('ALL', 'INSERT', 'UPDATE') THEN format(' WITH CHECK (%s)', w.condition) ELSE '' END)
               ) s (n, statement)
         WHERE s.statement IS NOT NULL
         ORDER BY w.n, s.n;

    SELECT p.undo ? 'forced' INTO forced_by_us FROM tenancy.protected_tables p WHERE p.table_id = relation;
    IF (options ->> 'force')::boolean AND NOT flags.forced THEN
        RETURN QUERY SELECT 150, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation), '{"forced": false}'::jsonb;
    ELSIF NOT (options ->> 'force')::boolean AND flags.forced AND forced_by_us THEN
        RETURN QUERY SELECT 150, format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', relation), '{"forced": null}'::jsonb;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect_access(regclass, jsonb) IS 'Administrators only: the steps still missing on the privileges and policies of one covered relation';
