-- A user is forgotten: no row anywhere names him, and rows that must name somebody name a pseudonym.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA forget;
\set ann '''f0a60000-0000-4000-8000-0000000000a1'''
\set bob '''f0a60000-0000-4000-8000-0000000000b1'''
SELECT tenancy.create_tenant('forget', owner => NULL) AS tenant \gset
SELECT tenancy.create_role('forget role') IS NOT NULL, tenancy.create_group(:'tenant', 'forget group') IS NOT NULL;
CREATE TABLE forget.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb);
INSERT INTO forget.users VALUES (:ann, 'ann@forget.example', now(), '{"own": 1}', '{}'), (:bob, 'bob@forget.example', now(), '{}', '{}');
SELECT tenancy.attach_users('forget.users'), tenancy.enable_profiles();
CREATE TABLE forget.doc (tenant_id uuid NOT NULL, n int, owner uuid);
CREATE TABLE forget.note (tenant_id uuid NOT NULL, n int, author uuid NOT NULL) PARTITION BY LIST (n);
CREATE TABLE forget.note_1 PARTITION OF forget.note DEFAULT;
CREATE TABLE forget.task (tenant_id uuid NOT NULL, n int, "the ""owner" uuid REFERENCES forget.users);
CREATE TABLE forget.base (tenant_id uuid NOT NULL, owner uuid);
CREATE TABLE forget.child () INHERITS (forget.base);
SELECT tenancy.protect_table('forget.doc', owner_column => 'owner', resource => 'forget'), tenancy.protect_table('forget.note', owner_column => 'author', resource => 'forget'),
       tenancy.protect_table('forget.task', owner_column => 'the "owner', resource => 'forget'), tenancy.protect_table('forget.base', owner_column => 'owner', resource => 'forget');
