-- What the extension ships: fixed ids, immutable (guards.sql), not dumped.

INSERT INTO tenancy.permissions (name, description, builtin) VALUES
    ('tenant.edit', 'Change the tenant''s name, slug and metadata', true),
    ('members.read', 'See the tenant''s members and their grants', true),
    ('members.assign', 'Add, suspend and remove members', true),
    ('groups.edit', 'Create and drop groups, and add and remove their members', true),
    ('roles.edit', 'Create, edit and drop the tenant''s own roles', true),
    ('roles.assign', 'Grant and revoke roles, to members and groups', true),
    ('profiles.edit', 'Edit members'' public profiles', true),
    ('usage.read', 'See what the tenant has used, and its quotas', true),
    ('usage.edit', 'Lower gauges by hand', true);

INSERT INTO tenancy.roles (id, tenant_id, name, description, builtin) VALUES
    ('00000000-0000-0000-0000-00000000a001', NULL, 'owner', 'Holds every permission of the tenant', true);

INSERT INTO tenancy.role_permissions (role_id, permission) VALUES
    ('00000000-0000-0000-0000-00000000a001', 'all');
