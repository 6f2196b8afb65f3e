-- Owners of host tables who are no administrators, and code of theirs that our functions come to run: it never has our
-- rights, nor the administrator's, and never changes what goes on after it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE hostile_owner; CREATE ROLE hostile_app; CREATE SCHEMA hostile AUTHORIZATION hostile_owner; GRANT USAGE ON SCHEMA hostile TO PUBLIC;
SELECT tenancy.enable_role('hostile_app');
SELECT tenancy.create_role('hostile_viewer') IS NOT NULL AS made;
SELECT tenancy.create_tenant('hostile-a', owner => NULL) AS a \gset
CREATE TABLE hostile.climbed (how text, by name DEFAULT current_user); GRANT INSERT ON hostile.climbed TO PUBLIC;
CREATE FUNCTION pg_temp.gained() RETURNS TABLE (super boolean, beyond text[]) LANGUAGE sql AS $$
    SELECT r.rolsuper, ARRAY(SELECT DISTINCT how || ' as ' || CASE WHEN by IN ('hostile_owner', 'hostile_app') THEN by ELSE 'an administrator' END FROM hostile.climbed ORDER BY 1)
      FROM pg_roles r WHERE rolname = 'hostile_owner' $$;
SET ROLE hostile_owner;
CREATE FUNCTION hostile.climb(how text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hostile.climbed VALUES (how);
    BEGIN
        EXECUTE 'ALTER ROLE hostile_owner SUPERUSER';
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    RETURN true;
END $$;
-- A staged rollout: what the backfill names is replaced while it lasts.
CREATE TABLE hostile.docs (id int PRIMARY KEY, org int); CREATE TABLE hostile.orgs (id int PRIMARY KEY, tid uuid);
INSERT INTO hostile.docs VALUES (1, 1); INSERT INTO hostile.orgs VALUES (1, :'a');
RESET ROLE;
SELECT string_agg(s, E'\n') AS begun
  FROM (SELECT s FROM regexp_split_to_table(tenancy.protect_table_sql('hostile.docs', resource => 'hostile', add_column => true,
                      backfill => '(SELECT o.tid FROM hostile.orgs o WHERE o.id = docs.org)', staged => true), '(?n)(?=^-- [0-9]+\. )') WITH ORDINALITY x (s, n)
         WHERE s LIKE '-- %' AND n <= 4 ORDER BY n) y \gset
:begun
SELECT tgname FROM pg_trigger WHERE tgrelid = 'hostile.docs'::regclass AND NOT tgisinternal ORDER BY 1;
SET ROLE hostile_owner;
ALTER TABLE hostile.orgs RENAME TO orgs_real;
CREATE FUNCTION hostile.fill() RETURNS uuid LANGUAGE sql AS $$ SELECT NULL::uuid FROM hostile.climb('fill') $$;
CREATE VIEW hostile.orgs AS SELECT id, coalesce(hostile.fill(), tid) AS tid FROM hostile.orgs_real;
INSERT INTO hostile.docs (id, org) VALUES (2, 1);
-- As a cast of its rows.
CREATE FUNCTION hostile.cast_docs(hostile.docs) RETURNS text LANGUAGE sql AS $$ SELECT 'x' FROM hostile.climb('cast') $$;
CREATE CAST (hostile.docs AS text) WITH FUNCTION hostile.cast_docs(hostile.docs);
INSERT INTO hostile.docs (id, org) VALUES (4, 1);
-- As the type of the column, too.
ALTER TABLE hostile.docs RENAME tenant_id TO tenant_real;
CREATE DOMAIN hostile.tenant AS uuid CHECK (hostile.climb('type'));
ALTER TABLE hostile.docs ADD COLUMN tenant_id hostile.tenant;
INSERT INTO hostile.docs (id, org) VALUES (3, 1);
RESET ROLE;
SELECT id, tenant_real = :'a' AS filled FROM hostile.docs ORDER BY id;
SELECT * FROM pg_temp.gained();
DELETE FROM hostile.climbed;
-- What fills the rows there are fires his triggers, and what these defer: as he, whose expression it is not.
SET ROLE hostile_owner;
CREATE FUNCTION hostile.on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM hostile.climb(lower(TG_ARGV[0] || ' ' || TG_WHEN || ' ' || TG_LEVEL)); RETURN NEW; END $$;
CREATE FUNCTION hostile.write_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hostile.deferring VALUES (1); RETURN NEW; END $$;
CREATE FUNCTION hostile.on_defer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO hostile.deferring VALUES (1); RETURN NEW; END $$;
CREATE TABLE hostile.deferring (id int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON hostile.deferring DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hostile.on_write('elsewhere');
CREATE FUNCTION hostile.make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE hostile.%1$I (id int PRIMARY KEY, org int, tenant_id uuid, CHECK (hostile.climb(%1$L || '' check'')));
        CREATE TRIGGER before_row BEFORE UPDATE ON hostile.%1$I FOR EACH ROW EXECUTE FUNCTION hostile.on_write(%1$L);
        CREATE TRIGGER after_statement AFTER UPDATE ON hostile.%1$I EXECUTE FUNCTION hostile.on_write(%1$L);
        CREATE TRIGGER other BEFORE UPDATE ON hostile.%1$I FOR EACH ROW EXECUTE FUNCTION hostile.write_other();
        INSERT INTO hostile.%1$I VALUES (1, 7001), (2, 7001), (3, 7002);', name);
    IF name <> 'at_once' THEN
        EXECUTE format('CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON hostile.%1$I DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hostile.on_write(%1$L)', name);
    END IF;
END $$;
SELECT hostile.make(n) FROM unnest('{at_once,staged,lines,shared,escaping,locked}'::text[]) n;
RESET ROLE;
DELETE FROM hostile.climbed;
UPDATE tenancy.tenants SET key = '7001' WHERE slug = 'hostile-a';
SELECT tenancy.create_tenant('hostile-b', owner => NULL, key => '7002') AS b \gset
\set by_key '''(SELECT t.id FROM tenancy.tenants t WHERE t.key_number = org)'''
CREATE FUNCTION pg_temp.climbers(OUT super boolean, OUT climbers name[], OUT ran text[]) LANGUAGE sql AS $$
    SELECT r.rolsuper, ARRAY(SELECT DISTINCT by FROM hostile.climbed ORDER BY 1), ARRAY(SELECT DISTINCT how FROM hostile.climbed ORDER BY 1) FROM pg_roles r WHERE rolname = 'hostile_owner' $$;
SELECT tenancy.protect_table('hostile.at_once', resource => 'hostile', backfill => :by_key);
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
-- He may not read what it reads, and need not: here a table of somebody else's.
CREATE TABLE parents (id int PRIMARY KEY, tenant_id uuid); INSERT INTO parents VALUES (7001, :'a'), (7002, :'b');
SELECT tenancy.protect_table('parents', resource => 'hostile'), tenancy.protect_table('hostile.lines', resource => 'hostile', backfill_from => 'public.parents(org)');
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
-- The tenant of rows that were shared, which our trigger keeps, too.
SET ROLE hostile_owner;
DELETE FROM hostile.shared WHERE id = 3; UPDATE hostile.shared SET tenant_id = :'a' WHERE id = 2;
RESET ROLE;
DELETE FROM hostile.climbed;
SELECT tenancy.protect_table('hostile.shared', resource => 'hostile', shared => 'read'), tenancy.protect_table('hostile.shared', resource => 'hostile', backfill => :'b');
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
SET ROLE hostile_owner;
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
ALTER TABLE hostile.shared NO FORCE ROW LEVEL SECURITY;
UPDATE hostile.shared SET tenant_id = :'a' WHERE id = 1;
ROLLBACK;
RESET ROLE;
DELETE FROM hostile.climbed;
-- In stages.
SELECT tenancy.protect_table_sql('hostile.staged', resource => 'hostile', backfill => 'org', staged => true) AS script \gset
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'script', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n > 1 ORDER BY n \gexec
\set ECHO all
\o
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
-- And as a migration executes it.
SELECT tenancy.protect_table_sql('hostile.locked', resource => 'hostile', backfill => :by_key) AS script \gset
:script
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
-- Partitions of an owner who is not the table's.
CREATE TABLE hostile.mixed (id int, org int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE hostile.mixed_1 PARTITION OF hostile.mixed FOR VALUES FROM (0) TO (10); CREATE TABLE hostile.mixed_2 PARTITION OF hostile.mixed FOR VALUES FROM (10) TO (20);
INSERT INTO hostile.mixed VALUES (1, 7001), (11, 7002);
ALTER TABLE hostile.mixed_1 OWNER TO hostile_owner;
SET ROLE hostile_owner;
CREATE TRIGGER before_row BEFORE UPDATE ON hostile.mixed_1 FOR EACH ROW EXECUTE FUNCTION hostile.on_write('partition');
RESET ROLE;
SELECT tenancy.protect_table('hostile.mixed', resource => 'hostile', backfill => :by_key);
SELECT * FROM pg_temp.climbers(); DELETE FROM hostile.climbed;
-- A trigger cannot put off anything to where the administrator's rights are.
SET ROLE hostile_owner;
CREATE TRIGGER defers BEFORE UPDATE ON hostile.escaping FOR EACH ROW EXECUTE FUNCTION hostile.on_defer();
RESET ROLE;
SELECT test.attempt(NULL, format('SELECT tenancy.protect_table(''hostile.escaping'', resource => ''hostile'', backfill => %L)', :'a'));
SELECT * FROM pg_temp.climbers();
SELECT r.id, r.place, s.slug FROM (SELECT id, 'at once' AS place, tenant_id FROM hostile.at_once UNION ALL SELECT id, 'lines', tenant_id FROM hostile.lines UNION ALL SELECT id, 'shared', tenant_id FROM hostile.shared
    UNION ALL SELECT id, 'staged', tenant_id FROM hostile.staged UNION ALL SELECT id, 'mixed', tenant_id FROM hostile.mixed UNION ALL SELECT id, 'locked', tenant_id FROM hostile.locked UNION ALL SELECT id, 'escaping', tenant_id FROM hostile.escaping) r
  LEFT JOIN tenancy.tenants s ON s.id = r.tenant_id ORDER BY 2, 1;
SELECT count(*) AS left FROM pg_class WHERE relname LIKE '~pg\_tenancy%' AND relkind <> 'i';
DROP TABLE hostile.at_once, hostile.lines, hostile.shared, hostile.staged, hostile.mixed, hostile.locked, hostile.escaping, parents;
DELETE FROM hostile.climbed;
-- A preview evaluates his policies: they cannot put the role back.
SET ROLE hostile_owner;
CREATE TABLE hostile.notes (id int PRIMARY KEY, tenant_id uuid); GRANT SELECT, UPDATE, DELETE ON hostile.notes TO hostile_app; INSERT INTO hostile.notes VALUES (1, NULL);
CREATE FUNCTION hostile.leave() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM set_config('role', 'none', false);
    EXCEPTION WHEN OTHERS THEN RAISE WARNING '% %', SQLSTATE, SQLERRM;
    END;
    BEGIN
        PERFORM set_config('session_authorization', 'postgres', false);
    EXCEPTION WHEN OTHERS THEN RAISE WARNING '% %', SQLSTATE, SQLERRM;
    END;
    RAISE WARNING 'as %', current_user;
    RETURN hostile.climb('policy');
END $$;
ALTER TABLE hostile.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON hostile.notes FOR SELECT USING (hostile.leave());
RESET ROLE;
SELECT * FROM tenancy.preview_table('hostile.notes', gen_random_uuid(), db_role => 'hostile_app');
SELECT * FROM pg_temp.gained();
-- Who is no member of the role cannot borrow its rights.
CREATE ROLE hostile_admin BYPASSRLS; GRANT USAGE ON SCHEMA tenancy TO hostile_admin;
GRANT EXECUTE ON FUNCTION tenancy.read_as_role(text, text), tenancy.change_as_owner(oid, text, text) TO hostile_admin;
SET ROLE hostile_admin;
SELECT tenancy.read_as_role('hostile_owner', 'SELECT current_user::text') AS stranger, tenancy.read_as_role('hostile_admin', 'SELECT current_user::text') AS self, tenancy.read_as_role('no such role', 'SELECT 1::text') AS nobody;
SELECT tenancy.change_as_owner('hostile.notes'::regclass, 'DELETE FROM hostile.notes') AS stranger, tenancy.change_as_owner('hostile.notes'::regclass, 'DELETE FROM hostile.notes', 'DELETE') AS unprivileged, tenancy.change_as_owner(0, 'SELECT 1') AS nowhere;
RESET ROLE;
-- Attached tables: the search_path that his code sets does not stay.
SET ROLE hostile_owner;
CREATE TABLE hostile.o (id uuid PRIMARY KEY, name text); CREATE TABLE hostile.m (org uuid, usr uuid, role text);
RESET ROLE;
SELECT tenancy.attach_tenants('hostile.o', name_column => 'name') IS NOT NULL AS attached;
SELECT tenancy.attach_members('hostile.m', 'org', 'usr', roles => '{hostile_viewer}') IS NOT NULL AS attached;
SET ROLE hostile_owner;
INSERT INTO hostile.o VALUES ('4e000000-0000-4000-8000-000000000001', 'A');
CREATE FUNCTION hostile.steal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.climb('path') AND $1 OPERATOR(pg_catalog.~~) $2 $$;
CREATE OPERATOR hostile.~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.steal);
CREATE FUNCTION hostile.predicate(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('search_path', 'hostile,pg_catalog', false), hostile.climb('predicate');
    RETURN true;
END $$;
CREATE INDEX ON hostile.m (org) WHERE hostile.predicate(1);
SET search_path = public;
INSERT INTO hostile.m VALUES ('4e000000-0000-4000-8000-000000000001', '4e000000-0000-4000-8000-000000000002', NULL);
SHOW search_path;
RESET search_path; RESET ROLE;
SELECT count(*) AS members FROM tenancy.members WHERE user_id = '4e000000-0000-4000-8000-000000000002';
SELECT * FROM pg_temp.gained();
-- A column under which other texts are equal would make one's rows another's.
DO $$ BEGIN
    CREATE COLLATION hostile.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
EXCEPTION WHEN feature_not_supported THEN NULL; END $$;
CREATE TABLE hostile.ci_members (org uuid, usr text COLLATE hostile.ci);
SELECT test.attempt(NULL, $$SELECT tenancy.detach_members()$$), test.attempt(NULL, $$SELECT tenancy.attach_members('hostile.ci_members', 'org', 'usr')$$);
-- The attached table may be protected itself: tenants can still be made and deleted.
ALTER TABLE hostile.o OWNER TO CURRENT_USER;
SELECT tenancy.protect_table('hostile.o', tenant_column => 'id', mode => 'membership', resource => 'hostile');
INSERT INTO hostile.o VALUES ('4e000000-0000-4000-8000-000000000003', 'B') RETURNING name;
SELECT name FROM tenancy.tenants WHERE id = '4e000000-0000-4000-8000-000000000003';
DELETE FROM hostile.o WHERE name = 'B';
SELECT count(*) AS left FROM tenancy.tenants WHERE id = '4e000000-0000-4000-8000-000000000003';
-- A child that the owner of a protected table makes: what its index and constraint compute runs as he.
SET ROLE hostile_owner;
CREATE TABLE hostile.parent (id int, tenant_id uuid);
RESET ROLE;
SELECT tenancy.protect_table('hostile.parent', resource => 'hostile');
SET ROLE hostile_owner;
CREATE TABLE hostile.kid (id int, tenant_id uuid NOT NULL CHECK (hostile.predicate(2)));
CREATE INDEX ON hostile.kid (tenant_id) WHERE hostile.predicate(1);
ALTER TABLE hostile.kid INHERIT hostile.parent;
RESET ROLE; RESET search_path;
SELECT * FROM pg_temp.gained();
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'hostile.kid'::regclass AND attname = 'tenant_id';
SELECT contype, convalidated FROM pg_constraint WHERE conrelid = 'hostile.kid'::regclass ORDER BY 1;
SELECT count(*) AS policies FROM pg_policy WHERE polrelid = 'hostile.kid'::regclass;
-- And leaves nothing behind for the end of a transaction that is somebody else's.
DELETE FROM hostile.climbed;
SET ROLE hostile_owner;
CREATE FUNCTION hostile.put_off() RETURNS void LANGUAGE sql AS $$ INSERT INTO hostile.deferring VALUES (1) $$;
CREATE FUNCTION hostile.defers(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM hostile.put_off(); RETURN true; END $$;
CREATE TABLE hostile.late (CHECK (hostile.defers(1))) INHERITS (hostile.parent);
ALTER TABLE hostile.late ALTER tenant_id DROP NOT NULL;
RESET ROLE;
ALTER TABLE hostile.late NO INHERIT hostile.parent;
SELECT * FROM pg_temp.gained();
ALTER ROLE hostile_owner NOSUPERUSER; DELETE FROM hostile.climbed;
-- Triggers of his by the names of ours, once it can no longer be said what ours should be: what he wrote into their conditions
-- is parsed by nobody else, and a constant of a type of his runs his code when it is. What calls our function is enabled again.
SET ROLE hostile_owner;
CREATE DOMAIN hostile.digit AS int CHECK (hostile.climb('constant'));
CREATE FUNCTION hostile.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE hostile.heads (id int PRIMARY KEY, tenant_id uuid);
CREATE TABLE hostile.items (id int PRIMARY KEY, head int REFERENCES hostile.heads, tenant_id uuid);
CREATE TABLE hostile.more (id int, item int REFERENCES hostile.items, tenant_id uuid);
RESET ROLE;
SELECT tenancy.protect_table('hostile.heads', resource => 'hostile'), tenancy.protect_table('hostile.items', resource => 'hostile', backfill_from => 'heads(head)'),
       tenancy.protect_table('hostile.more', resource => 'hostile', backfill_from => 'items(item)');
GRANT USAGE ON SCHEMA tenancy TO hostile_owner;
SET ROLE hostile_owner;
CREATE TABLE hostile.items_1 () INHERITS (hostile.items);
CREATE TABLE hostile.items_2 () INHERITS (hostile.items);
ALTER TABLE hostile.items DROP CONSTRAINT items_head_fkey; ALTER TABLE hostile.heads DROP CONSTRAINT heads_pkey;
DROP TRIGGER "~pg_tenancy_copy_tenant" ON hostile.items_1; DROP TRIGGER "~pg_tenancy_copy_tenant" ON hostile.items_2;
CREATE TRIGGER "~pg_tenancy_copy_tenant" BEFORE INSERT ON hostile.items_1 FOR EACH ROW WHEN ('{7}'::hostile.digit[] IS NOT NULL) EXECUTE FUNCTION hostile.nothing();
CREATE TRIGGER "~pg_tenancy_copy_other" BEFORE INSERT ON hostile.items_1 FOR EACH ROW WHEN ('{7}'::hostile.digit[] IS NOT NULL) EXECUTE FUNCTION tenancy.copy_tenant();
CREATE TRIGGER "~pg_tenancy_copy_tenant" BEFORE INSERT ON hostile.items_2 FOR EACH ROW WHEN ('{7}'::hostile.digit[] IS NOT NULL) EXECUTE FUNCTION tenancy.copy_tenant();
ALTER TABLE hostile.items_1 DISABLE TRIGGER USER;
ALTER TABLE hostile.items_2 DISABLE TRIGGER USER;
ALTER TABLE hostile.items_1 NO INHERIT hostile.items;
ALTER TABLE hostile.items_2 NO INHERIT hostile.items;
RESET ROLE;
SELECT * FROM pg_temp.gained();
SELECT tgrelid::regclass, tgname, tgenabled, tgfoid::regproc FROM pg_trigger WHERE tgrelid IN ('hostile.items_1'::regclass, 'hostile.items_2'::regclass) AND NOT tgisinternal ORDER BY 1, 2;
ALTER ROLE hostile_owner NOSUPERUSER; DELETE FROM hostile.climbed;
-- Nor is that of an index, by tenant_keys => 'fix'.
SET ROLE hostile_owner;
CREATE TABLE hostile.uniques (id int, tenant_id uuid);
CREATE UNIQUE INDEX uniques_digit ON hostile.uniques (id) WHERE '{7}'::hostile.digit[] IS NOT NULL;
CREATE UNIQUE INDEX uniques_plain ON hostile.uniques (id) WHERE id > 0;
RESET ROLE;
SELECT tenancy.protect_table('hostile.uniques', resource => 'hostile', tenant_keys => 'fix');
SELECT * FROM pg_temp.gained();
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'hostile.uniques'::regclass ORDER BY 1;
SELECT name, definition, reason FROM tenancy.crossing_keys('hostile.uniques', (SELECT options FROM tenancy.protected_tables WHERE table_id = 'hostile.uniques'::regclass));
-- Dependencies that he makes up are his tables' alone: another owner's renamed table is still followed, and nobody is told to take
-- his rows' tenants from what comes to have its old name.
ALTER ROLE hostile_owner NOSUPERUSER; DELETE FROM hostile.climbed;
CREATE ROLE hostile_victim; GRANT CREATE ON DATABASE :DBNAME TO hostile_victim;
SET ROLE hostile_owner;
ALTER TABLE hostile.heads ADD PRIMARY KEY (id); ALTER TABLE hostile.items ADD CONSTRAINT items_head_fkey FOREIGN KEY (head) REFERENCES hostile.heads;
CREATE TABLE hostile.forged (LIKE hostile.items INCLUDING ALL);
ALTER TABLE hostile.forged ADD FOREIGN KEY (head) REFERENCES hostile.heads;
SET ROLE hostile_victim;
CREATE SCHEMA hostile_v;
CREATE TABLE hostile_v.heads (id int PRIMARY KEY, tenant_id uuid);
CREATE TABLE hostile_v.items (id int, head int REFERENCES hostile_v.heads, tenant_id uuid);
RESET ROLE;
SELECT tenancy.protect_table('hostile.forged', resource => 'hostile', backfill_from => 'heads(head)'), tenancy.protect_table('hostile_v.heads', resource => 'hostile'),
       tenancy.protect_table('hostile_v.items', resource => 'hostile', backfill_from => 'heads(head)');
SET ROLE hostile_owner;
DROP TRIGGER "~pg_tenancy_copy_tenant" ON hostile.items; DROP TRIGGER "~pg_tenancy_copy_tenant" ON hostile.forged; DROP TRIGGER "~pg_tenancy_copy_tenant" ON hostile.more;
-- A cycle, and a table that is not protected, by our function; one that is, by his.
CREATE TRIGGER "~pg_tenancy_copy_tenant" BEFORE UPDATE OF head ON hostile.items FOR EACH ROW WHEN ('hostile.more'::regclass IS NOT NULL) EXECUTE FUNCTION tenancy.copy_tenant();
CREATE TRIGGER "~pg_tenancy_copy_tenant" BEFORE UPDATE OF head ON hostile.forged FOR EACH ROW WHEN ('hostile.climbed'::regclass IS NOT NULL) EXECUTE FUNCTION tenancy.copy_tenant();
CREATE TRIGGER "~pg_tenancy_copy_tenant" BEFORE UPDATE OF item ON hostile.more FOR EACH ROW WHEN ('hostile.heads'::regclass IS NOT NULL) EXECUTE FUNCTION hostile.nothing();
SET ROLE hostile_victim;
ALTER SCHEMA hostile_v RENAME TO hostile_w;
RESET ROLE;
SELECT table_id, options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables
 WHERE table_id IN ('hostile.items'::regclass, 'hostile.forged'::regclass, 'hostile.more'::regclass, 'hostile_w.items'::regclass) ORDER BY table_id::text COLLATE "C";
SELECT pg_get_triggerdef(oid) LIKE '%FROM hostile_w.heads %' AS follows FROM pg_trigger WHERE tgrelid = 'hostile_w.items'::regclass AND tgname = '~pg_tenancy_copy_tenant';
DROP SCHEMA hostile_w CASCADE;
DROP OWNED BY hostile_victim; DROP ROLE hostile_victim;
REVOKE USAGE ON SCHEMA tenancy FROM hostile_owner;
-- The users table: what its indexes have as constants is computed while a query on it is planned, by everything that reads it.
SET ROLE hostile_owner;
CREATE TABLE hostile.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb);
INSERT INTO hostile.users VALUES ('4e000000-0000-4000-8000-000000000002', 'ann@hostile.example', now(), '{"plan": "it''s \\ gold"}'),
                                 ('4e000000-0000-4000-8000-000000000004', 'bob@hostile.example', now(), NULL), ('4e000000-0000-4000-8000-000000000005', 'o''hara@hostile.example', NULL, NULL);
RESET ROLE;
UPDATE tenancy.tenants SET email_domains = '{hostile.example}' WHERE slug = 'hostile-a';
SELECT tenancy.attach_users('hostile.users') AS attached;
SET ROLE hostile_owner;
-- Which must not hide from us.
ALTER TABLE hostile.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE FUNCTION hostile.constant(how text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hostile.climb(how || CASE WHEN r.rolsuper THEN ', a superuser' ELSE '' END), set_config('search_path', 'hostile,pg_catalog', false)
       FROM pg_catalog.pg_roles r WHERE r.rolname = current_user;
    RETURN true;
END $$;
CREATE INDEX ON hostile.users ((hostile.constant('expression')));
CREATE INDEX ON hostile.users (email) WHERE hostile.constant('predicate');
RESET ROLE; RESET search_path;
CREATE FUNCTION pg_temp.ran(statement text) RETURNS TABLE (answer text, computed text[]) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hostile.climbed;
    EXECUTE statement INTO answer;
    SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;
    SELECT g.beyond INTO computed FROM pg_temp.gained() g;
    RETURN NEXT;
END $$;
INSERT INTO tenancy.sync_failures (what, user_id, sqlstate, message) SELECT 'assignment', u.id, 'XX000', 'made up' FROM unnest('{4e000000-0000-4000-8000-000000000002,4e000000-0000-4000-8000-000000000004,4e000000-0000-4000-8000-000000000005}'::uuid[]) u (id);
DELETE FROM tenancy.claims_queue;
SELECT w.way, r.* FROM (VALUES
    ('everybody', 'SELECT tenancy.sync_claims()'), ('one user', $$SELECT tenancy.sync_claims('4e000000-0000-4000-8000-000000000002')$$),
    ('queued', $$WITH q AS (INSERT INTO tenancy.claims_queue (kind) VALUES ('everybody') RETURNING kind) SELECT kind FROM q$$),
    ('the queue', 'SELECT tenancy.sync_claims(batch => 2)'), ('its rest', 'SELECT tenancy.sync_claims(batch => 2)'),
    ('at commit', $$WITH q AS (INSERT INTO tenancy.claims_queue (kind, transaction_id) VALUES ('everybody', pg_current_xact_id()) RETURNING kind) SELECT kind FROM q$$),
    ('assigned', $$SELECT tenancy.assign_users('4e000000-0000-4000-8000-000000000004')$$), ('all who failed', 'SELECT tenancy.assign_users()'),
    ('get_claims', $$SELECT tenancy.get_claims('4e000000-0000-4000-8000-000000000002') - 'tenants'$$),
    ('set_claim', $$SELECT tenancy.set_claim('4e000000-0000-4000-8000-000000000002', 'plan', '"lead"')$$),
    ('no user', $$SELECT test.attempt(NULL, 'SELECT tenancy.get_claim(''4e000000-0000-4000-8000-000000000009'', ''plan'')')$$)) w (way, statement),
  LATERAL pg_temp.ran(w.statement) r;
SELECT super FROM pg_temp.gained();
SELECT (SELECT count(*) FROM tenancy.claims_queue) AS queued, what, user_id, sqlstate, message FROM tenancy.sync_failures;
-- What an expression comes to is remembered by a session.
DELETE FROM hostile.climbed;
\c -
SELECT tenancy.sync_claims();
\c -
SELECT tenancy.assign_users();
\c -
SELECT tenancy.get_claim('4e000000-0000-4000-8000-000000000002', 'plan');
\c -
SET client_min_messages = warning;
SELECT how, by = 'hostile_owner' AS as_owner, count(*) > 2 AS each_time FROM hostile.climbed GROUP BY 1, 2 ORDER BY 1, 2;
SELECT rolsuper AS super FROM pg_roles WHERE rolname = 'hostile_owner';
SET ROLE hostile_owner;
ALTER TABLE hostile.users NO FORCE ROW LEVEL SECURITY;
SELECT right(u.id::text, 1) AS who, u.raw_app_meta_data - '{tenants,tenant_id}'::text[] AS metadata, jsonb_array_length(u.raw_app_meta_data -> 'tenants') AS tenants
  FROM hostile.users u ORDER BY u.id;
RESET ROLE; RESET search_path;
SELECT tenancy.detach_users() AS detached;
-- A staged rollout of a partitioned table: the expression names the root, and rows can be inserted all the time.
CREATE TABLE hostile.parts (id int, org int) PARTITION BY RANGE (id);
CREATE TABLE hostile.parts_1 PARTITION OF hostile.parts FOR VALUES FROM (0) TO (100);
INSERT INTO hostile.parts VALUES (1, 1);
SELECT tenancy.protect_table_sql('hostile.parts', resource => 'hostile', add_column => true, staged => true,
                                 backfill => '(SELECT o.tid FROM hostile.orgs_real o WHERE o.id = parts.org)') AS script \gset
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'script', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n IN (2, 3) ORDER BY n \gexec
\set ECHO all
\o
INSERT INTO hostile.parts (id, org) VALUES (2, 1);
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'script', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n > 1 ORDER BY n \gexec
\set ECHO all
\o
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table_sql('hostile.parts', resource => 'hostile', staged => true)$$);
SELECT p.id, p.tenant_id = :'a' AS filled FROM hostile.parts p ORDER BY id;
-- A change of key looks into tables: one that is only observed its owner can still alter.
SET ROLE hostile_owner;
CREATE TABLE hostile.keyed (tenant_id bigint);
RESET ROLE;
UPDATE tenancy.tenants SET key = '4801' WHERE slug = 'hostile-a';
SELECT tenancy.protect_table('hostile.keyed', resource => 'hostile', mode => 'observe');
SET ROLE hostile_owner;
CREATE INDEX ON hostile.keyed (tenant_id) WHERE hostile.predicate(1);
RESET ROLE;
DELETE FROM hostile.climbed;
\c -
SET client_min_messages = warning;
UPDATE tenancy.tenants SET key = '4802' WHERE slug = 'hostile-a';
SHOW search_path;
SELECT rolsuper AS super, ARRAY(SELECT DISTINCT how || ' as ' || by FROM hostile.climbed ORDER BY 1) AS computed FROM pg_roles WHERE rolname = 'hostile_owner';
-- And so does dropping a tenant.
DELETE FROM hostile.climbed;
SELECT tenancy.create_tenant('hostile-c', owner => NULL, key => '4803') AS c \gset
\c -
SET client_min_messages = warning;
SELECT tenancy.drop_tenant(:'c');
SELECT rolsuper AS super, ARRAY(SELECT DISTINCT how || ' as ' || by FROM hostile.climbed ORDER BY 1) AS computed FROM pg_roles WHERE rolname = 'hostile_owner';
SELECT tenancy.detach_members() IS NOT NULL, tenancy.detach_tenants() IS NOT NULL;
DROP SCHEMA hostile CASCADE;
DELETE FROM tenancy.tenants WHERE slug IN ('hostile-a', 'hostile-b') OR id = '4e000000-0000-4000-8000-000000000001';
SELECT tenancy.drop_role('hostile_viewer', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'hostile.%';
DROP OWNED BY hostile_app, hostile_admin; DROP ROLE hostile_owner, hostile_app, hostile_admin;
-- Previews again: what a policy's constants are of runs code whenever the policy's text is parsed; and functions in a policy,
-- be they the owner's or somebody else's, read no more than the role does, and need not be in a schema that the role may use.
CREATE ROLE hostile_owner; CREATE ROLE hostile_third; CREATE ROLE hostile_app; CREATE SCHEMA hostile; GRANT ALL ON SCHEMA hostile TO hostile_owner; GRANT USAGE ON SCHEMA hostile TO hostile_app, hostile_third;
CREATE SCHEMA hostile_private AUTHORIZATION hostile_third; GRANT USAGE ON SCHEMA hostile_private TO hostile_owner;
CREATE TABLE hostile.other ();
SET ROLE hostile_third;
CREATE FUNCTION hostile_private.reads(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'asked of row % as %; temporary relations to read: %', id, current_user,
        ARRAY(SELECT c.relname FROM pg_catalog.pg_class c WHERE starts_with(c.relname, 'tenancy_preview'));
    RETURN true;
END $$;
SET ROLE hostile_owner;
CREATE FUNCTION hostile.evil(i int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'constant computed as %, a superuser: %', current_user, (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
    RETURN true;
END $$;
CREATE DOMAIN hostile.evil AS int CHECK (hostile.evil(value));
CREATE TABLE hostile.docs (id int, tenant_id uuid); GRANT SELECT, UPDATE, DELETE ON hostile.docs TO hostile_app; INSERT INTO hostile.docs VALUES (1), (2), (3);
CREATE POLICY fence ON hostile.docs AS RESTRICTIVE USING (id < 3);
CREATE POLICY constants ON hostile.docs USING ('{7}'::hostile.evil[] IS NOT NULL AND hostile_private.reads(id));
CREATE POLICY constant ON hostile.docs TO hostile_third USING ('{7}'::hostile.evil[] IS NOT NULL);
ALTER TABLE hostile.docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
RESET ROLE;
SELECT * FROM tenancy.preview_table('hostile.docs', gen_random_uuid(), db_role => 'hostile_app', resource => 'hostile', existing_policies => 'keep');
-- Counting takes one SELECT on the table that it is told, and a role that the caller is a member of.
SELECT tenancy.count_as_role('hostile.docs'::regclass, 'hostile_app', q, 'tenancy.preview_policy(oid)'::regprocedure, 'public') AS counted
  FROM unnest('{SELECT FROM hostile.docs,SELECT FROM hostile.docs WHERE id < 3,SELECT FROM hostile.other,DELETE FROM hostile.docs,SELECT 1,VACUUM,""}'::text[]) q;
GRANT EXECUTE ON FUNCTION tenancy.count_as_role(oid, text, text, oid, text) TO hostile_third; GRANT USAGE ON SCHEMA tenancy TO hostile_third; GRANT SELECT ON hostile.docs TO hostile_third;
SET ROLE hostile_third;
SELECT tenancy.count_as_role('hostile.docs'::regclass, 'hostile_owner', 'SELECT FROM hostile.docs', 0, 'public') AS stranger;
RESET ROLE;
REVOKE ALL ON FUNCTION tenancy.count_as_role(oid, text, text, oid, text) FROM hostile_third; REVOKE USAGE ON SCHEMA tenancy FROM hostile_third;
DROP SCHEMA hostile, hostile_private CASCADE;
DROP ROLE hostile_owner, hostile_third, hostile_app;
