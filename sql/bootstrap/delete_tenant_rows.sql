-- Deleting a tenant's rows in protected tables, a batch a call, so that transactions stay short. Of tables that refer to
-- themselves or to each other, rows go that nothing refers to; then, step by step, those that only these referred to.

-- A tenant's rows of one table that nothing refers to from within the tables that refer to each other in a circle, itself
-- included; all of them where no such are left.
CREATE FUNCTION tenancy.unreferenced_sql(relation regclass, component regclass[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    -- A row may refer to itself, and in a partition by the foreign key of the whole table.
    SELECT coalesce(string_agg(format(' AND NOT EXISTS (SELECT FROM %s c WHERE %s%s)', f.child, f.joined,
                                      CASE WHEN f.whole = tenancy.whole_relation(unreferenced_sql.relation) THEN ' AND (c.tableoid, c.ctid) <> (r.tableoid, r.ctid)' ELSE '' END), ''), '')
      FROM (SELECT CASE k.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || c.conrelid::regclass, tenancy.whole_relation(c.conrelid),
                   (SELECT string_agg(format('c.%I = r.%I', a.attname, b.attname), ' AND ' ORDER BY u.n)
                      FROM unnest(c.conkey, c.confkey) WITH ORDINALITY u (child, parent, n)
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.child
                      JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = u.parent)
              FROM pg_constraint c JOIN pg_class k ON k.oid = c.conrelid
             WHERE c.contype = 'f' AND c.confrelid = unreferenced_sql.relation AND tenancy.whole_relation(c.conrelid) = ANY (component)
               -- Of a partitioned table's, not its partitions' as well.
               AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.confrelid = c.confrelid)) f (child, whole, joined);
    END;
COMMENT ON FUNCTION tenancy.unreferenced_sql(regclass, regclass[]) IS 'Administrators only: conditions on rows r of a table: no row of these tables refers to them';

CREATE FUNCTION tenancy.referenced_sql(relation regclass, component regclass[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT string_agg(format('SELECT p.tableoid, p.ctid FROM gone g JOIN %s p ON %s', f.parent, f.joined), ' UNION ')
      FROM (SELECT CASE k.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || c.confrelid::regclass,
                   (SELECT string_agg(format('p.%I = g.%I', b.attname, a.attname), ' AND ' ORDER BY u.n)
                      FROM unnest(c.conkey, c.confkey) WITH ORDINALITY u (child, parent, n)
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.child
                      JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = u.parent)
              FROM pg_constraint c JOIN pg_class k ON k.oid = c.confrelid
             WHERE c.contype = 'f' AND c.conrelid = referenced_sql.relation AND tenancy.whole_relation(c.confrelid) = ANY (component)
               AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid)) f (parent, joined);
    END;
COMMENT ON FUNCTION tenancy.referenced_sql(regclass, regclass[]) IS 'Administrators only: a SELECT of the rows in these tables that rows of a table, there called gone, referred to; NULL if none can';

-- What one statement reads and writes is done with one owner's rights.
CREATE FUNCTION tenancy.check_one_owner(component regclass[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owners text;
BEGIN
    SELECT string_agg(DISTINCT format('%s of %I', v.relation, v.owner), ', ') INTO owners
      FROM (SELECT c.oid::regclass AS relation, r.rolname AS owner, tenancy.is_trusted_owner(c.oid) AS trusted
              FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id JOIN pg_roles r ON r.oid = c.relowner
             WHERE tenancy.whole_relation(p.table_id) = ANY (component)) v
    HAVING NOT bool_and(v.trusted) AND count(DISTINCT v.owner) > 1;
    IF owners IS NOT NULL THEN
        RAISE EXCEPTION 'tables of different owners refer to each other in a circle' USING ERRCODE = '0A000',
            DETAIL = format('Rows are deleted with the rights of their owner, and here of several at once: %s.', left(owners, 200)),
            HINT = 'Give the tables to one owner, or delete these rows by hand.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_one_owner(regclass[]) IS 'Administrators only: 0A000 if tables that refer to each other are of several owners, not all of whom are superusers or the current user';

CREATE FUNCTION tenancy.delete_tenant_rows(tenant uuid, batch integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    part record;
    leaf record;
    condition text;
    parents text;
    circular boolean;
    leaves oid[];
    statements text[];
    rests text[];
    looked_at text;
    told text[];
    -- Rows that may have lost the last that referred to them: table and place.
    freed_tables oid[];
    freed tid[];
    next_tables oid[];
    next tid[];
    affected bigint;
    in_part bigint;
    deleted bigint := 0;
BEGIN
    PERFORM tenancy.check_tenant_for_administrators(tenant, 'delete a tenant''s rows');
    IF batch IS NULL OR batch < 1 THEN
        RAISE EXCEPTION 'batch must be at least 1' USING ERRCODE = '22023';
    END IF;
    <<parts>>
    FOR part IN
        SELECT array_agg(o.relation) AS relations FROM tenancy.order_of_tables(false) o
         WHERE EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = o.relation)
         GROUP BY o.component ORDER BY max(o.rank) DESC, min(o.relation::text COLLATE "C")
    LOOP
        circular := false;
        leaves := '{}';
        statements := '{}';
        rests := '{}';
        -- Partitions one by one: a row's place is one within its table.
        FOR leaf IN SELECT t.table_id, t.tenant_column, tenancy.tenant_value(tenant, t.type) AS value
                      FROM (SELECT p.table_id, p.options ->> 'tenant_column' AS tenant_column,
                                   tenancy.type_of_tenant_column(p.table_id, p.options ->> 'tenant_column') AS type
                              FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id
                             WHERE tenancy.whole_relation(p.table_id) = ANY (part.relations) AND c.relkind = 'r') t
                     ORDER BY t.table_id::text COLLATE "C" LOOP
            CONTINUE WHEN leaf.value IS NULL; -- no key of this type, so no rows
            condition := tenancy.unreferenced_sql(leaf.table_id, part.relations);
            parents := tenancy.referenced_sql(leaf.table_id, part.relations);
            circular := circular OR condition <> '';
            leaves := leaves || leaf.table_id::oid;
            rests := rests || format('DELETE FROM ONLY %s r WHERE r.%I = %L RETURNING 1', leaf.table_id, leaf.tenant_column, leaf.value);
            -- Of a row that is changed meanwhile the place is another. The first line is how many went, the others are what they freed.
            statements := statements || ARRAY[[
                format('WITH gone AS (
                    DELETE FROM ONLY %1$s r WHERE r.ctid = ANY (ARRAY(
                        SELECT r.ctid FROM ONLY %1$s r WHERE r.%2$I = %3$L%4$s', leaf.table_id, leaf.tenant_column, leaf.value, condition),
                format(')) RETURNING %s),
                    freed AS (%s)
                SELECT count(*)::text FROM gone UNION ALL SELECT concat(f.tableoid, '' '', f.ctid) FROM freed f',
                CASE WHEN parents IS NULL THEN '1' ELSE 'r.*' END,
                coalesce(parents, 'SELECT NULL::oid AS tableoid, NULL::tid AS ctid WHERE false'))]];
        END LOOP;
        PERFORM tenancy.check_one_owner(part.relations) WHERE circular;
        LOOP
            in_part := 0;
            freed_tables := NULL; -- all are looked at
            LOOP
                next_tables := '{}';
                next := '{}';
                FOR i IN 1 .. cardinality(leaves) LOOP
                    EXIT parts WHEN deleted >= batch;
                    looked_at := '';
                    IF freed_tables IS NOT NULL THEN
                        looked_at := (SELECT format(' AND r.ctid = ANY (%L::tid[])', array_agg(u.place))
                                        FROM unnest(freed_tables, freed) u (relation, place) WHERE u.relation = leaves[i] HAVING count(*) > 0);
                        CONTINUE WHEN looked_at IS NULL;
                    END IF;
                    told := tenancy.change_and_tell(leaves[i], concat(statements[i][1], looked_at, ' LIMIT ', batch - deleted, statements[i][2]), 'DELETE');
                    affected := told[1];
                    deleted := deleted + affected;
                    in_part := in_part + affected;
                    next_tables := next_tables || ARRAY(SELECT split_part(l, ' ', 1)::oid FROM unnest(told[2:]) l);
                    next := next || ARRAY(SELECT split_part(l, ' ', 2)::tid FROM unnest(told[2:]) l);
                END LOOP;
                EXIT WHEN next_tables = '{}';
                freed_tables := next_tables;
                freed := next;
            END LOOP;
            EXIT WHEN NOT circular;
            CONTINUE WHEN in_part > 0;
            -- What is left refers to each other in a circle, and can go at once only.
            told := tenancy.change_and_tell(leaves[1], (
                SELECT 'WITH ' || string_agg(format('d%s AS (%s)', u.n, u.statement), ', ' ORDER BY u.n)
                       || ' SELECT (' || string_agg(format('(SELECT count(*) FROM d%s)', u.n), ' + ') || ')::text'
                  FROM unnest(rests) WITH ORDINALITY u (statement, n)), 'DELETE');
            deleted := deleted + told[1]::bigint;
            EXIT;
        END LOOP;
    END LOOP;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION tenancy.delete_tenant_rows(uuid, integer) IS 'Administrators only: deletes at most that many rows of the tenant from protected tables, children before parents, with the rights of the tables'' owners; only rows that refer to each other in a circle, and what these refer to, go all at once. Returns how many: call it until that is 0, then drop_tenant() works, unless rows were being written meanwhile. Errors: 42501 not an administrator, row-level security hides rows, or what a table''s owner may not; 42704 unknown tenant; 22023 batch below 1; 0A000 tables of different owners refer to each other in a circle; 23503 other tables refer to the rows';
