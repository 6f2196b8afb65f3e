-- Tables that take the tenant of the row they refer to: backfill_from => 'orders(order_id)'.

-- A name without a schema is the table of that name that the column refers to, or else one in the table's own schema: so
-- that a migration file says the same whatever the search_path.
CREATE FUNCTION tenancy.parse_reference("table" regclass, backfill_from text) RETURNS TABLE (parent regclass, reference text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ending text := substring(backfill_from FROM '\(\s*(?:"(?:[^"]|"")+"|[^\s"().,]+)\s*\)\s*$');
    path text[];
BEGIN
    BEGIN
        path := parse_ident(left(backfill_from, -length(ending)));
        reference := (parse_ident(regexp_replace(ending, '^\(|\)\s*$', '', 'g')))[1];
    EXCEPTION WHEN invalid_parameter_value THEN
        path := NULL;
    END;
    IF path IS NULL OR reference IS NULL OR cardinality(path) > 2 THEN
        RAISE EXCEPTION 'invalid backfill_from "%"', backfill_from USING ERRCODE = '22023',
            HINT = 'Write the table the rows belong to and the column that refers to it, as in ''orders(order_id)''.';
    END IF;
    IF tenancy.column_number("table", reference) IS NULL THEN
        RAISE EXCEPTION 'column "%" of table % does not exist', reference, "table" USING ERRCODE = '22023',
            HINT = 'In backfill_from, the column is the one of the table to protect, not of the table it refers to.';
    END IF;
    IF cardinality(path) = 2 THEN
        parent := to_regclass(format('%I.%I', path[1], path[2]));
    ELSE
        SELECT CASE count(DISTINCT f.confrelid) WHEN 1 THEN min(f.confrelid) END::regclass INTO parent
          FROM pg_constraint f JOIN pg_class c ON c.oid = f.confrelid
         WHERE f.conrelid = "table" AND f.contype = 'f' AND c.relname = path[1]
           AND tenancy.column_number("table", reference) = ANY (f.conkey);
        IF parent IS NULL THEN
            SELECT to_regclass(format('%s.%I', c.relnamespace::regnamespace, path[1])) INTO parent
              FROM pg_class c WHERE c.oid = "table";
        END IF;
    END IF;
    IF parent IS NULL THEN
        RAISE EXCEPTION 'table "%" of backfill_from does not exist', array_to_string(path, '.') USING ERRCODE = '22023',
            HINT = 'Without a schema it is the table that the column refers to, or one in the schema of the table to protect.';
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy.parse_reference(regclass, text) IS 'Administrators only: what backfill_from names. Errors: 22023 not of that form, no such column or table';

-- operator is the one the foreign key compares with. A foreign key that has the tenant beside the column, as
-- tenant_keys => 'fix' makes them, is one over the column.
CREATE FUNCTION tenancy.referenced_key("table" regclass, reference text, tenant_column text, parent regclass, parent_tenant text)
    RETURNS TABLE (key_column text, operator text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number smallint := tenancy.column_number("table", reference);
    referred integer;
    candidates integer;
    composite boolean;
BEGIN
    SELECT count(DISTINCT k.key) FILTER (WHERE NOT k.composite), min(k.key) FILTER (WHERE NOT k.composite),
           min(k.operator) FILTER (WHERE NOT k.composite), bool_or(k.composite)
      INTO referred, key_column, operator, composite
      FROM (SELECT a.attname::text AS key,
                   (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
                      FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = u.op) AS operator,
                   cardinality(f.conkey) - (SELECT count(*) FROM unnest(f.conkey, f.confkey) t (a, b)
                                             WHERE t.a = tenancy.column_number("table", tenant_column)
                                               AND t.b = tenancy.column_number(parent, parent_tenant)) > 1 AS composite
              FROM pg_constraint f
             CROSS JOIN LATERAL unnest(f.conkey, f.confkey, f.conpfeqop) u (a, b, op)
              JOIN pg_attribute a ON a.attrelid = parent AND a.attnum = u.b
             WHERE f.conrelid = "table" AND f.confrelid = parent AND f.contype = 'f' AND u.a = number) k;
    IF referred = 0 AND composite THEN
        RAISE EXCEPTION 'column "%" of table % refers to table % by several columns', reference, "table", parent USING
            ERRCODE = '22023', DETAIL = 'backfill_from needs one that alone says which row it is.',
            HINT = 'Fill the column with backfill => ''...'', and have the application set it.';
    ELSIF referred > 1 THEN
        RAISE EXCEPTION 'column "%" of table % refers to several columns of table %', reference, "table", parent USING
            ERRCODE = '22023', HINT = 'Name a column that refers to one of them.';
    ELSIF referred = 0 THEN
        IF EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = "table" AND f.contype = 'f' AND f.conkey = ARRAY[number]) THEN
            RAISE EXCEPTION 'column "%" of table % does not refer to table %', reference, "table", parent USING ERRCODE = '22023',
                DETAIL = 'It has a foreign key to another table.';
        END IF;
        -- Without a foreign key: the primary key, or else the only unique key.
        SELECT i.name, i.op, CASE WHEN i.is_primary THEN 1 ELSE i.keys END INTO key_column, operator, candidates
          FROM (SELECT bool_or(x.indisprimary) AS is_primary, a.attname::text AS name, count(*) OVER () AS keys,
                       min(format('OPERATOR(%I.%s)', n.nspname, o.oprname)) AS op
                  FROM pg_index x
                  JOIN pg_attribute a ON a.attrelid = parent AND a.attnum = x.indkey[0]
                  JOIN pg_attribute r ON r.attrelid = "table" AND r.attnum = number AND r.atttypid = a.atttypid
                  JOIN pg_opclass c ON c.oid = x.indclass[0]
                  JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amopstrategy = 3
                                AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype
                  JOIN pg_operator o ON o.oid = p.amopopr
                  JOIN pg_namespace n ON n.oid = o.oprnamespace
                 WHERE x.indrelid = parent AND x.indisunique AND x.indnkeyatts = 1 AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL
                 GROUP BY a.attname) i
         ORDER BY i.is_primary DESC, i.name LIMIT 1;
        IF key_column IS NULL THEN
            RAISE EXCEPTION 'column "%" of table % does not refer to table %', reference, "table", parent USING ERRCODE = '22023',
                DETAIL = 'It has no foreign key to it, and no column of its type alone is a primary or unique key there.';
        ELSIF candidates > 1 THEN
            RAISE EXCEPTION 'column "%" of table % may refer to several keys of table %', reference, "table", parent USING
                ERRCODE = '22023', HINT = 'Say which by a foreign key.';
        END IF;
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy.referenced_key(regclass, text, text, regclass, text) IS 'Administrators only: the column of the other table that a column refers to, by a foreign key or else the only key of its type, and the operator that compares them. Errors: 22023 none, several, or a composite one';

-- From a table on, what each takes its tenant from; path is how it was reached. It ends at root.
CREATE FUNCTION tenancy.reference_line(root regclass, parent regclass) RETURNS TABLE (relation regclass, path regclass[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE line (id, path) AS (
        SELECT coalesce((SELECT p.root_id FROM tenancy.protected_tables p WHERE p.table_id = parent), parent), ARRAY[parent]
        UNION ALL
        SELECT q.root_id, l.path || q.table_id
          FROM line l
          JOIN tenancy.protected_tables p ON p.table_id = l.id
          JOIN tenancy.protected_tables q ON q.table_id = to_regclass(p.options #>> '{backfill_from,table}')
         WHERE l.id <> root AND q.table_id <> ALL (l.path)
    )
    SELECT l.id, l.path FROM line l;
    END;
COMMENT ON FUNCTION tenancy.reference_line(regclass, regclass) IS 'Administrators only: a table, and those it takes its tenant from through others';

CREATE FUNCTION tenancy.check_no_cycle(root regclass, parent regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line text;
BEGIN
    SELECT array_to_string(l.path::text[], ', which takes it from ') INTO line FROM tenancy.reference_line(root, parent) l
     WHERE l.relation = root OR EXISTS (SELECT FROM tenancy.covered_relations(root) c WHERE c.relation = l.relation) LIMIT 1;
    IF line IS NOT NULL THEN
        RAISE EXCEPTION 'backfill_from would be a cycle' USING ERRCODE = '22023',
            DETAIL = format('Table %s would take its tenant from %s.', root, line);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_no_cycle(regclass, regclass) IS 'Administrators only: 22023 if a table would take its tenant from itself, through the other';

CREATE FUNCTION tenancy.lock_references() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN pg_advisory_xact_lock(hashtextextended('tenancy.backfill_from', 0));
COMMENT ON FUNCTION tenancy.lock_references() IS 'Administrators only: waits for other transactions that decide what a table takes its tenant from';

-- Two sessions, or two scripts made before either ran, could close a cycle between them: one at a time, and each sees what the
-- last committed, or is refused (40001) if its snapshot is older.
CREATE FUNCTION tenancy.guard_cycle() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := to_regclass(NEW.options #>> '{backfill_from,table}');
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.options -> 'backfill_from' = NEW.options -> 'backfill_from' THEN
        RETURN NEW;
    END IF;
    PERFORM tenancy.lock_references();
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        PERFORM FROM tenancy.protected_tables p
          WHERE p.table_id IN (SELECT l.relation FROM tenancy.reference_line(NEW.table_id, parent) l) FOR SHARE;
    END IF;
    PERFORM tenancy.check_no_cycle(NEW.table_id, parent);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_cycle() IS 'Trigger function: no table takes its tenant from itself, through others';
CREATE TRIGGER guard_cycle BEFORE INSERT OR UPDATE OF options ON tenancy.protected_tables
    FOR EACH ROW WHEN (NEW.table_id = NEW.root_id AND NEW.options ->> 'backfill_from' IS NOT NULL)
    EXECUTE FUNCTION tenancy.guard_cycle();
COMMENT ON TRIGGER guard_cycle ON tenancy.protected_tables IS 'No table takes its tenant from itself, through others';

-- As the options keep it: {"table", "column"}; and the type of the other table's tenant column.
CREATE FUNCTION tenancy.check_reference("table" regclass, tenant_column text, backfill_from text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named record;
    parent_options jsonb;
BEGIN
    SELECT r.* INTO named FROM tenancy.parse_reference("table", backfill_from) r;
    IF named.reference = tenant_column THEN
        RAISE EXCEPTION 'column "%" of table % is the tenant column', named.reference, "table" USING ERRCODE = '22023',
            HINT = 'backfill_from names another column, one that refers to the row the tenant is taken from.';
    END IF;
    PERFORM tenancy.check_no_cycle("table", named.parent);
    SELECT p.options INTO parent_options FROM tenancy.protected_tables p WHERE p.table_id = named.parent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % is not protected, so its rows have no tenant to take', named.parent USING ERRCODE = '55000',
            HINT = format('Protect it first: SELECT tenancy.protect_table(%L).', named.parent);
    END IF;
    PERFORM FROM tenancy.referenced_key("table", named.reference, tenant_column, named.parent, parent_options ->> 'tenant_column');
    RETURN jsonb_build_object('table', named.parent, 'column', named.reference);
END
$$;
COMMENT ON FUNCTION tenancy.check_reference(regclass, text, text) IS 'Administrators only: backfill_from as the options of protect_table keep it. Errors: 22023 bad reference, or a cycle; 55000 the other table is not protected';

-- The tenant of the row that a row of root refers to; row is how the query calls the latter.
CREATE FUNCTION tenancy.referenced_tenant(root regclass, options jsonb, row_name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass := to_regclass(options #>> '{backfill_from,table}');
    reference text := options #>> '{backfill_from,column}';
    parent_tenant text;
    key record;
BEGIN
    SELECT p.options ->> 'tenant_column' INTO parent_tenant FROM tenancy.protected_tables p WHERE p.table_id = parent;
    SELECT k.* INTO key FROM tenancy.referenced_key(root, reference, options ->> 'tenant_column', parent, parent_tenant) k;
    RETURN format('SELECT "~parent".%I FROM %s "~parent" WHERE "~parent".%I %s %s.%I',
                  parent_tenant, parent, key.key_column, key.operator, row_name, reference);
END
$$;
COMMENT ON FUNCTION tenancy.referenced_tenant(regclass, jsonb, text) IS 'Administrators only: a query for the tenant of the row that a row refers to';

-- What the inserting role does not see is not there, whoever's it is: the error is one and the same.
CREATE FUNCTION tenancy.copy_tenant() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant text;
    parents bigint;
BEGIN
    -- On a partitioned table, where it is there for the dependency.
    IF TG_LEVEL = 'STATEMENT' THEN
        RETURN NULL;
    END IF;
    EXECUTE TG_ARGV[0] INTO tenant USING NEW;
    GET DIAGNOSTICS parents = ROW_COUNT;
    IF parents > 0 AND tenant IS NOT NULL THEN
        RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[1], tenant));
    ELSIF parents > 0 OR tenancy.is_administrator() THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'column "%" of table "%" refers to no row of table "%" that you can see', TG_ARGV[2], TG_TABLE_NAME, TG_ARGV[3] USING
        ERRCODE = '23503', CONSTRAINT = 'tenant_of_reference', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[2],
        DETAIL = 'The row takes its tenant from the row it refers to.';
END
$$;
COMMENT ON FUNCTION tenancy.copy_tenant() IS 'Trigger function: on tables protected with backfill_from, gives a row the tenant of the row it refers to. Errors: 23503 there is none that the role sees, unless it is an administrator''s';
