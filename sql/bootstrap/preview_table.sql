-- What enforcement would change for one user: rows he reaches now, and rows he would reach. Nothing is changed for it and
-- nobody waits: policies that are not there yet are evaluated as conditions of a view, with the rights of the database
-- role and for the identity that the rows are asked for.

-- The condition that policies come to for a role and command, as Postgres combines them; NULL if they do not bind it.
CREATE FUNCTION tenancy.preview_condition(relation regclass, db_role name, options jsonb, asked "char") RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH bound AS (
        SELECT NOT (r.rolsuper OR r.rolbypassrls)
               AND CASE WHEN options IS NULL THEN c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
                        -- FORCE that somebody else set stays (see protect_access).
                        ELSE (options ->> 'force')::boolean OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')
                             OR c.relforcerowsecurity AND NOT EXISTS (SELECT FROM tenancy.protected_tables p
                                                                       WHERE p.table_id = relation AND p.undo ? 'forced') END AS yes
          FROM pg_class c, pg_roles r WHERE c.oid = relation AND r.rolname = db_role
    ), policies (permissive, condition) AS (
        SELECT p.polpermissive, pg_get_expr(p.polqual, p.polrelid)
          FROM pg_policy p
         WHERE p.polrelid = relation AND p.polcmd IN ('*', asked) AND p.polqual IS NOT NULL
           AND EXISTS (SELECT FROM unnest(p.polroles) o WHERE o = 0 OR pg_has_role(db_role, o, 'USAGE'))
           AND (options IS NULL
                OR p.polname <> ALL (tenancy.policy_names()) AND NOT (p.polpermissive AND options ->> 'existing_policies' = 'drop'))
        UNION ALL
        SELECT w.permissive, w.condition
          FROM tenancy.wanted_policies(options) w
         WHERE options IS NOT NULL AND w.code IN ('*', asked)
           AND (NOT w.permissive
                OR EXISTS (SELECT FROM jsonb_array_elements_text(options -> 'roles') o
                            WHERE CASE WHEN o = 'public' THEN true ELSE pg_has_role(db_role, o::name, 'USAGE') END))
    )
    SELECT concat_ws(' AND ', (SELECT string_agg(format('(%s)', p.condition), ' AND ') FROM policies p WHERE NOT p.permissive),
                     coalesce((SELECT '(' || string_agg(format('(%s)', p.condition), ' OR ') || ')' FROM policies p WHERE p.permissive), 'false'))
      FROM bound b WHERE b.yes;
    END;
COMMENT ON FUNCTION tenancy.preview_condition(regclass, name, jsonb, "char") IS 'Administrators only: which rows a database role reaches by a command (r, w or d) of its own policies; with options: as protect_table would leave it; NULL for all rows';

