-- A tenant's rows as COPY statements. Those of schema tenancy are one stream of (relation, content), in which roles of the
-- application go by name, for another database gives them other ids; tenant_import takes it in. docs/guides/moving_a_tenant.md

CREATE FUNCTION tenancy.tenant_rows(tenant uuid) RETURNS TABLE (relation text, content jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH own_roles AS MATERIALIZED (
        SELECT r.* FROM tenancy.roles r WHERE r.tenant_id = tenant_rows.tenant
    ), users AS MATERIALIZED (
        SELECT m.user_id FROM tenancy.members m WHERE m.tenant_id = tenant_rows.tenant
    )
    SELECT v.relation, v.content FROM (
        SELECT 1, 'tenants', t.id::text, to_jsonb(t) - 'key_number' FROM tenancy.tenants t WHERE t.id = tenant_rows.tenant
        UNION ALL
        SELECT 2, 'subjects', s.subject, to_jsonb(s) FROM tenancy.subjects s JOIN users u ON u.user_id = s.user_id
        UNION ALL
        SELECT 3, 'roles', r.id::text, to_jsonb(r) - 'scope_id' FROM own_roles r
        UNION ALL
        SELECT 4, 'role_permissions', p.role_id || p.permission, to_jsonb(p) - 'registered'
          FROM tenancy.role_permissions p JOIN own_roles r ON r.id = p.role_id
        UNION ALL
        SELECT 5, 'role_inheritance', i.senior_id::text || i.junior_id, to_jsonb(i) - '{senior_scope,junior_scope}'::text[]
               || CASE WHEN j.tenant_id IS NULL THEN jsonb_build_object('junior_id', NULL, 'role', j.name) ELSE '{}' END
          FROM tenancy.role_inheritance i JOIN tenancy.roles j ON j.id = i.junior_id WHERE i.senior_scope = tenant_rows.tenant
        UNION ALL
        SELECT 6, 'members', m.user_id::text, to_jsonb(m) FROM tenancy.members m WHERE m.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 7, 'groups', g.id::text, to_jsonb(g) FROM tenancy.groups g WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 8, 'group_members', g.group_id::text || g.user_id, to_jsonb(g) FROM tenancy.group_members g WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 9, 'group_roles', g.group_id::text || g.role_id, to_jsonb(g) - 'role_scope'
               || CASE WHEN r.tenant_id IS NULL THEN jsonb_build_object('role_id', NULL, 'role', r.name) ELSE '{}' END
          FROM tenancy.group_roles g JOIN tenancy.roles r ON r.id = g.role_id WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 10, 'member_roles', g.user_id::text || g.role_id, to_jsonb(g) - 'role_scope'
               || CASE WHEN r.tenant_id IS NULL THEN jsonb_build_object('role_id', NULL, 'role', r.name) ELSE '{}' END
          FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 11, 'active_tenants', a.user_id::text, to_jsonb(a) FROM tenancy.active_tenants a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 12, 'user_profiles', p.user_id::text, to_jsonb(p) FROM tenancy.user_profiles p JOIN users u ON u.user_id = p.user_id
        UNION ALL
        SELECT 13, 'attached_tenants', a.tenant_id::text, to_jsonb(a) FROM tenancy.attached_tenants a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 14, 'attached_members', a.user_id::text,
               to_jsonb(a) - 'role_ids' || jsonb_build_object('roles', ARRAY(SELECT r.name FROM tenancy.roles r WHERE r.id = ANY (a.role_ids) ORDER BY r.name))
          FROM tenancy.attached_members a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 15, 'tenant_plans', p.plan, to_jsonb(p) FROM tenancy.tenant_plans p WHERE p.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 16, 'quotas', q.meter || ' ' || q.period, to_jsonb(q) FROM tenancy.quotas q WHERE q.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 17, 'usage', u.meter || ' ' || u.slot, to_jsonb(u) - 'granted' FROM tenancy.usage u WHERE u.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 18, 'usage_periods', p.id::text, to_jsonb(p) FROM tenancy.usage_periods p WHERE p.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 19, 'quota_events', e.id::text, to_jsonb(e) FROM tenancy.quota_events e WHERE e.tenant_id = tenant_rows.tenant
    ) v (n, relation, key, content)
     ORDER BY v.n, v.key COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.tenant_rows(uuid) IS 'Administrators only: a tenant''s rows in schema tenancy, in the order tenant_import needs';

CREATE FUNCTION tenancy.export_tenant(tenant uuid) RETURNS TABLE ("position" integer, table_name text, copy_sql text, import_sql text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    item record;
    names text;
    n integer := 1;
BEGIN
    PERFORM tenancy.check_tenant_for_administrators(export_tenant.tenant, 'export a tenant');
    WITH o AS MATERIALIZED (
        SELECT * FROM tenancy.order_of_tables(true)
    )
    SELECT string_agg(DISTINCT format('%I on %s', c.conname, c.conrelid::regclass), ', ') INTO names
      FROM tenancy.references_between_tables() r JOIN pg_constraint c ON c.oid = r.id
      JOIN o f ON f.relation = r.child JOIN o t ON t.relation = r.parent AND t.component = f.component
     WHERE NOT r.can_wait;
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'tables refer to each other in a circle' USING ERRCODE = '0A000',
            DETAIL = format('No order of import satisfies these foreign keys: %s.', names),
            HINT = 'ALTER TABLE ... ALTER CONSTRAINT ... DEFERRABLE; for one of them.';
    END IF;
    RETURN QUERY SELECT n, 'tenancy.tenant_import', format('COPY (SELECT relation, content FROM tenancy.tenant_rows(%L)) TO STDOUT', export_tenant.tenant),
                        'COPY tenancy.tenant_import (relation, content) FROM STDIN';
    SELECT string_agg(DISTINCT format('%I.%I', s.nspname, c.conname), ', ') INTO names
      FROM tenancy.references_between_tables() r JOIN pg_constraint c ON c.oid = r.id JOIN pg_namespace s ON s.oid = c.connamespace
     WHERE r.can_wait;
    IF names IS NOT NULL THEN
        n := n + 1;
        RETURN QUERY SELECT n, NULL::text, NULL::text, format('SET CONSTRAINTS %s DEFERRED', names);
    END IF;
    FOR item IN
        SELECT t.relation, t.tenant_column, tenancy.tenant_value(export_tenant.tenant, t.tenant_type) AS value, c.relkind = 'p' AS partitioned,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                 WHERE a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
          FROM tenancy.tables_of_tenants() t
          JOIN tenancy.order_of_tables(true) o ON o.relation = t.relation
          JOIN tenancy.order_of_tables(false) s ON s.relation = t.relation
          JOIN pg_class c ON c.oid = t.relation
         ORDER BY o.rank, s.rank, t.root::text COLLATE "C", t.relation <> t.root, t.relation::text COLLATE "C"
    LOOP
        CONTINUE WHEN item.value IS NULL; -- no key of this type, so no rows
        n := n + 1;
        RETURN QUERY SELECT n, item.relation::text,
            format('COPY (SELECT %s FROM %s%s WHERE %I = %L) TO STDOUT', item.columns, CASE WHEN item.partitioned THEN '' ELSE 'ONLY ' END,
                   item.relation, item.tenant_column, item.value),
            format('COPY %s (%s) FROM STDIN', item.relation, item.columns);
    END LOOP;
    -- Keys that came from a sequence there must not be given out again here.
    FOR item IN
        SELECT d.objid::regclass AS sequence, t.relation, a.attname
          FROM tenancy.tables_of_tenants() t
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
               AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
          JOIN pg_sequence q ON q.seqrelid = d.objid AND q.seqincrement > 0
          JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum = d.refobjsubid
         ORDER BY d.objid::regclass::text COLLATE "C"
    LOOP
        n := n + 1;
        RETURN QUERY SELECT n, NULL::text, NULL::text,
            format('SELECT pg_catalog.setval(%L, t.highest) FROM %s s, (SELECT max(%I) AS highest FROM %s) t WHERE t.highest >= s.last_value',
                   item.sequence, item.sequence, item.attname, item.relation);
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.export_tenant(uuid) IS 'Administrators only: the statements that copy a tenant out, in the order in which they are to be copied in again, parents first: copy_sql writes to STDOUT what import_sql reads from STDIN; where copy_sql is NULL, import_sql is executed as it is. Run them in one REPEATABLE READ transaction: see docs/guides/moving_a_tenant.md. Errors: 42501 not an administrator, or row-level security hides rows; 42704 unknown tenant; 0A000 tables that refer to each other in a circle of foreign keys none of which is deferrable';
