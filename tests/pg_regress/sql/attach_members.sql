-- The host's own table of members: its rows make members and grants, in the same transaction, and take them away again.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA crew;
GRANT USAGE ON SCHEMA crew TO authenticated;
\set ann '''a77b0000-0000-4000-8000-0000000000a1'''
\set bob '''a77b0000-0000-4000-8000-0000000000b1'''
\set cyd '''a77b0000-0000-4000-8000-0000000000c1'''
SELECT tenancy.create_permission('crew.read');
SELECT count(tenancy.create_role(r, '{crew.read}')) FROM unnest(ARRAY['crew viewer', 'crew editor', 'crew base']) r;
CREATE TABLE crew.orgs (id bigint PRIMARY KEY, name text);
INSERT INTO crew.orgs VALUES (1, 'One'), (2, 'Two'), (3, 'Three');
CREATE TYPE crew.rank AS ENUM ('crew viewer', 'crew editor', 'captain');
CREATE TABLE crew.members (n serial PRIMARY KEY, org bigint REFERENCES crew.orgs ON DELETE CASCADE, who uuid, rank crew.rank, title text, active boolean DEFAULT true, extra numeric);
CREATE VIEW pg_temp.state AS
    SELECT t.key, right(m.user_id::text, 2) AS who, m.status, a.made, a.active,
           array(SELECT r.name || CASE WHEN r.id = ANY (a.role_ids) THEN '*' ELSE '' END FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id
                  WHERE g.tenant_id = m.tenant_id AND g.user_id = m.user_id ORDER BY 1) AS roles
      FROM tenancy.members m JOIN tenancy.tenants t ON t.id = m.tenant_id LEFT JOIN tenancy.attached_members a USING (tenant_id, user_id);

-- Refusals.
INSERT INTO crew.members (org, who, rank) VALUES (1, :ann, 'crew viewer');
SELECT command, test.attempt(NULL, 'SELECT tenancy.attach_members(' || command || ')') AS answer FROM unnest(ARRAY[
    $$NULL, 'org', 'who'$$, $$'crew.members', NULL, 'who'$$, $$'crew.members', 'org', 'org'$$, $$'crew.members', 'org', 'none'$$, $$'crew.members', 'org', 'extra'$$,
    $$'crew.members', 'extra', 'who'$$, $$'crew.members', 'org', 'who', role_column => 'extra'$$, $$'crew.members', 'org', 'who', active_column => 'title'$$,
    $$'crew.members', 'org', 'who', roles => '{no such,crew viewer}'$$, $$'crew.members', 'org', 'who', roles => '{NULL}'$$, $$'crew.members', 'org', 'n'$$,
    $$'crew.members', 'org', 'who'$$]) command;
SELECT tenancy.attach_tenants('crew.orgs', name_column => 'name');
UPDATE crew.members SET rank = 'captain';
SELECT test.attempt(NULL, $$SELECT tenancy.attach_members('crew.members', 'org', 'who', role_column => 'rank')$$);
SELECT test.attempt(:ann, $$SELECT tenancy.attach_members('crew.members', 'org', 'who')$$), test.attempt(:ann, 'SELECT tenancy.detach_members()');
SELECT count(*) AS members_by_refusals FROM tenancy.members;

-- Rows there are: two of one user, one not active, one without a user, and a member who was one by hand.
UPDATE crew.members SET rank = 'crew viewer';
INSERT INTO crew.members (org, who, rank, active) VALUES (1, :ann, 'crew editor', true), (1, :bob, 'crew viewer', false), (2, :bob, NULL, true), (2, NULL, NULL, true), (NULL, :bob, NULL, true);
SELECT tenancy.add_member(id, :cyd, '{crew editor}') FROM tenancy.tenants WHERE key = '3';
INSERT INTO crew.members (org, who, rank) VALUES (3, :cyd, 'crew editor');
SELECT tenancy.attach_members('crew.members', 'org', 'who', '{crew base}', 'rank', 'active');
SELECT * FROM pg_temp.state ORDER BY 1, 2;
SELECT tenancy.attach_members('crew.members', 'org', 'who', '{crew base}', 'rank', 'active') AS again;
SELECT test.attempt(NULL, $$SELECT tenancy.attach_members('crew.orgs', 'id', 'name')$$), test.attempt(NULL, $$SELECT tenancy.attach_members('pg_catalog.pg_class', 'oid', 'relname')$$);

