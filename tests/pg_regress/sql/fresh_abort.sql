-- What a transaction has seen of its own changes is forgotten when it, or a part of it, is rolled back. This does not
-- rest on a message: here the announcing function is replaced, for the transaction, by one that says nothing, as
-- when a subscription's apply worker fires a user's trigger before ours. (granted_by is given, or the guard would ask
-- who grants, and what it was told would be kept.)
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
CREATE FUNCTION fresh_silence() RETURNS void LANGUAGE sql AS $body$
    CREATE OR REPLACE FUNCTION tenancy.signal_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RETURN NULL; END $$;
$body$;
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';

-- The transaction.
BEGIN;
SELECT fresh_silence();
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');

-- A savepoint.
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
BEGIN;
SELECT fresh_silence();
SAVEPOINT s;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
SELECT tenancy.has_permission('fresh.read');
ROLLBACK TO s;
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;

-- A block of plpgsql.
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
BEGIN;
SELECT fresh_silence();
DO $$
BEGIN
    BEGIN
        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by)
        VALUES ('f1111111-1111-1111-1111-111111111111', 'f0000000-0000-0000-0000-000000000001', 'f0000000-0000-0000-0000-0000000000d1', 'f0000000-0000-0000-0000-000000000001');
        RAISE NOTICE 'inside: %', tenancy.has_permission('fresh.read');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'caught: %', tenancy.has_permission('fresh.read');
    END;
END $$;
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;

-- Rolled back to a savepoint set before the savepoint in which it was granted and released.
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
BEGIN;
SELECT fresh_silence();
SAVEPOINT outside;
SAVEPOINT inside;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
RELEASE inside;
SELECT tenancy.has_permission('fresh.read');
ROLLBACK TO outside;
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;

-- An error that ends the transaction.
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
BEGIN;
SELECT fresh_silence();
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
SELECT tenancy.has_permission('fresh.read');
SELECT 1/0;
COMMIT;
SELECT tenancy.has_permission('fresh.read');

RESET request.jwt.claims;
RESET tenancy.claims_scope;
DROP FUNCTION fresh_silence();
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
