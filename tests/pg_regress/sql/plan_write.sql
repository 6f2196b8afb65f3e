-- Changes through plans that search by the user's set, partitions that are pruned, and parallel workers. Threats 7, 11,
-- 13 and 30. Alice may do all in 2, read in 3, and is a member of 4.
SET client_min_messages = warning;
CREATE SCHEMA plan_write;
GRANT USAGE ON SCHEMA plan_write TO authenticated;
SET search_path = plan_write;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
\set alice '''97000000-0000-0000-0000-0000000000a1'''
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('97000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'plan-write-' || n, 'T' FROM generate_series(1, 8) n;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, digit int NOT NULL, note text NOT NULL DEFAULT 'old');
INSERT INTO docs SELECT n, t(1 + n % 8), 1 + n % 8 FROM generate_series(1, 4000) n;
CREATE TABLE copies (id int, tenant_id uuid NOT NULL, digit int);
CREATE TABLE parts (id int, tenant_id uuid NOT NULL, digit int NOT NULL) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES IN (%L)', n, t(n)) FROM generate_series(1, 4) n \gexec
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT id, tenant_id, digit FROM docs;
GRANT SELECT, INSERT, UPDATE, DELETE ON docs, copies, parts TO authenticated;
SELECT tenancy.protect_table(x, resource => 'planwrite', mode => 'membership') FROM unnest('{docs, copies, parts}'::regclass[]) x;
VACUUM ANALYZE docs; ANALYZE parts;
SELECT tenancy.create_role('plan_write_reader', '{planwrite.read}') IS NOT NULL, tenancy.create_role('plan_write_editor', '{planwrite.*}') IS NOT NULL;
SELECT tenancy.add_member(t(2), :alice, '{plan_write_editor}'), tenancy.add_member(t(3), :alice, '{plan_write_reader}'), tenancy.add_member(t(4), :alice);
-- Plans made while nobody is identified, used by alice.
SET plan_cache_mode = force_generic_plan;
PREPARE upd AS UPDATE docs SET note = 'new';
PREPARE upd_returning AS UPDATE docs d SET note = 'new' FROM parts p WHERE p.id = d.id AND p.id < 40 RETURNING d.digit;
PREPARE del AS DELETE FROM docs WHERE id % 2 = 0;
PREPARE ins AS INSERT INTO copies SELECT id, tenant_id, digit FROM docs WHERE digit <> 3;
PREPARE ins_all AS INSERT INTO copies SELECT id, tenant_id, digit FROM docs;
PREPARE mrg AS MERGE INTO docs d USING parts p ON d.id = p.id AND d.tenant_id = p.tenant_id
    WHEN MATCHED AND p.digit <> 3 AND p.id % 3 = 0 THEN DELETE WHEN MATCHED AND p.digit <> 3 THEN UPDATE SET note = 'merged';
PREPARE lck AS SELECT count(*) FROM (SELECT digit FROM docs FOR UPDATE) d;
BEGIN;
SELECT FROM tenancy.act_as(NULL);
EXECUTE upd; EXECUTE upd_returning; EXECUTE del; EXECUTE ins; EXECUTE ins_all; EXECUTE mrg; EXECUTE lck;
RESET ROLE;
SELECT FROM tenancy.act_as(:alice);
EXPLAIN (COSTS OFF) EXECUTE upd;
EXPLAIN (COSTS OFF) EXECUTE del;
EXPLAIN (COSTS OFF) EXECUTE lck;
EXECUTE lck;
EXECUTE upd_returning;
EXECUTE upd;
EXECUTE ins;
SAVEPOINT s;
EXECUTE ins_all;
ROLLBACK TO s;
EXECUTE mrg;
EXECUTE del;
RESET ROLE;
SELECT digit, note, count(*) FROM docs WHERE digit <= 4 GROUP BY digit, note ORDER BY digit, note;
SELECT digit, count(*) FROM copies GROUP BY digit ORDER BY digit;
ROLLBACK;
-- A row cannot be moved out, nor changed in a tenant where it may only be read.
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SAVEPOINT s;
UPDATE docs SET tenant_id = t(3) WHERE id = 1;
ROLLBACK TO s;
UPDATE docs SET note = 'x' WHERE digit = 3;
SAVEPOINT t;
MERGE INTO docs d USING parts p ON d.id = p.id WHEN MATCHED AND p.digit = 3 THEN DELETE;
ROLLBACK TO t;
SELECT note, count(*) FROM docs WHERE digit = 3 GROUP BY note;
ROLLBACK;
DEALLOCATE ALL;

-- Partitions: in mode membership each is searched by the set; in mode active the others are pruned when it starts.
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Cond|Scan|Removed|Filter|Append' THEN
            RETURN NEXT regexp_replace(line, 'rows=(\d+)(\.00)? loops=\d+', 'rows=\1');
        END IF;
    END LOOP;
END $$;
BEGIN;
SELECT FROM tenancy.act_as(NULL);
PREPARE q AS SELECT digit, count(*) FROM parts GROUP BY digit;
EXECUTE q;
RESET ROLE;
SELECT FROM tenancy.act_as(:alice);
SELECT l FROM plan_of('EXECUTE q') l WHERE l !~ 'Index Searches|Buffers';
SELECT digit, count(*) FROM parts GROUP BY digit ORDER BY digit;
ROLLBACK;
BEGIN;
SELECT tenancy.protect_table('parts', resource => 'planwrite', mode => 'active');
SELECT FROM tenancy.act_as(:alice, t(3));
SELECT l FROM plan_of('EXECUTE q') l WHERE l !~ 'Index Searches|Buffers';
EXECUTE q;
SELECT set_config('tenancy.tenant_id', t(2)::text, true) IS NOT NULL AS changed;
EXECUTE q;
SELECT set_config('tenancy.tenant_id', t(5)::text, true) IS NOT NULL AS changed;
EXECUTE q;
ROLLBACK;
DEALLOCATE ALL;

-- Workers that have never asked before: every kind of scan, the leader aside.
CREATE FUNCTION workers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json, TIMING off, SUMMARY off, COSTS off) ' || query INTO plan;
    RETURN (jsonb_path_query_first(plan::jsonb, '$.**."Workers Launched"'))::int > 0;
