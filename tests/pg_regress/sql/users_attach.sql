-- Attaching a host's users table, of whatever shape, and letting go of it.
\set SHOW_CONTEXT never
CREATE SCHEMA host;
CREATE FUNCTION pg_temp.refused(command text, db_role text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text; found_detail text; found_hint text;
BEGIN
    IF db_role IS NOT NULL THEN
        PERFORM set_config('role', db_role, true);
    END IF;
    EXECUTE command INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN 'not refused: ' || coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_detail = PG_EXCEPTION_DETAIL, found_hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, 'DETAIL ' || nullif(found_detail, ''), 'HINT ' || nullif(found_hint, ''));
END
$$;
-- What of ours stands in the catalogs, and in the host's schema at all.
CREATE FUNCTION pg_temp.catalog() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('trigger %s on %s %s', tgname, tgrelid::regclass, tgenabled) FROM pg_trigger
     WHERE NOT tgisinternal AND (tgrelid::regclass::text LIKE 'host.%' OR tgrelid::regclass::text LIKE 'tenancy.%')
    UNION ALL
    SELECT format('constraint %s on %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
     WHERE connamespace IN ('host'::regnamespace, 'tenancy'::regnamespace)
    UNION ALL
    SELECT format('column %s of %s %s', attname, attrelid::regclass, atttypid::regtype) FROM pg_attribute
     WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('host'::regnamespace, 'tenancy'::regnamespace) AND relkind IN ('r', 'p', 'i')) AND attnum > 0
    UNION ALL
    SELECT format('acl of %s %s', oid::regclass, relacl) FROM pg_class WHERE relnamespace IN ('host'::regnamespace, 'tenancy'::regnamespace)
    UNION ALL
    SELECT format('function %s', oid::regprocedure) FROM pg_proc WHERE pronamespace IN ('host'::regnamespace, 'tenancy'::regnamespace)
    UNION ALL
    SELECT format('depends %s', pg_describe_object(classid, objid, objsubid)) FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_tenancy')
$$;

-- Nothing attached, no auth.users.
SELECT tenancy.detach_users() AS nothing_to_detach;
SELECT pg_temp.refused('SELECT tenancy.attach_users()');
SELECT pg_temp.refused('SELECT tenancy.attach_users(NULL)');
SELECT pg_temp.refused('SELECT tenancy.sync_claims()');

-- What is no users table.
CREATE TABLE host.plain (id uuid PRIMARY KEY, email text);
CREATE VIEW host.a_view AS SELECT * FROM host.plain;
CREATE MATERIALIZED VIEW host.a_matview AS SELECT * FROM host.plain;
CREATE TEMP TABLE a_temp (id uuid PRIMARY KEY);
CREATE TABLE host.no_key (id uuid, email text);
CREATE TABLE host.partial (id uuid); CREATE UNIQUE INDEX ON host.partial (id) WHERE id IS NOT NULL;
CREATE TABLE host.late (id uuid UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE host.wide (id uuid, more int, UNIQUE (id, more));
CREATE TABLE host.expression (id uuid); CREATE UNIQUE INDEX ON host.expression ((id::text));
CREATE TABLE host.numbers (id bigint PRIMARY KEY);
CREATE DOMAIN host.user_id AS uuid;
CREATE TABLE host.domain_id (id host.user_id PRIMARY KEY);
SELECT users, pg_temp.refused(format('SELECT tenancy.attach_users(%L)', users)) FROM unnest(ARRAY[
    'host.a_view', 'host.a_matview', 'a_temp', 'tenancy.members', 'host.no_key', 'host.partial', 'host.late', 'host.wide', 'host.expression',
    'host.numbers', 'host.domain_id', 'host.absent', 'pg_catalog.pg_class', '0', 'host.no_key_no_key']) users;
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain', id_column => 'uid')$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain', id_column => 'email')$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain', id_column => 'ctid')$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain', id_column => NULL)$$);

-- Columns whose type does not fit.
CREATE TABLE host.odd (id uuid PRIMARY KEY, email bytea, email_confirmed_at int, raw_app_meta_data json, raw_user_meta_data text);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.odd')$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.odd', email_column => NULL)$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.odd', email_column => NULL, email_confirmed_column => NULL)$$);
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.odd', email_column => NULL, email_confirmed_column => NULL, app_metadata_column => NULL)$$);
SELECT count(*) AS attached_by_a_refusal FROM tenancy.users_table;

