-- Claims and tenant last for the transaction that set them, in whatever way it set them: a pooled connection
-- passes nothing on to its next client.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
\set stolen 'SELECT current_setting(''request.jwt.claims'', true) AS claims, current_setting(''tenancy.tenant_id'', true) AS tenant, tenancy.current_user_id();'

-- Unset reads as empty, not NULL, since the setting is ours.
SELECT current_setting('request.jwt.claims', true) IS NULL AS is_null, current_setting('request.jwt.claims') = '' AS is_empty;

-- Plain SET inside a transaction that commits.
BEGIN;
SET request.jwt.claims = :'ann';
SET tenancy.tenant_id = :'tenant';
SELECT tenancy.has_permission('fresh.read');
COMMIT;
:stolen

-- set_config(..., false) inside one; and in a function; and released from a savepoint.
BEGIN;
SELECT set_config('request.jwt.claims', :'ann', false);
COMMIT;
:stolen
BEGIN;
DO $$ BEGIN PERFORM set_config('request.jwt.claims', '{"sub": "f0000000-0000-0000-0000-000000000001"}', false); END $$;
SAVEPOINT s;
SELECT set_config('tenancy.tenant_id', :'tenant', false);
RELEASE s;
COMMIT;
:stolen

-- A session's value masked by an empty local one comes to light again only when the transaction ends.
BEGIN;
SET request.jwt.claims = :'ann';
SET LOCAL request.jwt.claims = '';
COMMIT;
:stolen
BEGIN;
SET tenancy.tenant_id = :'tenant';
SET request.jwt.claims = :'ann';
SAVEPOINT s;
SET LOCAL request.jwt.claims = '';
RELEASE s;
SET LOCAL tenancy.tenant_id = '';
COMMIT;
:stolen

-- With a savepoint rolled back in between: what was set before it still was.
BEGIN;
SET request.jwt.claims = :'ann';
SAVEPOINT s;
SET LOCAL request.jwt.claims = '';
ROLLBACK TO s;
COMMIT;
:stolen
BEGIN;
SET request.jwt.claims = :'ann';
SAVEPOINT s;
SELECT 1/0;
ROLLBACK TO s;
SELECT tenancy.has_permission('fresh.read');
COMMIT;
:stolen
BEGIN;
SET request.jwt.claims = :'ann';
DO $$ BEGIN RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
COMMIT;
:stolen

-- In autocommit it never was.
SET request.jwt.claims = :'ann';
:stolen
SELECT set_config('request.jwt.claims', :'ann', false);
:stolen
-- Several statements in one message are one transaction.
SET request.jwt.claims = :'ann' \; SELECT tenancy.has_permission('fresh.read');
:stolen

-- Rolled back, chained, and set between two transactions of a procedure.
BEGIN;
SET request.jwt.claims = :'ann';
ROLLBACK;
:stolen
BEGIN;
SET request.jwt.claims = :'ann';
COMMIT AND CHAIN;
:stolen
COMMIT;
CREATE PROCEDURE fresh_procedure() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub": "f0000000-0000-0000-0000-000000000001"}', false);
    RAISE NOTICE 'first: %', tenancy.has_permission('fresh.read');
    COMMIT;
    RAISE NOTICE 'second: %', tenancy.has_permission('fresh.read');
END $$;
CALL fresh_procedure();
:stolen

-- A deferred trigger, which runs at commit, still has them.
CREATE TABLE fresh_rows (id int);
CREATE FUNCTION fresh_deferred() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'at commit: %', tenancy.has_permission('fresh.read'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON fresh_rows DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fresh_deferred();
BEGIN;
SET request.jwt.claims = :'ann';
INSERT INTO fresh_rows VALUES (1);
COMMIT;
:stolen

-- RESET, RESET ALL and DISCARD ALL take claims away in mid-session.
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
RESET request.jwt.claims;
SELECT tenancy.has_permission('fresh.read');
SET LOCAL request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
RESET ALL;
SELECT tenancy.has_permission('fresh.read');
COMMIT;
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
DISCARD ALL;
:stolen
SELECT tenancy.has_permission('fresh.read');
SHOW tenancy.claims_scope;

-- The other scope is Postgres's own behaviour, and only a superuser may choose it.
SET tenancy.claims_scope = 'session';
BEGIN;
SET request.jwt.claims = :'ann';
COMMIT;
SELECT tenancy.has_permission('fresh.read');
BEGIN;
SET LOCAL request.jwt.claims = '';
SELECT tenancy.has_permission('fresh.read');
COMMIT;
SELECT tenancy.has_permission('fresh.read');
RESET tenancy.claims_scope;
-- Back in the default scope, the next transaction that touches a claim ends all of them.
BEGIN;
SET LOCAL tenancy.tenant_id = :'tenant';
COMMIT;
:stolen
SET ROLE authenticated;
SET tenancy.claims_scope = 'session';
BEGIN;
SET request.jwt.claims = :'ann';
SET tenancy.tenant_id = :'tenant';
COMMIT;
:stolen
RESET ROLE;

DROP PROCEDURE fresh_procedure();
DROP TABLE fresh_rows;
DROP FUNCTION fresh_deferred();
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
