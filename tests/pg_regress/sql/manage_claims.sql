-- Claims of the application's own in the attached users table: for administrators, service_role included, who has no
-- privilege on that table; never for those whom a token merely calls so.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set alice '''0e000000-0000-0000-0000-0000000000a1'''
\set bob '''0e000000-0000-0000-0000-0000000000b1'''
\set tenant '''0e000000-0000-0000-0000-00000000000a'''
CREATE ROLE mc_authenticator LOGIN NOINHERIT;
CREATE ROLE mc_service NOLOGIN BYPASSRLS;
CREATE ROLE mc_stranger NOLOGIN;
GRANT anon, authenticated, mc_service TO mc_authenticator;
SELECT tenancy.enable_role('mc_service');
CREATE SCHEMA "Auth of claims";
CREATE TABLE "Auth of claims"."Users" ("Id" uuid PRIMARY KEY, "Meta data" jsonb);
ALTER TABLE "Auth of claims"."Users" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
INSERT INTO "Auth of claims"."Users" VALUES (:alice, '{"provider":"email","plan":"free"}'), (:bob, NULL);
-- As a role of the request; what it did is kept.
CREATE FUNCTION pg_temp.by(db_role text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    found_detail text; found_hint text;
BEGIN
    PERFORM set_config('request.jwt.claims', json_build_object('sub', '0e000000-0000-0000-0000-0000000000a1', 'role', db_role, 'app_metadata', json_build_object('tenant_access', 'write'))::text, true), set_config('role', db_role, true);
    EXECUTE replace(replace(command, '$A', '''0e000000-0000-0000-0000-0000000000a1'''), '$B', '''0e000000-0000-0000-0000-0000000000b1''') INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_detail = PG_EXCEPTION_DETAIL, found_hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, 'DETAIL ' || nullif(found_detail, ''), 'HINT ' || nullif(found_hint, ''));
END
$$;
CREATE FUNCTION pg_temp.as_they_are() RETURNS TABLE (id text, metadata jsonb) LANGUAGE sql AS $$ SELECT right("Id"::text, 2), "Meta data" FROM "Auth of claims"."Users" ORDER BY 1 $$;

-- Nothing attached, and a table without metadata.
SELECT command, pg_temp.by('mc_service', command) FROM unnest(ARRAY['SELECT tenancy.get_claims($A)', $$SELECT tenancy.set_claim($A, 'plan', '"pro"')$$]) command;
CREATE TABLE public.mc_plain (id uuid PRIMARY KEY);
SELECT tenancy.attach_users('public.mc_plain');
SELECT pg_temp.by('mc_service', 'SELECT tenancy.get_claims($A)');
SELECT tenancy.detach_users();
DROP TABLE public.mc_plain;
SELECT tenancy.attach_users('"Auth of claims"."Users"', id_column => 'Id', app_metadata_column => 'Meta data');
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'mc', 'MC');
SELECT tenancy.add_member(:tenant, :alice);
SELECT * FROM pg_temp.as_they_are();

-- Who may.
SELECT r, c.command, pg_temp.by(r, c.command)
  FROM unnest(ARRAY['anon', 'authenticated', 'mc_authenticator', 'mc_stranger', 'mc_service', 'none']) WITH ORDINALITY v (r, n),
       (VALUES (1, 'SELECT tenancy.get_claims($B)'), (2, $$SELECT tenancy.get_claim($A, 'plan')$$), (3, $$SELECT tenancy.set_claim($B, 'by', to_jsonb(current_user::text))$$), (4, $$SELECT tenancy.delete_claim($B, 'by')$$),
               (5, 'SELECT count(*) FROM "Auth of claims"."Users"')) c (i, command)
 ORDER BY v.n, c.i;
-- A wrapper with the superuser's rights does not make its caller an administrator.
CREATE FUNCTION public.mc_wrapper() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$ SELECT tenancy.get_claims('0e000000-0000-0000-0000-0000000000a1') $$;
SELECT pg_temp.by('authenticated', 'SELECT public.mc_wrapper()'), pg_temp.by('mc_service', 'SELECT public.mc_wrapper()');
-- nor do the pieces they are made of serve anybody by themselves
SELECT r, pg_temp.by(r, $$SELECT tenancy.write_claim($A, 'plan', '"pro"')$$), pg_temp.by(r, 'SELECT tenancy.claims_of($A)') FROM unnest(ARRAY['authenticated', 'mc_service']) r;

