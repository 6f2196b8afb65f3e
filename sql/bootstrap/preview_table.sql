-- What enforcement would change for one user: rows he reaches now, and rows he would reach. Nothing is changed for it and
-- nobody waits: policies are evaluated as conditions of a query, with the rights of the database role and for the identity that
-- the rows are asked for. Those that are there are taken as Postgres keeps them: to parse their text would run code of whoever
-- owns the types of their constants.

CREATE FUNCTION tenancy.preview_policy(policy oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp RETURN NULL::boolean;
COMMENT ON FUNCTION tenancy.preview_policy(oid) IS 'Administrators only: stands for a policy in what preview_table counts, and is never called';

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
    ), policies (name, permissive, condition) AS (
        SELECT p.polname::text, p.polpermissive, format('tenancy.preview_policy(%L)', p.oid)
          FROM pg_policy p
         WHERE p.polrelid = relation AND p.polcmd IN ('*', asked) AND p.polqual IS NOT NULL
           AND EXISTS (SELECT FROM unnest(p.polroles) o WHERE o = 0 OR pg_has_role(db_role, o, 'USAGE'))
           AND (options IS NULL
                OR p.polname <> ALL (tenancy.policy_names()) AND NOT (p.polpermissive AND options ->> 'existing_policies' = 'drop'))
        UNION ALL
        SELECT w.name, w.permissive, w.condition
          FROM tenancy.wanted_policies(options) w
         WHERE options IS NOT NULL AND w.code IN ('*', asked)
           AND (NOT w.permissive
                OR EXISTS (SELECT FROM jsonb_array_elements_text(options -> 'roles') o
                            WHERE CASE WHEN o = 'public' THEN true ELSE pg_has_role(db_role, o::name, 'USAGE') END))
    )
    SELECT concat_ws(' AND ', (SELECT string_agg(format('(%s)', p.condition), ' AND ' ORDER BY p.name COLLATE "C") FROM policies p WHERE NOT p.permissive),
                     coalesce((SELECT '(' || string_agg(format('(%s)', p.condition), ' OR ') || ')' FROM policies p WHERE p.permissive), 'false'))
      FROM bound b WHERE b.yes;
    END;
COMMENT ON FUNCTION tenancy.preview_condition(regclass, name, jsonb, "char") IS 'Administrators only: which rows a database role reaches by a command (r, w or d) of the policies there are, which preview_policy stands for; with options: as protect_table would leave it; NULL for all rows';

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

CREATE FUNCTION tenancy.preview_rows("table" regclass, user_id uuid, tenant uuid, db_role name, options jsonb, claims jsonb, path text)
    RETURNS TABLE (command text, rows_before bigint, rows_after bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
    as_role name := coalesce(db_role, (SELECT d.rolname FROM tenancy.application_roles() r JOIN pg_roles d ON d.oid = r
                                        WHERE NOT (d.rolsuper OR d.rolbypassrls)
                                        ORDER BY d.rolname <> 'authenticated', d.rolname COLLATE "C" LIMIT 1));
    may record;
    reads text; updates text; deletes text;
    reads_after text; updates_after text; deletes_after text;
    counts bigint[];
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
    IF NOT pg_has_role(as_role, 'MEMBER') THEN
        RAISE EXCEPTION 'permission denied to preview for database role "%"', as_role USING ERRCODE = '42501',
            HINT = 'You must be a member of it.';
    END IF;
    reads := tenancy.preview_condition("table", as_role, NULL, 'r');
    updates := concat_ws(' AND ', reads, tenancy.preview_condition("table", as_role, NULL, 'w'));
    deletes := concat_ws(' AND ', reads, tenancy.preview_condition("table", as_role, NULL, 'd'));
    reads_after := tenancy.preview_condition("table", as_role, options, 'r');
    updates_after := concat_ws(' AND ', reads_after, tenancy.preview_condition("table", as_role, options, 'w'));
    deletes_after := concat_ws(' AND ', reads_after, tenancy.preview_condition("table", as_role, options, 'd'));
    BEGIN
        -- Policies are the table owner's code: after SET ROLE it could set the role back, so that is not how the role is taken.
        PERFORM tenancy.act_as(user_id, tenant, current_user, claims || jsonb_build_object('role', as_role));
        SELECT array_agg(CASE WHEN q.may THEN tenancy.count_as_role("table", as_role, concat_ws(' WHERE ', format('SELECT FROM %s', "table"), nullif(q.condition, '')),
                                                                    'tenancy.preview_policy(oid)'::regprocedure, path) ELSE 0 END ORDER BY q.n)
          INTO counts
          FROM (VALUES (1, false, NULL), (2, may."select", reads_after),
                       (3, may."select" AND may."update", updates), (4, may."select" AND may."update", updates_after),
                       (5, may."select" AND may."delete", deletes), (6, may."select" AND may."delete", deletes_after)) q (n, may, condition);
        IF may."select" THEN
            -- What is in force already needs no model of it. Functions that policies call may count on the caller's search_path,
            -- so from here on nothing may count on ours.
            reads := format('SELECT pg_catalog.count(*)::pg_catalog.text FROM %s', "table");
            PERFORM set_config('search_path', path, true);
            counts[1] := (tenancy.read_as_role(as_role, reads))[1];
        END IF;
        -- Takes it all back: identity and path.
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
