-- Policies on a table that protect_table did not touch, each for a database role of its own: the role that a query
-- runs as chooses what is measured.
ALTER TABLE bench.:name ENABLE ROW LEVEL SECURITY;
CREATE POLICY member ON bench.:name TO authenticated USING (tenancy.has_permission(tenant_id, 'docs.read'));
CREATE POLICY any_select ON bench.:name TO any_select USING (tenant_id = ANY ((SELECT tenancy.tenant_ids_with('docs.read'))::uuid[]));
CREATE POLICY compound ON bench.:name TO compound USING (tenancy.has_permission('docs.read') OR owner_id = tenancy.current_user_id());
CREATE POLICY template_b ON bench.:name TO template_b USING (tenant_id = template_b.tenant_id());
CREATE POLICY template_b_select ON bench.:name TO template_b_select USING (tenant_id = (SELECT template_b.tenant_id()));
CREATE POLICY template_c ON bench.:name TO template_c
    USING (tenant_id = ((SELECT template_c.jwt()) -> 'app_metadata' ->> 'workspace_id')::uuid);
CREATE POLICY claims_d ON bench.:name TO claims_d USING (claims_d.has_permission(tenant_id, 'docs.read'));
