-- Where the announcing triggers are not as they were made (pg_restore --disable-triggers), an answer is good for one
-- statement, and even within it does not outlive a rollback.
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
ALTER TABLE tenancy.member_roles DISABLE TRIGGER ALL;
ALTER TABLE tenancy.member_roles ENABLE TRIGGER ALL;
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic = 'cache';
SET session_replication_role = replica;
SELECT tenancy.has_permission('fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', tenancy.nil());
SELECT tenancy.has_permission('fresh.read');
DELETE FROM tenancy.member_roles WHERE user_id = :'user_id';
SELECT tenancy.has_permission('fresh.read');
-- In a transaction, rolled back, and by a savepoint.
BEGIN;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1', tenancy.nil());
SELECT tenancy.has_permission('fresh.read');
ROLLBACK;
SELECT tenancy.has_permission('fresh.read');
-- Inside one statement.
DO $$
BEGIN
    BEGIN
        INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope)
        VALUES ('f1111111-1111-1111-1111-111111111111', 'f0000000-0000-0000-0000-000000000001', 'f0000000-0000-0000-0000-0000000000d1', tenancy.nil());
        RAISE NOTICE 'granted: %', tenancy.has_permission('fresh.read');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'rolled back: %', tenancy.has_permission('fresh.read');
    END;
END $$;
RESET session_replication_role;
-- A trigger that is missing altogether, and one of a subscription's.
BEGIN;
ALTER TABLE tenancy.member_roles ENABLE ALWAYS TRIGGER signal_before;
ALTER TABLE tenancy.member_roles ENABLE ALWAYS TRIGGER signal_after;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';
ALTER TABLE tenancy.member_roles ENABLE REPLICA TRIGGER signal_replicated;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';
ALTER TRIGGER signal_after ON tenancy.member_roles RENAME TO something_else;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';
ROLLBACK;
-- As the hint says.
ALTER TABLE tenancy.member_roles ENABLE ALWAYS TRIGGER signal_before, ENABLE ALWAYS TRIGGER signal_after, ENABLE REPLICA TRIGGER signal_replicated;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';

-- Every table that the loader reads has the three, in the states that count.
SELECT c.relname, string_agg(t.tgname || ' ' || t.tgenabled::text, ', ' ORDER BY t.tgname)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'tenancy'::regnamespace AND t.tgname LIKE 'signal%'
 GROUP BY 1 ORDER BY 1;
RESET request.jwt.claims;
RESET tenancy.claims_scope;
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
