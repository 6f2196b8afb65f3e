-- add_member, remove_member, set_member_status, grant_role, revoke_role: as administrator, as a holder of the
-- permission and as a member without it; repeated calls; every error.
\set t '''3a100000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:t, 'mm-a', 'A');
SELECT tenancy.create_permission('mm.read') IS NOT NULL;
SELECT tenancy.create_role('mm_clerk', '{mm.read}') IS NOT NULL, tenancy.create_role('mm own', '{}', :t) IS NOT NULL;
SELECT tenancy.create_role('mm_manager', '{members.assign,roles.assign,mm.read}') IS NOT NULL;
-- 1 manages, 2 is a plain member, 3 the owner, 9 nobody yet.
SELECT tenancy.add_member(:t, '3a100000-0000-0000-0000-000000000001', '{mm_manager}'), tenancy.add_member(:t, '3a100000-0000-0000-0000-000000000002'),
       tenancy.add_member(:t, '3a100000-0000-0000-0000-000000000003', '{owner}');
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
CREATE FUNCTION pg_temp.each(command text, OUT who text, OUT answer text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR who, answer IN SELECT w.name, test.attempt(w.id::uuid, replace(replace(command, '@', '3a100000-0000-0000-0000-00000000000'), '$T', '''3a100000-0000-0000-0000-00000000000a'''))
                         FROM (VALUES ('member', '3a100000-0000-0000-0000-000000000002'), ('manager', '3a100000-0000-0000-0000-000000000001'), ('administrator', NULL)) w (name, id) LOOP
        RETURN NEXT;
    END LOOP;
END
$$;
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    -- Happy, the second and third time by somebody else: false, and no error.
    $$SELECT tenancy.add_member($T, '@9')$$, $$SELECT tenancy.add_member($T, '@9', '{mm_clerk,mm own}')$$,
    $$SELECT tenancy.set_member_status($T, '@9', 'suspended')$$, $$SELECT tenancy.set_member_status($T, '@9', 'active')$$,
    $$SELECT tenancy.grant_role($T, '@2', 'mm_clerk')$$, $$SELECT tenancy.grant_role($T, '@2', 'mm_clerk', 'infinity')$$, $$SELECT tenancy.revoke_role($T, '@2', 'mm_clerk')$$,
    $$SELECT tenancy.remove_member($T, '@9')$$]) WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
SELECT count(*) AS left FROM tenancy.member_roles WHERE user_id = '3a100000-0000-0000-0000-000000000009';
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$SELECT tenancy.add_member($T, NULL)$$, $$SELECT tenancy.add_member($T, '00000000-0000-0000-0000-000000000000')$$, $$SELECT tenancy.add_member($T, '@9', NULL)$$,
    $$SELECT tenancy.add_member($T, '@9', '{no such role}')$$, $$SELECT tenancy.add_member($T, '@9', '{NULL}')$$, $$SELECT tenancy.add_member(NULL, '@9')$$,
    $$SELECT tenancy.add_member(gen_random_uuid(), '@9')$$, $$SELECT tenancy.set_member_status($T, '@2', 'gone')$$, $$SELECT tenancy.set_member_status($T, '@2', NULL)$$,
    $$SELECT tenancy.set_member_status($T, '@8', 'active')$$, $$SELECT tenancy.set_member_status($T, NULL, 'active')$$, $$SELECT tenancy.remove_member($T, '@8')$$,
    $$SELECT tenancy.remove_member($T, NULL)$$, $$SELECT tenancy.remove_member(gen_random_uuid(), '@2')$$,
    $$SELECT tenancy.grant_role($T, '@8', 'mm_clerk')$$, $$SELECT tenancy.grant_role($T, '@2', 'no such role')$$, $$SELECT tenancy.grant_role($T, '@2', NULL)$$,
    $$SELECT tenancy.grant_role($T, NULL, 'mm_clerk')$$, $$SELECT tenancy.grant_role($T, '@2', 'mm_clerk', '2020-01-01')$$, $$SELECT tenancy.grant_role(gen_random_uuid(), '@2', 'mm_clerk')$$,
    $$SELECT tenancy.revoke_role($T, '@2', 'no such role')$$, $$SELECT tenancy.revoke_role($T, '@8', 'mm_clerk')$$, $$SELECT tenancy.revoke_role($T, '@3', 'owner')$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
-- Plain DML meets the same rules. Nobody writes who granted, or when, but administrators.
SELECT c, e.who, e.answer FROM unnest(ARRAY[
    $$INSERT INTO tenancy.members (tenant_id, user_id) VALUES ($T, '@7')$$, $$INSERT INTO tenancy.members (tenant_id, user_id, status) VALUES ($T, '@6', 'off')$$,
    $$INSERT INTO tenancy.members (tenant_id, user_id) VALUES ($T, '00000000-0000-0000-0000-000000000000')$$, $$INSERT INTO tenancy.members (tenant_id, user_id, created_at) VALUES ($T, '@6', now())$$,
    $$UPDATE tenancy.members SET status = 'suspended' WHERE user_id = '@7'$$, $$UPDATE tenancy.members SET user_id = '@5' WHERE user_id = '@7'$$,
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT $T, '@7', id FROM tenancy.roles WHERE name = 'mm_clerk' ON CONFLICT DO NOTHING$$,
    $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) SELECT $T, '@2', id, '@3' FROM tenancy.roles WHERE name = 'mm_clerk'$$,
    $$UPDATE tenancy.member_roles SET expires_at = '2100-01-01' WHERE user_id = '@7'$$, $$UPDATE tenancy.member_roles SET granted_by = '@3' WHERE user_id = '@7'$$,
    $$DELETE FROM tenancy.member_roles WHERE user_id = '@7'$$, $$DELETE FROM tenancy.members WHERE user_id = '@7'$$])
    WITH ORDINALITY u(c, n), pg_temp.each(c) WITH ORDINALITY e(who, answer, m) ORDER BY n, m;
-- Who granted is on record.
SELECT test.attempt('3a100000-0000-0000-0000-000000000001', $$SELECT tenancy.grant_role('3a100000-0000-0000-0000-00000000000a', '3a100000-0000-0000-0000-000000000002', 'mm own')$$);
SELECT r.name, right(g.granted_by::text, 1) AS granted_by FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = role_id
 WHERE g.user_id = '3a100000-0000-0000-0000-000000000002' ORDER BY r.name COLLATE "C";

SELECT tenancy.drop_tenant(:t);
SELECT tenancy.drop_role('mm_clerk', cascade => true), tenancy.drop_role('mm_manager', cascade => true), tenancy.drop_permission('mm.read');
