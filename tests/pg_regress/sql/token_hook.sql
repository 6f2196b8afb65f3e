-- The access-token hook: adds what the tables say, keeps what is not its own, and never is the reason for a login that fails.
\set SHOW_CONTEXT never
\set VERBOSITY terse
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hook_auth_server') THEN CREATE ROLE hook_auth_server NOLOGIN NOINHERIT; END IF; END $$;
GRANT USAGE ON SCHEMA tenancy TO hook_auth_server;
GRANT EXECUTE ON FUNCTION tenancy.custom_access_token_hook(jsonb) TO hook_auth_server;
INSERT INTO tenancy.tenants (id, slug, name) SELECT ('7e000000-0000-0000-0000-0000000000b' || n)::uuid, 'hook-' || n, 'T' FROM generate_series(1, 2) n;
SELECT count(tenancy.create_permission(p)) FROM unnest(ARRAY['docs.read', 'docs.edit']) p;
SELECT count(tenancy.create_role('reader', '{docs.*}'));
SELECT tenancy.add_member('7e000000-0000-0000-0000-0000000000b1', '5e000000-0000-0000-0000-0000000000b1', '{reader}'),
       tenancy.add_member('7e000000-0000-0000-0000-0000000000b1', '5e000000-0000-0000-0000-0000000000b2'), tenancy.add_member('7e000000-0000-0000-0000-0000000000b2', '5e000000-0000-0000-0000-0000000000b2', '{reader}');
INSERT INTO tenancy.operators (user_id, access, reason) VALUES ('5e000000-0000-0000-0000-0000000000b3', 'read', 'support');
-- An event as GoTrue makes it.
CREATE FUNCTION pg_temp.event(who int, more jsonb DEFAULT '{}', method text DEFAULT 'password') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('user_id', '5e000000-0000-0000-0000-0000000000b' || who, 'authentication_method', method, 'claims',
        '{"iss":"https://x.supabase.co/auth/v1","aud":"authenticated","exp":1798761600,"iat":1798758000,"sub":"5e000000-0000-0000-0000-0000000000b1","email":"ä@example.com","phone":"",
          "app_metadata":{"provider":"email","providers":["email"]},"user_metadata":{"perms":["all"],"tenant_id":"x"},"role":"authenticated","aal":"aal1","amr":[{"method":"password","timestamp":1798758000}],
          "session_id":"0000abcd-0000-0000-0000-000000000001","is_anonymous":false}'::jsonb || more)
$$;
GRANT EXECUTE ON FUNCTION pg_temp.event(int, jsonb, text) TO hook_auth_server;
-- Only the part that is not as it was, to be read; and that the rest is.
CREATE FUNCTION pg_temp.hooked(event jsonb) RETURNS TABLE (app_metadata text, user_permissions text, all_else text) LANGUAGE sql AS $$
    SELECT a #>> '{claims,app_metadata}', a #>> '{claims,user_permissions}',
           CASE WHEN a #- '{claims,app_metadata}' #- '{claims,user_permissions}' = $1 #- '{claims,app_metadata}' #- '{claims,user_permissions}' THEN 'as it was' ELSE 'CHANGED: ' || a::text END
      FROM tenancy.custom_access_token_hook($1) a
