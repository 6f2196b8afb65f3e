-- Mode observe: a table is known and prepared, and nothing is enforced. What would stand in the way of enforcing is
-- reported instead of refused.

CREATE FUNCTION tenancy.observed_phases() RETURNS integer[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '{40,50,60,90}'::integer[];
COMMENT ON FUNCTION tenancy.observed_phases() IS 'Administrators only: the phases of protect_structure that mode observe takes: column, rows, default, index';

-- From a mode that enforces back to observe: as unprotect_table does it, the structure stays.
CREATE FUNCTION tenancy.stop_enforcing(relation regclass) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT u.statement
                   FROM tenancy.protected_tables p
                  CROSS JOIN LATERAL tenancy.unprotect_access(p.table_id, p.undo) WITH ORDINALITY u (statement, n)
                  WHERE p.table_id = relation AND p.options ->> 'mode' IS DISTINCT FROM 'observe'
                  ORDER BY u.n;
END
$$;
COMMENT ON FUNCTION tenancy.stop_enforcing(regclass) IS 'Administrators only: the statements that take policies and trigger off a protected relation that is to be observed only';

-- Which column an observed table's tenant column is, when it has been renamed.
CREATE FUNCTION tenancy.observed_column(relation regclass, undo jsonb) RETURNS name
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT a.attname
      FROM pg_attribute a
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
       AND (undo ? 'default' AND starts_with(pg_get_expr(d.adbin, d.adrelid), 'tenancy.current_tenant_')
            OR a.attnum = (SELECT i.indkey[0] FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                            WHERE i.indrelid = relation AND c.relname = undo ->> 'index'))
     ORDER BY a.attnum
     LIMIT 1;
    END;
COMMENT ON FUNCTION tenancy.observed_column(regclass, jsonb) IS 'Administrators only: the column that has the default or the index that were given to the tenant column; NULL if there is none';

-- What check_rows refuses, one after the other, as notices. A backfill that cannot be evaluated stays an error.
CREATE FUNCTION tenancy.report_rows(root regclass, options jsonb, backfill text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enforced jsonb := options || '{"mode": "active"}';
    found_message text; found_detail text; found_hint text;
BEGIN
    LOOP
        BEGIN
            PERFORM tenancy.check_rows(root, enforced, backfill);
            RETURN;
        EXCEPTION WHEN object_not_in_prerequisite_state OR invalid_parameter_value THEN
            GET STACKED DIAGNOSTICS found_message = MESSAGE_TEXT, found_detail = PG_EXCEPTION_DETAIL, found_hint = PG_EXCEPTION_HINT;
            IF found_message LIKE 'invalid backfill %' THEN
                RAISE;
            END IF;
            IF found_detail = '' THEN
                RAISE NOTICE '%', found_message USING HINT = found_hint;
            ELSE
                RAISE NOTICE '%', found_message USING DETAIL = found_detail, HINT = found_hint;
            END IF;
            -- Without this check, the next one has its turn.
            IF SQLSTATE = '22023' THEN
                enforced := enforced || '{"shared": "read"}';
            ELSIF enforced ->> 'existing_policies' IS NULL THEN
                enforced := enforced || '{"existing_policies": "keep"}';
            ELSE
                RETURN;
            END IF;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.report_rows(regclass, jsonb, text) IS 'Administrators only: what would stop protect_table in a mode that enforces, as notices. Errors: 22023 a backfill that fails';
