-- One's own changes count from the next command on, in every way of making them, and inside one function.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
CREATE FUNCTION fresh_steps() RETURNS TABLE (step text, expression boolean, query boolean) LANGUAGE plpgsql AS $$
DECLARE
    steps text[] := ARRAY['grant', 'revoke', 'grant', 'suspend', 'reinstate', 'edit role', 'mend role', 'truncate'];
BEGIN
    FOREACH step IN ARRAY steps LOOP
        CASE step
            WHEN 'grant' THEN
                INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES ('f1111111-1111-1111-1111-111111111111', 'f0000000-0000-0000-0000-000000000001', 'f0000000-0000-0000-0000-0000000000d1');
            WHEN 'revoke' THEN DELETE FROM tenancy.member_roles WHERE user_id = 'f0000000-0000-0000-0000-000000000001';
            WHEN 'suspend' THEN UPDATE tenancy.members SET status = 'suspended' WHERE user_id = 'f0000000-0000-0000-0000-000000000001';
            WHEN 'reinstate' THEN UPDATE tenancy.members SET status = 'active' WHERE user_id = 'f0000000-0000-0000-0000-000000000001';
            WHEN 'edit role' THEN DELETE FROM tenancy.role_permissions WHERE role_id = 'f0000000-0000-0000-0000-0000000000d1';
            WHEN 'mend role' THEN
                INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
            WHEN 'truncate' THEN TRUNCATE tenancy.member_roles;
        END CASE;
        expression := tenancy.has_permission('fresh.read');
        SELECT tenancy.has_permission('fresh.read') INTO query;
        RETURN NEXT;
    END LOOP;
END $$;
BEGIN;
SELECT * FROM fresh_steps();
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');

-- A statement does not see what it is changing itself; the next in the same message does.
BEGIN;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1') RETURNING tenancy.has_permission('fresh.read') AS while_granting;
DELETE FROM tenancy.member_roles WHERE user_id = :'user_id' \; SELECT tenancy.has_permission('fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1') \; SELECT tenancy.has_permission('fresh.read');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');

-- COPY, and a row moved by MERGE.
BEGIN;
COPY tenancy.member_roles (tenant_id, user_id, role_id) FROM stdin;
f1111111-1111-1111-1111-111111111111	f0000000-0000-0000-0000-000000000001	f0000000-0000-0000-0000-0000000000d1
\.
SELECT tenancy.has_permission('fresh.read');
MERGE INTO tenancy.member_roles g USING (VALUES (:'user_id'::uuid)) v (id) ON g.user_id = v.id WHEN MATCHED THEN DELETE;
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;

-- A member who revokes his own role by the function, which asks about him while it does so.
SELECT tenancy.create_role('fresh_admin', '{fresh.read, roles.assign, members.read}') IS NOT NULL AS created;
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_admin');
BEGIN;
SET LOCAL ROLE authenticated;
SELECT tenancy.has_permission('fresh.read');
SELECT tenancy.revoke_role(:'tenant', :'user_id', 'fresh_admin');
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');

RESET request.jwt.claims;
RESET tenancy.claims_scope;
DROP FUNCTION fresh_steps();
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
