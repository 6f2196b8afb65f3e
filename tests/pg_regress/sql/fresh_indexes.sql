-- The loader uses an index where there is a valid one, and reads the table where there is none: with the same answer.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', 'f0000000-0000-0000-0000-000000000002');
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
CREATE FUNCTION fresh_answers() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answers text := '';
BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub": "f0000000-0000-0000-0000-000000000001"}', false);
    answers := answers || tenancy.has_permission('fresh.read') || ' ' || cardinality(tenancy.tenant_ids());
    PERFORM set_config('request.jwt.claims', '{"sub": "f0000000-0000-0000-0000-000000000002"}', false);
    answers := answers || ', ' || tenancy.has_permission('fresh.read') || ' ' || cardinality(tenancy.tenant_ids());
    PERFORM set_config('request.jwt.claims', '{"sub": "f0000000-0000-0000-0000-000000000009"}', false);
    RETURN answers || ', ' || tenancy.has_permission('fresh.read') || ' ' || cardinality(tenancy.tenant_ids());
END $$;
SELECT fresh_answers();

-- Whole tables rebuilt under a session that remembers.
REINDEX INDEX tenancy.members_user_id_idx;
SELECT fresh_answers();
REINDEX INDEX CONCURRENTLY tenancy.members_user_id_idx;
SELECT fresh_answers();
REINDEX SCHEMA tenancy;
SELECT fresh_answers();
VACUUM FULL tenancy.members;
SELECT fresh_answers();

-- Marked invalid, as a REINDEX CONCURRENTLY that failed leaves it; then every index the loader could use. (The update
-- of a tenant makes it load again.)
BEGIN;
UPDATE tenancy.tenants SET name = 'Fresher' WHERE id = :'tenant';
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) AS scans \gset
SELECT fresh_answers();
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) > :scans AS read_whole_table;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tenancy.members_user_id_idx'::regclass;
UPDATE tenancy.tenants SET name = 'Freshest' WHERE id = :'tenant';
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) AS scans \gset
SELECT fresh_answers();
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) > :scans AS read_whole_table;
UPDATE pg_index SET indisvalid = false
 WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace);
UPDATE tenancy.tenants SET name = 'Fresh' WHERE id = :'tenant';
SELECT fresh_answers();
DELETE FROM tenancy.member_roles WHERE user_id = :'user_id';
SELECT fresh_answers();
ROLLBACK;
SELECT fresh_answers();

-- Gone, and back.
BEGIN;
DROP INDEX tenancy.members_user_id_idx;
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) AS scans \gset
SELECT fresh_answers();
SELECT pg_stat_get_xact_numscans('tenancy.members'::regclass) > :scans AS read_whole_table;
ROLLBACK;
BEGIN;
DROP INDEX tenancy.members_user_id_idx;
CREATE INDEX members_user_id_idx ON tenancy.members (user_id, tenant_id);
SELECT fresh_answers();
ROLLBACK;
SELECT fresh_answers();

-- Indexes of the administrator's own, which would not do, are not used: partial, on an expression, of another kind.
CREATE INDEX fresh_partial ON tenancy.members (user_id) WHERE status = 'suspended';
CREATE INDEX fresh_hash ON tenancy.members USING hash (user_id);
CREATE INDEX fresh_expression ON tenancy.members ((user_id::text));
SELECT fresh_answers();
DROP INDEX tenancy.fresh_partial, tenancy.fresh_hash, tenancy.fresh_expression;

-- Columns moved, as an update of the extension may: found by name.
BEGIN;
ALTER TABLE tenancy.members ADD COLUMN fresh_extra text DEFAULT 'x';
SELECT fresh_answers();
ROLLBACK;
-- A table that is not as this library knows it denies, and raises nothing.
BEGIN;
ALTER TABLE tenancy.members RENAME COLUMN status TO fresh_status;
SELECT fresh_answers();
ROLLBACK;
SELECT fresh_answers();

RESET request.jwt.claims;
RESET tenancy.claims_scope;
DROP FUNCTION fresh_answers();
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
