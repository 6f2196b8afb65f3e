-- What the tables say stands in the users' app metadata after every kind of change, by one UPDATE for a statement, and
-- nothing else does.
CREATE SCHEMA host;
CREATE TABLE host.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb);
SELECT tenancy.attach_users('host.users');
-- Counts statements that update the table, and rows they write. As many as the host has.
CREATE TABLE host.updates (n int);
CREATE FUNCTION host.count_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO host.updates SELECT count(*) FROM written; RETURN NULL; END $$;
CREATE TRIGGER counting AFTER UPDATE ON host.users REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION host.count_update();
CREATE FUNCTION host.u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('5e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
CREATE FUNCTION host.t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('7e000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid $$;
-- Short: ids by their last two digits; the keys in the order in which they are to be read.
CREATE FUNCTION pg_temp.short(meta jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN meta IS NULL THEN 'NULL' WHEN jsonb_typeof(meta) <> 'object' THEN meta::text ELSE regexp_replace(concat_ws(' ', 'in ' || (meta ->> 'tenant_id'), 'may ' || (meta ->> 'perms'), 'of ' || (meta ->> 'tenants'), 'as ' || (meta ->> 'tenant_access'),
           'and ' || nullif(meta - '{tenant_id,perms,tenants,tenant_access}'::text[], '{}')::text), '[57]e000000-0000-0000-0000-0000000000', '', 'g') END
$$;
CREATE FUNCTION pg_temp.stored(who int) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.short(raw_app_meta_data) FROM host.users WHERE id = host.u(who) $$;
-- Runs it and tells, for the users it changed, what they have now; how many UPDATEs wrote how many rows; and who is
-- wrong, by what sync_claims() would write.
CREATE FUNCTION pg_temp.change(command text) RETURNS TABLE (updates text, who text, stored text) LANGUAGE plpgsql AS $$
DECLARE
    told text; wrong bigint;
BEGIN
    DELETE FROM host.updates;
    CREATE TEMP TABLE was ON COMMIT DROP AS SELECT u.id, u.raw_app_meta_data, u.xmin AS version FROM host.users u;
    EXECUTE command;
    SELECT coalesce(string_agg(n::text, '+'), 'none') INTO told FROM (SELECT n FROM host.updates WHERE n > 0) n;
    SELECT count(*) INTO wrong FROM host.users u, tenancy.projected_claims(ARRAY[u.id]) p WHERE u.raw_app_meta_data IS DISTINCT FROM tenancy.replace_claims(u.raw_app_meta_data, p.claims);
    updates := told || CASE WHEN wrong > 0 THEN ', WRONG: ' || wrong ELSE '' END
        || coalesce(', QUEUED: ' || (SELECT count(*) FROM tenancy.claims_queue HAVING count(*) > 0), '') || coalesce(', FAILED: ' || (SELECT string_agg(message, '; ') FROM tenancy.sync_failures), '')
        || coalesce(', WRITTEN THOUGH EQUAL: ' || (SELECT string_agg(right(w.id::text, 2), ' ' ORDER BY w.id) FROM was w JOIN host.users u USING (id) WHERE u.xmin <> w.version AND u.raw_app_meta_data IS NOT DISTINCT FROM w.raw_app_meta_data), '');
    FOR who, stored IN SELECT right(u.id::text, 2), pg_temp.short(u.raw_app_meta_data) FROM host.users u LEFT JOIN was w USING (id) WHERE u.raw_app_meta_data IS DISTINCT FROM w.raw_app_meta_data ORDER BY 1 LOOP
        RETURN NEXT;
        updates := '';
    END LOOP;
    IF who IS NULL AND updates <> '' THEN
        RETURN NEXT;
    END IF;
    DROP TABLE was;
END
$$;

SELECT tenancy.create_permission(p) FROM unnest(ARRAY['docs.read', 'docs.edit', 'docs.notes.read', 'bills.read', 'bills.pay']) p;
SELECT tenancy.create_permission('billing_admin', scope => 'platform');
SELECT count(tenancy.create_role(name, permissions::text[])) FROM (VALUES ('reader', '{docs.read}'), ('docs_all', '{docs.*,docs.read}'), ('boss', '{all}'), ('payer', '{bills.pay}'), ('empty', '{}')) v (name, permissions);
INSERT INTO tenancy.tenants (id, slug, name) SELECT host.t(n), 'claims-' || n, 'T' || n FROM generate_series(1, 4) n;
INSERT INTO host.users (id, raw_app_meta_data) SELECT host.u(n), '{"provider":"email"}' FROM generate_series(1, 9) n;
SELECT pg_temp.stored(1) AS without_membership;
-- One membership and several; with and without a choice.
SELECT * FROM pg_temp.change($$SELECT tenancy.add_member(host.t(1), host.u(1))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.add_member(host.t(1), host.u(1))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.add_member(host.t(2), host.u(1), '{reader,docs_all}')$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.active_tenants VALUES (host.u(1), host.t(2))$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.active_tenants SET tenant_id = host.t(1) WHERE user_id = host.u(1)$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.active_tenants SET tenant_id = host.t(1) WHERE user_id = host.u(1)$$);
SELECT * FROM pg_temp.change($$SELECT test.attempt(host.u(1), format('SELECT tenancy.set_active_tenant(%L)', host.t(2)))$$);
SELECT * FROM pg_temp.change($$SELECT test.attempt(host.u(1), format('SELECT tenancy.set_active_tenant(%L)', NULL))$$);
SELECT * FROM pg_temp.change($$SELECT test.attempt(host.u(1), format('SELECT tenancy.set_active_tenant(%L)', host.t(2)))$$);
-- The chosen tenant closes to him: not the other one instead.
SELECT * FROM pg_temp.change($$SELECT tenancy.set_member_status(host.t(2), host.u(1), 'suspended')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_member_status(host.t(2), host.u(1), 'active')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_member_status(host.t(2), host.u(1), 'active')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(2), 'suspended')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(2), 'archived')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(2), 'read_only')$$);
-- What holds in a read-only tenant depends on which permissions there are.
SELECT * FROM pg_temp.change($$SELECT tenancy.create_permission('docs.more.read')$$);
SELECT * FROM pg_temp.change($$DELETE FROM tenancy.permissions WHERE name = 'docs.more.read'$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.permissions SET scope = 'platform' WHERE name = 'docs.notes.read'$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.permissions SET scope = 'tenant' WHERE name = 'docs.notes.read'$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(2), 'active')$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.tenants SET name = name || '!', metadata = '{"x":1}'$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.tenants SET status = 'suspended' WHERE id IN (host.t(1), host.t(2))$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.tenants SET status = 'active' WHERE id IN (host.t(1), host.t(2))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.remove_member(host.t(2), host.u(1))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(1), 'suspended')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_tenant_status(host.t(1), 'active')$$);
-- Many users at once; only those are written whose claims become others.
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.members (tenant_id, user_id) SELECT host.t(1), host.u(n) FROM generate_series(2, 5) n$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT host.t(1), host.u(n), r.id FROM generate_series(2, 4) n, tenancy.roles r WHERE r.name = 'reader'$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT host.t(1), host.u(n), r.id FROM generate_series(2, 5) n, tenancy.roles r WHERE r.name = 'empty'$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_permission('reader', 'bills.read')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_permission('reader', 'bills.read')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.revoke_permission('reader', 'bills.read')$$);
-- Inheritance, of several steps.
SELECT * FROM pg_temp.change($$SELECT tenancy.add_inheritance('empty', 'payer')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.create_role('junior', '{docs.edit}')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.add_inheritance('payer', 'junior')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_permission('junior', 'docs.notes.read')$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.role_permissions SET permission = 'docs.*' WHERE permission = 'docs.notes.read'$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.remove_inheritance('payer', 'junior')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.add_inheritance('payer', 'junior')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.drop_role('junior', cascade => true)$$);
-- By a group.
SELECT * FROM pg_temp.change($$SELECT tenancy.create_group(host.t(1), 'crew')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_role_to_group(host.t(1), 'crew', 'docs_all')$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.group_members (tenant_id, group_id, user_id) SELECT tenant_id, id, host.u(n) FROM tenancy.groups, generate_series(3, 5) n WHERE name = 'crew'$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.revoke_permission('docs_all', 'docs.read')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.remove_group_member(host.t(1), 'crew', host.u(3))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.revoke_role_from_group(host.t(1), 'crew', 'docs_all')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_role_to_group(host.t(1), 'crew', 'boss')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.drop_group(host.t(1), 'crew', cascade => true)$$);
-- A tenant's own role.
SELECT * FROM pg_temp.change($$SELECT tenancy.create_role('local', '{bills.*}', tenant => host.t(1))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_role(host.t(1), host.u(5), 'local')$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.drop_role('local', tenant => host.t(1), cascade => true)$$);
-- Operators.
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.operators (user_id, access, reason) VALUES (host.u(6), 'read', 'support'), (host.u(5), 'write', 'support')$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.operators SET access = 'write' WHERE user_id = host.u(6)$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.operators SET user_id = host.u(7) WHERE user_id = host.u(6)$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.operators SET expires_at = now() - interval '1 s' WHERE user_id = host.u(7)$$);
SELECT * FROM pg_temp.change($$DELETE FROM tenancy.operators$$);
-- Moved from user to user by plain DML: both.
SELECT * FROM pg_temp.change($$UPDATE tenancy.member_roles SET user_id = host.u(5) WHERE user_id = host.u(4) AND role_id = (SELECT id FROM tenancy.roles WHERE name = 'reader')$$);
SELECT * FROM pg_temp.change($$DELETE FROM tenancy.member_roles WHERE user_id = host.u(5)$$);
SELECT * FROM pg_temp.change($$DELETE FROM tenancy.role_permissions WHERE permission = 'docs.read'$$);
SELECT * FROM pg_temp.change($$DELETE FROM tenancy.members WHERE user_id IN (host.u(1), host.u(2))$$);
SELECT * FROM pg_temp.change($$WITH gone AS (DELETE FROM tenancy.members WHERE user_id = host.u(3)) INSERT INTO tenancy.members (tenant_id, user_id) VALUES (host.t(3), host.u(1)), (host.t(4), host.u(2))$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.drop_tenant(host.t(4))$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.members (tenant_id, user_id) VALUES (host.t(2), host.u(1)) ON CONFLICT (tenant_id, user_id) DO UPDATE SET status = 'suspended'$$);
SELECT * FROM pg_temp.change($$MERGE INTO tenancy.members m USING (VALUES (host.t(2), host.u(1)), (host.t(2), host.u(2))) v (t, u) ON m.tenant_id = v.t AND m.user_id = v.u
    WHEN MATCHED THEN UPDATE SET status = 'suspended' WHEN NOT MATCHED THEN INSERT (tenant_id, user_id) VALUES (v.t, v.u)$$);
