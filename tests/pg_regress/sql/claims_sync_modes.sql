-- When claims are projected: with the statement, at commit, later, or never.
\set SHOW_CONTEXT never
CREATE SCHEMA host;
CREATE TABLE host.users (id uuid PRIMARY KEY, raw_app_meta_data jsonb);
SET client_min_messages = warning;
SELECT tenancy.attach_users('host.users');
RESET client_min_messages;
-- One line for each statement that updates the table, as it happens: how many rows, and of how many users more than once.
CREATE SEQUENCE host.at;
CREATE TABLE host.updates (n bigint DEFAULT nextval('host.at'), rows int);
CREATE FUNCTION host.count_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO host.updates (rows) SELECT count(*) FROM written HAVING count(*) > 0; RETURN NULL; END $$;
CREATE TRIGGER counting AFTER UPDATE ON host.users REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION host.count_update();
CREATE FUNCTION host.u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('5e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
CREATE FUNCTION host.t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('7e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
-- UPDATEs since last asked, what waits in the queue, and whose claims are not what the tables say.
CREATE FUNCTION pg_temp.state() RETURNS TABLE (updates text, queue text, wrong text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT coalesce(string_agg(rows::text, '+' ORDER BY n), 'none') INTO updates FROM host.updates;
    DELETE FROM host.updates;
    SELECT string_agg(concat_ws(' ', q.kind, cardinality(user_ids), CASE WHEN transaction_id IS NOT NULL THEN 'at commit' END, 'after ' || right(after_user::text, 2)), ', ' ORDER BY queued_at, q.id) INTO queue FROM tenancy.claims_queue q;
    SELECT string_agg(right(u.id::text, 2), ' ' ORDER BY u.id) INTO wrong FROM host.users u, tenancy.projected_claims(ARRAY[u.id]) p
     WHERE u.raw_app_meta_data IS DISTINCT FROM tenancy.replace_claims(u.raw_app_meta_data, p.claims);
    RETURN NEXT;
END
$$;
SELECT count(tenancy.create_permission(p)) FROM unnest(ARRAY['docs.read', 'docs.edit', 'docs.fly']) p;
SELECT count(tenancy.create_role(name, permissions::text[])) FROM (VALUES ('reader', '{docs.read}'), ('senior', '{}'), ('crewman', '{}')) v (name, permissions);
SELECT tenancy.add_inheritance('senior', 'reader');
INSERT INTO tenancy.tenants (id, slug, name) VALUES (host.t(1), 'sync-1', 'T1'), (host.t(2), 'sync-2', 'T2');
INSERT INTO host.users SELECT host.u(n), '{}' FROM generate_series(1, 12) n;
SELECT count(tenancy.create_group(host.t(1), 'crew'));
INSERT INTO tenancy.members (tenant_id, user_id) SELECT host.t(1), host.u(n) FROM generate_series(1, 9) n;
-- 1 to 3 hold the role, 4 a senior one, 5 and 6 by their group.
SELECT count(tenancy.grant_role(host.t(1), host.u(n), CASE n WHEN 4 THEN 'senior' ELSE 'reader' END)) FROM generate_series(1, 4) n;
SELECT count(tenancy.add_group_member(host.t(1), 'crew', host.u(n))) FROM generate_series(5, 6) n;
SELECT tenancy.grant_role_to_group(host.t(1), 'crew', 'reader');
DELETE FROM host.updates;

-- on: with the statement; what touches more users than the limit is queued as what it is.
SELECT tenancy.grant_permission('reader', 'docs.edit');
SELECT * FROM pg_temp.state();
SET tenancy.claims_sync_limit = 6;
SELECT tenancy.revoke_permission('reader', 'docs.edit');
SELECT * FROM pg_temp.state();
SET tenancy.claims_sync_limit = 5;
SELECT tenancy.grant_permission('reader', 'docs.edit');
SELECT * FROM pg_temp.state();
-- Worked off in steps: so many users, in the order of their ids, and then nothing.
SELECT tenancy.sync_claims(batch => 2) FROM generate_series(1, 1);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 3);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 1);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 1);
SELECT * FROM pg_temp.state();
SET tenancy.claims_sync_limit = 0;
SELECT tenancy.remove_group_member(host.t(1), 'crew', host.u(5));
SELECT tenancy.revoke_role_from_group(host.t(1), 'crew', 'reader');
SELECT tenancy.set_tenant_status(host.t(1), 'read_only');
SELECT tenancy.set_tenant_status(host.t(1), 'read_only');
UPDATE tenancy.tenants SET name = 'T!' WHERE id = host.t(1);
UPDATE tenancy.members SET status = status WHERE user_id IN (host.u(1), host.u(2));
INSERT INTO tenancy.members (tenant_id, user_id) SELECT host.t(2), host.u(1) WHERE false;
SELECT tenancy.create_permission('docs.more.read');
TRUNCATE tenancy.operators;
SELECT * FROM pg_temp.state();
-- Several rows of the queue with one call; one user, which leaves the queue; everybody, which empties it.
SELECT tenancy.sync_claims(host.u(1)), tenancy.sync_claims(host.u(1)) AS again;
SELECT tenancy.sync_claims(batch => 3);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 100), tenancy.sync_claims(batch => 100) AS again;
SELECT * FROM pg_temp.state();
SELECT tenancy.set_tenant_status(host.t(1), 'active');
SELECT tenancy.set_member_status(host.t(1), host.u(3), 'suspended');
SELECT tenancy.sync_claims(), tenancy.sync_claims() AS again;
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 0);
SELECT tenancy.sync_claims(batch => -1);
SELECT tenancy.sync_claims(host.u(1), 5);
-- What the queue names may be gone by the time it is worked off.
SELECT tenancy.drop_group(host.t(1), 'crew', cascade => true);
SELECT tenancy.drop_role('crewman', cascade => true);
SELECT tenancy.add_member(host.t(2), host.u(9));
DELETE FROM host.users WHERE id = host.u(9);
SELECT tenancy.drop_tenant(host.t(2));
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
-- A token for a user who is still queued: he is projected, so that the next copy his auth server reads is right.
SELECT tenancy.grant_permission('reader', 'docs.fly');
SELECT * FROM pg_temp.state();
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(1), 'claims', '{}'::jsonb)) #> '{claims,app_metadata,perms}' AS token;
SELECT * FROM pg_temp.state();
BEGIN READ ONLY;
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(2), 'claims', '{}'::jsonb)) #> '{claims,app_metadata,perms}' AS token;
COMMIT;
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
RESET tenancy.claims_sync_limit;

