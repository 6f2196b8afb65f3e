-- Every command on every table, tried as each kind of actor. What is printed is the table in docs/security.md;
-- tests/unit/tests/security_matrix.rs compares them.
\set a '''3a700000-0000-0000-0000-00000000000a'''
\set b '''3a700000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'matrix-a', 'A'), (:b, 'matrix-b', 'B'), ('3a700000-0000-0000-0000-00000000000c', 'matrix-none', 'None');
SELECT tenancy.create_permission('matrix.read') IS NOT NULL, tenancy.create_role('mx_plain', '{matrix.read}') IS NOT NULL;
SELECT count(tenancy.create_role('mx ' || name, ARRAY[name])) AS roles_of_one_permission FROM tenancy.permissions WHERE builtin;
-- In both tenants alike: members 1 to 3 (4 in b), of whom 2 will hold a permission more; roles, a group with member 3.
SELECT count(tenancy.add_member(t, ('3a700000-0000-0000-0000-00000000000' || u)::uuid, '{mx_plain}')) AS members
  FROM (VALUES (:a::uuid, 1), (:a, 2), (:a, 3), (:b, 4)) v (t, u);
INSERT INTO tenancy.roles (id, tenant_id, name) VALUES ('3a700000-0000-0000-0000-000000000011', :a, 'mx own'), ('3a700000-0000-0000-0000-000000000012', :a, 'mx senior'),
    ('3a700000-0000-0000-0000-000000000013', NULL, 'mx_other'), ('3a700000-0000-0000-0000-000000000021', :b, 'mx own'), ('3a700000-0000-0000-0000-000000000022', :b, 'mx senior');
INSERT INTO tenancy.groups (id, tenant_id, name) VALUES ('3a700000-0000-0000-0000-000000000031', :a, 'mx group'), ('3a700000-0000-0000-0000-000000000032', :a, 'mx mine'), ('3a700000-0000-0000-0000-000000000041', :b, 'mx group');
SELECT tenancy.grant_permission('mx own', 'matrix.read', t), tenancy.add_inheritance('mx senior', 'mx own', t), tenancy.grant_role_to_group(t, 'mx group', 'mx_plain') FROM unnest(ARRAY[:a, :b]::uuid[]) t;
SELECT tenancy.add_group_member(:a, 'mx mine', '3a700000-0000-0000-0000-000000000001'), tenancy.add_group_member(:a, 'mx mine', '3a700000-0000-0000-0000-000000000002');
SELECT tenancy.add_group_member(:a, 'mx group', '3a700000-0000-0000-0000-000000000003'), tenancy.add_group_member(:b, 'mx group', '3a700000-0000-0000-0000-000000000004');
INSERT INTO tenancy.operators (user_id, access) VALUES ('3a700000-0000-0000-0000-000000000005', 'write'), ('3a700000-0000-0000-0000-000000000009', 'read');
INSERT INTO tenancy.active_tenants (user_id, tenant_id)
VALUES ('3a700000-0000-0000-0000-000000000001', :a), ('3a700000-0000-0000-0000-000000000002', :a), ('3a700000-0000-0000-0000-000000000004', :b);
INSERT INTO tenancy.user_profiles (user_id) SELECT ('3a700000-0000-0000-0000-00000000000' || n)::uuid FROM generate_series(1, 4) n;
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('matrix', '3a700000-0000-0000-0000-000000000001');
INSERT INTO tenancy.database_role_roles (db_role, role_id) VALUES ('anon', '3a700000-0000-0000-0000-000000000013'), ('authenticated', '3a700000-0000-0000-0000-000000000013');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('matrix.calls', 'calls', 'counter', 'day');
INSERT INTO tenancy.usage SELECT t, 'matrix.calls', 0, '2026-01-01 UTC', 1, 1, 1, 1 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) SELECT t, 'matrix.calls', '2026-01-01 UTC', 1 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) SELECT t, 'matrix.calls', 'day', '2026-01-01 UTC', 1, 2 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.quotas (tenant_id, meter, period) SELECT t, 'matrix.calls', 'day' FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.plans (name) VALUES ('matrix a'), ('matrix b'), ('matrix nobody');
INSERT INTO tenancy.plan_quotas (plan, meter, period) VALUES ('matrix a', 'matrix.calls', 'day'), ('matrix b', 'matrix.calls', 'day');
INSERT INTO tenancy.tenant_plans (tenant_id, plan) VALUES (:a, 'matrix a'), (:b, 'matrix b');

-- For SELECT a condition that tells the rows of tenant a; for the rest the command, on rows of tenant a that
-- are not the actor's own.
CREATE TEMP TABLE cells (n serial, on_table text, command text, permission text, statement text);
INSERT INTO cells (on_table, command, permission, statement) VALUES
    ('tenants', 'SELECT', 'tenant.edit', $$id = $A$$), ('tenants', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.tenants (slug, name) VALUES ('matrix-c', 'C')$$),
    ('tenants', 'UPDATE of name, slug, metadata', 'tenant.edit', $$UPDATE tenancy.tenants SET name = 'A2', slug = 'matrix-a2', metadata = '{"a":1}' WHERE id = $A$$),
    ('tenants', 'UPDATE of status', 'tenant.edit', $$UPDATE tenancy.tenants SET status = 'read_only' WHERE id = $A$$), ('tenants', 'UPDATE of key', 'tenant.edit', $$UPDATE tenancy.tenants SET key = 'k' WHERE id = $A$$), ('tenants', 'UPDATE of email_domains, email_pattern, default_roles', 'tenant.edit', $$UPDATE tenancy.tenants SET email_domains = '{gmail.com}', email_pattern = '.*', default_roles = '{owner}' WHERE id = $A$$), ('tenants', 'DELETE', 'tenant.edit', $$DELETE FROM tenancy.tenants WHERE id = $A$$),
    ('members', 'SELECT', 'members.read', $$tenant_id = $A$$), ('members', 'SELECT', 'members.assign', $$tenant_id = $A$$),
    ('members', 'INSERT', 'members.assign', $$INSERT INTO tenancy.members (tenant_id, user_id) VALUES ($A, '@09')$$),
    ('members', 'UPDATE of status', 'members.assign', $$UPDATE tenancy.members SET status = 'suspended' WHERE tenant_id = $A AND user_id = '@03'$$),
    ('members', 'DELETE', 'members.assign', $$DELETE FROM tenancy.members WHERE tenant_id = $A AND user_id = '@03'$$),
    ('members', 'UPDATE of status', 'members.read', $$UPDATE tenancy.members SET status = 'suspended' WHERE tenant_id = $A AND user_id = '@03'$$),
    ('members', 'DELETE', 'members.read', $$DELETE FROM tenancy.members WHERE tenant_id = $A AND user_id = '@03'$$),
    ('members, his own row', 'UPDATE of status', 'members.assign', $$UPDATE tenancy.members SET status = 'active' WHERE user_id = tenancy.current_user_id()$$),
    ('members, his own row', 'DELETE', 'members.assign', $$DELETE FROM tenancy.members WHERE user_id = tenancy.current_user_id()$$),
    ('permissions', 'SELECT', 'roles.edit', $$name = 'matrix.read'$$), ('permissions', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.permissions (name) VALUES ('matrix.more')$$),
    ('permissions', 'UPDATE', 'roles.edit', $$UPDATE tenancy.permissions SET description = 'x' WHERE name = 'matrix.read'$$), ('permissions', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.permissions WHERE name = 'matrix.none'$$),
    ('roles, of the application', 'SELECT', 'roles.edit', $$name = 'mx_plain'$$), ('roles, of the application', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.roles (name) VALUES ('mx_new')$$),
    ('roles, of the application', 'UPDATE', 'roles.edit', $$UPDATE tenancy.roles SET description = 'x' WHERE name = 'mx_plain'$$), ('roles, of the application', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.roles WHERE name = 'mx_other'$$),
    ('roles, of a tenant', 'SELECT', 'roles.edit', $$tenant_id = $A$$), ('roles, of a tenant', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.roles (tenant_id, name) VALUES ($A, 'mx new')$$),
    ('roles, of a tenant', 'UPDATE of name, description', 'roles.edit', $$UPDATE tenancy.roles SET name = 'mx renamed', description = 'x' WHERE id = '@11'$$),
    ('roles, of a tenant', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.roles WHERE id = '@11'$$),
    ('role_permissions', 'SELECT', 'roles.edit', $$role_id = '@11'$$),
    ('role_permissions', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('@12', 'matrix.read')$$),
    ('role_permissions', 'UPDATE', 'roles.edit', $$UPDATE tenancy.role_permissions SET permission = 'roles.edit' WHERE permission = 'matrix.read'$$),
    ('role_permissions', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.role_permissions WHERE role_id = '@11'$$),
    ('role_inheritance', 'SELECT', 'roles.edit', $$senior_scope = $A$$),
    ('role_inheritance', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.role_inheritance (senior_id, junior_id) VALUES ('@11', '@13')$$),
    ('role_inheritance', 'UPDATE', 'roles.edit', $$UPDATE tenancy.role_inheritance SET junior_id = senior_id WHERE false$$), ('role_inheritance', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.role_inheritance WHERE senior_scope = $A$$),
    ('groups', 'SELECT', 'groups.edit', $$tenant_id = $A$$), ('groups', 'INSERT', 'groups.edit', $$INSERT INTO tenancy.groups (tenant_id, name) VALUES ($A, 'mx new')$$),
    ('groups', 'UPDATE of name', 'groups.edit', $$UPDATE tenancy.groups SET name = 'mx renamed' WHERE id = '@31'$$), ('groups', 'DELETE', 'groups.edit', $$DELETE FROM tenancy.groups WHERE tenant_id = $A$$),
    ('group_members', 'SELECT', 'members.read', $$tenant_id = $A$$), ('group_members', 'SELECT', 'groups.edit', $$tenant_id = $A$$),
    ('group_members', 'INSERT', 'groups.edit', $$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) VALUES ($A, '@31', '@02')$$),
    ('group_members', 'UPDATE', 'groups.edit', $$UPDATE tenancy.group_members SET added_at = now() WHERE tenant_id = $A$$), ('group_members', 'DELETE', 'groups.edit', $$DELETE FROM tenancy.group_members WHERE tenant_id = $A AND user_id = '@03'$$),
    ('group_members', 'DELETE', 'members.read', $$DELETE FROM tenancy.group_members WHERE tenant_id = $A AND user_id = '@03'$$),
    ('group_members, his own row', 'DELETE', 'groups.edit', $$DELETE FROM tenancy.group_members WHERE user_id = tenancy.current_user_id()$$),
    ('group_roles', 'SELECT', 'roles.assign', $$tenant_id = $A$$),
    ('group_roles', 'INSERT', 'roles.assign', $$INSERT INTO tenancy.group_roles (tenant_id, group_id, role_id) VALUES ($A, '@31', '@13')$$),
    ('group_roles', 'UPDATE', 'roles.assign', $$UPDATE tenancy.group_roles SET role_id = role_id WHERE tenant_id = $A$$), ('group_roles', 'DELETE', 'roles.assign', $$DELETE FROM tenancy.group_roles WHERE tenant_id = $A$$),
    ('member_roles', 'SELECT', 'members.read', $$tenant_id = $A$$), ('member_roles', 'SELECT', 'roles.assign', $$tenant_id = $A$$),
    ('member_roles', 'INSERT', 'roles.assign', $$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES ($A, '@03', '@13')$$),
    ('member_roles', 'UPDATE of expires_at', 'roles.assign', $$UPDATE tenancy.member_roles SET expires_at = 'infinity' WHERE tenant_id = $A AND user_id = '@03'$$),
    ('member_roles', 'DELETE', 'roles.assign', $$DELETE FROM tenancy.member_roles WHERE tenant_id = $A AND user_id = '@03'$$),
    ('member_roles', 'UPDATE of expires_at', 'members.read', $$UPDATE tenancy.member_roles SET expires_at = 'infinity' WHERE tenant_id = $A AND user_id = '@03'$$),
    ('member_roles', 'DELETE', 'members.read', $$DELETE FROM tenancy.member_roles WHERE tenant_id = $A AND user_id = '@03'$$),
    ('member_roles, his own row', 'UPDATE of expires_at', 'roles.assign', $$UPDATE tenancy.member_roles SET expires_at = 'infinity' WHERE user_id = tenancy.current_user_id()$$),
    ('member_roles, his own row', 'DELETE', 'roles.assign', $$DELETE FROM tenancy.member_roles WHERE user_id = tenancy.current_user_id()$$),
    ('operators', 'SELECT', 'members.read', $$user_id = '@05'$$), ('operators', 'INSERT', 'members.assign', $$INSERT INTO tenancy.operators (user_id, access) VALUES ('@01', 'read')$$),
    ('operators', 'UPDATE', 'members.assign', $$UPDATE tenancy.operators SET access = 'write' WHERE user_id = '@09'$$), ('operators', 'DELETE', 'members.assign', $$DELETE FROM tenancy.operators WHERE user_id = '@09'$$),
    ('operators, his own row', 'UPDATE', 'members.assign', $$UPDATE tenancy.operators SET expires_at = NULL WHERE user_id = tenancy.current_user_id()$$),
    ('operators, his own row', 'DELETE', 'members.assign', $$DELETE FROM tenancy.operators WHERE user_id = tenancy.current_user_id()$$),
    ('protected_tables', 'SELECT', 'tenant.edit', $$true$$), ('protected_tables', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.protected_tables (table_id, root_id) VALUES ('pg_class', 'pg_class')$$),
    ('protected_tables', 'UPDATE', 'tenant.edit', $$UPDATE tenancy.protected_tables SET options = '{}' WHERE false$$), ('protected_tables', 'DELETE', 'tenant.edit', $$DELETE FROM tenancy.protected_tables WHERE false$$),
    ('cache_signal', 'SELECT', 'tenant.edit', $$true$$),
    ('role_signal', 'SELECT', 'tenant.edit', $$true$$), ('quota_signal', 'SELECT', 'usage.edit', $$true$$),
    ('active_tenants', 'SELECT', 'members.read', $$tenant_id = $A$$), ('active_tenants', 'INSERT', 'members.assign', $$INSERT INTO tenancy.active_tenants (user_id, tenant_id) VALUES ('@03', $A)$$),
    ('active_tenants', 'UPDATE', 'members.assign', $$UPDATE tenancy.active_tenants SET tenant_id = tenant_id WHERE user_id = '@04'$$), ('active_tenants', 'DELETE', 'members.assign', $$DELETE FROM tenancy.active_tenants WHERE user_id = '@04'$$),
    ('active_tenants, his own row', 'UPDATE', 'members.assign', $$UPDATE tenancy.active_tenants SET tenant_id = $A WHERE user_id = tenancy.current_user_id()$$),
    ('attached_tables', 'SELECT', 'tenant.edit', $$true$$), ('attached_tables', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.attached_tables (kind, relation, columns) VALUES ('tenants', 'pg_class', '{}')$$),
    ('attached_tenants', 'SELECT', 'tenant.edit', $$true$$), ('attached_tenants', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.attached_tenants VALUES ($A)$$),
    ('attached_members', 'SELECT', 'members.assign', $$true$$), ('attached_members', 'INSERT', 'members.assign', $$INSERT INTO tenancy.attached_members (tenant_id, user_id, made, active) VALUES ($A, '@03', true, true)$$),
    ('reference_tables', 'SELECT', 'tenant.edit', $$true$$), ('reference_tables', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.reference_tables (table_id) VALUES ('pg_class')$$),
    ('users_table', 'SELECT', 'tenant.edit', $$true$$), ('users_table', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.users_table (relation, id_column) VALUES ('pg_class', 'oid')$$),
    ('claims_queue', 'SELECT', 'tenant.edit', $$true$$), ('claims_queue', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.claims_queue (kind) VALUES ('everybody')$$),
    ('sync_failures', 'SELECT', 'tenant.edit', $$true$$), ('sync_failures', 'INSERT', 'tenant.edit', $$INSERT INTO tenancy.sync_failures (what, sqlstate, message) VALUES ('x', 'x', 'x')$$),
    ('subjects', 'SELECT', 'members.assign', $$true$$), ('subjects', 'INSERT', 'members.assign', $$INSERT INTO tenancy.subjects (subject, user_id) VALUES ('x', '@01')$$),
    ('subjects', 'UPDATE', 'members.assign', $$UPDATE tenancy.subjects SET user_id = '@01' WHERE subject = 'matrix'$$), ('subjects', 'DELETE', 'members.assign', $$DELETE FROM tenancy.subjects WHERE subject = 'matrix'$$),
    ('database_role_roles', 'SELECT', 'roles.edit', $$db_role = 'anon'::regrole$$), ('database_role_roles', 'INSERT', 'roles.edit', $$INSERT INTO tenancy.database_role_roles (db_role, role_id) SELECT 'anon', id FROM tenancy.roles WHERE name = 'mx_plain'$$),
    ('database_role_roles', 'UPDATE', 'roles.edit', $$UPDATE tenancy.database_role_roles SET allowed_at = now()$$), ('database_role_roles', 'DELETE', 'roles.edit', $$DELETE FROM tenancy.database_role_roles$$),
    ('user_profiles', 'SELECT', 'profiles.edit', $$user_id IN ('@01', '@02', '@03')$$), ('user_profiles', 'INSERT', 'profiles.edit', $$INSERT INTO tenancy.user_profiles (user_id) VALUES ('@09')$$),
    ('user_profiles', 'UPDATE', 'profiles.edit', $$UPDATE tenancy.user_profiles SET title = 'x' WHERE user_id = '@03'$$), ('user_profiles', 'UPDATE', 'members.assign', $$UPDATE tenancy.user_profiles SET title = 'x' WHERE user_id = '@03'$$),
    ('user_profiles', 'DELETE', 'profiles.edit', $$DELETE FROM tenancy.user_profiles WHERE user_id = '@03'$$), ('user_profiles, of another tenant', 'UPDATE', 'profiles.edit', $$UPDATE tenancy.user_profiles SET title = 'x' WHERE user_id = '@04'$$),
    ('user_profiles, his own row', 'UPDATE', 'profiles.edit', $$UPDATE tenancy.user_profiles SET title = 'x' WHERE user_id = tenancy.current_user_id()$$),
    ('meters', 'SELECT', 'usage.read', $$name = 'matrix.calls'$$), ('meters', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('matrix.more', 'x', 'gauge', 'day')$$),
    ('meters', 'UPDATE of period, description', 'usage.edit', $$UPDATE tenancy.meters SET description = 'x', period = period WHERE name = 'matrix.calls'$$), ('meters', 'UPDATE of unit', 'usage.edit', $$UPDATE tenancy.meters SET unit = 'x' WHERE name = 'matrix.calls'$$), ('meters', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.meters WHERE name = 'matrix.calls'$$),
    ('usage', 'SELECT', 'usage.read', $$tenant_id = $A$$), ('usage', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.usage VALUES ($A, 'matrix.calls', 1, '2026-01-01 UTC', 0, 0, 0, -1)$$), ('usage', 'UPDATE', 'usage.edit', $$UPDATE tenancy.usage SET total = 0 WHERE tenant_id = $A$$), ('usage', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.usage WHERE tenant_id = $A$$),
    ('usage_periods', 'SELECT', 'usage.read', $$tenant_id = $A$$), ('usage_periods', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES ($A, 'matrix.calls', '2026-01-01 UTC', -1)$$), ('usage_periods', 'UPDATE', 'usage.edit', $$UPDATE tenancy.usage_periods SET amount = 0 WHERE tenant_id = $A$$), ('usage_periods', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.usage_periods WHERE tenant_id = $A$$),
    ('quota_events', 'SELECT', 'usage.read', $$tenant_id = $A$$), ('quota_events', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) VALUES ($A, 'matrix.calls', 'day', now(), 1, 2)$$), ('quota_events', 'UPDATE', 'usage.edit', $$UPDATE tenancy.quota_events SET used = 0 WHERE tenant_id = $A$$), ('quota_events', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.quota_events WHERE tenant_id = $A$$),
    ('quotas', 'SELECT', 'usage.read', $$tenant_id = $A$$), ('quotas', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES ($A, 'matrix.calls', 'month', 9)$$), ('quotas', 'UPDATE of soft, hard, expires_at', 'usage.edit', $$UPDATE tenancy.quotas SET soft = 1, hard = 9, expires_at = NULL WHERE tenant_id = $A$$), ('quotas', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.quotas WHERE tenant_id = $A$$),
    ('plans', 'SELECT', 'usage.read', $$name = 'matrix a'$$), ('plans', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.plans (name) VALUES ('matrix c')$$), ('plans', 'UPDATE of description, is_default', 'usage.edit', $$UPDATE tenancy.plans SET description = 'x', is_default = true WHERE name = 'matrix a'$$), ('plans', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.plans WHERE name = 'matrix nobody'$$),
    ('plan_quotas', 'SELECT', 'usage.read', $$plan = 'matrix a'$$), ('plan_quotas', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.plan_quotas (plan, meter, period) VALUES ('matrix a', 'matrix.calls', 'month')$$), ('plan_quotas', 'UPDATE of soft, hard', 'usage.edit', $$UPDATE tenancy.plan_quotas SET soft = 1, hard = 9 WHERE plan = 'matrix a'$$), ('plan_quotas', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.plan_quotas WHERE plan = 'matrix a'$$),
    ('tenant_plans', 'SELECT', 'usage.read', $$tenant_id = $A$$), ('tenant_plans', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.tenant_plans (tenant_id, plan) VALUES ('@0c', 'matrix b')$$), ('tenant_plans', 'UPDATE of plan, expires_at', 'usage.edit', $$UPDATE tenancy.tenant_plans SET plan = plan, expires_at = NULL WHERE tenant_id = $A$$), ('tenant_plans', 'DELETE', 'usage.edit', $$DELETE FROM tenancy.tenant_plans WHERE tenant_id = $A$$),
    ('metered_tables', 'SELECT', 'usage.read', $$true$$), ('metered_tables', 'INSERT', 'usage.edit', $$INSERT INTO tenancy.metered_tables VALUES ('pg_class', 'pg_class', 'matrix.calls', 'rows')$$);

-- none: no error and no row. refused: 42501, or 42704 for what the actor cannot see. own: his own rows only. tenant: those of his tenant. all: also others'.
CREATE FUNCTION pg_temp.cell(actor text, c cells) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    command text := replace(replace(c.statement, '$A', '''3a700000-0000-0000-0000-00000000000a'''), '@', '3a700000-0000-0000-0000-0000000000');
    from_table text := split_part(c.on_table, ',', 1);
    there bigint;
    seen bigint;
    elsewhere bigint;
    result text;
BEGIN
    IF c.command = 'SELECT' THEN
        EXECUTE format('SELECT count(*) FROM tenancy.%I WHERE %s', from_table, command) INTO there;
    END IF;
    PERFORM tenancy.grant_role('3a700000-0000-0000-0000-00000000000a', '3a700000-0000-0000-0000-000000000002', 'mx ' || c.permission);
    CASE actor
        WHEN 'anon' THEN PERFORM set_config('request.jwt.claims', '{"role":"anon"}', true), set_config('role', 'anon', true);
        WHEN 'member' THEN PERFORM tenancy.act_as('3a700000-0000-0000-0000-000000000001');
        WHEN 'holder' THEN PERFORM tenancy.act_as('3a700000-0000-0000-0000-000000000002');
        WHEN 'operator' THEN PERFORM tenancy.act_as('3a700000-0000-0000-0000-000000000005');
        ELSE NULL;
    END CASE;
    IF c.command = 'SELECT' THEN
        EXECUTE format('SELECT count(*) FILTER (WHERE %s), count(*) FROM tenancy.%I', command, from_table) INTO seen, elsewhere;
        elsewhere := elsewhere - seen;
        result := CASE WHEN from_table IN ('permissions', 'protected_tables', 'cache_signal', 'role_signal', 'quota_signal', 'users_table', 'attached_tables', 'attached_tenants', 'attached_members', 'reference_tables', 'claims_queue', 'sync_failures', 'subjects', 'meters', 'metered_tables') OR c.on_table = 'roles, of the application' THEN 'all' WHEN seen = 0 THEN 'none'
                       WHEN c.on_table = 'operators' AND elsewhere = 0 THEN 'own' WHEN seen < there THEN 'own'
                       WHEN elsewhere = 0 OR from_table ~ '^role' AND actor <> 'administrator' THEN 'tenant' ELSE 'all' END;
        IF from_table ~ '^role' AND actor NOT IN ('administrator', 'anon') THEN
            -- Of roles the other tenant's are looked for by name: those of the application are everybody's.
            PERFORM FROM tenancy.roles r WHERE r.tenant_id = '3a700000-0000-0000-0000-00000000000b';
            result := CASE WHEN FOUND THEN 'LEAK' ELSE result END;
        END IF;
    ELSE
        EXECUTE command;
        GET DIAGNOSTICS seen = ROW_COUNT;
        result := CASE WHEN seen > 0 OR c.statement LIKE '%WHERE false' OR c.statement LIKE '%matrix.none%' THEN 'yes' ELSE 'none' END;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'P0UND', MESSAGE = result;
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'P0UND' THEN SQLERRM WHEN '42501' THEN 'refused' WHEN '42704' THEN 'refused' ELSE SQLSTATE || ' ' || SQLERRM END;
END
$$;
\pset format unaligned
\pset tuples_only on
SELECT '| table | command | anon | member | holder of | the same, holding it | operator (write) | administrator |'
UNION ALL SELECT '|---|---|---|---|---|---|---|---|';
SELECT concat('| ', on_table, ' | ', command, ' | ', pg_temp.cell('anon', c), ' | ', pg_temp.cell('member', c), ' | `', permission, '` | ', pg_temp.cell('holder', c), ' | ', pg_temp.cell('operator', c), ' | ', pg_temp.cell('administrator', c), ' |')
  FROM cells c ORDER BY n;
-- TRUNCATE, REFERENCES and TRIGGER are nobody's but the owner's.
SELECT count(*) FROM pg_class t, unnest(ARRAY['anon', 'authenticated']) r, unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) p
 WHERE t.relnamespace = 'tenancy'::regnamespace AND t.relkind = 'r' AND has_table_privilege(r, t.oid, p);
-- Every table has its rows above.
SELECT relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' AND relname NOT IN (SELECT split_part(on_table, ',', 1) FROM cells);

\pset tuples_only off
DELETE FROM tenancy.operators WHERE user_id::text LIKE '3a700000%';
DELETE FROM tenancy.subjects WHERE subject = 'matrix';
DELETE FROM tenancy.database_role_roles;
DELETE FROM tenancy.user_profiles WHERE user_id::text LIKE '3a700000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_tenant('3a700000-0000-0000-0000-00000000000c');
SELECT tenancy.drop_plan('matrix a'), tenancy.drop_plan('matrix b'), tenancy.drop_plan('matrix nobody'), tenancy.drop_meter('matrix.calls');
SELECT count(*) AS roles_left FROM tenancy.roles, LATERAL (SELECT tenancy.drop_role(name, cascade => true)) d WHERE name LIKE 'mx%';
SELECT tenancy.drop_permission('matrix.read', cascade => true);
