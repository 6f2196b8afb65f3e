-- Threats 1, 12 and 31: what a text column may hold besides keys. However long, compressed or stored elsewhere, a row's
-- text is no key of his, is answered by no error, and leaves nothing behind: else the checks were not LEAKPROOF.
SET client_min_messages = warning;
CREATE SCHEMA host_keys_long;
GRANT USAGE ON SCHEMA host_keys_long TO authenticated;
SET search_path = host_keys_long, public;
\set alice '''a6000000-0000-4000-8000-0000000000a1'''
SELECT oid::regprocedure AS function, proleakproof, proisstrict, proparallel, provolatile FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND proname ~ '^(is_member|has_|is_active)' AND proargtypes[0] = 'text'::regtype AND proargnames[1] = 'tenant' ORDER BY oid::regprocedure::text COLLATE "C";
SELECT array_agg(p.oid::regprocedure) AS unlike_their_uuid_form FROM pg_proc p JOIN pg_proc u ON u.proname = p.proname AND u.pronamespace = p.pronamespace AND u.proargnames = p.proargnames AND u.proargtypes[0] = 'uuid'::regtype
 WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proargtypes[0] IN ('text'::regtype, 'bigint'::regtype, 'integer'::regtype) AND p.proargnames[1] = 'tenant'
   AND (p.proleakproof, p.proisstrict, p.proparallel, p.provolatile, p.prosupport, p.proacl) IS DISTINCT FROM (u.proleakproof, u.proisstrict, u.proparallel, u.provolatile, u.prosupport, u.proacl) AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c');
-- The longest key there may be, in the longest characters; one short enough to lie plainly; and one that compresses well.
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('a6000000-0000-4000-8000-000000000001', 'host-long-1', 'T', repeat(chr(128640), 200)), ('a6000000-0000-4000-8000-000000000002', 'host-long-2', 'T', repeat('x', 200)),
    ('a6000000-0000-4000-8000-000000000003', 'host-long-3', 'T', 'acme');
SELECT tenancy.add_member(id, :alice, '{owner}') FROM tenancy.tenants WHERE slug LIKE 'host-long-%';
CREATE TABLE docs (id int GENERATED ALWAYS AS IDENTITY, t text, v varchar, filler text);
ALTER TABLE docs ALTER filler SET STORAGE PLAIN;
-- Beside a filler that fills a page, even a key is compressed; and what does not compress is stored elsewhere.
INSERT INTO docs (t, filler) SELECT key, repeat('.', f) FROM tenancy.tenants, unnest('{0,1900,7000}'::int[]) f WHERE slug LIKE 'host-long-%';
INSERT INTO docs (t) SELECT k FROM unnest(ARRAY[repeat('acme', 250000), repeat('x', 201), repeat('x', 1024), repeat('x', 1025), repeat('x', 2000000), repeat(chr(128640), 201), repeat(chr(128640), 257), '', ' ', E'acme\n', E'\x01', chr(65533), 'acme' || chr(769)]) k;
ALTER TABLE docs ALTER t SET STORAGE EXTERNAL;
INSERT INTO docs (t, filler) SELECT key, repeat('.', 7300) FROM tenancy.tenants WHERE slug LIKE 'host-long-%';
INSERT INTO docs (t) VALUES (repeat('acme', 250000)), ((SELECT string_agg(md5(n::text), '') FROM generate_series(1, 10000) n)), (repeat('a6000000-0000-4000-8000-000000000003', 10000));
UPDATE docs SET v = t;
SELECT bool_or(pg_column_compression(t) IS NOT NULL) AS compressed, max(pg_column_size(t)) > 900000 AS elsewhere, bool_or(pg_column_compression(t) IS NOT NULL AND length(t) <= 200) AS keys_compressed FROM docs;
GRANT SELECT ON docs TO authenticated;
BEGIN;
SELECT tenancy.act_as(:alice, 'a6000000-0000-4000-8000-000000000002');
SELECT left(t, 6) AS t, length(t), tenancy.is_member(t), tenancy.is_member(v) AS varchar, tenancy.has_permission(t, 'members.read'), tenancy.has_any_permission(t, '{members.read}'), tenancy.has_role(t, 'owner'), tenancy.has_tenant_role(t, 'owner'), tenancy.is_member_or_operator(t, 'read'),
       tenancy.is_active_or_operator(t, 'read') AS is_active, count(*) FROM docs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, t COLLATE "C" ORDER BY length(t), t COLLATE "C";
-- By the index, which holds what is not too long for one.
RESET ROLE;
SET LOCAL enable_seqscan = off;
CREATE INDEX docs_t ON docs (t) WHERE length(t) < 300;
ANALYZE docs;
SELECT count(*), count(*) FILTER (WHERE t = 'acme') FROM docs WHERE tenancy.is_member(t) AND length(t) < 300;
ROLLBACK;
-- Long names in the other places that take one.
SELECT test.try(:alice, e) FROM unnest(ARRAY['SELECT tenancy.is_member(repeat(''acme'', 50000000))', 'SELECT tenancy.has_permission(repeat(''acme'', 50000000), ''members.read'')', 'SELECT tenancy.is_member(chr(1))']) e;
-- Hundreds of thousands of rows leave no memory behind, whichever way they lie.
CREATE FUNCTION held() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts $$;
CREATE TABLE many AS SELECT CASE n % 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'a6000000-0000-4000-8000-00000000000' || n % 10 ELSE 'x' || n END AS t, n::bigint AS b, n AS i FROM generate_series(1, 300000) n;
CREATE TABLE wide (t text);
ALTER TABLE wide ALTER t SET STORAGE MAIN;
INSERT INTO wide SELECT repeat('acme', 1000) FROM generate_series(1, 30000);
BEGIN;
SELECT tenancy.act_as(:alice, 'a6000000-0000-4000-8000-000000000002', db_role => current_user::text);
CREATE FUNCTION pg_temp.grown(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before bigint; found bigint; during bigint;
BEGIN
    EXECUTE query INTO found;
    EXECUTE query INTO found;
    before := held();
    EXECUTE query INTO found;
    RETURN format('%s rows, %s', found, CASE WHEN held() - before < 100000 THEN 'nothing held' ELSE held() - before || ' bytes held' END);
END $$;
SELECT q, pg_temp.grown('SELECT count(*) FROM ' || q) FROM unnest(ARRAY['many WHERE tenancy.is_member(t)', 'many WHERE tenancy.is_member(b)', 'many WHERE tenancy.is_member(i)', 'many WHERE tenancy.has_permission(t, ''members.read'')', 'many WHERE tenancy.is_active_or_operator(t, ''read'')',
    'many WHERE tenancy.is_active_or_operator(b, ''read'')', 'wide WHERE tenancy.is_member(t)', 'wide WHERE tenancy.has_permission(t, ''members.read'')']) q;
-- Within one statement too: what a row needed is gone by the next.
SELECT bool_and(held < 40000000) AS little, count(*) FROM (SELECT CASE WHEN row_number() OVER () % 10000 = 0 THEN held() END AS held FROM wide WHERE tenancy.is_member(t) IS NOT NULL) x;
ROLLBACK;

DROP SCHEMA host_keys_long CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'host-long-%';
