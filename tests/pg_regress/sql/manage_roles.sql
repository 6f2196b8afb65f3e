-- Permissions, roles and hierarchy: of the application by administrators, of a tenant by holders of roles.edit.
\set t '''3a200000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'mr-a', 'A');
SELECT tenancy.create_permission('mr.read') IS NOT NULL, tenancy.create_permission('mr.write') IS NOT NULL;
SELECT tenancy.create_role('mr_editor', '{roles.edit,mr.*}') IS NOT NULL;
SELECT tenancy.add_member(:t, '3a200000-0000-0000-0000-000000000001', '{mr_editor}'), tenancy.add_member(:t, '3a200000-0000-0000-0000-000000000002');
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
CREATE FUNCTION pg_temp.each(command text, OUT who text, OUT answer text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR who, answer IN SELECT w.name, test.attempt(w.id::uuid, replace(command, '$T', '''3a200000-0000-0000-0000-00000000000a'''))
                         FROM (VALUES ('member', '3a200000-0000-0000-0000-000000000002'), ('editor', '3a200000-0000-0000-0000-000000000001'), ('administrator', NULL)) w (name, id) LOOP
        RETURN NEXT;
    END LOOP;
END
$$;
-- Of the application: administrators alone.
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$SELECT tenancy.create_permission('mr.more', 'Do more')$$, $$SELECT tenancy.create_permission('mr.plat', scope => 'platform')$$, $$SELECT tenancy.create_role('mr_app', '{mr.read}') IS NOT NULL$$,
    $$SELECT tenancy.create_role('mr_junior') IS NOT NULL$$, $$SELECT tenancy.grant_permission('mr_app', 'mr.more')$$, $$SELECT tenancy.grant_permission('mr_app', 'mr.*')$$,
    $$SELECT tenancy.add_inheritance('mr_app', 'mr_junior')$$, $$SELECT tenancy.revoke_permission('mr_app', 'mr.more')$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
-- Again by the administrator: create fails, the others say false.
SELECT c, test.attempt(NULL, c) FROM unnest(ARRAY[
    $$SELECT tenancy.create_permission('mr.more')$$, $$SELECT tenancy.create_permission('roles.edit')$$, $$SELECT tenancy.create_role('mr_app')$$, $$SELECT tenancy.grant_permission('mr_app', 'mr.*')$$,
    $$SELECT tenancy.revoke_permission('mr_app', 'mr.more')$$, $$SELECT tenancy.add_inheritance('mr_app', 'mr_junior')$$]) c;
-- Of the tenant, by whoever edits its roles.
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$SELECT tenancy.create_role('mr own', '{mr.read}', $T, 'What they do') IS NOT NULL$$, $$SELECT tenancy.create_role('mr lead', '{}', $T) IS NOT NULL$$,
    $$SELECT tenancy.grant_permission('mr own', 'mr.write', $T)$$, $$SELECT tenancy.add_inheritance('mr lead', 'mr own', $T)$$, $$SELECT tenancy.add_inheritance('mr own', 'mr_junior', $T)$$,
    $$SELECT tenancy.add_inheritance('mr own', 'mr lead', $T)$$, $$SELECT tenancy.add_inheritance('mr own', 'mr own', $T)$$,
    $$SELECT tenancy.remove_inheritance('mr own', 'mr_junior', $T)$$, $$SELECT tenancy.remove_inheritance('mr own', 'mr_junior', $T)$$, $$SELECT tenancy.revoke_permission('mr own', 'mr.write', $T)$$,
    $$SELECT tenancy.drop_role('mr own', $T)$$, $$SELECT tenancy.drop_role('mr own', $T, cascade => NULL)$$, $$SELECT tenancy.drop_role('mr own', $T, cascade => true)$$,
    $$SELECT tenancy.drop_role('mr lead', $T)$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
-- Bad arguments and what does not exist.
SELECT c, test.attempt(NULL, replace(c, '$T', '''3a200000-0000-0000-0000-00000000000a''')) FROM unnest(ARRAY[
    $$SELECT tenancy.create_permission(NULL)$$, $$SELECT tenancy.create_permission('all')$$, $$SELECT tenancy.create_permission('mr.*')$$, $$SELECT tenancy.create_permission('Mr.read')$$,
    $$SELECT tenancy.create_permission(repeat('m', 201))$$, $$SELECT tenancy.create_permission('mr.x', scope => 'world')$$, $$SELECT tenancy.create_permission('mr.x', scope => NULL)$$,
    $$SELECT tenancy.create_role(NULL)$$, $$SELECT tenancy.create_role('')$$, $$SELECT tenancy.create_role(' mr')$$, $$SELECT tenancy.create_role(E'm\tr')$$, $$SELECT tenancy.create_role(repeat('m', 64))$$,
    $$SELECT tenancy.create_role('mr_x', NULL)$$, $$SELECT tenancy.create_role('mr_x', '{mr.fly}')$$, $$SELECT tenancy.create_role('mr_x', '{NULL}')$$, $$SELECT tenancy.create_role('mr_x', '{mr.read.*.x}')$$,
    $$SELECT tenancy.create_role('mr_x', tenant => gen_random_uuid())$$, $$SELECT tenancy.create_role('mr_app', tenant => $T)$$,
    $$SELECT tenancy.grant_permission('mr_none', 'mr.read')$$, $$SELECT tenancy.grant_permission(NULL, 'mr.read')$$, $$SELECT tenancy.grant_permission('mr_app', NULL)$$, $$SELECT tenancy.grant_permission('mr_app', 'mr.fly')$$,
    $$SELECT tenancy.grant_permission('mr_app', 'all.*')$$, $$SELECT tenancy.grant_permission('mr_app', '*')$$, $$SELECT tenancy.grant_permission('mr_app', 'mr.read', $T)$$,
    $$SELECT tenancy.revoke_permission('mr_none', 'mr.read')$$, $$SELECT tenancy.revoke_permission('mr_app', NULL)$$, $$SELECT tenancy.add_inheritance('mr_none', 'mr_app')$$, $$SELECT tenancy.add_inheritance('mr_app', 'mr_none')$$,
    $$SELECT tenancy.add_inheritance('mr_junior', 'mr_app')$$, $$SELECT tenancy.add_inheritance('mr_app', 'mr_app')$$, $$SELECT tenancy.remove_inheritance('mr_app', 'mr_none')$$,
    $$SELECT tenancy.drop_role('mr_none')$$, $$SELECT tenancy.drop_role(NULL)$$, $$SELECT tenancy.drop_role('mr_app', $T)$$, $$SELECT tenancy.drop_permission('mr.fly')$$, $$SELECT tenancy.drop_permission(NULL)$$,
    $$SELECT tenancy.drop_permission('mr.read')$$, $$SELECT tenancy.drop_permission('mr.read', cascade => NULL)$$, $$SELECT tenancy.drop_role('mr_editor')$$]) c;
SELECT count(*) AS half_made FROM tenancy.roles WHERE name = 'mr_x';
-- Plain DML.
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$INSERT INTO tenancy.permissions (name) VALUES ('mr.dml')$$, $$UPDATE tenancy.permissions SET scope = 'platform' WHERE name = 'mr.read'$$, $$INSERT INTO tenancy.roles (name) VALUES ('mr dml app')$$,
    $$INSERT INTO tenancy.roles (name, tenant_id) VALUES ('mr dml', $T)$$, $$INSERT INTO tenancy.roles (name, tenant_id) VALUES (' ', $T)$$, $$INSERT INTO tenancy.roles (name, tenant_id, builtin) VALUES ('mr b', $T, true)$$,
    $$UPDATE tenancy.roles SET description = 'x' WHERE name = 'mr dml'$$, $$UPDATE tenancy.roles SET description = 'x' WHERE name = 'mr_app'$$, $$UPDATE tenancy.roles SET tenant_id = NULL WHERE name = 'mr dml'$$,
    $$INSERT INTO tenancy.role_permissions (role_id, permission) SELECT id, 'mr.read' FROM tenancy.roles WHERE name = 'mr dml' ON CONFLICT DO NOTHING$$,
    $$INSERT INTO tenancy.role_permissions (role_id, permission) SELECT id, 'mr.fly' FROM tenancy.roles WHERE name = 'mr dml'$$,
    $$INSERT INTO tenancy.role_permissions (role_id, permission) SELECT id, '*' FROM tenancy.roles WHERE name = 'mr dml'$$,
    $$INSERT INTO tenancy.role_inheritance (senior_id, junior_id) SELECT s.id, j.id FROM tenancy.roles s, tenancy.roles j WHERE s.name = 'mr dml' AND j.name = 'mr_junior' ON CONFLICT DO NOTHING$$,
    $$DELETE FROM tenancy.role_inheritance i USING tenancy.roles r WHERE r.id = i.senior_id AND r.name = 'mr dml'$$, $$DELETE FROM tenancy.role_permissions g USING tenancy.roles r WHERE r.id = g.role_id AND r.name = 'mr dml'$$,
    $$DELETE FROM tenancy.roles WHERE name = 'mr_app'$$, $$DELETE FROM tenancy.roles WHERE name = 'mr dml'$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;

SELECT tenancy.drop_tenant(:t);
SELECT tenancy.drop_role(name, cascade => true) FROM tenancy.roles WHERE name LIKE 'mr%' ORDER BY name;
SELECT tenancy.drop_permission(name, cascade => true) FROM tenancy.permissions WHERE name LIKE 'mr.%' ORDER BY name;