CREATE FUNCTION tenancy.preview_options("table" regclass, mode text, tenant_column name, owner_column name, resource text, roles name[],
                                        existing_policies text, force boolean, operators boolean, shared text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old jsonb := coalesce((SELECT p.options FROM tenancy.protected_tables p WHERE p.table_id = "table"), '{}');
BEGIN
    IF mode = 'observe' THEN
        RAISE EXCEPTION 'mode observe enforces nothing that could be previewed' USING ERRCODE = '22023', HINT = 'Use active or membership.';
    END IF;
    RETURN tenancy.protect_options("table",
        tenant_column => coalesce(tenant_column, old ->> 'tenant_column', 'tenant_id'),
        owner_column => coalesce(owner_column, old ->> 'owner_column'),
        resource => coalesce(resource, old ->> 'resource'),
        mode => coalesce(mode, nullif(old ->> 'mode', 'observe'), 'active'),
        roles => coalesce(roles, nullif(ARRAY(SELECT jsonb_array_elements_text(old -> 'roles'))::name[], '{}'), '{public}'),
        existing_policies => coalesce(existing_policies, old ->> 'existing_policies', 'keep'),
        tenant_keys => 'report', force => coalesce(force, (old ->> 'force')::boolean, true), add_column => false,
        operators => coalesce(operators, (old ->> 'operators')::boolean, false), shared => coalesce(shared, old ->> 'shared'));
END
$$;
COMMENT ON FUNCTION tenancy.preview_options(regclass, text, name, name, text, name[], text, boolean, boolean, text) IS 'Administrators only: the options to preview: those given, else those the table is protected or observed with, else the defaults of protect_table';

-- What stands for the table in a condition: its rows whatever policies are in force, under its name, with the caller's
-- rights. A view's row is of another type than the table's, so where a policy hands a row on, rows of the type are made.
CREATE FUNCTION tenancy.preview_source("table" regclass, stem text) RETURNS TABLE (view text, source text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT format('CREATE TEMPORARY VIEW %I AS SELECT "~row".tableoid, "~row".ctid, "~row".xmin, "~row".xmax, "~row".cmin, "~row".cmax,'
                  ' "~row"%s FROM %s AS "~row"', stem, CASE WHEN w.hands_on THEN '' ELSE '.*' END, "table"),
           format(CASE WHEN w.hands_on THEN 'pg_temp.%1$I AS "~preview", unnest(ARRAY["~preview"."~row"]) AS %2$I'
                       ELSE 'pg_temp.%1$I AS %2$I' END, stem, c.relname)
      FROM pg_class c,
           LATERAL (SELECT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual::text LIKE '%:varattno 0 %')) w (hands_on)
     WHERE c.oid = "table";
    END;
COMMENT ON FUNCTION tenancy.preview_source(regclass, text) IS 'Administrators only: the view over all rows of a table, and what a condition on these selects from';

CREATE FUNCTION tenancy.preview_rows("table" regclass, user_id uuid, tenant uuid, db_role name, options jsonb, claims jsonb, path text)
    RETURNS TABLE (command text, rows_before bigint, rows_after bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
    as_role name := coalesce(db_role, (SELECT r::text FROM tenancy.application_roles() r
                                        ORDER BY r::text <> 'authenticated', r::text COLLATE "C" LIMIT 1));
    stem text := 'tenancy_preview';
    preview record;
    policy record;
    condition text;
    select_before text; select_after text;
    may record;
    counts bigint[] := '{}';
    queries text[];
BEGIN
    IF as_role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = as_role) THEN
        RAISE EXCEPTION 'no database role to preview for' USING ERRCODE = '42704',
            HINT = 'Pass db_role => ''...'', or enable one with tenancy.enable_role().';
    END IF;
    IF row_security_active("table") THEN
        RAISE EXCEPTION 'permission denied: policies of table % bind you, so you cannot see what they hide', "table" USING
            ERRCODE = '42501', HINT = 'Call it as a superuser, or a role with BYPASSRLS.';
    END IF;
    SELECT has_schema_privilege(as_role, c.relnamespace, 'USAGE') AND has_any_column_privilege(as_role, c.oid, 'SELECT') AS "select",
           has_any_column_privilege(as_role, c.oid, 'UPDATE') AS "update", has_table_privilege(as_role, c.oid, 'DELETE') AS "delete"
      INTO may FROM pg_class c WHERE c.oid = "table";
    IF NOT (may."select" AND may."update" AND may."delete") THEN
        RAISE NOTICE 'table %: role % has not all of SELECT, UPDATE and DELETE, and reaches no rows by what it has not', "table", as_role;
    END IF;
    -- The caller may have temporary relations of such names.
    WHILE EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND starts_with(c.relname, stem)) LOOP
        stem := stem || '_';
    END LOOP;
    BEGIN
        SELECT s.* INTO preview FROM tenancy.preview_source("table", stem) s;
        EXECUTE preview.view;
        EXECUTE format('GRANT SELECT ON pg_temp.%I TO %I', stem, as_role);
        FOR policy IN SELECT p.polname AS name, pg_get_expr(p.polqual, p.polrelid) AS condition FROM pg_policy p
                       WHERE p.polrelid = "table" AND p.polqual IS NOT NULL ORDER BY p.polname LOOP
            BEGIN
                EXECUTE format('CREATE OR REPLACE TEMPORARY VIEW %I AS SELECT 1 AS one FROM %s WHERE %s',
                               stem || '_policy', preview.source, policy.condition);
            EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported THEN
                RAISE EXCEPTION 'policy "%" of table % cannot be previewed', policy.name, "table" USING ERRCODE = '0A000', DETAIL = SQLERRM,
                    HINT = 'A view stands for the table. If a policy names the whole row, name system columns outside subqueries and without the table.';
            END;
        END LOOP;
        select_before := tenancy.preview_condition("table", as_role, NULL, 'r');
        select_after := tenancy.preview_condition("table", as_role, options, 'r');
        queries := ARRAY[CASE WHEN may."select" THEN format('SELECT pg_catalog.count(*)::pg_catalog.text FROM %s', "table")
                              ELSE 'SELECT ''0''::pg_catalog.text' END];
        FOREACH condition IN ARRAY ARRAY[
            CASE WHEN may."select" THEN coalesce(select_after, 'true') ELSE 'false' END,
            CASE WHEN may."select" AND may."update" THEN concat_ws(' AND ', select_before, tenancy.preview_condition("table", as_role, NULL, 'w'), 'true') ELSE 'false' END,
            CASE WHEN may."select" AND may."update" THEN concat_ws(' AND ', select_after, tenancy.preview_condition("table", as_role, options, 'w'), 'true') ELSE 'false' END,
            CASE WHEN may."select" AND may."delete" THEN concat_ws(' AND ', select_before, tenancy.preview_condition("table", as_role, NULL, 'd'), 'true') ELSE 'false' END,
            CASE WHEN may."select" AND may."delete" THEN concat_ws(' AND ', select_after, tenancy.preview_condition("table", as_role, options, 'd'), 'true') ELSE 'false' END
        ] LOOP
            EXECUTE format('CREATE TEMPORARY VIEW %I WITH (security_invoker = true) AS SELECT 1 AS one FROM %s WHERE %s',
                           stem || '_' || cardinality(queries), preview.source, condition);
            EXECUTE format('GRANT SELECT ON pg_temp.%I TO %I', stem || '_' || cardinality(queries), as_role);
            queries := queries || format('SELECT pg_catalog.count(*)::pg_catalog.text FROM pg_temp.%I', stem || '_' || cardinality(queries));
        END LOOP;
        -- Policies are the table owner's code: after SET ROLE it could set the role back, so that is not how the role is taken.
        PERFORM tenancy.act_as(user_id, tenant, current_user, claims || jsonb_build_object('role', as_role));
        IF NOT pg_has_role(as_role, 'MEMBER') THEN
            RAISE EXCEPTION 'permission denied to preview for database role "%"', as_role USING ERRCODE = '42501',
                HINT = 'You must be a member of it.';
        END IF;
        -- Functions that policies call may count on the caller's search_path, so from here on nothing may count on ours.
        PERFORM set_config('search_path', path, true);
        FOR n IN 1..6 LOOP
            counts[n] := (tenancy.read_as_role(as_role, queries[n]))[1];
        END LOOP;
        -- Takes it all back: identity, role, path and views.
        RAISE EXCEPTION USING ERRCODE = 'TN000';
    EXCEPTION WHEN SQLSTATE 'TN000' THEN
        RETURN QUERY VALUES ('SELECT', counts[1], counts[2]), ('UPDATE', counts[3], counts[4]), ('DELETE', counts[5], counts[6]);
    END;