-- Who is no administrator attaches, detaches and synchronises nothing.
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'attach_service') THEN CREATE ROLE attach_service NOLOGIN BYPASSRLS; END IF; END $$;
SELECT tenancy.enable_role('attach_service');
SELECT r, pg_temp.refused(command, r) FROM unnest(ARRAY['anon', 'authenticated', 'attach_service']) r, unnest(ARRAY[
    $$SELECT tenancy.attach_users('host.plain')$$, 'SELECT tenancy.detach_users()', 'SELECT tenancy.sync_claims()',
    $$SELECT tenancy.sync_users('{}')$$, $$SELECT tenancy.queued_users(NULL, 1)$$, $$SELECT count(*) FROM tenancy.projected_claims('{}')$$,
    $$SELECT tenancy.record_failure('x', NULL, 'x', 'x')$$, $$SELECT count(*) FROM tenancy.users_table$$, $$SELECT count(*) FROM tenancy.claims_queue$$,
    $$SELECT count(*) FROM tenancy.sync_failures$$, $$INSERT INTO tenancy.users_table (relation, id_column) VALUES ('host.plain', 'id') RETURNING 1$$]) command;

-- The smallest table there is: everything optional off, with a word on each.
CREATE TEMP TABLE before AS SELECT c FROM pg_temp.catalog() c;
SELECT tenancy.attach_users('host.plain');
SELECT relation, id_column, email_column, email_confirmed_column, app_metadata_column, user_metadata_column FROM tenancy.users_table;
SELECT c FROM pg_temp.catalog() c EXCEPT SELECT c FROM before ORDER BY 1;
SELECT tenancy.attach_users('host.plain') AS again;
SELECT pg_temp.refused('SELECT tenancy.sync_claims()');
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.odd')$$);
SELECT tenancy.detach_users(), tenancy.detach_users() AS again;
(SELECT c FROM pg_temp.catalog() c EXCEPT SELECT c FROM before) UNION ALL (SELECT c FROM before EXCEPT SELECT c FROM pg_temp.catalog() c) ORDER BY 1;

-- A table of another shape, with names that need quotes, and types that are as good as those expected.
CREATE EXTENSION citext SCHEMA host;
CREATE DOMAIN host.metadata AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE TABLE host."Us""ers %s" ("the id" uuid UNIQUE, "E'mail" host.citext, confirmed boolean, "app""meta %I" jsonb, "user meta" jsonb);
-- A domain's check, or a cast of another type's, would run with our rights.
CREATE TABLE host.with_domain (id uuid PRIMARY KEY, raw_app_meta_data host.metadata);
SELECT tenancy.attach_users('host.with_domain');
DROP TABLE host.with_domain;
SELECT tenancy.attach_users('host."Us""ers %s"', 'the id', 'E''mail', 'confirmed', 'app"meta %I', 'user meta');
SELECT c FROM pg_temp.catalog() c EXCEPT SELECT c FROM before WHERE c NOT LIKE '%host.citext%' AND c NOT LIKE 'function host.%' EXCEPT SELECT c FROM pg_temp.catalog() c WHERE c LIKE 'function host.%' OR c LIKE 'column %' OR c LIKE 'acl%' ORDER BY 1;
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('7e000000-0000-0000-0000-0000000000a1', 'attach-a', 'A');
INSERT INTO host."Us""ers %s" ("the id", "app""meta %I") VALUES ('5e000000-0000-0000-0000-0000000000a1', '{"perms":["all"],"own":1}'), (NULL, '{"perms":["all"]}');
SELECT tenancy.add_member('7e000000-0000-0000-0000-0000000000a1', '5e000000-0000-0000-0000-0000000000a1');
SELECT pg_temp.refused($$SELECT tenancy.add_member('7e000000-0000-0000-0000-0000000000a1', '5e000000-0000-0000-0000-0000000000ff')$$);
SELECT "the id", "app""meta %I" FROM host."Us""ers %s" ORDER BY 1;
SELECT tenancy.sync_claims();
UPDATE host."Us""ers %s" SET "app""meta %I" = '{"perms":["all"],"own":2}' WHERE "the id" IS NOT NULL;
SELECT "app""meta %I" FROM host."Us""ers %s" WHERE "the id" IS NOT NULL;
-- Renamed: the table is still known; columns have to be named again.
ALTER TABLE host."Us""ers %s" RENAME TO "select";
SELECT tenancy.set_member_status('7e000000-0000-0000-0000-0000000000a1', '5e000000-0000-0000-0000-0000000000a1', 'suspended');
SELECT "app""meta %I" FROM host."select" ORDER BY "the id";
ALTER TABLE host."select" RENAME "app""meta %I" TO app_metadata;
UPDATE host."select" SET app_metadata = '{"perms":["all"]}' WHERE "the id" IS NOT NULL;
SELECT app_metadata AS what_the_administrator_is_told_of, what, sqlstate, message FROM host."select" LEFT JOIN tenancy.sync_failures ON true WHERE "the id" IS NOT NULL;
SELECT tenancy.attach_users('host."select"', 'the id', 'E''mail', 'confirmed', 'app_metadata', 'user meta');
SELECT tenancy.sync_claims();
SELECT app_metadata FROM host."select" WHERE "the id" IS NOT NULL;
ALTER TABLE host."select" RENAME "the id" TO user_id;
UPDATE host."select" SET app_metadata = '{"perms":["all"]}' WHERE user_id IS NOT NULL;
SELECT app_metadata AS what_the_administrator_is_told_of, what, sqlstate, message FROM host."select" LEFT JOIN tenancy.sync_failures f ON true WHERE "select".user_id IS NOT NULL;
ALTER TABLE host."select" RENAME user_id TO "the id";
SELECT tenancy.detach_users();
DELETE FROM host."select" WHERE "the id" IS NOT NULL;
SELECT count(*) AS members_of_who_is_deleted_after_detach FROM tenancy.members WHERE tenant_id = '7e000000-0000-0000-0000-0000000000a1';
-- Orphans refuse the foreign key, and the hint lists them.
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain')$$);
SELECT count(*) AS attached_by_a_refusal FROM tenancy.users_table;
DELETE FROM tenancy.members WHERE tenant_id = '7e000000-0000-0000-0000-0000000000a1';