INSERT INTO forget.doc VALUES (:'tenant', 1, :ann), (:'tenant', 2, :bob), (:'tenant', 3, NULL);
INSERT INTO forget.note VALUES (:'tenant', 1, :ann), (:'tenant', 2, :bob);
INSERT INTO forget.task VALUES (:'tenant', 1, :ann), (:'tenant', 2, :bob);
INSERT INTO forget.base VALUES (:'tenant', :ann);
INSERT INTO forget.child VALUES (:'tenant', :ann);
SELECT tenancy.add_member(:'tenant', :ann, '{owner}'), tenancy.add_member(:'tenant', :bob), tenancy.add_group_member(:'tenant', 'forget group', :ann);
INSERT INTO tenancy.operators (user_id, access, granted_by) VALUES (:ann, 'read', NULL), (:bob, 'read', :ann);
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) SELECT :'tenant', :bob, id, :ann FROM tenancy.roles WHERE name = 'forget role';
INSERT INTO tenancy.active_tenants VALUES (:ann, :'tenant');
INSERT INTO tenancy.claims_queue (kind, user_ids) VALUES ('users', ARRAY[:ann, :bob]::uuid[]);
INSERT INTO tenancy.claims_queue (kind, after_user) VALUES ('everybody', :ann);
INSERT INTO tenancy.sync_failures (what, user_id, sqlstate, message) VALUES ('claims', :ann, '00000', 'x'), ('cleanup', NULL, '00000', 'user ' || :ann || ' failed');
-- Every row of the database that has the uuid in it, whatever the column.
CREATE FUNCTION pg_temp.named(who uuid) RETURNS TABLE (relation regclass, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                       AND c.relpersistence <> 't' ORDER BY c.oid::regclass::text COLLATE "C" LOOP
        EXECUTE format('SELECT count(*) FROM ONLY %s r WHERE position($1 IN r::text) > 0', relation) INTO rows USING who::text;
        IF rows > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
SELECT * FROM pg_temp.named(:ann);
SELECT test.attempt(:bob, 'SELECT tenancy.erase_user(' || quote_literal(:ann) || ')'), test.attempt(NULL, 'SELECT tenancy.erase_user(NULL)'), test.attempt(NULL, 'SELECT tenancy.erase_user(tenancy.nil())');
-- An owner column that takes neither NULL nor a pseudonym: refused before anything is changed, and only if it names him.
ALTER TABLE forget.task ALTER "the ""owner" SET NOT NULL;
SELECT test.attempt(NULL, 'SELECT tenancy.erase_user(' || quote_literal(:ann) || ')');
SELECT count(*) AS tables FROM pg_temp.named(:ann);
ALTER TABLE forget.task ALTER "the ""owner" DROP NOT NULL;
SELECT tenancy.erase_user(:ann) AS pseudonym \gset
SELECT * FROM pg_temp.named(:ann);
SELECT * FROM pg_temp.named(:'pseudonym');
SELECT n, "the ""owner" FROM forget.task ORDER BY n;
SELECT raw_app_meta_data - 'own' AS claims FROM forget.users WHERE id = :ann;
SELECT user_ids = ARRAY[:bob]::uuid[] AS other_stays FROM tenancy.claims_queue WHERE kind = 'users';
SELECT count(*) AS of_bob FROM tenancy.members WHERE user_id = :bob;
-- The host's own row is the host's to delete; then nothing is left. Again there is nothing to do.
DELETE FROM forget.users WHERE id = :ann;
SELECT * FROM pg_temp.named(:ann);
SELECT tenancy.erase_user(:ann) AS again, tenancy.erase_user('f0a60000-0000-4000-8000-0000000000ff') AS nobody;
DELETE FROM tenancy.claims_queue;
SELECT tenancy.disable_profiles(true), tenancy.detach_users();

-- With the host's table of members attached, its row goes, or it would make him a member again.
CREATE TABLE forget.crew (tenant uuid, who uuid);
SELECT tenancy.attach_members('forget.crew', 'tenant', 'who');
INSERT INTO forget.crew VALUES (:'tenant', :ann), (:'tenant', :bob);
SELECT tenancy.erase_user(:ann) IS NOT NULL AS erased;
SELECT * FROM pg_temp.named(:ann);
SELECT who = :bob AS bobs FROM forget.crew;
-- Who does not see all of its rows is refused, rather than to leave them.
SELECT tenancy.protect_table('forget.crew', tenant_column => 'tenant', resource => 'forget');
CREATE ROLE forget_owner NOLOGIN;
DO $$ BEGIN EXECUTE format('GRANT %I TO forget_owner', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass)); END $$;
SET ROLE forget_owner;
SELECT tenancy.unprotect_table(t) FROM unnest('{forget.doc,forget.note,forget.task,forget.base}'::regclass[]) t;
SELECT test.attempt(NULL, $$SELECT tenancy.erase_user('f0a60000-0000-4000-8000-0000000000b1')$$);
RESET ROLE;
DROP ROLE forget_owner;
-- Tenants that he was the last owner of, by a group or a role that inherits it too, are counted.
SELECT tenancy.create_tenant('forget-2', owner => NULL) AS two, tenancy.create_tenant('forget-3', owner => NULL) AS three, tenancy.create_tenant('forget-4', owner => NULL) AS four \gset
SELECT tenancy.add_member(:'two', :ann, '{owner}'), tenancy.add_member(:'two', :bob, '{owner}'), tenancy.set_member_status(:'two', :bob, 'suspended');
SELECT tenancy.create_role('forget chief', tenant => :'three') IS NOT NULL, tenancy.add_inheritance('forget chief', 'owner', tenant => :'three'), tenancy.create_group(:'three', 'chiefs') IS NOT NULL,
       tenancy.grant_role_to_group(:'three', 'chiefs', 'forget chief'), tenancy.add_member(:'three', :ann), tenancy.add_group_member(:'three', 'chiefs', :ann);
SELECT tenancy.add_member(:'four', :ann, '{owner}'), tenancy.add_member(:'four', :bob, '{owner}');
SET client_min_messages = notice;
SELECT tenancy.erase_user(:ann) IS NOT NULL AS erased;
SET client_min_messages = warning;
SELECT tenancy.detach_members();
SELECT tenancy.unprotect_table('forget.crew');
DROP SCHEMA forget CASCADE;
SELECT tenancy.drop_tenant(t::uuid) FROM unnest(ARRAY[:'tenant', :'two', :'three', :'four']) t;
DELETE FROM tenancy.roles WHERE name = 'forget role';
DELETE FROM tenancy.operators;
DELETE FROM tenancy.permissions WHERE name LIKE 'forget.%';
