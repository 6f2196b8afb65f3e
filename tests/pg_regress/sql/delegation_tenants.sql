-- Threats 20 and 22: nothing of one tenant can be named in another, in any column of any table, and nobody can
-- tell what is somebody else's from what is not there: same SQLSTATE, same message.
\set a '''de300000-0000-0000-0000-00000000000a'''
\set b '''de300000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'cross-a', 'A'), (:b, 'cross-b', 'B');
SELECT tenancy.create_permission('cross.read') IS NOT NULL, tenancy.create_role('cr_app', '{cross.read}') IS NOT NULL;
-- 1 owns a, 2 owns b; 3 is a member of a; 4 of b.
SELECT tenancy.add_member(:a, 'de300000-0000-0000-0000-000000000001', '{owner}'), tenancy.add_member(:b, 'de300000-0000-0000-0000-000000000002', '{owner}'),
       tenancy.add_member(:a, 'de300000-0000-0000-0000-000000000003'), tenancy.add_member(:b, 'de300000-0000-0000-0000-000000000004');
-- Roles 11 of a; 21 and 22 of b, the one senior to the other. Groups 31 of a, 41 of b. Ids ending in 99 are nobody's.
INSERT INTO tenancy.roles (id, tenant_id, name) VALUES ('de300000-0000-0000-0000-000000000011', :a, 'cr a'), ('de300000-0000-0000-0000-000000000021', :b, 'cr b'), ('de300000-0000-0000-0000-000000000022', :b, 'cr b junior');
INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES ('de300000-0000-0000-0000-000000000021', 'de300000-0000-0000-0000-000000000022');
INSERT INTO tenancy.groups (id, tenant_id, name) VALUES ('de300000-0000-0000-0000-000000000031', :a, 'group a'), ('de300000-0000-0000-0000-000000000041', :b, 'group b');
SELECT tenancy.add_group_member(:b, 'group b', 'de300000-0000-0000-0000-000000000004'), tenancy.grant_role_to_group(:b, 'group b', 'cr_app'), tenancy.grant_role(:b, 'de300000-0000-0000-0000-000000000004', 'cr_app'),
       tenancy.grant_permission('cr b', 'cross.read', :b), tenancy.set_tenant_status(:b, 'active');
CREATE FUNCTION pg_temp.try(who text, command text) RETURNS text LANGUAGE sql
    AS $$ SELECT test.try(('de300000-0000-0000-0000-00000000000' || who)::uuid, command) $$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
-- Each as the owner of a, who may do all there is to do in a: with what is b's, and with what is not there.
CREATE FUNCTION pg_temp.compare(routes text[]) RETURNS TABLE (route text, answer text) LANGUAGE plpgsql AS $$
DECLARE
    theirs text;
    nobodys text;
BEGIN
    FOREACH route IN ARRAY routes LOOP
        -- {x|y}: x is b's, y is nobody's.
        theirs := pg_temp.try('1', replace(regexp_replace(route, '\{([^|}]*)\|[^}]*\}', '\1', 'g'), '@', 'de300000-0000-0000-0000-0000000000'));
        nobodys := pg_temp.try('1', replace(regexp_replace(route, '\{[^|}]*\|([^}]*)\}', '\1', 'g'), '@', 'de300000-0000-0000-0000-0000000000'));
        answer := CASE WHEN theirs = replace(nobodys, '"cr q"', '"cr b"') THEN theirs ELSE 'TELLS: ' || theirs || ' / ' || nobodys END;
        RETURN NEXT;
    END LOOP;
END
$$;
SELECT * FROM pg_temp.compare(ARRAY[
    'INSERT INTO tenancy.members (tenant_id, user_id) VALUES (''{@0b|@99}'', ''@03'')', 'INSERT INTO tenancy.members (tenant_id, user_id) VALUES (''{@0b|@99}'', ''@04'')',
    'INSERT INTO tenancy.members (tenant_id, user_id) VALUES (''{@0b|@99}'', ''@04'') ON CONFLICT DO NOTHING',
    'INSERT INTO tenancy.members (tenant_id, user_id) VALUES (''@0a'', ''{@04|@99}'')', 'UPDATE tenancy.members SET status = ''suspended'' WHERE tenant_id = ''{@0b|@99}''', 'DELETE FROM tenancy.members WHERE user_id = ''{@04|@99}''',
    'INSERT INTO tenancy.roles (tenant_id, name) VALUES (''{@0b|@99}'', ''cr x'')', 'INSERT INTO tenancy.roles (tenant_id, name) VALUES (''@0a'', ''{cr b|cr none}'')', 'INSERT INTO tenancy.roles (name) VALUES (''{cr b|cr none}'')',
    'INSERT INTO tenancy.roles (tenant_id, name) VALUES (''{@0b|@99}'', ''cr b'')', 'INSERT INTO tenancy.roles (id, tenant_id, name) VALUES (''{@21|@99}'', ''@0a'', ''cr x'')',
    'UPDATE tenancy.roles SET name = ''{cr b|cr none}'' WHERE id = ''@11''', 'DELETE FROM tenancy.roles WHERE id = ''{@21|@99}''', 'UPDATE tenancy.roles SET tenant_id = ''{@0b|@99}'' WHERE id = ''@11''',
    'INSERT INTO tenancy.role_permissions (role_id, permission) VALUES (''{@21|@99}'', ''cross.read'')', 'INSERT INTO tenancy.role_permissions (role_id, permission) VALUES (''{@21|@99}'', ''all'') ON CONFLICT DO NOTHING',
    'DELETE FROM tenancy.role_permissions WHERE role_id = ''{@21|@99}''',
    'INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES (''@11'', ''{@21|@99}'')', 'INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES (''{@21|@99}'', ''@11'')',
    'INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES (''{@21|@98}'', ''{@22|@99}'')', 'INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES (''{@22|@98}'', ''{@21|@99}'')',
    'INSERT INTO tenancy.groups (tenant_id, name) VALUES (''{@0b|@99}'', ''group b'')', 'INSERT INTO tenancy.groups (tenant_id, name) VALUES (''@0a'', ''{group b|group none}'')', 'INSERT INTO tenancy.groups (id, tenant_id, name) VALUES (''{@41|@99}'', ''@0a'', ''x'')',
    'UPDATE tenancy.groups SET name = ''x'' WHERE id = ''{@41|@99}''', 'UPDATE tenancy.groups SET tenant_id = ''{@0b|@99}'' WHERE id = ''@31''',
    'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''@0a'', ''{@41|@99}'', ''@03'')', 'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''@0a'', ''{@41|@99}'', ''@04'')',
    'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''@0a'', ''{@41|@99}'', ''@04'') ON CONFLICT DO NOTHING',
    'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''{@0b|@99}'', ''{@41|@99}'', ''@04'')', 'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''{@0b|@99}'', ''@31'', ''@03'')',
    'INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (''@0a'', ''@31'', ''{@04|@99}'')', 'DELETE FROM tenancy.group_members WHERE group_id = ''{@41|@99}''',
    'INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES (''@0a'', ''@31'', ''{@21|@99}'')', 'INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES (''@0a'', ''{@41|@99}'', ''@11'')',
    'INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) SELECT ''@0a'', ''{@41|@99}'', id FROM tenancy.roles WHERE name = ''cr_app''',
    'INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) SELECT ''{@0b|@99}'', ''{@41|@99}'', id FROM tenancy.roles WHERE name = ''cr_app''',
    'INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (''@0a'', ''@03'', ''{@21|@99}'')', 'INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (''@0a'', ''{@04|@99}'', ''@11'')',
    'INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT ''{@0b|@99}'', ''@04'', id FROM tenancy.roles WHERE name = ''cr_app''', 'INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (''{@0b|@99}'', ''@04'', ''{@21|@99}'')',
    'UPDATE tenancy.member_roles SET expires_at = now() WHERE tenant_id = ''{@0b|@99}''', 'DELETE FROM tenancy.member_roles WHERE role_id = ''{@21|@99}''', 'UPDATE tenancy.tenants SET name = ''x'' WHERE id = ''{@0b|@99}''']);