-- A change that is undone, as a whole or to a savepoint.
BEGIN; SELECT tenancy.grant_role(host.t(2), host.u(2), 'boss'); SAVEPOINT s; SELECT tenancy.grant_role(host.t(2), host.u(2), 'payer'); ROLLBACK TO s; COMMIT;
SELECT pg_temp.stored(2);
BEGIN; SELECT tenancy.remove_member(host.t(2), host.u(2)); ROLLBACK;
SELECT pg_temp.stored(2);
-- TRUNCATE: everybody, later.
BEGIN;
TRUNCATE tenancy.member_roles, tenancy.group_members;
SELECT kind, count(*) FROM tenancy.claims_queue GROUP BY kind;
SELECT tenancy.sync_claims(batch => 100), count(*) FROM tenancy.claims_queue;
SELECT pg_temp.stored(2), count(*) FROM tenancy.claims_queue;
TRUNCATE tenancy.members CASCADE;
SELECT tenancy.sync_claims(batch => 100);
SELECT pg_temp.stored(n) FROM generate_series(1, 9) n GROUP BY 1;
ROLLBACK;

-- A grant that ends writes nothing by itself: the token is what it was until somebody reconciles, logs in or writes.
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_role(host.t(1), host.u(5), 'boss', clock_timestamp() + interval '150 ms')$$);
SELECT pg_sleep(0.2);
SELECT pg_temp.stored(5);
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims(host.u(4)), tenancy.sync_claims(host.u(5))$$);
SELECT tenancy.sync_claims(), tenancy.sync_claims(host.u(5)), tenancy.sync_claims('00000000-0000-0000-0000-00000000dead');

