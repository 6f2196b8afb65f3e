-- A tenant's rows as COPY statements. Those of schema tenancy are a stream of (relation, content), in which roles of the
-- application go by name, and mapped users have their subjects with them, for another database gives them other ids;
-- tenant_import takes it in. Limits are a second one, at the end: what there is may be more. docs/guides/moving_a_tenant.md

CREATE FUNCTION tenancy.subjects_as(name text, user_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT jsonb_build_object(name, jsonb_agg(s.subject ORDER BY s.subject COLLATE "C")) FROM tenancy.subjects s
                      WHERE s.user_id = subjects_as.user_id HAVING count(*) > 0), '{}');
COMMENT ON FUNCTION tenancy.subjects_as(text, uuid) IS 'Administrators only: a user''s subjects as a JSON object''s member of that name; an empty object if he has none';

-- Any column may be one that says who made a row, and who is no member any more may have.
CREATE FUNCTION tenancy.mapped_users_of(tenant uuid) RETURNS TABLE (user_id uuid, named_in text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    head text;
    tail text;
BEGIN
    IF NOT EXISTS (SELECT FROM tenancy.subjects) THEN
        RETURN;
    END IF;
    FOR item IN
        SELECT t.relation, t.tenant_column, tenancy.tenant_value(mapped_users_of.tenant, t.tenant_type) AS value, c.relkind,
               string_agg(format('(r.%I::uuid, %L)', a.attname, format('column "%s" of table %s', a.attname, t.relation)), ', ' ORDER BY a.attnum) AS columns
          FROM tenancy.tables_of_tenants() t JOIN pg_class c ON c.oid = t.relation
          JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> t.tenant_column
          JOIN pg_type y ON y.oid = a.atttypid AND 'uuid'::regtype IN (y.oid, y.typbasetype)
         GROUP BY 1, 2, 3, 4
    LOOP
        -- With the rights of the table's owner, who may not read ours.
        head := 'SELECT DISTINCT concat(v.id, '' '', v.name) FROM ';
        tail := format(' r CROSS JOIN LATERAL (VALUES %s) v (id, name) WHERE r.%I = %L AND v.id IS NOT NULL', item.columns, item.tenant_column, item.value);
        RETURN QUERY SELECT s.user_id, substr(f, 38)
                       FROM unnest(CASE WHEN item.relkind = 'p' OR tenancy.trusts_owners(item.relation)
                                        THEN tenancy.read_parts(item.relation, head || CASE item.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, tail)
                                        ELSE tenancy.read_as_owner(item.relation, concat(head, 'ONLY ', item.relation, tail)) END) f
                       JOIN tenancy.subjects s ON s.user_id = left(f, 36)::uuid;
    END LOOP;
    RETURN QUERY SELECT m.user_id, NULL FROM tenancy.members m WHERE m.tenant_id = mapped_users_of.tenant;
    RETURN QUERY SELECT g.granted_by, NULL FROM tenancy.member_roles g WHERE g.tenant_id = mapped_users_of.tenant AND g.granted_by IS NOT NULL;
END
$$;
COMMENT ON FUNCTION tenancy.mapped_users_of(uuid) IS 'Administrators only: users that a tenant''s rows name by their ids, and in which column of the host''s; nobody where no subjects are mapped';

CREATE FUNCTION tenancy.tenant_rows(tenant uuid) RETURNS TABLE (relation text, content jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH own_roles AS MATERIALIZED (
        SELECT r.* FROM tenancy.roles r WHERE r.tenant_id = tenant_rows.tenant
    ), users AS MATERIALIZED (
        SELECT m.user_id FROM tenancy.members m WHERE m.tenant_id = tenant_rows.tenant
    ), mapped AS MATERIALIZED (
        SELECT u.user_id, min(u.named_in COLLATE "C") AS named_in FROM tenancy.mapped_users_of(tenant_rows.tenant) u GROUP BY 1
    )
    SELECT v.relation, v.content FROM (
        SELECT 1, 'tenants', t.id::text, to_jsonb(t) - 'key_number' FROM tenancy.tenants t WHERE t.id = tenant_rows.tenant
        UNION ALL
        SELECT 2, 'subjects', s.subject, to_jsonb(s) || tenancy.subjects_as('subjects', s.user_id)
               || CASE WHEN u.named_in IS NULL THEN '{}' ELSE jsonb_build_object('named_in', u.named_in) END
          FROM tenancy.subjects s JOIN mapped u ON u.user_id = s.user_id
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
        SELECT 6, 'members', m.user_id::text, to_jsonb(m) || tenancy.subjects_as('subjects', m.user_id) FROM tenancy.members m WHERE m.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 7, 'groups', g.id::text, to_jsonb(g) FROM tenancy.groups g WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 8, 'group_members', g.group_id::text || g.user_id, to_jsonb(g) || tenancy.subjects_as('subjects', g.user_id) FROM tenancy.group_members g WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 9, 'group_roles', g.group_id::text || g.role_id, to_jsonb(g) - 'role_scope'
               || CASE WHEN r.tenant_id IS NULL THEN jsonb_build_object('role_id', NULL, 'role', r.name) ELSE '{}' END
          FROM tenancy.group_roles g JOIN tenancy.roles r ON r.id = g.role_id WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 10, 'member_roles', g.user_id::text || g.role_id, to_jsonb(g) - 'role_scope'
               || tenancy.subjects_as('subjects', g.user_id) || tenancy.subjects_as('granted_by_subjects', g.granted_by)
               || CASE WHEN r.tenant_id IS NULL THEN jsonb_build_object('role_id', NULL, 'role', r.name) ELSE '{}' END
          FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id WHERE g.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 11, 'active_tenants', a.user_id::text, to_jsonb(a) || tenancy.subjects_as('subjects', a.user_id) FROM tenancy.active_tenants a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 12, 'user_profiles', p.user_id::text, to_jsonb(p) || tenancy.subjects_as('subjects', p.user_id) FROM tenancy.user_profiles p JOIN users u ON u.user_id = p.user_id
        UNION ALL
        SELECT 13, 'attached_tenants', a.tenant_id::text, to_jsonb(a) FROM tenancy.attached_tenants a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 14, 'attached_members', a.user_id::text,
               to_jsonb(a) - 'role_ids' || jsonb_build_object('roles', ARRAY(SELECT r.name FROM tenancy.roles r WHERE r.id = ANY (a.role_ids) ORDER BY r.name))
               || tenancy.subjects_as('subjects', a.user_id)
          FROM tenancy.attached_members a WHERE a.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 15, 'usage', u.meter || ' ' || u.slot, to_jsonb(u) - 'granted' FROM tenancy.usage u WHERE u.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 16, 'usage_periods', p.id::text, to_jsonb(p) FROM tenancy.usage_periods p WHERE p.tenant_id = tenant_rows.tenant
        UNION ALL
        SELECT 17, 'quota_events', e.id::text, to_jsonb(e) FROM tenancy.quota_events e WHERE e.tenant_id = tenant_rows.tenant
    ) v (n, relation, key, content)
     ORDER BY v.n, v.key COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.tenant_rows(uuid) IS 'Administrators only: a tenant''s rows in schema tenancy, in the order tenant_import needs; all but its limits';

CREATE FUNCTION tenancy.tenant_limits(tenant uuid) RETURNS TABLE (relation text, content jsonb)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT v.relation, v.content FROM (
        SELECT 1, 'limits', '', jsonb_build_object('tenant_id', tenant_limits.tenant)
        UNION ALL
        SELECT 2, 'tenant_plans', p.plan, to_jsonb(p) FROM tenancy.tenant_plans p WHERE p.tenant_id = tenant_limits.tenant
        UNION ALL
        SELECT 3, 'quotas', q.meter || ' ' || q.period, to_jsonb(q) FROM tenancy.quotas q WHERE q.tenant_id = tenant_limits.tenant
    ) v (n, relation, key, content)
     ORDER BY v.n, v.key COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.tenant_limits(uuid) IS 'Administrators only: what limits a tenant, for tenant_import when all its rows are there';

CREATE FUNCTION tenancy.export_tenant(tenant uuid) RETURNS TABLE ("position" integer, table_name text, copy_sql text, import_sql text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    item record;
    names text;
    highest text;
    last_value bigint;
    statement text;
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
    -- Keys that came from a sequence there must not be given out again here. Where the column is no number, what it gave last
    -- there is all there is to go by.
    FOR item IN
        SELECT d.objid::regclass AS sequence, t.relation, a.attname,
               ARRAY[y.oid, y.typbasetype] && '{int2,int4,int8,numeric}'::regtype[]::oid[] AS is_number
          FROM tenancy.tables_of_tenants() t
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
               AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
          JOIN pg_sequence q ON q.seqrelid = d.objid AND q.seqincrement > 0
          JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum = d.refobjsubid
          JOIN pg_type y ON y.oid = a.atttypid
         ORDER BY d.objid::regclass::text COLLATE "C"
    LOOP
        highest := format('(SELECT q.seqmax FROM pg_catalog.pg_sequence q WHERE q.seqrelid = %L::regclass)', item.sequence);
        IF item.is_number THEN
            statement := format('SELECT pg_catalog.setval(%1$L, max(t.%2$I)::bigint) FROM %3$s t'
                                ' WHERE t.%2$I BETWEEN (SELECT s.last_value FROM %1$s s) AND %4$s HAVING max(t.%2$I) IS NOT NULL',
                                item.sequence, item.attname, item.relation, highest);
        ELSE
            EXECUTE format('SELECT s.last_value FROM %s s WHERE s.is_called', item.sequence) INTO last_value;
            CONTINUE WHEN last_value IS NULL;
            statement := format('SELECT pg_catalog.setval(%1$L, %2$s) FROM %1$s s WHERE %2$s BETWEEN s.last_value AND %3$s', item.sequence, last_value, highest);
        END IF;
        n := n + 1;
        RETURN QUERY SELECT n, NULL::text, NULL::text, statement;
    END LOOP;
    n := n + 1;
    RETURN QUERY SELECT n, 'tenancy.tenant_import', format('COPY (SELECT relation, content FROM tenancy.tenant_limits(%L)) TO STDOUT', export_tenant.tenant),
                        'COPY tenancy.tenant_import (relation, content) FROM STDIN';
END
$$;
COMMENT ON FUNCTION tenancy.export_tenant(uuid) IS 'Administrators only: the statements that copy a tenant out, in the order in which they are to be copied in again, parents first: copy_sql writes to STDOUT what import_sql reads from STDIN; where copy_sql is NULL, import_sql is executed as it is. Run them in one REPEATABLE READ transaction: see docs/guides/moving_a_tenant.md. Errors: 42501 not an administrator, or row-level security hides rows; 42704 unknown tenant; 0A000 tables that refer to each other in a circle of foreign keys none of which is deferrable';
