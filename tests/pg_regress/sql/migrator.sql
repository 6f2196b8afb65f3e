-- Who owns protected tables and migrates them: policies bind him, and row_security = off makes that loud (docs/guides/migration_tools.md).
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE migrator_owner LOGIN;
CREATE ROLE migrator_all BYPASSRLS;
GRANT migrator_owner TO migrator_all;
CREATE SCHEMA migrator AUTHORIZATION migrator_owner;
SET search_path = migrator;
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('316a0000-0000-0000-0000-00000000000a', 'migrator-a', 'A'), ('316a0000-0000-0000-0000-00000000000b', 'migrator-b', 'B');
SET ROLE migrator_owner;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text, size int);
INSERT INTO docs SELECT n, format('316a0000-0000-0000-0000-00000000000%s', CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END)::uuid, 'x', n FROM generate_series(1, 10) n;
RESET ROLE;
SELECT tenancy.protect_table('docs', resource => 'migrator');
SELECT relforcerowsecurity FROM pg_class WHERE oid = 'docs'::regclass;

-- By default the data migration succeeds and does nothing.
SET ROLE migrator_owner;
SHOW row_security;
\set QUIET off
UPDATE docs SET title = upper(title);
DELETE FROM docs WHERE size > 5;
\set QUIET on
SELECT count(*) FROM docs;
COPY docs TO stdout;
-- Nor does a new foreign key see the rows that it should check.
CREATE TABLE sizes (id int PRIMARY KEY);
ALTER TABLE docs ADD CONSTRAINT docs_size FOREIGN KEY (size) REFERENCES sizes;
RESET ROLE;
SELECT convalidated FROM pg_constraint WHERE conname = 'docs_size';
ALTER TABLE docs DROP CONSTRAINT docs_size;
SELECT title, count(*) FROM docs GROUP BY 1;

-- The role's setting makes it an error. It is read at login: SET ROLE does not take it.
ALTER ROLE migrator_owner SET row_security = off;
SET ROLE migrator_owner;
SHOW row_security;
RESET ROLE;
\set admin :USER
\c - migrator_owner
SET search_path = migrator;
\set SHOW_CONTEXT never
SHOW row_security;
DO $$
DECLARE
    command text;
BEGIN
    FOREACH command IN ARRAY ARRAY[
        'UPDATE docs SET title = upper(title)',
        'DELETE FROM docs WHERE size > 5',
        'SELECT count(*) FROM docs',
        'SELECT FROM docs LIMIT 0',
        'INSERT INTO docs (id) VALUES (11)',
        'INSERT INTO docs (id, tenant_id) VALUES (11, ''316a0000-0000-0000-0000-00000000000a'')',
        'INSERT INTO docs SELECT WHERE false',
        'CREATE TABLE copied AS SELECT * FROM docs',
        -- What a migration does to the table itself.
        'ALTER TABLE docs ADD COLUMN lang text DEFAULT ''en'' NOT NULL',
        'ALTER TABLE docs ADD COLUMN stamp text DEFAULT clock_timestamp()::text',
        'CREATE INDEX docs_size ON docs (size)',
        'CREATE INDEX docs_title ON docs (lower(title)) WHERE size > 1',
        'ALTER TABLE docs ALTER COLUMN size TYPE bigint USING size * 2',
        'ALTER TABLE docs ADD CONSTRAINT size_given CHECK (size > 0)',
        'ALTER TABLE docs ALTER COLUMN title SET NOT NULL',
        'CREATE TABLE notes (id int PRIMARY KEY, doc_id int REFERENCES docs)',
        'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES docs',
        'ALTER TABLE docs ADD FOREIGN KEY (size) REFERENCES sizes',
        'ALTER TABLE docs ADD FOREIGN KEY (size) REFERENCES sizes NOT VALID',
        'ALTER TABLE docs VALIDATE CONSTRAINT docs_size_fkey',
        'ALTER TABLE docs DROP CONSTRAINT docs_size_fkey',
        'ALTER TABLE docs ADD COLUMN parent int REFERENCES docs',
        'ALTER TABLE docs DROP COLUMN stamp',
        'ALTER TABLE docs ADD CONSTRAINT known_size FOREIGN KEY (size) REFERENCES sizes NOT VALID'] LOOP
        BEGIN
            EXECUTE command;
            RAISE NOTICE 'done: %', command;
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE '% %: %', SQLSTATE, SQLERRM, command;
        END;
    END LOOP;
END
$$;
COPY docs TO stdout;
COPY (SELECT id FROM docs) TO stdout;
COPY docs (id) FROM stdin;
\.
-- TRUNCATE is no matter of policies.
BEGIN;
TRUNCATE docs, notes;
ROLLBACK;
\c - :admin
SET search_path = migrator;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
-- What the ALTER TABLEs made of all rows, of both tenants.
SELECT tenant_id, count(*), sum(size), min(lang) FROM docs GROUP BY 1 ORDER BY 1;

-- Data is migrated by a role that policies do not bind, with the setting or without;
SET ROLE migrator_all;
SET row_security = off;
\set QUIET off
UPDATE docs SET title = upper(title);
\set QUIET on
SELECT tenant_id, title, count(*) FROM docs GROUP BY 1, 2 ORDER BY 1, 2;
-- foreign keys, which the owner adds unchecked, are checked by it: it sees the rows;
\set VERBOSITY terse
ALTER TABLE docs VALIDATE CONSTRAINT known_size;
INSERT INTO sizes SELECT size FROM docs;
ALTER TABLE docs VALIDATE CONSTRAINT known_size;
ALTER TABLE notes ADD CONSTRAINT doc_is_there FOREIGN KEY (id) REFERENCES docs;
\set VERBOSITY default
SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('known_size', 'doc_is_there') ORDER BY 1;
RESET row_security;
RESET ROLE;
-- or tenant by tenant, by one who may enter them: with policies, so with row_security = on.
SELECT tenancy.enable_role('migrator_owner');
SELECT tenancy.create_role('migrator', '{migrator.*}') IS NOT NULL AS created;
SELECT tenancy.allow_database_role('migrator_owner', '{migrator}');
SET ROLE migrator_owner;
DO $$
DECLARE
    entered uuid;
    changed bigint;
BEGIN
    FOR entered IN SELECT t.id FROM tenancy.enterable_tenants() t WHERE t.slug LIKE 'migrator-_' ORDER BY t.slug LOOP
        PERFORM tenancy.enter_tenant(entered);
        UPDATE migrator.docs SET title = lower(title);
        GET DIAGNOSTICS changed = ROW_COUNT;
        RAISE WARNING '% rows of %', changed, entered;
    END LOOP;
END
$$;
BEGIN;
SET LOCAL row_security = off;
SELECT tenancy.enter_tenant('316a0000-0000-0000-0000-00000000000a');
\set VERBOSITY sqlstate
UPDATE docs SET title = upper(title);
ROLLBACK;
RESET ROLE;
SELECT tenant_id, title, count(*) FROM docs GROUP BY 1, 2 ORDER BY 1, 2;
\set VERBOSITY default
-- Without FORCE the owner is not bound at all.
SELECT tenancy.protect_table('docs', resource => 'migrator', force => false);
SET ROLE migrator_owner;
SET row_security = off;
SELECT count(*) FROM docs;
RESET ROLE;
RESET row_security;

SELECT tenancy.disallow_database_role('migrator_owner');
SELECT tenancy.unprotect_table('docs');
DROP SCHEMA migrator CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'migrator-_';
SELECT tenancy.disable_role('migrator_owner');
SELECT tenancy.drop_role('migrator', cascade => true);
DROP ROLE migrator_all, migrator_owner;
