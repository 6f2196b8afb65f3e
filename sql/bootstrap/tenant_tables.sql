-- Where a tenant's rows are in the host's tables, and which of these refer to which: what exporting a tenant and deleting
-- its rows go by.

CREATE FUNCTION tenancy.type_of_tenant_column(relation regclass, column_name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT format_type(a.atttypid, NULL) FROM pg_attribute a
             WHERE a.attrelid = relation AND a.attnum = tenancy.column_number(relation, column_name));
COMMENT ON FUNCTION tenancy.type_of_tenant_column(regclass, text) IS 'Administrators only: a column''s type as tenant_value() names it';

-- Protected tables, and the attached ones that are not protected: one row for each that rows are copied from and to, which
-- for a partitioned table is itself and for a table with children each of them.
CREATE FUNCTION tenancy.tables_of_tenants() RETURNS TABLE (relation regclass, root regclass, tenant_column text, tenant_type text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT c.oid::regclass, p.root_id, p.options ->> 'tenant_column', tenancy.type_of_tenant_column(c.oid, p.options ->> 'tenant_column')
      FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id WHERE NOT c.relispartition OR p.table_id = p.root_id
    UNION ALL
    SELECT c.oid::regclass, c.oid::regclass, v.name, tenancy.type_of_tenant_column(c.oid, v.name)
      FROM tenancy.attached_tables a JOIN pg_class c ON c.oid = a.relation
     CROSS JOIN LATERAL (SELECT a.columns ->> CASE a.kind WHEN 'tenants' THEN 'key' ELSE 'tenant' END) v (name)
     WHERE NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = a.relation);
    END;
COMMENT ON FUNCTION tenancy.tables_of_tenants() IS 'Administrators only: the host''s tables that hold rows of tenants, and the column that says whose';

-- A partition's rows are those of the table it is a partition of; a child's are its own.
CREATE FUNCTION tenancy.whole_relation(relation regclass) RETURNS regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT CASE WHEN c.relispartition THEN p.root_id ELSE p.table_id END
                       FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id WHERE p.table_id = relation), relation);
COMMENT ON FUNCTION tenancy.whole_relation(regclass) IS 'Administrators only: the relation of tables_of_tenants that has the rows of this one';

-- Foreign keys between different ones; those of partitions count as the whole table's.
CREATE FUNCTION tenancy.references_between_tables() RETURNS TABLE (child regclass, parent regclass, id oid, can_wait boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH line (id, relation) AS (
        SELECT p.table_id, tenancy.whole_relation(p.table_id) FROM tenancy.protected_tables p
        UNION
        SELECT t.relation, t.relation FROM tenancy.tables_of_tenants() t
    )
    SELECT f.relation, t.relation, c.oid, c.condeferrable
      FROM pg_constraint c JOIN line f ON f.id = c.conrelid JOIN line t ON t.id = c.confrelid
     WHERE c.contype = 'f' AND c.conparentid = 0 AND f.relation <> t.relation;
    END;
COMMENT ON FUNCTION tenancy.references_between_tables() IS 'Administrators only: foreign keys from a relation of tables_of_tenants to another';

-- rank: parents before children. Of a circle all have the same component, and it is more than one.
-- firm: only foreign keys that cannot be deferred count.
CREATE FUNCTION tenancy.order_of_tables(firm boolean) RETURNS TABLE (relation regclass, rank bigint, component regclass)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE node (id) AS MATERIALIZED (
        SELECT DISTINCT t.relation::oid FROM tenancy.tables_of_tenants() t
    ), edge (child, parent) AS MATERIALIZED (
        SELECT DISTINCT r.child::oid, r.parent::oid FROM tenancy.references_between_tables() r WHERE NOT (order_of_tables.firm AND r.can_wait)
    ), above (id, ancestor) AS (
        SELECT e.child, e.parent FROM edge e
        UNION
        SELECT a.id, e.parent FROM above a JOIN edge e ON e.child = a.ancestor
    ), mutual (id, first) AS MATERIALIZED (
        SELECT a.id, min(a.ancestor) FROM above a JOIN above b ON b.id = a.ancestor AND b.ancestor = a.id GROUP BY a.id
    ), whole (id, component) AS MATERIALIZED (
        SELECT n.id, least(n.id, m.first) FROM node n LEFT JOIN mutual m ON m.id = n.id
    ), ranked (id, rank) AS MATERIALIZED (
        SELECT a.id, count(*) FROM above a JOIN whole w ON w.id = a.id JOIN whole o ON o.id = a.ancestor
         WHERE o.component <> w.component GROUP BY a.id
    )
    SELECT w.id::regclass, coalesce(r.rank, 0), w.component::regclass FROM whole w LEFT JOIN ranked r ON r.id = w.id;
    END;
COMMENT ON FUNCTION tenancy.order_of_tables(boolean) IS 'Administrators only: the relations of tables_of_tenants so that what is referred to has the lower rank; tables that refer to each other in a circle are one component';

CREATE FUNCTION tenancy.check_tenant_for_administrators(tenant uuid, what text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to %', what USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION 'tenant does not exist' USING ERRCODE = '42704', HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
    END IF;
    -- Rows would be overlooked in silence.
    SELECT string_agg(t.relation::text, ', ' ORDER BY t.relation::text COLLATE "C") INTO hidden
      FROM tenancy.tables_of_tenants() t WHERE row_security_active(t.relation);
    IF hidden IS NOT NULL THEN
        RAISE EXCEPTION 'permission denied to %: row-level security hides rows', what USING ERRCODE = '42501',
            DETAIL = format('Of these tables: %s.', left(hidden, 200)),
            HINT = 'A superuser or a role with BYPASSRLS may.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_tenant_for_administrators(uuid, text) IS 'Administrators only: 42501 for anybody else, and for whom row-level security hides rows of tenants; 42704 unknown tenant';
