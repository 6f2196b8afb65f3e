-- A trigger that looks at permissions and then refuses a grant: nothing of the refused grant stays behind, whether
-- the refusal is caught or not. (granted_by is given, or our own guard would have asked who grants, and the user's
-- would be told what that kept.)
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
CREATE FUNCTION fresh_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'the guard sees %', tenancy.has_permission('fresh.read');
    IF current_setting('fresh.refuse', true) = 'on' THEN
        RAISE EXCEPTION 'refused by the guard';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER user_guard AFTER INSERT ON tenancy.member_roles FOR EACH ROW EXECUTE FUNCTION fresh_guard();
CREATE FUNCTION fresh_try() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by)
        VALUES ('f1111111-1111-1111-1111-111111111111', 'f0000000-0000-0000-0000-000000000001', 'f0000000-0000-0000-0000-0000000000d1', 'f0000000-0000-0000-0000-000000000001');
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE 'caught, and now %', tenancy.has_permission('fresh.read');
    END;
    RETURN tenancy.has_permission('fresh.read');
END $$;
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
SET fresh.refuse = 'on';
\set SHOW_CONTEXT never

-- Not caught, in autocommit and in a transaction, with an answer kept before and without.
SELECT tenancy.has_permission('fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
SELECT tenancy.has_permission('fresh.read');
\c -
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
SET fresh.refuse = 'on';
BEGIN;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');

-- Caught in plpgsql, and by a savepoint.
SELECT fresh_try();
SELECT tenancy.has_permission('fresh.read');
BEGIN;
SAVEPOINT s;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id');
ROLLBACK TO s;
SELECT tenancy.has_permission('fresh.read');
SELECT fresh_try();
SELECT tenancy.has_permission('fresh.read');
COMMIT;
SELECT tenancy.has_permission('fresh.read');

-- The same with a trigger before the statement that runs queries of its own, and in one statement with others.
CREATE FUNCTION fresh_first() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM tenancy.has_permission('fresh.read'); RETURN NULL; END $$;
CREATE TRIGGER a_first BEFORE INSERT ON tenancy.member_roles FOR EACH STATEMENT EXECUTE FUNCTION fresh_first();
SELECT fresh_try();
SELECT tenancy.has_permission('fresh.read');
WITH granted AS (INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', :'user_id') RETURNING 1) SELECT count(*) FROM granted;
SELECT tenancy.has_permission('fresh.read');

-- By tenancy.grant_role(), which has a handler of its own.
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_reader');
SELECT tenancy.has_permission('fresh.read');

-- And when the guard does not refuse, the grant holds from the next command.
SET fresh.refuse = 'off';
SELECT fresh_try();
SELECT tenancy.has_permission('fresh.read');

RESET request.jwt.claims;
RESET tenancy.claims_scope;
DROP TRIGGER user_guard ON tenancy.member_roles;
DROP TRIGGER a_first ON tenancy.member_roles;
DROP FUNCTION fresh_guard();
DROP FUNCTION fresh_first();
DROP FUNCTION fresh_try();
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
