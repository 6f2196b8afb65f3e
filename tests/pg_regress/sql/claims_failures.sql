-- What fails beside a write never stops it (threat 24): it stands in the log and in sync_failures, and sync_claims() mends.
-- Only cancelling stops the statement, as it must.
\set SHOW_CONTEXT never
-- Without DETAIL, which is a backtrace where the server has RUST_BACKTRACE.
\set VERBOSITY terse
CREATE SCHEMA host;
CREATE TABLE host.users (id uuid PRIMARY KEY, email text, raw_app_meta_data jsonb);
SET client_min_messages = warning;
SELECT tenancy.attach_users('host.users');
RESET client_min_messages;
CREATE FUNCTION host.u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('5e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
CREATE FUNCTION host.t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('7e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
CREATE FUNCTION pg_temp.state() RETURNS TABLE (failures text, queue text, wrong text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT string_agg(concat_ws(' ', what, right(user_id::text, 2), sqlstate, message), E'\n' ORDER BY failed_at, user_id) INTO failures FROM tenancy.sync_failures;
    SELECT string_agg(concat_ws(' ', q.kind, cardinality(user_ids), CASE WHEN transaction_id IS NOT NULL THEN 'at commit' END), ', ' ORDER BY queued_at, q.id) INTO queue FROM tenancy.claims_queue q;
    SELECT string_agg(right(u.id::text, 2), ' ' ORDER BY u.id) INTO wrong FROM host.users u, tenancy.projected_claims(ARRAY[u.id]) p
     WHERE u.raw_app_meta_data IS DISTINCT FROM tenancy.replace_claims(u.raw_app_meta_data, p.claims);
    RETURN NEXT;
END
$$;
SELECT count(tenancy.create_permission(p)) FROM unnest(ARRAY['docs.read', 'docs.edit']) p;
SELECT count(tenancy.create_role('reader', '{docs.read}'));
INSERT INTO tenancy.tenants (id, slug, name) VALUES (host.t(1), 'fail-1', 'T1');
INSERT INTO host.users SELECT host.u(n), n || '@example.com', '{"provider":"email"}' FROM generate_series(1, 5) n;
INSERT INTO tenancy.members (tenant_id, user_id) SELECT host.t(1), host.u(n) FROM generate_series(1, 5) n;
SELECT count(tenancy.grant_role(host.t(1), host.u(n), 'reader')) FROM generate_series(1, 4) n;
SELECT * FROM pg_temp.state();

-- The host's trigger raises for one user of many. All are written once it is worked off, but for that one.
CREATE FUNCTION host.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id::text LIKE TG_ARGV[0] THEN RAISE EXCEPTION 'the host refuses %', right(NEW.id::text, 2) USING ERRCODE = TG_ARGV[1]; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.refuse('%02', 'P0001');
SELECT tenancy.grant_permission('reader', 'docs.edit');
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
-- Not mended while the reason is there; each user's failure is there once.
SELECT tenancy.sync_claims(host.u(2)), tenancy.sync_claims(), tenancy.sync_claims();
SELECT * FROM pg_temp.state();
-- A sole user's failure, by function and by plain DML; other users are not bothered.
SELECT tenancy.revoke_role(host.t(1), host.u(2), 'reader'), tenancy.revoke_role(host.t(1), host.u(3), 'reader');
UPDATE tenancy.members SET status = 'suspended' WHERE user_id = host.u(2);
SELECT * FROM pg_temp.state();
DROP TRIGGER refuse ON host.users;
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims();
SELECT * FROM pg_temp.state();
-- For everybody, with any SQLSTATE: the transaction goes on, and what was before in it stays.
CREATE TRIGGER refuse BEFORE UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.refuse('%', '40P01');
BEGIN;
SELECT tenancy.grant_role(host.t(1), host.u(2), 'reader');
SELECT tenancy.set_member_status(host.t(1), host.u(2), 'active');
SELECT tenancy.add_member(host.t(1), host.u(1)) AS there_already;
SAVEPOINT s;
SELECT tenancy.remove_member(host.t(1), host.u(1));
ROLLBACK TO s;
COMMIT;
SELECT * FROM pg_temp.state();
SELECT user_id, status FROM tenancy.members WHERE user_id = host.u(2);
DROP TRIGGER refuse ON host.users;
CREATE TRIGGER refuse AFTER UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.refuse('%', '23514');
SELECT tenancy.set_tenant_status(host.t(1), 'suspended');
SELECT tenancy.sync_claims(), count(*) FROM tenancy.sync_failures;
DROP TRIGGER refuse ON host.users;
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims();
SELECT tenancy.set_tenant_status(host.t(1), 'active');
SELECT * FROM pg_temp.state();

-- At commit: the same.
SET tenancy.claims_sync = deferred;
CREATE TRIGGER refuse BEFORE UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.refuse('%02', 'P0001');
BEGIN;
SELECT tenancy.revoke_permission('reader', 'docs.edit');
SELECT tenancy.grant_role(host.t(1), host.u(5), 'reader');
COMMIT;
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 100);
SELECT * FROM pg_temp.state();
DROP TRIGGER refuse ON host.users;
SELECT tenancy.sync_claims();
SELECT * FROM pg_temp.state();
RESET tenancy.claims_sync;

-- A check on the column; one that holds for what is projected refuses nothing.
ALTER TABLE host.users ADD CONSTRAINT small CHECK (length(raw_app_meta_data::text) < 40) NOT VALID;
SELECT tenancy.grant_permission('reader', 'docs.edit');
SELECT tenancy.remove_member(host.t(1), host.u(4));
SELECT * FROM pg_temp.state();
ALTER TABLE host.users DROP CONSTRAINT small;
SELECT tenancy.sync_claims();
-- Sign-up and the auth server's own writes: where our keys cannot be kept, the write is the host's affair.
ALTER TABLE host.users ADD CONSTRAINT none_of_ours CHECK (NOT raw_app_meta_data ? 'perms') NOT VALID;
UPDATE host.users SET raw_app_meta_data = '{"provider":"github"}' WHERE id = host.u(1);
INSERT INTO host.users VALUES (host.u(6), 'f@example.com', '{"provider":"github"}');
UPDATE host.users SET email = 'g@example.com' WHERE id = host.u(6);
ALTER TABLE host.users DROP CONSTRAINT none_of_ours;
DELETE FROM tenancy.sync_failures;

-- Our own tables in disarray: sign-up and login go on.
BEGIN;
ALTER TABLE tenancy.member_roles RENAME TO member_roles_gone;
INSERT INTO host.users VALUES (host.u(7), 'h@example.com', '{"provider":"github"}');
UPDATE host.users SET raw_app_meta_data = '{"provider":"github","n":1}' WHERE id = host.u(1);
SELECT id, raw_app_meta_data FROM host.users WHERE id IN (host.u(1), host.u(7)) ORDER BY id;
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(1), 'claims', '{"sub":"x"}'::jsonb));
ROLLBACK;
BEGIN;
ALTER TABLE tenancy.sync_failures RENAME TO sync_failures_gone;
CREATE TRIGGER refuse BEFORE UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.refuse('%', 'P0001');
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'suspended') AS goes_through_without_a_record;
ALTER TABLE tenancy.claims_queue RENAME TO claims_queue_gone;
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'active') AS goes_through_without_a_queue;
ROLLBACK;
BEGIN;
ALTER TABLE tenancy.users_table RENAME TO users_table_gone;
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'suspended') AS goes_through;
UPDATE host.users SET raw_app_meta_data = '{"provider":"github","n":1}' WHERE id = host.u(1);
ROLLBACK;
SELECT * FROM pg_temp.state();

