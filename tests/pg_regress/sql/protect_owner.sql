-- An administrator who is no superuser and whom policies bind (FORCE) protects his own tables: rows that he
-- does not see are an error, and not overlooked.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA owned;
\set a '''0b000000-0000-0000-0000-00000000000a'''
\set nobody '''0b000000-0000-0000-0000-0000000000ff'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'owned-a', 'A');
CREATE ROLE owned_admin;
DO $$ BEGIN EXECUTE format('GRANT %I TO owned_admin', current_user); END $$;
GRANT USAGE, CREATE ON SCHEMA owned TO owned_admin;
SET ROLE owned_admin;
SET search_path = owned;
SELECT tenancy.is_administrator();
CREATE TABLE docs (id int, tenant_id uuid);
INSERT INTO docs VALUES (1, :a), (2, NULL), (3, :nobody);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON docs USING (id = 1);
SELECT count(*) FROM docs;
SELECT tenancy.protect_table('docs', resource => 'owned_docs', existing_policies => 'keep');
SELECT tenancy.protect_table_sql('docs', resource => 'owned_docs', existing_policies => 'keep');
-- constraints alone would have let the orphan pass
BEGIN;
ALTER TABLE docs ADD CONSTRAINT tempting FOREIGN KEY (tenant_id) REFERENCES tenancy.tenants;
ROLLBACK;
ALTER TABLE docs NO FORCE ROW LEVEL SECURITY;
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('docs', resource => 'owned_docs', existing_policies => 'keep');
DELETE FROM docs WHERE id > 1;
\set VERBOSITY default
SELECT tenancy.protect_table('docs', resource => 'owned_docs', existing_policies => 'keep');
SELECT count(*) FROM docs;
-- forced now; nothing to do needs no rows, and what does is refused rather than half seen
SELECT tenancy.protect_table('docs', resource => 'owned_docs', existing_policies => 'keep');
ALTER TABLE docs DROP CONSTRAINT docs_tenant_id_fkey;
SELECT tenancy.protect_table('docs', resource => 'owned_docs', existing_policies => 'keep');
SHOW row_security;
SELECT tenancy.unprotect_table('docs', true);
SELECT count(*) FROM docs;
CREATE TABLE added (id int);
SELECT tenancy.protect_table('added', resource => 'owned_docs', add_column => true);
SELECT tenancy.unprotect_table('added', true);
\d added
RESET ROLE;
RESET search_path;

-- One with BYPASSRLS, with what docs/reference/protect_table.md grants him.
CREATE ROLE owned_by;
CREATE ROLE owned_adopter BYPASSRLS IN ROLE owned_by;
GRANT ALL ON SCHEMA owned TO owned_by;
GRANT USAGE ON SCHEMA tenancy TO owned_adopter;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA tenancy TO owned_adopter;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON ALL TABLES IN SCHEMA tenancy TO owned_adopter;
SELECT tenancy.distrust_caller('owned_adopter');
SET ROLE owned_by;
CREATE TABLE owned.parent (id int PRIMARY KEY, org text);
CREATE TABLE owned.part (id int REFERENCES owned.parent) PARTITION BY RANGE (id);
CREATE TABLE owned.part_1 PARTITION OF owned.part DEFAULT;
INSERT INTO owned.parent VALUES (1, :a);
INSERT INTO owned.part VALUES (1);
SET ROLE owned_adopter;
SELECT tenancy.protect_table('owned.parent', resource => 'owned_docs', add_column => true, backfill => 'org', mode => 'observe');
SELECT rows_after FROM tenancy.preview_table('owned.parent', :nobody, db_role => 'owned_by', force => true);
-- By itself preview_table chooses no role that policies do not bind.
RESET ROLE;
BEGIN;
DO $$ BEGIN PERFORM tenancy.disable_role(d.rolname) FROM tenancy.application_roles() r JOIN pg_roles d ON d.oid = r WHERE d.rolname <> 'owned_adopter'; END $$;
SELECT * FROM tenancy.application_roles();
SELECT * FROM tenancy.preview_table('owned.parent', :nobody);
ROLLBACK;
SET ROLE owned_adopter;
SELECT tenancy.protect_table('owned.parent', resource => 'owned_docs', tenant_keys => 'fix'), tenancy.protect_table('owned.parent', resource => 'owned_docs', tenant_keys => 'fix') AS again;
SELECT tenancy.protect_table('owned.part', resource => 'owned_docs', add_column => true, backfill_from => 'parent(id)');
SELECT tableoid::regclass, tenant_id FROM owned.part;
SELECT tenancy.unprotect_table('owned.part'), tenancy.unprotect_table('owned.parent'), count(*) > 0 AS scripted FROM tenancy.protect_table_sql('owned.part', resource => 'owned_docs', staged => true);
SELECT tenancy.set_identity(:nobody::uuid);
RESET ROLE;
DROP SCHEMA owned CASCADE;
DROP OWNED BY owned_adopter;
DROP ROLE owned_admin, owned_adopter, owned_by;
DELETE FROM tenancy.tenants WHERE slug = 'owned-a';