-- One of two rows goes, then the other.
DELETE FROM crew.members WHERE rank = 'crew editor' AND org = 1;
SELECT * FROM pg_temp.state WHERE key = '1' ORDER BY 1, 2;
-- By an application role, seen at once: in the transaction, and gone with it.
GRANT SELECT, INSERT, UPDATE, DELETE ON crew.members TO authenticated;
GRANT USAGE ON SEQUENCE crew.members_n_seq TO authenticated;
BEGIN;
SELECT tenancy.act_as(:bob);
SELECT tenancy.has_permission(1::bigint, 'crew.read') AS not_active, tenancy.has_permission(2::bigint, 'crew.read') AS active;
UPDATE crew.members SET active = true WHERE org = 1 AND who = :bob;
SELECT tenancy.has_permission(1::bigint, 'crew.read') AS active_now;
ROLLBACK;
SELECT * FROM pg_temp.state WHERE key = '1' ORDER BY 1, 2;
-- What is granted and revoked by hand beside stays so.
SELECT tenancy.grant_role(id, :ann, 'owner'), tenancy.revoke_role(id, :ann, 'crew base') FROM tenancy.tenants WHERE key = '1';
SELECT tenancy.attach_members('crew.members', 'org', 'who', '{crew base}', 'rank', 'active') AS nothing_to_repair;
SELECT tenancy.set_member_status(id, :ann, 'suspended') FROM tenancy.tenants WHERE key = '1';
UPDATE crew.members SET rank = 'crew editor' WHERE org = 1 AND who = :ann;
SELECT * FROM pg_temp.state WHERE key = '1' ORDER BY 1, 2;
UPDATE crew.members SET active = NULL WHERE org = 1 AND who = :ann;
UPDATE crew.members SET active = true WHERE org = 1 AND who = :ann;
SELECT * FROM pg_temp.state WHERE key = '1' ORDER BY 1, 2;
DELETE FROM crew.members WHERE org = 3;
SELECT * FROM pg_temp.state WHERE key = '3';
-- To another tenant and another user.
UPDATE crew.members SET org = 3 WHERE org = 1 AND who = :ann;
UPDATE crew.members SET who = :cyd WHERE org = 1 AND who = :bob;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
-- What names nothing.
SELECT test.attempt(:ann, $$UPDATE crew.members SET rank = 'captain' WHERE org = 3$$);
ALTER TABLE crew.members DROP CONSTRAINT members_org_fkey;
SELECT test.attempt(:ann, $$INSERT INTO crew.members (org, who) VALUES (4711, 'a77b0000-0000-4000-8000-0000000000d1')$$);
-- Columns that its owner made something else of.
CREATE FUNCTION crew.climb(crew.rank) RETURNS text LANGUAGE sql AS $$ SELECT 'owner'::text $$;
CREATE CAST (crew.rank AS text) WITH FUNCTION crew.climb(crew.rank) AS IMPLICIT;
INSERT INTO crew.members (org, who, rank) VALUES (3, :bob, 'crew viewer');
SELECT * FROM pg_temp.state WHERE key = '3' ORDER BY 1, 2;
DROP CAST (crew.rank AS text);
ALTER TABLE crew.members RENAME who TO whom;
SELECT test.attempt(:ann, $$DELETE FROM crew.members WHERE org = 3$$);
ALTER TABLE crew.members RENAME whom TO who;
-- The tenant goes, and the rest of the row with it or after it.
DELETE FROM crew.orgs WHERE id = 3;
DELETE FROM crew.members WHERE org = 3;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
-- While triggers are off things change; a second call repairs.
SET session_replication_role = replica;
DELETE FROM crew.members WHERE org = 2;
INSERT INTO crew.members (org, who, rank) VALUES (1, :bob, 'crew editor');
RESET session_replication_role;
SELECT tenancy.attach_members('crew.members', 'org', 'who', '{}', 'rank', 'active') AS with_other_roles;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
BEGIN;
TRUNCATE crew.members;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
ROLLBACK;
-- Detached, all stay.
SELECT tenancy.detach_members(), tenancy.detach_members() AS again;
DELETE FROM crew.members;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
-- A char(n) is filled up with spaces, which mean nothing.
CREATE TABLE crew.filled (org bigint, who uuid, role char(20));
INSERT INTO crew.filled VALUES (1, :ann, 'crew viewer'), (1, :bob, ''), (2, :ann, 'no such');
SELECT test.attempt(NULL, $$SELECT tenancy.attach_members('crew.filled', 'org', 'who', role_column => 'role')$$);
UPDATE crew.filled SET role = 'crew editor' WHERE org = 2;
SELECT tenancy.attach_members('crew.filled', 'org', 'who', role_column => 'role');
INSERT INTO crew.filled VALUES (2, :bob, 'crew viewer'), (2, :bob, NULL);
UPDATE crew.filled SET role = 'crew base' WHERE org = 1 AND who = :ann;
SELECT * FROM pg_temp.state ORDER BY 1, 2;
SELECT tenancy.attach_members('crew.filled', 'org', 'who', role_column => 'role') AS nothing_to_repair;
SELECT tenancy.detach_members();
DELETE FROM tenancy.members;
SELECT tenancy.detach_tenants();

