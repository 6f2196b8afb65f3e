-- An identity that a trusted caller states for its transaction: who may, how long it lasts, and what it decides.
\set a '''5e700000-0000-0000-0000-00000000000a'''
\set b '''5e700000-0000-0000-0000-00000000000b'''
\set ann '''5e700000-0000-0000-0000-0000000000e1'''
\set bob '''5e700000-0000-0000-0000-0000000000e2'''
\set SHOW_CONTEXT never
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'stated-a', 'A'), (:b, 'stated-b', 'B');
SELECT tenancy.create_permission('stated.read') IS NULL, tenancy.create_role('stated_reader', '{stated.read}') IS NOT NULL;
SELECT tenancy.add_member(:a, :ann, '{stated_reader}'), tenancy.add_member(:b, :ann), tenancy.add_member(:a, :bob, '{owner}');
CREATE ROLE stated_app NOLOGIN;
CREATE ROLE stated_other NOLOGIN;
CREATE ROLE stated_bypass NOLOGIN BYPASSRLS;
CREATE FUNCTION public.whoami() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('user %s tenant %s read %s actor %s claims %s', coalesce(right(tenancy.current_user_id()::text, 2), '-'), coalesce(right(tenancy.current_tenant_id()::text, 2), '-'),
                  tenancy.has_permission('stated.read'), coalesce(regexp_replace(tenancy.current_actor(), '5e700000.*(..)$', '\1'), '-'), coalesce(tenancy.claims() ->> 'sub', '-')) $$;
-- Runs a command as a database role; tells SQLSTATE, message and hint of what fails.
CREATE FUNCTION pg_temp.as_role(db_role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text; found_detail text; found_hint text;
BEGIN
    PERFORM set_config('role', db_role, true);
    EXECUTE command INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN coalesce(answer, 'ok');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(found_hint, ''));
END
$$;

-- Nobody may but those that an administrator names, and enable_role names none, of whatever kind.
SELECT tenancy.enable_role('stated_app'), tenancy.enable_role('stated_other'), tenancy.enable_role('stated_bypass');
SELECT r, f, pg_temp.as_role(r, f) FROM unnest(ARRAY['stated_app', 'anon', 'authenticated', 'stated_bypass']) r,
    unnest(ARRAY['SELECT tenancy.set_identity(''5e700000-0000-0000-0000-0000000000e1''::uuid)', 'SELECT tenancy.set_identity(''5e700000-0000-0000-0000-0000000000e1''::text)']) f;
SELECT pg_temp.as_role('stated_app', 'SELECT tenancy.trust_caller(''stated_app'')'), pg_temp.as_role('stated_bypass', 'SELECT tenancy.trust_caller(''stated_bypass'')');
SELECT pg_temp.as_role(current_user, format('SELECT tenancy.%s(%L)', f, r)) FROM unnest(ARRAY['trust_caller', 'distrust_caller']) f, unnest(ARRAY['no such role', 'public', NULL]) r;
SELECT tenancy.trust_caller('stated_app'), tenancy.trust_caller('stated_app') AS again;
-- enable_role and disable_role leave it alone, and it needs the schema.
SELECT tenancy.enable_role('stated_app'), tenancy.disable_role('stated_app');
SELECT pg_temp.as_role('stated_app', format('SELECT tenancy.set_identity(%L::uuid)', :ann));
SELECT has_function_privilege('stated_app', f, 'EXECUTE') AS kept FROM unnest(ARRAY['tenancy.set_identity(uuid, uuid)', 'tenancy.set_identity(text, text)', 'tenancy.map_subject(text)']) f;
SELECT tenancy.distrust_caller('stated_app'), tenancy.trust_caller('stated_app');
SELECT tenancy.enable_role('stated_app');

