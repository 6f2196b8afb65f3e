-- Threat 6: the functions answer for the identity of the request, whatever database role runs them.
\set tenant '''1d000000-0000-0000-0000-0000000000ea'''
\set user '''1d000000-0000-0000-0000-0000000000e1'''
\set owner '''1d000000-0000-0000-0000-0000000000e2'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'identity-roles', 'R');
SELECT tenancy.create_permission('idroles.read');
SELECT tenancy.create_role('idroles_reader', '{idroles.read}') IS NOT NULL AS created;
SELECT tenancy.add_member(:tenant, :user, '{idroles_reader}'), tenancy.add_member(:tenant, :owner, '{owner}');
CREATE ROLE idroles_stranger NOLOGIN;
CREATE ROLE idroles_bypass NOLOGIN BYPASSRLS;
CREATE ROLE idroles_super NOLOGIN SUPERUSER;
CREATE FUNCTION public.whoami() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s user %s member %s read %s assign %s',
                  CASE WHEN current_user ~ '^idroles|authenticated' THEN current_user ELSE 'tester' END, coalesce(right(tenancy.current_user_id()::text, 2), '-'),
                  tenancy.is_member('1d000000-0000-0000-0000-0000000000ea'), tenancy.has_permission('idroles.read'),
                  tenancy.has_permission('members.assign')) $$;
-- What users write themselves, and what its owner may be.
CREATE FUNCTION public.whoami_definer() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT public.whoami()';
CREATE FUNCTION public.whoami_stranger() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT public.whoami()';
ALTER FUNCTION public.whoami_stranger() OWNER TO idroles_stranger;
GRANT USAGE ON SCHEMA tenancy TO idroles_stranger, idroles_bypass;

BEGIN;
SELECT tenancy.act_as(:user);
SELECT public.whoami(), public.whoami_definer(), public.whoami_stranger();
-- Roles in turn, the claims standing.
RESET ROLE;
SET LOCAL ROLE idroles_stranger;
SELECT public.whoami(), public.whoami_definer();
RESET ROLE;
SET LOCAL ROLE idroles_bypass;
SELECT public.whoami(), public.whoami_stranger();
RESET ROLE;
SET LOCAL ROLE idroles_super;
SELECT public.whoami(), public.whoami_stranger();
RESET ROLE;
SELECT public.whoami(), session_user = current_user AS is_session_user;
COMMIT;
-- A superuser without claims is nobody, as is the owner of the tables.
SELECT public.whoami(), public.whoami_stranger();
SET SESSION AUTHORIZATION idroles_super;
SELECT public.whoami();
RESET SESSION AUTHORIZATION;
-- RESET ALL and DISCARD ALL leave nobody; a plain SET ends with its transaction, committed or not.
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', :user)::text, false) IS NOT NULL AS set;
SELECT public.whoami();
RESET ALL;
SELECT public.whoami();
COMMIT;
SELECT set_config('request.jwt.claims', json_build_object('sub', :user)::text, false) IS NOT NULL AS set, public.whoami();
SELECT public.whoami();
SET request.jwt.claims = '{"sub":"1d000000-0000-0000-0000-0000000000e1"}';
DISCARD ALL;
SELECT public.whoami();
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = '{"sub":"1d000000-0000-0000-0000-0000000000e1"}';
SELECT public.whoami();
BEGIN;
SET request.jwt.claims = '{"sub":"1d000000-0000-0000-0000-0000000000e2"}';
SELECT public.whoami();
ROLLBACK;
SELECT public.whoami();
DISCARD ALL;
SELECT public.whoami(), current_setting('tenancy.claims_scope') AS claims_scope;

-- A function's own SET, and a definer who puts on another identity: only within it. The claims are the
-- application's word, and whoever writes SQL may say it: docs/security.md.
CREATE FUNCTION public.as_owner() RETURNS text LANGUAGE sql STABLE
    SET request.jwt.claims = '{"sub":"1d000000-0000-0000-0000-0000000000e2"}' AS 'SELECT public.whoami()';
BEGIN;
SELECT tenancy.act_as(:user);
SELECT public.as_owner(), public.whoami();
COMMIT;

-- Who administers is asked of the current role, never of the token.
CREATE ROLE idroles_owner_member NOLOGIN;
DO $$ BEGIN
    EXECUTE format('GRANT %I TO idroles_owner_member', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass));
END $$;
GRANT USAGE ON SCHEMA tenancy TO idroles_owner_member;
CREATE FUNCTION pg_temp.administers(db_role name, token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer boolean;
BEGIN
    PERFORM set_config('request.jwt.claims', token, true), set_config('role', db_role, true);
    answer := tenancy.is_administrator();
    PERFORM set_config('role', 'none', true);
    RETURN answer;
END
$$;
SELECT r, pg_temp.administers(r, '') AS nobody, pg_temp.administers(r, '{"sub":"1d000000-0000-0000-0000-0000000000e2","role":"postgres","app_metadata":{"tenant_access":"write"}}') AS owner
  FROM unnest(ARRAY['anon', 'authenticated', 'idroles_stranger', 'idroles_bypass', 'idroles_owner_member', 'idroles_super']) r;

DROP FUNCTION public.as_owner(), public.whoami_definer(), public.whoami_stranger(), public.whoami();
DROP OWNED BY idroles_stranger, idroles_bypass, idroles_owner_member, idroles_super;
DROP ROLE idroles_stranger, idroles_bypass, idroles_owner_member, idroles_super;
SELECT tenancy.drop_tenant(:tenant), tenancy.drop_role('idroles_reader', cascade => true), tenancy.drop_permission('idroles.read', cascade => true);