END $$;
CREATE INDEX docs_brin ON docs USING brin (tenant_id) WITH (pages_per_range = 1);
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off;
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_seqscan = on;
SET LOCAL enable_indexscan = off;
PREPARE by_all AS SELECT digit, count(note) FROM docs GROUP BY digit ORDER BY digit;
SELECT workers('EXECUTE by_all');
EXPLAIN (COSTS OFF) EXECUTE by_all;
EXECUTE by_all;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = on;
-- The whole plan in one worker.
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'on', true);
PREPARE by_index AS SELECT digit, count(note) FROM docs GROUP BY digit ORDER BY digit;
SELECT workers('EXECUTE by_index');
EXPLAIN (COSTS OFF) EXECUTE by_index;
EXECUTE by_index;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = on;
PREPARE by_bitmap AS SELECT digit, count(note) FROM docs GROUP BY digit ORDER BY digit;
SELECT workers('EXECUTE by_bitmap');
EXPLAIN (COSTS OFF) EXECUTE by_bitmap;
EXECUTE by_bitmap;
-- Somebody else, and nobody.
SELECT set_config('request.jwt.claims', '', true) = '' AS nobody;
EXECUTE by_all; EXECUTE by_index; EXECUTE by_bitmap;
-- After a revoke that nobody else can see.
RESET ROLE;
SELECT tenancy.revoke_role(t(3), :alice, 'plan_write_reader');
SELECT FROM tenancy.act_as(:alice);
EXECUTE by_all; EXECUTE by_index; EXECUTE by_bitmap;
ROLLBACK;

DROP SCHEMA plan_write CASCADE;
DELETE FROM tenancy.roles WHERE name LIKE 'plan\_write%';
DELETE FROM tenancy.permissions WHERE name LIKE 'planwrite.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'plan-write-%';
