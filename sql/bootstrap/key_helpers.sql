-- The functions that policies call, once more for columns that name tenants by the host's own keys: bigint, integer, text.
-- Where no argument tells which type is meant, an example does: its value is ignored, as in tenant_ids(NULL::bigint).
-- A text may also be the tenant's id, because an untyped literal or parameter counts as text.

DO $functions$
DECLARE
    wanted record;
    type_name text;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('is_member', 'tenant uuid', 'is_member', true, true),
            ('is_member_or_operator', 'tenant uuid, access text', 'is_member_or_operator', true, true),
            ('is_active_or_operator', 'tenant uuid, access text', 'is_active_or_operator', true, true),
            ('has_role', 'tenant uuid, role text', 'has_role_in', true, false),
            ('has_tenant_role', 'tenant uuid, role text', 'has_tenant_role', true, false),
            ('has_permission', 'tenant uuid, permission text', 'has_permission_in', true, true),
            ('has_any_permission', 'tenant uuid, permissions text[]', 'has_any_permission_in', true, true),
            ('has_all_permissions', 'tenant uuid, permissions text[]', 'has_all_permissions_in', true, true),
            ('tenant_ids', '', 'tenant_ids', false, false),
            ('tenant_ids_with', 'permission text', 'tenant_ids_with', false, false),
            ('tenant_ids_with_any', 'permissions text[]', 'tenant_ids_with_any', false, false),
            ('tenant_ids_with_all', 'permissions text[]', 'tenant_ids_with_all', false, false),
            ('tenant_ids_or_all', 'access text', 'tenant_ids_or_all', false, false),
            ('active_tenant_or_all', 'access text', 'active_tenant_or_all', false, false)
        ) w (name, arguments, symbol, is_check, leakproof)
    LOOP
        -- smallint is how drivers send small numbers; it reads as an integer, and no column of it is planned for.
        FOREACH type_name IN ARRAY CASE WHEN wanted.is_check THEN '{bigint,integer,smallint,text}' ELSE '{bigint,integer,text}' END::text[] LOOP
            IF wanted.is_check THEN
                EXECUTE format('CREATE FUNCTION tenancy.%I(%s) RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL SAFE %s'
                               ' SUPPORT tenancy.tenant_support AS ''MODULE_PATHNAME'', %L',
                               wanted.name, replace(wanted.arguments, 'tenant uuid', 'tenant ' || type_name),
                               CASE WHEN wanted.leakproof THEN 'LEAKPROOF' ELSE '' END,
                               'tenancy_' || wanted.symbol || '_' || replace(type_name, 'smallint', 'integer'));
                EXECUTE format('COMMENT ON FUNCTION tenancy.%I(%s) IS %L', wanted.name,
                               replace(wanted.arguments, 'tenant uuid', 'tenant ' || type_name),
                               obj_description(format('tenancy.%I(%s)', wanted.name, regexp_replace(wanted.arguments, '\m(tenant|access|role|permissions?) ', '', 'g'))::regprocedure, 'pg_proc')
                               || CASE type_name WHEN 'text' THEN '; the tenant by its key in the host application, or by its id'
                                                 ELSE '; the tenant by its key in the host application' END);
            ELSE
                EXECUTE format('CREATE FUNCTION tenancy.%I(%s) RETURNS %s[] LANGUAGE c STABLE PARALLEL RESTRICTED'
                               ' SUPPORT tenancy.set_support AS ''MODULE_PATHNAME'', %L',
                               wanted.name, concat_ws(', ', nullif(wanted.arguments, ''), 'example ' || type_name), type_name,
                               'tenancy_' || wanted.symbol || '_' || type_name);
                EXECUTE format('COMMENT ON FUNCTION tenancy.%I(%s) IS %L', wanted.name,
                               concat_ws(', ', nullif(wanted.arguments, ''), 'example ' || type_name),
                               obj_description(format('tenancy.%I(%s)', wanted.name, regexp_replace(wanted.arguments, '\m(access|permissions?) ', '', 'g'))::regprocedure, 'pg_proc')
                               || CASE type_name WHEN 'text' THEN '; each by its id and, if it has one, by its key in the host application'
                                                 ELSE '; by their keys in the host application, those that are of this type' END);
            END IF;
        END LOOP;
    END LOOP;
END
$functions$;

CREATE FUNCTION tenancy.current_tenant_key(example bigint) RETURNS bigint
    LANGUAGE c STABLE PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_tenant_key_bigint';
COMMENT ON FUNCTION tenancy.current_tenant_key(example bigint) IS 'The active tenant''s key in the host application as a number; NULL if it has none, or it is no bigint. The argument only chooses the type: current_tenant_key(NULL::bigint)';

CREATE FUNCTION tenancy.current_tenant_key(example integer) RETURNS integer
    LANGUAGE c STABLE PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_tenant_key_integer';
COMMENT ON FUNCTION tenancy.current_tenant_key(example integer) IS 'The same where columns are of type integer; NULL also for a key beyond its range';

CREATE FUNCTION tenancy.is_member() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 1.1 SUPPORT tenancy.answer_support AS 'MODULE_PATHNAME', 'tenancy_is_member_of_any';
COMMENT ON FUNCTION tenancy.is_member() IS 'Whether the user is an active member of any open tenant';