-- The functions: by tenant, user, role, group.
SELECT * FROM pg_temp.compare(ARRAY[
    'SELECT tenancy.add_member(''{@0b|@99}'', ''@01'')', 'SELECT tenancy.remove_member(''{@0b|@99}'', ''@04'')', 'SELECT tenancy.remove_member(''@0a'', ''{@04|@99}'')', 'SELECT tenancy.set_member_status(''{@0b|@99}'', ''@04'', ''active'')',
    'SELECT tenancy.set_member_status(''@0a'', ''{@04|@99}'', ''active'')', 'SELECT tenancy.grant_role(''{@0b|@99}'', ''@04'', ''cr_app'')', 'SELECT tenancy.grant_role(''@0a'', ''{@04|@99}'', ''cr_app'')',
    'SELECT tenancy.grant_role(''@0a'', ''@03'', ''{cr b|cr q}'')', 'SELECT tenancy.revoke_role(''{@0b|@99}'', ''@04'', ''cr_app'')', 'SELECT tenancy.revoke_role(''@0a'', ''{@04|@99}'', ''cr_app'')',
    'SELECT tenancy.create_role(''cr n'', tenant => ''{@0b|@99}'')', 'SELECT tenancy.create_role(''{cr b|cr q}'', tenant => ''@0a'') IS NOT NULL', 'SELECT tenancy.drop_role(''cr b'', ''{@0b|@99}'')', 'SELECT tenancy.grant_permission(''cr b'', ''cross.read'', ''{@0b|@99}'')',
    'SELECT tenancy.revoke_permission(''cr b'', ''cross.read'', ''{@0b|@99}'')', 'SELECT tenancy.add_inheritance(''cr b'', ''cr b junior'', ''{@0b|@99}'')', 'SELECT tenancy.remove_inheritance(''cr b'', ''cr b junior'', ''{@0b|@99}'')',
    'SELECT tenancy.create_group(''{@0b|@99}'', ''group b'')', 'SELECT tenancy.create_group(''@0a'', ''{group b|group q}'') IS NOT NULL', 'SELECT tenancy.drop_group(''{@0b|@99}'', ''group b'')', 'SELECT tenancy.add_group_member(''{@0b|@99}'', ''group b'', ''@03'')',
    'SELECT tenancy.add_group_member(''@0a'', ''group a'', ''{@04|@99}'')', 'SELECT tenancy.remove_group_member(''{@0b|@99}'', ''group b'', ''@04'')', 'SELECT tenancy.grant_role_to_group(''{@0b|@99}'', ''group b'', ''cr_app'')',
    'SELECT tenancy.revoke_role_from_group(''{@0b|@99}'', ''group b'', ''cr_app'')', 'SELECT tenancy.set_tenant_status(''{@0b|@99}'', ''active'')', 'SELECT tenancy.drop_tenant(''{@0b|@99}'')',
    'SELECT tenancy.require_permission(''{@0b|@99}'', ''cross.read'')', 'SELECT tenancy.has_permission(''{@0b|@99}'', ''cross.read'')', 'SELECT tenancy.is_member(''{@0b|@99}'')', 'SELECT tenancy.can_see_tenant(''{@0b|@99}'')',
    'SELECT tenancy.has_tenant_role(''{@0b|@99}'', ''cr b'')', 'SELECT tenancy.can_grant_role(''@0a'', ''{@21|@99}'')', 'SELECT tenancy.can_grant_role(''{@0b|@99}'', ''{@21|@99}'')', 'SELECT tenancy.can_grant_permission(''{@0b|@99}'', ''cross.read'')',
    'SELECT tenancy.would_create_cycle(''{@22|@98}'', ''{@21|@99}'')', 'SELECT tenancy.would_create_cycle(''{@21|@99}'', ''{@21|@99}'')', 'SELECT tenancy.would_create_cycle(''@11'', ''{@21|@99}'')',
    'SELECT tenancy.role_scope(''{@21|@99}'')', 'SELECT tenancy.outranks(''{@0b|@99}'', ''@04'')', 'SELECT tenancy.outranks(''@0a'', ''{@04|@99}'')', 'SELECT tenancy.check_group(''{@0b|@99}'', ''{@41|@99}'')', 'SELECT tenancy.check_group(''@0a'', ''{@41|@99}'')',
    'SELECT tenancy.covers_group(''@0a'', ''{@41|@99}'')', 'SELECT tenancy.find_group(''{@0b|@99}'', ''group b'')', 'SELECT tenancy.find_role(''{@0b|@99}'', ''cr b'')', 'SELECT tenancy.find_own_role(''cr b'', ''{@0b|@99}'')', 'SELECT tenancy.check_member(''{@0b|@99}'', ''@04'')',
    'SELECT tenancy.check_permission(''{@0b|@99}'', ''cross.read'')', 'SELECT string_agg(finding, E''\n'') FROM tenancy.diagnose() WHERE finding LIKE ''%de300000-0000-0000-0000-00000000000b%''']);
