-- A tenant's rows go in batches, children before parents, and nobody else's with them.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA gone;
SELECT tenancy.create_tenant('gone', key => '7101', owner => NULL) AS gone, tenancy.create_tenant('stays', key => '7102', owner => NULL) AS stays \gset
SELECT set_config('gone.id', :'gone', false) IS NOT NULL AS known;
CREATE TABLE gone.a_line (tenant_id uuid NOT NULL, order_id int);
CREATE TABLE gone.b_order (tenant_id uuid NOT NULL, id int PRIMARY KEY);
ALTER TABLE gone.a_line ADD FOREIGN KEY (order_id) REFERENCES gone.b_order;
-- Rows of which each refers to the one before, and two that refer to each other.
CREATE TABLE gone.chain (tenant_id uuid NOT NULL, id int PRIMARY KEY, before int REFERENCES gone.chain);
-- Tables that refer to each other, once with rows in a circle.
CREATE TABLE gone.egg (tenant_id uuid NOT NULL, id int PRIMARY KEY, hen int);
CREATE TABLE gone.hen (tenant_id uuid NOT NULL, id int PRIMARY KEY, egg int REFERENCES gone.egg ON DELETE RESTRICT);
ALTER TABLE gone.egg ADD CONSTRAINT egg_hen FOREIGN KEY (hen) REFERENCES gone.hen;
CREATE TABLE gone.event (tenant_id uuid NOT NULL, n int NOT NULL, PRIMARY KEY (tenant_id, n), before int, FOREIGN KEY (tenant_id, before) REFERENCES gone.event) PARTITION BY RANGE (n);
CREATE TABLE gone.event_1 PARTITION OF gone.event FOR VALUES FROM (0) TO (10);
CREATE TABLE gone.event_2 PARTITION OF gone.event FOR VALUES FROM (10) TO (1000) PARTITION BY RANGE (n);
CREATE TABLE gone.event_3 PARTITION OF gone.event_2 DEFAULT;
CREATE TABLE gone.base (tenant_id uuid NOT NULL, n int);
CREATE TABLE gone.child () INHERITS (gone.base);
CREATE TABLE gone.own_child (tenant_id uuid NOT NULL, n int);
SELECT count(tenancy.protect_table(t, resource => 'gone')) FROM unnest('{gone.a_line,gone.b_order,gone.chain,gone.egg,gone.hen,gone.event,gone.base,gone.own_child}'::regclass[]) t;
CREATE PROCEDURE pg_temp.fill(tenant uuid, at int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gone.b_order SELECT tenant, at + n FROM generate_series(1, 5) n;
    INSERT INTO gone.a_line SELECT tenant, at + n FROM generate_series(1, 5) n, generate_series(1, 3);
    INSERT INTO gone.chain SELECT tenant, at + n, nullif(at + n - 1, at) FROM generate_series(1, 6) n;
    INSERT INTO gone.chain VALUES (tenant, at + 8, at + 9), (tenant, at + 9, at + 8), (tenant, at + 10, at + 10);
    INSERT INTO gone.egg SELECT tenant, at + n, NULL FROM generate_series(1, 3) n;
    INSERT INTO gone.hen SELECT tenant, at + n, at + n FROM generate_series(1, 3) n;
    UPDATE gone.egg SET hen = id WHERE tenant_id = tenant AND id > at + 1;
    INSERT INTO gone.event SELECT tenant, n, nullif(n - 1, 0) FROM generate_series(1, 20) n;
    INSERT INTO gone.base SELECT tenant, n FROM generate_series(1, 4) n;
    INSERT INTO gone.child SELECT tenant, n FROM generate_series(1, 4) n;
END
$$;
CALL pg_temp.fill(:'gone', 1000);
CALL pg_temp.fill(:'stays', 2000);
CREATE FUNCTION pg_temp.counts(tenant uuid) RETURNS TABLE (lines bigint, orders bigint, chain bigint, eggs bigint, hens bigint, events bigint, base bigint) LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM gone.a_line WHERE tenant_id = tenant), (SELECT count(*) FROM gone.b_order WHERE tenant_id = tenant), (SELECT count(*) FROM gone.chain WHERE tenant_id = tenant),
           (SELECT count(*) FROM gone.egg WHERE tenant_id = tenant), (SELECT count(*) FROM gone.hen WHERE tenant_id = tenant), (SELECT count(*) FROM gone.event WHERE tenant_id = tenant), (SELECT count(*) FROM gone.base WHERE tenant_id = tenant)
$$;
\set ann '''a7e00000-0000-4000-8000-0000000000a1'''
SELECT test.attempt(:ann, format('SELECT tenancy.delete_tenant_rows(%L)', current_setting('gone.id'))), test.attempt(NULL, $$SELECT tenancy.delete_tenant_rows('a7e00000-0000-4000-8000-000000000bad')$$),
       test.attempt(NULL, 'SELECT tenancy.delete_tenant_rows(NULL)'), test.attempt(NULL, format('SELECT tenancy.delete_tenant_rows(%L, 0)', current_setting('gone.id'))), test.attempt(NULL, format('SELECT tenancy.delete_tenant_rows(%L, NULL)', current_setting('gone.id')));
SELECT test.attempt(NULL, format('SELECT tenancy.drop_tenant(%L)', current_setting('gone.id')));
SELECT * FROM pg_temp.counts(:'gone');
SELECT * FROM pg_temp.counts(:'stays');
-- One transaction a batch. What goes beyond the batch are rows in a circle.
BEGIN;
SELECT tenancy.delete_tenant_rows(:'gone', 4), tenancy.delete_tenant_rows(:'gone', 4);
SELECT * FROM pg_temp.counts(:'gone');
ROLLBACK;
BEGIN;
DO $$
DECLARE
    n bigint;
    batches text[] := '{}';
