-- The owner of a metered table gains nothing by it: what he had his indexes, defaults and triggers compute runs with no rights
-- of ours, what is planted in search paths is not called, and his own triggers count for no tenant.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE mallory LOGIN;
SELECT tenancy.enable_role('mallory');
CREATE SCHEMA mhost AUTHORIZATION mallory;
GRANT CREATE ON SCHEMA public TO mallory;
\set a '''8f000000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'mhost-a', 'A'), ('8f000000-0000-0000-0000-00000000000b', 'mhost-b', 'B');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('mh.rows', 'rows', 'gauge', 'none'), ('mh.bytes', 'bytes', 'gauge', 'none');
CREATE VIEW used AS
SELECT t.slug AS tenant, u.meter, sum(u.total) AS amount FROM tenancy.usage u JOIN tenancy.tenants t ON t.id = u.tenant_id
 WHERE u.meter LIKE 'mh.%' GROUP BY 1, 2 HAVING sum(u.total) <> 0 ORDER BY t.slug, u.meter COLLATE "C";
SET SESSION AUTHORIZATION mallory;
CREATE TABLE mhost.ran (who name, what text);
GRANT INSERT ON mhost.ran TO PUBLIC;
CREATE FUNCTION mhost.write(what text) RETURNS void LANGUAGE sql AS $$INSERT INTO mhost.ran VALUES (current_user, what)$$;
CREATE FUNCTION mhost.note(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM mhost.write(what);
    RETURN what;
END
$$;
CREATE TABLE mhost.docs (id int, tenant_id uuid, body text, size bigint);
CREATE INDEX ON mhost.docs (mhost.note(body)) WHERE mhost.note(body) IS NOT NULL;
-- planted where a careless call would find them
CREATE FUNCTION public.count_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mhost.note('planted'); RETURN NULL; END $$;
CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM mhost.note('planted'); RETURN $1; END $$;
CREATE FUNCTION public.split_part(text, text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM mhost.note('planted'); RETURN $1; END $$;
RESET SESSION AUTHORIZATION;
SET search_path = public, pg_catalog, mhost;
CREATE TEMP TABLE metered_tables (table_id regclass);
CREATE FUNCTION pg_temp.measure_table(oid, boolean) RETURNS TABLE (tenant uuid, meter text, amount bigint) LANGUAGE sql AS 'SELECT NULL::uuid, ''x'', 1::bigint';
SELECT tenancy.protect_table('mhost.docs', resource => 'mh_docs');
INSERT INTO mhost.docs VALUES (1, :a, 'x');
DELETE FROM mhost.ran;
SELECT tenancy.meter_table('mhost.docs', rows => 'mh.rows', bytes => 'mh.bytes');
SELECT * FROM tenancy.recount_usage('mhost.docs');
SELECT tenancy.unmeter_table('mhost.docs'), tenancy.meter_table('mhost.docs', rows => 'mh.rows');
TABLE mhost.ran;
RESET search_path;
TABLE used;
SET SESSION AUTHORIZATION mallory;
-- the function on a table that is not metered, and twice on one that is
CREATE TABLE mhost.fake (id int, tenant_id uuid);
CREATE TRIGGER "~pg_tenancy_meter_insert" AFTER INSERT ON mhost.fake REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tenancy.count_rows();
INSERT INTO mhost.fake VALUES (1, '8f000000-0000-0000-0000-00000000000b');
CREATE TRIGGER again AFTER INSERT ON mhost.docs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tenancy.count_rows();
RESET SESSION AUTHORIZATION;
INSERT INTO mhost.docs VALUES (2, '8f000000-0000-0000-0000-00000000000a', 'x');
SET SESSION AUTHORIZATION mallory;
DROP TRIGGER again ON mhost.docs;
CREATE TRIGGER "~pg_tenancy_meter_move" AFTER INSERT ON mhost.fake FOR EACH ROW EXECUTE FUNCTION tenancy.count_rows();
INSERT INTO mhost.fake VALUES (1, '8f000000-0000-0000-0000-00000000000b');
DROP TABLE mhost.fake;
-- he says himself what is metered
INSERT INTO tenancy.metered_tables SELECT 'mhost.ran', 'mhost.ran', 'mh.rows', 'rows', NULL;
SELECT tenancy.meter_table('mhost.docs', rows => 'mh.bytes');
SELECT tenancy.correct_usage('8f000000-0000-0000-0000-00000000000b', 'mh.rows', 5);
RESET SESSION AUTHORIZATION;
TABLE used;
SELECT * FROM tenancy.recount_usage('mhost.docs');
-- a child of his, with an index of his, is counted in with no call of his function
SET SESSION AUTHORIZATION mallory;
CREATE TABLE mhost.child (LIKE mhost.docs INCLUDING ALL);
INSERT INTO mhost.child VALUES (3, '8f000000-0000-0000-0000-00000000000b', 'x');
DELETE FROM mhost.ran;
ALTER TABLE mhost.child INHERIT mhost.docs;
RESET SESSION AUTHORIZATION;
SELECT DISTINCT who FROM mhost.ran WHERE who <> 'mallory';
TABLE used;
SELECT * FROM tenancy.recount_usage('mhost.docs');
DROP TABLE pg_temp.metered_tables;
DROP FUNCTION pg_temp.measure_table(oid, boolean);
DROP VIEW used;
DROP SCHEMA mhost CASCADE;
DROP FUNCTION public.count_rows(), public.format(text, text[]), public.split_part(text, text, int);
REVOKE CREATE ON SCHEMA public FROM mallory;
SELECT tenancy.disable_role('mallory');
DROP ROLE mallory;
DELETE FROM tenancy.tenants WHERE slug LIKE 'mhost-%';
DELETE FROM tenancy.meters WHERE name LIKE 'mh.%';
DELETE FROM tenancy.permissions WHERE name LIKE 'mh_docs.%';
