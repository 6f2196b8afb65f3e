-- Tables that hold no tenant's data on purpose, and those that nobody has decided about.

CREATE FUNCTION tenancy.declare_reference_table("table" regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation pg_class%ROWTYPE;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to declare a reference table' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = "table";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table must be given' USING ERRCODE = '22023', HINT = 'Pass the table''s name, as in ''public.countries''.';
    END IF;
    IF relation.relkind NOT IN ('r', 'p', 'm', 'f') OR relation.relpersistence = 't' OR relation.oid < 16384
       OR relation.relnamespace = 'tenancy'::regnamespace THEN
        RAISE EXCEPTION 'cannot declare % a reference table', "table" USING ERRCODE = '0A000',
            DETAIL = 'It must be a table, foreign table or materialized view of the host application.';
    END IF;
    -- Who protects it meanwhile holds the same lock. Foreign tables and materialized views take none, and are never protected.
    IF relation.relkind IN ('r', 'p') THEN
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', "table");
    END IF;
    IF EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = "table") THEN
        RAISE EXCEPTION 'table % is protected', "table" USING ERRCODE = '55000',
            HINT = 'SELECT tenancy.unprotect_table(...) first, if it holds no tenant''s data.';
    END IF;
    INSERT INTO tenancy.reference_tables (table_id) VALUES ("table") ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.declare_reference_table(regclass) IS 'Administrators only: says that a table, and what is below it, holds no tenant''s data, so that unprotected_tables() does not name it and protect_table() refuses it. Changes nothing on the table. Returns whether it was new. Errors: 42501 not an administrator, or not allowed to lock the table; 22023 no table; 0A000 not a table of the host''s; 55000 protected';

CREATE FUNCTION tenancy.undeclare_reference_table("table" regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to declare a reference table' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    DELETE FROM tenancy.reference_tables r WHERE r.table_id = "table";
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.undeclare_reference_table(regclass) IS 'Administrators only: undoes declare_reference_table. Returns whether it was declared. Errors: 42501 not an administrator';

CREATE FUNCTION tenancy.check_no_reference_table("table" regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM tenancy.reference_tables r WHERE r.table_id = "table") THEN
        RAISE EXCEPTION 'table % is declared a reference table', "table" USING ERRCODE = '55000',
            DETAIL = 'It was said to hold no tenant''s data.',
            HINT = 'SELECT tenancy.undeclare_reference_table(...) first.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_no_reference_table(regclass) IS 'Administrators only: 55000 for a declared reference table';

-- For what does not come by protect_table: its script may have been made before the table was declared.
CREATE FUNCTION tenancy.guard_protected() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_no_reference_table(NEW.table_id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_protected() IS 'Trigger function: no declared reference table becomes a protected one';
CREATE TRIGGER guard BEFORE INSERT ON tenancy.protected_tables
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_protected();
COMMENT ON TRIGGER guard ON tenancy.protected_tables IS 'No declared reference table becomes a protected one';

-- By name, privilege and schema only: whether a role may read a table through a function or view of somebody's is not seen.
CREATE FUNCTION tenancy.unprotected_tables()
    RETURNS TABLE (relation regclass, kind text, roles name[], privileges text[], row_security boolean, observed boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to list unprotected tables' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    RETURN QUERY
        WITH RECURSIVE declared (id) AS (
            SELECT r.table_id::oid FROM tenancy.reference_tables r
            UNION
            SELECT i.inhrelid FROM declared d JOIN pg_inherits i ON i.inhparent = d.id
             WHERE NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = i.inhrelid)
        ), decided (id) AS (
            SELECT d.id FROM declared d
            UNION ALL
            -- What is below one has its own row, or is a foreign table, say, and not protected.
            -- Nor is one whose fence somebody took down, as tools do that know their own policies only.
            SELECT p.table_id FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id
             WHERE p.options ->> 'mode' IS DISTINCT FROM 'observe' AND c.relrowsecurity AND NOT EXISTS (
                   SELECT FROM tenancy.wanted_policies(p.options) w
                    WHERE NOT w.permissive AND NOT EXISTS (
                          SELECT FROM pg_policy o
                           WHERE o.polrelid = p.table_id AND o.polname = w.name AND NOT o.polpermissive AND o.polcmd = w.code AND o.polroles = '{0}'
                             -- Without the tenant column it lets nobody in.
                             AND coalesce(pg_get_expr(o.polqual, o.polrelid), w.condition) IN (w.condition, 'false')
                             AND coalesce(pg_get_expr(o.polwithcheck, o.polrelid), w.condition) IN (w.condition, 'false')))
        ), reach AS (
            SELECT c.oid, c.relkind, c.relrowsecurity, r.rolname, v.name AS privilege
              FROM pg_class c
              JOIN pg_roles r ON r.oid IN (SELECT a::oid FROM tenancy.application_roles() a) AND NOT r.rolsuper AND NOT r.rolbypassrls
              JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) v (name)
                ON CASE WHEN v.name IN ('DELETE', 'TRUNCATE') THEN has_table_privilege(r.oid, c.oid, v.name)
                        ELSE has_table_privilege(r.oid, c.oid, v.name) OR has_any_column_privilege(r.oid, c.oid, v.name) END
             WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= 16384
               AND c.relnamespace <> 'tenancy'::regnamespace
               AND c.oid NOT IN (SELECT d.id FROM decided d)
               AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
            UNION ALL
            -- What protect_table revoked and somebody granted again: GRANT ALL does.
            SELECT c.oid, c.relkind, c.relrowsecurity, CASE l.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(l.grantee) END, l.privilege
              FROM tenancy.protected_tables p JOIN pg_class c ON c.oid = p.table_id CROSS JOIN LATERAL tenancy.loose_privileges(c.oid) l
             WHERE p.options ->> 'mode' IS DISTINCT FROM 'observe'
        )
        SELECT x.oid::regclass,
               CASE x.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
               array_agg(DISTINCT x.rolname ORDER BY x.rolname), array_agg(DISTINCT x.privilege ORDER BY x.privilege), x.relrowsecurity,
               EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = x.oid AND p.options ->> 'mode' = 'observe')
          FROM reach x GROUP BY x.oid, x.relkind, x.relrowsecurity ORDER BY x.oid::regclass::text COLLATE "C";
END
$$;
COMMENT ON FUNCTION tenancy.unprotected_tables() IS 'Administrators only: tables that application roles reach and that are neither protected nor declared reference tables, with these roles, what they may do, whether row security is on, and whether the table is only observed; and protected tables that lost their fence or row security since, or whose TRUNCATE, REFERENCES or TRIGGER they were granted. Errors: 42501 not an administrator';
