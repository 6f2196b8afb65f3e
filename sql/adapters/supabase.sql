-- Connects pg_tenancy to a Supabase-style database: roles, auth.users, the auth server's hook, the pre-request.
-- Run by a superuser with psql, after CREATE EXTENSION pg_tenancy, and again after each update of either side:
--
--     psql -d postgres -f supabase.sql
--
-- One transaction; what is in place already stays as it is. The end of the output says what is left to do by hand.
\set ON_ERROR_STOP on
\set QUIET on
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    missing text;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'permission denied to connect pg_tenancy to Supabase' USING ERRCODE = '42501',
            HINT = 'Run this as a superuser; on a Supabase stack that is supabase_admin, not postgres.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_tenancy') THEN
        RAISE EXCEPTION 'extension "pg_tenancy" is not installed in database "%"', current_database()
            USING ERRCODE = '55000', HINT = 'CREATE EXTENSION pg_tenancy;';
    END IF;
    SELECT string_agg(quote_ident(name), ', ') INTO missing
      FROM unnest('{anon,authenticated,service_role,supabase_auth_admin}'::text[]) name
     WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'this is not a Supabase-style cluster: it has no database role %', missing
            USING ERRCODE = '42704',
                  HINT = 'Elsewhere call tenancy.enable_role() and tenancy.attach_users() with your own names.';
    END IF;
    IF to_regclass('auth.users') IS NULL THEN
        RAISE EXCEPTION 'table auth.users does not exist in database "%"', current_database() USING ERRCODE = '42P01',
            HINT = 'The auth server makes it when it first starts. Is this the database it works in?';
    END IF;
END
$$;

-- --- roles -------------------------------------------------------------------------------------
-- service_role bypasses row-level security, but privileges it needs like any other.
DO $$
BEGIN
    PERFORM tenancy.enable_role(name) FROM unnest('{anon,authenticated,service_role}'::name[]) name;
END
$$;

-- --- the auth server ---------------------------------------------------------------------------
DO $$
BEGIN
    PERFORM tenancy.attach_users('auth.users');
END
$$;
-- By name, for Supabase's default privileges grant to these roles what Postgres grants to PUBLIC.
REVOKE ALL ON FUNCTION tenancy.custom_access_token_hook(jsonb) FROM PUBLIC, anon, authenticated, service_role;
GRANT USAGE ON SCHEMA tenancy TO supabase_auth_admin;
GRANT EXECUTE ON FUNCTION tenancy.custom_access_token_hook(jsonb) TO supabase_auth_admin;

-- --- PostgREST ---------------------------------------------------------------------------------
DO $$
BEGIN
    -- Another one that is registered stays, and a notice says how to have both.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator') THEN
        PERFORM tenancy.register_pre_request('authenticator');
    END IF;
END
$$;

-- --- the library, in every session of this database ----------------------------------------------
-- A setting of the database hides that of the configuration file, and a role's hides both (authenticator often
-- has one, for another library): so we append wherever there is one, and for this database only.
DO $$
DECLARE
    loads constant text := '(^|[,/"[:space:]])pg_tenancy(\.so)?("|[[:space:]]|,|$)';
    of_file text := (SELECT setting FROM pg_file_settings
                      WHERE name = 'session_preload_libraries' AND applied ORDER BY seqno DESC LIMIT 1);
    place record;
BEGIN
    IF current_setting('shared_preload_libraries') ~ loads THEN
        RETURN;
    END IF;
    FOR place IN
        WITH settings AS (
            SELECT s.setdatabase, s.setrole, substr(entry, length('session_preload_libraries=') + 1) AS value
              FROM pg_db_role_setting s, unnest(s.setconfig) entry
             WHERE entry LIKE 'session\_preload\_libraries=%'
        ), here AS (SELECT oid FROM pg_database WHERE datname = current_database())
        SELECT '' AS role, coalesce((SELECT value FROM settings, here WHERE setdatabase = oid AND setrole = 0),
                                    of_file, '') AS value
        UNION ALL
        -- A role's setting for this database, or else its setting for all.
        SELECT pg_get_userbyid(setrole), value
          FROM (SELECT DISTINCT ON (setrole) setrole, value FROM settings, here
                 WHERE setrole <> 0 AND setdatabase IN (0, oid) ORDER BY setrole, setdatabase DESC) of_role
         ORDER BY 1
    LOOP
        CONTINUE WHEN place.value ~ loads;
        -- As the session's, and from there: only so it is a list again, whatever quoting it has.
        PERFORM set_config('session_preload_libraries', concat_ws(', ', nullif(place.value, ''), 'pg_tenancy'), true);
        IF place.role = '' THEN
            EXECUTE format('ALTER DATABASE %I SET session_preload_libraries FROM CURRENT', current_database());
        ELSE
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET session_preload_libraries FROM CURRENT',
                           place.role, current_database());
        END IF;
    END LOOP;
END
$$;

-- --- what is so now, and what is left ----------------------------------------------------------
\pset footer off
SELECT item, state FROM (
    SELECT 1 AS line, 'application roles' AS item,
           (SELECT string_agg(r, ', ') FROM unnest('{anon,authenticated,service_role}'::text[]) r
             WHERE has_schema_privilege(r, 'tenancy', 'USAGE')) AS state
    UNION ALL
    SELECT 2, 'users table', (SELECT relation::text FROM tenancy.users_table)
    UNION ALL
    SELECT 3, 'access token hook', 'executable by ' ||
           (SELECT string_agg(rolname, ', ' ORDER BY rolname) FROM pg_roles
             WHERE NOT rolsuper AND has_function_privilege(oid, 'tenancy.custom_access_token_hook(jsonb)', 'EXECUTE'))
    UNION ALL
    SELECT 4, 'pre-request', coalesce(tenancy.registered_pre_request('authenticator'), 'none registered')
    UNION ALL
    SELECT 5, 'library', coalesce(
           (SELECT string_agg(concat_ws(' of ', split_part(entry, '=', 2), nullif(s.setrole, 0)::regrole::text), '; '
                              ORDER BY s.setrole)
              FROM pg_db_role_setting s, unnest(s.setconfig) entry
             WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND entry LIKE 'session\_preload\_libraries=%pg\_tenancy%'), 'preloaded by the server''s configuration')
    UNION ALL
    SELECT 6, 'by hand', 'auth server: GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_ENABLED=true'
    UNION ALL
    SELECT 7, 'by hand', 'auth server: GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_URI=pg-functions://postgres/tenancy/custom_access_token_hook'
    UNION ALL
    SELECT 8, 'by hand', 'restart PostgREST, auth and storage server, so that their connections load the library'
) report ORDER BY line;
COMMIT;
