-- Threat 26: objects planted where a careless search_path would find them: functions, operators, tables and types
-- named like ours or like pg_catalog's, in a schema first in the path, in public and in pg_temp. The victims are an
-- administrator, whose rights the attacker wants, and a member. Whatever is planted raises, should it ever run.
\set t '''91a00000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'planted', 'P');
SELECT tenancy.create_permission('planted.read');
SELECT tenancy.add_member(:t, '91a00000-0000-0000-0000-000000000001', '{owner}');
CREATE SCHEMA planted;
GRANT USAGE ON SCHEMA planted TO PUBLIC;
CREATE FUNCTION planted.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'SPRUNG'; END $$;
SET search_path = pg_catalog;
DO $$
DECLARE
    f text;
    s text;
BEGIN
    FOREACH s IN ARRAY ARRAY['planted', 'public', 'pg_temp'] LOOP
        FOREACH f IN ARRAY ARRAY['now() RETURNS timestamptz', 'gen_random_uuid() RETURNS uuid', 'count(anyelement) RETURNS bigint', 'length(text) RETURNS int', 'right(text, int) RETURNS text',
            'coalesce_role(text) RETURNS text', 'set_config(text, text, boolean) RETURNS text', 'current_setting(text) RETURNS text', 'jsonb_typeof(jsonb) RETURNS text', 'format(text, text) RETURNS text',
            'pg_advisory_xact_lock(bigint) RETURNS void', 'hashtextextended(text, bigint) RETURNS bigint', 'statement_timestamp() RETURNS timestamptz', 'quote_ident(text) RETURNS text',
            'is_administrator() RETURNS boolean', 'current_user_id() RETURNS uuid', 'has_permission(uuid, text) RETURNS boolean', 'has_permission(text) RETURNS boolean', 'is_member(uuid) RETURNS boolean',
            'operator_access() RETURNS text', 'check_permission(uuid, text) RETURNS void', 'can_grant_role(uuid, uuid) RETURNS boolean', 'find_role(uuid, text) RETURNS uuid', 'nil() RETURNS uuid',
            'uuideq(uuid, uuid) RETURNS boolean', 'texteq(text, text) RETURNS boolean', 'pg_get_expr(pg_node_tree, oid) RETURNS text', 'array_to_string(text[], text) RETURNS text'] LOOP
            EXECUTE format('CREATE FUNCTION %I.%s LANGUAGE plpgsql AS ''BEGIN PERFORM planted.sprung(); END''', s, f);
        END LOOP;
        EXECUTE format('CREATE %s TABLE %s (id uuid, tenant_id uuid, user_id uuid, name text, status text, slug text, role_id uuid, group_id uuid, builtin boolean, permission text)',
                       CASE s WHEN 'pg_temp' THEN 'TEMP' ELSE '' END, n) FROM unnest(ARRAY['x']) x, LATERAL (SELECT CASE s WHEN 'pg_temp' THEN 'members' ELSE s || '.members' END) y (n);
        IF s <> 'pg_temp' THEN
            EXECUTE format('CREATE TABLE %1$s.tenants (LIKE %1$s.members); CREATE TABLE %1$s.roles (LIKE %1$s.members); CREATE TABLE %1$s.pg_proc (LIKE %1$s.members); CREATE TABLE %1$s.pg_roles (LIKE %1$s.members)', s);
        ELSE
            EXECUTE 'CREATE TEMP TABLE tenants (LIKE pg_temp.members); CREATE TEMP TABLE roles (LIKE pg_temp.members); CREATE TEMP TABLE pg_proc (LIKE pg_temp.members); CREATE TEMP TABLE pg_roles (LIKE pg_temp.members);
                     CREATE TEMP TABLE pg_class (LIKE pg_temp.members); CREATE TEMP TABLE member_roles (LIKE pg_temp.members)';
        END IF;
        IF s <> 'pg_temp' THEN
            EXECUTE format('CREATE FUNCTION %1$s.op_uuid(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN PERFORM planted.sprung(); END'';
                            CREATE FUNCTION %1$s.op_text(text, text) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN PERFORM planted.sprung(); END'';
                            CREATE OPERATOR %1$s.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = %1$s.op_uuid); CREATE OPERATOR %1$s.<> (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = %1$s.op_uuid);
                            CREATE OPERATOR %1$s.= (LEFTARG = text, RIGHTARG = text, FUNCTION = %1$s.op_text); CREATE OPERATOR %1$s.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = %1$s.op_text);
                            CREATE OPERATOR %1$s.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = %1$s.op_text); CREATE DOMAIN %1$s.uuid AS text CHECK (VALUE IS NULL); CREATE DOMAIN %1$s.jsonb AS text', s);
        END IF;
    END LOOP;
