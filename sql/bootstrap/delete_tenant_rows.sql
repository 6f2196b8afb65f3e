-- Deleting a tenant's rows in protected tables, a batch a call, so that transactions stay short.

-- A tenant's rows of one table that nothing refers to from within the tables that refer to each other in a circle, itself
-- included; all of them where no such are left.
CREATE FUNCTION tenancy.unreferenced_sql(relation regclass, component regclass[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT coalesce(string_agg(format(' AND NOT EXISTS (SELECT FROM %s c WHERE %s%s)', f.child, f.joined,
                                      CASE WHEN f.child = unreferenced_sql.relation THEN ' AND (c.tableoid, c.ctid) <> (r.tableoid, r.ctid)' ELSE '' END), ''), '')
      FROM (SELECT c.conrelid::regclass,
                   (SELECT string_agg(format('c.%I = r.%I', a.attname, b.attname), ' AND ' ORDER BY u.n)
                      FROM unnest(c.conkey, c.confkey) WITH ORDINALITY u (child, parent, n)
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.child
                      JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = u.parent)
              FROM pg_constraint c
             WHERE c.contype = 'f' AND c.confrelid = unreferenced_sql.relation
               AND coalesce((SELECT p.root_id FROM tenancy.protected_tables p WHERE p.table_id = c.conrelid), c.conrelid) = ANY (component)
               -- Of a partitioned table's, not its partitions' as well.
               AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.confrelid = c.confrelid)) f (child, joined);
    END;
COMMENT ON FUNCTION tenancy.unreferenced_sql(regclass, regclass[]) IS 'Administrators only: conditions on rows r of a table: no row of these tables refers to them';

CREATE FUNCTION tenancy.delete_tenant_rows(tenant uuid, batch integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
    leaf record;
    value text;
    condition text;
    statements text;
    affected bigint;
    in_part bigint;
    deleted bigint := 0;
BEGIN
    PERFORM tenancy.check_tenant_for_administrators(tenant, 'delete a tenant''s rows');
    IF batch IS NULL OR batch < 1 THEN
        RAISE EXCEPTION 'batch must be at least 1' USING ERRCODE = '22023';
    END IF;
    FOR part IN
        SELECT array_agg(o.root) AS roots, o.circular FROM tenancy.order_of_tables(false) o
         WHERE EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = o.root)
         GROUP BY o.component, o.circular ORDER BY max(o.rank) DESC, min(o.root::text COLLATE "C")
    LOOP
        LOOP
            in_part := 0;
            statements := '';
            -- Partitions and children one by one: a row's place is one within its table.
            FOR leaf IN SELECT p.table_id, p.options ->> 'tenant_column' AS tenant_column,
                               tenancy.type_of_tenant_column(p.table_id, p.options ->> 'tenant_column') AS type
                          FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id
                         WHERE p.root_id = ANY (part.roots) AND c.relkind = 'r' ORDER BY p.table_id::text COLLATE "C" LOOP
                EXIT WHEN deleted >= batch;
                value := tenancy.tenant_value(tenant, leaf.type);
                CONTINUE WHEN value IS NULL; -- no key of this type, so no rows
                condition := tenancy.unreferenced_sql(leaf.table_id, part.roots);
                EXECUTE format('DELETE FROM ONLY %1$s r WHERE r.%2$I = %3$L AND r.ctid = ANY (ARRAY(
                                    SELECT r.ctid FROM ONLY %1$s r WHERE r.%2$I = %3$L%4$s LIMIT %5$s))',
                               leaf.table_id, leaf.tenant_column, value, condition, batch - deleted);
                GET DIAGNOSTICS affected = ROW_COUNT;
                deleted := deleted + affected;
                in_part := in_part + affected;
                statements := statements || format(', d%s AS (DELETE FROM ONLY %s r WHERE r.%I = %L RETURNING 1)',
                                                   leaf.table_id::oid, leaf.table_id, leaf.tenant_column, value)
                              || CASE condition WHEN '' THEN '' ELSE '/**/' END;
            END LOOP;
            EXIT WHEN deleted >= batch;
            -- What is left refers to each other in a circle, and can go at once only.
            IF in_part = 0 AND statements LIKE '%/**/%' THEN
                EXECUTE format('WITH %s SELECT %s', substr(statements, 3),
                               (SELECT string_agg(format('(SELECT count(*) FROM %s)', m[1]), ' + ')
                                  FROM regexp_matches(statements, ', (d[0-9]+) AS', 'g') m)) INTO affected;
                deleted := deleted + affected;
                EXIT;
            END IF;
            EXIT WHEN in_part = 0 OR statements NOT LIKE '%/**/%';
        END LOOP;
        EXIT WHEN deleted >= batch;
    END LOOP;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION tenancy.delete_tenant_rows(uuid, integer) IS 'Administrators only: deletes at most that many rows of the tenant from protected tables, children before parents; only rows that refer to each other in a circle go all at once. Returns how many: call it until that is 0, then drop_tenant() works. Errors: 42501 not an administrator, or row-level security hides rows; 42704 unknown tenant; 22023 batch below 1; 23503 other tables refer to the rows';
