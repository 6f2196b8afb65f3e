WITH RECURSIVE membership AS (
    SELECT m.tenant_id, t.status,
           m.status = 'active' AND t.status IN ('active', 'read_only') AS open,
           m.status = 'active' AND t.status <> 'archived' AS visible
      FROM tenancy.members m JOIN tenancy.tenants t ON t.id = m.tenant_id
     WHERE m.user_id = ':user'
), assigned AS (
    SELECT g.tenant_id, g.role_id FROM tenancy.member_roles g
     WHERE g.user_id = ':user' AND (g.expires_at IS NULL OR g.expires_at > ':at')
    UNION
    SELECT m.tenant_id, r.role_id
      FROM tenancy.group_members m JOIN tenancy.group_roles r ON r.group_id = m.group_id
     WHERE m.user_id = ':user'
), held AS (
    SELECT a.tenant_id, a.role_id FROM assigned a
    UNION
    SELECT h.tenant_id, i.junior_id FROM held h JOIN tenancy.role_inheritance i ON i.senior_id = h.role_id
), permitted AS (
    SELECT DISTINCT m.tenant_id, p.name
      FROM membership m
      JOIN held h ON h.tenant_id = m.tenant_id
      JOIN tenancy.role_permissions g ON g.role_id = h.role_id
      JOIN tenancy.permissions p ON p.name = g.permission
        OR p.scope = 'tenant'
           AND (g.permission = 'all' OR p.name LIKE replace(replace(g.permission, '_', '\_'), '.*', '.%')
                                        AND g.permission LIKE '%.*')
     WHERE m.open AND (m.status = 'active' OR p.name LIKE '%.read')
), named AS (
    SELECT DISTINCT m.tenant_id, r.name, CASE WHEN r.tenant_id IS NULL THEN 'role' ELSE 'tenant role' END AS kind
      FROM membership m
      JOIN held h ON h.tenant_id = m.tenant_id
      JOIN tenancy.roles r ON r.id = h.role_id
     WHERE m.open
)
SELECT 'permission' AS kind, tenant_id AS id, name FROM permitted
UNION ALL SELECT 'tenants with', tenant_id, name FROM permitted
UNION ALL SELECT 'active', tenant_id, name FROM permitted WHERE tenant_id = ':tenant'
UNION ALL SELECT kind, tenant_id, name FROM named
UNION ALL SELECT 'member', tenant_id, NULL FROM membership WHERE open
UNION ALL SELECT 'tenants', tenant_id, NULL FROM membership WHERE open
UNION ALL SELECT 'visible', tenant_id, NULL FROM membership WHERE visible
UNION ALL SELECT 'operator', NULL, o.access FROM tenancy.operators o
           WHERE o.user_id = ':user' AND (o.expires_at IS NULL OR o.expires_at > ':at')
ORDER BY 1, 2, 3
