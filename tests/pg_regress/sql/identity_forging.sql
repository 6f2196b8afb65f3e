-- The setting that carries a stated identity cannot be written by any SQL, of a superuser neither.
\set ann '''f0700000-0000-0000-0000-0000000000e1'''
\set forged '{"User":{"id":[240,112,0,0,0,0,0,0,0,0,0,0,0,0,0,225],"tenant":null}}'
\set SHOW_CONTEXT never
CREATE ROLE forger NOLOGIN;
CREATE ROLE forger_trusted NOLOGIN;
SELECT tenancy.enable_role('forger'), tenancy.enable_role('forger_trusted'), tenancy.trust_caller('forger_trusted');
-- What would be forged is what it really holds.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
SELECT current_setting('tenancy.identity') = :'forged' AS as_forged;
COMMIT;
SELECT current_setting('tenancy.identity') AS after;

CREATE FUNCTION pg_temp.try(db_role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', db_role, true);
    EXECUTE command;
    answer := 'went through';
    PERFORM set_config('role', 'none', true);
    RETURN concat_ws(' / ', answer, tenancy.current_actor());
EXCEPTION WHEN OTHERS THEN
    RETURN concat_ws(' / ', SQLSTATE, tenancy.current_actor());
END
$$;
-- By whom: an application role, a trusted one, one that was granted SET on the parameter, a superuser.
CREATE ROLE forger_granted NOLOGIN;
CREATE ROLE forger_super NOLOGIN SUPERUSER;
SELECT tenancy.enable_role('forger_granted');
GRANT CREATE, USAGE ON SCHEMA public TO forger, forger_trusted, forger_granted;
GRANT SET ON PARAMETER tenancy.identity TO forger_granted;
GRANT ALTER SYSTEM ON PARAMETER tenancy.identity TO forger_granted;
CREATE TEMP TABLE ways (n serial, way text);
INSERT INTO ways (way) VALUES
    ('SET tenancy.identity = %L'), ('SET LOCAL tenancy.identity = %L'), ('SET SESSION tenancy.identity = %L'), ('SELECT set_config(''tenancy.identity'', %L, true)'), ('SELECT set_config(''tenancy.identity'', %L, false)'),
    ('UPDATE pg_settings SET setting = %L WHERE name = ''tenancy.identity'''),
    ('CREATE FUNCTION public.forged() RETURNS text LANGUAGE sql SET tenancy.identity = %L AS ''SELECT 1'''),
    ('DO $f$ BEGIN PERFORM set_config(''tenancy.identity'', %L, true); END $f$'),
    ('ALTER ROLE forger SET tenancy.identity = %L'), ('ALTER ROLE ALL SET tenancy.identity = %L'), ('ALTER DATABASE regress SET tenancy.identity = %L'),
    ('SET tenancy.identity = ''''/*%L*/'), ('SET LOCAL tenancy.identity TO DEFAULT/*%L*/'), ('RESET tenancy.identity/*%L*/'), ('RESET ALL/*%L*/'),
    ('SHOW tenancy.identity/*%L*/');
SELECT r AS db_role, way, pg_temp.try(r, format(way, :'forged')) FROM ways, unnest(ARRAY['forger', 'forger_trusted', 'forger_granted', 'forger_super']) r ORDER BY n, r;
-- ALTER SYSTEM runs in no transaction block.
SET ROLE forger_super;
ALTER SYSTEM SET tenancy.identity = 'x';
SET ROLE forger_granted;
ALTER SYSTEM SET tenancy.identity = 'x';
RESET ROLE;

-- Where an identity stands it cannot be kept, copied into a function or a role, or read by who may not.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
SELECT r AS db_role, way, pg_temp.try(r, way) FROM unnest(ARRAY['forger', 'forger_trusted', 'forger_granted', 'forger_super']) r,
    unnest(ARRAY['CREATE FUNCTION public.forged() RETURNS text LANGUAGE sql SET tenancy.identity FROM CURRENT AS ''SELECT 1''', 'ALTER ROLE forger SET tenancy.identity FROM CURRENT',
                 'SET SESSION tenancy.identity = ''''', 'SELECT current_setting(''tenancy.identity'')', 'SHOW ALL', 'RESET ALL']) way ORDER BY way, r;
SELECT count(*) AS shown FROM pg_settings WHERE name = 'tenancy.identity';
COMMIT;
SELECT tenancy.current_actor();
-- Only a superuser, or who was granted SET, can put it out within the transaction; what is left is the claims' identity.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid);
SAVEPOINT s;
SELECT pg_temp.try('forger', 'RESET tenancy.identity'), pg_temp.try('forger_trusted', 'RESET tenancy.identity');
COMMIT;
-- DISCARD ALL, after a transaction as before one.
DISCARD ALL;
SELECT tenancy.current_actor();

-- A backend that has not loaded the library: its placeholder, by SET, by the connection's options, by the role's or the
-- database's settings, is not taken over. Workers of parallel plans neither.
\connect -reuse-previous=on "options='-c session_preload_libraries='"
SET tenancy.identity = :'forged';
SELECT tenancy.current_user_id() AS by_placeholder;
SELECT current_setting('tenancy.identity') AS left_over;
\connect -reuse-previous=on "options='-c session_preload_libraries='"
BEGIN;
SET LOCAL tenancy.identity = :'forged';
SELECT tenancy.current_user_id() AS by_local_placeholder;
COMMIT;
\connect -reuse-previous=on "options='-c session_preload_libraries='"
ALTER DATABASE regress SET tenancy.identity = :'forged';
SELECT unnest(setconfig) LIKE 'tenancy.identity=%' AS stored FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'regress');
\connect -reuse-previous=on "options='-c session_preload_libraries='"
SELECT tenancy.current_user_id() AS by_database_setting;
\connect -reuse-previous=on "options='-c session_preload_libraries=pg_tenancy'"
SELECT tenancy.current_user_id() AS by_database_setting_preloaded;
\connect -reuse-previous=on "options='-c tenancy.identity=x'"
SELECT tenancy.current_user_id() AS by_options;
-- A worker applies the database's settings before it loads the library and gets its leader's.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
CREATE TABLE forged_rows AS SELECT n FROM generate_series(1, 10000) n;
ANALYZE forged_rows;
EXPLAIN (COSTS OFF) SELECT count(*) FROM forged_rows WHERE tenancy.current_user_id() IS NULL AND n > 0;
SELECT count(*) FILTER (WHERE tenancy.current_user_id() IS NULL) AS nobody, count(tenancy.current_user_id()) AS somebody FROM forged_rows;
SELECT count(tenancy.current_user_id()) AS somebody FROM forged_rows;
DROP TABLE forged_rows;
ALTER DATABASE regress RESET tenancy.identity;
\connect -reuse-previous=on "options=''"
SELECT count(*) AS left_behind FROM pg_db_role_setting, unnest(setconfig) s WHERE s LIKE 'tenancy.%';

DROP OWNED BY forger, forger_trusted, forger_granted, forger_super;
DROP ROLE forger, forger_trusted, forger_granted, forger_super;