-- GoTrue's columns; a string of limited length is as good as text.
CREATE TABLE host.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb, other text);
SELECT tenancy.attach_users('host.users');
SELECT tenancy.attach_users('host.users') AS again;
SELECT relation, id_column, email_column, email_confirmed_column, app_metadata_column, user_metadata_column FROM tenancy.users_table;
-- Other columns: stored, and the trigger watches the new one.
ALTER TABLE host.users ADD COLUMN claims jsonb;
SELECT tenancy.attach_users('host.users', app_metadata_column => 'claims') AS changed;
SELECT c FROM pg_temp.catalog() c WHERE c LIKE 'trigger%on host.users%';
INSERT INTO host.users (id, raw_app_meta_data, claims) VALUES ('5e000000-0000-0000-0000-0000000000a1', '{"perms":["all"]}', '{"perms":["all"]}');
SELECT raw_app_meta_data, claims FROM host.users;
SELECT tenancy.attach_users('host.users', app_metadata_column => 'no_such_column') AS changed;
SELECT c FROM pg_temp.catalog() c WHERE c LIKE 'trigger%on host.users%';
SELECT tenancy.attach_users('host.users') AS changed;
-- A trigger that somebody dropped, and one that somebody disabled.
DROP TRIGGER "~pg_tenancy_claims" ON host.users;
SELECT tenancy.attach_users('host.users') AS repaired;
ALTER TABLE tenancy.members DROP CONSTRAINT members_user_id_fkey;
SELECT tenancy.attach_users('host.users') AS repaired;
ALTER TABLE host.users DISABLE TRIGGER "~pg_tenancy_claims", DISABLE TRIGGER "~pg_tenancy_cleanup";
SELECT tenancy.attach_users('host.users') AS repaired;
SELECT c FROM pg_temp.catalog() c WHERE c LIKE 'trigger%on host.users%';
ALTER TABLE host.users ENABLE TRIGGER ALL;

