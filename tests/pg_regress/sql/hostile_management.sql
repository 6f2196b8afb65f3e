-- Owners of host tables who are no administrators, and management functions that read, write and alter these: what the owners
-- have triggers, indexes, statistics, constraints and generated columns compute has their rights, never the administrator's.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE hm_owner; CREATE ROLE hm_other; CREATE SCHEMA hm AUTHORIZATION hm_owner; GRANT USAGE ON SCHEMA hm TO PUBLIC;
SELECT tenancy.create_role('hm viewer') IS NOT NULL AS made;
SELECT tenancy.create_tenant('hm-a', owner => NULL, key => '7101') AS a, tenancy.create_tenant('hm-b', owner => NULL, key => '7102') AS b \gset
\set ann '''4d000000-0000-4000-8000-0000000000a1'''
\set bob '''4d000000-0000-4000-8000-0000000000b1'''
CREATE TABLE public.hm_ran (how text, by name DEFAULT current_user, at timestamptz DEFAULT clock_timestamp()); GRANT INSERT ON public.hm_ran TO PUBLIC;
SET ROLE hm_owner;
CREATE FUNCTION hm.climb(how text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.hm_ran VALUES (how);
    BEGIN
        EXECUTE 'ALTER ROLE hm_owner SUPERUSER';
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    RETURN true;
END $$;
CREATE FUNCTION hm.constant(how text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN hm.climb(how); END $$;
CREATE FUNCTION hm.text(how text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM hm.climb(how); RETURN how; END $$;
CREATE FUNCTION hm.on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM hm.climb('trigger'); RETURN coalesce(NEW, OLD); END $$;
-- All that a table's owner can have computed.
CREATE FUNCTION hm.arm(t regclass, col text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER %4$I BEFORE UPDATE OR DELETE ON %1$s FOR EACH ROW EXECUTE FUNCTION hm.on_write();
        CREATE INDEX ON %1$s ((hm.text(''index expression'')));
        CREATE INDEX ON %1$s (%2$I) WHERE hm.constant(''index predicate'');
        CREATE STATISTICS hm.%3$I ON (hm.text(''statistics'')), (%2$I::text) FROM %1$s;
        ALTER TABLE %1$s ADD CHECK (hm.constant(''constraint''));', t, col, (SELECT relname || '_statistics' FROM pg_class WHERE oid = t), (SELECT relname || '_armed' FROM pg_class WHERE oid = t));
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = t) THEN
        EXECUTE format('ALTER TABLE %s ADD generated_text text GENERATED ALWAYS AS (hm.text(''generated column'')) STORED', t);
    END IF;
END $$;
RESET ROLE;
-- What ran during a statement, and as whom. What an expression comes to is remembered by a session, so each is another's.
CREATE PROCEDURE public.hm_begin() LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE hm_owner NOSUPERUSER; DELETE FROM public.hm_ran; END $$;
CREATE FUNCTION public.hm_ended(OUT climbed boolean, OUT as_others text[], OUT as_owner text[]) LANGUAGE sql AS $$
    SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = 'hm_owner'), array_agg(DISTINCT how ORDER BY how) FILTER (WHERE by <> 'hm_owner'), array_agg(DISTINCT how ORDER BY how) FILTER (WHERE by = 'hm_owner') FROM public.hm_ran $$;

-- Deleting a tenant's rows: from a table, from one that refers to itself, from two that refer to each other in a circle.
SET ROLE hm_owner;
CREATE TABLE hm.docs (id int PRIMARY KEY, tenant_id uuid, made_by uuid);
CREATE TABLE hm.tree (id int PRIMARY KEY, up int REFERENCES hm.tree, tenant_id uuid);
CREATE TABLE hm.hens (id int PRIMARY KEY, egg int, tenant_id uuid);
CREATE TABLE hm.eggs (id int PRIMARY KEY, hen int REFERENCES hm.hens, tenant_id uuid);
ALTER TABLE hm.hens ADD FOREIGN KEY (egg) REFERENCES hm.eggs DEFERRABLE INITIALLY DEFERRED;
RESET ROLE;
SELECT tenancy.protect_table('hm.docs', resource => 'hm', owner_column => 'made_by'), tenancy.protect_table('hm.tree', resource => 'hm'), tenancy.protect_table('hm.hens', resource => 'hm'), tenancy.protect_table('hm.eggs', resource => 'hm');
INSERT INTO hm.docs SELECT n, CASE WHEN n <= 5 THEN :'a' ELSE :'b' END::uuid, :ann FROM generate_series(1, 8) n;
INSERT INTO hm.tree SELECT n, nullif(n / 2, 0), :'a' FROM generate_series(1, 9) n;
BEGIN;
INSERT INTO hm.hens SELECT n, n, :'a' FROM generate_series(1, 3) n; INSERT INTO hm.eggs SELECT n, n, :'a' FROM generate_series(1, 3) n;
COMMIT;
SET ROLE hm_owner; SELECT hm.arm(t, 'tenant_id') FROM unnest('{hm.docs,hm.tree,hm.hens,hm.eggs}'::regclass[]) t; RESET ROLE; CALL public.hm_begin();
\c -
SELECT tenancy.delete_tenant_rows(:'a', 4) AS some, tenancy.delete_tenant_rows(:'a') AS others, tenancy.delete_tenant_rows(:'a') AS none;
SELECT * FROM public.hm_ended();
SELECT (SELECT count(*) FROM hm.docs) AS docs, (SELECT count(*) FROM hm.tree) AS tree, (SELECT count(*) FROM hm.hens) + (SELECT count(*) FROM hm.eggs) AS circle;

-- Forgetting a user.
CALL public.hm_begin();
\c -
SELECT tenancy.erase_user(:ann) IS NOT NULL AS erased;
SELECT * FROM public.hm_ended();
SELECT count(*) AS named FROM hm.docs WHERE made_by = :ann;

-- What he defers would run as whoever commits: it is refused. So is what he may not do himself.
SET ROLE hm_owner;
CREATE FUNCTION hm.on_defer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO hm.deferring VALUES (1); RETURN OLD; END $$;
CREATE TABLE hm.deferring (id int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON hm.deferring DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hm.on_write();
CREATE TRIGGER defers BEFORE DELETE ON hm.docs FOR EACH ROW EXECUTE FUNCTION hm.on_defer();
RESET ROLE; CALL public.hm_begin();
SELECT tenancy.delete_tenant_rows(:'b');
SET ROLE hm_owner; DROP TRIGGER defers ON hm.docs; REVOKE DELETE ON hm.docs FROM hm_owner; RESET ROLE;
SELECT tenancy.delete_tenant_rows(:'b');
GRANT DELETE ON hm.docs TO hm_owner;
SELECT * FROM public.hm_ended();
-- An administrator who is no member of the owner needs the privileges that the statement needs, and the owner gets none of his.
CREATE ROLE hm_mover BYPASSRLS;
GRANT USAGE ON SCHEMA tenancy TO hm_mover; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO hm_mover; GRANT SELECT ON ALL TABLES IN SCHEMA tenancy, hm TO hm_mover;
SET ROLE hm_mover;
SELECT tenancy.delete_tenant_rows(:'b');
RESET ROLE;
GRANT DELETE ON ALL TABLES IN SCHEMA hm TO hm_mover;
SET ROLE hm_mover;
SELECT tenancy.delete_tenant_rows(:'b');
RESET ROLE;
SELECT * FROM public.hm_ended();
REVOKE ALL ON ALL TABLES IN SCHEMA tenancy, hm FROM hm_mover; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenancy FROM hm_mover; REVOKE ALL ON SCHEMA tenancy FROM hm_mover; DROP ROLE hm_mover;
-- Of several owners each has his partition; a circle is not deleted from as several at once.
ALTER TABLE hm.eggs OWNER TO hm_other;
SELECT test.attempt(NULL, format('SELECT tenancy.delete_tenant_rows(%L)', :'a'));
DROP TABLE hm.hens, hm.eggs;
CREATE TABLE hm.mixed (id int, tenant_id uuid, made_by uuid) PARTITION BY RANGE (id);
CREATE TABLE hm.mixed_1 PARTITION OF hm.mixed FOR VALUES FROM (0) TO (10); CREATE TABLE hm.mixed_2 PARTITION OF hm.mixed FOR VALUES FROM (10) TO (20);
SELECT tenancy.protect_table('hm.mixed', resource => 'hm', owner_column => 'made_by');
INSERT INTO hm.mixed VALUES (1, :'a', :ann), (2, :'b', :bob), (11, :'a', :ann);
ALTER TABLE hm.mixed_1 OWNER TO hm_owner;
SET ROLE hm_owner; SELECT hm.arm('hm.mixed_1', 'tenant_id'); RESET ROLE;
CALL public.hm_begin();
\c -
SELECT tenancy.erase_user(:ann) IS NOT NULL AS erased, tenancy.delete_tenant_rows(:'a') AS deleted;
SELECT * FROM public.hm_ended();
SELECT id, made_by = :bob AS bobs FROM hm.mixed;
DROP TABLE hm.mixed;

-- Attaching his tables.
SET ROLE hm_owner;
CREATE TABLE hm.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb);
INSERT INTO hm.users (id, email, raw_user_meta_data) VALUES (:ann, 'ann@hm.example', '{"name": "it''s \\ Ann"}'), (:bob, NULL, NULL);
SELECT hm.arm('hm.users', 'id');
RESET ROLE;
SELECT tenancy.add_member(:'a', :ann), tenancy.add_member(:'a', '4d000000-0000-4000-8000-0000000000ff');
CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT test.attempt(NULL, $$SELECT tenancy.attach_users('hm.users')$$);
SELECT tenancy.remove_member(:'a', '4d000000-0000-4000-8000-0000000000ff');
SELECT tenancy.attach_users('hm.users') AS attached, tenancy.attach_users('hm.users') AS again;
SELECT tenancy.enable_profiles() AS enabled;
SELECT * FROM public.hm_ended();
-- A foreign key that Postgres could check with our rights only holds all the same, from now on; one that runs nothing of his is checked.
SELECT conname, convalidated FROM pg_constraint WHERE confrelid = 'hm.users'::regclass ORDER BY 1;
SELECT test.attempt(NULL, format('SELECT tenancy.add_member(%L, %L)', :'a', '4d000000-0000-4000-8000-0000000000ee')) AS stranger;
SELECT user_id = :ann AS ann, display_name FROM tenancy.user_profiles WHERE user_id IN (:ann, :bob) ORDER BY 1;
DELETE FROM hm.users WHERE id = :ann;
SELECT count(*) AS members FROM tenancy.members WHERE tenant_id = :'a';
SELECT tenancy.disable_profiles(true), tenancy.detach_users();
CREATE TABLE hm.plain_users (LIKE hm.users INCLUDING INDEXES); DROP INDEX hm.plain_users_text_idx, hm.plain_users_id_idx; ALTER TABLE hm.plain_users OWNER TO hm_owner;
SELECT tenancy.attach_users('hm.plain_users') AS attached;
SELECT conname, convalidated FROM pg_constraint WHERE confrelid = 'hm.plain_users'::regclass ORDER BY 1;
SELECT tenancy.detach_users();
SET ROLE hm_owner;
CREATE TABLE hm.orgs (id bigint PRIMARY KEY, name text, extra int); INSERT INTO hm.orgs VALUES (7101, 'A'), (7103, 'New');
CREATE TYPE hm.kind AS ENUM ('hm viewer', 'nothing'); CREATE FUNCTION hm.kind(hm.kind) RETURNS text LANGUAGE sql AS $$ SELECT 'x' FROM hm.climb('cast') $$; CREATE CAST (hm.kind AS text) WITH FUNCTION hm.kind(hm.kind) AS IMPLICIT;
CREATE TABLE hm.crew (org bigint, who uuid, kind hm.kind, active boolean);
INSERT INTO hm.crew VALUES (7101, :ann, 'hm viewer', true), (7103, :ann, NULL, true), (7103, :bob, 'hm viewer', false);
SELECT hm.arm('hm.orgs', 'id'), hm.arm('hm.crew', 'org');
RESET ROLE; CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT tenancy.attach_tenants('hm.orgs', name_column => 'name') AS tenants, tenancy.attach_tenants('hm.orgs', name_column => 'name') AS again;
SELECT test.attempt(NULL, $$SELECT tenancy.attach_members('hm.crew', 'org', 'who', role_column => 'kind', active_column => 'active', roles => '{no such}')$$);
SELECT tenancy.attach_members('hm.crew', 'org', 'who', role_column => 'kind', active_column => 'active') AS members, tenancy.attach_members('hm.crew', 'org', 'who', role_column => 'kind', active_column => 'active') AS again;
SELECT * FROM public.hm_ended();
SELECT t.key, t.name, right(m.user_id::text, 2) AS who, m.status, r.name AS role FROM tenancy.tenants t JOIN tenancy.members m ON m.tenant_id = t.id LEFT JOIN tenancy.member_roles g USING (tenant_id, user_id)
  LEFT JOIN tenancy.roles r ON r.id = g.role_id WHERE t.key IN ('7101', '7103') ORDER BY 1, 3;
SELECT tenancy.erase_user(:ann) IS NOT NULL AS erased;
SELECT * FROM public.hm_ended();
SELECT count(*) AS rows FROM hm.crew;
SELECT tenancy.detach_members(), tenancy.detach_tenants();

-- Protecting his tables: rows are read, NOT NULL and the foreign keys added, keys rewritten.
SET ROLE hm_owner;
CREATE TABLE hm.files (id int UNIQUE, tenant_id uuid); INSERT INTO hm.files VALUES (1, :'a'), (2, :'b');
CREATE TABLE hm.lines (id int, file int REFERENCES hm.files (id), tenant_id uuid); INSERT INTO hm.lines VALUES (1, 1, :'a');
CREATE TABLE hm.parts (id int, tenant_id uuid) PARTITION BY RANGE (id); CREATE TABLE hm.parts_1 PARTITION OF hm.parts DEFAULT; INSERT INTO hm.parts VALUES (1, :'a');
CREATE TABLE hm.heirs () INHERITS (hm.files); INSERT INTO hm.heirs VALUES (3, :'b');
CREATE TABLE hm.orphans (tenant_id uuid); INSERT INTO hm.orphans VALUES (:ann), (NULL);
SELECT hm.arm(t, 'tenant_id') FROM unnest('{hm.files,hm.lines,hm.parts,hm.parts_1,hm.heirs,hm.orphans}'::regclass[]) t;
RESET ROLE; CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('hm.orphans', resource => 'hm')$$), test.attempt(NULL, $$SELECT tenancy.protect_table('hm.orphans', resource => 'hm', shared => 'read')$$);
SELECT tenancy.protect_table('hm.files', resource => 'hm'), tenancy.protect_table('hm.lines', resource => 'hm'), tenancy.protect_table('hm.parts', resource => 'hm');
SELECT tenancy.protect_table('hm.lines', resource => 'hm', tenant_keys => 'fix') AS fixed, tenancy.protect_table('hm.lines', resource => 'hm', tenant_keys => 'fix') AS again;
SELECT * FROM public.hm_ended();
SELECT conrelid::regclass, pg_get_constraintdef(oid), convalidated, conparentid <> 0 AS from_above FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('hm.files'::regclass, 'hm.lines'::regclass, 'hm.parts'::regclass, 'hm.parts_1'::regclass, 'hm.heirs'::regclass) ORDER BY 1, 2;
SELECT attrelid::regclass FROM pg_attribute WHERE attname = 'tenant_id' AND attnotnull AND attrelid IN ('hm.files'::regclass, 'hm.lines'::regclass, 'hm.parts'::regclass, 'hm.parts_1'::regclass, 'hm.heirs'::regclass) ORDER BY 1;
SELECT tenancy.unprotect_table('hm.files', true), tenancy.unprotect_table('hm.parts', true);
-- As a migration does it, and the other owner's key is not checked with our rights nor his.
SET ROLE hm_owner; CREATE TABLE hm.later (id int, tenant_id uuid); INSERT INTO hm.later VALUES (1, :'a'); SELECT hm.arm('hm.later', 'tenant_id'); RESET ROLE; CALL public.hm_begin();
SELECT tenancy.protect_table_sql('hm.later', resource => 'hm') AS script \gset
\c -
SET client_min_messages = warning;
SELECT regexp_matches(:'script', 'CALL tenancy.alter_as_owner[^;]*', 'g') AS statement;
:script
SELECT * FROM public.hm_ended();
SELECT tenancy.unprotect_table('hm.later', true);
CREATE TABLE hm.adder (id int); ALTER TABLE hm.adder OWNER TO hm_owner;
SELECT tenancy.protect_table('hm.adder', resource => 'hm', add_column => true);
SET ROLE hm_owner; SELECT hm.arm('hm.adder', 'id'); RESET ROLE; CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT tenancy.unprotect_table('hm.adder', true);
SELECT * FROM public.hm_ended();

-- The expression of a backfill is ours, and is computed with our rights: so nothing of his may be with it. One tenant's id is no expression.
SET ROLE hm_owner;
CREATE TABLE hm.filled (id int PRIMARY KEY, org text, tenant_id uuid); INSERT INTO hm.filled VALUES (1, '7101');
CREATE TABLE hm.heads (id int PRIMARY KEY, tenant_id uuid); INSERT INTO hm.heads VALUES (1, :'a');
SELECT hm.arm('hm.heads', 'tenant_id');
CREATE STATISTICS hm.computing ON (hm.text('statistics')), (org) FROM hm.filled;
RESET ROLE; CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT test.attempt(NULL, format('SELECT tenancy.%s(''hm.filled'', resource => ''hm'', backfill => ''org''%s)', f, x)) FROM (VALUES ('protect_table', ''), ('protect_table_sql', ''), ('protect_table_sql', ', staged => true')) v (f, x);
SELECT tenancy.protect_table('hm.heads', resource => 'hm');
DROP STATISTICS hm.computing;
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('hm.filled', resource => 'hm', backfill_from => 'hm.heads(id)')$$);
-- Nor by the time that a script is executed.
SELECT tenancy.protect_table_sql('hm.filled', resource => 'hm', backfill => 'org') AS script, tenancy.protect_table_sql('hm.filled', resource => 'hm', backfill => 'org', staged => true) AS stages \gset
SET ROLE hm_owner; CREATE STATISTICS hm.computing ON (hm.text('statistics')), (org) FROM hm.filled; RESET ROLE;
:script
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'stages', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n IN (2, 3, 4) ORDER BY n \gexec
\set ECHO all
\o
SELECT * FROM public.hm_ended();
SELECT tenancy.protect_table('hm.filled', resource => 'hm', backfill => :'b');
SELECT * FROM public.hm_ended();
SELECT tenant_id = :'b' AS filled FROM hm.filled;
-- Of constraints nothing is computed.
SET ROLE hm_owner;
CREATE TABLE hm.checked (id int, org text, tenant_id uuid, CHECK (hm.constant('constraint'))); CREATE TABLE hm.checked_heirs (CHECK (hm.constant('constraint'))) INHERITS (hm.checked);
INSERT INTO hm.checked VALUES (1, '7101'); INSERT INTO hm.checked_heirs VALUES (2, '7102');
CREATE TABLE hm.checked_stages (LIKE hm.checked INCLUDING ALL); CREATE TABLE hm.checked_stages_heirs (CHECK (hm.constant('constraint'))) INHERITS (hm.checked_stages); INSERT INTO hm.checked_stages_heirs VALUES (2, '7102');
RESET ROLE; CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT tenancy.protect_table('hm.checked', resource => 'hm', backfill => 'org');
SELECT tenancy.protect_table_sql('hm.checked_stages', resource => 'hm', backfill => 'org', staged => true) AS stages \gset
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'stages', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n > 1 ORDER BY n \gexec
\set ECHO all
\o
SELECT * FROM public.hm_ended();
SELECT c.tableoid::regclass, c.id, t.slug FROM (SELECT tableoid, id, tenant_id FROM hm.checked UNION ALL SELECT tableoid, id, tenant_id FROM hm.checked_stages) c JOIN tenancy.tenants t ON t.id = c.tenant_id ORDER BY 1;
-- In stages.
SET ROLE hm_owner; CREATE TABLE hm.staged (id int, tenant_id uuid); INSERT INTO hm.staged VALUES (1); SELECT hm.arm('hm.staged', 'tenant_id'); RESET ROLE; CALL public.hm_begin();
SELECT tenancy.protect_table_sql('hm.staged', resource => 'hm', backfill => :'b', staged => true) AS stages \gset
\c -
SET client_min_messages = warning;
\o /dev/null
\set ECHO none
SELECT regexp_replace(s, '\n\n$', '') AS statement FROM regexp_split_to_table(:'stages', '(?n)^-- [0-9]+\. Lock: .*$') WITH ORDINALITY x (s, n) WHERE n > 1 ORDER BY n \gexec
\set ECHO all
\o
SELECT * FROM public.hm_ended();
SELECT tenant_id = :'b' AS filled, (SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'hm.staged'::regclass AND contype = 'f') AS checked FROM hm.staged;