$$;
SET ROLE hook_auth_server;
SET statement_timeout = '2 s';
SELECT jsonb_pretty(tenancy.custom_access_token_hook(pg_temp.event(1)));
RESET ROLE;
SELECT who, h.* FROM generate_series(1, 4) who, pg_temp.hooked(pg_temp.event(who)) h;
-- As the auth server: without any other privilege, in a transaction of its own, and READ ONLY.
BEGIN READ ONLY;
SET LOCAL ROLE hook_auth_server;
SELECT tenancy.custom_access_token_hook(pg_temp.event(1)) #>> '{claims,app_metadata}';
SELECT count(*) FROM tenancy.members;
ROLLBACK;
-- Of the claims of the request that calls it it knows nothing, nor of its row_security and search_path.
BEGIN;
SET LOCAL request.jwt.claims = '{"sub":"5e000000-0000-0000-0000-0000000000b2"}';
SET LOCAL tenancy.tenant_id = '7e000000-0000-0000-0000-0000000000b2';
SET LOCAL row_security = on;
SET LOCAL search_path = '';
SELECT tenancy.custom_access_token_hook(pg_temp.event(1)) #>> '{claims,app_metadata}';
ROLLBACK;
-- Forged or stale keys of ours are replaced, or go.
SELECT h.* FROM pg_temp.hooked(pg_temp.event(1, '{"app_metadata":{"perms":["all"],"tenant_id":"7e000000-0000-0000-0000-0000000000b2","tenants":[],"tenant_access":"write","own":[1.50,{"perms":1}]}}')) h;
SELECT h.* FROM pg_temp.hooked(pg_temp.event(4, '{"app_metadata":{"perms":["all"],"tenant_id":"7e000000-0000-0000-0000-0000000000b2","tenants":[],"tenant_access":"write","own":12345678901234567890.00}}')) h;
SELECT h.* FROM unnest(ARRAY['null', '{}']) m, pg_temp.hooked(pg_temp.event(1, jsonb_build_object('app_metadata', m::jsonb))) h;
SELECT h.* FROM pg_temp.hooked(pg_temp.event(1) #- '{claims,app_metadata}') h;
-- The list at the top level, for an API that reads it there; it is ours then, and only then.
SELECT h.* FROM pg_temp.hooked(pg_temp.event(1, '{"user_permissions":["forged"]}')) h;
SET tenancy.token_user_permissions = on;
SELECT h.* FROM pg_temp.hooked(pg_temp.event(1, '{"user_permissions":["forged"]}')) h;
SELECT h.* FROM pg_temp.hooked(pg_temp.event(4, '{"user_permissions":["forged"]}')) h;
RESET tenancy.token_user_permissions;
-- The choice, the status, the end of a grant: as of this moment.
INSERT INTO tenancy.active_tenants VALUES ('5e000000-0000-0000-0000-0000000000b2', '7e000000-0000-0000-0000-0000000000b2');
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(2)) h;
UPDATE tenancy.tenants SET status = 'read_only' WHERE slug = 'hook-2';
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(2)) h;
UPDATE tenancy.tenants SET status = 'suspended' WHERE slug = 'hook-2';
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(2)) h;
UPDATE tenancy.member_roles SET expires_at = clock_timestamp() + interval '100 ms' WHERE user_id = '5e000000-0000-0000-0000-0000000000b1';
BEGIN;
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(1)) h;
SELECT pg_sleep(0.15);
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(1)) h;
COMMIT;
SET tenancy.authority = claims;
SELECT h.app_metadata FROM pg_temp.hooked(pg_temp.event(3)) h;
RESET tenancy.authority;
-- What is no event comes back as it is, to the byte.
SELECT e, CASE WHEN tenancy.custom_access_token_hook(e::jsonb)::text = e::jsonb::text THEN 'as it was' ELSE tenancy.custom_access_token_hook(e::jsonb)::text END AS answer FROM unnest(ARRAY[
    'null', '1', '"x"', '[]', '{}', 'true', '{"user_id":"5e000000-0000-0000-0000-0000000000b1"}', '{"claims":{}}', '{"user_id":null,"claims":{}}', '{"user_id":1,"claims":{}}', '{"user_id":["5e000000-0000-0000-0000-0000000000b1"],"claims":{}}',
    '{"user_id":"","claims":{}}', '{"user_id":"5e000000","claims":{}}', '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":null}', '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":[]}',
    '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":"{}"}', '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":{"app_metadata":[]}}', '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":{"app_metadata":"x"}}',
    '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":{"app_metadata":false}}', '{"user_id":"5e000000-0000-0000-0000-0000000000b1","claims":{"app_metadata":0}}', '{"User_id":"5e000000-0000-0000-0000-0000000000b1","claims":{}}']) e;
