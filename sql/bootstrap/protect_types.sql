-- The types a tenant column may have: what of tenancy.tenants it names, and how policies and defaults speak of it,
-- each exactly as Postgres writes it back.

CREATE FUNCTION tenancy.tenant_types() RETURNS TABLE (type text, refers_to text, argument text, active text)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    VALUES ('uuid', 'id', '%s', 'tenancy.current_tenant_id()'),
           ('bigint', 'key_number', '%s', 'tenancy.current_tenant_key(NULL::bigint)'),
           ('integer', 'key_number', '%s', 'tenancy.current_tenant_key(NULL::integer)'),
           ('text', 'key', '%s', 'tenancy.current_tenant_key()'),
           ('character varying', 'key', '(%s)::text', 'tenancy.current_tenant_key()');
    END;
COMMENT ON FUNCTION tenancy.tenant_types() IS 'Administrators only: supported types of tenant columns: the column of tenancy.tenants they refer to, how the column is written as an argument of functions and operators, and the active tenant in that type';

CREATE FUNCTION tenancy.tenant_type(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN coalesce(options ->> 'tenant_type', 'uuid');
COMMENT ON FUNCTION tenancy.tenant_type(jsonb) IS 'Administrators only: the type of the tenant column';

CREATE FUNCTION tenancy.tenant_default(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT t.active FROM tenancy.tenant_types() t WHERE t.type = tenancy.tenant_type(options));
COMMENT ON FUNCTION tenancy.tenant_default(jsonb) IS 'Administrators only: the default that protect_table gives the tenant column';

CREATE FUNCTION tenancy.tenant_reference(options jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT t.refers_to FROM tenancy.tenant_types() t WHERE t.type = tenancy.tenant_type(options));
COMMENT ON FUNCTION tenancy.tenant_reference(jsonb) IS 'Administrators only: the column of tenancy.tenants that the tenant column refers to';

-- The type of the tenant column: its own, or else the one it is to be added with.
CREATE FUNCTION tenancy.check_tenant_type("table" regclass, tenant_column text, wanted regtype) RETURNS regtype
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_type regtype := tenancy.column_type("table", tenant_column);
    better text;
    generated boolean;
BEGIN
    IF found_type <> wanted THEN
        RAISE EXCEPTION 'column "%" of table % is of type %, not %', tenant_column, "table", found_type, wanted USING
            ERRCODE = '22023', HINT = 'Leave out column_type: the column is there.';
    END IF;
    found_type := coalesce(found_type, wanted);
    IF NOT EXISTS (SELECT FROM tenancy.tenant_types() t WHERE t.type = found_type::text) THEN
        SELECT CASE WHEN b.typname = 'uuid' THEN 'uuid' WHEN b.typcategory = 'N' THEN 'bigint'
                    WHEN b.typcategory = 'S' OR b.typname = 'citext' THEN 'text' END INTO better
          FROM pg_type t JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
         WHERE t.oid = found_type;
        RAISE EXCEPTION 'column "%" of table % cannot name a tenant: type % is not supported', tenant_column, "table", found_type USING
            ERRCODE = '0A000', DETAIL = 'Supported are uuid, bigint, integer, text and character varying, and no domains over them.',
            HINT = CASE WHEN better IS NULL OR tenancy.column_number("table", tenant_column) IS NULL
                        THEN 'Have a column of such a type added with add_column => true and column_type => ''...''.'
                        ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s;', "table", tenant_column, better) END;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
                WHERE a.attrelid = "table" AND a.attnum = tenancy.column_number("table", tenant_column)
                  AND NOT c.collisdeterministic) THEN
        RAISE EXCEPTION 'column "%" of table % cannot name a tenant: its collation is not deterministic', tenant_column, "table" USING
            ERRCODE = '0A000', DETAIL = 'It takes different keys for equal, and so different tenants for one.',
            HINT = format('ALTER TABLE %s ALTER COLUMN %I TYPE %s COLLATE "C";', "table", tenant_column, found_type);
    END IF;
    SELECT a.attgenerated <> '' INTO generated FROM pg_attribute a
     WHERE a.attrelid = "table" AND a.attnum = tenancy.column_number("table", tenant_column) AND (a.attgenerated <> '' OR a.attidentity <> '');
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of table % cannot name a tenant: it is %', tenant_column, "table",
            CASE WHEN generated THEN 'a generated column' ELSE 'an identity column' END USING
            ERRCODE = '0A000', DETAIL = 'Who inserts a row says whose it is, or it gets the active tenant as default.',
            HINT = format('ALTER TABLE %s ALTER COLUMN %I DROP %s;', "table", tenant_column, CASE WHEN generated THEN 'EXPRESSION' ELSE 'IDENTITY' END);
    END IF;
    RETURN found_type;
END
$$;
COMMENT ON FUNCTION tenancy.check_tenant_type(regclass, text, regtype) IS 'Administrators only: the type of the tenant column, as it is or as it is wanted. Errors: 22023 it is there and of another type; 0A000 a type or collation that is not supported, or a generated or identity column';