END
$$;
COMMENT ON FUNCTION tenancy.preview_rows(regclass, uuid, uuid, name, jsonb, jsonb, text) IS 'Administrators only: the work of preview_table, with the search_path of its caller as an argument';

-- No SET clause: the caller's search_path is what it has to hand on.
CREATE FUNCTION tenancy.preview_table("table" regclass, user_id uuid, tenant uuid DEFAULT NULL, db_role name DEFAULT NULL,
        mode text DEFAULT NULL, tenant_column name DEFAULT NULL, owner_column name DEFAULT NULL, resource text DEFAULT NULL,
        roles name[] DEFAULT NULL, existing_policies text DEFAULT NULL, force boolean DEFAULT NULL, operators boolean DEFAULT NULL,
        shared text DEFAULT NULL, claims jsonb DEFAULT '{}')
    RETURNS TABLE (command text, rows_before bigint, rows_after bigint)
    LANGUAGE sql
    BEGIN ATOMIC
    SELECT p.command, p.rows_before, p.rows_after
      FROM tenancy.preview_rows("table", user_id, tenant, db_role,
               tenancy.preview_options("table", mode, tenant_column, owner_column, resource, roles, existing_policies, force, operators, shared),
               claims, current_setting('search_path')) p;
    END;
COMMENT ON FUNCTION tenancy.preview_table(regclass, uuid, uuid, name, text, name, name, text, name[], text, boolean, boolean, text, jsonb) IS 'Administrators only: how many rows a user reaches now and how many protect_table would leave him, by SELECT, UPDATE and DELETE that read; as a database role, by default authenticated or else the first application role. Options that are not given are those the table is observed or protected with, else those of protect_table. Errors: 42501 not an administrator, or policies bind him; 42704 no such role; others as of protect_table';