-- Users whom nobody knows, and the nil uuid: a token without rights; other spellings of a uuid are that uuid.
SELECT u, tenancy.custom_access_token_hook(jsonb_build_object('user_id', u, 'claims', '{"app_metadata":{"perms":["all"],"tenant_access":"write"}}'::jsonb)) #>> '{claims,app_metadata}' AS app_metadata
  FROM unnest(ARRAY['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '5E000000-0000-0000-0000-0000000000B3', '{5e000000-0000-0000-0000-0000000000b3}', '5e0000000000000000000000000000b3']) u;
SELECT tenancy.custom_access_token_hook(NULL) IS NULL AS null_stays_null;
-- Duplicate keys are jsonb's affair: the last one counts. Escapes, numbers, empty keys and depth go through.
SELECT tenancy.custom_access_token_hook('{"user_id":"x","user_id":"5e000000-0000-0000-0000-0000000000b3","claims":{"app_metadata":{"a":1,"a":2}},"claims":{"exp":1e3,"":"","k\u0022\\":"\ud83d\ude00\u0001","n":-0.10,"app_metadata":{"":[[]]}}}');
SELECT length(tenancy.custom_access_token_hook(e)::text) - length(e::text) AS longer_by FROM pg_temp.event(3, jsonb_build_object('huge', repeat('ä\"', 2000000))) e;
SELECT length(tenancy.custom_access_token_hook(e)::text) - length(e::text) AS longer_by FROM pg_temp.event(3, jsonb_build_object('app_metadata', (SELECT jsonb_object_agg(n::text, n) FROM generate_series(1, 50000) n))) e;
SELECT d AS depth, (tenancy.custom_access_token_hook(e) #> '{claims,app_metadata}') - 'deep' AS app_metadata
  FROM unnest(ARRAY[100, 127, 128, 129, 1000, 5000]) d, pg_temp.event(3, jsonb_build_object('app_metadata', jsonb_build_object('deep', (repeat('[', d) || repeat(']', d))::jsonb))) e;
SELECT d AS depth, (tenancy.custom_access_token_hook(e) #> '{claims,app_metadata}') AS app_metadata
  FROM unnest(ARRAY[1000, 5000]) d, LATERAL (SELECT pg_temp.event(3) || jsonb_build_object('deep', (repeat('{"":', d) || '0' || repeat('}', d))::jsonb)) x (e);
-- A hundred tenants in time: two seconds is what the auth server waits, two milliseconds what is promised (benches/).
INSERT INTO tenancy.tenants (slug, name) SELECT 'hook-many-' || n, 'T' FROM generate_series(1, 100) n;
INSERT INTO tenancy.members (tenant_id, user_id) SELECT id, '5e000000-0000-0000-0000-0000000000b5' FROM tenancy.tenants WHERE slug LIKE 'hook-many-%';
SELECT jsonb_array_length(tenancy.custom_access_token_hook(pg_temp.event(5)) #> '{claims,app_metadata,tenants}');
-- Switched off, it is not there.
SET tenancy.token_hook = off;
SELECT e = tenancy.custom_access_token_hook(e) AS as_it_was FROM pg_temp.event(1, '{"app_metadata":{"perms":["all"]}}') e;
RESET tenancy.token_hook;
-- By the auth server only.
SELECT rolname FROM pg_roles WHERE has_function_privilege(oid, 'tenancy.custom_access_token_hook(jsonb)', 'EXECUTE') AND NOT rolsuper ORDER BY 1;
SELECT test.try('5e000000-0000-0000-0000-0000000000b1', $$SELECT tenancy.custom_access_token_hook('{"user_id":"5e000000-0000-0000-0000-0000000000b2","claims":{}}')::text$$);
SET ROLE hook_auth_server;
SELECT tenancy.sync_claims();
SELECT tenancy.sync_users('{}');
SELECT * FROM tenancy.projected_claims('{}');
RESET ROLE;
RESET statement_timeout;
REVOKE ALL ON FUNCTION tenancy.custom_access_token_hook(jsonb) FROM hook_auth_server;
REVOKE ALL ON SCHEMA tenancy FROM hook_auth_server;
DROP FUNCTION pg_temp.event(int, jsonb, text) CASCADE;
DROP ROLE hook_auth_server;
DELETE FROM tenancy.tenants WHERE slug LIKE 'hook-%';
DELETE FROM tenancy.operators;
DELETE FROM tenancy.roles WHERE NOT builtin;
DELETE FROM tenancy.permissions WHERE NOT builtin;
