-- protect_table executes, and protect_table_sql prints, what protect_statements finds still to be done: so the
-- two cannot disagree, and a second call finds nothing.

CREATE FUNCTION tenancy.protect_steps(root regclass, options jsonb, backfill text, only_relation regclass)
    RETURNS TABLE (relation regclass, phase integer, statement text, undo jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r record;
BEGIN
    RETURN QUERY
        SELECT root, 30, format('INSERT INTO tenancy.permissions (name, description) VALUES (%L, %L) ON CONFLICT (name) DO NOTHING',
                                a.permission, format('%s rows of %s', a.verb, options ->> 'resource')), NULL::jsonb
          FROM (SELECT options ->> 'resource' || '.' || v.action, v.verb
                  FROM (VALUES ('read', 'Read'), ('create', 'Create'), ('update', 'Update'), ('delete', 'Delete')) v (action, verb)
               ) a (permission, verb)
         WHERE NOT EXISTS (SELECT FROM tenancy.permissions p WHERE p.name = a.permission);
    FOR r IN SELECT c.relation, c.place FROM tenancy.covered_relations(root) c
              WHERE only_relation IS NULL OR c.relation = only_relation LOOP
        RETURN QUERY SELECT r.relation, s.phase, s.statement, s.undo
                       FROM tenancy.protect_structure(r.relation, r.place, root, options, backfill) s
                      WHERE options ->> 'mode' <> 'observe' OR s.phase = ANY (tenancy.observed_phases());
        IF options ->> 'mode' = 'observe' THEN
            RETURN QUERY SELECT r.relation, 110, s.statement, NULL::jsonb FROM tenancy.stop_enforcing(r.relation) s (statement);
        ELSE
            RETURN QUERY SELECT r.relation, s.phase, s.statement, s.undo FROM tenancy.protect_access(r.relation, options) s;
        END IF;
    END LOOP;
    IF options ->> 'tenant_keys' = 'fix' AND options ->> 'mode' <> 'observe' AND only_relation IS NULL THEN
        RETURN QUERY SELECT root, s.phase, s.statement, NULL::jsonb FROM tenancy.rewrite_keys(root, options) s;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect_steps(regclass, jsonb, text, regclass) IS 'Administrators only: the steps still missing on a table and all below it, or on one of these';

-- The rows of protected_tables come first: a statement may wake the event trigger, which must find them.
CREATE FUNCTION tenancy.protect_statements(root regclass, options jsonb, backfill text DEFAULT NULL, only_relation regclass DEFAULT NULL)
    RETURNS TABLE (phase integer, statement text, relation regclass)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH steps AS MATERIALIZED (
        SELECT row_number() OVER () AS n, s.* FROM tenancy.protect_steps(root, options, backfill, only_relation) s
    ), done AS (
        SELECT c.relation, c.depth, p.root_id, p.options AS old_options,
               p.undo AS old_undo,
               jsonb_strip_nulls(
                   CASE WHEN p.options ->> 'tenant_column' <> protect_statements.options ->> 'tenant_column'
                        THEN p.undo - '{column,default,not_null,foreign_key,index}'::text[] ELSE coalesce(p.undo, '{}') END
                   - CASE protect_statements.options ->> 'mode' WHEN 'observe' THEN '{forced,enabled,revoked}' ELSE '{}' END::text[]
                   || coalesce((SELECT jsonb_object_agg(u.key, CASE u.key WHEN 'revoked' THEN coalesce(p.undo -> 'revoked', '[]') || u.value
                                                                          ELSE u.value END)
                                  FROM steps s, jsonb_each(s.undo) u WHERE s.relation = c.relation), '{}')) AS undo
          FROM tenancy.covered_relations(root) c
          LEFT JOIN tenancy.protected_tables p ON p.table_id = c.relation
         WHERE only_relation IS NULL OR c.relation = only_relation
    ), statements AS (
        SELECT 20 AS phase, d.depth::bigint AS n,
               format('INSERT INTO tenancy.protected_tables (table_id, root_id, options, undo) VALUES (%L, %L, %L, %L)'
                      ' ON CONFLICT (table_id) DO UPDATE SET root_id = excluded.root_id, options = excluded.options, undo = excluded.undo',
                      d.relation, root, options, d.undo) AS statement, d.relation
          FROM done d
         WHERE (d.root_id, d.old_options, d.old_undo) IS DISTINCT FROM (root, options, d.undo)
        UNION ALL
        SELECT s.phase, s.n, s.statement, s.relation FROM steps s WHERE s.statement IS NOT NULL
        UNION ALL
        SELECT 10, 0, format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', coalesce(only_relation, root)), root
         WHERE EXISTS (SELECT FROM steps s WHERE s.statement IS NOT NULL AND s.phase >= 40)
    )
    SELECT s.phase, s.statement, s.relation FROM statements s ORDER BY s.phase, s.n;
    END;
COMMENT ON FUNCTION tenancy.protect_statements(regclass, jsonb, text, regclass) IS 'Administrators only: what is still to be executed, in order, for a table and all below it, or for one of these; nothing if all is in place';

-- What the call does not decide but its caller should know.
CREATE FUNCTION tenancy.report_protection(root regclass, options jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    names text;
BEGIN
    FOR item IN SELECT r.relation, tenancy.column_default(r.relation, options ->> 'tenant_column') AS value
                   FROM tenancy.covered_relations(root) r LOOP
        IF item.value <> tenancy.tenant_default(options) THEN
            RAISE NOTICE 'table %: column "%" keeps its default %', item.relation, options ->> 'tenant_column', item.value USING
                HINT = 'Unless it gives the active tenant, INSERT must name the tenant.';
        END IF;
    END LOOP;
    IF options ->> 'shared' IS NOT NULL AND tenancy.column_is_filled(root, options ->> 'tenant_column') THEN
        RAISE NOTICE 'table %: column "%" is NOT NULL, so there can be no shared rows', root, options ->> 'tenant_column' USING
            HINT = format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL; allows them.', root, options ->> 'tenant_column');
    END IF;
    SELECT string_agg(r::text, ', ' ORDER BY r::text COLLATE "C") INTO names
      FROM tenancy.application_roles() r WHERE NOT has_any_column_privilege(r, root, 'SELECT');
    IF names IS NOT NULL THEN
        RAISE NOTICE 'table %: no privilege to SELECT for application role(s) %', root, names USING
            HINT = format('protect_table grants nothing. GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO ...; then permissions decide.', root);
    END IF;
    FOR item IN SELECT c.relation, string_agg(r::text, ', ' ORDER BY r::text COLLATE "C") AS roles
                   FROM tenancy.covered_relations(root) c, tenancy.application_roles() r
                  WHERE has_table_privilege(r, c.relation, 'TRUNCATE') OR has_table_privilege(r, c.relation, 'TRIGGER')
                     OR has_any_column_privilege(r, c.relation, 'REFERENCES')
                  GROUP BY c.relation, c.depth ORDER BY c.depth, c.relation::text COLLATE "C" LOOP
        IF EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = item.relation AND p.options ->> 'mode' IS DISTINCT FROM 'observe') THEN
            RAISE WARNING 'table %: TRUNCATE, TRIGGER or REFERENCES is still with application role(s) %', item.relation, item.roles USING
                DETAIL = 'They own the table, are superusers, or have it by membership or from another grantor.';
        END IF;
    END LOOP;
    SELECT string_agg(format('%I on %s', f.name, f.relation), ', ') INTO names FROM tenancy.foreign_policies(root) f;
    IF names IS NOT NULL AND options ->> 'existing_policies' IS DISTINCT FROM 'drop' AND options ->> 'mode' <> 'observe' THEN
        RAISE NOTICE 'table %: other permissive policies widen access inside a tenant: %', root, names;
    END IF;
    FOR item IN SELECT * FROM tenancy.crossing_keys(root, options) LOOP
        IF options ->> 'tenant_keys' = 'report' THEN
            RAISE NOTICE '% "%" of table % does not include the tenant', item.kind, item.name, item.relation USING
                HINT = CASE WHEN item.definition IS NOT NULL THEN 'tenant_keys => ''fix'' rewrites it.' ELSE 'Rewrite it by hand.' END;
        ELSIF item.definition IS NULL THEN
            RAISE NOTICE '% "%" of table % does not include the tenant and cannot be rewritten', item.kind, item.name, item.relation USING
                DETAIL = item.reason;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.report_protection(regclass, jsonb) IS 'Administrators only: notices of privileges that are missing or left over, kept defaults and policies, and keys that cross tenants';

-- A quota on rows: they are counted by its meter. What bytes are counted by stays; nothing to do is no statement.
CREATE FUNCTION tenancy.quota_statement(root regclass, quota text, mode text, staged boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    by_bytes tenancy.metered_tables;
BEGIN
    IF mode = 'observe' AND EXISTS (SELECT FROM tenancy.metered_tables m WHERE m.root_id = root) THEN
        RAISE EXCEPTION 'cannot only observe %: its rows are counted for their tenants', root USING ERRCODE = '55000',
            HINT = format('SELECT tenancy.unmeter_table(%L); first.', root::text);
    ELSIF quota IS NULL THEN
        RETURN NULL;
    ELSIF mode = 'observe' THEN
        RAISE EXCEPTION 'quota cannot be given in mode observe' USING ERRCODE = '22023',
            DETAIL = 'Nothing is enforced in that mode, and a quota would be.', HINT = 'Give it when another mode is chosen.';
    ELSIF staged THEN
        RAISE EXCEPTION 'quota cannot be given with staged' USING ERRCODE = '0A000',
            DETAIL = 'Counting the rows there are keeps writers waiting.',
            HINT = format('SELECT tenancy.meter_table(%L, rows => %L); when the script has run.', root::text, quota);
    ELSIF EXISTS (SELECT FROM tenancy.metered_tables t WHERE (t.table_id, t.root_id, t.meter, t.measure) = (root, root, quota, 'rows')) THEN
        RETURN NULL;
    END IF;
    SELECT t.* INTO by_bytes FROM tenancy.metered_tables t WHERE t.table_id = root AND t.measure = 'bytes';
    RETURN format('PERFORM tenancy.meter_table(%L, rows => %L', root::text, quota)
        || coalesce(', bytes => ' || quote_literal(by_bytes.meter), '') || coalesce(', size_column => ' || quote_literal(by_bytes.size_column), '') || ')';
END
$$;
COMMENT ON FUNCTION tenancy.quota_statement(regclass, text, text, boolean) IS 'Administrators only: what counts a table''s rows by the meter of a quota, in plpgsql; NULL if they are already. Errors: 22023 in mode observe; 55000 in mode observe of a metered table; 0A000 with staged';

-- row_security is off: a forced owner would otherwise validate the foreign key against the rows he sees only. Rows that
-- are filled may be shared ones, which our trigger keeps as they are.
CREATE FUNCTION tenancy.protect_table("table" regclass, tenant_column name DEFAULT 'tenant_id', owner_column name DEFAULT NULL,
        resource text DEFAULT NULL, mode text DEFAULT 'active', roles name[] DEFAULT '{public}', existing_policies text DEFAULT NULL,
        tenant_keys text DEFAULT 'report', force boolean DEFAULT true, add_column boolean DEFAULT false, backfill text DEFAULT NULL,
        operators boolean DEFAULT false, backfill_from text DEFAULT NULL, shared text DEFAULT NULL, column_type regtype DEFAULT NULL,
        quota text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off SET tenancy.allow_tenant_change = on AS $$
DECLARE
    options jsonb;
    fill text;
    statements text[];
    statement text;
    metering text;
BEGIN
    PERFORM tenancy.check_protectable("table");
    -- Before locks on tables, or two calls about the same ones would wait for each other.
    IF backfill_from IS NOT NULL THEN
        PERFORM tenancy.lock_references();
    END IF;
    -- One call at a time; what a reader or writer does waits only if there is something to do.
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', "table");
    options := tenancy.protect_options("table", tenant_column, owner_column, resource, mode, roles, existing_policies,
                                       tenant_keys, force, add_column, operators, backfill_from, shared, column_type);
    PERFORM tenancy.hold_backfill("table", options, backfill);
    fill := tenancy.backfill_expression("table", options, backfill);
    PERFORM tenancy.check_rows("table", options, fill);
    metering := tenancy.quota_statement("table", quota, options ->> 'mode', false);
    statements := ARRAY(SELECT tenancy.owner_statement(s.relation, s.phase, s.statement) FROM tenancy.protect_statements("table", options, fill) s);
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    IF metering IS NOT NULL THEN
        EXECUTE overlay(metering PLACING 'SELECT' FROM 1 FOR length('PERFORM'));
    END IF;
    PERFORM tenancy.report_protection("table", options);
    RETURN statements <> '{}' OR metering IS NOT NULL;
END
$$;
COMMENT ON FUNCTION tenancy.protect_table(regclass, name, name, text, text, name[], text, text, boolean, boolean, text, boolean, text, text, regtype, text) IS 'Administrators only: puts a table, its partitions and children under tenancy: see docs/reference/protect_table.md. Called again it repairs and alters. Returns whether anything changed. Errors: 42501 not an administrator or owner; 22023 bad argument, a partition or child, rows without tenant, a backfill that is no expression, a backfill_from that is unclear or a cycle; 0A000 not an ordinary table or a type of column that is not supported; 42704 no such role, tenant or meter; 55000 rows of unknown tenants, permissive policies, or backfill_from a table that is not protected';

CREATE FUNCTION tenancy.protect_table_sql("table" regclass, tenant_column name DEFAULT 'tenant_id', owner_column name DEFAULT NULL,
        resource text DEFAULT NULL, mode text DEFAULT 'active', roles name[] DEFAULT '{public}', existing_policies text DEFAULT NULL,
        tenant_keys text DEFAULT 'report', force boolean DEFAULT true, add_column boolean DEFAULT false, backfill text DEFAULT NULL,
        operators boolean DEFAULT false, backfill_from text DEFAULT NULL, shared text DEFAULT NULL, column_type regtype DEFAULT NULL,
        staged boolean DEFAULT false, quota text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
DECLARE
    options jsonb;
    fill text;
    body text;
    metering text;
    tag text := 'protect_table';
BEGIN
    IF staged IS NULL THEN
        RAISE EXCEPTION 'staged must not be null' USING ERRCODE = '22023';
    END IF;
    options := tenancy.protect_options("table", tenant_column, owner_column, resource, mode, roles, existing_policies,
                                       tenant_keys, force, add_column, operators, backfill_from, shared, column_type);
    PERFORM tenancy.hold_backfill("table", options, backfill);
    fill := tenancy.backfill_expression("table", options, backfill);
    PERFORM tenancy.check_rows("table", options, fill);
    metering := tenancy.quota_statement("table", quota, options ->> 'mode', staged);
    IF staged THEN
        PERFORM tenancy.report_protection("table", options);
        RETURN tenancy.staged_script("table", options, fill, tenancy.staged_filling("table", options, backfill));
    END IF;
    SELECT string_agg('    ' || tenancy.owner_statement(s.relation, s.phase, s.statement) || E';\n', '') INTO body
      FROM tenancy.protect_statements("table", options, fill) s;
    body := nullif(concat(body, '    ' || metering || E';\n'), '');
    PERFORM tenancy.report_protection("table", options);
    IF body IS NULL THEN
        RETURN tenancy.comment_line(format('%s is protected already', "table"));
    END IF;
    WHILE position('$' || tag || '$' IN body) > 0 LOOP
        tag := tag || '_';
    END LOOP;
    -- One DO, so that it is one step whether or not the migration runs in a transaction.
    RETURN format($text$DO $%1$s$
DECLARE
    old_path text := current_setting('search_path');
    old_security text := current_setting('row_security');
    old_change text := current_setting('tenancy.allow_tenant_change', true);
BEGIN
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true), set_config('row_security', 'off', true),
            set_config('tenancy.allow_tenant_change', 'on', true);
%2$s    PERFORM set_config('search_path', old_path, true), set_config('row_security', old_security, true),
            set_config('tenancy.allow_tenant_change', old_change, true);
END
$%1$s$;$text$, tag, body);
END
$$;
COMMENT ON FUNCTION tenancy.protect_table_sql(regclass, name, name, text, text, name[], text, text, boolean, boolean, text, boolean, text, text, regtype, boolean, text) IS 'Administrators only: the statements that protect_table would execute now, as one DO block for a migration file. Errors as of protect_table';