-- With the host's users attached, a deleted user's membership goes whichever way the delete comes.
CREATE TABLE crew.users (id uuid PRIMARY KEY);
INSERT INTO crew.users SELECT DISTINCT user_id FROM tenancy.members;
SELECT tenancy.attach_users('crew.users');
ALTER TABLE crew.members ADD FOREIGN KEY (who) REFERENCES crew.users ON DELETE CASCADE;
SELECT tenancy.attach_members('crew.members', 'org', 'who');
INSERT INTO crew.members (org, who) SELECT 1, id FROM crew.users;
DELETE FROM crew.users;
SELECT count(*) AS members FROM tenancy.members;
SELECT count(*) AS rows FROM crew.members;
SELECT tenancy.detach_members(), tenancy.detach_users();

-- What the table's owner put into an index is computed while a query is planned: with his rights, not ours.
CREATE ROLE crew_owner NOLOGIN;
CREATE ROLE crew_climber NOLOGIN;
GRANT USAGE, CREATE ON SCHEMA crew TO crew_owner;
CREATE TABLE crew.trap (org bigint, who uuid);
ALTER TABLE crew.trap OWNER TO crew_owner;
SELECT tenancy.attach_members('crew.trap', 'org', 'who', '{crew viewer}');
CREATE FUNCTION crew.climb_now() RETURNS int LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE crew_climber SUPERUSER; RETURN 1; EXCEPTION WHEN insufficient_privilege THEN RETURN 1; END $$;
CREATE FUNCTION crew.climb_quietly() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN crew.climb_now(); END $$;
SET ROLE crew_owner;
CREATE INDEX ON crew.trap (org) WHERE crew.climb_quietly() = 1;
INSERT INTO crew.trap VALUES (1, :ann), (1, :bob);
DELETE FROM crew.trap WHERE who = :bob;
RESET ROLE;
SELECT rolsuper AS climbed FROM pg_roles WHERE rolname = 'crew_climber';
SELECT * FROM pg_temp.state WHERE who IN ('a1', 'b1');
SELECT tenancy.detach_members();
DROP TABLE crew.trap;
DELETE FROM tenancy.members;
REVOKE ALL ON SCHEMA crew FROM crew_owner;
DROP ROLE crew_owner;
DROP ROLE crew_climber;

-- Users by numbers, which are the subjects of their tokens.
CREATE TABLE crew.staff (org bigint, uid bigint, PRIMARY KEY (org, uid));
INSERT INTO crew.staff VALUES (1, 17), (2, 17), (1, 18);
SELECT test.attempt(NULL, $$SELECT tenancy.attach_members('crew.staff', 'org', 'uid')$$);
SET tenancy.subject_format = mapped;
SELECT tenancy.attach_members('crew.staff', 'org', 'uid', '{crew viewer}');
INSERT INTO crew.staff VALUES (2, 19);
DELETE FROM crew.staff WHERE uid = 18;
SELECT subject, t.key, a.made, tenancy.has_permission(t.id, 'crew.read') AS without_identity FROM tenancy.subjects s LEFT JOIN tenancy.attached_members a USING (user_id) LEFT JOIN tenancy.tenants t ON t.id = a.tenant_id ORDER BY 1, 2;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": 17}', true);
SELECT key, tenancy.has_permission(key_number, 'crew.read') FROM tenancy.tenants ORDER BY key;
COMMIT;
-- Erased by his id here, his rows there go too.
SELECT tenancy.erase_user(user_id) IS NOT NULL AS erased FROM tenancy.subjects WHERE subject = '17';
SELECT * FROM crew.staff;
SELECT subject FROM tenancy.subjects ORDER BY 1;
SELECT tenancy.detach_members();
RESET tenancy.subject_format;
DELETE FROM tenancy.subjects;
DELETE FROM tenancy.tenants;
DELETE FROM tenancy.roles WHERE name LIKE 'crew%';
DELETE FROM tenancy.permissions WHERE name LIKE 'crew.%';
DROP VIEW pg_temp.state;
DROP SCHEMA crew CASCADE;
