-- Threats 7 and 8: every way of reading and writing another tenant's rows, and of moving rows.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA iso;
GRANT USAGE ON SCHEMA iso TO authenticated;
SET search_path = iso;
\set a '''15000000-0000-0000-0000-00000000000a'''
\set b '''15000000-0000-0000-0000-00000000000b'''
\set alice '''15000000-0000-0000-0000-0000000000a1'''
\set reader '''15000000-0000-0000-0000-0000000000a2'''
\set both '''15000000-0000-0000-0000-0000000000ab'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'iso-a', 'A'), (:b, 'iso-b', 'B');
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, owner_id uuid, title text);
INSERT INTO docs VALUES (1, :a, NULL, 'a1'), (2, :a, NULL, 'a2'), (11, :b, NULL, 'b1'), (12, :b, NULL, 'b2');
GRANT ALL ON docs TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'iso_docs');
SELECT FROM tenancy.create_role('iso_editor', '{iso_docs.*}');
SELECT FROM tenancy.create_role('iso_reader', '{iso_docs.read}');
SELECT tenancy.add_member(:a, :alice, '{iso_editor}'), tenancy.add_member(:a, :reader, '{iso_reader}'),
       tenancy.add_member(:a, :both, '{iso_editor}'), tenancy.add_member(:b, :both, '{iso_editor}');

-- a member sees his tenant's rows
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT id, title FROM docs ORDER BY id;
SELECT title FROM docs WHERE tenant_id = :b;
SELECT title FROM docs WHERE id = 11;
WITH x AS MATERIALIZED (SELECT * FROM docs) SELECT count(*) FROM x;
SELECT (SELECT count(*) FROM docs), EXISTS (SELECT FROM docs WHERE title LIKE 'b%');
COPY docs (id, title) TO STDOUT;
-- and naming a tenant he is not in gives none
RESET ROLE;
SELECT FROM tenancy.act_as(:alice, :b);
SELECT count(*) FROM docs;
-- as does being nobody
RESET ROLE;
SELECT FROM tenancy.act_as(NULL);
SELECT count(*) FROM docs;
ROLLBACK;

-- UPDATE and DELETE do not reach over
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
UPDATE docs SET title = 'stolen' WHERE id = 11 RETURNING *;
UPDATE docs SET title = title || '!' RETURNING id, title;
DELETE FROM docs WHERE tenant_id = :b RETURNING *;
DELETE FROM docs RETURNING id;
ROLLBACK;

-- INSERT into another tenant, plainly, with RETURNING, by SELECT; COPY FROM Postgres refuses
\set VERBOSITY sqlstate
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SAVEPOINT s;
INSERT INTO docs VALUES (20, :b, NULL, 'planted');
ROLLBACK TO s;
INSERT INTO docs VALUES (20, :b, NULL, 'planted') RETURNING *;
ROLLBACK TO s;
INSERT INTO docs SELECT 20, :b, NULL, 'planted';
ROLLBACK TO s;
\copy docs from /dev/null
ROLLBACK TO s;
-- a NULL tenant belongs nowhere; no tenant given is the active one
INSERT INTO docs VALUES (20, NULL, NULL, 'nobody''s');
ROLLBACK TO s;
INSERT INTO docs (id, title) VALUES (21, 'mine') RETURNING tenant_id;
INSERT INTO docs (id, tenant_id, title) SELECT 22, tenancy.current_tenant_id(), 'selected';
SELECT id, tenant_id FROM docs WHERE id > 20 ORDER BY id;
ROLLBACK;
-- with no active tenant the default is NULL
BEGIN;
SELECT FROM tenancy.act_as(:both);
INSERT INTO docs (id, title) VALUES (21, 'whose?');
ROLLBACK;

-- ON CONFLICT with another tenant's row: neither changed nor moved
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SAVEPOINT s;
INSERT INTO docs (id, title) VALUES (11, 'x') ON CONFLICT (id) DO UPDATE SET title = 'stolen';
ROLLBACK TO s;
INSERT INTO docs (id, title) VALUES (11, 'x') ON CONFLICT (id) DO UPDATE SET title = 'stolen' WHERE false;
ROLLBACK TO s;
INSERT INTO docs (id, title) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET tenant_id = :b;
ROLLBACK TO s;
INSERT INTO docs (id, title) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING id, title;
-- DO NOTHING does nothing, but that it did tells that the key is taken: keys that people choose should
-- include the tenant (tenant_keys => 'fix')
INSERT INTO docs (id, title) VALUES (11, 'x') ON CONFLICT DO NOTHING RETURNING *;
ROLLBACK;

-- MERGE
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SAVEPOINT s;
MERGE INTO docs d USING (VALUES (11), (1)) v (id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET title = 'merged';
SELECT id, title FROM docs ORDER BY id;
ROLLBACK TO s;
MERGE INTO docs d USING (VALUES (11)) v (id) ON d.id = v.id WHEN NOT MATCHED THEN INSERT (id, tenant_id, title) VALUES (30, :b, 'planted');
ROLLBACK TO s;
MERGE INTO docs d USING (VALUES (1)) v (id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET tenant_id = :b;
ROLLBACK TO s;
MERGE INTO docs d USING (VALUES (1), (11)) v (id) ON d.id = v.id WHEN MATCHED THEN DELETE;
SELECT id FROM docs;
ROLLBACK;

-- moving a row: into a tenant one is not in, into another of one's own, into none
BEGIN;
SELECT FROM tenancy.act_as(:both, :a);
SAVEPOINT s;
UPDATE docs SET tenant_id = :b WHERE id = 1;
ROLLBACK TO s;
UPDATE docs SET tenant_id = NULL WHERE id = 1;
ROLLBACK TO s;
UPDATE docs SET tenant_id = tenant_id, title = 'same' WHERE id = 1 RETURNING title;
-- the setting is the administrators'
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE docs SET tenant_id = :b WHERE id = 1;
ROLLBACK;
-- even an administrator must say so
\set VERBOSITY terse
BEGIN;
UPDATE docs SET tenant_id = :b WHERE id = 1;
ROLLBACK;
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE docs SET tenant_id = :b WHERE id = 1 RETURNING tenant_id;
ROLLBACK;
-- what a trigger of the table's own changes counts, whatever its name
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id := '15000000-0000-0000-0000-00000000000b'; RETURN NEW; END $$;
CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION move();
BEGIN;
SELECT FROM tenancy.act_as(:both, :a);
SAVEPOINT s;
UPDATE docs SET title = 'x' WHERE id = 1;
ROLLBACK TO s;
INSERT INTO docs (id, title) VALUES (40, 'x');
ROLLBACK;
DROP TRIGGER zzz ON docs;

-- permissions inside the tenant: a reader reads, and that is all
BEGIN;
SELECT FROM tenancy.act_as(:reader, :a);
SELECT count(*) FROM docs;
UPDATE docs SET title = 'x' RETURNING *;
DELETE FROM docs RETURNING *;
INSERT INTO docs (id, title) VALUES (50, 'x');
ROLLBACK;

-- an owner column lets him do as he likes with rows of his own, in the tenant
SELECT tenancy.protect_table('docs', resource => 'iso_docs', owner_column => 'owner_id');
BEGIN;
SELECT FROM tenancy.act_as(:reader, :a);
INSERT INTO docs (id, title, owner_id) VALUES (50, 'own', :reader);
UPDATE docs SET title = 'own!' RETURNING id, title;
SAVEPOINT s;
UPDATE docs SET owner_id = :alice WHERE id = 50;
ROLLBACK TO s;
INSERT INTO docs (id, tenant_id, title, owner_id) VALUES (51, :b, 'own', :reader);
ROLLBACK TO s;
DELETE FROM docs RETURNING id;
ROLLBACK;

-- mode membership: rows of all one's tenants, each with the permission held there
SELECT tenancy.protect_table('docs', resource => 'iso_docs', mode => 'membership');
SELECT tenancy.revoke_role(:b, :both, 'iso_editor'), tenancy.grant_role(:b, :both, 'iso_reader');
BEGIN;
SELECT FROM tenancy.act_as(:both);
SELECT id FROM docs ORDER BY id;
UPDATE docs SET title = title || '!' RETURNING id, title;
SAVEPOINT s;
UPDATE docs SET tenant_id = :b WHERE id = 1;
ROLLBACK TO s;
INSERT INTO docs (id, tenant_id, title) VALUES (60, :b, 'x');
ROLLBACK TO s;
INSERT INTO docs (id, tenant_id, title) VALUES (60, :a, 'x') RETURNING id;
RESET ROLE;
SELECT FROM tenancy.act_as(:alice);
SELECT id FROM docs ORDER BY id;
RESET ROLE;
SELECT FROM tenancy.act_as(NULL);
SELECT id FROM docs ORDER BY id;
ROLLBACK;
DROP SCHEMA iso CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'iso-_';