-- deferred: each user once, at commit, however often he was touched.
SET tenancy.claims_sync = deferred;
BEGIN;
SELECT tenancy.revoke_role(host.t(1), host.u(1), 'reader'), tenancy.grant_role(host.t(1), host.u(1), 'senior'), tenancy.grant_role(host.t(1), host.u(2), 'senior');
SELECT tenancy.revoke_permission('reader', 'docs.fly'), tenancy.set_tenant_status(host.t(1), 'suspended'), tenancy.set_tenant_status(host.t(1), 'active');
SELECT * FROM pg_temp.state();
COMMIT;
SELECT * FROM pg_temp.state();
-- In one statement too.
SELECT tenancy.add_member(host.t(1), host.u(10), '{reader}');
SELECT * FROM pg_temp.state();
-- Undone, to a savepoint and as a whole.
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(5), 'reader');
SAVEPOINT a;
SELECT tenancy.grant_role(host.t(1), host.u(6), 'reader');
ROLLBACK TO a;
SAVEPOINT b;
SELECT tenancy.grant_role(host.t(1), host.u(7), 'reader');
RELEASE b;
SELECT * FROM pg_temp.state();
COMMIT;
SELECT * FROM pg_temp.state();
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'reader');
ROLLBACK;
SELECT * FROM pg_temp.state();
-- Touched, and as he was: nothing is written.
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'reader'), tenancy.revoke_role(host.t(1), host.u(8), 'reader');
COMMIT;
SELECT * FROM pg_temp.state();
-- At once, on demand, and what comes after that.
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'reader');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM pg_temp.state();
SELECT tenancy.revoke_role(host.t(1), host.u(8), 'reader');
SELECT * FROM pg_temp.state();
SET CONSTRAINTS ALL DEFERRED;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'reader');
COMMIT;
SELECT * FROM pg_temp.state();
-- Too many for the commit: they wait in the queue, each row as what it is.
SET tenancy.claims_sync_limit = 2;
BEGIN;
SELECT tenancy.revoke_permission('reader', 'docs.edit');
SELECT tenancy.revoke_role(host.t(1), host.u(8), 'reader');
COMMIT;
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
-- Just as many as are allowed, in one row of the queue and in several.
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(n), 'reader') FROM generate_series(8, 8) n;
UPDATE tenancy.members SET status = 'suspended' WHERE user_id IN (host.u(7), host.u(8));
COMMIT;
SELECT * FROM pg_temp.state();
RESET tenancy.claims_sync_limit;
-- Of another transaction the queue is none of ours.
INSERT INTO tenancy.claims_queue (kind, user_ids, transaction_id) VALUES ('users', ARRAY[host.u(1)], '3');
SELECT tenancy.sync_claims(batch => 5);
SELECT tenancy.set_member_status(host.t(1), host.u(8), 'active');
SELECT * FROM pg_temp.state();
DELETE FROM tenancy.claims_queue;
-- Two-phase commit: projected when it is prepared.
BEGIN;
SELECT tenancy.set_member_status(host.t(1), host.u(7), 'active');
PREPARE TRANSACTION 'sync_modes';
SELECT updates, queue FROM pg_temp.state();
COMMIT PREPARED 'sync_modes';
SELECT * FROM pg_temp.state();
-- Another mode in the middle of the transaction.
BEGIN;
SELECT tenancy.revoke_role(host.t(1), host.u(8), 'reader');
SET LOCAL tenancy.claims_sync = on;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'senior');
SELECT * FROM pg_temp.state();
SET LOCAL tenancy.claims_sync = off;
COMMIT;
SELECT * FROM pg_temp.state();
BEGIN;
SELECT tenancy.revoke_role(host.t(1), host.u(8), 'senior');
SET LOCAL tenancy.claims_sync = off;
SELECT tenancy.grant_role(host.t(1), host.u(8), 'reader');
COMMIT;
SELECT * FROM pg_temp.state();
-- The auth server writes in the middle.
BEGIN;
SELECT tenancy.revoke_role(host.t(1), host.u(8), 'reader');
UPDATE host.users SET raw_app_meta_data = '{"perms":["docs.read"],"provider":"email"}' WHERE id = host.u(8);
COMMIT;
SELECT * FROM pg_temp.state();
-- TRUNCATE, at commit.
BEGIN;
TRUNCATE tenancy.member_roles;
COMMIT;
SELECT * FROM pg_temp.state();
SET tenancy.claims_sync_limit = 3;
BEGIN;
TRUNCATE tenancy.members CASCADE;
COMMIT;
SELECT updates, queue FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 1000);
SELECT * FROM pg_temp.state();
RESET tenancy.claims_sync_limit;

