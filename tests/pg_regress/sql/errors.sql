-- The table in docs/reference/errors.md: one call for each message that the management functions and guards
-- raise, with its SQLSTATE and constraint. tests/unit/tests/error_reference.rs looks each up in the document.
\set t '''e1100000-0000-0000-0000-00000000000a'''
\set s '''e1100000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'errors', 'E'), (:s, 'errors-closed', 'S');
SELECT tenancy.create_permission('err.read') IS NOT NULL, tenancy.create_role('err_role', '{err.read}') IS NOT NULL, tenancy.create_role('err_manager', '{members.assign,roles.assign,groups.edit,roles.edit}') IS NOT NULL,
       tenancy.create_role('err own', '{}', :t) IS NOT NULL, tenancy.create_group(:t, 'err group') IS NOT NULL;
SELECT tenancy.add_member(:t, 'e1100000-0000-0000-0000-000000000001', '{err_manager}'), tenancy.add_member(:s, 'e1100000-0000-0000-0000-000000000001'), tenancy.add_group_member(:t, 'err group', 'e1100000-0000-0000-0000-000000000001'),
       tenancy.set_tenant_status(:s, 'suspended');
CREATE TABLE public.err_docs (tenant_id uuid);
INSERT INTO public.err_docs VALUES (:t);
INSERT INTO tenancy.protected_tables (table_id, root_id, options) VALUES ('public.err_docs', 'public.err_docs', '{"tenant_column":"tenant_id"}');
SELECT tenancy.create_meter('err.calls', 'calls', 'counter'), tenancy.create_meter('err.rows', 'rows', 'gauge'), tenancy.create_meter('err.fed', 'rows', 'gauge'), tenancy.create_plan('err plan'), tenancy.create_plan('err default', is_default => true), tenancy.set_tenant_plan(:t, 'err plan');
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:t, 'err.calls', '2026-01-01 UTC', 1);
INSERT INTO tenancy.metered_tables VALUES ('public.err_docs', 'public.err_docs', 'err.fed', 'rows');
CREATE FUNCTION pg_temp.raised(actor text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_constraint text;
BEGIN
    CASE actor
        WHEN 'manager' THEN PERFORM tenancy.act_as('e1100000-0000-0000-0000-000000000001');
        WHEN 'stranger' THEN PERFORM tenancy.act_as('e1100000-0000-0000-0000-000000000002');
        WHEN 'anon' THEN PERFORM set_config('role', 'anon', true);
        WHEN 'job' THEN
            PERFORM tenancy.allow_database_role('anon', '{err_role}');
            PERFORM set_config('role', 'anon', true);
        WHEN 'executor' THEN
            GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO anon;
            PERFORM set_config('role', 'anon', true);
        ELSE NULL;
    END CASE;
    EXECUTE replace(replace(command, '$T', '''e1100000-0000-0000-0000-00000000000a'''), '$S', '''e1100000-0000-0000-0000-00000000000b''');
    RAISE EXCEPTION USING ERRCODE = 'P0UND', MESSAGE = 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_constraint = CONSTRAINT_NAME;
    RETURN concat('| ', SQLSTATE, ' | ', SQLERRM, ' | ', found_constraint, ' |');
END
$$;
SET tenancy.max_owned_tenants = 0;
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.raised(actor, command) FROM (VALUES
    ('anon', $$SELECT tenancy.create_tenant('err-x', owner => 'e1100000-0000-0000-0000-000000000001')$$), ('stranger', $$SELECT tenancy.create_tenant('err-x', owner => NULL)$$),
    ('stranger', $$SELECT tenancy.create_tenant('err-x')$$), ('stranger', $$SELECT tenancy.add_member($T, 'e1100000-0000-0000-0000-000000000002')$$), ('stranger', $$SELECT tenancy.require_permission('err.read')$$), ('anon', $$SELECT tenancy.require_permission('err.read')$$),
    ('manager', $$SELECT tenancy.set_tenant_status($T, 'active')$$), ('manager', $$SELECT tenancy.drop_tenant($T)$$), ('manager', $$SELECT tenancy.create_permission('err.x')$$),
    ('manager', $$SELECT tenancy.grant_role($T, 'e1100000-0000-0000-0000-000000000001', 'err_role')$$), ('manager', $$SELECT tenancy.act_as('e1100000-0000-0000-0000-000000000001')$$),
    ('administrator', $$SELECT tenancy.grant_permission('owner', 'err.read')$$), ('administrator', $$SELECT tenancy.drop_role('owner', cascade => true)$$),
    ('manager', $$SELECT tenancy.grant_operator('e1100000-0000-0000-0000-000000000002', 'read')$$), ('administrator', $$SELECT tenancy.grant_operator(NULL, 'read')$$),
    ('administrator', $$SELECT tenancy.grant_operator('e1100000-0000-0000-0000-000000000002', 'x')$$), ('administrator', $$SELECT tenancy.grant_operator('e1100000-0000-0000-0000-000000000002', 'read', '2020-01-01')$$),
    ('administrator', $$SELECT tenancy.create_tenant('Err')$$), ('administrator', $$SELECT tenancy.create_tenant('err-x', '')$$), ('administrator', $$SELECT tenancy.create_tenant('err-x', metadata => '[]')$$),
    ('administrator', $$SELECT tenancy.create_tenant('err-x', owner => '00000000-0000-0000-0000-000000000000')$$), ('administrator', $$SELECT tenancy.set_tenant_status($T, 'x')$$), ('administrator', $$SELECT tenancy.set_member_status($T, 'e1100000-0000-0000-0000-000000000001', 'x')$$),
    ('administrator', $$SELECT tenancy.add_member($T, NULL)$$), ('administrator', $$SELECT tenancy.grant_role($T, NULL, 'err_role')$$), ('administrator', $$SELECT tenancy.grant_role($T, 'e1100000-0000-0000-0000-000000000001', 'err_role', '2020-01-01')$$),
    ('administrator', $$SELECT tenancy.create_permission('Err')$$), ('administrator', $$SELECT tenancy.create_permission('err.x', scope => 'x')$$), ('administrator', $$SELECT tenancy.grant_permission('err_role', '*')$$),
    ('administrator', $$SELECT tenancy.create_role(' ')$$), ('administrator', $$SELECT tenancy.create_role('err_x', NULL)$$), ('administrator', $$SELECT tenancy.create_group($T, ' ')$$), ('administrator', $$SELECT tenancy.add_group_member($T, 'err group', NULL)$$),
    ('administrator', $$SELECT tenancy.require_permission(NULL)$$), ('administrator', $$SELECT tenancy.enable_role('public')$$), ('administrator', $$SELECT tenancy.act_as('e1100000-0000-0000-0000-000000000001', claims => '[]')$$),
    ('administrator', $$SELECT tenancy.add_member(gen_random_uuid(), 'e1100000-0000-0000-0000-000000000001')$$), ('administrator', $$SELECT tenancy.grant_role($T, 'e1100000-0000-0000-0000-000000000009', 'err_role')$$),
    ('administrator', $$SELECT tenancy.drop_role('err none')$$), ('administrator', $$SELECT tenancy.drop_permission('err.none')$$), ('administrator', $$SELECT tenancy.drop_group($T, 'err none')$$), ('administrator', $$SELECT tenancy.enable_role('err none')$$),
    ('manager', $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES ($T, 'e1100000-0000-0000-0000-000000000001', gen_random_uuid())$$),
    ('manager', $$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES ($T, gen_random_uuid(), 'e1100000-0000-0000-0000-000000000001')$$),
    ('administrator', $$SELECT tenancy.create_tenant('errors')$$), ('administrator', $$SELECT tenancy.create_permission('err.read')$$), ('administrator', $$SELECT tenancy.create_role('err_role')$$), ('administrator', $$SELECT tenancy.create_group($T, 'err group')$$),
    ('administrator', $$SELECT tenancy.create_role('err_role', tenant => $T)$$), ('administrator', $$SELECT tenancy.create_role('err own')$$),
    ('administrator', $$SELECT tenancy.add_inheritance('err_role', 'err_role')$$),
    ('manager', $$SELECT tenancy.enter_tenant($T)$$), ('manager', $$SELECT tenancy.set_identity(tenancy.current_user_id())$$), ('administrator', $$SELECT tenancy.set_identity(NULL::uuid)$$), ('administrator', $$SELECT tenancy.set_identity('17')$$),
    ('administrator', $$SELECT tenancy.map_subject('')$$), ('administrator', $$SELECT tenancy.allow_database_role('anon', '{}')$$), ('administrator', $$SELECT tenancy.allow_database_role('anon', '{{owner}}')$$), ('administrator', $$SELECT tenancy.distrust_caller(current_user)$$), ('administrator', $$SELECT tenancy.allow_database_role('anon', '{err own}')$$), ('administrator', $$SELECT tenancy.allow_database_role('anon', '{err none}')$$),
    ('job', $$SELECT tenancy.enter_tenant('')$$), ('job', $$SELECT tenancy.enter_tenant('err none')$$), ('job', $$SELECT tenancy.enter_tenant($S)$$), ('administrator', $$SELECT set_config('tenancy.subject_format', 'mapped', true), tenancy.act_as('e1100000-0000-0000-0000-000000000009')$$),
    ('manager', $$SELECT tenancy.add_member($S, 'e1100000-0000-0000-0000-000000000002')$$), ('administrator', $$UPDATE tenancy.tenants SET id = gen_random_uuid() WHERE slug = 'errors'$$),
    ('manager', $$SELECT tenancy.set_auto_assignment($T, '{gmail.com}')$$), ('administrator', $$SELECT tenancy.set_auto_assignment($T, '{com}')$$), ('administrator', $$SELECT tenancy.set_auto_assignment($T, email_pattern => '(')$$),
    ('administrator', $$SELECT tenancy.set_auto_assignment($T, NULL)$$), ('administrator', $$SELECT tenancy.set_auto_assignment($T, array_fill('a.b'::text, '{101}'))$$), ('administrator', $$SELECT tenancy.assign_users()$$),
    ('administrator', $$SELECT tenancy.enable_profiles()$$), ('administrator', $$INSERT INTO tenancy.user_profiles (user_id, time_zone) VALUES ($T, 'x')$$), ('administrator', $$INSERT INTO tenancy.user_profiles (user_id, language) VALUES ($T, 'x')$$),
    ('administrator', $$INSERT INTO tenancy.user_profiles (user_id, avatar_url) VALUES ($T, 'x')$$), ('executor', $$SELECT tenancy.assign_users()$$), ('executor', $$SELECT tenancy.enable_profiles()$$), ('executor', $$SELECT tenancy.disable_profiles()$$),
    ('administrator', $$SELECT tenancy.drop_tenant($T)$$), ('administrator', $$SELECT tenancy.drop_permission('err.read')$$), ('administrator', $$SELECT tenancy.drop_role('err_manager')$$), ('administrator', $$SELECT tenancy.drop_group($T, 'err group')$$),
    ('manager', $$SELECT tenancy.create_meter('err.x', 'x', 'counter')$$), ('administrator', $$SELECT tenancy.create_meter('Err', 'x', 'counter')$$), ('administrator', $$SELECT tenancy.create_meter('err.x', '', 'counter')$$), ('administrator', $$SELECT tenancy.create_meter('err.x', 'x', 'x')$$),
    ('administrator', $$SELECT tenancy.create_meter('err.x', 'x', 'gauge', period => 'x')$$), ('administrator', $$SELECT tenancy.create_meter('err.x', 'x', 'gauge', NULL)$$), ('administrator', $$SELECT tenancy.create_meter('err.calls', 'x', 'gauge')$$), ('administrator', $$SELECT tenancy.drop_meter('err.none')$$),
    ('administrator', $$SELECT tenancy.drop_meter('err.calls')$$), ('administrator', $$SELECT tenancy.drop_meter('err.fed')$$), ('administrator', $$SELECT tenancy.alter_meter('err.calls', period => 'hour')$$), ('administrator', $$UPDATE tenancy.meters SET kind = 'gauge' WHERE name = 'err.calls'$$), ('administrator', $$SELECT tenancy.prune_usage('infinity')$$),
    ('administrator', $$SELECT tenancy.set_quota($T, 'err.rows', 1, 2, 'day')$$), ('administrator', $$SELECT tenancy.set_quota($T, 'err.calls', -1)$$), ('administrator', $$SELECT tenancy.set_quota($T, 'err.calls', 2, 1)$$),
    ('administrator', $$SELECT tenancy.create_plan('')$$), ('administrator', $$SELECT tenancy.create_plan('err plan')$$), ('administrator', $$SELECT tenancy.drop_plan('err none')$$), ('administrator', $$SELECT tenancy.drop_plan('err plan')$$), ('administrator', $$SELECT tenancy.drop_plan('err default')$$), ('administrator', $$SELECT tenancy.set_tenant_plan($T, NULL, 'infinity')$$),
    ('administrator', $$SELECT tenancy.usage_report(NULL, now())$$), ('administrator', $$SELECT tenancy.usage_report(now(), now())$$)
  ) v (actor, command);
SET tenancy.self_service = on;
SELECT pg_temp.raised('stranger', command) FROM unnest(ARRAY[$$SELECT tenancy.create_tenant('err-x')$$, $$SELECT tenancy.create_tenant('err-x', owner => 'e1100000-0000-0000-0000-000000000001')$$]) command;
RESET tenancy.self_service;
RESET tenancy.max_owned_tenants;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.raised('administrator', $$SELECT tenancy.alter_meter('err.rows', period => 'hour')$$);
COMMIT;

\pset tuples_only off
DELETE FROM tenancy.protected_tables WHERE table_id = 'public.err_docs'::regclass;
DELETE FROM tenancy.metered_tables;
SELECT tenancy.drop_plan('err plan', true), tenancy.drop_plan('err default', true), tenancy.drop_meter('err.calls', true), tenancy.drop_meter('err.rows'), tenancy.drop_meter('err.fed');
DROP TABLE public.err_docs;
SELECT tenancy.drop_tenant(:t), tenancy.drop_tenant(:s), tenancy.drop_role('err_role', cascade => true), tenancy.drop_role('err_manager', cascade => true), tenancy.drop_permission('err.read');
