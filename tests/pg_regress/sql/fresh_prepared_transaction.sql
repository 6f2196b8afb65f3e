-- A grant in a prepared transaction is nobody's: not the session's that prepared it, until it is committed.
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
SELECT tenancy.has_permission('fresh.read');
BEGIN;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
SELECT tenancy.has_permission('fresh.read');
PREPARE TRANSACTION 'fresh_rolled_back';
SELECT tenancy.has_permission('fresh.read');
ROLLBACK PREPARED 'fresh_rolled_back';
SELECT tenancy.has_permission('fresh.read');
BEGIN;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
SELECT tenancy.has_permission('fresh.read');
PREPARE TRANSACTION 'fresh_committed';
SELECT tenancy.has_permission('fresh.read');
COMMIT PREPARED 'fresh_committed';
SELECT tenancy.has_permission('fresh.read');

-- A revoke that is prepared has not happened either.
BEGIN;
DELETE FROM tenancy.member_roles WHERE user_id = :'user_id';
SELECT tenancy.has_permission('fresh.read');
PREPARE TRANSACTION 'fresh_committed';
SELECT tenancy.has_permission('fresh.read');
COMMIT PREPARED 'fresh_committed';
SELECT tenancy.has_permission('fresh.read');

-- None of this rests on the session's hearing its own message: here the announcing function says nothing.
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
BEGIN;
CREATE OR REPLACE FUNCTION tenancy.signal_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by)
VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
SELECT tenancy.has_permission('fresh.read');
PREPARE TRANSACTION 'fresh_rolled_back';
SELECT tenancy.has_permission('fresh.read');
ROLLBACK PREPARED 'fresh_rolled_back';

-- And claims end with the preparing.
RESET request.jwt.claims;
RESET tenancy.claims_scope;
BEGIN;
SET request.jwt.claims = :'ann';
SET tenancy.tenant_id = :'tenant';
SAVEPOINT s;
PREPARE TRANSACTION 'fresh_claims';
SELECT current_setting('request.jwt.claims') AS claims, current_setting('tenancy.tenant_id') AS tenant;
COMMIT PREPARED 'fresh_claims';

DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
