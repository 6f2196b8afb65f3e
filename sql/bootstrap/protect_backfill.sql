-- What fills the tenant column of the rows that are there, and whether the rows can be protected.

CREATE FUNCTION tenancy.constant_pattern() RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '^\(''[^''\\]*''::[a-z ]+\)$';
COMMENT ON FUNCTION tenancy.constant_pattern() IS 'Administrators only: a pattern of expressions that are one value for all rows';

-- Rows without a tenant, unless these are shared already: then they are meant to be so.
CREATE FUNCTION tenancy.lacks_tenants(root regclass, options jsonb) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM tenancy.covered_relations(root) r
                    WHERE NOT tenancy.column_is_filled(r.relation, options ->> 'tenant_column'))
           AND NOT EXISTS (SELECT FROM tenancy.protected_tables p
                            WHERE p.table_id = root AND p.options ->> 'tenant_column' = lacks_tenants.options ->> 'tenant_column'
                              AND p.options ->> 'shared' IS NOT NULL AND lacks_tenants.options ->> 'shared' IS NOT NULL);
COMMENT ON FUNCTION tenancy.lacks_tenants(regclass, jsonb) IS 'Administrators only: whether nothing vouches for every row having a tenant';

-- Postgres's own words about an expression are the detail. Only one query is let through.
CREATE FUNCTION tenancy.count_backfill(root regclass, query text, OUT without bigint, OUT unknown bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off SET constraint_exclusion = off AS $$
DECLARE
    result refcursor;
BEGIN
    OPEN result FOR EXECUTE query;
    FETCH result INTO without, unknown;
    CLOSE result;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE;
    WHEN syntax_error_or_access_rule_violation OR data_exception OR cardinality_violation OR feature_not_supported OR
         invalid_cursor_definition OR plpgsql_error THEN
        RAISE EXCEPTION 'invalid backfill for table %', root USING ERRCODE = '22023', DETAIL = SQLERRM,
            HINT = 'Pass a tenant''s id, or an expression over the row that can be cast to the column''s type; names outside pg_catalog with their schema.';
END
$$;
COMMENT ON FUNCTION tenancy.count_backfill(regclass, text) IS 'Administrators only: executes a query that evaluates a backfill. Errors: 22023 with Postgres''s message as detail';

-- The id of the tenant that the host's key names, as SQL. A text may be the id itself: no other tenant's key reads as it.
-- Names in what gives the key stay those of the row: nothing beside it is in sight from where it stands.
CREATE FUNCTION tenancy.tenant_by_key(reference text, key text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN format(CASE reference
        WHEN 'key_number' THEN '(SELECT t.id FROM (SELECT %s AS key) k JOIN tenancy.tenants t ON t.key_number = k.key)'
        ELSE $sql$(SELECT CASE WHEN k.key ~* '^\{?([0-9a-f]{4}-?){7}[0-9a-f]{4}\}?$' THEN k.key::uuid ELSE (SELECT t.id FROM tenancy.tenants t WHERE t.key = k.key) END FROM (SELECT %s COLLATE "default" AS key) k)$sql$
        END, key);
COMMENT ON FUNCTION tenancy.tenant_by_key(text, text) IS 'Administrators only: SQL that looks up a tenant''s id by SQL for his key: key_number a bigint, key a text';

-- value is SQL over a row; names is the column of tenancy.tenants that it names the tenant by: the one that the tenant column
-- refers to, or for a column of ids also a key of the host's, by the type of the expression.
CREATE FUNCTION tenancy.backfill_value(root regclass, options jsonb, backfill text, OUT value text, OUT names text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    type text := tenancy.tenant_type(options);
    reference text := tenancy.tenant_reference(options);
    tenant uuid;
BEGIN
    names := reference;
    BEGIN
        tenant := backfill::uuid;
    EXCEPTION WHEN invalid_text_representation THEN
        tenant := NULL;
    END;
    IF tenant IS NOT NULL THEN
        SELECT to_jsonb(t) ->> reference INTO value FROM tenancy.tenants t WHERE t.id = tenant;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'tenant to backfill with does not exist' USING ERRCODE = '42704',
                HINT = 'SELECT id, slug FROM tenancy.tenants lists them.';
        ELSIF value IS NULL THEN
            RAISE EXCEPTION 'tenant to backfill with has no key of type %', type USING ERRCODE = '22023',
                HINT = 'UPDATE tenancy.tenants SET key = ... gives it one.';
        END IF;
        value := format('(%L::%s)', value, type);
    ELSIF backfill IS NOT NULL THEN
        -- The line feed ends a comment.
        value := format(E'((%s\n))', backfill);
        PERFORM tenancy.check_computed(root);
        IF reference = 'id' THEN
            -- As below: inside of a look-up an aggregate would be one.
            PERFORM tenancy.count_backfill(root, format('SELECT 0::bigint, 0::bigint FROM %s WHERE %s IS NULL LIMIT 0', root, value));
            SELECT CASE WHEN t.oid = ANY ('{smallint,integer,bigint}'::regtype[]) THEN 'key_number' WHEN t.typcategory = 'S' THEN 'key' ELSE names END
              INTO names
              FROM tenancy.count_backfill(root, format('SELECT pg_typeof(v.value)::oid::bigint, 0::bigint FROM (SELECT) one LEFT JOIN (SELECT %s AS value FROM %s LIMIT 0) v ON true', value, root)) f
              JOIN pg_type t ON t.oid = f.without::oid;
        END IF;
        value := format(E'((%s\n)::%s)', backfill, CASE names WHEN reference THEN type WHEN 'key_number' THEN 'bigint' ELSE 'text' END);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.backfill_value(regclass, jsonb, text) IS 'Administrators only: what a backfill gives a row, as SQL, and which column of tenancy.tenants that is. Errors: 42704 no such tenant; 22023 a tenant without such a key, or no expression over the row';

-- As SQL over a row of the table, in the tenant column's type; NULL if there is nothing to fill or to fill with.
CREATE FUNCTION tenancy.backfill_expression(root regclass, options jsonb, backfill text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    expression text;
BEGIN
    IF NOT tenancy.lacks_tenants(root, options) THEN
        RETURN NULL;
    END IF;
    SELECT CASE v.names WHEN tenancy.tenant_reference(options) THEN v.value ELSE tenancy.tenant_by_key(v.names, v.value) END INTO expression
      FROM tenancy.backfill_value(root, options, backfill) v;
    IF options ->> 'backfill_from' IS NOT NULL THEN
        expression := format('(coalesce((%s), %s)::%s)',
                             (SELECT tenancy.referenced_tenant(root, options, quote_ident(c.relname)) FROM pg_class c WHERE c.oid = root),
                             coalesce(expression, 'NULL'), tenancy.tenant_type(options));
    END IF;
    IF expression ~ tenancy.constant_pattern() THEN
        PERFORM tenancy.count_backfill(root, format('SELECT 0::bigint, 0::bigint WHERE %s IS NULL LIMIT 0', expression));
    ELSIF expression IS NOT NULL THEN
        PERFORM tenancy.check_computed(root), tenancy.check_computed(to_regclass(options #>> '{backfill_from,table}'));
        -- WHERE takes what UPDATE takes: no aggregates, no sets.
        PERFORM tenancy.count_backfill(root, format('SELECT 0::bigint, 0::bigint FROM %s WHERE %s IS NULL LIMIT 0', root, expression));
    END IF;
    RETURN expression;
END
$$;
COMMENT ON FUNCTION tenancy.backfill_expression(regclass, jsonb, text) IS 'Administrators only: what the rows without a tenant are filled with, as SQL. Errors: 42704 no such tenant; 22023 a tenant without such a key, or no expression over the row';

-- Before its expression is evaluated for the first time; whatever the options say is checked already.
CREATE FUNCTION tenancy.hold_backfill(root regclass, options jsonb, backfill text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tenancy.lacks_tenants(root, options)
       AND (options ->> 'backfill_from' IS NOT NULL OR backfill !~* '^\{?([0-9a-f]{4}-?){7}[0-9a-f]{4}\}?$') THEN
        PERFORM tenancy.hold_computed(r)
           FROM (SELECT root AS r UNION SELECT to_regclass(options #>> '{backfill_from,table}')) v WHERE r IS NOT NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.hold_backfill(regclass, jsonb, text) IS 'Administrators only: as hold_computed, for what a backfill that is more than a tenant''s id reads';

-- Reads the rows, unless constraints vouch for them. row_security is off, so that rows hidden from a forced owner are an
-- error and not overlooked.
CREATE FUNCTION tenancy.check_rows(root regclass, options jsonb, backfill text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    reference text := tenancy.tenant_reference(options);
    missing boolean := tenancy.column_number(root, tenant_column) IS NULL;
    rows_to_fill text := format(CASE WHEN missing THEN 'SELECT %s AS tenant FROM %s OFFSET 0'
                                     ELSE 'SELECT %s AS tenant FROM %s WHERE %I IS NULL OFFSET 0' END,
                                backfill, root, tenant_column);
    without bigint := 0;
    unknown bigint := 0;
    unfilled boolean;
BEGIN
    IF options ->> 'mode' = 'observe' THEN
        PERFORM tenancy.report_rows(root, options, backfill);
        RETURN;
    END IF;
    PERFORM tenancy.check_policies(root, options);
    -- A constant was looked up already.
    IF tenancy.lacks_tenants(root, options) AND backfill IS NULL THEN
        without := (SELECT sum(n::bigint) FROM unnest(tenancy.read_parts(root, 'SELECT count(*)::text FROM ',
                                                      CASE WHEN missing THEN '' ELSE format(' WHERE %I IS NULL', tenant_column) END)) n);
    ELSIF tenancy.lacks_tenants(root, options) AND backfill !~ tenancy.constant_pattern() THEN
        SELECT c.* INTO without, unknown FROM tenancy.count_backfill(root, format(
            'SELECT count(*) FILTER (WHERE r.tenant IS NULL), count(*) FILTER (WHERE r.tenant IS NOT NULL AND t.id IS NULL)'
            ' FROM (%s) r LEFT JOIN tenancy.tenants t ON t.%I = r.tenant', rows_to_fill, reference)) c;
    END IF;
    IF without > 0 AND options ->> 'shared' IS NULL THEN
        IF backfill IS NOT NULL THEN
            RAISE EXCEPTION 'backfill gives no tenant to % row(s) of table %', without, root USING ERRCODE = '22023',
                HINT = 'Fill the column of these rows first, or choose an expression that is not null'
                    || CASE WHEN reference = 'id' AND options ->> 'backfill_from' IS NULL THEN ' and gives no keys but those in tenancy.tenants.' ELSE '.' END;
        END IF;
        RAISE EXCEPTION 'table % has % row(s) without a tenant', root, without USING ERRCODE = '22023',
            HINT = CASE WHEN EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = root AND p.options ->> 'shared' IS NOT NULL)
                        THEN 'They are shared rows: keep shared => ''read'', delete them, or name the tenant they are to belong to with backfill => ''...''.'
                        ELSE 'Name the tenant they belong to with backfill => ''...'', or fill the column first.' END;
    END IF;
    unfilled := unknown > 0;
    IF NOT unfilled AND NOT missing
       AND EXISTS (SELECT FROM tenancy.covered_relations(root) r
                    WHERE NOT EXISTS (SELECT FROM tenancy.tenant_foreign_key(r.relation, tenant_column) k WHERE k.valid)) THEN
        IF tenancy.trusts_owners(root) THEN
            EXECUTE format('SELECT count(*) FROM %1$s r WHERE r.%2$I IS NOT NULL
                               AND NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.%3$I = r.%2$I)', root, tenant_column, reference)
               INTO unknown;
        ELSE
            EXECUTE format('SELECT coalesce(sum(split_part(n, '' '', 1)::bigint), 0) FROM unnest($1) n
                             WHERE NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.%I = substr(n, strpos(n, '' '') + 1)::%s)', reference, tenancy.tenant_type(options))
               INTO unknown
              USING tenancy.read_parts(root, format('SELECT concat(count(*), '' '', r.%I) FROM ', tenant_column),
                                       format(' r WHERE r.%1$I IS NOT NULL GROUP BY r.%1$I', tenant_column));
        END IF;
    END IF;
    IF unknown > 0 THEN
        RAISE EXCEPTION 'table % has % row(s) of tenants that do not exist', root, unknown USING ERRCODE = '55000',
            DETAIL = format(CASE WHEN unfilled THEN 'The backfill names tenants that are not in tenancy.tenants.'
                                 ELSE 'Column "%s" names tenants that are not in tenancy.tenants.' END, tenant_column),
            HINT = CASE reference WHEN 'id' THEN 'Insert the tenants with these ids, or correct the rows.'
                                  ELSE 'Create the tenants, with SELECT tenancy.create_tenant(slug, name, key => ''...''), or correct the rows.' END;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_rows(regclass, jsonb, text) IS 'Administrators only: 55000 for unknown permissive policies or rows of unknown tenants; 22023 for rows that are left without a tenant';

-- What the expression of a backfill reads: the table, and the one that rows take their tenant from.
CREATE FUNCTION tenancy.read_by_backfill(root regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT root
    UNION
    SELECT to_regclass(p.options #>> '{backfill_from,table}') FROM tenancy.protected_tables p
     WHERE p.table_id = root AND to_regclass(p.options #>> '{backfill_from,table}') IS NOT NULL;
    END;
COMMENT ON FUNCTION tenancy.read_by_backfill(regclass) IS 'Administrators only: a protected table, and the one that its rows take their tenant from';

-- The expression is the caller's and reads what he may read, so it is evaluated before anything of an owner's runs. Partitions
-- and children of other owners are written to one by one; a row that would have to move to another partition is an error then.
CREATE PROCEDURE tenancy.fill_tenants(root regclass, tenant_column text, expression text, shared boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET tenancy.allow_tenant_change = on
    SET constraint_exclusion = off AS $$
DECLARE
    owners oid[] := ARRAY(SELECT DISTINCT c.relowner FROM tenancy.covered_relations(root) r JOIN pg_class c ON c.oid = r.relation);
    target record;
BEGIN
    IF tenancy.trusts_owners(root) THEN
        EXECUTE format('UPDATE %1$s SET %2$I = %3$s WHERE %2$I IS NULL', root, tenant_column, expression)
                || CASE WHEN shared THEN format(' AND %s IS NOT NULL', expression) ELSE '' END;
        RETURN;
    END IF;
    IF expression ~ tenancy.constant_pattern() THEN
        FOR target IN SELECT * FROM tenancy.parts_by_owner(root) LOOP
            PERFORM tenancy.change_rows(target.relation, format('UPDATE %s SET %I = %s WHERE %2$I IS NULL', target.source, tenant_column, expression));
        END LOOP;
        RETURN;
    END IF;
    PERFORM tenancy.hold_computed(r) FROM tenancy.read_by_backfill(root) r;
    EXECUTE format('CREATE TEMPORARY TABLE "~pg_tenancy_fill" AS SELECT tableoid AS relation, ctid AS place, %s AS tenant FROM %s WHERE %I IS NULL',
                   expression, root, tenant_column);
    ANALYZE pg_temp."~pg_tenancy_fill";
    EXECUTE format('GRANT SELECT ON pg_temp."~pg_tenancy_fill" TO %s',
                   (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r WHERE r.oid = ANY (owners)));
    FOR target IN
        SELECT root AS relation, '' AS only WHERE cardinality(owners) = 1
        UNION ALL
        SELECT r.relation, 'ONLY ' FROM tenancy.covered_relations(root) r JOIN pg_class c ON c.oid = r.relation
         WHERE cardinality(owners) > 1 AND c.relkind = 'r'
    LOOP
        PERFORM tenancy.change_rows(target.relation, format(
            'UPDATE %s%s AS r SET %I = f.tenant FROM pg_temp."~pg_tenancy_fill" AS f'
            ' WHERE r.tableoid = f.relation AND r.ctid = f.place AND f.tenant IS NOT NULL', target.only, target.relation, tenant_column));
    END LOOP;
    DROP TABLE pg_temp."~pg_tenancy_fill";
END
$$;
COMMENT ON PROCEDURE tenancy.fill_tenants(regclass, text, text, boolean) IS 'Administrators only: gives the rows of a table and all below it that have no tenant what the expression says, with the rights of their owners. It must be locked. Errors: as of the UPDATE';

-- Each batch of a staged rollout is a transaction of its own.
CREATE FUNCTION tenancy.hold_filled(relation regclass) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT tenancy.hold_computed(r)
      FROM (SELECT relation AS r UNION SELECT b FROM tenancy.protected_tables p, tenancy.read_by_backfill(p.root_id) b WHERE p.table_id = relation AND b <> p.root_id) v;
    END;
COMMENT ON FUNCTION tenancy.hold_filled(regclass) IS 'Administrators only: as hold_computed, for a relation that is being filled and the table that its rows take their tenant from';

-- The same for some pages of one relation, whose rows others write meanwhile; what they hold is left out.
CREATE FUNCTION tenancy.fill_pages(relation regclass, tenant_column text, expression text, table_name text, first bigint, beyond bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET constraint_exclusion = off AS $$
DECLARE
    pages text := format('BETWEEN ''(%s,0)'' AND ''(%s,65535)''', first, beyond - 1);
    free_rows text := format('FROM ONLY %1$s AS %2$I WHERE %2$I.ctid %3$s AND %2$I.%4$I IS NULL AND (%5$s) IS NOT NULL FOR UPDATE SKIP LOCKED',
                             relation, table_name, pages, tenant_column, expression);
    filled bigint;
    places text;
    tenants text;
BEGIN
    IF tenancy.is_trusted_owner(relation) THEN
        EXECUTE format('UPDATE ONLY %1$s AS %2$I SET %3$I = (%4$s) WHERE %2$I.ctid = ANY (ARRAY(SELECT %2$I.ctid %5$s))',
                       relation, table_name, tenant_column, expression, free_rows);
        GET DIAGNOSTICS filled = ROW_COUNT;
        RETURN filled;
    END IF;
    IF expression ~ tenancy.constant_pattern() THEN
        RETURN tenancy.change_rows(relation, format('UPDATE ONLY %1$s AS r SET %2$I = %3$s WHERE r.ctid = ANY (ARRAY('
            'SELECT r.ctid FROM ONLY %1$s AS r WHERE r.ctid %4$s AND r.%2$I IS NULL FOR UPDATE SKIP LOCKED))', relation, tenant_column, expression, pages));
    END IF;
    PERFORM tenancy.hold_filled(relation);
    EXECUTE format('SELECT array_agg(f.place), array_agg(f.tenant::text) FROM (SELECT %I.ctid AS place, (%s) AS tenant %s) f',
                   table_name, expression, free_rows) INTO places, tenants;
    IF places IS NULL THEN
        RETURN 0;
    END IF;
    RETURN tenancy.change_rows(relation, format(
        'UPDATE ONLY %s AS r SET %I = f.tenant::%s FROM unnest(%L::tid[], %L::text[]) AS f (place, tenant) WHERE r.ctid = f.place AND r.ctid %s',
        relation, tenant_column, tenancy.column_type(relation, tenant_column), places, tenants, pages));
END
$$;
COMMENT ON FUNCTION tenancy.fill_pages(regclass, text, text, text, bigint, bigint) IS 'Administrators only: as fill_tenants, for those rows on some pages of one relation that nobody else has locked; how many. table_name is what the expression calls the relation';

-- Whether rows are left that the expression gives a tenant, for the script of a staged rollout.
CREATE FUNCTION tenancy.is_unfilled(relation regclass, tenant_column text, expression text, table_name text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET constraint_exclusion = off AS $$
DECLARE
    unfilled boolean;
BEGIN
    IF expression ~ tenancy.constant_pattern() AND NOT tenancy.is_trusted_owner(relation) THEN
        RETURN (tenancy.read_as_owner(relation, format('SELECT EXISTS (SELECT FROM ONLY %s r WHERE r.%I IS NULL)::text', relation, tenant_column)))[1]::boolean;
    END IF;
    PERFORM tenancy.hold_filled(relation);
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s AS %4$I WHERE %4$I.%2$I IS NULL AND (%3$s) IS NOT NULL)', relation, tenant_column, expression, table_name)
       INTO unfilled;
    RETURN unfilled;
END
$$;
COMMENT ON FUNCTION tenancy.is_unfilled(regclass, text, text, text) IS 'Administrators only: whether one relation has rows without a tenant that the expression gives one. table_name is what the expression calls the relation';
