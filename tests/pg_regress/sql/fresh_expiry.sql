-- Time ends grants and tokens in an open session, in an open transaction, with nobody telling.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
SELECT tenancy.create_permission('fresh.edit');
SELECT tenancy.create_role('fresh_editor', '{fresh.edit}') IS NOT NULL AS created;
CREATE FUNCTION fresh_wait(until timestamptz) RETURNS void LANGUAGE sql VOLATILE AS
    $$ SELECT pg_sleep(greatest(0, extract(epoch FROM until - clock_timestamp())) + 0.02) $$;
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
SET plan_cache_mode = force_generic_plan;
CREATE TABLE fresh_one (id int);
INSERT INTO fresh_one VALUES (1);
PREPARE held AS SELECT tenancy.has_permission('fresh.read') AS read, tenancy.has_permission('fresh.edit') AS edit, tenancy.operator_access() AS operator FROM fresh_one;

-- Three that end one after the other.
SELECT clock_timestamp() + '1 s' AS first, clock_timestamp() + '1.7 s' AS second, clock_timestamp() + '2.4 s' AS third \gset
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_reader', :'first'),
       tenancy.grant_role(:'tenant', :'user_id', 'fresh_editor', :'second');
INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES (:'user_id', 'read', :'third');
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXECUTE held;
SELECT fresh_wait(:'first');
EXECUTE held;
SELECT fresh_wait(:'second');
EXECUTE held;
SELECT fresh_wait(:'third');
EXECUTE held;
COMMIT;

-- Granted, and ending, in the transaction that asks; a longer grant replaces a shorter.
BEGIN;
SELECT clock_timestamp() + '0.8 s' AS first \gset
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_reader', :'first');
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_editor', :'first');
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_editor');
EXECUTE held;
SELECT fresh_wait(:'first');
EXECUTE held;
ROLLBACK;

-- What is kept of another user meanwhile does not hide the end.
SELECT clock_timestamp() + '0.8 s' AS first \gset
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_reader', :'first');
EXECUTE held;
SET request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000002"}';
EXECUTE held;
SELECT fresh_wait(:'first');
EXECUTE held;
SET request.jwt.claims = :'ann';
EXECUTE held;

-- A token that expires, and one that is not valid yet.
SELECT tenancy.grant_role(:'tenant', :'user_id', 'fresh_reader');
SELECT clock_timestamp() + '0.8 s' AS first \gset
SELECT json_build_object('sub', :'user_id', 'exp', extract(epoch FROM :'first'::timestamptz)) AS token \gset
BEGIN;
SET LOCAL request.jwt.claims = :'token';
EXECUTE held;
SELECT fresh_wait(:'first');
EXECUTE held;
SELECT tenancy.current_user_id(), tenancy.claims();
COMMIT;
SELECT clock_timestamp() + '0.8 s' AS first \gset
SELECT json_build_object('sub', :'user_id', 'nbf', extract(epoch FROM :'first'::timestamptz)) AS token \gset
BEGIN;
SET LOCAL request.jwt.claims = :'token';
EXECUTE held;
SELECT fresh_wait(:'first');
EXECUTE held;
COMMIT;

DEALLOCATE ALL;
RESET plan_cache_mode;
RESET request.jwt.claims;
RESET tenancy.claims_scope;
DELETE FROM tenancy.operators WHERE user_id = :'user_id';
DROP TABLE fresh_one;
DROP FUNCTION fresh_wait(timestamptz);
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
