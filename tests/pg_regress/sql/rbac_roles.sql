-- Where permissions come from: direct grants and their expiry, groups, inheritance through application roles
-- and a tenant's own; and the two namespaces of roles, which never answer for each other (threat 18).
\set SHOW_CONTEXT never
\set a '''3bac1000-0000-0000-0000-00000000000a'''
\set b '''3bac1000-0000-0000-0000-00000000000b'''
\set user '''3bac1000-0000-0000-0000-000000000001'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'rbac-a', 'A'), (:b, 'rbac-b', 'B');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['roles1.top', 'roles1.mid', 'roles1.low', 'roles1.own', 'roles1.group']) p;
SELECT tenancy.create_role('r1_top', '{roles1.top}') IS NOT NULL, tenancy.create_role('r1_mid', '{roles1.mid}') IS NOT NULL,
       tenancy.create_role('r1_low', '{roles1.low}') IS NOT NULL, tenancy.create_role('r1_group', '{roles1.group}') IS NOT NULL;
SELECT tenancy.add_inheritance('r1_top', 'r1_mid'), tenancy.add_inheritance('r1_mid', 'r1_low'), tenancy.add_inheritance('r1_mid', 'r1_low') AS again;
SELECT tenancy.create_role('own_lead', '{}', :a) IS NOT NULL, tenancy.create_role('own_staff', '{roles1.own}', :a) IS NOT NULL;
SELECT tenancy.add_inheritance('own_lead', 'own_staff', :a), tenancy.add_inheritance('own_staff', 'r1_mid', :a);
SELECT tenancy.add_member(:a, :user), tenancy.add_member(:b, :user), tenancy.create_group(:a, 'team') IS NOT NULL, tenancy.add_group_member(:a, 'team', :user);

CREATE FUNCTION pg_temp.has() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := '';
    t uuid;
BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub":"3bac1000-0000-0000-0000-000000000001"}', true);
    FOREACH t IN ARRAY ARRAY['3bac1000-0000-0000-0000-00000000000a', '3bac1000-0000-0000-0000-00000000000b'] LOOP
        result := result || right(t::text, 1) || ': ' || concat_ws(' ', coalesce(
            (SELECT string_agg(split_part(p, '.', 2), ' ') FROM unnest(ARRAY['roles1.top', 'roles1.mid', 'roles1.low', 'roles1.own', 'roles1.group']) p WHERE tenancy.has_permission(t, p)), '-'),
            '| app', (SELECT string_agg(r, ' ') FROM unnest(ARRAY['r1_top', 'r1_mid', 'r1_low', 'r1_group', 'own_lead', 'own_staff', 'owner']) r WHERE tenancy.has_role(t, r)),
            '| own', (SELECT string_agg(r, ' ') FROM unnest(ARRAY['r1_top', 'r1_mid', 'r1_low', 'r1_group', 'own_lead', 'own_staff', 'owner']) r WHERE tenancy.has_tenant_role(t, r))) || '   ';
    END LOOP;
    PERFORM set_config('request.jwt.claims', '', true);
    RETURN result;
END
$$;
SELECT pg_temp.has() AS nothing_yet;
SELECT tenancy.grant_role(:a, :user, 'r1_top'), pg_temp.has() AS direct;
SELECT tenancy.revoke_role(:a, :user, 'r1_top'), tenancy.grant_role(:b, :user, 'r1_low'), pg_temp.has() AS other_tenant;
SELECT tenancy.grant_role(:a, :user, 'own_lead'), pg_temp.has() AS own_role;
SELECT tenancy.remove_inheritance('own_staff', 'r1_mid', :a), pg_temp.has() AS without_the_application_role;
SELECT tenancy.remove_inheritance('own_lead', 'own_staff', :a), pg_temp.has() AS without_its_junior;
SELECT tenancy.revoke_role(:a, :user, 'own_lead'), tenancy.grant_role_to_group(:a, 'team', 'r1_group'), pg_temp.has() AS by_group;
SELECT tenancy.grant_role_to_group(:a, 'team', 'own_staff'), pg_temp.has() AS by_group_own;
SELECT tenancy.remove_group_member(:a, 'team', :user), pg_temp.has() AS out_of_the_group;
SELECT tenancy.add_group_member(:a, 'team', :user), tenancy.drop_group(:a, 'team', cascade => true), pg_temp.has() AS group_dropped;
SELECT tenancy.grant_permission('r1_low', 'roles1.group'), pg_temp.has() AS role_edited;
SELECT tenancy.drop_role('r1_low', cascade => true), pg_temp.has() AS role_dropped;

-- Expiry: in force until the moment, gone at it, in the open session; granting again replaces it.
SELECT tenancy.grant_role(:a, :user, 'r1_top', now() + interval '1 hour'), tenancy.grant_role(:a, :user, 'r1_top', 'infinity'),
       tenancy.grant_role(:a, :user, 'r1_top', 'infinity') AS again, pg_temp.has();
SELECT tenancy.grant_role(:a, :user, 'r1_top', clock_timestamp() + interval '1.5 seconds'), pg_temp.has();
SELECT pg_sleep(1.6);
SELECT pg_temp.has() AS expired;
SELECT tenancy.grant_role(:a, :user, 'r1_top') AS for_ever, pg_temp.has();
SELECT tenancy.grant_role(:a, :user, 'r1_top') AS again, (SELECT expires_at IS NULL FROM tenancy.member_roles WHERE user_id = :user AND tenant_id = :a) AS for_ever;
-- A member's suspension takes all and gives it back; his removal takes it for good.
SELECT tenancy.set_member_status(:a, :user, 'suspended'), pg_temp.has() AS suspended;
SELECT tenancy.set_member_status(:a, :user, 'active'), pg_temp.has() AS active;
SELECT tenancy.remove_member(:a, :user), tenancy.add_member(:a, :user), pg_temp.has() AS back_with_nothing;

-- One name, one kind of role: refused either way, and the count is the administrator's to see.
SELECT tenancy.create_role('r1_mid', tenant => :a);
SELECT tenancy.create_role('owner', tenant => :a);
SELECT tenancy.create_role('r1_shared', tenant => :a) IS NOT NULL, tenancy.create_role('r1_shared', tenant => :b) IS NOT NULL;
SELECT tenancy.create_role('r1_shared');
INSERT INTO tenancy.roles (name) VALUES ('r1_shared');
UPDATE tenancy.roles SET name = 'r1_shared' WHERE name = 'r1_mid';
UPDATE tenancy.roles SET name = 'r1_mid' WHERE name = 'r1_shared' AND tenant_id = :a;
INSERT INTO tenancy.roles (name, tenant_id) VALUES ('r1_mid', :b);
-- Whoever holds the tenant's own has not the application's, had there been one by that name.
SELECT tenancy.grant_role(:a, :user, 'r1_shared');
BEGIN;
SELECT tenancy.act_as(:user, :a);
SELECT tenancy.has_role('r1_shared') AS application, tenancy.has_role(:a, 'r1_shared') AS application_in, tenancy.has_tenant_role(:a, 'r1_shared') AS own,
       tenancy.has_tenant_role(:b, 'r1_shared') AS own_elsewhere;
COMMIT;
-- Once the tenants let go of the name it may become the application's.
SELECT tenancy.drop_role('r1_shared', :a, cascade => true), tenancy.drop_role('r1_shared', :b);
SELECT tenancy.create_role('r1_shared') IS NOT NULL AS created;
-- A role, tenant, member or group keeps its key: grants refer to it.
UPDATE tenancy.roles SET tenant_id = :a WHERE name = 'r1_shared';
UPDATE tenancy.roles SET id = gen_random_uuid() WHERE name = 'r1_shared';
UPDATE tenancy.tenants SET id = gen_random_uuid() WHERE id = :a;
UPDATE tenancy.members SET tenant_id = :b WHERE tenant_id = :a;
-- What is built in stays as it is, for administrators too.
UPDATE tenancy.roles SET name = 'boss' WHERE name = 'owner';
DELETE FROM tenancy.roles WHERE name = 'owner';
DELETE FROM tenancy.permissions WHERE name = 'roles.edit';
INSERT INTO tenancy.permissions (name, builtin) VALUES ('roles1.forged', true);
SELECT tenancy.revoke_permission('owner', 'all');
SELECT tenancy.grant_permission('owner', 'roles1.top');
SELECT tenancy.add_inheritance('owner', 'r1_mid');
SELECT tenancy.drop_role('owner', cascade => true);
SELECT tenancy.drop_permission('members.read', cascade => true);

SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b);
SELECT tenancy.drop_role(name, cascade => true) FROM tenancy.roles WHERE name LIKE 'r1\_%' ORDER BY name;
SELECT tenancy.drop_permission(name) FROM tenancy.permissions WHERE name LIKE 'roles1.%' ORDER BY name;
