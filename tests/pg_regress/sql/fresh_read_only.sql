-- Policies ask in READ ONLY transactions too (every GET of PostgREST), with nothing kept and with an answer kept, and
-- in a security-restricted operation.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
CREATE TABLE fresh_docs (id int);
INSERT INTO fresh_docs VALUES (1), (2);
ALTER TABLE fresh_docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON fresh_docs USING (tenancy.has_permission('fresh.read'));
GRANT SELECT ON fresh_docs TO authenticated, anon;
\c -
BEGIN READ ONLY;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = :'ann';
SELECT count(*) FROM fresh_docs;
SELECT tenancy.current_user_id(), tenancy.current_tenant_id(), tenancy.tenant_ids(), tenancy.tenant_ids_with('fresh.read'),
       tenancy.is_member(:'tenant'), tenancy.has_role('fresh_reader'), tenancy.has_tenant_role(:'tenant', 'fresh_reader');
SELECT tenancy.operator_access(), tenancy.claims(), tenancy.claim('sub'), tenancy.aal(), tenancy.current_tenant_key();
SELECT tenancy.require_permission('fresh.read');
SELECT finding FROM tenancy.diagnose() WHERE topic = 'user';
COMMIT;
BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE DEFERRABLE;
SET LOCAL ROLE anon;
SELECT count(*) FROM fresh_docs;
SET LOCAL request.jwt.claims = :'ann';
SELECT count(*) FROM fresh_docs;
COMMIT;

-- A materialised view is refreshed by its owner's rights, as a restricted operation: identity is the request's.
CREATE MATERIALIZED VIEW fresh_answer AS SELECT tenancy.has_permission('fresh.read') AS may WITH NO DATA;
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
REFRESH MATERIALIZED VIEW fresh_answer;
SELECT may FROM fresh_answer;
COMMIT;

DROP MATERIALIZED VIEW fresh_answer;
DROP TABLE fresh_docs;
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