-- Which users a tenant's rows name, for those who export it.
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('hm ann', :ann);
SET ROLE hm_owner; ALTER TABLE hm.docs DISABLE TRIGGER docs_armed; RESET ROLE;
INSERT INTO hm.docs VALUES (21, :'a', :ann);
CALL public.hm_begin();
\c -
SET client_min_messages = warning;
SELECT user_id = :ann AS ann, named_in FROM tenancy.mapped_users_of(:'a');
SELECT count(*) > 0 AS exported FROM tenancy.export_tenant(:'a');
SELECT * FROM public.hm_ended();
DELETE FROM tenancy.subjects WHERE subject = 'hm ann';

-- Who may execute everything of ours, as GRANT ON ALL FUNCTIONS lets him, has a superuser's rights lent by none of it, nor another
-- owner's without the privilege that it takes.
CREATE ROLE hm_mover NOLOGIN BYPASSRLS;
CREATE TABLE public.hm_ours AS SELECT 1 AS id;
GRANT USAGE ON SCHEMA tenancy, hm TO hm_mover;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO hm_mover;
GRANT SELECT, DELETE ON public.hm_ours TO hm_mover;
SET ROLE hm_mover;
SELECT tenancy.execute_as_owner('public.hm_ours'::regclass, 'ALTER ROLE hm_mover SUPERUSER');
SELECT tenancy.change_as_owner('public.hm_ours'::regclass, 'ALTER ROLE hm_mover SUPERUSER', 'DELETE');
SELECT tenancy.change_and_tell_as_owner('public.hm_ours'::regclass, 'DELETE FROM public.hm_ours RETURNING current_user::text', 'DELETE') AS as_himself;
SELECT tenancy.read_as_owner('public.hm_ours'::regclass, 'SELECT current_user::text') AS as_himself;
SELECT tenancy.read_as_owner('pg_authid'::regclass, 'SELECT count(rolpassword)::text FROM pg_authid');
SELECT tenancy.read_as_owner('hm.docs'::regclass, 'SELECT current_user::text');
SELECT tenancy.execute_as_owner('hm.docs'::regclass, 'DROP TABLE hm.docs');
SELECT tenancy.change_as_owner('hm.docs'::regclass, 'DELETE FROM hm.docs', 'DELETE') IS NULL AS refused;
RESET ROLE;
SELECT rolsuper FROM pg_roles WHERE rolname = 'hm_mover';
DROP OWNED BY hm_mover;
DROP TABLE public.hm_ours;
DROP ROLE hm_mover;

SELECT count(*) AS left FROM pg_class WHERE relname LIKE '~pg\_tenancy%' AND relkind <> 'i';
DROP SCHEMA hm CASCADE; DROP TABLE public.hm_ran; DROP PROCEDURE public.hm_begin; DROP FUNCTION public.hm_ended;
DELETE FROM tenancy.tenants WHERE slug LIKE 'hm-%' OR key = '7103';
SELECT tenancy.drop_role('hm viewer', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'hm.%';
DROP ROLE hm_owner, hm_other;
