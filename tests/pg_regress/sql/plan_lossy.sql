-- Where a bitmap has forgotten which rows of a page it meant, every row of the page is checked once more: by the
-- filter that the plan has moved there. Threat 30.
SET client_min_messages = warning;
CREATE SCHEMA plan_lossy;
GRANT USAGE ON SCHEMA plan_lossy TO authenticated;
SET search_path = plan_lossy;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('95000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'plan-lossy-' || n, 'T' FROM generate_series(1, 20) n;
-- Wide rows, and every page with rows of many tenants.
CREATE TABLE docs (id int, tenant_id uuid NOT NULL, made int, body text) WITH (autovacuum_enabled = off);
ALTER TABLE docs ALTER body SET STORAGE PLAIN;
INSERT INTO docs SELECT n, t(1 + n % 20), n % 97, repeat('x', 700) FROM generate_series(1, 20000) n;
GRANT SELECT, UPDATE ON docs TO authenticated;
SELECT tenancy.protect_table('docs', resource => 'plan_docs', mode => 'membership');
SELECT tenancy.create_role('plan_lossy_reader', '{plan_docs.read, plan_docs.update}') IS NOT NULL;
\set alice '''95000000-0000-0000-0000-0000000000a1'''
SELECT tenancy.add_member(t(2), :alice, '{plan_lossy_reader}'), tenancy.add_member(t(12), :alice, '{plan_lossy_reader}'),
       tenancy.add_member(t(4), :alice);
CREATE INDEX docs_made ON docs (made);
VACUUM ANALYZE docs;
-- The smallest that work_mem can be holds fewer pages than the table has.
SET work_mem = '64kB';
CREATE FUNCTION lossy(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON, TIMING off, SUMMARY off, COSTS off) ' || query INTO plan;
    RETURN (jsonb_path_query_first(plan::jsonb, '$.**."Lossy Heap Blocks"'))::int > 0;
END $$;
BEGIN;
SELECT FROM tenancy.act_as(:alice);
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs;
SELECT lossy('SELECT count(*) FROM docs');
SELECT count(*), count(DISTINCT tenant_id), sum(id) FROM docs;
-- With what is not ours in the recheck as well, in a bitmap of two indexes, and where one of them asks for membership only.
SELECT lossy('SELECT count(*) FROM docs WHERE made < 60'), count(*), sum(id) FROM docs WHERE made < 60;
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE made < 60 OR made > 90;
SELECT count(*), sum(id) FROM docs WHERE made < 60 OR made > 90;
SELECT count(*), sum(id) FROM docs WHERE tenancy.has_any_permission(tenant_id, '{plan_docs.update, plan_docs.read}');
UPDATE docs SET made = made;
SELECT count(*), sum(id) FROM docs;
ROLLBACK;
-- The same without bitmaps.
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_seqscan = on;
SELECT count(*), count(DISTINCT tenant_id), sum(id) FROM docs;
SELECT count(*), sum(id) FROM docs WHERE made < 60;
SELECT count(*), sum(id) FROM docs WHERE made < 60 OR made > 90;
ROLLBACK;
-- Both indexes and then lossy: what two conditions leave is checked by both.
BEGIN;
SET LOCAL enable_bitmapscan = on;
SELECT FROM tenancy.act_as(:alice);
SET LOCAL cpu_tuple_cost = 10;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE made BETWEEN 1 AND 60;
SELECT count(*), sum(id) FROM docs WHERE made BETWEEN 1 AND 60;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_seqscan = on;
SELECT count(*), sum(id) FROM docs WHERE made BETWEEN 1 AND 60;
ROLLBACK;
-- A condition that only one way of several meets vouches for nothing.
DROP INDEX docs_tenant_id_idx;
CREATE INDEX docs_both ON docs (tenant_id, made, id);
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SET LOCAL random_page_cost = 0.01;
SET LOCAL seq_page_cost = 0.01;
EXPLAIN (COSTS OFF) SELECT count(*) FROM docs WHERE (tenant_id = ANY (tenancy.tenant_ids_with('plan_docs.read')) AND made = 7) OR (made = 5 AND body > 'w');
SELECT count(*), count(DISTINCT tenant_id), sum(id) FROM docs WHERE (tenant_id = ANY (tenancy.tenant_ids_with('plan_docs.read')) AND made = 7) OR (made = 5 AND body > 'w');
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_seqscan = on;
SELECT count(*), count(DISTINCT tenant_id), sum(id) FROM docs WHERE (tenant_id = ANY (tenancy.tenant_ids_with('plan_docs.read')) AND made = 7) OR (made = 5 AND body > 'w');
ROLLBACK;

DROP SCHEMA plan_lossy CASCADE;
SELECT tenancy.drop_role('plan_lossy_reader', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'plan\_docs.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-lossy-%';
