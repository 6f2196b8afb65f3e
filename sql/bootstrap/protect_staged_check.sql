-- What a staged rollout refuses: when the script is made, so that nothing it does can disturb the application, and when it runs,
-- for what has changed since.

-- What the trigger of the rollout evaluates with the rights of the table's owner: SQL that gives a text, the column of
-- tenancy.tenants that it names the tenant by, a colon, and the value.
CREATE FUNCTION tenancy.staged_filling(root regclass, options jsonb, backfill text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    reference text := tenancy.tenant_reference(options);
    given record;
    expression text;
BEGIN
    IF NOT tenancy.lacks_tenants(root, options) THEN
        RETURN NULL;
    END IF;
    SELECT v.* INTO given FROM tenancy.backfill_value(root, options, backfill) v;
    IF given.value IS NOT NULL THEN
        expression := format('(%L || %s::pg_catalog.text)', given.names || ':', given.value);
    END IF;
    IF options ->> 'backfill_from' IS NOT NULL THEN
        expression := format('coalesce(%L || (%s)::%s::pg_catalog.text, %s)', reference || ':',
                             (SELECT tenancy.referenced_tenant(root, options, quote_ident(c.relname)) FROM pg_class c WHERE c.oid = root),
                             tenancy.tenant_type(options), coalesce(expression, 'NULL'));
    END IF;
    RETURN CASE WHEN expression IS NOT NULL THEN jsonb_build_object('expression', expression, 'names', given.names) END;
END
$$;
COMMENT ON FUNCTION tenancy.staged_filling(regclass, jsonb, text) IS 'Administrators only: what fills rows that come during a staged rollout, as arguments of the trigger; NULL if nothing does';

-- Every row is compared. STABLE, so that it is the same rows for both; with row_security on, as the application has it.
CREATE FUNCTION tenancy.check_filling(root regclass, options jsonb, expression text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = on SET constraint_exclusion = off AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    root_name name := (SELECT c.relname FROM pg_class c WHERE c.oid = root);
    owner regrole;
    query text := format('SELECT concat(count(v.value), '' '', bit_xor(hashtextextended(concat(v.tableoid, v.ctid, v.value), 0)))'
                         ' FROM (SELECT tableoid, ctid, %s AS value FROM %s%s OFFSET 0) v', expression, root,
                         CASE WHEN tenancy.column_number(root, tenant_column) IS NOT NULL THEN format(' WHERE %I IS NULL', tenant_column) ELSE '' END);
    of_owner text;
    of_administrator text;
    detail text;
BEGIN
    -- The form in which the trigger evaluates it.
    BEGIN
        EXECUTE format('SELECT %s FROM (SELECT (NULL::%s).*) AS %I LIMIT 0', expression, root, root_name);
    EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
        RAISE EXCEPTION 'backfill cannot be computed for rows that come during the rollout' USING ERRCODE = '22023',
            DETAIL = SQLERRM, HINT = format('Name columns alone, or as %I.column, with no schema.', root_name);
    END;
    SELECT r.oid INTO owner FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = root AND NOT r.rolsuper;
    IF owner IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        of_owner := (tenancy.read_as_owner(root, query))[1];
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR plpgsql_error THEN
        RAISE EXCEPTION 'backfill cannot be computed with the rights of the owner of table %', root USING
            ERRCODE = CASE SQLSTATE WHEN '42501' THEN '42501' ELSE '22023' END,
            DETAIL = SQLERRM, HINT = tenancy.filling_hint(owner, options);
    END;
    EXECUTE query INTO of_administrator;
    IF of_owner IS DISTINCT FROM of_administrator THEN
        RAISE EXCEPTION 'backfill gives other tenants with the rights of the owner of table %', root USING ERRCODE = '22023',
            DETAIL = 'What it reads shows him other rows than you.', HINT = tenancy.filling_hint(owner, options);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_filling(regclass, jsonb, text) IS 'Administrators only: whether the trigger of a staged rollout will do what the backfill does. Errors: 42501 its owner may not read what it reads; 22023 he reads something else';

CREATE FUNCTION tenancy.filling_hint(owner regrole, options jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format('Rows that come during the rollout are filled with his rights. Let %s see what it reads', owner)
        || CASE WHEN tenancy.tenant_reference(options) = 'id' AND options ->> 'backfill_from' IS NULL
                THEN ', or let it give the tenant''s key, as in backfill => ''org_id'': that is looked up without him.' ELSE '.' END;
COMMENT ON FUNCTION tenancy.filling_hint(regrole, jsonb) IS 'Administrators only: the HINT of check_filling';

CREATE FUNCTION tenancy.check_staged(root regclass, options jsonb, backfill text, filling jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
BEGIN
    IF options ->> 'mode' = 'observe' THEN
        RAISE EXCEPTION 'staged is for a mode that enforces' USING ERRCODE = '22023',
            HINT = 'Mode observe enforces nothing; it is the first half of a staged rollout anyway.';
    ELSIF EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = root AND p.options ->> 'tenant_column' <> tenant_column) THEN
        RAISE EXCEPTION 'cannot change the tenant column of table % in stages', root USING ERRCODE = '0A000',
            HINT = 'Call protect_table() without staged, or tenancy.unprotect_table() first.';
    ELSIF options ->> 'tenant_keys' = 'fix' AND EXISTS (SELECT FROM tenancy.rewrite_keys(root, options)) THEN
        RAISE EXCEPTION 'cannot rewrite keys of table % in stages', root USING ERRCODE = '0A000',
            HINT = 'Leave tenant_keys => ''report''; afterwards protect_table(..., tenant_keys => ''fix'') rewrites them, and reads the rows meanwhile.';
    -- Columns of the partition key are internally dependent on their table, and no others.
    ELSIF filling IS NOT NULL AND EXISTS (
        SELECT FROM tenancy.covered_relations(root) c
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.relation AND d.objsubid = tenancy.column_number(c.relation, tenant_column)
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.relation AND d.refobjsubid = 0 AND d.deptype = 'i') THEN
        RAISE EXCEPTION 'cannot fill column "%" of table % in stages: it is partitioned by it', tenant_column, root USING ERRCODE = '0A000',
            DETAIL = 'A trigger cannot move the rows that come during the rollout to their partitions.',
            HINT = 'Have the application name the tenant, fill the column, and leave out the backfill; or call protect_table() without staged.';
    END IF;
    IF backfill !~ tenancy.constant_pattern() THEN
        PERFORM tenancy.check_filling(root, options, filling ->> 'expression');
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_staged(regclass, jsonb, text, jsonb) IS 'Administrators only: what cannot be done in stages. Errors: 0A000 keys to be rewritten, another tenant column, or filling a column that the table is partitioned by; 22023 mode observe, or a backfill that is another with the owner''s rights; 42501 or that needs some he has not';

-- Others may have taken the other table's protection away, or have it take its tenant from this one. Whoever changes one of
-- these rows waits for us, or we for him: so of two scripts that would make a cycle the last finds it.
CREATE FUNCTION tenancy.check_staged_again(root regclass, options jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text := options #>> '{backfill_from,table}';
    found_column text;
    found_message text; found_detail text;
BEGIN
    SELECT p.options ->> 'tenant_column' INTO found_column FROM tenancy.protected_tables p WHERE p.table_id = root FOR UPDATE;
    IF found_column <> options ->> 'tenant_column' THEN
        RAISE EXCEPTION 'its tenant column is "%" now, not "%"', found_column, options ->> 'tenant_column' USING ERRCODE = '55000';
    END IF;
    IF parent IS NOT NULL THEN
        IF to_regclass(parent) IS NOT NULL THEN
            EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', parent);
        END IF;
        PERFORM FROM tenancy.protected_tables p WHERE p.table_id = ANY (ARRAY(
            WITH RECURSIVE line (id) AS (
                SELECT to_regclass(parent)::oid
                UNION
                SELECT v.id FROM line l JOIN tenancy.protected_tables q ON q.table_id = l.id
                 CROSS JOIN LATERAL (VALUES (q.root_id::oid), (to_regclass(q.options #>> '{backfill_from,table}')::oid)) v (id)
                 WHERE v.id IS NOT NULL
            )
            SELECT l.id FROM line l)) ORDER BY p.table_id FOR SHARE;
        PERFORM tenancy.check_reference(root, options ->> 'tenant_column', format('%s(%I)', parent, options #>> '{backfill_from,column}'));
        IF tenancy.tenant_reference(options) <> (SELECT tenancy.tenant_reference(p.options) FROM tenancy.protected_tables p WHERE p.table_id = parent::regclass) THEN
            RAISE EXCEPTION 'table % has a tenant column of another kind now', parent USING ERRCODE = '55000';
        END IF;
    END IF;
    PERFORM tenancy.check_policies(root, options);
EXCEPTION WHEN object_not_in_prerequisite_state OR invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS found_message = MESSAGE_TEXT, found_detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'what the script has for table % holds no longer', root USING ERRCODE = '55000',
        DETAIL = concat_ws(' ', found_message || '.', nullif(found_detail, '')),
        HINT = 'Have the script made again by protect_table_sql(..., staged => true).';
END
$$;
COMMENT ON FUNCTION tenancy.check_staged_again(regclass, jsonb) IS 'Administrators only: whether what a script was made for is still so. Errors: 55000';