-- The list of tenants has an end, and the active one is on it.
INSERT INTO tenancy.tenants (id, slug, name) SELECT host.t(n), 'claims-' || n, 'T' || n FROM generate_series(20, 24) n;
INSERT INTO tenancy.members (tenant_id, user_id) SELECT host.t(n), host.u(9) FROM generate_series(20, 24) n;
SELECT pg_temp.stored(9);
SET tenancy.claims_max_tenants = 3;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
SELECT * FROM pg_temp.change($$INSERT INTO tenancy.active_tenants VALUES (host.u(9), host.t(24))$$);
SELECT * FROM pg_temp.change($$UPDATE tenancy.active_tenants SET tenant_id = host.t(22) WHERE user_id = host.u(9)$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.set_member_status(host.t(20), host.u(9), 'suspended')$$);
SET tenancy.claims_max_tenants = 1;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
SET tenancy.claims_max_tenants = 0;
RESET tenancy.claims_max_tenants;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
SET tenancy.sole_tenant = off;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
RESET tenancy.sole_tenant;
-- The projection is of the tables, whatever decides here.
SET tenancy.authority = claims;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
RESET tenancy.authority;

-- What is not ours stays as it is, to the last digit, in whatever state ours is.
UPDATE host.users SET raw_app_meta_data = '{"n":12345678901234567890.000000000000000012300,"e":1e30,"u":"\u00e4\ud83d\ude00 \"","a":[1,{"perms":[1]},null],"":{},"o":{"tenant_id":7,"tenants":{}},"Perms":1,"perms ":2}' WHERE id = host.u(9);
SELECT raw_app_meta_data - '{perms,tenants,tenant_id}'::text[] FROM host.users WHERE id = host.u(9);
SELECT raw_app_meta_data - '{perms,tenants,tenant_id}'::text[] AS before, tenancy.grant_role(host.t(22), host.u(9), 'boss') FROM host.users WHERE id = host.u(9);
SELECT raw_app_meta_data - '{perms,tenants,tenant_id}'::text[] AS after, raw_app_meta_data -> 'perms' FROM host.users WHERE id = host.u(9);
SELECT * FROM pg_temp.change($$UPDATE host.users SET raw_app_meta_data = NULL WHERE id IN (host.u(8), host.u(9))$$);
SELECT x, c.* FROM unnest(ARRAY['[]', '"perms"', '1', 'null', '["perms"]']) x, pg_temp.change(format('UPDATE host.users SET raw_app_meta_data = %L WHERE id IN (host.u(8), host.u(9))', x)) c;
SELECT * FROM pg_temp.change($$SELECT tenancy.sync_claims()$$);
SELECT * FROM pg_temp.change($$UPDATE host.users SET raw_app_meta_data = '{}' WHERE id = host.u(9)$$);
-- Forged, in whatever way the row is written; the host's own name for what is ours in what it writes is of no use.
SELECT * FROM pg_temp.change($$INSERT INTO host.users (id, raw_app_meta_data) VALUES (host.u(10), '{"perms":["all"],"tenant_id":"7e000000-0000-0000-0000-000000000022","tenants":["7e000000-0000-0000-0000-000000000022"],"tenant_access":"write","own":1}')$$);
SELECT * FROM pg_temp.change($$INSERT INTO host.users (id, raw_app_meta_data) VALUES (host.u(10), '{}') ON CONFLICT (id) DO UPDATE SET raw_app_meta_data = '{"perms":["all"],"own":2}'$$);
SELECT * FROM pg_temp.change($$UPDATE host.users SET raw_app_meta_data = raw_app_meta_data || '{"tenant_access":"write","own":3}' WHERE id IN (host.u(9), host.u(10))$$);
SELECT * FROM pg_temp.change($$UPDATE host.users SET id = host.u(11), raw_app_meta_data = raw_app_meta_data || '{"perms":["all"]}' WHERE id = host.u(10)$$);
COPY host.users (id, raw_app_meta_data) FROM stdin;
5e000000-0000-0000-0000-000000000012	{"perms":["all"],"own":4}
\.
SELECT pg_temp.stored(12);
-- GoTrue writes the whole column from a copy it read before the grant.
CREATE TEMP TABLE copied AS SELECT raw_app_meta_data AS copy FROM host.users WHERE id = host.u(9);
SELECT * FROM pg_temp.change($$SELECT tenancy.revoke_role(host.t(22), host.u(9), 'boss'), tenancy.grant_role(host.t(22), host.u(9), 'payer')$$);
SELECT * FROM pg_temp.change($$UPDATE host.users SET raw_app_meta_data = (SELECT copy || '{"provider":"github"}' FROM copied) WHERE id = host.u(9)$$);
-- Other columns are the host's.
SELECT * FROM pg_temp.change($$UPDATE host.users SET email = 'x@example.com', raw_user_meta_data = '{"perms":["all"],"tenant_access":"write"}' WHERE id = host.u(9)$$);
SELECT raw_user_meta_data FROM host.users WHERE id = host.u(9);
-- A trigger of the host's that writes the column has been before us.
CREATE FUNCTION host.forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.raw_app_meta_data := coalesce(NEW.raw_app_meta_data, '{}') || '{"perms":["all"]}'; RETURN NEW; END $$;
CREATE TRIGGER zz_forge BEFORE INSERT OR UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION host.forge();
SELECT * FROM pg_temp.change($$UPDATE host.users SET raw_app_meta_data = '{}' WHERE id = host.u(9)$$);
SELECT * FROM pg_temp.change($$SELECT tenancy.grant_role(host.t(22), host.u(9), 'reader')$$);
DROP TRIGGER zz_forge ON host.users;
-- A trigger of the host's that writes another user's row while ours is being written.
CREATE FUNCTION host.forge_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE host.users SET raw_app_meta_data = '{"perms":["all"]}' WHERE id = host.u(12) AND NEW.id <> id; RETURN NEW; END $$;
CREATE TRIGGER forge_other AFTER UPDATE ON host.users FOR EACH ROW WHEN (OLD.id <> '5e000000-0000-0000-0000-000000000012') EXECUTE FUNCTION host.forge_other();
SELECT * FROM pg_temp.change($$SELECT tenancy.revoke_role(host.t(22), host.u(9), 'payer')$$);
DROP TRIGGER forge_other ON host.users;
SELECT tenancy.sync_claims();

-- Nobody but our own triggers and administrators replaces claims or asks for another's.
SELECT test.try(host.u(9), 'SELECT tenancy.sync_claims()');
SELECT test.try(host.u(9), 'SELECT tenancy.replace_claims(NULL, NULL)::text');
SELECT test.try(host.u(9), $$SELECT (SELECT claims FROM tenancy.projected_claims('{5e000000-0000-0000-0000-000000000001}'))::text$$);

SELECT tenancy.detach_users();
SET client_min_messages = warning;
DROP SCHEMA host CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'claims-%';
DELETE FROM tenancy.roles WHERE name IN ('reader', 'docs_all', 'boss', 'payer', 'empty');
DELETE FROM tenancy.permissions WHERE NOT builtin;