-- What they do: values of every kind, changed or not.
SELECT c.command, pg_temp.by('mc_service', c.command) FROM (VALUES
    (1, $$SELECT tenancy.set_claim($A, 'plan', '"pro"')$$), (2, $$SELECT tenancy.set_claim($A, 'plan', '"pro"')$$), (3, $$SELECT tenancy.get_claim($A, 'plan')$$), (4, $$SELECT tenancy.set_claim($A, 'limits', '{"seats":[1,2]}')$$),
    (5, $$SELECT tenancy.set_claim($A, 'nothing', 'null')$$), (6, $$SELECT tenancy.set_claim($A, 'nothing', 'null')$$), (7, $$SELECT tenancy.get_claim($A, 'nothing')$$), (8, $$SELECT tenancy.get_claim($A, 'no such')$$),
    (9, $$SELECT tenancy.set_claim($A, 'it''s "odd" %s %I $1', 'true')$$), (10, $$SELECT tenancy.delete_claim($A, 'limits')$$), (11, $$SELECT tenancy.delete_claim($A, 'limits')$$),
    (12, $$SELECT tenancy.set_claim($B, 'first', '1')$$), (13, $$SELECT tenancy.delete_claim($B, 'first')$$), (14, 'SELECT tenancy.get_claims($B)')) c (i, command) ORDER BY c.i;
SELECT * FROM pg_temp.as_they_are();
-- Ours: read, not written; the hint names what to use.
SELECT k, pg_temp.by('mc_service', format('SELECT tenancy.get_claim($A, %L)', k)) AS get, pg_temp.by('mc_service', format($$SELECT tenancy.set_claim($A, %L, '"x"')$$, k)) AS set, left(pg_temp.by('none', format('SELECT tenancy.delete_claim($A, %L)', k)), 5) AS delete
  FROM unnest(ARRAY['tenant_id', 'perms', 'tenants', 'tenant_access', 'Tenant_id']) k;
SELECT tenancy.delete_claim(:alice, 'Tenant_id');
-- Bad arguments.
SELECT c.command, pg_temp.by('mc_service', c.command) FROM (VALUES
    (1, $$SELECT tenancy.get_claims(NULL)$$), (2, $$SELECT tenancy.get_claims('0e000000-0000-0000-0000-0000000000ff')$$), (3, $$SELECT tenancy.set_claim('0e000000-0000-0000-0000-0000000000ff', 'a', '1')$$),
    (4, $$SELECT tenancy.delete_claim('0e000000-0000-0000-0000-0000000000ff', 'a')$$), (5, $$SELECT tenancy.get_claim($A, NULL)$$), (6, $$SELECT tenancy.get_claim($A, '')$$), (7, $$SELECT tenancy.set_claim($A, NULL, '1')$$), (8, $$SELECT tenancy.set_claim($A, '', '1')$$),
    (9, $$SELECT tenancy.set_claim($A, 'a', NULL)$$), (10, $$SELECT tenancy.delete_claim($A, NULL)$$), (11, $$SELECT tenancy.delete_claim($A, '')$$)) c (i, command) ORDER BY c.i;
-- What a superuser maintains for somebody else runs that one's code, and lends it nothing.
CREATE SCHEMA mc_own AUTHORIZATION authenticated;
SET ROLE authenticated;
CREATE FUNCTION mc_own.key(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN n; END $$;
CREATE TABLE mc_own.rows AS SELECT 1 AS n;
CREATE INDEX ON mc_own.rows (mc_own.key(n));
CREATE OR REPLACE FUNCTION mc_own.key(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM tenancy.set_claim('0e000000-0000-0000-0000-0000000000a1', 'plan', to_jsonb(current_user));
    RETURN n;
END
$$;
RESET ROLE;
SELECT test.attempt(NULL, 'REINDEX TABLE mc_own.rows'), tenancy.get_claim(:alice, 'plan');
DROP SCHEMA mc_own CASCADE;
-- Metadata that is JSON's null is as good as none; what is no object at all is left alone.
UPDATE "Auth of claims"."Users" SET "Meta data" = 'null' WHERE "Id" = :bob;
SELECT pg_temp.by('mc_service', 'SELECT tenancy.get_claims($B)'), pg_temp.by('mc_service', $$SELECT tenancy.delete_claim($B, 'a')$$), pg_temp.by('mc_service', $$SELECT tenancy.set_claim($B, 'a', '1')$$);
UPDATE "Auth of claims"."Users" SET "Meta data" = '[1]' WHERE "Id" = :bob;
SELECT pg_temp.by('mc_service', $$SELECT tenancy.set_claim($B, 'a', '1')$$), pg_temp.by('mc_service', $$SELECT tenancy.delete_claim($B, 'a')$$);
SELECT * FROM pg_temp.as_they_are();
-- An operator's unknown user, now that there is a table of them.
SELECT test.attempt(NULL, $$SELECT tenancy.grant_operator('0e000000-0000-0000-0000-0000000000ff', 'read')$$);

SELECT tenancy.drop_tenant(:tenant), tenancy.detach_users();
-- A table dropped while attached is as good as none.
SELECT tenancy.attach_users('"Auth of claims"."Users"', id_column => 'Id', app_metadata_column => 'Meta data');
DROP SCHEMA "Auth of claims" CASCADE;
SELECT pg_temp.by('mc_service', 'SELECT tenancy.get_claims($A)');
SELECT tenancy.detach_users();
DROP FUNCTION public.mc_wrapper();
SELECT tenancy.disable_role('mc_service');
DROP ROLE mc_authenticator, mc_service, mc_stranger;
