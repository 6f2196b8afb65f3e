-- Threats 9, 11 and 12: policies, roles, privileges and views that could reach around the protection.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA bypass;
GRANT USAGE ON SCHEMA bypass TO PUBLIC;
SET search_path = bypass;
\set a '''b9000000-0000-0000-0000-00000000000a'''
\set b '''b9000000-0000-0000-0000-00000000000b'''
\set alice '''b9000000-0000-0000-0000-0000000000a1'''
\set mallory '''b9000000-0000-0000-0000-0000000000a2'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'bypass-a', 'A'), (:b, 'bypass-b', 'B');
CREATE ROLE bypass_owner;
CREATE ROLE bypass_grantee;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text);
ALTER TABLE docs OWNER TO bypass_owner;
INSERT INTO docs VALUES (1, :a, 'a1'), (11, :b, 'b1');
GRANT ALL ON docs TO authenticated;
GRANT TRUNCATE ON docs TO PUBLIC, bypass_grantee;
GRANT REFERENCES (id) ON docs TO anon;
SELECT tenancy.protect_table('docs', resource => 'bypass_docs');
SELECT FROM tenancy.create_role('bypass_reader', '{bypass_docs.read}');
SELECT tenancy.add_member(:a, :alice, '{bypass_reader}'), tenancy.add_member(:a, :mallory);

-- a permissive policy for everything, added later: not beyond the tenant
CREATE POLICY everything ON docs USING (true) WITH CHECK (true);
BEGIN;
SELECT FROM tenancy.act_as(:mallory, :a);
SELECT * FROM docs;
UPDATE docs SET title = 'x' RETURNING id;
SAVEPOINT s;
INSERT INTO docs VALUES (2, :b, 'planted');
ROLLBACK TO s;
RESET ROLE;
SELECT FROM tenancy.act_as(NULL);
SELECT * FROM docs;
ROLLBACK;
DROP POLICY everything ON docs;
-- without it, a member without permission sees nothing
BEGIN;
SELECT FROM tenancy.act_as(:mallory, :a);
SELECT * FROM docs;
ROLLBACK;

-- a database role made later
CREATE ROLE bypass_later;
GRANT ALL ON docs TO bypass_later;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a, 'bypass_later');
SELECT * FROM docs;
RESET ROLE;
SELECT FROM tenancy.act_as(NULL, NULL, 'bypass_later');
SELECT * FROM docs;
INSERT INTO docs VALUES (2, :b, 'planted');
ROLLBACK;
REVOKE ALL ON docs FROM bypass_later;

-- the owner
BEGIN;
SELECT FROM tenancy.act_as(NULL, NULL, 'bypass_owner');
SELECT * FROM docs;
SAVEPOINT s;
INSERT INTO docs VALUES (2, :b, 'planted');
ROLLBACK TO s;
RESET ROLE;
SELECT FROM tenancy.act_as(:alice, :a, 'bypass_owner');
SELECT * FROM docs;
ROLLBACK;

-- TRUNCATE, and triggers and foreign keys, which row-level security does not govern
SELECT privilege_type, grantee FROM information_schema.table_privileges
 WHERE table_schema = 'bypass' AND table_name = 'docs' AND grantee <> 'bypass_owner' ORDER BY 1, 2;
SELECT privilege_type, grantee FROM information_schema.column_privileges
 WHERE table_schema = 'bypass' AND table_name = 'docs' AND grantee = 'anon';
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
TRUNCATE docs;
ROLLBACK;
-- privileges from elsewhere are told of
GRANT TRUNCATE ON docs TO bypass_grantee;
GRANT bypass_grantee TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'bypass_docs');
REVOKE bypass_grantee FROM authenticated;

-- the tenant column renamed, and dropped with the policy that needs it
CREATE TABLE notes (tenant_id uuid, title text);
INSERT INTO notes VALUES (:a, 'a1'), (:b, 'b1');
GRANT SELECT ON notes TO authenticated;
SELECT tenancy.protect_table('notes', resource => 'bypass_docs');
CREATE POLICY everything ON notes USING (true);
ALTER TABLE notes RENAME tenant_id TO org;
SELECT options ->> 'tenant_column' AS tenant_column FROM tenancy.protected_tables WHERE table_id = 'notes'::regclass;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT title FROM notes;
ROLLBACK;
ALTER TABLE notes DROP COLUMN org CASCADE;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT title FROM notes;
ROLLBACK;
SELECT tenancy.protect_table('notes', resource => 'bypass_docs', add_column => true, backfill => :a);
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT title FROM notes;
ROLLBACK;

-- views: with security_invoker the reader's rights count; without it the view owner's do. The identity is
-- the reader's in both, so a view of an ordinary owner shows the reader's tenant, but that of a superuser or
-- BYPASSRLS role shows everything
CREATE VIEW docs_invoker WITH (security_invoker = true) AS SELECT * FROM docs;
CREATE VIEW docs_of_owner AS SELECT * FROM docs;
ALTER VIEW docs_of_owner OWNER TO bypass_owner;
CREATE VIEW docs_of_superuser AS SELECT * FROM docs;
CREATE MATERIALIZED VIEW docs_copied AS SELECT * FROM docs;
CREATE FUNCTION docs_function() RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM bypass.docs';
ALTER FUNCTION docs_function() OWNER TO bypass_owner;
GRANT SELECT ON docs_invoker, docs_of_owner, docs_of_superuser, docs_copied TO authenticated;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT * FROM docs_invoker;
SELECT * FROM docs_of_owner;
SELECT * FROM docs_function();
SELECT count(*) AS "documented: all rows" FROM docs_of_superuser;
SELECT count(*) AS "documented: all rows" FROM docs_copied;
RESET ROLE;
SELECT FROM tenancy.act_as(NULL);
SELECT * FROM docs_invoker;
SELECT * FROM docs_of_owner;
SELECT * FROM docs_function();
ROLLBACK;
DROP SCHEMA bypass CASCADE;
DROP ROLE bypass_owner, bypass_grantee, bypass_later;
DELETE FROM tenancy.tenants WHERE slug LIKE 'bypass-_';
