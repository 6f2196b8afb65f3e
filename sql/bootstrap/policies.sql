-- Who may see and change the tables themselves. Row-level security is on, not forced: the owner must be able
-- to restore. Policies ask the functions that everybody's policies ask. docs/security.md holds the matrix.

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['tenants', 'members', 'permissions', 'roles', 'role_permissions', 'role_inheritance',
                             'groups', 'group_members', 'group_roles', 'member_roles', 'operators',
                             'protected_tables', 'cache_signal', 'role_signal', 'quota_signal', 'users_table', 'active_tenants',
                             'claims_queue', 'sync_failures', 'subjects', 'database_role_roles', 'meters', 'usage',
                             'usage_periods', 'plans', 'plan_quotas', 'tenant_plans', 'quotas', 'quota_events', 'metered_tables'] LOOP
        EXECUTE format('ALTER TABLE tenancy.%I ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
END
$$;

-- tenants: members and operators see them; names and metadata are edited by permission, the status by
-- operators (guards.sql). They are made and dropped by functions only.
CREATE POLICY tenants_select ON tenancy.tenants FOR SELECT
    USING (tenancy.can_see_tenant(id) OR tenancy.operator_access() IS NOT NULL);
CREATE POLICY tenants_update ON tenancy.tenants FOR UPDATE
    USING (tenancy.has_permission(id, 'tenant.edit') OR tenancy.operator_access() = 'write');

-- Whoever may change a row has to see it: UPDATE, DELETE and ON CONFLICT read what they change.
CREATE POLICY members_select ON tenancy.members FOR SELECT
    USING (user_id = tenancy.current_user_id() OR tenancy.has_permission(tenant_id, 'members.read')
           OR tenancy.has_permission(tenant_id, 'members.assign'));
CREATE POLICY members_insert ON tenancy.members FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'members.assign'));
CREATE POLICY members_update ON tenancy.members FOR UPDATE
    USING (tenancy.has_permission(tenant_id, 'members.assign'));
CREATE POLICY members_delete ON tenancy.members FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'members.assign'));

-- The catalogue of permissions and the application's roles are the application's design, not a tenant's data.
CREATE POLICY permissions_select ON tenancy.permissions FOR SELECT USING (true);

CREATE POLICY roles_select ON tenancy.roles FOR SELECT
    USING (tenant_id IS NULL OR tenancy.is_member(tenant_id));
CREATE POLICY roles_insert ON tenancy.roles FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'roles.edit'));
CREATE POLICY roles_update ON tenancy.roles FOR UPDATE
    USING (tenancy.has_permission(tenant_id, 'roles.edit'));
CREATE POLICY roles_delete ON tenancy.roles FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'roles.edit'));

-- What a role holds and inherits follows the role; roles_select decides which roles the subqueries see.
CREATE POLICY role_permissions_select ON tenancy.role_permissions FOR SELECT
    USING (EXISTS (SELECT FROM tenancy.roles r WHERE r.id = role_id));
CREATE POLICY role_permissions_insert ON tenancy.role_permissions FOR INSERT
    WITH CHECK (EXISTS (SELECT FROM tenancy.roles r
                         WHERE r.id = role_id AND tenancy.has_permission(r.tenant_id, 'roles.edit')));
CREATE POLICY role_permissions_delete ON tenancy.role_permissions FOR DELETE
    USING (EXISTS (SELECT FROM tenancy.roles r
                    WHERE r.id = role_id AND tenancy.has_permission(r.tenant_id, 'roles.edit')));

CREATE POLICY role_inheritance_select ON tenancy.role_inheritance FOR SELECT
    USING (EXISTS (SELECT FROM tenancy.roles r WHERE r.id = senior_id));
CREATE POLICY role_inheritance_insert ON tenancy.role_inheritance FOR INSERT
    WITH CHECK (tenancy.has_permission(senior_scope, 'roles.edit'));
CREATE POLICY role_inheritance_delete ON tenancy.role_inheritance FOR DELETE
    USING (tenancy.has_permission(senior_scope, 'roles.edit'));

CREATE POLICY groups_select ON tenancy.groups FOR SELECT USING (tenancy.is_member(tenant_id));
CREATE POLICY groups_insert ON tenancy.groups FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'groups.edit'));
CREATE POLICY groups_update ON tenancy.groups FOR UPDATE
    USING (tenancy.has_permission(tenant_id, 'groups.edit'));
CREATE POLICY groups_delete ON tenancy.groups FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'groups.edit'));

CREATE POLICY group_members_select ON tenancy.group_members FOR SELECT
    USING (user_id = tenancy.current_user_id() OR tenancy.has_permission(tenant_id, 'members.read')
           OR tenancy.has_permission(tenant_id, 'groups.edit'));
CREATE POLICY group_members_insert ON tenancy.group_members FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'groups.edit'));
CREATE POLICY group_members_delete ON tenancy.group_members FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'groups.edit'));

CREATE POLICY group_roles_select ON tenancy.group_roles FOR SELECT USING (tenancy.is_member(tenant_id));
CREATE POLICY group_roles_insert ON tenancy.group_roles FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'roles.assign'));
CREATE POLICY group_roles_delete ON tenancy.group_roles FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'roles.assign'));

CREATE POLICY member_roles_select ON tenancy.member_roles FOR SELECT
    USING (user_id = tenancy.current_user_id() OR tenancy.has_permission(tenant_id, 'members.read')
           OR tenancy.has_permission(tenant_id, 'roles.assign'));
CREATE POLICY member_roles_insert ON tenancy.member_roles FOR INSERT
    WITH CHECK (tenancy.has_permission(tenant_id, 'roles.assign'));
CREATE POLICY member_roles_update ON tenancy.member_roles FOR UPDATE
    USING (tenancy.has_permission(tenant_id, 'roles.assign'));
CREATE POLICY member_roles_delete ON tenancy.member_roles FOR DELETE
    USING (tenancy.has_permission(tenant_id, 'roles.assign'));

CREATE POLICY operators_select ON tenancy.operators FOR SELECT
    USING (user_id = tenancy.current_user_id() OR tenancy.operator_access() = 'write');
CREATE POLICY operators_insert ON tenancy.operators FOR INSERT
    WITH CHECK (tenancy.operator_access() = 'write');
CREATE POLICY operators_update ON tenancy.operators FOR UPDATE
    USING (tenancy.operator_access() = 'write');
CREATE POLICY operators_delete ON tenancy.operators FOR DELETE
    USING (tenancy.operator_access() = 'write');

-- One's own choice, and only of a tenant that is open to one.
CREATE POLICY active_tenants_select ON tenancy.active_tenants FOR SELECT
    USING (user_id = tenancy.current_user_id());
CREATE POLICY active_tenants_insert ON tenancy.active_tenants FOR INSERT
    WITH CHECK (user_id = tenancy.current_user_id() AND tenancy.is_member(tenant_id));
CREATE POLICY active_tenants_update ON tenancy.active_tenants FOR UPDATE
    USING (user_id = tenancy.current_user_id())
    WITH CHECK (user_id = tenancy.current_user_id() AND tenancy.is_member(tenant_id));
CREATE POLICY active_tenants_delete ON tenancy.active_tenants FOR DELETE
    USING (user_id = tenancy.current_user_id());

DO $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT polname, relname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
              WHERE relnamespace = 'tenancy'::regnamespace LOOP
        EXECUTE format('COMMENT ON POLICY %I ON tenancy.%I IS %L', p.polname, p.relname,
                       'See the matrix in docs/security.md');
    END LOOP;
END
$$;