-- A user who is deleted takes along what he had; also after a restore, which does not bring the foreign keys back.
CREATE FUNCTION pg_temp.people() RETURNS void LANGUAGE sql AS $$
    DELETE FROM host.users;
    INSERT INTO host.users (id) SELECT ('5e000000-0000-0000-0000-0000000000a' || n)::uuid FROM generate_series(1, 4) n;
    INSERT INTO tenancy.members (tenant_id, user_id) SELECT '7e000000-0000-0000-0000-0000000000a1', id FROM host.users;
    INSERT INTO tenancy.operators (user_id, access, reason) SELECT id, 'read', 'test' FROM host.users;
    INSERT INTO tenancy.active_tenants (user_id, tenant_id) SELECT id, '7e000000-0000-0000-0000-0000000000a1' FROM host.users;
    INSERT INTO tenancy.sync_failures (what, user_id, sqlstate, message) SELECT 'claims', id, 'XX000', 'x' FROM host.users;
$$;
CREATE FUNCTION pg_temp.left_over() RETURNS TABLE (users bigint, members bigint, operators bigint, choices bigint, failures bigint) LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM host.users), (SELECT count(*) FROM tenancy.members WHERE tenant_id = '7e000000-0000-0000-0000-0000000000a1'),
           (SELECT count(*) FROM tenancy.operators WHERE user_id::text LIKE '5e0%a_'), (SELECT count(*) FROM tenancy.active_tenants WHERE user_id::text LIKE '5e0%a_'),
           (SELECT count(*) FROM tenancy.sync_failures)
$$;
SELECT pg_temp.people();
SELECT * FROM pg_temp.left_over();
DELETE FROM host.users WHERE id < '5e000000-0000-0000-0000-0000000000a3';
SELECT * FROM pg_temp.left_over();
DELETE FROM host.users WHERE false;
SELECT * FROM pg_temp.left_over();
SELECT pg_temp.people();
ALTER TABLE tenancy.members DROP CONSTRAINT members_user_id_fkey;
ALTER TABLE tenancy.operators DROP CONSTRAINT operators_user_id_fkey;
-- By the host's own role, which has no rights in schema tenancy.
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'attach_host') THEN CREATE ROLE attach_host NOLOGIN; END IF; END $$;
GRANT USAGE ON SCHEMA host TO attach_host;
GRANT SELECT, INSERT, UPDATE, DELETE ON host.users TO attach_host;
SET ROLE attach_host;
DELETE FROM host.users WHERE id < '5e000000-0000-0000-0000-0000000000a3';
UPDATE host.users SET raw_app_meta_data = '{"perms":["all"],"provider":"email"}';
INSERT INTO host.users (id, raw_app_meta_data) VALUES ('5e000000-0000-0000-0000-0000000000a9', '{"tenant_access":"write"}');
SELECT id, raw_app_meta_data FROM host.users ORDER BY id;
RESET ROLE;
SELECT * FROM pg_temp.left_over();
-- With the foreign keys TRUNCATE is refused unless it cascades.
SELECT tenancy.attach_users('host.users') AS repaired;
TRUNCATE host.users;
SET client_min_messages = warning;
TRUNCATE host.users CASCADE;
RESET client_min_messages;
SELECT * FROM pg_temp.left_over();
SELECT tenancy.detach_users();
SELECT c FROM pg_temp.catalog() c WHERE c LIKE '%host.users%' OR c LIKE '%user_id_fkey%' ORDER BY 1;

-- A partitioned table: rows of a partition that is addressed directly are kept and cleaned up as well.
CREATE TABLE host.many (id uuid PRIMARY KEY, raw_app_meta_data jsonb) PARTITION BY HASH (id);
CREATE TABLE host.many_0 PARTITION OF host.many FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE host.many_1 PARTITION OF host.many FOR VALUES WITH (MODULUS 2, REMAINDER 1);
DELETE FROM tenancy.operators WHERE user_id::text LIKE '5e0%a_';
DELETE FROM tenancy.sync_failures;
SET client_min_messages = warning;
SELECT tenancy.attach_users('host.many');
RESET client_min_messages;
INSERT INTO host.many SELECT ('5e000000-0000-0000-0000-0000000000a' || n)::uuid, '{"perms":["all"],"own":1}' FROM generate_series(1, 4) n;
INSERT INTO tenancy.members (tenant_id, user_id) SELECT '7e000000-0000-0000-0000-0000000000a1', id FROM host.many;
UPDATE host.many_0 SET raw_app_meta_data = '{"perms":["forged"]}';
UPDATE host.many_1 SET raw_app_meta_data = '{"perms":["forged"]}';
SELECT raw_app_meta_data, count(*) FROM host.many GROUP BY 1;
DELETE FROM host.many_0;
DELETE FROM host.many_1;
SELECT count(*) AS members FROM tenancy.members WHERE tenant_id = '7e000000-0000-0000-0000-0000000000a1';
SELECT tenancy.attach_users('host.many') AS again;
SELECT tenancy.detach_users();
SELECT count(*) AS left_behind FROM pg_trigger WHERE tgname LIKE '~pg%';