-- A tenant that is suspended or archived is no more visible to strangers than one that is not there.
SELECT s, tenancy.set_tenant_status(:b, s), c.* FROM unnest(ARRAY['read_only', 'suspended', 'archived']) s,
       pg_temp.compare(ARRAY['SELECT tenancy.add_member(''{@0b|@99}'', ''@01'')', 'SELECT count(*) FROM tenancy.tenants WHERE id = ''{@0b|@99}''']) c;
-- Administrators meet the keys: even they cannot make rows that cross.
\set VERBOSITY terse
\set SHOW_CONTEXT never
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:a, 'de300000-0000-0000-0000-000000000003', 'de300000-0000-0000-0000-000000000021');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:a, 'de300000-0000-0000-0000-000000000004', 'de300000-0000-0000-0000-000000000011');
INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES (:a, 'de300000-0000-0000-0000-000000000031', 'de300000-0000-0000-0000-000000000021');
INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES (:a, 'de300000-0000-0000-0000-000000000041', 'de300000-0000-0000-0000-000000000011');
INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (:a, 'de300000-0000-0000-0000-000000000041', 'de300000-0000-0000-0000-000000000003');
INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES (:a, 'de300000-0000-0000-0000-000000000031', 'de300000-0000-0000-0000-000000000004');
INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES ('de300000-0000-0000-0000-000000000011', 'de300000-0000-0000-0000-000000000021');
INSERT INTO tenancy.role_inheritance (senior_id, junior_id) SELECT id, 'de300000-0000-0000-0000-000000000021' FROM tenancy.roles WHERE name = 'cr_app';
-- Nor by a forged scope: the trigger overwrites it, and without the trigger the keys refuse it.
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope) VALUES (:a, 'de300000-0000-0000-0000-000000000003', 'de300000-0000-0000-0000-000000000021', :a);
UPDATE tenancy.member_roles SET role_scope = :a WHERE tenant_id = :b;
SET session_replication_role = replica;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope) VALUES (:a, 'de300000-0000-0000-0000-000000000003', 'de300000-0000-0000-0000-000000000021', :b);
RESET session_replication_role;

\pset tuples_only off
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('cr_app', cascade => true), tenancy.drop_permission('cross.read');
