-- Threat 18: a holder of roles.assign, roles.edit or groups.edit hands out no more than he holds, to himself or
-- others, by whatever route. Each line is a route; 1 manages with docs.*, 3 owns, 2 is anybody.
\set t '''de100000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'delegation', 'D');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['del.read', 'del.write', 'delx.read', 'secret.read']) p;
SELECT tenancy.create_permission('del.platform', scope => 'platform');
-- Roles of the application: within his reach, beyond it, and beyond it only by what they inherit.
SELECT r, tenancy.create_role(r, p) IS NOT NULL FROM (VALUES
    ('dg_manager', '{roles.assign,roles.edit,groups.edit,members.read,members.assign,del.*}'::text[]), ('dg_below', '{del.read}'), ('dg_same', '{del.*,roles.assign}'), ('dg_empty', '{}'),
    ('dg_secret', '{secret.read}'), ('dg_wider', '{delx.*}'), ('dg_all', '{all}'), ('dg_platform', '{del.platform}'), ('dg_senior', '{}'), ('dg_middle', '{}')) v (r, p);
SELECT tenancy.add_inheritance('dg_senior', 'dg_middle'), tenancy.add_inheritance('dg_middle', 'dg_secret');
SELECT tenancy.create_role('dg own', '{del.read}', :t) IS NOT NULL, tenancy.create_role('dg own secret', '{secret.read}', :t) IS NOT NULL, tenancy.create_role('dg mine', '{}', :t) IS NOT NULL;
SELECT tenancy.add_member(:t, 'de100000-0000-0000-0000-000000000001', '{dg_manager,dg mine}'), tenancy.add_member(:t, 'de100000-0000-0000-0000-000000000002'),
       tenancy.add_member(:t, 'de100000-0000-0000-0000-000000000003', '{owner}');
SELECT tenancy.create_group(:t, 'open') IS NOT NULL, tenancy.create_group(:t, 'owners') IS NOT NULL, tenancy.grant_role_to_group(:t, 'owners', 'dg_secret');
CREATE FUNCTION pg_temp.try(who text, command text) RETURNS text LANGUAGE sql
    AS $$ SELECT test.try(('de100000-0000-0000-0000-00000000000' || who)::uuid, command) $$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
CREATE FUNCTION pg_temp.routes(routes text[]) RETURNS TABLE (route text, manager text, owner text) LANGUAGE sql AS $$
    SELECT c, pg_temp.try('1', x), pg_temp.try('3', x) FROM unnest(routes) WITH ORDINALITY r(c, n),
           replace(replace(c, '@', 'de100000-0000-0000-0000-00000000000'), '$T', '''de100000-0000-0000-0000-00000000000a''') x ORDER BY n
$$;
-- By function, to himself, to another, and when adding a member.
SELECT r, pg_temp.try('1', format('SELECT tenancy.grant_role(%L, %L, %L)', :t, 'de100000-0000-0000-0000-000000000001', r)) AS himself,
       pg_temp.try('1', format('SELECT tenancy.grant_role(%L, %L, %L)', :t, 'de100000-0000-0000-0000-000000000002', r)) AS another,
       pg_temp.try('1', format('SELECT tenancy.add_member(%L, %L, %L)', :t, 'de100000-0000-0000-0000-000000000009', ARRAY[r])) AS added,
       pg_temp.try('1', format('SELECT tenancy.grant_role_to_group(%L, %L, %L)', :t, 'open', r)) AS to_group,
       pg_temp.try('3', format('SELECT tenancy.grant_role(%L, %L, %L)', :t, 'de100000-0000-0000-0000-000000000002', r)) AS by_owner
  FROM unnest(ARRAY['dg_below', 'dg_same', 'dg_empty', 'dg own', 'dg mine', 'dg_secret', 'dg_wider', 'dg_all', 'owner', 'dg_platform', 'dg_senior', 'dg_middle', 'dg own secret']) r;
-- By plain DML: rows, many rows of which one is beyond him, upserts, a row turned into another, COPY, MERGE.
SELECT * FROM pg_temp.routes(ARRAY[
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, '@1', id FROM tenancy.roles WHERE name = 'owner'$$,
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, '@2', id FROM tenancy.roles WHERE name = 'dg_below'$$,
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, '@2', id FROM tenancy.roles WHERE name IN ('dg_below', 'dg_secret')$$,
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, '@3', id FROM tenancy.roles WHERE name = 'owner' ON CONFLICT (tenant_id, user_id, role_id) DO UPDATE SET expires_at = now()$$,
    $$UPDATE tenancy.member_roles SET role_id = (SELECT id FROM tenancy.roles WHERE name = 'owner') WHERE user_id = '@1'$$,
    $$UPDATE tenancy.member_roles SET user_id = '@1' WHERE user_id = '@3'$$, $$UPDATE tenancy.member_roles SET tenant_id = tenant_id WHERE user_id = '@1'$$,
    $$UPDATE tenancy.member_roles SET expires_at = 'infinity' WHERE user_id = '@3'$$,
    $$INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) SELECT $T, g.id, r.id FROM tenancy.groups g, tenancy.roles r WHERE g.name = 'open' AND r.name = 'dg_all'$$,
    $$UPDATE tenancy.group_roles SET role_id = (SELECT id FROM tenancy.roles WHERE name = 'dg_all')$$,
    $$MERGE INTO tenancy.member_roles m USING tenancy.roles r ON m.role_id = r.id AND m.user_id = '@2' WHEN NOT MATCHED AND r.name = 'dg_secret' THEN INSERT (tenant_id, user_id, role_id) VALUES ($T, '@2', r.id)$$,
    $$WITH w AS (INSERT INTO tenancy.members (tenant_id, user_id) VALUES ($T, '@8') RETURNING *) INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, user_id, r.id FROM w, tenancy.roles r WHERE r.name = 'dg_all'$$]);
BEGIN;
SELECT tenancy.act_as('de100000-0000-0000-0000-000000000001');
COPY tenancy.member_roles (tenant_id, user_id, role_id) FROM stdin;
de100000-0000-0000-0000-00000000000a	de100000-0000-0000-0000-000000000001	00000000-0000-0000-0000-00000000a001
\.
ROLLBACK;
-- By editing a role he holds, or one that he will be given.
SELECT p, pg_temp.try('1', format('SELECT tenancy.grant_permission(%L, %L, %L)', 'dg mine', p, :t)) AS to_his_role,
       pg_temp.try('1', format($$INSERT INTO tenancy.role_permissions (role_id, permission) SELECT id, %L FROM tenancy.roles WHERE name = 'dg own'$$, p)) AS to_another,
       pg_temp.try('1', format('SELECT tenancy.create_role(%L, %L, %L) IS NOT NULL', 'dg new', ARRAY[p], :t)) AS to_a_new_one,
       pg_temp.try('1', format('SELECT tenancy.grant_permission(%L, %L)', 'dg_below', p)) AS to_the_applications,
       pg_temp.try('3', format('SELECT tenancy.grant_permission(%L, %L, %L)', 'dg mine', p, :t)) AS by_owner
  FROM unnest(ARRAY['del.read', 'del.*', 'del.deep.*', 'delx.read', 'delx.*', 'secret.read', 'all', 'del.platform', 'members.read', 'tenant.edit']) p;
-- By inheritance, by group, and by names.
SELECT * FROM pg_temp.routes(ARRAY[
    $$SELECT tenancy.add_inheritance('dg mine', 'dg_below', $T)$$, $$SELECT tenancy.add_inheritance('dg mine', 'dg_secret', $T)$$, $$SELECT tenancy.add_inheritance('dg mine', 'owner', $T)$$,
    $$SELECT tenancy.add_inheritance('dg mine', 'dg own secret', $T)$$, $$SELECT tenancy.add_inheritance('dg_manager', 'dg_secret')$$, $$SELECT tenancy.add_inheritance('dg mine', 'dg_senior', $T)$$,
    $$INSERT INTO tenancy.role_inheritance (senior_id, junior_id) SELECT s.id, j.id FROM tenancy.roles s, tenancy.roles j WHERE s.name = 'dg mine' AND j.name = 'owner'$$,
    $$INSERT INTO tenancy.role_inheritance (senior_id, junior_id) SELECT s.id, j.id FROM tenancy.roles s, tenancy.roles j WHERE s.name = 'dg_manager' AND j.name = 'owner'$$,
    $$SELECT tenancy.add_group_member($T, 'open', '@1')$$, $$SELECT tenancy.add_group_member($T, 'owners', '@1')$$, $$SELECT tenancy.add_group_member($T, 'owners', '@2')$$,
    $$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) SELECT $T, id, '@1' FROM tenancy.groups WHERE name = 'owners'$$,
    $$UPDATE tenancy.group_members SET group_id = (SELECT id FROM tenancy.groups WHERE name = 'owners')$$,
    $$UPDATE tenancy.roles SET name = 'dg_all' WHERE name = 'dg mine'$$, $$UPDATE tenancy.roles SET builtin = true WHERE name = 'dg mine'$$,
    $$INSERT INTO tenancy.operators (user_id, access) VALUES ('@1', 'write')$$, $$UPDATE tenancy.members SET user_id = '@3' WHERE user_id = '@1'$$,
    $$SELECT tenancy.enable_role('anon')$$, $$SELECT tenancy.act_as('@3')$$, $$SELECT tenancy.insert_tenant('dg-x', 'x', '@1', '{}', NULL)$$, $$SELECT tenancy.create_tenant_by_identity('dg-x', 'x', '@1', '{}')$$,
    $$SELECT tenancy.role_scope(id) IS NOT NULL FROM tenancy.roles WHERE name = 'dg mine'$$]);
-- Patterns cover patterns, not the sum of names: what is registered tomorrow he would hold through docs.* only.
SELECT p, tenancy.can_grant_permission(:t, p) AS nobody, pg_temp.try('1', format('SELECT tenancy.can_grant_permission(%L, %L)', :t, p)) AS manager,
       pg_temp.try('3', format('SELECT tenancy.can_grant_permission(%L, %L)', :t, p)) AS owner
  FROM unnest(ARRAY['del.read', 'del.*', 'del.none', 'none.*', 'all', '', 'del.platform']) p;

\pset tuples_only off
SELECT tenancy.drop_tenant(:t);
SELECT tenancy.drop_role(name, cascade => true) FROM tenancy.roles WHERE name LIKE 'dg\_%' ORDER BY name;
SELECT tenancy.drop_permission(p) FROM unnest(ARRAY['del.read', 'del.write', 'delx.read', 'secret.read', 'del.platform']) p;