-- Trigger functions in the wrong place refuse, and do not read a row that is not there.
CREATE TABLE host.misused (id uuid, raw_app_meta_data jsonb);
SET client_min_messages = warning;
DO $$
DECLARE
    wrong text;
BEGIN
    FOREACH wrong IN ARRAY ARRAY['AFTER INSERT ON host.misused FOR EACH STATEMENT EXECUTE FUNCTION tenancy.keep_claims(''id'', ''raw_app_meta_data'')',
                                 'AFTER INSERT ON host.misused FOR EACH ROW EXECUTE FUNCTION tenancy.keep_claims(''id'', ''raw_app_meta_data'')',
                                 'BEFORE INSERT ON host.misused FOR EACH ROW EXECUTE FUNCTION tenancy.project_claims()',
                                 'BEFORE INSERT ON host.misused FOR EACH STATEMENT EXECUTE FUNCTION tenancy.project_holders()'] LOOP
        EXECUTE 'CREATE TRIGGER wrong ' || wrong;
        RAISE WARNING '%', pg_temp.refused('INSERT INTO host.misused VALUES (gen_random_uuid(), ''{}'')');
        DROP TRIGGER wrong ON host.misused;
    END LOOP;
END
$$;
RESET client_min_messages;
DROP TABLE host.misused;

-- Dropped while attached: what is left can be detached, and another attached.
CREATE TABLE host.gone (id uuid PRIMARY KEY, raw_app_meta_data jsonb);
SET client_min_messages = warning;
SELECT tenancy.attach_users('host.gone');
DROP TABLE host.gone;
DROP TABLE host.gone CASCADE;
RESET client_min_messages;
SELECT tenancy.add_member('7e000000-0000-0000-0000-0000000000a1', '5e000000-0000-0000-0000-0000000000a1') AS tables_work_on;
SELECT pg_temp.refused('SELECT tenancy.sync_claims()');
SELECT regexp_replace(pg_temp.refused($$SELECT tenancy.attach_users('host.plain')$$), 'table \d+', 'table N');
SELECT tenancy.detach_users();
SELECT pg_temp.refused($$SELECT tenancy.attach_users('host.plain')$$);
SELECT tenancy.remove_member('7e000000-0000-0000-0000-0000000000a1', '5e000000-0000-0000-0000-0000000000a1');

-- An attached table holds the extension; detached, it does not know it any more.
SET client_min_messages = warning;
SELECT tenancy.attach_users('host.users');
BEGIN;
SELECT pg_temp.refused('DROP EXTENSION pg_tenancy');
SELECT tenancy.detach_users();
DROP EXTENSION pg_tenancy;
SELECT count(*) AS left_behind FROM pg_trigger WHERE tgname LIKE '~pg%';
INSERT INTO host.users (id) VALUES ('5e000000-0000-0000-0000-0000000000b1');
DELETE FROM host.users;
ROLLBACK;
-- Only its own triggers go: those that protect and count other tables stay.
CREATE TABLE host.docs (tenant_id uuid);
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('ua.rows', 'rows', 'gauge', 'none');
SELECT tenancy.protect_table('host.docs', resource => 'ua_docs', quota => 'ua.rows');
SELECT tenancy.detach_users();
SELECT tgname FROM pg_trigger WHERE tgrelid = 'host.docs'::regclass AND NOT tgisinternal ORDER BY 1;
DROP TABLE host.docs;
DELETE FROM tenancy.meters WHERE name = 'ua.rows';
DELETE FROM tenancy.permissions WHERE name LIKE 'ua_docs.%';
RESET client_min_messages;
-- Left as found, for the files after this one.
SELECT tenancy.drop_tenant('7e000000-0000-0000-0000-0000000000a1'), tenancy.disable_role('attach_service');
SET client_min_messages = warning;
DROP SCHEMA host CASCADE;
DROP ROLE attach_service, attach_host;
