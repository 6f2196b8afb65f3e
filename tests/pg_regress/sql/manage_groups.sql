-- Groups: made and filled by holders of groups.edit, given roles by holders of roles.assign.
\set t '''3a300000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'mg-a', 'A');
SELECT tenancy.create_permission('mg.read') IS NOT NULL;
SELECT tenancy.create_role('mg_role', '{mg.read}') IS NOT NULL, tenancy.create_role('mg_manager', '{groups.edit,roles.assign,mg.read}') IS NOT NULL;
SELECT tenancy.add_member(:t, '3a300000-0000-0000-0000-000000000001', '{mg_manager}'), tenancy.add_member(:t, '3a300000-0000-0000-0000-000000000002');
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
CREATE FUNCTION pg_temp.each(command text, OUT who text, OUT answer text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR who, answer IN SELECT w.name, test.attempt(w.id::uuid, replace(replace(command, '@', '3a300000-0000-0000-0000-00000000000'), '$T', '''3a300000-0000-0000-0000-00000000000a'''))
                         FROM (VALUES ('member', '3a300000-0000-0000-0000-000000000002'), ('manager', '3a300000-0000-0000-0000-000000000001'), ('administrator', NULL)) w (name, id) LOOP
        RETURN NEXT;
    END LOOP;
END
$$;
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$SELECT tenancy.create_group($T, 'team') IS NOT NULL$$, $$SELECT tenancy.add_group_member($T, 'team', '@2')$$, $$SELECT tenancy.grant_role_to_group($T, 'team', 'mg_role')$$,
    $$SELECT tenancy.drop_group($T, 'team')$$, $$SELECT tenancy.drop_group($T, 'team', NULL)$$, $$SELECT tenancy.revoke_role_from_group($T, 'team', 'mg_role')$$,
    $$SELECT tenancy.remove_group_member($T, 'team', '@2')$$, $$SELECT tenancy.drop_group($T, 'team')$$,
    $$SELECT tenancy.create_group($T, NULL)$$, $$SELECT tenancy.create_group($T, ' x')$$, $$SELECT tenancy.create_group($T, repeat('x', 64))$$, $$SELECT tenancy.create_group(gen_random_uuid(), 'x')$$, $$SELECT tenancy.create_group(NULL, 'x')$$,
    $$SELECT tenancy.add_group_member($T, 'none', '@2')$$, $$SELECT tenancy.grant_role_to_group($T, 'none', 'mg_role')$$, $$SELECT tenancy.revoke_role_from_group($T, NULL, 'mg_role')$$,
    $$SELECT tenancy.remove_group_member($T, 'none', '@2')$$, $$SELECT tenancy.drop_group($T, 'none')$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
-- Who is no member, a role that is none; plain DML; dropping with members.
SELECT tenancy.create_group(:t, 'crew') IS NOT NULL;
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$SELECT tenancy.add_group_member($T, 'crew', '@8')$$, $$SELECT tenancy.add_group_member($T, 'crew', NULL)$$, $$SELECT tenancy.grant_role_to_group($T, 'crew', 'no such role')$$,
    $$SELECT tenancy.remove_group_member($T, 'crew', NULL)$$, $$SELECT tenancy.revoke_role_from_group($T, 'crew', 'mg_role')$$,
    $$INSERT INTO tenancy.groups (tenant_id, name) VALUES ($T, E'\n')$$, $$INSERT INTO tenancy.groups (tenant_id, name) VALUES ($T, 'crew')$$, $$UPDATE tenancy.groups SET name = 'Crew' WHERE name = 'crew'$$,
    $$UPDATE tenancy.groups SET tenant_id = gen_random_uuid() WHERE name = 'Crew'$$,
    $$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) SELECT tenant_id, id, '@2' FROM tenancy.groups WHERE name = 'Crew' ON CONFLICT DO NOTHING$$,
    $$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) SELECT tenant_id, id, '@8' FROM tenancy.groups WHERE name = 'Crew'$$,
    $$INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) SELECT g.tenant_id, g.id, r.id FROM tenancy.groups g, tenancy.roles r WHERE g.name = 'Crew' AND r.name = 'mg_role' ON CONFLICT DO NOTHING$$,
    $$UPDATE tenancy.group_members SET added_at = now() WHERE tenant_id = $T$$, $$UPDATE tenancy.group_roles SET granted_at = now() WHERE tenant_id = $T$$,
    $$DELETE FROM tenancy.group_roles WHERE role_id = (SELECT id FROM tenancy.roles WHERE name = 'mg_role')$$, $$SELECT tenancy.drop_group($T, 'Crew', cascade => true)$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
SELECT count(*) AS left FROM tenancy.group_members WHERE tenant_id = :t;

SELECT tenancy.drop_tenant(:t);
SELECT tenancy.drop_role('mg_role', cascade => true), tenancy.drop_role('mg_manager', cascade => true), tenancy.drop_permission('mg.read');
