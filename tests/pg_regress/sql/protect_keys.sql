-- Threat 10: keys that cross tenants are reported, and rewritten on request.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA keys;
GRANT USAGE ON SCHEMA keys TO authenticated;
SET search_path = keys;
\set a '''4e000000-0000-0000-0000-00000000000a'''
\set b '''4e000000-0000-0000-0000-00000000000b'''
\set alice '''4e000000-0000-0000-0000-0000000000a1'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'keys-a', 'A'), (:b, 'keys-b', 'B');
SELECT FROM tenancy.create_role('keys_editor', '{keys_docs.*}');
SELECT tenancy.add_member(:a, :alice, '{keys_editor}');
CREATE TABLE folders (id int PRIMARY KEY, tenant_id uuid, name text UNIQUE, code text, UNIQUE (tenant_id, code));
CREATE TABLE docs (
    id int PRIMARY KEY, org uuid,
    folder_id int REFERENCES folders ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    folder_name text REFERENCES folders (name) ON DELETE SET NULL,
    parent int CONSTRAINT "the parent" REFERENCES docs MATCH FULL,
    unusual int REFERENCES folders ON UPDATE SET NULL,
    slug text, email text, sent tstzrange,
    CONSTRAINT slugs UNIQUE NULLS NOT DISTINCT (slug) INCLUDE (email),
    EXCLUDE USING gist (sent WITH &&)
);
CREATE UNIQUE INDEX "by email" ON docs (lower(email) DESC) WHERE slug IS NOT NULL;
CREATE UNIQUE INDEX fine ON docs (slug, org);
CREATE UNIQUE INDEX replica ON docs (id);
ALTER TABLE docs REPLICA IDENTITY USING INDEX replica;
CREATE TABLE unprotected (email text, slug text);
ALTER TABLE docs ADD CONSTRAINT kept UNIQUE (email);
ALTER TABLE unprotected ADD FOREIGN KEY (email) REFERENCES docs (email);
GRANT ALL ON folders, docs TO authenticated;
GRANT SELECT ON docs TO PUBLIC; -- no notice of roles that lack it
INSERT INTO folders VALUES (1, :a, 'fa', 'x'), (2, :b, 'fb', 'x');
INSERT INTO docs VALUES (1, :a, 1, 'fa', NULL, NULL, 's1', 'e1'), (2, :b, 2, NULL, 2, NULL, 's2', 'e2');

SELECT tenancy.protect_table('folders', resource => 'keys_docs');
SET client_min_messages = notice;
SELECT tenancy.protect_table('docs', tenant_column => 'org', resource => 'keys_docs');
-- what it means: a reference into another tenant, and an error that tells of another tenant's value
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO docs (id, folder_id) VALUES (3, 2);
INSERT INTO docs (id, slug) VALUES (4, 's2');
ROLLBACK;

SELECT tenancy.protect_table('docs', tenant_column => 'org', resource => 'keys_docs', tenant_keys => 'fix');
SET client_min_messages = warning;
SELECT tenancy.protect_table('docs', tenant_column => 'org', resource => 'keys_docs', tenant_keys => 'fix') AS "nothing left to do";
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'keys'::regnamespace AND contype <> 'n' ORDER BY conrelid::regclass::text, conname COLLATE "C";
SELECT indexdef FROM pg_indexes WHERE schemaname = 'keys' AND indexname IN ('by email', 'fine', 'slugs') ORDER BY indexname;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SET CONSTRAINTS ALL IMMEDIATE;
SAVEPOINT s;
INSERT INTO docs (id, folder_id) VALUES (3, 2);
ROLLBACK TO s;
INSERT INTO docs (id, slug) VALUES (4, 's2') RETURNING slug;
ROLLBACK;
-- what the foreign keys did, they still do: SET NULL leaves the tenant
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE folders SET id = 10 WHERE id = 1;
SELECT id, folder_id, folder_name FROM docs WHERE id = 1;
UPDATE docs SET folder_id = NULL WHERE id = 1;
DELETE FROM folders WHERE id = 10;
SELECT id, org, folder_id, folder_name FROM docs WHERE id = 1;
ROLLBACK;
-- folders' own: its name was needed by a foreign key that is rewritten now
SELECT tenancy.protect_table('folders', resource => 'keys_docs', tenant_keys => 'fix');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'folders'::regclass AND contype <> 'n' ORDER BY conname;

-- rows that already refer to another tenant's: nothing is half done
CREATE TABLE notes (id int PRIMARY KEY, tenant_id uuid, doc int REFERENCES docs, tag text UNIQUE);
INSERT INTO notes VALUES (1, :a, 2);
\set VERBOSITY terse
SELECT tenancy.protect_table('notes', resource => 'keys_docs', tenant_keys => 'fix');
SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype <> 'n' ORDER BY 1;
SELECT count(*) FROM tenancy.protected_tables WHERE table_id = 'notes'::regclass;

-- partitioned tables, the column added in the same call
CREATE TABLE events (id int, at int, code text, UNIQUE (id, at), PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE events_0 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE UNIQUE INDEX codes ON events (at, code);
CREATE UNIQUE INDEX codes_0 ON events_0 (code);
CREATE TABLE marks (id int PRIMARY KEY, event int, at int, FOREIGN KEY (event, at) REFERENCES events (id, at));
INSERT INTO events VALUES (1, 1, 'x');
INSERT INTO marks VALUES (1, 1, 1);
SELECT tenancy.protect_table('events', resource => 'keys_docs', add_column => true, backfill => :a);
SELECT tenancy.protect_table('marks', resource => 'keys_docs', add_column => true, backfill => :a, tenant_keys => 'fix');
SELECT tenancy.protect_table('events', resource => 'keys_docs', tenant_keys => 'fix'), tenancy.protect_table('events', resource => 'keys_docs', tenant_keys => 'fix'),
       tenancy.protect_table('marks', resource => 'keys_docs', tenant_keys => 'fix');
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid IN ('events'::regclass, 'marks'::regclass) AND contype <> 'n' AND conparentid = 0 ORDER BY conrelid::regclass::text, conname;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'keys' AND indexname LIKE 'codes%' ORDER BY indexname;
DROP SCHEMA keys CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'keys-_';