-- A column that is no more what it was.
BEGIN;
ALTER TABLE host.users RENAME raw_app_meta_data TO app_metadata;
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'suspended');
SELECT what, sqlstate, message FROM tenancy.sync_failures;
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = warning;
ALTER TABLE host.users DROP COLUMN raw_app_meta_data CASCADE;
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'suspended');
INSERT INTO host.users VALUES (host.u(8));
SELECT what, sqlstate, message FROM tenancy.sync_failures;
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TABLE host.users CASCADE;
SELECT tenancy.set_member_status(host.t(1), host.u(1), 'suspended'), tenancy.add_member(host.t(1), host.u(88));
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(2), 'claims', '{}'::jsonb)) #> '{claims,app_metadata,tenants}' AS the_token_does_not_need_it;
SELECT count(*) FROM tenancy.sync_failures;
ROLLBACK;

-- A row that somebody has locked (a prepared transaction here): lock_timeout is a failure like others, and the write goes through.
BEGIN;
SELECT id FROM host.users WHERE id = host.u(2) FOR UPDATE;
PREPARE TRANSACTION 'sync_failures';
SET lock_timeout = '100 ms';
SELECT tenancy.set_member_status(host.t(1), host.u(2), 'suspended');
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims(batch => 10);
SELECT * FROM pg_temp.state();
-- The token is issued all the same, at once, and waits for nobody.
RESET lock_timeout;
SET statement_timeout = '2 s';
SET tenancy.claims_sync_limit = 0;
SELECT tenancy.set_member_status(host.t(1), host.u(2), 'active');
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(2), 'claims', '{}'::jsonb)) #> '{claims,app_metadata,tenants}' AS token;
RESET tenancy.claims_sync_limit;
-- Cancelling is no failure of the projection's: the statement ends, and with it what it did.
SET statement_timeout = '150 ms';
SELECT tenancy.set_member_status(host.t(1), host.u(2), 'suspended');
SELECT tenancy.sync_claims(host.u(2));
SELECT tenancy.sync_claims(batch => 10);
RESET statement_timeout;
-- At commit Postgres cancels nothing: there only lock_timeout ends the waiting.
SET tenancy.claims_sync = deferred;
SET lock_timeout = '100 ms';
SELECT tenancy.set_member_status(host.t(1), host.u(2), 'suspended');
RESET lock_timeout;
RESET tenancy.claims_sync;
COMMIT PREPARED 'sync_failures';
SELECT status FROM tenancy.members WHERE user_id = host.u(2);
SELECT tenancy.sync_claims();
SELECT * FROM pg_temp.state();
-- Nor in keep_claims, when our tables are locked.
BEGIN;
LOCK TABLE tenancy.member_roles IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'sync_failures';
SET statement_timeout = '150 ms';
UPDATE host.users SET raw_app_meta_data = '{"provider":"late"}' WHERE id = host.u(1);
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(2), 'claims', '{}'::jsonb));
RESET statement_timeout;
SET lock_timeout = '150 ms';
UPDATE host.users SET raw_app_meta_data = '{"provider":"late","perms":["stale"]}' WHERE id = host.u(1);
SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', host.u(2), 'claims', '{}'::jsonb)) AS event_as_it_came;
RESET lock_timeout;
ROLLBACK PREPARED 'sync_failures';
SELECT raw_app_meta_data FROM host.users WHERE id = host.u(1);
SELECT * FROM pg_temp.state();
SELECT tenancy.sync_claims();
SELECT * FROM pg_temp.state();

-- READ ONLY: nothing is written, and what asks is answered.
BEGIN READ ONLY;
SELECT tenancy.sync_claims();
ROLLBACK;
BEGIN READ ONLY;
SELECT claims IS NOT NULL FROM tenancy.projected_claims(ARRAY[host.u(1)]);
ROLLBACK;

-- Who may see what failed.
INSERT INTO tenancy.sync_failures (what, user_id, sqlstate, message) VALUES ('claims', host.u(1), 'XX000', 'x');
SELECT r, test.try(who, 'SELECT count(*) FROM tenancy.sync_failures') FROM (VALUES ('member', host.u(1)), ('nobody', NULL)) v (r, who);
DELETE FROM tenancy.sync_failures;
SELECT tenancy.detach_users();
SELECT tenancy.drop_tenant(host.t(1));
SET client_min_messages = warning;
DROP SCHEMA host CASCADE;
DELETE FROM tenancy.roles WHERE NOT builtin;
DELETE FROM tenancy.permissions WHERE NOT builtin;
