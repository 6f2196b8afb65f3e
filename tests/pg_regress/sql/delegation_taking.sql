-- Nobody takes away more than he holds: a lesser manager cannot revoke from, remove, suspend or demote those who
-- hold more, nor take their roles, groups and permissions apart; by function, by DML, or by a cascade.
\set t '''de200000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'taking', 'T');
SELECT tenancy.create_permission('tak.read'), tenancy.create_permission('tak.high');
SELECT tenancy.create_role('tk_manager', '{roles.assign,roles.edit,groups.edit,members.assign,tak.read}') IS NOT NULL, tenancy.create_role('tk_low', '{tak.read}') IS NOT NULL,
       tenancy.create_role('tk high', '{tak.read,tak.high}', :t) IS NOT NULL, tenancy.create_role('tk low', '{tak.read}', :t) IS NOT NULL, tenancy.create_role('tk top', '{}', :t) IS NOT NULL;
SELECT tenancy.add_inheritance('tk top', 'tk high', :t), tenancy.add_inheritance('tk top', 'tk low', :t);
-- 1 and 2 manage, 3 owns, 4 holds more by a group, 5 by a tenant's role, 6 by what it inherits, 7 held more once,
-- 8 holds less, 9 is suspended and held more.
SELECT tenancy.add_member(:t, ('de200000-0000-0000-0000-00000000000' || u)::uuid, r) FROM (VALUES (1, '{tk_manager}'::text[]), (2, '{tk_manager}'), (3, '{owner}'), (4, '{}'), (5, '{tk high}'),
       (6, '{tk top}'), (7, '{tk high}'), (8, '{tk_low,tk low}'), (9, '{tk high}')) v (u, r);
UPDATE tenancy.member_roles SET expires_at = '2020-01-01' WHERE user_id = 'de200000-0000-0000-0000-000000000007';
SELECT tenancy.set_member_status(:t, 'de200000-0000-0000-0000-000000000009', 'suspended');
SELECT tenancy.create_group(:t, 'high') IS NOT NULL, tenancy.grant_role_to_group(:t, 'high', 'tk high'), tenancy.add_group_member(:t, 'high', 'de200000-0000-0000-0000-000000000004'),
       tenancy.create_group(:t, 'low') IS NOT NULL, tenancy.grant_role_to_group(:t, 'low', 'tk_low'), tenancy.add_group_member(:t, 'low', 'de200000-0000-0000-0000-000000000008');
CREATE FUNCTION pg_temp.try(who text, command text) RETURNS text LANGUAGE sql
    AS $$ SELECT test.try(('de200000-0000-0000-0000-00000000000' || who)::uuid, command) $$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
SELECT who, pg_temp.try('1', format('SELECT tenancy.remove_member(%L, %L)', :t, u)) AS removed, pg_temp.try('1', format('DELETE FROM tenancy.members WHERE user_id = %L', u)) AS deleted,
       pg_temp.try('1', format('SELECT tenancy.set_member_status(%L, %L, %L)', :t, u, CASE n WHEN 9 THEN 'active' ELSE 'suspended' END)) AS status_set,
       pg_temp.try('1', format('UPDATE tenancy.members SET status = %L WHERE user_id = %L', 'suspended', u)) AS updated
  FROM (VALUES (1, 'himself'), (2, 'his equal'), (3, 'the owner'), (4, 'more by group'), (5, 'more by role'), (6, 'more by inheritance'), (7, 'more once'), (8, 'less'), (9, 'more, suspended')) v (n, who),
       LATERAL (SELECT 'de200000-0000-0000-0000-00000000000' || n) x (u) ORDER BY n;
CREATE FUNCTION pg_temp.routes(routes text[]) RETURNS TABLE (route text, manager text, owner text) LANGUAGE sql AS $$
    SELECT c, pg_temp.try('1', x), pg_temp.try('3', x) FROM unnest(routes) WITH ORDINALITY r(c, n),
           replace(replace(c, '@', 'de200000-0000-0000-0000-00000000000'), '$T', '''de200000-0000-0000-0000-00000000000a''') x ORDER BY n
$$;
SELECT * FROM pg_temp.routes(ARRAY[
    $$SELECT tenancy.revoke_role($T, '@3', 'owner')$$, $$SELECT tenancy.revoke_role($T, '@5', 'tk high')$$, $$SELECT tenancy.revoke_role($T, '@6', 'tk top')$$, $$SELECT tenancy.revoke_role($T, '@8', 'tk low')$$,
    $$DELETE FROM tenancy.member_roles WHERE user_id = '@5'$$, $$DELETE FROM tenancy.member_roles WHERE user_id = '@8'$$, $$DELETE FROM tenancy.member_roles WHERE tenant_id = $T$$,
    $$UPDATE tenancy.member_roles SET expires_at = '2020-01-01' WHERE user_id = '@5'$$, $$UPDATE tenancy.member_roles SET expires_at = '2020-01-01' WHERE user_id = '@8'$$,
    $$SELECT tenancy.remove_group_member($T, 'high', '@4')$$, $$SELECT tenancy.remove_group_member($T, 'low', '@8')$$, $$DELETE FROM tenancy.group_members WHERE user_id = '@4'$$,
    $$SELECT tenancy.revoke_role_from_group($T, 'high', 'tk high')$$, $$SELECT tenancy.revoke_role_from_group($T, 'low', 'tk_low')$$,
    $$DELETE FROM tenancy.group_roles WHERE role_id IN (SELECT id FROM tenancy.roles WHERE name = 'tk high')$$,
    $$SELECT tenancy.drop_group($T, 'high', cascade => true)$$, $$SELECT tenancy.drop_group($T, 'low', cascade => true)$$, $$DELETE FROM tenancy.groups WHERE name = 'high'$$,
    $$SELECT tenancy.revoke_permission('tk high', 'tak.high', $T)$$, $$SELECT tenancy.revoke_permission('tk high', 'tak.read', $T)$$,
    $$DELETE FROM tenancy.role_permissions WHERE permission = 'tak.high'$$, $$UPDATE tenancy.role_permissions SET permission = 'tak.read' WHERE permission = 'tak.high'$$,
    $$SELECT tenancy.drop_role('tk high', $T, cascade => true)$$, $$SELECT tenancy.drop_role('tk top', $T, cascade => true)$$, $$SELECT tenancy.drop_role('tk low', $T, cascade => true)$$,
    $$DELETE FROM tenancy.roles WHERE name = 'tk high'$$, $$SELECT tenancy.remove_inheritance('tk top', 'tk high', $T)$$, $$SELECT tenancy.remove_inheritance('tk top', 'tk low', $T)$$,
    $$DELETE FROM tenancy.role_inheritance WHERE senior_id = (SELECT id FROM tenancy.roles WHERE name = 'tk top')$$,
    $$TRUNCATE tenancy.member_roles$$, $$SELECT tenancy.outranks($T, '@8')$$, $$SELECT tenancy.outranks($T, '@5')$$]);
-- Without members.assign outranks() tells nothing.
SELECT pg_temp.try('8', $$SELECT tenancy.outranks('de200000-0000-0000-0000-00000000000a', 'de200000-0000-0000-0000-000000000008')$$);

\pset tuples_only off
SELECT tenancy.drop_tenant(:t), tenancy.drop_role('tk_manager', cascade => true), tenancy.drop_role('tk_low', cascade => true), tenancy.drop_permission('tak.read'), tenancy.drop_permission('tak.high');