-- off: not at all, neither by us nor when others write; sync_claims mends all the same.
SET tenancy.claims_sync = off;
SELECT tenancy.add_member(host.t(1), host.u(1), '{reader}');
UPDATE host.users SET raw_app_meta_data = '{"perms":["all"]}' WHERE id = host.u(2);
INSERT INTO host.users VALUES (host.u(20), '{"perms":["all"]}');
SELECT * FROM pg_temp.state();
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(1), 'claims', '{}'::jsonb)) #> '{claims,app_metadata,perms}' AS the_token_is_right;
SELECT tenancy.sync_claims(host.u(1)), tenancy.sync_claims();
SELECT * FROM pg_temp.state();
RESET tenancy.claims_sync;
SELECT * FROM pg_temp.state();
-- Who decides is an administrator.
SELECT test.try(host.u(1), format('SELECT set_config(%L, %L, true)', name, 'off')) FROM unnest(ARRAY['tenancy.claims_sync', 'tenancy.claims_sync_limit', 'tenancy.claims_max_tenants', 'tenancy.token_hook', 'tenancy.legacy_claims']) name;

SELECT tenancy.detach_users();
SELECT count(*) AS left_in_the_queue FROM tenancy.claims_queue;
SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE slug = 'sync-1';
SET client_min_messages = warning;
DROP SCHEMA host CASCADE;
DELETE FROM tenancy.roles WHERE NOT builtin;
DELETE FROM tenancy.permissions WHERE NOT builtin;
