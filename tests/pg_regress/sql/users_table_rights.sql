-- The users table is its owner's, and so are its triggers: what we write there, as an extension that a superuser made, must
-- not lend them a superuser's rights.
SET client_min_messages = warning;
CREATE ROLE host_owner NOLOGIN;
CREATE ROLE host_climber NOLOGIN;
CREATE SCHEMA rights;
CREATE TABLE rights.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb);
CREATE TABLE rights.seen (what text, as_whom name);
-- Superuser or not, it must not get further than its owner.
CREATE FUNCTION rights.climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rights.seen VALUES (TG_OP || ' ' || TG_ARGV[0], current_user);
    BEGIN
        ALTER ROLE host_climber SUPERUSER;
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER climb BEFORE UPDATE OF raw_app_meta_data ON rights.users FOR EACH ROW EXECUTE FUNCTION rights.climb('app');
CREATE TRIGGER climb_user BEFORE UPDATE OF raw_user_meta_data ON rights.users FOR EACH ROW EXECUTE FUNCTION rights.climb('user');
CREATE TRIGGER climb_after AFTER UPDATE ON rights.users FOR EACH ROW EXECUTE FUNCTION rights.climb('after');
GRANT USAGE ON SCHEMA rights TO host_owner;
GRANT INSERT ON rights.seen TO host_owner;
ALTER TABLE rights.users OWNER TO host_owner;
-- The owner's own row security does not stop us, forced or not.
ALTER TABLE rights.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
INSERT INTO rights.users VALUES ('19470000-0000-4000-8000-000000000001', 'a@example.com', now(), '{}', '{}');
SELECT tenancy.attach_users('rights.users');
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('19470000-0000-4000-9000-000000000001', 'rights', 'R');
-- Every way by which we write there.
CREATE TEMP TABLE ways (n serial, way text, statement text);
INSERT INTO ways (way, statement) VALUES
    ('projection', $$SELECT tenancy.add_member('19470000-0000-4000-9000-000000000001', '19470000-0000-4000-8000-000000000001', '{owner}')$$),
    ('projection, queued', $$SELECT set_config('tenancy.claims_sync_limit', '0', true), tenancy.set_member_status('19470000-0000-4000-9000-000000000001', '19470000-0000-4000-8000-000000000001', 'suspended'), tenancy.sync_claims(batch => 10)$$),
    ('projection at commit', $$DO $do$ BEGIN SET LOCAL tenancy.claims_sync = deferred; SET LOCAL tenancy.claims_sync_limit = 1000; PERFORM tenancy.set_member_status('19470000-0000-4000-9000-000000000001', '19470000-0000-4000-8000-000000000001', 'active'); SET CONSTRAINTS ALL IMMEDIATE; END $do$ $$),
    ('sync_claims', $$SELECT set_config('tenancy.claims_sync', 'off', true), tenancy.revoke_role('19470000-0000-4000-9000-000000000001', '19470000-0000-4000-8000-000000000001', 'owner'), set_config('tenancy.claims_sync', 'on', true), tenancy.sync_claims()$$),
    ('set_claim', $$SELECT tenancy.set_claim('19470000-0000-4000-8000-000000000001', 'plan', '"gold"')$$),
    ('delete_claim', $$SELECT tenancy.delete_claim('19470000-0000-4000-8000-000000000001', 'plan')$$),
    ('enable_profiles', $$SELECT tenancy.enable_profiles()$$),
    ('profile edited', $$UPDATE tenancy.user_profiles SET display_name = 'Ann'$$);
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    DELETE FROM rights.seen;
    EXECUTE statement;
    SELECT coalesce(string_agg(DISTINCT what || ' as ' || as_whom, ', '), 'no trigger fired') INTO found FROM rights.seen;
    RETURN found;
END
$$;
SELECT way, pg_temp.try(statement) FROM ways ORDER BY n;
SELECT rolsuper AS climbed FROM pg_roles WHERE rolname = 'host_climber';
SELECT raw_app_meta_data -> 'tenants' AS tenants, raw_user_meta_data ->> 'display_name' AS display_name FROM rights.users;
SELECT what, message FROM tenancy.sync_failures;
-- The caller is who he was afterwards, whether it went well or not.
ALTER TABLE rights.users ADD CONSTRAINT refused CHECK (raw_app_meta_data -> 'perms' IS NULL) NOT VALID;
SELECT tenancy.grant_role('19470000-0000-4000-9000-000000000001', '19470000-0000-4000-8000-000000000001', 'owner'), current_user = session_user AS myself;
SELECT what, user_id, sqlstate FROM tenancy.sync_failures;

ALTER TABLE rights.users DROP CONSTRAINT refused;
-- Nor what we read there: the owner gives a column a type of his own, whose cast to what we expect is his function.
CREATE TYPE rights.evil AS (t text);
CREATE FUNCTION rights.cast_evil(rights.evil) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    ALTER ROLE host_climber SUPERUSER;
    RETURN 'evil@example.com';
END
$$;
CREATE CAST (rights.evil AS text) WITH FUNCTION rights.cast_evil(rights.evil) AS ASSIGNMENT;
ALTER TABLE rights.users ALTER email TYPE rights.evil USING NULL;
INSERT INTO rights.users VALUES ('19470000-0000-4000-8000-000000000002', ROW ('x'), now(), '{"perms":["all"]}', '{}');
SELECT test.attempt(NULL, command) FROM unnest(ARRAY[$$SELECT tenancy.assign_users('19470000-0000-4000-8000-000000000002')$$, 'SELECT tenancy.enable_profiles()',
    'SELECT tenancy.sync_claims()', $$SELECT tenancy.get_claims('19470000-0000-4000-8000-000000000002')$$]) command;
DELETE FROM rights.users WHERE id = '19470000-0000-4000-8000-000000000002';
SELECT rolsuper AS climbed FROM pg_roles WHERE rolname = 'host_climber';
SELECT DISTINCT what, sqlstate, message FROM tenancy.sync_failures ORDER BY 1, 2;
-- Nor a function of an application role's that an administrator runs without looking: what writes for administrators is
-- theirs alone to execute.
GRANT CREATE ON SCHEMA rights TO authenticated;
SET ROLE authenticated;
CREATE FUNCTION rights.innocent(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM tenancy.set_claim('19470000-0000-4000-8000-000000000001', 'hacked', 'true');
    RETURN n;
END
$$;
RESET ROLE;
SELECT rights.innocent(1);
SELECT raw_app_meta_data ? 'hacked' AS hacked FROM rights.users;

SELECT tenancy.disable_profiles(drop_data => true), tenancy.detach_users();
DELETE FROM tenancy.tenants WHERE slug = 'rights';
DROP SCHEMA rights CASCADE;
DROP ROLE host_owner, host_climber;
