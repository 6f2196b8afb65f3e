-- The pre-request function as PostgREST calls it: one set_config for all of the request's settings, then the function as
-- the impersonated role, then the query; GET runs READ ONLY.
\set SHOW_CONTEXT never
\set a '''0d000000-0000-0000-0000-00000000000a'''
\set b '''0d000000-0000-0000-0000-00000000000b'''
\set c '''0d000000-0000-0000-0000-00000000000c'''
\set user '''0d000000-0000-0000-0000-000000000001'''
CREATE ROLE pre_authenticator LOGIN NOINHERIT;
CREATE ROLE pre_service NOLOGIN BYPASSRLS;
GRANT anon, authenticated, pre_service TO pre_authenticator;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'pre-a', 'A'), (:b, 'pre-b', 'B'), (:c, 'pre-c', 'C');
SELECT tenancy.add_member(:a, :user), tenancy.add_member(:c, :user), tenancy.set_tenant_status(:c, 'suspended');
SET tenancy.tenant_header = 'x-tenant';
CREATE SCHEMA hooks;
GRANT USAGE ON SCHEMA hooks TO PUBLIC;
-- A request: what it answers, in the words of the function called next, if there is one, and of the query.
CREATE FUNCTION pg_temp.request(command text, token jsonb, headers jsonb DEFAULT '{}', tenant text DEFAULT '', path text DEFAULT '"$user", public', next text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    hint text;
BEGIN
    PERFORM set_config('tenancy.next_pre_request', next, true) WHERE next IS NOT NULL;
    PERFORM set_config('search_path', path, true), set_config('role', coalesce(token ->> 'role', 'anon'), true), set_config('request.jwt.claims', token::text, true),
            set_config('request.method', 'GET', true), set_config('request.headers', headers::text, true), set_config('tenancy.tenant_id', tenant, true);
    PERFORM set_config('transaction_read_only', 'on', true);
    EXECUTE 'SELECT tenancy.pre_request()';
    EXECUTE command INTO answer;
    RAISE EXCEPTION USING ERRCODE = 'P0UND', MESSAGE = coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN CASE SQLSTATE WHEN 'P0UND' THEN SQLERRM ELSE concat_ws(E'\n  HINT ', SQLSTATE || ' ' || SQLERRM, nullif(hint, '')) END;
END
$$;
CREATE FUNCTION pg_temp.token(sub text, role text DEFAULT 'authenticated', rest jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('sub', sub, 'role', role) || rest $$;
CREATE TEMP TABLE q AS SELECT $$SELECT coalesce(right(tenancy.current_tenant_id()::text, 1), 'none') || ' as ' || current_role || ', read only ' || current_setting('transaction_read_only')$$ AS query;
SELECT name, pg_temp.request(q.query, token, headers, tenant) FROM q, (VALUES
    (1, 'a tenant of his, by header', pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-00000000000a"}'::jsonb, ''),
    (2, 'a tenant of his, by setting', pg_temp.token(:user), '{}', :a),
    (3, 'nothing named', pg_temp.token(:user), '{}', ''),
    (4, 'another''s tenant, by header', pg_temp.token(:user), '{"X-Tenant":"0d000000-0000-0000-0000-00000000000b"}', ''),
    (5, 'another''s tenant, by setting', pg_temp.token(:user), '{}', :b),
    (6, 'a tenant there is not', pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-0000000000ff"}', ''),
    (7, 'no uuid', pg_temp.token(:user), '{"x-tenant":"acme"}', ''),
    (8, 'a suspended tenant', pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-00000000000c"}', ''),
    (9, 'another''s by setting, his by header: the first decides', pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-00000000000a"}', :b),
    (10, 'an empty header', pg_temp.token(:user), '{"x-tenant":""}', ''),
    (11, 'a stale claim locks nobody out', pg_temp.token(:user, rest => '{"app_metadata":{"tenant_id":"0d000000-0000-0000-0000-00000000000b"}}'), '{}', ''),
    (12, 'nor is a header refused for it', pg_temp.token(:user, rest => '{"app_metadata":{"tenant_id":"0d000000-0000-0000-0000-00000000000b"}}'), '{"x-tenant":"0d000000-0000-0000-0000-00000000000a"}', ''),
    (13, 'anon', '{"role":"anon"}', '{}', ''),
    (14, 'anon, with a header: nobody to refuse', '{"role":"anon"}', '{"x-tenant":"0d000000-0000-0000-0000-00000000000b"}', ''),
    (15, 'an expired token is nobody''s', pg_temp.token(:user, rest => '{"exp":1}'), '{"x-tenant":"0d000000-0000-0000-0000-00000000000b"}', ''),
    (16, 'a role that is no application role', pg_temp.token(:user, 'pre_service'), '{}', '')
  ) v (n, name, token, headers, tenant) ORDER BY n;
-- the message repeats nothing of the tenant, and says where to look
SELECT pg_temp.request('SELECT 1', pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-00000000000b"}') ~ '0d000000|pre-b' AS tells;

-- The function next in the chain: after ours, as the request's role, under its search_path; what it sets lasts.
CREATE FUNCTION hooks.next() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hooks.said', format('%s by %s in %s under %s', coalesce(right(tenancy.current_tenant_id()::text, 1), 'none'), current_role, current_setting('request.method'), current_setting('search_path')), true);
    IF tenancy.claim('app_metadata.banned') IS NOT NULL THEN
        RAISE EXCEPTION 'banned' USING ERRCODE = 'PT402', HINT = 'Pay.';
    END IF;
END
$$;
CREATE FUNCTION hooks."Odd name"(times int DEFAULT 2) RETURNS int LANGUAGE sql AS $$ SELECT set_config('hooks.said', 'odd ' || times, true); SELECT times $$;
CREATE PROCEDURE hooks.procedure() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION hooks.wants_more(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT next AS next_pre_request, pg_temp.request($$SELECT current_setting('hooks.said', true)$$, pg_temp.token(:user), '{"x-tenant":"0d000000-0000-0000-0000-00000000000a"}', path => 'hooks, public', next => next) AS answer
  FROM unnest(ARRAY['', 'hooks.next', 'HOOKS.Next', 'hooks."Odd name"', 'tenancy.pre_request', '"tenancy"."pre_request"', 'next', 'hooks.none', 'none.next', 'hooks.procedure', 'hooks.wants_more', 'hooks.next(); SELECT 1', 'hooks.next()', 'a.b.c', '.']) next
 ORDER BY next COLLATE "C";
SET tenancy.next_pre_request = 'hooks.next';
-- refused before it runs: it would have said 402
SELECT pg_temp.request('SELECT 1', pg_temp.token(:user, rest => '{"app_metadata":{"banned":true}}'), '{"x-tenant":"0d000000-0000-0000-0000-00000000000b"}');
SELECT pg_temp.request('SELECT 1', pg_temp.token(:user, rest => '{"app_metadata":{"banned":true}}'), '{"x-tenant":"0d000000-0000-0000-0000-00000000000a"}');
SELECT pg_temp.request($$SELECT current_setting('hooks.said', true)$$, '{"role":"anon"}');
-- what it sets lasts as long as the transaction and no longer, statement after statement
BEGIN READ ONLY;
SELECT set_config('search_path', 'public', true), set_config('role', 'authenticated', true), set_config('request.jwt.claims', json_build_object('sub', :user, 'role', 'authenticated')::text, true) IS NOT NULL AS claims, set_config('request.method', 'GET', true);
SELECT tenancy.pre_request();
SELECT current_setting('hooks.said');
SELECT current_setting('hooks.said'), current_setting('search_path');
COMMIT;
SELECT current_setting('hooks.said');
-- Only superusers say which is next.
SET ROLE authenticated;
SET tenancy.next_pre_request = 'hooks.next';
RESET ROLE;
RESET tenancy.next_pre_request;

-- Objects in a schema that the request's search_path names before pg_catalog: none of them is used.
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil function'; END $$;
CREATE FUNCTION evil.parse_ident(text) RETURNS text[] LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil function'; END $$;
CREATE FUNCTION evil.cardinality(text[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil function'; END $$;
CREATE FUNCTION evil.format(text, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil function'; END $$;
CREATE FUNCTION evil.request_is_refused() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil function'; END $$;
CREATE FUNCTION evil.raises(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE FUNCTION evil.raises(text[], text[]) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE FUNCTION evil.raises(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE FUNCTION evil.raises(smallint, smallint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE FUNCTION evil.raises(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE FUNCTION evil.raises("char", "char") RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil operator'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.raises);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.raises);
CREATE OPERATOR evil.= (LEFTARG = text[], RIGHTARG = text[], FUNCTION = evil.raises);
CREATE OPERATOR evil.<> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.raises);
CREATE OPERATOR evil.= (LEFTARG = smallint, RIGHTARG = smallint, FUNCTION = evil.raises);
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.raises);
CREATE OPERATOR evil.= (LEFTARG = "char", RIGHTARG = "char", FUNCTION = evil.raises);
CREATE DOMAIN evil.text AS pg_catalog.int4 CHECK (VALUE > 1000);
CREATE VIEW evil.pg_proc AS SELECT 1 / 0 AS oid;
CREATE VIEW evil.pg_namespace AS SELECT 1 / 0 AS oid;
GRANT SELECT ON evil.pg_proc, evil.pg_namespace TO PUBLIC;
-- they do catch who does not say the schema
BEGIN;
SET LOCAL search_path = evil, pg_catalog;
SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text;
ROLLBACK;
-- a session that has not called it yet, so that its types are looked up now
\connect -
SET tenancy.next_pre_request = 'hooks."Odd name"';
BEGIN READ ONLY;
SELECT pg_catalog.set_config('request.jwt.claims', pg_catalog.json_build_object('sub', :user, 'role', 'authenticated')::pg_catalog.text, true) IS NOT NULL AS claims, pg_catalog.set_config('tenancy.tenant_id', :a, true) IS NOT NULL AS tenant,
       pg_catalog.set_config('role', 'authenticated', true), pg_catalog.set_config('search_path', 'evil, pg_catalog', true);
SELECT tenancy.pre_request();
SELECT pg_catalog.current_setting('hooks.said') AS said;
ROLLBACK;
RESET tenancy.next_pre_request;

-- Registering. Settings of a role are the cluster's, so it is done for this database only.
CREATE FUNCTION pg_temp.registered() RETURNS TABLE (db text, config text) LANGUAGE sql AS $$
    SELECT CASE setdatabase WHEN 0 THEN 'all' ELSE 'this' END, array_to_string(setconfig, ' ') FROM pg_db_role_setting WHERE setrole = 'pre_authenticator'::regrole ORDER BY 1 $$;
SELECT tenancy.register_pre_request('pre_authenticator');
SELECT * FROM pg_temp.registered();
SELECT tenancy.register_pre_request('pre_authenticator') AS again;
SELECT tenancy.enable_role('pre_service');
SELECT tenancy.register_pre_request('pre_authenticator') AS again;
-- another one stays, whether for this database or for all
DO $$ BEGIN EXECUTE format('ALTER ROLE pre_authenticator IN DATABASE %I RESET pgrst.db_pre_request', current_database()); END $$;
ALTER ROLE pre_authenticator SET pgrst.db_pre_request = 'hooks.next';
SELECT tenancy.register_pre_request('pre_authenticator');
SELECT * FROM pg_temp.registered();
-- named without a schema, it is looked up for the notice
ALTER ROLE pre_authenticator SET pgrst.db_pre_request = 'next';
SELECT tenancy.register_pre_request('pre_authenticator');
-- what the notice says does it
DO $$
BEGIN
    EXECUTE format('ALTER ROLE pre_authenticator IN DATABASE %I SET tenancy.next_pre_request = %L', current_database(), 'hooks.next');
    EXECUTE format('ALTER ROLE pre_authenticator IN DATABASE %I SET pgrst.db_pre_request = %L', current_database(), 'tenancy.pre_request');
END
$$;
SELECT * FROM pg_temp.registered();
SELECT tenancy.register_pre_request('pre_authenticator') AS again;
-- refused
SELECT tenancy.register_pre_request('nobody_at_all');
SELECT tenancy.register_pre_request(NULL);
SET ROLE authenticated;
SELECT tenancy.register_pre_request('pre_authenticator');
RESET ROLE;
SELECT test.attempt('0d000000-0000-0000-0000-000000000001', 'SELECT tenancy.registered_pre_request(''pre_authenticator'')');

UNSET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
DROP SCHEMA hooks CASCADE;
SELECT tenancy.disable_role('pre_service');
DROP ROLE pre_authenticator;
DROP ROLE pre_service;
SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE slug LIKE 'pre-%';