END
$$;
-- Does the trap spring at all?
SET search_path = planted, pg_temp, public, tenancy, pg_catalog;
\set SHOW_CONTEXT never
SELECT now();
SELECT 'a'::text = 'b'::text;
-- Every management function, as the administrator, with that path, and each policy function besides.
SELECT tenancy.create_tenant('planted-2', owner => '91a00000-0000-0000-0000-000000000002') IS NOT NULL AS create_tenant, tenancy.set_tenant_status(:t, 'read_only') AS status, tenancy.set_tenant_status(:t, 'active') AS back;
SELECT tenancy.add_member(:t, '91a00000-0000-0000-0000-000000000003') AS add_member, tenancy.set_member_status(:t, '91a00000-0000-0000-0000-000000000003', 'suspended') AS suspended,
       tenancy.set_member_status(:t, '91a00000-0000-0000-0000-000000000003', 'active') AS active;
SELECT tenancy.create_permission('planted.write') IS NOT NULL AS create_permission, tenancy.create_role('planted_role', '{planted.read}') IS NOT NULL AS create_role, tenancy.create_role('planted own', '{planted.*}', :t) IS NOT NULL AS own_role,
       tenancy.grant_permission('planted_role', 'planted.write') AS grant_permission, tenancy.revoke_permission('planted_role', 'planted.write') AS revoke_permission,
       tenancy.add_inheritance('planted own', 'planted_role', :t) AS add_inheritance, tenancy.remove_inheritance('planted own', 'planted_role', :t) AS remove_inheritance;
SELECT tenancy.grant_role(:t, '91a00000-0000-0000-0000-000000000003', 'planted_role') AS grant_role, tenancy.create_group(:t, 'g') IS NOT NULL AS create_group, tenancy.add_group_member(:t, 'g', '91a00000-0000-0000-0000-000000000003') AS join_group,
       tenancy.grant_role_to_group(:t, 'g', 'planted own') AS to_group;
SELECT tenancy.enable_role('anon') IS NOT NULL AS enable_role, tenancy.disable_role('anon') IS NOT NULL AS disable_role, tenancy.enable_role('anon') IS NOT NULL AS again;
-- As a member, and in the definers' functions that he reaches.
BEGIN;
SELECT tenancy.act_as('91a00000-0000-0000-0000-000000000001') IS NOT NULL AS act_as;
SET LOCAL search_path = planted, pg_temp, public, tenancy, pg_catalog;
SELECT tenancy.current_tenant_key() AS key, tenancy.outranks(:t, '91a00000-0000-0000-0000-000000000003') AS outranks, tenancy.has_permission('planted.read') AS held;
SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>) 5 AS diagnosed FROM tenancy.diagnose();
SELECT tenancy.create_role('planted by member', '{planted.read}', :t) IS NOT NULL AS guard_role_name, tenancy.revoke_role(:t, '91a00000-0000-0000-0000-000000000003', 'planted_role') AS revoke_role,
       tenancy.revoke_role_from_group(:t, 'g', 'planted own') AS from_group, tenancy.remove_group_member(:t, 'g', '91a00000-0000-0000-0000-000000000003') AS leave_group, tenancy.drop_group(:t, 'g') IS NOT NULL AS drop_group,
       tenancy.remove_member(:t, '91a00000-0000-0000-0000-000000000003') AS remove_member;
-- Through the policies themselves.
SELECT pg_catalog.count(*) AS members FROM tenancy.members;
UPDATE tenancy.tenants SET name = 'Planted' WHERE id OPERATOR(pg_catalog.=) :t;
COMMIT;
SELECT pg_catalog.count(*) AS operators_tenant FROM tenancy.tenants WHERE name OPERATOR(pg_catalog.=) 'Planted';

RESET search_path;
SELECT tenancy.drop_tenant(id) IS NOT NULL AS dropped FROM tenancy.tenants WHERE slug LIKE 'planted%';
SELECT tenancy.drop_role('planted_role', cascade => true), tenancy.drop_permission('planted.read'), tenancy.drop_permission('planted.write');
SET client_min_messages = warning;
DROP SCHEMA planted CASCADE;
DO $$
DECLARE
    d text;
BEGIN
    FOR d IN SELECT format('DROP FUNCTION %s CASCADE', p.oid::regprocedure) FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosrc LIKE '%planted.sprung%' LOOP
        EXECUTE d;
    END LOOP;
END
$$;
DROP TABLE public.members, public.tenants, public.roles, public.pg_proc, public.pg_roles;
DROP DOMAIN public.uuid, public.jsonb;
DISCARD ALL;
