PREPARE helpers AS
SELECT 'permission' AS kind, t.id, p.name FROM probes t, probes p
 WHERE t.kind = 'tenant' AND p.kind = 'permission' AND tenancy.has_permission(t.id, p.name)
UNION ALL
SELECT 'tenants with', w.id, p.name FROM probes p, unnest(tenancy.tenant_ids_with(p.name)) AS w (id)
 WHERE p.kind = 'permission'
UNION ALL
SELECT 'active', tenancy.current_tenant_id(), p.name FROM probes p
 WHERE p.kind = 'permission' AND tenancy.has_permission(p.name)
UNION ALL
SELECT 'role', t.id, r.name FROM probes t, probes r
 WHERE t.kind = 'tenant' AND r.kind = 'role' AND tenancy.has_role(t.id, r.name)
UNION ALL
SELECT 'tenant role', t.id, r.name FROM probes t, probes r
 WHERE t.kind = 'tenant' AND r.kind = 'role' AND tenancy.has_tenant_role(t.id, r.name)
UNION ALL
SELECT 'member', t.id, NULL FROM probes t WHERE t.kind = 'tenant' AND tenancy.is_member(t.id)
UNION ALL
SELECT 'tenants', w.id, NULL FROM unnest(tenancy.tenant_ids()) AS w (id)
UNION ALL
SELECT 'visible', t.id, NULL FROM probes t WHERE t.kind = 'tenant' AND tenancy.can_see_tenant(t.id)
UNION ALL
SELECT 'operator', NULL, tenancy.operator_access() WHERE tenancy.operator_access() IS NOT NULL
UNION ALL
SELECT 'at', NULL, statement_timestamp()::text
ORDER BY 1, 2, 3