BEGIN
    LOOP
        n := tenancy.delete_tenant_rows(current_setting('gone.id')::uuid, 4);
        EXIT WHEN n = 0;
        batches := batches || n::text;
    END LOOP;
    RAISE WARNING 'batches: %', batches;
END $$;
SELECT * FROM pg_temp.counts(:'gone');
SELECT * FROM pg_temp.counts(:'stays');
ROLLBACK;
SELECT tenancy.delete_tenant_rows(:'gone'), tenancy.delete_tenant_rows(:'gone') AS again;
SELECT * FROM pg_temp.counts(:'gone');
SELECT * FROM pg_temp.counts(:'stays');
-- A long chain costs as much a row as a short one: its rows are not all looked at again for each that goes. In a partitioned table
-- a row that refers to itself goes with any batch, and what looks like SQL is a key.
\set long 'a7e00000-0000-4000-9000-0000000010f6'
INSERT INTO tenancy.tenants (id, key, slug, name) VALUES (:'long', ', d1 AS (/**/ d2 AS (', 'gone-long', 'x');
CREATE TABLE gone.self (tenant_id uuid NOT NULL, n int PRIMARY KEY, thread int NOT NULL, FOREIGN KEY (thread) REFERENCES gone.self) PARTITION BY HASH (n);
CREATE TABLE gone.self_0 PARTITION OF gone.self FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE gone.self_1 PARTITION OF gone.self FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE gone.keyed (org text NOT NULL, n int PRIMARY KEY, peer int REFERENCES gone.keyed);
CREATE INDEX ON gone.chain (before);
SELECT tenancy.protect_table('gone.self', resource => 'gone'), tenancy.protect_table('gone.keyed', tenant_column => 'org', resource => 'gone');
INSERT INTO gone.self SELECT :'long', n, n FROM generate_series(1, 9) n;
SELECT tenancy.delete_tenant_rows(:'long', 4), tenancy.delete_tenant_rows(:'long', 4), tenancy.delete_tenant_rows(:'long', 4);
INSERT INTO gone.keyed SELECT key, n, NULL FROM tenancy.tenants, generate_series(1, 3) n WHERE id = :'long';
UPDATE gone.keyed SET peer = 4 - n;
SELECT tenancy.delete_tenant_rows(:'long');
INSERT INTO gone.chain SELECT :'long', 10000 + n, nullif(10000 + n - 1, 10000) FROM generate_series(1, 1000) n;
ANALYZE gone.chain;
SELECT pg_stat_force_next_flush();
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT tenancy.delete_tenant_rows(:'long', 700);
SELECT min(id), max(id), count(*) FROM gone.chain WHERE tenant_id = :'long';
SELECT seq_tup_read + idx_tup_fetch < 10 * 1000 AS few_rows_read FROM pg_stat_xact_user_tables t WHERE relid = 'gone.chain'::regclass;
COMMIT;
SELECT tenancy.delete_tenant_rows(:'long') AS rest;
SELECT tenancy.unprotect_table('gone.self'), tenancy.unprotect_table('gone.keyed');
-- A table of others that refers to the rows says so, and nothing is half done.
CALL pg_temp.fill(:'gone', 1000);
CREATE TABLE gone.unprotected (order_id int REFERENCES gone.b_order);
INSERT INTO gone.unprotected VALUES (1003);
SELECT test.attempt(NULL, format('SELECT tenancy.delete_tenant_rows(%L)', current_setting('gone.id')));
SELECT * FROM pg_temp.counts(:'gone');
DROP TABLE gone.unprotected;
-- By the index where the tenant is one of many.
INSERT INTO tenancy.tenants (slug, name) SELECT 'gone-many-' || n, 'x' FROM generate_series(1, 200) n;
INSERT INTO gone.own_child SELECT t.id, n FROM tenancy.tenants t, generate_series(1, 100) n WHERE t.slug LIKE 'gone-many%';
ANALYZE gone.own_child;
-- What was counted before is not to be counted below.
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT tenancy.delete_tenant_rows((SELECT id FROM tenancy.tenants WHERE slug = 'gone-many-7'), 30);
SELECT seq_scan, idx_scan > 0 AS by_index FROM pg_stat_xact_user_tables WHERE relid = 'gone.own_child'::regclass;
ROLLBACK;
-- Rows that a host's trigger keeps are kept, and the tenant with them.
CREATE FUNCTION gone.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON gone.b_order FOR EACH ROW EXECUTE FUNCTION gone.keep();
SELECT tenancy.delete_tenant_rows(:'gone') > 0 AS deleted, tenancy.delete_tenant_rows(:'gone') AS kept;
SELECT test.attempt(NULL, format('SELECT tenancy.drop_tenant(%L)', current_setting('gone.id')));
DROP TRIGGER keep ON gone.b_order;
SELECT tenancy.delete_tenant_rows(:'gone');
SELECT tenancy.drop_tenant(:'gone');
SELECT * FROM pg_temp.counts(:'stays');
SELECT tenancy.unprotect_table(t) FROM unnest('{gone.a_line,gone.b_order,gone.chain,gone.egg,gone.hen,gone.event,gone.base,gone.own_child}'::regclass[]) t;
DROP SCHEMA gone CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'gone%' OR slug = 'stays';
DELETE FROM tenancy.permissions WHERE name LIKE 'gone.%';