-- In a transaction, until it ends; the last call decides, and a savepoint restores.
SET ROLE stated_app;
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', :bob)::text, true) IS NOT NULL AS set;
SELECT public.whoami();
SELECT tenancy.set_identity(:ann::uuid, :a);
SELECT public.whoami();
SELECT tenancy.claim('sub'), tenancy.aal(), tenancy.tenant_ids(), tenancy.has_permission(:a::uuid, 'stated.read'), tenancy.has_permission(:b::uuid, 'stated.read'), tenancy.is_member(:b::uuid);
SAVEPOINT s;
SELECT tenancy.set_identity(:ann::uuid);
SELECT finding, hint FROM tenancy.diagnose() WHERE topic = 'active tenant';
SELECT tenancy.set_identity(:bob, NULL);
SELECT public.whoami();
ROLLBACK TO s;
SELECT public.whoami();
SAVEPOINT s;
SELECT tenancy.set_identity(:bob::uuid);
RELEASE s;
SELECT public.whoami();
-- Another database role of the transaction, a function's own SET and RESET ALL change nothing about it.
RESET ROLE;
SELECT public.whoami();
SET LOCAL ROLE anon;
SELECT public.whoami();
RESET ALL;
SELECT public.whoami();
COMMIT;
SELECT public.whoami();
SET ROLE stated_app;
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
ROLLBACK;
SELECT public.whoami();
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
SELECT public.whoami() LIKE 'user e1%' AS before_chain;
COMMIT AND CHAIN;
SELECT public.whoami();
COMMIT;
-- A statement of its own: a warning, and nobody. With others in one message it lasts as long as they do.
SELECT tenancy.set_identity(:ann::uuid);
SELECT public.whoami();
SELECT tenancy.set_identity('5e700000-0000-0000-0000-0000000000e1', '5e700000-0000-0000-0000-00000000000a')\; SELECT public.whoami();
SELECT public.whoami();
-- Within a function the rest of it sees the identity, so there is no warning; a wrapper may be anybody's.
DO $$ BEGIN PERFORM tenancy.set_identity('5e700000-0000-0000-0000-0000000000e1'::uuid); RAISE NOTICE '%', public.whoami(); END $$;
SELECT public.whoami();
RESET ROLE;
CREATE FUNCTION public.log_in(who uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    'BEGIN PERFORM tenancy.set_identity(who); END';
ALTER FUNCTION public.log_in(uuid) OWNER TO stated_app;
SET ROLE stated_other;
BEGIN;
SELECT public.log_in(:ann);
SELECT public.whoami();
COMMIT;
SELECT public.whoami();
RESET ROLE;
-- A procedure that commits loses it.
CREATE PROCEDURE pg_temp.commits() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.set_identity('5e700000-0000-0000-0000-0000000000e1'::uuid);
    RAISE NOTICE '%', public.whoami();
    COMMIT;
    RAISE NOTICE '%', public.whoami();
END
$$;
CALL pg_temp.commits();
-- A deferred trigger fires while it stands; PREPARE TRANSACTION ends it.
CREATE TABLE stated_rows (n int, who text);
CREATE FUNCTION pg_temp.tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''at commit: %'', public.whoami(); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON stated_rows DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.tell();
BEGIN;
SELECT tenancy.set_identity(:ann::uuid, :a);
INSERT INTO stated_rows VALUES (1, tenancy.current_actor());
COMMIT;
DROP TRIGGER tell ON stated_rows;
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
INSERT INTO stated_rows VALUES (2, tenancy.current_actor());
PREPARE TRANSACTION 'stated';
SELECT public.whoami();
COMMIT PREPARED 'stated';
SELECT * FROM stated_rows;

-- The tenant: what was given decides, else as for a token's user but for the token.
\set whoami 'SELECT public.whoami();'
BEGIN;
SET LOCAL tenancy.tenant_id = '5e700000-0000-0000-0000-00000000000b';
SELECT tenancy.set_identity(:ann::uuid, :a);
:whoami
SELECT tenancy.set_identity(:ann::uuid);
:whoami
SET LOCAL tenancy.tenant_id = '';
:whoami
SELECT tenancy.set_active_tenant(:b);
:whoami
SELECT tenancy.set_identity(:ann, '');
:whoami
SELECT tenancy.set_identity(:bob::uuid);
:whoami
-- One he is no member of, none there is, and what is none: quietly no tenant.
SELECT tenancy.set_identity(:bob::uuid, :b);
:whoami
SELECT tenancy.set_identity(:bob::uuid, '5e700000-0000-0000-0000-0000000000ff');
:whoami
SELECT tenancy.set_identity(:bob, 'no such tenant');
:whoami
SELECT finding FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'active tenant');
-- Nobody's id is a user without memberships.
SELECT tenancy.set_identity('5e700000-0000-0000-0000-0000000000ee'::uuid);
:whoami
ROLLBACK;
-- Tables decide about it, whatever is said of tokens.
BEGIN;
SET LOCAL tenancy.authority = 'claims';
SELECT set_config('request.jwt.claims', json_build_object('sub', :bob, 'tenant_id', :b, 'user_permissions', '{all}'::text[])::text, true) IS NOT NULL AS set;
:whoami
SELECT tenancy.set_identity(:ann::uuid, :a);
:whoami
SELECT topic, finding FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'user', 'active tenant', 'role', 'permissions');
ROLLBACK;
-- A grant and a revoke in the same transaction, and by a savepoint undone.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid, :a);
SELECT tenancy.revoke_role(:a, :ann, 'stated_reader');
:whoami
ROLLBACK;
-- Bad arguments leave what was set.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid, :a);
SELECT pg_temp.as_role('stated_app', command) FROM unnest(ARRAY['SELECT tenancy.set_identity(NULL::uuid)', 'SELECT tenancy.set_identity(NULL::text)', 'SELECT tenancy.set_identity('''')',
    'SELECT tenancy.set_identity(''00000000-0000-0000-0000-000000000000''::uuid)', 'SELECT tenancy.set_identity(''00000000-0000-0000-0000-000000000000''::text)', 'SELECT tenancy.set_identity(''17'')',
    'SELECT tenancy.set_identity(''5e700000-0000-0000-0000-0000000000e1'', repeat(''x'', 1025))']) command;
:whoami
COMMIT;

-- tenancy.trust_claims = off: claims are nobody, what is stated is.
SET tenancy.trust_claims = off;
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', :bob)::text, true) IS NOT NULL AS set;
:whoami
SELECT topic, finding FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'user');
SELECT tenancy.set_identity(:ann::uuid, :a);
:whoami
COMMIT;
RESET tenancy.trust_claims;
SELECT pg_temp.as_role('stated_app', 'SET tenancy.trust_claims = on');
-- diagnose() tells a trusted caller what it forgot, and nobody else.
SELECT r, pg_temp.as_role(r, $$SELECT concat_ws(' / ', finding, hint) FROM tenancy.diagnose() WHERE topic = 'identity'$$) FROM unnest(ARRAY['stated_app', 'stated_other', 'stated_bypass']) r;
-- An identity lasts as long as its transaction, also of who is distrusted meanwhile.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid, :a);
SELECT tenancy.distrust_caller('stated_app'), tenancy.distrust_caller('stated_app') AS again;
:whoami
COMMIT;
SELECT pg_temp.as_role('stated_app', format('SELECT tenancy.set_identity(%L::uuid)', :ann));
-- A read-only transaction may have an identity too.
SELECT tenancy.trust_caller('stated_app');
BEGIN READ ONLY;
SELECT tenancy.set_identity(:ann::uuid, :a);
:whoami
COMMIT;

-- A function of anybody's that a trusted role has used is not asked again by the server when another uses it: set_identity asks.
CREATE FUNCTION public.restate(who uuid) RETURNS text LANGUAGE plpgsql AS 'DECLARE said text; BEGIN said := tenancy.set_identity(who); RETURN public.whoami(); END';
BEGIN;
SET LOCAL ROLE stated_app;
SELECT public.restate(:ann);
SET LOCAL ROLE stated_other;
SAVEPOINT s;
SELECT public.restate(:bob);
ROLLBACK TO s;
:whoami
COMMIT;

-- Distrusted is who can no longer state identities: in either form, or whom a distrusted role let in. Who still can is said.
CREATE ROLE stated_member NOLOGIN IN ROLE stated_app;
CREATE ROLE stated_set NOLOGIN NOINHERIT IN ROLE stated_app;
CREATE ROLE "Public" NOLOGIN;
CREATE ROLE stated_super NOLOGIN SUPERUSER;
DO $$ BEGIN EXECUTE format('CREATE ROLE stated_owner NOLOGIN IN ROLE %s', (SELECT relowner::regrole FROM pg_class WHERE oid = 'tenancy.tenants'::regclass)); END $$;
CREATE FUNCTION pg_temp.distrust(db_role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_detail text; found_hint text;
BEGIN
    RETURN tenancy.distrust_caller(db_role);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_detail = PG_EXCEPTION_DETAIL, found_hint = PG_EXCEPTION_HINT;
    RETURN replace(concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(found_detail, ''), nullif(found_hint, '')), (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass), '<owner>');
END
$$;
CREATE FUNCTION pg_temp.may(db_role name) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(f, ', ' ORDER BY f) FROM unnest(ARRAY['set_identity(uuid, uuid)', 'set_identity(text, text)', 'map_subject(text)']) f WHERE has_function_privilege(db_role, 'tenancy.' || f, 'EXECUTE')
$$;
SELECT r, pg_temp.distrust(r) FROM unnest(ARRAY['stated_member', 'stated_set', 'stated_super', 'stated_owner']) r;
SELECT pg_temp.distrust('stated_app'), pg_temp.may('stated_app'), pg_temp.distrust('stated_app') AS again;
GRANT EXECUTE ON FUNCTION tenancy.set_identity(text, text) TO stated_app;
SELECT tenancy.is_trusted_caller('stated_app') AS by_one_form, tenancy.trust_caller('stated_app') AS completed, tenancy.trust_caller('stated_app') AS again, pg_temp.may('stated_app');
REVOKE EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.map_subject(text) FROM stated_app;
SELECT pg_temp.distrust('stated_app') AS of_one_form, pg_temp.may('stated_app');
GRANT EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.map_subject(text) TO stated_app WITH GRANT OPTION;
SET ROLE stated_app;
GRANT EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.map_subject(text) TO stated_other;
RESET ROLE;
SELECT pg_temp.distrust('stated_other'), pg_temp.may('stated_other');
SELECT pg_temp.distrust('stated_app'), pg_temp.may('stated_app') AS app, pg_temp.may('stated_other') AS other, pg_temp.distrust('stated_other');
-- One with BYPASSRLS keeps what enable_role gave it.
SELECT tenancy.trust_caller('stated_bypass'), pg_temp.distrust('stated_bypass'), pg_temp.may('stated_bypass');
GRANT EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid) TO PUBLIC;
SELECT pg_temp.distrust('stated_other');
SELECT r, pg_temp.as_role(r, $$SELECT concat_ws(' / ', finding, hint) FROM tenancy.diagnose() WHERE topic = 'trust'$$) FROM unnest(ARRAY[current_user, 'stated_bypass', 'stated_other']) r;
REVOKE EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid) FROM PUBLIC;
SELECT count(*) FROM tenancy.diagnose() WHERE topic = 'trust';
-- PUBLIC is the word in small letters only.
SELECT tenancy.enable_role('Public'), tenancy.trust_caller('Public'), tenancy.trust_caller('Public') AS again;
SELECT tenancy.is_trusted_caller('Public'), pg_temp.may('stated_other') AS others;
SELECT pg_temp.as_role('Public', format('SELECT tenancy.set_identity(%L::uuid)', :ann));
SELECT pg_temp.distrust('Public'), pg_temp.may('Public');
SELECT pg_temp.as_role(current_user, format('SELECT tenancy.trust_caller(%L)', r)) FROM unnest(ARRAY['public', 'PUBLIC']) r;
DROP OWNED BY "Public";
DROP ROLE stated_member, stated_set, stated_super, stated_owner, "Public";

DROP TABLE stated_rows;
DROP FUNCTION public.log_in(uuid), public.restate(uuid), public.whoami();
DROP OWNED BY stated_app, stated_other, stated_bypass;
DROP ROLE stated_app, stated_other, stated_bypass;
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('stated_reader', cascade => true), tenancy.drop_permission('stated.read', cascade => true);
