-- The host's own table of tenants: its rows are tenants, now and from now on, whatever the type of its key.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA orgs;
GRANT USAGE ON SCHEMA orgs TO authenticated;
\set ann '''a77a0000-0000-4000-8000-0000000000a1'''

-- What cannot be attached, and by whom not.
CREATE TABLE orgs.plain (id bigint PRIMARY KEY, name text, rank numeric, owner regrole, code text UNIQUE, late int UNIQUE DEFERRABLE INITIALLY DEFERRED, part int);
CREATE UNIQUE INDEX ON orgs.plain (part) WHERE part > 0;
CREATE VIEW orgs.a_view AS SELECT * FROM orgs.plain;
CREATE TABLE orgs.split (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE orgs.parent (id int PRIMARY KEY);
CREATE TABLE orgs.child () INHERITS (orgs.parent);
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
CREATE DOMAIN orgs.code AS text;
CREATE TABLE orgs.with_domain (id orgs.code PRIMARY KEY);
SELECT command, test.attempt(NULL, 'SELECT tenancy.attach_tenants(' || command || ')') AS answer FROM unnest(ARRAY[
    'NULL', $$'orgs.a_view'$$, $$'orgs.split'$$, $$'orgs.parent'$$, $$'a_temp'$$, $$'tenancy.tenants'$$, $$'pg_catalog.pg_class', 'oid'$$,
    $$'orgs.with_domain'$$, $$'orgs.plain', NULL$$, $$'orgs.plain', 'none'$$, $$'orgs.plain', 'rank'$$, $$'orgs.plain', 'owner'$$, $$'orgs.plain', 'name'$$,
    $$'orgs.plain', 'late'$$, $$'orgs.plain', 'part'$$, $$'orgs.plain', 'ctid'$$, $$'orgs.plain', name_column => 'rank'$$, $$'orgs.plain', slug_column => 'none'$$]) command;
SELECT test.attempt(:ann, $$SELECT tenancy.attach_tenants('orgs.plain')$$), test.attempt(:ann, 'SELECT tenancy.detach_tenants()');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.attach_tenants('orgs.plain');
ROLLBACK;
SELECT count(*) AS attached_by_a_refusal FROM tenancy.attached_tables;

-- A bigint key. Names and slugs may be missing, taken or nonsense, and none stops the host's write.
CREATE TABLE orgs.o (id bigserial PRIMARY KEY, name varchar(300), slug text);
INSERT INTO orgs.o (name, slug) VALUES ('Acme Inc.', 'acme'), ('Acme Inc.', 'acme'), ('', 'Bad Slug!'), (NULL, NULL), ('日本', NULL), (repeat('long ', 50), repeat('x', 80)), ('Acme Inc.', 'acme-2');
SELECT tenancy.create_tenant('taken', 'By hand', NULL) IS NOT NULL AS by_hand;
SELECT tenancy.attach_tenants('orgs.o', name_column => 'name', slug_column => 'slug');
SELECT key, slug, left(name, 20) AS name, length(name), a.tenant_id IS NOT NULL AS attached FROM tenancy.tenants t LEFT JOIN tenancy.attached_tenants a ON a.tenant_id = t.id ORDER BY t.key_number;
SELECT tenancy.attach_tenants('orgs.o', name_column => 'name', slug_column => 'slug') AS again;
SELECT test.attempt(NULL, $$SELECT tenancy.attach_tenants('orgs.plain')$$), test.attempt(NULL, $$SELECT tenancy.attach_tenants('orgs.o', 'slug')$$);
-- By an application role, in one statement with ON CONFLICT, and what follows.
GRANT SELECT, INSERT, UPDATE, DELETE ON orgs.o TO authenticated;
GRANT USAGE ON SEQUENCE orgs.o_id_seq TO authenticated;
SELECT test.attempt(:ann, $$INSERT INTO orgs.o (name, slug) VALUES ('New', 'taken'), ('Two', 'two')$$);
INSERT INTO orgs.o (id, name) VALUES (8, 'Again') ON CONFLICT DO NOTHING;
INSERT INTO orgs.o (id, name, slug) VALUES (9, 'Two and a half', 'acme') ON CONFLICT (id) DO UPDATE SET name = excluded.name, slug = excluded.slug;
SELECT key, slug, name FROM tenancy.tenants WHERE key_number > 7 ORDER BY key;
-- What was changed by hand stays until the host changes it.
UPDATE tenancy.tenants SET name = 'Ours', metadata = '{"a": 1}' WHERE key = '8';
SELECT test.attempt(:ann, $$UPDATE orgs.o SET id = id WHERE id = 8$$);
SELECT slug, name FROM tenancy.tenants WHERE key = '8';
SELECT test.attempt(:ann, $$UPDATE orgs.o SET slug = 'eight' WHERE id = 8$$);
SELECT slug, name, metadata FROM tenancy.tenants WHERE key = '8';
SELECT test.attempt(:ann, $$UPDATE orgs.o SET name = 'Newer' WHERE id = 8$$);
SELECT slug, name FROM tenancy.tenants WHERE key = '8';
SELECT test.attempt(:ann, $$UPDATE orgs.o SET id = 80 WHERE id = 8$$);

-- Somebody else's tenant is not to be had by its key.
SELECT tenancy.create_tenant('stranger', 'Stranger', NULL, key => '77') IS NOT NULL AS made;
SELECT test.attempt(:ann, $$INSERT INTO orgs.o VALUES (77, 'Mine now', 'mine')$$);
SELECT slug, name, a.tenant_id FROM tenancy.tenants t LEFT JOIN tenancy.attached_tenants a ON a.tenant_id = t.id WHERE key = '77';
-- An administrator may say so.
SELECT tenancy.detach_tenants();
INSERT INTO orgs.o VALUES (77, 'Mine now', 'mine');
SET client_min_messages = notice;
SELECT tenancy.attach_tenants('orgs.o', name_column => 'name', slug_column => 'slug');
SET client_min_messages = warning;
SELECT slug, name, a.tenant_id IS NOT NULL AS attached FROM tenancy.tenants t LEFT JOIN tenancy.attached_tenants a ON a.tenant_id = t.id WHERE key = '77';
SELECT count(*) AS tenants, count(a.tenant_id) AS attached FROM tenancy.tenants t LEFT JOIN tenancy.attached_tenants a ON a.tenant_id = t.id;

-- Deleting. The host's own cascades come first, other rows decide by their foreign keys, and drop_tenant leaves it to the host.
CREATE TABLE orgs.docs (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES orgs.o ON DELETE CASCADE);
CREATE TABLE orgs.notes (id int PRIMARY KEY, org_id bigint NOT NULL REFERENCES tenancy.tenants (key_number));
ALTER TABLE orgs.docs ADD FOREIGN KEY (org_id) REFERENCES tenancy.tenants (key_number);
INSERT INTO orgs.docs VALUES (1, 1), (2, 2), (3, 1);
INSERT INTO orgs.notes VALUES (1, 2);
SELECT test.attempt(NULL, format('SELECT tenancy.drop_tenant(%L)', id)) FROM tenancy.tenants WHERE key = '1';
SELECT test.attempt(:ann, 'DELETE FROM orgs.o WHERE id = 1'), test.attempt(:ann, 'DELETE FROM orgs.o WHERE id = 2; SET CONSTRAINTS ALL IMMEDIATE');
SELECT (SELECT array_agg(id ORDER BY id) FROM orgs.o WHERE id < 3) AS rows, (SELECT array_agg(key ORDER BY key) FROM tenancy.tenants WHERE key_number < 3) AS tenants, (SELECT array_agg(id) FROM orgs.docs) AS docs;
-- What cascades reach by several steps goes after our trigger, and the tenant after it.
CREATE TABLE orgs.pages (id int PRIMARY KEY, doc_id int REFERENCES orgs.docs ON DELETE CASCADE, org_id bigint REFERENCES tenancy.tenants (key_number) ON DELETE RESTRICT);
CREATE TABLE orgs.lines (page_id int REFERENCES orgs.pages ON DELETE CASCADE, org_id bigint REFERENCES tenancy.tenants (key_number));
INSERT INTO orgs.o (id, name) VALUES (901, 'Deep'), (902, 'Stays');
INSERT INTO orgs.docs SELECT id, id FROM orgs.o WHERE id > 900;
INSERT INTO orgs.pages SELECT id, id, id FROM orgs.o WHERE id > 900;
INSERT INTO orgs.lines SELECT id, id FROM orgs.o WHERE id > 900;
DELETE FROM orgs.o WHERE id = 901;
SELECT key FROM tenancy.tenants WHERE key_number > 900;
-- What does not go stops it, at the end; and until then nobody comes by its key.
INSERT INTO orgs.notes VALUES (2, 902);
DELETE FROM orgs.o WHERE id = 902;
BEGIN;
DELETE FROM orgs.o WHERE id = 902;
INSERT INTO orgs.o (id, name) VALUES (902, 'Again');
ROLLBACK;
BEGIN;
DELETE FROM orgs.o WHERE id = 902;
DELETE FROM orgs.notes WHERE org_id = 902;
COMMIT;
INSERT INTO orgs.o (id, name) VALUES (902, 'Again');
SELECT t.slug, (SELECT count(*) FROM tenancy.attached_tenants a WHERE a.tenant_id = t.id AND NOT a.leaving) AS attached FROM tenancy.tenants t WHERE t.key_number > 900;
DELETE FROM orgs.o WHERE id > 900;
DROP TABLE orgs.lines, orgs.pages;
-- Test suites truncate everything at once.
SELECT test.attempt(NULL, 'TRUNCATE orgs.o, orgs.docs');
SELECT test.attempt(NULL, 'TRUNCATE orgs.o, orgs.docs, orgs.notes RESTART IDENTITY');
SELECT slug, key FROM tenancy.tenants ORDER BY slug;
INSERT INTO orgs.o (name) VALUES ('First again');
SELECT slug, key FROM tenancy.tenants ORDER BY slug;

-- Triggers that are gone or off come back by a second call, and rows that came meanwhile with them.
ALTER TABLE orgs.o DISABLE TRIGGER "~pg_tenancy_attached_tenants";
INSERT INTO orgs.o (name) VALUES ('While off');
SELECT tenancy.attach_tenants('orgs.o', name_column => 'name', slug_column => 'slug'), count(*) FROM tenancy.attached_tenants;
SELECT count(*) FROM tenancy.attached_tenants;
-- Its owner may have made of a column what must not be read with our rights.
CREATE FUNCTION orgs.climb(text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE DOMAIN orgs.trap AS text CHECK (orgs.climb(VALUE));
ALTER TABLE orgs.o ALTER name TYPE orgs.trap;
SELECT test.attempt(:ann, $$INSERT INTO orgs.o (name) VALUES ('trap')$$);
ALTER TABLE orgs.o DROP COLUMN name;
SELECT test.attempt(:ann, $$INSERT INTO orgs.o DEFAULT VALUES$$);
-- Our trigger function on another table does nothing, for who could put it there.
CREATE TABLE orgs.other (id bigint PRIMARY KEY);
CREATE TRIGGER planted AFTER INSERT ON orgs.other FOR EACH ROW EXECUTE FUNCTION tenancy.project_tenant();
INSERT INTO orgs.other VALUES (4711);
SELECT count(*) AS planted FROM tenancy.tenants WHERE key = '4711';
SELECT tenancy.detach_tenants(), tenancy.detach_tenants() AS again;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'orgs.o'::regclass AND NOT tgisinternal;
DROP TABLE orgs.docs, orgs.notes, orgs.o, orgs.other;
DELETE FROM tenancy.tenants;

-- A uuid is the tenant's id; a text is its key, and if it looks like a uuid its id too; an integer like a bigint.
CREATE TABLE orgs.u (id uuid PRIMARY KEY, title text);
INSERT INTO orgs.u VALUES ('a77a0000-0000-4000-9000-000000000001', 'U'), ('a77a0000-0000-4000-9000-000000000002', 'V');
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('a77a0000-0000-4000-9000-000000000001', 'there', 'There');
SELECT tenancy.attach_tenants('orgs.u', name_column => 'title');
INSERT INTO orgs.u VALUES ('a77a0000-0000-4000-9000-000000000003', 'W');
SELECT test.attempt(NULL, $$INSERT INTO orgs.u VALUES (tenancy.nil(), 'nil')$$);
SELECT id, key, slug, name FROM tenancy.tenants ORDER BY id;
DELETE FROM orgs.u WHERE title IN ('U', 'W');
SELECT id FROM tenancy.tenants;
SELECT tenancy.detach_tenants();
DELETE FROM tenancy.tenants;
CREATE TABLE orgs.t (code text UNIQUE, n int UNIQUE);
SELECT tenancy.attach_tenants('orgs.t', 'code');
INSERT INTO orgs.t (code) VALUES ('north'), (NULL), ('Größe "1"'), ('a77a0000-0000-4000-9000-000000000009');
SELECT test.attempt(NULL, $$INSERT INTO orgs.t (code) VALUES ('')$$), test.attempt(NULL, $$INSERT INTO orgs.t (code) VALUES (repeat('x', 201))$$);
UPDATE orgs.t SET code = 'was null' WHERE code IS NULL;
SELECT key, slug, name, id::text = key AS is_id FROM tenancy.tenants ORDER BY key COLLATE "C";
SELECT tenancy.detach_tenants();
DELETE FROM tenancy.tenants;
UPDATE orgs.t SET n = -7 WHERE code = 'north';
SELECT tenancy.attach_tenants('orgs.t', 'n');
SELECT key, key_number, slug FROM tenancy.tenants;
SELECT tenancy.detach_tenants();
DELETE FROM tenancy.tenants;
DROP SCHEMA orgs CASCADE;
